# SPDX-License-Identifier: GPL-3.0-or-later
"""Symmetry relations against orix and gemmi, and the promises about colours."""

from __future__ import annotations

import re
import subprocess
import sys
from itertools import combinations

import gemmi
import numpy as np
import pytest
from orix.crystal_map import PhaseList
from orix.quaternion import symmetry
from skimage.color import deltaE_ciede2000, rgb2lab

from napari_ebsd_phase import crystallography as xtal
from napari_ebsd_phase.errors import InputError

SPACE_GROUPS = range(1, 231)

# Machado et al. (2009), severity 1, applied to linear RGB.
VISION = {
    "normal": np.eye(3),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
}


def lab(color: str, vision: str = "normal") -> np.ndarray:
    """CIELAB coordinates of a colour as it is seen."""
    srgb = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(VISION[vision] @ linear, 0, 1)
    return rgb2lab(np.where(seen <= 0.0031308, seen * 12.92, 1.055 * seen ** (1 / 2.4) - 0.055))


def difference(first: str, second: str, vision: str) -> float:
    return float(deltaE_ciede2000(lab(first, vision), lab(second, vision)))


def closest(pairs: list[tuple[str, str]], vision: str) -> float:
    """Smallest perceived difference among pairs of colours."""
    assert pairs
    return min(difference(a, b, vision) for a, b in pairs)


# --- names and relations ---------------------------------------------------------------------


def test_every_level_has_its_number_of_distinct_names():
    counts = {level: len(set(xtal.names(level))) for level in xtal.LEVELS}
    assert counts == {
        "point_group": 32,
        "laue_group": 11,
        "crystal_system": 7,
        "bravais_lattice": 14,
    }
    assert xtal.names("point_group") == xtal.POINT_GROUPS
    assert xtal.names("laue_group") == xtal.LAUE_GROUPS
    assert xtal.names("crystal_system") == xtal.CRYSTAL_SYSTEMS
    assert xtal.names("bravais_lattice") == xtal.BRAVAIS_LATTICES
    assert len(set(xtal.CRYSTAL_FAMILIES)) == 6


@pytest.mark.parametrize("number", SPACE_GROUPS)
def test_space_group_agrees_with_gemmi(number):
    group = gemmi.find_spacegroup_by_number(number)
    name = xtal.point_group_of_space_group(number)
    lattice = xtal.bravais_lattice_of_space_group(number)

    # gemmi writes -62m where we write -6m2.
    assert name == group.point_group_hm().replace("-62m", "-6m2")
    assert xtal.point_group(group.point_group_hm()) == name
    assert xtal.laue_group(name) == group.laue_str()
    assert xtal.crystal_system(name) == group.crystal_system_str()
    assert lattice[1] == group.centring_type().replace("A", "S").replace("C", "S")
    letter = {"triclinic": "a", "trigonal": "h"}.get(xtal.crystal_system(name), xtal.family(name))
    assert lattice[0] == letter[0]
    assert xtal.family(lattice) == xtal.family(name)


def test_every_space_group_agrees_with_orix():
    phases = PhaseList(
        names=[f"space group {number}" for number in SPACE_GROUPS],
        space_groups=list(SPACE_GROUPS),
    )
    for number, (_, phase) in zip(SPACE_GROUPS, phases, strict=True):
        name = xtal.point_group_of_space_group(number)
        assert phase.point_group.name == name
        assert symmetry.get_point_group(number).name == name
        assert phase.point_group.system == xtal.crystal_system(name)
        # It writes H for an R lattice in hexagonal axes, as PDB files do.
        centring = phase.space_group.short_name[0].translate(str.maketrans("ACH", "SSR"))
        assert xtal.bravais_lattice_of_space_group(number)[1] == centring


