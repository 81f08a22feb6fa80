# SPDX-License-Identifier: GPL-3.0-or-later
"""Where our labels and the phases of another program agree.

They are compared at the level of the label: a label "m-3m" is right about a phase of that point
group, "Laue m-3m" about any phase of that Laue group, "cubic" about any cubic phase. What a file
says of a phase is taken for its point group only where it names a space group: the formats of the
vendors know Laue groups, and some readers make rotation groups of them. Without a space group a
label is compared with the Laue group.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from ..crystallography import (
    BRAVAIS_LATTICES,
    bravais_lattice_of_space_group,
    crystal_system,
    laue_group,
    point_group_of_space_group,
)
from ..errors import InputError
from ..export._phases import first_of_each, fits_grid
from ..labels import NO_LEVEL, Label, label_table

if TYPE_CHECKING:
    from orix.crystal_map import CrystalMap

    from ..phase_map import PhaseMap

__all__ = ["VERDICTS", "AgreementRow", "Comparison", "Symmetry", "compare"]

VERDICTS: Final = {
    "not classified": "#000000",
    "agree": "#2e7d32",
    "another lattice": "#f9a825",
    "another symmetry": "#c62828",
    "only we name it": "#1565c0",
    "only the vendor names it": "#9fa8da",
    "neither names it": "#808080",
    "cannot be compared": "#d7ccc8",
}
"""What can be said of a point, with a colour; the values of :attr:`Comparison.verdict` count them.

