# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a network passes: what it takes to say that it looks at zone axes.

That a heat map prefers zone axes is not enough: so does the image, and so do networks that know
nothing, since zone axes are bright and sharp. It takes three things at once. The fourth asks more:
that it is not only because there is more to blur.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .saliency_measures import Interval

__all__ = ["CLAIMS", "MATTERS", "passes", "verdict", "verdict_table"]

MATTERS = 0.1
"""Smallest fall of the log odds that matters: the odds change by a tenth. An untrained network
hardly says anything, so that nothing can matter to it."""

CLAIMS = {
    "prefers": "heat map: more near the axes than near those of turned crystals",
    "learned": "pointing game: more hits than untrained networks",
    "needs": "deletion: axes cost more than bands, random discs and bright places elsewhere",
    "needs_equally": "the same, where all change the input equally",
}
"""The four claims, each by its 95 % interval."""


Table = Mapping[str, Mapping[str, Interval]]


def verdict(axes: Table, deletion: Table, equally: Table) -> dict[str, bool]:
    """Which of :data:`CLAIMS` hold.

    Parameters
    ----------
    axes
        Of one kind of materials, from :func:`.saliency_summary.summarise_axes`.
    deletion
        Of the same, of parts of equal area, from :func:`.saliency_summary.summarise_rows`.
    equally
        The same of parts that change the input equally.

    Returns
    -------
    dict
        Claim to whether it is shown; false where its interval does not exclude the opposite.
    """
    network = axes["network"]
    return {
        "prefers": network["lift"].low > max(1.0, network["random_lift"].high),
        "learned": axes["untrained network"]["hit_behind"].low > 0,
        "needs": _cost_more(deletion),
        "needs_equally": _cost_more(equally),
    }


def _cost_more(deletion: Table) -> bool:
    costs = [deletion[part]["log_odds"] for part in deletion if part.startswith("zone axes less ")]
    return bool(costs) and all(cost.low > MATTERS for cost in costs)


def passes(axes: Table, deletion: Table, equally: Table) -> bool:
    """Whether the first three claims are shown."""
    found = verdict(axes, deletion, equally)
    return found["prefers"] and found["learned"] and found["needs"]


def verdict_table(verdicts: Mapping[str, Mapping[str, bool]]) -> str:
    """Markdown table of verdicts by the name of a column."""
    head: Sequence[str] = ("claim", *verdicts)
    rows = [
        (words, *("shown" if found[claim] else "not shown" for found in verdicts.values()))
        for claim, words in CLAIMS.items()
    ]
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
