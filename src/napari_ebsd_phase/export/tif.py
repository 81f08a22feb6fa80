# SPDX-License-Identifier: GPL-3.0-or-later
"""Label image that image programs open in the right colours and at the right scale."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from ..crystallography import UNDECIDED_COLOR
from ..labels import label_table

if TYPE_CHECKING:
    from ..phase_map import PhaseMap

_UM_PER_CM = 10_000


def write(phase_map: PhaseMap, path: Path) -> None:
    """Write the labels as 8-bit palette image; 0 is undecided or not done.

    The description is JSON: ``labels`` maps each number in the image to its name, level, colour
    and number of pixels; ``step`` (rows, columns) and ``units`` give the size of a pixel, as the
    resolution tags do where the scan has a physical step.
    """
    codes, _ = phase_map.label_codes()
    counts = np.bincount(codes.ravel(), minlength=256)
    description = {
        "program": "napari-ebsd-phase",
        "undecided_or_not_done": {"value": 0, "color": UNDECIDED_COLOR, "pixels": int(counts[0])},
        "labels": {
            label.code: {
                "name": label.name,
                "level": label.level,
                "color": label.color,
                "pixels": int(counts[label.code]),
            }
            for label in label_table()
            if counts[label.code]
        },
        "threshold": phase_map.threshold,
        "step": phase_map.step,
        "units": phase_map.units,
        "sources": phase_map.sources if len(phase_map.sources) == 1 else [],
        "provenance": phase_map.provenance,
    }
    resolution: dict[str, Any] = {}
    if phase_map.units == "um":
        dy, dx = phase_map.step
        resolution = {
            "resolution": (_UM_PER_CM / dx, _UM_PER_CM / dy),
            "resolutionunit": tifffile.RESUNIT.CENTIMETER,
        }
    # Uncompressed: a byte a pixel is small, and every program reads it.
    tifffile.imwrite(
        path,
        codes,
        photometric="palette",
        colormap=_palette(),
        description=json.dumps(description),  # pure ASCII, as the format demands
        software="napari-ebsd-phase",
        metadata=None,  # tifffile would add a description of its own
        **resolution,
    )


def _palette() -> np.ndarray:
    """Return red, green and blue of all 256 values, shape (3, 256), 16 bit."""
    colors = [UNDECIDED_COLOR, *(label.color for label in label_table())]
    palette = np.zeros((3, 256), np.uint16)
    for value, color in enumerate(colors):
        palette[:, value] = [int(color[i : i + 2], 16) * 257 for i in (1, 3, 5)]
    return palette
