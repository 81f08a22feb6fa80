# SPDX-License-Identifier: GPL-3.0-or-later
"""A classifier on disk is weights and a card that belong together, or it is refused."""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from napari_ebsd_phase import load_scan
from napari_ebsd_phase.card import make_card
from napari_ebsd_phase.classifier import Classifier
from napari_ebsd_phase.crystallography import BRAVAIS_LATTICES, COMPATIBLE, POINT_GROUPS
from napari_ebsd_phase.errors import InputError
from napari_ebsd_phase.loading import installed_classifiers, load_classifier
from napari_ebsd_phase.network import Architecture, SymmetryNet, with_centre
from napari_ebsd_phase.network_folding import folded
from napari_ebsd_phase.network_int8 import ByteNetwork, bytes_are_fast, example_patterns
from napari_ebsd_phase.preprocessing import Preprocessing, pattern_quality, prepare
from napari_ebsd_phase.samples import sample_path
from napari_ebsd_phase.symmetry_maps import Centre


def frames(n: int = 5, shape: tuple[int, int] = (50, 60)) -> np.ndarray:
    return np.random.default_rng(n).integers(0, 255, (n, *shape)).astype(np.uint8)


def small_network(view: str = "lines", outputs: int = 47) -> SymmetryNet:
    torch.manual_seed(1)
    network = SymmetryNet(Architecture((4, 8), (1, 1), view=view, outputs=outputs))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return network


def contents() -> dict[str, Any]:
    return {
        "preprocessing": Preprocessing(size=32).to_dict(),
        "training_prior": COMPATIBLE.astype(float).tolist(),
        "known_structures": COMPATIBLE.astype(float).tolist(),
        "temperature": 1.3,
        "threshold": 0.6,
        "training": {"patterns": 0},
        "metrics": {},
        "licence": "GPL-3.0-or-later",
        "version": "0.1.0",
    }


def small_classifier(**options: Any) -> Classifier:
    network = small_network(**options)
    return Classifier(network, make_card("small", network, **contents()), "cpu")


@pytest.fixture
def classifier() -> Classifier:
    return small_classifier()


@pytest.fixture
def saved(classifier: Classifier, tmp_path: Path) -> Path:
    return classifier.save(tmp_path / "small.safetensors")


