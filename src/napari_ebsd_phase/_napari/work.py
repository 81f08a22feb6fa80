# SPDX-License-Identifier: GPL-3.0-or-later
"""One piece of work at a time, with the bar and the button that belong to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QProgressBar, QPushButton

from .background import Background, Cancelled, Progress
from .notify import guarded, show_error


class Work(QObject):
    """Runs functions in the background, one at a time, and shows how far the one is.

    Its owner lays out :attr:`bar` and :attr:`cancel_button`, which can be seen only while something
    runs. Errors are told as notifications.

    Parameters
    ----------
    parent
        The owner.
    tip
        What the button does, in the words of the owner.
    """

    #: Something has begun or ended, or was given up.
    changed = Signal()
    #: An error, after it was told.
    failed = Signal(object)
    #: Something has ended by itself or was cancelled; after ``changed``.
    ended = Signal()

    def __init__(self, parent: QObject, tip: str) -> None:
        super().__init__(parent)
        self._background: Background | None = None
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.cancel_button = QPushButton("Cancel")
        self.cancel_button.setToolTip(tip)
        self.cancel_button.clicked.connect(self._cancel)
        self._show()

    @property
    def busy(self) -> bool:
        """Whether something runs."""
        return self._background is not None

    def start(
        self,
        work: Callable[[Progress, Cancelled], Any],
        returned: Callable[[Any], None],
    ) -> None:
        """Begin; the caller has seen to it that nothing runs.

        Parameters
        ----------
        work
            Called as ``work(progress, cancelled)`` in a thread; it must touch no widget.
        returned
            A method of a widget, called with what `work` returns.
        """
        background = Background(work)
        background.progressed.connect(self._on_progress)
        background.returned.connect(returned)
        background.failed.connect(self._on_failed)
        background.ended.connect(self._on_ended)
        self._background = background
        self.bar.setRange(0, 0)
        self._show()
        self.changed.emit()
        background.start()

    def stop(self) -> None:
        """Give up what runs, silently."""
        if self._background is not None:
            self._background.abandon()
            self._background = None
            self._show()
            self.changed.emit()

    def _show(self) -> None:
        self.bar.setVisible(self.busy)
        self.cancel_button.setVisible(self.busy)

    @guarded
    def _cancel(self, *_: object) -> None:
        if self._background is not None:
            self._background.cancel()

    @guarded
    def _on_progress(self, done: int, total: int) -> None:
        self.bar.setRange(0, total)
        self.bar.setValue(done)

    @guarded
    def _on_failed(self, error: Exception) -> None:
        show_error(error)
        self.failed.emit(error)

    @guarded
    def _on_ended(self) -> None:
        self._background = None
        self._show()
        self.changed.emit()
        self.ended.emit()
