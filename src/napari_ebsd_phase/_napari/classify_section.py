# SPDX-License-Identifier: GPL-3.0-or-later
"""Classify: ask the network, watch it work, stop it, go on."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np
from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QHBoxLayout, QProgressBar, QPushButton

from ..errors import InputError
from .network_loader import NetworkLoader
from .notify import guarded, show_error
from .request_form import RequestForm
from .run import ClassificationRun, would_resume
from .section import Section, wrapped
from .selection import chosen_shape
from .settings import load_settings

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from ..map_request import Region
    from .session import MapSession


class Job(QObject):
    """A classification of one data set, and how far it is.

    Attributes
    ----------
    run
        Does the work.
    done, total
        Patterns of this run.
    seconds_left
        How long it will take; NaN while that is not known.
    end
        How it ended: ``"done"``, ``"cancelled"`` or ``"failed"``; None before that.
    """

    changed = Signal()

    def __init__(self, run: ClassificationRun) -> None:
        super().__init__()
        self.run = run
        self.done = self.total = 0
        self.seconds_left = float("nan")
        self.end: str | None = None
        run.progressed.connect(self._on_progress)
        run.finished.connect(self._on_finished)
        run.failed.connect(self._on_failed)

    def begin(self) -> None:
        """Forget how far the last run came."""
        self.done = self.total = 0
        self.seconds_left, self.end = float("nan"), None

    @guarded
    def _on_progress(self, done: int, total: int, seconds_left: float) -> None:
        self.done, self.total, self.seconds_left = done, total, seconds_left
        self.changed.emit()

    @guarded
    def _on_finished(self, how: str) -> None:
        self.end = how
        self.changed.emit()

    @guarded
    def _on_failed(self, error: Exception) -> None:
        show_error(error)


class ClassifySection(Section):
    """Runs the network over the data set that is shown.

    Every data set has a run of its own: another one can be looked at meanwhile.
    """

    #: A run has come further, or to its end.
    ran = Signal()

    def __init__(self, viewer: Viewer) -> None:
        super().__init__("&Classify", "Let the network name every pattern of the scan")
        self._viewer = viewer
        self._jobs: WeakKeyDictionary[MapSession, Job] = WeakKeyDictionary()
        #: The network that was loaded last, for whoever classifies outside a run.
        self.loader = NetworkLoader()
        self.form = RequestForm()
        self.form.set_device(load_settings().device)
        self.start_button = QPushButton("S&tart")
        self.cancel_button = QPushButton("Ca&ncel")
        self.cancel_button.setToolTip("Stop; what is classified stays, and Resume goes on there")
        self.progress = QProgressBar()
        self.state = wrapped()
        buttons = QHBoxLayout()
        buttons.addWidget(self.start_button)
        buttons.addWidget(self.cancel_button)
        self.box.addWidget(self.form)
        self.box.addLayout(buttons)
        self.box.addWidget(self.progress)
        self.box.addWidget(self.state)
        self.form.changed.connect(self._show_state)
        self.start_button.clicked.connect(self._start)
        self.cancel_button.clicked.connect(self._cancel)
        self.show_session(None)

    @property
    def network(self) -> str:
        """Network that is chosen: a name, or the path of a file."""
        return self.form.network

    @property
    def prior(self) -> str:
        """Class prior that is chosen."""
        return self.form.prior

    @property
    def device(self) -> str:
        """Device that is chosen."""
        return self.form.device

    @property
    def job(self) -> Job | None:
        """The run of the data set that is shown, also when it has ended."""
        session = self.session
        return None if session is None else self._jobs.get(session)

    def set_session(self, session: MapSession | None) -> None:
        if session is not self.session:
            self.form.show_session(session)
        super().set_session(session)

    def show_session(self, session: MapSession | None) -> None:
        if session is not None and session.scan is not None and session not in self._jobs:
            job = Job(ClassificationRun(self, self.loader))
            job.changed.connect(self._on_job)
            self._jobs[session] = job
            # It takes seconds, in which the user still chooses.
            job.run.warm_up(self.network, device=self.device)
        self._show_state()

    def stop(self) -> None:
        """Cancel everything that is at work; what is done stays."""
        for job in list(self._jobs.values()):
            if job.run.is_running:
                job.run.cancel()

    @guarded
    def _start(self, *_: object) -> None:
        session, job = self.session, self.job
        if session is None or job is None:
            raise InputError("no pattern file is open: open or locate one in the Scan section")
        settings = load_settings()
        region, centre = self._region(session), self.form.projection_centre
        job.begin()
        job.run.start(
            self._viewer,
            session,
            self.network,
            prior=self.prior,
            region=region,
            device=self.device,
            projection_centre=centre,
            batch_size=settings.batch_size,
            threshold=settings.threshold,
        )
        session.prior = self.prior
        self._show_state()

    def _region(self, session: MapSession) -> Region | None:
        return chosen_shape(self._viewer, session).region if self.form.only_shape else None

    @guarded
    def _cancel(self, *_: object) -> None:
        if self.job is not None:
            self.job.run.cancel()

    @guarded
    def _on_job(self) -> None:
        job = self.job
        if job is not None and job.run.is_running and self.progress.isVisibleTo(self.body):
            self._show_progress(job)  # many times a second: the rest has not changed
        else:
            self._show_state()
        self.ran.emit()

    def _show_state(self, *_: object) -> None:
        session, job = self.session, self.job
        running = job is not None and job.run.is_running
        there = session is not None and session.scan is not None and not session.closed
        left = _left(session)
        same = self._is_same_request(session)
        self.form.setEnabled(not running)
        self.cancel_button.setEnabled(running)
        self.progress.setVisible(running)
        self.start_button.setEnabled(there and not running and not (same and left == 0))
        resume = same and session is not None and 0 < left < session.shape[0] * session.shape[1]
        if not running:
            self.start_button.setText("Res&ume" if resume else "S&tart")
        self.start_button.setToolTip(
            "Classify the patterns that are left"
            if resume
            else "Name every pattern; the map appears coarsely at once and is then refined"
        )
        if running and job is not None:
            self._show_progress(job)
        else:
            self.state.setText(self._standstill(session, job, left, same))

    def _show_progress(self, job: Job) -> None:
        self.progress.setRange(0, job.total)  # 0 to 0 while the network is loaded: it is busy
        self.progress.setValue(job.done)
        if job.total == 0:
            self.state.setText("Getting ready: network, screen, projection centre …")
        else:
            self.state.setText(
                f"{job.done:,} of {job.total:,} patterns{_remaining(job.seconds_left)}"
            )

    def _standstill(
        self, session: MapSession | None, job: Job | None, left: int, same: bool
    ) -> str:
        """What to say while nothing runs."""
        if session is None:
            return ""
        if session.scan is None or session.closed:
            return "The pattern file is not open: locate it in the Scan section."
        if session.phase_map is None:
            count = session.shape[0] * session.shape[1]
            return f"{count:,} pattern{'' if count == 1 else 's'} to classify."
        total = session.phase_map.done.size
        done = total - left
        if not same and done:
            return "Another network or class prior is chosen: Start makes the map anew."
        if left == 0:
            subject = "The pattern is" if total == 1 else f"All {total:,} patterns are"
            return f"{subject} classified."
        verb = {"cancelled": "Cancelled", "failed": "Failed"}.get(job.end or "" if job else "", "")
        text = f"{done:,} of {total:,} patterns are classified; Resume does the others."
        return f"{verb}: {text}" if verb else text

    def _is_same_request(self, session: MapSession | None) -> bool:
        """Whether starting goes on with the map that is there."""
        if session is None:
            return False
        try:
            return would_resume(
                session,
                self.network,
                prior=self.prior,
                projection_centre=self.form.projection_centre,
            )
        except InputError:
            return False  # starting will say what is wrong with the card


def _left(session: MapSession | None) -> int:
    """Number of patterns that are not classified."""
    if session is None or session.phase_map is None:
        return 0
    return int(np.count_nonzero(~session.phase_map.done))


def _remaining(seconds: float) -> str:
    """Time that is left, in words; nothing while it is not known."""
    if not np.isfinite(seconds):
        return ""
    if seconds < 60:
        return f", about {max(1, round(seconds))} s left"
    minutes = seconds / 60
    if minutes < 60:
        return f", about {round(minutes)} min left"
    return f", about {minutes / 60:.1f} h left"
