# SPDX-License-Identifier: GPL-3.0-or-later
"""Master patterns that are really simulated, of small cells on coarse grids."""

from __future__ import annotations

import dataclasses
import sys
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from napari_ebsd_phase.crystallography import POINT_GROUPS
from napari_ebsd_phase.errors import InputError
from napari_ebsd_phase.training.library import MasterRecord, load_master_pattern
from napari_ebsd_phase.training.master_patterns import (
    balanced_queue,
    default_oversampling,
    reduce_grid,
    simulate_library,
    simulate_master_pattern,
    simulate_points,
)
from napari_ebsd_phase.training.structures import (
    find_structures,
    load_structures,
    structure_by_uid,
)

NICKEL = structure_by_uid("s1134")
OXYGEN = structure_by_uid("s0934")  # 2/m: its axes must be those of the cell


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    return np.corrcoef(a.ravel().astype(float), b.ravel().astype(float))[0, 1]


def northern_values(pattern: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Values of the northern hemisphere (n, n) at directions (count, 3) with z > 0."""
    x, y, z = directions.T
    # Rosca's equal-area map of the hemisphere onto the square |X|, |Y| <= 1.
    swap = np.abs(y) > np.abs(x)
    along, across = np.where(swap, y, x), np.where(swap, x, y)
    radius = np.sign(along) * np.sqrt(1 - z)
    across = radius * 4 / np.pi * np.arctan2(across * np.sign(along), np.abs(along))
    square = np.where(swap, [across, radius], [radius, across])
    half = pattern.shape[0] // 2
    return map_coordinates(pattern.astype(float), (square[::-1] + 1) * half, order=1)


@pytest.fixture(scope="module")
def nickel():
    return simulate_master_pattern(NICKEL, half_size=50)


@pytest.fixture(scope="module")
def emsoft():
    """EMsoft's nickel, of 401 x 401 points, brought to the size of ours."""
    folder = Path(find_spec("kikuchipy").origin).parent / "data" / "emsoft_ebsd_master_pattern"
    with h5py.File(folder / "ni_mc_mp_20kv_uint8_gzip_opts9.h5") as file:
        north, south = (file[f"EMData/EBSDmaster/mLP{half}H"][0, 0] for half in "NS")
    assert north.shape == (401, 401)
    return reduce_grid(np.stack([north, south]).astype(float), 50)


def test_nickel_agrees_with_emsoft(nickel, emsoft):
    assert correlation(nickel.data, emsoft) > 0.95


def test_single_points_agree_less_with_emsoft_than_averages(nickel, emsoft):
    points = simulate_master_pattern(NICKEL, half_size=50, oversampling=1.0)

    assert points.data.shape == nickel.data.shape
    assert correlation(points.data, emsoft) < correlation(nickel.data, emsoft) - 0.02


def test_nickel_has_the_threefold_axes_that_folding_does_not_impose(nickel):
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(20_000, 3))
    directions /= np.linalg.norm(directions, axis=1)[:, None]
    directions = np.abs(directions)  # an octant: x, y and z take turns
    values = northern_values(nickel.data[0], directions)

    turned = northern_values(nickel.data[0], np.roll(directions, 1, axis=1))
    elsewhere = northern_values(nickel.data[0], directions[::-1])

    assert correlation(values, turned) > 0.9
    assert abs(correlation(values, elsewhere)) < 0.1


def test_the_record_says_what_was_simulated(nickel):
    assert nickel.key == "s1134_20kV"
    assert (nickel.structure, nickel.formula, nickel.name) == ("s1134", "Ni", NICKEL.id)
    assert (nickel.point_group, nickel.bravais, nickel.space_group) == ("m-3m", "cF", 225)
    assert (nickel.energy_kev, nickel.dmin_nm) == (20, 0.05)
    assert nickel.simulator == "de-ebsd 0.2.1"
    assert nickel.data.shape == (2, 101, 101)
    assert nickel.data.dtype == np.uint8
    assert (nickel.data.min(), nickel.data.max()) == (0, 255)


def test_energy_changes_the_pattern_and_repetition_does_not():
    first, again, other = (simulate_master_pattern(NICKEL, kev, 12) for kev in (20, 20, 15))

    np.testing.assert_array_equal(first.data, again.data)
    assert 0.5 < correlation(first.data, other.data) < 0.999
    assert other.key == "s1134_15kV"


def test_folding_gives_what_simulating_every_point_gives():
    half_size = 12
    folded = simulate_master_pattern(OXYGEN, half_size=half_size, oversampling=1.0)
    every_point = np.arange(folded.data.size)

    values = simulate_points(OXYGEN, every_point, 20, half_size, dmin_nm=folded.dmin_nm)

    values = values.reshape(folded.data.shape)
    assert correlation(folded.intensities(), values) > 0.999
    # The mirror plane of 2/m is normal to b, along y; there is none normal to z.
    assert correlation(values[:, ::-1], values) > 0.999
    assert correlation(values[0], values[1]) < 0.9


