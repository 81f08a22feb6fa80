# SPDX-License-Identifier: GPL-3.0-or-later
"""What decides a fine-tuning run, apart from the patterns, and what it tells while it runs."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import InputError

__all__ = ["LAYERS", "CurvePoint", "FineTuneSettings"]

LAYERS = ("head", "last", "all")


@dataclass(frozen=True)
class FineTuneSettings:
    """Settings of :func:`.fine_tune.fine_tune`; ``docs/transfer.md`` tells how they were chosen.

    Parameters
    ----------
    steps
        Most optimiser steps.
    batch_size
        Labelled patterns a step; every class comes as often as any other.
    layers
        What is trained: the linear ``head``, the ``last`` stage and the head, or ``all``.
        Normalisations keep their statistics: those of a few patterns would be noise.
    learning_rate
        Of AdamW at its peak; it falls to zero over the steps as a cosine.
    pull
        Rate at which weights are drawn back to those of the start, in units of the learning rate
        (L2-SP: Li, Grandvalet and Davoine, ICML 2018).
    memory
        Simulated patterns a step on which the network shall go on saying what it said before, as
        a share of `batch_size` (learning without forgetting: Li and Hoiem 2017); 0 for none.
    memory_weight
        Of their loss against that of the labelled patterns.
    cif
        Share of `batch_size` that is drawn on top from simulated patterns of a user's structures.
    held_out, validation
        Shares of each class's patterns that are kept to tell what was gained, and to stop early.
    check_every, patience
        Steps between two looks at the validation patterns, and looks without a gain after which
        the run ends.
    seed
        Of split, batches and augmentation.
    """

    steps: int = 200
    batch_size: int = 32
    layers: str = "all"
    learning_rate: float = 3e-4
    pull: float = 0.5
    memory: float = 1.0
    memory_weight: float = 4.0
    cif: float = 0.5
    held_out: float = 0.25
    validation: float = 0.2
    check_every: int = 20
    patience: int = 6
    seed: int = 0

    def __post_init__(self) -> None:
        if self.layers not in LAYERS:
            raise InputError(f"layers are {', '.join(LAYERS)}, not {self.layers!r}")
        for name in ("steps", "batch_size", "check_every", "patience"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} of a fine-tuning must be 1 or more")
        for name in ("pull", "memory", "memory_weight", "cif", "held_out", "validation"):
            if not getattr(self, name) >= 0:
                raise InputError(f"{name} of a fine-tuning must be 0 or more")
        if not self.learning_rate > 0:
            raise InputError("the learning rate of a fine-tuning must be above 0")
        if self.held_out + self.validation > 0.8:
            raise InputError("at least a fifth of the patterns must be left to learn from")


@dataclass(frozen=True)
class CurvePoint:
    """One point of the learning curve.

    Parameters
    ----------
    step, steps
        Steps done, and at most.
    loss
        Mean loss over the steps since the last point; NaN before the first step.
    validation_loss
        Mean negative log probability of the true pair over validation patterns, classes weighing
        the same; NaN without any.
    right
        Share of validation patterns whose most probable pair is right, classes weighing the same.
    best
        Whether this is the best point so far.
    """

    step: int
    steps: int
    loss: float
    validation_loss: float
    right: float
    best: bool
