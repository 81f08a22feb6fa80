# SPDX-License-Identifier: GPL-3.0-or-later
"""Work in a thread, with its results delivered in the thread of the interface."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Thread
from typing import Any

from qtpy.QtCore import QCoreApplication, QObject, Signal

#: Called by the work with the number of things done and in all.
Progress = Callable[[int, int], None]
#: Asked by the work whether it should end early.
Cancelled = Callable[[], bool]


class Background(QObject):
    """One function that runs in a thread of its own, once.

    Connect bound methods of widgets: Qt then calls them in the interface's thread, and drops the
    call where the widget is gone. Nobody has to wait for the thread: what it returns after
    :meth:`abandon` goes nowhere.

    Parameters
    ----------
    work
        Called as ``work(progress, cancelled)``. It must touch no widget, layer or viewer.
    """

    progressed = Signal(int, int)  # done, total
    returned = Signal(object)
    failed = Signal(object)  # an Exception
    ended = Signal()  # after one of the two above, or alone when it was cancelled

    def __init__(self, work: Callable[[Progress, Cancelled], Any]) -> None:
        # Of the application and not of the last one to hold it: that may be the thread, and what
        # connects signals to widgets must not be taken down there.
        super().__init__(QCoreApplication.instance())
        self._work = work
        self._cancelled = Event()
        self._abandoned = Event()
        # Not a daemon: Python waits for it at the end, which `cancel` makes short, in place of
        # pulling modules away from under a running network.
        self._thread = Thread(target=self._run, name="ebsd-phase")

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def cancel(self) -> None:
        """Ask the work to end; ``ended`` follows, ``returned`` if it returns something."""
        self._cancelled.set()

    def abandon(self) -> None:
        """Ask the work to end and be silent from now on: whoever asked has gone."""
        self._abandoned.set()
        self._cancelled.set()

    def _progress(self, done: int, total: int) -> None:
        if not self._abandoned.is_set():
            self.progressed.emit(done, total)

    def _run(self) -> None:
        try:
            result = self._work(self._progress, self._cancelled.is_set)
        except Exception as error:  # handed to the interface, whatever it is
            self._say(self.failed, error)
        else:
            self._say(self.returned, result)
        self._say(self.ended)
        self.deleteLater()

    def _say(self, signal: Any, *values: Any) -> None:
        if not self._abandoned.is_set():
            signal.emit(*values)
