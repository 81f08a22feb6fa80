# SPDX-License-Identifier: GPL-3.0-or-later
"""Band patterns: their physics, their symmetry, and how near they come to dynamical ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_ebsd_phase.errors import InputError
from napari_ebsd_phase.training.band_patterns import (
    SIMULATOR,
    Reflectors,
    band_intensities,
    band_master_pattern,
    reflectors,
    wavelength,
)
from napari_ebsd_phase.training.grid_symmetry import fold_grid, grid_operations, structure_matrix
from napari_ebsd_phase.training.library import MasterLibrary
from napari_ebsd_phase.training.structures import Structure, load_structures, structure_by_uid

LIBRARY = Path(__file__).parents[2] / "data" / "master_patterns.h5"
ALUMINIUM, NICKEL, MAGNESIUM, ZINC_OXIDE, ZINC_SULPHIDE, QUARTZ, OXYGEN = map(
    structure_by_uid, ("s0976", "s1134", "s0913", "s1109", "s0833", "s0202", "s0934")
)


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a.ravel().astype(float), b.ravel().astype(float))[0, 1])


def opposite(data: np.ndarray) -> np.ndarray:
    """The pattern of the crystal inverted through a point: each direction takes its opposite's."""
    return data[::-1, ::-1, ::-1]


def one_band(coupling: complex, direction: tuple[float, float, float]) -> Reflectors:
    """Reflectors with a single reflection of a spacing of 1 angstrom."""
    return Reflectors(
        hkl=np.array([[1, 0, 0]]),
        vectors=np.array([direction]),
        structure_factors=np.array([5.0 + 0j]),
        coupling=np.array([coupling]),
        volume=50.0,
    )


# Agreement with EMsoft.


@pytest.fixture(scope="module")
def emsoft() -> dict[str, np.ndarray]:
    with MasterLibrary.open(LIBRARY) as library:
        keys = [record.key for record in library.index]
        return {
            name.split("_")[0]: library.data(keys.index(f"emsoft_{name}_20kV"))
            for name in ("Al_aluminum", "Ni_nickel", "ZnO_zincite", "ZnS_sphalerite-zincblende")
        }


@pytest.mark.parametrize(
    ("structure", "least"), [(ALUMINIUM, 0.85), (NICKEL, 0.75)], ids=["Al", "Ni"]
)
def test_metals_agree_with_emsoft(emsoft, structure, least):
    pattern = band_master_pattern(structure)

    assert pattern.data.shape == emsoft[structure.formula].shape
    assert correlation(pattern.data, emsoft[structure.formula]) > least
    turned = np.rot90(pattern.data, axes=(1, 2))[:, :90]
    assert correlation(pattern.data[:, :90], turned) > 0.99  # about a fourfold axis
    assert correlation(pattern.data, np.roll(pattern.data, 20, axis=2)) < 0.5


# Symmetry.


@pytest.mark.parametrize(
    "structure", [ALUMINIUM, MAGNESIUM, ZINC_OXIDE, QUARTZ, OXYGEN], ids=lambda s: s.point_group
)
def test_patterns_have_the_symmetry_of_the_crystal(structure):
    pattern = band_master_pattern(structure, half_size=40)
    representatives, members = fold_grid(grid_operations(structure), 40)

    grey = pattern.data.ravel().astype(int)

    assert np.abs(grey[representatives][members] - grey).max() <= 1


@pytest.mark.parametrize(
    ("structure", "operation"),
    [
        (OXYGEN, lambda data: data[::-1]),  # 2/m: the mirror plane is normal to b, not to c
        (OXYGEN, lambda data: data[:, :, ::-1]),
        (MAGNESIUM, lambda data: np.rot90(data, axes=(1, 2))),
        (QUARTZ, lambda data: data[:, ::-1]),
        (QUARTZ, lambda data: data[::-1]),
    ],
)
def test_patterns_lack_the_symmetry_that_the_crystal_lacks(structure, operation):
    data = band_master_pattern(structure, half_size=40).data
    assert correlation(data, operation(data)) < 0.9


@pytest.mark.parametrize("structure", [ALUMINIUM, MAGNESIUM, OXYGEN], ids=lambda s: s.point_group)
def test_a_centrosymmetric_crystal_looks_alike_from_opposite_directions(structure):
    data = band_master_pattern(structure, half_size=40).data
    assert np.abs(data.astype(int) - opposite(data)).max() <= 1


