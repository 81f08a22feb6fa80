# SPDX-License-Identifier: GPL-3.0-or-later
"""Choose a pixel of a map: by click, by drag, with the arrow keys.

The mouse callbacks are the viewer's, so that any layer may be the selected one. They leave napari
its own gestures: with Alt or Control, while something is drawn or painted, in 3D, and outside of
every map the mouse does what it always does. A drag over a map looks through its patterns in place
of moving the map; with Shift it moves the map. Likewise the arrow keys still move napari's sliders
where there are any.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from qtpy.QtCore import QObject, QTimer, Signal

from .notify import guarded
from .pattern_marker import PatternMarker
from .session import MapSession, active_session, session_of
from .status import pixel_at

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.viewer import Viewer

#: Rows and columns that an arrow key moves by.
ARROWS: Final = {"Up": (-1, 0), "Down": (1, 0), "Left": (0, -1), "Right": (0, 1)}


# Milliseconds until the marker follows. Moving it draws the whole map again, and meanwhile the heat
# map that is being made in a thread gets on slowly: so it waits for that, but not for long.
_DRAW_AFTER: Final = 120
_DRAW_SOON: Final = 10


class Place:
    """A pixel of a data set, which it does not keep alive."""

    def __init__(self, session: MapSession, row: int, col: int) -> None:
        self._session = weakref.ref(session)
        self.row = row
        self.col = col

    @property
    def session(self) -> MapSession | None:
        """The data set, if it is still there."""
        return self._session()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Place):
            return NotImplemented
        return self.session is other.session and (self.row, self.col) == (other.row, other.col)

    def __hash__(self) -> int:
        return hash((self.row, self.col))

    def __repr__(self) -> str:
        return f"Place({self.session!r}, {self.row}, {self.col})"


class PatternProbe(QObject):
    """Follows mouse and keys over the maps of a viewer while it is active.

    Parameters
    ----------
    viewer
        Whose maps can be clicked.

    Attributes
    ----------
    place, pinned
        The chosen pixel, and one to compare it with.
    """

    #: The chosen pixel is another one, or none.
    moved = Signal()

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        # The viewer holds the dock, and so this: a weak reference leaves no circle behind.
        self._viewer = weakref.ref(viewer)
        self._marker = PatternMarker(viewer)
        self._keys_before: dict[str, Callable[..., Any] | None] = {}
        self._active = False
        self._drawing = QTimer(self)
        self._drawing.setSingleShot(True)
        self._drawing.timeout.connect(self._draw)
        self.place: Place | None = None
        self.pinned: Place | None = None

    @property
    def active(self) -> bool:
        """Whether clicks choose pixels."""
        return self._active

    def activate(self) -> None:
        """Let clicks and keys choose pixels, and show the marker."""
        viewer = self._viewer()
        if self._active or viewer is None:
            return
        self._active = True
        viewer.mouse_drag_callbacks.append(self._on_press)
        viewer.canvas.grid.events.enabled.connect(self._on_grid)
        # Another data set that is opened or chosen hides the one before.
        viewer.layers.selection.events.active.connect(self._on_selected)
        self._bind_keys()
        self._draw()

    def deactivate(self) -> None:
        """Give mouse and keys back to napari, and take the marker away."""
        viewer = self._viewer()
        if not self._active or viewer is None:
            return
        self._active = False
        viewer.mouse_drag_callbacks.remove(self._on_press)
        viewer.canvas.grid.events.enabled.disconnect(self._on_grid)
        viewer.layers.selection.events.active.disconnect(self._on_selected)
        self._unbind_keys()
        self._marker.remove()

    def choose(self, session: MapSession, row: int, col: int) -> None:
        """Choose a pixel; one outside of the map gives way to the nearest inside."""
        rows, cols = session.shape
        place = Place(session, min(max(row, 0), rows - 1), min(max(col, 0), cols - 1))
        if place == self.place:
            return
        self.place = place
        self._bind_keys()
        self.moved.emit()
        self._draw_within(_DRAW_AFTER)

    def step(self, rows: int, cols: int) -> None:
        """Move on by so many rows and columns, as far as the map goes."""
        if self.place is not None and self.place.session is not None:
            self.choose(self.place.session, self.place.row + rows, self.place.col + cols)

    def pin(self, place: Place | None) -> None:
        """Mark a second pixel, or none."""
        self.pinned = place
        self._draw()

    def draw_soon(self) -> None:
        """Let the marker follow now: nothing else is waited for."""
        if self._drawing.isActive():
            self._draw_within(_DRAW_SOON)

    def forget_lost(self) -> None:
        """Let go of pixels whose data set was closed or has gone."""
        if self.pinned is not None and _is_lost(self.pinned):
            self.pinned = None
        lost = self.place is not None and _is_lost(self.place)
        if lost:
            self.place = None
            self._unbind_keys()
        self._draw()
        if lost:
            self.moved.emit()

    def _draw_within(self, milliseconds: int) -> None:
        if not self._drawing.isActive() or self._drawing.remainingTime() > milliseconds:
            self._drawing.start(milliseconds)

    def _draw(self) -> None:
        self._drawing.stop()
        if self._active:
            self._marker.show(self._seen(self.place), self._seen(self.pinned))

    def _seen(self, place: Place | None) -> Place | None:
        """A pixel whose map is shown, else None: its marker would lie on another map."""
        viewer = self._viewer()
        session = None if place is None else place.session
        if viewer is None or session is None:
            return None
        shown = any(x.visible and session_of(x) is session for x in viewer.layers)
        return place if shown else None

    def _on_grid(self, event: Any) -> None:
        self._draw()

    def _on_selected(self, event: Any = None) -> None:
        self._draw_within(_DRAW_SOON)

    # Mouse ------------------------------------------------------------------------------------

    def _on_press(self, viewer: Viewer, event: Any) -> Iterator[None]:
        found = self.map_under(viewer, event)
        if found is None:
            return
        if event.modifiers:
            del found
            yield from _move_map(viewer, event)
            return
        session, layer, row, col = found
        guarded(self.choose)(session, row, col)
        # Nothing is kept alive while the button is down.
        below, of = weakref.ref(layer), weakref.ref(session)
        del found, session, layer
        # The map stays where it is while its patterns are looked through. Marking moves as handled
        # would not do: napari passes quick ones on later than the camera sees them.
        camera = viewer.scene.camera
        pan = camera.mouse_pan
        camera.mouse_pan = False
        try:
            yield
            while event.type == "mouse_move":
                self._drag_to(below(), of(), event.position)
                yield
            # A quick hand lets go before its last move is told.
            self._drag_to(below(), of(), event.position)
        finally:
            camera.mouse_pan = pan

    def _drag_to(self, layer: Layer | None, session: MapSession | None, position: Any) -> None:
        if layer is None or session is None or session.closed or not self._active:
            return
        place = np.asarray(layer.world_to_data(position), float)[-2:]
        if np.isfinite(place).all():
            row, col = (int(number) for number in place.round())
            guarded(self.choose)(session, row, col)

    def map_under(self, viewer: Viewer, event: Any) -> tuple[MapSession, Layer, int, int] | None:
        """Data set, layer and pixel that a press is meant for."""
        active = viewer.layers.selection.active
        drawing = active is not None and str(active.mode) != "pan_zoom"
        other = event.button != 1 or set(event.modifiers) - {"Shift"}
        if other or drawing or viewer.dims.ndisplay != 2:
            return None
        layers = list(viewer.layers)
        if viewer.canvas.grid.enabled:
            here = viewer.canvas.grid.contents_at(tuple(event.viewbox), layers)
            layers = [layers[index] for index in here]
        # What lies on top comes first; of maps on top of each other the selected one.
        first = active_session(viewer)
        layers.sort(key=lambda layer: session_of(layer) is first)
        for layer in reversed(layers):
            session = session_of(layer)
            pixel = pixel_at(layer, event.position) if session is not None else None
            if session is not None and pixel is not None and layer.visible:
                return session, layer, *pixel
        return None

    # Keys -------------------------------------------------------------------------------------

    def _bind_keys(self) -> None:
        viewer = self._viewer()
        if viewer is None or self._keys_before or not self._active or self.place is None:
            return
        for key in ARROWS:
            self._keys_before[key] = viewer.bind_key(key, self._on_key(key), overwrite=True)

    def _unbind_keys(self) -> None:
        viewer = self._viewer()
        if viewer is not None:
            for key, before in self._keys_before.items():
                viewer.bind_key(key, before, overwrite=True)
        self._keys_before = {}

    def _on_key(self, key: str) -> Callable[[Viewer], None]:
        probe = weakref.ref(self)

        def move(viewer: Viewer) -> None:
            rows, cols = ARROWS[key]
            dims = viewer.dims
            if cols and any(dims.nsteps[axis] > 1 for axis in dims.not_displayed):
                dims.set_current_step(dims.last_used, dims.current_step[dims.last_used] + cols)
                return
            this = probe()
            if this is not None:
                guarded(this.step)(rows, cols)

        return move


def _move_map(viewer: Viewer, event: Any) -> Iterator[None]:
    """Move the map with the mouse, until the button is released."""
    start = np.array(event.position)[-2:]
    yield
    while event.type == "mouse_move":
        _move_camera(viewer, start, event.position)
        yield
    _move_camera(viewer, start, event.position)


def _move_camera(viewer: Viewer, wanted: np.ndarray, position: Any) -> None:
    """Bring a point of the world to where `position` is seen now."""
    camera = viewer.scene.camera
    center = np.array(camera.center, float)
    center[-2:] += wanted - np.array(position)[-2:]
    camera.center = tuple(center)


def _is_lost(place: Place) -> bool:
    session = place.session
    return session is None or session.closed
