# SPDX-License-Identifier: GPL-3.0-or-later
"""Zone axes over a pattern: where the file has an orientation, and where they belong."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from PIL import Image
from qtpy.QtCore import QPoint, QPointF, QRectF
from qtpy.QtGui import QColor, QFont, QFontMetricsF, QImage, QPainter
from qtpy.QtWidgets import QApplication

from napari_ebsd_phase import load_scan
from napari_ebsd_phase._napari.explain_worker import Explainer, Question, Request, WarmUp
from napari_ebsd_phase._napari.layers import add_scan
from napari_ebsd_phase._napari.pattern_dock import PatternDock
from napari_ebsd_phase._napari.pattern_view import PatternView
from napari_ebsd_phase._napari.session import MapSession
from napari_ebsd_phase._napari.zone_overlay import ZoneOverlay, lay_out_labels, paint_zones
from napari_ebsd_phase.samples import sample_path
from napari_ebsd_phase.zone_axes import (
    describe,
    find_bands,
    find_zone_axes,
    orientation_from_file,
)

from ._canvas import move_mouse
from ._pictures import pixels_of

LONG = 120_000


@pytest.fixture
def viewer(make_napari_viewer):
    return make_napari_viewer(show=True)


@pytest.fixture
def dock(viewer, qtbot) -> PatternDock:
    dock = PatternDock(viewer)
    viewer.window.add_dock_widget(dock, name="EBSD pattern", area="right")
    qtbot.waitUntil(dock.isVisible)
    return dock


@pytest.fixture(scope="module")
def overlay() -> ZoneOverlay:
    """That of the first pattern of the nickel sample."""
    with load_scan(sample_path("nickel")) as scan:
        known = orientation_from_file(scan, 0, 0)
    catalogue = describe(known.phase)
    return ZoneOverlay(
        find_zone_axes(catalogue, known.rotation, known.geometry),
        find_bands(catalogue, known.rotation, known.geometry),
        "ni",
    )


def open_sample(viewer, name) -> MapSession:
    return add_scan(viewer, load_scan(sample_path(name)))


def show(dock, session, row, col, qtbot) -> None:
    """Choose a pixel and wait until all is said of it."""
    dock.show_pixel(session, row, col)

    def is_there() -> bool:
        answer = dock.chosen.answer
        return (
            not dock.busy
            and dock.chosen.place == dock.place
            and answer is not None
            and (answer.zones is not None or bool(answer.no_zones))
        )

    qtbot.waitUntil(is_there, timeout=LONG)


def test_the_switch_draws_the_axes_of_the_orientation_in_the_file(viewer, dock, qtbot):
    session = open_sample(viewer, "nickel")
    show(dock, session, 1, 2, qtbot)
    button, view = dock.controls.zones_button, dock.chosen.view
    assert button.isEnabled()
    assert not button.isChecked()
    before = pixels_of(view.picture())

    button.click()
    after = pixels_of(view.picture())
    assert (before != after).any()
    known = orientation_from_file(session.scan, 1, 2)
    expected = find_zone_axes(known.phase, known.rotation, known.geometry, max_index=4, min_bands=3)
    np.testing.assert_allclose(view.zones.axes.xy, expected.xy)
    assert view.zones.phase == "ni"
    # A white ring, or what of it lies on the frame, around every axis.
    scale = len(after) / 60
    white = (after != before).any(axis=-1) & (after.min(axis=-1) > 220)
    for col, row in ((expected.xy + 0.5) * scale).astype(int):
        around = white[max(row - 10, 0) : row + 10, max(col - 10, 0) : col + 10]
        assert around.sum() > 10
    assert white.mean() < 0.05

    button.click()
    np.testing.assert_array_equal(pixels_of(view.picture()), before)


def test_without_an_orientation_the_switch_says_why(viewer, dock, qtbot):
    nickel, steel = open_sample(viewer, "nickel"), open_sample(viewer, "two_phase")
    button, view = dock.controls.zones_button, dock.chosen.view
    assert not button.isEnabled()
    assert "click a pixel" in button.toolTip()
    show(dock, nickel, 0, 0, qtbot)
    button.click()

    show(dock, steel, 3, 3, qtbot)
    assert not button.isEnabled()
    assert "no orientations" in button.toolTip()
    assert view.zones is None
    # It was switched on, and is so again where it can be.
    show(dock, nickel, 2, 2, qtbot)
    assert button.isEnabled()
    assert button.isChecked()
    assert view.zones is not None
    assert "orientation that the file has" in button.toolTip()


def test_a_pinned_pattern_keeps_its_own_axes(viewer, dock, qtbot):
    session = open_sample(viewer, "nickel")
    show(dock, session, 0, 0, qtbot)
    dock.controls.zones_button.click()
    dock.pin_button.click()
    show(dock, session, 1, 1, qtbot)
    pinned, chosen = (panel.view.zones.axes.labels.tolist() for panel in dock.panels())
    assert pinned != chosen
    known = orientation_from_file(session.scan, 0, 0)
    axes = find_zone_axes(known.phase, known.rotation, known.geometry, max_index=4, min_bands=3)
    assert pinned == axes.labels.tolist()


def test_the_saved_picture_has_the_axes_when_they_are_on(viewer, dock, tmp_path, qtbot):
    show(dock, open_sample(viewer, "nickel"), 0, 1, qtbot)
    off = dock.save_button.save_picture(tmp_path / "off.png")
    dock.controls.zones_button.click()
    on = dock.save_button.save_picture(tmp_path / "on.png")
    with Image.open(off) as first, Image.open(on) as second:
        assert first.size == second.size
        assert (np.asarray(first) != np.asarray(second)).mean() > 0.02


def test_the_heat_map_does_not_wait_for_a_crystal_that_is_new():
    with load_scan(sample_path("nickel")) as scan:
        session, explainer = MapSession(scan), Explainer()
        first, second = explainer.answer(Question(1, session, 0, 0, Request()))
        assert first.heat is not None
        assert first.zones is None
        assert first.no_zones == ""
        assert second.heat is first.heat
        assert len(second.zones.axes) > 5
        (known,) = explainer.answer(Question(2, session, 1, 1, Request()))
        assert known.heat is not None
        assert known.zones is not None


def test_a_slow_method_leaves_the_axes_to_be_seen_at_once():
    with load_scan(sample_path("nickel")) as scan:
        session, explainer = MapSession(scan), Explainer()
        for _ in explainer.answer(WarmUp(session)):
            pass
        answers = explainer.answer(Question(1, session, 0, 0, Request(method="occlusion")))
        first = next(answers)
        assert first.heat is None
        assert first.zones is not None
        answers.close()
        (alone,) = explainer.answer(Question(1, session, 0, 0, Request(method=None)))
        assert alone.zones is not None


def test_the_axis_under_the_mouse_is_named(overlay, qtbot):
    view = PatternView()
    qtbot.addWidget(view)
    view.resize(300, 300)
    view.set_pattern(np.zeros((60, 60), np.uint8))
    view.set_zones(overlay)
    view.show()
    number = int(np.abs(overlay.axes.xy - 30).sum(axis=1).argmin())
    col, row = (overlay.axes.xy[number] + 0.5) * 5
    move_mouse(view, QPoint(int(col), int(row)))
    QApplication.processEvents()
    assert "[" not in view.hover_text()
    view.show_zones(True)
    assert view.hover_text().endswith(str(overlay.axes.labels[number]))
    view.set_pattern(np.zeros((60, 60), np.uint8))
    assert view.zones is None
    assert "[" not in view.hover_text()


def test_names_neither_overlap_nor_leave_the_picture_and_the_first_have_the_choice(qtbot):
    font = QFont()
    font.setPixelSize(10)
    metrics, box = QFontMetricsF(font), QRectF(0, 0, 200, 200)
    middles = [QPointF(x, y) for x in range(10, 200, 26) for y in range(10, 200, 26)]
    labels = [f"[{number}]" for number in range(len(middles))]
    placed = lay_out_labels(labels, middles, 3, box, metrics)
    assert 5 < len(placed) < len(labels)
    for (_, one), (_, other) in combinations(placed, 2):
        assert not one.intersects(other)
    assert all(box.contains(place) for _, place in placed)
    near = lay_out_labels(["[001]", "[113]"], [QPointF(50, 50), QPointF(52, 51)], 3, box, metrics)
    assert near[0][0] == "[001]"


@pytest.mark.parametrize("size", [(120, 120), (300, 200), (1440, 1440)])
def test_bands_run_through_the_rings_at_any_size(overlay, size, qtbot):
    width, height = size
    image = QImage(width, height, QImage.Format.Format_RGB32)
    image.fill(QColor("black"))
    painter = QPainter(image)
    paint_zones(painter, overlay, QRectF(0, 0, width, height), (60, 60))
    painter.end()
    drawn = pixels_of(image)
    # Of the strongest band, half way between its ends and a little aside.
    ends = (overlay.bands.lines[0] + 0.5) / 60 * (width, height)
    along = ends[0] + np.linspace(0.1, 0.9, 200)[:, np.newaxis] * (ends[1] - ends[0])
    on_line = drawn[along[:, 1].astype(int), along[:, 0].astype(int)].max(axis=-1)
    assert np.median(on_line) > 40
    assert np.median(drawn.max(axis=-1)) < np.median(on_line)
