# SPDX-License-Identifier: GPL-3.0-or-later
"""Evidence on the sphere: where in the crystal, not where on the screen, a class is seen.

A pattern shows part of all crystal directions, and a heat map gives each of its pixels a value.
With the orientation known, each pixel is a crystal direction; many orientations cover the sphere
many times over. The mean of what all of them say about a direction, and about those that the
crystal's symmetry makes equal to it, is a map in the crystal's own frame: it can be laid beside the
master pattern, the intensity in the same frame. What a heat map owes to the frame of the camera
averages out, since each direction comes to lie anywhere on the screen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError
from ..zone_axes import Geometry, crystal_directions
from ..zone_axes.cell import cell_of

if TYPE_CHECKING:
    from orix.crystal_map import Phase
    from orix.quaternion import Rotation

    from ..classifier import Classifier

__all__ = [
    "GRID",
    "SphereMap",
    "average_on_sphere",
    "lambert_cell",
    "lambert_direction",
    "laue_operations",
    "saliency_on_sphere",
    "stereographic",
    "symmetry_operations",
]

GRID = 61
"""Cells along a side of the map unless asked for otherwise: about two degrees each."""

# Pixels are collected in cells so much finer, before these are copied by symmetry.
_FINER = 3


@dataclass(frozen=True)
class SphereMap:
    """Mean evidence by crystal direction.

    Parameters
    ----------
    values
        float64 of shape (n, n): mean signed evidence of each cell of the square equal-area (Rosca
        Lambert) grid of the northern hemisphere, rows along y, columns along x; NaN where no
        pattern showed it. Both hemispheres are alike, since each axis counts with its opposite.
    weight
        float64 of shape (n, n): number of pixels, copies by symmetry included, that a cell had.
    patterns
        Number of patterns.
    """

    values: np.ndarray
    weight: np.ndarray
    patterns: int


def symmetry_operations(point_group: str) -> np.ndarray:
    """Operations of a Laue class in the crystal frame (x along a, z along c*).

    Parameters
    ----------
    point_group
        Any of the 32 point groups in its usual setting: unique axis b where monoclinic, twofold
        axes along a where trigonal.

    Returns
    -------
    numpy.ndarray
        (order, 3, 3) orthogonal matrices, inversion included.

    Raises
    ------
    InputError
        If there is no such point group.
    """
    from orix.crystal_map import Phase

    from ..crystallography import laue_group
    from ..crystallography import point_group as known

    name = laue_group(known(point_group))
    if name == "2/m":  # orix knows it about c only
        half_turn = np.diag([-1.0, 1.0, -1.0])
        return np.array([np.eye(3), half_turn, -np.eye(3), -half_turn])
    group = Phase(point_group=name).point_group
    matrices = group.to_matrix() * np.where(group.improper, -1.0, 1.0)[:, None, None]
    return np.asarray(matrices)


def laue_operations(phase: Phase) -> np.ndarray:
    """Operations of a phase's Laue class in its Cartesian frame, whatever its setting.

    Returns
    -------
    numpy.ndarray
        (order, 3, 3) orthogonal matrices, inversion included.

    Raises
    ------
    InputError
        If the phase has no cell or no symmetry.
    """
    cell = cell_of(phase)
    columns = cell.base.T
    matrices = columns @ cell.operations @ np.linalg.inv(columns)
    left, _, right = np.linalg.svd(matrices)  # a cell is true to its group to some digits only
    return np.asarray(left @ right)


def lambert_cell(directions: np.ndarray, side: int) -> np.ndarray:
    """Cell of the square equal-area grid of one hemisphere that a direction or its opposite is in.

    Rosca's Lambert projection of the hemisphere to a square (Rosca, Astronomy & Astrophysics 520
    (2010) A63; as Callahan and De Graef, 2013, use it for master patterns): all cells cover equal
    solid angles.

    Parameters
    ----------
    directions
        Unit vectors of shape (..., 3).
    side
        Cells along a side.

    Returns
    -------
    numpy.ndarray
        int of shape (...): row times `side` plus column.
    """
    column, row = (np.clip(((c + 1) / 2 * side).astype(int), 0, side - 1)
                   for c in _lambert(directions))  # fmt: skip
    return np.asarray(row * side + column)


def lambert_direction(side: int) -> np.ndarray:
    """Direction of the middle of each cell of :func:`lambert_cell`, on the northern hemisphere.

    Returns
    -------
    numpy.ndarray
        Unit vectors of shape (side, side, 3).
    """
    at = (np.arange(side) + 0.5) / side * 2 - 1
    v, u = np.meshgrid(at, at, indexing="ij")
    wide = np.abs(u) >= np.abs(v)
    radius = np.where(wide, np.abs(u), np.abs(v))
    long, short = np.where(wide, u, v), np.where(wide, v, u)
    angle = np.divide(short, long, out=np.zeros_like(short), where=long != 0) * np.pi / 4
    z = 1 - radius**2
    away = np.sqrt(1 - z**2)
    first, second = (
        np.copysign(away * np.cos(angle), long),
        np.copysign(1, long) * away * np.sin(angle),
    )
    x, y = np.where(wide, first, second), np.where(wide, second, first)
    return np.stack([x, y, z], axis=-1)


def _lambert(directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates in [-1, 1] on the square; the southern half is turned over through the middle."""
    v = np.asarray(directions, dtype=float)
    v = np.where(v[..., 2:] < 0, -v, v)
    x, y, z = np.moveaxis(v, -1, 0)
    radius = np.sqrt(np.clip(1 - z, 0, None))
    wide = np.abs(x) >= np.abs(y)
    long, short = np.where(wide, x, y), np.where(wide, y, x)
    ratio = np.divide(short, long, out=np.zeros_like(short), where=long != 0)
    first = np.copysign(radius, long)
    second = first * (4 / np.pi) * np.arctan(ratio)
    return np.where(wide, first, second), np.where(wide, second, first)


