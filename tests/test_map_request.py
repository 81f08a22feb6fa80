# SPDX-License-Identifier: GPL-3.0-or-later
"""Regions of interactive work, and the map that they fill."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from napari_ebsd_phase import InputError, classify, load_classifier, load_scan
from napari_ebsd_phase.map_request import (
    add_file_hash,
    can_resume,
    prepare_map,
    region_box,
    region_mask,
    widen_region,
)
from napari_ebsd_phase.samples import sample_path


@pytest.fixture(scope="module")
def classifier():
    return load_classifier("fast", device="cpu")


@pytest.fixture
def nickel(tmp_path):
    with load_scan(shutil.copy(sample_path("nickel"), tmp_path)) as scan:
        yield scan


def test_a_region_is_everything_a_rectangle_or_a_mask():
    whole, part = region_mask((3, 4), None), region_mask((3, 4), (slice(1, 3), slice(0, 2)))
    drawn = np.zeros((3, 4), bool)
    drawn[[0, 2], [1, 2]] = True

    assert whole.all()
    assert part.sum() == part[1:3, :2].sum() == 4
    np.testing.assert_array_equal(region_mask((3, 4), drawn), drawn)
    assert region_mask((3, 4), drawn) is not drawn
    assert region_box(drawn) == (slice(0, 3), slice(1, 3))


def test_the_empty_map_is_told_as_that_of_the_command_line(nickel, classifier):
    region = (slice(0, 2), slice(1, 3))
    phase_map = prepare_map(nickel, classifier, region=region, prior="cubic", threshold=0.7)
    expected = classify(nickel, classifier, region=region, prior="cubic", threshold=0.7)

    assert not phase_map.done.any()
    assert phase_map.provenance["source_sha256"] is None
    assert add_file_hash(phase_map, nickel)
    date = {"date": expected.provenance["date"]}
    assert {**phase_map.provenance, **date} == expected.provenance
    assert (phase_map.step, phase_map.units) == (expected.step, expected.units)
    assert (phase_map.threshold, phase_map.sources) == (0.7, expected.sources)


def test_of_a_mask_the_provenance_has_the_rectangle_around(nickel, classifier):
    mask = np.eye(3, dtype=bool)
    mask[2, 2] = False

    assert prepare_map(nickel, classifier, region=mask).provenance["region"] == [0, 2, 0, 2]


def test_a_second_region_widens_the_first(nickel, classifier):
    phase_map = prepare_map(nickel, classifier, region=(slice(0, 1), slice(1, 2)))

    widen_region(phase_map, (slice(2, 3), slice(1, 3)))

    assert phase_map.provenance["region"] == [0, 3, 1, 3]


@pytest.mark.parametrize("sample", ["nickel", "silicon"])
def test_the_hash_is_that_of_the_scan(sample, classifier):
    with load_scan(sample_path(sample)) as scan:
        phase_map = prepare_map(scan, classifier)
        expected = scan.file_hash()

    assert add_file_hash(phase_map, scan)  # closed by now
    assert phase_map.provenance["source_sha256"] == expected


def test_a_hash_can_be_given_up(nickel, classifier):
    phase_map = prepare_map(nickel, classifier)

    assert not add_file_hash(phase_map, nickel, lambda: True)
    assert phase_map.provenance["source_sha256"] is None


def test_a_hash_that_is_there_is_kept(nickel, classifier):
    phase_map = prepare_map(nickel, classifier)
    add_file_hash(phase_map, nickel)
    nickel.close()
    nickel.path.unlink()

    assert add_file_hash(phase_map, nickel)


def test_without_its_file_a_map_gets_no_hash(nickel, classifier):
    phase_map = prepare_map(nickel, classifier)
    nickel.close()
    nickel.path.unlink()

    with pytest.raises(InputError, match=r"nickel\.h5: cannot be read"):
        add_file_hash(phase_map, nickel)


def test_work_goes_on_where_network_prior_and_file_are_the_same(nickel, classifier):
    phase_map = prepare_map(nickel, classifier, prior="cubic", region=(slice(0, 1), slice(0, 1)))

    assert can_resume(phase_map, nickel, classifier, "cubic")
    assert not can_resume(phase_map, nickel, classifier, "uniform")
    with load_scan(nickel.path, grid=(1, 9)) as other:
        assert not can_resume(phase_map, other, classifier, "cubic")
    with load_scan(sample_path("two_phase")) as other:
        assert not can_resume(phase_map, other, classifier, "cubic")
    recalibrated = load_classifier("fast", device="cpu")
    recalibrated.card["temperature"] *= 1.1
    assert not can_resume(phase_map, nickel, recalibrated, "cubic")
    phase_map.provenance = {**phase_map.provenance, "version": "0.0.1"}
    assert not can_resume(phase_map, nickel, classifier, "cubic")
