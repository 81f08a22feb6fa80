# SPDX-License-Identifier: GPL-3.0-or-later
"""Zone axes and bands on the detector, against kikuchipy, our simulator and measured nickel."""

from __future__ import annotations

import contextlib
import io
import sys
from dataclasses import replace

import h5py
import kikuchipy
import numpy as np
import pytest
from diffpy.structure import Atom, Lattice, Structure
from diffsims.crystallography import ReciprocalLatticeVector
from orix.crystal_map import Phase
from orix.quaternion import Orientation as Misorientation
from orix.quaternion import Rotation
from scipy import ndimage

from napari_ebsd_phase import load_scan
from napari_ebsd_phase.errors import InputError
from napari_ebsd_phase.samples import sample_path
from napari_ebsd_phase.training.pattern_simulation import render
from napari_ebsd_phase.zone_axes import (
    Geometry,
    angular_distance_map,
    crystal_directions,
    describe,
    detector_to_crystal,
    find_bands,
    find_zone_axes,
    orientation_by_hough,
    orientation_from_file,
    rotation_of,
)

from ._ebsd_files import SHIPPED, copy, patterns, write_bruker, write_oxford

TURNED = Geometry((60, 80), (0.42, 0.23, 0.52), 70.0, detector_tilt=8, azimuthal=3, twist=2)
PLAIN = Geometry((60, 60), (0.45, 0.3, 0.6))


def crystal(space_group, cell, atoms=()):
    structure = Structure(lattice=Lattice(*cell), atoms=[Atom(*atom) for atom in atoms])
    return Phase(name="crystal", space_group=space_group, structure=structure)


def titanium():
    return crystal(194, (2.95, 2.95, 4.68, 90, 90, 120), [("Ti", [1 / 3, 2 / 3, 0.25])])


def silicon(*positions):
    return crystal(227, (5.43, 5.43, 5.43, 90, 90, 90), [("Si", list(p)) for p in positions])


def nickel():
    return crystal(225, (3.52, 3.52, 3.52, 90, 90, 90), [("Ni", [0, 0, 0])])


def random_rotations(count, seed=0):
    return [Rotation(q) for q in np.random.default_rng(seed).normal(size=(count, 4))]


def strengths(catalogue):
    return dict(zip(catalogue.plane_labels.tolist(), catalogue.strength.tolist(), strict=True))


@pytest.fixture(scope="module")
def nickel_scan():
    with load_scan(sample_path("nickel")) as scan:
        yield scan


@pytest.fixture(scope="module")
def master():
    signal = kikuchipy.data.nickel_ebsd_master_pattern_small(
        projection="lambert", hemisphere="both"
    )
    return signal, np.asarray(signal.data)


# Against measured patterns --------------------------------------------------------------------


def locally_normalised(pattern, background):
    flat = pattern / background
    flat = flat - ndimage.gaussian_filter(flat, 8)
    return ndimage.gaussian_filter(flat / np.sqrt(ndimage.gaussian_filter(flat**2, 8)), 1)


def mean_at(image, axes):
    return ndimage.map_coordinates(image, axes.xy[:, ::-1].T, order=1, mode="nearest").mean()


def test_measured_nickel_is_bright_where_its_zone_axes_are_and_not_at_those_of_other_orientations(
    nickel_scan,
):
    right, wrong = [], []
    others = random_rotations(12)
    for row, col in np.ndindex(nickel_scan.shape):
        known = orientation_from_file(nickel_scan, row, col)
        catalogue = describe(known.phase, min_bands=4)
        image = locally_normalised(nickel_scan.pattern(row, col), nickel_scan.static_background)
        right.append(mean_at(image, find_zone_axes(catalogue, known.rotation, known.geometry)))
        at_random = [find_zone_axes(catalogue, other, known.geometry) for other in others]
        wrong += [mean_at(image, axes) for axes in at_random if len(axes)]
    assert min(right) > 0.4
    assert abs(np.mean(wrong)) < 0.1
    assert min(right) > np.percentile(wrong, 95)


