# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures of merit in which every material weighs the same, however many patterns it has."""

from __future__ import annotations

import numpy as np

__all__ = [
    "calibration_error",
    "coverage_at",
    "material_weights",
    "mean_over_materials",
    "separation",
]

_BINS = 15


def material_weights(material: np.ndarray) -> np.ndarray:
    """Weight of each pattern so that each material weighs the same; they sum to one."""
    counts = np.bincount(material)
    weights = 1.0 / counts[material]
    return weights / weights.sum()


def mean_over_materials(values: np.ndarray, material: np.ndarray) -> tuple[float, list[float]]:
    """Mean over materials of the mean within each, and its 95 % bootstrap interval.

    Parameters
    ----------
    values
        One number a pattern, shape (n,).
    material
        Index of each pattern's material, shape (n,).
    """
    counts = np.bincount(material)
    means = (np.bincount(material, weights=values) / np.maximum(counts, 1))[counts > 0]
    rng = np.random.default_rng(0)
    spread = means[rng.integers(0, len(means), (1000, len(means)))].mean(axis=1)
    return float(means.mean()), [float(v) for v in np.percentile(spread, [2.5, 97.5])]


def calibration_error(
    confidence: np.ndarray, right: np.ndarray, weight: np.ndarray
) -> tuple[float, list[list[float]]]:
    """Expected calibration error in 15 equal bins, and the reliability curve.

    Parameters
    ----------
    confidence
        Probability given to what was named, shape (n,).
    right
        Whether it was right, shape (n,).
    weight
        Of each pattern, summing to one, shape (n,).

    Returns
    -------
    error : float
        Mean distance between probability and share right.
    curve : list
        Probability, share right and share of the patterns of each bin that is not empty.
    """
    bins = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    error, curve = 0.0, []
    for b in np.unique(bins):
        inside = bins == b
        share = weight[inside].sum()
        c, a = ((weight * v)[inside].sum() / share for v in (confidence, right))
        error += share * abs(c - a)
        # Six digits are far below the noise, and cards and reports stay small.
        curve.append([round(float(v), 6) for v in (c, a, share)])
    return float(error), curve


def coverage_at(
    precision: float, confidence: np.ndarray, right: np.ndarray, weight: np.ndarray
) -> tuple[float, float]:
    """Largest share of patterns that can be labelled with a precision, by confidence alone.

    Parameters
    ----------
    precision
        Share of the labels that must be right.
    confidence, right, weight
        See :func:`calibration_error`.

    Returns
    -------
    coverage : float
        Share of the patterns at or above the best threshold; 0 if no threshold will do.
    threshold : float
        That threshold; 1 if none will do.
    """
    order = np.argsort(-confidence, kind="stable")
    covered = np.cumsum(weight[order])
    correct = np.cumsum((weight * right)[order])
    # A threshold cannot part patterns of equal confidence.
    last = np.append(np.diff(confidence[order]) < 0, True)
    # Sums of weights carry rounding errors: 19 of 20 equal weights are 0.95 or a little less.
    enough = np.flatnonzero(last & (correct >= (precision - 1e-9) * covered))
    if not len(enough):
        return 0.0, 1.0
    return float(covered[enough[-1]]), float(confidence[order][enough[-1]])


def separation(wanted: np.ndarray, others: np.ndarray, weight: np.ndarray) -> float:
    """AUROC: how often a pattern scores higher than a frame that is none; ties count half.

    Parameters
    ----------
    wanted
        Scores of patterns, shape (n,).
    others
        Scores of frames that are no patterns, shape (m,).
    weight
        Of each pattern, summing to one, shape (n,).
    """
    ordered = np.sort(others)
    below = np.searchsorted(ordered, wanted, side="left")
    not_above = np.searchsorted(ordered, wanted, side="right")
    return float((weight * (below + not_above)).sum() / (2 * len(others)))
