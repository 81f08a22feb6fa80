# SPDX-License-Identifier: GPL-3.0-or-later
"""``fine-tune``: teach a network one's own phases on one's own detector."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from . import common
from .interrupt import stop_on_interrupt
from .label_image import read_labels

if TYPE_CHECKING:
    from ..classifier import Classifier
    from ..scan import Scan
    from ..training.fine_tune import FineTuned
    from ..training.fine_tune_labels import LabelledPatterns
    from ..training.fine_tune_memory import SimulatedPatterns
    from ..training.fine_tune_settings import CurvePoint, FineTuneSettings

_SUFFIX = ".safetensors"
_TITLES = {
    "point_group": "point group",
    "laue_group": "Laue group",
    "crystal_system": "crystal system",
    "bravais_lattice": "lattice",
}
_SETTINGS = ("steps", "learning_rate", "layers", "held_out", "seed")


def add(commands: common.Commands) -> None:
    """Describe the command."""
    parser = common.add_command(
        commands,
        "fine-tune",
        run,
        summary="teach a network your own phases on your own detector",
        description="Teach a network with labelled patterns: pixels of a map with a label image, "
        "the phases that\na vendor's file came with, or folders of pictures, one a class. A class "
        "is a point group with\na lattice, as in m-3m:cF; twenty patterns of each are enough to "
        "begin with. The result is a\nnetwork like any other, for --model. What was gained is told "
        "on patterns of regions that\nwere held out. Ctrl-C keeps the run; the same command goes "
        "on.\n\nWith --adapt no labels are needed: the network's normalisations are moved towards "
        "the\nstatistics of the scan. See docs/transfer.md for what to expect of either.",
        examples=(
            "napari-ebsd-phase fine-tune map.h5oina --labels grains.tif \\",
            "    --classes 1=m-3m:cF,2=m-3m:cI -o steel.safetensors",
            "napari-ebsd-phase fine-tune map.h5oina --vendor-phases -o mine.safetensors",
            "napari-ebsd-phase fine-tune --folder austenite/=m-3m:cF --folder sigma/=4/mmm:tP \\",
            "    --cif sigma.cif -o steel.safetensors",
            "napari-ebsd-phase classify other.h5oina -o other.png --model steel.safetensors",
        ),
    )
    parser.add_argument(
        "source", nargs="?", metavar="SOURCE", help="map that the labels or vendor phases are of"
    )
    parser.add_argument(
        "-o", "--output", required=True, metavar="FILE.safetensors", help="the new network"
    )
    parser.add_argument("--name", help="name on the new card (default: that of the file)")
    add_sources(parser)
    how = parser.add_argument_group("how it learns")
    how.add_argument("--steps", type=common.count, metavar="N", help="most steps (default: 200)")
    how.add_argument("--learning-rate", type=common.positive, metavar="X", help="(default: 0.0003)")
    how.add_argument(
        "--layers", choices=("head", "last", "all"), help="what is trained (default: all)"
    )
    how.add_argument(
        "--held-out",
        type=common.probability,
        metavar="SHARE",
        help="share of each class that is kept to tell the gain (default: 0.25)",
    )
    how.add_argument("--seed", type=common.whole, metavar="N", help="(default: 0)")
    how.add_argument(
        "--adapt",
        type=common.probability,
        nargs="?",
        const=0.5,
        metavar="SHARE",
        help="without labels: move the statistics of normalisations by this share towards those of "
        "SOURCE (0.5 when not given)",
    )
    network = parser.add_argument_group("network")
    network.add_argument(
        "--model", metavar="NAME|FILE", help="network to start from (default: default)"
    )
    network.add_argument("--device", default="auto", choices=common.DEVICES)
    network.add_argument("--threads", type=common.count, metavar="N", help="processor cores to use")
    parser.add_argument("--overwrite", action="store_true", help="replace the output if it exists")
    common.add_quiet(parser)


def add_sources(parser: argparse.ArgumentParser) -> None:
    """Options that say what to learn from."""
    labels = parser.add_argument_group("what it learns from")
    labels.add_argument(
        "--labels", metavar="FILE.tif", help="label image of the map's shape; 0 is unlabelled"
    )
    labels.add_argument(
        "--classes",
        metavar="LIST",
        help="class of each label, or of a vendor's phase by its number, as in "
        "1=m-3m:cF,2=6/mmm:hP",
    )
    labels.add_argument(
        "--vendor-phases",
        action="store_true",
        help="the phases that SOURCE came with; labels come on top of them",
    )
    labels.add_argument(
        "--folder",
        action="append",
        default=[],
        metavar="DIR=CLASS",
        help="folder of pictures, or a pattern file, of one class, as in austenite/=m-3m:cF; may "
        "be given several times",
    )
    labels.add_argument(
        "--most",
        type=common.count,
        default=500,
        metavar="N",
        help="patterns to read of each class at most (default: 500)",
    )
    labels.add_argument(
        "--cif",
        nargs="+",
        default=[],
        metavar="FILE",
        help="structures of your phases: simulated patterns of them are mixed in",
    )
    labels.add_argument(
        "--library",
        metavar="FILE.h5",
        help="master patterns of other materials, on which the network is held to what it said "
        "before (default: simple ones of bundled structures)",
    )


def run(args: argparse.Namespace) -> None:
    """Teach a network and save it."""
    target = _target(args)
    _check(args)
    settings = _settings(args)
    common.set_threads(args.threads)
    from ..loading import load_classifier

    classifier = load_classifier(args.model, device=args.device, precision="float32")
    if args.adapt is not None:
        _adapt(args, classifier, target)
        return
    labelled = _labelled(args, classifier)
    from ..training.fine_tune import fine_tune

    memory, structures = _simulated(args, classifier, settings)
    checkpoint = target.with_name(target.stem + ".checkpoint")
    with (
        stop_on_interrupt() as stopped,
        common.progress_bar(settings.steps, "learning", quiet=args.quiet, unit="steps") as show,
    ):
        result = fine_tune(
            classifier,
            labelled,
            settings,
            memory=memory,
            structures=structures,
            name=args.name or target.stem,
            checkpoint=checkpoint,
            report=_reporter(args.quiet, show),
            cancelled=stopped,
        )
        if not result.finished:
            raise KeyboardInterrupt(f"the run is kept in {checkpoint}, the same command goes on")
    result.classifier.save(target)
    checkpoint.unlink(missing_ok=True)
    if not args.quiet:
        print(_report(result))
        print(f"written: {target} and its card; use it with --model {target}")


def _target(args: argparse.Namespace) -> Path:
    from ..export._atomic import check_target

    target = Path(args.output)
    if target.suffix != _SUFFIX:
        raise InputError(f"'{target}': the output is a network, name it like mine{_SUFFIX}")
    for path in (target, target.with_suffix(".json")):
        check_target(path, overwrite=args.overwrite)
    return target


def _check(args: argparse.Namespace) -> None:
    """Refuse requests that do not go together, before anything is loaded."""
    of_the_map = args.labels is not None or args.vendor_phases
    if args.adapt is not None:
        if of_the_map or args.folder or args.cif or args.classes:
            raise InputError("--adapt needs no labels and no CIF files: leave one or the other out")
        if args.source is None:
            raise InputError("--adapt needs a SOURCE to adapt to")
        return
    if args.source is not None and not of_the_map:
        raise InputError("SOURCE needs --labels FILE.tif or --vendor-phases to learn from")
    if args.source is None and of_the_map:
        raise InputError("--labels and --vendor-phases need the SOURCE that they belong to")
    if args.labels is not None and args.classes is None:
        raise InputError("--labels needs --classes, as in 1=m-3m:cF,2=6/mmm:hP")
    if args.source is None and not args.folder:
        raise InputError("nothing to learn from: give --labels, --vendor-phases or --folder")
    for path in (args.labels, *args.cif):
        if path is not None and not Path(path).is_file():
            raise InputError(f"{path}: no such file; check the name")


def _settings(args: argparse.Namespace) -> FineTuneSettings:
    from ..training.fine_tune_settings import FineTuneSettings

    return FineTuneSettings(
        **{name: getattr(args, name) for name in _SETTINGS if getattr(args, name) is not None}
    )


def _labelled(args: argparse.Namespace, classifier: Classifier) -> LabelledPatterns:
    from ..training.fine_tune_labels import (
        LabelledPatterns,
        labelled_folders,
        pair_of,
        parse_classes,
    )

    classes = parse_classes(args.classes) if args.classes else {}
    folders = {}
    for text in args.folder:
        path, equals, name = text.rpartition("=")
        if not equals or not path:
            raise InputError(f"{text!r} names no class: write DIR=CLASS, as in austenite/=m-3m:cF")
        if path in folders:
            raise InputError(f"{path!r} is given twice: give it one class")
        folders[path] = pair_of(name)
    parts = []
    if args.source is not None:
        parts.append(_of_the_map(args, classes, classifier))
    if folders:
        parts.append(labelled_folders(folders, classifier.preprocessing, most=args.most))
    return LabelledPatterns.joined(parts)


def _of_the_map(
    args: argparse.Namespace, classes: dict[int, int], classifier: Classifier
) -> LabelledPatterns:
    """Labelled patterns of SOURCE; labels that were painted win over a vendor's phases."""
    import numpy as np

    from ..scan import load_scan
    from ..training.fine_tune_labels import labelled_scan, vendor_labels

    with load_scan(args.source) as scan:
        values = np.zeros(scan.shape, dtype=np.int64)
        classes_of: dict[int, int] = {}
        facts: dict[str, Any] = {"sha256": scan.file_hash()}
        if args.vendor_phases:
            values, classes_of = vendor_labels(scan, classes if args.labels is None else {})
            facts["labels"] = "phases of the vendor"
        if args.labels is not None:
            painted = _painted(Path(args.labels), scan, classes)
            shift = int(values.max(initial=0))
            # Numbers of their own: a label and a phase may have the same.
            values = np.where(painted > 0, painted + shift, values)
            classes_of |= {value + shift: pair for value, pair in classes.items()}
            classes_of = {v: pair for v, pair in classes_of.items() if (values == v).any()}
            facts |= {"labels": Path(args.labels).name, "labels_sha256": _hash(args.labels)}
        return labelled_scan(
            scan, values, classes_of, classifier.preprocessing, most=args.most, source=facts
        )


