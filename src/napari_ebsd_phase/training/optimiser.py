# SPDX-License-Identifier: GPL-3.0-or-later
"""The optimiser of a run: Muon for the kernels of convolutions, AdamW for all else.

Muon makes every update of a weight matrix orthogonal, which in our trials (``docs/network.md``)
learned more from the same number of patterns than AdamW alone.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

__all__ = ["Optimiser"]


class Optimiser:
    """Muon and AdamW under one roof.

    Parameters
    ----------
    network
        Its kernels of four dimensions go to Muon, as matrices of one row an output channel.
    learning_rate
        Of AdamW.
    matrix_learning_rate
        Of Muon.
    weight_decay
        Of kernels and linear weights, not of norms and biases.
    """

    def __init__(
        self,
        network: nn.Module,
        learning_rate: float,
        matrix_learning_rate: float,
        weight_decay: float,
    ) -> None:
        parameters = list(network.parameters())
        self._kernels = [p for p in parameters if p.ndim == 4]
        # Muon takes matrices only: these share their memory with the kernels. A kernel in
        # channels-last order has no such view, so the matrix is of the transposed kernel then.
        self._matrices = [self._as_matrix(p.detach()) for p in self._kernels]
        self._muon = torch.optim.Muon(
            self._matrices, lr=matrix_learning_rate, weight_decay=weight_decay
        )
        groups: list[dict[str, Any]] = [
            {"params": [p for p in parameters if p.ndim in (2, 3)]},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ]
        self._adam = torch.optim.AdamW(
            groups,
            lr=learning_rate,
            weight_decay=weight_decay,
        )
        self._rates = (learning_rate, matrix_learning_rate)

    @staticmethod
    def _as_matrix(kernel: torch.Tensor) -> torch.Tensor:
        """(out, in, h, w) to (out, in * h * w), in the order of memory: a view."""
        if kernel.is_contiguous():
            return kernel.view(len(kernel), -1)
        return kernel.permute(0, 2, 3, 1).view(len(kernel), -1)

    def scale_learning_rates(self, factor: float) -> None:
        """Set the learning rates to a factor times those that were given."""
        for optimiser, rate in zip((self._adam, self._muon), self._rates, strict=True):
            for group in optimiser.param_groups:
                group["lr"] = rate * factor

    def zero_grad(self) -> None:
        """Forget the gradients."""
        self._adam.zero_grad(set_to_none=True)
        for kernel in self._kernels:
            kernel.grad = None

    def step(self) -> None:
        """Update all parameters by their gradients."""
        for kernel, matrix in zip(self._kernels, self._matrices, strict=True):
            if kernel.grad is None:
                matrix.grad = None
            else:
                order = torch.contiguous_format if kernel.is_contiguous() else torch.channels_last
                matrix.grad = self._as_matrix(kernel.grad.contiguous(memory_format=order))
        self._muon.step()
        self._adam.step()

    def state_dict(self) -> dict[str, Any]:
        """Moments of all parameters by number, those of kernels after the others."""
        adam, muon = self._adam.state_dict()["state"], self._muon.state_dict()["state"]
        first = self._count()
        return {"state": {**adam, **{first + number: value for number, value in muon.items()}}}

    def load_state_dict(self, values: dict[str, Any]) -> None:
        """The inverse of :meth:`state_dict`."""
        state, first = values["state"], self._count()
        adam = {number: value for number, value in state.items() if number < first}
        muon = {number - first: value for number, value in state.items() if number >= first}
        self._adam.load_state_dict({**self._adam.state_dict(), "state": adam})
        self._muon.load_state_dict({**self._muon.state_dict(), "state": muon})

    def _count(self) -> int:
        return sum(len(group["params"]) for group in self._adam.param_groups)