def rewrite_card(weights: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    path = weights.with_suffix(".json")
    card = json.loads(path.read_text(encoding="utf-8"))
    change(card)
    path.write_text(json.dumps(card), encoding="utf-8")


def rewrite_weights(weights: Path, content: bytes) -> None:
    """Other bytes, with a card that vouches for them."""
    weights.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    rewrite_card(weights, lambda card: card.update(sha256=digest))


def assert_refused(path: Path | str, *words: str, device: str = "cpu") -> None:
    with pytest.raises(InputError) as error:
        load_classifier(path, device=device)
    message = str(error.value)
    assert "\n" not in message
    for word in words:
        assert word in message


# What is saved comes back.


def test_a_saved_classifier_comes_back_bit_for_bit(classifier, saved):
    again = load_classifier(saved, device="cpu", precision="float32")

    assert again.card == classifier.card
    assert again.preprocessing == classifier.preprocessing
    for name, tensor in classifier.network.state_dict().items():
        assert torch.equal(again.network.state_dict()[name], tensor), name
    for one, two in zip(classifier.scores(frames()), again.scores(frames()), strict=True):
        np.testing.assert_array_equal(one, two)


def test_the_card_made_for_a_network_has_the_hash_of_its_file(classifier, tmp_path):
    promised = classifier.sha256
    path = classifier.save(tmp_path / "again.safetensors")
    assert hashlib.sha256(path.read_bytes()).hexdigest() == promised == classifier.sha256


def test_a_classifier_is_two_files_and_nothing_else(saved):
    assert {p.name for p in saved.parent.iterdir()} == {"small.safetensors", "small.json"}


@pytest.mark.parametrize("name", ["net", "fine-tuned-0.2", "net.safetensors"])
def test_the_name_of_the_file_is_kept_whatever_dots_it_has(classifier, tmp_path, name):
    path = classifier.save(tmp_path / name)
    assert path.name == name.removesuffix(".safetensors") + ".safetensors"
    assert load_classifier(path, device="cpu").name == "small"


def test_saving_into_a_folder_that_is_not_there_is_refused(classifier, tmp_path):
    with pytest.raises(InputError, match="cannot write"):
        classifier.save(tmp_path / "nowhere" / "net.safetensors")


def test_saving_again_replaces_both_files(classifier, saved):
    with torch.no_grad():
        classifier.network.head.bias += 1
    classifier.save(saved)
    assert load_classifier(saved, device="cpu").sha256 == classifier.sha256


def test_it_says_what_it_is(classifier):
    assert classifier.name == "small"
    assert classifier.threshold == 0.6
    assert repr(classifier) == "Classifier('small', 32 x 32 pixels, cpu)"
    assert not classifier.network.training


# What it does with patterns.


def test_scores_are_those_of_the_network_on_prepared_patterns(classifier):
    inputs = prepare(frames(), classifier.preprocessing)
    with torch.no_grad():
        expected = classifier.network(inputs).numpy()

    scores, quality, pattern = outputs = classifier.scores(frames())

    assert scores is outputs.scores
    assert quality is outputs.quality
    assert pattern is outputs.pattern
    assert scores.shape == (5, 46)
    assert quality.shape == pattern.shape == (5,)
    assert scores.dtype == quality.dtype == pattern.dtype == np.float32
    np.testing.assert_allclose(scores, expected[:, :46], atol=1e-4)
    np.testing.assert_allclose(pattern, 1 / (1 + np.exp(-expected[:, 46])), atol=1e-5)
    assert ((pattern > 0) & (pattern < 1)).all()
    np.testing.assert_allclose(quality, pattern_quality(inputs).numpy(), atol=1e-6)


@pytest.mark.parametrize("batch_size", [1, 2, 5, 100])
def test_the_batch_size_does_not_change_scores(classifier, batch_size):
    expected = classifier.scores(frames(7))
    found = classifier.scores(frames(7), batch_size=batch_size)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-3)


def test_a_network_that_was_not_taught_to_tell_takes_every_frame_for_a_pattern(tmp_path):
    path = small_classifier(view="pixels", outputs=46).save(tmp_path / "old")
    outputs = load_classifier(path, device="cpu").scores(frames())
    assert outputs.scores.shape == (5, 46)
    np.testing.assert_array_equal(outputs.pattern, np.ones(5, dtype=np.float32))
    assert not load_classifier(path, device="cpu").tells_patterns
    assert small_classifier().tells_patterns


def test_mask_and_background_reach_the_preparation(classifier):
    mask = np.ones((50, 60), dtype=bool)
    mask[:, :20] = False
    background = 10 + frames(1)[0].astype(float)
    inputs = prepare(frames(), classifier.preprocessing, mask=mask, background=background)
    with torch.no_grad():
        expected = classifier.network(inputs).numpy()[:, :46]
    scores = classifier.scores(frames(), mask=mask, background=background).scores
    np.testing.assert_allclose(scores, expected, atol=1e-4)


def test_no_patterns_give_no_scores(classifier):
    scores, quality, pattern = classifier.scores(frames(0))
    assert scores.shape == (0, 46)
    assert quality.shape == pattern.shape == (0,)
    assert classifier.probabilities(scores)[0].shape == (0, 32)


def test_a_blank_pattern_has_finite_scores_and_no_quality(classifier):
    scores, quality, pattern = classifier.scores(np.full((2, 50, 60), 65535, dtype=np.uint16))
    assert np.isfinite(scores).all()
    assert np.isfinite(pattern).all()
    np.testing.assert_array_equal(quality, 0)


