# SPDX-License-Identifier: GPL-3.0-or-later
"""What several patterns of one material say together."""

from __future__ import annotations

import numpy as np

from ..classifier import Classifier
from ..decoding import decode

__all__ = ["pool_groups", "pooled_probabilities"]


def pool_groups(material: np.ndarray, size: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """Groups of a size of patterns of one material, in the order of the patterns.

    Parameters
    ----------
    material
        Index of each pattern's material, shape (n,).
    size
        Patterns a group. A material with fewer gives one group of what it has; of others, the
        patterns that fill no group are left out.

    Returns
    -------
    group : numpy.ndarray
        Number of each pattern's group, -1 for patterns left out; shape (n,).
    first : numpy.ndarray
        Index of the first pattern of each group.
    """
    group = np.full(len(material), -1)
    first: list[int] = []
    for m in np.unique(material):
        members = np.flatnonzero(material == m)
        for start in range(0, max(len(members) - size + 1, 1), size):
            part = members[start : start + size]
            group[part] = len(first)
            first.append(int(part[0]))
    return group, np.array(first, dtype=int)


def pooled_probabilities(
    classifier: Classifier, scores: np.ndarray, group: np.ndarray, prior: str | np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of the class of groups of patterns.

    The log probabilities of the patterns of a group are added with the class prior counted once,
    not once a pattern: the group has one class.

    Parameters
    ----------
    classifier
        Its card supplies training frequencies and temperature.
    scores
        Shape (n, 46).
    group
        Number of each pattern's group, shape (n,); -1: in no group.
    prior
        By name, or frequencies of shape (32, 14).

    Returns
    -------
    tuple of numpy.ndarray
        Shapes (groups, 32) and (groups, 14).
    """
    inside = group >= 0
    sizes = np.bincount(group[inside])
    sums = np.zeros((len(sizes), scores.shape[1]))
    np.add.at(sums, group[inside], scores[inside])
    card = classifier.card
    trained = np.asarray(card["training_prior"], dtype=np.float64)
    parts = [np.zeros((len(sizes), n), dtype=np.float32) for n in trained.shape]
    for size in np.unique(sizes):
        chosen = sizes == size
        found = decode(
            sums[chosen],
            prior=classifier.prior(prior) if isinstance(prior, str) else prior,
            # Every pattern's score holds the training frequencies: out with all of them.
            training_prior=(trained / trained.max()) ** size,
            temperature=float(card["temperature"]),
        )
        for part, values in zip(parts, found, strict=True):
            part[chosen] = values
    return parts[0], parts[1]
