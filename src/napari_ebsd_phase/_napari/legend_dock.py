# SPDX-License-Identifier: GPL-3.0-or-later
"""Dock "EBSD phase legend": which label has which colour, and how much of the map it covers."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

import napari.viewer
import numpy as np
from napari.layers import Labels
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from .dock_tabs import SharedTabs
from .figure import FIGURE_SUFFIXES, LEGEND_SUFFIXES, save_figure, save_legend
from .follow import Connections, Follower
from .label_visibility import hidden_labels, keep_hidden, not_shown, set_hidden
from .layers import LABEL_ROLES
from .legend_rows import LEVEL_TITLES, classified, legend_rows
from .legend_table import LegendTable
from .notify import guarded, show_info
from .section import wrapped
from .session import MapSession, role_of, session_of

if TYPE_CHECKING:
    from qtpy.QtGui import QShowEvent

_NOTHING_OPEN = "Open an EBSD file or a sample to begin"
_NO_MAP = "Nothing is classified yet: press Start in the dock EBSD phase mapping"
_NO_LEVEL = "No map of labels is shown: make one of its layers visible"

# Milliseconds until the legend follows: soon after a click, calmly while a map fills.
_SOON = 20
_CALM = 250

# Pixels of the map that are seen around an area that is zoomed to.
_AROUND = 5

_FILTERS = {
    ".png": "Picture (*.png)",
    ".svg": "Drawing (*.svg)",
    ".pdf": "Document (*.pdf)",
    ".csv": "Table (*.csv)",
}


class LegendDock(QWidget):
    """Legend of the map that is shown.

    It follows the selected data set and its topmost visible level. A click on a row shows that
    label alone, an eye hides it, a double click zooms to its largest area; what is hidden stays
    hidden while the map fills, and in figures.
    """

    def __init__(self, viewer: napari.viewer.Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        SharedTabs(self, "legend")
        # napari hands plugins a proxy of the viewer; weak references need what lasts.
        viewer = getattr(viewer, "__wrapped__", viewer)
        self._viewer = weakref.ref(viewer)
        self._layer: weakref.ref[Labels] | None = None
        self._last_selected: int | None = None
        self._has_chosen = False

        self.title = wrapped()
        self.title.setStyleSheet("font-weight: bold")
        self.state = wrapped(_NOTHING_OPEN)
        self.table = LegendTable(self)
        # Methods, not functions that know the dock: those would keep it when it is closed.
        self.table.picked.connect(self._pick)
        self.table.pressed_on.connect(self._toggle_alone)
        self.table.eye_pressed.connect(self._toggle_eye)
        self.table.zoom_asked.connect(self._zoom_to)
        self.show_all_button = _button(
            "Show &all", "Show every label again: none alone, none hidden", self._show_all
        )
        self.save_legend_button = _button(
            "Save &legend…", "Save this table as a picture or as CSV", self._ask_legend
        )
        self.save_figure_button = _button(
            "Save &figure…",
            "Save the map as it is shown, with legend and scale bar, for a paper or report",
            self._ask_figure,
        )
        self._lay_out()

        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._on_timer)
        self._follower = Follower(viewer, self, "_on_session", "_on_change")
        self._viewer_events = Connections(self)
        self._layer_events = Connections(self)
        self._heard: list[weakref.ref[Labels]] = []
        for event in ("inserted", "removed", "reordered"):
            self._viewer_events.connect(viewer.layers, f"events.{event}", self._on_layers)
        self._viewer_events.connect(viewer.layers, "selection.events.active", self._on_layers)
        self._follower.start()
        self.update_now()

    @property
    def session(self) -> MapSession | None:
        """The data set whose legend is shown."""
        return self._follower.session

    @property
    def layer(self) -> Labels | None:
        """The layer whose legend is shown."""
        return None if self._layer is None else self._layer()

    def update_now(self) -> None:
        """Count the labels of what is shown now; else it happens by itself, a little later."""
        self._timer.stop()
        session, layer = self.session, self._find_layer()
        if layer is not self.layer or layer is None:
            self._layer = None if layer is None else weakref.ref(layer)
            # Label 1 is selected in every new layer, though nobody chose it.
            self._last_selected = None if layer is None else layer.selected_label
            self._has_chosen = False
        rows = []
        if session is not None and session.cache is not None and layer is not None:
            level = str(role_of(layer))
            rows = legend_rows(session.cache, level)
            done, total = classified(rows), sum(row.count for row in rows)
            counted = f"{total:,}" if done == total else f"{done:,} of {total:,}"
            self.title.setText(f"{session.name}: {LEVEL_TITLES[level]}")
            self.state.setText(f"{counted} patterns classified")
        elif session is None:
            self.title.setText("")
            self.state.setText(_NOTHING_OPEN)
        else:
            self.title.setText(session.name)
            self.state.setText(_NO_MAP if session.cache is None else _NO_LEVEL)
        self.title.setVisible(bool(self.title.text()))
        self.table.setVisible(layer is not None)
        for button in (self.save_legend_button, self.save_figure_button):
            button.setEnabled(classified(rows) > 0)
        self.table.show_rows(rows)
        self._show_state()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._soon(_SOON)

    def save_figure(self, path: str | Path) -> None:
        """Save the map as it is shown to ``.png``, ``.svg`` or ``.pdf``.

        Raises
        ------
        InputError
            As :func:`~.figure.save_figure` does.
        """
        self._save(save_figure, "Figure", path)

    def save_legend(self, path: str | Path) -> None:
        """Save the legend as it is shown to ``.png``, ``.svg``, ``.pdf`` or ``.csv``.

        Raises
        ------
        InputError
            As :func:`~.figure.save_legend` does.
        """
        self._save(save_legend, "Legend", path)

    def _lay_out(self) -> None:
        buttons = QHBoxLayout()
        buttons.setSpacing(4)
        for button in (self.show_all_button, self.save_legend_button, self.save_figure_button):
            buttons.addWidget(button, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.setSpacing(4)
        layout.addWidget(self.title)
        layout.addWidget(self.state)
        layout.addWidget(self.table, 1)
        layout.addStretch(0)
        layout.addLayout(buttons)
        self.setMinimumWidth(300)

    # What is shown, and when that changes

    def _find_layer(self) -> Labels | None:
        """Return the map of labels that one sees: the selected one, else the topmost."""
        viewer, session = self._viewer(), self.session
        if viewer is None or session is None or session.cache is None:
            return None
        ours = [
            layer
            for layer in viewer.layers
            if isinstance(layer, Labels)
            and session_of(layer) is session
            and role_of(layer) in LABEL_ROLES
        ]
        self._hear(ours)
        visible = [layer for layer in ours if layer.visible]
        active = viewer.layers.selection.active
        if active in visible:
            return active
        return visible[-1] if visible else None

    def _hear(self, layers: list[Labels]) -> None:
        """Listen to these layers, and to no others."""
        if [reference() for reference in self._heard] == layers:
            return
        self._layer_events.clear()
        self._heard = [weakref.ref(layer) for layer in layers]
        for layer in layers:
            for event, method in {
                "visible": self._on_layers,
                "features": self._on_filled,
                "colormap": self._on_colors,
                "selected_label": self._on_state,
                "show_selected_label": self._on_state,
            }.items():
                self._layer_events.connect(layer, f"events.{event}", method)

    def _soon(self, delay: int) -> None:
        if not self._timer.isActive() or self._timer.remainingTime() > delay:
            self._timer.start(delay)

    @guarded
    def _on_timer(self) -> None:
        # While a map fills, nothing is counted that nobody sees.
        if self.isVisible() or self.session is None or not self.session.running:
            self.update_now()

    def _on_session(self, session: MapSession | None) -> None:
        self._soon(_SOON)

    def _on_change(self, what: str) -> None:
        self._soon(_CALM if what in ("map", "running") else _SOON)

    def _on_layers(self, event: Any = None) -> None:
        self._soon(_SOON)

    def _on_filled(self, event: Any = None) -> None:
        self._soon(_CALM)

    def _on_colors(self, event: Any) -> None:
        keep_hidden(event.source)
        self._on_state(event)

    def _on_state(self, event: Any) -> None:
        if event.source is self.layer:
            self._show_state()

    def _show_state(self) -> None:
        """Show in the table which label is selected, alone or hidden."""
        layer = self.layer
        hidden: frozenset[int] = frozenset()
        selected = alone = None
        if layer is not None:
            hidden, selected = hidden_labels(layer), layer.selected_label
            alone = selected if layer.show_selected_label else None
            self._has_chosen |= selected != self._last_selected or alone is not None
            self._last_selected = selected
        self.table.rows_model.set_shown(hidden, alone)
        self.table.select_value(selected if self._has_chosen else None)
        self.show_all_button.setEnabled(bool(hidden) or alone is not None)

    # What the user does

    @guarded
    def _pick(self, value: int) -> None:
        if (layer := self.layer) is not None:
            layer.selected_label = value

    @guarded
    def _toggle_alone(self, value: int) -> None:
        if (layer := self.layer) is not None:
            if layer.show_selected_label and layer.selected_label == value:
                layer.show_selected_label = False
            else:
                self._show_alone(layer, value)

    def _show_alone(self, layer: Labels, value: int) -> None:
        set_hidden(layer, hidden_labels(layer) - {value})
        layer.selected_label = value
        layer.show_selected_label = True

    @guarded
    def _toggle_eye(self, value: int) -> None:
        if (layer := self.layer) is not None:
            set_hidden(layer, hidden_labels(layer) ^ {value})
            self._show_state()

    @guarded
    def _show_all(self, checked: bool = False) -> None:
        if (layer := self.layer) is not None:
            set_hidden(layer, ())
            layer.show_selected_label = False
            self._show_state()

    @guarded
    def _zoom_to(self, value: int) -> None:
        """Show a label alone, its largest connected area in the middle of the canvas."""
        from scipy import ndimage

        viewer, layer = self._viewer(), self.layer
        if viewer is None or layer is None:
            return
        self._show_alone(layer, value)
        areas, number = ndimage.label(np.asarray(layer.data) == value)
        if not number:
            return
        largest = 1 + int(np.argmax(np.bincount(areas.ravel())[1:]))
        rows, cols = ndimage.find_objects(areas)[largest - 1]
        corners = [
            np.array(layer.data_to_world((r, c)))[-2:]
            for r, c in (
                (rows.start - _AROUND, cols.start - _AROUND),
                (rows.stop - 1 + _AROUND, cols.stop - 1 + _AROUND),
            )
        ]
        size = np.abs(corners[1] - corners[0])
        # Seen from the view of everything, so that the size of the canvas need not be known.
        viewer.reset_view()
        first, last = viewer.layers.extent.world
        camera = viewer.scene.camera
        camera.zoom *= max(1.0, float(np.min(np.abs(last - first)[-2:] / size)))
        camera.center = (*camera.center[:-2], *((corners[0] + corners[1]) / 2))

    @guarded
    def _ask_figure(self, checked: bool = False) -> None:
        self._ask("Save figure", FIGURE_SUFFIXES, self._write_figure)

    @guarded
    def _ask_legend(self, checked: bool = False) -> None:
        self._ask("Save legend", LEGEND_SUFFIXES, self._write_legend)

    @guarded
    def _write_figure(self, path: str) -> None:
        self.save_figure(path)

    @guarded
    def _write_legend(self, path: str) -> None:
        self.save_legend(path)

    def _ask(self, title: str, suffixes: tuple[str, ...], write: Any) -> None:
        """Open a file dialog; the program goes on meanwhile."""
        session, layer = self.session, self.layer
        if session is None or layer is None:
            return
        dialog = QFileDialog(self, title, str(_folder(session)))
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setNameFilters([_FILTERS[suffix] for suffix in suffixes])
        dialog.setDefaultSuffix(suffixes[0][1:])
        dialog.filterSelected.connect(
            lambda text: dialog.setDefaultSuffix(text.rpartition(".")[2].rstrip(")"))
        )
        what = "legend" if ".csv" in suffixes else "map"
        dialog.selectFile(f"{Path(session.name).name}_{role_of(layer)}_{what}{suffixes[0]}")
        dialog.fileSelected.connect(write)
        dialog.finished.connect(dialog.deleteLater)
        # As QDialog.open does, which the two bindings of Qt spell differently here.
        dialog.setWindowModality(Qt.WindowModality.WindowModal)
        dialog.show()

    def _save(self, save: Any, what: str, path: str | Path) -> None:
        session, layer = self.session, self.layer
        if session is None or layer is None or session.cache is None:
            return
        level = str(role_of(layer))
        values = [row.value for row in self.table.rows_model.rows if row.value is not None]
        save(session, path, level=level, hidden=not_shown(layer, values))
        show_info(f"{what} saved as {path}")


def _button(text: str, tip: str, slot: Any) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tip)
    button.clicked.connect(slot)
    return button


def _folder(session: MapSession) -> Path:
    """Where results of a data set belong: beside it, but for the samples of the program."""
    program = Path(__file__).parents[1]
    if session.scan is None or program in session.scan.path.resolve().parents:
        return Path.home()
    return session.scan.path.resolve().parent
