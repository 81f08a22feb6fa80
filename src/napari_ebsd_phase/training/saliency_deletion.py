# SPDX-License-Identifier: GPL-3.0-or-later
"""The deletion test: what does the network lose with the zone axes, and what with as much else?

A part of the screen is blurred until its bands are gone, and the network is asked again. Parts of
one pattern have equal numbers of pixels, so that only their place differs. But there is more to
blur at a zone axis than elsewhere; so the same parts are also cut until each changes the input of
the network by the same amount.
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

__all__ = ["SHARE", "blurred", "cut_to_equal_change", "discs", "falls", "mask_of", "regions"]

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
        Numbers of `count` pixels, int of shape (count,): disc by disc, and in each from the middle
        outwards. None if all discs together have fewer.
    """
    free = screen.copy()
    order: list[np.ndarray] = []
    room = count
    for centre in centres:
        away = angles_to(directions, centre[None])[0]
        new = (away <= NEAR) & free
        nearest = np.argsort(np.where(new, away, np.inf), axis=None, kind="stable")
        order.append(nearest[: min(room, new.sum())])
        room -= len(order[-1])
        if not room:
            return np.concatenate(order)
        free &= ~new
    return None


def mask_of(pixels: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Pixels by number as bool of shape (h, w)."""
    mask = np.zeros(shape, bool)
    mask.flat[pixels] = True
    return mask


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
        By name numbers of pixels, the first ones first, each of shape (n,): ``zone axes``, discs on
        the axes in their order; ``bands``, discs on centre lines of bands, none of which touches a
        disc on an axis; ``random discs``; and those of `maps`. None for a pattern that does not
        have so much of each.
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
        taken = mask_of(on_axes, screen.shape)
        free = on_band & screen & _clear_of(taken, directions)
        on_bands = discs(directions, rng.permutation(directions[free]), screen & ~taken, count)
    anywhere = discs(directions, rng.permutation(directions[screen]), screen, count)
    if on_bands is None or anywhere is None:
        return None
    found = {"zone axes": on_axes, "bands": on_bands, "random discs": anywhere}
    for name, image in maps.items():
        order = np.argsort(np.where(screen, -image, np.inf), axis=None, kind="stable")
        found[name] = order[:count]
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


def cut_to_equal_change(
    classifier: Classifier, pattern: OrientedPattern, parts: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Cut parts so that blurring any of them changes the network's input by the same amount.

    The amount is that of the part that changes it least, so that no pattern is left out.

    Parameters
    ----------
    classifier
        The network whose input counts.
    pattern
        The pattern.
    parts
        From :func:`regions`.

    Returns
    -------
    dict
        By name, the first pixels of the part: the fewest that change the input by that amount, or
        just short of it where the last pixel of the part takes a little of the change back.
    """
    told: dict[str, Any] = {"background": pattern.background, "mask": pattern.mask}
    shape = pattern.frame.shape
    names = list(parts)
    frame = np.asarray(pattern.frame, np.float32)
    before = prepare(frame[None], classifier.preprocessing, **told).numpy().astype(float)
    gone = blurred(pattern, np.ones(shape, bool))

    def change(counts: np.ndarray) -> np.ndarray:
        masks = [mask_of(parts[name][:n], shape) for name, n in zip(names, counts, strict=True)]
        frames = np.where(np.stack(masks), gone, frame)
        inputs = prepare(frames, classifier.preprocessing, **told).numpy()
        return np.asarray(((inputs - before) ** 2).sum(axis=(1, 2, 3)))

    high = np.array([len(parts[name]) for name in names])
    least = change(high).min()
    low = np.zeros_like(high)  # too few; `high` are enough
    while (high - low > 1).any():
        middle = (low + high) // 2
        enough = change(middle) >= least
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return {name: parts[name][:n] for name, n in zip(names, high, strict=True)}


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
        By name: fall of the class's ``log_odds`` and of its ``probability``; ``change``, the
        squared change of the network's input as a share of its square; ``area``, the share of the
        screen that is blurred.
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
            "area": float(parts[name].sum() / pattern.mask.sum()),
        }
        for i, name in enumerate(parts, start=1)
    }
