# SPDX-License-Identifier: GPL-3.0-or-later
"""The canvas' own OpenGL context, while a layer is taken away.

napari deletes the programs of a layer as soon as it is removed, in whatever context is the current
one: outside of painting that is mostly the one in which Qt puts the window together. Mesa (found
with 22.3, software rendering, which virtual machines and remote desktops use, too) then frees the
shaders later, when the canvas is next made current, and with them forgets the one that is bound:
the next picture ends the program with a segmentation fault.
"""

from __future__ import annotations

from qtpy.QtOpenGLWidgets import QOpenGLWidget
from qtpy.QtWidgets import QMainWindow, QWidget


def make_current(widget: QWidget) -> None:
    """Make the canvas of the window that a dock belongs to the current one; none is fine, too."""
    window: QWidget | None = widget
    # A floating dock is a window itself, and still a child of the other.
    while window is not None and not isinstance(window, QMainWindow):
        window = window.parentWidget()
    for canvas in [] if window is None else window.findChildren(QOpenGLWidget):
        if canvas.isValid():
            canvas.makeCurrent()