def test_progress_counts_the_points_to_simulate():
    calls = []

    def show(*counts: int) -> None:
        calls.append(counts)

    simulate_master_pattern(NICKEL, half_size=8, oversampling=1.0, progress=show)
    assert calls[-1] == (45, 45)

    simulate_master_pattern(NICKEL, half_size=8, oversampling=2.0, progress=show)
    assert calls[-1] == (153, 153)  # (16 + 1) * (16 + 2) / 2: an eighth of a hemisphere


# Averages.


def test_a_grid_of_the_size_wanted_stays_as_it_is():
    values = np.random.default_rng(1).normal(size=(2, 21, 21))
    np.testing.assert_array_equal(reduce_grid(values, 10), values)


@pytest.mark.parametrize("fine", [20, 15, 25])
def test_averages_keep_what_is_smooth(fine):
    y, x = np.mgrid[-1 : 1 : (2 * fine + 1) * 1j, -1 : 1 : (2 * fine + 1) * 1j]
    values = np.stack([3 + x - 2 * y, np.full_like(x, 7.0)])

    result = reduce_grid(values, 10)

    assert result.shape == (2, 21, 21)
    y, x = np.mgrid[-1:1:21j, -1:1:21j]
    inside = (slice(2, -2), slice(2, -2))  # at the rim there are fewer points to average
    np.testing.assert_allclose(result[0][inside], (3 + x - 2 * y)[inside], atol=1e-6)
    np.testing.assert_allclose(result[1], 7.0)


def test_averages_have_the_symmetry_of_what_they_are_made_of():
    values = np.random.default_rng(2).normal(size=(2, 41, 41))
    result = reduce_grid(values, 10)
    for change in (
        lambda v: v[::-1],
        lambda v: v[:, ::-1],
        lambda v: v[:, :, ::-1],
        lambda v: np.swapaxes(v, 1, 2),
    ):
        np.testing.assert_allclose(reduce_grid(change(values), 10), change(result), atol=1e-12)


def test_averages_of_noise_are_as_quiet_as_those_of_the_points_they_replace():
    values = np.random.default_rng(3).normal(size=(2, 201, 201))
    assert 0.3 < reduce_grid(values, 50)[:, 2:-2, 2:-2].std() < 0.5  # of four points: a half


def test_small_cells_are_sampled_most_finely():
    factors = [default_oversampling(volume) for volume in (20.0, 100.0, 400.0, 900.0)]
    assert factors == sorted(factors, reverse=True)
    assert factors[0] > factors[-1] >= 1


# Many structures.


def test_the_queue_is_balanced_from_its_beginning():
    structures = load_structures()

    queue = list(balanced_queue(structures))

    assert Counter(queue) == Counter(structures)
    assert {s.point_group for s in queue[:32]} == set(POINT_GROUPS)
    cubic = [s.bravais for s in queue if s.point_group == "m-3m"]
    assert set(cubic[:3]) == {"cP", "cI", "cF"}
    cheap = [s.volume for s in queue if s.point_group == "m-3m" and s.bravais == "cF"]
    assert cheap == sorted(cheap)


def test_a_library_is_simulated_in_parts_and_resumed(tmp_path):
    metals = [structure_by_uid(uid) for uid in ("s0976", "s1134", "s0992")]

    for part in (0, 1):
        assert simulate_library(tmp_path, metals, part=(part, 2), half_size=6) == []
    files = sorted(tmp_path.iterdir())
    times = [path.stat().st_mtime_ns for path in files]
    lines = []
    simulate_library(tmp_path, metals, half_size=6, progress=lambda *line: lines.append(line))

    assert [path.name for path in files] == ["s0976_20kV.npz", "s0992_20kV.npz", "s1134_20kV.npz"]
    assert [path.stat().st_mtime_ns for path in files] == times
    assert [line[:2] for line in lines] == [(1, 3), (2, 3), (3, 3)]
    pattern = load_master_pattern(files[0])
    again = simulate_master_pattern(metals[0], half_size=6)
    np.testing.assert_array_equal(pattern.data, again.data)
    facts = [field.name for field in dataclasses.fields(MasterRecord)]
    assert [getattr(pattern, name) for name in facts] == [getattr(again, name) for name in facts]


def test_a_structure_that_cannot_be_simulated_does_not_end_the_run(tmp_path):
    nihonium = min(
        (s for s in load_structures() if "Nh" in s.species), key=lambda structure: structure.volume
    )

    failed = simulate_library(tmp_path, [nihonium, NICKEL], half_size=6)

    assert len(failed) == 1
    assert nihonium.uid in failed[0]
    assert "Nh" in failed[0]
    assert [path.name for path in tmp_path.iterdir()] == ["s1134_20kV.npz"]


def test_large_cells_are_left_out(tmp_path):
    assert simulate_library(tmp_path, find_structures(formula="Ni"), max_volume=1) == []
    assert list(tmp_path.iterdir()) == []


def test_without_the_extra_the_error_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "de_ebsd", None)  # how Python marks what cannot be imported

    with pytest.raises(InputError, match=r"pip install 'de-ebsd=="):
        simulate_library(tmp_path, [NICKEL])
