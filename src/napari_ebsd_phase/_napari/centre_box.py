# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the network takes the projection centre from."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox, QWidget

from ..errors import InputError
from ..projection_centre import Told, parse_centre

_WAYS = (
    (
        "auto",
        "File, else patterns",
        "What the file says; where it says nothing, from the patterns themselves, which takes some "
        "seconds",
    ),
    ("estimate", "From the patterns", "Whatever the file says: for a file that is wrong"),
    (
        None,
        "Not used (faster)",
        "Then no network looks for symmetry axes, which need it: several times as fast, and wrong "
        "more often",
    ),
)


class CentreBox(QComboBox):
    """Choose where the projection centre comes from, or type it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setEditable(True)
        self.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        for number, (key, title, tip) in enumerate(_WAYS):
            self.addItem(title, key)
            self.setItemData(number, tip, Qt.ItemDataRole.ToolTipRole)
        self.setToolTip(
            "Where the source point lies before the screen. Networks that look for symmetry axes "
            "need it. Choose where it comes from, or type it as PCx, PCy, PCz in Bruker's "
            "convention, as in 0.5, 0.2, 0.6"
        )
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(6)

    @property
    def told(self) -> Told:
        """As :func:`~.centring.centred` takes it.

        Raises
        ------
        InputError
            If what is typed is no projection centre.
        """
        text = self.currentText().strip()
        for key, title, _ in _WAYS:
            if text == title or not text:
                return key
        centre = parse_centre(text)
        if centre is None:
            raise InputError(
                f"{text!r} is no projection centre: type PCx, PCy, PCz, as in 0.5, 0.2, 0.6, or "
                "choose from the list"
            )
        return centre
