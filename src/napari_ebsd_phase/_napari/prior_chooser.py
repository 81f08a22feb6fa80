# SPDX-License-Identifier: GPL-3.0-or-later
"""Choose which point groups and Bravais lattices may be there, without writing a list."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial

import numpy as np
from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from ..crystallography import (
    BRAVAIS_LATTICES,
    COMPATIBLE,
    CRYSTAL_SYSTEMS,
    LAUE_GROUPS,
    LAUE_INDEX,
    POINT_GROUPS,
    SYSTEM_INDEX,
    color,
    crystal_system,
    family,
)
from ..decoding import parse_prior
from .section import wrapped
from .theme import swatch

_EMPTY_BOX = "QAbstractItemView::indicator:unchecked { border: 1px solid #808080; }"

_CENTRINGS = {
    "P": "primitive",
    "S": "base-centred",
    "I": "body-centred",
    "F": "face-centred",
    "R": "rhombohedral",
}


def prior_text(groups: Iterable[str], lattices: Iterable[str]) -> str:
    """Class prior, as short as :func:`~.decoding.parse_prior` reads it.

    Whole crystal systems and Laue groups are written by their names. All or no point groups mean
    any, and so do all or no lattices.
    """
    chosen, words = set(groups), []
    if len(chosen) < len(POINT_GROUPS):
        for number, system in enumerate(CRYSTAL_SYSTEMS):
            members = {POINT_GROUPS[i] for i in np.flatnonzero(np.equal(SYSTEM_INDEX, number))}
            words += [system] if members <= chosen else _words_of_system(system, chosen)
    cells = [lattice for lattice in BRAVAIS_LATTICES if lattice in set(lattices)]
    if len(cells) < len(BRAVAIS_LATTICES):
        words += cells
    return ",".join(words) or "uniform"


def _words_of_system(system: str, chosen: set[str]) -> list[str]:
    words = []
    for number, laue in enumerate(LAUE_GROUPS):
        if crystal_system(laue) != system:
            continue
        members = [POINT_GROUPS[i] for i in np.flatnonzero(np.equal(LAUE_INDEX, number))]
        whole = set(members) <= chosen
        words += [f"laue:{laue}"] if whole else [name for name in members if name in chosen]
    return words


class PriorChooser(QDialog):
    """Ask for point groups and Bravais lattices; ``accepted_prior`` brings the answer.

    Parameters
    ----------
    text
        What is ticked to begin with; a prior that is no list ticks everything.
    """

    accepted_prior = Signal(str)

    def __init__(self, text: str = "uniform", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("What may be there")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        # Enough for seven systems and fourteen lattices, and still less than a small screen.
        self.resize(560, 540)
        self.groups = self._make_groups()
        self.lattices = self._make_lattices()
        for view in (self.groups, self.lattices):
            view.setIconSize(QSize(16, 16))
            # napari's dark theme leaves empty boxes black on black.
            view.setStyleSheet(_EMPTY_BOX)
        self.message = wrapped()
        self.buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel
        )
        self.buttons.accepted.connect(self._accept)
        self.buttons.rejected.connect(self.reject)
        self._lay_out()
        self._tick(text)
        self.groups.itemChanged.connect(self._show_message)
        self.lattices.itemChanged.connect(self._show_message)
        self._show_message()

    def text(self) -> str:
        """The prior that is ticked, for :func:`~.decoding.parse_prior`."""
        return prior_text(self._ticked_groups(), self._ticked_lattices())

    def item(self, name: str) -> QTreeWidgetItem | QListWidgetItem:
        """The line of a crystal system, point group, ``laue:`` group or Bravais lattice."""
        return self._items[name]

    def _make_groups(self) -> QTreeWidget:
        tree = QTreeWidget()
        tree.setHeaderHidden(True)
        tree.setToolTip("Systems, their Laue groups, and the point groups of each")
        self._items: dict[str, QTreeWidgetItem | QListWidgetItem] = {}
        for system in CRYSTAL_SYSTEMS:
            top = self._branch(tree, system, system, color("crystal_system", system))
            for number, laue in enumerate(LAUE_GROUPS):
                if crystal_system(laue) != system:
                    continue
                title = f"Laue group {laue}"
                middle = self._branch(top, f"laue:{laue}", title, color("laue_group", laue))
                for i in np.flatnonzero(np.equal(LAUE_INDEX, number)):
                    name = POINT_GROUPS[i]
                    leaf = self._branch(middle, name, name, color("point_group", name))
                    leaf.setFlags(leaf.flags() & ~Qt.ItemFlag.ItemIsAutoTristate)
        return tree

    def _branch(
        self, parent: QTreeWidget | QTreeWidgetItem, key: str, title: str, shade: str
    ) -> QTreeWidgetItem:
        item = QTreeWidgetItem(parent, [title])
        item.setIcon(0, swatch(shade))
        item.setFlags(
            item.flags() | Qt.ItemFlag.ItemIsUserCheckable | Qt.ItemFlag.ItemIsAutoTristate
        )
        item.setCheckState(0, Qt.CheckState.Unchecked)
        self._items[key] = item
        return item

    def _make_lattices(self) -> QListWidget:
        cells = QListWidget()
        cells.setToolTip("Bravais lattices; with none ticked any lattice may be there")
        for name in BRAVAIS_LATTICES:
            title = f"{name}  {family(name)}, {_CENTRINGS[name[1]]}"
            item = QListWidgetItem(swatch(color("bravais_lattice", name)), title, cells)
            item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
            item.setCheckState(Qt.CheckState.Unchecked)
            self._items[name] = item
        return cells

    def _lay_out(self) -> None:
        columns = QHBoxLayout()
        for title, view in (("Point &groups", self.groups), ("Bravais &lattices", self.lattices)):
            column = QVBoxLayout()
            label = QLabel(title)
            label.setBuddy(view)
            column.addWidget(label)
            column.addWidget(view)
            column.addLayout(self._all_or_none(view))
            columns.addLayout(column)
        box = QVBoxLayout(self)
        box.addWidget(
            wrapped(
                "Tick what may be in the sample. Everything ticked counts as equally likely; "
                "everything else is excluded, so a phase that you did not expect cannot be found."
            )
        )
        box.addLayout(columns)
        box.addWidget(self.message)
        box.addWidget(self.buttons)

    def _all_or_none(self, view: QTreeWidget | QListWidget) -> QHBoxLayout:
        """Buttons that tick everything of a list, or nothing."""
        row = QHBoxLayout()
        for title, ticked in (("All", True), ("None", False)):
            button = QPushButton(title)
            button.setAutoDefault(False)
            button.clicked.connect(partial(self._tick_all, view, ticked))
            row.addWidget(button)
        return row

    def _tick_all(self, view: QTreeWidget | QListWidget, ticked: bool, *_: object) -> None:
        names = POINT_GROUPS if view is self.groups else BRAVAIS_LATTICES
        self._tick_names(dict.fromkeys(names, ticked))

    def _tick_names(self, states: Mapping[str, bool]) -> None:
        for name, ticked in states.items():
            item, state = self._items[name], _state(ticked)
            if isinstance(item, QTreeWidgetItem):
                item.setCheckState(0, state)
            else:
                item.setCheckState(state)

    def _tick(self, text: str) -> None:
        words = {word.strip() for word in text.split(",")} - {"uniform", "known", ""}
        named_lattices = words & set(BRAVAIS_LATTICES)
        # A list without lattices allows all of them, and one without point groups all of those.
        allowed = parse_prior(",".join(words - named_lattices)).sum(axis=1) > 0
        self._tick_names(dict(zip(POINT_GROUPS, allowed.tolist(), strict=True)))
        self._tick_names(
            {name: not named_lattices or name in named_lattices for name in BRAVAIS_LATTICES}
        )
        for system in CRYSTAL_SYSTEMS:
            branch = self._items[system]
            assert isinstance(branch, QTreeWidgetItem)
            branch.setExpanded(branch.checkState(0) == Qt.CheckState.PartiallyChecked)

    def _ticked_groups(self) -> list[str]:
        return [name for name in POINT_GROUPS if self._ticked(name)]

    def _ticked_lattices(self) -> list[str]:
        return [name for name in BRAVAIS_LATTICES if self._ticked(name)]

    def _ticked(self, name: str) -> bool:
        item = self._items[name]
        state = item.checkState(0) if isinstance(item, QTreeWidgetItem) else item.checkState()
        return bool(state == Qt.CheckState.Checked)

    def _show_message(self, *_: object) -> None:
        groups = np.array([self._ticked(name) for name in POINT_GROUPS])
        lattices = np.array([self._ticked(name) for name in BRAVAIS_LATTICES])
        pairs = COMPATIBLE & groups[:, np.newaxis] & lattices
        lonely = [POINT_GROUPS[i] for i in np.flatnonzero(groups & ~pairs.any(axis=1))]
        if not groups.any() or not lattices.any():
            message = "Tick at least one point group and one lattice."
        elif not pairs.any():
            message = "None of these point groups goes with one of these lattices."
        elif lonely:
            message = f"Without a lattice, and so excluded: {', '.join(lonely)}."
        else:
            message = (
                f"{groups.sum()} of {len(groups)} point groups, {lattices.sum()} of "
                f"{len(lattices)} lattices: {pairs.sum()} pairs that go together."
            )
        self.message.setText(message)
        self.groups.viewport().update()  # the boxes of the branches follow those of their leaves
        self.buttons.button(QDialogButtonBox.StandardButton.Ok).setEnabled(bool(pairs.any()))

    def _accept(self) -> None:
        self.accepted_prior.emit(self.text())
        self.accept()


def _state(ticked: bool) -> Qt.CheckState:
    return Qt.CheckState.Checked if ticked else Qt.CheckState.Unchecked
