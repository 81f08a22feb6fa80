#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Patterns a second: reading, preprocessing and network apart, and the whole.

    python benchmarks/throughput.py [--patterns 20000] [--size 128] [--threads 2]

Makes an uncompressed kikuchipy .h5 of simulated patterns in a temporary folder, then times each
part on all of it. Also times the pattern simulation that training draws from, on one core.
Figures depend on the machine and on what else runs; compare those of one run only.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import kikuchipy
import numpy as np
import torch

from napari_ebsd_phase import classify, load_classifier, load_scan
from napari_ebsd_phase.mapping import scan_screen
from napari_ebsd_phase.preprocessing import Preprocessing, prepare
from napari_ebsd_phase.training.library import MasterLibrary
from napari_ebsd_phase.training.pattern_simulation import TRAINING, render, simulate_group

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


def timed(title: str, count: int, work: Callable[[], object]) -> float:
    """Run a callable and print its rate."""
    start = time.perf_counter()
    work()
    rate = count / (time.perf_counter() - start)
    print(f"{title:<42}{rate:>12,.0f} patterns/s", flush=True)
    return rate


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--patterns", type=int, default=20_000)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    classifier = load_classifier()
    print(f"{classifier}, torch {torch.__version__}, {arguments.threads} threads")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "map.h5"
        make_file(path, arguments.patterns, arguments.size)
        with load_scan(path) as scan:
            count = scan.shape[0] * scan.shape[1]
            print(f"{count} patterns of {scan.pattern_shape}, {scan.dtype}, uncompressed")
            tiles = list(scan.tiles(1024))
            loaded = [scan.read(*t).reshape(-1, *scan.pattern_shape) for t in tiles[:4]]
            some = sum(len(p) for p in loaded)
            mask, settings = scan_screen(scan), classifier.preprocessing
            classifier.scores(loaded[0][:256], mask=mask)  # first call: caches and thread pools

            timed("reading", count, lambda: [scan.read(*t) for t in tiles])

            def prepare_all() -> None:
                for patterns in loaded:
                    for start in range(0, len(patterns), 256):
                        prepare(patterns[start : start + 256], settings, mask=mask)

            timed("preprocessing", some, prepare_all)
            inputs = torch.cat([prepare(p, settings, mask=mask) for p in loaded])
            inputs = inputs.contiguous(memory_format=torch.channels_last)

            def network() -> None:
                with torch.inference_mode():
                    for start in range(0, some, 256):
                        classifier.network_scores(inputs[start : start + 256])

            alone = timed("network", some, network)
            whole = timed("classify, end to end", count, lambda: classify(scan, classifier))
            print(f"end to end is {whole / alone:.0%} of the network alone")
    torch.set_num_threads(1)
    with MasterLibrary.open(_LIBRARY) as library:
        stack = np.stack([library.data(i) for i in range(32)])
    rng = np.random.default_rng(0)
    simulate_group(stack, np.arange(16), TRAINING, rng)  # compiles

    def simulate() -> None:
        for _ in range(100):
            frames, screen = simulate_group(stack, rng.integers(0, 32, 16), TRAINING, rng)
            prepare(frames, Preprocessing(), mask=screen)

    timed("simulation and preprocessing, one core", 1600, simulate)


if __name__ == "__main__":
    main()
