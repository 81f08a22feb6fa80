# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables of a saliency study in markdown, and plain values for JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from .saliency_measures import Interval
from .saliency_study import SOURCES

__all__ = ["TITLES", "axes_table", "deletion_table", "families_table", "forgetting_table", "plain"]

TITLES = {
    "seen": "materials of training",
    "unseen": "unseen materials",
    "measured": "measured nickel",
}

_FALLS = {
    "log_odds": ("log odds", "+.2f"),
    "probability": ("probability", "+.3f"),
    "change": ("input changed", ".1%"),
    "area": ("area", ".1%"),
}

Table = Mapping[str, Mapping[str, Mapping[str, Interval]]]


def axes_table(summary: Table) -> str:
    """Table of :func:`.saliency_summary.summarise_axes`."""
    head = ("patterns", "map", "share near axes", "share / area", "turned crystal: share / area",
            "network ahead by", "hits", "turned crystal: hits", "rank: multiplicity",
            "rank: bands")  # fmt: skip
    rows = []
    for kind, table in summary.items():
        for source in SOURCES:
            m = table[source]
            ahead = "" if source == "network" else f"{m['behind']:+.2f}"
            rows.append(
                (
                    f"{TITLES[kind]} ({_groups(kind, table['network']['lift'])})"
                    if source == SOURCES[0]
                    else "",
                    source,
                    f"{m['share'].mean:.1%} of {m['area'].mean:.1%}",
                    f"{m['lift']:.2f}",
                    f"{m['random_lift']:.2f}",
                    ahead,
                    f"{m['hit']:.0%}",
                    f"{m['random_hit']:.0%}",
                    f"{m['multiplicity']:+.2f}",
                    f"{m['bands']:+.2f}",
                )
            )
    return _markdown(head, rows)


def _groups(kind: str, interval: Interval) -> str:
    return f"{interval.groups} {'patterns' if kind == 'measured' else 'materials'}"


def families_table(summary: Table) -> str:
    """Table of :func:`.saliency_summary.summarise_families`: share over area, by family."""
    rows = [
        (system, family, str(table["network"].groups), *(f"{table[s]:.2f}" for s in SOURCES))
        for system, families in summary.items()
        for family, table in families.items()
    ]
    return _markdown(("crystals", "family", "materials", *SOURCES), rows)


def forgetting_table(summary: Table) -> str:
    """Table of what :func:`.saliency_study.forget` gives: likeness by the layer set back last."""
    kinds = list(summary)
    how = {"signed": "with sign", "absolute": "without"}
    head = (
        "set back as far as",
        *(f"{TITLES[kind]}: {words}" for kind in kinds for words in how.values()),
    )
    rows = []
    for layer in summary[kinds[0]]:
        values = [f"{summary[kind][layer][name]:+.2f}" for kind in kinds for name in how]
        rows.append((layer, *values))
    return _markdown(head, rows)


def deletion_table(summary: Table, *, equal: str = "area") -> str:
    """Table of :func:`.saliency_summary.summarise_deletion`: fall of log odds and probability.

    Parameters
    ----------
    summary
        One of the two.
    equal
        What the parts have in common, ``area`` or ``change``; the other is told.
    """
    kinds = list(summary)
    told = ("log_odds", "probability", "change" if equal == "area" else "area")
    head = [f"{TITLES[kind]}: {_FALLS[name][0]}" for kind in kinds for name in told]
    rows = []
    for part in summary[kinds[0]]:
        falls = [f"{summary[kind][part][n]:{_FALLS[n][1]}}" for kind in kinds for n in told]
        rows.append((part, *falls))
    return _markdown(("what is blurred", *head), rows)


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def plain(value: Any) -> Any:
    """A summary as JSON has it: intervals as objects, what is not a number as null."""
    if isinstance(value, Interval):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    return value
