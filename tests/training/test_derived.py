# SPDX-License-Identifier: GPL-3.0-or-later
"""Derived structures: what they keep of their parent, and what they do not."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import numpy as np
import pytest

from napari_ebsd_phase.errors import InputError
from napari_ebsd_phase.training.contacts import ELEMENTS, contact_ratio
from napari_ebsd_phase.training.derived import (
    Changes,
    derive,
    derived_structure,
    parent_of,
    structure_of_uid,
)
from napari_ebsd_phase.training.grid_symmetry import grid_operations, structure_matrix
from napari_ebsd_phase.training.random_structures import PAIRS, known_materials, structure_of_seed
from napari_ebsd_phase.training.space_groups import has_space_group
from napari_ebsd_phase.training.split import material_key
from napari_ebsd_phase.training.structures import Structure, find_structures, structure_by_uid

STILL = Changes(elements=0, scale=0, stretch=0, angle=0, shift=0)


@pytest.fixture(scope="module")
def families() -> list[tuple[Structure, Structure]]:
    """A small structure of each pair of point group and lattice, and one derived from it."""
    parents = []
    for seed, (point_group, bravais) in enumerate(PAIRS):
        # The table lacks a few pairs.
        found = find_structures(point_group=point_group, bravais=bravais) or [
            structure_of_seed(seed)
        ]
        parents.append(min(found, key=lambda s: (len(set(s.species)) < 2, len(s.species))))
    return [(parent, derived_structure(parent, 3)) for parent in parents]


def test_labels_are_kept(families):
    assert len(families) == 66
    for parent, child in families:
        for name in ("space_group", "point_group", "bravais", "centring"):
            assert getattr(child, name) == getattr(parent, name)


def test_the_symmetry_of_the_atoms_is_kept(families):
    for parent, child in families:
        assert has_space_group(
            parent.space_group, child.cell, child.species, np.array(child.positions)
        )
        np.testing.assert_array_equal(grid_operations(child), grid_operations(parent))


def test_a_child_is_not_its_parent(families):
    for parent, child in families:
        assert not np.allclose(child.cell, parent.cell, rtol=1e-3)
        assert child.volume == pytest.approx(np.linalg.det(structure_matrix(child.cell)))
        assert np.shape(child.positions) == np.shape(parent.positions)
    exchanged = sum(child.species != parent.species for parent, child in families)
    assert 0.5 < exchanged / len(families) < 0.9


def test_an_exchange_of_elements_merges_no_two_species(families):
    for parent, child in families:
        pairs = set(zip(parent.species, child.species, strict=True))
        assert len(pairs) == len(set(parent.species)) == len(set(child.species))
        if child.species != parent.species:
            assert material_key(child.formula, child.space_group) not in known_materials()
            numbers = [ELEMENTS[element].atomic_number for element in set(child.species)]
            assert all(max(a, b) / min(a, b) >= 1.2 for a, b in combinations(numbers, 2))
        else:
            assert child.formula == parent.formula


def test_anions_stay_anions(families):
    for parent, child in families:
        for old, new in zip(parent.species, child.species, strict=True):
            if old not in ELEMENTS:
                continue
            assert (ELEMENTS[old].anion_radius > 0) == (ELEMENTS[new].anion_radius > 0)


def test_distances_stay_sensible(families):
    for parent, child in families:
        assert set(child.species) <= set(ELEMENTS)
        if not set(parent.species) <= set(ELEMENTS):
            continue
        before, after = (contact_ratio(s.cell, s.species, np.array(s.positions))
                         for s in (parent, child))  # fmt: skip
        assert after >= min(0.75, 0.9 * before)


def test_the_cell_grows_with_the_radii():
    salt = find_structures(formula="NaCl")[0]
    rng = np.random.default_rng(0)
    changes = Changes(elements=1, scale=0, stretch=0, angle=0, shift=0)

    for _ in range(5):
        child = derive(salt, rng, changes)

        radius = sum(ELEMENTS[element].radius for element in set(child.species))
        assert child.cell[0] / salt.cell[0] == pytest.approx(radius / (1.66 + 1.02), rel=1e-6)


def test_without_changes_the_atoms_stay_where_they_are(families):
    for parent, _ in families[::5]:
        child = derive(parent, np.random.default_rng(0), STILL)

        assert child.species == parent.species
        assert child.cell == pytest.approx(parent.cell)
        gaps = np.array(child.positions) - np.array(parent.positions)
        gaps = (gaps - np.rint(gaps)) @ structure_matrix(parent.cell).T
        assert np.linalg.norm(gaps, axis=1).max() < 0.01


def test_only_free_coordinates_move():
    # Rutile: titanium sits on a fixed position, oxygen on (x, x, 0).
    rutile = find_structures(formula="TiO2", point_group="4/mmm", bravais="tP")[0]

    child = derive(rutile, np.random.default_rng(2), Changes(0, 0, 0, 0, shift=0.2))

    before, after = np.array(rutile.positions), np.array(child.positions)
    titanium = np.array(rutile.species) == "Ti"
    np.testing.assert_allclose(after[titanium], before[titanium], atol=1e-9)
    gaps = after[~titanium] - before[~titanium]
    gaps -= np.rint(gaps)
    assert 0.0005 < np.abs(gaps).max() < 0.05
    np.testing.assert_allclose(np.abs(gaps[:, 0]), np.abs(gaps[:, 1]), atol=1e-9)
    np.testing.assert_allclose(gaps[:, 2], 0, atol=1e-9)


@pytest.mark.parametrize(
    ("bravais", "ratios", "angles"),
    [
        ("cF", {(0, 1), (0, 2)}, {0, 1, 2}),
        ("tI", {(0, 1)}, {0, 1, 2}),
        ("hR", {(0, 1)}, {0, 1, 2}),
        ("oP", set(), {0, 1, 2}),
        ("mP", set(), {0, 2}),
        ("aP", set(), set()),
    ],
)
def test_axes_stretch_within_the_crystal_system(families, bravais, ratios, angles):
    """Ratios of axes, and angles, that the system fixes are kept; the others are not."""
    for parent, child in families:
        if parent.bravais != bravais:
            continue
        for i, j in ((0, 1), (0, 2), (1, 2)):
            kept = child.cell[i] / child.cell[j] == pytest.approx(parent.cell[i] / parent.cell[j])
            assert kept == ((i, j) in ratios or bravais == "cF")
        for k in range(3):
            assert (child.cell[3 + k] == parent.cell[3 + k]) == (k in angles)


def test_a_random_structure_has_children_too():
    parent = structure_of_seed(30)

    child = derived_structure(parent, 0)

    assert child.uid == "r000030d0"
    assert child.space_group == parent.space_group
    assert child.cell != parent.cell


def test_a_name_gives_the_same_structure_always():
    child = structure_of_uid("s0976d4")

    assert child.uid == "s0976d4"
    assert child == derived_structure(structure_by_uid("s0976"), 4)
    assert child != structure_of_uid("s0976d5")
    assert structure_of_uid("s0976") == structure_by_uid("s0976")
    assert structure_of_uid("r000002") == structure_of_seed(2)
    assert structure_of_uid("s0976d4d1").point_group == "m-3m"


@pytest.mark.parametrize(
    ("uid", "parent"),
    [("s0042", "s0042"), ("s0042d7", "s0042"), ("r000003d12", "r000003"), ("s0001d2d3", "s0001"),
     ("quartz", "quartz"), ("diamond2", "diamond2")],
)  # fmt: skip
def test_the_parent_is_in_the_name(uid, parent):
    assert parent_of(uid) == parent


def test_what_cannot_be_derived_is_refused():
    with pytest.raises(InputError, match="no structure named"):
        structure_of_uid("s9999d1")
    aluminium = structure_by_uid("s0976")
    with pytest.raises(InputError, match="no derived structure -1"):
        derived_structure(aluminium, -1)
    mislabelled = Structure(**{**vars(aluminium), "space_group": 221})
    with pytest.raises(InputError, match="do not have space group 221"):
        derived_structure(mislabelled, 0)


def test_children_of_one_parent_differ_in_their_elements():
    salt = find_structures(formula="NaCl")[0]

    formulas = Counter(derived_structure(salt, number).formula for number in range(20))

    assert len(formulas) > 8
