# SPDX-License-Identifier: GPL-3.0-or-later
"""The legend says what the map shows, and the map shows what is clicked in the legend."""

from __future__ import annotations

import csv
import gc
import weakref
from pathlib import Path

import numpy as np
import pytest
from napari.utils.notifications import notification_manager
from PIL import Image
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QDialogButtonBox, QFileDialog, QPushButton

from napari_ebsd_phase import PhaseMap, load_classifier, load_scan
from napari_ebsd_phase._napari.layers import (
    add_result,
    add_scan,
    layer_for,
    refresh_layers,
    show_level,
)
from napari_ebsd_phase._napari.legend_dock import LegendDock
from napari_ebsd_phase._napari.legend_rows import LEVEL_TITLES
from napari_ebsd_phase._napari.legend_table import COUNT, EYE, NAME, PROBABILITY, SHARE
from napari_ebsd_phase._napari.session import MapSession
from napari_ebsd_phase.crystallography import BRAVAIS_LATTICES, LEVELS, POINT_GROUPS, color, names
from napari_ebsd_phase.mapping import TileResult, classify_tiles
from napari_ebsd_phase.samples import sample_path

from ._clicks import gone_after

# A part of the sample that has both phases and some boundaries.
REGION = (slice(4, 24), slice(20, 50))
MARGIN = (slice(None), slice(None))


@pytest.fixture(scope="module")
def tiles() -> list[TileResult]:
    """What the network says of the region, in six tiles."""
    with load_scan(sample_path("two_phase")) as scan:
        return list(classify_tiles(scan, load_classifier(), region=REGION, tile=120))


@pytest.fixture(scope="module")
def classified(tiles) -> PhaseMap:
    """A map of which the region is classified."""
    phase_map = PhaseMap.empty((60, 80), step=(0.2, 0.2), units="um", threshold=0.6)
    for tile in tiles:
        tile.fill_into(phase_map)
    return phase_map


@pytest.fixture(autouse=True)
def no_old_messages() -> None:
    notification_manager.records.clear()


@pytest.fixture
def viewer(make_napari_viewer, qtbot):
    viewer = make_napari_viewer(show=True)
    qtbot.waitExposed(viewer.window._qt_window)
    return viewer


@pytest.fixture
def dock(viewer) -> LegendDock:
    dock = LegendDock(viewer)
    viewer.window.add_dock_widget(dock, area="right", name="EBSD phase legend")
    return dock


def open_map(viewer, phase_map: PhaseMap, name: str = "steel") -> MapSession:
    """Show a map of one's own: the arrays are shared, the threshold is not."""
    session = MapSession(None, phase_map.crop(*MARGIN), name=name)
    add_result(viewer, session)
    return session


def shown(dock: LegendDock) -> list[str]:
    return [row.name for row in dock.table.rows_model.rows]


def text(dock: LegendDock, name: str, column: int) -> str:
    model = dock.table.rows_model
    return model.data(model.index(shown(dock).index(name), column))


def press(dock: LegendDock, name: str, column: int = NAME, press=QTest.mouseClick) -> None:
    table = dock.table
    index = table.rows_model.index(shown(dock).index(name), column)
    left = Qt.MouseButton.LeftButton
    press(table.viewport(), left, Qt.KeyboardModifier.NoModifier, table.visualRect(index).center())


def double_click(dock: LegendDock, name: str) -> None:
    press(dock, name)  # the first of the two
    press(dock, name, press=QTest.mouseDClick)


def on_canvas(viewer, color: str) -> int:
    """Number of dots of the canvas that have a colour."""
    image = viewer.screenshot(canvas_only=True, flash=False)[..., :3]
    rgb = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
    return int((image == rgb).all(axis=-1).sum())


def lattice_color(name: str) -> str:
    return color("bravais_lattice", name)


def value_of(lattice: str) -> int:
    return BRAVAIS_LATTICES.index(lattice) + 1


def wait_for(qtbot, dock: LegendDock, *labels: str) -> None:
    qtbot.waitUntil(lambda: set(labels) <= set(shown(dock)))


# What it says


def test_without_data_it_says_how_to_begin(dock):
    assert dock.state.text() == "Open an EBSD file or a sample to begin"
    assert not dock.table.isVisible()
    assert not dock.save_figure_button.isEnabled()


