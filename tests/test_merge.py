# SPDX-License-Identifier: GPL-3.0-or-later
"""A phase map beside the phases of another program: where they agree, and one map of both."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import orix.io
import pytest
from orix.crystal_map import CrystalMap, Phase, PhaseList
from orix.quaternion import Rotation

from napari_ebsd_phase.crystallography import POINT_GROUPS, laue_group
from napari_ebsd_phase.errors import InputError
from napari_ebsd_phase.export.provenance import read_provenance
from napari_ebsd_phase.labels import label_table
from napari_ebsd_phase.merge import VERDICTS, Merged, compare, load_vendor_map, merge
from napari_ebsd_phase.merge.comparison import Symmetry
from napari_ebsd_phase.phase_map import PhaseMap

from ._vendor_maps import EXPECTED, SHAPE, VENDOR, ours, theirs


def test_every_point_is_said_what_is_true_of_it() -> None:
    comparison = compare(ours())
    assert comparison.verdict.ravel().tolist() == EXPECTED
    for number, verdict in enumerate(VERDICTS):
        assert comparison.points(verdict) == EXPECTED.count(number)
    assert np.flatnonzero(comparison.disagreement).tolist() == [
        i for i, verdict in enumerate(EXPECTED) if verdict == 3
    ]


def test_the_table_counts_every_classified_point_once() -> None:
    table = compare(ours()).table
    assert sum(row.points for row in table) == 16
    assert {row.vendor_phase for row in table} == {"nickel", "zinc", "dirt", ""}
    for phase in ("nickel", "zinc", ""):
        assert sum(row.share for row in table if row.vendor_phase == phase) == pytest.approx(1)
    # The vendor's phases one after the other, without a phase last; the commonest label first.
    order = [row.vendor_phase for row in table]
    assert order == sorted(order, key=["nickel", "zinc", "dirt", ""].index)
    nickel = [row.points for row in table if row.vendor_phase == "nickel"]
    assert nickel == sorted(nickel, reverse=True)


def test_a_row_says_how_well_a_label_fits_a_phase() -> None:
    row = compare(ours()).table[0]
    assert (row.vendor_phase, row.vendor_symmetry, row.vendor_lattice) == ("nickel", "m-3m", "cF")
    assert (row.label, row.level, row.points) == ("m-3m", "point_group", 2)
    assert row.agrees is True
    assert row.same_lattice == 0.5  # one of the two is cI
    assert row.share == pytest.approx(2 / 6)
    assert row.probability == pytest.approx(0.96125)


def test_what_one_side_does_not_name_neither_agrees_nor_differs() -> None:
    table = compare(ours()).table
    assert all((row.agrees is None) == (not row.vendor_symmetry or not row.label) for row in table)
    assert all(row.same_lattice is None for row in table if row.vendor_phase != "nickel")


#: A space group, labels that are right about it, and labels that are not.
ALLOWED = [
    (225, ["m-3m", "Laue m-3m", "cubic"], ["432", "-43m", "Laue m-3", "tetragonal"]),
    (216, ["-43m", "Laue m-3m", "cubic"], ["m-3m", "23", "Laue m-3"]),
    (198, ["23", "Laue m-3", "cubic"], ["432", "Laue m-3m"]),
    (186, ["6mm", "Laue 6/mmm", "hexagonal"], ["6/mmm", "Laue 6/m", "trigonal"]),
    (167, ["-3m", "Laue -3m", "trigonal"], ["3m", "32", "Laue -3", "hexagonal"]),
    (14, ["2/m", "Laue 2/m", "monoclinic"], ["2", "m", "Laue mmm"]),
    (1, ["1", "Laue -1", "triclinic"], ["-1", "Laue 2/m"]),
]


@pytest.mark.parametrize(("number", "right", "wrong"), ALLOWED, ids=[str(n) for n, *_ in ALLOWED])
def test_labels_are_compared_at_their_level(
    number: int, right: list[str], wrong: list[str]
) -> None:
    symmetry = Symmetry.of(Phase(space_group=number))
    by_title = {label.title: label for label in label_table()}
    assert all(symmetry.allows(by_title[title]) for title in right)
    assert not any(symmetry.allows(by_title[title]) for title in wrong)


@pytest.mark.parametrize("group", POINT_GROUPS)
def test_without_a_space_group_the_laue_group_counts(group: str) -> None:
    # Vendors' formats know Laue groups, and orix makes rotation groups of those in .ang files.
    name = {"2": "112", "m": "11m"}.get(group, group)
    symmetry = Symmetry.of(Phase(point_group=name))
    assert symmetry == Symmetry("", laue_group(group), "")
    for label in label_table():
        if label.level == "point_group":
            assert symmetry.allows(label) == (laue_group(label.name) == laue_group(group))


def test_an_unsure_lattice_is_no_other_lattice() -> None:
    unsure = ours()
    unsure.bravais_probabilities = np.where(
        np.isnan(unsure.bravais_probabilities), np.nan, 0.3 * unsure.bravais_probabilities + 0.05
    ).astype(np.float32)
    assert compare(unsure).points("another lattice") == 0
    assert compare(unsure).points("agree") == EXPECTED.count(1) + EXPECTED.count(2)


def test_another_map_of_the_same_grid_can_be_given() -> None:
    assert compare(ours(crystal_map=None), theirs()).verdict.ravel().tolist() == EXPECTED


def test_of_several_solutions_the_first_counts() -> None:
    vendor = theirs()
    several = CrystalMap(
        Rotation(np.repeat(vendor.rotations.data[:, np.newaxis], 2, axis=1)),
        phase_id=vendor.phase_id,
        x=vendor.x,
        y=vendor.y,
        phase_list=vendor.phases,
    )
    merged = merge(ours(), several, replace=["unindexed"]).to_crystal_map()
    kept = merged.is_indexed & ~merged.replaced
    np.testing.assert_allclose(merged.rotations[kept].data, vendor.rotations[kept].data)


#: What is chosen, the least probability, and the numbers of the points that change.
REPLACED = [
    (["unindexed"], 0.0, [10, 19]),
    (["disagreeing"], 0.0, [4, 7, 13, 14]),
    (["zinc"], 0.0, [5, 6, 7, 8, 14]),
    (["dirt", "unindexed"], 0.0, [10, 12, 19]),
    (["disagreeing", "unindexed"], 0.965, [7]),
    (["nickel", "zinc", "dirt", "unindexed"], 1.0, []),
]


@pytest.mark.parametrize(
    ("replace", "least", "points"), REPLACED, ids=[" ".join(r) for r, *_ in REPLACED]
)
def test_only_what_was_chosen_changes(replace: list[str], least: float, points: list[int]) -> None:
    merged = merge(ours(), replace=replace, least=least)
    assert np.flatnonzero(merged.replaced).tolist() == points
    crystal_map, vendor, labels = merged.to_crystal_map(), theirs(), ours().label.ravel()
    for i, number in enumerate(crystal_map.phase_id.tolist()):
        if i in points:
            assert labels[i] in crystal_map.phases[number].name
            assert number > 3
        else:
            assert number == VENDOR[i]
    kept = np.array([i not in points and VENDOR[i] > 0 for i in range(20)])
    np.testing.assert_allclose(crystal_map.rotations[kept].data, vendor.rotations[kept].data)
    assert (crystal_map.rotations[~kept].angle == 0).all()
    assert crystal_map.prop["replaced"].nonzero()[0].tolist() == points


def test_phases_of_the_vendor_stay_what_they_are() -> None:
    phases = merge(ours(), replace=["unindexed"]).to_crystal_map().phases
    assert phases["nickel"].space_group.number == 225
    assert phases["nickel"].color == "teal"
    assert phases["nickel"].structure.lattice.a == pytest.approx(3.52)
    assert phases["m-3m"].space_group is None


@pytest.fixture
def merged() -> Merged:
    """Our labels where the vendor's symmetry is another or there is none."""
    return merge(ours(), replace=["disagreeing", "unindexed"])


