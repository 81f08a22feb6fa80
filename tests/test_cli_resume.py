# SPDX-License-Identifier: GPL-3.0-or-later
"""Interrupted runs go on with --resume, to the same bits."""

from __future__ import annotations

import shutil
import signal
import zlib
from pathlib import Path

import numpy as np
import pytest

from napari_ebsd_phase import PhaseMap
from napari_ebsd_phase.cli import main

from ._program import (
    DUPLEX,
    NICKEL,
    contents,
    is_one_error_line,
    start,
    wait_until,
)


def h5_arrays(path: Path) -> list[bytes]:
    phase_map = PhaseMap.load(path)
    names = ("point_group_probabilities", "bravais_probabilities", "pattern_quality", "done")
    return [getattr(phase_map, name).tobytes() for name in names]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """Part of the two-phase sample, classified in one go; CSV and h5."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    assert main(["classify", *duplex_into(folder)]) == 0
    return folder


def duplex_into(folder: Path) -> list[str]:
    outputs = ["-o", str(folder / "map.csv"), "-o", str(folder / "map.h5")]
    # Three tiles of twelve rows.
    options = ["--region", "0:36,:", "--device", "cpu", "--threads", "1", "--quiet"]
    return [DUPLEX, *outputs, *options]


def assert_same(folder: Path, other: Path) -> None:
    assert (folder / "map.csv").read_bytes() == (other / "map.csv").read_bytes()
    assert h5_arrays(folder / "map.h5") == h5_arrays(other / "map.h5")
    assert {path.name for path in folder.iterdir()} == {"map.csv", "map.h5"}


def interrupted_in(folder: Path, how: signal.Signals) -> tuple[int, str]:
    """Begin the map and interrupt it when the first tile is done."""
    unfinished = folder / "map.csv.partial"
    process = start("classify", *duplex_into(folder))
    wait_until(process, lambda: unfinished.exists() and unfinished.stat().st_size > 50_000)
    process.send_signal(how)
    _, err = process.communicate()
    assert [path.name for path in folder.iterdir()] == [unfinished.name]
    return process.returncode, err


@pytest.fixture(scope="module")
def what_a_kill_left(tmp_path_factory):
    """The only file that a run left that was killed with SIGKILL."""
    folder = tmp_path_factory.mktemp("killed")
    code, _ = interrupted_in(folder, signal.SIGKILL)
    assert code == -signal.SIGKILL
    return folder / "map.csv.partial"


@pytest.fixture
def unfinished(tmp_path, what_a_kill_left):
    """A copy of the unfinished run, alone in the test's folder."""
    return Path(shutil.copy(what_a_kill_left, tmp_path))


def test_a_killed_run_goes_on_and_ends_in_the_same_bits(
    unfinished, tmp_path, uninterrupted, capsys
):
    before = contents(tmp_path)

    # Somebody who forgot about it must not lose it.
    assert main(["classify", *duplex_into(tmp_path)]) == 2
    assert "--resume" in capsys.readouterr().err
    # Other settings are another run.
    assert main(["classify", *duplex_into(tmp_path), "--resume", "--prior", "cubic"]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert contents(tmp_path) == before

    assert main(["classify", *duplex_into(tmp_path), "--resume"]) == 0
    assert not unfinished.exists()
    assert_same(tmp_path, uninterrupted)


def test_a_file_of_the_same_name_elsewhere_is_not_replaced(unfinished, tmp_path, capsys):
    precious = tmp_path / "other" / "map.h5"
    precious.parent.mkdir()
    precious.write_text("precious")
    arguments = duplex_into(tmp_path)
    arguments[arguments.index(str(tmp_path / "map.h5"))] = str(precious)
    assert main(["classify", *arguments, "--resume"]) == 2
    assert is_one_error_line(capsys.readouterr().err)
    assert precious.read_text() == "precious"


def test_what_is_done_is_not_done_again(unfinished, tmp_path):
    """A tile that was tampered with, checksum and all, comes out as it is in the file."""
    data = bytearray(unfinished.read_bytes())
    first = data.index(b"TILE")
    length = 24 + 4 * 12 * 80 * 47
    quality = first + length - 4
    data[quality : quality + 4] = np.float32(0.125).tobytes()
    checksum = zlib.crc32(data[first : first + length])
    data[first + length : first + length + 4] = checksum.to_bytes(4, "little")
    unfinished.write_bytes(data)

    assert main(["classify", *duplex_into(tmp_path), "--resume"]) == 0

    assert PhaseMap.load(tmp_path / "map.h5").pattern_quality[11, 79] == 0.125


def test_ctrl_c_says_how_to_go_on(tmp_path, uninterrupted):
    code, err = interrupted_in(tmp_path, signal.SIGINT)

    assert code == 130
    assert err.startswith("interrupted: ")
    assert "--resume" in err
    assert err.count("\n") == 1
    assert main(["classify", *duplex_into(tmp_path), "--resume"]) == 0
    assert_same(tmp_path, uninterrupted)


@pytest.mark.parametrize("cut", ["in the first line", "in the last tile", "a flipped bit"])
def test_a_damaged_unfinished_run_is_done_again_where_it_is_damaged(
    cut, unfinished, tmp_path, uninterrupted
):
    data = bytearray(unfinished.read_bytes())
    if cut == "in the first line":
        del data[100:]
    elif cut == "in the last tile":
        del data[-1000:]
    else:
        data[-1000] ^= 4
    unfinished.write_bytes(data)

    assert main(["classify", *duplex_into(tmp_path), "--resume"]) == 0

    assert_same(tmp_path, uninterrupted)


@pytest.mark.usefixtures("unfinished")
def test_an_unfinished_run_can_be_thrown_away(tmp_path, uninterrupted):
    assert main(["classify", *duplex_into(tmp_path), "--overwrite"]) == 0

    assert_same(tmp_path, uninterrupted)


@pytest.mark.usefixtures("unfinished")
def test_a_run_that_died_while_writing_may_replace_what_it_wrote(tmp_path, uninterrupted):
    (tmp_path / "map.csv").write_text("written before the end")

    assert main(["classify", *duplex_into(tmp_path), "--resume"]) == 0

    assert_same(tmp_path, uninterrupted)


def test_resume_replaces_no_output_that_its_run_did_not_promise(tmp_path, capsys):
    (tmp_path / "map.csv").write_text("keep me")

    assert main(["classify", NICKEL, "-o", str(tmp_path / "map.csv"), "--resume"]) == 2

    assert is_one_error_line(capsys.readouterr().err)
    assert (tmp_path / "map.csv").read_text() == "keep me"


def test_resume_without_an_unfinished_run_begins_one(tmp_path):
    assert main(["classify", NICKEL, "-o", str(tmp_path / "map.csv"), "--resume"]) == 0

    assert [path.name for path in tmp_path.iterdir()] == ["map.csv"]


def test_a_strange_file_in_the_place_of_the_unfinished_run_is_refused(tmp_path, capsys):
    (tmp_path / "map.csv.partial").write_text('{"my": "notes"}\n')

    assert main(["classify", NICKEL, "-o", str(tmp_path / "map.csv"), "--resume"]) == 2

    assert is_one_error_line(capsys.readouterr().err)
    assert (tmp_path / "map.csv.partial").read_text() == '{"my": "notes"}\n'