def _painted(path: Path, scan: Scan, classes: dict[int, int]) -> Any:
    """The label image, checked against its classes."""
    labels = read_labels(path, scan.shape)
    found = set(labels[labels > 0].tolist())
    for value in sorted(found - set(classes)):
        raise InputError(
            f"the label {value} of '{path}' has no class: add {value}=POINT_GROUP:LATTICE to "
            "--classes"
        )
    for value in sorted(set(classes) - found):
        raise InputError(
            f"no pattern of '{path}' has the label {value}: label some, or leave it out of "
            "--classes"
        )
    return labels


def _hash(path: str) -> str:
    import hashlib

    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def _simulated(
    args: argparse.Namespace, classifier: Classifier, settings: FineTuneSettings
) -> tuple[SimulatedPatterns, SimulatedPatterns | None]:
    """Patterns against forgetting, and of the user's structures."""
    from ..training.fine_tune_memory import (
        patterns_of_bundled,
        patterns_of_cif,
        patterns_of_library,
    )

    preprocessing, seed = classifier.preprocessing, settings.seed
    structures = patterns_of_cif(args.cif, preprocessing, seed=seed) if args.cif else None
    if args.library is not None:
        return patterns_of_library(args.library, preprocessing, seed=seed), structures
    with common.titled_bars(quiet=args.quiet, unit="structures") as show:
        memory = patterns_of_bundled(
            preprocessing, seed=seed, progress=lambda done, total: show("simulating", done, total)
        )
    return memory, structures


