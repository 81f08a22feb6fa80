# SPDX-License-Identifier: GPL-3.0-or-later
"""Network scores with the truth beside them, of simulated and of measured patterns."""

from __future__ import annotations

import csv
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..centring import found_in
from ..classifier import Classifier, Outputs
from ..crystallography import BRAVAIS_LATTICES, POINT_GROUPS, level_index, marginal
from ..decoding import best_pair
from ..errors import InputError
from ..labels import DECISION_LEVELS
from ..scan import load_scan
from ..screen import find_screen
from ..symmetry_maps import Centre
from .disturbances import DISTURBANCES, draw_disturbances
from .materials import Material
from .pattern_simulation import Camera, simulate_group, standing

__all__ = [
    "CENTRE_ERROR",
    "Scores",
    "decided",
    "draw_disturbed",
    "draw_scores",
    "level_probabilities",
    "measured_scores",
    "reported",
]

CENTRE_ERROR = 0.015
"""Standard deviation of a known projection centre in tests, in widths of the prepared screen."""

_GROUP = 16  # patterns that share a frame size and screen


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
    pattern
        Probability that each frame holds one pattern, shape (n,); None from a network that
        cannot tell.
    """

    scores: np.ndarray
    material: np.ndarray
    point_group: np.ndarray
    bravais_lattice: np.ndarray
    groups: tuple[str, ...]
    pattern: np.ndarray | None = None

    def of_groups(self, count: int) -> Scores:
        """Scores of the first `count` materials or sets."""
        chosen = self.material < count
        return Scores(
            self.scores[chosen],
            self.material[chosen],
            self.point_group[chosen],
            self.bravais_lattice[chosen],
            self.groups[:count],
            None if self.pattern is None else self.pattern[chosen],
        )

    def truth(self, level: str) -> np.ndarray:
        """True class index of each pattern at a level."""
        if level == "bravais_lattice":
            return self.bravais_lattice
        return level_index(level)[self.point_group]


def level_probabilities(point: np.ndarray, lattice: np.ndarray, level: str) -> np.ndarray:
    """Probabilities (n, classes) of one level from those of point groups and lattices."""
    return lattice if level == "bravais_lattice" else marginal(point, level)


def reported(point: np.ndarray, lattice: np.ndarray, level: str) -> tuple[np.ndarray, np.ndarray]:
    """Class that a user is told at a level, and its probability; both of shape (n,).

    The classes of all levels go together, see :func:`~napari_ebsd_phase.decoding.best_pair`.
    """
    group, bravais = best_pair(point, lattice)
    best = bravais if level == "bravais_lattice" else level_index(level)[group]
    return best, level_probabilities(point, lattice, level)[np.arange(len(best)), best]


def decided(point: np.ndarray, lattice: np.ndarray, threshold: float) -> np.ndarray:
    """Level of the label that a map gives each pattern.

    Returns
    -------
    numpy.ndarray
        Index into point group, Laue group and crystal system of the finest level whose class has
        at least the probability `threshold`; 3 where none has: undecided. Shape (n,).
    """
    enough = [reported(point, lattice, level)[1] >= threshold for level in DECISION_LEVELS]
    return np.stack([*enough, np.ones(len(point), dtype=bool)]).argmax(axis=0)


def draw_scores(
    classifier: Classifier,
    stack: np.ndarray,
    materials: Sequence[Material],
    camera: Camera,
    *,
    patterns: int = 64,
    seed: int = 1,
    with_centre: bool = False,
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
        Of orientations and conditions; with the key of a material it decides the material's
        patterns, whatever else is tested. Training draws from other seeds.
    with_centre
        Tell the network where the projection centre is, with an error of :data:`CENTRE_ERROR`.
        Cameras then stand still for 16 patterns, so that these are other ones than without.
    progress
        Called with the number of materials done and in all.
    """
    outputs = []
    for i, material in enumerate(materials):
        rng = np.random.default_rng([seed, 7_000_000, zlib.crc32(material.key.encode())])
        for start in range(0, patterns, _GROUP):
            chosen = rng.choice(material.masters, size=min(_GROUP, patterns - start))
            told, here = _stand(classifier, camera, rng) if with_centre else (None, camera)
            frames, mask = simulate_group(stack, chosen, here, rng)
            outputs.append((told(mask) if told else classifier).scores(frames, mask=mask))
        if progress:
            progress(i + 1, len(materials))
    group = np.array([POINT_GROUPS.index(m.point_group) for m in materials])
    lattice = np.array([BRAVAIS_LATTICES.index(m.bravais) for m in materials])
    material_of = np.repeat(np.arange(len(materials)), patterns)
    together = _joined(outputs)
    return Scores(
        together.scores,
        material_of,
        group[material_of],
        lattice[material_of],
        tuple(m.key for m in materials),
        together.pattern if classifier.tells_patterns else None,
    )


