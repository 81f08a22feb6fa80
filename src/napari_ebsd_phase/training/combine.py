# SPDX-License-Identifier: GPL-3.0-or-later
"""One classifier of several: the mean of their scores, not yet calibrated."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Sequence
from importlib.metadata import version

import numpy as np
import torch

from ..card import make_card
from ..classifier import Classifier
from ..crystallography import COMPATIBLE
from ..errors import InputError
from ..network import SymmetryNet
from ..network_mean import NetworkMean
from ..outputs import CLASSES
from .library import MasterLibrary
from .materials import Material, load_materials

__all__ = ["combine", "tested_materials"]


def combine(
    classifiers: Sequence[Classifier], *, name: str, weights: Sequence[float] | None = None
) -> Classifier:
    """Make a classifier that answers with the mean of the scores of several.

    The class frequencies of training are the geometric mean of theirs: so its evidence is the mean
    of their evidence. Patterns are no longer averaged with their mirror images: the second network
    does more for the same time.

    Parameters
    ----------
    classifiers
        Two or more, with the same preprocessing.
    name
        For the card.
    weights
        Factors of their scores before the mean is taken; one each when None.

    Returns
    -------
    Classifier
        With temperature 1, threshold 0.5 and no test results: see :func:`.finish.calibrate`.

    Raises
    ------
    InputError
        If there are fewer than two, or they see patterns differently.
    """
    if len(classifiers) < 2:
        raise InputError("give two networks or more to combine")
    first = classifiers[0]
    for other in classifiers[1:]:
        if other.preprocessing != first.preprocessing:
            raise InputError(
                f"{first.name} and {other.name} were trained with different preprocessing: "
                "combine networks of the same"
            )
    seen = sorted({key for c in classifiers for key in trained_on(c)})
    # Structures of the other kinds are drawn by one recipe: the largest set holds the smaller ones.
    kinds = Counter({"dynamical": len(seen)})
    for classifier in classifiers:
        others = dict(classifier.card["training"].get("kinds", {}))
        others.pop("dynamical", None)
        kinds |= Counter(others)
    factors = [1.0] * len(classifiers) if weights is None else list(weights)
    if len(factors) != len(classifiers) or not all(0 < factor <= 100 for factor in factors):
        raise InputError("give one weight above 0 for each network")
    network = NetworkMean(
        [
            _weighed(member, factor)
            for c, factor in zip(classifiers, factors, strict=True)
            for member in c.network.members
        ]
    )
    # What answers where no projection centre is known.
    pairs = list(zip(classifiers, factors, strict=True))
    alone = [pair for pair in pairs if any(m.answers for m in pair[0].network.members)]
    frequencies = _mean_frequencies(alone or pairs)
    card = make_card(
        name,
        network,
        preprocessing=first.preprocessing.to_dict(),
        training_prior=frequencies.tolist(),
        known_structures=first.card["known_structures"],
        mirrored_views=False,
        temperature=1.0,
        threshold=0.5,
        training={
            "members": [
                {"name": c.name, "sha256": c.sha256, "weight": factor} for c, factor in pairs
            ],
            "materials": {"train": sum(kinds.values())},
            "kinds": dict(kinds),
            "split": first.card["training"].get("split", ""),
            "trained_on": seen,
            "patterns": sum(int(c.card["training"].get("patterns", 0)) for c in classifiers),
            "hours": round(sum(float(c.card["training"].get("hours", 0)) for c in classifiers), 2),
        },
        metrics={},
        licence=first.card["licence"],
        version=version("napari-ebsd-phase"),
    )
    if alone and len(alone) < len(classifiers):
        card["with_centre"] = {"training_prior": _mean_frequencies(pairs).tolist()}
    return Classifier(network, card, device="cpu")


def trained_on(classifier: Classifier) -> list[str]:
    """Materials with dynamical master patterns that a classifier was trained on."""
    return list(classifier.card["training"].get("trained_on", []))


def tested_materials(
    classifier: Classifier, library: MasterLibrary
) -> tuple[np.ndarray, dict[str, list[Material]]]:
    """Master patterns of a library, and which of them a classifier has seen.

    Returns
    -------
    numpy.ndarray
        All master patterns, as :func:`.load_materials` gives them.
    dict
        ``train``: materials that it was trained on; ``calibration``: those of the development
        split that it was not. Materials of the test split that it never saw are not used.
    """
    stack, splits = load_materials(library)
    seen = set(trained_on(classifier))
    train = [m for members in splits.values() for m in members if m.key in seen]
    unseen = [m for m in splits.get("calibration", []) if m.key not in seen]
    if not train or not unseen:
        raise InputError(
            "the library has no materials to calibrate on: it must hold some that the networks "
            "were trained on, and some of the calibration split that they were not"
        )
    return stack, {"train": train, "calibration": unseen}


def _weighed(member: SymmetryNet, factor: float) -> SymmetryNet:
    """A network whose scores of classes are larger by a factor."""
    if factor == 1.0:
        return member
    other = copy.deepcopy(member)
    with torch.no_grad():
        other.head.weight[:CLASSES] *= factor
        other.head.bias[:CLASSES] *= factor
    return other


def _mean_frequencies(classifiers: Sequence[tuple[Classifier, float]]) -> np.ndarray:
    """Frequencies (32, 14) of training that are in the mean of the scores.

    The geometric mean of theirs, each to the power of its weight.
    """
    logs = []
    for classifier, factor in classifiers:
        table = np.asarray(classifier.card["training_prior"], float)
        smallest = table[COMPATIBLE & (table > 0)].min()
        # As in decoding: a pair that training never showed has the smallest frequency.
        logs.append(factor * np.log(np.maximum(table, smallest)))
    mean = np.where(COMPATIBLE, np.exp(np.mean(logs, axis=0)), 0.0)
    return np.asarray(mean / mean.sum())
