# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be classified, and the empty map that it goes into, for interactive work.

Such a map is there at once, may be filled in several runs over several regions, and learns the
hash of its file when there is time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .errors import InputError
from .mapping import check_region, empty_map, result_settings

if TYPE_CHECKING:
    from .classifier import Classifier
    from .phase_map import PhaseMap
    from .scan import Scan

__all__ = [
    "Region",
    "add_file_hash",
    "can_resume",
    "prepare_map",
    "region_box",
    "region_mask",
    "widen_region",
]

#: Rows and columns, or bool of shape (rows, cols).
Region = tuple[slice, slice] | NDArray[np.bool_]


def region_mask(shape: tuple[int, int], region: Region | None) -> NDArray[np.bool_]:
    """Return a region, or the whole map for None, as a new bool array of `shape`.

    Raises
    ------
    InputError
        If it is empty, reaches out of the map, or is an array of another shape.
    """
    mask = np.zeros(shape, bool)
    if not isinstance(region, np.ndarray):
        mask[check_region(shape, region)] = True
        return mask
    if region.shape != shape:
        raise InputError(
            f"the region has {' x '.join(map(str, region.shape))} pixels, the map {shape[0]} x "
            f"{shape[1]}: mark it on this map"
        )
    if not region.any():
        raise InputError("the region is empty: mark at least one pattern")
    mask[region != 0] = True
    return mask


def region_box(mask: NDArray[np.bool_]) -> tuple[slice, slice]:
    """Rows and columns of the smallest rectangle around what is true, which must be something."""
    rows, cols = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(cols[0]), int(cols[-1]) + 1)


def prepare_map(
    scan: Scan,
    classifier: Classifier,
    *,
    region: Region | None = None,
    prior: str | np.ndarray = "known",
    threshold: float | None = None,
    batch_size: int | None = None,
) -> PhaseMap:
    """Return the map of a scan with nothing classified yet.

    As :func:`.mapping.empty_map`, but the file is not read for its hash, which takes minutes for a
    large one: see :func:`add_file_hash`. Of a region that is no rectangle the provenance has the
    rows and columns around it.

    Raises
    ------
    InputError
        If the region or the threshold is wrong.
    """
    return empty_map(
        scan,
        classifier,
        region=region_box(region_mask(scan.shape, region)),
        prior=prior,
        threshold=threshold,
        batch_size=batch_size,
        hash_file=False,
    )


def can_resume(
    phase_map: PhaseMap, scan: Scan, classifier: Classifier, prior: str | np.ndarray = "known"
) -> bool:
    """Whether what a map holds is what this request would give for the same patterns.

    The region does not matter, nor do device and batch size.
    """
    told = phase_map.provenance
    wanted = result_settings(scan, classifier, prior)
    return phase_map.shape == scan.shape and all(
        key in told and told[key] == value for key, value in wanted.items()
    )


def widen_region(phase_map: PhaseMap, region: Region | None) -> None:
    """Note in the provenance of a map that another region is being classified, too."""
    rows, cols = region_box(region_mask(phase_map.shape, region))
    told = phase_map.provenance.get("region") or [rows.start, rows.stop, cols.start, cols.stop]
    both = [
        min(told[0], rows.start),
        max(told[1], rows.stop),
        min(told[2], cols.start),
        max(told[3], cols.stop),
    ]
    phase_map.provenance = {**phase_map.provenance, "region": both}


def add_file_hash(
    phase_map: PhaseMap, scan: Scan, cancelled: Callable[[], bool] | None = None
) -> bool:
    """Enter the hash of the pattern file into the provenance of a map, if it is not there.

    Parameters
    ----------
    phase_map
        Map of `scan`.
    scan
        May be closed. Its file is read once, from end to end.
    cancelled
        Asked before every 16 MiB; when true, nothing is entered.

    Returns
    -------
    bool
        Whether the hash is there now.

    Raises
    ------
    InputError
        If the file cannot be read any more.
    """
    if phase_map.provenance.get("source_sha256") is not None:
        return True
    try:
        found = scan.file_hash(cancelled)
    except OSError as error:
        raise InputError(
            f"{scan.path.name}: cannot be read any more ({error.strerror}); check that it is "
            "still there"
        ) from error
    if found is None:
        return False
    phase_map.provenance = {**phase_map.provenance, "source_sha256": found}
    return True
