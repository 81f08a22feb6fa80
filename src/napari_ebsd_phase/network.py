# SPDX-License-Identifier: GPL-3.0-or-later
"""The convolutional network, and nothing else.

A compact residual network that looks at the pattern itself (``pixels``), at its Radon transform
(``lines``), or at how well it agrees with itself, turned and mirrored (``symmetry``). It ends in
global average pooling and one linear layer, so a class score is exactly the mean of a class
activation map: the default heat map needs no approximation.
"""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass, fields
from typing import Any, TypeVar

import torch
from torch import nn
from torch.nn import functional

from .errors import InputError
from .radon import RadonTransform, wrap_angles
from .symmetry_maps import CELLS, VIEW_CHANNELS, Centre, SymmetryMaps

__all__ = ["Architecture", "SymmetryNet", "with_centre"]

Network = TypeVar("Network", bound=nn.Module)

VIEWS = ("pixels", "lines", "symmetry")


@dataclass(frozen=True)
class Architecture:
    """Shape of a :class:`SymmetryNet`; stored in every model card.

    Parameters
    ----------
    widths
        Channels of each stage. The first works at half the resolution of the pattern or its lines,
        or on the symmetry maps as they are, each further one at half of the one before.
    blocks
        Residual blocks in each stage.
    outputs
        Number of scores: 32 point groups, 14 Bravais lattices and, if 47, the log odds that the
        frame holds one Kikuchi pattern at all.
    view
        ``pixels``: the network convolves the pattern. ``lines``: it convolves the pattern's Radon
        transform, in which bands are spots and a turn of the camera is a shift. ``symmetry``: it
        convolves maps of the pattern's agreement with itself, see :mod:`.symmetry_maps`, and needs
        the projection centre for them.
    offsets, angles
        Size of the Radon transform, see :func:`.radon.radon_matrix`.
    """

    widths: tuple[int, ...] = (24, 48, 96)
    blocks: tuple[int, ...] = (1, 2, 3)
    outputs: int = 47
    view: str = "lines"
    offsets: int = 64
    angles: int = 48

    def __post_init__(self) -> None:
        if self.view not in VIEWS:
            raise InputError(f"a network looks at {', '.join(VIEWS)}, not at {self.view!r}")
        numbers = (*self.widths, *self.blocks, self.outputs, self.offsets, self.angles)
        if len(self.widths) != len(self.blocks) or not 1 <= len(self.widths) <= 6:
            raise InputError("a network needs as many widths as block counts, one to six of each")
        if any(not isinstance(n, int) or not 1 <= n <= 4096 for n in numbers):
            raise InputError("network widths, blocks and outputs must be whole numbers up to 4096")
        if self.view == "lines" and (self.offsets % self.divisor or self.angles % self.divisor):
            raise InputError(
                f"{self.offsets} offsets and {self.angles} angles do not go through this network: "
                f"both must be multiples of {self.divisor}"
            )
        if self.view == "symmetry" and CELLS % (self.divisor // 2):
            raise InputError(
                f"symmetry maps of {CELLS} x {CELLS} cells do not go through {len(self.widths)} "
                "stages: use fewer"
            )

    @property
    def divisor(self) -> int:
        """What the sides of the network's view must be multiples of."""
        return int(2 ** len(self.widths))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for the model card."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Architecture:
        """The inverse of :meth:`to_dict`; an :class:`InputError` names what does not fit."""
        if "view" not in values:  # networks before 0.2
            values = {**values, "view": "pixels", "offsets": 64, "angles": 48}
        known = {f.name for f in fields(cls)}
        if set(values) != known:
            raise InputError(
                f"network parameters do not match this version: {', '.join(set(values) ^ known)}"
            )
        try:
            return cls(
                **{**values, "widths": tuple(values["widths"]), "blocks": tuple(values["blocks"])}
            )
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


class LineBlock(nn.Module):
    """A residual block in the space of lines, where the angles wrap around with offsets reversed.

    Resolution is halved by averaging before the first convolution, which treats an offset and its
    negative alike, as a strided convolution would not.
    """

    def __init__(self, inputs: int, outputs: int, halve: bool) -> None:
        super().__init__()
        self.halve = halve
        self.conv1 = nn.Conv2d(inputs, outputs, 3, 1, (1, 0), bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, (1, 0), bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
            )
        nn.init.zeros_(self.norm2.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, inputs, offsets, angles) to (n, outputs, ...), half as many of each if `halve`."""
        if self.halve:
            x = functional.avg_pool2d(x, 2)
        y = torch.relu(self.norm1(self.conv1(wrap_angles(x))))
        return torch.relu(self.norm2(self.conv2(wrap_angles(y))) + self.shortcut(x))


class _LineStem(nn.Module):
    """Radon transform and first convolution."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        width = architecture.widths[0]
        self.transform = RadonTransform(architecture.offsets, architecture.angles)
        # Four taps and stride two keep the symmetry of offsets and their negatives.
        self.conv = nn.Conv2d(1, width, 4, 2, (1, 0), bias=False)
        self.norm = nn.BatchNorm2d(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, 1, size, size) to (n, width, offsets / 2, angles / 2)."""
        return torch.relu(self.norm(self.conv(wrap_angles(self.transform(x)))))


def _stem(architecture: Architecture) -> list[nn.Module]:
    """What turns a pattern into the first feature maps."""
    width = architecture.widths[0]
    if architecture.view == "lines":
        return [_LineStem(architecture)]
    if architecture.view == "pixels":
        return [nn.Conv2d(1, width, 5, 2, 2, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
    conv = nn.Conv2d(VIEW_CHANNELS, width, 3, 1, 1, bias=False)
    return [SymmetryMaps(), conv, nn.BatchNorm2d(width), nn.ReLU()]


class SymmetryNet(nn.Module):
    """Kikuchi pattern to point-group and Bravais-lattice scores.

    Parameters
    ----------
    architecture
        View, widths, blocks and number of outputs.
    """

    def __init__(self, architecture: Architecture | None = None) -> None:
        super().__init__()
        self.architecture = architecture or Architecture()
        widths, blocks = self.architecture.widths, self.architecture.blocks
        lines = self.architecture.view == "lines"
        layers = _stem(self.architecture)
        inputs = widths[0]
        for stage, (width, count) in enumerate(zip(widths, blocks, strict=True)):
            for block in range(count):
                halve = bool(stage) and not block
                layers.append(
                    LineBlock(inputs, width, halve)
                    if lines
                    else ResidualBlock(inputs, width, 2 if halve else 1)
                )
                inputs = width
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(inputs, self.architecture.outputs)

    @property
    def members(self) -> tuple[SymmetryNet, ...]:
        """Itself: what works on the members of a mean works on one network, too."""
        return (self,)

    @property
    def maps(self) -> SymmetryMaps | None:
        """The layer that must know the projection centre, if there is one."""
        first = self.features[0]
        return first if isinstance(first, SymmetryMaps) else None

    @property
    def answers(self) -> bool:
        """Whether it knows all that it needs to score patterns."""
        return self.maps is None or self.maps.centre is not None

    @property
    def after_maps(self) -> nn.Sequential:
        """What makes feature maps of patterns, or of symmetry maps that are made already."""
        return self.features if self.maps is None else nn.Sequential(*list(self.features)[1:])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Class scores.

        Parameters
        ----------
        x
            Prepared patterns of shape (n, 1, size, size).

        Returns
        -------
        torch.Tensor
            Scores of shape (n, outputs), in the order that :class:`Architecture` tells.
        """
        return self.head(self.features(x).mean(dim=(2, 3)))


def with_centre(network: Network, centre: Centre | None) -> Network:
    """The same network, its weights shared, for patterns with a known projection centre.

    Parameters
    ----------
    network
        One network, or several together.
    centre
        In pixels of prepared patterns; None: not known.
    """
    tensors = [*network.parameters(), *network.buffers()]
    other = copy.deepcopy(network, {id(tensor): tensor for tensor in tensors})
    for module in other.modules():
        if isinstance(module, SymmetryMaps):
            module.centre = centre
    return other
