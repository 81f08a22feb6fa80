# SPDX-License-Identifier: GPL-3.0-or-later
"""The slower methods, by captum: what changes if the pattern changes.

Each works on one prepared pattern, at a time, with a random generator of its own, so that a pattern
has the same map alone, in a batch, and the next day. Between its steps the work can be ended.
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

__all__ = ["PERTURBATIONS", "perturbation_map", "steps_of"]

PERTURBATIONS = ("integrated_gradients", "occlusion", "smoothgrad")

_Objective = Callable[[torch.Tensor], torch.Tensor]
_Advance = Callable[[], None]

_BASELINES, _STEPS = 8, 16
_NOISY_COPIES = 64
_AT_ONCE = 16  # frames that go through the network in one step of the work
_NOISE = 0.3  # in units of the local contrast of the pattern
_SMOOTHING = 1.5 / 64  # of the side: single pixels carry no evidence, their neighbourhoods do
_WINDOW, _STRIDE = 3 / 16, 1 / 16  # of the side


def steps_of(method: str, size: int) -> int:
    """Steps in which the map of one pattern is computed, each some hundredths of a second.

    Parameters
    ----------
    method
        One of :data:`PERTURBATIONS`.
    size
        Side of the network input.
    """
    if method == "integrated_gradients":
        return _BASELINES
    if method == "smoothgrad":
        return -(-_NOISY_COPIES // _AT_ONCE)
    window, stride = _window(size)
    positions = 1 + -(-(size - window) // stride)
    return 1 + -(-(positions**2) // _AT_ONCE)  # the pattern as it is, then with its squares


def perturbation_map(
    method: str, pattern: torch.Tensor, question: Question, advance: _Advance | None = None
) -> np.ndarray:
    """Map of one prepared pattern.

    Parameters
    ----------
    method
        One of :data:`PERTURBATIONS`.
    pattern
        Network input of shape (1, 1, size, size).
    question
        What is asked, and of which network.
    advance
        Called after each of :func:`steps_of`; what it raises ends the work.

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
        return _COMPUTE[method](objective, pattern.detach(), advance or _nothing)


def _nothing() -> None:
    """Nobody watches."""


def _integrated_gradients(
    objective: _Objective, pattern: torch.Tensor, advance: _Advance
) -> np.ndarray:
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
        )
        total += part.detach().cpu().numpy()[0, 0]
        advance()
    return _smooth(total / _BASELINES)


def _occlusion(objective: _Objective, pattern: torch.Tensor, advance: _Advance) -> np.ndarray:
    from captum.attr import Occlusion

    window, stride = _window(pattern.shape[-1])

    def step(frames: torch.Tensor) -> torch.Tensor:
        result = objective(frames)
        advance()
        return result

    with torch.no_grad():
        # Zeros are what lies off the screen: as if the screen had a hole there.
        result = Occlusion(step).attribute(
            pattern,
            sliding_window_shapes=(1, window, window),
            strides=(1, stride, stride),
            baselines=0.0,
            perturbations_per_eval=_AT_ONCE,
        )
    return np.asarray(result.cpu().numpy()[0, 0], np.float32)


def _window(size: int) -> tuple[int, int]:
    """Side of the square that covers, and how far it moves at a time, in pixels."""
    return max(1, round(_WINDOW * size)), max(1, round(_STRIDE * size))


def _smoothgrad(objective: _Objective, pattern: torch.Tensor, advance: _Advance) -> np.ndarray:
    from captum.attr import Saliency

    rng = np.random.default_rng(0)
    noise = rng.standard_normal((_NOISY_COPIES, *pattern.shape[1:])).astype(np.float32)
    total = np.zeros(pattern.shape[-2:])
    for start in range(0, _NOISY_COPIES, _AT_ONCE):
        part = torch.from_numpy(noise[start : start + _AT_ONCE]).to(pattern.device)
        copies = (pattern + _NOISE * part).requires_grad_()
        gradient = Saliency(objective).attribute(copies, abs=False)
        total += gradient.sum(dim=0).cpu().numpy()[0]
        advance()
    return _smooth(np.abs(total / _NOISY_COPIES))


def _smooth(image: np.ndarray) -> np.ndarray:
    sigma = _SMOOTHING * image.shape[-1]
    return np.asarray(ndimage.gaussian_filter(image, sigma), np.float32)


_COMPUTE = {
    "integrated_gradients": _integrated_gradients,
    "occlusion": _occlusion,
    "smoothgrad": _smoothgrad,
}
