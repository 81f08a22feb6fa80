# SPDX-License-Identifier: GPL-3.0-or-later
"""``train``: from master patterns to a network."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from . import common
from .interrupt import stop_on_interrupt
from .settings import add_options, settings_of

if TYPE_CHECKING:
    from ..network import SymmetryNet
    from ..training.materials import Material

_NETWORK = "network.safetensors"


def add(commands: common.Commands) -> None:
    """Describe the command."""
    parser = common.add_command(
        commands,
        "train",
        run,
        summary="train a network on simulated patterns",
        description="Train a network on patterns that are simulated on the fly from a library of "
        "master\npatterns. The run lives in a folder: settings.json, log.csv, a checkpoint and, at "
        "the end,\nnetwork.safetensors with its card. Ctrl-C saves and stops; the same command "
        "goes on.\nOn going on, settings that are not given again stay as they were.",
        examples=(
            "napari-ebsd-phase train --library data/master_patterns.h5 -o runs/first",
            "napari-ebsd-phase train --library data/master_patterns.h5 bands.h5 -o runs/second \\",
            "    --settings runs/first/settings.json --view pixels",
            "napari-ebsd-phase classify map.h5 -o map.png --model runs/first/network.safetensors",
        ),
    )
    parser.add_argument(
        "--library",
        required=True,
        nargs="+",
        metavar="FILE.h5",
        help="master patterns to train on; calibration and tests need dynamical ones",
    )
    parser.add_argument(
        "-o", "--output", required=True, metavar="DIR", help="folder of the run; made if absent"
    )
    parser.add_argument(
        "--start-from",
        metavar="MODEL",
        help="begin with the weights of a trained network of the same shape (a name or a "
        ".safetensors file), not with random ones",
    )
    parser.add_argument("--name", help="name on the network's card (default: that of the folder)")
    add_options(parser)
    machine = parser.add_argument_group("machine")
    machine.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    machine.add_argument("--threads", type=common.count, metavar="N", help="cores of the network")
    machine.add_argument(
        "--workers",
        type=common.count,
        default=1,
        metavar="N",
        help="threads that simulate patterns (default: 1)",
    )
    machine.add_argument(
        "--test-patterns",
        type=common.count,
        default=48,
        metavar="N",
        help="patterns a material and camera for calibration and tests at the end (default: 48)",
    )
    common.add_quiet(parser)


def run(args: argparse.Namespace) -> None:
    """Train, calibrate, test and save a network."""
    folder = Path(args.output)
    from ..training.library import MasterLibrary
    from ..training.materials import load_materials

    settings = settings_of(folder, args)
    with ExitStack() as opened:
        libraries = [opened.enter_context(MasterLibrary.open(path)) for path in args.library]
        stack, by_split = load_materials(*libraries, train_on=settings.train_on)
    materials: dict[str, Sequence[Material]] = {**by_split}
    if not materials["train"]:
        raise InputError(
            f"no material to train on in {', '.join(args.library)}: add master patterns"
        )
    common.make_folder(folder)

    from ..export import check_output
    from ..training.finish import finish
    from ..training.log import hours
    from ..training.train import train

    check_output(folder / "writable.csv", overwrite=True)
    start, origin = _start(args.start_from)
    with (
        stop_on_interrupt() as stopped,
        common.progress_bar(settings.steps, "training", quiet=args.quiet, unit="steps") as show,
    ):
        network = train(
            folder,
            stack,
            materials,
            settings,
            start=start,
            device=_device(args.device),
            threads=args.threads,
            workers=args.workers,
            report=lambda step, steps, loss, speed: show(step),
            cancelled=stopped,
        )
        if stopped():
            raise KeyboardInterrupt("the run is saved, the same command goes on")
    with common.titled_bars(quiet=args.quiet, unit="materials") as show_part:
        classifier = finish(
            network,
            stack,
            materials,
            settings,
            name=args.name or folder.absolute().name,
            steps=settings.steps,
            patterns=args.test_patterns,
            provenance={
                "library": ", ".join(Path(path).name for path in args.library),
                "master_patterns": len(stack),
                "hours": round(hours(folder), 2),
                "device": _device(args.device),
                **origin,
            },
            progress=show_part,
        )
    target = classifier.save(folder / _NETWORK)
    if not args.quiet:
        print(f"written: {target} and its card; see `napari-ebsd-phase models describe {target}`")


def _start(name: str | None) -> tuple[SymmetryNet | None, dict[str, str]]:
    """The network to begin with, and what its descendant's card says of it."""
    if name is None:
        return None, {}
    from ..loading import load_classifier

    classifier = load_classifier(name, device="cpu", precision="float32")
    members = classifier.network.members
    if len(members) > 1:
        raise InputError(f"{name} is the mean of {len(members)} networks: begin with one of them")
    return members[0], {"started_from": classifier.name, "started_from_sha256": classifier.sha256}


def _device(name: str) -> str:
    import torch

    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise InputError("this machine has no cuda device that torch can use: use --device cpu")
    return "cuda" if available and name != "cpu" else "cpu"
