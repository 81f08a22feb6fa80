# SPDX-License-Identifier: GPL-3.0-or-later
"""Channel text files: orix reads back what the map says, and every field is where others look."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import orix.io
import pytest
from orix.crystal_map import CrystalMap, Phase, PhaseList
from orix.quaternion import Rotation

from napari_ebsd_phase.crystallography import LAUE_GROUPS, POINT_GROUPS, laue_group
from napari_ebsd_phase.export import _phases
from napari_ebsd_phase.phase_map import PhaseMap

KEYS = [
    "Channel Text File", "Prj", "Author", "JobMode", "XCells", "YCells", "XStep", "YStep",
    "AcqE1", "AcqE2", "AcqE3", "Euler angles refer to Sample Coordinate system (CS0)!", "Phases",
]  # fmt: skip


def saved(phase_map: PhaseMap, folder: Path) -> tuple[list[list[str]], np.ndarray]:
    """Save a map and return the fields of the header lines and the table of numbers."""
    path = folder / "map.ctf"
    phase_map.save(path)
    lines = path.read_text("ascii").splitlines()
    table = next(i for i, line in enumerate(lines) if line.startswith("Phase\t")) + 1
    return [line.split("\t") for line in lines[:table]], np.loadtxt(lines[table:], ndmin=2)


def header(fields: list[list[str]]) -> dict[str, list[str]]:
    return {line[0]: line[1:] for line in fields}


def phase_lines(fields: list[list[str]]) -> list[list[str]]:
    return fields[len(KEYS) : -1]


def names_in(phase_map: PhaseMap) -> list[str]:
    """Return the name of the phase of every pixel that the formats use, "" for none."""
    label, level = phase_map.decide()
    return np.where(level == "laue_group", np.char.add("Laue ", label), label).ravel().tolist()


def certain(groups: list[str], shape: tuple[int, int], **attributes: object) -> PhaseMap:
    """Return a map whose pixels are certainly `groups`, row by row; "" is undecided."""
    one_hot = np.eye(32)[[POINT_GROUPS.index(name or "1") for name in groups]]
    one_hot[[not name for name in groups]] = 1 / 32
    return PhaseMap(
        one_hot.reshape(*shape, 32), np.full((*shape, 14), 1 / 14), np.ones(shape), **attributes
    )


def vendor_map(
    shape: tuple[int, int], phase_id: np.ndarray, *, cell: tuple[float, ...] | None = None
) -> CrystalMap:
    """Return a vendor's map of nickel (0) and zinc (1) with random orientations."""
    from diffpy.structure import Lattice, Structure

    y, x = np.indices(shape)
    structure = Structure(lattice=Lattice(*(cell or (3.52, 3.52, 3.52, 90, 90, 90))))
    phases = {
        0: Phase("nickel", point_group="m-3m", structure=structure),
        1: Phase("zinc", point_group="6/mmm"),
    }
    phases = {i: phase for i, phase in phases.items() if i in phase_id}
    return CrystalMap(
        Rotation.random(phase_id.size), phase_id=phase_id, x=x.ravel() * 0.25, y=y.ravel() * 0.5,
        phase_list=PhaseList(phases),
    )  # fmt: skip


def test_orix_reads_grid_phases_and_symmetries(phase_map: PhaseMap, tmp_path: Path) -> None:
    phase_map.save(tmp_path / "map.ctf")
    read = orix.io.load(tmp_path / "map.ctf")
    assert read.shape == phase_map.shape
    assert (read.dy, read.dx) == phase_map.step
    name_of = {i: phase.name for i, phase in read.phases} | {-1: ""}
    assert [name_of[i] for i in read.phase_id.tolist()] == names_in(phase_map)
    assert {"", "m-3m", "Laue m-3m"} <= set(names_in(phase_map))
    assert {p.point_group.name for i, p in read.phases if i > 0} == {"m-3m"}
    row, col = np.indices(phase_map.shape)
    np.testing.assert_allclose(read.y, row.ravel() * phase_map.step[0])
    np.testing.assert_allclose(read.x, col.ravel() * phase_map.step[1])


def test_every_point_group_has_the_number_of_its_laue_group(tmp_path: Path) -> None:
    fields, table = saved(certain(list(POINT_GROUPS), (4, 8)), tmp_path)
    lines = phase_lines(fields)
    assert [line[2] for line in lines] == list(POINT_GROUPS)
    # The 11 numbers in the order of the format, for the 32 groups in the order of the Tables.
    members = [2, 3, 3, 3, 4, 2, 3, 3, 4, 2, 3]
    assert [int(line[3]) for line in lines] == np.repeat(np.arange(1, 12), members).tolist()
    assert table[:, 0].tolist() == list(range(1, 33))


