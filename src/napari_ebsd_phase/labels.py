# SPDX-License-Identifier: GPL-3.0-or-later
"""What a pattern of a map can be called, and the numbers that stand for it in label images."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from . import crystallography

__all__ = [
    "DECISION_LEVELS",
    "DEFAULT_THRESHOLD",
    "NO_LEVEL",
    "Label",
    "SummaryRow",
    "label_table",
]

#: Levels that a label can have, finest first.
DECISION_LEVELS = ("point_group", "laue_group", "crystal_system")

#: Level of a pixel whose evidence does not carry a label.
NO_LEVEL = "none"

#: A label is given where it is more likely than not.
DEFAULT_THRESHOLD = 0.5


@dataclass(frozen=True)
class Label:
    """A name at a level, with the number that stands for it in label images.

    The numbers are fixed (1 to 32 point groups, 33 to 43 Laue groups, 44 to 50 crystal systems, 0
    undecided), so that label images of different maps can be compared.
    """

    code: int
    level: str
    name: str

    @property
    def color(self) -> str:
        """Fixed colour, ``"#rrggbb"``."""
        return crystallography.color(self.level, self.name)

    @property
    def title(self) -> str:
        """Name that cannot be mistaken for a name of another level, like ``"Laue m-3m"``."""
        return f"Laue {self.name}" if self.level == "laue_group" else self.name


@dataclass(frozen=True)
class SummaryRow:
    """What a map says about one label.

    The fraction (0 to 1) is of the classified patterns. The lattice is the one that is most often
    the most probable. Undecided patterns have the label ``""``, the level ``"none"``, and the mean
    probability of their best crystal systems.
    """

    label: str
    level: str
    fraction: float
    count: int
    mean_probability: float
    bravais_lattice: str


@cache
def label_table() -> tuple[Label, ...]:
    """Every possible label; the label with code ``k`` is at index ``k - 1``."""
    pairs = [(level, name) for level in DECISION_LEVELS for name in crystallography.names(level)]
    return tuple(Label(code, *pair) for code, pair in enumerate(pairs, start=1))
