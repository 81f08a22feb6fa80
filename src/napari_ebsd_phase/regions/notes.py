# SPDX-License-Identifier: GPL-3.0-or-later
"""Sentences on what limits an identification."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .. import crystallography
from ..labels import NO_LEVEL
from .identification import Identification

__all__ = ["notes"]

_ONE_VIEW = 1.5  # fewer views than this are told as one
_FEW = 5  # more views hardly weigh more
_DISSENT = 0.2  # share of the views
_NEARLY_SURE = 0.95


def notes(
    answer: Identification,
    said: np.ndarray,
    *,
    stopped: bool,
    tells_patterns: bool,
    background: bool,
) -> Iterator[str]:
    """Sentences on what limits an answer.

    Parameters
    ----------
    answer
        The answer, whose own notes play no part.
    said
        Share of the views that say each lattice when they are asked alone, shape (14,).
    stopped
        Whether patterns that should have been read were not.
    tells_patterns
        Whether the network tells patterns from other frames.
    background
        Whether the patterns were corrected with the static background of their file.
    """
    yield from _on_reading(answer, stopped, tells_patterns)
    if answer.nameable:
        yield from _on_views(answer, background)
        yield from _on_doubt(answer, said)


def _on_reading(answer: Identification, stopped: bool, tells_patterns: bool) -> Iterator[str]:
    if stopped:
        yield f"Stopped early: {answer.used:,} of {_patterns(answer.patterns)} were read."
    elif answer.used < answer.patterns:
        yield (
            f"{answer.used:,} of {_patterns(answer.patterns)} were read, spread evenly over the "
            "region."
        )
    left_out = answer.used - answer.nameable
    if left_out:
        reason = (
            "the network does not hold them for single Kikuchi patterns"
            if tells_patterns
            else "they show no more than noise"
        )
        yield f"Of {_patterns(answer.used)} {left_out:,} do not count: {reason}."
    if not answer.nameable:
        yield "No pattern counts: the probabilities are what was expected beforehand (the prior)."


def _on_views(answer: Identification, background: bool) -> Iterator[str]:
    if answer.nameable == 1:
        yield "One pattern counts; views of other orientations would say more."
    elif answer.views < _ONE_VIEW:
        yield (
            f"All {_patterns(answer.nameable)} show about one orientation and count as one view; "
            "grains of other orientations would say more."
        )
        if not background:
            yield (
                "The file holds no static background: patterns that were never corrected with one "
                "look alike whatever their orientation."
            )
    else:
        few = answer.views < _FEW
        further = " Grains of further orientations would say more." if few else ""
        yield (
            f"{answer.views:.1f} different views weigh as much as {answer.weight:.2f} independent "
            f"ones, since the network's errors on one material agree.{further}"
        )


def _on_doubt(answer: Identification, said: np.ndarray) -> Iterator[str]:
    order = np.argsort(-said, kind="stable")
    if answer.views >= _ONE_VIEW and said[order[1]] >= _DISSENT:
        first, second = (
            f"{100 * said[i]:.0f} % say {crystallography.BRAVAIS_LATTICES[i]}" for i in order[:2]
        )
        yield (
            f"The views disagree: each alone, {first} and {second}. The region may hold more than "
            "one phase, or one that the network cannot make out."
        )
    rivals = [pair for pair in answer.pairs if pair[2] >= answer.pairs[0][2] / 2]
    if len(rivals) > 1:
        named = ", ".join(f"{group} {lattice} ({p:.2f})" for group, lattice, p in rivals[:_FEW])
        more = f" and {len(rivals) - _FEW} more" if len(rivals) > _FEW else ""
        yield f"Cannot be told apart here: {named}{more}."
    if answer.level == NO_LEVEL:
        yield (
            "No point group, Laue group or crystal system reaches the threshold of "
            f"{answer.threshold:.2f}: the evidence does not carry a name."
        )
    if max(answer.probabilities(level).max() for level in crystallography.LEVELS) >= _NEARLY_SURE:
        yield (
            "A probability near 1 says that the views agree, not that the answer is certain: it "
            "holds for materials like those that the network was calibrated on."
        )


def _patterns(count: int) -> str:
    return f"{count:,} pattern{'' if count == 1 else 's'}"