def test_orix_reads_every_laue_group_that_it_can(tmp_path: Path) -> None:
    # orix 0.15 knows no symmetry of the name that it gives to Laue group 10 (m-3).
    groups = [name for name in POINT_GROUPS if laue_group(name) != "m-3"]
    certain(groups, (5, 6)).save(tmp_path / "map.ctf")
    read = orix.io.load(tmp_path / "map.ctf")
    assert [p.point_group.name for _, p in read.phases] == [laue_group(name) for name in groups]


def test_a_label_of_a_coarser_level_is_a_phase_of_that_name(tmp_path: Path) -> None:
    trigonal = np.array([name.startswith(("3", "-3")) for name in POINT_GROUPS])
    laue_3 = np.isin(POINT_GROUPS, ["3", "-3"])
    probabilities = np.stack([trigonal / trigonal.sum(), laue_3 / laue_3.sum()])[np.newaxis]
    phase_map = PhaseMap(probabilities, np.full((1, 2, 14), 1 / 14), np.ones((1, 2)), threshold=0.9)
    fields, table = saved(phase_map, tmp_path)
    laue, system = phase_lines(fields)
    assert laue[2:4] == ["Laue -3", "6"]
    assert system[2:4] == ["trigonal", "7"]
    assert system[1] == "90.000;90.000;120.000"
    assert "point group undecided" in laue[-1]
    assert "crystal system only" in system[-1]
    assert table[:, 0].tolist() == [2, 1]


#: Header lines of the format in order: what follows the key in a map of 12 x 20 points at steps of
#: 0.25 and 0.5 um. The author is whoever made the file, in our words.
FIELDS = [
    ("Channel Text File", []),
    ("Prj", ["steel, annealed.h5oina"]),
    ("Author", None),
    ("JobMode", ["Grid"]),
    ("XCells", ["20"]),
    ("YCells", ["12"]),
    ("XStep", ["0.2500"]),
    ("YStep", ["0.5000"]),
    ("AcqE1", ["0"]),
    ("AcqE2", ["0"]),
    ("AcqE3", ["0"]),
    ("Euler angles refer to Sample Coordinate system (CS0)!", None),
    ("Phases", ["2"]),
]

#: On one line: names and values in turn.
MICROSCOPE = [
    "Mag", "Coverage", "Device", "KV", "TiltAngle", "TiltAxis", "DetectorOrientationE1",
    "DetectorOrientationE2", "DetectorOrientationE3", "WorkingDistance", "InsertionDistance",
]  # fmt: skip

#: Entries of a phase: edges, angles, name, number of the Laue group, number of the space group (0:
#: not known), two that are empty, comment.
PHASE = [
    ("edges", "1.000;1.000;1.000"),
    ("angles", "90.000;90.000;90.000"),
    ("name", "m-3m"),
    ("Laue group", "11"),
    ("space group", "0"),
    ("internal 1", ""),
    ("internal 2", ""),
    ("comment", None),
]

#: Columns with their limits and whether they are whole numbers.
COLUMNS = [
    ("Phase", 0, 2, True),
    ("X", 0, 19 * 0.25, False),
    ("Y", 0, 11 * 0.5, False),
    ("Bands", 0, 0, True),
    ("Error", 0, 6, True),
    ("Euler1", 0, 360, False),
    ("Euler2", 0, 180, False),
    ("Euler3", 0, 360, False),
    ("MAD", 0, 0, False),
    ("BC", 0, 255, True),
    ("BS", 0, 255, True),
]


@pytest.mark.parametrize("number", range(len(FIELDS)), ids=KEYS)
def test_every_line_of_the_header_says_what_the_map_is(
    phase_map: PhaseMap, tmp_path: Path, number: int
) -> None:
    key, expected = FIELDS[number]
    line = saved(phase_map, tmp_path)[0][number]
    assert line[0] == key == KEYS[number]
    assert line[1:] == expected or (expected is None and all(line[1:]))


def test_what_is_not_known_of_the_microscope_is_zero(phase_map: PhaseMap, tmp_path: Path) -> None:
    line = header(saved(phase_map, tmp_path)[0])[KEYS[-2]]
    assert line[0::2] == MICROSCOPE
    assert set(line[1::2]) == {"0"}


@pytest.mark.parametrize("number", range(len(PHASE)), ids=[name for name, _ in PHASE])
def test_every_entry_of_a_phase_is_in_its_place(
    phase_map: PhaseMap, tmp_path: Path, number: int
) -> None:
    lines = phase_lines(saved(phase_map, tmp_path)[0])
    assert [len(line) for line in lines] == [len(PHASE)] * 2
    expected = PHASE[number][1]
    entry = lines[0][number]
    assert entry == expected or (expected is None and entry.startswith("point group m-3m; colour"))


