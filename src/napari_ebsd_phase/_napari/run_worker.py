# SPDX-License-Identifier: GPL-3.0-or-later
"""The thread of a classification. It knows no Qt, no layers and no viewer.

What it finds waits in a queue until the interface takes it: nothing is delivered to a window that
is gone, and a network that is faster than the drawing does not fill the memory.
"""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from queue import Full, Queue
from threading import Event, Thread, main_thread
from typing import TYPE_CHECKING

from ..errors import InputError
from ..map_request import Region, add_file_hash, can_resume, prepare_map, widen_region
from ..projection_centre import Told

if TYPE_CHECKING:
    from ..classifier import Classifier
    from ..mapping import TileResult
    from ..phase_map import PhaseMap
    from ..progressive import SampleResult
    from ..scan import Scan
    from .network_loader import NetworkLoader

# Results that may wait for the interface.
_WAITING = 16

# Seconds that the hash of the pattern file may take at the end; what is larger waits for the
# export.
_HASH_TIME = 1.0


@dataclass(frozen=True, eq=False)
class Request:
    """What is to be classified, and how.

    Attributes
    ----------
    scan
        Open scan.
    phase_map
        What is there of it already.
    network
        Name or path; None for the default one.
    prior, region, device, batch_size
        As for :func:`~.progressive.classify_progressively`.
    threshold
        Probability that a label needs; as the card proposes when None.
    projection_centre
        See :func:`~.centring.centred`.
    """

    scan: Scan
    phase_map: PhaseMap | None
    network: str | Path | None
    prior: str
    region: Region | None
    device: str
    batch_size: int | None
    threshold: float | None
    projection_centre: Told = "auto"


@dataclass(frozen=True, eq=False)
class Prepared:
    """The map that results go into; `resumed` if it is the one of the request."""

    phase_map: PhaseMap
    resumed: bool


@dataclass(frozen=True, eq=False)
class Ended:
    """The last message: all is done, or this went wrong."""

    error: Exception | None = None


class _Stopped(Exception):
    """Nobody waits any more for what was under way."""


class Worker(Thread):
    """Classifies one request and puts what comes of it into `messages`.

    Parameters
    ----------
    request
        What to do.
    loader
        Where the network comes from.
    previous
        A worker on the same file that was told to stop; this one waits until it has.
    """

    def __init__(
        self, request: Request, loader: NetworkLoader, previous: Worker | None = None
    ) -> None:
        # Not a daemon: at its end Python waits for the result in progress, in place of pulling
        # modules away from under a running network.
        super().__init__(name="ebsd-phase-classify")
        self.messages: Queue[Prepared | SampleResult | TileResult | Ended] = Queue(_WAITING)
        self._request: Request | None = request
        self._loader = loader
        self._previous = previous
        self._asked_to_stop = Event()

    def stop(self) -> None:
        """Ask for an end after the result in progress; returns at once.

        From now on there are no messages.
        """
        self._asked_to_stop.set()

    @property
    def stopped(self) -> bool:
        """Whether nobody waits for results any more."""
        # Without a main thread there is no interface either: the program is ending.
        return self._asked_to_stop.is_set() or not main_thread().is_alive()

    def run(self) -> None:
        """Do the work; called by the thread."""
        request, self._request = self._request, None  # a worker that has ended holds no file
        if self._previous is not None:
            self._previous.join()
            self._previous = None
        if request is None:
            return
        try:
            self._classify(request)
        except _Stopped:
            return
        except Exception as error:  # handed to the interface, whatever it is
            self._say(Ended(error))
        else:
            self._say(Ended())

    def _classify(self, request: Request) -> None:
        classifier = self._loader.load(request.network, request.device)
        from ..centring import centred, will_be_estimated
        from ..progressive import classify_progressively

        if self.stopped:
            return
        scan, where, phase_map = request.scan, request.projection_centre, request.phase_map
        classifier.prior(request.prior)  # a wrong one shall not cost the map that is there
        earlier = None if phase_map is None else phase_map.provenance
        glanced = will_be_estimated(scan, classifier, where, earlier=earlier)
        if glanced:
            phase_map = self._glance(request, classifier)
        classifier = centred(
            scan, classifier, where, progress=self._go_on_unless_stopped, earlier=earlier
        )
        resumed = phase_map is not None and can_resume(phase_map, scan, classifier, request.prior)
        if resumed and phase_map is not None:
            widen_region(phase_map, request.region)
        else:
            phase_map = _empty_map(request, classifier)
        results = classify_progressively(
            scan,
            classifier,
            phase_map=phase_map,
            region=request.region,
            prior=request.prior,
            batch_size=request.batch_size,
        )
        with closing(results):
            # A coarse map that is on the screen stays there until there is another one.
            first = next(results, None) if glanced else None
            self._say(Prepared(phase_map, resumed))
            for result in results if first is None else chain([first], results):
                if not self._say(result):
                    return
        self._add_hash(phase_map, scan)

    def _glance(self, request: Request, classifier: Classifier) -> PhaseMap:
        """Show a coarse map before the projection centre is known, which takes seconds."""
        from ..progressive import glance_at

        phase_map = _empty_map(request, classifier)
        results = glance_at(
            request.scan,
            classifier,
            phase_map=phase_map,
            region=request.region,
            prior=request.prior,
            batch_size=request.batch_size,
        )
        self._say(Prepared(phase_map, resumed=False))
        with closing(results):
            for result in results:
                if not self._say(result):
                    raise _Stopped
        return phase_map

    def _go_on_unless_stopped(self, *_: int) -> None:
        if self.stopped:
            raise _Stopped

    def _add_hash(self, phase_map: PhaseMap, scan: Scan) -> None:
        end = time.perf_counter() + _HASH_TIME
        try:
            add_file_hash(phase_map, scan, lambda: self.stopped or time.perf_counter() > end)
        except InputError:
            # The map is complete. Its provenance has no hash then, and says so.
            return

    def _say(self, message: Prepared | SampleResult | TileResult | Ended) -> bool:
        """Wait until there is room for a message; False if nobody wants it any more."""
        while not self.stopped:
            try:
                self.messages.put(message, timeout=0.1)
            except Full:
                continue
            return True
        return False


def _empty_map(request: Request, classifier: Classifier) -> PhaseMap:
    return prepare_map(
        request.scan,
        classifier,
        region=request.region,
        prior=request.prior,
        threshold=request.threshold,
        batch_size=request.batch_size,
    )
