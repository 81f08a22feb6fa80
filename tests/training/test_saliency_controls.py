# SPDX-License-Identifier: GPL-3.0-or-later
"""Controls know nothing, and networks forget one layer after another."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from napari_ebsd_phase.classifier import Classifier
from napari_ebsd_phase.loading import load_classifier
from napari_ebsd_phase.mapping import scan_screen
from napari_ebsd_phase.preprocessing import Preprocessing, prepare
from napari_ebsd_phase.saliency import evidence
from napari_ebsd_phase.samples import sample_path
from napari_ebsd_phase.scan import load_scan
from napari_ebsd_phase.training.saliency_controls import (
    baseline_maps,
    cascade,
    likeness,
    untrained,
)


@pytest.fixture(scope="module", params=["default", "lines"])
def classifier(request) -> Classifier:
    return load_classifier(request.param, device="cpu", precision="float32")


@pytest.fixture(scope="module")
def nickel():
    with load_scan(sample_path("nickel")) as scan:
        return scan.pattern(0, 0), scan_screen(scan), scan.static_background


def weights(classifier: Classifier) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in classifier.network.state_dict().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> set[str]:
    return {name for name in one if torch.equal(one[name], other[name])}


def test_images_that_know_no_class_have_the_size_of_the_pattern_and_nothing_off_the_screen(nickel):
    frame, _, background = nickel
    mask = np.ones(frame.shape, bool)
    mask[:, :12] = False

    maps = baseline_maps(frame, Preprocessing(), mask=mask, background=background)

    assert set(maps) == {"intensity", "local variance", "centred Gaussian"}
    for image in maps.values():
        assert image.shape == frame.shape
        assert not image[~mask].any()
        assert image[mask].any()


def test_the_intensity_image_follows_the_pattern_as_the_network_sees_it(nickel):
    frame, mask, background = nickel
    image = baseline_maps(frame, Preprocessing(), mask=mask, background=background)["intensity"]
    seen = prepare(frame[None], Preprocessing(size=60), mask=mask, background=background).numpy()[
        0, 0
    ]
    assert np.corrcoef(image.ravel(), seen.ravel())[0, 1] > 0.4
    assert image.min() < 0 < image.max()


def test_the_variance_image_is_high_where_the_pattern_varies():
    frame = np.full((60, 60), 100.0)
    frame[20:30, 20:30] += np.random.default_rng(0).normal(0, 20, (10, 10))
    image = baseline_maps(frame, Preprocessing())["local variance"]
    assert image[22:28, 22:28].min() > 5 * image[45:, 45:].max()


def test_the_gaussian_is_highest_in_the_middle_of_the_screen():
    mask = np.zeros((60, 60), bool)
    mask[10:51, 20:51] = True
    image = baseline_maps(
        np.random.default_rng(0).normal(size=(60, 60)), Preprocessing(), mask=mask
    )
    assert np.unravel_index(image["centred Gaussian"].argmax(), (60, 60)) == (30, 35)


def test_an_untrained_network_shares_nothing_with_the_trained_one_but_its_form(classifier):
    one, again, other = (untrained(classifier, seed) for seed in (0, 0, 1))
    assert one.network.architecture == classifier.network.architecture
    assert same(weights(one), weights(again)) == set(weights(one))
    convolutions = {name for name, value in weights(one).items() if value.ndim == 4}
    assert convolutions
    assert not same(weights(one), weights(other)) & convolutions
    assert not same(weights(one), weights(classifier)) & convolutions


def test_making_untrained_networks_leaves_the_random_numbers_of_others_alone(classifier):
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    untrained(classifier, 0)
    assert torch.rand(1) == expected


def test_networks_forget_from_the_head_down(classifier):
    before = weights(classifier)
    blank = weights(untrained(classifier, 0))
    trained = set(before) - same(before, blank)
    blocks = max(sum(member.architecture.blocks) for member in classifier.network.members)

    names, left = [], []
    for name, network in cascade(classifier, 0):
        names.append(name)
        left.append(trained & same(before, weights(network)))

    assert names == ["head", *(f"block {i}" for i in range(blocks, 0, -1)), "first layer"]
    assert left[0] == {name for name in trained if "head." not in name}
    assert all(later < earlier for earlier, later in pairwise(left))
    assert not left[-1]
    assert same(before, weights(classifier)) == set(before)


def test_a_heat_map_is_like_itself_and_less_like_one_of_a_network_that_forgot(classifier, nickel):
    frame, mask, background = nickel

    def heat(network: Classifier) -> np.ndarray:
        told = {"mask": mask, "background": background}
        return evidence(frame[None], network, "m-3m", **told)[0]

    trained = heat(classifier)
    assert likeness(trained, trained, mask) == pytest.approx((1.0, 1.0))
    (_, headless), *_, (_, blank) = cascade(classifier, 0)
    some, nothing = (abs(likeness(trained, heat(n), mask)[0]) for n in (headless, blank))
    assert nothing < 0.5
    assert nothing < some < 0.95
