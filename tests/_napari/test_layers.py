# SPDX-License-Identifier: GPL-3.0-or-later
"""The layers of a map show what its session holds, and follow it."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from napari.layers import Image, Labels
from napari.utils.colormaps.standardize_color import transform_color
from PIL import Image as Picture
from qtpy.QtCore import QPoint
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QWidget

from napari_ebsd_phase import PhaseMap, load_scan
from napari_ebsd_phase._napari.label_cache import NOT_DONE, UNDECIDED
from napari_ebsd_phase._napari.layers import (
    LABEL_ROLES,
    MAP_ROLES,
    TITLES,
    add_result,
    add_scan,
    layer_for,
    map_layers,
    refresh_layers,
    scan_layers,
    show_level,
)
from napari_ebsd_phase._napari.previews import mean_intensity
from napari_ebsd_phase._napari.session import MapSession, role_of, session_of
from napari_ebsd_phase._napari.status import pixel_at, status_text
from napari_ebsd_phase.crystallography import LEVELS, UNDECIDED_COLOR, color, names
from napari_ebsd_phase.labels import label_table
from napari_ebsd_phase.mapping import TileResult
from napari_ebsd_phase.progressive import SampleResult
from napari_ebsd_phase.samples import sample_path

from .._ebsd_files import patterns, write_oxford


@pytest.fixture
def viewer(make_napari_viewer):
    return make_napari_viewer()


@pytest.fixture
def session(viewer, mixed_map) -> MapSession:
    """The map of 6 x 8 pixels, shown."""
    session = MapSession(phase_map=mixed_map, name="steel")
    add_result(viewer, session)
    # The viewer holds it from now on; the fixture only hands it on.
    return session


def color_of(layer: Labels, value: int) -> np.ndarray:
    return np.asarray(layer.colormap.map(value)).ravel()


def tile(phase_map: PhaseMap, rows: slice, cols: slice) -> TileResult:
    place = (rows, cols)
    return TileResult(
        rows,
        cols,
        phase_map.point_group_probabilities[place],
        phase_map.bravais_probabilities[place],
        phase_map.pattern_quality[place],
    )


def unfinished(phase_map: PhaseMap) -> PhaseMap:
    """The same map before anything is classified."""
    return PhaseMap.empty(
        phase_map.shape,
        threshold=phase_map.threshold,
        quality_threshold=phase_map.quality_threshold,
    )


# --- what the layers of a result look like ----------------------------------------------------


def test_a_result_has_a_layer_for_every_level(viewer, session):
    assert [role_of(layer) for layer in viewer.layers] == list(MAP_ROLES)
    assert [layer.name for layer in viewer.layers] == [
        f"steel: {TITLES[role]}" for role in MAP_ROLES
    ]
    for layer in viewer.layers:
        assert isinstance(layer, Labels if role_of(layer) in LABEL_ROLES else Image)


def test_all_layers_lie_on_each_other(viewer, session):
    for layer in viewer.layers:
        assert tuple(layer.scale) == (0.5, 0.25)
        assert [str(unit) for unit in layer.units] == ["micrometer"] * 2
        assert tuple(layer.axis_labels) == ("row", "col")
        assert layer.data.shape == session.shape


def test_a_map_without_a_step_counts_pixels(viewer):
    session = MapSession(phase_map=PhaseMap.empty((3, 4)), name="raw")
    add_result(viewer, session)

    assert {str(unit) for layer in viewer.layers for unit in layer.units} == {"pixel"}


def test_values_are_class_numbers_and_label_codes(viewer, session, mixed_map):
    codes, _ = mixed_map.label_codes()
    np.testing.assert_array_equal(layer_for(viewer, session, "label").data[:, :7], codes[:, :7])
    for level in LEVELS:
        index, _ = mixed_map.most_probable(level)
        layer = layer_for(viewer, session, level)
        named = mixed_map.nameable
        np.testing.assert_array_equal(layer.data[named], index[named] + 1)


def test_every_name_has_its_fixed_colour(viewer, session):
    for level in LEVELS:
        layer = layer_for(viewer, session, level)
        for value, name in enumerate(names(level), start=1):
            np.testing.assert_allclose(
                color_of(layer, value), transform_color(color(level, name))[0], atol=1e-3
            )
    layer = layer_for(viewer, session, "label")
    for label in label_table():
        np.testing.assert_allclose(
            color_of(layer, label.code), transform_color(label.color)[0], atol=1e-3
        )
    assert layer.opacity == 1


def test_undecided_is_grey_and_what_is_not_done_transparent(viewer, session):
    for role in LABEL_ROLES:
        layer = layer_for(viewer, session, role)
        np.testing.assert_allclose(
            color_of(layer, UNDECIDED), transform_color(UNDECIDED_COLOR)[0], atol=1e-3
        )
        assert color_of(layer, NOT_DONE)[3] == 0
    shown = layer_for(viewer, session, "label").data
    assert (shown[:, 3] == UNDECIDED).all()
    assert (shown[:, 7] == NOT_DONE).all()


def test_undecided_pixels_are_seen_as_grey_on_the_canvas(make_napari_viewer, mixed_map):
    viewer = make_napari_viewer(show=True)
    session = MapSession(phase_map=mixed_map)
    add_result(viewer, session)

    picture = viewer.screenshot(canvas_only=True, flash=False)

    seen = {tuple(int(part) for part in pixel) for pixel in picture[..., :3].reshape(-1, 3)[::7]}
    assert (0x80, 0x80, 0x80) in seen
    assert tuple(bytes.fromhex(color("point_group", "m-3m")[1:])) in seen


def test_confidence_and_quality_are_images_from_0_to_1(viewer, session, mixed_map):
    _, probability = mixed_map.label_codes()
    for role, values in (("confidence", probability), ("quality", mixed_map.pattern_quality)):
        layer = layer_for(viewer, session, role)
        np.testing.assert_array_equal(layer.data, values)
        assert tuple(layer.contrast_limits) == (0, 1)
        assert layer.colorbar.visible


def test_features_name_every_value_with_its_level_and_mean_probability(viewer, session):
    table = layer_for(viewer, session, "label").features.set_index("index")
    code = next(k.code for k in label_table() if (k.level, k.name) == ("laue_group", "m-3m"))

    assert table.loc[code, "name"] == "m-3m"
    assert table.loc[code, "level"] == "Laue group"
    assert table.loc[code, "patterns"] == 6
    assert table.loc[code, "probability"] == pytest.approx(1.0)
    assert table.loc[UNDECIDED, "name"] == "undecided"
    assert table.loc[UNDECIDED, "patterns"] == 12


def test_nobody_paints_into_a_result(viewer, session):
    assert not any(layer.editable for layer in viewer.layers if role_of(layer) in LABEL_ROLES)


def test_only_the_label_is_shown_at_first(viewer, session):
    assert [role_of(layer) for layer in viewer.layers if layer.visible] == ["label"]


# --- following the session --------------------------------------------------------------------


def test_a_new_tile_is_drawn_in_place(viewer, mixed_map):
    session = MapSession(phase_map=unfinished(mixed_map))
    add_result(viewer, session)
    layer = layer_for(viewer, session, "label")
    array = layer.data
    drawn = []
    layer.events.set_data.connect(lambda event: drawn.append(event))

    session.fill(tile(mixed_map, slice(0, 2), slice(0, 3)))
    refresh_layers(viewer, session)

    assert layer.data is array
    assert (array[:2, :3] != NOT_DONE).all()
    assert (array[2:] == NOT_DONE).all()
    assert drawn
    assert layer.features.set_index("index")["patterns"].sum() == 6


def test_a_coarse_result_is_painted_as_blocks_until_it_is_refined(viewer, mixed_map):
    session = MapSession(phase_map=unfinished(mixed_map))
    add_result(viewer, session)
    rows, cols = np.array([1, 1, 4, 4]), np.array([1, 5, 1, 5])
    place = (rows, cols)
    session.fill(
        SampleResult(
            rows,
            cols,
            4,
            mixed_map.point_group_probabilities[place],
            mixed_map.bravais_probabilities[place],
            mixed_map.pattern_quality[place],
        )
    )
    refresh_layers(viewer, session)
    shown = layer_for(viewer, session, "label").data

    assert (shown != NOT_DONE).all()
    assert (shown[:, :3] == shown[1, 1]).all()
    assert session.phase_map.done.sum() == 4

    session.fill(tile(mixed_map, slice(0, 6), slice(0, 7)))
    refresh_layers(viewer, session)
    codes, _ = mixed_map.label_codes()
    np.testing.assert_array_equal(shown[:, :7], codes[:, :7])


def test_the_threshold_relabels_what_is_shown(viewer, session, mixed_map):
    layer = layer_for(viewer, session, "label")
    assert set(layer.data[:, 1]) == {43}

    session.set_threshold(0.4)
    refresh_layers(viewer, session)

    assert set(layer.data[:, 1]) == {32}
    assert layer.features.set_index("index").loc[32, "patterns"] == 30


def test_another_map_replaces_the_one_before(viewer, session):
    session.set_map(PhaseMap.empty((6, 8), step=(0.5, 0.25), units="um"))
    add_result(viewer, session)

    assert len(viewer.layers) == len(MAP_ROLES)
    assert (layer_for(viewer, session, "label").data == NOT_DONE).all()


def test_a_layer_that_was_removed_comes_back_and_others_stay(viewer, session):
    viewer.layers.remove(layer_for(viewer, session, "confidence"))
    label = layer_for(viewer, session, "label")

    add_result(viewer, session)

    assert layer_for(viewer, session, "confidence") is not None
    assert layer_for(viewer, session, "label") is label
    assert len(viewer.layers) == len(MAP_ROLES)


def test_a_duplicate_follows_too(viewer, session, mixed_map):
    label = layer_for(viewer, session, "label")
    data, settings, _ = label.as_layer_data_tuple()
    twin = Labels(data.copy(), **settings)
    viewer.add_layer(twin)

    session.set_threshold(0.4)
    refresh_layers(viewer, session)

    np.testing.assert_array_equal(twin.data, label.data)


def test_layers_of_two_maps_do_not_mix(viewer, session, mixed_map):
    other = MapSession(phase_map=PhaseMap.empty((6, 8), step=(0.5, 0.25), units="um"), name="b")
    add_result(viewer, other)

    show_level(viewer, other, "laue_group")

    assert layer_for(viewer, session, "label").visible
    assert not layer_for(viewer, other, "label").visible
    assert session_of(layer_for(viewer, other, "label")) is other


@pytest.mark.parametrize("role", MAP_ROLES)
def test_one_call_switches_the_level(viewer, session, role):
    viewer.add_shapes(name="region")

    viewer.layers.selection.active = layer_for(viewer, session, "label")
    show_level(viewer, session, role)

    assert [role_of(layer) for layer in viewer.layers if layer.visible] == [role, None]
    assert role_of(viewer.layers.selection.active) == role


def test_switching_the_level_leaves_a_selected_region_selected(viewer, session):
    region = viewer.add_shapes(name="region")

    show_level(viewer, session, "point_group")

    assert viewer.layers.selection.active is region


# --- status bar -------------------------------------------------------------------------------


def canvas_of(viewer) -> QWidget:
    """The widget that is drawn on, as a user finds it: by looking."""
    (canvas,) = (
        widget
        for widget in QApplication.allWidgets()
        if "Canvas" in type(widget).__name__ and widget.isVisible()
    )
    return canvas


def move_to(viewer, layer, row: int, col: int) -> None:
    """Move the mouse over the middle of a map pixel."""
    canvas = canvas_of(viewer)
    centre, zoom = viewer.scene.camera.center[-2:], viewer.scene.camera.zoom
    y, x = (
        size / 2 + (world - middle) * zoom
        for size, world, middle in zip(
            (canvas.height(), canvas.width()), layer.data_to_world((row, col)), centre, strict=True
        )
    )
    QTest.mouseMove(canvas, QPoint(round(x), round(y)))


def test_the_status_bar_gives_a_pixel_its_own_probability(make_napari_viewer, qtbot, mixed_map):
    viewer = make_napari_viewer(show=True)
    point_groups = mixed_map.point_group_probabilities
    point_groups[2, 0, :] = 0
    point_groups[2, 0, -2:] = (0.1, 0.9)
    session = MapSession(phase_map=mixed_map)
    add_result(viewer, session)
    label = layer_for(viewer, session, "label")
    viewer.layers.selection.active = label

    for row, text in ((4, "m-3m (point group, 1.00)"), (2, "m-3m (point group, 0.90)")):
        move_to(viewer, label, row, 0)
        qtbot.waitUntil(lambda at=row: pixel_at(label, viewer.cursor.position) == (at, 0))
        # napari does this in a thread, which its test fixture switches off.
        viewer.update_status_from_cursor()
        assert viewer.status["coordinates"] == f"row {row}, column 0: {text}"


def test_the_status_bar_of_other_layers_is_left_alone(viewer, session):
    image = viewer.add_image(np.ones((4, 4)), units=("um", "um"), axis_labels=("row", "col"))
    viewer.layers.selection.active = image
    viewer.cursor.position = (1.0, 1.0)
    viewer.mouse_over_canvas = True

    viewer.update_status_from_cursor()

    assert "1" in viewer.status["coordinates"]
    assert "row" not in viewer.status["coordinates"]


def test_pixels_are_found_from_world_coordinates(viewer, session):
    layer = layer_for(viewer, session, "label")

    assert pixel_at(layer, (0.5 * 3, 0.25 * 4)) == (3, 4)
    assert pixel_at(layer, (0.5 * 3.4, 0.25 * 4.4)) == (3, 4)
    assert pixel_at(layer, (-1.0, 0.0)) is None
    assert pixel_at(layer, (0.5 * 6, 0.0)) is None
    assert status_text(session, "label", 99, 0) is None
    assert status_text(session, "mean_intensity", 0, 0) is None


# --- before the classification ----------------------------------------------------------------


def test_a_scan_shows_the_mean_intensity_of_its_patterns(viewer, nickel_file):
    session = add_scan(viewer, load_scan(nickel_file))

    layer = layer_for(viewer, session, "mean_intensity")
    assert layer.name == "nickel: Mean intensity"
    assert tuple(layer.scale) == session.scan.step
    for row, col in np.ndindex(3, 3):
        assert layer.data[row, col] == pytest.approx(session.pattern(row, col).mean(), rel=1e-6)


def test_images_of_several_sizes_have_a_mean_intensity_too(tmp_path):
    folder = shutil.copytree(sample_path("silicon"), tmp_path / "silicon")
    Picture.fromarray(np.full((30, 40), 7, np.uint8)).save(folder / "z.png")
    with load_scan(folder) as scan:
        assert scan.pattern_shape is None
        means = mean_intensity(scan)

    assert means.shape == (1, 4)
    assert means[0, 3] == 7


def test_of_a_large_file_some_patterns_stand_for_all():
    with load_scan(sample_path("two_phase")) as scan:
        exact = mean_intensity(scan)
        coarse = mean_intensity(scan, room=300 * 48 * 48)

    # 60 x 80 patterns, of which 300 may be read: every fourth in both directions.
    blocks = np.kron(exact[2::4, 2::4], np.ones((4, 4)))
    np.testing.assert_allclose(coarse, blocks, rtol=1e-6)


def test_the_phases_of_the_vendor_have_a_layer(viewer, tmp_path):
    path = write_oxford(tmp_path / "steel.h5oina", patterns(3, 4))
    session = add_scan(viewer, load_scan(path))

    layer = layer_for(viewer, session, "vendor_phases")
    assert isinstance(layer, Labels)
    assert layer.data[0, 0] == 0
    assert layer.data[1, 1] == 1
    assert layer.data[2, 3] == 2
    table = layer.features.set_index("index")
    assert list(table["name"]) == ["not indexed", "Iron bcc", "Ni"]
    assert list(table["point group"]) == ["none", "m-3m", "m-3m"]
    assert not layer.visible


def test_a_session_without_patterns_has_no_scan_layers(mixed_map):
    assert scan_layers(MapSession(phase_map=mixed_map)) == []


def test_a_session_without_a_map_has_no_map_layers():
    with load_scan(sample_path("nickel")) as scan:
        assert map_layers(MapSession(scan)) == []


def test_data_sets_in_pixels_and_micrometers_give_no_warning_side_by_side(viewer, notices):
    with_step = add_scan(viewer, load_scan(sample_path("two_phase")))
    without = add_scan(viewer, load_scan(sample_path("silicon")))

    assert (with_step.units, without.units) == ("um", "px")
    assert len({layer.units for layer in viewer.layers}) == 1
    assert notices == []
