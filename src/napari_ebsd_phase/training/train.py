# SPDX-License-Identifier: GPL-3.0-or-later
"""Train a network on patterns simulated on the fly from a library of master patterns.

A run is a folder: ``settings.json``, ``log.csv``, ``checkpoint.safetensors`` and, at the end,
``network.safetensors`` with its card. Killing it at any time loses at most the work since the
last checkpoint; starting it again in the same folder goes on. Every batch is drawn from a
generator seeded by the run's seed and the step, so a resumed run sees the patterns that an
uninterrupted one would have seen.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from ..crystallography import BRAVAIS_LATTICES, LAUE_INDEX, POINT_GROUPS
from ..decoding import PAIRS
from ..errors import InputError
from ..network import SymmetryNet
from .checkpoint import load_checkpoint, save_checkpoint
from .log import COLUMNS, append_row, trim
from .materials import Material
from .optimiser import Optimiser
from .pattern_simulation import FAST
from .pattern_stream import PatternStream
from .settings import TrainingSettings
from .symmetry_head import SymmetryHead, symmetry_loss

__all__ = ["pair_scores", "quick_check", "train", "training_loss"]

CLASSES = len(POINT_GROUPS) + len(BRAVAIS_LATTICES)


def pair_scores(scores: torch.Tensor) -> torch.Tensor:
    """Scores of the 66 pairs, (n, 66), from the network's outputs."""
    pairs = torch.from_numpy(PAIRS).to(scores.device)
    return scores[:, pairs[:, 0]] + scores[:, len(POINT_GROUPS) + pairs[:, 1]]


