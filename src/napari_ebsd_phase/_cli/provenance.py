# SPDX-License-Identifier: GPL-3.0-or-later
"""``provenance``: what made a file."""

from __future__ import annotations

import argparse
import json
from typing import Any

from . import common


def add(commands: common.Commands) -> None:
    """Describe the command."""
    parser = common.add_command(
        commands,
        "provenance",
        run,
        summary="what made a phase map: source, network, settings, date",
        description="Say what made a file that this program wrote: the pattern file and its hash, "
        "the network\nand its hash, the version, the settings and the date.",
        examples=(
            "napari-ebsd-phase provenance map.h5",
            "napari-ebsd-phase provenance map.png map.tif --json",
        ),
    )
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help=".h5, .tif, .png, .ang or .ctf of a phase map"
    )
    parser.add_argument("--json", action="store_true", help="print JSON, one object a file")


def run(args: argparse.Namespace) -> None:
    """Run the command."""
    from ..export.provenance import read_provenance

    found = {name: read_provenance(name) for name in args.files}
    if args.json:
        print(json.dumps(found, indent=1))
        return
    for number, (name, told) in enumerate(found.items()):
        if len(found) > 1:
            print("\n" * (number > 0) + name)
        print(common.table(("", ""), [(key, _text(value)) for key, value in told.items()]).strip())


def _text(value: Any) -> str:
    if isinstance(value, list) and any(isinstance(each, list) for each in value):
        return "a table (see --json)"
    if isinstance(value, list):
        separator = "; " if any(isinstance(each, str) for each in value) else ", "
        return separator.join(map(str, value))
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(each)}" for key, each in value.items())
    return "not known" if value is None else str(value)
