# SPDX-License-Identifier: GPL-3.0-or-later
"""Read patterns in any order, but no chunk of the file twice.

A coarse map takes single patterns from everywhere. Where a file stores several together, and packs
them, all of them have to be read for one; what is read is kept until it is its turn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from .scan import Scan

__all__ = ["ChunkStore"]

# Chunks that are kept take no more memory than this.
_KEPT_BYTES = 256 * 2**20


class ChunkStore:
    """Patterns of a scan by their number, row by row of the map.

    Parameters
    ----------
    scan
        Open scan with patterns of one size.
    wanted
        bool of shape (rows, cols): the patterns that are going to be taken.
    """

    def __init__(self, scan: Scan, wanted: NDArray[np.bool_]) -> None:
        assert scan.pattern_shape is not None, "images of several sizes have no chunks"
        self._scan = scan
        self._shape = scan.pattern_shape
        self._count = wanted.size
        self._chunk = scan.chunk
        self._left = wanted.ravel().copy()
        self._kept: dict[int, np.ndarray] = {}
        size = self._chunk * scan.dtype.itemsize * self._shape[0] * self._shape[1]
        #: Chunks that can be kept at once.
        self.room = max(1, _KEPT_BYTES // size)

    def look(self, numbers: NDArray[np.intp]) -> np.ndarray:
        """Patterns (n, h, w) that are going to be taken later, or not at all."""
        return self._patterns(numbers)

    def take(self, numbers: NDArray[np.intp]) -> np.ndarray:
        """Patterns (n, h, w) of ascending numbers, for the last time."""
        self._left[numbers] = False
        return self._patterns(numbers)

    def _patterns(self, numbers: NDArray[np.intp]) -> np.ndarray:
        found = np.empty((len(numbers), *self._shape), self._scan.dtype)
        chunks = numbers // self._chunk
        start = 0
        while start < len(numbers):
            stop = self._end_of_run(numbers, chunks, start)
            self._fill(found[start:stop], numbers[start:stop])
            start = stop
        return found

    def _end_of_run(self, numbers: NDArray[np.intp], chunks: NDArray[np.intp], start: int) -> int:
        """End of the patterns that one reading gives: a chunk, or all of many in a row."""
        if self._chunk > 1 or numbers[start] in self._kept:
            return int(np.searchsorted(chunks, chunks[start], side="right"))
        stop = start + 1
        while (
            stop < len(numbers)
            and numbers[stop] == numbers[stop - 1] + 1
            and numbers[stop] not in self._kept
        ):
            stop += 1
        return stop

    def _fill(self, out: np.ndarray, numbers: NDArray[np.intp]) -> None:
        chunk = int(numbers[0]) // self._chunk
        first = chunk * self._chunk
        last = min(first + self._chunk, self._count)
        kept = self._kept.get(chunk)
        if kept is None and self._chunk == 1:
            self._scan.read_run(int(numbers[0]), len(numbers), out)
            for place in np.flatnonzero(self._left[numbers]):
                if len(self._kept) < self.room:
                    self._kept[int(numbers[place])] = out[place : place + 1].copy()
            return
        if kept is None:
            kept = self._scan.read_run(first, last - first)
        out[...] = kept[numbers - first]
        if not self._left[first:last].any():
            self._kept.pop(chunk, None)
        elif len(self._kept) < self.room:
            self._kept[chunk] = kept
