# SPDX-License-Identifier: GPL-3.0-or-later
"""From a trained network to a classifier: calibrate, test, write the card."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from typing import Any

import numpy as np

from ..card import make_card
from ..classifier import Classifier
from ..crystallography import LEVELS
from ..network import SymmetryNet
from ..symmetry_maps import Centre
from .calibration import best_temperature, decision_threshold, pattern_threshold
from .evaluate import evaluate_materials
from .materials import Material
from .pattern_simulation import TRAINING
from .pattern_stream import PatternStream
from .scores import Scores, draw_scores
from .settings import TrainingSettings
from .structures import known_structures

__all__ = ["calibrate", "calibration_scores", "finish"]


def calibration_scores(
    classifier: Classifier,
    stack: np.ndarray,
    materials: Mapping[str, Sequence[Material]],
    *,
    patterns: int,
    with_centre: bool = False,
    progress: Callable[[str, int, int], None] | None = None,
) -> Scores | None:
    """Scores of materials as users have them: half unseen, which come first, half seen.

    A user's phase may be one that the network was trained on, or not, and the network cannot tell.

    Returns
    -------
    Scores or None
        None when the library has no calibration materials.
    """
    unseen = materials.get("calibration", ())
    # Band patterns are for training only: they lack what dynamical ones show.
    known = [m for m in materials["train"] if m.kind == "dynamical"] or materials["train"]
    if not unseen:
        return None
    spread = np.linspace(0, len(known) - 1, min(len(unseen), len(known))).round().astype(int)
    return draw_scores(
        classifier,
        stack,
        [*unseen, *(known[i] for i in spread)],
        TRAINING,
        patterns=patterns,
        seed=2,
        with_centre=with_centre,
        progress=partial(progress, "calibration materials") if progress else None,
    )


def finish(
    network: SymmetryNet,
    stack: np.ndarray,
    materials: Mapping[str, Sequence[Material]],
    settings: TrainingSettings,
    *,
    name: str,
    steps: int,
    patterns: int = 48,
    provenance: Mapping[str, Any] | None = None,
    development: bool = True,
    progress: Callable[[str, int, int], None] | None = None,
) -> Classifier:
    """Calibrate a trained network, test it, and make its card.

    Parameters
    ----------
    network
        The averaged network of :func:`napari_ebsd_phase.training.train.train`.
    stack, materials
        What it was trained with, all splits.
    settings
        What it was trained by.
    name
        For the card.
    steps
        Optimiser steps that were really done.
    patterns
        Patterns a material and camera for calibration and tests.
    provenance
        Further facts for the card: library, hours, machine.
    development
        Test on calibration materials in place of those that are for the final recipe only.
    progress
        Called with a title and the number of materials done and in all.

    Returns
    -------
    Classifier
        With its card complete; not yet saved.
    """
    stream = PatternStream(stack, materials["train"], settings)
    card = make_card(
        name,
        network,
        preprocessing=settings.preprocessing.to_dict(),
        training_prior=np.round(stream.training_prior(), 6).tolist(),
        known_structures=known_structures().tolist(),
        # Symmetry maps of a mirror image are the mirror images of the maps: nothing new.
        mirrored_views=settings.architecture.view != "symmetry",
        temperature=1.0,
        threshold=0.5,
        training={
            "settings": asdict(settings),
            "camera": asdict(TRAINING),
            "steps": steps,
            "patterns": steps * settings.batch_size,
            "materials": {split: len(members) for split, members in materials.items()},
            "split": "by material (formula and space group), training/split.csv",
            # Band patterns are of thousands of structures, none of a test's; their library's
            # recipe names them.
            "trained_on": [m.key for m in materials["train"] if m.kind == "dynamical"],
            "kinds": dict(Counter(m.kind for m in materials["train"])),
            **(provenance or {}),
        },
        metrics={},
        licence="GPL-3.0-or-later",
        version=version("napari-ebsd-phase"),
    )
    classifier = Classifier(network, card, device="cpu")
    calibrate(
        classifier,
        stack,
        materials,
        patterns=patterns,
        development=development,
        progress=progress,
    )
    return classifier


def calibrate(
    classifier: Classifier,
    stack: np.ndarray,
    materials: Mapping[str, Sequence[Material]],
    *,
    patterns: int = 48,
    development: bool = True,
    progress: Callable[[str, int, int], None] | None = None,
) -> None:
    """Enter temperature, thresholds and test results into the card of a classifier.

    Parameters
    ----------
    classifier
        Its card is changed in place.
    stack, materials
        Master patterns, all splits; ``train`` are those that the network has seen.
    patterns, development, progress
        See :func:`finish`.
    """
    card = classifier.card
    alone = any(member.answers for member in classifier.network.members)
    for with_centre in (False, True) if classifier.takes_centre else (False,):
        if not (alone or with_centre):
            continue
        found = _tested(
            classifier,
            stack,
            materials,
            patterns=patterns,
            development=development,
            with_centre=with_centre,
            progress=progress,
        )
        if alone and with_centre:
            card["with_centre"] = {**card.get("with_centre", {}), **found}
        else:  # a network that looks at nothing else has no other figures
            card.update(found)


def _tested(
    classifier: Classifier,
    stack: np.ndarray,
    materials: Mapping[str, Sequence[Material]],
    *,
    patterns: int,
    development: bool,
    with_centre: bool,
    progress: Callable[[str, int, int], None] | None,
) -> dict[str, Any]:
    """What a card says of a network that is told the projection centre, or is not."""
    found: dict[str, Any] = {}
    told = classifier.at(Centre(0.0, 0.0, 1.0)) if with_centre else classifier
    data = calibration_scores(
        classifier,
        stack,
        materials,
        patterns=2 * patterns,
        with_centre=with_centre,
        progress=progress,
    )
    if data is not None:
        # A probability is a promise that must hold where nobody knows the answer beforehand: the
        # temperature is that of unseen materials. On those of training it is too modest.
        unseen = data.of_groups(len(materials["calibration"]))
        found["temperature"] = best_temperature(told, unseen)
        found["threshold"] = decision_threshold(told, data, found["temperature"])
        found["pattern_threshold"] = pattern_threshold(data)
    base = {k: v for k, v in classifier.card.items() if k != "with_centre"}
    judge = Classifier(
        classifier.network,
        {**base, "training_prior": told.card["training_prior"], **found},
        device="cpu",
    )
    found["metrics"] = evaluate_materials(
        judge,
        stack,
        materials,
        patterns=patterns,
        development=development,
        with_centre=with_centre,
        progress=progress,
    )
    for cameras in found["metrics"].values():
        for summary in cameras.values():
            for level in LEVELS:  # `evaluate` writes it; on a card it would drown the rest
                summary[level].pop("confusion", None)
    return found
