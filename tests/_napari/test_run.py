# SPDX-License-Identifier: GPL-3.0-or-later
"""A classification that somebody watches: it fills the layers, and ends when it should."""

from __future__ import annotations

import gc
import math
import shutil
import threading
import traceback
import warnings
import weakref
from pathlib import Path

import h5py
import numpy as np
import pytest
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QWidget

from napari_ebsd_phase import InputError, PhaseMap, centred, classify, load_classifier, load_scan
from napari_ebsd_phase._napari.layer_maker import warm_up_labels
from napari_ebsd_phase._napari.layers import MAP_ROLES, add_scan, layer_for, show_level
from napari_ebsd_phase._napari.run import ClassificationRun, would_resume
from napari_ebsd_phase._napari.session import role_of, sessions
from napari_ebsd_phase.samples import sample_path

from ._clicks import gone_after

# Batches of other sizes may add up in another order: the last digits of float32.
CLOSE = {"rtol": 1e-3, "atol": 1e-5}
LONG = 120_000

PART = (slice(5, 25), slice(10, 50))
SOME = (slice(0, 2), slice(0, 5))


@pytest.fixture(scope="module")
def classifier():
    return load_classifier(device="cpu")


@pytest.fixture
def viewer(make_napari_viewer):
    return make_napari_viewer()


@pytest.fixture
def duplex(viewer):
    """The sample of two phases, opened as a user would."""
    return add_scan(viewer, load_scan(sample_path("two_phase")))


@pytest.fixture
def run(qtbot):
    run = ClassificationRun()
    yield run
    run.cancel()
    assert run.wait(60)


def workers() -> list[threading.Thread]:
    names = ("ebsd-phase-classify", "read-patterns")
    return [thread for thread in threading.enumerate() if thread.name.startswith(names)]


def map_roles(viewer) -> list[str]:
    return [role_of(layer) for layer in viewer.layers if role_of(layer) in MAP_ROLES]


def start(run, viewer, session, **settings) -> None:
    run.start(viewer, session, "default", device="cpu", **settings)


def run_to_the_end(qtbot, run, viewer, session, **settings) -> str:
    with qtbot.waitSignal(run.finished, timeout=LONG) as ended:
        start(run, viewer, session, **settings)
    return ended.args[0]


def run_until(qtbot, run, viewer, session, patterns, **settings) -> None:
    with qtbot.waitSignal(
        run.progressed, timeout=LONG, check_params_cb=lambda done, *_: done >= patterns
    ):
        start(run, viewer, session, **settings)


def assert_same(phase_map, other, region=(slice(None), slice(None))) -> None:
    for name in ("point_group_probabilities", "bravais_probabilities", "pattern_quality"):
        np.testing.assert_allclose(
            getattr(phase_map, name)[region], getattr(other, name)[region], **CLOSE
        )


def test_a_run_ends_in_the_same_map_as_the_command_line(qtbot, viewer, duplex, run, classifier):
    counts = []
    run.progressed.connect(lambda *numbers: counts.append(numbers))

    how = run_to_the_end(qtbot, run, viewer, duplex, region=PART, prior="cubic")

    with load_scan(sample_path("two_phase")) as scan:
        expected = classify(scan, classifier, region=PART, prior="cubic")
    assert how == "done"
    assert_same(duplex.phase_map, expected)
    np.testing.assert_array_equal(duplex.phase_map.done, expected.done)
    told = dict(expected.provenance) | {"date": duplex.phase_map.provenance["date"]}
    assert duplex.phase_map.provenance == told
    done = [number for number, *_ in counts]
    assert done == sorted(set(done))
    assert counts[-1] == (800, 800, 0.0)
    assert {total for _, total, _ in counts} == {800}
    assert all(math.isnan(left) or left >= 0 for *_, left in counts)
    assert not duplex.running
    assert not run.is_running
    codes = layer_for(viewer, duplex, "label").data
    np.testing.assert_array_equal(codes[PART], expected.label_codes()[0][PART])


