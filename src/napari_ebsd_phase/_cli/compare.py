# SPDX-License-Identifier: GPL-3.0-or-later
"""``compare``: a phase map beside the phases that another program found."""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from . import common

if TYPE_CHECKING:
    from ..merge import Comparison, Merged


def add(commands: common.Commands) -> None:
    """Describe the command."""
    parser = common.add_command(
        commands,
        "compare",
        run,
        summary="a phase map beside the phases of the vendor's program, and one map of both",
        description="Say where the labels of a phase map agree with the phases that the vendor's "
        "program found,\nand write a map of both.\n\n"
        "They are compared at the level of the label: `m-3m` is right about a phase of that point\n"
        "group, `Laue m-3m` about any of that Laue group, `cubic` about any cubic phase. Where "
        "the file\nnames no space group, its Laue groups are compared.\n\n"
        "In a merged map only the points change that --replace chooses, and only where there is a\n"
        "label. They lose their orientation, which was found for the phase that is replaced.",
        examples=(
            "napari-ebsd-phase compare map.h5",
            "napari-ebsd-phase compare map.h5 --vendor scan.ang -o agreement.csv",
            "napari-ebsd-phase compare map.h5 --merge both.ang --replace unindexed",
            "napari-ebsd-phase compare map.h5 --merge both.ctf --replace disagreeing --least 0.9",
            "napari-ebsd-phase compare map.h5 --merge both.h5 --replace Ferrite unindexed",
        ),
    )
    parser.add_argument("result", metavar="RESULT", help=".h5 file that `classify` has written")
    parser.add_argument(
        "--vendor",
        metavar="FILE",
        help=".ang, .ctf or orix .h5 of the same scan; by default the phases that the pattern "
        "file held",
    )
    parser.add_argument("-o", "--output", metavar="OUT.csv", help="table to write")
    parser.add_argument(
        "--merge", metavar="OUT", help="map of both to write: .h5 (orix), .ang or .ctf"
    )
    parser.add_argument(
        "--replace",
        nargs="+",
        metavar="WHAT",
        help="points that get our label in the merged map: unindexed (the vendor gave them no "
        "phase), disagreeing (the vendor's phase has another symmetry), or names of the vendor's "
        "phases",
    )
    parser.add_argument(
        "--least",
        type=common.probability,
        default=0.0,
        metavar="P",
        help="replace only where the label has this probability (default: 0, every label)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--overwrite", action="store_true", help="replace outputs that exist already"
    )
    common.add_quiet(parser)


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    _check(args)
    from ..merge import compare, load_vendor_map, merge, write_table
    from ..phase_map import PhaseMap

    phase_map = PhaseMap.load(args.result)
    vendor = None if args.vendor is None else load_vendor_map(args.vendor)
    if vendor is None and phase_map.crystal_map is None:
        raise InputError(
            f"'{args.result}' has no phases of another program: its pattern file held none; give "
            "them with --vendor FILE"
        )
    comparison = compare(phase_map, vendor)
    merged = None
    if args.merge is not None:
        merged = merge(phase_map, vendor, replace=args.replace, least=args.least)
    if args.output is not None:
        write_table(comparison.table, args.output, overwrite=args.overwrite)
    if merged is not None:
        merged.save(args.merge, overwrite=args.overwrite)
    if args.json:
        print(json.dumps(_as_json(comparison, merged), indent=1))
    elif not args.quiet:
        _print(comparison, merged)
        written = [name for name in (args.output, args.merge) if name is not None]
        if written:
            print("\nwritten: " + ", ".join(written))


def _check(args: argparse.Namespace) -> None:
    """Check the request before anything is read."""
    from ..export import check_target
    from ..merge import MERGED_SUFFIXES

    if (args.merge is None) != (args.replace is None):
        raise InputError("--merge and --replace go together: say what to write and what changes")
    if args.merge is None and args.least:
        raise InputError("--least is of use with --merge only")
    inputs = {os.path.realpath(name) for name in (args.result, args.vendor) if name is not None}
    for name, suffixes in ((args.output, (".csv",)), (args.merge, MERGED_SUFFIXES)):
        if name is None:
            continue
        if Path(name).suffix.lower() not in suffixes:
            raise InputError(f"cannot write '{name}' here: use {' or '.join(suffixes)}")
        if os.path.realpath(name) in inputs:
            raise InputError(f"'{name}' is an input: choose another name for the output")
        check_target(name, overwrite=args.overwrite)


def _as_json(comparison: Comparison, merged: Merged | None) -> dict[str, Any]:
    from ..merge import VERDICTS

    told: dict[str, Any] = {
        "points": {verdict: comparison.points(verdict) for verdict in VERDICTS},
        "table": [asdict(row) for row in comparison.table],
    }
    if merged is not None:
        told["merged"] = merged.provenance["merged"]
    return told


# Rows with fewer points share the last line.
_MOST_LINES = 24


def _print(comparison: Comparison, merged: Merged | None) -> None:
    from ..merge import HEADINGS, VERDICTS, cells

    rows = [cells(row) for row in comparison.table[:_MOST_LINES]]
    if rest := comparison.table[_MOST_LINES:]:
        total = f"{sum(row.points for row in rest):,}"
        rows.append((f"{len(rest)} more", *[""] * 4, total, *[""] * 4))
    print(common.table(HEADINGS, rows, "     rr rr"))
    print()
    for verdict in VERDICTS:
        if count := comparison.points(verdict):
            print(f"{verdict}: {count:,} points")
    if merged is not None:
        count = int(merged.replaced.sum())
        points = "point has" if count == 1 else "points have"
        print(f"\nmerged: {count:,} {points} our label and no orientation ({merged.choice})")
