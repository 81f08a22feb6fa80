# SPDX-License-Identifier: GPL-3.0-or-later
"""Classifying a scan tile by tile gives what the network says about each pattern."""

from __future__ import annotations

import hashlib
import threading
from contextlib import closing
from datetime import datetime

import numpy as np
import pytest
from PIL import Image

from napari_ebsd_phase import InputError, classify, load_classifier, load_scan
from napari_ebsd_phase.mapping import (
    check_region,
    classify_tiles,
    default_batch_size,
    empty_map,
    scan_screen,
)
from napari_ebsd_phase.samples import sample_path
from napari_ebsd_phase.screen import find_screen

# Batches of other sizes may add up in another order: the last digits of float32.
CLOSE = {"rtol": 1e-3, "atol": 1e-5}

REGION = (slice(10, 22), slice(5, 45))


@pytest.fixture(scope="module")
def classifier():
    return load_classifier("fast", device="cpu", precision="float32")


@pytest.fixture
def duplex():
    with load_scan(sample_path("two_phase")) as scan:
        yield scan


@pytest.fixture
def pictures(tmp_path):
    """Three pictures of one size, the last with black corners, and a smaller one."""
    for i, (name, kept) in enumerate([("a", 480), ("b", 480), ("c", 480), ("d", 200)]):
        with Image.open(sample_path("silicon") / f"silicon_0{min(i, 2) + 1}.png") as image:
            pixels = np.asarray(image.convert("L"))[:kept, :kept].copy()
        if name == "c":
            y, x = np.mgrid[:480, :480] - 239.5
            pixels[np.hypot(y, x) > 230] = 0
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    return tmp_path


def readers() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name.startswith("read-patterns")]


def test_a_map_holds_what_the_network_says_about_each_pattern(classifier):
    with load_scan(sample_path("nickel")) as scan:
        phase_map = classify(scan, classifier)
        patterns = scan.read(slice(0, 3), slice(0, 3)).reshape(9, 60, 60)
        background = scan.static_background

    assert background is not None
    outputs = classifier.scores(patterns, background=background, mask=find_screen(patterns))
    point_groups, lattices = classifier.probabilities(outputs.scores)
    assert phase_map.done.all()
    np.testing.assert_allclose(
        phase_map.point_group_probabilities.reshape(9, 32), point_groups, **CLOSE
    )
    np.testing.assert_allclose(phase_map.bravais_probabilities.reshape(9, 14), lattices, **CLOSE)
    assert classifier.tells_patterns  # so that is what quality means
    np.testing.assert_allclose(phase_map.pattern_quality.ravel(), outputs.pattern, **CLOSE)


def test_every_pattern_lies_in_one_tile_and_tiles_are_small(duplex, classifier):
    visits = np.zeros(duplex.shape, int)

    for tile in classify_tiles(duplex, classifier, region=REGION, tile=100):
        visits[tile.rows, tile.cols] += 1
        assert tile.size <= 100
        assert tile.point_group_probabilities.shape == (*tile.quality.shape, 32)
        assert tile.bravais_probabilities.shape == (*tile.quality.shape, 14)

    assert (visits[REGION] == 1).all()
    assert visits.sum() == 12 * 40


def test_the_size_of_the_tiles_does_not_show(duplex, classifier):
    small, large = (classify(duplex, classifier, region=REGION, tile=n) for n in (30, 1000))

    np.testing.assert_allclose(
        small.point_group_probabilities[REGION], large.point_group_probabilities[REGION], **CLOSE
    )


def test_a_region_is_classified_as_in_the_whole_map(classifier):
    region = (slice(1, 3), slice(0, 2))
    with load_scan(sample_path("nickel")) as scan:
        whole, part = classify(scan, classifier), classify(scan, classifier, region=region)

    assert part.shape == whole.shape
    assert part.done.sum() == 4
    assert part.done[region].all()
    assert np.isnan(part.bravais_probabilities[0]).all()
    np.testing.assert_allclose(
        part.bravais_probabilities[region], whole.bravais_probabilities[region], **CLOSE
    )


def test_a_run_that_skips_what_is_done_ends_in_the_same_bits(duplex, classifier):
    settings = {"region": REGION, "tile": 80}
    whole = classify(duplex, classifier, **settings)
    resumed = empty_map(duplex, classifier, **settings)
    with closing(classify_tiles(duplex, classifier, **settings)) as first_run:
        for _ in range(2):
            next(first_run).fill_into(resumed)
    done_before = resumed.done.copy()
    for tile in classify_tiles(duplex, classifier, **settings, skip=resumed.done):
        assert not done_before[tile.rows, tile.cols].any()
        tile.fill_into(resumed)

    assert 0 < done_before.sum() < whole.done.sum()
    for name in ("point_group_probabilities", "bravais_probabilities", "pattern_quality"):
        assert getattr(resumed, name).tobytes() == getattr(whole, name).tobytes()


def test_each_picture_of_a_folder_is_prepared_as_if_it_were_alone(pictures, classifier):
    with load_scan(pictures) as scan:
        assert scan.pattern_shape is None
        together = classify(scan, classifier)
    alone = []
    for path in sorted(pictures.iterdir()):
        with load_scan(path) as scan:
            alone.append(classify(scan, classifier).point_group_probabilities[0, 0])

    assert together.sources == ["a.png", "b.png", "c.png", "d.png"]
    np.testing.assert_allclose(together.point_group_probabilities[0], alone, **CLOSE)


