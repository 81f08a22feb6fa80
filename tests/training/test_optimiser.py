# SPDX-License-Identifier: GPL-3.0-or-later
"""Muon and AdamW under one roof: who updates what, and what a checkpoint brings back."""

from __future__ import annotations

import pytest
import torch

from napari_ebsd_phase.network import Architecture, SymmetryNet
from napari_ebsd_phase.training.checkpoint import load_checkpoint, save_checkpoint
from napari_ebsd_phase.training.optimiser import Optimiser

SHAPE = Architecture(widths=(4, 8), blocks=(1, 1), offsets=16, angles=12)
FORMATS = {"rows": torch.contiguous_format, "channels last": torch.channels_last}


def network(memory_format: torch.memory_format = torch.channels_last) -> SymmetryNet:
    torch.manual_seed(1)
    result = SymmetryNet(SHAPE).to(memory_format=memory_format)
    with torch.no_grad():
        for parameter in result.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
    return result


def optimiser_of(model: SymmetryNet, rate: float = 0.01, decay: float = 0.02) -> Optimiser:
    return Optimiser(model, rate, 3 * rate, decay)


def learn(model: SymmetryNet, optimiser: Optimiser, first: int, last: int) -> None:
    """Some steps; what each sees follows from its number."""
    for step in range(first, last):
        generator = torch.Generator().manual_seed(step)
        patterns = torch.randn(8, 1, 24, 24, generator=generator)
        optimiser.zero_grad()
        model.train()(patterns).square().mean().backward()
        optimiser.step()


def values(model: SymmetryNet) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def zero_gradients(model: SymmetryNet) -> None:
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)


@pytest.mark.parametrize("order", FORMATS)
def test_a_step_changes_every_parameter(order):
    model = network(FORMATS[order])
    if order == "channels last":
        assert any(not p.is_contiguous() for p in model.parameters())
    before = values(model)

    learn(model, optimiser_of(model), 0, 1)

    assert all((p != before[name]).any() for name, p in model.named_parameters())


def test_the_order_in_memory_does_not_matter():
    changes = {}
    for order, memory_format in FORMATS.items():
        model = network(memory_format)
        before = values(model)
        learn(model, optimiser_of(model), 0, 1)
        changes[order] = {name: p.detach() - before[name] for name, p in model.named_parameters()}
    for name, change in changes["rows"].items():
        # Muon computes in bfloat16, so sums in another order differ a little.
        other = changes["channels last"][name]
        assert float((change - other).norm()) < 0.05 * float(change.norm()), name


def test_the_update_of_a_kernel_is_close_to_orthogonal():
    model = network()
    before = values(model)
    learn(model, optimiser_of(model, decay=0.0), 0, 1)
    kernels = {n: p.detach() - before[n] for n, p in model.named_parameters() if p.ndim == 4}
    assert len(kernels) == 6
    for name, change in kernels.items():
        sizes = torch.linalg.svdvals(change.flatten(1))
        assert float(sizes.max() / sizes.min()) < 2.5, name


def test_steps_make_the_loss_smaller():
    model = network()
    optimiser = optimiser_of(model)
    patterns = torch.randn(16, 1, 24, 24, generator=torch.Generator().manual_seed(7))
    target = torch.randint(0, 40, (16,), generator=torch.Generator().manual_seed(8))

    def loss() -> torch.Tensor:
        return torch.nn.functional.cross_entropy(model.train()(patterns), target)

    start = loss().item()
    for _ in range(30):
        optimiser.zero_grad()
        loss().backward()
        optimiser.step()
    assert loss().item() < 0.6 * start


def test_weights_decay_but_norms_and_biases_do_not():
    model = network()
    before = values(model)
    optimiser = optimiser_of(model, rate=0.1, decay=0.5)
    zero_gradients(model)

    optimiser.step()

    for name, parameter in model.named_parameters():
        if parameter.ndim == 1:
            torch.testing.assert_close(parameter, before[name])
        else:
            factor = 1 - 0.5 * (0.3 if parameter.ndim == 4 else 0.1)
            torch.testing.assert_close(parameter, factor * before[name], rtol=1e-3, atol=1e-5)


def test_learning_rates_are_scaled_from_what_was_given_however_often():
    model = network()
    optimiser = optimiser_of(model, rate=0.1, decay=0.5)
    before = values(model)

    optimiser.scale_learning_rates(0.0)
    learn(model, optimiser, 0, 1)
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())

    zero_gradients(model)
    fresh = optimiser_of(model, rate=0.1, decay=0.5)
    for factor in (0.1, 0.1, 0.5):
        fresh.scale_learning_rates(factor)
    fresh.step()
    torch.testing.assert_close(model.head.weight, (1 - 0.5 * 0.1 * 0.5) * before["head.weight"])


def test_no_gradient_is_left_over():
    model = network()
    optimiser = optimiser_of(model)
    learn(model, optimiser, 0, 1)
    assert all(p.grad is not None for p in model.parameters())

    optimiser.zero_grad()

    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("order", FORMATS)
def test_a_run_goes_on_from_its_state_as_if_it_had_never_stopped(order, tmp_path):
    whole, average = (network(FORMATS[order]) for _ in range(2))
    optimiser = optimiser_of(whole)
    learn(whole, optimiser, 0, 3)
    state = {name: tensor.clone() for name, tensor in whole.state_dict().items()}
    save_checkpoint(tmp_path, 3, whole, average, optimiser, {})
    learn(whole, optimiser, 3, 6)

    later = SymmetryNet(SHAPE).to(memory_format=FORMATS[order])
    resumed = optimiser_of(later)
    assert load_checkpoint(tmp_path, later, average, resumed, {}) == 3
    assert all(torch.equal(t, state[name]) for name, t in later.state_dict().items())
    learn(later, resumed, 3, 6)

    for name, tensor in whole.state_dict().items():
        assert torch.equal(later.state_dict()[name], tensor), name


def test_the_state_names_each_parameter_once():
    model = network()
    optimiser = optimiser_of(model)
    assert optimiser.state_dict() == {"state": {}}

    learn(model, optimiser, 0, 2)

    state = optimiser.state_dict()["state"]
    assert sorted(state) == list(range(len(list(model.parameters()))))
    sizes = sorted(max(t.numel() for t in moments.values()) for moments in state.values())
    assert sizes == sorted(p.numel() for p in model.parameters())
