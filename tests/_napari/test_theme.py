# SPDX-License-Identifier: GPL-3.0-or-later
"""Colours can be told from the background of either theme, and text can be read on them."""

from __future__ import annotations

import pytest
from napari.utils.theme import get_theme
from qtpy.QtCore import QSize
from qtpy.QtGui import QColor, QIcon

from napari_ebsd_phase._napari.theme import swatch, swatch_pixmap, text_on
from napari_ebsd_phase.crystallography import LEVELS, colors

ALL_COLORS = sorted({color for level in LEVELS for color in colors(level).values()})


def luminance(color: str) -> float:
    parts = [QColor(color).redF(), QColor(color).greenF(), QColor(color).blueF()]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("color", ALL_COLORS)
def test_text_can_be_read_on_every_class_color(color):
    # 4.5 is what the accessibility guidelines ask of normal text.
    assert contrast(text_on(color), color) >= 4.5


def test_a_swatch_is_filled_with_its_color_inside_a_border(qapp):
    image = swatch_pixmap("#e6003c", 16).toImage()

    middle, edge = image.pixelColor(16, 16), image.pixelColor(16, 1)
    assert middle.name() == "#e6003c"
    assert edge.name() != "#e6003c"
    assert edge.alpha() == 255


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_the_border_of_a_swatch_stands_out_in_both_themes(qapp, theme):
    edge = swatch_pixmap("#e6003c", 16).toImage().pixelColor(16, 0).name()

    background = get_theme(theme).foreground.as_hex(format="long")
    assert contrast(edge, background) >= 2.5


def test_what_has_no_color_is_an_empty_box(qapp):
    image = swatch_pixmap("", 16).toImage()

    assert image.pixelColor(16, 16).alpha() == 0
    assert any(image.pixelColor(x, 1).alpha() == 255 for x in range(32))


def test_a_swatch_keeps_its_color_in_a_selected_row(qapp):
    icon = swatch("#28beff")

    for mode in (QIcon.Mode.Normal, QIcon.Mode.Selected):
        image = icon.pixmap(QSize(16, 16), mode).toImage()
        assert image.pixelColor(image.width() // 2, image.height() // 2).name() == "#28beff"
