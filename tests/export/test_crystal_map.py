# SPDX-License-Identifier: GPL-3.0-or-later
"""orix shows a phase map in our colours, and gives it back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np
import orix.io
import pytest
from matplotlib import pyplot
from matplotlib.colors import to_hex, to_rgb
from orix.crystal_map import CrystalMap
from orix.quaternion import Rotation

from napari_ebsd_phase.crystallography import POINT_GROUPS
from napari_ebsd_phase.errors import InputError
from napari_ebsd_phase.labels import label_table
from napari_ebsd_phase.phase_map import PhaseMap


def back(phase_map: PhaseMap, crystal_map: CrystalMap) -> PhaseMap:
    """Return the way back, with what a crystal map has no room for."""
    return PhaseMap.from_crystal_map(
        crystal_map,
        sources=phase_map.sources,
        provenance=phase_map.provenance,
        vendor=phase_map.crystal_map,
    )


def test_a_map_comes_back_equal(phase_map: PhaseMap) -> None:
    assert back(phase_map, phase_map.to_crystal_map()) == phase_map


def test_a_map_in_part_comes_back_equal(partial_map: PhaseMap) -> None:
    assert back(partial_map, partial_map.to_crystal_map()) == partial_map


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (3, 2)])
def test_maps_of_any_shape_come_back(
    make_map: Callable[..., PhaseMap], shape: tuple[int, int]
) -> None:
    whole = make_map((7, 9), step=(0.25, 0.25))
    phase_map = whole.crop(slice(shape[0]), slice(shape[1]))
    if shape == (1, 1):  # a point has no step
        phase_map.step, phase_map.units = (1, 1), "px"
    assert back(phase_map, phase_map.to_crystal_map()) == phase_map


def test_a_slice_comes_back_as_that_part(phase_map: PhaseMap) -> None:
    part = PhaseMap.from_crystal_map(phase_map.to_crystal_map()[2:6, 3:13])
    np.testing.assert_array_equal(part.label, phase_map.label[2:6, 3:13])
    assert part.step == phase_map.step


def test_points_that_were_left_out_are_not_done(phase_map: PhaseMap) -> None:
    crystal_map = phase_map.to_crystal_map()
    chosen = crystal_map[crystal_map.level > 0]  # none in the last columns
    part = PhaseMap.from_crystal_map(chosen)
    rows, cols = np.nonzero(phase_map.label != "")
    inside = slice(rows.min(), rows.max() + 1), slice(cols.min(), cols.max() + 1)
    assert part.shape == chosen.shape
    np.testing.assert_array_equal(part.done, phase_map.label[inside] != "")
    np.testing.assert_array_equal(part.label, phase_map.label[inside])


def test_a_file_of_orix_keeps_all_of_it(phase_map: PhaseMap, tmp_path: Path) -> None:
    orix.io.save(tmp_path / "map.h5", phase_map.to_crystal_map())
    assert back(phase_map, orix.io.load(tmp_path / "map.h5")) == phase_map


def test_the_map_says_that_it_does_not_know_what_made_it(phase_map: PhaseMap) -> None:
    assert (
        "CrystalMap"
        in PhaseMap.from_crystal_map(phase_map.to_crystal_map()).provenance["read_from"]
    )


def test_the_other_half_of_our_file_is_the_same_map(phase_map: PhaseMap, tmp_path: Path) -> None:
    phase_map.save(tmp_path / "map.h5")
    read = orix.io.load(tmp_path / "map.h5")
    made = phase_map.to_crystal_map(probabilities=False)
    assert set(read.prop) == set(made.prop)
    for name, values in made.prop.items():
        np.testing.assert_array_equal(read.prop[name], values)
    np.testing.assert_array_equal(read.phase_id, made.phase_id)
    assert read.phases.names == made.phases.names
    assert [p.point_group.name for i, p in read.phases if i > 0] == [
        p.point_group.name for i, p in made.phases if i > 0
    ]


def test_rotations_are_those_of_the_vendor_or_none(phase_map: PhaseMap) -> None:
    assert (phase_map.to_crystal_map().rotations.angle == 0).all()
    row, col = (i.ravel() for i in np.indices(phase_map.shape))
    phase_map.crystal_map = CrystalMap(Rotation.random(240), x=col * 0.25, y=row * 0.5)
    kept = phase_map.to_crystal_map().rotations
    np.testing.assert_allclose(kept.data, phase_map.crystal_map.rotations.data)


def every_label() -> PhaseMap:
    """Return a map in which every one of the 50 labels stands somewhere, and one point has none."""
    from napari_ebsd_phase.crystallography import (
        CRYSTAL_SYSTEMS,
        LAUE_GROUPS,
        crystal_system,
        laue_group,
    )

    rows = [np.equal(POINT_GROUPS, name) for name in POINT_GROUPS]
    rows += [np.array([laue_group(g) == name for g in POINT_GROUPS]) for name in LAUE_GROUPS]
    rows += [
        np.array([crystal_system(g) == name for g in POINT_GROUPS]) for name in CRYSTAL_SYSTEMS
    ]
    rows.append(np.ones(32, bool))
    groups = np.array(rows) / np.sum(rows, axis=1, keepdims=True)
    return PhaseMap(
        groups[np.newaxis], np.full((1, 51, 14), 1 / 14), np.ones((1, 51)), threshold=1 - 1e-6
    )


def test_plots_have_our_colours() -> None:
    matplotlib.use("agg")
    phase_map = every_label()
    codes, _ = phase_map.label_codes()
    assert np.unique(codes).size >= 47  # 4 systems have one Laue group, 3 of them no other name
    crystal_map = phase_map.to_crystal_map()
    figure = crystal_map.plot(return_figure=True, legend=False)
    (image,) = figure.axes[0].images
    shown = np.asarray(image.get_array()).reshape(51, -1)
    pyplot.close(figure)
    table = label_table()
    wanted = [table[code - 1].color if code else "#ffffff" for code in codes.ravel()]
    assert [to_hex(rgb) for rgb in shown] == wanted


def test_a_colour_that_somebody_chose_is_kept(phase_map: PhaseMap) -> None:
    crystal_map = phase_map.to_crystal_map()
    crystal_map.phases["m-3m"].color = "black"
    assert crystal_map.deepcopy().phases["m-3m"].color_rgb == (0, 0, 0)


def test_the_names_of_the_colours_are_different_and_near() -> None:
    # Files keep these names instead of the colours.
    phases = [phase for i, phase in every_label().to_crystal_map().phases if i > 0]
    named = {to_hex(phase.color_rgb): phase.color for phase in phases}
    assert len(set(named.values())) == len(named) == len({label.color for label in label_table()})
    for exact, name in named.items():
        assert np.abs(np.subtract(to_rgb(exact), to_rgb(name))).max() < 0.16


def bare(phase_map: PhaseMap) -> CrystalMap:
    return phase_map.to_crystal_map(probabilities=False)


def damaged(phase_map: PhaseMap) -> CrystalMap:
    crystal_map = phase_map.to_crystal_map()
    del crystal_map.prop["bravais_probabilities"]
    crystal_map.prop["bravais_probabilities"] = np.zeros((240, 13))
    return crystal_map


def nowhere(phase_map: PhaseMap) -> CrystalMap:
    return phase_map.to_crystal_map()[np.zeros(240, bool)]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda m: m, "not a PhaseMap"),
        (lambda m: CrystalMap.empty((2, 3)), "compare another program's map"),
        (bare, "no point group probabilities"),
        (damaged, r"shape \(240, 13\)"),
        (nowhere, "no point"),
    ],
    ids=["no crystal map", "another program", "no probabilities", "13 lattices", "empty"],
)
def test_what_holds_no_probabilities_is_refused_in_one_line(
    phase_map: PhaseMap, make: Callable[[PhaseMap], object], words: str
) -> None:
    with pytest.raises(InputError, match=words) as caught:
        PhaseMap.from_crystal_map(make(phase_map))
    assert "\n" not in str(caught.value)
