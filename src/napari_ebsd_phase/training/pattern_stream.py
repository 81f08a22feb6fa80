# SPDX-License-Identifier: GPL-3.0-or-later
"""The patterns of a training run: simulated on the fly, labelled, prepared, in batches."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from ..crystallography import BRAVAIS_LATTICES, COMPATIBLE, POINT_GROUPS
from ..decoding import PAIRS
from ..errors import InputError
from ..preprocessing import fit_screen, prepare
from ..symmetry_maps import Centre, symmetry_maps
from .disturbances import draw_disturbed_group
from .materials import Material
from .pattern_simulation import GOOD, TRAINING, Camera, simulate_group, standing
from .settings import TrainingSettings
from .structures import known_structures
from .symmetry_targets import line_targets

__all__ = ["Batch", "PatternStream"]


class Batch(NamedTuple):
    """What one step learns from.

    Parameters
    ----------
    inputs
        (batch, 1, size, size) prepared patterns, or (batch, 22, 28, 28) their symmetry maps if that
        is what the network looks at.
    labels
        (batch,) pair indices, -1 where there is no single pattern.
    symmetry
        (batch, 5, offsets, angles), where axes and mirror planes lie, see
        :func:`.symmetry_targets.line_targets`; None if the settings give it no weight.
    """

    inputs: torch.Tensor
    labels: torch.Tensor
    symmetry: torch.Tensor | None


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
        self.apparent = self.pairs.copy()
        for i, material in enumerate(self.materials):
            if material.apparent is not None:
                group, lattice = material.apparent
                self.apparent[i] = pair_of[
                    POINT_GROUPS.index(group), BRAVAIS_LATTICES.index(lattice)
                ]
        # What looks like more symmetry than it has gets no axes: neither answer would be right.
        self.space_groups = np.array(
            [m.space_group if m.apparent is None else 0 for m in self.materials], dtype=np.int64
        )
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
        """Inputs and labels of a :class:`Batch` by number."""
        return self.whole_batch(number, symmetry=False)[:2]

    def whole_batch(self, number: int, *, symmetry: bool) -> Batch:
        """Batch by number; the same patterns with and without their symmetry elements."""
        s = self.settings
        rng = np.random.default_rng([s.seed, number])
        drawn = rng.choice(len(self.materials), size=s.batch_size, p=self.material_frequency)
        # Where a camera sees more symmetry than there is, either answer is right half the time.
        geometry = np.zeros((s.group, 13))
        labels = np.where(rng.random(len(drawn)) < 0.5, self.pairs[drawn], self.apparent[drawn])
        inputs, places = [], []
        for start in range(0, s.batch_size, s.group):
            part = drawn[start : start + s.group]
            told = geometry[: len(part)]
            # Drawn in any case: the same frames come whether the run begins easily or not.
            turn = rng.random()
            easy = s.easy > 0 and turn > number / max(1.0, s.easy * s.steps)
            camera = GOOD if easy else self.camera
            stands = (0.5, 0.5, 0.5)
            if s.architecture.view == "symmetry":
                camera, stands = standing(camera, rng)
            if rng.random() < s.disturbed:
                frames, mask = draw_disturbed_group(
                    len(part), self.stack, self.materials, camera, rng
                )
                labels[start : start + s.group] = -1
                known = np.zeros(len(part), dtype=np.int64)
            else:
                chosen = np.array([rng.choice(self.materials[m].masters) for m in part])
                frames, mask = simulate_group(
                    self.stack, chosen, camera, rng, geometry[: len(part)]
                )
                known = self.space_groups[part]
            prepared = prepare(frames, s.preprocessing, mask=mask)
            if s.architecture.view == "symmetry":
                centre = Centre.of_screen(stands, mask, s.preprocessing.size)
                prepared = symmetry_maps(prepared, _misjudged(centre, s.preprocessing.size, rng))
            inputs.append(prepared)
            if symmetry:
                size = s.preprocessing.size
                fit = fit_screen(mask, size)
                places.append(line_targets(known, told, fit, size, symmetry_cells(s)))
        elements = torch.from_numpy(np.concatenate(places)) if symmetry else None
        return Batch(torch.cat(inputs), torch.from_numpy(labels), elements)

    def batches(self, first: int, last: int, workers: int = 1) -> Iterator[Any]:
        """Every :class:`Batch` from ``first`` to ``last - 1`` in order, made ahead by threads."""
        symmetry = self.settings.symmetry > 0
        slots = [queue.Queue[Any](maxsize=4) for _ in range(workers)]
        stop = threading.Event()

        def produce(worker: int) -> None:
            for number in range(first + worker, last, workers):
                try:
                    item: Any = self.whole_batch(number, symmetry=symmetry)
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


def symmetry_cells(settings: TrainingSettings) -> tuple[int, int]:
    """Offsets and angles of the symmetry elements' places: a quarter of the network's view."""
    shape = settings.architecture
    return shape.offsets // 4, shape.angles // 4


# Share of the groups, and standard deviation of the projection centre, across and in distance, in
# widths of the screen: as files have it, as it is estimated from a map, and from a pattern or two.
_MISJUDGED = ((0.5, 0.015, 0.02), (0.35, 0.04, 0.07), (0.15, 0.08, 0.12))


def _misjudged(centre: Centre, size: int, rng: np.random.Generator) -> Centre:
    """A projection centre as it is known, more or less well."""
    shares, *errors = zip(*_MISJUDGED, strict=True)
    across, along = np.array(errors)[:, rng.choice(len(shares), p=shares)] * size
    x, y, distance = np.array(centre) + rng.normal(0, (across, across, along))
    return Centre(float(x), float(y), max(float(distance), 0.2 * size))
