# SPDX-License-Identifier: GPL-3.0-or-later
"""Preparing patterns: what the network sees depends on the bands, and on nothing else."""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from PIL import Image
from scipy import ndimage

from napari_ebsd_phase.errors import InputError
from napari_ebsd_phase.preprocessing import (
    Fit,
    Preprocessing,
    fit_screen,
    pattern_quality,
    prepare,
    resampling_matrix,
)
from napari_ebsd_phase.screen import find_screen

SETTINGS = Preprocessing()
SAMPLES = files("napari_ebsd_phase").joinpath("samples")


def bands(shape: tuple[int, int], seed: int = 0) -> np.ndarray:
    """A frame of crossing bright bands, 0 to 1."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]] / max(shape)
    image = np.zeros(shape)
    for _ in range(9):
        angle, offset = rng.uniform(0, np.pi), rng.uniform(-0.3, 0.3)
        distance = (x - 0.5) * np.cos(angle) + (y - 0.5) * np.sin(angle) - offset
        image += np.exp(-((distance / rng.uniform(0.02, 0.05)) ** 2))
    return image / image.max()


def frames(n: int = 3, shape: tuple[int, int] = (60, 80), noise: float = 0.05) -> np.ndarray:
    rng = np.random.default_rng(n)
    return np.stack([bands(shape, k) + noise * rng.standard_normal(shape) for k in range(n)])


def disc(shape: tuple[int, int], radius: float = 0.48) -> np.ndarray:
    y, x = np.mgrid[: shape[0], : shape[1]]
    centre_y, centre_x = (shape[0] - 1) / 2, (shape[1] - 1) / 2
    return (y - centre_y) ** 2 + (x - centre_x) ** 2 < (radius * min(shape)) ** 2


def read(path: Traversable) -> np.ndarray:
    with path.open("rb") as stream, Image.open(stream) as image:
        return np.asarray(image.convert("L"))


def silicon() -> list[np.ndarray]:
    folder = SAMPLES / "silicon"
    paths = sorted((p for p in folder.iterdir() if p.name.endswith(".png")), key=lambda p: p.name)
    assert len(paths) == 3
    return [read(path) for path in paths]


def nickel() -> tuple[np.ndarray, np.ndarray]:
    """Raw measured frames (9, 60, 60) and their static background."""
    with h5py.File(str(SAMPLES / "nickel.h5")) as file:
        found: dict[str, np.ndarray] = {}
        file.visititems(
            lambda name, item: (
                found.update({name.rsplit("/")[-1]: item[()]})
                if isinstance(item, h5py.Dataset)
                else None
            )
        )
    return found["patterns"].reshape(-1, 60, 60), found["static_background"]


def share_of_smooth_surface(image: np.ndarray, inside: np.ndarray, degree: int = 3) -> float:
    """Share of the variance inside the screen that a polynomial of low degree explains."""
    y, x = (
        grid[inside]
        for grid in np.mgrid[-1 : 1 : image.shape[0] * 1j, -1 : 1 : image.shape[1] * 1j]
    )
    terms = np.stack(
        [x**i * y**j for i in range(degree + 1) for j in range(degree + 1 - i)], axis=1
    )
    values = image[inside].astype(float)
    rest = values - terms @ np.linalg.lstsq(terms, values, rcond=None)[0]
    return float(1 - rest.var() / values.var())


# What the input's units are plays no part.


@settings(max_examples=40, deadline=None)
@given(
    gain=st.floats(1e-3, 1e4),
    offset=st.floats(-100, 100),
    inverse=st.booleans(),
    seed=st.integers(0, 5),
)
def test_gain_and_offset_play_no_part(gain, offset, inverse, seed):
    pattern = bands((50, 60), seed)[None]
    expected = prepare(pattern, SETTINGS)

    result = prepare((gain * (pattern + offset)) * (-1 if inverse else 1), SETTINGS)

    # float32 keeps seven digits: the more of them the offset takes, the fewer the bands have.
    tolerance = 2e-4 * (1 + abs(offset))
    np.testing.assert_allclose(-result if inverse else result, expected, atol=tolerance)


@settings(max_examples=25, deadline=None)
@given(exponent=st.integers(-28, 28))
def test_tiny_and_huge_intensities_are_as_good_as_any(exponent):
    patterns = frames()
    result = prepare(patterns * 10.0**exponent, SETTINGS)
    np.testing.assert_allclose(result, prepare(patterns, SETTINGS), atol=1e-4)


@pytest.mark.parametrize(
    "dtype",
    ["uint16", ">u2", "int16", ">i2", "uint32", "int32", "uint64", "int64",
     "float16", ">f4", "float64", ">f8", "longdouble"],
)  # fmt: skip
def test_the_same_counts_in_another_type_give_the_same_bits(dtype):
    counts = (frames().clip(0, 1) * 255).astype(np.uint8)
    assert torch.equal(prepare(counts.astype(dtype), SETTINGS), prepare(counts, SETTINGS))


def test_16_bit_frames_agree_with_8_bit_frames_to_the_rounding():
    patterns = frames().clip(0, 1)
    eight = prepare((patterns * 255).round().astype(np.uint8), SETTINGS)
    sixteen = prepare((patterns * 65535).round().astype(np.uint16), SETTINGS)
    np.testing.assert_allclose(eight, sixteen, atol=0.05)


def test_boolean_frames_and_plain_lists_are_taken():
    black_and_white = frames() > 0.4
    expected = prepare(black_and_white.astype(np.uint8), SETTINGS)
    assert torch.equal(prepare(black_and_white, SETTINGS), expected)
    assert torch.equal(prepare(black_and_white.tolist(), SETTINGS), expected)


def test_read_only_and_backward_views_are_taken_and_left_alone():
    patterns = frames()
    patterns.flags.writeable = False
    before = patterns.copy()
    turned = patterns[:, ::-1, ::-1]

    assert torch.equal(prepare(turned, SETTINGS), prepare(turned.copy(), SETTINGS))
    assert torch.equal(prepare(patterns, SETTINGS), prepare(torch.from_numpy(before), SETTINGS))
    np.testing.assert_array_equal(patterns, before)


# Nothing that a file can hold makes it fail or give numbers that are not finite.


@settings(max_examples=60, deadline=None)
@given(
    patterns=npst.arrays(
        np.float64,
        st.tuples(st.integers(1, 3), st.integers(2, 30), st.integers(2, 30)),
        elements=st.floats(-1e29, 1e29),
    )
)
def test_any_finite_frames_give_finite_input(patterns):
    result = prepare(patterns, SETTINGS)
    assert result.shape == (len(patterns), 1, 64, 64)
    assert result.dtype == torch.float32
    assert torch.isfinite(result).all()
    assert result.abs().max() <= SETTINGS.clip


@pytest.mark.parametrize("value", [0, 1, 65535, 0.1, 1 / 3, -3.3, 1e-20, 1e20])
@pytest.mark.parametrize("shape", [(40, 40), (40, 41), (480, 480), (1200, 1600)])
def test_a_blank_frame_comes_out_as_zeros_however_bright(value, shape):
    blank = np.full((2, *shape), value)
    result = prepare(blank, SETTINGS)
    assert not result.any()
    assert not pattern_quality(result).any()


@pytest.mark.parametrize("junk", [np.nan, np.inf, -np.inf, 1e300])
def test_pixels_that_hold_no_number_count_as_masked(junk):
    patterns = frames()
    hole = np.zeros((60, 80), dtype=bool)
    hole[10:20, 30:45] = True
    patterns[:, hole] = junk

    result = prepare(patterns, SETTINGS)

    assert torch.equal(result, prepare(np.where(hole, 0, patterns), SETTINGS, mask=~hole))


def test_a_frame_without_any_number_spoils_no_other():
    patterns = frames()
    alone = prepare(patterns[[0, 2]], SETTINGS)
    patterns[1] = np.nan

    result = prepare(patterns, SETTINGS)

    assert not result[1].any()
    np.testing.assert_allclose(result[[0, 2]], alone, atol=1e-4)


@pytest.mark.parametrize(
    "shape",
    [(40, 40), (40, 64), (64, 40), (41, 97), (60, 60), (480, 640), (1200, 1600), (40, 1600)],
)
def test_every_frame_size_fits(shape):
    result = prepare(frames(2, shape), SETTINGS)
    assert result.shape == (2, 1, 64, 64)
    assert torch.isfinite(result).all()
    assert 0.8 < result[result != 0].std() < 1.2
    # The longer side fills the square.
    lit = (result != 0).any(dim=0)[0]
    assert lit.any(dim=0 if shape[1] >= shape[0] else 1).all()


def test_a_frame_too_thin_to_show_anything_is_blank():
    assert not prepare(frames(1, (8, 1600)), SETTINGS).any()


@pytest.mark.parametrize("size", [16, 33, 128])
def test_the_input_size_is_a_setting(size):
    assert prepare(frames(), Preprocessing(size=size)).shape == (3, 1, size, size)


def test_no_frames_give_no_input():
    assert prepare(np.empty((0, 60, 80)), SETTINGS).shape == (0, 1, 64, 64)


# One frame's result is its own.


def test_a_batch_gives_what_its_frames_give_alone():
    patterns = frames(5)
    together = prepare(patterns, SETTINGS, mask=disc((60, 80)))
    alone = torch.cat([prepare(p[None], SETTINGS, mask=disc((60, 80))) for p in patterns])
    np.testing.assert_allclose(together, alone, atol=1e-4)


def test_one_mask_a_frame_gives_what_each_mask_gives_alone():
    patterns = frames(2)
    masks = np.stack([disc((60, 80), 0.5), np.ones((60, 80), dtype=bool)])
    masks[1, 20:30, 20:30] = False
    masks[0, 0] = masks[0, :, 0] = masks[0, -1] = masks[0, :, -1] = True  # same bounding box

    together = prepare(patterns, SETTINGS, mask=masks)

    for k in range(2):
        alone = prepare(patterns[k : k + 1], SETTINGS, mask=masks[k])
        np.testing.assert_allclose(together[k : k + 1], alone, atol=1e-4)


def test_preparing_under_inference_mode_leaves_later_gradients_possible():
    settings = Preprocessing(size=48)  # a size that no other test has made ready before
    with torch.inference_mode():
        prepare(frames(), settings)
    patterns = torch.from_numpy(frames()).requires_grad_()

    prepare(patterns, settings).square().sum().backward()

    assert torch.isfinite(patterns.grad).all()
    assert patterns.grad.any()


# The mask.


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), amplitude=st.floats(1, 1e20))
def test_masked_pixels_have_no_influence(seed, amplitude):
    patterns, mask = frames(2), disc((60, 80))
    rng = np.random.default_rng(seed)
    other = np.where(mask, patterns, amplitude * rng.standard_normal(patterns.shape))
    assert torch.equal(prepare(patterns, SETTINGS, mask=mask), prepare(other, SETTINGS, mask=mask))


def test_outside_the_mask_everything_is_zero():
    mask = disc((60, 60))
    result = prepare(frames(2, (60, 60)) + 100, SETTINGS, mask=mask)[:, 0].numpy()
    on = disc((64, 64), 0.5)
    assert not result[:, ~ndimage.binary_dilation(on, iterations=1)].any()
    assert (result[:, ndimage.binary_erosion(on, iterations=2)] != 0).mean() > 0.99


def test_the_screen_fills_the_square_wherever_it_lies():
    pattern = bands((60, 60))
    frame = np.zeros((1, 90, 140))
    frame[0, 12:72, 55:115] = pattern
    expected = prepare(pattern[None], SETTINGS)
    result = prepare(frame, SETTINGS, mask=frame[0] > 0)
    np.testing.assert_allclose(result, expected, atol=1e-4)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int64, np.float32])
def test_a_mask_of_numbers_means_not_zero(dtype):
    mask = disc((60, 80))
    expected = prepare(frames(), SETTINGS, mask=mask)
    numbers = (mask * 200).astype(dtype)
    assert torch.equal(prepare(frames(), SETTINGS, mask=numbers), expected)
    assert torch.equal(prepare(frames(), SETTINGS, mask=torch.from_numpy(mask)), expected)
    assert torch.equal(prepare(frames(), SETTINGS, mask=mask[::-1, ::-1]), expected)


def test_fitting_keeps_the_middle_and_the_longer_side():
    mask = np.zeros((100, 200), dtype=bool)
    mask[10:40, 50:114] = True
    assert fit_screen(mask, 64) == Fit(row0=25 - 32, col0=50, scale=1.0)


def test_a_circle_stays_a_circle():
    y, x = np.mgrid[:60, :150]
    frame = np.exp(-(((y - 30) ** 2 + (x - 75) ** 2) / 60))[None]
    result = prepare(frame, SETTINGS)[0, 0].numpy()
    bright = result > 0.5 * result.max()
    high, wide = bright.any(axis=1).sum(), bright.any(axis=0).sum()
    assert bright[32, 32]
    assert high >= 4
    assert abs(int(high) - int(wide)) <= 1


# Backgrounds.


def test_a_static_background_is_divided_out():
    patterns = 1 + 0.3 * frames(2)
    y, x = np.mgrid[:60, :80]
    scratched = 100 * (1 + 0.5 * np.sin(x / 3.0) * np.cos(y / 2.0))
    result = prepare(patterns * scratched, SETTINGS, background=scratched)
    np.testing.assert_allclose(result, prepare(patterns, SETTINGS), atol=1e-3)


def test_pixels_without_background_count_as_masked():
    patterns = frames()
    background = np.full((60, 80), 50.0)
    background[:, :30] = 0
    background[5, 50] = np.nan
    usable = background > 0
    expected = prepare(patterns / 50, SETTINGS, mask=usable)
    result = prepare(patterns, SETTINGS, background=background)
    np.testing.assert_allclose(result, expected, atol=1e-4)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_of_the_bell_of_a_raw_silicon_frame_nothing_is_left(number):
    frame = silicon()[number]
    mask = find_screen(frame)
    assert share_of_smooth_surface(frame, mask) > 0.8

    result = prepare(frame[None], SETTINGS, mask=mask)[0, 0].numpy()

    inside = ndimage.binary_erosion(result != 0)
    assert share_of_smooth_surface(result, inside) < 0.05
    # Nor is there a strong dark or bright ring along the rim of the screen.
    rim = inside & ~ndimage.binary_erosion(inside, iterations=4)
    assert abs(result[rim].mean()) < 0.5


def test_of_the_bell_of_raw_nickel_frames_nothing_is_left():
    patterns, background = nickel()
    assert np.median([share_of_smooth_surface(p, p > -1) for p in patterns]) > 0.8
    for result in (prepare(patterns, SETTINGS), prepare(patterns, SETTINGS, background=background)):
        shares = [share_of_smooth_surface(r, r != 0) for r in result[:, 0].numpy()]
        assert max(shares) < 0.03


def test_with_and_without_its_background_a_nickel_frame_shows_the_same_bands():
    # Not quite: the background also takes away the fixed pattern of the camera.
    patterns, background = nickel()
    one = prepare(patterns, SETTINGS).numpy()[:, 0, 4:-4, 4:-4]
    two = prepare(patterns, SETTINGS, background=background).numpy()[:, 0, 4:-4, 4:-4]
    for a, b in zip(one, two, strict=True):
        assert np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.6


# Resampling.


@pytest.mark.parametrize("factor", [1, 2, 3, 7])
def test_reducing_by_a_whole_factor_is_the_mean_of_blocks(factor):
    signal = np.random.default_rng(0).random(12 * factor)
    result = resampling_matrix(12 * factor, 0, factor, 12) @ signal
    np.testing.assert_allclose(result, signal.reshape(12, factor).mean(axis=1), rtol=1e-5)


@settings(max_examples=50, deadline=None)
@given(n_in=st.integers(20, 300), n_out=st.integers(8, 20), seed=st.integers(0, 99))
def test_reducing_by_any_factor_keeps_the_total_intensity(n_in, n_out, seed):
    signal = np.random.default_rng(seed).random(n_in)
    matrix = resampling_matrix(n_in, 0, n_in / n_out, n_out)
    np.testing.assert_allclose(matrix.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose((matrix @ signal).mean(), signal.mean(), rtol=1e-5)


@pytest.mark.parametrize("factor", [2, 3, 4.5])
def test_enlarging_is_linear_interpolation(factor):
    signal = np.random.default_rng(0).random(10)
    n = int(10 * factor)
    position = (np.arange(n) + 0.5) / factor - 0.5
    matrix = resampling_matrix(10, 0, 1 / factor, n)
    inner = (position >= 0) & (position <= 9)
    expected = np.interp(position, np.arange(10), signal)
    np.testing.assert_allclose((matrix @ signal)[inner], expected[inner], rtol=1e-5)
    np.testing.assert_allclose((matrix @ signal / matrix.sum(axis=1)), expected, rtol=1e-5)


def test_windows_past_the_input_weigh_less():
    matrix = resampling_matrix(10, -5, 2, 10)
    np.testing.assert_allclose(matrix.sum(axis=1), [0, 0, 0.5, 1, 1, 1, 1, 0.5, 0, 0])


# Quality.


def test_quality_falls_from_sharp_bands_to_noise():
    sharp, noise = bands((200, 200)), np.random.default_rng(0).standard_normal((200, 200))
    levels = [sharp, sharp + 0.7 * noise, sharp + 2 * noise, noise]
    quality = pattern_quality(prepare(np.stack(levels), SETTINGS)).numpy()
    assert quality.shape == (4,)
    assert quality.dtype == np.float32
    assert (np.diff(quality) < 0).all()
    assert quality[0] > 0.8
    assert quality[-1] < 0.15


def test_measured_nickel_is_better_than_noise_of_the_same_histogram():
    patterns, background = nickel()
    ratio = patterns / background
    shuffled = np.random.default_rng(0).permuted(ratio.reshape(9, -1), axis=1)
    good = pattern_quality(prepare(ratio, SETTINGS))
    bad = pattern_quality(prepare(shuffled.reshape(ratio.shape), SETTINGS))
    assert good.min() > bad.max() + 0.1


# Settings and wrong input.


def test_settings_survive_the_card():
    settings = Preprocessing(size=80, background_sigma=5.5)
    assert Preprocessing.from_dict(settings.to_dict()) == settings


@pytest.mark.parametrize(
    "change",
    [{"size": 8}, {"size": "large"}, {"size": None}, {"clip": 0}, {"clip": float("nan")},
     {"background_sigma": -1}, {"contrast_floor": 1.5}, {"contrast_floor": float("nan")},
     {"more": 1}],
)  # fmt: skip
def test_settings_that_make_no_sense_are_refused(change):
    with pytest.raises(InputError, match="preprocessing"):
        Preprocessing.from_dict(SETTINGS.to_dict() | change)


def test_settings_that_lack_something_are_refused_by_name():
    values = SETTINGS.to_dict()
    del values["clip"]
    with pytest.raises(InputError, match="clip"):
        Preprocessing.from_dict(values)


@pytest.mark.parametrize(
    ("patterns", "message"),
    [
        (np.zeros((40, 40)), "shape"),
        (np.zeros((1, 2, 40, 40)), "shape"),
        (np.zeros((3, 0, 40)), "shape"),
        (np.zeros((1, 40, 40), dtype=complex), "real numbers"),
        (np.full((1, 40, 40), "white"), "real numbers"),
        (None, "real numbers"),
        ([[1, 2], [3]], "one size"),
    ],
)
def test_what_is_no_stack_of_frames_is_refused(patterns, message):
    with pytest.raises(InputError, match=message) as error:
        prepare(patterns, SETTINGS)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"mask": np.ones((60, 60), dtype=bool)}, "mask has the shape"),
        ({"mask": np.ones((4, 60, 80), dtype=bool)}, "mask has the shape"),
        ({"mask": np.zeros((60, 80), dtype=bool)}, "mask is empty"),
        ({"background": np.ones((80, 60))}, "static background"),
        ({"background": np.zeros((60, 80))}, "no screen"),
    ],
)
def test_masks_and_backgrounds_that_do_not_fit_are_refused(given, message):
    with pytest.raises(InputError, match=message):
        prepare(frames(), SETTINGS, **given)


def test_a_batch_without_a_finite_pixel_is_blank_and_no_error():
    frames = np.full((3, 48, 48), np.nan, dtype=np.float32)
    assert not prepare(frames, Preprocessing()).any()


def test_what_is_not_finite_in_one_frame_does_not_move_another():
    frames = np.random.default_rng(0).normal(100, 10, (2, 50, 60)).astype(np.float32)
    frames[:, :, :6] = np.nan
    alone = prepare(frames[1:], Preprocessing())
    frames[0] = np.random.default_rng(1).normal(100, 10, (50, 60))
    torch.testing.assert_close(prepare(frames, Preprocessing())[1:], alone, atol=1e-5, rtol=0)
