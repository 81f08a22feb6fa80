# SPDX-License-Identifier: GPL-3.0-or-later
"""Equal parts of the screen are blurred, each where it is said to be, and nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_ebsd_phase.loading import load_classifier
from napari_ebsd_phase.saliency import evidence
from napari_ebsd_phase.training.library import MasterLibrary
from napari_ebsd_phase.training.saliency_deletion import (
    SHARE,
    blurred,
    cut_to_equal_change,
    discs,
    falls,
    mask_of,
    regions,
)
from napari_ebsd_phase.training.saliency_measures import NEAR, angles_to
from napari_ebsd_phase.training.saliency_sets import (
    draw_patterns,
    measured_nickel,
    phase_of,
    structure_of,
)
from napari_ebsd_phase.zone_axes import describe

LIBRARY = Path(__file__).parents[2] / "data" / "master_patterns.h5"


@pytest.fixture(scope="module")
def nickel():
    with MasterLibrary.open(LIBRARY) as library:
        number = [record.key for record in library.index].index("emsoft_Ni_nickel_20kV")
        patterns = draw_patterns(library.data(number), 6, np.random.default_rng(0))
        return patterns, describe(phase_of(structure_of(library.index[number])))


def masks(pattern, found):
    return {name: mask_of(pixels, pattern.frame.shape) for name, pixels in found.items()}


@pytest.fixture(scope="module")
def classifier():
    return load_classifier(device="cpu", precision="float32")


@pytest.fixture(scope="module")
def pixels(nickel):
    patterns, catalogue = nickel
    order = np.argsort(-catalogue.bands, kind="stable")
    rng = np.random.default_rng(0)
    bright = {"bright": patterns[0].frame.astype(float)}
    return regions(patterns[0], catalogue.direction[order], catalogue.normal, bright, rng)


@pytest.fixture(scope="module")
def parts(nickel, pixels):
    return masks(nickel[0][0], pixels)


def test_all_parts_are_of_one_size_and_on_the_screen(nickel, parts):
    pattern = nickel[0][0]
    assert set(parts) == {"zone axes", "bands", "random discs", "bright"}
    assert {int(part.sum()) for part in parts.values()} == {round(SHARE * pattern.mask.sum())}
    assert not any(part[~pattern.mask].any() for part in parts.values())


def test_each_part_is_where_it_is_said_to_be(nickel, parts):
    (pattern, *_), catalogue = nickel
    directions = pattern.directions()
    to_axis = angles_to(directions, catalogue.direction).min(axis=0)
    to_band = (90 - angles_to(directions, catalogue.normal)).min(axis=0)
    assert to_axis[parts["zone axes"]].max() <= NEAR
    assert not (parts["bands"] & parts["zone axes"]).any()
    assert to_axis[parts["bands"]].min() > NEAR
    assert to_band[parts["bands"]].max() <= NEAR + 1
    threshold = pattern.frame[parts["bright"]].min()
    assert pattern.frame[~parts["bright"] & pattern.mask].max() <= threshold


def test_the_axes_given_first_are_taken_first(nickel):
    (pattern, *_), catalogue = nickel
    directions = pattern.directions()
    shown = catalogue.direction[angles_to(directions, catalogue.direction).min(axis=(1, 2)) < 1]
    first = discs(directions, shown[:1], np.ones(pattern.frame.shape, bool), 5)
    away = angles_to(directions, shown[:1])[0].flat[first]
    assert len(set(first.tolist())) == 5
    assert away.max() < NEAR
    assert (np.diff(away) >= 0).all()  # from the middle outwards
    more = discs(directions, shown[:1], np.ones(pattern.frame.shape, bool), 8)
    np.testing.assert_array_equal(more[:5], first)


def test_too_few_discs_are_no_part(nickel):
    (pattern, *_), catalogue = nickel
    screen = np.ones(pattern.frame.shape, bool)
    assert discs(pattern.directions(), catalogue.direction[:1], screen, screen.sum()) is None
    rng = np.random.default_rng(0)
    assert regions(pattern, catalogue.direction, catalogue.normal, {}, rng, share=0.9) is None


def test_blurring_changes_the_part_and_nothing_else(nickel, parts):
    pattern = nickel[0][0]
    for part in parts.values():
        frame = blurred(pattern, part)
        np.testing.assert_allclose(frame[~part], pattern.frame[~part], rtol=1e-6)
        inside = part[:, 1:] & part[:, :-1]
        steps = np.abs(np.diff(frame, axis=1))[inside].mean()
        assert steps < 0.3 * np.abs(np.diff(pattern.frame, axis=1))[inside].mean()


def test_blurring_keeps_the_background_of_a_raw_frame():
    pattern = measured_nickel().patterns[0]
    everywhere = np.ones(pattern.frame.shape, bool)
    frame = blurred(pattern, everywhere)
    assert np.corrcoef(frame.ravel(), pattern.background.ravel())[0, 1] > 0.99
    assert frame.mean() == pytest.approx(pattern.frame.mean(), rel=0.02)


def test_cut_parts_change_the_input_equally(nickel, pixels, classifier):
    pattern = nickel[0][0]

    def changes(found):
        fall = falls(classifier, pattern, masks(pattern, found), "m-3m", "point_group")
        return {name: one["change"] for name, one in fall.items()}

    cut = cut_to_equal_change(classifier, pattern, pixels)
    whole, equal = changes(pixels), changes(cut)
    least = min(whole.values())
    assert max(whole.values()) > 1.5 * least
    assert list(equal.values()) == pytest.approx([least] * len(equal), rel=0.2)
    for name, left in cut.items():  # what is cut off comes last
        np.testing.assert_array_equal(left, pixels[name][: len(left)])
    assert len(cut["zone axes"]) < 0.8 * len(pixels["zone axes"])


def test_the_network_loses_more_with_the_top_of_its_heat_map_than_with_random_discs(
    nickel, classifier
):
    patterns, catalogue = nickel
    rng = np.random.default_rng(0)
    lost = []
    for pattern in patterns:
        heat = evidence(pattern.frame[None], classifier, "m-3m", mask=pattern.mask)[0]
        found = regions(pattern, catalogue.direction, catalogue.normal, {"top": heat}, rng)
        found = masks(pattern, found) | {"nothing": np.zeros(pattern.frame.shape, bool)}
        fall = falls(classifier, pattern, found, "m-3m", "point_group")
        assert fall["nothing"] == pytest.approx(
            {"log_odds": 0.0, "probability": 0.0, "change": 0.0, "area": 0.0}, abs=1e-4
        )
        assert all(0 <= one["change"] < 1 for one in fall.values())
        assert fall["top"]["area"] == pytest.approx(SHARE, rel=0.05)
        lost.append((fall["top"]["log_odds"], fall["random discs"]["log_odds"]))
    top, random = np.mean(lost, axis=0)
    assert top > random + 0.5
