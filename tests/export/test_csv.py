# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables are read by people and by spreadsheet programs."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np

from napari_ebsd_phase.phase_map import PhaseMap

HEADER = (
    "source,row,col,point_group,point_group_probability,laue_group,laue_group_probability,"
    "crystal_system,crystal_system_probability,bravais_lattice,bravais_lattice_probability,"
    "label,level,pattern_quality"
)


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_columns_are_the_promised_ones(phase_map: PhaseMap, tmp_path: Path) -> None:
    phase_map.save(tmp_path / "map.csv")
    assert (tmp_path / "map.csv").read_text().splitlines()[0] == HEADER


def test_every_pattern_has_a_row_that_says_what_the_map_says(
    phase_map: PhaseMap, tmp_path: Path
) -> None:
    phase_map.save(tmp_path / "map.csv")
    rows = table(tmp_path / "map.csv")
    assert [(int(r["row"]), int(r["col"])) for r in rows] == list(np.ndindex(12, 20))
    assert {r["source"] for r in rows} == {"steel, annealed.h5oina"}
    assert {r["level"] for r in rows} >= {"point_group", "laue_group", "none"}
    for column in ("point_group", "laue_group", "crystal_system", "bravais_lattice"):
        assert [r[column] for r in rows] == getattr(phase_map, column).ravel().tolist()
        written = [float(r[f"{column}_probability"]) for r in rows]
        best = phase_map.most_probable(column)[1].ravel()
        np.testing.assert_allclose(written, best, atol=5.1e-5)
    assert [r["label"] for r in rows] == phase_map.label.ravel().tolist()
    assert [r["level"] for r in rows] == phase_map.level.ravel().tolist()


def test_numbers_have_four_decimals(phase_map: PhaseMap, tmp_path: Path) -> None:
    phase_map.save(tmp_path / "map.csv")
    first = table(tmp_path / "map.csv")[0]
    for name, cell in first.items():
        if name.endswith("_probability") or name == "pattern_quality":
            assert len(cell.partition(".")[2]) == 4


def test_only_classified_patterns_are_written(partial_map: PhaseMap, tmp_path: Path) -> None:
    partial_map.save(tmp_path / "map.csv")
    rows = table(tmp_path / "map.csv")
    places = [(row, col) for row in range(2, 6) for col in range(3, 13)]
    assert [(int(r["row"]), int(r["col"])) for r in rows] == places
    assert "nan" not in (tmp_path / "map.csv").read_text()


def test_a_folder_of_images_has_one_source_a_row(tmp_path: Path) -> None:
    names = ["a.png", "with, comma.png", os.fsdecode(b"not \xff text.png")]
    phase_map = PhaseMap(
        np.full((1, 3, 32), 1 / 32), np.full((1, 3, 14), 1 / 14), np.ones((1, 3)), sources=names
    )
    phase_map.save(tmp_path / "map.csv")
    written = [r["source"] for r in table(tmp_path / "map.csv")]
    assert written == ["a.png", "with, comma.png", r"not \udcff text.png"]


def test_undecided_patterns_have_an_empty_label(tmp_path: Path) -> None:
    phase_map = PhaseMap(np.full((1, 1, 32), 1 / 32), np.full((1, 1, 14), 1 / 14), np.ones((1, 1)))
    phase_map.save(tmp_path / "map.csv")
    (row,) = table(tmp_path / "map.csv")
    assert (row["label"], row["level"]) == ("", "none")
