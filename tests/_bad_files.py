# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are damaged, or made to do harm: each function writes one and returns its path."""

from __future__ import annotations

import os
import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import h5py
from PIL import Image

from ._ebsd_files import (
    SHIPPED,
    patterns,
    write_bruker,
    write_ebsp,
    write_edax,
    write_nordif,
    write_oxford,
)

Writer = Callable[[Path], Path]

MAP = patterns(2, 3)
OXFORD_PATTERNS = "1/EBSD/Data/Processed Patterns"


def shipped(name: str, suffix: str = ".h5") -> Writer:
    return lambda folder: Path(shutil.copy(SHIPPED / name, folder / f"map{suffix}"))


#: A good file of every vendor and format.
GOOD: dict[str, Writer] = {
    "Oxford h5oina": lambda folder: write_oxford(folder / "map.h5oina", MAP),
    "Bruker h5": lambda folder: write_bruker(folder / "map.h5", MAP),
    "EDAX h5": shipped("edax_h5ebsd/patterns.h5"),
    "kikuchipy h5": shipped("kikuchipy_h5ebsd/patterns.h5"),
    "EMsoft h5": shipped("emsoft_ebsd/EBSD_TEST_Ni.h5"),
    "Oxford ebsp": lambda folder: write_ebsp(folder / "map.ebsp", MAP),
    "EDAX up1": lambda folder: write_edax(folder / "map.up1", MAP),
    "EDAX up2": lambda folder: write_edax(folder / "map.up2", MAP.astype("<u2")),
    "NORDIF dat": lambda folder: write_nordif(folder, MAP),
    "PNG": lambda folder: image(folder / "map.png"),
    "TIFF": lambda folder: image(folder / "map.tif"),
    "BMP": lambda folder: image(folder / "map.bmp"),
    "JPEG": lambda folder: image(folder / "map.jpg"),
}


def image(path: Path) -> Path:
    Image.fromarray(patterns(1, 1, 60, 60)[0, 0]).save(path)
    return path


def cut(write: Writer, share: float) -> Writer:
    """Only the first share of a file."""

    def shorten(folder: Path) -> Path:
        path = write(folder)
        os.truncate(path, max(1, int(share * path.stat().st_size)))
        return path

    return shorten


def pipe(path: Path) -> Path:
    """What nobody writes to: reading it waits for ever."""
    os.mkfifo(path)
    return path


def sparse(path: Path, begin: bytes, size: int) -> Path:
    """A file of zeros, but for its first bytes, that takes no room on the disk."""
    with path.open("wb") as file:
        file.write(begin)
        file.truncate(size)
    return path


def oxford(change: Callable[[h5py.File], None]) -> Writer:
    """Oxford file with something wrong in it."""

    def write(folder: Path) -> Path:
        path = write_oxford(folder / "map.h5oina", MAP)
        with h5py.File(path, "r+") as file:
            change(file)
        return path

    return write


def entry(name: str, value: object) -> Writer:
    """Oxford file with one entry replaced."""

    def change(file: h5py.File) -> None:
        del file[name]
        file[name] = value

    return oxford(change)


def without(write: Writer, name: str) -> Writer:
    """A good file that lacks a group or an entry."""

    def remove(folder: Path) -> Path:
        path = write(folder)
        with h5py.File(path, "r+") as file:
            del file[name]
        return path

    return remove


def claims(rows: int, cols: int, height: int, width: int, **options: object) -> Writer:
    """Oxford file that promises patterns it has no bytes of."""

    def change(file: h5py.File) -> None:
        del file[OXFORD_PATTERNS], file["1/EBSD/Data/Phase"], file["1/EBSD/Data/Euler"]
        del file["1/EBSD/Header/Processed Static Background"]
        file.create_dataset(OXFORD_PATTERNS, (rows * cols, height, width), "u1", **options)
        header = file["1/EBSD/Header"]
        header["Y Cells"][...], header["X Cells"][...] = rows, cols
        header["Pattern Height"][...], header["Pattern Width"][...] = height, width

    return oxford(change)


