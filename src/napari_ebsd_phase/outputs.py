# SPDX-License-Identifier: GPL-3.0-or-later
"""What a network says of patterns, now or when it is ready."""

from __future__ import annotations

from concurrent.futures import Future
from typing import NamedTuple

import numpy as np
from scipy.special import expit

from .crystallography import BRAVAIS_LATTICES, POINT_GROUPS

__all__ = ["CLASSES", "Outputs", "PendingScores"]

#: Scores of classes; a network may have one more, which tells patterns from other frames.
CLASSES = len(POINT_GROUPS) + len(BRAVAIS_LATTICES)


class Outputs(NamedTuple):
    """What the network says of n patterns.

    Parameters
    ----------
    scores
        float32 of shape (n, 46): 32 point groups, then 14 Bravais lattices.
    quality
        float32 of shape (n,), in [0, 1]: contrast of the pattern against its noise.
    pattern
        float32 of shape (n,): probability that the frame holds one Kikuchi pattern, and not
        noise, nothing, diffuse rings or two patterns on top of each other; 1 for a network that
        was not trained to tell.
    """

    scores: np.ndarray
    quality: np.ndarray
    pattern: np.ndarray


class PendingScores:
    """Scores of some patterns that are being computed; see :meth:`.Classifier.begin_scores`.

    Parameters
    ----------
    outputs
        Number of scores of the network: 46, or 47 with the log odds of a pattern.
    batches
        Scores (n, outputs) and quality (n,) of each batch.
    """

    def __init__(self, outputs: int, batches: list[Future[tuple[np.ndarray, np.ndarray]]]) -> None:
        self._outputs = outputs
        self._batches = batches

    def result(self) -> Outputs:
        """Wait for them."""
        parts = [batch.result() for batch in self._batches]
        none = np.empty((0, self._outputs), np.float32), np.empty(0, np.float32)
        scores, quality = (np.concatenate(each) for each in zip(none, *parts, strict=True))
        pattern = np.ones(len(scores), dtype=np.float32)
        if self._outputs > CLASSES:
            pattern = expit(scores[:, CLASSES])
        return Outputs(scores[:, :CLASSES], quality, pattern)

    def cancel(self) -> None:
        """Leave out what has not begun: nobody is going to ask."""
        for batch in self._batches:
            batch.cancel()
