# SPDX-License-Identifier: GPL-3.0-or-later
"""Maps on the sphere on a canvas of matplotlib, in the colours of napari's theme."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QSize, Qt
from qtpy.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

from .section import wrapped

if TYPE_CHECKING:
    from .sphere_worker import SphereAnswer


class SphereView(QWidget):
    """Two discs side by side or, where it is high, one above the other; words where there is none.

    matplotlib is imported when there is something to draw.
    """

    def __init__(self) -> None:
        super().__init__()
        self._answer: SphereAnswer | None = None
        self._figure: Any = None
        self._canvas: Any = None
        self.hint = wrapped()
        self.hint.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._box = QVBoxLayout(self)
        self._box.setContentsMargins(0, 0, 0, 0)
        self._box.addWidget(self.hint, 1)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    @property
    def answer(self) -> SphereAnswer | None:
        """What is drawn."""
        return self._answer

    def sizeHint(self) -> QSize:
        return QSize(520, 380)

    def minimumSizeHint(self) -> QSize:
        return QSize(280, 150)

    def show_hint(self, text: str) -> None:
        """Show words in place of a map."""
        self._answer = None
        self.hint.setText(text)
        self.hint.show()
        if self._canvas is not None:
            self._canvas.hide()

    def show_answer(self, answer: SphereAnswer) -> None:
        """Draw a map."""
        self._answer = answer
        if self._canvas is None:
            self._make_canvas()
        self.hint.hide()
        self._canvas.show()
        self.draw()

    def draw(self) -> None:
        """Draw it anew, in the size and the colours that there are."""
        if self._answer is None:
            return
        from ..saliency.sphere_picture import draw_sphere

        answer, figure = self._answer, self._figure
        figure.clear()
        palette = self.palette()
        figure.set_facecolor(palette.window().color().name())
        draw_sphere(
            figure,
            answer.panels,
            answer.catalogue,
            answer.operations,
            ink=palette.windowText().color().name(),
        )
        self._canvas.draw_idle()

    def resizeEvent(self, event: Any) -> None:
        super().resizeEvent(event)
        # The canvas has its new size when it gets its own event, just after this one.
        if self._canvas is not None:
            self._box.activate()
            self.draw()

    def changeEvent(self, event: Any) -> None:
        super().changeEvent(event)
        if event.type() in (QEvent.Type.PaletteChange, QEvent.Type.StyleChange):
            self.draw()

    def _make_canvas(self) -> None:
        from matplotlib.backends.backend_qtagg import FigureCanvasQTAgg
        from matplotlib.figure import Figure

        self._figure = Figure(dpi=100)
        self._canvas = FigureCanvasQTAgg(self._figure)
        # The pictures are static: no toolbar, and the mouse belongs to the dock.
        self._canvas.setMinimumSize(1, 1)
        self._box.addWidget(self._canvas, 1)
        self._box.activate()
