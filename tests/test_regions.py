# SPDX-License-Identifier: GPL-3.0-or-later
"""A region is identified by the views of its crystal, not by the number of its patterns."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile
from PIL import Image
from scipy import ndimage

from napari_ebsd_phase import InputError, classify, load_classifier, load_scan
from napari_ebsd_phase.crystallography import (
    BRAVAIS_LATTICES,
    COMPATIBLE,
    LEVELS,
    POINT_GROUPS,
    names,
)
from napari_ebsd_phase.mapping import scan_screen
from napari_ebsd_phase.regions import identify, identify_regions
from napari_ebsd_phase.regions.pool import spread_evenly
from napari_ebsd_phase.regions.views import SHARED_ERROR, independent_views, shares, signatures
from napari_ebsd_phase.samples import sample_path, sample_truth

CLOSE = {"rtol": 1e-3, "atol": 1e-5}
INSIDE_A_GRAIN = (slice(1, 4), slice(1, 4))


@pytest.fixture(scope="module")
def classifier():
    return load_classifier("fast", device="cpu", precision="float32")


@pytest.fixture(scope="module")
def duplex():
    with load_scan(sample_path("two_phase")) as scan:
        yield scan


@pytest.fixture(scope="module")
def lattice_of_duplex():
    return sample_truth("two_phase")[1]


@pytest.fixture
def stack(tmp_path):
    """Opens frames of one size as a row of patterns."""
    opened = []

    def open_frames(frames):
        path = tmp_path / f"{len(opened)}.tif"
        tifffile.imwrite(path, np.asarray(frames, np.uint8), photometric="minisblack")
        opened.append(load_scan(path))
        return opened[-1]

    yield open_frames
    for scan in opened:
        scan.close()


def noise(count, shape=(60, 60)):
    return np.random.default_rng(1).normal(120, 25, (count, *shape)).clip(0, 255)


def nickel_patterns(corrected=True):
    with load_scan(sample_path("nickel")) as scan:
        patterns = scan.read(slice(0, 3), slice(0, 3)).reshape(9, 60, 60).astype(float)
        return patterns / scan.static_background * 120 if corrected else patterns


@pytest.mark.parametrize("lattice", ["cF", "cI"])
def test_each_phase_of_the_duplex_steel_is_identified(
    duplex, classifier, lattice_of_duplex, lattice
):
    region = lattice_of_duplex == lattice

    answer = identify(duplex, classifier, region, prior="cubic,hexagonal", max_patterns=250)

    assert answer.label == "m-3m"
    assert answer.ranked("point_group")[0][0] == "m-3m"
    assert answer.ranked("bravais_lattice")[0][0] == lattice
    assert answer.pairs[0][:2] == ("m-3m", lattice)
    assert answer.patterns == region.sum()
    assert answer.used == 250


@pytest.mark.parametrize("lattice", ["cF", "cI"])
def test_every_grain_counts_as_one_view(duplex, classifier, lattice_of_duplex, lattice):
    region = lattice_of_duplex == lattice
    _, grains = ndimage.label(region)

    answer = identify(duplex, classifier, region, max_patterns=250)

    assert answer.views == pytest.approx(grains, rel=0.1)


def test_the_grains_of_the_measured_nickel_are_told_apart(classifier):
    with load_scan(sample_path("nickel")) as scan:
        left, right, both = identify_regions(
            scan,
            classifier,
            [(slice(0, 3), slice(0, 1)), (slice(1, 3), slice(1, 3)), None],
        )

    assert left.views == pytest.approx(1)
    assert right.views == pytest.approx(1)
    assert both.views == pytest.approx(2)
    assert any("count as one view" in note for note in left.notes)
    assert any("2.0 different views weigh as much as" in note for note in both.notes)


def test_one_pattern_gives_what_the_map_says(duplex, classifier):
    region = (slice(10, 11), slice(10, 14))
    phase_map = classify(duplex, classifier, region=region, prior="known")
    labels, levels = phase_map.decide()

    for col in range(10, 14):
        answer = identify(duplex, classifier, (slice(10, 11), slice(col, col + 1)), prior="known")

        assert (answer.patterns, answer.used, answer.nameable) == (1, 1, 1)
        assert (answer.views, answer.weight) == (1, 1)
        for level in LEVELS:
            expected = phase_map.probabilities(level)[10, col]
            np.testing.assert_allclose(answer.probabilities(level), expected, **CLOSE)
        assert (answer.label, answer.level) == (labels[10, col], levels[10, col])
        assert answer.notes[0].startswith("One pattern counts")


def test_the_same_pattern_again_and_again_is_one_view(classifier, stack):
    pattern = nickel_patterns()[4]

    once, often = (identify(stack([pattern] * n), classifier) for n in (1, 30))

    assert often.nameable == 30
    assert (often.views, often.weight) == (pytest.approx(1), pytest.approx(1))
    np.testing.assert_allclose(
        often.point_group_probabilities, once.point_group_probabilities, **CLOSE
    )


def test_copies_of_one_view_do_not_outvote_another(classifier, stack):
    first, second = nickel_patterns()[[0, 5]]

    even, uneven = (identify(stack([first] * n + [second]), classifier) for n in (1, 40))

    assert uneven.views == pytest.approx(2)
    np.testing.assert_allclose(uneven.bravais_probabilities, even.bravais_probabilities, **CLOSE)


def test_the_prior_counts_once_whatever_the_number_of_views(duplex, classifier, lattice_of_duplex):
    prior = classifier.prior("uniform")
    favoured = prior.copy()
    favoured[POINT_GROUPS.index("m-3m")] *= 3
    one_pattern = (slice(2, 3), slice(2, 3))

    def gain(region):
        """How much better the odds of m-3m against all others become."""
        odds = []
        for expected in (prior, favoured):
            answer = identify(duplex, classifier, region, prior=expected, max_patterns=60)
            probability = answer.point_group_probabilities.astype(float)
            index = POINT_GROUPS.index("m-3m")
            odds.append(probability[index] / np.delete(probability, index).sum())
        return odds[1] / odds[0]

    assert gain(one_pattern) > 1.1
    assert gain(lattice_of_duplex == "cI") == pytest.approx(gain(one_pattern), rel=0.02)


def test_the_training_frequencies_go_out_as_often_as_the_scores_count(classifier, stack):
    scan = stack(nickel_patterns()[[0, 5]])
    frames = scan.read(slice(0, 1), slice(0, 2))[0]
    scores = classifier.scores(frames, mask=scan_screen(scan)).scores.mean(axis=0)
    groups, lattices = np.nonzero(COMPATIBLE)
    trained = np.asarray(classifier.card["training_prior"])[groups, lattices]
    trained = np.maximum(trained, trained[trained > 0].min())
    evidence = scores[groups] + scores[32 + lattices] - np.log(trained)
    prior = np.log(classifier.prior("known")[groups, lattices])
    joint = np.exp((prior + independent_views(2) * evidence) / classifier.card["temperature"])
    expected = np.bincount(groups, joint / joint.sum())

    answer = identify(scan, classifier, prior="known")

    assert answer.views == pytest.approx(2)
    np.testing.assert_allclose(answer.point_group_probabilities, expected, **CLOSE)


def test_the_evidence_of_many_views_stays_near_that_of_one(duplex, classifier):
    answer = identify(duplex, classifier, max_patterns=200)

    assert answer.views > 20
    assert 1 < answer.weight < 1 / SHARED_ERROR


def test_a_second_phase_in_the_region_is_told(duplex, classifier):
    answer = identify(duplex, classifier, prior="cubic", max_patterns=250)

    (told,) = [note for note in answer.notes if note.startswith("The views disagree")]
    assert "say cF" in told
    assert "say cI" in told


def test_a_rectangle_is_the_region_of_its_mask(duplex, classifier):
    region = (slice(20, 31), slice(40, 52))
    mask = np.zeros(duplex.shape, bool)
    mask[region] = True

    by_rectangle, by_mask = (identify(duplex, classifier, r) for r in (region, mask))

    assert by_rectangle.to_dict() == by_mask.to_dict()


def test_the_same_question_has_the_same_answer(duplex, classifier):
    first, second = (identify(duplex, classifier, max_patterns=70) for _ in range(2))

    assert first.used == 70
    assert first.to_dict() == second.to_dict()
    np.testing.assert_array_equal(first.point_group_probabilities, second.point_group_probabilities)
    assert any("70 of 4,800 patterns were read" in note for note in first.notes)


def test_a_background_that_was_not_corrected_is_told(classifier, stack):
    raw, corrected = (identify(stack(nickel_patterns(c)), classifier) for c in (False, True))

    assert raw.views == pytest.approx(1)
    assert any("no static background" in note for note in raw.notes)
    assert corrected.views == pytest.approx(2)
    assert not any("no static background" in note for note in corrected.notes)


def test_noise_is_not_identified(classifier, stack):
    answer = identify(stack(noise(40)), classifier, prior="known")

    assert (answer.used, answer.nameable, answer.views) == (40, 0, 0)
    assert (answer.label, answer.level) == ("", "none")
    np.testing.assert_allclose(
        answer.bravais_probabilities, classifier.prior("known").sum(axis=0), **CLOSE
    )
    assert any("40 do not count" in note for note in answer.notes)
    assert any(note.startswith("No pattern counts") for note in answer.notes)


def test_frames_without_a_pattern_do_not_change_the_answer(classifier, stack):
    patterns = nickel_patterns()
    frames = np.concatenate([patterns, noise(9), np.full((2, 60, 60), 90)])

    alone, among_others = (identify(stack(f), classifier) for f in (patterns, frames))

    assert (among_others.used, among_others.nameable) == (20, 9)
    np.testing.assert_allclose(
        among_others.point_group_probabilities, alone.point_group_probabilities, rtol=0.05
    )
    assert any("Of 20 patterns 11 do not count" in note for note in among_others.notes)


def test_pairs_go_with_the_probabilities_of_either(duplex, classifier):
    answer = identify(duplex, classifier, INSIDE_A_GRAIN, prior="known")

    probabilities = [probability for _, _, probability in answer.pairs]
    assert probabilities == sorted(probabilities, reverse=True)
    assert all(
        COMPATIBLE[POINT_GROUPS.index(group), BRAVAIS_LATTICES.index(lattice)]
        for group, lattice, _ in answer.pairs
    )
    # Pairs below 1 % are not listed.
    for position, level in ((0, "point_group"), (1, "bravais_lattice")):
        for name, probability in answer.ranked(level, 3):
            listed = sum(pair[2] for pair in answer.pairs if pair[position] == name)
            assert probability - 0.15 < listed < probability + 1e-4


def test_names_that_are_about_as_likely_are_told(duplex, classifier):
    prior = np.zeros((32, 14))
    prior[POINT_GROUPS.index("m-3m"), BRAVAIS_LATTICES.index("cF")] = 1
    prior[POINT_GROUPS.index("432"), BRAVAIS_LATTICES.index("cF")] = 1
    odds = np.divide(
        *(
            identify(duplex, classifier, INSIDE_A_GRAIN, prior=prior).point_group_probabilities[
                POINT_GROUPS.index(name)
            ]
            for name in ("m-3m", "432")
        )
    )
    # A prior that makes up for the difference; the temperature acts on it, too.
    prior[POINT_GROUPS.index("432")] *= odds ** classifier.card["temperature"]

    answer = identify(duplex, classifier, INSIDE_A_GRAIN, prior=prior)

    (told,) = [note for note in answer.notes if note.startswith("Cannot be told apart here")]
    assert "m-3m cF (0.50)" in told
    assert "432 cF (0.50)" in told


def test_an_answer_can_be_written_as_json(duplex, classifier):
    answer = identify(duplex, classifier, INSIDE_A_GRAIN)

    document = json.loads(json.dumps(answer.to_dict()))

    for level in LEVELS:
        assert tuple(document[level]) == names(level)
        np.testing.assert_allclose(
            list(document[level].values()), answer.probabilities(level), atol=1e-6
        )
        assert sum(document[level].values()) == pytest.approx(1, abs=1e-4)
    assert document["patterns"] == 9
    assert document["notes"] == list(answer.notes)


def test_ranked_names_begin_with_the_best(duplex, classifier):
    answer = identify(duplex, classifier, INSIDE_A_GRAIN)

    for level in LEVELS:
        ranked = answer.ranked(level, most=4)
        assert len(ranked) == 4
        assert ranked[0][1] == answer.probabilities(level).max()
        assert [p for _, p in ranked] == sorted((p for _, p in ranked), reverse=True)


def test_progress_is_told_and_goes_to_the_end(duplex, classifier):
    told = []

    identify(duplex, classifier, max_patterns=50, batch_size=20, progress=lambda *n: told.append(n))

    assert told == [(20, 50), (40, 50), (50, 50)]


def test_a_cancelled_identification_says_how_far_it_came(duplex, classifier):
    told = []

    answer = identify(
        duplex,
        classifier,
        max_patterns=50,
        batch_size=20,
        progress=lambda *n: told.append(n),
        cancelled=lambda: bool(told),
    )

    assert answer.used == 20
    assert answer.notes[0] == "Stopped early: 20 of 4,800 patterns were read."


def test_an_identification_cancelled_at_once_knows_the_prior_only(duplex, classifier):
    answer = identify(duplex, classifier, prior="cubic", cancelled=lambda: True)

    assert (answer.used, answer.nameable, answer.views) == (0, 0, 0)
    assert answer.label == ""
    assert dict(answer.ranked("crystal_system"))["cubic"] == pytest.approx(1)


def test_images_of_several_sizes_are_pooled(classifier, tmp_path):
    for i, size in enumerate((480, 300), start=1):
        with Image.open(sample_path("silicon") / f"silicon_0{i}.png") as image:
            image.convert("L").resize((size, size)).save(tmp_path / f"{i}.png")

    with load_scan(tmp_path) as scan:
        assert scan.pattern_shape is None
        answer = identify(scan, classifier)

    assert (answer.patterns, answer.nameable) == (2, 2)
    assert 1 <= answer.views <= 2


@pytest.mark.parametrize(
    ("region", "said"),
    [
        (np.zeros((60, 80), bool), "empty"),
        (np.ones((80, 60), bool), "80 x 60 points, the map 60 x 80"),
        (np.ones((60, 80)), "True and False"),
        ((slice(0, 61), slice(0, 80)), "not in the map"),
        ((slice(5, 5), slice(0, 80)), "not in the map"),
    ],
    ids=["empty", "other shape", "no mask", "outside", "no rows"],
)
def test_a_region_that_cannot_be_is_told(duplex, classifier, region, said):
    with pytest.raises(InputError, match=said) as error:
        identify(duplex, classifier, region)

    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"max_patterns": 0}, "number of patterns"),
        ({"batch_size": 0}, "batch size"),
        ({"prior": "icosahedral"}, "icosahedral"),
    ],
)
def test_a_wrong_setting_is_told(duplex, classifier, setting, said):
    with pytest.raises(InputError, match=said):
        identify(duplex, classifier, **setting)


def test_chosen_patterns_are_spread_evenly_and_not_along_columns():
    chosen = spread_evenly(60 * 80, 60)

    assert len(np.unique(chosen)) == 60
    np.testing.assert_array_equal(chosen // 80, np.arange(60))
    assert np.histogram(chosen % 80, 8, (0, 80))[0].max() <= 9
    np.testing.assert_array_equal(spread_evenly(7, 7), np.arange(7))
    assert len(np.unique(spread_evenly(11, 10))) == 10


def test_shares_add_up_to_the_number_of_views():
    rng = np.random.default_rng(0)
    first, second, third = rng.standard_normal((3, 64, 64))
    frames = np.stack([first, first, first, second, third, third])

    found = shares(signatures(frames))

    np.testing.assert_allclose(found, [1 / 3, 1 / 3, 1 / 3, 1, 1 / 2, 1 / 2])


def test_a_grain_that_bends_is_more_than_one_view_and_less_than_its_patterns():
    angles = np.linspace(0, np.pi / 2, 31)
    rng = np.random.default_rng(0)
    first, second = rng.standard_normal((2, 64, 64))
    bent = [np.cos(a) * first + np.sin(a) * second for a in angles]

    assert 1.2 < shares(signatures(np.stack(bent))).sum() < 2


def test_blank_frames_are_like_nothing():
    np.testing.assert_array_equal(shares(signatures(np.zeros((3, 64, 64)))), 1)


def test_more_views_weigh_more_but_less_and_less():
    weights = np.array([independent_views(n) for n in (1, 2, 5, 50, 1e9)])

    assert weights[0] == 1
    assert (np.diff(weights) > 0).all()
    assert weights[-1] == pytest.approx(1 / SHARED_ERROR)
