# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user does on napari's canvas: clicks and drags on pixels of a map."""

from __future__ import annotations

import numpy as np
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtOpenGLWidgets import QOpenGLWidget
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QWidget

from napari_ebsd_phase._napari.session import MapSession, session_of

NO_BUTTON = Qt.MouseButton.NoButton
LEFT = Qt.MouseButton.LeftButton
NO_KEY = Qt.KeyboardModifier.NoModifier


def move_mouse(widget: QWidget, point: QPoint, buttons=NO_BUTTON, modifier=NO_KEY) -> None:
    """Move the mouse to a point of a widget; QTest's own moves know no buttons or modifiers."""
    where = QPointF(point), QPointF(widget.mapToGlobal(point))
    move = QMouseEvent(QEvent.Type.MouseMove, *where, NO_BUTTON, buttons, modifier)
    QApplication.sendEvent(widget, move)


class Canvas:
    """The canvas of the window that a dock is in.

    It shows one map in 2D, without grid.
    """

    def __init__(self, viewer, dock: QWidget) -> None:
        self._viewer = viewer
        self.widget = dock.window().findChild(QOpenGLWidget)
        assert self.widget is not None

    def point(self, session: MapSession, row: float, col: float) -> QPoint:
        """Where on the canvas a pixel of a map is."""
        layer = next(layer for layer in self._viewer.layers if session_of(layer) is session)
        camera = self._viewer.scene.camera
        world = np.array(layer.data_to_world((row, col)))[-2:]
        offset = (world - np.array(camera.center)[-2:]) * camera.zoom
        return self.widget.rect().center() + QPoint(round(offset[1]), round(offset[0]))

    def click(self, session: MapSession, row: float, col: float, modifier=NO_KEY) -> None:
        """Press and release the left button on a pixel."""
        QTest.mouseClick(self.widget, LEFT, modifier, self._visible_point(session, row, col))

    def drag(self, session: MapSession, pixels, modifier=NO_KEY) -> None:
        """Press the left button on the first pixel, move over the others, release.

        The canvas passes a few moves on each second, as it does with those of a quick hand.
        """
        points = [self._visible_point(session, row, col) for row, col in pixels]
        QTest.mousePress(self.widget, LEFT, modifier, points[0])
        for point in points[1:]:
            move_mouse(self.widget, point, LEFT, modifier)
        QTest.mouseRelease(self.widget, LEFT, modifier, points[-1])

    def key(self, key: Qt.Key) -> None:
        """Press a key while the canvas has the focus."""
        QTest.keyClick(self.widget, key)

    def _visible_point(self, session: MapSession, row: float, col: float) -> QPoint:
        point = self.point(session, row, col)
        assert self.widget.rect().contains(point), f"({row}, {col}) is not on the canvas"
        return point
