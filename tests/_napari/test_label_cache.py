# SPDX-License-Identifier: GPL-3.0-or-later
"""What the layers show is what the phase map says, whatever way it came in."""

from __future__ import annotations

import numpy as np
import pytest

from napari_ebsd_phase import PhaseMap
from napari_ebsd_phase._napari.label_cache import FAR, NOT_DONE, UNDECIDED, LabelCache, label_of
from napari_ebsd_phase.crystallography import LEVELS, names
from napari_ebsd_phase.labels import label_table

ROWS, COLS = 40, 50


@pytest.fixture
def phase_map() -> PhaseMap:
    """A patchwork of every class at every certainty, with frames that hold no pattern."""
    random = np.random.default_rng(3)

    def probabilities(count: int) -> np.ndarray:
        values = random.random((ROWS, COLS, count)) ** random.integers(1, 60, (ROWS, COLS, 1))
        return (values / values.sum(axis=-1, keepdims=True)).astype(np.float32)

    quality = random.random((ROWS, COLS)).astype(np.float32)
    return PhaseMap(
        probabilities(32), probabilities(14), quality, quality_threshold=0.3, threshold=0.5
    )


def empty_cache(phase_map: PhaseMap) -> LabelCache:
    return LabelCache(
        phase_map.shape,
        threshold=phase_map.threshold,
        quality_threshold=phase_map.quality_threshold,
    )


def arrays_at(phase_map: PhaseMap, place) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return (
        phase_map.point_group_probabilities[place],
        phase_map.bravais_probabilities[place],
        phase_map.pattern_quality[place],
    )


def fill_all(cache: LabelCache, phase_map: PhaseMap) -> None:
    for start in range(0, ROWS, 7):
        place = (slice(start, min(start + 7, ROWS)), slice(0, COLS))
        cache.fill(*place, *arrays_at(phase_map, place))


def assert_agrees(cache: LabelCache, phase_map: PhaseMap) -> None:
    codes, probability = phase_map.label_codes()
    np.testing.assert_array_equal(cache.codes, np.where(phase_map.done, codes, NOT_DONE))
    np.testing.assert_array_equal(cache.confidence, probability)
    np.testing.assert_array_equal(cache.quality, phase_map.pattern_quality)
    np.testing.assert_array_equal(cache.done, phase_map.done)
    for level in LEVELS:
        index, probability = phase_map.most_probable(level)
        expected = np.where(phase_map.nameable, index + 1, UNDECIDED)
        np.testing.assert_array_equal(
            cache.index[level], np.where(phase_map.done, expected, NOT_DONE)
        )
        np.testing.assert_array_equal(cache.probability[level], probability)


def test_a_loaded_map_shows_what_it_says(phase_map):
    assert_agrees(LabelCache.of_map(phase_map), phase_map)


def test_a_map_of_which_a_part_is_done_shows_that_part(mixed_map):
    cache = LabelCache.of_map(mixed_map)

    assert_agrees(cache, mixed_map)
    assert set(cache.codes[:, 7]) == {NOT_DONE}
    assert np.isnan(cache.confidence[:, 7]).all()


def test_tiles_add_up_to_the_map(phase_map):
    cache = empty_cache(phase_map)

    fill_all(cache, phase_map)

    assert_agrees(cache, phase_map)


@pytest.mark.parametrize("threshold", [0.0, 0.2, 0.77, 1.0])
def test_another_threshold_labels_as_the_map_does(phase_map, threshold):
    cache = LabelCache.of_map(phase_map)
    before = cache.codes

    cache.set_threshold(threshold)
    phase_map.threshold = threshold

    assert_agrees(cache, phase_map)
    assert cache.codes is before, "the layer's array has to stay"