def test_an_orientation_four_degrees_off_is_told_from_the_right_one(nickel_scan):
    known = orientation_from_file(nickel_scan, 0, 0)
    catalogue = describe(known.phase, min_bands=4)
    image = locally_normalised(nickel_scan.pattern(0, 0), nickel_scan.static_background)

    def score(rotation):
        return mean_at(image, find_zone_axes(catalogue, rotation, known.geometry))

    off = [
        score(Rotation.from_axes_angles(axis, np.deg2rad(angle)) * known.rotation)
        for axis in np.eye(3)
        for angle in (-4, 4)
    ]
    assert score(known.rotation) > max(off)


# Against simulations --------------------------------------------------------------------------


def test_our_simulator_and_kikuchipy_draw_the_same_pattern_of_an_orientation(master):
    signal, data = master
    for rotation in random_rotations(3):
        theirs = signal.get_patterns(
            rotation, TURNED.detector(), energy=20, compute=True, show_progressbar=False
        )
        ours = render(data, detector_to_crystal(rotation, TURNED), TURNED.shape, TURNED.pc)
        agreement = np.corrcoef(ours.ravel(), np.ravel(theirs.data).astype(float))[0, 1]
        assert agreement > 0.9999


def test_zone_axes_lie_on_the_bright_spots_of_our_simulator(master):
    _, data = master
    catalogue = describe(nickel(), max_index=2)
    geometry = Geometry((240, 240), (0.45, 0.3, 0.6))
    for rotation in random_rotations(4, seed=1):
        image = render(data, detector_to_crystal(rotation, geometry), geometry.shape, geometry.pc)
        image = (image - image.mean()) / image.std()
        axes = find_zone_axes(catalogue, rotation, geometry)
        brightest = axes[(axes.family == "<011>") | (axes.family == "<112>")]
        assert len(brightest) >= 3
        values = ndimage.map_coordinates(image, brightest.xy[:, ::-1].T, order=1, mode="nearest")
        assert values.min() > 1.5


def test_zone_axes_are_where_kikuchipys_geometrical_simulation_has_them(master):
    phase = master[0].phase
    reflectors = ReciprocalLatticeVector(phase, hkl=[[1, 1, 1], [2, 0, 0], [2, 2, 0], [3, 1, 1]])
    simulator = kikuchipy.simulations.KikuchiPatternSimulator(reflectors.symmetrise())
    detector = TURNED.detector()
    for rotation in random_rotations(3, seed=2):
        with contextlib.redirect_stdout(io.StringIO()):
            expected = simulator.on_detector(detector, rotation)._zone_axes
        uvw = expected.vector.uvw.round().astype(int)
        uvw //= np.gcd.reduce(uvw, axis=1)[:, np.newaxis]
        x = (expected.x_gnomonic.ravel() - detector.x_min) / (detector.x_max - detector.x_min)
        y = (detector.y_max - expected.y_gnomonic.ravel()) / (detector.y_max - detector.y_min)
        seen = expected.in_pattern.ravel()
        place = {
            tuple(index): (float(col), float(row))
            for index, col, row in zip(uvw[seen], x[seen] * 80, y[seen] * 60, strict=True)
        }
        axes = find_zone_axes(phase, rotation, TURNED)
        assert len(axes) > 8
        for index, xy in zip(axes.uvw, axes.xy, strict=True):
            # They measure from the corner of the first pixel, we from its middle.
            assert xy + 0.5 == pytest.approx(place[tuple(index)], abs=1e-3)


def test_the_matrix_of_a_simulated_pattern_gives_its_orientation_back():
    for rotation in random_rotations(3):
        again = rotation_of(detector_to_crystal(rotation, TURNED), TURNED)
        assert (again * ~rotation).angle == pytest.approx(0, abs=1e-6)
    with pytest.raises(InputError, match="mirror"):
        rotation_of(-np.eye(3), TURNED)
    with pytest.raises(InputError, match="not orthogonal"):
        rotation_of(np.ones((3, 3)), TURNED)


# The crystal ----------------------------------------------------------------------------------


def test_strong_bands_of_nickel_are_those_that_one_indexes_by():
    catalogue = describe(nickel())
    forms = {tuple(sorted(abs(index) for index in hkl)) for hkl in catalogue.hkl.tolist()}
    assert forms == {(1, 1, 1), (0, 0, 2), (0, 2, 2), (1, 1, 3)}
    assert len(catalogue.hkl) == 4 + 3 + 6 + 12
    # Bragg: a wave length of 8.59 pm at 20 keV and d(111) = 203.2 pm.
    assert catalogue.bragg[0] == pytest.approx(np.rad2deg(np.arcsin(8.59 / 2 / 203.2)), rel=1e-3)