@pytest.mark.parametrize("number", range(len(COLUMNS)), ids=[name for name, *_ in COLUMNS])
def test_every_column_has_its_place_and_its_units(
    phase_map: PhaseMap, tmp_path: Path, number: int
) -> None:
    phase_map.crystal_map = vendor_map((12, 20), np.zeros(240, int))
    fields, table = saved(phase_map, tmp_path)
    name, least, most, whole = COLUMNS[number]
    assert table.shape == (240, len(COLUMNS))
    assert fields[-1][number] == name
    column = table[:, number]
    assert least <= column.min() <= column.max() <= most
    assert not whole or (column == column.astype(int)).all()


def test_mtex_finds_the_phases_in_the_hundred_lines_that_it_reads(tmp_path: Path) -> None:
    certain(list(POINT_GROUPS), (4, 8)).save(tmp_path / "map.ctf")
    lines = (tmp_path / "map.ctf").read_text("ascii").splitlines()[:100]
    (start,) = (i for i, line in enumerate(lines) if "Phases" in line)
    assert int(lines[start].split()[1]) == 32
    for line, group in zip(lines[start + 1 :], POINT_GROUPS, strict=False):
        edges, angles, name, laue = line.split("\t")[:4]
        assert len(edges.split(";")) == len(angles.split(";")) == 3
        assert (name, LAUE_GROUPS[int(laue) - 1]) == (group, laue_group(group))


def test_lines_end_as_on_windows(phase_map: PhaseMap, tmp_path: Path) -> None:
    phase_map.save(tmp_path / "map.ctf")
    content = (tmp_path / "map.ctf").read_bytes()
    assert content.count(b"\r\n") == content.count(b"\n")
    assert content.endswith(b"\r\n")


def test_the_word_by_which_mtex_finds_the_list_of_phases_stands_only_there(
    make_map: Callable[..., PhaseMap], tmp_path: Path
) -> None:
    source = "Phases of steel\n\t µ \udcff.h5oina"
    make_map((2, 9), sources=[source], provenance={"source": source}).save(tmp_path / "map.ctf")
    text = (tmp_path / "map.ctf").read_text("ascii")
    assert text.count("Phases") == 1
    assert orix.io.load(tmp_path / "map.ctf").shape == (2, 9)


def test_quality_and_probability_are_band_contrast_and_slope(
    phase_map: PhaseMap, tmp_path: Path
) -> None:
    _, table = saved(phase_map, tmp_path)
    codes, probability = (array.ravel() for array in phase_map.label_codes())
    quality = phase_map.pattern_quality.ravel()
    assert np.abs(table[:, 9] / 255 - quality).max() <= 0.5 / 255 + 1e-6
    named = codes > 0
    assert np.abs(table[named, 10] / 255 - probability[named]).max() <= 0.5 / 255 + 1e-6
    assert (table[~named, 10] == 0).all()
    assert (table[:, [3, 8]] == 0).all()


def test_points_without_a_phase_say_why(tmp_path: Path) -> None:
    phase_map = certain(["m-3m", "m-3m", "", "m-3m"], (2, 2), quality_threshold=0.5)
    phase_map.pattern_quality[0, 1] = 0.4
    phase_map.pattern_quality[1, 1] = np.nan
    phase_map.done[1, 1] = False
    _, table = saved(phase_map, tmp_path)
    assert table[:, 0].tolist() == [1, 0, 0, 0]
    assert table[:, 4].tolist() == [0, 1, 3, 5]
    assert table[3, 9] == 0
    assert orix.io.load(tmp_path / "map.ctf").is_indexed.tolist() == [True, False, False, False]


def test_without_orientations_the_header_says_that_none_is_predicted(
    phase_map: PhaseMap, tmp_path: Path
) -> None:
    fields, table = saved(phase_map, tmp_path)
    assert "no orientation is predicted" in header(fields)["Author"][0]
    assert (table[:, 5:8] == 0).all()


def test_orientations_of_the_vendor_are_kept_where_there_are_any(
    phase_map: PhaseMap, tmp_path: Path
) -> None:
    ids = np.zeros(240, int)
    ids[:7] = -1
    phase_map.crystal_map = vendor_map((12, 20), ids)
    fields, table = saved(phase_map, tmp_path)
    read = orix.io.load(tmp_path / "map.ctf")
    kept = read.is_indexed & (ids >= 0)
    assert kept.sum() > 100
    turned = (~read.rotations[kept] * phase_map.crystal_map.rotations[kept]).angle
    assert np.rad2deg(turned).max() < 1e-3
    assert (table[~kept, 5:8] == 0).all()
    assert "0 at 7 points that the vendor did not index" in header(fields)["Author"][0]


