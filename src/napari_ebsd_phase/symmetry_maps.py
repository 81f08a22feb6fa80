# SPDX-License-Identifier: GPL-3.0-or-later
"""How well a pattern agrees with itself, turned or mirrored about every direction in it.

A rotation axis of the crystal is an axis of its Kikuchi pattern, and a mirror plane a mirror line,
whatever the crystal is made of. So a pattern that is turned by a third of a turn about a threefold
axis agrees with itself. Convolutions cannot find that, since they cannot multiply one part of a
pattern with another; here it is computed. About each of 84 x 84 directions the pattern is sampled
on nine small circles, each circle is taken apart into its angular frequencies, and an n-fold axis
leaves multiples of n only. The network looks at the maps that come of it, which hold little of the
material and all of the symmetry.

Circles on the sphere are circles on the screen only near the projection centre: this view needs to
know it, to some four per cent of the width of the screen.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from .errors import InputError
from .preprocessing import fit_screen
from .symmetry_kernel import (
    ANGLES,
    CHANNELS,
    HARMONICS,
    LANES,
    ORDERS,
    SHARED,
    compare,
    compare_one,
    locate,
)

__all__ = ["CELLS", "VIEW_CHANNELS", "Centre", "SymmetryMaps", "cells_of", "symmetry_maps"]

CELLS: Final = 28
"""Cells along each side of the maps."""
VIEW_CHANNELS: Final = CHANNELS + 2
"""Maps, and the gnomonic coordinates of their cells."""

# Directions along each side of a cell; the best of them counts.
_POOL: Final = 3
# Share of the side of a prepared pattern that the directions cover.
_COVERED: Final = 0.875
_RADII: Final = np.deg2rad([2.5, 4.5, 6.5, 9.0, 11.5, 14.5, 18.0, 22.0, 26.5])
_WEIGHTS: Final = np.sin(_RADII).astype(np.float32)  # a circle counts by its length
# So many patterns are faster together than one after the other; the bits are the same.
_FEW: Final = 13
_CHUNK: Final = 588  # directions at once, where torch does it: seven rows, 50 MB for 16 patterns


class Centre(NamedTuple):
    """Projection centre in the pixels of prepared patterns, from their upper left corner.

    Parameters
    ----------
    x, y
        To the right and down.
    distance
        Of the screen from the source point.
    """

    x: float
    y: float
    distance: float

    @classmethod
    def of_screen(
        cls, projection_centre: tuple[float, float, float], mask: np.ndarray, size: int
    ) -> Centre:
        """Where the projection centre of a frame comes to lie when its screen is prepared.

        Parameters
        ----------
        projection_centre
            (PCx, PCy, PCz) in Bruker's convention: x as a fraction of the width from the left, y as
            a fraction of the height from the top, distance in units of the height.
        mask
            Screen mask of shape (rows, cols), true on the screen.
        size
            Side of the prepared patterns in pixels.

        Raises
        ------
        InputError
            If it is no projection centre that a detector can have.
        """
        x, y, distance = projection_centre
        rows, cols = mask.shape
        fit = fit_screen(mask, size)
        centre = cls(
            (x * cols - fit.col0) / fit.scale,
            (y * rows - fit.row0) / fit.scale,
            distance * rows / fit.scale,
        )
        if not np.isfinite(centre).all() or not 0.05 <= centre.distance / size <= 10.0:
            raise InputError(
                f"{tuple(projection_centre)} is no projection centre of this screen: give "
                "(PCx, PCy, PCz) in Bruker's convention, the distance in units of the height"
            )
        return centre


def symmetry_maps(inputs: torch.Tensor, centre: Centre, *, pool: int = _POOL) -> torch.Tensor:
    """Agreement of patterns with themselves, turned or mirrored about the directions in them.

    Parameters
    ----------
    inputs
        Prepared patterns of shape (n, 1, size, size), zero outside the screen.
    centre
        Their projection centre.
    pool
        Directions along each side of a cell; the best of them counts. Networks are trained with 3;
        1 is nine times as fast and misses most axes by a degree, mirror lines hardly.

    Returns
    -------
    torch.Tensor
        float32 of shape (n, 22, 28, 28). Channels 0 to 3: agreement, from -1 to 1, with the pattern
        turned by 360 degrees over 2, 3, 4 and 6, of circles of 2.5 to 11.5 degrees radius; 4 to 7:
        of 11.5 to 26.5 degrees. 8 to 12: with the mirror image about the best line, and the mean
        over the best 2, 3, 4 and 6 lines at equal angles, inner circles; 13 to 17: outer ones. 18
        and 19: logarithm of the contrast of either. 20, 21: gnomonic x and y, down, of the cell.
    """
    if inputs.device.type == "cpu" and not (inputs.requires_grad and torch.is_grad_enabled()):
        maps = _compiled(inputs, centre, pool)
    else:
        maps = _with_torch(inputs, centre, pool)
    return torch.cat([maps, _coordinates(centre, inputs).expand(len(maps), -1, -1, -1)], dim=1)


class SymmetryMaps(nn.Module):
    """:func:`symmetry_maps` as the first layer of a network, for one projection centre.

    Parameters
    ----------
    centre
        None: not known yet.
    """

    def __init__(self, centre: Centre | None = None) -> None:
        super().__init__()
        self.centre = centre

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, 1, size, size) to (n, 22, 28, 28)."""
        if self.centre is None:
            raise InputError(
                "this network compares patterns with themselves and needs their projection centre: "
                "give it, or use a network that does without"
            )
        return symmetry_maps(x, self.centre)


def cells_of(size: int) -> tuple[float, float]:
    """Where cells lie in a prepared pattern: width of the margin around them, and of each."""
    return (1 - _COVERED) * size / 2, _COVERED * size / CELLS


