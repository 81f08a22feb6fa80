# SPDX-License-Identifier: GPL-3.0-or-later
"""Patterns in HDF5 files: Oxford .h5oina, and .h5 of EDAX, Bruker, EMsoft and kikuchipy.

kikuchipy reads the headers, h5py the patterns. kikuchipy's lazy array has one Dask task a chunk,
and vendors store one pattern a chunk: half a million patterns then take 50 s and 1 GB to open, and
reading is hundreds of times slower than from the data set itself.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from .hdf5_claims import check_entries, check_header, check_links, check_patterns
from .kikuchipy_reader import kikuchipy_signal, map_of_signal, static_background
from .recording import ArrayPatterns, Recording, damaged, usable_step
from .vendor_maps import numbers_of, on_grid, text_of, vendor_map

SUFFIXES = frozenset({".h5", ".hdf5", ".h5ebsd", ".h5oina"})

# In EBSD/Data of a scan: Oxford (corrected before raw), Bruker, EDAX, kikuchipy.
PATTERN_NAMES = (
    "Processed Patterns",
    "Unprocessed Patterns",
    "RawPatterns",
    "Pattern",
    "patterns",
)
EMSOFT_PATTERNS = "EMData/EBSD/EBSDPatterns"

# Room for a few large compressed chunks, so that none is unpacked twice in a row.
CACHE_BYTES = 64 * 2**20

# What h5py raises for damaged links, groups, names and types.
DAMAGED = (OSError, KeyError, RuntimeError, TypeError, ValueError)


def open_hdf5(path: Path) -> Recording:
    """Open the first scan with patterns of an HDF5 file.

    Raises
    ------
    InputError
        If the file is not HDF5, is damaged, or has no patterns that kikuchipy knows.
    """
    import h5py

    if not h5py.is_hdf5(path):
        raise InputError(
            f"{path.name}: is not an HDF5 file, or its beginning is damaged; "
            "give the file that the EBSD software wrote"
        )
    try:
        file = h5py.File(path, "r", rdcc_nbytes=CACHE_BYTES)
    except OSError as error:
        raise damaged(path, error) from error
    opened = False
    try:
        recording = _recording(path, file)
        opened = True
        return recording
    except InputError:
        raise
    except DAMAGED as error:
        raise damaged(path, error) from error
    finally:
        if not opened:
            file.close()


def _recording(path: Path, file: Any) -> Recording:
    check_links(path, file)
    dataset = _find_patterns(path, file)
    check_patterns(path, dataset)
    scan = file["/".join(dataset.name.split("/")[:3])]
    for group in (scan, *_headers(file, dataset)):
        check_entries(path, group, len(dataset), dataset.name)
    check_header(path, scan, dataset)
    maker = _manufacturer(file)
    oxford = maker.startswith("oxford")
    processed = not dataset.name.endswith("Unprocessed Patterns")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        stand_in = Path(folder) / ("headers.h5oina" if oxford else "headers.h5")
        _write_stand_in(file, dataset, stand_in)
        options = {"processed": processed} if oxford else {}
        with kikuchipy_signal(stand_in, source=path, **options) as signal:
            shape, step, units = _grid(signal)
            height, width = signal.data.shape[-2:]
            pattern_shape = (int(height), int(width))
            detector, crystal_map = signal.detector, map_of_signal(signal)
            background = static_background(signal.static_background, pattern_shape)

    order = None
    if maker.startswith("bruker"):
        order = _bruker_order(path, file[_scan_name(dataset)])
    patterns = ArrayPatterns(path, dataset, order, close=file.close)
    if patterns.count != shape[0] * shape[1] or patterns.shape != pattern_shape:
        raise InputError(
            f"{path.name}: holds {patterns.count} patterns of {patterns.shape} pixels where its "
            f"header says {shape[0]} x {shape[1]} of {pattern_shape}; export it again"
        )
    if crystal_map is None and not dataset.name.endswith(EMSOFT_PATTERNS):
        crystal_map = vendor_map(file[_scan_name(dataset)], shape, step, units, order)
    elif crystal_map is not None and crystal_map.x is None and patterns.count > 1:
        crystal_map = on_grid(crystal_map, shape, step, units)
    if oxford and processed and _is_true(file, dataset, "Static Background Correction"):
        background = None
    return Recording(patterns, shape, step, units, detector, crystal_map, background)


def _find_patterns(path: Path, file: Any) -> Any:
    """Return the pattern data set of the first scan that has one."""
    import h5py

    groups = [group for group in _children(file) if isinstance(group, h5py.Group)]
    places = [f"{group.name}/EBSD/Data/{name}" for group in groups for name in PATTERN_NAMES]
    for place in [*places, EMSOFT_PATTERNS]:
        found = file.get(place)
        if isinstance(found, h5py.Dataset):
            return found
    if any(f"EMData/{name}master" in file for name in ("EBSD", "ECP", "TKD")):
        raise InputError(
            f"{path.name}: is a master pattern, not a measurement; give the file of the map"
        )
    raise InputError(
        f"{path.name}: holds no EBSD patterns (sought Oxford, EDAX, Bruker, EMsoft and kikuchipy "
        "data); export the map again with its patterns"
    )


def _children(group: Any) -> list[Any]:
    """Members of a group, without links that lead nowhere."""
    members = (group.get(name) for name in group)
    return [member for member in members if member is not None]


def _headers(file: Any, dataset: Any) -> list[Any]:
    """What lies beside the scan and is read, too: entries, and all groups of EMsoft."""
    import h5py

    emsoft = dataset.name.endswith(EMSOFT_PATTERNS)
    names = [name for name in file if isinstance(name, str) and name != _scan_name(dataset)]
    members = [file.get(name) for name in names]
    kinds = h5py.Group | h5py.Dataset if emsoft else h5py.Dataset
    return [member for member in members if isinstance(member, kinds)]


def _manufacturer(file: Any) -> str:
    """Name of the maker in lower case; EDAX puts spaces around its keys."""
    for name in file:
        if name.strip().lower() == "manufacturer":
            return (text_of(file[name]) or "").strip().lower()
    return ""


def _scan_name(dataset: Any) -> str:
    """Name of the top group that a pattern data set lies in."""
    return str(dataset.name.split("/")[1])


def _write_stand_in(file: Any, dataset: Any, target: Path) -> None:
    """Write a file that shows everything in `file` but its patterns, for kikuchipy to read.

    External links show the headers; in place of the patterns lies an empty array without chunks.
    Other scans, and large arrays that are no headers, are left out.
    """
    import h5py

    place = dataset.name.strip("/").split("/")
    # Relative names would be sought beside the stand-in.
    origin = str(Path(file.filename).resolve())

    def copy(source: Any, copied: Any, depth: int) -> None:
        for name in source:
            child = source.get(name)
            on_the_way = depth < len(place) and name == place[depth]
            if child is None or isinstance(name, bytes):  # no header has a name that is no text
                continue
            if on_the_way and depth == len(place) - 1:
                copied.create_dataset(name, dataset.shape, dataset.dtype)
            elif on_the_way:
                copy(child, copied.create_group(name), depth + 1)
            elif isinstance(child, h5py.Group):
                # Another top group is another scan, but for EMsoft, which has one a file.
                if depth or dataset.name.endswith(EMSOFT_PATTERNS):
                    copied[name] = h5py.ExternalLink(origin, child.name)
            elif isinstance(child, h5py.Dataset) and child.ndim < 3:
                copied[name] = h5py.ExternalLink(origin, child.name)

    with h5py.File(target, "w") as stand_in:
        copy(file, stand_in, 0)


def _grid(signal: Any) -> tuple[tuple[int, int], tuple[float, float], str]:
    """Map shape, step (dy, dx) and units of a signal with no, one or two map axes."""
    axes = {axis.name: axis for axis in signal.axes_manager.navigation_axes}
    sizes = [int(axes[name].size) if name in axes else 1 for name in ("y", "x")]
    steps = [float(axes[name].scale) if name in axes else 0.0 for name in ("y", "x")]
    units = {str(axis.units) for axis in axes.values()}
    step, unit = usable_step(steps[0], steps[1], "um" if units == {"um"} else "px")
    return (sizes[0], sizes[1]), step if unit == "um" else (1.0, 1.0), unit


def _bruker_order(path: Path, scan: Any) -> np.ndarray | None:
    """Position in the file of each map point of a region of interest, else None."""
    places = [scan.get(f"EBSD/SEM/{name}") for name in ("IX", "IY")]
    if any(place is None for place in places):
        return None
    x, y = (numbers_of(place) for place in places)
    if x is None or y is None or x.size != y.size:
        raise damaged(path, "no map points in EBSD/SEM")
    return np.lexsort((x.ravel(), y.ravel()))


def _is_true(file: Any, dataset: Any, name: str) -> bool:
    """Whether a flag in the header of the scan is set."""
    flag = file[_scan_name(dataset)].get(f"EBSD/Header/{name}")
    return bool(getattr(flag, "size", 0)) and bool(np.ravel(flag[()])[0])
