# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures about a heat map are what they say, and intervals are over materials."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from napari_ebsd_phase.training.saliency_measures import (
    FEWEST,
    Interval,
    angles_to,
    axis_means,
    bootstrap,
    mass_share,
    pointing_hit,
    rank_correlation,
)
from napari_ebsd_phase.zone_axes import Geometry

SHAPE = (40, 50)
SCREEN = np.ones(SHAPE, bool)
SCREEN[:, :10] = False
NEAR = np.zeros(SHAPE, bool)
NEAR[5:15, 20:30] = True


def test_angles_are_true_angles_and_an_axis_is_the_same_both_ways():
    geometry = Geometry(shape=(60, 60), pc=(0.5, 0.5, 0.5))
    rows, cols = np.indices(geometry.shape, dtype=float)
    directions = geometry.directions_of(np.stack([cols, rows], axis=-1))

    ahead, behind = angles_to(directions, np.array([[0, 0, 1.0], [0, 0, -1.0]]))

    np.testing.assert_array_equal(ahead, behind)
    # A pixel 30 - 0.5 pixels below the middle, 30 away from the source.
    assert ahead[59, 29] == pytest.approx(np.rad2deg(np.arctan(np.hypot(29.5, 0.5) / 30)))
    assert ahead[59, 29] > 40
    assert ahead.min() == pytest.approx(np.rad2deg(np.arctan(np.hypot(0.5, 0.5) / 30)))


def test_a_flat_map_has_as_much_near_axes_as_they_have_of_the_screen():
    flat = np.full(SHAPE, 3.0)
    assert mass_share(flat, NEAR, SCREEN) == pytest.approx(NEAR.sum() / SCREEN.sum())


def test_only_evidence_in_favour_and_on_the_screen_is_mass():
    heat = np.where(NEAR, 2.0, -5.0)
    heat[:, :10] = 100.0  # off the screen
    assert mass_share(heat, NEAR, SCREEN) == 1.0


def test_an_empty_map_has_no_share():
    assert np.isnan(mass_share(np.full(SHAPE, -1.0), NEAR, SCREEN))


def test_the_pointing_game_asks_for_the_highest_pixel_of_the_screen():
    heat = np.zeros(SHAPE)
    heat[8, 25], heat[30, 40], heat[0, 0] = 2.0, 1.0, 9.0
    assert pointing_hit(heat, NEAR, SCREEN) == 1.0
    heat[30, 40] = 3.0
    assert pointing_hit(heat, NEAR, SCREEN) == 0.0
    heat[8, 25] = 3.0
    assert pointing_hit(heat, NEAR, SCREEN) == 0.5


def test_a_flat_map_points_nowhere():
    assert np.isnan(pointing_hit(np.ones(SHAPE), NEAR, SCREEN))


def test_axis_means_are_over_the_pixels_of_the_screen_near_each_axis():
    angles = np.full((3, *SHAPE), 90.0)
    angles[0, 20, 20:24] = 2.0
    angles[1, 20, 8:12] = 2.0  # half of it off the screen
    heat = np.tile(np.arange(50.0), (40, 1))

    found = axis_means(heat, angles, SCREEN)

    np.testing.assert_allclose(found, [21.5, 10.5, np.nan])


def test_rank_correlation_is_spearmans():
    rng = np.random.default_rng(0)
    one, other = rng.integers(0, 5, 30), rng.normal(size=30)
    assert rank_correlation(one, other) == pytest.approx(spearmanr(one, other).statistic)
    assert rank_correlation(one, 3.0 * one + 1) == pytest.approx(1.0)


def test_rank_correlation_needs_some_places_and_some_difference():
    assert np.isnan(rank_correlation(np.arange(FEWEST - 1), np.arange(FEWEST - 1)))
    assert np.isnan(rank_correlation(np.ones(20), np.arange(20)))
    holes = np.where(np.arange(20) < 17, np.nan, np.arange(20))
    assert np.isnan(rank_correlation(holes, np.arange(20)))


def test_materials_count_alike_however_many_patterns_they_have():
    values = [1.0] * 50 + [3.0]
    assert bootstrap(values, ["a"] * 50 + ["b"]).mean == 2.0


def test_more_patterns_of_the_same_materials_do_not_narrow_the_interval():
    rng = np.random.default_rng(0)
    materials = rng.normal(size=8)
    few, many = (
        bootstrap(np.repeat(materials, n), np.repeat(np.arange(8).astype(str), n)) for n in (2, 200)
    )
    assert (few.low, few.high) == pytest.approx((many.low, many.high))
    assert few.high - few.low > materials.std()


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    names = np.arange(25).astype(str)
    found = [bootstrap(rng.normal(size=25), names, draws=400, seed=i) for i in range(200)]
    covered = np.mean([one.low <= 0 <= one.high for one in found])
    assert 0.88 <= covered <= 0.99


def test_missing_values_take_no_part():
    found = bootstrap([1.0, np.nan, np.nan], ["a", "a", "b"])
    assert (found.mean, found.groups) == (1.0, 1)
    nothing = bootstrap([np.nan], ["a"])
    assert nothing.groups == 0
    assert f"{nothing:.2f}" == "none"


def test_an_interval_is_written_with_its_ends():
    assert f"{Interval(0.5, 0.25, 0.75, 9):.0%}" == "50% (25% to 75%)"
