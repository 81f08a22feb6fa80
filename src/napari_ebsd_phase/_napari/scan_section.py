# SPDX-License-Identifier: GPL-3.0-or-later
"""Scan: open patterns, see what they are, look at them before the network does."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image
from napari.utils.history import get_open_history, update_open_history
from qtpy.QtWidgets import (
    QFileDialog,
    QFormLayout,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from ..errors import InputError
from .arrange import show_layers
from .background import Cancelled, Progress
from .data_set_box import DataSetBox
from .follow import Connections
from .layers import layer_for
from .notify import guarded, show_info
from .open_bar import OpenBar
from .quality_preview import quality_preview
from .reader import has_no_grid, open_source
from .scan_facts import detector_text, grids, map_text, memory_text, pattern_text, step_text
from .section import Section, form, wrapped
from .session import METADATA_KEY, session_of
from .work import Work

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from .layers import LayerData
    from .session import MapSession

_PREVIEWS = (
    ("mean_intensity", "Mean intensity", "Mean intensity of each pattern: shows grains, holes and "
     "topography before anything is classified"),
    ("quality", "Pattern quality", "Contrast of each pattern against its noise; after "
     "classification, how sure the network is that it is a pattern"),
    ("vendor_phases", "Vendor phases", "The phases that the vendor's software stored in the file"),
)  # fmt: skip

_MOST_ROWS = 10_000_000


class ScanSection(Section):
    """Opens a scan and says what it is."""

    def __init__(self, viewer: Viewer) -> None:
        super().__init__("&Scan", "The patterns: open them, see what they are, preview the map")
        self._viewer = viewer
        self._count = 0
        self._laid_out: weakref.WeakSet[MapSession] = weakref.WeakSet()
        self.empty = wrapped("Open an EBSD file or a sample to begin")
        font = self.empty.font()
        font.setBold(True)
        self.empty.setFont(font)
        self.open_bar = OpenBar()
        self._work = Work(self, "Stop reading")
        self.cancel_button = self._work.cancel_button
        self.busy_text = wrapped()
        self.data_sets = DataSetBox(viewer)
        self.facts = self._make_facts()
        self.memory = wrapped()
        self.grid = self._make_grid()
        self.locate_button = QPushButton("Locate pattern file…")
        self.locate_button.setToolTip("Choose the file that this phase map was made from")
        self.previews = QWidget()
        self.preview_buttons = self._make_previews()
        for widget in (
            self.empty, self.data_sets, self.facts, self.memory, self.grid, self.locate_button,
            self.previews, self.busy_text, self._work.bar, self.cancel_button, self.open_bar,
        ):  # fmt: skip
            self.box.addWidget(widget)
        self.open_bar.asked.connect(self._open)
        self.locate_button.clicked.connect(self._ask_where)
        self.cancel_button.clicked.connect(self._give_up)
        self._work.changed.connect(self._show_busy)
        self._work.ended.connect(self._on_ended)
        self._show_busy()
        self._layers = Connections(self)
        for event in ("events.inserted", "events.removed"):
            self._layers.connect(viewer.layers, event, self._on_layers)
        self.show_session(None)

    @property
    def busy_now(self) -> bool:
        """Whether something is being read."""
        return self._work.busy

    def show_session(self, session: MapSession | None) -> None:
        there = session is not None
        scan = session.scan if session is not None else None
        self.empty.setVisible(not there)
        self.facts.setVisible(there)
        self.memory.setVisible(scan is not None)
        self.locate_button.setVisible(there and scan is None)
        self.previews.setVisible(scan is not None)
        self.grid.setVisible(session is not None and self._needs_grid(session))
        if session is None:
            return
        self._show_facts(session)
        if self._needs_grid(session):
            self._propose_grid(session.shape)
        for button in self.preview_buttons.values():
            button.setEnabled(not self._work.busy)
        self._on_layers()

    @guarded
    def _on_layers(self, event: Any = None) -> None:
        # A data set is there with its first layer, and its vendor's phases come after that.
        session = self.session
        vendor = None if session is None else layer_for(self._viewer, session, "vendor_phases")
        self.preview_buttons["vendor_phases"].setVisible(vendor is not None)
        self.data_sets.show_session(session)

    def stop(self) -> None:
        """Give up what is at work, silently."""
        self._work.stop()

    def _make_facts(self) -> QWidget:
        widget = QWidget()
        fields = form()
        fields.setRowWrapPolicy(QFormLayout.RowWrapPolicy.DontWrapRows)
        self._facts = {
            name: wrapped(selectable=True)
            for name in ("File", "Map", "Step", "Patterns", "Detector")
        }
        for name, label in self._facts.items():
            fields.addRow(name, label)
        widget.setLayout(fields)
        return widget

    def _make_grid(self) -> QWidget:
        widget = QWidget()
        self.rows = QSpinBox()
        self.cols = QSpinBox()
        for box, tip in ((self.rows, "Rows of the map"), (self.cols, "Columns of the map")):
            box.setRange(1, _MOST_ROWS)
            box.setToolTip(tip)
            box.setKeyboardTracking(False)
        self.grid_button = QPushButton("Apply &grid")
        self.grid_button.setToolTip("Lay the patterns out on a map of these rows and columns")
        self.grid_note = wrapped()
        row = QHBoxLayout()
        for part in (self.rows, QLabel("×"), self.cols, self.grid_button):
            row.addWidget(part)
        column = QVBoxLayout(widget)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.grid_note)
        column.addLayout(row)
        self.rows.valueChanged.connect(self._on_rows)
        self.cols.valueChanged.connect(self._on_cols)
        self.grid_button.clicked.connect(self._apply_grid)
        return widget

    def _make_previews(self) -> dict[str, QPushButton]:
        grid = QGridLayout(self.previews)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(4)
        buttons = {}
        for number, (role, title, tip) in enumerate(_PREVIEWS):
            button = QPushButton(title)
            button.setToolTip(tip)
            grid.addWidget(button, *divmod(number, 2))
            buttons[role] = button
        buttons["mean_intensity"].clicked.connect(self._preview_mean)
        buttons["quality"].clicked.connect(self._preview_quality)
        buttons["vendor_phases"].clicked.connect(self._preview_vendor)
        return buttons

    def _show_facts(self, session: MapSession) -> None:
        scan = session.scan
        self._facts["Map"].setText(map_text(session.shape))
        self._facts["Step"].setText(step_text(session.step, session.units))
        if scan is None:
            source = session.source_name or "pattern file"
            self._facts["File"].setText(f"{session.name} ({source} not found)")
            self._facts["Patterns"].setText("not open")
            self._facts["Detector"].setText("not open")
            return
        self._facts["File"].setText(scan.path.name)
        self._facts["File"].setToolTip(str(scan.path))
        self._facts["Patterns"].setText(pattern_text(scan))
        self._facts["Detector"].setText(detector_text(scan.detector))
        self.memory.setText(memory_text(scan))

    def _needs_grid(self, session: MapSession) -> bool:
        """Whether the user is to say how the patterns lie on the map, or has said so here."""
        scan = session.scan
        if scan is None or scan.pattern_shape is None or session.phase_map is not None:
            return False
        asked = has_no_grid(scan) or session in self._laid_out
        return asked and len(grids(session.shape[0] * session.shape[1])) > 2

    def _propose_grid(self, shape: tuple[int, int]) -> None:
        if self._count != shape[0] * shape[1]:
            self._count = shape[0] * shape[1]
            rows, cols = grids(self._count)[0] if 1 in shape else shape
            self.rows.setValue(rows)
            self.cols.setValue(cols)
        self._check_grid()

    @guarded
    def _on_rows(self, rows: int) -> None:
        # The other number follows where it can; where it cannot, the note says what is wrong.
        if self._count and self._count % rows == 0:
            self.cols.setValue(self._count // rows)
        self._check_grid()

    @guarded
    def _on_cols(self, cols: int) -> None:
        if self._count and self._count % cols == 0:
            self.rows.setValue(self._count // cols)
        self._check_grid()

    def _check_grid(self) -> None:
        product = self.rows.value() * self.cols.value()
        self.grid_button.setEnabled(product == self._count and not self._work.busy)
        text = f"The file does not say how its {self._count:,} patterns lie on the map."
        if product != self._count:
            text += f" {self.rows.value():,} × {self.cols.value():,} are {product:,}."
        self.grid_note.setText(text)

    @guarded
    def _apply_grid(self, *_: object) -> None:
        session = self.session
        if session is None or session.scan is None:
            raise InputError("no pattern file is open: open one first")
        grid = (self.rows.value(), self.cols.value())
        path, name, old = session.scan.path, session.name, weakref.ref(session)

        def work(progress: Progress, cancelled: Cancelled) -> Any:
            return (*open_source(path, grid=grid, name=name), old)

        self._run(work, f"Reading {path.name} …", self._on_regridded)

    @guarded
    def _open(self, path: str, name: str) -> None:
        def work(progress: Progress, cancelled: Cancelled) -> Any:
            notes: list[str] = []
            return (*open_source(path, name=name or None, tell=notes.append), notes)

        self._run(work, f"Opening {Path(path).name} …", self._on_opened)

    @guarded
    def _ask_where(self, *_: object) -> None:
        dialog = QFileDialog(self, "Locate the pattern file", get_open_history()[0])
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.fileSelected.connect(self._locate)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    @guarded
    def _locate(self, path: str) -> None:
        session = self.session
        if session is None:
            raise InputError("the phase map is gone: open it again")
        update_open_history(path)
        session.locate_patterns(path)

    def _run(self, work: Any, text: str, slot: Any) -> None:
        if not self._work.busy:
            self.busy_text.setText(text)
            self._work.start(work, slot)

    @guarded
    def _give_up(self, *_: object) -> None:
        # A file that is being opened by a library cannot be interrupted: nobody waits for it.
        self._work.stop()
        self.show_session(self.session)

    @guarded
    def _show_busy(self) -> None:
        busy = self._work.busy
        self.busy_text.setVisible(busy)
        self.open_bar.setEnabled(not busy)
        self.grid_button.setEnabled(not busy)
        for button in self.preview_buttons.values():
            button.setEnabled(not busy)

    @guarded
    def _on_opened(self, opened: tuple[MapSession, list[LayerData], list[str]]) -> None:
        session, layers, notes = opened
        show_layers(self._viewer, session, layers)
        for note in notes:
            show_info(note)

    @guarded
    def _on_regridded(self, opened: tuple[MapSession, list[LayerData], Any]) -> None:
        session, layers, reference = opened
        self._laid_out.add(session)
        old = reference()
        for layer in list(self._viewer.layers):
            if old is not None and session_of(layer) is old:
                self._viewer.layers.remove(layer)
        show_layers(self._viewer, session, layers)

    @guarded
    def _on_ended(self) -> None:
        self.show_session(self.session)

    @guarded
    def _preview_mean(self, *_: object) -> None:
        self._show_only("mean_intensity")

    @guarded
    def _preview_vendor(self, *_: object) -> None:
        self._show_only("vendor_phases")

    @guarded
    def _preview_quality(self, *_: object) -> None:
        session = self.session
        if session is None or session.scan is None:
            raise InputError("no pattern file is open: open one first")
        if layer_for(self._viewer, session, "quality") is not None:
            self._show_only("quality")
            return
        scan, reference = session.scan, weakref.ref(session)

        def work(progress: Progress, cancelled: Cancelled) -> Any:
            return reference, quality_preview(scan, progress, cancelled)

        self._run(work, "Looking at the patterns …", self._on_quality)

    @guarded
    def _on_quality(self, found: tuple[Any, np.ndarray | None]) -> None:
        session, quality = found[0](), found[1]
        if session is None or quality is None:
            return
        like = layer_for(self._viewer, session, "mean_intensity")
        if like is None or layer_for(self._viewer, session, "quality") is not None:
            return
        layer = Image(
            quality,
            name=f"{session.name}: Pattern quality",
            colormap="gray",
            contrast_limits=(0, 1),
            scale=like.scale,
            units=like.units,
            axis_labels=like.axis_labels,
            metadata={METADATA_KEY: {"session": session, "role": "quality"}},
        )
        layer.colorbar.visible = True
        self._viewer.add_layer(layer)
        self._show_only("quality")

    def _show_only(self, role: str) -> None:
        """Show one layer of the data set, and hide its others."""
        session = self.session
        if session is None:
            return
        wanted = layer_for(self._viewer, session, role)
        if wanted is None:
            raise InputError(f"there is no such layer of {session.name} any more: open it again")
        for layer in self._viewer.layers:
            if session_of(layer) is session:
                layer.visible = layer is wanted
        self._viewer.layers.selection.active = wanted
