# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user does with the map dock: clicks on what she sees, and waits for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from qtpy.QtCore import QDeadlineTimer, QObject, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QAbstractButton, QApplication, QComboBox, QFileDialog, QLineEdit, QWidget

from napari_ebsd_phase._napari.map_dock import MapDock
from napari_ebsd_phase.samples import sample_names

#: Milliseconds that a job of seconds may take on a busy machine.
LONG = 120_000


def dock_in(viewer, qtbot) -> MapDock:
    """A map dock in the window of a viewer."""
    dock = MapDock(viewer)
    viewer.window.add_dock_widget(dock, name="EBSD phase mapping", area="right")
    qtbot.waitUntil(dock.isVisible)
    return dock


def click(button: QAbstractButton) -> None:
    """Press a button with the mouse; one that cannot be seen or pressed fails the test."""
    assert button.isVisible(), f"{button.text()!r} is not visible"
    assert button.isEnabled(), f"{button.text()!r} is greyed out"
    # A button that was just shown has no height until its section is laid out.
    deadline = QDeadlineTimer(LONG)
    while button.rect().isEmpty() and not deadline.hasExpired():
        QApplication.processEvents()
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


def open_section(section) -> None:
    """Open a section of the dock by its title."""
    if not section.isExpanded():
        click(section.toggleButton())


def choose(box: QComboBox, text: str) -> None:
    """Open a combo box and choose the entry that begins with `text`."""
    assert box.isVisible()
    assert box.isEnabled()
    place = next(i for i in range(box.count()) if box.itemText(i).startswith(text))
    box.showPopup()
    view = box.view()
    view.setCurrentIndex(box.model().index(place, 0))
    QTest.keyClick(view, Qt.Key.Key_Return)


def open_sample(dock: MapDock, name: str, qtbot) -> None:
    """Choose a sample in the menu of the Scan section."""
    open_section(dock.scan)
    before = dock.session
    dock.scan.open_bar.menu.actions()[sample_names().index(name)].trigger()
    qtbot.waitUntil(lambda: not dock.scan.busy_now and dock.session is not before, timeout=LONG)


def answer(parent: QWidget, path: Path | str, qtbot) -> None:
    """Type a name into the file dialog that a widget has opened, and accept it."""
    qtbot.waitUntil(lambda: bool(_dialogs(parent)))
    (dialog,) = _dialogs(parent)
    if dialog.fileMode() == QFileDialog.FileMode.Directory:
        dialog.setDirectory(str(path))
    dialog.findChild(QLineEdit).setText(str(path))
    dialog.accept()
    qtbot.waitUntil(lambda: not _dialogs(parent))


def _dialogs(parent: QWidget) -> list[QFileDialog]:
    return [dialog for dialog in parent.findChildren(QFileDialog) if dialog.isVisible()]


def classify(dock: MapDock, qtbot) -> None:
    """Press Start and wait until the run has ended."""
    open_section(dock.classify)
    click(dock.classify.start_button)
    qtbot.waitUntil(lambda: not dock.classify.job.run.is_running, timeout=LONG)


@contextmanager
def gone_after(thing: QObject, qtbot, timeout: int = 5000) -> Iterator[None]:
    """Wait until Qt has deleted something.

    With PySide6 `qtbot.waitSignal` cannot disconnect from the last signal of an object.
    """
    gone: list[bool] = []
    thing.destroyed.connect(lambda: gone.append(True))
    yield
    qtbot.waitUntil(lambda: bool(gone), timeout=timeout)


def texts(notices) -> list[str]:
    """What napari has told the user."""
    return [notice.message for notice in notices]
