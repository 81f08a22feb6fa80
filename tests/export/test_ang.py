# SPDX-License-Identifier: GPL-3.0-or-later
"""Text files of EDAX: orix reads back what the map says, and other programs find their fields."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import orix.io
import pytest
from orix.crystal_map import CrystalMap
from orix.io.plugins import ang as orix_ang
from orix.quaternion import Rotation

from napari_ebsd_phase.crystallography import POINT_GROUPS, laue_group
from napari_ebsd_phase.phase_map import PhaseMap

NO_ANGLE = 12.56637


def saved(phase_map: PhaseMap, folder: Path) -> tuple[list[str], np.ndarray]:
    """Save a map and return the lines of the header, without their #, and the numbers."""
    path = folder / "map.ang"
    phase_map.save(path)
    lines = path.read_text("ascii").splitlines()
    head = [line[1:].strip() for line in lines if line.startswith("#")]
    assert all(line.startswith("#") for line in lines[: len(head)])
    return head, np.loadtxt(lines[len(head) :], ndmin=2)


def values(head: list[str], key: str) -> list[str]:
    """Return what follows a key, for every line that begins with it."""
    return [line.split(None, 1)[1] for line in head if line.split(None, 1)[:1] == [key]]


def load(path: Path) -> CrystalMap:
    return orix.io.load(path, autogen_names=False)


def certain(groups: list[str], shape: tuple[int, int], **attributes: object) -> PhaseMap:
    """Return a map whose pixels are certainly `groups`, row by row; "" is undecided."""
    one_hot = np.eye(32)[[POINT_GROUPS.index(name or "1") for name in groups]]
    one_hot[[not name for name in groups]] = 1 / 32
    return PhaseMap(
        one_hot.reshape(*shape, 32), np.full((*shape, 14), 1 / 14), np.ones(shape), **attributes
    )


def test_orix_reads_grid_phases_and_symmetries(phase_map: PhaseMap, tmp_path: Path) -> None:
    phase_map.save(tmp_path / "map.ang")
    read = load(tmp_path / "map.ang")
    assert read.shape == phase_map.shape
    assert (read.dy, read.dx) == phase_map.step
    assert read.scan_unit == "um"
    name_of = {i: phase.name for i, phase in read.phases} | {-1: ""}
    label, level = phase_map.decide()
    expected = np.where(level == "laue_group", np.char.add("Laue ", label), label)
    assert [name_of[i] for i in read.phase_id.tolist()] == expected.ravel().tolist()
    assert {"", "m-3m", "Laue m-3m"} <= set(expected.ravel().tolist())
    # The format has the rotations of the Laue group only.
    assert {p.point_group.name for i, p in read.phases if i > 0} == {"432"}


def test_names_stay_apart_where_orix_makes_them_from_formulas(
    phase_map: PhaseMap, tmp_path: Path
) -> None:
    phase_map.save(tmp_path / "map.ang")
    read = orix.io.load(tmp_path / "map.ang")
    assert {p.name for i, p in read.phases if i > 0} == {"m-3m", "Laue_m-3m"}


def test_every_point_group_has_the_number_of_its_laue_group(tmp_path: Path) -> None:
    head, table = saved(certain(list(POINT_GROUPS), (4, 8)), tmp_path)
    # The last phase comes first.
    assert values(head, "Phase") == [str(i) for i in range(32, 0, -1)]
    assert values(head, "MaterialName") == list(POINT_GROUPS)[::-1]
    numbers = dict(zip(values(head, "MaterialName"), values(head, "Symmetry"), strict=True))
    assert {laue_group(name): number for name, number in numbers.items()} == {
        "-1": "1", "2/m": "20", "mmm": "22", "4/m": "4", "4/mmm": "42", "-3": "3", "-3m": "32",
        "6/m": "6", "6/mmm": "62", "m-3": "23", "m-3m": "43",
    }  # fmt: skip
    assert all(number == numbers[laue_group(name)] for name, number in numbers.items())
    assert table[:, 7].tolist() == list(range(1, 33))


def test_orix_knows_the_rotations_of_every_laue_group(tmp_path: Path) -> None:
    certain(list(POINT_GROUPS), (4, 8)).save(tmp_path / "map.ang")
    order = {"-1": 1, "2/m": 2, "mmm": 4, "4/m": 4, "4/mmm": 8, "-3": 3, "-3m": 6}
    order |= {"6/m": 6, "6/mmm": 12, "m-3": 12, "m-3m": 24}
    for i, phase in load(tmp_path / "map.ang").phases:
        assert phase.point_group.size == order[laue_group(POINT_GROUPS[i - 1])]
        assert phase.point_group.is_proper


