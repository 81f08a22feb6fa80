# SPDX-License-Identifier: GPL-3.0-or-later
"""Bands and zone axes of a crystal, before it has an orientation."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError
from .cell import Cell, cell_of, structure_factors
from .labels import axis_label, family_label, plane_label

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from orix.crystal_map import Phase

__all__ = ["Catalogue", "describe"]

# Weak reflections at small spacings are many in large cells, and no strong bands.
_MOST_REFLECTIONS = 2000
_SMALLEST_SPACING = 0.8  # angstrom


@dataclass(frozen=True, eq=False)
class Catalogue:
    """Bands and zone axes of a crystal in its own frame (x along a, z along c*).

    Made by :func:`describe`; costs some tenths of a second and serves all orientations.

    Attributes
    ----------
    hkl
        Strong bands (m, 3): of the orders of reflection of a lattice plane the strongest.
    strength
        (m,) absolute structure factor over that of the strongest band.
    bragg
        (m,) Bragg angle in degrees: half the width of the band.
    normal
        (m, 3) unit normals.
    plane_labels
        (m,) names of the bands.
    uvw
        Zone axes (n, 3), each with its opposite; low indices first.
    direction
        (n, 3) unit vectors.
    multiplicity
        (n,) number of equivalents in the Laue group, opposites included.
    bands
        (n,) number of strong bands that cross in the axis.
    labels, family
        (n,) names of the axes and of their families.
    """

    hkl: NDArray[np.int_]
    strength: NDArray[np.float64]
    bragg: NDArray[np.float64]
    normal: NDArray[np.float64]
    plane_labels: NDArray[np.str_]
    uvw: NDArray[np.int_]
    direction: NDArray[np.float64]
    multiplicity: NDArray[np.int_]
    bands: NDArray[np.int_]
    labels: NDArray[np.str_]
    family: NDArray[np.str_]


def describe(
    phase: Phase,
    *,
    max_index: int = 3,
    min_strength: float = 0.4,
    min_bands: int = 2,
    energy: float = 20.0,
) -> Catalogue:
    """Find the strong bands of a crystal and the zone axes that they cross in.

    Structure factors are kinematical (diffsims, International Tables). Where a phase has no atoms,
    one iron atom on every lattice point stands in for them, and the reflections that glide planes
    and screw axes of its space group forbid are left out.

    Parameters
    ----------
    phase
        Cell (angstrom, or nanometre as in EMsoft and kikuchipy files) and symmetry. With a space
        group its atoms may be the asymmetric unit.
    max_index
        Largest index of a zone axis in the three axes of the cell, equivalents alike.
    min_strength
        Weakest band, as a share of the structure factor of the strongest. 0.4 takes {111}, {200},
        {220} and {311} of nickel.
    min_bands
        Fewest strong bands that cross in a zone axis.
    energy
        Of the electrons in keV, for the Bragg angles.

    Raises
    ------
    InputError
        If the phase has no symmetry or no cell.
    """
    from diffsims.utils.sim_utils import get_electron_wavelength

    cell = cell_of(phase)
    hkl, strength = _reflections(phase, cell)
    kept = np.flatnonzero(strength >= min_strength)
    kept = kept[_strongest_orders(hkl[kept], strength[kept])]
    hkl, strength = hkl[kept], strength[kept]
    vectors = hkl @ cell.reciprocal
    half_wave = 0.5 * float(get_electron_wavelength(energy))
    uvw = _candidates(max_index, cell.hexagonal)
    crossing = (uvw @ hkl.T == 0).sum(axis=1)
    uvw, crossing = uvw[crossing >= min_bands], crossing[crossing >= min_bands]
    order = np.lexsort((*uvw.T, -crossing, _index_size(uvw, cell.hexagonal)))
    uvw, crossing = uvw[order], crossing[order]
    family, multiplicity = _families(uvw, cell)
    return Catalogue(
        hkl=hkl,
        strength=strength,
        bragg=np.rad2deg(np.arcsin(half_wave * np.linalg.norm(vectors, axis=1))),
        normal=_unit(vectors),
        plane_labels=np.array([plane_label(row, cell.hexagonal) for row in hkl], dtype=str),
        uvw=uvw,
        direction=_unit(uvw @ cell.base),
        multiplicity=multiplicity,
        bands=crossing,
        labels=np.array([axis_label(row, cell.hexagonal) for row in uvw], dtype=str),
        family=family,
    )


def _reflections(phase: Phase, cell: Cell) -> tuple[NDArray[np.int_], NDArray[np.float64]]:
    """Half of the reciprocal lattice down to a spacing, and strengths from 0 to 1."""
    from diffpy.structure import Lattice, Structure
    from diffsims.crystallography import ReciprocalLatticeVector
    from orix.crystal_map import Phase

    # As many lattice points lie in a sphere of the radius 1 / spacing.
    spacing = (4 / 3 * np.pi * cell.volume / _MOST_REFLECTIONS) ** (1 / 3)
    spacing = max(_SMALLEST_SPACING, spacing)
    plain = Phase(point_group="1", structure=Structure(lattice=Lattice(*cell.constants)))
    hkl = ReciprocalLatticeVector.from_min_dspacing(plain, spacing).hkl.round().astype(int)
    hkl = hkl[_first_positive(hkl)]
    strength = structure_factors(phase, cell, hkl)
    if not strength.max(initial=0.0) > 0:
        raise InputError(
            f"{phase.name}: nothing reflects down to {spacing:.2f} angstrom; check its cell and "
            "its atoms"
        )
    return hkl, strength / strength.max()


def _first_positive(indices: NDArray[np.int_]) -> NDArray[np.bool_]:
    """Whether the first index that is not 0 is above it: one of each pair of opposites."""
    weights = np.array([10_000, 100, 1])  # indices stay far below 100
    return np.asarray(np.sign(indices) @ weights > 0)


def _strongest_orders(hkl: NDArray[np.int_], strength: NDArray[np.float64]) -> NDArray[np.int_]:
    """Of each lattice plane the number of its strongest order, strong planes first."""
    order = np.lexsort((*hkl.T, (hkl**2).sum(axis=1), -strength.round(6)))
    planes = hkl // np.gcd.reduce(hkl, axis=1, keepdims=True)
    _, first = np.unique(planes[order], axis=0, return_index=True)
    return order[np.sort(first)]


def _candidates(max_index: int, hexagonal: bool) -> NDArray[np.int_]:
    """All directions without common divisor up to an index."""
    uvw = np.array(list(product(range(-max_index, max_index + 1), repeat=3)), dtype=int)
    uvw = uvw[np.gcd.reduce(uvw, axis=1) == 1]
    if hexagonal:
        # [3-30] is an equivalent of [630]: u - v is the index along the third axis.
        uvw = uvw[np.abs(uvw[:, 0] - uvw[:, 1]) <= max_index]
    return uvw


def _index_size(uvw: NDArray[np.int_], hexagonal: bool) -> NDArray[np.float64]:
    """Sum of the squares of the indices, alike for equivalents."""
    u, v, w = uvw.T
    if hexagonal:
        return 0.5 * (u**2 + v**2 + (u - v) ** 2) + w**2
    return (uvw**2).sum(axis=1).astype(float)


def _families(uvw: NDArray[np.int_], cell: Cell) -> tuple[NDArray[np.str_], NDArray[np.int_]]:
    """Name of the family of each direction, and its number of members."""
    names, sizes = [], []
    for images in np.einsum("oij,nj->noi", cell.operations, uvw):
        members = np.unique(images, axis=0)
        names.append(family_label(members, hexagonal=cell.hexagonal, cubic=cell.cubic))
        sizes.append(len(members))
    return np.array(names, dtype=str), np.array(sizes, dtype=int)


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
