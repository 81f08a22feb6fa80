# SPDX-License-Identifier: GPL-3.0-or-later
"""A classification under way: for whom it is, and how far it has come."""

from __future__ import annotations

import gc
import math
import time
import weakref
from collections import deque
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .run_worker import Ended, Prepared, Worker

if TYPE_CHECKING:
    from napari.viewer import Viewer

    from .session import MapSession

# The time left is told from the pace of the last so many seconds.
_PACE_SECONDS = 15.0
_PACE_LEAST = 1.0


class Job:
    """A run under way: its worker, and what it is for, which it does not keep alive."""

    def __init__(
        self, worker: Worker, viewer: Viewer, session: MapSession, mask: NDArray[np.bool_]
    ) -> None:
        self.worker = worker
        # A widget may get the viewer behind a proxy, which nobody keeps alive.
        self.viewer = weakref.ref(getattr(viewer, "__wrapped__", viewer))
        self.session = weakref.ref(session)
        self.scan = session.scan
        self.phase_map = session.phase_map
        self.prepared = False
        self.done, self.total = 0, int(np.count_nonzero(mask))
        self.ended: Ended | None = None
        self.bare = False  # whether there is no layer yet to draw in
        self.dirty = False  # whether there is something to draw
        self.stale = False  # whether there is something to say of what is drawn
        self.next_drawing = self.next_words = 0.0
        self._mask = mask
        self._pace: deque[tuple[float, int]] = deque()
        session.changed.connect(self._on_changed)
        # Python looks for garbage among all objects now and then. With torch and napari these are a
        # million, and no window answers for up to a second. Of those that are there already there
        # is nothing to be found before the run ends.
        gc.freeze()

    def is_wanted(self) -> bool:
        """Whether there still is what it is for."""
        session = self.session()
        return (
            self.viewer() is not None
            and session is not None
            and not session.closed
            and session.scan is self.scan
            and session.phase_map is self.phase_map
        )

    def prepare(self, session: MapSession, prepared: Prepared) -> None:
        """Give the session the map that is going to be filled."""
        self.phase_map = prepared.phase_map
        if not prepared.resumed:
            session.set_map(prepared.phase_map)
        self.prepared = True
        self.done = int(np.count_nonzero(prepared.phase_map.done & self._mask))
        self._pace.append((time.perf_counter(), self.done))

    def count(self, patterns: int) -> float:
        """Count classified patterns; return the seconds that the others will take, or NaN."""
        now = time.perf_counter()
        self.done += patterns
        self._pace.append((now, self.done))
        while now - self._pace[0][0] > _PACE_SECONDS:
            self._pace.popleft()
        elapsed, passed = now - self._pace[0][0], self.done - self._pace[0][1]
        left = self.total - self.done
        if left and (elapsed < _PACE_LEAST or not passed):
            return math.nan
        return left * elapsed / max(passed, 1)

    def leave(self) -> None:
        """Let the worker end by itself, and the session be free."""
        self.worker.stop()
        gc.unfreeze()
        session = self.session()
        if session is not None:
            session.changed.disconnect(self._on_changed, missing_ok=True)
            session.running = False

    def _on_changed(self, what: str) -> None:
        if what == "closed":
            self.worker.stop()
