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
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

    from ..zone_axes import Catalogue

__all__ = ["Panel", "draw_sphere", "fold_of", "named_axes", "write_sphere"]

_DPI = 110
# In inches.
_DISC, _SMALLEST, _GAP, _LINE = 3.3, 0.8, 0.15, 0.25
_ABOVE, _BELOW = 0.35, 0.7  # of a disc: its title; its scale, or the legend
_ROOM_FOR_LABELS = 2.0  # smaller discs have the legend alone
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


def fold_of(direction: np.ndarray, operations: np.ndarray) -> int:
    """How often a rotation about a direction brings the crystal back on itself in one turn.

    Parameters
    ----------
    direction
        Unit vector (3,).
    operations
        Of the Laue class, (k, 3, 3), see :func:`.sphere.laue_operations`.
    """
    proper = operations[np.linalg.det(operations) > 0]
    return int(np.isclose(proper @ direction, direction, atol=1e-3).all(axis=1).sum())


def write_sphere(
    path: Path,
    panels: Sequence[Panel],
    catalogue: Catalogue | None,
    lines: Sequence[str],
    operations: np.ndarray | None = None,
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
    operations
        Of the Laue class, (k, 3, 3): the legend says which axes are axes of symmetry.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    above = _LINE * len(lines)
    size = (_DISC + _GAP) * len(panels) + 0.2, above + _ABOVE + _DISC + _BELOW
    figure = Figure(figsize=size, dpi=_DPI, facecolor="white")
    canvas = FigureCanvasAgg(figure)
    for number, text in enumerate(lines):
        figure.text(0.15 / size[0], 1 - (0.2 + _LINE * number) / size[1], text, fontsize=10,
                    fontweight="normal" if number else "bold", va="center",
                    parse_math=False)  # fmt: skip
    draw_sphere(figure, panels, catalogue, operations, above=above)
    canvas.print_png(path)


def draw_sphere(
    figure: Figure,
    panels: Sequence[Panel],
    catalogue: Catalogue | None,
    operations: np.ndarray | None = None,
    *,
    above: float = 0.0,
    ink: str = "black",
) -> None:
    """Draw maps on the sphere as large as a figure has room for, in a row or in a column.

    Parameters
    ----------
    figure
        An empty one.
    panels, catalogue, operations
        See :func:`write_sphere`.
    above
        Inches at the upper edge that are left free.
    ink
        Colour of letters and lines outside the discs.
    """
    width, height = figure.get_size_inches()
    number = len(panels)
    disc, cols = max(
        (_room(width, height - above, number, cols), cols) for cols in sorted({1, number})
    )
    disc = max(disc, _SMALLEST)
    box = disc + _GAP, _ABOVE + disc + _BELOW
    left0 = max(0.0, (width - cols * box[0]) / 2)
    marked = [] if catalogue is None else named_axes(catalogue)
    for place, panel in enumerate(panels):
        row, col = divmod(place, cols)
        left = left0 + col * box[0] + _GAP / 2
        bottom = height - above - row * box[1] - _ABOVE - disc
        axes = figure.add_axes((left / width, bottom / height, disc / width, disc / height))
        size = min(9.0, 4 + 2.5 * disc)
        axes.set_title(panel.title, fontsize=size, parse_math=False, color=ink)
        image = _disc(axes, panel, ink)
        for family, (_, members) in enumerate(marked):
            _mark(axes, members, family, disc, light=not panel.signed)
        if catalogue is not None and disc >= _ROOM_FOR_LABELS:
            _label(axes, catalogue, [name for name, _ in marked], light=not panel.signed)
        if panel.signed:
            bar = figure.add_axes(
                ((left + 0.2 * disc) / width, (bottom - 0.28) / height, 0.6 * disc / width,
                 0.1 / height)
            )  # fmt: skip
            top = image.get_clim()[1] or 1.0
            ticks = figure.colorbar(image, cax=bar, orientation="horizontal", ticks=[-top, 0, top])
            ticks.set_ticklabels([f"-{top:.2g}", "0", f"{top:.2g}"])
            bar.tick_params(labelsize=7, colors=ink)
            bar.set_xlabel("against  |  evidence, log odds  |  for", labelpad=1, color=ink,
                           fontsize=min(7.0, 3.5 + 2 * disc))  # fmt: skip
        elif marked:
            _legend(axes, marked, operations, disc, ink)


def _room(width: float, height: float, number: int, cols: int) -> float:
    """Diameter of the discs, in inches, if so many stand in a row."""
    rows = -(-number // cols)
    return min((width - 0.2) / cols - _GAP, height / rows - _ABOVE - _BELOW)


_MARKS = ("s", "^", "o", "D")


def _disc(axes: Axes, panel: Panel, ink: str) -> AxesImage:
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
    axes.plot(np.cos(turn), np.sin(turn), color=ink, lw=1)
    axes.set(xlim=(-1.03, 1.03), ylim=(-1.03, 1.03), aspect="equal")
    axes.set_axis_off()
    return image


def _mark(axes: Axes, directions: np.ndarray, family: int, disc: float, *, light: bool) -> None:
    x, y, z = directions.T
    size = min(6.0, 2 + 1.5 * disc)
    axes.plot(x / (1 + z), y / (1 + z), _MARKS[family], ms=size, mfc="none", mew=0.9, ls="",
              mec="#ffdd55" if light else "#222222")  # fmt: skip


def _label(axes: Axes, catalogue: Catalogue, families: Sequence[str], *, light: bool) -> None:
    """Write the indices of one axis of each family beside it."""
    from matplotlib.patheffects import withStroke

    tone, halo = ("#ffdd55", "black") if light else ("#222222", "white")
    for name in families:
        members = np.flatnonzero((catalogue.family == name) & (catalogue.direction[:, 2] > -1e-6))
        # Inside the disc there is room for letters; of those the one nearest to its upper right.
        x, y, z = catalogue.direction[members].T
        at = members[np.argmax(np.where(z > 0.1, x + 1.1 * y, x + 1.1 * y - 9))]
        x, y, z = catalogue.direction[at]
        text = axes.annotate(
            str(catalogue.labels[at]), (x / (1 + z), y / (1 + z)), (0, 5),
            textcoords="offset points", ha="center", va="bottom", fontsize=7, color=tone,
            parse_math=False,
        )  # fmt: skip
        text.set_path_effects([withStroke(linewidth=1.6, foreground=halo)])


def _legend(
    axes: Axes,
    marked: Sequence[tuple[str, np.ndarray]],
    operations: np.ndarray | None,
    disc: float,
    ink: str,
) -> None:
    from matplotlib.lines import Line2D

    handles = []
    for mark, (name, members) in zip(_MARKS, marked, strict=False):
        fold = 1 if operations is None else fold_of(members[0], operations)
        label = f"{name} {fold}-fold" if fold > 1 else name
        handles.append(Line2D([], [], marker=mark, ls="", mfc="none", mec=ink, label=label))
    axes.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=2,
                fontsize=min(8.0, 2.5 + 2.5 * disc), frameon=False, handletextpad=0.1,
                columnspacing=0.6, borderaxespad=0.3,
                labelspacing=0.3, labelcolor=ink)  # fmt: skip
