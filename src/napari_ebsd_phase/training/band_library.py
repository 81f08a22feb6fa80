# SPDX-License-Identifier: GPL-3.0-or-later
"""A library of thousands of fast master patterns, for training only.

Structures of the table that are for training, structures derived from them, and random ones; see
:mod:`.band_patterns` for what the patterns lack. Which structures, and under which conditions each
is drawn, follows from their names alone: the same numbers give the same library.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from .band_patterns import band_master_pattern
from .derived import structure_of_uid
from .library import (
    MasterPattern,
    load_master_pattern_stack,
    save_master_pattern_stack,
    write_stacks,
)
from .split import split_of
from .structures import load_structures

__all__ = ["BandLibrarySettings", "build_band_library", "varied_band_pattern"]

CHUNK = 132  # two of each pair in a chunk of random structures
# Larger cells have bands too faint and narrow for the few pixels of a network.
LARGEST = 1500.0


@dataclass(frozen=True)
class BandLibrarySettings:
    """What is in a library of band patterns.

    Parameters
    ----------
    table
        Patterns of each structure of the table, under different conditions.
    derived
        Structures derived from each structure of the table, with a pattern each.
    random
        Random structures; the 66 pairs of point group and lattice take turns.
    splits
        Splits whose structures take part.
    """

    table: int = 1
    derived: int = 4
    random: int = 6600
    splits: tuple[str, ...] = ("train",)

    def names(self) -> list[tuple[str, int]]:
        """Name of each structure, and number of the conditions it is drawn under."""
        parents = [
            s.uid
            for s in load_structures()
            if s.volume <= LARGEST and split_of(s.formula, s.space_group) in self.splits
        ]
        return (
            [(f"r{k:06d}", 0) for k in range(self.random)]
            + [(uid, k) for k in range(self.table) for uid in parents]
            + [(f"{uid}d{k}", 0) for k in range(self.derived) for uid in parents]
        )


def varied_band_pattern(uid: str, number: int, half_size: int = 90) -> MasterPattern:
    """Band pattern of a structure under conditions drawn from its name and a number.

    Energies from 10 to 30 keV, Debye-Waller factors from 0.2 to 1.5 square angstrom, mean depths
    from 6 to 30 nm, and a blur of up to 0.4 degrees.

    Parameters
    ----------
    uid
        Name of the structure, see :func:`.derived.structure_of_uid`.
    number
        Of the conditions.
    half_size
        As in :func:`.band_patterns.band_master_pattern`.

    Raises
    ------
    InputError
        If there is no such structure, or its pattern has no contrast.
    """
    structure = structure_of_uid(uid)
    rng = np.random.default_rng([number, *uid.encode()])

    def log_uniform(low: float, high: float) -> float:
        return float(np.exp(rng.uniform(math.log(low), math.log(high))))

    # Small cells have few reflections: fine ones are cheap, and show.
    dmin = rng.uniform(0.5, 0.8) if structure.volume < 300 else 0.8
    pattern = band_master_pattern(
        structure,
        round(rng.uniform(10, 30), 1),
        half_size,
        dmin=dmin,
        debye_waller=log_uniform(0.2, 1.5),
        depth=log_uniform(60, 300),
        blur=rng.uniform(0.15, 0.4),
        saturation=log_uniform(0.6, 1.7),
        most=500,
    )
    return MasterPattern(**{**vars(pattern), "key": f"{uid}_bands{number}"})


def _chunk(folder: Path, half_size: int, job: tuple[int, Sequence[tuple[str, int]]]) -> list[str]:
    """Make a chunk unless it is there; lines about structures that cannot be done."""
    at, names = job
    # The name tells what is inside: a folder of another recipe is not mistaken for this one's.
    tag = zlib.crc32(repr((names, half_size)).encode())
    target = folder / f"{at:06d}_{tag:08x}.npz"
    failed = []
    if not target.exists():
        patterns = []
        for uid, number in names:
            try:
                patterns.append(varied_band_pattern(uid, number, half_size))
            except InputError as error:
                failed.append(str(error))
        save_master_pattern_stack(patterns, target)
    return failed


def build_band_library(
    target: str | Path,
    settings: BandLibrarySettings | None = None,
    *,
    half_size: int = 90,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> list[str]:
    """Make a library of band patterns; an interrupted run goes on where it was.

    Parameters
    ----------
    target
        Library to write. While it is made, its parts lie in a folder of this name with
        ``.parts``.
    settings
        What is in it.
    half_size
        Patterns have 2 * half_size + 1 points a side.
    workers
        Processes.
    progress
        Called with the structures done and in all.

    Returns
    -------
    list of str
        One line about each structure that was left out in this run.
    """
    target = Path(target)
    names = (settings or BandLibrarySettings()).names()
    if not names:
        raise InputError("a library of no patterns: ask for table, derived or random structures")
    folder = target.with_name(target.name + ".parts")
    folder.mkdir(parents=True, exist_ok=True)
    jobs = [(at, names[at : at + CHUNK]) for at in range(0, len(names), CHUNK)]
    failed: list[str] = []
    with ExitStack() as stack:
        results: Iterable[Any]
        work = partial(_chunk, folder, half_size)
        if workers > 1:
            # Copies of this process (fork) would share locks with threads that they do not have.
            pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
            results = stack.enter_context(pool).map(work, jobs)
        else:
            results = map(work, jobs)
        for done, lines in enumerate(results, start=1):
            failed += lines
            if progress is not None:
                progress(min(done * CHUNK, len(names)), len(names))
    parts = [
        folder / f"{at:06d}_{zlib.crc32(repr((part, half_size)).encode()):08x}.npz"
        for at, part in jobs
    ]
    write_stacks((load_master_pattern_stack(part) for part in parts), target)
    for part in parts:
        part.unlink()
    if not any(folder.iterdir()):
        folder.rmdir()
    return failed