def _reporter(quiet: bool, show: Callable[[int], None]) -> Callable[[CurvePoint], None]:
    """Move the bar, and print a line a point."""

    def report(point: CurvePoint) -> None:
        show(point.step)
        if not quiet:
            facts = [
                f"{title} {value:.3f}"
                for title, value in (
                    ("loss", point.loss),
                    ("validation loss", point.validation_loss),
                    ("share right", point.right),
                )
                if not math.isnan(value)
            ]
            best = ["best so far"] if point.best else []
            print(f"step {point.step:4d} of {point.steps}: {', '.join(facts + best)}", flush=True)

    return report


def _report(result: FineTuned) -> str:
    """What was learned from, and what it brought."""
    parts = ", ".join(
        f"{counts['patterns']} patterns in {counts['regions']} regions to {verb}"
        for verb, counts in zip(
            ("learn from", "stop by", "tell the gain with"), result.counts.values(), strict=True
        )
    )
    if not result.after:
        return f"{parts}: nothing was held out, so the gain is not known"
    rows = [
        (title, result.before[level], result.after[level], result.gained[level])
        for level, title in _TITLES.items()
    ]
    header = ("right on held-out patterns", "before", "after", "gained")
    note = "means over classes with 95 % intervals over regions; class prior known"
    return f"{parts}\n\n{common.table(header, rows, ' rrr')}\n({note})"


def _adapt(args: argparse.Namespace, classifier: Classifier, target: Path) -> None:
    """Move the normalisations towards a scan, and save the network."""
    from ..scan import load_scan
    from ..training.fine_tune_adapt import adapt, unlabelled_patterns

    with load_scan(args.source) as scan:
        inputs = unlabelled_patterns(scan, classifier.preprocessing, most=args.most)
        facts = {"source": scan.path.name, "sha256": scan.file_hash(), "patterns": len(inputs)}
    adapted = adapt(classifier, inputs, args.adapt, name=args.name or target.stem, source=facts)
    adapted.save(target)
    if not args.quiet:
        print(
            f"{len(inputs)} patterns, share {args.adapt:g}; whether it helps cannot be told "
            f"without labels\nwritten: {target} and its card; use it with --model {target}"
        )
