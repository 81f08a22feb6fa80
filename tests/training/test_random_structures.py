# SPDX-License-Identifier: GPL-3.0-or-later
"""Structures made at random: their symmetry, found again by other programs, and their atoms."""

from __future__ import annotations

from itertools import combinations, islice, pairwise

import gemmi
import numpy as np
import pytest
from diffpy.structure.spacegroups import GetSpaceGroup
from diffpy.structure.symmetryutilities import expandPosition

from napari_ebsd_phase.crystallography import (
    BRAVAIS_LATTICES,
    COMPATIBLE,
    POINT_GROUPS,
    bravais_lattice_of_space_group,
    point_group_of_space_group,
)
from napari_ebsd_phase.errors import InputError
from napari_ebsd_phase.training.contacts import ELEMENTS, contact_ratio, usual_distances
from napari_ebsd_phase.training.grid_symmetry import grid_operations, structure_matrix
from napari_ebsd_phase.training.random_structures import (
    PAIRS,
    known_materials,
    random_structure,
    random_structures,
    structure_of_seed,
)
from napari_ebsd_phase.training.space_groups import has_space_group, space_group_operations
from napari_ebsd_phase.training.split import material_key
from napari_ebsd_phase.training.structures import Structure


@pytest.fixture(scope="module")
def structures() -> list[Structure]:
    """One of each pair of point group and lattice."""
    return list(islice(random_structures(), len(PAIRS)))


