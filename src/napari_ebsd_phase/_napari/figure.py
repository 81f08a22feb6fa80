# SPDX-License-Identifier: GPL-3.0-or-later
"""Figure of a map as it is shown, and its legend, for papers and reports.

Drawn without pyplot: nothing here knows or changes the plots of the user's own session.
"""

from __future__ import annotations

import csv
import textwrap
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..export._atomic import replacing
from ..export.words import nice_length, percent, shorten, typeset, worth_a_line
from .label_cache import NOT_DONE
from .legend_rows import LEVEL_TITLES, LegendRow, classified, count_labels

if TYPE_CHECKING:
    from ..export.page import Page
    from ..phase_map import PhaseMap
    from .session import MapSession

#: Formats of figures, and of legends alone.
FIGURE_SUFFIXES = (".png", ".svg", ".pdf")
LEGEND_SUFFIXES = (*FIGURE_SUFFIXES, ".csv")

# Lengths are inches. A figure is at most as wide as two columns of a journal.
_WIDE = 7.0
_MARGIN = 0.12
_GAP = 0.2
_LEGEND = 1.75
_LINE = 0.18
_HIGHEST = 5.5
_LARGEST_CELL = 0.5
_THINNEST = 0.35
_BELOW = 0.36  # room for the scale bar
_LARGEST_DPI = 600
_SMALL = 6  # points
_CAPTION_LINE = 0.11
_LETTER = 0.049  # mean width of a letter of the caption
_BETWEEN = "  ·  "
_GREY = "#555555"


def save_figure(
    session: MapSession,
    path: str | Path,
    *,
    level: str = "label",
    threshold: float | None = None,
    legend: bool = True,
    scale_bar: bool = True,
    hidden: Collection[int] = frozenset(),
    dpi: float = 200,
    overwrite: bool = True,
) -> None:
    """Draw a map to a file: the part that is classified, with legend, scale bar and caption.

    Parameters
    ----------
    session
        Data set with a phase map.
    path
        ``.png``, ``.svg`` or ``.pdf``.
    level
        ``"label"`` or one of :data:`~.crystallography.LEVELS`.
    threshold
        Probability that a label needs; that of the session by default. It matters for ``"label"``
        only: at one level every pixel has its most probable name.
    legend, scale_bar
        Whether they are drawn.
    hidden
        Values of the Labels layer (0: undecided) that stay white and out of the legend.
    dpi
        Dots per inch; more, up to 600, where a large map needs a dot for each pixel.
    overwrite
        Whether a file of this name is replaced: file dialogs have asked already.

    Raises
    ------
    InputError
        If nothing is classified yet, the format or the level is unknown, or the file cannot be
        written.
    """
    suffix = _check(path, FIGURE_SUFFIXES)
    if not 20 <= dpi <= _LARGEST_DPI:
        raise InputError(f"{dpi:g} dots per inch: choose from 20 to {_LARGEST_DPI}")
    phase_map, values, probability = _shown(session, level, threshold)
    rows = count_labels(values, probability, phase_map.done, level)
    caption = _caption(phase_map, level, threshold, session.shape, rows, hidden)
    rows = [row for row in rows if row.value not in hidden]
    colors = _paint(np.where(phase_map.done, values, np.uint8(NOT_DONE)), rows)
    page = _draw(phase_map, colors, rows if legend else [], level, scale_bar, caption, dpi)
    _save(page, path, suffix, overwrite, phase_map)


