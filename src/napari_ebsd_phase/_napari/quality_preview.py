# SPDX-License-Identifier: GPL-3.0-or-later
"""How good the patterns of a scan are, before the network has seen them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .network_loader import link_torch

if TYPE_CHECKING:
    from ..scan import Scan
    from .background import Cancelled, Progress

# Preparing takes about a quarter of a millisecond for a pattern: a second or two in all.
_MOST_SAMPLES = 4096


def quality_preview(scan: Scan, progress: Progress, cancelled: Cancelled) -> np.ndarray | None:
    """Contrast of each pattern against its noise, float32 (rows, cols); None if cancelled.

    It is :func:`~.preprocessing.pattern_quality` of prepared patterns. Of a large map only a coarse
    grid is read; the pixels between show the nearest.

    Raises
    ------
    InputError
        If the file is damaged.
    """
    # torch takes seconds to import, and the interface shall not wait.
    link_torch()
    from ..mapping import scan_screen
    from ..preprocessing import Preprocessing, pattern_quality, prepare
    from ..screen import find_screen

    rows, cols = scan.shape
    stride = max(1, int(np.ceil(np.sqrt(rows * cols / _MOST_SAMPLES))))
    some_rows = np.arange(min(stride, rows) // 2, rows, stride)
    some_cols = np.arange(min(stride, cols) // 2, cols, stride)
    # Images of a folder may come from several cameras, of several sizes.
    alone = scan.pattern_shape is None or scan.path.is_dir()
    mask = None if alone else scan_screen(scan)
    settings, background = Preprocessing(), scan.static_background
    coarse = np.empty((len(some_rows), len(some_cols)), np.float32)
    for line, row in enumerate(some_rows):
        if cancelled():
            return None
        patterns = [scan.pattern(int(row), int(col)) for col in some_cols]
        stacks = [pattern[np.newaxis] for pattern in patterns] if alone else [np.stack(patterns)]
        quality = [
            pattern_quality(
                prepare(
                    stack,
                    settings,
                    background=background,
                    mask=find_screen(stack) if mask is None else mask,
                )
            ).numpy()
            for stack in stacks
        ]
        coarse[line] = np.concatenate(quality)
        progress(line + 1, len(some_rows))
    near_rows = (np.arange(rows) // stride).clip(max=len(some_rows) - 1)
    near_cols = (np.arange(cols) // stride).clip(max=len(some_cols) - 1)
    return coarse[near_rows][:, near_cols]
