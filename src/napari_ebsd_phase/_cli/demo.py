# SPDX-License-Identifier: GPL-3.0-or-later
"""``demo``: the main job on the bundled samples."""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from . import common

if TYPE_CHECKING:
    from ..phase_map import PhaseMap

_SUFFIXES = (".csv", ".png", ".h5")
_MARKER = "demo.json"
_LEVELS = {"laue_group": "Laue group", "point_group": "point group", "bravais_lattice": "lattice"}


def add(commands: common.Commands) -> None:
    """Describe the command."""
    parser = common.add_command(
        commands,
        "demo",
        run,
        summary="classify the bundled samples: files and a summary",
        description="Classify the samples that come with the program (measured nickel and silicon, "
        "simulated\naustenite and ferrite), write a table, a picture and the full result of each, "
        "and compare with\nthe known answer.",
        examples=("napari-ebsd-phase demo", "napari-ebsd-phase demo -o results"),
    )
    parser.add_argument(
        "-o",
        "--output",
        default="napari-ebsd-phase-demo",
        metavar="DIR",
        help="folder for the files (default: ./napari-ebsd-phase-demo); only files of an earlier "
        "demo are replaced in it",
    )
    common.add_quiet(parser)
    common.add_network_options(parser)


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    from ..loading import load_classifier
    from ..mapping import classify
    from ..samples import sample_names, sample_path, sample_title
    from ..scan import load_scan

    folder = Path(args.output)
    files = [f"{name}{suffix}" for name in sample_names() for suffix in _SUFFIXES]
    common.set_threads(args.threads)
    classifier = load_classifier(args.model, device=args.device)
    classifier.prior(args.prior)
    _claim(folder, files)  # after what may be wrong with the request
    rows: list[tuple[str, ...]] = []
    checks = []
    for name in sample_names():
        title = sample_title(name)
        with (
            load_scan(sample_path(name)) as scan,
            common.titled_bars(quiet=args.quiet) as show,
        ):
            phase_map = classify(
                scan,
                classifier,
                prior=args.prior,
                batch_size=args.batch_size,
                progress=partial(show, title),
            )
        for suffix in _SUFFIXES:
            phase_map.save(folder / f"{name}{suffix}", overwrite=True)
        lines = common.summary_rows(phase_map)
        rows += [(title if i == 0 else "", *line) for i, line in enumerate(lines)]
        checks.append((title, *_agreement(name, phase_map)))
    if args.quiet:
        return
    print(common.table(("sample", *common.SUMMARY_HEADER), rows, " " + common.SUMMARY_RIGHT))
    print("\nPatterns whose most probable class is the known one (away from grain boundaries):\n")
    print(common.table(("sample", *_LEVELS.values()), checks, " rrr"))
    print(f"\nwritten to {folder}: {', '.join(files)}")


def _claim(folder: Path, files: list[str]) -> None:
    """Mark a folder as the demo's, unless a file in it is somebody else's."""
    from ..export import check_output

    common.make_folder(folder)
    marker = folder / _MARKER
    try:
        ours = set(json.loads(marker.read_text(encoding="utf-8"))["files"])
    except FileNotFoundError:
        ours = set()
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"'{marker}' is not of this program: choose another folder") from error
    for name in files:
        if (folder / name).exists() and name not in ours:
            raise InputError(
                f"'{folder / name}' is not of an earlier demo: choose another folder with -o"
            )
        check_output(folder / name, overwrite=True)
    text = json.dumps({"made_by": "napari-ebsd-phase demo", "files": files}, indent=1)
    try:
        marker.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write '{marker}' ({error.strerror}): choose another") from error


def _agreement(name: str, phase_map: PhaseMap) -> list[str]:
    """How many patterns of a sample are right at each level, as text."""
    import numpy as np

    from ..crystallography import laue_group
    from ..samples import sample_truth

    point_group, lattice = (np.broadcast_to(t, phase_map.shape) for t in sample_truth(name))
    counted = point_group != ""
    groups, inverse = np.unique(point_group[counted], return_inverse=True)
    right = {
        "laue_group": np.array([laue_group(str(g)) for g in groups])[inverse],
        "point_group": point_group[counted],
        "bravais_lattice": lattice[counted],
    }
    total = int(counted.sum())
    texts = []
    for level in _LEVELS:
        good = int((getattr(phase_map, level)[counted] == right[level]).sum())
        texts.append(f"{good:,} of {total:,} ({100 * good / total:.1f} %)")
    return texts
