# SPDX-License-Identifier: GPL-3.0-or-later
"""Adapt a network to a detector without labels: statistics of normalisations from a scan.

Each normalisation keeps mean and variance of its channels over the training patterns. On another
detector they are others; here they are estimated anew on a scan and blended with the old ones
(Schneider et al., NeurIPS 2020). A scan has few phases, so that part of the difference is what the
scan is of and not what it was taken with: whether adapting helps is measured in
``docs/transfer.md``.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from torch import nn

from ..card import weight_bytes
from ..classifier import Classifier
from ..errors import InputError
from ..preprocessing import Preprocessing
from ..regions.pool import spread_evenly
from ..scan import Scan
from .fine_tune_labels import prepared_patterns

__all__ = ["adapt", "unlabelled_patterns"]

_FEWEST = 16


def unlabelled_patterns(scan: Scan, preprocessing: Preprocessing, *, most: int) -> torch.Tensor:
    """Prepared patterns of a scan, spread evenly over the map."""
    places = spread_evenly(scan.shape[0] * scan.shape[1], most)
    return prepared_patterns(scan, places, preprocessing)


def adapt(
    classifier: Classifier,
    inputs: torch.Tensor,
    share: float = 0.5,
    *,
    name: str | None = None,
    source: Mapping[str, Any] | None = None,
) -> Classifier:
    """A copy of a network whose normalisations have moved towards some patterns.

    Parameters
    ----------
    classifier
        The network; it stays as it is.
    inputs
        Prepared patterns, float32 of shape (n, 1, size, size).
    share
        How far: 0 is not at all, 1 are the statistics of these patterns alone.
    name
        For the card; that of the network with ``-adapted`` when None.
    source
        Facts about the patterns, for the card.

    Raises
    ------
    InputError
        If there are fewer than sixteen patterns, or the share is not between 0 and 1.
    """
    if len(inputs) < _FEWEST:
        raise InputError(f"{len(inputs)} patterns are too few to adapt to: give {_FEWEST} or more")
    if not 0 <= share <= 1:
        raise InputError(f"the share of an adaptation is between 0 and 1, not {share}")
    given, classifier = classifier, classifier.without_maps()
    network = copy.deepcopy(classifier.network)
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    before = [[values.clone() for values in _statistics(norm)] for norm in norms]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over the batches
        norm.train()
    with torch.no_grad():
        for part in np.array_split(np.arange(len(inputs)), max(1, len(inputs) // 128)):
            network(inputs[torch.from_numpy(part)].to(classifier.device))
    with torch.no_grad():
        for norm, old, momentum in zip(norms, before, momenta, strict=True):
            for new, kept in zip(_statistics(norm), old, strict=True):
                new.copy_(torch.lerp(kept, new, share))
            norm.momentum = momentum
    card = copy.deepcopy(classifier.card) | {
        "name": name or f"{classifier.name}-adapted",
        "sha256": hashlib.sha256(weight_bytes(network)).hexdigest(),
        "version": version("napari-ebsd-phase"),
        # Figures of the network before say nothing of this one.
        "metrics": {},
        "training": {
            "adapted_from": classifier.name,
            "adapted_from_sha256": given.sha256,
            "share": share,
            "sources": [dict(source or {"patterns": len(inputs)})],
            "trained_on": list(classifier.card["training"].get("trained_on", [])),
        },
    }
    return Classifier(network, card, str(classifier.device))


def _statistics(norm: nn.BatchNorm2d) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and variance of each channel."""
    mean, variance = norm.running_mean, norm.running_var
    if mean is None or variance is None:
        raise InputError("this network's normalisations keep no statistics: nothing to adapt")
    return mean, variance
