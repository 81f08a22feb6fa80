# SPDX-License-Identifier: GPL-3.0-or-later
"""An evaluation as text: the tables of the README and the model card are printed by this."""

from __future__ import annotations

from typing import Any

from ..crystallography import LEVELS

__all__ = ["format_evaluation"]

_HEADS = {
    "point_group": "point group",
    "laue_group": "Laue group",
    "crystal_system": "crystal system",
    "bravais_lattice": "Bravais lattice",
}


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _table(heads: list[str], rows: list[list[str]]) -> list[str]:
    return [_row(heads), _row(["---"] * len(heads)), *map(_row, rows)]


def format_evaluation(result: dict[str, Any]) -> str:
    """Markdown tables of an evaluation.

    Parameters
    ----------
    result
        Output of :func:`napari_ebsd_phase.training.evaluate.evaluate`.

    Returns
    -------
    str
        A table of simulated tests (means over materials, with 95 % bootstrap intervals) and,
        when measured patterns were tested, one with a row a set.
    """
    lines = [
        f"Network {result['network']} ({result['network_sha256'][:12]}), "
        f"class prior: {result['prior']}.",
        "",
    ]
    rows = []
    for split in ("seen", "unseen"):
        for camera, summary in result.get(split, {}).items():
            cells = [f"{split}, {camera} camera", str(summary["materials"])]
            for level in LEVELS:
                low, high = summary[level]["interval"]
                cells.append(f"{summary[level]['accuracy']:.0%} ({low:.0%} to {high:.0%})")
            cells.append(
                f"{summary['laue_group']['pooled']:.0%}, {summary['bravais_lattice']['pooled']:.0%}"
            )
            cells.append(
                f"{summary['laue_group']['ece']:.2f}, {summary['bravais_lattice']['ece']:.2f}"
            )
            rows.append(cells)
    if rows:
        heads = ["simulated patterns of", "materials", *(_HEADS[level] for level in LEVELS)]
        lines += _table([*heads, "pooled Laue, lattice", "ECE Laue, lattice"], rows)
    if "measured" in result:
        measured = result["measured"]
        rows = [
            [name, str(entry["patterns"]), *(str(entry[level]) for level in LEVELS)]
            for name, entry in measured["by_set"].items()
        ]
        rows.append(
            ["mean over sets", str(measured["patterns"])]
            + [f"{measured[level]['accuracy']:.0%}" for level in LEVELS]
        )
        if lines[-1]:
            lines.append("")
        heads = ["measured patterns", "pictures", *(f"{_HEADS[level]} right" for level in LEVELS)]
        lines += _table(heads, rows)
    return "\n".join(lines)
