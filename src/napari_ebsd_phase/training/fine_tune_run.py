# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of a fine-tuning run: what is drawn, what is lost, when it ends."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from ..classifier import Classifier
from ..network import SymmetryNet
from ..network_mean import NetworkMean
from .fine_tune_augment import augment
from .fine_tune_checkpoint import RunState, load_state, save_state
from .fine_tune_labels import LabelledPatterns
from .fine_tune_memory import SimulatedPatterns
from .fine_tune_scores import scores_of
from .fine_tune_settings import CurvePoint, FineTuneSettings
from .train import CLASSES, pair_scores, training_loss

__all__ = ["Run", "validation_loss"]


class Run:
    """One run: the network that learns, what it learns from, and where it is."""

    def __init__(
        self,
        start: Classifier,
        network: SymmetryNet | NetworkMean,
        learn: LabelledPatterns,
        validation: LabelledPatterns,
        memory: SimulatedPatterns | None,
        structures: SimulatedPatterns | None,
        settings: FineTuneSettings,
    ) -> None:
        self.settings, self.start = settings, start
        self.network = network.eval()  # normalisations keep their statistics
        self.members = network.members
        self.device = start.device
        self.learn, self.validation = learn, validation
        self.structures = structures
        self.memory = memory if settings.memory and settings.memory_weight else None
        self.said = [] if self.memory is None else _said(start, self.memory.inputs)
        self.classes, self.class_of = np.unique(learn.pairs, return_inverse=True)
        self.network.requires_grad_(False)
        self.trained = [p for member in self.members for p in _trained(member, settings.layers)]
        for parameter in self.trained:
            parameter.requires_grad_(True)
        self.origin = [p.detach().clone() for p in self.trained]
        self.optimiser = torch.optim.AdamW(
            self.trained, lr=settings.learning_rate, weight_decay=0.0
        )
        self.state = RunState(0, self._weights())

    def go(
        self,
        checkpoint: Path | None,
        checkpoint_every: float,
        identity: Mapping[str, Any],
        report: Callable[[CurvePoint], None] | None,
        cancelled: Callable[[], bool] | None,
    ) -> bool:
        """Run, or go on, to the end; false when cancelled before."""
        if checkpoint is not None:
            kept = load_state(checkpoint, self.network, self.optimiser, identity)
            self.state = kept or self.state
        for point in self.state.curve:
            if report:
                report(point)
        if not self.state.curve:
            self._look(report)
        saved, finished = time.monotonic(), False
        while not (finished := self._done()) and not (cancelled and cancelled()):
            self._step()
            s = self.settings
            if self.state.step % s.check_every == 0 or self.state.step == s.steps:
                self._look(report)
            if checkpoint is not None and time.monotonic() - saved >= checkpoint_every:
                save_state(checkpoint, self.state, self.network, self.optimiser, identity)
                saved = time.monotonic()
        if checkpoint is not None:
            save_state(checkpoint, self.state, self.network, self.optimiser, identity)
        return finished

    def _done(self) -> bool:
        since = [point.best for point in reversed(self.state.curve)]
        stale = since.index(True) if True in since else 0
        return self.state.step >= self.settings.steps or stale >= self.settings.patience

    def _weights(self) -> dict[str, torch.Tensor]:
        return {k: v.detach().clone() for k, v in self.network.state_dict().items()}

    def _step(self) -> None:
        """One optimiser step; what is drawn depends on the seed and its number only."""
        s, step = self.settings, self.state.step
        rng = np.random.default_rng([s.seed, step])
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        rate = s.learning_rate * min(1.0, (step + 1) / 10)
        rate *= 0.5 * (1 + math.cos(math.pi * step / s.steps))
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        inputs, labels = self._labelled(rng)
        # Simulated patterns have had their camera, measured ones have one each.
        inputs = torch.cat([augment(inputs, generator), *self._simulated(rng, labels)])
        taught, kept = len(inputs), None
        if self.memory is not None:
            count = max(1, round(s.memory * s.batch_size))
            kept = torch.from_numpy(rng.integers(0, len(self.memory.inputs), count))
            inputs = torch.cat([inputs, self.memory.inputs[kept]])
        inputs = inputs.to(self.device).contiguous(memory_format=torch.channels_last)
        target = torch.cat(labels).to(self.device)
        loss = torch.zeros((), device=self.device)
        for i, member in enumerate(self.members):
            scores = member(inputs)
            loss = loss + training_loss(scores[:taught], target)
            if kept is not None:
                said = self.said[i][kept].to(self.device)
                loss = loss + s.memory_weight * _forgotten(scores[taught:], said)
        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.trained, 5.0)
        self.optimiser.step()
        with torch.no_grad():
            for parameter, origin in zip(self.trained, self.origin, strict=True):
                parameter.lerp_(origin, min(1.0, rate * s.pull))
        value = float(loss.detach()) / len(self.members)
        if not math.isfinite(value):
            raise FloatingPointError(
                f"the fine-tuning diverged at step {step}: the loss is not a number; use a lower "
                "learning rate"
            )
        self.state.step += 1
        self.state.losses.append(value)

    def _labelled(self, rng: np.random.Generator) -> tuple[torch.Tensor, list[torch.Tensor]]:
        classes = rng.permutation(np.resize(rng.permutation(len(self.classes)),
                                            self.settings.batch_size))  # fmt: skip
        chosen = np.array([rng.choice(np.flatnonzero(self.class_of == c)) for c in classes])
        labels = torch.from_numpy(self.learn.pairs[chosen])
        return self.learn.inputs[torch.from_numpy(chosen)], [labels]

    def _simulated(
        self, rng: np.random.Generator, labels: list[torch.Tensor]
    ) -> list[torch.Tensor]:
        if self.structures is None:
            return []
        count = max(1, round(self.settings.cif * self.settings.batch_size))
        chosen = torch.from_numpy(rng.integers(0, len(self.structures.inputs), count))
        labels.append(self.structures.pairs[chosen])
        return [self.structures.inputs[chosen]]

    def _look(self, report: Callable[[CurvePoint], None] | None) -> None:
        """Look at the validation patterns, and keep the weights if they are the best."""
        now = Classifier(self.network, self.start.card, str(self.device))
        loss, right = math.nan, math.nan
        if len(self.validation):
            scores = scores_of(now, self.validation.inputs)
            temperature = float(self.start.card["temperature"])
            loss, right = validation_loss(scores, self.validation, temperature)
        best = min((p.validation_loss for p in self.state.curve), default=math.inf)
        # Without validation patterns the last weights count.
        better = loss < best or not len(self.validation)
        if better:
            self.state.best = self._weights()
        mean = float(np.mean(self.state.losses)) if self.state.losses else math.nan
        point = CurvePoint(self.state.step, self.settings.steps, mean, loss, right, better)
        self.state.curve.append(point)
        self.state.losses.clear()
        if report:
            report(point)


