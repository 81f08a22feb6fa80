# SPDX-License-Identifier: GPL-3.0-or-later
"""What the machine is and can do: the limits that benchmarks/run.py compares with."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from napari_ebsd_phase.classifier import Classifier
from napari_ebsd_phase.lanes import Lanes
from napari_ebsd_phase.network_int8 import Convolution

_BATCH, _CHANNELS, _SIDE = 128, 96, 8


def machine() -> Iterator[str]:
    """Lines that say what was measured on."""
    described = Path("/proc/cpuinfo")
    text = described.read_text() if described.exists() else ""
    names = [line.split(":")[1].strip() for line in text.splitlines() if "model name" in line]
    able = getattr(torch.cpu, "get_capabilities", dict)()
    told = [
        name for name in ("avx512_f", "avx512_bf16", "avx512_vnni", "amx_int8") if able.get(name)
    ]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    yield f"- {names[0] if names else platform.processor()} ({told}), {os.cpu_count()} cores"
    yield f"- {memory:.0f} GiB of memory, {platform.system()}, Python {platform.python_version()}"
    packages = ("torch", "numpy", "h5py", "distributed", "kikuchipy", "pyebsdindex")
    yield "- " + ", ".join(f"{name} {version(name)}" for name in packages)
    load = os.getloadavg()[0]
    yield f"- load of the machine at the start: {load:.1f} (an idle one is below 0.5)"


def multiplications(classifier: Classifier) -> float:
    """Multiplications of all convolutions of a network for one pattern."""
    total = 0

    def count(layer: nn.Module, _: object, output: torch.Tensor) -> None:
        nonlocal total
        assert isinstance(layer, nn.Conv2d)
        total += output[0].numel() * layer.weight[0].numel()

    layers = [part for part in classifier.network.modules() if isinstance(part, nn.Conv2d)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    size = classifier.preprocessing.size
    with torch.inference_mode():
        classifier.network(torch.zeros(1, 1, size, size, device=classifier.device))
    for hook in hooks:
        hook.remove()
    return float(total)


def convolution_rate(precision: str, cores: int, seconds: float = 2.0) -> float:
    """Multiplications a second in one convolution that suits the machine, on some cores."""
    conv = nn.Conv2d(_CHANNELS, _CHANNELS, 3, padding=1).requires_grad_(False)
    conv = conv.to(memory_format=torch.channels_last)
    x = torch.rand(_BATCH, _CHANNELS, _SIDE, _SIDE).contiguous(memory_format=torch.channels_last)
    bytewise = Convolution(conv, relu=True)
    if precision == "int8":
        bytewise.measure(x)
        x = (255 * x).to(torch.uint8)
    elif precision == "bfloat16":
        conv, x = conv.bfloat16(), x.bfloat16()

    def repeat() -> int:
        done = 0
        with torch.inference_mode():
            while time.perf_counter() < end:
                for _ in range(10):
                    if precision == "int8":
                        bytewise(x)
                    else:
                        functional.conv2d(x, conv.weight, conv.bias, padding=1)
                done += 10
        return done

    lanes = Lanes(cores)
    start = time.perf_counter()
    end = start + seconds
    done = sum(lane.result() for lane in [lanes.submit(repeat) for _ in range(cores)])
    each = _BATCH * _CHANNELS**2 * 9 * _SIDE**2
    return done * each / (time.perf_counter() - start)


def copy_rate() -> float:
    """Bytes a second from one place in memory to another, on one core."""
    source = np.ones(2**27, np.uint8)
    target = np.empty_like(source)
    target[...] = source
    start = time.perf_counter()
    for _ in range(8):
        target[...] = source
    return 8 * source.size / (time.perf_counter() - start)
