# SPDX-License-Identifier: GPL-3.0-or-later
"""Wrong requests and wrong files: exit code 2, one line, nothing written."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from napari_ebsd_phase.cli import main

from ._program import (
    NICKEL,
    SILICON,
    contents,
    is_one_error_line,
    start,
)


def truncated(tmp_path: Path) -> list[str]:
    path = tmp_path / "short.h5"
    path.write_bytes(Path(NICKEL).read_bytes()[:30_000])
    return [str(path)]


def text_as_h5(tmp_path: Path) -> list[str]:
    (tmp_path / "text.h5").write_text("no patterns here\n" * 100)
    return [str(tmp_path / "text.h5")]


def without_patterns(tmp_path: Path) -> list[str]:
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["temperatures"] = np.arange(10.0)
    return [str(tmp_path / "other.h5")]


def empty_folder(tmp_path: Path) -> list[str]:
    (tmp_path / "empty").mkdir()
    return [str(tmp_path / "empty")]


def output_exists(tmp_path: Path) -> list[str]:
    (tmp_path / "there.csv").write_text("keep me")
    return [NICKEL, "-o", str(tmp_path / "there.csv")]


def output_in_a_folder_that_takes_nothing(tmp_path: Path) -> list[str]:
    folder = tmp_path / "locked"
    folder.mkdir()
    folder.chmod(0o555)
    # Permissions do not stop root; the kernel's own folder stops everybody.
    locked = folder if not os.access(folder, os.W_OK) else Path("/proc")
    return [NICKEL, "-o", str(locked / "map.csv")]


def output_is_the_source(tmp_path: Path) -> list[str]:
    copy = shutil.copy(NICKEL, tmp_path / "map.h5")
    return [str(copy), "-o", str(copy), "--overwrite"]


def picture_among_the_sources(tmp_path: Path) -> list[str]:
    folder = shutil.copytree(SILICON, tmp_path / "silicon")
    return [str(folder), "-o", str(folder / "map.png")]


WRONG = {
    "missing file": lambda p: [str(p / "missing.h5")],
    "empty folder": empty_folder,
    "text file named .h5": text_as_h5,
    "truncated h5": truncated,
    "file without patterns": without_patterns,
    "output folder not writable": output_in_a_folder_that_takes_nothing,
    "output folder missing": lambda p: [NICKEL, "-o", str(p / "none" / "map.csv")],
    "output exists": output_exists,
    "output is a folder": lambda p: [NICKEL, "-o", f"{p}/"],
    "output of an unknown kind": lambda p: [NICKEL, "-o", str(p / "map.xyz")],
    "same output twice": lambda p: [NICKEL, "-o", str(p / "a.csv"), "-o", str(p / "a.csv")],
    "output is the source": output_is_the_source,
    "picture among the sources": picture_among_the_sources,
    "map of several sources": lambda p: [NICKEL, SILICON, "-o", str(p / "map.png")],
    "region out of the map": lambda p: [NICKEL, "--region", "0:4,0:3"],
    "region without columns": lambda p: [NICKEL, "--region", "0:4"],
    "region from right to left": lambda p: [NICKEL, "--region", "2:1,0:3"],
    "unknown prior": lambda p: [NICKEL, "--prior", "m-3m,octagonal"],
    "prior that excludes itself": lambda p: [NICKEL, "--prior", "6/mmm,cF"],
    "unknown model": lambda p: [NICKEL, "--model", "best"],
    "missing model": lambda p: [NICKEL, "--model", str(p / "best.safetensors")],
    "model without card": lambda p: [NICKEL, "--model", NICKEL.replace(".h5", ".safetensors")],
    "grid that does not fit": lambda p: [NICKEL, "--grid", "2x4"],
    "grid that is none": lambda p: [NICKEL, "--grid", "3,3"],
    "grid of nothing": lambda p: [NICKEL, "--grid", "0x9"],
    "threshold above 1": lambda p: [NICKEL, "--threshold", "95"],
    "batch of nothing": lambda p: [NICKEL, "--batch-size", "0"],
    "unknown device": lambda p: [NICKEL, "--device", "abacus"],
    "unknown option": lambda p: [NICKEL, "--fast"],
    "no source": lambda p: [],
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_input_is_refused_in_one_line_and_leaves_nothing(case, tmp_path, capfd):
    arguments = WRONG[case](tmp_path)
    if "-o" not in arguments:
        arguments += ["-o", str(tmp_path / "map.csv")]
    before = contents(tmp_path)

    code = main(["classify", *arguments])

    out, err = capfd.readouterr()
    assert (code, out) == (2, "")
    assert is_one_error_line(err)
    assert len(err) > len("error: ") + 20
    assert contents(tmp_path) == before


@pytest.mark.parametrize("case", ["missing file", "truncated h5", "output exists", "no source"])
def test_wrong_input_ends_the_process_with_code_2_and_one_line(case, tmp_path):
    arguments = WRONG[case](tmp_path)
    if "-o" not in arguments:
        arguments += ["-o", str(tmp_path / "map.csv")]
    before = contents(tmp_path)

    process = start("classify", *arguments)
    out, err = process.communicate()

    assert (process.returncode, out) == (2, "")
    assert is_one_error_line(err)
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["identify"],
        ["identify", NICKEL, "--region", "0:99,0:99"],
        ["demo", "-o", NICKEL],
        ["demo", "--prior", "octagonal", "-o", "."],
        ["models", "describe", "best"],
        ["models", "burn"],
        ["simulate"],
        ["simulate", "--formula", "Unobtainium"],
        ["simulate", "missing.cif", "-o", "."],
        ["simulate", "--all", "--part", "3/2"],
        ["simulate", "--structure", "s0005"],
        ["train", "--library", "missing.h5", "-o", "run"],
        ["train", "--library", NICKEL, "-o", "run"],
        ["evaluate", "--library", NICKEL, "-o", "evaluation"],
    ],
    ids=" ".join,
)
def test_other_wrong_requests_are_refused_in_one_line(words, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)

    assert main(words) == 2

    assert is_one_error_line(capfd.readouterr().err)
    assert {path.name for path in tmp_path.iterdir()} <= {"demo.json"}


def test_a_wrong_argument_points_to_the_help(capsys):
    assert main(["classify", NICKEL, "-o", "map.csv", "--grid", "many"]) == 2

    assert "(see napari-ebsd-phase classify --help)" in capsys.readouterr().err
