# SPDX-License-Identifier: GPL-3.0-or-later
"""A click on the map brings the pattern dock to the top where it lies behind another tab."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from .notify import guarded

if TYPE_CHECKING:
    from napari.viewer import Viewer
    from qtpy.QtWidgets import QDockWidget

    from .pattern_dock import PatternDock
    from .session import MapSession


class ClickOpens:
    """Listens for clicks on maps while a pattern dock is a tab behind another.

    One that the user closed stays closed. Only a click says that a pixel is of interest, a drag may
    be meant for the map.

    Parameters
    ----------
    viewer
        Whose canvas is clicked. It keeps this object, and this object nothing.
    dock, frame
        The pattern dock, and napari's frame around it.
    """

    def __init__(self, viewer: Viewer, dock: PatternDock, frame: QDockWidget) -> None:
        self._dock = weakref.ref(dock)
        self._frame = weakref.ref(frame)
        viewer.mouse_drag_callbacks.append(self)

    def __call__(self, viewer: Viewer, event: Any) -> Iterator[None]:
        dock, frame = self._dock(), self._frame()
        if dock is None or frame is None:
            viewer.mouse_drag_callbacks.remove(self)
            return
        # To Qt a tab behind another is visible, but none of it is to be seen.
        behind = frame.toggleViewAction().isChecked() and frame.visibleRegion().isEmpty()
        found = dock.probe.map_under(viewer, event) if behind and not event.modifiers else None
        if found is None:
            return
        session, _, row, col = found
        wanted = weakref.ref(session)
        del dock, frame, found, session  # nothing is kept alive while the button is down
        yield
        if event.type == "mouse_move":
            return
        self._open(wanted(), row, col)

    @guarded
    def _open(self, session: MapSession | None, row: int, col: int) -> None:
        dock, frame = self._dock(), self._frame()
        if dock is not None and frame is not None and session is not None and not session.closed:
            frame.raise_()
            dock.show_pixel(session, row, col)
