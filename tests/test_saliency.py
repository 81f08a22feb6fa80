# SPDX-License-Identifier: GPL-3.0-or-later
"""Heat maps: the evidence adds up, comes from where it is shown, and answers what was asked."""

from __future__ import annotations

import sys
from itertools import combinations
from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage

from napari_ebsd_phase.card import make_card
from napari_ebsd_phase.classifier import Classifier
from napari_ebsd_phase.crystallography import COMPATIBLE, LEVELS, POINT_GROUPS, names
from napari_ebsd_phase.decoding import PAIRS
from napari_ebsd_phase.errors import InputError
from napari_ebsd_phase.loading import load_classifier
from napari_ebsd_phase.mapping import scan_screen
from napari_ebsd_phase.network import Architecture, LineBlock, ResidualBlock, SymmetryNet
from napari_ebsd_phase.preprocessing import Preprocessing, prepare
from napari_ebsd_phase.radon import REACH, radon_matrix
from napari_ebsd_phase.saliency import METHODS, _cam, evidence, explain, explain_batch
from napari_ebsd_phase.saliency.cam import class_activation_maps
from napari_ebsd_phase.saliency.perturbation import perturbation_map
from napari_ebsd_phase.saliency.projection import lines_to_pixels, to_input
from napari_ebsd_phase.saliency.targets import Question, level_of, level_probabilities
from napari_ebsd_phase.samples import sample_path
from napari_ebsd_phase.scan import load_scan

SIZE = 32
PIXELS = Architecture(widths=(6, 8, 10), blocks=(1, 2, 1), view="pixels")
LINES = Architecture(widths=(6, 8, 10), blocks=(2, 1, 1), offsets=32, angles=24)
M3M = POINT_GROUPS.index("m-3m")

both_views = pytest.mark.parametrize("architecture", [PIXELS, LINES], ids=["pixels", "lines"])
mirrored_or_not = pytest.mark.parametrize("mirrored", [False, True], ids=["once", "mirrored"])


def trained_like(architecture: Architecture, seed: int = 0) -> SymmetryNet:
    """A network whose every weight and statistic differs from where it starts."""
    generator = torch.Generator().manual_seed(seed)
    network = SymmetryNet(architecture)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if tensor.is_floating_point():
                noise = torch.randn(tensor.shape, generator=generator)
                tensor.copy_(noise.abs() + 0.5 if "var" in name else 0.3 * noise)
    return network.eval()


def classifier_of(network: SymmetryNet, *, size: int = SIZE, **card: Any) -> Classifier:
    rng = np.random.default_rng(5)
    contents = {
        "preprocessing": Preprocessing(size=size).to_dict(),
        "training_prior": (COMPATIBLE * rng.uniform(0.2, 1.0, COMPATIBLE.shape)).tolist(),
        "known_structures": (COMPATIBLE * rng.integers(1, 99, COMPATIBLE.shape)).tolist(),
        "temperature": 1.7,
        "threshold": 0.6,
        "training": {},
        "metrics": {},
        "licence": "GPL-3.0-or-later",
        "version": "0.1.0",
        "mirrored_views": False,
    }
    return Classifier(network, make_card("small", network, **(contents | card)), "cpu")


def seeing_bright_things(view: str, widths: tuple[int, ...] = (2, 2)) -> SymmetryNet:
    """A network made by hand: whatever is bright speaks for m-3m, and only that."""
    architecture = Architecture(widths, (1,) * len(widths), view=view, offsets=64, angles=48)
    network = SymmetryNet(architecture)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim == 4:  # convolutions; the norms stay the identity
                parameter.fill_(1.0 / parameter[0].numel())
        for module in network.modules():
            if isinstance(module, ResidualBlock | LineBlock):
                module.norm2.weight.zero_()
        # Only what stands out passes the rectifier behind the first convolution.
        next(m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)).bias.fill_(-0.3)
        network.head.weight.zero_()
        network.head.bias.zero_()
        network.head.weight[M3M] = 1.0
    return network.eval()


