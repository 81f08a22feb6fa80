# SPDX-License-Identifier: GPL-3.0-or-later
"""The Layers section: one click to another level, a slider that relabels, the share of each."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_ebsd_phase import load_scan
from napari_ebsd_phase._napari.layers import MAP_ROLES, add_result, layer_for
from napari_ebsd_phase._napari.layers import add_scan as show_scan
from napari_ebsd_phase.labels import label_table
from napari_ebsd_phase.mapping import classify_tiles, empty_map
from napari_ebsd_phase.samples import sample_path

from ._clicks import click, dock_in, open_section

REGION = (slice(4, 24), slice(20, 50))


@pytest.fixture(scope="module")
def part_of_duplex(network):
    """Arrays of a part of the two-phase sample, classified once."""
    with load_scan(sample_path("two_phase")) as scan:
        return list(classify_tiles(scan, network, region=REGION, prior="known"))


@pytest.fixture
def viewer(make_napari_viewer):
    return make_napari_viewer(show=True)


@pytest.fixture
def dock(viewer, qtbot, network, part_of_duplex):
    """A dock about a part of a map."""
    dock = dock_in(viewer, qtbot)
    scan = load_scan(sample_path("two_phase"))
    phase_map = empty_map(scan, network, region=REGION, prior="known")
    for tile in part_of_duplex:
        tile.fill_into(phase_map)
    session = show_scan(viewer, scan)
    session.set_map(phase_map)
    add_result(viewer, session)
    open_section(dock.layers)
    return dock


def shares(dock) -> dict[str, tuple[str, str]]:
    table = dock.layers.table
    cells = [
        [table.item(row, column).text() for column in range(3)] for row in range(table.rowCount())
    ]
    return {name: (area, mean) for name, area, mean in cells}


def test_one_click_shows_another_level(dock, viewer):
    for role in (*MAP_ROLES, "label"):
        click(dock.layers.button(role))

        visible = [r for r in MAP_ROLES if layer_for(viewer, dock.session, r).visible]
        assert visible == [role]
        assert [r for r in MAP_ROLES if dock.layers.button(r).isChecked()] == [role]
        assert viewer.layers.selection.active is layer_for(viewer, dock.session, role)


def test_the_table_tells_the_share_and_probability_of_each_name(dock):
    phase_map = dock.session.phase_map
    rows = phase_map.summary()
    titles = {(label.name, label.level): label.title for label in label_table()}
    expected = {}
    for row in rows:
        name = titles.get((row.label, row.level), "undecided")
        area = "< 0.1 %" if row.fraction < 0.0005 else f"{100 * row.fraction:.1f} %"
        expected[name] = (area, f"{row.mean_probability:.2f}")
    expected["not classified yet"] = ("", "")

    assert shares(dock) == expected
    assert "600 of 4,800 patterns" in dock.layers.note.text()

    click(dock.layers.button("bravais_lattice"))
    index = phase_map.most_probable("bravais_lattice")[0][phase_map.done & phase_map.nameable]
    found = {name for name in shares(dock) if len(name) == 2}
    assert len(found) == len(np.unique(index))


def test_the_slider_labels_anew_without_the_network(dock, viewer, qtbot):
    session = dock.session
    layer = layer_for(viewer, session, "label")
    before = layer.data.copy()
    assert dock.layers.threshold.value() == pytest.approx(session.threshold)

    dock.layers.slider.setFocus()
    QTest.keyClick(dock.layers.slider, Qt.Key.Key_End)
    qtbot.waitUntil(lambda: session.threshold == 1.0)

    assert dock.layers.threshold.value() == 1.0
    assert not session.running
    done = session.phase_map.done
    codes, _ = session.phase_map.label_codes(1.0)
    np.testing.assert_array_equal(layer.data[done], codes[done])
    assert (layer.data != before).any()
    assert "undecided" in shares(dock)

    click(dock.layers.proposed)
    qtbot.waitUntil(lambda: session.threshold == session.phase_map.provenance["threshold"])
    np.testing.assert_array_equal(layer.data, before)
    assert not dock.layers.proposed.isEnabled()


def test_a_threshold_that_is_set_elsewhere_is_shown(dock):
    dock.session.set_threshold(0.31)

    assert dock.layers.threshold.value() == pytest.approx(0.31)
    assert dock.layers.slider.value() == 31
    assert dock.session.threshold == 0.31


def test_numbers_of_an_image_are_told_in_a_sentence(dock):
    click(dock.layers.button("confidence"))
    values = dock.session.cache.confidence[dock.session.phase_map.done]

    assert not dock.layers.table.isVisible()
    assert f"median {np.median(values):.2f}" in dock.layers.note.text()


def test_the_eye_of_the_layer_list_moves_the_button(dock, viewer):
    layer_for(viewer, dock.session, "label").visible = False
    layer_for(viewer, dock.session, "laue_group").visible = True

    assert dock.layers.button("laue_group").isChecked()
    assert dock.layers.role == "laue_group"


def test_without_a_map_the_section_says_what_to_do(viewer, qtbot):
    dock = dock_in(viewer, qtbot)
    open_section(dock.layers)

    assert dock.layers.empty.isVisible()
    assert not dock.layers.slider.isVisible()
    assert not dock.layers.button("label").isVisible()


def test_a_threshold_may_be_typed(dock, qtbot):
    box = dock.layers.threshold
    box.setFocus()
    box.selectAll()
    for key in "0.95":
        QTest.keyClick(box, key)
    QTest.keyClick(box, Qt.Key.Key_Return)

    assert box.value() == pytest.approx(0.95)
    qtbot.waitUntil(lambda: dock.session.threshold == pytest.approx(0.95))
