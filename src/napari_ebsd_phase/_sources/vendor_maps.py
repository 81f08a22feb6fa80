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
    if not (_is_group(data) and _is_group(header) and "Phase" in data):
        return None
    count = shape[0] * shape[1]
    euler, phases = _euler(data), _phases(header)
    phase_id = numbers_of(data["Phase"])
    if euler is None or phase_id is None or not phases:
        return None
    if euler.shape != (count, 3) or phase_id.size != count:
        return None
    phase_id = np.nan_to_num(phase_id.ravel(), nan=NOT_INDEXED).clip(NOT_INDEXED, 2**31).astype(int)
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
        return numbers_of(data["Euler"])
    for names, unit in ((("Phi1", "Phi", "Phi2"), 1.0), (("phi1", "PHI", "phi2"), np.pi / 180)):
        if all(name in data for name in names):  # EDAX, Bruker
            columns = [numbers_of(data[name]) for name in names]
            full = [column.ravel() for column in columns if column is not None]
            if len(full) == 3 and len({len(column) for column in full}) == 1:
                return np.column_stack(full) * unit
    return None


def _is_group(entry: Any) -> bool:
    return hasattr(entry, "items")


def numbers_of(entry: Any) -> np.ndarray | None:
    """Values of a data set as float64, None where it is none or holds no numbers."""
    kind = getattr(entry, "dtype", np.dtype("V")).kind
    return np.asarray(entry[()], dtype=float) if kind in "uif" and entry.size else None


def text_of(entry: Any) -> str | None:
    """First value of a data set as text, None where it is none or empty."""
    if not getattr(entry, "size", 0):
        return None
    value = np.ravel(entry[()])[0]
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _phases(header: Any) -> dict[int, Any]:
    """Phases by the number that the points refer to."""
    group = header.get("Phases", header.get("Phase"))
    if not _is_group(group):
        return {}
    found = {}
    for key, entry in group.items():
        if key.isdigit() and _is_group(entry) and (phase := _phase(entry)) is not None:
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
    except (LatticeError, ArithmeticError, ValueError):  # lengths or angles that no cell has
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
    if isinstance(symbol, bytes):
        symbol = symbol.decode("latin-1")
    return symbol if isinstance(symbol, str) else None


def _cell(entry: Any) -> list[float] | None:
    """Cell lengths in angstrom and angles in degrees."""
    constants: list[float] = []
    if "Lattice Dimensions" in entry and "Lattice Angles" in entry:  # Oxford, radians
        lengths, angles = (
            numbers_of(entry[name]) for name in ("Lattice Dimensions", "Lattice Angles")
        )
        if lengths is not None and angles is not None:
            constants = [*lengths.ravel(), *np.rad2deg(angles).ravel()]
    elif "LatticeConstants" in entry:  # Bruker
        found = numbers_of(entry["LatticeConstants"])
        constants = [] if found is None else [*found.ravel()]
    else:  # EDAX
        names = ("a", "b", "c", "alpha", "beta", "gamma")
        values = [_number(entry, f"Lattice Constant {name}") for name in names]
        constants = [value for value in values if value is not None]
    good = len(constants) == 6 and np.isfinite(constants).all() and min(constants) > 0
    return [float(value) for value in constants] if good else None


def _number(entry: Any, name: str) -> float | None:
    values = numbers_of(entry[name]) if name in entry else None
    return None if values is None else float(values.ravel()[0])


def _text(entry: Any, name: str) -> str | None:
    return text_of(entry[name]) if name in entry else None
