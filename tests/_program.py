# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the command line as a user does."""

from __future__ import annotations

import csv
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from napari_ebsd_phase.samples import sample_path

NICKEL, SILICON, DUPLEX = (str(sample_path(name)) for name in ("nickel", "silicon", "two_phase"))
PROGRAM = (sys.executable, "-m", "napari_ebsd_phase.cli")


def _listen() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start(*arguments: str | Path, **options: object) -> subprocess.Popen[str]:
    """Start the program as a user does, in a process of its own.

    With Ctrl-C at work: a shell that runs the tests in the background has switched it off.
    """
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(
        [*PROGRAM, *map(str, arguments)], text=True, preexec_fn=_listen, **(pipes | options)
    )


def wait_until(process: subprocess.Popen[str], condition: Callable[[], bool]) -> None:
    """Wait for a condition while a process is working; it must not end before."""
    while not condition():
        try:
            code = process.wait(timeout=0.02)
        except subprocess.TimeoutExpired:
            continue
        pytest.fail(f"ended too early with code {code}: {process.stderr.read()}")


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def is_one_error_line(text: str) -> bool:
    return text.startswith("error: ") and text.count("\n") == 1 and text.endswith("\n")


def contents(folder: Path) -> dict[Path, bytes | None]:
    """Everything below a folder."""
    return {p: p.read_bytes() if p.is_file() else None for p in folder.rglob("*")}
