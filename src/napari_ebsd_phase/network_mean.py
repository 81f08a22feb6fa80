# SPDX-License-Identifier: GPL-3.0-or-later
"""Several networks that answer as one: the mean of their scores.

A network that looks at the pattern and one that looks at its lines make different mistakes, so
that their mean is right more often than either. It stays linear from the last feature maps of each
to the scores: heat maps of the members add up to the heat map of the mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from .crystallography import BRAVAIS_LATTICES, POINT_GROUPS
from .errors import InputError
from .network import Architecture, SymmetryNet

__all__ = ["MeanArchitecture", "NetworkMean", "build_network"]

_CLASSES = len(POINT_GROUPS) + len(BRAVAIS_LATTICES)
_MOST_MEMBERS = 16


@dataclass(frozen=True)
class MeanArchitecture:
    """Shapes of the members of a :class:`NetworkMean`; stored in the model card.

    Parameters
    ----------
    members
        One to sixteen, each with 46 or 47 outputs.
    """

    members: tuple[Architecture, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.members) <= _MOST_MEMBERS:
            raise InputError(f"a mean needs one to {_MOST_MEMBERS} networks")
        for member in self.members:
            if member.outputs not in (_CLASSES, _CLASSES + 1):
                raise InputError(f"a member gives {member.outputs} scores, not one for each class")

    @property
    def outputs(self) -> int:
        """47 if one member tells patterns from other frames, else 46."""
        return max(member.outputs for member in self.members)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for the model card."""
        return {"members": [member.to_dict() for member in self.members]}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> MeanArchitecture:
        """The inverse of :meth:`to_dict`; an :class:`InputError` names what does not fit."""
        members = values.get("members")
        whole = isinstance(members, list) and all(isinstance(member, dict) for member in members)
        if set(values) != {"members"} or not whole or members is None:
            raise InputError("the members of the network are no list of network parameters")
        return cls(tuple(Architecture.from_dict(member) for member in members))


class NetworkMean(nn.Module):
    """Kikuchi pattern to the mean of its members' point-group and lattice scores.

    Whether the frame holds a pattern at all is the mean over the members that were trained to tell.
    A member that needs the projection centre has no say while it is not known.

    Parameters
    ----------
    members
        Networks that take the same prepared patterns.
    """

    def __init__(self, members: Sequence[SymmetryNet]) -> None:
        super().__init__()
        self.architecture = MeanArchitecture(tuple(m.architecture for m in members))
        self.networks = nn.ModuleList(members)

    @property
    def members(self) -> tuple[SymmetryNet, ...]:
        """The networks."""
        return tuple(self.networks)  # type: ignore[arg-type]  # ModuleList forgets of what

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Class scores (n, 46 or 47) of prepared patterns (n, 1, size, size)."""
        members = [member for member in self.members if member.answers]
        # Where none can answer, the first one says what it lacks.
        return mean_scores([member(x) for member in members or self.members[:1]])


def mean_scores(scores: Sequence[torch.Tensor]) -> torch.Tensor:
    """Mean of the scores of several networks, each (n, 46) or (n, 47)."""
    mean = torch.stack([each[:, :_CLASSES] for each in scores]).mean(dim=0)
    told = [each[:, _CLASSES:] for each in scores if each.shape[1] > _CLASSES]
    return torch.cat([mean, torch.stack(told).mean(dim=0)], dim=1) if told else mean


def build_network(values: dict[str, Any]) -> SymmetryNet | NetworkMean:
    """A network of the shape that a card tells, its weights at random.

    Raises
    ------
    InputError
        If the values do not describe a network of this version.
    """
    if "members" not in values:
        return SymmetryNet(Architecture.from_dict(values))
    architecture = MeanArchitecture.from_dict(values)
    return NetworkMean([SymmetryNet(member) for member in architecture.members])
