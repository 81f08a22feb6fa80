# SPDX-License-Identifier: GPL-3.0-or-later
"""A large file of simulated patterns, for benchmarks."""

from __future__ import annotations

from pathlib import Path

import kikuchipy
import numpy as np

from napari_ebsd_phase.training.library import MasterLibrary
from napari_ebsd_phase.training.pattern_simulation import render

_LIBRARY = Path(__file__).parent.parent / "data" / "master_patterns.h5"


def make_file(path: Path, count: int, size: int) -> None:
    """Write about `count` patterns of size x size in a square map; noise differs everywhere."""
    rng = np.random.default_rng(0)
    with MasterLibrary.open(_LIBRARY) as library:
        masters = [library.data(i) for i in range(0, len(library), max(1, len(library) // 32))]
    frames = []
    for master in masters:
        q, _ = np.linalg.qr(rng.standard_normal((3, 3)))
        frame = render(master, q, (size, size))
        frames.append(128 + 25 * (frame - frame.mean()) / frame.std())
    side = round(count**0.5)
    patterns = np.empty((side, side, size, size), dtype=np.uint8)
    for row in range(side):
        noise = rng.normal(0, 12, (side, size, size))
        chosen = np.stack([frames[i] for i in rng.integers(0, len(frames), side)])
        patterns[row] = np.clip(chosen + noise, 0, 255)
    kikuchipy.signals.EBSD(patterns).save(path, compression=None)
