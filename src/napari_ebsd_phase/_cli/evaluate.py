# SPDX-License-Identifier: GPL-3.0-or-later
"""``evaluate``: how good a network is."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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
        description="Test a network on simulated patterns of materials that it was trained on, of "
        "materials that it\nhas never seen and of another simulator, and on measured patterns if "
        "there are any; they are\nnever mixed. Every figure is a mean over materials. Prints "
        "tables, and writes evaluation.json\nand evaluation.png.",
        examples=(
            "napari-ebsd-phase evaluate --library data/master_patterns.h5 -o evaluation",
            "napari-ebsd-phase evaluate --library data/master_patterns.h5 --development \\",
            "    --measured pictures/ --model runs/first/network.safetensors -o runs/first",
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
        "--development",
        action="store_true",
        help="leave the materials of the final tests alone (splits test and simulator) and test on "
        "those for calibration instead: to choose between trials",
    )
    parser.add_argument(
        "--patterns",
        type=common.count,
        default=60,
        metavar="N",
        help="patterns a material and camera (default: 60); 20 at a time are also pooled",
    )
    parser.add_argument(
        "--with-centre",
        action="store_true",
        help="tell a network that looks for symmetry axes the projection centre of every simulated "
        "pattern, with an error of 1.5 %% of the width of the screen",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier evaluation")
    common.add_quiet(parser)
    common.add_network_options(parser, batch_size=False)
    # Most materials of a test are no rarer or commoner than known ones.
    parser.set_defaults(prior="known")


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    from ..export import check_output

    folder = Path(args.output)
    for name in _RESULTS:
        if (folder / name).exists() and not args.overwrite:
            raise InputError(
                f"'{folder / name}' exists already: choose another folder, or use --overwrite"
            )

    from ..loading import load_classifier
    from ..training.evaluate import evaluate
    from ..training.library import MasterLibrary
    from ..training.materials import load_materials
    from ..training.report import format_evaluation

    common.set_threads(args.threads)
    classifier = load_classifier(args.model, device=args.device)
    classifier.prior(args.prior)
    with MasterLibrary.open(args.library) as library:
        stack, materials = load_materials(library)
        simulators = [record.simulator for record in library.index]
    with _folder_if_done(folder), common.titled_bars(quiet=args.quiet, unit="materials") as show:
        check_output(folder / "evaluation.png", overwrite=True)
        result = evaluate(
            classifier,
            stack,
            materials,
            folder,
            measured=Path(args.measured) if args.measured else None,
            patterns=args.patterns,
            prior=args.prior,
            simulators=simulators,
            development=args.development,
            with_centre=args.with_centre,
            progress=show,
        )
    if not args.quiet:
        print(format_evaluation(result))
        print(f"\nwritten to {folder}: {', '.join(_RESULTS)}")


@contextmanager
def _folder_if_done(folder: Path) -> Iterator[None]:
    """Make a folder now, so that no work is done for one that cannot be; undo it on failure."""
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    common.make_folder(folder)
    try:
        yield
    except BaseException:
        for path in made:
            with suppress(OSError):  # something lies in it by now: it stays
                path.rmdir()
        raise
