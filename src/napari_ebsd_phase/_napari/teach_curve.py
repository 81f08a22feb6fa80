# SPDX-License-Identifier: GPL-3.0-or-later
"""The learning curve, on a canvas of matplotlib in the colours of napari's theme."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QSize, Qt
from qtpy.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

if TYPE_CHECKING:
    from ..training.fine_tune_settings import CurvePoint

# Read in the dark and the light theme alike.
_RIGHT, _LOSS = "#3d9be9", "#e0802b"
_SMALL = 8  # points


class TeachCurve(QWidget):
    """Share of validation patterns that are named right, and their loss, against the step.

    matplotlib is imported with the first point.
    """

    def __init__(self) -> None:
        super().__init__()
        self._points: list[CurvePoint] = []
        self._figure: Any = None
        self._canvas: Any = None
        self._box = QVBoxLayout(self)
        self._box.setContentsMargins(0, 0, 0, 0)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    @property
    def points(self) -> tuple[CurvePoint, ...]:
        """What is drawn."""
        return tuple(self._points)

    def sizeHint(self) -> QSize:
        return QSize(320, 170)

    def minimumSizeHint(self) -> QSize:
        return QSize(200, 150)

    def clear(self) -> None:
        """Forget all points."""
        self._points.clear()
        self.draw()

    def add(self, point: CurvePoint) -> None:
        """Draw one more point."""
        self._points.append(point)
        if self._canvas is None:
            self._make_canvas()
        self.draw()

    def draw(self) -> None:
        """Draw the curve anew, in the colours that there are."""
        if self._canvas is None:
            return
        palette = self.palette()
        ink, paper = palette.windowText().color().name(), palette.window().color().name()
        figure = self._figure
        figure.clear()
        figure.set_facecolor(paper)
        if self._points:
            self._plot(figure, ink, paper)
        self._canvas.draw_idle()

    def _plot(self, figure: Any, ink: str, paper: str) -> None:
        from matplotlib.ticker import MaxNLocator

        steps = [point.step for point in self._points]
        losses = [point.validation_loss for point in self._points]
        validated = any(math.isfinite(loss) for loss in losses)
        axes = figure.add_subplot()
        other = axes.twinx() if validated else axes
        if validated:
            right = [100 * point.right for point in self._points]
            axes.plot(steps, right, "o-", color=_RIGHT, markersize=3, linewidth=1.5)
            axes.set_ylim(-4, 104)
            axes.set_ylabel("right in %", color=_RIGHT, fontsize=_SMALL)
        else:
            # Nothing to validate with: what is lost on the patterns that are learned is all.
            losses = [point.loss for point in self._points]
        other.plot(steps, losses, "s--", color=_LOSS, markersize=2.5, linewidth=1)
        other.set_ylabel("loss", color=_LOSS, fontsize=_SMALL)
        top = max([loss for loss in losses if math.isfinite(loss)], default=1.0)
        other.set_ylim(0, 1.08 * max(top, 1e-3))
        axes.set_xlim(0, max(1, self._points[-1].steps))
        on = "validation patterns" if validated else "the patterns that are learned"
        axes.set_xlabel(f"step (on {on})", color=ink, fontsize=_SMALL)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        best = [point for point in self._points if point.best]
        if validated and best:
            axes.axvline(best[-1].step, color=ink, linewidth=0.8, linestyle=":")
        for each in (axes, other):
            each.set_facecolor(paper)
            each.tick_params(colors=ink, labelsize=_SMALL)
            for spine in each.spines.values():
                spine.set_color("#808080")
        if validated:
            other.patch.set_visible(False)

    def changeEvent(self, event: Any) -> None:
        super().changeEvent(event)
        if event.type() in (QEvent.Type.PaletteChange, QEvent.Type.StyleChange):
            self.draw()

    def _make_canvas(self) -> None:
        from matplotlib.backends.backend_qtagg import FigureCanvasQTAgg
        from matplotlib.figure import Figure

        self._figure = Figure(dpi=100, layout="constrained")
        self._canvas = FigureCanvasQTAgg(self._figure)
        # No toolbar: the mouse belongs to the dock, and its wheel scrolls it.
        self._canvas.setMinimumSize(1, 1)
        self._canvas.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._box.addWidget(self._canvas, 1)
        self._box.activate()
