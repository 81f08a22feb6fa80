# SPDX-License-Identifier: GPL-3.0-or-later
"""A map as points with phases and orientations, which is what .ang and .ctf files hold.

Every label that occurs becomes one phase; undecided and unclassified points have none. No
orientation is predicted: a point has that of the vendor's software, or none. A network knows the
symmetry of a crystal and not the size of its cell: where the vendor does not tell it, the cell is a
placeholder with edges of 1 angstrom, and the phase says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import TextIOBase
from math import ceil, log10
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..crystallography import POINT_GROUPS, UNDECIDED_COLOR, crystal_system, laue_group
from ..errors import InputError
from ..labels import NO_LEVEL, Label, label_table

if TYPE_CHECKING:
    from ..phase_map import PhaseMap

#: Levels of a phase that another program named.
VENDOR, VENDOR_UNKNOWN = "vendor", "vendor, without a symmetry"

_KINDS = {
    "point_group": "point group {0.point_group}",
    "laue_group": "Laue group {0.laue_group}, point group undecided",
    "crystal_system": "crystal system only, the Laue group {0.laue_group} stands for it",
    VENDOR: "phase of the other program",
    VENDOR_UNKNOWN: "phase of the other program, which does not tell its symmetry",
    NO_LEVEL: "no point has this phase",
}

#: Rows of text that are made at once: enough to be fast, few enough to need no memory.
_BLOCK = 20_000


@dataclass(frozen=True)
class Phase:
    """One label as a phase.

    `cell` is a, b, c in angstrom and alpha, beta, gamma in degrees; `cell_from` is the vendor's
    phase that it is taken from, "" where it is a placeholder. `space_group` is 0 where it is not
    known, as it never is of a label.
    """

    number: int
    name: str
    level: str
    point_group: str
    laue_group: str
    color: str
    cell: tuple[float, ...]
    cell_from: str
    space_group: int = 0

    @property
    def point_group_known(self) -> bool:
        """Whether `point_group` is more than a member of the Laue group."""
        return self.level == "point_group" or bool(self.space_group)

    @property
    def comment(self) -> str:
        """What has no field of its own in the formats."""
        cell = (
            f"cell of {plain(self.cell_from)} in the source file"
            if self.cell_from
            else "lattice parameters unknown, the cell is a placeholder"
        )
        kind = _KINDS[self.level].format(self)
        return f"{kind}; colour {self.color}; {cell}"


@dataclass(frozen=True)
class PointTable:
    """Phases, and one entry for every point of the map, row by row.

    `phase` is the number of a phase, 0 where not indexed; `euler` are Bunge angles in radians, 0
    where there is no orientation; `probability` is that of the label, 0 where there is none;
    `quality` is 0 where not classified. `orientations` says in words where they come from, and
    `meaning` what a phase is, if not a label.
    """

    phases: tuple[Phase, ...]
    phase: NDArray[np.int64]
    euler: NDArray[np.float64]
    x: NDArray[np.floating[Any]]
    y: NDArray[np.floating[Any]]
    probability: NDArray[np.float32]
    quality: NDArray[np.float32]
    orientations: str
    meaning: str = ""


def tabulate(phase_map: PhaseMap) -> PointTable:
    """Turn a map into phases and points."""
    codes, winning = (array.ravel() for array in phase_map.label_codes())
    vendor = vendor_on_grid(phase_map)
    present = [label for label in label_table() if (codes == label.code).any()]
    phases = label_phases(
        present, [_vendor_cell(vendor, codes == label.code, label) for label in present]
    )
    number_of_code = np.zeros(len(label_table()) + 1, np.int64)
    number_of_code[[label.code for label in present]] = [phase.number for phase in phases]
    phase = number_of_code[codes]
    euler, orientations = _orientations(vendor, phase)
    y, x = positions(phase_map)
    return PointTable(
        phases=phases,
        phase=phase,
        euler=euler,
        x=x,
        y=y,
        probability=np.where(phase > 0, winning, np.float32(0)),
        quality=np.where(phase_map.done, phase_map.pattern_quality, np.float32(0)).ravel(),
        orientations=orientations,
    )


def notes(phase_map: PhaseMap, table: PointTable) -> list[str]:
    """Return what a reader of the file should know, as lines of plain ASCII."""
    made = phase_map.provenance
    source = made.get("source", phase_map.sources[0])
    lines = [f"napari-ebsd-phase {made.get('version', '')}".strip()]
    lines += [f"{name} {made[name]}" for name in ("network", "prior", "date") if name in made]
    lines += [
        f"source {source}",
        table.meaning
        or f"a phase is a symmetry that has a probability of {phase_map.threshold:g} or more",
        table.orientations,
    ]
    lines += [
        f"{name} {made[name]}" for name in ("source_sha256", "network_sha256") if name in made
    ]
    if phase_map.units == "px":
        lines.append("the scan has no physical step: steps and positions are in pixels")
    return [plain(line) for line in lines]


def plain(text: str) -> str:
    """Write `text` in one line of ASCII, which is all that old readers understand."""
    return text.encode("unicode_escape").decode("ascii")


def decimals(step: float, cells: int, least: int) -> int:
    """Return the decimals that positions need.

    Readers find the number of cells as the extent divided by the first step, so the rounding of
    one step must not add up to a part of a cell over the whole map.
    """
    return max(least, ceil(log10(5 * cells / step)))


def write_columns(
    file: TextIOBase, formats: Sequence[str], separator: str, columns: Sequence[NDArray[Any]]
) -> None:
    """Write one line for every entry of `columns`."""
    line = separator.join(formats) + "\n"
    for start in range(0, len(columns[0]), _BLOCK):
        block = np.column_stack([column[start : start + _BLOCK] for column in columns])
        # One formatting for all lines: line by line, a large map would take minutes.
        file.write(line * len(block) % tuple(block.ravel().tolist()))


def positions(
    phase_map: PhaseMap,
) -> tuple[NDArray[np.floating[Any]], NDArray[np.floating[Any]]]:
    """Return y and x of every point, row by row."""
    row, col = (index.ravel() for index in np.indices(phase_map.shape))
    return row * phase_map.step[0], col * phase_map.step[1]


def label_phases(
    labels: Sequence[Label],
    cells: Sequence[tuple[tuple[float, ...] | None, str]] | None = None,
    first: int = 1,
) -> tuple[Phase, ...]:
    """Return labels as phases with numbers from `first` on, and one that says so if there is none.

    `cells` are those of :func:`_vendor_cell`, placeholders where they are None.
    """
    phases = []
    for number, label in enumerate(labels, start=first):
        symbol = _symbol(label)
        cell, cell_from = cells[number - first] if cells else (None, "")
        if cell is None:
            gamma = 120.0 if crystal_system(symbol) in ("trigonal", "hexagonal") else 90.0
            cell = (1.0, 1.0, 1.0, 90.0, 90.0, gamma)
        phases.append(
            Phase(
                number,
                label.title,
                label.level,
                symbol,
                laue_group(symbol),
                label.color,
                cell,
                cell_from,
            )
        )
    # Readers need a phase, even where nothing is decided.
    return tuple(phases) if phases or first > 1 else (_NO_PHASE,)


def _symbol(label: Label) -> str:
    """Return the point group that stands for a label; a crystal system's is that of its lattice."""
    if label.level == "crystal_system":
        # The holohedry is the last point group of the system.
        return [name for name in POINT_GROUPS if crystal_system(name) == label.name][-1]
    return label.name


