# SPDX-License-Identifier: GPL-3.0-or-later
"""A phase map as orix's ``CrystalMap``, and back.

Labels become phases with their point group; every scalar map becomes a property. The full
probabilities are properties of 32 and 14 columns, so that the way back loses no number.

A crystal map has no room for what made it, for names of files, and for a second list of phases: the
vendor's rotations are kept, the vendor's phases are not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from matplotlib.colors import CSS4_COLORS, XKCD_COLORS, to_rgb
from orix.crystal_map import CrystalMap, Phase, PhaseList
from orix.quaternion import Rotation

from .._sources.recording import usable_step
from ..crystallography import (
    BRAVAIS_LATTICES,
    LEVELS,
    POINT_GROUPS,
    crystal_system,
    laue_group,
)
from ..errors import InputError
from ..labels import DECISION_LEVELS, NO_LEVEL, Label, label_table
from ..phase_map import PhaseMap
from ._phases import positions, rotations_of, vendor_on_grid

__all__ = ["from_crystal_map", "to_crystal_map", "vendor_rotations"]

# orix has one symbol for each setting of these; its 2/m is the one with the axis along c.
_ORIX_NAMES = {"2": "112", "m": "11m"}

_ARRAYS = {
    "point_group_probabilities": len(POINT_GROUPS),
    "bravais_probabilities": len(BRAVAIS_LATTICES),
}
_SCALARS = ("pattern_quality", "done", "threshold", "quality_threshold")


class LabelPhase(Phase):
    """A label as a phase, in plots of exactly its colour.

    orix calls every colour by a name, also in files, and ours have none: the name is that of the
    nearest colour that no other of ours has.
    """

    def __init__(self, label: Label) -> None:
        name = label.name
        if label.level == "crystal_system":
            # The holohedry is the last point group of the system, which is centrosymmetric.
            name = [laue_group(p) for p in POINT_GROUPS if crystal_system(p) == label.name][-1]
        super().__init__(
            label.title,
            point_group=_ORIX_NAMES.get(name, name),
            color=_color_names()[label.color],
        )
        self._nearest, self._exact = self.color, label.color

    @property
    def color_rgb(self) -> tuple[float, float, float]:
        """Red, green and blue, 0 to 1; of the colour that somebody chose instead, if so."""
        return to_rgb(self._exact if self.color == self._nearest else self.color)


def to_crystal_map(phase_map: PhaseMap, *, probabilities: bool = True) -> CrystalMap:
    """Return `phase_map` as a crystal map; see :meth:`.PhaseMap.to_crystal_map`."""
    codes, label_probability = phase_map.label_codes()
    present = [label for label in label_table() if (codes == label.code).any()]
    rotations = vendor_rotations(phase_map)
    y, x = positions(phase_map)
    properties: dict[str, Any] = {}
    for level in LEVELS:
        index, probability = phase_map.most_probable(level)
        properties[level] = index.astype(np.int8)
        properties[f"{level}_probability"] = probability
    level_names = [NO_LEVEL, *(label.level for label in label_table())]
    # 0 is none, 1 the crystal system, and finer levels have higher numbers.
    fineness = {NO_LEVEL: 0} | {
        level: i for i, level in enumerate(reversed(DECISION_LEVELS), start=1)
    }
    properties["level"] = np.array([fineness[name] for name in level_names], np.int8)[codes]
    properties["label_probability"] = label_probability
    properties["pattern_quality"] = phase_map.pattern_quality
    properties["done"] = phase_map.done
    flat = {name: values.ravel() for name, values in properties.items()}
    if probabilities:
        for name, classes in _ARRAYS.items():
            flat[name] = getattr(phase_map, name).reshape(-1, classes)
        for name in ("threshold", "quality_threshold"):
            flat[name] = np.full(codes.size, getattr(phase_map, name))
    return CrystalMap(
        rotations=Rotation.identity((codes.size,)) if rotations is None else rotations,
        phase_id=np.where(codes == 0, -1, codes.astype(int)).ravel(),
        y=y,
        x=x,
        phase_list=PhaseList({label.code: LabelPhase(label) for label in present}),
        prop=flat,
        scan_unit=phase_map.units,
    )


def from_crystal_map(
    crystal_map: CrystalMap,
    *,
    sources: Sequence[str] = ("",),
    provenance: Mapping[str, Any] | None = None,
    vendor: CrystalMap | None = None,
) -> PhaseMap:
    """Return the phase map that a crystal map was; see :meth:`.PhaseMap.from_crystal_map`."""
    if not isinstance(crystal_map, CrystalMap):
        raise InputError(
            f"expected a crystal map of orix, not a {type(crystal_map).__name__}: give what "
            "PhaseMap.to_crystal_map returned"
        )
    if crystal_map.size == 0:
        raise InputError("the crystal map has no point in it: choose some")
    missing = [name for name in (*_ARRAYS, *_SCALARS) if name not in crystal_map.prop]
    if missing:
        raise InputError(
            f"the crystal map has no {missing[0].replace('_', ' ')}, without which there is no "
            "phase map: open a file of `classify` with PhaseMap.load, and compare another "
            "program's map with napari_ebsd_phase.merge.compare"
        )
    row, col = _places(crystal_map)
    shape = int(row.max()) + 1, int(col.max()) + 1
    step, units = usable_step(
        crystal_map.dy, crystal_map.dx, "um" if crystal_map.scan_unit == "um" else "px"
    )

    def on_grid(name: str, *classes: int) -> np.ndarray:
        values = crystal_map.prop[name]
        if values.shape[1:] != classes:
            raise InputError(
                f"the {name.replace('_', ' ')} of the crystal map have the shape {values.shape}, "
                f"expected {(crystal_map.size, *classes)}: give what to_crystal_map returned"
            )
        # What was cut out of the map is not done.
        grid = np.full((*shape, *classes), np.nan, np.float32)
        grid[row, col] = values
        return grid

    arrays = {name: on_grid(name, classes) for name, classes in _ARRAYS.items()}
    quality = on_grid("pattern_quality")
    done = np.zeros(shape, bool)
    done[row, col] = crystal_map.prop["done"]
    told = {"read_from": "an orix CrystalMap, which does not tell what made it"}
    return PhaseMap(
        **arrays,
        pattern_quality=quality,
        done=done,
        step=step,
        units=units,
        threshold=float(crystal_map.prop["threshold"][0]),
        quality_threshold=float(crystal_map.prop["quality_threshold"][0]),
        sources=sources,
        provenance=told if provenance is None else provenance,
        crystal_map=vendor,
    )


def _places(crystal_map: CrystalMap) -> tuple[np.ndarray, np.ndarray]:
    """Row and column of every point, in the rectangle that holds them all."""
    if crystal_map.is_in_data.size == 1:  # orix has neither for a single point
        return np.zeros(1, int), np.zeros(1, int)
    return crystal_map.row, crystal_map.col


def vendor_rotations(phase_map: PhaseMap) -> Rotation | None:
    """Return the vendor's rotation of every pixel, row by row, or None where one is missing."""
    vendor = vendor_on_grid(phase_map)
    return None if vendor is None else rotations_of(vendor)


@cache
def _color_names() -> dict[str, str]:
    """The nearest named colour of each of ours, another for each; white means not indexed."""
    named = {name: to_rgb(name) for name in (*CSS4_COLORS, *XKCD_COLORS)}
    free = {name: rgb for name, rgb in named.items() if rgb != (1.0, 1.0, 1.0)}
    chosen: dict[str, str] = {}
    for color in dict.fromkeys(label.color for label in label_table()):
        wanted = to_rgb(color)
        name = min(
            free, key=lambda n: sum((a - b) ** 2 for a, b in zip(free[n], wanted, strict=True))
        )
        taken = free[name]
        free = {other: rgb for other, rgb in free.items() if rgb != taken}
        chosen[color] = name
    return chosen
