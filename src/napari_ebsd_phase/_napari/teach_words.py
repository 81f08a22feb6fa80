# SPDX-License-Identifier: GPL-3.0-or-later
"""What the dock that teaches says while nothing can be learned, and of labels that are poor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from .teach_labels import title_of

if TYPE_CHECKING:
    from .session import MapSession
    from .teach_labels import Kind, Source

NOTHING_OPEN = "Open an EBSD file or a sample to begin"
NO_FILE = "The patterns of this map were not found: locate them in the dock EBSD phase mapping"
NO_LABELS = (
    "Add a Labels layer and paint about twenty pixels of each phase, in several grains: press New "
    "layer"
)
READY = "Press Start: a copy of the network learns your phases as this detector shows them"

MOST_KINDS = 32
_ENOUGH = 20  # pixels of a phase


def why_not(
    session: MapSession | None,
    source: Source | None,
    kinds: Sequence[Kind],
    classes: Mapping[int, str | None],
) -> str:
    """Why nothing can be learned as things stand, and what to do; nothing where it can."""
    if session is None:
        return NOTHING_OPEN
    if session.scan is None or session.closed:
        return NO_FILE
    if source is None:
        return NO_LABELS
    if not kinds:
        return (
            f"Paint about twenty pixels of each phase in '{title_of(source)}', in several grains, "
            "with a label of its own for each phase"
        )
    if len(kinds) > MOST_KINDS:
        return (
            f"'{title_of(source)}' has {len(kinds):,} labels: one label a phase is needed, "
            f"{MOST_KINDS} at most"
        )
    for kind in kinds:
        if classes.get(kind.value) is None:
            return f"Choose point group and lattice of {kind.name}"
    return ""


def advice(kinds: Sequence[Kind], classes: Mapping[int, str | None]) -> str:
    """What is poor about the labels, if anything is."""
    if len(set(classes.values())) == 1:
        return (
            "All labels have one class: the network would learn to see it everywhere. Label "
            "another phase, too."
        )
    for kind in kinds:
        if kind.count < _ENOUGH:
            plural = "" if kind.count == 1 else "s"
            return (
                f"{kind.name} has {kind.count} pixel{plural}: about twenty, in several grains, "
                "teach more."
            )
    return ""
