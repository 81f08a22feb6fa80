# SPDX-License-Identifier: GPL-3.0-or-later
"""A bar and a button to cancel are there while something runs, and only then."""

from __future__ import annotations

import threading

import pytest
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_ebsd_phase import InputError
from napari_ebsd_phase._napari.background import Background
from napari_ebsd_phase._napari.work import Work

from ._clicks import click, texts


class Owner(QWidget):
    """Lays out what belongs to its work, and notes what it hears."""

    def __init__(self) -> None:
        super().__init__()
        self.work = Work(self, "Stop counting")
        self.heard: list[object] = []
        box = QVBoxLayout(self)
        box.addWidget(self.work.bar)
        box.addWidget(self.work.cancel_button)
        self.work.changed.connect(self.on_changed)
        self.work.failed.connect(self.on_failed)
        self.work.ended.connect(self.on_ended)

    def on_changed(self) -> None:
        self.heard.append("busy" if self.work.busy else "idle")

    def on_returned(self, value: object) -> None:
        self.heard.append(value)

    def on_failed(self, error: object) -> None:
        self.heard.append(str(error))

    def on_ended(self) -> None:
        self.heard.append("ended")


@pytest.fixture
def owner(qtbot):
    owner = Owner()
    qtbot.addWidget(owner)
    owner.show()
    return owner


def shown(owner) -> bool:
    bar, button = owner.work.bar.isVisible(), owner.work.cancel_button.isVisible()
    assert bar == button
    return bar


def until_cancelled(progress, cancelled):
    progress(2, 7)
    while not cancelled():
        pass
    return "as far as it came"


def test_work_can_be_seen_and_cancelled(owner, qtbot):
    assert not shown(owner)
    owner.work.start(until_cancelled, owner.on_returned)
    assert shown(owner)
    qtbot.waitUntil(lambda: owner.work.bar.value() == 2)
    assert owner.work.bar.maximum() == 7

    click(owner.work.cancel_button)

    qtbot.waitUntil(lambda: not owner.work.busy)
    assert owner.heard == ["busy", "as far as it came", "idle", "ended"]
    assert not shown(owner)


def test_an_error_is_told_once(owner, qtbot, notices):
    def work(progress, cancelled):
        raise InputError("no such map: open one")

    owner.work.start(work, owner.on_returned)

    qtbot.waitUntil(lambda: not owner.work.busy)
    assert owner.heard == ["busy", "no such map: open one", "idle", "ended"]
    assert texts(notices) == ["no such map: open one"]


def test_what_is_given_up_is_silent_and_makes_room(owner, qtbot):
    owner.work.start(until_cancelled, owner.on_returned)
    owner.work.stop()
    assert not shown(owner)
    assert owner.heard == ["busy", "idle"]

    owner.work.start(lambda progress, cancelled: "the next", owner.on_returned)

    qtbot.waitUntil(lambda: not owner.work.busy)
    assert owner.heard[2:] == ["busy", "the next", "idle", "ended"]


def test_it_is_taken_down_in_the_thread_of_the_interface(qapp, qtbot):
    """What connects a thread to widgets must not be destroyed in that thread."""
    go_on, threads = threading.Event(), []

    def work(progress, cancelled):
        assert go_on.wait(30)

    background = Background(work)
    background.destroyed.connect(lambda: threads.append(threading.current_thread()))
    thread = background._thread
    background.start()
    background.abandon()
    del background  # the thread is the last to hold it
    go_on.set()
    thread.join(30)

    qtbot.waitUntil(lambda: bool(threads))
    assert threads == [threading.main_thread()]
