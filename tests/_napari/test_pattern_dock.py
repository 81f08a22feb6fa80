# SPDX-License-Identifier: GPL-3.0-or-later
"""Clicks, drags and keys on a map show the pattern there, what it is called, and why."""

from __future__ import annotations

import gc
import shutil
import threading
import weakref
from pathlib import Path

import numpy as np
import pytest
from napari.layers import Shapes
from PIL import Image
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QFileDialog, QLineEdit

from napari_ebsd_phase import InputError, PhaseMap, centred, classify, load_scan
from napari_ebsd_phase._napari.layers import add_result, add_scan, layer_for, show_level
from napari_ebsd_phase._napari.pattern_dock import PatternDock
from napari_ebsd_phase._napari.pattern_marker import MARKER_NAME
from napari_ebsd_phase._napari.session import MapSession, session_of
from napari_ebsd_phase.crystallography import LEVELS, color, names
from napari_ebsd_phase.mapping import scan_screen
from napari_ebsd_phase.preprocessing import prepare
from napari_ebsd_phase.saliency import explain
from napari_ebsd_phase.samples import sample_path

from ._canvas import Canvas, move_mouse

LONG = 120_000
PART = (slice(8, 16), slice(20, 40))


@pytest.fixture
def viewer(make_napari_viewer):
    return make_napari_viewer(show=True)


@pytest.fixture
def dock(viewer, qtbot) -> PatternDock:
    return dock_in(viewer, qtbot)


@pytest.fixture
def steel(viewer, dock) -> MapSession:
    """The sample of two phases, opened and not classified, with some room around it."""
    session = add_scan(viewer, load_scan(sample_path("two_phase")))
    # The dock has made the canvas narrower.
    QApplication.processEvents()
    viewer.fit_to_view()
    return session


@pytest.fixture
def canvas(viewer, dock) -> Canvas:
    return Canvas(viewer, dock)


@pytest.fixture(scope="module")
def _classified(network) -> PhaseMap:
    with load_scan(sample_path("two_phase")) as scan:
        return classify(scan, network, region=PART, threshold=0.5)


@pytest.fixture
def part_map(_classified) -> PhaseMap:
    """A map of the sample of which a part is classified."""
    return _classified.crop(slice(None), slice(None))


def dock_in(viewer, qtbot) -> PatternDock:
    dock = PatternDock(viewer)
    viewer.window.add_dock_widget(dock, name="EBSD pattern", area="right")
    qtbot.waitUntil(dock.isVisible)
    return dock


def wait_for_answer(dock, qtbot) -> None:
    """Wait until all that was asked is on view."""

    def is_there() -> bool:
        return (
            not dock.busy
            and dock.chosen.place == dock.place
            and all(
                panel.view.pattern is not None and not panel.needs(dock.controls.request)
                for panel in dock.panels()
            )
        )

    qtbot.waitUntil(is_there, timeout=LONG)


def place_of(dock) -> tuple[int, int]:
    return dock.place.row, dock.place.col


def expected_heat(session, network, row, col, target, **settings) -> np.ndarray:
    return explain(
        session.scan.pattern(row, col),
        centred(session.scan, network),
        target,
        background=session.scan.static_background,
        mask=scan_screen(session.scan),
        **settings,
    )


def chosen_classes(dock) -> list[str]:
    return [bar.name for bar in dock.summary.bars.bars]


def pixel_marks(viewer) -> list[list[int]]:
    """Rows and columns that are marked on the map, each once."""
    if MARKER_NAME not in viewer.layers:
        return []
    return np.unique(viewer.layers[MARKER_NAME].data.astype(int), axis=0).tolist()


def threads() -> list[threading.Thread]:
    """The threads of a dock."""
    ours = ("ebsd-read-pattern", "ebsd-explain-pattern")
    return [thread for thread in threading.enumerate() if thread.name.startswith(ours)]


def answer_dialog(dock, path: Path, qtbot) -> None:
    """Type a name into the open file dialog and accept it."""
    find = lambda: [d for d in dock.window().findChildren(QFileDialog) if d.isVisible()]  # noqa: E731
    qtbot.waitUntil(lambda: bool(find()))
    (dialog,) = find()
    dialog.findChild(QLineEdit).setText(str(path))
    dialog.accept()


# Click ------------------------------------------------------------------------------------------


def test_an_empty_dock_says_how_to_begin(dock):
    assert dock.chosen.view.message == "Open an EBSD file or a sample to begin"
    assert not dock.save_button.isEnabled()
    assert not dock.pin_button.isEnabled()
    assert dock.summary.isHidden()


def test_with_a_map_it_says_what_to_click(dock, steel):
    assert dock.chosen.view.message.startswith("Click a pixel")


def test_a_click_shows_the_pattern_of_that_pixel(dock, steel, canvas, qtbot):
    canvas.click(steel, 17, 61)

    qtbot.waitUntil(lambda: dock.chosen.view.pattern is not None)
    np.testing.assert_array_equal(dock.chosen.view.pattern, steel.scan.pattern(17, 61))
    assert place_of(dock) == (17, 61)
    assert dock.chosen.caption.text().startswith("row 17, col 61 · x 12.2 µm, y 3.4 µm")


