# SPDX-License-Identifier: GPL-3.0-or-later
"""Crystal structures derived from others: same symmetry, other elements, cell and coordinates.

What a derived structure shares with its parent is what the network is to name: the space group, and
with it point group and lattice. All else that may differ between two crystals of one kind is moved:

- elements: every species gives way to another of its kind, metals to metals and anions to anions,
  and the cell grows or shrinks with their radii;
- cell: scaled as a whole, and each free axis and angle by itself;
- positions: along the directions that the symmetry of their sites leaves free.

A derived structure belongs to the same side of the split as its parent, see :func:`parent_of`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import combinations
from typing import Final

import numpy as np

from napari_ebsd_phase.errors import InputError

from .contacts import ELEMENTS, contact_ratio
from .grid_symmetry import structure_matrix
from .random_structures import SMALLEST_Z_RATIO, known_materials, structure_of_seed, z_ratio
from .space_groups import SYMMETRY_TOLERANCES, has_space_group, symmetry_of
from .split import material_key
from .structures import Structure, chemical_formula, structure_by_uid

__all__ = ["Changes", "derive", "derived_structure", "parent_of", "structure_of_uid"]

_NUMBER_KEY: Final = 0x64657269
_ATTEMPTS: Final = 40
_CLOSEST: Final = 0.75  # of the usual distance
_MOST_GROWTH: Final = 1.5  # of lengths, by the radii alone
_RADIUS_CHANGE: Final = 0.35  # of its logarithm


@dataclass(frozen=True)
class Changes:
    """How far a derived structure may be from its parent.

    Parameters
    ----------
    elements
        Probability that the elements are exchanged.
    scale
        Largest relative change of all lengths together.
    stretch
        Largest relative change of each free axis besides.
    angle
        Largest change of each free angle in degrees.
    shift
        Largest displacement of an atom in angstrom, before the symmetry of its site takes its part.
    """

    elements: float = 0.7
    scale: float = 0.15
    stretch: float = 0.10
    angle: float = 4.0
    shift: float = 0.2


def parent_of(uid: str) -> str:
    """Name of the structure that a structure was derived from, however often; else its own.

    >>> parent_of("s0042d7"), parent_of("r000003d1"), parent_of("s0042")
    ('s0042', 'r000003', 's0042')
    """
    found = re.fullmatch(r"([sr]\d+)(?:d\d+)+", uid)
    return found[1] if found else uid


def structure_of_uid(uid: str) -> Structure:
    """Structure of the table, made at random, or derived from one of these, by its name.

    Parameters
    ----------
    uid
        Like ``"s0042"``, ``"r000042"``, or ``"s0042d7"``.

    Raises
    ------
    InputError
        If there is none of this name.
    """
    if found := re.fullmatch(r"(.+)d(\d+)", uid):
        return derived_structure(structure_of_uid(found[1]), int(found[2]))
    if found := re.fullmatch(r"r(\d{6,})", uid):
        return structure_of_seed(int(found[1]))
    return structure_by_uid(uid)


def derived_structure(parent: Structure, number: int, changes: Changes | None = None) -> Structure:
    """The derived structure of a number, always the same.

    Its ``uid`` is the parent's, ``d``, and the number, like ``"s0042d7"``.

    Raises
    ------
    InputError
        As :func:`derive`.
    """
    if number < 0:
        raise InputError(f"no derived structure {number}: give a number of 0 or more")
    rng = np.random.default_rng([_NUMBER_KEY, number, *parent.uid.encode()])
    return derive(parent, rng, changes, uid=f"{parent.uid}d{number}")


def derive(
    parent: Structure,
    rng: np.random.Generator,
    changes: Changes | None = None,
    *,
    uid: str | None = None,
) -> Structure:
    """Draw a structure like another, of the same space group.

    Parameters
    ----------
    parent
        Structure to start from.
    rng
        Where the chance comes from.
    changes
        How far to go; by default ``Changes()``.
    uid
        Name; by default the parent's and ``d0``.

    Raises
    ------
    InputError
        If spglib does not find the parent's own space group in it, or no structure near it keeps
        the space group and sensible distances.
    """
    changes = Changes() if changes is None else changes
    orbits = _find_orbits(parent)
    contact = _contact(parent.cell, parent.species, np.array(parent.positions), orbits.first)
    for attempt in range(_ATTEMPTS):
        # Where large changes merge atoms or lift the symmetry, small ones do not.
        strength = 1 - 0.8 * attempt / _ATTEMPTS
        species = _other_elements(rng, parent.species, rng.random() < changes.elements)
        now = _contact(parent.cell, species, np.array(parent.positions), orbits.first)
        growth = contact / now
        if not 1 / _MOST_GROWTH < growth < _MOST_GROWTH:
            continue
        cell = _other_cell(rng, parent, growth, changes, strength)
        positions = orbits.moved(rng, structure_matrix(cell), changes.shift * strength)
        same = species == parent.species
        formula = parent.formula if same else chemical_formula(species)
        if (
            (same or material_key(formula, parent.space_group) not in known_materials())
            # Not every distance of a published structure is a usual one.
            and _contact(cell, species, positions, orbits.first) >= min(_CLOSEST, 0.9 * contact)
            and has_space_group(parent.space_group, cell, species, positions)
        ):
            uid = f"{parent.uid}d0" if uid is None else uid
            return replace(
                parent,
                uid=uid,
                id=uid,
                source=f"derived from {parent.uid}: {parent.source}",
                formula=formula,
                cell=cell,
                volume=float(np.linalg.det(structure_matrix(cell))),
                species=species,
                positions=tuple(tuple(position) for position in positions.tolist()),
            )
    raise InputError(f"{parent.uid}: no structure near it keeps its space group; leave it out")


def _contact(
    cell: tuple[float, ...], species: tuple[str, ...], positions: np.ndarray, some: list[int]
) -> float:
    """Closest contact among elements whose radii are known; as usual where there are none."""
    known = [i for i, element in enumerate(species) if element in ELEMENTS]
    some = [known.index(i) for i in some if i in known]
    if not some:
        return 1.0
    return contact_ratio(cell, tuple(species[i] for i in known), positions[known], some)


def _other_elements(
    rng: np.random.Generator, species: tuple[str, ...], exchange: bool
) -> tuple[str, ...]:
    """Exchange elements for others of their kind; in any case those without a known radius."""
    old = [s for s in dict.fromkeys(species) if exchange or s not in ELEMENTS]
    for _ in range(_ATTEMPTS):
        new = {element: _like(rng, element) for element in old}
        result = tuple(new.get(element, element) for element in species)
        kinds = sorted(set(result))
        if len(kinds) == len(set(species)) and (
            not exchange
            or all(z_ratio(a, b) >= SMALLEST_Z_RATIO for a, b in combinations(kinds, 2))
        ):
            return result
    return species


def _like(rng: np.random.Generator, element: str) -> str:
    """An element of the same kind, anion or not, and of a similar radius."""
    old = ELEMENTS.get(element)
    if element == "H":  # nothing else is as small
        return element
    symbols = list(ELEMENTS)
    weights = np.array([ELEMENTS[symbol].weight for symbol in symbols])
    for i, new in enumerate(ELEMENTS.values()):
        if old is None:
            weights[i] *= new.anion_radius == 0
        else:
            one, other = (e.anion_radius or e.radius for e in (old, new))
            alike = (old.anion_radius > 0) == (new.anion_radius > 0)
            weights[i] *= alike and abs(np.log(one / other)) < _RADIUS_CHANGE
    return str(rng.choice(symbols, p=weights / weights.sum()))


def _other_cell(
    rng: np.random.Generator, parent: Structure, growth: float, changes: Changes, strength: float
) -> tuple[float, ...]:
    """Scale a cell and stretch it within its crystal system."""
    system = parent.bravais[0]
    growth *= 1 + strength * rng.uniform(-changes.scale, changes.scale)
    stretch = 1 + strength * rng.uniform(-changes.stretch, changes.stretch, 3)
    turn = strength * rng.uniform(-changes.angle, changes.angle, 3)
    if system in "cth":
        stretch[1] = stretch[0]
    if system == "c":
        stretch[:] = 1
    if system != "a":
        turn[[0, 2]] = 0
    if system not in "am":
        turn[1] = 0
    lengths = np.array(parent.cell[:3]) * growth * stretch
    return (*lengths.tolist(), *(np.array(parent.cell[3:]) + turn).tolist())


@dataclass(frozen=True)
class _Orbits:
    """How each atom of a structure follows from the first one of its orbit."""

    first: list[int]  # one atom of each orbit
    sites: np.ndarray  # (orbits, 3) its position, exactly on its site
    free: np.ndarray  # (orbits, 3, 3) projection of displacements onto what its site leaves free
    orbit: np.ndarray  # (atoms,) which orbit
    rotations: np.ndarray  # (atoms, 3, 3) from the first atom of the orbit to this one
    translations: np.ndarray  # (atoms, 3)

    def moved(self, rng: np.random.Generator, basis: np.ndarray, most: float) -> np.ndarray:
        """Positions (atoms, 3) after displacements of up to so many angstrom."""
        steps = rng.normal(size=self.sites.shape)
        steps *= most * rng.random((len(steps), 1)) / np.linalg.norm(steps, axis=1)[:, None]
        steps = np.einsum("oij,oj->oi", self.free, steps @ np.linalg.inv(basis).T)
        moved = (self.sites + steps)[self.orbit]
        return (np.einsum("aij,aj->ai", self.rotations, moved) + self.translations) % 1 % 1


@lru_cache(maxsize=256)
def _find_orbits(parent: Structure) -> _Orbits:
    positions = np.array(parent.positions)
    for tolerance in SYMMETRY_TOLERANCES:
        symmetry = symmetry_of(parent.cell, parent.species, positions, tolerance)
        if symmetry is not None and symmetry.number == parent.space_group:
            break
    else:
        raise InputError(
            f"{parent.uid}: its atoms do not have space group {parent.space_group}; leave it out"
        )
    first, orbit = np.unique(symmetry.equivalent_atoms, return_inverse=True)
    basis = structure_matrix(parent.cell)
    sites, free = [], []
    chosen = np.empty(len(positions), dtype=int)
    for number, atom in enumerate(first):
        images = symmetry.rotations @ positions[atom] + symmetry.translations
        members = np.flatnonzero(orbit == number)
        gaps = positions[members, None] - images
        distances = np.linalg.norm((gaps - np.rint(gaps)) @ basis.T, axis=-1)
        chosen[members] = distances.argmin(axis=1)
        stabiliser = distances[members == atom][0] < 2 * tolerance
        gaps = images[stabiliser] - positions[atom]
        sites.append(positions[atom] + (gaps - np.rint(gaps)).mean(axis=0))
        free.append(symmetry.rotations[stabiliser].mean(axis=0))
    return _Orbits(
        first=first.tolist(),
        sites=np.array(sites),
        free=np.array(free),
        orbit=orbit,
        rotations=symmetry.rotations[chosen],
        translations=symmetry.translations[chosen],
    )