def test_families_of_a_cube_have_their_names_and_sizes():
    catalogue = describe(nickel())
    sizes = dict(zip(catalogue.family.tolist(), catalogue.multiplicity.tolist(), strict=True))
    assert sizes["<001>"] == 6
    assert sizes["<011>"] == 12
    assert sizes["<111>"] == 8
    assert sizes["<112>"] == 24
    assert {"[1-12]", "[0-13]", "[001]"} <= set(catalogue.labels.tolist())
    crossings = dict(zip(catalogue.family.tolist(), catalogue.bands.tolist(), strict=True))
    # {200} twice and {220} twice in a cube axis.
    assert crossings["<001>"] == 4
    assert catalogue.labels[0] in {"[001]", "[010]", "[100]", "[-100]", "[0-10]", "[00-1]"}


@pytest.mark.parametrize("make", [nickel, titanium, silicon])
def test_all_members_of_a_family_are_listed_with_as_many_bands_each(make):
    catalogue = describe(make())
    for family in set(catalogue.family.tolist()):
        members = catalogue.family == family
        assert members.sum() == catalogue.multiplicity[members][0]
        assert len(set(catalogue.bands[members].tolist())) == 1


def test_hexagonal_crystals_have_four_indices():
    catalogue = describe(titanium())
    labels = dict(zip(catalogue.labels.tolist(), catalogue.uvw.tolist(), strict=True))
    assert labels["[0001]"] == [0, 0, 1]
    assert labels["[2-1-10]"] == [1, 0, 0]
    assert labels["[11-20]"] == [1, 1, 0]
    assert labels["[10-10]"] == [2, 1, 0]
    assert {"<0001>", "<11-20>", "<10-10>", "<11-23>"} <= set(catalogue.family.tolist())
    assert {"(0002)", "(10-11)", "(11-20)"} <= set(catalogue.plane_labels.tolist())


def test_in_corundum_the_two_kinds_of_rhombohedral_axes_differ():
    corundum = crystal(
        167,
        (4.759, 4.759, 12.99, 90, 90, 120),
        [("Al", [0, 0, 0.3522]), ("O", [0.3063, 0, 0.25])],
    )
    catalogue = describe(corundum)
    crossings = dict(zip(catalogue.family.tolist(), catalogue.bands.tolist(), strict=True))
    # The short lattice vector of the obverse setting is [-1 1 1]/3 and its kind.
    assert crossings["<10-11>"] > crossings["<01-11>"]
    assert "<10-11>" in set(catalogue.family[(catalogue.uvw == [2, 1, 1]).all(axis=1)].tolist())


def test_titanium_shows_0002_and_not_0001():
    found = strengths(describe(titanium()))
    assert found["(0002)"] == 1
    # |F(0002)| = 2 f and |F(10-11)| = sqrt(3) f with nearly the same f.
    assert found["(10-11)"] == pytest.approx(np.sqrt(3) / 2, abs=0.05)
    assert "(0001)" not in found


def test_the_asymmetric_unit_stands_for_all_atoms_whatever_the_origin():
    one = strengths(describe(silicon((0, 0, 0))))
    corners = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    all_eight = np.concatenate([corners, corners + 0.25])
    assert strengths(describe(silicon(*all_eight))) == pytest.approx(one)
    elsewhere = np.mod(all_eight + 0.125, 1)
    assert strengths(describe(silicon(*elsewhere))) == pytest.approx(one)
    assert "(222)" not in one
    assert "(200)" not in one


def test_a_cell_in_nanometre_is_understood():
    nanometre = crystal(225, (0.352, 0.352, 0.352, 90, 90, 90), [("Ni", [0, 0, 0])])
    expected = describe(nickel())
    found = describe(nanometre)
    np.testing.assert_array_equal(found.hkl, expected.hkl)
    np.testing.assert_allclose(found.bragg, expected.bragg)


def test_charges_of_ions_do_not_matter():
    cell = (5.64, 5.64, 5.64, 90, 90, 90)
    plain = crystal(225, cell, [("Na", [0, 0, 0]), ("Cl", [0.5, 0.5, 0.5])])
    charged = crystal(225, cell, [("Na+", [0, 0, 0]), ("Cl1-", [0.5, 0.5, 0.5])])
    assert strengths(describe(charged)) == pytest.approx(strengths(describe(plain)))


