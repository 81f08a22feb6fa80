# SPDX-License-Identifier: GPL-3.0-or-later
"""The projection centre from the patterns themselves, whatever phase they are of.

Axes and mirror lines of a crystal show only where the projection centre is right: at a wrong one, a
pattern does not agree with its mirror image, and the network that looks at the maps of agreement
says that this is no pattern, or cannot decide what it is. So the projection centre is where the
network is surest that it sees patterns of some crystal. Nothing is assumed of the phase.

(Of materials that it was not trained on, half of the estimates from sixteen noisy patterns were
within 1, 2 and 4 per cent of the width of the screen, across, down and in distance:
``benchmarks/centre.py``.)
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from scipy import optimize

from .crystallography import POINT_GROUPS
from .decoding import PAIRS
from .errors import InputError
from .outputs import CLASSES
from .symmetry_maps import Centre, symmetry_maps

if TYPE_CHECKING:
    from .network import SymmetryNet

__all__ = ["CentreEstimate", "estimate_centre"]

# Where detectors stand, in Bruker's convention; the distance in equal steps of its logarithm.
_X = (0.37, 0.46, 0.54, 0.63)
_Y = (0.08, 0.2, 0.32, 0.44, 0.56, 0.7)
_DISTANCE = (0.42, 0.52, 0.64, 0.79, 0.97)
_LIMITS = ((0.25, 0.75), (-0.05, 0.85), (np.log(0.35), np.log(1.15)))
# Places that mirror lines, which are found nine times as fast, leave for the network.
_LIKELY = 14
_CLIMBS, _STEPS = 2, 22
# Sixteen are compared at once in any case.
_PATTERNS = 16


class CentreEstimate(NamedTuple):
    """A projection centre that was found.

    Parameters
    ----------
    projection_centre
        (PCx, PCy, PCz) in Bruker's convention.
    score
        How sure the network is there that it sees patterns of some crystal: mean log odds of a
        pattern less the entropy of its class.
    patterns
        From how many it was found.
    """

    projection_centre: tuple[float, float, float]
    score: float
    patterns: int


@torch.inference_mode()
def estimate_centre(
    network: SymmetryNet,
    inputs: torch.Tensor,
    mask: np.ndarray,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> CentreEstimate:
    """Find the projection centre of patterns of any phase.

    Parameters
    ----------
    network
        One that looks at symmetry maps, in evaluation mode.
    inputs
        Prepared patterns (n, 1, size, size) of one camera; sixteen at most are used, spread evenly.
    mask
        Screen mask of their frames, (rows, cols).
    progress
        Called with the number of steps done and in all.

    Raises
    ------
    InputError
        If there are no patterns, or the network looks at something else.
    """
    if network.maps is None:
        raise InputError("this network needs no projection centre and finds none")
    if not len(inputs):
        raise InputError("no patterns to find the projection centre from")
    chosen = np.linspace(0, len(inputs) - 1, min(_PATTERNS, len(inputs))).round().astype(int)
    patterns = inputs[torch.from_numpy(chosen)]
    size = inputs.shape[-1]
    places = [np.array([x, y, np.log(d)]) for x, y, d in product(_X, _Y, _DISTANCE)]
    total, done = len(places) + _LIKELY + _CLIMBS * _STEPS, 0

    def count() -> None:
        nonlocal done
        done += 1
        if progress:
            progress(min(done, total), total)

    def centre_at(place: np.ndarray) -> Centre:
        count()
        x, y, log_distance = place
        return Centre.of_screen((float(x), float(y), float(np.exp(log_distance))), mask, size)

    def score(place: np.ndarray) -> float:
        return _certainty(network, patterns, centre_at(place))

    mirrors = np.array([_mirror_lines(patterns, centre_at(place)) for place in places])
    likely = [places[i] for i in np.argsort(-mirrors)[:_LIKELY]]
    found = sorted(((score(place), *place) for place in likely), reverse=True)
    best = found[0]
    for _, *start in found[:_CLIMBS]:
        corners = np.array(start) + np.vstack([np.zeros(3), np.diag([0.04, 0.06, 0.1])])
        result = optimize.minimize(
            lambda place: -score(place),
            start,
            method="Nelder-Mead",
            bounds=_LIMITS,
            options={"maxfev": _STEPS, "initial_simplex": corners},
        )
        best = max(best, (-float(result.fun), *result.x))
    value, x, y, log_distance = (float(number) for number in best)
    return CentreEstimate((x, y, float(np.exp(log_distance))), value, len(patterns))


def _certainty(network: SymmetryNet, patterns: torch.Tensor, centre: Centre) -> float:
    """How sure the network is that these are patterns, of whatever crystal."""
    features = network.after_maps(symmetry_maps(patterns, centre))
    scores = network.head(features.mean(dim=(2, 3)))
    pairs = torch.from_numpy(PAIRS)
    logs = (scores[:, pairs[:, 0]] + scores[:, len(POINT_GROUPS) + pairs[:, 1]]).log_softmax(dim=1)
    certain = (logs.exp() * logs).sum(dim=1)
    if network.architecture.outputs > CLASSES:  # the last output tells patterns
        certain = certain + scores[:, CLASSES]
    return float(certain.mean())


def _mirror_lines(patterns: torch.Tensor, centre: Centre) -> float:
    """Mean agreement of patterns with their mirror images about four lines, outer circles.

    The cube lets the few directions count in which there is an axis.
    """
    best = symmetry_maps(patterns, centre, pool=1)[:, 16].clamp_min(0)
    return float(best.pow(3).mean(dim=(1, 2)).pow(1 / 3).mean())
