# SPDX-License-Identifier: GPL-3.0-or-later
"""A network is taught a foreign detector by a few labelled patterns."""

from __future__ import annotations

from dataclasses import astuple, replace

import numpy as np
import pytest
import torch

from napari_ebsd_phase import InputError, load_classifier
from napari_ebsd_phase.classifier import Classifier
from napari_ebsd_phase.crystallography import BRAVAIS_LATTICES, POINT_GROUPS
from napari_ebsd_phase.decoding import best_pair
from napari_ebsd_phase.training.fine_tune import fine_tune
from napari_ebsd_phase.training.fine_tune_checkpoint import load_state
from napari_ebsd_phase.training.fine_tune_labels import LabelledPatterns, pair_of
from napari_ebsd_phase.training.fine_tune_memory import SimulatedPatterns
from napari_ebsd_phase.training.fine_tune_scores import gain, measure, scores_of
from napari_ebsd_phase.training.fine_tune_settings import FineTuneSettings
from napari_ebsd_phase.training.pattern_simulation import FAST, simulate_group

from ._fine_tune_data import labelled, masters, network

SHORT = FineTuneSettings(steps=12, batch_size=12, check_every=4, held_out=0.2)


@pytest.fixture(scope="module")
def patterns():
    return labelled(14, seed=1)


@pytest.fixture(scope="module")
def memory():
    """A few patterns on which the network shall not change its mind."""
    from napari_ebsd_phase.preprocessing import Preprocessing, prepare

    stack = np.stack([master.data for master in masters()])
    drawn, mask = simulate_group(stack, np.arange(48) % 3, FAST, np.random.default_rng(0))
    inputs = prepare(drawn, Preprocessing(), mask=mask)
    return SimulatedPatterns(inputs, torch.zeros(48, dtype=torch.int64), {"patterns": 48})


def weights(classifier):
    return {k: v.clone() for k, v in classifier.network.state_dict().items()}


