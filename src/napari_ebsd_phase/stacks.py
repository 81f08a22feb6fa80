# SPDX-License-Identifier: GPL-3.0-or-later
"""Patterns of a scan on their way through the network: read together, classified together."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

from .screen import find_screen

if TYPE_CHECKING:
    from .classifier import Classifier
    from .scan import Scan

__all__ = [
    "Classified",
    "PendingStacks",
    "Stack",
    "classify_stacks",
    "load_alone",
    "load_stacks",
    "read_ahead",
]

#: Patterns (n, h, w) of one size with their screen mask (h, w).
Stack = tuple[np.ndarray, np.ndarray]

_Place = TypeVar("_Place")
_Loaded = TypeVar("_Loaded")


class Classified(NamedTuple):
    """What is known of n patterns.

    Parameters
    ----------
    point_groups, lattices
        Probabilities, float32 of shapes (n, 32) and (n, 14).
    quality
        Pattern quality, float32 of shape (n,).
    """

    point_groups: np.ndarray
    lattices: np.ndarray
    quality: np.ndarray


def read_ahead(
    reader: ThreadPoolExecutor, load: Callable[[_Place], _Loaded], places: Iterable[_Place]
) -> Generator[tuple[_Place, _Loaded], None, None]:
    """Yield every place with what `load` makes of it, while `reader` loads the next one."""
    waiting: tuple[_Place, Future[_Loaded]] | None = None
    for place in places:
        following = (place, reader.submit(load, place))
        if waiting is not None:
            yield waiting[0], waiting[1].result()
        waiting = following
    if waiting is not None:
        yield waiting[0], waiting[1].result()


def load_stacks(scan: Scan, rows: slice, cols: slice, mask: np.ndarray | None) -> list[Stack]:
    """Read a rectangle of the map: one stack with the common screen mask, or, where `mask` is
    None (images of a folder), one stack for every pattern, each with its own.
    """
    if mask is not None:
        patterns = scan.read(rows, cols)
        return [(patterns.reshape(-1, *patterns.shape[-2:]), mask)]
    return [
        load_alone(scan, row, col)
        for row in range(rows.start, rows.stop)
        for col in range(cols.start, cols.stop)
    ]


def load_alone(scan: Scan, row: int, col: int) -> Stack:
    """Read one pattern and find its own screen mask."""
    pattern = scan.pattern(row, col)[np.newaxis]
    return pattern, find_screen(pattern)


def classify_stacks(
    stacks: list[Stack],
    classifier: Classifier,
    background: np.ndarray | None,
    prior: np.ndarray,
    batch_size: int,
) -> Classified:
    """Classify all patterns of some stacks, in their order."""
    return PendingStacks(stacks, classifier, background, batch_size).result(prior)


class PendingStacks:
    """Patterns of some stacks that are being classified on other threads.

    Parameters
    ----------
    stacks, classifier, background, batch_size
        See :meth:`.Classifier.scores`.
    """

    def __init__(
        self,
        stacks: list[Stack],
        classifier: Classifier,
        background: np.ndarray | None,
        batch_size: int,
    ) -> None:
        self._classifier = classifier
        self._parts = [
            classifier.begin_scores(
                patterns, background=background, mask=mask, batch_size=batch_size
            )
            for patterns, mask in stacks
        ]

    def result(self, prior: np.ndarray) -> Classified:
        """Wait for them; classes are as frequent as `prior`, (32, 14), says."""
        parts = [part.result() for part in self._parts]
        point_groups, lattices = self._classifier.probabilities(
            np.concatenate([part.scores for part in parts]), prior
        )
        # How likely it is a pattern at all says more of its use than its contrast does.
        tells = self._classifier.tells_patterns
        quality = [part.pattern if tells else part.quality for part in parts]
        return Classified(point_groups, lattices, np.concatenate(quality))

    def cancel(self) -> None:
        """Leave out what has not begun."""
        for part in self._parts:
            part.cancel()
