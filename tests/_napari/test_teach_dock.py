# SPDX-License-Identifier: GPL-3.0-or-later
"""The dock that teaches a network: labels in, a learning curve, figures, a network that is used."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from napari.layers import Labels
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication

from napari_ebsd_phase import classify, load_classifier, load_scan
from napari_ebsd_phase._napari.layers import add_result, add_scan
from napari_ebsd_phase._napari.teach_dock import TeachDock
from napari_ebsd_phase._napari.teach_worker import OtherStructures, checkpoint_of, settings_for
from napari_ebsd_phase.crystallography import LEVELS
from napari_ebsd_phase.samples import sample_path

from ._clicks import LONG, answer, choose, click, dock_in, texts

# Centres of grains of the sample.
GRAINS = {
    1: ((11, 72), (16, 34), (36, 3), (50, 28), (55, 47), (40, 59)),
    2: ((3, 65), (17, 23), (30, 21), (53, 8), (19, 50), (6, 47)),
}


@pytest.fixture(scope="module")
def others() -> OtherStructures:
    """A few other structures, made once for all tests."""
    return OtherStructures(patterns=8, structures=3)


@pytest.fixture
def viewer(make_napari_viewer):
    return make_napari_viewer(show=True)


@pytest.fixture
def dock(viewer, others, qtbot) -> TeachDock:
    dock = TeachDock(viewer)
    dock.others = others
    viewer.window.add_dock_widget(dock, name="EBSD teach the network", area="right")
    qtbot.waitUntil(dock.isVisible)
    dock.controls.network_box.set_network("lines")  # the smaller one
    dock.controls.steps_box.setValue(2)
    return dock


@pytest.fixture
def duplex(viewer, dock):
    return add_scan(viewer, load_scan(sample_path("two_phase")))


@pytest.fixture
def painted(dock, duplex, viewer, tmp_path, qtbot) -> Labels:
    """Four pixels in each of six grains of both phases, painted in a layer of the dock's."""
    click(dock.controls.new_button)
    layer = viewer.layers.selection.active
    for value, places in GRAINS.items():
        paint(layer, value, places)
    qtbot.waitUntil(lambda: len(dock.controls.table.kinds) == 2)
    for row, lattice in enumerate(("cF", "cI")):
        chooser = dock.controls.table.chooser(row)
        choose(chooser.group_box, "m-3m")
        choose(chooser.lattice_box, lattice)
    dock.controls.use_file(tmp_path / "steel.safetensors")
    return layer


def paint(layer, value, places):
    """Paint a block of 2 x 2 pixels at each place."""
    rows, cols = np.concatenate(
        [np.array(np.meshgrid([r, r + 1], [c, c + 1])).reshape(2, -1) for r, c in places], axis=1
    )
    layer.data_setitem((rows, cols), value)


def learning(dock, qtbot, steps=1):
    """Wait until so many steps are done."""
    qtbot.waitUntil(
        lambda: dock.hint.text().startswith("Learning: ") and dock.progress.value() >= steps,
        timeout=LONG,
    )


def done(dock, qtbot):
    qtbot.waitUntil(lambda: not dock.busy, timeout=LONG)
    QApplication.processEvents()
    return dock.result.result


def test_it_says_what_to_do_until_something_can_be_learned(viewer, dock, qtbot):
    assert dock.hint.text() == "Open an EBSD file or a sample to begin"
    add_scan(viewer, load_scan(sample_path("two_phase")))
    assert dock.hint.text().startswith("Add a Labels layer and paint about twenty pixels of each")
    assert not dock.start_button.isEnabled()

    click(dock.controls.new_button)
    layer = viewer.layers.selection.active
    assert isinstance(layer, Labels)
    assert (layer.mode, layer.data.shape) == ("paint", (60, 80))
    assert "Paint about twenty pixels of each phase in 'patterns: Labels" in dock.hint.text()

    paint(layer, 3, GRAINS[1][:1])
    qtbot.waitUntil(lambda: dock.hint.text() == "Choose point group and lattice of label 3")
    assert not dock.start_button.isEnabled()
    choose(dock.controls.table.chooser(0).group_box, "m-3m")
    assert not dock.start_button.isEnabled()
    choose(dock.controls.table.chooser(0).lattice_box, "cF")
    assert dock.start_button.isEnabled()
    assert "All labels have one class" in dock.hint.text()