def test_the_heat_map_of_the_best_class_follows(dock, steel, canvas, network, qtbot):
    canvas.click(steel, 17, 61)
    wait_for_answer(dock, qtbot)

    network = centred(steel.scan, network)
    outputs = network.scores(
        steel.scan.pattern(17, 61)[np.newaxis],
        background=steel.scan.static_background,
        mask=scan_screen(steel.scan),
    )
    groups, _ = network.probabilities(outputs.scores)
    best = dock.summary.bars.bars[0]
    assert best.name == names("point_group")[int(groups[0].argmax())]
    assert best.probability == pytest.approx(groups[0].max(), abs=1e-3)
    assert best.color == color("point_group", best.name)
    np.testing.assert_allclose(
        dock.chosen.view.heat,
        expected_heat(steel, network, 17, 61, dock.chosen.answer.target),
        rtol=1e-3,
        atol=1e-4,
    )
    assert f"evidence for {dock.chosen.answer.target}" in dock.chosen.caption.text()


def test_a_click_selects_no_layer_and_marks_the_pixel_on_the_scale_of_the_map(
    viewer, dock, steel, canvas, qtbot
):
    selected = viewer.layers.selection.active

    canvas.click(steel, 17, 61)
    canvas.click(steel, 30, 12)

    qtbot.waitUntil(lambda: pixel_marks(viewer) == [[30, 12]])
    marker = viewer.layers[MARKER_NAME]
    assert viewer.layers.selection.active is selected
    assert set(viewer.layers.selection) == {selected}
    assert tuple(marker.scale) == steel.step
    assert marker.units == selected.units
    assert session_of(marker) is None


def test_the_marker_stays_on_top_of_layers_that_come_later(
    viewer, dock, steel, canvas, part_map, qtbot
):
    canvas.click(steel, 17, 61)
    qtbot.waitUntil(lambda: pixel_marks(viewer) == [[17, 61]])
    steel.set_map(part_map)
    add_result(viewer, steel)

    qtbot.waitUntil(lambda: viewer.layers[-1].name == MARKER_NAME)


def test_a_click_beside_the_map_chooses_nothing(viewer, dock, steel, canvas):
    canvas.click(steel, -3, 10)

    assert dock.place is None
    assert pixel_marks(viewer) == []


def test_while_a_shape_is_drawn_clicks_belong_to_it(viewer, dock, steel, canvas):
    shapes = Shapes(ndim=2, scale=steel.step)
    viewer.add_layer(shapes)
    shapes.mode = "add_rectangle"

    canvas.drag(steel, [(10, 10), (15, 15), (20, 30)])

    assert dock.place is None
    assert len(shapes.data) == 1


@pytest.mark.parametrize("modifier", ["AltModifier", "ControlModifier", "ShiftModifier"])
def test_a_click_with_a_modifier_chooses_nothing(dock, steel, canvas, modifier):
    canvas.click(steel, 10, 10, getattr(Qt.KeyboardModifier, modifier))

    assert dock.place is None


def test_a_hidden_map_cannot_be_clicked(viewer, dock, steel, canvas):
    layer_for(viewer, steel, "mean_intensity").visible = False

    canvas.click(steel, 10, 10)

    assert dock.place is None


# Drag and keys ----------------------------------------------------------------------------------


def test_a_drag_goes_through_the_patterns_and_leaves_the_map_where_it_is(
    viewer, dock, steel, canvas, qtbot
):
    center = viewer.scene.camera.center
    way = [(20, col) for col in range(20, 60)] + [(28, 61)]
    seen = []
    dock.probe.moved.connect(lambda: seen.append(dock.place))

    canvas.drag(steel, way)

    # It keeps no list of what it was too slow for, but the first and the last are always seen.
    found = [(place.row, place.col) for place in seen]
    assert found == [pixel for pixel in way if pixel in found]
    assert found[0] == way[0]
    assert found[-1] == way[-1]
    assert viewer.scene.camera.center == center
    assert viewer.scene.camera.mouse_pan
    wait_for_answer(dock, qtbot)
    np.testing.assert_array_equal(dock.chosen.view.pattern, steel.scan.pattern(28, 61))


def test_a_slow_drag_shows_every_pattern_on_its_way(dock, steel, canvas, qtbot):
    point = canvas.point(steel, 20, 20)
    QTest.mousePress(canvas.widget, Qt.MouseButton.LeftButton, pos=point)

    for pixel in [(21, 22), (25, 30), (28, 41)]:

        def has_moved(pixel=pixel) -> bool:
            move_mouse(canvas.widget, canvas.point(steel, *pixel), Qt.MouseButton.LeftButton)
            return place_of(dock) == pixel

        qtbot.waitUntil(has_moved)
        qtbot.waitUntil(
            lambda: np.array_equal(dock.chosen.view.pattern, steel.scan.pattern(*place_of(dock)))
        )


