# SPDX-License-Identifier: GPL-3.0-or-later
"""Summaries of scores whose accuracies, calibration and confusion are known by hand."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from napari_ebsd_phase.card import make_card
from napari_ebsd_phase.classifier import Classifier, Outputs
from napari_ebsd_phase.crystallography import (
    BRAVAIS_LATTICES,
    COMPATIBLE,
    LAUE_GROUPS,
    LEVELS,
    POINT_GROUPS,
)
from napari_ebsd_phase.decoding import parse_prior
from napari_ebsd_phase.network import Architecture, SymmetryNet
from napari_ebsd_phase.preprocessing import Preprocessing
from napari_ebsd_phase.training.scores import Scores
from napari_ebsd_phase.training.summary import right_by_set, summarise

Pair = tuple[str, str]
FERRITE, AUSTENITE = ("m-3m", "cI"), ("m-3m", "cF")
ZINC_BLENDE, QUARTZ, MAGNESIUM = ("-43m", "cF"), ("32", "hP"), ("6/mmm", "hP")


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    """Its card makes probabilities the plain softmax of the scores; its weights are not used."""
    network = SymmetryNet(Architecture(widths=(4,), blocks=(1,)))
    same = COMPATIBLE.astype(float)
    card = make_card(
        "by hand",
        network,
        preprocessing=Preprocessing(size=32).to_dict(),
        training_prior=(same / same.sum()).tolist(),
        known_structures=same.tolist(),
        temperature=1.0,
        threshold=0.5,
        training={},
        metrics={},
        licence="GPL-3.0-or-later",
        version="0.1.0",
    )
    return Classifier(network, card, "cpu")


def saying(pair: Pair, confidence: float = 1.0, instead: str = "") -> np.ndarray:
    """Scores of a pattern named `pair`, its lattice with some confidence, else `instead`."""
    scores = np.full(46, -40.0)
    scores[POINT_GROUPS.index(pair[0])] = 40.0
    scores[32 + BRAVAIS_LATTICES.index(pair[1])] = math.log(confidence)
    if instead:
        scores[32 + BRAVAIS_LATTICES.index(instead)] = math.log(1 - confidence)
    return scores


def scores_of(*materials: tuple[Pair, list[np.ndarray]]) -> Scores:
    """Scores of materials, each with its truth and what was said of its patterns."""
    owner = np.repeat(np.arange(len(materials)), [len(said) for _, said in materials])
    groups = np.array([POINT_GROUPS.index(truth[0]) for truth, _ in materials])
    lattices = np.array([BRAVAIS_LATTICES.index(truth[1]) for truth, _ in materials])
    return Scores(
        np.concatenate([np.array(said) for _, said in materials]),
        owner,
        groups[owner],
        lattices[owner],
        tuple(f"material {i}" for i in range(len(materials))),
    )


def test_a_big_material_does_not_hide_a_small_one(classifier):
    data = scores_of(
        (AUSTENITE, [saying(AUSTENITE)] * 98), (QUARTZ, [saying(FERRITE), saying(FERRITE)])
    )
    result = summarise(classifier, data)
    assert (result["materials"], result["patterns"]) == (2, 100)
    for level in LEVELS:
        assert result[level]["accuracy"] == 0.5
        assert result[level]["pooled"] == 0.5
        assert result[level]["interval"] == [0.0, 1.0]


def test_each_level_is_judged_by_its_own_names(classifier):
    # -43m said to be m-3m, cI: the Laue group and the system are right, nothing else.
    result = summarise(classifier, scores_of((ZINC_BLENDE, [saying(FERRITE)] * 3)))
    accuracies = {level: result[level]["accuracy"] for level in LEVELS}
    assert accuracies == {
        "point_group": 0.0, "laue_group": 1.0, "crystal_system": 1.0, "bravais_lattice": 0.0
    }  # fmt: skip


def test_recall_is_the_mean_over_the_materials_of_a_class(classifier):
    data = scores_of(
        (AUSTENITE, [saying(AUSTENITE)] * 9),
        (QUARTZ, [saying(QUARTZ)]),
        (AUSTENITE, [saying(AUSTENITE), saying(QUARTZ)]),
    )
    result = summarise(classifier, data)
    assert result["point_group"]["recall"] == {
        "32": {"accuracy": 1.0, "materials": 1},
        "m-3m": {"accuracy": 0.75, "materials": 2},
    }
    assert result["bravais_lattice"]["recall"]["cF"] == {"accuracy": 0.75, "materials": 2}
    assert set(result["crystal_system"]["recall"]) == {"trigonal", "cubic"}
    assert result["laue_group"]["accuracy"] == pytest.approx((1 + 1 + 0.5) / 3)


def test_many_patterns_of_one_material_are_judged_together(classifier):
    # Two weak votes for cI against one strong one for cF: 0.6 * 0.6 * 0.01 < 0.4 * 0.4 * 0.99.
    said = [saying(FERRITE, 0.6, "cF")] * 2 + [saying(AUSTENITE, 0.99, "cI")]
    result = summarise(classifier, scores_of((AUSTENITE, said), (FERRITE, said)))
    assert result["bravais_lattice"]["accuracy"] == pytest.approx((1 / 3 + 2 / 3) / 2)
    assert result["bravais_lattice"]["pooled"] == 0.5
    assert summarise(classifier, scores_of((AUSTENITE, said)))["bravais_lattice"]["pooled"] == 1.0


def test_patterns_are_pooled_by_twenty(classifier):
    # Of 40 patterns of one material the first twenty say cF together, the others cI; the last
    # three fill no group and do not count.
    said = [saying(AUSTENITE, 0.6, "cI")] * 20 + [saying(FERRITE, 0.6, "cF")] * 23
    both = summarise(classifier, scores_of((AUSTENITE, said), (QUARTZ, [saying(QUARTZ)])))
    lattice = both["bravais_lattice"]
    assert lattice["pooled"] == pytest.approx((0.5 + 1) / 2)
    assert lattice["accuracy"] == pytest.approx((20 / 43 + 1) / 2)
    assert lattice["pooled_interval"] == [0.5, 1.0]


def test_calibration_error_is_the_gap_between_what_is_said_and_what_is_right(classifier):
    def ten(confidence: float, right: int) -> list[tuple[Pair, list[np.ndarray]]]:
        """Ten materials of one pattern."""
        said = [saying(AUSTENITE, confidence, "cI")]
        return [(AUSTENITE, said)] * right + [(FERRITE, said)] * (10 - right)

    lattice = summarise(classifier, scores_of(*ten(0.83, 6)))["bravais_lattice"]
    assert lattice["ece"] == pytest.approx(0.23, abs=1e-5)
    assert np.allclose(lattice["reliability"], [[0.83, 0.6, 1.0]], atol=1e-5)

    both = summarise(classifier, scores_of(*ten(0.83, 6), *ten(0.63, 7)))["bravais_lattice"]
    assert both["ece"] == pytest.approx(0.5 * 0.23 + 0.5 * 0.07, abs=1e-5)
    assert np.allclose(both["reliability"], [[0.63, 0.7, 0.5], [0.83, 0.6, 0.5]], atol=1e-5)


def test_calibration_error_is_not_that_of_a_big_material(classifier):
    sure = saying(AUSTENITE, 0.99, "cI")
    data = scores_of((AUSTENITE, [sure] * 99), (FERRITE, [sure]))
    assert summarise(classifier, data)["bravais_lattice"]["ece"] == pytest.approx(0.49, abs=1e-5)


def test_certainty_falls_into_the_last_bin(classifier):
    result = summarise(classifier, scores_of((QUARTZ, [saying(QUARTZ)] * 4)))
    assert result["laue_group"]["ece"] == pytest.approx(0.0, abs=1e-6)
    assert result["laue_group"]["reliability"] == [[1.0, 1.0, 1.0]]


def test_confusion_has_the_truth_in_rows_and_the_name_in_columns(classifier):
    data = scores_of(
        (AUSTENITE, [saying(AUSTENITE)] * 3 + [saying(FERRITE)] * 2),
        (MAGNESIUM, [saying(QUARTZ)] * 4),
    )
    result = summarise(classifier, data)
    lattice = np.array(result["bravais_lattice"]["confusion"])
    laue = np.array(result["laue_group"]["confusion"])
    c_f, c_i, h_p = (BRAVAIS_LATTICES.index(name) for name in ("cF", "cI", "hP"))
    assert (lattice[c_f, c_f], lattice[c_f, c_i], lattice[h_p, h_p]) == (3, 2, 4)
    assert (lattice.shape, lattice.sum()) == ((14, 14), 9)
    assert laue[LAUE_GROUPS.index("6/mmm"), LAUE_GROUPS.index("-3m")] == 4
    assert laue[LAUE_GROUPS.index("m-3m"), LAUE_GROUPS.index("m-3m")] == 5
    assert (laue.shape, laue.sum()) == ((11, 11), 9)
    assert "confusion" not in result["point_group"]


def test_the_gain_within_a_laue_group_is_over_naming_the_most_frequent_group(classifier):
    right, centred = saying(ZINC_BLENDE), saying(AUSTENITE)
    data = scores_of(
        (AUSTENITE, [centred] * 40),
        (FERRITE, [saying(FERRITE)] * 40),
        # Three of four in its Laue group are right; the fifth is in another and does not count.
        (ZINC_BLENDE, [right, right, right, centred, saying(MAGNESIUM)]),
        # Alone in its Laue group: no gain in naming it.
        (QUARTZ, [saying(QUARTZ)]),
    )
    within = summarise(classifier, data)["point_group_within_laue"]
    assert within["materials"] == 4
    assert within["accuracy"] == pytest.approx((1 + 1 + 0.75 + 1) / 4)
    assert within["majority"] == pytest.approx(3 / 4)
    assert within["gain"] == pytest.approx(0.75 / 4)
    low, high = within["gain_interval"]
    assert 0 <= low < within["gain"] < high <= 0.75


def test_the_most_frequent_group_is_counted_by_materials_not_patterns(classifier):
    data = scores_of(
        (AUSTENITE, [saying(AUSTENITE)] * 50),
        (ZINC_BLENDE, [saying(AUSTENITE)]),
        (ZINC_BLENDE, [saying(AUSTENITE)]),
    )
    within = summarise(classifier, data)["point_group_within_laue"]
    assert within["majority"] == pytest.approx(2 / 3)
    assert within["accuracy"] == pytest.approx(1 / 3)
    assert within["gain"] == pytest.approx(-1 / 3)


def test_there_is_no_gain_where_no_laue_group_is_right(classifier):
    within = summarise(classifier, scores_of((QUARTZ, [saying(AUSTENITE)] * 3)))
    assert within["point_group_within_laue"] == {
        "materials": 0,
        "accuracy": 0.0, "majority": 0.0, "gain": 0.0, "gain_interval": [0.0, 0.0]
    }  # fmt: skip


def test_the_interval_holds_the_mean_and_narrows_with_the_number_of_materials(classifier):
    def interval(count: int) -> tuple[float, float, float]:
        half = [saying(AUSTENITE), saying(FERRITE)]
        materials = [(AUSTENITE, half[:1]), (AUSTENITE, half[1:]), (AUSTENITE, half)] * count
        level = summarise(classifier, scores_of(*materials))["bravais_lattice"]
        return (*level["interval"], level["accuracy"])

    few, many = interval(3), interval(60)
    assert few[2] == pytest.approx(0.5)
    assert many[2] == pytest.approx(0.5)
    assert few[0] < many[0] < 0.5 < many[1] < few[1]
    # Standard error of the mean of 180 values with a standard deviation of 0.408.
    assert many[1] - many[0] == pytest.approx(2 * 1.96 * 0.408 / math.sqrt(180), rel=0.1)
    assert interval(3) == few


def test_the_share_that_can_be_labelled_is_the_largest_that_is_right_often_enough(classifier):
    def doubtful(confidence: float) -> np.ndarray:
        """A cubic crystal with some probability, else hexagonal."""
        scores = np.full(46, -40.0)
        scores[[POINT_GROUPS.index("m-3m"), POINT_GROUPS.index("6/mmm")]] = 20.0
        scores[32 + BRAVAIS_LATTICES.index("cF")] = math.log(confidence)
        scores[32 + BRAVAIS_LATTICES.index("hP")] = math.log(1 - confidence)
        return scores

    sure, unsure = [doubtful(0.97)] * 3, [doubtful(0.8)] * 2
    # Where it is sure it is right; where it is not, one of two materials is wrong.
    data = scores_of((AUSTENITE, sure + unsure), (MAGNESIUM, unsure))
    found = summarise(classifier, data)
    assert found["labelled"]["precision"] == 0.95
    assert found["labelled"]["share"] == pytest.approx(0.5 * 3 / 5)
    assert found["labelled"]["threshold"] == pytest.approx(0.97, abs=1e-5)
    # The card's threshold of 0.5 labels all of them with a point group.
    assert found["decision"] == pytest.approx({
        "threshold": 0.5, "point_group": 1.0, "laue_group": 0.0, "crystal_system": 0.0,
        "labelled": 1.0, "right": 0.5,
    })  # fmt: skip


def test_undecided_patterns_are_not_labelled(classifier):
    vague = np.zeros(46)
    found = summarise(classifier, scores_of((QUARTZ, [vague] * 2)))["decision"]
    assert (found["labelled"], found["right"]) == (0.0, 0.0)


def test_rare_point_groups_are_reported_one_by_one(classifier):
    rare, other = ("-6", "hP"), ("6/m", "hP")
    data = scores_of(
        (rare, [saying(rare), saying(other)]),
        (rare, [saying(MAGNESIUM)]),
        (("4", "tP"), [saying(("4", "tP"))] * 5),
        (AUSTENITE, [saying(AUSTENITE)]),
    )
    assert summarise(classifier, data)["rare_groups"] == {
        "-6": {"materials": 2, "point_group": 0.25, "laue_group": 0.5},
        "4": {"materials": 1, "point_group": 1.0, "laue_group": 1.0},
    }


def outputs_of(pattern: list[float], confidence: float) -> Outputs:
    count = len(pattern)
    said = np.tile(saying(AUSTENITE, confidence, "cI"), (count, 1)).astype(np.float32)
    said[:, POINT_GROUPS.index("m-3m")] = said[:, POINT_GROUPS.index("6/mmm")] = 0.0
    said[:, 32:] = -40.0
    said[:, 32 + BRAVAIS_LATTICES.index("cF")] = math.log(confidence)
    said[:, 32 + BRAVAIS_LATTICES.index("hP")] = math.log(1 - confidence)
    return Outputs(said, np.zeros(count), np.array(pattern, dtype=np.float32))


def test_other_frames_are_told_by_the_score_for_it(classifier):
    data = scores_of((AUSTENITE, [saying(AUSTENITE)] * 3), (QUARTZ, [saying(QUARTZ)]))
    data = replace(data, pattern=np.array([0.9, 0.9, 0.3, 0.9], dtype=np.float32))
    disturbed = {"noise": outputs_of([0.1, 0.2], 0.9), "overlap": outputs_of([0.5, 0.1], 0.9)}
    assert "pattern_score" not in summarise(classifier, data)
    found = summarise(classifier, data, disturbed=disturbed)["pattern_score"]
    assert found["score"] == "pattern probability"
    assert found["frames"] == 4
    # A third of the first material's patterns lies below one of the two overlaps.
    expected = {"noise": 1.0, "overlap": 1 - 0.5 * (1 / 3) * 0.5}
    assert found["auroc"] == pytest.approx({**expected, "together": (1 + expected["overlap"]) / 2})
    assert "kept" not in found

    card = {**classifier.card, "pattern_threshold": 0.4}
    found = summarise(Classifier(classifier.network, card, "cpu"), data, disturbed=disturbed)
    assert found["pattern_score"]["threshold"] == 0.4
    assert found["pattern_score"]["kept"] == pytest.approx(1 - 0.5 / 3)
    assert found["pattern_score"]["rejected"] == 0.75
    # What is held for no pattern gets no label.
    assert found["decision"]["labelled"] == pytest.approx(1 - 0.5 / 3)


def test_a_network_without_that_score_tells_by_its_largest_probability(classifier):
    data = scores_of((AUSTENITE, [saying(AUSTENITE)] * 3))
    disturbed = {"noise": outputs_of([1.0] * 3, 0.6), "blank": outputs_of([1.0], 0.7)}
    found = summarise(classifier, data, disturbed=disturbed)["pattern_score"]
    assert found["score"] == "largest class probability"
    assert found["auroc"] == {"noise": 1.0, "blank": 1.0, "together": 1.0}


def test_the_prior_decides_what_can_be_named(classifier):
    data = scores_of((QUARTZ, [saying(QUARTZ)] * 2), (AUSTENITE, [saying(AUSTENITE)] * 2))
    assert summarise(classifier, data, "m-3m")["point_group"]["accuracy"] == 0.5
    assert summarise(classifier, data, "32")["point_group"]["accuracy"] == 0.5
    as_table = summarise(classifier, data, parse_prior("m-3m"))
    assert as_table == summarise(classifier, data, "m-3m")


def test_a_summary_is_plain_json(classifier):
    result = summarise(
        classifier, scores_of((QUARTZ, [saying(QUARTZ)] * 2), (AUSTENITE, [saying(FERRITE)]))
    )
    assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_sets_are_counted_one_by_one(classifier):
    data = scores_of(
        (ZINC_BLENDE, [saying(AUSTENITE)] * 3 + [saying(ZINC_BLENDE)] * 2),
        (QUARTZ, [saying(MAGNESIUM)]),
    )
    assert right_by_set(classifier, data) == {
        "material 0": {
            "patterns": 5, "point_group": 2, "laue_group": 5, "crystal_system": 5,
            "bravais_lattice": 5,
        },
        "material 1": {
            "patterns": 1, "point_group": 0, "laue_group": 0, "crystal_system": 0,
            "bravais_lattice": 1,
        },
    }  # fmt: skip
