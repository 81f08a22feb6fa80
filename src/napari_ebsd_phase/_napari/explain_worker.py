# SPDX-License-Identifier: GPL-3.0-or-later
"""What the pattern dock asks in the background: patterns, what the network says, heat maps."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from threading import Thread
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QObject, Signal

from ..crystallography import names
from ..errors import InputError
from ..phase_map import PhaseMap
from .network_loader import link_torch
from .pattern_view import NetworkView
from .zone_overlay import ZoneFinder, ZoneOverlay, unknown_text

if TYPE_CHECKING:
    from ..classifier import Classifier
    from ..scan import Scan
    from ..zone_axes import Orientation
    from .session import MapSession

# The method whose heat map is there as soon as the rest.
_AT_ONCE = "cam"


@dataclass(frozen=True, eq=False)
class PatternQuestion:
    """Which pattern to read."""

    ticket: int
    session: MapSession
    row: int
    col: int


@dataclass(frozen=True, eq=False)
class PatternAnswer:
    """A pattern (h, w) from the file."""

    ticket: int
    pattern: NDArray


def read_pattern(question: PatternQuestion) -> Iterator[PatternAnswer]:
    """Read one pattern.

    Raises
    ------
    InputError
        If the pattern file is not there, or damaged.
    """
    yield PatternAnswer(question.ticket, question.session.pattern(question.row, question.col))


@dataclass(frozen=True)
class Request:
    """How a pattern is to be explained.

    Attributes
    ----------
    level
        One of :data:`~.crystallography.LEVELS`.
    target
        Class whose evidence is drawn; None for the one that the map reports.
    against
        Class that it is weighed against; None for all others.
    method
        One of :data:`~.saliency.METHODS`; None for no heat map.
    as_seen
        Whether the pattern as the network sees it is wanted.
    """

    level: str = "point_group"
    target: str | None = None
    against: str | None = None
    method: str | None = "cam"
    as_seen: bool = False


@dataclass(frozen=True, eq=False)
class Question:
    """A pattern to explain.

    Attributes
    ----------
    ticket
        Comes back with the answer.
    session, row, col
        Which pattern.
    request
        How it is to be explained.
    known
        What the map says of it, a map of one pixel; None before it is classified.
    """

    ticket: int
    session: MapSession
    row: int
    col: int
    request: Request
    known: PhaseMap | None = None


@dataclass(frozen=True, eq=False)
class WarmUp:
    """Patterns of this will be asked about: what takes long for the first is done now."""

    session: MapSession


@dataclass(frozen=True, eq=False)
class Answer:
    """What the network says of a pattern.

    Attributes
    ----------
    ticket, request
        Those of the question.
    pattern
        The pattern, (h, w).
    result
        A map of one pixel.
    computed
        Whether `result` was computed for this pattern alone, and not taken from the map.
    network
        Name of the network that was asked.
    same_network
        Whether it is the one that made the map.
    target, against
        Classes that the heat map is about; `against` is None where it would be the target itself.
    heat
        float32 (h, w) in [0, 1]; None while it is at work.
    seen
        The pattern as the network sees it, if wanted.
    zones
        Bands and zone axes, where the file has an orientation; None while they are sought.
    no_zones
        Why there are none; empty where there are, or they are sought.
    """

    ticket: int
    request: Request
    pattern: NDArray
    result: PhaseMap
    computed: bool
    network: str
    same_network: bool
    target: str
    against: str | None
    heat: NDArray[np.float32] | None = None
    seen: NetworkView | None = None
    zones: ZoneOverlay | None = None
    no_zones: str = ""


class Explainer(QObject):
    """Answers questions about patterns; keeps networks and screens for the next one."""

    #: How far a heat map is that takes long: ticket of the question, steps done and in all.
    progressed = Signal(int, int, int)

    def __init__(self) -> None:
        super().__init__()
        self._oldest = 0
        self._networks: dict[str, Classifier] = {}
        self._told: weakref.WeakKeyDictionary[Scan, tuple[Any, Classifier]] = (
            weakref.WeakKeyDictionary()
        )
        self._screens: weakref.WeakKeyDictionary[Scan, NDArray[np.bool_]] = (
            weakref.WeakKeyDictionary()
        )
        self._zones = ZoneFinder()

    def drop_before(self, ticket: int) -> None:
        """End what is at work for a question with a smaller ticket; from any thread."""
        self._oldest = ticket

    def drop_all(self, *_: object) -> None:
        """End what is at work, and what may be asked from now on: whoever asked has gone."""
        self._oldest = sys.maxsize

    def answer(self, question: Question | WarmUp) -> Iterator[Answer]:
        """Say what the network says, with the heat map or, where that takes long, before it, too.

        A pattern that cannot be read has no answer: :func:`read_pattern` says why.

        Raises
        ------
        InputError
            If the network cannot be read, or a method is not installed.
        """
        if isinstance(question, WarmUp):
            # Imports the libraries, loads the network, finds the screen, fills all caches.
            for _ in self.answer(Question(0, question.session, 0, 0, Request())):
                pass
            return
        try:
            pattern = question.session.pattern(question.row, question.col)
        except InputError:
            return  # who reads it for the picture says so, once
        request, session = question.request, question.session
        assert session.scan is not None
        provenance = provenance_of(session)
        classifier, same = self._classifier(provenance, session.scan)
        mask = self._screen(session.scan, pattern)
        background = session.scan.static_background
        prior = prior_of(provenance)
        result = question.known
        if result is None:
            result = _classify(classifier, pattern, prior, background, mask)
            result.threshold = session.threshold
        level = request.level
        target = request.target or names(level)[int(result.most_probable(level)[0][0, 0])]
        against = None if request.against == target else request.against
        answer = Answer(
            question.ticket,
            request,
            pattern,
            result,
            question.known is None,
            classifier.name,
            same,
            target,
            against,
        )
        if request.as_seen:
            answer = replace(answer, seen=_as_seen(classifier, pattern, background, mask))
        orientation = None
        try:
            orientation = self._zones.orientation(session.scan, question.row, question.col)
            if self._zones.knows(session.scan, orientation):
                zones = self._zones.find(session.scan, orientation)
                answer, orientation = replace(answer, zones=zones), None
        except InputError as error:
            answer = replace(answer, no_zones=unknown_text(error))

        def with_heat(method: str, **watched: Callable[..., Any]) -> Answer:
            from ..saliency import explain

            heat = explain(
                pattern,
                classifier,
                target,
                level=level,
                against=against,
                method=method,
                prior=prior,
                background=background,
                mask=mask,
                **watched,
            )
            return replace(answer, heat=heat)

        method = request.method
        if method == _AT_ONCE:
            answer, method = with_heat(_AT_ONCE), None
        yield answer
        if orientation is not None:
            # A crystal that was not met before takes longer than a heat map at once.
            answer = self._with_zones(answer, session.scan, orientation)
            yield answer
        if method is not None:
            from ..saliency import Cancelled

            with suppress(Cancelled):  # nobody waits for it any more
                yield with_heat(
                    method,
                    progress=partial(self.progressed.emit, question.ticket),
                    cancelled=lambda: question.ticket < self._oldest,
                )

    def _with_zones(self, answer: Answer, scan: Scan, orientation: Orientation) -> Answer:
        try:
            return replace(answer, zones=self._zones.find(scan, orientation))
        except InputError as error:
            return replace(answer, no_zones=unknown_text(error))

    def _classifier(self, provenance: Mapping[str, object], scan: Scan) -> tuple[Classifier, bool]:
        """Network that made the map, if it is installed, else the default one."""
        # Where torch is imported first, the interface would stand still for half a second.
        link_torch()
        from ..loading import load_classifier

        name = network_of(provenance)
        if not self._networks:
            _use_one_thread()
        if name not in self._networks:
            # One pattern at a time: an accelerator gains nothing, and has the map to do.
            self._networks[name] = load_classifier(name, device="cpu")
        classifier = self._networks[name]
        same = provenance.get("network_sha256", classifier.sha256) == classifier.sha256
        return self._at_centre(name, provenance, scan), same

    def _at_centre(self, name: str, provenance: Mapping[str, object], scan: Scan) -> Classifier:
        """The network as the map was made with it, or would be."""
        from ..centring import centred

        classifier = self._networks[name]
        told: Any = provenance.get("centre")
        if told is None and "network_sha256" in provenance:
            return classifier  # a map that was made without
        # Told anew for every pattern it would cost more than the answer.
        place = name, str(told)
        if self._told.get(scan, (None,))[0] != place:
            # Without a map nobody waits seconds for an estimate.
            found = centred(scan, classifier, "file") if told is None else classifier.told(told)
            self._told[scan] = place, found
        return self._told[scan][1]

    def _screen(self, scan: Scan, pattern: NDArray) -> NDArray[np.bool_]:
        """Screen mask, found as for the map."""
        from ..mapping import scan_screen
        from ..screen import find_screen

        if scan.path.is_dir():
            return find_screen(pattern[np.newaxis])
        if scan not in self._screens:
            self._screens[scan] = scan_screen(scan)
        return self._screens[scan]


def pixel_of(phase_map: PhaseMap, row: int, col: int, threshold: float) -> PhaseMap | None:
    """Return a map of one pixel of a larger one, or None where that is not classified.

    It is a copy: it does not keep the larger one in memory.
    """
    if not phase_map.done[row, col]:
        return None
    here = slice(row, row + 1), slice(col, col + 1)
    return PhaseMap(
        phase_map.point_group_probabilities[here].copy(),
        phase_map.bravais_probabilities[here].copy(),
        phase_map.pattern_quality[here].copy(),
        threshold=threshold,
        quality_threshold=phase_map.quality_threshold,
    )


def _use_one_thread() -> None:
    """Let torch compute in the calling thread alone, and in others as before.

    Sharing the work of one pattern gains nothing, and while a map is classified the shares wait for
    each other: a heat map then takes several times as long. torch has this number for each thread,
    but threads that begin later take over what was set last: hence the second thread.
    """
    import torch

    others = torch.get_num_threads()
    torch.set_num_threads(1)
    restoring = Thread(target=torch.set_num_threads, args=(others,))
    restoring.start()
    restoring.join()


def provenance_of(session: MapSession) -> Mapping[str, object]:
    """How the map is made, or is going to be."""
    if session.phase_map is None:
        return {"prior": session.prior}
    return session.phase_map.provenance


def network_of(provenance: Mapping[str, object]) -> str:
    """Name of the network that made the map, if it is installed, else of the default one."""
    from ..loading import installed_classifiers

    name = str(provenance.get("network", "default"))
    return name if name in installed_classifiers() else "default"


def prior_of(provenance: Mapping[str, object]) -> str | np.ndarray:
    """Class prior of the map."""
    prior = provenance.get("prior", "uniform")
    return prior if isinstance(prior, str) else np.asarray(prior, float)


def _classify(
    classifier: Classifier,
    pattern: NDArray,
    prior: str | np.ndarray,
    background: np.ndarray | None,
    mask: np.ndarray,
) -> PhaseMap:
    """Ask the network about one pattern, as for a map of it."""
    outputs = classifier.scores(pattern[np.newaxis], background=background, mask=mask)
    groups, lattices = classifier.probabilities(outputs.scores, prior)
    quality = outputs.pattern if classifier.tells_patterns else outputs.quality
    return PhaseMap(
        groups[np.newaxis],
        lattices[np.newaxis],
        quality[np.newaxis],
        quality_threshold=classifier.quality_threshold,
    )


def _as_seen(
    classifier: Classifier,
    pattern: NDArray,
    background: np.ndarray | None,
    mask: NDArray[np.bool_],
) -> NetworkView:
    from ..preprocessing import fit_screen, prepare
    from ..saliency.projection import screen_on_detector

    settings = classifier.preprocessing
    pixels = prepare(pattern[np.newaxis], settings, background=background, mask=mask)
    height, width = pattern.shape
    fit = fit_screen(screen_on_detector((height, width), mask, background), settings.size)
    return NetworkView(pixels[0, 0].numpy(), fit.row0, fit.col0, fit.scale)