def test_laue_group_has_the_operations_of_the_orix_laue_group():
    by_name = {group.name: group for group in map(symmetry.get_point_group, SPACE_GROUPS)}
    assert set(by_name) == set(xtal.POINT_GROUPS)
    for name, group in by_name.items():
        # By operations, since orix names only the standard setting of a monoclinic group.
        ours = by_name[xtal.laue_group(name)]
        assert ours.contains_inversion
        assert ours.size == group.laue.size
        assert ours.size == group.size * (1 if group.contains_inversion else 2)
        assert ours.system == group.system


def test_settings_that_orix_names_differently_are_understood():
    for group, standard in [
        (symmetry.C2x, "2"),
        (symmetry.C2y, "2"),
        (symmetry.C2z, "2"),
        (symmetry.Csx, "m"),
        (symmetry.Csy, "m"),
        (symmetry.Csz, "m"),
        (symmetry.D3x, "32"),
        (symmetry.D3y, "32"),
        (symmetry.D2d, "-42m"),
        (symmetry.D3h, "-6m2"),
    ]:
        assert xtal.point_group(group.name) == standard


@pytest.mark.parametrize(
    ("written", "standard"),
    [
        ("-62m", "-6m2"),
        ("-4m2", "-42m"),
        ("321", "32"),
        ("31m", "3m"),
        ("121", "2"),
        ("m3m", "m-3m"),
    ],
)
def test_other_settings_of_a_point_group_have_one_standard_name(written, standard):
    assert xtal.point_group(written) == standard
    assert xtal.laue_group(written) == xtal.laue_group(standard)


def test_indices_point_from_each_point_group_to_its_laue_group_and_system():
    for i, name in enumerate(xtal.POINT_GROUPS):
        assert xtal.LAUE_GROUPS[xtal.LAUE_INDEX[i]] == xtal.laue_group(name)
        assert xtal.CRYSTAL_SYSTEMS[xtal.SYSTEM_INDEX[i]] == xtal.crystal_system(name)
    assert xtal.LAUE_INDEX.shape == xtal.SYSTEM_INDEX.shape == (32,)


def test_compatible_pairs_are_those_of_the_space_groups_gemmi_lists():
    expected = np.zeros((32, 14), bool)
    letters = dict(zip(xtal.CRYSTAL_FAMILIES, "amothc", strict=True))
    for number in SPACE_GROUPS:
        group = gemmi.find_spacegroup_by_number(number)
        system = group.crystal_system_str().replace("trigonal", "hexagonal")
        centring = group.centring_type().replace("A", "S").replace("C", "S")
        row = xtal.POINT_GROUPS.index(group.point_group_hm().replace("-62m", "-6m2"))
        expected[row, xtal.BRAVAIS_LATTICES.index(letters[system] + centring)] = True
    np.testing.assert_array_equal(xtal.COMPATIBLE, expected)
    assert xtal.COMPATIBLE.dtype == bool


def test_trigonal_groups_have_two_lattices_and_hexagonal_ones_only_the_primitive():
    lattices = {
        name: [xtal.BRAVAIS_LATTICES[i] for i in np.flatnonzero(row)]
        for name, row in zip(xtal.POINT_GROUPS, xtal.COMPATIBLE, strict=True)
    }
    for name, found in lattices.items():
        if xtal.crystal_system(name) == "trigonal":
            assert found == ["hR", "hP"]
        if xtal.crystal_system(name) == "hexagonal":
            assert found == ["hP"]
        if xtal.crystal_system(name) == "cubic":
            assert found == ["cP", "cI", "cF"]


def test_family_is_known_for_a_name_of_any_level():
    for level in xtal.LEVELS:
        assert {xtal.family(name) for name in xtal.names(level)} == set(xtal.CRYSTAL_FAMILIES)
    assert xtal.family("trigonal") == xtal.family("hR") == xtal.family("-3m") == "hexagonal"
    assert xtal.family("-43m") == xtal.family("cF") == xtal.family("cubic") == "cubic"


