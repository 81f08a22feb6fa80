# SPDX-License-Identifier: GPL-3.0-or-later
"""An evaluation as text: the tables of the README and the model card are printed by this."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..crystallography import LEVELS
from ..labels import DECISION_LEVELS
from .disturbances import DISTURBANCES
from .summary import POOLED
from .tested import TESTS

__all__ = ["format_evaluation"]

_HEADS = {
    "point_group": "point group",
    "laue_group": "Laue group",
    "crystal_system": "crystal system",
    "bravais_lattice": "Bravais lattice",
}


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _table(caption: str, heads: list[str], rows: list[list[str]]) -> list[str]:
    """A Markdown table below its caption; nothing if it has no rows."""
    if not rows:
        return []
    return ["", caption, "", _row(heads), _row(["---"] * len(heads)), *map(_row, rows)]


def _share(value: float, interval: list[float] | None = None) -> str:
    text = f"{100 * value:.1f} %"
    if interval is not None:
        text += f" ({100 * interval[0]:.1f} to {100 * interval[1]:.1f})"
    return text


def format_evaluation(result: dict[str, Any]) -> str:
    """Markdown tables of an evaluation.

    Parameters
    ----------
    result
        Output of :func:`napari_ebsd_phase.training.evaluate.evaluate`.

    Returns
    -------
    str
        Tables of single patterns and of patterns pooled by material, of how far the probabilities
        can be trusted, of point groups within their Laue group, of frames that are no patterns,
        of the rare point groups and, when measured patterns were tested, one with a row a set.
        Each says how many materials are behind a figure and which class prior was used.
    """
    prior = f"class prior: {result['prior']}"
    if result["prior"] == "known":
        prior += " (frequencies of the structure library)"
    lines = [
        f"Network {result['network']} ({result['network_sha256'][:12]}), {prior}. "
        f"{result['patterns_per_material']} patterns a material and camera; every figure is a mean "
        "over materials, with its 95 % bootstrap interval."
    ]
    if result["development"]:
        lines += ["", "Development: the materials of the final tests were left alone."]
    if not result["trained_on_known"]:
        lines += ["", "Seen materials: unknown, the card does not list what was trained on."]
    cases = list(_cases(result))
    lines += _table(
        f"Share right of single patterns; {prior}.",
        ["simulated patterns of", "materials", *(_HEADS[level] for level in LEVELS)],
        [
            [title, str(summary["materials"])]
            + [_share(summary[level]["accuracy"], summary[level]["interval"]) for level in LEVELS]
            for title, summary in cases
        ],
    )
    lines += _table(
        f"Share right of {POOLED} orientations of a material, pooled; {prior}.",
        ["simulated patterns of", "materials", *(_HEADS[level] for level in LEVELS)],
        [
            [title, str(summary["materials"])]
            + [
                _share(summary[level]["pooled"], summary[level]["pooled_interval"])
                for level in LEVELS
            ]
            for title, summary in cases
        ],
    )
    measured = [("measured sets", result["measured"])] if "measured" in result else []
    trusted = [*cases, *measured]
    lines += _table(
        f"Calibration error (15 bins) of the probability of each level; {prior}.",
        ["patterns of", "materials", *(_HEADS[level] for level in LEVELS)],
        [
            [title, str(summary["materials"])]
            + [f"{summary[level]['ece']:.3f}" for level in LEVELS]
            for title, summary in trusted
        ],
    )
    lines += _labels(trusted, prior)
    lines += _within_laue(trusted, prior)
    lines += _pattern_scores(cases, prior)
    lines += _rare_groups(result, prior)
    if measured:
        lines += _measured(result["measured"], prior)
    return "\n".join(lines)


def _cases(result: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Title and summary of every test on simulated patterns."""
    for test, title in TESTS.items():
        for camera, summary in result.get(test, {}).items():
            yield f"{title}, {camera} camera", summary


