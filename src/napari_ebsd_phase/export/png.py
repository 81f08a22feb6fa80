# SPDX-License-Identifier: GPL-3.0-or-later
"""Picture for a report: labels and Bravais lattices with legends and scale bars."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from ..crystallography import BRAVAIS_LATTICES, UNDECIDED_COLOR, color
from ..labels import label_table
from .page import Page, printable
from .provenance import PNG_KEY
from .words import nice_length, percent, shorten, typeset, worth_a_line

if TYPE_CHECKING:
    from ..phase_map import PhaseMap

# The widths of one and two columns of a journal, as inches; other lengths are inches, too.
_WIDE = 7.0
_NARROW = 3.3
_HIGHEST = 4.2
_LARGEST_CELL = 0.5
_THINNEST = 0.35
_MARGIN = 0.15
_LINE = 0.18

_DPI = 300
_LARGEST_DPI = 600
_MOST_NAMES = 45
_NOT_DONE_COLOR = "#ffffff"
_HEADINGS = {
    "point_group": "Point group",
    "laue_group": "Laue group",
    "crystal_system": "Crystal system",
}


@dataclass(frozen=True)
class _Entry:
    """One line of a legend; a heading has no colour."""

    text: str
    color: str = ""
    share: str = ""


@dataclass(frozen=True)
class _Panel:
    title: str
    image: np.ndarray  # (rows, cols, 3) uint8
    legend: list[_Entry]


@dataclass(frozen=True)
class _Layout:
    """Sizes that both panels share, in inches."""

    width: float  # of the map
    height: float
    below: float  # room under the map for the scale bar or the names of files
    column: float  # width of map and legend
    stacked: bool
    dpi: float
    to_scale: bool


def write(phase_map: PhaseMap, path: Path) -> None:
    """Draw `phase_map` to `path`; of a map in part, the part that is classified.

    A cell of the map covers a whole number of dots, as far as the size of the picture allows.
    """
    shown, place = _crop_to_done(phase_map)
    panels = [_label_panel(shown), _lattice_panel(shown)]
    names = _names_below(shown)
    layout = _arrange(shown, names)
    header = printable(shorten(phase_map.sources[0], 60)) if not names else ""
    figure = _draw(shown, panels, layout, names, header, _caption(phase_map, layout, place))
    figure.canvas.print_png(  # type: ignore[attr-defined]  # an Agg canvas, see _draw
        path,
        metadata={
            "Software": f"napari-ebsd-phase {phase_map.provenance.get('version', '')}".strip(),
            "Source": ", ".join(phase_map.sources[:20]).encode("ascii", "replace").decode(),
            PNG_KEY: json.dumps(phase_map.provenance),  # pure ASCII, as the format demands
        },
    )


def _crop_to_done(phase_map: PhaseMap) -> tuple[PhaseMap, str]:
    """Return the smallest part that holds all classified patterns, and where it is."""
    if not phase_map.done.any():
        return phase_map, ""
    spans = []
    for axis in (1, 0):
        index = np.flatnonzero(phase_map.done.any(axis=axis))
        spans.append(slice(int(index[0]), int(index[-1]) + 1))
    shown = phase_map.crop(*spans)
    if shown.shape == phase_map.shape:
        return shown, ""
    rows, cols = (f"{span.start} to {span.stop - 1}" for span in spans)
    return shown, f"rows {rows}, columns {cols} of {phase_map.shape[0]} × {phase_map.shape[1]}"


def _label_panel(phase_map: PhaseMap) -> _Panel:
    codes, _ = phase_map.label_codes()
    table = label_table()
    index = np.where(phase_map.done, codes.astype(int) - 1, -2)
    index[(codes == 0) & phase_map.done] = -1
    counts = {i: int(n) for i, n in zip(*np.unique(index, return_counts=True), strict=True)}
    done = int(np.count_nonzero(phase_map.done))
    kept, rest = worth_a_line(counts, done)
    legend = []
    # By level, from fine to coarse, and inside one by share.
    levels = list(_HEADINGS)
    kept.sort(key=lambda i: (levels.index(table[i].level), -counts[i]))
    for level, members in groupby(kept, key=lambda i: table[i].level):
        legend.append(_Entry(_HEADINGS[level]))
        legend += [
            _Entry(typeset(table[i].name), table[i].color, percent(counts[i] / done))
            for i in members
        ]
    if set(counts) - set(kept):
        legend.append(_Entry("Other"))
    legend += _remainder(counts, rest, done)
    return _Panel("Symmetry", _paint(index, [label.color for label in table]), legend)


def _lattice_panel(phase_map: PhaseMap) -> _Panel:
    index, probability = phase_map.most_probable("bravais_lattice")
    named = phase_map.nameable & (probability >= phase_map.threshold)
    index = np.where(phase_map.done, np.where(named, index, -1), -2)
    counts = {i: int(n) for i, n in zip(*np.unique(index, return_counts=True), strict=True)}
    colors = [color("bravais_lattice", name) for name in BRAVAIS_LATTICES]
    done = int(np.count_nonzero(phase_map.done))
    kept, rest = worth_a_line(counts, done)
    legend = [
        _Entry(typeset(BRAVAIS_LATTICES[i]), colors[i], percent(counts[i] / done)) for i in kept
    ]
    legend += _remainder(counts, rest, done)
    return _Panel("Bravais lattice", _paint(index, colors), legend)


def _remainder(counts: dict[int, int], rest: list[int], done: int) -> list[_Entry]:
    """Return the entries for what has no name in the legend."""
    entries = []
    if rest:
        share = percent(sum(counts[i] for i in rest) / done)
        entries.append(_Entry(f"{len(rest)} more", "", share))
    if -1 in counts:
        entries.append(_Entry("undecided", UNDECIDED_COLOR, percent(counts[-1] / done)))
    if -2 in counts:
        entries.append(_Entry("not classified", _NOT_DONE_COLOR, ""))
    return entries


def _paint(index: np.ndarray, colors: list[str]) -> np.ndarray:
    """Turn class indices (-1 undecided, -2 not done) into colours, (rows, cols, 3) uint8."""
    palette = [*colors, _NOT_DONE_COLOR, UNDECIDED_COLOR]
    rgb = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in palette], np.uint8)
    return rgb[index]


def _names_below(phase_map: PhaseMap) -> list[str]:
    """Return names to write under the cells of a row of separate images, if there is room."""
    rows, cols = phase_map.shape
    if rows > 1 or len(phase_map.sources) == 1 or cols > _MOST_NAMES:
        return []
    return [printable(shorten(Path(source).stem)) for source in phase_map.sources]


def _arrange(phase_map: PhaseMap, names: list[str]) -> _Layout:
    rows, cols = phase_map.shape
    dy, dx = phase_map.step
    aspect = (cols * dx) / (rows * dy)
    stacked = aspect > 3 or bool(names)
    room = _WIDE if stacked else _NARROW
    width = min(room, aspect * _HIGHEST, max(cols * _LARGEST_CELL, aspect * _THINNEST))
    height = width / aspect
    true = (width, height)
    width, height = max(width, _THINNEST), max(height, _THINNEST)
    # Cells of whole dots, unless that makes the picture of a large map huge.
    dpi = min(max(1, round(_DPI * width / cols)) * cols / width, _LARGEST_DPI)
    longest = max((len(name) for name in names), default=0)
    below = 0.1 + 0.053 * longest if names else 0.36
    column = room if stacked else max(width, 2.3)
    return _Layout(width, height, below, column, stacked, dpi, (width, height) == true)


def _caption(phase_map: PhaseMap, layout: _Layout, place: str) -> str:
    done, total = np.count_nonzero(phase_map.done), phase_map.done.size
    classified = f"{done:,}" if done == total else f"{done:,} of {total:,}"
    parts = [f"{classified} pattern{'' if total == 1 else 's'}"]
    if place:
        parts.append(place)
    parts.append(f"names have a probability of {phase_map.threshold:.2g} or more")
    if not layout.to_scale and len(phase_map.sources) == 1 and done > 1:
        parts.append("stretched across its length")
    return "  ·  ".join(parts)


def _draw(
    phase_map: PhaseMap,
    panels: list[_Panel],
    layout: _Layout,
    names: list[str],
    header: str,
    caption: str,
) -> Figure:
    legend_columns = [_split(panel.legend, layout.column) for panel in panels]
    lines = [max(len(column) for column in columns) for columns in legend_columns]
    if not layout.stacked:
        lines = [max(lines)] * 2
    top = _MARGIN + (0.3 if header else 0)
    heights = [0.25 + layout.height + layout.below + 0.08 + n * _LINE + 0.15 for n in lines]
    total_height = top + (sum(heights) if layout.stacked else heights[0]) + 0.15 + _MARGIN
    gap = 0.3
    total_width = 2 * _MARGIN + layout.column * (1 if layout.stacked else 2)
    total_width += 0 if layout.stacked else gap
    page = Page(total_width, total_height, layout.dpi)
    if header:
        page.text(_MARGIN, _MARGIN + 0.1, header, size=9, weight="bold")
    x, y = _MARGIN, top
    for panel, columns, height in zip(panels, legend_columns, heights, strict=True):
        page.text(x, y + 0.1, panel.title, size=9)
        page.image(x, y + 0.25, layout.width, layout.height, panel.image)
        under = y + 0.25 + layout.height
        if names:
            for i, name in enumerate(names):
                middle = x + (i + 0.5) * layout.width / len(names)
                page.text(middle, under + 0.06, name, size=6, rotation=90, ha="center", va="top")
        elif len(phase_map.sources) == 1 or phase_map.shape[0] > 1:
            _draw_scale_bar(page, phase_map, layout, x, under)
        for i, column in enumerate(columns):
            _draw_legend(
                page,
                column,
                x + i * layout.column / len(columns),
                under + layout.below + 0.08,
                min(layout.column / len(columns) - 0.1, 1.5),
            )
        if layout.stacked:
            y += height
        else:
            x += layout.column + gap
    page.text(_MARGIN, total_height - _MARGIN - 0.02, caption, size=6, color="#555555")
    return page.figure


def _split(legend: list[_Entry], width: float) -> list[list[_Entry]]:
    """Break a long legend into columns that fit into `width`; headings stay with an entry."""
    most = max(1, int(width // 1.55))
    columns = min(most, -(-len(legend) // 6))
    length = -(-len(legend) // max(columns, 1))
    result: list[list[_Entry]] = [[]]
    for entry in legend:
        is_heading = not entry.color and not entry.share
        last_place = len(result[-1]) >= length - is_heading
        if last_place and len(result) < columns:
            result.append([])
        result[-1].append(entry)
    return result


def _draw_legend(page: Page, entries: list[_Entry], x: float, y: float, width: float) -> None:
    for i, entry in enumerate(entries):
        middle = y + (i + 0.5) * _LINE
        if not entry.color and not entry.share:
            page.text(x, middle, entry.text, size=7, color="#555555")
            continue
        if entry.color:
            page.box(x, middle - 0.055, 0.18, 0.11, entry.color)
        # On a common baseline: the bars of symbols would push centred text down.
        page.text(x + 0.26, middle + 0.04, entry.text, size=8, math=True, va="baseline")
        page.text(x + width, middle + 0.04, entry.share, size=8, ha="right", va="baseline")


def _draw_scale_bar(
    page: Page, phase_map: PhaseMap, layout: _Layout, x: float, under: float
) -> None:
    """Draw the bar under the map, or beside it where the map is a single column."""
    rows, cols = phase_map.shape
    dy, dx = phase_map.step
    if cols == 1 and rows > 1:
        length, text = nice_length(rows * dy, phase_map.units)
        long = layout.height * length / (rows * dy)
        page.box(x + layout.width + 0.1, under - long, 0.04, long, "#000000")
        page.text(x + layout.width + 0.2, under - long / 2, text, size=8)
        return
    length, text = nice_length(cols * dx, phase_map.units)
    long = layout.width * length / (cols * dx)
    page.box(x, under + 0.09, long, 0.04, "#000000")
    page.text(x, under + 0.23, text, size=8)
