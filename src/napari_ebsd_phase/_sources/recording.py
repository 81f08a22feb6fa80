# SPDX-License-Identifier: GPL-3.0-or-later
"""What every reader returns: patterns that stay on disk, and what the file says about them."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ..errors import InputError

#: Far above every EBSD camera; a frame beyond it is a bomb, a damaged header, or no pattern.
MAX_PIXELS = 2**24

#: Ten times the largest maps that are measured.
MAX_POINTS = 2**27


class Patterns(Protocol):
    """Patterns on disk in file order, numbered from 0."""

    count: int
    shape: tuple[int, int] | None  #: rows and columns of a pattern; None where sizes differ
    dtype: np.dtype
    chunk: int  #: patterns that the file stores, and so reads, together
    largest: int  #: bytes of the largest pattern

    def read_into(self, first: int, out: np.ndarray) -> None:
        """Fill `out` (n, h, w) with the patterns from number `first` on."""

    def read_one(self, number: int) -> np.ndarray:
        """Return one pattern (h, w)."""

    def name(self, number: int) -> str | None:
        """File name of one pattern where each has its own file, else None."""

    def contents(self) -> list[Path]:
        """Files that hold the patterns."""

    def close(self) -> None:
        """Let go of the file."""


@dataclass
class Recording:
    """Patterns and their surroundings, as one file or folder tells them.

    `shape` counts map rows and columns, `step` is (dy, dx) in `units`.
    """

    patterns: Patterns
    shape: tuple[int, int]
    step: tuple[float, float] = (1.0, 1.0)
    units: str = "px"
    detector: Any = None
    crystal_map: Any = None
    static_background: np.ndarray | None = None


def _size_of(array: Any) -> int:
    """Bytes of the file that an HDF5 dataset is read from, as it is open; 0 for anything else.

    Not those of its name: another file may have been put there, which changes nothing.
    """
    if isinstance(array, np.ndarray) or not hasattr(array, "file"):
        return 0
    return os.fstat(array.file.id.get_vfd_handle()).st_size


class ArrayPatterns:
    """Patterns in one (n, h, w) array: an HDF5 data set, records of a file, or memory.

    Parameters
    ----------
    path
        The file, for messages.
    array
        ``h5py.Dataset``, :class:`Records` or array, of shape (n, h, w).
    order
        Position in `array` of each pattern; None where they lie in order.
    close
        Called by `close`.

    Raises
    ------
    InputError
        If the array is not a stack of numbers.
    """

    def __init__(
        self,
        path: Path,
        array: Any,
        order: np.ndarray | None = None,
        close: Callable[[], None] | None = None,
    ) -> None:
        if array.ndim != 3 or 0 in array.shape or array.dtype.kind not in "uif":
            raise InputError(
                f"{path.name}: its pattern array has shape {tuple(array.shape)} and type "
                f"{array.dtype}; expected a stack (patterns, rows, columns) of numbers"
            )
        self._path = path
        self._array = array
        self._size = _size_of(array)
        self._order = order
        self._close = close
        self.count = int(array.shape[0] if order is None else len(order))
        if self.count > MAX_POINTS:
            raise damaged(path, f"a map of {self.count:,} points")
        self.shape: tuple[int, int] | None = (int(array.shape[1]), int(array.shape[2]))
        self.dtype = array.dtype.newbyteorder("=")
        chunks = getattr(array, "chunks", None)
        self.chunk = int(chunks[0]) if chunks else 1
        self.largest = self.shape[0] * self.shape[1] * self.dtype.itemsize

    def read_into(self, first: int, out: np.ndarray) -> None:
        if self._order is None:
            self._copy(first, out)
            return
        wanted = self._order[first : first + len(out)]
        # Neighbours in the map are mostly neighbours in the file: read run by run.
        cuts = np.flatnonzero(np.diff(wanted) != 1) + 1
        for start, stop in zip([0, *cuts], [*cuts, len(wanted)], strict=True):
            self._copy(int(wanted[start]), out[start:stop])

    def _copy(self, first: int, out: np.ndarray) -> None:
        if isinstance(self._array, np.ndarray):
            out[...] = self._array[first : first + len(out)]
            return
        try:
            self._array.read_direct(out, np.s_[first : first + len(out)])
        except (OSError, RuntimeError) as error:
            raise damaged(self._path, error) from error
        # HDF5 reads zeros behind the end of a file.
        if _size_of(self._array) < self._size:
            raise damaged(self._path, "it has become shorter since it was opened")

    def read_one(self, number: int) -> np.ndarray:
        assert self.shape is not None
        out = np.empty((1, *self.shape), self.dtype)
        self.read_into(number, out)
        return out[0]

    def name(self, number: int) -> str | None:
        return None

    def contents(self) -> list[Path]:
        return [self._path]

    def close(self) -> None:
        self._array = np.empty((0, 0, 0))
        if self._close is not None:
            self._close()


class Records:
    """Arrays of one size behind each other in a file, read when they are asked for.

    Not a memory map: one whose file is cut while it is read ends the program without a word. Nor
    does a file stay open between two reads, which may come from several threads.

    Parameters
    ----------
    path
        The file.
    record
        Layout of a record, with the field ``pattern``.
    offset
        Byte of the first record.
    count
        Number of records.
    """

    def __init__(self, path: Path, record: np.dtype, offset: int, count: int) -> None:
        assert record["pattern"].subdtype is not None, "a pattern is an array"
        self._path = path
        self._record = record
        self._offset = offset
        self.dtype, size = record["pattern"].subdtype
        self.shape: tuple[int, ...] = (count, *size)
        self.ndim = len(self.shape)

    def read(self, first: int, count: int) -> np.ndarray:
        """Return `count` records from number `first` on."""
        start = self._offset + first * self._record.itemsize
        try:
            found = np.fromfile(self._path, self._record, count, offset=start)
        except FileNotFoundError as error:
            raise InputError(
                f"{self._path.name}: is gone, it was moved or removed since it was opened; "
                "put it back and try again"
            ) from error
        if len(found) < count:
            raise cut_short(self._path, first + len(found), self.shape[0])
        return found

    def read_direct(self, out: np.ndarray, part: slice) -> None:
        """Fill `out` with the patterns of a slice, as ``h5py.Dataset`` does."""
        out[...] = self.read(part.start, part.stop - part.start)["pattern"]


def damaged(path: Path, reason: BaseException | str) -> InputError:
    """Error for a file whose inside does not hold what its beginning promises."""
    text = " ".join(str(reason).split()) or type(reason).__name__
    return InputError(
        f"{path.name}: cannot be read, it looks damaged or cut short; "
        f"copy or export it again ({text[:200]})"
    )


def cut_short(path: Path, found: int, expected: int) -> InputError:
    """Error for a file that ends before its last pattern."""
    return InputError(
        f"{path.name}: is cut short, {found} of the {expected} patterns of its header are there; "
        "copy or export it again"
    )


def usable_step(dy: float, dx: float, units: str = "um") -> tuple[tuple[float, float], str]:
    """Return ((dy, dx), units), where a step that is no length gives way to the other.

    Line scans carry a zero across the line; files without a step get 1 px.
    """
    steps = [float(step) for step in (dy, dx)]
    good = [step for step in steps if math.isfinite(step) and step > 0]
    if not good:
        return (1.0, 1.0), "px"
    dy, dx = (step if step in good else good[0] for step in steps)
    return (dy, dx), units
