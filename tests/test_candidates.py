# SPDX-License-Identifier: GPL-3.0-or-later
"""Which structures fit the patterns of a region."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.spatial.transform import Rotation

from napari_ebsd_phase import load_scan
from napari_ebsd_phase.candidates import (
    View,
    candidate_structures,
    rank_candidates,
    structures_from,
    typical_views,
)
from napari_ebsd_phase.candidates.agreement import agreement, best_nearby
from napari_ebsd_phase.crystallography import laue_group
from napari_ebsd_phase.errors import InputError
from napari_ebsd_phase.samples import sample_path
from napari_ebsd_phase.training.band_patterns import band_master_pattern
from napari_ebsd_phase.training.pattern_simulation import render
from napari_ebsd_phase.training.structures import find_structures, load_structures
from napari_ebsd_phase.zone_axes import Geometry

from ._cif import write_cif


@pytest.fixture(scope="module")
def nickel():
    with load_scan(sample_path("nickel")) as scan:
        yield scan


@pytest.fixture(scope="module")
def views(nickel):
    return typical_views(nickel)


def of(formula: str, space_group: int):
    return next(s for s in find_structures(formula=formula) if s.space_group == space_group)


NICKEL = of("Ni", 225)
WRONG = [of("W", 229), of("Mg", 194), of("Fe", 229)]


# Agreement.


@pytest.fixture(scope="module")
def rendered():
    """A noiseless pattern of nickel on a round screen, 80 x 100 pixels, and what made it."""
    master = band_master_pattern(NICKEL).data
    rotation = Rotation.from_rotvec([0.3, -0.8, 0.5]).as_matrix()
    geometry = Geometry((80, 100), (0.47, 0.31, 0.66))
    y, x = np.mgrid[:80, :100]
    mask = (y - 40) ** 2 + (x - 50) ** 2 < 38**2
    pattern = render(master, rotation, geometry.shape, geometry.pc) * mask
    return master, rotation, View.of(pattern, geometry, mask)


def test_a_simulated_pattern_agrees_with_its_own_simulation(rendered):
    master, rotation, view = rendered
    assert agreement(master, rotation, view) > 0.95
    away = Rotation.from_rotvec(np.deg2rad([4, 0, 0])).as_matrix() @ rotation
    assert agreement(master, away, view) < 0.4


def test_an_orientation_is_refined(rendered):
    master, rotation, view = rendered
    start = Rotation.from_rotvec(np.deg2rad([0.5, -0.4, 0.3])).as_matrix() @ rotation
    best, found = best_nearby(master, start, view)
    assert best > agreement(master, start, view)
    angle = np.rad2deg(np.arccos(np.clip((np.trace(found @ rotation.T) - 1) / 2, -1, 1)))
    assert angle < 0.2


def test_a_blank_pattern_agrees_with_nothing(rendered):
    master, rotation, view = rendered
    blank = View(np.zeros_like(view.inputs), view.geometry, view.mask)
    assert agreement(master, rotation, blank) == 0


# Ranking.


def test_nickel_is_face_centred_and_nothing_else(views):
    ranking = rank_candidates(views, [*WRONG, NICKEL])
    assert ranking.candidates[0].structure is NICKEL
    assert ranking.fitting == (ranking.candidates[0],)
    assert ranking.candidates[0].agreement > ranking.candidates[1].agreement + 0.2


def test_none_fits_is_an_answer(views):
    ranking = rank_candidates(views[:1], WRONG)
    assert len(ranking.candidates) == 3
    assert ranking.fitting == ()


def test_structures_that_the_patterns_cannot_tell_apart_all_fit(views):
    copper = of("Cu", 225)
    ranking = rank_candidates(views[:1], [copper, NICKEL])
    assert {c.structure for c in ranking.fitting} == {copper, NICKEL}


def test_a_frame_without_bands_has_no_orientation(views):
    noise = np.random.default_rng(0).normal(size=views[0].inputs.shape).astype(np.float32)
    ranking = rank_candidates([View(noise, views[0].geometry, views[0].mask)], [NICKEL])
    assert ranking.fitting == ()


def test_a_structure_with_one_strong_family_of_planes_is_tried_too(views):
    """The triplets of one family were too few for PyEBSDIndex, which failed with an IndexError."""
    lone = next(s for s in load_structures() if s.id.startswith("A11B4_cF120_227"))
    ranking = rank_candidates(views, [lone, NICKEL])
    assert [c.structure for c in ranking.candidates] == [NICKEL, lone]
    assert np.isfinite(ranking.candidates[1].band_misfit).all()


def test_a_cancelled_ranking_keeps_what_it_has(views):
    told = []
    ranking = rank_candidates(
        views[:1],
        [NICKEL, *WRONG],
        progress=lambda done, asked: told.append((done, asked)),
        cancelled=lambda: len(told) == 1,
    )
    assert told == [(1, 4)]
    assert [c.structure for c in ranking.candidates] == [NICKEL]
    assert ranking.asked == 4


def test_a_candidate_is_told_in_plain_values(views):
    told = rank_candidates(views[:1], [NICKEL]).candidates[0].to_dict()
    assert (told["space_group"], told["point_group"], told["bravais_lattice"]) == (
        225,
        "m-3m",
        "cF",
    )
    assert told["agreement"] == pytest.approx(told["each"][0])
    assert 0 < told["band_misfit"][0] < 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"views": []}, "no pattern"),
        ({"structures": []}, "give CIF files"),
        ({"energy_kev": 0.0}, "1 to 400 keV"),
        ({"energy_kev": float("nan")}, "1 to 400 keV"),
    ],
)
def test_a_ranking_of_nothing_is_refused(views, change, said):
    with pytest.raises(InputError, match=said):
        rank_candidates(**{"views": views, "structures": [NICKEL], **change})


# Views.


def test_the_grains_of_nickel_are_two_views(views, nickel):
    assert len(views) == 2
    for view in views:
        assert view.geometry.shape == nickel.pattern_shape
        assert view.geometry.pc == pytest.approx((0.42, 0.21, 0.50), abs=0.01)


def test_most_patterns_show_the_first_view(views, nickel):
    region = np.zeros(nickel.shape, dtype=bool)
    region[0, 0] = True
    alone = typical_views(nickel, region)
    assert len(alone) == 1
    # The grain of the first pattern is the smaller one.
    likeness = [np.corrcoef(alone[0].inputs.ravel(), v.inputs.ravel())[0, 1] for v in views]
    assert likeness[1] > likeness[0]


def test_no_more_views_than_asked_for(nickel):
    assert len(typical_views(nickel, most=1)) == 1


def test_a_file_without_projection_centre_says_so(tmp_path):
    rng = np.random.default_rng(0)
    for k in range(2):
        image = rng.integers(0, 255, (40, 50), dtype=np.uint8)
        Image.fromarray(image).save(tmp_path / f"{k}.png")
    with load_scan(tmp_path) as scan:
        with pytest.raises(InputError, match="where the detector stood"):
            typical_views(scan)
        given = typical_views(scan, projection_centre=(0.5, 0.4, 0.6))
    assert {v.geometry.pc for v in given} == {(0.5, 0.4, 0.6)}


@pytest.mark.parametrize("region", [np.zeros((3, 3), bool), np.ones((2, 3), bool), np.ones((3, 3))])
def test_a_region_that_is_none_is_refused(nickel, region):
    with pytest.raises(InputError, match="region"):
        typical_views(nickel, region)


# Structures.


def test_candidates_have_the_symmetry_that_was_found():
    pairs = [("m-3m", "cF", 0.6), ("6/mmm", "hP", 0.25), ("4/mmm", "tI", 0.05)]
    found = candidate_structures(pairs)
    places = [(laue_group(s.point_group), s.bravais) for s in found]
    assert set(places) == {("m-3m", "cF"), ("6/mmm", "hP")}
    assert places == sorted(places, key=[("m-3m", "cF"), ("6/mmm", "hP")].index)
    assert {s.point_group for s in found if s.bravais == "cF"} >= {"m-3m", "-43m"}


def test_the_most_probable_symmetry_counts_however_small():
    assert candidate_structures([("4/m", "tI", 0.04), ("4", "tI", 0.03)])


def test_structures_that_nobody_can_simulate_are_no_candidates():
    strange = [s for s in load_structures() if "Nh" in s.species]
    assert strange
    for structure in strange:
        pairs = [(structure.point_group, structure.bravais, 1.0)]
        assert structure not in candidate_structures(pairs)


def test_structures_come_from_files_and_folders(tmp_path):
    cif = write_cif(tmp_path, "iron")
    (tmp_path / "notes.txt").write_text("no structure")
    from_file, from_folder = structures_from([cif, tmp_path])
    assert from_file == from_folder
    assert (from_file.formula, from_file.space_group, from_file.bravais) == ("Fe", 229, "cI")


@pytest.mark.parametrize("name", ["nowhere.cif", "empty", "broken.cif"])
def test_what_holds_no_structure_is_refused(tmp_path, name):
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.cif").write_text("no structure")
    with pytest.raises(InputError) as caught:
        structures_from([Path(tmp_path / name)])
    assert len(str(caught.value).splitlines()) == 1
