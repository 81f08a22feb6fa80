# SPDX-License-Identifier: GPL-3.0-or-later
"""A session lives as long as its layers, and lets go of its file with the last one."""

from __future__ import annotations

import copy
import gc
import shutil
import weakref

import numpy as np
import pytest
from napari.layers import Image
from napari.utils._proxies import PublicOnlyProxy

from napari_ebsd_phase import InputError, PhaseMap, load_scan
from napari_ebsd_phase._napari.layers import add_result, add_scan, layer_for
from napari_ebsd_phase._napari.session import (
    METADATA_KEY,
    MapSession,
    active_session,
    role_of,
    session_of,
    sessions,
    watch,
)
from napari_ebsd_phase.mapping import TileResult
from napari_ebsd_phase.samples import sample_path


@pytest.fixture
def viewer(make_napari_viewer):
    return make_napari_viewer()


def is_open(scan) -> bool:
    try:
        scan.pattern(0, 0)
    except ValueError:
        return False
    return True


def heard(session: MapSession) -> list[str]:
    said: list[str] = []
    session.changed.connect(said.append)
    return said


# --- layers and their session -----------------------------------------------------------------


def test_a_layer_knows_its_session_and_role(viewer, nickel_file):
    session = add_scan(viewer, load_scan(nickel_file))

    (layer,) = (layer for layer in viewer.layers if role_of(layer) == "mean_intensity")
    assert session_of(layer) is session
    assert sessions(viewer) == [session]


def test_a_renamed_layer_still_answers(viewer, nickel_file):
    session = add_scan(viewer, load_scan(nickel_file))

    layer_for(viewer, session, "mean_intensity").name = "my favourite grain"

    assert session_of(viewer.layers["my favourite grain"]) is session
    assert session.pattern(1, 1).shape == (60, 60)


def test_layers_of_others_have_no_session(viewer):
    foreign = viewer.add_image(np.zeros((3, 3)))
    odd = viewer.add_image(np.zeros((3, 3)), metadata={METADATA_KEY: "not ours"})
    assert [session_of(layer) for layer in (foreign, odd, None)] == [None] * 3
    assert [role_of(layer) for layer in (foreign, odd, None)] == [None] * 3
    assert sessions(viewer) == []
    assert active_session(viewer) is None


def test_the_selected_layer_tells_which_session_is_active(viewer, nickel_file):
    first = add_scan(viewer, load_scan(nickel_file))
    second = add_scan(viewer, load_scan(sample_path("two_phase")))
    assert sessions(viewer) == [first, second]

    viewer.layers.selection.active = layer_for(viewer, first, "mean_intensity")
    assert active_session(viewer) is first
    viewer.layers.selection.active = layer_for(viewer, second, "mean_intensity")
    assert active_session(viewer) is second
    # A region drawn on top belongs to nobody: then the topmost data set counts.
    viewer.add_shapes()
    assert active_session(viewer) is second


# --- lifetime ---------------------------------------------------------------------------------


def test_the_last_layer_closes_the_file(viewer, nickel_file, nickel_result):
    session = add_scan(viewer, load_scan(nickel_file))
    session.set_map(PhaseMap.load(nickel_result))
    add_result(viewer, session)
    scan, said = session.scan, heard(session)

    for layer in list(viewer.layers)[:-1]:
        viewer.layers.remove(layer)
    assert is_open(scan)
    viewer.layers.clear()

    assert not is_open(scan)
    assert said == ["closed"]
    nickel_file.unlink()
    shutil.copy(sample_path("nickel"), nickel_file)
    with load_scan(nickel_file) as again:
        assert is_open(again)


def test_two_data_sets_side_by_side_close_alone(viewer, nickel_file, tmp_path):
    other_file = shutil.copy(nickel_file, tmp_path / "other.h5")
    first = add_scan(viewer, load_scan(nickel_file))
    second = add_scan(viewer, load_scan(other_file))

    viewer.layers.remove(layer_for(viewer, first, "mean_intensity"))
    for layer in [layer for layer in viewer.layers if session_of(layer) is first]:
        viewer.layers.remove(layer)

    assert not is_open(first.scan)
    assert is_open(second.scan)
    assert sessions(viewer) == [second]


