# SPDX-License-Identifier: GPL-3.0-or-later
"""Several networks that answer as one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_ebsd_phase import load_classifier, load_scan
from napari_ebsd_phase.classifier import Classifier
from napari_ebsd_phase.crystallography import COMPATIBLE
from napari_ebsd_phase.errors import InputError
from napari_ebsd_phase.network_mean import NetworkMean, build_network
from napari_ebsd_phase.saliency import evidence
from napari_ebsd_phase.samples import sample_path
from napari_ebsd_phase.training.combine import combine


@pytest.fixture(scope="module")
def pixels() -> Classifier:
    return load_classifier("pixels", device="cpu")


@pytest.fixture(scope="module")
def lines() -> Classifier:
    return load_classifier("lines", device="cpu")


@pytest.fixture(scope="module")
def both(pixels, lines) -> Classifier:
    return combine([pixels, lines], name="both")


@pytest.fixture(scope="module")
def patterns() -> np.ndarray:
    with load_scan(sample_path("nickel")) as scan:
        return np.array(scan.read(slice(0, 3), slice(0, 3))).reshape(-1, *scan.pattern_shape)


def plain(classifier: Classifier, patterns: np.ndarray) -> np.ndarray:
    """Scores of a network for patterns alone, without their mirror images."""
    alone = Classifier(classifier.network, classifier.card | {"mirrored_views": False}, "cpu")
    return alone.scores(patterns).scores


def test_scores_are_the_mean_of_the_members(both, pixels, lines, patterns):
    expected = (plain(pixels, patterns) + plain(lines, patterns)) / 2
    np.testing.assert_allclose(both.scores(patterns).scores, expected, atol=1e-4)


def test_the_member_that_tells_patterns_speaks_for_all(both, lines, patterns):
    assert both.tells_patterns
    alone = Classifier(lines.network, lines.card | {"mirrored_views": False}, "cpu")
    np.testing.assert_allclose(
        both.scores(patterns).pattern, alone.scores(patterns).pattern, atol=1e-4
    )


def test_its_evidence_is_the_mean_of_theirs(both, pixels, lines, patterns):
    def log_ratio(classifier: Classifier) -> np.ndarray:
        """Evidence for 1 against -1, which have one lattice each, (n,)."""
        card = classifier.card | {"mirrored_views": False, "temperature": 10.0}
        asked = Classifier(classifier.network, card, "cpu")
        scores = asked.scores(patterns).scores
        groups, _ = asked.probabilities(scores, COMPATIBLE / COMPATIBLE.sum())
        return np.log(groups[:, 0] / groups[:, 1])

    expected = (log_ratio(pixels) + log_ratio(lines)) / 2
    np.testing.assert_allclose(log_ratio(both), expected, atol=1e-3)


def test_it_comes_back_from_its_file_as_it_was(both, patterns, tmp_path):
    path = both.save(tmp_path / "both")
    again = load_classifier(path, device="cpu", precision="float32")
    assert isinstance(again.network, NetworkMean)
    np.testing.assert_array_equal(again.scores(patterns).scores, both.scores(patterns).scores)


@pytest.mark.parametrize("method", ["cam", "occlusion"])
def test_two_equal_members_are_explained_as_one(lines, patterns, method):
    alone = Classifier(lines.network, lines.card | {"mirrored_views": False}, "cpu")
    twins = combine([alone, load_classifier("lines", device="cpu")], name="twins")
    twins.card["temperature"] = alone.card["temperature"]
    expected = evidence(patterns[:2], alone, "m-3m", method=method)
    np.testing.assert_allclose(
        evidence(patterns[:2], twins, "m-3m", method=method),
        expected,
        atol=2e-3 * np.abs(expected).max(),
    )


def test_every_member_has_its_share_in_the_heat_map(both, patterns):
    whole = evidence(patterns[:1], both, "m-3m", against="6/mmm")
    shares = []
    for member in both.network.members:
        halved = build_network(both.card["architecture"])
        halved.load_state_dict(both.network.state_dict())
        for other, kept in zip(halved.members, both.network.members, strict=True):
            if kept is not member:
                torch.nn.init.zeros_(other.head.weight)
        shares.append(evidence(patterns[:1], Classifier(halved, both.card, "cpu"), "m-3m"))
    assert all(np.abs(share).max() > 0.05 * np.abs(whole).max() for share in shares)


def test_networks_of_different_preprocessing_are_not_combined(lines, pixels):
    other = Classifier(
        lines.network,
        lines.card | {"preprocessing": lines.preprocessing.to_dict() | {"clip": 3.0}},
        "cpu",
    )
    with pytest.raises(InputError, match="different preprocessing"):
        combine([pixels, other], name="both")


def test_one_network_is_no_mean(pixels):
    with pytest.raises(InputError, match="two networks or more"):
        combine([pixels], name="alone")


@pytest.mark.parametrize(
    "values",
    [
        {"members": []},
        {"members": "two"},
        {"members": [{}]},
        {"members": [{"widths": [8], "blocks": [1], "outputs": 9, "view": "pixels"}]},
        {"members": [{}], "more": 1},
    ],
)
def test_a_card_with_wrong_members_is_refused(both, tmp_path: Path, values):
    path = both.save(tmp_path / "both")
    card = json.loads(path.with_suffix(".json").read_text())
    path.with_suffix(".json").write_text(json.dumps(card | {"architecture": values}))
    with pytest.raises(InputError):
        load_classifier(path, device="cpu")
