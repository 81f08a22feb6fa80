# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding the lit screen in detector frames."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from napari_ebsd_phase.errors import InputError
from napari_ebsd_phase.samples import sample_path
from napari_ebsd_phase.scan import load_scan
from napari_ebsd_phase.screen import find_screen
from napari_ebsd_phase.training.library import MasterLibrary
from napari_ebsd_phase.training.pattern_simulation import (
    FAST,
    GOOD,
    POOR,
    TRAINING,
    random_screen,
    simulate_group,
)

LIBRARY = Path(__file__).parents[1] / "data" / "master_patterns.h5"


def texture(shape: tuple[int, int] = (120, 160), seed: int = 0, noise: float = 0.1) -> np.ndarray:
    """A band pattern between about 60 and 200 counts, all of it lit."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]] / max(shape)
    image = np.zeros(shape)
    for _ in range(9):
        angle, offset = rng.uniform(0, np.pi), rng.uniform(-0.3, 0.3)
        distance = (x - 0.5) * np.cos(angle) + (y - 0.5) * np.sin(angle) - offset
        image += np.exp(-((distance / 0.04) ** 2))
    image = image / image.max() + noise * rng.standard_normal(shape)
    return (100 + 100 * image).clip(1, 254)


def read(path: Traversable) -> np.ndarray:
    with path.open("rb") as stream, Image.open(stream) as image:
        return np.asarray(image.convert("L"))


def grid(shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    return y * shape[0] / max(shape), x * shape[1] / max(shape)


def circle(shape: tuple[int, int]) -> np.ndarray:
    y, x = grid(shape)
    return y**2 + x**2 < 0.97 * min(shape) ** 2 / max(shape) ** 2


def rounded(shape: tuple[int, int]) -> np.ndarray:
    y, x = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    return np.abs(x) ** 5 + np.abs(y) ** 5 < 1


def octagon(shape: tuple[int, int]) -> np.ndarray:
    y, x = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    return np.abs(x) + np.abs(y) < 1.4


def strip(shape: tuple[int, int]) -> np.ndarray:
    mask = np.ones(shape, dtype=bool)
    mask[-shape[0] // 6 :] = False
    return mask


SCREENS = [circle, rounded, octagon, strip]


def overlap(found: np.ndarray, true: np.ndarray) -> float:
    return float((found & true).sum() / (found | true).sum())


@pytest.mark.parametrize("shape", [(60, 60), (120, 160), (480, 640)])
@pytest.mark.parametrize("screen", SCREENS)
def test_transparent_borders_are_found(screen, shape):
    true = screen(shape)
    found = find_screen(np.where(true, texture(shape), 0))
    assert overlap(found, true) > 0.9
    assert not found[~true].any()


@pytest.mark.parametrize("shape", [(60, 60), (120, 160), (480, 640)])
@pytest.mark.parametrize("screen", SCREENS)
def test_shadow_with_a_little_light_and_noise_is_found(screen, shape):
    true = screen(shape)
    noise = np.random.default_rng(1).normal(3, 0.7, shape).clip(0)
    found = find_screen(np.where(true, texture(shape), noise))
    assert overlap(found, true) > 0.93
    assert not found[-1, [0, -1]].any()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64, ">u2"])
def test_the_type_of_the_counts_does_not_matter(dtype):
    frame = np.where(circle((120, 160)), texture(), 0).astype(np.uint8)
    np.testing.assert_array_equal(find_screen(frame.astype(dtype)), find_screen(frame))


def test_a_white_margin_around_a_picture_is_no_screen():
    true = np.zeros((160, 200), dtype=bool)
    true[20:140, 20:180] = True
    frame = np.full((160, 200), 255.0)
    frame[true] = texture().ravel()
    found = find_screen(frame)
    assert overlap(found, true) > 0.9
    assert not found[~true].any()


def test_borders_that_hold_no_number_are_no_screen():
    true = circle((120, 160))
    found = find_screen(np.where(true, texture(), np.nan))
    assert overlap(found, true) > 0.9
    assert not found[~true].any()


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("noise", [0.02, 0.1, 0.5])
def test_a_full_frame_is_all_screen(seed, noise):
    assert find_screen(texture(seed=seed, noise=noise)).all()


@pytest.mark.parametrize("level", [0.03, 0.06, 0.1, 0.3])
def test_the_dark_corners_of_a_bell_shaped_background_are_lit(level):
    y, x = grid((120, 160))
    bell = level + np.exp(-(y**2 + x**2) / 0.45)
    frames = np.stack([(texture(seed=k) * bell).astype(np.uint16) * 40 for k in range(3)])
    assert find_screen(frames).all()
    assert find_screen(frames[0]).all()


def test_the_dark_corner_of_a_corrected_pattern_is_lit():
    rng = np.random.default_rng(0)
    frame = texture()
    frame[:40, :50] = 8 + 10 * rng.random((40, 50)) + 8 * np.sin(np.arange(50) / 3)
    assert find_screen(frame).all()


def test_an_overexposed_middle_does_not_cut_the_frame():
    y, x = grid((120, 160))
    frame = (1.6 * texture() * np.exp(-((y + 0.3) ** 2 + x**2) / 1.5)).clip(0, 200)
    assert (frame == 200).mean() > 0.05
    assert find_screen(frame).all()


def test_dead_and_hot_pixels_are_part_of_the_screen():
    frame = texture()
    rng = np.random.default_rng(0)
    frame[rng.integers(0, 120, 80), rng.integers(0, 160, 80)] = 0
    frame[rng.integers(0, 120, 80), rng.integers(0, 160, 80)] = 255
    frame[60:64, 80:84] = 0
    assert find_screen(frame).all()


def test_a_label_burnt_in_does_not_change_the_rest():
    frame = texture()
    frame[108:, :40] = 255
    found = find_screen(frame)
    assert found[:100].all()
    assert found[:, 48:].all()


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (7, 50), (8, 8), (9, 30)])
def test_tiny_frames_are_all_screen(shape):
    assert find_screen(texture(shape)).all()
    assert find_screen(texture(shape)).shape == shape


@pytest.mark.parametrize("value", [0, 17, 65535, np.nan])
def test_blank_frames_are_all_screen(value):
    assert find_screen(np.full((4, 60, 60), value)).all()


def test_a_screen_of_a_few_pixels_is_a_wrong_guess():
    frame = np.zeros((100, 100))
    frame[45:55, 45:55] = texture((10, 10))
    assert find_screen(frame).all()


def test_many_frames_share_one_mask():
    true = circle((120, 160))
    frames = np.stack([np.where(true, texture(seed=k), 0) for k in range(5)])
    found = find_screen(frames)
    assert found.shape == (120, 160)
    assert found.dtype == bool
    assert overlap(found, true) > 0.9


def test_what_is_black_in_one_frame_only_is_screen():
    frames = np.stack([texture(seed=k) for k in range(6)])
    frames[2, :30, :30] = 0
    assert find_screen(frames).all()


def test_the_frames_are_left_alone():
    frames = np.where(circle((120, 160)), texture(), np.nan)[None]
    before = frames.copy()
    find_screen(frames)
    np.testing.assert_array_equal(frames, before)


@pytest.mark.parametrize("frames", [np.zeros(5), np.zeros((1, 1, 5, 5)), np.zeros((0, 40, 40))])
def test_what_is_no_stack_of_frames_is_refused(frames):
    with pytest.raises(InputError, match="shape"):
        find_screen(frames)


def test_the_round_screen_of_raw_silicon_frames_is_found():
    for number in (1, 2, 3):
        path = files("napari_ebsd_phase").joinpath(f"samples/silicon/silicon_{number:02}.png")
        found = find_screen(read(path))
        assert 0.75 < found.mean() < 0.9
        assert found[240, 240]
        assert not found[[0, 0, -1, -1], [0, -1, 0, -1]].any()


@pytest.fixture(scope="module")
def masters() -> np.ndarray:
    with MasterLibrary.open(LIBRARY) as library:
        return np.stack([library.data(i) for i in range(0, len(library), len(library) // 8)])


@pytest.mark.parametrize(
    "camera", [GOOD, FAST, POOR, TRAINING], ids=["good", "fast", "poor", "any"]
)
def test_the_screen_of_a_simulated_scan_is_found(masters, camera):
    camera = replace(camera, plain_screen=0.2, faults=0.0)
    overlaps = []
    for seed in range(60):
        frames, _ = simulate_group(masters, np.arange(8), camera, np.random.default_rng(seed))
        true = random_screen(np.random.default_rng(seed), camera)
        overlaps.append(overlap(find_screen(frames), true))
    assert min(overlaps) > 0.9
    assert np.mean(overlaps) > 0.97


def test_the_screen_of_nearly_every_single_simulated_frame_is_found(masters):
    camera = replace(TRAINING, plain_screen=0.2, faults=0.0)
    overlaps = []
    for seed in range(150):
        frames, _ = simulate_group(
            masters, np.array([seed % 8]), camera, np.random.default_rng(seed)
        )
        true = random_screen(np.random.default_rng(seed), camera)
        overlaps.append(overlap(find_screen(frames), true))
    # A few frames are so overexposed that nothing can be told.
    assert np.mean(np.array(overlaps) > 0.9) > 0.97


def test_the_half_shadow_at_the_rim_of_a_screen_is_left_out():
    """Measured on the bundled silicon frames: the outermost 2 % of the screen are darker."""
    with load_scan(sample_path("silicon")) as scan:
        for col in range(scan.shape[1]):
            frame = scan.pattern(0, col).astype(float)
            found = find_screen(frame)
            outside = np.pad(~found, 1, mode="edge")
            depth = ndimage.distance_transform_edt(~outside)[1:-1, 1:-1]
            rim = np.median(frame[(depth > 0) & (depth <= 4)])
            inside = np.median(frame[(depth > 12) & (depth <= 20)])
            assert rim > 0.87 * inside
            assert 0.75 < found.mean() < 0.84
