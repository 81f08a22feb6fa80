# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures of merit whose values are known by hand."""

from __future__ import annotations

import numpy as np
import pytest

from napari_ebsd_phase.training.measures import (
    calibration_error,
    coverage_at,
    material_weights,
    mean_over_materials,
    separation,
)


def even(count: int) -> np.ndarray:
    return np.full(count, 1 / count)


def test_every_material_weighs_the_same():
    weights = material_weights(np.array([0, 0, 0, 2, 1, 1]))
    np.testing.assert_allclose(weights, [1 / 9] * 3 + [1 / 3] + [1 / 6] * 2)


def test_the_mean_is_over_materials_and_lies_in_its_interval():
    material = np.array([0] * 90 + [1] * 2 + [4] * 8)
    values = np.array([1.0] * 90 + [0.0] * 2 + [0.0, 1.0] * 4)
    mean, (low, high) = mean_over_materials(values, material)
    assert mean == pytest.approx((1 + 0 + 0.5) / 3)
    assert 0 <= low < mean < high <= 1
    assert mean_over_materials(values, material) == (mean, [low, high])


def test_calibration_error_is_weighted_by_material():
    confidence = np.array([0.9, 0.9, 0.9, 0.5])
    right = np.array([True, True, True, False])
    weight = material_weights(np.array([0, 0, 0, 1]))
    error, curve = calibration_error(confidence, right, weight)
    assert error == pytest.approx(0.5 * 0.1 + 0.5 * 0.5)
    assert curve == [[0.5, 0.0, 0.5], [0.9, 1.0, 0.5]]


def test_a_calibrated_probability_has_no_error_but_that_of_chance():
    rng = np.random.default_rng(0)
    confidence = rng.random(20_000)
    right = rng.random(20_000) < confidence
    assert calibration_error(confidence, right, even(20_000))[0] < 0.02
    assert calibration_error(confidence**2, right, even(20_000))[0] > 0.1


def test_coverage_is_the_largest_that_keeps_the_precision():
    # Wrong at rank 3 and rank 8: with three of four right, all but the last two can be labelled.
    right = np.array([1, 1, 0, 1, 1, 1, 1, 0, 0, 0], dtype=bool)
    confidence = np.linspace(0.9, 0.45, 10)
    assert coverage_at(0.75, confidence, right, even(10)) == pytest.approx((0.8, confidence[7]))
    assert coverage_at(0.8, confidence, right, even(10)) == pytest.approx((0.7, confidence[6]))
    assert coverage_at(0.9, confidence, right, even(10)) == pytest.approx((0.2, confidence[1]))


def test_patterns_of_equal_confidence_are_labelled_together_or_not_at_all():
    right = np.array([True, True, True, False])
    assert coverage_at(0.9, np.full(4, 0.7), right, even(4)) == (0.0, 1.0)
    assert coverage_at(0.75, np.full(4, 0.7), right, even(4)) == (1.0, 0.7)


def test_coverage_weighs_materials_and_not_patterns():
    right = np.array([True] * 9 + [False])
    material = np.array([0] * 9 + [1])
    confidence = np.full(10, 0.6)
    assert coverage_at(0.9, confidence, right, even(10))[0] == pytest.approx(1.0)
    assert coverage_at(0.9, confidence, right, material_weights(material))[0] == 0.0


def test_nineteen_of_twenty_are_ninety_five_percent():
    right = np.arange(20) > 0
    share, _ = coverage_at(0.95, np.linspace(0.9, 0.5, 20)[::-1], right, even(20))
    assert share == pytest.approx(1.0)


def test_separation_counts_pairs_in_the_right_order():
    assert separation(np.array([3.0, 4.0]), np.array([1.0, 2.0]), even(2)) == 1.0
    assert separation(np.array([1.0, 2.0]), np.array([3.0, 4.0]), even(2)) == 0.0
    assert separation(np.array([2.0, 4.0]), np.array([1.0, 3.0]), even(2)) == 0.75
    assert separation(np.array([1.0, 1.0]), np.array([1.0, 1.0]), even(2)) == 0.5
    assert separation(np.array([2.0, 4.0]), np.array([1.0, 3.0]), np.array([0.2, 0.8])) == 0.9
