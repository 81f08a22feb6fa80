# SPDX-License-Identifier: GPL-3.0-or-later
"""Candidates for a region of a scan: its typical views, and the structures to try on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError
from .ranking import Ranking, rank_candidates
from .structures import candidate_structures
from .typical_views import check_possible, typical_views

if TYPE_CHECKING:
    from ..scan import Scan
    from ..training.structures import Structure

__all__ = ["rank_region"]


def rank_region(
    scan: Scan,
    region: np.ndarray,
    pairs: Sequence[tuple[str, str, float]],
    *,
    own: Sequence[Structure] = (),
    table: bool = True,
    projection_centre: tuple[float, float, float] | None = None,
    energy_kev: float = 20.0,
    progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Ranking:
    """Rank the structures that a region of a scan may be.

    Parameters
    ----------
    scan
        Open scan.
    region
        bool of the map's shape.
    pairs
        What its symmetry probably is, see :attr:`napari_ebsd_phase.regions.Identification.pairs`.
    own
        Structures that are tried whatever their symmetry.
    table
        Whether structures of the bundled table with that symmetry are tried, too.
    projection_centre, energy_kev
        See :func:`.typical_views` and :func:`.rank_candidates`.
    progress, cancelled
        See :func:`.rank_candidates`.

    Raises
    ------
    InputError
        Before any work, if something that is needed is missing.
    """
    check_possible(scan, projection_centre)
    structures = [*own, *(candidate_structures(pairs) if table else ())]
    if not structures:
        what = "no bundled structure has the symmetries of this region" if table else "none chosen"
        raise InputError(f"no structure to try ({what}): give CIF files")
    return rank_candidates(
        typical_views(scan, region, projection_centre=projection_centre),
        structures,
        energy_kev=energy_kev,
        progress=progress,
        cancelled=cancelled,
    )
