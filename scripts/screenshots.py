# SPDX-License-Identifier: GPL-3.0-or-later
"""The pictures of the user guide, made by using the plugin on its samples.

    xvfb-run -a -s "-screen 0 1366x768x24" python scripts/screenshots.py [FOLDER]

Every picture is the napari window after clicks on the buttons that a user would click; the default
folder is ``docs/images``. A step that does not come to its end within two minutes fails.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from napari.viewer import Viewer
from qtpy.QtCore import QElapsedTimer, QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QAbstractButton, QApplication, QDockWidget, QWidget

from napari_ebsd_phase._napari.application import open_viewer
from napari_ebsd_phase._napari.legend_dock import LegendDock
from napari_ebsd_phase._napari.map_dock import MapDock
from napari_ebsd_phase._napari.pattern_dock import PatternDock
from napari_ebsd_phase._napari.sphere_dock import SphereDock
from napari_ebsd_phase._napari.teach_dock import TeachDock
from napari_ebsd_phase.samples import sample_path

SIZE = 1366, 768
_PATIENCE = 120_000  # milliseconds


class Stage:
    """A napari window with the plugin's docks, and the hand that uses it."""

    def __init__(self, folder: Path, sample: str = "two_phase") -> None:
        self.folder = folder
        self.viewer: Viewer = open_viewer(sample_path(sample))
        self.window: QWidget = self.viewer.window._qt_window
        self.window.resize(*SIZE)
        self.mapping = self._dock(MapDock)
        self.pattern = self._dock(PatternDock)
        self.legend = self._dock(LegendDock)

    def _dock(self, kind: type) -> QWidget:
        return next(w for w in self.window.findChildren(QWidget) if isinstance(w, kind))

    def top(self, dock: QWidget) -> None:
        """Bring the tab of a dock to the top."""
        frames = self.window.findChildren(QDockWidget)
        next(f for f in frames if f.isAncestorOf(dock)).raise_()

    def until(self, reached: Callable[[], bool], what: str, patience: int = _PATIENCE) -> None:
        """Let the window work until something is so."""
        clock = QElapsedTimer()
        clock.start()
        while not reached():
            if clock.elapsed() > patience:
                raise SystemExit(f"error: waited in vain for {what}")
            QApplication.processEvents()
            QTest.qWait(20)
        QTest.qWait(400)  # what was asked to be drawn is drawn

    def push(self, button: QAbstractButton) -> None:
        """Click a button."""
        QTest.mouseClick(button, Qt.MouseButton.LeftButton)

    def level(self, name: str) -> None:
        """Click on a level in the section *Layers*."""
        buttons = self.mapping.layers.findChildren(QAbstractButton)
        self.push(next(b for b in buttons if b.text().replace("&", "") == name))

    def click_map(self, row: int, col: int) -> None:
        """Click a pixel of the map."""
        canvas = self.viewer.window._qt_viewer.canvas
        layer = self.viewer.layers["patterns: Bravais lattice"]
        world = np.array(layer.data_to_world((row, col)))
        centre, zoom = np.array(self.viewer.scene.camera.center[-2:]), self.viewer.scene.camera.zoom
        y, x = (
            np.array([canvas.native.height(), canvas.native.width()]) / 2 + (world - centre) * zoom
        )
        QTest.mouseClick(canvas.native, Qt.MouseButton.LeftButton, pos=QPoint(round(x), round(y)))

    def picture(self, name: str) -> None:
        """Save the window as it is."""
        QTest.qWait(600)
        path = self.folder / f"{name}.png"
        self.window.grab().save(str(path))
        print(path)


