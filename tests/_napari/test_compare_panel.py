# SPDX-License-Identifier: GPL-3.0-or-later
"""The map beside the vendor's phases: one click for a layer and a table."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from napari.layers import Labels

from napari_ebsd_phase._napari.compare_panel import ROLE
from napari_ebsd_phase._napari.layers import add_result, layer_for
from napari_ebsd_phase._napari.session import MapSession
from napari_ebsd_phase.merge import HEADINGS, VERDICTS, compare

from .._vendor_maps import EXPECTED, ours
from ._clicks import LONG, answer, click, dock_in, open_section


@pytest.fixture
def viewer(make_napari_viewer):
    return make_napari_viewer(show=True)


def show(viewer, **attributes) -> MapSession:
    """A result whose pattern file is not there, in a viewer."""
    session = MapSession(phase_map=ours(**attributes), name="steel")
    add_result(viewer, session)
    return session


@pytest.fixture
def dock(viewer, qtbot):
    """A dock with its Layers section open."""
    dock = dock_in(viewer, qtbot)
    open_section(dock.layers)
    return dock


def compared(dock, viewer, session, qtbot) -> Labels:
    """Press the button and wait for the layer."""
    click(dock.layers.compare.button)
    qtbot.waitUntil(lambda: layer_for(viewer, session, ROLE) is not None, timeout=LONG)
    return layer_for(viewer, session, ROLE)


def test_one_click_shows_where_both_agree(dock, viewer, qtbot):
    session = show(viewer)
    layer = compared(dock, viewer, session, qtbot)
    np.testing.assert_array_equal(layer.data.ravel(), EXPECTED)
    assert layer.features["name"].tolist() == list(VERDICTS)
    assert layer.features["patterns"].tolist() == np.bincount(EXPECTED).tolist()
    assert not layer.editable
    assert tuple(layer.scale) == session.step
    shown = layer.colormap.map(np.array([0, 3]))
    assert shown[0, 3] == 0  # not classified
    assert shown[1] == pytest.approx([198 / 255, 40 / 255, 40 / 255, 1], abs=0.01)
    status = layer.get_status((0, 4), view_direction=None, dims_displayed=[0, 1])
    assert "another symmetry" in status["coordinates"]


def test_the_table_is_that_of_the_comparison_and_can_be_saved(dock, viewer, qtbot, tmp_path):
    session = show(viewer)
    compared(dock, viewer, session, qtbot)
    dialog = dock.layers.compare.dialog
    qtbot.waitUntil(dialog.save_button.isEnabled)
    assert dialog.isVisible()
    assert dialog.counts["another symmetry"].text() == "another symmetry: 4"
    table = compare(ours()).table
    assert dialog.table.rowCount() == len(table)
    assert dialog.table.columnCount() == len(HEADINGS)
    assert [dialog.table.item(0, i).text() for i in (0, 1, 3, 5)] == ["nickel", "m-3m", "m-3m", "2"]
    click(dialog.save_button)
    answer(dialog, tmp_path / "agreement.csv", qtbot)
    qtbot.waitUntil((tmp_path / "agreement.csv").exists)
    with (tmp_path / "agreement.csv").open(newline="") as file:
        assert sum(int(row["points"]) for row in csv.DictReader(file)) == 16
    dialog.close()


def test_another_threshold_draws_the_layer_anew(dock, viewer, qtbot):
    session = show(viewer)
    layer = compared(dock, viewer, session, qtbot)
    dock.layers.compare.dialog.close()
    dock.layers.threshold.setValue(0.99)
    undecided = list(VERDICTS).index("only the vendor names it")
    qtbot.waitUntil(lambda: np.count_nonzero(layer.data == undecided) == 13, timeout=LONG)
    assert not (layer.data == list(VERDICTS).index("agree")).any()
    assert layer_for(viewer, session, ROLE) is layer
    # It would hide a level that is asked for.
    click(dock.layers.button("laue_group"))
    assert not layer.visible
    # Once it is removed nothing is compared again until somebody asks.
    viewer.layers.remove(layer)
    qtbot.waitUntil(dock.layers.compare.button.isEnabled)
    dock.layers.threshold.setValue(0.7)
    assert layer_for(viewer, session, ROLE) is None
    assert compared(dock, viewer, session, qtbot) is not layer


def test_without_phases_of_a_vendor_there_is_nothing_to_press(dock, viewer, qtbot):
    assert not dock.layers.compare.isVisible()
    show(viewer, crystal_map=None)
    qtbot.waitUntil(lambda: dock.session is not None)
    assert not dock.layers.compare.isVisible()
    show(viewer)
    qtbot.waitUntil(dock.layers.compare.isVisible)
