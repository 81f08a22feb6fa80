# SPDX-License-Identifier: GPL-3.0-or-later
"""Network scores with the truth beside them, of simulated and of measured patterns."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..classifier import Classifier
from ..crystallography import BRAVAIS_LATTICES, POINT_GROUPS, marginal
from ..decoding import lattice_of
from ..errors import InputError
from ..scan import load_scan
from ..screen import find_screen
from .materials import Material
from .pattern_simulation import Camera, simulate_group

__all__ = [
    "Scores",
    "draw_scores",
    "level_index",
    "level_probabilities",
    "measured_scores",
    "reported",
]


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


def reported(point: np.ndarray, lattice: np.ndarray, level: str) -> tuple[np.ndarray, np.ndarray]:
    """Class that a user is told at a level, and its probability; both of shape (n,)."""
    probabilities = level_probabilities(point, lattice, level)
    best = (
        lattice_of(point, lattice) if level == "bravais_lattice" else probabilities.argmax(axis=1)
    )
    return best, probabilities[np.arange(len(best)), best]


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
    try:  # spreadsheets put a byte-order mark in front of the first column's name
        with index.open(encoding="utf-8-sig", newline="") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{index} is no readable table: save it as CSV in UTF-8") from error
    needed = {"set", "file", "point_group", "bravais_lattice"}
    if not rows or not needed <= set(rows[0]):
        raise InputError(
            f"{index} must have the columns {', '.join(sorted(needed))}, and a row a picture"
        )
    for number, row in enumerate(rows, start=1):
        if not row["set"] or not row["file"]:
            raise InputError(f"{index}: row {number} names no set or no file: fill it in")
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
