# SPDX-License-Identifier: GPL-3.0-or-later
"""Buttons that ask what to open: a file, a folder of images, a sample."""

from __future__ import annotations

from napari.utils.history import get_open_history, update_open_history
from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QFileDialog,
    QGridLayout,
    QMenu,
    QPushButton,
    QWidget,
)

from ..samples import sample_names, sample_path, sample_title
from .notify import guarded

_PATTERNS = "*.h5oina *.h5 *.hdf5 *.h5ebsd *.ebsp *.up1 *.up2 *.dat *.txt"
_IMAGES = "*.png *.tif *.tiff *.bmp *.jpg *.jpeg"


class OpenBar(QWidget):
    """Asks for something to open.

    ``asked`` brings the file or folder and the name that it is shown under (empty: its own).
    """

    asked = Signal(str, str)

    def __init__(self) -> None:
        super().__init__()
        self.file_button = QPushButton("&Open file…")
        self.file_button.setToolTip(
            "A pattern file of EBSD software (Oxford, EDAX, Bruker, NORDIF, kikuchipy, EMsoft), an "
            "image of a pattern, or a phase map that was saved as .h5"
        )
        self.folder_button = QPushButton("Open fol&der of images…")
        self.folder_button.setToolTip(
            "A folder with one pattern an image, in the order of their names"
        )
        self.sample_button = QPushButton("Sa&mple")
        self.sample_button.setToolTip("Small data with a known answer that come with the program")
        self.menu = QMenu(self.sample_button)
        for name in sample_names():
            title = sample_title(name)
            action = self.menu.addAction(title[0].upper() + title[1:])
            action.setData(name)
        self.menu.triggered.connect(self._on_sample)
        self.sample_button.setMenu(self.menu)
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(4)
        grid.addWidget(self.file_button, 0, 0)
        grid.addWidget(self.sample_button, 0, 1)
        grid.addWidget(self.folder_button, 1, 0, 1, 2)
        self.file_button.clicked.connect(self._ask_file)
        self.folder_button.clicked.connect(self._ask_folder)

    @guarded
    def _ask_file(self, *_: object) -> None:
        dialog = QFileDialog(self, "Open patterns or a phase map", get_open_history()[0])
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.setNameFilters(
            [
                f"EBSD patterns and phase maps ({_PATTERNS} {_IMAGES})",
                f"Pattern files ({_PATTERNS})",
                f"Images ({_IMAGES})",
                "All files (*)",
            ]
        )
        self._open(dialog)

    @guarded
    def _ask_folder(self, *_: object) -> None:
        dialog = QFileDialog(self, "Open a folder of images", get_open_history()[0])
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setOption(QFileDialog.Option.ShowDirsOnly)
        self._open(dialog)

    def _open(self, dialog: QFileDialog) -> None:
        dialog.fileSelected.connect(self._on_path)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    @guarded
    def _on_path(self, path: str) -> None:
        if path:
            update_open_history(path)
            self.asked.emit(path, "")

    @guarded
    def _on_sample(self, action: object) -> None:
        name = action.data()  # type: ignore[attr-defined]  # a QAction of one of two modules
        self.asked.emit(str(sample_path(name)), name)
