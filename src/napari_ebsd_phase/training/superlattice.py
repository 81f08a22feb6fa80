# SPDX-License-Identifier: GPL-3.0-or-later
"""How much of a pattern comes from a superstructure, that is, from what makes its lattice coarser.

Ordered FeCo has the lattice cP, but iron and cobalt scatter electrons almost alike, and what tells
it from cI are reflections too weak to be seen. An *average lattice* here is the lattice that a
crystal would have without its weakest reflections; the *strength* of the superstructure is the
share of the variance of a Kikuchi pattern that those weak reflections make.

It is estimated from two parts. A band of first order (:mod:`.band_patterns`) with inverse
extinction distance q, coupling c and width a in the deviation parameter s has the profile q c s /
(s**2 + a**2). The deviation parameter grows by the length of the reciprocal vector g for each
radian across the band, so the integral of the profile's square over the sphere, its part in the
variance, is in proportion to (q c)**2 / (g a), and a is mostly g times the resolution.

The coupling c is nearly 0 where the superlattice reflections are those of light atoms: the heavy
ones, which send most of the electrons, sit half on and half between the planes. What is left is of
second order: diffracted twice by superlattice planes, a wave is back on the average lattice. It
grows with the square of their share of all |F|**2 / g**2.

    strength = (share of first order) + 3 (share of the squared structure factors)**2

The 3 is measured: 40 crystals were simulated dynamically (de-ebsd) with and without the
reflections that break a centring. 1 - correlation**2 of the two patterns lay between 0.5 and
0.0004, and was 0.15 to 3.5 times this strength, 0.7 in the median. For SnO2 without the
reflections that break the body-centring, the first order alone gives 0.0001, this strength 0.0085,
the dynamical simulation 0.016. For FeCo they give 1e-7, 1e-7 and 2e-8.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .band_patterns import Reflectors, reflectors
from .lattice_symmetry import lattice_of, primitive_basis, reduce_basis
from .structures import Structure

__all__ = ["AverageLattice", "average_lattices", "superlattice_strength"]

# Smallest spacing of planes, in angstrom: those left out make less than a percent of a pattern.
DMIN = 0.9
# Structure factors nearer than this share of each other are of one set of equivalent reflections.
ALIKE = 1e-3
# Below this share, reflections are extinct and only rounding makes them appear.
EXTINCT = 1e-12
# Weight of the second order in the strength, see above.
SECOND_ORDER = 3.0


@dataclass(frozen=True, eq=False)
class AverageLattice:
    """A finer lattice that a crystal has but for some weak reflections.

    Parameters
    ----------
    basis
        (3, 3) reduced basis in the crystal frame, vectors in angstrom as columns.
    index
        How many of its cells make a primitive cell of the crystal.
    strength
        Share of the pattern's variance from the reflections that it does not have.
    """

    basis: np.ndarray
    index: int
    strength: float


def average_lattices(structure: Structure, largest: float = 1.0) -> tuple[AverageLattice, ...]:
    """Lattices that a structure would have without its weak reflections, the nearest first.

    Reflections are taken in the order of their strength until they generate the reciprocal lattice;
    each lattice that they generate on the way is an average lattice. All have the symmetry of the
    crystal, since equivalent reflections are taken together.

    Parameters
    ----------
    structure
        Crystal structure with all atoms of its cell.
    largest
        Leave out lattices with a strength above this.

    Raises
    ------
    InputError
        As :func:`.band_patterns.reflectors`.
    """
    bands = reflectors(structure, DMIN, weakest=1e-6, most=1_000_000)
    weight, first_order = _weights(bands)
    primitive = primitive_basis(structure)
    # Miller indices in the primitive basis, where all triples of integers are a reciprocal lattice.
    indices = np.rint(bands.vectors @ primitive).astype(np.int64)
    order = np.argsort(-weight, kind="stable")
    indices, weight, first_order = indices[order], weight[order], first_order[order]
    found: list[AverageLattice] = []
    generated = np.zeros((0, 3), dtype=np.int64)
    index = 0
    start = 0
    while start < len(weight) and index != 1 and weight[start] > EXTINCT:
        end = start + np.searchsorted(-weight[start:], -weight[start] * (1 - ALIKE), side="right")
        new = indices[start:end]
        if index:
            new = new[~_inside(new, generated)]
        start = end
        generators = np.concatenate([generated, new])
        if not len(new):
            continue
        if np.linalg.matrix_rank(generators) < 3:
            generated = generators
            continue
        generated = lattice_of(generators)
        index = round(abs(np.linalg.det(generated)))
        if index > 1:
            lost = ~_inside(indices, generated)
            strength = first_order[lost].sum() + SECOND_ORDER * weight[lost].sum() ** 2
            if strength <= largest:
                basis = primitive @ np.linalg.inv(generated)
                found.append(AverageLattice(reduce_basis(basis), index, float(strength)))
    return tuple(reversed(found))


def superlattice_strength(structure: Structure) -> float:
    """Share of the variance of a pattern that tells a structure's lattice from a finer one.

    0.001 is what a good camera can just see; 1 if no reflections, however strong, can be left out.

    Raises
    ------
    InputError
        As :func:`.band_patterns.reflectors`.
    """
    return min((lattice.strength for lattice in average_lattices(structure)), default=1.0)


def _weights(bands: Reflectors) -> tuple[np.ndarray, np.ndarray]:
    """Shares of the reflections in squared structure factors and in the first-order pattern."""
    squared = np.abs(bands.structure_factors) ** 2 / np.linalg.norm(bands.vectors, axis=1) ** 2
    first_order = squared * np.abs(bands.coupling) ** 2
    return squared / squared.sum(), first_order / first_order.sum()


def _inside(indices: np.ndarray, lattice: np.ndarray) -> np.ndarray:
    """Which integer vectors are in the lattice with this basis (rows)."""
    coordinates = indices @ np.linalg.inv(lattice)
    return np.abs(coordinates - np.rint(coordinates)).max(axis=-1) < 1e-6
