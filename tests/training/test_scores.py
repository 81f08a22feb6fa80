# SPDX-License-Identifier: GPL-3.0-or-later
"""Scores of simulated and measured patterns carry the right truth, and can be drawn again."""

from __future__ import annotations

import csv
import shutil
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from napari_ebsd_phase.card import make_card
from napari_ebsd_phase.classifier import Classifier
from napari_ebsd_phase.crystallography import (
    BRAVAIS_LATTICES,
    COMPATIBLE,
    CRYSTAL_SYSTEMS,
    LAUE_GROUPS,
    LEVELS,
    POINT_GROUPS,
    crystal_system,
    laue_group,
    level_index,
    marginal,
    names,
)
from napari_ebsd_phase.decoding import best_pair, parse_prior
from napari_ebsd_phase.errors import InputError
from napari_ebsd_phase.labels import DECISION_LEVELS
from napari_ebsd_phase.network import Architecture, SymmetryNet
from napari_ebsd_phase.preprocessing import Preprocessing
from napari_ebsd_phase.screen import find_screen
from napari_ebsd_phase.training.disturbances import DISTURBANCES
from napari_ebsd_phase.training.library import MasterLibrary
from napari_ebsd_phase.training.materials import Material
from napari_ebsd_phase.training.pattern_simulation import FAST, GOOD
from napari_ebsd_phase.training.scores import (
    Scores,
    decided,
    draw_disturbed,
    draw_scores,
    level_probabilities,
    measured_scores,
    reported,
)

LIBRARY = Path(__file__).parents[2] / "data" / "master_patterns.h5"
SILICON = Path(str(files("napari_ebsd_phase").joinpath("samples", "silicon")))
PICTURES = ["silicon_01.png", "silicon_02.png", "silicon_03.png"]
MATERIALS = [
    Material("Ni1_225", "Ni", "m-3m", "cF", (1, 2)),
    Material("Mg1_194", "Mg", "6/mmm", "hP", (0,)),
    Material("W1_229", "W", "m-3m", "cI", (3,)),
]


@pytest.fixture(scope="module")
def stack() -> np.ndarray:
    wanted = ["Mg_magnesium_20kV", "Ni_nickel_15kV", "Ni_nickel_20kV", "W_tungsten_20kV"]
    with MasterLibrary.open(LIBRARY) as library:
        keys = [record.key for record in library.index]
        return np.stack([library.data(keys.index(f"emsoft_{name}")) for name in wanted])


def classifier_with(outputs: int) -> Classifier:
    torch.manual_seed(0)
    network = SymmetryNet(
        Architecture(view="pixels", widths=(4, 8), blocks=(1, 1), outputs=outputs)
    )
    prior = parse_prior("uniform").tolist()
    card = make_card(
        "small",
        network,
        preprocessing=Preprocessing(size=32).to_dict(),
        training_prior=prior,
        known_structures=prior,
        temperature=1.0,
        threshold=0.5,
        training={},
        metrics={},
        licence="GPL-3.0-or-later",
        version="0.1.0",
    )
    return Classifier(network, card, "cpu")


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return classifier_with(47)


# Levels.


def test_every_point_group_has_its_class_at_every_level():
    for i, group in enumerate(POINT_GROUPS):
        assert level_index("point_group")[i] == i
        assert LAUE_GROUPS[level_index("laue_group")[i]] == laue_group(group)
        assert CRYSTAL_SYSTEMS[level_index("crystal_system")[i]] == crystal_system(group)


@pytest.mark.parametrize("level", LEVELS)
def test_probabilities_of_a_level_are_sums_over_its_point_groups(level):
    rng = np.random.default_rng(0)
    point = rng.dirichlet(np.ones(32), 5)
    lattice = rng.dirichlet(np.ones(14), 5)
    result = level_probabilities(point, lattice, level)
    assert result.shape == (5, len(names(level)))
    if level == "bravais_lattice":
        np.testing.assert_array_equal(result, lattice)
        return
    expected = np.zeros_like(result)
    for i in range(32):
        expected[:, level_index(level)[i]] += point[:, i]
    np.testing.assert_allclose(result, expected)


def test_the_truth_at_a_level_follows_from_point_group_and_lattice():
    groups = [POINT_GROUPS.index(g) for g in ("-43m", "32", "2/m")]
    lattices = [BRAVAIS_LATTICES.index(b) for b in ("cF", "hP", "mS")]
    data = Scores(np.zeros((3, 46)), np.arange(3), np.array(groups), np.array(lattices), ("a",) * 3)
    named = {level: [names(level)[i] for i in data.truth(level)] for level in LEVELS}
    assert named == {
        "point_group": ["-43m", "32", "2/m"],
        "laue_group": ["m-3m", "-3m", "2/m"],
        "crystal_system": ["cubic", "trigonal", "monoclinic"],
        "bravais_lattice": ["cF", "hP", "mS"],
    }


# What is reported.


