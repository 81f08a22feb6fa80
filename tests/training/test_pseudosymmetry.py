# SPDX-License-Identifier: GPL-3.0-or-later
"""Crystals made to look more symmetric than they are, and real ones that do or do not."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest

from napari_ebsd_phase.crystallography import (
    bravais_lattice_of_space_group,
    point_group_of_space_group,
)
from napari_ebsd_phase.training.band_patterns import band_master_pattern
from napari_ebsd_phase.training.frame_kernels import lookup
from napari_ebsd_phase.training.grid_symmetry import structure_matrix
from napari_ebsd_phase.training.lattice_symmetry import point_group_name, point_operations
from napari_ebsd_phase.training.master_agreement import correlations, maps_grid, sampling_noise
from napari_ebsd_phase.training.pattern_simulation import FAST, GOOD
from napari_ebsd_phase.training.pseudosymmetry import (
    FAINT,
    INVISIBLE,
    apparent_symmetry,
    compare,
    describe,
    smallest_share,
)
from napari_ebsd_phase.training.structures import Structure, find_structures

RHOMBOHEDRAL = ((0, 0, 0), (2 / 3, 1 / 3, 1 / 3), (1 / 3, 2 / 3, 2 / 3))


def crystal(space_group: int, centring: str, cell, species, positions) -> Structure:
    """A structure of one's own."""
    return Structure(
        uid="made up",
        id="made up",
        source="",
        licence="",
        formula="".join(species),
        space_group=space_group,
        point_group=point_group_of_space_group(space_group),
        bravais=bravais_lattice_of_space_group(space_group),
        centring=centring,
        cell=tuple(map(float, cell)),
        volume=abs(np.linalg.det(structure_matrix(cell))),
        species=tuple(species),
        positions=tuple(positions),
    )


def the(formula: str, space_group: int) -> Structure:
    return next(s for s in find_structures(formula=formula) if s.space_group == space_group)


@cache
def master(structure: Structure) -> np.ndarray:
    return band_master_pattern(structure).data


def seen(structure: Structure) -> tuple[str, str]:
    """Point group and lattice that a crystal seems to have with a fast camera."""
    symmetry = apparent_symmetry(master(structure), structure)
    return symmetry.point_group, symmetry.bravais


def iron(ratio: float) -> Structure:
    """Body-centred iron with its c axis stretched."""
    a = 2.866
    return crystal(
        139, "I", (a, a, a * ratio, 90, 90, 90), ("Fe",) * 2, ((0, 0, 0), (0.5, 0.5, 0.5))
    )


@pytest.mark.parametrize(
    ("structure", "like"),
    [
        (iron(1.001), ("m-3m", "cI")),
        (crystal(123, "P", (3.35, 3.35, 3.3535, 90, 90, 90), ("Po",), ((0, 0, 0),)),
         ("m-3m", "cP")),
        (crystal(65, "C", (3.0, 5.2, 4.8, 90, 90, 90), ("Ti",) * 2, ((0, 0, 0), (0.5, 0.5, 0))),
         ("6/mmm", "hP")),
        (crystal(166, "R", (2.864, 2.864, 7.02, 90, 90, 120), ("Al",) * 3, RHOMBOHEDRAL),
         ("m-3m", "cF")),
        # A cubic crystal described as triclinic, with one atom a little off its place.
        (crystal(1, "P", (3.6, 3.6, 3.6, 90, 90, 90), ("Cu",) * 4,
                 ((0.012, 0.009, 0.006), (0, 0.5, 0.5), (0.5, 0, 0.5), (0.5, 0.5, 0))),
         ("m-3m", "cF")),
    ],
    ids=["bct iron", "polonium", "orthohexagonal", "rhombohedral", "triclinic"],
)  # fmt: skip
def test_a_small_distortion_is_not_seen(structure, like):
    own = point_group_name(point_operations(structure))
    assert own == structure.point_group

    assert seen(structure) == like


@pytest.mark.parametrize(
    "structure",
    [
        iron(1.05),  # beyond what a camera's geometry can be wrong by
        the("FePt", 123),  # ordered: 3.5 % from cubic
        the("Ti", 194),
    ],
    ids=["bct iron", "FePt", "Ti"],
)
def test_a_large_distortion_is_seen(structure):
    assert seen(structure) == (structure.point_group, structure.bravais)


def test_elements_that_scatter_alike_hide_the_order_of_a_crystal():
    assert seen(the("FeCo", 221)) == ("m-3m", "cI")
    assert seen(the("CsCl", 221)) == ("m-3m", "cP")
    iron_cobalt = apparent_symmetry(master(the("FeCo", 221)), the("FeCo", 221), INVISIBLE)
    assert iron_cobalt.bravais == "cI"  # not even with a good camera
    assert iron_cobalt.visibility < 5


