# SPDX-License-Identifier: GPL-3.0-or-later
"""Dock "Evidence on the sphere": where in the crystal the evidence for a class lies."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import napari.viewer
import numpy as np
from qtpy.QtCore import QEvent, QSize
from qtpy.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QMenu,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from ..errors import InputError
from ..export._atomic import replacing
from .background import Cancelled, Progress
from .dock_tabs import SharedTabs
from .explain_worker import network_of, prior_of, provenance_of
from .follow import Follower
from .network_loader import NetworkLoader
from .notify import error_text, guarded, show_info
from .pattern_save import folder_of
from .section import wrapped
from .settings import load_settings
from .sphere_controls import SphereControls
from .sphere_view import SphereView
from .sphere_worker import SphereAnswer, SphereRequest, make_sphere, phases_in
from .work import Work

if TYPE_CHECKING:
    from .session import MapSession

_NOTHING_OPEN = "Open an EBSD file or a sample to begin"
_NO_FILE = "The patterns of this map were not found: locate them in the dock EBSD phase mapping"
_NO_ORIENTATIONS = (
    "This file has no orientations. Open one with the result of indexing, or choose the CIF file "
    "of the crystal: its orientations are then found by Hough indexing."
)
_NO_DETECTOR = (
    "This file does not say where the detector stood, so that nobody knows which crystal direction "
    "a pixel shows. Open a file with projection centres."
)
_READY = (
    "Press Show map: heat maps of many patterns are laid on the sphere of crystal directions and "
    "averaged over the symmetry of the crystal."
)
_WORKING = "Looking at the patterns…"
_NOTHING = "there is no map yet: press Show map first"


class SphereDock(QWidget):
    """Averages heat maps by crystal direction and draws them as a stereographic map.

    It is about the data set of the selected layer, and needs the orientations of its patterns.

    Parameters
    ----------
    viewer
        Where the layers are.
    """

    def __init__(self, viewer: napari.viewer.Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        SharedTabs(self, "sphere")
        # napari hands plugins a proxy of the viewer; weak references need what lasts.
        viewer = getattr(viewer, "__wrapped__", viewer)
        self._loader = NetworkLoader()
        self._failure = ""  # why the last map was not made
        self._source: weakref.ref[MapSession] | None = None  # of the map that is shown
        self.controls = SphereControls()
        self.view = SphereView()
        self.title = wrapped(selectable=True)
        self.title.setStyleSheet("font-weight: bold")
        self.words = wrapped(selectable=True)
        self.start_button = QPushButton("Show &map")
        self.start_button.setToolTip(
            "Ask the network about the patterns and show where in the crystal the evidence lies"
        )
        self._work = Work(self, "Stop; the map before stays")
        self.cancel_button, self.progress = self._work.cancel_button, self._work.bar
        self.save_button = QPushButton("&Save")
        self.save_button.setToolTip("Save the picture, or the numbers behind it")
        menu = QMenu(self.save_button)
        menu.addAction("Picture (.png)…", self._ask_picture)
        menu.addAction("Evidence as array (.npy)…", self._ask_array)
        self.save_button.setMenu(menu)
        self._lay_out()
        self.start_button.clicked.connect(self._start)
        self._work.changed.connect(self._show_state)
        self._work.failed.connect(self._on_failed)
        self.controls.changed.connect(self._show_state)
        self._follower = Follower(viewer, self, "_on_session", "_on_change")
        self._follower.start()
        self._on_session(self.session)

    @property
    def session(self) -> MapSession | None:
        """The data set that the dock is about."""
        return self._follower.session

    @property
    def busy(self) -> bool:
        """Whether a map is being made."""
        return self._work.busy

    @property
    def answer(self) -> SphereAnswer | None:
        """The map that is shown."""
        return self.view.answer

    def sizeHint(self) -> QSize:
        return QSize(520, 640)

    def save_picture(self, path: str | Path) -> Path:
        """Save the map with what lies beside it as PNG; an existing file is replaced.

        Raises
        ------
        InputError
            If there is no map, or the file cannot be written.
        """
        from ..saliency.sphere_picture import write_sphere

        answer = self._shown()
        path = _with_suffix(path, ".png")
        with replacing(path, overwrite=True) as file:
            write_sphere(file, answer.panels, answer.catalogue, answer.lines, answer.operations)
        return path

    def save_array(self, path: str | Path) -> Path:
        """Save the evidence as NumPy file, see :class:`.SphereMap`.

        Raises
        ------
        InputError
            If there is no map, or the file cannot be written.
        """
        answer = self._shown()
        path = _with_suffix(path, ".npy")
        with replacing(path, overwrite=True) as file:
            np.save(file, answer.found.values)
        return path

    def _shown(self) -> SphereAnswer:
        if self.answer is None:
            raise InputError(_NOTHING)
        return self.answer

    # Events ---------------------------------------------------------------------------------------

    def event(self, event: QEvent) -> bool:
        # napari takes a dock's widget out of its window when the user closes the dock, without
        # telling the widget. Put into a window again, it works again.
        if event.type() == QEvent.Type.ParentChange and hasattr(self, "_follower"):
            if self.parent() is None:
                self._follower.stop()
                self._work.stop()
            else:
                self._follower.start()
        return super().event(event)

    def closeEvent(self, event: Any) -> None:
        self._follower.stop()
        self._work.stop()
        super().closeEvent(event)

    def _on_session(self, session: MapSession | None) -> None:
        self._work.stop()
        scan = None if session is None else session.scan
        folder = Path() if session is None or scan is None else folder_of(session)
        self.controls.set_phases({} if scan is None else phases_in(scan), folder)
        if session is None or self._source is None or self._source() is not session:
            self._forget_map()
        self._show_state()

    def _on_change(self, what: str) -> None:
        if what in ("scan", "closed"):
            self._forget_map()
            self._on_session(self.session)

    def _forget_map(self) -> None:
        self._source, self._failure = None, ""
        self.view.show_hint("")
        self.title.setText("")
        self.words.setText("")

    # What is shown --------------------------------------------------------------------------------

    def _why_not(self) -> str:
        """Why there can be no map as things stand; nothing where there can be one."""
        session = self.session
        if session is None:
            return _NOTHING_OPEN
        if session.scan is None or session.closed:
            return _NO_FILE
        if session.scan.detector is None:
            return _NO_DETECTOR
        if self.controls.phase is None and self.controls.cif is None:
            return _NO_ORIENTATIONS
        return ""

    @guarded
    def _show_state(self) -> None:
        why_not, busy = self._why_not(), self.busy
        self.start_button.setEnabled(not why_not and not busy)
        self.controls.setEnabled(self.session is not None and not busy)
        self.save_button.setEnabled(self.answer is not None)
        for label in (self.title, self.words):
            label.setVisible(bool(label.text()))
        if self.answer is None:
            self.view.show_hint(_WORKING if busy else why_not or self._failure or _READY)

    # What the user does ---------------------------------------------------------------------------

    @guarded
    def _start(self, *_: object) -> None:
        session, controls = self.session, self.controls
        if self.busy or session is None or session.scan is None:
            return
        provenance = provenance_of(session)
        request = SphereRequest(
            session.scan,
            controls.phase,
            controls.cif,
            controls.hough,
            controls.level,
            controls.target,
            controls.against,
            controls.most,
            controls.master,
            network_of(provenance),
            load_settings().device,
            prior_of(provenance),
        )
        loader = self._loader

        def work(progress: Progress, cancelled: Cancelled) -> SphereAnswer | None:
            return make_sphere(request, loader, progress, cancelled)

        self._failure = ""
        self._work.start(work, self._on_returned)

    @guarded
    def _on_returned(self, answer: SphereAnswer | None) -> None:
        session = self.session
        if answer is None or session is None:
            return
        self._source = weakref.ref(session)
        self.view.show_answer(answer)
        self.title.setText(answer.lines[0])
        self.words.setText(answer.lines[1])

    @guarded
    def _on_failed(self, error: Exception) -> None:
        self._failure = error_text(error)

    def _ask_picture(self) -> None:
        self._ask(".png", "Picture (*.png)", self.save_picture)

    def _ask_array(self) -> None:
        self._ask(".npy", "NumPy array (*.npy)", self.save_array)

    @guarded
    def _ask(self, suffix: str, kinds: str, save: Callable[[str], Path]) -> None:
        """Open a file dialog; the program goes on meanwhile."""
        session = self.session
        if session is None:
            return

        @guarded
        def write(path: str) -> None:
            show_info(f"Saved {save(path)}")

        dialog = QFileDialog(self, "Save", str(folder_of(session)), kinds)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix(suffix[1:])
        dialog.selectFile(f"{Path(session.name).name}_sphere{suffix}")
        dialog.fileSelected.connect(write)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def _lay_out(self) -> None:
        buttons = QHBoxLayout()
        buttons.setSpacing(6)
        for button in (self.start_button, self.cancel_button, self.save_button):
            buttons.addWidget(button, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.setSpacing(5)
        layout.addWidget(self.title)
        layout.addWidget(self.words)
        layout.addWidget(self.view, 1)
        layout.addWidget(self.controls)
        layout.addLayout(buttons)
        layout.addWidget(self.progress)
        self.setMinimumWidth(320)


def _with_suffix(path: str | Path, suffix: str) -> Path:
    path = Path(path)
    return path if path.suffix.lower() == suffix else path.with_name(path.name + suffix)
