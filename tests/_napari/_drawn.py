# SPDX-License-Identifier: GPL-3.0-or-later
"""What a widget draws, in all colours whatever the screen has."""

from __future__ import annotations

from qtpy.QtGui import QImage
from qtpy.QtWidgets import QWidget


def drawn(widget: QWidget, density: int = 1) -> QImage:
    """Picture of a widget, with so many pixels a point."""
    image = QImage(widget.size() * density, QImage.Format.Format_RGB32)
    image.setDevicePixelRatio(density)
    widget.render(image)
    return image
