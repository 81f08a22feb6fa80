# SPDX-License-Identifier: GPL-3.0-or-later
"""A layer to draw a region of a map in: with the map's scale and units, ready to draw.

A Shapes layer that napari makes by itself has pixels as units. Beside a map in micrometres napari
then warns of inconsistent units and shows none.
"""

from __future__ import annotations

import weakref
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from napari.layers import Shapes
from napari.layers.base import ActionType
from qtpy.QtCore import QTimer

from .layers import geometry

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from .session import MapSession

#: Modes of a Shapes layer, and what they are called on buttons.
TOOLS: Final = {"add_rectangle": "Rectangle", "add_polygon": "Polygon"}

_TITLE = "Region"
_EDGE = 0.004  # of the longer side of the map: as thick on the screen, whatever its size


def draw_region(viewer: Viewer, session: MapSession, tool: str) -> Shapes:
    """Select the layer of a map's regions, made if there is none, with a drawing tool in hand.

    Parameters
    ----------
    viewer
        Where the map is shown.
    session
        The map.
    tool
        One of :data:`TOOLS`.
    """
    layer = _existing(viewer, session) or _new(viewer, session)
    layer.visible = True
    viewer.layers.selection.active = layer
    layer.mode = tool
    return layer


def _existing(viewer: Viewer, session: MapSession) -> Shapes | None:
    for layer in reversed(viewer.layers):
        if isinstance(layer, Shapes) and layer.name.startswith(region_name(session)):
            return layer
    return None


def _new(viewer: Viewer, session: MapSession) -> Shapes:
    layer = Shapes(ndim=2, name=region_name(session), **geometry(session))
    viewer.add_layer(layer)
    layer.current_edge_color = "white"
    layer.current_face_color = "transparent"
    layer.current_edge_width = _EDGE * max(session.shape)
    layer.events.data.connect(_on_drawn)
    return layer


def _on_drawn(event: Any) -> None:
    """Put the tool down when a shape is finished: the next click is meant for the map again."""
    if event.action == ActionType.ADDED and event.source.mode in TOOLS:
        # napari is still at it.
        QTimer.singleShot(0, partial(_put_down, weakref.ref(event.source)))


def _put_down(reference: weakref.ref[Shapes]) -> None:
    layer = reference()
    if layer is not None and layer.mode in TOOLS:
        layer.mode = "pan_zoom"
        layer.selected_data = {len(layer.data) - 1}


def region_name(session: MapSession) -> str:
    """What the layers are called in which regions of a map are drawn."""
    return f"{session.name}: {_TITLE}"
