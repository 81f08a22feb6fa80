# SPDX-License-Identifier: GPL-3.0-or-later
"""Teach a network with a few labelled patterns of a user's own detector and phases.

The classes stay the 32 point groups and 14 lattices. Each step draws labelled patterns, every class
alike, and simulated patterns on which the network shall go on saying what it said before. Weights
are drawn back to where they started; normalisations keep their statistics. The run ends early
when patterns kept for validation gain no more, and what was gained is told on others again, held
out by region.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

from ..card import weight_bytes
from ..classifier import Classifier
from ..errors import InputError
from .fine_tune_labels import LabelledPatterns
from .fine_tune_memory import SimulatedPatterns
from .fine_tune_run import Run, validation_loss
from .fine_tune_scores import Share, figures, gain, measure, scores_of
from .fine_tune_settings import CurvePoint, FineTuneSettings
from .fine_tune_split import HELD_OUT, LEARN, VALIDATION, assign_parts

__all__ = ["FineTuned", "fine_tune"]

_ENOUGH = 200  # validation patterns from which on a temperature can be told


@dataclass(frozen=True)
class FineTuned:
    """What a run gave.

    Parameters
    ----------
    classifier
        The taught network with its card; not yet saved.
    before, after, gained
        Share of right names on held-out patterns by level, of the network before and after, and
        their difference; empty when nothing was held out.
    curve
        The learning curve.
    counts
        Patterns and regions of each part.
    finished
        Whether the run came to its end; false when it was cancelled. The network is the best so
        far in either case.
    """

    classifier: Classifier
    before: dict[str, Share]
    after: dict[str, Share]
    gained: dict[str, Share]
    curve: tuple[CurvePoint, ...]
    counts: Mapping[str, Mapping[str, int]]
    finished: bool


def fine_tune(
    classifier: Classifier,
    labelled: LabelledPatterns,
    settings: FineTuneSettings | None = None,
    *,
    memory: SimulatedPatterns | None = None,
    structures: SimulatedPatterns | None = None,
    name: str | None = None,
    checkpoint: str | Path | None = None,
    checkpoint_every: float = 20.0,
    report: Callable[[CurvePoint], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> FineTuned:
    """Teach a copy of a network; the one that is given stays as it is.

    Parameters
    ----------
    classifier
        The network to start from: a single one, or a mean, whose members are taught each.
    labelled
        Labelled patterns.
    settings
        The run.
    memory
        Simulated patterns of other materials, see :mod:`.fine_tune_memory`. Without them the
        network is free to forget.
    structures
        Simulated patterns of a user's structures, to learn from beside the labelled ones.
    name
        For the card; that of the network with ``-taught`` when None.
    checkpoint
        File that keeps the state of the run, for a call with the same arguments to go on from.
        It is left to the caller to delete it.
    checkpoint_every
        Seconds between two writings of it.
    report
        Called with each point of the learning curve.
    cancelled
        Asked at every step; when true, the run is kept and ends.

    Returns
    -------
    FineTuned

    Raises
    ------
    InputError
        If the patterns do not fit the network, or the checkpoint is of another run.
    FloatingPointError
        If the loss is no longer a number.
    """
    settings = settings or FineTuneSettings()
    # Labelled patterns are learned without their projection centres.
    given, classifier = classifier, classifier.without_maps()
    size = classifier.preprocessing.size
    for patterns in (labelled, memory, structures):
        if patterns is not None and patterns.inputs.shape[1:] != (1, size, size):
            raise InputError(f"the patterns are not prepared for this network: {size} pixels")
    if not len(labelled):
        raise InputError("no labelled patterns: nothing to learn from")
    parts = assign_parts(
        labelled.pairs,
        labelled.regions,
        held_out=settings.held_out,
        validation=settings.validation,
        seed=settings.seed,
    )
    learn, validation, held_out = (
        labelled.part(parts == part) for part in (LEARN, VALIDATION, HELD_OUT)
    )
    identity = {
        "network": given.sha256,
        "labelled patterns": labelled.sha256(),
        "simulated patterns": [p.sha256() for p in (memory, structures) if p is not None],
        "settings": asdict(settings),
    }
    start = Classifier(classifier.network, classifier.card, str(classifier.device))
    network = copy.deepcopy(classifier.network)
    run = Run(start, network, learn, validation, memory, structures, settings)
    finished = run.go(Path(checkpoint) if checkpoint else None, checkpoint_every, identity,
                      report, cancelled)  # fmt: skip
    network.load_state_dict(run.state.best)
    network.requires_grad_(True)  # as heat maps find every network
    taught = Classifier(network, copy.deepcopy(classifier.card), str(classifier.device))
    taught.card["temperature"] = _temperature(taught, validation)
    before = measure(start, held_out) if len(held_out) else {}
    after = measure(taught, held_out) if len(held_out) else {}
    gained = gain(start, taught, held_out) if len(held_out) else {}
    counts = {
        title: {"patterns": len(part), "regions": len(np.unique(part.regions))}
        for title, part in (("learn", learn), ("validation", validation), ("held out", held_out))
    }
    kept = taught.card["temperature"] == classifier.card["temperature"]
    taught.card |= {
        "name": name or f"{classifier.name}-taught",
        "sha256": hashlib.sha256(weight_bytes(network)).hexdigest(),
        "version": version("napari-ebsd-phase"),
        # Figures of the network before, on simulated materials, say nothing of this one.
        "metrics": figures(held_out, {"before": before, "after": after}),
        "training": {
            "taught_from": classifier.name,
            "taught_from_sha256": given.sha256,
            "sources": [dict(source) for source in labelled.sources],
            "classes": labelled.counts(),
            "memory": dict(memory.source) if memory else None,
            "structures": dict(structures.source) if structures else None,
            "settings": asdict(settings),
            "seed": settings.seed,
            "steps": run.state.step,
            "split": f"by region, seed {settings.seed}",
            "parts": counts,
            "gained": {level: asdict(share) for level, share in gained.items()},
            "calibration": f"temperature {'kept' if kept else 'raised'}",
            "trained_on": list(classifier.card["training"].get("trained_on", [])),
        },
    }
    return FineTuned(taught, before, after, gained, tuple(run.state.curve), counts, finished)


def _temperature(classifier: Classifier, validation: LabelledPatterns) -> float:
    """That of the card, or a higher one if enough validation patterns ask for it.

    Never a lower one: how sure the network may be of a few phases says nothing of all others.
    """
    kept = float(classifier.card["temperature"])
    if len(validation) < _ENOUGH:
        return kept
    scores = scores_of(classifier, validation.inputs)
    higher = (kept * np.geomspace(1.0, 3.0, 23)).tolist()
    return float(min(higher, key=lambda t: validation_loss(scores, validation, t)[0]))
