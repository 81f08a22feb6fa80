# SPDX-License-Identifier: GPL-3.0-or-later
"""``view`` opens napari with the docks and the data, and says in one line why it cannot."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

import napari
import pytest
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QDockWidget

from napari_ebsd_phase import InputError, load_scan
from napari_ebsd_phase._cli import view
from napari_ebsd_phase._napari.application import add_docks, open_viewer
from napari_ebsd_phase._napari.layers import add_scan, layer_for
from napari_ebsd_phase._napari.session import active_session
from napari_ebsd_phase.samples import sample_path

from ._ebsd_files import patterns, write_edax
from ._napari._canvas import Canvas

DOCKS = {
    "EBSD phase mapping (EBSD phase)",
    "EBSD pattern (EBSD phase)",
    "EBSD phase legend (EBSD phase)",
}


def parsed(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    view.add(parser.add_subparsers())
    return parser.parse_args(["view", *arguments])


def docks_of(viewer) -> dict[str, QDockWidget]:
    return {name: widget for name, widget in viewer.window.dock_widgets.items() if name in DOCKS}


def test_the_docks_are_open_with_the_mapping_on_top(make_napari_viewer, qtbot):
    viewer = make_napari_viewer(show=True)

    add_docks(viewer)

    docks = docks_of(viewer)
    assert set(docks) == DOCKS
    mapping = docks.pop("EBSD phase mapping (EBSD phase)")
    qtbot.waitUntil(lambda: not mapping.visibleRegion().isEmpty())
    assert all(dock.visibleRegion().isEmpty() for dock in docks.values())


def test_a_click_on_the_map_brings_its_pattern_to_the_top(make_napari_viewer, qtbot):
    viewer = make_napari_viewer(show=True)
    add_docks(viewer)
    session = add_scan(viewer, load_scan(sample_path("two_phase")))
    dock = docks_of(viewer)["EBSD pattern (EBSD phase)"]
    frames = dock.window().findChildren(QDockWidget)
    frame = next(frame for frame in frames if frame.isAncestorOf(dock))
    qtbot.waitUntil(lambda: frame.visibleRegion().isEmpty())
    viewer.reset_view()
    canvas = Canvas(viewer, dock)

    canvas.drag(session, [(10, 10), (12, 14)])
    assert frame.visibleRegion().isEmpty()

    canvas.click(session, 20, 30)
    qtbot.waitUntil(lambda: not frame.visibleRegion().isEmpty())
    assert (dock.place.row, dock.place.col) == (20, 30)
    qtbot.waitUntil(lambda: not dock.busy, timeout=60_000)

    frame.close()
    canvas.click(session, 5, 5)
    assert dock.place is None or (dock.place.row, dock.place.col) == (20, 30)


def run_and_look(look, *arguments: str) -> list:
    """Run the command, look at its window once it is there, and close it as a user would."""
    found = []

    def peek() -> None:
        viewer = napari.current_viewer()
        try:
            found.append(look(viewer))
        finally:
            viewer.close()

    QTimer.singleShot(0, peek)
    view.run(parsed(*arguments))
    return found


@pytest.fixture
def window(make_napari_viewer):
    """Napari's plugins and application model, as its tests set them up."""
    make_napari_viewer().close()


def test_a_source_is_open_with_its_grid(window, tmp_path):
    path = write_edax(tmp_path / "line.up1", patterns(2, 6), version=1)

    def look(viewer):
        session = active_session(viewer)
        return session.shape, layer_for(viewer, session, "mean_intensity").data.shape

    assert run_and_look(look, str(path), "--grid", "2x6") == [((2, 6), (2, 6))]


def test_without_a_source_the_window_is_empty(window):
    assert run_and_look(lambda viewer: (len(viewer.layers), set(docks_of(viewer)))) == [(0, DOCKS)]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["missing.h5oina"], "no such file or folder"),
        (["--grid", "2x3"], "--grid needs a SOURCE"),
        ([str(sample_path("two_phase")), "--grid", "7x7"], "a grid of 7 x 7 does not fit"),
    ],
)
def test_a_wrong_request_is_refused_before_a_window_opens(arguments, text):
    before = napari.current_viewer()

    with pytest.raises(InputError, match=text):
        view.run(parsed(*arguments))

    assert napari.current_viewer() is before


def test_a_broken_source_opens_no_window(tmp_path):
    path = tmp_path / "map.h5oina"
    path.write_text("nothing")

    with pytest.raises(InputError, match="is not an HDF5 file"):
        open_viewer(path)


def test_without_a_screen_one_line_says_so(tmp_path):
    code = "from napari_ebsd_phase._cli.view import check_screen; check_screen()"
    hidden = {"DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"}
    environment = {key: value for key, value in os.environ.items() if key not in hidden}

    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )

    assert "InputError: there is no screen to show napari on" in done.stderr


def test_without_a_qt_binding_one_line_says_what_to_install(tmp_path):
    # A Python that sees this package alone, as after an installation without extras.
    code = (
        "import sys, pathlib\n"
        "import napari_ebsd_phase\n"
        "sys.path[:] = [path for path in sys.path if 'site-packages' not in path]\n"
        "from napari_ebsd_phase._cli.view import check_screen\n"
        "check_screen()"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert "pip install 'napari[all]'" in done.stderr
