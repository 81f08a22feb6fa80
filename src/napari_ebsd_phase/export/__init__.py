# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that other programs read: one module a format, chosen by the suffix of the file name."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from ._atomic import check_target, replacing

if TYPE_CHECKING:
    from ..phase_map import PhaseMap

#: Suffixes that can be written, and the modules that do it.
_MODULES = {
    ".h5": "h5",
    ".csv": "csv",
    ".ang": "ang",
    ".ctf": "ctf",
    ".png": "png",
    ".tif": "tif",
    ".tiff": "tif",
}
SUFFIXES = tuple(_MODULES)

#: What each format keeps and loses, in a sentence; ``.tiff`` is ``.tif`` by another name.
KEEPS = {
    ".h5": (
        "Keeps everything: all probabilities, labels, the vendor's phases and orientations, and "
        "how the map was made; opens here again, and in orix."
    ),
    ".csv": (
        "Keeps the most probable name of every level with its probability, a row for each "
        "pattern; loses the other probabilities, the step and orientations."
    ),
    ".ang": (
        "For OIM Analysis, MTEX and orix: keeps labels as phases with their point group (orix "
        "reads its rotations only), their probability as CI, the pattern quality as IQ, and "
        "orientations of the source file; loses the other probabilities, lattices and colours."
    ),
    ".ctf": (
        "For AZtecCrystal, MTEX and orix: keeps labels as phases with their Laue group, their "
        "probability as BS and the pattern quality as BC (both 0 to 255), and orientations of the "
        "source file; loses the other probabilities, lattices, colours and the point group but "
        "for its name."
    ),
    ".png": (
        "A figure of labels and Bravais lattices with legends and scale bars; loses the numbers "
        "behind the colours."
    ),
    ".tif": (
        "Keeps the label of every pixel as a number, with its name and colour, and the step; "
        "loses probabilities, lattices and orientations."
    ),
}

__all__ = ["KEEPS", "SUFFIXES", "check_output", "check_target", "loss", "replacing", "write"]


def loss(path: str | Path) -> str:
    """Return what a file of this name loses, in words like "loses orientations"; "" for nothing."""
    suffix = Path(path).suffix.lower()
    kept, loses, lost = KEEPS.get({".tiff": ".tif"}.get(suffix, suffix), "").partition("; loses ")
    return f"loses {lost.rstrip('.')}" if loses and kept else ""


def check_output(path: str | Path, *, overwrite: bool = False) -> Path:
    """Return `path` if :func:`write` could write there now; call it before long work.

    Raises
    ------
    InputError
        If the format is unknown, the file exists and `overwrite` is False, or the folder is
        missing or not writable.
    """
    path = Path(path)
    if path.suffix.lower() not in _MODULES:
        what = f"the format '{path.suffix}'" if path.suffix else "a file without a suffix"
        raise InputError(f"cannot write {what} ('{path}'): use one of {', '.join(SUFFIXES)}")
    return check_target(path, overwrite=overwrite)


def write(phase_map: PhaseMap, path: str | Path, *, overwrite: bool = False) -> None:
    """Write `phase_map` to `path`, in the format that the suffix names.

    The file appears at once when it is complete; after a failure nothing has changed.

    Raises
    ------
    InputError
        As in :func:`check_output`, or if the system refuses to write.
    """
    path = check_output(path, overwrite=overwrite)
    # Imported by need: a CSV file is no reason to load a plotting library.
    module = import_module(f"{__name__}.{_MODULES[path.suffix.lower()]}")
    with replacing(path, overwrite=overwrite) as temporary:
        module.write(phase_map, temporary)
