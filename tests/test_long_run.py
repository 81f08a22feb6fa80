# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run leaves behind in its process: nothing, so that thousands follow each other."""

from __future__ import annotations

import gc
import os
import threading
from collections import Counter
from pathlib import Path

import pytest

from napari_ebsd_phase import classify, load_classifier, load_scan
from napari_ebsd_phase.errors import InputError

from ._ebsd_files import patterns, write_oxford
from ._program import NICKEL, SILICON

FILES = Path("/proc/self/fd")


def alive() -> Counter[str]:
    """Objects of this package, threads, and open files."""
    gc.collect()
    kinds = (type(thing) for thing in gc.get_objects())
    counts = Counter(kind.__name__ for kind in kinds if "napari_ebsd" in str(kind.__module__))
    counts["threads"] = threading.active_count()
    counts["files"] = len(os.listdir(FILES)) if FILES.exists() else 0
    return counts


@pytest.mark.parametrize("source", [NICKEL, SILICON], ids=["a map", "a folder"])
def test_after_some_runs_there_is_as_much_as_after_one(source, tmp_path):
    classifier = load_classifier("pixels", device="cpu", precision="float32")

    def run() -> None:
        with load_scan(source) as scan:
            phase_map = classify(scan, classifier)
        phase_map.save(tmp_path / "map.h5", overwrite=True)

    run()
    before = alive()
    for _ in range(5):
        run()

    assert alive() == before


def test_runs_that_are_left_or_fail_leave_nothing_either(tmp_path):
    from napari_ebsd_phase.mapping import classify_tiles

    classifier = load_classifier("pixels", device="cpu", precision="float32")
    path = write_oxford(tmp_path / "map.h5oina", patterns(4, 4, 60, 60), chunks=1)
    broken = write_oxford(tmp_path / "broken.h5oina", patterns(4, 4, 60, 60), chunks=1)
    os.truncate(broken, broken.stat().st_size // 2)

    def run() -> None:
        with load_scan(path) as scan:
            tiles = classify_tiles(scan, classifier, tile=4)
            next(tiles)
            tiles.close()
        with pytest.raises(InputError), load_scan(broken) as scan:
            classify(scan, classifier)

    run()
    before = alive()
    for _ in range(5):
        run()

    assert alive() == before
