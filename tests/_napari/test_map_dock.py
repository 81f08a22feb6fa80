# SPDX-License-Identifier: GPL-3.0-or-later
"""The map dock as a whole: from nothing to a map by clicks, two scans at once, and a clean end."""

from __future__ import annotations

import gc
import re
import subprocess
import sys
import threading
import weakref

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QComboBox, QLabel, QPushButton

from napari_ebsd_phase import classify as classify_all
from napari_ebsd_phase import load_scan
from napari_ebsd_phase._napari.layers import MAP_ROLES, layer_for
from napari_ebsd_phase._napari.session import sessions
from napari_ebsd_phase.samples import sample_path

from ._clicks import LONG, classify, click, dock_in, open_sample, open_section, texts


@pytest.fixture
def viewer(make_napari_viewer):
    return make_napari_viewer(show=True)


@pytest.fixture
def dock(viewer, qtbot):
    dock = dock_in(viewer, qtbot)
    yield dock
    for job in list(dock.classify._jobs.values()):
        job.run.cancel()
        assert job.run.wait(60)


def mnemonic(text: str) -> str:
    found = re.search(r"&(\w)", text.replace("&&", ""))
    return found[1].upper() if found else ""


def our_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("ebsd-phase")]


def test_an_empty_dock_says_how_to_begin(dock):
    assert dock.session is None
    assert dock.scan.empty.isVisible()
    assert dock.scan.empty.text() == "Open an EBSD file or a sample to begin"
    assert [section.isExpanded() for section in dock.sections] == [True, False, False, False, False]
    assert not dock.classify.start_button.isEnabled()
    assert not dock.export.export_button.isEnabled()


