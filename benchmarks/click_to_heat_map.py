#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Milliseconds from a pattern to its scores and heat map, as after a click in the viewer.

    python benchmarks/click_to_heat_map.py [--threads 1] [--patterns 50]

Patterns of the bundled samples (and of the nickel sample enlarged to 240 x 240 pixels), the bundled
network, one pattern at a time: scores for the bar chart, then the default heat map. Medians; the
first pattern, which fills caches, is left out. Also a batch of 256 at once, and one map by each of
the slower methods. Figures depend on the machine and on what else runs.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from scipy import ndimage

from napari_ebsd_phase import explain, load_classifier, load_scan
from napari_ebsd_phase.mapping import scan_screen
from napari_ebsd_phase.saliency import METHODS, explain_batch
from napari_ebsd_phase.samples import sample_path


def milliseconds(work: Callable[[], object]) -> float:
    """Time one call."""
    start = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - start)


def sample(name: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Patterns of a sample, repeated if there are fewer than `count`, and their screen."""
    with load_scan(sample_path(name)) as scan:
        patterns = scan.read(slice(None), slice(None)).reshape(-1, *scan.pattern_shape)
        mask = scan_screen(scan)
    return patterns[np.linspace(0, len(patterns) - 1, count).astype(int)], mask


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--patterns", type=int, default=50)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    classifier = load_classifier(device="cpu")
    print(f"{classifier}, torch {torch.__version__}, {arguments.threads} threads")
    print(f"{'patterns':<30}{'scores':>10}{'heat map':>10}{'both':>10}{'slowest':>10}   ms")
    nickel, mask = sample("nickel", arguments.patterns + 1)
    large = ndimage.zoom(nickel.astype(np.float32), (1, 4, 4), order=1)
    large_mask = np.repeat(np.repeat(mask, 4, axis=0), 4, axis=1)
    for title, patterns, screen in (
        ("two_phase", *sample("two_phase", arguments.patterns + 1)),
        ("nickel", nickel, mask),
        ("nickel, enlarged", large, large_mask),
    ):
        scores, heat = [], []
        for pattern in patterns:
            scores.append(milliseconds(lambda: classifier.scores(pattern[None], mask=screen)))  # noqa: B023
            heat.append(milliseconds(lambda: explain(pattern, classifier, mask=screen)))  # noqa: B023
        both = [a + b for a, b in zip(scores[1:], heat[1:], strict=True)]
        size = " x ".join(map(str, patterns.shape[1:]))
        middle = (statistics.median(v) for v in (scores[1:], heat[1:], both))
        print(f"{f'{title} ({size})':<30}" + "".join(f"{v:>10.1f}" for v in (*middle, max(both))))
    batch, screen = sample("two_phase", 256)
    taken = milliseconds(lambda: explain_batch(batch, classifier, mask=screen)) / 1000
    print(f"256 heat maps in one batch: {taken:.2f} s")
    for method in METHODS[1:]:
        explain(nickel[0], classifier, method=method, mask=mask)
        taken = milliseconds(lambda: explain(nickel[1], classifier, method=method, mask=mask))  # noqa: B023
        print(f"one heat map by {method}: {taken / 1000:.2f} s")


if __name__ == "__main__":
    main()