@pytest.mark.parametrize("suffix", [".h5", ".ang", ".ctf"])
def test_orix_reads_the_merged_file(merged: Merged, tmp_path: Path, suffix: str) -> None:
    merged.save(tmp_path / f"both{suffix}")
    options = {"autogen_names": False} if suffix == ".ang" else {}
    read = orix.io.load(tmp_path / f"both{suffix}", **options)
    made = merged.to_crystal_map()
    assert read.shape == SHAPE
    assert (read.dy, read.dx) == (0.5, 0.25)

    def named(crystal_map: CrystalMap) -> list[str]:
        names = {number: phase.name for number, phase in crystal_map.phases} | {-1: "not_indexed"}
        return [names[number] for number in crystal_map.phase_id.tolist()]

    assert named(read) == named(made)
    kept = read.is_indexed & ~made.prop["replaced"]
    turned = (~read.rotations[kept] * made.rotations[kept]).angle
    assert np.rad2deg(turned).max() < 2e-3


def test_the_text_formats_keep_the_phases_of_the_vendor(merged: Merged, tmp_path: Path) -> None:
    merged.save(tmp_path / "both.ctf")
    lines = (tmp_path / "both.ctf").read_text().splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("Phases"))
    entries = [line.split("\t") for line in lines[start + 1 :][: int(lines[start].split()[1])]]
    by_name = {entry[2]: entry for entry in entries}
    assert list(by_name)[:3] == ["nickel", "zinc", "dirt"]
    assert by_name["nickel"][:5] == [
        "3.520;3.520;3.520",
        "90.000;90.000;90.000",
        "nickel",
        "11",
        "225",
    ]
    assert by_name["zinc"][3:5] == ["9", "0"]
    assert "does not tell its symmetry" in by_name["dirt"][-1]
    assert by_name["m-3m"][4] == "0"
    assert "merged" not in by_name["m-3m"][-1]
    assert "6 points have a label of this one instead: disagreeing, unindexed" in lines[2]
    merged.save(tmp_path / "both.ang")
    head = (tmp_path / "both.ang").read_text().partition("GRID")[0]
    # nickel, of which the space group is known, and our point groups
    assert head.count("# PointGroupID") == 1 + 4
    assert "# PointGroupID          131" in head


