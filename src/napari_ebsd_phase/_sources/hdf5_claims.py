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

# Rows and columns of the map and of its patterns in the header.
_SIZES = (
    ("Y Cells", "X Cells", "Pattern Height", "Pattern Width"),  # Oxford
    ("nRows", "nColumns", "Pattern Height", "Pattern Width"),  # EDAX
    ("NROWS", "NCOLS", "PatternHeight", "PatternWidth"),  # Bruker
    ("n_rows", "n_columns", "pattern_height", "pattern_width"),  # kikuchipy
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
        # h5py gives names that are no UTF-8 as bytes.
        raw = name if isinstance(name, bytes) else name.encode("utf-8", "surrogateescape")
        link = group.id.links.get_info(raw).type
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


def check_entries(path: Path, group: Any, count: int, patterns: str = "") -> None:
    """See that what lies beside `count` patterns is no larger than headers and maps are.

    Parameters
    ----------
    path, group
        The file, and what to look through in it: a group or one array.
    count
        Number of patterns.
    patterns
        Where they lie. Stacks beside them and above are patterns, too, and nobody reads them.

    Raises
    ------
    InputError
        If an entry promises far more numbers.
    """
    limit = max(_SMALL_ENTRY, _MOST_BYTES_A_POINT * count)
    for place, entry in _arrays(group, group.name.rstrip("/")):
        other_patterns = entry.ndim > 2 and patterns.startswith(f"{place.rpartition('/')[0]}/")
        if entry.nbytes > limit and not other_patterns:
            raise damaged(path, f"'{place[1:80]}' promises {entry.nbytes // 10**6:,} MB")


def check_header(path: Path, group: Any, dataset: Any) -> None:
    """See that the header of a scan, ``EBSD/Header``, tells of the patterns that are there.

    Who believes a header that does not makes room for its map first, or waits for ages.

    Raises
    ------
    InputError
        If it tells of another map, or of patterns of another size.
    """
    header = group.get("Header")
    count, *shape = dataset.shape
    for names in _SIZES:
        if not hasattr(header, "items") or not all(name in header for name in names):
            continue
        told = [_number(header[name]) for name in names]
        if any(map(math.isnan, told)):
            continue  # kikuchipy says what is missing
        # Of a region that was cut out of a map, Bruker's header has the whole map.
        region = all(f"SEM/{name}" in group for name in ("IX", "IY"))
        if told[2:] != shape or (math.prod(told[:2]) != count and not region):
            raise InputError(
                f"{path.name}: holds {count} patterns of {tuple(shape)} pixels where its header "
                f"says {told[0]:.0f} x {told[1]:.0f} of ({told[2]:.0f}, {told[3]:.0f}); export it "
                "again"
            )


def _arrays(member: Any, place: str) -> Iterator[tuple[str, Any]]:
    """An array, or those below a group, also those behind links, with their places."""
    import h5py

    if isinstance(member, h5py.Group):
        for name in member:
            yield from _arrays(member.get(name), f"{place}/{name}")
    elif isinstance(member, h5py.Dataset) and member.shape is not None:
        yield place, member


def _number(entry: Any) -> float:
    """First number of a small header entry, NaN where there is none."""
    size, kind = getattr(entry, "size", 0), getattr(entry, "dtype", np.dtype("V")).kind
    return float(np.ravel(entry[()])[0]) if size and kind in "iuf" else math.nan
