# SPDX-License-Identifier: GPL-3.0-or-later
"""Crystals that look, in a Kikuchi pattern, as if they had more symmetry than they have.

A tetragonal crystal may be cubic but for a thousandth, and many crystals without an inversion
centre look the same from both ends. No camera could tell, and no network should be asked to.

**What is compared.** A master pattern f is compared with its image under an operation g that the
crystal does not have: their correlation r over directions on the whole sphere, at the resolution
of a camera. The symmetric pattern nearest to f is (f + f g) / 2, and what is left, (f - f g) / 2,
has the *share* (1 - r) / 2 of the variance of f, if g is of order two, and about that if not. This
share is all there is to see.

**Which operations.** Those of the crystal's primitive lattice, of the lattice without its
centring, of the lattices that it has but for weak reflections (:mod:`.superlattice`), all within 3
% of strain, and the inversion. A lattice nearly symmetric is mapped onto itself by a matrix that
is a rotation but for a strain; the pattern is compared under both, and the better counts: a wrong
projection centre and pixels that are not square distort a pattern much as a strain does, and the
network is given patterns without either (:mod:`.pattern_simulation` draws them). Operations that
differ by ones that the crystal has give the same correlation and are compared once, where possible
by one that maps the grid of the master pattern onto itself, since then no sampling comes in.

**Noise of the master pattern.** On a grid of a degree, even operations that the crystal has reach
0.9 to 0.99 only if they do not map the grid onto itself. Correlations of such operations are
divided by a generous estimate of what they would reach if the crystal had them
(:func:`.master_agreement.sampling_noise`). Noise can hide a small share, so where this leaves less
than a twentieth of the variance, the pattern of first order (:mod:`.band_patterns`), which has no
noise, is computed on a finer grid and asked too; the larger share of the two counts.

**What a camera can tell.** Noise with standard deviation sigma, in units of the pattern's, in each
of n pixels leaves a difference of share s with a signal-to-noise ratio of sqrt(n s) / sigma, if
one knows what to look for. Five is enough to be sure of it. With the 4,000 pixels that the network
sees, a good camera (:data:`.pattern_simulation.GOOD`, sigma 0.09) can tell 5e-5: less is
:data:`INVISIBLE`, and nobody can tell. A fast camera (sigma 0.42) can tell 1e-3: less is
:data:`FAINT`. About as much, 6e-4, is needed with a good camera if nobody knows what to look for,
and the parts of a pattern that the operation exchanges are only compared with each other. Both say
what a camera can tell at best: with a share above these, a network can still fail.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from napari_ebsd_phase.crystallography import laue_group

from .band_patterns import band_intensities, reflectors
from .bravais import bravais_lattice
from .grid_symmetry import structure_matrix
from .lattice_symmetry import (
    closest_rotation,
    generate_group,
    lattice_maps,
    point_group_name,
    point_operations,
    primitive_basis,
    reduce_basis,
    same_operation,
    strain,
)
from .master_agreement import correlations, maps_grid, sampling_noise
from .pattern_simulation import FAST, GOOD, Camera
from .structures import Structure
from .superlattice import AverageLattice, average_lattices

__all__ = [
    "FAINT",
    "INVISIBLE",
    "ApparentSymmetry",
    "Comparison",
    "Likeness",
    "apparent_symmetry",
    "compare",
    "describe",
    "smallest_share",
]

# Largest strain of a lattice that is taken for a more symmetric one.
STRAIN = 0.03
# Average lattices without more than this share of the variance are looked at for operations.
LARGEST_LOSS = 0.2
# Half size of the finer grid of first-order patterns, and from which share on they are not asked.
FINE_HALF_SIZE = 240
FINE_BLUR = 0.4
UNDOUBTED = 0.05
PIXELS = 4000
SIGMAS = 5.0


def smallest_share(camera: Camera) -> float:
    """Smallest share of a pattern's variance that a camera shows at five standard deviations."""
    return SIGMAS**2 * math.prod(camera.noise) / PIXELS  # noise: the geometric mean of its range


INVISIBLE = smallest_share(GOOD)
FAINT = smallest_share(FAST)


