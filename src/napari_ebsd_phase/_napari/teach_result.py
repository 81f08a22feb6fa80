# SPDX-License-Identifier: GPL-3.0-or-later
"""What a taught network gained, told on patterns that were held out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QGridLayout, QLabel, QVBoxLayout, QWidget

from .label_cache import level_title
from .section import wrapped

if TYPE_CHECKING:
    from ..training.fine_tune_scores import Share
    from .teach_worker import Taught

_HEADERS = ("Named right", "before", "after", "change")
_FEW = 10  # held-out regions
_NOTHING_HELD_OUT = (
    "No patterns were held out, so that nobody can tell the gain: label each phase in several "
    "grains, or in larger patches."
)


class TeachResult(QWidget):
    """Share of right names before and after by level, with 95 % intervals, and what it is of."""

    def __init__(self) -> None:
        super().__init__()
        self._result: Taught | None = None
        self._cells: list[QLabel] = []
        self.words = wrapped(selectable=True)
        self._grid = QGridLayout()
        self._grid.setHorizontalSpacing(8)
        self._grid.setVerticalSpacing(2)
        self._grid.setColumnStretch(0, 1)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(4)
        box.addLayout(self._grid)
        box.addWidget(self.words)

    @property
    def result(self) -> Taught | None:
        """What is shown."""
        return self._result

    @property
    def rows(self) -> list[list[str]]:
        """Words of the table, row by row, without its header."""
        width = len(_HEADERS)
        texts = [cell.text() for cell in self._cells[width:]]
        return [texts[i : i + width] for i in range(0, len(texts), width)]

    def show_result(self, result: Taught | None) -> None:
        """Show a result, or none."""
        self._result = result
        for cell in self._cells:
            self._grid.removeWidget(cell)
            cell.deleteLater()
        self._cells = []
        self.words.setText("" if result is None else _words(result))
        if result is None or not result.before:
            return
        for column, text in enumerate(_HEADERS):
            self._put(0, column, text, bold=column == 0)
        for row, level in enumerate(result.before, start=1):
            self._put(row, 0, level_title(level))
            self._put(row, 1, _share(result.before[level]))
            self._put(row, 2, _share(result.after[level]))
            self._put(row, 3, _change(result.gained[level]))

    def _put(self, row: int, column: int, text: str, *, bold: bool = False) -> None:
        label = QLabel(text)
        side = Qt.AlignmentFlag.AlignRight if column else Qt.AlignmentFlag.AlignLeft
        label.setAlignment(side | Qt.AlignmentFlag.AlignTop)
        label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        if bold:
            label.setStyleSheet("font-weight: bold")
        self._grid.addWidget(label, row, column)
        self._cells.append(label)


def _share(share: Share) -> str:
    return f"{100 * share.value:.0f} %\n{100 * share.low:.0f} to {100 * share.high:.0f}"


def _change(share: Share) -> str:
    return f"{_signed(share.value)} %\n{_signed(share.low)} to {_signed(share.high)}"


def _signed(share: float) -> str:
    percent = round(100 * share)
    return f"{percent:+d}" if percent else "0"


def _words(result: Taught) -> str:
    """What the figures are of, and what they are not of."""
    counts = result.counts
    parts = []
    if result.before:
        parts.append(
            f"Means over phases with 95 % intervals, on {_of(counts['held out'])} that were held "
            f"out. Learned from {_of(counts['learn'])}"
            + (f", validated on {_of(counts['validation'])}." if counts["validation"]["patterns"]
               else ", without validation.")
        )  # fmt: skip
        if counts["held out"]["regions"] < _FEW:
            parts.append("With so few regions the intervals are rough.")
    else:
        parts.append(_NOTHING_HELD_OUT)
    parts.append(
        f"Held to what the network said of {result.held_to}; how well it names phases without "
        "labels was not measured."
    )
    return " ".join(parts)


def _of(count: Mapping[str, int]) -> str:
    return f"{_number(count['patterns'], 'pattern')} of {_number(count['regions'], 'region')}"


def _number(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
