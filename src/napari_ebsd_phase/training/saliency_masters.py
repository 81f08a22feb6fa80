# SPDX-License-Identifier: GPL-3.0-or-later
"""Master patterns from files, to lie beside a map on the sphere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError
from ..saliency.sphere_picture import Panel
from .library import MasterLibrary

if TYPE_CHECKING:
    from orix.crystal_map import Phase

__all__ = ["master_panel"]

_NAMED = 6  # masters that an error names


def master_panel(path: str | Path, phase: Phase) -> Panel:
    """Northern hemisphere of the master pattern of a crystal.

    Parameters
    ----------
    path
        A library of master patterns, as ``simulate`` makes them, or one master pattern that
        kikuchipy reads (EMsoft, kikuchipy). Of several energies the highest.
    phase
        The crystal. Of a library, the master pattern that has its space group and, where several
        have, its formula.

    Raises
    ------
    InputError
        If the file is neither, or has no master pattern of this crystal.
    """
    try:
        library = MasterLibrary.open(path)
    except InputError:
        return _of_kikuchipy(Path(path), phase)
    with library:
        return _of_library(library, phase)


def _of_library(library: MasterLibrary, phase: Phase) -> Panel:
    if phase.space_group is None:
        raise InputError(f"{phase.name}: its space group is not known; choose one master pattern")
    number = phase.space_group.number
    same = [i for i, record in enumerate(library.index) if record.space_group == number]
    names = {str(phase.name).lower(), _formula(phase)}
    mine = [i for i in same if library.index[i].formula.lower() in names]
    if not mine and len(same) != 1:
        found = ", ".join(sorted({library.index[i].formula for i in same})[:_NAMED]) or "none"
        raise InputError(
            f"{library.path.name}: no master pattern of {phase.name}, space group {number}; of "
            f"this space group it has {found}"
        )
    best = max(mine or same, key=lambda i: library.index[i].energy_kev)
    record = library.index[best]
    title = f"master pattern, {record.formula} {record.energy_kev:g} keV"
    return Panel(title, library.data(best)[0].astype(float), signed=False)


def _formula(phase: Phase) -> str:
    """Element of a phase whose atoms are of one kind, in lower case; else nothing."""
    elements = {str(atom.element).lower() for atom in phase.structure}
    return elements.pop() if len(elements) == 1 else ""


def _of_kikuchipy(path: Path, phase: Phase) -> Panel:
    import kikuchipy

    if not path.is_file():
        raise InputError(f"{path}: no such file; choose a master pattern")
    try:
        signal = kikuchipy.load(path, projection="lambert", hemisphere="upper")
        data = np.asarray(signal.data, dtype=float)
        found = getattr(signal, "phase", None)
    except (OSError, ValueError, TypeError, KeyError, IndexError, AssertionError) as error:
        raise InputError(
            f"{path.name}: neither a library of master patterns nor a master pattern that "
            "kikuchipy reads"
        ) from error
    if type(signal).__name__.removeprefix("Lazy") != "EBSDMasterPattern":
        raise InputError(f"{path.name}: holds no master pattern")
    groups = [p.space_group.number for p in (found, phase) if p is not None and p.space_group]
    if len(set(groups)) > 1:
        raise InputError(
            f"{path.name}: its master pattern has the space group {groups[0]}, {phase.name} has "
            f"{groups[1]}; choose that of {phase.name}"
        )
    grid = data.reshape(-1, *data.shape[-2:])[-1]
    return Panel("master pattern", grid, signed=False)
