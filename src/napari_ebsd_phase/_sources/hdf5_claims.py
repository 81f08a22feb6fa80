# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether an HDF5 file keeps to itself, and holds what it says it holds.

A few bytes of HDF5 can name other files, lead round in circles, or promise terabytes. All of that
is found in the headers, before anything is read that is large.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from .recording import MAX_PIXELS, cut_short, damaged

# Members that somebody meets who walks through all groups; a group that is linked from two places
# counts twice, and a dozen such groups in each other count thousands of times.
_MOST_MEMBERS = 50_000
_DEEPEST = 60

# No compression makes an array smaller than this share.
_MOST_COMPRESSED = 2000
_SMALL = 2**26
# Of a small map it is not asked: parts that were never measured take no room either.
_SMALL_MAP = 2**21

# The largest maps that are measured have ten million points, in one or two kB of entries each.
_SMALL_ENTRY = 2**25
_MOST_BYTES_A_POINT = 1024
_MOST_POINTS = 2**24
_GRID_NAMES = (
    ("Y Cells", "X Cells"),  # Oxford
    ("nRows", "nColumns"),  # EDAX
    ("NROWS", "NCOLS"),  # Bruker
    ("n_rows", "n_columns"),  # kikuchipy
)


def check_links(path: Path, file: Any) -> None:
    """See that the members of an open HDF5 file lie in it, and in a tree that can be walked.

    Raises
    ------
    InputError
        If there is a link or an array that another file holds, or groups lie in each other.
    """
    if _members(path, file, {}, 0) > _MOST_MEMBERS:
        raise damaged(path, "its groups contain each other")


def _members(path: Path, group: Any, known: dict[int, int], depth: int) -> int:
    """Number of members below a group; `known` has those of groups that were walked through."""
    import h5py

    address = h5py.h5o.get_info(group.id).addr
    if address in known:
        return known[address]
    known[address] = _MOST_MEMBERS + 1  # what it counts where it is met again inside itself
    total = 0
    for name in group:
        link = group.id.links.get_info(name.encode("utf-8", "surrogateescape")).type
        if link not in (h5py.h5l.TYPE_HARD, h5py.h5l.TYPE_SOFT):
            raise _leads_out(path, group, name)
        child = group.get(name)
        total += 1
        if isinstance(child, h5py.Dataset):
            elsewhere = child.is_virtual and any(
                s.file_name != "." for s in child.virtual_sources()
            )
            if child.external or elsewhere:
                raise _leads_out(path, group, name)
        elif isinstance(child, h5py.Group) and total <= _MOST_MEMBERS:
            deep = depth >= _DEEPEST
            total += _MOST_MEMBERS if deep else _members(path, child, known, depth + 1)
    known[address] = total
    return total


def _leads_out(path: Path, group: Any, name: str) -> InputError:
    place = f"{group.name.rstrip('/')}/{name}"
    return InputError(
        f"{path.name}: '{place[:80]}' lies in another file, and links out of a file are not "
        "followed; copy what they lead to into it, or export it again"
    )


def check_patterns(path: Path, dataset: Any) -> None:
    """See that a data set is a stack of patterns that the file can hold.

    Raises
    ------
    InputError
        If it has another shape or no numbers, or promises more than there is.
    """
    shape, dtype = dataset.shape, dataset.dtype
    if len(shape or ()) != 3 or 0 in shape or dtype.kind not in "uif":
        raise InputError(
            f"{path.name}: its patterns have the shape {shape} and the type {dtype}, expected a "
            "stack (patterns, rows, columns) of numbers with at least one; export the map again "
            "with patterns"
        )
    if shape[1] * shape[2] > MAX_PIXELS:
        raise damaged(path, f"a pattern of {shape[1]} x {shape[2]} pixels")
    if shape[0] > _SMALL_MAP and is_hollow(dataset):
        there = dataset.id.get_storage_size() // (dataset.nbytes // shape[0])
        raise cut_short(path, there, shape[0])


def is_hollow(dataset: Any) -> bool:
    """Whether a data set promises far more than the file can hold of it."""
    claimed = dataset.nbytes
    if dataset.is_virtual or claimed <= _SMALL:
        return False
    return bool(claimed > dataset.id.get_storage_size() * _MOST_COMPRESSED)


def check_entries(path: Path, group: Any, count: int) -> None:
    """See that what lies beside `count` patterns is no larger than headers and maps are.

    Raises
    ------
    InputError
        If an entry promises far more numbers, or the header a far larger map.
    """
    import h5py

    limit = max(_SMALL_ENTRY, _MOST_BYTES_A_POINT * count)
    for name, entry in _arrays(group):
        other_patterns = entry.ndim > 2 and name.startswith("/Data/")
        if entry.nbytes > limit and not other_patterns:
            raise damaged(path, f"'{name[1:80]}' promises {entry.nbytes // 10**6:,} MB")
    header = group.get("Header")
    for names in _GRID_NAMES:
        cells = [header.get(name) for name in names] if isinstance(header, h5py.Group) else []
        sides = [_number(cell) for cell in cells]
        if sides and math.prod(sides) > max(count, _MOST_POINTS):
            raise damaged(path, f"a map of {sides[0]:.0f} x {sides[1]:.0f} points")


def _arrays(group: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Arrays below a group by their place in it, also those behind links."""
    import h5py

    for name in group:
        child = group.get(name)
        if isinstance(child, h5py.Group):
            yield from _arrays(child, f"{place}/{name}")
        elif isinstance(child, h5py.Dataset) and child.shape is not None:
            yield f"{place}/{name}", child


def _number(entry: Any) -> float:
    """First number of a small header entry; 0 where there is none."""
    size, kind = getattr(entry, "size", 0), getattr(entry, "dtype", np.dtype("V")).kind
    return float(np.ravel(entry[()])[0]) if size and kind in "iuf" else 0.0
