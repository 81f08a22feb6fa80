#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""How sure a region may be of its phase, against the number of views that are pooled.

    python benchmarks/pooled_views.py [--model default] [--prior known] [--library FILE]

Simulates one scan, that is, one camera and 48 orientations, of each development material that the
network was not trained on and of as many that it was, and pools 1, 2, 5, 10, 20 and 48 patterns
as `identify` does. For each number of views it prints

- the correlation of errors between views at which the likelihood of the true Laue groups and
  lattices is greatest (`regions.views.SHARED_ERROR` is the one in use), with the temperature of the
  card;
- mean probability of the most probable Laue group and lattice, and how often they are right: with
  the weight that `identify` gives, and, for comparison, with the evidence of all views summed up.

The test materials take no part.
"""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from napari_ebsd_phase import load_classifier
from napari_ebsd_phase.classifier import Classifier
from napari_ebsd_phase.crystallography import BRAVAIS_LATTICES, LAUE_INDEX, POINT_GROUPS, marginal
from napari_ebsd_phase.decoding import decode
from napari_ebsd_phase.regions.views import SHARED_ERROR, independent_views
from napari_ebsd_phase.training.library import MasterLibrary
from napari_ebsd_phase.training.materials import Material, load_materials
from napari_ebsd_phase.training.pattern_simulation import (
    FAST,
    GOOD,
    TRAINING,
    Camera,
    simulate_group,
)
from napari_ebsd_phase.training.scores import reported
from napari_ebsd_phase.training.tested import materials_by_test

_LIBRARY = Path(__file__).parent.parent / "data" / "master_patterns.h5"
_VIEWS = 48
_POOLED = (1, 2, 5, 10, 20, 48)


def one_scan(camera: Camera, rng: np.random.Generator) -> Camera:
    """A camera that stays as it is for a whole scan, drawn from a range of cameras."""

    def level(limits: Sequence[float]) -> tuple[float, float]:
        value = float(rng.uniform(*limits))
        return value, value

    def factor(limits: Sequence[float]) -> tuple[float, float]:
        value = float(np.exp(rng.uniform(*np.log(np.maximum(limits, 1e-3)))))
        return value, value

    size = int(rng.integers(camera.size[0], camera.size[1] + 1))
    return replace(
        camera,
        size=(size, size),
        aspect=level(camera.aspect),
        distance=factor(camera.distance),
        centre_x=level(camera.centre_x),
        centre_y=level(camera.centre_y),
        noise=factor(camera.noise),
        blur=level(camera.blur),
        raw=float(rng.random() < camera.raw),
    )


def scan_scores(
    classifier: Classifier, stack: np.ndarray, materials: Sequence[Material]
) -> np.ndarray:
    """Scores of one scan of each material, (materials, 48, 46)."""
    found = []
    for material in materials:
        rng = np.random.default_rng([3, zlib.crc32(material.key.encode())])
        camera = one_scan((GOOD, FAST, TRAINING)[int(rng.integers(3))], rng)
        masters = rng.choice(material.masters, size=_VIEWS)
        patterns, mask = simulate_group(stack, masters, camera, rng)
        found.append(classifier.scores(patterns, mask=mask).scores)
    return np.stack(found)


class Pools:
    """Means of the scores of n views, and the truth of each."""

    def __init__(self, scores: np.ndarray, materials: Sequence[Material], views: int) -> None:
        count = scores.shape[1] // views
        self.means = scores[:, : count * views].reshape(-1, count, views, scores.shape[2])
        self.means = self.means.mean(axis=2).reshape(-1, scores.shape[2])
        groups = [LAUE_INDEX[POINT_GROUPS.index(m.point_group)] for m in materials]
        lattices = [BRAVAIS_LATTICES.index(m.bravais) for m in materials]
        self.laue = np.repeat(groups, count)
        self.lattice = np.repeat(lattices, count)

    def decode(
        self, classifier: Classifier, prior: np.ndarray, weight: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Probabilities (n, 32) and (n, 14) with the evidence of so many independent views."""
        trained = np.asarray(classifier.card["training_prior"])
        return decode(
            weight * self.means,
            prior=prior,
            training_prior=(trained / trained.max()) ** weight,
            temperature=float(classifier.card["temperature"]),
        )

    def likelihood(self, classifier: Classifier, prior: np.ndarray, weight: float) -> float:
        """Mean log likelihood of the true Laue groups and lattices."""
        groups, lattices = self.decode(classifier, prior, weight)
        rows = np.arange(len(self.laue))
        laue = marginal(groups, "laue_group")[rows, self.laue]
        found = np.log(np.maximum(laue, 1e-9)) + np.log(
            np.maximum(lattices[rows, self.lattice], 1e-9)
        )
        return float(found.mean())

    def claimed_and_right(
        self, classifier: Classifier, prior: np.ndarray, weight: float
    ) -> list[float]:
        """Mean probability and share right: of the Laue group, then of the lattice."""
        groups, lattices = self.decode(classifier, prior, weight)
        found = []
        for level, truth in (("laue_group", self.laue), ("bravais_lattice", self.lattice)):
            index, probability = reported(groups, lattices, level)
            found += [float(probability.mean()), float((index == truth).mean())]
        return found


def best_correlation(pools: Pools, classifier: Classifier, prior: np.ndarray, views: int) -> float:
    """Correlation of errors that makes the truth most likely."""
    every = np.linspace(0, 1, 41)
    weights = [views / (1 + rho * (views - 1)) for rho in every]
    return float(every[np.argmax([pools.likelihood(classifier, prior, w) for w in weights])])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--model", default=None)
    parser.add_argument("--prior", default="known")
    parser.add_argument("--library", type=Path, default=_LIBRARY)
    given = parser.parse_args()
    classifier = load_classifier(given.model, device="cpu")
    prior = classifier.prior(given.prior)
    with MasterLibrary.open(given.library) as library:
        stack, materials = load_materials(library)
        simulators = [record.simulator for record in library.index]
    trained_on = classifier.card["training"].get("trained_on")
    tests = materials_by_test(materials, trained_on, simulators=simulators, development=True)
    unseen, seen = tests["calibration"], tests["seen"]
    seen = [seen[i] for i in np.linspace(0, len(seen) - 1, len(unseen)).round().astype(int)]
    scores = {
        "not trained on": (unseen, scan_scores(classifier, stack, unseen)),
        "trained on": (seen, scan_scores(classifier, stack, seen)),
    }
    print(
        f"network {classifier.name}, prior {given.prior}, {len(unseen)} materials each; "
        f"correlation of errors in use: {SHARED_ERROR}\n"
    )
    print("| materials | views | best correlation | Laue group | lattice | Laue group, summed |")
    print("|---|---|---|---|---|---|")
    for title, (members, values) in scores.items():
        for views in _POOLED:
            pools = Pools(values, members, views)
            best = best_correlation(pools, classifier, prior, views) if views > 1 else np.nan
            numbers = pools.claimed_and_right(classifier, prior, independent_views(views))
            summed = pools.claimed_and_right(classifier, prior, float(views))
            print(
                f"| {title} | {views} | {best:.2f} | {numbers[0]:.2f}, {numbers[1]:.2f} "
                f"| {numbers[2]:.2f}, {numbers[3]:.2f} | {summed[0]:.2f}, {summed[1]:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
