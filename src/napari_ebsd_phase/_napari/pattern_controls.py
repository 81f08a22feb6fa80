# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked about a pattern, and how the answer is drawn."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any, Final

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtGui import QStandardItemModel
from qtpy.QtWidgets import (
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSlider,
    QWidget,
)

from ..crystallography import LEVELS, colors, names
from .explain_worker import Request
from .label_cache import level_title
from .pattern_view import HEAT_COLORMAPS
from .section import form, wrapped
from .theme import swatch

_METHODS: Final = (
    (
        "cam",
        "Class activation",
        "Exact share of every place in the score of the class; at once",
    ),
    (
        "integrated_gradients",
        "Integrated gradients",
        "Effect of every pixel on the way from noise to this pattern; takes seconds",
    ),
    (
        "occlusion",
        "Occlusion",
        "How much the score falls when a square of the pattern is covered; takes seconds",
    ),
    (
        "smoothgrad",
        "SmoothGrad",
        "How strongly the score depends on each pixel, for or against; takes seconds",
    ),
    (None, "None", "The pattern alone"),
)
_NEEDS_CAPTUM: Final = ("integrated_gradients", "occlusion", "smoothgrad")
_CAPTUM_TIP: Final = 'Needs captum: pip install "captum>=0.9,<0.10"'

_ZONES_TIP: Final = (
    "Draw the bands and zone axes of the orientation that the file has for this pattern"
)
#: Why there are no zone axes before a pixel is chosen.
NO_PATTERN: Final = "Zone axes need a pattern: click a pixel of the map"

_REPORTED: Final = "reported class"
_ALL: Final = "all others"


