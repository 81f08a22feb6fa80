# SPDX-License-Identifier: GPL-3.0-or-later
"""One pattern of the pattern dock: picture, where it is from, what it is called."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QVBoxLayout, QWidget

from ..crystallography import colors, names
from .bar_chart import Bar
from .pattern_view import PatternView
from .pattern_words import position_text
from .section import wrapped

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..phase_map import PhaseMap
    from .explain_worker import Answer, Request
    from .pattern_probe import Place


class PatternPanel(QWidget):
    """A pattern with its heat map, and a line that says what they are.

    Attributes
    ----------
    place
        Pixel that it belongs to.
    ticket
        Of the last question about it; 0 where there is no pattern.
    answer
        The last answer, of this pattern.
    """

    def __init__(self, heading: str) -> None:
        super().__init__()
        self._heading = heading
        self._narrow = False
        self.place: Place | None = None
        self.ticket = 0
        self.answer: Answer | None = None
        self.view = PatternView()
        self.caption = wrapped(selectable=True)
        self.caption.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.view, 1)
        layout.addWidget(self.caption)

    @property
    def result(self) -> PhaseMap | None:
        """What the network says of the pattern, a map of one pixel."""
        return None if self.answer is None else self.answer.result

    def set_narrow(self, narrow: bool) -> None:
        """Make room for a second panel: shorter lines, and words that say which is which."""
        self._narrow = narrow
        self.write_caption()

    def needs(self, request: Request) -> bool:
        """Whether this is still to be asked about the pattern that is shown or being read."""
        if self.view.pattern is None and not self.ticket:
            return False
        answer = self.answer
        if answer is None or answer.request != request:
            return True
        return request.method is not None and answer.heat is None

    def clear(self, message: str = "", place: Place | None = None) -> None:
        """Show words in place of a pattern."""
        self.place, self.answer, self.ticket = place, None, 0
        self.view.set_pattern(None)
        self.view.set_message(message)
        self.write_caption()

    def show_pattern(self, place: Place, pattern: NDArray) -> None:
        """Show a pattern, about which nothing is known yet; nothing changes if it is there."""
        if self.place == place and self.view.pattern is not None:
            return
        self.place, self.answer = place, None
        self.view.set_pattern(pattern)
        self.write_caption()

    def show_answer(self, answer: Answer) -> None:
        """Show what the network says, and the heat map if it is there."""
        self.answer = answer
        self.view.set_network_view(answer.seen)
        self.view.set_heat(answer.heat)
        self.view.set_zones(answer.zones)
        self.write_caption()

    def copy_from(self, other: PatternPanel) -> None:
        """Show what another panel shows."""
        self.place, self.answer = other.place, other.answer
        self.view.set_pattern(other.view.pattern)
        self.view.set_network_view(other.view.network_view)
        self.view.set_heat(other.view.heat)
        self.view.set_zones(other.view.zones)
        self.write_caption()

    def write_caption(self) -> None:
        """Say where the pattern is from and what the heat map shows."""
        session = None if self.place is None else self.place.session
        if self.place is None or session is None:
            self.caption.clear()
            return
        lines = [*position_text(session, self.place.row, self.place.col), self.evidence_text()]
        if self._narrow:
            self.caption.setText("\n".join([self._heading, *lines]))
        else:
            self.caption.setText(" · ".join(lines[:-1]) + f"\n{lines[-1]}")

    def evidence_text(self) -> str:
        """What the heat map shows, like ``"evidence for m-3m against 6/mmm"``."""
        answer = self.answer
        if answer is None or answer.request.method is None:
            return ""
        text = f"evidence for {answer.target}"
        if answer.against is not None:
            text += f" against {answer.against}"
        return text if answer.heat is not None else f"looking for {text} …"


def bars_of(
    result: PhaseMap, level: str, target: str | None, pinned: PhaseMap | None, most: int
) -> list[Bar]:
    """Bars of the most probable classes of a level, the explained one always among them.

    Parameters
    ----------
    result, pinned
        Maps of one pixel: the pattern, and one to compare with.
    level
        Of the classes.
    target
        Class that the heat map is about.
    most
        How many.
    """
    probability = result.probabilities(level)[0, 0]
    other = None if pinned is None else pinned.probabilities(level)[0, 0]
    every, color = names(level), colors(level)
    order = sorted(range(len(every)), key=lambda index: -float(probability[index]))
    shown = order[:most]
    if target in every and every.index(target) not in shown:
        shown[-1] = every.index(target)
    return [
        Bar(
            name=every[index],
            probability=float(probability[index]),
            color=color[every[index]],
            pinned=None if other is None else float(other[index]),
            explained=every[index] == target,
        )
        for index in shown
    ]