def test_a_scan_that_is_not_classified_says_what_to_press(viewer, dock, qtbot):
    add_scan(viewer, load_scan(sample_path("nickel")))

    qtbot.waitUntil(lambda: "press Start" in dock.state.text())
    assert dock.title.text() == "nickel"
    assert not dock.table.isVisible()


def test_rows_are_those_of_the_maps_own_summary(viewer, dock, qtbot, classified):
    open_map(viewer, classified)
    wait_for(qtbot, dock, "m-3m")

    rows = dock.table.rows_model.rows
    summary = classified.summary()
    assert [row.count for row in rows[:-1]] == [row.count for row in summary]
    for row, expected in zip(rows, summary, strict=False):
        assert row.name.removeprefix("Laue ") == (expected.label or "undecided")
        assert row.color == color(expected.level, expected.label)
        assert row.share == pytest.approx(expected.fraction)
        assert row.mean_probability == pytest.approx(expected.mean_probability, abs=1e-6)
    assert rows[-1].name == "not classified yet"
    assert rows[-1].count == 60 * 80 - 20 * 30
    assert dock.state.text() == "600 of 4,800 patterns classified"


@pytest.mark.parametrize("level", LEVELS)
def test_it_follows_the_level_that_is_shown(viewer, dock, qtbot, classified, level):
    session = open_map(viewer, classified)
    wait_for(qtbot, dock, "m-3m")

    show_level(viewer, session, level)

    index, _ = classified.most_probable(level)
    values, counts = np.unique(index[classified.done], return_counts=True)
    expected = {names(level)[v]: int(n) for v, n in zip(values, counts, strict=True)}
    title = f"steel: {LEVEL_TITLES[level]}"
    qtbot.waitUntil(lambda: dock.title.text() == title)
    rows = dock.table.rows_model.rows[:-1]
    assert {row.name: row.count for row in rows} == expected
    assert [row.count for row in rows] == sorted(expected.values(), reverse=True)
    assert {row.name: row.color for row in rows} == {n: color(level, n) for n in expected}


def test_hiding_a_layer_by_its_eye_in_napari_shows_the_legend_of_the_next(
    viewer, dock, qtbot, classified
):
    session = open_map(viewer, classified)
    layer_for(viewer, session, "bravais_lattice").visible = True
    wait_for(qtbot, dock, "m-3m")

    layer_for(viewer, session, "label").visible = False

    wait_for(qtbot, dock, "cF", "cI")
    layer_for(viewer, session, "bravais_lattice").visible = False
    qtbot.waitUntil(lambda: "No map of labels is shown" in dock.state.text())
    assert not dock.table.isVisible()


def test_numbers_are_written_for_people(viewer, dock, qtbot, classified):
    session = open_map(viewer, classified)
    show_level(viewer, session, "bravais_lattice")
    wait_for(qtbot, dock, "cF")

    row = dock.table.rows_model.rows[0]
    assert text(dock, row.name, SHARE) == f"{100 * row.count / 600:.1f}"
    assert text(dock, row.name, PROBABILITY) == f"{row.mean_probability:.2f}"
    assert text(dock, "not classified yet", COUNT) == "4,200"
    assert text(dock, "not classified yet", SHARE) == ""


def test_undecided_pixels_come_after_all_names(viewer, dock, qtbot, classified):
    session = open_map(viewer, classified)

    session.set_threshold(0.999)
    refresh_layers(viewer, session)

    wait_for(qtbot, dock, "undecided")
    expected = {row.label: row.count for row in classified.summary(0.999)}
    qtbot.waitUntil(
        lambda: {r.name: r.count for r in dock.table.rows_model.rows}["undecided"] == expected[""]
    )
    assert shown(dock)[-2:] == ["undecided", "not classified yet"]


def test_the_legend_grows_while_the_map_fills(viewer, dock, qtbot, tiles):
    session = open_map(viewer, PhaseMap.empty((60, 80), threshold=0.6))
    show_level(viewer, session, "bravais_lattice")
    wait_for(qtbot, dock, "not classified yet")
    assert not dock.save_figure_button.isEnabled()

    done = 0
    for tile in tiles:
        session.fill(tile)
        refresh_layers(viewer, session)
        done += tile.size
        said = f"{done:,} of 4,800 patterns classified"
        qtbot.waitUntil(lambda said=said: dock.state.text() == said)
    assert done == 600
    assert {"cF", "cI"} <= set(shown(dock))
    assert dock.save_figure_button.isEnabled()


