# SPDX-License-Identifier: GPL-3.0-or-later
"""The two-phase sample is what its program makes, with an answer that fits its patterns."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile

from napari_ebsd_phase.errors import InputError
from napari_ebsd_phase.scan import load_scan
from napari_ebsd_phase.training.library import (
    MasterLibrary,
    MasterPattern,
    build_library,
    save_master_pattern,
)
from napari_ebsd_phase.training.sample_map import main, make_two_phase_map

LIBRARY = Path(__file__).parents[2] / "data" / "master_patterns.h5"
BUNDLED = Path(str(files("napari_ebsd_phase").joinpath("samples", "two_phase")))


def read(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Patterns and truth."""
    with h5py.File(folder / "patterns.h5") as file:
        patterns = file["Scan 1/EBSD/Data/patterns"][()]
    return patterns, tifffile.imread(folder / "truth.tif")


def make(folder: Path, shape: tuple[int, int] = (6, 8), **options) -> tuple[np.ndarray, np.ndarray]:
    with MasterLibrary.open(LIBRARY) as library:
        target = make_two_phase_map(library, folder, shape=shape, grains=3, **options)
    assert target == folder / "patterns.h5"
    rows, cols = shape
    patterns, truth = read(folder)
    assert truth.shape == shape
    return patterns.reshape(rows, cols, *patterns.shape[-2:]), truth


# Any map.


def test_the_same_seed_makes_the_same_map(tmp_path):
    patterns, truth = make(tmp_path / "one")
    again, truth_again = make(tmp_path / "new" / "two")
    assert patterns.tobytes() == again.tobytes()
    assert truth.tobytes() == truth_again.tobytes()
    other, _ = make(tmp_path / "three", seed=8)
    assert (patterns != other).mean() > 0.5


def test_a_map_replaces_an_earlier_one(tmp_path):
    make(tmp_path, seed=8)
    patterns, _ = make(tmp_path)
    expected, _ = make(tmp_path / "new")
    np.testing.assert_array_equal(patterns, expected)


def test_pixels_of_one_grain_show_one_pattern_and_boundaries_are_marked(tmp_path):
    patterns, truth = make(tmp_path, (12, 16), noise=0.0)
    flat = patterns.astype(float)
    flat -= flat.mean(axis=(2, 3), keepdims=True)
    flat /= np.linalg.norm(flat, axis=(2, 3), keepdims=True)
    across = (flat[:, 1:] * flat[:, :-1]).sum(axis=(2, 3))
    down = (flat[1:] * flat[:-1]).sum(axis=(2, 3))
    inside_across = (truth[:, 1:] > 0) & (truth[:, :-1] > 0)
    inside_down = (truth[1:] > 0) & (truth[:-1] > 0)
    assert (truth == 0).any()
    assert inside_across.any()
    assert min(across[inside_across].min(), down[inside_down].min()) > 0.99
    # A grain boundary with no mark would join two phases or two grains.
    assert (truth[:, 1:][inside_across] == truth[:, :-1][inside_across]).all()
    assert (truth[1:][inside_down] == truth[:-1][inside_down]).all()
    assert min(across.min(), down.min()) < 0.95


def test_noise_makes_patterns_of_one_grain_differ(tmp_path):
    quiet, _ = make(tmp_path / "quiet", noise=0.0)
    noisy, _ = make(tmp_path / "noisy", noise=1.0)

    def roughness(patterns: np.ndarray) -> float:
        return float(np.abs(np.diff(patterns.astype(float), axis=3)).mean())

    assert roughness(noisy) > 2 * roughness(quiet)


def test_a_library_without_iron_is_refused(tmp_path):
    with MasterLibrary.open(LIBRARY) as library:
        nickel = next(one for one in library if one.key == "emsoft_Ni_nickel_20kV")
    assert isinstance(nickel, MasterPattern)
    folder = tmp_path / "masters"
    folder.mkdir()
    save_master_pattern(nickel, folder / "nickel.npz")
    build_library([folder], tmp_path / "library.h5")
    with (
        MasterLibrary.open(tmp_path / "library.h5") as library,
        pytest.raises(InputError, match="no EMsoft master pattern of gamma-iron") as error,
    ):
        make_two_phase_map(library, tmp_path / "map")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "map").exists()


# The bundled map.


def test_the_bundled_map_is_what_the_program_makes(tmp_path, capsys):
    main([str(LIBRARY), str(tmp_path)])
    assert capsys.readouterr().out == f"{tmp_path / 'patterns.h5'}: (4800, 48, 48) patterns\n"
    made, truth = read(tmp_path)
    bundled, bundled_truth = read(BUNDLED)
    np.testing.assert_array_equal(truth, bundled_truth)
    assert made.shape == bundled.shape
    # Another processor may round the last bit otherwise, and then a count moves to the next step.
    assert (made != bundled).mean() < 1e-3


def test_the_bundled_map_holds_both_phases_and_marks_grain_boundaries():
    _, truth = read(BUNDLED)
    assert truth.dtype == np.uint8
    assert truth.shape[0] >= 60
    assert truth.shape[1] >= 80
    assert set(np.unique(truth)) == {0, 1, 2}
    shares = np.bincount(truth.ravel()) / truth.size
    assert shares[1] > 0.15
    assert shares[2] > 0.15
    assert shares[0] < 0.5
    # No pixel of one phase touches one of the other: the boundary lies between.
    for a, b in ((truth[1:], truth[:-1]), (truth[:, 1:], truth[:, :-1])):
        assert not ((a > 0) & (b > 0) & (a != b)).any()


def test_the_bundled_map_opens_as_a_scan_with_its_step_and_background():
    _, truth = read(BUNDLED)
    with load_scan(BUNDLED / "patterns.h5") as scan:
        assert scan.shape == truth.shape
        assert scan.pattern_shape == (48, 48)
        assert scan.dtype == np.uint8
        assert scan.step == pytest.approx((0.2, 0.2))
        assert scan.units == "um"
        background = scan.static_background
        pattern = scan.pattern(30, 40)
        assert scan.detector is not None
        assert scan.detector.shape == (48, 48)
        assert scan.detector.sample_tilt == 70.0
    assert background is not None
    assert background.shape == (48, 48)
    assert background.std() > 10
    # Raw patterns: the background is the larger part of them.
    assert np.corrcoef(background.ravel(), pattern.ravel().astype(float))[0, 1] > 0.8
