# SPDX-License-Identifier: GPL-3.0-or-later
"""Checkpoints of a training run: tensors as safetensors, no pickle.

One file holds weights, their moving average and the optimiser's moments, so that a kill between
two writes cannot leave a pair of files that do not belong together.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from ..errors import InputError
from ..network import SymmetryNet
from .optimiser import Optimiser

__all__ = ["load_checkpoint", "save_checkpoint"]

_NAME = "checkpoint.safetensors"


def save_checkpoint(
    folder: Path,
    step: int,
    network: SymmetryNet,
    average: SymmetryNet,
    optimiser: Optimiser,
    identity: dict[str, Any],
    finder: nn.Module | None = None,
) -> None:
    """Write the state after `step` steps; the file before it stays until the new one is whole.

    `identity` holds, by name, what a run cannot change on the way; `finder` is the network's other
    head, see :mod:`.symmetry_head`.
    """
    tensors = {f"network.{k}": v for k, v in network.state_dict().items()}
    tensors |= {f"average.{k}": v for k, v in average.state_dict().items()}
    if finder is not None:
        tensors |= {f"finder.{k}": v for k, v in finder.state_dict().items()}
    for number, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{number}.{k}": v for k, v in state.items()}
    tensors = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
    metadata = {"step": str(step), **{k: json.dumps(v) for k, v in identity.items()}}
    part = folder / (_NAME + ".part")
    save_file(tensors, part, metadata)
    os.replace(part, folder / _NAME)


def load_checkpoint(
    folder: Path,
    network: SymmetryNet,
    average: SymmetryNet,
    optimiser: Optimiser,
    identity: dict[str, Any],
    finder: nn.Module | None = None,
) -> int:
    """Restore a run in place; returns the number of steps done, 0 when there is no checkpoint.

    Raises
    ------
    InputError
        If the file is damaged or belongs to a run of another identity.
    """
    path = folder / _NAME
    if not path.exists():
        return 0
    try:
        with safe_open(path, framework="pt") as stream:
            metadata = stream.metadata() or {}
            tensors = {k: stream.get_tensor(k) for k in stream.keys()}  # noqa: SIM118 (no mapping)
    except (SafetensorError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path} is damaged ({reason}); delete it to start over") from error
    for key, value in identity.items():
        # Facts that older runs did not have are false in them.
        if metadata.get(key, "false") != json.dumps(value):
            raise InputError(f"{path} is of another {key}; use another folder, or delete it")

    def part(prefix: str) -> dict[str, torch.Tensor]:
        return {k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)}

    try:
        step = int(metadata["step"])
        state: dict[int, dict[str, torch.Tensor]] = {}
        for key, value in part("optimiser.").items():
            number, name = key.split(".", 1)
            state.setdefault(int(number), {})[name] = value
        network.load_state_dict(part("network."))
        average.load_state_dict(part("average."))
        if finder is not None:
            finder.load_state_dict(part("finder."))
        optimiser.load_state_dict({"state": state})
    except (KeyError, ValueError, RuntimeError) as error:
        raise InputError(f"{path} is no whole checkpoint; delete it to start over") from error
    return step
