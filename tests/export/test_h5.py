# SPDX-License-Identifier: GPL-3.0-or-later
"""The faithful format: orix reads it, and nothing is lost."""

from __future__ import annotations

import json
import os
from pathlib import Path

import h5py
import kikuchipy
import numpy as np
import orix.io
import pytest
from orix.crystal_map import CrystalMap
from orix.quaternion import Rotation

from napari_ebsd_phase.crystallography import (
    LAUE_GROUPS,
    LEVELS,
    POINT_GROUPS,
    SYSTEM_INDEX,
    names,
)
from napari_ebsd_phase.errors import InputError
from napari_ebsd_phase.phase_map import PhaseMap


@pytest.fixture
def nickel() -> CrystalMap:
    """The vendor's phases and orientations of 3 x 3 measured patterns."""
    return kikuchipy.data.nickel_ebsd_small().xmap


def with_certain_labels(
    shape: tuple[int, int], groups: list[str], **attributes: object
) -> PhaseMap:
    """Return a map whose pixels are certainly `groups`, row by row."""
    probabilities = np.eye(32)[[POINT_GROUPS.index(name) for name in groups]]
    return PhaseMap(
        probabilities.reshape(*shape, 32),
        np.full((*shape, 14), 1 / 14),
        np.ones(shape),
        **attributes,
    )


def test_a_saved_map_comes_back_equal(phase_map: PhaseMap, tmp_path: Path) -> None:
    phase_map.save(tmp_path / "map.h5")
    assert PhaseMap.load(tmp_path / "map.h5") == phase_map


def test_a_map_in_part_comes_back_equal(partial_map: PhaseMap, tmp_path: Path) -> None:
    partial_map.save(tmp_path / "map.h5")
    loaded = PhaseMap.load(tmp_path / "map.h5")
    assert loaded == partial_map
    np.testing.assert_array_equal(loaded.done, partial_map.done)


def test_the_quality_that_a_label_needs_comes_back_and_older_files_have_none(
    tmp_path: Path,
) -> None:
    phase_map = with_certain_labels((1, 2), ["m-3m", "6/mmm"], quality_threshold=0.4)
    phase_map.save(tmp_path / "map.h5")
    assert PhaseMap.load(tmp_path / "map.h5").quality_threshold == 0.4
    with h5py.File(tmp_path / "map.h5", "r+") as file:
        del file["napari_ebsd_phase"].attrs["quality_threshold"]
    assert PhaseMap.load(tmp_path / "map.h5").quality_threshold == 0.0


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (3, 2)])
def test_maps_of_any_shape_come_back_and_open_in_orix(
    shape: tuple[int, int], tmp_path: Path
) -> None:
    groups = [POINT_GROUPS[4 * i] for i in range(shape[0] * shape[1])]
    sources = [f"{i}.png" for i in range(len(groups))]
    phase_map = with_certain_labels(shape, groups, sources=sources)
    phase_map.save(tmp_path / "map.h5")
    assert PhaseMap.load(tmp_path / "map.h5") == phase_map
    assert orix.io.load(tmp_path / "map.h5").size == len(groups)


def test_orix_reads_the_labels_as_phases(phase_map: PhaseMap, tmp_path: Path) -> None:
    phase_map.save(tmp_path / "map.h5")
    crystal_map = orix.io.load(tmp_path / "map.h5")
    assert crystal_map.shape == phase_map.shape
    assert (crystal_map.dy, crystal_map.dx) == phase_map.step
    assert crystal_map.scan_unit == "um"
    phase_name = {i: phase.name for i, phase in crystal_map.phases} | {-1: ""}
    label, level = phase_map.decide()
    expected = np.where(level == "laue_group", np.char.add("Laue ", label), label)
    read = [phase_name[int(i)] for i in crystal_map.phase_id]
    assert read == expected.ravel().tolist()
    assert "" in read
    assert "Laue m-3m" in read


