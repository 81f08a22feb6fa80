# SPDX-License-Identifier: GPL-3.0-or-later
"""State of a fine-tuning run in one file: tensors as safetensors, no pickle."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from ..errors import InputError
from .fine_tune_settings import CurvePoint

__all__ = ["RunState", "load_state", "save_state"]


@dataclass
class RunState:
    """Where a run is.

    Parameters
    ----------
    step
        Steps done.
    best
        Weights at the best point so far, by name.
    curve
        Points so far.
    losses
        Loss of each step since the last point.
    """

    step: int
    best: dict[str, torch.Tensor]
    curve: list[CurvePoint] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)


def save_state(
    path: Path,
    state: RunState,
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    identity: Mapping[str, Any],
) -> None:
    """Write the state; the file before it stays until the new one is whole.

    `identity` holds, by name, what a run cannot change on the way.
    """
    tensors = {f"network.{k}": v for k, v in network.state_dict().items()}
    tensors |= {f"best.{k}": v for k, v in state.best.items()}
    for number, moments in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{number}.{k}": v for k, v in moments.items()}
    # A clone, since two names must not share memory in the file.
    tensors = {k: v.detach().cpu().clone().contiguous() for k, v in tensors.items()}
    metadata = {
        "step": str(state.step),
        "curve": json.dumps([asdict(point) for point in state.curve]),
        "losses": json.dumps(state.losses),
        "identity": json.dumps(dict(identity), sort_keys=True),
    }
    part = path.with_name(path.name + ".part")
    try:
        save_file(tensors, part, metadata)
        os.replace(part, path)
    except (OSError, SafetensorError) as error:
        part.unlink(missing_ok=True)
        raise InputError(f"cannot write {path} ({error}): make room or rights there") from error


def load_state(
    path: Path,
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    identity: Mapping[str, Any],
) -> RunState | None:
    """Restore a run in place; None when there is no file.

    Raises
    ------
    InputError
        If the file is damaged, or of a run with other patterns, another network or settings.
    """
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as stream:
            metadata = stream.metadata() or {}
            tensors = {k: stream.get_tensor(k) for k in stream.keys()}  # noqa: SIM118 (no mapping)
    except (SafetensorError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path} is damaged ({reason}); delete it to start over") from error
    before = json.loads(metadata.get("identity", "{}"))
    for key, value in json.loads(json.dumps(dict(identity))).items():
        if before.get(key) != value:
            raise InputError(
                f"{path} is of a run with other {key}: give the same again, or delete the file to "
                "start over"
            )

    def part(prefix: str) -> dict[str, torch.Tensor]:
        return {k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)}

    try:
        moments: dict[int, dict[str, torch.Tensor]] = {}
        for key, value in part("optimiser.").items():
            number, name = key.split(".", 1)
            moments.setdefault(int(number), {})[name] = value
        network.load_state_dict(part("network."))
        optimiser.load_state_dict({**optimiser.state_dict(), "state": moments})
        return RunState(
            int(metadata["step"]),
            part("best."),
            [CurvePoint(**point) for point in json.loads(metadata["curve"])],
            json.loads(metadata["losses"]),
        )
    except (KeyError, ValueError, TypeError, RuntimeError) as error:
        raise InputError(f"{path} is no whole state of a run; delete it to start over") from error