def test_a_drag_beyond_the_edge_stays_in_the_map(dock, steel, canvas):
    canvas.drag(steel, [(2, 2), (-2, 3), (-2, -2)])

    assert place_of(dock) == (0, 0)


def test_a_drag_with_shift_moves_the_map(viewer, dock, steel, canvas):
    before = canvas.point(steel, 20, 20)

    canvas.drag(steel, [(20, 20), (22, 22), (30, 40)], Qt.KeyboardModifier.ShiftModifier)

    assert dock.place is None
    moved = canvas.point(steel, 20, 20) - before
    zoom = viewer.scene.camera.zoom
    assert (moved.x(), moved.y()) == pytest.approx((20 * 0.2 * zoom, 10 * 0.2 * zoom), abs=2)


def test_a_drag_beside_the_map_moves_it_as_ever(viewer, dock, steel, canvas, qtbot):
    center = viewer.scene.camera.center
    start, end = canvas.point(steel, -3, 20), canvas.point(steel, -3, 30)
    QTest.mousePress(canvas.widget, Qt.MouseButton.LeftButton, pos=start)

    def has_moved() -> bool:
        move_mouse(canvas.widget, end, Qt.MouseButton.LeftButton)
        return viewer.scene.camera.center != center

    qtbot.waitUntil(has_moved)
    assert dock.place is None


def test_a_quick_drag_ends_where_the_button_is_released(dock, steel, canvas):
    QTest.mousePress(canvas.widget, Qt.MouseButton.LeftButton, pos=canvas.point(steel, 10, 10))
    QTest.mouseRelease(canvas.widget, Qt.MouseButton.LeftButton, pos=canvas.point(steel, 30, 50))

    assert place_of(dock) == (30, 50)


def test_arrow_keys_over_the_map_go_to_the_next_pixel(dock, steel, canvas, qtbot):
    canvas.click(steel, 1, 1)

    for key in (Qt.Key.Key_Right, Qt.Key.Key_Right, Qt.Key.Key_Down, Qt.Key.Key_Left):
        canvas.key(key)
    assert place_of(dock) == (2, 2)
    for _ in range(5):
        canvas.key(Qt.Key.Key_Up)

    assert place_of(dock) == (0, 2)
    wait_for_answer(dock, qtbot)
    np.testing.assert_array_equal(dock.chosen.view.pattern, steel.scan.pattern(0, 2))


def test_arrow_keys_on_the_picture_do_the_same(dock, steel, canvas):
    canvas.click(steel, 1, 1)

    dock.chosen.view.setFocus()
    QTest.keyClick(dock.chosen.view, Qt.Key.Key_Down)

    assert place_of(dock) == (2, 1)


def test_arrow_keys_are_napari_s_until_a_pixel_is_chosen(viewer, dock, steel, canvas):
    canvas.key(Qt.Key.Key_Right)

    assert dock.place is None
    assert not viewer.keymap


def test_sliders_keep_their_arrow_keys(viewer, dock, steel, canvas):
    units = ("um", "um", "um")
    viewer.add_image(np.zeros((5, 60, 80)), scale=(1, *steel.step), units=units, visible=False)
    viewer.dims.set_current_step(0, 2)
    canvas.click(steel, 3, 3)

    canvas.key(Qt.Key.Key_Left)
    canvas.key(Qt.Key.Key_Down)

    assert viewer.dims.current_step[0] == 1
    assert place_of(dock) == (4, 3)


def test_only_the_last_of_many_clicks_is_explained(dock, steel, canvas, qtbot):
    shown = []
    dock._explainer.answered.connect(shown.append)

    for col in range(40):
        dock.show_pixel(steel, 5, col)
    wait_for_answer(dock, qtbot)
    # The list hears of an answer after the dock does.
    qtbot.waitUntil(lambda: bool(shown) and shown[-1].heat is not None)

    # The last one, and what was at work when others came.
    assert len(shown) < 20
    np.testing.assert_array_equal(shown[-1].pattern, steel.scan.pattern(5, 39))
    np.testing.assert_array_equal(dock.chosen.view.pattern, steel.scan.pattern(5, 39))
    assert dock.chosen.view.heat is shown[-1].heat


# What is asked ----------------------------------------------------------------------------------


@pytest.mark.parametrize("level", LEVELS)
def test_any_class_of_any_level_can_be_explained(dock, steel, network, qtbot, level):
    dock.controls.level_box.setCurrentIndex(LEVELS.index(level))
    target, against = names(level)[-1], names(level)[0]
    dock.show_pixel(steel, 30, 40)
    wait_for_answer(dock, qtbot)
    assert set(chosen_classes(dock)) <= set(names(level))

    box = dock.controls.target_box
    box.setCurrentIndex(box.findData(target))
    box = dock.controls.against_box
    box.setCurrentIndex(box.findData(against))
    wait_for_answer(dock, qtbot)

    assert f"evidence for {target} against {against}" in dock.chosen.caption.text()
    assert [bar.name for bar in dock.summary.bars.bars if bar.explained] == [target]
    np.testing.assert_allclose(
        dock.chosen.view.heat,
        expected_heat(steel, network, 30, 40, target, level=level, against=against),
        rtol=1e-3,
        atol=1e-4,
    )


