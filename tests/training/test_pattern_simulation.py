# SPDX-License-Identifier: GPL-3.0-or-later
"""Simulated patterns are those of kikuchipy, of the crystal's symmetry, and repeatable."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import gemmi
import kikuchipy as kp
import numpy as np
import pytest
from orix.crystal_map import Phase
from orix.quaternion import Rotation

from napari_ebsd_phase.training.frame_kernels import overlay, project, seed_frames
from napari_ebsd_phase.training.library import MasterLibrary
from napari_ebsd_phase.training.pattern_simulation import (
    FAST,
    GOOD,
    POOR,
    TRAINING,
    Camera,
    random_screen,
    render,
    simulate_group,
)

LIBRARY = Path(__file__).parents[2] / "data" / "master_patterns.h5"
CENTRE = (0.42, 0.27, 0.65)


@pytest.fixture(scope="module")
def masters() -> dict[str, np.ndarray]:
    """Some master patterns of the library by name, float32."""
    wanted = {
        "Ni": "emsoft_Ni_nickel_20kV",
        "Mg": "emsoft_Mg_magnesium_20kV",
        "ZnO": "emsoft_ZnO_zincite_20kV",
        "SiO2": "emsoft_SiO2_alpha-quartz-low_20kV",
        "UCo": "s0835_20kV",
        "Re3N": "s0636_20kV",
    }
    with MasterLibrary.open(LIBRARY) as library:
        number = {record.key: i for i, record in enumerate(library.index)}
        return {k: library.data(number[key]).astype(np.float32) for k, key in wanted.items()}


SPACE_GROUP = {"Ni": 225, "Mg": 194, "ZnO": 186, "SiO2": 152, "UCo": 199, "Re3N": 187}


@pytest.fixture(scope="module")
def stack(masters: dict[str, np.ndarray]) -> np.ndarray:
    return np.stack(list(masters.values())).astype(np.uint8)


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def some_rotations(n: int = 4, seed: int = 0) -> np.ndarray:
    q = np.random.default_rng(seed).standard_normal((n, 4))
    return Rotation(q / np.linalg.norm(q, axis=1, keepdims=True)).to_matrix()


# The geometry is that of kikuchipy.


@pytest.mark.parametrize("material", ["Ni", "ZnO", "SiO2", "UCo"])
@pytest.mark.parametrize("tilt", [70.0, 60.0])
@pytest.mark.parametrize("centre", [CENTRE, (0.5, 0.8, 0.5), (0.61, 0.15, 1.2)])
def test_render_projects_as_kikuchipy_does(masters, material, tilt, centre):
    master, shape = masters[material], (48, 64)
    signal = kp.signals.EBSDMasterPattern(
        master,
        projection="lambert",
        hemisphere="both",
        phase=Phase(material, space_group=SPACE_GROUP[material]),
    )
    detector = kp.detectors.EBSDDetector(
        shape=shape, pc=centre, convention="bruker", sample_tilt=tilt
    )
    rotations = Rotation.from_axes_angles(
        [[1, 2, 3], [1, 0, 2], [-1, 0.3, 0.2]], [37, 111, 203], degrees=True
    )
    expected = signal.get_patterns(
        rotations, detector, dtype_out=np.float32, compute=True, show_progressbar=False
    ).data
    # kikuchipy's orientations take the sample into the crystal frame, ours the detector.
    to_sample = detector.sample_to_detector.to_matrix().squeeze().T

    for rotation, pattern in zip(rotations.to_matrix(), expected, strict=True):
        ours = render(master, rotation @ to_sample, shape, centre)
        assert correlation(ours, pattern) > 0.9999


def test_the_projection_centre_is_where_the_detector_looks_straight():
    """A master pattern bright around the pole only, looked at along the pole."""
    n = 181
    y, x = np.mgrid[-1 : 1 : n * 1j, -1 : 1 : n * 1j]
    master = np.zeros((2, n, n), dtype=np.float32)
    master[0] = np.exp(-(x**2 + y**2) / 0.002)
    pattern = render(master, np.eye(3), (60, 90), (1 / 3, 0.25, 0.7))
    row, col = np.unravel_index(pattern.argmax(), pattern.shape)
    assert abs(row + 0.5 - 15) <= 0.5
    assert abs(col + 0.5 - 30) <= 0.5


def test_a_pixel_lies_as_far_from_the_centre_as_the_distance_says():
    """A cone of 30 degrees about the pole meets the screen in a circle of tan(30) distances."""
    n = 401
    y, x = np.mgrid[-1 : 1 : n * 1j, -1 : 1 : n * 1j]
    side = np.maximum(np.abs(x), np.abs(y))  # equal-area: 1 - cos(angle) = side ** 2
    angle = np.degrees(np.arccos(1 - side**2))
    master = np.exp(-((np.stack([angle, angle]) - 30) ** 2)).astype(np.float32)
    pattern = render(master, np.eye(3), (200, 200), (0.5, 0.5, 0.6))
    expected = np.tan(np.radians(30)) * 0.6 * 200
    row, col = np.nonzero(pattern > 0.9)
    radius = np.hypot(row + 0.5 - 100, col + 0.5 - 100)
    np.testing.assert_allclose(radius, expected, atol=2)
    assert len(radius) > 100


def test_a_flat_master_pattern_renders_flat():
    flat = np.full((2, 51, 51), 7, dtype=np.float32)
    for rotation in some_rotations():
        np.testing.assert_allclose(render(flat, rotation, (20, 30)), 7, rtol=1e-6)


def test_all_directions_together_give_the_mean_of_the_master_pattern():
    """The grid is of equal areas, so neither poles nor equator weigh more."""
    master = np.random.default_rng(0).random((2, 21, 21)).astype(np.float32)
    weight = np.ones(21)
    weight[[0, -1]] = 0.5
    expected = np.average(master.mean(axis=0), weights=np.outer(weight, weight))
    values = [
        render(master, rotation, (1, 1), (0.5, 0.5, 1.0))[0, 0]
        for rotation in some_rotations(20_000, 1)
    ]
    error = float(np.std(values)) / len(values) ** 0.5
    assert float(np.mean(values)) == pytest.approx(float(expected), abs=4 * error)


# The crystal's symmetry is in the patterns, and no more than that.


def operations(space_group: int) -> list[np.ndarray]:
    """Point operations as Cartesian matrices, x along a, z along c*."""
    group = gemmi.SpaceGroup(space_group)
    hexagonal = 143 <= space_group <= 194
    basis = np.array([[1, -0.5, 0], [0, 3**0.5 / 2, 0], [0, 0, 1.3]]) if hexagonal else np.eye(3)
    fractional = [np.array(op.rot) / op.DEN for op in group.operations().sym_ops]
    return [basis @ op @ np.linalg.inv(basis) for op in fractional]


def worst_and_best(master: np.ndarray, operation: np.ndarray) -> tuple[float, float]:
    values = [
        correlation(
            render(master, rotation, (60, 80), CENTRE),
            render(master, operation @ rotation, (60, 80), CENTRE),
        )
        for rotation in some_rotations(4, 2)
    ]
    return min(values), max(values)


def turn(degrees: float, axis: tuple[float, float, float] = (0, 0, 1)) -> np.ndarray:
    return Rotation.from_axes_angles(axis, degrees, degrees=True).to_matrix().squeeze()


@pytest.mark.parametrize("material", list(SPACE_GROUP))
def test_the_operations_of_the_point_group_leave_patterns_as_they_are(masters, material):
    # A grid of one degree leaves some error where an operation does not map it on itself.
    for operation in operations(SPACE_GROUP[material]):
        assert worst_and_best(masters[material], operation)[0] > 0.9


@pytest.mark.parametrize(
    ("material", "operation"),
    [
        ("Ni", turn(45)),
        ("Ni", turn(30, (1, 1, 1))),
        ("Mg", turn(30)),
        ("Mg", turn(90, (1, 0, 0))),
        ("UCo", turn(90)),  # 23 has twofold axes there, m-3m has fourfold ones
        ("SiO2", turn(60)),  # 32 has a threefold axis, 6/mmm a sixfold one
        ("SiO2", turn(180, (0, 1, 0))),  # its twofold axes lie along a only
    ],
)
def test_operations_outside_the_laue_group_change_patterns(masters, material, operation):
    assert worst_and_best(masters[material], operation)[1] < 0.8


@pytest.mark.parametrize(("material", "least"), [("ZnO", 0.04), ("Re3N", 0.03), ("SiO2", 0.001)])
def test_a_crystal_without_inversion_centre_shows_it(masters, material, least):
    kept = min(worst_and_best(masters[material], op)[0] for op in operations(SPACE_GROUP[material]))
    inverted = worst_and_best(masters[material], -np.eye(3))[1]
    assert inverted < kept - least


# Camera frames.


@pytest.mark.parametrize("camera", [TRAINING, GOOD, FAST, POOR])
def test_the_same_random_state_gives_the_same_frames(stack, camera):
    chosen = np.array([0, 1, 2, 2, 5])
    one, one_mask = simulate_group(stack, chosen, camera, np.random.default_rng(5))
    np.random.random(7)  # noqa: NPY002 (others may use the global generator meanwhile)
    two, two_mask = simulate_group(stack, chosen, camera, np.random.default_rng(5))
    other, _ = simulate_group(stack, chosen, camera, np.random.default_rng(6))
    np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(one_mask, two_mask)
    assert one.shape != other.shape or (one != other).any()


def test_two_frames_of_one_material_differ(stack):
    frames, _ = simulate_group(stack, np.zeros(6, dtype=int), GOOD, np.random.default_rng(0))
    for a in range(6):
        for b in range(a):
            assert abs(correlation(frames[a], frames[b])) < 0.99


@pytest.mark.parametrize("seed", range(12))
def test_frames_are_counts_of_a_camera_and_dark_outside_the_screen(stack, seed):
    chosen, camera = np.arange(16) % len(stack), replace(TRAINING, faults=0.0)
    frames, mask = simulate_group(stack, chosen, camera, np.random.default_rng(seed))
    screen = random_screen(np.random.default_rng(seed), camera)
    assert frames.shape == (16, *screen.shape)
    assert frames.dtype == np.float32
    assert mask.shape == screen.shape
    assert mask.dtype == bool
    np.testing.assert_array_equal(frames, np.round(frames))
    assert frames.min() >= 0
    assert frames.max() <= 65535
    assert not frames[:, ~screen].any()


def test_the_mask_is_the_screen_without_its_rim_or_missed_now_and_then(stack):
    camera = replace(TRAINING, plain_screen=0.0)
    missed = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        _, mask = simulate_group(stack, np.array([0]), camera, rng)
        screen = random_screen(np.random.default_rng(seed), camera)
        if screen.all():
            continue
        if mask.all():
            missed += 1
        else:
            assert not mask[~screen].any()
            assert mask.sum() > 0.85 * screen.sum()
    assert 5 < missed < 45


def test_without_faults_the_screen_is_never_missed(stack):
    camera = replace(GOOD, plain_screen=0.0)
    for seed in range(60):
        _, mask = simulate_group(stack, np.array([0]), camera, np.random.default_rng(seed))
        screen = random_screen(np.random.default_rng(seed), camera)
        assert not mask[~screen].any()


def test_screens_keep_to_their_ranges_and_shares():
    camera = Camera(size=(80, 120), aspect=(1.0, 1.5), plain_screen=0.5)
    screens = [random_screen(np.random.default_rng(k), camera) for k in range(600)]
    rows, cols = np.array([s.shape for s in screens]).T
    assert cols.min() == 80
    assert cols.max() == 120
    assert (cols / rows).max() < 1.55
    assert 0.35 < (rows == cols).mean() < 0.5
    assert 0.45 < np.mean([s.all() for s in screens]) < 0.65
    assert min(s.mean() for s in screens) > 0.4


def test_the_share_of_raw_frames_is_as_asked(stack):
    """A raw frame is bright in the middle of its bell and dark far from it."""
    shares = {}
    for raw in (0.0, 1.0):
        camera = replace(GOOD, raw=raw, plain_screen=1.0, aspect=(1.0, 1.0))
        bells = []
        for seed in range(10):
            chosen = np.arange(12) % len(stack)
            frames, _ = simulate_group(stack, chosen, camera, np.random.default_rng(seed))
            n = frames.shape[1] // 8
            corners = np.stack([frames[:, -n:, :n], frames[:, -n:, -n:]]).mean(axis=(0, 2, 3))
            middle = frames[:, 3 * n : 5 * n, 3 * n : 5 * n].mean(axis=(1, 2))
            bells += list(corners / middle)
        shares[raw] = np.median(bells)
    assert shares[1.0] < 0.75 < shares[0.0]


def test_more_noise_hides_the_bands(stack):
    agreement = []
    for noise in (0.05, 0.4, 1.2):
        camera = replace(GOOD, noise=(noise, noise), raw=0.0, plain_screen=1.0)
        frames, _ = simulate_group(
            stack, np.arange(24) % len(stack), camera, np.random.default_rng(1)
        )
        agreement.append(np.mean([correlation(f[:, 1:], f[:, :-1]) for f in frames.astype(float)]))
    assert agreement[0] > agreement[1] > agreement[2]
    assert agreement[0] > 0.6


def test_faults_are_absent_where_none_are_asked_for(stack):
    camera = replace(GOOD, raw=0.0, plain_screen=1.0, faults=0.0, noise=(0.05, 0.05))
    faulty = replace(camera, faults=9.0)
    outliers = []
    for one in (camera, faulty):
        frames = [
            simulate_group(stack, np.arange(8) % len(stack), one, np.random.default_rng(k))[0]
            for k in range(10)
        ]
        outliers.append(np.mean([(f == 0).mean() for group in frames for f in group]))
    assert outliers[0] < 0.003
    assert outliers[1] > 3 * outliers[0]


def test_patterns_can_be_told_apart_after_preparation(stack):
    """The same orientation and camera, two materials: what is left is the crystal."""
    one, mask = simulate_group(stack, np.array([0]), GOOD, np.random.default_rng(8))
    two, _ = simulate_group(stack, np.array([3]), GOOD, np.random.default_rng(8))
    inside = mask[None]
    assert one.shape == two.shape
    assert abs(correlation(one[inside], two[inside])) < 0.95


# What a camera adds to the projection.


def frames_of(stack, camera, seed=0, groups=6):
    """Frames of some groups with the same orientations for every camera of one seed."""
    return [
        simulate_group(stack, np.arange(8) % len(stack), camera, np.random.default_rng([seed, k]))[
            0
        ].astype(float)
        for k in range(groups)
    ]


PLAIN = Camera(
    size=(64, 64), aspect=(1.0, 1.0), noise=(1e-3, 1e-3), blur=(0.0, 0.0), asymmetry=0.0, raw=0.0,
    faults=0.0, plain_screen=1.0, overlap=0.0, fade=0.0, static=0.0, flattening=0.0,
    compression=0.0, distortion=0.0,
)  # fmt: skip


def test_a_pixel_shows_the_mean_over_its_area(masters):
    """Fine structure of a master pattern aliases when only pixel centres are looked up."""
    rng = np.random.default_rng(0)
    fine = rng.random((2, 181, 181)).astype(np.float32)
    scale, shape = 8, (24, 32)
    agreement = []
    for rotation in some_rotations(3):
        large = render(fine, rotation, (shape[0] * scale, shape[1] * scale), CENTRE)
        expected = large.reshape(shape[0], scale, shape[1], scale).mean(axis=(1, 3))
        coarse = np.empty(shape, dtype=np.float32)
        geometry = (CENTRE[0] * shape[1], CENTRE[1] * shape[0], CENTRE[2] * shape[0], 1.0, 0.0)
        project(fine, rotation, *geometry, True, coarse)
        centres = render(fine, rotation, shape, CENTRE)
        agreement.append((correlation(coarse, expected), correlation(centres, expected)))
    averaged, looked_up = np.mean(agreement, axis=0)
    assert averaged > 0.85
    assert averaged > looked_up + 0.1


def test_averaging_over_pixels_keeps_the_mean_and_the_bands(masters):
    for rotation in some_rotations(3):
        sharp = render(masters["Ni"], rotation, (60, 80), CENTRE)
        soft = np.empty_like(sharp)
        project(masters["Ni"], rotation, CENTRE[0] * 80, CENTRE[1] * 60, CENTRE[2] * 60, 1.0, 0.0,
                True, soft)  # fmt: skip
        assert correlation(sharp, soft) > 0.97
        assert soft.mean() == pytest.approx(sharp.mean(), rel=0.01)


def test_an_overlapping_pattern_stays_below_the_weight_of_a_second_one():
    seed_frames(0)
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(200):
        first, second = rng.standard_normal((2, 40, 40)).astype(np.float32)
        frame, under = 3 * first + 7, second.copy()
        overlay(frame, under)
        a, b = np.linalg.lstsq(np.stack([first, second], -1).reshape(-1, 2), frame.ravel())[0]
        shares.append(b / (a + b))
    assert min(shares) > 0.03
    assert 0.25 < max(shares) < 0.33


def test_overlap_puts_bands_of_another_crystal_into_the_frame(stack):
    """A flat master pattern shows bands only where another one lies under it."""
    flat = np.concatenate([stack[:1], np.full_like(stack[:1], 128)])
    flat[1, 0, 0, 0] = 129
    camera = replace(PLAIN, overlap=1.0, noise=(0.05, 0.05))
    chosen = np.array([0, 1, 1, 1, 1, 1, 1, 1])

    def smoothness(camera: Camera) -> float:
        values = []
        for k in range(8):
            frames, _ = simulate_group(flat, chosen, camera, np.random.default_rng(k))
            values += [correlation(f[:, 1:], f[:, :-1]) for f in frames[1:]]
        return float(np.max(values))

    assert smoothness(camera) > 0.5


def spread_by_place(frames) -> tuple[float, float]:
    """Local contrast in the middle of frames and in their corners."""
    fine = np.concatenate(frames)
    fine = np.abs(fine[:, 1:, 1:] - fine[:, :-1, :-1])
    n = fine.shape[1] // 5
    corners = [fine[:, :n, :n], fine[:, :n, -n:], fine[:, -n:, :n], fine[:, -n:, -n:]]
    return float(fine[:, 2 * n : -2 * n, 2 * n : -2 * n].mean()), float(np.mean(corners))


def test_bands_fade_towards_the_rim(stack):
    even = spread_by_place(frames_of(stack, PLAIN))
    faded = spread_by_place(frames_of(stack, replace(PLAIN, fade=1.0)))
    assert faded[1] / faded[0] < 0.85 * even[1] / even[0]


def ring_power(frames, low: float, high: float) -> float:
    """Mean share of the power between two spatial frequencies in cycles a pixel."""
    shares = []
    for frame in np.concatenate(frames):
        window = np.outer(np.hanning(frame.shape[0]), np.hanning(frame.shape[1]))
        power = np.abs(np.fft.fft2((frame - frame.mean()) * window)) ** 2
        f = np.hypot(*np.meshgrid(*map(np.fft.fftfreq, frame.shape), indexing="ij"))
        shares.append(power[(f >= low) & (f < high)].sum() / power.sum())
    return float(np.mean(shares))


def test_a_wrong_static_background_leaves_blotches(stack):
    clean = ring_power(frames_of(stack, PLAIN), 0.0, 0.06)
    assert ring_power(frames_of(stack, replace(PLAIN, static=4.0)), 0.0, 0.06) > 1.2 * clean


def test_flattening_takes_broad_contrast_away(stack):
    clean = ring_power(frames_of(stack, PLAIN), 0.0, 0.06)
    assert ring_power(frames_of(stack, replace(PLAIN, flattening=1.0)), 0.0, 0.06) < 0.8 * clean


def test_compression_dims_zone_axes(stack):
    def tail(camera: Camera) -> float:
        frames = np.concatenate(frames_of(stack[:1], camera))
        z = frames - frames.mean(axis=(1, 2), keepdims=True)
        z /= z.std(axis=(1, 2), keepdims=True)
        return float((z**3).mean())

    assert tail(replace(PLAIN, compression=1.0)) < 0.7 * tail(PLAIN)


def test_bands_lean_towards_the_beam(stack):
    """With the asymmetry the upper edges of bands are brighter, in most frames."""
    agreement = []
    even, leaning = (
        np.concatenate(frames_of(stack, camera, groups=10))
        for camera in (PLAIN, replace(PLAIN, asymmetry=1.0))
    )
    for a, b in zip(even, leaning, strict=True):
        added = b[2:-2] / b.std() - a[2:-2] / a.std()
        agreement.append(correlation(added, a[4:] - a[:-4]))
    assert np.mean(np.array(agreement) > 0.2) > 0.6
    assert 0.02 < np.mean(np.array(agreement) < -0.2) < 0.4


def test_noise_is_normal_and_its_pixels_are_independent(stack):
    """The generator is a table look-up: the moments and neighbours of its output say it works."""
    flat = np.full((1, 2, 11, 11), 100, dtype=np.uint8)
    camera = replace(PLAIN, noise=(1.0, 1.0))
    z = []
    for k in range(24):
        frames, _ = simulate_group(flat, np.zeros(8, int), camera, np.random.default_rng(k))
        z += [(f - f.mean()) / f.std() for f in frames.astype(float)]
    white = [f for f in z if abs(correlation(f[:, 1:], f[:, :-1])) < 0.1]
    assert len(white) > 0.5 * len(z)
    values = np.concatenate([f.ravel() for f in white])
    assert abs((values**3).mean()) < 0.05
    assert (values**4).mean() == pytest.approx(3, abs=0.25)
    neighbours = [correlation(f[1:], f[:-1]) for f in white]
    assert abs(np.mean(neighbours)) < 0.01
    assert abs(np.mean([correlation(a, b) for a, b in pairwise(white)])) < 0.01
