# SPDX-License-Identifier: GPL-3.0-or-later
"""``identify --candidates``: which structures a region may be."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import common

if TYPE_CHECKING:
    from ..candidates import Ranking
    from ..regions import Identification
    from ..scan import Scan
    from ..training.structures import Structure

_LISTED = 10


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options that ask for candidates."""
    group = parser.add_argument_group(
        "candidate structures (need the extra index and a projection centre)"
    )
    group.add_argument(
        "--candidates",
        action="store_true",
        help="rank the structures of the bundled table that have the region's most probable "
        "symmetries by how well their simulated bands agree with its patterns",
    )
    group.add_argument(
        "--cif",
        nargs="+",
        metavar="FILE",
        default=[],
        help="try the structures of these CIF files, or folders of them, too, whatever their "
        "symmetry; without --candidates, them alone",
    )
    group.add_argument(
        "--energy",
        type=common.positive,
        default=20.0,
        metavar="KEV",
        help="energy of the beam in keV (default: 20)",
    )


@dataclass(frozen=True)
class Trial:
    """What is to be tried on each region.

    Parameters
    ----------
    scan
        Open scan.
    table
        Whether structures of the bundled table take part.
    own
        Structures that the user gave.
    centre
        Projection centre, None for that of the file.
    energy
        Of the beam in keV.
    quiet
        Whether to show no progress.
    """

    scan: Scan
    table: bool
    own: tuple[Structure, ...]
    centre: tuple[float, float, float] | None
    energy: float
    quiet: bool

    @classmethod
    def of(
        cls,
        args: argparse.Namespace,
        scan: Scan,
        estimated: tuple[float, float, float] | None,
    ) -> Trial | None:
        """From the options; None if nothing is to be tried.

        `estimated` is a projection centre for files that have none.

        Raises
        ------
        InputError
            Before any work is done, if something that is needed is missing.
        """
        if not args.candidates and not args.cif:
            return None
        from ..candidates import check_possible, structures_from

        asked = args.projection_centre
        centre = None if isinstance(asked, str) else asked  # None: the file's
        if centre is None and scan.projection_centre is None:
            centre = estimated
        check_possible(scan, centre)
        own = tuple(structures_from(args.cif))
        return cls(scan, args.candidates, own, centre, args.energy, args.quiet)

    def rank(self, place: Any, answer: Identification, name: str) -> Ranking:
        """Candidates of one region."""
        import numpy as np

        from ..candidates import rank_region

        mask = np.zeros(self.scan.shape, dtype=bool)
        mask[place] = True
        with common.titled_bars(quiet=self.quiet, unit="structures") as bar:
            return rank_region(
                self.scan,
                mask,
                answer.pairs,
                own=self.own,
                table=self.table,
                projection_centre=self.centre,
                energy_kev=self.energy,
                progress=lambda done, total: bar(f"{name}: structures", done, total),
            )


def report(ranking: Ranking) -> str:
    """Table of the best candidates, and what it means."""
    rows = [
        [
            "fits" if candidate in ranking.fitting else "",
            f"{candidate.agreement:.2f}",
            candidate.structure.formula,
            str(candidate.structure.space_group),
            f"{candidate.structure.point_group} {candidate.structure.bravais}",
            ", ".join(f"{value:.3g}" for value in candidate.structure.cell),
            candidate.structure.id,
        ]
        for candidate in ranking.candidates[:_LISTED]
    ]
    header = ["", "agreement", "formula", "space group", "symmetry", "cell", "name"]
    table = common.table(header, rows, " r r   ")
    count = len(ranking.candidates)
    more = f", the best {_LISTED} shown" if count > _LISTED else ""
    return f"candidate structures: {count} tried{more}\n\n{table}\n\n- {ranking.verdict}"
