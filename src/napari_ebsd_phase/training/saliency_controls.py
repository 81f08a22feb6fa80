# SPDX-License-Identifier: GPL-3.0-or-later
"""What a heat map must be told apart from: plain images, and networks that know nothing.

Zone axes are bright, sharp and everywhere. So a map that lies on them may show no more than that it
follows brightness or edges, or that it lies in the middle of the screen. And a heat map that stays
when the weights of its network go does not show what the network has learned (Adebayo et al.,
Sanity checks for saliency maps, NeurIPS 2018).
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import nn

from ..classifier import Classifier
from ..network import SymmetryNet
from ..network_mean import build_network
from ..preprocessing import Preprocessing, prepare
from ..saliency.projection import screen_on_detector, to_detector
from .saliency_measures import rank_correlation

__all__ = [
    "baseline_maps",
    "cascade",
    "likeness",
    "untrained",
]

_GRAIN = 2.0  # pixels of the network input: the finest cells of a heat map are two wide
_WIDTH = 0.25  # of the Gaussian, in sides of a square with the area of the screen


def baseline_maps(
    frame: np.ndarray,
    settings: Preprocessing,
    *,
    mask: np.ndarray | None = None,
    background: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Images that stand in for a heat map, made without any network.

    Parameters
    ----------
    frame
        Shape (h, w).
    settings
        Preprocessing of the network that they are compared with.
    mask, background
        As :func:`napari_ebsd_phase.saliency.explain` gets them.

    Returns
    -------
    dict
        Name to float32 of shape (h, w). ``intensity``: the pattern as the network sees it, local
        mean and contrast evened out, as smooth as the finest cells of a heat map; above the local
        mean it is positive. ``local variance``: its variance in such a neighbourhood. ``centred
        Gaussian``: knows the middle of the screen only.
    """
    screen = screen_on_detector(frame.shape, mask, background)
    inputs = prepare(frame[None], settings, mask=mask, background=background)[0, 0].numpy()
    inside = (inputs != 0).astype(np.float32)
    weight = np.maximum(gaussian_filter(inside, _GRAIN), 1e-3)
    mean = gaussian_filter(inputs, _GRAIN) / weight * inside
    square = gaussian_filter(inputs**2, _GRAIN) / weight * inside
    images = np.stack([mean, np.maximum(square - mean**2, 0)])
    intensity, variance = to_detector(images, screen)
    rows, cols = np.nonzero(screen)
    away = np.hypot(*(n - m for n, m in zip(np.indices(screen.shape), (rows.mean(), cols.mean()),
                                            strict=True)))  # fmt: skip
    gaussian = np.exp(-0.5 * (away / (_WIDTH * np.sqrt(len(rows)))) ** 2) * screen
    return {
        "intensity": intensity,
        "local variance": variance,
        "centred Gaussian": gaussian.astype(np.float32),
    }


def untrained(classifier: Classifier, seed: int) -> Classifier:
    """A network of the same architecture, preprocessing and priors, as training finds it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build_network(classifier.network.architecture.to_dict())
    return Classifier(network, classifier.card, str(classifier.device))


def cascade(classifier: Classifier, seed: int) -> Iterator[tuple[str, Classifier]]:
    """Networks that have forgotten more and more, from the head down to the first layer.

    Parameters
    ----------
    classifier
        The trained network; it stays as it is.
    seed
        Of the values that weights go back to.

    Yields
    ------
    str, Classifier
        The layer that was set back last, and the network: that layer and all behind it are as
        :func:`untrained` has them, those in front of it as trained. The members of a mean forget
        together; the names are those of the deepest.
    """
    blank = untrained(classifier, seed).network
    network = build_network(classifier.network.architecture.to_dict())
    network.load_state_dict(classifier.network.state_dict())
    steps = [_layers(member) for member in network.members]
    fresh = [_layers(member) for member in blank.members]
    deepest = max(steps, key=len)
    for number, (name, _) in enumerate(deepest):
        for mine, others in zip(steps, fresh, strict=True):
            if number < len(mine):
                mine[number][1].load_state_dict(others[number][1].state_dict())
        yield name, Classifier(deepcopy(network), classifier.card, str(classifier.device))


def _layers(network: SymmetryNet) -> list[tuple[str, nn.Module]]:
    """Parts of a network by name, from the head down."""
    layers = list(network.features)
    stem = len(layers) - sum(network.architecture.blocks)
    blocks = [(f"block {i + 1}", layer) for i, layer in enumerate(layers[stem:])]
    return [
        ("head", network.head),
        *reversed(blocks),
        ("first layer", nn.Sequential(*layers[:stem])),
    ]


def likeness(one: np.ndarray, other: np.ndarray, screen: np.ndarray) -> tuple[float, float]:
    """Rank correlation of two heat maps over the pixels of the screen, with sign and without.

    Parameters
    ----------
    one, other
        Signed evidence of shape (h, w).
    screen
        bool of shape (h, w).
    """
    a, b = one[screen], other[screen]
    return rank_correlation(a, b), rank_correlation(np.abs(a), np.abs(b))
