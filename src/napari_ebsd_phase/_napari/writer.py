# SPDX-License-Identifier: GPL-3.0-or-later
"""*File > Save Layers* for phase maps: the whole map is written, whichever of its layers is saved.

napari has asked before it overwrites a file.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from .session import METADATA_KEY, MapSession

if TYPE_CHECKING:
    from ..phase_map import PhaseMap

FullLayerData = tuple[Any, dict[str, Any], str]


def write_layers(path: str, layers: list[FullLayerData]) -> list[str]:
    """Write the phase map that layers belong to, in the format that the suffix names.

    Parameters
    ----------
    path
        Target; an existing file is replaced.
    layers
        Layers of one phase map: one of them is enough, all say the same.

    Returns
    -------
    list of str
        What was written.

    Raises
    ------
    OSError
        If no layer belongs to a phase map, they belong to several, or the file cannot be written:
        with the text of the `InputError`, which napari, as it is a ValueError, would take for a
        writer that does not fit, and hide.
    """
    from ..export import write

    try:
        write(_phase_map_of(layers), Path(path), overwrite=True)
    except InputError as error:
        raise OSError(str(error)) from error
    return [path]


def _phase_map_of(layers: list[FullLayerData]) -> PhaseMap:
    entries = [settings.get("metadata", {}).get(METADATA_KEY) for _, settings, _ in layers]
    sessions = [entry.get("session") for entry in entries if isinstance(entry, dict)]
    ours = list(dict.fromkeys(found for found in sessions if isinstance(found, MapSession)))
    if not ours:
        raise InputError(
            "these layers belong to no phase map: select a layer of one, or another file type"
        )
    if len(ours) > 1:
        names = " and ".join(session.name for session in ours)
        raise InputError(f"layers of {names} are selected: save the layers of one map at a time")
    (session,) = ours
    if session.phase_map is None or not session.phase_map.done.any():
        raise InputError(f"{session.name} is not classified yet: start it in 'EBSD phase mapping'")
    return session.phase_map
