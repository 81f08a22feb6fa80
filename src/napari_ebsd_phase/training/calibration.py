# SPDX-License-Identifier: GPL-3.0-or-later
"""Temperature and decision threshold, from materials kept for this."""

from __future__ import annotations

import numpy as np

from ..classifier import Classifier
from ..decoding import decode
from .scores import Scores, level_probabilities

__all__ = ["calibrate"]


def calibrate(
    classifier: Classifier, data: Scores, prior: str = "uniform", precision: float = 0.9
) -> tuple[float, float]:
    """Temperature and decision threshold from scores of calibration materials.

    Parameters
    ----------
    classifier
        Its card supplies the training prior.
    data
        Scores of materials that are not for tests, see :func:`.finish.calibration_scores`.
    prior
        Class prior that the threshold is meant for.
    precision
        Share of the labels that shall be right at or above the threshold.

    Returns
    -------
    temperature : float
        The one that maximises the likelihood of the true pairs, materials weighing the same.
    threshold : float
        Least probability, in steps of 0.05 from 0.5 to 0.95, at which labels of the Laue group
        reach the precision; 0.95 if none does.
    """
    card = classifier.card
    weight = 1.0 / np.bincount(data.material)[data.material]
    rows = np.arange(len(data.scores))

    def decoded(temperature: float) -> tuple[np.ndarray, np.ndarray]:
        point, lattice = decode(
            data.scores,
            prior=classifier.prior(prior),
            training_prior=np.asarray(card["training_prior"]),
            temperature=temperature,
        )
        return level_probabilities(point, lattice, "laue_group"), lattice

    def likelihood(temperature: float) -> float:
        laue, lattice = decoded(temperature)
        logs = np.log(np.maximum(laue[rows, data.truth("laue_group")], 1e-9))
        logs += np.log(np.maximum(lattice[rows, data.bravais_lattice], 1e-9))
        return float((weight * logs).sum())

    temperature = float(max(np.geomspace(0.5, 8.0, 57), key=likelihood))
    laue, _ = decoded(temperature)
    right = (laue.argmax(axis=1) == data.truth("laue_group")) * weight
    confidence = laue.max(axis=1)
    for threshold in np.arange(0.5, 0.951, 0.05):
        above = confidence >= threshold
        if above.any() and right[above].sum() / weight[above].sum() >= precision:
            return temperature, round(float(threshold), 2)
    return temperature, 0.95
