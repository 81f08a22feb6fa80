# SPDX-License-Identifier: GPL-3.0-or-later
"""Which data set a dock is about: that of the selected layer, as layers come and go."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from .canvas_context import make_current
from .notify import guarded
from .session import active_session

if TYPE_CHECKING:
    from napari.viewer import Viewer
    from qtpy.QtWidgets import QWidget

    from .session import MapSession


class Connections:
    """Connections of a widget to events of things that may outlive it, or go before it.

    It keeps neither those things nor the widget alive, and ends with the widget.
    """

    def __init__(self, widget: QWidget) -> None:
        self._connected: list[tuple[weakref.ref[Any], str, weakref.WeakMethod]] = []
        # napari forgets a widget's method with the Python object, which Qt's may go before.
        widget.destroyed.connect(self.clear)

    def connect(self, owner: Any, event: str, method: Callable[..., Any]) -> None:
        """Call a bound method on an event, like ``"events.visible"`` of a layer."""
        attrgetter(event)(owner).connect(method)
        self._connected.append((weakref.ref(owner), event, weakref.WeakMethod(method)))

    def clear(self, *_: object) -> None:
        """Disconnect everything."""
        for reference, event, weak_method in self._connected:
            owner, method = reference(), weak_method()
            if owner is not None and method is not None:
                attrgetter(event)(owner).disconnect(method)
        self._connected = []


class Follower:
    """Tells a widget which session is active and what changes in it.

    It holds neither the widget nor the session.

    Parameters
    ----------
    viewer
        Whose layers are followed.
    widget
        Has the two methods that are named next.
    on_session
        Name of the method that is called with another session, or None.
    on_change
        Name of the method that is called with what has changed in the session.
    """

    def __init__(self, viewer: Viewer, widget: QWidget, on_session: str, on_change: str) -> None:
        self._viewer = weakref.ref(viewer)
        self._widget = weakref.ref(widget)
        self._methods = (on_session, on_change)
        self._session: weakref.ref[MapSession] | None = None
        self._layers = Connections(widget)
        self._changes = Connections(widget)

    @property
    def session(self) -> MapSession | None:
        """The active session."""
        return None if self._session is None else self._session()

    def start(self) -> None:
        """Follow the viewer's layers, and tell the widget of the active session."""
        viewer = self._viewer()
        if viewer is None:
            return
        self._layers.clear()
        for event in ("events.inserted", "events.removed", "selection.events.active"):
            self._layers.connect(viewer.layers, event, self._on_layers)
        self._layers.connect(viewer.layers, "events.removing", self._on_removing)
        self.look()

    def stop(self) -> None:
        """Follow nothing any more."""
        self._layers.clear()
        self._changes.clear()

    def look(self) -> None:
        """Find the active session now; the widget hears of it if it is another one."""
        viewer = self._viewer()
        session = None if viewer is None else active_session(viewer)
        # A dead reference and none are not the same: the widget still shows what has died.
        if session is self.session and (session is not None or self._session is None):
            return
        self._changes.clear()
        self._session = None if session is None else weakref.ref(session)
        if session is not None:
            self._changes.connect(session, "changed", self._on_changed)
        self._tell(0, session)

    def _on_layers(self, event: Any = None) -> None:
        self.look()

    def _on_removing(self, event: Any = None) -> None:
        widget = self._widget()
        if widget is not None:
            make_current(widget)

    def _on_changed(self, what: str) -> None:
        self._tell(1, what)

    def _tell(self, which: int, value: Any) -> None:
        widget = self._widget()
        if widget is not None:
            # An error here would pass through whoever added a layer or classified a tile.
            guarded(getattr(widget, self._methods[which]))(value)