def test_the_first_results_show_the_whole_extent(qtbot, viewer, duplex, run):
    seen = []

    def look(done, total, left):
        layer = layer_for(viewer, duplex, "label")
        seen.append((done, float(np.mean(layer.data != 255))))

    run.progressed.connect(look)
    run_until(qtbot, run, viewer, duplex, 300)
    run.cancel()

    # A twentieth of the patterns, spread so that they stand for every pixel.
    few = next(done for done, shown in seen if shown == 1)
    assert few < 1000


def test_a_cancelled_run_goes_on_where_it_was(qtbot, viewer, duplex, run, classifier):
    settings = {"region": (slice(0, 30), slice(0, 40))}
    run_until(qtbot, run, viewer, duplex, 100, **settings)
    with qtbot.waitSignal(run.finished, timeout=0) as ended:
        run.cancel()
    first = duplex.phase_map
    kept = first.done.copy()
    before = first.point_group_probabilities[kept].copy()
    counts = []
    run.progressed.connect(lambda done, *_: counts.append(done))

    assert ended.args == ["cancelled"]
    assert 100 <= kept.sum() < 1200
    assert would_resume(duplex, "default")
    how = run_to_the_end(qtbot, run, viewer, duplex, **settings)

    assert how == "done"
    assert duplex.phase_map is first
    assert counts[0] > kept.sum()
    np.testing.assert_array_equal(first.point_group_probabilities[kept], before)
    with load_scan(sample_path("two_phase")) as scan:
        assert_same(first, classify(scan, classifier, **settings))


def test_another_prior_does_everything_anew(qtbot, viewer, duplex, run):
    small = {"region": (slice(0, 4), slice(0, 10))}
    run_to_the_end(qtbot, run, viewer, duplex, **small)
    before = duplex.phase_map

    assert would_resume(duplex, "default", prior="known")
    assert not would_resume(duplex, "default", prior="cubic")
    # Its file says where the projection centre is, and that was taken.
    assert would_resume(duplex, "default", projection_centre="file")
    assert not would_resume(duplex, "default", projection_centre="estimate")
    assert not would_resume(duplex, "default", projection_centre=None)
    assert not would_resume(duplex, "default", projection_centre=(0.5, 0.24, 0.62))
    run_to_the_end(qtbot, run, viewer, duplex, prior="cubic", **small)

    assert duplex.phase_map is not before
    assert set(np.unique(duplex.phase_map.crystal_system[:4, :10])) == {"cubic"}
    assert duplex.phase_map.done.sum() == 40


def test_another_network_does_everything_anew(qtbot, viewer, duplex, run, classifier, tmp_path):
    small = {"region": (slice(0, 4), slice(0, 10))}
    run_to_the_end(qtbot, run, viewer, duplex, **small)
    before = duplex.phase_map
    other = load_classifier(device="cpu")
    for weights in other.network.parameters():
        weights.data *= 1.01
    path = other.save(tmp_path / "other.safetensors")

    assert not would_resume(duplex, str(path))
    with qtbot.waitSignal(run.finished, timeout=LONG):
        run.start(viewer, duplex, path, device="cpu", **small)

    assert duplex.phase_map is not before
    assert duplex.phase_map.provenance["network_sha256"] == other.sha256


def test_a_second_region_is_added_to_the_first(qtbot, viewer, duplex, run):
    run_to_the_end(qtbot, run, viewer, duplex, region=(slice(0, 4), slice(0, 10)))
    run_to_the_end(qtbot, run, viewer, duplex, region=(slice(8, 12), slice(30, 40)))

    done = duplex.phase_map.done
    assert done.sum() == 80
    assert done[:4, :10].all()
    assert done[8:12, 30:40].all()
    assert duplex.phase_map.provenance["region"] == [0, 12, 0, 40]


def test_of_a_drawn_region_only_its_pixels_are_classified(qtbot, viewer, duplex, run):
    row, col = np.mgrid[:60, :80]
    mask = np.hypot(row - 30, col - 20) < 12

    run_to_the_end(qtbot, run, viewer, duplex, region=mask)

    np.testing.assert_array_equal(duplex.phase_map.done, mask)
    shown = layer_for(viewer, duplex, "label").data != 255
    np.testing.assert_array_equal(shown, mask)


