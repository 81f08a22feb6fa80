# SPDX-License-Identifier: GPL-3.0-or-later
"""What a pattern shows at a pixel comes to lie on the crystal direction that the pixel shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from orix.quaternion import Rotation

from napari_ebsd_phase.classifier import Classifier
from napari_ebsd_phase.crystallography import POINT_GROUPS, laue_group
from napari_ebsd_phase.errors import InputError
from napari_ebsd_phase.loading import load_classifier
from napari_ebsd_phase.saliency import evidence
from napari_ebsd_phase.saliency.sphere import (
    average_on_sphere,
    lambert_cell,
    lambert_direction,
    laue_operations,
    saliency_on_sphere,
    stereographic,
    symmetry_operations,
)
from napari_ebsd_phase.saliency.sphere_picture import Panel, named_axes, write_sphere
from napari_ebsd_phase.saliency.sphere_scan import oriented_frames
from napari_ebsd_phase.samples import sample_path
from napari_ebsd_phase.scan import load_scan
from napari_ebsd_phase.symmetry_maps import Centre
from napari_ebsd_phase.training.lattice_symmetry import point_operations
from napari_ebsd_phase.training.library import MasterLibrary, MasterPattern
from napari_ebsd_phase.training.pattern_simulation import render
from napari_ebsd_phase.training.saliency_sets import phase_of, simulated_frames, structure_of
from napari_ebsd_phase.training.structures import find_structures
from napari_ebsd_phase.zone_axes import Geometry, crystal_directions, describe, detector_to_crystal

LIBRARY = Path(__file__).parents[2] / "data" / "master_patterns.h5"
GEOMETRY = Geometry(shape=(48, 60), pc=(0.45, 0.3, 0.6))
SIDE = 41


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return load_classifier("pixels", device="cpu")


@pytest.fixture(scope="module")
def masters() -> dict[str, MasterPattern]:
    with MasterLibrary.open(LIBRARY) as library:
        keys = [record.key for record in library.index]
        wanted = ("emsoft_Ni_nickel_20kV", "emsoft_Mg_magnesium_20kV")
        return {key: library[keys.index(key)] for key in wanted}


def random_rotations(count: int, seed: int = 0) -> Rotation:
    return Rotation(np.random.default_rng(seed).normal(size=(count, 4)))


def coarse(grid: np.ndarray, side: int) -> np.ndarray:
    """A master pattern's hemisphere, whose points reach from rim to rim, as means over cells."""
    fine = 4 * side
    at = ((np.arange(fine) + 0.5) / fine * (len(grid) - 1)).round().astype(int)
    blocks = grid[np.ix_(at, at)].astype(float).reshape(side, 4, side, 4)
    return blocks.mean(axis=(1, 3))


# The grid.


def test_a_cell_has_its_own_middle_in_it():
    cells = lambert_cell(lambert_direction(SIDE).reshape(-1, 3), SIDE)
    np.testing.assert_array_equal(cells, np.arange(SIDE**2))
    np.testing.assert_allclose(np.linalg.norm(lambert_direction(SIDE), axis=-1), 1.0)


def test_cells_cover_equal_solid_angles():
    points = np.random.default_rng(0).normal(size=(400_000, 3))
    points /= np.linalg.norm(points, axis=1)[:, None]
    counts = np.bincount(lambert_cell(points, 10), minlength=100)
    assert counts.std() < 1.3 * np.sqrt(counts.mean())


def test_opposite_directions_share_a_cell():
    points = np.random.default_rng(0).normal(size=(500, 3))
    points /= np.linalg.norm(points, axis=1)[:, None]
    np.testing.assert_array_equal(lambert_cell(points, SIDE), lambert_cell(-points, SIDE))


def test_the_stereographic_picture_has_x_right_and_y_up():
    directions = lambert_direction(101)
    x, y = (stereographic(directions[..., k], 81) for k in (0, 1))
    assert x[40, 70] > 0.9 > 0.1 > abs(x[10, 40])
    assert y[10, 40] > 0.9 > 0.1 > abs(y[40, 70])
    assert np.isnan(x[0, 0])
    assert np.isfinite(x[40, 40])


def test_what_nothing_is_known_of_stays_empty():
    grid = np.where(np.arange(30)[:, None] < 15, np.nan, 1.0) * np.ones((30, 30))
    picture = stereographic(grid, 61)
    assert np.isnan(picture[45, 30])
    assert picture[15, 30] == 1.0


# Symmetry.


@pytest.mark.parametrize("name", POINT_GROUPS)
def test_every_point_group_has_the_operations_of_its_laue_class(name):
    orders = {"-1": 2, "2/m": 4, "mmm": 8, "4/m": 8, "4/mmm": 16, "-3": 6, "-3m": 12, "6/m": 12,
              "6/mmm": 24, "m-3": 24, "m-3m": 48}  # fmt: skip
    operations = symmetry_operations(name)
    assert len(operations) == orders[laue_group(name)]
    products = operations @ operations.transpose(0, 2, 1)
    np.testing.assert_allclose(products, np.broadcast_to(np.eye(3), products.shape), atol=1e-9)
    distinct = np.unique(operations.round(6).reshape(-1, 9) + 0.0, axis=0)
    assert len(distinct) == len(operations)
    assert (distinct == -np.eye(3).ravel()).all(axis=1).any()


