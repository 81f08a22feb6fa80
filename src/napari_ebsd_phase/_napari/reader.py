# SPDX-License-Identifier: GPL-3.0-or-later
"""Files dropped on napari: patterns of EBSD software, and phase maps that this program wrote.

`get_reader` looks into a file before it says that it is ours; nothing heavy is imported for a file
of somebody else.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from . import notify

if TYPE_CHECKING:
    from ..scan import Scan
    from .layers import LayerData
    from .session import MapSession

ReaderFunction = Callable[[Any], list[Any]]

# No other kind of file ends so: if one is damaged, we are the ones to say so.
_ALWAYS_OURS = frozenset({".ebsp", ".h5ebsd", ".h5oina", ".up1", ".up2"})
_HDF5 = frozenset({".h5", ".hdf5"})

# napari's way of saying: read, but there is no layer to show.
_NO_LAYERS = [(None,)]


def get_reader(path: str | list[str]) -> ReaderFunction | None:
    """Return the function that reads a file or folder, or None if it is not ours.

    Parameters
    ----------
    path
        File or folder; of a list, which is to be stacked, only one with one entry.
    """
    found = _only(path)
    return read if found is not None and is_ours(found) else None


def is_ours(path: Path) -> bool:
    """Whether a file or folder holds EBSD patterns or one of our phase maps, as far as one sees.

    A folder is ours if images lie in it; a single image is not, as it may show anything.
    """
    name, suffix = path.name.lower(), path.suffix.lower()
    try:
        if path.is_dir():
            return any(_images_in(path))
        if not path.is_file():
            return False
        if suffix in _ALWAYS_OURS:
            return True
        if suffix in _HDF5:
            return _is_our_hdf5(path)
        if suffix == ".dat":
            # NORDIF's name for patterns: without its settings there is a word to be said.
            return name == "pattern.dat" or _is_nordif_setting(path.parent / "Setting.txt")
        return name == "setting.txt" and _is_nordif_setting(path)
    except OSError:
        # Not readable: whoever opens it next will say why.
        return False


def read(path: str | list[str]) -> list[Any]:
    """Open a file or folder: layers of a scan, or those of a phase map with its patterns.

    With a napari window, what is wrong with the file is shown there as a notification, and there
    are no layers.

    Raises
    ------
    InputError
        Without a window, if the file cannot be read.
    """
    from napari import current_viewer

    found = _only(path)
    if found is None:
        raise InputError("several files cannot be stacked to one map: open them one by one")
    viewer = current_viewer()
    try:
        session, layers = open_source(found)
    except InputError as error:
        if viewer is None:
            raise
        notify.show_error(error)
        return list(_NO_LAYERS)
    if viewer is not None:
        from .arrange import frame_soon, step_aside
        from .layers import adopt, geometry

        step_aside(viewer)
        adopt(viewer, session)
        frame_soon(viewer, session)
        layers = [(data, settings | geometry(session), kind) for data, settings, kind in layers]
    return list(layers)


def open_source(
    path: str | Path,
    *,
    grid: tuple[int, int] | None = None,
    name: str | None = None,
    tell: Callable[[str], None] = notify.show_info,
) -> tuple[MapSession, list[LayerData]]:
    """Open patterns or a phase map as a new session and its layers.

    Parameters
    ----------
    path
        What `load_scan` opens, or an ``.h5`` phase map.
    grid
        Map rows and columns of patterns whose file does not say.
    name
        Name of the session; by default that of the file.
    tell
        Called with a sentence on what the user should know: no grid, or no patterns.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    path = Path(path).expanduser()
    if path.suffix.lower() in _HDF5 and path.is_file() and _holds_phase_map(path):
        return _open_result(path, name, tell)
    return _open_scan(path, grid, name, tell)


def _open_scan(
    path: Path, grid: tuple[int, int] | None, name: str | None, tell: Callable[[str], None]
) -> tuple[MapSession, list[LayerData]]:
    from ..scan import load_scan
    from .layers import scan_layers
    from .scan_facts import grids
    from .session import MapSession

    session = MapSession(load_scan(path, grid=grid), name=name)
    try:
        layers = scan_layers(session)
    except BaseException:
        session.close()
        raise
    scan, count = session.scan, session.shape[0] * session.shape[1]
    # Images of different sizes have no grid, nor has a prime number of them.
    may_have = scan is not None and scan.pattern_shape is not None and len(grids(count)) > 2
    if may_have and scan is not None and grid is None and has_no_grid(scan):
        # napari shows the beginning only until somebody asks for more.
        tell(
            f"Set the map grid: {path.name} does not say how its {session.shape[1]:,} patterns lie "
            "on the map, they are shown as one row; rows and columns are in the Scan section of "
            "the dock 'EBSD phase mapping'"
        )
    return session, layers


def _open_result(
    path: Path, name: str | None, tell: Callable[[str], None]
) -> tuple[MapSession, list[LayerData]]:
    from ..phase_map import PhaseMap
    from .layers import map_layers, scan_layers
    from .session import MapSession

    session = MapSession(phase_map=PhaseMap.load(path), name=name or path.stem)
    reason = _find_patterns(session, path.parent)
    if not reason:
        return session, [*scan_layers(session), *map_layers(session)]
    tell(
        f"Patterns not found: {path.name} is shown without them, as {reason}; locate the pattern "
        "file in the Scan section of the dock 'EBSD phase mapping'"
    )
    return session, map_layers(session)


def _find_patterns(session: MapSession, folder: Path) -> str:
    """Attach the pattern file of a result if it lies in a folder under its own name.

    Returns why not, or nothing.
    """
    name = session.source_name
    if not name:
        return "it does not say which file it was made from"
    if not (folder / name).exists():
        return f"{name} does not lie beside it"
    try:
        session.locate_patterns(folder / name)
    except InputError as error:
        return str(error)
    return ""


def has_no_grid(scan: Scan) -> bool:
    """Whether the patterns are in one row because their file knows no better."""
    return scan.shape[0] == 1 < scan.shape[1] and scan.units == "px"


def _only(path: str | list[str]) -> Path | None:
    paths = path if isinstance(path, list) else [path]
    return Path(paths[0]) if len(paths) == 1 else None


def _images_in(folder: Path) -> Iterator[str]:
    from .._sources.images import SUFFIXES

    with os.scandir(folder) as entries:
        for entry in entries:
            if Path(entry.name).suffix.lower() in SUFFIXES:
                yield entry.name


def _is_our_hdf5(path: Path) -> bool:
    """Whether an HDF5 file is a phase map, or of EBSD software, even if without patterns."""
    import h5py

    from ..export.h5 import GROUP

    if not h5py.is_hdf5(path):
        return False
    with h5py.File(path, "r") as file:
        # A master pattern, or a map without its patterns, is a file of ours to complain about.
        if GROUP in file or "EMData" in file:
            return True
        # A name may be a link that leads nowhere.
        groups = (file.get(name) for name in file)
        return any(isinstance(group, h5py.Group) and "EBSD" in group for group in groups)


def _holds_phase_map(path: Path) -> bool:
    import h5py

    from ..export.h5 import GROUP

    if not h5py.is_hdf5(path):
        return False
    with h5py.File(path, "r") as file:
        return GROUP in file


def _is_nordif_setting(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return b"NORDIF" in file.read(4096)
