# SPDX-License-Identifier: GPL-3.0-or-later
"""What a layer has on the graphics card is deleted in the canvas' own context.

In another one it crashed Mesa 22.3 at the next picture, about every tenth time.
"""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtGui import QOffscreenSurface, QOpenGLContext
from qtpy.QtOpenGLWidgets import QOpenGLWidget
from qtpy.QtWidgets import QWidget

from napari_ebsd_phase._napari.canvas_context import make_current

from ._clicks import dock_in


@pytest.fixture
def viewer(make_napari_viewer):
    return make_napari_viewer(show=True)


@pytest.fixture
def elsewhere(qapp):
    """Another OpenGL context, like that in which Qt puts the window together."""
    surface, context = QOffscreenSurface(), QOpenGLContext()
    surface.create()
    assert context.create()
    yield lambda: context.makeCurrent(surface)
    context.doneCurrent()


@pytest.mark.parametrize("floating", [False, True])
def test_a_layer_is_taken_away_in_the_context_of_the_canvas(viewer, qtbot, elsewhere, floating):
    dock = dock_in(viewer, qtbot)
    canvas = dock.window().findChild(QOpenGLWidget)
    if floating:
        dock.parentWidget().setFloating(True)
        assert dock.window().findChild(QOpenGLWidget) is None
    layer = viewer.add_points(np.zeros((1, 2)))
    current = []
    viewer.layers.events.removed.connect(
        lambda event: current.append(QOpenGLContext.currentContext())
    )

    assert elsewhere()
    viewer.layers.remove(layer)

    assert current == [canvas.context()]


def test_a_widget_without_a_canvas_changes_nothing(qtbot, elsewhere):
    widget = QWidget()
    qtbot.addWidget(widget)
    assert elsewhere()
    before = QOpenGLContext.currentContext()

    make_current(widget)

    assert QOpenGLContext.currentContext() is before