def test_probabilities_are_those_of_the_phase_that_is_written(
    merged: Merged, tmp_path: Path
) -> None:
    merged.save(tmp_path / "both.ang")
    table = np.loadtxt(tmp_path / "both.ang")
    groups = ours().probabilities("point_group").reshape(20, 32)
    laue = ours().probabilities("laue_group").reshape(20, 11)
    assert table[0, 6] == pytest.approx(groups[0, -1], abs=1e-5)  # nickel is m-3m
    assert table[6, 6] == pytest.approx(laue[6, 8], abs=1e-5)  # zinc is Laue 6/mmm
    assert table[4, 6] == pytest.approx(groups[4, POINT_GROUPS.index("432")], abs=1e-5)  # ours
    assert table[12, 6] == 0  # dirt has no symmetry
    assert table[15, 6] == 0  # not classified
    assert table[11, 6] == -1  # not indexed


@pytest.mark.parametrize("suffix", [".h5", ".ang", ".ctf"])
def test_a_merged_file_says_what_made_it(merged: Merged, tmp_path: Path, suffix: str) -> None:
    merged.save(tmp_path / f"both{suffix}")
    told = read_provenance(tmp_path / f"both{suffix}")
    if suffix == ".h5":
        assert told["network"] == "default"
        assert told["merged"] == {"replaced": "disagreeing, unindexed", "points": 6}
    else:
        assert "network default" in told["notes"]
        assert any("disagreeing, unindexed" in note for note in told["notes"])


def test_what_made_a_merged_file_is_not_read_from_another(merged: Merged, tmp_path: Path) -> None:
    merged.save(tmp_path / "both.h5")
    merged.save(tmp_path / "other.h5")
    with h5py.File(tmp_path / "both.h5", "r+") as file:
        del file["napari_ebsd_phase_merged"]
        link = h5py.ExternalLink(str(tmp_path / "other.h5"), "/napari_ebsd_phase_merged")
        file["napari_ebsd_phase_merged"] = link
    with pytest.raises(InputError, match="another file"):
        read_provenance(tmp_path / "both.h5")


@pytest.mark.parametrize("told", ["[1, 2", "{}", "7"])
def test_damaged_words_on_what_made_it_are_one_line(
    merged: Merged, tmp_path: Path, told: str
) -> None:
    merged.save(tmp_path / "both.h5")
    with h5py.File(tmp_path / "both.h5", "r+") as file:
        del file["napari_ebsd_phase_merged/provenance"]
        file["napari_ebsd_phase_merged/provenance"] = told
    with pytest.raises(InputError) as caught:
        read_provenance(tmp_path / "both.h5")
    assert "\n" not in str(caught.value)


def test_a_merged_file_is_no_phase_map(merged: Merged, tmp_path: Path) -> None:
    merged.save(tmp_path / "both.h5")
    with pytest.raises(InputError, match="not a phase map"):
        PhaseMap.load(tmp_path / "both.h5")
    with pytest.raises(InputError, match="--overwrite"):
        merged.save(tmp_path / "both.h5")