def test_the_two_ends_of_a_polar_crystal_differ():
    data = band_master_pattern(ZINC_OXIDE, half_size=40).data
    assert 0.8 < correlation(data, opposite(data)) < 0.96


@pytest.mark.parametrize("structure", [ZINC_OXIDE, ZINC_SULPHIDE], ids=["ZnO", "ZnS"])
def test_what_tells_opposite_directions_apart_is_what_it_is_in_emsoft(emsoft, structure):
    ours = band_master_pattern(structure).data.astype(float)
    theirs = emsoft[structure.formula].astype(float)
    assert correlation(ours - opposite(ours), theirs - opposite(theirs)) > 0.7


def test_the_mirror_image_of_a_crystal_has_the_mirror_image_of_its_pattern():
    basis = structure_matrix(QUARTZ.cell)
    turned = np.array(QUARTZ.positions) @ basis.T * [1, 1, -1]
    left = replace(
        QUARTZ,
        positions=tuple(map(tuple, (turned @ np.linalg.inv(basis).T % 1).tolist())),
        space_group=152 if QUARTZ.space_group == 154 else 154,
    )

    one, other = (band_master_pattern(s, half_size=40).data for s in (QUARTZ, left))

    assert np.abs(one.astype(int) - other[::-1]).max() <= 1


# A single band.


@pytest.mark.parametrize("energy", [10.0, 30.0])
def test_a_band_ends_at_the_bragg_angle(energy):
    half_size = 400
    values = band_intensities(one_band(1.0, (1.0, 0.0, 0.0)), energy, half_size, blur=0.01)
    row = values[0, half_size]  # from -x over z to x: here u = sqrt(1 - z)
    u = np.linspace(-1, 1, 2 * half_size + 1)
    sine = u * np.sqrt(2 - u**2)  # component of the direction along the reflection

    bragg = wavelength(energy) / 2
    inside, outside = np.abs(sine) < 0.9 * bragg, np.abs(sine) > 1.1 * bragg
    assert (row[inside] > 0).all()
    assert (row[outside] < 0).all()
    assert row[half_size] > 0
    np.testing.assert_allclose(row, row[::-1], atol=1e-6)


def test_a_band_runs_along_its_planes():
    values = band_intensities(one_band(1.0, (0.0, 1.0, 0.0)), 20.0, 30)
    np.testing.assert_allclose(values[:, 30, 1:-1], values[0, 30, 30], rtol=1e-5)
    np.testing.assert_allclose(values[0], values[1])


def test_atoms_between_the_planes_make_a_dark_band():
    bright, dark = (band_intensities(one_band(c, (0.0, 0.0, 1.0)), 20.0, 30) for c in (1.0, -1.0))
    np.testing.assert_allclose(bright, -dark, atol=1e-6)
    assert bright[0, 0, 30] > 0  # on the rim, in the plane of the reflection


def test_the_side_of_the_atoms_makes_one_edge_bright_and_the_other_dark():
    values = band_intensities(one_band(1.0j, (1.0, 0.0, 0.0)), 20.0, 200, blur=0.05)
    row = values[0, 200]
    np.testing.assert_allclose(row, -row[::-1], atol=1e-6)
    assert np.abs(row).max() > 0.05


def test_blur_and_shallow_depths_make_a_band_softer():
    def sharpness(**options: float) -> float:
        values = band_intensities(one_band(1.0, (1.0, 0.0, 0.0)), 20.0, 200, **options)
        return float(np.abs(np.diff(values[0, 200])).max())

    assert sharpness(blur=0.05) > 1.5 * sharpness(blur=0.4)
    assert sharpness(depth=400.0) > sharpness(depth=40.0)


@pytest.mark.parametrize(
    ("energy", "picometres"), [(10, 12.205), (20, 8.588), (30, 6.979), (200, 2.508)]
)
def test_wavelengths_are_those_of_tables(energy, picometres):
    assert 100 * wavelength(energy) == pytest.approx(picometres, rel=1e-3)


# Reflections.


def test_reflections_are_listed_once_strongest_first():
    found = reflectors(ALUMINIUM)
    hkl = {tuple(row) for row in found.hkl.tolist()}
    assert len(hkl) == len(found.hkl)
    assert not {tuple(-index for index in row) for row in hkl} & hkl
    sizes = np.abs(found.structure_factors)
    assert (np.diff(sizes) <= 1e-9).all()
    assert {tuple(sorted(map(abs, row))) for row in found.hkl[:4].tolist()} == {(1, 1, 1)}
    assert sizes[-1] > 0.01 * sizes[0]


