# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests neither read nor write the settings of whoever runs them."""

from __future__ import annotations

import os

# Read when napari's settings are imported, which no plugin of pytest does: empty is "no file".
os.environ["NAPARI_CONFIG"] = ""
