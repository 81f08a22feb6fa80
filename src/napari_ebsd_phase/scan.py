# SPDX-License-Identifier: GPL-3.0-or-later
"""One EBSD data set: patterns that stay on disk, map geometry, detector, vendor phases."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from math import gcd
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np

from ._sources.binary import open_edax, open_nordif, open_nordif_calibration, open_oxford
from ._sources.hdf5 import SUFFIXES as HDF5_SUFFIXES
from ._sources.hdf5 import open_hdf5
from ._sources.images import SUFFIXES as IMAGE_SUFFIXES
from ._sources.images import open_folder, open_image
from ._sources.recording import Patterns, Recording
from ._sources.signal import open_signal
from .errors import InputError

if TYPE_CHECKING:
    from kikuchipy.detectors import EBSDDetector
    from kikuchipy.signals import EBSD
    from orix.crystal_map import CrystalMap

READERS: dict[str, Callable[[Path], Recording]] = {
    **dict.fromkeys(HDF5_SUFFIXES, open_hdf5),
    **dict.fromkeys(IMAGE_SUFFIXES, open_image),
    ".ebsp": open_oxford,
    ".up1": open_edax,
    ".up2": open_edax,
    ".dat": open_nordif,
    ".txt": open_nordif_calibration,
}

#: No tile takes more memory than this, whatever the size of its patterns.
TILE_BYTES = 256 * 2**20

_HASH_BLOCK = 16 * 2**20


def load_scan(source: str | Path, *, grid: tuple[int, int] | None = None) -> Scan:
    """Open patterns lazily: headers are read, patterns stay on disk.

    Parameters
    ----------
    source
        Oxford .h5oina or .ebsp, EDAX .up1, .up2 or .h5, Bruker .h5, EMsoft .h5, kikuchipy .h5,
        NORDIF .dat, one image (PNG, TIFF, BMP, JPEG; the pages of a TIFF are a row of patterns),
        or a folder of images, which become a row of patterns sorted by name.
    grid
        Map rows and columns, for files that do not say. Default: as in the file, else one row.

    Returns
    -------
    Scan
        Also a context manager, which closes the file.

    Raises
    ------
    InputError
        If the source is missing, unreadable, damaged, of an unknown kind or without patterns, or
        if `grid` does not multiply to the number of patterns.
    """
    path = Path(source).expanduser()
    recording = _open(path)
    try:
        return Scan(path, _regrid(recording, path, grid))
    except BaseException:
        recording.patterns.close()
        raise


def _open(path: Path) -> Recording:
    try:
        if path.is_dir():
            return open_folder(path)
        if path.exists() and not path.is_file():  # reading a pipe would wait for ever
            raise InputError(f"{path}: is a pipe or a device; give a file or a folder")
        with path.open("rb") as file:
            empty = not file.read(1)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file or folder; check the name") from error
    except OSError as error:
        raise InputError(
            f"{path}: cannot be opened ({error.strerror}); check its permissions"
        ) from error
    if empty:
        raise InputError(f"{path.name}: the file is empty (0 bytes); copy or export it again")
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        kinds = " ".join(sorted(READERS))
        raise InputError(
            f"{path.name}: unknown kind of file; give a folder of images or one of {kinds}"
        )
    return reader(path)


def _regrid(recording: Recording, path: Path, grid: tuple[int, int] | None) -> Recording:
    """Lay the patterns out on the map that the caller asks for."""
    if grid is None or tuple(grid) == recording.shape:
        return recording
    rows, cols = grid
    count = recording.patterns.count
    if rows < 1 or cols < 1 or rows * cols != count:
        raise InputError(
            f"{path.name}: a grid of {rows} x {cols} does not fit its {count} patterns; "
            f"give rows and columns that multiply to {count}"
        )
    if recording.patterns.shape is None:
        raise InputError(f"{path.name}: images of different sizes have no grid; leave the grid out")
    recording.shape = (rows, cols)
    if recording.crystal_map is not None:
        from ._sources.vendor_maps import on_grid

        recording.crystal_map = on_grid(
            recording.crystal_map, recording.shape, recording.step, recording.units
        )
    if recording.detector is not None and recording.detector.navigation_size == count:
        recording.detector.navigation_shape = recording.shape
    return recording


class Scan:
    """Patterns on a map, read from disk when they are asked for.

    Made by `load_scan` or `from_signal`; use it as a context manager, or `close` it.
    """

    def __init__(self, path: Path, recording: Recording) -> None:
        self._path = path
        self._recording = recording
        self._patterns: Patterns | None = recording.patterns

    @classmethod
    def from_signal(cls, signal: EBSD) -> Scan:
        """Return the scan of a kikuchipy signal, as it is now.

        Patterns are taken from the signal, with its detector, crystal map and steps, and its
        static background is divided out where the patterns still show it. Of a lazy signal they
        are computed when they are needed, and a second time for the hash: compute it first where
        that takes long.

        Parameters
        ----------
        signal
            In memory or lazy, with at most two navigation axes.

        Raises
        ------
        InputError
            If it is no EBSD signal, or has more axes.

        Examples
        --------
        >>> import kikuchipy as kp
        >>> from napari_ebsd_phase import Scan, classify, load_classifier
        >>> s = kp.load("map.h5")
        >>> phase_map = classify(Scan.from_signal(s), load_classifier())
        >>> s.xmap = phase_map.to_crystal_map()
        """
        return cls(*open_signal(signal))

    @property
    def path(self) -> Path:
        """File or folder that was opened; of a signal a name that no file has."""
        return self._path

    @property
    def name(self) -> str:
        """Name of the file without its suffix, or of the folder."""
        return self._path.name if self._path.is_dir() else self._path.stem

    @property
    def shape(self) -> tuple[int, int]:
        """Map rows and columns."""
        return self._recording.shape

    @property
    def pattern_shape(self) -> tuple[int, int] | None:
        """Detector rows and columns; None for images of different sizes."""
        return self._recording.patterns.shape

    @property
    def dtype(self) -> np.dtype:
        """Type of the pattern pixels; for images of several types one that holds them all."""
        return self._recording.patterns.dtype

    @property
    def step(self) -> tuple[float, float]:
        """Distance of map rows and of map columns, in `units`."""
        return self._recording.step

    @property
    def units(self) -> str:
        """``"um"``, or ``"px"`` where the file has no step."""
        return self._recording.units

    @property
    def detector(self) -> EBSDDetector | None:
        """Detector geometry of the file, or None."""
        return self._recording.detector

    @property
    def projection_centre(self) -> tuple[float, float, float] | None:
        """Where the file says that the source point lies before the screen, or None.

        (PCx, PCy, PCz) in Bruker's convention, the mean over the map: x as a fraction of the width
        from the left, y as a fraction of the height from the top, distance in units of the height.
        """
        detector = self.detector
        if detector is None or tuple(detector.shape) != self.pattern_shape:
            return None
        x, y, distance = (float(value) for value in detector.pc.reshape(-1, 3).mean(axis=0))
        # kikuchipy's own guess where a file says nothing.
        if (x, y, distance) == (0.5, 0.5, 0.5):
            return None
        likely = -1 < x < 2 and -1 < y < 2 and 0.1 < distance < 10  # false for what is no number
        return (x, y, distance) if likely else None

    @property
    def crystal_map(self) -> CrystalMap | None:
        """Phases and orientations that the file came with, or None."""
        return self._recording.crystal_map

    @property
    def static_background(self) -> np.ndarray | None:
        """Static background (h, w) to correct the patterns with.

        None where the file has none, or says that it was applied already.
        """
        return self._recording.static_background

    def __repr__(self) -> str:
        size = self.pattern_shape
        pixels = "mixed sizes" if size is None else f"{size[0]} x {size[1]} {self.dtype}"
        return f"<Scan {self.name!r}: {self.shape[0]} x {self.shape[1]} patterns, {pixels}>"

    def __enter__(self) -> Scan:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; patterns cannot be read any more."""
        if self._patterns is not None:
            self._patterns.close()
            self._patterns = None

    def source_name(self, row: int, col: int) -> str:
        """Return the file that a pattern comes from: of a folder its image, else the scan's."""
        return self._recording.patterns.name(self._number(row, col)) or self._path.name

    def pattern(self, row: int, col: int) -> np.ndarray:
        """Return one pattern (h, w).

        Raises
        ------
        InputError
            If there is no such map point, or the file is damaged there.
        """
        return self._open_patterns().read_one(self._number(row, col))

    def read(self, rows: slice, cols: slice) -> np.ndarray:
        """Return the patterns (r, c, h, w) of a rectangle of the map, in one read where possible.

        Raises
        ------
        InputError
            If the images differ in size, or the file is damaged there.
        """
        patterns = self._open_patterns()
        if patterns.shape is None:
            raise InputError(
                f"{self._path.name}: the images differ in size and cannot be stacked; "
                "read them one by one"
            )
        row, row_stop, col, col_stop = self._corners((rows, cols))
        height, width = row_stop - row, col_stop - col
        out = np.empty((height, width, *patterns.shape), self.dtype)
        if out.size == 0:
            return out
        first = row * self.shape[1] + col
        if width == self.shape[1] or height == 1:
            patterns.read_into(first, out.reshape(-1, *patterns.shape))
        else:
            for offset, line in enumerate(out):
                patterns.read_into(first + offset * self.shape[1], line)
        return out

    @property
    def chunk(self) -> int:
        """Patterns that the file stores, and so reads, together."""
        return self._recording.patterns.chunk

    def read_run(self, first: int, count: int, out: np.ndarray | None = None) -> np.ndarray:
        """Return `count` patterns (n, h, w) from number `first` on, row by row of the map.

        Raises
        ------
        InputError
            If the file is damaged there.
        """
        patterns = self._open_patterns()
        if out is None:
            assert patterns.shape is not None, "images of several sizes are read one by one"
            out = np.empty((count, *patterns.shape), self.dtype)
        patterns.read_into(first, out)
        return out

    def tiles(
        self, max_patterns: int = 2048, region: tuple[slice, slice] | None = None
    ) -> Iterator[tuple[slice, slice]]:
        """Cut the map into rectangles that are read well together.

        Every pattern of the region lies in exactly one tile. Tiles are whole rows, or pieces of
        one row where a row is too long, and their borders fall on those of the file's chunks
        where these are small enough.

        Parameters
        ----------
        max_patterns
            Most patterns in a tile; fewer where patterns are so large that a tile would take more
            than 256 MiB.
        region
            Rows and columns to cover. Default is the whole map.

        Yields
        ------
        tuple of slice
            Rows and columns, in row-major order.

        Raises
        ------
        InputError
            If no map point lies in the region.
        """
        patterns = self._recording.patterns
        row, row_stop, col, col_stop = self._corners(region or (slice(None), slice(None)))
        if row >= row_stop or col >= col_stop:
            raise InputError(
                f"{self._path.name}: the region is empty; the map has {self.shape[0]} rows and "
                f"{self.shape[1]} columns"
            )
        limit = max(1, min(max_patterns, TILE_BYTES // patterns.largest))
        if col_stop - col <= limit:
            # Rows after which a chunk ends together with the row.
            unit = patterns.chunk // gcd(patterns.chunk, self.shape[1])
            height = _multiple(limit // (col_stop - col), unit)
            for start, stop in _cuts(row, row_stop, height, 0):
                yield slice(start, stop), slice(col, col_stop)
        else:
            width = _multiple(limit, patterns.chunk)
            for line in range(row, row_stop):
                for start, stop in _cuts(col, col_stop, width, line * self.shape[1]):
                    yield slice(line, line + 1), slice(start, stop)

    def file_hash(self, cancelled: Callable[[], bool] | None = None) -> str | None:
        """Return the SHA-256 (hex) of the file, or of the names and contents of a folder's images.

        Of a signal it is that of its patterns. This reads everything once, of a closed scan, too.

        Parameters
        ----------
        cancelled
            Asked before every 16 MiB; when true, the result is None.
        """
        total = hashlib.sha256()
        files = self._recording.patterns.contents()
        if not files:
            return self._hash_of_patterns(cancelled)
        for path in files:
            try:
                digest = _digest(path, cancelled)
            except OSError as error:  # removed, or on a drive that went away
                raise InputError(
                    f"{path}: cannot be read any more ({error.strerror}); open it again"
                ) from error
            if digest is None:
                return None
            if not self._path.is_dir():
                return digest.hex()
            total.update(path.name.encode() + b"\0" + digest)
        return total.hexdigest()

    def _hash_of_patterns(self, cancelled: Callable[[], bool] | None) -> str | None:
        """Of patterns that lie in no file: of shape, type and numbers."""
        patterns = self._recording.patterns
        assert patterns.shape is not None, "the patterns of a signal are of one size"
        dtype = self.dtype.newbyteorder("<")
        total = hashlib.sha256(repr((*self.shape, *patterns.shape, dtype.str)).encode())
        length = max(1, _HASH_BLOCK // patterns.largest)
        for first in range(0, patterns.count, length):
            if cancelled is not None and cancelled():
                return None
            block = np.empty((min(length, patterns.count - first), *patterns.shape), self.dtype)
            patterns.read_into(first, block)
            total.update(block.astype(dtype, copy=False).tobytes())
        return total.hexdigest()

    def _open_patterns(self) -> Patterns:
        if self._patterns is None:
            raise ValueError(f"the scan {self.name!r} is closed")
        return self._patterns

    def _number(self, row: int, col: int) -> int:
        if not (0 <= row < self.shape[0] and 0 <= col < self.shape[1]):
            raise InputError(
                f"{self._path.name}: no pattern at row {row}, column {col}; the map has "
                f"{self.shape[0]} rows and {self.shape[1]} columns, counted from 0"
            )
        return row * self.shape[1] + col

    def _corners(self, region: tuple[slice, slice]) -> tuple[int, int, int, int]:
        """First row, row after the last, first column, column after the last."""
        corners: list[int] = []
        for part, size in zip(region, self.shape, strict=True):
            start, stop, step = part.indices(size)
            if step != 1:
                raise ValueError(f"a region has no steps, got {part}")
            corners += [start, max(start, stop)]
        return corners[0], corners[1], corners[2], corners[3]


def _multiple(limit: int, unit: int) -> int:
    """Largest multiple of `unit` up to `limit`, or `limit` where `unit` is larger."""
    return limit - limit % unit if unit <= limit else limit


def _cuts(start: int, stop: int, length: int, offset: int) -> Iterator[tuple[int, int]]:
    """Pieces of a range that end where ``offset + position`` is a multiple of `length`."""
    while start < stop:
        end = min(stop, start + length - (offset + start) % length)
        yield start, end
        start = end


def _digest(path: Path, cancelled: Callable[[], bool] | None) -> bytes | None:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while cancelled is None or not cancelled():
            block = file.read(_HASH_BLOCK)
            if not block:
                return digest.digest()
            digest.update(block)
    return None
