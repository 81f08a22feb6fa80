# SPDX-License-Identifier: GPL-3.0-or-later
"""Space groups: their operations, and which one a structure has."""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any, Final

import numpy as np

from ..errors import InputError
from .grid_symmetry import structure_matrix

__all__ = ["SYMMETRY_TOLERANCES", "has_space_group", "space_group_operations", "symmetry_of"]

SYMMETRY_TOLERANCES: Final = (0.01, 0.05)
"""Distances in angstrom within which no higher symmetry may be found."""


@cache
def _standard_settings() -> dict[int, int]:
    """Space group number to spglib's number of its first, standard setting."""
    import spglib

    first: dict[int, int] = {}
    with _quiet():
        for hall in range(1, 531):
            kind = spglib.get_spacegroup_type(hall)
            assert kind is not None
            first.setdefault(kind.number, hall)
    return first


def _quiet() -> warnings.catch_warnings:
    """Silence spglib's note on its own change of error handling, which it prints at each call."""
    return warnings.catch_warnings(action="ignore", category=DeprecationWarning)


@cache
def space_group_operations(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Operations of a space group in its standard setting, centring included.

    Standard is the first setting of International Tables: unique axis b, cell choice 1, origin
    choice 1, hexagonal axes. Source: the database of spglib.

    Parameters
    ----------
    number
        International number, 1 to 230.

    Returns
    -------
    rotations
        (n, 3, 3) int, on fractional coordinates.
    translations
        (n, 3).

    Raises
    ------
    InputError
        If there is no such space group.
    """
    import spglib

    if number not in _standard_settings():
        raise InputError(f"there is no space group {number}; give one of 1 to 230")
    with _quiet():
        found = spglib.get_symmetry_from_database(_standard_settings()[number])
    assert found is not None
    return found["rotations"].astype(int), found["translations"]


def symmetry_of(
    cell: tuple[float, ...], species: tuple[str, ...], positions: np.ndarray, tolerance: float
) -> Any:
    """Symmetry that spglib finds: its ``SpglibDataset``, or None where it finds none.

    Parameters
    ----------
    cell, species, positions
        As in :class:`~napari_ebsd_phase.training.structures.Structure`; positions (n, 3).
    tolerance
        Distance in angstrom.
    """
    import spglib

    kinds = np.unique(species, return_inverse=True)[1]
    crystal: Any = (structure_matrix(cell).T, positions, kinds)
    with _quiet():
        try:
            return spglib.get_symmetry_dataset(crystal, symprec=tolerance)
        except spglib.SpglibError:  # two atoms in one place, or operations that are no group
            return None


def has_space_group(
    number: int,
    cell: tuple[float, ...],
    species: tuple[str, ...],
    positions: np.ndarray,
    tolerances: tuple[float, ...] = SYMMETRY_TOLERANCES,
) -> bool:
    """Whether spglib finds exactly this space group at each of some tolerances.

    Parameters
    ----------
    number
        International number.
    cell, species, positions
        As in :class:`~napari_ebsd_phase.training.structures.Structure`; positions (n, 3).
    tolerances
        Distances in angstrom, rising.
    """
    # The widest first: it fails most often.
    found = (symmetry_of(cell, species, positions, each) for each in tolerances[::-1])
    return all(symmetry is not None and symmetry.number == number for symmetry in found)
