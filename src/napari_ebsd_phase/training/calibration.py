# SPDX-License-Identifier: GPL-3.0-or-later
"""Temperature and decision thresholds, from materials kept for this."""

from __future__ import annotations

import numpy as np

from ..classifier import Classifier
from ..decoding import decode
from ..labels import DECISION_LEVELS
from .measures import material_weights
from .scores import Scores, decided, level_probabilities, reported

__all__ = ["best_temperature", "decision_threshold", "pattern_threshold"]

_LOWEST, _HIGHEST = 0.5, 0.95


def best_temperature(classifier: Classifier, data: Scores, prior: str = "known") -> float:
    """Temperature that calibrates the probabilities of some materials.

    Parameters
    ----------
    classifier
        Its card supplies the training prior.
    data
        Scores of materials that the network was not trained on and that are not for tests.
    prior
        Class prior that the temperature is meant for.

    Returns
    -------
    float
        The one from 0.5 to 8 that maximises the likelihood of the true Laue groups and lattices,
        materials weighing the same.
    """
    weight = material_weights(data.material)
    rows = np.arange(len(data.scores))

    def likelihood(temperature: float) -> float:
        found = _decoded(classifier, data, prior, temperature)
        logs = np.zeros(len(rows))
        for level in ("laue_group", "bravais_lattice"):
            probability = level_probabilities(*found, level)[rows, data.truth(level)]
            logs += np.log(np.maximum(probability, 1e-9))
        return float((weight * logs).sum())

    return float(max(np.geomspace(0.5, 8.0, 57), key=likelihood))


def decision_threshold(
    classifier: Classifier,
    data: Scores,
    temperature: float,
    prior: str = "known",
    precision: float = 0.8,
) -> float:
    """Least probability at which labels are right often enough.

    Parameters
    ----------
    classifier
        Its card supplies the training prior.
    data
        Scores of materials as users have them.
    temperature
        See :func:`best_temperature`.
    prior
        Class prior that the threshold is meant for.
    precision
        Share of the labels of a map that shall be right.

    Returns
    -------
    float
        In steps of 0.05 from 0.5 to 0.95, where the labels that a map gives (point group, else
        Laue group, else crystal system) reach the precision; 0.95 if none does.
    """
    weight = material_weights(data.material)
    rows = np.arange(len(data.scores))
    point, lattice = _decoded(classifier, data, prior, temperature)
    right = np.stack(
        [reported(point, lattice, level)[0] == data.truth(level) for level in DECISION_LEVELS]
    )
    for threshold in np.arange(_LOWEST, _HIGHEST + 0.001, 0.05):
        level = decided(point, lattice, threshold)
        labelled = level < len(DECISION_LEVELS)
        correct = labelled & right[np.minimum(level, len(DECISION_LEVELS) - 1), rows]
        if labelled.any() and weight[correct].sum() >= precision * weight[labelled].sum():
            return round(float(threshold), 2)
    return _HIGHEST


def _decoded(
    classifier: Classifier, data: Scores, prior: str, temperature: float
) -> tuple[np.ndarray, np.ndarray]:
    return decode(
        data.scores,
        prior=classifier.prior(prior),
        training_prior=np.asarray(classifier.card["training_prior"]),
        temperature=temperature,
    )


def pattern_threshold(data: Scores, keep: float = 0.98) -> float | None:
    """Pattern probability below which a frame should be left unnamed.

    Parameters
    ----------
    data
        Scores of patterns of calibration materials.
    keep
        Share of these patterns that shall reach the threshold, materials weighing the same.

    Returns
    -------
    float or None
        None from a network that does not tell patterns from other frames.
    """
    if data.pattern is None:
        return None
    order = np.argsort(data.pattern)
    lost = np.cumsum(material_weights(data.material)[order])
    # The first pattern that cannot be lost without losing too many is the lowest that is kept.
    return float(data.pattern[order][np.searchsorted(lost, 1.0 - keep, side="right")])
