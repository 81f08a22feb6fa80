# SPDX-License-Identifier: GPL-3.0-or-later
"""The Classify section: what is asked for is what is done."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from napari.settings import get_plugin_settings
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QDialogButtonBox

from napari_ebsd_phase import classify as classify_all
from napari_ebsd_phase import load_classifier, load_scan
from napari_ebsd_phase._napari.cards import card_path
from napari_ebsd_phase._napari.classify_section import _remaining
from napari_ebsd_phase._napari.prior_chooser import PriorChooser, prior_text
from napari_ebsd_phase.crystallography import BRAVAIS_LATTICES, POINT_GROUPS
from napari_ebsd_phase.decoding import parse_prior
from napari_ebsd_phase.samples import sample_path

from ._clicks import (
    answer,
    choose,
    classify,
    click,
    dock_in,
    open_sample,
    open_section,
    texts,
)

CLOSE = {"rtol": 1e-3, "atol": 1e-5}


@pytest.fixture
def viewer(make_napari_viewer):
    return make_napari_viewer(show=True)


@pytest.fixture
def dock(viewer, qtbot):
    return dock_in(viewer, qtbot)


@pytest.fixture
def own_network(tmp_path) -> Path:
    """A copy of the bundled network, as a user's file, whose card recommends another prior."""
    card = card_path("default")
    path = tmp_path / "mine.safetensors"
    shutil.copy(card.with_suffix(".safetensors"), path)
    told = json.loads(card.read_text()) | {"name": "mine", "prior": "uniform"}
    path.with_suffix(".json").write_text(json.dumps(told))
    return path


def chooser_of(dock, qtbot) -> PriorChooser:
    found = dock.classify.form.findChildren(PriorChooser)
    qtbot.waitUntil(lambda: bool(dock.classify.form.findChildren(PriorChooser)))
    (found,) = dock.classify.form.findChildren(PriorChooser)
    qtbot.waitUntil(found.isVisible)
    return found


def tick(view, item) -> None:
    """Click on the box in front of a line."""
    view.scrollToItem(item)
    place = view.visualItemRect(item)
    QTest.mouseClick(
        view.viewport(),
        Qt.MouseButton.LeftButton,
        pos=QPoint(place.left() + 10, place.center().y()),
    )


def test_known_phases_are_expected_unless_the_card_says_otherwise(dock, qtbot, own_network):
    open_sample(dock, "nickel", qtbot)
    assert dock.classify.network == "default"
    assert dock.classify.prior == "known"

    choose(dock.classify.form.network_box, "File")
    answer(dock.classify.form, own_network, qtbot)

    assert dock.classify.network == str(own_network)
    assert dock.classify.form.network_box.currentText() == "mine.safetensors"
    assert dock.classify.prior == "uniform"
    classify(dock, qtbot)
    provenance = dock.session.phase_map.provenance
    assert provenance["network"] == "mine"
    assert provenance["prior"] == "uniform"


def test_a_network_without_its_card_is_refused_in_one_sentence(dock, qtbot, own_network, notices):
    own_network.with_suffix(".json").unlink()
    open_sample(dock, "nickel", qtbot)
    choose(dock.classify.form.network_box, "File")
    answer(dock.classify.form, own_network, qtbot)

    (text,) = texts(notices)
    assert "mine.json" in text
    assert dock.classify.network == "default"
    assert dock.classify.form.network_box.currentText() == "default"


def test_a_prior_of_ones_own_is_ticked_and_used(dock, qtbot):
    open_sample(dock, "nickel", qtbot)
    choose(dock.classify.form.prior_box, "Own")
    chooser = chooser_of(dock, qtbot)
    ok = chooser.buttons.button(QDialogButtonBox.StandardButton.Ok)
    for system in ("triclinic", "monoclinic", "orthorhombic", "tetragonal", "trigonal"):
        tick(chooser.groups, chooser.item(system))
    assert "12 of 32 point groups" in chooser.message.text()
    for lattice in BRAVAIS_LATTICES:
        if lattice not in ("cF", "hP"):
            tick(chooser.lattices, chooser.item(lattice))
    assert ok.isEnabled()
    click(ok)

    assert dock.classify.prior == "hexagonal,cubic,hP,cF"
    assert dock.classify.form.own_label.isVisible()
    classify(dock, qtbot)
    lattices = dock.session.phase_map.bravais_probabilities
    chosen = [BRAVAIS_LATTICES.index(name) for name in ("hP", "cF")]
    np.testing.assert_allclose(lattices[..., chosen].sum(axis=-1), 1, rtol=1e-5)
    assert dock.session.prior == "hexagonal,cubic,hP,cF"


def test_a_cancelled_choice_changes_nothing(dock, qtbot):
    open_sample(dock, "nickel", qtbot)
    choose(dock.classify.form.prior_box, "Own")
    chooser = chooser_of(dock, qtbot)
    click(chooser.buttons.button(QDialogButtonBox.StandardButton.Cancel))

    assert dock.classify.prior == "known"
    assert dock.classify.form.prior_box.currentText() == "Known-phase frequencies"


def test_names_that_exclude_each_other_cannot_be_chosen(dock, qtbot):
    chooser = PriorChooser("cubic,cF")
    qtbot.addWidget(chooser)
    chooser.show()
    ok = chooser.buttons.button(QDialogButtonBox.StandardButton.Ok)
    assert ok.isEnabled()
    tick(chooser.groups, chooser.item("cubic"))
    assert not ok.isEnabled()
    assert "at least one" in chooser.message.text()

    tick(chooser.groups, chooser.item("hexagonal"))
    assert not ok.isEnabled()
    assert "None of these" in chooser.message.text()

    tick(chooser.groups, chooser.item("cubic"))
    assert ok.isEnabled()
    assert "Without a lattice" in chooser.message.text()
    assert "6/mmm" in chooser.message.text()