def spot(shape: tuple[int, int], row: float, col: float, width: float) -> np.ndarray:
    """A grey frame with some grain and one bright spot."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    grain = np.random.default_rng(0).normal(0, 1, shape)
    return 100 + grain + 60 * np.exp(-0.5 * ((y - row) ** 2 + (x - col) ** 2) / width**2)


def frames(count: int = 3, shape: tuple[int, int] = (40, 40), seed: int = 0) -> np.ndarray:
    """Smooth noise as raw counts."""
    noise = np.random.default_rng(seed).normal(size=(count, *shape))
    smooth = ndimage.gaussian_filter(noise, (0, 1.5, 1.5))
    return (120 + 40 * smooth / smooth.std()).clip(0, 255).astype(np.uint8)


def disc(shape: tuple[int, int]) -> np.ndarray:
    y, x = np.mgrid[: shape[0], : shape[1]]
    middle, radius = (np.array(shape) - 1) / 2, 0.45 * min(shape)
    return np.hypot(y - middle[0], x - middle[1]) < radius


def mean_scores(network: SymmetryNet, inputs: torch.Tensor, mirrored: bool) -> torch.Tensor:
    with torch.no_grad():
        scores = network(inputs)
        return (scores + network(inputs.flip(-1))) / 2 if mirrored else scores


def sums(maps: list[torch.Tensor], mirrored: bool) -> torch.Tensor:
    """Means over positions, summed over stages and averaged over views."""
    total = torch.stack([m.mean(dim=(1, 2)) for m in maps]).sum(dim=0)
    return total.unflatten(0, (2, -1)).mean(dim=0) if mirrored else total


# The evidence adds up.


@both_views
@mirrored_or_not
@pytest.mark.parametrize("output", [0, M3M, 40])
def test_the_mean_of_the_maps_is_the_score_but_for_the_bias(architecture, mirrored, output):
    network = trained_like(architecture)
    inputs = prepare(frames(), Preprocessing(size=SIZE), mask=disc((40, 40)))

    maps = class_activation_maps(
        network, inputs, lambda scores: scores[:, output], mirrored=mirrored
    )

    expected = mean_scores(network, inputs, mirrored)[:, output] - network.head.bias[output]
    torch.testing.assert_close(sums(maps, mirrored), expected.detach(), rtol=1e-4, atol=1e-4)


@both_views
@mirrored_or_not
@pytest.mark.parametrize("level", LEVELS)
def test_of_any_level_it_is_the_linear_part_of_the_log_odds(architecture, mirrored, level):
    network = trained_like(architecture)
    question = Question(classifier_of(network), None, level=level, against=None, prior="uniform")
    inputs = prepare(frames(), Preprocessing(size=SIZE))
    scores = mean_scores(network, inputs, mirrored).requires_grad_()
    log_odds = question.log_odds(scores)
    (slope,) = torch.autograd.grad(log_odds(scores).sum(), scores)

    maps = class_activation_maps(network, inputs, log_odds, mirrored=mirrored)

    expected = (slope * (scores - network.head.bias)).sum(dim=1).detach()
    torch.testing.assert_close(sums(maps, mirrored), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("view", ["pixels", "lines"])
def test_with_one_stage_it_is_the_class_activation_map_of_the_head(view):
    network = trained_like(Architecture((8,), (2,), view=view, offsets=32, angles=24))
    inputs = prepare(frames(), Preprocessing(size=SIZE))

    (grad_cam,) = class_activation_maps(network, inputs, lambda scores: scores[:, M3M])

    with torch.no_grad():
        cam = torch.einsum("nchw,c->nhw", network.features(inputs), network.head.weight[M3M])
    torch.testing.assert_close(grad_cam, cam, rtol=1e-4, atol=1e-5)


@both_views
def test_each_stage_has_a_map_of_its_own_resolution(architecture):
    inputs = prepare(frames(), Preprocessing(size=SIZE))
    maps = class_activation_maps(trained_like(architecture), inputs, lambda s: s[:, 0])
    sides = {"pixels": [(16, 16), (8, 8), (4, 4)], "lines": [(16, 12), (8, 6), (4, 3)]}
    assert [tuple(m.shape[1:]) for m in maps] == sides[architecture.view]


def test_explaining_leaves_the_network_as_it_was():
    classifier = classifier_of(trained_like(PIXELS), mirrored_views=True)
    before = classifier.scores(frames()).scores

    with torch.inference_mode():
        explain_batch(frames(), classifier)

    assert not classifier.network.training
    assert all(p.grad is None and p.requires_grad for p in classifier.network.parameters())
    assert not any(m._forward_hooks for m in classifier.network.modules())
    np.testing.assert_array_equal(classifier.scores(frames()).scores, before)


# The question.


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("prior", ["uniform", "known", "cubic,hexagonal,m-3m"])
def test_log_odds_are_those_of_the_calibrated_probabilities(level, prior):
    classifier = classifier_of(trained_like(PIXELS))
    scores = 3 * np.random.default_rng(1).normal(size=(6, 47)).astype(np.float32)
    answers = classifier.probabilities(scores[:, :46], prior)
    probabilities = level_probabilities(*answers, level).astype(float)
    one, other = (int(i) for i in np.argsort(-probabilities.mean(axis=0))[:2])
    name, rival = (names(level)[i] for i in (one, other))

    def asked(against: str | None) -> np.ndarray:
        question = Question(classifier, name, level=level, against=against, prior=prior)
        return question.log_odds(torch.from_numpy(scores))(torch.from_numpy(scores)).numpy()

    chance = probabilities[:, one]
    np.testing.assert_allclose(asked(None), np.log(chance / (1 - chance)), rtol=1e-3, atol=1e-3)
    ratio = np.log(chance / probabilities[:, other])
    np.testing.assert_allclose(asked(rival), ratio, rtol=1e-3, atol=1e-3)


def test_log_odds_have_a_slope_even_where_the_network_is_certain():
    classifier = classifier_of(trained_like(PIXELS))
    scores = torch.zeros(1, 47)
    scores[0, M3M] = 500.0
    scores.requires_grad_()
    question = Question(classifier, "m-3m", level="point_group", against=None, prior="uniform")

    (slope,) = torch.autograd.grad(question.log_odds(scores)(scores).sum(), scores)

    assert slope[0, M3M] == pytest.approx(1 / 1.7, rel=1e-4)


@pytest.mark.parametrize(("target", "prior"), [("m-3m", "hexagonal"), ("m-3m", "m-3m")])
def test_a_prior_that_leaves_one_side_empty_does_not_leave_the_map_empty(target, prior):
    classifier = classifier_of(trained_like(PIXELS))
    signed = evidence(frames(), classifier, target, prior=prior)
    assert np.isfinite(signed).all()
    assert (signed != 0).any(axis=(1, 2)).all()


@both_views
@pytest.mark.parametrize("level", LEVELS)
def test_without_a_target_the_reported_class_is_explained(architecture, level):
    from napari_ebsd_phase.phase_map import PhaseMap

    classifier = classifier_of(trained_like(architecture))
    outputs = classifier.scores(frames())
    reported = PhaseMap(
        *(p[np.newaxis] for p in classifier.probabilities(outputs.scores)),
        outputs.quality[np.newaxis],
    ).most_probable(level)[0][0]

    maps = explain_batch(frames(), classifier, level=level)

    for frame, heat, index in zip(frames(), maps, reported, strict=True):
        name = names(level)[index]
        alone = explain(frame, classifier, name, level=level)
        np.testing.assert_allclose(heat, alone, atol=5e-3)


def test_if_the_reported_class_is_the_rival_the_next_one_is_explained():
    classifier = classifier_of(trained_like(PIXELS))
    scores = classifier.scores(frames(1)).scores
    groups = level_probabilities(*classifier.probabilities(scores, "uniform"), "laue_group")[0]
    question = Question(classifier, None, level="laue_group", against=None, prior="uniform")
    first = names("laue_group")[question.index(scores)[0]]

    again = Question(classifier, None, level="laue_group", against=first, prior="uniform")

    others = [(p, n) for p, n in zip(groups, names("laue_group"), strict=True) if n != first]
    assert names("laue_group")[again.index(scores)[0]] == max(others)[1]


@both_views
def test_one_against_the_other_is_the_reverse_of_the_other_against_the_one(architecture):
    classifier = classifier_of(trained_like(architecture))
    one = evidence(frames(), classifier, "m-3m", against="6/mmm")
    other = evidence(frames(), classifier, "6/mmm", against="m-3m")
    np.testing.assert_allclose(one, -other, atol=1e-4 * np.abs(one).max())
    assert np.abs(one).max() > 0


@both_views
def test_every_level_is_a_question_of_its_own(architecture):
    classifier = classifier_of(trained_like(architecture))
    asked = [
        ("point_group", "m-3m"),
        ("laue_group", "m-3m"),
        ("crystal_system", "cubic"),
        ("bravais_lattice", "cF"),
    ]
    maps = [evidence(frames(1), classifier, name, level=level) for level, name in asked]
    for one, other in combinations([m / np.abs(m).max() for m in maps], 2):
        assert np.abs(one - other).max() > 0.01


def test_a_point_group_may_be_written_in_another_setting():
    classifier = classifier_of(trained_like(PIXELS))
    usual, other = (explain(frames(1)[0], classifier, name) for name in ("-6m2", "-62m"))
    np.testing.assert_array_equal(usual, other)


@pytest.mark.parametrize(
    ("name", "level"),
    [
        ("m-3m", "point_group"),
        ("-62m", "point_group"),
        ("cubic", "crystal_system"),
        ("cF", "bravais_lattice"),
    ],
)
def test_the_finest_level_that_has_a_name_is_found(name, level):
    assert level_of(name) == level


# From where it is shown.


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("place", [(0.3, 0.35), (0.6, 0.7)])
def test_every_method_finds_the_only_spot_there_is(method, place):
    classifier = classifier_of(seeing_bright_things("pixels"))
    row, col = (64 * p for p in place)

    heat = explain(spot((64, 64), row, col, 3), classifier, "m-3m", method=method)

    found = ndimage.center_of_mass(np.where(heat > 0.6, heat, 0))
    assert np.hypot(found[0] - row, found[1] - col) < 4


@pytest.mark.parametrize(
    ("shape", "place"),
    [
        ((60, 60), (20, 40)),
        ((61, 83), (40, 20)),  # odd and wide
        ((120, 40), (90, 12)),  # high
        ((240, 240), (70, 190)),
        ((30, 31), (9, 20)),  # finer input than detector
    ],
)
@mirrored_or_not
def test_the_spot_is_shown_where_it_is_on_the_detector(shape, place, mirrored):
    network = seeing_bright_things("pixels")
    classifier = classifier_of(network, size=64, mirrored_views=mirrored)
    pixel = max(shape) / 64

    heat = explain(spot(shape, *place, 1.5 * pixel), classifier, "m-3m")

    assert heat.shape == shape
    found = ndimage.center_of_mass(np.where(heat > 0.5, heat, 0))
    assert np.hypot(*(np.subtract(found, place))) < 1.2 * pixel


def test_a_shifted_spot_shifts_the_map():
    classifier = classifier_of(seeing_bright_things("pixels"), size=64)
    one = explain(spot((64, 64), 24, 24, 2), classifier, "m-3m")
    other = explain(spot((64, 64), 24 + 8, 24 + 12, 2), classifier, "m-3m")
    # By a multiple of the coarsest cell, so that nothing else changes near the spot.
    near, there = one[16:32, 16:32], other[24:40, 28:44]
    assert np.corrcoef(near.ravel(), there.ravel())[0, 1] > 0.98
    assert np.corrcoef(near.ravel(), other[16:32, 16:32].ravel())[0, 1] < 0.5


def test_on_a_screen_that_is_a_part_of_the_frame_the_crop_is_undone():
    classifier = classifier_of(seeing_bright_things("pixels"), size=64)
    mask = np.zeros((90, 120), bool)
    mask[20:70, 50:110] = True
    pattern = spot((90, 120), 55, 65, 1.5)

    heat = explain(pattern, classifier, "m-3m", mask=mask)

    found = ndimage.center_of_mass(np.where(heat > 0.5, heat, 0))
    assert np.hypot(found[0] - 55, found[1] - 65) < 1.5
    assert not heat[~mask].any()
    assert heat.max() == 1


@pytest.mark.parametrize(("angle", "offset"), [(20, 6), (75, -9), (140, 0), (100, 12)])
@pytest.mark.parametrize("shape", [(64, 64), (90, 130)])
@mirrored_or_not
def test_a_network_of_lines_shows_the_only_band_there_is(shape, angle, offset, mirrored):
    classifier = classifier_of(seeing_bright_things("lines"), size=64, mirrored_views=mirrored)
    pixel = max(shape) / 64
    y, x = (np.mgrid[: shape[0], : shape[1]].T - (np.array(shape) - 1) / 2).T / pixel
    normal = np.deg2rad(angle)
    distance = x * np.cos(normal) + y * np.sin(normal) - offset
    grain = np.random.default_rng(0).normal(0, 1, shape)
    pattern = 100 + grain + 40 * np.exp(-0.5 * (distance / 1.5) ** 2)

    heat = explain(pattern, classifier, "m-3m")

    assert heat.shape == shape
    assert heat[np.abs(distance) < 2].mean() > 1.5 * heat[np.abs(distance) > 8].mean()
    assert abs(distance.ravel()[heat.argmax()]) < 4


@pytest.mark.parametrize(("row", "column"), [(16, 0), (5, 7), (28, 13), (20, 23)])
def test_a_value_on_one_line_comes_back_on_that_line(row, column):
    lines = np.zeros((1, 32, 24), np.float32)
    lines[0, row, column] = 1.0

    image = lines_to_pixels(lines, np.ones((1, SIZE, SIZE), bool))[0]

    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    normal = np.pi * (column + 0.5) / 24
    distance = np.abs(
        x * np.cos(normal) + y * np.sin(normal) - ((row + 0.5) / 32 - 0.5) * 2 * REACH * SIZE
    )
    assert not image[distance > 1.5].any()
    assert (image[distance < 0.5] > 0).all()


def test_lines_that_all_say_the_same_say_it_everywhere_on_the_screen():
    screen = disc((SIZE, SIZE))[None]
    image = lines_to_pixels(np.full((1, 32, 24), 3.0, np.float32), screen)
    np.testing.assert_allclose(image[screen], 3.0, rtol=1e-5)


def test_lines_off_the_screen_say_nothing():
    screen = np.zeros((1, SIZE, SIZE), bool)
    screen[:, :, :16] = True
    length = (radon_matrix(SIZE, 32, 24) @ screen.ravel()).reshape(32, 24)
    lines = np.where(length > 0, 0.0, 1.0).astype(np.float32)
    assert not lines_to_pixels(lines[None], screen).any()


def test_the_space_of_lines_goes_round():
    """A quarter turn of a pattern rolls the angles; those that pass the end change side."""
    maps = torch.randn(1, 16, 12, generator=torch.Generator().manual_seed(0))
    turned = torch.cat([maps[..., 6:], maps[..., :6].flip(1)], dim=-1)
    everywhere = torch.ones(1, 1, SIZE, SIZE)

    image = to_input([maps], everywhere, LINES)[0]
    image_turned = to_input([turned], everywhere, LINES)[0]

    # The outermost pixels are between lines, which do not turn with them exactly.
    agreement = np.corrcoef(image_turned.ravel(), np.rot90(image).ravel())[0, 1]
    unlike = np.corrcoef(image_turned.ravel(), image.ravel())[0, 1]
    assert agreement > 0.999 > 0.5 > unlike


@both_views
def test_a_network_asked_twice_says_the_same_of_the_mirror_image(architecture):
    patterns = frames()
    twice, once = (
        classifier_of(trained_like(architecture), mirrored_views=m) for m in (True, False)
    )
    for classifier, same in ((twice, True), (once, False)):
        heat = explain_batch(patterns, classifier, "m-3m")
        mirrored = explain_batch(patterns[..., ::-1], classifier, "m-3m")[..., ::-1]
        assert np.allclose(heat, mirrored, atol=1e-3) == same


@pytest.mark.parametrize("name", ["nickel", "two_phase"])
def test_without_the_strongest_places_the_bundled_network_believes_less(name):
    """The places with the most evidence are blanked, or as many with the least."""
    classifier = load_classifier(device="cpu")
    with load_scan(sample_path(name)) as scan:
        mask, background = scan_screen(scan), scan.static_background
        patterns = scan.read(slice(None), slice(None)).reshape(-1, *scan.pattern_shape)
    patterns = patterns[:: max(1, len(patterns) // 12)]
    options = {"background": background, "mask": mask}
    inputs = prepare(patterns, classifier.preprocessing, **options)
    question = Question(classifier, None, level="laue_group", against=None, prior="uniform")
    twice = classifier.mirrored_views

    def believed(x: torch.Tensor) -> np.ndarray:
        return log_odds(mean_scores(classifier.network, x, twice)).numpy()

    log_odds = question.log_odds(mean_scores(classifier.network, inputs, twice))
    signed = _cam(inputs, question)
    before = believed(inputs)
    fall = {}
    for sign in (1, -1):
        blanked = inputs.clone()
        for frame, evident in zip(blanked[:, 0], sign * signed, strict=True):
            on = (frame != 0).numpy()
            strong = on & (evident >= np.quantile(evident[on], 0.9))
            frame[torch.from_numpy(strong)] = 1e-6  # grey, but still screen
        fall[sign] = np.median(before - believed(blanked))
    assert fall[1] > 0.2
    assert fall[1] > 2 * abs(fall[-1])


# Size, range and what is not there.


@both_views
@pytest.mark.parametrize("shape", [(60, 60), (61, 45), (33, 80), (240, 180), (9, 50)])
def test_a_map_has_the_size_of_the_pattern_and_values_from_0_to_1(architecture, shape):
    heat = explain(frames(1, shape)[0], classifier_of(trained_like(architecture)))
    assert heat.shape == shape
    assert heat.dtype == np.float32
    assert heat.min() >= 0
    assert heat.max() == 1


@both_views
def test_off_a_round_screen_there_is_nothing(architecture):
    mask = disc((50, 70))
    heat = explain(frames(1, (50, 70))[0], classifier_of(trained_like(architecture)), mask=mask)
    assert not heat[~mask].any()
    assert heat[mask].max() == 1


@both_views
def test_what_the_camera_adds_and_multiplies_does_not_matter(architecture):
    classifier = classifier_of(trained_like(architecture))
    pattern = frames(1)[0].astype(np.float64)
    heat = explain(pattern, classifier, "m-3m")
    np.testing.assert_allclose(heat, explain(20 * pattern + 3000, classifier, "m-3m"), atol=1e-2)


@both_views
def test_a_static_background_is_divided_out(architecture):
    classifier = classifier_of(trained_like(architecture))
    pattern = frames(1)[0].astype(np.float32)
    background = np.linspace(1, 5, 40, dtype=np.float32)[:, None] * np.ones(40, np.float32)
    plain = explain(pattern, classifier, "m-3m")
    raw = explain(pattern * background, classifier, "m-3m", background=background)
    np.testing.assert_allclose(raw, plain, atol=1e-2)


def test_where_the_background_is_dark_the_screen_ends():
    """The crop must be the one of the preprocessing, or the map would be shifted."""
    classifier = classifier_of(seeing_bright_things("pixels"), size=64)
    background = np.ones((90, 120))
    background[:, :50] = 0.0

    heat = explain(spot((90, 120), 30, 100, 2), classifier, "m-3m", background=background)

    found = ndimage.center_of_mass(np.where(heat > 0.5, heat, 0))
    assert np.hypot(found[0] - 30, found[1] - 100) < 2
    assert not heat[:, :50].any()


@both_views
@pytest.mark.parametrize("method", METHODS)
def test_a_frame_without_contrast_gives_zeros(architecture, method):
    classifier = classifier_of(trained_like(architecture))
    heat = explain(np.full((40, 40), 7, np.uint8), classifier, method=method)
    assert not heat.any()


def test_a_pixel_that_is_no_number_does_no_harm():
    classifier = classifier_of(trained_like(PIXELS))
    pattern = frames(1)[0].astype(np.float32)
    pattern[3, 5], pattern[30, 8] = np.nan, np.inf
    heat = explain(pattern, classifier)
    assert np.isfinite(heat).all()
    assert heat.max() == 1


def test_a_pattern_in_which_nothing_speaks_for_the_class_gives_zeros():
    network = seeing_bright_things("pixels")
    with torch.no_grad():
        network.head.weight[M3M] = -1.0
    pattern = spot((64, 64), 20, 40, 2)
    classifier = classifier_of(network)
    assert not explain(pattern, classifier, "m-3m").any()
    assert evidence(pattern[None], classifier, "m-3m").min() < 0


# Batches.


@both_views
@pytest.mark.parametrize("method", METHODS)
def test_a_batch_gives_what_its_patterns_give_alone(architecture, method):
    classifier = classifier_of(trained_like(architecture), mirrored_views=True)
    patterns = frames(5 if method == "cam" else 2)
    patterns[1] = 0
    mask = disc((40, 40))

    together = explain_batch(patterns, classifier, method=method, mask=mask, batch_size=2)

    for pattern, heat in zip(patterns, together, strict=True):
        alone = explain(pattern, classifier, method=method, mask=mask)
        np.testing.assert_allclose(heat, alone, atol=5e-3)


def test_no_patterns_give_no_maps():
    maps = explain_batch(np.zeros((0, 20, 30), np.uint8), classifier_of(trained_like(PIXELS)))
    assert maps.shape == (0, 20, 30)


@pytest.mark.parametrize("method", METHODS[1:])
def test_the_slower_methods_give_the_same_again(method):
    classifier = classifier_of(trained_like(LINES))
    torch.manual_seed(1)
    one = explain(frames(1)[0], classifier, method=method)
    torch.manual_seed(2)
    np.testing.assert_array_equal(one, explain(frames(1)[0], classifier, method=method))


@both_views
def test_integrated_gradients_add_up_to_what_the_order_of_the_pixels_tells(architecture):
    """The sum of the map is the log odds less their mean over shuffled frames."""
    classifier = classifier_of(trained_like(architecture))
    inputs = prepare(frames(1), classifier.preprocessing, mask=disc((40, 40)))
    question = Question(classifier, "m-3m", level="point_group", against=None, prior="uniform")

    total = perturbation_map("integrated_gradients", inputs, question).sum()

    rng = np.random.default_rng(0)
    shuffled = inputs.repeat(8, 1, 1, 1)
    for frame in shuffled:
        frame[frame != 0] = torch.from_numpy(rng.permutation(frame[frame != 0].numpy()))
    with torch.no_grad():
        log_odds = question.log_odds(classifier.network(inputs))
        pattern, baseline = (log_odds(classifier.network(x)) for x in (inputs, shuffled))
    # Rectifiers bend on the way, which sixteen steps see nearly.
    assert total == pytest.approx(float(pattern - baseline.mean()), rel=0.06)


# Requests that make no sense.


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"target": "m-3n"}, ("m-3n", "point group", "-43m m-3m")),
        ({"target": "cubic"}, ("cubic", "point group")),
        ({"target": "432", "level": "laue_group"}, ("432", "laue group", "6/mmm m-3 m-3m")),
        ({"target": "cub", "level": "crystal_system"}, ("triclinic", "cubic")),
        ({"target": "fcc", "level": "bravais_lattice"}, ("fcc", "cP cI cF")),
        ({"target": "m-3m", "against": "cF"}, ("cF", "point group")),
        ({"target": "m-3m", "against": "m-3m"}, ("itself",)),
        ({"level": "space_group"}, ("space_group", "bravais_lattice")),
        ({"method": "guided_backpropagation"}, ("guided_backpropagation", *METHODS)),
        ({"prior": "rubbish"}, ("rubbish",)),
        ({"prior": np.ones(32)}, ("(32, 14)",)),
        ({"mask": np.ones((3, 3))}, ("mask", "40 x 40")),
        ({"mask": np.zeros((40, 40))}, ("empty",)),
        ({"background": np.ones((3, 3))}, ("background",)),
    ],
)
def test_a_wrong_request_is_refused_in_one_line_that_says_what_there_is(options, words):
    with pytest.raises(InputError) as error:
        explain(frames(1)[0], classifier_of(trained_like(PIXELS)), **options)
    assert "\n" not in str(error.value)
    for word in words:
        assert word in str(error.value)


def test_patterns_of_the_wrong_shape_are_refused():
    classifier = classifier_of(trained_like(PIXELS))
    with pytest.raises(InputError, match=r"\(h, w\)"):
        explain(frames(), classifier)
    with pytest.raises(InputError, match=r"\(n, h, w\)"):
        explain_batch(frames()[0], classifier)
    with pytest.raises(InputError, match="batch size"):
        explain_batch(frames(), classifier, batch_size=0)


def test_a_name_that_no_level_has_is_refused():
    with pytest.raises(InputError, match=r"'steel'.*m-3m.*cubic.*cF"):
        level_of("steel")


@pytest.mark.parametrize("method", METHODS[1:])
def test_without_captum_the_message_says_what_to_install(method, monkeypatch):
    monkeypatch.setitem(sys.modules, "captum", None)
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    classifier = classifier_of(trained_like(PIXELS))
    with pytest.raises(InputError, match=r"pip install .*captum"):
        explain(frames(1)[0], classifier, method=method)
    assert explain(frames(1)[0], classifier).max() == 1


def test_the_pairs_of_a_side_are_those_of_the_class():
    """What speaks for m-3m and not for 6/mmm is in their scores and those of their lattices."""
    classifier = classifier_of(trained_like(PIXELS))
    scores = torch.zeros(1, 47, requires_grad=True)
    question = Question(classifier, "m-3m", level="point_group", against="6/mmm", prior="uniform")
    (slope,) = torch.autograd.grad(question.log_odds(scores)(scores).sum(), scores)
    expected = {M3M, POINT_GROUPS.index("6/mmm")}
    expected |= {32 + int(lattice) for group, lattice in PAIRS if group in expected}
    assert set(np.flatnonzero(slope[0].numpy())) == expected


@both_views
@pytest.mark.parametrize("method", ["integrated_gradients", "smoothgrad"])
def test_noise_off_the_screen_is_not_shown_to_the_network(architecture, method):
    classifier = classifier_of(trained_like(architecture))
    mask = np.zeros((40, 40), bool)
    mask[:, 10:30] = True
    inputs = prepare(frames(1), classifier.preprocessing, mask=mask)
    question = Question(classifier, "m-3m", level="point_group", against=None, prior="uniform")

    image = perturbation_map(method, inputs, question)

    far = ~ndimage.binary_dilation((inputs[0, 0] != 0).numpy(), iterations=5)
    assert far.sum() > 50
    assert not image[far].any()
