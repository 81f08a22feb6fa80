# SPDX-License-Identifier: GPL-3.0-or-later
"""Group the master patterns of a library by material, and the materials by split."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from .band_patterns import SIMULATOR
from .derived import parent_of
from .library import MasterLibrary, MasterRecord
from .pseudosymmetry_table import load_verdicts
from .split import SPLITS, material_key, split_of
from .structures import load_structures, structure_by_uid

__all__ = ["KINDS", "Material", "load_materials"]


KINDS = ("dynamical", "table", "derived", "random")
"""Where a material's patterns come from: dynamical simulation of a structure of the table (or of a
user's own), or bands only, of a structure of the table, of one derived from it, or of a random one.
"""


@dataclass(frozen=True)
class Material:
    """Master patterns of one material: indices into a stack, and its classes.

    `apparent` are the point group and lattice that a camera sees where it cannot see the true ones,
    see :mod:`.pseudosymmetry_table`; None where it can. `space_group` is 0 where the setting of the
    structure is not known to be the standard one, so that its axes may lie elsewhere.
    """

    key: str
    formula: str
    point_group: str
    bravais: str
    masters: tuple[int, ...]
    kind: str = "dynamical"
    apparent: tuple[str, str] | None = None
    space_group: int = 0


def _place(record: MasterRecord) -> tuple[str, str, str]:
    """Key, split and kind of the material of a master pattern."""
    if record.simulator != SIMULATOR:
        key = material_key(record.formula, record.space_group)
        return key, split_of(record.formula, record.space_group), "dynamical"
    if record.structure.startswith("r"):
        return record.structure, "train", "random"
    parent = structure_by_uid(parent_of(record.structure))
    # Whatever is made from a structure stays on its side of the split.
    split = split_of(parent.formula, parent.space_group)
    kind = "table" if parent.uid == record.structure else "derived"
    return f"{record.structure} bands", split, kind


def load_materials(
    *libraries: MasterLibrary,
    train_on: Collection[str] = ("train",),
) -> tuple[np.ndarray, dict[str, list[Material]]]:
    """All master patterns of some libraries in memory, and their materials by split.

    Parameters
    ----------
    *libraries
        Open libraries, with at least one master pattern between them, all of one size.
    train_on
        Splits to train on. A network for users is worth more with the common phases that the split
        ``simulator`` keeps for a test; that test is then one of seen materials.

    Returns
    -------
    stack : numpy.ndarray
        uint8 of shape (m, 2, n, n).
    materials : dict
        Split name to its materials, in the order of their keys. Only dynamical patterns are for
        calibration and tests. Structures that no camera can tell from others are left out.

    Raises
    ------
    InputError
        If the libraries are empty, or of several sizes.
    """
    records = [record for library in libraries for record in library.index]
    if not records:
        raise InputError(f"{libraries[0].path} holds no master patterns: give another library")
    shapes = {library.shape for library in libraries if len(library)}
    if len(shapes) > 1:
        raise InputError(f"the libraries hold master patterns of several sizes: {sorted(shapes)}")
    stack = np.empty((len(records), *shapes.pop()), dtype=np.uint8)
    at = 0
    for library in libraries:
        library.read_into(stack[at : at + len(library)])
        at += len(library)
    indices: dict[str, list[int]] = defaultdict(list)
    places = {}
    verdicts = load_verdicts()
    for i, record in enumerate(records):
        key, split, kind = _place(record)
        split = "train" if split in train_on else split
        verdict = verdicts.get(record.structure)
        if verdict is not None and verdict.verdict == "leave out":
            continue
        if kind == "dynamical" or split == "train":
            indices[key].append(i)
            places[key] = split, kind
    materials: dict[str, list[Material]] = {split: [] for split in SPLITS}
    ours = {structure.uid for structure in load_structures()}
    for key in sorted(indices):
        first = records[indices[key][0]]
        split, kind = places[key]
        verdict = verdicts.get(first.structure)
        materials[split].append(
            Material(
                key,
                first.formula,
                first.point_group,
                first.bravais,
                tuple(indices[key]),
                kind,
                None
                if verdict is None
                else (verdict.apparent_point_group, verdict.apparent_bravais),
                first.space_group if first.structure in ours or kind != "dynamical" else 0,
            )
        )
    return stack, materials
