# SPDX-License-Identifier: GPL-3.0-or-later
"""A table of labels in which each is given a name and a class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np
from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QHeaderView,
    QTableWidget,
    QTableWidgetItem,
    QWidget,
)

from ..crystallography import BRAVAIS_LATTICES, COMPATIBLE, POINT_GROUPS
from .notify import guarded
from .pattern_controls import choice_box
from .theme import swatch

if TYPE_CHECKING:
    from .teach_labels import Kind, Source

_NAME, _PIXELS, _CLASS = range(3)
_HEADERS = ("Phase", "Pixels", "Point group, lattice")
_SHOWN = 4  # rows before the table scrolls


@dataclass
class _Given:
    """What the user has said of a label."""

    name: str | None = None
    group: str | None = None
    lattice: str | None = None


class ClassChooser(QWidget):
    """A point group and a Bravais lattice that a crystal can have together."""

    #: Another class is chosen.
    changed = Signal()

    def __init__(self, group: str | None = None, lattice: str | None = None) -> None:
        super().__init__()
        self.group_box = choice_box("Point group of the phase")
        self.lattice_box = choice_box("Bravais lattice of the phase, of those that go with it")
        self.group_box.setMinimumContentsLength(5)
        self.lattice_box.setMinimumContentsLength(3)
        self.group_box.addItem("choose…", None)
        for name in POINT_GROUPS:
            self.group_box.addItem(name, name)
        self.group_box.setCurrentIndex(max(0, self.group_box.findData(group)))
        self._offer(lattice)
        box = QHBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(2)
        box.addWidget(self.group_box, 4)
        box.addWidget(self.lattice_box, 3)
        self.group_box.currentIndexChanged.connect(self._on_group)
        self.lattice_box.currentIndexChanged.connect(self._on_lattice)

    @property
    def group(self) -> str | None:
        """The point group, if one is chosen."""
        chosen = self.group_box.currentData()
        return None if chosen is None else str(chosen)

    @property
    def lattice(self) -> str | None:
        """The lattice, if one is chosen."""
        chosen = self.lattice_box.currentData()
        return None if chosen is None else str(chosen)

    @property
    def text(self) -> str | None:
        """The class, like ``m-3m:cF``, if it is chosen."""
        return f"{self.group}:{self.lattice}" if self.group and self.lattice else None

    def _offer(self, wanted: str | None) -> None:
        """Offer the lattices that go with the point group; a single one is chosen."""
        fits: list[str] = []
        if self.group is not None:
            row = COMPATIBLE[POINT_GROUPS.index(self.group)]
            fits = [BRAVAIS_LATTICES[i] for i in np.flatnonzero(row)]
        with QSignalBlocker(self.lattice_box):
            self.lattice_box.clear()
            if len(fits) != 1:
                self.lattice_box.addItem("…", None)
            for name in fits:
                self.lattice_box.addItem(name, name)
            self.lattice_box.setCurrentIndex(max(0, self.lattice_box.findData(wanted)))
        self.lattice_box.setEnabled(bool(fits))

    @guarded
    def _on_group(self, _: int) -> None:
        self._offer(self.lattice)
        self.changed.emit()

    @guarded
    def _on_lattice(self, _: int) -> None:
        self.changed.emit()


class LabelTable(QTableWidget):
    """One row a label: its colour and name, how many pixels have it, and its class.

    What the user has said of a layer's labels comes back with the layer.
    """

    #: Another class is chosen.
    changed = Signal()

    def __init__(self) -> None:
        super().__init__(0, len(_HEADERS))
        self._given: WeakKeyDictionary[Source, dict[int, _Given]] = WeakKeyDictionary()
        self._answers: dict[int, _Given] = {}
        self._kinds: tuple[Kind, ...] = ()
        self.setHorizontalHeaderLabels(_HEADERS)
        self.verticalHeader().hide()
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setToolTip("A double click on a name changes it")
        header = self.horizontalHeader()
        header.setSectionResizeMode(_NAME, QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(_PIXELS, QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(_CLASS, QHeaderView.ResizeMode.Fixed)
        header.resizeSection(_CLASS, 164)
        header.setMinimumSectionSize(48)
        self.verticalHeader().setDefaultSectionSize(28)
        self.itemChanged.connect(self._on_item)

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The labels."""
        return self._kinds

    @property
    def classes(self) -> dict[int, str | None]:
        """Class of each label, like ``m-3m:cF``; None where none is chosen."""
        return {kind.value: self.chooser(row).text for row, kind in enumerate(self._kinds)}

    @property
    def names(self) -> dict[int, str]:
        """Name of each label."""
        return {kind.value: self._item(row, _NAME).text() for row, kind in enumerate(self._kinds)}

    def chooser(self, row: int) -> ClassChooser:
        """Where the class of a row is chosen."""
        widget = self.cellWidget(row, _CLASS)
        assert isinstance(widget, ClassChooser)
        return widget

    def set_kinds(self, source: Source | None, kinds: Sequence[Kind]) -> None:
        """Show the labels of a source."""
        given = {} if source is None else self._given.setdefault(source, {})
        same = given is self._answers and [k.value for k in kinds] == [k.value for k in self._kinds]
        self._answers, self._kinds = given, tuple(kinds)
        with QSignalBlocker(self):
            if not same:
                self._fill()
            for row, kind in enumerate(kinds):
                self._item(row, _NAME).setIcon(swatch(kind.color, 12))
                self._item(row, _PIXELS).setText(f"{kind.count:,}")
        self._fit()

    def _fill(self) -> None:
        self.setRowCount(0)
        self.setRowCount(len(self._kinds))
        for row, kind in enumerate(self._kinds):
            given = self._answers.get(kind.value, _Given())
            self.setItem(row, _NAME, QTableWidgetItem(given.name or kind.name))
            pixels = QTableWidgetItem()
            pixels.setFlags(Qt.ItemFlag.ItemIsEnabled)
            pixels.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            self.setItem(row, _PIXELS, pixels)
            chooser = ClassChooser(given.group or kind.group, given.lattice or kind.lattice)
            chooser.changed.connect(self._on_class)
            self.setCellWidget(row, _CLASS, chooser)

    def _fit(self) -> None:
        """As high as its rows, up to a few."""
        rows = min(max(1, self.rowCount()), _SHOWN)
        line = self.verticalHeader().defaultSectionSize()
        height = self.horizontalHeader().sizeHint().height() + rows * line
        self.setFixedHeight(height + 2 * self.frameWidth())

    def _item(self, row: int, column: int) -> QTableWidgetItem:
        item = self.item(row, column)
        assert item is not None
        return item

    @guarded
    def _on_item(self, item: QTableWidgetItem) -> None:
        if item.column() == _NAME:
            value = self._kinds[item.row()].value
            self._answers.setdefault(value, _Given()).name = item.text().strip() or None

    @guarded
    def _on_class(self) -> None:
        for row, kind in enumerate(self._kinds):
            chooser = self.chooser(row)
            chosen = chooser.group, chooser.lattice
            if chosen != (kind.group, kind.lattice) or kind.value in self._answers:
                given = self._answers.setdefault(kind.value, _Given())
                given.group, given.lattice = chosen
        self.changed.emit()
