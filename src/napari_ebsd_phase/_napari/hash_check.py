# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a pattern file still holds what a phase map was made from, found out in the background.

Reading a file from end to end takes as long as its size and disk want: nobody waits for it.
"""

from __future__ import annotations

import weakref
from threading import Thread, main_thread
from typing import TYPE_CHECKING, Final

from ..errors import InputError
from ..map_request import add_file_hash
from ..phase_map import PhaseMap
from . import notify

if TYPE_CHECKING:
    from ..scan import Scan
    from .session import MapSession

#: Larger files are not read without having been asked for: they may lie on a slow network.
MOST_BYTES: Final = 2 * 2**30


def check_later(session: MapSession) -> Thread | None:
    """Compare the pattern file of a session with the hash in its phase map.

    `MapSession.patterns_match` tells the outcome, and a notification says if they differ.

    Returns
    -------
    Thread or None
        The thread that does it; None where there is nothing to compare.
    """
    scan, phase_map = session.scan, session.phase_map
    wanted = None if phase_map is None else phase_map.provenance.get("source_sha256")
    if scan is None or not wanted or _size(scan) > MOST_BYTES:
        return None
    thread = Thread(
        target=_check, args=(weakref.ref(session), scan, str(wanted)), name="ebsd-phase-hash"
    )
    thread.start()
    return thread


def _check(reference: weakref.ref[MapSession], scan: Scan, wanted: str) -> None:
    def given_up() -> bool:
        session = reference()
        gone = session is None or session.closed or session.scan is not scan
        return gone or not main_thread().is_alive()

    found = PhaseMap.empty((1, 1))
    try:
        there = add_file_hash(found, scan, given_up)
    except InputError:
        # Whoever asks for a pattern next is told.
        return
    session = reference()
    if not there or session is None or given_up():
        return
    session.patterns_match = found.provenance["source_sha256"] == wanted
    if not session.patterns_match:
        notify.show_info(
            f"Patterns have changed: {scan.path.name} is not the file that {session.name} was made "
            "from; classify it again, or locate the right file in the Scan section"
        )


def _size(scan: Scan) -> int:
    if scan.path.is_dir():
        return sum(path.stat().st_size for path in scan.path.iterdir() if path.is_file())
    return scan.path.stat().st_size