"Another lattice" is said of points with the same symmetry, whose lattice is known of the vendor's
phase and has a probability of ours as high as a label needs. "Cannot be compared" are points of a
phase without a symmetry.
"""

_NOT_CLASSIFIED, AGREE, LATTICE, DISAGREE, UNINDEXED, UNDECIDED, _NEITHER, _UNKNOWN = range(8)


@dataclass(frozen=True)
class Symmetry:
    """What a file says of the symmetry of a phase.

    `point_group` and `lattice` are "" where it names no space group; `laue_group` is "" where it
    names nothing.
    """

    point_group: str
    laue_group: str
    lattice: str

    @classmethod
    def of(cls, phase: Any) -> Symmetry:
        """Return that of an orix phase."""
        if phase.space_group is not None:
            number = int(phase.space_group.number)
            group = point_group_of_space_group(number)
            return cls(group, laue_group(group), bravais_lattice_of_space_group(number))
        try:
            group = "" if phase.point_group is None else laue_group(phase.point_group.name)
        except InputError:  # a symbol of orix that is no setting we know
            group = ""
        return cls("", group, "")

    @property
    def name(self) -> str:
        """The finest of what is known."""
        return self.point_group or (f"Laue {self.laue_group}" if self.laue_group else "")

    def allows(self, label: Label) -> bool:
        """Whether a label is right about such a phase, at the level of the label."""
        if label.level == "crystal_system":
            return crystal_system(self.laue_group) == label.name
        if label.level == "point_group" and self.point_group:
            return self.point_group == label.name
        return self.laue_group == laue_group(label.name)


@dataclass(frozen=True)
class AgreementRow:
    """Points that the vendor gives one phase and we one label.

    Names are "" where the vendor or we have none; `agrees` is None there, and where the phase has
    no symmetry. `share` (0 to 1) is of the classified points of the vendor's phase.
    `same_lattice` is the share whose most probable lattice is the phase's, None where that is not
    known. `probability` is the mean of the label's.
    """

    vendor_phase: str
    vendor_symmetry: str
    vendor_lattice: str
    label: str
    level: str
    points: int
    share: float
    agrees: bool | None
    same_lattice: float | None
    probability: float


@dataclass(frozen=True, eq=False)
class Comparison:
    """A phase map beside a vendor's.

    `verdict` (rows, cols) counts :data:`VERDICTS`; `table` is sorted by the vendor's phases, then
    by points, not indexed points last.
    """

    verdict: NDArray[np.uint8]
    table: list[AgreementRow]

    @property
    def disagreement(self) -> NDArray[np.bool_]:
        """Where both name a symmetry, and not the same, (rows, cols)."""
        return self.verdict == DISAGREE

    def points(self, verdict: str) -> int:
        """Number of points of which one of :data:`VERDICTS` is true."""
        return int(np.count_nonzero(self.verdict == list(VERDICTS).index(verdict)))


def compare(phase_map: PhaseMap, vendor: CrystalMap | None = None) -> Comparison:
    """Compare a phase map with the phases that another program found.

    Parameters
    ----------
    phase_map
        Ours, at its own threshold.
    vendor
        On the same grid; that of the scan itself when None.

    Raises
    ------
    InputError
        If there is no such map, or its grid is another.
    """
    vendor = vendor_map(phase_map, vendor)
    ids = first_of_each(vendor.phase_id).reshape(phase_map.shape)
    codes, winning = phase_map.label_codes()
    lattice, lattice_probability = phase_map.most_probable("bravais_lattice")
    sure_of_lattice = lattice_probability >= phase_map.threshold  # false for NaN
    verdict = np.zeros(phase_map.shape, np.uint8)
    table = []
    numbers = sorted(set(np.unique(ids).tolist()), key=lambda number: (number < 0, number))
    for number in numbers:
        here = (ids == number) & phase_map.done
        phase = vendor.phases[number] if number >= 0 else None
        symmetry = None if phase is None else Symmetry.of(phase)
        known = BRAVAIS_LATTICES.index(symmetry.lattice) if symmetry and symmetry.lattice else None
        same = here & (lattice == known)
        for code in np.unique(codes[here]).tolist():
            points = here & (codes == code)
            agrees = _agrees(symmetry, code)
            verdict[points] = _verdict(symmetry, code, agrees)
            if agrees and known is not None:
                verdict[points & sure_of_lattice & ~same] = LATTICE
            count = int(points.sum())
            label = label_table()[code - 1] if code else None
            table.append(
                AgreementRow(
                    vendor_phase="" if phase is None else name_of(phase, number),
                    vendor_symmetry="" if symmetry is None else symmetry.name,
                    vendor_lattice="" if symmetry is None else symmetry.lattice,
                    label=label.name if label else "",
                    level=label.level if label else NO_LEVEL,
                    points=count,
                    share=count / int(here.sum()),
                    agrees=agrees,
                    same_lattice=None if known is None else float((points & same).sum() / count),
                    probability=float(winning[points].mean(dtype=float)),
                )
            )
    place = {row.vendor_phase: i for i, row in reversed(list(enumerate(table)))}
    table.sort(key=lambda row: (place[row.vendor_phase], -row.points))
    return Comparison(verdict, table)


def name_of(phase: Any, number: int) -> str:
    """Return the name of a vendor's phase, or one with its number where it has none."""
    return str(phase.name) or f"phase {number}"


def vendor_map(phase_map: PhaseMap, vendor: CrystalMap | None) -> CrystalMap:
    """Return the map to compare with, of every point of ours."""
    found = phase_map.crystal_map if vendor is None else vendor
    if found is None:
        raise InputError(
            "the phase map has no phases of another program beside it: give the map that it wrote"
        )
    if not fits_grid(found, phase_map.shape):
        ours, theirs = (" x ".join(map(str, shape)) for shape in (phase_map.shape, found.shape))
        raise InputError(
            f"the other program's map has {theirs} points, ours {ours}: give the map of this scan"
        )
    return found


def _agrees(symmetry: Symmetry | None, code: int) -> bool | None:
    if symmetry is None or not symmetry.laue_group or not code:
        return None
    return symmetry.allows(label_table()[code - 1])


def _verdict(symmetry: Symmetry | None, code: int, agrees: bool | None) -> int:
    if symmetry is None:
        return UNINDEXED if code else _NEITHER
    if not code:
        return UNDECIDED
    return _UNKNOWN if agrees is None else AGREE if agrees else DISAGREE