def of_type(dtype: object) -> Writer:
    """Oxford file whose patterns have a strange type."""

    def change(file: h5py.File) -> None:
        del file[OXFORD_PATTERNS]
        file.create_dataset(OXFORD_PATTERNS, (6, 6, 8), dtype)

    return oxford(change)


def large_entry(name: str) -> Writer:
    def change(file: h5py.File) -> None:
        if name in file:
            del file[name]
        file.create_dataset(name, (3 * 10**9,), "u1")

    return oxford(change)


def nested_groups(file: h5py.File) -> None:
    """Each group lies twice in the one above: two to the power of 40 places."""
    group = file["1/EBSD/Header"]
    for _ in range(40):
        inner = group.create_group("one")
        group["two"] = inner
        group = inner


def hard_loop(file: h5py.File) -> None:
    file["1/EBSD/Header/up"] = file["1/EBSD"]


def soft_loop(file: h5py.File) -> None:
    file["1/EBSD/Header/up"] = h5py.SoftLink("/1/EBSD")


def link_to_itself(file: h5py.File) -> None:
    del file[OXFORD_PATTERNS]
    file[OXFORD_PATTERNS] = h5py.SoftLink(f"/{OXFORD_PATTERNS}")


def elsewhere(how: str) -> Writer:
    """Oxford file whose patterns, or one header entry, lie in another file."""

    def write(folder: Path) -> Path:
        other = folder / "other.h5"
        with h5py.File(other, "w") as file:
            file["patterns"], file["cells"] = MAP.reshape(6, 6, 8), [3]
        path = write_oxford(folder / "map.h5oina", MAP)
        with h5py.File(path, "r+") as file:
            if how == "header":
                del file["1/EBSD/Header/X Cells"]
                file["1/EBSD/Header/X Cells"] = h5py.ExternalLink(str(other), "/cells")
                return path
            del file[OXFORD_PATTERNS]
            if how == "link":
                file[OXFORD_PATTERNS] = h5py.ExternalLink(str(other), "/patterns")
            elif how == "raw bytes":
                place = [(str(other), 0, 288)]
                file.create_dataset(OXFORD_PATTERNS, (6, 6, 8), "u1", external=place)
            else:
                layout = h5py.VirtualLayout((6, 6, 8), "u1")
                layout[:] = h5py.VirtualSource(str(other), "patterns", (6, 6, 8))
                file.create_virtual_dataset(OXFORD_PATTERNS, layout)
        return path

    return write


def setting(old: str, new: str) -> Writer:
    """NORDIF patterns whose Setting.txt tells something else."""

    def write(folder: Path) -> Path:
        path = write_nordif(folder, MAP)
        text = (folder / "Setting.txt").read_text("latin-1")
        assert old in text
        (folder / "Setting.txt").write_text(text.replace(old, new), "latin-1")
        return path

    return write


def png(path: Path, width: int, height: int) -> Path:
    """A PNG that promises a size and holds next to no pixels."""
    chunks = (
        b"IHDR" + struct.pack(">2I5B", width, height, 8, 0, 0, 0, 0),
        b"IDAT" + zlib.compress(bytes(1000)),
        b"IEND",
    )
    body = b"".join(
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
        for chunk in chunks
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return path


def tiff_without_width(folder: Path) -> Path:
    path = image(folder / "map.tif")
    data = bytearray(path.read_bytes())
    (first,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, first)
    for place in range(first + 2, first + 2 + 12 * count, 12):
        if struct.unpack_from("<H", data, place)[0] == 256:
            struct.pack_into("<I", data, place + 8, 0)
    path.write_bytes(data)
    return path


def white_picture(path: Path, side: int) -> Path:
    """A picture that is small on the disk and large in memory."""
    Image.new("1", (side, side), 1).save(path)
    return path