def test_a_click_on_a_bar_explains_its_class_and_a_second_one_the_best_again(dock, steel, qtbot):
    dock.show_pixel(steel, 30, 40)
    wait_for_answer(dock, qtbot)
    bars = dock.summary.bars
    best, third = bars.bars[0].name, bars.bars[2].name

    def click_third() -> None:
        place = bars.rect_of(2).center().toPoint()
        QTest.mouseClick(bars, Qt.MouseButton.LeftButton, pos=place)
        wait_for_answer(dock, qtbot)

    click_third()
    assert dock.chosen.answer.target == third
    click_third()
    assert dock.chosen.answer.target == best


def test_a_slower_method_and_none_at_all(dock, steel, network, qtbot):
    box = dock.controls.method_box
    box.setCurrentIndex(box.findData("occlusion"))
    dock.show_pixel(steel, 30, 40)
    wait_for_answer(dock, qtbot)
    target = dock.chosen.answer.target
    occlusion = expected_heat(steel, network, 30, 40, target, method="occlusion")
    np.testing.assert_allclose(dock.chosen.view.heat, occlusion, rtol=1e-2, atol=1e-3)

    box.setCurrentIndex(box.findData(None))
    wait_for_answer(dock, qtbot)

    assert dock.chosen.view.heat is None
    assert dock.chosen.caption.text().count("evidence") == 0


def test_a_slow_method_does_not_keep_the_next_pattern_waiting(dock, steel, qtbot):
    box = dock.controls.method_box
    box.setCurrentIndex(box.findData("integrated_gradients"))
    dock.show_pixel(steel, 30, 40)
    qtbot.waitUntil(lambda: dock.chosen.answer is not None, timeout=LONG)

    dock.show_pixel(steel, 31, 40)
    qtbot.waitUntil(lambda: np.array_equal(dock.chosen.view.pattern, steel.scan.pattern(31, 40)))

    # The one before is still at work: nothing of it is shown over this pattern.
    assert dock.busy
    assert dock.chosen.view.heat is None
    box.setCurrentIndex(0)
    wait_for_answer(dock, qtbot)


def test_a_slow_method_tells_how_far_it_is_and_can_be_stopped(dock, steel, notices, qtbot):
    controls = dock.controls
    box, button = controls.method_box, controls.stop_button
    assert not button.isVisible()
    box.setCurrentIndex(box.findData("integrated_gradients"))
    dock.show_pixel(steel, 30, 40)
    qtbot.waitUntil(button.isVisible, timeout=LONG)
    assert button.text().endswith(" %)")

    QTest.mouseClick(button, Qt.MouseButton.LeftButton)

    assert not button.isVisible()
    assert box.currentData() == "cam"
    wait_for_answer(dock, qtbot)
    assert dock.chosen.answer.request.method == "cam"
    assert not notices
    # What ran to its end takes the button away, too.
    box.setCurrentIndex(box.findData("occlusion"))
    qtbot.waitUntil(button.isVisible, timeout=LONG)
    wait_for_answer(dock, qtbot)
    assert not button.isVisible()


def test_a_class_is_not_weighed_against_itself_and_that_is_said(dock, steel, qtbot):
    controls = dock.controls
    dock.show_pixel(steel, 30, 40)
    wait_for_answer(dock, qtbot)
    reported = dock.chosen.answer.target
    place = controls.against_box.findData(reported)
    assert not controls.against_box.model().item(place).isEnabled()
    assert not controls.same_note.isVisible()

    controls.against_box.setCurrentIndex(place)  # as by a pattern with another class before

    assert controls.same_note.text().startswith(f"{reported} is the class itself")
    other = next(name for name in names("point_group") if name != reported)
    controls.target_box.setCurrentIndex(controls.target_box.findData(other))
    assert not controls.same_note.isVisible()
    wait_for_answer(dock, qtbot)
    assert dock.chosen.answer.against == reported


def test_the_pattern_as_the_network_sees_it(dock, steel, network, qtbot):
    dock.show_pixel(steel, 30, 40)
    dock.controls.seen_button.click()
    wait_for_answer(dock, qtbot)

    expected = prepare(
        steel.scan.pattern(30, 40)[np.newaxis],
        network.preprocessing,
        background=steel.scan.static_background,
        mask=scan_screen(steel.scan),
    )
    np.testing.assert_array_equal(dock.chosen.view.network_view.pixels, expected[0, 0].numpy())
    dock.controls.seen_button.click()
    wait_for_answer(dock, qtbot)
    assert dock.chosen.view.network_view is None


def test_opacity_and_colours_only_change_the_drawing(dock, steel, qtbot):
    dock.show_pixel(steel, 30, 40)
    wait_for_answer(dock, qtbot)
    heat = dock.chosen.view.heat
    first = dock.chosen.view.picture()

    dock.controls.colormap_box.setCurrentIndex(2)
    second = dock.chosen.view.picture()
    dock.controls.opacity_slider.setValue(0)
    third = dock.chosen.view.picture()

    assert dock.chosen.view.heat is heat
    assert first != second
    assert second != third


