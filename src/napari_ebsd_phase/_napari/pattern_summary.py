# SPDX-License-Identifier: GPL-3.0-or-later
"""What the network says of a pattern: its name, how sure that is, and the leading classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from .bar_chart import BarChart
from .pattern_panel import bars_of
from .pattern_words import details_text, label_text
from .section import wrapped
from .theme import swatch_pixmap

if TYPE_CHECKING:
    from ..phase_map import PhaseMap
    from .explain_worker import Answer

_WAITING = "…"
_EMPTY = "\N{NO-BREAK SPACE}"


class PatternSummary(QWidget):
    """Label, lattice, quality, and bars.

    Parameters
    ----------
    level_box
        Chooses the level of the bars; it is given a place above them.
    """

    def __init__(self, level_box: QWidget) -> None:
        super().__init__()
        self.swatch = QLabel()
        self.swatch.setFixedWidth(16)
        self.label = wrapped(selectable=True)
        self.label.setStyleSheet("font-weight: bold")
        self.details = wrapped(selectable=True)
        self.details.setToolTip("Probability of the label in words, lattice, pattern quality")
        self.note = wrapped()
        self.note.hide()
        self.bars = BarChart()
        name_row = QHBoxLayout()
        name_row.setSpacing(4)
        name_row.addWidget(self.swatch)
        name_row.addWidget(self.label, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(name_row)
        for widget in (self.details, self.note, level_box, self.bars):
            layout.addWidget(widget)

    def show_result(
        self,
        result: PhaseMap | None,
        level: str,
        answer: Answer | None = None,
        pinned: PhaseMap | None = None,
    ) -> None:
        """Show what is known of a pattern.

        Parameters
        ----------
        result, pinned
            Maps of one pixel: the pattern (None while it is not known), and one to compare with.
        level
            Of the bars.
        answer
            About its heat map.
        """
        if result is None:
            # Everything keeps its place: the picture above is not to change its size meanwhile.
            self.swatch.clear()
            self.label.setText(_WAITING)
            self.details.setText(_EMPTY)
            self.bars.set_bars(())
            return
        text, color = label_text(result)
        self.swatch.setPixmap(swatch_pixmap(color, 12))
        self.label.setText(text)
        self.details.setText(details_text(result))
        note = "" if answer is None else _note(answer)
        self.note.setText(note)
        self.note.setVisible(bool(note))
        explains = answer is not None and answer.request.level == level
        target = answer.target if answer is not None and explains else None
        self.bars.set_bars(bars_of(result, level, target, pinned, self.bars.most))


def _note(answer: Answer) -> str:
    """What has to be known to read the answer rightly."""
    if not answer.same_network:
        return (
            f"Explained by the network '{answer.network}'; the one that made the map is not "
            "installed"
        )
    if answer.computed:
        return "This pattern alone: not in the map yet"
    return ""
