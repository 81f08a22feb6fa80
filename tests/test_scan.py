# SPDX-License-Identifier: GPL-3.0-or-later
"""A `Scan` of any format: grid, reading, tiles, and how little it takes to open one."""

from __future__ import annotations

import hashlib
import struct
import tracemalloc
from pathlib import Path

import h5py
import numpy as np
import pytest

from napari_ebsd_phase.errors import InputError
from napari_ebsd_phase.scan import load_scan

from ._ebsd_files import (
    SHIPPED,
    copy,
    patterns,
    write_edax,
    write_oxford,
    write_setting,
)

ALL = slice(None)

# --- grid --------------------------------------------------------------------------------------


def test_a_grid_lays_out_patterns_without_a_map_shape(tmp_path):
    data = patterns(2, 6)
    path = write_edax(tmp_path / "map.up1", data, version=1)

    with load_scan(path) as line:
        assert line.shape == (1, 12)
    with load_scan(path, grid=(2, 6)) as scan:
        np.testing.assert_array_equal(scan.read(ALL, ALL), data)


def test_a_grid_carries_phases_and_detector_along(tmp_path):
    with load_scan(SHIPPED / "emsoft_ebsd" / "simulated_ebsd.h5", grid=(2, 5)) as scan:
        assert scan.crystal_map.shape == (2, 5)
        assert scan.crystal_map.phases[0].name == "ni"
    path = SHIPPED / "kikuchipy_h5ebsd" / "patterns.h5"
    with load_scan(path, grid=(1, 9)) as scan:
        assert scan.detector.navigation_shape == (1, 9)


@pytest.mark.parametrize("grid", [(2, 5), (0, 9), (-3, -3)])
def test_a_wrong_grid_is_refused_with_the_number_of_patterns(grid):
    with pytest.raises(InputError, match=r"edax_binary.up1: .* multiply to 9"):
        load_scan(SHIPPED / "edax_binary" / "edax_binary.up1", grid=grid)


# --- reading -----------------------------------------------------------------------------------


@pytest.mark.parametrize("chunks", [None, 1, 5])
def test_a_rectangle_of_the_map_and_a_single_pattern_agree(tmp_path, chunks):
    data = patterns(4, 7)
    path = write_oxford(tmp_path / "map.h5oina", data, chunks=chunks)

    with load_scan(path) as scan:
        np.testing.assert_array_equal(scan.read(slice(1, 3), slice(2, 6)), data[1:3, 2:6])
        np.testing.assert_array_equal(scan.read(slice(2, 3), slice(2, 6)), data[2:3, 2:6])
        np.testing.assert_array_equal(scan.read(slice(1, 9), ALL), data[1:])
        np.testing.assert_array_equal(scan.pattern(3, 6), data[3, 6])
        assert scan.read(slice(2, 2), ALL).shape == (0, 7, 6, 8)


@pytest.mark.parametrize(("row", "col"), [(3, 0), (0, 3), (-1, 0)])
def test_a_pattern_outside_the_map_is_refused(row, col):
    with load_scan(SHIPPED / "kikuchipy_h5ebsd" / "patterns.h5") as scan:
        with pytest.raises(InputError, match=r"the map has 3 rows and 3 columns"):
            scan.pattern(row, col)
        with pytest.raises(InputError, match=r"the map has 3 rows and 3 columns"):
            scan.source_name(row, col)


def test_every_pattern_of_a_file_comes_from_that_file():
    with load_scan(SHIPPED / "kikuchipy_h5ebsd" / "patterns.h5") as scan:
        assert scan.source_name(1, 2) == "patterns.h5"


def test_a_closed_scan_still_describes_itself_but_reads_nothing(tmp_path):
    path = copy("kikuchipy_h5ebsd/patterns.h5", tmp_path)
    scan = load_scan(path)
    with scan:
        pass
    scan.close()

    assert repr(scan) == "<Scan 'patterns': 3 x 3 patterns, 60 x 60 uint8>"
    with pytest.raises(ValueError, match="is closed"):
        scan.pattern(0, 0)
    with h5py.File(path, "r+") as file:  # nothing holds it open
        assert "Scan 1" in file


def test_the_hash_is_that_of_the_file():
    path = SHIPPED / "nordif" / "Pattern.dat"

    with load_scan(path) as scan:
        assert scan.file_hash() == hashlib.sha256(path.read_bytes()).hexdigest()


# --- tiles -------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunks", [1, 4, 50])
@pytest.mark.parametrize("limit", [1, 3, 9, 20, 2048])
@pytest.mark.parametrize("region", [None, (slice(1, 5), slice(2, 8)), (slice(6, 7), slice(0, 1))])
def test_tiles_hold_every_pattern_once_in_row_major_order(tmp_path, chunks, limit, region):
    data = patterns(7, 9)
    expected = np.zeros((7, 9), int)
    expected[region or (ALL, ALL)] = 1
    path = write_oxford(tmp_path / "map.h5oina", data, chunks=chunks)

    with load_scan(path) as scan:
        tiles = list(scan.tiles(limit, region))

    seen = np.zeros((7, 9), int)
    for tile in tiles:
        seen[tile] += 1
        assert 0 < data[tile].shape[0] * data[tile].shape[1] <= limit
    np.testing.assert_array_equal(seen, expected)
    starts = [(rows.start, cols.start) for rows, cols in tiles]
    assert starts == sorted(starts)