def test_the_interface_goes_on_while_the_network_works(qtbot, viewer, duplex, run):
    ticks = []
    timer = QTimer()
    timer.timeout.connect(lambda: ticks.append(run.is_running))
    timer.start(5)

    run_to_the_end(qtbot, run, viewer, duplex, region=PART)

    # Two at least between any two results.
    assert ticks.count(True) > 20


def test_two_maps_one_after_the_other(qtbot, viewer, duplex, run):
    nickel = add_scan(viewer, load_scan(sample_path("nickel")))

    run_to_the_end(qtbot, run, viewer, nickel)
    run_to_the_end(qtbot, run, viewer, duplex, region=(slice(0, 3), slice(0, 5)))

    assert nickel.phase_map.done.all()
    assert nickel.phase_map.shape == (3, 3)
    assert duplex.phase_map.done.sum() == 15
    assert sessions(viewer) == [duplex, nickel]


def test_only_one_run_at_a_time(qtbot, viewer, duplex, run):
    other = ClassificationRun()
    start(run, viewer, duplex)

    with pytest.raises(InputError, match="is running"):
        start(run, viewer, duplex)
    with pytest.raises(InputError, match="is running"):
        start(other, viewer, duplex)
    assert duplex.running


def test_cancelled_before_the_network_is_there_changes_nothing(qtbot, viewer, duplex, run):
    run_to_the_end(qtbot, run, viewer, duplex, region=SOME)
    before = duplex.phase_map

    start(run, viewer, duplex, prior="cubic")
    run.cancel()

    assert run.wait(60)
    qtbot.wait(100)
    assert duplex.phase_map is before
    assert before.done.sum() == 10
    assert not workers()


def test_deleting_the_layers_ends_the_run(qtbot, viewer, duplex, run):
    run_until(qtbot, run, viewer, duplex, 100)

    with qtbot.waitSignal(run.finished, timeout=LONG) as ended:
        viewer.layers.clear()

    assert ended.args == ["cancelled"]
    assert run.wait(60)
    assert not workers()
    assert duplex.closed


def test_deleting_a_layer_does_not_end_the_run(qtbot, viewer, duplex, run):
    region = {"region": (slice(0, 10), slice(0, 40))}
    run_until(qtbot, run, viewer, duplex, 50, **region)

    with qtbot.waitSignal(run.finished, timeout=LONG) as ended:
        viewer.layers.remove(layer_for(viewer, duplex, "label"))

    assert ended.args == ["done"]
    assert duplex.phase_map.done.sum() == 400
    assert layer_for(viewer, duplex, "label") is None


def test_closing_the_scan_ends_the_run(qtbot, viewer, duplex, run):
    run_until(qtbot, run, viewer, duplex, 100)

    with qtbot.waitSignal(run.finished, timeout=LONG) as ended:
        duplex.close()

    assert ended.args == ["cancelled"]
    assert run.wait(60)


def test_closing_the_viewer_ends_the_run(qtbot, make_napari_viewer, run):
    viewer = make_napari_viewer()
    session = add_scan(viewer, load_scan(sample_path("two_phase")))
    run_until(qtbot, run, viewer, session, 100)

    viewer.close()

    assert run.wait(60)
    qtbot.waitUntil(lambda: not run.is_running)
    assert not workers()


def test_a_run_goes_with_its_dock(qtbot, viewer, duplex):
    dock = QWidget()
    run = ClassificationRun(dock)
    viewer.window.add_dock_widget(dock, name="dock of the test")
    run_until(qtbot, run, viewer, duplex, 100)

    viewer.window.remove_dock_widget(dock)
    with gone_after(run, qtbot, timeout=LONG):
        dock.deleteLater()

    qtbot.waitUntil(lambda: not workers(), timeout=60_000)
    assert not duplex.running


def test_a_run_that_nobody_holds_ends(qtbot, viewer, duplex):
    run = ClassificationRun()
    run_until(qtbot, run, viewer, duplex, 100)

    del run

    qtbot.waitUntil(lambda: not workers(), timeout=60_000)
    assert not duplex.running


