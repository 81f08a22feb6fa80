# SPDX-License-Identifier: GPL-3.0-or-later
"""Symmetries of a crystal that are also symmetries of the grid of a master pattern.

A master pattern is sampled on a square grid on each hemisphere. Sixteen rotations and reflections
map this grid onto itself: the square's eight, with and without exchange of the hemispheres. Those
among them that map the crystal onto itself say which grid points have the same intensity, so that
only one of each kind must be simulated.

They are found from the atoms, not from the name of the space group: a name leaves the axes open
(2/m along b or c, -6m2 or -62m), and folding about the wrong ones gives a pattern of a crystal that
does not exist.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from .structures import Structure

__all__ = ["fold_grid", "grid_operations", "maps_atoms", "structure_matrix"]

# Of a product of rotations with entries of order 1, between symmetry-adapted cell parameters.
LATTICE_TOLERANCE = 1e-4


def structure_matrix(cell: tuple[float, ...]) -> np.ndarray:
    """Cell vectors in the crystal frame, x along a and z along c*.

    Parameters
    ----------
    cell
        a, b, c in angstrom, alpha, beta, gamma in degrees.

    Returns
    -------
    numpy.ndarray
        (3, 3): the vectors a, b, c in angstrom as columns.
    """
    a, b, c = cell[:3]
    cos_alpha, cos_beta, cos_gamma = np.cos(np.deg2rad(cell[3:]))
    sin_gamma = np.sin(np.deg2rad(cell[5]))
    c_y = (cos_alpha - cos_beta * cos_gamma) / sin_gamma
    c_z = np.sqrt(1 - cos_beta**2 - c_y**2)
    return np.array(
        [[a, b * cos_gamma, c * cos_beta], [0, b * sin_gamma, c * c_y], [0, 0, c * c_z]]
    )


def grid_operations(structure: Structure, tolerance: float = 0.02) -> np.ndarray:
    """Point operations of a crystal that map the grid of a master pattern onto itself.

    Parameters
    ----------
    structure
        Crystal structure with all atoms of its cell.
    tolerance
        Distance in angstrom within which an atom must land on an atom of its kind.

    Returns
    -------
    numpy.ndarray
        (count, 3, 3) int: matrices in the crystal frame, the identity first.
    """
    basis = structure_matrix(structure.cell)
    inverse = np.linalg.inv(basis)
    positions = np.array(structure.positions)
    species = np.array(structure.species)
    kept = []
    for operation in _operations_of_the_grid():
        matrix = inverse @ operation @ basis
        integers = np.rint(matrix)
        if np.abs(matrix - integers).max() < LATTICE_TOLERANCE and maps_atoms(
            integers, positions, species, basis, tolerance
        ):
            kept.append(operation)
    return np.array(kept)


def _operations_of_the_grid() -> list[np.ndarray]:
    """The 16 operations of 4/mmm about z, the identity first."""
    operations = []
    for swapped, x, y, z in product((False, True), (1, -1), (1, -1), (1, -1)):
        operation = np.diag([x, y, z])
        operations.append(operation[[1, 0, 2]] if swapped else operation)
    return operations


def maps_atoms(
    rotation: np.ndarray,
    positions: np.ndarray,
    species: np.ndarray,
    basis: np.ndarray,
    tolerance: float,
) -> bool:
    """Whether a rotation, in fractional coordinates, followed by some shift is a symmetry."""
    turned = positions @ rotation.T
    names, counts = np.unique(species, return_counts=True)
    rarest = species == names[counts.argmin()]
    # The shift must bring the first atom of the rarest kind onto one of its kind.
    for shift in positions[rarest] - turned[rarest][0]:
        for name in names:
            kind = species == name
            gaps = (turned[kind] + shift)[:, None] - positions[kind]
            gaps -= np.rint(gaps)
            if np.linalg.norm(gaps @ basis.T, axis=-1).min(axis=1).max() > tolerance:
                break
        else:
            return True
    return False


def fold_grid(operations: np.ndarray, half_size: int) -> tuple[np.ndarray, np.ndarray]:
    """One representative of each set of grid points that the operations map on each other.

    The rims of both hemispheres are the same directions and are folded together.

    Parameters
    ----------
    operations
        A group, as :func:`grid_operations` gives it.
    half_size
        The grid has (2, n, n) points, n = 2 * half_size + 1.

    Returns
    -------
    representatives
        (count,) flat indices into the grid.
    members
        (2 * n * n,) for each grid point the number of its representative.
    """
    n = 2 * half_size + 1
    hemisphere, y, x = np.indices((2, n, n)).reshape(3, -1)
    directions = np.stack([x - half_size, y - half_size, 1 - 2 * hemisphere])
    rim = np.abs(directions[:2]).max(axis=0) == half_size
    first = np.arange(2 * n * n)
    for operation in operations:
        x, y, z = operation @ directions
        southern = (z < 0) & ~rim
        first = np.minimum(first, (southern * n + y + half_size) * n + x + half_size)
    return np.unique(first, return_inverse=True)
