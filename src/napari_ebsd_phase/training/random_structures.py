# SPDX-License-Identifier: GPL-3.0-or-later
"""Crystal structures made at random: any space group, real elements, sensible distances.

The published structures that a network can learn from are few, and most lattices hang on a handful
of them. Structures from here are nobody's minerals, but they obey the rules that decide what a
Kikuchi pattern looks like: a space group and no higher symmetry, atoms of known scattering power on
general and special positions, and distances between them as in real crystals.

A structure is drawn in a cell of unit volume first: the shape of the cell, then sites, one orbit of
the space group after another, each where it leaves the most room. The closest contact, measured in
sums of radii, then sets the size of the cell. Last, spglib has to find the space group that was
asked for, and nothing above it, in what came out.

Hydrogen is left out, and so are pairs of elements of nearly the same atomic number: a structure
whose label hangs on them cannot be told from one of higher symmetry.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Final

import numpy as np

from napari_ebsd_phase.crystallography import (
    BRAVAIS_LATTICES,
    COMPATIBLE,
    POINT_GROUPS,
    bravais_lattice_of_space_group,
    point_group_of_space_group,
)
from napari_ebsd_phase.errors import InputError

from .contacts import ELEMENTS, contact_ratio, shortest_distances, usual_distances
from .grid_symmetry import structure_matrix
from .space_groups import SYMMETRY_TOLERANCES, has_space_group, space_group_operations
from .split import material_key
from .structures import Structure, chemical_formula, load_structures

__all__ = ["PAIRS", "random_structure", "random_structures", "structure_of_seed"]

PAIRS: Final = tuple(
    (POINT_GROUPS[i], BRAVAIS_LATTICES[j]) for i, j in np.argwhere(COMPATIBLE).tolist()
)
"""The 66 combinations of point group and Bravais lattice that exist."""

SMALLEST_Z_RATIO: Final = 1.2
"""Least ratio of the atomic numbers of two elements of one structure."""


_NUMBER_KEY: Final = 0x72616E64  # so that no other use of a small seed has the same numbers
_CANDIDATES: Final = 14
_ATTEMPTS: Final = 20  # with one space group, before another of the pair is drawn
_DRAWS: Final = 60
# Below 1300 cubic angstrom, next to nothing has one of these space groups and no higher symmetry:
# all their special positions lie as in a group above. There are others of the same pairs.
_TOO_LARGE: Final = frozenset({203, 209, 219, 226, 228})
_LOOSEST: Final = 32.0  # cubic angstrom an atom


def structure_of_seed(seed: int) -> Structure:
    """The random structure of a number, always the same; the 66 pairs take turns.

    Its ``uid`` is ``r`` and the seed, like ``"r000042"``.
    """
    if seed < 0:
        raise InputError(f"no random structure {seed}: give a number of 0 or more")
    rng = np.random.default_rng([_NUMBER_KEY, seed])
    return random_structure(rng, *PAIRS[seed % len(PAIRS)], uid=f"r{seed:06d}")


def random_structures(first: int = 0) -> Iterator[Structure]:
    """Structures of the seeds ``first``, ``first + 1``, ... without end."""
    while True:
        yield structure_of_seed(first)
        first += 1


def random_structure(
    rng: np.random.Generator, point_group: str, bravais: str, *, uid: str = "r"
) -> Structure:
    """Draw a structure of a point group and Bravais lattice.

    Every space group of the pair is equally likely, but for five that need very large cells (203,
    209, 219, 226 and 228, never drawn), and for any in which no sensible structure is found in a
    number of attempts: it gives way to another draw.

    Parameters
    ----------
    rng
        Where the chance comes from.
    point_group, bravais
        One of :data:`PAIRS`.
    uid
        Name of the structure.

    Raises
    ------
    InputError
        If no space group has this point group and lattice.
    """
    numbers = [
        number
        for number in sorted(set(range(1, 231)) - _TOO_LARGE)
        if point_group_of_space_group(number) == point_group
        and bravais_lattice_of_space_group(number) == bravais
    ]
    if not numbers:
        raise InputError(
            f"no space group has point group {point_group!r} and lattice {bravais!r}; "
            "take a pair of random_structures.PAIRS"
        )
    for _ in range(_DRAWS):
        number = int(rng.choice(numbers))
        for attempt in range(_ATTEMPTS):
            # Some space groups, like F23, are but themselves with many atoms in a large cell.
            structure = _attempt(rng, number, uid, min(attempt / 8, 1))
            if structure is not None:
                return structure
    raise InputError(f"no structure of {point_group} {bravais} found; use another seed")


@cache
def known_materials() -> frozenset[str]:
    """Keys of all materials of the package's table, whatever side of the split they are on."""
    return frozenset(material_key(s.formula, s.space_group) for s in load_structures())


