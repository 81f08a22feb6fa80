# SPDX-License-Identifier: GPL-3.0-or-later
"""How well a master pattern agrees with its image under an operation.

Both are sampled in the same directions all over the sphere, each as a mean over a small disc, so
that the resolution is that of a camera and the same everywhere.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from .frame_kernels import lookup

__all__ = ["correlations", "maps_grid", "sampling_noise"]

DIRECTIONS = 8192
# Resolution of a camera, as a standard deviation: a pixel of 1.2 degrees and optical blur.
RESOLUTION_DEGREES = 0.6
# A master pattern that agrees less with itself is nothing but noise.
LEAST_AGREEMENT = 0.1


def maps_grid(operations: np.ndarray) -> np.ndarray:
    """Which operations map the grid of a master pattern onto itself."""
    integers = np.abs(operations - np.rint(operations)).max(axis=(1, 2)) < 1e-6
    return integers & (np.abs(operations[:, 2, 2]) > 0.5)


def sampling_noise(master: np.ndarray, own: np.ndarray) -> float:
    """1 - correlation that operations off the grid would reach if the crystal had them.

    A generous estimate, the larger of two: what those reach that the crystal has (if they only
    turn about the axis of the grid, this is too little), and the agreement of two halves of the
    grid, the black and the white squares of a chessboard.

    Parameters
    ----------
    master
        (2, n, n) on the square Lambert grid.
    own
        (order, 3, 3): the point operations of the crystal.
    """
    master = np.ascontiguousarray(master, dtype=np.float32)
    row, column = np.indices(master.shape[1:])
    squares = []
    for colour in (0, 1):
        chosen = np.broadcast_to((row + column) % 2 == colour, master.shape).astype(np.float32)
        squares.append(_sample(master * chosen, np.eye(3)) / _sample(chosen, np.eye(3)))
    half = np.corrcoef(*squares)[0, 1]
    agreement = 2 * half / (1 + half)  # two halves together are less noisy than each
    off_grid = own[~maps_grid(own)]
    if len(off_grid):
        agreement = min(agreement, np.median(correlations(master, off_grid[:6])))
    return float(1 - max(agreement, LEAST_AGREEMENT))


def correlations(master: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """Correlation of a master pattern with its image under each of some linear maps.

    Parameters
    ----------
    master
        (2, n, n) on the square Lambert grid.
    maps
        (count, 3, 3) matrices in the crystal frame.

    Returns
    -------
    numpy.ndarray
        (count,) over directions evenly spread on the sphere, at the resolution of a camera.
    """
    master = np.ascontiguousarray(master, dtype=np.float32)
    values = _sample(master, np.eye(3))
    return np.array([np.corrcoef(values, _sample(master, linear))[0, 1] for linear in maps])


def _sample(master: np.ndarray, linear: np.ndarray) -> np.ndarray:
    """Smoothed intensities in the standard directions after a linear map."""
    offsets, weights = _disc()
    out = np.empty(DIRECTIONS)
    _look_around(master, np.ascontiguousarray(linear, dtype=np.float64), offsets, weights, out)
    return out


def _disc() -> tuple[np.ndarray, np.ndarray]:
    """Points of a small disc with weights that add up to a Gaussian, radii in radians."""
    sigma = math.radians(RESOLUTION_DEGREES)
    points, weights = [(0.0, 0.0)], [1.0]
    for ring, count in ((1, 6), (2, 12)):
        radius = 0.95 * ring * sigma
        angles = 2 * np.pi * (np.arange(count) + ring / 2) / count
        points += zip(radius * np.cos(angles), radius * np.sin(angles), strict=True)
        weights += [math.exp(-((radius / sigma) ** 2) / 2)] * count
    return np.array(points), np.array(weights) / sum(weights)


@numba.njit(cache=True, nogil=True, fastmath=True)
def _look_around(
    master: np.ndarray,
    linear: np.ndarray,
    offsets: np.ndarray,
    weights: np.ndarray,
    out: np.ndarray,
) -> None:
    """Weighted mean of a master pattern around each direction of a spiral, after a linear map."""
    count = len(out)
    for k in range(count):
        z = 1.0 - (2.0 * k + 1.0) / count
        rho = math.sqrt(1.0 - z * z)
        # The angle of a spiral of even density, from a beginning that is on no axis.
        turn = 2.399963229728653 * k + 0.1234
        cosine, sine = math.cos(turn), math.sin(turn)
        x, y = rho * cosine, rho * sine
        total = 0.0
        for m in range(len(weights)):
            a, b = offsets[m, 0], offsets[m, 1]
            # Along and across the meridian.
            u = x - a * sine + b * z * cosine
            v = y + a * cosine + b * z * sine
            w = z - b * rho
            p = linear[0, 0] * u + linear[0, 1] * v + linear[0, 2] * w
            q = linear[1, 0] * u + linear[1, 1] * v + linear[1, 2] * w
            r = linear[2, 0] * u + linear[2, 1] * v + linear[2, 2] * w
            scale = 1.0 / math.sqrt(p * p + q * q + r * r)
            total += weights[m] * lookup(master, p * scale, q * scale, r * scale, 1.0)
        out[k] = total
