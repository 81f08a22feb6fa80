# SPDX-License-Identifier: GPL-3.0-or-later
"""The network: its shape, its head, its description."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from napari_ebsd_phase.errors import InputError
from napari_ebsd_phase.network import Architecture, LineBlock, ResidualBlock, SymmetryNet

SMALL = Architecture(widths=(4, 8), blocks=(1, 2), offsets=32, angles=24)
PIXELS = Architecture(widths=(4, 8), blocks=(1, 2), view="pixels")

# Both kinds of network keep the promises of this file.
both = pytest.mark.parametrize("architecture", [SMALL, PIXELS], ids=["lines", "pixels"])


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


def symmetric(network: SymmetryNet) -> SymmetryNet:
    """The same network, its kernels alike in all directions."""
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim == 4:
                parameter.add_(parameter.flip(2)).add_(parameter.flip(3))
    return network


def blurred(patterns: torch.Tensor) -> torch.Tensor:
    """Patterns without detail finer than some pixels, with the contrast of prepared ones."""
    smooth = torch.nn.functional.avg_pool2d(patterns, 5, 1, 2)
    return smooth / smooth.std()


@both
@pytest.mark.parametrize("size", [16, 24, 64, 128])
def test_patterns_of_any_size_give_47_scores(architecture, size):
    assert trained_like(architecture)(torch.zeros(3, 1, size, size)).shape == (3, 47)


def test_the_first_networks_gave_46_scores():
    network = SymmetryNet(Architecture(widths=(4,), blocks=(1,), outputs=46, view="pixels"))
    assert network(torch.zeros(1, 1, 16, 16)).shape == (1, 46)


def test_each_stage_after_the_first_halves_the_image():
    features = SymmetryNet(Architecture(view="pixels")).eval().features(torch.zeros(1, 1, 64, 64))
    assert features.shape == (1, 96, 8, 8)


@pytest.mark.parametrize("size", [32, 64, 96])
def test_the_space_of_lines_has_one_size_whatever_that_of_the_pattern(size):
    features = SymmetryNet(Architecture()).eval().features(torch.zeros(1, 1, size, size))
    assert features.shape == (1, 96, 8, 6)


@both
def test_a_score_is_the_mean_of_its_class_activation_map(architecture):
    network = trained_like(architecture)
    patterns = torch.randn(2, 1, 64, 64)
    with torch.no_grad():
        maps = torch.einsum("nchw,kc->nkhw", network.features(patterns), network.head.weight)
        expected = maps.mean(dim=(2, 3)) + network.head.bias
        torch.testing.assert_close(network(patterns), expected, rtol=1e-4, atol=1e-4)


@both
def test_patterns_in_a_batch_do_not_see_each_other(architecture):
    network = trained_like(architecture)
    patterns = torch.randn(4, 1, 64, 64)
    patterns[2:, ..., :20] = 0.0  # another screen
    with torch.no_grad():
        together = network(patterns)
        alone = torch.cat([network(p[None]) for p in patterns])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)


def test_a_turn_of_the_camera_is_a_shift_of_lines_and_lost_in_the_mean():
    """True of kernels without a direction: padding, wrapping and pooling have none either."""
    network = symmetric(trained_like())
    patterns = blurred(torch.randn(4, 1, 64, 64, generator=torch.Generator().manual_seed(1)))
    views = {
        "quarter turn": torch.rot90(patterns, 1, (2, 3)),
        "half turn": torch.rot90(patterns, 2, (2, 3)),
        "mirror": patterns.flip(3),
    }
    with torch.no_grad():
        scores = network(patterns)
        for name, view in views.items():
            change = (network(view) - scores).norm() / (scores - scores.mean(dim=0)).norm()
            assert float(change) < 0.1, name


@pytest.mark.parametrize("block", [ResidualBlock(6, 6, 1), LineBlock(6, 6, False)])
def test_an_untrained_block_passes_its_input_on(block):
    x = torch.rand(2, 6, 8, 8)
    torch.testing.assert_close(block.eval()(x), x)


def test_a_block_of_lines_sees_across_the_last_angle():
    """There the offset changes sign: half a turn makes the normal point the other way."""
    block = LineBlock(1, 1, False).eval()
    with torch.no_grad():
        block.norm2.weight.fill_(1.0)
        for conv in (block.conv1, block.conv2):
            conv.weight.fill_(1.0)
    x = torch.zeros(1, 1, 8, 12)
    x[0, 0, 1, 11] = 1.0
    seen = block(x)[0, 0] > 0
    assert seen[6, 0]
    assert not seen[1, 0]


@both
def test_gradients_reach_every_weight(architecture):
    network = trained_like(architecture).train()
    network(torch.randn(4, 1, 32, 32)).square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in network.parameters())


@both
def test_gradients_reach_the_pattern(architecture):
    pattern = torch.randn(1, 1, 32, 32, requires_grad=True)
    trained_like(architecture)(pattern)[0, 5].backward()
    assert pattern.grad is not None
    assert (pattern.grad != 0).float().mean() > 0.9


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
    for architecture in (SMALL, PIXELS, Architecture()):
        assert Architecture.from_dict(architecture.to_dict()) == architecture


def test_a_card_from_before_there_was_a_choice_means_pixels():
    old = {"widths": [4, 8], "blocks": [1, 2], "outputs": 46}
    assert Architecture.from_dict(old) == replace(PIXELS, outputs=46)


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
        {"view": "sounds"},
        {"view": None},
        {"offsets": 30},
        {"angles": 42},
        {"angles": 0},
    ],
)
def test_an_architecture_that_makes_no_sense_is_refused(change):
    with pytest.raises(InputError, match="network") as error:
        Architecture.from_dict(SMALL.to_dict() | change)
    assert "\n" not in str(error.value)


def test_the_size_of_the_space_of_lines_does_not_matter_to_a_network_of_pixels():
    assert replace(PIXELS, offsets=30).divisor == 4


@pytest.mark.parametrize("key", ["widths", "blocks", "outputs", "offsets", "angles"])
def test_an_architecture_that_lacks_something_is_refused_by_name(key):
    values = SMALL.to_dict()
    del values[key]
    with pytest.raises(InputError, match=key):
        Architecture.from_dict(values)


def test_too_many_stages_are_refused():
    with pytest.raises(InputError, match="one to six"):
        Architecture(widths=(8,) * 7, blocks=(1,) * 7)
