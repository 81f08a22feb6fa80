# SPDX-License-Identifier: GPL-3.0-or-later
"""Classify a scan for somebody who watches: a coarse map of the whole at once, then all of it.

A coarse grid over the full extent comes first, within about a second whatever the size of the
map, then tile after tile as in :mod:`.mapping`. Every pattern is classified once, and as there.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .errors import InputError
from .map_request import Region, add_file_hash, can_resume, prepare_map, region_box, region_mask
from .mapping import TILE_PATTERNS, TileResult, default_batch_size, scan_screen, tile_result
from .reading_once import ChunkStore
from .scan import TILE_BYTES
from .stacks import Classified, Stack, classify_stacks, load_alone, load_stacks, read_ahead

if TYPE_CHECKING:
    from .classifier import Classifier
    from .phase_map import PhaseMap
    from .scan import Scan

__all__ = [
    "SampleResult",
    "add_file_hash",
    "can_resume",
    "classify_progressively",
    "glance_at",
    "prepare_map",
]

_Points = tuple[NDArray[np.intp], NDArray[np.intp]]

# The first glance at a map has so many pixels, if the network is fast enough.
_GLANCE = 64
_PROBE = 8

# A result this often (seconds) is soon enough for the eye, and for somebody who cancels.
_OFTEN = 0.25

# More pixels than these do not wait for one result: painting them takes a moment, too.
_PIXELS = 250_000

# Every image of a folder is prepared alone: so many are read together.
_FOLDER_TILE = 32


@dataclass(frozen=True, eq=False)
class SampleResult:
    """Some classified patterns that do not fill a rectangle of the map.

    Attributes
    ----------
    rows, cols
        Where they lie, both int of shape (n,).
    stride
        Distance of the coarse grid that they belong to: each stands for the pixels around it until
        these are classified. 1 where they stand for nothing but themselves.
    point_group_probabilities, bravais_probabilities
        float32 of shapes (n, 32) and (n, 14).
    quality
        Pattern quality, float32 of shape (n,).
    """

    rows: NDArray[np.intp]
    cols: NDArray[np.intp]
    stride: int
    point_group_probabilities: np.ndarray
    bravais_probabilities: np.ndarray
    quality: np.ndarray

    @property
    def size(self) -> int:
        """Number of patterns."""
        return int(self.quality.size)

    def fill_into(self, phase_map: PhaseMap) -> None:
        """Enter the patterns, and not the pixels around them, into a map of the whole scan."""
        place = (self.rows, self.cols)
        phase_map.point_group_probabilities[place] = self.point_group_probabilities
        phase_map.bravais_probabilities[place] = self.bravais_probabilities
        phase_map.pattern_quality[place] = self.quality
        phase_map.done[place] = True


def classify_progressively(
    scan: Scan,
    classifier: Classifier,
    *,
    phase_map: PhaseMap,
    region: Region | None = None,
    prior: str | np.ndarray = "known",
    batch_size: int | None = None,
    first: float = 1.0,
) -> Generator[SampleResult | TileResult, None, None]:
    """Classify a scan, first coarsely over its full extent, then tile by tile.

    Parameters
    ----------
    scan
        Open scan.
    classifier
        The network.
    phase_map
        Map of the scan. What it holds when this is called is skipped; the caller fills it.
    region
        What to classify: rows and columns, or bool of shape (rows, cols); the whole map when
        None.
    prior
        Class prior, as text or as frequencies of shape (32, 14).
    batch_size
        Patterns that go through the network at once; chosen by their size when None.
    first
        Seconds that the coarse map may take. There is none where all takes no longer.

    Returns
    -------
    generator of SampleResult and TileResult
        No pattern comes twice. Closing it ends the reading thread.

    Raises
    ------
    InputError
        If the request is wrong: at once. If the file is damaged: when the iterator gets there.
    """
    return _Work.of(scan, classifier, phase_map, region, prior, batch_size).results(first)


def glance_at(
    scan: Scan,
    classifier: Classifier,
    *,
    phase_map: PhaseMap,
    region: Region | None = None,
    prior: str | np.ndarray = "known",
    batch_size: int | None = None,
    seconds: float = 0.7,
) -> Generator[SampleResult, None, None]:
    """Classify as many patterns as there is time for, on a grid over the full extent.

    Something to look at while more is found out, such as the projection centre. Parameters are
    those of :func:`classify_progressively`; a map that a few patterns fill has no coarse one.
    """
    work = _Work.of(scan, classifier, phase_map, region, prior, batch_size)
    return work.glance(seconds)


class _Work:
    """One request on its way; `wanted` (rows, cols) is what is still to do."""

    def __init__(
        self,
        scan: Scan,
        classifier: Classifier,
        prior: np.ndarray,
        batch_size: int,
        wanted: NDArray[np.bool_],
    ) -> None:
        self._scan = scan
        self._classifier = classifier
        self._prior = prior
        self._batch_size = batch_size
        self._wanted = wanted
        self._folder = scan.path.is_dir()
        self._screen: np.ndarray | None = None
        self._store: ChunkStore | None = None
        self._speed: float | None = None  # patterns a second

    @classmethod
    def of(
        cls,
        scan: Scan,
        classifier: Classifier,
        phase_map: PhaseMap,
        region: Region | None,
        prior: str | np.ndarray,
        batch_size: int | None,
    ) -> _Work:
        """Check a request."""
        if phase_map.shape != scan.shape:
            raise InputError(
                f"the phase map has {phase_map.shape[0]} x {phase_map.shape[1]} pixels, the scan "
                f"{scan.shape[0]} x {scan.shape[1]}: make a new one"
            )
        if batch_size is not None and batch_size < 1:
            raise InputError(f"the batch size must be 1 or more, not {batch_size}")
        frequencies = classifier.prior(prior) if isinstance(prior, str) else prior
        wanted = region_mask(scan.shape, region)
        wanted &= ~phase_map.done
        size = batch_size or default_batch_size(scan.pattern_shape)
        return cls(scan, classifier, frequencies, size, wanted)

    def results(self, first: float) -> Generator[SampleResult | TileResult, None, None]:
        """All of it, the coarse map first."""
        end = time.perf_counter() + first
        if not self._wanted.any():
            return
        self._look_at_screen()
        with ThreadPoolExecutor(1, thread_name_prefix="read-patterns") as reader:
            try:
                yield from self._coarse(reader, first, end, alone=False)
                yield from self._tiles(reader)
            finally:
                reader.shutdown(cancel_futures=True)

    def glance(self, seconds: float) -> Generator[SampleResult, None, None]:
        """The coarse map alone."""
        end = time.perf_counter() + seconds
        self._look_at_screen()
        with ThreadPoolExecutor(1, thread_name_prefix="read-patterns") as reader:
            try:
                yield from self._coarse(reader, seconds, end, alone=True)
            finally:
                reader.shutdown(cancel_futures=True)

    def _look_at_screen(self) -> None:
        if not self._folder:
            self._store = ChunkStore(self._scan, self._wanted)
            self._screen = scan_screen(self._scan, self._store.look)

    def _coarse(
        self, reader: ThreadPoolExecutor, first: float, end: float, *, alone: bool
    ) -> Generator[SampleResult, None, None]:
        """A glance at the whole, then as fine a grid as there is time for."""
        if np.count_nonzero(self._wanted) <= _GLANCE:
            return
        self._probe()
        if not alone and self._all_done_by(end):
            return
        glance = min(_GLANCE, self._affordable(first / 4))
        yield from self._grid(reader, glance)
        most = self._affordable(end - time.perf_counter())
        # A grid that is hardly finer than the first shows nothing new.
        if most > 2 * glance and not self._all_done_by(end):
            yield from self._grid(reader, most)

    def _all_done_by(self, end: float) -> bool:
        """Whether nothing would be left to do at a time, at the present speed."""
        return int(self._wanted.sum()) <= self._affordable(end - time.perf_counter())

    def _probe(self) -> None:
        """Find out how fast it goes."""
        every = np.flatnonzero(self._wanted)
        every = every[np.linspace(0, len(every) - 1, _PROBE + 1).astype(int)]
        rows, cols = np.unravel_index(every, self._wanted.shape)
        # The very first pattern also pays for what is done once.
        self._classify(self._load_points((rows[:1], cols[:1]), probe=True))
        started = time.perf_counter()
        self._classify(self._load_points((rows[1:], cols[1:]), probe=True))
        self._speed = _PROBE / (time.perf_counter() - started)

    def _affordable(self, seconds: float) -> int:
        """Patterns that can be classified in some time."""
        return _GLANCE if self._speed is None else max(1, int(self._speed * seconds))

    def _together(self) -> int:
        """Patterns that are read together at most."""
        if self._folder:
            return _FOLDER_TILE
        height, width = self._scan.pattern_shape or (1, 1)
        return max(
            1, min(TILE_PATTERNS, TILE_BYTES // (height * width * self._scan.dtype.itemsize))
        )

    def _classify(self, stacks: list[Stack]) -> Classified:
        return classify_stacks(
            stacks, self._classifier, self._scan.static_background, self._prior, self._batch_size
        )

    def _grid(self, reader: ThreadPoolExecutor, most: int) -> Generator[SampleResult, None, None]:
        """Classify about as many patterns as are asked for, on a regular grid."""
        if self._store is not None and self._scan.chunk > 1:
            most = max(1, min(most, self._store.room))  # what comes with a point is kept
        stride, rows, cols = _grid_points(self._wanted, most)
        painted = max(1, _PIXELS // stride**2)
        together = min(self._together(), self._affordable(_OFTEN), painted)
        parts = list(_lines(rows, cols, together))
        started = time.perf_counter()
        for (rows, cols), stacks in read_ahead(reader, self._load_points, parts):
            result = SampleResult(rows, cols, stride, *self._classify(stacks))
            self._speed = result.size / (time.perf_counter() - started)
            self._wanted[rows, cols] = False
            yield result
            started = time.perf_counter()

    def _tiles(
        self, reader: ThreadPoolExecutor
    ) -> Generator[SampleResult | TileResult, None, None]:
        """Classify all that is left, in tiles that are read at once and shown piece by piece."""
        if not self._wanted.any():
            return
        tiles = (
            _trimmed(tile, self._wanted)
            for tile in self._scan.tiles(self._together(), region_box(self._wanted))
            if self._wanted[tile].any()
        )
        for (rows, cols), stacks in read_ahead(reader, self._load_tile, tiles):
            for piece in _pieces(rows, cols, self._affordable(_OFTEN)):
                if not self._wanted[piece].any():
                    continue
                started = time.perf_counter()
                result = self._classify_piece(rows, cols, piece, stacks)
                self._speed = result.size / (time.perf_counter() - started)
                yield result

    def _classify_piece(
        self, rows: slice, cols: slice, piece: tuple[slice, slice], stacks: list[Stack]
    ) -> SampleResult | TileResult:
        """Classify what is wanted of a piece of the tile that lies at `rows` and `cols`."""
        wanted = self._wanted[piece]
        chosen = np.zeros((rows.stop - rows.start, cols.stop - cols.start), bool)
        inside = tuple(
            slice(part.start - whole.start, part.stop - whole.start)
            for part, whole in zip(piece, (rows, cols), strict=True)
        )
        chosen[inside] = wanted
        places = np.flatnonzero(chosen)
        if self._folder:
            part = [stacks[place] for place in places]
        else:
            patterns, screen = stacks[0]
            run = places[-1] + 1 - places[0] == len(places)  # no copy where they lie together
            part = [(patterns[places[0] : places[-1] + 1] if run else patterns[places], screen)]
        classified = self._classify(part)
        if wanted.all():
            return tile_result(*piece, classified)
        row, col = np.nonzero(wanted)
        return SampleResult(row + piece[0].start, col + piece[1].start, 1, *classified)

    def _load_tile(self, place: tuple[slice, slice]) -> list[Stack]:
        """Read what is wanted of a tile; the rest of its stack is left as it comes."""
        if self._store is None or self._screen is None:
            return load_stacks(self._scan, *place, None)
        rows, cols = np.nonzero(self._wanted[place])
        shape = tuple(part.stop - part.start for part in place)
        taken = self._store.take(
            (rows + place[0].start) * self._scan.shape[1] + cols + place[1].start
        )
        if len(taken) == shape[0] * shape[1]:
            return [(taken, self._screen)]
        patterns = np.empty((shape[0] * shape[1], *taken.shape[1:]), taken.dtype)
        patterns[rows * shape[1] + cols] = taken
        return [(patterns, self._screen)]

    def _load_points(self, points: _Points, probe: bool = False) -> list[Stack]:
        """Read patterns of single map points, which are sorted by rows and columns."""
        rows, cols = points
        if self._store is None or self._screen is None:
            return [load_alone(self._scan, int(r), int(c)) for r, c in zip(*points, strict=True)]
        read = self._store.look if probe else self._store.take
        return [(read(rows * self._scan.shape[1] + cols), self._screen)]


def _grid_points(
    wanted: NDArray[np.bool_], most: int
) -> tuple[int, NDArray[np.intp], NDArray[np.intp]]:
    """Stride of a grid over what is wanted, and the rows and columns of its points, (n,)."""
    box = region_box(wanted)
    height, width = (part.stop - part.start for part in box)
    # The grid is regular in the rectangle around; only a share of it may be wanted.
    most = max(1, most * height * width // np.count_nonzero(wanted))
    stride = max(1, int(np.sqrt(height * width / most)))
    while -(-height // stride) * -(-width // stride) > most:
        stride += 1 + stride // 16
    axes = []
    for part in box:
        starts = np.arange(part.start, part.stop, stride)
        axes.append((starts + np.minimum(starts + stride, part.stop)) // 2)
    rows, cols = (axis.ravel() for axis in np.meshgrid(*axes, indexing="ij"))
    hit = wanted[rows, cols]
    return stride, rows[hit], cols[hit]


def _lines(rows: NDArray[np.intp], cols: NDArray[np.intp], most: int) -> Iterator[_Points]:
    """Cut the points of a grid into whole lines, or pieces of a line that is longer than `most`."""
    start = 0
    while start < len(rows):
        stop = min(start + most, len(rows))
        if stop < len(rows):
            line = int(np.searchsorted(rows, rows[stop]))
            stop = line if line > start else stop
        yield rows[start:stop], cols[start:stop]
        start = stop


def _trimmed(tile: tuple[slice, slice], wanted: NDArray[np.bool_]) -> tuple[slice, slice]:
    """The rectangle around what is wanted of a tile."""
    rows, cols = region_box(wanted[tile])
    row, col = tile[0].start, tile[1].start
    return slice(row + rows.start, row + rows.stop), slice(col + cols.start, col + cols.stop)


def _pieces(rows: slice, cols: slice, most: int) -> Iterator[tuple[slice, slice]]:
    """Cut a tile into pieces of about `most` patterns: whole rows, or equal parts of a row."""
    width = cols.stop - cols.start
    height = max(1, most // width)
    width = -(-width // max(1, round(width / most)))
    for row in range(rows.start, rows.stop, height):
        for col in range(cols.start, cols.stop, width):
            yield (
                slice(row, min(row + height, rows.stop)),
                slice(col, min(col + width, cols.stop)),
            )
