# SPDX-License-Identifier: GPL-3.0-or-later
"""Patterns in raw binary files: EDAX .up1 and .up2, Oxford .ebsp, NORDIF .dat.

EDAX and Oxford headers are read here: kikuchipy 0.13 reads these files whole even when lazy
(Dask hashes the memory map), which takes minutes and fills the memory for large maps. The
layouts are those of its readers.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path

import numpy as np

from ..errors import InputError
from .kikuchipy_reader import kikuchipy_signal, map_of_signal, static_background
from .recording import (
    MAX_PIXELS,
    ArrayPatterns,
    Recording,
    Records,
    cut_short,
    damaged,
    usable_step,
)

# Points of a map; a table that goes on for longer is none.
_MOST_POINTS = 2**25

# What a setting file of NORDIF may take; theirs have some 5 kB.
_LARGEST_SETTING = 2**20


def open_edax(path: Path) -> Recording:
    """Open an EDAX .up1 (8 bit) or .up2 (16 bit) file.

    Version 1 has no map shape, and a hexagonal grid does not fit rows and columns: their patterns
    become one row.

    Raises
    ------
    InputError
        If the file is no such file, is cut short, or has format version 2.
    """
    dtype = np.dtype("<u1" if path.suffix.lower() == ".up1" else "<u2")
    size = path.stat().st_size
    with path.open("rb") as file:
        header = file.read(42)
    if len(header) < 16:
        raise damaged(path, "no header")
    version, width, height, offset = struct.unpack_from("<4I", header)
    if version == 2:
        raise InputError(
            f"{path.name}: EDAX format version 2 cannot be read, only 1 and 3 or later; "
            "export the patterns again"
        )
    _check_pattern_shape(path, height, width)
    if not 16 <= offset <= size:
        raise damaged(path, "no EDAX header")
    stored, rest = divmod(size - offset, width * height * dtype.itemsize)

    shape, step, units = (1, stored), (1.0, 1.0), "px"
    if version >= 3:
        if len(header) < 42:
            raise damaged(path, "no header")
        cols, rows, hexagonal, dx, dy = struct.unpack_from("<2I?2d", header, 17)
        if not hexagonal:
            shape = (rows, cols)
            step, units = usable_step(dy, dx)
    count = shape[0] * shape[1]
    if stored < count or (version == 1 and rest):
        raise cut_short(path, stored, max(count, stored + 1))
    if count == 0:
        raise InputError(f"{path.name}: holds no patterns; save them with the map and try again")
    patterns = _plain(path, dtype, offset, (count, height, width))
    return Recording(patterns, shape, step, units)


def open_nordif(path: Path) -> Recording:
    """Open a NORDIF .dat file; its ``Setting.txt`` lies beside it.

    Raises
    ------
    InputError
        If the setting file is missing or unreadable, or the patterns are cut short.
    """
    if not (path.parent / "Setting.txt").is_file():
        raise InputError(
            f"{path.name}: NORDIF patterns need the file Setting.txt in the same folder; "
            "copy it there"
        )
    setting = _setting(path.parent / "Setting.txt")
    if _product(setting, "Number of samples") > path.stat().st_size:
        raise damaged(path, "Setting.txt tells of more patterns than this file has bytes")
    with kikuchipy_signal(path) as signal:
        rows, cols, height, width = signal.data.shape
        step, units = usable_step(*(axis.scale for axis in signal.axes_manager.navigation_axes[:2]))
        background = static_background(signal.static_background, (height, width))
        detector = signal.detector
    _check_pattern_shape(path, height, width)
    stored = path.stat().st_size // (height * width)
    if stored < rows * cols:
        raise cut_short(path, stored, rows * cols)
    patterns = _plain(path, np.dtype(np.uint8), 0, (rows * cols, height, width))
    return Recording(patterns, (rows, cols), step, units, detector, None, background)


def open_nordif_calibration(path: Path) -> Recording:
    """Open the calibration patterns that a NORDIF ``Setting.txt`` lists, as one row."""
    _setting(path)
    with kikuchipy_signal(path) as signal:
        data = np.asarray(signal.data)
        data = data.reshape(-1, *data.shape[-2:])
        background = static_background(signal.static_background, data.shape[-2:])
        detector, crystal_map = signal.detector, map_of_signal(signal)
    return Recording(
        ArrayPatterns(path, data),
        (1, len(data)),
        detector=detector,
        crystal_map=crystal_map,
        static_background=background,
    )


def _setting(path: Path) -> str:
    """Text of a setting file, which kikuchipy reads whole."""
    if path.stat().st_size > _LARGEST_SETTING:
        raise damaged(path, "far longer than a setting file")
    return path.read_text("latin-1")


def _product(setting: str, name: str) -> int:
    """Rows times columns of a setting, 0 where it has no such numbers."""
    found = re.search(rf"^{name}\t(\d{{1,9}})x(\d{{1,9}})\t#", setting, re.MULTILINE)
    return 0 if found is None else int(found[1]) * int(found[2])


def open_oxford(path: Path) -> Recording:
    """Open an Oxford Instruments .ebsp file with uncompressed patterns.

    Files that hold only some patterns of a map (those not indexed), and files of the first format
    version, become one row.

    Raises
    ------
    InputError
        If the patterns are compressed, or the file is damaged or cut short.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(8)
        if len(head) < 8:
            raise damaged(path, "no header")
        version = max(0, -struct.unpack("<q", head)[0])
        table = 0 if version == 0 else 8 if version < 4 else 9
        starts = _pattern_starts(path, table, size)
        present = starts[starts > 0]
        first = int(present.min())

        # Map column and row come first from version 5 on.
        header_size = 24 if version > 4 else 16
        file.seek(first)
        header = file.read(header_size)
        if len(header) < header_size:
            raise damaged(path, "no pattern header")
        compressed, height, width, n_bytes = struct.unpack("<4i", header[-16:])
        if compressed:
            raise InputError(
                f"{path.name}: its patterns are compressed; export them uncompressed, or as .h5oina"
            )
        _check_pattern_shape(path, height, width)
        if n_bytes not in {height * width, 2 * height * width}:
            raise damaged(path, "bytes and pixels of a pattern disagree")
        dtype = np.dtype("<u1" if n_bytes == height * width else "<u2")
        file.seek(first + header_size + n_bytes)
        footer = _footer(version, file.read(18))

        record = np.dtype(
            [("header", f"V{header_size}"), ("pattern", dtype, (height, width)), ("footer", footer)]
        )
        stored = (size - first) // record.itemsize
        if stored < len(present):
            raise cut_short(path, stored, len(present))
        order, rest = np.divmod(present - first, record.itemsize)
        if rest.any() or order.max() >= stored:
            raise damaged(path, "pattern positions do not fit pattern sizes")

    records = Records(path, record, first, stored)
    patterns = ArrayPatterns(path, records, order)
    if len(present) < len(starts) or not {"x", "y"} <= set(footer.names or ()):
        return Recording(patterns, (1, len(order)))
    places = (0, min(1, len(order) - 1), -1)
    beam = np.concatenate([records.read(int(order[place]), 1)["footer"] for place in places])
    return Recording(patterns, *_grid_of_beam(beam["y"], beam["x"], len(order)))


