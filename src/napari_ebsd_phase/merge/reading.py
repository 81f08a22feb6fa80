# SPDX-License-Identifier: GPL-3.0-or-later
"""Maps of other programs in files of their own, as EDAX keeps them."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..export._phases import first_of_each

if TYPE_CHECKING:
    from orix.crystal_map import CrystalMap

__all__ = ["VENDOR_SUFFIXES", "load_vendor_map"]

VENDOR_SUFFIXES = (".ang", ".ctf", ".h5", ".hdf5")


def load_vendor_map(path: str | Path) -> CrystalMap:
    """Read the phases and orientations that another program wrote, with orix.

    Parameters
    ----------
    path
        .ang, .ctf, or an .h5 file of orix or EMsoft.

    Raises
    ------
    InputError
        If the file is missing, of another kind, or damaged.
    """
    path = Path(path)
    if path.suffix.lower() not in VENDOR_SUFFIXES:
        raise InputError(
            f"'{path}' is none of {', '.join(VENDOR_SUFFIXES)}: export the map of the other "
            "program as one of these"
        )
    if not path.is_file():
        raise InputError(f"there is no file '{path}': check the name")
    crystal_map = _read(path)
    if crystal_map.size == 0:
        raise InputError(f"'{path}' holds no point: export the map again")
    return _without_stand_ins(crystal_map)


def _read(path: Path) -> CrystalMap:
    from orix import io

    options = {"autogen_names": False} if path.suffix.lower() == ".ang" else {}
    try:
        if path.suffix.lower() in (".h5", ".hdf5"):
            _check_claims(path)
        # orix warns of columns that it does not know, which are not needed here.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return io.load(path, **options)
    except InputError:
        raise
    except Exception as error:
        # One call into orix, which lets everything through that a bad entry sets off below it.
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(
            f"cannot read '{path}' as a map ({reason}): export it again, or in another format"
        ) from error


def _check_claims(path: Path) -> None:
    """See that an HDF5 file keeps to itself and holds what it promises: orix reads all of it."""
    import h5py

    from .._sources.hdf5_claims import check_links, is_hollow

    def check(name: str, entry: Any) -> None:
        if isinstance(entry, h5py.Dataset) and is_hollow(entry):
            raise ValueError(f"'{name}' promises {entry.nbytes // 10**6:,} MB that are not there")

    with h5py.File(path, "r") as file:
        check_links(path, file)
        file.visititems(check)


def _without_stand_ins(crystal_map: CrystalMap) -> CrystalMap:
    """Make points not indexed whose number is that of no phase: orix makes up a nameless one."""
    from orix.crystal_map import CrystalMap, PhaseList

    phases: dict[int, Any] = {int(i): phase for i, phase in crystal_map.phases if i >= 0}
    nameless = [i for i, p in phases.items() if not p.name and p.point_group is None]
    if not nameless:
        return crystal_map
    ids = first_of_each(crystal_map.phase_id)
    ids[(ids >= 0) & (ids[:, None] == nameless).any(axis=1)] = -1
    return CrystalMap(
        rotations=crystal_map.rotations,
        phase_id=ids,
        x=crystal_map.x,
        y=crystal_map.y,
        phase_list=PhaseList({i: p for i, p in phases.items() if i not in nameless}),
        scan_unit=crystal_map.scan_unit,
    )
