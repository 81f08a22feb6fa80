# SPDX-License-Identifier: GPL-3.0-or-later
"""Accuracy, calibration and confusion of a set of scores.

Every figure is a mean over materials (or over sets of measured patterns), so that no big class
hides a small one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..classifier import Classifier
from ..crystallography import LAUE_GROUPS, LAUE_INDEX, LEVELS, POINT_GROUPS, names
from .scores import Scores, level_probabilities, reported

__all__ = ["right_by_set", "summarise"]

_BINS = 15


def _mean_by_material(values: np.ndarray, material: np.ndarray) -> tuple[float, list[float]]:
    """Mean over materials of the mean within each, and its 95 % bootstrap interval."""
    counts = np.bincount(material)
    means = (np.bincount(material, weights=values) / np.maximum(counts, 1))[counts > 0]
    rng = np.random.default_rng(0)
    spread = means[rng.integers(0, len(means), (1000, len(means)))].mean(axis=1)
    return float(means.mean()), [float(v) for v in np.percentile(spread, [2.5, 97.5])]


def _calibration(confidence: np.ndarray, right: np.ndarray) -> tuple[float, list[list[float]]]:
    """Expected calibration error, and the reliability curve: confidence, accuracy, share."""
    bins = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    error, curve = 0.0, []
    for b in range(_BINS):
        inside = bins == b
        if inside.any():
            c, a, share = confidence[inside].mean(), right[inside].mean(), inside.mean()
            error += share * abs(c - a)
            # Six digits are far below the noise, and cards and reports stay small.
            curve.append([round(float(v), 6) for v in (c, a, share)])
    return float(error), curve


def summarise(
    classifier: Classifier, data: Scores, prior: str | np.ndarray = "uniform"
) -> dict[str, Any]:
    """Accuracies, calibration and confusion of a set of scores, as JSON-able values.

    Returns
    -------
    dict
        ``materials``, ``patterns``, and for each level ``accuracy`` (mean over materials) with
        its 95 % bootstrap ``interval``, ``pooled`` (share of materials that are right when the
        log probabilities of all their patterns are added), ``ece`` (15 bins) and
        ``reliability``; ``recall`` by class and ``confusion`` for Laue groups and lattices;
        ``point_group_within_laue``: accuracy of the point group where the Laue group is right,
        against always naming the most frequent group of these materials.
    """
    point, lattice = classifier.probabilities(data.scores, prior)
    count = len(data.groups)
    result: dict[str, Any] = {"materials": count, "patterns": len(data.scores)}
    for level in LEVELS:
        probabilities = level_probabilities(point, lattice, level)
        truth = data.truth(level)
        best, confidence = reported(point, lattice, level)
        right = best == truth
        accuracy, interval = _mean_by_material(right, data.material)
        logs = np.zeros((count, probabilities.shape[1]))
        np.add.at(logs, data.material, np.log(np.maximum(probabilities, 1e-6)))
        first = np.array([np.flatnonzero(data.material == i)[0] for i in range(count)])
        ece, curve = _calibration(confidence, right)
        result[level] = {
            "accuracy": accuracy,
            "interval": interval,
            "pooled": float((logs.argmax(axis=1) == truth[first]).mean()),
            "ece": ece,
            "reliability": curve,
            "recall": _recall(right, truth, data.material, names(level)),
        }
        if level in ("laue_group", "bravais_lattice"):
            size = len(names(level))
            confusion = np.zeros((size, size), dtype=int)
            np.add.at(confusion, (truth, best), 1)
            result[level]["confusion"] = confusion.tolist()
    result["point_group_within_laue"] = _within_laue(data, point)
    return result


def _recall(
    right: np.ndarray, truth: np.ndarray, material: np.ndarray, labels: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Mean over materials of the share right, and the number of materials, by true class."""
    table = {}
    for i, label in enumerate(labels):
        inside = truth == i
        if inside.any():
            _, compact = np.unique(material[inside], return_inverse=True)
            accuracy, _ = _mean_by_material(right[inside], compact)
            table[label] = {"accuracy": accuracy, "materials": int(compact.max() + 1)}
    return table


def _within_laue(data: Scores, point: np.ndarray) -> dict[str, Any]:
    """Point-group accuracy where the Laue group is right, against the majority guess."""
    found = LAUE_INDEX[point.argmax(axis=1)] == LAUE_INDEX[data.point_group]
    if not found.any():
        return {"accuracy": 0.0, "majority": 0.0, "gain": 0.0, "gain_interval": [0.0, 0.0]}
    majority = np.zeros(len(LAUE_GROUPS), dtype=int)
    first = {m: p for m, p in zip(data.material, data.point_group, strict=True)}
    by_group = np.bincount(list(first.values()), minlength=len(POINT_GROUPS))
    for laue in range(len(LAUE_GROUPS)):
        members = np.flatnonzero(np.equal(LAUE_INDEX, laue))
        majority[laue] = members[by_group[members].argmax()]
    right = (point.argmax(axis=1) == data.point_group)[found].astype(float)
    guess = (majority[LAUE_INDEX[data.point_group]] == data.point_group)[found].astype(float)
    _, compact = np.unique(data.material[found], return_inverse=True)
    gain, interval = _mean_by_material(right - guess, compact)
    return {
        "accuracy": _mean_by_material(right, compact)[0],
        "majority": _mean_by_material(guess, compact)[0],
        "gain": gain,
        "gain_interval": interval,
    }


def right_by_set(classifier: Classifier, data: Scores, prior: str) -> dict[str, dict[str, int]]:
    """Number of patterns, and of right ones at each level, of each measured set."""
    point, lattice = classifier.probabilities(data.scores, prior)
    right = {level: reported(point, lattice, level)[0] == data.truth(level) for level in LEVELS}
    table = {}
    for i, name in enumerate(data.groups):
        inside = data.material == i
        table[name] = {"patterns": int(inside.sum())}
        table[name] |= {level: int(right[level][inside].sum()) for level in LEVELS}
    return table