def saliency_on_sphere(
    classifier: Classifier,
    patterns: np.ndarray,
    rotations: Rotation,
    geometry: Geometry | Sequence[Geometry],
    target: str | None = None,
    symmetry: str | np.ndarray = "-1",
    *,
    level: str = "point_group",
    against: str | None = None,
    prior: str | np.ndarray = "known",
    background: np.ndarray | None = None,
    mask: np.ndarray | None = None,
    side: int = GRID,
    progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> SphereMap:
    """Mean evidence for a class by crystal direction, over patterns of known orientation.

    Parameters
    ----------
    classifier
        The network that is asked. One that can use the projection centre is told that of each
        pattern, unless it knows one already.
    patterns
        Frames of one size, shape (n, h, w).
    rotations
        Orientations, shape (n,), from the sample to the crystal as in orix and kikuchipy.
    geometry
        Of the detector: one for all, or one for each pattern.
    target, level, against, prior, background, mask
        See :func:`napari_ebsd_phase.saliency.explain`. Without a target, each pattern answers for
        the class that is reported for it.
    symmetry
        Point group whose Laue class the map is averaged over, by name, or operations of shape
        (k, 3, 3) in the crystal frame.
    side
        Cells along a side of the map.
    progress, cancelled
        See :func:`napari_ebsd_phase.saliency.explain`: a step is a pattern.

    Returns
    -------
    SphereMap
        In units of log odds, see :func:`napari_ebsd_phase.saliency.evidence`. For and against, with
        sign.

    Raises
    ------
    InputError
        If shapes do not fit each other, or a name is unknown.
    Cancelled
        If `cancelled` said so.
    """
    from .projection import screen_on_detector

    frames = np.asarray(patterns)
    if frames.ndim != 3 or not len(frames):
        raise InputError(f"patterns must have the shape (n, h, w), not {frames.shape}")
    if rotations.size != len(frames):
        raise InputError(
            f"{len(frames)} patterns and {rotations.size} orientations: give one for each"
        )
    geometries = [geometry] * len(frames) if isinstance(geometry, Geometry) else list(geometry)
    if len(geometries) != len(frames) or {g.shape for g in geometries} != {frames.shape[1:]}:
        raise InputError(
            f"give one geometry, or one for each pattern, of {frames.shape[1]} x "
            f"{frames.shape[2]} pixels"
        )
    operations = _operations(symmetry)
    screen = screen_on_detector(frames.shape[1:], mask, background)
    heat = _evidence(
        frames, classifier, geometries, screen, target, level=level, against=against, prior=prior,
        background=background, mask=mask, progress=progress, cancelled=cancelled,
    )  # fmt: skip
    return average_on_sphere(heat, rotations, geometries, operations, screen=screen, side=side)


def _evidence(
    frames: np.ndarray,
    classifier: Classifier,
    geometries: Sequence[Geometry],
    screen: np.ndarray,
    target: str | None,
    *,
    progress: Callable[[int, int], None] | None,
    **asked: Any,
) -> np.ndarray:
    """Evidence in frames (n, h, w), those of one projection centre together."""
    from ..symmetry_maps import Centre
    from . import evidence

    groups: dict[tuple[float, float, float] | None, list[int]] = {}
    for number, geometry in enumerate(geometries):
        tells = classifier.takes_centre and not classifier.knows_centre
        groups.setdefault(geometry.pc if tells else None, []).append(number)
    heat = np.empty(frames.shape, np.float32)
    done = 0

    def advance(here: int, _: int) -> None:
        if progress:
            progress(done + here, len(frames))

    for where, chosen in groups.items():
        told = classifier
        if where is not None:
            told = classifier.at(Centre.of_screen(where, screen, classifier.preprocessing.size))
        heat[chosen] = evidence(frames[chosen], told, target, progress=advance, **asked)
        done += len(chosen)
    return heat


def average_on_sphere(
    images: np.ndarray,
    rotations: Rotation,
    geometries: Sequence[Geometry],
    operations: np.ndarray,
    *,
    screen: np.ndarray | None = None,
    side: int = GRID,
) -> SphereMap:
    """Mean of any images by crystal direction: heat maps, or patterns.

    Parameters
    ----------
    images
        Shape (n, h, w).
    rotations, geometries
        One for each.
    operations
        Of the symmetry, shape (k, 3, 3).
    screen
        Pixels that count, bool of shape (h, w); all when None.
    side
        Cells along a side of the map.

    Raises
    ------
    InputError
        If the map is too coarse.
    """
    if side < 3:
        raise InputError(f"the map needs at least 3 cells a side, not {side}")
    counted = np.ones(images.shape[1:], bool) if screen is None else screen
    fine = _FINER * side
    total, weight = np.zeros(fine * fine), np.zeros(fine * fine)
    for values, rotation, place in zip(images, rotations.flatten(), geometries, strict=True):
        cells = lambert_cell(crystal_directions(rotation, place)[counted], fine)
        total += np.bincount(cells, values[counted], fine * fine)
        weight += np.bincount(cells, minlength=fine * fine)
    filled = np.flatnonzero(weight)
    directions = lambert_direction(fine).reshape(-1, 3)[filled]
    means, weights = np.zeros(side * side), np.zeros(side * side)
    for operation in operations:
        cells = lambert_cell(directions @ operation.T, side)
        means += np.bincount(cells, total[filled], side * side)
        weights += np.bincount(cells, weight[filled], side * side)
    mean = np.divide(means, weights, out=np.full(side * side, np.nan), where=weights > 0)
    return SphereMap(mean.reshape(side, side), weights.reshape(side, side), len(images))


def _operations(symmetry: str | np.ndarray) -> np.ndarray:
    """One of each pair of opposite operations: opposite directions share a cell anyhow."""
    if isinstance(symmetry, str):
        symmetry = symmetry_operations(symmetry)
    operations = np.asarray(symmetry, dtype=float)
    if operations.ndim != 3 or operations.shape[1:] != (3, 3) or not len(operations):
        raise InputError(
            f"symmetry operations must have the shape (k, 3, 3), not {operations.shape}"
        )
    proper = operations * np.sign(np.linalg.det(operations))[:, None, None]
    _, first = np.unique(proper.round(6).reshape(len(proper), -1) + 0.0, axis=0, return_index=True)
    return np.asarray(proper[np.sort(first)])


def stereographic(grid: np.ndarray, side: int = 401) -> np.ndarray:
    """Draw a hemisphere on the square grid as a stereographic disc, seen from +z.

    Parameters
    ----------
    grid
        Shape (n, n), see :class:`SphereMap`; also one hemisphere of a master pattern.
    side
        Pixels along a side of the picture.

    Returns
    -------
    numpy.ndarray
        float64 of shape (side, side), x to the right, y up; NaN outside the disc and where the
        grid is NaN. Interpolated linearly between the middles of the cells.
    """
    from scipy.ndimage import map_coordinates

    y, x = np.meshgrid(*(np.linspace(s, -s, side) for s in (1.0, -1.0)), indexing="ij")
    square = x**2 + y**2
    direction = np.stack([2 * x, 2 * y, 1 - square], axis=-1) / (1 + square)[..., None]
    across, down = _lambert(direction)
    n = len(grid)
    at = np.array([(down + 1) / 2 * n - 0.5, (across + 1) / 2 * n - 0.5])
    known = np.isfinite(grid)
    inside = map_coordinates(known.astype(float), at, order=1, mode="nearest")
    values = map_coordinates(np.where(known, grid, 0.0), at, order=1, mode="nearest")
    shown = (square <= 1) & (inside > 0.5)
    return np.divide(values, inside, out=np.full(values.shape, np.nan), where=shown)