def _directions(size: int, pool: int) -> np.ndarray:
    """Places of the directions along one side of a prepared pattern, in pixels."""
    side = CELLS * pool
    return (np.arange(side) - (side - 1) / 2) * (_COVERED * size / side) + size / 2


@lru_cache(maxsize=4)
def _places(centre: Centre, size: int, pool: int) -> np.ndarray:
    """Pixel of every sample in a pattern of twice the resolution, (directions, 9, 48)."""
    # One type for all: processes that compile for two of them at once spoil numba's cache.
    places = np.empty(((CELLS * pool) ** 2, len(_RADII), ANGLES), dtype=np.uint32)
    doubled = (2.0 * centre.x, 2.0 * centre.y, 2.0 * centre.distance)
    locate(2 * _directions(size, pool), doubled, _RADII, 2 * size, places)
    places.flags.writeable = False
    return places


def _fine(inputs: torch.Tensor) -> torch.Tensor:
    """Pixels of the patterns at twice their resolution and a zero, (n, 4 * size * size + 1)."""
    fine = functional.interpolate(inputs.float(), scale_factor=2, mode="bilinear")
    return functional.pad(fine.flatten(1), (0, 1))


def _compiled(inputs: torch.Tensor, centre: Centre, pool: int = _POOL) -> torch.Tensor:
    places = _places(centre, inputs.shape[-1], pool)
    maps = torch.empty((len(inputs), CHANNELS, CELLS, CELLS))
    fine = _fine(inputs.detach())
    together = len(inputs) - (len(inputs) % LANES if len(inputs) % LANES < _FEW else 0)
    one = np.empty((LANES, CHANNELS, CELLS, CELLS), dtype=np.float32)
    lanes = np.zeros((fine.shape[1], LANES), dtype=np.float32)
    for start in range(0, together, LANES):
        part = fine[start : min(start + LANES, together)]
        lanes[:, : len(part)] = part.numpy().T
        compare(lanes, places, _WEIGHTS, CELLS * pool, pool, one)
        maps[start : start + len(part)] = torch.from_numpy(one[: len(part)])
    each = np.empty((len(places), CHANNELS), dtype=np.float32)
    for number in range(together, len(inputs)):
        compare_one(fine[number].numpy(), places, _WEIGHTS, each)
        cells = each.reshape(CELLS, pool, CELLS, pool, CHANNELS).max(axis=(1, 3))
        maps[number] = torch.from_numpy(cells).permute(2, 0, 1)
    return maps


def _with_torch(inputs: torch.Tensor, centre: Centre, pool: int = _POOL) -> torch.Tensor:
    """The same by torch's own operations: for other devices, and for gradients."""
    fine = _fine(inputs)
    places = torch.from_numpy(_places(centre, inputs.shape[-1], pool).astype(np.int64)).to(
        fine.device
    )
    weights = torch.from_numpy(_WEIGHTS).to(fine)
    harmonics = np.arange(1, HARMONICS + 1)
    turn = 2 * np.pi * np.outer(np.arange(ANGLES), harmonics) / ANGLES
    transform = _single(np.concatenate([np.cos(turn), -np.sin(turn)], axis=1)).to(fine)
    kept = _single(np.cos(2 * np.pi * harmonics[:, None] / np.array(ORDERS))).to(fine)
    parts = []
    for chosen in places.split(_CHUNK):
        re, im = (fine[:, chosen] @ transform).split(HARMONICS, dim=-1)
        power = (re.square() + im.square()) * weights[:, None]
        real = (re.square() - im.square()) * weights[:, None]
        imaginary = 2 * re * im * weights[:, None]
        turned, mirrored, contrast = [], [], []
        for rings in (slice(0, SHARED + 1), slice(SHARED, None)):
            strength = power[..., rings, :].sum(dim=-2)
            total = strength.sum(dim=-1, keepdim=True) + 1e-2
            turned.append(strength @ kept / total)
            sums = torch.cat(
                [real[..., rings, :].sum(dim=-2), imaginary[..., rings, :].sum(dim=-2)], dim=-1
            )
            best = [(sums @ _lines(order).to(fine)).amax(dim=-1) for order in (1, *ORDERS)]
            mirrored.append(torch.stack(best, dim=-1) / total)
            contrast.append(0.3 * total.log())
        parts.append(torch.cat([*turned, *mirrored, *contrast], dim=-1))
    maps = torch.cat(parts, dim=1).transpose(1, 2).unflatten(2, (CELLS * pool, CELLS * pool))
    return functional.max_pool2d(maps, pool)


@lru_cache(maxsize=8)
def _lines(order: int) -> torch.Tensor:
    """Matrix from squared components to agreement with mirror images, lines of an n-fold axis."""
    harmonics = np.arange(1, HARMONICS + 1)
    turn = 2 * np.pi * np.outer(harmonics, np.arange(ANGLES // order)) / ANGLES
    keep = (harmonics % order == 0)[:, None]
    # An angle a goes to t - a: component m becomes its conjugate times exp(-2 pi i m t / 48).
    both = np.concatenate([np.cos(turn) * keep, -np.sin(turn) * keep])
    return _single(both)


def _single(values: np.ndarray) -> torch.Tensor:
    """A float32 tensor: not every device knows float64."""
    return torch.from_numpy(values.astype(np.float32))


def _coordinates(centre: Centre, inputs: torch.Tensor) -> torch.Tensor:
    size = inputs.shape[-1]
    cells = _directions(size, 1)
    x, y = (cells - centre.x) / centre.distance, (cells - centre.y) / centre.distance
    return _single(np.stack(np.meshgrid(x, y)))[None].to(inputs.device)
