# SPDX-License-Identifier: GPL-3.0-or-later
"""Dock "Teach the network": a copy of a network learns the user's phases from labelled pixels."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

import napari.viewer
from napari.layers import Labels
from qtpy.QtCore import QEvent, QSize, Qt, QTimer
from qtpy.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from ..errors import InputError
from .dock_tabs import SharedTabs
from .follow import Connections, Follower
from .map_dock import MapDock
from .notify import guarded, show_error, show_info
from .pattern_save import folder_of
from .section import rule, wrapped
from .settings import load_settings
from .teach_controls import TeachControls
from .teach_curve import TeachCurve
from .teach_labels import new_labels, read_labels, sources_of, title_of
from .teach_result import TeachResult
from .teach_words import MOST_KINDS, READY, advice, why_not
from .teach_worker import (
    LEARNING,
    OtherStructures,
    Taught,
    Teaching,
    TeachRequest,
    checkpoint_of,
)

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from .session import MapSession
    from .teach_labels import Kind, Source

# A stroke of the brush is many events: labels are counted when it rests.
_REST_MS = 150

_LAYER_EVENTS = ("paint", "data", "labels_update", "colormap", "name")


class TeachDock(QWidget):
    """Takes labels, teaches a copy of a network with them, and tells what that gained.

    It is about the data set of the selected layer; a run that has begun goes on when another one is
    selected.

    Parameters
    ----------
    viewer
        Where the layers are.
    """

    def __init__(self, viewer: napari.viewer.Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        # napari hands plugins a proxy of the viewer; weak references need what lasts.
        viewer = getattr(viewer, "__wrapped__", viewer)
        SharedTabs(self, "teach")
        self._viewer: weakref.ref[Viewer] = weakref.ref(viewer)
        #: What a network is held to while it learns.
        self.others = OtherStructures()
        self._work: Teaching | None = None
        self._kinds: list[Kind] = []
        self._stage = ""
        self._end = ""  # how the last run ended
        self._taught_on: weakref.ref[MapSession] | None = None
        self.controls = TeachControls()
        self.hint = wrapped()
        self.start_button = QPushButton("&Start")
        self.stop_button = QPushButton("Sto&p")
        self.stop_button.setToolTip("Stop and tell the gain so far; Resume goes on there")
        self.over_button = QPushButton("Start &over")
        self.over_button.setToolTip("Forget the run that was stopped, and begin anew")
        self.progress = QProgressBar()
        self.progress.setTextVisible(False)
        self.curve = TeachCurve()
        self.result = TeachResult()
        self.use_button = QPushButton("&Use this network")
        self.use_button.setToolTip("Choose it in the dock EBSD phase mapping")
        self._lay_out()
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.setInterval(_REST_MS)
        self._rest.timeout.connect(self._look)
        self.controls.source_changed.connect(self._look)
        self.controls.changed.connect(self._show_state)
        self.controls.layer_wanted.connect(self._add_layer)
        self.start_button.clicked.connect(self._start)
        self.stop_button.clicked.connect(self._stop)
        self.over_button.clicked.connect(self._start_over)
        self.use_button.clicked.connect(self._use)
        self._painted = Connections(self)
        self._run_changes = Connections(self)
        self._layers = Connections(self)
        self._follower = Follower(viewer, self, "_on_session", "_on_change")
        self._follow()
        self._on_session(self.session)

    @property
    def session(self) -> MapSession | None:
        """The data set that the dock is about."""
        return self._follower.session

    @property
    def busy(self) -> bool:
        """Whether a network is being taught."""
        return self._work is not None

    def sizeHint(self) -> QSize:
        return QSize(360, 640)

    def minimumSizeHint(self) -> QSize:
        bar = self._area.verticalScrollBar().sizeHint().width()
        return QSize(self._content.minimumSizeHint().width() + bar, 200)

    # Events ---------------------------------------------------------------------------------------

    def event(self, event: QEvent) -> bool:
        # napari takes a dock's widget out of its window when the user closes the dock, without
        # telling the widget. Put into a window again, it works again.
        if event.type() == QEvent.Type.ParentChange and hasattr(self, "_follower"):
            if self.parent() is None:
                self._leave()
            else:
                self._follow()
        return super().event(event)

    def closeEvent(self, event: Any) -> None:
        self._leave()
        super().closeEvent(event)

    def _follow(self) -> None:
        viewer = self._viewer()
        self._layers.clear()
        if viewer is not None:
            for name in ("events.inserted", "events.removed"):
                self._layers.connect(viewer.layers, name, self._on_layers)
        self._follower.start()

    def _leave(self) -> None:
        """Follow nothing, and end what is at work: nobody could see or stop it any more."""
        self._follower.stop()
        self._layers.clear()
        self._painted.clear()
        self._rest.stop()
        self._abandon()

    def _on_layers(self, event: Any = None) -> None:
        self._rest.start()

    def _on_session(self, session: MapSession | None) -> None:
        if not self.busy and (self._taught_on is None or self._taught_on() is not session):
            self._forget()
        if session is not None:
            self.controls.propose(folder_of(session), f"{Path(session.name).name}_taught")
        self._look()

    def _on_change(self, what: str) -> None:
        if what in ("scan", "closed"):
            self._look()

    def _forget(self) -> None:
        """What was taught with another data set is not shown beside this one."""
        self._end = ""
        self.curve.clear()
        self.result.show_result(None)

    @guarded
    def _on_run_change(self, what: str) -> None:
        """A run ends with the patterns that it is about."""
        if what in ("scan", "closed") and self.busy:
            self._abandon()
            self._look()

    # What is shown --------------------------------------------------------------------------------

    @guarded
    def _look(self) -> None:
        """Read the labels that there are now."""
        viewer, session = self._viewer(), self.session
        self._painted.clear()
        sources: list[Source] = []
        if viewer is not None and session is not None and not session.closed:
            sources = sources_of(viewer, session)
        for layer in sources:
            if isinstance(layer, Labels):
                for name in _LAYER_EVENTS:
                    self._painted.connect(layer, f"events.{name}", self._on_layers)
        self.controls.set_sources(sources)
        source = self.controls.source
        kinds = [] if source is None or session is None else read_labels(source, session)[1]
        self._kinds = kinds
        self.controls.table.set_kinds(source, kinds if len(kinds) <= MOST_KINDS else [])
        self._show_state()

    def _why_not(self) -> str:
        return why_not(self.session, self.controls.source, self._kinds, self.controls.table.classes)

    @guarded
    def _show_state(self) -> None:
        busy, why = self.busy, self._why_not()
        target = self.controls.target
        kept = target is not None and checkpoint_of(target).exists()
        self.controls.setEnabled(self.session is not None and not busy)
        self.start_button.setEnabled(not why and not busy)
        self.start_button.setText("Re&sume" if kept and not busy else "&Start")
        self.over_button.setVisible(kept and not busy)
        self.over_button.setEnabled(not why)
        self.stop_button.setVisible(busy)
        self.progress.setVisible(busy)
        self.curve.setVisible(bool(self.curve.points))
        shown = self.result.result
        self.result.setVisible(shown is not None)
        self.use_button.setVisible(shown is not None and shown.target is not None)
        self.controls.table.setVisible(bool(self.controls.table.kinds))
        self.hint.setText(self._words(why))

    def _words(self, why: str) -> str:
        if self.busy:
            return f"{self._stage}…"
        if self._end:
            return f"{self._end} {why}".rstrip()
        return why or advice(self._kinds, self.controls.table.classes) or READY

    # What the user does ---------------------------------------------------------------------------

    @guarded
    def _add_layer(self) -> None:
        viewer, session = self._viewer(), self.session
        if viewer is not None and session is not None:
            new_labels(viewer, session)
            self._look()

    @guarded
    def _start_over(self, *_: object) -> None:
        if self.controls.target is not None:
            checkpoint_of(self.controls.target).unlink(missing_ok=True)
        self._start()

    @guarded
    def _start(self, *_: object) -> None:
        session, controls = self.session, self.controls
        if self.busy or session is None or session.scan is None:
            return
        # A file that we proposed and wrote is not written again.
        controls.propose(folder_of(session), f"{Path(session.name).name}_taught")
        self._end = ""
        self._look()  # the last stroke may not have been counted
        source, why = controls.source, self._why_not()
        if why or source is None:
            raise InputError(why)
        request = TeachRequest(
            session.scan,
            read_labels(source, session)[0],
            {value: name for value, name in controls.table.classes.items() if name},
            controls.table.names,
            title_of(source),
            controls.network,
            load_settings().device,
            controls.checked_target(),
            controls.steps,
        )
        self._taught_on = weakref.ref(session)
        self._run_changes.connect(session, "changed", self._on_run_change)
        self._work = Teaching(request, self.others)
        self._work.entered.connect(self._on_entered)
        self._work.pointed.connect(self._on_pointed)
        self._work.progressed.connect(self._on_progress)
        self._work.returned.connect(self._on_returned)
        self._work.failed.connect(self._on_failed)
        self._work.ended.connect(self._on_ended)
        self._stage = "Beginning"
        self.progress.setRange(0, 0)
        self.curve.clear()
        self.result.show_result(None)
        self._show_state()
        self._work.start()

    @guarded
    def _stop(self, *_: object) -> None:
        if self._work is not None:
            self._stage = "Stopping"
            self._work.cancel()
            self.stop_button.setEnabled(False)
            self._show_state()

    def _abandon(self) -> None:
        """Give up what is at work, silently; how far it came is kept beside its file."""
        if self._work is not None:
            self._work.abandon()
            self._settle()

    def _settle(self) -> None:
        """Nothing is at work any more."""
        self._work = None
        self._run_changes.clear()
        self.stop_button.setEnabled(True)

    @guarded
    def _use(self, *_: object) -> None:
        result = self.result.result
        if result is None or result.target is None:
            return
        docks = self.window().findChildren(MapDock)
        if not docks:
            raise InputError(
                "the dock EBSD phase mapping is not open: open it, and choose the file there as "
                "its network"
            )
        for dock in docks:
            dock.classify.form.network_box.set_network(str(result.target))
        show_info(f"{result.target.name} is now the network of the dock EBSD phase mapping")

    # What the work says ---------------------------------------------------------------------------

    @guarded
    def _on_entered(self, stage: str) -> None:
        self._stage = stage
        self.progress.setRange(0, 0)
        self._show_state()

    @guarded
    def _on_pointed(self, point: Any) -> None:
        self.curve.add(point)
        self.curve.show()

    @guarded
    def _on_progress(self, done: int, total: int) -> None:
        self.progress.setRange(0, total)
        self.progress.setValue(done)
        if self._stage.startswith(LEARNING):
            self._stage = f"{LEARNING}: {done:,} of {total:,} steps"
            self.hint.setText(self._words(""))

    @guarded
    def _on_returned(self, result: Taught | None) -> None:
        if result is None:
            self._end = "Stopped before anything was learned."
            return
        self.result.show_result(result)
        steps = f"{result.steps:,} step{'' if result.steps == 1 else 's'}"
        if result.target is None:
            self._end = (
                f"Stopped after {steps}. The figures are those of the best network so far, which "
                "is not written yet: Resume goes on."
            )
        else:
            self._end = f"Written after {steps}: {result.target.name} and its card."

    @guarded
    def _on_failed(self, error: Exception) -> None:
        show_error(error)

    @guarded
    def _on_ended(self) -> None:
        self._settle()
        self._look()

    def _lay_out(self) -> None:
        buttons = QHBoxLayout()
        buttons.setSpacing(6)
        for button in (self.start_button, self.stop_button, self.over_button, self.use_button):
            buttons.addWidget(button, 1)
        self._content = QWidget()
        box = QVBoxLayout(self._content)
        box.setContentsMargins(6, 6, 6, 6)
        box.setSpacing(6)
        box.addWidget(self.controls)
        box.addLayout(buttons)
        box.addWidget(self.progress)
        box.addWidget(self.hint)
        box.addWidget(self.curve)
        box.addWidget(rule())
        box.addWidget(self.result)
        box.addStretch()
        self._area = QScrollArea()
        self._area.setWidget(self._content)
        self._area.setWidgetResizable(True)
        self._area.setFrameShape(QFrame.Shape.NoFrame)
        self._area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(self._area)