def test_many_drawings_in_a_row_are_counted_once(viewer, dock, qtbot, tiles):
    session = open_map(viewer, PhaseMap.empty((60, 80), threshold=0.6))
    wait_for(qtbot, dock, "not classified yet")
    counted: list[int] = []
    dock.table.rows_model.modelReset.connect(lambda: counted.append(1))
    dock.table.rows_model.layoutChanged.connect(lambda: counted.append(1))

    with qtbot.waitSignal(dock.table.rows_model.modelReset):
        for tile in tiles:
            session.fill(tile)
            refresh_layers(viewer, session)

    assert len(counted) == 1
    assert dock.state.text() == "600 of 4,800 patterns classified"


# What a click does


def test_a_click_shows_a_label_alone_and_a_second_one_all(viewer, dock, qtbot, classified):
    session = open_map(viewer, classified)
    show_level(viewer, session, "bravais_lattice")
    layer = layer_for(viewer, session, "bravais_lattice")
    wait_for(qtbot, dock, "cF", "cI")
    assert on_canvas(viewer, lattice_color("cI")) > 100

    press(dock, "cF")

    assert (layer.selected_label, layer.show_selected_label) == (value_of("cF"), True)
    assert on_canvas(viewer, lattice_color("cF")) > 100
    assert on_canvas(viewer, lattice_color("cI")) == 0

    press(dock, "cI")  # another one, not all
    assert (layer.selected_label, layer.show_selected_label) == (value_of("cI"), True)
    assert on_canvas(viewer, lattice_color("cF")) == 0

    press(dock, "cI")
    assert not layer.show_selected_label
    assert on_canvas(viewer, lattice_color("cF")) > 100
    assert on_canvas(viewer, lattice_color("cI")) > 100


def test_undecided_pixels_can_be_shown_alone(viewer, dock, qtbot, classified):
    session = open_map(viewer, classified)
    # Half of the map is undecided then, whatever the network is like.
    session.set_threshold(float(np.nanmedian(classified.most_probable("crystal_system")[1])))
    refresh_layers(viewer, session)
    wait_for(qtbot, dock, "undecided")
    commonest = dock.table.rows_model.rows[0]
    assert on_canvas(viewer, commonest.color) > 100

    press(dock, "undecided")

    assert on_canvas(viewer, color("none", "")) > 100
    assert on_canvas(viewer, commonest.color) == 0


def test_labels_of_one_color_are_told_apart(viewer, dock, qtbot):
    """A Laue group has the colour of the point group of its name."""
    sure = np.zeros((4, 8, 32))
    sure[:, :4, POINT_GROUPS.index("m-3m")] = 1
    sure[:, 4:, POINT_GROUPS.index("m-3m")] = 0.5
    sure[:, 4:, POINT_GROUPS.index("432")] = 0.5
    lattice = np.zeros((4, 8, 14))
    lattice[..., BRAVAIS_LATTICES.index("cF")] = 1
    open_map(viewer, PhaseMap(sure, lattice, np.ones((4, 8)), threshold=0.8))
    wait_for(qtbot, dock, "m-3m", "Laue m-3m")
    both = on_canvas(viewer, color("point_group", "m-3m"))

    press(dock, "Laue m-3m")

    assert on_canvas(viewer, color("point_group", "m-3m")) == pytest.approx(both / 2, rel=0.05)


def test_an_eye_hides_a_label_and_shows_it_again(viewer, dock, qtbot, classified):
    session = open_map(viewer, classified)
    show_level(viewer, session, "bravais_lattice")
    wait_for(qtbot, dock, "cF", "cI")
    before = on_canvas(viewer, lattice_color("cI"))

    press(dock, "cI", EYE)

    assert on_canvas(viewer, lattice_color("cI")) == 0
    assert on_canvas(viewer, lattice_color("cF")) > 100
    assert not layer_for(viewer, session, "bravais_lattice").show_selected_label

    press(dock, "cI", EYE)
    assert on_canvas(viewer, lattice_color("cI")) == before


