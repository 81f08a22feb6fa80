# SPDX-License-Identifier: GPL-3.0-or-later
"""The card of a network, one click away and readable."""

from __future__ import annotations

import json

import numpy as np
import pytest
from qtpy.QtWidgets import QDialogButtonBox, QLabel, QPlainTextEdit, QTableWidget

from napari_ebsd_phase import InputError
from napari_ebsd_phase._napari.card_dialog import CardDialog
from napari_ebsd_phase._napari.cards import (
    card_path,
    network_names,
    read_card,
    recommended_prior,
    scores,
)
from napari_ebsd_phase.crystallography import BRAVAIS_LATTICES, LEVELS, POINT_GROUPS
from napari_ebsd_phase.loading import installed_classifiers

from ._clicks import click, dock_in, open_section


@pytest.fixture
def card():
    return read_card("default")


@pytest.fixture
def dialog(qtbot, card):
    dialog = CardDialog(card)
    qtbot.addWidget(dialog)
    dialog.show()
    return dialog


def cells(dialog, page: int) -> list[list[str]]:
    table = dialog.tabs.widget(page).findChild(QTableWidget)
    return [
        [table.item(row, column).text() for column in range(table.columnCount())]
        for row in range(table.rowCount())
    ]


def test_the_card_is_one_click_away(make_napari_viewer, qtbot, card):
    dock = dock_in(make_napari_viewer(show=True), qtbot)
    open_section(dock.classify)
    click(dock.classify.form.card_button)

    (dialog,) = dock.findChildren(CardDialog)
    qtbot.waitUntil(dialog.isVisible)
    assert card["name"] in dialog.windowTitle()
    click(dialog.buttons.button(QDialogButtonBox.StandardButton.Close))
    qtbot.waitUntil(lambda: not dock.findChildren(CardDialog))


def test_all_scores_of_the_card_are_told_with_their_range(dialog, card):
    rows = cells(dialog, 0)
    found = scores(card)

    assert len(rows) == len(found) > 0
    for row, score in zip(rows, found, strict=True):
        assert row[0] == score.test
        for text, level in zip(row[3:], LEVELS, strict=True):
            assert text.startswith(f"{100 * score.accuracy[level]:.0f} %")
            if level in score.interval:
                low, high = score.interval[level]
                assert text.endswith(f"{round(100 * low)} to {round(100 * high)}")
    assert any("never seen" in row[0] for row in rows)


def test_all_classes_are_listed_with_how_often_they_are_known(dialog, card):
    rows = cells(dialog, 1)

    assert [row[0] for row in rows] == [*POINT_GROUPS, *BRAVAIS_LATTICES]
    known = np.asarray(card["known_structures"])
    assert rows[-1][4] == f"{known[:, -1].sum():,.0f}"
    assert dict((row[0], row[2:4]) for row in rows)["m-3m"] == ["cubic", "m-3m"]


def test_the_training_is_told_with_every_material(dialog, card):
    told = dict(cells(dialog, 2))
    assert told["Materials trained on"] == f"{card['training']['materials']['train']:,}"
    names = dialog.tabs.widget(2).findChild(QPlainTextEdit).toPlainText()
    assert names == ", ".join(card["training"]["trained_on"])


def test_what_the_network_is(dialog, card):
    told = dict(cells(dialog, 3))
    assert told["Name"] == card["name"]
    assert told["SHA-256 of the weights"] == card["sha256"]
    assert told["A label needs a probability of"] == f"{card['threshold']:g}"


def test_a_card_without_scores_says_so(qtbot, card):
    dialog = CardDialog(card | {"metrics": {}, "with_centre": {}})
    qtbot.addWidget(dialog)

    labels = [label.text() for label in dialog.tabs.widget(0).findChildren(QLabel)]
    assert "This card has no scores." in labels
    assert cells(dialog, 0) == []


def test_names_of_networks_are_those_of_the_core():
    assert sorted(network_names()) == sorted(installed_classifiers())
    assert network_names()[0] == "default"


@pytest.mark.parametrize("content", [None, "{", "[]", '{"name": "x"}'])
def test_a_bad_card_is_one_sentence(tmp_path, content):
    path = tmp_path / "mine.json"
    if content is not None:
        path.write_text(content)

    with pytest.raises(InputError, match=r"mine\.json") as caught:
        read_card(str(tmp_path / "mine.safetensors"))
    assert "\n" not in str(caught.value)


def test_the_recommended_prior_is_the_cards_own_or_known(card):
    assert recommended_prior({"prior": "cubic"}) == "cubic"
    assert recommended_prior({k: v for k, v in card.items() if k != "prior"}) == "known"


def test_a_network_with_dots_in_its_name_has_its_card_beside_it(tmp_path, card):
    (tmp_path / "fine-0.2.json").write_text(json.dumps(card))

    assert card_path(str(tmp_path / "fine-0.2.safetensors")).name == "fine-0.2.json"
    assert read_card(str(tmp_path / "fine-0.2.safetensors"))["name"] == card["name"]
