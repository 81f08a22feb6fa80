# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell a network where the projection centre of a scan is: its file, its user, or its patterns."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from .centre_estimate import CentreEstimate, estimate_centre
from .errors import InputError
from .preprocessing import pattern_quality, prepare
from .projection_centre import WAYS, Told, was_estimated
from .screen import find_screen
from .symmetry_maps import Centre
from .tiles import scan_screen, spread_patterns

if TYPE_CHECKING:
    from .classifier import Classifier
    from .scan import Scan

__all__ = ["centred", "found_in", "will_be_estimated"]

# Looked at for an estimate; the clearest third counts.
_LOOKED_AT, _USED = 48, 16
# Shorter side of a frame in pixels, and how many times as long the longer one may be.
_SMALLEST, _LONGEST = 16, 2
# Estimates below this score are worse than none (benchmarks/centre.py --camera poor).
_TRUSTED = 3.0


def centred(
    scan: Scan,
    classifier: Classifier,
    projection_centre: Told = "auto",
    *,
    progress: Callable[[int, int], None] | None = None,
    earlier: Mapping[str, Any] | None = None,
) -> Classifier:
    """Return a classifier that knows where the projection centre of a scan's patterns is.

    Parameters
    ----------
    scan
        Open scan. Images of a folder are taken to be of one camera if they are of one size.
    classifier
        The network. One that makes nothing of the projection centre, or knows it, is returned as
        it is.
    projection_centre
        (PCx, PCy, PCz) in Bruker's convention; ``"file"``: what the file says, if it does;
        ``"estimate"``: from the patterns, which takes some seconds; ``"auto"``: as the file says,
        else from the patterns; None: do without.
    progress
        Called with the number of steps done and in all while it is estimated.
    earlier
        Provenance of a map of this scan: an estimate that this network made for it is taken over.
        Another process may find one that differs in the last digits.

    Raises
    ------
    InputError
        If it is no projection centre, or the file is damaged.
    """
    if isinstance(projection_centre, str) and projection_centre not in WAYS:
        raise InputError(
            f"the projection centre is {', '.join(WAYS)} or three numbers, "
            f"not {projection_centre!r}"
        )
    if not classifier.takes_centre or classifier.knows_centre or projection_centre is None:
        return classifier
    way = "given"
    if isinstance(projection_centre, str):
        way, asked = "file", projection_centre
        projection_centre = scan.projection_centre if asked != "estimate" else None
        if projection_centre is None:
            if asked == "file":
                return classifier
            if earlier is not None and _is_of(earlier, scan, classifier):
                return _recalled(classifier, earlier)
            return _by_patterns(scan, classifier, progress)
    size = classifier.preprocessing.size
    if scan.pattern_shape is not None:
        centre = Centre.of_screen(projection_centre, scan_screen(scan), size)
        return _noted(classifier.at(centre), way, projection_centre)
    screens = {shape: find_screen(frames) for shape, frames in _by_size(scan).items()}
    centres = {
        shape: Centre.of_screen(projection_centre, screen, size)
        for shape, screen in screens.items()
    }
    return _noted(classifier.at_sizes(centres), way, projection_centre)


def will_be_estimated(
    scan: Scan,
    classifier: Classifier,
    projection_centre: Told = "auto",
    *,
    earlier: Mapping[str, Any] | None = None,
) -> bool:
    """Whether :func:`centred` is going to take seconds, because it has to ask the patterns."""
    unknown = classifier.takes_centre and not classifier.knows_centre
    if projection_centre == "auto":
        unknown &= scan.projection_centre is None
    elif projection_centre != "estimate":
        return False
    return unknown and (earlier is None or not _is_of(earlier, scan, classifier))


def found_in(
    frames: np.ndarray,
    classifier: Classifier,
    screen: np.ndarray,
    background: np.ndarray | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[CentreEstimate, Centre] | None:
    """Projection centre of some frames of one camera, from the frames themselves.

    Parameters
    ----------
    frames
        Shape (n, h, w); the clearest ones are used.
    classifier
        With a member that looks at symmetry maps.
    screen, background
        Screen mask and static background (h, w).
    progress
        See :func:`centred`.

    Returns
    -------
    tuple or None
        What was found, and where that is in prepared patterns; None if it cannot be relied on.
    """
    sides = sorted(screen.shape)
    if sides[0] < _SMALLEST or sides[1] > _LONGEST * sides[0]:
        return None  # no detector's frame
    member = next(m for m in classifier.network.members if m.maps is not None)
    inputs = prepare(frames, classifier.preprocessing, mask=screen, background=background)
    clearest = np.argsort(-pattern_quality(inputs).numpy(), kind="stable")[:_USED]
    patterns = inputs[torch.from_numpy(np.sort(clearest))].to(classifier.device)
    estimate = estimate_centre(member, patterns, screen, progress=progress)
    if estimate.score < _TRUSTED:
        return None
    size = classifier.preprocessing.size
    return estimate, Centre.of_screen(estimate.projection_centre, screen, size)


def _by_patterns(
    scan: Scan, classifier: Classifier, progress: Callable[[int, int], None] | None
) -> Classifier:
    """As the patterns themselves tell, if they do."""
    if scan.pattern_shape is not None:
        background = scan.static_background
        frames = spread_patterns(scan, _LOOKED_AT)
        found = found_in(frames, classifier, scan_screen(scan), background, progress)
        if found is None:
            return classifier
        estimate, centre = found
        return _noted(classifier.at(centre), "estimated", estimate.projection_centre)
    centres = {}
    for shape, frames in _by_size(scan).items():
        found = found_in(frames, classifier, find_screen(frames), None, progress)
        if found is not None:
            centres[shape] = found[1]
    return _noted(classifier.at_sizes(centres), "estimated", None) if centres else classifier


def _is_of(earlier: Mapping[str, Any], scan: Scan, classifier: Classifier) -> bool:
    """Whether a map has an estimate that this network made from the patterns of this scan."""
    name = earlier.get("source", scan.path.name)  # an unfinished run tells the hash alone
    same = name == scan.path.name and earlier.get("network_sha256") == classifier.sha256
    return same and was_estimated(earlier)


def _recalled(classifier: Classifier, earlier: Mapping[str, Any]) -> Classifier:
    found = classifier.told(earlier["centre"])
    found.card["told"] = dict(earlier["projection_centre"])
    return found


def _noted(
    classifier: Classifier, way: str, where: tuple[float, float, float] | None
) -> Classifier:
    """Enter for the provenance of a map where the projection centre came from."""
    values = None if where is None else [round(float(value), 4) for value in where]
    classifier.card["told"] = {"from": way, **({} if values is None else {"bruker": values})}
    return classifier


def _by_size(scan: Scan) -> dict[tuple[int, int], np.ndarray]:
    """The first images of each size of a folder."""
    frames: defaultdict[tuple[int, int], list[np.ndarray]] = defaultdict(list)
    for row, col in np.ndindex(*scan.shape):
        frame = scan.pattern(row, col)
        if len(frames[frame.shape]) < _LOOKED_AT:
            frames[frame.shape].append(frame)
    return {shape: np.stack(group) for shape, group in frames.items()}
