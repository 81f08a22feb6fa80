# SPDX-License-Identifier: GPL-3.0-or-later
"""How good a classifier is, on simulated patterns by material and on measured ones.

Every figure is a mean over materials (or over sets of measured patterns), so that no big class
hides a small one. Seen materials, materials never seen and measured patterns are never mixed.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..classifier import Classifier
from ..crystallography import (
    BRAVAIS_LATTICES,
    LAUE_GROUPS,
    LAUE_INDEX,
    LEVELS,
    POINT_GROUPS,
    marginal,
    names,
)
from ..decoding import decode
from ..errors import InputError
from ..scan import load_scan
from ..screen import find_screen
from .figure import draw_evaluation
from .materials import Material
from .pattern_simulation import FAST, GOOD, POOR, Camera, simulate_group

__all__ = ["CAMERAS", "Scores", "calibrate", "draw_scores", "evaluate", "evaluate_materials", "measured_scores", "summarise"]

CAMERAS: Mapping[str, Camera] = {"good": GOOD, "fast": FAST, "poor": POOR}
"""The three stated camera conditions of all simulated tests."""

_BINS = 15


@dataclass(frozen=True)
class Scores:
    """Network scores with the truth, for many patterns.

    Parameters
    ----------
    scores
        float32 of shape (n, 46).
    material
        Index of each pattern's material (or measured set), shape (n,).
    point_group, bravais_lattice
        True class indices of each pattern, shape (n,).
    groups
        Names of the materials or sets.
    """

    scores: np.ndarray
    material: np.ndarray
    point_group: np.ndarray
    bravais_lattice: np.ndarray
    groups: tuple[str, ...]

    def truth(self, level: str) -> np.ndarray:
        """True class index of each pattern at a level."""
        if level == "bravais_lattice":
            return self.bravais_lattice
        return level_index(level)[self.point_group]


def level_index(level: str) -> np.ndarray:
    """Class index at a level of each of the 32 point groups."""
    return marginal(np.eye(len(POINT_GROUPS)), level).argmax(axis=1)


def level_probabilities(point: np.ndarray, lattice: np.ndarray, level: str) -> np.ndarray:
    """Probabilities (n, classes) of one level from those of point groups and lattices."""
    return lattice if level == "bravais_lattice" else marginal(point, level)


def draw_scores(
    classifier: Classifier,
    stack: np.ndarray,
    materials: Sequence[Material],
    camera: Camera,
    *,
    patterns: int = 64,
    seed: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Scores:
    """Simulate the same number of patterns of each material and let the network score them.

    Parameters
    ----------
    classifier
        The network under test.
    stack
        Master patterns, uint8 of shape (m, 2, n, n).
    materials
        The materials; each gives `patterns` patterns in random orientations.
    camera
        Camera conditions.
    patterns
        Patterns a material, in groups of 16 of one frame size.
    seed
        Of orientations and conditions. Training draws from other seeds.
    progress
        Called with the number of materials done and in all.
    """
    scores, owner = [], []
    for i, material in enumerate(materials):
        rng = np.random.default_rng([seed, 7_000_000 + i])
        left = patterns
        while left > 0:
            count = min(16, left)
            chosen = rng.choice(material.masters, size=count)
            frames, mask = simulate_group(stack, chosen, camera, rng)
            scores.append(classifier.scores(frames, mask=mask)[0])
            left -= count
        owner += [i] * patterns
        if progress:
            progress(i + 1, len(materials))
    group = np.array([POINT_GROUPS.index(m.point_group) for m in materials])
    lattice = np.array([BRAVAIS_LATTICES.index(m.bravais) for m in materials])
    material_of = np.array(owner)
    return Scores(
        np.concatenate(scores),
        material_of,
        group[material_of],
        lattice[material_of],
        tuple(m.key for m in materials),
    )


def _mean_by_material(values: np.ndarray, material: np.ndarray) -> tuple[float, list[float]]:
    """Mean over materials of the mean within each, and its 95 % bootstrap interval."""
    counts = np.bincount(material)
    means = (np.bincount(material, weights=values) / np.maximum(counts, 1))[counts > 0]
    rng = np.random.default_rng(0)
    spread = means[rng.integers(0, len(means), (1000, len(means)))].mean(axis=1)
    return float(means.mean()), [float(v) for v in np.percentile(spread, [2.5, 97.5])]


def _calibration(confidence: np.ndarray, right: np.ndarray) -> tuple[float, list[list[float]]]:
    """Expected calibration error, and the reliability curve: confidence, accuracy, share."""
    bins = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    error, curve = 0.0, []
    for b in range(_BINS):
        inside = bins == b
        if inside.any():
            c, a, share = confidence[inside].mean(), right[inside].mean(), inside.mean()
            error += share * abs(c - a)
            curve.append([float(c), float(a), float(share)])
    return float(error), curve


def summarise(
    classifier: Classifier, data: Scores, prior: str | np.ndarray = "uniform"
) -> dict[str, Any]:
    """Accuracies, calibration and confusion of a set of scores, as JSON-able values.

    Returns
    -------
    dict
        ``materials``, ``patterns``, and for each level ``accuracy`` (mean over materials) with
        its 95 % bootstrap ``interval``, ``pooled`` (share of materials that are right when the
        log probabilities of all their patterns are added), ``ece`` (15 bins) and
        ``reliability``; ``recall`` by class and ``confusion`` for Laue groups and lattices;
        ``point_group_within_laue``: accuracy of the point group where the Laue group is right,
        against always naming the most frequent group of these materials.
    """
    point, lattice = classifier.probabilities(data.scores, prior)
    count = len(data.groups)
    result: dict[str, Any] = {"materials": count, "patterns": len(data.scores)}
    for level in LEVELS:
        probabilities = level_probabilities(point, lattice, level)
        truth, best = data.truth(level), probabilities.argmax(axis=1)
        right = best == truth
        accuracy, interval = _mean_by_material(right, data.material)
        logs = np.zeros((count, probabilities.shape[1]))
        np.add.at(logs, data.material, np.log(np.maximum(probabilities, 1e-6)))
        first = np.array([np.flatnonzero(data.material == i)[0] for i in range(count)])
        ece, curve = _calibration(probabilities.max(axis=1), right)
        result[level] = {
            "accuracy": accuracy,
            "interval": interval,
            "pooled": float((logs.argmax(axis=1) == truth[first]).mean()),
            "ece": ece,
            "reliability": curve,
            "recall": _recall(right, truth, data.material, names(level)),
        }
        if level in ("laue_group", "bravais_lattice"):
            size = len(names(level))
            confusion = np.zeros((size, size), dtype=int)
            np.add.at(confusion, (truth, best), 1)
            result[level]["confusion"] = confusion.tolist()
    result["point_group_within_laue"] = _within_laue(data, point)
    return result


def _recall(
    right: np.ndarray, truth: np.ndarray, material: np.ndarray, labels: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Mean over materials of the share right, and the number of materials, by true class."""
    table = {}
    for i, label in enumerate(labels):
        inside = truth == i
        if inside.any():
            _, compact = np.unique(material[inside], return_inverse=True)
            accuracy, _ = _mean_by_material(right[inside], compact)
            table[label] = {"accuracy": accuracy, "materials": int(compact.max() + 1)}
    return table


