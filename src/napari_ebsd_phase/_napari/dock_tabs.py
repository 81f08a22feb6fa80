# SPDX-License-Identifier: GPL-3.0-or-later
"""Docks of the plugin that are opened on one side of the window share their place as tabs.

napari puts each below the one before. On the screen of a laptop two of them leave no room for what
is in them.
"""

from __future__ import annotations

from typing import Final

from qtpy.QtCore import QEvent, QObject, QTimer
from qtpy.QtWidgets import QDockWidget, QMainWindow, QWidget

from .notify import guarded

_PREFIX: Final = "ebsd-phase-"


class SharedTabs(QObject):
    """Puts a dock, when it is shown first, with those of ours that are on its side already.

    Where the user moves it later, it stays.

    Parameters
    ----------
    widget
        What the dock shows; it owns this object.
    name
        Tells the docks of the plugin apart.
    """

    def __init__(self, widget: QWidget, name: str) -> None:
        super().__init__(widget)
        widget.setObjectName(f"{_PREFIX}{name}")
        widget.installEventFilter(self)
        # A child, which goes with the widget: a call that waits would find it gone.
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._join)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.Show:
            watched.removeEventFilter(self)
            # Until then napari still moves it.
            self._timer.start(0)
        return False

    @guarded
    def _join(self) -> None:
        widget = self.parent()
        assert isinstance(widget, QWidget)
        frame = _frame_of(widget)
        window = None if frame is None else frame.parentWidget()
        if frame is None or not isinstance(window, QMainWindow) or frame.isFloating():
            return
        side, together = window.dockWidgetArea(frame), window.tabifiedDockWidgets(frame)
        for other in window.findChildren(QDockWidget):
            if (
                other is not frame
                and other not in together
                and not other.isFloating()
                and other.isVisible()
                and window.dockWidgetArea(other) == side
                and _holds_ours(other)
            ):
                window.tabifyDockWidget(other, frame)
                frame.raise_()
                return


def _frame_of(widget: QWidget) -> QDockWidget | None:
    parent = widget.parentWidget()
    while parent is not None and not isinstance(parent, QDockWidget):
        parent = parent.parentWidget()
    return parent


def _holds_ours(dock: QDockWidget) -> bool:
    return any(child.objectName().startswith(_PREFIX) for child in dock.findChildren(QWidget))
