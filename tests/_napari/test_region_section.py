# SPDX-License-Identifier: GPL-3.0-or-later
"""The Region section: whatever is selected is identified as a whole."""

from __future__ import annotations

import json

import numpy as np
import pytest
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_ebsd_phase import load_scan
from napari_ebsd_phase._napari.layers import add_scan as show_scan
from napari_ebsd_phase._napari.layers import layer_for
from napari_ebsd_phase.regions import identify
from napari_ebsd_phase.samples import sample_path

from ._canvas import LEFT, Canvas, move_mouse
from ._clicks import LONG, choose, classify, click, dock_in, open_sample, open_section, texts

PART = (slice(10, 14), slice(20, 26))


@pytest.fixture
def viewer(make_napari_viewer):
    return make_napari_viewer(show=True)


@pytest.fixture
def dock(viewer, qtbot):
    """A dock about the two-phase sample, its Region section open."""
    dock = dock_in(viewer, qtbot)
    show_scan(viewer, load_scan(sample_path("two_phase")))
    open_section(dock.region)
    return dock


def draw(viewer, part=PART, kind="rectangle"):
    """A shape around some rows and columns, in a layer with another scale than the map's."""
    step = viewer.layers[0].scale
    corners = np.array([[s.start - 0.5 for s in part], [s.stop - 0.5 for s in part]]) * step
    return viewer.add_shapes([corners], shape_type=kind)


def run(dock, qtbot):
    # What is selected is told a moment after it has changed.
    qtbot.waitUntil(dock.region.identify_button.isEnabled)
    click(dock.region.identify_button)
    assert dock.region.cancel_button.isVisible()
    qtbot.waitUntil(lambda: not dock.region.cancel_button.isVisible(), timeout=LONG)
    return dock.region.result


def test_nothing_selected_says_what_can_be(dock, viewer, qtbot):
    assert dock.region.chosen.text().startswith("Nothing is selected: draw a shape")
    assert not dock.region.identify_button.isEnabled()

    shapes = draw(viewer)
    assert dock.region.identify_button.isEnabled()
    shapes.data = []

    qtbot.waitUntil(lambda: not dock.region.identify_button.isEnabled())


def test_the_whole_answer_is_in_view(dock, viewer, qtbot):
    dock.window().resize(1366, 600)
    open_section(dock.layers)
    draw(viewer)
    run(dock, qtbot)

    answer = dock.region.answer
    assert answer.height() < dock.height()
    qtbot.waitUntil(lambda: answer.visibleRegion().boundingRect().height() == answer.height())


def test_a_rectangle_is_identified_as_the_core_does(dock, viewer, qtbot, network):
    draw(viewer)
    assert "24 patterns" in dock.region.chosen.text()
    result = run(dock, qtbot)

    with load_scan(sample_path("two_phase")) as scan:
        expected = identify(scan, network, PART, prior="known")
    np.testing.assert_allclose(
        result.bravais_probabilities, expected.bravais_probabilities, rtol=1e-3, atol=1e-5
    )
    answer = dock.region.answer
    assert answer.isVisible()
    assert answer.name.text().startswith(expected.label)
    assert "24 patterns read" in answer.evidence.text()
    assert "next best" in answer.sure.text()
    assert [bar.name for bar in answer.bars.bars] == [
        name for name, _ in expected.ranked(expected.level, 5)
    ]
    for note in expected.notes:
        assert note in answer.notes.text()

    choose(answer.levels, "Bravais")
    best, probability = expected.ranked("bravais_lattice", 1)[0]
    assert answer.bars.bars[0].name == best
    assert answer.bars.bars[0].probability == pytest.approx(probability, rel=1e-3)

    click(answer.copy_button)
    copied = json.loads(QApplication.clipboard().text())
    assert copied["patterns"] == 24
    assert copied["label"] == expected.label


def test_moving_a_shape_changes_what_is_selected(dock, viewer, qtbot):
    shapes = draw(viewer)
    assert "24 patterns" in dock.region.chosen.text()
    step = viewer.layers[0].scale

    shapes.data = [np.array([[-0.5, -0.5], [1.5, 2.5]]) * step]

    qtbot.waitUntil(lambda: "6 patterns" in dock.region.chosen.text())
    shapes.add_rectangles(np.array([[9.5, 9.5], [10.5, 10.5]]) * step)
    qtbot.waitUntil(lambda: "2 shapes" in dock.region.chosen.text())
    shapes.selected_data = {1}
    qtbot.waitUntil(lambda: "1 pattern." in dock.region.chosen.text())


