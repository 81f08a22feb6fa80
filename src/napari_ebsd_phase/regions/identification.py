# SPDX-License-Identifier: GPL-3.0-or-later
"""The answer to "what is this region?"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import crystallography

__all__ = ["Identification"]


@dataclass(frozen=True, eq=False)
class Identification:
    """What the patterns of a region say together.

    Attributes
    ----------
    patterns
        Number of patterns in the region.
    used
        How many of them were read.
    nameable
        How many of those hold one Kikuchi pattern and were counted.
    views
        How many different views they show, see :mod:`.views`.
    weight
        How many independent views that is worth, at most 1.43.
    point_group_probabilities, bravais_probabilities
        float32 of shapes (32,) and (14,), each summing to one.
    threshold
        Probability that the label needs.
    label, level
        Name at the finest level that reaches the threshold, as in :meth:`.PhaseMap.decide`:
        ``""`` and ``"none"`` if none does or no pattern counts.
    pairs
        Point group, Bravais lattice and probability of the pairs of 1 % or more, most probable
        first.
    notes
        Sentences on what limits the answer.
    """

    patterns: int
    used: int
    nameable: int
    views: float
    weight: float
    point_group_probabilities: np.ndarray
    bravais_probabilities: np.ndarray
    threshold: float
    label: str
    level: str
    pairs: list[tuple[str, str, float]]
    notes: tuple[str, ...]

    def probabilities(self, level: str) -> np.ndarray:
        """Probabilities at a level, shape (n,), in the order of ``names(level)``."""
        if level == "bravais_lattice":
            return self.bravais_probabilities
        return crystallography.marginal(self.point_group_probabilities, level)

    def ranked(self, level: str, most: int = 5) -> list[tuple[str, float]]:
        """Names and probabilities of the most probable classes of a level, best first.

        The label need not be the first of them: it goes together with the other levels, see
        :func:`~.decoding.best_pair`.
        """
        values = self.probabilities(level)
        order = np.argsort(-values, kind="stable")[:most]
        return [(crystallography.names(level)[i], float(values[i])) for i in order]

    def to_dict(self) -> dict[str, Any]:
        """All of it as values that JSON can hold, probabilities by name."""
        plain = ("patterns", "used", "nameable", "label", "level", "threshold")
        return {
            **{name: getattr(self, name) for name in plain},
            "views": round(self.views, 3),
            "weight": round(self.weight, 3),
            **{
                level: {
                    name: round(float(value), 6)
                    for name, value in zip(
                        crystallography.names(level), self.probabilities(level), strict=True
                    )
                }
                for level in crystallography.LEVELS
            },
            "pairs": [
                {"point_group": group, "bravais_lattice": lattice, "probability": round(value, 6)}
                for group, lattice, value in self.pairs
            ],
            "notes": list(self.notes),
        }
