# SPDX-License-Identifier: GPL-3.0-or-later
"""Bands and zone axes of a known orientation: found in a thread, drawn over a pattern."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from qtpy.QtCore import QPointF, QRectF, Qt
from qtpy.QtGui import QColor, QFont, QFontMetricsF, QPainter, QPen

from ..errors import InputError

if TYPE_CHECKING:
    from ..scan import Scan
    from ..zone_axes import Bands, Catalogue, Orientation, ZoneAxes

# Fewer bands than this cross in many places that nobody would call an axis; <114> of cubic metals
# is as bright as many an axis of lower indices.
_MIN_BANDS, _MAX_INDEX = 3, 4

# Over a picture and over heat, whatever the theme.
_LINE: Final = QColor(120, 225, 255)
_MARK: Final = QColor(255, 255, 255)
_SHADE: Final = QColor(0, 0, 0, 150)

# Shares of the shorter edge of the picture, and the least and most pixels of the letters.
_LETTERS, _SMALLEST, _LARGEST = 0.033, 9, 26
_REACH = 0.03


@dataclass(frozen=True, eq=False)
class ZoneOverlay:
    """What is drawn over one pattern.

    Attributes
    ----------
    axes, bands
        In detector pixels.
    phase
        Name of the crystal.
    """

    axes: ZoneAxes
    bands: Bands
    phase: str

    def nearest(self, row: float, col: float, reach: float) -> str:
        """Name of the zone axis within `reach` detector pixels of a place; empty if none."""
        if not len(self.axes):
            return ""
        apart = np.hypot(*(self.axes.xy - (col, row)).T)
        number = int(apart.argmin())
        return str(self.axes.labels[number]) if apart[number] <= reach else ""


class ZoneFinder:
    """Finds zone axes for patterns of open data sets; keeps what it learns about their crystals.

    The first pattern of a crystal takes some tenths of a second, the others a millisecond.
    """

    def __init__(self) -> None:
        self._known: weakref.WeakKeyDictionary[Scan, list[tuple[object, Catalogue]]] = (
            weakref.WeakKeyDictionary()
        )

    def orientation(self, scan: Scan, row: int, col: int) -> Orientation:
        """Return the orientation that the file has for a pattern.

        Raises
        ------
        InputError
            If it has none: one line says why.
        """
        from ..zone_axes import orientation_from_file

        return orientation_from_file(scan, row, col)

    def knows(self, scan: Scan, known: Orientation) -> bool:
        """Whether this crystal was met before."""
        return self._catalogue(scan, known) is not None

    def find(self, scan: Scan, known: Orientation) -> ZoneOverlay:
        """Find bands and zone axes of an orientation of this data set.

        Raises
        ------
        InputError
            If the file's phase lacks a cell or a symmetry.
        """
        from ..zone_axes import describe, find_bands, find_zone_axes

        catalogue = self._catalogue(scan, known)
        if catalogue is None:
            catalogue = describe(known.phase, max_index=_MAX_INDEX, min_bands=_MIN_BANDS)
            self._known.setdefault(scan, []).append((known.phase, catalogue))
        return ZoneOverlay(
            find_zone_axes(catalogue, known.rotation, known.geometry),
            find_bands(catalogue, known.rotation, known.geometry),
            str(known.phase.name),
        )

    def _catalogue(self, scan: Scan, known: Orientation) -> Catalogue | None:
        met = self._known.get(scan, [])
        return next((catalogue for phase, catalogue in met if phase is known.phase), None)


def unknown_text(error: InputError) -> str:
    """Why there are no zone axes, for the switch that would show them."""
    return f"Zone axes need an orientation. {error}"


def paint_zones(
    painter: QPainter, overlay: ZoneOverlay, box: QRectF, shape: tuple[int, int]
) -> None:
    """Draw bands as thin lines, zone axes as rings, and names where there is room.

    Axes of low indices get their names first; a name that would cover another is left out.

    Parameters
    ----------
    painter
        Of the widget or picture.
    overlay
        In detector pixels.
    box
        Where the pattern is drawn.
    shape
        Rows and columns of the pattern.
    """
    unit = min(box.width(), box.height())
    painter.save()
    painter.setClipRect(box)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, True)
    for line, strength in zip(overlay.bands.lines, overlay.bands.strength, strict=True):
        ends = _place(line[0], box, shape), _place(line[1], box, shape)
        # Dark below light: one of the two shows on any grey.
        for color, width in ((QColor(0, 0, 0), 2.0), (QColor(_LINE), 1.0)):
            color.setAlphaF((0.2 if width > 1 else 0.3) + 0.5 * float(strength) ** 2)
            painter.setPen(QPen(color, width * max(0.8, unit / 500)))
            painter.drawLine(*ends)
    radius = max(2.5, unit / 110)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    rings = [_place(xy, box, shape) for xy in overlay.axes.xy]
    for pen in (QPen(_SHADE, max(2.5, unit / 130)), QPen(_MARK, max(1.2, unit / 270))):
        painter.setPen(pen)
        for middle in rings:
            painter.drawEllipse(middle, radius, radius)
    font = QFont(painter.font())
    font.setPixelSize(round(min(max(_LETTERS * unit, _SMALLEST), _LARGEST)))
    painter.setFont(font)
    labels = [str(label) for label in overlay.axes.labels]
    for text, where in lay_out_labels(labels, rings, radius, box, QFontMetricsF(font)):
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(_SHADE)
        painter.drawRoundedRect(where, 2, 2)
        painter.setPen(_MARK)
        painter.drawText(where, int(Qt.AlignmentFlag.AlignCenter.value), text)
    painter.restore()


def lay_out_labels(
    labels: list[str],
    middles: list[QPointF],
    radius: float,
    box: QRectF,
    metrics: QFontMetricsF,
) -> list[tuple[str, QRectF]]:
    """Choose places for names beside their rings, first come first served.

    Parameters
    ----------
    labels, middles
        Names, and the middles of their rings, in order of importance.
    radius
        Of the rings.
    box
        That no name may leave.
    metrics
        Of the letters.

    Returns
    -------
    list
        Names that found a place, and the place; no two cover each other or the ring of another.
    """
    rings = [QRectF(m.x() - radius, m.y() - radius, 2 * radius, 2 * radius) for m in middles]
    taken: list[tuple[str, QRectF]] = []
    for number, (text, ring) in enumerate(zip(labels, rings, strict=True)):
        width, height = metrics.horizontalAdvance(text) + 4, metrics.height()
        right, above = QRectF(0, 0, width, height), QRectF(0, 0, width, height)
        left, below = QRectF(right), QRectF(above)
        right.moveCenter(QPointF(ring.right() + 1 + width / 2, ring.center().y()))
        left.moveCenter(QPointF(ring.left() - 1 - width / 2, ring.center().y()))
        above.moveCenter(QPointF(ring.center().x(), ring.top() - 1 - height / 2))
        below.moveCenter(QPointF(ring.center().x(), ring.bottom() + 1 + height / 2))
        for place in (right, left, above, below):
            others = [r for other, r in enumerate(rings) if other != number]
            free = not any(place.intersects(r) for r in [*others, *(q for _, q in taken)])
            if free and box.contains(place):
                taken.append((text, place))
                break
    return taken


def reach_of(shape: tuple[int, int]) -> float:
    """How near, in detector pixels, the mouse must be to a zone axis to tell its name."""
    return max(1.0, _REACH * min(shape))


def _place(xy: np.ndarray, box: QRectF, shape: tuple[int, int]) -> QPointF:
    """Position on the picture of a column and row, which count from the middle of a pixel."""
    height, width = shape
    return QPointF(
        box.left() + (float(xy[0]) + 0.5) / width * box.width(),
        box.top() + (float(xy[1]) + 0.5) / height * box.height(),
    )