def test_painted_pixels_are_identified(dock, viewer, qtbot):
    mean = viewer.layers[0]
    painted = viewer.add_labels(
        np.zeros(dock.session.shape, np.uint8), scale=mean.scale, units=mean.units, name="Strange"
    )
    assert dock.region.chosen.text().startswith("No pixel of 'Strange'")
    painted.selected_label = 3
    painted.paint((30, 40), 3)
    count = int(np.count_nonzero(painted.data == 3))
    qtbot.waitUntil(lambda: f"{count} patterns" in dock.region.chosen.text())

    result = run(dock, qtbot)

    assert result.patterns == count
    assert "label 3 painted in 'Strange'" in dock.region.answer.evidence.text()


def test_the_label_that_is_selected_in_a_map_is_identified(viewer, qtbot, notices):
    dock = dock_in(viewer, qtbot)
    open_sample(dock, "nickel", qtbot)
    classify(dock, qtbot)
    click(dock.layers.button("crystal_system"))
    layer = layer_for(viewer, dock.session, "crystal_system")
    assert viewer.layers.selection.active is layer
    value = int(layer.data[layer.data > 0][0])
    layer.selected_label = value
    open_section(dock.region)
    name = layer.features["name"][layer.features["index"] == value].iloc[0]
    count = int(np.count_nonzero(layer.data == value))

    result = run(dock, qtbot)

    assert result.patterns == count
    assert f"all patterns of {name} (Crystal system)" in dock.region.answer.evidence.text()
    assert texts(notices) == []


def test_painted_pixels_of_another_map_are_refused(dock, viewer):
    viewer.add_labels(np.ones((5, 5), np.uint8), name="small")

    assert "'small' has 5 x 5 pixels, the map 60 x 80" in dock.region.chosen.text()


def test_a_region_can_be_cancelled(dock, viewer, qtbot):
    draw(viewer, (slice(0, 60), slice(0, 80)))
    click(dock.region.identify_button)
    qtbot.waitUntil(lambda: dock.region.progress.maximum() > 0, timeout=LONG)
    click(dock.region.cancel_button)
    qtbot.waitUntil(lambda: not dock.region.cancel_button.isVisible(), timeout=LONG)

    # What was read until then is an answer, too, and says so.
    assert dock.region.identify_button.isEnabled()
    assert dock.region.result.used <= 500


def test_removing_the_map_while_it_is_identified_is_quiet(dock, viewer, qtbot, notices):
    import threading

    draw(viewer, (slice(0, 60), slice(0, 80)))
    notices.clear()
    click(dock.region.identify_button)
    viewer.layers.clear()

    assert not dock.region.cancel_button.isVisible()
    qtbot.waitUntil(
        lambda: not any(t.name == "ebsd-phase" for t in threading.enumerate()), timeout=LONG
    )
    assert texts(notices) == []
    assert not dock.region.answer.isVisible()


def test_a_button_lets_one_draw_on_the_map_without_a_word_from_napari(dock, viewer, qtbot, notices):
    click(dock.region.draw_buttons["add_rectangle"])
    (layer,) = [layer for layer in viewer.layers if layer.name == "patterns: Region"]
    map_layer = viewer.layers[0]
    assert layer.mode == "add_rectangle"
    assert layer.units == map_layer.units
    np.testing.assert_allclose(layer.scale, map_layer.scale)

    corners = np.array([[s.start - 0.5 for s in PART], [s.stop - 0.5 for s in PART]])
    layer.add_rectangles([corners])
    qtbot.waitUntil(lambda: "24 patterns" in dock.region.chosen.text())
    click(dock.region.draw_buttons["add_polygon"])

    assert layer.mode == "add_polygon"
    assert viewer.layers.selection.active is layer
    assert [other.name for other in viewer.layers].count(layer.name) == 1
    assert not notices


def test_a_polygon_drawn_with_the_mouse_is_identified(dock, viewer, qtbot):
    canvas, session = Canvas(viewer, dock), dock.session
    click(dock.region.draw_buttons["add_polygon"])
    corners = [(4, 4), (4, 16), (12, 16), (12, 4)]
    for row, col in corners:
        point = canvas.point(session, row, col)
        move_mouse(canvas.widget, point)
        canvas.click(session, row, col)
        qtbot.wait(350)  # two clicks in less time are a double click
    QTest.mouseDClick(canvas.widget, LEFT, pos=canvas.point(session, *corners[-1]))

    (layer,) = [layer for layer in viewer.layers if layer.name == "patterns: Region"]
    # The tool is put down, so that the next click asks for a pattern.
    qtbot.waitUntil(lambda: layer.mode == "pan_zoom")
    assert layer.selected_data == {0}
    np.testing.assert_allclose(layer.data[0], corners, atol=0.5)
    qtbot.waitUntil(lambda: dock.region.identify_button.isEnabled())
    result = run(dock, qtbot)
    assert 80 < result.patterns < 130
    assert "the shape in 'patterns: Region'" in dock.region.answer.evidence.text()
