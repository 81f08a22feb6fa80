# SPDX-License-Identifier: GPL-3.0-or-later
"""Picture of a pattern and its heat map, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from scipy.ndimage import gaussian_filter

__all__ = ["write_picture"]

_DPI = 150
_PANEL = 3.4  # inches, the longer side of the pattern
_MARGIN, _GAP, _BAR, _LINE = 0.15, 0.12, 0.14, 0.2  # inches
_LABELS = 0.5  # beside the colour bar
_OPAQUE = 0.85


def write_picture(
    path: Path,
    pattern: np.ndarray,
    heat: np.ndarray,
    screen: np.ndarray,
    lines: Sequence[str],
    label: str,
    background: np.ndarray | None = None,
) -> None:
    """Draw the pattern without its background, and beside it the same under the heat map.

    Parameters
    ----------
    path
        PNG file to write.
    pattern
        Shape (h, w).
    heat
        Shape (h, w), in [0, 1].
    screen
        Shape (h, w), true on the screen; the rest is black.
    lines
        Text above, the first line in bold.
    label
        What the colours mean.
    background
        Static background (h, w), if there is one.
    """
    height, width = (_PANEL * side / max(pattern.shape) for side in pattern.shape)
    above = _MARGIN + len(lines) * _LINE + 0.08
    # Narrow patterns leave room for the text all the same.
    total = (
        max(2 * width + _GAP, 5.2) + 2 * _MARGIN + _GAP + _BAR + _LABELS,
        above + max(height, 1.6) + _MARGIN,
    )
    figure = Figure(figsize=total, dpi=_DPI, facecolor="white")
    canvas = FigureCanvasAgg(figure)

    def place(x: float, y: float, w: float, h: float) -> tuple[float, float, float, float]:
        return x / total[0], 1 - (y + h) / total[1], w / total[0], h / total[1]

    for number, text in enumerate(lines):
        x, y, *_ = place(_MARGIN, _MARGIN + (number + 0.5) * _LINE, 0, 0)
        weight = "normal" if number else "bold"
        figure.text(x, y, text, fontsize=8, fontweight=weight, va="center", parse_math=False)
    values = np.asarray(pattern, dtype=np.float64)
    if background is not None:
        values = np.divide(
            values, background, out=np.full(values.shape, np.nan), where=background > 0
        )
    grey, colors = _grey(values, screen), _colors()
    for number in range(2):
        axes = figure.add_axes(place(_MARGIN + number * (width + _GAP), above, width, height))
        axes.imshow(grey, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        if number:
            axes.imshow(heat, cmap=colors, vmin=0, vmax=1, interpolation="nearest")
        axes.set_axis_off()
    x = _MARGIN + 2 * (width + _GAP)
    bar = figure.add_axes(place(x, above, _BAR, max(height, 1.6)))
    bar.set_facecolor("#808080")
    figure.colorbar(ScalarMappable(Normalize(0, 1), colors), cax=bar, ticks=[0, 0.5, 1])
    bar.tick_params(labelsize=7)
    bar.set_ylabel(label, fontsize=7)
    canvas.print_png(path)


def _grey(values: np.ndarray, screen: np.ndarray) -> np.ndarray:
    """Local contrast in [0, 1], extreme values cut off; bands of a raw frame are too faint."""
    usable = np.isfinite(values) & (np.asarray(screen) != 0)
    if not usable.any():
        return np.zeros(values.shape)
    sigma = max(values.shape) / 12
    weight = gaussian_filter(usable.astype(float), sigma).clip(1e-6)
    values = np.where(usable, values, 0.0)
    values = np.where(usable, values - gaussian_filter(values, sigma) / weight, 0.0)
    spread = np.sqrt(gaussian_filter(values**2, sigma) / weight)
    values /= np.maximum(spread, 0.3 * spread[usable].mean() + 1e-30)
    low, high = np.percentile(values[usable], (0.5, 99.5))
    return np.where(usable, ((values - low) / max(high - low, 1e-30)).clip(0, 1), 0.0)


def _colors() -> ListedColormap:
    """The pattern shows through where there is little evidence."""
    table = mpl.colormaps["inferno"](np.linspace(0.15, 1.0, 256))
    table[:, 3] = _OPAQUE * np.linspace(0, 1, 256) ** 0.6
    return ListedColormap(table)
