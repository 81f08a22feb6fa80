# SPDX-License-Identifier: GPL-3.0-or-later
"""The convolutional network, and nothing else.

A compact residual network. It ends in global average pooling and one linear layer, so a class
score is exactly the mean of a class activation map: the default heat map needs no approximation.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

import torch
from torch import nn

from .errors import InputError

__all__ = ["Architecture", "SymmetryNet"]


@dataclass(frozen=True)
class Architecture:
    """Shape of a :class:`SymmetryNet`; stored in every model card.

    Parameters
    ----------
    widths
        Channels of each stage. The first works at half the input resolution, each further one
        at half of the one before.
    blocks
        Residual blocks in each stage.
    outputs
        Number of class scores.
    """

    widths: tuple[int, ...] = (24, 48, 96)
    blocks: tuple[int, ...] = (1, 2, 3)
    outputs: int = 46

    def __post_init__(self) -> None:
        numbers = (*self.widths, *self.blocks, self.outputs)
        if len(self.widths) != len(self.blocks) or not 1 <= len(self.widths) <= 6:
            raise InputError("a network needs as many widths as block counts, one to six of each")
        if any(not isinstance(n, int) or not 1 <= n <= 4096 for n in numbers):
            raise InputError("network widths, blocks and outputs must be whole numbers up to 4096")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for the model card."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Architecture:
        """The inverse of :meth:`to_dict`; an :class:`InputError` names what does not fit."""
        known = {f.name for f in fields(cls)}
        if set(values) != known:
            raise InputError(
                f"network parameters do not match this version: {', '.join(set(values) ^ known)}"
            )
        try:
            return cls(tuple(values["widths"]), tuple(values["blocks"]), values["outputs"])
        except TypeError as error:
            raise InputError(f"network parameters are not numbers: {error}") from error


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions with a shortcut; the shortcut averages where the stride is two.

    Average pooling in the shortcut, not a strided pick, keeps thin bands from aliasing away.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.AvgPool2d(stride) if stride != 1 else nn.Identity(),
                nn.Conv2d(inputs, outputs, 1, bias=False),
                nn.BatchNorm2d(outputs),
            )
        nn.init.zeros_(self.norm2.weight)  # each block starts as the identity: stable from step 1

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, inputs, h, w) to (n, outputs, h / stride, w / stride)."""
        y = torch.relu(self.norm1(self.conv1(x)))
        return torch.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


class SymmetryNet(nn.Module):
    """Kikuchi pattern to point-group and Bravais-lattice scores.

    Parameters
    ----------
    architecture
        Widths, blocks and number of outputs.
    """

    def __init__(self, architecture: Architecture | None = None) -> None:
        super().__init__()
        self.architecture = architecture or Architecture()
        widths, blocks = self.architecture.widths, self.architecture.blocks
        layers: list[nn.Module] = [
            nn.Conv2d(1, widths[0], 5, 2, 2, bias=False),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(),
        ]
        inputs = widths[0]
        for stage, (width, count) in enumerate(zip(widths, blocks, strict=True)):
            for block in range(count):
                stride = 2 if stage and not block else 1
                layers.append(ResidualBlock(inputs, width, stride))
                inputs = width
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(inputs, self.architecture.outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Class scores.

        Parameters
        ----------
        x
            Prepared patterns of shape (n, 1, size, size).

        Returns
        -------
        torch.Tensor
            Scores of shape (n, outputs): 32 point groups, then 14 Bravais lattices.
        """
        return self.head(self.features(x).mean(dim=(2, 3)))
