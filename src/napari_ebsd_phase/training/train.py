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
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from ..crystallography import BRAVAIS_LATTICES, COMPATIBLE, LAUE_INDEX, POINT_GROUPS
from ..decoding import PAIRS
from ..errors import InputError
from ..network import Architecture, SymmetryNet
from ..preprocessing import Preprocessing, prepare
from .checkpoint import load_checkpoint, save_checkpoint
from .log import COLUMNS, append_row, trim
from .materials import Material
from .pattern_simulation import FAST, TRAINING, Camera, simulate_group

__all__ = ["PatternStream", "TrainingSettings", "train"]


@dataclass(frozen=True)
class TrainingSettings:
    """Everything that decides a training run, apart from the master patterns.

    Parameters
    ----------
    patterns
        Number of patterns to train on; the learning rate falls to zero over them.
    batch_size, group
        Patterns a step, and patterns that share a frame size and screen.
    learning_rate, weight_decay, warmup
        AdamW with a cosine schedule after a linear warm-up of this many steps.
    averaging
        Decay of the exponential moving average of the weights, per step.
    balance
        Sampling weight of a point group and lattice pair is its number of materials to this
        power: 0 is fully balanced, 1 follows the library.
    seed
        Of weights and patterns.
    """

    patterns: int = 3_000_000
    batch_size: int = 256
    group: int = 16
    learning_rate: float = 3e-3
    weight_decay: float = 0.02
    warmup: int = 300
    averaging: float = 0.999
    balance: float = 0.5
    seed: int = 0
    architecture: Architecture = field(default_factory=Architecture)
    preprocessing: Preprocessing = field(default_factory=Preprocessing)

    @property
    def steps(self) -> int:
        """Number of optimiser steps."""
        return max(1, self.patterns // self.batch_size)


class PatternStream:
    """Batches of prepared, labelled patterns; each batch depends on the seed and its number only.

    Parameters
    ----------
    stack
        Master patterns, uint8 of shape (m, 2, n, n).
    materials
        The materials to draw from.
    settings
        Batch size, balance, preprocessing and seed.
    camera
        Camera conditions.
    """

    def __init__(
        self,
        stack: np.ndarray,
        materials: Sequence[Material],
        settings: TrainingSettings,
        camera: Camera = TRAINING,
    ) -> None:
        if not materials:
            raise InputError("no materials to train on: the library has none in this split")
        self.stack, self.materials = stack, list(materials)
        self.settings, self.camera = settings, camera
        labels = [
            (POINT_GROUPS.index(m.point_group), BRAVAIS_LATTICES.index(m.bravais))
            for m in self.materials
        ]
        self.labels = np.array(labels, dtype=np.int64)
        pair_of = {(int(p), int(b)): i for i, (p, b) in enumerate(PAIRS)}
        self.pairs = np.array([pair_of[label] for label in labels], dtype=np.int64)
        counts = np.bincount(self.pairs, minlength=len(PAIRS)).astype(np.float64)
        share = np.where(counts > 0, np.maximum(counts, 1) ** settings.balance, 0.0)
        self.pair_frequency = share / share.sum()
        self.material_frequency = self.pair_frequency[self.pairs] / counts[self.pairs]

    def training_prior(self) -> np.ndarray:
        """Frequency of each pair in the stream, shape (32, 14)."""
        table = np.zeros(COMPATIBLE.shape)
        table[PAIRS[:, 0], PAIRS[:, 1]] = self.pair_frequency
        return table

    def batch(self, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Batch by number: input (batch, 1, size, size) and pair indices (batch,)."""
        s = self.settings
        rng = np.random.default_rng([s.seed, number])
        drawn = rng.choice(len(self.materials), size=s.batch_size, p=self.material_frequency)
        inputs = []
        for start in range(0, s.batch_size, s.group):
            part = drawn[start : start + s.group]
            chosen = np.array([rng.choice(self.materials[m].masters) for m in part])
            frames, mask = simulate_group(self.stack, chosen, self.camera, rng)
            inputs.append(prepare(frames, s.preprocessing, mask=mask))
        return torch.cat(inputs), torch.from_numpy(self.pairs[drawn])

    def batches(self, first: int, last: int, workers: int = 1) -> Iterator[Any]:
        """Batches ``first`` to ``last - 1`` in order, made ahead by threads."""
        slots = [queue.Queue[Any](maxsize=4) for _ in range(workers)]
        stop = threading.Event()

        def produce(worker: int) -> None:
            for number in range(first + worker, last, workers):
                try:
                    item: Any = self.batch(number)
                except Exception as error:  # handed to the consumer, which raises it
                    item = error
                while not stop.is_set():
                    try:
                        slots[worker].put(item, timeout=0.2)
                        break
                    except queue.Full:
                        continue
                if stop.is_set() or isinstance(item, Exception):
                    return

        threads = [threading.Thread(target=produce, args=(w,), daemon=True) for w in range(workers)]
        for thread in threads:
            thread.start()
        try:
            for number in range(first, last):
                item = slots[(number - first) % workers].get()
                if isinstance(item, Exception):
                    raise item
                yield item
        finally:
            stop.set()
            for thread in threads:
                thread.join()


def pair_scores(scores: torch.Tensor) -> torch.Tensor:
    """Scores of the 66 pairs, (n, 66), from the 46 network outputs."""
    pairs = torch.from_numpy(PAIRS).to(scores.device)
    return scores[:, pairs[:, 0]] + scores[:, len(POINT_GROUPS) + pairs[:, 1]]


def _learning_rate(step: int, settings: TrainingSettings) -> float:
    ramp = min(1.0, (step + 1) / settings.warmup)
    progress = min(1.0, step / settings.steps)
    return settings.learning_rate * ramp * 0.5 * (1 + math.cos(math.pi * progress))


def _parameter_groups(network: SymmetryNet, weight_decay: float) -> list[dict[str, Any]]:
    """Weight decay for convolution and linear weights, not for norms and biases."""
    parameters = list(network.parameters())
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]


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
        best = pair_scores(network(inputs.to(device)).float()).argmax(dim=1).cpu().numpy()
        found, true = PAIRS[best], PAIRS[target.numpy()]
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
    average = SymmetryNet(settings.architecture)
    average.load_state_dict(network.state_dict())
    network.to(target, memory_format=torch.channels_last)  # type: ignore[call-overload]
    average.to(target)
    optimiser = torch.optim.AdamW(_parameter_groups(network, settings.weight_decay))
    identity = {
        "architecture": settings.architecture.to_dict(),
        "preprocessing": settings.preprocessing.to_dict(),
    }
    step = load_checkpoint(folder, network, average, optimiser, identity)
    if step > settings.steps:
        raise InputError(
            f"{folder} holds a run of {step} steps already, more than the {settings.steps} asked "
            "for: ask for more patterns, or use another folder"
        )
    trim(folder, step)
    _write_settings(folder, settings, materials)
    stream = PatternStream(stack, materials["train"], settings)
    checks = (
        PatternStream(stack, materials["calibration"], settings, FAST)
        if materials.get("calibration")
        else None
    )
    half = target.type == "cuda" or _cpu_has_bfloat16()
    saved = started = time.monotonic()
    since, losses = step, []
    for inputs, labels in stream.batches(step, settings.steps, workers):
        network.train()
        for group in optimiser.param_groups:
            group["lr"] = _learning_rate(step, settings)
        inputs = inputs.to(target, non_blocking=True, memory_format=torch.channels_last)
        with torch.autocast(target.type, torch.bfloat16, enabled=half):
            scores = network(inputs)
        loss = functional.cross_entropy(pair_scores(scores.float()), labels.to(target))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
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
            save_checkpoint(folder, step, network, average, optimiser, identity)
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
        f"{_learning_rate(step, settings):.3e}",
        f"{speed:.0f}",
        f"{laue:.4f}",
        f"{lattice:.4f}",
    )
    append_row(folder, dict(zip(COLUMNS, values, strict=True)))
