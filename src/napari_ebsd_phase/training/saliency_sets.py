# SPDX-License-Identifier: GPL-3.0-or-later
"""Patterns whose orientation is known exactly, to ask where on them a network looks.

Simulated ones are those of the tests (:data:`.pattern_simulation.FAST`) but for the distortion by
the lens, which is off: it would shift zone axes by up to a pixel from where they are said to be.
Measured ones are nickel with orientations and projection centres that kikuchipy's authors refined.
"""

from __future__ import annotations

import hashlib
import zlib
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError
from ..saliency.sphere_scan import OrientedFrames
from ..zone_axes import Geometry, detector_to_crystal, rotation_of
from .library import MasterPattern, MasterRecord
from .materials import Material
from .pattern_simulation import FAST, Camera, random_screen, simulate_group
from .structures import Structure, find_structures, phase_of, structure_by_uid

if TYPE_CHECKING:
    from orix.crystal_map import Phase

__all__ = [
    "CAMERA",
    "PRIOR",
    "OrientedPattern",
    "OrientedSet",
    "choose_materials",
    "draw_patterns",
    "measured_nickel",
    "phase_of",
    "simulated_frames",
    "simulated_set",
    "structure_of",
]

#: Class prior of all heat maps and log odds of the measurement: what the network sees, not what is
#: expected, and the same whatever programs take by default.
PRIOR = "uniform"

CAMERA: Camera = replace(FAST, distortion=0.0)
"""The stated fast camera, without the distortion that a gnomonic projection does not know."""


_SQUARE = replace(CAMERA, size=(64, 64), aspect=(1.0, 1.0), plain_screen=1.0)


@dataclass(frozen=True, eq=False)
class OrientedPattern:
    """One frame, and which crystal direction each of its pixels shows.

    Parameters
    ----------
    frame
        Counts of shape (h, w).
    mask
        bool of shape (h, w): the screen as the network is told.
    to_crystal
        (3, 3) rotation from the screen's frame (x right, y up, z along the outgoing electrons) to
        the crystal's.
    geometry
        Where the detector stands.
    background
        Static background (h, w), if there is one.
    """

    frame: np.ndarray
    mask: np.ndarray
    to_crystal: np.ndarray
    geometry: Geometry
    background: np.ndarray | None = None

    def directions(self) -> np.ndarray:
        """Unit vectors of the pixels in the crystal frame, shape (h, w, 3)."""
        rows, cols = np.indices(self.geometry.shape, dtype=float)
        seen = self.geometry.directions_of(np.stack([cols, rows], axis=-1))
        return np.asarray(seen @ self.to_crystal.T)


@dataclass(frozen=True, eq=False)
class OrientedSet:
    """Patterns of one material.

    Parameters
    ----------
    key, formula, bravais, point_group
        Of the material.
    kind
        ``seen`` or ``unseen`` by the networks, or ``measured``.
    phase
        The crystal, for its zone axes.
    patterns
        The patterns.
    """

    key: str
    formula: str
    bravais: str
    point_group: str
    kind: str
    phase: Phase
    patterns: list[OrientedPattern] = field(default_factory=list)


def choose_materials(
    materials: Mapping[str, Sequence[Material]],
    trained_on: Sequence[Collection[str]],
    count: int,
    seed: int = 0,
) -> dict[str, list[Material]]:
    """Choose materials by a rule that knows no result.

    ``seen`` are dynamically simulated materials of the split ``train`` that all networks were
    trained on, ``unseen`` those of the split ``calibration`` that none was: never a test material.
    In each lattice they are in the order of a hash of their name and the seed; the lattices, in
    such an order too, take turns.

    Parameters
    ----------
    materials
        By split, see :func:`.materials.load_materials`.
    trained_on
        For each network the keys of the materials that it was trained on.
    count
        Materials of each kind.
    seed
        Another seed chooses others.

    Raises
    ------
    InputError
        If there are too few.
    """
    by_all = frozenset.intersection(*(frozenset(keys) for keys in trained_on))
    by_any = frozenset().union(*trained_on)
    pools = {
        "seen": [m for m in materials["train"] if m.key in by_all],
        "unseen": [m for m in materials["calibration"] if m.key not in by_any],
    }

    def drawn(name: str) -> bytes:
        return hashlib.sha256(f"saliency {seed} {name}".encode()).digest()

    chosen = {}
    for kind, pool in pools.items():
        # Of a material with another apparent symmetry it is not clear which zone axes it has.
        usable = [m for m in pool if m.kind == "dynamical" and m.apparent is None]
        if len(usable) < count:
            raise InputError(f"the library has {len(usable)} {kind} materials, fewer than {count}")
        by_lattice = defaultdict(list)
        for material in sorted(usable, key=lambda m: drawn(m.key)):
            by_lattice[material.bravais].append(material)
        lattices = sorted(by_lattice, key=drawn)
        turns = [
            by_lattice[lattice][turn]
            for turn in range(len(usable))
            for lattice in lattices
            if turn < len(by_lattice[lattice])
        ]
        chosen[kind] = turns[:count]
    return chosen


def structure_of(record: MasterRecord) -> Structure:
    """The crystal structure that a master pattern is of.

    EMsoft's have no entry of their own: theirs is the one with the same formula and space group.

    Raises
    ------
    InputError
        If the table has none.
    """
    if record.structure:
        return structure_by_uid(record.structure)
    same = [
        structure
        for structure in find_structures(formula=record.formula)
        if structure.space_group == record.space_group
    ]
    if not same:
        raise InputError(f"{record.key}: no structure of {record.formula} in the table")
    return same[0]


