# SPDX-License-Identifier: GPL-3.0-or-later
"""What a network computes on, in which numbers, and how much of it there is room for."""

from __future__ import annotations

import sys
import warnings
from typing import Any

import torch

from .errors import InputError, SmallerBatches
from .network_int8 import bytes_are_fast

__all__ = ["PRECISIONS", "Room", "pick_device", "pick_precision"]

PRECISIONS = ("auto", "float32", "bfloat16", "int8")


def pick_device(name: str) -> torch.device:
    """Turn ``auto`` into the first accelerator there is, or the processor.

    Raises
    ------
    InputError
        If the device is unknown or not there.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    available = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if name not in available:
        raise InputError(f"unknown device {name!r}: use auto, cpu, cuda or mps")
    if not available[name]:
        raise InputError(f"this machine has no {name} device that torch can use: use --device cpu")
    return torch.device(name)


def pick_precision(name: str, device: torch.device) -> str:
    """Turn ``auto`` into what this machine is fast at.

    Raises
    ------
    InputError
        If the precision is unknown, or nothing that this device computes with.
    """
    if name not in PRECISIONS:
        raise InputError(f"unknown precision {name!r}: use {', '.join(PRECISIONS)}")
    # Younger than the oldest torch that serves.
    able: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    processor = device.type == "cpu"
    if name == "int8" and not (processor and bytes_are_fast()):
        raise InputError("this device has no instructions for int8: use --device cpu or float32")
    if name != "auto":
        return name
    if processor and bytes_are_fast():
        return "int8"
    native = processor and (able.get("avx512_bf16") or able.get("amx_bf16"))
    return "bfloat16" if native else "float32"


class Room:
    """How many patterns a device has memory for at once, as far as it is known.

    Once it ran out of memory, no more are tried again: other programs use the same one.
    """

    def __init__(self) -> None:
        self.most = sys.maxsize

    def lacks(self, error: RuntimeError, size: int) -> bool:
        """Whether `size` patterns were too many, and fewer are worth trying.

        Says so in a :class:`.SmallerBatches` warning, and lets half as many in from now on.
        """
        # Metal has no error of its own for this.
        full = isinstance(error, torch.OutOfMemoryError) or "out of memory" in str(error)
        if not full or size < 2:
            return False
        if size // 2 < self.most:
            self.most = size // 2
            warnings.warn(
                f"not enough memory for {size} patterns at once: {self.most} from now on",
                SmallerBatches,
                stacklevel=2,
            )
        return True
