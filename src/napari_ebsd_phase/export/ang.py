# SPDX-License-Identifier: GPL-3.0-or-later
"""Text file of EDAX, which OIM Analysis, MTEX, orix, DREAM.3D and others read.

Columns: Bunge angles (radians), x, y (micrometres), image quality, confidence index, phase, SEM
signal, fit. Ours are

- image quality: the pattern quality, 0 to 1;
- confidence index: the probability of the label, and -1 where there is none;
- phase: from 1, and 0 where there is none;
- SEM signal and fit: 0, since nothing is measured.

Points without a phase have the values by which the format knows them: angles of 4 pi, a fit of 180
degrees. ``Symmetry`` is the number that the format has for each *Laue* group, written as its
rotations: 43 stands for m-3m, and so for 432 and -43m, too. ``PointGroupID``, which newer files
have besides, counts the 32 point groups in their usual order from 100; a label of a coarser level
has none. ``VERSION`` 5 stands for these ten columns.

orix has a writer for this format. Ours differs where other programs would be misled: orix derives
``Symmetry`` from the point group (-43m would be read as Laue group m-3), marks points without a
phase as -1 in maps of one phase (MTEX then takes another column for the phase), has no free text,
and cannot write maps of one column. On other maps, the tests compare the two.

Sources: the numbers and header fields in the constants of EbsdLib ("courtesy of TSL"), its reader,
the readers of orix and MTEX, and the notes on versions and columns in files of OIM 8.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..crystallography import POINT_GROUPS
from ._phases import Phase, PointTable, decimals, notes, plain, tabulate, write_columns

if TYPE_CHECKING:
    from ..phase_map import PhaseMap

_SYMMETRY = {
    "-1": 1, "2/m": 20, "mmm": 22, "4/m": 4, "4/mmm": 42,
    "-3": 3, "-3m": 32, "6/m": 6, "6/mmm": 62, "m-3": 23, "m-3m": 43,
}  # fmt: skip

# Of the point group "1"; the others follow in the order of POINT_GROUPS.
_FIRST_POINT_GROUP = 100

_NO_ANGLE = 4 * np.pi
_NO_FIT = 180.0

_COLUMNS = (
    "phi1", "Phi", "phi2", "x", "y", "image_quality", "confidence_index", "phase_id",
    "detector_signal", "pattern_fit",
)  # fmt: skip

# The same in the words of the format.
_HEADINGS = "phi1, PHI, phi2, x, y, IQ, CI, Phase index, SEM, Fit"
_VERSION = 5

_MEANINGS = (
    "image_quality is the pattern quality, confidence_index the probability of the phase (-1: not "
    "indexed); detector_signal and pattern_fit are not measured"
)


def write(phase_map: PhaseMap, path: Path, table: PointTable | None = None) -> None:
    """Write `phase_map` to `path`, which may exist; other phases of the same points, if given."""
    table = table or tabulate(phase_map)
    rows, cols = phase_map.shape
    dy, dx = phase_map.step
    places = decimals(dx, cols, 5), decimals(dy, rows, 5)
    extent = (cols - 1) * dx, (rows - 1) * dy
    length = "microns" if phase_map.units == "um" else "pixels"
    header = [
        "TEM_PIXperUM          1.000000",
        *(f"{name:<22}0.000000" for name in ("x-star", "y-star", "z-star", "WorkingDistance")),
        "",
        # OIM Analysis expects the last phase first.
        *(line for phase in reversed(table.phases) for line in _phase_lines(phase)),
        "GRID: SqrGrid",
        f"XSTEP: {dx:.{max(6, places[0])}f}",
        f"YSTEP: {dy:.{max(6, places[1])}f}",
        f"NCOLS_ODD: {cols}",
        f"NCOLS_EVEN: {cols}",
        f"NROWS: {rows}",
        "",
        "OPERATOR: napari-ebsd-phase",
        "",
        "SAMPLEID:",
        "",
        f"SCANID: {plain(phase_map.sources[0])}",
        "",
        f"VERSION {_VERSION}",
        "NOTES: Start",
        *notes(phase_map, table),
        _MEANINGS,
        "NOTES: End",
        f"COLUMN_COUNT: {len(_COLUMNS)}",
        f"COLUMN_HEADERS: {_HEADINGS}",
        f"COLUMN_UNITS: radians, radians, radians, {length}, {length}, , , , , degrees",
        "",
        f"Column names: {', '.join(_COLUMNS)}",
        "",
    ]
    indexed = table.phase > 0
    formats = [
        *["%9.5f"] * 3,
        *(f"%{len(f'{last:.{n}f}')}.{n}f" for last, n in zip(extent, places, strict=True)),
        "%8.5f", "%8.5f", "%2d", "%d", "%9.5f",
    ]  # fmt: skip
    columns = [
        *np.where(indexed, table.euler.T, _NO_ANGLE),
        table.x,
        table.y,
        table.quality,
        np.where(indexed, table.probability, -1),
        table.phase,
        np.zeros(table.phase.size),
        np.where(indexed, 0, _NO_FIT),
    ]
    with path.open("w", encoding="ascii", newline="\n") as file:
        file.writelines(f"# {line}".rstrip() + "\n" for line in header)
        write_columns(file, formats, "  ", columns)


def _phase_lines(phase: Phase) -> list[str]:
    """Return the header lines of a phase."""
    cell = " ".join(f"{value:.3f}" for value in phase.cell)
    return [
        f"Phase {phase.number}",
        f"MaterialName  \t{phase.name}",
        # One word, another for each phase: orix takes it for the name unless told otherwise.
        f"Formula     \t{phase.name.replace(' ', '_')}",
        f"Info \t\t{phase.comment}",
        f"Symmetry              {_SYMMETRY[phase.laue_group]}",
        *([f"PointGroupID          {number}"] if (number := _point_group_id(phase)) else []),
        f"LatticeConstants      {cell}",
        "NumberFamilies        0",
        "Categories0 0 0 0 0",
        "",
    ]


def _point_group_id(phase: Phase) -> int | None:
    """Number of the point group, None where a label says less than that."""
    if not phase.point_group_known:
        return None
    return _FIRST_POINT_GROUP + POINT_GROUPS.index(phase.point_group)
