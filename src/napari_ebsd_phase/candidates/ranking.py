# SPDX-License-Identifier: GPL-3.0-or-later
"""Candidate structures of a region, ranked by how well their simulated bands fit its patterns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ..errors import InputError
from .agreement import View, best_nearby

if TYPE_CHECKING:
    from ..training.structures import Structure

__all__ = ["LEAST_AGREEMENT", "Candidate", "Ranking", "rank_candidates"]

LEAST_AGREEMENT: Final = 0.45
"""Mean agreement below which no candidate is said to fit, see ``benchmarks/candidates.py``."""

ALIKE: Final = 0.1
"""Candidates that agree less well than the best by no more than this may be it, too."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """One structure and its fit.

    Parameters
    ----------
    structure
        The structure.
    each
        (views,) normalised cross-correlation of its simulated bands with each view, -1 to 1; 0
        where no orientation explains the bands.
    band_misfit
        (views,) mean angle in degrees between found and expected bands; not a number where no
        orientation explains them.
    """

    structure: Structure
    each: np.ndarray
    band_misfit: np.ndarray

    @property
    def agreement(self) -> float:
        """Mean over the views."""
        return float(self.each.mean())

    def to_dict(self) -> dict[str, Any]:
        """What JSON can hold."""
        s = self.structure
        return {
            "name": s.id,
            "formula": s.formula,
            "space_group": s.space_group,
            "point_group": s.point_group,
            "bravais_lattice": s.bravais,
            "cell": [round(value, 5) for value in s.cell],
            "source": s.source,
            "agreement": round(self.agreement, 4),
            "each": [round(float(value), 4) for value in self.each],
            "band_misfit": [
                round(float(value), 3) if np.isfinite(value) else None for value in self.band_misfit
            ],
        }


@dataclass(frozen=True, eq=False)
class Ranking:
    """Candidates, best first, and which of them may be the phase.

    Parameters
    ----------
    candidates
        Those that were tried.
    asked
        How many were to be tried; more than there are candidates if it was cancelled.
    """

    candidates: tuple[Candidate, ...]
    asked: int

    @property
    def fitting(self) -> tuple[Candidate, ...]:
        """Those that fit about as well as the best; none if the best agrees as wrong ones do."""
        if not self.candidates or self.candidates[0].agreement < LEAST_AGREEMENT:
            return ()
        best = self.candidates[0].agreement
        return tuple(c for c in self.candidates if c.agreement >= best - ALIKE)

    @property
    def verdict(self) -> str:
        """What that means, in a sentence without a full stop."""
        if not self.fitting:
            return f"none of them fits: that takes an agreement of {LEAST_AGREEMENT:.2f}"
        if len(self.fitting) == 1:
            return "one of them fits"
        return f"{len(self.fitting)} of them fit about as well: these patterns cannot tell them"

    def to_dict(self) -> dict[str, Any]:
        """What JSON can hold."""
        return {
            "tried": len(self.candidates),
            "fitting": len(self.fitting),
            "ranking": [candidate.to_dict() for candidate in self.candidates],
        }


def rank_candidates(
    views: Sequence[View],
    structures: Sequence[Structure],
    *,
    energy_kev: float = 20.0,
    progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Ranking:
    """Try structures on some views of one phase.

    For each, the orientation comes from Hough indexing (PyEBSDIndex through kikuchipy), and is
    refined to the best agreement with simulated bands. These have the widths and strengths of real
    ones, and none of the fine structure of zone axes
    (:mod:`napari_ebsd_phase.training.band_patterns`).

    Parameters
    ----------
    views
        Views with a known projection centre, see :func:`.typical_views`.
    structures
        Structures to try.
    energy_kev
        Energy of the beam.
    progress
        Called with the number of structures tried and to be tried.
    cancelled
        Asked before each structure; when true, the ranking is that of those tried so far.

    Raises
    ------
    InputError
        If there is no view or no structure, PyEBSDIndex is not installed, or a structure cannot be
        simulated.
    """
    from ..training.band_patterns import band_master_pattern
    from ..zone_axes import require_hough

    require_hough()
    if not views:
        raise InputError("no pattern to compare structures with: choose a region with patterns")
    if not structures:
        raise InputError("no structure to try: give CIF files")
    if not 1 <= energy_kev <= 400:
        raise InputError(f"the energy of the beam must be 1 to 400 keV, not {energy_kev:g}")
    found = []
    for number, structure in enumerate(structures):
        if cancelled and cancelled():
            break
        master = band_master_pattern(structure, energy_kev).data
        fits = [_fit(structure, master, view) for view in views]
        each, misfit = np.array(fits).T
        found.append(Candidate(structure, each, misfit))
        if progress:
            progress(number + 1, len(structures))
    found.sort(key=lambda candidate: -candidate.agreement)
    return Ranking(tuple(found), len(structures))


def _fit(structure: Structure, master: np.ndarray, view: View) -> tuple[float, float]:
    """Agreement and misfit of the bands of a structure in its best orientation."""
    from ..training.structures import phase_of
    from ..zone_axes import detector_to_crystal, hough_indexer

    geometry = view.square()
    # Few bands must match: the agreement is the better judge of the orientation.
    try:
        found = hough_indexer(phase_of(structure), geometry, min_matched=3)(view.inputs)
    except InputError:  # no orientation fits: the outcome of a trial, not a fault
        return 0.0, np.nan
    best, _ = best_nearby(master, detector_to_crystal(found.rotation, geometry), view)
    return best, found.fit
