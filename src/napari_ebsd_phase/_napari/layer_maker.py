# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the layers of a phase map one at a time.

napari takes a tenth of a second and more to add a layer, whatever its size. All of them at once
would stop the interface for a second or two, just when the map is to appear. So the one that is
looked at is made first, others when they are asked for, and those that are left in moments when
the user does nothing.
"""

from __future__ import annotations

import weakref
from importlib import import_module
from typing import TYPE_CHECKING

import numpy as np

from .layers import LABEL_ROLES, MAP_ROLES, adopt, colors, insert_layer, layer_for

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
        role = self._missing.pop(0)
        if layer_for(viewer, session, role) is not None:
            return  # somebody has asked for it meanwhile
        active = viewer.layers.selection.active
        insert_layer(viewer, session, role)
        if role != MAP_ROLES[-1] and active is not None:
            viewer.layers.selection.active = active
        session.changed.emit("layers")


def warm_up_labels() -> None:
    """Load and compile what napari draws our labels with; for a thread of its own.

    It takes seconds. No layer is made: that changes Python's warning filters for a moment, which
    belong to all threads, and one that the interface makes at the same time would find them as they
    are not meant to be.
    """
    import_module("pandas")  # holds the features of a layer
    from napari.utils.colormaps import DirectLabelColormap

    DirectLabelColormap(color_dict=colors(MAP_ROLES[-1])).map(np.zeros((1, 1), np.uint8))