def test_every_point_group_is_the_right_one_in_orix(tmp_path: Path) -> None:
    with_certain_labels((4, 8), list(POINT_GROUPS)).save(tmp_path / "map.h5")
    crystal_map = orix.io.load(tmp_path / "map.h5")
    sizes = [1, 2, 2, 2, 4, 4, 4, 8, 4, 4, 8, 8, 8, 8, 16, 3, 6, 6, 6, 12]
    sizes += [6, 6, 12, 12, 12, 12, 24, 12, 24, 24, 24, 48]
    order = dict(zip(POINT_GROUPS, sizes, strict=True))
    by_name = {phase.name: phase.point_group for _, phase in crystal_map.phases}
    assert list(by_name) == list(POINT_GROUPS)
    assert {name: group.size for name, group in by_name.items()} == order
    for name, group in by_name.items():
        assert (group.contains_inversion) == (name in LAUE_GROUPS)
    assert len({group.name for group in by_name.values()}) == 32


@pytest.mark.parametrize(
    ("system", "holohedry"),
    [
        ("triclinic", "-1"),
        ("monoclinic", "2/m"),
        ("orthorhombic", "mmm"),
        ("tetragonal", "4/mmm"),
        ("trigonal", "-3m"),
        ("hexagonal", "6/mmm"),
        ("cubic", "m-3m"),
    ],
)
def test_a_crystal_system_has_the_point_group_of_its_lattice(
    system: str, holohedry: str, tmp_path: Path
) -> None:
    members = np.equal(SYSTEM_INDEX, names("crystal_system").index(system))
    phase_map = PhaseMap(
        (members / members.sum())[np.newaxis, np.newaxis],
        np.full((1, 1, 14), 1 / 14),
        np.ones((1, 1)),
        threshold=1 - 1e-6,
    )
    assert phase_map.level[0, 0] != "none"
    phase_map.save(tmp_path / "map.h5")
    (phase,) = [phase for _, phase in orix.io.load(tmp_path / "map.h5").phases]
    assert phase.point_group.name == holohedry


def test_properties_hold_the_scalar_maps(phase_map: PhaseMap, tmp_path: Path) -> None:
    phase_map.save(tmp_path / "map.h5")
    read = orix.io.load(tmp_path / "map.h5").prop
    for level in LEVELS:
        index, probability = phase_map.most_probable(level)
        np.testing.assert_array_equal(read[level], index.ravel())
        np.testing.assert_array_equal(read[f"{level}_probability"], probability.ravel())
    np.testing.assert_array_equal(read["pattern_quality"], phase_map.pattern_quality.ravel())
    order = ["none", "crystal_system", "laue_group", "point_group"]
    assert [order[i] for i in read["level"]] == phase_map.level.ravel().tolist()


def test_a_map_without_a_single_label_opens_in_orix(tmp_path: Path) -> None:
    PhaseMap.empty((2, 3)).save(tmp_path / "map.h5")
    assert (orix.io.load(tmp_path / "map.h5").phase_id == -1).all()


def test_without_orientations_the_file_says_that_none_is_predicted(
    phase_map: PhaseMap, tmp_path: Path
) -> None:
    phase_map.save(tmp_path / "map.h5")
    with h5py.File(tmp_path / "map.h5") as file:
        assert "no orientation is predicted" in file.attrs["orientations"]
        assert file.attrs["orientations"].startswith("none")
    assert (orix.io.load(tmp_path / "map.h5").rotations.angle == 0).all()


def test_orientations_of_the_vendor_are_kept(nickel: CrystalMap, tmp_path: Path) -> None:
    phase_map = with_certain_labels((3, 3), ["m-3m"] * 9, crystal_map=nickel)
    phase_map.save(tmp_path / "map.h5")
    crystal_map = orix.io.load(tmp_path / "map.h5")
    assert (nickel.rotations.angle > 0.1).any()
    np.testing.assert_allclose(crystal_map.rotations.data, nickel.rotations.data, atol=1e-6)
    with h5py.File(tmp_path / "map.h5") as file:
        assert file.attrs["orientations"].startswith("vendor")


def test_the_phases_of_the_vendor_come_back(nickel: CrystalMap, tmp_path: Path) -> None:
    nickel.prop["comment"] = np.array(["text"] * 9)
    phase_map = with_certain_labels((3, 3), ["m-3m"] * 9, crystal_map=nickel)
    phase_map.save(tmp_path / "map.h5")
    loaded = PhaseMap.load(tmp_path / "map.h5")
    assert loaded == phase_map
    assert loaded.crystal_map is not None
    assert loaded.crystal_map.phases[0].name == "ni"
    np.testing.assert_array_equal(loaded.crystal_map.prop["scores"], nickel.prop["scores"])
    assert "comment" in nickel.prop


