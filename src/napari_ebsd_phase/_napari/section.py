# SPDX-License-Identifier: GPL-3.0-or-later
"""One part of the map dock: a title that opens and closes what lies under it."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtGui import QIcon
from qtpy.QtWidgets import (
    QFormLayout,
    QFrame,
    QLabel,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)
from superqt import QCollapsible

if TYPE_CHECKING:
    from .session import MapSession

#: QWIDGETSIZE_MAX of Qt, which the Python bindings do not all name.
_NO_LIMIT = 16_777_215


class Section(QCollapsible):
    """A collapsible part of a dock.

    Subclasses fill :attr:`body`, and show a session in :meth:`show_session`. They hold it weakly:
    data sets go with their layers, not with a dock that happens to have shown them.

    Parameters
    ----------
    title
        With a mnemonic, as in ``"&Scan"``.
    tip
        Tooltip of the title.
    """

    def __init__(self, title: str, tip: str) -> None:
        super().__init__(title)
        self._title = title
        self._session: weakref.ref[MapSession] | None = None
        # Arrows are part of the text: icons drawn from the palette vanish in one of the themes.
        self.setExpandedIcon(QIcon())
        self.setCollapsedIcon(QIcon())
        # Opening at once: an animation fixes the height, and words that wrap need more of it.
        self.setDuration(0)
        # As high as words that wrap need it in the width that there is, not in their favourite one.
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Preferred)
        # Aligned at the top, as it comes, it gets no more height than unwrapped words need.
        self.layout().setAlignment(Qt.AlignmentFlag(0))
        self.layout().setContentsMargins(0, 0, 0, 0)
        self.layout().setSpacing(0)
        button = self.toggleButton()
        button.setToolTip(tip)
        button.setStyleSheet("text-align: left; font-weight: bold; padding: 5px;")
        button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

        self.body = QWidget()
        box = QVBoxLayout(self.body)
        box.setContentsMargins(6, 6, 6, 8)
        box.setSpacing(6)
        unused = self.content()
        self.setContent(self.body)
        self.layout().removeWidget(unused)
        unused.deleteLater()
        self.toggled.connect(self._on_toggled)
        self.set_open(False)

    @property
    def box(self) -> QVBoxLayout:
        """Layout of the body."""
        layout = self.body.layout()
        assert isinstance(layout, QVBoxLayout)
        return layout

    @property
    def session(self) -> MapSession | None:
        """The data set that is shown, if it is still there."""
        return None if self._session is None else self._session()

    def set_session(self, session: MapSession | None) -> None:
        """Show another data set, or none."""
        self._session = None if session is None else weakref.ref(session)
        self.show_session(session)

    def show_session(self, session: MapSession | None) -> None:
        """Show a data set anew; for subclasses."""

    def session_changed(self, what: str) -> None:
        """Follow a change of the data set that is shown (see ``MapSession.changed``)."""
        self.show_session(self.session)

    def set_open(self, opened: bool) -> None:
        """Open or close it."""
        if opened:
            self.expand(animate=False)
        else:
            self.collapse(animate=False)

    def _on_toggled(self, opened: bool) -> None:
        self.toggleButton().setText(f"{'▾' if opened else '▸'}  {self._title}")
        self.body.setVisible(opened)
        self.body.setMaximumHeight(_NO_LIMIT if opened else 0)


def wrapped(text: str = "", *, selectable: bool = False) -> QLabel:
    """Return a label whose words wrap, and that never widens the dock."""
    label = QLabel(text)
    label.setWordWrap(True)
    label.setTextFormat(Qt.TextFormat.PlainText)
    policy = QSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
    policy.setHeightForWidth(True)
    label.setSizePolicy(policy)
    if selectable:
        label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label


def form() -> QFormLayout:
    """Return a layout of named fields for a narrow dock."""
    layout = QFormLayout()
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setHorizontalSpacing(8)
    layout.setVerticalSpacing(4)
    layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    layout.setLabelAlignment(Qt.AlignmentFlag.AlignLeft)
    return layout


def rule() -> QFrame:
    """Return a thin horizontal line."""
    line = QFrame()
    line.setFrameShape(QFrame.Shape.HLine)
    line.setFrameShadow(QFrame.Shadow.Plain)
    return line
