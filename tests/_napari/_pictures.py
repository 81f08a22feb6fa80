# SPDX-License-Identifier: GPL-3.0-or-later
"""Pixels of a picture of Qt, with either binding."""

from __future__ import annotations

import numpy as np
from qtpy.QtGui import QImage


def pixels_of(image: QImage) -> np.ndarray:
    """Red, green and blue, uint8 (h, w, 3)."""
    image = image.convertToFormat(QImage.Format.Format_RGB888)
    bits = image.constBits()
    if hasattr(bits, "setsize"):  # PyQt, which does not tell it by itself
        bits.setsize(image.sizeInBytes())
    rows = np.frombuffer(bits, np.uint8).reshape(image.height(), image.bytesPerLine())
    return rows[:, : 3 * image.width()].reshape(image.height(), image.width(), 3).copy()
