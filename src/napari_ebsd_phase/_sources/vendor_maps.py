# SPDX-License-Identifier: GPL-3.0-or-later
"""Phases and orientations that the vendor's software stored beside the patterns.

kikuchipy leaves them out for Oxford, EDAX and Bruker files. Layouts: the H5OINA specification
(github.com/oinanoanalysis/h5oina) and the h5ebsd files of EDAX and Bruker.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

NOT_INDEXED = -1


def vendor_map(
    group: Any,
    shape: tuple[int, int],
    step: tuple[float, float],
    units: str,
    order: np.ndarray | None = None,
) -> Any:
    """Return an orix CrystalMap of the vendor's result, or None where the file has none.

    Parameters
    ----------
    group
        HDF5 group of the scan, with ``EBSD/Data`` and ``EBSD/Header``.
    shape
        Map rows and columns.
    step
        (dy, dx) in `units`.
    order
        Position in the file of each map point; None where they lie in order.
    """
    data, header = group.get("EBSD/Data"), group.get("EBSD/Header")
    if data is None or header is None or "Phase" not in data:
        return None
    count = shape[0] * shape[1]
    euler, phases = _euler(data), _phases(header)
    phase_id = np.asarray(data["Phase"]).ravel().astype(int)
    if euler is None or not phases or euler.shape != (count, 3) or len(phase_id) != count:
        return None
    if set(phases) == {1} and "Phi1" in data:
        # EDAX numbers phases from 1, but a lone phase 0.
        phase_id[phase_id == 0] = 1
    phase_id[~np.isin(phase_id, list(phases)) | ~np.isfinite(euler).all(axis=1)] = NOT_INDEXED
    if order is not None:
        euler, phase_id = euler[order], phase_id[order]
    return _crystal_map(np.nan_to_num(euler), phase_id, phases, shape, step, units)


def on_grid(crystal_map: Any, shape: tuple[int, int], step: tuple[float, float], units: str) -> Any:
    """Return a crystal map with the points of `crystal_map` laid out on another grid."""
    from orix.crystal_map import CrystalMap

    return CrystalMap(
        rotations=crystal_map.rotations,
        phase_id=crystal_map.phase_id,
        phase_list=crystal_map.phases,
        prop=dict(crystal_map.prop),
        scan_unit=units,
        **_coordinates(shape, step),
    )


def _crystal_map(
    euler: np.ndarray,
    phase_id: np.ndarray,
    phases: dict[int, Any],
    shape: tuple[int, int],
    step: tuple[float, float],
    units: str,
) -> Any:
    from orix.crystal_map import CrystalMap, PhaseList
    from orix.quaternion import Rotation

    phase_list = PhaseList(phases)
    if (phase_id == NOT_INDEXED).any():
        phase_list.add_not_indexed()
    return CrystalMap(
        rotations=Rotation.from_euler(euler),
        phase_id=phase_id,
        phase_list=phase_list,
        scan_unit=units,
        **_coordinates(shape, step),
    )


def _coordinates(shape: tuple[int, int], step: tuple[float, float]) -> dict[str, np.ndarray]:
    y, x = np.indices(shape)
    return {"y": y.ravel() * step[0], "x": x.ravel() * step[1]}


def _euler(data: Any) -> np.ndarray | None:
    """Bunge angles (n, 3) in radians."""
    if "Euler" in data:  # Oxford
        return np.asarray(data["Euler"], dtype=float)
    for names, unit in ((("Phi1", "Phi", "Phi2"), 1.0), (("phi1", "PHI", "phi2"), np.pi / 180)):
        if all(name in data for name in names):  # EDAX, Bruker
            columns = [np.asarray(data[name], dtype=float).ravel() for name in names]
            if len({len(column) for column in columns}) == 1:
                return np.column_stack(columns) * unit
    return None


def _phases(header: Any) -> dict[int, Any]:
    """Phases by the number that the points refer to."""
    group = header.get("Phases", header.get("Phase"))
    if group is None or not hasattr(group, "items"):
        return {}
    found = {}
    for key, entry in group.items():
        if key.isdigit() and (phase := _phase(entry)) is not None:
            found[int(key)] = phase
    return found


def _phase(entry: Any) -> Any:
    from diffpy.structure import Lattice, LatticeError, Structure
    from orix.crystal_map import Phase

    name = _text(entry, "Phase Name") or _text(entry, "MaterialName") or _text(entry, "Name")
    number = _number(entry, "Space Group") or _number(entry, "IT")
    symmetry: dict[str, Any] = {}
    if number is not None and 1 <= number <= 230:
        symmetry["space_group"] = int(number)
    else:
        symmetry["point_group"] = _laue_symbol(entry)
    try:
        cell = _cell(entry)
        structure = Structure(lattice=Lattice(*cell)) if cell is not None else None
    except LatticeError:  # angles that no cell has
        structure = None
    for options in (symmetry, {}):
        try:
            return Phase(name=name or "", structure=structure, **options)
        except (ValueError, TypeError):
            continue  # a symbol that orix does not know: keep the name and the cell
    return None


def _laue_symbol(entry: Any) -> str | None:
    """Symbol of the point group, or of the Laue group where the file has no more."""
    if match := re.search(r"\[(.+)\]", _text(entry, "Point Group") or ""):  # EDAX: Cubic (Oh) [m3m]
        return match[1]
    laue = entry.get("Laue Group")
    symbol = None if laue is None else laue.attrs.get("Symbol")  # Oxford
    return symbol.decode() if isinstance(symbol, bytes) else symbol


def _cell(entry: Any) -> list[float] | None:
    """Cell lengths in angstrom and angles in degrees."""
    constants: list[float]
    if "Lattice Dimensions" in entry and "Lattice Angles" in entry:  # Oxford, radians
        lengths, angles = (
            np.asarray(entry[name], dtype=float).ravel()
            for name in ("Lattice Dimensions", "Lattice Angles")
        )
        constants = [*lengths, *np.rad2deg(angles)]
    elif "LatticeConstants" in entry:  # Bruker
        constants = list(np.asarray(entry["LatticeConstants"], dtype=float).ravel())
    else:  # EDAX
        names = ("a", "b", "c", "alpha", "beta", "gamma")
        values = [_number(entry, f"Lattice Constant {name}") for name in names]
        constants = [value for value in values if value is not None]
    good = len(constants) == 6 and np.isfinite(constants).all() and min(constants) > 0
    return [float(value) for value in constants] if good else None


def _number(entry: Any, name: str) -> float | None:
    values = np.ravel(entry[name][()]) if name in entry else np.empty(0)
    return float(values[0]) if values.size and values.dtype.kind in "uif" else None


def _text(entry: Any, name: str) -> str | None:
    if name not in entry:
        return None
    value = np.ravel(entry[name][()])
    if not value.size:
        return None
    return value[0].decode("latin-1") if isinstance(value[0], bytes) else str(value[0])
