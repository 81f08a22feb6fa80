# SPDX-License-Identifier: GPL-3.0-or-later
"""Point operations of crystals and lattices, exact and nearly so, against gemmi and the table."""

from __future__ import annotations

import gemmi
import numpy as np
import pytest

from napari_ebsd_phase.crystallography import BRAVAIS_LATTICES, POINT_GROUPS
from napari_ebsd_phase.training.bravais import bravais_lattice
from napari_ebsd_phase.training.grid_symmetry import structure_matrix
from napari_ebsd_phase.training.lattice_symmetry import (
    closest_rotation,
    generate_group,
    lattice_maps,
    lattice_of,
    point_group_name,
    point_operations,
    primitive_basis,
    reduce_basis,
    strain,
)
from napari_ebsd_phase.training.structures import load_structures


def turn(axis, degrees: float) -> np.ndarray:
    """Rotation about an axis."""
    x, y, z = np.array(axis) / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = np.deg2rad(degrees)
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


@pytest.fixture(scope="module")
def some_structures():
    """Three structures with few atoms of each pair of point group and lattice in the table."""
    chosen = {}
    for structure in sorted(load_structures(), key=lambda s: len(s.species)):
        pair = structure.point_group, structure.bravais
        chosen.setdefault(pair, []).append(structure)
    return [structure for group in chosen.values() for structure in group[:3]]


def test_the_atoms_tell_point_group_and_lattice(some_structures):
    assert {s.point_group for s in some_structures} == set(POINT_GROUPS)
    assert {s.bravais for s in some_structures} == set(BRAVAIS_LATTICES)

    for structure in some_structures:
        operations = point_operations(structure)

        assert point_group_name(operations) == structure.point_group, structure.uid
        lattice = bravais_lattice(primitive_basis(structure), operations)
        assert lattice == structure.bravais, structure.uid


def test_operations_are_those_of_the_space_group(some_structures):
    for structure in some_structures:
        basis = structure_matrix(structure.cell)
        group = gemmi.find_spacegroup_by_number(structure.space_group).operations()
        rotations = np.array([operation.rot for operation in group.sym_ops]) / gemmi.Op.DEN
        expected = basis @ rotations @ np.linalg.inv(basis)

        found = point_operations(structure)

        assert len(found) == len(expected)
        gaps = np.abs(found[:, None] - expected).max(axis=(2, 3))
        assert gaps.min(axis=1).max() < 2e-3, structure.uid


def test_a_lattice_is_found_from_vectors_that_generate_it():
    face_centred = np.array([[0, 2, 2], [2, 0, 2], [2, 2, 0], [4, 0, 0]])

    basis = lattice_of(face_centred)

    assert np.linalg.det(basis) == pytest.approx(16)  # 8 / 4 * 2 ** 3
    coordinates = face_centred @ np.linalg.inv(basis)
    assert coordinates == pytest.approx(np.rint(coordinates))


def test_a_reduced_basis_spans_the_same_lattice_with_shorter_vectors():
    short = np.array([[3.0, 0.2, -0.1], [0, 4.0, 1.0], [0, 0, 5.0]])
    skew = np.array([[1, 3, -5], [0, 1, 7], [0, 0, 1]])

    basis = reduce_basis(short @ skew)

    between = np.linalg.solve(short, basis)
    assert between == pytest.approx(np.rint(between), abs=1e-9)
    assert abs(np.linalg.det(between)) == pytest.approx(1)
    assert np.linalg.norm(basis, axis=0) == pytest.approx(np.linalg.norm(short, axis=0))


def test_a_nearly_cubic_lattice_has_cubic_maps_only_within_its_strain():
    basis = np.diag([4.0, 4.0, 4.08])

    assert len(lattice_maps(basis)) == 16
    assert len(lattice_maps(basis, 0.019)) == 16
    maps = lattice_maps(basis, 0.021)
    assert len(maps) == 48
    assert strain(maps).max() == pytest.approx(0.02)
    rotations = closest_rotation(maps)
    assert np.swapaxes(rotations, 1, 2) @ rotations == pytest.approx(np.eye(3)[None].repeat(48, 0))
    assert point_group_name(rotations) == "m-3m"
    between = np.linalg.solve(basis, maps @ basis)
    assert between == pytest.approx(np.rint(between))  # the lattice is mapped onto itself


def test_an_orthohexagonal_lattice_has_sixfold_maps():
    a = 3.0
    centred = np.array([[a / 2, a / 2, 0], [-a / 2, a / 2, 0], [0, 0, 5.0]]).T
    centred[1, :2] *= np.sqrt(3) * 1.01

    assert len(lattice_maps(reduce_basis(centred))) == 8
    rotations = closest_rotation(lattice_maps(reduce_basis(centred), 0.03))
    assert point_group_name(rotations) == "6/mmm"


def test_the_name_of_a_group_does_not_depend_on_how_it_lies():
    tilt = turn((1, 2, 3), 40)
    for structure in load_structures()[:40:2]:
        operations = tilt @ point_operations(structure) @ tilt.T
        assert point_group_name(operations) == structure.point_group


@pytest.mark.parametrize(
    ("generators", "name"),
    [
        ([turn((0, 0, 1), 120), turn((1, 1, 1), 120)], None),
        ([turn((0, 0, 1), 90), turn((0, 0, 1), 60)], None),
        ([turn((0, 0, 1), 90), turn((1, 0, 0), 90)], "432"),
        ([-turn((0, 0, 1), 60), turn((0, 0, 1), 180)], "6/m"),
        # Slightly wrong, as strained crystals give them.
        ([turn((0, 0.01, 1), 91), turn((1, 0.02, 0), 89), -np.eye(3)], "m-3m"),
    ],
)
def test_operations_generate_a_crystallographic_group_or_none(generators, name):
    group = generate_group(generators)

    if name is None:
        assert group is None
    else:
        assert point_group_name(group) == name


def test_more_operations_than_a_group_can_have_are_no_group():
    cube = lattice_maps(np.eye(3))

    assert generate_group([*cube, turn((1, 1, 1), 60)]) is None


def test_what_is_no_group_has_no_name():
    with pytest.raises(ValueError, match="no crystallographic point group"):
        point_group_name(np.array([np.eye(3), turn((0, 0, 1), 90)]))


def test_a_lattice_without_the_symmetry_of_the_crystal_is_refused():
    cube = closest_rotation(lattice_maps(np.eye(3)))

    with pytest.raises(ValueError, match="lattice"):
        bravais_lattice(np.diag([3.0, 3.0, 4.0]), cube)
