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

__all__ = ["draw_evaluation"]

_TITLES = {"laue_group": "Laue group", "bravais_lattice": "Bravais lattice"}
_TONES = {"seen": "#4477aa", "unseen": "#cc6677", "measured": "#228833"}


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
    """(split, label, summary) of everything that was tested."""
    found = [
        (split, f"{split}, {camera}", summary)
        for split in ("seen", "unseen")
        for camera, summary in result.get(split, {}).items()
    ]
    if "measured" in result:
        found.append(("measured", "measured", result["measured"]))
    return found


def _bars(axes: Axes, result: dict[str, Any], level: str) -> None:
    cases = _cases(result)
    for i, (split, label, summary) in enumerate(cases):
        value, (low, high) = summary[level]["accuracy"], summary[level]["interval"]
        # Equal values may average to a last digit outside their own interval.
        errors = np.maximum([[value - low], [high - value]], 0.0)
        axes.barh(i, value, color=_TONES[split], xerr=errors, capsize=3)
        axes.text(
            0.01, i, f"{label} ({summary['materials']}): {value:.1%}", va="center", fontsize=8,
            bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 1.0},
        )  # fmt: skip
    axes.set(xlim=(0, 1), yticks=[], title=f"{_TITLES[level]}: share right", xlabel="share right")
    axes.invert_yaxis()


def _hardest(result: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The unseen materials if there are any, else the seen: at the fast camera if tested."""
    for split in ("unseen", "seen"):
        cameras = result.get(split, {})
        if cameras:
            camera = "fast" if "fast" in cameras else next(iter(cameras))
            return f"{split} materials, {camera} camera", cameras[camera]
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
    axes.set_yticks(range(len(labels)), labels, fontsize=7)
    axes.set(xlabel="named", ylabel="true", title=f"{_TITLES[level]}, {title}, % of patterns")
    axes.title.set_fontsize(9)


def _reliability(axes: Axes, result: dict[str, Any], level: str) -> None:
    axes.plot([0, 1], [0, 1], color="#999999", lw=1)
    for split, label, summary in _cases(result):
        curve = np.asarray(summary[level]["reliability"])
        style = {"good": "-", "fast": "--", "poor": ":"}.get(label.rsplit(" ", 1)[-1], "-")
        axes.plot(
            curve[:, 0], curve[:, 1], style, color=_TONES[split], marker=".",
            label=f"{label}, ECE {summary[level]['ece']:.3f}",
        )  # fmt: skip
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="probability given", ylabel="share right",
             title=f"{_TITLES[level]}: reliability")  # fmt: skip
    axes.legend(fontsize=7)
