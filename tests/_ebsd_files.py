# SPDX-License-Identifier: GPL-3.0-or-later
"""Real pattern files for tests: those that kikuchipy ships, and vendor layouts written by hand."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

import h5py
import kikuchipy
import numpy as np

SHIPPED = Path(kikuchipy.__file__).parent / "data"
SETTING = SHIPPED / "nordif" / "Setting.txt"


def patterns(rows: int, cols: int, height: int = 6, width: int = 8, seed: int = 0) -> np.ndarray:
    """Distinct 8-bit patterns (rows, cols, height, width)."""
    random = np.random.default_rng(seed)
    return random.integers(1, 255, (rows, cols, height, width), dtype=np.uint8)


def copy(name: str, folder: Path) -> Path:
    """Copy of a file that kikuchipy ships."""
    return Path(shutil.copy(SHIPPED / name, folder))


def write_edax(path: Path, data: np.ndarray, *, version: int = 3, hexagonal: bool = False) -> Path:
    """EDAX .up1 or .up2, by the type of the patterns; columns 0.5 um and rows 0.25 um apart."""
    rows, cols, height, width = data.shape
    header = struct.pack("<4I", version, width, height, 16 if version == 1 else 42)
    if version > 1:
        header += struct.pack("<B2I?2d", 1, cols, rows, hexagonal, 0.5, 0.25)
    path.write_bytes(header + data.tobytes())
    return path


def write_ebsp(
    path: Path,
    data: np.ndarray,
    *,
    version: int = 2,
    order: np.ndarray | None = None,
    missing: tuple[int, ...] = (),
    compressed: bool = False,
    step: float = 1.5,
) -> Path:
    """Oxford .ebsp of one format version; `order` is the file position of each map point."""
    rows, cols, height, width = data.shape
    count = rows * cols
    order = np.arange(count) if order is None else order
    begin = {0: b""}.get(version, struct.pack("<q", -version)) + (b"\1" if version > 3 else b"")
    header = struct.pack("<4i", compressed, height, width, height * width * data.itemsize)
    records: dict[int, bytes] = {}
    for point, place in enumerate(order):
        if point in missing:
            continue
        row, col = divmod(point, cols)
        x, y = struct.pack("<d", col * step), struct.pack("<d", row * step)
        footer = {0: b"", 1: x + y}.get(version, b"\1" + x + b"\1" + y)
        map_position = struct.pack("<2i", col, row) if version > 4 else b""
        records[int(place)] = map_position + header + data[row, col].tobytes() + footer
    first = len(begin) + 8 * count
    position = {place: i for i, place in enumerate(sorted(records))}
    size = len(next(iter(records.values())))
    starts = [
        0 if point in missing else first + size * position[int(order[point])]
        for point in range(count)
    ]
    body = b"".join(records[place] for place in sorted(records))
    path.write_bytes(begin + np.array(starts, "<i8").tobytes() + body)
    return path


def write_nordif(folder: Path, data: np.ndarray, *, settings: bool = True) -> Path:
    """NORDIF Pattern.dat with its Setting.txt."""
    rows, cols, height, width = data.shape
    if settings:
        write_setting(folder, rows, cols, height, width)
    path = folder / "Pattern.dat"
    path.write_bytes(data.tobytes())
    return path


def write_setting(folder: Path, rows: int, cols: int, height: int, width: int) -> None:
    text = SETTING.read_text("latin-1")
    text = text.replace("3x3\t#", f"{rows}x{cols}\t#").replace("60x60", f"{width}x{height}")
    (folder / "Setting.txt").write_text(text, "latin-1")


def write_oxford(
    path: Path,
    data: np.ndarray,
    *,
    names: tuple[str, ...] = ("Processed Patterns",),
    chunks: int | None = None,
    corrected: bool | None = None,
) -> Path:
    """Oxford .h5oina with two phases, all points but the first indexed."""
    rows, cols, height, width = data.shape
    count = rows * cols
    with h5py.File(path, "w") as file:
        file["Manufacturer"] = b"Oxford Instruments"
        file["Format Version"] = b"7.0"
        group = file.create_group("1/EBSD/Data")
        for number, name in enumerate(names):
            stack = data.reshape(count, height, width) + np.uint8(number)
            group.create_dataset(name, data=stack, chunks=chunks and (chunks, height, width))
        phase = np.ones((count, 1), np.uint8)
        phase[0], phase[-1] = 0, 2
        group["Phase"] = phase
        group["Euler"] = np.linspace(0.1, 1, 3 * count, dtype="f4").reshape(count, 3)
        header = file.create_group("1/EBSD/Header")
        header["Y Cells"], header["X Cells"] = [rows], [cols]
        header["Y Step"], header["X Step"] = [0.5 if rows > 1 else 0], [0.25]
        header["Pattern Height"], header["Pattern Width"] = [height], [width]
        header["Processed Static Background"] = data.mean(axis=(0, 1)).astype(np.uint8)
        if corrected is not None:
            header["Static Background Correction"] = [corrected]
        for number, (name, space_group, a) in enumerate(
            (("Iron bcc", 229, 2.87), ("Ni", 225, 3.52))
        ):
            entry = header.create_group(f"Phases/{number + 1}")
            entry["Phase Name"] = name.encode()
            entry["Space Group"] = [space_group]
            entry["Lattice Dimensions"] = np.full((1, 3), a, "f4")
            entry["Lattice Angles"] = np.full((1, 3), np.pi / 2, "f4")
    return path


def write_bruker(path: Path, data: np.ndarray, order: np.ndarray | None = None) -> Path:
    """Bruker .h5; `order` is the map point of each pattern in the file (a region of interest)."""
    rows, cols, height, width = data.shape
    count = rows * cols
    points = np.arange(count) if order is None else order
    with h5py.File(path, "w") as file:
        file["Manufacturer"] = np.array([b"Bruker Nano"])
        file["Version"] = np.array([b"Esprit 2.X"])
        group = file.create_group("Scan 0/EBSD/Data")
        group["RawPatterns"] = data.reshape(count, height, width)[points]
        group["Phase"] = np.ones(count, np.int32)
        group["phi1"] = points.astype("f4")
        group["PHI"] = np.full(count, 30, "f4")
        group["phi2"] = np.full(count, 60, "f4")
        for name in ("PCX", "PCY", "DD"):
            group[name] = np.full(count, 0.5, "f4")
        header = file.create_group("Scan 0/EBSD/Header")
        header["Grid Type"] = np.array([b"isometric"])
        header["NROWS"], header["NCOLS"] = rows + 2, cols + 2
        header["XSTEP"], header["YSTEP"] = 1.5, 1.5
        header["PatternHeight"], header["PatternWidth"] = height, width
        header["StaticBackground"] = np.full((height, width), 7, np.uint16)
        entry = header.create_group("Phases/1")
        entry["Name"], entry["IT"] = np.array([b"Nickel"]), 225
        entry["LatticeConstants"] = np.array([3.56, 3.56, 3.56, 90, 90, 90], "f4")
        row, col = np.divmod(points, cols)
        file["Scan 0/EBSD/SEM/IY"], file["Scan 0/EBSD/SEM/IX"] = row + 2, col + 1
    return path
