# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of several data sets is seen: the one that was opened or chosen last.

Maps of different samples have their corner at the same place. What lies below would only show at
the rim of a smaller map, or hide a larger one's rim.
"""

from __future__ import annotations

import weakref
from functools import partial
from typing import TYPE_CHECKING, Final

from .draw_region import region_name
from .layers import adopt, geometry, layer_for
from .notify import show_info
from .session import METADATA_KEY, session_of, sessions

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.viewer import Viewer

    from .layers import LayerData
    from .session import MapSession

_ASIDE: Final = "aside"


def step_aside(viewer: Viewer, session: MapSession | None = None) -> None:
    """Hide all data sets but `session`, and say so; :func:`bring_forward` shows them again."""
    hidden = _hide_others(viewer, session)
    if hidden:
        names = ", ".join(dict.fromkeys(hidden))
        show_info(f"Hidden: {names}; choose it in the Scan section, or click its eye in the list")


def bring_forward(viewer: Viewer, session: MapSession) -> None:
    """Show a data set as it was when another one took its place, and that one no more."""
    _hide_others(viewer, session)
    layers = _layers_of(viewer, session)
    for layer in layers:
        if layer.metadata.get(METADATA_KEY, {}).pop(_ASIDE, False):
            layer.visible = True
    if not any(layer.visible for layer in layers):
        for role in ("label", "mean_intensity"):
            wanted = layer_for(viewer, session, role)
            if wanted is not None:
                wanted.visible = True
                break
    frame(viewer, session)


def frame(viewer: Viewer, session: MapSession) -> None:
    """Let a data set fill the canvas, and select what is seen of it."""
    layers = [layer for layer in viewer.layers if session_of(layer) is session]
    if not layers:
        return
    viewer.reset_view(layers=layers)
    active = viewer.layers.selection.active
    if active not in layers or not active.visible:
        visible = [layer for layer in layers if layer.visible]
        viewer.layers.selection.active = visible[-1] if visible else layers[-1]


def show_layers(viewer: Viewer, session: MapSession, layers: list[LayerData]) -> None:
    """Add the layers of a data set that was opened in a thread, and show it alone."""
    from napari.layers import Layer

    step_aside(viewer, session)
    adopt(viewer, session)
    for data, settings, kind in layers:
        viewer.add_layer(Layer.create(data, settings | geometry(session), kind))
    frame(viewer, session)


def frame_soon(viewer: Viewer, session: MapSession) -> None:
    """Do as :func:`frame` when napari has added the layers that a reader has given it."""
    from qtpy.QtCore import QTimer

    QTimer.singleShot(0, partial(_frame, weakref.ref(viewer), weakref.ref(session)))


def _frame(viewer: weakref.ref[Viewer], session: weakref.ref[MapSession]) -> None:
    there, data = viewer(), session()
    if there is not None and data is not None and not data.closed:
        frame(there, data)


def _hide_others(viewer: Viewer, session: MapSession | None) -> list[str]:
    """Hide what is shown of all data sets but `session`; return their names."""
    hidden = []
    for other in sessions(viewer):
        if other is session:
            continue
        for layer in _layers_of(viewer, other):
            if layer.visible:
                layer.visible = False
                layer.metadata.setdefault(METADATA_KEY, {})[_ASIDE] = True
                hidden.append(other.name)
    return hidden


def _layers_of(viewer: Viewer, session: MapSession) -> list[Layer]:
    """Layers of a data set, and those in which its regions are drawn."""
    region = region_name(session)
    return [
        layer
        for layer in viewer.layers
        if session_of(layer) is session
        or (session_of(layer) is None and layer.name.startswith(region))
    ]
