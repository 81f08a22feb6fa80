# SPDX-License-Identifier: GPL-3.0-or-later
"""What a legend says: the labels of a map at one level, each with its share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..crystallography import UNDECIDED_COLOR, colors
from ..labels import NO_LEVEL, label_table
from .label_cache import NOT_DONE, LabelCache
from .label_cache import UNDECIDED as UNDECIDED_VALUE
from .layers import LABEL_ROLES, TITLES

#: Levels that a map is shown at, and what they are called.
LEVEL_TITLES = {role: TITLES[role] for role in LABEL_ROLES}

#: What stands in a legend for pixels without a name: the evidence carries none; the frame holds no
#: pattern (at one level every pattern has a most probable name); not looked at.
UNDECIDED = "undecided"
NO_PATTERN = "no pattern"
NOT_CLASSIFIED = "not classified yet"

# Pixels that are counted at once.
_PART = 65_536


@dataclass(frozen=True)
class LegendRow:
    """One line of a legend.

    Attributes
    ----------
    value
        The number of the label in the Labels layer; 0 is undecided, None not classified yet.
    name
        As it is shown; a Laue group in a map of mixed levels is ``"Laue m-3m"``.
    level
        Level of the name, ``"none"`` without one.
    color
        ``"#rrggbb"``, or ``""`` where the map shows nothing.
    count
        Number of pixels.
    share
        Part of the classified pixels, 0 to 1; NaN for what is not classified.
    mean_probability
        Mean over the pixels; NaN for what is not classified. That of undecided pixels is the mean
        of their best names.
    """

    value: int | None
    name: str
    level: str
    color: str
    count: int
    share: float
    mean_probability: float


@dataclass(frozen=True)
class _Name:
    """What stands behind one value of a Labels layer."""

    name: str
    level: str
    color: str


def names_at(level: str) -> tuple[_Name, ...]:
    """Names that the values 1, 2, ... of a Labels layer stand for.

    Parameters
    ----------
    level
        ``"label"`` (levels mixed, as :func:`~.labels.label_table` numbers them) or one of
        :data:`~.crystallography.LEVELS`.
    """
    if level == "label":
        return tuple(_Name(label.title, label.level, label.color) for label in label_table())
    return tuple(_Name(name, level, color) for name, color in colors(level).items())


def legend_rows(cache: LabelCache, level: str) -> list[LegendRow]:
    """Return the legend of what the layers of a map show at one level.

    Pixels of the coarse preview count when their own pattern is classified.
    """
    return count_labels(cache.values(level), cache.probabilities(level), cache.done, level)


def count_labels(
    values: NDArray[np.integer],
    probability: NDArray[np.floating],
    done: NDArray[np.bool_],
    level: str,
) -> list[LegendRow]:
    """Count the labels of a map.

    Parameters
    ----------
    values
        Shape (rows, cols): 0 undecided, 1 to n the names of `level`.
    probability
        Shape (rows, cols): probability of each label. Not read where nothing is done.
    done
        Shape (rows, cols): where patterns are classified.
    level
        As for :func:`names_at`.

    Returns
    -------
    list of LegendRow
        Largest share first, then undecided, then what is not classified yet; only what is there.
    """
    # It runs again and again while a map fills: all names in one pass, in parts that fit into the
    # processor's cache. (The last bin's sum is of no meaning.)
    counts, sums = np.zeros(NOT_DONE + 1, np.intp), np.zeros(NOT_DONE + 1)
    height = max(1, _PART // values.shape[1])
    for start in range(0, len(values), height):
        part = slice(start, start + height)
        if not done[part].any():
            counts[NOT_DONE] += done[part].size
            continue
        bins = np.where(done[part], values[part], np.uint8(NOT_DONE)).ravel().astype(np.intp)
        counts += np.bincount(bins, minlength=NOT_DONE + 1)
        sums += np.bincount(bins, probability[part].ravel(), minlength=NOT_DONE + 1)
    total = int(counts[:NOT_DONE].sum())

    def row(value: int, name: str, at: str, color: str) -> LegendRow:
        count = int(counts[value])
        return LegendRow(value, name, at, color, count, count / total, float(sums[value] / count))

    rows = [
        row(value, name.name, name.level, name.color)
        for value, name in enumerate(names_at(level), start=1)
        if counts[value]
    ]
    rows.sort(key=lambda row: -row.count)
    if counts[UNDECIDED_VALUE]:
        name = UNDECIDED if level == "label" else NO_PATTERN
        rows.append(row(UNDECIDED_VALUE, name, NO_LEVEL, UNDECIDED_COLOR))
    if left := int(counts[NOT_DONE]):
        nan = float("nan")
        rows.append(LegendRow(None, NOT_CLASSIFIED, NO_LEVEL, "", left, nan, nan))
    return rows


def classified(rows: Sequence[LegendRow]) -> int:
    """Number of classified pixels that a legend counts."""
    return sum(row.count for row in rows if row.value is not None)
