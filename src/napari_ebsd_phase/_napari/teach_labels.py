# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the labels to teach with come from, and what is known of each of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from napari.layers import Labels
from numpy.typing import NDArray
from qtpy.QtGui import QColor

from ..crystallography import bravais_lattice_of_space_group, point_group_of_space_group
from .layers import geometry
from .previews import vendor_phases
from .session import MapSession, role_of

if TYPE_CHECKING:
    from napari.viewer import Viewer

#: What labels are read from: a layer, or the data set itself for the phases of its file.
Source: TypeAlias = Labels | MapSession

_TITLE = "Labels to teach"
_BRUSH = 3  # pixels of the map: wide enough to be seen, narrower than a grain


@dataclass(frozen=True)
class Kind:
    """One label value and what is known of it.

    Attributes
    ----------
    value
        In the label image.
    count
        Pixels that have it.
    color
        ``"#rrggbb"``.
    name
        Of the phase, where the file tells; else the number of the label.
    group, lattice
        Point group and Bravais lattice, where the file tells.
    """

    value: int
    count: int
    color: str
    name: str
    group: str | None = None
    lattice: str | None = None


def sources_of(viewer: Viewer, session: MapSession) -> list[Source]:
    """What labels of a data set can be read from: painted layers, topmost first, then its file.

    Layers that show what a network or a vendor's program said are not painted.
    """
    found: list[Source] = [
        layer
        for layer in reversed(viewer.layers)
        if isinstance(layer, Labels)
        and not layer.multiscale
        and layer.data.shape == session.shape
        and role_of(layer) is None
    ]
    if session.scan is not None and _phases(session):
        found.append(session)
    return found


def title_of(source: Source) -> str:
    """What a source is called."""
    return str(source.name) if isinstance(source, Labels) else "phases of the file"


def read_labels(source: Source, session: MapSession) -> tuple[NDArray[np.int64], list[Kind]]:
    """Read a source.

    Parameters
    ----------
    source
        One of :func:`sources_of`.
    session
        The data set.

    Returns
    -------
    labels
        Shape (rows, cols); 0 is unlabelled. Nobody else holds this array.
    kinds
        Of each label that occurs, by its number. What the file says of a painted label is what
        it says of most of its pixels.
    """
    values, phases = _vendor(session)
    if isinstance(source, Labels):
        painted = np.asarray(source.data).astype(np.int64)
        painted[painted < 0] = 0
        kinds = [
            _painted_kind(source, value, count, values[painted == value], phases)
            for value, count in _counts(painted)
        ]
        return painted, kinds
    kinds = [phases[value] for value, _ in _counts(values)]
    return values, kinds


def new_labels(viewer: Viewer, session: MapSession) -> Labels:
    """Lay an empty layer over the map, select it, and put the brush in the user's hand."""
    layer = Labels(
        np.zeros(session.shape, np.uint8), name=f"{session.name}: {_TITLE}", **geometry(session)
    )
    viewer.add_layer(layer)
    viewer.layers.selection.active = layer
    layer.brush_size = _BRUSH
    layer.mode = "paint"
    return layer


def _counts(values: NDArray) -> list[tuple[int, int]]:
    found, counts = np.unique(values, return_counts=True)
    return [(int(v), int(n)) for v, n in zip(found, counts, strict=True) if v > 0]


def _painted_kind(
    layer: Labels, value: int, count: int, below: NDArray, phases: Mapping[int, Kind]
) -> Kind:
    """A painted label, with what the file says of most of its pixels."""
    red, green, blue = (float(part) for part in np.asarray(layer.get_color(value))[:3])
    color = QColor.fromRgbF(red, green, blue).name()
    for number, phase in phases.items():
        if 2 * np.count_nonzero(below == number) > count:
            return Kind(value, count, color, phase.name, phase.group, phase.lattice)
    return Kind(value, count, color, f"label {value}")


def _phases(session: MapSession) -> bool:
    return bool(_vendor(session)[1])


def _vendor(session: MapSession) -> tuple[NDArray[np.int64], dict[int, Kind]]:
    """Phases of the file: their label image, and what is known of each that occurs."""
    scan = session.scan
    crystal_map = None if scan is None else scan.crystal_map
    found = vendor_phases(crystal_map, session.shape)
    if found is None or crystal_map is None:
        return np.zeros(session.shape, np.int64), {}
    values = found.values.astype(np.int64)
    counts = dict(_counts(values))
    kinds = {}
    indexed = [phase for number, phase in crystal_map.phases if number >= 0]
    for value, phase in enumerate(indexed, start=1):
        if value not in counts:
            continue
        red, green, blue = phase.color_rgb
        group = lattice = None
        if phase.space_group is not None:
            number = int(phase.space_group.number)
            group = str(point_group_of_space_group(number))
            lattice = str(bravais_lattice_of_space_group(number))
        kinds[value] = Kind(
            value,
            counts[value],
            QColor.fromRgbF(float(red), float(green), float(blue)).name(),
            str(found.features["name"][value]),
            group,
            lattice,
        )
    return values, kinds
