# SPDX-License-Identifier: GPL-3.0-or-later
"""What a newcomer gets: the bundled network on the bundled samples."""

from __future__ import annotations

import numpy as np
import pytest

from napari_ebsd_phase import classify, load_classifier, load_scan
from napari_ebsd_phase.samples import sample_path, sample_truth


@pytest.fixture(scope="module")
def duplex():
    with load_scan(sample_path("two_phase")) as scan:
        return classify(scan, load_classifier(device="cpu"))


def test_the_two_phase_map_is_at_least_60_by_80(duplex):
    rows, cols = duplex.point_group.shape
    assert rows >= 60
    assert cols >= 80


def test_austenite_and_ferrite_are_told_apart_in_their_grains(duplex):
    """Both are m-3m; the lattice, cF or cI, tells which is which."""
    point_group, lattice = sample_truth("two_phase")
    inside = point_group != ""
    assert inside.mean() > 0.5
    right = (duplex.label == point_group) & (duplex.bravais_lattice == lattice)
    assert right[inside].mean() >= 0.95
    for phase in ("cF", "cI"):
        grains = inside & (lattice == phase)
        assert right[grains].mean() >= 0.9, phase


def test_labels_are_less_sure_on_noise_than_on_patterns(duplex, tmp_path):
    import kikuchipy

    noise = np.random.default_rng(0).integers(0, 255, (4, 4, 48, 48), dtype=np.uint8)
    path = tmp_path / "noise.h5"
    kikuchipy.signals.EBSD(noise).save(path)
    with load_scan(path) as scan:
        nothing = classify(scan, load_classifier(device="cpu"))
    assert nothing.pattern_quality.max() < np.median(duplex.pattern_quality)
    top = nothing.probabilities("laue_group").max(axis=-1)
    assert top.mean() < np.median(duplex.probabilities("laue_group").max(axis=-1))