def test_a_run_keeps_no_session_alive(qtbot, viewer, run):
    session = add_scan(viewer, load_scan(sample_path("nickel")))
    run_to_the_end(qtbot, run, viewer, session)
    assert run.wait(60)
    gone = weakref.ref(session)

    del session
    viewer.layers.clear()
    gc.collect()

    assert gone() is None


def test_a_file_that_breaks_is_reported_and_what_is_done_stays(qtbot, viewer, run, tmp_path):
    folder = shutil.copytree(sample_path("silicon"), tmp_path / "pictures")
    (folder / "README.md").unlink(missing_ok=True)
    session = add_scan(viewer, load_scan(folder))
    run_to_the_end(qtbot, run, viewer, session, region=(slice(0, 1), slice(0, 1)))
    (folder / "silicon_03.png").write_bytes(b"no picture any more")

    errors = []
    run.failed.connect(errors.append)
    with qtbot.waitSignals([run.failed, run.finished], timeout=LONG, order="strict"):
        start(run, viewer, session)

    (error,) = errors
    assert isinstance(error, InputError)
    assert "silicon_03.png" in str(error)
    assert session.phase_map.done.tolist() == [[True, False, False]]
    assert not run.is_running
    assert not session.running


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"network": "no-such-network"}, "no-such-network"), ({"prior": "octagonal"}, "octagonal")],
)
def test_a_wrong_request_is_reported_and_costs_no_result(
    qtbot, viewer, duplex, run, settings, message
):
    run_to_the_end(qtbot, run, viewer, duplex, region=SOME)

    heard = []
    run.failed.connect(heard.append)
    run.finished.connect(heard.append)
    with qtbot.waitSignals([run.failed, run.finished], timeout=LONG, order="strict"):
        run.start(viewer, duplex, **{"device": "cpu"} | settings)

    assert message in str(heard[0])
    assert heard[1:] == ["failed"]
    assert duplex.phase_map.done.sum() == 10


def test_a_region_outside_the_map_is_refused_at_once(viewer, duplex, run):
    with pytest.raises(InputError, match="rows 50:70"):
        start(run, viewer, duplex, region=(slice(50, 70), slice(0, 5)))
    with pytest.raises(InputError, match="region is empty"):
        start(run, viewer, duplex, region=np.zeros((60, 80), bool))

    assert not run.is_running
    assert not duplex.running


def test_without_its_patterns_a_result_cannot_be_classified(viewer, duplex, run):
    duplex.set_map(PhaseMap.empty((60, 80)))
    duplex.set_scan(None)

    assert not would_resume(duplex, "default")
    with pytest.raises(InputError, match="locate it"):
        start(run, viewer, duplex)


def test_the_threshold_is_the_one_asked_for(qtbot, viewer, run, classifier):
    session = add_scan(viewer, load_scan(sample_path("nickel")))

    run_to_the_end(qtbot, run, viewer, session, threshold=0.9)

    assert session.threshold == session.phase_map.threshold == 0.9
    assert session.phase_map.provenance["network_sha256"] == classifier.sha256


def test_only_the_layer_that_is_looked_at_is_made_while_the_map_fills(qtbot, viewer, duplex, run):
    run_to_the_end(qtbot, run, viewer, duplex, region=SOME)

    assert map_roles(viewer) == ["label"]


def test_the_other_layers_come_one_by_one_in_their_order(qtbot, viewer, duplex, run):
    made = []
    viewer.layers.events.inserted.connect(lambda event: made.append(role_of(event.value)))

    run_to_the_end(qtbot, run, viewer, duplex, region=SOME)
    qtbot.waitUntil(lambda: len(map_roles(viewer)) == len(MAP_ROLES), timeout=LONG)

    assert made[0] == "label"
    assert map_roles(viewer) == list(MAP_ROLES)
    assert role_of(viewer.layers.selection.active) == "label"
    assert [role_of(layer) for layer in viewer.layers if layer.visible][-1] == "label"


def test_a_level_that_is_asked_for_is_made_at_once(qtbot, viewer, duplex, run):
    run_until(qtbot, run, viewer, duplex, 100)

    show_level(viewer, duplex, "laue_group")

    assert map_roles(viewer) == ["laue_group", "label"]
    assert [role_of(layer) for layer in viewer.layers if layer.visible][1:] == ["laue_group"]
    assert role_of(viewer.layers.selection.active) == "laue_group"


