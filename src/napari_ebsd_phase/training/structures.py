# SPDX-License-Identifier: GPL-3.0-or-later
"""Crystal structures that master patterns are simulated from.

The package brings a table of ordered structures of all 32 point groups and 14 Bravais lattices
(``structures.jsonl``). Each row holds facts of one published structure, cell and positions, and
names where they were taken from. A structure of one's own comes from a CIF file.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from math import gcd
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ebsd_phase.crystallography import (
    BRAVAIS_LATTICES,
    COMPATIBLE,
    POINT_GROUPS,
    bravais_lattice_of_space_group,
    point_group_of_space_group,
)
from napari_ebsd_phase.errors import InputError

if TYPE_CHECKING:
    from orix.crystal_map import Phase

__all__ = [
    "Structure",
    "chemical_formula",
    "find_structures",
    "known_structures",
    "load_structures",
    "phase_of",
    "structure_by_uid",
]


@dataclass(frozen=True)
class Structure:
    """One ordered crystal structure: a conventional cell with all its atoms.

    Parameters
    ----------
    uid
        Name of the structure within this package, like ``"s0042"``; for a structure read from a
        file, the file's name without suffix.
    id
        Name of the structure where it was taken from.
    source, licence
        Where the facts were taken from, and the terms given there.
    formula
        Chemical formula.
    space_group
        International number, 1 to 230.
    point_group, bravais
        As in :mod:`napari_ebsd_phase.crystallography`.
    centring
        Letter of the conventional cell: P, A, C, I, F or R (hexagonal axes).
    cell
        a, b, c in angstrom, alpha, beta, gamma in degrees.
    volume
        Volume of the cell in cubic angstrom.
    species, positions
        Element and fractional coordinates of every atom of the cell.
    """

    uid: str
    id: str
    source: str
    licence: str
    formula: str
    space_group: int
    point_group: str
    bravais: str
    centring: str
    cell: tuple[float, ...]
    volume: float
    species: tuple[str, ...]
    positions: tuple[tuple[float, float, float], ...]

    @classmethod
    def from_dict(cls, row: dict[str, Any]) -> Structure:
        """Structure from a row of the table, as :mod:`json` reads it."""
        return cls(
            **row
            | {
                "cell": tuple(row["cell"]),
                "species": tuple(row["species"]),
                "positions": tuple(tuple(position) for position in row["positions"]),
            }
        )

    @classmethod
    def from_cif(cls, path: str | Path) -> Structure:
        """Read an ordered structure, in the standard setting of its space group, from a CIF file.

        Parameters
        ----------
        path
            File; its first structure is read.

        Raises
        ------
        InputError
            If the file cannot be read, or its structure is disordered or in another setting.
        """
        from .._sources.cif import read_cif

        path = Path(path)
        if not path.is_file():
            raise InputError(f"{path}: no such file; give a CIF file")
        atoms, parser = read_cif(path)
        if not atoms or any(atom.occupancy != 1 for atom in atoms):
            raise InputError(
                f"{path}: every site must hold one kind of atom; give an ordered structure"
            )
        number = parser.spacegroup.number
        if not 1 <= number <= 230:
            raise InputError(
                f"{path}: space group {parser.spacegroup.short_name} is not in its standard "
                "setting; convert the cell first (rhombohedral cells to hexagonal axes)"
            )
        species = tuple(re.sub(r"[^A-Za-z].*", "", atom.element) for atom in atoms)
        return cls(
            uid=path.stem,
            id=path.stem,
            source=path.name,
            licence="",
            formula=chemical_formula(species),
            space_group=number,
            point_group=point_group_of_space_group(number),
            bravais=bravais_lattice_of_space_group(number),
            centring=parser.spacegroup.short_name[0].replace("H", "R"),
            cell=tuple(float(value) for value in atoms.lattice.abcABG()),
            volume=float(atoms.lattice.volume),
            species=species,
            positions=tuple(tuple((atom.xyz % 1).tolist()) for atom in atoms),
        )


def chemical_formula(species: tuple[str, ...]) -> str:
    """Formula of the elements of a cell, in alphabetical order and smallest whole numbers."""
    counts = Counter(species)
    units = gcd(*counts.values())
    return "".join(
        element + (str(count // units) if count > units else "")
        for element, count in sorted(counts.items())
    )


@cache
def load_structures() -> tuple[Structure, ...]:
    """All structures of the package's table, in its order."""
    text = (files(__package__) / "structures.jsonl").read_text(encoding="utf-8")
    return tuple(Structure.from_dict(json.loads(line)) for line in text.splitlines())


@cache
def _by_uid() -> dict[str, Structure]:
    return {structure.uid: structure for structure in load_structures()}


def structure_by_uid(uid: str) -> Structure:
    """The structure of the table with this name.

    Raises
    ------
    InputError
        If there is none.
    """
    try:
        return _by_uid()[uid]
    except KeyError:
        raise InputError(
            f"no structure named {uid!r}: the table has s0000 to s{len(load_structures()) - 1:04d}"
        ) from None


def find_structures(
    *, formula: str | None = None, point_group: str | None = None, bravais: str | None = None
) -> tuple[Structure, ...]:
    """Structures of the table that meet all given conditions; none given: all of them."""
    wanted = {"formula": formula, "point_group": point_group, "bravais": bravais}
    given = {name: value for name, value in wanted.items() if value is not None}
    return tuple(
        structure
        for structure in load_structures()
        if all(getattr(structure, name) == value for name, value in given.items())
    )


def known_structures() -> np.ndarray:
    """Numbers of known structures by point group and lattice, shape (32, 14)."""
    table = np.zeros(COMPATIBLE.shape)
    for s in load_structures():
        table[POINT_GROUPS.index(s.point_group), BRAVAIS_LATTICES.index(s.bravais)] += 1
    return table


def phase_of(structure: Structure) -> Phase:
    """A structure as orix knows it, with its space group and all atoms of its cell."""
    from diffpy.structure import Atom, Lattice
    from diffpy.structure import Structure as Atoms
    from orix.crystal_map import Phase

    places = zip(structure.species, structure.positions, strict=True)
    return Phase(
        name=structure.formula,
        space_group=structure.space_group,
        structure=Atoms(
            atoms=[Atom(element, list(place)) for element, place in places],
            lattice=Lattice(*structure.cell),
        ),
    )
