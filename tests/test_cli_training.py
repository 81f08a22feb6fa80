# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of the training side."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

import pytest

from napari_ebsd_phase import PhaseMap
from napari_ebsd_phase.cli import main

from ._program import (
    NICKEL,
    is_one_error_line,
    rows_of,
    start,
    wait_until,
)

REPOSITORY = Path(__file__).parents[1]
TRAINING_SET = ("simulate", "--derived", "0", "--table", "0", "--training-set")


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """A few master patterns of the repository's library, of every split."""
    from napari_ebsd_phase.training.library import (
        MasterLibrary,
        build_library,
        save_master_pattern,
    )
    from napari_ebsd_phase.training.split import SPLITS, split_of

    folder = tmp_path_factory.mktemp("library")
    with MasterLibrary.open(REPOSITORY / "data" / "master_patterns.h5") as everything:
        for split in SPLITS:
            found = [
                i
                for i, record in enumerate(everything.index)
                if split_of(record.formula, record.space_group) == split
            ]
            for i in found[:2]:
                save_master_pattern(everything[i], folder / f"{everything.index[i].key}.npz")
    build_library([folder], folder / "library.h5")
    return folder / "library.h5"


@pytest.fixture(scope="module")
def bands(tmp_path_factory):
    """A small library of simple patterns, made as a user makes one."""
    target = tmp_path_factory.mktemp("bands") / "bands.h5"
    assert main([*TRAINING_SET, str(target), "--random", "2", "--quiet"]) == 0
    return target


def test_an_interrupted_training_goes_on_to_a_network_that_classifies(library, bands, tmp_path):
    run = tmp_path / "run"
    words = ["train", "--library", library, bands, "-o", run, "--test-patterns", "2"]
    words += ["--threads", "1", "--widths", "8,16", "--blocks", "1,1"]
    process = start(*words, "--patterns", "1000000", "--batch-size", "16", "--seed", "3")
    wait_until(process, (run / "settings.json").exists)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == 130
    assert "the same command goes on" in err
    assert (run / "checkpoint.safetensors").exists()
    steps_before = int(rows_of(run / "log.csv")[-1]["step"])

    patterns = 16 * (steps_before + 2)
    assert main([*map(str, words), "--patterns", str(patterns), "--quiet"]) == 0

    assert [int(row["step"]) for row in rows_of(run / "log.csv")][-1] == steps_before + 2
    settings = json.loads((run / "settings.json").read_text())
    assert (settings["batch_size"], settings["seed"]) == (16, 3)
    assert settings["architecture"]["widths"] == [8, 16]
    network = str(run / "network.safetensors")
    assert main(["models", "verify", network]) == 0
    card = json.loads((run / "network.json").read_text())
    assert card["training"]["library"] == "library.h5, bands.h5"
    assert card["training"]["kinds"]["random"] == 2
    output = tmp_path / "map.h5"
    assert main(["classify", NICKEL, "-o", str(output), "--model", network]) == 0
    assert PhaseMap.load(output).provenance["network"] == "run"


def test_a_training_begins_with_a_bundled_network_and_its_card_says_so(library, tmp_path):
    run = tmp_path / "run"
    words = ["train", "--library", str(library), "-o", str(run), "--test-patterns", "1"]
    words += ["--threads", "1", "--blocks", "1,1,2", "--batch-size", "16", "--patterns", "16"]

    assert main([*words, "--start-from", "lines", "--symmetry", "2", "--quiet"]) == 0

    card = json.loads((run / "network.json").read_text())
    assert card["training"]["started_from"] == "lines"
    assert len(card["training"]["started_from_sha256"]) == 64
    assert card["training"]["settings"]["symmetry"] == 2


def test_a_training_cannot_begin_with_a_mean_of_networks(library, tmp_path, capsys):
    words = ["train", "--library", str(library), "-o", str(tmp_path / "run")]

    assert main([*words, "--start-from", "default"]) == 2

    assert is_one_error_line(capsys.readouterr().err)


