# SPDX-License-Identifier: GPL-3.0-or-later
"""Group the master patterns of a library by material, and the materials by split."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from .library import MasterLibrary
from .split import SPLITS, material_key, split_of

__all__ = ["Material", "load_materials"]


@dataclass(frozen=True)
class Material:
    """Master patterns of one material: indices into a stack, and its classes."""

    key: str
    formula: str
    point_group: str
    bravais: str
    masters: tuple[int, ...]


def load_materials(library: MasterLibrary) -> tuple[np.ndarray, dict[str, list[Material]]]:
    """All master patterns of a library in memory, and its materials by split.

    Parameters
    ----------
    library
        An open library with at least one master pattern.

    Returns
    -------
    stack : numpy.ndarray
        uint8 of shape (m, 2, n, n).
    materials : dict
        Split name to its materials, in the order of their keys.

    Raises
    ------
    InputError
        If the library is empty.
    """
    if not len(library):
        raise InputError(f"{library.path} holds no master patterns: give another library")
    indices: dict[str, list[int]] = defaultdict(list)
    for i, record in enumerate(library.index):
        indices[material_key(record.formula, record.space_group)].append(i)
    stack = np.stack([library.data(i) for i in range(len(library))])
    materials: dict[str, list[Material]] = {split: [] for split in SPLITS}
    for key in sorted(indices):
        first = library.index[indices[key][0]]
        materials[split_of(first.formula, first.space_group)].append(
            Material(key, first.formula, first.point_group, first.bravais, tuple(indices[key]))
        )
    return stack, materials
