# SPDX-License-Identifier: GPL-3.0-or-later
"""How good a classifier is: seen materials, unseen ones, another simulator, measured patterns.

They are never mixed.
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
from ..symmetry_maps import Centre
from .figure import draw_evaluation
from .materials import Material
from .pattern_simulation import FAST, GOOD, POOR, Camera
from .scores import draw_disturbed, draw_scores, measured_scores
from .summary import right_by_set, summarise
from .tested import TESTS, materials_by_test

__all__ = ["CAMERAS", "PATTERNS", "PRIOR", "evaluate", "evaluate_materials"]

CAMERAS: Mapping[str, Camera] = {"good": GOOD, "fast": FAST, "poor": POOR}
"""The three stated camera conditions of all simulated tests."""
PATTERNS = 60
"""Patterns a material and camera unless asked for otherwise: three pools of twenty."""
PRIOR = "known"
"""Class prior of all tables unless asked for otherwise."""


def evaluate_materials(
    classifier: Classifier,
    stack: np.ndarray,
    materials: Mapping[str, Sequence[Material]],
    *,
    patterns: int = PATTERNS,
    prior: str = PRIOR,
    cameras: Mapping[str, Camera] = CAMERAS,
    simulators: Sequence[str] | None = None,
    development: bool = False,
    with_centre: bool = False,
    progress: Callable[[str, int, int], None] | None = None,
) -> dict[str, dict[str, dict[str, Any]]]:
    """All tests on simulated patterns, at each camera condition.

    Parameters
    ----------
    classifier
        The network under test. Its card says which materials it has seen
        (``card["training"]["trained_on"]``).
    stack, materials
        From :func:`napari_ebsd_phase.training.materials.load_materials`.
    patterns
        Patterns a material and camera; four times as many frames of each kind of disturbance.
    prior
        Class prior of the tables, by name.
    cameras
        Name to conditions.
    simulators
        Simulator of each master pattern in the stack, for the test on another simulator's.
    development
        Leave the materials for the final tests alone; see
        :func:`napari_ebsd_phase.training.tested.materials_by_test`.
    with_centre
        Tell the network where the projection centre is, see :func:`.scores.draw_scores`.
    progress
        Called with a title and the number of materials done and in all.

    Returns
    -------
    dict
        Test (see :data:`.tested.TESTS`) to camera name to the output of :func:`summarise`.
    """
    tests = materials_by_test(
        materials,
        classifier.card["training"].get("trained_on"),
        simulators=simulators,
        development=development,
    )
    # Where it was told does not matter: temperature and thresholds are those of all centres.
    judge = classifier.at(Centre(0.0, 0.0, 1.0)) if with_centre else classifier
    result: dict[str, dict[str, dict[str, Any]]] = {}
    for test, members in tests.items():
        result[test] = {}
        for name, camera in cameras.items():
            title = f"{TESTS[test]}, {name} camera"
            data = draw_scores(
                classifier,
                stack,
                members,
                camera,
                patterns=patterns,
                with_centre=with_centre,
                progress=partial(progress, title) if progress else None,
            )
            disturbed = draw_disturbed(
                classifier, stack, members, camera, frames=4 * patterns, with_centre=with_centre
            )
            result[test][name] = summarise(judge, data, prior, disturbed)
    return result


def evaluate(
    classifier: Classifier,
    stack: np.ndarray,
    materials: Mapping[str, Sequence[Material]],
    out: Path,
    *,
    measured: Path | None = None,
    patterns: int = PATTERNS,
    prior: str = PRIOR,
    simulators: Sequence[str] | None = None,
    development: bool = False,
    with_centre: bool = False,
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
    patterns, prior, simulators, development, with_centre, progress
        See :func:`evaluate_materials`. Of measured pictures no projection centre is known.

    Returns
    -------
    dict
        ``network``, ``network_sha256``, ``prior``, ``patterns_per_material``, ``development``,
        ``with_centre``, ``trained_on_known`` (whether the card says what the network was trained
        on), one entry a test by camera, and ``measured`` if there is a folder of pictures.

    Raises
    ------
    InputError
        If there is nothing to test on, or the folder of measured pictures is not as it must be.
    """
    if with_centre and not classifier.takes_centre:
        raise InputError(
            f"the network {classifier.name} makes nothing of the projection centre: test it without"
        )
    trained_on = classifier.card["training"].get("trained_on")
    if measured is None and not materials_by_test(
        materials, trained_on, simulators=simulators, development=development
    ):
        raise InputError(
            "the library has no materials for these tests: nothing to test on; give a library "
            "with materials that the network was trained on, or that were kept out of training"
        )
    result: dict[str, Any] = {
        "network": classifier.name,
        "network_sha256": classifier.sha256,
        "prior": prior,
        "patterns_per_material": patterns,
        "development": development,
        "with_centre": with_centre,
        "trained_on_known": trained_on is not None,
    }
    if measured is not None:  # first: a wrong folder must not cost minutes of simulation
        data = measured_scores(classifier, measured)
        # Their projection centres are taken from the pictures; see `measured_scores`.
        judge = classifier.at(Centre(0.0, 0.0, 1.0))
        result["measured"] = summarise(judge, data, prior)
        result["measured"]["by_set"] = right_by_set(judge, data, prior)
    result |= evaluate_materials(
        classifier,
        stack,
        materials,
        patterns=patterns,
        prior=prior,
        simulators=simulators,
        development=development,
        with_centre=with_centre,
        progress=progress,
    )
    out.mkdir(parents=True, exist_ok=True)
    part = out / "evaluation.json.part"
    part.write_text(json.dumps(result), encoding="utf-8")
    part.replace(out / "evaluation.json")
    draw_evaluation(result, out / "evaluation.png")
    return result
