# SPDX-License-Identifier: GPL-3.0-or-later
"""``explain``: one heat map."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from . import common

if TYPE_CHECKING:
    import numpy as np

    from ..classifier import Classifier
    from ..scan import Scan

# As in `crystallography` and `saliency`, which take their time to import.
LEVELS = ("point_group", "laue_group", "crystal_system", "bravais_lattice")
METHODS = ("cam", "integrated_gradients", "occlusion", "smoothgrad")

_FORMATS = (".png", ".npy")
_MOST_NAMES = 3


def add(commands: common.Commands) -> None:
    """Describe the command."""
    parser = common.add_command(
        commands,
        "explain",
        run,
        summary="heat map of one pattern: where the evidence for a symmetry lies",
        description="Draw which part of a pattern speaks for a point group, Laue group, crystal "
        "system or\nBravais lattice, in the eyes of the network. Values go from 0 (nothing, or "
        "evidence against)\nto 1 (the strongest place in this pattern).",
        examples=(
            "napari-ebsd-phase explain map.h5oina --row 3 --col 4 -o heat.png",
            "napari-ebsd-phase explain map.h5oina --row 3 --col 4 -o heat.npy --target cubic",
            "napari-ebsd-phase explain pattern.tif -o why.png --target m-3m --against 6/mmm",
        ),
    )
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="pattern file of any kind that kikuchipy reads (.h5oina .h5 .ebsp .up1 .up2 .dat), "
        "an image, or a folder of images (a row in the order of their names)",
    )
    for name, what in (("--row", "row"), ("--col", "column")):
        parser.add_argument(
            name,
            type=common.whole,
            default=0,
            metavar=name[2].upper(),
            help=f"{what} of the pattern in the map, counted from 0 (default: 0)",
        )
    parser.add_argument(
        "-o",
        "--output",
        action="append",
        required=True,
        metavar="OUT",
        help="file to write; its suffix says what: .png (pattern and heat map side by side), .npy "
        "(the heat map, float32 of the size of the pattern); may be given several times",
    )
    parser.add_argument(
        "--target",
        metavar="NAME",
        help="class to explain, as m-3m, cubic or cF (default: the one that `classify` reports)",
    )
    parser.add_argument(
        "--against",
        metavar="NAME",
        help="show what speaks for the target and not for this class of the same level (default: "
        "and not for all others)",
    )
    parser.add_argument(
        "--level",
        choices=LEVELS,
        help="what the names are: m-3m is a point group and a Laue group (default: the finest "
        "level that has the name; point_group if none is given)",
    )
    parser.add_argument(
        "--method",
        choices=METHODS,
        default=METHODS[0],
        help="cam (the default): exact and fast; the others are slower and need the extra "
        "`explain`",
    )
    parser.add_argument(
        "--grid",
        type=common.grid,
        metavar="ROWSxCOLS",
        help="shape of the map, for files that do not tell",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace outputs that exist already"
    )
    common.add_projection_centre(parser)
    common.add_quiet(parser)
    common.add_network_options(parser, batch_size=False)


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    import numpy as np

    from ..centring import centred
    from ..export import replacing
    from ..loading import load_classifier
    from ..saliency import explain
    from ..saliency.picture import write_picture
    from .classify import open_scan

    outputs = [Path(name) for name in args.output]
    check_outputs(outputs, _FORMATS, overwrite=args.overwrite)
    level = level_asked(args)
    with ExitStack() as stack:
        scan = open_scan(stack, args.source, args.grid, outputs)
        pattern = scan.pattern(args.row, args.col)
        place = f"{scan.source_name(args.row, args.col)}, row {args.row}, column {args.col}"
        mask, background = _screen(scan, pattern), scan.static_background
        common.set_threads(args.threads)
        network = load_classifier(args.model, device=args.device)
        classifier = centred(scan, network, args.projection_centre)
    target, asked, says = _ask(args, level, classifier, pattern, background, mask)
    common.note(f"explaining {place}", quiet=args.quiet)
    with common.titled_bars(quiet=args.quiet, unit="steps") as show:
        heat = explain(
            pattern,
            classifier,
            target,
            level=level,
            against=args.against,
            method=args.method,
            prior=args.prior,
            background=background,
            mask=mask,
            progress=partial(show, args.method),
        )
    for path in outputs:
        with replacing(path, overwrite=args.overwrite) as temporary:
            if path.suffix.lower() == ".npy":
                np.save(temporary, heat)
                continue
            lines = (place, f"{asked}; {args.method}", says)
            label = "evidence in favour (largest = 1)"
            write_picture(temporary, pattern, heat, mask, lines, label, background)
    if not args.quiet:
        nothing = "" if heat.any() else " (there is none)"
        print(f"written: {', '.join(args.output)}: {place}: {asked}{nothing}; {says}")


def check_outputs(outputs: list[Path], formats: Sequence[str], *, overwrite: bool) -> None:
    """See that all outputs can be written, before anything is read.

    Raises
    ------
    InputError
        If not.
    """
    from ..export._atomic import check_target

    for path in outputs:
        if path.suffix.lower() not in formats:
            what = f"the format '{path.suffix}'" if path.suffix else "a file without a suffix"
            raise InputError(f"cannot write {what} ('{path}'): use one of {', '.join(formats)}")
        check_target(path, overwrite=overwrite)


def level_asked(args: argparse.Namespace) -> str:
    """Level of the classes that are asked for by name.

    Raises
    ------
    InputError
        If it has no such classes.
    """
    from ..saliency.targets import class_index, level_of

    names = [name for name in (args.target, args.against) if name is not None]
    level = args.level or (level_of(names[0]) if names else LEVELS[0])
    for name in names:
        class_index(name, level)
    return str(level)


def _screen(scan: Scan, pattern: np.ndarray) -> np.ndarray:
    """Screen as ``classify`` finds it: of the whole scan, but of each image of a folder alone."""
    from ..mapping import scan_screen
    from ..screen import find_screen

    return find_screen(pattern) if scan.path.is_dir() else scan_screen(scan)


def _ask(
    args: argparse.Namespace,
    level: str,
    classifier: Classifier,
    pattern: np.ndarray,
    background: np.ndarray | None,
    mask: np.ndarray,
) -> tuple[str, str, str]:
    """Return the target's name, what is asked in words, and what the network says."""
    from ..crystallography import names
    from ..saliency.targets import Question, class_index, level_probabilities

    question = Question(
        classifier, args.target, level=level, against=args.against, prior=args.prior
    )
    outputs = classifier.scores(pattern[None], background=background, mask=mask)
    answers = classifier.probabilities(outputs.scores, args.prior)
    probabilities = level_probabilities(*answers, level)[0]

    def called(index: int) -> str:
        return f"{names(level)[index]} (p = {probabilities[index]:.2f})"

    target = int(question.index(outputs.scores)[0])
    kind = level.replace("_", " ").replace("bravais", "Bravais").replace("laue", "Laue")
    asked = f"evidence for {kind} {called(target)}"
    if args.against is not None:
        asked += f" against {called(class_index(args.against, level))}"
    ranked = (-probabilities).argsort(kind="stable")[:_MOST_NAMES]
    says = "the network says " + ", ".join(called(int(i)) for i in ranked)
    quality = float((outputs.pattern if classifier.tells_patterns else outputs.quality)[0])
    if quality < classifier.quality_threshold:
        says += f"; hardly a pattern (quality {quality:.2f})"
    return names(level)[target], asked, says
