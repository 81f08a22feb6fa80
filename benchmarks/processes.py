# SPDX-License-Identifier: GPL-3.0-or-later
"""The program in processes of its own: memory and times to start, for benchmarks/run.py."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

_PROGRAM = "import sys; from napari_ebsd_phase.cli import main; code = main(sys.argv[1:])"
# Not ru_maxrss, which begins with the memory of the process before.
_PEAK = "import re; print(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1])"
_DOCK = """
import time, napari
viewer = napari.Viewer(show=False)
start = time.perf_counter()
viewer.window.add_plugin_dock_widget("napari-ebsd-phase", "EBSD phase mapping")
print(time.perf_counter() - start)
viewer.close()
"""


def _printed(*command: str) -> str:
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stdout.splitlines()[-1]


def peak_memory(source: Path, output: Path) -> int:
    """Bytes of memory that ``classify`` has at most."""
    arguments = ["classify", str(source), "-o", str(output), "--quiet", "--model", "fast"]
    kib = int(_printed(sys.executable, "-c", f"{_PROGRAM}; {_PEAK}; sys.exit(code)", *arguments))
    return kib * 1024 if sys.platform != "darwin" else kib


def help_seconds() -> float:
    """Seconds of ``napari-ebsd-phase --help``, the best of three."""
    taken = []
    for _ in range(3):
        start = time.perf_counter()
        _printed(sys.executable, "-m", "napari_ebsd_phase.cli", "--help")
        taken.append(time.perf_counter() - start)
    return min(taken)


def seconds_to_open_the_dock() -> str:
    """Time from the menu to the dock, in a napari that is open, as text."""
    command = [sys.executable, "-c", _DOCK]
    if sys.platform == "linux" and not os.environ.get("DISPLAY"):
        if not shutil.which("xvfb-run"):
            return "not measured: no display"
        command = ["xvfb-run", "-a", "-s", "-screen 0 1366x768x24", *command]
    return f"{float(_printed(*command)):.2f} s"