def test_one_pattern_without_its_axis_is_refused(classifier):
    with pytest.raises(InputError, match="shape"):
        classifier.scores(frames()[0])


def test_probabilities_use_the_temperature_and_training_prior_of_the_card(classifier):
    scores = classifier.scores(frames()).scores
    uniform = classifier.probabilities(scores)
    np.testing.assert_allclose(uniform[0].sum(axis=1), 1, atol=1e-5)

    classifier.card["temperature"] /= 20
    sharper = classifier.probabilities(scores)
    assert (sharper[0].max(axis=1) > uniform[0].max(axis=1)).all()
    classifier.card["temperature"] = 50.0
    flatter = classifier.probabilities(scores)
    assert (flatter[1].max(axis=1) < sharper[1].max(axis=1)).all()

    rare = COMPATIBLE.astype(float)
    rare[POINT_GROUPS.index("432")] /= 100
    classifier.card["training_prior"] = rare.tolist()
    index = POINT_GROUPS.index("432")
    # What training showed rarely counts for more, by as much as the evidence is trusted.
    assert (classifier.probabilities(scores)[0][:, index] > flatter[0][:, index]).all()
    classifier.card["temperature"] = 1.0
    lifted = classifier.probabilities(scores)[0][:, index]
    odds, before = (p / (1 - p) for p in (lifted, uniform[0][:, index]))
    assert (odds > 5 * before).all()


def test_a_prior_may_be_a_name_or_a_table(classifier):
    scores = classifier.scores(frames()).scores
    for named, table in zip(
        classifier.probabilities(scores, "cubic,cF"),
        classifier.probabilities(scores, classifier.prior("cubic,cF")),
        strict=True,
    ):
        np.testing.assert_array_equal(named, table)
    _, lattice = classifier.probabilities(scores, "cubic,cF")
    np.testing.assert_allclose(lattice[:, BRAVAIS_LATTICES.index("cF")], 1)
    assert classifier.prior("known").shape == (32, 14)


# What does not belong together is refused, in one line.


def test_weights_without_their_card_are_refused(saved):
    saved.with_suffix(".json").unlink()
    assert_refused(saved, "card", "missing")


def test_a_card_without_its_weights_is_refused(saved):
    saved.unlink()
    assert_refused(saved, "cannot read", "small.safetensors")


def test_an_unknown_name_is_refused_with_the_names_there_are():
    assert_refused("no-such-network", "no-such-network", *installed_classifiers())
    assert_refused("weights.pt", "weights.pt", ".safetensors")


@pytest.mark.parametrize("position", [0, 9, 300, -1])
def test_one_changed_byte_is_noticed(saved, position):
    content = bytearray(saved.read_bytes())
    content[position] ^= 1
    saved.write_bytes(content)
    assert_refused(saved, "does not match its card")


def test_the_card_of_another_network_is_noticed(classifier, saved, tmp_path):
    with torch.no_grad():
        classifier.network.head.bias += 1
    other = classifier.save(tmp_path / "other.safetensors")
    other.with_suffix(".json").replace(saved.with_suffix(".json"))
    assert_refused(saved, "does not match its card")


@pytest.mark.parametrize("text", ["", "{", "not a card", "[]", "3", "null", '{"name": "x"'])
def test_what_is_no_card_is_refused(saved, text):
    saved.with_suffix(".json").write_text(text, encoding="utf-8")
    assert_refused(saved, "card", "small.json")


def test_a_card_that_is_no_text_is_refused(saved):
    saved.with_suffix(".json").write_bytes(b"\xff\xfe\x00{}")
    assert_refused(saved, "no valid JSON")