def draw_patterns(
    master: np.ndarray, count: int, rng: np.random.Generator, camera: Camera = CAMERA
) -> list[OrientedPattern]:
    """Patterns of one material as :func:`.simulate_group` makes them, with their orientations.

    Parameters
    ----------
    master
        uint8 of shape (2, n, n).
    count
        Number of patterns.
    rng
        Source of randomness: the same state gives the same patterns.
    camera
        Camera conditions; without overlap and distortion, as in :data:`CAMERA`.

    Raises
    ------
    InputError
        If the camera distorts patterns or lays others under them.
    """
    if camera.distortion or camera.overlap:
        raise InputError("patterns of known orientation need a camera without distortion, overlap")
    patterns: list[OrientedPattern] = []
    while len(patterns) < count:
        twin = deepcopy(rng)
        frames, mask = simulate_group(master[np.newaxis], np.zeros(1, np.int64), camera, rng)
        to_crystal, centre = _replay(twin, camera)
        if np.linalg.det(to_crystal) < 0:  # a mirror image: no orientation of this crystal
            continue
        geometry = Geometry(shape=mask.shape, pc=centre)
        patterns.append(OrientedPattern(frames[0], mask, to_crystal, geometry))
    return patterns


def _replay(
    rng: np.random.Generator, camera: Camera
) -> tuple[np.ndarray, tuple[float, float, float]]:
    """Orientation and projection centre that the compiled loop draws from this state.

    Compiled code draws from a Mersenne twister of its own, seeded by :func:`.simulate_group`, in
    the same way as numpy's legacy generator: the first draws of a frame are these.
    """
    random_screen(rng, camera)
    drawn = np.random.RandomState(int(rng.integers(2**31)))

    def uniform(low: float, high: float) -> float:
        return float(low + (high - low) * drawn.random_sample())

    distance = float(np.exp(uniform(*np.log(camera.distance))))
    centre = (uniform(*camera.centre_x), uniform(*camera.centre_y), distance)
    drawn.random_sample(2)  # distortions, which are nil
    w, x, y, z = (q := drawn.standard_normal(4)) / np.linalg.norm(q)
    rotation = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
    return (-rotation if drawn.random_sample() < 0.5 else rotation), centre


def simulated_set(
    stack: np.ndarray,
    records: Sequence[MasterRecord],
    material: Material,
    kind: str,
    patterns: int,
    seed: int = 0,
) -> OrientedSet:
    """Patterns of a material of the library, from the first of its master patterns.

    Parameters
    ----------
    stack, records
        All master patterns, uint8 of shape (m, 2, n, n), and what is known about them.
    material
        The material.
    kind
        See :class:`OrientedSet`.
    patterns
        Number of patterns.
    seed
        Of orientations and conditions; with the key of the material it decides its patterns.
    """
    first = material.masters[0]
    rng = np.random.default_rng([seed, 9_000_000, zlib.crc32(material.key.encode())])
    return OrientedSet(
        key=material.key,
        formula=material.formula,
        bravais=material.bravais,
        point_group=material.point_group,
        kind=kind,
        phase=phase_of(structure_of(records[first])),
        patterns=draw_patterns(stack[first], patterns, rng),
    )


def simulated_frames(master: MasterPattern, count: int, seed: int = 0) -> OrientedFrames:
    """Patterns of one size in random orientations, for a map on the sphere.

    Parameters
    ----------
    master
        The master pattern.
    count
        Number of patterns.
    seed
        Of orientations and conditions.
    """
    from orix.quaternion import Rotation

    rng = np.random.default_rng([seed, 9_100_000])
    drawn = draw_patterns(master.data, count, rng, _SQUARE)
    rotations = [rotation_of(pattern.to_crystal, pattern.geometry).data for pattern in drawn]
    return OrientedFrames(
        np.stack([pattern.frame for pattern in drawn]),
        Rotation(np.concatenate(rotations)),
        [pattern.geometry for pattern in drawn],
        phase_of(structure_of(master)),
    )


def measured_nickel() -> OrientedSet:
    """The nine measured nickel patterns that come with kikuchipy, raw, with their background.

    Their orientations and projection centres were refined by kikuchipy's authors against a
    dynamical simulation (doi:10.5281/zenodo.3265037).
    """
    import kikuchipy

    signal = kikuchipy.data.nickel_ebsd_small()
    rows, cols = signal.data.shape[:2]
    structure = find_structures(formula="Ni", bravais="cF")[0]
    patterns = []
    for row, col in np.ndindex(rows, cols):
        geometry = Geometry.from_detector(signal.detector, row, col)
        rotation = signal.xmap.rotations[row * cols + col]
        frame = np.asarray(signal.data[row, col])
        patterns.append(
            OrientedPattern(
                frame,
                np.ones(frame.shape, bool),
                detector_to_crystal(rotation, geometry),
                geometry,
                np.asarray(signal.static_background, dtype=float),
            )
        )
    return OrientedSet(
        key="nickel, measured",
        formula="Ni",
        bravais=structure.bravais,
        point_group=structure.point_group,
        kind="measured",
        phase=phase_of(structure),
        patterns=patterns,
    )
