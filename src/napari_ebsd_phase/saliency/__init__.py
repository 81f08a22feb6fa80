# SPDX-License-Identifier: GPL-3.0-or-later
"""Heat maps: which part of a pattern speaks for a class."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..errors import InputError
from ..network_mean import mean_scores
from ..preprocessing import prepare
from .cam import class_activation_maps
from .perturbation import PERTURBATIONS, perturbation_map, steps_of
from .projection import screen_on_detector, to_detector, to_input
from .targets import Question
from .watch import Cancelled, Watch

if TYPE_CHECKING:
    from ..classifier import Classifier
    from ..network import SymmetryNet

__all__ = ["METHODS", "Cancelled", "evidence", "explain", "explain_batch"]

#: Names of the methods, the default first.
METHODS = ("cam", *PERTURBATIONS)

_BATCH = 64


def explain(
    pattern: np.ndarray,
    classifier: Classifier,
    target: str | None = None,
    *,
    level: str = "point_group",
    against: str | None = None,
    method: str = "cam",
    prior: str | np.ndarray = "known",
    background: np.ndarray | None = None,
    mask: np.ndarray | None = None,
    progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> np.ndarray:
    """Heat map of one pattern: where the evidence for a class lies.

    Parameters
    ----------
    pattern
        Detector frame of shape (h, w), as it comes from the camera.
    classifier
        The network that is asked; see :func:`.centring.centred` for one that knows the projection
        centre, as maps are made with.
    target
        Name of a class of `level`; when None, the one that a map reports as the most probable.
    level
        ``point_group``, ``laue_group``, ``crystal_system`` or ``bravais_lattice``. The
        probability of a class is the sum over its pairs of point group and lattice, and the map
        shows what raises its log odds.
    against
        Another class of the same level: the map shows what speaks for `target` and not for this
        one. When None, what speaks for `target` and not for all other classes, in proportion to
        their probability.
    method
        ``cam`` (default): exact share of every position in the log odds, see
        :mod:`.saliency.cam`; where the network looks at lines, each pixel gets the mean of the
        lines through it. ``integrated_gradients`` (Sundararajan et al., 2017): from the same
        pixels in random order to the pattern. ``occlusion`` (Zeiler and Fergus, 2014): the fall
        of the log odds when a square of 3/16 of the screen is covered. ``smoothgrad`` (Smilkov
        et al., 2017): how strongly the log odds depend on each place, for or against. The last
        three need captum (extra ``explain``) and take ten to fifty times as long.
    prior
        Class prior, as in :meth:`.Classifier.probabilities`.
    background, mask
        Static background and screen mask of shape (h, w), as in :meth:`.Classifier.scores`.
    progress
        Called with the number of steps done and in all; ``cam`` has one step for a pattern.
    cancelled
        Asked between steps whether to end early.

    Returns
    -------
    numpy.ndarray
        float32 of shape (h, w), in [0, 1]: evidence in favour, divided by its largest value in
        this pattern. Evidence against the class is 0, and so is everything off the screen; a
        pattern without contrast, or in which nothing speaks for the class, gives zeros. Maps of
        several patterns or targets can be compared in place, not in strength: use
        :func:`evidence` for that.

    Raises
    ------
    InputError
        If a class, level or method is unknown, shapes do not fit, or captum is needed and missing.
    Cancelled
        If `cancelled` said so.

    Examples
    --------
    >>> from napari_ebsd_phase import explain, load_classifier, load_scan
    >>> with load_scan("map.h5oina") as scan:
    ...     heat = explain(scan.pattern(3, 4), load_classifier(), "m-3m", against="6/mmm")
    """
    frame = np.asarray(pattern)
    if frame.ndim != 2:
        raise InputError(f"a pattern must have the shape (h, w), not {frame.shape}")
    return explain_batch(
        frame[np.newaxis],
        classifier,
        target,
        level=level,
        against=against,
        method=method,
        prior=prior,
        background=background,
        mask=mask,
        progress=progress,
        cancelled=cancelled,
    )[0]


def explain_batch(
    patterns: np.ndarray,
    classifier: Classifier,
    target: str | None = None,
    *,
    level: str = "point_group",
    against: str | None = None,
    method: str = "cam",
    prior: str | np.ndarray = "known",
    background: np.ndarray | None = None,
    mask: np.ndarray | None = None,
    batch_size: int = _BATCH,
    progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> np.ndarray:
    """Heat maps of patterns of one size, each as by :func:`explain` alone.

    Parameters
    ----------
    patterns
        Shape (n, h, w).
    batch_size
        Patterns that go through the network at once.
    classifier, target, level, against, method, prior, background, mask, progress, cancelled
        See :func:`explain`. Without a target, the most probable class of each pattern.

    Returns
    -------
    numpy.ndarray
        float32 of shape (n, h, w), each map in [0, 1].
    """
    maps = evidence(
        patterns,
        classifier,
        target,
        level=level,
        against=against,
        method=method,
        prior=prior,
        background=background,
        mask=mask,
        batch_size=batch_size,
        progress=progress,
        cancelled=cancelled,
    )
    np.clip(maps, 0.0, None, out=maps)
    top = maps.max(axis=(1, 2), keepdims=True, initial=0.0)
    return np.divide(maps, top, out=maps, where=top > 0)


@torch.inference_mode(False)  # gradients are needed, whatever the caller is at
def evidence(
    patterns: np.ndarray,
    classifier: Classifier,
    target: str | None = None,
    *,
    level: str = "point_group",
    against: str | None = None,
    method: str = "cam",
    prior: str | np.ndarray = "known",
    background: np.ndarray | None = None,
    mask: np.ndarray | None = None,
    batch_size: int = _BATCH,
    progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> np.ndarray:
    """Evidence for and against a class, with its sign and without any scaling.

    Parameters
    ----------
    patterns, classifier, target, level, against, method, prior, background, mask, batch_size
        See :func:`explain_batch`.
    progress, cancelled
        See :func:`explain`.

    Returns
    -------
    numpy.ndarray
        float32 of shape (n, h, w), 0 off the screen. For ``cam`` in units of log odds: the mean
        over all positions of the network's feature maps is what the pattern adds to the log odds
        of the class, in the linear approximation at this pattern.
    """
    if method not in METHODS:
        raise InputError(f"unknown method {method!r}: use one of {', '.join(METHODS)}")
    if batch_size < 1:
        raise InputError(f"the batch size must be 1 or more, not {batch_size}")
    frames = np.asarray(patterns)
    if frames.ndim != 3:
        raise InputError(f"patterns must have the shape (n, h, w), not {frames.shape}")
    classifier = classifier.of_size(frames.shape[1:])
    question = Question(classifier, target, level=level, against=against, prior=prior)
    screen = screen_on_detector(frames.shape[1:], mask, background)
    result = np.empty(frames.shape, np.float32)
    steps = 1 if method == "cam" else steps_of(method, classifier.preprocessing.size)
    watch = Watch(steps * len(frames), progress, cancelled)
    watch.check()
    for start in range(0, len(frames), batch_size):
        part = slice(start, start + batch_size)
        inputs = prepare(
            frames[part],
            classifier.preprocessing,
            background=background,
            mask=mask,
            device=classifier.device,
        )
        if method == "cam":
            maps = _cam(inputs, question)
            watch.advance(len(inputs))
        else:
            each = [
                perturbation_map(method, frame, question, watch.advance)
                for frame in inputs.split(1)
            ]
            maps = np.stack(each)
        # A blank frame has features too: those of the network's own constants.
        maps *= (inputs != 0).any(dim=-1).any(dim=-1).cpu().numpy()[..., np.newaxis]
        result[part] = to_detector(maps, screen)
    return result


def _cam(inputs: torch.Tensor, question: Question) -> np.ndarray:
    classifier = question.classifier
    members = [member for member in classifier.network.members if member.answers]
    mirrored = classifier.mirrored_views
    views = torch.cat([inputs, inputs.flip(-1)]) if mirrored else inputs
    scores: list[torch.Tensor] = []
    if len(members) > 1:
        with torch.no_grad():
            scores = [_scores(member, views, mirrored) for member in members]
    total = np.zeros((len(views), *inputs.shape[2:]), np.float32)
    for place, member in enumerate(members):

        def log_odds(own: torch.Tensor, place: int = place) -> torch.Tensor:
            # The others stay as they are: the gradient is the share of this member.
            mean = mean_scores([*scores[:place], own, *scores[place + 1 :]])
            return question.log_odds(mean)(mean)

        maps = class_activation_maps(member, inputs, log_odds, mirrored=mirrored)
        total += to_input(maps, views, member.architecture)
    if not mirrored:
        return total
    return (total[: len(inputs)] + total[len(inputs) :, :, ::-1]) / 2


def _scores(network: SymmetryNet, views: torch.Tensor, mirrored: bool) -> torch.Tensor:
    """(n, outputs) scores, means over both views if they are mirrored, too."""
    scores: torch.Tensor = network(views.contiguous(memory_format=torch.channels_last))
    return scores.unflatten(0, (2, -1)).mean(dim=0) if mirrored else scores