@pytest.mark.parametrize(
    "key",
    ["card_version", "name", "classes", "architecture", "preprocessing", "training_prior",
     "known_structures", "temperature", "threshold", "training", "metrics", "licence", "sha256",
     "version"],
)  # fmt: skip
def test_a_card_that_lacks_something_is_refused_by_name(saved, key):
    rewrite_card(saved, lambda card: card.pop(key))
    assert_refused(saved, "lacks", key)


def test_making_a_card_that_lacks_something_is_refused():
    given = contents()
    del given["licence"]
    with pytest.raises(InputError, match="licence"):
        make_card("small", small_network(), **given)


def swap_classes(card: dict[str, Any]) -> None:
    names = card["classes"]["point_group"]
    names[0], names[1] = names[1], names[0]


@pytest.mark.parametrize(
    "change",
    [
        swap_classes,
        lambda card: card["classes"]["bravais_lattice"].pop(),
        lambda card: card.update(classes=None),
        lambda card: card["classes"].update(laue_group=["m-3m"]),
    ],
)
def test_other_classes_or_another_order_are_refused(saved, change):
    rewrite_card(saved, change)
    assert_refused(saved, "classes")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("card_version", 99),
        ("card_version", "1"),
        ("temperature", 0),
        ("temperature", "1"),
        ("temperature", float("nan")),
        ("temperature", True),
        ("threshold", 1.5),
        ("threshold", None),
        ("pattern_threshold", "0.5"),
        ("pattern_threshold", True),
        ("pattern_threshold", -0.1),
        ("pattern_threshold", float("nan")),
        ("training_prior", []),
        ("training_prior", "uniform"),
        ("training_prior", [[0.0] * 14] * 32),
        ("training_prior", [[float("nan")] * 14] * 32),
        ("training_prior", [[float("inf")] * 14] * 32),
        ("training_prior", [[-1.0] * 14] * 32),
        ("training_prior", [[1.0] * 32] * 14),
        ("training_prior", (~COMPATIBLE).astype(float).tolist()),
        ("known_structures", [[1], [1, 2]]),
        ("known_structures", None),
        ("architecture", [8, 16]),
        ("preprocessing", "default"),
    ],
)
def test_values_that_make_no_sense_are_refused_by_name(saved, key, value):
    rewrite_card(saved, lambda card: card.update({key: value}))
    assert_refused(saved, key.removeprefix("card_"))


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("architecture", {"depth": 3}),
        ("architecture", {"widths": ["wide", "wider"]}),
        ("architecture", {"outputs": 45}),
        ("preprocessing", {"gamma": 2.0}),
        ("preprocessing", {"size": 4}),
        ("preprocessing", {"clip": "none"}),
    ],
)
def test_parameters_that_this_program_does_not_know_are_refused(saved, part, change):
    rewrite_card(saved, lambda card: card[part].update(change))
    assert_refused(saved)


def test_patterns_that_do_not_go_through_a_network_of_pixels_are_refused(tmp_path):
    saved = small_classifier(view="pixels").save(tmp_path / "pixels")
    rewrite_card(saved, lambda card: card["preprocessing"].update(size=62))
    assert_refused(saved, "62 x 62", "multiple of 4")


def test_a_network_of_lines_takes_patterns_of_any_size(saved):
    rewrite_card(saved, lambda card: card["preprocessing"].update(size=61))
    assert np.isfinite(load_classifier(saved, device="cpu").scores(frames()).scores).all()


def test_weights_of_another_shape_are_refused(saved):
    rewrite_card(saved, lambda card: card["architecture"].update(widths=[4, 16]))
    assert_refused(saved, "no weights for the network on its card", "size mismatch")


