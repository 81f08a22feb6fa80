# SPDX-License-Identifier: GPL-3.0-or-later
"""Region: what the selected patterns are, identified as a whole."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels, Shapes
from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import (
    QApplication,
    QComboBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from ..crystallography import LEVELS, color
from ..errors import InputError
from ..labels import NO_LEVEL
from .background import Cancelled, Progress
from .bar_chart import Bar, BarChart, percent
from .candidates_panel import CandidatesPanel
from .draw_region import TOOLS, draw_region
from .follow import Connections
from .legend_rows import LEVEL_TITLES
from .notify import guarded
from .section import Section, form, rule, wrapped
from .selection import Chosen, chosen_region
from .theme import swatch_pixmap
from .work import Work

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from ..regions import Identification
    from .classify_section import ClassifySection
    from .session import MapSession

_BARS = 5
_FEW_VIEWS = 5

# Dragging a corner of a shape sends an event for every point of the screen.
_SETTLE_MS = 150


class RegionSection(Section):
    """Identifies what is selected in the viewer: shapes, a label, painted pixels.

    Parameters
    ----------
    viewer
        Whose selection counts.
    classify
        Where network, class prior and device are chosen.
    """

    #: There is an answer to be seen, in this widget.
    answered = Signal(QWidget)

    def __init__(self, viewer: Viewer, classify: ClassifySection) -> None:
        super().__init__("&Region", "What the selected part of the map is, from all its patterns")
        self._viewer = viewer
        self._classify = classify
        self._result: Identification | None = None
        self._mask: np.ndarray | None = None
        self.chosen = wrapped()
        self.identify_button = QPushButton("&Identify")
        self.identify_button.setToolTip(
            "Pool the evidence of the selected patterns (up to 500, spread over them) and say what "
            "they are together; network and class prior are those of the Classify section"
        )
        self._work = Work(self, "Stop reading patterns")
        self.cancel_button, self.progress = self._work.cancel_button, self._work.bar
        self.candidates = CandidatesPanel(lambda: classify.form.projection_centre)
        self.answer = _Answer(self.candidates)
        self._settle = QTimer(self)
        self._settle.setSingleShot(True)
        self._settle.setInterval(_SETTLE_MS)
        self._settle.timeout.connect(self._describe)
        self.draw_buttons = {tool: QPushButton(name) for tool, name in TOOLS.items()}
        self._lay_out()
        for tool, button in self.draw_buttons.items():
            button.setToolTip(
                f"Draw a {TOOLS[tool].lower()} on the map: what lies in it is selected"
            )
            button.setProperty("tool", tool)
            button.clicked.connect(self._draw)
        self.identify_button.clicked.connect(self._identify)
        self._work.changed.connect(self._describe)
        self.candidates.listed.connect(self._on_listed)
        self._selection = Connections(self)
        self._selection.connect(viewer.layers, "selection.events.active", self._on_active)
        self._inside = Connections(self)
        self.show_session(None)
        self._follow()

    @property
    def result(self) -> Identification | None:
        """The last answer."""
        return self._result

    def show_session(self, session: MapSession | None) -> None:
        self._describe()

    def set_session(self, session: MapSession | None) -> None:
        if session is not self.session:
            self.stop()
            self._result = None
            self._show_answer(False)
        super().set_session(session)

    def stop(self) -> None:
        """Give up what is at work, silently."""
        self._work.stop()
        self.candidates.stop()

    def _lay_out(self) -> None:
        tools = QHBoxLayout()
        tools.addWidget(QLabel("Draw"))
        for button in self.draw_buttons.values():
            tools.addWidget(button, 1)
        self.box.addLayout(tools)
        buttons = QHBoxLayout()
        buttons.addWidget(self.identify_button)
        buttons.addWidget(self.cancel_button)
        self.box.addWidget(self.chosen)
        self.box.addLayout(buttons)
        self.box.addWidget(self.progress)
        self.box.addWidget(self.answer)
        self.box.addWidget(self.candidates)
        self._show_answer(False)

    def _show_answer(self, there: bool) -> None:
        for widget in (self.answer, self.candidates):
            widget.setVisible(there)

    def _choose(self) -> Chosen:
        session = self.session
        if session is None or session.shape == (0, 0):
            raise InputError("no scan is open: open one in the Scan section first")
        return chosen_region(self._viewer, session)

    def _describe(self) -> None:
        """Say what would be identified now."""
        selected = False
        try:
            chosen = self._choose()
        except InputError as error:
            text = str(error)
            self.chosen.setText(f"{text[0].upper()}{text[1:]}.")
        else:
            selected = True
            plural = "pattern" if chosen.count == 1 else "patterns"
            self.chosen.setText(f"Selected: {chosen.text}, {chosen.count:,} {plural}.")
        session = self.session
        there = session is not None and session.scan is not None and not session.closed
        self.identify_button.setEnabled(selected and there and not self._work.busy)
        for button in self.draw_buttons.values():
            button.setEnabled(session is not None and not session.closed)

    @guarded
    def _draw(self, *_: object) -> None:
        if self.session is not None:
            draw_region(self._viewer, self.session, str(self.sender().property("tool")))

    @guarded
    def _on_active(self, event: Any = None) -> None:
        self._follow()
        self._describe()

    def _follow(self) -> None:
        """Hear of changes inside the selected layer."""
        self._inside.clear()
        layer = self._viewer.layers.selection.active
        for event in _events(layer):
            self._inside.connect(layer, event, self._on_change)

    def _on_change(self, event: Any = None) -> None:
        self._settle.start()

    @guarded
    def _identify(self, *_: object) -> None:
        session = self.session
        chosen = self._choose()
        self._describe()
        if session is None or session.scan is None or session.closed:
            raise InputError("the pattern file is not open: open or locate it in the Scan section")
        scan, mask = session.scan, chosen.mask
        loader, network = self._classify.loader, self._classify.network
        prior, device = self._classify.prior, self._classify.device
        centre = self._classify.form.projection_centre
        told = None if session.phase_map is None else session.phase_map.provenance

        def work(progress: Progress, cancelled: Cancelled) -> Identification:
            classifier = loader.load(network, device)
            from ..centring import centred
            from ..regions import identify  # after torch, which the loader imports with care

            return identify(
                scan,
                centred(scan, classifier, centre, earlier=told),
                mask,
                prior=prior,
                projection_centre=None,  # it has been told what is to be told
                progress=progress,
                cancelled=cancelled,
            )

        self._mask = mask
        self.answer.set_source(chosen.text)
        self._work.start(work, self._on_returned)

    @guarded
    def _on_returned(self, result: Identification) -> None:
        self._result = result
        self.answer.show_result(result)
        if self.session is not None and self._mask is not None:
            self.candidates.offer(self.session, self._mask, result)
        self._show_answer(True)
        self.answered.emit(self.answer)

    @guarded
    def _on_listed(self) -> None:
        self.answered.emit(self.candidates)


class _Answer(QWidget):
    """What a region is, how sure that is, and what else it could be."""

    def __init__(self, candidates: CandidatesPanel) -> None:
        super().__init__()
        self._result: Identification | None = None
        self._source = ""
        self._candidates = candidates
        self.swatch = QLabel()
        self.name = wrapped(selectable=True)
        font = self.name.font()
        font.setBold(True)
        self.name.setFont(font)
        self.sure = wrapped(selectable=True)
        self.evidence = wrapped(selectable=True)
        self.levels = QComboBox()
        self.levels.setToolTip("Level of the classes whose probabilities the bars show")
        for level in LEVELS:
            self.levels.addItem(LEVEL_TITLES[level], level)
        self.bars = BarChart(_BARS)
        self.pairs = wrapped(selectable=True)
        self.notes = wrapped(selectable=True)
        self.copy_button = QPushButton("Copy as &JSON")
        self.copy_button.setToolTip("Copy all probabilities and notes to the clipboard")
        self.levels.currentIndexChanged.connect(self._show_bars)
        self.copy_button.clicked.connect(self._copy)
        self._lay_out()

    def set_source(self, text: str) -> None:
        """Say what the next answer is about."""
        self._source = text

    def show_result(self, result: Identification) -> None:
        """Show an answer."""
        self._result = result
        if result.label:
            title = LEVEL_TITLES[result.level]
            self.name.setText(f"{result.label}  ({title.lower() if title[0] != 'L' else title})")
            self.swatch.setPixmap(swatch_pixmap(color(result.level, result.label)))
        else:
            self.name.setText("Undecided")
            self.swatch.setPixmap(swatch_pixmap(color(NO_LEVEL, "")))
        self.sure.setText(_sure(result))
        self.evidence.setText(_evidence(result, self._source))
        shown = result.level if result.level in LEVELS else "crystal_system"
        self.levels.setCurrentIndex(LEVELS.index(shown))
        self._show_bars()
        pairs = [f"{group} with {lattice} {_percent(p)}" for group, lattice, p in result.pairs[:3]]
        self.pairs.setText("Point group with lattice: " + ", ".join(pairs) + "." if pairs else "")
        self.pairs.setVisible(bool(pairs))
        self.notes.setText("\n".join(f"• {note}" for note in result.notes))
        self.notes.setVisible(bool(result.notes))

    def _lay_out(self) -> None:
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        head = QHBoxLayout()
        head.addWidget(self.swatch)
        head.addWidget(self.name, 1)
        fields = form()
        fields.addRow("Level", self.levels)
        box.addWidget(rule())
        box.addLayout(head)
        box.addWidget(self.sure)
        box.addWidget(self.evidence)
        box.addLayout(fields)
        for widget in (self.bars, self.pairs, self.notes, self.copy_button):
            box.addWidget(widget)

    def _show_bars(self, *_: object) -> None:
        if self._result is None:
            return
        level = self.levels.currentData()
        self.bars.set_bars(
            [
                Bar(name, probability, color(level, name))
                for name, probability in self._result.ranked(level, _BARS)
            ]
        )

    @guarded
    def _copy(self, *_: object) -> None:
        if self._result is not None:
            said = {"region": self._source, **self._result.to_dict()}
            if self._candidates.ranking is not None:
                said["candidates"] = self._candidates.ranking.to_dict()
            QApplication.clipboard().setText(json.dumps(said, indent=1))


def _sure(result: Identification) -> str:
    """How sure the answer is, and what comes next."""
    if not result.label:
        name, probability = result.ranked("crystal_system", 1)[0]
        return (
            f"No name reaches the threshold of {result.threshold:.2f}; the best crystal system is "
            f"{name} with {_percent(probability)}."
        )
    ranked = result.ranked(result.level, _BARS)
    own = next((p for name, p in ranked if name == result.label), 0.0)
    others = [(name, p) for name, p in ranked if name != result.label]
    following = f"; next best {others[0][0]} with {_percent(others[0][1])}" if others else ""
    return f"Probability {_percent(own)}{following}."


def _percent(probability: float) -> str:
    """A share that is not torn apart at the end of a line."""
    return percent(probability).replace(" ", "\N{NO-BREAK SPACE}")


def _evidence(result: Identification, source: str) -> str:
    """What the answer rests on."""
    views = f"{result.views:.1f}" if result.views < _FEW_VIEWS else f"{result.views:.0f}"
    part = f"{result.used:,} of " if result.used < result.patterns else ""
    if result.patterns == 1:
        return f"From {source}: one pattern{'' if result.nameable else ', not good enough'}."
    return (
        f"From {source}: {part}{result.patterns:,} patterns read, {result.nameable:,} of them good "
        f"enough, which show about {views} different views."
    )


def _events(layer: object) -> tuple[str, ...]:
    """Events after which a layer may stand for other patterns."""
    if isinstance(layer, Shapes):
        return ("events.data", "selected_data.events.items_changed")
    if isinstance(layer, Labels):
        return ("events.data", "events.selected_label", "events.labels_update")
    return ()
