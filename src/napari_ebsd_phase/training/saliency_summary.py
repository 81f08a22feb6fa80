# SPDX-License-Identifier: GPL-3.0-or-later
"""From rows of single patterns to means over materials with their intervals."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from .saliency_measures import Interval, bootstrap
from .saliency_study import SOURCES

__all__ = [
    "FAMILIES",
    "KINDS",
    "summarise_axes",
    "summarise_deletion",
    "summarise_families",
    "summarise_rows",
]

KINDS = ("seen", "unseen", "measured")
FAMILIES = {
    "cubic": ("<001>", "<011>", "<111>", "<112>", "<013>"),
    "hexagonal": ("<0001>", "<11-20>", "<10-10>", "<10-11>", "<11-23>"),
}
"""Families named in tables; their shares are means over the materials that have them."""

_SYSTEM = {"c": "cubic", "h": "hexagonal"}
_FALLS = ("log_odds", "probability", "change", "area")
_MEASURES = ("share", "area", "hit", "random_share", "random_area", "random_hit", "multiplicity",
             "bands")  # fmt: skip

Row = dict[str, Any]


def summarise_axes(rows: Sequence[Row], seed: int = 0) -> dict[str, dict[str, dict[str, Interval]]]:
    """Means over materials of what :func:`.saliency_study.examine` gives.

    Parameters
    ----------
    rows
        Of one network.
    seed
        Of the bootstrap.

    Returns
    -------
    dict
        Kind to source to measure. Beside those of the rows: ``lift`` and ``random_lift``, share
        over area, each a mean over the patterns of a material; ``behind``, how much smaller the
        lift is than the network's, on the same materials, and ``hit_behind``, the same of hits.
        For the one measured material, where there is nothing to draw materials from, intervals
        are over its patterns.
    """
    result: dict[str, dict[str, dict[str, Interval]]] = {}
    for kind in KINDS:
        of_kind = [row for row in rows if row["kind"] == kind]
        if not of_kind:
            continue
        lifts = {source: _lifts(of_kind, source, "") for source in SOURCES}
        result[kind] = {}
        for source in SOURCES:
            mine = [row for row in of_kind if row["source"] == source]
            groups = [_group(row) for row in mine]
            table = {
                name: bootstrap([row[name] for row in mine], groups, seed=seed)
                for name in _MEASURES
            }
            table["lift"] = _over(lifts[source], seed)
            table["random_lift"] = _over(_lifts(of_kind, source, "random_"), seed)
            both = lifts["network"].keys() & lifts[source].keys()
            table["behind"] = _over(
                {group: lifts["network"][group] - lifts[source][group] for group in both}, seed
            )
            hits, others = _hits(of_kind, "network"), _hits(of_kind, source)
            table["hit_behind"] = _over(
                {group: hits[group] - others[group] for group in hits.keys() & others.keys()}, seed
            )
            result[kind][source] = table
    return result


def _group(row: Row) -> str:
    """What intervals are over: the material, or the pattern where there is but one material."""
    return row["material"] if row["kind"] != "measured" else f"pattern {row['pattern']}"


def _lifts(rows: Sequence[Row], source: str, prefix: str) -> dict[str, float]:
    """Share over area of each group that has both."""
    sums: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for row in rows:
        if row["source"] == source and np.isfinite(row[f"{prefix}share"]):
            sums[_group(row)].append((row[f"{prefix}share"], row[f"{prefix}area"]))
    means = {group: np.mean(values, axis=0) for group, values in sums.items()}
    return {group: float(share / area) for group, (share, area) in means.items() if area > 0}


def _hits(rows: Sequence[Row], source: str) -> dict[str, float]:
    """Share of hits of each group."""
    found: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        if row["source"] == source and np.isfinite(row["hit"]):
            found[_group(row)].append(row["hit"])
    return {group: float(np.mean(values)) for group, values in found.items()}


def _over(values: dict[str, float], seed: int) -> Interval:
    ordered = sorted(values)  # the bootstrap draws by place: sets have none
    return bootstrap([values[group] for group in ordered], ordered, seed=seed)


def summarise_families(
    rows: Sequence[Row], seed: int = 0
) -> dict[str, dict[str, dict[str, Interval]]]:
    """Lift of families of axes by name.

    Parameters
    ----------
    rows
        From :func:`.saliency_study.examine`; measured ones are left out.
    seed
        Of the bootstrap.

    Returns
    -------
    dict
        ``cubic`` and ``hexagonal`` to family (:data:`FAMILIES`) to source: mean over materials of
        the share of the mass over the share of the area.
    """
    pairs: dict[tuple[str, str, str], dict[str, list[tuple[float, float]]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for row in rows:
        system = _SYSTEM.get(row["bravais"][0])
        if system is None or row["kind"] == "measured":
            continue
        for family, pair in row["families"].items():
            if np.isfinite(pair[0]):
                pairs[system, family, row["source"]][row["material"]].append(pair)
    result: dict[str, dict[str, dict[str, Interval]]] = {}
    for system, families in FAMILIES.items():
        result[system] = {}
        for family in families:
            table = {}
            for source in SOURCES:
                means = {
                    material: np.mean(values, axis=0)
                    for material, values in pairs[system, family, source].items()
                }
                table[source] = _over(
                    {material: float(m[0] / m[1]) for material, m in means.items()}, seed
                )
            if table["network"].groups:
                result[system][family] = table
    return result


def summarise_rows(
    rows: Iterable[Row], by: str, measures: Sequence[str], seed: int = 0
) -> dict[str, dict[str, dict[str, Interval]]]:
    """Means over materials of any measures.

    Parameters
    ----------
    rows
        Rows of one network.
    by
        Name of the column that tells apart what is compared.
    measures
        Names of the columns that are averaged.
    seed
        Of the bootstrap.

    Returns
    -------
    dict
        Kind to value of `by`, in the order of the rows, to measure.
    """
    rows = list(rows)
    result: dict[str, dict[str, dict[str, Interval]]] = {}
    for kind in KINDS:
        of_kind = [row for row in rows if row["kind"] == kind]
        for value in dict.fromkeys(row[by] for row in of_kind):
            mine = [row for row in of_kind if row[by] == value]
            groups = [_group(row) for row in mine]
            result.setdefault(kind, {})[value] = {
                name: bootstrap([row[name] for row in mine], groups, seed=seed) for name in measures
            }
    return result


def summarise_deletion(
    rows: Iterable[Row], seed: int = 0
) -> tuple[dict[str, dict[str, dict[str, Interval]]], ...]:
    """Means of what :func:`.saliency_study.delete` gives: at equal area, at equal change."""
    rows = list(rows)
    return tuple(
        summarise_rows([row for row in rows if row["equal"] == equal], "part", _FALLS, seed)
        for equal in ("area", "change")
    )