def test_pictures_of_one_size_have_screens_of_their_own(pictures, classifier):
    (pictures / "d.png").unlink()
    with load_scan(pictures) as scan:
        assert scan.pattern_shape == (480, 480)
        together = classify(scan, classifier)
        round_one = scan.pattern(0, 2)

    mask = find_screen(round_one)
    assert not mask[0, 0]
    scores = classifier.scores(round_one[np.newaxis], mask=mask).scores
    np.testing.assert_allclose(
        together.point_group_probabilities[0, 2], classifier.probabilities(scores)[0][0], **CLOSE
    )


def test_the_screen_is_that_of_all_the_map(duplex):
    every = duplex.read(slice(0, 60), slice(0, 80)).reshape(-1, 48, 48)

    np.testing.assert_array_equal(scan_screen(duplex), find_screen(every))


def test_pictures_of_many_sizes_have_no_common_screen(pictures):
    with load_scan(pictures) as scan, pytest.raises(InputError, match="different sizes"):
        scan_screen(scan)


def test_the_reading_thread_is_there_while_tiles_come_and_gone_when_nobody_asks(duplex, classifier):
    tiles = classify_tiles(duplex, classifier, tile=80)
    next(tiles)
    assert readers()

    tiles.close()

    assert not readers()


def test_a_file_that_breaks_while_it_is_read_is_an_input_error(pictures, classifier):
    with load_scan(pictures) as scan:
        tiles = classify_tiles(scan, classifier, tile=1)
        next(tiles)
        (pictures / "d.png").write_bytes(b"no picture any more")

        with pytest.raises(InputError, match=r"d\.png"):
            list(tiles)

    assert not readers()


def test_progress_counts_up_to_all_patterns(duplex, classifier):
    calls = []

    classify(
        duplex, classifier, region=REGION, tile=120, progress=lambda *numbers: calls.append(numbers)
    )

    done = [d for d, _ in calls]
    assert done == sorted(set(done))
    assert len(done) > 2
    assert calls[-1] == (480, 480)
    assert {total for _, total in calls} == {480}


def test_a_cancelled_run_returns_what_is_done(duplex, classifier):
    finished = []

    phase_map = classify(
        duplex,
        classifier,
        tile=80,
        progress=lambda done, total: finished.append(done),
        cancelled=lambda: len(finished) == 3,
    )

    assert phase_map.done.sum() == finished[-1] == 240
    assert not np.isnan(phase_map.point_group_probabilities[:3]).any()
    assert np.isnan(phase_map.point_group_probabilities[3:]).all()
    assert not readers()


def test_a_prior_is_obeyed(classifier):
    with load_scan(sample_path("nickel")) as scan:
        phase_map = classify(scan, classifier, prior="m-3m,m-3,cI")

    assert set(np.unique(phase_map.point_group)) <= {"m-3m", "m-3"}
    assert (phase_map.bravais_lattice == "cI").all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"prior": "cubic,octagonal"}, "octagonal"),
        ({"region": (slice(0, 4), slice(0, 3))}, "rows 0:4"),
        ({"region": (slice(2, 2), slice(0, 3))}, "rows 2:2"),
        ({"region": (slice(0, 3), slice(-2, 3))}, "columns -2:3"),
        ({"batch_size": 0}, "batch size"),
    ],
)
def test_a_wrong_request_is_refused_before_the_work(classifier, settings, message):
    with load_scan(sample_path("nickel")) as scan, pytest.raises(InputError, match=message):
        classify_tiles(scan, classifier, **settings)


def test_a_threshold_that_is_no_probability_is_refused(classifier):
    with load_scan(sample_path("nickel")) as scan, pytest.raises(InputError, match="threshold"):
        classify(scan, classifier, threshold=1.5)


def test_open_ends_of_a_region_are_those_of_the_map():
    assert check_region((3, 5), None) == (slice(0, 3), slice(0, 5))
    assert check_region((3, 5), (slice(1, None), slice(None, 2))) == (slice(1, 3), slice(0, 2))


def test_large_patterns_go_through_the_network_in_small_batches():
    assert default_batch_size((60, 60)) == 128
    assert 1 <= default_batch_size((1200, 1600)) <= 16
    assert default_batch_size((20_000, 20_000)) == 1


def test_the_provenance_says_how_the_map_was_made(classifier):
    with load_scan(sample_path("nickel")) as scan:
        phase_map = classify(scan, classifier, prior="cubic", threshold=0.7)
        step, units = scan.step, scan.units

    told = phase_map.provenance
    assert told["source"] == "nickel.h5"
    assert told["source_sha256"] == hashlib.sha256(sample_path("nickel").read_bytes()).hexdigest()
    assert (told["network"], told["network_sha256"]) == (classifier.name, classifier.sha256)
    assert (told["prior"], told["threshold"]) == ("cubic", 0.7)
    assert told["preprocessing"] == classifier.preprocessing.to_dict()
    assert told["device"] == "cpu"
    assert datetime.fromisoformat(told["date"]).utcoffset().total_seconds() == 0
    assert (phase_map.threshold, phase_map.step, phase_map.units) == (0.7, step, units)
    assert phase_map.sources == ["nickel.h5"]


def test_the_threshold_of_the_card_is_the_default(classifier):
    with load_scan(sample_path("nickel")) as scan:
        assert empty_map(scan, classifier).threshold == classifier.threshold