def test_what_is_hidden_stays_hidden_while_the_map_fills(viewer, dock, qtbot, tiles):
    session = open_map(viewer, PhaseMap.empty((60, 80), threshold=0.6))
    show_level(viewer, session, "bravais_lattice")
    session.fill(tiles[0])
    refresh_layers(viewer, session)
    wait_for(qtbot, dock, "cF")
    press(dock, "cF", EYE)

    for tile in tiles[1:]:
        session.fill(tile)
        refresh_layers(viewer, session)

    qtbot.waitUntil(lambda: dock.state.text().startswith("600 of"))
    assert on_canvas(viewer, lattice_color("cF")) == 0
    assert on_canvas(viewer, lattice_color("cI")) > 100
    model = dock.table.rows_model
    eye = model.data(model.index(model.row_of(value_of("cF")), EYE), Qt.ItemDataRole.CheckStateRole)
    assert eye == Qt.CheckState.Unchecked


def test_what_is_hidden_stays_hidden_when_the_layer_gets_new_colors(
    viewer, dock, qtbot, classified
):
    session = open_map(viewer, classified)
    show_level(viewer, session, "bravais_lattice")
    layer = layer_for(viewer, session, "bravais_lattice")
    wait_for(qtbot, dock, "cF", "cI")
    press(dock, "cF", EYE)

    layer.colormap = {value_of("cF"): "#00ff00", value_of("cI"): "#0000ff", None: "#ff00ff"}

    assert on_canvas(viewer, "#00ff00") == 0
    assert on_canvas(viewer, "#0000ff") > 100
    press(dock, "cF", EYE)
    assert on_canvas(viewer, "#00ff00") > 100


def test_a_hidden_label_appears_when_it_is_to_be_shown_alone(viewer, dock, qtbot, classified):
    session = open_map(viewer, classified)
    show_level(viewer, session, "bravais_lattice")
    wait_for(qtbot, dock, "cF", "cI")
    press(dock, "cI", EYE)

    press(dock, "cI")

    assert on_canvas(viewer, lattice_color("cI")) > 100
    assert on_canvas(viewer, lattice_color("cF")) == 0


def test_show_all_shows_all(viewer, dock, qtbot, classified):
    session = open_map(viewer, classified)
    show_level(viewer, session, "bravais_lattice")
    wait_for(qtbot, dock, "cF", "cI")
    assert not dock.show_all_button.isEnabled()
    press(dock, "cI", EYE)
    press(dock, "cF")

    QTest.mouseClick(dock.show_all_button, Qt.MouseButton.LeftButton)

    assert on_canvas(viewer, lattice_color("cI")) > 100
    assert on_canvas(viewer, lattice_color("cF")) > 100
    assert not dock.show_all_button.isEnabled()


def test_the_keyboard_does_it_too(viewer, dock, qtbot, classified):
    session = open_map(viewer, classified)
    show_level(viewer, session, "bravais_lattice")
    layer = layer_for(viewer, session, "bravais_lattice")
    wait_for(qtbot, dock, "cF", "cI")
    first, second = shown(dock)[:2]
    table = dock.table
    table.setFocus()

    QTest.keyClick(table, Qt.Key.Key_Down)
    QTest.keyClick(table, Qt.Key.Key_Home, Qt.KeyboardModifier.ControlModifier)
    QTest.keyClick(table, Qt.Key.Key_Down)
    assert layer.selected_label == value_of(second)
    assert not layer.show_selected_label

    QTest.keyClick(table, Qt.Key.Key_Return)
    assert on_canvas(viewer, lattice_color(first)) == 0
    QTest.keyClick(table, Qt.Key.Key_Return)
    assert on_canvas(viewer, lattice_color(first)) > 100

    QTest.keyClick(table, Qt.Key.Key_Space)
    assert on_canvas(viewer, lattice_color(second)) == 0


def test_the_row_of_what_is_not_classified_does_nothing(viewer, dock, qtbot, classified):
    session = open_map(viewer, classified)
    wait_for(qtbot, dock, "m-3m")
    layer = layer_for(viewer, session, "label")
    before = layer.selected_label

    press(dock, "not classified yet")
    press(dock, "not classified yet", EYE)

    assert (layer.selected_label, layer.show_selected_label) == (before, False)
    assert not dock.show_all_button.isEnabled()


