# SPDX-License-Identifier: GPL-3.0-or-later
"""Which materials are for training, for calibration and for tests.

The split is by material: a formula with a space group, whatever the file it came from, the voltage
or the simulator. It is made once from a hash, so it never depends on what happens to be
simulated already, and lies in the repository as ``split.csv``.
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable
from functools import cache
from importlib.resources import files

__all__ = [
    "SPLITS",
    "assign",
    "entry_key",
    "join_mirror_images",
    "load_split",
    "material_key",
    "split_of",
]

SPLITS = ("train", "calibration", "test")

_TEST_SHARE = 0.15
_CALIBRATION_SHARE = 0.08


# The eleven enantiomorphic pairs: the second is the mirror image of the first.
_MIRROR_OF = {78: 76, 95: 91, 96: 92, 145: 144, 153: 151, 154: 152, 170: 169, 172: 171,
              179: 178, 181: 180, 213: 212}  # fmt: skip


def material_key(formula: str, space_group: int) -> str:
    """Name of a material: its elements and counts in one order, and its space group.

    Left and right quartz are one material: simulated patterns are mirrored at random, so a
    network that has seen the one knows the other.

    >>> material_key("TiO2", 136) == material_key("O2Ti", 136)
    True
    >>> material_key("SiO2", 154) == material_key("SiO2", 152)
    True
    """
    return entry_key(formula, _MIRROR_OF.get(space_group, space_group))


def entry_key(formula: str, space_group: int) -> str:
    """Like :func:`material_key`, with the mirror images kept apart."""
    flat = formula
    while match := re.search(r"\(([^()]*)\)(\d*)", flat):
        flat = (
            flat[: match.start()] + match.group(1) * int(match.group(2) or 1) + flat[match.end() :]
        )
    counts: dict[str, int] = defaultdict(int)
    for element, count in re.findall(r"([A-Z][a-z]?)(\d*)", flat):
        counts[element] += int(count or 1)
    return "".join(f"{e}{n}" for e, n in sorted(counts.items())) + f"_{space_group}"


def assign(
    materials: Iterable[tuple[str, str, str]], always_train: frozenset[str] = frozenset()
) -> dict[str, str]:
    """Split materials, stratified by point group and lattice.

    Parameters
    ----------
    materials
        (entry key, point group, Bravais lattice) of each; keys may repeat.
    always_train
        Keys that must be in training (common phases, and those with measured patterns, which
        are therefore reported as seen materials).

    Returns
    -------
    dict
        Key to one of :data:`SPLITS`. A stratum with three or more materials has at least one test
        material; smaller ones are for training only.
    """
    strata: dict[tuple[str, str], set[str]] = defaultdict(set)
    for key, point_group, lattice in materials:
        strata[point_group, lattice].add(key)
    result = {}
    for members in strata.values():
        free = sorted(
            members - always_train, key=lambda k: hashlib.sha256(f"split 1 {k}".encode()).digest()
        )
        tests = max(round(_TEST_SHARE * len(free)), 1) if len(members) >= 3 else 0
        calibrations = round(_CALIBRATION_SHARE * len(free)) if len(members) >= 5 else 0
        for i, key in enumerate(free):
            result[key] = SPLITS[2 if i < tests else 1 if i < tests + calibrations else 0]
        for key in members & always_train:
            result[key] = "train"
    return result


def join_mirror_images(split: dict[str, str]) -> dict[str, str]:
    """From entries to materials: a mirror image joins its twin, and training has precedence.

    Precedence, not a new draw: nothing that a network was trained on becomes a test.
    """
    joined: dict[str, str] = {}
    for key, name in split.items():
        formula, number = key.rsplit("_", 1)
        material = material_key(formula, int(number))
        joined[material] = min(name, joined.get(material, name), key=SPLITS.index)
    return joined


@cache
def load_split() -> dict[str, str]:
    """Material key to split, as the file in the repository says."""
    text = files(__package__).joinpath("split.csv").read_text(encoding="utf-8")
    return {row["material"]: row["split"] for row in csv.DictReader(text.splitlines())}


def split_of(formula: str, space_group: int) -> str:
    """Split of one material; a material unknown to the split (a user's own) is for training."""
    return load_split().get(material_key(formula, space_group), "train")