def test_monoclinic_crystals_turn_about_b():
    half_turn = symmetry_operations("2")[1]
    np.testing.assert_array_equal(half_turn @ [0, 1, 0], [0, 1, 0])


@pytest.mark.parametrize("bravais", ["aP", "mS", "oI", "tI", "hP", "hR", "cF"])
def test_operations_of_a_phase_are_those_of_its_atoms_and_the_inversion(bravais):
    structure = find_structures(bravais=bravais)[0]
    found = laue_operations(phase_of(structure))
    atoms = point_operations(structure)
    expected = np.unique(np.concatenate([atoms, -atoms]).round(3).reshape(-1, 9) + 0.0, axis=0)
    assert len(found) == len(expected)
    for operation in found.reshape(-1, 9):
        assert np.abs(expected - operation).max(axis=1).min() < 0.02


# Pixels to crystal directions.


def test_the_mean_of_noiseless_patterns_is_the_master_pattern(masters):
    """Every step from the pixel to the sphere is right, or the two do not agree."""
    for key, master in masters.items():
        rotations = random_rotations(60)
        images = np.stack(
            [
                render(master.data, detector_to_crystal(r, GEOMETRY), GEOMETRY.shape, GEOMETRY.pc)
                for r in rotations
            ]
        )
        operations = laue_operations(phase_of(structure_of(master)))

        found = average_on_sphere(images, rotations, [GEOMETRY] * 60, operations, side=SIDE)

        expected = coarse(master.data[0], SIDE)
        assert np.corrcoef(found.values.ravel(), expected.ravel())[0, 1] > 0.95, key
        wrong = average_on_sphere(images, ~rotations, [GEOMETRY] * 60, operations, side=SIDE)
        assert np.corrcoef(wrong.values.ravel(), expected.ravel())[0, 1] < 0.6


def test_without_symmetry_a_map_is_the_mean_of_the_pixels_that_saw_each_direction():
    rotation = random_rotations(1)
    values = np.random.default_rng(1).normal(size=(1, *GEOMETRY.shape))
    found = average_on_sphere(values, rotation, [GEOMETRY], np.eye(3)[None], side=15)
    assert found.weight.sum() == values.size
    assert np.nansum(found.values * found.weight) == pytest.approx(values.sum())
    middles = lambert_cell(crystal_directions(rotation, GEOMETRY), 15)
    seen = np.unique(middles)
    assert set(np.flatnonzero(np.isfinite(found.values))) >= set(seen)
    assert np.isnan(found.values).any()


def test_pixels_off_the_screen_take_no_part():
    rotation = random_rotations(1)
    screen = np.zeros(GEOMETRY.shape, bool)
    screen[:20] = True
    values = np.where(screen, 1.0, 1e6)[None]
    found = average_on_sphere(
        values, rotation, [GEOMETRY], symmetry_operations("m-3m")[:1], screen=screen, side=21
    )
    assert np.nanmax(found.values) == pytest.approx(1.0)
    assert found.weight.sum() == screen.sum()


def test_the_map_has_the_symmetry_of_its_group(masters, classifier):
    oriented = simulated_frames(masters["emsoft_Ni_nickel_20kV"], 10)
    found = saliency_on_sphere(
        classifier,
        oriented.frames,
        oriented.rotations,
        oriented.geometries,
        "m-3m",
        "m-3m",
        side=31,
    )
    # A quarter turn about z takes the grid onto itself.
    np.testing.assert_allclose(found.values, np.rot90(found.values), rtol=0.5, atol=3.0)
    assert np.corrcoef(found.values.ravel(), np.rot90(found.values).ravel())[0, 1] > 0.98
    assert found.patterns == 10


def test_evidence_on_the_sphere_keeps_its_sign_and_its_amount(masters, classifier):
    oriented = simulated_frames(masters["emsoft_Ni_nickel_20kV"], 6)
    heat = evidence(oriented.frames, classifier, "m-3m")

    found = saliency_on_sphere(
        classifier, oriented.frames, oriented.rotations, oriented.geometries, "m-3m"
    )

    total = np.nansum(found.values * found.weight) / found.weight.sum()
    assert total == pytest.approx(heat.mean(), rel=1e-4)
    assert np.nanmin(found.values) < 0 < np.nanmax(found.values)


