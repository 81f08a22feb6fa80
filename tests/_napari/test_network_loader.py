# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks are loaded once, in the background where one likes."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from napari_ebsd_phase import InputError, load_classifier
from napari_ebsd_phase._napari.network_loader import NetworkLoader

LINK = """
import sys
from napari_ebsd_phase._napari.network_loader import link_torch
link_torch()
assert "torch" not in sys.modules
import torch
link_torch()
print(float(torch.ones(3).sum()))
"""


def warm_up(loader: NetworkLoader, *network: str, **settings) -> None:
    loader.warm_up(*network, device="cpu", **settings)
    for thread in threading.enumerate():
        if thread.name == "ebsd-phase-warm-up":
            thread.join()


def test_a_network_is_loaded_once():
    loader = NetworkLoader()

    assert loader.load(None, "cpu") is loader.load("default", "cpu")


def test_a_network_that_was_trained_again_is_loaded_again(tmp_path):
    loader, network = NetworkLoader(), load_classifier(device="cpu")
    path = network.save(tmp_path / "own.safetensors")
    before = loader.load(path, "cpu")
    for weights in network.network.parameters():
        weights.data *= 1.01
    network.save(path)

    assert loader.load(path, "cpu").sha256 == network.sha256 != before.sha256


def test_what_is_warmed_up_is_there(tmp_path):
    loader, done = NetworkLoader(), []

    warm_up(loader, "default", also=lambda: done.append(True))

    assert done == [True]
    assert loader.load("default", "cpu").name == load_classifier(device="cpu").name


def test_a_network_that_is_missing_is_told_when_it_is_needed():
    loader = NetworkLoader()

    warm_up(loader, "no-such-network")

    with pytest.raises(InputError, match="no-such-network"):
        loader.load("no-such-network", "cpu")


def test_torch_may_be_linked_before_it_is_imported():
    command = [sys.executable, "-W", "error", "-c", LINK]

    result = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (result.returncode, result.stdout, result.stderr) == (0, "3.0\n", "")
