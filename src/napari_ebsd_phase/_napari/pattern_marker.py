# SPDX-License-Identifier: GPL-3.0-or-later
"""The squares on a map that show whose pattern is on view.

They are a Points layer: napari has no public overlay for it, and a layer can be hidden by the user
like any other. It has the scale and units of the map below, is never the selected layer, stays on
top, and comes and goes with the pattern dock.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from qtpy.QtCore import QObject, QTimer

from .session import MapSession, session_of

if TYPE_CHECKING:
    from napari.layers import Layer, Points
    from napari.viewer import Viewer

    from .pattern_probe import Place

MARKER_NAME: Final = "EBSD pixel"

# On any colour of a map one of the two can be seen.
_RIM: Final = "black"
_CHOSEN: Final = "white"
_PINNED: Final = "cyan"

# Points of the screen: a pixel of a large map is smaller than that and would not be found, one of
# a small map is larger and would disappear below the marker.
_SIZES: Final = (9, 24)


class PatternMarker(QObject):
    """Marks the chosen pixel and a pinned one on the map of a viewer.

    Parameters
    ----------
    viewer
        Where; it is not kept alive.
    """

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self._viewer = weakref.ref(viewer)
        self._layer: weakref.ref[Points] | None = None
        self._colors: list[str] = []
        viewer.layers.events.inserted.connect(self._on_inserted)

    @property
    def layer(self) -> Points | None:
        """The layer, while it is in the viewer."""
        layer = None if self._layer is None else self._layer()
        viewer = self._viewer()
        return layer if viewer is not None and layer in viewer.layers else None

    def show(self, place: Place | None, pinned: Place | None) -> None:
        """Mark these pixels; without any the marker goes.

        Where the pinned pixel is of another data set, only the chosen one is marked. In napari's
        grid there is no marker: each layer has a place of its own there.
        """
        main = place or pinned
        session = None if main is None else main.session
        below = None if session is None else self._layer_of(session)
        if main is None or below is None:
            self.remove()
            return
        marked = [] if place is None else [(place, _CHOSEN)]
        if pinned is not None and pinned.session is session:
            marked.insert(0, (pinned, _PINNED))
        # Every square twice: a wide dark rim, and on it a narrow bright one.
        where = np.repeat([(at.row, at.col) for at, _ in marked], 2, axis=0).astype(float)
        colors = [color for _, bright in marked for color in (_RIM, bright)]
        widths = np.tile([0.3, 0.12], len(marked))
        layer = self.layer
        if layer is None or self._colors != colors or not _lie_alike(layer, below):
            self.remove()
            self._add(below, where, colors, widths)
            return
        layer.data = where

    def remove(self) -> None:
        """Take the marker away."""
        viewer, layer = self._viewer(), self.layer
        if viewer is not None and layer is not None:
            viewer.layers.remove(layer)
        self._layer = None

    def _layer_of(self, session: MapSession) -> Layer | None:
        viewer = self._viewer()
        layers = [] if viewer is None or viewer.canvas.grid.enabled else list(viewer.layers)
        return next((layer for layer in layers if session_of(layer) is session), None)

    def _add(self, below: Layer, where: np.ndarray, colors: list[str], widths: np.ndarray) -> None:
        from napari.layers import Points

        viewer = self._viewer()
        assert viewer is not None
        layer = Points(
            where,
            name=MARKER_NAME,
            scale=below.scale[-2:],
            translate=below.translate[-2:],
            units=below.units[-2:],
            axis_labels=below.axis_labels[-2:],
            symbol="square",
            size=1.0,
            face_color="transparent",
            border_color=colors,
            border_width=widths,
            canvas_size_limits=_SIZES,
        )
        layer.editable = False
        selected = set(viewer.layers.selection)
        active = viewer.layers.selection.active
        self._layer, self._colors = weakref.ref(layer), colors
        viewer.layers.append(layer)
        # A new layer is selected by itself; the user has not asked for it.
        viewer.layers.selection = selected
        viewer.layers.selection.active = active

    def _on_inserted(self, event: Any) -> None:
        if self.layer is not None and event.value is not self.layer:
            # Not in the middle of an insertion, of which others are still to hear.
            QTimer.singleShot(0, self._raise)

    def _raise(self) -> None:
        viewer, layer = self._viewer(), self.layer
        if viewer is not None and layer is not None and viewer.layers[-1] is not layer:
            viewer.layers.move(viewer.layers.index(layer), len(viewer.layers))


def _lie_alike(one: Layer, other: Layer) -> bool:
    return all(
        np.array_equal(getattr(one, name)[-2:], getattr(other, name)[-2:])
        for name in ("scale", "translate", "units", "axis_labels")
    )
