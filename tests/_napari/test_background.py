# SPDX-License-Identifier: GPL-3.0-or-later
"""Work in a thread: results come back where the widgets live, and never to one that is gone."""

from __future__ import annotations

import threading

from qtpy.QtCore import QObject

from napari_ebsd_phase._napari.background import Background


class Listener(QObject):
    """Notes what it hears, and in which thread."""

    def __init__(self, work: Background) -> None:
        super().__init__()
        self.heard: list[tuple[str, object]] = []
        self.threads: set[str] = set()
        work.progressed.connect(self.on_progress)
        work.returned.connect(self.on_returned)
        work.failed.connect(self.on_failed)
        work.ended.connect(self.on_ended)

    def note(self, what: str, value: object) -> None:
        self.heard.append((what, value))
        self.threads.add(threading.current_thread().name)

    def on_progress(self, done: int, total: int) -> None:
        self.note("progressed", (done, total))

    def on_returned(self, value: object) -> None:
        self.note("returned", value)

    def on_failed(self, error: object) -> None:
        self.note("failed", error)

    def on_ended(self) -> None:
        self.note("ended", None)


def test_a_result_is_delivered_in_the_thread_of_the_interface(qtbot):
    seen = []

    def work(progress, cancelled):
        seen.append(threading.current_thread().name)
        progress(1, 2)
        return "answer"

    job = Background(work)
    listener = Listener(job)
    job.start()
    qtbot.waitUntil(lambda: ("ended", None) in listener.heard)

    assert listener.heard == [("progressed", (1, 2)), ("returned", "answer"), ("ended", None)]
    assert listener.threads == {threading.main_thread().name}
    assert seen != [threading.main_thread().name]


def test_an_error_is_handed_on(qtbot):
    def work(progress, cancelled):
        raise OSError("no such thing")

    job = Background(work)
    listener = Listener(job)
    job.start()
    qtbot.waitUntil(lambda: ("ended", None) in listener.heard)

    assert [what for what, _ in listener.heard] == ["failed", "ended"]
    assert isinstance(listener.heard[0][1], OSError)


def test_work_that_is_cancelled_may_still_answer(qtbot):
    begun = threading.Event()

    def work(progress, cancelled):
        begun.set()
        while not cancelled():
            pass
        return "as far as it came"

    job = Background(work)
    listener = Listener(job)
    job.start()
    assert begun.wait(30)
    job.cancel()
    qtbot.waitUntil(lambda: ("ended", None) in listener.heard)

    assert ("returned", "as far as it came") in listener.heard


def test_nothing_is_heard_of_work_that_is_abandoned(qtbot):
    ended = threading.Event()

    def work(progress, cancelled):
        while not cancelled():
            pass
        progress(1, 1)
        ended.set()
        return "too late"

    job = Background(work)
    listener = Listener(job)
    job.start()
    job.abandon()
    assert ended.wait(30)
    job._thread.join(30)
    qtbot.waitUntil(lambda: not job._thread.is_alive())

    assert listener.heard == []
