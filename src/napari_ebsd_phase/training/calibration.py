# SPDX-License-Identifier: GPL-3.0-or-later
"""Temperature and decision thresholds, from materials kept for this."""

from __future__ import annotations

import numpy as np

from ..classifier import Classifier
from ..decoding import decode
from ..phase_map import DECISION_LEVELS
from .measures import material_weights
from .scores import Scores, decided, level_probabilities, reported

__all__ = ["calibrate", "pattern_threshold"]

_HIGHEST = 0.95


def calibrate(
    classifier: Classifier, data: Scores, prior: str = "known", precision: float = 0.9
) -> tuple[float, float]:
    """Temperature and decision threshold from scores of calibration materials.

    Parameters
    ----------
    classifier
        Its card supplies the training prior.
    data
        Scores of materials that are not for tests, see :func:`.finish.calibration_scores`.
    prior
        Class prior that temperature and threshold are meant for.
    precision
        Share of the labels of a map that shall be right.

    Returns
    -------
    temperature : float
        The one that maximises the likelihood of the true Laue groups and lattices, materials
        weighing the same.
    threshold : float
        Least probability, in steps of 0.05 from 0.5 to 0.95, at which the labels that a map gives
        (point group, else Laue group, else crystal system) reach the precision; 0.95 if none
        does.
    """
    weight = material_weights(data.material)
    rows = np.arange(len(data.scores))
    frequencies = classifier.prior(prior)
    trained = np.asarray(classifier.card["training_prior"])

    def decoded(temperature: float) -> tuple[np.ndarray, np.ndarray]:
        return decode(
            data.scores, prior=frequencies, training_prior=trained, temperature=temperature
        )

    def likelihood(temperature: float) -> float:
        found = decoded(temperature)
        logs = np.zeros(len(rows))
        for level in ("laue_group", "bravais_lattice"):
            probability = level_probabilities(*found, level)[rows, data.truth(level)]
            logs += np.log(np.maximum(probability, 1e-9))
        return float((weight * logs).sum())

    temperature = float(max(np.geomspace(0.5, 8.0, 57), key=likelihood))
    point, lattice = decoded(temperature)
    right = np.stack(
        [reported(point, lattice, level)[0] == data.truth(level) for level in DECISION_LEVELS]
    )
    for threshold in np.arange(0.5, _HIGHEST + 0.001, 0.05):
        level = decided(point, lattice, threshold)
        labelled = level < len(DECISION_LEVELS)
        correct = labelled & right[np.minimum(level, len(DECISION_LEVELS) - 1), rows]
        if labelled.any() and weight[correct].sum() >= precision * weight[labelled].sum():
            return temperature, round(float(threshold), 2)
    return temperature, _HIGHEST


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
