# SPDX-License-Identifier: GPL-3.0-or-later
"""What cannot be read is refused in one line that names the file."""

from __future__ import annotations

import os
import struct
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from napari_ebsd_phase.errors import InputError
from napari_ebsd_phase.scan import load_scan

from ._ebsd_files import (
    SHIPPED,
    copy,
    patterns,
    write_bruker,
    write_ebsp,
    write_edax,
    write_nordif,
    write_oxford,
)

Writer = Callable[[Path], Path]


def assert_refused(path: Path, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        load_scan(path)
    message = str(caught.value)
    assert path.name in message
    assert "\n" not in message
    assert ";" in message  # what is wrong; what to do
    assert tempfile.gettempdir() not in message.replace(str(path), "")


def with_bytes(name: str, content: bytes) -> Writer:
    def write(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return write


def shortened(write: Writer, by: int) -> Writer:
    def shorten(folder: Path) -> Path:
        path = write(folder)
        os.truncate(path, path.stat().st_size - by)
        return path

    return shorten


def with_header(name: str, changes: dict[str, object]) -> Writer:
    """Oxford file with header entries replaced, or removed where None."""

    def write(folder: Path) -> Path:
        path = write_oxford(folder / name, patterns(2, 3))
        with h5py.File(path, "r+") as file:
            for key, value in changes.items():
                del file[f"1/EBSD/Header/{key}"]
                if value is not None:
                    file[f"1/EBSD/Header/{key}"] = value
        return path

    return write


def h5_with(name: str, contents: dict[str, object]) -> Writer:
    def write(folder: Path) -> Path:
        with h5py.File(folder / name, "w") as file:
            for key, value in contents.items():
                file[key] = value
        return folder / name

    return write


def empty_folder(folder: Path) -> Path:
    (folder / "nothing").mkdir()
    return folder / "nothing"


def folder_without_images(folder: Path) -> Path:
    path = empty_folder(folder)
    (path / "index.csv").write_text("file\n")
    return path


def bruker_region_with_a_hole(folder: Path) -> Path:
    path = write_bruker(folder / "region.h5", patterns(2, 3))
    with h5py.File(path, "r+") as file:
        file["Scan 0/EBSD/SEM/IX"][2] = 9
    return path


def huge_png(side: int) -> bytes:
    """A PNG that promises side x side pixels and holds next to none."""
    header = b"IHDR" + struct.pack(">2I5B", side, side, 8, 0, 0, 0, 0)
    pixels = b"IDAT" + zlib.compress(bytes(1000))
    chunks = (
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
        for chunk in (header, pixels, b"IEND")
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


patterns(1, 1)
MAP = patterns(2, 3)
OXFORD = {"Manufacturer": b"Oxford Instruments", "Format Version": b"7.0"}
OXFORD_PATTERNS = "1/EBSD/Data/Processed Patterns"

BAD: dict[str, tuple[Writer, str]] = {
    "missing file": (lambda folder: folder / "none.h5", "no such file or folder"),
    "missing image": (lambda folder: folder / "none.png", "no such file or folder"),
    "empty folder": (empty_folder, "the folder is empty"),
    "folder without images": (folder_without_images, "holds no images"),
    "unknown suffix": (with_bytes("map.docx", b"x"), "unknown kind of file"),
    "no suffix": (with_bytes("map", b"x"), "unknown kind of file"),
    **{
        f"empty {suffix}": (with_bytes(f"map{suffix}", b""), r"is empty \(0 bytes\)")
        for suffix in (".h5", ".h5oina", ".up1", ".up2", ".ebsp", ".dat", ".txt", ".png", ".tif")
    },
    **{
        f"text named {suffix}": (with_bytes(f"map{suffix}", b"Just some text.\n" * 9), words)
        for suffix, words in {
            ".h5": "not an HDF5 file",
            ".h5oina": "not an HDF5 file",
            ".up1": "damaged|EDAX",
            ".up2": "damaged|EDAX",
            ".ebsp": "damaged",
            ".dat": "Setting.txt",
            ".txt": "damaged",
            ".png": "cannot be read as an image",
            ".tif": "cannot be read as an image",
            ".jpg": "cannot be read as an image",
            ".bmp": "cannot be read as an image",
        }.items()
    },
    "h5 of something else": (h5_with("map.h5", {"data": np.arange(9)}), "holds no EBSD patterns"),
    "empty h5": (h5_with("map.h5", {}), "holds no EBSD patterns"),
    "h5oina without patterns": (
        h5_with("map.h5oina", {**OXFORD, "1/EBSD/Data/Phase": [1], "1/EBSD/Header/X Cells": [1]}),
        "holds no EBSD patterns",
    ),
    "h5oina with no pattern": (
        h5_with("map.h5oina", {**OXFORD, OXFORD_PATTERNS: np.empty((0, 6, 8), "u1")}),
        "at least one",
    ),
    "patterns that are no stack": (
        h5_with("map.h5oina", {**OXFORD, OXFORD_PATTERNS: np.zeros((3, 48), "u1")}),
        "expected a stack",
    ),
    "patterns without a header": (
        h5_with("map.h5oina", {**OXFORD, OXFORD_PATTERNS: np.zeros((3, 6, 8), "u1")}),
        "damaged",
    ),
    "patterns without a maker": (
        h5_with("map.h5", {"Scan 1/EBSD/Data/patterns": np.zeros((3, 6, 8), "u1")}),
        "cannot be read",
    ),
    "patterns of an unknown maker": (
        h5_with(
            "map.h5", {"Manufacturer": b"Me", "1/EBSD/Data/Pattern": np.zeros((3, 6, 8), "u1")}
        ),
        "cannot be read",
    ),
    "header entry missing": (with_header("map.h5oina", {"X Cells": None}), "damaged"),
    "header entry of a wrong type": (with_header("map.h5oina", {"X Cells": b"three"}), "damaged"),
    "header with more patterns": (
        with_header("map.h5oina", {"X Cells": [5]}),
        "6 patterns|damaged",
    ),
    "header with fewer patterns": (
        with_header("map.h5oina", {"X Cells": [2]}),
        "6 patterns|damaged",
    ),
    "header with other pixels": (
        with_header("map.h5oina", {"Pattern Width": [6], "Pattern Height": [8]}),
        r"6 patterns of \(6, 8\)",
    ),
    "master pattern": (
        lambda folder: copy("emsoft_ebsd_master_pattern/master_patterns.h5", folder),
        "master pattern, not a measurement",
    ),
    "Bruker region with a hole": (bruker_region_with_a_hole, "[Rr]ectangular|damaged"),
    "truncated h5": (
        shortened(lambda folder: copy("kikuchipy_h5ebsd/patterns.h5", folder), 5000),
        "damaged or cut short",
    ),
    "truncated up1": (
        shortened(lambda f: write_edax(f / "map.up1", MAP, version=1), 1),
        "cut short, 5 of the 6",
    ),
    "truncated up2": (
        shortened(lambda f: write_edax(f / "map.up2", MAP.astype("<u2")), 100),
        "cut short, 4 of the 6",
    ),
    "up1 of version 2": (lambda f: write_edax(f / "map.up1", MAP, version=2), "version 2"),
    "up1 with a header only": (
        lambda f: write_edax(f / "map.up1", MAP[:, :0], version=1),
        "holds no patterns",
    ),
    "truncated dat": (shortened(lambda f: write_nordif(f, MAP), 1), "cut short, 5 of the 6"),
    "dat alone": (lambda f: write_nordif(f, MAP, settings=False), "Setting.txt"),
    "truncated ebsp": (
        shortened(lambda f: write_ebsp(f / "map.ebsp", MAP), 1),
        "cut short, 5 of the 6",
    ),
    "compressed ebsp": (
        lambda f: write_ebsp(f / "map.ebsp", MAP, compressed=True),
        "compressed; export them uncompressed",
    ),
    "image bomb": (with_bytes("bomb.png", huge_png(60_000)), "million pixels"),
    "large image": (with_bytes("large.png", huge_png(9_000)), "million pixels"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_in_one_line(tmp_path, case):
    write, words = BAD[case]

    assert_refused(write(tmp_path), words)


def test_a_broken_image_is_refused_when_its_pattern_is_read(tmp_path):
    good = patterns(1, 1, 60, 60)[0, 0]
    Image.fromarray(good).save(tmp_path / "1.png")
    Image.fromarray(good).save(tmp_path / "2.png")
    os.truncate(tmp_path / "2.png", 800)

    with load_scan(tmp_path) as scan:
        np.testing.assert_array_equal(scan.pattern(0, 0), good)
        with pytest.raises(InputError, match=r"^2.png: .*; export it again"):
            scan.pattern(0, 1)
        with pytest.raises(InputError, match=r"^2.png: .*; export it again"):
            scan.read(slice(None), slice(None))


def test_a_broken_image_in_a_folder_is_named(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")

    with pytest.raises(InputError, match=r"^broken.png: cannot be read as an image"):
        load_scan(tmp_path)


def test_an_image_that_changes_after_opening_is_refused(tmp_path):
    Image.new("L", (8, 6)).save(tmp_path / "1.png")
    with load_scan(tmp_path) as scan:
        Image.new("L", (9, 6)).save(tmp_path / "1.png")

        with pytest.raises(InputError, match=r"^1.png: has changed"):
            scan.pattern(0, 0)


def test_an_h5_file_cut_anywhere_opens_whole_or_is_refused(tmp_path):
    whole = (SHIPPED / "edax_h5ebsd" / "patterns.h5").read_bytes()
    path = tmp_path / "cut.h5"
    refused = 0
    for size in np.linspace(1, len(whole) - 1, 40, dtype=int):
        path.write_bytes(whole[:size])
        try:
            with load_scan(path) as scan:
                scan.read(slice(None), slice(None))
        except InputError:
            refused += 1

    assert refused == 40


def test_a_damaged_chunk_is_refused_when_it_is_read(tmp_path):
    path = tmp_path / "map.h5oina"
    write_oxford(path, MAP)
    with h5py.File(path, "r+") as file:
        del file[OXFORD_PATTERNS]
        stack = file.create_dataset(
            OXFORD_PATTERNS, data=MAP.reshape(6, 6, 8), chunks=(1, 6, 8), compression="gzip"
        )
        place = stack.id.get_chunk_info(4).byte_offset
    with path.open("r+b") as raw:
        raw.seek(place)
        raw.write(b"\xff" * 8)

    with load_scan(path) as scan:
        np.testing.assert_array_equal(scan.pattern(0, 0), MAP[0, 0])
        with pytest.raises(InputError, match=r"^map.h5oina: cannot be read, it looks damaged"):
            scan.pattern(1, 1)


@contextmanager
def ordinary_user() -> Iterator[None]:
    """Root may read everything: step down to nobody for a while."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def test_a_file_that_may_not_be_read_is_refused():
    with tempfile.TemporaryDirectory() as folder:
        file, closed = Path(folder) / "secret.h5", Path(folder) / "closed"
        file.write_bytes(b"x")
        closed.mkdir()
        Path(folder).chmod(0o755)
        file.chmod(0)
        closed.chmod(0)

        with ordinary_user():
            for path in (file, closed, closed / "map.h5"):
                with pytest.raises(InputError, match=r"Permission denied.*; check its"):
                    load_scan(path)

        closed.chmod(0o700)
