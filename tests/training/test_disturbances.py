# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames that hold no pattern, or two: what is in them, and that they can be drawn again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_ebsd_phase.preprocessing import Preprocessing, prepare
from napari_ebsd_phase.training.disturbances import (
    DISTURBANCES,
    draw_disturbances,
    draw_disturbed_group,
)
from napari_ebsd_phase.training.library import MasterLibrary
from napari_ebsd_phase.training.materials import Material
from napari_ebsd_phase.training.pattern_simulation import (
    FAST,
    GOOD,
    POOR,
    TRAINING,
    simulate_group,
)

LIBRARY = Path(__file__).parents[2] / "data" / "master_patterns.h5"
MATERIALS = [
    Material("Ni1_225", "Ni", "m-3m", "cF", (1,)),
    Material("Mg1_194", "Mg", "6/mmm", "hP", (0,)),
]
CAMERAS = {"good": GOOD, "fast": FAST, "poor": POOR, "training": TRAINING}
# One size and a whole screen, hardly any noise: for comparing pixels.
PLAIN = replace(
    GOOD, size=(70, 70), aspect=(1.0, 1.0), plain_screen=1.0, noise=(1e-3, 1e-3), raw=0.0,
    asymmetry=0.0,
)  # fmt: skip


@pytest.fixture(scope="module")
def stack() -> np.ndarray:
    with MasterLibrary.open(LIBRARY) as library:
        keys = [record.key for record in library.index]
        wanted = [keys.index(f"emsoft_{name}_20kV") for name in ("Mg_magnesium", "Ni_nickel")]
        return np.stack([library.data(i) for i in wanted])


def draw(kind, count, stack, camera, seed=0):
    return draw_disturbances(kind, count, stack, MATERIALS, camera, np.random.default_rng(seed))


def roughness(frame: np.ndarray) -> float:
    """Share of the variance that is between next neighbours: 1 for noise, 0 for smooth frames."""
    return float(np.diff(frame, axis=1).var() / 2 / max(frame.var(), 1e-9))


@pytest.mark.parametrize("camera", CAMERAS)
@pytest.mark.parametrize("kind", DISTURBANCES)
def test_frames_are_whole_counts_of_one_size_that_can_be_prepared(stack, kind, camera):
    for seed in range(3):
        frames, mask = draw(kind, 5, stack, CAMERAS[camera], seed)
        assert frames.dtype == np.float32
        assert frames.shape == (5, *mask.shape)
        assert mask.dtype == bool
        assert mask.mean() > 0.4
        assert np.array_equal(frames, np.floor(frames))
        assert frames.min() >= 0
        assert frames.max() <= 65536
        assert prepare(frames, Preprocessing(size=32), mask=mask).isfinite().all()


@pytest.mark.parametrize("kind", DISTURBANCES)
def test_the_same_seed_draws_the_same_frames_and_another_does_not(stack, kind):
    one, one_mask = draw(kind, 6, stack, TRAINING, seed=4)
    again, mask = draw(kind, 6, stack, TRAINING, seed=4)
    np.testing.assert_array_equal(one, again)
    np.testing.assert_array_equal(one_mask, mask)
    other, _ = draw(kind, 6, stack, TRAINING, seed=5)
    assert other.shape != one.shape or not np.array_equal(one, other)


def test_any_number_of_frames_can_be_drawn(stack):
    for kind in DISTURBANCES:
        for count in (1, 7):
            assert len(draw(kind, count, stack, FAST)[0]) == count


def test_noise_is_noise_with_a_bell_and_without(stack):
    frames, _ = draw("noise", 40, stack, replace(PLAIN, noise=(0.5, 1.0)))
    rough = np.array([roughness(frame) for frame in frames])
    assert (rough > 0.5).sum() > 10
    # The bell alone is smooth; what is left without it is noise again.
    assert (rough < 0.2).sum() > 5
    middle, rim = frames[:, 25:45, 25:45].mean(), frames[:, :10].mean()
    assert middle > 1.1 * rim


