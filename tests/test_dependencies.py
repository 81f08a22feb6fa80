# SPDX-License-Identifier: GPL-3.0-or-later
"""The documented list of what the program runs on is the one of its metadata."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_every_dependency_is_documented_with_its_locked_version_and_its_role():
    command = [sys.executable, str(ROOT / "scripts" / "dependencies.py")]
    done = subprocess.run(command, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr  # a dependency without a role ends with an error
    assert "| h5py |" in done.stdout
    assert "| any |" not in done.stdout
    assert done.stdout in (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
