# SPDX-License-Identifier: GPL-3.0-or-later
"""The card of a network as tables: how good it is, what it tells apart, how it was made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtGui import QIcon
from qtpy.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QDialogButtonBox,
    QHeaderView,
    QPlainTextEdit,
    QTableWidget,
    QTableWidgetItem,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from ..crystallography import (
    BRAVAIS_LATTICES,
    LEVELS,
    POINT_GROUPS,
    color,
    crystal_system,
    family,
    laue_group,
)
from .cards import facts, recall, scores, training_facts
from .legend_rows import LEVEL_TITLES
from .section import wrapped
from .theme import swatch

_RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter


class CardDialog(QDialog):
    """Show a card; see :func:`~.cards.read_card`."""

    def __init__(self, card: dict[str, Any], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle(f"Network {card.get('name', '')}: card")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(820, 540)
        self.tabs = QTabWidget()
        self.tabs.addTab(_scores_page(card), "&Scores")
        self.tabs.addTab(_classes_page(card), "&Classes")
        self.tabs.addTab(_training_page(card), "&Training")
        self.tabs.addTab(_facts_page(card), "&About")
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        self.buttons.rejected.connect(self.reject)
        box = QVBoxLayout(self)
        box.addWidget(self.tabs)
        box.addWidget(self.buttons)


def _scores_page(card: dict[str, Any]) -> QWidget:
    rows = []
    for score in scores(card):
        cells = [score.test, _count(score.materials), _count(score.patterns)]
        for level in LEVELS:
            text = _percent(score.accuracy[level])
            if level in score.interval:
                low, high = (round(100 * bound) for bound in score.interval[level])
                text += f"\n{low} to {high}"
            cells.append(text)
        rows.append(cells)
    header = ["Patterns of", "Materials", "Patterns", *(LEVEL_TITLES[level] for level in LEVELS)]
    note = (
        "Share of single patterns whose most probable class is right (mean over materials, below "
        "it the range of 95 % of resamplings of the materials). What matters for an unknown phase "
        "are materials never seen; a measured camera lies somewhere between good and poor."
    )
    return _page(note if rows else "This card has no scores.", _table(header, rows, right=1))


def _classes_page(card: dict[str, Any]) -> QWidget:
    known = np.asarray(card["known_structures"])
    unseen = {level: recall(card, "unseen", level) for level in ("point_group", "bravais_lattice")}
    rows = [
        [name, "point group", crystal_system(name), laue_group(name), f"{count:,.0f}",
         _percent(unseen["point_group"].get(name))]
        for name, count in zip(POINT_GROUPS, known.sum(axis=1), strict=True)
    ]  # fmt: skip
    rows += [
        [name, "Bravais lattice", family(name), "", f"{count:,.0f}",
         _percent(unseen["bravais_lattice"].get(name))]
        for name, count in zip(BRAVAIS_LATTICES, known.sum(axis=0), strict=True)
    ]  # fmt: skip
    header = ["Class", "Kind", "System, family", "Laue group", "Known structures", "Right, unseen"]
    levels = ["point_group"] * len(POINT_GROUPS) + ["bravais_lattice"] * len(BRAVAIS_LATTICES)
    icons = [swatch(color(level, row[0])) for level, row in zip(levels, rows, strict=True)]
    note = (
        "Every pattern gets a probability for each of these. The known structures make the class "
        "prior “known-phase frequencies”; the last column is the share of patterns of materials "
        "never seen that are named right (blank where none was tested)."
    )
    return _page(note, _table(header, rows, icons, right=4))


def _training_page(card: dict[str, Any]) -> QWidget:
    names = ", ".join(map(str, card["training"].get("trained_on", [])))
    page = QWidget()
    box = QVBoxLayout(page)
    box.addWidget(_table(["What", "Value"], training_facts(card)))
    box.addWidget(wrapped("Trained on patterns of these materials (formula and space group):"))
    text = QPlainTextEdit(names or "not listed")
    text.setReadOnly(True)
    box.addWidget(text)
    return page


def _facts_page(card: dict[str, Any]) -> QWidget:
    return _page("", _table(["What", "Value"], facts(card)))


def _page(note: str, table: QTableWidget) -> QWidget:
    page = QWidget()
    box = QVBoxLayout(page)
    if note:
        box.addWidget(wrapped(note))
    box.addWidget(table)
    return page


def _table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    icons: Sequence[QIcon] = (),
    *,
    right: int = 99,
) -> QTableWidget:
    """Return a table to read; columns from number `right` on are aligned to the right."""
    table = QTableWidget(len(rows), len(header))
    table.setHorizontalHeaderLabels(list(header))
    table.verticalHeader().hide()
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    table.setAlternatingRowColors(False)
    for row, cells in enumerate(rows):
        for column, text in enumerate(cells):
            item = QTableWidgetItem(text)
            if column >= right:
                item.setTextAlignment(_RIGHT)
            if column == 0 and row < len(icons):
                item.setIcon(icons[row])
            table.setItem(row, column, item)
    table.resizeColumnsToContents()
    table.resizeRowsToContents()
    # Of two columns the second holds sentences.
    wide = 1 if len(header) == 2 else 0
    table.horizontalHeader().setSectionResizeMode(wide, QHeaderView.ResizeMode.Stretch)
    table.resizeRowsToContents()
    return table


def _count(number: int | None) -> str:
    return "" if number is None else f"{number:,}"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.0f} %"