def test_the_table_follows_the_brush_and_keeps_what_was_chosen(viewer, dock, painted, qtbot):
    table = dock.controls.table
    assert [(kind.value, kind.count) for kind in table.kinds] == [(1, 24), (2, 24)]
    table.item(0, 0).setText("austenite")

    paint(painted, 2, [(44, 2)])
    qtbot.waitUntil(lambda: table.item(1, 1).text() == "28")
    paint(painted, 7, [(48, 38)])
    qtbot.waitUntil(lambda: table.rowCount() == 3)

    assert table.classes == {1: "m-3m:cF", 2: "m-3m:cI", 7: None}
    assert table.names[1] == "austenite"
    color = table.item(2, 0).icon().pixmap(12, 12).toImage().pixelColor(6, 6).getRgbF()
    np.testing.assert_allclose(color[:3], painted.get_color(7)[:3], atol=0.01)


def test_only_lattices_that_a_point_group_can_have_are_offered(dock, painted):
    chooser = dock.controls.table.chooser(0)
    choose(chooser.group_box, "6/mmm")
    assert chooser.text == "6/mmm:hP"  # its only lattice
    choose(chooser.group_box, "4/mmm")
    offered = [chooser.lattice_box.itemData(i) for i in range(chooser.lattice_box.count())]
    assert offered == [None, "tP", "tI"]
    assert chooser.text is None


def test_phases_of_the_file_are_offered_with_their_classes(viewer, dock, qtbot):
    session = add_scan(viewer, load_scan(sample_path("nickel")))
    table = dock.controls.table
    assert dock.controls.source is session
    assert [(kind.name, kind.count) for kind in table.kinds] == [("ni", 9)]
    assert table.classes == {1: "m-3m:cF"}

    # What the user paints over them is chosen, and has the class that the file says.
    viewer.add_labels(np.pad([[5]], 1), name="mine")
    qtbot.waitUntil(lambda: dock.controls.source_box.currentText() == "mine")
    assert table.classes == {5: "m-3m:cF"}
    assert table.names == {5: "ni"}


def test_results_are_no_labels_to_teach_with(viewer, dock, network):
    session = add_scan(viewer, load_scan(sample_path("silicon")))
    session.set_map(classify(session.scan, network))
    add_result(viewer, session)
    viewer.add_labels(np.ones((5, 5), int), name="of another map")

    assert any(isinstance(layer, Labels) for layer in viewer.layers)
    assert dock.controls.source is None
    assert "Add a Labels layer" in dock.hint.text()


def test_a_network_is_taught_measured_written_and_used(viewer, dock, painted, tmp_path, qtbot):
    mapping = dock_in(viewer, qtbot)
    dock.parentWidget().raise_()
    dock.controls.steps_box.setValue(4)
    dock.controls.table.item(0, 0).setText("austenite")
    click(dock.start_button)
    assert dock.stop_button.isVisible()
    assert not dock.controls.isEnabled()
    result = done(dock, qtbot)

    target = tmp_path / "steel.safetensors"
    assert result.target == target
    assert dock.hint.text() == "Written after 4 steps: steel.safetensors and its card."
    assert not checkpoint_of(target).exists()
    assert [point.step for point in dock.curve.points] == [0, 1, 2, 3, 4]
    card = load_classifier(target, device="cpu").card
    assert card["name"] == "steel"
    assert card["sha256"] != load_classifier("lines", device="cpu").card["sha256"]
    assert card["training"]["classes"] == {"m-3m:cF": 24, "m-3m:cI": 24}
    (source,) = card["training"]["sources"]
    assert source["labels"] == painted.name
    assert source["phases"] == {"austenite": "m-3m:cF", "label 2": "m-3m:cI"}

    held_out = json.loads(target.with_suffix(".json").read_text(encoding="utf-8"))["metrics"]
    assert len(dock.result.rows) == len(LEVELS)
    for level, (_, before, after, change) in zip(LEVELS, dock.result.rows, strict=True):
        for when, text in (("before", before), ("after", after)):
            figures = held_out[f"held-out patterns, {when} teaching"][level]
            low, high = figures["interval"]
            assert text == (
                f"{100 * figures['accuracy']:.0f} %\n{100 * low:.0f} to {100 * high:.0f}"
            )
        assert change.startswith(f"{100 * result.gained[level].value:+.0f} %".replace("+0 ", "0 "))
    parts = card["training"]["parts"]["held out"]
    count = f"on {parts['patterns']} patterns of {parts['regions']} regions that were held out"
    assert count in dock.result.words.text()
    assert "8 simulated patterns of 3 other structures" in dock.result.words.text()

    click(dock.use_button)
    assert mapping.classify.network == str(target)


