# SPDX-License-Identifier: GPL-3.0-or-later
"""How much a heat map has to do with zone axes: pure functions of values and angles.

Nothing here knows a network or a crystal, so that a heat map of any origin, the pattern's own
brightness included, is measured by the same rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

__all__ = [
    "FEWEST",
    "NEAR",
    "Interval",
    "angles_to",
    "axis_means",
    "bootstrap",
    "mass_share",
    "pointing_hit",
    "rank_correlation",
]

NEAR = 3.0
"""What is near a zone axis: within so many degrees, true angle."""
FEWEST = 4
"""Axes that a pattern must show for a rank correlation to be taken."""


def angles_to(directions: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """Angle between each pixel's direction and each axis, an axis being the same both ways.

    Parameters
    ----------
    directions
        Unit vectors of shape (h, w, 3).
    axes
        Unit vectors of shape (n, 3).

    Returns
    -------
    numpy.ndarray
        Degrees in [0, 90], float64 of shape (n, h, w).
    """
    cosine = np.abs(np.einsum("hwk,nk->nhw", directions, np.asarray(axes, dtype=float)))
    return np.asarray(np.rad2deg(np.arccos(np.clip(cosine, 0.0, 1.0))))


def mass_share(heat: np.ndarray, near: np.ndarray, screen: np.ndarray) -> float:
    """Share of a heat map that lies in a region of the screen.

    Parameters
    ----------
    heat
        Shape (h, w); values below zero count as zero.
    near, screen
        bool of shape (h, w).

    Returns
    -------
    float
        In [0, 1]; NaN if the map is empty.
    """
    mass = np.clip(heat, 0.0, None) * screen
    total = mass.sum()
    return float(mass[near].sum() / total) if total > 0 else float("nan")


def pointing_hit(heat: np.ndarray, near: np.ndarray, screen: np.ndarray) -> float:
    """Whether the largest value on the screen lies in a region (Zhang et al., ECCV 2016).

    Returns
    -------
    float
        1 or 0; of several pixels with the largest value, their share that does. NaN where the map
        is the same everywhere, which points nowhere.
    """
    values = np.where(screen, heat, -np.inf)
    top = values == values.max()
    if top[screen].all():
        return float("nan")
    return float(near[top].mean())


def axis_means(
    heat: np.ndarray, angles: np.ndarray, screen: np.ndarray, radius: float = NEAR
) -> np.ndarray:
    """Mean of a heat map within some degrees of each axis.

    Parameters
    ----------
    heat
        Shape (h, w).
    angles
        Shape (n, h, w), see :func:`angles_to`.
    screen
        bool of shape (h, w).
    radius
        Degrees.

    Returns
    -------
    numpy.ndarray
        float64 of shape (n,); NaN where no pixel of the screen is so near.
    """
    near = (angles <= radius) & screen
    count = near.sum(axis=(1, 2))
    total = (near * heat).sum(axis=(1, 2), dtype=float)
    return np.divide(total, count, out=np.full(len(angles), np.nan), where=count > 0)


def rank_correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Spearman's rank correlation, over the places where both have a value.

    Returns
    -------
    float
        In [-1, 1]; NaN if fewer than :data:`FEWEST` places are left, or one does not vary.
    """
    one, other = np.asarray(one, dtype=float).ravel(), np.asarray(other, dtype=float).ravel()
    both = np.isfinite(one) & np.isfinite(other)
    if both.sum() < FEWEST:
        return float("nan")
    a, b = rankdata(one[both]), rankdata(other[both])
    if a.std() == 0 or b.std() == 0:
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])


@dataclass(frozen=True)
class Interval:
    """A mean over groups and where 95 % of its bootstrap copies lie.

    Parameters
    ----------
    mean, low, high
        NaN if no group has a value.
    groups
        Number of groups that have one.
    """

    mean: float
    low: float
    high: float
    groups: int

    def __format__(self, spec: str) -> str:
        """``mean (low to high)``, each in the given format."""
        if not self.groups:
            return "none"
        return f"{self.mean:{spec}} ({self.low:{spec}} to {self.high:{spec}})"


def bootstrap(
    values: Sequence[float] | np.ndarray,
    groups: Sequence[str] | np.ndarray,
    *,
    draws: int = 2000,
    seed: int = 0,
) -> Interval:
    """Mean over groups of the group's mean, with a 95 % interval over groups.

    Patterns of one material are alike, and many of them say little about the next material: it is
    materials that are drawn again and again (Efron's percentile bootstrap), not patterns.

    Parameters
    ----------
    values
        Shape (n,); NaN counts as missing.
    groups
        Group of each value, shape (n,).
    draws, seed
        Of the bootstrap.
    """
    values, groups = np.asarray(values, dtype=float), np.asarray(groups)
    known = np.isfinite(values)
    means = np.array([values[known & (groups == g)].mean() for g in np.unique(groups[known])])
    if not len(means):
        return Interval(*3 * (float("nan"),), 0)
    rng = np.random.default_rng(seed)
    copies = means[rng.integers(0, len(means), (draws, len(means)))].mean(axis=1)
    low, high = np.percentile(copies, [2.5, 97.5])
    return Interval(float(means.mean()), float(low), float(high), len(means))
