# SPDX-License-Identifier: GPL-3.0-or-later
"""Finished tiles of an unfinished run, so that it can be taken up again.

The file only grows: a line that says which run it is of, then one record a tile with a checksum.
Whenever the program is killed, what is there up to the last whole record is good, and the rest is
cut off at the next start. (An HDF5 file that is killed while it is written may be lost whole.)

A run holds a lock on its file: the system lets go of it when the program ends, however it ends.
"""

from __future__ import annotations

import json
import os
import struct
import sys
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..errors import InputError
from ..mapping import TileResult

__all__ = ["PartialResult", "check_not_running", "partial_path"]

_FORMAT = "napari-ebsd-phase unfinished run 1"
_HEAD = struct.Struct("<4s5I")  # mark, number of the source, first and last-plus-one row and column
_MARK = b"TILE"
_CHECK = struct.Struct("<I")
_CLASSES = (32, 14, 1)
_LOCKED_BYTE = 2**62  # far behind the end: Windows lets nobody else read what is locked


def partial_path(output: Path) -> Path:
    """The file beside the first output that holds the tiles of an unfinished run."""
    return output.with_name(output.name + ".partial")


class PartialResult:
    """Open file of finished tiles.

    Parameters
    ----------
    path
        See :func:`partial_path`.
    run
        What decides the result: hashes and settings, as JSON holds them. Only the same run may go
        on.
    outputs
        Files that the run is going to write, as seen from the folder of `path`.
    """

    def __init__(self, path: Path, run: Any, outputs: list[str]) -> None:
        self._path = path
        self._start = json.dumps({"format": _FORMAT, "run": run, "outputs": outputs}).encode()
        self._run = json.loads(self._start)["run"]
        self._file: BinaryIO | None = None
        self.tiles = 0

    @staticmethod
    def promised_outputs(path: Path) -> list[str]:
        """Outputs of the unfinished run, as seen from its folder; none if there is none.

        Raises
        ------
        InputError
            If the run is not unfinished but going on, or the file is something else.
        """
        check_not_running(path)
        found = _read_start(path)
        return [] if found is None else [str(name) for name in found["outputs"]]

    @staticmethod
    def settings(path: Path) -> list[dict[str, Any]]:
        """What the unfinished run says of each of its sources; nothing if there is none.

        Nothing either if the file is something else: that is found out where it is taken up.
        """
        with suppress(InputError):
            found = _read_start(path)
            run = None if found is None else found.get("run")
            return [told for told in run if isinstance(told, dict)] if isinstance(run, list) else []
        return []

    def start(self) -> None:
        """Begin a new file in place of an old one."""
        self._forget_handle()
        self._file = _open_alone(self._path, create=True)
        try:
            self._file.truncate()
            self._file.write(self._start + b"\n")
            self._file.flush()
        except OSError as error:
            raise _cannot_write(self._path, error) from error

    def resume(self) -> Iterator[tuple[int, TileResult]]:
        """Yield (number of the source, tile) for what is done; afterwards the file is open.

        Without a file, or with one that was killed before its first line was whole, a new one is
        begun.

        Raises
        ------
        InputError
            If the file is of another run.
        """
        found = _read_start(self._path)
        if found is None:
            self.start()
            return
        if found["run"] != self._run:
            raise InputError(
                f"'{self._path}' is of another run (other data, network or settings): use "
                "--overwrite to start again"
            )
        self._file = _open_alone(self._path, create=False)
        self._file.readline()
        good = self._file.tell()
        while (record := _read_record(self._file)) is not None:
            good = self._file.tell()
            self.tiles += 1
            yield record
        self._file.seek(good)
        self._file.truncate()

    def append(self, source: int, tile: TileResult) -> None:
        """Add one finished tile."""
        assert self._file is not None, "start or resume first"
        head = _HEAD.pack(
            _MARK, source, tile.rows.start, tile.rows.stop, tile.cols.start, tile.cols.stop
        )
        arrays = (tile.point_group_probabilities, tile.bravais_probabilities, tile.quality)
        record = head + b"".join(np.ascontiguousarray(a, "<f4").tobytes() for a in arrays)
        try:
            self._file.write(record + _CHECK.pack(zlib.crc32(record)))
            self._file.flush()
        except OSError as error:
            raise _cannot_write(self._path, error) from error
        self.tiles += 1

    def close(self) -> None:
        """Close the file; without a single tile in it, remove it, too."""
        if self._file is None:
            return
        if self.tiles == 0:
            self.remove()
        self._forget_handle()

    def remove(self) -> None:
        """Remove the file: the run is finished."""
        if sys.platform == "win32":  # which removes no open file
            self._forget_handle()
        self._path.unlink(missing_ok=True)
        self._forget_handle()

    def _forget_handle(self) -> None:
        if self._file is not None:
            # What could not be written fails here once more, and has been told before.
            with suppress(OSError):
                self._file.close()
            self._file = None


