# SPDX-License-Identifier: GPL-3.0-or-later
"""What went wrong, as a napari notification: one sentence and a next step, no traceback."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

from ..errors import InputError

__all__ = ["guarded", "show_error", "show_info"]

_log = logging.getLogger(__name__)


def error_text(error: BaseException) -> str:
    """One line that says what went wrong and what to do."""
    text = " ".join(str(error).split())
    if isinstance(error, InputError):
        return text
    # torch's own class, by its name: torch may not even be imported.
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return "not enough memory: choose a smaller batch size in the plugin's settings"
    kind = type(error).__name__
    return (
        f"failed: {text} ({kind}); please report it"
        if text
        else f"failed: {kind}; please report it"
    )


def show_error(error: BaseException) -> None:
    """Show an error as a notification of napari.

    The traceback of an error that is not the request's fault goes to the log, where who reports
    it finds it.
    """
    # napari's notifications alone, not napari: this module is imported with the reader.
    from napari.utils import notifications

    if isinstance(error, InputError):
        with _in_the_window_alone():
            notifications.show_error(error_text(error))
    else:
        _log.debug("unexpected error", exc_info=error)
        notifications.show_error(error_text(error))


def show_info(text: str) -> None:
    """Show one sentence as a notification of napari."""
    from napari.utils import notifications

    with _in_the_window_alone():
        notifications.show_info(text)


@contextmanager
def _in_the_window_alone() -> Iterator[None]:
    """Keep notifications off the terminal where the user has not asked for them there.

    napari prints all of them: "none", the default of its preference *Console notification level*,
    is its lowest level, not the highest. Whoever chooses another level gets what it stands for.
    """
    from napari.settings import get_settings
    from napari.utils.notifications import (
        NotificationSeverity,
        notification_manager,
        show_console_notification,
    )

    if get_settings().application.console_notification_level == NotificationSeverity.NONE:
        with notification_manager.notification_ready.blocker(show_console_notification):
            yield
    else:
        yield


def guarded(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a slot of Qt show its errors as notifications.

    An `InputError` says what is wrong and what to do; anything else is a failure of ours, and the
    notification asks to report it. The slot then returns None.
    """

    @wraps(function)
    def slot(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except Exception as error:
            show_error(error)
            return None

    return slot
