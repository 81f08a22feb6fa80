# SPDX-License-Identifier: GPL-3.0-or-later
"""What a network is taught with: labels and their classes, where it starts, where it goes."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from ..errors import InputError
from .cards import SUFFIX
from .network_box import NetworkBox
from .notify import guarded
from .pattern_controls import choice_box
from .section import form
from .teach_labels import title_of
from .teach_table import LabelTable

if TYPE_CHECKING:
    from .teach_labels import Source

_STEPS: Final = 200
_SPACING = 4


class TeachControls(QWidget):
    """Labels, the class of each, the network to start from, the file to write, and the steps."""

    #: Another source of labels is chosen.
    source_changed = Signal()
    #: Any other choice is changed.
    changed = Signal()
    #: The user wants an empty layer to paint in.
    layer_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._sources: list[weakref.ref[Source]] = []
        self._picked = False  # the user chose the source, not we
        self._proposed = ""  # the file that we propose
        self._replaced: Path | None = None  # an existing file that the user wants replaced
        self.source_box = choice_box(
            "A Labels layer with one label for each phase, or the phases that the file came with"
        )
        self.new_button = QPushButton("&New layer")
        self.new_button.setToolTip("Add an empty Labels layer to the map and take the brush")
        self.table = LabelTable()
        self.network_box = NetworkBox("Network to start from; it stays as it is")
        self.file_edit = QLineEdit()
        self.file_edit.setToolTip("File for the new network; its card goes beside it")
        self.file_button = QPushButton("…")
        self.file_button.setToolTip("Choose the file for the new network")
        self.steps_box = QSpinBox()
        self.steps_box.setRange(1, 10_000)
        self.steps_box.setValue(_STEPS)
        self.steps_box.setToolTip(
            "Steps at most; learning ends earlier when validation gains no more"
        )
        self._lay_out()
        self.source_box.activated.connect(self._on_source)
        self.new_button.clicked.connect(self._on_new)
        self.table.changed.connect(self._on_changed)
        self.network_box.chosen.connect(self._on_changed)
        self.file_button.clicked.connect(self._ask_file)
        self.file_edit.textChanged.connect(self._on_changed)
        self.steps_box.valueChanged.connect(self._on_changed)

    @property
    def source(self) -> Source | None:
        """What labels are read from, if there is anything."""
        place = self.source_box.currentIndex()
        return self._sources[place]() if 0 <= place < len(self._sources) else None

    @property
    def network(self) -> str:
        """Name of a bundled network, or path of a ``.safetensors`` file."""
        return self.network_box.network

    @property
    def target(self) -> Path | None:
        """File for the new network, if one is named."""
        text = self.file_edit.text().strip()
        if not text:
            return None
        path = Path(text).expanduser().absolute()
        return path if path.suffix == SUFFIX else path.with_name(path.name + SUFFIX)

    @property
    def steps(self) -> int:
        """Steps at most."""
        return self.steps_box.value()

    def set_sources(self, sources: Sequence[Source]) -> None:
        """Offer sources of labels; the first one is chosen unless the user chose another."""
        before = self.source if self._picked else None
        self._picked = before is not None and any(before is source for source in sources)
        with QSignalBlocker(self.source_box):
            self.source_box.clear()
            self._sources = [weakref.ref(source) for source in sources]
            for number, source in enumerate(sources):
                self.source_box.addItem(title_of(source))
                if self._picked and source is before:
                    self.source_box.setCurrentIndex(number)
        self.source_box.setEnabled(bool(sources))

    def propose(self, folder: Path, name: str) -> None:
        """Propose a file that does not exist yet, unless the user has named one."""
        if self.file_edit.text() not in ("", self._proposed):
            return
        path, number = folder / f"{name}{SUFFIX}", 2
        while path.exists():
            path, number = folder / f"{name}-{number}{SUFFIX}", number + 1
        self._proposed = str(path)
        self.file_edit.setText(self._proposed)

    def use_file(self, path: str | Path, *, replace: bool = False) -> None:
        """Write the new network to a file; an existing one only if the user agreed to that."""
        self.file_edit.setText(str(path))
        self._replaced = self.target if replace else None

    def checked_target(self) -> Path:
        """Return the file for the new network when it can be written.

        Raises
        ------
        InputError
            If none is named, or it exists, or cannot be written.
        """
        from ..export._atomic import check_target

        target = self.target
        if target is None:
            raise InputError("the new network needs a file: name one")
        for file in (target, target.with_suffix(".json")):
            if file.exists() and target != self._replaced:
                raise InputError(
                    f"'{file.name}' exists already: name another file, or choose it with … to "
                    "replace it"
                )
            check_target(file, overwrite=True)
        return target

    @guarded
    def _on_source(self, _: int) -> None:
        self._picked = True
        self.source_changed.emit()

    @guarded
    def _on_new(self, *_: object) -> None:
        self._picked = False
        self.layer_wanted.emit()

    @guarded
    def _on_changed(self, *_: object) -> None:
        self.changed.emit()

    @guarded
    def _ask_file(self, *_: object) -> None:
        target = self.target
        dialog = QFileDialog(
            self, "File for the new network", self._folder(), f"Networks (*{SUFFIX})"
        )
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix(SUFFIX[1:])
        if target is not None:
            dialog.selectFile(target.name)
        # The dialog has asked whether an existing file shall be replaced.
        dialog.fileSelected.connect(self._on_file)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    @guarded
    def _on_file(self, path: str) -> None:
        self.use_file(path, replace=True)

    def _folder(self) -> str:
        """Folder of the file that is named, if there is such a folder."""
        target = self.target
        return str(target.parent) if target is not None and target.parent.is_dir() else ""

    def _lay_out(self) -> None:
        source, file = QHBoxLayout(), QHBoxLayout()
        for row, wide, button in (
            (source, self.source_box, self.new_button),
            (file, self.file_edit, self.file_button),
        ):
            row.setSpacing(_SPACING)
            row.addWidget(wide, 1)
            row.addWidget(button)
        self.file_button.setMaximumWidth(36)
        above, below = form(), form()
        above.addRow(_named("&Labels", self.source_box), source)
        below.addRow("Start &from", self.network_box)
        below.addRow(_named("&Write to", self.file_edit), file)
        below.addRow("S&teps", self.steps_box)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(_SPACING)
        box.addLayout(above)
        box.addWidget(self.table)
        box.addLayout(below)


def _named(text: str, field: QWidget) -> QLabel:
    """Name with its key for a field that shares its line: a form finds only lone ones."""
    label = QLabel(text)
    label.setBuddy(field)
    return label