def test_missing_and_superfluous_weights_are_refused(saved, tmp_path):
    tensors = load_file(saved)
    head = tensors.pop("head.bias")
    save_file(tensors, tmp_path / "part")
    rewrite_weights(saved, (tmp_path / "part").read_bytes())
    assert_refused(saved, "head.bias")

    save_file({**tensors, "head.bias": head, "spare": head.clone()}, tmp_path / "more")
    rewrite_weights(saved, (tmp_path / "more").read_bytes())
    assert_refused(saved, "spare")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_numbers_are_refused(saved, tmp_path, value):
    tensors = load_file(saved)
    tensors["head.weight"][3, 2] = value
    save_file(tensors, tmp_path / "bad")
    rewrite_weights(saved, (tmp_path / "bad").read_bytes())
    assert_refused(saved, "not numbers")


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_a_pickle_under_the_name_of_weights_is_refused_and_not_run(saved, tmp_path):
    rewrite_weights(saved, pickle.dumps(Trap(tmp_path / "ran")))
    assert_refused(saved, "no weights")

    torch.save({"head.bias": torch.zeros(46)}, tmp_path / "torch.pt")
    rewrite_weights(saved, (tmp_path / "torch.pt").read_bytes())
    assert_refused(saved, "no weights")

    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [b"", b"short", b"\x00" * 100, b"\xff" * 100])
def test_weights_that_are_no_safetensors_are_refused(saved, content):
    rewrite_weights(saved, content)
    assert_refused(saved, "no weights")


@pytest.mark.parametrize("device", ["gpu", "cuda:x", "", "CPU"])
def test_an_unknown_device_is_refused(saved, device):
    assert_refused(saved, "unknown device", device=device)


def test_a_device_that_this_machine_lacks_is_refused(saved):
    lacking = [
        name
        for name, there in (
            ("cuda", torch.cuda.is_available()),
            ("mps", torch.backends.mps.is_available()),
        )
        if not there
    ]
    assert lacking  # no machine has both
    for name in lacking:
        assert_refused(saved, name, "--device cpu", device=name)


def test_the_automatic_device_is_one_that_works(saved):
    classifier = load_classifier(saved, device="auto")
    scores = classifier.scores(frames()).scores
    expected = load_classifier(saved, device="cpu").scores(frames()).scores
    np.testing.assert_allclose(scores, expected, atol=0.05)


# How fast it computes.


@pytest.mark.parametrize("name", installed_classifiers())
def test_a_folded_network_gives_the_same_scores(name):
    network = load_classifier(name, device="cpu", precision="float32").network
    network = with_centre(network, Centre(32.0, 20.0, 40.0))
    inputs = prepare(frames(4, (60, 60)), Preprocessing())

    fast = folded(network)

    assert any(isinstance(part, nn.BatchNorm2d) for part in network.modules())
    assert not any(isinstance(part, nn.BatchNorm2d) for part in fast.modules())
    with torch.no_grad():
        torch.testing.assert_close(fast(inputs), network(inputs), rtol=1e-4, atol=1e-3)


# Bytes need instructions that not every processor has.
ROUNDED = ("bfloat16", "int8") if bytes_are_fast() else ("bfloat16",)


@pytest.mark.parametrize("precision", ROUNDED)
def test_rounded_products_change_next_to_nothing_in_a_map(precision):
    with load_scan(sample_path("two_phase")) as scan:
        patterns = np.asarray(scan.read(slice(20, 30), slice(None))).reshape(
            -1, *scan.pattern_shape
        )
    found = []
    for each in ("float32", precision):
        classifier = load_classifier(device="cpu", precision=each)
        groups, lattices = classifier.probabilities(classifier.scores(patterns).scores)
        found.append(np.concatenate([groups, lattices], axis=1))
    exact, rounded = found

    assert np.abs(rounded - exact).mean() < 2e-3
    same = rounded[:, 32:].argmax(axis=1) == exact[:, 32:].argmax(axis=1)
    assert same.mean() > 0.99


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_the_batch_size_does_not_change_rounded_scores(batch_size):
    classifier = load_classifier(device="cpu", precision="bfloat16")
    expected = classifier.scores(frames(7)).scores
    found = classifier.scores(frames(7), batch_size=batch_size).scores
    # A rounding of one part in 256 that falls the other way somewhere inside.
    np.testing.assert_allclose(found, expected, atol=0.1)