class PatternControls(QWidget):
    """Choice of class, method and colours.

    Level, view and overlay have their places elsewhere in the dock: see `level_box`, `seen_button`
    and `zones_button`.
    """

    #: Another question is asked: read it from :attr:`request`.
    asked = Signal()
    #: What takes long is not wanted any more.
    stopped = Signal()
    #: The same answer is to be drawn differently.
    restyled = Signal()

    def __init__(self, colormap: str) -> None:
        super().__init__()
        self.level_box = choice_box("Level of the class names: of the bars and of the heat map")
        for level in LEVELS:
            title = level_title(level)
            self.level_box.addItem(title[:1].upper() + title[1:], level)
        self.target_box = choice_box(
            "Class whose evidence the heat map shows; a click on a bar chooses it, too"
        )
        self.against_box = choice_box(
            "Why this class and not that one: the heat map shows what tells the two apart"
        )
        self.method_box = choice_box("How the evidence is found")
        for number, (key, title, tip) in enumerate(_METHODS):
            self.method_box.addItem(title, key)
            self._set_tip(self.method_box, number, tip)
            if key in _NEEDS_CAPTUM and find_spec("captum") is None:
                set_choosable(self.method_box, number, False)
                self._set_tip(self.method_box, number, _CAPTUM_TIP)
        self.stop_button = QPushButton("Stop")
        self.stop_button.setToolTip("End this method, and show class activation again")
        self.stop_button.hide()
        self.same_note = wrapped()
        self.same_note.hide()
        self._reported = ""
        self.seen_button = QPushButton("Network &view")
        self.seen_button.setCheckable(True)
        self.seen_button.setToolTip(
            "Show the pattern as the network sees it: background removed, contrast evened out, "
            "reduced to the input size"
        )
        self.zones_button = QPushButton("&Zone axes")
        self.zones_button.setCheckable(True)
        self.set_zones_unknown(NO_PATTERN)
        self.colormap_box = choice_box("Colours of the heat map: dark for little evidence")
        for name in dict.fromkeys((colormap, *HEAT_COLORMAPS)):
            self.colormap_box.addItem(name, name)
        self.opacity_slider = QSlider(Qt.Orientation.Horizontal)
        self.opacity_slider.setRange(0, 100)
        self.opacity_slider.setValue(80)
        self.opacity_slider.setPageStep(20)
        self.opacity_slider.setToolTip("How much the heat map covers the pattern")
        self._fill_classes()
        self._lay_out()

        self.level_box.currentIndexChanged.connect(self._on_level)
        for box in (self.target_box, self.against_box, self.method_box):
            box.currentIndexChanged.connect(self._on_asked)
        self.seen_button.toggled.connect(self._on_asked)
        self.stop_button.clicked.connect(self._on_stop)
        self.colormap_box.currentIndexChanged.connect(self._on_restyled)
        self.opacity_slider.valueChanged.connect(self._on_restyled)
        self.zones_button.toggled.connect(self._on_restyled)

    @property
    def level(self) -> str:
        """Level of the class names."""
        return str(self.level_box.currentData())

    @property
    def request(self) -> Request:
        """What is asked."""
        return Request(
            level=self.level,
            target=self.target_box.currentData(),
            against=self.against_box.currentData(),
            method=self.method_box.currentData(),
            as_seen=self.seen_button.isChecked(),
        )

    @property
    def opacity(self) -> float:
        """Opacity of the heat map, 0 to 1."""
        return self.opacity_slider.value() / 100

    @property
    def colormap(self) -> str:
        """Colours of the heat map, a name of napari."""
        return str(self.colormap_box.currentData())

    @property
    def zones(self) -> bool:
        """Whether bands and zone axes are to be drawn, where they are known."""
        return self.zones_button.isChecked()

    def set_zones_unknown(self, why: str) -> None:
        """Say why there are no zone axes of the pattern on view; with no words there are."""
        self.zones_button.setEnabled(not why)
        self.zones_button.setToolTip(why or _ZONES_TIP)

    def choose_target(self, name: str) -> None:
        """Explain a class of the level; chosen again, the one that is reported."""
        again = self.target_box.currentData() == name
        self.target_box.setCurrentIndex(0 if again else self.target_box.findData(name))

    def set_reported(self, name: str) -> None:
        """Say which class the map reports of the pattern on view."""
        self.target_box.setItemText(0, f"{_REPORTED} ({name})" if name else _REPORTED)
        self._reported = name
        self._exclude_itself()

    def show_progress(self, done: int, total: int) -> None:
        """Say how far a method is that takes long, and let it be stopped."""
        self.stop_button.setText(f"Stop ({100 * done // max(total, 1)} %)")
        self.stop_button.show()

    def end_progress(self) -> None:
        """Nothing takes long any more."""
        self.stop_button.hide()

    def _on_level(self, _: int) -> None:
        self._fill_classes()
        self.asked.emit()

    def _on_asked(self, _: object) -> None:
        self._exclude_itself()
        self.asked.emit()

    def _on_stop(self, _: object) -> None:
        self.end_progress()
        self.stopped.emit()
        self.method_box.setCurrentIndex(0)

    def _exclude_itself(self) -> None:
        """A class is not weighed against itself: say so where it is asked for."""
        target = self.target_box.currentData() or self._reported
        for number in range(1, self.against_box.count()):
            set_choosable(self.against_box, number, self.against_box.itemData(number) != target)
        same = self.against_box.currentData() is not None and (
            self.against_box.currentData() == target
        )
        self.same_note.setText(
            f"{target} is the class itself: weighed against all others" if same else ""
        )
        self.same_note.setVisible(same)

    def _on_restyled(self, _: object) -> None:
        self.restyled.emit()

    def _fill_classes(self) -> None:
        for box, first in ((self.target_box, _REPORTED), (self.against_box, _ALL)):
            with QSignalBlocker(box):
                box.clear()
                box.addItem(first, None)
                for name in names(self.level):
                    box.addItem(swatch(colors(self.level)[name], 12), name, name)
        self._reported = ""
        self._exclude_itself()

    def _lay_out(self) -> None:
        layout: QFormLayout = form()
        self.setLayout(layout)
        layout.addRow("&Evidence for", self.target_box)
        layout.addRow("&against", self.against_box)
        layout.addRow(self.same_note)
        method_row = QHBoxLayout()
        method_row.setSpacing(6)
        method_row.addWidget(self.method_box, 1)
        method_row.addWidget(self.stop_button)
        method_label = QLabel("&Method")
        method_label.setBuddy(self.method_box)
        layout.addRow(method_label, method_row)
        colors_row = QHBoxLayout()
        colors_row.setSpacing(6)
        colors_row.addWidget(self.colormap_box, 1)
        colors_row.addWidget(self.opacity_slider, 1)
        label = QLabel("&Colours")
        label.setBuddy(self.colormap_box)
        layout.addRow(label, colors_row)

    @staticmethod
    def _set_tip(box: QComboBox, number: int, tip: str) -> None:
        box.setItemData(number, tip, Qt.ItemDataRole.ToolTipRole)


def choice_box(tip: str) -> QComboBox:
    """Return a list of choices that does not widen a narrow dock, however long its names are."""
    box = QComboBox()
    box.setToolTip(tip)
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    box.setMinimumContentsLength(6)
    return box


def set_choosable(box: QComboBox, number: int, choosable: bool) -> None:
    """Let an entry of a list be chosen, or show it grey."""
    model: Any = box.model()
    if isinstance(model, QStandardItemModel):
        item = model.item(number)
        assert item is not None
        item.setEnabled(choosable)