def test_polar_crystals_of_unlike_atoms_have_two_ends_and_others_seem_to_have_none():
    zinc_sulphide, gallium_arsenide = the("ZnS", 216), the("GaAs", 216)

    assert seen(zinc_sulphide) == ("-43m", "cF")
    assert seen(gallium_arsenide) == ("m-3m", "cF")
    nearest = apparent_symmetry(master(zinc_sulphide), zinc_sulphide)
    assert nearest.next_point_group == "m-3m"
    assert nearest.share > 0.01
    assert nearest.correlation == pytest.approx(1 - 2 * nearest.share)
    assert nearest.visibility > 50


def test_left_and_right_quartz_are_equally_far_from_a_crystal_with_inversion():
    left, right = (
        apparent_symmetry(master(quartz), quartz) for quartz in (the("SiO2", 152), the("SiO2", 154))
    )

    assert left.point_group == right.point_group == "32"
    assert left.next_point_group == right.next_point_group == "-3m"
    assert left.share == pytest.approx(right.share, rel=0.1)
    assert left.share > FAINT


def test_what_is_tolerated_decides_what_is_seen():
    gallium_arsenide = the("GaAs", 216)
    comparison = compare(master(gallium_arsenide), gallium_arsenide)
    share = comparison.likenesses[0].share

    assert describe(comparison, share * 0.99).point_group == "-43m"
    assert describe(comparison, share * 1.01).point_group == "m-3m"
    assert describe(comparison, share * 0.99).laue_group == "m-3m"


def test_a_group_seen_contains_what_the_crystal_has():
    for structure in (iron(1.001), the("SiO2", 152), the("GaAs", 216)):
        comparison = compare(master(structure), structure)
        group = comparison.group(FAINT)

        for operation in comparison.operations:
            assert np.isclose(group, operation, atol=1e-6).all(axis=(1, 2)).any()
        for likeness in comparison.likenesses:
            assert (
                not np.isclose(comparison.operations, likeness.operation, atol=1e-3)
                .all(axis=(1, 2))
                .any()
            )


def test_noise_of_a_master_pattern_does_not_hide_a_cube_nor_make_one():
    """Each point of the grid has its own noise, equal only where the grid's symmetry wants it."""
    rng = np.random.default_rng(3)
    for ratio, name in ((1.001, "m-3m"), (1.06, "4/mmm")):
        structure = iron(ratio)
        clean = master(structure).astype(np.float32)
        noise = rng.normal(0, 0.4 * clean.std(), clean.shape[1:])
        noise = sum(np.rot90(noise, k) + np.rot90(noise, k).T for k in range(4)) / np.sqrt(8)
        noisy = clean + noise  # the same on both hemispheres

        symmetry = apparent_symmetry(noisy, structure)

        assert symmetry.noise > 2 * apparent_symmetry(clean, structure).noise
        assert symmetry.point_group == name


def test_correlations_are_one_for_symmetries_and_less_for_others():
    zinc_sulphide = the("ZnS", 216)
    own = point_operations(zinc_sulphide)
    on_grid = maps_grid(own)
    assert 0 < on_grid.sum() < len(own)

    assert correlations(master(zinc_sulphide), own[on_grid]) == pytest.approx(1, abs=1e-6)
    off_grid = correlations(master(zinc_sulphide), own[~on_grid])
    assert 0.97 < off_grid.min() <= off_grid.max() < 1
    assert 1 - off_grid.mean() < 2 * sampling_noise(master(zinc_sulphide), own)
    assert correlations(master(zinc_sulphide), -np.eye(3)[None])[0] < 0.9


def test_the_image_under_an_operation_is_the_pattern_in_the_turned_directions():
    """Inversion exchanges the hemispheres and turns each of them by 180 degrees."""
    pattern = master(the("SiO2", 152))
    turned = pattern[::-1, ::-1, ::-1]

    direct = np.corrcoef(pattern.ravel(), turned.ravel())[0, 1]

    # At the resolution of a camera the patterns are smoother, so they agree a little better.
    assert direct < correlations(pattern, -np.eye(3)[None])[0] < 0.5 + direct / 2
    x, y, z = np.array([0.48, -0.6, 0.64])
    values = pattern.astype(np.float32), turned.astype(np.float32)
    assert lookup(values[0], -x, -y, -z, 1.0) == pytest.approx(lookup(values[1], x, y, z, 1.0))


def test_thresholds_are_what_a_camera_shows_at_five_standard_deviations():
    """The symmetric pattern and the true one, told apart by the best of all tests."""
    rng = np.random.default_rng(0)
    for camera, share in ((GOOD, INVISIBLE), (FAST, FAINT)):
        assert smallest_share(camera) == share
        sigma = math.sqrt(camera.noise[0] * camera.noise[1])
        difference = rng.normal(size=4000)
        difference *= math.sqrt(share) / difference.std()  # of a pattern with variance 1
        noise = rng.normal(0, sigma, (1000, 4000))

        shown = (difference + noise) @ difference

        assert shown.mean() / shown.std() == pytest.approx(5, rel=0.1)
