# SPDX-License-Identifier: GPL-3.0-or-later
"""A classification while the user watches: the map fills in, and may be cancelled at any time."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable
from functools import partial
from pathlib import Path
from queue import Empty
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QCoreApplication, QObject, QTimer, Signal

from .. import __version__
from ..errors import InputError
from ..map_request import Region, region_mask
from ..projection_centre import Told, same_centre
from .cards import read_card
from .idle import Rest
from .layer_maker import LayerMaker, warm_up_labels
from .layers import MAP_ROLES, describe_layers, draw_layers, hide_map, layer_for
from .network_loader import NetworkLoader
from .run_job import Job
from .run_worker import Ended, Prepared, Request, Worker

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from .session import MapSession

# How often results are fetched, in milliseconds, and for how long at a time, in seconds: the rest
# belongs to the user.
_FETCH_EVERY = 20
_FETCH_FOR = 0.015

# Seconds between two drawings, and their share of the time at most.
_DRAW_EVERY = 0.15
_DRAW_SHARE = 0.25

# Seconds between two texts and thumbnails of what is drawn.
_WORDS_EVERY = 1.0


def would_resume(
    session: MapSession,
    network: str | Path | None,
    *,
    prior: str = "known",
    projection_centre: Told = "auto",
) -> bool:
    """Whether starting would go on with what is classified already.

    False where nothing is, and where it was classified with another network, prior or version of
    the program, or from another file: starting then discards it and does everything anew.

    Raises
    ------
    InputError
        If the network has no card, or a damaged one.
    """
    phase_map, scan = session.phase_map, session.scan
    if phase_map is None or scan is None or not phase_map.done.any():
        return False
    card = read_card(str(network or "default"))
    # What a classifier knows of itself takes seconds to load: see `map_request.can_resume`.
    wanted = {
        "source": scan.path.name,
        "network_sha256": card.get("sha256"),
        "prior": prior,
        "version": __version__,
    }
    told = phase_map.provenance
    return (
        phase_map.shape == scan.shape
        and all(told.get(key) == value for key, value in wanted.items())
        and same_centre(
            told, projection_centre, "with_centre" in card and scan.projection_centre is not None
        )
    )


class ClassificationRun(QObject):
    """Classifies the scans of sessions, one after the other, and fills their layers.

    The work is done in a thread; layers are only touched in the thread of the interface. A run
    whose viewer, layers, file or parent goes ends by itself.

    Parameters
    ----------
    parent
        The widget that it belongs to.
    loader
        Where networks come from, to share it with others.

    Attributes
    ----------
    progressed
        Emitted with the number of patterns done and in all, and the seconds left (NaN while they
        are not known).
    finished
        Emitted when nothing runs any more, with ``"done"``, ``"cancelled"`` or ``"failed"``.
    failed
        Emitted with the exception, before `finished`.
    """

    progressed = Signal(int, int, float)
    finished = Signal(str)
    failed = Signal(object)

    def __init__(self, parent: QObject | None = None, loader: NetworkLoader | None = None) -> None:
        super().__init__(parent)
        self._loader = loader or NetworkLoader()
        self._job: Job | None = None
        self._maker: LayerMaker | None = None
        self._rest: Rest | None = None
        # Shared with what is called when this object is no more: the job under way, if any.
        self._jobs: list[Job] = []
        self._last_worker: Worker | None = None
        self._timer = QTimer(self)
        self._timer.setInterval(_FETCH_EVERY)
        self._timer.timeout.connect(self._fetch)
        self.destroyed.connect(partial(_leave_all, self._jobs))
        # Without Qt's help where nobody but Python owned it. At exit there is nothing to tell.
        weakref.finalize(self, _leave_all, self._jobs).atexit = False
        application = QCoreApplication.instance()
        if application is not None:
            application.aboutToQuit.connect(self._on_quit)

    @property
    def is_running(self) -> bool:
        """Whether a classification is under way."""
        return self._job is not None

    def warm_up(self, network: str | Path | None = None, *, device: str = "auto") -> None:
        """Load in the background what the first run would wait for; returns at once.

        That is torch, the network, and what napari compiles for its first Labels layer.
        """
        self._loader.warm_up(network, device, also=warm_up_labels)

    def start(
        self,
        viewer: Viewer,
        session: MapSession,
        network: str | Path | None = None,
        *,
        prior: str = "known",
        region: Region | None = None,
        device: str = "auto",
        batch_size: int | None = None,
        threshold: float | None = None,
        projection_centre: Told = "auto",
    ) -> None:
        """Begin to classify the scan of a session; returns at once.

        Parameters
        ----------
        viewer
            Where the layers are.
        session
            Whose scan is classified. What its phase map holds is kept where it is the same work
            (see :func:`would_resume`), and replaced otherwise, as soon as the network is loaded.
        network
            Name of a bundled network or path of a ``.safetensors`` file; the default one when
            None.
        prior, region, device, batch_size
            As for :func:`~.progressive.classify_progressively`.
        threshold
            Probability that a label needs; as the network's card proposes when None.
        projection_centre
            See :func:`~.centring.centred`.

        Raises
        ------
        InputError
            If the session has no pattern file, a classification is running, or there is no such
            region.
        """
        if self.is_running or session.running:
            raise InputError("a classification is running: cancel it, or wait until it is done")
        if session.scan is None or session.closed:
            raise InputError(
                f"{session.name}: its pattern file is not open; locate it in the Scan section"
            )
        mask = region_mask(session.scan.shape, region)
        request = Request(
            session.scan,
            session.phase_map,
            network,
            prior,
            mask if isinstance(region, np.ndarray) else region,
            device,
            batch_size,
            threshold,
            projection_centre,
        )
        worker = Worker(request, self._loader, self._last_worker)
        self._job = Job(worker, viewer, session, mask)
        self._jobs.append(self._job)
        self._last_worker = worker
        session.region = request.region
        session.running = True
        worker.start()
        self._timer.start()

    def cancel(self) -> None:
        """End the run now; what is classified is kept, and the same start goes on from there.

        The thread ends by itself after the pattern batch in progress, see :meth:`wait`.
        """
        job = self._job
        if job is None:
            return
        job.worker.stop()
        # What waits is done already. An empty map that waits shall not replace what is there.
        if job.prepared and job.is_wanted():
            self._guarded(lambda: self._take_rest(job))
        complete = job.ended is not None and job.ended.error is None
        self._end("done" if complete else "cancelled")

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until the thread of a cancelled or finished run has ended; whether it has."""
        worker = self._last_worker
        if worker is None:
            return True
        worker.join(seconds)
        return not worker.is_alive()

    def _fetch(self) -> None:
        job = self._job
        if job is None:
            # Nobody waits for anything but the last layers.
            self._guarded(self._make_layer_at_rest)
            if self._maker is None:
                self._timer.stop()
        elif job.is_wanted():
            self._guarded(lambda: self._take(job))
        else:
            self._end("cancelled")

    def _guarded(self, work: Callable[[], None]) -> None:
        """Report what goes wrong, whatever it is, in place of running on without an end."""
        try:
            work()
        except Exception as error:
            self._fail(error)

    def _take(self, job: Job) -> None:
        """Take what the worker has found, for a moment, and draw it if it is time to."""
        if job.bare:
            self._make_first_layer(job)
            return
        until = time.perf_counter() + _FETCH_FOR
        while time.perf_counter() < until and self._take_one(job):
            pass
        if self._job is not job:
            return
        now = time.perf_counter()
        # One thing a turn: between two of them the window answers.
        if job.dirty and now >= job.next_drawing:
            self._draw(job)
        elif job.stale and (now >= job.next_words or job.ended is not None):
            self._describe(job)
        elif job.ended is not None and not job.dirty:
            self._finish(job.ended)

    def _make_layer_at_rest(self) -> None:
        if self._rest is None:
            self._rest = Rest()
        if self._rest.has_come():
            self._make_layer()

    def _make_layer(self) -> None:
        if self._maker is not None:
            self._maker.make_one()
            if not self._maker.missing:
                self._maker = self._rest = None

    def _make_first_layer(self, job: Job) -> None:
        viewer, session = job.viewer(), job.session()
        job.bare = False
        if viewer is not None and session is not None:
            # A preview of the quality would leave its colour bar beside the names.
            hide_map(viewer, session)
        self._make_layer()

    def _take_rest(self, job: Job) -> None:
        if job.bare:
            self._make_first_layer(job)
        while self._take_one(job):
            pass
        if self._job is job:
            self._draw(job)
            self._describe(job)

    def _take_one(self, job: Job) -> bool:
        """Take one message of the worker; False if there is none, or it took long."""
        viewer, session = job.viewer(), job.session()
        if viewer is None or session is None:
            return False
        try:
            message = job.worker.messages.get_nowait()
        except Empty:
            return False
        if isinstance(message, Ended):
            job.ended = message
            return False
        if isinstance(message, Prepared):
            job.prepare(session, message)
            self._maker = LayerMaker(viewer, session)
            job.bare = layer_for(viewer, session, MAP_ROLES[-1]) is None
            job.dirty = True  # after a change of the map other layers show the one before
            return False
        session.fill(message)
        job.dirty = True
        seconds_left = job.count(message.size)
        self.progressed.emit(job.done, job.total, seconds_left)
        return self._job is job

    def _finish(self, message: Ended) -> None:
        if message.error is not None:
            self._fail(message.error)
        else:
            self._end("done")

    def _draw(self, job: Job) -> None:
        viewer, session = job.viewer(), job.session()
        if viewer is None or session is None:
            return
        started = time.perf_counter()
        draw_layers(viewer, session)
        ended = time.perf_counter()
        job.dirty, job.stale = False, True
        job.next_drawing = ended + max(_DRAW_EVERY, (ended - started) * (1 / _DRAW_SHARE - 1))

    def _describe(self, job: Job) -> None:
        viewer, session = job.viewer(), job.session()
        if viewer is not None and session is not None:
            describe_layers(viewer, session)
        job.stale, job.next_words = False, time.perf_counter() + _WORDS_EVERY

    def _fail(self, error: Exception) -> None:
        self._maker = None
        self.failed.emit(error)
        self._end("failed")

    def _end(self, how: str) -> None:
        job, self._job = self._job, None
        if job is None:
            return
        if self._maker is None:
            self._timer.stop()
        self._jobs.clear()
        job.leave()
        self.finished.emit(how)

    def _on_quit(self) -> None:
        _leave_all(self._jobs)


def _leave_all(jobs: list[Job], *_: object) -> None:
    """End the work of a run that is no more."""
    while jobs:
        jobs.pop().leave()
