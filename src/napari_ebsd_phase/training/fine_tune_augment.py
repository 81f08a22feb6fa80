# SPDX-License-Identifier: GPL-3.0-or-later
"""What else a camera could have made of a prepared pattern.

Gain, offset and gradients are gone when a pattern is prepared, so they need no variation. What is
varied here keeps point group and lattice: the mirror image is that of the mirrored crystal, whose
point group has the same name.
"""

from __future__ import annotations

import math

import torch
from torch.nn import functional

__all__ = ["augment"]

_TURN, _SCALE, _SHIFT = math.radians(6.0), 0.06, 0.06  # of the camera; shift in half frames
_NOISE, _BLUR = 0.4, 0.8


def augment(inputs: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Mirror, turn, scale, shift, blur and add noise, each pattern by itself.

    Parameters
    ----------
    inputs
        Prepared patterns, float32 of shape (n, 1, size, size); zero outside the screen.
    generator
        Source of randomness: the same state gives the same patterns.

    Returns
    -------
    torch.Tensor
        Of the same shape.
    """
    n = len(inputs)

    def uniform(low: float, high: float) -> torch.Tensor:
        return low + (high - low) * torch.rand(n, generator=generator)

    turn, mirror = uniform(-_TURN, _TURN), torch.sign(uniform(-1, 1))
    cosine, sine = torch.cos(turn), torch.sin(turn)
    along, across = 1 + uniform(-_SCALE, _SCALE), 1 + uniform(-_SCALE, _SCALE)
    matrix = torch.stack(
        [
            torch.stack([mirror * along * cosine, -along * sine, uniform(-_SHIFT, _SHIFT)], 1),
            torch.stack([mirror * across * sine, across * cosine, uniform(-_SHIFT, _SHIFT)], 1),
        ],
        dim=1,
    )
    grid = functional.affine_grid(matrix, list(inputs.shape), align_corners=False)
    result = functional.grid_sample(inputs, grid, mode="bilinear", align_corners=False)
    inside = (result != 0).to(result.dtype)
    # Sharp patterns come as often as blurred ones.
    sigma = uniform(-_BLUR, _BLUR).clamp_min(0.05)
    result = _blurred(result, sigma)
    noise = uniform(0, _NOISE).view(-1, 1, 1, 1)
    grain = torch.randn(result.shape, generator=generator)
    return (result + noise * grain) / torch.sqrt(1 + noise**2) * inside


def _blurred(inputs: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """Gaussian blur with a width for each pattern, at the contrast it had before."""
    n = len(inputs)
    taps = torch.arange(-2, 3, dtype=inputs.dtype)
    kernel = torch.exp(-(taps**2) / (2 * sigma[:, None] ** 2))
    kernel = kernel / kernel.sum(dim=1, keepdim=True)
    stacked = inputs.transpose(0, 1)  # each pattern is a channel with a kernel of its own
    result = functional.conv2d(stacked, kernel.view(n, 1, 5, 1), padding=(2, 0), groups=n)
    result = functional.conv2d(result, kernel.view(n, 1, 1, 5), padding=(0, 2), groups=n)
    result = result.transpose(0, 1)
    before, after = (x.square().mean(dim=(1, 2, 3)).sqrt() for x in (inputs, result))
    return result * (before / after.clamp_min(1e-6)).view(-1, 1, 1, 1)
