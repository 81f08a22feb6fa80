# SPDX-License-Identifier: GPL-3.0-or-later
"""The log of a training run: ``log.csv``, one row every so many steps."""

from __future__ import annotations

import csv
import os
from pathlib import Path

__all__ = ["COLUMNS", "append_row", "hours", "trim"]

COLUMNS = (
    "step",
    "patterns",
    "loss",
    "learning_rate",
    "patterns_per_s",
    "calibration_laue",
    "calibration_lattice",
)

_NAME = "log.csv"


def append_row(folder: Path, row: dict[str, str | int]) -> None:
    """Add a row with the :data:`COLUMNS`; the header comes first in a new file."""
    path = folder / _NAME
    new = not path.exists()
    with path.open("a", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS)
        if new:
            writer.writeheader()
        writer.writerow(row)


def trim(folder: Path, step: int) -> None:
    """Drop the rows after a step, and a half-written one.

    A resumed run does those steps, and writes those rows, again.
    """
    path = folder / _NAME
    if not path.exists():
        return
    with path.open(encoding="utf-8", newline="") as stream:
        # A row without its line end was cut off as it was written: its numbers may be too short.
        lines = [line for line in stream if line.endswith("\n")]
    rows = [r for r in csv.DictReader(lines) if (r.get("step") or "").isdigit()]
    part = path.with_name(path.name + ".part")
    with part.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, extrasaction="ignore", restval="")
        writer.writeheader()
        writer.writerows(r for r in rows if int(r["step"]) <= step)
    os.replace(part, path)


def hours(folder: Path) -> float:
    """Wall-clock hours that the steps in the log took, interruptions left out."""
    path = folder / _NAME
    if not path.exists():
        return 0.0
    with path.open(encoding="utf-8", newline="") as stream:
        rows = [(int(r["patterns"]), float(r["patterns_per_s"])) for r in csv.DictReader(stream)]
    before = [0, *(patterns for patterns, _ in rows[:-1])]
    return sum(
        (patterns - start) / max(rate, 1e-9) / 3600
        for (patterns, rate), start in zip(rows, before, strict=True)
    )
