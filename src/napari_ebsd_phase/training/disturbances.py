# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames that do not hold one Kikuchi pattern: noise, blanks, diffuse rings, two patterns at once.

A network that only ever saw patterns gives each such frame a crystal. These frames teach it, and
test, to say that there is none to name. All go through the camera of
:func:`.pattern_simulation.simulate_group`, as patterns do, by way of master patterns that no
crystal has: a network cannot tell them by how the camera was simulated.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from types import MappingProxyType
from typing import Any

import numba
import numpy as np

from .materials import Material
from .pattern_simulation import Camera, simulate_group

__all__ = ["DISTURBANCES", "draw_disturbances", "draw_disturbed_group"]

DISTURBANCES: Mapping[str, float] = MappingProxyType(
    {"noise": 0.2, "blank": 0.15, "amorphous": 0.2, "overlap": 0.45}
)
"""Kinds, and their shares in training: two patterns at once are the hardest to tell from one."""

# Radial masters: a point every 2 degrees at the pole is enough for smooth rings.
_RINGS = 121
# Two patterns are joined once for this many frames, each of another orientation and camera.
_FRAMES_A_PAIR = 4
# Of the weaker of two patterns; below about a third, the stronger one still counts as a pattern.
_WEIGHTS = (0.35, 0.65)


