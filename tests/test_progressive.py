# SPDX-License-Identifier: GPL-3.0-or-later
"""Coarse first, then all of it: the same map as ever, in another order."""

from __future__ import annotations

import shutil
import threading
from contextlib import closing

import numpy as np
import pytest
from PIL import Image

from napari_ebsd_phase import InputError, PhaseMap, classify, load_classifier, load_scan
from napari_ebsd_phase.mapping import TileResult
from napari_ebsd_phase.progressive import SampleResult, classify_progressively, prepare_map
from napari_ebsd_phase.samples import sample_path

from ._ebsd_files import write_edax, write_oxford

# Batches of other sizes may add up in another order: the last digits of float32.
CLOSE = {"rtol": 1e-3, "atol": 1e-5}

PART = (slice(10, 30), slice(5, 45))


@pytest.fixture(scope="module")
def classifier():
    return load_classifier("fast", device="cpu", precision="float32")


@pytest.fixture
def duplex():
    with load_scan(sample_path("two_phase")) as scan:
        yield scan


def fill(phase_map: PhaseMap, results) -> list[SampleResult | TileResult]:
    """Enter all results; no pattern comes twice."""
    every = []
    for result in results:
        place = (result.rows, result.cols)
        assert not phase_map.done[place].any()
        result.fill_into(phase_map)
        assert phase_map.done[place].all()
        every.append(result)
    return every


def run(scan, classifier, **settings) -> tuple[PhaseMap, list[SampleResult | TileResult]]:
    told = {key: value for key, value in settings.items() if key in ("region", "prior")}
    phase_map = prepare_map(scan, classifier, **told)
    results = classify_progressively(scan, classifier, phase_map=phase_map, **settings)
    return phase_map, fill(phase_map, results)


def coarse(results) -> list[SampleResult]:
    return [r for r in results if isinstance(r, SampleResult) and r.stride > 1]


def assert_same(phase_map: PhaseMap, other: PhaseMap) -> None:
    np.testing.assert_array_equal(phase_map.done, other.done)
    for name in ("point_group_probabilities", "bravais_probabilities", "pattern_quality"):
        np.testing.assert_allclose(getattr(phase_map, name), getattr(other, name), **CLOSE)


def readers() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name.startswith("read-patterns")]


def test_the_map_is_the_same_as_in_order(duplex, classifier):
    phase_map, results = run(duplex, classifier, region=PART, prior="cubic", first=0.1)

    assert_same(phase_map, classify(duplex, classifier, region=PART, prior="cubic"))
    assert coarse(results)
    assert sum(result.size for result in results) == 20 * 40


def test_a_coarse_grid_over_the_full_extent_comes_first(duplex, classifier):
    phase_map = prepare_map(duplex, classifier)
    grid = []
    with closing(
        classify_progressively(duplex, classifier, phase_map=phase_map, first=0.3)
    ) as results:
        for result in results:
            if isinstance(result, TileResult) or result.stride == 1:
                break
            grid.append(result)

    rows, cols = (np.concatenate([getattr(r, name) for r in grid]) for name in ("rows", "cols"))
    assert len(rows) < 4800
    strides = [result.stride for result in grid]
    assert strides == sorted(strides, reverse=True)
    # No pixel is farther from the grid than its stride.
    row, col = np.mgrid[:60, :80]
    down, right = row[..., np.newaxis] - rows, col[..., np.newaxis] - cols
    assert np.maximum(np.abs(down), np.abs(right)).min(axis=-1).max() <= strides[-1]


def test_a_small_map_has_no_coarse_grid(classifier):
    with load_scan(sample_path("nickel")) as scan:
        phase_map, results = run(scan, classifier)

    assert [type(result) for result in results] == [TileResult]
    assert phase_map.done.all()


def test_nor_has_one_that_is_done_in_the_time_for_it(duplex, classifier):
    _, results = run(duplex, classifier, region=(slice(0, 10), slice(0, 20)), first=3600.0)

    assert {type(result) for result in results} == {TileResult}


def test_only_the_pixels_of_a_mask_are_classified(duplex, classifier):
    row, col = np.mgrid[:60, :80]
    mask = np.hypot(row - 25, col - 30) < 12
    mask[50, 70] = True

    phase_map, results = run(duplex, classifier, region=mask, first=0.4)

    np.testing.assert_array_equal(phase_map.done, mask)
    whole = classify(duplex, classifier, region=(slice(13, 51), slice(18, 71)))
    np.testing.assert_allclose(
        phase_map.point_group_probabilities[mask], whole.point_group_probabilities[mask], **CLOSE
    )
    assert sum(result.size for result in results) >= mask.sum()


def test_what_is_done_is_not_done_again(duplex, classifier):
    settings = {"region": PART, "first": 0.05}
    phase_map = prepare_map(duplex, classifier)
    with closing(
        classify_progressively(duplex, classifier, phase_map=phase_map, **settings)
    ) as first_run:
        for _ in range(2):
            next(first_run).fill_into(phase_map)
    before = phase_map.done.sum()

    results = fill(
        phase_map, classify_progressively(duplex, classifier, phase_map=phase_map, **settings)
    )

    assert 0 < before < 800
    assert sum(result.size for result in results) == 800 - before
    assert_same(phase_map, classify(duplex, classifier, region=PART))
    nothing = classify_progressively(duplex, classifier, phase_map=phase_map, **settings)
    assert list(nothing) == []


