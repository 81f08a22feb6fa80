# SPDX-License-Identifier: GPL-3.0-or-later
"""Temperature and threshold are found again where they are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_ebsd_phase.card import make_card
from napari_ebsd_phase.classifier import Classifier
from napari_ebsd_phase.crystallography import BRAVAIS_LATTICES, COMPATIBLE, POINT_GROUPS
from napari_ebsd_phase.decoding import PAIRS, decode
from napari_ebsd_phase.network import Architecture, SymmetryNet
from napari_ebsd_phase.preprocessing import Preprocessing
from napari_ebsd_phase.training.calibration import (
    best_temperature,
    decision_threshold,
    pattern_threshold,
)
from napari_ebsd_phase.training.scores import DECISION_LEVELS, Scores, decided, reported

UNIFORM = COMPATIBLE / COMPATIBLE.sum()
FREQUENCIES = np.exp(1.5 * np.random.default_rng(8).standard_normal(COMPATIBLE.shape)) * COMPATIBLE


def classifier(training_prior: np.ndarray = UNIFORM) -> Classifier:
    """Only its card takes part: calibration works on scores."""
    network = SymmetryNet(Architecture(widths=(4,), blocks=(1,)))
    card = make_card(
        "small",
        network,
        preprocessing=Preprocessing(size=32).to_dict(),
        training_prior=training_prior.tolist(),
        known_structures=COMPATIBLE.astype(float).tolist(),
        temperature=1.0,
        threshold=0.5,
        training={},
        metrics={},
        licence="GPL-3.0-or-later",
        version="0.1.0",
    )
    return Classifier(network, card, "cpu")


def drawn(
    temperature: float,
    *,
    training_prior: np.ndarray = UNIFORM,
    spread: float = 2.5,
    count: int = 4000,
    materials: int = 40,
    seed: int = 0,
) -> Scores:
    """Random scores, and truths drawn with the probabilities that they mean at a temperature."""
    rng = np.random.default_rng(seed)
    scores = spread * temperature * rng.standard_normal((count, 46))
    i, j = PAIRS.T
    evidence = scores[:, i] + scores[:, 32 + j] - np.log(training_prior[i, j])
    logits = (evidence + np.log(UNIFORM[i, j])) / temperature
    # The largest of logits with Gumbel noise is a draw from their softmax.
    pair = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)
    return Scores(
        scores,
        np.arange(count) % materials,
        PAIRS[pair, 0],
        PAIRS[pair, 1],
        tuple(f"material {k}" for k in range(materials)),
    )


def joined(*parts: Scores) -> Scores:
    """The same materials, with the patterns of all parts."""
    return Scores(
        np.concatenate([p.scores for p in parts]),
        np.concatenate([p.material for p in parts]),
        np.concatenate([p.point_group for p in parts]),
        np.concatenate([p.bravais_lattice for p in parts]),
        parts[0].groups,
    )


def threshold_of(data: Scores, temperature: float, **options) -> float:
    return decision_threshold(classifier(), data, temperature, **options)


def precision_above(data: Scores, temperature: float, threshold: float) -> float:
    """Share of the labels that are right at a threshold."""
    probabilities = decode(
        data.scores, prior=UNIFORM, training_prior=UNIFORM, temperature=temperature
    )
    label = decided(*probabilities, threshold)
    right = [
        (reported(*probabilities, level)[0] == data.truth(level))[label == i]
        for i, level in enumerate(DECISION_LEVELS)
    ]
    return float(np.concatenate(right).mean())


@pytest.mark.parametrize("temperature", [0.7, 1.0, 2.5, 5.0])
def test_the_temperature_that_made_the_scores_is_found_again(temperature):
    found = best_temperature(classifier(), drawn(temperature))
    assert found == pytest.approx(temperature, rel=0.08)


def test_the_training_prior_is_taken_into_account():
    skewed = FREQUENCIES / FREQUENCIES.sum()
    data = drawn(2.0, training_prior=skewed, spread=1.0)
    found = best_temperature(classifier(skewed), data)
    ignored = best_temperature(classifier(), data)
    assert found == pytest.approx(2.0, rel=0.08)
    assert abs(ignored - 2.0) > abs(found - 2.0)


@pytest.mark.parametrize("precision", [0.75, 0.85, 0.9])
def test_the_threshold_is_the_least_step_that_reaches_the_precision(precision):
    data = drawn(1.5, spread=1.6)
    temperature = best_temperature(classifier(), data)
    threshold = threshold_of(data, temperature, precision=precision)
    assert threshold in np.round(np.arange(0.55, 0.951, 0.05), 2)
    assert precision_above(data, temperature, threshold) >= precision
    assert precision_above(data, temperature, threshold - 0.05) < precision


def test_more_precision_needs_a_threshold_at_least_as_high():
    data = drawn(1.5, spread=1.6)
    thresholds = [threshold_of(data, 1.5, precision=p) for p in (0.6, 0.7, 0.8, 0.9)]
    assert thresholds == sorted(thresholds)
    assert thresholds[0] < thresholds[-1]


def test_a_network_that_is_always_right_needs_no_high_threshold():
    data = drawn(1.0, spread=0.0, count=200)
    rows = np.arange(200)
    data.scores[rows, data.point_group] = 9.0
    data.scores[rows, 32 + data.bravais_lattice] = 9.0
    assert best_temperature(classifier(), data) == pytest.approx(0.5)
    assert threshold_of(data, 0.5) == 0.5


def test_a_network_that_is_always_wrong_gets_the_highest_threshold():
    scores = np.zeros((50, 46))
    scores[:, POINT_GROUPS.index("m-3m")] = scores[:, 32 + BRAVAIS_LATTICES.index("cF")] = 20.0
    group = np.full(50, POINT_GROUPS.index("32"))
    lattice = np.full(50, BRAVAIS_LATTICES.index("hP"))
    data = Scores(scores, np.zeros(50, dtype=int), group, lattice, ("quartz",))
    assert best_temperature(classifier(), data) == pytest.approx(8.0)
    assert threshold_of(data, 1.0) == 0.95


def test_a_material_with_many_patterns_weighs_no_more_than_others():
    sharp, blunt = drawn(1.0, materials=1, count=400), drawn(4.0, materials=1, count=400, seed=1)
    blunt = replace(blunt, material=blunt.material + 1, groups=("sharp", "blunt"))
    sharp = replace(sharp, groups=("sharp", "blunt"))
    once, often = joined(sharp, blunt), joined(sharp, blunt, blunt, blunt, blunt)
    balanced = best_temperature(classifier(), once)
    assert best_temperature(classifier(), often) == balanced
    assert threshold_of(often, balanced) == threshold_of(once, balanced)
    assert 1.0 < balanced < 4.0


def test_the_threshold_belongs_to_the_prior_it_is_used_with():
    data = drawn(1.5, spread=1.6)
    centred = data.point_group == POINT_GROUPS.index("m-3m")
    data = Scores(
        data.scores[centred],
        np.zeros(int(centred.sum()), dtype=int),
        data.point_group[centred],
        data.bravais_lattice[centred],
        ("cubic",),
    )
    assert threshold_of(data, 1.5, prior="m-3m") == 0.5
    assert threshold_of(data, 1.5, prior="m-3m,6/mmm", precision=0.99) > 0.5


def test_the_pattern_threshold_keeps_the_share_of_patterns_asked_for():
    data = drawn(1.0, count=1000, materials=10)
    values = np.random.default_rng(0).random(1000).astype(np.float32)
    for keep in (0.9, 0.98):
        threshold = pattern_threshold(replace(data, pattern=values), keep)
        assert (values >= threshold).mean() == pytest.approx(keep, abs=0.0015)


def test_the_pattern_threshold_weighs_materials_alike():
    data = replace(drawn(1.0, count=100, materials=1), groups=("big", "small"))
    material = np.array([0] * 90 + [1] * 10)
    pattern = np.where(material == 1, 0.3, 0.8).astype(np.float32)
    data = replace(data, material=material, pattern=pattern)
    assert pattern_threshold(data, keep=0.85) == pytest.approx(0.3)
    assert pattern_threshold(data, keep=0.45) == pytest.approx(0.8)


def test_a_network_that_does_not_tell_patterns_has_no_threshold_for_it():
    assert pattern_threshold(drawn(1.0, count=50)) is None