@dataclass(frozen=True, eq=False)
class Likeness:
    """How like a pattern is to its image under an operation that the crystal does not have.

    Parameters
    ----------
    operation
        (3, 3) orthogonal matrix in the crystal frame; stands for all those that differ from it by
        operations that the crystal has.
    share
        Of the variance of the pattern that tells it from a symmetric one.
    """

    operation: np.ndarray
    share: float

    @property
    def correlation(self) -> float:
        """Of the pattern with its image, were the master pattern free of noise."""
        return 1 - 2 * self.share


@dataclass(frozen=True, eq=False)
class Comparison:
    """A crystal's pattern compared with all images that it could be taken for.

    Parameters
    ----------
    structure
        The crystal.
    operations
        (order, 3, 3): the point operations that it has.
    likenesses
        Operations that it does not have, the most alike first.
    lattices
        Lattices that it has but for weak reflections.
    noise
        1 - correlation that the noise of the master pattern makes.
    """

    structure: Structure
    operations: np.ndarray
    likenesses: tuple[Likeness, ...]
    lattices: tuple[AverageLattice, ...]
    noise: float

    def group(self, tolerance: float) -> np.ndarray:
        """Operations that the crystal seems to have, (order, 3, 3).

        The largest group in which no operation shows more than a share `tolerance`.
        """
        group = self.operations
        for likeness in self.likenesses:
            if likeness.share > tolerance:
                break
            larger = generate_group([*group, likeness.operation])
            if larger is not None and all(
                self._share(operation) <= tolerance for operation in larger[len(group) :]
            ):
                group = larger
        return group

    def bravais(self, tolerance: float) -> str:
        """Bravais lattice that the crystal seems to have."""
        group = self.group(tolerance)
        bases = [primitive_basis(self.structure), *(lattice.basis for lattice in self.lattices)]
        faint = sum(lattice.strength <= tolerance for lattice in self.lattices)
        # The lattice without all its faint reflections, if it has the symmetry of the group. If
        # not, then their images cannot be seen either, and a finer lattice is meant.
        images = len(group) / len(self.operations)
        together = sum(lattice.strength <= images * tolerance for lattice in self.lattices)
        for basis in [*bases[faint : together + 1], *bases[:faint][::-1]]:
            try:
                return bravais_lattice(basis, group, 2 * STRAIN)
            except ValueError:
                continue
        return self.structure.bravais

    def _share(self, operation: np.ndarray) -> float:
        """Share of the likeness that stands for an operation; 1 if none was compared."""
        shares = [
            likeness.share
            for likeness in self.likenesses
            if same_operation(_double_coset(self.operations, likeness.operation), operation).any()
        ]
        return min(shares, default=1.0)


@dataclass(frozen=True)
class ApparentSymmetry:
    """Symmetry that a crystal seems to have, and how near it comes to more.

    Parameters
    ----------
    point_group, laue_group, bravais
        That the crystal seems to have; its own where nothing is hidden.
    next_point_group
        Group that it has with the most alike of the operations it does not have, or empty.
    correlation
        Of that operation, 0 if there is none.
    share
        Of a pattern's variance that tells the crystal from one with that operation.
    superlattice
        Share that tells its lattice from the nearest finer one.
    visibility
        Signal-to-noise ratio of the smaller of the two shares with a good camera; five is enough.
    noise
        1 - correlation that the noise of the master pattern alone makes.
    """

    point_group: str
    laue_group: str
    bravais: str
    next_point_group: str
    correlation: float
    share: float
    superlattice: float
    visibility: float
    noise: float


def apparent_symmetry(
    master: np.ndarray, structure: Structure, tolerance: float = FAINT
) -> ApparentSymmetry:
    """Symmetry that a crystal seems to have in its Kikuchi patterns.

    Parameters
    ----------
    master
        (2, n, n) master pattern on the square Lambert grid, in the crystal frame.
    structure
        The crystal.
    tolerance
        Share of a pattern's variance that stays unseen: :data:`FAINT` or :data:`INVISIBLE`.
    """
    return describe(compare(master, structure), tolerance)


