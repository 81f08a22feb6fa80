# SPDX-License-Identifier: GPL-3.0-or-later
"""Miller and Miller-Bravais indices in writing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["axis_label", "family_label", "four_axis_indices", "plane_label", "written"]


def four_axis_indices(uvw: NDArray[np.int_]) -> NDArray[np.int_]:
    """Smallest integers [UVTW] of directions [uvw] (n, 3) of a hexagonal cell.

    U = (2u - v)/3, V = (2v - u)/3, T = -(u + v)/3, W = w (International Tables), without common
    divisor.
    """
    u, v, w = np.asarray(uvw).T
    found = np.stack([2 * u - v, 2 * v - u, -u - v, 3 * w], axis=-1)
    divisor = np.gcd.reduce(found, axis=-1, keepdims=True)
    return found // np.maximum(divisor, 1)


def written(indices: NDArray[np.int_]) -> str:
    """Indices in a row, with commas where one has two digits."""
    gap = "," if np.abs(indices).max(initial=0) > 9 else ""
    return gap.join(str(int(index)) for index in indices)


def axis_label(uvw: NDArray[np.int_], hexagonal: bool) -> str:
    """``[1-12]``, or ``[11-20]`` in a hexagonal cell."""
    return f"[{written(four_axis_indices(uvw) if hexagonal else np.asarray(uvw))}]"


def plane_label(hkl: NDArray[np.int_], hexagonal: bool) -> str:
    """``(1-12)``, or ``(10-10)`` in a hexagonal cell."""
    h, k, j = (int(index) for index in hkl)
    indices = [h, k, -h - k, j] if hexagonal else [h, k, j]
    return f"({written(np.array(indices))})"


def family_label(uvw: NDArray[np.int_], *, hexagonal: bool, cubic: bool) -> str:
    """Name of a family after its simplest member: ``<112>``, ``<11-20>``.

    Parameters
    ----------
    uvw
        All members (n, 3).
    hexagonal
        Write four indices.
    cubic
        Write the small indices first, as is the habit for cubic crystals; else the large ones.
    """
    members = four_axis_indices(uvw) if hexagonal else np.asarray(uvw)
    free = members[:, [0, 1, 3]] if hexagonal else members
    order = free if cubic else -free
    keys = (order[:, 2], order[:, 1], order[:, 0], (free < 0).sum(axis=1))
    return f"<{written(members[np.lexsort(keys)[0]])}>"
