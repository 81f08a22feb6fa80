# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the phosphor screen in detector frames: which pixels see diffracted electrons at all."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from .errors import InputError

__all__ = ["find_screen"]

# A dark border is screen shadow when it is below this share of the way from black to the level
# of the screen; measured frames have 0 to 5 % there, the darkest lit corners 15 to 30 %.
_DARK = 0.10
_MIN_BORDER = 0.002  # smaller border areas are dark band edges or dead pixels, not shadow
# A bell-shaped background falls into the corners of a raw frame without a step. Just outside a
# dark border of measured frames the screen has at least 35 % of its level, and the border lies
# within 2 % of black; next to a dark corner of a bell it is 11 to 27 %, and the corner 4 to 8 %.
_STEP = 0.30
_BLACK = 0.03
# The half shadow of measured screens is up to 2.5 % of the frame deep, and at its edge a quarter
# darker than the screen.
_RIM = 0.03
_LIT = 0.92
_MIN_SCREEN = 0.15  # a screen found smaller than this is a wrong guess: use the whole frame


def find_screen(patterns: np.ndarray) -> np.ndarray:
    """Mask of the screen, common to all given frames.

    Two kinds of border are taken away, each only where it is connected to the edge of the frame:
    areas that are exactly constant (cut out, transparent or clipped corners, frames around
    pictures), and areas that are dark and flat (shadow around a round screen).

    Parameters
    ----------
    patterns
        Frames of shape (n, rows, cols) or (rows, cols); a few dozen of one scan are enough.

    Returns
    -------
    numpy.ndarray
        bool of shape (rows, cols), true on the screen. All true when no border is found.

    Raises
    ------
    InputError
        If there are no frames, or the array has another number of axes.
    """
    frames = np.asarray(patterns)
    if frames.ndim == 2:
        frames = frames[None]
    if frames.ndim != 3 or frames.size == 0:
        raise InputError(f"patterns must have the shape (n, rows, cols), not {frames.shape}")
    frames = np.nan_to_num(frames.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    mean = frames.mean(axis=0)
    whole = np.ones(mean.shape, dtype=bool)
    if min(mean.shape) < 8 or float(np.ptp(frames)) == 0.0:
        return whole
    off = _constant_border(frames) | _dark_border(mean)
    if not off.any():
        return whole
    labels, _ = ndimage.label(ndimage.binary_fill_holes(~off))
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    screen = labels == sizes.argmax()
    # Smooth the outline, then step back from it: the rim of a screen is a bright or dark edge.
    step = max(1, round(min(mean.shape) / 64))
    cross = ndimage.generate_binary_structure(2, 1)
    # Padded, since the frame's own edges and corners are not those of the screen.
    padded = np.pad(screen, 4 * step, mode="edge")
    padded = ndimage.binary_opening(padded, cross, iterations=step)
    padded = ndimage.binary_erosion(padded, cross, iterations=step)
    screen = _out_of_the_half_shadow(padded[4 * step : -4 * step, 4 * step : -4 * step], mean)
    return screen if screen.mean() >= _MIN_SCREEN else whole


def _out_of_the_half_shadow(screen: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """The screen without its rim, as far as that is darker than what lies just inside.

    A mount a little in front of the phosphor takes part of the light from the rim. Left in, the rim
    is the strongest contrast of the frame, and what is divided by it loses its bands.
    """
    short = min(mean.shape)
    # Padded, since nothing casts a shadow along the frame's own edge.
    depth = ndimage.distance_transform_edt(np.pad(screen, short, mode="edge"))
    depth = depth[short:-short, short:-short] / short
    inside = screen & (depth > _RIM) & (depth <= 2 * _RIM)
    if screen.all() or not inside.any():
        return screen
    black = float(mean[~screen].min())
    level = float(np.median(mean[inside])) - black
    ring = max(1.0, short / 200) / short
    cut = 0.0
    while cut + ring <= _RIM:
        here = screen & (depth > cut) & (depth <= cut + ring)
        if not here.any() or np.median(mean[here]) - black >= _LIT * level:
            break
        cut += ring
    return screen & (depth > cut)


def _touching_edge(area: np.ndarray) -> np.ndarray:
    """The connected parts of an area that touch the frame's edge and are not tiny."""
    labels, count = ndimage.label(area)
    if count == 0:
        return np.zeros_like(area)
    edge = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    keep = np.bincount(labels.ravel()) >= max(4, _MIN_BORDER * area.size)
    touches = np.zeros(count + 1, dtype=bool)
    touches[np.unique(edge)] = True
    touches[0] = False
    return (touches & keep)[labels]


def _constant_border(frames: np.ndarray) -> np.ndarray:
    """Border pixels that hold one and the same extreme value in every frame."""
    low, high = frames.min(axis=0), frames.max(axis=0)
    still = low == high
    off = np.zeros(still.shape, dtype=bool)
    if not still.any():
        return off
    black, white = float(low.min()), float(high.max())
    for value in (black, white):
        same = still & (low == value)
        # Saturated or empty specks inside the pattern are still: only solid areas count.
        # Padded, since a sliver along the edge of the frame goes on outside it.
        padded = np.pad(same, 2, mode="edge")
        solid = ndimage.binary_opening(padded, np.ones((3, 3), dtype=bool))[2:-2, 2:-2]
        area = _touching_edge(solid)
        if value == white and area.any():
            # Pixels near an overexposed area are nearly white, those near a white margin are not.
            beside = np.median(high[_ring(area, 3)]) if not area.all() else white
            if white - beside < 0.15 * (white - black):
                continue
        off |= area
    return off


def _ring(area: np.ndarray, width: int) -> np.ndarray:
    """Pixels outside an area and `width` steps away from it, or nearer where there are none."""
    distance = ndimage.distance_transform_edt(~area)
    far = min(float(width), float(distance.max()))
    return (distance > far - 1) & (distance <= far) & ~area


def _dark_border(mean: np.ndarray) -> np.ndarray:
    """Border areas that are dark and flat against the middle of the frame."""
    rows, cols = mean.shape
    sigma = max(0.7, min(mean.shape) / 80)
    smooth = ndimage.gaussian_filter(mean, sigma)
    middle = smooth[rows // 4 : -(rows // 4), cols // 4 : -(cols // 4)]
    level, black = float(np.median(middle)), float(smooth.min())
    if level <= black:
        return np.zeros(mean.shape, dtype=bool)
    dark = _touching_edge(smooth < black + _DARK * (level - black))
    if not dark.any() or dark.all():
        return np.zeros(mean.shape, dtype=bool)
    outside = _ring(dark, max(2, round(0.04 * min(mean.shape))))
    scale = level - black
    is_bell = (
        np.median(smooth[outside]) - black < _STEP * scale
        and np.median(smooth[dark]) - black > _BLACK * scale
    )
    if is_bell:
        return np.zeros(mean.shape, dtype=bool)
    # A corner of a background-corrected pattern may be dark too, but it is not flat.
    fine = np.abs(mean - smooth)
    gradient = ndimage.gaussian_gradient_magnitude(mean, sigma)
    core = ndimage.binary_erosion(dark, iterations=max(1, round(sigma)))
    if not core.any():
        return np.zeros(mean.shape, dtype=bool)
    inner = (slice(rows // 4, -(rows // 4)), slice(cols // 4, -(cols // 4)))
    flat = np.median(gradient[core]) < 0.35 * np.median(gradient[inner])
    quiet = np.median(fine[core]) <= max(0.5 * float(np.median(fine[inner])), 1e-6 * level)
    return dark if flat and quiet else np.zeros(mean.shape, dtype=bool)
