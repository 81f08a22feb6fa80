# SPDX-License-Identifier: GPL-3.0-or-later
"""Dock "EBSD pattern": the pattern of a pixel, what the network says of it, and why."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

import napari.viewer
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import (
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from ..crystallography import names
from .dock_tabs import SharedTabs
from .explain_worker import (
    Answer,
    Explainer,
    PatternAnswer,
    PatternQuestion,
    Question,
    WarmUp,
    pixel_of,
    read_pattern,
)
from .follow import Connections, Follower
from .latest_wins import Failure, LatestWins
from .notify import error_text, guarded, show_error
from .pattern_controls import NO_PATTERN, PatternControls
from .pattern_panel import PatternPanel
from .pattern_probe import PatternProbe, Place
from .pattern_save import SaveButton, folder_of
from .pattern_summary import PatternSummary
from .settings import load_settings

if TYPE_CHECKING:
    from ..phase_map import PhaseMap
    from .session import MapSession

_NOTHING_OPEN = "Open an EBSD file or a sample to begin"
_NOTHING_CHOSEN = (
    "Click a pixel of the map\nto see its pattern.\n\nDrag, or use the arrow keys,\nto go on.\n\n"
    "Shift and drag moves the map."
)
_READING = "Reading the pattern…"
_NO_FILE = "The patterns of this map were not found."

# Milliseconds until words that are not there yet are waited for visibly.
_WORDS_WITHIN = 200

# Milliseconds: opening a file and drawing its layers comes before what may never be asked for.
_WARM_UP_AFTER = 300


class PatternDock(QWidget):
    """Shows the pattern of the pixel that is clicked on a map, and where its evidence lies.

    While the dock is to be seen, a click, a drag or the arrow keys choose the pixel. The pattern
    is shown as soon as it is read; names, bars and heat map follow from a thread that only ever
    works on the newest question.
    """

    def __init__(self, viewer: napari.viewer.Viewer, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        SharedTabs(self, "pattern")
        # napari hands plugins a proxy of the viewer; weak references need what lasts.
        viewer = getattr(viewer, "__wrapped__", viewer)
        self._tickets = count(1)
        self._read_ticket = 0
        self._asked_with: PhaseMap | None = None
        self._reader = LatestWins(read_pattern, "ebsd-read-pattern")
        self._answers = Explainer()
        self._explainer = LatestWins(self._answers.answer, "ebsd-explain-pattern")
        self.probe = PatternProbe(viewer)
        self._words_timer = QTimer(self)
        self._words_timer.setSingleShot(True)
        self._words_timer.timeout.connect(self._show_words)

        self.chosen = PatternPanel("Chosen")
        self.pinned = PatternPanel("Pinned")
        self.pinned.hide()
        self.find_button = QPushButton("&Find the pattern file…")
        self.find_button.setToolTip("Choose the file that this map was made from")
        self.controls = PatternControls(load_settings().colormap)
        self.summary = PatternSummary(self.controls.level_box)
        self.pin_button = QPushButton("&Pin")
        self.pin_button.setToolTip("Keep this pattern on view, to compare the next ones with it")
        self.pin_button.setCheckable(True)
        self.save_button = SaveButton(self.panels)
        self._lay_out()

        self.probe.moved.connect(self._on_moved)
        self._reader.answered.connect(self._on_read)
        self._explainer.answered.connect(self._on_answer)
        self._answers.progressed.connect(self._on_progress)
        self.chosen.view.moved.connect(self.probe.step)
        self.summary.bars.chosen.connect(self.controls.choose_target)
        self.controls.asked.connect(self._on_asked)
        self.controls.stopped.connect(self._stop_explaining)
        self.controls.restyled.connect(self._on_restyled)
        self.find_button.clicked.connect(self._on_find)
        self.pin_button.toggled.connect(self._on_pin)
        for forget in (self._answers.drop_all, self._reader.forget, self._explainer.forget):
            self.destroyed.connect(forget)
        self._changes = Connections(self)
        self._follower = Follower(viewer, self, "_on_session", "_on_active_change")
        self._follower.start()
        self._on_restyled()
        self._on_moved()

    @property
    def place(self) -> Place | None:
        """The pixel that is shown."""
        return self.probe.place

    @property
    def busy(self) -> bool:
        """Whether something is being read or explained."""
        return self._reader.busy or self._explainer.busy

    def show_pixel(self, session: MapSession, row: int, col: int) -> None:
        """Show the pattern of a pixel, as a click on it does."""
        self.probe.choose(session, row, col)

    def panels(self) -> list[PatternPanel]:
        """Return what is on view, left to right."""
        return [self.pinned, self.chosen] if self.pin_button.isChecked() else [self.chosen]

    # Events of Qt -----------------------------------------------------------------------------

    def showEvent(self, event: Any) -> None:
        super().showEvent(event)
        self.probe.activate()
        self._warm_up_soon()

    def hideEvent(self, event: Any) -> None:
        # A window that is minimised is still in use; behind another dock this one is not.
        if not event.spontaneous():
            self.probe.deactivate()
        super().hideEvent(event)

    # Events of the viewer and its data sets ------------------------------------------------------

    def _on_session(self, session: MapSession | None) -> None:
        if self.place is None:
            self._show_hint()
        self._warm_up_soon()

    def _on_active_change(self, what: str) -> None:
        """The active data set need not be the one on view: see `_on_change`."""

    @guarded
    def _on_change(self, what: str) -> None:
        """Follow a change of a data set of which a pattern is on view."""
        if what == "closed":
            self.probe.forget_lost()
            if self.pinned.place is not None and self.probe.pinned is None:
                self.pin_button.setChecked(False)
        elif what == "scan":
            self.chosen.clear(_READING)
            self._on_moved()
        elif what == "threshold":
            self._relabel()
        elif self._known() != self._asked_with:
            # Classified by now: the map's word counts, not that of the pattern alone.
            self.chosen.answer = None
            self._explain()

    def _warm_up_soon(self) -> None:
        if self._follower.session is not None and self.place is None:
            QTimer.singleShot(_WARM_UP_AFTER, self._warm_up)

    def _warm_up(self) -> None:
        """Get ready for the first click: libraries, network and screen take a second or two."""
        session = self._follower.session
        idle = self.place is None and self.isVisible() and not self._explainer.busy
        if idle and session is not None and session.scan is not None and not session.closed:
            self._explainer.ask(WarmUp(session))

    # The pixel ------------------------------------------------------------------------------------

    @guarded
    def _on_moved(self) -> None:
        """Ask for the pattern of the chosen pixel."""
        self._reader.forget()
        self._read_ticket = 0
        self._follow_places()
        session = None if self.place is None else self.place.session
        self.find_button.setVisible(session is not None and session.scan is None)
        if self.place is None or session is None:
            self._stop_explaining()
            self._show_hint()
        elif session.scan is None:
            self.chosen.clear(_NO_FILE, self.place)
            self._show_words()
        else:
            if self.chosen.view.pattern is None:
                self.chosen.clear(_READING)
            # Both read it: the picture is not to wait for an explanation that is at work, nor the
            # explanation for the interface.
            self._explain(moved=True)
            self._read_ticket = self.chosen.ticket
            row, col = self.place.row, self.place.col
            self._reader.ask(PatternQuestion(self._read_ticket, session, row, col))

    def _follow_places(self) -> None:
        """Hear of changes of the data sets of which a pattern is on view."""
        self._changes.clear()
        places = (self.place, self.probe.pinned)
        for session in {place.session for place in places if place is not None}:
            if session is not None:
                self._changes.connect(session, "changed", self._on_change)

    @guarded
    def _on_read(self, answer: PatternAnswer | Failure) -> None:
        if isinstance(answer, Failure):
            if answer.question.ticket == self._read_ticket:
                # In place of the pattern, not as a notification: a drag would bring many.
                self.chosen.clear(error_text(answer.error))
                self._show_words()
        elif answer.ticket == self._read_ticket and self.place is not None:
            self.chosen.show_pattern(self.place, answer.pattern)
            if self.chosen.answer is None:
                # The words of the pattern before stay for a moment: they would only flicker.
                self._words_timer.start(0 if self._known() is not None else _WORDS_WITHIN)

    @guarded
    def _on_asked(self) -> None:
        self._explain()

    def _explain(self, moved: bool = False) -> None:
        """Ask what is still to be said about the patterns on view, or about another one."""
        request = self.controls.request
        self._asked_with = self._known()
        questions = []
        for panel, place in ((self.chosen, self.place), (self.pinned, self.probe.pinned)):
            session = None if place is None else place.session
            # A panel shows the pattern before, and what was said of it, until the next one is read.
            new = panel.place != place or (moved and panel is self.chosen)
            if place is None or session is None or session.scan is None:
                continue
            if new or panel.needs(request):
                panel.ticket = next(self._tickets)
                known = self._asked_with if panel is self.chosen else panel.result
                questions.append(
                    Question(panel.ticket, session, place.row, place.col, request, known)
                )
        # What takes long is not to keep these waiting.
        self._answers.drop_before(questions[0].ticket if questions else next(self._tickets))
        self.controls.end_progress()
        self._explainer.ask(*questions)
        if not moved:
            self._show_words()

    @guarded
    def _on_answer(self, answer: Answer | Failure) -> None:
        if isinstance(answer, Failure):
            question = answer.question
            wanted = isinstance(question, Question) and self._panel(question.ticket) is not None
            if wanted and not question.session.closed:
                show_error(answer.error)
            return
        panel = self._panel(answer.ticket)
        if panel is None:
            return
        if panel is self.chosen and self.place is not None:
            panel.show_pattern(self.place, answer.pattern)
        panel.show_answer(answer)
        if answer.heat is not None:
            self.controls.end_progress()
        self._show_words()
        if panel is self.chosen and not panel.needs(answer.request):
            self.probe.draw_soon()

    @guarded
    def _on_progress(self, ticket: int, done: int, total: int) -> None:
        panel = self._panel(ticket)
        if panel is not None and panel.needs(self.controls.request):
            self.controls.show_progress(done, total)

    @guarded
    def _stop_explaining(self) -> None:
        self._answers.drop_before(next(self._tickets))
        self.controls.end_progress()
        self._explainer.forget()

    def _panel(self, ticket: int) -> PatternPanel | None:
        panels = (self.chosen, self.pinned)
        return next((panel for panel in panels if panel.ticket == ticket), None)

    def _known(self) -> PhaseMap | None:
        """What the map says of the chosen pixel, a map of one pixel, or None."""
        session = None if self.place is None else self.place.session
        if self.place is None or session is None or session.phase_map is None:
            return None
        return pixel_of(session.phase_map, self.place.row, self.place.col, session.threshold)

    # What is shown --------------------------------------------------------------------------------

    def _show_hint(self) -> None:
        session = self._follower.session
        self.chosen.clear(_NOTHING_OPEN if session is None else _NOTHING_CHOSEN)
        self._show_words()

    def _relabel(self) -> None:
        for panel in (self.chosen, self.pinned):
            session = None if panel.place is None else panel.place.session
            if panel.result is not None and session is not None:
                panel.result.threshold = session.threshold
        self._show_words()

    def _show_words(self) -> None:
        """Write label, details and bars of the chosen pixel."""
        self._words_timer.stop()
        answer, level = self.chosen.answer, self.controls.level
        result = self._known() if answer is None else answer.result
        other = self.pinned.result if self.pin_button.isChecked() else None
        self.summary.setVisible(self.place is not None)
        self.summary.show_result(result, level, answer, other)
        if result is not None:
            self.controls.set_reported(names(level)[int(result.most_probable(level)[0][0, 0])])
        if answer is not None and (answer.zones is not None or answer.no_zones):
            self.controls.set_zones_unknown(answer.no_zones)
        elif self.place is None:
            self.controls.set_zones_unknown(NO_PATTERN)
        shown = self.chosen.view.pattern is not None
        self.pin_button.setEnabled(shown or self.pin_button.isChecked())
        self.save_button.setEnabled(shown)

    @guarded
    def _on_restyled(self) -> None:
        for panel in (self.chosen, self.pinned):
            panel.view.set_style(self.controls.opacity, self.controls.colormap)
            panel.view.show_zones(self.controls.zones)

    # What the user does ---------------------------------------------------------------------------

    @guarded
    def _on_pin(self, pinned: bool) -> None:
        """Keep the pattern on view beside those that follow, or let go of it."""
        self.pinned.setVisible(pinned)
        for panel in (self.pinned, self.chosen):
            panel.set_narrow(pinned)
        if pinned:
            self.pinned.copy_from(self.chosen)
        else:
            self.pinned.clear()
        self.probe.pin(self.pinned.place)
        self._follow_places()
        self._explain()

    @guarded
    def _on_find(self, *_: object) -> None:
        session = None if self.place is None else self.place.session
        if session is None:
            return
        dialog = QFileDialog(self, "Find the pattern file", str(folder_of(session)))
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.fileSelected.connect(guarded(session.locate_patterns))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def _lay_out(self) -> None:
        inside = QWidget()
        layout = QVBoxLayout(inside)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.setSpacing(5)
        panels = QHBoxLayout()
        panels.setSpacing(6)
        panels.addWidget(self.pinned, 1)
        panels.addWidget(self.chosen, 1)
        layout.addLayout(panels, 1)
        buttons = QHBoxLayout()
        buttons.setSpacing(6)
        switches = (self.controls.seen_button, self.controls.zones_button)
        for button in (self.pin_button, *switches, self.save_button):
            buttons.addWidget(button, 1)
        layout.addLayout(buttons)
        for widget in (self.find_button, self.summary, self.controls):
            layout.addWidget(widget)
        area = QScrollArea()
        area.setWidget(inside)
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        outside = QVBoxLayout(self)
        outside.setContentsMargins(0, 0, 0, 0)
        outside.addWidget(area)
        self.setMinimumWidth(300)
