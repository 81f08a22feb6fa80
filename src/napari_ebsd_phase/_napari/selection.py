# SPDX-License-Identifier: GPL-3.0-or-later
"""Which patterns the user means: a drawn shape, a label, painted pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Labels, Layer, Shapes
from numpy.typing import NDArray

from ..errors import InputError
from .legend_rows import LEVEL_TITLES, UNDECIDED, names_at
from .session import role_of, session_of

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from .session import MapSession

_HOW = (
    "draw a shape in a Shapes layer, choose a label in the legend dock, or paint pixels in a "
    "Labels layer"
)

_AREAS = ("rectangle", "ellipse", "polygon")


@dataclass(frozen=True, eq=False)
class Chosen:
    """Patterns of a map.

    Attributes
    ----------
    mask
        bool of shape (rows, cols).
    text
        What was chosen, in words.
    """

    mask: NDArray[np.bool_]
    text: str

    @property
    def count(self) -> int:
        """Number of patterns."""
        return int(np.count_nonzero(self.mask))

    @property
    def region(self) -> tuple[slice, slice] | NDArray[np.bool_]:
        """Rows and columns where they are a rectangle, else the mask."""
        rows, cols = np.nonzero(self.mask.any(axis=1))[0], np.nonzero(self.mask.any(axis=0))[0]
        box = slice(int(rows[0]), int(rows[-1]) + 1), slice(int(cols[0]), int(cols[-1]) + 1)
        return box if self.mask[box].all() else self.mask


def chosen_shape(viewer: Viewer, session: MapSession) -> Chosen:
    """Patterns inside the selected shapes of a Shapes layer.

    The layer is the selected one, else the topmost that has shapes; without selected shapes it is
    all of its shapes.

    Raises
    ------
    InputError
        If there is no shape, or none that covers a pattern.
    """
    layer = _shapes_layer(viewer)
    if layer is None:
        raise InputError(
            "no shape is drawn: add a Shapes layer and draw a rectangle, ellipse or polygon"
        )
    places = sorted(layer.selected_data) or range(len(layer.data))
    areas = [place for place in places if layer.shape_type[place] in _AREAS]
    if not areas:
        raise InputError(
            f"'{layer.name}' has no area selected: draw a rectangle, ellipse or polygon"
        )
    vertices = [_to_map(viewer, session, layer, layer.data[place]) for place in areas]
    copies = Shapes(vertices, shape_type=[layer.shape_type[place] for place in areas])
    mask = copies.to_masks(mask_shape=session.shape).any(axis=0)
    if not mask.any():
        raise InputError(f"the shape in '{layer.name}' covers no pattern of {session.name}")
    shapes = "the shape" if len(areas) == 1 else f"{len(areas)} shapes"
    return Chosen(mask, f"{shapes} in '{layer.name}'")


def chosen_region(viewer: Viewer, session: MapSession) -> Chosen:
    """Patterns that the selected layer stands for.

    Selected shapes of a Shapes layer; pixels with the selected value of a Labels layer, be it one
    of the map or one that the user painted.

    Raises
    ------
    InputError
        If nothing is selected, with what to do.
    """
    layer = viewer.layers.selection.active
    if isinstance(layer, Labels):
        return _chosen_label(session, layer)
    if _shapes_layer(viewer) is not None:
        return chosen_shape(viewer, session)
    raise InputError(f"nothing is selected: {_HOW}")


def _chosen_label(session: MapSession, layer: Labels) -> Chosen:
    data = np.asarray(layer.data)
    if data.shape != session.shape:
        raise InputError(
            f"'{layer.name}' has {' x '.join(map(str, data.shape))} pixels, the map "
            f"{session.shape[0]} x {session.shape[1]}: paint in a new Labels layer over the map"
        )
    value = int(layer.selected_label)
    mask = data == value
    role = role_of(layer)
    if session_of(layer) is session and role in LEVEL_TITLES:
        name = _name(str(role), value)
        if not mask.any():
            raise InputError(f"the selected label, {name}, is nowhere on the map: {_HOW}")
        return Chosen(mask, f"all patterns of {name} ({LEVEL_TITLES[str(role)]})")
    if value == 0 or not mask.any():
        raise InputError(
            f"no pixel of '{layer.name}' has the selected label {value}: paint some, or choose "
            "another label"
        )
    return Chosen(mask, f"label {value} painted in '{layer.name}'")


def _name(role: str, value: int) -> str:
    names = names_at(role)
    return names[value - 1].name if 1 <= value <= len(names) else UNDECIDED


def _shapes_layer(viewer: Viewer) -> Shapes | None:
    """The selected Shapes layer, else the topmost visible one that has shapes."""
    layer = viewer.layers.selection.active
    if isinstance(layer, Shapes):
        return layer
    for other in reversed(viewer.layers):
        if isinstance(other, Shapes) and other.visible and len(other.data):
            return other
    return None


def _to_map(
    viewer: Viewer, session: MapSession, layer: Layer, points: NDArray[np.floating]
) -> NDArray[np.floating]:
    """Corners of a shape in pixels of the map, (n, 2)."""
    reference = next(other for other in viewer.layers if session_of(other) is session)
    # What lies on more axes than the map has, lies on the map with its last two.
    world = np.array([layer.data_to_world(point)[-2:] for point in points])
    return np.array([reference.world_to_data(point)[-2:] for point in world])