def training_loss(scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of the pairs, and of whether there is a pattern if the network tells that.

    Parameters
    ----------
    scores
        Outputs of the network, (n, 46) or (n, 47).
    labels
        Pair indices (n,), -1 where there is no single pattern.
    """
    single = labels >= 0
    pairs = pair_scores(scores)
    # A sum over all, not a selection: its shape does not depend on the data.
    each = functional.cross_entropy(pairs, labels, ignore_index=-1, reduction="none")
    loss = each.sum() / single.sum().clamp_min(1)
    if scores.shape[1] > CLASSES:
        loss = loss + functional.binary_cross_entropy_with_logits(
            scores[:, CLASSES], single.to(scores.dtype)
        )
    return loss


def _rate(step: int, settings: TrainingSettings) -> float:
    """Learning rate as a factor of its peak."""
    ramp = min(1.0, (step + 1) / settings.warmup)
    progress = min(1.0, step / settings.steps)
    return ramp * 0.5 * (1 + math.cos(math.pi * progress))


@torch.no_grad()
def _average(target: SymmetryNet, source: SymmetryNet, step: int, decay: float) -> None:
    rate = min(decay, (1 + step) / (10 + step))
    for a, b in zip(target.state_dict().values(), source.state_dict().values(), strict=True):
        if a.is_floating_point():
            a.lerp_(b, 1 - rate)
        else:
            a.copy_(b)


@torch.no_grad()
def quick_check(
    network: SymmetryNet, stream: PatternStream, device: torch.device, batches: int = 4
) -> tuple[float, float]:
    """Share of right Laue groups and lattices on a few batches, drawn as in training."""
    network.eval()
    right = np.zeros(2)
    for number in range(batches):
        inputs, target = stream.batch(10**9 + number)
        single = target.numpy() >= 0
        features = network.after_maps(inputs.to(device))
        scores = network.head(features.mean(dim=(2, 3)))
        best = pair_scores(scores.float()).argmax(dim=1).cpu().numpy()
        found, true = PAIRS[best][single], PAIRS[target.numpy()[single]]
        right += (
            (LAUE_INDEX[found[:, 0]] == LAUE_INDEX[true[:, 0]]).mean(),
            (found[:, 1] == true[:, 1]).mean(),
        )
    return float(right[0] / batches), float(right[1] / batches)


def training_device(name: str) -> torch.device:
    """The device of a name; an :class:`InputError` if this machine does not have it."""
    if name not in ("cpu", "cuda"):
        raise InputError(f"training runs on cpu or cuda, not on {name!r}")
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("this machine has no cuda device that torch can use: train on the cpu")
    return torch.device(name)


def _cpu_has_bfloat16() -> bool:
    """Whether bfloat16 is fast here; older releases of torch cannot say, and get float32."""
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("avx512_bf16", False))


def _take_weights(network: SymmetryNet, start: SymmetryNet) -> None:
    if start.architecture != network.architecture:
        raise InputError(
            "a run begins with the weights of a network of its own shape only: "
            "give the architecture of the other network in the settings"
        )
    network.load_state_dict(start.state_dict())


def _write_settings(
    folder: Path, settings: TrainingSettings, materials: dict[str, Sequence[Material]]
) -> None:
    counts = {split: len(members) for split, members in materials.items()}
    part = folder / "settings.json.part"
    part.write_text(
        json.dumps({**asdict(settings), "materials": counts}, indent=1), encoding="utf-8"
    )
    part.replace(folder / "settings.json")


def train(
    folder: Path,
    stack: np.ndarray,
    materials: dict[str, Sequence[Material]],
    settings: TrainingSettings,
    *,
    start: SymmetryNet | None = None,
    device: str = "cpu",
    threads: int | None = None,
    workers: int = 1,
    checkpoint_every: float = 120.0,
    log_every: int = 100,
    check_every: int = 1000,
    report: Callable[[int, int, float, float], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> SymmetryNet:
    """Train, or go on training, in a folder.

    Parameters
    ----------
    folder
        Where the run lives; made if absent.
    stack
        Master patterns, uint8 of shape (m, 2, n, n).
    materials
        Materials of the splits ``train`` and ``calibration``; the latter only for the log.
    settings
        The run. When the folder holds a checkpoint, everything but network and preprocessing may
        differ from before: more patterns, or a larger library. Only a run that goes on unchanged
        repeats what an uninterrupted one would have done.
    start
        A trained network whose weights a new run begins with, instead of random ones.
    device
        ``cpu`` or ``cuda``; bfloat16 on both where the machine has it.
    threads
        torch threads; its default when None.
    workers
        Threads that simulate patterns ahead.
    checkpoint_every
        Seconds between checkpoints.
    log_every, check_every
        Steps between rows of the log, and between checks on the calibration materials.
    report
        Called at every row of the log with step, steps, loss and patterns a second.
    cancelled
        Asked after every step; when true the run is saved and ends early.

    Returns
    -------
    SymmetryNet
        The averaged network, in evaluation mode, on the CPU.

    Raises
    ------
    InputError
        If the checkpoint in the folder is of another network or preprocessing, or the machine
        lacks the device.
    FloatingPointError
        If the loss is no longer a number; the last good checkpoint stays.
    """
    target = training_device(device)
    folder.mkdir(parents=True, exist_ok=True)
    if threads:
        torch.set_num_threads(threads)
    torch.manual_seed(settings.seed)
    network = SymmetryNet(settings.architecture)
    if start is not None:
        _take_weights(network, start)
    average = SymmetryNet(settings.architecture)
    average.load_state_dict(network.state_dict())
    network.to(target, memory_format=torch.channels_last)  # type: ignore[call-overload]
    average.to(target)
    finder = SymmetryHead(network).to(target) if settings.symmetry > 0 else None
    learner = torch.nn.ModuleList([network] if finder is None else [network, finder])
    optimiser = Optimiser(
        learner, settings.learning_rate, settings.matrix_learning_rate, settings.weight_decay
    )
    identity: dict[str, Any] = {
        "architecture": settings.architecture.to_dict(),
        "preprocessing": settings.preprocessing.to_dict(),
        "symmetry": finder is not None,
    }
    step = load_checkpoint(folder, network, average, optimiser, identity, finder)
    if step > settings.steps:
        raise InputError(
            f"{folder} holds a run of {step} steps already, more than the {settings.steps} asked "
            "for: ask for more patterns, or use another folder"
        )
    trim(folder, step)
    _write_settings(folder, settings, materials)
    stream = PatternStream(stack, materials["train"], settings)
    checks = (
        PatternStream(
            stack, materials["calibration"], replace(settings, disturbed=0.0, easy=0.0), FAST
        )
        if materials.get("calibration")
        else None
    )
    half = target.type == "cuda" or _cpu_has_bfloat16()
    saved = started = time.monotonic()
    since, losses = step, []
    for inputs, labels, places in stream.batches(step, settings.steps, workers):
        network.train()
        optimiser.scale_learning_rates(_rate(step, settings))
        inputs = inputs.to(target, non_blocking=True, memory_format=torch.channels_last)
        with torch.autocast(target.type, torch.bfloat16, enabled=half):
            features = network.after_maps(inputs)
            scores = network.head(features.mean(dim=(2, 3)))
        loss = training_loss(scores.float(), labels.to(target))
        if finder is not None:
            # Not rounded: one small layer, whose gradient all others share.
            found = finder(features.float())
            loss = loss + settings.symmetry * symmetry_loss(found, places.to(target))
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learner.parameters(), 5.0)
        optimiser.step()
        _average(average, network, step, settings.averaging)
        losses.append(loss.detach())
        step += 1
        stopping = bool(cancelled and cancelled())
        if step % log_every == 0 or step == settings.steps or stopping:
            now = time.monotonic()
            speed = (step - since) * settings.batch_size / max(now - started, 1e-9)
            mean_loss = float(torch.stack(losses).mean())
            if not math.isfinite(mean_loss):
                # Before the checkpoint below, so that the last good one stays.
                raise FloatingPointError(
                    f"the training diverged before step {step}: the loss is not a number; "
                    "start again with a lower learning rate"
                )
            laue, lattice = math.nan, math.nan
            if checks and (step % check_every == 0 or step == settings.steps):
                laue, lattice = quick_check(average, checks, target)
            _log(folder, step, settings, mean_loss, speed, laue, lattice)
            if report:
                report(step, settings.steps, mean_loss, speed)
            started, since, losses = time.monotonic(), step, []
        if time.monotonic() - saved > checkpoint_every or step == settings.steps or stopping:
            save_checkpoint(folder, step, network, average, optimiser, identity, finder)
            saved = time.monotonic()
        if stopping:
            break
    return average.to("cpu").eval()


def _log(
    folder: Path,
    step: int,
    settings: TrainingSettings,
    loss: float,
    speed: float,
    laue: float,
    lattice: float,
) -> None:
    values = (
        step,
        step * settings.batch_size,
        f"{loss:.4f}",
        f"{settings.learning_rate * _rate(step, settings):.3e}",
        f"{speed:.0f}",
        f"{laue:.4f}",
        f"{lattice:.4f}",
    )
    append_row(folder, dict(zip(COLUMNS, values, strict=True)))
