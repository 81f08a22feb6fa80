# SPDX-License-Identifier: GPL-3.0-or-later
"""The page that figures of maps are drawn on, measured in inches."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from matplotlib.patches import Rectangle

FONT = "DejaVu Sans"  # comes with matplotlib, and has the overbars


def printable(text: str) -> str:
    """Replace what the font cannot draw, which would be warned about at every drawing."""
    known = get_font(findfont(FONT)).get_charmap()
    return "".join(letter if ord(letter) in known else "?" for letter in text)


class Page:
    """A figure whose places are inches from its upper left corner, on whole dots."""

    def __init__(self, width: float, height: float, dpi: float) -> None:
        self._size = np.round(np.array([width, height]) * dpi)
        self._dpi = dpi
        self.figure = Figure(figsize=tuple(self._size / dpi), dpi=dpi, facecolor="white")
        FigureCanvasAgg(self.figure)

    def _place(
        self, x: float, y: float, width: float, height: float
    ) -> tuple[float, float, float, float]:
        """Return left, bottom, width and height as fractions of the figure."""
        left, top, width, height = (round(v * self._dpi) for v in (x, y, width, height))
        bottom = self._size[1] - top - height
        across, down = self._size.tolist()
        return left / across, bottom / down, width / across, height / down

    def text(
        self, x: float, y: float, text: str, *, size: float, math: bool = False, **style: Any
    ) -> None:
        """Write `text`; `math` allows markup, which names of files must not have."""
        left, bottom, *_ = self._place(x, y, 0, 0)
        style = {"fontsize": size, "family": FONT, "va": "center", **style}
        self.figure.text(left, bottom, text, parse_math=math, **style)

    def box(self, x: float, y: float, width: float, height: float, face: str) -> None:
        """Draw a filled rectangle with a thin outline."""
        left, bottom, w, h = self._place(x, y, width, height)
        self.figure.add_artist(
            Rectangle((left, bottom), w, h, facecolor=face, edgecolor="black", linewidth=0.4)
        )

    def image(self, x: float, y: float, width: float, height: float, image: np.ndarray) -> None:
        """Draw an RGB image, cells with sharp edges."""
        axes = self.figure.add_axes(self._place(x, y, width, height))
        axes.imshow(image, interpolation="nearest", aspect="auto")
        axes.set(xticks=[], yticks=[])
        for spine in axes.spines.values():
            spine.set_linewidth(0.5)
