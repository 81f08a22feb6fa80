# SPDX-License-Identifier: GPL-3.0-or-later
"""Known structures are tried on a region that was identified."""

from __future__ import annotations

import json

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication, QFileDialog

from napari_ebsd_phase import load_scan
from napari_ebsd_phase._napari.layers import add_scan as show_scan
from napari_ebsd_phase.samples import sample_path

from .._cif import METALS, write_cif
from ._clicks import LONG, answer, click, dock_in, open_section, texts


@pytest.fixture
def files(tmp_path):
    """CIF files of nickel and of iron."""
    return [str(write_cif(tmp_path, name)) for name in METALS]


@pytest.fixture
def region(make_napari_viewer, qtbot):
    """The Region section, after the whole nickel sample was identified."""
    viewer = make_napari_viewer(show=True)
    dock = dock_in(viewer, qtbot)
    show_scan(viewer, load_scan(sample_path("nickel")))
    open_section(dock.region)
    step = viewer.layers[0].scale
    corners = np.array([[-0.5, -0.5], [2.5, 2.5]]) * step
    viewer.add_shapes([corners], shape_type="rectangle")
    qtbot.waitUntil(dock.region.identify_button.isEnabled)
    click(dock.region.identify_button)
    qtbot.waitUntil(lambda: dock.region.result is not None, timeout=LONG)
    return dock.region


def find(region, qtbot):
    panel = region.candidates
    click(panel.find_button)
    qtbot.waitUntil(lambda: panel.find_button.isEnabled(), timeout=LONG)
    return panel.ranking


def rows(panel) -> list[list[str]]:
    table = panel.table
    return [
        [table.item(row, column).text() for column in range(table.columnCount())]
        for row in range(table.rowCount())
    ]


def test_the_structure_that_fits_comes_first(region, files, qtbot):
    panel = region.candidates
    assert not panel.table.isVisible()
    panel.table_box.setChecked(False)
    panel.set_files(files)

    ranking = find(region, qtbot)

    assert [c.structure.formula for c in ranking.fitting] == ["Ni"]
    first, second = rows(panel)
    assert (first[0], first[2:]) == ("\N{CHECK MARK}", ["Ni", "225, m-3m cF"])
    assert second[0] == ""
    assert float(first[1]) > float(second[1])
    assert panel.table.isVisible()
    assert panel.said.text() == "2 structures tried: one of them fits."
    assert "3.524" in panel.table.item(0, 2).toolTip()
    region.answer.copy_button.click()
    copied = json.loads(QApplication.clipboard().text())
    assert copied["candidates"]["ranking"][0]["formula"] == "Ni"
    assert copied["candidates"]["tried"] == 2


def test_bundled_structures_of_the_symmetry_can_be_stopped(region, qtbot):
    panel = region.candidates
    click(panel.find_button)
    qtbot.waitUntil(lambda: panel.progress.value() > 0, timeout=LONG)
    click(panel.cancel_button)
    qtbot.waitUntil(lambda: panel.find_button.isEnabled(), timeout=LONG)

    ranking = panel.ranking
    assert 0 < len(ranking.candidates) < ranking.asked
    assert f"of {ranking.asked} structures tried" in panel.said.text()
    assert len(rows(panel)) == min(len(ranking.candidates), 20)


def test_without_a_structure_to_try_it_says_so(region, qtbot, notices):
    region.candidates.table_box.setChecked(False)

    assert find(region, qtbot) is None

    assert any("no structure to try" in text for text in texts(notices))


def test_a_broken_file_is_one_line(region, tmp_path, qtbot, notices):
    broken = tmp_path / "broken.cif"
    broken.write_text("nothing")
    region.candidates.set_files([str(broken)])

    assert find(region, qtbot) is None

    assert any("broken.cif" in text for text in texts(notices))


def test_another_answer_takes_the_structures_of_the_last_one_away(region, files, qtbot):
    panel = region.candidates
    panel.table_box.setChecked(False)
    panel.set_files(files[:1])
    find(region, qtbot)
    before = region.result

    click(region.identify_button)
    qtbot.waitUntil(lambda: region.result is not before, timeout=LONG)

    assert panel.ranking is None
    assert not panel.table.isVisible()
    assert panel.table_box.checkState() == Qt.CheckState.Unchecked  # what was chosen stays


def test_files_are_chosen_in_a_dialog_and_forgotten(region, files, qtbot):
    panel = region.candidates
    click(panel.files_button)
    answer(panel, files[0], qtbot)
    assert "files: 1" in panel.files_button.text()

    click(panel.files_button)
    (dialog,) = [d for d in panel.findChildren(QFileDialog) if d.isVisible()]
    dialog.reject()
    assert "files: 1" in panel.files_button.text()

    click(panel.clear_button)
    assert "1" not in panel.files_button.text()
    assert not panel.clear_button.isVisible()


def test_who_cancels_at_once_does_not_wait(region, qtbot):
    panel = region.candidates
    click(panel.find_button)
    assert "minute or two the first time" in panel.said.text()
    click(panel.cancel_button)

    assert panel.find_button.isEnabled()
    assert panel.said.text() == "Stopped before the first structure was tried."
    assert panel.ranking is None