def _right_by_set(classifier: Classifier, data: Scores, prior: str) -> dict[str, dict[str, int]]:
    """Number of patterns, and of right ones at each level, of each measured set."""
    point, lattice = classifier.probabilities(data.scores, prior)
    right = {
        level: level_probabilities(point, lattice, level).argmax(axis=1) == data.truth(level)
        for level in LEVELS
    }
    table = {}
    for i, name in enumerate(data.groups):
        inside = data.material == i
        table[name] = {"patterns": int(inside.sum())}
        table[name] |= {level: int(right[level][inside].sum()) for level in LEVELS}
    return table


def _within_laue(data: Scores, point: np.ndarray) -> dict[str, Any]:
    """Point-group accuracy where the Laue group is right, against the majority guess."""
    found = LAUE_INDEX[point.argmax(axis=1)] == LAUE_INDEX[data.point_group]
    if not found.any():
        return {"accuracy": 0.0, "majority": 0.0, "gain": 0.0, "gain_interval": [0.0, 0.0]}
    majority = np.zeros(len(LAUE_GROUPS), dtype=int)
    first = {m: p for m, p in zip(data.material, data.point_group, strict=True)}
    by_group = np.bincount(list(first.values()), minlength=len(POINT_GROUPS))
    for laue in range(len(LAUE_GROUPS)):
        members = np.flatnonzero(LAUE_INDEX == laue)
        majority[laue] = members[by_group[members].argmax()]
    right = (point.argmax(axis=1) == data.point_group)[found].astype(float)
    guess = (majority[LAUE_INDEX[data.point_group]] == data.point_group)[found].astype(float)
    _, compact = np.unique(data.material[found], return_inverse=True)
    gain, interval = _mean_by_material(right - guess, compact)
    return {
        "accuracy": _mean_by_material(right, compact)[0],
        "majority": _mean_by_material(guess, compact)[0],
        "gain": gain,
        "gain_interval": interval,
    }


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
    for title, split in (("seen", "train"), ("unseen", "test")):
        result[title] = {}
        for name, camera in cameras.items():
            if not materials.get(split):
                continue
            label = f"{title} materials, {name} camera"
            data = draw_scores(
                classifier,
                stack,
                materials[split],
                camera,
                patterns=patterns,
                progress=(lambda d, n, t=label: progress(t, d, n)) if progress else None,
            )
            result[title][name] = summarise(classifier, data, prior)
    return result