def test_stopped_it_keeps_the_run_and_goes_on_there(dock, painted, tmp_path, qtbot):
    target = tmp_path / "steel.safetensors"
    dock.controls.steps_box.setValue(200)
    click(dock.start_button)
    learning(dock, qtbot)
    click(dock.stop_button)
    stopped = done(dock, qtbot)

    assert 1 <= stopped.steps < 200
    assert stopped.target is None
    assert "Resume goes on" in dock.hint.text()
    assert checkpoint_of(target).exists()
    assert not target.exists()
    assert not dock.use_button.isVisible()
    assert dock.start_button.text() == "Re&sume"

    click(dock.start_button)
    learning(dock, qtbot, stopped.steps + 1)
    click(dock.stop_button)
    assert done(dock, qtbot).steps > stopped.steps


def test_a_kept_run_of_other_labels_is_refused_until_one_starts_over(
    dock, painted, notices, tmp_path, qtbot
):
    target = tmp_path / "steel.safetensors"
    dock.controls.steps_box.setValue(200)
    click(dock.start_button)
    learning(dock, qtbot)
    click(dock.stop_button)
    done(dock, qtbot)

    paint(painted, 1, [(48, 38)])
    dock.controls.steps_box.setValue(1)
    click(dock.start_button)
    done(dock, qtbot)
    (text,) = texts(notices)
    assert "run with other labelled patterns" in text
    assert "\n" not in text

    click(dock.over_button)
    assert done(dock, qtbot).target == target


def test_an_existing_file_is_replaced_only_when_the_dialog_has_asked(
    dock, painted, notices, tmp_path, qtbot
):
    target = tmp_path / "steel.safetensors"
    target.write_bytes(b"of somebody")
    click(dock.start_button)
    assert not dock.busy
    (text,) = texts(notices)
    assert text.startswith("'steel.safetensors' exists already")
    assert target.read_bytes() == b"of somebody"

    dock.controls.use_file(tmp_path / "nowhere" / "steel")
    click(dock.start_button)
    assert not dock.busy
    assert texts(notices)[1].startswith("there is no folder")

    click(dock.controls.file_button)
    answer(dock.controls, tmp_path / "other.safetensors", qtbot)
    assert dock.controls.checked_target() == tmp_path / "other.safetensors"


def test_labels_in_one_place_have_nothing_to_tell_the_gain_with(viewer, dock, painted, qtbot):
    painted.data = np.zeros((60, 80), np.uint8)
    for value, (place, *_) in GRAINS.items():
        painted.data_setitem((np.array([place[0]]), np.array([place[1]])), value)
    qtbot.waitUntil(lambda: dock.controls.table.item(0, 1).text() == "1")
    assert "has 1 pixel: about twenty" in dock.hint.text()
    click(dock.start_button)
    result = done(dock, qtbot)

    assert result.before == {}
    assert dock.result.rows == []
    assert dock.result.words.text().startswith("No patterns were held out")


def test_closed_while_at_work_it_ends_silently_and_keeps_the_run(
    viewer, dock, painted, notices, tmp_path, qtbot
):
    dock.controls.steps_box.setValue(200)
    click(dock.start_button)
    learning(dock, qtbot)
    work = dock._work
    viewer.window.remove_dock_widget(dock)
    qtbot.waitUntil(lambda: not work._thread.is_alive(), timeout=LONG)
    QApplication.processEvents()

    assert not dock.busy
    assert not notices
    assert checkpoint_of(tmp_path / "steel.safetensors").exists()
    assert not (tmp_path / "steel.safetensors").exists()


def test_another_data_set_does_not_end_a_run_but_its_own_end_does(viewer, dock, painted, qtbot):
    dock.controls.steps_box.setValue(200)
    click(dock.start_button)
    learning(dock, qtbot)
    work = dock._work
    other = add_scan(viewer, load_scan(sample_path("nickel")))
    assert dock.session is other
    assert dock.busy

    for layer in list(viewer.layers):
        if layer.name.startswith("patterns"):
            viewer.layers.remove(layer)
    assert not dock.busy
    qtbot.waitUntil(lambda: not work._thread.is_alive(), timeout=LONG)


def test_short_runs_have_a_curve_and_long_ones_look_as_often_as_the_command_line():
    assert settings_for(20).check_every == 2
    assert settings_for(1).check_every == 1
    assert settings_for(200) == settings_for(200).__class__()


def test_the_proposed_file_is_new_and_beside_the_scan(viewer, dock, nickel_file):
    folder = Path(nickel_file).parent
    (folder / "nickel_taught.safetensors").write_bytes(b"")
    add_scan(viewer, load_scan(nickel_file))
    assert dock.controls.target == folder / "nickel_taught-2.safetensors"
    assert dock.controls.table.item(0, 1).flags() == Qt.ItemFlag.ItemIsEnabled