def describe(comparison: Comparison, tolerance: float) -> ApparentSymmetry:
    """Symmetry that a crystal seems to have if shares up to a tolerance stay unseen."""
    name = point_group_name(comparison.group(tolerance))
    nearest, next_name = None, ""
    for likeness in comparison.likenesses:
        larger = generate_group([*comparison.operations, likeness.operation])
        if larger is not None:
            nearest, next_name = likeness, point_group_name(larger)
            break
    share = nearest.share if nearest else 1.0
    superlattice = min((lattice.strength for lattice in comparison.lattices), default=1.0)
    return ApparentSymmetry(
        point_group=name,
        laue_group=laue_group(name),
        bravais=comparison.bravais(tolerance),
        next_point_group=next_name,
        correlation=nearest.correlation if nearest else 0.0,
        share=share,
        superlattice=superlattice,
        visibility=SIGMAS * math.sqrt(min(share, superlattice) / INVISIBLE),
        noise=comparison.noise,
    )


def compare(master: np.ndarray, structure: Structure) -> Comparison:
    """Compare a master pattern with its images under operations that the crystal does not have.

    Parameters
    ----------
    master
        (2, n, n) on the square Lambert grid, in the crystal frame.
    structure
        The crystal.

    Raises
    ------
    InputError
        As :func:`.band_patterns.reflectors`.
    """
    master = np.ascontiguousarray(master, dtype=np.float32)
    lattices = average_lattices(structure, LARGEST_LOSS)
    own = point_operations(structure)
    maps = _candidates(structure, own, lattices)
    noise = sampling_noise(master, own)
    found = []
    if len(maps):
        reached = correlations(master, maps)
        off_grid = ~maps_grid(maps)
        reached[off_grid] /= 1 - noise
        share = np.clip((1 - reached) / 2, 0, 1)
        doubtful = off_grid & (share < UNDOUBTED)
        if doubtful.any():
            bands = band_intensities(
                reflectors(structure, most=800), half_size=FINE_HALF_SIZE, blur=FINE_BLUR
            )
            fine = (1 - correlations(bands, maps[doubtful])) / 2
            share[doubtful] = np.maximum(share[doubtful], fine)
        found = [
            Likeness(rotation, float(s))
            for rotation, s in zip(closest_rotation(maps), share, strict=True)
        ]
    found.sort(key=lambda likeness: likeness.share)
    return Comparison(structure, own, tuple(found), lattices, noise)


def _candidates(
    structure: Structure, own: np.ndarray, lattices: tuple[AverageLattice, ...]
) -> np.ndarray:
    """One map of each set that the crystal's own operations make of it, rigid and strained."""
    bases = [
        primitive_basis(structure),
        reduce_basis(structure_matrix(structure.cell)),
        *(lattice.basis for lattice in lattices),
    ]
    kept = [-np.eye(3)] if not same_operation(own, -np.eye(3)).any() else []
    cosets = [_double_coset(own, operation) for operation in kept]
    for basis in bases:
        maps = lattice_maps(basis, STRAIN)
        rotations = closest_rotation(maps)
        # Of equivalent operations those on the grid are exact, and the least strained best.
        order = np.lexsort((strain(maps).round(6), ~maps_grid(rotations)))
        seen: list[np.ndarray] = [own]
        for linear, rotation in zip(maps[order], rotations[order], strict=True):
            if any(same_operation(coset, rotation).any() for coset in seen):
                continue
            seen.append(_double_coset(own, rotation))
            for matrix in (rotation, linear):
                # Lattices mostly share their operations: exactly the same ones count once.
                if not any(
                    np.abs(coset - matrix).max(axis=(1, 2)).min() < 1e-4 for coset in cosets
                ):
                    kept.append(matrix)
                    cosets.append(_double_coset(own, matrix))
    return np.array(kept).reshape(-1, 3, 3)


def _double_coset(group: np.ndarray, operation: np.ndarray) -> np.ndarray:
    """All products of an operation with ones of a group on either side."""
    return np.einsum("aij,jk,bkl->abil", group, operation, group).reshape(-1, 3, 3)
