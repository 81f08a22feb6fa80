# SPDX-License-Identifier: GPL-3.0-or-later
"""``simulate``: from crystal structures to master patterns."""

from __future__ import annotations

import argparse
import re
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from . import common

if TYPE_CHECKING:
    from ..training.structures import Structure

_MAX_VOLUME = 900.0  # cubic angstrom; cost grows with its cube

# Options of one way to work that the other one has no use for.
_OF_STRUCTURES = (
    "cif", "output", "all", "structure", "formula", "point_group", "bravais", "list", "energy",
    "max_volume", "part", "device", "library",
)  # fmt: skip
_OF_TRAINING_SET = ("random", "derived", "table", "all_splits", "workers", "overwrite")


def add(commands: common.Commands) -> None:
    """Describe the command."""
    parser = common.add_command(
        commands,
        "simulate",
        run,
        summary="master patterns of crystal structures",
        description="Simulate the dynamical master patterns of crystal structures, from CIF files "
        "or from the\ntable that comes with the program, one file each. What is in the folder is "
        "not simulated\nagain, so an interrupted run goes on with the same command.\n\nWith "
        "--training-set: simulate thousands of simpler master patterns, only to train on, in some\n"
        "ten to thirty minutes; also goes on where it was.\n\nNeeds optional packages: "
        "pip install 'de-ebsd==0.2.1' 'spglib>=2.7,<3'",
        examples=(
            "napari-ebsd-phase simulate my_phase.cif -o masters --library my_library.h5",
            "napari-ebsd-phase simulate --point-group m-3m --list",
            "napari-ebsd-phase simulate --all -o masters --part 1/4",
            "napari-ebsd-phase simulate --training-set bands.h5 --workers 4",
        ),
    )
    parser.add_argument("cif", nargs="*", metavar="CIF", help="CIF files of ordered structures")
    parser.add_argument("-o", "--output", metavar="DIR", help="folder for the master patterns")
    chosen = parser.add_argument_group("structures of the table (conditions are combined)")
    chosen.add_argument("--all", action="store_true", help="all of them: days of work")
    chosen.add_argument("--structure", nargs="+", metavar="NAME", help="by name, like s0042")
    chosen.add_argument("--formula", metavar="TEXT", help="with this formula, like NaCl")
    chosen.add_argument("--point-group", metavar="NAME", help="of this point group")
    chosen.add_argument("--bravais", metavar="NAME", help="of this Bravais lattice, like cF")
    parser.add_argument("--list", action="store_true", help="only print what would be simulated")
    parser.add_argument(
        "--energy", type=common.positive, default=20.0, metavar="KEV", help="beam (default: 20)"
    )
    parser.add_argument(
        "--half-size",
        type=common.count,
        default=90,
        metavar="N",
        help="a pattern has 2 N + 1 points a side (default: 90, about one degree a point)",
    )
    parser.add_argument(
        "--max-volume",
        type=common.positive,
        metavar="V",
        help=f"leave out cells above V cubic angstrom (default: {_MAX_VOLUME:g} with --all)",
    )
    parser.add_argument(
        "--part", type=_part, default=(0, 1), metavar="K/N", help="only every N-th, from the K-th"
    )
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"), help="default: cpu")
    parser.add_argument(
        "--library", metavar="FILE.h5", help="at the end, add what is in the folder to this library"
    )
    drawn = parser.add_argument_group("structures to train on (instead of all above)")
    drawn.add_argument(
        "--training-set", metavar="FILE.h5", help="make this library; give it to `train` besides"
    )
    drawn.add_argument(
        "--random", type=common.whole, metavar="N", help="made-up structures (default: 6600)"
    )
    drawn.add_argument(
        "--derived",
        type=common.whole,
        metavar="N",
        help="structures derived from each of the table that is for training (default: 4)",
    )
    drawn.add_argument(
        "--table",
        type=common.whole,
        metavar="N",
        help="patterns of each of those themselves, under different conditions (default: 1)",
    )
    drawn.add_argument(
        "--all-splits",
        action="store_true",
        help="take the structures that are for tests, too: for a network that is not tested",
    )
    drawn.add_argument("--workers", type=common.count, metavar="N", help="processes (default: 1)")
    drawn.add_argument("--overwrite", action="store_true", help="replace a library of this name")
    common.add_quiet(parser)
    names = (*_OF_STRUCTURES, *_OF_TRAINING_SET)
    parser.set_defaults(defaults={name: parser.get_default(name) for name in names})


