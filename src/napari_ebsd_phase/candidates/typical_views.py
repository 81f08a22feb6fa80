# SPDX-License-Identifier: GPL-3.0-or-later
"""A few clear views of the crystal in a region: means over patterns that show the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError
from ..mapping import scan_screen
from ..preprocessing import prepare
from ..regions.pool import spread_evenly
from ..regions.views import SAME_VIEW, signatures
from ..zone_axes import Geometry, geometry_from_file, require_hough
from .agreement import SETTINGS, View

if TYPE_CHECKING:
    from ..scan import Scan

__all__ = ["check_possible", "typical_views"]

_LOOKED_AT = 200


def typical_views(
    scan: Scan,
    region: np.ndarray | None = None,
    *,
    projection_centre: tuple[float, float, float] | None = None,
    most: int = 4,
) -> list[View]:
    """Views of the crystal in a region, those that most patterns show first.

    Patterns of one orientation are averaged: noise goes down, bands stay. Which patterns show one
    view is told in :mod:`napari_ebsd_phase.regions.views`.

    Parameters
    ----------
    scan
        Open scan.
    region
        bool of the map's shape; the whole map when None.
    projection_centre
        (PCx, PCy, PCz) in Bruker's convention; that of the file when None.
    most
        Largest number of views.

    Raises
    ------
    InputError
        If the region is empty or does not fit, or nobody says where the projection centre is.
    """
    mask = scan_screen(scan)
    if region is None:
        region = np.ones(scan.shape, dtype=bool)
    if region.shape != scan.shape or region.dtype != bool:
        raise InputError(f"the region must be True or False at each of {scan.shape} map points")
    places = np.flatnonzero(region)
    if not len(places):
        raise InputError("the region is empty: choose one with patterns")
    places = places[spread_evenly(len(places), _LOOKED_AT)]
    background = scan.static_background

    def look(place: int) -> np.ndarray:
        frame = scan.pattern(*divmod(int(place), scan.shape[1]))[np.newaxis]
        return prepare(frame, SETTINGS, background=background, mask=mask)[0, 0].numpy()

    inputs = np.stack([look(place) for place in places])
    compared = signatures(inputs)
    alike = compared @ compared.T >= SAME_VIEW
    np.fill_diagonal(alike, True)
    free = np.ones(len(places), dtype=bool)
    views: list[View] = []
    while free.any() and len(views) < most:
        counts = (alike & free).sum(axis=1) * free
        first = int(counts.argmax())
        members = alike[first] & free
        geometry = _geometry(scan, int(places[first]), projection_centre)
        views.append(View(inputs[members].mean(axis=0), geometry, mask))
        free &= ~members
    return views


def _geometry(
    scan: Scan, place: int, projection_centre: tuple[float, float, float] | None
) -> Geometry:
    shape = scan.pattern_shape
    if shape is None:
        raise InputError(f"{scan.name}: images of different sizes have no common detector")
    if projection_centre is not None:
        return Geometry(shape, projection_centre)
    if scan.projection_centre is None:
        raise InputError(
            f"{scan.name}: the file does not say where the detector stood: give the projection "
            "centre, or let it be estimated from the patterns"
        )
    return geometry_from_file(scan, *divmod(place, scan.shape[1]))


def check_possible(scan: Scan, projection_centre: tuple[float, float, float] | None = None) -> None:
    """Check, before any work, that structures can be compared with the patterns of a scan.

    Raises
    ------
    InputError
        If nobody says where the projection centre is, or PyEBSDIndex is not installed.
    """
    require_hough()
    _geometry(scan, 0, projection_centre)
