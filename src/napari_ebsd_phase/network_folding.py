# SPDX-License-Identifier: GPL-3.0-or-later
"""The same network with its normalisations folded into its convolutions, to classify with.

A normalisation with fixed statistics is a factor and a constant a channel, which the convolution
before it can take over: the same scores to rounding, with a third fewer passes over memory. Heat
maps need the normalisations where they are, and are made with the network as it was trained.
"""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import TypeVar

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

__all__ = ["folded"]

Network = TypeVar("Network", bound=nn.Module)


def folded(network: Network) -> Network:
    """A copy of a network in evaluation mode without normalisations.

    Parameters
    ----------
    network
        Every normalisation in it follows a convolution: as the next part of the same sequence, or
        as ``norm``, ``norm1``, ... beside ``conv``, ``conv1``, ...
    """
    result = copy.deepcopy(network).eval().requires_grad_(False)
    for module in list(result.modules()):
        parts = dict(module.named_children())
        pairs = [(name, name.replace("conv", "norm")) for name in parts if name.startswith("conv")]
        if isinstance(module, nn.Sequential):
            pairs += list(pairwise(parts))
        for first, second in pairs:
            conv, norm = parts[first], parts.get(second)
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(module, first, fuse_conv_bn_eval(conv, norm))
                setattr(module, second, nn.Identity())
    return result
