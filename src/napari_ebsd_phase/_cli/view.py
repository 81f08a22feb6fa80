# SPDX-License-Identifier: GPL-3.0-or-later
"""``view``: napari with the plugin open."""

from __future__ import annotations

import argparse
import os
import sys
from importlib.util import find_spec

from ..errors import InputError
from . import common

_BINDINGS = ("PyQt6", "PySide6")


def add(commands: common.Commands) -> None:
    """Describe the command."""
    parser = common.add_command(
        commands,
        "view",
        run,
        summary="open napari with the plugin",
        description="Open napari with the docks of the plugin, and patterns or a saved phase map "
        "in it.",
        examples=(
            "napari-ebsd-phase view",
            "napari-ebsd-phase view map.h5oina",
            "napari-ebsd-phase view patterns.up1 --grid 60x80",
            "napari-ebsd-phase view map_phases.h5",
        ),
    )
    parser.add_argument(
        "source",
        nargs="?",
        metavar="SOURCE",
        help="pattern file, image, folder of images, or .h5 phase map",
    )
    parser.add_argument(
        "--grid",
        type=common.grid,
        metavar="RxC",
        help="map rows and columns, for files that do not say",
    )


def run(args: argparse.Namespace) -> None:
    """Open the viewer and wait until it is closed."""
    if args.grid is not None and args.source is None:
        raise InputError("--grid needs a SOURCE whose patterns it lays out")
    check_screen()

    from .._napari import application

    # Kept until the end: a viewer that nobody holds is closed.
    viewer = application.open_viewer(args.source, grid=args.grid)
    application.run()
    del viewer


def check_screen() -> None:
    """Find out whether a window can be opened, before Qt ends the program without a word.

    Raises
    ------
    InputError
        If napari or a Qt binding is not installed, or there is no screen.
    """
    if find_spec("napari") is None or not any(find_spec(name) for name in _BINDINGS):
        raise InputError("the viewer needs napari and a Qt binding: pip install 'napari[all]'")
    asked = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    if sys.platform.startswith("linux") and not any(os.environ.get(name) for name in asked):
        raise InputError(
            "there is no screen to show napari on (DISPLAY is not set): run it on a desktop, or "
            "use `napari-ebsd-phase classify`"
        )