@pytest.mark.parametrize("name", installed_classifiers())
def test_bytes_give_nearly_the_same_scores(name):
    network = load_classifier(name, device="cpu", precision="float32").network
    network = with_centre(network, Centre(32.0, 20.0, 40.0))
    inputs = prepare(example_patterns(), Preprocessing())

    with torch.no_grad():
        exact = network(inputs[:32])
        found = ByteNetwork(network, inputs[32:])(inputs[:32])

    # Symmetry maps lose more; the sums stay exact, so that a resumed run has the same bits.
    tolerance = 0.1 if name == "symmetry" else 0.05
    assert (found - exact).square().mean().sqrt() < tolerance * exact.std()


def test_bytes_do_not_depend_on_the_batch():
    network = load_classifier("pixels", device="cpu", precision="float32").network
    inputs = prepare(example_patterns(), Preprocessing())
    bytewise = ByteNetwork(network, inputs)
    cores = torch.get_num_threads()
    try:
        torch.set_num_threads(1)  # as each lane has it
        together = bytewise(inputs)
        parts = [bytewise(part) for part in inputs.split(5)]
    finally:
        torch.set_num_threads(cores)

    assert torch.equal(together, torch.cat(parts))


def test_one_core_and_two_give_the_same_bits():
    classifier = load_classifier("lines", device="cpu")
    cores = torch.get_num_threads()
    found = []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            found.append(classifier.scores(frames(40), batch_size=8))
    finally:
        torch.set_num_threads(cores)

    assert found[0].scores.tobytes() == found[1].scores.tobytes()
    assert found[0].quality.tobytes() == found[1].quality.tobytes()


def test_the_automatic_precision_is_one_that_the_card_need_not_know(saved):
    classifier = load_classifier(saved, device="cpu")
    assert classifier.precision in ("float32", *ROUNDED)
    assert "precision" not in classifier.card


def test_an_unknown_precision_is_refused(saved):
    with pytest.raises(InputError, match="float32, bfloat16, int8"):
        load_classifier(saved, device="cpu", precision="float8")


# The one in the package.


def test_the_bundled_default_is_the_one_that_loads_without_a_name():
    assert "default" in installed_classifiers()
    classifier = load_classifier(device="cpu")
    assert classifier.sha256 == load_classifier("default", device="cpu").sha256
    scores, quality, pattern = classifier.scores(frames(2, (60, 60)))
    point_group, lattice = classifier.probabilities(scores)
    assert point_group.shape == (2, 32)
    assert lattice.shape == (2, 14)
    assert np.isfinite(scores).all()
    assert ((quality >= 0) & (quality <= 1)).all()
    assert ((pattern >= 0) & (pattern <= 1)).all()


@pytest.mark.parametrize("name", installed_classifiers())
def test_every_bundled_classifier_is_small_and_says_its_licence(name):
    card = load_classifier(name, device="cpu").card
    assert card["licence"]
    assert card["name"] == name
    assert 0 < card["threshold"] < 1
    size = sum(p.numel() for p in load_classifier(name, device="cpu").network.parameters())
    assert size * 4 < 20e6


def test_a_pattern_and_its_mirror_image_get_the_same_scores_if_the_card_says_so(classifier):
    patterns = frames()
    once = classifier.scores(patterns).scores
    other = classifier.scores(patterns[..., ::-1].copy()).scores
    assert np.abs(once - other).max() > 1e-3
    classifier.card["mirrored_views"] = True
    both = classifier.scores(patterns).scores
    np.testing.assert_allclose(both, (once + other) / 2, atol=1e-4)


def test_another_calibration_is_another_card(classifier):
    before = classifier.card_sha256
    classifier.card["temperature"] = 2 * classifier.card["temperature"]
    assert classifier.card_sha256 != before
