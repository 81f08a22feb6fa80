# SPDX-License-Identifier: GPL-3.0-or-later
"""Moments in which nobody would notice that the window does not answer."""

from __future__ import annotations

import time

from qtpy.QtCore import Qt
from qtpy.QtGui import QCursor
from qtpy.QtWidgets import QApplication

# Seconds that the mouse has rested: longer than between two clicks of a list that is read.
_RESTED = 0.5


class Rest:
    """Tells whether the user's mouse has rested for a moment; ask it again and again."""

    def __init__(self) -> None:
        self._place = QCursor.pos()
        self._since = time.perf_counter()

    def has_come(self) -> bool:
        """Whether no button is held, and the mouse has not moved for half a second."""
        now, place = time.perf_counter(), QCursor.pos()
        pressed = QApplication.mouseButtons() != Qt.MouseButton.NoButton
        if pressed or QApplication.activePopupWidget() is not None or place != self._place:
            self._place, self._since = place, now
        return now - self._since >= _RESTED
