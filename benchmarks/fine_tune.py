#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What 20 labelled patterns a class of a foreign detector bring, and what is forgotten for them.

    python benchmarks/fine_tune.py [--model default] [--patterns 20] [--seeds 3] [--library FILE]

Each seed draws eight materials of eight classes from every second one of the development
materials (the others were for choosing the settings of fine-tuning), simulates patterns of
the detector `judge` of `training/fine_tune_cameras.py` in random orientations, teaches the network
on so many of each class (a fifth of them to stop by), and prints, before and after, the share of
right names

- on 40 other patterns of each material by the same detector,
- on all development materials that were not taught, by the detector FAST of training: what is
  forgotten,

as means over materials, with 95 % intervals from drawing materials anew; a material that several
seeds drew counts once, with its mean. Seconds are those of one core. The
arms differ in what holds the network to what it said before; `adapt` has no labels, only the
same patterns. The network was trained on none of the materials; test materials take no part.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from napari_ebsd_phase import load_classifier
from napari_ebsd_phase.classifier import Classifier
from napari_ebsd_phase.preprocessing import prepare
from napari_ebsd_phase.screen import find_screen
from napari_ebsd_phase.training.fine_tune import fine_tune
from napari_ebsd_phase.training.fine_tune_adapt import adapt
from napari_ebsd_phase.training.fine_tune_cameras import (
    FOREIGN_CAMERAS,
    ForeignCamera,
    foreign_patterns,
)
from napari_ebsd_phase.training.fine_tune_labels import LabelledPatterns, pair_of
from napari_ebsd_phase.training.fine_tune_memory import patterns_of_bundled, patterns_of_library
from napari_ebsd_phase.training.fine_tune_scores import right_names
from napari_ebsd_phase.training.fine_tune_settings import FineTuneSettings
from napari_ebsd_phase.training.library import MasterLibrary
from napari_ebsd_phase.training.materials import Material, load_materials
from napari_ebsd_phase.training.pattern_simulation import FAST, simulate_group

_LIBRARY = Path(__file__).parent.parent / "data" / "master_patterns.h5"
_MATERIALS, _HELD_OUT, _OTHERS = 8, 40, 8
_LEVELS = ("laue_group", "bravais_lattice")


def draw_materials(materials: Sequence[Material], seed: int) -> list[Material]:
    """Materials of as many classes."""
    chosen: dict[tuple[str, str], Material] = {}
    for i in np.random.default_rng(seed).permutation(len(materials)):
        chosen.setdefault((materials[i].point_group, materials[i].bravais), materials[i])
    return list(chosen.values())[:_MATERIALS]


class Patterns:
    """Prepared patterns of some materials, the same number of each."""

    def __init__(self, inputs: list[torch.Tensor], materials: Sequence[Material]) -> None:
        each = len(inputs[0])
        pairs = [pair_of(f"{m.point_group}:{m.bravais}") for m in materials]
        self.labelled = LabelledPatterns(
            torch.cat(inputs), np.repeat(pairs, each), np.arange(each * len(materials))
        )
        self.each, self.keys = each, [m.key for m in materials]

    def right(self, classifier: Classifier) -> dict[str, np.ndarray]:
        """Share right of each material, by level."""
        right = right_names(classifier, self.labelled)
        return {level: right[level].reshape(-1, self.each).mean(axis=1) for level in _LEVELS}


def foreign(
    classifier: Classifier,
    stack: np.ndarray,
    materials: Sequence[Material],
    each: int,
    seed: int,
    camera: ForeignCamera,
) -> Patterns:
    """Patterns of a foreign detector, prepared as those of a user's file are."""
    inputs = []
    for k, material in enumerate(materials):
        chosen = np.random.default_rng([seed, k]).choice(material.masters, each)
        frames = foreign_patterns(stack, chosen, camera, seed=100 * seed + k)
        inputs.append(prepare(frames, classifier.preprocessing, mask=find_screen(frames)))
    return Patterns(inputs, materials)


def ordinary(classifier: Classifier, stack: np.ndarray, materials: Sequence[Material]) -> Patterns:
    """Patterns of a detector as in training."""
    inputs = []
    for k, material in enumerate(materials):
        rng = np.random.default_rng([77, k])
        frames, mask = simulate_group(stack, rng.choice(material.masters, _OTHERS), FAST, rng)
        inputs.append(prepare(frames, classifier.preprocessing, mask=mask))
    return Patterns(inputs, materials)


def by_material(table: dict[str, list[float]]) -> np.ndarray:
    """Mean over seeds of each material."""
    return np.array([np.mean(values) for values in table.values()])


