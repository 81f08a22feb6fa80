#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The projection centre: how well patterns tell it, and what it is worth to the network.

    python benchmarks/centre.py [--model default] [--camera poor]

Every development material that the network was not trained on is recorded by a camera that stands
somewhere else each time, sixteen patterns in random orientations (camera `fast`). Prints how far
estimates from sixteen patterns, and from one, are from the truth, and the share of right Laue
groups and lattices when the network is told the true centre with the usual error, either estimate,
or nothing. Means over materials; class prior `known`.
"""

from __future__ import annotations

import argparse
import itertools
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch

from napari_ebsd_phase import load_classifier
from napari_ebsd_phase.centre_estimate import estimate_centre
from napari_ebsd_phase.classifier import Classifier
from napari_ebsd_phase.crystallography import BRAVAIS_LATTICES, POINT_GROUPS, level_index
from napari_ebsd_phase.preprocessing import prepare
from napari_ebsd_phase.symmetry_maps import Centre
from napari_ebsd_phase.training.evaluate import CAMERAS
from napari_ebsd_phase.training.library import MasterLibrary
from napari_ebsd_phase.training.materials import Material, load_materials
from napari_ebsd_phase.training.pattern_simulation import (
    Camera,
    simulate_group,
    standing,
)
from napari_ebsd_phase.training.scores import CENTRE_ERROR, reported
from napari_ebsd_phase.training.tested import materials_by_test

LIBRARY = Path(__file__).parent.parent / "data" / "master_patterns.h5"
PATTERNS = 16


def right(classifier: Classifier, frames: np.ndarray, mask: np.ndarray, m: Material) -> np.ndarray:
    """Share of right Laue groups and lattices."""
    point, lattice = classifier.probabilities(classifier.scores(frames, mask=mask).scores, "known")
    laue, _ = reported(point, lattice, "laue_group")
    cell, _ = reported(point, lattice, "bravais_lattice")
    true = level_index("laue_group")[POINT_GROUPS.index(m.point_group)]
    return np.array([(laue == true).mean(), (cell == BRAVAIS_LATTICES.index(m.bravais)).mean()])


def look(classifier: Classifier, stack: np.ndarray, m: Material, like: Camera) -> dict[str, Any]:
    """Errors and shares of one material."""
    rng = np.random.default_rng([3, zlib.crc32(m.key.encode())])
    size = classifier.preprocessing.size
    member = next(n for n in classifier.network.members if n.maps is not None)
    camera, true = standing(like, rng)
    frames, mask = simulate_group(stack, rng.choice(m.masters, PATTERNS), camera, rng)
    inputs = prepare(frames, classifier.preprocessing, mask=mask)
    there = np.array(Centre.of_screen(true, mask, size))
    close = Centre(*(there + rng.normal(0, CENTRE_ERROR * size, 3)).tolist())
    found: dict[str, Any] = {"told": right(classifier.at(close), frames, mask, m)}
    if any(n.maps is None for n in classifier.network.members):
        found["nothing"] = right(classifier, frames, mask, m)
    for name, patterns in (("sixteen", inputs), ("one", inputs[:1])):
        estimate = estimate_centre(member, patterns, mask)
        centre = Centre.of_screen(estimate.projection_centre, mask, size)
        found[f"{name}: error"] = (np.array(centre) - there) / size
        found[f"{name}: score"] = estimate.score
        seen = frames if name == "sixteen" else frames[:1]
        found[name] = right(classifier.at(centre), seen, mask, m)
    return found


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="default")
    parser.add_argument("--library", type=Path, default=LIBRARY)
    parser.add_argument("--most", type=int, default=1000, help="materials at most")
    parser.add_argument("--camera", choices=CAMERAS, default="fast")
    args = parser.parse_args()
    torch.set_num_threads(1)
    classifier = load_classifier(args.model, device="cpu", precision="float32")
    if not classifier.takes_centre:
        parser.error(f"{args.model} makes nothing of the projection centre")
    with MasterLibrary.open(args.library) as library:
        stack, splits = load_materials(library)
    tests = materials_by_test(
        splits, classifier.card["training"].get("trained_on"), development=True
    )
    materials = tests["calibration"][: args.most]
    rows = []
    for number, material in enumerate(materials, start=1):
        rows.append(look(classifier, stack, material, CAMERAS[args.camera]))
        if number % 10 == 0:
            print(f"  {number} of {len(materials)} materials", flush=True)
    print(f"\n{classifier.name}: {len(rows)} materials that it was not trained on, {PATTERNS}")
    print(f"patterns of each, camera {args.camera}. Errors of the centre in widths of the screen\n")
    print("| estimated from | half are within: x, y, distance | 80 % within |")
    print("|---|---|---|")
    for name in ("sixteen", "one"):
        error = np.abs([row[f"{name}: error"] for row in rows])
        cells = [
            ", ".join(f"{100 * v:.1f} %" for v in np.quantile(error, q, axis=0)) for q in (0.5, 0.8)
        ]
        print(f"| {name} pattern{'s' if name == 'sixteen' else ''} | {cells[0]} | {cells[1]} |")
    print("\n| projection centre | Laue group | lattice |")
    print("|---|---|---|")
    titles = {
        "told": f"told, with an error of {100 * CENTRE_ERROR:g} %",
        "sixteen": "estimated from the sixteen",
        "one": "estimated from the one pattern that is classified",
        "nothing": "not known",
    }
    for name, title in titles.items():
        if name in rows[0]:
            laue, lattice = np.mean([row[name] for row in rows], axis=0)
            print(f"| {title} | {100 * laue:.0f} % | {100 * lattice:.0f} % |")
    print("\n| score of the estimate | materials | right Laue group with it | without any |")
    print("|---|---|---|---|")
    score = np.array([row["sixteen: score"] for row in rows])
    edges = (-np.inf, 0, 1, 2, 3, 5, np.inf)
    for low, high in itertools.pairwise(edges):
        here = [row for row, s in zip(rows, score, strict=True) if low <= s < high]
        if here:
            with_it = np.mean([row["sixteen"][0] for row in here])
            alone = [row.get("nothing", [np.nan])[0] for row in here]
            shares = f"{100 * with_it:.0f} % | {100 * np.mean(alone):.0f} %"
            print(f"| {low:g} to {high:g} | {len(here)} | {shares} |")


if __name__ == "__main__":
    main()
