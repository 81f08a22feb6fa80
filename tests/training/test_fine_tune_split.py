# SPDX-License-Identifier: GPL-3.0-or-later
"""Labelled patterns are parted by region."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_ebsd_phase.training.fine_tune_split import (
    HELD_OUT,
    LEARN,
    VALIDATION,
    assign_parts,
    file_blocks,
    split_regions,
)


def parts_of(classes, regions, **shares):
    shares = {"held_out": 0.25, "validation": 0.2, "seed": 0} | shares
    return assign_parts(classes, regions, **shares)


def test_connected_points_are_one_region_and_distant_ones_several():
    classes = np.full((12, 12), -1)
    classes[0:3, 0:3] = 4
    classes[0:3, 8:11] = 4
    classes[8:11, 0:3] = 4
    classes[8:11, 8:11] = 7

    regions = split_regions(classes)

    first, second, third = regions[0, 0], regions[0, 8], regions[8, 0]
    assert len({first, second, third}) == 3
    assert (regions[0:3, 0:3] == first).all()
    assert ((regions >= 0) <= (classes >= 0)).all()
    assert len(np.unique(regions[8:11, 8:11])) > 1  # the only region of its class was cut


def test_points_with_one_point_between_them_are_of_one_region():
    classes = np.full((3, 20), -1)
    classes[1, [0, 2, 8, 10, 16, 18]] = 0

    regions = split_regions(classes)[1]

    assert regions[0] == regions[2]
    assert regions[8] == regions[10]
    assert len({regions[0], regions[8], regions[16]}) == 3


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("shape", [(30, 40), (9, 4), (5, 5), (2, 60)])
def test_parts_of_one_class_do_not_touch(shape, seed):
    rng = np.random.default_rng(seed)
    classes = np.where(ndimage.gaussian_filter(rng.standard_normal(shape), 1.5) > 0, 0, 1)
    regions = split_regions(classes)
    inside = regions >= 0

    part = np.full(shape, -1)
    part[inside] = parts_of(classes[inside], regions[inside], seed=seed)

    for value in (0, 1):
        for number in (LEARN, VALIDATION, HELD_OUT):
            mine = (part == number) & (classes == value)
            near = ndimage.binary_dilation(mine, np.ones((3, 3)))
            assert not (near & (part != number) & (part >= 0) & (classes == value)).any()
    for region in np.unique(regions[inside]):
        assert len(np.unique(part[regions == region])) == 1


def test_every_class_is_learned_from_and_its_shares_are_about_as_asked():
    classes = np.repeat([3, 5], 200)
    regions = np.arange(400) // 10

    part = parts_of(classes, regions)

    for value in (3, 5):
        counts = np.bincount(part[classes == value], minlength=3) / 200
        assert counts[HELD_OUT] == pytest.approx(0.25, abs=0.06)
        assert counts[VALIDATION] == pytest.approx(0.2, abs=0.06)


def test_a_class_of_one_region_is_for_learning_alone():
    assert (parts_of(np.zeros(20, int), np.zeros(20, int)) == LEARN).all()


def test_the_largest_region_is_for_learning():
    regions = np.repeat([0, 1, 2], [50, 3, 3])

    for seed in range(5):
        assert (parts_of(np.zeros(56, int), regions, seed=seed)[:50] == LEARN).all()


def test_nothing_is_held_out_unless_asked_for():
    regions = np.arange(40) // 4

    assert (parts_of(np.zeros(40, int), regions, held_out=0.0, validation=0.0) == LEARN).all()


def test_files_that_follow_each_other_stay_together():
    assert file_blocks(20).tolist() == np.repeat(range(5), 4).tolist()
    assert file_blocks(2).tolist() == [0, 1]
    assert file_blocks(0).tolist() == []
