#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Killed runs, a thousand classifications, and hundreds of clicks: what is lost, and what grows.

    python benchmarks/reliability.py [--kills 10] [--runs 1000] [--clicks 500] [--seed 0]

1. A classification of the sample of two phases is killed (kill -9) at random times and taken up
   again with --resume: is the result the same, bit for bit, as that of a run left alone?
2. The nickel sample is opened, classified, saved and closed again and again in one process.
3. A real viewer with the pattern dock: pixels all over a classified map are clicked, and each time
   the heat map is waited for. Without a screen, run it under Xvfb:
   xvfb-run -a -s "-screen 0 1366x768x24" python benchmarks/reliability.py

2 and 3 print the memory that is resident after a tenth, a fifth, a half and all, and by how much
it grew for each, as the slope of a line through all after the first fifth. Linux, whose C library
keeps memory in arenas for its threads: with MALLOC_ARENA_MAX=1, which is set here unless it is set
already, what grows is in use. 0 leaves a part out. Exit code 1: a result differs, or memory grew by
more than 5 kB each.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from pathlib import Path

import numpy as np

from napari_ebsd_phase import PhaseMap, classify, load_classifier, load_scan
from napari_ebsd_phase.samples import sample_path

_ALLOWED = 5.0  # kB each: a leak of one pattern, map or picture is more
_ARENAS = "MALLOC_ARENA_MAX"
_ARRAYS = ("point_group_probabilities", "bravais_probabilities", "pattern_quality", "done")


def main() -> int:
    """Print the tables; 1 if one of them is not good."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--clicks", type=int, default=500)
    parser.add_argument("--model", default="default", help="network of parts 1 and 2")
    parser.add_argument("--seed", type=int, default=0, help="other times and other pixels")
    args = parser.parse_args()
    if _ARENAS not in os.environ:  # read when a process starts
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | {_ARENAS: "1"})
    print(f"{platform.system()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    good = True
    if args.kills:
        good &= kills(args.kills, args.model, args.seed)
    if args.runs:
        good &= growth("classifications", args.runs, classifications(args.model))
    if args.clicks:
        good &= growth("clicks", args.clicks, clicks(args.seed))
    return int(not good)


# 1. Kills.


def kills(count: int, model: str, seed: int) -> bool:
    """Kill a run at random times and take it up again."""
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        took, _ = classify_into(folder / "alone", model)
        expected = contents(folder / "alone")
        print(f"\nkill -9 at {count} times in the {took:.1f} s of a run, then --resume")
        same = 0
        for _ in range(count):
            after, done = chance.uniform(0, took), -1
            while done < 0:  # it may be quicker than it was
                place = Path(tempfile.mkdtemp(dir=folder))
                _, done = classify_into(place, model, killed_after=after)
                after, when = after / 2, after
            classify_into(place, model, "--resume")
            equal = contents(place) == expected
            same += equal
            said = "the same bits" if equal else "ANOTHER RESULT"
            print(f"  after {when:4.1f} s, {done} tiles were kept: {said}", flush=True)
    print(f"  {same} of {count} ended in the same bits")
    return same == count


def classify_into(
    folder: Path, model: str, *options: str, killed_after: float | None = None
) -> tuple[float, int]:
    """Classify the sample in a process of its own.

    Returns
    -------
    tuple
        Seconds from the first byte of the unfinished run on, from which a kill is counted, too,
        and the tiles that a kill left; -1 if all was written by then.
    """
    folder.mkdir(exist_ok=True)
    outputs = ["-o", str(folder / "map.csv"), "-o", str(folder / "map.h5")]
    common = ["--model", model, "--device", "cpu", "--quiet", *options]
    command = ["classify", str(sample_path("two_phase")), *outputs, *common]
    process = subprocess.Popen([sys.executable, "-m", "napari_ebsd_phase.cli", *command])
    unfinished = folder / "map.csv.partial"
    while process.poll() is None and not unfinished.exists():
        time.sleep(0.002)
    began = time.monotonic()
    try:
        code = process.wait(killed_after)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        left = unfinished.read_bytes() if unfinished.exists() else None
        return time.monotonic() - began, -1 if left is None else left.count(b"TILE")
    if code:
        raise SystemExit(f"error: classify ended with code {code}")
    return time.monotonic() - began, -1


def contents(folder: Path) -> list[bytes]:
    """Everything that was computed: the table whole, and the arrays of the map."""
    phase_map = PhaseMap.load(folder / "map.h5")
    arrays = [getattr(phase_map, name).tobytes() for name in _ARRAYS]
    names = sorted(path.name for path in folder.iterdir())
    return [(folder / "map.csv").read_bytes(), *arrays, repr(names).encode()]


# 2 and 3. Memory.


def growth(what: str, count: int, work: Generator[None, None, None]) -> bool:
    """Do something many times and tell how memory grows."""
    marks = {max(1, round(share * count)) for share in (0.1, 0.2, 0.5, 1)}
    memory = []
    started = time.monotonic()
    print(f"\n{count} {what} in one process")
    for number in range(1, count + 1):
        next(work)
        memory.append(resident())
        if number in marks:
            print(f"  after {number:5d}: {memory[-1] / 2**20:7.1f} MB resident", flush=True)
    start = count // 5
    slope = float(np.polyfit(np.arange(start, count), memory[start:], 1)[0]) / 1024
    took = (time.monotonic() - started) / count
    print(f"  {slope:+.2f} kB for each of {what} after the first fifth; {1000 * took:.0f} ms each")
    work.close()
    return slope < _ALLOWED


def resident() -> int:
    """Bytes of memory that this process has at the moment."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def classifications(model: str) -> Generator[None, None, None]:
    """Open, classify, save and close the nickel sample, again and again."""
    classifier = load_classifier(model, device="cpu")
    with tempfile.TemporaryDirectory() as folder:
        while True:
            with load_scan(sample_path("nickel")) as scan:
                phase_map = classify(scan, classifier)
            phase_map.save(Path(folder) / "map.h5", overwrite=True)
            yield


def clicks(seed: int) -> Generator[None, None, None]:
    """Click pixels of a classified map in a viewer and wait for each heat map."""
    import napari
    from click_to_picture import Stopwatch, open_map, point_of, rest
    from qtpy.QtCore import Qt
    from qtpy.QtOpenGLWidgets import QOpenGLWidget
    from qtpy.QtTest import QTest

    from napari_ebsd_phase._napari.pattern_dock import PatternDock

    viewer = napari.Viewer()
    dock = PatternDock(viewer)
    viewer.window.add_dock_widget(dock, name="EBSD pattern", area="right")
    viewer.window.resize(1366, 740)  # what napari remembers may be too small
    session = open_map(viewer, classified=True)
    canvas = dock.window().findChild(QOpenGLWidget)
    watch = Stopwatch(dock)
    rest(1000)
    while dock.busy:
        rest(100)
    rng = np.random.default_rng(seed)
    try:
        while True:
            row, col = (int(rng.integers(size)) for size in session.shape)
            point = point_of(viewer, canvas, row, col)
            QTest.mouseMove(canvas, point)  # a hand moves in between: vispy forgets old clicks then
            watch.begin()
            QTest.mouseClick(canvas, Qt.MouseButton.LeftButton, pos=point)
            watch.wait()
            rest(20)
            yield
    finally:
        viewer.close()


if __name__ == "__main__":
    sys.exit(main())