def _labels(cases: list[tuple[str, dict[str, Any]]], prior: str) -> list[str]:
    rows = []
    for title, summary in cases:
        best, own = summary["labelled"], summary["decision"]
        rows.append(
            [title, str(summary["materials"]), _share(best["share"]), f"{best['threshold']:.2f}"]
            + [_share(own[level]) for level in DECISION_LEVELS]
            + [_share(own["right"])]
        )
    if not rows:
        return []
    best, own = cases[0][1]["labelled"], cases[0][1]["decision"]
    return _table(
        f"Patterns whose Laue group can be told with {best['precision']:.0%} precision, by the "
        f"best threshold; and what the card's threshold of {own['threshold']:g} labels, and how "
        f"much of that is right; {prior}.",
        ["patterns of", "materials", f"Laue group at {best['precision']:.0%}", "from probability",
         *(f"labelled {_HEADS[level]}" for level in DECISION_LEVELS), "labels right"],
        rows,
    )  # fmt: skip


def _within_laue(cases: list[tuple[str, dict[str, Any]]], prior: str) -> list[str]:
    rows = []
    for title, summary in cases:
        found = summary["point_group_within_laue"]
        low, high = found["gain_interval"]
        rows.append(
            [title, str(found["materials"]), _share(found["accuracy"]), _share(found["majority"]),
             f"{100 * found['gain']:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"]
        )  # fmt: skip
    return _table(
        "Point group where the Laue group is right, against naming the commonest group of these "
        f"materials in each Laue group; {prior}.",
        ["patterns of", "materials", "point group right", "commonest group right", "gain in %"],
        rows,
    )


def _pattern_scores(cases: list[tuple[str, dict[str, Any]]], prior: str) -> list[str]:
    rows, scores = [], set()
    for title, summary in cases:
        found = summary.get("pattern_score")
        if found:
            scores.add(found["score"])
            values = [f"{found['auroc'][kind]:.3f}" for kind in (*DISTURBANCES, "together")]
            shares = [_share(found[key]) if key in found else "" for key in ("kept", "rejected")]
            rows.append([title, str(summary["materials"]), str(found["frames"]), *values, *shares])
    return _table(
        f"Patterns told from other frames (AUROC) by the {' or the '.join(sorted(scores))}, and "
        f"what the card's threshold for it does; {prior}.",
        ["patterns of", "materials", "other frames", *DISTURBANCES, "together",
         "patterns kept", "others rejected"],
        rows,
    )  # fmt: skip


def _rare_groups(result: dict[str, Any], prior: str) -> list[str]:
    rows = []
    cameras: list[str] = []
    for test, title in TESTS.items():
        summaries: dict[str, Any] = result.get(test, {})
        if not summaries:
            continue
        cameras = list(summaries)
        for group in next(iter(summaries.values()))["rare_groups"]:
            found = [summary["rare_groups"][group] for summary in summaries.values()]
            rows.append(
                [group, title, str(found[0]["materials"])]
                + [_share(entry["point_group"]) for entry in found]
                + [_share(entry["laue_group"]) for entry in found]
            )
    return _table(
        f"Rare point groups one by one: share right of single patterns; {prior}.",
        ["true group", "simulated patterns of", "materials",
         *(f"point group, {camera}" for camera in cameras),
         *(f"Laue group, {camera}" for camera in cameras)],
        rows,
    )  # fmt: skip


def _measured(measured: dict[str, Any], prior: str) -> list[str]:
    rows = [
        [name, str(entry["patterns"]), *(str(entry[level]) for level in LEVELS)]
        for name, entry in measured["by_set"].items()
    ]
    rows.append(
        [f"mean over {len(rows)} sets", str(measured["patterns"])]
        + [_share(measured[level]["accuracy"]) for level in LEVELS]
    )
    return _table(
        f"Measured patterns: pictures whose name is right; {prior}.",
        ["measured patterns", "pictures", *(f"{_HEADS[level]} right" for level in LEVELS)],
        rows,
    )