# With a map -------------------------------------------------------------------------------------


def test_where_the_map_is_classified_its_probabilities_are_shown(
    viewer, dock, steel, canvas, part_map, qtbot
):
    steel.set_map(part_map)
    add_result(viewer, steel)
    for level in LEVELS:
        dock.controls.level_box.setCurrentIndex(LEVELS.index(level))
        canvas.click(steel, 10, 25 + LEVELS.index(level))
        wait_for_answer(dock, qtbot)

        probabilities = part_map.probabilities(level)[place_of(dock)]
        bars = dock.summary.bars.bars
        order = np.argsort(-probabilities)[: len(bars)]
        assert [bar.probability for bar in bars] == pytest.approx(probabilities[order].tolist())
        assert dock.summary.note.isHidden()


def test_elsewhere_the_pattern_is_asked_alone_and_that_is_said(
    viewer, dock, steel, canvas, part_map, qtbot
):
    steel.set_map(part_map)
    add_result(viewer, steel)

    canvas.click(steel, 40, 60)
    wait_for_answer(dock, qtbot)

    assert not part_map.done[40, 60]
    assert dock.summary.note.text() == "This pattern alone: not in the map yet"
    assert dock.chosen.view.heat is not None


def test_once_the_map_is_there_it_has_the_word(viewer, dock, steel, part_map, qtbot):
    dock.show_pixel(steel, 10, 25)
    wait_for_answer(dock, qtbot)
    assert dock.chosen.answer.computed

    steel.set_map(part_map)
    add_result(viewer, steel)

    qtbot.waitUntil(lambda: not dock.chosen.answer or not dock.chosen.answer.computed)
    wait_for_answer(dock, qtbot)
    assert dock.summary.note.isHidden()


def test_another_level_on_the_map_asks_nothing_again(viewer, dock, steel, part_map, qtbot):
    steel.set_map(part_map)
    add_result(viewer, steel)
    dock.show_pixel(steel, 10, 25)
    wait_for_answer(dock, qtbot)
    answer = dock.chosen.answer

    show_level(viewer, steel, "laue_group")

    assert dock.chosen.answer is answer
    assert not dock.busy


def test_the_label_follows_the_threshold(viewer, dock, mixed_map, qtbot):
    session = MapSession(None, mixed_map, name="mixed")
    add_result(viewer, session)
    dock.show_pixel(session, 2, 2)
    assert dock.summary.label.text().startswith("cubic · crystal system")
    assert dock.summary.details.text() == "almost certain · lattice cF 100 % · quality 0.90"

    session.set_threshold(0.5)
    assert dock.summary.label.text() == "m-3m · Laue group · 60 %"
    assert dock.summary.details.text().startswith("more likely than not")

    session.set_threshold(0.3)
    assert dock.summary.label.text() == "m-3m · point group · 40 %"
    assert dock.summary.details.text().startswith("a guess")


@pytest.mark.parametrize(
    ("col", "text"),
    [
        (0, "m-3m · point group · 100 %"),
        (3, "Undecided"),
        (4, "No name: hardly a Kikuchi pattern"),
    ],
)
def test_the_label_is_said_in_words(viewer, dock, mixed_map, col, text):
    session = MapSession(None, mixed_map, name="mixed")
    add_result(viewer, session)

    dock.show_pixel(session, 2, col)

    assert dock.summary.label.text().startswith(text)


# Pin --------------------------------------------------------------------------------------------


def test_a_pinned_pattern_stays_while_the_next_ones_are_looked_at(
    viewer, dock, steel, canvas, qtbot
):
    canvas.click(steel, 10, 10)
    wait_for_answer(dock, qtbot)
    heat = dock.chosen.view.heat

    dock.pin_button.click()
    canvas.click(steel, 40, 60)
    wait_for_answer(dock, qtbot)

    assert dock.pinned.isVisible()
    np.testing.assert_array_equal(dock.pinned.view.pattern, steel.scan.pattern(10, 10))
    np.testing.assert_array_equal(dock.pinned.view.heat, heat)
    np.testing.assert_array_equal(dock.chosen.view.pattern, steel.scan.pattern(40, 60))
    assert all(bar.pinned is not None for bar in dock.summary.bars.bars)
    assert "Pinned\nrow 10, col 10" in dock.pinned.caption.text()
    qtbot.waitUntil(lambda: pixel_marks(viewer) == [[10, 10], [40, 60]])


def test_both_patterns_answer_the_same_question(dock, steel, network, qtbot):
    dock.show_pixel(steel, 10, 10)
    wait_for_answer(dock, qtbot)
    dock.pin_button.click()
    dock.show_pixel(steel, 40, 60)
    dock.controls.level_box.setCurrentIndex(LEVELS.index("crystal_system"))
    dock.controls.target_box.setCurrentIndex(dock.controls.target_box.findData("hexagonal"))
    wait_for_answer(dock, qtbot)

    for panel, row, col in ((dock.pinned, 10, 10), (dock.chosen, 40, 60)):
        np.testing.assert_allclose(
            panel.view.heat,
            expected_heat(steel, network, row, col, "hexagonal", level="crystal_system"),
            rtol=1e-3,
            atol=1e-4,
        )


