# SPDX-License-Identifier: GPL-3.0-or-later
"""Name of a Bravais lattice from its vectors and the point group of the crystal.

The point group gives the axes of the conventional cell, the shortest lattice vectors along them its
edges, and the number of primitive cells in it the centring.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from napari_ebsd_phase.crystallography import crystal_system

from .lattice_symmetry import SAME_DEGREES, point_group_name, rotation_about

__all__ = ["bravais_lattice"]


def bravais_lattice(basis: np.ndarray, operations: np.ndarray, tolerance: float = 0.03) -> str:
    """Bravais lattice of a crystal with a lattice and a point group.

    The lattice must have the symmetry of the group, within the tolerance; it may have more.

    Parameters
    ----------
    basis
        (3, 3) reduced basis in the crystal frame, vectors as columns.
    operations
        (order, 3, 3) point group.
    tolerance
        Angle in radians by which a lattice vector may miss an axis, and share of its length by
        which its image may miss a lattice vector.

    Raises
    ------
    ValueError
        If the lattice does not have the symmetry of the group.
    """
    system = crystal_system(point_group_name(operations))
    images = operations @ basis
    misses = images - basis @ np.rint(np.linalg.inv(basis) @ images)
    if (np.linalg.norm(misses, axis=1) > tolerance * np.linalg.norm(basis, axis=0)).any():
        raise ValueError(f"this lattice has not the symmetry of a {system} crystal")
    if system == "triclinic":
        return "aP"
    vectors = np.array(list(product(range(-4, 5), repeat=3)), dtype=float) @ basis.T
    vectors = vectors[np.linalg.norm(vectors, axis=1).argsort()[1:]]  # without the zero vector
    volume = abs(np.linalg.det(basis))
    axes = _axes(operations)
    main = max(axes)  # the highest order of an axis
    if system in ("cubic", "orthorhombic"):
        # The 4-fold axes of a cube where there are three, else the three mutually normal 2-folds.
        frame = axes[4] if len(axes.get(4, ())) == 3 else axes[2]
        cell = [_shortest(vectors, _along(vectors, axis, tolerance)) for axis in frame]
        ratio = _times(cell, volume)
        letter = {1: "P", 2: "S", 4: "F"}.get(ratio)
        body = np.linalg.solve(basis, np.sum(cell, axis=0) / 2)
        if ratio == 2 and np.abs(body - np.rint(body)).max() < 0.1:
            letter = "I"
        letters = "PIF" if system == "cubic" else "PSIF"
    elif system == "monoclinic":
        along = _shortest(vectors, _along(vectors, axes[2][0], tolerance))
        normal = vectors[_normal(vectors, axes[2][0], tolerance)]
        first = _shortest(normal, np.ones(len(normal), dtype=bool))
        angle = np.abs(normal @ first) / np.linalg.norm(normal, axis=1) / np.linalg.norm(first)
        second = _shortest(normal, angle < 1 - 1e-3)
        letter = {1: "P", 2: "S"}.get(_times([along, first, second], volume))
        letters = "PS"
    else:
        axis = axes[main][0]
        along = _shortest(vectors, _along(vectors, axis, tolerance))
        first = _shortest(vectors, _normal(vectors, axis, tolerance))
        turn = 4 if system == "tetragonal" else 3
        cell = [along, first, rotation_about(axis, 2 * np.pi / turn) @ first]
        letters = "PI" if system == "tetragonal" else "PR"
        letter = {1: "P", 2: "I", 3: "R"}.get(_times(cell, volume))
    if letter is None or letter not in letters:
        raise ValueError(f"this lattice has not the symmetry of a {system} crystal")
    return {"cubic": "c", "orthorhombic": "o", "monoclinic": "m", "tetragonal": "t"}.get(
        system, "h"
    ) + letter


def _axes(operations: np.ndarray) -> dict[int, list[np.ndarray]]:
    """Axes of rotation and rotoinversion by their order; those of 2 only where no 4 or 6 lies."""
    sign = np.rint(np.linalg.det(operations))[:, None, None]
    found: dict[int, list[np.ndarray]] = {}
    taken: list[np.ndarray] = []
    # Of a rotoinversion the rotation that is left without the inversion: -6 counts as 3-fold, too.
    rotations = operations * sign
    degrees = np.rad2deg(np.arccos(np.clip((np.trace(rotations, axis1=1, axis2=2) - 1) / 2, -1, 1)))
    for order, angle in ((6, 60), (4, 90), (3, 120), (2, 180)):
        for rotation in rotations[np.abs(degrees - angle) < SAME_DEGREES]:
            values, vectors = np.linalg.eig(rotation)
            axis = vectors[:, np.abs(values - 1).argmin()].real
            axis /= np.linalg.norm(axis)
            if all(abs(axis @ other) < np.cos(np.deg2rad(SAME_DEGREES)) for other in taken):
                taken.append(axis)
                found.setdefault(order, []).append(axis)
    return found


def _along(vectors: np.ndarray, axis: np.ndarray, tolerance: float) -> np.ndarray:
    return np.abs(vectors @ axis) > np.cos(tolerance) * np.linalg.norm(vectors, axis=1)


def _normal(vectors: np.ndarray, axis: np.ndarray, tolerance: float) -> np.ndarray:
    return np.abs(vectors @ axis) < np.sin(tolerance) * np.linalg.norm(vectors, axis=1)


def _shortest(vectors: np.ndarray, among: np.ndarray) -> np.ndarray:
    """The first of some vectors, which are sorted by length."""
    if not among.any():
        raise ValueError("this lattice has no vector along or normal to an axis of the crystal")
    return vectors[among.argmax()]


def _times(cell: list[np.ndarray], volume: float) -> int:
    return round(abs(np.linalg.det(np.array(cell))) / volume)
