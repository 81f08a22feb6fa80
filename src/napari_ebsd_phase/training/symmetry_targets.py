# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the axes and mirror planes of a crystal lie in a pattern: a second thing to learn.

A label says that a crystal has a fourfold axis; this says where in the pattern it is. Learning both
teaches what the label follows from, at many places of each pattern. The places are known exactly,
since the patterns are simulated.

They are given in the space of lines, see :mod:`napari_ebsd_phase.radon`. A mirror plane meets the
screen in a line, which is a point there; an axis meets it in a point, and the lines through a point
are a curve there.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Final, NamedTuple

import numba
import numpy as np

from ..preprocessing import Fit
from ..radon import REACH
from .grid_symmetry import structure_matrix
from .space_groups import space_group_operations

__all__ = ["CHANNELS", "SymmetryElements", "laue_elements", "line_targets"]

CHANNELS: Final = 5
"""Axes of order 2, 3, 4 and 6, and mirror planes."""

_ORDERS: Final = (2, 3, 4, 6)
# Half widths of the marks, in cells of the target.
_BREADTH: Final = 0.7
# Axes this far outside the square of the network's view, as a share of its side, are left out.
_MARGIN: Final = 0.1


class SymmetryElements(NamedTuple):
    """Rotation axes and mirror planes, in the crystal frame (x along a, z along c*).

    Parameters
    ----------
    axes
        (n, 3) unit vectors.
    channels
        (n,) int: place of each axis's order in 2, 3, 4, 6.
    mirrors
        (m, 3) unit normals.
    """

    axes: np.ndarray
    channels: np.ndarray
    mirrors: np.ndarray


@cache
def laue_elements(space_group: int) -> SymmetryElements:
    """Axes and mirror planes of the Laue group of a space group, in its standard setting.

    Of the Laue group, since bands show both sides of a lattice plane alike: a pattern's
    symmetry is that of its Laue group, but for what the dynamical theory adds faintly.
    """
    rotations, _ = space_group_operations(space_group)
    # Any cell of the system will do: angles between axes and x, y, z are the same in all.
    hexagonal = 143 <= space_group <= 194
    basis = structure_matrix((1, 1, 1, 90, 90, 120 if hexagonal else 90))
    inverse = np.linalg.inv(basis)
    axes: list[np.ndarray] = []
    orders: list[int] = []
    for rotation in np.unique(rotations, axis=0):
        matrix = basis @ rotation @ inverse
        matrix = matrix * np.sign(np.linalg.det(matrix))
        angle = math.acos(min(1.0, max(-1.0, (np.trace(matrix) - 1) / 2)))
        if angle < 0.1:
            continue
        values, vectors = np.linalg.eig(matrix)
        axis = np.real(vectors[:, np.argmin(np.abs(values - 1))])
        # The axis of smallest angle has the order; 120 and 240 degrees are of one order.
        order = round(2 * math.pi / angle)
        same = [k for k, known in enumerate(axes) if abs(known @ axis) > 0.999]
        if same:
            orders[same[0]] = max(orders[same[0]], order)
        else:
            axes.append(axis)
            orders.append(order)
    mirrors = [axis for axis, order in zip(axes, orders, strict=True) if order % 2 == 0]
    return SymmetryElements(
        np.array(axes).reshape(-1, 3),
        np.array([_ORDERS.index(order) for order in orders], dtype=np.int64),
        np.array(mirrors).reshape(-1, 3),
    )


def line_targets(
    space_groups: np.ndarray, geometry: np.ndarray, fit: Fit, size: int, cells: tuple[int, int]
) -> np.ndarray:
    """Where axes and mirror planes lie in the space of lines of some patterns.

    Parameters
    ----------
    space_groups
        (k,) int; 0 where nothing is known.
    geometry
        (k, 13), see :func:`.pattern_simulation.simulate_group`.
    fit
        How the screen is laid into the network's input.
    size
        Side of the network's input in pixels.
    cells
        Offsets and angles of the target, whose lines are those of
        :func:`napari_ebsd_phase.radon.radon_matrix`.

    Returns
    -------
    numpy.ndarray
        float32 of shape (k, 5, offsets, angles), from 0 to 1 on an axis or plane; not a number
        where the space group is not known.
    """
    targets = np.zeros((len(space_groups), CHANNELS, *cells), dtype=np.float32)
    for number, (target, given) in enumerate(zip(targets, geometry, strict=True)):
        space_group = int(space_groups[number])
        if space_group == 0:
            target[:] = np.nan
            continue
        elements = laue_elements(space_group)
        _mark(elements.axes, elements.channels, elements.mirrors, given, fit.row0, fit.col0,
              fit.scale, size, target)  # fmt: skip
    return targets


@numba.njit(cache=True, nogil=True, fastmath=True)
def _mark(
    axes: np.ndarray,
    channels: np.ndarray,
    mirrors: np.ndarray,
    geometry: np.ndarray,
    row0: float,
    col0: float,
    scale: float,
    size: int,
    target: np.ndarray,
) -> None:
    """Fill the target (5, offsets, angles) of one pattern; lengths below are those of its input."""
    _, offsets, angles = target.shape
    rotation = geometry[:9].copy().reshape(3, 3)
    centre_x = (geometry[9] - col0) / scale - 0.5 * size
    centre_y = (geometry[10] - row0) / scale - 0.5 * size
    distance, stretch = geometry[11] / scale, geometry[12]
    step = 2.0 * REACH * size / offsets
    sharp = 0.5 / (_BREADTH * _BREADTH)
    for k in range(len(axes)):
        v = rotation.T @ axes[k]
        if abs(v[2]) < 0.1:
            continue
        x = centre_x + v[0] / v[2] * distance
        y = centre_y - v[1] / v[2] * distance / stretch
        if max(abs(x), abs(y)) > (0.5 + _MARGIN) * size:
            continue
        for a in range(angles):
            angle = math.pi * (a + 0.5) / angles
            place = (x * math.cos(angle) + y * math.sin(angle)) / step + 0.5 * offsets - 0.5
            for o in range(offsets):
                value = math.exp(-sharp * (o - place) ** 2)
                if value > target[channels[k], o, a]:
                    target[channels[k], o, a] = value
    for k in range(len(mirrors)):
        v = rotation.T @ mirrors[k]
        # v . (x - centre_x, -(y - centre_y) * stretch, distance) = 0
        nx, ny = v[0], -v[1] * stretch
        length = math.hypot(nx, ny)
        if length < 1e-6:
            continue
        away = (nx * centre_x + ny * centre_y - v[2] * distance) / length
        angle = math.atan2(ny, nx)
        for turn in range(-1, 3):  # the same line, half turns on: the offset changes sign
            a0 = (angle + turn * math.pi) / math.pi * angles - 0.5
            o0 = (away if turn % 2 == 0 else -away) / step + 0.5 * offsets - 0.5
            for a in range(angles):
                near = math.exp(-sharp * (a - a0) ** 2)
                if near < 0.01:
                    continue
                for o in range(offsets):
                    value = near * math.exp(-sharp * (o - o0) ** 2)
                    if value > target[4, o, a]:
                        target[4, o, a] = value
