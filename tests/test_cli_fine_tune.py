# SPDX-License-Identifier: GPL-3.0-or-later
"""``fine-tune`` on the command line."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_ebsd_phase.cli import main

from ._ebsd_files import patterns, write_oxford
from ._program import DUPLEX, NICKEL, contents, is_one_error_line, start, wait_until
from .training._fine_tune_data import CLASSES, frames

FEW = ("--model", "lines", "--device", "cpu", "--threads", "1", "--steps", "2")


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """A small library of simple master patterns of structures for training."""
    from napari_ebsd_phase.training.band_library import varied_band_pattern
    from napari_ebsd_phase.training.library import write_stacks
    from napari_ebsd_phase.training.split import split_of
    from napari_ebsd_phase.training.structures import find_structures

    found = [
        s
        for s in find_structures(point_group="m-3m")
        if s.volume < 200 and split_of(s.formula, s.space_group) == "train"
    ]
    path = tmp_path_factory.mktemp("library") / "library.h5"
    write_stacks([[varied_band_pattern(s.uid, 0) for s in found[:3]]], path)
    return path


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Folders of pictures of two classes, and the words that name them."""
    place = tmp_path_factory.mktemp("pictures")
    words = []
    for kind in (0, 1):
        folder = place / f"phase{kind}"
        folder.mkdir()
        for i, frame in enumerate(frames(kind, 15, seed=1)):
            Image.fromarray(frame).save(folder / f"{i:02d}.png")
        words += ["--folder", f"{folder}={CLASSES[kind]}"]
    return words


def test_folders_make_a_network_that_is_used_like_any_other(library, folders, tmp_path, capsys):
    target = tmp_path / "mine.safetensors"
    words = ["fine-tune", *folders, *FEW, "--library", str(library), "-o", str(target)]

    assert main(words) == 0

    out = capsys.readouterr().out
    assert "step    2 of 2: loss" in out
    assert "right on held-out patterns" in out
    assert "in 3 regions to learn from" not in out.splitlines()[0]
    assert {path.name for path in tmp_path.iterdir()} == {"mine.safetensors", "mine.json"}
    card = json.loads((tmp_path / "mine.json").read_text())
    assert card["name"] == "mine"
    assert card["training"]["taught_from"] == "lines"
    assert card["training"]["memory"]["library"] == "library.h5"
    assert main(["models", "verify", str(target)]) == 0
    assert main(["models", "describe", str(target)]) == 0
    out = capsys.readouterr().out
    assert "held-out patterns, after teaching" in out
    assert "training taught_from" in out
    words = ["classify", NICKEL, "-o", str(tmp_path / "map.h5"), "--model", str(target), "--quiet"]
    assert main(words) == 0


def test_labels_of_a_map_win_over_the_phases_of_its_vendor(library, tmp_path):
    scan = write_oxford(tmp_path / "map.h5oina", patterns(8, 9, 40, 48), corrected=True)
    labels = np.zeros((8, 9), dtype=np.uint8)
    labels[:, 5:] = 3
    tifffile.imwrite(tmp_path / "labels.tif", labels)
    words = ["fine-tune", str(scan), "--vendor-phases", *FEW, "--library", str(library), "--quiet"]

    assert main([*words, "-o", str(tmp_path / "vendor.safetensors")]) == 0
    words += ["--labels", str(tmp_path / "labels.tif"), "--classes", "3=6/mmm:hP"]
    assert main([*words, "-o", str(tmp_path / "both.safetensors")]) == 0

    def classes(name):
        return json.loads((tmp_path / name).read_text())["training"]["classes"]

    assert set(classes("vendor.json")) == {"m-3m:cF", "m-3m:cI"}
    assert set(classes("both.json")) == {"6/mmm:hP", "m-3m:cI"}  # the pixel of nickel is painted
    sources = json.loads((tmp_path / "both.json").read_text())["training"]["sources"]
    assert sources[0]["labels"] == "labels.tif"
    assert len(sources[0]["sha256"]) == len(sources[0]["labels_sha256"]) == 64


