#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What rounded products cost in accuracy and bring in speed.

    python benchmarks/precision.py [--patterns 32] [--library FILE]

For each bundled network, with float32, bfloat16 and int8: share of patterns of the development
materials that it was not trained on whose Laue group and lattice are right (fast camera, prior
`known`), the share of patterns that both call the same, and patterns a second through
`Classifier.scores`. Speed depends on the machine and on what else runs: compare figures of one run.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from napari_ebsd_phase.loading import installed_classifiers, load_classifier
from napari_ebsd_phase.training.library import MasterLibrary
from napari_ebsd_phase.training.materials import load_materials
from napari_ebsd_phase.training.pattern_simulation import FAST
from napari_ebsd_phase.training.scores import draw_scores, reported

_LIBRARY = Path(__file__).parent.parent / "data" / "master_patterns.h5"
PRECISIONS = ("float32", "bfloat16", "int8")
_LEVELS = ("laue_group", "bravais_lattice")
_TIMED = 2048


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--patterns", type=int, default=32, help="of each material")
    parser.add_argument("--library", type=Path, default=_LIBRARY)
    parser.add_argument("--networks", nargs="*", help="only these")
    given = parser.parse_args()
    with MasterLibrary.open(given.library) as library:
        stack, materials = load_materials(library)
    noise = np.random.default_rng(0).integers(0, 255, (_TIMED, 128, 128)).astype(np.uint8)
    print("| network | precision | materials | Laue group | lattice | same names | patterns/s |")
    print("|---|---|---|---|---|---|---|")
    for name in given.networks or installed_classifiers():
        exact: list[np.ndarray] = []
        for precision in PRECISIONS:
            classifier = load_classifier(name, device="cpu", precision=precision)
            seen = set(classifier.card["training"].get("trained_on", ()))
            unseen = [m for m in materials["calibration"] if m.key not in seen]
            scores = draw_scores(classifier, stack, unseen, FAST, patterns=given.patterns, seed=5)
            decoded = classifier.probabilities(scores.scores, classifier.prior("known"))
            names = [reported(*decoded, level)[0] for level in _LEVELS]
            right = [
                np.mean(found == scores.truth(level))
                for found, level in zip(names, _LEVELS, strict=True)
            ]
            exact = exact or names
            same = np.mean([np.mean(a == b) for a, b in zip(names, exact, strict=True)])
            classifier.scores(noise[:256])
            start = time.perf_counter()
            classifier.scores(noise)
            rate = _TIMED / (time.perf_counter() - start)
            print(
                f"| {name} | {precision} | {len(unseen)} | {right[0]:.1%} | {right[1]:.1%} "
                f"| {same:.1%} | {rate:,.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
