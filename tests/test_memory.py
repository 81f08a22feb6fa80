# SPDX-License-Identifier: GPL-3.0-or-later
"""Maps that are larger than memory: what is held is the result, and a few tiles."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from napari_ebsd_phase import PhaseMap

from ._ebsd_files import patterns, write_oxford

# 0.8 GB of patterns that are never written, as a scaled-down map of 100 GB.
ROWS, COLS, SIDE = 24, 32, 1024

PEAK = """
import re, resource, sys
from pathlib import Path
from napari_ebsd_phase.cli import main
assert main(sys.argv[1:]) == 0
status = Path("/proc/self/status")
if status.exists():  # what Linux gives otherwise begins with the memory of the process before
    print(int(re.search(r"VmHWM:\\s+(\\d+) kB", status.read_text())[1]) * 1024)
else:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.fixture(scope="module")
def large_map(tmp_path_factory):
    path = write_oxford(tmp_path_factory.mktemp("large") / "map.h5oina", patterns(1, 1))
    with h5py.File(path, "r+") as file:
        for name in ("Processed Patterns", "Euler", "Phase"):
            del file[f"1/EBSD/Data/{name}"]
        header = file["1/EBSD/Header"]
        del header["Processed Static Background"]
        told = {"Y Cells": ROWS, "X Cells": COLS, "Pattern Height": SIDE, "Pattern Width": SIDE}
        for name, value in told.items():
            header[name][...] = value
        stack = file.create_dataset(
            "1/EBSD/Data/Processed Patterns",
            (ROWS * COLS, SIDE, SIDE),
            "u1",
            chunks=(1, SIDE, SIDE),
        )
        stack[5] = np.random.default_rng(0).integers(0, 255, (SIDE, SIDE))
    assert path.stat().st_size < 2**22
    return path


def peak_of(source: Path, folder: Path, *options: str) -> int:
    """Bytes of memory that a run has at most, in a process of its own."""
    outputs = ["-o", str(folder / "map.h5"), "-o", str(folder / "map.csv")]
    network = ["--model", "pixels", "--device", "cpu", "--threads", "1", "--quiet"]
    done = subprocess.run(
        [sys.executable, "-c", PEAK, "classify", str(source), *outputs, *network, *options],
        check=True,
        capture_output=True,
        text=True,
    )
    return int(done.stdout)


def test_a_map_larger_than_memory_takes_no_more_of_it_than_a_part(large_map, tmp_path):
    for name in ("part", "whole"):
        (tmp_path / name).mkdir()

    part = peak_of(large_map, tmp_path / "part", "--region", "0:8,:")
    whole = peak_of(large_map, tmp_path / "whole")

    assert PhaseMap.load(tmp_path / "whole" / "map.h5").done.all()
    # The map has 805 MB; two rows are a tile, of which four are in memory.
    assert whole - part < 100 * 2**20
    assert whole < 1.5 * 2**30