def test_each_pattern_is_seen_with_the_projection_centre_of_its_own_camera(masters):
    oriented = simulated_frames(masters["emsoft_Ni_nickel_20kV"], 3)
    network = load_classifier(device="cpu", precision="float32")
    shape, size = oriented.frames.shape[1:], network.preprocessing.size
    told = [
        network.at(Centre.of_screen(geometry.pc, np.ones(shape, bool), size))
        for geometry in oriented.geometries
    ]
    heat = np.concatenate(
        [evidence(f[None], n, "m-3m") for f, n in zip(oriented.frames, told, strict=True)]
    )
    expected = average_on_sphere(
        heat, oriented.rotations, oriented.geometries, np.eye(3)[None], side=SIDE
    )
    steps = []

    found = saliency_on_sphere(
        network, oriented.frames, oriented.rotations, oriented.geometries, "m-3m",
        np.eye(3)[None], side=SIDE, mask=np.ones(shape, bool),
        progress=lambda *step: steps.append(step),
    )  # fmt: skip

    np.testing.assert_allclose(found.values, expected.values, rtol=1e-4, atol=1e-4)
    assert steps == [(1, 3), (2, 3), (3, 3)]
    # Without it the network says something else.
    unbound = evidence(oriented.frames, network, "m-3m")
    assert np.abs(unbound - heat).max() > 0.1 * np.abs(heat).max()


def test_the_network_finds_cubic_symmetry_at_zone_axes_of_high_symmetry(masters, classifier):
    oriented = simulated_frames(masters["emsoft_Ni_nickel_20kV"], 80)
    found = saliency_on_sphere(
        classifier, oriented.frames, oriented.rotations, oriented.geometries, "m-3m", "m-3m"
    ).values
    for axis in ([0, 0, 1], [0, 1, 1]):
        direction = np.array(axis) / np.linalg.norm(axis)
        here = found.flat[lambert_cell(direction, len(found))]
        assert here > np.nanmean(found) + 2 * np.nanstd(found)


# Requests that make no sense.


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"patterns": np.zeros((48, 60))}, r"\(n, h, w\)"),
        ({"patterns": np.zeros((0, 48, 60))}, r"\(n, h, w\)"),
        ({"rotations": random_rotations(2)}, "3 patterns and 2 orientations"),
        ({"geometry": [GEOMETRY]}, "48 x 60"),
        ({"geometry": Geometry(shape=(9, 9), pc=(0.5, 0.5, 0.5))}, "48 x 60"),
        ({"symmetry": "5/m"}, "5/m"),
        ({"symmetry": np.eye(3)}, r"\(k, 3, 3\)"),
        ({"target": "steel"}, "steel"),
        ({"side": 2}, "3 cells"),
    ],
)
def test_a_wrong_request_is_refused_in_one_line(classifier, change, words):
    given = {
        "patterns": np.random.default_rng(0).normal(100, 9, (3, 48, 60)),
        "rotations": random_rotations(3),
        "geometry": GEOMETRY,
        "target": "m-3m",
        "symmetry": "m-3m",
    } | change
    with pytest.raises(InputError, match=words) as error:
        saliency_on_sphere(classifier, **given)
    assert "\n" not in str(error.value)


# Scans and pictures.


def test_orientations_come_from_the_file_of_a_scan():
    with load_scan(sample_path("nickel")) as scan:
        oriented = oriented_frames(scan)
        np.testing.assert_array_equal(oriented.frames[4], scan.pattern(1, 1))
        assert oriented_frames(scan, most=2).frames.shape == (2, 60, 60)
        with pytest.raises(InputError, match=r"'iron'.*ni"):
            oriented_frames(scan, phase="iron")
    assert oriented.rotations.size == len(oriented.geometries) == 9
    assert oriented.phase.name == "ni"


def test_a_scan_without_orientations_is_refused():
    with load_scan(sample_path("two_phase")) as scan, pytest.raises(InputError, match="no orient"):
        oriented_frames(scan, most=4)


def test_marked_axes_are_those_where_most_bands_cross():
    catalogue = describe(phase_of(find_structures(formula="Ni", bravais="cF")[0]))
    found = dict(named_axes(catalogue, 3))
    assert next(iter(found)) == "<011>"
    assert "<001>" in found
    assert all((members[:, 2] > -1e-5).all() for members in found.values())


def test_the_picture_shows_what_speaks_for_and_against(tmp_path):
    from PIL import Image

    directions = lambert_direction(SIDE)
    panels = [Panel("intensity", directions[..., 2], signed=False), Panel("x", directions[..., 0])]
    write_sphere(tmp_path / "sphere.png", panels, None, ("first line", "second line"))
    picture = np.asarray(Image.open(tmp_path / "sphere.png").convert("RGB")).astype(int)
    half = picture[:, picture.shape[1] // 2 :]
    redness = half[..., 0] - half[..., 2]
    columns = np.arange(half.shape[1])
    red, blue = ((redness * sign).clip(0).sum(axis=0) @ columns for sign in (1, -1))
    weights = [(redness * sign).clip(0).sum() for sign in (1, -1)]
    assert red / weights[0] > blue / weights[1] + 50
