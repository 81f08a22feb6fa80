# SPDX-License-Identifier: GPL-3.0-or-later
"""Text files of EDAX: orix reads back what the map says, and other programs find their fields."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import orix.io
import pytest
from orix.crystal_map import CrystalMap
from orix.io.plugins import ang as orix_ang
from orix.quaternion import Rotation

from napari_ebsd_phase.crystallography import POINT_GROUPS, laue_group
from napari_ebsd_phase.phase_map import PhaseMap

NO_ANGLE = 12.56637


def saved(phase_map: PhaseMap, folder: Path) -> tuple[list[str], np.ndarray]:
    """Save a map and return the lines of the header, without their #, and the numbers."""
    path = folder / "map.ang"
    phase_map.save(path)
    lines = path.read_text("ascii").splitlines()
    head = [line[1:].strip() for line in lines if line.startswith("#")]
    assert all(line.startswith("#") for line in lines[: len(head)])
    return head, np.loadtxt(lines[len(head) :], ndmin=2)


def values(head: list[str], key: str) -> list[str]:
    """Return what follows a key, for every line that begins with it."""
    return [line.split(None, 1)[1] for line in head if line.split(None, 1)[:1] == [key]]


def load(path: Path) -> CrystalMap:
    return orix.io.load(path, autogen_names=False)


def certain(groups: list[str], shape: tuple[int, int], **attributes: object) -> PhaseMap:
    """Return a map whose pixels are certainly `groups`, row by row; "" is undecided."""
    one_hot = np.eye(32)[[POINT_GROUPS.index(name or "1") for name in groups]]
    one_hot[[not name for name in groups]] = 1 / 32
    return PhaseMap(
        one_hot.reshape(*shape, 32), np.full((*shape, 14), 1 / 14), np.ones(shape), **attributes
    )


def test_orix_reads_grid_phases_and_symmetries(phase_map: PhaseMap, tmp_path: Path) -> None:
    phase_map.save(tmp_path / "map.ang")
    read = load(tmp_path / "map.ang")
    assert read.shape == phase_map.shape
    assert (read.dy, read.dx) == phase_map.step
    assert read.scan_unit == "um"
    name_of = {i: phase.name for i, phase in read.phases} | {-1: ""}
    label, level = phase_map.decide()
    expected = np.where(level == "laue_group", np.char.add("Laue ", label), label)
    assert [name_of[i] for i in read.phase_id.tolist()] == expected.ravel().tolist()
    assert {"", "m-3m", "Laue m-3m"} <= set(expected.ravel().tolist())
    # The format has the rotations of the Laue group only.
    assert {p.point_group.name for i, p in read.phases if i > 0} == {"432"}


def test_names_stay_apart_where_orix_makes_them_from_formulas(
    phase_map: PhaseMap, tmp_path: Path
) -> None:
    phase_map.save(tmp_path / "map.ang")
    read = orix.io.load(tmp_path / "map.ang")
    assert {p.name for i, p in read.phases if i > 0} == {"m-3m", "Laue_m-3m"}


def test_every_point_group_has_the_number_of_its_laue_group(tmp_path: Path) -> None:
    head, table = saved(certain(list(POINT_GROUPS), (4, 8)), tmp_path)
    # The last phase comes first.
    assert values(head, "Phase") == [str(i) for i in range(32, 0, -1)]
    assert values(head, "MaterialName") == list(POINT_GROUPS)[::-1]
    numbers = dict(zip(values(head, "MaterialName"), values(head, "Symmetry"), strict=True))
    assert {laue_group(name): number for name, number in numbers.items()} == {
        "-1": "1", "2/m": "20", "mmm": "22", "4/m": "4", "4/mmm": "42", "-3": "3", "-3m": "32",
        "6/m": "6", "6/mmm": "62", "m-3": "23", "m-3m": "43",
    }  # fmt: skip
    assert all(number == numbers[laue_group(name)] for name, number in numbers.items())
    assert table[:, 7].tolist() == list(range(1, 33))