def main() -> None:
    """Make all pictures."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/images")
    folder.mkdir(parents=True, exist_ok=True)
    stage = Stage(folder)
    mapping, pattern = stage.mapping, stage.pattern

    stage.top(mapping)
    stage.until(lambda: mapping.session is not None, "the scan")
    stage.picture("1-scan")

    stage.push(mapping.classify.start_button)
    stage.until(
        lambda: bool(
            mapping.session
            and not mapping.session.running
            and mapping.session.phase_map is not None
            and mapping.session.phase_map.done.all()
        ),
        "the map",
    )
    stage.level("Lattice")
    stage.top(stage.legend)
    stage.picture("2-map")

    stage.click_map(14, 34)
    stage.until(lambda: pattern.place is not None and not pattern.busy, "the pattern")
    stage.picture("3-pattern")

    stage.top(mapping)
    mapping.layers.set_open(False)
    mapping.region.set_open(True)
    QTest.qWait(200)
    stage.push(mapping.region.draw_buttons["add_rectangle"])
    shapes = stage.viewer.layers["patterns: Region"]
    shapes.add_rectangles([np.array([[37.5, 50.5], [57.5, 74.5]])])
    stage.until(mapping.region.identify_button.isEnabled, "the region")
    stage.push(mapping.region.identify_button)
    stage.until(lambda: mapping.region.answer.isVisible(), "the answer")
    stage.picture("4-region")
    stage.push(mapping.region.candidates.find_button)
    stage.until(lambda: mapping.region.candidates.ranking is not None, "the structures", 400_000)
    stage.picture("8-structures")

    mapping.region.set_open(False)
    mapping.export.set_open(True)
    stage.picture("5-export")
    stage.viewer.close()
    sphere(folder)
    teach(folder)


def sphere(folder: Path) -> None:
    """Make the picture of the map on the sphere, of the sample that has orientations."""
    stage = Stage(folder, "nickel")
    frame, dock = stage.viewer.window.add_plugin_dock_widget(
        "napari-ebsd-phase", "EBSD evidence on the sphere"
    )
    assert isinstance(dock, SphereDock)
    stage.until(lambda: dock.start_button.isEnabled(), "the orientations")
    mapping = stage.mapping.parentWidget()
    while not isinstance(mapping, QDockWidget):
        mapping = mapping.parentWidget()
    stage.viewer.window._qt_window.tabifyDockWidget(mapping, frame)
    stage.window.resizeDocks([frame], [640], Qt.Orientation.Horizontal)
    stage.top(dock)
    stage.push(dock.start_button)
    stage.until(lambda: dock.answer is not None and not dock.busy, "the map on the sphere")
    stage.picture("6-sphere")
    stage.viewer.close()


# Grains of the sample, and the class of each phase.
_GRAINS = {
    1: ((11, 72), (16, 34), (36, 3), (50, 28), (55, 47), (40, 59)),
    2: ((3, 65), (17, 23), (30, 21), (53, 8), (19, 50), (6, 47)),
}
_PHASES = (("austenite", "m-3m", "cF"), ("ferrite", "m-3m", "cI"))


def teach(folder: Path) -> None:
    """Make the picture of a network that is taught two phases, by a few strokes of the brush."""
    stage = Stage(folder)
    stage.until(lambda: stage.mapping.session is not None, "the scan")
    frame, dock = stage.viewer.window.add_plugin_dock_widget(
        "napari-ebsd-phase", "EBSD teach the network"
    )
    assert isinstance(dock, TeachDock)
    stage.until(lambda: dock.session is not None, "the dock")
    stage.window.resizeDocks([frame], [420], Qt.Orientation.Horizontal)
    stage.top(dock)
    stage.push(dock.controls.new_button)
    labels = stage.viewer.layers.selection.active
    for value, places in _GRAINS.items():
        for place in places:
            labels.paint(place, value)
    table = dock.controls.table
    stage.until(lambda: table.rowCount() == len(_GRAINS), "the labels")
    for row, (name, group, lattice) in enumerate(_PHASES):
        table.item(row, 0).setText(name)
        chooser = table.chooser(row)
        for box, wanted in ((chooser.group_box, group), (chooser.lattice_box, lattice)):
            box.setCurrentIndex(box.findData(wanted))
    dock.controls.steps_box.setValue(20)
    stage.folder = folder.resolve()
    before = Path.cwd()
    with TemporaryDirectory() as place:
        os.chdir(place)
        dock.controls.use_file("duplex.safetensors")
        stage.push(dock.start_button)
        stage.until(lambda: not dock.busy, "the network")
        stage.picture("7-teach")
        os.chdir(before)
    stage.viewer.close()


if __name__ == "__main__":
    main()
