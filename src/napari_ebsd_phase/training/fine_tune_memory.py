# SPDX-License-Identifier: GPL-3.0-or-later
"""Simulated patterns beside the labelled ones: so that nothing is forgotten, and of own structures.

What a network knew is kept on simulated patterns of other materials: it shall go on saying of them
what it said before. They come from a library of master patterns or, without one, from band patterns
of the package's table of structures, which take a tenth of a second each.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..errors import InputError
from ..preprocessing import Preprocessing
from .band_library import LARGEST, varied_band_pattern
from .band_patterns import atomic_numbers, band_master_pattern
from .library import MasterLibrary, MasterPattern
from .materials import Material, load_materials
from .pattern_stream import PatternStream
from .settings import TrainingSettings
from .split import split_of
from .structures import Structure, load_structures

__all__ = ["SimulatedPatterns", "patterns_of_bundled", "patterns_of_cif", "patterns_of_library"]

PATTERNS = 1024
STRUCTURES = 132  # two of each pair of point group and lattice
_DISTURBED = 0.1
# Conditions that a user's structure is drawn under: energy in keV, Debye-Waller factor, depth.
_CONDITIONS = ((15.0, 0.3, 100.0), (20.0, 0.5, 150.0), (20.0, 1.0, 250.0), (30.0, 0.5, 200.0))


@dataclass(frozen=True, eq=False)
class SimulatedPatterns:
    """Prepared simulated patterns.

    Parameters
    ----------
    inputs
        float32 of shape (n, 1, size, size).
    pairs
        Index into :data:`.decoding.PAIRS`, -1 where there is no single pattern; shape (n,).
    source
        Where they come from, for the card.
    """

    inputs: torch.Tensor
    pairs: torch.Tensor
    source: Mapping[str, Any]

    def sha256(self) -> str:
        """Hash of the patterns and their classes."""
        total = hashlib.sha256(self.inputs.contiguous().numpy().tobytes())
        total.update(self.pairs.numpy().tobytes())
        return total.hexdigest()


def patterns_of_bundled(
    preprocessing: Preprocessing,
    *,
    patterns: int = PATTERNS,
    structures: int = STRUCTURES,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> SimulatedPatterns:
    """Simulated patterns of structures of the package's table, as many of each pair as there are.

    Structures that are kept out of training (:mod:`.split`) take no part here either.

    Parameters
    ----------
    preprocessing
        Of the network.
    patterns, structures
        How many.
    seed
        Of the choice and of the patterns.
    progress
        Called with the structures done and in all.
    """
    masters: list[np.ndarray] = []
    materials: list[Material] = []
    for structure in _turns(seed):
        if len(masters) == structures:
            break
        if not set(structure.species) <= set(atomic_numbers()):
            continue  # deuterium, say, has no scattering factor of its own
        master = varied_band_pattern(structure.uid, 0)
        materials.append(_material(master, (len(masters),)))
        masters.append(master.data)
        if progress:
            progress(len(masters), structures)
    source = {"structures": "of the package's table, split train", "number": len(masters)}
    return _drawn(np.stack(masters), materials, preprocessing, patterns, seed, _DISTURBED, source)


def patterns_of_library(
    path: str | Path, preprocessing: Preprocessing, *, patterns: int = PATTERNS, seed: int = 0
) -> SimulatedPatterns:
    """Simulated patterns of the materials of a library that are for training.

    Parameters
    ----------
    path
        Library of master patterns.
    preprocessing, patterns, seed
        See :func:`patterns_of_bundled`.

    Raises
    ------
    InputError
        If there is no such library, or it has no material for training.
    """
    with MasterLibrary.open(path) as library:
        stack, materials = load_materials(library)
    source = {"library": Path(path).name, "materials": len(materials["train"])}
    return _drawn(stack, materials["train"], preprocessing, patterns, seed, _DISTURBED, source)


def patterns_of_cif(
    paths: Sequence[str | Path], preprocessing: Preprocessing, *, each: int = 128, seed: int = 0
) -> SimulatedPatterns:
    """Simulated patterns of a user's structures.

    Parameters
    ----------
    paths
        CIF files.
    preprocessing, seed
        See :func:`patterns_of_bundled`.
    each
        Patterns of each structure.

    Raises
    ------
    InputError
        If a file cannot be read, see :meth:`.structures.Structure.from_cif`.
    """
    masters: list[np.ndarray] = []
    materials: list[Material] = []
    names: dict[str, str] = {}
    for path in paths:
        structure = Structure.from_cif(path)
        first = len(masters)
        for energy, factor, depth in _CONDITIONS:
            master = band_master_pattern(structure, energy, debye_waller=factor, depth=depth)
            masters.append(master.data)
        materials.append(_material(master, tuple(range(first, len(masters)))))
        names[Path(path).name] = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    if not materials:
        raise InputError("no CIF files to simulate patterns of")
    stack, count = np.stack(masters), each * len(materials)
    source = {"structures": names, "patterns": count}
    return _drawn(stack, materials, preprocessing, count, seed + 1, 0.0, source)


def _turns(seed: int) -> Iterator[Structure]:
    """Structures for training, the pairs of point group and lattice taking turns."""
    rng = np.random.default_rng([seed, 5_000_000])
    by_pair: dict[tuple[str, str], list[Structure]] = {}
    for structure in load_structures():
        train = split_of(structure.formula, structure.space_group) == "train"
        if train and structure.volume <= LARGEST:
            by_pair.setdefault((structure.point_group, structure.bravais), []).append(structure)
    waiting = [[members[i] for i in rng.permutation(len(members))] for members in by_pair.values()]
    while any(waiting):
        yield from [members.pop() for members in waiting if members]


def _material(master: MasterPattern, masters: tuple[int, ...]) -> Material:
    return Material(
        master.structure, master.formula, master.point_group, master.bravais, masters, "table"
    )


def _drawn(
    stack: np.ndarray,
    materials: Sequence[Material],
    preprocessing: Preprocessing,
    patterns: int,
    seed: int,
    disturbed: float,
    source: Mapping[str, Any],
) -> SimulatedPatterns:
    settings = TrainingSettings(
        batch_size=patterns, seed=seed, preprocessing=preprocessing, disturbed=disturbed, easy=0.0
    )
    inputs, pairs = PatternStream(stack, materials, settings).batch(0)
    return SimulatedPatterns(inputs, pairs, source)