def test_evaluate_writes_numbers_and_a_figure(library, tmp_path, capsys):
    words = ["evaluate", "--library", str(library), "-o", str(tmp_path), "--patterns", "2"]

    assert main([*words, "--development"]) == 0

    assert {p.name for p in tmp_path.iterdir()} == {"evaluation.json", "evaluation.png"}
    result = json.loads((tmp_path / "evaluation.json").read_text())
    assert result["prior"] == "known"
    assert not {"unseen", "simulator", "simulator_seen"} & set(result)
    accuracy = result["calibration"]["good"]["laue_group"]["accuracy"]
    out = capsys.readouterr().out
    assert f"| {100 * accuracy:.1f} % (" in out
    assert "class prior: known" in out
    assert main(words) == 2
    assert is_one_error_line(capsys.readouterr().err)


def test_evaluate_tests_emsoft_patterns_apart(library, tmp_path):
    words = ["evaluate", "--library", str(library), "-o", str(tmp_path), "--patterns", "1"]

    assert main([*words, "--quiet", "--prior", "uniform"]) == 0

    result = json.loads((tmp_path / "evaluation.json").read_text())
    assert result["prior"] == "uniform"
    emsoft = {"simulator", "simulator_seen"} & set(result)
    assert emsoft
    assert {result[test]["fast"]["materials"] for test in emsoft} <= {1, 2}


@pytest.mark.parametrize("there", [False, True])
def test_a_failed_evaluation_leaves_no_folder_behind(library, tmp_path, capsys, there):
    folder = tmp_path / "new" / "evaluation"
    if there:
        folder.mkdir(parents=True)
    words = ["evaluate", "--library", str(library), "-o", str(folder), "--measured", "nowhere"]

    assert main(words) == 2

    assert is_one_error_line(capsys.readouterr().err)
    assert folder.exists() == there
    assert (tmp_path / "new").exists() == there


def test_simulate_lists_the_structures_that_meet_all_conditions(capsys):
    assert main(["simulate", "--bravais", "cF", "--point-group", "-43m", "--list"]) == 0

    header, *lines = capsys.readouterr().out.splitlines()
    assert header.split()[:2] == ["name", "formula"]
    assert lines
    assert {tuple(line.split()[3:5]) for line in lines} == {("-43m", "cF")}


def test_a_training_set_is_made_and_not_replaced_by_accident(tmp_path, capsys):
    from napari_ebsd_phase.training.library import MasterLibrary

    target = tmp_path / "bands.h5"
    words = [*TRAINING_SET, str(target), "--half-size", "5", "--random"]
    assert main([*words, "3"]) == 0
    assert f"{target} has 3 master patterns" in capsys.readouterr().out
    with MasterLibrary.open(target) as library:
        assert library.shape == (2, 11, 11)
        assert [record.structure for record in library.index] == ["r000000", "r000001", "r000002"]
    before = target.read_bytes()

    assert main([*words, "2"]) == 2
    err = capsys.readouterr().err
    assert is_one_error_line(err)
    assert "--overwrite" in err
    assert target.read_bytes() == before

    assert main([*words, "2", "--overwrite", "--quiet"]) == 0
    assert capsys.readouterr().out == ""
    with MasterLibrary.open(target) as library:
        assert len(library) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["bands.h5"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--training-set", "bands.h5", "--formula", "Ni"], "leave out --formula"),
        (
            ["--training-set", "bands.h5", "my.cif", "-o", "x"],
            "leave out the CIF files, --output",
        ),
        (["--training-set", "bands.h5", "--energy", "15", "--part", "1/2"], "--energy, --part"),
        (["--formula", "Ni", "-o", "masters", "--random", "5"], "--random: only with"),
        (["--all", "--all-splits", "--workers", "2"], "--all-splits, --workers: only with"),
        (["--training-set", "nowhere/bands.h5"], "there is no folder"),
        ([*TRAINING_SET[1:], "bands.h5", "--random", "0"], "a library of no patterns"),
        (["--training-set", "bands.h5", "--workers", "0"], "1 or more"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_requests_that_do_not_go_together_are_refused(words, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    assert main(["simulate", *words]) == 2

    err = capsys.readouterr().err
    assert is_one_error_line(err)
    assert said in err
    assert list(tmp_path.iterdir()) == []


def test_without_the_extra_the_error_says_how_to_get_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "spglib", None)  # how Python marks what cannot be imported

    assert main([*TRAINING_SET, str(tmp_path / "bands.h5"), "--random", "1"]) == 2

    err = capsys.readouterr().err
    assert is_one_error_line(err)
    assert "pip install 'de-ebsd==0.2.1' 'spglib>=2.7,<3'" in err
    assert list(tmp_path.iterdir()) == []
