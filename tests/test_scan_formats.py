# SPDX-License-Identifier: GPL-3.0-or-later
"""Pattern files of every vendor: geometry, patterns, and what stands beside them."""

from __future__ import annotations

import warnings
from pathlib import Path

import h5py
import kikuchipy
import numpy as np
import pytest

from napari_ebsd_phase.scan import Scan, load_scan

from ._ebsd_files import (
    SHIPPED,
    patterns,
    write_bruker,
    write_ebsp,
    write_edax,
    write_nordif,
    write_oxford,
)

ALL = slice(None)

# File of kikuchipy, shape, pattern shape, type, step, units.
SHIPPED_FILES = [
    ("kikuchipy_h5ebsd/patterns.h5", (3, 3), (60, 60), "u1", (1.5, 1.5), "um"),
    ("kikuchipy_h5ebsd/patterns_nochunks.h5", (1, 1), (60, 60), "u1", (1, 1), "px"),
    ("edax_h5ebsd/patterns.h5", (3, 3), (60, 60), "u1", (1.5, 1.5), "um"),
    ("edax_binary/edax_binary.up1", (1, 9), (60, 60), "u1", (1, 1), "px"),
    ("edax_binary/edax_binary.up2", (1, 10), (60, 60), "u2", (1, 1), "px"),
    ("oxford_binary/patterns.ebsp", (3, 3), (60, 60), "u1", (1.5, 1.5), "um"),
    ("nordif/Pattern.dat", (3, 3), (60, 60), "u1", (1.5, 1.5), "um"),
    ("nordif/Setting.txt", (1, 2), (60, 60), "u1", (1, 1), "px"),
    ("emsoft_ebsd/EBSD_TEST_Ni.h5", (1, 1), (480, 640), "u1", (1, 1), "px"),
    ("emsoft_ebsd/simulated_ebsd.h5", (1, 10), (10, 10), "i8", (1, 1), "px"),
]


def read_by_kikuchipy(path: Path) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = np.array(kikuchipy.load(path).data)
    return data.reshape(-1, *data.shape[-2:])


def read_all(scan: Scan) -> np.ndarray:
    data = scan.read(ALL, ALL)
    assert data.shape[:2] == scan.shape
    return data.reshape(-1, *data.shape[-2:])


@pytest.mark.parametrize(
    ("name", "shape", "pattern_shape", "dtype", "step", "units"),
    SHIPPED_FILES,
    ids=[row[0] for row in SHIPPED_FILES],
)
def test_a_file_of_every_vendor_opens_with_its_geometry_and_patterns(
    name, shape, pattern_shape, dtype, step, units
):
    with load_scan(SHIPPED / name) as scan:
        assert (scan.shape, scan.pattern_shape) == (shape, pattern_shape)
        assert (scan.step, scan.units) == (step, units)
        assert scan.dtype == np.dtype(dtype)
        assert scan.name == Path(name).stem
        np.testing.assert_array_equal(read_all(scan), read_by_kikuchipy(SHIPPED / name))


# --- what stands beside the patterns ---------------------------------------------------------


def test_a_kikuchipy_file_brings_detector_background_phase_and_orientations():
    path = SHIPPED / "kikuchipy_h5ebsd" / "patterns.h5"
    signal = kikuchipy.load(path)

    with load_scan(path) as scan:
        np.testing.assert_array_equal(scan.static_background, signal.static_background)
        np.testing.assert_allclose(scan.detector.pc, signal.detector.pc)
        assert scan.crystal_map.shape == (3, 3)
        assert scan.crystal_map.phases[0].space_group.number == 225
        np.testing.assert_allclose(
            scan.crystal_map.rotations.data, signal.xmap.rotations.data, atol=1e-12
        )


def test_an_emsoft_file_brings_its_phase_and_detector():
    with load_scan(SHIPPED / "emsoft_ebsd" / "simulated_ebsd.h5") as scan:
        assert scan.crystal_map.phases[0].point_group.name == "4/mmm"
        assert scan.crystal_map.size == 10
        assert scan.detector.shape == (10, 10)


def test_an_edax_h5_file_brings_the_phase_and_orientations_of_the_vendor():
    path = SHIPPED / "edax_h5ebsd" / "patterns.h5"

    with load_scan(path) as scan, h5py.File(path) as file:
        assert scan.crystal_map.phases[1].name == "Nickel"
        assert scan.crystal_map.phases[1].point_group.name == "m-3m"
        assert scan.crystal_map.phases[1].structure.lattice.a == pytest.approx(3.56)
        assert set(scan.crystal_map.phase_id) == {1}
        stored = [file[f"Scan 1/EBSD/Data/{name}"][:] for name in ("Phi1", "Phi", "Phi2")]
        np.testing.assert_allclose(
            np.cos(scan.crystal_map.rotations.to_euler()), np.cos(np.array(stored).T), atol=1e-6
        )
        assert scan.static_background is None


