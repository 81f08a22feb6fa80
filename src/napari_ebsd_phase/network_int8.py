# SPDX-License-Identifier: GPL-3.0-or-later
"""The same network with weights and feature maps of eight bits, to classify with.

Processors with instructions for sums of products of bytes do twice as many of them as of bfloat16
numbers. A feature map is spread over 256 steps up to a limit that is found once, on examples;
weights have a scale for every output channel. Sums of products are exact.

Heat maps, and everything else that needs gradients, use the network as it was trained.
"""

from __future__ import annotations

import copy
from functools import cache
from typing import Any, NamedTuple

import h5py
import numpy as np
import torch
from torch import nn

from .network import LineBlock, ResidualBlock, SymmetryNet, with_centre
from .network_folding import folded
from .network_mean import NetworkMean, mean_scores
from .radon import wrap_angles
from .samples import sample_path
from .symmetry_maps import Centre, SymmetryMaps

__all__ = ["ByteNetwork", "Convolution", "bytes_are_fast", "example_patterns"]

# Feature maps of other patterns than the examples reach a little further.
_MARGIN = 1.25

# Limits of symmetry maps are taken here; the nearer the screen, the larger their coordinates.
_COMMON = Centre(32.0, 20.0, 20.0)

_STEPS = 255
_MIDDLE = 128


@cache
def bytes_are_fast() -> bool:
    """Whether processor and torch have what this needs, and it does what it should.

    torch does not promise to keep the operations of its compiler as they are, so one is tried.
    """
    # Younger than the oldest torch that serves.
    able: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(able.get("avx512_vnni")) and _is_right()


@torch.inference_mode()
def _is_right() -> bool:
    """Whether a small convolution of bytes agrees with that of real numbers."""
    x = torch.linspace(0, 3, 8 * 36).reshape(1, 8, 6, 6)
    conv = nn.Conv2d(8, 8, 3, padding=1)
    for parameter in conv.parameters():
        parameter.copy_(torch.linspace(-0.2, 0.2, parameter.numel()).reshape(parameter.shape))
    trial = Convolution(conv, relu=True)
    try:
        expected = trial.measure(x)
        inner = trial._in.bytes_of(x)
        found = trial(inner).float() * trial.range.scale
    except (AttributeError, NotImplementedError, RuntimeError, TypeError):
        return False
    return bool((found - expected).abs().max() < 0.03 * expected.abs().max())


