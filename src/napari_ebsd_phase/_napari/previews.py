# SPDX-License-Identifier: GPL-3.0-or-later
"""Maps that show a scan before the network has seen it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from orix.crystal_map import CrystalMap

    from ..scan import Scan

#: About a second of reading from a disk, or of decoding images.
READ_BYTES: Final = 64 * 2**20

_FEWEST_SAMPLES = 64
_MOST_SAMPLES = 4096


@dataclass(frozen=True, eq=False)
class VendorPhases:
    """The phases that the vendor's software found.

    Attributes
    ----------
    values
        uint8 or int32 (rows, cols): 0 not indexed, else 1 and more.
    colors
        Colour of each value.
    features
        Columns ``index``, ``name`` and ``point group`` of each value.
    """

    values: np.ndarray
    colors: dict[int | None, Any]
    features: dict[str, list[Any]]


def mean_intensity(scan: Scan, *, room: int = READ_BYTES) -> np.ndarray:
    """Mean intensity of each pattern, float32 (rows, cols).

    Parameters
    ----------
    scan
        Open scan.
    room
        Bytes that may be read. Of a larger file only a coarse grid of patterns is read, and the
        pixels between them show the nearest.

    Raises
    ------
    InputError
        If the file is damaged.
    """
    rows, cols = scan.shape
    shape = scan.pattern_shape
    if shape is None:
        # Images of different sizes cannot be read together, and there are never many.
        means = [scan.pattern(row, col).mean() for row, col in np.ndindex(rows, cols)]
        return np.array(means, np.float32).reshape(rows, cols)
    samples = max(_FEWEST_SAMPLES, room // (shape[0] * shape[1] * scan.dtype.itemsize))
    if rows * cols <= samples:
        every = np.empty(scan.shape, np.float32)
        for place in scan.tiles():
            every[place] = scan.read(*place).mean(axis=(2, 3))
        return every
    stride = int(np.ceil(np.sqrt(rows * cols / min(samples, _MOST_SAMPLES))))
    some_rows, some_cols = (range(min(stride, size) // 2, size, stride) for size in (rows, cols))
    coarse = np.array(
        [[scan.pattern(row, col).mean() for col in some_cols] for row in some_rows], np.float32
    )
    near_rows, near_cols = (
        (np.arange(size) // stride).clip(max=length - 1)
        for size, length in zip((rows, cols), coarse.shape, strict=True)
    )
    return coarse[near_rows][:, near_cols]


def vendor_phases(crystal_map: CrystalMap | None, shape: tuple[int, int]) -> VendorPhases | None:
    """Phases of a vendor's map, or None where it has none for every pixel of the scan."""
    if crystal_map is None or crystal_map.size != shape[0] * shape[1]:
        return None
    indexed = [(number, phase) for number, phase in crystal_map.phases if number >= 0]
    if not indexed:
        return None
    values = np.zeros(crystal_map.size, np.uint8 if len(indexed) < 255 else np.int32)
    colors: dict[int | None, Any] = {}
    features: dict[str, list[Any]] = {
        "index": [0],
        "name": ["not indexed"],
        "point group": ["none"],
    }
    for value, (number, phase) in enumerate(indexed, start=1):
        values[crystal_map.phase_id == number] = value
        colors[value] = (*phase.color_rgb, 1.0)
        group = phase.point_group
        features["index"].append(value)
        features["name"].append(phase.name or f"phase {number}")
        features["point group"].append("unknown" if group is None else group.name)
    return VendorPhases(values.reshape(shape), colors, features)
