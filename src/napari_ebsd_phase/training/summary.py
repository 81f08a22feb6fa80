# SPDX-License-Identifier: GPL-3.0-or-later
"""Accuracy, calibration and confusion of a set of scores.

Every figure is a mean over materials (or over sets of measured patterns), so that no big class
hides a small one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..classifier import Classifier, Outputs
from ..crystallography import LAUE_GROUPS, LAUE_INDEX, LEVELS, POINT_GROUPS, names
from .measures import (
    calibration_error,
    coverage_at,
    material_weights,
    mean_over_materials,
    separation,
)
from .pooling import pool_groups, pooled_probabilities
from .scores import DECISION_LEVELS, Scores, decided, reported

__all__ = ["POOLED", "PRECISION", "RARE_GROUPS", "right_by_set", "summarise"]

RARE_GROUPS = ("-6", "1", "4", "-4", "3")
"""Point groups with the fewest structures, reported one by one."""
PRECISION = 0.95
"""Share of Laue groups that must be right where the share that can be labelled is told."""
POOLED = 20
"""Orientations of one material that are pooled."""


def summarise(
    classifier: Classifier,
    data: Scores,
    prior: str | np.ndarray = "known",
    disturbed: Mapping[str, Outputs] | None = None,
) -> dict[str, Any]:
    """All figures of a set of scores, as JSON-able values.

    Parameters
    ----------
    classifier
        Its card supplies calibration and class prior.
    data
        Scores with the truth.
    prior
        Class prior, by name or as frequencies of shape (32, 14).
    disturbed
        What the network said of frames that hold no pattern, or two; see
        :func:`.scores.draw_disturbed`.

    Returns
    -------
    dict
        ``materials``, ``patterns``, and for each level ``accuracy`` (mean over materials) with
        its 95 % bootstrap ``interval``, ``pooled`` and ``pooled_interval`` (the same of groups of
        20 patterns of a material, see :func:`.pooling.pooled_probabilities`), ``ece`` (15 bins)
        and ``reliability``; ``recall`` by class and ``confusion`` for Laue groups and lattices.

        ``point_group_within_laue``: accuracy of the point group where the Laue group is right,
        against always naming the most frequent group of these materials. ``labelled``: largest
        share of patterns whose Laue group can be told with a precision of 95 %, and from which
        probability. ``decision``: what the card's own thresholds label. ``rare_groups``: the
        rarest point groups one by one. ``pattern_score``, if `disturbed` is given: AUROC of the
        score that tells patterns, by kind of disturbance and for all kinds together (weighing the
        same); if the card has a ``pattern_threshold``, the shares of patterns ``kept`` and of
        other frames ``rejected`` by it.
    """
    point, lattice = classifier.probabilities(data.scores, prior)
    weight = material_weights(data.material)
    group, first = pool_groups(data.material, POOLED)
    pooled = pooled_probabilities(classifier, data.scores, group, prior)
    result: dict[str, Any] = {"materials": len(data.groups), "patterns": len(data.scores)}
    right = {}
    for level in LEVELS:
        truth = data.truth(level)
        best, confidence = reported(point, lattice, level)
        right[level] = best == truth
        accuracy, interval = mean_over_materials(right[level], data.material)
        pooled_right = reported(*pooled, level)[0] == truth[first]
        pooled_accuracy, pooled_interval = mean_over_materials(pooled_right, data.material[first])
        ece, curve = calibration_error(confidence, right[level], weight)
        result[level] = {
            "accuracy": accuracy,
            "interval": interval,
            "pooled": pooled_accuracy,
            "pooled_interval": pooled_interval,
            "ece": ece,
            "reliability": curve,
            "recall": _recall(right[level], truth, data.material, names(level)),
        }
        if level == "laue_group":
            coverage, threshold = coverage_at(PRECISION, confidence, right[level], weight)
            result["labelled"] = {
                "precision": PRECISION,
                "share": coverage,
                "threshold": threshold,
            }
        if level in ("laue_group", "bravais_lattice"):
            size = len(names(level))
            confusion = np.zeros((size, size), dtype=int)
            np.add.at(confusion, (truth, best), 1)
            result[level]["confusion"] = confusion.tolist()
    result["point_group_within_laue"] = _within_laue(
        data, reported(point, lattice, "point_group")[0]
    )
    result["decision"] = _decision(classifier, data, (point, lattice), right, weight)
    result["rare_groups"] = _rare_groups(data, right)
    if disturbed is not None:
        result["pattern_score"] = _pattern_score(classifier, data, point, disturbed, prior, weight)
    return result


def _recall(
    right: np.ndarray, truth: np.ndarray, material: np.ndarray, labels: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Mean over materials of the share right, and the number of materials, by true class."""
    table = {}
    for i, label in enumerate(labels):
        inside = truth == i
        if inside.any():
            accuracy, _ = mean_over_materials(right[inside], material[inside])
            count = len(np.unique(material[inside]))
            table[label] = {"accuracy": accuracy, "materials": count}
    return table


