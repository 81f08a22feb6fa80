# SPDX-License-Identifier: GPL-3.0-or-later
"""What decides a training run, apart from the master patterns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..network import Architecture
from ..preprocessing import Preprocessing

__all__ = ["TrainingSettings"]

_KINDS = {"dynamical": 0.3, "table": 0.1, "derived": 0.3, "random": 0.3}


@dataclass(frozen=True)
class TrainingSettings:
    """Everything that decides a training run, apart from the master patterns.

    Parameters
    ----------
    patterns
        Number of patterns to train on; the learning rate falls to zero over them.
    batch_size, group
        Patterns a step, and patterns that share a frame size and screen.
    learning_rate, matrix_learning_rate, weight_decay, warmup
        Of AdamW and of Muon (see :mod:`.optimiser`), with a cosine schedule after a linear warm-up
        of this many steps.
    averaging
        Decay of the exponential moving average of the weights, per step.
    balance
        Sampling weight of a point group and lattice pair is its number of known structures to
        this power: 0 is fully balanced, 1 follows the table of structures.
    kinds
        Shares of the kinds of materials (:data:`.materials.KINDS`); what a pair does not have goes
        to its other kinds.
    disturbed
        Share of the groups that hold no single pattern, see :mod:`.disturbances`.
    easy
        Share of the run in which clean patterns (:data:`.pattern_simulation.GOOD`) give way to
        those of all conditions: symmetry is learned faster where it is seen.
    symmetry
        Weight of a second target, beside the classes: where the axes and mirror planes lie, see
        :mod:`.symmetry_targets`; 0 for none. Only for a network that looks at lines.
    seed
        Of weights and patterns.
    train_on
        Splits whose materials are trained on, see :func:`.materials.load_materials`.
    """

    patterns: int = 3_000_000
    batch_size: int = 256
    group: int = 16
    learning_rate: float = 4e-3
    matrix_learning_rate: float = 0.03
    weight_decay: float = 0.02
    warmup: int = 300
    averaging: float = 0.999
    balance: float = 0.5
    kinds: Mapping[str, float] = field(default_factory=lambda: dict(_KINDS))
    disturbed: float = 0.06
    easy: float = 0.3
    symmetry: float = 0.0
    seed: int = 0
    train_on: tuple[str, ...] = ("train",)
    architecture: Architecture = field(default_factory=Architecture)
    preprocessing: Preprocessing = field(default_factory=Preprocessing)

    @property
    def steps(self) -> int:
        """Number of optimiser steps."""
        return max(1, self.patterns // self.batch_size)