def point_operations(number: int) -> set[bytes]:
    """Rotations of a space group as gemmi has them."""
    group = gemmi.find_spacegroup_by_number(number)
    rotations = (np.array(op.rot) // op.DEN for op in group.operations().sym_ops)
    return {rotation.astype(int).tobytes() for rotation in rotations}


def shortest_distance(structure: Structure) -> float:
    """Shortest distance between atoms, images included, by gemmi."""
    cell = gemmi.UnitCell(*structure.cell)
    atoms = [gemmi.Fractional(*position) for position in structure.positions]
    between = [cell.find_nearest_image(cell.orthogonalize(a), cell.orthogonalize(b)).dist()
               for a, b in combinations(atoms, 2)]  # fmt: skip
    shifts = np.indices((3, 3, 3)).reshape(3, -1).T - 1
    own = np.linalg.norm(shifts[shifts.any(axis=1)] @ structure_matrix(structure.cell).T, axis=1)
    return min([*between, own.min()])


def test_there_are_66_pairs_and_each_can_be_drawn(structures):
    assert len(PAIRS) == COMPATIBLE.sum() == 66

    assert [(s.point_group, s.bravais) for s in structures] == list(PAIRS)


def test_labels_follow_from_the_space_group(structures):
    for s in structures:
        assert s.point_group == point_group_of_space_group(s.space_group)
        assert s.bravais == bravais_lattice_of_space_group(s.space_group)
        assert s.centring == gemmi.find_spacegroup_by_number(s.space_group).hm[0]
    assert {s.point_group for s in structures} == set(POINT_GROUPS)
    assert {s.bravais for s in structures} == set(BRAVAIS_LATTICES)


@pytest.mark.parametrize("number", range(1, 231))
def test_operations_are_those_of_the_tables(number):
    rotations, translations = space_group_operations(number)

    group = gemmi.find_spacegroup_by_number(number).operations()
    assert len(rotations) == len(translations) == len(group)
    assert {rotation.tobytes() for rotation in rotations} == point_operations(number)
    np.testing.assert_array_equal(rotations[0], np.eye(3))


def test_the_atoms_have_the_symmetry_of_the_space_group_and_no_more(structures):
    """The operations of the grid, found from the atoms, are those that gemmi lists."""
    for s in structures:
        basis = structure_matrix(s.cell)
        expected = set()
        for rotation in point_operations(s.space_group):
            matrix = np.frombuffer(rotation, dtype=int).reshape(3, 3)
            matrix = basis @ matrix @ np.linalg.inv(basis)
            integers = np.rint(matrix).astype(int)
            if np.allclose(matrix, integers, atol=1e-6) and integers[2, 2]:
                expected.add(integers.tobytes())
        assert {operation.tobytes() for operation in grid_operations(s)} == expected, s


def test_every_orbit_is_one_of_the_space_group(structures):
    """Expanded by the operations of diffpy, no atom gives one that is not there."""
    for s in structures:
        group = GetSpaceGroup(s.space_group)
        positions = np.array(s.positions)
        seen: set[int] = set()
        for atom, position in enumerate(positions):
            if atom in seen:
                continue
            images = np.array(expandPosition(group, position, eps=1e-4)[0])
            gaps = images[:, None] - positions
            same_place = np.abs(gaps - np.rint(gaps)).max(axis=-1) < 1e-4
            np.testing.assert_array_equal(same_place.sum(axis=1), 1)
            orbit = same_place.argmax(axis=1).tolist()
            assert {s.species[i] for i in orbit} == {s.species[atom]}
            seen.update(orbit)


def test_distances_are_those_of_real_crystals(structures):
    for s in structures:
        ratio = contact_ratio(s.cell, s.species, np.array(s.positions))
        assert 0.75 < ratio < 1.05
        radii = [ELEMENTS[element].radius for element in s.species]
        assert shortest_distance(s) >= 0.75 * 2 * min(radii)
        assert shortest_distance(s) < 5


def test_a_known_contact_is_found():
    cell, atoms = (3.6, 3.6, 3.6, 90, 90, 90), np.array([[0, 0, 0], [0.5, 0.5, 0]])

    ratio = contact_ratio(cell, ("Cu", "Cu"), atoms)

    assert ratio == pytest.approx(3.6 / 2**0.5 / 2.64)
    # The image of an atom in the next cell counts, too.
    assert contact_ratio((2.0, 9, 9, 90, 90, 90), ("Cu",), atoms[:1]) == pytest.approx(2 / 2.64)
    # And so do two atoms in one place.
    assert contact_ratio(cell, ("Cu", "O"), atoms[[0, 0]]) == 0


def test_anions_keep_apart():
    assert usual_distances(["Mg"], ["O"])[0, 0] == pytest.approx(2.07)
    assert usual_distances(["O"], ["O"])[0, 0] == pytest.approx(2.38)
    with pytest.raises(InputError, match="no radius of Xe"):
        usual_distances(["Xe"], ["O"])


def test_radii_and_atomic_numbers_are_those_of_other_tables():
    for symbol, element in ELEMENTS.items():
        other = gemmi.Element(symbol)
        assert element.atomic_number == other.atomic_number
        assert element.radius == pytest.approx(other.covalent_r, abs=0.25), symbol


def test_cells_and_compositions_are_like_those_of_real_crystals(structures):
    for s in structures:
        assert s.volume == pytest.approx(np.linalg.det(structure_matrix(s.cell)))
        assert 6 <= s.volume / len(s.species) <= 28
        assert 15 <= s.volume <= 1300
        kinds = set(s.species)
        assert 1 <= len(kinds) <= 4
        assert "H" not in kinds
        numbers = sorted(ELEMENTS[element].atomic_number for element in kinds)
        assert all(b / a >= 1.2 for a, b in pairwise(numbers))
        assert material_key(s.formula, s.space_group) not in known_materials()


def test_positions_are_in_the_cell_and_differ_from_structure_to_structure(structures):
    for s in structures:
        positions = np.array(s.positions)
        assert positions.shape == (len(s.species), 3)
        assert ((positions >= 0) & (positions < 1)).all()
    assert len({s.cell for s in structures}) == len(structures)
    assert len({s.formula for s in structures}) > 50


def test_a_seed_gives_the_same_structure_always(structures):
    again = structure_of_seed(40)

    assert again == structures[40]
    assert again.uid == "r000040"
    assert structure_of_seed(40 + len(PAIRS)) != again


def test_one_generator_gives_different_structures_of_one_kind():
    rng = np.random.default_rng(5)

    first, second = (random_structure(rng, "4/mmm", "tI") for _ in range(2))

    assert first.cell != second.cell
    assert (first.point_group, second.bravais) == ("4/mmm", "tI")


def test_higher_symmetry_than_asked_for_is_noticed():
    iron = np.array([[0, 0, 0], [0.5, 0.5, 0.5]])
    cell = (2.87, 2.87, 2.87, 90, 90, 90)

    assert has_space_group(229, cell, ("Fe", "Fe"), iron)
    assert not has_space_group(221, cell, ("Fe", "Fe"), iron)
    assert has_space_group(221, cell, ("Fe", "Al"), iron)
    # A cell that is tetragonal by less than a camera can see.
    assert not has_space_group(139, (2.87, 2.87, 2.88, 90, 90, 90), ("Fe", "Fe"), iron)
    assert not has_space_group(1, cell, ("Fe", "Fe"), np.zeros((2, 3)))


def test_what_does_not_exist_is_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(InputError, match="no space group has point group 'm-3m' and lattice 'hP'"):
        random_structure(rng, "m-3m", "hP")
    with pytest.raises(InputError, match="no space group 231"):
        space_group_operations(231)
    with pytest.raises(InputError, match="no random structure -1"):
        structure_of_seed(-1)
