# SPDX-License-Identifier: GPL-3.0-or-later
"""Which structures look more symmetric than they are: verdicts, and the table of them.

``pseudosymmetric.csv`` beside this file lists the structures of the package's table with another
verdict than *keep*. It is made from master patterns alone, never from what a network does::

    python -m napari_ebsd_phase.training.pseudosymmetry_table MASTERS... -o pseudosymmetric.csv

where MASTERS are libraries (.h5) or folders of ``.npz``. A structure is judged once, by its first
master pattern; give the best ones first. ``--all`` writes those to keep, too.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np

from napari_ebsd_phase.crystallography import laue_group
from napari_ebsd_phase.errors import InputError
from napari_ebsd_phase.export._atomic import replacing

from .library import MasterLibrary, MasterPattern, read_folder
from .pseudosymmetry import FAINT, INVISIBLE, compare, describe
from .structures import Structure, structure_by_uid

__all__ = ["VERDICTS", "Verdict", "judge", "load_verdicts", "survey", "write_verdicts"]

VERDICTS = ("keep", "soften", "leave out")


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What becomes of one structure, and why.

    Parameters
    ----------
    structure, formula, space_group, point_group, bravais
        As in :class:`.structures.Structure`; ``structure`` is its uid.
    apparent_point_group, apparent_bravais
        That it seems to have with a fast camera (:data:`.pseudosymmetry.FAINT`).
    next_point_group, correlation, share, superlattice, visibility, noise
        As in :class:`.pseudosymmetry.ApparentSymmetry`.
    simulator
        Of the master pattern that it was judged by.
    verdict
        ``"leave out"``: even a good camera cannot tell its Laue group or lattice from another.
        ``"soften"``: a fast camera cannot, or no camera tells its point group within its Laue
        group. The label is then either symmetry, the true or the apparent one. ``"keep"``: else.
    """

    structure: str
    formula: str
    space_group: int
    point_group: str
    apparent_point_group: str
    bravais: str
    apparent_bravais: str
    next_point_group: str
    correlation: float
    share: float
    superlattice: float
    visibility: float
    noise: float
    simulator: str
    verdict: str


def judge(master: np.ndarray, structure: Structure, simulator: str = "") -> Verdict:
    """Compare a master pattern (2, n, n) with more symmetric ones and say what to do about it."""
    comparison = compare(master, structure)
    invisible, faint = describe(comparison, INVISIBLE), describe(comparison, FAINT)
    if (invisible.laue_group, invisible.bravais) != (
        laue_group(structure.point_group),
        structure.bravais,
    ):
        verdict = "leave out"
    elif (faint.point_group, faint.bravais) != (structure.point_group, structure.bravais):
        verdict = "soften"
    else:
        verdict = "keep"
    return Verdict(
        structure=structure.uid,
        formula=structure.formula,
        space_group=structure.space_group,
        point_group=structure.point_group,
        apparent_point_group=faint.point_group,
        bravais=structure.bravais,
        apparent_bravais=faint.bravais,
        next_point_group=faint.next_point_group,
        correlation=faint.correlation,
        share=faint.share,
        superlattice=faint.superlattice,
        visibility=faint.visibility,
        noise=faint.noise,
        simulator=simulator,
        verdict=verdict,
    )


def survey(
    masters: Iterable[MasterPattern], find: Callable[[str], Structure] = structure_by_uid
) -> Iterator[Verdict]:
    """Verdict of each structure that master patterns come from, by its first pattern.

    Parameters
    ----------
    masters
        Those that name no structure are passed over.
    find
        Gives the structure of a uid.
    """
    done = set()
    for master in masters:
        if master.structure and master.structure not in done:
            done.add(master.structure)
            yield judge(master.data, find(master.structure), master.simulator)


def write_verdicts(
    verdicts: Iterable[Verdict], path: str | Path, *, overwrite: bool = False
) -> int:
    """Write verdicts as CSV, sorted by structure, and return how many there are."""
    rows = sorted(verdicts, key=lambda verdict: verdict.structure)
    with (
        replacing(path, overwrite=overwrite) as temporary,
        open(temporary, "w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(field.name for field in fields(Verdict))
        for row in rows:
            values = vars(row).values()
            writer.writerow(f"{v:.4g}" if isinstance(v, float) else v for v in values)
    return len(rows)


def read_verdicts(text: str) -> dict[str, Verdict]:
    """Verdicts by uid of their structure, from the text of a file of :func:`write_verdicts`."""
    kinds = {"int": int, "float": float, "str": str}  # annotations are strings
    return {
        row["structure"]: Verdict(
            **{f.name: kinds[str(f.type)](row[f.name]) for f in fields(Verdict)}
        )
        for row in csv.DictReader(text.splitlines())
    }


@cache
def load_verdicts() -> dict[str, Verdict]:
    """The package's verdicts by uid; a structure that is not among them is to be kept."""
    return read_verdicts((files(__package__) / "pseudosymmetric.csv").read_text(encoding="utf-8"))


def _masters(source: Path) -> Iterator[MasterPattern]:
    if source.is_dir():
        yield from read_folder(source)
        return
    with MasterLibrary.open(source) as library:
        yield from library


def main(arguments: Sequence[str] | None = None) -> int:
    """The command of this module; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m napari_ebsd_phase.training.pseudosymmetry_table",
        description="Judge which structures look more symmetric than they are.",
    )
    parser.add_argument("masters", nargs="+", type=Path, help="library (.h5) or folder of .npz")
    parser.add_argument("-o", "--output", required=True, type=Path, help="table to write (.csv)")
    parser.add_argument("--all", action="store_true", help="write the structures to keep, too")
    parser.add_argument("--overwrite", action="store_true", help="replace the table")
    options = parser.parse_args(arguments)
    counts = dict.fromkeys(VERDICTS, 0)
    try:
        chosen = []
        for verdict in survey(master for source in options.masters for master in _masters(source)):
            counts[verdict.verdict] += 1
            if options.all or verdict.verdict != "keep":
                chosen.append(verdict)
        write_verdicts(chosen, options.output, overwrite=options.overwrite)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(", ".join(f"{verdict} {count}" for verdict, count in counts.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
