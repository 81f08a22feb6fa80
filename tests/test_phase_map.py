# SPDX-License-Identifier: GPL-3.0-or-later
"""What a map says follows from its probabilities."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from napari_ebsd_phase.crystallography import (
    BRAVAIS_LATTICES,
    CRYSTAL_SYSTEMS,
    LAUE_GROUPS,
    LEVELS,
    POINT_GROUPS,
    UNDECIDED_COLOR,
    laue_group,
)
from napari_ebsd_phase.errors import InputError
from napari_ebsd_phase.labels import SummaryRow, label_table
from napari_ebsd_phase.phase_map import PhaseMap


def distribution(names: tuple[str, ...], **shares: float) -> np.ndarray:
    """Return probabilities with the given shares; the rest is spread evenly over the others."""
    others = [name for name in names if name not in shares]
    rest = (1 - sum(shares.values())) / len(others)
    return np.array([shares.get(name, rest) for name in names])


def one_row(*pixels: dict[str, float], lattices: str = "cF", **attributes: object) -> PhaseMap:
    """Return a map of one row from the shares of point groups of each pixel."""
    lattice_names = lattices.split() * (len(pixels) if " " not in lattices else 1)
    return PhaseMap(
        np.array([[distribution(POINT_GROUPS, **shares) for shares in pixels]]),
        np.array([[distribution(BRAVAIS_LATTICES, **{name: 0.9}) for name in lattice_names]]),
        np.full((1, len(pixels)), 0.7),
        **attributes,
    )


@pytest.fixture
def random_map() -> PhaseMap:
    random = np.random.default_rng(3)
    return PhaseMap(
        random.dirichlet(np.full(32, 0.1), (9, 11)),
        random.dirichlet(np.full(14, 0.1), (9, 11)),
        random.uniform(size=(9, 11)),
    )


@pytest.mark.parametrize("level", LEVELS)
def test_probabilities_of_every_level_sum_to_one(random_map: PhaseMap, level: str) -> None:
    probabilities = random_map.probabilities(level)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=-1), 1, atol=1e-5)


def test_a_laue_group_is_as_probable_as_its_point_groups_together(random_map: PhaseMap) -> None:
    members = [i for i, name in enumerate(POINT_GROUPS) if laue_group(name) == "6/mmm"]
    np.testing.assert_allclose(
        random_map.probabilities("laue_group")[..., LAUE_GROUPS.index("6/mmm")],
        random_map.point_group_probabilities[..., members].sum(axis=-1),
        rtol=1e-5,
    )


def test_the_most_probable_names_are_given_as_text() -> None:
    phase_map = one_row({"m-3m": 0.9}, {"32": 0.8}, lattices="cF hR")
    assert phase_map.point_group.tolist() == [["m-3m", "32"]]
    assert phase_map.laue_group.tolist() == [["m-3m", "-3m"]]
    assert phase_map.crystal_system.tolist() == [["cubic", "trigonal"]]
    assert phase_map.bravais_lattice.tolist() == [["cF", "hR"]]


def test_the_label_falls_back_to_the_level_that_the_evidence_carries() -> None:
    phase_map = one_row(
        {"m-3m": 0.8},
        {"m-3m": 0.4, "432": 0.4},
        {"m-3m": 0.4, "m-3": 0.4},
        {"m-3m": 0.3, "6/mmm": 0.3},
        threshold=0.7,
    )
    assert phase_map.label.tolist() == [["m-3m", "m-3m", "cubic", ""]]
    assert phase_map.level.tolist() == [["point_group", "laue_group", "crystal_system", "none"]]


def test_a_probability_equal_to_the_threshold_is_enough() -> None:
    phase_map = one_row({"m-3m": 0.75}, threshold=0.75)
    assert phase_map.level.tolist() == [["point_group"]]


def test_a_frame_that_is_hardly_a_pattern_is_not_named() -> None:
    sure, doubtful = {"m-3m": 0.99}, {"m-3m": 0.99}
    phase_map = one_row(sure, doubtful, quality_threshold=0.5)
    phase_map.pattern_quality[0, 1] = 0.49
    assert phase_map.label.tolist() == [["m-3m", ""]]
    assert phase_map.level.tolist() == [["point_group", "none"]]
    assert phase_map.crop(slice(0, 1), slice(1, 2)).label.tolist() == [[""]]


def test_a_quality_threshold_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match="quality threshold"):
        one_row({"m-3m": 0.9}, quality_threshold=1.5)


def test_a_lower_threshold_gives_finer_levels(random_map: PhaseMap) -> None:
    order = ["point_group", "laue_group", "crystal_system", "none"]

    def fineness(threshold: float) -> np.ndarray:
        return np.vectorize(order.index)(random_map.decide(threshold)[1])

    assert (fineness(0.4) <= fineness(0.7)).all()
    assert (fineness(0.4) < fineness(0.7)).any()
    assert (fineness(0.0) == 0).all()


def test_the_label_is_the_most_probable_name_of_its_level(random_map: PhaseMap) -> None:
    label, level = random_map.decide()
    for name in ("point_group", "laue_group", "crystal_system"):
        here = level == name
        assert here.any()
        assert (label[here] == getattr(random_map, name)[here]).all()
        assert (random_map.probabilities(name).max(axis=-1)[here] >= 0.5).all()


def test_codes_of_labels_are_fixed_and_fit_a_byte() -> None:
    table = label_table()
    assert [label.code for label in table] == list(range(1, 51))
    assert [label.name for label in table] == [*POINT_GROUPS, *LAUE_GROUPS, *CRYSTAL_SYSTEMS]
    assert len({label.title for label in table}) == 50
    assert UNDECIDED_COLOR not in {label.color for label in table}


def test_codes_agree_with_the_names(random_map: PhaseMap) -> None:
    codes, probability = random_map.label_codes()
    names = {label.code: (label.name, label.level) for label in label_table()} | {0: ("", "none")}
    pairs = zip(*(array.ravel().tolist() for array in random_map.decide()), strict=True)
    assert [names[code] for code in codes.ravel().tolist()] == list(pairs)
    assert (probability[codes > 0] >= 0.5).all()
    assert (probability[codes == 0] < 0.5).all()


def test_the_summary_counts_labels_and_names_their_commonest_lattice() -> None:
    phase_map = one_row(
        {"m-3m": 0.9},
        {"m-3m": 0.7},
        {"m-3m": 0.8},
        {"1": 0.1},
        {"6/mmm": 0.9},
        lattices="cF cI cI aP hP",
    )
    assert phase_map.summary() == [
        SummaryRow("m-3m", "point_group", 0.6, 3, pytest.approx(0.8), "cI"),
        SummaryRow("6/mmm", "point_group", 0.2, 1, pytest.approx(0.9), "hP"),
        SummaryRow("", "none", 0.2, 1, pytest.approx(0.1 + 0.9 / 31), "aP"),
    ]


def test_names_of_all_levels_go_together(random_map: PhaseMap) -> None:
    """The largest of each level apart would contradict each other in some of these pixels."""
    assert (random_map.laue_group == np.vectorize(laue_group)(random_map.point_group)).all()
    apart = random_map.probabilities("laue_group").argmax(axis=-1)
    assert (np.array(LAUE_GROUPS)[apart] != random_map.laue_group).any()


def test_shares_of_the_summary_are_those_of_the_classified_patterns() -> None:
    phase_map = PhaseMap.empty((2, 2))
    done = one_row({"m-3m": 0.9}, {"4/mmm": 0.9})
    phase_map.fill(
        slice(0, 1),
        slice(0, 2),
        done.point_group_probabilities,
        done.bravais_probabilities,
        done.pattern_quality,
    )
    rows = phase_map.summary()
    assert {row.label: (row.fraction, row.count) for row in rows} == {
        "m-3m": (0.5, 1),
        "4/mmm": (0.5, 1),
    }
    assert PhaseMap.empty((2, 2)).summary() == []


def test_what_is_not_done_has_no_names() -> None:
    phase_map = PhaseMap.empty((2, 3), units="um")
    phase_map.fill(
        slice(1, 2),
        slice(0, 1),
        distribution(POINT_GROUPS, **{"432": 0.9}),
        distribution(BRAVAIS_LATTICES, cP=0.9),
        0.5,
    )
    expected = np.full((2, 3), "", dtype="U5")
    expected[1, 0] = "432"
    np.testing.assert_array_equal(phase_map.point_group, expected)
    np.testing.assert_array_equal(phase_map.label, expected)
    assert phase_map.bravais_lattice[1, 0] == "cP"
    assert (phase_map.bravais_lattice == "").sum() == 5
    assert (phase_map.level == "none").sum() == 5
    assert np.isnan(phase_map.probabilities("laue_group")).sum() == 5 * 11


def test_patterns_with_a_quality_count_as_done_when_nothing_else_is_said() -> None:
    phase_map = PhaseMap(
        np.full((1, 2, 32), 1 / 32), np.full((1, 2, 14), 1 / 14), np.array([[0.5, np.nan]])
    )
    assert phase_map.done.tolist() == [[True, False]]


def test_sources_are_named_for_one_file_and_for_many() -> None:
    assert PhaseMap.empty((2, 3), sources=["a.h5"]).source_name(1, 2) == "a.h5"
    many = PhaseMap.empty((2, 3), sources=list("abcdef"))
    assert many.source_name(1, 0) == "d"
    assert many.crop(slice(1, 2), slice(1, 3)).sources == ["e", "f"]


def test_a_part_of_a_map_says_the_same_as_the_whole(random_map: PhaseMap) -> None:
    part = random_map.crop(slice(2, 5), slice(4, 11))
    assert part.shape == (3, 7)
    np.testing.assert_array_equal(part.label, random_map.label[2:5, 4:11])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bravais_probabilities": np.zeros((2, 3, 13))}, "bravais_probabilities has shape"),
        ({"point_group_probabilities": np.zeros((2, 3, 31))}, "point_group_probabilities has"),
        ({"done": np.zeros((3, 2), bool)}, "done has shape"),
        ({"pattern_quality": np.zeros(6)}, "rows and columns"),
        ({"step": (0.0, 1.0)}, "step must be positive"),
        ({"threshold": 60}, "threshold is a probability"),
        ({"sources": ["a", "b"]}, "2 sources for 6 patterns"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(change: dict[str, object], message: str) -> None:
    arrays: dict[str, object] = {
        "point_group_probabilities": np.full((2, 3, 32), 1 / 32),
        "bravais_probabilities": np.full((2, 3, 14), 1 / 14),
        "pattern_quality": np.zeros((2, 3)),
    }
    with pytest.raises(ValueError, match=message):
        PhaseMap(**(arrays | change))


def test_provenance_that_cannot_be_saved_is_refused_at_once() -> None:
    with pytest.raises(TypeError, match="JSON"):
        PhaseMap.empty((1, 1), provenance={"scan": object()})


def test_maps_are_equal_when_they_hold_the_same(random_map: PhaseMap) -> None:
    def copy(**changes: object) -> PhaseMap:
        names = ("point_group_probabilities", "bravais_probabilities", "pattern_quality", "done")
        return PhaseMap(**({name: getattr(random_map, name).copy() for name in names} | changes))

    assert copy() == random_map
    assert PhaseMap.empty((2, 2)) == PhaseMap.empty((2, 2))
    assert copy(threshold=0.6) != random_map
    assert copy(done=np.zeros((9, 11), bool)) != random_map
    assert copy(provenance={"network": "other"}) != random_map
    assert random_map != "a map"


def test_an_unknown_level_is_refused(random_map: PhaseMap) -> None:
    with pytest.raises(InputError, match="space_group"):
        random_map.probabilities("space_group")


def test_the_repr_tells_size_step_and_progress() -> None:
    phase_map = PhaseMap.empty((4, 5), step=(0.5, 0.5), units="um")
    phase_map.done[0] = True
    assert repr(phase_map) == "PhaseMap(4 x 5, step 0.5 x 0.5 um, 5 of 20 patterns classified)"


def test_a_map_is_used_without_torch_napari_or_a_reader_of_patterns() -> None:
    code = (
        "import sys; from napari_ebsd_phase.phase_map import PhaseMap; "
        "PhaseMap.empty((2, 2)).summary(); "
        "print(sorted({'torch', 'napari', 'qtpy', 'kikuchipy', 'orix', 'matplotlib'}"
        " & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
