# SPDX-License-Identifier: GPL-3.0-or-later
"""The dock of maps on the sphere shows what the core finds, and says what it lacks."""

from __future__ import annotations

import threading
from pathlib import Path

import kikuchipy
import numpy as np
import pytest
from PIL import Image
from qtpy.QtWidgets import QApplication, QFileDialog, QLineEdit

from napari_ebsd_phase import InputError, load_scan
from napari_ebsd_phase._napari.layers import add_scan
from napari_ebsd_phase._napari.sphere_dock import SphereDock
from napari_ebsd_phase.mapping import scan_screen
from napari_ebsd_phase.saliency.sphere import laue_operations, saliency_on_sphere
from napari_ebsd_phase.saliency.sphere_scan import oriented_frames
from napari_ebsd_phase.samples import sample_path

from .._cif import write_cif
from ._clicks import LONG, choose, click
from ._pictures import pixels_of

MASTER = (
    Path(kikuchipy.__file__).parent
    / "data/emsoft_ebsd_master_pattern/ni_mc_mp_20kv_uint8_gzip_opts9.h5"
)


@pytest.fixture
def viewer(make_napari_viewer):
    return make_napari_viewer(show=True)


@pytest.fixture
def dock(viewer, qtbot) -> SphereDock:
    dock = SphereDock(viewer)
    viewer.window.add_dock_widget(dock, name="EBSD evidence on the sphere", area="right")
    qtbot.waitUntil(dock.isVisible)
    return dock


@pytest.fixture
def nickel(viewer, dock):
    return add_scan(viewer, load_scan(sample_path("nickel")))


def run(dock, qtbot):
    click(dock.start_button)
    assert dock.cancel_button.isVisible()
    qtbot.waitUntil(lambda: not dock.busy, timeout=LONG)
    QApplication.processEvents()
    return dock.answer


def colourful(dock) -> float:
    """Share of the canvas that is neither grey nor of the theme's bluish grey."""
    colours = pixels_of(dock.view.grab().toImage()).reshape(-1, 3).astype(int)
    return float((np.ptp(colours, axis=1) > 40).mean())


def test_it_says_what_it_lacks(viewer, dock):
    assert dock.view.hint.text() == "Open an EBSD file or a sample to begin"
    assert not dock.start_button.isEnabled()
    assert not dock.save_button.isEnabled()

    add_scan(viewer, load_scan(sample_path("two_phase")))
    assert "no orientations" in dock.view.hint.text()
    assert not dock.start_button.isEnabled()

    add_scan(viewer, load_scan(sample_path("silicon")))
    assert "where the detector stood" in dock.view.hint.text()
    with pytest.raises(InputError, match="Show map"):
        dock.save_picture("nothing.png")


def test_the_map_is_that_of_the_core_and_is_saved(dock, nickel, network, tmp_path, qtbot):
    assert dock.controls.phase_box.currentText() == "ni (9 patterns)"
    answer = run(dock, qtbot)

    scan = nickel.scan
    oriented = oriented_frames(scan)
    expected = saliency_on_sphere(
        network,
        oriented.frames,
        oriented.rotations,
        oriented.geometries,
        "m-3m",
        laue_operations(oriented.phase),
        background=scan.static_background,
        mask=scan_screen(scan),
    )
    np.testing.assert_allclose(answer.found.values, expected.values, rtol=0.05, atol=0.1)
    assert dock.title.text() == "nickel, ni"
    assert "evidence for point group m-3m, network default; mean over 9 patterns" in (
        dock.words.text()
    )
    assert colourful(dock) > 0.01
    np.save(tmp_path / "expected.npy", answer.found.values)
    assert dock.save_array(tmp_path / "sphere").name == "sphere.npy"
    assert (tmp_path / "sphere.npy").read_bytes() == (tmp_path / "expected.npy").read_bytes()
    with Image.open(dock.save_picture(tmp_path / "sphere.png")) as picture:
        assert picture.width > 600


def test_one_class_against_another_beside_the_master_pattern(dock, nickel, qtbot):
    controls = dock.controls
    choose(controls.level_box, "Bravais")
    choose(controls.target_box, "cF")
    choose(controls.against_box, "cI")
    controls.use_master(MASTER)
    answer = run(dock, qtbot)

    assert [panel.title for panel in answer.panels] == [
        "master pattern",
        "evidence for cF against cI",
    ]
    assert answer.panels[0].grid.shape == (401, 401)
    choose(controls.target_box, "cI")
    assert controls.against is None  # a class is not weighed against itself


def test_hough_indexing_gives_much_the_same_map(dock, nickel, qtbot):
    first = run(dock, qtbot).found.values
    choose(dock.controls.orientation_box, "Hough")
    answer = run(dock, qtbot)

    assert "indexed by Hough" in dock.words.text()
    both = np.isfinite(first) & np.isfinite(answer.found.values)
    assert np.corrcoef(first[both], answer.found.values[both])[0, 1] > 0.8


def test_the_crystal_of_a_cif_file_is_indexed(viewer, dock, nickel, notices, tmp_path, qtbot):
    cif = write_cif(tmp_path, "nickel")
    dock.controls.use_cif(cif)
    assert dock.controls.hough
    assert not dock.controls.orientation_box.model().item(0).isEnabled()
    assert "indexed by Hough" in run(dock, qtbot).lines[1]

    cif.write_text("no crystal", encoding="ascii")
    assert run(dock, qtbot).lines[1].endswith("Hough")  # the map before stays
    (notice,) = notices
    assert "nickel.cif: not a readable CIF file" in notice.message


def test_a_wrong_master_pattern_is_said_in_one_sentence(dock, nickel, notices, qtbot):
    dock.controls.use_master(sample_path("nickel"))
    assert run(dock, qtbot) is None
    (notice,) = notices
    assert "master pattern" in notice.message
    assert notice.message == dock.view.hint.text()


def test_cancelled_it_keeps_the_map_before(dock, nickel, qtbot):
    before = run(dock, qtbot)
    click(dock.start_button)
    click(dock.cancel_button)
    qtbot.waitUntil(lambda: not dock.busy, timeout=LONG)
    assert dock.answer is before
    assert dock.start_button.isEnabled()


def test_another_data_set_has_no_map_yet(viewer, dock, nickel, qtbot):
    run(dock, qtbot)
    add_scan(viewer, load_scan(sample_path("two_phase")))
    assert dock.answer is None
    assert not dock.title.isVisible()
    assert not dock.save_button.isEnabled()


def test_closed_while_at_work_it_ends_silently(viewer, dock, nickel, notices, qtbot):
    click(dock.start_button)
    at_work = [thread for thread in threading.enumerate() if thread.name == "ebsd-phase"]
    assert at_work
    viewer.window.remove_dock_widget(dock)
    qtbot.waitUntil(lambda: not any(x.is_alive() for x in at_work), timeout=LONG)
    QApplication.processEvents()
    assert not dock.busy
    assert not notices


def test_the_save_menu_asks_for_a_name(dock, nickel, tmp_path, qtbot):
    run(dock, qtbot)
    dock.save_button.menu().actions()[1].trigger()
    dialogs = lambda: [d for d in dock.findChildren(QFileDialog) if d.isVisible()]  # noqa: E731
    qtbot.waitUntil(lambda: bool(dialogs()))
    dialogs()[0].findChild(QLineEdit).setText(str(tmp_path / "mine.npy"))
    dialogs()[0].accept()
    qtbot.waitUntil(lambda: (tmp_path / "mine.npy").exists())
