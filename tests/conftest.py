# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests neither read nor write the settings of whoever runs them, nor what runs beside them."""

from __future__ import annotations

import os
from pathlib import Path

import numba

# Read when napari's settings are imported, which no plugin of pytest does: empty is "no file".
os.environ["NAPARI_CONFIG"] = ""

# Two processes that compile the same function at the same time leave a broken pair of files in
# numba's cache, and every process that reads it crashes: one folder for each process of
# pytest-xdist. Other plugins have imported numba by now, so it is told twice.
_WORKER = os.environ.get("PYTEST_XDIST_WORKER")
if _WORKER:
    _CACHE = str(Path(__file__).parents[1] / ".numba_cache" / _WORKER)
    os.environ["NUMBA_CACHE_DIR"] = _CACHE
    numba.config.CACHE_DIR = _CACHE
    # The icons of napari's themes lie in a folder of the user's, too: a process that reads one
    # which another is just writing warns of a damaged file.
    os.environ["XDG_CACHE_HOME"] = str(Path(_CACHE) / "user")