#: Header fields of the format: what follows the key in a map of 12 x 20 points with two phases,
#: "m-3m" and "Laue m-3m", at steps of 0.25 and 0.5 um. The last phase comes first.
FIELDS = [
    ("TEM_PIXperUM", ["1.000000"]),
    ("x-star", ["0.000000"]),
    ("y-star", ["0.000000"]),
    ("z-star", ["0.000000"]),
    ("WorkingDistance", ["0.000000"]),
    ("Phase", ["2", "1"]),
    ("MaterialName", ["Laue m-3m", "m-3m"]),
    ("Formula", ["Laue_m-3m", "m-3m"]),
    ("Symmetry", ["43", "43"]),
    ("PointGroupID", ["131"]),
    ("LatticeConstants", ["1.000 1.000 1.000 90.000 90.000 90.000"] * 2),
    ("NumberFamilies", ["0", "0"]),
    ("Categories0", ["0 0 0 0", "0 0 0 0"]),
    ("GRID:", ["SqrGrid"]),
    ("XSTEP:", ["0.250000"]),
    ("YSTEP:", ["0.500000"]),
    ("NCOLS_ODD:", ["20"]),
    ("NCOLS_EVEN:", ["20"]),
    ("NROWS:", ["12"]),
    ("OPERATOR:", ["napari-ebsd-phase"]),
    ("SCANID:", ["steel, annealed.h5oina"]),
    ("VERSION", ["5"]),
    ("NOTES:", ["Start", "End"]),
    ("COLUMN_COUNT:", ["10"]),
    ("COLUMN_HEADERS:", ["phi1, PHI, phi2, x, y, IQ, CI, Phase index, SEM, Fit"]),
    ("COLUMN_UNITS:", ["radians, radians, radians, microns, microns, , , , , degrees"]),
]


@pytest.mark.parametrize(("key", "expected"), FIELDS, ids=[key for key, _ in FIELDS])
def test_every_field_of_the_format_says_what_the_map_is(
    phase_map: PhaseMap, tmp_path: Path, key: str, expected: list[str]
) -> None:
    head, _ = saved(phase_map, tmp_path)
    assert values(head, key) == expected


def test_fields_stand_in_the_order_of_the_format(phase_map: PhaseMap, tmp_path: Path) -> None:
    head, _ = saved(phase_map, tmp_path)
    keys = [line.split(None, 1)[0] for line in head if line]
    first = [keys.index(key) for key, _ in FIELDS if key != "PointGroupID"]
    assert first == sorted(first)
    # Of the two phases the second has a point group; the field stands behind the Laue group.
    assert keys[keys.index("PointGroupID") - 1] == "Symmetry"


#: Columns of version 5 with their units and limits.
COLUMNS = [
    ("phi1", 0, 4 * np.pi),
    ("PHI", 0, 4 * np.pi),
    ("phi2", 0, 4 * np.pi),
    ("x", 0, 19 * 0.25),
    ("y", 0, 11 * 0.5),
    ("IQ", 0, 1),
    ("CI", -1, 1),
    ("Phase index", 0, 2),
    ("SEM", 0, 0),
    ("Fit", 0, 180),
]


@pytest.mark.parametrize("number", range(10), ids=[name for name, *_ in COLUMNS])
def test_every_column_has_its_place_and_its_units(
    phase_map: PhaseMap, tmp_path: Path, number: int
) -> None:
    row, col = np.indices(phase_map.shape)
    phase_map.crystal_map = CrystalMap(
        Rotation.random(240), x=col.ravel() * 0.25, y=row.ravel() * 0.5
    )
    head, table = saved(phase_map, tmp_path)
    name, least, most = COLUMNS[number]
    assert values(head, "COLUMN_HEADERS:")[0].split(", ")[number] == name
    assert least - 1e-5 <= table[:, number].min() <= table[:, number].max() <= most + 1e-5