def test_shared_tables_cannot_be_changed_by_a_caller():
    for table in (xtal.LAUE_INDEX, xtal.SYSTEM_INDEX, xtal.COMPATIBLE):
        with pytest.raises(ValueError, match="read-only"):
            table[0] = 0
    xtal.colors("laue_group")["m-3m"] = "#000000"
    assert xtal.color("laue_group", "m-3m") != "#000000"


# --- marginals -------------------------------------------------------------------------------


@pytest.mark.parametrize("level", ["laue_group", "crystal_system"])
def test_marginal_sums_the_point_groups_of_each_class(level):
    probabilities = np.random.default_rng(1).dirichlet(np.ones(32), (3, 5)).astype(np.float32)
    relation = {"laue_group": xtal.laue_group, "crystal_system": xtal.crystal_system}[level]

    result = xtal.marginal(probabilities, level)

    assert result.shape == (3, 5, len(xtal.names(level)))
    assert result.dtype == np.float32
    np.testing.assert_allclose(result.sum(-1), 1, rtol=1e-5)
    for i, name in enumerate(xtal.names(level)):
        members = [j for j, group in enumerate(xtal.POINT_GROUPS) if relation(group) == name]
        np.testing.assert_allclose(result[..., i], probabilities[..., members].sum(-1), rtol=1e-5)


def test_marginal_of_the_point_group_level_is_the_input():
    probabilities = np.full(32, 1 / 32)
    np.testing.assert_array_equal(xtal.marginal(probabilities, "point_group"), probabilities)


def test_marginal_keeps_pixels_that_are_not_classified_apart():
    probabilities = np.full((2, 32), 1 / 32)
    probabilities[0] = np.nan
    result = xtal.marginal(probabilities, "laue_group")
    assert np.isnan(result[0]).all()
    assert np.isfinite(result[1]).all()


# --- wrong input -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: xtal.names("space_group"), "unknown level 'space_group'"),
        (lambda: xtal.laue_group("5m"), "unknown point group '5m'"),
        (lambda: xtal.crystal_system("cF"), "unknown point group 'cF'"),
        (lambda: xtal.family("quasi"), "unknown symmetry 'quasi'"),
        (lambda: xtal.marginal(np.zeros(32), "bravais_lattice"), "'bravais_lattice'"),
        (
            lambda: xtal.marginal(np.zeros((4, 14)), "laue_group"),
            r"32 classes, not shape \(4, 14\)",
        ),
        (lambda: xtal.marginal(1.0, "laue_group"), r"32 classes, not shape \(\)"),
        (lambda: xtal.point_group_of_space_group(0), "number 0: use 1 to 230"),
        (lambda: xtal.bravais_lattice_of_space_group(231), "number 231: use 1 to 230"),
        (lambda: xtal.color("bravais_lattice", "m-3m"), "bravais_lattice has no 'm-3m'"),
        (lambda: xtal.color("none", "m-3m"), "unknown level 'none'"),
        (lambda: xtal.colors("family"), "unknown level 'family'"),
    ],
)
def test_wrong_input_is_named_in_one_line(call, says):
    with pytest.raises(InputError, match=says) as raised:
        call()
    assert "\n" not in str(raised.value)


# --- colours ---------------------------------------------------------------------------------


def test_every_name_has_a_colour_and_no_name_is_grey():
    for level in xtal.LEVELS:
        table = xtal.colors(level)
        assert tuple(table) == xtal.names(level)
        assert all(re.fullmatch("#[0-9a-f]{6}", value) for value in table.values())
        assert all(xtal.color(level, name) == value for name, value in table.items())
        assert xtal.color(level, "") == xtal.UNDECIDED_COLOR
    assert xtal.color("none", "") == xtal.UNDECIDED_COLOR
    lightness, a, b = lab(xtal.UNDECIDED_COLOR)
    assert np.hypot(a, b) < 1
    assert 40 < lightness < 70  # seen on black and on white