def test_an_oxford_h5oina_file_brings_two_phases_and_unindexed_points(tmp_path):
    data = patterns(2, 3)

    with load_scan(write_oxford(tmp_path / "map.h5oina", data)) as scan:
        np.testing.assert_array_equal(scan.read(ALL, ALL), data)
        assert (scan.shape, scan.step, scan.units) == ((2, 3), (0.5, 0.25), "um")
        assert scan.crystal_map.shape == (2, 3)
        assert scan.crystal_map.phase_id.tolist() == [-1, 1, 1, 1, 1, 2]
        assert scan.crystal_map.phases[1].space_group.number == 229
        lattice = scan.crystal_map.phases[2].structure.lattice
        assert lattice.abcABG() == pytest.approx((3.52, 3.52, 3.52, 90, 90, 90), abs=1e-4)
        assert (scan.crystal_map.dy, scan.crystal_map.dx) == (0.5, 0.25)
        assert scan.static_background.shape == (6, 8)
        assert scan.detector.shape == (6, 8)


def test_a_background_that_oxford_has_applied_is_not_offered_again(tmp_path):
    data = patterns(2, 3)

    with load_scan(write_oxford(tmp_path / "raw.h5oina", data, corrected=False)) as scan:
        assert scan.static_background is not None
    with load_scan(write_oxford(tmp_path / "corrected.h5oina", data, corrected=True)) as scan:
        assert scan.static_background is None


def test_oxford_patterns_are_read_corrected_where_there_are_both_and_raw_where_alone(tmp_path):
    data = patterns(2, 3)
    both = ("Processed Patterns", "Unprocessed Patterns")

    with load_scan(write_oxford(tmp_path / "both.h5oina", data, names=both)) as scan:
        np.testing.assert_array_equal(scan.read(ALL, ALL), data)
    raw = write_oxford(tmp_path / "raw.h5oina", data, names=both[1:], corrected=True)
    with load_scan(raw) as scan:
        np.testing.assert_array_equal(scan.read(ALL, ALL), data)
        assert scan.static_background is not None


def test_an_oxford_file_named_h5_opens_all_the_same(tmp_path):
    data = patterns(2, 3)

    with load_scan(write_oxford(tmp_path / "renamed.h5", data)) as scan:
        np.testing.assert_array_equal(scan.read(ALL, ALL), data)


def test_an_oxford_line_scan_has_one_row_and_the_step_of_the_line(tmp_path):
    with load_scan(write_oxford(tmp_path / "line.h5oina", patterns(1, 5))) as scan:
        assert (scan.shape, scan.step, scan.units) == ((1, 5), (0.25, 0.25), "um")


def test_a_column_of_patterns_stays_a_column(tmp_path):
    data = patterns(4, 1)

    with load_scan(write_oxford(tmp_path / "column.h5oina", data)) as scan:
        np.testing.assert_array_equal(scan.read(ALL, ALL), data)


def test_a_bruker_region_of_interest_is_put_in_map_order(tmp_path):
    data = patterns(3, 4)
    order = np.random.default_rng(5).permutation(12)
    path = write_bruker(tmp_path / "region.h5", data, order)

    with load_scan(path) as scan:
        np.testing.assert_array_equal(scan.read(ALL, ALL), data)
        np.testing.assert_array_equal(scan.read(slice(1, 3), slice(1, 3)), data[1:3, 1:3])
        np.testing.assert_array_equal(read_all(scan), read_by_kikuchipy(path))
        assert scan.step == (1.5, 1.5)
        assert scan.static_background.tolist() == np.full((6, 8), 7).tolist()
        assert scan.crystal_map.phases[1].space_group.number == 225
        angles = scan.crystal_map.rotations.to_euler(degrees=True)
        np.testing.assert_allclose(angles[1:], [[n, 30, 60] for n in range(1, 12)], atol=1e-4)


def test_a_background_of_another_size_is_left_out(tmp_path):
    path = write_oxford(tmp_path / "map.h5oina", patterns(2, 3))
    with h5py.File(path, "r+") as file:
        del file["1/EBSD/Header/Processed Static Background"]
        file["1/EBSD/Header/Processed Static Background"] = np.ones((5, 5), np.uint8)

    with load_scan(path) as scan:
        assert scan.static_background is None


