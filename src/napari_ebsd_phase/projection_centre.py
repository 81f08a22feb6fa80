# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user may ask of the projection centre of a scan, and what a map tells of its own.

Without torch: windows and command lines check requests before they load it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

__all__ = ["WAYS", "Told", "noted_centre", "parse_centre", "same_centre", "was_estimated"]

Told = tuple[float, float, float] | str | None
"""(PCx, PCy, PCz) in Bruker's convention, one of :data:`WAYS`, or None: do without."""

WAYS: Final = ("auto", "file", "estimate")


def parse_centre(text: str) -> tuple[float, float, float] | None:
    """PCx, PCy and PCz as somebody types them, as in ``0.5, 0.2, 0.6``; None if it is none."""
    try:
        x, y, distance = (float(part) for part in text.replace(";", ",").split(","))
    except ValueError:
        return None
    possible = abs(x) < 10 and abs(y) < 10 and 0 < distance < 100  # none of it holds for NaN
    return (x, y, distance) if possible else None


def same_centre(provenance: Mapping[str, Any], asked: Told, from_file: bool) -> bool:
    """Whether a map was made with the projection centre that is asked for, as far as it tells.

    Parameters
    ----------
    provenance
        Of the map.
    asked
        See :func:`.centring.centred`.
    from_file
        Whether the file has one, of which the network makes something.
    """
    where = provenance.get("projection_centre")
    way = where.get("from") if isinstance(where, Mapping) else None
    if asked is None:
        return "centre" not in provenance
    if not isinstance(asked, str):
        known = noted_centre(provenance) or (math.nan,) * 3
        near = (math.isclose(a, b, abs_tol=1e-3) for a, b in zip(known, asked, strict=True))
        return way == "given" and all(near)
    if asked == "estimate":
        return way == "estimated"
    # Where there is none in the file, an estimate that was not relied on leaves nothing to tell.
    return way == "file" if from_file else way in (None, "estimated")


def was_estimated(provenance: Mapping[str, Any]) -> bool:
    """Whether a map was made with a projection centre that was found in the patterns."""
    where = provenance.get("projection_centre")
    told = isinstance(where, Mapping) and where.get("from") == "estimated"
    return told and provenance.get("centre") is not None


def noted_centre(provenance: Mapping[str, Any]) -> tuple[float, float, float] | None:
    """(PCx, PCy, PCz) in Bruker's convention that a map was made with, if it tells."""
    where = provenance.get("projection_centre")
    values = where.get("bruker") if isinstance(where, Mapping) else None
    try:
        x, y, distance = map(float, values or ())
    except (TypeError, ValueError):
        return None
    return x, y, distance
