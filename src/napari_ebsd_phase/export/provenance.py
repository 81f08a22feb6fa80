# SPDX-License-Identifier: GPL-3.0-or-later
"""What made a file that this program wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..errors import InputError

__all__ = ["PNG_KEY", "read_provenance"]

PNG_KEY = "Provenance"
"""Name of the text in a picture that holds it."""

# Longer headers are no header.
_MOST_LINES = 2000
_LONGEST_LINE = 100_000


def read_provenance(path: str | Path) -> dict[str, Any]:
    """Return how a phase map was made, as its file says.

    Parameters
    ----------
    path
        .h5, .tif, .png, .ang or .ctf that this program wrote. A .csv has no room for it.

    Returns
    -------
    dict
        ``source`` and its hash, ``network`` and its hash, ``version``, ``prior``, ``date`` and
        the other settings; of .ang and .ctf the ``notes`` in its header.

    Raises
    ------
    InputError
        If there is no such file, it is damaged, or this program did not write it.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"there is no file '{path}': check the name")
    suffix = path.suffix.lower()
    if suffix == ".csv":
        raise InputError(
            f"'{path}' is a table, which has no room for it: ask the .h5, .tif or .png of the same "
            "run"
        )
    reader = {
        ".h5": _of_map,
        ".tif": _of_labels,
        ".tiff": _of_labels,
        ".png": _of_picture,
        ".ang": _of_text,
        ".ctf": _of_text,
    }.get(suffix)
    if reader is None:
        raise InputError(f"'{path}' is none of .h5, .tif, .png, .ang and .ctf: give one of these")
    try:
        found = reader(path)
    except InputError:
        raise
    except (OSError, ValueError, KeyError, TypeError, SyntaxError, RuntimeError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"cannot read '{path}' ({reason}): copy the file again") from error
    if not isinstance(found, dict) or not found:
        raise InputError(f"'{path}' does not say what made it: this program did not write it")
    return found


def _of_map(path: Path) -> Any:
    from . import h5

    return h5.read_provenance(path)


def _of_labels(path: Path) -> Any:
    import tifffile

    with tifffile.TiffFile(path) as file:
        text = file.pages[0].description  # type: ignore[union-attr]  # a frame has none
    told = json.loads(text) if text.startswith("{") else {}
    return told.get("provenance") if told.get("program") == "napari-ebsd-phase" else None


def _of_picture(path: Path) -> Any:
    from PIL import Image

    with Image.open(path) as picture:
        text = picture.info.get(PNG_KEY)
    return json.loads(text) if isinstance(text, str) else None


def _of_text(path: Path) -> Any:
    """Notes in the header, a line each."""
    notes: list[str] = []
    with path.open(encoding="utf-8", errors="replace") as file:
        for _ in range(_MOST_LINES):
            line = file.readline(_LONGEST_LINE).strip()
            if path.suffix.lower() == ".ctf" and line.startswith("Author\t"):
                notes = [note.strip() for note in line.partition("\t")[2].split(";")]
                break
            if line.startswith("# NOTES: End"):
                break
            if notes or line.startswith("# napari-ebsd-phase"):
                notes.append(line.lstrip("# "))
    return {"notes": notes} if notes and notes[0].startswith("napari-ebsd-phase") else None
