# SPDX-License-Identifier: GPL-3.0-or-later
"""Labels that are hidden in a Labels layer: their colours are transparent.

What is hidden is written down with the layer, so it lives as long as the layer does, whichever
docks are open, and other code that gives the layer new colours can take it over with
:func:`keep_hidden`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from napari.utils.colormaps import DirectLabelColormap

from .session import METADATA_KEY

if TYPE_CHECKING:
    from napari.layers import Labels

_HIDDEN = "hidden"


def hidden_labels(layer: Labels) -> frozenset[int]:
    """Values that are hidden in a layer of a map."""
    return frozenset(_opacities(layer))


def not_shown(layer: Labels, values: Iterable[int]) -> frozenset[int]:
    """Those of `values` that the canvas does not show: hidden, or another one is shown alone."""
    alone = layer.selected_label if layer.show_selected_label else None
    hidden = hidden_labels(layer)
    return frozenset(v for v in values if v in hidden or (alone is not None and v != alone))


def set_hidden(layer: Labels, values: Iterable[int]) -> None:
    """Hide `values` in a layer of a map, and show all others."""
    wanted = set(values)
    opacities = _opacities(layer)
    table = _color_table(layer)
    shown_again = {v: opacities.pop(v) for v in set(opacities) - wanted}
    for value, opacity in shown_again.items():
        table[value] = np.array([*table[value][:3], opacity])
    opacities.update({v: float(table[v][3]) for v in wanted - set(opacities) if v in table})
    _hide(table, opacities)
    if shown_again or wanted:
        _recolor(layer, table)


def keep_hidden(layer: Labels) -> None:
    """Hide again what is hidden, after the layer has got new colours; else nothing happens."""
    opacities = _opacities(layer)
    table = _color_table(layer)
    visible = {v: float(table[v][3]) for v in opacities if v in table and table[v][3]}
    if visible:
        opacities.update(visible)
        _hide(table, opacities)
        _recolor(layer, table)


def _opacities(layer: Labels) -> dict[int, float]:
    """What is hidden, with the opacity that it has when it is shown."""
    return layer.metadata[METADATA_KEY].setdefault(_HIDDEN, {})


def _color_table(layer: Labels) -> dict[int | None, np.ndarray]:
    return {value: np.array(color, float) for value, color in layer.colormap.color_dict.items()}


def _hide(table: dict[int | None, np.ndarray], values: Iterable[int]) -> None:
    for value in values:
        table[value] = np.array([*table[value][:3], 0.0])


def _recolor(layer: Labels, table: dict[int | None, np.ndarray]) -> None:
    # A new colormap does not know by itself that one label is shown alone.
    layer.colormap = DirectLabelColormap(
        color_dict=table,
        background_value=layer.colormap.background_value,
        use_selection=layer.show_selected_label,
        selection=layer.selected_label,
    )