def draw_disturbed(
    classifier: Classifier,
    stack: np.ndarray,
    materials: Sequence[Material],
    camera: Camera,
    *,
    frames: int = 256,
    seed: int = 1,
    with_centre: bool = False,
) -> dict[str, Outputs]:
    """What the network says of frames that do not hold one pattern.

    Parameters
    ----------
    classifier
        The network under test.
    stack, materials, camera
        See :func:`draw_scores`; two patterns of these materials overlap.
    frames
        Frames of each kind.
    seed
        Of frames and conditions.
    with_centre
        See :func:`draw_scores`.

    Returns
    -------
    dict
        By kind, see :data:`.disturbances.DISTURBANCES`.
    """
    found = {}
    for number, kind in enumerate(DISTURBANCES):
        rng = np.random.default_rng([seed, 8_000_000, number])
        outputs = []
        for start in range(0, frames, _GROUP):
            count = min(_GROUP, frames - start)
            told, here = _stand(classifier, camera, rng) if with_centre else (None, camera)
            group, mask = draw_disturbances(kind, count, stack, materials, here, rng)
            outputs.append((told(mask) if told else classifier).scores(group, mask=mask))
        found[kind] = _joined(outputs)
    return found


def _told_by_patterns(classifier: Classifier, frames: list[np.ndarray]) -> Classifier:
    """The classifier that knows the projection centre of some frames, if they tell it."""
    if not classifier.takes_centre:
        return classifier
    stack = np.concatenate(frames)
    found = found_in(stack, classifier, find_screen(stack))
    return classifier if found is None else classifier.at(found[1])


def _stand(
    classifier: Classifier, camera: Camera, rng: np.random.Generator
) -> tuple[Callable[[np.ndarray], Classifier], Camera]:
    """A camera that stands still, and what gives the classifier that knows where, by the screen."""
    still, true = standing(camera, rng)
    size = classifier.preprocessing.size
    error = rng.normal(0, CENTRE_ERROR * size, 3)

    def told(mask: np.ndarray) -> Classifier:
        x, y, distance = np.array(Centre.of_screen(true, mask, size)) + error
        return classifier.at(Centre(float(x), float(y), float(distance)))

    return told, still


def _joined(outputs: Sequence[Outputs]) -> Outputs:
    return Outputs(*(np.concatenate(part) for part in zip(*outputs, strict=True)))


def measured_scores(classifier: Classifier, folder: Path) -> Scores:
    """Scores of a folder of measured pictures whose truth its ``index.csv`` tells.

    Parameters
    ----------
    classifier
        The network under test.
    folder
        Pictures of any size, and ``index.csv`` with the columns ``set``, ``file``,
        ``point_group`` and ``bravais_lattice``. The sets take the place of materials. A network
        that needs it takes the projection centre from the pictures of one set and size.

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
    frames = []
    for row in rows:
        with load_scan(folder / row["file"]) as scan:
            frames.append(scan.pattern(0, 0)[None])
    cameras = [(row["set"], frame.shape) for row, frame in zip(rows, frames, strict=True)]
    knowing = {
        camera: _told_by_patterns(
            classifier, [f for f, c in zip(frames, cameras, strict=True) if c == camera]
        )
        for camera in sorted(set(cameras))
    }
    together = _joined(
        [
            knowing[camera].scores(frame, mask=find_screen(frame))
            for frame, camera in zip(frames, cameras, strict=True)
        ]
    )
    return Scores(
        together.scores,
        np.array([sets.index(row["set"]) for row in rows]),
        np.array([POINT_GROUPS.index(row["point_group"]) for row in rows]),
        np.array([BRAVAIS_LATTICES.index(row["bravais_lattice"]) for row in rows]),
        sets,
        together.pattern if classifier.tells_patterns else None,
    )
