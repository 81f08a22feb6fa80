# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of a training run: from the command line, from a file, from the run before."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from . import common

if TYPE_CHECKING:
    from ..training.settings import TrainingSettings

_OWN_OPTIONS = (
    "patterns",
    "batch_size",
    "learning_rate",
    "weight_decay",
    "symmetry",
    "seed",
    "train_on",
)
_SPLITS = ("train", "simulator", "calibration", "test")
_OF_THE_NETWORK = ("widths", "blocks", "view")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of ``train`` that decide what is learned, and how."""
    run = parser.add_argument_group("settings of the run")
    run.add_argument(
        "--settings",
        metavar="FILE.json",
        help="start from these: settings.json of another run, or as much of one as is to differ "
        "from the defaults; the options below come on top",
    )
    run.add_argument("--patterns", type=common.count, metavar="N", help="(default: 3,000,000)")
    run.add_argument("--batch-size", type=common.count, metavar="N", help="(default: 256)")
    run.add_argument("--learning-rate", type=common.positive, metavar="X", help="(default: 0.004)")
    run.add_argument("--weight-decay", type=common.positive, metavar="X", help="(default: 0.02)")
    run.add_argument(
        "--symmetry",
        type=common.positive,
        metavar="X",
        help="weight of a second target: where axes and mirror planes lie in each pattern; for "
        "networks that look at lines (default: 0, none)",
    )
    run.add_argument("--seed", type=common.whole, metavar="N", help="(default: 0)")
    run.add_argument(
        "--train-on",
        type=_splits,
        metavar="SPLIT,...",
        help="materials to train on (default: train). For a network of your own add simulator, the "
        "common phases kept for a test; with calibration or test in it nothing is left to test on",
    )
    run.add_argument(
        "--widths", type=_counts, metavar="N,...", help="channels of each stage (default: 24,48,96)"
    )
    run.add_argument(
        "--blocks", type=_counts, metavar="N,...", help="blocks of each stage (default: 1,2,3)"
    )
    run.add_argument(
        "--view",
        choices=("lines", "pixels", "symmetry"),
        help="what the network looks at: the pattern's Radon transform, in which bands are spots "
        "(lines, the default), the pattern (pixels), or how well it agrees with itself, turned and "
        "mirrored about every direction (symmetry; needs the projection centre of every pattern)",
    )


def settings_of(folder: Path, args: argparse.Namespace) -> TrainingSettings:
    """Settings as given, else as the run in the folder has them, else the defaults.

    Parameters
    ----------
    folder
        Of the run.
    args
        With the options of :func:`add_options`.

    Raises
    ------
    InputError
        If a file holds no settings, or they make no sense.
    """
    from ..network import Architecture
    from ..training.settings import TrainingSettings

    values: dict[str, Any] = {}
    if args.settings is not None:
        values = _read(Path(args.settings))
    elif (folder / "settings.json").exists():
        values = _read(folder / "settings.json")
    values |= _given(args, _OWN_OPTIONS)
    if shape := _given(args, _OF_THE_NETWORK):
        values["architecture"] = replace(values.get("architecture", Architecture()), **shape)
    return TrainingSettings(**values)


def _given(args: argparse.Namespace, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: getattr(args, name) for name in names if getattr(args, name) is not None}


def _read(path: Path) -> dict[str, Any]:
    from ..network import Architecture
    from ..preprocessing import Preprocessing
    from ..training.settings import TrainingSettings

    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read the settings '{path}' ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"'{path}' holds no settings of a run: it is not JSON") from error
    if not isinstance(values, dict):
        raise InputError(f"'{path}' holds no settings of a run: give the settings.json of one")
    values.pop("materials", None)  # how many there were, not a setting
    defaults = vars(TrainingSettings())
    for name, value in values.items():
        if name not in defaults or not _is_like(value, defaults[name], least=name != "seed"):
            raise InputError(f"'{path}': {name} cannot be {json.dumps(value)} in this version")
    if "train_on" in values:
        values["train_on"] = tuple(values["train_on"])
    for name, kind in (("architecture", Architecture), ("preprocessing", Preprocessing)):
        if name in values:
            try:
                values[name] = kind.from_dict(values[name])
            except InputError as error:
                raise InputError(f"'{path}': {error}") from error
    return values


def _is_like(value: object, default: object, least: int) -> bool:
    """Whether a value can take the place of a default: a number, or numbers by name."""
    if isinstance(default, int):
        return type(value) is int and value >= least
    if isinstance(default, float):
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        return 0 <= value < math.inf
    if isinstance(default, tuple):
        return isinstance(value, list) and bool(value) and all(v in _SPLITS for v in value)
    if isinstance(default, Mapping):
        return isinstance(value, dict) and all(
            name in default and _is_like(share, 1.0, 0) for name, share in value.items()
        )
    return isinstance(value, dict)


def _counts(text: str) -> tuple[int, ...]:
    """Value of an option that is some numbers, as in ``24,48,96``."""
    return tuple(common.count(part.strip()) for part in text.split(","))


def _splits(text: str) -> tuple[str, ...]:
    """Value of ``--train-on``, as in ``train,simulator``."""
    names = tuple(part.strip() for part in text.split(","))
    if not set(names) <= set(_SPLITS):
        raise argparse.ArgumentTypeError(f"{text!r}: the splits are {', '.join(_SPLITS)}")
    return names
