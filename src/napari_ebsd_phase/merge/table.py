# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of a comparison, as text and as a file."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from ..export import replacing
from .comparison import AgreementRow

__all__ = ["HEADINGS", "cells", "write_table"]

HEADINGS = (
    *("vendor's phase", "symmetry", "lattice", "label", "level", "points", "share"),
    *("agrees", "same lattice", "probability"),
)
"""Headings of :func:`cells`."""


def cells(row: AgreementRow) -> tuple[str, ...]:
    """Return a row as people read it."""
    return (
        row.vendor_phase or "not indexed",
        row.vendor_symmetry,
        row.vendor_lattice,
        row.label or "undecided",
        row.level.replace("_", " ").replace("laue", "Laue"),
        f"{row.points:,}",
        f"{100 * row.share:.1f} %",
        _plain(row.agrees),
        "" if row.same_lattice is None else f"{100 * row.same_lattice:.1f} %",
        f"{row.probability:.2f}",
    )


def write_table(
    table: Sequence[AgreementRow], path: str | Path, *, overwrite: bool = False
) -> None:
    """Write a table as CSV: a row for each entry, columns as :class:`AgreementRow` has them.

    `agrees` is yes, no or empty, shares and probabilities are between 0 and 1.

    Raises
    ------
    InputError
        If the file exists and `overwrite` is False, or the folder cannot be written to.
    """
    with (
        replacing(Path(path), overwrite=overwrite) as temporary,
        temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([field.name for field in fields(AgreementRow)])
        writer.writerows([_plain(value) for value in asdict(row).values()] for row in table)


def _plain(value: Any) -> Any:
    """One entry: yes or no, four decimals, "" where there is nothing to say."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else f"{value:.4f}" if isinstance(value, float) else value
