# SPDX-License-Identifier: GPL-3.0-or-later
"""What the dock that teaches a network does in the background."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from numpy.typing import NDArray
from qtpy.QtCore import Signal

from ..errors import InputError
from .background import Background, Cancelled, Progress
from .network_loader import link_torch

if TYPE_CHECKING:
    from ..preprocessing import Preprocessing
    from ..scan import Scan
    from ..training.fine_tune_memory import SimulatedPatterns
    from ..training.fine_tune_scores import Share
    from ..training.fine_tune_settings import CurvePoint, FineTuneSettings

LOADING = "Loading the network"
READING = "Reading the labelled patterns"
SIMULATING = "Simulating patterns of other structures"
LEARNING = "Learning"

_LOOKS = 10  # points of the learning curve, at least
_APART = 20  # steps between two of them, at most


@dataclass(frozen=True, eq=False)
class TeachRequest:
    """What a network is to learn.

    Attributes
    ----------
    scan
        Open patterns.
    labels
        Label image, shape (rows, cols); 0 is unlabelled.
    classes
        Class of each label that occurs, like ``m-3m:cF``.
    names
        What the user calls each label, for the card.
    origin
        Where the labels come from, for the card.
    network, device
        As :func:`~.loading.load_classifier` takes them.
    target
        File for the new network; its card goes beside it.
    steps
        Optimiser steps at most.
    """

    scan: Scan
    labels: NDArray
    classes: Mapping[int, str]
    names: Mapping[int, str]
    origin: str
    network: str
    device: str
    target: Path
    steps: int


@dataclass(frozen=True, eq=False)
class Taught:
    """What a run gave.

    Attributes
    ----------
    target
        File of the new network; None where the run was stopped, and nothing is written yet.
    steps
        Optimiser steps done.
    before, after, gained
        Share of right names on held-out patterns by level; empty where nothing was held out.
    counts
        Patterns and regions of each part.
    held_to
        What it was held to while it learned, in words.
    """

    target: Path | None
    steps: int
    before: Mapping[str, Share]
    after: Mapping[str, Share]
    gained: Mapping[str, Share]
    counts: Mapping[str, Mapping[str, int]]
    held_to: str


class OtherStructures:
    """Simulated patterns on which a network is held to what it said before; made only once.

    Parameters
    ----------
    patterns, structures
        How many; those of :func:`~.training.fine_tune_memory.patterns_of_bundled` by default.
    """

    def __init__(self, patterns: int | None = None, structures: int | None = None) -> None:
        self._sizes = {
            name: number
            for name, number in (("patterns", patterns), ("structures", structures))
            if number is not None
        }
        self._lock = Lock()
        self._made: dict[str, SimulatedPatterns] = {}

    def of(self, preprocessing: Preprocessing, progress: Progress) -> SimulatedPatterns:
        """Return the patterns, prepared for a network."""
        from ..training.fine_tune_memory import patterns_of_bundled

        key = repr(preprocessing)
        with self._lock:
            if key not in self._made:
                made = patterns_of_bundled(preprocessing, progress=progress, **self._sizes)
                self._made = {key: made}
            return self._made[key]


class Teaching(Background):
    """One run of the teacher, in a thread of its own."""

    pointed = Signal(object)  # a CurvePoint
    entered = Signal(str)  # the part of the work that has begun

    def __init__(self, request: TeachRequest, others: OtherStructures) -> None:
        super().__init__(partial(teach, request, others, self._enter, self._point))

    def _enter(self, stage: str) -> None:
        self._say(self.entered, stage)

    def _point(self, point: CurvePoint) -> None:
        self._say(self.pointed, point)


class _Stopped(Exception):
    """The user stopped before anything was learned."""


def checkpoint_of(target: Path) -> Path:
    """Where a stopped run is kept: as ``fine-tune`` of the command line keeps its own."""
    return target.with_name(target.stem + ".checkpoint")


def teach(
    request: TeachRequest,
    others: OtherStructures,
    enter: Callable[[str], None],
    point: Callable[[CurvePoint], None],
    progress: Progress,
    cancelled: Cancelled,
) -> Taught | None:
    """Teach a network and write it.

    Parameters
    ----------
    request
        What it is to learn.
    others
        What it is held to meanwhile.
    enter
        Called with the part of the work that begins.
    point
        Called with each point of the learning curve.
    progress, cancelled
        As :class:`.Background` gives them.

    Returns
    -------
    Taught or None
        None where it was stopped before anything was learned.

    Raises
    ------
    InputError
        If the request does not fit the file, or the network cannot be written.
    """
    try:
        return _teach(request, others, enter, point, progress, cancelled)
    except _Stopped:
        return None
    except FloatingPointError as error:
        raise InputError(
            "the loss is no longer a number: check the labels, or begin with another network"
        ) from error


def _teach(
    request: TeachRequest,
    others: OtherStructures,
    enter: Callable[[str], None],
    point: Callable[[CurvePoint], None],
    progress: Progress,
    cancelled: Cancelled,
) -> Taught:
    def begin(stage: str) -> None:
        if cancelled():
            raise _Stopped
        enter(stage)

    def simulated(done: int, total: int) -> None:
        if cancelled():
            raise _Stopped
        progress(done, total)

    begin(LOADING)
    link_torch()
    from ..loading import load_classifier
    from ..training.fine_tune import fine_tune
    from ..training.fine_tune_labels import labelled_scan, pair_of

    # Steps of learning are too small for the shorter numbers that a map is made with.
    classifier = load_classifier(request.network, device=request.device, precision="float32")
    begin(READING)
    labelled = labelled_scan(
        request.scan,
        request.labels,
        {value: pair_of(name) for value, name in request.classes.items()},
        classifier.preprocessing,
        source={
            "labels": request.origin,
            "phases": {request.names[v]: name for v, name in request.classes.items()},
        },
    )
    begin(SIMULATING)
    memory = others.of(classifier.preprocessing, simulated)
    begin(LEARNING)
    steps = _Steps(request.steps, point, progress, cancelled)
    checkpoint = checkpoint_of(request.target)
    result = fine_tune(
        classifier,
        labelled,
        settings_for(request.steps),
        memory=memory,
        name=request.target.stem,
        checkpoint=checkpoint,
        report=steps.report,
        cancelled=steps.asked,
    )
    if result.finished:
        result.classifier.save(request.target)
        checkpoint.unlink(missing_ok=True)
    return Taught(
        request.target if result.finished else None,
        int(result.classifier.card["training"]["steps"]),
        result.before,
        result.after,
        result.gained,
        result.counts,
        f"{len(memory.inputs):,} simulated patterns of {memory.source['number']} other structures",
    )


def settings_for(steps: int) -> FineTuneSettings:
    """Settings of a run: those of the command line, with a curve of several points if short."""
    from ..training.fine_tune_settings import FineTuneSettings

    return FineTuneSettings(steps=steps, check_every=max(1, min(_APART, steps // _LOOKS)))


class _Steps:
    """Counts steps: the run asks before each of them whether it shall go on."""

    def __init__(
        self,
        total: int,
        point: Callable[[CurvePoint], None],
        progress: Progress,
        cancelled: Cancelled,
    ) -> None:
        self._done, self._total = 0, total
        self._point, self._progress, self._cancelled = point, progress, cancelled

    def report(self, point: CurvePoint) -> None:
        """Hand a point on; a run that goes on begins with those that it had."""
        self._done = point.step
        self._point(point)

    def asked(self) -> bool:
        """Whether the run shall end."""
        self._progress(min(self._done, self._total), self._total)
        self._done += 1
        return self._cancelled()
