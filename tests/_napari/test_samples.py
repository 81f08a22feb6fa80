# SPDX-License-Identifier: GPL-3.0-or-later
"""The manifest's samples open in a real viewer, ready to be classified."""

from __future__ import annotations

import numpy as np
import pytest

from napari_ebsd_phase import classify, load_scan
from napari_ebsd_phase._napari.layers import add_result, layer_for
from napari_ebsd_phase._napari.session import active_session, role_of, sessions
from napari_ebsd_phase.samples import sample_path

PLUGIN = "napari-ebsd-phase"


@pytest.mark.parametrize(
    ("sample", "shape", "pattern_shape"),
    [
        ("nickel", (3, 3), (60, 60)),
        ("silicon", (1, 3), (480, 480)),
        ("two_phase", (60, 80), (48, 48)),
    ],
)
def test_a_sample_opens_as_a_map_of_patterns(make_napari_viewer, sample, shape, pattern_shape):
    viewer = make_napari_viewer()

    viewer.open_sample(PLUGIN, sample)

    session = active_session(viewer)
    layer = layer_for(viewer, session, "mean_intensity")
    assert layer.name == f"{sample}: Mean intensity"
    assert session.shape == layer.data.shape == shape
    with load_scan(sample_path(sample)) as scan:
        assert tuple(layer.scale) == scan.step
        last = (shape[0] - 1, shape[1] - 1)
        np.testing.assert_array_equal(session.pattern(*last), scan.pattern(*last))
        assert session.pattern(*last).shape == pattern_shape
        assert layer.data[last] == pytest.approx(scan.pattern(*last).mean(), rel=1e-5)


def test_a_sample_can_be_classified_without_any_dock(make_napari_viewer, network):
    viewer = make_napari_viewer()
    viewer.open_sample(PLUGIN, "nickel")
    session = active_session(viewer)

    session.set_map(classify(session.scan, network))
    add_result(viewer, session)

    assert role_of(viewer.layers[-1]) == "label"
    assert session.phase_map.done.all()
    codes, _ = session.phase_map.label_codes()
    np.testing.assert_array_equal(viewer.layers[-1].data, codes)


def test_a_sample_closes_with_its_layers(make_napari_viewer):
    viewer = make_napari_viewer()
    viewer.open_sample(PLUGIN, "two_phase")
    scan = active_session(viewer).scan

    viewer.layers.clear()

    assert sessions(viewer) == []
    with pytest.raises(ValueError, match="closed"):
        scan.pattern(0, 0)
