# SPDX-License-Identifier: GPL-3.0-or-later
"""The slower methods, by captum: what changes if the pattern changes.

Each works on one prepared pattern, at a time, with a random generator of its own, so that a pattern
has the same map alone, in a batch, and the next day.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy import ndimage

from ..errors import InputError

if TYPE_CHECKING:
    from .targets import Question

__all__ = ["PERTURBATIONS", "perturbation_map"]

PERTURBATIONS = ("integrated_gradients", "occlusion", "smoothgrad")

_Objective = Callable[[torch.Tensor], torch.Tensor]

_PASSES = 64  # frames that go through the network at once
_BASELINES, _STEPS = 8, 16
_NOISY_COPIES = 64
_NOISE = 0.3  # in units of the local contrast of the pattern
_SMOOTHING = 1.5 / 64  # of the side: single pixels carry no evidence, their neighbourhoods do
_WINDOW, _STRIDE = 3 / 16, 1 / 16  # of the side


def perturbation_map(method: str, pattern: torch.Tensor, question: Question) -> np.ndarray:
    """Map of one prepared pattern.

    Parameters
    ----------
    method
        One of :data:`PERTURBATIONS`.
    pattern
        Network input of shape (1, 1, size, size).
    question
        What is asked, and of which network.

    Returns
    -------
    numpy.ndarray
        float32 of shape (size, size).

    Raises
    ------
    InputError
        If captum is not installed.
    """
    try:
        import captum.attr  # noqa: F401
    except ImportError as error:
        raise InputError(
            f"the method {method} needs captum: pip install 'captum>=0.9,<0.10', or use "
            "the method cam"
        ) from error
    screen = (pattern != 0).to(pattern.dtype)

    classifier = question.classifier

    def scores(frames: torch.Tensor) -> torch.Tensor:
        # Whatever is done to a frame, what lies off the screen is nothing.
        frames = (frames * screen).contiguous(memory_format=torch.channels_last)
        result = classifier.network(frames)
        if classifier.mirrored_views:
            result = (result + classifier.network(frames.flip(-1))) / 2
        return result

    with torch.no_grad():
        log_odds = question.log_odds(scores(pattern))

    def objective(frames: torch.Tensor) -> torch.Tensor:
        return log_odds(scores(frames))

    with torch.enable_grad():
        return _COMPUTE[method](objective, pattern.detach())


def _integrated_gradients(objective: _Objective, pattern: torch.Tensor) -> np.ndarray:
    from captum.attr import IntegratedGradients

    # From frames of the same pixels in random order: as much contrast, and no band. A uniform
    # frame will not do, since networks of lines divide by the contrast.
    rng = np.random.default_rng(0)
    values = pattern.cpu().numpy()
    screen = values != 0
    total = np.zeros(pattern.shape[-2:])
    method = IntegratedGradients(objective)
    for _ in range(_BASELINES):
        shuffled = np.zeros_like(values)
        shuffled[screen] = rng.permutation(values[screen])
        part = method.attribute(
            pattern,
            baselines=torch.from_numpy(shuffled).to(pattern.device),
            n_steps=_STEPS,
            internal_batch_size=_PASSES,
        )
        total += part.detach().cpu().numpy()[0, 0]
    return _smooth(total / _BASELINES)


def _occlusion(objective: _Objective, pattern: torch.Tensor) -> np.ndarray:
    from captum.attr import Occlusion

    size = pattern.shape[-1]
    window, stride = (max(1, round(share * size)) for share in (_WINDOW, _STRIDE))
    with torch.no_grad():
        # Zeros are what lies off the screen: as if the screen had a hole there.
        result = Occlusion(objective).attribute(
            pattern,
            sliding_window_shapes=(1, window, window),
            strides=(1, stride, stride),
            baselines=0.0,
            perturbations_per_eval=_PASSES,
        )
    return np.asarray(result.cpu().numpy()[0, 0], np.float32)


def _smoothgrad(objective: _Objective, pattern: torch.Tensor) -> np.ndarray:
    from captum.attr import Saliency

    rng = np.random.default_rng(0)
    noise = rng.standard_normal((_NOISY_COPIES, *pattern.shape[1:])).astype(np.float32)
    copies = pattern + _NOISE * torch.from_numpy(noise).to(pattern.device)
    gradient = Saliency(objective).attribute(copies.requires_grad_(), abs=False)
    return _smooth(np.abs(gradient.mean(dim=0).cpu().numpy()[0]))


def _smooth(image: np.ndarray) -> np.ndarray:
    sigma = _SMOOTHING * image.shape[-1]
    return np.asarray(ndimage.gaussian_filter(image, sigma), np.float32)


_COMPUTE = {
    "integrated_gradients": _integrated_gradients,
    "occlusion": _occlusion,
    "smoothgrad": _smoothgrad,
}
