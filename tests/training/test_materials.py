# SPDX-License-Identifier: GPL-3.0-or-later
"""Master patterns grouped by material, materials by split."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest

from napari_ebsd_phase.errors import InputError
from napari_ebsd_phase.training.library import (
    MasterLibrary,
    MasterPattern,
    build_library,
    save_master_pattern,
    write_stacks,
)
from napari_ebsd_phase.training.materials import KINDS, Material, load_materials
from napari_ebsd_phase.training.pseudosymmetry_table import load_verdicts
from napari_ebsd_phase.training.split import SPLITS, material_key, split_of
from napari_ebsd_phase.training.structures import (
    Structure,
    load_structures,
    structure_by_uid,
)

LIBRARY = Path(__file__).parents[2] / "data" / "master_patterns.h5"


def pattern(key: str, formula: str, space_group: int, point_group: str, bravais: str, value: int):
    return MasterPattern(
        key=key,
        structure="",
        name=key,
        formula=formula,
        point_group=point_group,
        bravais=bravais,
        space_group=space_group,
        energy_kev=20.0,
        simulator="a test",
        dmin_nm=0.05,
        low=0.0,
        high=1.0,
        data=np.full((2, 11, 11), value, dtype=np.uint8),
    )


def of_structure(
    structure: Structure, value: int, *, uid: str = "", simulator: str = "bands", n: int = 11
) -> MasterPattern:
    """A master pattern of a structure, or of one derived from it, with one value everywhere."""
    return MasterPattern(
        key=f"{uid or structure.uid}_{simulator}{value}",
        structure=uid or structure.uid,
        name="",
        formula=structure.formula,
        point_group=structure.point_group,
        bravais=structure.bravais,
        space_group=structure.space_group,
        energy_kev=20.0,
        simulator=simulator,
        dmin_nm=0.08,
        low=0.0,
        high=1.0,
        data=np.full((2, n, n), value, dtype=np.uint8),
    )


@contextmanager
def libraries(folder: Path, *lists: list[MasterPattern]) -> Iterator[list[MasterLibrary]]:
    with ExitStack() as opened:
        result = []
        for number, patterns in enumerate(lists):
            write_stacks([patterns], folder / f"{number}.h5")
            result.append(opened.enter_context(MasterLibrary.open(folder / f"{number}.h5")))
        yield result


def structures_of(split: str, count: int = 2) -> list[Structure]:
    """Structures of the table in a split, of different materials, with nothing remarkable."""
    found = {
        material_key(s.formula, s.space_group): s
        for s in load_structures()
        if s.uid not in load_verdicts() and split_of(s.formula, s.space_group) == split
    }
    return list(found.values())[:count]


def by_key(materials: dict[str, list[Material]]) -> dict[str, Material]:
    return {m.key: m for members in materials.values() for m in members}


@pytest.fixture
def library(tmp_path):
    folder = tmp_path / "masters"
    folder.mkdir()
    for one in (
        pattern("a", "TiO2", 136, "4/mmm", "tP", 1),
        pattern("b", "O2Ti", 136, "4/mmm", "tP", 2),
        pattern("c", "TiO2", 141, "4/mmm", "tI", 3),
        pattern("d", "AgBr", 225, "m-3m", "cF", 4),
        pattern("e", "TiO2", 136, "4/mmm", "tP", 5),
    ):
        save_master_pattern(one, folder / f"{one.key}.npz")
    build_library([folder], tmp_path / "library.h5")
    with MasterLibrary.open(tmp_path / "library.h5") as opened:
        yield opened


def test_one_material_has_all_its_master_patterns(library):
    stack, materials = load_materials(library)
    assert stack.shape == (5, 2, 11, 11)
    assert stack.dtype == np.uint8
    found = by_key(materials)
    assert set(found) == {"O2Ti1_136", "O2Ti1_141", "Ag1Br1_225"}
    rutile = found["O2Ti1_136"]
    assert [int(stack[i, 0, 0, 0]) for i in rutile.masters] == [1, 2, 5]
    assert (rutile.point_group, rutile.bravais) == ("4/mmm", "tP")
    assert (rutile.kind, rutile.apparent) == ("dynamical", None)


def test_all_splits_are_there_even_when_empty(library):
    _, materials = load_materials(library)
    assert tuple(materials) == SPLITS


# Several libraries, several kinds.


def test_libraries_follow_each_other_in_the_stack(tmp_path):
    one, other = structures_of("train")
    dynamical = [of_structure(one, 1, simulator="de-ebsd"), of_structure(other, 2, simulator="x")]
    bands = [of_structure(one, 3), of_structure(one, 4), of_structure(other, 5, uid="r000001")]
    with libraries(tmp_path, dynamical, bands) as opened:
        stack, materials = load_materials(*opened)

    assert stack[:, 0, 0, 0].tolist() == [1, 2, 3, 4, 5]
    assert {split for split, members in materials.items() if members} == {"train"}
    found = by_key(materials)
    key = material_key(one.formula, one.space_group)
    assert found[key].masters == (0,)
    # Bands of a structure are another material than its dynamical patterns: other shares of both.
    assert found[f"{one.uid} bands"].masters == (2, 3)
    assert found[f"{one.uid} bands"].formula == one.formula
    assert found["r000001"].masters == (4,)


def test_materials_know_where_their_patterns_come_from(tmp_path):
    (parent,) = structures_of("train", 1)
    patterns = [
        of_structure(parent, 1, simulator="EMsoft 5.0"),
        of_structure(parent, 2),
        of_structure(parent, 3, uid=f"{parent.uid}d0"),
        of_structure(parent, 4, uid=f"{parent.uid}d1"),
        of_structure(parent, 5, uid="r000000"),
    ]
    with libraries(tmp_path, patterns) as opened:
        _, materials = load_materials(*opened)
    kinds = {m.masters[0] + 1: m.kind for m in materials["train"]}
    assert kinds == {1: "dynamical", 2: "table", 3: "derived", 4: "derived", 5: "random"}
    assert set(kinds.values()) == set(KINDS)


@pytest.mark.parametrize("split", ["calibration", "test", "simulator"])
def test_nothing_made_from_a_material_that_is_tested_on_is_trained_on(tmp_path, split):
    (parent,) = structures_of(split, 1)
    other = structures_of("train", 1)[0]
    patterns = [
        of_structure(parent, 1, simulator="de-ebsd"),
        of_structure(parent, 2),
        of_structure(parent, 3, uid=f"{parent.uid}d4"),
        of_structure(parent, 4, uid=f"{parent.uid}d4d1"),
        of_structure(other, 5),
    ]
    with libraries(tmp_path, patterns) as opened:
        stack, materials = load_materials(*opened)
    assert [m.key for m in materials["train"]] == [f"{other.uid} bands"]
    # Tests are on dynamical patterns alone.
    assert [m.masters for m in materials[split]] == [(0,)]
    assert len(stack) == 5


def test_common_phases_can_be_trained_on_with_all_that_is_made_from_them(tmp_path):
    (common,), (tested,) = structures_of("simulator", 1), structures_of("test", 1)
    patterns = [
        of_structure(common, 1, simulator="EMsoft 5.0"),
        of_structure(common, 2, uid=f"{common.uid}d0"),
        of_structure(tested, 3, simulator="de-ebsd"),
        of_structure(tested, 4),
    ]
    with libraries(tmp_path, patterns) as opened:
        _, materials = load_materials(*opened, train_on=("train", "simulator"))
    assert {m.masters for m in materials["train"]} == {(0,), (1,)}
    assert materials["simulator"] == []
    assert [m.masters for m in materials["test"]] == [(2,)]


def test_a_structure_that_no_camera_can_tell_from_others_is_left_out(tmp_path):
    verdict = next(v for v in load_verdicts().values() if v.verdict == "leave out")
    hidden = structure_by_uid(verdict.structure)
    kept = structures_of("train", 1)[0]
    patterns = [of_structure(s, 1, simulator="de-ebsd") for s in (hidden, kept)]
    with libraries(tmp_path, patterns) as opened:
        _, materials = load_materials(*opened)
    assert set(by_key(materials)) == {material_key(kept.formula, kept.space_group)}


def test_a_structure_that_looks_more_symmetric_says_what_it_looks_like(tmp_path):
    verdict = next(v for v in load_verdicts().values() if v.verdict == "soften")
    structure = structure_by_uid(verdict.structure)
    with libraries(tmp_path, [of_structure(structure, 1, simulator="de-ebsd")]) as opened:
        _, materials = load_materials(*opened)
    (material,) = by_key(materials).values()
    assert (material.point_group, material.bravais) == (structure.point_group, structure.bravais)
    assert material.apparent == (verdict.apparent_point_group, verdict.apparent_bravais)
    assert material.apparent != (material.point_group, material.bravais)


def test_libraries_of_several_sizes_do_not_go_together(tmp_path):
    (structure,) = structures_of("train", 1)
    with (
        libraries(
            tmp_path, [of_structure(structure, 1)], [of_structure(structure, 2, n=13)]
        ) as opened,
        pytest.raises(InputError, match="several sizes") as error,
    ):
        load_materials(*opened)
    assert "\n" not in str(error.value)


# The library of this repository.


@pytest.fixture(scope="module")
def loaded():
    with MasterLibrary.open(LIBRARY) as opened:
        stack, materials = load_materials(opened)
        return stack, materials, opened.index


def test_every_master_pattern_of_the_library_belongs_to_one_material(loaded):
    stack, materials, index = loaded
    used = sorted(i for split in materials.values() for m in split for i in m.masters)
    left_out = {uid for uid, v in load_verdicts().items() if v.verdict == "leave out"}
    assert used == [i for i, record in enumerate(index) if record.structure not in left_out]
    assert len(stack) == len(index) < 1.1 * len(used)


def test_the_stack_holds_the_patterns_of_the_library(loaded):
    stack, _, index = loaded
    with MasterLibrary.open(LIBRARY) as opened:
        for i in range(0, len(index), 60):
            np.testing.assert_array_equal(stack[i], opened.data(i))


def test_the_library_has_materials_of_every_split(loaded):
    _, materials, _ = loaded
    assert all(materials[split] for split in SPLITS)


def test_no_material_is_in_two_splits(loaded):
    _, materials, _ = loaded
    keys = [m.key for split in materials.values() for m in split]
    assert len(keys) == len(set(keys))


def test_materials_and_their_patterns_agree(loaded):
    _, materials, index = loaded
    for split, members in materials.items():
        assert [m.key for m in members] == sorted(m.key for m in members)
        for material in members:
            for i in material.masters:
                record = index[i]
                assert material_key(record.formula, record.space_group) == material.key
                assert split_of(record.formula, record.space_group) == split
                assert (record.point_group, record.bravais) == (
                    material.point_group,
                    material.bravais,
                )
