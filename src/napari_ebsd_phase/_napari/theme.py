# SPDX-License-Identifier: GPL-3.0-or-later
"""Colours that can be read in napari's dark and light themes alike."""

from __future__ import annotations

from qtpy.QtCore import QRectF, Qt
from qtpy.QtGui import QColor, QIcon, QPainter, QPen, QPixmap

# Halfway between the backgrounds of both themes: visible on either, whatever it surrounds.
_BORDER = "#808080"

# Dots of a picture for each point of the screen; icons are scaled down well, but not up.
_DENSITY = 2


def swatch(color: str, size: int = 16) -> QIcon:
    """Return a filled square with a thin border.

    Parameters
    ----------
    color
        ``"#rrggbb"`` or any name that Qt knows; ``""`` gives a dashed, empty square for what has no
        colour in the map.
    size
        Edge in points.
    """
    icon = QIcon()
    icon.addPixmap(swatch_pixmap(color, size))
    # The same picture when its row is chosen: Qt would tint it, and the colour is the message.
    icon.addPixmap(swatch_pixmap(color, size), QIcon.Mode.Selected)
    return icon


def swatch_pixmap(color: str, size: int = 16) -> QPixmap:
    """Return the picture of :func:`swatch`, for labels and delegates."""
    pixmap = QPixmap(size * _DENSITY, size * _DENSITY)
    # In this order: on displays of 16 bits, filling forgets the ratio.
    pixmap.fill(Qt.GlobalColor.transparent)
    pixmap.setDevicePixelRatio(_DENSITY)
    painter = QPainter(pixmap)
    pen = QPen(QColor(_BORDER), 1.0)
    if color:
        painter.setBrush(QColor(color))
    else:
        pen.setStyle(Qt.PenStyle.DashLine)
    painter.setPen(pen)
    painter.drawRect(QRectF(0.5, 0.5, size - 1.0, size - 1.0))
    painter.end()
    return pixmap


def text_on(color: str) -> str:
    """Return ``"black"`` or ``"white"``, whichever is easier to read on `color`.

    The one with the higher contrast ratio of the Web Content Accessibility Guidelines 2.2
    (relative luminance of sRGB).
    """
    linear = [_linear(part) for part in QColor(color).getRgbF()[:3]]
    luminance = sum(w * part for w, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
    on_black, on_white = (luminance + 0.05) / 0.05, 1.05 / (luminance + 0.05)
    return "black" if on_black >= on_white else "white"


def _linear(part: float) -> float:
    """Turn one sRGB component into linear light (IEC 61966-2-1)."""
    return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
