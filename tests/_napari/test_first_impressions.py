# SPDX-License-Identifier: GPL-3.0-or-later
"""What new users met: text cut off, buttons without effect, layers that shine through."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from PIL import Image
from qtpy.QtWidgets import QApplication, QPushButton

from napari_ebsd_phase._napari.compare_panel import ROLE
from napari_ebsd_phase._napari.layers import add_result, add_scan, layer_for
from napari_ebsd_phase._napari.session import MapSession
from napari_ebsd_phase.scan import load_scan

from .._vendor_maps import ours
from ._clicks import LONG, answer, choose, click, dock_in, open_section, texts


@pytest.fixture
def viewer(make_napari_viewer):
    return make_napari_viewer(show=True)


@pytest.fixture
def dock(viewer, qtbot):
    return dock_in(viewer, qtbot)


@pytest.fixture
def session(viewer, dock) -> MapSession:
    """A result whose pattern file is not there."""
    session = MapSession(phase_map=ours(), name="steel")
    add_result(viewer, session)
    return session


def test_with_nothing_open_there_is_no_list_of_data_sets(dock):
    assert dock.scan.empty.isVisible()
    assert not dock.scan.data_sets.isVisible()


def test_words_keep_their_height_after_an_export(dock, session, qtbot, tmp_path):
    for section in dock.sections:
        section.set_open(True)
    figure = dock.export.format.itemText(dock.export.format.count() - 1)
    choose(dock.export.format, figure)
    click(dock.export.export_button)
    answer(dock.export, tmp_path / "steel.png", qtbot)
    qtbot.waitUntil(dock.export.folder_button.isVisible, timeout=LONG)
    keeps = dock.export.keeps
    qtbot.waitUntil(lambda: keeps.height() >= keeps.heightForWidth(keeps.width()))


def test_compare_shows_a_layer_that_another_level_has_hidden(dock, viewer, session, qtbot):
    open_section(dock.layers)
    panel = dock.layers.compare
    click(panel.button)
    qtbot.waitUntil(lambda: layer_for(viewer, session, ROLE) is not None, timeout=LONG)
    qtbot.waitUntil(panel.button.isEnabled)
    panel.dialog.close()
    click(dock.layers.button("label"))
    assert not layer_for(viewer, session, ROLE).visible

    click(panel.button)
    assert layer_for(viewer, session, ROLE).visible
    qtbot.waitUntil(panel.button.isEnabled)
    panel.dialog.close()


def test_a_comparison_that_is_cancelled_shows_nothing(dock, viewer, session, qtbot):
    open_section(dock.layers)
    panel = dock.layers.compare
    panel.button.click()
    (cancel,) = [b for b in panel.findChildren(QPushButton) if b.text() == "Cancel"]
    cancel.click()
    qtbot.waitUntil(panel.button.isEnabled)
    assert layer_for(viewer, session, ROLE) is None
    assert not panel.dialog.isVisible()


def test_vendor_phases_do_not_shine_through_hidden_labels(dock, viewer, nickel_file, qtbot):
    session = add_scan(viewer, load_scan(nickel_file))
    click(dock.scan.preview_buttons["vendor_phases"])
    vendor = layer_for(viewer, session, "vendor_phases")
    assert vendor.visible
    click(dock.classify.start_button)
    qtbot.waitUntil(lambda: not dock.classify.job.run.is_running, timeout=LONG)
    assert not vendor.visible


def test_who_stops_reading_hears_no_more_of_the_file(dock, qtbot, tmp_path, notices):
    folder = tmp_path / "many"
    folder.mkdir()
    picture = np.random.default_rng(0).integers(0, 255, (48, 48), dtype=np.uint8)
    for number in range(400):
        Image.fromarray(picture).save(folder / f"{number:03d}.png")
    click(dock.scan.open_bar.folder_button)
    answer(dock.scan.open_bar, folder, qtbot)
    assert dock.scan.busy_now
    (reading,) = [thread for thread in threading.enumerate() if thread.name == "ebsd-phase"]
    click(dock.scan.cancel_button)
    assert not dock.scan.busy_now
    reading.join()
    QApplication.processEvents()
    assert texts(notices) == []
    assert not dock.scan.facts.isVisible()