def test_a_duplicated_layer_shares_the_session_and_keeps_it_open(viewer, nickel_file):
    session = add_scan(viewer, load_scan(nickel_file))
    for layer in [layer for layer in viewer.layers if role_of(layer) != "mean_intensity"]:
        viewer.layers.remove(layer)
    (layer,) = viewer.layers
    data, settings, kind = layer.as_layer_data_tuple()
    twin = Image(copy.deepcopy(data), **copy.deepcopy(settings))
    viewer.add_layer(twin)
    assert kind == "image"

    viewer.layers.remove(layer)
    assert session_of(twin) is session
    assert is_open(session.scan)
    viewer.layers.remove(twin)
    assert not is_open(session.scan)


def test_a_session_that_is_shown_twice_closes_with_the_second(make_napari_viewer, nickel_file):
    first, second = make_napari_viewer(), make_napari_viewer()
    session = add_scan(first, load_scan(nickel_file))
    data = layer_for(first, session, "mean_intensity").as_layer_data_tuple()
    second.add_layer(Image(data[0], **data[1]))
    watch(second, session)

    first.layers.clear()
    assert is_open(session.scan)
    second.layers.clear()
    assert not is_open(session.scan)


def test_watching_twice_connects_once(viewer, nickel_file):
    session = add_scan(viewer, load_scan(nickel_file))
    callbacks = len(viewer.layers.events.removed.callbacks)

    watch(viewer, session)
    watch(PublicOnlyProxy(viewer), session)

    assert len(viewer.layers.events.removed.callbacks) == callbacks


def test_a_viewer_behind_a_proxy_is_watched_as_well(make_napari_viewer_proxy, nickel_file):
    viewer = make_napari_viewer_proxy()
    session = add_scan(viewer, load_scan(nickel_file))
    gc.collect()

    assert active_session(viewer) is session
    viewer.layers.clear()

    assert not is_open(session.scan)


def test_nothing_but_layers_holds_a_session(viewer, nickel_file):
    reference = weakref.ref(add_scan(viewer, load_scan(nickel_file)))
    gc.collect()
    assert reference() is not None

    viewer.layers.clear()
    gc.collect()

    assert reference() is None


def test_a_session_that_nobody_watches_closes_its_file_when_it_goes(nickel_file):
    session = MapSession(load_scan(nickel_file))
    scan = session.scan

    del session
    gc.collect()

    assert not is_open(scan)


def test_another_scan_closes_the_one_before(nickel_file):
    session = MapSession(load_scan(nickel_file))
    before, said = session.scan, heard(session)

    session.set_scan(load_scan(sample_path("two_phase")))

    assert not is_open(before)
    assert is_open(session.scan)
    assert session.shape == (60, 80)
    assert said == ["scan"]
    session.close()


# --- patterns ---------------------------------------------------------------------------------


def test_a_click_gives_the_pattern_of_the_file(nickel_file):
    session = MapSession(load_scan(nickel_file))
    with load_scan(nickel_file) as scan:
        np.testing.assert_array_equal(session.pattern(1, 2), scan.pattern(1, 2))
    session.close()


def test_without_patterns_the_error_says_where_to_locate_them(mixed_map):
    session = MapSession(phase_map=mixed_map)

    with pytest.raises(InputError, match="not found; locate it in the Scan section"):
        session.pattern(0, 0)


def test_a_closed_session_says_so(nickel_file):
    session = MapSession(load_scan(nickel_file))
    session.close()

    with pytest.raises(InputError, match="its pattern file is closed; open it again"):
        session.pattern(0, 0)


def test_a_pattern_outside_the_map_is_refused(nickel_file):
    session = MapSession(load_scan(nickel_file))

    with pytest.raises(InputError, match="no pattern at row 9"):
        session.pattern(9, 0)
    session.close()


def test_the_image_of_a_folder_that_was_deleted_is_named(tmp_path):
    folder = shutil.copytree(sample_path("silicon"), tmp_path / "silicon")
    session = MapSession(load_scan(folder))
    next(iter(sorted(folder.glob("*.png")))).unlink()

    with pytest.raises(InputError, match=r"silicon_01\.png"):
        session.pattern(0, 0)
    session.close()