def _within_laue(data: Scores, named: np.ndarray) -> dict[str, Any]:
    """Point-group accuracy where the Laue group is right, against the majority guess."""
    laue = np.asarray(LAUE_INDEX)
    found = laue[named] == laue[data.point_group]
    if not found.any():
        return {
            "materials": 0, "accuracy": 0.0, "majority": 0.0, "gain": 0.0,
            "gain_interval": [0.0, 0.0],
        }  # fmt: skip
    majority = np.zeros(len(LAUE_GROUPS), dtype=int)
    of_material = {m: p for m, p in zip(data.material, data.point_group, strict=True)}
    by_group = np.bincount(list(of_material.values()), minlength=len(POINT_GROUPS))
    for i in range(len(LAUE_GROUPS)):
        members = np.flatnonzero(laue == i)
        majority[i] = members[by_group[members].argmax()]
    right = (named == data.point_group)[found].astype(float)
    guess = (majority[laue[data.point_group]] == data.point_group)[found].astype(float)
    gain, interval = mean_over_materials(right - guess, data.material[found])
    return {
        "materials": len(np.unique(data.material[found])),
        "accuracy": mean_over_materials(right, data.material[found])[0],
        "majority": mean_over_materials(guess, data.material[found])[0],
        "gain": gain,
        "gain_interval": interval,
    }


def _decision(
    classifier: Classifier,
    data: Scores,
    probabilities: tuple[np.ndarray, np.ndarray],
    right: Mapping[str, np.ndarray],
    weight: np.ndarray,
) -> dict[str, Any]:
    """Shares of patterns that the card's thresholds label at each level, and of right labels."""
    level = decided(*probabilities, classifier.threshold)
    if data.pattern is not None:
        level[data.pattern < classifier.quality_threshold] = len(DECISION_LEVELS)
    result: dict[str, Any] = {"threshold": classifier.threshold}
    labelled = correct = 0.0
    for i, name in enumerate(DECISION_LEVELS):
        inside = level == i
        result[name] = float(weight[inside].sum())
        labelled += result[name]
        correct += float((weight * right[name])[inside].sum())
    return result | {"labelled": labelled, "right": correct / labelled if labelled else 0.0}


def _rare_groups(data: Scores, right: Mapping[str, np.ndarray]) -> dict[str, dict[str, float]]:
    """Accuracies of the patterns of each rare point group that is among the materials."""
    table: dict[str, dict[str, float]] = {}
    for name in RARE_GROUPS:
        inside = data.point_group == POINT_GROUPS.index(name)
        if inside.any():
            table[name] = {"materials": len(np.unique(data.material[inside]))}
            for level in ("point_group", "laue_group"):
                table[name][level] = mean_over_materials(
                    right[level][inside], data.material[inside]
                )[0]
    return table


def _pattern_score(
    classifier: Classifier,
    data: Scores,
    point: np.ndarray,
    disturbed: Mapping[str, Outputs],
    prior: str | np.ndarray,
    weight: np.ndarray,
) -> dict[str, Any]:
    """How well patterns are told from other frames; from 0.5, not at all, to 1."""
    by_kind = {}
    if data.pattern is not None:
        wanted, score = data.pattern, "pattern probability"
        by_kind = {kind: outputs.pattern for kind, outputs in disturbed.items()}
    else:
        wanted, score = point.max(axis=1), "largest class probability"
        for kind, outputs in disturbed.items():
            by_kind[kind] = classifier.probabilities(outputs.scores, prior)[0].max(axis=1)
    auroc = {kind: separation(wanted, values, weight) for kind, values in by_kind.items()}
    together = float(np.mean(list(auroc.values())))  # kinds weigh the same
    frames = sum(len(values) for values in by_kind.values())
    result = {"score": score, "frames": frames, "auroc": {**auroc, "together": together}}
    threshold = classifier.quality_threshold
    if data.pattern is not None and threshold > 0:
        result["threshold"] = threshold
        result["kept"] = float(weight[wanted >= threshold].sum())
        rejected = [(values < threshold).mean() for values in by_kind.values()]
        result["rejected"] = float(np.mean(rejected))
    return result


def right_by_set(
    classifier: Classifier, data: Scores, prior: str | np.ndarray = "known"
) -> dict[str, dict[str, int]]:
    """Number of patterns, and of right ones at each level, of each measured set."""
    point, lattice = classifier.probabilities(data.scores, prior)
    right = {level: reported(point, lattice, level)[0] == data.truth(level) for level in LEVELS}
    table = {}
    for i, name in enumerate(data.groups):
        inside = data.material == i
        table[name] = {"patterns": int(inside.sum())}
        table[name] |= {level: int(right[level][inside].sum()) for level in LEVELS}
    return table
