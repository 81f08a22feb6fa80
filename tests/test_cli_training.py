# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of the training side."""

from __future__ import annotations

import json
import signal
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


def test_an_interrupted_training_goes_on_to_a_network_that_classifies(library, tmp_path):
    run = tmp_path / "run"
    words = ["train", "--library", library, "-o", run, "--test-patterns", "2", "--threads", "1"]
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
    network = str(run / "network.safetensors")
    assert main(["models", "verify", network]) == 0
    output = tmp_path / "map.h5"
    assert main(["classify", NICKEL, "-o", str(output), "--model", network]) == 0
    assert PhaseMap.load(output).provenance["network"] == "run"


def test_evaluate_writes_numbers_and_a_figure(library, tmp_path, capsys):
    words = ["evaluate", "--library", str(library), "-o", str(tmp_path), "--patterns", "2"]

    assert main(words) == 0

    assert {p.name for p in tmp_path.iterdir()} == {"evaluation.json", "evaluation.png"}
    result = json.loads((tmp_path / "evaluation.json").read_text())
    accuracy = result["unseen"]["good"]["laue_group"]["accuracy"]
    assert f"| {accuracy:.0%} (" in capsys.readouterr().out
    assert main(words) == 2
    assert is_one_error_line(capsys.readouterr().err)
    assert main([*words, "--overwrite", "--quiet"]) == 0


def test_simulate_lists_the_structures_that_meet_all_conditions(capsys):
    assert main(["simulate", "--bravais", "cF", "--point-group", "-43m", "--list"]) == 0

    header, *lines = capsys.readouterr().out.splitlines()
    assert header.split()[:2] == ["name", "formula"]
    assert lines
    assert {tuple(line.split()[3:5]) for line in lines} == {("-43m", "cF")}
