# SPDX-License-Identifier: GPL-3.0-or-later
"""Master patterns grouped by material, materials by split."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_ebsd_phase.training.library import (
    MasterLibrary,
    MasterPattern,
    build_library,
    save_master_pattern,
)
from napari_ebsd_phase.training.materials import load_materials
from napari_ebsd_phase.training.split import SPLITS, material_key, split_of

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
    by_key = {m.key: m for split in materials.values() for m in split}
    assert set(by_key) == {"O2Ti1_136", "O2Ti1_141", "Ag1Br1_225"}
    rutile = by_key["O2Ti1_136"]
    assert [int(stack[i, 0, 0, 0]) for i in rutile.masters] == [1, 2, 5]
    assert (rutile.point_group, rutile.bravais) == ("4/mmm", "tP")


def test_all_splits_are_there_even_when_empty(library):
    _, materials = load_materials(library)
    assert tuple(materials) == SPLITS


@pytest.fixture(scope="module")
def loaded():
    with MasterLibrary.open(LIBRARY) as opened:
        stack, materials = load_materials(opened)
        return stack, materials, opened.index


def test_every_master_pattern_of_the_library_belongs_to_one_material(loaded):
    stack, materials, index = loaded
    used = sorted(i for split in materials.values() for m in split for i in m.masters)
    assert used == list(range(len(stack))) == list(range(len(index)))


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
