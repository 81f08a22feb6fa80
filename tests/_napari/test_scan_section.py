# SPDX-License-Identifier: GPL-3.0-or-later
"""The Scan section: opening by dialog, what a scan is, its grid, previews, a lost pattern file."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from PIL import Image as Picture

from napari_ebsd_phase import load_scan
from napari_ebsd_phase._napari.layers import layer_for
from napari_ebsd_phase._napari.scan_facts import (
    grids,
    map_text,
    memory_text,
    pattern_text,
    size_text,
    step_text,
)
from napari_ebsd_phase._napari.session import sessions
from napari_ebsd_phase.mapping import scan_screen
from napari_ebsd_phase.preprocessing import Preprocessing, pattern_quality, prepare
from napari_ebsd_phase.samples import sample_path

from ._clicks import LONG, answer, classify, click, dock_in, open_sample, texts


@pytest.fixture
def viewer(make_napari_viewer):
    return make_napari_viewer(show=True)


@pytest.fixture
def dock(viewer, qtbot):
    return dock_in(viewer, qtbot)


@pytest.fixture
def six_images(tmp_path):
    """A folder of six patterns of one size, which says nothing of their grid."""
    folder = tmp_path / "frames"
    folder.mkdir()
    with load_scan(sample_path("nickel")) as scan:
        for number in range(6):
            pattern = scan.pattern(*divmod(number, 3))
            Picture.fromarray(pattern).save(folder / f"frame_{number}.png")
    return folder


def wait(dock, qtbot) -> None:
    qtbot.waitUntil(lambda: not dock.scan.busy_now, timeout=LONG)


def fact(dock, name: str) -> str:
    return dock.scan._facts[name].text()


def test_a_pattern_file_is_opened_by_its_dialog(dock, viewer, qtbot, nickel_file):
    click(dock.scan.open_bar.file_button)
    answer(dock.scan.open_bar, nickel_file, qtbot)
    assert dock.scan.busy_text.isVisible()
    assert "nickel.h5" in dock.scan.busy_text.text()
    wait(dock, qtbot)

    assert fact(dock, "File") == "nickel.h5"
    assert fact(dock, "Map") == "3 × 3 (9 patterns)"
    assert fact(dock, "Step") == "1.5 µm"
    assert fact(dock, "Patterns") == "60 × 60 pixels, uint8, with static background"
    assert fact(dock, "Detector").startswith("pattern centre 0.4")
    assert "32 kB of patterns stay on disk" in dock.scan.memory.text()
    assert not dock.scan.grid.isVisible()
    assert not dock.scan.locate_button.isVisible()


def test_what_cannot_be_opened_is_one_sentence(dock, viewer, qtbot, tmp_path, notices):
    broken = tmp_path / "broken.h5oina"
    broken.write_bytes(b"this is no HDF5 file")
    click(dock.scan.open_bar.file_button)
    answer(dock.scan.open_bar, broken, qtbot)
    wait(dock, qtbot)

    (text,) = texts(notices)
    assert "broken.h5oina" in text
    assert "\n" not in text
    assert list(viewer.layers) == []
    assert dock.scan.open_bar.isEnabled()
    assert dock.scan.empty.isVisible()


def test_a_folder_of_images_is_laid_out_on_a_grid(dock, viewer, qtbot, six_images):
    click(dock.scan.open_bar.folder_button)
    answer(dock.scan.open_bar, six_images, qtbot)
    wait(dock, qtbot)
    assert fact(dock, "Map") == "1 × 6 (6 patterns)"
    assert (dock.scan.rows.value(), dock.scan.cols.value()) == (2, 3)

    dock.scan.rows.setValue(4)
    assert not dock.scan.grid_button.isEnabled()
    assert "4 × 3 are 12" in dock.scan.grid_note.text()
    dock.scan.rows.setValue(3)
    assert dock.scan.cols.value() == 2
    old = dock.session
    click(dock.scan.grid_button)
    wait(dock, qtbot)

    assert sessions(viewer) == [dock.session]
    assert dock.session is not old
    assert old.closed
    assert dock.session.shape == (3, 2)
    assert layer_for(viewer, dock.session, "mean_intensity").data.shape == (3, 2)
    with load_scan(six_images) as scan:
        np.testing.assert_array_equal(dock.session.pattern(2, 1), scan.pattern(0, 5))

    # A wrong grid is not for ever.
    assert dock.scan.grid.isVisible()
    dock.scan.rows.setValue(2)
    click(dock.scan.grid_button)
    wait(dock, qtbot)
    assert dock.session.shape == (2, 3)


def test_the_pattern_quality_is_previewed_before_classification(dock, viewer, qtbot):
    open_sample(dock, "nickel", qtbot)
    click(dock.scan.preview_buttons["quality"])
    wait(dock, qtbot)

    layer = layer_for(viewer, dock.session, "quality")
    scan = dock.session.scan
    patterns = np.stack([scan.pattern(*place) for place in np.ndindex(3, 3)])
    inputs = prepare(
        patterns, Preprocessing(), background=scan.static_background, mask=scan_screen(scan)
    )
    np.testing.assert_allclose(
        layer.data, pattern_quality(inputs).numpy().reshape(3, 3), rtol=1e-4, atol=1e-5
    )
    assert layer.visible
    assert viewer.layers.selection.active is layer
    assert not layer_for(viewer, dock.session, "mean_intensity").visible

    click(dock.scan.preview_buttons["mean_intensity"])
    assert layer_for(viewer, dock.session, "mean_intensity").visible
    assert not layer.visible

    # The network's own judgement takes the preview's place.
    classify(dock, qtbot)
    assert layer_for(viewer, dock.session, "quality") is layer
    np.testing.assert_array_equal(layer.data, dock.session.phase_map.pattern_quality)


def test_the_vendors_phases_are_shown_where_there_are_any(dock, viewer, qtbot, six_images):
    open_sample(dock, "nickel", qtbot)
    click(dock.scan.preview_buttons["vendor_phases"])
    assert layer_for(viewer, dock.session, "vendor_phases").visible

    dock.scan.open_bar.asked.emit(str(six_images), "")
    wait(dock, qtbot)
    assert not dock.scan.preview_buttons["vendor_phases"].isVisible()


def test_a_map_whose_patterns_have_moved_asks_for_them(
    dock, viewer, qtbot, nickel_result, tmp_path, notices
):
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    shutil.move(tmp_path / "nickel.h5", moved / "renamed.h5")
    click(dock.scan.open_bar.file_button)
    answer(dock.scan.open_bar, nickel_result, qtbot)
    wait(dock, qtbot)
    assert dock.session.scan is None
    assert "nickel.h5 not found" in fact(dock, "File")
    assert dock.layers.isExpanded()
    assert not dock.classify.start_button.isEnabled()
    notices.clear()

    click(dock.scan.toggleButton())
    click(dock.scan.locate_button)
    answer(dock.scan, sample_path("two_phase"), qtbot)
    assert any("60 x 80" in text for text in texts(notices))
    assert dock.session.scan is None

    click(dock.scan.locate_button)
    answer(dock.scan, moved / "renamed.h5", qtbot)
    assert fact(dock, "File") == "renamed.h5"
    assert not dock.scan.locate_button.isVisible()
    assert dock.session.pattern(1, 1).shape == (60, 60)


def test_facts_in_the_words_of_the_field():
    with load_scan(sample_path("two_phase")) as scan:
        assert map_text(scan.shape) == "60 × 80 (4,800 patterns)"
        assert step_text(scan.step, scan.units) == "0.2 µm"
        assert pattern_text(scan).startswith("48 × 48 pixels, uint8")
        assert "11 MB" in memory_text(scan)
    assert step_text((1.0, 1.0), "px") == "not in the file"
    assert step_text((0.25, 0.5), "um") == "0.25 × 0.5 µm"
    assert map_text((1, 1)) == "1 × 1 (1 pattern)"


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (12, "12 bytes"),
        (1500, "1.5 kB"),
        (11_059_200, "11 MB"),
        (104e9, "104 GB"),
        (3e15, "3000 TB"),
    ],
)
def test_sizes_are_short(size, text):
    assert size_text(size) == text


def test_grids_begin_with_the_one_closest_to_a_square():
    assert grids(12) == [(3, 4), (2, 6), (1, 12), (4, 3), (6, 2), (12, 1)]
    assert grids(9) == [(3, 3), (1, 9), (9, 1)]
    assert grids(7) == [(1, 7), (7, 1)]
