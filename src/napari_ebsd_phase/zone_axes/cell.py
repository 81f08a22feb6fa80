# SPDX-License-Identifier: GPL-3.0-or-later
"""The cell of a phase: its axes, its symmetry as whole numbers, all its atoms."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from orix.crystal_map import Phase

__all__ = ["Cell", "cell_of", "forbidden", "structure_factors"]

# A cell with an edge below this is given in nanometre: no crystal has one so short in angstrom.
_SHORTEST_EDGE = 1.5
# Two places in a cell that differ by less than this are one.
_SAME_PLACE = 2e-3
# What stands in for a phase without atoms, on every lattice point.
_STAND_IN = "Fe"
# Group that diffsims may sort reflections by, where the one of the phase does not fit its cell.
_CENTRE_ONLY = 2


@dataclass(frozen=True, eq=False)
class Cell:
    """Axes and symmetry of a crystal.

    Attributes
    ----------
    constants
        a, b, c in angstrom, alpha, beta, gamma in degrees.
    base
        Rows are a, b and c in the Cartesian frame (x along a, z along c*).
    reciprocal
        Rows are a*, b* and c*.
    operations
        Laue group as integer matrices (n, 3, 3) that act on columns [uvw].
    hexagonal, cubic
        How its indices are written.
    """

    constants: tuple[float, ...]
    base: NDArray[np.float64]
    reciprocal: NDArray[np.float64]
    operations: NDArray[np.int_]
    hexagonal: bool
    cubic: bool

    @property
    def volume(self) -> float:
        """Volume in cubic angstrom."""
        return float(abs(np.linalg.det(self.base)))


def cell_of(phase: Phase) -> Cell:
    """Read the cell of an orix phase, in angstrom or in nanometre.

    Raises
    ------
    InputError
        If it has no symmetry, or no cell, or the two contradict each other.
    """
    name = phase.name or "the phase"
    if phase.point_group is None:
        raise InputError(f"{name}: has no symmetry; give its space group or point group")
    lattice = phase.structure.lattice
    constants = np.array(lattice.abcABG(), dtype=float)
    if np.allclose(constants, [1, 1, 1, 90, 90, 90]):  # what orix puts where nothing is known
        raise InputError(f"{name}: has no unit cell; give its cell constants")
    scale = 10.0 if constants[:3].min() < _SHORTEST_EDGE else 1.0
    constants[:3] *= scale
    base = np.asarray(lattice.base, dtype=float) * scale
    angles = constants[3:]
    operations = _laue_operations(phase, base)
    return Cell(
        constants=tuple(float(value) for value in constants),
        base=base,
        reciprocal=np.asarray(np.linalg.inv(base).T, dtype=np.float64),
        operations=operations,
        hexagonal=bool(np.allclose(angles, [90, 90, 120], atol=0.05)),
        cubic=len(operations) in (24, 48)
        and bool(np.allclose(angles, 90, atol=0.05))
        and _cubic(operations),
    )


def _cubic(operations: NDArray[np.int_]) -> bool:
    """Whether a three-fold axis runs along [111]."""
    return bool((operations == np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0]])).all(axis=(1, 2)).any())


def _laue_operations(phase: Phase, base: NDArray[np.float64]) -> NDArray[np.int_]:
    if phase.space_group is not None:
        # In the axes of the cell, and so right for settings like 31m and for any unique axis.
        found = np.array([operation.R for operation in phase.space_group.iter_symops()])
    else:
        found = _in_cell(phase.point_group.laue, base)
    whole = found.round().astype(int)
    metric = base @ base.T
    kept = np.einsum("nij,ik,nkl->njl", whole, metric, whole)
    if np.abs(found - whole).max() > 0.02 or not np.allclose(kept, metric, rtol=0.02, atol=0.1):
        raise InputError(
            f"{phase.name or 'the phase'}: its cell does not have the symmetry of its group "
            f"{phase.point_group.name}; check cell and symmetry"
        )
    return np.unique(np.concatenate([whole, -whole]), axis=0)


def _in_cell(symmetry: Any, base: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cartesian operations in the axes of a cell, acting on columns [uvw]."""
    matrices = symmetry.to_matrix().reshape(-1, 3, 3)
    return np.linalg.inv(base.T) @ matrices @ base.T


def forbidden(phase: Phase, hkl: NDArray[np.int_]) -> NDArray[np.bool_]:
    """Which reflections (n, 3) centring, glide planes or screw axes put out.

    An operation with rotation R and translation t that leaves hkl where it is (hR = h) asks for
    F = F exp(2 pi i ht): F is 0 unless ht is whole.
    """
    out = np.zeros(len(hkl), dtype=bool)
    if phase.space_group is None:
        return out
    for operation in phase.space_group.iter_symops():
        phases = hkl @ operation.t
        stays = (hkl @ operation.R.round().astype(int) == hkl).all(axis=1)
        out |= stays & (np.abs(phases - phases.round()) > 0.01)
    return out


