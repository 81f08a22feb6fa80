# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of a network in training that finds symmetry elements; it is thrown away afterwards."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from ..errors import InputError
from ..network import SymmetryNet
from .symmetry_targets import CHANNELS

__all__ = ["SymmetryHead", "symmetry_loss"]


class SymmetryHead(nn.Module):
    """From a network's last feature maps to the places of axes and mirror planes.

    One linear layer, so that what it needs must be in the feature maps already.

    Parameters
    ----------
    network
        The network, which must look at lines in three stages: its last feature maps have an eighth
        of the view's resolution and the places twice that.

    Raises
    ------
    InputError
        If the network is another.
    """

    def __init__(self, network: SymmetryNet) -> None:
        super().__init__()
        shape = network.architecture
        if shape.view != "lines" or shape.divisor != 8:
            raise InputError(
                "symmetry elements are learned by networks of three stages that look at lines: "
                "set symmetry to 0"
            )
        self.conv = nn.Conv2d(shape.widths[-1], 4 * CHANNELS, 1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(n, channels, h, w) to log odds (n, 5, 2 h, 2 w)."""
        return functional.pixel_shuffle(self.conv(features), 2)


def symmetry_loss(found: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """Mean binary cross-entropy over the patterns whose symmetry elements are known.

    Parameters
    ----------
    found
        Log odds, (n, 5, offsets, angles).
    places
        As :func:`.symmetry_targets.line_targets` gives them.
    """
    known = torch.isfinite(places)
    each = functional.binary_cross_entropy_with_logits(found, places.nan_to_num(), reduction="none")
    return (each * known).sum() / known.sum().clamp_min(1)