def test_orientations_for_a_part_of_the_pixels_are_not_spread_over_all(
    nickel: CrystalMap, tmp_path: Path
) -> None:
    phase_map = with_certain_labels((3, 3), ["m-3m"] * 9, crystal_map=nickel[:2])
    phase_map.save(tmp_path / "map.h5")
    assert (orix.io.load(tmp_path / "map.h5").rotations.angle == 0).all()
    with h5py.File(tmp_path / "map.h5") as file:
        assert file.attrs["orientations"].startswith("none")


def test_maps_with_different_vendor_orientations_differ(nickel: CrystalMap) -> None:
    other = CrystalMap(
        rotations=Rotation.random(9), phase_id=nickel.phase_id, x=nickel.x, y=nickel.y,
        phase_list=nickel.phases,
    )  # fmt: skip
    one = with_certain_labels((3, 3), ["m-3m"] * 9, crystal_map=nickel)
    assert one != with_certain_labels((3, 3), ["m-3m"] * 9, crystal_map=other)
    assert one != with_certain_labels((3, 3), ["m-3m"] * 9)


def test_provenance_and_labels_are_readable_without_this_program(
    phase_map: PhaseMap, tmp_path: Path
) -> None:
    phase_map.save(tmp_path / "map.h5")
    with h5py.File(tmp_path / "map.h5") as file:
        group = file["napari_ebsd_phase"]
        assert json.loads(group["provenance"][()])["network_sha256"] == "0" * 64
        labels = json.loads(group["labels"][()])
        assert {(v["level"], v["name"]) for v in labels.values()} >= {("laue_group", "m-3m")}
        assert group["point_group_probabilities"].dtype == np.float32


def test_names_that_are_no_text_come_back(tmp_path: Path) -> None:
    names_of_files = [os.fsdecode(b"\xff\xfe.png"), "µ-Fe 中.png"]
    phase_map = with_certain_labels((1, 2), ["432", "23"], sources=names_of_files)
    phase_map.save(tmp_path / "map.h5")
    assert PhaseMap.load(tmp_path / "map.h5").sources == names_of_files


@pytest.mark.parametrize(("version", "advice"), [(99, "update"), (0, "classify the scan again")])
def test_another_format_version_is_refused_with_advice(
    phase_map: PhaseMap, tmp_path: Path, version: int, advice: str
) -> None:
    path = tmp_path / "map.h5"
    phase_map.save(path)
    with h5py.File(path, "r+") as file:
        file["napari_ebsd_phase"].attrs["format_version"] = version
    with pytest.raises(InputError, match=advice):
        PhaseMap.load(path)


def test_a_file_that_is_not_ours_is_refused(nickel: CrystalMap, tmp_path: Path) -> None:
    orix.io.save(tmp_path / "orix.h5", nickel)
    with pytest.raises(InputError, match="not a phase map"):
        PhaseMap.load(tmp_path / "orix.h5")


def test_text_and_missing_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.h5").write_text("These are not the maps you are looking for.\n" * 99)
    with pytest.raises(InputError, match="cannot read"):
        PhaseMap.load(tmp_path / "text.h5")
    with pytest.raises(InputError, match="there is no file"):
        PhaseMap.load(tmp_path / "missing.h5")
    with pytest.raises(InputError, match="there is no file"):
        PhaseMap.load(tmp_path)


def test_a_truncated_file_is_refused(phase_map: PhaseMap, tmp_path: Path) -> None:
    path = tmp_path / "map.h5"
    phase_map.save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match="cannot read") as caught:
        PhaseMap.load(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["done", "bravais_probabilities", "provenance"])
def test_a_file_with_a_part_missing_is_refused(
    phase_map: PhaseMap, tmp_path: Path, name: str
) -> None:
    path = tmp_path / "map.h5"
    phase_map.save(path)
    with h5py.File(path, "r+") as file:
        del file["napari_ebsd_phase"][name]
    with pytest.raises(InputError, match="cannot read"):
        PhaseMap.load(path)


def test_a_file_with_sizes_that_disagree_is_refused(phase_map: PhaseMap, tmp_path: Path) -> None:
    path = tmp_path / "map.h5"
    phase_map.save(path)
    with h5py.File(path, "r+") as file:
        group = file["napari_ebsd_phase"]
        del group["done"]
        group["done"] = np.ones((2, 2), bool)
    with pytest.raises(InputError, match="done has shape"):
        PhaseMap.load(path)