def test_a_phase_without_atoms_keeps_the_absences_of_its_group():
    bare = strengths(describe(crystal(227, (5.43, 5.43, 5.43, 90, 90, 90))))
    assert "(111)" in bare
    assert "(400)" in bare
    assert "(200)" not in bare
    basal = strengths(describe(crystal(194, (2.95, 2.95, 4.68, 90, 90, 120))))
    assert "(0002)" in basal
    assert "(0001)" not in basal


def test_the_second_setting_of_a_trigonal_group_keeps_its_own_mirrors():
    # P-31m has its two-fold axes where P-3m1 has none: [210] against [100].
    cell = (5.0, 5.0, 4.0, 90, 90, 120)
    first, second = (describe(crystal(group, cell), min_bands=1) for group in (164, 162))

    def size(catalogue, uvw):
        return int(catalogue.multiplicity[(catalogue.uvw == uvw).all(axis=1)][0])

    assert size(first, [1, 0, 1]) == 12
    assert size(first, [2, 1, 1]) == 6
    assert size(second, [1, 0, 1]) == 6
    assert size(second, [2, 1, 1]) == 12


@pytest.mark.parametrize(
    ("phase", "words"),
    [
        (Phase(name="x", structure=Structure(lattice=Lattice(3, 3, 3, 90, 90, 90))), "symmetry"),
        (Phase(name="x", point_group="m-3m"), "no unit cell"),
        (crystal(225, (3, 3, 4, 90, 90, 90)), "does not have the symmetry"),
        (crystal(225, (3, 3, 3, 90, 90, 90), [("Xx", [0, 0, 0])]), "nothing reflects"),
        (crystal(225, (3, 3, 3, 90, 90, 90), [(130, [0, 0, 0])]), "unknown element 130"),
    ],
)
def test_a_crystal_that_is_none_is_refused_in_one_line(phase, words):
    with pytest.raises(InputError, match=words) as caught:
        describe(phase)
    assert "\n" not in str(caught.value)


# The detector ---------------------------------------------------------------------------------


def test_axes_lie_on_the_frame_and_point_to_their_pixels():
    for rotation in random_rotations(3):
        axes = find_zone_axes(nickel(), rotation, PLAIN)
        assert (axes.xy >= -0.5).all()
        assert (axes.xy < 59.5).all()
        directions = crystal_directions(rotation, PLAIN)
        for xy, direction in zip(axes.xy, axes.direction, strict=True):
            col, row = (round(value) for value in xy)
            assert directions[row, col] @ direction > np.cos(np.deg2rad(1.5))


def test_the_distance_map_tells_true_angles_to_the_nearest_axis():
    rotation = random_rotations(1)[0]
    axes = find_zone_axes(nickel(), rotation, PLAIN)
    angles = angular_distance_map(axes, rotation, None, PLAIN)
    product = np.abs(crystal_directions(rotation, PLAIN) @ axes.direction.T).max(axis=-1)
    np.testing.assert_allclose(angles, np.rad2deg(np.arccos(product.clip(0, 1))), atol=1e-4)
    np.testing.assert_allclose(
        angular_distance_map(-axes.uvw, rotation, nickel(), PLAIN), angles, atol=1e-9
    )
    assert np.isinf(angular_distance_map(axes[:0], rotation, None, PLAIN)).all()
    # Axes beyond the rim count where they are given.
    everywhere = angular_distance_map(describe(nickel()).uvw, rotation, nickel(), PLAIN)
    assert (everywhere <= angles + 1e-9).all()
    assert (everywhere < angles - 1).any()
    with pytest.raises(InputError, match="phase"):
        angular_distance_map(axes.uvw, rotation, None, PLAIN)


def test_bands_run_from_rim_to_rim_along_their_planes():
    rotation = random_rotations(1)[0]
    bands = find_bands(nickel(), rotation, TURNED)
    assert len(bands) > 10
    matrix = detector_to_crystal(rotation, TURNED)
    for line, normal in zip(bands.lines, bands.normal, strict=True):
        on_rim = np.isclose(line, -0.5) | np.isclose(line, [79.5, 59.5])
        assert on_rim.any(axis=1).all()
        along = np.linspace(line[0], line[1], 5)
        assert np.abs(TURNED.directions_of(along) @ matrix.T @ normal).max() < 1e-6
    assert (np.diff(bands.strength) <= 1e-9).all()


