# SPDX-License-Identifier: GPL-3.0-or-later
"""Training on symmetry elements beside classes, and from the weights of another network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_ebsd_phase.errors import InputError
from napari_ebsd_phase.network import Architecture, SymmetryNet
from napari_ebsd_phase.preprocessing import Preprocessing
from napari_ebsd_phase.training.library import MasterLibrary
from napari_ebsd_phase.training.materials import Material, load_materials
from napari_ebsd_phase.training.pattern_stream import PatternStream
from napari_ebsd_phase.training.settings import TrainingSettings
from napari_ebsd_phase.training.symmetry_head import SymmetryHead, symmetry_loss
from napari_ebsd_phase.training.train import train

LIBRARY = Path(__file__).parents[2] / "data" / "master_patterns.h5"
TINY = TrainingSettings(
    patterns=16 * 12,
    batch_size=16,
    group=8,
    warmup=3,
    averaging=0.9,
    seed=3,
    symmetry=2.0,
    architecture=Architecture(widths=(8, 16, 16), blocks=(1, 1, 1), offsets=32, angles=24),
    preprocessing=Preprocessing(size=32),
)
MATERIALS = [
    Material("Mg1_194", "Mg", "6/mmm", "hP", (0,), space_group=194),
    Material("Ni1_225", "Ni", "m-3m", "cF", (1,), space_group=225),
]


@pytest.fixture(scope="module")
def stack() -> np.ndarray:
    wanted = {f"emsoft_{name}_20kV" for name in ("Ni_nickel", "Mg_magnesium")}
    with MasterLibrary.open(LIBRARY) as library:
        found = [i for i, record in enumerate(library.index) if record.key in wanted]
        return np.stack([library.data(i) for i in found])


def run(
    folder: Path, stack: np.ndarray, settings: TrainingSettings = TINY, **options
) -> SymmetryNet:
    options = {"threads": 1, "log_every": 1, **options}
    return train(folder, stack, {"train": MATERIALS}, settings, **options)


def assert_same(one: SymmetryNet, two: SymmetryNet) -> None:
    for (name, a), b in zip(one.state_dict().items(), two.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


def test_symmetry_elements_are_found_where_they_were_never_shown(stack):
    settings = replace(TINY, batch_size=64, disturbed=0.0, easy=0.0)
    stream = PatternStream(stack, MATERIALS, settings)
    torch.manual_seed(0)
    network = SymmetryNet(settings.architecture)
    finder = SymmetryHead(network)
    optimiser = torch.optim.Adam([*network.parameters(), *finder.parameters()], lr=5e-3)
    fresh = [stream.whole_batch(10**6 + k, symmetry=True) for k in range(4)]

    def gain() -> float:
        """By how much places say more than how often each channel is marked."""
        network.eval()
        with torch.no_grad():
            places = torch.cat([batch.symmetry for batch in fresh])
            found = torch.cat([finder(network.features(batch.inputs)) for batch in fresh])
            rate = places.mean(dim=(0, 2, 3), keepdim=True).clamp(1e-6, 1 - 1e-6)
            guess = torch.log(rate / (1 - rate)).expand_as(places)
            return float(symmetry_loss(guess, places) - symmetry_loss(found, places))

    before = gain()
    network.train()
    for number in range(60):
        batch = stream.whole_batch(number, symmetry=True)
        loss = symmetry_loss(finder(network.features(batch.inputs)), batch.symmetry)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    assert before < 0
    assert gain() > 0.01


def test_the_patterns_are_the_same_with_and_without_their_symmetry(stack):
    stream = PatternStream(stack, MATERIALS, TINY)
    inputs, labels = stream.batch(5)
    whole = stream.whole_batch(5, symmetry=True)
    assert torch.equal(whole.inputs, inputs)
    assert torch.equal(whole.labels, labels)
    assert stream.whole_batch(5, symmetry=False).symmetry is None


def test_frames_without_a_pattern_have_no_places(stack):
    stream = PatternStream(stack, MATERIALS, replace(TINY, disturbed=0.5))
    whole = stream.whole_batch(1, symmetry=True)
    single = whole.labels >= 0
    assert 0 < single.sum() < len(single)
    assert torch.isfinite(whole.symmetry).all(dim=(1, 2, 3)).tolist() == single.tolist()


def test_a_material_of_unknown_setting_or_looks_has_no_places(stack):
    looks = replace(MATERIALS[1], apparent=("6/mmm", "hP"))
    unknown = replace(MATERIALS[1], space_group=0)
    for material in (looks, unknown):
        stream = PatternStream(stack, [material], replace(TINY, disturbed=0.0))
        assert stream.whole_batch(0, symmetry=True).symmetry.isnan().all()


def test_the_library_tells_the_space_groups_of_our_own_structures_only():
    with MasterLibrary.open(LIBRARY) as library:
        _, materials = load_materials(library, train_on=("train", "simulator"))
        ours = {(r.formula, r.space_group) for r in library.index if r.structure}
    told = {(m.formula, m.space_group) for m in materials["train"] if m.space_group}
    assert len(told) > 100
    assert told <= ours
    assert any(m.space_group == 0 for m in materials["train"])  # EMsoft's


def test_a_cancelled_run_goes_on_as_if_nothing_had_been(stack, tmp_path):
    whole = run(tmp_path / "whole", stack)
    asked = iter(range(1, 100))
    run(tmp_path / "parts", stack, cancelled=lambda: next(asked) >= 5)
    assert_same(run(tmp_path / "parts", stack), whole)


def test_both_targets_teach_another_network_than_one(stack, tmp_path):
    both = run(tmp_path / "both", stack)
    one = run(tmp_path / "one", stack, replace(TINY, symmetry=0.0))
    assert both.state_dict().keys() == one.state_dict().keys()
    assert not torch.equal(both.head.weight, one.head.weight)


@pytest.mark.parametrize("weights", [(0.0, 2.0), (2.0, 0.0)])
def test_a_run_does_not_take_up_or_give_up_the_target_on_the_way(stack, tmp_path, weights):
    before, after = weights
    run(tmp_path, stack, replace(TINY, symmetry=before))
    longer = replace(TINY, symmetry=after, patterns=16 * 14)
    with pytest.raises(InputError, match="is of another symmetry"):
        run(tmp_path, stack, longer)


def test_a_run_begins_with_the_weights_of_another_network(stack, tmp_path):
    first = run(tmp_path / "first", stack)
    # With no learning rate to speak of, only the statistics of its normalisations move.
    still = replace(TINY, learning_rate=1e-30, matrix_learning_rate=1e-30, seed=9)
    second = run(tmp_path / "second", stack, still, start=first)
    assert torch.equal(second.head.weight, first.head.weight)
    other = run(tmp_path / "other", stack, still)
    assert not torch.equal(other.head.weight, first.head.weight)


def test_the_weights_of_a_network_of_another_shape_are_refused(stack, tmp_path):
    other = SymmetryNet(replace(TINY.architecture, widths=(8, 16, 24)))
    with pytest.raises(InputError, match="of its own shape"):
        run(tmp_path, stack, start=other)
