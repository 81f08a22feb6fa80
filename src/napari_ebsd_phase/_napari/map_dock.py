# SPDX-License-Identifier: GPL-3.0-or-later
"""The dock "EBSD phase mapping": from a file to a map to a file, in the order of work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import napari.viewer
from qtpy.QtCore import QEvent, QObject, QPoint, QSize, Qt, QTimer
from qtpy.QtWidgets import QFrame, QScrollArea, QVBoxLayout, QWidget

from .classify_section import ClassifySection
from .dock_tabs import SharedTabs
from .export_section import ExportSection
from .follow import Follower
from .layers_section import LayersSection
from .notify import guarded
from .region_section import RegionSection
from .scan_section import ScanSection

if TYPE_CHECKING:
    from qtpy.QtGui import QCloseEvent

    from .section import Section
    from .session import MapSession

_WIDTH = 340
_HEIGHT = 560
_LEAST_HEIGHT = 200

# Shares of a map that fills: often enough for the eye, seldom enough for the processor.
_COUNT_MS = 500


def _stage(session: MapSession | None) -> str:
    """How far the work on a data set has come."""
    if session is None:
        return "nothing"
    if session.running:
        return "running"
    if session.phase_map is None:
        return "patterns"
    # Without patterns nobody can go on, and a part of the map is all there will be.
    return "map" if session.phase_map.done.all() or session.scan is None else "part"


class MapDock(QWidget):
    """Opens scans, classifies them, and shows, identifies and exports what came out.

    It is about the data set of the selected layer. Sections that have nothing to work on yet stay
    closed; each opens when its turn has come, and the user opens and closes them at will.

    Parameters
    ----------
    viewer
        Where the layers are.
    """

    def __init__(self, viewer: napari.viewer.Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        # napari hands a proxy to plugins. Layers that come through it are proxies, too, which are
        # not the layers of the viewer to whoever compares them.
        viewer = getattr(viewer, "__wrapped__", viewer)
        SharedTabs(self, "mapping")
        self.scan = ScanSection(viewer)
        self.classify = ClassifySection(viewer)
        self.layers = LayersSection(viewer)
        self.region = RegionSection(viewer, self.classify)
        self.export = ExportSection(viewer, self.layers)
        self._reached = ""
        self._count = QTimer(self)
        self._count.setSingleShot(True)
        self._count.setInterval(_COUNT_MS)
        self._count.timeout.connect(self._count_labels)
        self.classify.ran.connect(self._on_ran)
        self._answer: QWidget = self.region.answer
        self.region.answered.connect(self._on_answered)
        self._lay_out()
        self._follower = Follower(viewer, self, "_show", "_on_changed")
        self.scan.set_open(True)
        self._follower.start()

    @property
    def sections(self) -> tuple[Section, ...]:
        """All sections, in the order of work."""
        return self.scan, self.classify, self.layers, self.region, self.export

    @property
    def session(self) -> MapSession | None:
        """The data set that the dock is about."""
        return self._follower.session

    def sizeHint(self) -> QSize:
        return QSize(_WIDTH, _HEIGHT)

    def minimumSizeHint(self) -> QSize:
        # Nothing scrolls sideways, so nothing may be narrower than its widest section.
        bar = self._area.verticalScrollBar().sizeHint().width()
        return QSize(self._content.minimumSizeHint().width() + bar, _LEAST_HEIGHT)

    def closeEvent(self, event: QCloseEvent) -> None:
        self._stop()
        super().closeEvent(event)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        # The scroll area does not pass on that its content has become wider.
        if event.type() == QEvent.Type.LayoutRequest:
            self.updateGeometry()
        return super().eventFilter(watched, event)

    def event(self, event: QEvent) -> bool:
        # napari takes a dock's widget out of its window when the user closes the dock, without
        # telling the widget. Put into a window again, it works again.
        if event.type() == QEvent.Type.ParentChange and hasattr(self, "_follower"):
            if self.parent() is None:
                self._stop()
            else:
                self._follower.start()
        return super().event(event)

    def _stop(self) -> None:
        """End all work: nobody could see or cancel it any more. What is classified stays."""
        self._follower.stop()
        self._count.stop()
        for section in (self.scan, self.classify, self.region, self.export):
            section.stop()

    def _lay_out(self) -> None:
        self._content = QWidget()
        box = QVBoxLayout(self._content)
        box.setContentsMargins(4, 4, 4, 4)
        box.setSpacing(4)
        for section in self.sections:
            box.addWidget(section)
        box.addStretch()
        self._area = QScrollArea()
        self._area.setWidget(self._content)
        self._area.setWidgetResizable(True)
        self._area.setFrameShape(QFrame.Shape.NoFrame)
        self._area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._content.installEventFilter(self)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(self._area)

    def _show(self, session: MapSession | None) -> None:
        for section in self.sections:
            section.set_session(session)
        self._reached = ""
        self._open_next(session)

    def _on_changed(self, what: str) -> None:
        for section in self.sections:
            section.session_changed(what)
        if what in ("scan", "map", "running"):
            self._open_next(self.session)

    def _open_next(self, session: MapSession | None) -> None:
        """Open the sections whose turn has come; those that the user closed stay closed."""
        reached = _stage(session)
        if session is not None and reached == self._reached:
            return
        self._reached = reached
        self.scan.set_open(reached in ("nothing", "patterns"))
        self.classify.set_open(reached in ("patterns", "running", "part"))
        self.layers.set_open(reached in ("part", "map"))
        if reached in ("nothing", "patterns"):
            self.region.set_open(False)
            self.export.set_open(False)

    @guarded
    def _on_answered(self, answer: QWidget) -> None:
        self._answer = answer
        # When the answer has its height.
        QTimer.singleShot(0, self._scroll_to_answer)

    @guarded
    def _scroll_to_answer(self) -> None:
        """Bring the whole answer into view, or where it is too high for that its beginning."""
        answer, bar = self._answer, self._area.verticalScrollBar()
        top = answer.mapTo(self._content, QPoint(0, 0)).y()
        bottom = top + answer.height()
        wanted = max(bar.value(), bottom - self._area.viewport().height())
        bar.setValue(min(wanted, top))

    @guarded
    def _on_ran(self) -> None:
        if not self._count.isActive():
            self._count.start()

    @guarded
    def _count_labels(self) -> None:
        if self.layers.body.isVisible():
            self.layers.refresh()
