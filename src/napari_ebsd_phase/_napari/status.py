# SPDX-License-Identifier: GPL-3.0-or-later
"""The pixel under the cursor in napari's status bar, with its own probability.

napari looks features up by the value of a label, so every pixel of a phase would show the same
probability. What it is about to show is replaced here, for layers of ours only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .session import MapSession, role_of, session_of

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.viewer import Viewer


def follow_cursor(viewer: Viewer) -> None:
    """Let the status bar of a viewer describe our maps; connects once, however often called."""
    # The function holds nothing: what it needs comes with the event.
    if _on_status not in viewer.events.status.callbacks:
        viewer.events.status.connect(_on_status)


def pixel_at(layer: Layer, position: Any) -> tuple[int, int] | None:
    """Return row and column of a world position in a map layer, or None outside."""
    place = np.round(np.asarray(layer.world_to_data(position), float)[-2:])
    rows, cols = layer.data.shape[-2:]
    if not np.isfinite(place).all():
        return None
    row, col = (int(number) for number in place)
    return (row, col) if 0 <= row < rows and 0 <= col < cols else None


def status_text(session: MapSession, role: str, row: int, col: int) -> str | None:
    """Say what a pixel is, like ``"row 3, column 4: m-3m (Laue group, 0.87)"``.

    None for what napari says well itself.
    """
    if session.cache is None or role in ("mean_intensity", "vendor_phases", "agreement"):
        return None
    if not (0 <= row < session.cache.shape[0] and 0 <= col < session.cache.shape[1]):
        return None
    return f"row {row}, column {col}: {session.cache.describe(role, row, col)}"


def _on_status(event: Any) -> None:
    viewer, status = event.source, event.value
    layer = viewer.layers.selection.active
    session, role = session_of(layer), role_of(layer)
    if session is None or role is None or not isinstance(status, dict):
        return
    pixel = pixel_at(layer, viewer.cursor.position)
    text = None if pixel is None else status_text(session, role, *pixel)
    # Setting it calls this function again, which then finds its own text and rests.
    if text is not None and status.get("coordinates") != text:
        viewer.status = {**status, "coordinates": text, "value": text}