@pytest.mark.parametrize(
    "text",
    [
        "uniform",
        "cubic,hexagonal",
        "m-3m,6/mmm",
        "laue:m-3",
        "laue:m-3,cF",
        "4,cI,tI,laue:4/m",
        "cF",
    ],
)
def test_a_prior_survives_the_dialog(qtbot, text):
    chooser = PriorChooser(text)
    qtbot.addWidget(chooser)

    np.testing.assert_allclose(parse_prior(chooser.text()), parse_prior(text), atol=1e-12)


def test_a_prior_is_written_shortly():
    assert prior_text(POINT_GROUPS, BRAVAIS_LATTICES) == "uniform"
    assert prior_text(["m-3", "23", "432"], BRAVAIS_LATTICES) == "laue:m-3,432"
    assert prior_text(POINT_GROUPS, ["cF"]) == "cF"


def test_only_the_selected_shape_is_classified(dock, viewer, qtbot, notices):
    open_sample(dock, "two_phase", qtbot)
    choose(dock.classify.form.extent_box, "Selected")
    click(dock.classify.start_button)
    (text,) = texts(notices)
    assert "draw a rectangle" in text
    assert not dock.session.running

    step = dock.session.step[0]
    rows, cols = slice(10, 16), slice(20, 32)
    corners = np.array([[rows.start - 0.5, cols.start - 0.5], [rows.stop - 0.5, cols.stop - 0.5]])
    shapes = viewer.add_shapes([corners * step], shape_type="rectangle")
    classify(dock, qtbot)

    wanted = np.zeros(dock.session.shape, bool)
    wanted[rows, cols] = True
    np.testing.assert_array_equal(dock.session.phase_map.done, wanted)
    assert "72 of 4,800" in dock.classify.state.text()
    with load_scan(sample_path("two_phase")) as scan:
        expected = classify_all(
            scan, load_classifier(device="cpu"), region=(rows, cols), prior="known"
        )
    np.testing.assert_allclose(
        dock.session.phase_map.bravais_probabilities[wanted],
        expected.bravais_probabilities[wanted],
        **CLOSE,
    )

    # An ellipse is classified as it is drawn, and what is there already stays.
    shapes.data = []
    centre, radii = np.array([45, 50]), np.array([4, 8])
    shapes.add_ellipses(np.array([centre, radii]) * step)
    classify(dock, qtbot)
    done = dock.session.phase_map.done
    assert done[wanted].all()
    assert done[45, 50]
    assert done[45, 57]
    assert not done[42, 44]  # inside the rectangle around it
    assert done.sum() < wanted.sum() + 4 * 8 * np.pi * 1.2


def test_another_network_or_prior_makes_the_map_anew(dock, qtbot):
    open_sample(dock, "nickel", qtbot)
    classify(dock, qtbot)
    first = dock.session.phase_map
    dock.classify.set_open(True)
    assert not dock.classify.start_button.isEnabled()
    assert "All 9 patterns" in dock.classify.state.text()

    choose(dock.classify.form.prior_box, "All")
    assert "map anew" in dock.classify.state.text()
    classify(dock, qtbot)

    assert dock.session.phase_map is not first
    assert dock.session.phase_map.provenance["prior"] == "uniform"


def test_a_run_takes_the_settings_of_the_plugin(dock, qtbot):
    settings = get_plugin_settings("napari-ebsd-phase")
    settings.classification.threshold = 0.9
    settings.classification.batch_size = 2
    open_sample(dock, "nickel", qtbot)
    classify(dock, qtbot)

    assert dock.session.threshold == 0.9
    assert dock.session.phase_map.provenance["batch_size"] == 2


def test_a_device_that_is_not_there_is_said_in_one_sentence(dock, qtbot, notices):
    import torch

    if torch.cuda.is_available():
        missing, name = "Apple", "mps"
    else:
        missing, name = "NVIDIA", "cuda"
    open_sample(dock, "nickel", qtbot)
    choose(dock.classify.form.device_box, missing)
    classify(dock, qtbot)

    assert dock.classify.job.end == "failed"
    (text,) = texts(notices)
    assert name in text
    assert dock.classify.start_button.isEnabled()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (float("nan"), ""),
        (0.2, ", about 1 s left"),
        (59.4, ", about 59 s left"),
        (150, ", about 2 min left"),
        (9000, ", about 2.5 h left"),
    ],
)
def test_the_time_left_is_told_in_words(seconds, text):
    assert _remaining(seconds) == text


def test_the_projection_centre_is_chosen_or_typed(dock, qtbot, notices):
    open_sample(dock, "nickel", qtbot)
    classify(dock, qtbot)
    section, box = dock.classify, dock.classify.form.centre_box
    assert dock.session.phase_map.provenance["projection_centre"]["from"] == "file"
    assert not section.start_button.isEnabled()  # all is done

    box.setCurrentIndex(box.findText("Not used", Qt.MatchFlag.MatchStartsWith))
    assert section.start_button.isEnabled()
    classify(dock, qtbot)
    assert "centre" not in dock.session.phase_map.provenance
    assert not section.start_button.isEnabled()

    box.setEditText("0.4, 0.2, 0.5")
    assert section.start_button.isEnabled()
    classify(dock, qtbot)
    told = dock.session.phase_map.provenance["projection_centre"]
    assert told == {"from": "given", "bruker": [0.4, 0.2, 0.5]}

    open_section(section)
    box.setEditText("somewhere")
    click(section.start_button)
    (text,) = texts(notices)
    assert "is no projection centre" in text
    assert dock.session.phase_map.provenance["projection_centre"] == told
