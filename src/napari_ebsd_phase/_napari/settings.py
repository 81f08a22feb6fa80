# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user has set in napari's preferences for this plugin."""

from __future__ import annotations

from dataclasses import dataclass

#: Name of the plugin in napari.
PLUGIN = "napari-ebsd-phase"


@dataclass(frozen=True)
class Settings:
    """The plugin's settings, as the manifest declares them.

    Attributes
    ----------
    device
        Where to compute: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.
    batch_size
        Patterns that are computed at once; None chooses by their size.
    threshold
        Probability that a label needs; None takes what the network's card proposes.
    colormap
        Name of napari's colour map for heat maps over patterns.
    """

    device: str
    batch_size: int | None
    threshold: float | None
    colormap: str


def load_settings() -> Settings:
    """Read the settings as they are now."""
    # napari's settings take longer to import than all the rest of a dock.
    from napari.settings import get_plugin_settings

    stored = get_plugin_settings(PLUGIN)
    return Settings(
        device=str(stored.classification.device),
        # Preferences have no empty number: 0 stands for "choose it".
        batch_size=int(stored.classification.batch_size) or None,
        threshold=float(stored.classification.threshold) or None,
        colormap=str(stored.heat_map.colormap),
    )
