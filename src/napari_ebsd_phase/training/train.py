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
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
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
from .disturbances import draw_disturbed_group
from .log import COLUMNS, append_row, trim
from .materials import Material
from .optimiser import Optimiser
from .pattern_simulation import FAST, GOOD, TRAINING, Camera, simulate_group
from .structures import known_structures

__all__ = ["PatternStream", "TrainingSettings", "train"]

CLASSES = len(POINT_GROUPS) + len(BRAVAIS_LATTICES)


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
    seed
        Of weights and patterns.
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
        self.ramp = camera is TRAINING and settings.easy > 0
        labels = [
            (POINT_GROUPS.index(m.point_group), BRAVAIS_LATTICES.index(m.bravais))
            for m in self.materials
        ]
        self.labels = np.array(labels, dtype=np.int64)
        pair_of = {(int(p), int(b)): i for i, (p, b) in enumerate(PAIRS)}
        self.pairs = np.array([pair_of[label] for label in labels], dtype=np.int64)
        self.apparent = self.pairs.copy()
        for i, material in enumerate(self.materials):
            if material.apparent is not None:
                group, lattice = material.apparent
                self.apparent[i] = pair_of[
                    POINT_GROUPS.index(group), BRAVAIS_LATTICES.index(lattice)
                ]
        table = known_structures()[PAIRS[:, 0], PAIRS[:, 1]]
        share = np.maximum(table, 0.5) ** settings.balance
        share[np.bincount(self.pairs, minlength=len(PAIRS)) == 0] = 0.0
        self.pair_frequency = share / share.sum()
        self.material_frequency = self._material_frequency()

    def _material_frequency(self) -> np.ndarray:
        """How often each material is drawn: by pair, within it by kind, and then alike."""
        kinds = np.array([m.kind for m in self.materials])
        shares = self.settings.kinds
        frequency = np.zeros(len(kinds))
        for pair in np.unique(self.pairs):
            here = self.pairs == pair
            weights = {k: shares.get(k, 0.0) for k in np.unique(kinds[here]).tolist()}
            total = sum(weights.values())
            for kind, weight in weights.items():
                members = here & (kinds == kind)
                # A pair of which there are only kinds with no share is not lost.
                part = weight / total if total > 0 else 1 / len(weights)
                frequency[members] = self.pair_frequency[pair] * part / members.sum()
        return frequency / frequency.sum()

    def training_prior(self) -> np.ndarray:
        """Frequency of each pair in the stream, shape (32, 14)."""
        table = np.zeros(COMPATIBLE.shape)
        table[PAIRS[:, 0], PAIRS[:, 1]] = self.pair_frequency
        return table

    def batch(self, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Batch by number: input (batch, 1, size, size) and pair indices (batch,).

        The index is -1 where there is no single pattern.
        """
        s = self.settings
        rng = np.random.default_rng([s.seed, number])
        drawn = rng.choice(len(self.materials), size=s.batch_size, p=self.material_frequency)
        # Where a camera sees more symmetry than there is, either answer is right half the time.
        labels = np.where(rng.random(len(drawn)) < 0.5, self.pairs[drawn], self.apparent[drawn])
        inputs = []
        for start in range(0, s.batch_size, s.group):
            part = drawn[start : start + s.group]
            easy = self.ramp and rng.random() > number / max(1.0, s.easy * s.steps)
            camera = GOOD if easy else self.camera
            if rng.random() < s.disturbed:
                frames, mask = draw_disturbed_group(
                    len(part), self.stack, self.materials, camera, rng
                )
                labels[start : start + s.group] = -1
            else:
                chosen = np.array([rng.choice(self.materials[m].masters) for m in part])
                frames, mask = simulate_group(self.stack, chosen, camera, rng)
            inputs.append(prepare(frames, s.preprocessing, mask=mask))
        return torch.cat(inputs), torch.from_numpy(labels)

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
        best = pair_scores(network(inputs.to(device)).float()).argmax(dim=1).cpu().numpy()
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
    optimiser = Optimiser(
        network, settings.learning_rate, settings.matrix_learning_rate, settings.weight_decay
    )
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
        PatternStream(stack, materials["calibration"], replace(settings, disturbed=0.0), FAST)
        if materials.get("calibration")
        else None
    )
    half = target.type == "cuda" or _cpu_has_bfloat16()
    saved = started = time.monotonic()
    since, losses = step, []
    for inputs, labels in stream.batches(step, settings.steps, workers):
        network.train()
        optimiser.scale_learning_rates(_rate(step, settings))
        inputs = inputs.to(target, non_blocking=True, memory_format=torch.channels_last)
        with torch.autocast(target.type, torch.bfloat16, enabled=half):
            scores = network(inputs)
        loss = training_loss(scores.float(), labels.to(target))
        optimiser.zero_grad()
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
        f"{settings.learning_rate * _rate(step, settings):.3e}",
        f"{speed:.0f}",
        f"{laue:.4f}",
        f"{lattice:.4f}",
    )
    append_row(folder, dict(zip(COLUMNS, values, strict=True)))