def test_python_looks_for_garbage_among_new_things_only_while_a_map_fills(
    qtbot, viewer, duplex, run
):
    before = gc.get_freeze_count()

    run_until(qtbot, run, viewer, duplex, 100)
    during = gc.get_freeze_count()
    run.cancel()

    assert during > before
    assert gc.get_freeze_count() == 0


def test_the_last_layers_come_after_a_cancel_too(qtbot, viewer, duplex, run):
    run_until(qtbot, run, viewer, duplex, 100)
    shapes = viewer.add_shapes([[[2, 2], [9, 9]]], shape_type="rectangle")
    run.cancel()

    qtbot.waitUntil(
        lambda: all(layer_for(viewer, duplex, role) is not None for role in MAP_ROLES),
        timeout=LONG,
    )

    assert viewer.layers.selection.active is shapes
    np.testing.assert_array_equal(
        layer_for(viewer, duplex, "label").data != 255, duplex.cache.distance < 65_535
    )


def test_a_network_that_is_warmed_up_is_the_one_that_runs(qtbot, viewer, duplex, run):
    run.warm_up("default", device="cpu")

    how = run_to_the_end(qtbot, run, viewer, duplex, region=SOME)

    assert how == "done"
    qtbot.waitUntil(
        lambda: not any(t.name == "ebsd-phase-warm-up" for t in threading.enumerate()),
        timeout=LONG,
    )


def test_what_is_warmed_up_in_a_thread_makes_no_layer_there(monkeypatch):
    # The interface may make layers meanwhile, and napari hides warnings while it makes colours.
    entered = []
    enter = warnings.catch_warnings.__enter__
    warm_up_labels()  # compiled now: numba does the same while it compiles

    def noted(self):
        entered.append(traceback.extract_stack()[-2].filename)
        return enter(self)

    monkeypatch.setattr(warnings.catch_warnings, "__enter__", noted)
    warm_up_labels()

    assert [name for name in entered if "napari" in name] == []


@pytest.fixture
def uncentred(viewer, tmp_path):
    """The sample of two phases, in a file that does not say where the projection centre is."""
    path = Path(shutil.copy(sample_path("two_phase"), tmp_path / "uncentred.h5"))
    with h5py.File(path, "r+") as file:
        for name in ("pcx", "pcy", "pcz"):  # what kikuchipy takes where a file says nothing
            file[f"Scan 1/EBSD/Header/{name}"][...] = 0.5
    return add_scan(viewer, load_scan(path))


def test_a_coarse_map_does_not_wait_for_the_projection_centre(
    qtbot, viewer, uncentred, run, classifier
):
    maps = []
    uncentred.changed.connect(lambda what: what == "map" and maps.append(uncentred.phase_map))

    how = run_to_the_end(qtbot, run, viewer, uncentred, region=PART)

    with load_scan(uncentred.scan.path) as scan:
        expected = classify(scan, centred(scan, classifier), region=PART)
    assert how == "done"
    assert_same(uncentred.phase_map, expected)
    assert uncentred.phase_map.provenance["projection_centre"]["from"] == "estimated"
    glance, whole = maps
    assert whole is uncentred.phase_map
    assert "projection_centre" not in glance.provenance
    assert 0 < np.count_nonzero(glance.done) <= 800
    rows, cols = np.nonzero(glance.done)
    assert np.ptp(rows) > 10, "not the full extent"
    assert np.ptp(cols) > 25, "not the full extent"


def test_a_search_for_the_projection_centre_is_cancelled(qtbot, viewer, uncentred, run):
    run_until(qtbot, run, viewer, uncentred, 1)  # the glance; the search comes next
    run.cancel()

    assert run.wait(60)
    glance = uncentred.phase_map
    assert "projection_centre" not in glance.provenance
    assert 0 < np.count_nonzero(glance.done) < 4800

    assert run_to_the_end(qtbot, run, viewer, uncentred, region=SOME) == "done"
    assert uncentred.phase_map is not glance
    assert uncentred.phase_map.provenance["projection_centre"]["from"] == "estimated"
