# SPDX-License-Identifier: GPL-3.0-or-later
"""Layers of a data set: what they look like, and how they follow their session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ..crystallography import LEVELS, UNDECIDED_COLOR, names
from ..labels import label_table
from .label_cache import NOT_DONE, UNDECIDED, label_of, level_title
from .previews import mean_intensity, vendor_phases
from .session import METADATA_KEY, MapSession, role_of, session_of, watch
from .status import follow_cursor

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.viewer import Viewer

    from ..scan import Scan

LayerData = tuple[np.ndarray, dict[str, Any], str]

AXES: Final = ("row", "col")

#: Roles whose layers are Labels, one name or label a value.
LABEL_ROLES: Final = ("label", *LEVELS)

#: Roles of a phase map, in the order in which they lie on each other, bottom first.
MAP_ROLES: Final = ("quality", "confidence", *reversed(LEVELS), "label")

# They lie on the map, or show through where a label is hidden or not there yet.
_OTHER_MAPS = ("agreement", "vendor_phases")

#: What stands behind the name of the data set in a layer's name.
TITLES: Final = {
    "label": "Label",
    "point_group": "Point group",
    "laue_group": "Laue group",
    "crystal_system": "Crystal system",
    "bravais_lattice": "Bravais lattice",
    "confidence": "Confidence",
    "quality": "Pattern quality",
    "mean_intensity": "Mean intensity",
    "vendor_phases": "Vendor phases",
}

# Share of the grey levels of a map that are darker than its darkest pixel.
_FOOT: Final = 0.25

_COLORMAPS: Final = {"confidence": "viridis", "quality": "gray"}


def scan_layers(session: MapSession) -> list[LayerData]:
    """Layers that show a scan before it is classified: mean intensity and the vendor's phases.

    Of a large file a coarse grid of patterns is read, and its pixels are painted as blocks: that
    takes about a second, whatever the size.

    Raises
    ------
    InputError
        If the file is damaged.
    """
    scan = session.scan
    if scan is None:
        return []
    means = mean_intensity(scan)
    low, high = float(means.min()), float(means.max())
    # The darkest pattern is not as black as where there is no map.
    limits = {"contrast_limits": (low - _FOOT * (high - low), high)} if low < high else {}
    found: list[LayerData] = [
        (means, _settings(session, "mean_intensity") | {"colormap": "gray"} | limits, "image")
    ]
    phases = vendor_phases(scan.crystal_map, scan.shape)
    if phases is not None:
        settings = _settings(session, "vendor_phases")
        settings |= {
            "colormap": {**phases.colors, UNDECIDED: "transparent", None: "transparent"},
            "features": phases.features,
            "opacity": 1.0,
            "visible": False,
        }
        found.append((phases.values, settings, "labels"))
    return found


def map_layers(session: MapSession) -> list[LayerData]:
    """All layers of a phase map; their arrays are those of the session's cache.

    Empty without a phase map.
    """
    return [] if session.cache is None else [map_layer(session, role) for role in MAP_ROLES]


def map_layer(session: MapSession, role: str) -> LayerData:
    """One layer of a session that has a phase map; its array is that of the session's cache."""
    assert session.cache is not None
    settings = _settings(session, role) | {"visible": role == "label"}
    if role in LABEL_ROLES:
        settings |= {
            "colormap": colors(role),
            "features": features(session, role),
            # The colours are those of the legend, not a mixture with what lies below.
            "opacity": 1.0,
        }
        return session.cache.values(role), settings, "labels"
    settings |= {"colormap": _COLORMAPS[role], "contrast_limits": (0.0, 1.0)}
    return session.cache.values(role), settings, "image"


