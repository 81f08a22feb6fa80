# SPDX-License-Identifier: GPL-3.0-or-later
"""What the pattern dock says in words: where a pattern is, what it is called, how sure that is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ..crystallography import UNDECIDED_COLOR, names
from ..labels import label_table
from .bar_chart import percent
from .label_cache import level_title

if TYPE_CHECKING:
    from ..phase_map import PhaseMap
    from .session import MapSession

#: From which probability on a label is called how.
_WORDS: Final = (
    (0.99, "almost certain"),
    (0.90, "very likely"),
    (0.70, "likely"),
    (0.50, "more likely than not"),
    (0.0, "a guess"),
)


def position_text(session: MapSession, row: int, col: int) -> list[str]:
    """Where a pixel is, like ``["row 3, col 14", "x 2.8 µm, y 0.6 µm"]``."""
    text = [f"row {row}, col {col}"]
    if session.units == "um":
        dy, dx = session.step
        text.append(f"x {col * dx:.4g} µm, y {row * dy:.4g} µm")
    return text


def sureness(probability: float) -> str:
    """A probability in words, like ``"very likely"``."""
    return next(words for least, words in _WORDS if probability >= least)


def label_text(result: PhaseMap) -> tuple[str, str]:
    """What a pattern is called, in words, and the colour of that name.

    Parameters
    ----------
    result
        A map of one pixel, with the threshold that its label has to reach.
    """
    codes, probabilities = result.label_codes()
    code, probability = int(codes[0, 0]), float(probabilities[0, 0])
    if not result.nameable[0, 0]:
        return "No name: hardly a Kikuchi pattern", UNDECIDED_COLOR
    if code == 0:
        best = names("crystal_system")[int(result.most_probable("crystal_system")[0][0, 0])]
        return f"Undecided · best is {best}, {percent(probability)}", UNDECIDED_COLOR
    label = label_table()[code - 1]
    return f"{label.name} · {level_title(label.level)} · {percent(probability)}", label.color


def details_text(result: PhaseMap) -> str:
    """How sure the name is, lattice, quality.

    Like ``"almost certain · lattice cF 93 % · quality 0.81"``.
    """
    codes, probabilities = result.label_codes()
    index, probability = (array[0, 0] for array in result.most_probable("bravais_lattice"))
    lattice = names("bravais_lattice")[int(index)]
    words = [
        f"lattice {lattice} {percent(float(probability))}",
        f"quality {float(result.pattern_quality[0, 0]):.2f}",
    ]
    if codes[0, 0]:
        words.insert(0, sureness(float(probabilities[0, 0])))
    return " · ".join(words)