def measured_scores(classifier: Classifier, folder: Path) -> Scores:
    """Scores of a folder of measured pictures whose truth its ``index.csv`` tells.

    Parameters
    ----------
    classifier
        The network under test.
    folder
        Pictures of any size, and ``index.csv`` with the columns ``set``, ``file``,
        ``point_group`` and ``bravais_lattice``. The sets take the place of materials.

    Raises
    ------
    InputError
        If the index is missing, lacks a column, or names an unknown file or class.
    """
    index = folder / "index.csv"
    if not index.is_file():
        raise InputError(f"{folder} has no index.csv that tells what its pictures show")
    with index.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    needed = {"set", "file", "point_group", "bravais_lattice"}
    if not rows or not needed <= set(rows[0]):
        raise InputError(f"{index} must have the columns {', '.join(sorted(needed))}")
    for row in rows:
        if row["point_group"] not in POINT_GROUPS or row["bravais_lattice"] not in BRAVAIS_LATTICES:
            raise InputError(f"{index}: unknown point group or lattice in the row of {row['file']}")
    sets = tuple(sorted({row["set"] for row in rows}))
    scores = []
    for row in rows:
        with load_scan(folder / row["file"]) as scan:
            frame = scan.pattern(0, 0)[None]
        scores.append(classifier.scores(frame, mask=find_screen(frame))[0])
    return Scores(
        np.concatenate(scores),
        np.array([sets.index(row["set"]) for row in rows]),
        np.array([POINT_GROUPS.index(row["point_group"]) for row in rows]),
        np.array([BRAVAIS_LATTICES.index(row["bravais_lattice"]) for row in rows]),
        sets,
    )


def calibrate(
    classifier: Classifier, data: Scores, prior: str = "uniform", precision: float = 0.9
) -> tuple[float, float]:
    """Temperature and decision threshold from scores of calibration materials.

    Parameters
    ----------
    classifier
        Its card supplies the training prior.
    data
        Scores of materials that are neither for training nor for tests.
    prior
        Class prior that the threshold is meant for.
    precision
        Share of the labels that shall be right at or above the threshold.

    Returns
    -------
    temperature : float
        The one that maximises the likelihood of the true pairs, materials weighing the same.
    threshold : float
        Least probability, in steps of 0.05 from 0.5 to 0.95, at which labels of the Laue group
        reach the precision; 0.95 if none does.
    """
    card = classifier.card
    weight = 1.0 / np.bincount(data.material)[data.material]
    rows = np.arange(len(data.scores))

    def decoded(temperature: float) -> tuple[np.ndarray, np.ndarray]:
        point, lattice = decode(
            data.scores,
            prior=classifier.prior(prior),
            training_prior=np.asarray(card["training_prior"]),
            temperature=temperature,
        )
        return level_probabilities(point, lattice, "laue_group"), lattice

    def likelihood(temperature: float) -> float:
        laue, lattice = decoded(temperature)
        logs = np.log(np.maximum(laue[rows, data.truth("laue_group")], 1e-9))
        logs += np.log(np.maximum(lattice[rows, data.bravais_lattice], 1e-9))
        return float((weight * logs).sum())

    temperature = float(max(np.geomspace(0.5, 8.0, 57), key=likelihood))
    laue, _ = decoded(temperature)
    right = (laue.argmax(axis=1) == data.truth("laue_group")) * weight
    confidence = laue.max(axis=1)
    for threshold in np.arange(0.5, 0.951, 0.05):
        above = confidence >= threshold
        if above.any() and right[above].sum() / weight[above].sum() >= precision:
            return temperature, round(float(threshold), 2)
    return temperature, 0.95


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
    """
    result: dict[str, Any] = {
        "network": classifier.name,
        "network_sha256": classifier.sha256,
        "prior": prior,
        "patterns_per_material": patterns,
    }
    if measured is not None:  # first: a wrong folder must not cost minutes of simulation
        data = measured_scores(classifier, measured)
        result["measured"] = summarise(classifier, data, prior)
        result["measured"]["by_set"] = _right_by_set(classifier, data, prior)
    result |= evaluate_materials(
        classifier, stack, materials, patterns=patterns, prior=prior, progress=progress
    )
    out.mkdir(parents=True, exist_ok=True)
    part = out / "evaluation.json.part"
    part.write_text(json.dumps(result), encoding="utf-8")
    part.replace(out / "evaluation.json")
    draw_evaluation(result, out / "evaluation.png")
    return result
