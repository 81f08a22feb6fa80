# SPDX-License-Identifier: GPL-3.0-or-later
"""Point operations of crystals and lattices, exact ones and those that hold only nearly.

Operations are orthogonal matrices in the crystal frame (x along a, z along c*), as in
:mod:`.grid_symmetry`, but all of them and not only those that map the grid of a master pattern.
They are found from the lattice and the atoms, so no setting or choice of origin matters.

Nearly: a lattice may come close to one of more symmetry, as a tetragonal one with c/a = 1.002
does. Then a matrix of integers maps the lattice onto itself, but is a rotation followed by a small
strain.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import cache
from itertools import product

import numpy as np

from napari_ebsd_phase.crystallography import POINT_GROUPS

from .grid_symmetry import maps_atoms, structure_matrix
from .structures import Structure

__all__ = [
    "closest_rotation",
    "generate_group",
    "lattice_maps",
    "lattice_of",
    "point_group_name",
    "point_operations",
    "primitive_basis",
    "reduce_basis",
    "rotation_about",
    "same_operation",
    "strain",
]

# Two operations are one if less than this apart, in degrees: distinct operations of a
# crystallographic group are at least 60 degrees apart, and strained ones a few degrees off.
SAME_DEGREES = 15.0
# Strain that comes from the rounding of cell parameters in a file.
EXACT = 1e-4
# The most operations that a crystallographic point group has.
LARGEST_GROUP = 48

_CENTRING_VECTORS = {
    "P": (),
    "A": ((0, 0.5, 0.5),),
    "B": ((0.5, 0, 0.5),),
    "C": ((0.5, 0.5, 0),),
    "I": ((0.5, 0.5, 0.5),),
    "F": ((0, 0.5, 0.5), (0.5, 0, 0.5), (0.5, 0.5, 0)),
    "R": ((2 / 3, 1 / 3, 1 / 3), (1 / 3, 2 / 3, 2 / 3)),
}


def lattice_of(generators: np.ndarray) -> np.ndarray:
    """Basis of the lattice that some integer vectors generate.

    Parameters
    ----------
    generators
        (count, 3) int, of rank 3.

    Returns
    -------
    numpy.ndarray
        (3, 3) int, upper triangular, with basis vectors as rows; its determinant is the index of
        the lattice in that of all integer vectors.
    """
    rows = [row for row in np.asarray(generators, dtype=np.int64) if row.any()]
    basis = []
    for column in range(3):
        while True:  # Euclid's algorithm on the entries of one column
            leading = sorted((r for r in rows if r[column]), key=lambda r: abs(r[column]))
            if len(leading) < 2:
                break
            first = leading[0]
            rows = [
                row if row is first else row - (row[column] // first[column]) * first
                for row in rows
            ]
            rows = [row for row in rows if row.any()]
        basis.append(leading[0] * np.sign(leading[0][column]))
        rows = [row for row in rows if row is not leading[0]]
    return np.array(basis)


def primitive_basis(structure: Structure) -> np.ndarray:
    """Reduced basis of a structure's lattice in the crystal frame.

    Returns
    -------
    numpy.ndarray
        (3, 3), vectors in angstrom as columns.
    """
    shifts = np.array([*np.eye(3), *_CENTRING_VECTORS[structure.centring]])
    rows = lattice_of(np.rint(shifts * 6).astype(np.int64)) / 6
    return reduce_basis(structure_matrix(structure.cell) @ rows.T)


def reduce_basis(basis: np.ndarray) -> np.ndarray:
    """The shortest vectors that span a lattice (Minkowski-reduced), as columns, shortest first."""
    basis = np.array(basis, dtype=float)
    steps = [np.array(step) for step in product((-1, 0, 1), repeat=2) if any(step)]
    shorter = True
    while shorter:
        shorter = False
        for i in range(3):
            others = np.delete(basis, i, axis=1)
            for step in steps:
                vector = basis[:, i] + others @ step
                if vector @ vector < basis[:, i] @ basis[:, i] * (1 - 1e-9):
                    basis[:, i] = vector
                    shorter = True
    return basis[:, np.argsort(np.linalg.norm(basis, axis=0), kind="stable")]


def lattice_maps(basis: np.ndarray, tolerance: float = EXACT) -> np.ndarray:
    """Linear maps of space that take a lattice onto itself and are nearly rigid.

    Parameters
    ----------
    basis
        (3, 3) reduced basis, vectors as columns.
    tolerance
        Largest strain: a map changes no length by a larger share. The maps of a tetragonal lattice
        with c/a = 1.02 include those of a cube if this is at least 0.02.

    Returns
    -------
    numpy.ndarray
        (count, 3, 3): matrices in the frame of the basis, rotations (proper and improper) but for
        a strain; the identity is among them.
    """
    # Of a reduced basis, matrices with entries of -1 to 1 hold all operations; 2 for strained ones.
    vectors = np.array(list(product(range(-2, 3), repeat=3)), dtype=float) @ basis.T
    length = np.linalg.norm(vectors, axis=1)
    gram = basis.T @ basis
    sides = np.sqrt(np.diag(gram))
    near = [vectors[np.abs(length / side - 1) <= tolerance * 1.01 + 1e-6] for side in sides]
    first, second, third = np.indices([len(vectors) for vectors in near]).reshape(3, -1)
    images = np.stack([near[0][first], near[1][second], near[2][third]], axis=-1)
    # Cheap and generous, so that few singular values must be found.
    change = np.abs(np.swapaxes(images, 1, 2) @ images - gram) / np.outer(sides, sides)
    maps = images[change.max(axis=(1, 2)) < 4 * tolerance] @ np.linalg.inv(basis)
    return maps[strain(maps) <= tolerance]


def strain(maps: np.ndarray) -> np.ndarray:
    """Largest relative change of a length under each of some linear maps (..., 3, 3)."""
    return np.abs(np.linalg.svd(maps, compute_uv=False) - 1).max(axis=-1)


def closest_rotation(maps: np.ndarray) -> np.ndarray:
    """Orthogonal matrices closest to linear maps (..., 3, 3)."""
    left, _, right = np.linalg.svd(maps)
    return left @ right


def point_operations(structure: Structure, tolerance: float = 0.02) -> np.ndarray:
    """All point operations of a crystal, found from its atoms.

    Parameters
    ----------
    structure
        Crystal structure with all atoms of its cell.
    tolerance
        Distance in angstrom within which an atom must land on an atom of its kind.

    Returns
    -------
    numpy.ndarray
        (order, 3, 3): orthogonal matrices in the crystal frame.
    """
    basis = primitive_basis(structure)
    inverse = np.linalg.inv(basis)
    positions = np.array(structure.positions) @ structure_matrix(structure.cell).T @ inverse.T
    species = np.array(structure.species)
    one_cell = _one_of_each(positions, species, basis, tolerance)
    positions, species = positions[one_cell], species[one_cell]
    maps = lattice_maps(basis)
    integers = np.rint(inverse @ maps @ basis)
    while True:
        kept = [maps_atoms(m, positions, species, basis, tolerance) for m in integers]
        operations = closest_rotation(maps[kept])
        group = generate_group(operations)
        if group is not None and len(group) == len(operations):
            return operations
        tolerance /= 2  # two displacements within it can add up to one beyond it


def _one_of_each(
    positions: np.ndarray, species: np.ndarray, basis: np.ndarray, tolerance: float
) -> np.ndarray:
    """Which atoms are the first of those that lattice vectors bring together."""
    gaps = positions[:, None] - positions
    gaps -= np.rint(gaps)
    together = np.linalg.norm(gaps @ basis.T, axis=-1) < tolerance
    together &= species[:, None] == species
    return together.argmax(axis=1) == np.arange(len(positions))


def generate_group(operations: Iterable[np.ndarray]) -> np.ndarray | None:
    """Point group that some operations generate; near-equal operations count as one.

    Returns
    -------
    numpy.ndarray or None
        (order, 3, 3), the identity first, then the operations given; none if they generate no
        crystallographic group.
    """
    group = _closure(operations)
    return None if group is None or _signature(group) not in _names_by_signature() else group


def _closure(operations: Iterable[np.ndarray]) -> np.ndarray | None:
    """All products of some operations, or none if they are more than a crystal can have."""
    group = np.eye(3)[None]
    generators = list(operations)
    for operation in generators:
        if not same_operation(group, operation).any():
            group = np.concatenate([group, operation[None]])
    done = 0
    while done < len(group) <= LARGEST_GROUP:
        for generator in generators:
            element = group[done] @ generator
            if not same_operation(group, element).any():
                group = np.concatenate([group, element[None]])
        done += 1
    return group if len(group) <= LARGEST_GROUP else None


def same_operation(operations: np.ndarray, operation: np.ndarray) -> np.ndarray:
    """Which operations (n, 3, 3) are the one given, but for a few degrees."""
    limit = 1 + 2 * np.cos(np.deg2rad(SAME_DEGREES))
    return np.einsum("nij,ij->n", operations, operation) > limit


# The 32 point groups by generators: an axis is along z unless a letter says otherwise (x, or d
# for the diagonal of a cube); m is a mirror normal to it, a minus an axis of rotoinversion.
_GENERATORS = dict(
    zip(
        POINT_GROUPS,
        (
            "1",
            *("-1", "2", "m", "2 -1", "2 2x", "2 mx", "2 2x -1"),
            *("4", "-4", "4 -1", "4 2x", "4 mx", "-4 2x", "4 2x -1"),
            *("3", "3 -1", "3 2x", "3 mx", "3 2x -1"),
            *("6", "-6", "6 -1", "6 2x", "6 mx", "-6 mx", "6 2x -1"),
            *("2 3d", "2 3d -1", "4 3d", "-4 3d", "4 3d -1"),
        ),
        strict=True,
    )
)


def point_group_name(operations: np.ndarray) -> str:
    """Name, one of the 32, of a group of point operations (order, 3, 3), however it lies.

    Raises
    ------
    ValueError
        If the operations are no crystallographic point group.
    """
    name = _names_by_signature().get(_signature(operations))
    if name is None:
        raise ValueError(f"these {len(operations)} operations are no crystallographic point group")
    return name


def _signature(operations: np.ndarray) -> tuple[tuple[int, int], ...]:
    """How many operations of each kind: 2 is a twofold axis, -3 a threefold rotoinversion, ..."""
    sign = np.rint(np.linalg.det(operations))
    cosine = (np.trace(operations, axis1=1, axis2=2) * sign - 1) / 2
    degrees = np.rad2deg(np.arccos(np.clip(cosine, -1, 1)))
    order = np.array([1, 6, 4, 3, 2])[np.abs(degrees[:, None] - [0, 60, 90, 120, 180]).argmin(1)]
    return tuple(sorted(Counter((order * sign).astype(int).tolist()).items()))


@cache
def _names_by_signature() -> dict[tuple[tuple[int, int], ...], str]:
    names = {}
    for name, words in _GENERATORS.items():
        group = _closure(_operation(word) for word in words.split())
        assert group is not None
        names[_signature(group)] = name
    return names


def _operation(word: str) -> np.ndarray:
    """Matrix of a word of ``_GENERATORS``."""
    axis = {"x": (1, 0, 0), "d": (1, 1, 1)}.get(word[-1], (0, 0, 1))
    sign = -1 if word[0] in "-m" else 1
    order = 2 if word[0] == "m" else int(word.strip("-xd"))
    return sign * rotation_about(np.array(axis, dtype=float), 2 * np.pi / order)


def rotation_about(axis: np.ndarray, angle: float) -> np.ndarray:
    """Rotation about an axis by an angle in radians."""
    x, y, z = axis / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
