# SPDX-License-Identifier: GPL-3.0-or-later
"""Which known crystal structures a region may be, below what its symmetry is."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from napari.utils.history import get_open_history, update_open_history
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QDoubleSpinBox,
    QFileDialog,
    QHBoxLayout,
    QHeaderView,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from ..errors import InputError
from ..projection_centre import Told, noted_centre
from .background import Cancelled, Progress
from .notify import guarded
from .section import form, rule, wrapped
from .work import Work

if TYPE_CHECKING:
    from ..candidates import Candidate, Ranking
    from ..regions import Identification
    from .session import MapSession

_HEADERS = ("", "Agreement", "Formula", "Symmetry")
_LISTED = 20
_SHOWN = 6  # rows before the table scrolls
_BUSY = "Trying structures; to get ready takes a minute or two the first time."
_TOO_EARLY = "Stopped before the first structure was tried."


class CandidatesPanel(QWidget):
    """Tries structures on the patterns of a region that was identified, and lists the best.

    Parameters
    ----------
    projection_centre
        Gives what the user has chosen; may raise InputError.
    """

    #: There are structures to be seen.
    listed = Signal()

    def __init__(self, projection_centre: Callable[[], Told]) -> None:
        super().__init__()
        self._centre = projection_centre
        self._session: weakref.ref[MapSession] | None = None
        self._mask: np.ndarray | None = None
        self._pairs: list[tuple[str, str, float]] = []
        self._files: list[str] = []
        self._ranking: Ranking | None = None
        self.table_box = QCheckBox("&Bundled structures")
        self.table_box.setChecked(True)
        self.table_box.setToolTip(
            "Try the structures that come with the program and have the symmetry found above"
        )
        self.files_button = QPushButton("C&IF files…")
        self.files_button.setToolTip("Try your own structures, too, whatever their symmetry")
        self.clear_button = QPushButton("\N{MULTIPLICATION SIGN}")
        self.clear_button.setToolTip("Forget the CIF files")
        self.clear_button.setFixedWidth(28)
        self.energy_box = QDoubleSpinBox()
        self.energy_box.setRange(1, 400)
        self.energy_box.setDecimals(1)
        self.energy_box.setValue(20)
        self.energy_box.setSuffix(" kV")
        self.energy_box.setToolTip("Acceleration voltage of the microscope")
        self.find_button = QPushButton("&Find structures")
        self.find_button.setToolTip(
            "Orient each structure by the bands of the region's patterns, simulate its own, and "
            "compare: a second or two for each"
        )
        self._work = Work(self, "Stop, and list what was tried so far")
        self.cancel_button, self.progress = self._work.cancel_button, self._work.bar
        self.table = QTableWidget(0, len(_HEADERS))
        self.said = wrapped(selectable=True)
        self._lay_out()
        self.files_button.clicked.connect(self._choose_files)
        self.clear_button.clicked.connect(self._forget_files)
        self.find_button.clicked.connect(self._find)
        self.cancel_button.clicked.connect(self._on_cancel)
        self._work.changed.connect(self._on_changed)
        self._work.ended.connect(self._show_ranking)

    @property
    def ranking(self) -> Ranking | None:
        """The last answer about the region."""
        return self._ranking

    def offer(self, session: MapSession, mask: np.ndarray, found: Identification) -> None:
        """Let structures be tried on a region whose symmetry was found."""
        self.stop()
        self._session, self._mask, self._pairs = weakref.ref(session), mask, found.pairs
        self._ranking = None
        self._show_ranking()

    def stop(self) -> None:
        """Give up what is at work, silently."""
        self._work.stop()

    def _lay_out(self) -> None:
        self.table.setHorizontalHeaderLabels(_HEADERS)
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.verticalHeader().hide()
        header = self.table.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(_HEADERS.index("Formula"), QHeaderView.ResizeMode.Stretch)
        source = QHBoxLayout()
        source.addWidget(self.table_box, 1)
        source.addWidget(self.files_button)
        source.addWidget(self.clear_button)
        fields = form()
        fields.addRow("Beam", self.energy_box)
        buttons = QHBoxLayout()
        buttons.addWidget(self.find_button)
        buttons.addWidget(self.cancel_button)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.addWidget(rule())
        box.addWidget(wrapped("Which known structure is it?"))
        box.addLayout(source)
        box.addLayout(fields)
        box.addLayout(buttons)
        for widget in (self.progress, self.table, self.said):
            box.addWidget(widget)
        self._show_ranking()
        self.set_files([])

    def set_files(self, files: list[str]) -> None:
        """Choose CIF files, or none."""
        self._files = list(files)
        self.files_button.setText(f"C&IF files: {len(files)}…" if files else "C&IF files…")
        self.clear_button.setVisible(bool(files))

    @guarded
    def _choose_files(self, *_: object) -> None:
        dialog = QFileDialog(self, "Structures to try", get_open_history()[0])
        dialog.setFileMode(QFileDialog.FileMode.ExistingFiles)
        dialog.setNameFilter("Crystal structures (*.cif *.CIF)")
        dialog.filesSelected.connect(self._on_files)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    @guarded
    def _on_files(self, files: list[str]) -> None:
        update_open_history(files[0])
        self.set_files(files)

    @guarded
    def _forget_files(self, *_: object) -> None:
        self.set_files([])

    @guarded
    def _find(self, *_: object) -> None:
        session = None if self._session is None else self._session()
        mask, pairs, files = self._mask, self._pairs, tuple(self._files)
        if session is None or session.scan is None or session.closed or mask is None:
            raise InputError("the pattern file is not open: open or locate it in the Scan section")
        scan, table, energy = session.scan, self.table_box.isChecked(), self.energy_box.value()
        asked = self._centre()
        centre = None if isinstance(asked, str) else asked
        if centre is None and scan.projection_centre is None and session.phase_map is not None:
            centre = noted_centre(session.phase_map.provenance)

        def work(progress: Progress, cancelled: Cancelled) -> Ranking:
            from ..candidates import rank_region, structures_from

            return rank_region(
                scan,
                mask,
                pairs,
                own=structures_from(files),
                table=table,
                projection_centre=centre,
                energy_kev=energy,
                progress=progress,
                cancelled=cancelled,
            )

        self._work.start(work, self._on_returned)
        self._say(_BUSY)

    @guarded
    def _on_cancel(self, *_: object) -> None:
        # What the first search waits for, loops that are compiled, cannot be interrupted.
        if self.progress.maximum() == 0:
            self._work.stop()
            self._say(_TOO_EARLY)

    @guarded
    def _on_changed(self) -> None:
        self.find_button.setEnabled(not self._work.busy)

    @guarded
    def _on_returned(self, ranking: Ranking) -> None:
        self._ranking = ranking
        self._show_ranking()
        self.listed.emit()

    def _say(self, text: str) -> None:
        self.said.setText(text)
        self.said.setVisible(bool(text))

    def _show_ranking(self) -> None:
        ranking = self._ranking
        candidates = () if ranking is None else ranking.candidates[:_LISTED]
        self.table.setRowCount(len(candidates))
        for row, candidate in enumerate(candidates):
            fits = ranking is not None and candidate in ranking.fitting
            for column, text in enumerate(_cells(candidate, fits)):
                item = QTableWidgetItem(text)
                item.setToolTip(_details(candidate))
                if column == _HEADERS.index("Agreement"):
                    item.setTextAlignment(
                        Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
                    )
                self.table.setItem(row, column, item)
        rows = min(len(candidates), _SHOWN)
        height = self.table.horizontalHeader().sizeHint().height() + 2 * self.table.frameWidth()
        self.table.setFixedHeight(height + sum(self.table.rowHeight(row) for row in range(rows)))
        self.table.setVisible(bool(candidates))
        self._say("" if ranking is None else _words(ranking))


def _cells(candidate: Candidate, fits: bool) -> tuple[str, ...]:
    s = candidate.structure
    return (
        "\N{CHECK MARK}" if fits else "",
        f"{candidate.agreement:.2f}",
        s.formula,
        f"{s.space_group}, {s.point_group} {s.bravais}",
    )


def _details(candidate: Candidate) -> str:
    s = candidate.structure
    lengths = ", ".join(f"{value:.4g}" for value in s.cell[:3])
    angles = ", ".join(f"{value:.4g}" for value in s.cell[3:])
    return f"{s.id}\nSpace group {s.space_group}\nCell {lengths} Å; {angles}°\nFrom {s.source}"


def _words(ranking: Ranking) -> str:
    """What was tried, and what came of it."""
    tried = len(ranking.candidates)
    if not tried:
        return _TOO_EARLY
    stopped = f" of {ranking.asked}" if tried < ranking.asked else ""
    verdict = ranking.verdict
    return f"{tried}{stopped} structures tried: {verdict}."
