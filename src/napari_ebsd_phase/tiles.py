# SPDX-License-Identifier: GPL-3.0-or-later
"""What a scan is cut into to be classified, here or on a cluster, and what comes out of a piece."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .errors import InputError
from .screen import find_screen
from .stacks import Classified

if TYPE_CHECKING:
    from .classifier import Classifier
    from .phase_map import PhaseMap
    from .scan import Scan

__all__ = [
    "TILE_PATTERNS",
    "Region",
    "TileResult",
    "check_region",
    "default_batch_size",
    "plan_tiles",
    "scan_screen",
    "tile_result",
]

Region = tuple[slice, slice]

#: Most patterns in a tile; a tile is what one step of progress, and of a resumed run, is worth.
TILE_PATTERNS = 1024

# Up to four tiles are in memory: being read, waiting, and two in the network.
_TILE_BYTES = 64 * 2**20

# Every image of a folder is prepared alone, so larger tiles would only make progress coarse.
_FOLDER_TILE = 32

_SCREEN_PATTERNS = 64
_SCREEN_BYTES = 128 * 2**20

# The preprocessing holds a few float32 copies of a batch in full resolution, on every core. Larger
# batches are not faster, see docs/performance.md.
_BATCH_PATTERNS = 128
_BATCH_BYTES = 32 * 2**20


@dataclass(frozen=True, eq=False)
class TileResult:
    """One classified rectangle of the map.

    Attributes
    ----------
    rows, cols
        Where it lies in the map.
    point_group_probabilities, bravais_probabilities
        float32 of shapes (r, c, 32) and (r, c, 14).
    quality
        Pattern quality, float32 of shape (r, c).
    """

    rows: slice
    cols: slice
    point_group_probabilities: np.ndarray
    bravais_probabilities: np.ndarray
    quality: np.ndarray

    @property
    def size(self) -> int:
        """Number of patterns."""
        return int(self.quality.size)

    def fill_into(self, phase_map: PhaseMap) -> None:
        """Enter the tile into a map of the whole scan."""
        phase_map.fill(
            self.rows,
            self.cols,
            self.point_group_probabilities,
            self.bravais_probabilities,
            self.quality,
        )


def check_region(shape: tuple[int, int], region: Region | None) -> Region:
    """Return a region with its ends filled in.

    Parameters
    ----------
    shape
        Rows and columns of the map.
    region
        Rows and columns, counted from 0, without the last; None for the whole map.

    Raises
    ------
    InputError
        If it is empty or reaches out of the map.
    """
    parts = []
    asked = region or (slice(None), slice(None))
    for part, size, name in zip(asked, shape, ("rows", "columns"), strict=True):
        start = 0 if part.start is None else int(part.start)
        stop = size if part.stop is None else int(part.stop)
        if not 0 <= start < stop <= size or part.step not in (None, 1):
            raise InputError(
                f"the region's {name} {start}:{stop} are not in the map of {shape[0]} rows and "
                f"{shape[1]} columns: give first and last-plus-one, counted from 0"
            )
        parts.append(slice(start, stop))
    return parts[0], parts[1]


def scan_screen(
    scan: Scan, read: Callable[[NDArray[np.intp]], np.ndarray] | None = None
) -> np.ndarray:
    """Screen mask of a scan, bool of shape (h, w), from patterns spread evenly over the map.

    It depends on the scan alone, not on the region that is classified. `read` gives the patterns
    of ascending numbers, row by row of the map; from the file when None.

    Raises
    ------
    InputError
        If the patterns differ in size.
    """
    if scan.pattern_shape is None:
        raise InputError(f"{scan.name}: images of different sizes have no common screen")
    count = scan.shape[0] * scan.shape[1]
    room = _SCREEN_BYTES // (4 * scan.pattern_shape[0] * scan.pattern_shape[1])
    places = _spread(count, min(_SCREEN_PATTERNS, max(4, room)))
    if read is not None:
        return find_screen(read(places))
    return find_screen(_patterns_at(scan, places))


def spread_patterns(scan: Scan, most: int) -> np.ndarray:
    """Patterns spread evenly over a map of one frame size, at most so many, (n, h, w)."""
    return _patterns_at(scan, _spread(scan.shape[0] * scan.shape[1], most))


def _spread(count: int, most: int) -> NDArray[np.intp]:
    places = np.linspace(0, count - 1, min(count, most)).round().astype(np.intp)
    return np.unique(places)


def _patterns_at(scan: Scan, places: NDArray[np.intp]) -> np.ndarray:
    return np.stack([scan.pattern(*divmod(int(i), scan.shape[1])) for i in places])


def default_batch_size(pattern_shape: tuple[int, int] | None) -> int:
    """Patterns that go through preprocessing and network at once, so that memory stays small."""
    if pattern_shape is None:
        return 1
    return max(1, min(_BATCH_PATTERNS, _BATCH_BYTES // (4 * pattern_shape[0] * pattern_shape[1])))


def plan_tiles(
    scan: Scan,
    classifier: Classifier,
    region: Region | None,
    prior: str | np.ndarray,
    batch_size: int | None,
    tile: int,
    skip: np.ndarray | None,
) -> tuple[list[Region], np.ndarray, int]:
    """Tiles that are still to do, class frequencies (32, 14), and patterns in a batch.

    Parameters and errors are those of :func:`.mapping.classify_tiles`.
    """
    region = check_region(scan.shape, region)
    frequencies = classifier.prior(prior) if isinstance(prior, str) else prior
    if batch_size is not None and batch_size < 1:
        raise InputError(f"the batch size must be 1 or more, not {batch_size}")
    most = min(tile, _FOLDER_TILE) if scan.path.is_dir() else tile
    if scan.pattern_shape is not None:
        most = min(
            most, max(1, _TILE_BYTES // (scan.dtype.itemsize * math.prod(scan.pattern_shape)))
        )
    tiles = [place for place in scan.tiles(most, region) if skip is None or not skip[place].all()]
    return tiles, frequencies, batch_size or default_batch_size(scan.pattern_shape)


def tile_result(rows: slice, cols: slice, classified: Classified) -> TileResult:
    """Lay classified patterns on the rectangle of the map that they came from."""
    shape = rows.stop - rows.start, cols.stop - cols.start
    return TileResult(
        rows,
        cols,
        classified.point_groups.reshape(*shape, -1),
        classified.lattices.reshape(*shape, -1),
        classified.quality.reshape(shape),
    )
