# SPDX-License-Identifier: GPL-3.0-or-later
"""From feature maps back to the pixels of the pattern that came from the camera."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from ..errors import InputError
from ..network import Architecture
from ..preprocessing import Fit, divide_background, fit_screen, resampling_matrix
from ..radon import SHORTEST, radon_matrix, wrap_angles
from ..symmetry_maps import cells_of

__all__ = ["lines_to_pixels", "screen_on_detector", "to_detector", "to_input"]

# The first convolution of a network of pixels has five taps and stride two: its cells lie half a
# pixel to the upper left of the middle of the two pixels they stand for.
_STEM_SHIFT = 0.5


def to_input(
    maps: Sequence[torch.Tensor], inputs: torch.Tensor, architecture: Architecture
) -> np.ndarray:
    """Sum of the maps of all stages, on the pixels of the network input.

    Parameters
    ----------
    maps
        Of shape (n, h, w), each stage half as fine as the one before; see
        :func:`.class_activation_maps`.
    inputs
        The prepared patterns (n, 1, size, size).
    architecture
        Of the network.

    Returns
    -------
    numpy.ndarray
        float32 of shape (n, size, size).
    """
    size = inputs.shape[-1]
    if architecture.view == "pixels":
        total = np.zeros((len(inputs), size, size), np.float32)
        for stage, values in enumerate(maps, start=1):
            rows, cols = (_enlarging(n, size, 2**stage, _STEM_SHIFT) for n in values.shape[1:])
            total += rows @ values.cpu().numpy() @ cols.T
        return total
    if architecture.view == "symmetry":
        total = np.zeros((len(inputs), size, size), np.float32)
        screen = inputs[:, 0].cpu().numpy() != 0
        margin, cell = cells_of(size)
        for stage, values in enumerate(maps):
            rows, cols = (_enlarging(n, size, cell * 2**stage, -margin) for n in values.shape[1:])
            total += rows @ values.cpu().numpy() @ cols.T
        return np.asarray(total * screen)
    shape = architecture.offsets, architecture.angles
    lines = np.zeros((len(inputs), *shape), np.float32)
    for stage, values in enumerate(maps, start=1):
        # The neighbours of the first and last angle, so that the angles go round.
        wrapped = wrap_angles(values[:, None])[:, 0].cpu().numpy()
        rows = _enlarging(wrapped.shape[1], shape[0], 2**stage)
        cols = _enlarging(wrapped.shape[2], shape[1], 2**stage, 2**stage)
        lines += rows @ wrapped @ cols.T
    return lines_to_pixels(lines, inputs[:, 0].cpu().numpy() != 0)


def lines_to_pixels(lines: np.ndarray, screen: np.ndarray) -> np.ndarray:
    """Back-projection: each pixel gets the mean of the lines through it.

    Parameters
    ----------
    lines
        Values of shape (n, offsets, angles), see :func:`.radon.radon_matrix`.
    screen
        bool of shape (n, size, size). Lines that are too short on it, which the network does not
        see, take no part.

    Returns
    -------
    numpy.ndarray
        float32 of shape (n, size, size); 0 where no line passes.
    """
    n, size = len(lines), screen.shape[-1]
    matrix = radon_matrix(size, *lines.shape[1:])
    seen = (matrix @ screen.reshape(n, -1).T.astype(np.float32) > SHORTEST).astype(np.float32)
    passing = matrix.T @ seen
    total = matrix.T @ (lines.reshape(n, -1).T * seen)
    mean = np.divide(total, passing, out=np.zeros_like(passing), where=passing > 1e-3)
    return np.ascontiguousarray(mean.T).reshape(n, size, size)


def screen_on_detector(
    shape: tuple[int, int], mask: np.ndarray | None, background: np.ndarray | None
) -> np.ndarray:
    """The pixels that :func:`.prepare` takes, bool of shape (rows, cols).

    Raises
    ------
    InputError
        If mask or background have another shape than the patterns.
    """
    screen = np.ones(shape, bool) if mask is None else np.asarray(mask) != 0
    if screen.shape != shape:
        raise InputError(
            f"the mask has the shape {screen.shape}, the patterns {shape[0]} x {shape[1]} pixels"
        )
    if background is not None:
        nothing = torch.zeros((0, *shape))
        valid = torch.from_numpy(screen.astype(np.float32))
        screen = divide_background(nothing, valid, background)[1].numpy() > 0
    return screen


def to_detector(maps: np.ndarray, screen: np.ndarray) -> np.ndarray:
    """Undo crop and resampling: maps on the network input to maps on detector pixels.

    Parameters
    ----------
    maps
        Shape (n, size, size).
    screen
        The pixels that were prepared, bool of shape (rows, cols).

    Returns
    -------
    numpy.ndarray
        float32 of shape (n, rows, cols); 0 off the screen.
    """
    fit: Fit = fit_screen(screen, maps.shape[-1])
    rows, cols = (
        _shrinking(maps.shape[-1], start, fit.scale, count)
        for start, count in zip((fit.row0, fit.col0), screen.shape, strict=True)
    )
    return np.asarray((rows @ maps @ cols.T) * screen, dtype=np.float32)


def _shrinking(size: int, start: float, scale: float, count: int) -> np.ndarray:
    """Matrix (count, size) from network input to detector pixels: the inverse resampling."""
    matrix = resampling_matrix(size, -start / scale, 1 / scale, count)
    total = matrix.sum(axis=1, keepdims=True)
    return np.divide(matrix, total, out=np.zeros_like(matrix), where=total > 0)


def _enlarging(n_in: int, n_out: int, pitch: float, shift: float = 0.0) -> np.ndarray:
    """Matrix (n_out, n_in) of a linear interpolation; constant beyond the outermost cells.

    Cell ``i`` has its middle at ``(i + 0.5) * pitch - shift`` output pixels.
    """
    at = ((np.arange(n_out) + 0.5 + shift) / pitch - 0.5).clip(0, n_in - 1)
    return np.maximum(0, 1 - np.abs(at[:, None] - np.arange(n_in))).astype(np.float32)