def test_a_line_scan_is_sampled_along_the_line(classifier):
    with load_scan(sample_path("two_phase"), grid=(1, 4800)) as scan:
        phase_map = prepare_map(scan, classifier)
        with closing(
            classify_progressively(scan, classifier, phase_map=phase_map, first=0.2)
        ) as results:
            first = next(results)
            for result in results:
                if isinstance(result, TileResult):
                    break
                result.fill_into(phase_map)
        first.fill_into(phase_map)

    assert set(first.rows) == {0}
    done = np.flatnonzero(phase_map.done[0])
    assert len(done) < 1500
    assert done[0] < first.stride
    assert done[-1] >= 4800 - first.stride
    assert np.diff(done).max() <= first.stride


def test_large_patterns_are_read_one_by_one(duplex, classifier, tmp_path):
    patterns = duplex.read(slice(0, 9), slice(0, 9))
    path = write_edax(tmp_path / "large.up1", patterns.repeat(8, axis=2).repeat(8, axis=3))
    with load_scan(path) as scan:
        phase_map, results = run(scan, classifier, first=0.01)
        expected = classify(scan, classifier)

    assert coarse(results)
    assert_same(phase_map, expected)


def test_pictures_of_several_sizes_are_prepared_alone(duplex, classifier, tmp_path):
    patterns = duplex.read(slice(0, 1), slice(0, 66))[0]
    for number, pattern in enumerate(patterns):
        cut = pattern[: 40 + number % 8]
        Image.fromarray(cut).save(tmp_path / f"{number:02}.png")
    with load_scan(tmp_path) as scan:
        assert scan.pattern_shape is None
        phase_map, results = run(scan, classifier, first=0.01)
        expected = classify(scan, classifier)

    assert coarse(results)
    assert_same(phase_map, expected)


def test_closing_it_ends_the_reading_thread(duplex, classifier):
    phase_map = prepare_map(duplex, classifier)
    results = classify_progressively(duplex, classifier, phase_map=phase_map, first=0.2)
    assert isinstance(next(results), SampleResult)
    assert readers()

    results.close()

    assert not readers()
    duplex.close()


def test_a_file_that_breaks_while_it_is_read_is_an_input_error(classifier, tmp_path):
    folder = shutil.copytree(sample_path("silicon"), tmp_path / "pictures")
    with load_scan(folder) as scan:
        phase_map = prepare_map(scan, classifier)
        (folder / "silicon_02.png").write_bytes(b"no picture any more")

        with pytest.raises(InputError, match=r"silicon_02\.png"):
            list(classify_progressively(scan, classifier, phase_map=phase_map))

    assert not readers()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"prior": "octagonal"}, "octagonal"),
        ({"region": (slice(0, 4), slice(0, 3))}, "rows 0:4"),
        ({"region": np.ones((4, 4), bool)}, "4 x 4 pixels, the map 3 x 3"),
        ({"region": np.zeros((3, 3), bool)}, "region is empty"),
        ({"batch_size": 0}, "batch size"),
        ({"phase_map": PhaseMap.empty((3, 4))}, "3 x 4 pixels, the scan 3 x 3"),
    ],
)
def test_a_wrong_request_is_refused_before_the_work(classifier, settings, message):
    with load_scan(sample_path("nickel")) as scan:
        whole = {"phase_map": PhaseMap.empty((3, 3))} | settings
        with pytest.raises(InputError, match=message):
            classify_progressively(scan, classifier, **whole)


class Reader:
    """Reads for a scan, and counts how often each pattern is read."""

    def __init__(self, patterns) -> None:
        self._patterns = patterns
        self.reads = np.zeros(patterns.count, int)

    def __getattr__(self, name: str):
        return getattr(self._patterns, name)

    def read_into(self, first: int, out: np.ndarray) -> None:
        self.reads[first : first + len(out)] += 1
        self._patterns.read_into(first, out)

    def read_one(self, number: int) -> np.ndarray:
        self.reads[number] += 1
        return self._patterns.read_one(number)


@pytest.mark.parametrize("chunk", [1, 7, 48])
def test_no_chunk_of_the_file_is_read_twice(duplex, classifier, tmp_path, chunk):
    data = duplex.read(slice(0, 30), slice(0, 60))
    path = write_oxford(tmp_path / "map.h5oina", data, chunks=chunk, corrected=True)
    with load_scan(path) as scan:
        reader = scan._patterns = Reader(scan._patterns)
        assert scan.chunk == chunk
        phase_map, results = run(scan, classifier, first=0.2)
        once = reader.reads.copy()
        in_order = classify(scan, classifier)

    assert coarse(results)
    assert (once == 1).all()
    assert_same(phase_map, in_order)
