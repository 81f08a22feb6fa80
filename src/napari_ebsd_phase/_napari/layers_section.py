# SPDX-License-Identifier: GPL-3.0-or-later
"""Layers: which level the map shows, which probability a label needs, and how much of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtWidgets import (
    QAbstractItemView,
    QButtonGroup,
    QDoubleSpinBox,
    QGridLayout,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QSlider,
    QTableWidget,
    QTableWidgetItem,
    QToolButton,
)
from superqt.utils import QSignalThrottler

from ..export.words import percent
from .compare_panel import ComparePanel
from .follow import Connections
from .layers import MAP_ROLES, layer_for, refresh_layers, show_level
from .legend_rows import LegendRow, count_labels
from .notify import guarded
from .section import Section, wrapped
from .theme import swatch

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from .session import MapSession

_TITLES = {
    "label": ("Label", "The finest name that reaches the threshold: point group, else Laue group, "
              "else crystal system, else undecided"),
    "point_group": ("Point group", "Most probable of the 32 point groups, however sure"),
    "laue_group": ("Laue group", "Most probable of the 11 Laue groups"),
    "crystal_system": ("System", "Most probable of the 7 crystal systems"),
    "bravais_lattice": ("Lattice", "Most probable of the 14 Bravais lattices"),
    "confidence": ("Confidence", "Probability of the label of each pattern"),
    "quality": ("Quality", "How good each pattern is: whether it is one Kikuchi pattern at all, or "
                "its contrast against its noise"),
}  # fmt: skip

_COLUMNS = 4
_PERCENT = 100
_ROWS = 8

# A screen shows 60 pictures a second; a slider sends more events than that.
_THROTTLE_MS = 30


class LayersSection(Section):
    """Switches the level of a map, and labels it with another threshold."""

    def __init__(self, viewer: Viewer) -> None:
        super().__init__("La&yers", "What the map shows, and from which probability on")
        self._viewer = viewer
        self._role = "label"
        self._eyes = Connections(self)
        self.empty = wrapped("Classify a scan, or open a saved phase map, to see its layers here.")
        self.levels = self._make_levels()
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, _PERCENT)
        self.threshold = QDoubleSpinBox()
        self.threshold.setRange(0, 1)
        self.threshold.setSingleStep(0.01)
        self.threshold.setDecimals(2)
        # Else the map is labelled anew at the first digit, and the others are refused.
        self.threshold.setKeyboardTracking(False)
        self.proposed = QToolButton()
        self.proposed.setText("↺")
        self.proposed.setToolTip("Back to the threshold that the network's card proposes")
        tip = (
            "Probability that a label needs; below it the next coarser level is tried. "
            "The network does not run again"
        )
        for widget in (self.slider, self.threshold):
            widget.setToolTip(tip)
        self.note = wrapped()
        self.table = self._make_table()
        self.compare = ComparePanel(viewer)
        self._lay_out()
        self._throttler: Any = QSignalThrottler(parent=self)
        self._throttler.setTimeout(_THROTTLE_MS)
        self._throttler.triggered.connect(self._apply_threshold)
        self.slider.valueChanged.connect(self._on_slider)
        self.threshold.valueChanged.connect(self._on_number)
        self.proposed.clicked.connect(self._on_proposed)
        self.levels.idClicked.connect(self._on_level)
        self.show_session(None)

    @property
    def role(self) -> str:
        """Role of the layer that is shown."""
        return self._role

    def button(self, role: str) -> QPushButton:
        """The button that shows the layer of a role."""
        button = self.levels.button(tuple(_TITLES).index(role))
        assert isinstance(button, QPushButton)
        return button

    def show_session(self, session: MapSession | None) -> None:
        there = session is not None and session.cache is not None
        self.compare.show_session(session if there else None)
        self.empty.setVisible(not there)
        for widget in self._controls:
            widget.setVisible(there)
        if session is None or not there:
            self.table.setRowCount(0)
            return
        self._eyes.clear()
        for role in MAP_ROLES:
            layer = layer_for(self._viewer, session, role)
            if layer is not None:
                self._eyes.connect(layer, "events.visible", self._on_visible)
        self._show_threshold(session)
        self._find_role(session)
        self.refresh()

    def session_changed(self, what: str) -> None:
        session = self.session
        if what == "threshold" and session is not None:
            self._show_threshold(session)
            self.refresh()
        elif what in ("map", "layers", "running", "closed"):
            self.show_session(session)
        self.compare.session_changed(what)

    def refresh(self) -> None:
        """Count the labels of the level that is shown, as far as patterns are classified."""
        session = self.session
        if session is None or session.cache is None:
            return
        cache = session.cache
        done = cache.done
        if self._role in ("confidence", "quality"):
            values = cache.values(self._role)[done]
            self.table.hide()
            self.note.setText(_spread(_TITLES[self._role][0], values))
            return
        rows = count_labels(
            cache.values(self._role), cache.probabilities(self._role), done, self._role
        )
        self.table.show()
        self._fill(rows)
        count = int(np.count_nonzero(done))
        shown = (
            f"{count:,} of {done.size:,}"
            if count < done.size
            else "the only"
            if count == 1
            else f"all {count:,}"
        )
        plural = "" if done.size == 1 else "s"
        self.note.setText(f"Area and mean probability of each name; {shown} pattern{plural}.")

    def _make_levels(self) -> QButtonGroup:
        group = QButtonGroup(self)
        for number, (title, tip) in enumerate(_TITLES.values()):
            button = QPushButton(title, self.body)  # the group does not own it
            button.setToolTip(tip)
            button.setCheckable(True)
            group.addButton(button, number)
        return group

    def _make_table(self) -> QTableWidget:
        table = QTableWidget(0, 3)
        table.setHorizontalHeaderLabels(["Name", "Area", "Mean p"])
        table.verticalHeader().hide()
        table.verticalHeader().setDefaultSectionSize(max(22, table.fontMetrics().height() + 6))
        table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        table.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        table.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        table.setShowGrid(False)
        table.setTabKeyNavigation(False)
        table.setToolTip("The legend dock shows this with one click to hide or to select a label")
        header = table.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        header.setSectionsClickable(False)
        return table

    def _lay_out(self) -> None:
        grid = QGridLayout()
        grid.setSpacing(3)
        for number, button in enumerate(self.levels.buttons()):
            grid.addWidget(button, *divmod(number, _COLUMNS))
        row = QHBoxLayout()
        label = QLabel("T&hreshold")
        label.setBuddy(self.slider)
        for widget in (label, self.slider, self.threshold, self.proposed):
            row.addWidget(widget)
        self._controls = [
            *self.levels.buttons(), label, self.slider, self.threshold, self.proposed,
            self.table, self.note,
        ]  # fmt: skip
        self.box.addWidget(self.empty)
        self.box.addLayout(grid)
        self.box.addLayout(row)
        self.box.addWidget(self.table)
        self.box.addWidget(self.note)
        self.box.addWidget(self.compare)

    def _show_threshold(self, session: MapSession) -> None:
        # What the session says is no wish of the user: no signals.
        with QSignalBlocker(self.slider), QSignalBlocker(self.threshold):
            self.slider.setValue(round(session.threshold * _PERCENT))
            self.threshold.setValue(session.threshold)
        self.proposed.setEnabled(_proposed(session) not in (None, session.threshold))

    def _find_role(self, session: MapSession) -> None:
        """The role of the topmost layer of the map that is visible; the last one if none is."""
        for role in reversed(MAP_ROLES):
            layer = layer_for(self._viewer, session, role)
            if layer is not None and layer.visible:
                self._role = role
                break
        self.button(self._role).setChecked(True)

    @guarded
    def _on_visible(self, event: Any = None) -> None:
        if self.session is not None:
            self._find_role(self.session)
            self.refresh()

    @guarded
    def _on_level(self, number: int) -> None:
        session = self.session
        if session is not None:
            self._role = tuple(_TITLES)[number]
            show_level(self._viewer, session, self._role)

    @guarded
    def _on_slider(self, value: int) -> None:
        self.threshold.setValue(value / _PERCENT)

    @guarded
    def _on_number(self, value: float) -> None:
        with QSignalBlocker(self.slider):
            self.slider.setValue(round(value * _PERCENT))
        self._throttler.throttle()

    @guarded
    def _on_proposed(self, *_: object) -> None:
        session = self.session
        if session is not None and (proposed := _proposed(session)) is not None:
            self.threshold.setValue(proposed)

    @guarded
    def _apply_threshold(self) -> None:
        session = self.session
        if session is not None:
            session.set_threshold(self.threshold.value())
            refresh_layers(self._viewer, session)

    def _fill(self, rows: list[LegendRow]) -> None:
        self.table.setRowCount(len(rows))
        for number, row in enumerate(rows):
            named = row.value is not None
            cells = [
                row.name,
                percent(row.share) if named else "",
                f"{row.mean_probability:.2f}" if named else "",
            ]
            for column, text in enumerate(cells):
                item = QTableWidgetItem(text)
                if column == 0:
                    item.setIcon(swatch(row.color))
                else:
                    item.setTextAlignment(
                        Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
                    )
                self.table.setItem(number, column, item)
        height = self.table.verticalHeader().defaultSectionSize()
        # As high as its rows up to a limit: a table of two lines needs no empty box below.
        shown = max(1, min(len(rows), _ROWS))
        header = self.table.horizontalHeader().sizeHint().height()
        self.table.setFixedHeight(header + shown * height + 4)


def _proposed(session: MapSession) -> float | None:
    """Threshold that the map was made with."""
    if session.phase_map is None:
        return None
    value = session.phase_map.provenance.get("threshold")
    return float(value) if isinstance(value, int | float) else None


def _spread(title: str, values: np.ndarray) -> str:
    """Say in a sentence how the numbers of an image are spread."""
    values = values[np.isfinite(values)]
    if not values.size:
        return f"{title}: nothing is classified yet."
    low, middle, high = np.quantile(values, (0.1, 0.5, 0.9))
    return f"{title}: median {middle:.2f}; 80 % of the patterns are from {low:.2f} to {high:.2f}."