def random_probabilities(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of point groups and lattices as a joint decision gives them."""
    rng = np.random.default_rng(seed)
    joint = rng.gamma(0.1, size=(count, *COMPATIBLE.shape)) * COMPATIBLE
    joint /= joint.sum(axis=(1, 2), keepdims=True)
    return joint.sum(axis=2), joint.sum(axis=1)


def test_the_names_of_a_report_never_contradict_each_other():
    point, lattice = random_probabilities(500)
    named = {level: reported(point, lattice, level)[0] for level in LEVELS}
    assert COMPATIBLE[named["point_group"], named["bravais_lattice"]].all()
    for level in ("laue_group", "crystal_system"):
        np.testing.assert_array_equal(named[level], level_index(level)[named["point_group"]])
    # Which the most probable name of each level does, now and then.
    apart = marginal(point, "laue_group").argmax(axis=1)
    assert (apart != level_index("laue_group")[point.argmax(axis=1)]).any()


def test_a_report_gets_the_most_names_right_that_can_be_expected():
    point, lattice = random_probabilities(60, seed=1)
    pairs = np.argwhere(COMPATIBLE)
    expected = sum(
        level_probabilities(point, lattice, level)[:, level_index(level)[pairs[:, 0]]]
        for level in ("point_group", "laue_group", "crystal_system")
    )
    expected = expected + lattice[:, pairs[:, 1]]
    group, bravais = best_pair(point, lattice)
    for i in range(60):
        chosen = np.flatnonzero((pairs == (group[i], bravais[i])).all(axis=1))
        assert expected[i, chosen[0]] == pytest.approx(expected[i].max())


def test_three_weak_votes_for_a_laue_group_outweigh_one_for_a_point_group():
    point, lattice = np.zeros((1, 32)), np.zeros((1, 14))
    for name, share in (("m-3m", 0.3), ("432", 0.2), ("-43m", 0.15), ("6/mmm", 0.35)):
        point[0, POINT_GROUPS.index(name)] = share
    lattice[0, BRAVAIS_LATTICES.index("cF")], lattice[0, BRAVAIS_LATTICES.index("hP")] = 0.65, 0.35
    assert names("point_group")[reported(point, lattice, "point_group")[0][0]] == "m-3m"
    laue, probability = reported(point, lattice, "laue_group")
    assert LAUE_GROUPS[laue[0]] == "m-3m"
    assert probability[0] == pytest.approx(0.65)


def test_the_finest_level_that_is_sure_enough_gives_the_label():
    point, lattice = np.zeros((1, 32)), np.zeros((1, 14))
    for name, share in (("m-3m", 0.5), ("432", 0.3), ("m-3", 0.15), ("6/mmm", 0.05)):
        point[0, POINT_GROUPS.index(name)] = share
    lattice[0, BRAVAIS_LATTICES.index("cP")] = 1.0
    levels = [int(decided(point, lattice, t)[0]) for t in (0.45, 0.6, 0.9, 0.96)]
    assert levels == [0, 1, 2, 3]
    assert DECISION_LEVELS == ("point_group", "laue_group", "crystal_system")


# Simulated patterns.


def test_every_material_gives_the_same_number_of_patterns_with_its_truth(classifier, stack):
    seen = []
    data = draw_scores(
        classifier, stack, MATERIALS, GOOD, patterns=19, progress=lambda *n: seen.append(n)
    )
    assert data.scores.shape == (57, 46)
    assert data.scores.dtype == np.float32
    assert np.isfinite(data.scores).all()
    assert data.groups == ("Ni1_225", "Mg1_194", "W1_229")
    np.testing.assert_array_equal(data.material, np.repeat([0, 1, 2], 19))
    for i, material in enumerate(MATERIALS):
        inside = data.material == i
        assert {POINT_GROUPS[p] for p in data.point_group[inside]} == {material.point_group}
        assert {BRAVAIS_LATTICES[b] for b in data.bravais_lattice[inside]} == {material.bravais}
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert len(np.unique(data.scores, axis=0)) == 57


def test_the_same_seed_draws_the_same_patterns_and_another_does_not(classifier, stack):
    first = draw_scores(classifier, stack, MATERIALS, FAST, patterns=6, seed=4)
    again = draw_scores(classifier, stack, MATERIALS, FAST, patterns=6, seed=4)
    other = draw_scores(classifier, stack, MATERIALS, FAST, patterns=6, seed=5)
    camera = draw_scores(classifier, stack, MATERIALS, GOOD, patterns=6, seed=4)
    np.testing.assert_array_equal(first.scores, again.scores)
    assert not np.isclose(first.scores, other.scores).all(axis=1).any()
    assert not np.isclose(first.scores, camera.scores).all(axis=1).any()


def test_patterns_of_a_material_do_not_depend_on_what_else_is_tested(classifier, stack):
    everything = draw_scores(classifier, stack, MATERIALS, FAST, patterns=4)
    alone = draw_scores(classifier, stack, MATERIALS[2:], FAST, patterns=4)
    np.testing.assert_array_equal(alone.scores, everything.scores[8:])


def test_only_a_network_that_tells_patterns_gives_the_score_for_it(classifier, stack):
    data = draw_scores(classifier, stack, MATERIALS, FAST, patterns=3)
    assert data.pattern.shape == (9,)
    assert ((data.pattern > 0) & (data.pattern < 1)).all()
    old = classifier_with(46)
    assert draw_scores(old, stack, MATERIALS, FAST, patterns=3).pattern is None


def test_frames_that_hold_no_pattern_are_scored_by_kind_and_can_be_drawn_again(classifier, stack):
    found = draw_disturbed(classifier, stack, MATERIALS, GOOD, frames=5)
    assert list(found) == list(DISTURBANCES)
    for outputs in found.values():
        assert outputs.scores.shape == (5, 46)
        assert outputs.pattern.shape == (5,)
    again = draw_disturbed(classifier, stack, MATERIALS, GOOD, frames=5)
    for kind in DISTURBANCES:
        np.testing.assert_array_equal(found[kind].scores, again[kind].scores)
    assert len({outputs.scores.tobytes() for outputs in found.values()}) == 4


# Measured patterns.


def write_index(folder: Path, rows: list[dict[str, str]], encoding: str = "utf-8") -> None:
    with (folder / "index.csv").open("w", encoding=encoding, newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def silicon_rows(**changes: str) -> list[dict[str, str]]:
    facts = {"point_group": "m-3m", "bravais_lattice": "cF", "licence": "CC BY 4.0"}
    rows = [{"set": "near", "file": name, **facts} for name in PICTURES]
    rows[0]["set"] = "far"
    rows[1].update(changes)
    return rows


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in PICTURES:
        shutil.copy(SILICON / name, tmp_path)
    return tmp_path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_measured_pictures_are_scored_in_the_order_of_their_index(classifier, folder, encoding):
    write_index(folder, silicon_rows(), encoding)
    data = measured_scores(classifier, folder)
    assert data.groups == ("far", "near")
    assert data.material.tolist() == [0, 1, 1]
    assert {POINT_GROUPS[p] for p in data.point_group} == {"m-3m"}
    assert {BRAVAIS_LATTICES[b] for b in data.bravais_lattice} == {"cF"}
    assert data.pattern.shape == (3,)
    for name, scores in zip(PICTURES, data.scores, strict=True):
        frame = np.asarray(Image.open(folder / name))[None]
        expected = classifier.scores(frame, mask=find_screen(frame))[0][0]
        np.testing.assert_allclose(scores, expected, atol=1e-5)


def test_pictures_may_differ_in_size(classifier, folder):
    write_index(folder, silicon_rows())
    path = folder / PICTURES[2]
    Image.open(path).resize((200, 150)).save(path)
    assert measured_scores(classifier, folder).scores.shape == (3, 46)


def assert_refused(classifier: Classifier, folder: Path, *words: str) -> None:
    with pytest.raises(InputError) as error:
        measured_scores(classifier, folder)
    message = str(error.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def test_a_folder_without_an_index_is_refused(classifier, folder):
    assert_refused(classifier, folder, "index.csv")
    assert_refused(classifier, folder / "absent", "index.csv")


@pytest.mark.parametrize("column", ["set", "file", "point_group", "bravais_lattice"])
def test_an_index_without_a_column_is_refused(classifier, folder, column):
    write_index(folder, [{k: v for k, v in r.items() if k != column} for r in silicon_rows()])
    assert_refused(classifier, folder, "columns", column)


@pytest.mark.parametrize("text", ["", "set,file,point_group,bravais_lattice\n"])
def test_an_index_without_rows_is_refused(classifier, folder, text):
    (folder / "index.csv").write_text(text, encoding="utf-8")
    assert_refused(classifier, folder, "columns", "row")


@pytest.mark.parametrize(
    "changes",
    [{"point_group": "m3m"}, {"point_group": ""}, {"bravais_lattice": "fcc"}],
)
def test_an_unknown_class_is_refused(classifier, folder, changes):
    write_index(folder, silicon_rows(**changes))
    assert_refused(classifier, folder, "unknown", PICTURES[1])


@pytest.mark.parametrize("column", ["set", "file"])
def test_a_row_without_a_set_or_a_file_is_refused(classifier, folder, column):
    write_index(folder, silicon_rows(**{column: ""}))
    assert_refused(classifier, folder, "row 2")


def test_a_row_that_ends_early_is_refused(classifier, folder):
    text = "point_group,bravais_lattice,file,set\nm-3m,cF,silicon_01.png,a\nm-3m,cF\n"
    (folder / "index.csv").write_text(text, encoding="utf-8")
    assert_refused(classifier, folder, "row 2")


def test_an_index_that_is_no_text_is_refused(classifier, folder):
    shutil.copy(SILICON / PICTURES[0], folder / "index.csv")
    assert_refused(classifier, folder, "index.csv", "UTF-8")


def test_a_picture_that_is_missing_is_refused(classifier, folder):
    write_index(folder, silicon_rows(file="silicon_09.png"))
    assert_refused(classifier, folder, "silicon_09.png")
