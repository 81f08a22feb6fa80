# SPDX-License-Identifier: GPL-3.0-or-later
"""The figure that goes with an evaluation: accuracies, confusion, reliability."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ..crystallography import names
from .tested import TESTS

__all__ = ["draw_evaluation"]

_TITLES = {"laue_group": "Laue group", "bravais_lattice": "Bravais lattice"}
_TONES = {
    "seen": "#4477aa",
    "unseen": "#cc6677",
    "calibration": "#aa3377",
    "unknown": "#bbbbbb",
    "simulator": "#ccbb44",
    "simulator_seen": "#66ccee",
    "simulator_unknown": "#777777",
    "measured": "#228833",
}


def draw_evaluation(result: dict[str, Any], path: Path) -> None:
    """Draw the output of :func:`napari_ebsd_phase.training.evaluate.evaluate`.

    Parameters
    ----------
    result
        The evaluation.
    path
        PNG file to write; an existing one is replaced.
    """
    figure = Figure(figsize=(15, 9.5), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(2, 3)
    for row, level in enumerate(_TITLES):
        _bars(grid[row, 0], result, level)
        _confusion(grid[row, 1], result, level)
        _reliability(grid[row, 2], result, level)
    figure.suptitle(
        f"{result['network']}: means over materials; class prior: {result['prior']}", fontsize=11
    )
    part = path.with_name(path.name + ".part")
    figure.savefig(part, format="png", dpi=110)
    part.replace(path)


def _cases(result: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """(test, label, summary) of everything that was tested."""
    found = [
        (test, f"{title.removesuffix(' materials')}, {camera}", summary)
        for test, title in TESTS.items()
        for camera, summary in result.get(test, {}).items()
    ]
    if "measured" in result:
        found.append(("measured", "measured", result["measured"]))
    return found


def _bars(axes: Axes, result: dict[str, Any], level: str) -> None:
    cases = _cases(result)
    for i, (test, _, summary) in enumerate(cases):
        value, (low, high) = summary[level]["accuracy"], summary[level]["interval"]
        # Equal values may average to a last digit outside their own interval.
        errors = np.maximum([[value - low], [high - value]], 0.0)
        axes.barh(
            i, value, color=_TONES[test], xerr=errors, capsize=3, ecolor="#333333", height=0.7
        )
        axes.text(max(value, high) + 0.02, i, f"{value:.0%}", va="center", fontsize=8)
    labels = [f"{label} ({summary['materials']})" for _, label, summary in cases]
    axes.set_yticks(range(len(cases)), labels, fontsize=8)
    axes.set_xticks(np.arange(0, 1.01, 0.2))
    axes.set(xlim=(0, 1.1), title=f"{_TITLES[level]}: share right", xlabel="share right")
    axes.spines[["top", "right"]].set_visible(False)
    axes.invert_yaxis()


def _hardest(result: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The unseen materials if there are any, else the next best: at the fast camera if tested."""
    for test in ("unseen", "calibration", *TESTS):
        cameras = result.get(test, {})
        if cameras:
            camera = "fast" if "fast" in cameras else next(iter(cameras))
            return f"{TESTS[test]}, {camera} camera", cameras[camera]
    return "measured", result["measured"]


def _confusion(axes: Axes, result: dict[str, Any], level: str) -> None:
    title, summary = _hardest(result)
    table = np.asarray(summary[level]["confusion"], dtype=float)
    total = table.sum(axis=1, keepdims=True)
    share = np.divide(table, total, out=np.zeros_like(table), where=total > 0)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    labels = names(level)
    for i, j in zip(*np.nonzero(share >= 0.05), strict=True):
        tone = "white" if share[i, j] > 0.5 else "black"
        axes.text(j, i, f"{share[i, j]:.0%}"[:-1], ha="center", va="center", fontsize=6, color=tone)
    axes.set_xticks(range(len(labels)), labels, rotation=90, fontsize=7)
    counts = [f"{name} ({n:.0f})" for name, n in zip(labels, total[:, 0], strict=True)]
    axes.set_yticks(range(len(labels)), counts, fontsize=7)
    axes.set(
        xlabel="named",
        ylabel="true (patterns)",
        title=f"{_TITLES[level]}, {title}, % of patterns",
    )
    axes.title.set_fontsize(9)


def _reliability(axes: Axes, result: dict[str, Any], level: str) -> None:
    axes.plot([0, 1], [0, 1], color="#999999", lw=1)
    for test, label, summary in _cases(result):
        confidence, right, share = np.asarray(summary[level]["reliability"]).T
        style = {"good": "-", "fast": "--", "poor": ":"}.get(label.rsplit(" ", 1)[-1], "-")
        text = f"{label}, ECE {summary[level]['ece']:.2f}"
        axes.plot(confidence, right, style, color=_TONES[test], lw=1.2, label=text, alpha=0.8)
        # A point of few patterns says little: areas are the shares of the patterns.
        axes.scatter(confidence, right, 4 + 150 * share, color=_TONES[test], lw=0, alpha=0.8)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel="probability given",
             ylabel="share right", title=f"{_TITLES[level]}: reliability")  # fmt: skip
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=7, handlelength=3.5, framealpha=0.7)
