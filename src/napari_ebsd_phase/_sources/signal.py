# SPDX-License-Identifier: GPL-3.0-or-later
"""Patterns of a kikuchipy signal that is open already, in memory or lazy."""

from __future__ import annotations

from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from .kikuchipy_reader import map_of_signal, static_background
from .recording import ArrayPatterns, Recording, usable_step
from .vendor_maps import on_grid

_MICROMETRES = {"um": 1.0, "µm": 1.0, "μm": 1.0, "nm": 1e-3, "mm": 1e3}

# Raw patterns agree with their static background at 0.998 (the nickel sample); once it is
# subtracted or divided away, at 0.6 and less.
_STILL_THERE = 0.9
_LOOKED_AT = 16


class SignalPatterns(ArrayPatterns):
    """Patterns that lie in no file: those of a signal, which belongs to whoever opened it.

    Parameters
    ----------
    path
        Name of the signal, for messages.
    array
        Array of numpy or Dask, of shape (rows, cols, h, w).
    """

    def __init__(self, path: Path, array: Any) -> None:
        rows, cols, *size = array.shape
        self._lazy = not isinstance(array, np.ndarray)
        # Numbers, types and sizes are checked as those of any other stack.
        super().__init__(path, np.broadcast_to(np.zeros((), array.dtype), (rows * cols, *size)))
        self._array = array if self._lazy else array.reshape(rows * cols, *size)
        self._computed: tuple[int, np.ndarray] | None = None
        if self._lazy:
            if rows == 1:  # a line is computed piece by piece, too
                self._array, cols = array.reshape(cols, 1, *size), 1
            self._cols = cols
            self._starts = [0, *accumulate(self._array.chunks[0])]
            self.chunk = int(self._array.chunks[0][0]) * cols

    def read_into(self, first: int, out: np.ndarray) -> None:
        done = 0
        while done < len(out):
            start, block = self._block(first + done)
            found = block[first + done - start :][: len(out) - done]
            out[done : done + len(found)] = found
            done += len(found)

    def _block(self, number: int) -> tuple[int, np.ndarray]:
        """Patterns that are computed together with one, and the number of the first of them."""
        if not self._lazy:
            return 0, self._array
        row = number // self._cols
        part = int(np.searchsorted(self._starts, row, side="right")) - 1
        known = self._computed  # another thread may replace it meanwhile
        if known is None or known[0] != part:
            rows = self._array[self._starts[part] : self._starts[part + 1]].compute()
            known = self._computed = part, rows.reshape(-1, *rows.shape[2:])
        return self._starts[part] * self._cols, known[1]

    def contents(self) -> list[Path]:
        return []

    def close(self) -> None:
        self._computed = None


def open_signal(signal: Any) -> tuple[Path, Recording]:
    """Return a name for a signal, and its patterns with what it says of them.

    Raises
    ------
    InputError
        If it is no EBSD signal of kikuchipy, or has more than two navigation axes.
    """
    from kikuchipy.signals import EBSD

    if not isinstance(signal, EBSD):
        raise InputError(
            f"expected an EBSD signal of kikuchipy, not a {type(signal).__name__}: give what "
            "kikuchipy.load returned for a map of patterns"
        )
    axes = signal.axes_manager.navigation_axes  # x before y
    if len(axes) > 2:
        raise InputError(
            f"the signal has {len(axes)} navigation axes: give a map, as in s.inav[:, :, 0]"
        )
    name = signal.metadata.get_item("General.original_filename") or "patterns"
    # No file has this name: the patterns may be others by now than those of the file.
    # Vendors write paths of Windows, too.
    last = Path(str(name).replace("\\", "/")).name
    path = Path(f"{last or 'patterns'} (signal)")
    height, width = (int(n) for n in signal.data.shape[-2:])
    shape, step, units = _grid(axes)
    patterns = SignalPatterns(path, signal.data.reshape(*shape, height, width))
    crystal_map = map_of_signal(signal)
    if crystal_map is not None and crystal_map.size != patterns.count:
        crystal_map = None
    elif crystal_map is not None and crystal_map.x is None and patterns.count > 1:
        crystal_map = on_grid(crystal_map, shape, step, units)
    background = static_background(signal.static_background, (height, width))
    if background is not None and not _shows(patterns, background):
        background = None
    return path, Recording(patterns, shape, step, units, signal.detector, crystal_map, background)


def _grid(axes: Any) -> tuple[tuple[int, int], tuple[float, float], str]:
    """Map shape, step (dy, dx) and units of navigation axes, x before y."""
    sizes, scales = [int(axis.size) for axis in axes], [float(axis.scale) for axis in axes]
    if len(axes) == 1 and axes[0].name == "y":
        sizes, scales = [1, *sizes], [0.0, *scales]
    cols, rows, *_ = *sizes, 1, 1
    dx, dy, *_ = *scales, 0.0, 0.0
    lengths = {_MICROMETRES.get(str(axis.units)) for axis in axes}
    factor = lengths.pop() if len(lengths) == 1 else None
    if factor is None:
        return (rows, cols), *usable_step(dy, dx, "px")
    return (rows, cols), *usable_step(dy * factor, dx * factor)


def _shows(patterns: SignalPatterns, background: np.ndarray) -> bool:
    """Whether the static background is still in the patterns, and so is to be taken out."""
    places = np.unique(np.linspace(0, patterns.count - 1, _LOOKED_AT).round().astype(int))
    mean = np.mean([patterns.read_one(int(i)) for i in places], axis=0, dtype=float).ravel()
    deviations = mean - mean.mean(), background.ravel() - background.mean(dtype=float)
    products = [float(np.dot(a, b)) for a in deviations for b in deviations]
    norm = (products[0] * products[3]) ** 0.5
    return norm > 0 and products[1] / norm > _STILL_THERE
