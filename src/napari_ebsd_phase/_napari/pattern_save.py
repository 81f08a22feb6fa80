# SPDX-License-Identifier: GPL-3.0-or-later
"""Save what the pattern dock shows: a picture for a report, arrays to go on with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QRect, Qt
from qtpy.QtGui import QFont, QImage, QPainter
from qtpy.QtWidgets import QFileDialog, QMenu, QPushButton

from ..errors import InputError
from ..export._atomic import replacing
from .notify import guarded, show_info
from .pattern_words import label_text

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .pattern_panel import PatternPanel
    from .session import MapSession

_MARGIN = 16
_TEXT_PIXELS = 24

_NOTHING = "no pattern is shown: click a pixel of the map first"


class SaveButton(QPushButton):
    """Button with a menu of what can be saved.

    Parameters
    ----------
    panels
        Gives the patterns on view; the last is the chosen one, whose arrays are saved.
    """

    def __init__(self, panels: Callable[[], Sequence[PatternPanel]]) -> None:
        super().__init__()
        self._panels = panels
        self.setText("&Save")
        self.setToolTip("Save the picture, or the numbers behind it")
        menu = QMenu(self)
        menu.addAction("Picture (.png)…", self._ask_picture)
        menu.addAction("Heat map as array (.npy)…", self._ask_heat)
        menu.addAction("Pattern as array (.npy)…", self._ask_pattern)
        self.setMenu(menu)

    def save_picture(self, path: str | Path) -> Path:
        """Save all that is on view, with its words, as PNG; an existing file is replaced.

        Raises
        ------
        InputError
            If nothing is shown, or the file cannot be written.
        """
        parts: list[tuple[QImage, str]] = []
        for panel in self._panels():
            image = panel.view.picture()
            if image is not None:
                name = "" if panel.result is None else f"\n{label_text(panel.result)[0]}"
                parts.append((image, panel.caption.text() + name))
        if not parts:
            raise InputError(_NOTHING)
        path = _with_suffix(path, ".png")
        with replacing(path, overwrite=True) as file:
            if not compose(parts).save(str(file), "PNG"):
                raise InputError(
                    f"cannot write '{path}': choose another folder, or make room there"
                )
        return path

    def save_heat(self, path: str | Path) -> Path:
        """Save the heat map, float32 of the shape of the pattern, as NumPy file.

        Raises
        ------
        InputError
            If there is none, or the file cannot be written.
        """
        heat = self._panels()[-1].view.heat
        if heat is None:
            raise InputError("there is no heat map yet: choose a method, and wait until it shows")
        return _save_array(path, heat)

    def save_pattern(self, path: str | Path) -> Path:
        """Save the pattern as it was recorded, as NumPy file.

        Raises
        ------
        InputError
            If there is none, or the file cannot be written.
        """
        pattern = self._panels()[-1].view.pattern
        if pattern is None:
            raise InputError(_NOTHING)
        return _save_array(path, pattern)

    def _ask_picture(self) -> None:
        self._ask("pattern", ".png", "Picture (*.png)", self.save_picture)

    def _ask_heat(self) -> None:
        self._ask("heat", ".npy", "NumPy array (*.npy)", self.save_heat)

    def _ask_pattern(self) -> None:
        self._ask("pattern", ".npy", "NumPy array (*.npy)", self.save_pattern)

    def _ask(self, what: str, suffix: str, kinds: str, save: Callable[[str], Path]) -> None:
        """Open a file dialog; the program goes on meanwhile."""
        place = self._panels()[-1].place
        session = None if place is None else place.session
        if place is None or session is None:
            return

        @guarded
        def write(path: str) -> None:
            show_info(f"Saved {save(path)}")

        dialog = QFileDialog(self, "Save", str(folder_of(session)), kinds)
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix(suffix[1:])
        name = Path(session.name).name
        dialog.selectFile(f"{name}_row{place.row}_col{place.col}_{what}{suffix}")
        dialog.fileSelected.connect(write)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()


def compose(parts: Sequence[tuple[QImage, str]]) -> QImage:
    """Return pictures side by side, each with its words below, dark on white."""
    height = max(image.height() for image, _ in parts)
    scaled = [(_of_height(image, height), text) for image, text in parts]
    lines = max(text.count("\n") + 1 for _, text in parts)
    below = round(lines * _TEXT_PIXELS * 1.5)
    width = sum(image.width() for image, _ in scaled) + _MARGIN * (len(parts) + 1)
    page = QImage(width, height + below + 2 * _MARGIN, QImage.Format.Format_RGB32)
    page.fill(Qt.GlobalColor.white)
    painter = QPainter(page)
    font = QFont()
    font.setPixelSize(_TEXT_PIXELS)
    painter.setFont(font)
    painter.setPen(Qt.GlobalColor.black)
    left = _MARGIN
    for image, text in scaled:
        painter.drawImage(left, _MARGIN, image)
        box = QRect(left, _MARGIN + height + _TEXT_PIXELS // 4, image.width(), below)
        flags = Qt.AlignmentFlag.AlignHCenter | Qt.TextFlag.TextWordWrap
        painter.drawText(box, int(flags.value), text)
        left += image.width() + _MARGIN
    painter.end()
    return page


def folder_of(session: MapSession) -> Path:
    """Where results of a data set belong: beside it, but for the samples of the program."""
    program = Path(__file__).parents[1]
    if session.scan is None or program in session.scan.path.resolve().parents:
        return Path.home()
    return session.scan.path.resolve().parent


def _of_height(image: QImage, height: int) -> QImage:
    if image.height() == height:
        return image
    # Pixels of a pattern stay squares.
    return image.scaledToHeight(height, Qt.TransformationMode.FastTransformation)


def _save_array(path: str | Path, array: NDArray) -> Path:
    path = _with_suffix(path, ".npy")
    with replacing(path, overwrite=True) as file:
        np.save(file, array)
    return path


def _with_suffix(path: str | Path, suffix: str) -> Path:
    path = Path(path)
    return path if path.suffix.lower() == suffix else path.with_name(path.name + suffix)