def test_orientations_of_a_part_of_the_points_are_not_spread_over_all(
    phase_map: PhaseMap, tmp_path: Path
) -> None:
    phase_map.crystal_map = vendor_map((12, 20), np.zeros(240, int))[:5]
    fields, table = saved(phase_map, tmp_path)
    assert (table[:, 5:8] == 0).all()
    assert "the source file has none" in header(fields)["Author"][0]


@pytest.mark.parametrize("scale", [1.0, 0.1], ids=["angstrom", "nanometres"])
def test_the_cell_of_the_vendor_is_taken_where_the_symmetries_agree(
    tmp_path: Path, scale: float
) -> None:
    groups = ["m-3m", "m-3m", "m-3m", "6/mmm", "432", "432"]
    cell = (3.52 * scale,) * 3 + (90.0, 90.0, 90.0)
    # The vendor calls two of three m-3m points nickel, the hexagonal one, too, and 432 zinc.
    vendor = vendor_map((2, 3), np.array([0, 0, 1, 0, 1, 1]), cell=cell)
    fields, _ = saved(certain(groups, (2, 3), crystal_map=vendor), tmp_path)
    by_name = {line[2]: line for line in phase_lines(fields)}
    assert by_name["m-3m"][0] == "3.520;3.520;3.520"
    assert "cell of nickel" in by_name["m-3m"][-1]
    for name, angles in (("6/mmm", "90.000;90.000;120.000"), ("432", "90.000;90.000;90.000")):
        assert by_name[name][:2] == ["1.000;1.000;1.000", angles]
        assert "lattice parameters unknown" in by_name[name][-1]


def test_steps_in_pixels_are_kept_as_numbers_and_said_to_be_such(tmp_path: Path) -> None:
    fields, _ = saved(certain(["432"] * 6, (2, 3), step=(2, 1), units="px"), tmp_path)
    assert "steps and positions are in pixels" in header(fields)["Author"][0]
    assert (float(header(fields)["XStep"][0]), float(header(fields)["YStep"][0])) == (1, 2)


@pytest.mark.parametrize("shape", [(1, 7), (7, 1), (3, 2)])
def test_maps_of_any_shape_have_their_positions(shape: tuple[int, int], tmp_path: Path) -> None:
    groups = list(POINT_GROUPS[: shape[0] * shape[1]])
    fields, table = saved(certain(groups, shape, step=(0.3, 0.02), units="um"), tmp_path)
    row, col = np.indices(shape)
    np.testing.assert_allclose(table[:, 1], col.ravel() * 0.02)
    np.testing.assert_allclose(table[:, 2], row.ravel() * 0.3)
    assert (float(header(fields)["XStep"][0]), float(header(fields)["YStep"][0])) == (0.02, 0.3)
    read = orix.io.load(tmp_path / "map.ctf")
    assert read.size == len(groups)
    assert [p.name for _, p in read.phases] == groups


def test_a_map_of_one_point_is_one_line(tmp_path: Path) -> None:
    _, table = saved(certain(["-6"], (1, 1)), tmp_path)
    assert table.shape == (1, 11)


@pytest.mark.parametrize("step", [1 / 3, 0.0123456, 12.345678])
def test_rounded_positions_still_give_the_shape(step: float, tmp_path: Path) -> None:
    groups = ["m-3m"] * 3000
    phase_map = certain(groups, (2, 1500), step=(step, step), units="um")
    phase_map.save(tmp_path / "map.ctf")
    assert orix.io.load(tmp_path / "map.ctf").shape == (2, 1500)


def test_a_map_without_a_label_has_a_phase_that_no_point_has(tmp_path: Path) -> None:
    fields, table = saved(PhaseMap.empty((2, 3)), tmp_path)
    (line,) = phase_lines(fields)
    assert line[2] == "undecided"
    assert (table[:, 0] == 0).all()
    assert (orix.io.load(tmp_path / "map.ctf").phase_id == -1).all()


def test_a_large_map_is_written_block_by_block_without_a_seam(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_map: Callable[..., PhaseMap]
) -> None:
    phase_map = make_map((30, 40))
    whole = saved(phase_map, tmp_path)[1]
    (tmp_path / "map.ctf").unlink()
    monkeypatch.setattr(_phases, "_BLOCK", 7)
    np.testing.assert_array_equal(saved(phase_map, tmp_path)[1], whole)


def test_who_made_the_map_is_in_the_header(
    make_map: Callable[..., PhaseMap], tmp_path: Path
) -> None:
    made = {"version": "9.8", "network": "default", "source": "a.h5", "date": "2026-01-02"}
    fields, _ = saved(make_map((1, 9), provenance=made), tmp_path)
    author = header(fields)["Author"][0]
    assert author.startswith("napari-ebsd-phase 9.8; ")
    assert all(f"{key} {made[key]}" in author for key in ("network", "source", "date"))
