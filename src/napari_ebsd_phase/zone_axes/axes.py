# SPDX-License-Identifier: GPL-3.0-or-later
"""Zone axes and bands of an orientation on the detector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError
from .cell import cell_of
from .crystal import Catalogue, describe
from .geometry import Geometry, crystal_directions, detector_to_crystal

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from orix.crystal_map import Phase
    from orix.quaternion import Rotation

__all__ = ["Bands", "ZoneAxes", "angular_distance_map", "find_bands", "find_zone_axes"]


@dataclass(frozen=True, eq=False)
class ZoneAxes:
    """Zone axes on one pattern, low indices first.

    Attributes
    ----------
    uvw
        Indices (n, 3) of the directions that lead from the sample to the screen.
    xy
        Columns and rows (n, 2), where the middle of the upper left pixel is (0, 0).
    direction
        (n, 3) unit vectors in the crystal's Cartesian frame (x along a, z along c*).
    multiplicity
        (n,) number of equivalents in the Laue group, opposites included: 6 for <001> of a cube.
    bands
        (n,) number of strong bands that cross in it.
    family
        (n,) names like ``<112>``.
    labels
        (n,) names like ``[1-12]``, of four indices in hexagonal cells.
    """

    uvw: NDArray[np.int_]
    xy: NDArray[np.float64]
    direction: NDArray[np.float64]
    multiplicity: NDArray[np.int_]
    bands: NDArray[np.int_]
    family: NDArray[np.str_]
    labels: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.uvw)

    def __getitem__(self, chosen: NDArray | slice | list[int]) -> ZoneAxes:
        """Some of the axes, by a mask, numbers or a slice."""
        return ZoneAxes(
            uvw=self.uvw[chosen],
            xy=self.xy[chosen],
            direction=self.direction[chosen],
            multiplicity=self.multiplicity[chosen],
            bands=self.bands[chosen],
            family=self.family[chosen],
            labels=self.labels[chosen],
        )


@dataclass(frozen=True, eq=False)
class Bands:
    """Strong bands on one pattern, strongest first.

    Attributes
    ----------
    hkl
        Indices (m, 3) of the strongest order of each lattice plane.
    lines
        (m, 2, 2) ends of the middle line on the rim of the frame: columns and rows.
    half_widths
        (m,) Bragg angle in degrees: how far the edges lie from the middle line.
    strength
        (m,) absolute structure factor over that of the strongest band of the crystal.
    normal
        (m, 3) unit normals in the crystal's Cartesian frame.
    labels
        (m,) names like ``(1-11)``, of four indices in hexagonal cells.
    """

    hkl: NDArray[np.int_]
    lines: NDArray[np.float64]
    half_widths: NDArray[np.float64]
    strength: NDArray[np.float64]
    normal: NDArray[np.float64]
    labels: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.hkl)


def find_zone_axes(
    phase: Phase | Catalogue,
    rotation: Rotation,
    geometry: Geometry,
    *,
    max_index: int = 3,
    min_strength: float = 0.4,
    min_bands: int = 2,
) -> ZoneAxes:
    """Find the zone axes of an orientation that lie on the frame.

    Parameters
    ----------
    phase
        Phase with cell and symmetry, or what :func:`describe` says of it, which saves time for
        many orientations; then `max_index`, `min_strength` and `min_bands` are those that it was
        made with.
    rotation
        One orientation, from the sample to the crystal (orix, kikuchipy).
    geometry
        Where the detector stands.
    max_index
        Largest index of an axis.
    min_strength
        Weakest band that counts, as a share of the structure factor of the strongest.
    min_bands
        Fewest such bands that cross in an axis.

    Raises
    ------
    InputError
        If the phase has no symmetry or no cell, or `rotation` is not one proper rotation.

    Notes
    -----
    The projection is that of kikuchipy's ``KikuchiPatternSimulator.on_detector``, which gives the
    same positions; it takes all crossings of any two bands for zone axes, and writes to standard
    output.
    """
    if not isinstance(phase, Catalogue):
        phase = describe(phase, max_index=max_index, min_strength=min_strength, min_bands=min_bands)
    # A rotation matrix times rows is its inverse times columns: from the crystal to the detector.
    xy = geometry.pixels_of(phase.direction @ detector_to_crystal(rotation, geometry))
    seen = geometry.inside(xy)
    return ZoneAxes(
        uvw=phase.uvw[seen],
        xy=xy[seen],
        direction=phase.direction[seen],
        multiplicity=phase.multiplicity[seen],
        bands=phase.bands[seen],
        family=phase.family[seen],
        labels=phase.labels[seen],
    )


def find_bands(
    phase: Phase | Catalogue,
    rotation: Rotation,
    geometry: Geometry,
    *,
    min_strength: float = 0.4,
    energy: float = 20.0,
) -> Bands:
    """Find the strong bands of an orientation whose middle lines cross the frame.

    Parameters
    ----------
    phase
        Phase with cell and symmetry, or what :func:`describe` says of it; then `min_strength` and
        `energy` are those that it was made with.
    rotation
        One orientation, from the sample to the crystal (orix, kikuchipy).
    geometry
        Where the detector stands.
    min_strength
        Weakest band, as a share of the structure factor of the strongest.
    energy
        Of the electrons in keV, for the widths.

    Raises
    ------
    InputError
        If the phase has no symmetry or no cell, or `rotation` is not one proper rotation.
    """
    if not isinstance(phase, Catalogue):
        phase = describe(phase, min_strength=min_strength, energy=energy)
    normals = phase.normal @ detector_to_crystal(rotation, geometry)
    found = [_across(geometry, normal) for normal in normals]
    seen = np.array([line is not None for line in found], dtype=bool)
    lines = [line for line in found if line is not None]
    return Bands(
        hkl=phase.hkl[seen],
        lines=np.array(lines, dtype=float).reshape(-1, 2, 2),
        half_widths=phase.bragg[seen],
        strength=phase.strength[seen],
        normal=phase.normal[seen],
        labels=phase.plane_labels[seen],
    )


def _across(geometry: Geometry, normal: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Ends (2, 2) on the rim of the frame of the plane with a normal in the detector frame."""
    height, width = geometry.shape
    corners = np.array(
        [[-0.5, -0.5], [width - 0.5, -0.5], [width - 0.5, height - 0.5], [-0.5, height - 0.5]]
    )
    # A plane through the source meets the screen in a line: this is linear in the pixels.
    x, y, distance = geometry.pc
    right = (corners[:, 0] + 0.5 - x * width) / (distance * height)
    up = (y * height - corners[:, 1] - 0.5) / (distance * height)
    side = right * normal[0] + up * normal[1] + normal[2]
    ends = []
    for k in range(4):
        here, there = side[k], side[(k + 1) % 4]
        if (here < 0) != (there < 0):
            ends.append(corners[k] + here / (here - there) * (corners[(k + 1) % 4] - corners[k]))
    return np.array(ends) if len(ends) == 2 else None