def grid(stride: int) -> tuple[np.ndarray, np.ndarray]:
    rows, cols = (np.arange(stride // 2, size, stride) for size in (ROWS, COLS))
    return tuple(np.ravel(axis) for axis in np.meshgrid(rows, cols, indexing="ij"))


def sample(cache: LabelCache, phase_map: PhaseMap, stride: int, chosen=slice(None), **options):
    rows, cols = (axis[chosen] for axis in grid(stride))
    cache.fill_samples(rows, cols, stride, *arrays_at(phase_map, (rows, cols)), **options)


def test_a_coarse_grid_paints_every_pixel_like_its_nearest_sample(phase_map):
    cache = empty_cache(phase_map)

    sample(cache, phase_map, 8)

    rows, cols = grid(8)
    for row, col in np.ndindex(ROWS, COLS):
        away = np.maximum(abs(rows - row), abs(cols - col))
        assert cache.distance[row, col] == away.min()
        nearest = {
            (int(cache.codes[r, c]), float(cache.confidence[r, c]))
            for r, c in zip(rows[away == away.min()], cols[away == away.min()], strict=True)
        }
        assert (int(cache.codes[row, col]), float(cache.confidence[row, col])) in nearest


def test_only_the_samples_themselves_count_as_done(phase_map):
    cache = empty_cache(phase_map)

    sample(cache, phase_map, 8)

    rows, cols = grid(8)
    assert cache.done.sum() == len(rows)
    assert cache.done[rows, cols].all()
    assert (cache.painted | cache.done).all()


def test_a_grid_that_comes_line_by_line_looks_like_one_that_comes_at_once(phase_map):
    whole, parts = empty_cache(phase_map), empty_cache(phase_map)
    sample(whole, phase_map, 8)

    lines = np.unique(grid(8)[0])
    for line in lines:
        sample(parts, phase_map, 8, chosen=grid(8)[0] == line)

    np.testing.assert_array_equal(parts.distance, whole.distance)
    away = whole.distance < 4  # farther away there are two nearest
    np.testing.assert_array_equal(parts.codes[away], whole.codes[away])


def test_a_finer_grid_replaces_a_coarser_one_and_tiles_replace_both(phase_map):
    cache = empty_cache(phase_map)

    sample(cache, phase_map, 16)
    coarse = cache.distance.max()
    sample(cache, phase_map, 4)
    assert cache.distance.max() < coarse
    fill_all(cache, phase_map)

    assert_agrees(cache, phase_map)
    assert not cache.painted.any()


def test_what_is_classified_is_not_painted_over(phase_map):
    cache = empty_cache(phase_map)
    place = (slice(0, 7), slice(0, COLS))
    cache.fill(*place, *arrays_at(phase_map, place))
    before = cache.codes[place].copy()

    sample(cache, phase_map, 8, chosen=grid(8)[0] > 7)

    np.testing.assert_array_equal(cache.codes[place], before)


@pytest.mark.parametrize("as_mask", [False, True], ids=["rectangle", "mask"])
def test_nothing_outside_the_region_is_painted(phase_map, as_mask):
    cache = empty_cache(phase_map)
    inside = np.zeros((ROWS, COLS), bool)
    inside[3:21, 5:33] = True
    region = inside if as_mask else (slice(3, 21), slice(5, 33))

    sample(cache, phase_map, 8, chosen=inside[grid(8)], region=region)

    np.testing.assert_array_equal(cache.distance < FAR, inside)


def test_samples_of_stride_one_paint_nothing(phase_map):
    cache = empty_cache(phase_map)
    rows, cols = np.array([2, 30]), np.array([3, 4])

    cache.fill_samples(rows, cols, 1, *arrays_at(phase_map, (rows, cols)))

    assert np.argwhere(cache.codes != NOT_DONE).tolist() == [[2, 3], [30, 4]]


def test_the_threshold_labels_painted_pixels_too(phase_map):
    cache, other = empty_cache(phase_map), empty_cache(phase_map)
    sample(cache, phase_map, 8)
    other.set_threshold(0.9)
    sample(other, phase_map, 8)

    cache.set_threshold(0.9)

    np.testing.assert_array_equal(cache.codes, other.codes)
    np.testing.assert_array_equal(cache.confidence, other.confidence)


def test_painted_pixels_can_be_forgotten(phase_map):
    cache = empty_cache(phase_map)
    sample(cache, phase_map, 8)

    cache.clear_painted()

    assert not cache.painted.any()
    assert cache.done.sum() == len(grid(8)[0])
    np.testing.assert_array_equal(cache.codes == NOT_DONE, ~cache.done)
    np.testing.assert_array_equal(np.isnan(cache.confidence), ~cache.done)


@pytest.mark.parametrize(
    ("role", "col", "text"),
    [
        ("label", 0, "m-3m (point group, 1.00)"),
        ("label", 1, "m-3m (Laue group, 1.00)"),
        ("label", 2, "cubic (crystal system, 1.00)"),
        ("label", 3, "undecided (best: cubic, 0.16)"),
        ("label", 4, "no pattern (quality 0.10)"),
        ("label", 7, "not classified yet"),
        ("point_group", 1, "m-3m (point group, 0.45)"),
        ("laue_group", 2, "m-3m (Laue group, 0.60)"),
        ("bravais_lattice", 0, "cF (Bravais lattice, 1.00)"),
        ("quality", 4, "pattern quality 0.10"),
        ("confidence", 1, "m-3m (Laue group, 1.00)"),
    ],
)
def test_a_pixel_is_described_with_its_own_probability(mixed_map, role, col, text):
    assert LabelCache.of_map(mixed_map).describe(role, 2, col) == text


def test_a_painted_pixel_is_described_as_a_preview(mixed_map):
    cache = empty_cache(mixed_map)
    arrays = (array[2:3, 0] for array in arrays_at(mixed_map, (slice(None), slice(None))))

    cache.fill_samples(np.array([2]), np.array([0]), 4, *arrays)

    assert cache.describe("label", 2, 0) == "m-3m (point group, 1.00)"
    assert cache.describe("label", 3, 1) == "m-3m (point group, 1.00, preview)"


def test_values_stand_for_names_in_class_order():
    for level in LEVELS:
        found = [label_of(level, value) for value in range(1, len(names(level)) + 1)]
        assert [label.name for label in found] == list(names(level))
    assert [label_of("label", label.code) for label in label_table()] == list(label_table())
    assert label_of("label", UNDECIDED) is None
    assert label_of("point_group", NOT_DONE) is None
