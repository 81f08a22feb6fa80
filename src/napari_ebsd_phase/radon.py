# SPDX-License-Identifier: GPL-3.0-or-later
"""Radon transform of prepared patterns: Kikuchi bands become spots.

A band crosses the whole screen. Summed along itself it stands out of noise that hides it in every
pixel, which is why EBSD finds bands with the Hough transform, the Radon transform's sibling
(Krieger Lassen et al., Scanning Microscopy 6 (1992) 115). Here the transform is one fixed, sparse
matrix in front of the network: gradients run through it, so that evidence in the space of lines is
mapped back to the pixels of the pattern.
"""

from __future__ import annotations

import warnings
from functools import lru_cache

import numpy as np
import torch
from scipy import sparse
from torch import nn

__all__ = ["RadonTransform", "radon_matrix", "wrap_angles"]

# Shorter lines than this, in pixels, cut corners only and are mostly noise.
SHORTEST = 12.0
# Half the diagonal of a square is 0.71 of its side: lines further out cut off slivers.
REACH = 0.6


@lru_cache(maxsize=8)
def radon_matrix(size: int, offsets: int, angles: int) -> sparse.csr_matrix:
    """Matrix that sums the pixels of a square image along lines.

    Parameters
    ----------
    size
        Side of the image in pixels.
    offsets
        Number of signed distances from the image's middle, symmetric about zero.
    angles
        Number of directions in half a turn.

    Returns
    -------
    scipy.sparse.csr_matrix
        float32 of shape (offsets * angles, size * size). Row ``o * angles + a`` is the line with
        normal direction (cos, sin) of angle ``a`` (x to the right, y down), sampled every two
        thirds of a pixel with bilinear interpolation; an image of ones gives its length in pixels.
    """
    step = 2 / 3
    along = np.arange(-0.72 * size, 0.72 * size, step)
    angle = np.pi * (np.arange(angles) + 0.5) / angles
    offset = ((np.arange(offsets) + 0.5) / offsets - 0.5) * 2 * REACH * size
    cos, sin = np.cos(angle)[None, :, None], np.sin(angle)[None, :, None]
    x = size / 2 + offset[:, None, None] * cos - along * sin - 0.5
    y = size / 2 + offset[:, None, None] * sin + along * cos - 0.5
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    line = np.broadcast_to(np.arange(offsets * angles).reshape(offsets, angles, 1), x.shape)
    rows, columns, values = [], [], []
    for down in (0, 1):
        for right in (0, 1):
            i, j = top + down, left + right
            weight = (1 - np.abs(x - j)) * (1 - np.abs(y - i)) * step
            inside = (i >= 0) & (i < size) & (j >= 0) & (j < size) & (weight > 0)
            rows.append(line[inside])
            columns.append((i * size + j)[inside])
            values.append(weight[inside])
    matrix = sparse.coo_matrix(
        (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))),
        shape=(offsets * angles, size * size),
        dtype=np.float32,
    )
    return matrix.tocsr()


def wrap_angles(x: torch.Tensor) -> torch.Tensor:
    """Add the neighbours of the first and last angle: half a turn on, offsets change sign.

    Parameters
    ----------
    x
        (n, channels, offsets, angles).

    Returns
    -------
    torch.Tensor
        (n, channels, offsets, angles + 2).
    """
    return torch.cat([x[..., -1:].flip(2), x, x[..., :1].flip(2)], dim=3)


@lru_cache(maxsize=8)
def _on_device(size: int, offsets: int, angles: int, device: torch.device) -> torch.Tensor:
    """The matrix where it is needed; dense where sparse ones do not work."""
    matrix = radon_matrix(size, offsets, angles)
    if device.type not in ("cpu", "cuda"):
        return torch.from_numpy(matrix.toarray()).to(device)
    with (
        torch.inference_mode(False),  # kept for later calls, which may need gradients
        warnings.catch_warnings(),
    ):
        # Once a process torch says that sparse tensors of this kind may yet change.
        warnings.filterwarnings("ignore", "Sparse CSR tensor support", UserWarning)
        return torch.sparse_csr_tensor(
            torch.from_numpy(matrix.indptr.astype(np.int64)),
            torch.from_numpy(matrix.indices.astype(np.int64)),
            torch.from_numpy(matrix.data),
            size=matrix.shape,
            check_invariants=True,
        ).to(device)


class RadonTransform(nn.Module):
    """Prepared patterns to their sums along lines, in units of their standard deviation.

    Sums are divided by the square root of the line's length on the screen, so that noise has the
    same strength everywhere.

    Parameters
    ----------
    offsets, angles
        See :func:`radon_matrix`.
    """

    def __init__(self, offsets: int, angles: int) -> None:
        super().__init__()
        self.offsets, self.angles = offsets, angles

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, 1, size, size) to (n, 1, offsets, angles)."""
        n, size = x.shape[0], x.shape[-1]
        matrix = _on_device(size, self.offsets, self.angles, x.device)
        with torch.autocast(x.device.type, enabled=False):
            flat = x.float().reshape(n, -1)
            # Neighbours in a batch mostly share a screen, whose line lengths are then needed once.
            screen = flat.detach() != 0
            starts = torch.ones(n, dtype=torch.bool, device=x.device)
            starts[1:] = (screen[1:] != screen[:-1]).any(dim=1)
            both = torch.cat([flat, screen[starts].to(flat.dtype)]).T.contiguous()
            sums = (matrix @ both).T
            length = sums[n:].detach()
            factor = (length > SHORTEST) / torch.sqrt(length + 1.0)
            if len(factor) > 1:
                factor = factor[torch.cumsum(starts, 0) - 1]
            sums = sums[:n] * factor
            # Not `std`, which takes its sums one after the other: ten times as long.
            lines = sums.shape[1]
            power = sums.square().sum(dim=1) - sums.sum(dim=1).square() / lines
            spread = torch.sqrt((power / (lines - 1)).clamp_min(1e-6))[:, None]
            return (sums / spread).reshape(n, 1, self.offsets, self.angles)
