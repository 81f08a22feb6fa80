# SPDX-License-Identifier: GPL-3.0-or-later
"""How close atoms of two elements come to each other in crystals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from typing import Final, NamedTuple

import numpy as np

from ..errors import InputError
from .grid_symmetry import structure_matrix

__all__ = ["ELEMENTS", "Element", "contact_ratio", "shortest_distances", "usual_distances"]


class Element(NamedTuple):
    """What is needed of an element to make structures with it.

    Radii are in angstrom: the covalent ones of Cordero et al. (2008),
    https://doi.org/10.1039/b801115j (low spin), and, for those that form anions, the ionic ones of
    Shannon (1976), https://doi.org/10.1107/S0567739476001551, otherwise 0.
    """

    atomic_number: int
    radius: float
    anion_radius: float
    weight: float


# Symbol, atomic number, covalent radius, anion's radius, weight. The weights follow, roughly, how
# often an element is met in minerals and materials. Noble gases, elements without stable isotopes
# (but Th and U) are left out; hydrogen is only for structures that have it already.
_TABLE: Final = """
H 1 .31 0 0, Li 3 1.28 0 12, Be 4 .96 0 4, B 5 .84 0 20, C 6 .76 0 25, N 7 .71 1.46 25,
O 8 .66 1.4 150, F 9 .57 1.33 20, Na 11 1.66 0 20, Mg 12 1.41 0 24, Al 13 1.21 0 40,
Si 14 1.11 0 45, P 15 1.07 0 25, S 16 1.05 1.84 45, Cl 17 1.02 1.81 30, K 19 2.03 0 18,
Ca 20 1.76 0 24, Sc 21 1.7 0 6, Ti 22 1.6 0 26, V 23 1.53 0 16, Cr 24 1.39 0 22, Mn 25 1.39 0 24,
Fe 26 1.32 0 40, Co 27 1.26 0 24, Ni 28 1.24 0 34, Cu 29 1.32 0 36, Zn 30 1.22 0 20,
Ga 31 1.22 0 14, Ge 32 1.2 0 16, As 33 1.19 0 16, Se 34 1.2 1.98 18, Br 35 1.2 1.96 10,
Rb 37 2.2 0 6, Sr 38 1.95 0 14, Y 39 1.9 0 10, Zr 40 1.75 0 16, Nb 41 1.64 0 16, Mo 42 1.54 0 18,
Ru 44 1.46 0 9, Rh 45 1.42 0 8, Pd 46 1.39 0 12, Ag 47 1.45 0 15, Cd 48 1.44 0 12,
In 49 1.42 0 11, Sn 50 1.39 0 16, Sb 51 1.39 0 17, Te 52 1.38 2.21 15, I 53 1.39 2.2 12,
Cs 55 2.44 0 6, Ba 56 2.15 0 16, La 57 2.07 0 10, Ce 58 2.04 0 9, Pr 59 2.03 0 5, Nd 60 2.01 0 6,
Sm 62 1.98 0 5, Eu 63 1.98 0 4, Gd 64 1.96 0 6, Tb 65 1.94 0 4, Dy 66 1.92 0 4, Ho 67 1.92 0 4,
Er 68 1.89 0 4, Tm 69 1.9 0 3, Yb 70 1.87 0 4, Lu 71 1.87 0 3, Hf 72 1.75 0 8, Ta 73 1.7 0 12,
W 74 1.62 0 15, Re 75 1.51 0 8, Os 76 1.44 0 5, Ir 77 1.41 0 8, Pt 78 1.36 0 13, Au 79 1.36 0 13,
Hg 80 1.32 0 8, Tl 81 1.45 0 8, Pb 82 1.46 0 14, Bi 83 1.48 0 14, Th 90 2.06 0 6, U 92 1.96 0 8
"""

ELEMENTS: Final = {
    symbol: Element(int(number), *map(float, rest))
    for symbol, number, *rest in (row.split() for row in _TABLE.split(","))
}
"""Symbol to element, in the order of the periodic table."""

# Anions do not touch each other as atoms that share electrons would: edges of oxygen polyhedra
# are about this share of twice the ionic radius.
_ANION_SHARE: Final = 0.85


_SHIFTS: Final = np.array(list(product((-1, 0, 1), repeat=3)), dtype=float)
_NO_SHIFT: Final = 13


def usual_distances(first: Iterable[str], second: Iterable[str]) -> np.ndarray:
    """Distances in angstrom that touching atoms usually have: the sum of their radii.

    Parameters
    ----------
    first, second
        n and m element symbols.

    Returns
    -------
    numpy.ndarray
        (n, m).

    Raises
    ------
    InputError
        For an element that is not in :data:`ELEMENTS`.
    """
    first, second = list(first), list(second)
    missing = {*first, *second} - ELEMENTS.keys()
    if missing:
        raise InputError(f"no radius of {min(missing)}; give a structure of other elements")
    covalent, anion = (
        np.add.outer([getattr(ELEMENTS[s], name) for s in first],
                     [getattr(ELEMENTS[s], name) for s in second])
        for name in ("radius", "anion_radius")
    )  # fmt: skip
    both = np.multiply.outer([ELEMENTS[s].anion_radius for s in first],
                             [ELEMENTS[s].anion_radius for s in second]) > 0  # fmt: skip
    return np.where(both, np.maximum(_ANION_SHARE * anion, covalent), covalent)


def contact_ratio(
    cell: tuple[float, ...],
    species: tuple[str, ...],
    positions: np.ndarray,
    some: Sequence[int] | None = None,
) -> float:
    """Closest contact of a structure, as a ratio to the usual distance of the two elements.

    Parameters
    ----------
    cell, species, positions
        As in :class:`~napari_ebsd_phase.training.structures.Structure`; positions (n, 3).
    some
        Numbers of atoms of which every other is an image; by default all.

    Raises
    ------
    InputError
        For an element that is not in :data:`ELEMENTS`.
    """
    chosen = np.arange(len(species)) if some is None else np.asarray(some)
    distances = shortest_distances(positions, chosen, structure_matrix(cell))
    return float((distances / usual_distances([species[i] for i in chosen], species)).min())


def shortest_distances(positions: np.ndarray, chosen: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Shortest distances over all lattice vectors; of an atom to its images.

    Parameters
    ----------
    positions
        (atoms, 3), in units of the cell.
    chosen
        Numbers of atoms.
    basis
        Cell vectors as columns, (3, 3).

    Returns
    -------
    numpy.ndarray
        (chosen, atoms), in the unit of `basis`.
    """
    gaps = positions[chosen, None] - positions
    gaps = (gaps - np.rint(gaps)) @ basis.T
    squares = np.square(gaps[:, :, None] + _SHIFTS @ basis.T).sum(axis=-1)
    squares[np.arange(len(chosen)), chosen, _NO_SHIFT] = np.inf
    return np.sqrt(squares.min(axis=-1))
