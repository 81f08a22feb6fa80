# SPDX-License-Identifier: GPL-3.0-or-later
"""The log of a run has each step once, however often the run was interrupted."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from napari_ebsd_phase.training.log import COLUMNS, append_row, hours, trim


def row(step: int) -> dict[str, str | int]:
    values = (step, 256 * step, "3.1415", "1.000e-03", "1200", "0.5000", "0.2500")
    return dict(zip(COLUMNS, values, strict=True))


def read(folder: Path) -> list[dict[str, str]]:
    with (folder / "log.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def steps(folder: Path) -> list[int]:
    return [int(r["step"]) for r in read(folder)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for step in (100, 200, 300, 1200):
        append_row(tmp_path, row(step))
    return tmp_path


def test_rows_are_added_below_one_header(folder):
    lines = (folder / "log.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == ",".join(COLUMNS)
    assert lines[2] == "200,51200,3.1415,1.000e-03,1200,0.5000,0.2500"
    assert len(lines) == 5


def test_rows_after_the_step_go(folder):
    trim(folder, 200)
    assert steps(folder) == [100, 200]
    append_row(folder, row(300))
    assert steps(folder) == [100, 200, 300]
    assert read(folder)[0] == {k: str(v) for k, v in row(100).items()}
    assert [p.name for p in folder.iterdir()] == ["log.csv"]


def test_nothing_goes_when_no_row_is_later(folder):
    before = (folder / "log.csv").read_bytes()
    trim(folder, 1200)
    assert (folder / "log.csv").read_bytes() == before


def test_a_run_that_starts_over_keeps_the_header_only(folder):
    trim(folder, 0)
    assert steps(folder) == []
    append_row(folder, row(100))
    assert steps(folder) == [100]


def test_without_a_log_there_is_nothing_to_trim(tmp_path):
    trim(tmp_path, 100)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("left", range(1, len("1300,332800,3.1415,1.000e-03,1200,0.5000,0.2500")))
def test_a_row_that_was_cut_off_as_it_was_written_goes(folder, left):
    # "13" of "1300" would pass for an early step, "0.25" of "0.2500" for a whole row.
    whole = (folder / "log.csv").read_bytes()
    append_row(folder, row(1300))
    cut = (folder / "log.csv").read_bytes()[: len(whole) + left]
    (folder / "log.csv").write_bytes(cut)
    trim(folder, 5000)
    assert (folder / "log.csv").read_bytes() == whole


@pytest.mark.parametrize("left", [0, 3, 40])
def test_a_header_that_was_cut_off_is_written_again(folder, left):
    (folder / "log.csv").write_bytes((folder / "log.csv").read_bytes()[:left])
    trim(folder, 5000)
    append_row(folder, row(100))
    assert (folder / "log.csv").read_text(encoding="utf-8").startswith(",".join(COLUMNS))
    assert steps(folder) == [100]


def test_a_log_of_fewer_columns_goes_on_with_all(tmp_path):
    text = "step,patterns,loss\n100,25600,3.5\n200,51200,3.2\n"
    (tmp_path / "log.csv").write_text(text, encoding="utf-8")
    trim(tmp_path, 100)
    append_row(tmp_path, row(200))
    rows = read(tmp_path)
    assert [r["loss"] for r in rows] == ["3.5", "3.1415"]
    assert rows[0]["calibration_laue"] == ""
    assert tuple(rows[0]) == COLUMNS


def test_the_hours_of_a_run_are_those_of_its_steps(folder, tmp_path_factory):
    """1,200 steps of 256 patterns at 1,200 patterns a second."""
    assert hours(folder) == pytest.approx(1200 * 256 / 1200 / 3600)
    assert hours(tmp_path_factory.mktemp("nothing")) == 0
