# SPDX-License-Identifier: GPL-3.0-or-later
"""How often a network is right on labelled patterns, with intervals over regions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from ..classifier import Classifier
from ..crystallography import LEVELS, level_index
from ..decoding import PAIRS
from .fine_tune_labels import LabelledPatterns
from .scores import reported

__all__ = ["Share", "figures", "gain", "measure", "right_names", "scores_of"]

_RESAMPLED = 1000


@dataclass(frozen=True)
class Share:
    """A mean over classes with its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{100 * self.value:.0f} % ({100 * self.low:.0f} to {100 * self.high:.0f})"


@torch.inference_mode()
def scores_of(classifier: Classifier, inputs: torch.Tensor, batch_size: int = 256) -> np.ndarray:
    """Scores (n, outputs) of prepared patterns, as :meth:`.Classifier.scores` makes them."""
    parts = []
    for batch in inputs.split(batch_size):
        batch = batch.to(classifier.device).contiguous(memory_format=torch.channels_last)
        scores = classifier.network_scores(batch)
        if classifier.mirrored_views:
            scores = (scores + classifier.network_scores(batch.flip(-1))) / 2
        parts.append(scores.cpu().numpy())
    return (
        np.concatenate(parts) if parts else np.zeros((0, classifier.network.architecture.outputs))
    )


def right_names(
    classifier: Classifier, patterns: LabelledPatterns, prior: str = "known"
) -> dict[str, np.ndarray]:
    """Whether the reported name of each pattern is right: level to bool of shape (n,)."""
    scores = scores_of(classifier, patterns.inputs)[:, :46]
    point, lattice = classifier.probabilities(scores, prior)
    true_group, true_lattice = PAIRS[patterns.pairs].T
    result = {}
    for level in LEVELS:
        truth = true_lattice if level == "bravais_lattice" else level_index(level)[true_group]
        result[level] = reported(point, lattice, level)[0] == truth
    return result


def measure(
    classifier: Classifier, patterns: LabelledPatterns, prior: str = "known"
) -> dict[str, Share]:
    """Share of right names at each level: mean over classes, and its interval over regions.

    Where all names are right, or none is, drawing anew gives no spread: the other end is then
    that of the exact binomial interval for as many trials as there are regions.
    """
    regions = len(np.unique(patterns.regions))
    end = 0.025 ** (1 / max(regions, 1))
    result = {}
    for level, right in right_names(classifier, patterns, prior).items():
        share = _mean(right.astype(np.float64), patterns)
        if right.all():
            share = replace(share, low=end)
        elif not right.any():
            share = replace(share, high=1 - end)
        result[level] = share
    return result


def gain(
    before: Classifier, after: Classifier, patterns: LabelledPatterns, prior: str = "known"
) -> dict[str, Share]:
    """What a second network is right more often than a first, on the same patterns."""
    first, second = (right_names(each, patterns, prior) for each in (before, after))
    return {
        level: _mean(second[level].astype(np.float64) - first[level], patterns) for level in LEVELS
    }


def figures(
    patterns: LabelledPatterns, results: Mapping[str, Mapping[str, Share]]
) -> dict[str, Any]:
    """Metrics of a card, in the form that tables of cards read.

    Parameters
    ----------
    patterns
        What was measured on.
    results
        When, as in ``before``, to the output of :func:`measure`; left out where that is empty.
    """
    return {
        f"held-out patterns, {when} teaching": {
            "patterns": len(patterns),
            **{
                level: {
                    "accuracy": round(share.value, 4),
                    "interval": [round(share.low, 4), round(share.high, 4)],
                }
                for level, share in shares.items()
            },
        }
        for when, shares in results.items()
        if shares
    }


def _mean(values: np.ndarray, patterns: LabelledPatterns) -> Share:
    """Mean over classes; regions of a class are drawn anew for the interval, and patterns in each.

    Regions alone have no spread where there are one or two of them that agree.
    """
    rng = np.random.default_rng(0)
    means, spreads = [], []
    for pair in np.unique(patterns.pairs):
        inside = patterns.pairs == pair
        mine = values[inside]
        unit = np.unique(patterns.regions[inside], return_inverse=True)[1]
        counts = np.bincount(unit).astype(np.float64)
        sums = np.stack([_resampled_sums(mine[unit == k], rng) for k in range(len(counts))])
        drawn = rng.integers(0, len(counts), (_RESAMPLED, len(counts)))
        means.append(mine.mean())
        found = np.take_along_axis(sums.T, drawn, axis=1).sum(axis=1)
        spreads.append(found / counts[drawn].sum(axis=1))
    if not means:
        return Share(float("nan"), float("nan"), float("nan"))
    low, high = np.percentile(np.mean(spreads, axis=0), [2.5, 97.5])
    return Share(float(np.mean(means)), float(low), float(high))


def _resampled_sums(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Sums (resamples,) of as many values, drawn from some with replacement."""
    return values[rng.integers(0, len(values), (_RESAMPLED, len(values)))].sum(axis=1)