def adopt(viewer: Viewer, session: MapSession) -> None:
    """Care for a session whose layers are in a viewer, or about to be added by napari.

    Its file is closed with its last layer, the status bar says what its pixels are, and its layers
    get what napari's layer tuples cannot tell. May be called as often as one likes.
    """
    watch(viewer, session)
    follow_cursor(viewer)
    if session.shown_units is None and len(viewer.layers):
        # napari draws layers of one unit only, and warns at every change of any of them. Figures
        # and files take the session's own units.
        session.shown_units = str(viewer.layers[0].units[-1])
    if _on_inserted not in viewer.layers.events.inserted.callbacks:
        viewer.layers.events.inserted.connect(_on_inserted)


def add_scan(viewer: Viewer, scan: Scan, *, name: str | None = None) -> MapSession:
    """Show a scan in a viewer.

    Parameters
    ----------
    viewer
        Where.
    scan
        Open scan; the session closes it.
    name
        Begins the names of the layers; that of the scan by default.

    Raises
    ------
    InputError
        If the file is damaged; it is closed then.
    """
    session = MapSession(scan, name=name)
    try:
        layers = scan_layers(session)
    except BaseException:
        session.close()
        raise
    _add(viewer, session, layers)
    # Not the vendor's phases, which are hidden at first.
    viewer.layers.selection.active = layer_for(viewer, session, "mean_intensity")
    return session


def add_result(viewer: Viewer, session: MapSession) -> None:
    """Show the phase map of a session: layers that are missing are made, the others updated."""
    missing = [role for role in MAP_ROLES if layer_for(viewer, session, role) is None]
    if session.cache is not None:
        _add(viewer, session, [map_layer(session, role) for role in missing])
    refresh_layers(viewer, session)
    session.changed.emit("layers")


def insert_layer(viewer: Viewer, session: MapSession, role: str) -> None:
    """Make the layer of a role, below those that lie on it; napari selects it."""
    from napari.layers import Layer

    layer = Layer.create(*map_layer(session, role))
    viewer.layers.insert(_place(viewer, session, role), layer)


def hide_map(viewer: Viewer, session: MapSession) -> None:
    """Hide what is there of the layers of a phase map, and what would be taken for one.

    The mean intensity is shown instead.
    """
    for layer in viewer.layers:
        if session_of(layer) is session:
            if role_of(layer) in (*MAP_ROLES, *_OTHER_MAPS):
                layer.visible = False
            elif role_of(layer) == "mean_intensity":
                layer.visible = True


def refresh_layers(viewer: Viewer, session: MapSession) -> None:
    """Show all that has changed in the phase map of a session."""
    draw_layers(viewer, session)
    describe_layers(viewer, session)


def draw_layers(viewer: Viewer, session: MapSession) -> None:
    """Draw on the canvas what has changed in the phase map of a session."""
    for layer, role in _layers_of_map(viewer, session):
        assert session.cache is not None
        values = session.cache.values(role)
        if layer.data is not values:
            layer.data = values
        layer.refresh(extent=False, highlight=False, thumbnail=False)


def describe_layers(viewer: Viewer, session: MapSession) -> None:
    """Say with the layers of a phase map, and with their thumbnails, what they hold now."""
    for layer, role in _layers_of_map(viewer, session):
        if role in LABEL_ROLES and layer.visible and hasattr(layer, "features"):
            layer.features = features(session, role)
        layer.refresh(extent=False, highlight=False, data_displayed=False)


def layer_for(viewer: Viewer, session: MapSession, role: str) -> Layer | None:
    """Return the layer that shows a role of a session; of several the lowest."""
    for layer in viewer.layers:
        if role_of(layer) == role and session_of(layer) is session:
            return layer
    return None


def show_level(viewer: Viewer, session: MapSession, role: str) -> None:
    """Show the layer of a role, made if there is none, and hide the others of the phase map."""
    active = viewer.layers.selection.active
    if session.cache is not None and layer_for(viewer, session, role) is None:
        adopt(viewer, session)
        insert_layer(viewer, session, role)
        if active is not None and session_of(active) is not session:
            viewer.layers.selection.active = active
    for layer in list(viewer.layers):
        if session_of(layer) is not session or role_of(layer) not in (*MAP_ROLES, *_OTHER_MAPS):
            continue
        wanted = role_of(layer) == role
        if layer.visible != wanted:
            layer.visible = wanted
    shown = layer_for(viewer, session, role)
    if shown is not None and (active is None or session_of(active) is session):
        # The status bar talks about the selected layer.
        viewer.layers.selection.active = shown
    refresh_layers(viewer, session)
    session.changed.emit("layers")