def structure_factors(phase: Phase, cell: Cell, hkl: NDArray[np.int_]) -> NDArray[np.float64]:
    """Absolute kinematical structure factors (n,), by diffsims.

    Raises
    ------
    InputError
        If an atom has the number of no element.
    """
    from diffpy.structure import Lattice, Structure
    from diffsims.crystallography import ReciprocalLatticeVector
    from orix.crystal_map import Phase

    group = _CENTRE_ONLY
    if phase.space_group is not None:
        # diffsims sorts reflections by orix's point group, which has one setting of each.
        cartesian = _in_cell(phase.point_group.laue, cell.base).round().astype(int)
        known = {operation.tobytes() for operation in cell.operations}
        if all(operation.tobytes() in known for operation in cartesian):
            group = phase.space_group.number
    structure = Structure(lattice=Lattice(*cell.constants), atoms=_all_atoms(phase, cell))
    for used in (group, _CENTRE_ONLY):
        full = Phase(name=phase.name, space_group=used, structure=structure)
        vectors = ReciprocalLatticeVector(full, hkl=hkl)
        try:
            vectors.calculate_structure_factor()
            break
        except IndexError:
            # diffsims looks for equivalents by their coordinates, and misses some by rounding in
            # cells like those of CuI and NiSb: without symmetry there is nothing to look for.
            if used == _CENTRE_ONLY:
                raise
    return np.where(forbidden(phase, hkl), 0.0, np.abs(vectors.structure_factor))


def _all_atoms(phase: Phase, cell: Cell) -> list[Any]:
    """Atoms of the whole cell, with the fractions that they have in a table of the structure."""
    from diffpy.structure import Atom, Lattice, Structure
    from diffsims.crystallography import ReciprocalLatticeVector
    from orix.crystal_map import Phase

    given = phase.structure
    if not len(given):
        return [Atom(_STAND_IN, [0, 0, 0])]
    # orix turns a cell into its frame and leaves atoms where they were in space, so that they have
    # other fractions of the cell: turn them back.
    moved = given.lattice.base @ np.linalg.inv(Lattice(*given.lattice.abcABG()).base)
    back = [
        Atom(
            _neutral(atom.element),
            atom.xyz @ moved,
            occupancy=atom.occupancy,
            lattice=given.lattice,
        )
        for atom in given
    ]
    # A group without operations: this spells out elements that are given by number.
    plain = ReciprocalLatticeVector(
        Phase(space_group=1, structure=Structure(back, given.lattice)), hkl=[[1, 0, 0]]
    )
    try:
        plain.sanitise_phase()
    except KeyError as error:
        raise InputError(
            f"{phase.name}: holds an atom of the unknown element {error}; check its atoms"
        ) from error
    atoms = list(plain.phase.structure)
    places = np.array([atom.xyz for atom in atoms])
    kinds = np.array([f"{atom.element} {atom.occupancy:.4f}" for atom in atoms])
    if phase.space_group is None or _is_complete(phase, kinds, places):
        return [
            Atom(atom.element, list(place), occupancy=atom.occupancy)
            for atom, place in zip(atoms, places, strict=True)
        ]
    full = []
    for atom, place in zip(atoms, places, strict=True):
        images = np.array([op.R @ place + op.t for op in phase.space_group.iter_symops()]) % 1.0
        full += [
            Atom(atom.element, list(image), occupancy=atom.occupancy) for image in _distinct(images)
        ]
    return full


def _neutral(element: Any) -> Any:
    """A chemical symbol without its charge, of which diffsims knows nothing."""
    return element.rstrip("+-0123456789") if isinstance(element, str) else element


def _distinct(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Places (n, 3) in a cell, each once."""
    kept: list[NDArray[np.float64]] = []
    for place in places:
        apart = [np.abs((place - other + 0.5) % 1.0 - 0.5).max() for other in kept]
        if not apart or min(apart) > _SAME_PLACE:
            kept.append(place)
    return np.array(kept)


def _is_complete(phase: Phase, kinds: NDArray[np.str_], places: NDArray[np.float64]) -> bool:
    """Whether atoms are all of the cell, wherever the origin was put.

    Of a whole cell the sums over exp(2 pi i hx), for each kind of atom, are as large for all
    equivalents of a reflection, and nothing for those that the group forbids. Neither depends on
    the origin, which structures from other sources may have elsewhere.
    """
    hkl = np.array(list(product(range(-4, 5), repeat=3)))
    rotations = [operation.R.round().astype(int) for operation in phase.space_group.iter_symops()]
    out = forbidden(phase, hkl)
    for kind in np.unique(kinds):
        mine = places[kinds == kind]
        size = np.abs(np.exp(2j * np.pi * (hkl @ mine.T)).sum(axis=1))
        slack = 0.05 * len(mine)
        if size[out].max(initial=0.0) > slack:
            return False
        for rotation in rotations:
            image = np.abs(np.exp(2j * np.pi * (hkl @ rotation @ mine.T)).sum(axis=1))
            if np.abs(image - size).max() > slack:
                return False
    return True
