#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `identify` says of a phase that the network was never trained on.

    python benchmarks/identify.py [--model default] [--materials 20] [--library FILE]

Simulates a map of each of some development materials with 1, 5 and 20 grains: a camera and a
projection centre for each material, one orientation a grain, four patterns of each with noise of
their own and the raw background. The map is written to a file, opened, and asked about as a whole.
For each number of grains it prints how often the true point group, Laue group and lattice are the
most probable, or among the three most probable, with 95 % intervals over materials, and how
probable `identify` calls its first choice. The test materials take no part.
"""

from __future__ import annotations

import argparse
import tempfile
import zlib
from pathlib import Path

import numpy as np
from scipy import ndimage

from napari_ebsd_phase import identify, load_classifier, load_scan
from napari_ebsd_phase.crystallography import laue_group
from napari_ebsd_phase.training.library import MasterLibrary
from napari_ebsd_phase.training.materials import Material, load_materials
from napari_ebsd_phase.training.pattern_simulation import render
from napari_ebsd_phase.training.sample_map import random_rotations

_LIBRARY = Path(__file__).parent.parent / "data" / "master_patterns.h5"
_GRAINS = (1, 5, 20)
_EACH = 4
_SIDE = 60
_NOISE = 0.4
_LEVELS = ("point_group", "laue_group", "bravais_lattice")


def write_map(master: np.ndarray, grains: int, rng: np.random.Generator, path: Path) -> None:
    """A map of some grains of one phase, one grain a row."""
    import kikuchipy

    centre = (rng.uniform(0.42, 0.58), rng.uniform(0.15, 0.5), rng.uniform(0.45, 0.8))
    y, x = np.mgrid[:_SIDE, :_SIDE] / _SIDE
    bell = 0.25 + np.exp(-((x - 0.5) ** 2 + (y - centre[1]) ** 2) / 0.35)
    bell /= bell.max()
    patterns = np.empty((grains, _EACH, _SIDE, _SIDE), dtype=np.uint8)
    for row, rotation in enumerate(random_rotations(rng, grains)):
        signal = render(master, rotation, (_SIDE, _SIDE), centre)
        signal = ndimage.gaussian_filter(signal, 0.4)
        signal = (signal - signal.mean()) / signal.std()
        for col in range(_EACH):
            noise = _NOISE * rng.standard_normal(signal.shape) / np.sqrt(bell)
            patterns[row, col] = np.clip(bell * (1 + 0.12 * (signal + noise)) * 160, 0, 255)
    signal = kikuchipy.signals.EBSD(patterns)
    signal.static_background = np.round(bell * 160).astype(np.uint8)
    signal.save(path, overwrite=True)


def ranks(material: Material, answer: object) -> list[tuple[int, float]]:
    """Place of the truth at each level, from 1, and the probability of the first choice."""
    truth = {
        "point_group": material.point_group,
        "laue_group": laue_group(material.point_group),
        "bravais_lattice": material.bravais,
    }
    found = []
    for level in _LEVELS:
        named = answer.ranked(level, most=32)  # type: ignore[attr-defined]
        found.append(([name for name, _ in named].index(truth[level]) + 1, named[0][1]))
    return found


def interval(values: np.ndarray) -> str:
    """Mean with its 95 % interval over materials, in per cent."""
    rng = np.random.default_rng(0)
    means = values[rng.integers(len(values), size=(2000, len(values)))].mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return f"{100 * values.mean():.0f} % ({100 * low:.0f} to {100 * high:.0f})"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="default")
    parser.add_argument("--materials", type=int, default=20)
    parser.add_argument("--library", type=Path, default=_LIBRARY)
    args = parser.parse_args()
    classifier = load_classifier(args.model)
    with MasterLibrary.open(args.library) as library:
        stack, by_split = load_materials(library)
    trained = set(classifier.card["training"]["trained_on"])
    materials = [m for m in by_split["calibration"] if m.key not in trained and not m.apparent]
    order = np.random.default_rng(0).permutation(len(materials))[: args.materials]
    table: dict[int, list[list[tuple[int, float]]]] = {grains: [] for grains in _GRAINS}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "map.h5"
        for material in (materials[i] for i in sorted(order)):
            for grains in _GRAINS:
                rng = np.random.default_rng([grains, zlib.crc32(material.key.encode())])
                write_map(stack[material.masters[0]], grains, rng, path)
                with load_scan(path) as scan:
                    table[grains].append(ranks(material, identify(scan, classifier)))
    print(f"network {classifier.name}, {len(order)} development materials, prior known\n")
    print("| grains | level | most probable | among three | claimed for the first |")
    print("|---|---|---|---|---|")
    for grains, rows in table.items():
        for number, level in enumerate(_LEVELS):
            place = np.array([row[number][0] for row in rows])
            claimed = np.mean([row[number][1] for row in rows])
            print(
                f"| {grains} | {level.replace('_', ' ')} | {interval(place == 1)} | "
                f"{interval(place <= 3)} | {100 * claimed:.0f} % |"
            )


if __name__ == "__main__":
    main()