def _trained(member: SymmetryNet, layers: str) -> list[nn.Parameter]:
    """The parameters that are trained."""
    if layers == "all":
        return list(member.parameters())
    modules: list[nn.Module] = [member.head]
    if layers == "last":
        modules += list(member.features)[-member.architecture.blocks[-1] :]
    return [p for module in modules for p in module.parameters()]


@torch.no_grad()
def _said(classifier: Classifier, inputs: torch.Tensor) -> list[torch.Tensor]:
    """What each member says of some patterns, before anything is learned."""
    return [
        torch.cat([member(part.to(classifier.device)).cpu() for part in inputs.split(256)])
        for member in classifier.network.members
    ]


def _forgotten(scores: torch.Tensor, said: torch.Tensor) -> torch.Tensor:
    """Kullback-Leibler divergence of what is said of the pairs, and of a pattern at all."""
    loss = functional.kl_div(
        functional.log_softmax(pair_scores(scores), dim=1),
        functional.log_softmax(pair_scores(said), dim=1),
        reduction="batchmean",
        log_target=True,
    )
    if scores.shape[1] > CLASSES:
        before = torch.sigmoid(said[:, CLASSES])
        loss = loss + functional.binary_cross_entropy_with_logits(scores[:, CLASSES], before)
        # Less the entropy of what was said, so that nothing forgotten is a loss of zero.
        loss = loss - functional.binary_cross_entropy(before, before)
    return loss


def validation_loss(
    scores: np.ndarray, patterns: LabelledPatterns, temperature: float
) -> tuple[float, float]:
    """Loss at a temperature, and share of right pairs; classes weigh the same.

    Parameters
    ----------
    scores
        Of the patterns, shape (n, outputs).
    patterns
        At least one.
    temperature
        What scores are divided by.
    """
    pairs = pair_scores(torch.from_numpy(scores)) / temperature
    logs = functional.log_softmax(pairs, dim=1).numpy()
    losses = -logs[np.arange(len(patterns)), patterns.pairs]
    right = logs.argmax(axis=1) == patterns.pairs
    weight = 1.0 / np.bincount(patterns.pairs)[patterns.pairs]
    weight /= weight.sum()
    return float((weight * losses).sum()), float((weight * right).sum())
