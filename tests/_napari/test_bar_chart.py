# SPDX-License-Identifier: GPL-3.0-or-later
"""The bars say which classes lead, in the colours of the map, on dark and light."""

from __future__ import annotations

import pytest
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QColor
from qtpy.QtTest import QTest

from napari_ebsd_phase._napari.bar_chart import Bar, BarChart, percent

from ._canvas import move_mouse
from ._drawn import drawn

BARS = (
    Bar("m-3m", 0.8, "#e6003c", explained=True),
    Bar("432", 0.15, "#822800"),
    Bar("6/mmm", 0.05, "#6e8cdc"),
)


@pytest.fixture
def chart(qtbot) -> BarChart:
    chart = BarChart(most=4)
    qtbot.addWidget(chart)
    chart.resize(300, chart.sizeHint().height())
    chart.set_bars(BARS)
    chart.show()
    return chart


def colors_in(chart: BarChart, index: int) -> set[str]:
    """All colours in the line of a bar."""
    image = drawn(chart)
    line = chart.rect_of(index).toRect()
    return {
        QColor(image.pixel(x, y)).name()
        for x in range(line.left(), line.right())
        for y in range(line.top(), line.bottom())
    }


def length_of(chart: BarChart, index: int) -> int:
    """Pixels of a bar along the upper half of its line."""
    image = drawn(chart)
    y = round(chart.rect_of(index).top() + 0.35 * chart.rect_of(index).height())
    color = chart.bars[index].color
    return sum(QColor(image.pixel(x, y)).name() == color for x in range(image.width()))


def test_each_bar_has_the_colour_of_its_class(chart):
    for index, bar in enumerate(BARS):
        assert bar.color in colors_in(chart, index)


def test_a_bar_is_as_long_as_its_class_is_probable(chart):
    assert length_of(chart, 0) / length_of(chart, 1) == pytest.approx(0.8 / 0.15, rel=0.2)


@pytest.mark.parametrize(("back", "text"), [("#262930", "#f0f1f2"), ("#efebe9", "#3b3a39")])
def test_it_is_written_in_the_text_colour_of_the_theme(chart, back, text):
    chart.setStyleSheet(f"background-color: {back}; color: {text}")

    found = colors_in(chart, 0)

    assert {back, text, BARS[0].color} <= found


def test_a_click_on_a_bar_chooses_its_class(chart, qtbot):
    with qtbot.waitSignal(chart.chosen) as heard:
        QTest.mouseClick(chart, Qt.MouseButton.LeftButton, pos=chart.rect_of(1).center().toPoint())

    assert heard.args == ["432"]


def test_a_click_below_the_last_bar_chooses_nothing(chart, qtbot):
    with qtbot.assertNotEmitted(chart.chosen):
        QTest.mouseClick(chart, Qt.MouseButton.LeftButton, pos=chart.rect_of(3).center().toPoint())


def test_the_mouse_is_a_hand_over_bars_alone(chart):
    move_mouse(chart, chart.rect_of(0).center().toPoint())
    over = chart.cursor().shape()
    move_mouse(chart, QPoint(5, chart.height() - 1))

    assert over == Qt.CursorShape.PointingHandCursor
    assert chart.cursor().shape() == Qt.CursorShape.ArrowCursor


def test_it_shows_no_more_bars_than_there_is_room_for(chart):
    chart.set_bars(BARS * 3)

    assert len(chart.bars) == 4
    assert chart.bar_at(QPointF(10, 10_000)) is None


def test_the_pinned_pattern_has_a_thinner_bar_of_its_own(chart):
    chart.set_bars([Bar("m-3m", 0.1, "#e6003c", pinned=0.9)])
    image = drawn(chart)
    line = chart.rect_of(0)
    far = round(line.left() + 0.6 * line.width())

    column = [QColor(image.pixel(far, y)) for y in range(round(line.top()), round(line.bottom()))]

    # There the bar of the pattern has ended, and that of the pinned one has not.
    assert sum(c.red() > c.green() + 60 for c in column) in range(2, 8)


def test_a_reader_of_the_screen_hears_the_numbers(chart):
    assert chart.accessibleDescription() == "m-3m 80 %, 432 15 %, 6/mmm 5 %"


@pytest.mark.parametrize(
    ("probability", "text"),
    [(0, "0 %"), (0.001, "< 1 %"), (0.5, "50 %"), (0.994, "99 %"), (0.999, "> 99 %"), (1, "100 %")],
)
def test_no_probability_is_rounded_to_certainty(probability, text):
    assert percent(probability) == text
