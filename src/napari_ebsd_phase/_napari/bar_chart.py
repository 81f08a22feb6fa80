# SPDX-License-Identifier: GPL-3.0-or-later
"""A bar for each of the leading classes, in the colours of the map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from qtpy.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QHelpEvent, QPainter, QPen
from qtpy.QtWidgets import QSizePolicy, QToolTip, QWidget

_MARGIN = 2
_GAP = 6


@dataclass(frozen=True)
class Bar:
    """One class.

    Attributes
    ----------
    name
        As in the class lists.
    probability
        0 to 1.
    color
        ``"#rrggbb"``.
    pinned
        Probability of the pinned pattern, to compare; None without one.
    explained
        Whether the heat map shows the evidence for this class.
    """

    name: str
    probability: float
    color: str
    pinned: float | None = None
    explained: bool = False


def percent(probability: float) -> str:
    """Return a probability in percent, never rounded to certainty."""
    if 0 < probability < 0.005:
        return "< 1 %"
    if 0.995 <= probability < 1:
        return "> 99 %"
    return f"{100 * probability:.0f} %"


class BarChart(QWidget):
    """Horizontal bars with name and percentage; a click chooses a class."""

    #: Name of the class that was clicked.
    chosen = Signal(str)

    def __init__(self, most: int = 6, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._most = most
        self._bars: tuple[Bar, ...] = ()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setMouseTracking(True)

    @property
    def most(self) -> int:
        """How many bars there is room for."""
        return self._most

    @property
    def bars(self) -> tuple[Bar, ...]:
        """What is shown, top to bottom."""
        return self._bars

    def set_bars(self, bars: Sequence[Bar]) -> None:
        """Show the first few of these."""
        self._bars = tuple(bars[: self._most])
        words = [f"{bar.name} {percent(bar.probability)}" for bar in self._bars]
        self.setAccessibleDescription(", ".join(words))
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(240, self._most * self._line() + 2 * _MARGIN)

    def minimumSizeHint(self) -> QSize:
        return QSize(140, self.sizeHint().height())

    def bar_at(self, position: QPointF) -> Bar | None:
        """Return the bar at a position on the widget, if there is one."""
        index = int((position.y() - _MARGIN) // self._line())
        return self._bars[index] if 0 <= index < len(self._bars) else None

    def rect_of(self, index: int) -> QRectF:
        """Line of a bar on the widget."""
        return QRectF(0, _MARGIN + index * self._line(), self.width(), self._line())

    def mouseMoveEvent(self, event: Any) -> None:
        hand = self.bar_at(event.position()) is not None
        self.setCursor(Qt.CursorShape.PointingHandCursor if hand else Qt.CursorShape.ArrowCursor)

    def mouseReleaseEvent(self, event: Any) -> None:
        bar = self.bar_at(event.position())
        if bar is not None and event.button() == Qt.MouseButton.LeftButton:
            self.chosen.emit(bar.name)

    def event(self, event: QEvent | None) -> bool:
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            bar = self.bar_at(QPointF(event.pos()))
            QToolTip.showText(event.globalPos(), "" if bar is None else _tip(bar), self)
            return True
        return bool(super().event(event))

    def paintEvent(self, event: Any) -> None:
        if not self._bars:
            return
        painter = QPainter(self)
        metrics = painter.fontMetrics()
        mark = metrics.horizontalAdvance("▸ ")
        names = mark + max(metrics.horizontalAdvance(bar.name) for bar in self._bars)
        numbers = metrics.horizontalAdvance("> 99 %")
        for index, bar in enumerate(self._bars):
            line = self.rect_of(index)
            track = line.adjusted(names + _GAP, 3, -numbers - _GAP, -3)
            self._paint_texts(painter, bar, line, mark)
            self._paint_bar(painter, bar, track)

    def _paint_texts(self, painter: QPainter, bar: Bar, line: QRectF, mark: int) -> None:
        left = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        painter.setPen(self.palette().windowText().color())
        if bar.explained:
            painter.drawText(line, int(left.value), "▸")
        painter.drawText(line.adjusted(mark, 0, 0, 0), int(left.value), bar.name)
        painter.drawText(line, int(right.value), percent(bar.probability))

    def _paint_bar(self, painter: QPainter, bar: Bar, track: QRectF) -> None:
        text = self.palette().windowText().color()
        faint, edge = QColor(text), QColor(text)
        faint.setAlphaF(0.10)
        edge.setAlphaF(0.55)
        painter.fillRect(track, faint)
        main = QRectF(track)
        if bar.pinned is not None:
            # The pattern above, the pinned one below it, thinner.
            below = QRectF(track)
            main.setHeight(track.height() * 0.62)
            below.setTop(main.bottom() + 1)
            below.setWidth(track.width() * bar.pinned)
            pale = QColor(bar.color)
            pale.setAlphaF(0.6)
            painter.fillRect(below, pale)
        main.setWidth(max(1.0, track.width() * bar.probability))
        painter.fillRect(main, QColor(bar.color))
        # Some class colours are close to the background of one of the themes.
        painter.setPen(QPen(edge, 1))
        painter.drawRect(main)

    def _line(self) -> int:
        return self.fontMetrics().height() + 5


def _tip(bar: Bar) -> str:
    text = f"{bar.name}: {percent(bar.probability)}"
    if bar.pinned is not None:
        text += f", pinned pattern: {percent(bar.pinned)}"
    return f"{text}\nClick to see the evidence for it"
