# SPDX-License-Identifier: GPL-3.0-or-later
"""Other programs on the same patterns, for benchmarks/run.py.

Both are told one phase and the right geometry, and find orientations, which classify does not; it
finds the phase, which they do not. The patterns are of many materials, so their answers mean
nothing here: only the time does.
"""

from __future__ import annotations

import contextlib
import io
import time
import warnings
from pathlib import Path

import numpy as np


def _patterns(path: Path, count: int) -> np.ndarray:
    from napari_ebsd_phase import load_scan

    with load_scan(path) as scan:
        rows = -(-count // scan.shape[1])
        found = scan.read(slice(0, rows), slice(0, scan.shape[1]))
    return found.reshape(-1, *found.shape[2:])[:count]


def hough_rate(path: Path, count: int) -> tuple[float, int]:
    """Patterns a second of PyEBSDIndex with its defaults, and how many were taken."""
    from pyebsdindex.ebsd_index import EBSDIndexer

    patterns = _patterns(path, count)
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        indexer = EBSDIndexer(
            phaselist=["FCC"],
            vendor="KIKUCHIPY",
            PC=(0.5, 0.5, 0.5),
            patDim=np.array(patterns.shape[1:]),
        )
        indexer.index_pats(patsin=patterns[:64])  # compiles
        start = time.perf_counter()
        indexer.index_pats(patsin=patterns)
    return len(patterns) / (time.perf_counter() - start), len(patterns)


def dictionary_rate(path: Path, count: int) -> tuple[float, int, int]:
    """Patterns a second of kikuchipy's dictionary indexing, their number, and the dictionary's."""
    import kikuchipy
    from orix.quaternion import symmetry
    from orix.sampling import get_sample_fundamental

    patterns = _patterns(path, count)
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        master = kikuchipy.data.nickel_ebsd_master_pattern_small(
            projection="lambert", hemisphere="upper"
        )
        rotations = get_sample_fundamental(3, point_group=symmetry.Oh)
        detector = kikuchipy.detectors.EBSDDetector(shape=patterns.shape[1:], pc=(0.5, 0.5, 0.5))
        dictionary = master.get_patterns(
            rotations,
            detector,
            energy=20,
            compute=True,
            dtype_out="float32",
            show_progressbar=False,
        )
        signal = kikuchipy.signals.EBSD(patterns.reshape(1, *patterns.shape))
        start = time.perf_counter()
        signal.dictionary_indexing(dictionary, keep_n=1)
    return len(patterns) / (time.perf_counter() - start), len(patterns), rotations.size