def _plain(path: Path, dtype: np.dtype, offset: int, shape: tuple[int, int, int]) -> ArrayPatterns:
    """Patterns that lie behind each other with nothing in between."""
    count, height, width = shape
    records = Records(path, np.dtype([("pattern", dtype, (height, width))]), offset, count)
    return ArrayPatterns(path, records)


def _pattern_starts(path: Path, table: int, size: int) -> np.ndarray:
    """Byte position of every pattern, 0 where it is missing.

    The table has no length, but the patterns begin where it ends: it is over when as many
    positions are read as fit before the smallest of them.
    """
    block = 65_536
    blocks: list[np.ndarray] = []
    count, smallest = 0, size
    with path.open("rb") as file:
        file.seek(table)
        while True:
            starts = np.fromfile(file, "<i8", block)
            if not len(starts):
                raise damaged(path, "no table of pattern positions")
            lows = np.minimum.accumulate(np.where(starts > 0, starts, size))
            room = (np.minimum(lows, smallest) - table) // 8
            over = np.flatnonzero(count + 1 + np.arange(len(starts)) >= room)
            if len(over):
                blocks.append(starts[: over[0] + 1])
                break
            blocks.append(starts)
            if count > _MOST_POINTS:
                raise damaged(path, "no end to the table of pattern positions")
            count, smallest = count + len(starts), min(smallest, int(lows[-1]))
    found = np.concatenate(blocks)
    present = found[found > 0]
    if not len(present) or found.min() < 0 or present.min() != table + 8 * len(found):
        raise damaged(path, "no table of pattern positions")
    return found


def _footer(version: int, begin: bytes) -> np.dtype:
    """Beam position behind each pattern; from version 2 on each coordinate may be missing."""
    if version == 0:
        return np.dtype([])
    if version == 1:
        return np.dtype([("x", "<f8"), ("y", "<f8")])
    fields = []
    position = 0
    for name in ("x", "y"):
        fields.append((f"has_{name}", "?"))
        if begin[position : position + 1] == b"\x01":
            fields.append((name, "<f8"))
            position += 8
        position += 1
    return np.dtype(fields)


def _grid_of_beam(
    y: np.ndarray, x: np.ndarray, count: int
) -> tuple[tuple[int, int], tuple[float, float], str]:
    """Map shape, step and units from the beam at the first, second and last pattern (um)."""
    width = float(x[1] - x[0])
    step = abs(width) if width else abs(float(y[1] - y[0]))
    if not np.isfinite([*y, *x]).all() or step == 0:
        return (1, count), (1.0, 1.0), "px"
    lengths = [abs(float(axis[2]) - float(axis[0])) / step for axis in (y, x)]
    if max(lengths) > count:  # by far, where the step is next to none
        return (1, count), (1.0, 1.0), "px"
    rows, cols = (round(length) + 1 for length in lengths)
    if rows * cols != count:
        return (1, count), (1.0, 1.0), "px"
    return (rows, cols), (step, step), "um"


def _check_pattern_shape(path: Path, height: int, width: int) -> None:
    if not (height > 0 and width > 0 and height * width <= MAX_PIXELS):
        raise damaged(path, f"a pattern of {height} x {width} pixels")