_NO_PHASE = Phase(
    1, "undecided", NO_LEVEL, "1", "-1", UNDECIDED_COLOR, (1.0, 1.0, 1.0, 90.0, 90.0, 90.0), ""
)


def vendor_on_grid(phase_map: PhaseMap) -> Any:
    """Return the vendor's map, or None where it does not have every point of ours."""
    vendor = phase_map.crystal_map
    return vendor if vendor is not None and fits_grid(vendor, phase_map.shape) else None


def fits_grid(crystal_map: Any, shape: tuple[int, int]) -> bool:
    """Whether a crystal map has all points of a map of this shape, and no others."""
    # orix drops axes of length 1, and would tell a scan of other geometry by its shape.
    same = tuple(n for n in crystal_map.shape if n > 1) == tuple(n for n in shape if n > 1)
    return same and bool(crystal_map.size == shape[0] * shape[1])


def first_of_each(values: Any) -> NDArray[Any]:
    """Return the first value of every point: a map may hold several solutions, best first."""
    array = np.asarray(values)
    return array[:, 0].copy() if array.ndim > 1 else array.copy()


def rotations_of(crystal_map: Any) -> Any:
    """Return the first rotation of every point."""
    rotations = crystal_map.rotations
    return rotations[:, 0] if rotations.ndim > 1 else rotations


def _orientations(vendor: Any, phase: NDArray[np.int64]) -> tuple[NDArray[np.float64], str]:
    """Return the Euler angles of every point, and in words where they come from."""
    euler = np.zeros((phase.size, 3))
    if vendor is None:
        return euler, "no orientation is predicted and the source file has none: Euler angles are 0"
    known = (first_of_each(vendor.phase_id) >= 0) & (phase > 0)
    euler[known] = rotations_of(vendor)[known].to_euler()
    text = (
        "no orientation is predicted: Euler angles are those of the source file, unchanged and in "
        "the axes of its vendor, for the phase that the vendor named"
    )
    if missing := int(np.count_nonzero(phase)) - int(np.count_nonzero(known)):
        text += f", and 0 at {missing} points that the vendor did not index"
    return euler, text


def _vendor_cell(
    vendor: Any, here: NDArray[np.bool_], label: Label
) -> tuple[tuple[float, ...] | None, str]:
    """Return the cell and name of the vendor's phase at most points of a label, where they agree.

    A cell of another crystal system is of no use.
    """
    if vendor is None:
        return None, ""
    ids, counts = np.unique(first_of_each(vendor.phase_id)[here], return_counts=True)
    commonest = int(ids[counts.argmax()])
    if commonest < 0 or 2 * counts.max() <= counts.sum():
        return None, ""
    phase = vendor.phases[commonest]
    system = crystal_system(_symbol(label))
    try:
        agrees = phase.point_group is not None and crystal_system(phase.point_group.name) == system
    except InputError:  # a symbol of orix that is no setting we know
        agrees = False
    cell = vendor_cell(phase)
    if not agrees or cell[:3] == (1, 1, 1):  # orix's own placeholder
        return None, ""
    return cell, phase.name or "a phase without a name"


def vendor_cell(phase: Any) -> tuple[float, ...]:
    """Return the cell of an orix phase: edges in angstrom, angles in degrees."""
    cell = np.array(phase.structure.lattice.abcABG(), float)
    if cell[:3].min() < 1:
        cell[:3] *= 10  # no crystal has such a short edge in angstrom: kikuchipy writes nanometres
    return tuple(cell.tolist())
