# SPDX-License-Identifier: GPL-3.0-or-later
"""How figures and docks write symbols, shares, lengths and names; and which names are written."""

from __future__ import annotations

import re

import numpy as np

from ..crystallography import CRYSTAL_SYSTEMS

_LONGEST_NAME = 26
_FEW_ENTRIES = 6
_MOST_ENTRIES = 14
_RARE = 0.001


def typeset(name: str) -> str:
    """Write a symbol as the field prints it: bars over digits, letters in italics."""
    if name in CRYSTAL_SYSTEMS:
        return name
    return "$" + re.sub(r"-(\d)", r"\\overline{\1}", name) + "$"


def shorten(text: str, length: int = _LONGEST_NAME) -> str:
    """Cut the middle out of a long name: the ends tell files apart."""
    half = (length - 1) // 2
    return text if len(text) <= length else f"{text[:half]}…{text[-half:]}"


def percent(share: float) -> str:
    """Write a share (0 to 1) so that 0.0 % and 100.0 % mean none and all."""
    if 0 < share < 0.0005:
        return "< 0.1 %"
    return "> 99.9 %" if 0.9995 <= share < 1 else f"{100 * share:.1f} %"


def nice_length(extent: float, units: str) -> tuple[float, str]:
    """Return the longest of 1, 2, 5, 10, ... that is at most a quarter of `extent`, with its name.

    A bar in pixels is at least one pixel long.
    """
    power = 10.0 ** np.floor(np.log10(extent / 4))
    length = float(max(step for step in (1, 2, 5) if step * power <= extent / 4 * 1.0001) * power)
    if units == "px":
        length = max(length, 1.0)
    shown, name = length, units
    if units == "um":
        shown, name = length, "µm"
        if length >= 1000:
            shown, name = length / 1000, "mm"
        elif length < 0.999:
            shown, name = length * 1000, "nm"
    return length, f"{shown:g} {name}"


def worth_a_line(counts: dict[int, int], done: int) -> tuple[list[int], list[int]]:
    """Split the classes into those that the legend names, largest first, and the others.

    A noisy map has dozens of names on single pixels; they would bury the ones that matter.
    """
    ranked = sorted((i for i in counts if i >= 0), key=lambda i: -counts[i])
    common = sum(counts[i] >= _RARE * done for i in ranked)
    length = min(max(common, _FEW_ENTRIES), _MOST_ENTRIES)
    return ranked[:length], ranked[length:]
