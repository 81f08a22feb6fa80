# SPDX-License-Identifier: GPL-3.0-or-later
"""A thread that answers the newest question, and forgets those it was too slow for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock
from typing import Any

from qtpy.QtCore import QObject, Signal


@dataclass(frozen=True, eq=False)
class Failure:
    """A question that could not be answered, and why."""

    question: Any
    error: Exception


class LatestWins(QObject):
    """Answers questions in a thread, the newest ones only.

    Parameters
    ----------
    answer
        A generator function, called in the thread with one question: each object it yields is
        emitted, to be received in the thread of the interface. It is not asked to go on once
        newer questions wait. It must touch no widget, layer or viewer.
    name
        Of the thread.
    """

    #: What `answer` yields, or a `Failure`.
    answered = Signal(object)

    def __init__(self, answer: Callable[[Any], Iterator[Any]], name: str) -> None:
        super().__init__()
        self._answer = answer
        self._lock = Lock()
        self._waiting: list[Any] = []
        self._round = 0
        self._busy = False
        # Its thread ends once nobody holds this object, and Python waits for it at exit.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)

    @property
    def busy(self) -> bool:
        """Whether a question is being answered or waits."""
        with self._lock:
            return self._busy

    def ask(self, *questions: Any) -> None:
        """Ask these, first to last, in place of all before."""
        with self._lock:
            self._round += 1
            self._waiting = list(questions)
            if self._busy or not questions:
                return
            self._busy = True
        self._thread.submit(self._run)

    def forget(self, *_: object) -> None:
        """Drop all questions; what is being answered goes nowhere."""
        self.ask()

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._busy = False
                    return
                question, now = self._waiting.pop(0), self._round
            self._work(question, now)
            # Data sets are not to outlive their layers until the next question comes.
            del question

    def _work(self, question: Any, now: int) -> None:
        try:
            for answer in self._answer(question):
                if not self._is_newest(now):
                    return
                self.answered.emit(answer)
        except Exception as error:  # handed to the interface, whatever it is
            if self._is_newest(now):
                self.answered.emit(Failure(question, error))

    def _is_newest(self, number: int) -> bool:
        with self._lock:
            return number == self._round
