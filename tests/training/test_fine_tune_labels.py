# SPDX-License-Identifier: GPL-3.0-or-later
"""Labelled patterns come from label images, vendor phases and folders."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from napari_ebsd_phase import InputError, load_scan
from napari_ebsd_phase.mapping import scan_screen
from napari_ebsd_phase.preprocessing import Preprocessing, prepare
from napari_ebsd_phase.samples import sample_path
from napari_ebsd_phase.training.fine_tune_labels import (
    LabelledPatterns,
    class_name,
    labelled_folders,
    labelled_scan,
    pair_of,
    parse_classes,
    vendor_labels,
)

from .._ebsd_files import patterns, write_bruker, write_oxford

SETTINGS = Preprocessing()
CF, CI, HP = (pair_of(name) for name in ("m-3m:cF", "m-3m:cI", "6/mmm:hP"))


@pytest.fixture
def scan(tmp_path):
    path = write_oxford(tmp_path / "map.h5oina", patterns(6, 8, 24, 32), corrected=True)
    with load_scan(path) as scan:
        yield scan


def test_classes_are_read_as_they_are_written():
    assert parse_classes("1=m-3m:cF, 12 = 6/mmm:hP") == {1: CF, 12: HP}
    assert class_name(CF) == "m-3m:cF"
    assert pair_of("-62m:hP") == pair_of("-6m2:hP")  # another setting of the same group


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("m-3m:cF", "names no class"),
        ("0=m-3m:cF", "0 is unlabelled"),
        ("1=m-3m:cF,1=m-3m:cI", "two classes"),
        ("1=m-3m", "point group and lattice"),
        ("1=m5:cF", "unknown point group"),
        ("1=m-3m:xx", "unknown Bravais lattice"),
        ("1=m-3m:hP", "with m-3m go cP, cI, cF"),
    ],
)
def test_classes_that_do_not_exist_are_refused_in_a_line(text, said):
    with pytest.raises(InputError, match=said) as caught:
        parse_classes(text)

    assert "\n" not in str(caught.value)


def test_labelled_points_become_the_patterns_that_classify_prepares(scan):
    labels = np.zeros(scan.shape, dtype=int)
    labels[0, :2], labels[4:, 6:] = 1, 2

    found = labelled_scan(scan, labels, {1: CF, 2: HP}, SETTINGS)

    assert found.counts()["m-3m:cF"] == 2
    first = scan.pattern(0, 0)[None]
    expected = prepare(first, SETTINGS, background=scan.static_background, mask=scan_screen(scan))
    assert torch.equal(found.part(found.pairs == CF).inputs[:1], expected)
    assert set(found.regions[found.pairs == CF]).isdisjoint(found.regions[found.pairs == HP])


def test_a_class_may_have_more_patterns_than_are_wanted(scan):
    found = labelled_scan(scan, np.ones(scan.shape, int), {1: CF}, SETTINGS, most=5)

    assert len(found) == 5
    assert len(np.unique(found.regions)) > 1


@pytest.mark.parametrize(
    ("labels", "classes", "said"),
    [
        (np.ones((3, 3), int), {1: CF}, "3 x 3 points, the map 6 x 8"),
        (np.full((6, 8), 2), {1: CF}, "label 2 has no class"),
        (np.ones((6, 8), int), {1: CF, 2: HP}, "no pattern has the label 2"),
    ],
    ids=["shape", "unknown", "missing"],
)
def test_labels_that_do_not_fit_are_refused(scan, labels, classes, said):
    with pytest.raises(InputError, match=said):
        labelled_scan(scan, labels, classes, SETTINGS)


def test_vendor_phases_have_the_classes_of_their_space_groups(scan):
    labels, classes = vendor_labels(scan, {})

    assert classes == {2: CI, 3: CF}  # iron is phase 1, nickel phase 2
    assert labels[0, 0] == 0  # not indexed
    assert labels[-1, -1] == 3
    assert (labels.ravel()[1:-1] == 2).all()
    assert vendor_labels(scan, {1: HP})[1][2] == HP


def test_a_vendor_phase_without_a_space_group_needs_a_class(tmp_path):
    import h5py

    path = write_bruker(tmp_path / "map.h5", patterns(3, 4, 24, 32))
    with h5py.File(path, "r+") as file:
        del file["Scan 0/EBSD/Header/Phases/1/IT"]
    with load_scan(path) as scan:
        with pytest.raises(InputError, match="give --classes 1=POINT_GROUP:LATTICE"):
            vendor_labels(scan, {})
        assert vendor_labels(scan, {1: CF})[1] == {2: CF}


def test_a_file_without_phases_is_refused():
    with (
        load_scan(sample_path("silicon")) as scan,
        pytest.raises(InputError, match="no phases of a vendor"),
    ):
        vendor_labels(scan, {})


def test_folders_are_a_class_each_and_know_their_files(tmp_path):
    for name, count in (("iron", 7), ("zinc", 5)):
        folder = tmp_path / name
        folder.mkdir()
        for i, frame in enumerate(patterns(1, count, 24, 32)[0]):
            Image.fromarray(frame).save(folder / f"{i}.png")

    found = labelled_folders({tmp_path / "iron": CI, tmp_path / "zinc": HP}, SETTINGS)

    assert found.counts() == {"m-3m:cI": 7, "6/mmm:hP": 5}
    assert [source["source"] for source in found.sources] == ["iron", "zinc"]
    assert all(len(source["sha256"]) == 64 for source in found.sources)
    assert (np.diff(found.regions) >= 0).all()
    assert len(np.unique(found.regions)) == 10


def test_joined_sources_keep_their_regions_apart():
    one = LabelledPatterns(torch.zeros(2, 1, 8, 8), np.array([CF, CF]), np.array([0, 1]))

    both = LabelledPatterns.joined([one, one])

    assert both.regions.tolist() == [0, 1, 2, 3]
    assert both.sha256() != one.sha256()
    with pytest.raises(InputError, match="no labelled patterns"):
        LabelledPatterns.joined([])


def test_a_region_is_of_one_class():
    with pytest.raises(ValueError, match="one class"):
        LabelledPatterns(torch.zeros(2, 1, 8, 8), np.array([CF, CI]), np.array([0, 0]))