def test_orix_knows_the_rotations_of_every_laue_group(tmp_path: Path) -> None:
    certain(list(POINT_GROUPS), (4, 8)).save(tmp_path / "map.ang")
    order = {"-1": 1, "2/m": 2, "mmm": 4, "4/m": 4, "4/mmm": 8, "-3": 3, "-3m": 6}
    order |= {"6/m": 6, "6/mmm": 12, "m-3": 12, "m-3m": 24}
    for i, phase in load(tmp_path / "map.ang").phases:
        assert phase.point_group.size == order[laue_group(POINT_GROUPS[i - 1])]
        assert phase.point_group.is_proper


def test_the_header_has_the_fields_of_the_format(phase_map: PhaseMap, tmp_path: Path) -> None:
    head, table = saved(phase_map, tmp_path)
    for key in ("TEM_PIXperUM", "x-star", "y-star", "z-star", "WorkingDistance"):
        (value,) = values(head, key)
        assert float(value) in (0, 1)
    for key in ("MaterialName", "Formula", "Info", "Symmetry", "LatticeConstants"):
        assert len(values(head, key)) == 2
    assert values(head, "NumberFamilies") == ["0", "0"]
    assert values(head, "GRID:") == ["SqrGrid"]
    assert (values(head, "XSTEP:"), values(head, "YSTEP:")) == (["0.250000"], ["0.500000"])
    assert values(head, "NCOLS_ODD:") == values(head, "NCOLS_EVEN:") == ["20"]
    assert values(head, "NROWS:") == ["12"]
    assert values(head, "OPERATOR:") == ["napari-ebsd-phase"]
    assert values(head, "SCANID:") == ["steel, annealed.h5oina"]
    assert "SAMPLEID:" in head
    assert head.index("NOTES: Start") < head.index("NOTES: End")
    assert table.shape == (240, 10)


def test_free_text_is_taken_for_no_field(make_map: Callable[..., PhaseMap], tmp_path: Path) -> None:
    source = "x\n# Phase 7\n# Symmetry 62\n\tµ \udcff.h5oina"
    phase_map = make_map((2, 9), sources=[source], provenance={"source": source})
    head, _ = saved(phase_map, tmp_path)
    assert values(head, "Phase") == ["2", "1"]
    assert len(values(head, "Symmetry")) == 2


def test_quality_and_probability_are_image_quality_and_confidence(
    phase_map: PhaseMap, tmp_path: Path
) -> None:
    _, table = saved(phase_map, tmp_path)
    codes, probability = (array.ravel() for array in phase_map.label_codes())
    np.testing.assert_allclose(table[:, 5], phase_map.pattern_quality.ravel(), atol=1e-5)
    expected = np.where(codes > 0, probability, -1)
    np.testing.assert_allclose(table[:, 6], expected, atol=1e-5)


def test_points_without_a_phase_are_those_of_the_format(tmp_path: Path) -> None:
    phase_map = certain(["m-3m", "", "m-3m"], (1, 3))
    phase_map.pattern_quality[0, 2] = np.nan
    phase_map.done[0, 2] = False
    head, table = saved(phase_map, tmp_path)
    # Also in a map of one phase: MTEX would take another column for the phase at a -1.
    assert values(head, "Phase") == ["1"]
    assert table[:, 7].tolist() == [1, 0, 0]
    assert table[:, 6].tolist() == [1, -1, -1]
    np.testing.assert_allclose(table[1:, :3], NO_ANGLE)
    assert table[:, 9].tolist() == [0, 180, 180]
    assert load(tmp_path / "map.ang").is_indexed.tolist() == [True, False, False]


def test_orientations_of_the_vendor_are_kept_and_the_notes_say_so(
    phase_map: PhaseMap, tmp_path: Path
) -> None:
    row, col = np.indices(phase_map.shape)
    vendor = CrystalMap(Rotation.random(240), x=col.ravel() * 0.25, y=row.ravel() * 0.5)
    phase_map.crystal_map = vendor
    head, _ = saved(phase_map, tmp_path)
    read = load(tmp_path / "map.ang")
    kept = read.is_indexed
    turned = (~read.rotations[kept] * vendor.rotations[kept]).angle
    assert np.rad2deg(turned).max() < 2e-3
    assert any("those of the source file" in line for line in head)