@pytest.mark.parametrize(("cols", "chunk", "limit"), [(8, 4, 20), (6, 4, 30), (100, 16, 50)])
def test_tiles_end_where_chunks_of_the_file_end(tmp_path, cols, chunk, limit):
    path = write_oxford(tmp_path / "map.h5oina", patterns(12, cols, 2, 2), chunks=chunk)

    with load_scan(path) as scan:
        tiles = list(scan.tiles(limit))

    ends = {
        (rows.stop - 1) * cols + columns.stop for rows, columns in tiles if columns.stop < cols
    } | {rows.stop * cols for rows, columns in tiles if columns == slice(0, cols)}
    assert ends
    assert all(end % chunk == 0 for end in ends)


def test_tiles_of_large_patterns_stay_small_in_memory(tmp_path):
    write_setting(tmp_path, 40, 50, 1200, 1600)
    path = tmp_path / "Pattern.dat"
    with path.open("wb") as file:
        file.truncate(40 * 50 * 1200 * 1600)

    with load_scan(path) as scan:
        largest = max((r.stop - r.start) * (c.stop - c.start) for r, c in scan.tiles())

    assert 100 <= largest <= 2**28 // (1200 * 1600)


def test_an_empty_region_is_refused():
    with (
        load_scan(SHIPPED / "kikuchipy_h5ebsd" / "patterns.h5") as scan,
        pytest.raises(InputError, match="the map has 3 rows and 3 columns"),
    ):
        list(scan.tiles(region=(slice(5, 9), slice(0, 3))))


# --- laziness ----------------------------------------------------------------------------------

# 400 x 400 patterns of 480 x 640 pixels: 49 GB that are never written, but for one pattern.
MAP, DETECTOR, MARKED = (400, 400), (480, 640), 399 * 400 + 7
MARK = np.full(DETECTOR, 77, np.uint8)


def sparse_edax(folder: Path) -> Path:
    path = folder / "map.up1"
    with path.open("wb") as file:
        file.write(
            struct.pack("<4I", 3, 640, 480, 42) + struct.pack("<B2I?2d", 1, 400, 400, 0, 1, 1)
        )
        write_mark(file, 42, 480 * 640, 0)
    return path


def sparse_nordif(folder: Path) -> Path:
    write_setting(folder, *MAP, *DETECTOR)
    path = folder / "Pattern.dat"
    with path.open("wb") as file:
        write_mark(file, 0, 480 * 640, 0)
    return path


def sparse_ebsp(folder: Path) -> Path:
    path = folder / "map.ebsp"
    count, record = 400 * 400, 16 + 480 * 640 + 18
    first = 8 + 8 * count
    with path.open("wb") as file:
        file.write(struct.pack("<q", -2) + (first + np.arange(count) * record).tobytes())
        for point in (0, 1, count - 1):
            row, col = divmod(point, 400)
            file.seek(first + point * record)
            file.write(struct.pack("<4i", 0, 480, 640, 480 * 640))
            file.seek(480 * 640, 1)
            file.write(struct.pack("<?d?d", True, col * 0.5, True, row * 0.5))
        write_mark(file, first, record, 16)
    return path


def sparse_oxford(folder: Path) -> Path:
    path = write_oxford(folder / "map.h5oina", patterns(1, 1))
    with h5py.File(path, "r+") as file:
        for name in ("Processed Patterns", "Euler", "Phase"):
            del file[f"1/EBSD/Data/{name}"]
        header = file["1/EBSD/Header"]
        for name, value in {"Y Cells": 400, "X Cells": 400, "Pattern Height": 480}.items():
            header[name][...] = value
        header["Pattern Width"][...] = 640
        stack = file.create_dataset(
            "1/EBSD/Data/Processed Patterns", (400 * 400, *DETECTOR), "u1", chunks=(1, *DETECTOR)
        )
        stack[MARKED] = MARK
    return path


def write_mark(file, first: int, record: int, offset: int) -> None:
    file.seek(first + MARKED * record + offset)
    file.write(MARK.tobytes())
    file.truncate(first + 400 * 400 * record)


@pytest.mark.parametrize("write", [sparse_edax, sparse_nordif, sparse_ebsp, sparse_oxford])
def test_opening_a_huge_file_reads_headers_only(tmp_path, write):
    path = write(tmp_path)
    load_scan(SHIPPED / "nordif" / "Pattern.dat").close()  # imports are not what is measured

    tracemalloc.start()
    try:
        with load_scan(path) as scan:
            assert scan.shape == MAP
            np.testing.assert_array_equal(scan.pattern(399, 7), MARK)
            assert scan.read(slice(399, 400), slice(6, 9)).max(axis=(0, 2, 3)).tolist() == [
                0,
                77,
                0,
            ]
            assert len(list(scan.tiles())) == 200  # of two rows, 256 MiB at most
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 128 * 2**20