def test_the_pattern_file_of_a_result_can_be_located(nickel_result, tmp_path):
    moved = tmp_path / "elsewhere" / "measured.h5"
    moved.parent.mkdir()
    shutil.copy(sample_path("nickel"), moved)
    session = MapSession(phase_map=PhaseMap.load(nickel_result), name="nickel")
    said = heard(session)

    session.locate_patterns(moved)

    assert session.pattern(2, 2).shape == (60, 60)
    assert said == ["scan"]
    session.close()


def test_a_file_without_a_grid_takes_that_of_the_result(tmp_path):
    folder = shutil.copytree(sample_path("silicon"), tmp_path / "silicon")
    session = MapSession(phase_map=PhaseMap.empty((3, 1)))

    session.locate_patterns(folder)

    assert session.scan.shape == (3, 1)
    np.testing.assert_array_equal(session.pattern(2, 0), load_scan(folder).pattern(0, 2))
    session.close()


def test_a_file_of_another_shape_is_refused(nickel_file, mixed_map):
    session = MapSession(phase_map=mixed_map)

    with pytest.raises(InputError, match="has 3 x 3 patterns, the map has 6 x 8"):
        session.locate_patterns(nickel_file)
    assert session.scan is None


def test_a_pattern_file_that_has_changed_is_noticed(qtbot, nickel_result, nickel_file, notices):
    nickel_file.write_bytes(nickel_file.read_bytes() + b"\0")
    session = MapSession(phase_map=PhaseMap.load(nickel_result), name="nickel")

    session.locate_patterns(nickel_file)

    qtbot.waitUntil(lambda: session.patterns_match is not None)
    assert session.patterns_match is False
    qtbot.waitUntil(lambda: bool(notices))
    assert "nickel.h5 is not the file that nickel was made from" in notices[-1].message
    session.close()


def test_the_right_pattern_file_is_recognised(qtbot, nickel_result, nickel_file, notices):
    session = MapSession(phase_map=PhaseMap.load(nickel_result), name="nickel")

    session.locate_patterns(nickel_file)

    qtbot.waitUntil(lambda: session.patterns_match is not None)
    assert session.patterns_match is True
    assert notices == []
    session.close()


# --- result -----------------------------------------------------------------------------------


def test_finished_work_goes_into_the_map_and_what_is_shown(mixed_map):
    session = MapSession(phase_map=PhaseMap.empty(mixed_map.shape, quality_threshold=0.5))
    place = (slice(1, 3), slice(0, 4))

    session.fill(
        TileResult(
            *place,
            mixed_map.point_group_probabilities[place],
            mixed_map.bravais_probabilities[place],
            mixed_map.pattern_quality[place],
        )
    )

    assert session.phase_map.done.sum() == 8
    np.testing.assert_array_equal(session.cache.done, session.phase_map.done)
    codes, _ = session.phase_map.label_codes()
    np.testing.assert_array_equal(session.cache.codes[place], codes[place])


def test_without_a_map_there_is_nothing_to_fill(nickel_file):
    session = MapSession(load_scan(nickel_file))

    with pytest.raises(InputError, match="no phase map to fill"):
        session.fill(TileResult(slice(0, 1), slice(0, 1), *(np.zeros((1, 1)),) * 3))
    session.close()


def test_the_threshold_is_that_of_the_map_and_changes_it(mixed_map):
    session = MapSession(phase_map=mixed_map)
    said = heard(session)
    assert session.threshold == 0.7

    session.set_threshold(0.4)
    session.set_threshold(0.4)

    assert (mixed_map.threshold, session.cache.threshold) == (0.4, 0.4)
    assert said == ["threshold"]
    codes, _ = mixed_map.label_codes()
    np.testing.assert_array_equal(session.cache.codes[:, :7], codes[:, :7])


@pytest.mark.parametrize("value", [-0.1, 1.5, float("nan")])
def test_a_threshold_that_is_no_probability_is_refused(mixed_map, value):
    with pytest.raises(InputError, match="between 0 and 1"):
        MapSession(phase_map=mixed_map).set_threshold(value)


def test_running_is_announced_when_it_changes(mixed_map):
    session = MapSession(phase_map=mixed_map)
    said = heard(session)

    session.running = True
    session.running = True
    session.running = False

    assert said == ["running", "running"]


def test_the_prior_of_a_reopened_result_is_remembered(mixed_map):
    mixed_map.provenance = {**mixed_map.provenance, "prior": "cubic,hexagonal"}

    assert MapSession(phase_map=mixed_map).prior == "cubic,hexagonal"
