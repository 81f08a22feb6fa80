# SPDX-License-Identifier: GPL-3.0-or-later
"""What a map on the sphere is asked to show."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QComboBox, QFileDialog, QSpinBox, QVBoxLayout, QWidget

from ..crystallography import LEVELS, colors, names
from .label_cache import level_title
from .notify import guarded
from .pattern_controls import choice_box, set_choosable
from .section import form
from .theme import swatch

_OWN: Final = "that of the crystal"
_ALL: Final = "all others"
_CIF: Final = "CIF file…"
_MASTER: Final = "Master pattern…"
_NO_HOUGH: Final = "Needs PyEBSDIndex: pip install 'pyebsdindex>=0.3.9,<0.4'"
_FROM_FILE, _HOUGH = "file", "hough"
_PATTERNS: Final = 500


class SphereControls(QWidget):
    """Crystal, where its orientations come from, classes, number of patterns, what lies beside."""

    #: A choice was changed.
    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._folder = Path()
        self.phase_box = choice_box(
            "Crystal whose patterns are taken; a CIF file for one that the file has no "
            "orientations of"
        )
        self.orientation_box = choice_box("Where the orientations of the patterns come from")
        self.orientation_box.addItem("those of the file", _FROM_FILE)
        self.orientation_box.addItem("Hough indexing", _HOUGH)
        self.orientation_box.setItemData(
            1,
            "Find them by kikuchipy's Hough indexing; the file must say where the detector stood",
            Qt.ItemDataRole.ToolTipRole,
        )
        self.level_box = choice_box("Level of the class names")
        for level in LEVELS:
            self.level_box.addItem(level_title(level), level)
        self.target_box = choice_box("Class whose evidence is shown")
        self.against_box = choice_box("Why this class and not that one: what tells the two apart")
        self.beside_box = choice_box(
            "What lies beside the evidence: the patterns by crystal direction, or the master "
            "pattern of the crystal from a file"
        )
        self.patterns_box = QSpinBox()
        self.patterns_box.setRange(1, 20_000)
        self.patterns_box.setValue(_PATTERNS)
        self.patterns_box.setToolTip("Patterns at most, spread evenly over the map")
        self._fill_classes()
        with QSignalBlocker(self.beside_box):
            self.beside_box.addItem("mean of the patterns", None)
            self.beside_box.addItem(_MASTER, _MASTER)
        self.set_phases({}, Path())
        self._lay_out()
        self.phase_box.activated.connect(self._on_phase)
        self.beside_box.activated.connect(self._on_beside)
        self.level_box.currentIndexChanged.connect(self._on_level)
        self.target_box.currentIndexChanged.connect(self._on_changed)
        for box in (self.orientation_box, self.against_box):
            box.currentIndexChanged.connect(self._on_changed)

    @property
    def phase(self) -> str | None:
        """Name of a phase of the file, if one is chosen."""
        chosen = self.phase_box.currentData()
        return chosen if isinstance(chosen, str) else None

    @property
    def cif(self) -> Path | None:
        """CIF file, if one is chosen."""
        chosen = self.phase_box.currentData()
        return chosen if isinstance(chosen, Path) else None

    @property
    def hough(self) -> bool:
        """Whether orientations are to be found."""
        return self.orientation_box.currentData() == _HOUGH

    @property
    def level(self) -> str:
        """Level of the classes."""
        return str(self.level_box.currentData())

    @property
    def target(self) -> str | None:
        """Class whose evidence is shown; None for that of the crystal."""
        chosen = self.target_box.currentData()
        return None if chosen is None else str(chosen)

    @property
    def against(self) -> str | None:
        """Class that it is weighed against; None for all others."""
        chosen = self.against_box.currentData()
        return None if chosen is None else str(chosen)

    @property
    def most(self) -> int:
        """Patterns at most."""
        return self.patterns_box.value()

    @property
    def master(self) -> Path | None:
        """File with a master pattern, if one is chosen."""
        chosen = self.beside_box.currentData()
        return chosen if isinstance(chosen, Path) else None

    def set_phases(self, phases: dict[str, int], folder: Path) -> None:
        """Offer the phases that a file has orientations of, with their numbers of patterns.

        Parameters
        ----------
        phases
            Name to number.
        folder
            Where files are looked for first.
        """
        self._folder = folder
        with QSignalBlocker(self.phase_box):
            self.phase_box.clear()
            for name, count in phases.items():
                plural = "" if count == 1 else "s"
                self.phase_box.addItem(f"{name} ({count:,} pattern{plural})", name)
            if not phases:
                self.phase_box.addItem("none in the file", None)
            self.phase_box.addItem(_CIF, _CIF)
        self._settle()

    def use_cif(self, path: str | Path) -> None:
        """Take the crystal of a CIF file; its orientations are found by Hough indexing."""
        self._choose_file(self.phase_box, Path(path), _CIF)
        self._settle()
        self.changed.emit()

    def use_master(self, path: str | Path) -> None:
        """Put the master pattern of a file beside the evidence."""
        self._choose_file(self.beside_box, Path(path), _MASTER)
        self.changed.emit()

    @staticmethod
    def _choose_file(box: QComboBox, path: Path, entry: str) -> None:
        """Put a file in front of the entry that asks for one, in place of the one before."""
        with QSignalBlocker(box):
            for number in reversed(range(box.count())):
                if isinstance(box.itemData(number), Path):
                    box.removeItem(number)
            place = box.findData(entry)
            box.insertItem(place, path.name, path)
            box.setCurrentIndex(place)

    def _settle(self) -> None:
        """Let the orientations be such as the crystal can have."""
        found = find_spec("pyebsdindex") is not None
        set_choosable(self.orientation_box, 0, self.cif is None)
        set_choosable(self.orientation_box, 1, found)
        if not found:
            self.orientation_box.setItemData(1, _NO_HOUGH, Qt.ItemDataRole.ToolTipRole)
        if self.cif is not None:
            self.orientation_box.setCurrentIndex(1)
        elif not found:
            self.orientation_box.setCurrentIndex(0)

    @guarded
    def _on_phase(self, number: int) -> None:
        if self.phase_box.itemData(number) == _CIF:
            self._forget_entry(self.phase_box, _CIF)
            self._ask("Choose a crystal", "Crystal (*.cif)", self.use_cif)
        self._settle()
        self.changed.emit()

    @guarded
    def _on_beside(self, number: int) -> None:
        if self.beside_box.itemData(number) == _MASTER:
            self._forget_entry(self.beside_box, _MASTER)
            kinds = "Master patterns (*.h5 *.hdf5)"
            self._ask("Choose a master pattern", kinds, self.use_master)
        self.changed.emit()

    @staticmethod
    def _forget_entry(box: QComboBox, entry: str) -> None:
        """What asks for a file is no choice itself: where none is chosen, the first one is."""
        place = box.findData(entry)
        with QSignalBlocker(box):
            box.setCurrentIndex(place - 1 if isinstance(box.itemData(place - 1), Path) else 0)

    def _ask(self, title: str, kinds: str, take: Callable[[str], None]) -> None:
        dialog = QFileDialog(self, title, str(self._folder), kinds)
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.fileSelected.connect(guarded(take))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    @guarded
    def _on_level(self, _: int) -> None:
        self._fill_classes()
        self.changed.emit()

    @guarded
    def _on_changed(self, _: int) -> None:
        # A class is not weighed against itself.
        for number in range(1, self.against_box.count()):
            set_choosable(
                self.against_box, number, self.against_box.itemData(number) != self.target
            )
        if self.target is not None and self.against == self.target:
            self.against_box.setCurrentIndex(0)
        self.changed.emit()

    def _fill_classes(self) -> None:
        for box, first in ((self.target_box, _OWN), (self.against_box, _ALL)):
            with QSignalBlocker(box):
                box.clear()
                box.addItem(first, None)
                for name in names(self.level):
                    box.addItem(swatch(colors(self.level)[name], 12), name, name)

    def _lay_out(self) -> None:
        fields = form()
        fields.addRow("C&rystal", self.phase_box)
        fields.addRow("&Orientations", self.orientation_box)
        fields.addRow("&Level", self.level_box)
        fields.addRow("&Evidence for", self.target_box)
        fields.addRow("&against", self.against_box)
        fields.addRow("&Beside it", self.beside_box)
        fields.addRow("&Patterns", self.patterns_box)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.addLayout(fields)