def _attempt(rng: np.random.Generator, number: int, uid: str, need: float) -> Structure | None:
    """Structure of a space group, or None; the higher `need`, from 0 to 1, the larger."""
    rotations, translations = space_group_operations(number)
    point_order = len(np.unique(rotations, axis=0))
    shape = _unit_cell(rng, number)
    species = _draw_species(rng)
    most_atoms = np.exp(rng.uniform(np.log(4 + 40 * need), np.log(32 + 88 * need)))
    # Few operations leave room for many kinds of sites, and need them to be the only ones.
    spare = 3 if point_order > 4 else 4 if point_order > 2 else 7
    kinds = len(species) + int(rng.integers(spare))
    if rng.random() < need:  # the smallest first: on the largest orbit
        species.sort(key=lambda element: usual_distances([element], [element])[0, 0])
    sites = [*species, *rng.choice(species, kinds - len(species))]
    basis = structure_matrix(shape)
    atoms = _occupy(rng, rotations, translations, basis, sites, most_atoms, need)
    if atoms is None:
        return None
    names, positions = atoms
    # The closest contact is a little shorter or longer than usual, as in real crystals.
    scale = rng.uniform(0.84, 1.04) / contact_ratio(shape, names, positions)
    cell = (*(float(length * scale) for length in shape[:3]), *shape[3:])
    volume = float(np.linalg.det(structure_matrix(cell)))
    formula = chemical_formula(names)
    if (
        not 6 <= volume / len(names) <= 28
        or not 15 <= volume <= 600 + 700 * need**3
        or material_key(formula, number) in known_materials()
        or not has_space_group(number, cell, names, positions, (*SYMMETRY_TOLERANCES, 0.1))
    ):
        return None
    return Structure(
        uid=uid,
        id=uid,
        source="made at random",
        licence="",
        formula=formula,
        space_group=number,
        point_group=point_group_of_space_group(number),
        bravais=bravais_lattice_of_space_group(number),
        centring=_centring(number),
        cell=cell,
        volume=volume,
        species=names,
        positions=tuple(tuple(position) for position in positions.tolist()),
    )


def _centring(number: int) -> str:
    """Letter of the standard setting; S means two of them."""
    lattice = bravais_lattice_of_space_group(number)
    if lattice[1] != "S":
        return lattice[1]
    rotations, translations = space_group_operations(number)
    pure = translations[(rotations == np.eye(3)).all(axis=(1, 2))]
    return "C" if (pure[:, 2] == 0).all() else "A"


def _draw_species(rng: np.random.Generator) -> list[str]:
    """One to four elements that a pattern can tell apart, not only anions."""
    weights = np.array([element.weight for element in ELEMENTS.values()])
    count = rng.choice([1, 2, 3, 4], p=[0.12, 0.4, 0.36, 0.12])
    species: list[str] = []
    while len(species) < count:
        new = str(rng.choice(list(ELEMENTS), p=weights / weights.sum()))
        if all(z_ratio(new, old) >= SMALLEST_Z_RATIO for old in species):
            species.append(new)
        if len(species) == count and all(ELEMENTS[s].anion_radius for s in species):
            species.clear()
    return species


def z_ratio(first: str, second: str) -> float:
    """Ratio of two atomic numbers, 1 or more."""
    numbers = ELEMENTS[first].atomic_number, ELEMENTS[second].atomic_number
    return max(numbers) / min(numbers)


def _unit_cell(rng: np.random.Generator, number: int) -> tuple[float, ...]:
    """Shape of a cell of the system of a space group, with a volume of 1."""
    lattice = bravais_lattice_of_space_group(number)
    system = lattice[0]
    b, c = np.exp(rng.normal(0, 0.38, 2)).clip(0.4, 2.5)
    angles = [90.0, 90.0, 90.0]
    if system == "c":
        b = c = 1.0
    elif system == "t":
        b, c = 1.0, _near(rng, np.exp(rng.normal(0.1, 0.5)), (1, 2**0.5, 2, 0.5**0.5))
    elif system == "h":
        middle = 0.75 if lattice == "hR" else 0.2
        b, c = 1.0, _near(rng, np.exp(rng.normal(middle, 0.5)), (1.633, 1, 1.225, 2.449))
        angles[2] = 120.0
    elif system == "o":
        b, c = _near(rng, b, (1, 3**0.5, 2**0.5)), _near(rng, c, (1, 3**0.5, 1.633))
    elif system == "m":
        angles[1] = float(_near(rng, rng.normal(104, 9), (90, 120, 109.47)).clip(88, 125))
    else:
        # Angles far from right ones in all three corners can close the cell to a needle.
        while True:
            angles = rng.normal(95, 11, 3).clip(70, 120).tolist()
            cosines = np.cos(np.deg2rad(angles))
            if 1 - (cosines**2).sum() + 2 * cosines.prod() > 0.5:
                break
    cell = (1.0, float(b), float(c), *angles)
    scale = float(np.linalg.det(structure_matrix(cell)) ** (-1 / 3))
    return (*(length * scale for length in cell[:3]), *cell[3:])


def _near(rng: np.random.Generator, value: float, special: tuple[float, ...]) -> np.float64:
    """Now and then, move a value close to one of some special ones, as real crystals have it."""
    if rng.random() < 0.2:
        value = rng.choice(special) * (1 + rng.normal(0, 0.03))
    return np.float64(value)