def test_a_name_means_one_colour_in_a_map_that_mixes_levels():
    for name in xtal.LAUE_GROUPS:
        assert xtal.color("laue_group", name) == xtal.color("point_group", name)
    # A system with one Laue group says no more and no less than that group.
    assert xtal.color("crystal_system", "triclinic") == xtal.color("laue_group", "-1")
    assert xtal.color("crystal_system", "monoclinic") == xtal.color("laue_group", "2/m")
    assert xtal.color("crystal_system", "orthorhombic") == xtal.color("laue_group", "mmm")
    assert xtal.color("bravais_lattice", "aP") == xtal.color("crystal_system", "triclinic")


def groups_of_pairs() -> dict[str, list[tuple[str, str]]]:
    point_groups, laue_groups, systems, lattices = map(xtal.colors, xtal.LEVELS)
    grey = xtal.UNDECIDED_COLOR
    mixed = sorted({*point_groups.values(), *systems.values()})
    strong = [*laue_groups.values(), *lattices.values()]
    return {
        "Laue groups": list(combinations(laue_groups.values(), 2)),
        "crystal systems": list(combinations(systems.values(), 2)),
        "Bravais lattices": list(combinations(lattices.values(), 2)),
        "point groups of one Laue group": [
            (point_groups[a], point_groups[b])
            for a, b in combinations(point_groups, 2)
            if xtal.laue_group(a) == xtal.laue_group(b)
        ],
        "mixed levels": list(combinations(mixed, 2)),
        "grey and Laue groups, lattices": [(grey, value) for value in strong],
        "grey and all": [(grey, value) for value in mixed],
    }


@pytest.mark.parametrize(
    ("pairs", "normal", "red_green_blind"),
    [
        # The table of the module's docstring.
        ("Laue groups", 17.5, 10),
        ("crystal systems", 16.5, 9.5),
        ("Bravais lattices", 17.5, 10.5),
        ("point groups of one Laue group", 12, 8.5),
        ("mixed levels", 8.5, 5),
        ("grey and Laue groups, lattices", 23, 13.5),
        ("grey and all", 18, 9.5),
    ],
)
def test_colours_differ_for_normal_and_for_red_green_blind_eyes(pairs, normal, red_green_blind):
    colours = groups_of_pairs()[pairs]
    assert closest(colours, "normal") >= normal
    assert closest(colours, "deuteranopia") >= red_green_blind
    assert closest(colours, "protanopia") >= red_green_blind


def test_point_groups_and_systems_have_36_different_colours_together():
    mixed = {*xtal.colors("point_group").values(), *xtal.colors("crystal_system").values()}
    assert len(mixed) == 36


def test_hue_tells_the_crystal_family():
    hues: dict[str, list[float]] = {family: [] for family in xtal.CRYSTAL_FAMILIES}
    for level in xtal.LEVELS:
        for name, value in xtal.colors(level).items():
            _, a, b = lab(value)
            assert np.hypot(a, b) > 20, f"{name} is too grey to have a hue"
            hues[xtal.family(name)].append(np.degrees(np.arctan2(b, a)))

    # Along the hue circle the families must come one after the other, with gaps between them.
    ring = sorted((hue % 360, family) for family, values in hues.items() for hue in values)
    steps = [
        ((next_hue - hue) % 360, family, next_family)
        for (hue, family), (next_hue, next_family) in zip(ring, ring[1:] + ring[:1], strict=True)
        if family != next_family
    ]
    assert len(steps) == len(xtal.CRYSTAL_FAMILIES)
    assert min(gap for gap, _, _ in steps) >= 10


# --- import ----------------------------------------------------------------------------------


def test_importing_the_module_needs_no_heavy_library():
    code = (
        "import sys, napari_ebsd_phase.crystallography\n"
        "print(*{'torch', 'orix', 'kikuchipy', 'gemmi', 'qtpy', 'napari'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