def same(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


def test_teaching_lifts_the_share_right_on_a_foreign_detector(patterns):
    settings = FineTuneSettings(steps=60, batch_size=24, held_out=0.0)
    before = weights(network())

    result = fine_tune(network(), patterns, settings)

    gained = gain(network(), result.classifier, labelled(20, seed=2))
    assert gained["laue_group"].low > 0.1
    assert gained["bravais_lattice"].low > 0.1
    assert same(weights(network()), before)  # the network that was given is as it was


def test_the_gain_is_told_on_patterns_that_were_held_out(patterns):
    points = []

    result = fine_tune(network(), patterns, SHORT, report=points.append)

    assert result.finished
    assert tuple(points) == result.curve
    assert [point.step for point in points] == [0, 4, 8, 12]
    assert np.isnan(points[0].loss)
    assert all(point.loss > 0 for point in points[1:])
    counts = result.counts
    assert sum(part["patterns"] for part in counts.values()) == len(patterns)
    assert counts["held out"]["regions"] == counts["held out"]["patterns"] // 2
    for level, share in result.after.items():
        assert 0 <= share.low <= share.value <= share.high <= 1
        difference = share.value - result.before[level].value
        assert result.gained[level].value == pytest.approx(difference)


def test_the_best_weights_on_validation_patterns_are_kept(patterns):
    hot = FineTuneSettings(steps=40, batch_size=12, check_every=5, patience=2, learning_rate=0.3)

    result = fine_tune(network(), patterns, hot)

    assert result.curve[-1].step < 40
    assert not any(point.best for point in result.curve[-2:])
    best = [point for point in result.curve if point.best][-1]
    assert best.validation_loss == min(point.validation_loss for point in result.curve)
    if best.step == 0:
        assert same(weights(result.classifier), weights(network()))


def test_a_resumed_run_is_the_run_without_interruption(patterns, memory, tmp_path):
    whole = fine_tune(network(), patterns, SHORT, memory=memory)
    kept = tmp_path / "run.checkpoint"
    asked = iter([False] * 6 + [True])

    first = fine_tune(
        network(), patterns, SHORT, memory=memory, checkpoint=kept, cancelled=lambda: next(asked)
    )
    again = fine_tune(network(), patterns, SHORT, memory=memory, checkpoint=kept)

    assert not first.finished
    assert first.classifier.card["training"]["steps"] == 6
    assert again.finished
    assert same(weights(again.classifier), weights(whole.classifier))
    assert repr(again.curve) == repr(whole.curve)


def test_a_checkpoint_of_another_run_is_refused(patterns, tmp_path):
    kept = tmp_path / "run.checkpoint"
    settings = FineTuneSettings(steps=1, batch_size=4)
    fine_tune(network(), patterns, settings, checkpoint=kept)

    with pytest.raises(InputError, match="other settings"):
        fine_tune(network(), patterns, SHORT, checkpoint=kept)
    with pytest.raises(InputError, match="other labelled patterns"):
        fine_tune(network(), patterns.part(np.arange(8)), settings, checkpoint=kept)
    kept.write_bytes(kept.read_bytes()[:1000])
    with pytest.raises(InputError, match="damaged"):
        fine_tune(network(), patterns, settings, checkpoint=kept)


def test_no_checkpoint_is_a_run_from_the_start(tmp_path):
    optimiser = torch.optim.AdamW([torch.zeros(1, requires_grad=True)])

    assert load_state(tmp_path / "none", network().network, optimiser, {}) is None


def test_simulated_patterns_keep_what_was_said(patterns, memory):
    settings = FineTuneSettings(steps=30, batch_size=16, held_out=0.0, memory_weight=4.0)

    def change(taught):
        said = (scores_of(each, memory.inputs) for each in (network(), taught.classifier))
        return float(np.abs(np.subtract(*said)).mean())

    forgetful = change(fine_tune(network(), patterns, settings))
    faithful = change(fine_tune(network(), patterns, settings, memory=memory))

    assert faithful < 0.8 * forgetful


@pytest.mark.parametrize("layers", ["head", "last"])
def test_only_the_layers_asked_for_are_trained(patterns, layers):
    settings = FineTuneSettings(steps=2, batch_size=4, layers=layers, check_every=1)
    before = weights(network())

    after = weights(fine_tune(network(), patterns, settings).classifier)

    different = {name for name in before if not torch.equal(before[name], after[name])}
    assert different
    blocks = network().network.architecture.blocks
    first_of_last = 1 + sum(blocks[:-1])
    for name in different:
        place = name.split(".")
        stage = "head" if place[0] == "head" else "last" if int(place[1]) >= first_of_last else ""
        assert stage in ({"head"} if layers == "head" else {"head", "last"})
    assert not any("running" in name for name in different)


def test_a_mean_of_networks_is_taught_and_saved_and_loaded(patterns, tmp_path):
    settings = FineTuneSettings(steps=2, batch_size=4, check_every=1)
    default = network("default")

    result = fine_tune(default, patterns, settings, name="mine")
    path = result.classifier.save(tmp_path / "mine")

    loaded = load_classifier(path, device="cpu", precision="float32")
    assert loaded.name == "mine"
    assert same(weights(loaded), weights(result.classifier))
    # What looks for symmetry axes is not taught, and not kept: it does not know the labels.
    taught = default.without_maps().network.members
    assert not loaded.takes_centre
    for member, old in zip(loaded.network.members, taught, strict=True):
        assert not torch.equal(member.head.weight, old.head.weight)
    facts = loaded.card["training"]
    assert facts["taught_from"] == "default"
    assert facts["taught_from_sha256"] == default.sha256
    assert facts["settings"]["steps"] == 2
    assert facts["trained_on"] == default.card["training"]["trained_on"]
    assert loaded.card["temperature"] == default.card["temperature"]
    assert set(loaded.card["metrics"]) == {
        "held-out patterns, before teaching",
        "held-out patterns, after teaching",
    }


def test_structures_are_learned_beside_labels(patterns, memory):
    settings = FineTuneSettings(steps=2, batch_size=4, check_every=1)

    with_them = fine_tune(network(), patterns, settings, structures=memory)
    without = fine_tune(network(), patterns, settings)

    assert with_them.classifier.card["training"]["structures"] == {"patterns": 48}
    assert not same(weights(with_them.classifier), weights(without.classifier))


def test_a_temperature_is_raised_when_enough_patterns_ask_for_it():
    """Frames of noise, about which the network is far too sure at such a temperature."""
    sure = Classifier(network().network, {**network().card, "temperature": 0.1}, "cpu")
    noise = torch.randn(440, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    pairs = np.repeat([pair_of("m-3m:cF"), pair_of("6/mmm:hP")], 220)
    frames = LabelledPatterns(noise, pairs, np.arange(440) // 4)
    settings = FineTuneSettings(steps=1, batch_size=2, held_out=0.1, validation=0.6)

    many = fine_tune(sure, frames, settings).classifier.card
    few = fine_tune(sure, frames.part(np.arange(0, 440, 4)), settings).classifier.card

    assert many["temperature"] > 0.1
    assert many["training"]["calibration"] == "temperature raised"
    assert few["temperature"] == 0.1
    assert few["training"]["calibration"] == "temperature kept"


def test_a_run_that_diverges_says_so(patterns):
    settings = FineTuneSettings(steps=20, batch_size=4, learning_rate=1e25, pull=0.0)

    with pytest.raises(FloatingPointError, match="lower learning rate"):
        fine_tune(network(), patterns, settings)


def test_patterns_of_another_size_are_refused(patterns):
    small = LabelledPatterns(patterns.inputs[..., ::2, ::2], patterns.pairs, patterns.regions)

    with pytest.raises(InputError, match="64 pixels"):
        fine_tune(network(), small)


def test_nothing_to_learn_from_is_refused(patterns):
    with pytest.raises(InputError, match="nothing to learn"):
        fine_tune(network(), patterns.part(np.arange(0)))


@pytest.mark.parametrize(
    "wrong",
    [
        {"layers": "some"},
        {"steps": 0},
        {"learning_rate": 0.0},
        {"memory": -1.0},
        {"held_out": 0.7, "validation": 0.3},
    ],
    ids=str,
)
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(InputError):
        FineTuneSettings(**wrong)


def test_a_coarser_name_is_right_at_least_as_often(patterns):
    shares = measure(network(), patterns)

    assert shares["crystal_system"].value >= shares["laue_group"].value >= 0
    assert shares["laue_group"].value >= shares["point_group"].value


def test_an_interval_has_two_ends_even_if_all_names_are_right_or_none(patterns):
    one = patterns.part(np.arange(1))
    found = network().probabilities(scores_of(network(), one.inputs)[:, :46])
    group, lattice = (int(index[0]) for index in best_pair(*found))
    said = f"{POINT_GROUPS[group]}:{BRAVAIS_LATTICES[lattice]}"

    def share(name):
        return measure(network(), replace(one, pairs=np.array([pair_of(name)])))["crystal_system"]

    assert astuple(share(said)) == pytest.approx((1.0, 0.025, 1.0))
    assert astuple(share("1:aP")) == pytest.approx((0.0, 0.0, 0.975))