def test_unpinning_leaves_one_pattern(viewer, dock, steel, qtbot):
    dock.show_pixel(steel, 10, 10)
    wait_for_answer(dock, qtbot)
    dock.pin_button.click()
    dock.show_pixel(steel, 40, 60)

    dock.pin_button.click()
    wait_for_answer(dock, qtbot)

    assert dock.pinned.isHidden()
    qtbot.waitUntil(lambda: pixel_marks(viewer) == [[40, 60]])
    assert all(bar.pinned is None for bar in dock.summary.bars.bars)


def test_unpinning_before_the_next_pattern_is_there_still_explains_it(dock, steel, qtbot):
    # A slow method: the answer cannot be there by the time of the second click.
    dock.controls.method_box.setCurrentIndex(dock.controls.method_box.findData("occlusion"))
    dock.show_pixel(steel, 10, 10)
    wait_for_answer(dock, qtbot)
    dock.pin_button.click()
    dock.show_pixel(steel, 40, 60)

    dock.pin_button.click()
    wait_for_answer(dock, qtbot)

    assert place_of(dock) == (40, 60)
    assert dock.chosen.place == dock.place
    assert dock.chosen.view.heat is not None


# Save -------------------------------------------------------------------------------------------


def test_the_picture_and_the_arrays_are_saved(dock, steel, tmp_path, qtbot):
    dock.show_pixel(steel, 10, 10)
    wait_for_answer(dock, qtbot)

    picture = dock.save_button.save_picture(tmp_path / "shown")
    heat = dock.save_button.save_heat(tmp_path / "heat.npy")
    pattern = dock.save_button.save_pattern(tmp_path / "pattern.npy")

    assert picture == tmp_path / "shown.png"
    with Image.open(picture) as image:
        assert image.width > 720
        assert image.height > 720
        assert len(np.unique(np.asarray(image).reshape(-1, 3), axis=0)) > 1000
    np.testing.assert_array_equal(np.load(heat), dock.chosen.view.heat)
    np.testing.assert_array_equal(np.load(pattern), steel.scan.pattern(10, 10))


def test_a_pinned_pattern_is_saved_beside_it(dock, steel, tmp_path, qtbot):
    dock.show_pixel(steel, 10, 10)
    wait_for_answer(dock, qtbot)
    dock.pin_button.click()
    wait_for_answer(dock, qtbot)

    with Image.open(dock.save_button.save_picture(tmp_path / "two.png")) as image:
        assert image.width > 2 * 720


def test_the_save_menu_asks_for_a_name_and_says_where_it_wrote(
    dock, steel, tmp_path, notices, qtbot
):
    dock.show_pixel(steel, 10, 10)
    wait_for_answer(dock, qtbot)

    actions = dock.save_button.menu().actions()
    for action, name in zip(actions, ("a.png", "heat.npy", "pattern.npy"), strict=True):
        action.trigger()
        answer_dialog(dock, tmp_path / name, qtbot)
        qtbot.waitUntil(lambda name=name: any(name in str(n.message) for n in notices))

    np.testing.assert_array_equal(np.load(tmp_path / "heat.npy"), dock.chosen.view.heat)
    assert (tmp_path / "a.png").stat().st_size > 10_000


def test_a_folder_that_is_not_there_is_said(dock, steel, tmp_path, qtbot):
    dock.show_pixel(steel, 10, 10)
    wait_for_answer(dock, qtbot)

    with pytest.raises(InputError, match="no folder"):
        dock.save_button.save_heat(tmp_path / "missing" / "heat.npy")


def test_nothing_shown_is_nothing_saved(dock, tmp_path):
    for save in ("save_picture", "save_heat", "save_pattern"):
        with pytest.raises(InputError):
            getattr(dock.save_button, save)(tmp_path / "nothing")
    assert not list(tmp_path.iterdir())


# Files that are not there -----------------------------------------------------------------------


def test_a_result_without_its_patterns_shows_what_it_knows_and_asks_for_them(
    viewer, dock, canvas, nickel_result, qtbot
):
    moved = nickel_result.parent / "elsewhere"
    moved.mkdir()
    patterns = Path(shutil.move(nickel_result.parent / "nickel.h5", moved))
    session = MapSession(None, PhaseMap.load(nickel_result), name="nickel")
    add_result(viewer, session)
    canvas.click(session, 1, 2)

    assert dock.chosen.view.pattern is None
    assert dock.chosen.view.message == "The patterns of this map were not found."
    probabilities = session.phase_map.probabilities("point_group")[1, 2]
    assert chosen_classes(dock)[0] == names("point_group")[int(probabilities.argmax())]
    assert not dock.save_button.isEnabled()

    dock.find_button.click()
    answer_dialog(dock, patterns, qtbot)
    wait_for_answer(dock, qtbot)

    np.testing.assert_array_equal(dock.chosen.view.pattern, session.scan.pattern(1, 2))
    assert dock.chosen.view.heat is not None
    assert dock.find_button.isHidden()


