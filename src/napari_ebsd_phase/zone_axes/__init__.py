# SPDX-License-Identifier: GPL-3.0-or-later
"""Bands and zone axes of a known phase and orientation, projected on the detector."""

from .axes import Bands, ZoneAxes, angular_distance_map, find_bands, find_zone_axes
from .crystal import Catalogue, describe
from .geometry import Geometry, crystal_directions, detector_to_crystal, rotation_of
from .orientation import (
    Orientation,
    geometry_from_file,
    hough_indexer,
    orientation_by_hough,
    orientation_from_file,
    require_hough,
)

__all__ = [
    "Bands",
    "Catalogue",
    "Geometry",
    "Orientation",
    "ZoneAxes",
    "angular_distance_map",
    "crystal_directions",
    "describe",
    "detector_to_crystal",
    "find_bands",
    "find_zone_axes",
    "geometry_from_file",
    "hough_indexer",
    "orientation_by_hough",
    "orientation_from_file",
    "require_hough",
    "rotation_of",
]
