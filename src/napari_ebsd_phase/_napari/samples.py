# SPDX-License-Identifier: GPL-3.0-or-later
"""The bundled samples as napari layers: *File > Open Sample > EBSD phase*."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_ebsd_phase.samples import sample_path
from napari_ebsd_phase.scan import load_scan

LayerData = tuple[np.ndarray, dict[str, Any], str]

MAP_AXES = ("row", "col")
DETECTOR_AXES = ("detector row", "detector col")


def nickel() -> list[LayerData]:
    """Measured 3 × 3 map of nickel: one pattern a map pixel, sliders for row and column."""
    settings = {"name": "nickel", "axis_labels": MAP_AXES + DETECTOR_AXES}
    return [(_patterns("nickel"), settings, "image")]


def silicon() -> list[LayerData]:
    """Three measured patterns of silicon, one a camera distance, on a slider."""
    settings = {"name": "silicon", "axis_labels": ("camera", *DETECTOR_AXES)}
    return [(_patterns("silicon")[0], settings, "image")]


def two_phase() -> list[LayerData]:
    """Mean intensity of every pattern of the simulated map of austenite and ferrite."""
    with load_scan(sample_path("two_phase")) as scan:
        means = np.empty(scan.shape, dtype=np.float32)
        for rows, cols in scan.tiles():
            means[rows, cols] = scan.read(rows, cols).mean(axis=(2, 3))
        settings = {
            "name": "two_phase mean intensity",
            "axis_labels": MAP_AXES,
            "scale": scan.step,
            "units": "pixel" if scan.units == "px" else scan.units,
        }
    return [(means, settings, "image")]


def _patterns(sample: str) -> np.ndarray:
    with load_scan(sample_path(sample)) as scan:
        return scan.read(slice(0, scan.shape[0]), slice(0, scan.shape[1]))