def test_a_double_click_zooms_to_the_largest_area(viewer, dock, qtbot):
    lattice = np.zeros((60, 80, 14))
    lattice[..., BRAVAIS_LATTICES.index("cF")] = 1
    for part in ((slice(40, 50), slice(60, 72)), (slice(3, 4), slice(5, 6))):
        lattice[part] = 0
        lattice[(*part, BRAVAIS_LATTICES.index("cI"))] = 1
    group = np.zeros((60, 80, 32))
    group[..., POINT_GROUPS.index("m-3m")] = 1
    phase_map = PhaseMap(group, lattice, np.ones((60, 80)), step=(0.2, 0.2), units="um")
    session = open_map(viewer, phase_map)
    show_level(viewer, session, "bravais_lattice")
    wait_for(qtbot, dock, "cI")
    before = viewer.scene.camera.zoom

    double_click(dock, "cI")

    assert viewer.scene.camera.zoom > 2 * before
    np.testing.assert_allclose(viewer.scene.camera.center[-2:], (44.5 * 0.2, 65.5 * 0.2))
    assert layer_for(viewer, session, "bravais_lattice").show_selected_label
    # All of the area is on the canvas, and nothing else of the map in colour.
    assert on_canvas(viewer, lattice_color("cI")) == pytest.approx(
        10 * 12 * (0.2 * viewer.scene.camera.zoom) ** 2, rel=0.02
    )
    assert on_canvas(viewer, lattice_color("cF")) == 0


def test_a_new_legend_has_no_row_selected(viewer, dock, qtbot, classified):
    open_map(viewer, classified)
    wait_for(qtbot, dock, "m-3m")

    assert not dock.table.selectionModel().hasSelection()


def test_a_label_picked_in_napari_is_selected_in_the_legend(viewer, dock, qtbot, classified):
    session = open_map(viewer, classified)
    show_level(viewer, session, "bravais_lattice")
    wait_for(qtbot, dock, "cF", "cI")

    layer_for(viewer, session, "bravais_lattice").selected_label = value_of("cI")

    (index,) = dock.table.selectionModel().selectedRows()
    assert dock.table.rows_model.rows[index.row()].name == "cI"


# Several data sets, and their end


def test_two_data_sets_have_legends_of_their_own(viewer, dock, qtbot, classified, tiles):
    first = open_map(viewer, classified, "first")
    few = PhaseMap.empty((60, 80), threshold=0.6)
    tiles[0].fill_into(few)
    second = open_map(viewer, few, "second")
    for session in (first, second):
        show_level(viewer, session, "bravais_lattice")
    viewer.layers.selection.active = layer_for(viewer, first, "bravais_lattice")
    qtbot.waitUntil(lambda: dock.title.text() == "first: Bravais lattice")
    assert dock.state.text().startswith("600 of")
    press(dock, "cF", EYE)

    viewer.layers.selection.active = layer_for(viewer, second, "bravais_lattice")

    qtbot.waitUntil(lambda: dock.title.text() == "second: Bravais lattice")
    assert dock.state.text().startswith("120 of")
    assert not dock.table.rows_model.hidden
    viewer.layers.selection.active = layer_for(viewer, first, "bravais_lattice")
    qtbot.waitUntil(lambda: dock.title.text() == "first: Bravais lattice")
    assert dock.table.rows_model.hidden == {value_of("cF")}


def test_removing_the_layers_empties_the_legend_and_lets_go_of_the_data(
    viewer, dock, qtbot, classified
):
    session = open_map(viewer, classified)
    wait_for(qtbot, dock, "m-3m")
    press(dock, "m-3m")
    alive = weakref.ref(session)
    del session

    viewer.layers.clear()

    qtbot.waitUntil(lambda: dock.state.text() == "Open an EBSD file or a sample to begin")
    assert shown(dock) == []
    assert not dock.save_legend_button.isEnabled()

    def is_gone() -> bool:
        gc.collect()
        return alive() is None

    qtbot.waitUntil(is_gone)


def test_a_closed_legend_leaves_the_map_alone(viewer, dock, qtbot, tiles):
    session = open_map(viewer, PhaseMap.empty((60, 80), threshold=0.6))
    wait_for(qtbot, dock, "not classified yet")
    layer = layer_for(viewer, session, "label")

    with gone_after(dock, qtbot):
        viewer.window.remove_dock_widget(dock)
        dock.deleteLater()
    for tile in tiles:
        session.fill(tile)
        refresh_layers(viewer, session)
    layer.selected_label = 3
    layer.show_selected_label = True
    session.set_threshold(0.3)
    viewer.layers.clear()

    assert messages() == []


