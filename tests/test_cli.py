# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: what it writes, what it says, and how it fails."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import termios
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_ebsd_phase import PhaseMap
from napari_ebsd_phase.cli import main
from napari_ebsd_phase.samples import sample_names, sample_path, sample_title, sample_truth

from ._program import (
    NICKEL,
    PROGRAM,
    contents,
    is_one_error_line,
    rows_of,
    start,
)

COMMANDS = (
    "classify",
    "identify",
    "explain",
    "view",
    "demo",
    "models",
    "simulate",
    "train",
    "evaluate",
)


@pytest.fixture
def pictures(tmp_path):
    """A folder of three pictures of different sizes."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, side in enumerate((480, 300, 100), start=1):
        with Image.open(sample_path("silicon") / f"silicon_0{number}.png") as image:
            image.convert("L").crop((0, 0, side, side)).save(folder / f"p{number}.png")
    return folder


def test_classify_writes_a_map_in_all_formats_and_says_so(tmp_path, capsys):
    suffixes = (".h5", ".csv", ".png", ".tif", ".ang", ".ctf")
    outputs = [tmp_path / f"map{suffix}" for suffix in suffixes]

    code = main(["classify", NICKEL, *(w for o in outputs for w in ("-o", str(o)))])

    assert code == 0
    assert sorted(tmp_path.iterdir()) == sorted(outputs)
    phase_map = PhaseMap.load(outputs[0])
    assert phase_map.done.all()
    assert phase_map.shape == tifffile.imread(outputs[3]).shape == (3, 3)
    rows = rows_of(outputs[1])
    assert [row["point_group"] for row in rows] == phase_map.point_group.ravel().tolist()
    said = capsys.readouterr().out
    assert "mean probability" in said
    assert all(str(output) in said for output in outputs)


def test_a_folder_of_pictures_gives_one_row_a_picture(pictures, tmp_path):
    assert main(["classify", str(pictures), "-o", str(tmp_path / "out.csv")]) == 0

    rows = rows_of(tmp_path / "out.csv")
    assert [(r["source"], r["row"], r["col"]) for r in rows] == [
        ("p1.png", "0", "0"),
        ("p2.png", "0", "1"),
        ("p3.png", "0", "2"),
    ]


def test_several_sources_go_into_one_table(pictures, tmp_path, capsys):
    single, several = tmp_path / "single.csv", tmp_path / "several.csv"
    assert main(["classify", NICKEL, "-o", str(single)]) == 0
    capsys.readouterr()

    assert main(["classify", NICKEL, str(pictures), "-o", str(several)]) == 0

    rows = rows_of(several)
    assert [r["source"] for r in rows] == [
        *[NICKEL] * 9,
        *(str(pictures / f"p{i}.png") for i in (1, 2, 3)),
    ]
    assert [r | {"source": ""} for r in rows[:9]] == [r | {"source": ""} for r in rows_of(single)]
    said = capsys.readouterr().out
    assert NICKEL in said
    assert str(pictures) in said


def test_region_grid_prior_and_threshold_reach_the_map(tmp_path):
    options = ["--grid", "1x9", "--region", "0:,2:6", "--prior", "-43m,cF", "--threshold", "0.9"]

    assert main(["classify", NICKEL, "-o", str(tmp_path / "map.h5"), *options]) == 0

    phase_map = PhaseMap.load(tmp_path / "map.h5")
    assert phase_map.done.tolist() == [[False] * 2 + [True] * 4 + [False] * 3]
    assert phase_map.point_group[0, 2:6].tolist() == ["-43m"] * 4
    assert phase_map.threshold == 0.9
    assert phase_map.provenance["prior"] == "-43m,cF"


def test_quiet_prints_nothing(tmp_path, capfd):
    assert main(["classify", NICKEL, "-o", str(tmp_path / "map.csv"), "--quiet"]) == 0

    assert capfd.readouterr() == ("", "")


def test_in_a_pipe_there_is_no_progress_bar(tmp_path):
    process = start("classify", NICKEL, "-o", tmp_path / "map.csv")
    out, err = process.communicate()

    assert process.returncode == 0
    assert out.splitlines()[0].split()[:4] == ["label", "level", "lattice", "patterns"]
    assert "written: " in out
    assert err == ""


def test_on_a_terminal_there_is_a_progress_bar(tmp_path):
    terminal, side = os.openpty()
    termios.tcsetwinsize(side, (24, 80))
    process = start("classify", NICKEL, "-o", tmp_path / "map.csv", stderr=side)
    process.communicate()
    os.close(side)

    shown = b""
    with suppress(OSError):  # a terminal that nobody holds any more ends in an error
        while part := os.read(terminal, 10_000):
            shown += part
    os.close(terminal)
    assert process.returncode == 0
    assert b"classifying" in shown


def test_overwrite_replaces_an_output(tmp_path):
    output = tmp_path / "map.csv"
    output.write_text("old")

    assert main(["classify", NICKEL, "-o", str(output), "--overwrite"]) == 0

    assert len(rows_of(output)) == 9


def test_demo_writes_its_files_and_compares_with_the_known_answer(tmp_path, capsys):
    (tmp_path / "other.csv").write_text("other")

    assert main(["demo", "-o", str(tmp_path)]) == 0

    names = {f"{name}{suffix}" for name in sample_names() for suffix in (".csv", ".png", ".h5")}
    assert {path.name for path in tmp_path.iterdir()} == {*names, "demo.json", "other.csv"}
    said = capsys.readouterr().out
    for name in sample_names():
        assert said.count(sample_title(name)) == 2
        phase_map = PhaseMap.load(tmp_path / f"{name}.h5")
        assert phase_map.done.all()
        group, lattice = (np.broadcast_to(t, phase_map.shape) for t in sample_truth(name))
        for truth, found in ((group, phase_map.point_group), (lattice, phase_map.bravais_lattice)):
            right = (truth == found)[truth != ""].sum()
            assert f"{right:,} of {(truth != '').sum():,}" in said

    # A second demo replaces what the first has written, and nothing else.
    (tmp_path / "nickel.csv").write_text("")
    assert main(["demo", "-o", str(tmp_path), "--quiet"]) == 0
    assert len(rows_of(tmp_path / "nickel.csv")) == 9
    assert (tmp_path / "other.csv").read_text() == "other"


def test_demo_does_not_replace_files_of_others(tmp_path, capsys):
    (tmp_path / "nickel.h5").write_text("months of work")

    assert main(["demo", "-o", str(tmp_path)]) == 2

    assert is_one_error_line(capsys.readouterr().err)
    assert contents(tmp_path) == {tmp_path / "nickel.h5": b"months of work"}


def test_the_answer_to_the_two_phase_sample_has_both_lattices():
    group, lattice = sample_truth("two_phase")

    assert group.shape == lattice.shape
    assert group.shape >= (60, 80)
    assert set(np.unique(lattice)) == {"", "cF", "cI"}
    assert set(group[lattice != ""]) == {"m-3m"}


def test_models_lists_describes_and_verifies(capsys):
    for words in ([], ["list"], ["describe", "default"], ["verify"]):
        assert main(["models", *words]) == 0
        assert "default" in capsys.readouterr().out

    assert main(["models", "describe", "default", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "default"


def test_a_damaged_network_is_found_out(tmp_path, capsys):
    import napari_ebsd_phase

    weights = Path(napari_ebsd_phase.__file__).parent / "weights"
    for suffix in (".json", ".safetensors"):
        shutil.copy(weights / f"default{suffix}", tmp_path)
    network = tmp_path / "default.safetensors"
    assert main(["models", "verify", str(network)]) == 0
    data = bytearray(network.read_bytes())
    data[-1] ^= 1
    network.write_bytes(data)
    capsys.readouterr()

    assert main(["models", "verify", str(network)]) == 2
    assert is_one_error_line(capsys.readouterr().err)


@pytest.mark.parametrize("words", [["--help"], *([command, "--help"] for command in COMMANDS)])
def test_help_answers_without_importing_anything_heavy(words):
    code = (
        "import sys; from napari_ebsd_phase.cli import main; code = main(sys.argv[1:]); "
        "print('imported', *sorted({n.partition('.')[0] for n in sys.modules})); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=True
    )
    text, _, modules = done.stdout.partition("imported")

    assert text.startswith("usage: napari-ebsd-phase")
    assert not set(modules.split()) & {"torch", "kikuchipy", "numba", "matplotlib", "h5py", "numpy"}


def test_help_lists_the_commands(capsys):
    assert main(["--help"]) == 0

    said = capsys.readouterr().out
    assert all(f"\n    {command} " in said for command in COMMANDS)


def test_version_is_printed(capsys):
    assert main(["--version"]) == 0

    assert capsys.readouterr().out.startswith("napari-ebsd-phase ")


def test_a_reader_that_has_seen_enough_is_no_failure():
    process = start("models", "describe", "default", "--json")
    process.stdout.close()
    with process:
        assert process.stderr.read() == ""
    assert process.returncode == 0


def test_an_unexpected_failure_is_one_line_that_says_how_to_see_more():
    with Path("/dev/full").open("w") as full:
        process = start("models", "list", stdout=full)
        _, err = process.communicate()

    assert process.returncode == 1
    assert err.startswith("failed: ")
    assert err.count("\n") == 1
    assert "NAPARI_EBSD_PHASE_DEBUG=1" in err


def test_the_traceback_of_a_failure_can_be_asked_for():
    with Path("/dev/full").open("w") as full:
        process = start(
            "models", "list", stdout=full, env=os.environ | {"NAPARI_EBSD_PHASE_DEBUG": "1"}
        )
        _, err = process.communicate()

    assert process.returncode == 1
    assert "Traceback (most recent call last)" in err
    assert err.splitlines()[-1].startswith("failed: ")


@pytest.mark.parametrize("stream", [1, 2])
def test_a_closed_stream_is_no_failure(stream, tmp_path):
    out = tmp_path / "nickel.csv"
    words = shlex.join([*PROGRAM, "classify", NICKEL, "-o", str(out)])
    done = subprocess.run(["sh", "-c", f"{words} {stream}>&-"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert out.exists()


def test_an_unknown_option_leads_to_the_help_of_its_command(capsys):
    assert main(["identify", "map.h5", "--nope"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert "identify --help" in error
