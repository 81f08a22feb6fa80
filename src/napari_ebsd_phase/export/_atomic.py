# SPDX-License-Identifier: GPL-3.0-or-later
"""Write a file completely or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import InputError


def check_target(path: str | Path, *, overwrite: bool = False) -> Path:
    """Return `path` if a file can be written there; nothing is left behind by trying.

    Worth calling before hours of work, too.

    Raises
    ------
    InputError
        If the file exists and `overwrite` is False, `path` is a folder, or its folder is missing
        or not writable.
    """
    path = Path(path)
    try:
        is_folder = path.is_dir()
    except OSError as error:  # a name that is too long, or a folder that may not be looked into
        raise InputError(_explain(path, error)) from error
    if is_folder:
        raise InputError(f"'{path}' is a folder: give the name of a file in it")
    if os.path.lexists(path) and not overwrite:
        raise InputError(
            f"'{path}' exists already: choose another name, or use --overwrite to replace it"
        )
    if not path.parent.is_dir():
        raise InputError(f"there is no folder '{path.parent}': create it, or choose another")
    # Permission bits do not tell (root, network drives, read-only mounts): only trying does.
    _create_beside(path).unlink()
    return path


@contextmanager
def replacing(path: str | Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Give the name of a new, empty file beside `path` that takes its place at the end.

    If the body fails, that file is removed and `path` is as it was. The temporary name keeps the
    suffix, since libraries choose the format by it.

    Raises
    ------
    InputError
        As in :func:`check_target`, or if the system refuses to write (a full disk, say).
    """
    path = check_target(path, overwrite=overwrite)
    temporary = _create_beside(path)
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException as error:  # an interrupted run leaves nothing behind either
        with suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError):
            raise InputError(_explain(path, error)) from error
        raise


def _create_beside(path: Path) -> Path:
    # Not `tempfile`: its files are readable by their owner alone, and stay so after the move.
    temporary = path.with_name(f".{secrets.token_hex(8)}{path.suffix}")
    try:
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except OSError as error:
        raise InputError(_explain(path, error)) from error
    return temporary


def _explain(path: Path, error: OSError) -> str:
    # Libraries wrap the system's words in long messages of their own: keep the first line.
    reason = (error.strerror or str(error)).partition("\n")[0]
    return f"cannot write '{path}' ({reason}): choose another folder, or make room or rights there"
