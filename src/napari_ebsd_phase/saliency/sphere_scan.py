# SPDX-License-Identifier: GPL-3.0-or-later
"""Patterns of a scan whose orientations its file knows, for a map on the sphere."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError
from ..zone_axes import Geometry, Orientation, orientation_from_file

if TYPE_CHECKING:
    from orix.crystal_map import Phase
    from orix.quaternion import Rotation

    from ..scan import Scan

__all__ = ["OrientedFrames", "oriented_frames"]


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


def oriented_frames(scan: Scan, most: int = 500, phase: str | None = None) -> OrientedFrames:
    """Patterns of one phase, spread evenly over a map, with the orientations in its file.

    Parameters
    ----------
    scan
        Open data set.
    most
        Patterns to look at; those of other phases and those without orientation are left out.
    phase
        Name of the phase; when None, the one that most of these patterns have.

    Raises
    ------
    InputError
        If the file has no orientations, or no pattern of that phase.
    """
    from orix.quaternion import Rotation

    rows, cols = scan.shape
    chosen = np.unique(np.linspace(0, rows * cols - 1, min(most, rows * cols)).round().astype(int))
    found: list[tuple[int, int, Orientation]] = []
    reason = "it has no patterns"
    for number in chosen.tolist():
        row, col = divmod(number, cols)
        try:
            found.append((row, col, orientation_from_file(scan, row, col)))
        except InputError as error:  # one pattern that was not indexed is no reason to give up
            reason = str(error)
    if not found:
        raise InputError(f"no orientation for any of {len(chosen)} patterns: {reason}")
    names = Counter(orientation.phase.name for _, _, orientation in found)
    wanted = names.most_common(1)[0][0] if phase is None else phase
    if wanted not in names:
        raise InputError(f"no pattern of {wanted!r}: the file has {', '.join(sorted(names))}")
    kept = [one for one in found if one[2].phase.name == wanted]
    return OrientedFrames(
        np.stack([scan.pattern(row, col) for row, col, _ in kept]),
        Rotation(np.concatenate([orientation.rotation.data for _, _, orientation in kept])),
        [orientation.geometry for _, _, orientation in kept],
        kept[0][2].phase,
    )
