# SPDX-License-Identifier: GPL-3.0-or-later
"""napari with the plugin open, for the command line."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari.viewer import Viewer
    from qtpy.QtWidgets import QWidget

# As napari calls them when they are opened from a menu: so its menus find them again.
_TITLE = "{} (EBSD phase)"


def open_viewer(
    source: str | Path | None = None,
    *,
    grid: tuple[int, int] | None = None,
    show: bool = True,
) -> Viewer:
    """Open a window of napari with the docks of the plugin, and a source in it.

    Parameters
    ----------
    source
        What :func:`napari_ebsd_phase.load_scan` opens, or an ``.h5`` phase map.
    grid
        Map rows and columns of patterns whose file does not say.
    show
        Whether the window is shown.

    Raises
    ------
    InputError
        If the source cannot be read: before a window is opened.
    """
    from . import notify
    from .reader import open_source

    notes: list[str] = []
    opened = None if source is None else open_source(source, grid=grid, tell=notes.append)

    from napari import Viewer
    from qtpy.QtCore import QTimer

    from .arrange import show_layers

    viewer = Viewer(show=show)
    add_docks(viewer)
    if opened is not None:
        show_layers(viewer, *opened)
    # Before the window is laid out, it has no place for notes, and the map fits in no frame.
    QTimer.singleShot(0, viewer.reset_view)
    for note in notes:
        QTimer.singleShot(0, partial(notify.show_info, note))
    return viewer


def add_docks(viewer: Viewer) -> tuple[QWidget, ...]:
    """Open the docks of the plugin as tabs of one place, which is all that a small screen has.

    Returns them: mapping, pattern, legend.
    """
    from qtpy.QtCore import QTimer

    from .click_opens import ClickOpens
    from .legend_dock import LegendDock
    from .map_dock import MapDock
    from .pattern_dock import PatternDock

    mapping, pattern, legend = MapDock(viewer), PatternDock(viewer), LegendDock(viewer)
    named = {"EBSD phase mapping": mapping, "EBSD pattern": pattern, "EBSD phase legend": legend}
    frames = [
        viewer.window.add_dock_widget(
            dock, name=_TITLE.format(name), area="right", tabify=number > 0
        )
        for number, (name, dock) in enumerate(named.items())
    ]
    ClickOpens(viewer, pattern, frames[1])
    # Which tab lies on top is decided when the window is laid out.
    QTimer.singleShot(0, frames[0].raise_)
    return mapping, pattern, legend


def run() -> None:
    """Hand over to the user until the last window is closed."""
    import napari

    napari.run()