def angular_distance_map(
    axes: ZoneAxes | NDArray[np.int_],
    rotation: Rotation,
    phase: Phase | None,
    geometry: Geometry,
) -> NDArray[np.float64]:
    """Return the angle in degrees from each pixel to the nearest of some zone axes.

    Parameters
    ----------
    axes
        Zone axes, or their indices [uvw] (n, 3): these may lie beyond the rim of the frame, and
        then count for the pixels beside it. Sense does not matter.
    rotation
        One orientation, from the sample to the crystal.
    phase
        Crystal; only asked where `axes` are indices.
    geometry
        Where the detector stands.

    Returns
    -------
    numpy.ndarray
        float64 (h, w), true angles at the source point; infinite where there are no axes.

    Raises
    ------
    InputError
        If indices come without a phase.
    """
    if isinstance(axes, ZoneAxes):
        directions = axes.direction
    elif phase is None:
        raise InputError("indices of zone axes mean nothing without a phase; give it")
    else:
        uvw = np.asarray(axes, dtype=float).reshape(-1, 3)
        directions = uvw @ cell_of(phase).base
        directions = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    pixels = crystal_directions(rotation, geometry)
    nearest = np.full(geometry.shape, np.inf)
    for direction in directions:
        # Exact for small angles, unlike the arc cosine of a product.
        aside = np.linalg.norm(np.cross(pixels, direction), axis=-1)
        np.minimum(nearest, np.arctan2(aside, np.abs(pixels @ direction)), out=nearest)
    return np.rad2deg(nearest)