def test_every_zone_axis_lies_on_as_many_bands_as_it_says():
    rotation = random_rotations(1, seed=5)[0]
    axes, bands = (find(nickel(), rotation, PLAIN) for find in (find_zone_axes, find_bands))
    crossing = np.abs(axes.direction @ bands.normal.T) < 1e-6
    np.testing.assert_array_equal(crossing.sum(axis=1), axes.bands)


@pytest.mark.parametrize(
    ("shape", "pc"),
    [((60, 60), (0.5, 0.5, 0)), ((60, 60), (0.5, np.nan, 0.5)), ((0, 60), (1, 1, 1))],
)
def test_a_geometry_that_is_none_is_refused(shape, pc):
    with pytest.raises(InputError):
        Geometry(shape, pc)


def test_mirrored_and_many_rotations_are_refused():
    mirrored = Rotation.identity()
    mirrored.improper = 1
    with pytest.raises(InputError, match="mirror"):
        find_zone_axes(nickel(), mirrored, PLAIN)
    with pytest.raises(InputError, match="one pattern"):
        find_zone_axes(nickel(), Rotation.identity((2,)), PLAIN)


# Orientations ---------------------------------------------------------------------------------


def test_the_sample_keeps_the_projection_centre_of_every_point(nickel_scan):
    detector = nickel_scan.detector
    known = orientation_from_file(nickel_scan, 2, 1)
    assert known.geometry.pc == pytest.approx(detector.pc[2, 1])
    assert known.geometry.pc != pytest.approx(detector.pc[1, 2], abs=1e-5)
    assert known.phase.name == "ni"
    with pytest.raises(InputError, match="row 3"):
        orientation_from_file(nickel_scan, 3, 0)


def test_projection_centres_in_a_line_belong_to_the_points_row_by_row(nickel_scan):
    detector = nickel_scan.detector.deepcopy()
    detector.navigation_shape = (9,)
    in_a_line = Geometry.from_detector(detector, 0, 7)
    assert in_a_line == Geometry.from_detector(nickel_scan.detector, 2, 1)


def test_a_folder_of_pictures_has_no_orientations():
    with (
        load_scan(sample_path("silicon")) as scan,
        pytest.raises(InputError, match="no orientations"),
    ):
        orientation_from_file(scan, 0, 0)


def test_a_file_without_a_usable_projection_centre_says_so(tmp_path):
    with (
        load_scan(copy("edax_h5ebsd/patterns.h5", tmp_path)) as scan,
        pytest.raises(InputError, match="projection centre"),
    ):
        orientation_from_file(scan, 0, 0)


def test_an_emsoft_simulation_carries_its_orientation():
    with load_scan(SHIPPED / "emsoft_ebsd" / "EBSD_TEST_Ni.h5") as scan:
        known = orientation_from_file(scan, 0, 0)
        catalogue = describe(known.phase, min_bands=4)
        pattern = scan.pattern(0, 0).astype(float)
    # Written by EMsoft 4, whose PCx has the other sign than that of version 5 that is read here.
    centre = (1 - known.geometry.pc[0], *known.geometry.pc[1:])
    axes = find_zone_axes(catalogue, known.rotation, replace(known.geometry, pc=centre))
    image = (pattern - ndimage.gaussian_filter(pattern, 60)) / pattern.std()
    assert len(axes) >= 3
    assert mean_at(ndimage.gaussian_filter(image, 3), axes) > 3


