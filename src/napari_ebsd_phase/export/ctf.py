# SPDX-License-Identifier: GPL-3.0-or-later
"""Channel Text File of HKL and Oxford Instruments, which most EBSD programs read.

Fields are separated by tabs, lengths are micrometres, cells angstrom, angles degrees. A phase line
holds the edges and angles of the cell, the name, the number of the Laue group (1 to 11), that of
the space group (0: not known, as ours is not), two fields that we leave empty, and a comment.
Columns with a meaning of our own (the header says so, too):

- Phase: from 1, and 0 where there is none;
- Bands, MAD: 0, since no band is fitted; a reader that filters by MAD keeps all points;
- Error: 0 for a phase, 1 (low band contrast) where the pattern is too poor to be named, 3 (no
  solution) where undecided, 5 (not analysed) where not classified;
- BC (band contrast, 0 to 255): the pattern quality;
- BS (band slope, 0 to 255): the probability of the label.

Points without a phase have angles of 0, like those of the vendor's own files.

Sources: the files that Oxford's, Bruker's and MTEX's programs write, the readers of orix (with the
list of error numbers), MTEX and EbsdLib. MTEX looks for the word "Phases" in the first lines, so it
must stand nowhere but where it belongs. orix 0.15 cannot open a file with a phase of Laue group 10
(m-3), whoever wrote it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..crystallography import LAUE_GROUPS
from ._phases import Phase, PointTable, decimals, notes, plain, tabulate, write_columns

if TYPE_CHECKING:
    from ..phase_map import PhaseMap

_LOW_CONTRAST, _NO_SOLUTION, _NOT_ANALYSED = 1, 3, 5

# What is not known is 0, as in the files that MTEX writes.
_MICROSCOPE = (
    "Mag", "Coverage", "Device", "KV", "TiltAngle", "TiltAxis", "DetectorOrientationE1",
    "DetectorOrientationE2", "DetectorOrientationE3", "WorkingDistance", "InsertionDistance",
)  # fmt: skip

_COLUMNS = (
    "Phase", "X", "Y", "Bands", "Error", "Euler1", "Euler2", "Euler3", "MAD", "BC", "BS",
)  # fmt: skip

_MEANINGS = (
    "BC is 255 times the pattern quality, BS 255 times the probability of the phase, Bands and MAD "
    "are not measured"
)


def write(phase_map: PhaseMap, path: Path, table: PointTable | None = None) -> None:
    """Write `phase_map` to `path`, which may exist; other phases of the same points, if given."""
    table = table or tabulate(phase_map)
    rows, cols = phase_map.shape
    dy, dx = phase_map.step
    places = decimals(dx, cols, 4), decimals(dy, rows, 4)
    header: list[tuple[object, ...]] = [
        ("Channel Text File",),
        ("Prj", _free(plain(phase_map.sources[0]))),
        ("Author", _free("; ".join([*notes(phase_map, table), _MEANINGS]))),
        ("JobMode", "Grid"),
        ("XCells", cols),
        ("YCells", rows),
        ("XStep", f"{dx:.{places[0]}f}"),
        ("YStep", f"{dy:.{places[1]}f}"),
        ("AcqE1", 0),
        ("AcqE2", 0),
        ("AcqE3", 0),
        (
            "Euler angles refer to Sample Coordinate system (CS0)!",
            *(cell for name in _MICROSCOPE for cell in (name, 0)),
        ),
        ("Phases", len(table.phases)),
        *(_phase_line(phase) for phase in table.phases),
        _COLUMNS,
    ]
    indexed = table.phase > 0
    error = np.select(
        [indexed, ~phase_map.done.ravel(), ~phase_map.nameable.ravel()],
        [0, _NOT_ANALYSED, _LOW_CONTRAST],
        _NO_SOLUTION,
    )
    zero = np.zeros(table.phase.size)
    columns = [
        table.phase, table.x, table.y, zero, error, *np.rad2deg(table.euler).T, zero,
        np.rint(255 * table.quality), np.rint(255 * table.probability),
    ]  # fmt: skip
    formats = [
        "%d", f"%.{places[0]}f", f"%.{places[1]}f", "%d", "%d",
        "%.4f", "%.4f", "%.4f", "%.4f", "%d", "%d",
    ]  # fmt: skip
    with path.open("w", encoding="ascii", newline="\r\n") as file:
        file.writelines("\t".join(map(str, line)) + "\n" for line in header)
        write_columns(file, formats, "\t", columns)


def _phase_line(phase: Phase) -> tuple[object, ...]:
    edges, angles = (
        ";".join(f"{value:.3f}" for value in part) for part in (phase.cell[:3], phase.cell[3:])
    )
    laue = LAUE_GROUPS.index(phase.laue_group) + 1
    return edges, angles, _free(phase.name), laue, phase.space_group, "", "", _free(phase.comment)


def _free(text: str) -> str:
    """Keep free text from being taken for the list of phases, see the top of this file."""
    return text.replace("Phases", "phases")
