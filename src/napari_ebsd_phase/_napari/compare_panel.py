# SPDX-License-Identifier: GPL-3.0-or-later
"""A phase map beside the vendor's phases: a layer of where they agree, and a table."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from ..merge import VERDICTS, Comparison, compare
from .background import Cancelled, Progress
from .compare_dialog import CompareDialog
from .layers import adopt, geometry, layer_for
from .notify import guarded
from .session import METADATA_KEY
from .work import Work

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from .session import MapSession

ROLE = "agreement"
TITLE = "Agreement"


class ComparePanel(QWidget):
    """A button that compares the map that is shown with the phases that its file came with.

    The layer is drawn anew when the threshold changes. The session is held weakly.

    Parameters
    ----------
    viewer
        Where the layer goes.
    """

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self._session: weakref.ref[MapSession] | None = None
        self._compared: weakref.ref[MapSession] | None = None
        self._again = False
        self.dialog: CompareDialog | None = None
        self.button = QPushButton("&Compare with the vendor's phases")
        self.button.setToolTip(
            "Show where the labels agree with the phases that the vendor's program found, as a "
            "layer and as a table"
        )
        self._work = Work(self, "Stop comparing")
        self._work.cancel_button.clicked.connect(self._give_up)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        row = QHBoxLayout()
        row.addWidget(self.button, 1)
        row.addWidget(self._work.cancel_button)
        box.addLayout(row)
        box.addWidget(self._work.bar)
        self.button.clicked.connect(self._on_click)
        self._work.changed.connect(self._on_changed)
        self._work.ended.connect(self._on_ended)
        self.show_session(None)

    @property
    def session(self) -> MapSession | None:
        """The data set that is shown, if it is still there."""
        return None if self._session is None else self._session()

    def show_session(self, session: MapSession | None) -> None:
        """Show another data set, or none; the panel is hidden where there is nothing to compare."""
        if session is not self.session:
            self._work.stop()
            self._again = False
            if self.dialog is not None:  # it is about the one that was shown
                self.dialog.close()
        self._session = None if session is None else weakref.ref(session)
        self.setVisible(session is not None and _comparable(session))
        self._on_changed()

    def session_changed(self, what: str) -> None:
        """Follow a change of the data set (see ``MapSession.changed``)."""
        session = self.session
        self.show_session(session)
        if session is None or what not in ("threshold", "map"):
            return
        if _comparable(session) and layer_for(self._viewer, session, ROLE) is not None:
            self._compare()

    def _compare(self) -> None:
        session = self.session
        if session is None or session.phase_map is None:
            return
        if self._work.busy:
            self._again = True
            return
        phase_map = session.phase_map
        self._compared = weakref.ref(session)

        def work(progress: Progress, cancelled: Cancelled) -> Comparison:
            return compare(phase_map)

        self._work.start(work, self._on_compared)

    @guarded
    def _on_click(self, *_: object) -> None:
        if self.dialog is None:
            self.dialog = CompareDialog(self)
        self.dialog.show_busy()
        self.dialog.show()
        session = self.session
        layer = None if session is None else layer_for(self._viewer, session, ROLE)
        if layer is not None:
            layer.visible = True
            self._viewer.layers.selection.active = layer
        self._compare()

    @guarded
    def _on_changed(self) -> None:
        session = self.session
        free = session is not None and not session.running
        self.button.setEnabled(free and not self._work.busy)

    @guarded
    def _on_compared(self, comparison: Comparison) -> None:
        session = self.session
        # Another data set may be shown by now, or the map have gone.
        if session is None or self._compared is None or self._compared() is not session:
            return
        if comparison.verdict.shape == session.shape:
            show_agreement(self._viewer, session, comparison)
            if self.dialog is not None:
                self.dialog.show_comparison(session.name, comparison)

    @guarded
    def _give_up(self, *_: object) -> None:
        # A comparison cannot be interrupted: nobody waits for it.
        self._work.stop()
        self._compared, self._again = None, False
        self._close_empty()

    @guarded
    def _on_ended(self) -> None:
        if self._again:
            self._again = False
            self._compare()
        else:
            self._close_empty()

    def _close_empty(self) -> None:
        """Close the table if nothing came to be in it: cancelled, failed, or another data set."""
        if self.dialog is not None and self.dialog.comparison is None:
            self.dialog.close()


def show_agreement(viewer: Viewer, session: MapSession, comparison: Comparison) -> None:
    """Show where a map and the vendor's phases agree; a layer that is there is drawn anew."""
    from napari.layers import Labels

    layer = layer_for(viewer, session, ROLE)
    columns = _features(comparison)
    if layer is not None:
        layer.data = comparison.verdict
        layer.features = columns
        return
    adopt(viewer, session)
    new = Labels(
        comparison.verdict,
        name=f"{session.name}: {TITLE}",
        colormap=_colors(),
        features=columns,
        opacity=1.0,
        metadata={METADATA_KEY: {"session": session, "role": ROLE}},
        **geometry(session),
    )
    new.editable = False
    viewer.add_layer(new)


def _comparable(session: MapSession) -> bool:
    """Whether a data set has a phase map and phases of the vendor for all of its points."""
    from ..export._phases import vendor_on_grid

    return session.phase_map is not None and vendor_on_grid(session.phase_map) is not None


def _features(comparison: Comparison) -> dict[str, list[Any]]:
    counts = np.bincount(comparison.verdict.ravel(), minlength=len(VERDICTS))
    return {
        "index": list(range(len(VERDICTS))),
        "name": list(VERDICTS),
        "patterns": counts.tolist(),
    }


def _colors() -> dict[int | None, str]:
    found: dict[int | None, str] = dict(enumerate(VERDICTS.values()))
    return found | {0: "transparent", None: "transparent"}