def check_not_running(path: Path) -> None:
    """See that no other run is writing an unfinished result at this moment.

    Raises
    ------
    InputError
        If one is.
    """
    if os.path.isfile(path):  # a name that is too long is none either
        _open_alone(path, create=False).close()


def _open_alone(path: Path, *, create: bool) -> BinaryIO:
    """Open a file to read and write that no other run has open; it stays so until it is closed."""
    flags = os.O_RDWR | (os.O_CREAT if create else 0) | getattr(os, "O_BINARY", 0)
    while True:
        try:
            file = os.fdopen(os.open(path, flags, 0o666), "r+b")
        except OSError as error:
            raise _cannot_write(path, error) from error
        if not _locked(file):
            file.close()
            raise InputError(
                f"another run is writing '{path}' at this moment: wait until it is done, or choose "
                "another output"
            )
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        file.close()  # the other run has just removed it
        if not create:
            raise InputError(f"'{path}' has just been finished by another run: look at its outputs")


def _locked(file: BinaryIO) -> bool:
    """Whether a file is ours alone from now on; also true where there are no locks."""
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(_LOCKED_BYTE)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            file.seek(0)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:  # some network drives know no locks
        return not isinstance(error, BlockingIOError | PermissionError)
    return True


def _read_start(path: Path) -> dict[str, Any] | None:
    """First line of a file; None if there is no file or the line is not whole."""
    try:
        with path.open("rb") as file:
            line = file.readline()
        if not line.endswith(b"\n"):
            return None
        start = json.loads(line)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise _foreign(path) from error
    if not isinstance(start, dict) or start.get("format") != _FORMAT:
        raise _foreign(path)
    return start


def _read_record(file: BinaryIO) -> tuple[int, TileResult] | None:
    """Next record; None where the file ends or the record is not whole."""
    head = file.read(_HEAD.size)
    if len(head) < _HEAD.size:
        return None
    mark, source, row, row_stop, col, col_stop = _HEAD.unpack(head)
    if mark != _MARK or row_stop <= row or col_stop <= col:
        return None
    shape = (row_stop - row, col_stop - col)
    length = 4 * shape[0] * shape[1] * sum(_CLASSES)
    data, check = file.read(length), file.read(_CHECK.size)
    if len(check) < _CHECK.size or _CHECK.unpack(check)[0] != zlib.crc32(data, zlib.crc32(head)):
        return None
    values = np.frombuffer(data, "<f4")
    cuts = np.cumsum([shape[0] * shape[1] * n for n in _CLASSES])[:-1]
    groups, lattices, quality = np.split(values, cuts)
    return source, TileResult(
        slice(row, row_stop),
        slice(col, col_stop),
        groups.reshape(*shape, -1),
        lattices.reshape(*shape, -1),
        quality.reshape(shape),
    )


def _foreign(path: Path) -> InputError:
    return InputError(
        f"'{path}' is no unfinished run of this program: remove it, or use --overwrite"
    )


def _cannot_write(path: Path, error: OSError) -> InputError:
    return InputError(f"cannot write '{path}' ({error.strerror}): make room or rights there")
