# SPDX-License-Identifier: GPL-3.0-or-later
"""Progress of heat maps that take long, and their end before they are done."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Cancelled", "Watch"]


class Cancelled(Exception):
    """Nobody wants the heat map any more: half of one means nothing, so there is none."""


class Watch:
    """Tells how far the work is, and ends it where nobody wants it any more.

    Parameters
    ----------
    total
        Steps of the work.
    progress
        Called with the number of steps done and in all.
    cancelled
        Asked before each step whether to end early.
    """

    def __init__(
        self,
        total: int,
        progress: Callable[[int, int], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> None:
        self._done, self._total = 0, total
        self._progress, self._cancelled = progress, cancelled

    def check(self) -> None:
        """End the work if it is not wanted.

        Raises
        ------
        Cancelled
            If so.
        """
        if self._cancelled is not None and self._cancelled():
            raise Cancelled

    def advance(self, steps: int = 1) -> None:
        """Count steps that are done, and go on only if that is wanted.

        Raises
        ------
        Cancelled
            If it is not.
        """
        self._done += steps
        if self._progress is not None:
            self._progress(self._done, self._total)
        if self._done < self._total:
            self.check()
