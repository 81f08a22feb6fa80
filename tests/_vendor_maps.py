# SPDX-License-Identifier: GPL-3.0-or-later
"""A phase map beside a vendor's, with every kind of agreement in it."""

from __future__ import annotations

from typing import Any

import numpy as np
from diffpy.structure import Lattice, Structure
from orix.crystal_map import CrystalMap, Phase, PhaseList
from orix.quaternion import Rotation

from napari_ebsd_phase.crystallography import (
    BRAVAIS_LATTICES,
    POINT_GROUPS,
    crystal_system,
    laue_group,
)
from napari_ebsd_phase.phase_map import PhaseMap

SHAPE = (4, 5)

#: Vendor's phase of each point: 1 nickel, 2 zinc (no space group), 3 no symmetry, -1 not indexed.
VENDOR = [
    *(1, 1, 1, 1, 1),
    *(2, 2, 2, 2, 2),
    *(-1, -1, 3, 1, 2),
    *(1, 1, 1, 2, -1),
]

#: Our label and its lattice; "" is undecided. The last row is not classified but for its end.
LABELS = [
    *("m-3m cF", "m-3m cI", "Laue m-3m cF", "cubic cF", "432 cF"),
    *("6/mmm hP", "6mm hP", "trigonal hP", "hexagonal hP", " hP"),
    *("m-3m cF", " aP", "mmm oP", "-1 aP", "m-3m cF"),
    *(" aP", " aP", " aP", " aP", "-43m cF"),
]

#: What is to be said of each, in the order of VERDICTS.
EXPECTED = [
    *(1, 2, 1, 1, 3),
    *(1, 1, 3, 1, 5),
    *(4, 6, 7, 3, 3),
    *(0, 0, 0, 0, 4),
]


def members(name: str) -> np.ndarray:
    """Probabilities of the 32 point groups that give the label `name`."""
    if name == "":
        return np.full(32, 1 / 32)
    if name.startswith("Laue "):
        here = [laue_group(group) == name[5:] for group in POINT_GROUPS]
    elif name in POINT_GROUPS:
        here = [group == name for group in POINT_GROUPS]
    else:
        here = [crystal_system(group) == name for group in POINT_GROUPS]
    return np.array(here) / np.sum(here)


def ours(**attributes: Any) -> PhaseMap:
    """Our map; probabilities of labels are 0.97 and less."""
    names = [text.rsplit(" ", 1) for text in LABELS]
    groups = 0.96 * np.array([members(name) for name, _ in names]) + 0.04 / 32
    lattices = np.eye(14)[[BRAVAIS_LATTICES.index(lattice) for _, lattice in names]]
    lattices = 0.9 * lattices + 0.1 / 14
    done = np.array(EXPECTED).reshape(SHAPE) > 0
    quality = np.where(done, 0.8, np.nan)
    groups = np.where(done.ravel()[:, np.newaxis], groups, np.nan).reshape(*SHAPE, 32)
    lattices = np.where(done.ravel()[:, np.newaxis], lattices, np.nan).reshape(*SHAPE, 14)
    values: dict[str, Any] = {
        "step": (0.5, 0.25),
        "units": "um",
        "threshold": 0.6,
        "sources": ["steel.h5oina"],
        "provenance": {"version": "1", "source": "steel.h5oina", "network": "default"},
        "crystal_map": theirs(),
    }
    return PhaseMap(groups, lattices, quality, done, **(values | attributes))


def theirs() -> CrystalMap:
    """The vendor's map."""
    y, x = (index.ravel() for index in np.indices(SHAPE))
    nickel = Structure(lattice=Lattice(3.52, 3.52, 3.52, 90, 90, 90))
    phases = {
        1: Phase("nickel", space_group=225, structure=nickel, color="teal"),
        2: Phase("zinc", point_group="6/mmm"),
        3: Phase("dirt"),
    }
    angles = np.random.default_rng(1).uniform(0.1, 3.0, (20, 3))
    return CrystalMap(
        Rotation.from_euler(angles),
        phase_id=np.array(VENDOR),
        x=x * 0.25,
        y=y * 0.5,
        phase_list=PhaseList(phases),
        scan_unit="um",
    )