def test_a_wrong_pattern_file_is_refused_in_one_sentence(
    viewer, dock, nickel_result, notices, qtbot
):
    session = MapSession(None, PhaseMap.load(nickel_result), name="nickel")
    add_result(viewer, session)
    dock.show_pixel(session, 1, 2)

    dock.find_button.click()
    answer_dialog(dock, sample_path("two_phase"), qtbot)

    qtbot.waitUntil(lambda: bool(notices))
    assert "60 x 80" in str(notices[0].message)
    assert dock.find_button.isVisible()


def test_an_image_that_is_gone_is_said_in_place_of_the_pattern(
    viewer, dock, tmp_path, notices, qtbot
):
    folder = shutil.copytree(sample_path("silicon"), tmp_path / "silicon")
    session = add_scan(viewer, load_scan(folder))
    (folder / "silicon_02.png").unlink()

    dock.show_pixel(session, 0, 1)

    qtbot.waitUntil(lambda: "silicon_02.png" in dock.chosen.view.message, timeout=LONG)
    qtbot.waitUntil(lambda: not dock.busy, timeout=LONG)
    assert dock.chosen.view.pattern is None
    assert not dock.save_button.isEnabled()
    assert not notices

    dock.show_pixel(session, 0, 2)
    wait_for_answer(dock, qtbot)
    assert dock.chosen.view.heat is not None


# Coming and going -------------------------------------------------------------------------------


def test_two_maps_side_by_side_each_show_their_own_patterns(viewer, dock, steel, canvas, qtbot):
    nickel = add_scan(viewer, load_scan(sample_path("nickel")))
    for layer in viewer.layers:
        if session_of(layer) is nickel:
            layer.translate = (0, 20)
    viewer.fit_to_view()

    canvas.click(nickel, 1, 2)
    wait_for_answer(dock, qtbot)
    np.testing.assert_array_equal(dock.chosen.view.pattern, nickel.scan.pattern(1, 2))
    qtbot.waitUntil(lambda: pixel_marks(viewer) == [[1, 2]])
    marker = viewer.layers[MARKER_NAME]
    assert tuple(marker.translate) == (0, 20)
    assert tuple(marker.scale) == nickel.step

    canvas.click(steel, 50, 70)
    wait_for_answer(dock, qtbot)
    np.testing.assert_array_equal(dock.chosen.view.pattern, steel.scan.pattern(50, 70))
    qtbot.waitUntil(lambda: pixel_marks(viewer) == [[50, 70]])
    assert tuple(viewer.layers[MARKER_NAME].scale) == steel.step


def test_of_two_maps_on_top_of_each_other_the_selected_one_answers(viewer, dock, steel, canvas):
    nickel = add_scan(viewer, load_scan(sample_path("nickel")))

    viewer.layers.selection.active = layer_for(viewer, steel, "mean_intensity")
    canvas.click(nickel, 1, 1)
    assert dock.place.session is steel

    viewer.layers.selection.active = layer_for(viewer, nickel, "mean_intensity")
    canvas.click(nickel, 1, 1)
    assert dock.place.session is nickel


