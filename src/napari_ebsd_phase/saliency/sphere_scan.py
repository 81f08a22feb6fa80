# SPDX-License-Identifier: GPL-3.0-or-later
"""Patterns of a scan whose orientations are known, or found, for a map on the sphere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..crystallography import (
    LEVELS,
    bravais_lattice_of_space_group,
    crystal_system,
    laue_group,
    point_group,
)
from ..errors import InputError
from ..preprocessing import Preprocessing, prepare
from ..zone_axes import Geometry, Orientation, hough_indexer, orientation_from_file
from ..zone_axes.orientation import geometry_from_file
from .projection import screen_on_detector, to_detector
from .sphere import SphereMap, average_on_sphere, laue_operations
from .watch import Watch

if TYPE_CHECKING:
    from orix.crystal_map import Phase
    from orix.quaternion import Rotation

    from ..scan import Scan

__all__ = ["OrientedFrames", "class_of", "mean_pattern", "oriented_frames"]

# The finest input that `prepare` is asked for where pixels are only to be evened out.
_FINEST, _COARSEST = 512, 16


@dataclass(frozen=True, eq=False)
class OrientedFrames:
    """Patterns of one crystal in many orientations.

    Parameters
    ----------
    frames
        Shape (n, h, w).
    rotations, geometries
        One for each, as :func:`.sphere.saliency_on_sphere` takes them.
    phase
        The crystal.
    """

    frames: np.ndarray
    rotations: Rotation
    geometries: list[Geometry]
    phase: Phase


def oriented_frames(
    scan: Scan,
    most: int = 500,
    phase: str | Phase | None = None,
    *,
    mask: np.ndarray | None = None,
    progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> OrientedFrames:
    """Patterns of one phase, spread evenly over a map, with their orientations.

    Parameters
    ----------
    scan
        Open data set.
    most
        Patterns to look at; those of other phases and those without orientation are left out.
    phase
        Name of a phase whose orientations the file has; when None, the one that most of these
        patterns have. A phase itself, with its space group: orientations are found by Hough
        indexing, see :func:`.zone_axes.orientation_by_hough`.
    mask
        Screen mask (h, w), for indexing.
    progress, cancelled
        See :func:`napari_ebsd_phase.saliency.explain`: a step is a pattern.

    Raises
    ------
    InputError
        If there are no orientations, or no pattern of that phase.
    Cancelled
        If `cancelled` said so.
    """
    from orix.quaternion import Rotation

    find: Callable[[int, int], Orientation]
    if phase is None or isinstance(phase, str):
        wanted, find = phase, lambda row, col: orientation_from_file(scan, row, col)
    else:
        wanted, find = str(phase.name), _indexed(scan, phase, mask)
    rows, cols = scan.shape
    chosen = np.unique(np.linspace(0, rows * cols - 1, min(most, rows * cols)).round().astype(int))
    watch = Watch(len(chosen), progress, cancelled)
    watch.check()
    found: list[tuple[int, int, Orientation]] = []
    reason = "it has no patterns"
    for number in chosen.tolist():
        row, col = divmod(number, cols)
        try:
            found.append((row, col, find(row, col)))
        except InputError as error:  # one pattern that was not indexed is no reason to give up
            reason = str(error)
        watch.advance()
    if not found:
        raise InputError(f"no orientation for any of {len(chosen)} patterns: {reason}")
    names = Counter(orientation.phase.name for _, _, orientation in found)
    wanted = names.most_common(1)[0][0] if wanted is None else wanted
    if wanted not in names:
        raise InputError(f"no pattern of {wanted!r}: the file has {', '.join(sorted(names))}")
    kept = [one for one in found if one[2].phase.name == wanted]
    return OrientedFrames(
        np.stack([scan.pattern(row, col) for row, col, _ in kept]),
        Rotation(np.concatenate([orientation.rotation.data for _, _, orientation in kept])),
        [orientation.geometry for _, _, orientation in kept],
        kept[0][2].phase,
    )


def _indexed(
    scan: Scan, phase: Phase, mask: np.ndarray | None
) -> Callable[[int, int], Orientation]:
    """Find orientations by Hough indexing; what an indexer needs is prepared once."""
    index: dict[Geometry, Callable[[np.ndarray], Orientation]] = {}

    def find(row: int, col: int) -> Orientation:
        geometry = geometry_from_file(scan, row, col)
        if geometry not in index:
            index.clear()  # neighbours are alike, or all are; the others need not be kept
            index[geometry] = hough_indexer(phase, geometry)
        frame = scan.pattern(row, col)[np.newaxis]
        return index[geometry](_evened_out(frame, mask, scan.static_background)[0])

    return find


def mean_pattern(
    oriented: OrientedFrames,
    *,
    mask: np.ndarray | None = None,
    background: np.ndarray | None = None,
) -> SphereMap:
    """Mean of patterns by crystal direction, averaged over the Laue class of the crystal.

    It looks like a master pattern, and lies beside the evidence where there is none.

    Parameters
    ----------
    oriented
        The patterns.
    mask, background
        Screen mask and static background of shape (h, w).
    """
    return average_on_sphere(
        _evened_out(oriented.frames, mask, background),
        oriented.rotations,
        oriented.geometries,
        laue_operations(oriented.phase),
        screen=screen_on_detector(oriented.frames.shape[1:], mask, background),
    )


def _evened_out(
    frames: np.ndarray, mask: np.ndarray | None, background: np.ndarray | None
) -> np.ndarray:
    """Patterns without background and gradients, on their own pixels."""
    shape = frames.shape[1:]
    settings = Preprocessing(size=min(_FINEST, max(_COARSEST, max(shape))))
    inputs = prepare(frames, settings, mask=mask, background=background)[:, 0].numpy()
    return to_detector(inputs, screen_on_detector(shape, mask, background))


def class_of(phase: Phase, level: str) -> str:
    """Class of a crystal at a level, as the network would be right to call it.

    Raises
    ------
    InputError
        If the phase has no symmetry; of Bravais lattices, if it has no space group.
    """
    if level == LEVELS[-1]:
        if phase.space_group is None:
            raise InputError(
                f"{phase.name}: its space group is not known; choose the lattice by name"
            )
        return bravais_lattice_of_space_group(phase.space_group.number)
    if phase.point_group is None:
        raise InputError(f"{phase.name}: has no symmetry; choose a class by name")
    name = point_group(phase.point_group.name)
    return {"laue_group": laue_group, "crystal_system": crystal_system}.get(level, str)(name)
