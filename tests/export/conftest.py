# SPDX-License-Identifier: GPL-3.0-or-later
"""Maps with probabilities as a network gives them, for all file formats."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from napari_ebsd_phase.crystallography import BRAVAIS_LATTICES, POINT_GROUPS, laue_group
from napari_ebsd_phase.phase_map import PhaseMap


def steel(shape: tuple[int, int] = (12, 20), **attributes: object) -> PhaseMap:
    """Return a map with austenite on the left, ferrite on the right and noise everywhere.

    The point group is clear in the left third, only the Laue group in the middle, and less than
    that in the right third.
    """
    random = np.random.default_rng(7)
    cols = shape[1]
    cubic = np.array([laue_group(name) == "m-3m" for name in POINT_GROUPS])
    alpha = np.full((*shape, 32), 0.02)
    alpha[:, : cols // 3, POINT_GROUPS.index("m-3m")] = 30
    alpha[:, cols // 3 : 2 * cols // 3, cubic] = 10
    alpha[:, 2 * cols // 3 :] = 0.3
    lattice = np.full((*shape, 14), 0.02)
    lattice[:, : cols // 2, BRAVAIS_LATTICES.index("cF")] = 20
    lattice[:, cols // 2 :, BRAVAIS_LATTICES.index("cI")] = 20

    def dirichlet(parameters: np.ndarray) -> np.ndarray:
        gamma = random.standard_gamma(parameters) + 1e-9
        return gamma / gamma.sum(axis=-1, keepdims=True)

    values: dict[str, object] = {
        "step": (0.5, 0.25),
        "units": "um",
        "threshold": 0.6,
        "sources": ["steel, annealed.h5oina"],
        "provenance": {"network": "default", "network_sha256": "0" * 64, "prior": "uniform"},
    }
    return PhaseMap(
        dirichlet(alpha), dirichlet(lattice), random.uniform(size=shape), **(values | attributes)
    )


@pytest.fixture
def make_map() -> Callable[..., PhaseMap]:
    """Return the function that makes such a map, for other shapes and attributes."""
    return steel


@pytest.fixture
def phase_map() -> PhaseMap:
    """A map of 12 x 20 patterns, all classified."""
    return steel()


@pytest.fixture
def partial_map() -> PhaseMap:
    """A map of 12 x 20 patterns of which rows 2 to 5, columns 3 to 12 are classified."""
    whole = steel()
    part = PhaseMap.empty(
        whole.shape, step=whole.step, units="um", threshold=0.6, sources=whole.sources
    )
    here = slice(2, 6), slice(3, 13)
    part.fill(
        *here,
        whole.point_group_probabilities[here],
        whole.bravais_probabilities[here],
        whole.pattern_quality[here],
    )
    return part
