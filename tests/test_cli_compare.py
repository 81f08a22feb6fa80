# SPDX-License-Identifier: GPL-3.0-or-later
"""``compare``: a result beside the phases of the vendor's program, and one map of both."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import orix.io
import pytest

from napari_ebsd_phase.cli import main

from ._program import contents, is_one_error_line, rows_of
from ._vendor_maps import EXPECTED, ours, theirs

COLUMNS = [
    *("vendor_phase", "vendor_symmetry", "vendor_lattice", "label", "level", "points", "share"),
    *("agrees", "same_lattice", "probability"),
]


@pytest.fixture
def result(tmp_path: Path) -> Path:
    """A result with the vendor's phases beside it."""
    path = tmp_path / "map.h5"
    ours().save(path)
    return path


def test_the_table_is_printed(result: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = contents(result.parent)
    assert main(["compare", str(result)]) == 0
    told = capsys.readouterr()
    assert not told.err
    lines = told.out.splitlines()
    assert lines[0].split()[:2] == ["vendor's", "phase"]
    assert lines[1].split() == [
        *("nickel", "m-3m", "cF", "m-3m", "point", "group", "2"),
        *("33.3", "%", "yes", "50.0", "%", "0.96"),
    ]
    assert "another symmetry: 4 points" in lines
    assert "not classified: 4 points" in lines
    assert contents(result.parent) == before


def test_the_table_is_written(result: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = result.with_name("agreement.csv")
    assert main(["compare", str(result), "-o", str(out), "--quiet"]) == 0
    assert capsys.readouterr().out == ""
    rows = rows_of(out)
    assert list(rows[0]) == COLUMNS
    assert sum(int(row["points"]) for row in rows) == 16
    assert {row["agrees"] for row in rows} == {"yes", "no", ""}
    assert rows[0]["same_lattice"] == "0.5000"


def test_json_says_the_same(result: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = result.with_name("both.ang")
    words = ["--merge", str(out), "--replace", "disagreeing", "--least", "0.5", "--json"]
    assert main(["compare", str(result), *words]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["points"]["agree"] == EXPECTED.count(1)
    assert list(told["table"][0]) == COLUMNS
    assert told["merged"]["points"] == 4
    assert "0.5" in told["merged"]["replaced"]
    assert orix.io.load(out).shape == (4, 5)


@pytest.mark.parametrize("suffix", [".h5", ".ang", ".ctf"])
def test_a_map_of_both_is_written(
    result: Path, capsys: pytest.CaptureFixture[str], suffix: str
) -> None:
    out = result.with_name(f"both{suffix}")
    words = ["--merge", str(out), "--replace", "zinc", "unindexed"]
    assert main(["compare", str(result), *words]) == 0
    text = capsys.readouterr().out
    assert "merged: 7 points have our label and no orientation (zinc, unindexed)" in text
    assert text.endswith(f"written: {out}\n")
    assert sorted(path.name for path in result.parent.iterdir()) == sorted([out.name, "map.h5"])
    assert main(["provenance", str(out)]) == 0
    assert "zinc, unindexed" in capsys.readouterr().out


def test_the_phases_of_a_file_of_its_own_are_taken_instead(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ours(crystal_map=None).save(tmp_path / "map.h5")
    orix.io.save(tmp_path / "vendor.h5", theirs())
    words = ["--vendor", str(tmp_path / "vendor.h5"), "--json"]
    assert main(["compare", str(tmp_path / "map.h5"), *words]) == 0
    assert json.loads(capsys.readouterr().out)["points"]["another symmetry"] == 4


def without_phases(folder: Path) -> list[str]:
    ours(crystal_map=None).save(folder / "bare.h5")
    return [str(folder / "bare.h5")]


#: Words after `compare`, and what is said about them.
WRONG: list[tuple[str, Callable[[Path], list[str]], str]] = [
    ("no file", lambda f: [str(f / "none.h5")], "no file"),
    ("no phases", without_phases, "--vendor FILE"),
    ("merge alone", lambda f: [str(f / "map.h5"), "--merge", str(f / "a.ang")], "go together"),
    ("replace alone", lambda f: [str(f / "map.h5"), "--replace", "zinc"], "go together"),
    ("least alone", lambda f: [str(f / "map.h5"), "--least", "0.5"], "with --merge only"),
    ("table format", lambda f: [str(f / "map.h5"), "-o", str(f / "a.txt")], "use .csv"),
    (
        "merged format",
        lambda f: [str(f / "map.h5"), "--merge", str(f / "a.png"), "--replace", "zinc"],
        "use .h5 or .ang or .ctf",
    ),
    (
        "no such phase",
        lambda f: [str(f / "map.h5"), "--merge", str(f / "a.ang"), "--replace", "gold"],
        "no phase 'gold'",
    ),
    (
        "its own input",
        lambda f: [str(f / "map.h5"), "--merge", str(f / "map.h5"), "--replace", "zinc"],
        "is an input",
    ),
    ("not to overwrite", lambda f: [str(f / "map.h5"), "-o", str(f / "old.csv")], "--overwrite"),
    ("vendor", lambda f: [str(f / "map.h5"), "--vendor", str(f / "old.csv")], "none of"),
    ("least", lambda f: [str(f / "map.h5"), "--least", "2"], "between 0 and 1"),
]


@pytest.mark.parametrize(("make", "words"), [w[1:] for w in WRONG], ids=[w[0] for w in WRONG])
def test_wrong_requests_are_one_line_and_change_nothing(
    result: Path,
    capsys: pytest.CaptureFixture[str],
    make: Callable[[Path], list[str]],
    words: str,
) -> None:
    result.with_name("old.csv").write_text("precious")
    arguments = make(result.parent)
    before = contents(result.parent)
    assert main(["compare", *arguments]) == 2
    told = capsys.readouterr()
    assert is_one_error_line(told.err)
    assert words in told.err
    assert not told.out
    assert contents(result.parent) == before
