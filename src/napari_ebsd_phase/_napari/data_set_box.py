# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of several open data sets is looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QComboBox

from .arrange import bring_forward
from .notify import guarded
from .scan_facts import map_text
from .session import sessions

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from .session import MapSession


class DataSetBox(QComboBox):
    """Shows one of the data sets of a viewer and hides the others; seen if there are several."""

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self.setToolTip("Which of the open data sets is shown; the others are hidden")
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(6)
        self.setVisible(False)
        self.activated.connect(self._on_activated)

    def show_session(self, session: MapSession | None) -> None:
        """List what is open now, with one of it chosen."""
        every = sessions(self._viewer)
        self.setVisible(len(every) > 1)
        self.clear()
        self.addItems([f"{other.name}: {map_text(other.shape)}" for other in every])
        if session in every:
            self.setCurrentIndex(every.index(session))

    @guarded
    def _on_activated(self, place: int) -> None:
        bring_forward(self._viewer, sessions(self._viewer)[place])
