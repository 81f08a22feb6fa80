# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of a training run: what is given, what a file says, what the run before had."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from napari_ebsd_phase._cli.settings import settings_of
from napari_ebsd_phase.cli import build_parser, main
from napari_ebsd_phase.errors import InputError
from napari_ebsd_phase.network import Architecture
from napari_ebsd_phase.preprocessing import Preprocessing
from napari_ebsd_phase.training.band_library import BandLibrarySettings
from napari_ebsd_phase.training.settings import TrainingSettings

TRIAL = TrainingSettings(
    patterns=5000,
    group=8,
    matrix_learning_rate=0.01,
    balance=0.25,
    kinds={"dynamical": 1.0, "random": 0.5},
    train_on=("train", "simulator"),
    architecture=Architecture(widths=(8, 16, 32), blocks=(1, 1, 2), view="pixels"),
    preprocessing=Preprocessing(size=96),
)


def settings(folder: Path, *words: str) -> TrainingSettings:
    args = build_parser().parse_args(["train", "--library", "x.h5", "-o", str(folder), *words])
    return settings_of(folder, args)


def write(path: Path, values: Any) -> str:
    path.write_text(json.dumps(values), encoding="utf-8")
    return str(path)


def written(path: Path, trial: TrainingSettings) -> str:
    """A file as a run writes it, with the number of its materials."""
    return write(path, {**asdict(trial), "materials": {"train": 400, "calibration": 30}})


def test_nothing_given_means_the_defaults(tmp_path):
    assert settings(tmp_path) == TrainingSettings()


def test_options_are_settings(tmp_path):
    words = "--patterns 1000 --batch-size 32 --learning-rate 0.1 --weight-decay 0.5 --seed 0"
    assert settings(tmp_path, *words.split()) == TrainingSettings(
        patterns=1000, batch_size=32, learning_rate=0.1, weight_decay=0.5, seed=0
    )


def test_the_network_is_given_by_lists(tmp_path):
    found = settings(tmp_path, "--widths", "8, 16", "--blocks", "1,3", "--view", "pixels")
    assert found.architecture == Architecture(widths=(8, 16), blocks=(1, 3), view="pixels")
    assert settings(tmp_path, "--view", "pixels").architecture == Architecture(view="pixels")


def test_the_splits_to_train_on_are_given_by_a_list(tmp_path):
    assert settings(tmp_path, "--train-on", "train, simulator").train_on == ("train", "simulator")


def test_the_settings_of_another_run_are_taken_whole(tmp_path):
    path = written(tmp_path / "trial.json", TRIAL)
    assert settings(tmp_path / "run", "--settings", path) == TRIAL


def test_options_come_on_top_of_a_file(tmp_path):
    path = written(tmp_path / "trial.json", TRIAL)
    found = settings(tmp_path, "--settings", path, "--seed", "7", "--blocks", "2,2,2")
    deeper = replace(TRIAL.architecture, blocks=(2, 2, 2))
    assert found == replace(TRIAL, seed=7, architecture=deeper)


def test_a_file_may_say_only_what_differs(tmp_path):
    path = write(tmp_path / "trial.json", {"disturbed": 0, "kinds": {"table": 1}})
    assert settings(tmp_path, "--settings", path) == TrainingSettings(
        disturbed=0.0, kinds={"table": 1}
    )


def test_a_run_that_goes_on_has_the_settings_it_had(tmp_path):
    written(tmp_path / "settings.json", TRIAL)
    assert settings(tmp_path) == TRIAL
    assert settings(tmp_path, "--patterns", "9000") == replace(TRIAL, patterns=9000)
    other = write(tmp_path / "other.json", {"seed": 4})
    assert settings(tmp_path, "--settings", other) == TrainingSettings(seed=4)


def test_a_run_from_before_there_was_a_choice_had_a_network_of_pixels(tmp_path):
    old = {"architecture": {"widths": [24, 48, 96], "blocks": [1, 2, 3], "outputs": 46}}
    path = write(tmp_path / "old.json", old)
    assert settings(tmp_path, "--settings", path).architecture.view == "pixels"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([1, 2], "holds no settings"),
        ({"paterns": 5}, "paterns"),
        ({"patterns": "many"}, "patterns"),
        ({"patterns": 0}, "patterns"),
        ({"patterns": 1e6}, "patterns"),
        ({"batch_size": True}, "batch_size"),
        ({"seed": -1}, "seed"),
        ({"learning_rate": -0.1}, "learning_rate"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"learning_rate": None}, "learning_rate"),
        ({"kinds": {"measured": 1.0}}, "kinds"),
        ({"kinds": {"table": "all"}}, "kinds"),
        ({"kinds": 0.5}, "kinds"),
        ({"train_on": "train"}, "train_on"),
        ({"train_on": ["everything"]}, "train_on"),
        ({"train_on": [["train"]]}, "train_on"),
        ({"train_on": []}, "train_on"),
        ({"architecture": "large"}, "architecture"),
        ({"architecture": {"widths": [8]}}, "blocks"),
        ({"architecture": Architecture().to_dict() | {"view": "sounds"}}, "sounds"),
        ({"preprocessing": {"size": 64}}, "preprocessing"),
    ],
)
def test_settings_that_make_no_sense_are_refused_in_one_line(tmp_path, values, said):
    path = write(tmp_path / "trial.json", values)
    with pytest.raises(InputError, match=said) as error:
        settings(tmp_path, "--settings", path)
    assert "trial.json" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there_or_no_json_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot read the settings"):
        settings(tmp_path, "--settings", str(tmp_path / "missing.json"))
    (tmp_path / "trial.json").write_bytes(b"\xff{")
    with pytest.raises(InputError, match="not JSON"):
        settings(tmp_path, "--settings", str(tmp_path / "trial.json"))


@pytest.mark.parametrize(
    "words", ["--widths 8,x", "--widths 8,,16", "--blocks 0,1", "--view sounds", "--widths 8,16"]
)
def test_networks_that_make_no_sense_are_refused(tmp_path, words):
    with pytest.raises(InputError) as error:
        settings(tmp_path, *words.split())
    assert "\n" not in str(error.value)


def test_the_help_tells_the_defaults(capsys):
    assert main(["train", "--help"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    defaults = TrainingSettings()
    for value in (
        f"{defaults.patterns:,}",
        defaults.batch_size,
        defaults.learning_rate,
        defaults.weight_decay,
        defaults.seed,
        ",".join(map(str, defaults.architecture.widths)),
        ",".join(map(str, defaults.architecture.blocks)),
    ):
        assert f"(default: {value})" in said
    assert f"({defaults.architecture.view}, the default)" in said

    assert main(["simulate", "--help"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    library = BandLibrarySettings()
    assert f"made-up structures (default: {library.random})" in said
    assert f"that is for training (default: {library.derived})" in said
    assert f"under different conditions (default: {library.table})" in said
