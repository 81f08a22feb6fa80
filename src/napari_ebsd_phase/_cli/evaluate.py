# SPDX-License-Identifier: GPL-3.0-or-later
"""``evaluate``: how good a network is."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..errors import InputError
from . import common

_RESULTS = ("evaluation.json", "evaluation.png")


def add(commands: common.Commands) -> None:
    """Describe the command."""
    parser = common.add_command(
        commands,
        "evaluate",
        run,
        summary="how good a network is, by kind of material",
        description="Test a network on simulated patterns of materials seen in training and of "
        "materials never\nseen, and on measured patterns if there are any; the three are never "
        "mixed. Writes\nevaluation.json and evaluation.png.",
        examples=(
            "napari-ebsd-phase evaluate --library data/master_patterns.h5 -o evaluation",
            "napari-ebsd-phase evaluate --library data/master_patterns.h5 --measured pictures/ \\",
            "    --model runs/first/network.safetensors -o runs/first",
        ),
    )
    parser.add_argument(
        "--library", required=True, metavar="FILE.h5", help="master patterns to simulate from"
    )
    parser.add_argument(
        "-o", "--output", required=True, metavar="DIR", help="folder for the two files"
    )
    parser.add_argument(
        "--measured",
        metavar="DIR",
        help="folder of measured pictures, with an index.csv that has the columns set, file, "
        "point_group and bravais_lattice",
    )
    parser.add_argument(
        "--patterns",
        type=common.count,
        default=64,
        metavar="N",
        help="patterns a material and camera (default: 64)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier evaluation")
    common.add_quiet(parser)
    common.add_network_options(parser, batch_size=False)


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    from ..export import check_output

    folder = Path(args.output)
    for name in _RESULTS:
        if (folder / name).exists() and not args.overwrite:
            raise InputError(
                f"'{folder / name}' exists already: choose another folder, or use --overwrite"
            )

    from ..classifier import load_classifier
    from ..training.evaluate import evaluate
    from ..training.library import MasterLibrary
    from ..training.materials import load_materials
    from ..training.report import format_evaluation

    common.set_threads(args.threads)
    classifier = load_classifier(args.model, device=args.device)
    classifier.prior(args.prior)
    with MasterLibrary.open(args.library) as library:
        stack, materials = load_materials(library)
    common.make_folder(folder)
    check_output(folder / "evaluation.png", overwrite=True)
    with common.titled_bars(quiet=args.quiet, unit="materials") as show:
        result = evaluate(
            classifier,
            stack,
            materials,
            folder,
            measured=Path(args.measured) if args.measured else None,
            patterns=args.patterns,
            prior=args.prior,
            progress=show,
        )
    if not args.quiet:
        print(format_evaluation(result))
        print(f"\nwritten to {folder}: {', '.join(_RESULTS)}")