def draw_disturbances(
    kind: str,
    count: int,
    stack: np.ndarray,
    materials: Sequence[Material],
    camera: Camera,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Frames of one kind, size and screen that a classifier should not name.

    Parameters
    ----------
    kind
        ``noise``: nothing but noise, half of the frames on the bell-shaped background; ``blank``:
        gradients with little or much noise, and frames of one value; ``amorphous``: diffuse rings
        about one axis in gnomonic projection; ``overlap``: two patterns of different orientation,
        of one or two materials, with a weight of 0.35 to 0.65 each.
    count
        Number of frames.
    stack
        Master patterns, uint8 of shape (m, 2, n, n).
    materials
        Whose master patterns overlap; the other kinds need none.
    camera
        Ranges of the camera conditions.
    rng
        Source of randomness: the same state gives the same frames.

    Returns
    -------
    frames : numpy.ndarray
        float32 of shape (count, rows, cols): whole counts, as :func:`.simulate_group` gives them.
    mask : numpy.ndarray
        bool of shape (rows, cols): the screen.

    Raises
    ------
    ValueError
        For an unknown kind.
    """
    if kind == "overlap":
        masters = _overlaps(-(-count // _FRAMES_A_PAIR), stack, materials, rng)
        camera = replace(camera, overlap=0.0)
    elif kind == "amorphous":
        masters = _radial(_ring_profiles(count, rng))
    elif kind == "noise":
        masters = np.zeros((1, 2, 3, 3), dtype=np.uint8)
        camera = replace(camera, raw=0.5)
    elif kind == "blank":
        masters = _radial(_slopes(count, rng))
        if rng.random() < 0.5:  # long exposures: what is left is smooth
            camera = replace(camera, noise=(0.003, 0.05))
    else:
        raise ValueError(f"no kind of disturbance: {kind!r}")
    frames, mask = simulate_group(masters, np.arange(count) % len(masters), camera, rng)
    if kind == "blank":
        for i in np.flatnonzero(rng.random(count) < 0.15):
            frames[i] = _one_value(frames[i], rng)
    return frames, mask


def draw_disturbed_group(
    count: int,
    stack: np.ndarray,
    materials: Sequence[Material],
    camera: Camera,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """A group for training: as :func:`draw_disturbances`, of a kind drawn by its share."""
    kind = rng.choice(list(DISTURBANCES), p=list(DISTURBANCES.values()))
    return draw_disturbances(str(kind), count, stack, materials, camera, rng)


def _one_value(frame: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A dark, saturated or evenly lit frame, exactly so or up to one count."""
    top = float(max(frame.max(), 1.0))
    level = rng.choice([0.0, top, np.floor(rng.uniform(0, top))])
    flicker = rng.integers(0, 2, frame.shape) if rng.random() < 0.5 else np.zeros(frame.shape)
    return (level + flicker).astype(np.float32)


def _radial(profiles: np.ndarray) -> np.ndarray:
    """Master patterns that depend on the angle to one axis only.

    Parameters
    ----------
    profiles
        Shape (count, 2, half + 1): values on both hemispheres, from pole to equator, on the
        equal-area radius of the square Lambert grid.

    Returns
    -------
    numpy.ndarray
        uint8 of shape (count, 2, n, n), n = 2 * half + 1.
    """
    half = profiles.shape[-1] - 1
    steps = np.abs(np.arange(-half, half + 1))
    # On this grid circles of latitude are squares.
    radius = np.maximum(steps[:, None], steps[None, :])
    low = profiles.min(axis=(1, 2), keepdims=True)
    high = profiles.max(axis=(1, 2), keepdims=True)
    values = 255.0 * (profiles - low) / np.maximum(high - low, 1e-9)
    return np.rint(values).astype(np.uint8)[..., radius]


def _angles() -> np.ndarray:
    """Angle to the axis in degrees at the points of a radial profile, shape (2, half + 1)."""
    radius = np.linspace(0.0, 1.0, _RINGS // 2 + 1)
    north = np.rad2deg(np.arccos(1.0 - radius**2))
    return np.stack([north, 180.0 - north])


def _ring_profiles(count: int, rng: np.random.Generator) -> np.ndarray:
    """Diffuse rings: some maxima about an axis, weaker and wider outwards, on a falling slope.

    Both ends of the axis have rings, so that most frames show some of them wherever the axis
    points: close by as circles, far away as arcs.
    """
    angle = np.minimum(_angles(), 180.0 - _angles())[None, :, :, None]
    number = 6
    shape = (count, 1, 1, 1)
    spacing = rng.uniform(8.0, 32.0, shape)
    place = spacing * (np.arange(1, number + 1) + rng.uniform(-0.25, 0.25, (count, 1, 1, number)))
    width = spacing * rng.uniform(0.16, 0.4, shape) * (1.0 + 0.1 * np.arange(number))
    there = rng.random((count, 1, 1, number)) < 0.7
    height = there * rng.uniform(0.3, 1.0, there.shape)
    height *= rng.uniform(0.6, 1.0, shape) ** np.arange(number)
    rings = (height * np.exp(-0.5 * ((angle - place) / width) ** 2)).sum(axis=-1)
    fall = rng.uniform(0.0, 1.5, (count, 1, 1)) * np.exp(-angle[..., 0] / 40.0)
    return rings + fall


def _slopes(count: int, rng: np.random.Generator) -> np.ndarray:
    """Profiles so smooth that a frame shows a gradient, with a maximum at most."""
    cosine = np.cos(np.deg2rad(_angles()))[None]
    second, third = rng.uniform(-0.4, 0.4, (2, count, 1, 1))
    return cosine + second * cosine**2 + third * cosine**3


def _overlaps(
    count: int, stack: np.ndarray, materials: Sequence[Material], rng: np.random.Generator
) -> np.ndarray:
    """Masters that are two master patterns at once, turned against each other."""
    # As often one material as another, however many master patterns it has.
    first, second = np.array(
        [
            [rng.choice(materials[m].masters) for m in rng.integers(len(materials), size=count)]
            for _ in range(2)
        ]
    )
    second = np.where(rng.random(count) < 0.5, first, second)  # two grains of one phase
    n = stack.shape[-1]
    masters = np.empty((count, 2, n, n), dtype=np.uint8)
    for k in range(count):
        rotation = np.linalg.qr(rng.standard_normal((3, 3)))[0]
        _join(
            stack[first[k]],
            stack[second[k]],
            rotation.astype(np.float32),
            _directions(n),
            rng.uniform(*_WEIGHTS),
            masters[k],
        )
    return masters


@cache
def _directions(n: int) -> np.ndarray:
    """Unit vectors of the northern hemisphere's grid points, float32 of shape (n, n, 3).

    The inverse of the square Lambert projection of Rosca (2010).
    """
    v, u = np.meshgrid(np.linspace(-1, 1, n), np.linspace(-1, 1, n), indexing="ij")
    large, small = np.where(np.abs(u) >= np.abs(v), (u, v), (v, u))
    ratio = np.divide(small, large, out=np.zeros_like(u), where=large != 0)
    ring = large * np.sqrt(2.0 - large**2)
    along, across = ring * np.cos(np.pi / 4 * ratio), ring * np.sin(np.pi / 4 * ratio)
    x, y = np.where(np.abs(u) >= np.abs(v), (along, across), (across, along))
    return np.stack([x, y, 1.0 - large**2], axis=-1).astype(np.float32)


@numba.njit(cache=True, nogil=True, fastmath=True)
def _join(
    first: np.ndarray,
    second: np.ndarray,
    rotation: np.ndarray,
    directions: np.ndarray,
    weight: float,
    out: np.ndarray,
) -> None:
    """Fill a master (2, n, n) with the weighted mean of one and of another that is turned.

    Both are brought to the same contrast first, so that the weight is that of what is seen.
    """
    n = first.shape[1]
    half = np.float32(0.5 * (n - 1))
    quarter = np.float32(4.0 / math.pi)
    one, zero = np.float32(1.0), np.float32(0.0)
    # Every ninth point tells the contrast well enough.
    share = np.float32(weight / max(first[:, ::3, ::3].std(), 1e-6))
    other = np.float32((1.0 - weight) / max(second[:, ::3, ::3].std(), 1e-6))
    field = np.empty((2, n, n), dtype=np.float32)
    for h in range(2):
        for i in range(n):
            for j in range(n):
                a, b, c = directions[i, j, 0], directions[i, j, 1], directions[i, j, 2]
                if h == 1:
                    c = -c
                x = rotation[0, 0] * a + rotation[0, 1] * b + rotation[0, 2] * c
                y = rotation[1, 0] * a + rotation[1, 1] * b + rotation[1, 2] * c
                z = rotation[2, 0] * a + rotation[2, 1] * b + rotation[2, 2] * c
                g = 0 if z >= zero else 1
                radius = math.sqrt(max(one - abs(z), zero))
                if abs(x) >= abs(y):
                    u: Any = math.copysign(radius, x)
                    v: Any = u * quarter * math.atan(y / x) if x != zero else zero
                else:
                    v = math.copysign(radius, y)
                    u = v * quarter * math.atan(x / y)
                column = min(max((u + one) * half, zero), np.float32(n - 1.001))
                row = min(max((v + one) * half, zero), np.float32(n - 1.001))
                k, m = int(row), int(column)
                p, q = np.float32(row - k), np.float32(column - m)
                top = (one - q) * second[g, k, m] + q * second[g, k, m + 1]
                bottom = (one - q) * second[g, k + 1, m] + q * second[g, k + 1, m + 1]
                value = (one - p) * top + p * bottom
                field[h, i, j] = share * first[h, i, j] + other * value
    low = field.min()
    scale = np.float32(255.0) / max(field.max() - low, np.float32(1e-6))
    for h in range(2):
        for i in range(n):
            for j in range(n):
                out[h, i, j] = np.uint8((field[h, i, j] - low) * scale + np.float32(0.5))
