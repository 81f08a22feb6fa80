# SPDX-License-Identifier: GPL-3.0-or-later
"""The compiled loop behind :mod:`.symmetry_maps`: sixteen patterns side by side in each register.

All in one file: numba's cache notices that a file has changed, but not one that it imports.
Without `fastmath`, which gains nothing here: what it makes of a sum depends on whether a function
is compiled now or comes from the cache, and an interrupted run must go on in the same bits.
"""

from __future__ import annotations

import math
from typing import Final

import numba
import numpy as np

__all__ = [
    "ANGLES",
    "CHANNELS",
    "HARMONICS",
    "LANES",
    "ORDERS",
    "SHARED",
    "compare",
    "compare_one",
    "locate",
]

LANES: Final = 16
"""Patterns that are worked on together."""
ANGLES: Final = 48
"""Samples of a ring, a multiple of every order."""
HARMONICS: Final = 16
"""Angular frequencies that are kept: 1 to this."""
ORDERS: Final = (2, 3, 4, 6)
CHANNELS: Final = 20
RINGS: Final = 9
SHARED: Final = 4
"""The ring that is both the last inner one and the first outer one."""

_HALF: Final = ANGLES // 2
_QUARTER: Final = ANGLES // 4
_EIGHTH: Final = ANGLES // 8
# Empty rings would be divided by zero; prepared patterns have unit variance.
_LITTLE: Final = np.float32(1e-2)


def _turns(harmonic: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    angle = 2 * np.pi * np.outer(harmonic, np.arange(count)) / ANGLES
    return np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)


_ODD = np.arange(1, HARMONICS + 1, 2)
_TWICE = np.arange(2, HARMONICS + 1, 4)
_FOURFOLD = np.arange(4, HARMONICS + 1, 4)
_ODD_COS, _ODD_SIN = _turns(_ODD, _QUARTER + 1)
_TWICE_COS, _TWICE_SIN = _turns(_TWICE, _EIGHTH + 1)
_FOUR_COS, _FOUR_SIN = _turns(_FOURFOLD, _EIGHTH + 1)
_ALL_COS, _ALL_SIN = _turns(np.arange(1, HARMONICS + 1), ANGLES)
_KEPT = np.stack(
    [np.cos(2 * np.pi * np.arange(1, HARMONICS + 1) / order) for order in ORDERS]
).astype(np.float32)
_MIRRORED = (1, *ORDERS)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _harmonics(f: np.ndarray, re: np.ndarray, im: np.ndarray, work: np.ndarray) -> None:
    """Fourier components 1 to 16 of rings (48, n) by folding them three times.

    Odd components change sign half a turn on and even ones do not, and so on: each fold halves the
    products. `re` and `im` are (16, n), `work` is (50, n). Columns come last and sums over samples
    are short, so that the compiler keeps them in registers.
    """
    n = f.shape[1]
    e, u, v = work[:_HALF], work[_HALF : _HALF + 13], work[_HALF + 13 : _HALF + 26]
    for q in range(n):
        e[0, q] = f[0, q] + f[_HALF, q]
        e[_QUARTER, q] = f[_QUARTER, q] + f[_QUARTER + _HALF, q]
        u[0, q] = f[0, q] - f[_HALF, q]
        v[_QUARTER, q] = f[_QUARTER, q] - f[_QUARTER + _HALF, q]
    for a in range(1, _QUARTER):
        for q in range(n):
            x, y = f[a, q], f[a + _HALF, q]
            z, w = f[_HALF - a, q], f[ANGLES - a, q]
            e[a, q] = x + y
            e[_HALF - a, q] = z + w
            u[a, q] = (x - y) - (z - w)
            v[a, q] = (x - y) + (z - w)
    for k in range(_ODD_COS.shape[0]):
        for q in range(n):
            x, y = u[0, q], np.float32(0)
            for a in range(1, _QUARTER):
                x += _ODD_COS[k, a] * u[a, q]
                y -= _ODD_SIN[k, a] * v[a, q]
            re[2 * k, q] = x
            im[2 * k, q] = y - _ODD_SIN[k, _QUARTER] * v[_QUARTER, q]
    for q in range(n):
        u[0, q] = e[0, q] - e[_QUARTER, q]
        e[0, q] = e[0, q] + e[_QUARTER, q]
        v[_EIGHTH, q] = e[_EIGHTH, q] - e[_EIGHTH + _QUARTER, q]
        e[_EIGHTH, q] = e[_EIGHTH, q] + e[_EIGHTH + _QUARTER, q]
    for a in range(1, _EIGHTH):
        for q in range(n):
            x, y = e[a, q], e[a + _QUARTER, q]
            z, w = e[_QUARTER - a, q], e[_HALF - a, q]
            e[a, q] = x + y
            e[_QUARTER - a, q] = z + w
            u[a, q] = (x - y) - (z - w)
            v[a, q] = (x - y) + (z - w)
    for k in range(_TWICE_COS.shape[0]):
        for q in range(n):
            x, y = u[0, q], np.float32(0)
            for a in range(1, _EIGHTH):
                x += _TWICE_COS[k, a] * u[a, q]
                y -= _TWICE_SIN[k, a] * v[a, q]
            re[4 * k + 1, q] = x
            im[4 * k + 1, q] = y - _TWICE_SIN[k, _EIGHTH] * v[_EIGHTH, q]
    for a in range(1, _EIGHTH):
        for q in range(n):
            x, y = e[a, q], e[_QUARTER - a, q]
            u[a, q] = x + y
            v[a, q] = x - y
    for k in range(_FOUR_COS.shape[0]):
        for q in range(n):
            x, y = e[0, q] + _FOUR_COS[k, _EIGHTH] * e[_EIGHTH, q], np.float32(0)
            for a in range(1, _EIGHTH):
                x += _FOUR_COS[k, a] * u[a, q]
                y -= _FOUR_SIN[k, a] * v[a, q]
            re[4 * k + 3, q] = x
            im[4 * k + 3, q] = y


@numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _sum_rings(values: np.ndarray, sums: np.ndarray) -> None:
    """Sum (9 * 16,) over the inner and the outer five rings, to (2 * 16,)."""
    for p in range(LANES):
        inner, outer = np.float32(0), np.float32(0)
        for r in range(SHARED + 1):
            inner += values[r * LANES + p]
            outer += values[(SHARED + r) * LANES + p]
        sums[p] = inner
        sums[LANES + p] = outer


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _best_mirrors(zr: np.ndarray, zi: np.ndarray, best: np.ndarray) -> None:
    """Highest agreement of rings with their mirror images, for mirror lines of each order.

    The reflection that takes angle a to t - a turns component m into its conjugate times
    exp(-2 pi i m t / 48); lines at all angles of an n-fold axis leave multiples of n only. Half a
    turn on, odd components have changed sign. `zr` and `zi` are (16, n), `best` is (5, n).
    """
    n = zr.shape[1]
    for b in range(5):
        for q in range(n):
            best[b, q] = -1e9
    for t in range(ANGLES // 2):
        for q in range(n):
            one, two, three, six = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
            for j in range(HARMONICS // 2):
                m = 2 * j
                one += _ALL_COS[m, t] * zr[m, q] + _ALL_SIN[m, t] * zi[m, q]
                m = 2 * j + 1
                two += _ALL_COS[m, t] * zr[m, q] + _ALL_SIN[m, t] * zi[m, q]
            best[0, q] = max(best[0, q], two + abs(one))
            best[1, q] = max(best[1, q], two)
    for t in range(ANGLES // 6):
        for q in range(n):
            three, six = np.float32(0), np.float32(0)
            for j in range(3):
                m = 6 * j + 2
                three += _ALL_COS[m, t] * zr[m, q] + _ALL_SIN[m, t] * zi[m, q]
            for j in range(2):
                m = 6 * j + 5
                six += _ALL_COS[m, t] * zr[m, q] + _ALL_SIN[m, t] * zi[m, q]
            best[2, q] = max(best[2, q], six + abs(three))
            best[4, q] = max(best[4, q], six)
    for t in range(ANGLES // 4):
        for q in range(n):
            four = np.float32(0)
            for j in range(4):
                m = 4 * j + 3
                four += _ALL_COS[m, t] * zr[m, q] + _ALL_SIN[m, t] * zi[m, q]
            best[3, q] = max(best[3, q], four)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _judge(f: np.ndarray, weight: np.ndarray, room: tuple, found: np.ndarray) -> None:
    """Agreement of the circles about a direction with themselves, for each of sixteen lanes.

    `f` is (48, 9 * 16), `found` (10, 2 * 16): four turns, five kinds of mirror lines, and strength,
    of inner and then of outer circles. `room` is from :func:`_room`.
    """
    work, re, im, power, zr, zi, sums, best = room
    columns = RINGS * LANES
    _harmonics(f, re, im, work)
    power[:] = 0.0
    for m in range(HARMONICS):
        two, three, four, six = _KEPT[0, m], _KEPT[1, m], _KEPT[2, m], _KEPT[3, m]
        for q in range(columns):
            x, y = re[m, q], im[m, q]
            square = weight[q] * (x * x + y * y)
            im[m, q] = -2 * weight[q] * (x * y)
            re[m, q] = weight[q] * (x * x - y * y)
            power[0, q] += two * square
            power[1, q] += three * square
            power[2, q] += four * square
            power[3, q] += six * square
            power[4, q] += square
    for c in range(5):
        _sum_rings(power[c], sums[c])
    for m in range(HARMONICS):
        _sum_rings(re[m], zr[m])
        _sum_rings(im[m], zi[m])
    _best_mirrors(zr, zi, best)
    for q in range(2 * LANES):
        total = sums[4, q] + _LITTLE
        for c in range(4):
            found[c, q] = sums[c, q] / total
        for c in range(5):
            found[4 + c, q] = best[c, q] / total
        found[9, q] = total


@numba.njit(cache=True, nogil=True)
def _room() -> tuple:
    """Memory for :func:`_judge`."""
    columns = RINGS * LANES
    return (
        np.empty((50, columns), np.float32),
        np.empty((HARMONICS, columns), np.float32),
        np.empty((HARMONICS, columns), np.float32),
        np.empty((5, columns), np.float32),
        np.empty((HARMONICS, 2 * LANES), np.float32),
        np.empty((HARMONICS, 2 * LANES), np.float32),
        np.empty((5, 2 * LANES), np.float32),
        np.empty((5, 2 * LANES), np.float32),
    )


@numba.njit(cache=True, nogil=True, error_model="numpy")
def compare(
    fine: np.ndarray,
    places: np.ndarray,
    weights: np.ndarray,
    side: int,
    pool: int,
    out: np.ndarray,
) -> None:
    """Compare sixteen patterns with themselves, turned and mirrored about many directions.

    Parameters
    ----------
    fine
        Pixels of the patterns, float32 (pixels + 1, 16); the last row is zero.
    places
        Pixel of each sample, (side * side, 9, 48).
    weights
        Of each ring, float32 (9,).
    side, pool
        Directions along each side, and how many of them share one cell.
    out
        float32 (16, 20, side / pool, side / pool), filled.
    """
    f = np.empty((ANGLES, RINGS * LANES), np.float32)
    found = np.empty((10, 2 * LANES), np.float32)
    cell = np.empty((10, 2 * LANES), np.float32)
    weight = np.repeat(weights, LANES)
    room = _room()
    cells = side // pool
    for ci in range(cells):
        for cj in range(cells):
            cell[:] = -1e9
            for k in range(pool * pool):
                at = (ci * pool + k // pool) * side + cj * pool + k % pool
                for a in range(ANGLES):
                    for r in range(RINGS):
                        place = places[at, r, a]
                        for p in range(LANES):
                            f[a, r * LANES + p] = fine[place, p]
                _judge(f, weight, room, found)
                for c in range(10):
                    for q in range(2 * LANES):
                        cell[c, q] = max(cell[c, q], found[c, q])
            for p in range(LANES):
                _write(cell, p, out[p, :, ci, cj])


@numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _write(found: np.ndarray, lane: int, out: np.ndarray) -> None:
    """Enter one lane into the channels of a cell."""
    for g in range(2):
        q = g * LANES + lane
        for c in range(4):
            out[4 * g + c] = found[c, q]
        for c in range(5):
            out[8 + 5 * g + c] = found[4 + c, q]
        out[18 + g] = np.float32(0.3) * np.log(found[9, q])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def compare_one(fine: np.ndarray, places: np.ndarray, weights: np.ndarray, out: np.ndarray) -> None:
    """The same for one pattern, sixteen directions side by side.

    Parameters
    ----------
    fine
        Pixels of the pattern, float32 (pixels + 1,); the last one is zero.
    places, weights
        See :func:`compare`.
    out
        float32 (directions, 20), filled: every direction by itself.
    """
    f = np.empty((ANGLES, RINGS * LANES), np.float32)
    found = np.empty((10, 2 * LANES), np.float32)
    weight = np.repeat(weights, LANES)
    room = _room()
    for first in range(0, len(places), LANES):
        lanes = min(LANES, len(places) - first)
        for p in range(LANES):
            at = first + min(p, lanes - 1)
            for r in range(RINGS):
                for a in range(ANGLES):
                    f[a, r * LANES + p] = fine[places[at, r, a]]
        _judge(f, weight, room, found)
        for p in range(lanes):
            _write(found, p, out[first + p])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def locate(
    at: np.ndarray,
    centre: tuple[float, float, float],
    radii: np.ndarray,
    side: int,
    places: np.ndarray,
) -> None:
    """Pixel of every sample on circles about many directions, in a square image.

    Parameters
    ----------
    at
        Places of the directions along one side, in pixels.
    centre
        Projection centre, to the right and down, and its distance, in pixels.
    radii
        Of the circles, in radians.
    side
        Of the image in pixels.
    places
        (directions squared, circles, 48), filled; side * side is outside.
    """
    n = len(at)
    cos, sin = np.empty(ANGLES), np.empty(ANGLES)
    for a in range(ANGLES):
        cos[a] = math.cos(2 * math.pi * a / ANGLES)
        sin[a] = math.sin(2 * math.pi * a / ANGLES)
    for k in range(n * n):
        x = (at[k % n] - centre[0]) / centre[2]
        y = (at[k // n] - centre[1]) / centre[2]
        z = 1.0 / math.sqrt(x * x + y * y + 1.0)
        x, y = x * z, y * z
        # Two directions at right angles to it: to the side, and down.
        flat = 1.0 / math.sqrt(x * x + z * z)
        ex, ez = z * flat, -x * flat
        sx, sy, sz = y * ez, z * ex - x * ez, -y * ex
        for r in range(len(radii)):
            c, s = math.cos(radii[r]), math.sin(radii[r])
            for a in range(ANGLES):
                depth = c * z + s * (cos[a] * ez + sin[a] * sz)
                places[k, r, a] = side * side
                if depth < 0.1:
                    continue
                column = centre[0] + centre[2] * (c * x + s * (cos[a] * ex + sin[a] * sx)) / depth
                row = centre[1] + centre[2] * (c * y + s * sin[a] * sy) / depth
                if 0 <= column < side and 0 <= row < side:
                    places[k, r, a] = int(row) * side + int(column)