def _occupy(
    rng: np.random.Generator,
    rotations: np.ndarray,
    translations: np.ndarray,
    basis: np.ndarray,
    sites: list[str],
    most_atoms: float,
    need: float,
) -> tuple[tuple[str, ...], np.ndarray] | None:
    """Put one orbit of atoms after another into a cell, each where there is room."""
    names: list[str] = []
    positions = np.empty((0, 3))
    tightest = np.inf
    for element in sites:
        general = not names and rng.random() < need
        found: list[tuple[float, float, np.ndarray]] = []
        for orbit in _orbits(rng, rotations, translations, basis, positions, general):
            count = len(orbit) + len(names)
            if count > most_atoms:
                continue
            usual = usual_distances([element], [*names, *[element] * len(orbit)])
            atoms = np.concatenate([positions, orbit])
            distances = shortest_distances(atoms, np.array([len(names)]), basis)
            contact = min(float((distances / usual).min()), tightest)
            if contact < 1e-6:  # the site is taken
                continue
            # Volume of an atom once this contact is as long as usual.
            volume = contact**-3 / count
            if volume < (_LOOSEST if names else 2 * _LOOSEST):
                found.append((volume, contact, orbit))
        if not found:
            if element in names:
                continue
            return None
        if general:
            sizes = np.unique([len(orbit) for _, _, orbit in found])
            size = rng.choice(sizes, p=sizes / sizes.sum())
            found = [item for item in found if len(item[2]) == size]
        found.sort(key=lambda item: item[0])
        _, tightest, orbit = found[int(rng.integers(min(3, len(found))))]
        names += [element] * len(orbit)
        positions = np.concatenate([positions, orbit])
    return tuple(names), positions % 1 % 1


def _orbits(
    rng: np.random.Generator,
    rotations: np.ndarray,
    translations: np.ndarray,
    basis: np.ndarray,
    placed: np.ndarray,
    general: bool,
) -> list[np.ndarray]:
    """Orbits of random points that were drawn onto special positions nearby.

    A point is replaced by the mean of its images within some reach, again and again. When no image
    is left but those that coincide with it, it lies on the special position exactly. A long reach
    favours sites of high symmetry, a short one `general` positions. Then it gives way, as far as
    its position is free, to other images and to the atoms that are there; not to the utmost, for
    the roomiest place has often a symmetry that the space group does not ask for.
    """
    points = rng.random((_CANDIDATES, 3))
    fewest = np.log(30) if general else 0
    reach = 0.6 * np.exp(rng.uniform(fewest, np.log(150), (_CANDIDATES, 1))) ** (-1 / 3)
    for _ in range(6):
        gaps, distances = _gaps_to_images(points, rotations, translations, basis)
        near = distances < reach
        points = points + (gaps * near[..., None]).sum(axis=1) / near.sum(axis=1)[:, None]
    gaps, distances = _gaps_to_images(points, rotations, translations, basis)
    settled = np.where(distances < reach, distances, 0).max(axis=1) < 1e-7
    points, stabilisers = points[settled], distances[settled] < 1e-7
    counts = stabilisers.sum(axis=1)
    spacing = (len(placed) + len(rotations) / counts)[:, None] ** (-1 / 3)
    spacing *= rng.uniform(0.7, 1, spacing.shape)
    for _ in range(6):
        gaps, distances = _gaps_to_images(points, rotations, translations, basis)
        others = placed - points[:, None]
        others -= np.rint(others)
        gaps = np.concatenate([gaps, others], axis=1)
        distances = np.concatenate([distances, np.linalg.norm(others @ basis.T, axis=-1)], axis=1)
        push = np.clip(1 - distances / spacing, 0, None) * (distances > 1e-5)
        push *= spacing / np.maximum(distances, 1e-5)
        points = points - 0.3 * (gaps * push[..., None]).sum(axis=1)
        gaps, _ = _gaps_to_images(points, rotations, translations, basis)
        points = points + (gaps * stabilisers[..., None]).sum(axis=1) / counts[:, None]
    gaps, distances = _gaps_to_images(points, rotations, translations, basis)
    images = gaps + points[:, None]
    kept = ((distances < 1e-7) == stabilisers).all(axis=1)
    return [_distinct(images[k]) for k in np.flatnonzero(kept)]


def _gaps_to_images(
    points: np.ndarray, rotations: np.ndarray, translations: np.ndarray, basis: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Ways (k, n, 3) from each point to the nearest copies of its images, and their lengths."""
    gaps = np.einsum("nij,kj->kni", rotations, points) + translations - points[:, None]
    gaps -= np.rint(gaps)
    return gaps, np.linalg.norm(gaps @ basis.T, axis=-1)


def _distinct(images: np.ndarray) -> np.ndarray:
    """Images of a point on an exact position, each once, the point itself first."""
    keys = np.rint((images % 1) * 1e5).astype(int) % 100_000
    first = np.unique(keys, axis=0, return_index=True)[1]
    return images[np.sort(first)] % 1