def save_legend(
    session: MapSession,
    path: str | Path,
    *,
    level: str = "label",
    hidden: Collection[int] = frozenset(),
    dpi: float = 300,
    overwrite: bool = True,
) -> None:
    """Write the legend of a map to a file: every label with colour, share and mean probability.

    Parameters
    ----------
    session, level, hidden, overwrite
        As for :func:`save_figure`.
    path
        ``.csv`` (columns ``label,level,color,area_share,mean_probability,pixels``; empty where a
        row has no such number), ``.png``, ``.svg`` or ``.pdf``.
    dpi
        Dots per inch of a picture.

    Raises
    ------
    InputError
        As for :func:`save_figure`.
    """
    suffix = _check(path, LEGEND_SUFFIXES)
    phase_map, values, probability = _shown(session, level, None)
    rows = count_labels(values, probability, phase_map.done, level)
    rows = [row for row in rows if row.value not in hidden]
    if suffix == ".csv":
        with (
            replacing(path, overwrite=overwrite) as temporary,
            temporary.open("w", encoding="utf-8", newline="") as file,
        ):
            _write_table(csv.writer(file), rows)
        return
    _save(_draw_table(rows, level, dpi), path, suffix, overwrite, phase_map)


def _check(path: str | Path, suffixes: tuple[str, ...]) -> str:
    suffix = Path(path).suffix.lower()
    if suffix not in suffixes:
        what = f"the format '{suffix}'" if suffix else "a name without an ending"
        raise InputError(f"cannot draw to {what}: use one of {', '.join(suffixes)}")
    return suffix


def _shown(
    session: MapSession, level: str, threshold: float | None
) -> tuple[PhaseMap, NDArray[np.uint8], NDArray[np.float32]]:
    """Return the part of a map that is classified, with the values and probabilities of a level."""
    if level not in LEVEL_TITLES:
        raise InputError(f"no map of '{level}': use one of {', '.join(LEVEL_TITLES)}")
    phase_map, cache = session.phase_map, session.cache
    if phase_map is None or cache is None or not phase_map.done.any():
        raise InputError(f"{session.name}: nothing is classified yet; start the classification")
    if level == "label" and threshold is not None and threshold != cache.threshold:
        values, probability = phase_map.label_codes(threshold)
    else:
        values, probability = cache.values(level), cache.probabilities(level)
    spans = []
    for axis in (1, 0):
        index = np.flatnonzero(phase_map.done.any(axis=axis))
        spans.append(slice(int(index[0]), int(index[-1]) + 1))
    place = (spans[0], spans[1])
    shown = phase_map.crop(*place)
    # Copies: a running classification may go on filling the map while it is drawn.
    shown.done = shown.done.copy()
    return shown, values[place].copy(), probability[place].copy()


def _paint(values: NDArray[np.uint8], rows: Sequence[LegendRow]) -> NDArray[np.uint8]:
    """Return the colours of a map, uint8 (rows, cols, 3); white where the legend has no row."""
    palette = np.full((NOT_DONE + 1, 3), 255, np.uint8)
    for row in rows:
        if row.value is not None:
            palette[row.value] = [int(row.color[i : i + 2], 16) for i in (1, 3, 5)]
    return palette[values]


def _caption(
    phase_map: PhaseMap,
    level: str,
    threshold: float | None,
    whole: tuple[int, int],
    rows: Sequence[LegendRow],
    hidden: Collection[int],
) -> list[str]:
    """Return what was done, in a few words each."""
    from ..export.page import printable

    made = phase_map.provenance
    prior = made.get("prior", "uniform")
    done, total = classified(rows), whole[0] * whole[1]
    many = len(phase_map.sources) > 1
    parts = [
        "" if many else printable(shorten(Path(phase_map.sources[0]).name, 60)),
        f"network: {printable(shorten(str(made.get('network', 'unknown')), 40))}",
        f"class prior: {shorten(prior, 60) if isinstance(prior, str) else 'own frequencies'}",
        f"{done:,} patterns" if done == total else f"{done:,} of {total:,} patterns",
    ]
    if level == "label":
        least = phase_map.threshold if threshold is None else threshold
        parts.append(f"names have a probability of {least:.2g} or more")
    else:
        parts.append("most probable name of every pixel")
    if unseen := sum(row.value in hidden for row in rows):
        parts.append(f"{unseen} label{'' if unseen == 1 else 's'} of the map not shown")
    return [part for part in parts if part]