def features(session: MapSession, role: str) -> dict[str, list[Any]]:
    """What is known about each value of a Labels layer, as columns.

    ``index`` is the value, ``name`` and ``level`` say what it stands for, ``patterns`` counts the
    classified pixels that have it, and ``probability`` is their mean.
    """
    assert session.cache is not None
    values = session.cache.values(role)
    done = session.cache.done
    shown = values[done]
    count = np.bincount(shown, minlength=256)
    total = np.bincount(shown, weights=session.cache.probabilities(role)[done], minlength=256)
    size = len(label_table()) if role == "label" else len(names(role))
    columns: dict[str, list[Any]] = {"index": [UNDECIDED], "name": ["undecided"], "level": ["none"]}
    for value in range(1, size + 1):
        label = label_of(role, value)
        assert label is not None
        columns["index"].append(value)
        columns["name"].append(label.name)
        columns["level"].append(level_title(label.level))
    columns["index"].append(NOT_DONE)
    columns["name"].append("not classified yet")
    columns["level"].append("none")
    columns["patterns"] = [int(count[i]) for i in columns["index"]]
    columns["probability"] = [
        round(float(total[i] / count[i]), 3) if count[i] else float("nan") for i in columns["index"]
    ]
    return columns


def colors(role: str) -> dict[int | None, str]:
    """Colours of the values of a Labels layer: fixed for names, grey for undecided."""
    size = len(label_table()) if role == "label" else len(names(role))
    found: dict[int | None, str] = {
        None: "transparent",
        UNDECIDED: UNDECIDED_COLOR,
        NOT_DONE: "transparent",
    }
    for value in range(1, size + 1):
        label = label_of(role, value)
        assert label is not None
        found[value] = label.color
    return found


def geometry(session: MapSession) -> dict[str, Any]:
    """Settings that all layers over one map share, so that they lie on each other."""
    unit = session.shown_units or ("um" if session.units == "um" else "pixel")
    return {"scale": session.step, "units": (unit, unit), "axis_labels": AXES}


def _settings(session: MapSession, role: str) -> dict[str, Any]:
    return {
        "name": f"{session.name}: {TITLES[role]}",
        **geometry(session),
        "metadata": {METADATA_KEY: {"session": session, "role": role}},
    }


def _layers_of_map(viewer: Viewer, session: MapSession) -> list[tuple[Layer, str]]:
    """Layers of the phase map of a session, and their roles; none without a phase map."""
    found = [(layer, role_of(layer)) for layer in viewer.layers if session_of(layer) is session]
    if session.cache is None:
        return []
    return [(layer, role) for layer, role in found if role in MAP_ROLES]


def _place(viewer: Viewer, session: MapSession, role: str) -> int:
    """Where in the list of layers a role belongs: below those that lie on it."""
    above = MAP_ROLES[MAP_ROLES.index(role) + 1 :]
    for index, layer in enumerate(viewer.layers):
        if session_of(layer) is session and role_of(layer) in above:
            return index
    return len(viewer.layers)


def _add(viewer: Viewer, session: MapSession, layers: list[LayerData]) -> None:
    from napari.layers import Layer

    adopt(viewer, session)
    for data, settings, kind in layers:
        viewer.add_layer(Layer.create(data, settings | geometry(session), kind))


def _on_inserted(event: Any) -> None:
    """Finish a layer of ours, whoever added it."""
    layer = event.value
    role = role_of(layer)
    if role in LABEL_ROLES:
        # Painting would change what the network said.
        layer.editable = False
    if role in _COLORMAPS and hasattr(layer, "colorbar"):
        layer.colorbar.visible = True
