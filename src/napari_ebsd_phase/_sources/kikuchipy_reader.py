# SPDX-License-Identifier: GPL-3.0-or-later
"""kikuchipy as a reader of headers: map shape, detector, phases and static background."""

from __future__ import annotations

import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from .recording import damaged

#: Properties by which a crystal map is known that this program made of a phase map.
OURS = frozenset({"label_probability", "bravais_lattice_probability", "pattern_quality"})


@contextmanager
def kikuchipy_signal(path: Path, source: Path | None = None, **options: Any) -> Iterator[Any]:
    """Lend the lazy signal that kikuchipy reads from a file.

    Parameters
    ----------
    path
        File to read.
    source
        The user's file, for messages, where `path` stands in for it.
    **options
        For kikuchipy's reader of this format.

    Yields
    ------
    kikuchipy.signals.LazyEBSD

    Raises
    ------
    InputError
        If kikuchipy cannot read it, or it holds something other than patterns.
    """
    import kikuchipy

    source = source or path
    # kikuchipy warns about a missing background or step, and leaves files open.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            signal = kikuchipy.load(path, lazy=True, **options)
        except ImportError:
            raise
        except Exception as error:
            # One call into kikuchipy, which lets everything through that a bad entry sets off
            # below it: KeyError, ValueError, AttributeError, diffpy's LatticeError, MemoryError ...
            # The frames hold open files: let go of them while their warnings are ignored.
            traceback.clear_frames(error.__traceback__)
            reason = str(error).replace(str(path), source.name)
            if isinstance(error, KeyError):
                reason = f"missing: {reason}"
            raise damaged(source, reason) from error
        if isinstance(signal, list):
            signal = signal[0]
        if not isinstance(signal, kikuchipy.signals.EBSD):
            raise InputError(
                f"{source.name}: holds no measured patterns but a {type(signal).__name__}; "
                "give the file of the map"
            )
        try:
            yield signal
        finally:
            # Its lazy array holds the file open, and a cycle of references holds the signal.
            signal.data = np.zeros((1, 1))


def map_of_signal(signal: Any) -> Any:
    """Return the crystal map of a signal, or None where it names no phase or is damaged.

    Our own labels, which somebody has put into a signal, are no vendor's phases.
    """
    crystal_map = signal.xmap
    if crystal_map is None:
        return None
    try:
        if set(crystal_map.prop) >= OURS:
            return None
        known = [phase.name or phase.point_group for _, phase in crystal_map.phases]
        fits = np.size(crystal_map.phase_id) == crystal_map.size
    except (IndexError, TypeError, ValueError):  # its parts do not fit each other
        return None
    return crystal_map if fits and any(known) else None


def static_background(image: Any, shape: tuple[int, int]) -> np.ndarray | None:
    """Return a static background (h, w), or None where there is none that fits.

    kikuchipy stores -1 for "none".
    """
    if image is None or np.shape(image) != tuple(shape):
        return None
    background = np.asarray(image)
    return background if background.dtype.kind in "uif" and background.any() else None
