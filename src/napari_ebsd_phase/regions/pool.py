# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at the patterns of a region and pool what they say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .. import crystallography
from ..centring import centred
from ..decoding import best_pair, decode
from ..errors import InputError
from ..mapping import check_region, default_batch_size, scan_screen
from ..phase_map import PhaseMap
from ..preprocessing import pattern_quality, prepare
from ..screen import find_screen
from .identification import Identification
from .notes import notes
from .views import independent_views, shares, signatures

if TYPE_CHECKING:
    from ..classifier import Classifier
    from ..mapping import Region
    from ..projection_centre import Told
    from ..scan import Scan

__all__ = ["identify", "identify_regions", "spread_evenly"]

_LISTED = 0.01  # least probability of a pair that is listed
_BATCH = 64  # most patterns between two calls of `progress`
_NOISE_FRAMES = 16
_SCORES = len(crystallography.POINT_GROUPS) + len(crystallography.BRAVAIS_LATTICES)
_GOLDEN = (5**0.5 - 1) / 2


def identify(
    scan: Scan,
    classifier: Classifier,
    region: Region | np.ndarray | None = None,
    *,
    prior: str | np.ndarray = "known",
    max_patterns: int = 500,
    batch_size: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    projection_centre: Told = "auto",
) -> Identification:
    """Say what one region of a scan is.

    The region is taken to be of one phase; the notes say if its views disagree. The class prior
    counts once, not once a pattern. How patterns are grouped into views and how views are
    weighed is told in :mod:`.views`. One pattern alone gives what :func:`.classify` gives.

    Parameters
    ----------
    scan
        Open scan.
    classifier
        The network.
    region
        Rows and columns, or bool of the map's shape; the whole map when None.
    prior
        Class prior, as text or as frequencies of shape (32, 14).
    max_patterns
        Most patterns to read, spread evenly over the region; the same ones every time.
    batch_size
        Patterns that go through the network at once, 64 at most; chosen by their size when None.
    progress
        Called with the number of patterns done and to be done.
    cancelled
        Asked now and then; when true, the answer is that of the patterns done so far.
    projection_centre
        See :func:`.centring.centred`.

    Returns
    -------
    Identification

    Raises
    ------
    InputError
        If the region is empty or does not fit the map, or another parameter is wrong.
    """
    found = identify_regions(
        scan,
        classifier,
        [region],
        prior=prior,
        max_patterns=max_patterns,
        batch_size=batch_size,
        progress=progress,
        cancelled=cancelled,
        projection_centre=projection_centre,
    )
    return next(found)


def identify_regions(
    scan: Scan,
    classifier: Classifier,
    regions: Iterable[Region | np.ndarray | None],
    *,
    prior: str | np.ndarray = "known",
    max_patterns: int = 500,
    batch_size: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    projection_centre: Told = "auto",
) -> Iterator[Identification]:
    """Say what each of several regions is, one after the other.

    Parameters, and errors when the first answer is asked for, are those of :func:`identify`.
    """
    for name, number in (("number of patterns", max_patterns), ("batch size", batch_size)):
        if number is not None and number < 1:
            raise InputError(f"the {name} must be 1 or more, not {number}")
    classifier = centred(scan, classifier, projection_centre)
    frequencies = classifier.prior(prior) if isinstance(prior, str) else np.asarray(prior)
    reader: _Reader | None = None
    for region in regions:
        places = _places(scan.shape, region)
        chosen = places[spread_evenly(len(places), max_patterns)]
        reader = reader or _Reader(scan, classifier, batch_size)
        seen = reader.look(chosen, progress, cancelled)
        answer, said = _answer(classifier, frequencies, len(places), seen)
        sentences = notes(
            answer,
            said,
            stopped=len(seen.scores) < len(chosen),
            tells_patterns=classifier.tells_patterns,
            background=scan.static_background is not None,
        )
        yield replace(answer, notes=tuple(sentences))


def _places(shape: tuple[int, int], region: Region | np.ndarray | None) -> np.ndarray:
    """Numbers of the map points of a region, row by row."""
    if region is None or isinstance(region, tuple):
        rows, cols = check_region(shape, region)
        return np.arange(shape[0] * shape[1]).reshape(shape)[rows, cols].ravel()
    mask = np.asarray(region)
    if mask.dtype != bool:
        raise InputError(f"the mask of a region must be of True and False, not of {mask.dtype}")
    if mask.shape != shape:
        size = " x ".join(map(str, mask.shape))
        raise InputError(
            f"the mask of the region is {size} points, the map {shape[0]} x {shape[1]}: make a "
            "mask of this map"
        )
    places = np.flatnonzero(mask)
    if not places.size:
        raise InputError("the region is empty: its mask is True nowhere")
    return places


def spread_evenly(count: int, most: int) -> np.ndarray:
    """At most `most` of the numbers below `count`, spread evenly, in order.

    One is taken of each piece of the range. Its place in the piece goes on by the golden ratio:
    with equal distances all could lie in one column of a map.
    """
    if count <= most:
        return np.arange(count)
    edges = np.arange(most + 1) * count // most
    place = np.arange(most) * _GOLDEN % 1
    return edges[:-1] + (place * np.diff(edges)).astype(int)


class _Seen(NamedTuple):
    """What was seen of n patterns: scores (n, 46), whether each counts (n,), signatures."""

    scores: np.ndarray
    counts: np.ndarray
    signatures: np.ndarray


