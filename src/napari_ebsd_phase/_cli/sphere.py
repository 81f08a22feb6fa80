# SPDX-License-Identifier: GPL-3.0-or-later
"""``sphere``: where in the crystal the evidence lies, over many orientations."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from . import common
from .explain import LEVELS, check_outputs, level_asked

if TYPE_CHECKING:
    from ..saliency.sphere_picture import Panel
    from ..saliency.sphere_scan import OrientedFrames

_FORMATS = (".png", ".npy")


def add(commands: common.Commands) -> None:
    """Describe the command."""
    parser = common.add_command(
        commands,
        "sphere",
        run,
        summary="heat maps of many orientations, as one map of crystal directions",
        description="Average the evidence for a symmetry over many patterns of known orientation, "
        "by crystal\ndirection and over the symmetry of the crystal: a stereographic map of where "
        "in the crystal\nthe network sees it, beside the patterns' own mean (or the master "
        "pattern).",
        examples=(
            "napari-ebsd-phase sphere map.h5 -o sphere.png --target m-3m",
            "napari-ebsd-phase sphere master_patterns.h5 --material s1134_20kV -o sphere.png",
        ),
    )
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="pattern file with orientations and projection centres (kikuchipy .h5, .h5oina, "
        "Bruker .h5), or a library of master patterns (.h5, see `napari-ebsd-phase simulate`)",
    )
    parser.add_argument(
        "-o",
        "--output",
        action="append",
        required=True,
        metavar="OUT",
        help="file to write; its suffix says what: .png (the picture), .npy (evidence on the "
        "square equal-area grid of the northern hemisphere, float64); may be given several times",
    )
    parser.add_argument(
        "--material",
        metavar="KEY",
        help="of a library: the master pattern that patterns are simulated from, in random "
        "orientations",
    )
    parser.add_argument(
        "--phase",
        metavar="NAME",
        help="of a pattern file with several phases: the one to show (default: the commonest)",
    )
    parser.add_argument(
        "--patterns",
        type=common.count,
        default=500,
        metavar="N",
        help="patterns at most, spread over the map (default: 500)",
    )
    parser.add_argument(
        "--target",
        metavar="NAME",
        help="class whose evidence is shown, as m-3m, cubic or cF (default: that of the crystal)",
    )
    parser.add_argument(
        "--against",
        metavar="NAME",
        help="show what speaks for the target and not for this class of the same level",
    )
    parser.add_argument(
        "--level",
        choices=LEVELS,
        help="what the names are (default: the finest level that has the name)",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace outputs that exist already"
    )
    common.add_quiet(parser)
    common.add_network_options(parser, batch_size=False)


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    import numpy as np

    from ..export import replacing
    from ..loading import load_classifier
    from ..saliency.sphere import laue_operations, saliency_on_sphere
    from ..saliency.sphere_picture import Panel, write_sphere
    from ..saliency.sphere_scan import class_of
    from ..zone_axes import describe

    outputs = [Path(name) for name in args.output]
    check_outputs(outputs, _FORMATS, overwrite=args.overwrite)
    level = level_asked(args)
    common.set_threads(args.threads)
    classifier = load_classifier(args.model, device=args.device)
    oriented, told, beside, title = _read(args)
    operations = laue_operations(oriented.phase)
    target = args.target or class_of(oriented.phase, level)
    common.note(f"explaining {len(oriented.frames)} patterns", quiet=args.quiet)
    with common.titled_bars(quiet=args.quiet) as show:
        found = saliency_on_sphere(
            classifier,
            oriented.frames,
            oriented.rotations,
            oriented.geometries,
            target,
            operations,
            level=level,
            against=args.against,
            prior=args.prior,
            progress=partial(show, "evidence"),
            **told,
        )
    against = "" if args.against is None else f" against {args.against}"
    asked = f"evidence for {level.replace('_', ' ')} {target}{against}, network {classifier.name}"
    for path in outputs:
        with replacing(path, overwrite=args.overwrite) as temporary:
            if path.suffix.lower() == ".npy":
                np.save(temporary, found.values)
                continue
            write_sphere(
                temporary,
                [beside, Panel(f"network {classifier.name}", found.values)],
                describe(oriented.phase),
                (title, f"{asked}; mean over {found.patterns} patterns"),
                operations,
            )
    if not args.quiet:
        print(f"written: {', '.join(args.output)}: {title}: {asked}, {found.patterns} patterns")


def _read(args: argparse.Namespace) -> tuple[OrientedFrames, dict[str, Any], Panel, str]:
    """Patterns, what the network is told about them, the picture beside, and a title."""
    if args.material is not None:
        return _simulated(args)
    from ..mapping import scan_screen
    from ..saliency.sphere_picture import Panel
    from ..saliency.sphere_scan import mean_pattern, oriented_frames
    from ..scan import load_scan

    with load_scan(args.source) as scan, common.titled_bars(quiet=args.quiet) as show:
        oriented = oriented_frames(
            scan, args.patterns, args.phase, progress=partial(show, "orientations")
        )
        told = {"mask": scan_screen(scan), "background": scan.static_background}
        name = scan.name
    beside = Panel("mean of the patterns", mean_pattern(oriented, **told).values, signed=False)
    return oriented, told, beside, f"{name}, {oriented.phase.name}"


def _simulated(args: argparse.Namespace) -> tuple[OrientedFrames, dict[str, Any], Panel, str]:
    from ..saliency.sphere_picture import Panel
    from ..training.library import MasterLibrary
    from ..training.saliency_sets import simulated_frames

    with MasterLibrary.open(args.source) as library:
        keys = [record.key for record in library.index]
        if args.material not in keys:
            raise InputError(f"{args.source} has no master pattern named {args.material!r}")
        master = library[keys.index(args.material)]
    oriented = simulated_frames(master, args.patterns)
    beside = Panel("master pattern", master.data[0].astype(float), signed=False)
    return oriented, {}, beside, f"{master.formula}, {master.energy_kev:g} keV, simulated"
