# SPDX-License-Identifier: GPL-3.0-or-later
"""Measured and simulated input are compared by numbers that fall when the two grow alike."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_ebsd_phase.errors import InputError
from napari_ebsd_phase.samples import sample_path
from napari_ebsd_phase.training.realism import (
    FEATURES,
    compare,
    features,
    main,
    measured_inputs,
    montage,
)

LIBRARY = Path(__file__).parents[2] / "data" / "master_patterns.h5"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The silicon sample as a folder of pictures with its index."""
    folder = tmp_path_factory.mktemp("pictures")
    names = []
    for path in sorted(sample_path("silicon").glob("*.png")):
        shutil.copy(path, folder)
        names.append(path.name)
    with (folder / "index.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("set", "file"), *(("silicon", name) for name in names)])
    return folder


def smooth(n: int, reach: int, seed: int = 0) -> np.ndarray:
    """Noise that is correlated over `reach` pixels."""
    x = np.random.default_rng(seed).standard_normal((n, 64, 64))
    for axis in (1, 2):
        x = sum(np.roll(x, k, axis=axis) for k in range(reach))
    return (x / x.std()).astype(np.float32)


def test_broad_structure_has_its_power_at_low_frequencies():
    fine, broad = features(smooth(8, 1)).mean(axis=0), features(smooth(8, 8)).mean(axis=0)
    lowest, highest = FEATURES.index("power 0.00-0.03"), FEATURES.index("power 0.40-0.50")
    assert broad[lowest] > fine[lowest] + 1
    assert broad[highest] < fine[highest] - 1
    assert broad[FEATURES.index("quality")] > fine[FEATURES.index("quality")] + 0.5


def test_moments_are_those_inside_the_screen_only():
    x = np.random.default_rng(0).exponential(size=(4, 64, 64)).astype(np.float32)
    whole = features(x)
    x[:, :, 32:] = 0
    half = features(x)
    for name, value, wide in (("skewness", 2, 0.4), ("kurtosis", 6, 3.0)):
        k = FEATURES.index(name)
        np.testing.assert_allclose(whole[:, k], value, atol=wide)
        np.testing.assert_allclose(half[:, k], value, atol=wide)


def test_contrast_that_fades_over_the_screen_is_noticed():
    even = smooth(6, 2)
    fading = even * np.linspace(1, 0.1, 64, dtype=np.float32)
    k = FEATURES.index("contrast variation")
    assert (features(fading)[:, k] > features(even)[:, k] + 0.2).all()


def test_a_blank_pattern_has_finite_features():
    assert np.isfinite(features(np.zeros((2, 64, 64), dtype=np.float32))).all()


def test_draws_of_one_distribution_cannot_be_told_apart():
    rng = np.random.default_rng(0)
    measured, simulated = rng.standard_normal((400, 5)), rng.standard_normal((2000, 5))
    result = compare(measured, np.repeat(["a", "b"], 200), simulated)
    assert result["frechet"] < 0.1
    assert 0.4 < result["separable"] < 0.6
    assert all(0.4 < value < 0.6 for value in result["typical"].values())


def test_the_numbers_tell_a_gap_and_where_it_is():
    rng = np.random.default_rng(0)
    measured, simulated = rng.standard_normal((400, 5)), rng.standard_normal((2000, 5))
    measured[:, 2] += 6
    result = compare(measured, np.repeat(["a", "b"], 200), simulated)
    assert result["frechet"] == pytest.approx(36, rel=0.2)
    assert result["separable"] > 0.95
    assert max(result["typical"].values()) < 0.05
    shifts = list(result["shift"].values())
    assert shifts[2] == pytest.approx(6, rel=0.1)
    assert max(abs(s) for k, s in enumerate(shifts) if k != 2) < 0.5


def test_a_set_of_many_patterns_weighs_no_more_than_one_of_few():
    rng = np.random.default_rng(0)
    simulated = rng.standard_normal((2000, 3))
    many, few = rng.standard_normal((900, 3)), rng.standard_normal((30, 3)) + 4
    sets = np.array(["many"] * 900 + ["few"] * 30)
    result = compare(np.concatenate([many, few]), sets, simulated)
    np.testing.assert_allclose(list(result["shift"].values()), 2, atol=0.3)
    assert result["typical"]["many"] > 0.4
    assert result["typical"]["few"] < 0.01


def test_measured_pictures_come_prepared_with_the_name_of_their_set(pictures):
    inputs, sets = measured_inputs(pictures)
    assert inputs.shape == (3 + 9 + 9, 64, 64)
    assert sets.tolist()[:3] == ["silicon"] * 3
    assert (sets == "nickel sample").sum() == (sets == "nickel sample, raw").sum() == 9
    assert np.abs(inputs).max() <= 4
    assert (inputs.reshape(len(inputs), -1).std(axis=1) > 0.5).all()


@pytest.mark.parametrize("content", [None, "", "set\nsilicon\n", "set,file\n"])
def test_a_folder_without_a_proper_index_is_refused(tmp_path, content):
    if content is not None:
        (tmp_path / "index.csv").write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=r"index\.csv") as error:
        measured_inputs(tmp_path)
    assert "\n" not in str(error.value)


def test_a_montage_shows_each_row_of_patterns(tmp_path):
    rows = [np.full((3, 16, 16), 3.0), np.full((40, 16, 16), -3.0)]
    montage(rows, tmp_path / "montage.png", columns=5, zoom=1)
    with Image.open(tmp_path / "montage.png") as image:
        picture = np.asarray(image)
    assert picture.shape == (36, 90)
    assert (picture[1:17, 1:17] == 255).all()
    assert not picture[:18, 54:].any()
    assert not picture[18:].any()
    assert [p.name for p in tmp_path.iterdir()] == ["montage.png"]


def test_training_patterns_are_like_the_measured_nickel_sample(pictures, tmp_path, capsys):
    out = tmp_path / "realism"
    arguments = ["--measured", str(pictures), "--library", str(LIBRARY), "-o", str(out)]
    result = main([*arguments, "--patterns", "480"])
    assert json.loads((out / "realism.json").read_text(encoding="utf-8")) == result
    with Image.open(out / "realism.png") as picture:
        assert picture.size == (10 * 66 * 2, 8 * 66 * 2)
    assert capsys.readouterr().out.count("Frechet distance") == 4
    training = result["training"]
    assert training["typical"]["nickel sample"] > 0.2
    assert training["typical"]["nickel sample, raw"] > 0.02
    assert training["typical"]["nickel sample"] > 2 * result["good"]["typical"]["nickel sample"]
