# SPDX-License-Identifier: GPL-3.0-or-later
"""The figure that goes with a saliency study: four panels, controls beside the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ..export._atomic import replacing
from .saliency_measures import Interval
from .saliency_report import TITLES
from .saliency_study import SOURCES

__all__ = ["draw_study"]

_TONES = {"seen": "#4477aa", "unseen": "#cc6677", "measured": "#228833"}

Table = Mapping[str, Mapping[str, Mapping[str, Interval]]]


def draw_study(
    name: str,
    axes: Table,
    forgetting: Table,
    deletion: Table,
    equally: Table,
    path: Path,
) -> None:
    """Draw the summaries of one network.

    Parameters
    ----------
    name
        Of the network.
    axes
        From :func:`.saliency_summary.summarise_axes`.
    forgetting
        From :func:`.saliency_summary.summarise_rows`.
    deletion, equally
        From :func:`.saliency_summary.summarise_deletion`.
    path
        PNG file to write; an existing one is replaced.
    """
    figure = Figure(figsize=(13, 9.5), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    grid = figure.subplots(2, 2)
    _by_source(grid[0, 0], axes, "lift", 1.0)
    grid[0, 0].set(title="Share of the map within 3° of a zone axis, over the share of the area",
                   xlabel="share / area (1: no preference)")  # fmt: skip
    _by_source(grid[0, 1], axes, "hit", None)
    grid[0, 1].set(title="Patterns whose highest pixel is within 3° of a zone axis",
                   xlabel="share of patterns")  # fmt: skip
    _forgetting(grid[1, 0], forgetting)
    _deletion(grid[1, 1], deletion, equally)
    for panel in grid.flat:
        panel.title.set_fontsize(10.5)
    handles = [
        Line2D([], [], color=_TONES[kind], marker="o", ls="", label=TITLES[kind]) for kind in axes
    ]
    handles.append(
        Line2D([], [], color="#666666", marker="o", mfc="white", ls="",
               label="the same crystals, turned at random")
    )  # fmt: skip
    handles.append(
        Line2D([], [], color="#666666", marker="D", mfc="white", ls="",
               label="parts cut to change the input equally")
    )  # fmt: skip
    figure.legend(handles=handles, loc="outside lower center", ncols=5, frameon=False)
    figure.suptitle(
        f"Where the network {name} looks: means over materials (measured: over patterns), with the "
        "range of 95 % of bootstrap copies",
        fontsize=12,
    )
    with replacing(path, overwrite=True) as temporary, open(temporary, "wb") as file:
        canvas.print_png(file)


def _bar(axes: Axes, interval: Interval, place: float, tone: str) -> None:
    if interval.groups:
        errors = np.maximum([[interval.mean - interval.low], [interval.high - interval.mean]], 0)
        axes.errorbar(interval.mean, place, xerr=errors, fmt="o", color=tone, ms=6, capsize=3)


def _places(count: int, kinds: Sequence[str]) -> dict[str, np.ndarray]:
    """Heights of `count` rows for each kind, a little apart."""
    step = 0.22
    middle = (len(kinds) - 1) / 2
    return {k: np.arange(count) + step * (i - middle) for i, k in enumerate(kinds)}


def _rows(axes: Axes, labels: Sequence[str]) -> None:
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    for line in range(len(labels) - 1):
        axes.axhline(line + 0.5, color="#dddddd", lw=0.8, zorder=0)
    axes.spines[["top", "right"]].set_visible(False)


def _by_source(axes: Axes, summary: Table, measure: str, nothing: float | None) -> None:
    for kind, heights in _places(len(SOURCES), list(summary)).items():
        for source, place in zip(SOURCES, heights, strict=True):
            m = summary[kind][source]
            _bar(axes, m[measure], place, _TONES[kind])
            turned = m[f"random_{measure}"]
            if turned.groups:
                axes.plot(turned.mean, place, "o", ms=6, mfc="white", mec=_TONES[kind], zorder=3)
    if nothing is not None:
        axes.axvline(nothing, color="#999999", lw=1, ls="--", zorder=0)
    else:
        axes.set_xlim(left=0)
    _rows(axes, SOURCES)


def _forgetting(axes: Axes, summary: Table) -> None:
    for kind, table in summary.items():
        place = np.arange(len(table) + 1)
        for name, style in (("signed", "o-"), ("absolute", "s:")):
            intervals = [m[name] for m in table.values()]
            mean = np.array([1.0, *(i.mean for i in intervals)])
            low = np.array([1.0, *(i.low for i in intervals)])
            high = np.array([1.0, *(i.high for i in intervals)])
            axes.plot(place, mean, style, color=_TONES[kind], ms=5, lw=1.4)
            if name == "signed":
                axes.fill_between(place, low, high, color=_TONES[kind], alpha=0.15, lw=0)
    layers = list(next(iter(summary.values())))
    axes.set_xticks(range(len(layers) + 1), ["trained", *layers], rotation=30, ha="right")
    axes.axhline(0, color="#999999", lw=1, ls="--", zorder=0)
    axes.set_title("Heat map after layers lost their weights, from the head down")
    axes.set(xlabel="set back as far as", ylabel="rank correlation with the trained one")
    axes.spines[["top", "right"]].set_visible(False)
    styles = (("o-", "with sign"), ("s:", "without"))
    axes.legend(
        handles=[
            Line2D([], [], color="#666666", marker=style[0], ls=style[1:], label=label)
            for style, label in styles
        ],
        fontsize=9,
        frameon=False,
    )


def _deletion(axes: Axes, summary: Table, equally: Table) -> None:
    parts = [part for part in next(iter(summary.values())) if " less " not in part]
    for kind, heights in _places(len(parts), list(summary)).items():
        for part, place in zip(parts, heights, strict=True):
            _bar(axes, summary[kind][part]["log_odds"], place, _TONES[kind])
            cut = equally[kind][part]["log_odds"]
            if cut.groups:
                axes.plot(cut.mean, place, "D", ms=5, mfc="white", mec=_TONES[kind], zorder=3)
    axes.axvline(0, color="#999999", lw=1, ls="--", zorder=0)
    _rows(axes, parts)
    axes.set(title="What the network loses when 4 % of the screen is blurred",
             xlabel="fall of the log odds of the class")  # fmt: skip