def nickel_of(maker, path, scan):
    """The nickel sample as a file of another maker, its orientations in that maker's frame."""
    quarter = Rotation.from_axes_angles([0, 0, 1], np.pi / 2)
    euler = (scan.crystal_map.rotations * quarter).to_euler()
    data = scan.read(slice(None), slice(None))
    centres = scan.detector.pc.reshape(-1, 3)
    if maker == "oxford":
        write_oxford(path, data)
        with h5py.File(path, "r+") as file:
            group = file["1/EBSD/Data"]
            group["Phase"][...] = 2
            group["Phase"][0] = 0
            group["Euler"][...] = euler
            for name, values in (
                ("Pattern Center X", centres[:, 0]),
                ("Pattern Center Y", 1 - centres[:, 1]),  # from the bottom, for square patterns
                ("Detector Distance", centres[:, 2]),
            ):
                group[name] = values.astype("f4")
    else:
        write_bruker(path, data)
        with h5py.File(path, "r+") as file:
            group = file["Scan 0/EBSD/Data"]
            for name, values in zip(
                ("phi1", "PHI", "phi2", "PCX", "PCY", "DD"),
                [*np.rad2deg(euler).T, *centres.T],
                strict=True,
            ):
                group[name][...] = values
    return path


@pytest.mark.parametrize("maker", ["oxford", "bruker"])
def test_orientations_of_other_makers_are_turned_into_our_frame(maker, nickel_scan, tmp_path):
    path = tmp_path / ("map.h5oina" if maker == "oxford" else "map.h5")
    expected = orientation_from_file(nickel_scan, 1, 2)
    with load_scan(nickel_of(maker, path, nickel_scan)) as scan:
        known = orientation_from_file(scan, 1, 2)
    assert (known.rotation * ~expected.rotation).angle == pytest.approx(0, abs=1e-3)
    assert known.geometry.pc == pytest.approx(expected.geometry.pc, abs=0.01)


def test_a_pattern_that_was_not_indexed_has_no_axes(nickel_scan, tmp_path):
    path = nickel_of("oxford", tmp_path / "map.h5oina", nickel_scan)
    with load_scan(path) as scan, pytest.raises(InputError, match="not indexed"):
        orientation_from_file(scan, 0, 0)


def test_the_frame_of_an_oblique_cell_of_another_maker_is_not_guessed(tmp_path):
    path = write_oxford(tmp_path / "map.h5oina", patterns(2, 2))
    with h5py.File(path, "r+") as file:
        entry = file["1/EBSD/Header/Phases/1"]
        entry["Lattice Angles"][...] = np.deg2rad([[90, 90, 120]])
        entry["Space Group"][...] = 194
        for name in ("Pattern Center X", "Pattern Center Y", "Detector Distance"):
            file[f"1/EBSD/Data/{name}"] = np.full(4, 0.5, "f4")
    with load_scan(path) as scan, pytest.raises(InputError, match="oblique"):
        orientation_from_file(scan, 0, 1)


def test_hough_indexing_finds_the_refined_orientation_and_none_in_noise(nickel_scan):
    known = orientation_from_file(nickel_scan, 0, 2)
    pattern = nickel_scan.pattern(0, 2) / nickel_scan.static_background
    found = orientation_by_hough(pattern, known.phase, known.geometry)
    here, there = (Misorientation(o.rotation, known.phase.point_group) for o in (found, known))
    assert np.rad2deg(here.angle_with(there)) < 1
    assert found.fit < 1
    noise = np.random.default_rng(0).random((60, 60))
    with pytest.raises(InputError, match="no orientation"):
        orientation_by_hough(noise, known.phase, known.geometry)


def test_without_pyebsdindex_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyebsdindex", None)
    with pytest.raises(InputError, match=r"pip install 'pyebsdindex"):
        orientation_by_hough(np.ones((60, 60)), nickel(), PLAIN)


def test_bands_are_found_where_diffsims_misses_equivalents_by_rounding():
    from diffpy.structure import Atom, Lattice, Structure

    from napari_ebsd_phase.training.structures import structure_by_uid

    found = structure_by_uid("s1141")  # NiSb
    assert (found.formula, found.space_group) == ("NiSb", 194)
    atoms = [Atom(*site) for site in zip(found.species, found.positions, strict=True)]
    phase = Phase(name="NiSb", space_group=194, structure=Structure(atoms, Lattice(*found.cell)))
    bands = describe(phase)
    strength = dict(zip(map(tuple, bands.hkl.tolist()), bands.strength, strict=True))
    # h and k may change places in this space group.
    pairs = [(plane, (k, h, l)) for plane in strength for h, k, l in [plane] if h != k]  # noqa: E741
    pairs = [(one, two) for one, two in pairs if two in strength]
    assert pairs
    for one, two in pairs:
        assert strength[one] == pytest.approx(strength[two], rel=1e-6)