def test_closing_the_legend_lets_go_of_it(viewer, qtbot, classified):
    open_map(viewer, classified)
    dock = LegendDock(viewer)
    viewer.window.add_dock_widget(dock, area="right", name="EBSD phase legend")
    wait_for(qtbot, dock, "m-3m")
    press(dock, "m-3m")
    alive = weakref.ref(dock)

    viewer.window.remove_dock_widget(dock)
    del dock

    def is_gone() -> bool:
        gc.collect()
        return alive() is None

    qtbot.waitUntil(is_gone)


def test_another_legend_of_the_same_map_knows_what_is_hidden(viewer, dock, qtbot, classified):
    session = open_map(viewer, classified)
    show_level(viewer, session, "bravais_lattice")
    wait_for(qtbot, dock, "cF")
    press(dock, "cF", EYE)

    again = LegendDock(viewer)
    qtbot.addWidget(again)

    assert again.table.rows_model.hidden == {value_of("cF")}


# Files


def save_with_dialog(qtbot, dock: LegendDock, button: QPushButton, path: Path) -> None:
    """Press a button, give a name in the dialog that opens, and press Save."""
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: dock.findChild(QFileDialog) is not None)
    dialog = dock.findChild(QFileDialog)
    qtbot.waitExposed(dialog)
    dialog.setDirectory(str(path.parent))
    dialog.selectFile(str(path))
    box = dialog.findChild(QDialogButtonBox)
    with gone_after(dialog, qtbot):
        QTest.mouseClick(
            box.button(QDialogButtonBox.StandardButton.Save), Qt.MouseButton.LeftButton
        )


def messages() -> list[str]:
    return [record.message for record in notification_manager.records]


def test_the_legend_is_saved_as_a_table(viewer, dock, qtbot, classified, tmp_path):
    session = open_map(viewer, classified)
    show_level(viewer, session, "bravais_lattice")
    wait_for(qtbot, dock, "cF", "cI")
    press(dock, "cI", EYE)

    save_with_dialog(qtbot, dock, dock.save_legend_button, tmp_path / "legend.csv")

    with (tmp_path / "legend.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    expected = [row for row in dock.table.rows_model.rows if row.value and row.name != "cI"]
    assert [(r["label"], r["color"], int(r["pixels"])) for r in rows] == [
        (row.name, row.color, row.count) for row in expected
    ]
    assert [f"Legend saved as {tmp_path / 'legend.csv'}"] == messages()


def test_the_figure_is_what_one_sees(viewer, dock, qtbot, classified, tmp_path):
    session = open_map(viewer, classified)
    show_level(viewer, session, "bravais_lattice")
    wait_for(qtbot, dock, "cF", "cI")
    press(dock, "cF")

    save_with_dialog(qtbot, dock, dock.save_figure_button, tmp_path / "map.png")

    assert messages() == [f"Figure saved as {tmp_path / 'map.png'}"]
    with Image.open(tmp_path / "map.png") as image:
        dots = np.asarray(image.convert("RGB")).reshape(-1, 3)
    found = {"#{:02x}{:02x}{:02x}".format(*dot) for dot in np.unique(dots, axis=0)}
    assert lattice_color("cF") in found
    assert lattice_color("cI") not in found


def test_a_name_without_an_ending_gets_that_of_the_chosen_format(
    viewer, dock, qtbot, classified, tmp_path
):
    open_map(viewer, classified)
    wait_for(qtbot, dock, "m-3m")
    QTest.mouseClick(dock.save_figure_button, Qt.MouseButton.LeftButton)
    dialog = dock.findChild(QFileDialog)
    dialog.selectNameFilter("Drawing (*.svg)")
    dialog.filterSelected.emit("Drawing (*.svg)")
    assert dialog.defaultSuffix() == "svg"

    with gone_after(dialog, qtbot):
        dialog.reject()
    assert messages() == []


def test_a_figure_that_cannot_be_written_is_one_sentence(viewer, dock, qtbot, classified, tmp_path):
    open_map(viewer, classified)
    wait_for(qtbot, dock, "m-3m")

    save_with_dialog(qtbot, dock, dock.save_figure_button, tmp_path / "map.bmp")

    (message,) = messages()
    assert message == "cannot draw to the format '.bmp': use one of .png, .svg, .pdf"
