# SPDX-License-Identifier: GPL-3.0-or-later
"""Picture of maps on the sphere: stereographic discs side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .sphere import stereographic

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

    from ..zone_axes import Catalogue

__all__ = ["Panel", "named_axes", "write_sphere"]

_DPI = 110
_DISC = 3.3  # inches
_NAMED = 4  # families of axes that have a mark


@dataclass(frozen=True, eq=False)
class Panel:
    """One disc.

    Parameters
    ----------
    title
        Above it; may have two lines.
    grid
        Northern hemisphere on the square equal-area grid, shape (n, n).
    signed
        Evidence for (red) and against (blue), with one scale for its own disc; else intensity.
    """

    title: str
    grid: np.ndarray
    signed: bool = True


def named_axes(catalogue: Catalogue, families: int = _NAMED) -> list[tuple[str, np.ndarray]]:
    """Zone axes of a crystal to mark: those in which most bands cross, by family.

    Returns
    -------
    list
        (name of the family, unit vectors (n, 3) of its members on the northern hemisphere).
    """
    names = list(dict.fromkeys(catalogue.family.tolist()))
    names.sort(key=lambda name: -catalogue.bands[catalogue.family == name].max())
    found = []
    for name in names[:families]:
        members = catalogue.direction[catalogue.family == name]
        found.append((name, members[members[:, 2] > -1e-6]))
    return found


def write_sphere(
    path: Path, panels: Sequence[Panel], catalogue: Catalogue | None, lines: Sequence[str]
) -> None:
    """Draw maps on the sphere side by side, with the same zone axes marked in each.

    Parameters
    ----------
    path
        PNG file to write.
    panels
        The discs.
    catalogue
        Of the crystal, for its zone axes; none are marked when None.
    lines
        Text above all, the first line in bold.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    above, below = 0.25 * len(lines) + 0.35, 0.7
    size = (_DISC + 0.15) * len(panels) + 0.2, above + _DISC + below
    figure = Figure(figsize=size, dpi=_DPI, facecolor="white")
    canvas = FigureCanvasAgg(figure)
    for number, text in enumerate(lines):
        figure.text(0.15 / size[0], 1 - (0.2 + 0.25 * number) / size[1], text, fontsize=10,
                    fontweight="normal" if number else "bold", va="center",
                    parse_math=False)  # fmt: skip
    marked = [] if catalogue is None else named_axes(catalogue)
    for number, panel in enumerate(panels):
        left = (0.1 + (_DISC + 0.15) * number) / size[0]
        axes = figure.add_axes((left, below / size[1], _DISC / size[0], _DISC / size[1]))
        axes.set_title(panel.title, fontsize=9, parse_math=False)
        image = _disc(axes, panel)
        for family, (_, members) in enumerate(marked):
            _mark(axes, members, family, light=not panel.signed)
        if panel.signed:
            bar = figure.add_axes(
                (left + 0.2 * _DISC / size[0], 0.42 / size[1], 0.6 * _DISC / size[0], 0.1 / size[1])
            )
            top = image.get_clim()[1] or 1.0
            ticks = figure.colorbar(image, cax=bar, orientation="horizontal", ticks=[-top, 0, top])
            ticks.set_ticklabels([f"-{top:.2g}", "0", f"{top:.2g}"])
            bar.tick_params(labelsize=7)
            bar.set_xlabel("against  |  evidence, log odds  |  for", fontsize=7, labelpad=1)
        elif marked:
            _legend(axes, [name for name, _ in marked])
    canvas.print_png(path)


_MARKS = ("s", "^", "o", "D")


def _disc(axes: Axes, panel: Panel) -> AxesImage:
    values = stereographic(panel.grid)
    known = values[np.isfinite(values)]
    if panel.signed:
        top = float(np.percentile(np.abs(known), 99.5)) if known.size else 1.0
        limits: dict[str, Any] = {"cmap": "RdBu_r", "vmin": -(top or 1.0), "vmax": top or 1.0}
    else:
        low, high = np.percentile(known, [0.5, 98.5]) if known.size else (0.0, 1.0)
        limits = {"cmap": "gray", "vmin": low, "vmax": high}
    image = axes.imshow(values, extent=(-1, 1, -1, 1), interpolation="bilinear", **limits)
    turn = np.linspace(0, 2 * np.pi, 361)
    axes.plot(np.cos(turn), np.sin(turn), color="#333333", lw=1)
    axes.set(xlim=(-1.03, 1.03), ylim=(-1.03, 1.03), aspect="equal")
    axes.set_axis_off()
    return image


def _mark(axes: Axes, directions: np.ndarray, family: int, *, light: bool) -> None:
    x, y, z = directions.T
    axes.plot(x / (1 + z), y / (1 + z), _MARKS[family], ms=6, mfc="none", mew=0.9, ls="",
              mec="#ffdd55" if light else "#222222")  # fmt: skip


def _legend(axes: Axes, names: Sequence[str]) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], marker=mark, ls="", mfc="none", mec="#222222", label=name)
        for mark, name in zip(_MARKS, names, strict=False)
    ]
    axes.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=4,
                fontsize=8, frameon=False, handletextpad=0.1, columnspacing=0.8)  # fmt: skip
