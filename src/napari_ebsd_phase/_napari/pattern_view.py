# SPDX-License-Identifier: GPL-3.0-or-later
"""A pattern with a heat map over it, drawn pixel by pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from qtpy.QtCore import QPointF, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QImage, QPainter, QPen
from qtpy.QtWidgets import QSizePolicy, QWidget

from .zone_overlay import ZoneOverlay, paint_zones, reach_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Colour maps to choose from, all of napari; bright means much evidence.
HEAT_COLORMAPS: Final = ("inferno", "viridis", "turbo", "magma", "plasma", "cividis", "red", "cyan")

_ARROWS: Final = {
    Qt.Key.Key_Up: (-1, 0),
    Qt.Key.Key_Down: (1, 0),
    Qt.Key.Key_Left: (0, -1),
    Qt.Key.Key_Right: (0, 1),
}

# So much of the darkest and of the brightest pixels is drawn black and white.
_CLIPPED = 0.5  # percent

# Shorter edge of a saved picture, in pixels: enough for a slide or a column of a paper.
_SAVED_EDGE = 720


@dataclass(frozen=True, eq=False)
class NetworkView:
    """A pattern as the network sees it.

    Attributes
    ----------
    pixels
        Prepared pattern, float32 (size, size); 0 outside of the screen.
    row, col
        Detector position of its upper left corner.
    scale
        Detector pixels a network pixel.
    """

    pixels: NDArray[np.float32]
    row: float
    col: float
    scale: float


def gray_levels(pattern: NDArray) -> NDArray[np.uint8]:
    """Return a pattern in 256 grey levels, the few extreme pixels clipped.

    Pixels that are no number are black, a blank pattern is grey.
    """
    values = np.asarray(pattern, np.float32)
    usable = np.isfinite(values)
    if not usable.any():
        return np.zeros(values.shape, np.uint8)
    low, high = np.percentile(values[usable], [_CLIPPED, 100 - _CLIPPED])
    if high <= low:
        low, high = low - 1, high + 1
    scaled = (np.where(usable, values, low) - low) * (255 / (high - low))
    return scaled.clip(0, 255).astype(np.uint8)


def heat_colors(heat: NDArray, colormap: str) -> NDArray[np.uint8]:
    """Colour a heat map, (h, w) in [0, 1] to premultiplied BGRA (h, w, 4).

    What carries no evidence is transparent: the pattern below stays what it is.

    Parameters
    ----------
    heat
        Evidence, 0 to 1.
    colormap
        Name of a colour map of napari.
    """
    from napari.utils.colormaps import ensure_colormap

    table = ensure_colormap(colormap).map(np.linspace(0, 1, 256))
    # Weak evidence is seen, too: all of it together may be as much as the brightest spot.
    alpha = np.linspace(0, 1, 256) ** 0.6
    levels = (np.nan_to_num(heat) * 255).clip(0, 255).astype(np.uint8)
    bgra = np.column_stack([table[:, 2::-1] * alpha[:, np.newaxis], alpha])
    return (bgra * 255).round().astype(np.uint8)[levels]


class PatternView(QWidget):
    """Shows one pattern, with the aspect of its pixels kept.

    The position under the mouse is told at the lower edge, in detector rows and columns counted
    from 0 at the upper left.
    """

    #: An arrow key was pressed: rows and columns to move by.
    moved = Signal(int, int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._pattern: NDArray | None = None
        self._heat: NDArray[np.float32] | None = None
        self._seen: NetworkView | None = None
        self._zones: ZoneOverlay | None = None
        self._show_zones = False
        self._opacity = 0.8
        self._colormap = HEAT_COLORMAPS[0]
        self._images: dict[str, QImage] = {}
        self._cursor: QPointF | None = None
        self.message = ""
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(120, 150)
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    # What is shown ----------------------------------------------------------------------------

    @property
    def pattern(self) -> NDArray | None:
        """The pattern, (h, w)."""
        return self._pattern

    @property
    def heat(self) -> NDArray[np.float32] | None:
        """The heat map over it, float32 (h, w)."""
        return self._heat

    @property
    def network_view(self) -> NetworkView | None:
        """What is drawn in place of the raw pattern, if anything."""
        return self._seen

    @property
    def zones(self) -> ZoneOverlay | None:
        """Bands and zone axes of the pattern, shown or not; None where they are not known."""
        return self._zones

    def set_pattern(self, pattern: NDArray | None) -> None:
        """Show another pattern, without the heat map of the one before."""
        self._pattern = pattern
        self._heat = self._seen = self._zones = None
        self._images = {}
        self.update()

    def set_heat(self, heat: NDArray[np.float32] | None) -> None:
        """Lay a heat map over the pattern, or none."""
        self._heat = heat
        self._images.pop("heat", None)
        self.update()

    def set_network_view(self, seen: NetworkView | None) -> None:
        """Draw the pattern as the network sees it, or (None) raw."""
        self._seen = seen
        self._images.pop("base", None)
        self.update()

    def set_zones(self, zones: ZoneOverlay | None) -> None:
        """Take the bands and zone axes of the pattern, which show once they are switched on."""
        self._zones = zones
        self.update()

    def show_zones(self, shown: bool) -> None:
        """Switch bands and zone axes on or off."""
        self._show_zones = shown
        self.update()

    def set_style(self, opacity: float, colormap: str) -> None:
        """Choose how much the heat map covers (0 to 1), and its colours."""
        if colormap != self._colormap:
            self._images.pop("heat", None)
        self._opacity, self._colormap = opacity, colormap
        self.update()

    def set_message(self, text: str) -> None:
        """Words in place of a pattern."""
        self.message = text
        self.update()

    def picture(self) -> QImage | None:
        """Return what is shown as an image of at least 720 x 720 pixels, without the cursor."""
        if self._pattern is None:
            return None
        height, width = self._pattern.shape
        factor = max(1, -(-_SAVED_EDGE // min(height, width)))
        image = QImage(width * factor, height * factor, QImage.Format.Format_RGB32)
        image.fill(Qt.GlobalColor.black)
        painter = QPainter(image)
        self._paint_pattern(painter, QRectF(0, 0, image.width(), image.height()), factor)
        painter.end()
        return image

    # Geometry ---------------------------------------------------------------------------------

    def sizeHint(self) -> QSize:
        # Little: it takes what the rest of the dock leaves, and that is to fit without scrolling.
        return QSize(300, 170)

    def target(self) -> QRectF:
        """Where on the widget the pattern is drawn."""
        if self._pattern is None:
            return QRectF()
        height, width = self._pattern.shape
        scale = min(self.width() / width, self.height() / height)
        drawn_width, drawn_height = width * scale, height * scale
        left, top = (self.width() - drawn_width) / 2, (self.height() - drawn_height) / 2
        return QRectF(left, top, drawn_width, drawn_height)

    def pixel_at(self, position: QPointF) -> tuple[int, int] | None:
        """Detector row and column at a position on the widget, or None beside the pattern."""
        box = self.target()
        if self._pattern is None or not box.contains(position):
            return None
        height, width = self._pattern.shape
        row = int((position.y() - box.top()) / box.height() * height)
        col = int((position.x() - box.left()) / box.width() * width)
        return min(row, height - 1), min(col, width - 1)

    def hover_text(self) -> str:
        """What is told of the pixel under the mouse."""
        pixel = None if self._cursor is None else self.pixel_at(self._cursor)
        if pixel is None or self._pattern is None:
            return ""
        text = f"row {pixel[0]}, col {pixel[1]}: {self._pattern[pixel]:g}"
        if self._heat is not None:
            text += f" · evidence {self._heat[pixel]:.2f}"
        if self._zones is not None and self._show_zones:
            height, width = self._pattern.shape
            near = self._zones.nearest(*pixel, reach_of((height, width)))
            text += f" · {near}" if near else ""
        return text

    # Events -----------------------------------------------------------------------------------

    def paintEvent(self, event: Any) -> None:
        painter = QPainter(self)
        if self._pattern is None:
            if self.message:
                box = QRectF(self.rect()).adjusted(12, 8, -12, -8)
                flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
                painter.setPen(self.palette().windowText().color())
                painter.drawText(box, int(flags.value), self.message)
            return
        self._paint_pattern(painter, self.target(), self.devicePixelRatioF())
        if self.hasFocus():
            painter.setPen(QPen(self.palette().highlight().color(), 2))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRect(self.target().adjusted(1, 1, -1, -1))
        if text := self.hover_text():
            self._paint_strip(painter, text)

    def mouseMoveEvent(self, event: Any) -> None:
        self._cursor = event.position()
        self.update()

    def leaveEvent(self, event: Any) -> None:
        self._cursor = None
        self.update()

    def keyPressEvent(self, event: Any) -> None:
        step = _ARROWS.get(event.key())
        if step is None or event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier:
            super().keyPressEvent(event)
            return
        self.moved.emit(*step)

    def focusInEvent(self, event: Any) -> None:
        super().focusInEvent(event)
        self.update()

    def focusOutEvent(self, event: Any) -> None:
        super().focusOutEvent(event)
        self.update()

    # Drawing ----------------------------------------------------------------------------------

    def _paint_pattern(self, painter: QPainter, box: QRectF, density: float) -> None:
        assert self._pattern is not None
        height, width = self._pattern.shape
        painter.save()
        painter.setClipRect(box)
        painter.translate(box.topLeft())
        painter.scale(box.width() / width, box.height() / height)
        base, place = self._base_image()
        # Enlarged pixels stay squares; a picture that is reduced must not skip lines.
        reduced = place.width() / base.width() * box.width() / width * density < 1
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, reduced)
        painter.drawImage(place, base)
        if self._heat is not None and self._opacity > 0:
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, True)
            painter.setOpacity(self._opacity)
            painter.drawImage(QRectF(0, 0, width, height), self._heat_image())
        painter.restore()
        if self._zones is not None and self._show_zones:
            paint_zones(painter, self._zones, box, (height, width))

    def _base_image(self) -> tuple[QImage, QRectF]:
        """Grey picture, and where it lies in detector pixels."""
        seen = self._seen
        if "base" not in self._images:
            assert self._pattern is not None
            self._images["base"] = _gray_image(
                gray_levels(self._pattern if seen is None else seen.pixels)
            )
        image = self._images["base"]
        if seen is None:
            return image, QRectF(0, 0, image.width(), image.height())
        edge = seen.scale * len(seen.pixels)
        return image, QRectF(seen.col, seen.row, edge, edge)

    def _heat_image(self) -> QImage:
        if "heat" not in self._images:
            assert self._heat is not None
            colors = heat_colors(self._heat, self._colormap)
            height, width = colors.shape[:2]
            kind = QImage.Format.Format_ARGB32_Premultiplied
            # Qt does not own those bytes: the copy does.
            self._images["heat"] = QImage(colors.tobytes(), width, height, 4 * width, kind).copy()
        return self._images["heat"]

    def _paint_strip(self, painter: QPainter, text: str) -> None:
        metrics = painter.fontMetrics()
        box = QRectF(0, 0, metrics.horizontalAdvance(text) + 10, metrics.height() + 4)
        box.moveBottomLeft(self.target().bottomLeft())
        # Over a picture, whatever the theme: white on dark is what can always be read.
        painter.fillRect(box, QColor(0, 0, 0, 180))
        painter.setPen(QColor("white"))
        painter.drawText(box, int(Qt.AlignmentFlag.AlignCenter.value), text)


def _gray_image(levels: NDArray[np.uint8]) -> QImage:
    height, width = levels.shape
    return QImage(levels.tobytes(), width, height, width, QImage.Format.Format_Grayscale8).copy()
