# SPDX-License-Identifier: GPL-3.0-or-later
"""The bundled samples, ready to be classified: *File > Open Sample > EBSD phase*."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..samples import sample_path

if TYPE_CHECKING:
    from .layers import LayerData


def nickel() -> list[LayerData]:
    """Measured map of nickel, 3 × 3 patterns."""
    return _sample("nickel")


def silicon() -> list[LayerData]:
    """Three measured patterns of silicon, one a camera distance."""
    return _sample("silicon")


def two_phase() -> list[LayerData]:
    """Simulated map of austenite and ferrite."""
    return _sample("two_phase")


def _sample(name: str) -> list[LayerData]:
    # Nothing is imported before somebody opens a sample.
    from napari import current_viewer

    from ..scan import load_scan
    from .arrange import frame_soon, step_aside
    from .layers import adopt, scan_layers
    from .session import MapSession

    session = MapSession(load_scan(sample_path(name)), name=name)
    viewer = current_viewer()
    layers = scan_layers(session)
    if viewer is not None:
        step_aside(viewer)
        adopt(viewer, session)
        frame_soon(viewer, session)
    return layers