def run(args: argparse.Namespace) -> None:
    """Simulate master patterns."""
    if args.training_set is not None:
        if given := _given(args, _OF_STRUCTURES):
            raise InputError(f"--training-set chooses its structures itself: leave out {given}")
        _make_training_set(args)
        return
    if given := _given(args, _OF_TRAINING_SET):
        raise InputError(f"{given}: only with --training-set FILE.h5")
    _simulate_structures(args)


def _given(args: argparse.Namespace, names: tuple[str, ...]) -> str:
    """Options among some that were given, as they are written."""
    return ", ".join(
        "the CIF files" if name == "cif" else "--" + name.replace("_", "-")
        for name in names
        if getattr(args, name) not in (args.defaults[name], [])
    )


def _simulate_structures(args: argparse.Namespace) -> None:
    structures = _chosen_structures(args)
    limit = args.max_volume or (_MAX_VOLUME if args.all else float("inf"))
    structures = [s for s in structures if s.volume <= limit]
    if not structures:
        raise InputError(f"no structure has a cell of {limit:g} cubic angstrom or less")
    if args.list:
        header = ("name", "formula", "space group", "point group", "lattice", "volume/A3")
        rows = [
            (s.uid, s.formula, s.space_group, s.point_group, s.bravais, f"{s.volume:.0f}")
            for s in structures
        ]
        print(common.table(header, rows, "  r  r"))
        return
    if args.output is None:
        raise InputError("name a folder for the master patterns with -o")
    if args.library and not Path(args.library).absolute().parent.is_dir():
        raise InputError(f"there is no folder for the library '{args.library}': create it first")
    folder = common.make_folder(Path(args.output))

    from ..training.library import build_library
    from ..training.master_patterns import simulate_library

    first, step = args.part
    total = len(structures[first::step])
    with common.progress_bar(total, "simulating", quiet=args.quiet, unit="structures") as show:
        failed = simulate_library(
            folder,
            structures,
            part=args.part,
            energy_kev=args.energy,
            half_size=args.half_size,
            max_volume=limit,
            device=args.device,
            progress=lambda done, total, line: show(done),
        )
    if failed and len(failed) == total:
        raise InputError(failed[0])
    if not args.quiet:
        print(f"{total - len(failed)} of {total} master patterns are in {folder}")
        _print_left_out(failed)
    if args.library:
        target = Path(args.library)
        count = build_library([folder], target, existing=target if target.exists() else None)
        if not args.quiet:
            print(f"{target} has {count} master patterns")


def _chosen_structures(args: argparse.Namespace) -> list[Structure]:
    from ..training.structures import Structure, find_structures, structure_by_uid

    conditions = {
        name: getattr(args, name)
        for name in ("formula", "point_group", "bravais")
        if getattr(args, name)
    }
    structures = [Structure.from_cif(path) for path in args.cif]
    named = [structure_by_uid(name) for name in args.structure or ()]
    if named:
        structures += [s for s in named if all(getattr(s, k) == v for k, v in conditions.items())]
    elif args.all or conditions:
        structures += find_structures(**conditions)
    elif not args.cif:
        raise InputError("name CIF files, or choose from the table, as with --formula or --all")
    if not structures:
        raise InputError("no structure of the table meets these conditions: see --list")
    return structures


def _make_training_set(args: argparse.Namespace) -> None:
    from ..export._atomic import check_target
    from ..training.band_library import BandLibrarySettings, build_band_library
    from ..training.library import MasterLibrary
    from ..training.split import SPLITS

    if find_spec("spglib") is None:
        raise InputError(
            "making up structures needs an optional package: "
            "pip install 'de-ebsd==0.2.1' 'spglib>=2.7,<3'"
        )
    target = check_target(args.training_set, overwrite=args.overwrite)
    values = {
        name: getattr(args, name)
        for name in ("random", "derived", "table")
        if getattr(args, name) is not None
    }
    if args.all_splits:
        values["splits"] = SPLITS
    settings = BandLibrarySettings(**values)
    total = len(settings.names())
    with common.progress_bar(total, "simulating", quiet=args.quiet, unit="structures") as show:
        failed = build_band_library(
            target,
            settings,
            half_size=args.half_size,
            workers=args.workers or 1,
            progress=lambda done, total: show(done),
        )
    if not args.quiet:
        with MasterLibrary.open(target) as library:
            print(f"{target} has {len(library)} master patterns")
        _print_left_out(failed)


def _print_left_out(lines: list[str]) -> None:
    for line in lines:
        print(f"left out: {line}")


def _part(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)/(\d+)", text, re.ASCII)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise argparse.ArgumentTypeError(f"expected K/N with K from 1 to N, not {text!r}")
    return int(match[1]) - 1, int(match[2])
