# SPDX-License-Identifier: GPL-3.0-or-later
"""``models``: list, describe and verify networks."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import InputError
from . import common


def add(commands: common.Commands) -> None:
    """Describe the command."""
    parser = common.add_command(
        commands,
        "models",
        run_list,
        summary="list, describe and verify networks",
        description="Networks that classify patterns. Without anything more: list those that are "
        "installed.",
        examples=(
            "napari-ebsd-phase models",
            "napari-ebsd-phase models describe default",
            "napari-ebsd-phase models verify runs/steel/network.safetensors",
        ),
    )
    actions = parser.add_subparsers(metavar="ACTION")
    common.add_command(
        actions,
        "list",
        run_list,
        summary="the installed networks",
        description="List the installed networks.",
    )
    describe = common.add_command(
        actions,
        "describe",
        run_describe,
        summary="what a network was trained on and how well it does",
        description="Print the card of a network: what it was trained on and how well it does.",
    )
    describe.add_argument("name", metavar="NAME|FILE", help="installed network or .safetensors")
    describe.add_argument("--json", action="store_true", help="print the whole card as JSON")
    combine = common.add_command(
        actions,
        "combine",
        run_combine,
        summary="make one network of several: the mean of their scores",
        description="Make one network that answers with the mean of the scores of several, "
        "calibrate it and test it on materials that none of them was trained on.",
    )
    combine.add_argument(
        "names", nargs="+", metavar="NAME|FILE", help="installed networks or .safetensors files"
    )
    combine.add_argument("-o", "--output", required=True, metavar="FILE", help=".safetensors file")
    combine.add_argument("--name", help="for the card (default: the name of the file)")
    combine.add_argument(
        "--library", required=True, metavar="FILE", help="master patterns to calibrate and test on"
    )
    combine.add_argument(
        "--test-patterns",
        type=int,
        default=48,
        metavar="N",
        help="patterns a material and camera (default: 48)",
    )
    combine.add_argument(
        "--weights",
        type=common.positive,
        nargs="+",
        metavar="X",
        help="factors of the scores before the mean is taken, one for each network (default: 1)",
    )
    combine.add_argument("--quiet", action="store_true", help="no progress, no summary")
    verify = common.add_command(
        actions,
        "verify",
        run_verify,
        summary="check that networks are complete and undamaged",
        description="Check that weights and cards are complete, undamaged and belong together.",
    )
    verify.add_argument(
        "names", nargs="*", metavar="NAME|FILE", help="networks (default: all installed)"
    )


def run_list(args: argparse.Namespace) -> None:
    """List the installed networks."""
    from ..loading import installed_classifiers, load_classifier

    rows = []
    for name in installed_classifiers():
        card = load_classifier(name, device="cpu").card
        materials = _materials(card["training"]).get("train", "?")
        patterns = card["training"].get("patterns")
        rows.append(
            (
                name,
                card["version"],
                materials,
                f"{patterns:,}" if isinstance(patterns, int) else "?",
                card["licence"],
            )
        )
    if not rows:
        print("no network is installed")
        return
    header = ("name", "version", "training materials", "training patterns", "licence")
    print(common.table(header, rows, "  rr"))


def run_describe(args: argparse.Namespace) -> None:
    """Print the card of a network."""
    from ..loading import load_classifier

    classifier = load_classifier(args.name, device="cpu")
    card = classifier.card
    if args.json:
        print(json.dumps(card, indent=1, ensure_ascii=False))
        return
    size = classifier.preprocessing.size
    weights = sum(p.numel() for p in classifier.network.parameters())
    training = card["training"]
    facts = [
        ("name", card["name"]),
        ("version", card["version"]),
        ("licence", card["licence"]),
        ("sha256", card["sha256"]),
        ("input", f"{size} x {size} pixels"),
        ("weights", f"{weights:,}"),
        ("threshold", f"{classifier.threshold:g}"),
        ("temperature", f"{card['temperature']:g}"),
        *(
            (f"training {key}", value)
            for key, value in training.items()
            if isinstance(value, str | int | float)
        ),
        *((f"{key} materials", value) for key, value in _materials(training).items()),
    ]
    print(common.table(("", ""), facts).strip())
    centred = card.get("with_centre", {})
    for told, metrics in ((False, card["metrics"]), (True, centred.get("metrics"))):
        if metrics:
            title = f"projection centre {'known' if told else 'not known'}\n" if centred else ""
            print(f"\n{title}{accuracy_table(metrics)}")


def _materials(training: dict[str, Any]) -> dict[str, Any]:
    """How many materials of each split a card tells of; nothing where it does not."""
    found = training.get("materials")
    return found if isinstance(found, dict) else {}


def run_combine(args: argparse.Namespace) -> None:
    """Make one network of several."""
    from ..export._atomic import check_target
    from ..loading import load_classifier
    from ..training.combine import combine, tested_materials
    from ..training.finish import calibrate
    from ..training.library import MasterLibrary

    if args.test_patterns < 1:
        raise InputError(f"--test-patterns must be 1 or more, not {args.test_patterns}")
    check_target(Path(args.output), overwrite=True)  # before minutes of testing
    members = [load_classifier(name, device="cpu") for name in args.names]
    name = args.name or Path(args.output).name.split(".")[0]
    classifier = combine(members, name=name, weights=args.weights)
    stack, materials = tested_materials(classifier, MasterLibrary.open(args.library))
    with common.titled_bars(quiet=args.quiet, unit="materials") as show_part:
        calibrate(classifier, stack, materials, patterns=args.test_patterns, progress=show_part)
    target = classifier.save(args.output)
    if not args.quiet:
        print(f"written: {target} and its card; see `napari-ebsd-phase models describe {target}`")


def accuracy_table(metrics: dict[str, Any]) -> str:
    """Accuracies of an evaluation, or of the card of a network, as text."""
    header = ("patterns", "point group", "Laue group", "crystal system", "lattice")
    return (
        "Share of patterns whose most probable class is right (mean over materials):\n\n"
        + common.table(header, _accuracies(metrics), " rrrr")
    )


def _accuracies(metrics: Any, title: str = "") -> Iterator[tuple[str, ...]]:
    """Rows of a table from the metrics of a card, at whatever depth they lie."""
    from ..crystallography import LEVELS

    if not isinstance(metrics, dict):
        return
    levels = [metrics.get(level) for level in LEVELS]
    shares = [level.get("accuracy") if isinstance(level, dict) else None for level in levels]
    if all(isinstance(share, int | float) for share in shares):
        yield (title, *(f"{100 * share:.1f} %" for share in shares if share is not None))
        return
    for key, value in metrics.items():
        yield from _accuracies(value, f"{title}, {key}" if title else str(key))


def run_verify(args: argparse.Namespace) -> None:
    """Check networks; the first that is bad is an InputError."""
    from ..loading import installed_classifiers, load_classifier

    for name in args.names or installed_classifiers():
        classifier = load_classifier(name, device="cpu")
        print(f"{name}: good (sha256 {classifier.sha256})")