def interval(values: np.ndarray) -> str:
    """Mean in per cent with its 95 % interval over materials."""
    drawn = np.random.default_rng(0).integers(0, len(values), (2000, len(values)))
    low, high = np.percentile(values[drawn].mean(axis=1), [2.5, 97.5])
    return f"{100 * values.mean():+.0f} ({100 * low:+.0f} to {100 * high:+.0f})"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--model", default=None)
    parser.add_argument("--patterns", type=int, default=20, help="of each class (default: 20)")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--library", type=Path, default=_LIBRARY)
    parser.add_argument("--arms", nargs="+", metavar="ARM", help="only those that begin like this")
    parser.add_argument(
        "--elsewhere",
        action="store_true",
        help="others by the foreign detector, too: does what was taught serve other phases?",
    )
    trial = parser.add_argument_group("to choose settings, with another detector and materials")
    trial.add_argument("--detector", default="judge", choices=list(FOREIGN_CAMERAS))
    trial.add_argument("--layers", default=FineTuneSettings.layers)
    trial.add_argument("--learning-rate", type=float, default=FineTuneSettings.learning_rate)
    trial.add_argument("--memory-weight", type=float, default=FineTuneSettings.memory_weight)
    given = parser.parse_args()
    classifier = load_classifier(given.model, device="cpu", precision="float32")
    with MasterLibrary.open(given.library) as library:
        stack, by_split = load_materials(library)
    # What looks more symmetric than it is has no one right answer.
    materials = [m for m in by_split["calibration"] if m.apparent is None]
    settings = FineTuneSettings(
        held_out=0.0,
        layers=given.layers,
        learning_rate=given.learning_rate,
        memory_weight=given.memory_weight,
    )
    camera = FOREIGN_CAMERAS[given.detector]
    bundled = patterns_of_bundled(classifier.preprocessing)
    dynamical = patterns_of_library(given.library, classifier.preprocessing)

    def taught(memory: object) -> Callable[[LabelledPatterns], Classifier]:
        return lambda labelled: (
            fine_tune(
                classifier,
                labelled,
                settings,
                memory=memory,  # type: ignore[arg-type]
            ).classifier
        )

    arms: dict[str, Callable[[LabelledPatterns], Classifier]] = {
        "taught, held to bundled structures": taught(bundled),
        "taught, held to a library": taught(dynamical),
        "taught, held to nothing": taught(None),
        "adapt 0.25": lambda labelled: adapt(classifier, labelled.inputs, 0.25),
        "adapt 0.5": lambda labelled: adapt(classifier, labelled.inputs, 0.5),
        "adapt 1": lambda labelled: adapt(classifier, labelled.inputs, 1.0),
    }
    arms = {name: arm for name, arm in arms.items() if name.startswith(tuple(given.arms or [""]))}
    found: dict[tuple[str, str, str], dict[str, list[float]]] = {}
    seconds: dict[str, list[float]] = {}
    for seed in range(given.seeds):
        chosen = draw_materials(materials[given.detector == "judge" :: 2], seed)
        keys = {m.key for m in chosen}
        learn = foreign(classifier, stack, chosen, given.patterns, 2 * seed + 1, camera)
        others = [m for m in materials if m.key not in keys]
        tests = {
            "detector": foreign(classifier, stack, chosen, _HELD_OUT, 2 * seed + 2, camera),
            "others": foreign(classifier, stack, others, _OTHERS, 50 + seed, camera)
            if given.elsewhere
            else ordinary(classifier, stack, others),
        }
        for name, arm in {"before": lambda _: classifier, **arms}.items():
            started = time.process_time()
            after = arm(learn.labelled)
            seconds.setdefault(name, []).append(time.process_time() - started)
            for test, patterns in tests.items():
                for level, values in patterns.right(after).items():
                    table = found.setdefault((name, test, level), {})
                    for key, value in zip(patterns.keys, values.tolist(), strict=True):
                        table.setdefault(key, []).append(value)
            print(f"seed {seed}, {name}: {seconds[name][-1]:.0f} s", flush=True)
    print(
        f"\nnetwork {classifier.name}, {given.patterns} patterns a class, {_MATERIALS} classes, "
        f"{given.seeds} seeds, prior known; share right in per cent\n"
    )
    print("| | detector: Laue group, lattice | others: Laue group, lattice | seconds |")
    print("|---|---|---|---|")
    for name in ("before", *arms):
        cells = [
            ", ".join(
                f"{100 * by_material(found[name, test, level]).mean():.0f}" for level in _LEVELS
            )
            for test in ("detector", "others")
        ]
        print(f"| {name} | {cells[0]} | {cells[1]} | {np.mean(seconds[name]):.0f} |")
    print("\n| change | detector: Laue group | lattice | others: Laue group | lattice |")
    print("|---|---|---|---|---|")
    for name in arms:
        cells = [
            interval(
                by_material(found[name, test, level]) - by_material(found["before", test, level])
            )
            for test in ("detector", "others")
            for level in _LEVELS
        ]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