def by_the_rules_of_mtex(path: Path) -> list[tuple[int, str, str, list[float]]]:
    """Number, name, symmetry and cell of each phase, found as MTEX finds them.

    A phase begins where "# Phase" is followed by a digit; its entries are the first of their kind
    in the hundred lines from there on; a point group counts if it is of the Laue group.
    """
    groups = [*POINT_GROUPS]
    laue = {"1": "-1", "2": "2/m", "20": "2/m", "22": "mmm", "4": "4/m", "42": "4/mmm", "3": "-3"}
    laue |= {"32": "-3m", "6": "6/m", "62": "6/mmm", "23": "m-3", "43": "m-3m"}
    lines = path.read_text("ascii").splitlines()
    assert max(i for i, line in enumerate(lines) if line.startswith("#")) < 1000
    found = []
    for start in (i for i, line in enumerate(lines) if re.search(r"# Phase \d", line)):
        block = lines[start : start + 101]

        def entry(token: str, block: list[str] = block) -> str:
            matches = (re.search(rf"{token}\s*(.*)", line) for line in block)
            return next((match[1].strip() for match in matches if match), "")

        symmetry = laue[entry("# Symmetry")]
        number = entry("# PointGroupID")
        if number and laue_group(groups[int(number) - 100]) == symmetry:
            symmetry = groups[int(number) - 100]
        cell = [float(x) for x in entry("# LatticeConstants").split()]
        found.append((int(entry("# Phase")), entry("# MaterialName"), symmetry, cell))
    return found


def test_mtex_finds_the_point_group_of_every_phase(tmp_path: Path) -> None:
    certain(list(POINT_GROUPS), (4, 8)).save(tmp_path / "map.ang")
    found = by_the_rules_of_mtex(tmp_path / "map.ang")
    assert [(number, symmetry) for number, _, symmetry, _ in found] == [
        (number, POINT_GROUPS[number - 1]) for number in range(32, 0, -1)
    ]
    assert all(name == symmetry for _, name, symmetry, _ in found)
    assert all(cell[:5] == [1, 1, 1, 90, 90] for *_, cell in found)


def test_a_laue_group_is_given_no_point_group(tmp_path: Path) -> None:
    cubic = np.array([laue_group(name) == "m-3m" for name in POINT_GROUPS])
    even = PhaseMap(
        (cubic / 3)[np.newaxis, np.newaxis], np.full((1, 1, 14), 1 / 14), np.ones((1, 1))
    )
    head, _ = saved(even, tmp_path)
    assert values(head, "MaterialName") == ["Laue m-3m"]
    assert values(head, "Symmetry") == ["43"]
    assert values(head, "PointGroupID") == []


def test_positions_in_pixels_are_said_to_be_such_in_the_units(tmp_path: Path) -> None:
    head, _ = saved(certain(["23"], (1, 1)), tmp_path)
    assert values(head, "COLUMN_UNITS:")[0].split(", ")[3:5] == ["pixels", "pixels"]


def test_free_text_is_taken_for_no_field(make_map: Callable[..., PhaseMap], tmp_path: Path) -> None:
    source = "x\n# Phase 7\n# Symmetry 62\n\tµ \udcff.h5oina"
    phase_map = make_map((2, 9), sources=[source], provenance={"source": source})
    head, _ = saved(phase_map, tmp_path)
    assert values(head, "Phase") == ["2", "1"]
    assert len(values(head, "Symmetry")) == 2


def test_quality_and_probability_are_image_quality_and_confidence(
    phase_map: PhaseMap, tmp_path: Path
) -> None:
    _, table = saved(phase_map, tmp_path)
    codes, probability = (array.ravel() for array in phase_map.label_codes())
    np.testing.assert_allclose(table[:, 5], phase_map.pattern_quality.ravel(), atol=1e-5)
    expected = np.where(codes > 0, probability, -1)
    np.testing.assert_allclose(table[:, 6], expected, atol=1e-5)


def test_points_without_a_phase_are_those_of_the_format(tmp_path: Path) -> None:
    phase_map = certain(["m-3m", "", "m-3m"], (1, 3))
    phase_map.pattern_quality[0, 2] = np.nan
    phase_map.done[0, 2] = False
    head, table = saved(phase_map, tmp_path)
    # Also in a map of one phase: MTEX would take another column for the phase at a -1.
    assert values(head, "Phase") == ["1"]
    assert table[:, 7].tolist() == [1, 0, 0]
    assert table[:, 6].tolist() == [1, -1, -1]
    np.testing.assert_allclose(table[1:, :3], NO_ANGLE)
    assert table[:, 9].tolist() == [0, 180, 180]
    assert load(tmp_path / "map.ang").is_indexed.tolist() == [True, False, False]


def test_orientations_of_the_vendor_are_kept_and_the_notes_say_so(
    phase_map: PhaseMap, tmp_path: Path
) -> None:
    row, col = np.indices(phase_map.shape)
    vendor = CrystalMap(Rotation.random(240), x=col.ravel() * 0.25, y=row.ravel() * 0.5)
    phase_map.crystal_map = vendor
    head, _ = saved(phase_map, tmp_path)
    read = load(tmp_path / "map.ang")
    kept = read.is_indexed
    turned = (~read.rotations[kept] * vendor.rotations[kept]).angle
    assert np.rad2deg(turned).max() < 2e-3
    assert any("those of the source file" in line for line in head)


