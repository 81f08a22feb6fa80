# SPDX-License-Identifier: GPL-3.0-or-later
"""How good a classifier is: seen materials, materials never seen, measured patterns.

The three are never mixed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..classifier import Classifier
from ..errors import InputError
from .figure import draw_evaluation
from .materials import Material
from .pattern_simulation import FAST, GOOD, POOR, Camera
from .scores import draw_scores, measured_scores
from .summary import right_by_set, summarise

__all__ = ["CAMERAS", "evaluate", "evaluate_materials"]

CAMERAS: Mapping[str, Camera] = {"good": GOOD, "fast": FAST, "poor": POOR}
"""The three stated camera conditions of all simulated tests."""


def evaluate_materials(
    classifier: Classifier,
    stack: np.ndarray,
    materials: Mapping[str, Sequence[Material]],
    *,
    patterns: int = 64,
    prior: str = "uniform",
    cameras: Mapping[str, Camera] = CAMERAS,
    progress: Callable[[str, int, int], None] | None = None,
) -> dict[str, Any]:
    """Seen and unseen materials at each camera condition.

    Parameters
    ----------
    classifier
        The network under test.
    stack, materials
        From :func:`napari_ebsd_phase.training.materials.load_materials`.
    patterns
        Patterns a material and camera.
    prior
        Class prior of the tables, by name.
    cameras
        Name to conditions.
    progress
        Called with a title and the number of materials done and in all.

    Returns
    -------
    dict
        ``seen`` and ``unseen``, each by camera name: the output of :func:`summarise`.
    """
    result: dict[str, Any] = {}
    trained_on = classifier.card["training"].get("trained_on")
    for title, split in (("seen", "train"), ("unseen", "test")):
        members = list(materials.get(split, ()))
        if split == "train" and trained_on is not None:
            # The library may have grown since: a material is seen if this network saw it.
            members = [m for m in members if m.key in set(trained_on)]
        result[title] = {}
        for name, camera in cameras.items():
            if not members:
                continue
            data = draw_scores(
                classifier,
                stack,
                members,
                camera,
                patterns=patterns,
                progress=partial(progress, f"{title} materials, {name} camera")
                if progress
                else None,
            )
            result[title][name] = summarise(classifier, data, prior)
    return result


def evaluate(
    classifier: Classifier,
    stack: np.ndarray,
    materials: Mapping[str, Sequence[Material]],
    out: Path,
    *,
    measured: Path | None = None,
    patterns: int = 64,
    prior: str = "uniform",
    progress: Callable[[str, int, int], None] | None = None,
) -> dict[str, Any]:
    """Test a classifier on all there is, and write ``evaluation.json`` and ``evaluation.png``.

    Parameters
    ----------
    classifier
        The network under test.
    stack, materials
        From :func:`napari_ebsd_phase.training.materials.load_materials`.
    out
        Folder for the two files; made if absent.
    measured
        Folder of measured pictures with their ``index.csv``, see :func:`measured_scores`.
    patterns, prior, progress
        See :func:`evaluate_materials`.

    Returns
    -------
    dict
        ``network``, ``network_sha256``, ``prior``, ``patterns_per_material``, ``seen`` and
        ``unseen`` by camera, ``measured`` if there is a folder of them.

    Raises
    ------
    InputError
        If there is nothing to test on, or the folder of measured pictures is not as it must be.
    """
    if measured is None and not any(materials.get(split) for split in ("train", "test")):
        raise InputError("the library has no materials for training or tests: nothing to test on")
    result: dict[str, Any] = {
        "network": classifier.name,
        "network_sha256": classifier.sha256,
        "prior": prior,
        "patterns_per_material": patterns,
    }
    if measured is not None:  # first: a wrong folder must not cost minutes of simulation
        data = measured_scores(classifier, measured)
        result["measured"] = summarise(classifier, data, prior)
        result["measured"]["by_set"] = right_by_set(classifier, data, prior)
    result |= evaluate_materials(
        classifier, stack, materials, patterns=patterns, prior=prior, progress=progress
    )
    out.mkdir(parents=True, exist_ok=True)
    part = out / "evaluation.json.part"
    part.write_text(json.dumps(result), encoding="utf-8")
    part.replace(out / "evaluation.json")
    draw_evaluation(result, out / "evaluation.png")
    return result
