# SPDX-License-Identifier: GPL-3.0-or-later
"""What a heat map is asked: one class against all others of its level, or against one of them."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
import torch

from .. import crystallography
from ..crystallography import (
    BRAVAIS_LATTICES,
    COMPATIBLE,
    LAUE_INDEX,
    LEVELS,
    POINT_GROUPS,
    SYSTEM_INDEX,
    level_index,
    marginal,
)
from ..decoding import PAIRS, best_pair
from ..errors import InputError

if TYPE_CHECKING:
    from ..classifier import Classifier

__all__ = [
    "LogOdds",
    "Question",
    "class_index",
    "level_of",
    "level_probabilities",
]

_CLASSES = len(POINT_GROUPS) + len(BRAVAIS_LATTICES)
_CLASS_OF_PAIR = {
    "point_group": PAIRS[:, 0],
    "laue_group": LAUE_INDEX[PAIRS[:, 0]],
    "crystal_system": SYSTEM_INDEX[PAIRS[:, 0]],
    "bravais_lattice": PAIRS[:, 1],
}


def level_probabilities(point_group: np.ndarray, lattice: np.ndarray, level: str) -> np.ndarray:
    """Probabilities of the classes of any level, shape (n, classes), from those of both heads.

    Raises
    ------
    InputError
        If there is no such level.
    """
    crystallography.names(level)  # says so if there is no such level
    return lattice if level == "bravais_lattice" else marginal(point_group, level)


def class_index(name: str, level: str) -> int:
    """Place of a class among those of its level; point groups also in other settings.

    Raises
    ------
    InputError
        If the level has no such class; the message lists those it has.
    """
    known = crystallography.names(level)
    if name in known:
        return known.index(name)
    if level in ("point_group", "laue_group"):
        with suppress(InputError, ValueError):  # a group in another setting, as -62m
            return known.index(crystallography.point_group(name))
    raise InputError(f"{name!r} is no {level.replace('_', ' ')}: use one of {' '.join(known)}")


def level_of(name: str) -> str:
    """The finest level that has a class of this name.

    Raises
    ------
    InputError
        If no level has it.
    """
    for level in LEVELS:
        with suppress(InputError):
            class_index(name, level)
            return level
    raise InputError(
        f"{name!r} is no point group, Laue group, crystal system or Bravais lattice: use "
        f"one of {' '.join(POINT_GROUPS)}, a system such as cubic or a lattice such as cF"
    )


class Question:
    """What a heat map is asked, checked; :meth:`log_odds` puts it to single patterns.

    Parameters
    ----------
    classifier
        The network that answers.
    target, level, against, prior
        See :func:`.explain`.

    Raises
    ------
    InputError
        If a name is unknown, or both are the same.
    """

    def __init__(
        self,
        classifier: Classifier,
        target: str | None,
        *,
        level: str,
        against: str | None,
        prior: str | np.ndarray,
    ) -> None:
        crystallography.names(level)  # says so if there is no such level
        self.classifier = classifier
        self.level = level
        self._target = None if target is None else class_index(target, level)
        self._rival = None if against is None else class_index(against, level)
        if self._target is not None and self._target == self._rival:
            raise InputError(f"{target!r} cannot be explained against itself: name two classes")
        self._prior = classifier.prior(prior) if isinstance(prior, str) else np.asarray(prior)
        if self._prior.shape != COMPATIBLE.shape:
            raise InputError(
                f"the class prior must have the shape {COMPATIBLE.shape}, not {self._prior.shape}"
            )

    def log_odds(self, scores: torch.Tensor) -> LogOdds:
        """The question for patterns of these scores, shape (n, 46 or more)."""
        index = self.index(scores.detach()[:, :_CLASSES].float().cpu().numpy())
        classes = _CLASS_OF_PAIR[self.level]
        wanted = classes == index[:, None]
        rivals = ~wanted if self._rival is None else (classes == self._rival)[None, :]
        return LogOdds(self.classifier, self._prior, wanted, rivals)

    def index(self, scores: np.ndarray) -> np.ndarray:
        """Index of the class that each pattern is asked for, from scores (n, 46).

        Where no target is named, it is the class that a map reports (see :func:`.best_pair`); if
        that is the one to compare with, the most probable other one.
        """
        if self._target is not None:
            return np.full(len(scores), self._target)
        point_group, lattice = self.classifier.probabilities(scores, self._prior)
        groups, lattices = best_pair(point_group, lattice)
        best = lattices if self.level == "bravais_lattice" else level_index(self.level)[groups]
        others = np.array(level_probabilities(point_group, lattice, self.level))
        if self._rival is not None:
            others[:, self._rival] = -1.0
            best = np.where(best == self._rival, others.argmax(axis=1), best)
        return np.asarray(best)


class LogOdds:
    """Log odds of a class against its rivals, as a differentiable function of network scores.

    Scores of a point group and a lattice add up to the score of their pair, pairs add up to
    classes (:mod:`.decoding`), so that one rule serves all levels: the logarithm of the probability
    of the pairs of the class less that of the pairs of its rivals. Where the rivals are all other
    classes its gradient points as that of the logarithm of the probability, but does not fade as
    the probability comes near one.

    Where the prior excludes all pairs on one side, these are weighed by their evidence alone: one
    may ask what speaks for a class that cannot be.

    Parameters
    ----------
    classifier
        Gives temperature and training frequencies.
    prior
        Frequencies of shape (32, 14).
    wanted, rivals
        bool of shape (n, 66): the pairs on both sides, for each pattern; (1, 66) for all alike.
    """

    def __init__(
        self,
        classifier: Classifier,
        prior: np.ndarray,
        wanted: np.ndarray,
        rivals: np.ndarray,
    ) -> None:
        expected = prior[PAIRS[:, 0], PAIRS[:, 1]]
        trained = np.asarray(classifier.card["training_prior"])[PAIRS[:, 0], PAIRS[:, 1]]
        # As in decoding: a pair that training never showed has the smallest frequency.
        trained = np.maximum(trained, trained[trained > 0].min())
        self._temperature = float(classifier.card["temperature"])
        device = classifier.device
        self._point_group = torch.from_numpy(PAIRS[:, 0]).to(device)
        self._lattice = torch.from_numpy(PAIRS[:, 1] + len(POINT_GROUPS)).to(device)
        self._sides = []
        for side in (wanted, rivals):
            allowed = side & (expected > 0)
            excluded = ~allowed.any(axis=1, keepdims=True)
            weight = np.where(excluded, 1.0, np.where(expected > 0, expected, 1.0))
            offset = (np.log(weight) - np.log(trained)) / self._temperature
            offset[~np.where(excluded, side, allowed)] = -np.inf
            self._sides.append(torch.from_numpy(offset.astype(np.float32)).to(device))

    def __call__(self, scores: torch.Tensor) -> torch.Tensor:
        """(n, 46 or more) scores to (n,) log odds; a question of one pattern serves any n."""
        evidence = (scores[:, self._point_group] + scores[:, self._lattice]) / self._temperature
        one, other = (torch.logsumexp(evidence + side, dim=1) for side in self._sides)
        return one - other
