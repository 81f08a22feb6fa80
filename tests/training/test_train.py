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
from napari_ebsd_phase.training.train import PatternStream, TrainingSettings, pair_scores, train

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
    architecture=Architecture(widths=(8, 16), blocks=(1, 1)),
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


def test_some_thousand_patterns_of_two_materials_teach_which_classes_there_are(stack, tmp_path):
    settings = replace(TINY, patterns=32 * 100, batch_size=32, group=16, warmup=10)
    reports = []
    network = run(
        tmp_path, stack, settings, log_every=20, report=lambda *values: reports.append(values)
    )

    losses = [float(row["loss"]) for row in log(tmp_path)]
    assert losses[0] < math.log(66) + 1
    assert losses[-1] < 2.0 < math.log(66)
    assert losses == sorted(losses, reverse=True)
    assert [r[0] for r in reports] == [20, 40, 60, 80, 100]
    assert {r[1] for r in reports} == {100}
    assert [r[2] for r in reports] == pytest.approx(losses, abs=1e-4)

    fresh = PatternStream(stack, MATERIALS, replace(settings, seed=99))
    inputs, labels = fresh.batch(0)
    with torch.no_grad():
        scores = pair_scores(network(inputs))
    shown = sorted(set(labels.tolist()))
    assert len(shown) == 2
    assert float(scores.softmax(dim=1)[:, shown].sum(dim=1).mean()) > 0.5


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
    assert settings["architecture"]["widths"] == [8, 16]
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


def test_the_checkpoint_of_another_network_is_refused(stack, begun):
    other = replace(TINY, architecture=Architecture(widths=(8, 24), blocks=(1, 1)))
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
    for number, (inputs, _) in enumerate(stream.batches(3, 9, workers), start=3):
        assert torch.equal(inputs, stream.batch(number)[0])
    assert number == 8


def test_inputs_and_labels_are_what_the_network_takes(stack):
    inputs, labels = PatternStream(stack, MATERIALS, TINY).batch(0)
    assert inputs.shape == (16, 1, 32, 32)
    assert inputs.dtype == torch.float32
    assert torch.isfinite(inputs).all()
    names = {(POINT_GROUPS[p], BRAVAIS_LATTICES[b]) for p, b in PAIRS[labels.numpy()]}
    assert names == {("6/mmm", "hP"), ("m-3m", "cF")}


@pytest.mark.parametrize(("balance", "share"), [(0.0, 0.5), (1.0, 0.1), (0.5, 0.25)])
def test_the_balance_says_how_much_a_rare_class_is_shown(stack, balance, share):
    many = [Material(f"Ni{k}_225", "Ni", "m-3m", "cF", (1,)) for k in range(9)]
    settings = replace(TINY, balance=balance, batch_size=2000, group=2000)
    stream = PatternStream(stack, [MATERIALS[0], *many], settings)

    prior = stream.training_prior()

    assert prior.shape == (32, 14)
    assert prior.sum() == pytest.approx(1)
    pair = (POINT_GROUPS.index("6/mmm"), BRAVAIS_LATTICES.index("hP"))
    assert prior[pair] == pytest.approx(share)
    assert stream.material_frequency.sum() == pytest.approx(1)
    _, labels = stream.batch(0)
    shown = (labels == PAIRS.tolist().index(list(pair))).float().mean()
    assert float(shown) == pytest.approx(share, abs=0.05)


def test_pair_scores_are_sums_of_both_outputs():
    scores = torch.randn(3, 46)
    result = pair_scores(scores)
    assert result.shape == (3, 66)
    for k, (group, lattice) in enumerate(PAIRS):
        torch.testing.assert_close(result[:, k], scores[:, group] + scores[:, 32 + lattice])
