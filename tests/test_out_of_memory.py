# SPDX-License-Identifier: GPL-3.0-or-later
"""A device without memory for a batch gets smaller ones, until it has; the user is told once."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

from napari_ebsd_phase import classify, load_classifier, load_scan
from napari_ebsd_phase.classifier import Classifier
from napari_ebsd_phase.cli import main
from napari_ebsd_phase.errors import SmallerBatches
from napari_ebsd_phase.network import SymmetryNet

from ._program import DUPLEX, NICKEL, rows_of

REGION = (slice(0, 2), slice(0, 40))


class SmallNetwork(SymmetryNet):
    """The network on a device that has room for `room` patterns only, as torch says it."""

    room = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if len(x) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
        return super().forward(x)


@pytest.fixture(scope="module")
def usual() -> Classifier:
    return load_classifier("pixels", device="cpu", precision="float32")


def with_room_for(room: int, usual: Classifier) -> Classifier:
    network = SmallNetwork(usual.network.architecture)
    network.load_state_dict(usual.network.state_dict())
    network.room = room
    return Classifier(network, usual.card, "cpu")


def test_without_room_for_a_batch_the_map_is_the_same_and_it_is_said_once(usual):
    small = with_room_for(5, usual)
    with load_scan(DUPLEX) as scan:
        whole = classify(scan, usual, region=REGION, batch_size=32)
        with pytest.warns(SmallerBatches) as said:
            found = classify(scan, small, region=REGION, batch_size=32)
        with warnings.catch_warnings(action="error"):  # it is known from now on
            again = classify(scan, small, region=REGION, batch_size=32)

    # 32, 16 and 8 are too many: each is said, none of them twice.
    assert [str(warning.message).split(":")[1] for warning in said] == [
        f" {size} from now on" for size in (16, 8, 4)
    ]
    for name in ("point_group_probabilities", "bravais_probabilities", "pattern_quality"):
        expected = getattr(whole, name)
        np.testing.assert_allclose(getattr(found, name), expected, rtol=1e-4, atol=1e-6)
        np.testing.assert_array_equal(getattr(again, name), getattr(found, name))
    np.testing.assert_array_equal(found.point_group, whole.point_group)
    assert found.done[REGION].all()


def test_what_has_no_room_for_one_pattern_ends_with_the_error_of_the_device(usual):
    with (
        load_scan(NICKEL) as scan,
        pytest.warns(SmallerBatches),
        pytest.raises(torch.OutOfMemoryError),
    ):
        classify(scan, with_room_for(0, usual))


def test_another_error_of_the_network_is_none_of_memory(usual):
    broken = with_room_for(99, usual)
    broken.network.head = torch.nn.Linear(3, 47)
    with load_scan(NICKEL) as scan, pytest.raises(RuntimeError, match="shapes"):
        classify(scan, broken)


def test_the_command_line_says_it_in_a_line_and_finishes(tmp_path, monkeypatch, capfd):
    arguments = ["classify", NICKEL, "--model", "pixels", "--device", "cpu"]
    assert main([*arguments, "-o", str(tmp_path / "usual.csv"), "--quiet"]) == 0
    head = torch.nn.Linear.forward

    def crowded(self: torch.nn.Linear, x: torch.Tensor) -> torch.Tensor:
        if len(x) > 4:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return head(self, x)

    capfd.readouterr()
    with monkeypatch.context() as device:
        device.setattr(torch.nn.Linear, "forward", crowded)
        code = main([*arguments, "-o", str(tmp_path / "small.csv"), "--quiet"])

    assert code == 0
    assert capfd.readouterr().err.splitlines() == [
        "note: not enough memory for 9 patterns at once: 4 from now on"
    ]
    for usual, small in zip(
        *(rows_of(tmp_path / name) for name in ("usual.csv", "small.csv")), strict=True
    ):
        assert (usual["label"], usual["level"]) == (small["label"], small["level"])
