# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of a phase map beside the vendor's phases, in a window of its own."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QAbstractItemView,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QGridLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from ..merge import HEADINGS, VERDICTS, Comparison, cells, write_table
from .notify import guarded, show_info
from .section import wrapped
from .theme import swatch_pixmap

# Columns of numbers, from "points" on.
_FIRST_NUMBER = 5
_LEGEND_COLUMNS = 4

_NOTE = (
    "A label is compared with the vendor's phase at its own level: m-3m with the point group, Laue "
    "m-3m with the Laue group, cubic with the crystal system. Where the file names no space group, "
    "Laue groups are compared. The share is of the vendor's phase."
)


class CompareDialog(QDialog):
    """Shows a comparison: how many points of each verdict, and the table of phases and labels."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Labels beside the vendor's phases")
        self.resize(860, 460)
        self._comparison: Comparison | None = None
        self.legend = QGridLayout()
        self.counts: dict[str, QLabel] = {}
        for number, (verdict, color) in enumerate(VERDICTS.items()):
            label = QLabel(verdict)
            self.counts[verdict] = label
            row, column = divmod(number, _LEGEND_COLUMNS)
            patch = QLabel()
            patch.setPixmap(swatch_pixmap(color))
            self.legend.addWidget(patch, row, 2 * column)
            self.legend.addWidget(label, row, 2 * column + 1)
            self.legend.setColumnStretch(2 * column + 1, 1)
        self.table = QTableWidget(0, len(HEADINGS))
        self.table.setHorizontalHeaderLabels([text[0].upper() + text[1:] for text in HEADINGS])
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.verticalHeader().hide()
        header = self.table.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.save_button = QPushButton("&Save table…")
        self.save_button.setToolTip("Write the table as CSV")
        self.buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        self.buttons.addButton(self.save_button, QDialogButtonBox.ButtonRole.ActionRole)
        self.buttons.rejected.connect(self.reject)
        self.save_button.clicked.connect(self._on_save)
        box = QVBoxLayout(self)
        box.addLayout(self.legend)
        box.addWidget(self.table, 1)
        box.addWidget(wrapped(_NOTE))
        box.addWidget(self.buttons)
        self.show_busy()

    @property
    def comparison(self) -> Comparison | None:
        """What is shown; None while it is being made."""
        return self._comparison

    def show_busy(self) -> None:
        """Show that there is nothing yet."""
        self._comparison = None
        self.table.setRowCount(0)
        self.save_button.setEnabled(False)
        for verdict, label in self.counts.items():
            label.setText(f"{verdict}: …")

    def show_comparison(self, name: str, comparison: Comparison) -> None:
        """Show a comparison of the data set of this name."""
        self._comparison = comparison
        self.setWindowTitle(f"{name}: labels beside the vendor's phases")
        self.save_button.setEnabled(True)
        for verdict, label in self.counts.items():
            label.setText(f"{verdict}: {comparison.points(verdict):,}")
        self.table.setRowCount(len(comparison.table))
        for number, row in enumerate(comparison.table):
            for column, text in enumerate(cells(row)):
                item = QTableWidgetItem(text)
                if column >= _FIRST_NUMBER:
                    item.setTextAlignment(
                        Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
                    )
                self.table.setItem(number, column, item)

    def save(self, path: str) -> None:
        """Write the table to a CSV file; the dialog for its name has asked about overwriting."""
        if self._comparison is not None:
            write_table(self._comparison.table, path, overwrite=True)
            show_info(f"The table is in {path}.")

    @guarded
    def _on_save(self, *_: object) -> None:
        dialog = QFileDialog(self, "Save the table")
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setNameFilter("Table (*.csv)")
        dialog.setDefaultSuffix("csv")
        dialog.selectFile("agreement.csv")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(self._on_chosen)
        dialog.open()

    @guarded
    def _on_chosen(self, path: str) -> None:
        self.save(path)
