# SPDX-License-Identifier: GPL-3.0-or-later
"""Table with one row for every classified pattern."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..crystallography import LEVELS, names

if TYPE_CHECKING:
    from ..phase_map import PhaseMap

COLUMNS = (
    "source",
    "row",
    "col",
    *(name for level in LEVELS for name in (level, f"{level}_probability")),
    "label",
    "level",
    "pattern_quality",
)


def write(phase_map: PhaseMap, path: Path) -> None:
    """Write the classified patterns to `path`, row by row of the map; numbers have 4 decimals."""
    # Names of image files may hold bytes that are no text: they must not stop a finished map.
    with path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in range(phase_map.shape[0]):
            writer.writerows(_lines(phase_map, row))


def _lines(phase_map: PhaseMap, row: int) -> Iterator[tuple[object, ...]]:
    """Yield the table rows of one row of the map."""
    one_row = phase_map.crop(slice(row, row + 1), slice(None))
    best = []
    for level in LEVELS:
        index, probability = one_row.most_probable(level)
        # Python's own numbers: as numpy scalars, a million of them would take minutes.
        best.append((names(level), index[0].tolist(), probability[0].tolist()))
    labels, levels = (array[0].tolist() for array in one_row.decide())
    quality = one_row.pattern_quality[0].tolist()
    for col in one_row.done[0].nonzero()[0].tolist():
        cells = [
            cell
            for names_here, index, probability in best
            for cell in (names_here[index[col]], f"{probability[col]:.4f}")
        ]
        yield (
            phase_map.source_name(row, col),
            row,
            col,
            *cells,
            labels[col],
            levels[col],
            f"{quality[col]:.4f}",
        )
