# SPDX-License-Identifier: GPL-3.0-or-later
"""Which symmetries of a crystal are symmetries of the grid, and the folding by them."""

from __future__ import annotations

import gemmi
import numpy as np
import pytest

from napari_ebsd_phase.training.grid_symmetry import (
    fold_grid,
    grid_operations,
    structure_matrix,
)
from napari_ebsd_phase.training.structures import Structure, find_structures, load_structures


def operations_of_space_group(structure: Structure) -> set[bytes]:
    """The same operations from the tables of the space groups."""
    basis = structure_matrix(structure.cell)
    group = gemmi.find_spacegroup_by_number(structure.space_group)
    found = set()
    for operation in group.operations().sym_ops:
        rotation = np.array(operation.rot) / operation.DEN
        matrix = basis @ rotation @ np.linalg.inv(basis)
        integers = np.rint(matrix).astype(int)
        if np.allclose(matrix, integers, atol=1e-3) and integers[2, 2]:
            found.add(integers.tobytes())
    return found


def test_the_crystal_frame_has_x_along_a_and_z_along_c_star():
    cell = (3.0, 4.0, 5.0, 80.0, 95.0, 110.0)

    basis = structure_matrix(cell)

    assert np.linalg.norm(basis, axis=0) == pytest.approx(cell[:3])
    cosines = (basis / cell[:3]).T @ (basis / cell[:3])
    angles = np.rad2deg(np.arccos(cosines[[1, 0, 0], [2, 2, 1]]))
    assert angles == pytest.approx(cell[3:])
    assert basis[1:, 0] == pytest.approx(0)
    assert np.linalg.inv(basis)[2, :2] == pytest.approx(0)  # c* is the last row


def test_operations_found_from_the_atoms_are_those_of_the_space_group():
    small = [s for s in load_structures() if len(s.species) <= 100]
    assert len(small) > 1150

    for structure in small:
        found = {operation.tobytes() for operation in grid_operations(structure)}
        assert found == operations_of_space_group(structure), structure.uid


@pytest.mark.parametrize(
    ("space_group", "present", "absent"),
    [
        (14, np.diag([1, -1, 1]), np.diag([1, 1, -1])),  # the mirror of 2/m is normal to b
        (115, np.diag([1, -1, 1]), np.diag([1, -1, -1])),  # -4m2, not -42m
        (121, np.diag([1, -1, -1]), np.diag([1, -1, 1])),  # -42m, not -4m2
        (189, np.diag([1, -1, -1]), np.diag([-1, 1, -1])),  # -62m: twofold axis along a
        (187, np.diag([-1, 1, -1]), np.diag([1, -1, -1])),  # -6m2: normal to a
    ],
)
def test_axes_are_those_of_the_crystal_not_of_a_name(space_group, present, absent):
    structures = [s for s in find_structures() if s.space_group == space_group]
    assert structures

    for structure in structures:
        found = [operation.tolist() for operation in grid_operations(structure)]
        assert present.tolist() in found
        assert absent.tolist() not in found


def test_folding_keeps_one_point_of_each_kind():
    aluminium = find_structures(formula="Al")[0]
    operations = grid_operations(aluminium)
    assert len(operations) == 16

    representatives, members = fold_grid(operations, half_size=20)

    # An eighth of a hemisphere, the other is the same: a triangle of rows 1, 2, ... 21 points long.
    assert len(representatives) == 21 * 22 // 2
    assert len(members) == 2 * 41 * 41


@pytest.mark.parametrize("point_group", ["1", "2/m", "mm2", "-42m", "32", "-6m2", "m-3"])
def test_points_that_are_folded_together_have_the_same_intensity(point_group):
    operations = grid_operations(find_structures(point_group=point_group)[0])
    directions = grid_directions(half_size=8)
    # Any function made symmetric by the operations will do as a pattern.
    wave = np.array([0.631, 1.417, -1.093])
    pattern = sum(np.sin(directions @ operation.T @ wave + 0.7) for operation in operations)

    representatives, members = fold_grid(operations, half_size=8)

    np.testing.assert_allclose(pattern[representatives][members], pattern, atol=1e-9)
    # And no more is simulated than needed.
    values = np.unique(np.round(pattern, 9))
    assert len(representatives) == len(values)


def grid_directions(half_size: int) -> np.ndarray:
    """Directions with the symmetry of the grid: a pyramid over each hemisphere's square."""
    axis = np.arange(-half_size, half_size + 1)
    y, x = (part.ravel() for part in np.meshgrid(axis, axis, indexing="ij"))
    z = half_size - np.maximum(np.abs(x), np.abs(y))
    north = np.stack([x, y, z], axis=-1).astype(float)
    return np.concatenate([north, north * [1, 1, -1]])
