# SPDX-License-Identifier: GPL-3.0-or-later
"""The orientation of a test pattern is the one that it was made with, or measured to have."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_ebsd_phase.errors import InputError
from napari_ebsd_phase.loading import load_classifier
from napari_ebsd_phase.preprocessing import Preprocessing, prepare
from napari_ebsd_phase.training.library import MasterLibrary
from napari_ebsd_phase.training.materials import load_materials
from napari_ebsd_phase.training.pattern_simulation import FAST, render
from napari_ebsd_phase.training.saliency_sets import (
    CAMERA,
    OrientedPattern,
    choose_materials,
    draw_patterns,
    measured_nickel,
    simulated_frames,
    simulated_set,
    structure_of,
)
from napari_ebsd_phase.zone_axes import crystal_directions, rotation_of

LIBRARY = Path(__file__).parents[2] / "data" / "master_patterns.h5"
NICKEL = "emsoft_Ni_nickel_20kV"


@pytest.fixture(scope="module")
def library():
    with MasterLibrary.open(LIBRARY) as source:
        stack, materials = load_materials(source)
        return stack, materials, source.index


@pytest.fixture(scope="module")
def nickel(library):
    stack, _, records = library
    return stack[[record.key for record in records].index(NICKEL)]


@pytest.fixture(scope="module")
def trained_on():
    return [
        load_classifier(name, device="cpu").card["training"]["trained_on"]
        for name in ("default", "lines")
    ]


def likeness(pattern: OrientedPattern, master: np.ndarray, turn: np.ndarray) -> float:
    """Correlation of a pattern, as a network sees it, with a noiseless one that is turned."""
    clean = render(master, pattern.to_crystal @ turn, pattern.frame.shape, pattern.geometry.pc)
    seen, made = (
        prepare(frame[None], Preprocessing(), mask=pattern.mask, background=background).numpy()
        for frame, background in ((pattern.frame, pattern.background), (clean, None))
    )
    return float(np.corrcoef(seen.ravel(), made.ravel())[0, 1])


def turned(degrees: float) -> np.ndarray:
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])


def test_simulated_patterns_show_the_crystal_in_the_orientation_told(nickel):
    patterns = draw_patterns(nickel, 8, np.random.default_rng(0))
    for pattern in patterns:
        # Loud noise and a flattened contrast take something from it, but nothing else does.
        assert likeness(pattern, nickel, np.eye(3)) > 0.6
        assert likeness(pattern, nickel, turned(3.0)) < 0.8 * likeness(pattern, nickel, np.eye(3))
        assert np.linalg.det(pattern.to_crystal) == pytest.approx(1.0)
    assert len({pattern.frame.shape for pattern in patterns}) > 1


def test_measured_nickel_has_the_orientations_of_its_file(nickel):
    patterns = measured_nickel().patterns
    assert len(patterns) == 9
    for pattern in patterns:
        assert likeness(pattern, nickel, np.eye(3)) > 0.35
        assert likeness(pattern, nickel, turned(10.0)) < 0.15


def test_directions_are_those_of_the_rotation(nickel):
    (pattern,) = draw_patterns(nickel, 1, np.random.default_rng(1))
    rotation = rotation_of(pattern.to_crystal, pattern.geometry)
    np.testing.assert_allclose(
        pattern.directions(), crystal_directions(rotation, pattern.geometry), atol=1e-12
    )


def test_the_same_seed_gives_the_same_patterns_whatever_else_is_drawn(library):
    stack, materials, records = library
    material = materials["calibration"][3]
    one, same, other = (
        simulated_set(stack, records, material, "unseen", 2, seed) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one.patterns[1].frame, same.patterns[1].frame)
    assert not np.array_equal(one.patterns[0].to_crystal, other.patterns[0].to_crystal)
    assert one.phase.structure.lattice.volume == pytest.approx(
        structure_of(records[material.masters[0]]).volume, rel=1e-3
    )


def test_frames_for_the_sphere_are_of_one_size_and_many_orientations(library):
    with MasterLibrary.open(LIBRARY) as source:
        master = source[[record.key for record in source.index].index(NICKEL)]
    oriented = simulated_frames(master, 6)
    assert oriented.frames.shape == (6, 64, 64)
    assert oriented.rotations.size == len(oriented.geometries) == 6
    assert {g.shape for g in oriented.geometries} == {(64, 64)}
    assert oriented.phase.name == "Ni"


@pytest.mark.parametrize("camera", [FAST, replace(CAMERA, overlap=0.1)])
def test_a_camera_that_bends_patterns_or_shows_two_is_refused(nickel, camera):
    with pytest.raises(InputError, match="distortion"):
        draw_patterns(nickel, 1, np.random.default_rng(0), camera)


def test_materials_are_seen_by_all_networks_or_by_none_and_never_test_materials(
    library, trained_on
):
    _, materials, _ = library
    chosen = choose_materials(materials, trained_on, 10)
    seen, unseen = ({m.key for m in chosen[kind]} for kind in ("seen", "unseen"))
    assert all(seen <= set(keys) for keys in trained_on)
    assert not any(unseen & set(keys) for keys in trained_on)
    assert not (seen | unseen) & {m.key for m in materials["test"]}
    for members in chosen.values():
        assert len({m.key for m in members}) == 10
        assert len({m.bravais for m in members}) >= 5


def test_the_choice_is_drawn_by_the_seed(library, trained_on):
    _, materials, _ = library
    one, same, other = (
        [m.key for m in choose_materials(materials, trained_on, 10, seed)["unseen"]]
        for seed in (0, 0, 1)
    )
    assert one == same != other


def test_more_materials_than_there_are_is_an_error(library, trained_on):
    _, materials, _ = library
    with pytest.raises(InputError, match=r"unseen materials, fewer than 100"):
        choose_materials(materials, trained_on, 100)


def test_a_master_pattern_without_structure_gets_that_of_its_formula(library):
    _, _, records = library
    record = next(r for r in records if r.key == NICKEL)
    structure = structure_of(record)
    assert (structure.formula, structure.space_group) == ("Ni", 225)
    with pytest.raises(InputError, match="Unobtainium"):
        structure_of(replace(record, formula="Unobtainium"))