def test_without_orientations_the_notes_say_that_none_is_predicted(
    phase_map: PhaseMap, tmp_path: Path
) -> None:
    head, table = saved(phase_map, tmp_path)
    assert any(line.startswith("no orientation is predicted") for line in head)
    assert (table[table[:, 7] > 0, :3] == 0).all()


def test_the_columns_are_those_that_orix_writes(phase_map: PhaseMap, tmp_path: Path) -> None:
    row, col = np.indices(phase_map.shape)
    phase_map.crystal_map = CrystalMap(
        Rotation.random(240), x=col.ravel() * 0.25, y=row.ravel() * 0.5
    )
    head, table = saved(phase_map, tmp_path)
    read = load(tmp_path / "map.ang")
    orix_ang.file_writer(tmp_path / "orix.ang", read)
    by_orix = (tmp_path / "orix.ang").read_text().splitlines()
    expected = np.loadtxt(by_orix)
    # But for the image quality, which orix drops where there is no phase.
    named = table[:, 7] > 0
    np.testing.assert_allclose(table[named], expected[named], atol=2e-5)
    others = [i for i in range(10) if i != 5]
    np.testing.assert_allclose(table[~named][:, others], expected[~named][:, others], atol=2e-5)
    wanted = re.compile("# (Phase|MaterialName|Symmetry|Lattice|GRID|XSTEP|YSTEP|N|Column)")
    for line in filter(wanted.match, by_orix):
        assert line[1:].split() in [ours.split() for ours in head]


@pytest.mark.parametrize("shape", [(1, 7), (7, 1), (3, 2)])
def test_maps_of_any_shape_have_their_positions(shape: tuple[int, int], tmp_path: Path) -> None:
    groups = list(POINT_GROUPS[-shape[0] * shape[1] :])
    head, table = saved(certain(groups, shape, step=(0.3, 0.02), units="um"), tmp_path)
    row, col = np.indices(shape)
    np.testing.assert_allclose(table[:, 3], col.ravel() * 0.02)
    np.testing.assert_allclose(table[:, 4], row.ravel() * 0.3)
    assert (values(head, "XSTEP:"), values(head, "YSTEP:")) == (["0.020000"], ["0.300000"])
    read = load(tmp_path / "map.ang")
    assert read.size == len(groups)
    assert [p.name for _, p in read.phases] == groups


@pytest.mark.parametrize("step", [1 / 3, 0.0123456, 12.345678])
def test_rounded_positions_still_give_the_shape(step: float, tmp_path: Path) -> None:
    phase_map = certain(["m-3m"] * 3000, (2, 1500), step=(step, step), units="um")
    phase_map.save(tmp_path / "map.ang")
    assert load(tmp_path / "map.ang").shape == (2, 1500)


def test_steps_in_pixels_are_kept_as_numbers_and_said_to_be_such(tmp_path: Path) -> None:
    head, _ = saved(certain(["23"] * 6, (2, 3), step=(2, 1), units="px"), tmp_path)
    assert any("steps and positions are in pixels" in line for line in head)
    assert (values(head, "XSTEP:"), values(head, "YSTEP:")) == (["1.000000"], ["2.000000"])


def test_a_map_without_a_label_has_a_phase_that_no_point_has(tmp_path: Path) -> None:
    head, table = saved(PhaseMap.empty((2, 3)), tmp_path)
    assert values(head, "MaterialName") == ["undecided"]
    assert (table[:, 7] == 0).all()
    assert (load(tmp_path / "map.ang").phase_id == -1).all()


def test_a_map_of_one_point_is_one_line(tmp_path: Path) -> None:
    assert saved(certain(["-6"], (1, 1)), tmp_path)[1].shape == (1, 10)


def test_who_made_the_map_is_in_the_notes(
    make_map: Callable[..., PhaseMap], tmp_path: Path
) -> None:
    made = {"version": "9.8", "network": "default", "source": "a.h5", "network_sha256": "ab" * 32}
    head, _ = saved(make_map((1, 9), provenance=made), tmp_path)
    notes = head[head.index("NOTES: Start") : head.index("NOTES: End")]
    assert "napari-ebsd-phase 9.8" in notes
    assert {"network default", "source a.h5", f"network_sha256 {'ab' * 32}"} <= set(notes)
