# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors reach the user as one sentence, and never as a traceback."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from napari.settings import get_settings
from napari.utils.notifications import notification_manager, show_console_notification
from qtpy.QtWidgets import QPushButton

from napari_ebsd_phase import InputError
from napari_ebsd_phase._napari.notify import guarded, show_error, show_info


def last(notices) -> tuple[str, str]:
    return notices[-1].severity.value, notices[-1].message


def test_wrong_input_is_shown_as_it_is_said(notices):
    show_error(InputError("map.up1: is cut short;\n copy it again"))

    assert last(notices) == ("error", "map.up1: is cut short; copy it again")


def test_a_failure_of_ours_asks_to_be_reported(notices):
    show_error(KeyError("detector"))

    assert last(notices) == ("error", "failed: 'detector' (KeyError); please report it")


def test_an_error_without_words_has_its_kind(notices):
    show_error(RuntimeError())

    assert last(notices) == ("error", "failed: RuntimeError; please report it")


def test_too_little_memory_says_what_to_do(notices):
    show_error(MemoryError())

    assert last(notices)[1].startswith("not enough memory: choose a smaller batch size")


def test_information_is_shown_as_such(notices):
    show_info("The map is complete.")

    assert last(notices) == ("info", "The map is complete.")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (InputError("the region is empty: mark at least one pattern"), "the region is empty: mark"),
        (ZeroDivisionError("division by zero"), "failed: division by zero (ZeroDivisionError)"),
    ],
)
def test_a_slot_of_qt_shows_its_error_and_returns(qtbot, notices, error, text):
    button = QPushButton()
    qtbot.addWidget(button)

    @guarded
    def slot(*_: object) -> None:
        raise error

    button.clicked.connect(slot)
    button.click()

    assert last(notices)[1].startswith(text)


def test_a_guarded_function_keeps_its_name_arguments_and_result():
    @guarded
    def add(first: int, second: int = 2) -> int:
        """Add."""
        return first + second

    assert (add(1), add(1, second=5)) == (3, 6)
    assert (add.__name__, add.__doc__) == ("add", "Add.")


@pytest.fixture
def console_as_in_napari() -> Iterator[None]:
    """Notifications are printed as napari prints them, unless it does so already."""
    ready = notification_manager.notification_ready
    printing = show_console_notification in ready.callbacks
    if not printing:
        ready.connect(show_console_notification)
    level = get_settings().application.console_notification_level
    yield
    get_settings().application.console_notification_level = level
    if not printing:
        ready.disconnect(show_console_notification)


def test_what_the_window_shows_is_not_on_the_terminal(console_as_in_napari, notices, capsys):
    show_info("Figure saved as map.png")
    show_error(InputError("the region is empty: mark at least one pattern"))

    assert len(notices) == 2
    assert capsys.readouterr() == ("", "")


def test_a_failure_of_ours_is_on_the_terminal_too(console_as_in_napari, notices, capsys):
    show_error(ZeroDivisionError("division by zero"))

    assert "please report it" in capsys.readouterr().out


def test_who_asks_napari_for_lines_on_the_terminal_gets_them(console_as_in_napari, capsys):
    get_settings().application.console_notification_level = "info"

    show_info("Figure saved as map.png")

    assert "Figure saved as map.png" in capsys.readouterr().out