class _Reader:
    """Reads patterns of one scan and asks the network about them."""

    def __init__(self, scan: Scan, classifier: Classifier, batch_size: int | None) -> None:
        self.scan = scan
        self.classifier = classifier
        # The images of a folder may come from several cameras: each has its own screen.
        self.screen = None if scan.path.is_dir() else scan_screen(scan)
        batch = min(batch_size or default_batch_size(scan.pattern_shape), _BATCH)
        self.batch = 1 if self.screen is None else batch
        self.noise: dict[tuple[int, ...], float] = {}

    def look(
        self,
        places: np.ndarray,
        progress: Callable[[int, int], None] | None,
        cancelled: Callable[[], bool] | None,
    ) -> _Seen:
        """Look at the patterns of some map points, as far as nobody cancels."""
        parts = []
        for start in range(0, len(places), self.batch):
            if cancelled and cancelled():
                break
            part = places[start : start + self.batch]
            parts.append(self._look_at(part))
            if progress:
                progress(start + len(part), len(places))
        if not parts:
            return _Seen(np.zeros((0, _SCORES)), np.zeros(0, bool), np.zeros((0, 1)))
        return _Seen(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))

    def _look_at(self, places: np.ndarray) -> _Seen:
        cols = self.scan.shape[1]
        frames = np.stack([self.scan.pattern(*divmod(int(i), cols)) for i in places])
        screen = find_screen(frames) if self.screen is None else self.screen
        background = self.scan.static_background
        settings = self.classifier.preprocessing
        outputs = self.classifier.scores(
            frames, background=background, mask=screen, batch_size=self.batch
        )
        inputs = prepare(frames, settings, background=background, mask=screen)[:, 0].numpy()
        if self.classifier.tells_patterns:
            counts = outputs.pattern >= self.classifier.quality_threshold
        else:
            counts = outputs.quality >= self.classifier.quality_threshold
            counts &= outputs.quality > self._quality_of_noise(screen)
        return _Seen(outputs.scores, counts, signatures(inputs))

    def _quality_of_noise(self, screen: np.ndarray) -> float:
        """Highest quality of frames of nothing but noise.

        Near 0 for large frames, but up to 0.98 for frames smaller than the network input, since
        enlarging noise makes it smooth.
        """
        if screen.shape not in self.noise:
            rng = np.random.default_rng(0)
            quality = []
            for _ in range(_NOISE_FRAMES):  # one at a time: frames can be large
                frame = rng.standard_normal((1, *screen.shape))
                inputs = prepare(frame, self.classifier.preprocessing, mask=screen)
                quality.append(float(pattern_quality(inputs)))
            self.noise[screen.shape] = float(np.mean(quality) + 4 * np.std(quality))
        return self.noise[screen.shape]


def _answer(
    classifier: Classifier, prior: np.ndarray, patterns: int, seen: _Seen
) -> tuple[Identification, np.ndarray]:
    """Pool what was seen of a region; the share of the views that say each lattice alone, (14,)."""
    scores = seen.scores[seen.counts]
    share = shares(seen.signatures[seen.counts])
    views = float(share.sum())
    weight, mean = 0.0, np.zeros(_SCORES)
    if len(scores):
        weight = independent_views(views)
        mean = share @ scores / views
    point_group, lattice, pairs = _pooled(classifier, prior, mean, weight)
    one_point = PhaseMap(
        point_group[np.newaxis, np.newaxis],
        lattice[np.newaxis, np.newaxis],
        np.full((1, 1), float(len(scores) > 0)),
        threshold=classifier.threshold,
        quality_threshold=0.5,
    )
    label, level = one_point.decide()
    answer = Identification(
        patterns=patterns,
        used=len(seen.scores),
        nameable=len(scores),
        views=views,
        weight=weight,
        point_group_probabilities=point_group,
        bravais_probabilities=lattice,
        threshold=classifier.threshold,
        label=str(label[0, 0]),
        level=str(level[0, 0]),
        pairs=pairs,
        notes=(),
    )
    alone = best_pair(*classifier.probabilities(scores, prior))[1]
    said = np.bincount(alone, share, len(lattice)) / max(views, 1.0)
    return answer, said


def _pooled(
    classifier: Classifier, prior: np.ndarray, mean: np.ndarray, weight: float
) -> tuple[np.ndarray, np.ndarray, list[tuple[str, str, float]]]:
    """Probabilities (32,) and (14,) and those of pairs, from the mean scores (46,) of the views."""
    trained = np.asarray(classifier.card["training_prior"])
    # Without evidence there is nothing to calibrate: the prior stays as it is.
    temperature = float(classifier.card["temperature"]) if weight else 1.0

    def decoded(expected: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        point_groups, lattices = decode(
            weight * mean[np.newaxis],
            prior=expected,
            # The scores hold the training frequencies as many times as they are counted.
            training_prior=(trained / trained.max()) ** weight,
            temperature=temperature,
        )
        return point_groups[0], lattices[0]

    point_group, lattice = decoded(prior)
    pairs = []
    for index, name in enumerate(crystallography.BRAVAIS_LATTICES):
        if lattice[index] < _LISTED:
            continue
        # If nothing else is expected, the point groups are those that go with this lattice.
        only = np.where(np.arange(len(lattice)) == index, prior, 0.0)
        joint = zip(crystallography.POINT_GROUPS, decoded(only)[0] * lattice[index], strict=True)
        pairs += [(group, name, float(p)) for group, p in joint if p >= _LISTED]
    return point_group, lattice, sorted(pairs, key=lambda pair: -pair[2])
