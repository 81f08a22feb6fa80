# SPDX-License-Identifier: GPL-3.0-or-later
"""Evaluation: its numbers, figure and tables, and the card of a finished network."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from napari_ebsd_phase.classifier import Classifier
from napari_ebsd_phase.crystallography import LEVELS
from napari_ebsd_phase.errors import InputError
from napari_ebsd_phase.loading import load_classifier
from napari_ebsd_phase.network import Architecture, SymmetryNet
from napari_ebsd_phase.preprocessing import Preprocessing
from napari_ebsd_phase.training.calibration import best_temperature, decision_threshold
from napari_ebsd_phase.training.evaluate import CAMERAS, evaluate, evaluate_materials
from napari_ebsd_phase.training.figure import draw_evaluation
from napari_ebsd_phase.training.finish import calibration_scores, finish
from napari_ebsd_phase.training.library import MasterLibrary
from napari_ebsd_phase.training.materials import Material
from napari_ebsd_phase.training.pattern_simulation import TRAINING
from napari_ebsd_phase.training.report import format_evaluation
from napari_ebsd_phase.training.settings import TrainingSettings
from napari_ebsd_phase.training.structures import known_structures

LIBRARY = Path(__file__).parents[2] / "data" / "master_patterns.h5"
SILICON = Path(str(files("napari_ebsd_phase").joinpath("samples", "silicon")))
MATERIALS = {
    "train": [
        Material("Ni1_225", "Ni", "m-3m", "cF", (1,)),
        Material("Mg1_194", "Mg", "6/mmm", "hP", (0,)),
    ],
    "calibration": [Material("O2Ti1_136", "TiO2", "4/mmm", "tP", (2,))],
    "test": [Material("W1_229", "W", "m-3m", "cI", (3,))],
}
# Rutile takes the part of a material that another simulator did.
EVERYTHING = {**MATERIALS, "simulator": [Material("O2Ti1_136", "TiO2", "4/mmm", "tP", (2,))]}
SIMULATORS = ["de-ebsd", "de-ebsd", "EMsoft", "de-ebsd"]
SETTINGS = TrainingSettings(
    patterns=1000,
    batch_size=20,
    architecture=Architecture(view="pixels", widths=(4, 8), blocks=(1, 1)),
    preprocessing=Preprocessing(size=32),
)


@pytest.fixture(scope="module")
def stack() -> np.ndarray:
    wanted = ["Mg_magnesium", "Ni_nickel", "TiO2_rutile", "W_tungsten"]
    with MasterLibrary.open(LIBRARY) as library:
        keys = [record.key for record in library.index]
        return np.stack([library.data(keys.index(f"emsoft_{name}_20kV")) for name in wanted])


def network() -> SymmetryNet:
    torch.manual_seed(2)
    result = SymmetryNet(SETTINGS.architecture)
    with torch.no_grad():
        for parameter in result.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return result


def finished(stack: np.ndarray, materials: Mapping[str, Any], **options: Any) -> Classifier:
    return finish(
        network(), stack, materials, SETTINGS, name="tiny", steps=50, patterns=4, **options
    )


@pytest.fixture(scope="module")
def classifier(stack: np.ndarray) -> Classifier:
    return finished(stack, MATERIALS, provenance={"hours": 0.5, "library": {"patterns": 4}})


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("measured")
    pictures = sorted(p.name for p in SILICON.glob("*.png"))
    for name in pictures:
        shutil.copy(SILICON / name, folder)
    with (folder / "index.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["set", "file", "point_group", "bravais_lattice"])
        writer.writerows(["silicon", name, "m-3m", "cF"] for name in pictures)
    return folder


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("evaluation") / "new" / "folder"


@pytest.fixture(scope="module")
def result(classifier: Classifier, stack: np.ndarray, measured: Path, out: Path) -> dict[str, Any]:
    return evaluate(
        classifier, stack, EVERYTHING, out, measured=measured, patterns=4, simulators=SIMULATORS
    )


# Numbers.


def test_seen_unseen_other_simulator_and_measured_are_kept_apart(result, classifier):
    assert result["network"] == "tiny"
    assert result["network_sha256"] == classifier.sha256
    assert result["prior"] == "known"
    assert result["patterns_per_material"] == 4
    assert (result["development"], result["trained_on_known"]) == (False, True)
    for test, count in (("seen", 2), ("unseen", 1), ("simulator", 1)):
        assert list(result[test]) == ["good", "fast", "poor"]
        for summary in result[test].values():
            assert (summary["materials"], summary["patterns"]) == (count, 4 * count)
            assert set(LEVELS) < set(summary)
            assert summary["pattern_score"]["frames"] == 4 * 16
    assert list(result["simulator"]["good"]["bravais_lattice"]["recall"]) == ["tP"]
    assert list(result["unseen"]["good"]["bravais_lattice"]["recall"]) == ["cI"]
    assert result["measured"]["patterns"] == 3
    assert result["measured"]["by_set"]["silicon"]["patterns"] == 3


@pytest.mark.usefixtures("result")
def test_the_folder_has_the_numbers_and_the_figure_only(out):
    assert sorted(p.name for p in out.iterdir()) == ["evaluation.json", "evaluation.png"]


def test_the_numbers_are_read_back_as_they_were(result, out):
    text = (out / "evaluation.json").read_text(encoding="utf-8")
    assert json.loads(text) == result
    assert "NaN" not in text


def test_calibration_materials_take_no_part(classifier, stack):
    titles = []
    evaluate_materials(
        classifier, stack, MATERIALS, patterns=2, progress=lambda *args: titles.append(args)
    )
    cameras = [c for c in CAMERAS for _ in range(2)]
    assert titles[:6] == [
        (f"seen materials, {c} camera", 1 + i % 2, 2) for i, c in enumerate(cameras)
    ]
    assert titles[6:] == [(f"unseen materials, {c} camera", 1, 1) for c in CAMERAS]


def test_a_development_run_tests_calibration_materials_and_no_others(classifier, stack, tmp_path):
    titles = set()
    result = evaluate(
        classifier, stack, EVERYTHING, tmp_path, patterns=2, simulators=None, development=True,
        progress=lambda title, *_: titles.add(title.split(",")[0]),
    )  # fmt: skip
    assert titles == {"seen materials", "calibration materials"}
    assert result["development"]
    assert not {"unseen", "simulator"} & set(result)
    assert "final tests were left alone" in format_evaluation(result)


def test_a_card_without_a_list_calls_nothing_seen(classifier, stack, tmp_path):
    training = {k: v for k, v in classifier.card["training"].items() if k != "trained_on"}
    other = Classifier(classifier.network, {**classifier.card, "training": training}, "cpu")
    result = evaluate(other, stack, MATERIALS, tmp_path, patterns=2)
    assert not {"seen", "unseen"} & set(result)
    assert result["unknown"]["fast"]["materials"] == 1
    text = format_evaluation(result)
    assert "Seen materials: unknown" in text
    assert {row[0].split(",")[0] for row in table_rows(text)} == {"materials"}


def test_the_bundled_network_knows_nickel_and_is_less_sure_of_noise(stack):
    bundled = load_classifier(device="cpu")
    card = {**bundled.card, "training": {"trained_on": ["Ni1_225"]}}
    nickel = Classifier(bundled.network, card, "cpu")
    good = {"good": CAMERAS["good"]}
    found = evaluate_materials(nickel, stack, MATERIALS, patterns=3, cameras=good)
    assert list(found) == ["seen", "unseen"]
    assert found["seen"]["good"]["laue_group"]["accuracy"] == 1.0
    assert found["seen"]["good"]["pattern_score"]["auroc"]["noise"] > 0.8


def test_a_split_without_materials_is_not_tested(classifier, stack, tmp_path):
    only = {"train": MATERIALS["train"], "calibration": [], "test": []}
    result = evaluate(classifier, stack, only, tmp_path, patterns=2)
    assert not {"unseen", "simulator", "measured"} & set(result)
    assert {row[0].split(",")[0] for row in table_rows(format_evaluation(result))} == {
        "seen materials"
    }
    assert (tmp_path / "evaluation.png").exists()


def test_a_material_that_came_into_the_library_later_is_not_seen(classifier, stack):
    newcomer = Material("W1_999", "W", "m-3m", "cI", (3,))
    grown = {**MATERIALS, "train": [*MATERIALS["train"], newcomer]}
    found = evaluate_materials(
        classifier, stack, grown, patterns=2, cameras={"fast": CAMERAS["fast"]}
    )
    assert found["seen"]["fast"]["materials"] == len(MATERIALS["train"])


def test_measured_pictures_alone_are_enough(classifier, stack, measured, tmp_path):
    result = evaluate(classifier, stack, {}, tmp_path, measured=measured)
    assert not {"seen", "unseen", "simulator"} & set(result)
    rows = table_rows(format_evaluation(result))
    assert rows[0][:2] == ["measured sets", "1"]
    assert rows[-2][:2] == ["silicon", "3"]
    assert (tmp_path / "evaluation.png").exists()


def test_nothing_to_test_on_is_refused(classifier, stack, tmp_path):
    with pytest.raises(InputError, match="nothing to test on"):
        evaluate(classifier, stack, {"calibration": MATERIALS["calibration"]}, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_wrong_folder_of_pictures_is_refused_before_the_long_work(classifier, stack, tmp_path):
    calls = []
    with pytest.raises(InputError, match=r"index\.csv"):
        evaluate(
            classifier, stack, MATERIALS, tmp_path / "out", measured=tmp_path,
            progress=lambda *args: calls.append(args),
        )  # fmt: skip
    assert calls == []
    assert not (tmp_path / "out").exists()


# Figure.


@pytest.mark.usefixtures("result")
def test_the_figure_is_a_picture_of_some_size_with_something_on_it(out):
    with Image.open(out / "evaluation.png") as picture:
        assert picture.format == "PNG"
        width, height = picture.size
        colours = picture.convert("RGB").getcolors(2**24)
    assert 1200 <= width <= 2400
    assert 800 <= height <= 1800
    assert len(colours) > 50


def test_an_accuracy_in_the_last_digit_outside_its_interval_can_be_drawn(result, tmp_path):
    # As the mean of equal values may be: 0.1 + 0.1 + 0.1 is not 0.3.
    changed = json.loads(json.dumps(result))
    level = changed["seen"]["good"]["laue_group"]
    level["accuracy"] = 0.1
    level["interval"] = [float(np.nextafter(0.1, 1)), float(np.nextafter(0.1, 1))]
    level = changed["unseen"]["good"]["bravais_lattice"]
    level["accuracy"] = 0.1
    level["interval"] = [float(np.nextafter(0.1, 0)), float(np.nextafter(0.1, 0))]
    draw_evaluation(changed, tmp_path / "figure.png")
    assert [p.name for p in tmp_path.iterdir()] == ["figure.png"]


# Tables.


def tables(text: str) -> list[tuple[str, list[str], list[list[str]]]]:
    """Caption, head and rows of every Markdown table in a text."""
    found = []
    lines = text.splitlines()
    for i, line in enumerate(lines):
        if line.startswith("| ---"):
            head = [cell.strip() for cell in lines[i - 1].strip("|").split("|")]
            assert line.count("---") == len(head)
            assert lines[i - 2] == ""
            rows = []
            for row in lines[i + 1 :]:
                if not row.startswith("|"):
                    break
                rows.append([cell.strip() for cell in row.strip("|").split("|")])
                assert len(rows[-1]) == len(head)
            found.append((lines[i - 3], head, rows))
    return found


def table_rows(text: str) -> list[list[str]]:
    """Cells of the rows of all tables in a text."""
    return [row for _, _, rows in tables(text) for row in rows]


def percents(cell: str) -> list[float]:
    """Numbers of a cell like "70.1 % (60.0 to 80.0)"."""
    for word in ("(", ")", "to ", "% ", "%"):
        cell = cell.replace(word, "")
    return [float(number) for number in cell.split()]


def test_every_table_states_the_prior_and_the_number_of_materials(result):
    text = format_evaluation(result)
    assert result["network_sha256"][:12] in text.splitlines()[0]
    found = tables(text)
    assert len(found) == 7
    for caption, head, _ in found:
        assert "class prior: known (frequencies of the structure library)." in caption
        assert "materials" in head or "pictures" in head


def test_the_tables_say_what_the_numbers_say(result):
    single, pooled, errors, labels, within, frames, measured = tables(format_evaluation(result))
    cases = [
        (f"{title}, {camera} camera", result[test][camera])
        for test, title in (
            ("seen", "seen materials"), ("unseen", "unseen materials"),
            ("simulator", "other simulator"),
        )
        for camera in CAMERAS
    ]  # fmt: skip
    for (_, _, rows), value, interval in (
        (single, "accuracy", "interval"), (pooled, "pooled", "pooled_interval")
    ):  # fmt: skip
        for row, (title, summary) in zip(rows, cases, strict=True):
            assert row[:2] == [title, str(summary["materials"])]
            for cell, level in zip(row[2:], LEVELS, strict=True):
                expected = [summary[level][value], *summary[level][interval]]
                assert percents(cell) == [round(100 * v, 1) for v in expected]
    cases.append(("measured sets", result["measured"]))
    for (title, summary), error, label, gain in zip(
        cases, errors[2], labels[2], within[2], strict=True
    ):
        assert title == error[0] == label[0] == gain[0]
        assert error[2:] == [f"{summary[level]['ece']:.3f}" for level in LEVELS]
        assert percents(label[2]) == [round(100 * summary["labelled"]["share"], 1)]
        assert percents(label[7]) == [round(100 * summary["decision"]["right"], 1)]
        assert gain[1] == str(summary["point_group_within_laue"]["materials"])
    for row, (title, summary) in zip(frames[2], cases, strict=False):
        assert row[0] == title
        assert row[7] == f"{summary['pattern_score']['auroc']['together']:.3f}"
    by_set = result["measured"]["by_set"]["silicon"]
    assert [row[:2] for row in measured[2]] == [["silicon", "3"], ["mean over 1 sets", "3"]]
    assert measured[2][0][2:] == [str(by_set[level]) for level in LEVELS]
    assert [percents(cell) for cell in measured[2][1][2:]] == [
        [round(100 * by_set[level] / 3, 1)] for level in LEVELS
    ]


def test_rare_point_groups_have_a_table_with_each_camera(classifier, stack):
    rare = {"train": [Material("Ni1_225", "Ni", "-6", "hP", (1,))]}
    result = {
        "network": "tiny", "network_sha256": "0" * 64, "prior": "uniform", "development": False,
        "patterns_per_material": 2, "trained_on_known": True,
        **evaluate_materials(classifier, stack, rare, patterns=2, prior="uniform"),
    }  # fmt: skip
    caption, head, rows = tables(format_evaluation(result))[-1]
    assert "Rare point groups" in caption
    assert "class prior: uniform." in caption
    assert head[3:] == [f"{level}, {c}" for level in ("point group", "Laue group") for c in CAMERAS]
    assert [row[:3] for row in rows] == [["-6", "seen materials", "1"]]
    shares = [result["seen"][c]["rare_groups"]["-6"]["laue_group"] for c in CAMERAS]
    assert [percents(cell) for cell in rows[0][6:]] == [[round(100 * v, 1)] for v in shares]


# The finished network.


def test_a_finished_network_is_saved_and_loaded_with_its_card(classifier, tmp_path):
    path = classifier.save(tmp_path / "network")
    loaded = load_classifier(path, device="cpu", precision="float32")
    assert loaded.card == json.loads(json.dumps(classifier.card, allow_nan=False))
    frames = np.random.default_rng(0).integers(0, 255, (3, 40, 50)).astype(np.uint8)
    np.testing.assert_array_equal(loaded.scores(frames)[0], classifier.scores(frames)[0])


def test_the_card_says_how_the_network_was_trained(classifier):
    card = classifier.card
    training = card["training"]
    assert card["name"] == "tiny"
    assert (training["steps"], training["patterns"]) == (50, 1000)
    assert training["materials"] == {"train": 2, "calibration": 1, "test": 1}
    assert training["hours"] == 0.5
    assert training["library"] == {"patterns": 4}
    assert training["settings"]["patterns"] == 1000
    assert training["camera"]["noise"] == TRAINING.noise
    prior = np.array(card["training_prior"])
    assert prior.sum() == pytest.approx(1, abs=1e-4)
    assert (prior > 0).sum() == 2
    assert np.array_equal(card["known_structures"], known_structures())


@pytest.mark.parametrize(("development", "held_out"), [(True, "calibration"), (False, "unseen")])
def test_the_card_holds_the_tests_of_seen_and_held_out_materials(stack, development, held_out):
    metrics = finished(stack, MATERIALS, development=development).card["metrics"]
    assert list(metrics) == ["seen", held_out]
    for test, count in (("seen", 2), (held_out, 1)):
        assert list(metrics[test]) == list(CAMERAS)
        assert metrics[test]["fast"]["materials"] == count
        assert metrics[test]["fast"]["patterns"] == 4 * count


def test_temperature_and_threshold_come_from_the_calibration_materials(stack, classifier):
    titles = []
    train = MATERIALS["train"]
    without = finished(
        stack, {"train": train, "calibration": [], "test": []},
        progress=lambda title, *_: titles.append(title),
    )  # fmt: skip
    assert (without.card["temperature"], without.card["threshold"]) == (1.0, 0.5)
    assert set(without.card["metrics"]) == {"seen"}
    assert set(titles) == {f"seen materials, {camera} camera" for camera in CAMERAS}
    assert 0.5 <= classifier.card["temperature"] <= 8.0
    assert classifier.card["temperature"] != 1.0
    data = calibration_scores(classifier, stack, MATERIALS, patterns=2 * 4)
    unseen = data.of_groups(len(MATERIALS["calibration"]))
    assert set(unseen.groups) == {"O2Ti1_136"}
    assert classifier.card["temperature"] == best_temperature(classifier, unseen)
    assert classifier.threshold == decision_threshold(
        classifier, data, classifier.card["temperature"]
    )
    assert 0.5 <= classifier.threshold <= 0.95


def test_calibration_weighs_seen_and_unseen_materials_alike(classifier, stack):
    train = MATERIALS["train"] * 3
    unseen = MATERIALS["calibration"]
    for count, held_out in ((1, unseen), (3, unseen * 3), (6, unseen * 9)):
        data = calibration_scores(
            classifier, stack, {"train": train, "calibration": held_out}, patterns=2
        )
        assert data is not None
        assert data.groups[: len(held_out)] == ("O2Ti1_136",) * len(held_out)
        assert len(data.groups) == len(held_out) + count
        assert set(data.groups[len(held_out) :]) <= {"Ni1_225", "Mg1_194"}
        assert np.bincount(data.material).tolist() == [2] * len(data.groups)
    assert calibration_scores(classifier, stack, {"train": train}, patterns=2) is None


def test_known_structures_are_counted_where_a_lattice_goes_with_a_group():
    table = known_structures()
    assert table.shape == (32, 14)
    assert table.sum() > 1000
    assert (table.sum(axis=1) > 0).all()
    assert (table.sum(axis=0) > 0).all()


# The card as people read it.


def test_the_card_has_its_tables_on_one_line_a_row(classifier, tmp_path):
    path = classifier.save(tmp_path / "network")
    text = path.with_suffix(".json").read_text(encoding="utf-8")
    lines = text.splitlines()
    assert max(len(line) for line in lines) < 400
    assert not [line for line in lines if line.strip().rstrip(",").replace(".", "").isdigit()]
    assert ' "name": "tiny",' in lines
    assert '  "widths": [4, 8],' in lines
    start = lines.index(' "known_structures": [')
    rows = [json.loads(line.strip().rstrip(",")) for line in lines[start + 1 : start + 33]]
    assert rows == classifier.card["known_structures"]
    assert lines[start + 33] == " ],"
    assert len(text) < len(json.dumps(classifier.card, indent=1))


def test_any_card_comes_back_as_it_was(stack, classifier, tmp_path):
    other = Classifier(classifier.network, dict(classifier.card), "cpu")
    strange = {
        'a "quoted" key, ü': "a text with [1,\n 2] and {braces}, Å and \\",
        "empty": [{}, [], "", None, True],
        "nested": [[[1, 2], [3.5e-20, -0.0]], {"x": [{"y": (1, 2)}]}],
        "words": ["a, b", "c"],
    }
    other.card["metrics"] = strange
    loaded = load_classifier(other.save(tmp_path / "strange"), device="cpu")
    assert loaded.card["metrics"] == json.loads(json.dumps(strange))
