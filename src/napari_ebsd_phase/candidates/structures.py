# SPDX-License-Identifier: GPL-3.0-or-later
"""Structures that a region may be: those of the table with its symmetry, and the user's own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError

if TYPE_CHECKING:
    from ..training.structures import Structure

__all__ = ["candidate_structures", "structures_from"]


def candidate_structures(
    pairs: Sequence[tuple[str, str, float]], *, least: float = 0.1, most_pairs: int = 3
) -> list[Structure]:
    """Structures of the bundled table whose symmetry a region probably has.

    Parameters
    ----------
    pairs
        Point group, Bravais lattice and probability, most probable first, as
        :attr:`napari_ebsd_phase.regions.Identification.pairs`.
    least
        Probability that a pair needs; the most probable one needs none.
    most_pairs
        Largest number of pairs.

    Returns
    -------
    list of Structure
        Those of the most probable pair first. Point groups of one Laue group look so much alike
        that all of them count where one does. Structures with an element of which no scattering
        factor is known are left out.
    """
    from ..crystallography import LAUE_INDEX, POINT_GROUPS
    from ..training.band_patterns import atomic_numbers
    from ..training.structures import load_structures

    wanted: list[tuple[int, str]] = []
    for rank, (group, lattice, probability) in enumerate(pairs):
        place = int(LAUE_INDEX[POINT_GROUPS.index(group)]), lattice
        if (rank == 0 or probability >= least) and place not in wanted:
            wanted.append(place)
        if len(wanted) == most_pairs:
            break
    return [
        structure
        for laue, lattice in wanted
        for structure in load_structures()
        if structure.bravais == lattice
        and atomic_numbers().keys() >= set(structure.species)
        and LAUE_INDEX[POINT_GROUPS.index(structure.point_group)] == laue
    ]


def structures_from(paths: Iterable[str | Path]) -> list[Structure]:
    """Structures of CIF files, and of all CIF files in folders.

    Raises
    ------
    InputError
        If a file cannot be read, or a folder holds none.
    """
    from ..training.structures import Structure

    found = []
    for given in paths:
        path = Path(given)
        files = [path]
        if path.is_dir():
            files = sorted(file for file in path.iterdir() if file.suffix.lower() == ".cif")
            if not files:
                raise InputError(f"{path}: no CIF files in this folder")
        found += [Structure.from_cif(file) for file in files]
    return found
