# SPDX-License-Identifier: GPL-3.0-or-later
"""Which known crystal structure fits the patterns of a region."""

from .agreement import View
from .ranking import LEAST_AGREEMENT, Candidate, Ranking, rank_candidates
from .region import rank_region
from .structures import candidate_structures, structures_from
from .typical_views import check_possible, typical_views

__all__ = [
    "LEAST_AGREEMENT",
    "Candidate",
    "Ranking",
    "View",
    "candidate_structures",
    "check_possible",
    "rank_candidates",
    "rank_region",
    "structures_from",
    "typical_views",
]
