# SPDX-License-Identifier: GPL-3.0-or-later
"""Several data sets in one window: the one that was opened or chosen last is seen."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from qtpy.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtOpenGLWidgets import QOpenGLWidget
from qtpy.QtWidgets import QApplication

from napari_ebsd_phase._napari.arrange import bring_forward
from napari_ebsd_phase._napari.draw_region import draw_region
from napari_ebsd_phase._napari.layers import layer_for
from napari_ebsd_phase._napari.pattern_dock import PatternDock
from napari_ebsd_phase._napari.pattern_marker import MARKER_NAME
from napari_ebsd_phase._napari.session import active_session, role_of, session_of, sessions
from napari_ebsd_phase.samples import sample_path

from ._clicks import LONG, choose, classify, dock_in, open_sample, open_section, texts

PLUGIN = "napari-ebsd-phase"


@pytest.fixture
def viewer(make_napari_viewer):
    return make_napari_viewer(show=True)


@pytest.fixture
def dock(viewer, qtbot):
    return dock_in(viewer, qtbot)


def seen(viewer) -> list[tuple[str, str]]:
    return [(session_of(x).name, role_of(x)) for x in viewer.layers if x.visible and session_of(x)]


def fills_the_canvas(viewer, session) -> bool:
    """Whether the middle of the map is in the middle, and it is as large as fits."""
    size, step = np.array(session.shape), np.array(session.step)
    camera, canvas = viewer.scene.camera, viewer.canvas.size
    share = np.max(size * step * camera.zoom / canvas)
    middle = np.allclose(camera.center[-2:], (size - 1) / 2 * step)
    return bool(middle and 0.9 < share < 1)


def test_a_sample_opened_second_is_seen_at_once(viewer, qtbot, notices):
    viewer.open_sample(PLUGIN, "two_phase")
    (steel,) = sessions(viewer)
    qtbot.waitUntil(lambda: fills_the_canvas(viewer, steel))

    viewer.open_sample(PLUGIN, "nickel")

    nickel = sessions(viewer)[-1]
    qtbot.waitUntil(lambda: fills_the_canvas(viewer, nickel))
    assert seen(viewer) == [("nickel", "mean_intensity")]
    assert texts(notices)[-1].startswith("Hidden: two_phase; choose it in the Scan section")


def test_a_hidden_layer_is_not_the_selected_one(viewer, qtbot):
    viewer.open_sample(PLUGIN, "nickel")

    (nickel,) = sessions(viewer)
    assert not layer_for(viewer, nickel, "vendor_phases").visible
    qtbot.waitUntil(lambda: role_of(viewer.layers.selection.active) == "mean_intensity")


def test_the_dock_shows_one_data_set_and_brings_back_another(viewer, dock, qtbot):
    open_sample(dock, "two_phase", qtbot)
    steel = dock.session
    draw_region(viewer, steel, "pan_zoom")
    assert not dock.scan.data_sets.isVisible()

    open_sample(dock, "nickel", qtbot)
    nickel = dock.session
    assert seen(viewer) == [("nickel", "mean_intensity")]
    assert not viewer.layers["two_phase: Region"].visible
    assert fills_the_canvas(viewer, nickel)
    open_section(dock.scan)

    choose(dock.scan.data_sets, "two_phase")

    assert seen(viewer) == [("two_phase", "mean_intensity")]
    assert viewer.layers["two_phase: Region"].visible
    assert fills_the_canvas(viewer, steel)
    assert dock.session is steel
    assert dock.scan.data_sets.currentText() == "two_phase: 60 × 80 (4,800 patterns)"


def test_a_data_set_comes_back_as_it_was(viewer, dock, qtbot):
    open_sample(dock, "nickel", qtbot)
    nickel = dock.session
    dock.scan.preview_buttons["vendor_phases"].click()
    open_sample(dock, "silicon", qtbot)
    open_section(dock.scan)

    choose(dock.scan.data_sets, "nickel")

    assert seen(viewer) == [("nickel", "vendor_phases")]
    assert dock.session is nickel


def test_two_data_sets_can_be_shown_together(viewer, dock, qtbot):
    open_sample(dock, "nickel", qtbot)
    open_sample(dock, "silicon", qtbot)

    for layer in viewer.layers:
        layer.visible = role_of(layer) == "mean_intensity"

    assert seen(viewer) == [("nickel", "mean_intensity"), ("silicon", "mean_intensity")]


def test_with_its_layers_a_data_set_leaves_the_list(viewer, dock, qtbot):
    open_sample(dock, "nickel", qtbot)
    open_sample(dock, "silicon", qtbot)
    open_section(dock.scan)
    assert dock.scan.data_sets.isVisible()

    for layer in [layer for layer in viewer.layers if session_of(layer).name == "silicon"]:
        viewer.layers.remove(layer)

    assert not dock.scan.data_sets.isVisible()


def test_a_file_that_is_dropped_on_the_window_opens(viewer, dock, qtbot, tmp_path):
    open_sample(dock, "two_phase", qtbot)
    path = shutil.copy(sample_path("nickel"), tmp_path / "grain.h5oina")
    canvas = dock.window().findChild(QOpenGLWidget)
    carried = QMimeData()
    carried.setUrls([QUrl.fromLocalFile(str(path))])
    copy, left, no_key = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton, Qt.KeyboardModifier(0)
    place = QPoint(50, 50)
    target = canvas
    while not target.acceptDrops():
        target = target.parentWidget()

    enter = QDragEnterEvent(place, copy, carried, left, no_key)
    QApplication.sendEvent(target, enter)
    assert enter.isAccepted()
    QApplication.sendEvent(target, QDropEvent(QPointF(place), copy, carried, left, no_key))

    qtbot.waitUntil(lambda: active_session(viewer).name == "grain", timeout=LONG)
    qtbot.waitUntil(lambda: fills_the_canvas(viewer, active_session(viewer)))
    assert seen(viewer) == [("grain", "mean_intensity")]
    assert "3 × 3" in dock.scan._facts["Map"].text()


def test_the_marker_of_a_pixel_goes_with_its_map(viewer, dock, qtbot):
    pattern = PatternDock(viewer)
    viewer.window.add_dock_widget(pattern, name="EBSD pattern", area="right")
    open_sample(dock, "silicon", qtbot)
    silicon = dock.session
    pattern.show_pixel(silicon, 0, 1)
    qtbot.waitUntil(lambda: MARKER_NAME in viewer.layers)

    open_sample(dock, "nickel", qtbot)
    qtbot.waitUntil(lambda: not marked(viewer))

    bring_forward(viewer, silicon)
    qtbot.waitUntil(lambda: marked(viewer) == [[0, 1]])


def test_the_darkest_pattern_of_a_map_is_not_as_black_as_the_canvas(viewer, dock, qtbot):
    open_sample(dock, "silicon", qtbot)

    layer = layer_for(viewer, dock.session, "mean_intensity")

    low, high = layer.contrast_limits
    assert high == pytest.approx(layer.data.max())
    assert (layer.data.min() - low) / (high - low) == pytest.approx(0.2)


def test_the_colour_bar_of_a_preview_goes_when_names_come(viewer, dock, qtbot):
    open_sample(dock, "nickel", qtbot)
    dock.scan.preview_buttons["quality"].click()
    qtbot.waitUntil(lambda: layer_for(viewer, dock.session, "quality") is not None, timeout=LONG)
    qtbot.waitUntil(lambda: not dock.scan.busy_now)

    classify(dock, qtbot)

    assert not layer_for(viewer, dock.session, "quality").visible
    assert layer_for(viewer, dock.session, "label").visible


def marked(viewer) -> list[list[int]]:
    if MARKER_NAME not in viewer.layers or not viewer.layers[MARKER_NAME].visible:
        return []
    squares = np.round(viewer.layers[MARKER_NAME].data).astype(int)
    return np.unique(squares, axis=0).tolist()  # a bright square on a dark one