def test_blank_frames_are_smooth_or_of_one_value(stack):
    frames = np.concatenate([draw("blank", 16, stack, PLAIN, seed)[0] for seed in range(6)])
    steps = np.ptp(frames, axis=(1, 2))
    assert 4 <= (steps <= 1).sum() <= 30
    assert (frames[steps <= 1].max(axis=(1, 2)) == 0).any()
    shaded = frames[steps > 50]
    assert np.median([roughness(frame) for frame in shaded]) < 0.05


def test_rings_turn_about_one_axis_and_change_away_from_it(stack):
    frames, _ = draw("amorphous", 60, stack, PLAIN)
    assert np.median([roughness(frame) for frame in frames]) < 0.05
    # Straight down a frame there are maxima and minima, more than a gradient has.
    turns = []
    for frame in frames:
        line = frame[:, 30:40].mean(axis=1)
        slope = np.diff(np.convolve(line, np.ones(5) / 5, "valid"))
        turns.append((np.diff(np.sign(slope[np.abs(slope) > 0.5])) != 0).sum())
    assert np.mean(turns) > 1.0


def test_an_overlap_has_two_patterns_of_about_the_same_weight(stack):
    # One master cut to a half sphere each: where one has its zone axes, the other is blank.
    halves = np.zeros((2, 2, 181, 181), dtype=np.uint8)
    halves[0, :, :90], halves[1, :, :90] = 255, 255
    frames, _ = draw("overlap", 48, halves, replace(PLAIN, distance=(0.3, 0.3)), seed=3)
    # Each frame is a sum of two half planes: up to four values, and two steps in between.
    steps = []
    for frame in frames:
        values, counts = np.unique(np.round(frame / frame.max(), 1), return_counts=True)
        plateaus = values[counts > 0.02 * frame.size]
        if len(plateaus) >= 3:
            steps.append(plateaus[1:-1].mean())
    assert len(steps) > 10
    assert 0.3 < np.mean(steps) < 0.7


def test_the_second_pattern_is_turned_without_a_seam():
    # Intensity grows along one axis, so it grows along one axis turned, too: no frame has a jump
    # where the hemispheres or the quarters of the grid meet.
    steps = np.abs(np.linspace(-1, 1, 181))
    height = 1 - np.maximum(steps[:, None], steps[None, :]) ** 2
    slope = np.rint(127.5 + 127.5 * np.stack([height, -height])).astype(np.uint8)[None]
    one = [Material("Ni1_225", "Ni", "m-3m", "cF", (0,))]
    camera = replace(PLAIN, static=0.0, fade=0.0, compression=0.0, distortion=0.0)
    frames, _ = draw_disturbances("overlap", 40, slope, one, camera, np.random.default_rng(1))
    for frame in frames:
        for axis in (0, 1):
            bends = np.diff(frame, n=2, axis=axis)
            assert np.abs(bends).max() < 0.05 * np.ptp(frame)


def test_two_patterns_on_top_of_each_other_are_like_neither(stack):
    rng = np.random.default_rng(2)
    single, _ = simulate_group(stack, np.zeros(32, dtype=int), PLAIN, rng)
    double, _ = draw("overlap", 32, stack, PLAIN)
    # Bands that cross bands fill the frame: dark gaps and bright axes both get rarer.
    single, double = (
        (f - f.mean(axis=(1, 2), keepdims=True)) / f.std(axis=(1, 2), keepdims=True)
        for f in (single, double)
    )
    assert np.median((double**4).mean(axis=(1, 2))) < np.median((single**4).mean(axis=(1, 2)))


def test_groups_for_training_are_of_all_kinds_and_repeatable(stack):
    drawn = [
        draw_disturbed_group(2, stack, MATERIALS, FAST, np.random.default_rng(seed))
        for seed in range(12)
    ]
    again = draw_disturbed_group(2, stack, MATERIALS, FAST, np.random.default_rng(7))
    np.testing.assert_array_equal(again[0], drawn[7][0])
    assert sum(DISTURBANCES.values()) == pytest.approx(1)
    assert len({frames.tobytes() for frames, _ in drawn}) == 12


def test_an_unknown_kind_is_refused(stack):
    with pytest.raises(ValueError, match="no kind of disturbance: 'fog'"):
        draw("fog", 2, stack, FAST)