def test_a_dock_is_made_without_the_libraries_that_take_seconds():
    program = (
        "import sys, napari_ebsd_phase._napari.map_dock\n"
        "print([m for m in ('torch', 'kikuchipy', 'orix') if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert found.stdout.strip() == "[]", found.stderr


def inside(widget, *kinds) -> list:
    """Widgets of some kinds; PySide6 looks for one kind at a time only."""
    return [child for kind in kinds for child in widget.findChildren(kind)]


def test_the_dock_fits_a_small_screen(dock, viewer, qtbot):
    open_sample(dock, "nickel", qtbot)
    for section in dock.sections:
        open_section(section)
    viewer.window._qt_window.resize(1366, 768)

    def reaching_out() -> list:
        return [
            widget
            for widget in inside(dock, QPushButton, QComboBox, QLabel)
            if widget.isVisible()
            and widget.mapTo(dock, widget.rect().topRight()).x() >= dock.width()
        ]

    qtbot.waitUntil(lambda: reaching_out() == [])
    assert dock.width() <= 380
    assert dock.minimumSizeHint().width() <= 340
    assert dock.minimumSizeHint().height() <= 400


def test_every_key_opens_one_thing(dock, viewer, qtbot):
    open_sample(dock, "nickel", qtbot)
    for section in dock.sections:
        open_section(section)
    menus = [action.text() for action in viewer.window._qt_window.menuBar().actions()]
    widgets = inside(dock, QPushButton, QLabel)
    keys = [mnemonic(text) for text in menus]
    keys += [mnemonic(widget.text()) for widget in widgets if widget.isVisible()]
    keys = [key for key in keys if key]

    assert sorted(set(keys)) == sorted(keys)
    assert {"S", "C", "Y", "R", "E"} <= set(keys)


def test_sections_open_and_close_with_the_keyboard(dock):
    button = dock.region.toggleButton()
    button.setFocus()
    QTest.keyClick(button, Qt.Key.Key_Space)
    assert dock.region.isExpanded()
    assert dock.region.chosen.isVisible()

    QTest.keyClick(button, Qt.Key.Key_Space)
    assert not dock.region.isExpanded()
    assert not dock.region.chosen.isVisible()


def test_everything_that_can_be_pressed_says_what_it_does(dock, qtbot):
    open_sample(dock, "nickel", qtbot)
    classify(dock, qtbot)
    for section in dock.sections:
        open_section(section)
    silent = [
        widget.text() if isinstance(widget, QPushButton) else widget.objectName()
        for widget in inside(dock, QPushButton, QComboBox)
        if widget.isVisible() and not widget.toolTip()
    ]

    assert silent == []


def test_from_the_plugin_menu_to_a_map_by_clicks(viewer, qtbot):
    # napari hands a proxy of the viewer to a widget that it makes itself.
    _, dock = viewer.window.add_plugin_dock_widget("napari-ebsd-phase", "EBSD phase mapping")
    open_sample(dock, "nickel", qtbot)
    assert [section.isExpanded() for section in dock.sections] == [True, True, False, False, False]

    classify(dock, qtbot)

    session = dock.session
    assert dock.classify.job.end == "done"
    assert session.phase_map.done.all()
    assert layer_for(viewer, session, "label").visible
    qtbot.waitUntil(
        lambda: all(layer_for(viewer, session, role) for role in MAP_ROLES), timeout=LONG
    )
    assert not any(layer_for(viewer, session, role).visible for role in MAP_ROLES[:-1])
    assert [section.isExpanded() for section in dock.sections] == [False, False, True, False, False]
    with load_scan(sample_path("nickel")) as scan:
        from napari_ebsd_phase import load_classifier

        expected = classify_all(scan, load_classifier(device="cpu"), prior="known")
    np.testing.assert_allclose(
        session.phase_map.point_group_probabilities,
        expected.point_group_probabilities,
        rtol=1e-3,
        atol=1e-5,
    )


def test_cancel_keeps_what_is_done_and_resume_does_the_rest(dock, qtbot):
    open_sample(dock, "two_phase", qtbot)
    click(dock.classify.start_button)
    qtbot.waitUntil(lambda: dock.classify.job.done > 0, timeout=LONG)
    assert dock.classify.progress.isVisible()
    assert "4,800 patterns" in dock.classify.state.text()
    click(dock.classify.cancel_button)

    session = dock.session
    done = session.phase_map.done.copy()
    kept = session.phase_map.point_group_probabilities[done].copy()
    assert dock.classify.job.end == "cancelled"
    assert 0 < done.sum() < done.size
    assert not dock.classify.progress.isVisible()
    assert dock.classify.start_button.text().replace("&", "") == "Resume"
    assert f"{done.sum():,} of 4,800" in dock.classify.state.text()
    assert dock.layers.isExpanded()

    click(dock.classify.start_button)
    qtbot.waitUntil(lambda: not dock.classify.job.run.is_running, timeout=LONG)

    assert dock.classify.job.end == "done"
    assert session.phase_map.done.all()
    np.testing.assert_array_equal(session.phase_map.point_group_probabilities[done], kept)
    assert not dock.classify.start_button.isEnabled()
    assert "All 4,800 patterns" in dock.classify.state.text()


def test_two_scans_lie_side_by_side(dock, viewer, qtbot):
    open_sample(dock, "nickel", qtbot)
    nickel = dock.session
    classify(dock, qtbot)
    open_sample(dock, "two_phase", qtbot)
    duplex = dock.session
    assert sessions(viewer) == [nickel, duplex]
    assert "60 × 80" in dock.scan._facts["Map"].text()
    assert dock.layers.empty.isVisibleTo(dock.layers.body)
    click(dock.classify.start_button)
    qtbot.waitUntil(lambda: dock.classify.job.done > 0, timeout=LONG)

    viewer.layers.selection.active = layer_for(viewer, nickel, "label")

    assert dock.session is nickel
    assert "3 × 3" in dock.scan._facts["Map"].text()
    assert duplex.running
    open_section(dock.classify)
    assert not dock.classify.progress.isVisible()
    assert dock.export.export_button.isEnabled()

    viewer.layers.selection.active = layer_for(viewer, duplex, "label")
    assert dock.session is duplex
    assert dock.classify.progress.isVisible()
    click(dock.classify.cancel_button)
    assert not duplex.running


def test_removing_the_layers_while_it_runs_ends_the_run(dock, viewer, qtbot, notices):
    open_sample(dock, "two_phase", qtbot)
    reference = weakref.ref(dock.session)
    click(dock.classify.start_button)
    qtbot.waitUntil(lambda: dock.classify.job.done > 0, timeout=LONG)

    viewer.layers.clear()

    qtbot.waitUntil(lambda: not our_threads(), timeout=LONG)
    assert dock.session is None
    assert dock.scan.empty.isVisible()
    assert texts(notices) == []
    gc.collect()
    assert reference() is None


def test_closing_the_dock_while_it_runs_ends_the_run_and_keeps_what_is_done(dock, viewer, qtbot):
    open_sample(dock, "two_phase", qtbot)
    session = dock.session
    click(dock.classify.start_button)
    qtbot.waitUntil(lambda: dock.classify.job.done > 0, timeout=LONG)

    viewer.window.remove_dock_widget(dock)

    assert not session.running
    assert session.phase_map.done.any()
    qtbot.waitUntil(lambda: not our_threads(), timeout=LONG)

    # A dock that is opened anew finds the map and goes on with it.
    other = dock_in(viewer, qtbot)
    assert other.session is session
    assert other.classify.start_button.text().replace("&", "") == "Resume"


def test_closing_the_viewer_while_it_runs_is_quiet(viewer, qtbot, notices):
    dock = dock_in(viewer, qtbot)
    open_sample(dock, "two_phase", qtbot)
    click(dock.classify.start_button)
    qtbot.waitUntil(lambda: dock.classify.job.done > 0, timeout=LONG)

    viewer.close()

    qtbot.waitUntil(lambda: not our_threads(), timeout=LONG)
    assert texts(notices) == []


def test_closing_the_viewer_while_a_file_opens_is_quiet(viewer, qtbot, notices):
    dock = dock_in(viewer, qtbot)
    dock.scan.open_bar.menu.actions()[0].trigger()
    assert dock.scan.busy_now

    viewer.close()

    qtbot.waitUntil(lambda: not our_threads(), timeout=LONG)
    assert texts(notices) == []


def test_the_dock_lets_go_of_a_data_set_with_its_layers(dock, viewer, qtbot):
    open_sample(dock, "nickel", qtbot)
    classify(dock, qtbot)
    reference = weakref.ref(dock.session)
    scan = weakref.ref(dock.session.scan)
    # The thread that loaded the network, and the one that classified, hold nothing at their end.
    qtbot.waitUntil(lambda: not our_threads(), timeout=LONG)

    viewer.layers.clear()
    gc.collect()

    assert reference() is None
    assert scan() is None


def test_every_dock_of_the_plugin_menu_follows_the_map(viewer, qtbot):
    # napari hands a proxy of the viewer to widgets that it makes itself, and drops it at once.
    _, dock = viewer.window.add_plugin_dock_widget("napari-ebsd-phase", "EBSD phase mapping")
    _, legend = viewer.window.add_plugin_dock_widget("napari-ebsd-phase", "EBSD phase legend")
    _, pattern = viewer.window.add_plugin_dock_widget("napari-ebsd-phase", "EBSD pattern")
    open_sample(dock, "nickel", qtbot)

    classify(dock, qtbot)

    qtbot.waitUntil(lambda: legend.table.model().rowCount() > 0)
    pattern.show_pixel(dock.session, 1, 1)
    qtbot.waitUntil(lambda: pattern.chosen.view.heat is not None, timeout=60_000)
