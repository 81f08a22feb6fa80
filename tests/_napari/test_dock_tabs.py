# SPDX-License-Identifier: GPL-3.0-or-later
"""Docks that are opened from the menu, one by one, on the screen of a laptop."""

from __future__ import annotations

import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDockWidget

PLUGIN = "napari-ebsd-phase"
MAPPING, LEGEND = "EBSD phase mapping", "EBSD phase legend"


@pytest.fixture
def viewer(make_napari_viewer):
    return make_napari_viewer(show=True)


def open_dock(viewer, name: str, qtbot) -> QDockWidget:
    """As the menu *Plugins > EBSD phase* does."""
    frame, _ = viewer.window.add_plugin_dock_widget(PLUGIN, name)
    qtbot.waitUntil(frame.isVisible)
    qtbot.wait(50)  # they are put together in the next turn of the event loop
    return frame


def test_docks_opened_one_by_one_share_their_place(viewer, qtbot):
    mapping = open_dock(viewer, MAPPING, qtbot)
    legend = open_dock(viewer, LEGEND, qtbot)

    assert mapping.parent().tabifiedDockWidgets(mapping) == [legend]
    assert not legend.visibleRegion().isEmpty()
    assert mapping.visibleRegion().isEmpty()


def test_a_dock_that_floats_is_left_alone(viewer, qtbot):
    mapping = open_dock(viewer, MAPPING, qtbot)
    mapping.setFloating(True)
    legend = open_dock(viewer, LEGEND, qtbot)

    assert mapping.parent().tabifiedDockWidgets(legend) == []


def test_a_dock_on_the_other_side_is_left_alone(viewer, qtbot):
    mapping = open_dock(viewer, MAPPING, qtbot)
    mapping.parent().addDockWidget(Qt.DockWidgetArea.LeftDockWidgetArea, mapping)
    legend = open_dock(viewer, LEGEND, qtbot)

    assert mapping.parent().tabifiedDockWidgets(legend) == []


def test_a_dock_that_is_moved_later_stays_there(viewer, qtbot):
    mapping = open_dock(viewer, MAPPING, qtbot)
    legend = open_dock(viewer, LEGEND, qtbot)
    window = mapping.parent()
    window.addDockWidget(Qt.DockWidgetArea.LeftDockWidgetArea, legend)
    window.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, legend)
    legend.hide()
    legend.show()
    qtbot.wait(50)

    assert window.tabifiedDockWidgets(mapping) == []
