# SPDX-License-Identifier: GPL-3.0-or-later
"""Which known crystal structure fits the patterns of a region."""

from .agreement import View
from .ranking import Candidate, Ranking, rank_candidates
from .structures import candidate_structures, structures_from
from .typical_views import typical_views

__all__ = [
    "Candidate",
    "Ranking",
    "View",
    "candidate_structures",
    "rank_candidates",
    "structures_from",
    "typical_views",
]
