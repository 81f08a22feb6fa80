#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""How soon a coarse map of a large scan is on the screen, and whether napari answers meanwhile.

    python benchmarks/coarse_map.py [--rows 1000] [--cols 1000] [--seconds 8] [--cold] [--uncentred]

Opens napari (without a screen: put `xvfb-run -a -s "-screen 0 1366x768x24"` before it) with the
docks of the plugin, presses Start for a map that repeats the patterns of a bundled sample,
uncompressed in a virtual data set of a few megabytes, and Cancel some seconds later. Times count
from the start of the run. A timer of 5 ms measures for how long the event loop does not answer.
What napari needs to add a layer is told apart; as a yardstick, napari adds plain Labels layers of
the same size to its empty window before. With --cold the first run has to import torch and load the
network, too; without, that is done before, as the dock does. With --uncentred the file does not say
where the projection centre is, which is then looked for behind the first coarse map. Figures depend
on the machine and on what else runs: the load is printed with them.
"""

from __future__ import annotations

import argparse
import gc
import os
import shutil
import tempfile
import threading
import time
from pathlib import Path

import h5py
import napari
import numpy as np
from qtpy.QtCore import QEventLoop, QTimer

from napari_ebsd_phase import load_scan
from napari_ebsd_phase._napari.application import add_docks
from napari_ebsd_phase._napari.label_cache import NOT_DONE
from napari_ebsd_phase._napari.layers import add_scan, layer_for
from napari_ebsd_phase._napari.map_dock import MapDock
from napari_ebsd_phase.samples import sample_path

_TICK = 0.005
_BUSY = 0.05
_PLAIN = 4  # layers that napari adds alone


def make_file(folder: Path, rows: int, cols: int, *, centred: bool = True) -> Path:
    """Write a map of any size that shows the same few thousand patterns over and over."""
    path = folder / "large.h5"
    shutil.copy(sample_path("two_phase"), path)
    path.chmod(0o644)
    with h5py.File(path, "r+") as file:
        scan = file["Scan 1/EBSD"]
        patterns = scan["Data/patterns"][()]
        if not centred:
            for name in ("pcx", "pcy", "pcz"):  # what kikuchipy takes where a file says nothing
                scan[f"Header/{name}"][...] = 0.5
        # In the same file: what leads out of a file is refused.
        file["store"] = patterns
        kept = h5py.VirtualSource(".", "store", patterns.shape)
        layout = h5py.VirtualLayout((rows * cols, *patterns.shape[1:]), patterns.dtype)
        for start in range(0, rows * cols, len(patterns)):
            stop = min(start + len(patterns), rows * cols)
            layout[start:stop] = kept[: stop - start]
        del scan["Data/patterns"], scan["CrystalMap"]
        scan["Data"].create_virtual_dataset("patterns", layout)
        scan["Header/n_rows"][...], scan["Header/n_columns"][...] = rows, cols
    return path


class Watch:
    """When the event loop answered, and what had been reached by then."""

    def __init__(self, viewer: napari.Viewer) -> None:
        self.start = self.last = time.perf_counter()
        # Length, when it began, and whether napari added a layer in it.
        self.gaps: list[tuple[float, float, bool]] = []
        self.reached: dict[str, float] = {}
        self._added = False
        viewer.layers.events.inserted.connect(self._on_inserted)
        self._timer = QTimer()
        self._timer.timeout.connect(self._tick)
        self._timer.start(round(_TICK * 1000))

    def stop(self) -> None:
        """Watch no longer."""
        self._timer.stop()

    def largest(self) -> float:
        """Longest time without an answer, in milliseconds."""
        return 1000 * max(gap for gap, *_ in self.gaps)

    def _on_inserted(self, event: object) -> None:
        self._added = True

    def _tick(self) -> None:
        now = time.perf_counter()
        self.gaps.append((now - self.last - _TICK, self.last - self.start, self._added))
        self.last, self._added = now, False

    def reach(self, what: str) -> None:
        """Note when something came about for the first time."""
        self.reached.setdefault(what, time.perf_counter() - self.start)

    def report(self) -> None:
        """Print all of it."""
        for what, seconds in self.reached.items():
            print(f"{what:<46}{seconds:>9.2f} s")
        every = [(gap, begin) for gap, begin, _ in self.gaps]
        print_gaps("largest gap", every)
        print_gaps("largest gap outside napari's add_layer", self._gaps(added=False))
        print_gaps("largest gap with napari's add_layer in it", self._gaps(added=True))
        busy = sum(max(gap, 0.0) for gap, *_ in self.gaps) / (self.last - self.start)
        print(f"{'share of the time that the loop was busy':<46}{busy:>9.0%}", flush=True)

    def _gaps(self, *, added: bool) -> list[tuple[float, float]]:
        return [(gap, begin) for gap, begin, layer in self.gaps if layer == added]


class Pauses:
    """Lengths of the pauses, in seconds, in which Python looks for garbage."""

    def __init__(self) -> None:
        self.lengths: list[float] = []
        self._began = 0.0
        gc.callbacks.append(self._on_collection)

    def _on_collection(self, phase: str, details: dict[str, int]) -> None:
        now = time.perf_counter()
        if phase == "start":
            self._began = now
        else:
            self.lengths.append(now - self._began)


def print_gaps(title: str, gaps: list[tuple[float, float]]) -> None:
    """Print the longest of some gaps, given with when they began, and how many are late."""
    worst, begin = max(gaps, default=(0.0, 0.0))
    late = sum(gap > _BUSY for gap, _ in gaps)
    print(
        f"{title:<46}{worst * 1000:>9.0f} ms ({begin:.2f} s in; {late} of {len(gaps)} above "
        f"{_BUSY * 1000:.0f} ms)"
    )


def wait(seconds: float) -> None:
    """Let the event loop run."""
    loop = QEventLoop()
    QTimer.singleShot(round(seconds * 1000), loop.quit)
    loop.exec()


def measure_napari(viewer: napari.Viewer, rows: int, cols: int) -> None:
    """Print for how long napari does not answer while it adds a Labels layer of its own."""
    gaps = []
    for number in range(_PLAIN):
        watch = Watch(viewer)
        wait(0.2)
        viewer.add_labels(np.full((rows, cols), number, np.uint8))
        wait(1.0)
        watch.stop()
        gaps.append(watch.largest())
        viewer.layers.clear()
        wait(0.5)
    print(f"{'napari alone, first plain Labels layer':<46}{gaps[0]:>9.0f} ms")
    print(
        f"{'napari alone, median of the next ones':<46}{np.median(gaps[1:]):>9.0f} ms", flush=True
    )


def measure(viewer: napari.Viewer, path: Path, seconds: float, *, cold: bool) -> None:
    """Open a map, classify it for a while, and print when what was there."""
    dock = next(d for d in add_docks(viewer) if isinstance(d, MapDock))
    began = time.perf_counter()
    session = add_scan(viewer, load_scan(path))
    print(f"{session.scan!r}, opened in {time.perf_counter() - began:.2f} s")
    while not cold and any(t.name == "ebsd-phase-warm-up" for t in threading.enumerate()):
        wait(0.2)
    wait(1.0)
    run = dock.classify.job.run
    labels: list[np.ndarray] = []
    pauses = Pauses()
    watch = Watch(viewer)

    def look(done: int, total: int, left: float) -> None:
        if not labels:
            watch.reach("first result")
        labels[:] = [layer_for(viewer, session, "label").data]
        if "whole map, a glance" not in watch.reached and not np.any(labels[0] == NOT_DONE):
            # It is on the screen once the loop has drawn what it is told now.
            QTimer.singleShot(0, lambda: watch.reach("whole map, a glance"))
        # No coarse grid of so large a map has neighbours.
        if session.phase_map.done[0, :2].all():
            watch.reach("whole map, coarse; tiles begin")

    ends: list[str] = []
    run.progressed.connect(look)
    run.failed.connect(lambda error: ends.append(str(error)))
    dock.classify.start_button.click()
    while session.phase_map is None and not ends:
        wait(0.1)
    wait(seconds)
    before = time.perf_counter()
    dock.classify.cancel_button.click()
    answered = time.perf_counter() - before
    watch.reach("cancelled")
    watch.stop()
    watch.report()
    longest = 1000 * max(pauses.lengths, default=0.0)
    print(f"{'longest pause of Python for its garbage':<46}{longest:>9.0f} ms")
    print(f"{'cancel answered in':<46}{answered * 1000:>9.0f} ms")
    run.wait()
    print(f"{'its thread ended in':<46}{time.perf_counter() - before:>9.2f} s")
    print(f"{'patterns classified':<46}{int(session.phase_map.done.sum()):>9,d}")
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(f"{os.cpu_count()} cores, load {load:.1f}")
    if ends:
        raise SystemExit(f"the run failed: {ends[0]}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--cols", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--cold", action="store_true")
    parser.add_argument("--uncentred", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = make_file(
            Path(folder), arguments.rows, arguments.cols, centred=not arguments.uncentred
        )
        viewer = napari.Viewer()
        wait(2.0)
        measure_napari(viewer, arguments.rows, arguments.cols)
        measure(viewer, path, arguments.seconds, cold=arguments.cold)
        viewer.close()


if __name__ == "__main__":
    main()