def _map_size(phase_map: PhaseMap, room: float, dpi: float) -> tuple[float, float, float]:
    """Width and height of the map, and dots per inch that give each pixel whole dots."""
    (rows, cols), (dy, dx) = phase_map.shape, phase_map.step
    aspect = (cols * dx) / (rows * dy)
    width = min(room, aspect * _HIGHEST, cols * _LARGEST_CELL)
    dpi = min(max(dpi, cols / width), _LARGEST_DPI)
    dots = int(width * dpi / cols)
    if dots:
        width = cols * dots / dpi
    # A line of pixels is stretched: to scale it would be a hair.
    return max(width, _THINNEST), max(width / aspect, _THINNEST), dpi


def _draw(
    phase_map: PhaseMap,
    colors: NDArray[np.uint8],
    rows: Sequence[LegendRow],
    level: str,
    scale_bar: bool,
    caption: Sequence[str],
    dpi: float,
) -> Page:
    from ..export.page import Page

    (n_rows, n_cols), (dy, dx) = phase_map.shape, phase_map.step
    beside = bool(rows) and (n_cols * dx) / (n_rows * dy) <= 2
    room = _WIDE - 2 * _MARGIN - (_LEGEND + _GAP if beside else 0)
    width, height, dpi = _map_size(phase_map, room, dpi)
    # Neither a row of separate images nor a single column has a length across.
    scale_bar &= n_cols > 1 and (len(phase_map.sources) == 1 or n_rows > 1)
    under = height + (_BELOW if scale_bar else 0)
    lines = _legend_lines(rows)
    if beside:
        columns, across = [lines], width + _GAP + _LEGEND
        down = max(under, (len(lines) + 1) * _LINE + 0.04)
    else:
        number = max(1, min(int((room + _GAP) / (_LEGEND + _GAP)), -(-len(lines) // 4)))
        length = -(-len(lines) // number)
        columns = [lines[i : i + length] for i in range(0, len(lines), length or 1)]
        across = max(width, number * (_LEGEND + _GAP) - _GAP if lines else 0)
        down = under + (0.14 + (length + 1) * _LINE if lines else 0)
    across = max(across, 2.4)  # a caption needs some width, too
    text = _wrap(caption, int(across / _LETTER))
    total = 2 * _MARGIN + down + 0.12 + len(text) * _CAPTION_LINE
    page = Page(2 * _MARGIN + across, total, dpi)
    page.image(_MARGIN, _MARGIN, width, height, colors)
    if scale_bar:
        _draw_scale_bar(page, phase_map, width, _MARGIN + height)
    for i, column in enumerate(columns):
        x = _MARGIN + (width + _GAP if beside else i * (_LEGEND + _GAP))
        # The heading stands over the first column, and the others begin at the same height.
        title = LEVEL_TITLES[level] if i == 0 else " "
        _draw_legend(page, column, x, _MARGIN + (0 if beside else under + 0.1), title)
    for i, line in enumerate(text):
        y = _MARGIN + down + 0.12 + (i + 0.5) * _CAPTION_LINE
        page.text(_MARGIN, y, line, size=_SMALL, color=_GREY)
    return page


def _wrap(parts: Sequence[str], most: int) -> list[str]:
    """Break a caption into lines of at most `most` letters, between its parts where that goes."""
    lines: list[str] = []
    for part in parts:
        if lines and len(lines[-1]) + len(_BETWEEN) + len(part) <= most:
            lines[-1] += _BETWEEN + part
        else:
            lines += textwrap.wrap(part, most)
    return lines


def _legend_lines(rows: Sequence[LegendRow]) -> list[tuple[str, str, str]]:
    """Return colour, name and share of each line; rare names of a noisy map share the last."""
    if not rows:
        return []
    total = classified(rows)
    kept, rest = worth_a_line({row.value: row.count for row in rows if row.value}, total)
    named = {row.value: row for row in rows}
    lines = [_line(named[value]) for value in kept]
    if rest:
        lines.append(("", f"{len(rest)} more", percent(sum(named[v].share for v in rest))))
    return lines + [_line(row) for row in rows if not row.value]


def _line(row: LegendRow) -> tuple[str, str, str]:
    if row.value is None:
        return "#ffffff", row.name, ""
    return row.color, _typeset_name(row), percent(row.share)


def _typeset_name(row: LegendRow) -> str:
    if not row.value:
        return row.name
    # "Laue" of "Laue m-3m" is a word, not a symbol.
    *words, symbol = row.name.split(" ")
    return " ".join([*words, typeset(symbol)])


def _draw_legend(
    page: Page, lines: Sequence[tuple[str, str, str]], x: float, y: float, title: str = ""
) -> None:
    if title:
        page.text(x, y + 0.07, title, size=8, weight="bold")
        y += _LINE + 0.04
    for i, (color, name, share) in enumerate(lines):
        middle = y + (i + 0.5) * _LINE
        if color:
            page.box(x, middle - 0.055, 0.18, 0.11, color)
        # On a common baseline: the bars of symbols would push centred text down.
        page.text(x + 0.26, middle + 0.04, name, size=8, math=True, va="baseline")
        page.text(x + _LEGEND, middle + 0.04, share, size=8, ha="right", va="baseline")


def _draw_scale_bar(page: Page, phase_map: PhaseMap, width: float, under: float) -> None:
    length, text = nice_length(phase_map.shape[1] * phase_map.step[1], phase_map.units)
    long = width * length / (phase_map.shape[1] * phase_map.step[1])
    page.box(_MARGIN, under + 0.09, long, 0.04, "#000000")
    page.text(_MARGIN, under + 0.23, text, size=8)


def _draw_table(rows: Sequence[LegendRow], level: str, dpi: float) -> Page:
    """Draw a legend alone, every row of it."""
    from ..export.page import Page

    columns = {1.95: "area", 2.6: "mean p", 3.3: "pixels"}
    page = Page(2 * _MARGIN + 3.3, 2 * _MARGIN + (len(rows) + 1.3) * _LINE, dpi)
    page.text(_MARGIN, _MARGIN + 0.09, LEVEL_TITLES[level], size=8, weight="bold")
    for right, heading in columns.items():
        page.text(_MARGIN + right, _MARGIN + 0.09, heading, size=7, ha="right", color=_GREY)
    for i, row in enumerate(rows):
        middle = _MARGIN + (i + 1.8) * _LINE
        color, name, share = _line(row)
        probability = "" if row.value is None else f"{row.mean_probability:.2f}"
        page.box(_MARGIN, middle - 0.055, 0.18, 0.11, color)
        page.text(_MARGIN + 0.26, middle + 0.04, name, size=8, math=True, va="baseline")
        for right, text in zip(columns, (share, probability, f"{row.count:,}"), strict=True):
            page.text(_MARGIN + right, middle + 0.04, text, size=8, ha="right", va="baseline")
    return page


def _write_table(table: Any, rows: Sequence[LegendRow]) -> None:
    table.writerow(("label", "level", "color", "area_share", "mean_probability", "pixels"))
    for row in rows:
        done = row.value is not None
        numbers = (f"{row.share:.6f}", f"{row.mean_probability:.6f}") if done else ("", "")
        # The level has a column of its own.
        name = row.name.removeprefix("Laue ")
        table.writerow((name, row.level, row.color, *numbers, row.count))


def _save(page: Page, path: str | Path, suffix: str, overwrite: bool, phase_map: PhaseMap) -> None:
    import matplotlib

    program = f"napari-ebsd-phase {phase_map.provenance.get('version', '')}".strip()
    key = "Software" if suffix == ".png" else "Creator"
    with (
        replacing(path, overwrite=overwrite) as temporary,
        # Fonts that journals accept, and that drawing programs can edit.
        matplotlib.rc_context({"pdf.fonttype": 42}),
    ):
        page.figure.savefig(
            temporary, format=suffix[1:], dpi=page.figure.dpi, metadata={key: program}
        )