def example_patterns(count: int = 64) -> np.ndarray:
    """Patterns of a bundled sample, spread over its map: uint8 of shape (count, 48, 48)."""
    with h5py.File(sample_path("two_phase"), "r") as file:
        patterns = file["Scan 1/EBSD/Data/patterns"]
        return np.asarray(patterns[:: len(patterns) // count][:count])


class ByteNetwork(nn.Module):
    """A network in bytes, for processors.

    Parameters
    ----------
    network
        In evaluation mode, with normalisations that follow convolutions.
    examples
        Prepared patterns (n, 1, size, size) that show how large feature maps become.
    """

    def __init__(self, network: SymmetryNet | NetworkMean, examples: torch.Tensor) -> None:
        super().__init__()
        self._folded, self._examples = folded(network).members, examples
        with torch.inference_mode():
            self._members = {
                number: _Member(member, examples)
                for number, member in enumerate(self._folded)
                if member.answers
            }

    def at(self, centre: Centre | None) -> ByteNetwork:
        """The same, for patterns with a known projection centre; see :func:`.network.with_centre`.

        What is in bytes is shared.
        """
        for number, member in enumerate(self._folded):
            if number not in self._members:
                with torch.inference_mode():
                    self._members[number] = _Member(with_centre(member, _COMMON), self._examples)
        other = copy.copy(self)
        other._members = {n: member.at(centre) for n, member in self._members.items()}
        return other

    @torch.inference_mode()
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Class scores of prepared patterns (n, 1, size, size)."""
        scores = [self._members[number](x) for number in sorted(self._members)]
        if not scores:  # says what it lacks
            return self._folded[0](x)
        return mean_scores(scores) if len(scores) > 1 else scores[0]


class _Range(NamedTuple):
    """Size of a step, and the byte that stands for zero."""

    scale: float
    zero: int

    @classmethod
    def of(cls, values: torch.Tensor) -> _Range:
        """Of all values that are there, and some more; bytes from zero on where none is negative.

        Scales have three digits, since the last ones of the examples differ between processors.
        """
        if bool((values < 0).any()):
            limit = float(values.abs().max())
            return cls(float(f"{_MARGIN * limit / (_STEPS - _MIDDLE):.3g}"), _MIDDLE)
        return cls(float(f"{_MARGIN * max(float(values.max()), 1e-6) / _STEPS:.3g}"), 0)

    def bytes_of(self, x: torch.Tensor) -> torch.Tensor:
        steps = (x * (1 / self.scale)).round_().add_(self.zero).clamp_(0, _STEPS)
        return steps.to(torch.uint8, memory_format=torch.channels_last)


class Convolution:
    """A convolution of bytes, with what is added to it, and a rectifier or not.

    Parameters
    ----------
    conv
        With a bias, as folded ones have.
    relu
        Whether a rectifier follows.
    """

    def __init__(self, conv: nn.Conv2d, relu: bool) -> None:
        self._conv, self._relu = conv, relu

    def measure(self, x: torch.Tensor, beside: torch.Tensor | None = None) -> torch.Tensor:
        """Convolve with full precision; take the range of input and result."""
        conv = self._conv
        y = conv(x) if beside is None else conv(x) + beside
        y = torch.relu(y) if self._relu else y
        self._in, self.range = _Range.of(x), _Range.of(y)
        weight = conv.weight.detach()
        self._scales = weight.abs().amax(dim=(1, 2, 3)).clamp_min(1e-8) / 127
        rounded = (weight / self._scales[:, None, None, None]).round().to(torch.int8)
        self._zeros = torch.zeros(len(weight), dtype=torch.int32)
        self._shape = (list(conv.stride), list(conv.padding), [1, 1], conv.groups)
        self._weight: torch.Tensor = torch.ops.onednn.qconv_prepack(
            rounded, self._scales, *self._in, *self._shape, list(x.shape)
        )
        self._bias = None if conv.bias is None else conv.bias.detach()
        return y

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        weight, rectifier = (self._weight, self._scales, self._zeros), self._rectifier
        y: torch.Tensor = torch.ops.onednn.qconv2d_pointwise(
            *(x, *self._in, *weight, self._bias, *self._shape),
            *(*self.range, torch.uint8, *rectifier),
        )
        return y

    def added(self, x: torch.Tensor, beside: torch.Tensor, scale: _Range) -> torch.Tensor:
        """The same plus `beside`, bytes with a range of their own; what these held is lost."""
        weight = (self._weight, self._scales, self._zeros)
        y: torch.Tensor = torch.ops.onednn.qconv2d_pointwise.binary(
            *(x, *self._in, *weight, beside, self._bias, *self._shape),
            *(*self.range, torch.uint8, *scale, "sum", 1.0, *self._rectifier),
        )
        return y

    @property
    def _rectifier(self) -> tuple[str, list[float], str]:
        return "relu" if self._relu else "none", [], ""


def _mean_of_four(channels: int) -> nn.Conv2d:
    """The mean of two by two pixels as a convolution."""
    conv = nn.Conv2d(channels, channels, 2, 2, groups=channels, bias=False)
    nn.init.constant_(conv.weight, 0.25)
    return conv.requires_grad_(False)


def _after_mean_of_four(conv: nn.Conv2d) -> nn.Conv2d:
    """The mean of two by two pixels and then a convolution of single pixels, as one convolution."""
    both = nn.Conv2d(conv.in_channels, conv.out_channels, 2, 2)
    both.weight.data = conv.weight.detach().expand(-1, -1, 2, 2) / 4
    both.bias = conv.bias
    return both


class _Block:
    """A residual block of either kind."""

    def __init__(self, block: ResidualBlock | LineBlock) -> None:
        lines = isinstance(block, LineBlock)
        self._wrap = wrap_angles if lines else nn.Identity()
        halve = isinstance(block, LineBlock) and block.halve
        self._halve = Convolution(_mean_of_four(block.conv1.in_channels), False) if halve else None
        self._first = Convolution(block.conv1, relu=True)
        self._second = Convolution(block.conv2, relu=True)
        parts = list(block.shortcut.children())
        convs = [part for part in parts if isinstance(part, nn.Conv2d)]
        if convs and any(isinstance(part, nn.AvgPool2d) for part in parts):
            convs = [_after_mean_of_four(convs[0])]
        self._shortcut = Convolution(convs[0], relu=False) if convs else None

    def measure(self, x: torch.Tensor) -> torch.Tensor:
        """As the block with full precision; takes the ranges."""
        x = self._halve.measure(x) if self._halve else x
        beside = self._shortcut.measure(x) if self._shortcut else x
        self._beside = _Range.of(beside)
        return self._second.measure(self._wrap(self._first.measure(self._wrap(x))), beside)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        x = self._halve(x) if self._halve else x
        y = self._wrap(self._first(self._wrap(x)))
        beside = self._shortcut(x) if self._shortcut else x
        return self._second.added(y, beside, self._beside)


class _Member:
    """One network of the mean."""

    def __init__(self, network: SymmetryNet, examples: torch.Tensor) -> None:
        self._head = network.head
        stem, blocks = list(network.features), []
        while isinstance(last := stem[-1], ResidualBlock | LineBlock):
            blocks.append(_Block(last))
            stem.pop()
        self._blocks = blocks[::-1]
        self._maps = network.architecture.view == "symmetry"
        self._transform: Any = None
        first: Any = stem[0]
        if network.architecture.view == "lines":
            self._transform, first = first.transform, first.conv
        elif self._maps:
            self._transform, first = stem[:2]
        self._stem = Convolution(first, relu=True)
        x = self._view(examples)
        self._in = _Range.of(x)
        x = self._stem.measure(x)
        for block in self._blocks:
            x = block.measure(x)
        self._out = _Range.of(x)

    def at(self, centre: Centre | None) -> _Member:
        """The same for another projection centre, if that matters."""
        if not self._maps:
            return self
        other = copy.copy(self)
        other._transform = SymmetryMaps(centre)
        return other

    def _view(self, x: torch.Tensor) -> torch.Tensor:
        if self._transform is None:
            return x
        view: torch.Tensor = self._transform(x)
        return view if self._maps else wrap_angles(view)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        x = self._stem(self._in.bytes_of(self._view(x)))
        for block in self._blocks:
            x = block(x)
        sums = x.sum(dim=(2, 3), dtype=torch.int32)
        scores: torch.Tensor = self._head(sums * (self._out.scale / (x.shape[2] * x.shape[3])))
        return scores
