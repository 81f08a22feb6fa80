# SPDX-License-Identifier: GPL-3.0-or-later
"""A pattern is drawn pixel by pixel, its heat map over it, and it says what is under the mouse."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QColor
from qtpy.QtTest import QTest

from napari_ebsd_phase import load_scan
from napari_ebsd_phase._napari.pattern_view import (
    HEAT_COLORMAPS,
    NetworkView,
    PatternView,
    gray_levels,
    heat_colors,
)
from napari_ebsd_phase.samples import sample_path

from ._canvas import move_mouse
from ._drawn import drawn

ARROWS = {
    Qt.Key.Key_Up: [-1, 0],
    Qt.Key.Key_Down: [1, 0],
    Qt.Key.Key_Left: [0, -1],
    Qt.Key.Key_Right: [0, 1],
}


@pytest.fixture
def pattern() -> np.ndarray:
    """One measured pattern, 60 x 60."""
    with load_scan(sample_path("nickel")) as scan:
        return scan.pattern(1, 2)


@pytest.fixture
def view(qtbot) -> PatternView:
    view = PatternView()
    qtbot.addWidget(view)
    view.resize(360, 300)
    view.show()
    return view


def color_at(view: PatternView, row: int, col: int) -> QColor:
    """What is drawn in the middle of a detector pixel."""
    box = view.target()
    height, width = view.pattern.shape
    x = box.left() + (col + 0.5) * box.width() / width
    y = box.top() + (row + 0.5) * box.height() / height
    return QColor(drawn(view).pixel(int(x), int(y)))


def test_every_detector_pixel_is_drawn_where_it_belongs(view, pattern):
    view.set_pattern(pattern)

    levels = gray_levels(pattern)
    for row, col in [(0, 0), (0, 59), (59, 0), (59, 59), (30, 7), (13, 44)]:
        assert color_at(view, row, col).red() == levels[row, col]


@pytest.mark.parametrize("shape", [(60, 60), (30, 90), (90, 30), (1, 1)])
def test_pixels_stay_square_and_in_the_middle(view, shape):
    view.set_pattern(np.arange(np.prod(shape)).reshape(shape))

    box = view.target()

    assert box.width() / box.height() == pytest.approx(shape[1] / shape[0])
    assert box.center() == QPointF(view.width() / 2, view.height() / 2)
    assert view.rect().contains(box.toAlignedRect())


def test_a_screen_of_twice_the_density_gets_twice_the_pixels(view, pattern):
    view.set_pattern(pattern)

    image = drawn(view, density=2)

    # Corners of the last detector pixel, in points of the dense screen: no blur between pixels.
    box = view.target()
    edge = 2 * box.width() / 60
    right, bottom = 2 * box.right(), 2 * box.bottom()
    corners = [(right - 2, bottom - 2), (right - edge + 1, bottom - edge + 1)]
    levels = {QColor(image.pixel(int(x), int(y))).red() for x, y in corners}
    assert levels == {int(gray_levels(pattern)[-1, -1])}


def test_no_evidence_leaves_the_pattern_as_it_is(view, pattern):
    view.set_pattern(pattern)
    before = color_at(view, 30, 30)

    view.set_heat(np.zeros((60, 60), np.float32))

    assert color_at(view, 30, 30) == before


def test_evidence_has_the_colour_of_the_map_as_far_as_it_is_opaque(view, pattern):
    heat = np.zeros((60, 60), np.float32)
    heat[20:40, 20:40] = 1
    view.set_pattern(pattern)
    view.set_heat(heat)

    view.set_style(1.0, "red")
    full = color_at(view, 30, 30)
    view.set_style(0.0, "red")
    none = color_at(view, 30, 30)

    assert full == QColor("red")
    assert none.red() == none.green() == none.blue() == gray_levels(pattern)[30, 30]


@pytest.mark.parametrize("name", HEAT_COLORMAPS)
def test_every_colour_map_is_there_and_shows_strong_evidence_as_solid(name):
    colors = heat_colors(np.array([[0.0, 0.5, 1.0]], np.float32), name)

    assert colors.shape == (1, 3, 4)
    assert colors[0, :, 3].tolist() == sorted(colors[0, :, 3].tolist())
    assert colors[0, 0].tolist() == [0, 0, 0, 0]
    assert colors[0, 2, 3] == 255


def test_a_new_pattern_takes_the_heat_map_of_the_old_one_away(view, pattern):
    view.set_pattern(pattern)
    view.set_heat(np.ones((60, 60), np.float32))

    view.set_pattern(pattern + 1)

    assert view.heat is None


def test_the_view_of_the_network_lies_where_it_was_taken(view):
    view.set_pattern(np.zeros((40, 80)))
    pixels = np.full((8, 8), -1, np.float32)
    pixels[:, 4:] = 1

    # The 40 rows in the middle of 80 columns: network pixels of five detector pixels.
    view.set_network_view(NetworkView(pixels, row=0.0, col=20.0, scale=5.0))

    assert color_at(view, 20, 39).red() == 0
    assert color_at(view, 20, 41).red() == 255
    assert color_at(view, 20, 58).red() == 255


def test_the_pixel_under_the_mouse_is_told(view, pattern):
    view.set_pattern(pattern)
    view.set_heat(np.full((60, 60), 0.25, np.float32))
    box = view.target()

    move_mouse(view, QPoint(int(box.left() + 12.5 * 5), int(box.top() + 7.5 * 5)))

    assert view.hover_text() == f"row 7, col 12: {pattern[7, 12]} · evidence 0.25"


def test_beside_the_pattern_nothing_is_told(view, pattern):
    view.set_pattern(pattern)

    move_mouse(view, QPoint(2, 150))

    assert view.pixel_at(QPointF(2, 150)) is None
    assert view.hover_text() == ""


@pytest.mark.parametrize("key", ARROWS)
def test_arrow_keys_ask_for_the_next_pixel(view, qtbot, key):
    with qtbot.waitSignal(view.moved) as heard:
        QTest.keyClick(view, key)

    assert heard.args == ARROWS[key]


def test_other_keys_and_those_with_shift_are_left_to_napari(view, qtbot):
    with qtbot.assertNotEmitted(view.moved):
        QTest.keyClick(view, Qt.Key.Key_A)
        QTest.keyClick(view, Qt.Key.Key_Up, Qt.KeyboardModifier.ShiftModifier)


def test_a_picture_shows_whole_pixels_in_a_useful_size(view, pattern):
    view.set_pattern(pattern[:, :40])

    image = view.picture()

    assert (image.width(), image.height()) == (720, 1080)
    assert QColor(image.pixel(5, 5)).red() == gray_levels(pattern[:, :40])[0, 0]


def test_without_a_pattern_there_are_words_and_no_picture(view):
    view.set_message("Open an EBSD file")

    shades = {
        QColor(drawn(view).pixel(x, y)).name() for x in range(60, 300) for y in range(130, 170)
    }

    assert len(shades) > 2
    assert view.picture() is None


@pytest.mark.parametrize("value", [7, np.nan])
def test_a_pattern_without_contrast_is_drawn(view, value):
    view.set_pattern(np.full((12, 12), value))

    assert color_at(view, 5, 5) == color_at(view, 6, 6)


def test_single_dead_pixels_do_not_take_the_contrast():
    pattern = np.tile(np.linspace(100, 200, 50), (50, 1))
    pattern[3, 3], pattern[9, 9] = 1e9, np.nan

    levels = gray_levels(pattern)

    assert levels[20, 2] < 20
    assert levels[20, 47] > 235