def test_an_interrupted_run_goes_on(library, folders, tmp_path, capsys):
    target = tmp_path / "mine.safetensors"
    words = ["fine-tune", *folders, *FEW[:-1], "8", "--library", str(library), "-o", str(target)]
    process = start(*words)
    wait_until(process, lambda: process.stdout.readline().startswith("step    0"))
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == 130
    assert "the same command goes on" in err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.checkpoint"]

    assert main([*words, "--seed", "1"]) == 2
    assert is_one_error_line(capsys.readouterr().err)
    assert main([*words, "--quiet"]) == 0

    assert {path.name for path in tmp_path.iterdir()} == {"mine.safetensors", "mine.json"}
    assert json.loads((tmp_path / "mine.json").read_text())["training"]["steps"] == 8


def test_adapting_needs_no_labels(tmp_path, capsys):
    target = tmp_path / "here.safetensors"

    assert main(["fine-tune", DUPLEX, "--adapt", "0.2", "--most", "40", *FEW[:-2], "-o",
                 str(target)]) == 0  # fmt: skip

    assert "cannot be told without labels" in capsys.readouterr().out
    assert main(["models", "verify", str(target)]) == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "nothing to learn from"),
        ([NICKEL], "SOURCE needs --labels"),
        ([NICKEL, "--labels", "labels.tif"], "--labels needs --classes"),
        (["--vendor-phases"], "need the SOURCE"),
        ([NICKEL, "--labels", "no.tif", "--classes", "1=m-3m:cF"], "no.tif: no such file"),
        ([NICKEL, "--labels", "labels.tif", "--classes", "1=m-3m:cF"], "give a label image"),
        ([NICKEL, "--labels", "map.tif", "--classes", "2=m-3m:cF"], "label 1 of 'map.tif' has no"),
        (
            [NICKEL, "--labels", "map.tif", "--classes", "1=m-3m:cF,2=m-3m:cI"],
            "no pattern of 'map.tif' has the label 2",
        ),
        ([NICKEL, "--labels", "map.tif", "--classes", "1=m-3m:hP"], "no crystal has"),
        ([NICKEL, "--labels", "map.tif", "--classes", "1=m9:cF"], "unknown point group"),
        ([NICKEL, "--labels", "text.tif", "--classes", "1=m-3m:cF"], "no TIFF image"),
        (["--folder", "nowhere=m-3m:cF"], "no such file or folder"),
        (["--folder", "nowhere"], "write DIR=CLASS"),
        (["--folder", "a=m-3m:cF", "--folder", "a=m-3m:cI"], "given twice"),
        (["--folder", "a=m-3m:cF", "--cif", "no.cif"], "no.cif: no such file"),
        ([NICKEL, "--adapt", "--vendor-phases"], "--adapt needs no labels"),
        (["--adapt"], "--adapt needs a SOURCE"),
        (["--folder", "a=m-3m:cF", "-o", "out.h5"], "the output is a network"),
        (["--folder", "a=m-3m:cF", "-o", "there.safetensors"], "exists already"),
        (["--folder", "a=m-3m:cF", "-o", "no/mine.safetensors"], "there is no folder"),
        (["--folder", "a=m-3m:cF", "--held-out", "0.9"], "a fifth"),
    ],
    ids=lambda value: " ".join(Path(w).name for w in value) if isinstance(value, list) else "",
)
def test_wrong_requests_are_one_line_and_leave_nothing_behind(
    words, said, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    tifffile.imwrite("labels.tif", np.ones((2, 2), np.uint8))
    tifffile.imwrite("map.tif", np.ones((3, 3), np.uint8))
    Path("text.tif").write_text("no picture")
    Path("there.safetensors").write_text("something")
    before = contents(tmp_path)
    output = [] if "-o" in words else ["-o", "mine.safetensors"]

    assert main(["fine-tune", *words, *output, *FEW]) == 2

    err = capsys.readouterr().err
    assert is_one_error_line(err)
    assert said in err
    assert contents(tmp_path) == before
