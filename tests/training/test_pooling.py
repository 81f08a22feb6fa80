# SPDX-License-Identifier: GPL-3.0-or-later
"""Patterns of one material are judged together, and the class prior counts once."""

from __future__ import annotations

import numpy as np
import pytest

from napari_ebsd_phase.card import make_card
from napari_ebsd_phase.classifier import Classifier
from napari_ebsd_phase.crystallography import BRAVAIS_LATTICES, COMPATIBLE, POINT_GROUPS
from napari_ebsd_phase.network import Architecture, SymmetryNet
from napari_ebsd_phase.preprocessing import Preprocessing
from napari_ebsd_phase.training.pooling import pool_groups, pooled_probabilities

FREQUENCIES = np.exp(np.random.default_rng(1).standard_normal(COMPATIBLE.shape)) * COMPATIBLE


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    """Only its card takes part."""
    network = SymmetryNet(Architecture(widths=(4,), blocks=(1,)))
    card = make_card(
        "small",
        network,
        preprocessing=Preprocessing(size=32).to_dict(),
        training_prior=(FREQUENCIES / FREQUENCIES.sum()).tolist(),
        known_structures=COMPATIBLE.astype(float).tolist(),
        temperature=1.6,
        threshold=0.5,
        training={},
        metrics={},
        licence="GPL-3.0-or-later",
        version="0.1.0",
    )
    return Classifier(network, card, "cpu")


def test_groups_are_of_one_material_and_of_the_size_asked_for():
    material = np.repeat([3, 0, 1], [45, 7, 20])
    group, first = pool_groups(material, 20)
    assert np.bincount(group[group >= 0]).tolist() == [7, 20, 20, 20]
    assert (group < 0).sum() == 5  # the rest of material 3
    for number, start in enumerate(first):
        assert set(material[group == number]) == {material[start]}
        assert group[start] == number


def test_one_pattern_alone_has_its_own_probabilities(classifier):
    scores = 3 * np.random.default_rng(0).standard_normal((5, 46))
    for prior in ("known", "uniform"):
        alone = classifier.probabilities(scores, prior)
        pooled = pooled_probabilities(classifier, scores, np.arange(5), prior)
        for a, b in zip(alone, pooled, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6)


def test_patterns_in_no_group_do_not_count(classifier):
    scores = 3 * np.random.default_rng(0).standard_normal((5, 46))
    group = np.array([0, -1, 0, 1, -1])
    some = pooled_probabilities(classifier, scores, group, "known")
    kept = pooled_probabilities(classifier, scores[[0, 2, 3]], np.array([0, 0, 1]), "known")
    for a, b in zip(some, kept, strict=True):
        np.testing.assert_array_equal(a, b)


def test_patterns_without_evidence_leave_the_prior_as_it_is(classifier):
    # Scores that say no more than the training frequencies, twenty times.
    point, lattice = np.zeros(32), np.zeros(14)
    ones = (COMPATIBLE / COMPATIBLE.sum()).tolist()
    plain = Classifier(classifier.network, {**classifier.card, "training_prior": ones}, "cpu")
    scores = np.tile(np.concatenate([point, lattice]), (20, 1))
    one = plain.probabilities(scores[:1], "uniform")
    twenty = pooled_probabilities(plain, scores, np.zeros(20, dtype=int), "uniform")
    for a, b in zip(one, twenty, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_many_weak_votes_make_a_strong_one(classifier):
    scores = np.zeros((20, 46))
    scores[:, POINT_GROUPS.index("m-3m")] = scores[:, 32 + BRAVAIS_LATTICES.index("cI")] = 1.0
    alone = classifier.probabilities(scores[:1])[1][0, BRAVAIS_LATTICES.index("cI")]
    point, lattice = pooled_probabilities(classifier, scores, np.zeros(20, dtype=int), "uniform")
    assert alone < 0.6
    assert lattice[0, BRAVAIS_LATTICES.index("cI")] > 0.95
    assert point.shape == (1, 32)
