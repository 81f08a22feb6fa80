# SPDX-License-Identifier: GPL-3.0-or-later
"""The network: its shape, its head, its description."""

from __future__ import annotations

import pytest
import torch

from napari_ebsd_phase.errors import InputError
from napari_ebsd_phase.network import Architecture, ResidualBlock, SymmetryNet

SMALL = Architecture(widths=(4, 8), blocks=(1, 2))


def trained_like(architecture: Architecture = SMALL, seed: int = 0) -> SymmetryNet:
    """A network whose every weight and statistic differs from where it starts."""
    generator = torch.Generator().manual_seed(seed)
    network = SymmetryNet(architecture)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if tensor.is_floating_point():
                noise = torch.randn(tensor.shape, generator=generator)
                tensor.copy_(noise.abs() + 0.5 if "var" in name else 0.3 * noise)
    return network.eval()


@pytest.mark.parametrize("size", [16, 24, 64, 128])
def test_patterns_of_any_size_give_46_scores(size):
    assert trained_like()(torch.zeros(3, 1, size, size)).shape == (3, 46)


def test_each_stage_after_the_first_halves_the_image():
    features = SymmetryNet(Architecture()).eval().features(torch.zeros(1, 1, 64, 64))
    assert features.shape == (1, 96, 8, 8)


def test_a_score_is_the_mean_of_its_class_activation_map():
    network = trained_like()
    patterns = torch.randn(2, 1, 64, 64)
    with torch.no_grad():
        maps = torch.einsum("nchw,kc->nkhw", network.features(patterns), network.head.weight)
        expected = maps.mean(dim=(2, 3)) + network.head.bias
        torch.testing.assert_close(network(patterns), expected, rtol=1e-4, atol=1e-4)


def test_patterns_in_a_batch_do_not_see_each_other():
    network = trained_like()
    patterns = torch.randn(4, 1, 64, 64)
    with torch.no_grad():
        together = network(patterns)
        alone = torch.cat([network(p[None]) for p in patterns])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)


def test_an_untrained_block_passes_its_input_on():
    block = ResidualBlock(6, 6, 1).eval()
    x = torch.rand(2, 6, 8, 8)
    torch.testing.assert_close(block(x), x)


def test_gradients_reach_every_weight():
    network = trained_like().train()
    network(torch.randn(4, 1, 32, 32)).square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in network.parameters())


def test_the_same_seed_gives_the_same_network():
    torch.manual_seed(4)
    one = SymmetryNet(SMALL)
    torch.manual_seed(4)
    two = SymmetryNet(SMALL)
    assert all(
        torch.equal(a, b)
        for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True)
    )


def test_an_architecture_survives_the_card():
    assert Architecture.from_dict(SMALL.to_dict()) == SMALL
    assert Architecture.from_dict(Architecture().to_dict()) == Architecture()


@pytest.mark.parametrize(
    "change",
    [
        {"widths": [8]},
        {"widths": []},
        {"widths": None},
        {"widths": "48"},
        {"widths": [8, 0]},
        {"widths": [8, 10**6]},
        {"widths": [8.0, 16]},
        {"blocks": [1, -1]},
        {"outputs": "46"},
        {"outputs": 0},
        {"depth": 3},
    ],
)
def test_an_architecture_that_makes_no_sense_is_refused(change):
    with pytest.raises(InputError, match="network") as error:
        Architecture.from_dict(SMALL.to_dict() | change)
    assert "\n" not in str(error.value)


def test_an_architecture_that_lacks_something_is_refused_by_name():
    values = SMALL.to_dict()
    del values["blocks"]
    with pytest.raises(InputError, match="blocks"):
        Architecture.from_dict(values)


def test_too_many_stages_are_refused():
    with pytest.raises(InputError, match="one to six"):
        Architecture(widths=(8,) * 7, blocks=(1,) * 7)
