# SPDX-License-Identifier: GPL-3.0-or-later
"""Load networks away from the interface's thread, and only once."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from threading import Lock, Thread
from typing import TYPE_CHECKING

from ..errors import InputError
from .cards import SUFFIX

if TYPE_CHECKING:
    from ..classifier import Classifier


class NetworkLoader:
    """Keeps the network that was loaded last; may be used from several threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._key: tuple[object, ...] = ()
        self._classifier: Classifier | None = None

    def load(self, network: str | Path | None, device: str = "auto") -> Classifier:
        """Return a network that is ready for patterns.

        Parameters are those of :func:`~.loading.load_classifier`. The first call imports torch
        and takes seconds.

        Raises
        ------
        InputError
            As :func:`~.loading.load_classifier` does.
        """
        with self._lock:
            key = (str(network or "default"), device, *_times(network))
            if self._classifier is None or key != self._key:
                link_torch()
                from ..loading import load_classifier

                self._classifier = load_classifier(network, device=device)
                self._key = key
            return self._classifier

    def warm_up(
        self,
        network: str | Path | None = None,
        device: str = "auto",
        *,
        also: Callable[[], None] | None = None,
    ) -> None:
        """Begin to load a network that will be needed soon, and do `also`; returns at once."""
        Thread(
            target=self._warm_up, args=(network, device, also), name="ebsd-phase-warm-up"
        ).start()

    def _warm_up(
        self, network: str | Path | None, device: str, also: Callable[[], None] | None
    ) -> None:
        # Nobody has asked yet: whoever does gets the same answer.
        with suppress(InputError):
            self.load(network, device)
        if also is not None:
            also()


def link_torch() -> None:
    """Let the system load torch's libraries while the interface goes on.

    ``import torch`` does so while it holds Python's lock: for about half a second no window would
    answer. Calls through ctypes let go of the lock. Where a library is not found here, the import
    finds it as ever.
    """
    spec = None if "torch" in sys.modules or os.name != "posix" else find_spec("torch")
    if spec is None or spec.origin is None:
        return
    suffix = "dylib" if sys.platform == "darwin" else "so"
    libraries = Path(spec.origin).parent / "lib"
    dlopen = ctypes.CDLL(None).dlopen
    dlopen.argtypes, dlopen.restype = (ctypes.c_char_p, ctypes.c_int), ctypes.c_void_p
    # In the order of the import, and the first for all to see, as there.
    for name, scope in (("global_deps", os.RTLD_GLOBAL), ("python", os.RTLD_LOCAL)):
        library = libraries / f"libtorch_{name}.{suffix}"
        dlopen(os.fsencode(library), os.RTLD_NOW | scope)


def _times(network: str | Path | None) -> tuple[int, ...]:
    """When the files of a network were written; nothing for a bundled one."""
    path = Path(network or "")
    if path.suffix != SUFFIX:
        return ()
    files = (path, path.with_suffix(".json"))
    return tuple(file.stat().st_mtime_ns for file in files if file.exists())