def test_the_first_scan_with_patterns_is_taken(tmp_path):
    path = write_oxford(tmp_path / "map.h5oina", data := patterns(2, 3))
    with h5py.File(path, "r+") as file:
        file.create_group("0/EBSD/Header")
        file.create_group("0/EDS/Data")
        file.move("1", "4")

    with load_scan(path) as scan:
        np.testing.assert_array_equal(scan.read(ALL, ALL), data)


def test_a_file_opens_by_its_name_in_the_working_folder(tmp_path, monkeypatch):
    write_oxford(tmp_path / "map.h5oina", data := patterns(2, 3))
    monkeypatch.chdir(tmp_path)

    with load_scan("map.h5oina") as scan:
        np.testing.assert_array_equal(scan.read(ALL, ALL), data)
        assert scan.crystal_map.size == 6


def test_entries_that_are_no_headers_do_no_harm(tmp_path):
    path = write_oxford(tmp_path / "map.h5oina", data := patterns(2, 3))
    with h5py.File(path, "r+") as file:
        file["1/EBSD/Data/A named type"] = np.dtype("f4")
        file["1/EBSD/Data/A broken link"] = h5py.SoftLink("/nowhere")
        file["1/EBSD/Data/A stack of images"] = np.zeros((2, 3, 4))

    with load_scan(path) as scan:
        np.testing.assert_array_equal(scan.read(ALL, ALL), data)


# --- binary files ------------------------------------------------------------------------------


@pytest.mark.parametrize(("suffix", "dtype"), [(".up1", "<u1"), (".up2", "<u2")])
def test_an_edax_file_of_version_3_knows_its_grid_and_steps(tmp_path, suffix, dtype):
    data = patterns(3, 4).astype(dtype) * (200 if dtype == "<u2" else 1)
    path = write_edax(tmp_path / f"map{suffix}", data)

    with load_scan(path) as scan:
        assert (scan.shape, scan.step, scan.units) == ((3, 4), (0.25, 0.5), "um")
        np.testing.assert_array_equal(scan.read(ALL, ALL), data)
        np.testing.assert_array_equal(read_all(scan), read_by_kikuchipy(path))
        assert scan.detector is None
        assert scan.crystal_map is None
        assert scan.static_background is None


@pytest.mark.parametrize("version", [0, 1, 2, 4, 5])
@pytest.mark.parametrize("dtype", ["<u1", "<u2"])
def test_an_ebsp_file_of_every_version_is_put_in_map_order(tmp_path, version, dtype):
    data = patterns(3, 4).astype(dtype) * (200 if dtype == "<u2" else 1)
    order = np.array([1, 0, 3, 2, 4, 5, 6, 7, 11, 10, 9, 8])
    path = write_ebsp(tmp_path / "map.ebsp", data, version=version, order=order)

    with load_scan(path) as scan:
        assert scan.shape == ((3, 4) if version else (1, 12))
        assert (scan.step, scan.units) == (((1.5, 1.5), "um") if version else ((1, 1), "px"))
        np.testing.assert_array_equal(read_all(scan), data.reshape(12, 6, 8))


def test_an_ebsp_file_with_some_patterns_only_gives_these_in_one_row(tmp_path):
    data = patterns(3, 4)
    path = write_ebsp(tmp_path / "map.ebsp", data, missing=(0, 5, 6))

    with load_scan(path) as scan:
        assert (scan.shape, scan.units) == ((1, 9), "px")
        there = [point for point in range(12) if point not in (0, 5, 6)]
        np.testing.assert_array_equal(read_all(scan), data.reshape(12, 6, 8)[there])


def test_an_ebsp_file_with_one_pattern_opens(tmp_path):
    with load_scan(write_ebsp(tmp_path / "one.ebsp", data := patterns(1, 1))) as scan:
        assert (scan.shape, scan.units) == ((1, 1), "px")
        np.testing.assert_array_equal(scan.pattern(0, 0), data[0, 0])


@pytest.mark.parametrize(("rows", "cols"), [(1, 5), (5, 1), (1, 1), (2, 3)])
def test_nordif_maps_of_any_shape_keep_it(tmp_path, rows, cols):
    data = patterns(rows, cols)

    with load_scan(write_nordif(tmp_path, data)) as scan:
        np.testing.assert_array_equal(scan.read(ALL, ALL), data)
        assert (scan.step, scan.units) == ((1.5, 1.5), "um")
        assert scan.static_background is None
        assert scan.detector.sample_tilt == 70


def test_a_nordif_background_picture_beside_the_patterns_is_used():
    with load_scan(SHIPPED / "nordif" / "Pattern.dat") as scan:
        assert scan.static_background.shape == (60, 60)