def test_in_the_grid_the_map_under_the_mouse_answers(viewer, dock, steel, canvas, qtbot):
    nickel = add_scan(viewer, load_scan(sample_path("nickel")))
    layer_for(viewer, nickel, "mean_intensity").translate = (4.4, 6.4)
    dock.show_pixel(nickel, 0, 0)
    qtbot.waitUntil(lambda: pixel_marks(viewer) == [[0, 0]])

    viewer.canvas.grid.enabled = True
    # Every layer has a place of its own there: a marker would be one more.
    assert pixel_marks(viewer) == []

    def answers(part: float) -> MapSession:
        place = QPoint(int(part * canvas.widget.width()), canvas.widget.height() // 2)
        QTest.mouseClick(canvas.widget, Qt.MouseButton.LeftButton, pos=place)
        return dock.place.session

    # The canvas lays its parts out when it is drawn next.
    qtbot.waitUntil(lambda: answers(0.25) is steel)
    assert answers(0.75) is nickel
    assert place_of(dock) == (1, 1)

    viewer.canvas.grid.enabled = False
    assert pixel_marks(viewer) == [[1, 1]]


def test_pinned_patterns_of_two_maps_and_one_of_them_goes(viewer, dock, steel, qtbot):
    nickel = add_scan(viewer, load_scan(sample_path("nickel")))
    dock.show_pixel(steel, 10, 10)
    wait_for_answer(dock, qtbot)
    dock.pin_button.click()
    dock.show_pixel(nickel, 1, 1)
    wait_for_answer(dock, qtbot)

    for layer in [layer for layer in viewer.layers if session_of(layer) is steel]:
        viewer.layers.remove(layer)

    assert not dock.pin_button.isChecked()
    assert dock.place.session is nickel
    np.testing.assert_array_equal(dock.chosen.view.pattern, nickel.scan.pattern(1, 1))


def test_layers_that_are_deleted_while_the_pattern_is_explained_go_for_good(
    viewer, dock, canvas, notices, qtbot
):
    session = add_scan(viewer, load_scan(sample_path("two_phase")))
    gone, scan = weakref.ref(session), weakref.ref(session.scan)
    box = dock.controls.method_box
    box.setCurrentIndex(box.findData("smoothgrad"))
    canvas.click(session, 10, 10)
    qtbot.waitUntil(lambda: dock.chosen.answer is not None, timeout=LONG)
    assert dock.busy

    viewer.layers.clear()
    assert dock.place is None
    assert dock.chosen.view.message == "Open an EBSD file or a sample to begin"
    assert dock.summary.isHidden()
    assert not viewer.keymap
    qtbot.waitUntil(lambda: not dock.busy, timeout=LONG)
    del session
    gc.collect()

    assert gone() is None
    assert scan() is None
    assert len(viewer.layers) == 0
    assert not notices


def test_behind_another_dock_it_leaves_mouse_and_keys_alone(viewer, dock, steel, canvas):
    canvas.click(steel, 10, 10)
    callbacks = len(viewer.mouse_drag_callbacks)

    dock.parent().hide()
    assert len(viewer.mouse_drag_callbacks) == callbacks - 1
    assert not viewer.keymap
    assert pixel_marks(viewer) == []
    canvas.click(steel, 20, 20)
    assert place_of(dock) == (10, 10)

    dock.parent().show()
    assert pixel_marks(viewer) == [[10, 10]]
    canvas.click(steel, 20, 20)
    assert place_of(dock) == (20, 20)


def test_keys_that_were_bound_before_come_back(viewer, dock, steel, canvas):
    pressed = []
    viewer.bind_key("Left", pressed.append)
    canvas.click(steel, 10, 10)
    canvas.key(Qt.Key.Key_Left)
    assert place_of(dock) == (10, 9)

    dock.parent().hide()
    canvas.key(Qt.Key.Key_Left)

    assert pressed == [viewer]
    assert place_of(dock) == (10, 9)


def test_a_closed_dock_leaves_nothing_behind(viewer, qtbot):
    of_others = set(threads())
    dock = dock_in(viewer, qtbot)
    session = add_scan(viewer, load_scan(sample_path("two_phase")))
    before = list(viewer.layers)
    dock.show_pixel(session, 10, 10)
    wait_for_answer(dock, qtbot)
    dock.pin_button.click()
    gone = weakref.ref(dock)

    viewer.window.remove_dock_widget(dock)
    assert list(viewer.layers) == before
    assert not viewer.keymap
    assert not [c for c in viewer.mouse_drag_callbacks if "pattern_probe" in c.__module__]
    del dock
    qtbot.waitUntil(lambda: gc.collect() >= 0 and gone() is None)

    qtbot.waitUntil(lambda: set(threads()) <= of_others)
    viewer.layers.clear()
    add_scan(viewer, load_scan(sample_path("nickel")))


def test_a_viewer_may_be_closed_while_a_pattern_is_explained(make_napari_viewer, notices, qtbot):
    viewer = make_napari_viewer(show=True)
    dock = dock_in(viewer, qtbot)
    session = add_scan(viewer, load_scan(sample_path("two_phase")))
    box = dock.controls.method_box
    box.setCurrentIndex(box.findData("smoothgrad"))
    dock.show_pixel(session, 10, 10)
    qtbot.waitUntil(lambda: dock.chosen.answer is not None, timeout=LONG)
    explainer = dock._explainer
    assert explainer.busy

    viewer.close()

    qtbot.waitUntil(lambda: not explainer.busy, timeout=LONG)
    assert not notices


def test_it_works_behind_napari_s_proxy_of_the_viewer(viewer, qtbot):
    from napari.utils._proxies import PublicOnlyProxy

    dock = PatternDock(PublicOnlyProxy(viewer))
    viewer.window.add_dock_widget(dock, name="EBSD pattern", area="right")
    qtbot.waitUntil(dock.isVisible)
    session = add_scan(viewer, load_scan(sample_path("nickel")))
    gc.collect()

    Canvas(viewer, dock).click(session, 2, 0)
    wait_for_answer(dock, qtbot)

    assert place_of(dock) == (2, 0)
    qtbot.waitUntil(lambda: pixel_marks(viewer) == [[2, 0]])


def test_the_dock_fits_a_small_screen_and_every_choice_has_a_tooltip(viewer, dock, steel, qtbot):
    dock.show_pixel(steel, 10, 10)
    wait_for_answer(dock, qtbot)
    inside = dock.summary.parentWidget()

    assert dock.minimumSizeHint().width() <= 380
    assert inside.heightForWidth(320) <= 640
    controls = dock.controls
    for widget in (
        controls.level_box,
        controls.target_box,
        controls.against_box,
        controls.method_box,
        controls.stop_button,
        controls.seen_button,
        controls.colormap_box,
        controls.opacity_slider,
        dock.pin_button,
        dock.save_button,
        dock.find_button,
    ):
        assert widget.toolTip()
