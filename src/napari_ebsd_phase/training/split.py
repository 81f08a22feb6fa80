# SPDX-License-Identifier: GPL-3.0-or-later
"""Which materials are for training, for choosing and calibrating, and for tests.

``train``: to train on. ``calibration``: to choose between trials and to calibrate. ``test``: looked
at once, with the final recipe. ``simulator``: the common phases whose master patterns come from
another simulator, EMsoft, too; kept out of training to test on its patterns.

The split is by material: a formula with a space group, whatever the file it came from, the voltage
or the simulator. It is made once from a hash, so it never depends on what happens to be
simulated already, and lies in the repository as ``split.csv``.
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files

__all__ = [
    "SPLITS",
    "assign",
    "decided",
    "entry_key",
    "load_split",
    "material_key",
    "split_of",
]

SPLITS = ("train", "calibration", "test", "simulator")

_TEST_SHARE = 0.2
_LARGEST_TEST = 600.0


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
    materials: Iterable[tuple[str, str, str, float]], fixed: Mapping[str, str]
) -> dict[str, str]:
    """Split materials, stratified by point group and lattice.

    Parameters
    ----------
    materials
        (material key, point group, Bravais lattice, volume of the cell in cubic angstrom) of
        each; keys may repeat.
    fixed
        Materials whose split is decided already.

    Returns
    -------
    dict
        Key to one of :data:`SPLITS`. A stratum of three or more materials has a test material,
        unless all its cells are too large to be simulated in reasonable time.
    """
    strata: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
    for key, point_group, lattice, volume in materials:
        stratum = strata[point_group, lattice]
        stratum[key] = min(volume, stratum.get(key, volume))
    result = {}
    for stratum in strata.values():
        free = stratum.keys() - fixed.keys()
        simulable = sorted(
            (key for key in free if stratum[key] <= _LARGEST_TEST),
            key=lambda key: hashlib.sha256(f"split 2 {key}".encode()).digest(),
        )
        tests = max(round(_TEST_SHARE * len(free)), 1) if len(stratum) >= 3 else 0
        # A stratum keeps at least one material to train on.
        tests = min(tests, len(free) - 1)
        for key in stratum:
            result[key] = fixed.get(key, "train")
        for key in simulable[: max(tests, 0)]:
            result[key] = "test"
    return result


def decided(simulator: Iterable[str]) -> dict[str, str]:
    """Materials whose split is decided beforehand: by what was seen of them.

    Parameters
    ----------
    simulator
        Keys of the materials that another simulator than ours did.

    Returns
    -------
    dict
        Key to split. Materials on which an earlier network was calibrated or tested are for
        calibration: their figures were looked at.
    """
    text = files(__package__).joinpath("looked_at.txt").read_text(encoding="utf-8")
    looked_at = [line for line in text.splitlines() if line and not line.startswith("#")]
    return dict.fromkeys(looked_at, "calibration") | dict.fromkeys(simulator, "simulator")


@cache
def load_split() -> dict[str, str]:
    """Material key to split, as the file in the repository says."""
    text = files(__package__).joinpath("split.csv").read_text(encoding="utf-8")
    return {row["material"]: row["split"] for row in csv.DictReader(text.splitlines())}


def split_of(formula: str, space_group: int) -> str:
    """Split of one material; a material unknown to the split (a user's own) is for training."""
    return load_split().get(material_key(formula, space_group), "train")
