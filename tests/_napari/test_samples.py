# SPDX-License-Identifier: GPL-3.0-or-later
"""The manifest's samples open in a real viewer and show real patterns."""

from __future__ import annotations

import numpy as np
import pytest
from npe2 import PluginManifest

from napari_ebsd_phase import load_scan
from napari_ebsd_phase.samples import sample_names, sample_path

PLUGIN = "napari-ebsd-phase"


@pytest.fixture(scope="module")
def manifest() -> PluginManifest:
    return PluginManifest.from_distribution(PLUGIN)


def test_every_command_of_the_manifest_can_be_imported(manifest):
    manifest.validate_imports()


def test_every_bundled_sample_is_in_the_menu(manifest):
    assert {sample.key for sample in manifest.contributions.sample_data} == set(sample_names())


@pytest.mark.parametrize(
    ("sample", "shape", "axes"),
    [
        ("nickel", (3, 3, 60, 60), ("row", "col", "detector row", "detector col")),
        ("silicon", (3, 480, 480), ("camera", "detector row", "detector col")),
    ],
)
def test_sample_opens_as_a_stack_of_patterns(make_napari_viewer, sample, shape, axes):
    viewer = make_napari_viewer()

    viewer.open_sample(PLUGIN, sample)

    (layer,) = viewer.layers
    assert layer.name == sample
    assert layer.data.shape == shape
    assert tuple(layer.axis_labels) == axes
    # The canvas shows one pattern: the sliders run over the map, not over the detector.
    assert layer._data_view.shape == shape[-2:]
    patterns = layer.data.reshape(-1, *shape[-2:]).astype(float)
    assert len({pattern.tobytes() for pattern in patterns}) == len(patterns)
    assert np.all(patterns.std(axis=(1, 2)) > 5)


def test_two_phase_sample_opens_as_a_map(make_napari_viewer):
    viewer = make_napari_viewer()

    viewer.open_sample(PLUGIN, "two_phase")

    (layer,) = viewer.layers
    with load_scan(sample_path("two_phase")) as scan:
        assert layer.data.shape == scan.shape
        assert tuple(layer.scale) == scan.step
        np.testing.assert_allclose(layer.data[5, 7], scan.pattern(5, 7).mean(), rtol=1e-5)
    assert tuple(layer.axis_labels) == ("row", "col")
