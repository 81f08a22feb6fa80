# SPDX-License-Identifier: GPL-3.0-or-later
"""Patterns of simulated foreign detectors for the tests of fine-tuning."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch

from napari_ebsd_phase import load_classifier
from napari_ebsd_phase.classifier import Classifier
from napari_ebsd_phase.preprocessing import Preprocessing, prepare
from napari_ebsd_phase.training.fine_tune_cameras import FOREIGN_CAMERAS, foreign_patterns
from napari_ebsd_phase.training.fine_tune_labels import LabelledPatterns, pair_of
from napari_ebsd_phase.training.library import MasterLibrary, MasterPattern
from napari_ebsd_phase.training.split import split_of

LIBRARY = Path(__file__).parents[2] / "data" / "master_patterns.h5"
CLASSES = ("m-3m:cF", "6/mmm:hP", "4/mmm:tI")


@cache
def masters() -> tuple[MasterPattern, ...]:
    """A master pattern of each class, of materials that the bundled networks do not know."""
    found = {}
    with MasterLibrary.open(LIBRARY) as library:
        for i, record in enumerate(library.index):
            name = f"{record.point_group}:{record.bravais}"
            kept = split_of(record.formula, record.space_group) == "calibration"
            if name in CLASSES and name not in found and kept:
                found[name] = library[i]
    return tuple(found[name] for name in CLASSES)


def frames(kind: int, count: int, seed: int, camera: str = "skewed") -> np.ndarray:
    """Patterns of one class as a foreign detector records them."""
    stack = masters()[kind].data[None]
    return foreign_patterns(
        stack, np.zeros(count, int), FOREIGN_CAMERAS[camera], seed=100 * seed + kind
    )


def labelled(count: int, seed: int, classes: Sequence[int] = (0, 1, 2)) -> LabelledPatterns:
    """So many patterns of each class, each pair of them a region."""
    inputs, pairs, regions = [], [], []
    for kind in classes:
        inputs.append(prepare(frames(kind, count, seed), Preprocessing()))
        pairs += [pair_of(CLASSES[kind])] * count
        regions.append(1000 * kind + np.arange(count) // 2)
    return LabelledPatterns(torch.cat(inputs), np.array(pairs), np.concatenate(regions))


@cache
def network(name: str = "lines") -> Classifier:
    """A bundled network, with exact numbers."""
    return load_classifier(name, device="cpu", precision="float32")