@pytest.mark.parametrize("suffix", [".ang", ".ctf", ".h5"])
def test_a_map_in_a_file_of_its_own_is_compared_too(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"vendor{suffix}"
    merge(ours(), replace=["unindexed"], least=1.0).save(path)  # the vendor's, unchanged
    vendor = load_vendor_map(path)
    verdict = compare(ours(crystal_map=None), vendor).verdict.ravel()
    if suffix != ".ang":  # in which orix finds no space group; a .ctf has its number
        assert verdict.tolist()[:10] == EXPECTED[:10]
    else:
        assert verdict.tolist()[:5] == [1, 1, 1, 1, 1]
    assert verdict.tolist()[13:] == EXPECTED[13:]


def test_a_number_of_no_phase_is_not_indexed(tmp_path: Path) -> None:
    # As EDAX writes it: 0 in a map of two phases, whatever the confidence.
    path = tmp_path / "vendor.ang"
    merge(ours(), replace=["unindexed"], least=1.0).save(path)
    lines = path.read_text().splitlines()
    lines = [line.replace("-1.00000   0", " 0.00000   0") for line in lines]
    path.write_text("\n".join(lines) + "\n")
    vendor = load_vendor_map(path)
    assert (vendor.phase_id == -1).tolist() == [number == -1 for number in VENDOR]


def write_binary(path: Path) -> Path:
    path.write_bytes(bytes(range(256)) * 4)
    return path


def hollow(path: Path) -> Path:
    with h5py.File(path, "w") as file:
        file["manufacturer"] = "orix"
        shape = (2**30,)
        file.create_dataset("crystal_map/data/phase_id", shape, np.int64, chunks=(2**20,))
    return path


def leading_out(path: Path) -> Path:
    with h5py.File(path, "w") as file:
        file["manufacturer"] = "orix"
        file["crystal_map"] = h5py.ExternalLink("other.h5", "/crystal_map")
    return path


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda folder: hollow(folder / "a.h5"), "promises 8,589 MB"),
        (lambda folder: leading_out(folder / "a.h5"), "another file"),
        (lambda folder: folder / "missing.ang", "no file"),
        (lambda folder: folder / "map.osc", "none of"),
        (lambda folder: folder, "none of"),
        (lambda folder: write_binary(folder / "a.ang"), "cannot read"),
        (lambda folder: write_binary(folder / "a.ctf"), "cannot read"),
        (lambda folder: write_binary(folder / "a.h5"), "cannot read"),
    ],
    ids=[
        "hollow h5",
        "leading out",
        "missing",
        "osc",
        "folder",
        "binary ang",
        "binary ctf",
        "binary h5",
    ],
)
def test_files_that_are_no_maps_are_refused_in_one_line(
    tmp_path: Path, make: Callable[[Path], Path], words: str
) -> None:
    with pytest.raises(InputError, match=words) as caught:
        load_vendor_map(make(tmp_path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda: compare(ours(crystal_map=None)), "no phases of another program"),
        (lambda: compare(ours(), theirs()[:2]), "2 x 5 points, ours 4 x 5"),
        (lambda: merge(ours(), replace=[]), "nothing is to be replaced"),
        (lambda: merge(ours(), replace=["Zinc"]), "no phase 'Zinc'.*'dirt', 'nickel', 'zinc'"),
        (lambda: merge(ours(), replace=["zinc"], least=2), "between 0 and 1"),
        (lambda: merge(ours(), replace=["zinc"]).save("map.csv"), "use one of .h5, .ang, .ctf"),
    ],
    ids=["no vendor", "other grid", "nothing", "no such phase", "least", "format"],
)
def test_what_cannot_be_done_is_said_in_one_line(ask: Callable[[], object], words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        ask()
    assert "\n" not in str(caught.value)


def test_phases_without_names_have_their_numbers() -> None:
    vendor = theirs()
    nameless = CrystalMap(
        vendor.rotations,
        phase_id=vendor.phase_id,
        x=vendor.x,
        y=vendor.y,
        phase_list=PhaseList({1: Phase(space_group=225), 2: Phase(space_group=194), 3: Phase()}),
    )
    assert {row.vendor_phase for row in compare(ours(), nameless).table} == {
        "phase 1", "phase 2", "phase 3", "",
    }  # fmt: skip
    assert merge(ours(), nameless, replace=["phase 2"]).replaced.sum() == 5
