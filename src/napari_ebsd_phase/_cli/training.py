# SPDX-License-Identifier: GPL-3.0-or-later
"""``simulate`` and ``train``: from crystal structures to a network."""

from __future__ import annotations

import argparse
import json
import re
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from . import common

if TYPE_CHECKING:
    from ..training.materials import Material
    from ..training.structures import Structure
    from ..training.train import TrainingSettings

_MAX_VOLUME = 900.0  # cubic angstrom; cost grows with its cube
_NETWORK = "network.safetensors"


def add(commands: common.Commands) -> None:
    """Describe the commands."""
    _add_simulate(commands)
    _add_train(commands)


def _add_simulate(commands: common.Commands) -> None:
    parser = common.add_command(
        commands,
        "simulate",
        run_simulate,
        summary="dynamical master patterns of crystal structures",
        description="Simulate the dynamical master patterns of crystal structures, from CIF files "
        "or from the\ntable that comes with the program, one file each. What is in the folder is "
        "not simulated\nagain, so an interrupted run goes on with the same command. Needs the "
        "optional package\nde-ebsd: pip install 'napari-ebsd-phase[simulate]'",
        examples=(
            "napari-ebsd-phase simulate my_phase.cif -o masters --library my_library.h5",
            "napari-ebsd-phase simulate --point-group m-3m --list",
            "napari-ebsd-phase simulate --all -o masters --part 1/4",
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
    common.add_quiet(parser)


def run_simulate(args: argparse.Namespace) -> None:
    """Simulate master patterns."""
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
        for line in failed:
            print(f"left out: {line}")
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


def _part(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)/(\d+)", text, re.ASCII)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise argparse.ArgumentTypeError(f"expected K/N with K from 1 to N, not {text!r}")
    return int(match[1]) - 1, int(match[2])


def _add_train(commands: common.Commands) -> None:
    parser = common.add_command(
        commands,
        "train",
        run_train,
        summary="train a network on simulated patterns",
        description="Train a network on patterns that are simulated on the fly from a library of "
        "master\npatterns. The run lives in a folder: settings.json, log.csv, a checkpoint and, at "
        "the end,\nnetwork.safetensors with its card. Ctrl-C saves and stops; the same command "
        "goes on.\nOn going on, settings that are not given again stay as they were.",
        examples=(
            "napari-ebsd-phase train --library data/master_patterns.h5 -o runs/first",
            "napari-ebsd-phase classify map.h5 -o map.png --model runs/first/network.safetensors",
        ),
    )
    parser.add_argument(
        "--library", required=True, metavar="FILE.h5", help="master patterns to train on"
    )
    parser.add_argument(
        "-o", "--output", required=True, metavar="DIR", help="folder of the run; made if absent"
    )
    parser.add_argument("--name", help="name on the network's card (default: that of the folder)")
    run = parser.add_argument_group("settings of the run")
    run.add_argument("--patterns", type=common.count, metavar="N", help="(default: 3,000,000)")
    run.add_argument("--batch-size", type=common.count, metavar="N", help="(default: 256)")
    run.add_argument("--learning-rate", type=common.positive, metavar="X", help="(default: 0.003)")
    run.add_argument("--weight-decay", type=common.positive, metavar="X", help="(default: 0.02)")
    run.add_argument("--seed", type=common.whole, metavar="N", help="(default: 0)")
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


def run_train(args: argparse.Namespace) -> None:
    """Train, calibrate, test and save a network."""
    library_path, folder = Path(args.library), Path(args.output)
    from ..training.library import MasterLibrary
    from ..training.materials import load_materials

    with MasterLibrary.open(library_path) as library:
        stack, by_split = load_materials(library)
    materials: dict[str, Sequence[Material]] = {**by_split}
    if not materials["train"]:
        raise InputError(f"{library_path} has no material to train on: add master patterns to it")
    settings = _settings(folder, args)
    common.make_folder(folder)

    from ..export import check_output
    from ..training.finish import finish
    from ..training.log import hours
    from ..training.train import train

    check_output(folder / "writable.csv", overwrite=True)
    with (
        _stop_on_interrupt() as stopped,
        common.progress_bar(settings.steps, "training", quiet=args.quiet, unit="steps") as show,
    ):
        network = train(
            folder,
            stack,
            materials,
            settings,
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
                "library": library_path.name,
                "master_patterns": len(stack),
                "hours": round(hours(folder), 2),
                "device": _device(args.device),
            },
            progress=show_part,
        )
    target = classifier.save(folder / _NETWORK)
    if not args.quiet:
        print(f"written: {target} and its card; see `napari-ebsd-phase models describe {target}`")


def _settings(folder: Path, args: argparse.Namespace) -> TrainingSettings:
    """Settings as given, else as the run in the folder has them, else the defaults."""
    from ..network import Architecture
    from ..preprocessing import Preprocessing
    from ..training.train import TrainingSettings

    values: dict[str, Any] = {}
    path = folder / "settings.json"
    if path.exists():
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            values.pop("materials", None)
            values["architecture"] = Architecture.from_dict(values["architecture"])
            values["preprocessing"] = Preprocessing.from_dict(values["preprocessing"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{path} is no settings of a run: use another folder") from error
    names = ("patterns", "batch_size", "learning_rate", "weight_decay", "seed")
    values |= {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    try:
        return TrainingSettings(**values)
    except TypeError as error:
        raise InputError(f"{path} is of another version: use another folder") from error


def _device(name: str) -> str:
    import torch

    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise InputError("this machine has no cuda device that torch can use: use --device cpu")
    return "cuda" if available and name != "cpu" else "cpu"


@contextmanager
def _stop_on_interrupt() -> Iterator[Callable[[], bool]]:
    """Turn the first Ctrl-C into a question that can be asked; the second one interrupts."""
    stopped = threading.Event()

    def stop(*_: object) -> None:
        if stopped.is_set():
            raise KeyboardInterrupt
        stopped.set()

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield stopped.is_set
    finally:
        signal.signal(signal.SIGINT, before)
