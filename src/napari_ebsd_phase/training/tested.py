# SPDX-License-Identifier: GPL-3.0-or-later
"""Which materials an evaluation tests on, by what the network under test has seen of them.

The split says which materials a recipe keeps out of training; the card of a network says which it
was really trained on. Both must agree that a material is unseen before it is called so.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from ..crystallography import BRAVAIS_LATTICES, POINT_GROUPS
from .materials import Material

__all__ = ["TESTS", "is_other_simulator", "materials_by_test"]

TESTS: Mapping[str, str] = {
    "seen": "seen materials",
    "unseen": "unseen materials",
    "calibration": "calibration materials",
    "unknown": "materials, not known whether seen",
    "simulator": "other simulator",
    "simulator_seen": "other simulator, seen materials",
    "simulator_unknown": "other simulator, not known whether seen",
}
"""Tests on simulated patterns and what they are called in tables.

``seen``: materials that the network was trained on. ``unseen``: of the split ``test``, not trained
on. ``calibration``: of the split ``calibration``, not trained on; they take the place of the unseen
while a recipe is chosen. ``simulator``: EMsoft's patterns of materials that were kept out of
training for this. The others: what a network's card leaves open, or says that it has seen.
"""


def is_other_simulator(simulator: str) -> bool:
    """Whether a master pattern is for the test on another simulator's patterns."""
    return simulator.startswith("EMsoft")


def materials_by_test(
    materials: Mapping[str, Sequence[Material]],
    trained_on: Collection[str] | None,
    *,
    simulators: Sequence[str] | None = None,
    development: bool = False,
    most: int = 200,
) -> dict[str, list[Material]]:
    """Sort the materials of a library into tests.

    Parameters
    ----------
    materials
        By split, from :func:`.materials.load_materials`.
    trained_on
        Keys of the materials that the network was trained on, as its card lists them; None if it
        does not. Nothing is then called seen or unseen.
    simulators
        Simulator of each master pattern that the materials index. None when all come from the
        simulator that training uses: there is then no test on another.
    development
        Leave the splits ``test`` and ``simulator`` alone, and test on ``calibration`` instead.
    most
        Seen materials at most, spread evenly over point groups and lattices.

    Returns
    -------
    dict
        Test (see :data:`TESTS`) to its materials, each with only the master patterns that the
        test is about. Tests without materials are left out.
    """
    known = None if trained_on is None else frozenset(trained_on)
    other = {i for i, name in enumerate(simulators or ()) if is_other_simulator(name)}

    def of(split: str, *, foreign: bool = False) -> list[Material]:
        found = []
        for material in materials.get(split, ()):
            masters = tuple(i for i in material.masters if (i in other) == foreign)
            if masters and material.kind == "dynamical":
                found.append(replace(material, masters=masters))
        return found

    held_out = "calibration" if development else "test"
    tests: dict[str, list[Material]] = {test: [] for test in TESTS}
    if known is None:
        tests["unknown"] = of(held_out)
    else:
        splits = ("train", "calibration") if development else tuple(materials)
        # A network that was trained on everything has seen the materials of all splits.
        seen = [m for split in splits for m in of(split) if m.key in known]
        tests["seen"] = _spread(seen, most)
        held_out_test = "calibration" if development else "unseen"
        tests[held_out_test] = [m for m in of(held_out) if m.key not in known]
    if not development:
        for material in of("simulator", foreign=True):
            if known is None:
                tests["simulator_unknown"].append(material)
            else:
                seen_it = material.key in known
                tests["simulator_seen" if seen_it else "simulator"].append(material)
    return {test: members for test, members in tests.items() if members}


def _spread(materials: Iterable[Material], most: int) -> list[Material]:
    """At most so many, evenly over the materials in the order of their classes."""
    ordered = sorted(
        materials,
        key=lambda m: (POINT_GROUPS.index(m.point_group), BRAVAIS_LATTICES.index(m.bravais), m.key),
    )
    chosen = np.linspace(0, len(ordered) - 1, min(most, len(ordered))).round().astype(int)
    return [ordered[i] for i in chosen]
