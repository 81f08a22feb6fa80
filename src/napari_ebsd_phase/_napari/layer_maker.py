# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the layers of a phase map one at a time.

napari takes a tenth of a second and more to add a layer, whatever its size. All of them at once
would stop the interface for a second or two, just when the map is to appear.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

import numpy as np

from .layers import LABEL_ROLES, MAP_ROLES, adopt, colors, layer_for, map_layer
from .session import role_of, session_of

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from .session import MapSession


class LayerMaker:
    """Makes those layers of a session's phase map that are not there when it is asked first.

    What is removed afterwards stays away. It keeps neither viewer nor session alive.

    Parameters
    ----------
    viewer
        Where the layers go.
    session
        Has a phase map.
    """

    def __init__(self, viewer: Viewer, session: MapSession) -> None:
        self._viewer = weakref.ref(viewer)
        self._session = weakref.ref(session)
        self._phase_map = weakref.ref(session.phase_map)
        # The one that is looked at comes first, then the names, then the numbers.
        roles = (*LABEL_ROLES, *(role for role in MAP_ROLES if role not in LABEL_ROLES))
        self._missing = [role for role in roles if layer_for(viewer, session, role) is None]
        adopt(viewer, session)

    @property
    def missing(self) -> int:
        """Layers that are still to be made; 0 if nobody wants them any more."""
        viewer, session = self._viewer(), self._session()
        if (
            viewer is None
            or session is None
            or session.closed
            or session.phase_map is not self._phase_map()
        ):
            self._missing.clear()
        return len(self._missing)

    def make_one(self) -> None:
        """Make the next layer, in its place among the others; what is selected stays so."""
        viewer, session = self._viewer(), self._session()
        if not self.missing or viewer is None or session is None:
            return
        from napari.layers import Layer

        role = self._missing.pop(0)
        active = viewer.layers.selection.active
        viewer.layers.insert(_place(viewer, session, role), Layer.create(*map_layer(session, role)))
        if role != MAP_ROLES[-1] and active is not None:
            viewer.layers.selection.active = active
        session.changed.emit("layers")


def warm_up_labels() -> None:
    """Let napari compile what draws our labels, which takes seconds; for a thread of its own."""
    from napari.layers import Labels

    Labels(np.zeros((1, 1), np.uint8), colormap=colors(MAP_ROLES[-1]))


def _place(viewer: Viewer, session: MapSession, role: str) -> int:
    """Where in the list of layers a role belongs: below those that lie on it."""
    above = MAP_ROLES[MAP_ROLES.index(role) + 1 :]
    for index, layer in enumerate(viewer.layers):
        if session_of(layer) is session and role_of(layer) in above:
            return index
    return len(viewer.layers)