def test_without_orientations_the_notes_say_that_none_is_predicted(
    phase_map: PhaseMap, tmp_path: Path
) -> None:
    head, table = saved(phase_map, tmp_path)
    assert any(line.startswith("no orientation is predicted") for line in head)
    assert (table[table[:, 7] > 0, :3] == 0).all()


def test_the_columns_are_those_that_orix_writes(phase_map: PhaseMap, tmp_path: Path) -> None:
    row, col = np.indices(phase_map.shape)
    phase_map.crystal_map = CrystalMap(
        Rotation.random(240), x=col.ravel() * 0.25, y=row.ravel() * 0.5
    )
    head, table = saved(phase_map, tmp_path)
    read = load(tmp_path / "map.ang")
    orix_ang.file_writer(tmp_path / "orix.ang", read)
    by_orix = (tmp_path / "orix.ang").read_text().splitlines()
    expected = np.loadtxt(by_orix)
    # But for the image quality, which orix drops where there is no phase.
    named = table[:, 7] > 0
    np.testing.assert_allclose(table[named], expected[named], atol=2e-5)
    others = [i for i in range(10) if i != 5]
    np.testing.assert_allclose(table[~named][:, others], expected[~named][:, others], atol=2e-5)
    wanted = re.compile("# (Phase|MaterialName|Symmetry|Lattice|GRID|XSTEP|YSTEP|N|Column)")
    for line in filter(wanted.match, by_orix):
        assert line[1:].split() in [ours.split() for ours in head]


@pytest.mark.parametrize("shape", [(1, 7), (7, 1), (3, 2)])
def test_maps_of_any_shape_have_their_positions(shape: tuple[int, int], tmp_path: Path) -> None:
    groups = list(POINT_GROUPS[-shape[0] * shape[1] :])
    head, table = saved(certain(groups, shape, step=(0.3, 0.02), units="um"), tmp_path)
    row, col = np.indices(shape)
    np.testing.assert_allclose(table[:, 3], col.ravel() * 0.02)
    np.testing.assert_allclose(table[:, 4], row.ravel() * 0.3)
    assert (values(head, "XSTEP:"), values(head, "YSTEP:")) == (["0.020000"], ["0.300000"])
    read = load(tmp_path / "map.ang")
    assert read.size == len(groups)
    assert [p.name for _, p in read.phases] == groups


@pytest.mark.parametrize("step", [1 / 3, 0.0123456, 12.345678])
def test_rounded_positions_still_give_the_shape(step: float, tmp_path: Path) -> None:
    phase_map = certain(["m-3m"] * 3000, (2, 1500), step=(step, step), units="um")
    phase_map.save(tmp_path / "map.ang")
    assert load(tmp_path / "map.ang").shape == (2, 1500)


def test_steps_in_pixels_are_kept_as_numbers_and_said_to_be_such(tmp_path: Path) -> None:
    head, _ = saved(certain(["23"] * 6, (2, 3), step=(2, 1), units="px"), tmp_path)
    assert any("steps and positions are in pixels" in line for line in head)
    assert (values(head, "XSTEP:"), values(head, "YSTEP:")) == (["1.000000"], ["2.000000"])


def test_a_map_without_a_label_has_a_phase_that_no_point_has(tmp_path: Path) -> None:
    head, table = saved(PhaseMap.empty((2, 3)), tmp_path)
    assert values(head, "MaterialName") == ["undecided"]
    assert (table[:, 7] == 0).all()
    assert (load(tmp_path / "map.ang").phase_id == -1).all()


def test_a_map_of_one_point_is_one_line(tmp_path: Path) -> None:
    assert saved(certain(["-6"], (1, 1)), tmp_path)[1].shape == (1, 10)


def test_who_made_the_map_is_in_the_notes(
    make_map: Callable[..., PhaseMap], tmp_path: Path
) -> None:
    made = {"version": "9.8", "network": "default", "source": "a.h5", "network_sha256": "ab" * 32}
    head, _ = saved(make_map((1, 9), provenance=made), tmp_path)
    notes = head[head.index("NOTES: Start") : head.index("NOTES: End")]
    assert "napari-ebsd-phase 9.8" in notes
    assert {"network default", "source a.h5", f"network_sha256 {'ab' * 32}"} <= set(notes)
