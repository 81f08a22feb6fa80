# SPDX-License-Identifier: GPL-3.0-or-later
"""The deletion test: what does the network lose with the zone axes, and what with as much else?

A part of the screen is blurred until its bands are gone, and the network is asked again. Parts of
one pattern have equal numbers of pixels, so that only their place differs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from scipy.special import expit

from ..classifier import Classifier
from ..preprocessing import prepare
from ..saliency.targets import Question
from .saliency_measures import NEAR, angles_to
from .saliency_sets import PRIOR, OrientedPattern

__all__ = ["SHARE", "blurred", "discs", "falls", "regions"]

SHARE = 0.04
"""Share of the screen that is blurred: four to six zone axes, fewer than most patterns show."""
_ON_BAND = 0.7  # degrees from the centre line of a band
_BLUR = 6.0  # degrees: twice the radius of a disc, wider than nearly all bands


def discs(
    directions: np.ndarray, centres: np.ndarray, screen: np.ndarray, count: int
) -> np.ndarray | None:
    """Discs of :data:`.saliency_measures.NEAR` degrees, one after another, of so many pixels.

    Parameters
    ----------
    directions
        Unit vectors of the pixels, shape (h, w, 3).
    centres
        Unit vectors of the middles of the discs in their order, shape (n, 3).
    screen
        bool of shape (h, w).
    count
        Pixels to take; of the last disc those nearest to its middle.

    Returns
    -------
    numpy.ndarray or None
        bool of shape (h, w) with `count` pixels set; None if all discs together have fewer.
    """
    taken = np.zeros(screen.shape, bool)
    for centre in centres:
        away = angles_to(directions, centre[None])[0]
        new = (away <= NEAR) & screen & ~taken
        room = count - taken.sum()
        if new.sum() >= room:
            nearest = np.argsort(np.where(new, away, np.inf), axis=None, kind="stable")[:room]
            taken.flat[nearest] = True
            return taken
        taken |= new
    return None


def regions(
    pattern: OrientedPattern,
    axes: np.ndarray,
    normals: np.ndarray,
    maps: Mapping[str, np.ndarray],
    rng: np.random.Generator,
    share: float = SHARE,
) -> dict[str, np.ndarray] | None:
    """Parts of the screen of equal area.

    Parameters
    ----------
    pattern
        The pattern.
    axes
        Zone axes, the most important first, unit vectors of shape (n, 3).
    normals
        Normals of the strong bands, unit vectors of shape (m, 3).
    maps
        By name, images (h, w) whose highest pixels are a part too.
    rng
        Source of randomness.
    share
        Of the screen.

    Returns
    -------
    dict or None
        By name bool of shape (h, w): ``zone axes``, discs on the axes in their order; ``bands``,
        discs on centre lines of bands, none of which touches a disc on an axis; ``random discs``;
        and those of `maps`. None for a pattern that does not have so much of each.
    """
    directions, screen = pattern.directions(), np.asarray(pattern.mask, bool)
    count = round(share * screen.sum())
    near_axis = angles_to(directions, axes)
    shown = [i for i in range(len(axes)) if (near_axis[i][screen] <= 1.0).any()]
    on_axes = discs(directions, axes[shown], screen, count)
    if on_axes is None:
        return None
    # Discs on axes that were not taken are left alone as well, where there is room for that.
    on_band = (90 - angles_to(directions, normals)).min(axis=0) <= _ON_BAND
    free = on_band & screen & (near_axis.min(axis=0) > 2 * NEAR)
    on_bands = discs(directions, rng.permutation(directions[free]), screen, count)
    if on_bands is None:
        free = on_band & screen & _clear_of(on_axes, directions)
        on_bands = discs(directions, rng.permutation(directions[free]), screen & ~on_axes, count)
    anywhere = discs(directions, rng.permutation(directions[screen]), screen, count)
    if on_bands is None or anywhere is None:
        return None
    found = {"zone axes": on_axes, "bands": on_bands, "random discs": anywhere}
    for name, image in maps.items():
        highest = np.argsort(np.where(screen, -image, np.inf), axis=None, kind="stable")[:count]
        part = np.zeros(screen.shape, bool)
        part.flat[highest] = True
        found[name] = part
    return found


def _clear_of(taken: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Pixels that are more than the radius of a disc away from some others."""
    near = np.zeros(taken.shape, bool)
    cosine = np.cos(np.deg2rad(NEAR))
    for direction in directions[taken]:
        near |= np.abs(directions @ direction) >= cosine
    return ~near


def blurred(pattern: OrientedPattern, part: np.ndarray) -> np.ndarray:
    """The frame with a part of it blurred; each pixel there is the mean of its surroundings.

    Returns
    -------
    numpy.ndarray
        float32 of shape (h, w).
    """
    level = np.ones(pattern.frame.shape) if pattern.background is None else pattern.background
    flat = np.asarray(pattern.frame, dtype=float) / np.maximum(level, 1e-9)
    _, _, distance = pattern.geometry.pc
    sigma = max(np.tan(np.deg2rad(_BLUR)) * distance * len(flat), 2.0)
    screen = np.asarray(pattern.mask, dtype=float)
    mean = gaussian_filter(flat * screen, sigma) / np.maximum(gaussian_filter(screen, sigma), 1e-6)
    return np.asarray(np.where(part, mean, flat) * level, dtype=np.float32)


def falls(
    classifier: Classifier,
    pattern: OrientedPattern,
    parts: Mapping[str, np.ndarray],
    target: str,
    level: str,
) -> dict[str, dict[str, float]]:
    """What the network loses when parts are blurred.

    Parameters
    ----------
    classifier
        The network that is asked.
    pattern
        The pattern.
    parts
        By name, bool of shape (h, w).
    target, level
        The class.

    Returns
    -------
    dict
        By name: fall of the class's ``log_odds`` and of its ``probability``, and ``change``, the
        squared change of the network's input as a share of its square.
    """
    frames = np.stack(
        [
            np.asarray(pattern.frame, np.float32),
            *(blurred(pattern, part) for part in parts.values()),
        ]
    )
    told: dict[str, Any] = {"background": pattern.background, "mask": pattern.mask}
    scores = torch.from_numpy(classifier.scores(frames, **told).scores).to(classifier.device)
    question = Question(classifier, target, level=level, against=None, prior=PRIOR)
    odds = question.log_odds(scores)(scores).cpu().numpy().astype(float)
    chance = expit(odds)
    inputs = prepare(frames, classifier.preprocessing, **told).numpy().astype(float)
    change = ((inputs - inputs[0]) ** 2).sum(axis=(1, 2, 3)) / (inputs[0] ** 2).sum()
    return {
        name: {
            "log_odds": float(odds[0] - odds[i]),
            "probability": float(chance[0] - chance[i]),
            "change": float(change[i]),
        }
        for i, name in enumerate(parts, start=1)
    }
