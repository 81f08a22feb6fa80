# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of the legend dock: an eye, a colour, a name, and numbers for every label."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from qtpy.QtCore import QAbstractTableModel, QModelIndex, QPointF, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QFont, QKeyEvent, QMouseEvent, QPainter, QPainterPath, QPalette, QPen
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QWidget,
)

from ..export.words import percent
from .legend_rows import LEVEL_TITLES, LegendRow, classified
from .theme import swatch

EYE, NAME, SHARE, PROBABILITY, COUNT = range(5)

_HEADINGS = ("", "Name", "Area %", "Prob.", "Pixels")
_HEADING_TIPS = (
    "Hide or show a label in the map (Space)",
    "Click: show this label alone; click again: show all. Double-click: zoom to its largest area",
    "Share of the classified pixels",
    "Mean probability of the pixels with this name",
    "Number of map pixels",
)
_NUMBERS = (SHARE, PROBABILITY, COUNT)
_ROOT = QModelIndex()

# Opacity of the text of labels that the map does not show.
_FADED = 110


class LegendModel(QAbstractTableModel):
    """Rows of a legend, and which of them the map shows."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.rows: list[LegendRow] = []
        self.hidden: frozenset[int] = frozenset()
        self.alone: int | None = None

    def set_rows(self, rows: Sequence[LegendRow]) -> None:
        """Show other rows. Where the labels are the same, a selected label stays selected."""
        old, new = [r.value for r in self.rows], [r.value for r in rows]
        if set(old) != set(new):
            self.beginResetModel()
            self.rows = list(rows)
            self.endResetModel()
            return
        # Rows change places while a map fills: indices that the view keeps go with their label.
        self.layoutAboutToBeChanged.emit()
        kept = self.persistentIndexList()
        moved = [self.index(new.index(old[i.row()]), i.column()) for i in kept]
        self.rows = list(rows)
        self.changePersistentIndexList(kept, moved)
        self.layoutChanged.emit()

    def set_shown(self, hidden: Collection[int], alone: int | None) -> None:
        """Say which values are hidden, and which one is shown alone, if any."""
        self.hidden, self.alone = frozenset(hidden), alone
        self.dataChanged.emit(self.index(0, 0), self.index(len(self.rows) - 1, COUNT))

    def row_of(self, value: int | None) -> int:
        """Row of a value, -1 where there is none."""
        return next((i for i, row in enumerate(self.rows) if row.value == value), -1)

    def is_shown(self, row: LegendRow) -> bool:
        """Whether the map shows the pixels of a row."""
        return row.value not in self.hidden and self.alone in (None, row.value)

    def rowCount(self, parent: QModelIndex = _ROOT) -> int:
        return 0 if parent.isValid() else len(self.rows)

    def columnCount(self, parent: QModelIndex = _ROOT) -> int:
        return 0 if parent.isValid() else len(_HEADINGS)

    def flags(self, index: QModelIndex) -> Qt.ItemFlag:
        if self.rows[index.row()].value is None:
            return Qt.ItemFlag.ItemIsEnabled
        return Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable

    def headerData(
        self,
        section: int,
        orientation: Qt.Orientation,
        role: int = Qt.ItemDataRole.DisplayRole,
    ) -> Any:
        if orientation == Qt.Orientation.Horizontal:
            if role == Qt.ItemDataRole.DisplayRole:
                return _HEADINGS[section]
            if role == Qt.ItemDataRole.ToolTipRole:
                return _HEADING_TIPS[section]
            if role == Qt.ItemDataRole.TextAlignmentRole:
                return _alignment(section)
        return None

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        row, column = self.rows[index.row()], index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            return _text(row, column)
        if role == Qt.ItemDataRole.DecorationRole and column == NAME:
            return swatch(row.color)
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(column)
        if role == Qt.ItemDataRole.ToolTipRole:
            return self._tip(row)
        if role == Qt.ItemDataRole.CheckStateRole and column == EYE and row.value is not None:
            hidden = row.value in self.hidden
            return Qt.CheckState.Unchecked if hidden else Qt.CheckState.Checked
        if role == Qt.ItemDataRole.FontRole and row.value is not None and row.value == self.alone:
            font = QFont()
            font.setBold(True)
            return font
        return None

    def _tip(self, row: LegendRow) -> str:
        if row.value is None:
            return f"{row.count:,} pixels have not been classified"
        level = LEVEL_TITLES.get(row.level, "No name is probable enough")
        return (
            f"{level}{': ' + row.name if row.value else ''}\n"
            f"{row.count:,} of {classified(self.rows):,} classified pixels\n"
            "Click: show it alone, or all again · double-click: zoom · eye: hide"
        )


class LegendTable(QTableView):
    """The rows of a legend, to look at and to click on.

    Signals carry the value of a label: `picked` (arrow keys moved the highlight to it),
    `pressed_on` (a click or Enter), `eye_pressed` (its eye, or Space), `zoom_asked` (a double
    click).
    """

    picked = Signal(int)
    pressed_on = Signal(int)
    eye_pressed = Signal(int)
    zoom_asked = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._pressing = False
        self.rows_model = LegendModel(self)
        self.setModel(self.rows_model)
        self.setItemDelegate(_RowDelegate(self))
        self.setAccessibleName("Legend")
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setTabKeyNavigation(False)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setIconSize(QSize(16, 16))
        side, header = self.verticalHeader(), self.horizontalHeader()
        assert side is not None
        assert header is not None
        side.hide()
        side.setDefaultSectionSize(max(24, self.fontMetrics().height() + 8))
        header.setMinimumSectionSize(28)
        header.setHighlightSections(False)
        header.setSectionsClickable(False)
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(NAME, QHeaderView.ResizeMode.Stretch)
        self.clicked.connect(self._on_clicked)
        self.doubleClicked.connect(self._on_double_clicked)

    def show_rows(self, rows: Sequence[LegendRow]) -> None:
        """Show other rows; a selected label stays selected."""
        self.rows_model.set_rows(rows)
        self.clearSpans()
        # It has no share or probability, and a long name.
        unknown = self.rows_model.row_of(None)
        if unknown >= 0:
            self.setSpan(unknown, NAME, 1, COUNT - NAME)

    def select_value(self, value: int | None) -> None:
        """Move the highlight to the label `value`, or nowhere; no signal is sent."""
        row = self.rows_model.row_of(value)
        selection = self.selectionModel()
        assert selection is not None
        blocked = self.blockSignals(True)
        if value is None or row < 0:
            selection.clearSelection()
        elif not selection.isRowSelected(row, QModelIndex()):
            self.setCurrentIndex(self.rows_model.index(row, NAME))
        self.blockSignals(blocked)

    def currentChanged(self, current: QModelIndex, previous: QModelIndex) -> None:
        super().currentChanged(current, previous)
        if not self._pressing:
            self._emit(self.picked, current)

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        if self._eye_at(event):
            return
        # What a click means is known when the button is up, not while the highlight moves.
        self._pressing = True
        super().mousePressEvent(event)
        self._pressing = False

    def mouseDoubleClickEvent(self, event: QMouseEvent | None) -> None:
        # Two quick clicks on an eye hide and show.
        if not self._eye_at(event):
            super().mouseDoubleClickEvent(event)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        assert event is not None
        keys: dict[int, Any] = {
            Qt.Key.Key_Return: self.pressed_on,
            Qt.Key.Key_Enter: self.pressed_on,
            Qt.Key.Key_Space: self.eye_pressed,
        }
        if event.key() in keys:
            self._emit(keys[event.key()], self.currentIndex())
        else:
            super().keyPressEvent(event)

    def _on_clicked(self, index: QModelIndex) -> None:
        self._emit(self.pressed_on, index)

    def _on_double_clicked(self, index: QModelIndex) -> None:
        self._emit(self.zoom_asked, index)

    def _eye_at(self, event: QMouseEvent | None) -> bool:
        """Press the eye under the mouse, if there is one."""
        assert event is not None
        index = self.indexAt(event.position().toPoint())
        if not index.isValid() or index.column() != EYE:
            return False
        if event.button() == Qt.MouseButton.LeftButton:
            self._emit(self.eye_pressed, index)
        return True

    def _emit(self, signal: Any, index: QModelIndex) -> None:
        if index.isValid() and (value := self.rows_model.rows[index.row()].value) is not None:
            signal.emit(value)


class _RowDelegate(QStyledItemDelegate):
    """Paints the eyes, and fades the labels that the map does not show."""

    def initStyleOption(self, option: QStyleOptionViewItem | None, index: QModelIndex) -> None:
        assert option is not None
        super().initStyleOption(option, index)
        model = index.model()
        assert isinstance(model, LegendModel)
        if not model.is_shown(model.rows[index.row()]):
            for role in (QPalette.ColorRole.Text, QPalette.ColorRole.HighlightedText):
                faded = QColor(option.palette.color(role))
                faded.setAlpha(_FADED)
                option.palette.setColor(role, faded)
        if index.column() == EYE:  # painted below, not as a box with a tick
            option.features &= ~QStyleOptionViewItem.ViewItemFeature.HasCheckIndicator

    def paint(
        self, painter: QPainter | None, option: QStyleOptionViewItem, index: QModelIndex
    ) -> None:
        assert painter is not None
        super().paint(painter, option, index)
        state = index.data(Qt.ItemDataRole.CheckStateRole)
        if state is not None:
            self.initStyleOption(option, index)
            color = option.palette.color(QPalette.ColorRole.Text)
            opened = Qt.CheckState(state) == Qt.CheckState.Checked
            _paint_eye(painter, QRectF(option.rect), color, opened)


def _paint_eye(painter: QPainter, place: QRectF, color: QColor, opened: bool) -> None:
    """Draw an eye, 16 points wide, in the middle of `place`; struck out if it is shut."""
    middle = place.center()
    left, right = middle - QPointF(7, 0), middle + QPointF(7, 0)
    lids = QPainterPath(left)
    lids.quadTo(middle - QPointF(0, 9), right)
    lids.quadTo(middle + QPointF(0, 9), left)
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(color, 1.3))
    painter.drawPath(lids)
    if opened:
        painter.setBrush(color)
        painter.drawEllipse(middle, 2.0, 2.0)
    else:
        painter.drawLine(middle + QPointF(-5, 6), middle + QPointF(5, -6))
    painter.restore()


def _alignment(column: int) -> Qt.AlignmentFlag:
    across = Qt.AlignmentFlag.AlignRight if column in _NUMBERS else Qt.AlignmentFlag.AlignLeft
    return across | Qt.AlignmentFlag.AlignVCenter


def _text(row: LegendRow, column: int) -> str:
    if column == NAME:
        return row.name
    if column == COUNT:
        return f"{row.count:,}"
    if row.value is not None and column == SHARE:
        return percent(row.share).removesuffix(" %")
    if row.value is not None and column == PROBABILITY:
        return f"{row.mean_probability:.2f}"
    return ""
