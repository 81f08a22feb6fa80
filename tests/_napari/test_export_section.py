# SPDX-License-Identifier: GPL-3.0-or-later
"""The Export section: every format is written and can be read, and the dock says where."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from PIL import Image
from qtpy.QtCore import QObject, QTimer, QUrl, Slot
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QApplication, QFileDialog, QMessageBox

from napari_ebsd_phase import PhaseMap
from napari_ebsd_phase._napari.export_section import formats
from napari_ebsd_phase._napari.label_visibility import set_hidden
from napari_ebsd_phase._napari.layers import layer_for
from napari_ebsd_phase.export import KEEPS

from ._clicks import (
    LONG,
    answer,
    choose,
    classify,
    click,
    dock_in,
    open_sample,
    open_section,
    texts,
)


@pytest.fixture
def viewer(make_napari_viewer):
    return make_napari_viewer(show=True)


@pytest.fixture
def dock(viewer, qtbot):
    """A dock about the classified nickel sample, its Export section open."""
    dock = dock_in(viewer, qtbot)
    open_sample(dock, "nickel", qtbot)
    classify(dock, qtbot)
    open_section(dock.export)
    return dock


def export(dock, path, qtbot) -> None:
    click(dock.export.export_button)
    answer(dock.export, path, qtbot)
    qtbot.waitUntil(lambda: not dock.export.progress.isVisible(), timeout=LONG)


def test_every_format_says_what_it_keeps_and_loses(dock):
    box = dock.export.format
    assert {suffix for entry in formats() for suffix in entry.suffixes} >= set(KEEPS)
    for place, entry in enumerate(formats()):
        choose(box, box.itemText(place))

        assert dock.export.keeps.text() == entry.keeps
        assert len(entry.keeps) > 40


def test_every_format_is_written(dock, qtbot, tmp_path, notices):
    phase_map = dock.session.phase_map
    for suffix in KEEPS:
        dock.export.choose(suffix)
        path = tmp_path / f"map{suffix}"
        export(dock, path, qtbot)

        assert path.stat().st_size > 0
        assert dock.export.written == path
        assert str(path) in dock.export.state.text()
    assert texts(notices) == []

    saved = PhaseMap.load(tmp_path / "map.h5")
    np.testing.assert_array_equal(
        saved.point_group_probabilities, phase_map.point_group_probabilities
    )
    assert len((tmp_path / "map.csv").read_text().splitlines()) == 1 + phase_map.done.size
    # The faithful format says which file the patterns are of.
    assert len(saved.provenance["source_sha256"]) == 64


def test_a_name_without_suffix_gets_one(dock, qtbot, tmp_path):
    dock.export.choose(".h5")
    export(dock, tmp_path / "plain", qtbot)

    assert dock.export.written == tmp_path / "plain.h5"
    with h5py.File(tmp_path / "plain.h5") as file:
        assert "napari_ebsd_phase" in file


def test_a_file_that_is_there_is_replaced_only_if_the_user_says_so(dock, qtbot, tmp_path):
    path = tmp_path / "precious.csv"
    path.write_text("precious")
    dock.export.choose(".csv")
    click(dock.export.export_button)
    asked = []

    def decline() -> None:
        (question,) = [w for w in QApplication.topLevelWidgets() if isinstance(w, QMessageBox)]
        asked.append(question.text())
        question.button(QMessageBox.StandardButton.No).click()

    (dialog,) = dock.export.findChildren(QFileDialog)
    qtbot.waitUntil(dialog.isVisible)
    QTimer.singleShot(0, decline)
    from qtpy.QtWidgets import QLineEdit

    dialog.findChild(QLineEdit).setText(str(path))
    dialog.accept()  # waits for the answer

    assert "already exists" in asked[0]
    assert path.read_text() == "precious"
    dialog.reject()
    assert dock.export.written is None


def test_a_figure_of_the_level_that_is_shown(dock, viewer, qtbot, tmp_path):
    open_section(dock.layers)
    click(dock.layers.button("laue_group"))
    dock.export.choose(".png", figure=True)
    export(dock, tmp_path / "all.png", qtbot)
    layer = layer_for(viewer, dock.session, "laue_group")
    set_hidden(layer, set(np.unique(layer.data).tolist()))
    export(dock, tmp_path / "hidden.png", qtbot)

    with Image.open(tmp_path / "all.png") as full, Image.open(tmp_path / "hidden.png") as empty:
        assert full.convert("RGB").getcolors(2**24) != empty.convert("RGB").getcolors(2**24)
    export(dock, tmp_path / "figure.svg", qtbot)
    assert "<svg" in (tmp_path / "figure.svg").read_text()[:2000]


def test_what_cannot_be_written_is_one_sentence(dock, qtbot, tmp_path, notices):
    dock.export.choose(".h5")
    export(dock, tmp_path / "gone" / "map.h5", qtbot)

    (text,) = texts(notices)
    assert "there is no folder" in text.lower()
    assert dock.export.written is None
    assert dock.export.state.text() == "Nothing was written."
    assert not dock.export.copy_button.isVisible()
    assert dock.export.export_button.isEnabled()
    assert list(tmp_path.iterdir()) == []


class FolderOpener(QObject):
    """Stands where the desktop's file manager is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    @Slot(QUrl)
    def open(self, url: QUrl) -> None:
        self.asked.append(url.toLocalFile())


def test_the_file_is_found_again(dock, qtbot, tmp_path):
    dock.export.choose(".tif")
    assert not dock.export.folder_button.isVisible()
    export(dock, tmp_path / "map.tif", qtbot)

    click(dock.export.copy_button)
    assert QApplication.clipboard().text() == str(tmp_path / "map.tif")

    opener = FolderOpener()
    QDesktopServices.setUrlHandler("file", opener, "open")
    try:
        click(dock.export.folder_button)
    finally:
        QDesktopServices.unsetUrlHandler("file")
    assert opener.asked == [str(tmp_path)]


def test_a_map_that_is_being_made_is_not_exported(viewer, qtbot):
    dock = dock_in(viewer, qtbot)
    open_sample(dock, "two_phase", qtbot)
    open_section(dock.export)
    assert "classify a scan first" in dock.export.state.text()
    click(dock.classify.start_button)
    qtbot.waitUntil(lambda: dock.classify.job.done > 0, timeout=LONG)

    assert not dock.export.export_button.isEnabled()
    assert "when the classification has ended" in dock.export.state.text()
    click(dock.classify.cancel_button)
    open_section(dock.export)
    assert dock.export.export_button.isEnabled()
    assert not dock.export.state.isVisible()


def test_another_data_set_has_not_written_the_file(dock, qtbot, tmp_path):
    dock.export.choose(".csv")
    export(dock, tmp_path / "map.csv", qtbot)
    assert dock.export.copy_button.isVisible()

    open_sample(dock, "silicon", qtbot)

    open_section(dock.export)
    assert not dock.export.copy_button.isVisible()
    assert str(tmp_path) not in dock.export.state.text()
