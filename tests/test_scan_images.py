# SPDX-License-Identifier: GPL-3.0-or-later
"""Image files as patterns: single pictures, TIFF stacks and folders."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_ebsd_phase.errors import InputError
from napari_ebsd_phase.scan import load_scan

from ._ebsd_files import patterns

ALL = slice(None)
GRAY = patterns(1, 1, 30, 40)[0, 0]


@pytest.mark.parametrize("suffix", [".png", ".tif", ".TIFF", ".bmp"])
def test_an_8_bit_image_is_one_pattern(tmp_path, suffix):
    path = tmp_path / f"pattern{suffix}"
    Image.fromarray(GRAY).save(path)

    with load_scan(path) as scan:
        assert (scan.shape, scan.pattern_shape, scan.dtype) == ((1, 1), (30, 40), np.uint8)
        assert (scan.step, scan.units) == ((1, 1), "px")
        assert (scan.name, scan.source_name(0, 0)) == ("pattern", path.name)
        np.testing.assert_array_equal(scan.pattern(0, 0), GRAY)
        np.testing.assert_array_equal(scan.read(ALL, ALL), GRAY[None, None])


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg"])
def test_a_jpeg_is_one_pattern_up_to_its_losses(tmp_path, suffix):
    smooth = np.add.outer(np.arange(30), np.arange(40)).astype(np.uint8)
    Image.fromarray(smooth).save(tmp_path / f"pattern{suffix}", quality=95)

    with load_scan(tmp_path / f"pattern{suffix}") as scan:
        np.testing.assert_allclose(scan.pattern(0, 0), smooth, atol=4)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_a_16_bit_image_keeps_its_depth(tmp_path, suffix):
    deep = GRAY.astype(np.uint16) * 251
    Image.fromarray(deep).save(tmp_path / f"pattern{suffix}")

    with load_scan(tmp_path / f"pattern{suffix}") as scan:
        assert scan.dtype == np.uint16
        np.testing.assert_array_equal(scan.pattern(0, 0), deep)


@pytest.mark.parametrize("dtype", [">u2", "<u2", "<f4"])
def test_tiff_files_of_other_programs_open(tmp_path, dtype):
    data = (GRAY * 3).astype(dtype)
    tifffile.imwrite(tmp_path / "pattern.tif", data, byteorder=dtype[0])

    with load_scan(tmp_path / "pattern.tif") as scan:
        assert scan.dtype == np.dtype(dtype).newbyteorder("=")
        np.testing.assert_array_equal(scan.pattern(0, 0), data)


def test_colour_becomes_luminance(tmp_path):
    colour = np.zeros((2, 3, 3), np.uint8)
    colour[0] = np.diag([255, 255, 255])
    colour[1] = [[9, 9, 9], [128, 128, 128], [255, 255, 255]]
    Image.fromarray(colour).save(tmp_path / "colour.png")

    with load_scan(tmp_path / "colour.png") as scan:
        assert scan.pattern(0, 0).tolist() == [[76, 150, 29], [9, 128, 255]]


def test_a_palette_is_looked_up(tmp_path):
    image = Image.fromarray(np.array([[0, 1, 2]], np.uint8), mode=None).convert("P")
    image.putpalette([200, 200, 200, 100, 100, 100, 50, 50, 50])
    image.save(tmp_path / "palette.png")

    with load_scan(tmp_path / "palette.png") as scan:
        assert scan.pattern(0, 0).tolist() == [[200, 100, 50]]


def test_a_black_and_white_image_opens(tmp_path):
    Image.fromarray(GRAY > 100).save(tmp_path / "mask.png")

    with load_scan(tmp_path / "mask.png") as scan:
        np.testing.assert_array_equal(scan.pattern(0, 0), np.where(GRAY > 100, 255, 0))


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_transparent_pixels_lie_outside_the_screen(tmp_path, mode):
    inside = np.hypot(*np.ogrid[-15:15, -20:20]) < 14
    image = Image.fromarray(GRAY).convert(mode)
    image.putalpha(Image.fromarray(np.where(inside, 255, 0).astype(np.uint8)))
    image.save(tmp_path / "round.png")

    with load_scan(tmp_path / "round.png") as scan:
        np.testing.assert_array_equal(scan.pattern(0, 0), np.where(inside, GRAY, 0))


def test_the_pages_of_a_tiff_are_a_row_of_patterns(tmp_path):
    stack = patterns(1, 6, 30, 40)[0]
    tifffile.imwrite(tmp_path / "stack.tif", stack, photometric="minisblack")

    with load_scan(tmp_path / "stack.tif") as scan:
        assert scan.shape == (1, 6)
        np.testing.assert_array_equal(scan.read(ALL, slice(2, 5))[0], stack[2:5])
        np.testing.assert_array_equal(scan.pattern(0, 4), stack[4])
        assert scan.source_name(0, 4) == "stack.tif"
    with load_scan(tmp_path / "stack.tif", grid=(2, 3)) as scan:
        np.testing.assert_array_equal(scan.read(ALL, ALL).reshape(6, 30, 40), stack)


# --- folders -----------------------------------------------------------------------------------


def write_folder(folder, data, names):
    for name, pattern in zip(names, data, strict=True):
        Image.fromarray(pattern).save(folder / name)
    return folder


def test_a_folder_is_a_row_of_patterns_sorted_by_name(tmp_path):
    data = patterns(1, 4, 30, 40)[0]
    names = ["b.png", "a10.bmp", "a2.tif", "C.png"]
    (tmp_path / "index.csv").write_text("file\n")
    (tmp_path / ".hidden.png").write_bytes(b"")
    (tmp_path / "more.png").mkdir()

    with load_scan(write_folder(tmp_path, data, names)) as scan:
        assert (scan.shape, scan.name) == ((1, 4), tmp_path.name)
        assert [scan.source_name(0, col) for col in range(4)] == sorted(names)
        np.testing.assert_array_equal(scan.read(ALL, ALL)[0], data[np.argsort(names)])


def test_a_folder_of_equal_images_takes_a_grid(tmp_path):
    data = patterns(2, 3, 30, 40)
    names = [f"{n}.png" for n in range(6)]

    with load_scan(write_folder(tmp_path, data.reshape(6, 30, 40), names), grid=(2, 3)) as scan:
        np.testing.assert_array_equal(scan.read(ALL, ALL), data)
        assert scan.source_name(1, 1) == "4.png"


def test_images_of_different_sizes_are_read_one_by_one(tmp_path):
    names = ["1.png", "2.png"]
    data = [GRAY, GRAY[:20, :25]]
    folder = write_folder(tmp_path, data, names)

    with load_scan(folder) as scan:
        assert (scan.shape, scan.pattern_shape) == ((1, 2), None)
        for col in range(2):
            np.testing.assert_array_equal(scan.pattern(0, col), data[col])
        assert repr(scan).endswith("1 x 2 patterns, mixed sizes>")
        assert list(scan.tiles()) == [(slice(0, 1), slice(0, 2))]
        with pytest.raises(InputError, match="differ in size"):
            scan.read(ALL, ALL)
    with pytest.raises(InputError, match="different sizes have no grid"):
        load_scan(folder, grid=(2, 1))


def test_images_of_different_depths_share_a_type_that_holds_both(tmp_path):
    folder = write_folder(tmp_path, [GRAY, GRAY.astype(np.uint16) * 9], ["1.png", "2.png"])

    with load_scan(folder) as scan:
        assert scan.dtype == np.uint16
        np.testing.assert_array_equal(scan.read(ALL, ALL)[0], [GRAY, GRAY.astype(np.uint16) * 9])


def test_the_hash_of_a_folder_follows_names_and_contents_of_its_images(tmp_path):
    def folder_hash() -> str:
        with load_scan(tmp_path) as scan:
            return scan.file_hash()

    write_folder(tmp_path, [GRAY, GRAY[::-1]], ["1.png", "2.png"])
    first = folder_hash()
    (tmp_path / "notes.txt").write_text("not an image")
    assert folder_hash() == first
    assert len(bytes.fromhex(first)) == hashlib.sha256().digest_size
    (tmp_path / "2.png").rename(tmp_path / "3.png")
    renamed = folder_hash()
    write_folder(tmp_path, [GRAY], ["3.png"])

    assert len({first, renamed, folder_hash()}) == 3