def test_a_face_centred_cell_has_all_odd_or_all_even_reflections():
    odd = reflectors(NICKEL).hkl % 2
    assert (odd == odd[:, :1]).all()


def test_a_face_centred_cell_has_four_atoms_in_phase():
    found = reflectors(NICKEL, debye_waller=0.0)
    one_atom = replace(
        NICKEL, species=("Ni",), positions=((0.0, 0.0, 0.0),), centring="P", uid="simple"
    )
    alone = reflectors(one_atom, debye_waller=0.0, most=10_000)
    sizes = dict(zip(map(tuple, alone.hkl.tolist()), np.abs(alone.structure_factors), strict=True))
    for row, factor in zip(found.hkl.tolist(), found.structure_factors, strict=True):
        assert abs(factor) == pytest.approx(4 * sizes[tuple(row)])
    np.testing.assert_allclose(found.coupling, 1.0, atol=1e-9)


def test_spacings_are_those_of_the_cell():
    found = reflectors(QUARTZ, dmin=0.9)
    a, c = QUARTZ.cell[0], QUARTZ.cell[2]
    h, k, l = found.hkl.T  # noqa: E741
    inverse = np.sqrt(4 / 3 * (h**2 + h * k + k**2) / a**2 + l**2 / c**2)
    np.testing.assert_allclose(np.linalg.norm(found.vectors, axis=1), inverse)
    assert 1 / inverse.max() >= 0.9


def test_heat_weakens_fine_reflections_most():
    cold, warm = (reflectors(ALUMINIUM, debye_waller=b, weakest=0.0) for b in (0.0, 1.0))
    before = dict(zip(map(tuple, cold.hkl.tolist()), np.abs(cold.structure_factors), strict=True))
    for row, vector, factor in zip(
        warm.hkl.tolist(), warm.vectors, warm.structure_factors, strict=True
    ):
        expected = np.exp(-(vector @ vector) / 4)
        assert abs(factor) / before[tuple(row)] == pytest.approx(expected)


def test_only_the_strongest_are_kept_if_there_are_many():
    everything, some = reflectors(QUARTZ, weakest=0.0), reflectors(QUARTZ, most=40)
    assert len(some.hkl) == 40
    sizes = np.abs(everything.structure_factors)
    np.testing.assert_allclose(np.abs(some.structure_factors), sizes[:40])


# Patterns.


def test_the_record_says_what_was_drawn():
    pattern = band_master_pattern(NICKEL, 15.0, 20, dmin=0.7)
    assert (pattern.key, pattern.structure) == ("s1134_15kV_bands", "s1134")
    assert (pattern.point_group, pattern.bravais, pattern.space_group) == ("m-3m", "cF", 225)
    assert (pattern.energy_kev, pattern.simulator) == (15.0, SIMULATOR)
    assert pattern.dmin_nm == pytest.approx(0.07)
    assert pattern.data.shape == (2, 41, 41)
    assert pattern.data.dtype == np.uint8
    assert (pattern.data.min(), pattern.data.max()) == (0, 255)
    assert -1 < pattern.low < 0 < pattern.high < 1


def test_saturation_flattens_the_brightest_zone_axes():
    def heaviness(saturation: float) -> float:
        values = band_master_pattern(ALUMINIUM, half_size=40, saturation=saturation).intensities()
        return float((values.max() - values.mean()) / values.std())

    assert heaviness(3.0) < heaviness(0.1)


def unknown(structure: Structure) -> Structure:
    return replace(structure, species=("Og",) * len(structure.species))


@pytest.mark.parametrize(
    ("structure", "options", "message"),
    [
        (unknown(NICKEL), {}, "s1134: no electron scattering factor of 'Og'"),
        (NICKEL, {"dmin": 3.0}, "s1134: no reflections with a spacing of 3.0 angstrom or more"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_one_line(structure, options, message):
    with pytest.raises(InputError, match=message) as error:
        band_master_pattern(structure, half_size=5, **options)
    assert "\n" not in str(error.value)


def test_structures_of_the_table_with_known_elements_can_be_drawn():
    """A few of each lattice: none is without contrast."""
    drawn = {}
    for structure in load_structures():
        few = drawn.setdefault(structure.bravais, [])
        if len(few) < 2 and structure.volume < 200 and "Nh" not in structure.species:
            few.append(band_master_pattern(structure, half_size=10))
    assert len(drawn) == 14
    assert all(pattern.data.std() > 20 for few in drawn.values() for pattern in few)
