# SPDX-License-Identifier: GPL-3.0-or-later
"""What a scan is, in the words of the field and a line each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from kikuchipy.detectors import EBSDDetector

    from ..scan import Scan

#: Memory of a classified pattern: 46 probabilities, and what layers and legend keep of them.
_BYTES_A_PATTERN = 46 * 4 + 45


def size_text(size: float) -> str:
    """A number of bytes in words."""
    units = ("bytes", "kB", "MB", "GB", "TB")
    step = 0
    while size >= 1000 and step < len(units) - 1:
        size, step = size / 1000, step + 1
    return f"{size:.0f} {units[step]}" if step == 0 or size >= 10 else f"{size:.1f} {units[step]}"


def map_text(shape: tuple[int, int]) -> str:
    """Size of a map."""
    count = shape[0] * shape[1]
    return f"{shape[0]:,} × {shape[1]:,} ({count:,} pattern{'' if count == 1 else 's'})"


def step_text(step: tuple[float, float], units: str) -> str:
    """Distance of map points."""
    if units == "px":
        return "not in the file"
    rows, cols = step
    number = f"{cols:.3g}" if rows == cols else f"{rows:.3g} × {cols:.3g}"
    return f"{number} {'µm' if units == 'um' else units}"


def pattern_text(scan: Scan) -> str:
    """Size and type of the patterns, and whether a background comes with them."""
    size = scan.pattern_shape
    if size is None:
        return "images of different sizes"
    text = f"{size[0]} × {size[1]} pixels, {scan.dtype}"
    return f"{text}, with static background" if scan.static_background is not None else text


def detector_text(detector: EBSDDetector | None) -> str:
    """Geometry of the detector."""
    if detector is None:
        return "not in the file"
    pc = np.asarray(detector.pc, float).reshape(-1, 3).mean(axis=0)
    return (
        f"pattern centre {pc[0]:.2f}, {pc[1]:.2f}, {pc[2]:.2f}; sample tilt "
        f"{float(detector.sample_tilt):g}°, camera tilt {float(detector.tilt):g}°"
    )


def memory_text(scan: Scan) -> str:
    """What opening and classifying the scan takes."""
    count = scan.shape[0] * scan.shape[1]
    result = size_text(count * _BYTES_A_PATTERN)
    if scan.pattern_shape is None:
        return f"Images are read one by one; a phase map takes {result} of memory."
    patterns = count * scan.pattern_shape[0] * scan.pattern_shape[1] * scan.dtype.itemsize
    return (
        f"{size_text(patterns)} of patterns stay on disk and are read when needed; "
        f"a phase map takes {result} of memory."
    )


def grids(count: int) -> list[tuple[int, int]]:
    """Rows and columns that multiply to a number of patterns, closest to a square first."""
    rows = [i for i in range(1, int(count**0.5) + 1) if count % i == 0]
    pairs = [(i, count // i) for i in reversed(rows)]
    return pairs + [(c, r) for r, c in pairs if r != c]
