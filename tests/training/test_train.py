# SPDX-License-Identifier: GPL-3.0-or-later
"""Training learns, can be killed at any time, and goes on where it was."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from napari_ebsd_phase.crystallography import BRAVAIS_LATTICES, POINT_GROUPS
from napari_ebsd_phase.decoding import PAIRS
from napari_ebsd_phase.errors import InputError
from napari_ebsd_phase.network import Architecture, SymmetryNet
from napari_ebsd_phase.preprocessing import Preprocessing
from napari_ebsd_phase.training.library import MasterLibrary
from napari_ebsd_phase.training.materials import Material
from napari_ebsd_phase.training.pattern_simulation import GOOD, POOR, Camera
from napari_ebsd_phase.training.pattern_stream import PatternStream
from napari_ebsd_phase.training.settings import TrainingSettings
from napari_ebsd_phase.training.structures import find_structures
from napari_ebsd_phase.training.train import (
    pair_scores,
    train,
    training_loss,
)

LIBRARY = Path(__file__).parents[2] / "data" / "master_patterns.h5"
CHECKPOINT = "checkpoint.safetensors"
COLUMNS = [
    "step",
    "patterns",
    "loss",
    "learning_rate",
    "patterns_per_s",
    "calibration_laue",
    "calibration_lattice",
]
TINY = TrainingSettings(
    patterns=16 * 12,
    batch_size=16,
    group=8,
    warmup=3,
    averaging=0.9,
    seed=3,
    architecture=Architecture(widths=(8, 16), blocks=(1, 1), offsets=32, angles=24),
    preprocessing=Preprocessing(size=32),
)


@pytest.fixture(scope="module")
def stack() -> np.ndarray:
    wanted = {f"emsoft_{name}_20kV" for name in ("Ni_nickel", "Mg_magnesium", "W_tungsten")}
    with MasterLibrary.open(LIBRARY) as library:
        found = [i for i, record in enumerate(library.index) if record.key in wanted]
        assert [library.index[i].formula for i in found] == ["Mg", "Ni", "W"]
        return np.stack([library.data(i) for i in found])


MATERIALS = [
    Material("Mg1_194", "Mg", "6/mmm", "hP", (0,)),
    Material("Ni1_225", "Ni", "m-3m", "cF", (1,)),
]


def run(
    folder: Path,
    stack: np.ndarray,
    settings: TrainingSettings = TINY,
    materials: Sequence[Material] = MATERIALS,
    **options,
) -> SymmetryNet:
    options = {"threads": 1, "log_every": 1, **options}
    return train(folder, stack, {"train": materials, "calibration": materials}, settings, **options)


def log(folder: Path) -> list[dict[str, str]]:
    with open(folder / "log.csv", encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def assert_same(one: SymmetryNet, two: SymmetryNet) -> None:
    a, b = one.state_dict(), two.state_dict()
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name


# Learning.


@pytest.mark.parametrize("view", ["lines", "pixels"])
def test_some_thousand_patterns_of_two_materials_teach_which_classes_there_are(
    stack, tmp_path, view
):
    settings = replace(
        TINY,
        patterns=32 * 100,
        batch_size=32,
        group=16,
        warmup=10,
        disturbed=0.3,
        architecture=replace(TINY.architecture, view=view),
    )
    reports = []
    network = run(
        tmp_path, stack, settings, log_every=20, report=lambda *values: reports.append(values)
    )

    losses = [float(row["loss"]) for row in log(tmp_path)]
    assert losses[0] < math.log(66) + math.log(2) + 1
    assert losses[-1] < 2.0 < losses[0]
    assert [r[0] for r in reports] == [20, 40, 60, 80, 100]
    assert {r[1] for r in reports} == {100}
    assert [r[2] for r in reports] == pytest.approx(losses, abs=1e-4)

    fresh = PatternStream(stack, MATERIALS, replace(settings, seed=99, disturbed=0.0))
    inputs, labels = fresh.batch(0)
    with torch.no_grad():
        outputs = network(inputs)
    shown = sorted(set(labels.tolist()))
    assert len(shown) == 2
    assert float(pair_scores(outputs).softmax(dim=1)[:, shown].sum(dim=1).mean()) > 0.5

    # It has also learned something about what is a pattern and what is none.
    empty = PatternStream(stack, MATERIALS, replace(settings, seed=99, disturbed=1.0))
    with torch.no_grad():
        nothing = network(torch.cat([empty.batch(number)[0] for number in range(4)]))
    assert float(outputs[:, 46].mean()) > float(nothing[:, 46].mean())


def test_the_last_row_of_the_log_has_the_calibration_materials(stack, tmp_path):
    run(tmp_path, stack, check_every=5)
    rows = log(tmp_path)
    assert list(rows[0]) == COLUMNS
    assert [int(row["step"]) for row in rows] == list(range(1, 13))
    assert [int(row["patterns"]) for row in rows] == [16 * k for k in range(1, 13)]
    checked = [int(row["step"]) for row in rows if row["calibration_laue"] != "nan"]
    assert checked == [5, 10, 12]
    for row in rows:
        assert math.isfinite(float(row["loss"]))
        assert float(row["patterns_per_s"]) > 0
    rates = [float(row["learning_rate"]) for row in rows]
    assert max(rates) <= TINY.learning_rate
    assert rates[0] < max(rates)
    assert rates[-1] < 0.1 * max(rates)


def test_a_run_without_calibration_materials_works(stack, tmp_path):
    network = train(tmp_path, stack, {"train": MATERIALS}, TINY, threads=1, log_every=6)
    assert not network.training
    assert [row["calibration_laue"] for row in log(tmp_path)] == ["nan", "nan"]


def test_the_folder_says_what_the_run_is(stack, tmp_path):
    folder = tmp_path / "new" / "run"
    run(folder, stack)
    settings = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
    assert settings["seed"] == 3
    assert settings["architecture"] == TINY.architecture.to_dict() | {
        "widths": [8, 16],
        "blocks": [1, 1],
    }
    assert settings["kinds"] == TINY.kinds
    assert settings["preprocessing"] == TINY.preprocessing.to_dict()
    assert settings["materials"] == {"train": 2, "calibration": 2}
    assert {p.name for p in folder.iterdir()} == {"settings.json", "log.csv", CHECKPOINT}


# Interruption.


@pytest.fixture(scope="module")
def uninterrupted(stack, tmp_path_factory) -> SymmetryNet:
    return run(tmp_path_factory.mktemp("whole"), stack)


def test_the_same_run_gives_the_same_network(stack, tmp_path, uninterrupted):
    assert_same(run(tmp_path, stack), uninterrupted)


@pytest.mark.parametrize("workers", [2, 3])
def test_the_number_of_workers_does_not_matter(stack, tmp_path, uninterrupted, workers):
    assert_same(run(tmp_path, stack, workers=workers), uninterrupted)


def test_another_seed_gives_another_network(stack, tmp_path, uninterrupted):
    other = run(tmp_path, stack, replace(TINY, seed=4))
    assert not torch.equal(other.head.weight, uninterrupted.head.weight)


@pytest.mark.parametrize("stops", [(1,), (5,), (11,), (2, 3, 9)])
def test_a_cancelled_run_goes_on_as_if_nothing_had_been(stack, tmp_path, uninterrupted, stops):
    done = 0
    for stop in stops:
        asked = iter(range(done + 1, 100))
        run(tmp_path, stack, cancelled=lambda stop=stop, asked=asked: next(asked) >= stop)
        done = stop
        assert int(log(tmp_path)[-1]["step"]) == stop

    assert_same(run(tmp_path, stack), uninterrupted)
    assert [int(row["step"]) for row in log(tmp_path)] == list(range(1, 13))


class Killed(BaseException):
    """What ends a process in the middle of its work."""


@pytest.mark.parametrize("at", [1, 2, 8])
def test_a_killed_run_goes_on_from_its_checkpoint(stack, tmp_path, uninterrupted, at):
    def kill(step: int, *_: float) -> None:
        if step == at:
            raise Killed

    with pytest.raises(Killed):
        run(tmp_path, stack, checkpoint_every=0.0, report=kill)
    assert (tmp_path / CHECKPOINT).exists() == (at > 1)

    assert_same(run(tmp_path, stack, checkpoint_every=0.0), uninterrupted)


def test_starting_a_finished_run_again_changes_nothing(stack, tmp_path, uninterrupted):
    run(tmp_path, stack)
    before = (tmp_path / CHECKPOINT).read_bytes()
    assert_same(run(tmp_path, stack), uninterrupted)
    assert (tmp_path / CHECKPOINT).read_bytes() == before
    assert len(log(tmp_path)) == 12


def test_a_finished_run_can_be_made_longer(stack, tmp_path):
    run(tmp_path, stack)
    run(tmp_path, stack, replace(TINY, patterns=16 * 15))
    assert [int(row["step"]) for row in log(tmp_path)] == list(range(1, 16))


def test_an_unfinished_write_of_a_checkpoint_does_no_harm(stack, tmp_path, uninterrupted):
    asked = iter(range(1, 100))
    run(tmp_path, stack, cancelled=lambda: next(asked) >= 4)
    (tmp_path / f"{CHECKPOINT}.part").write_bytes(b"half")
    assert_same(run(tmp_path, stack), uninterrupted)


# What does not fit is refused.


@pytest.fixture
def begun(stack, tmp_path) -> Path:
    run(tmp_path, stack, cancelled=lambda: True)
    return tmp_path


def test_fewer_patterns_than_were_trained_on_are_refused(stack, tmp_path):
    """Its card would say that the weights saw less than they did."""
    run(tmp_path, stack)
    with pytest.raises(InputError, match="more than"):
        run(tmp_path, stack, replace(TINY, patterns=TINY.batch_size))


@pytest.mark.parametrize("change", [{"widths": (8, 24)}, {"view": "pixels"}, {"outputs": 46}])
def test_the_checkpoint_of_another_network_is_refused(stack, begun, change):
    other = replace(TINY, architecture=replace(TINY.architecture, **change))
    before = (begun / CHECKPOINT).read_bytes()
    with pytest.raises(InputError, match="another architecture"):
        run(begun, stack, other)
    assert (begun / CHECKPOINT).read_bytes() == before


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) // 2],
        lambda content: content[:5],
        lambda content: b"",
        lambda content: b"\xff" * 200,
        lambda content: b"PK\x03\x04 a pickle in a zip",
    ],
)
def test_a_damaged_checkpoint_is_refused_in_one_line(stack, begun, damage):
    path = begun / CHECKPOINT
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match="delete it to start over") as error:
        run(begun, stack)
    assert "\n" not in str(error.value)


def test_a_checkpoint_without_all_its_tensors_is_refused(stack, begun):
    path = begun / CHECKPOINT
    with safe_open(path, framework="pt") as stream:
        metadata = stream.metadata()
    tensors = load_file(path)
    del tensors["average.head.bias"]
    save_file(tensors, path, metadata)
    with pytest.raises(InputError, match="no whole checkpoint"):
        run(begun, stack)


def test_a_run_without_materials_is_refused(stack, tmp_path):
    with pytest.raises(InputError, match="no materials"):
        run(tmp_path, stack, materials=[])


def test_an_error_in_a_worker_is_raised_and_not_waited_for(stack):
    stream = PatternStream(stack, MATERIALS, TINY)
    stream.materials = [object(), object()]
    with pytest.raises(AttributeError, match="masters"):
        list(stream.batches(0, 6, 2))


# The stream of patterns.


def test_a_batch_depends_on_the_seed_and_its_number_only(stack):
    stream = PatternStream(stack, MATERIALS, TINY)
    inputs, labels = stream.batch(7)
    stream.batch(2)
    again, labels_again = PatternStream(stack, MATERIALS, TINY).batch(7)
    assert torch.equal(inputs, again)
    assert torch.equal(labels, labels_again)
    assert not torch.equal(inputs, stream.batch(8)[0])
    other = PatternStream(stack, MATERIALS, replace(TINY, seed=1)).batch(7)[0]
    assert not torch.equal(inputs, other)


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_batches_come_in_order_whoever_makes_them(stack, workers):
    stream = PatternStream(stack, MATERIALS, TINY)
    for number, (inputs, *_) in enumerate(stream.batches(3, 9, workers), start=3):
        assert torch.equal(inputs, stream.batch(number)[0])
    assert number == 8


def test_inputs_and_labels_are_what_the_network_takes(stack):
    inputs, labels = PatternStream(stack, MATERIALS, replace(TINY, disturbed=0.0)).batch(0)
    assert inputs.shape == (16, 1, 32, 32)
    assert inputs.dtype == torch.float32
    assert torch.isfinite(inputs).all()
    names = {(POINT_GROUPS[p], BRAVAIS_LATTICES[b]) for p, b in PAIRS[labels.numpy()]}
    assert names == {("6/mmm", "hP"), ("m-3m", "cF")}


def known(point_group: str, bravais: str) -> int:
    return len(find_structures(point_group=point_group, bravais=bravais))


@pytest.mark.parametrize("balance", [0.0, 0.5, 1.0])
def test_the_balance_says_how_much_a_rare_class_is_shown(stack, balance):
    """By how many such structures are known, not by how many are in the library."""
    many = [Material(f"Ni{k}_225", "Ni", "m-3m", "cF", (1,)) for k in range(9)]
    settings = replace(TINY, balance=balance, batch_size=1000, group=1000, disturbed=0.0)
    stream = PatternStream(stack, [MATERIALS[0], *many], settings)
    hexagonal, cubic = known("6/mmm", "hP") ** balance, known("m-3m", "cF") ** balance
    share = hexagonal / (hexagonal + cubic)

    prior = stream.training_prior()

    assert prior.shape == (32, 14)
    assert prior.sum() == pytest.approx(1)
    pair = (POINT_GROUPS.index("6/mmm"), BRAVAIS_LATTICES.index("hP"))
    assert prior[pair] == pytest.approx(share)
    assert stream.material_frequency.sum() == pytest.approx(1)
    _, labels = stream.batch(0)
    shown = (labels == PAIRS.tolist().index(list(pair))).float().mean()
    assert float(shown) == pytest.approx(share, abs=0.05)


def test_a_class_that_no_known_structure_has_is_shown_too(stack):
    pairs = [(POINT_GROUPS[p], BRAVAIS_LATTICES[b]) for p, b in PAIRS]
    empty = [pair for pair in pairs if known(*pair) == 0]
    rare = Material("r000001", "Ni", *(empty[0] if empty else ("-6", "hP")), (1,), "random")
    stream = PatternStream(stack, [*MATERIALS, rare], replace(TINY, balance=1.0))
    assert 0 < stream.material_frequency[2] < stream.material_frequency[:2].min()


# Kinds of materials.


def materials_of(**counts: int) -> list[Material]:
    """Nickel so often of each kind."""
    return [
        Material(f"{kind}{k}", "Ni", "m-3m", "cF", (1,), kind)
        for kind, count in counts.items()
        for k in range(count)
    ]


def shares(materials: Sequence[Material], stack: np.ndarray, kinds: dict) -> dict[str, float]:
    stream = PatternStream(stack, materials, replace(TINY, kinds=kinds))
    found: dict[str, float] = {}
    for material, frequency in zip(materials, stream.material_frequency, strict=True):
        found[material.kind] = found.get(material.kind, 0.0) + float(frequency)
    return found


def test_kinds_have_their_shares_however_many_materials_they_have(stack):
    wanted = {"dynamical": 0.3, "table": 0.1, "derived": 0.2, "random": 0.4}
    assert shares(
        materials_of(dynamical=1, table=3, derived=50, random=7), stack, wanted
    ) == pytest.approx(wanted)


def test_what_a_kind_lacks_goes_to_the_others(stack):
    wanted = {"dynamical": 0.3, "table": 0.1, "derived": 0.2, "random": 0.4}
    assert shares(materials_of(table=2, random=5), stack, wanted) == pytest.approx(
        {"table": 0.2, "random": 0.8}
    )
    hexagonal = Material("Mg1_194", "Mg", "6/mmm", "hP", (0,), "random")
    settings = replace(TINY, kinds={"dynamical": 1.0}, balance=0.0)
    stream = PatternStream(stack, [*materials_of(dynamical=3, table=5), hexagonal], settings)
    # Within nickel's class only its dynamical patterns, but the other class is not lost.
    assert stream.material_frequency.tolist() == pytest.approx([1 / 6] * 3 + [0.0] * 5 + [0.5])


# Frames that hold no single pattern.


def test_frames_without_a_single_pattern_have_no_class(stack):
    inputs, labels = PatternStream(stack, MATERIALS, replace(TINY, disturbed=1.0)).batch(0)
    assert set(labels.tolist()) == {-1}
    assert inputs.isfinite().all()
    _, labels = PatternStream(stack, MATERIALS, replace(TINY, disturbed=0.0)).batch(0)
    assert (labels >= 0).all()


def test_groups_are_disturbed_as_often_as_was_asked(stack):
    settings = replace(TINY, disturbed=0.5, batch_size=200, group=4)
    _, labels = PatternStream(stack, MATERIALS, settings).batch(0)
    groups = labels.numpy().reshape(50, 4) < 0
    assert (groups == groups[:, :1]).all()
    assert 0.3 < groups[:, 0].mean() < 0.7


def test_a_run_of_nothing_but_disturbed_frames_has_a_loss(stack, tmp_path):
    run(tmp_path, stack, replace(TINY, disturbed=1.0, patterns=16 * 4), checkpoint_every=0.0)
    assert all(math.isfinite(float(row["loss"])) for row in log(tmp_path))


def test_the_first_patterns_are_clean_whatever_the_camera(stack):
    """Symmetry is learned where it is seen; the conditions of the camera come in by and by."""
    settings = replace(TINY, easy=0.5, disturbed=0.0)
    streams = [PatternStream(stack, MATERIALS, settings) for _ in range(2)]
    streams[1].camera = POOR
    assert torch.equal(*(stream.batch(0)[0] for stream in streams))
    assert not torch.equal(*(stream.batch(settings.steps)[0] for stream in streams))


def test_without_a_clean_beginning_the_camera_is_the_one_asked_for(stack):
    """As in the checks between, which must mean the same from the first to the last."""

    def first(easy: float, camera: Camera) -> torch.Tensor:
        settings = replace(TINY, easy=easy, disturbed=0.0)
        return PatternStream(stack, MATERIALS, settings, camera).batch(0)[0]

    assert torch.equal(first(0.0, GOOD), first(1.0, POOR))
    assert not torch.equal(first(0.0, POOR), first(1.0, POOR))


def test_where_a_camera_sees_more_symmetry_either_label_is_given(stack):
    looks = Material("X1_216", "X", "-43m", "cF", (1,), "dynamical", ("m-3m", "cF"))
    settings = replace(TINY, batch_size=400, group=400, disturbed=0.0)
    stream = PatternStream(stack, [looks], settings)
    _, labels = stream.batch(0)
    names = [tuple(POINT_GROUPS[p] for p in PAIRS[labels.numpy(), 0])]
    assert set(names[0]) == {"-43m", "m-3m"}
    assert 0.4 < np.mean([name == "m-3m" for name in names[0]]) < 0.6
    assert stream.training_prior()[POINT_GROUPS.index("-43m")].sum() == pytest.approx(1)


# Scores and loss.


@pytest.mark.parametrize("outputs", [46, 47])
def test_pair_scores_are_sums_of_both_outputs(outputs):
    scores = torch.randn(3, outputs)
    result = pair_scores(scores)
    assert result.shape == (3, 66)
    for k, (group, lattice) in enumerate(PAIRS):
        torch.testing.assert_close(result[:, k], scores[:, group] + scores[:, 32 + lattice])


def test_the_loss_of_classes_is_a_mean_over_patterns_that_have_one():
    scores, labels = torch.randn(6, 46), torch.tensor([3, -1, 60, -1, -1, 0])
    single = labels >= 0
    expected = torch.nn.functional.cross_entropy(pair_scores(scores[single]), labels[single])
    torch.testing.assert_close(training_loss(scores, labels), expected)


def test_the_loss_of_the_pattern_score_is_added_if_there_is_one():
    scores, labels = torch.randn(6, 47), torch.tensor([3, -1, 60, -1, -1, 0])
    odds = scores[:, 46]
    right = torch.where(labels >= 0, torch.sigmoid(odds), torch.sigmoid(-odds))
    expected = training_loss(scores[:, :46], labels) - right.log().mean()
    torch.testing.assert_close(training_loss(scores, labels), expected)


def test_the_loss_without_any_class_teaches_the_pattern_score_alone():
    scores = torch.randn(5, 47, requires_grad=True)
    training_loss(scores, torch.full((5,), -1)).backward()
    assert scores.grad is not None
    assert not scores.grad[:, :46].any()
    assert (scores.grad[:, 46] > 0).all()
