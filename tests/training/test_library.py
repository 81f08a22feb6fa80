# SPDX-License-Identifier: GPL-3.0-or-later
"""The library of master patterns: packing, reading, and the one in this repository."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from napari_ebsd_phase.crystallography import BRAVAIS_LATTICES, POINT_GROUPS
from napari_ebsd_phase.errors import InputError
from napari_ebsd_phase.training.grid_symmetry import fold_grid, grid_operations
from napari_ebsd_phase.training.library import (
    MasterLibrary,
    MasterPattern,
    build_library,
    load_master_pattern,
    load_master_pattern_stack,
    read_folder,
    save_master_pattern,
    save_master_pattern_stack,
    write_stacks,
)
from napari_ebsd_phase.training.structures import structure_by_uid

OURS = Path(__file__).parents[2] / "data" / "master_patterns.h5"

INDEX = """file,structure,simulator,energy_kev,dmin_nm,formula,name,space_group,point_group,bravais
gold.npz,,EMsoft,30,0.05,Au,gold,225,m-3m,cF
"""


def pixels(seed: int, n: int = 21) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (2, n, n), dtype=np.uint8)


def plain_file(path: Path, seed: int, n: int = 21) -> None:
    """A file as the stop-gap script writes it: no facts beside the pattern."""
    np.savez_compressed(path, data=pixels(seed, n), range=np.array([1.0, 3.0]), dmin=0.06)


@pytest.fixture
def folder(tmp_path):
    """Three patterns, each with its facts in another place."""
    folder = tmp_path / "patterns"
    folder.mkdir()
    plain_file(folder / "s0976_20kV.npz", seed=1)
    plain_file(folder / "gold.npz", seed=2)
    (folder / "index.csv").write_text(INDEX)
    pattern = MasterPattern(
        key="mine_15kV",
        structure="mine",
        name="my material",
        formula="Fe3C",
        point_group="mmm",
        bravais="oP",
        space_group=62,
        energy_kev=15.0,
        simulator="de-ebsd 0.2.1",
        dmin_nm=0.07,
        low=-1.0,
        high=4.0,
        data=pixels(3),
    )
    save_master_pattern(pattern, folder / "mine_15kV.npz")
    return folder


def test_a_library_gives_back_what_was_packed(folder, tmp_path):
    target = tmp_path / "library.h5"

    assert build_library([folder], target) == 3

    with MasterLibrary.open(target) as library:
        assert len(library) == 3
        assert library.shape == (2, 21, 21)
        assert [record.key for record in library.index] == ["gold", "mine_15kV", "s0976_20kV"]
        for number, seed in enumerate((2, 3, 1)):
            np.testing.assert_array_equal(library.data(number), pixels(seed))
        gold, mine, aluminium = library
    assert (gold.formula, gold.energy_kev, gold.simulator) == ("Au", 30.0, "EMsoft")
    assert (mine.name, mine.space_group, mine.low) == ("my material", 62, -1.0)
    assert (aluminium.structure, aluminium.point_group) == ("s0976", "m-3m")
    assert (aluminium.energy_kev, aluminium.dmin_nm) == (20.0, 0.06)
    assert len(library.index) == 3  # also after closing


def test_grey_levels_stand_for_intensities(folder):
    pattern = load_master_pattern(folder / "s0976_20kV.npz")

    intensities = pattern.intensities()

    assert intensities.dtype == np.float32
    np.testing.assert_allclose(intensities, 1 + pixels(1) * (2 / 255), rtol=1e-6)


def test_all_patterns_are_read_into_an_array_at_once(folder, tmp_path):
    build_library([folder], tmp_path / "library.h5")
    target = np.zeros((5, 2, 21, 21), dtype=np.uint8)

    with MasterLibrary.open(tmp_path / "library.h5") as library:
        library.read_into(target[1:4])

    for place, seed in enumerate((2, 3, 1), start=1):
        np.testing.assert_array_equal(target[place], pixels(seed))
    assert not target[[0, 4]].any()


def test_a_stack_gives_back_what_was_put_in(folder, tmp_path):
    patterns = list(read_folder(folder))
    path = tmp_path / "stack.npz"

    save_master_pattern_stack(patterns, path)

    again = load_master_pattern_stack(path)
    assert len(again) == 3
    for one, other in zip(patterns, again, strict=True):
        np.testing.assert_array_equal(one.data, other.data)
        facts = [{k: v for k, v in vars(p).items() if k != "data"} for p in (one, other)]
        assert facts[0] == facts[1]
        assert [type(v) for v in facts[0].values()] == [type(v) for v in facts[1].values()]


def test_a_stack_of_nothing_is_a_stack(tmp_path):
    save_master_pattern_stack([], tmp_path / "stack.npz")
    assert load_master_pattern_stack(tmp_path / "stack.npz") == []


@pytest.mark.parametrize("content", [b"PK\x03\x04", b"", b"neither zip nor pickle"])
def test_a_stack_that_cannot_be_read_is_refused(tmp_path, content):
    (tmp_path / "stack.npz").write_bytes(content)
    with pytest.raises(InputError, match="not a readable"):
        load_master_pattern_stack(tmp_path / "stack.npz")


def test_stacks_one_by_one_make_the_library_that_all_at_once_make(folder, tmp_path):
    patterns = list(read_folder(folder))

    once, each = tmp_path / "once.h5", tmp_path / "each.h5"
    write_stacks([patterns], once)
    write_stacks((stack for stack in ([], patterns[:1], [], patterns[1:])), each)

    with MasterLibrary.open(once) as a, MasterLibrary.open(each) as b:
        assert a.index == b.index
        for one, other, packed in zip(a, b, patterns, strict=True):
            np.testing.assert_array_equal(one.data, packed.data)
            np.testing.assert_array_equal(other.data, packed.data)


def test_a_library_of_empty_stacks_is_refused(tmp_path):
    with pytest.raises(InputError, match="no master patterns"):
        write_stacks([[], []], tmp_path / "library.h5")
    assert list(tmp_path.iterdir()) == []


def test_the_same_patterns_give_the_same_file(folder, tmp_path):
    for name in ("a.h5", "b.h5"):
        build_library([folder], tmp_path / name)

    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_the_first_of_two_patterns_with_one_name_is_kept(folder, tmp_path):
    newer = tmp_path / "newer"
    newer.mkdir()
    plain_file(newer / "s0976_20kV.npz", seed=9)
    plain_file(newer / "s1134_20kV.npz", seed=8)
    target = tmp_path / "library.h5"
    build_library([folder], target)

    assert build_library([newer], target, existing=target) == 4

    with MasterLibrary.open(target) as library:
        patterns = {pattern.key: pattern.data for pattern in library}
    np.testing.assert_array_equal(patterns["s0976_20kV"], pixels(1))
    np.testing.assert_array_equal(patterns["s1134_20kV"], pixels(8))


def test_a_file_that_is_being_written_is_left_alone(folder, tmp_path):
    (folder / ".half.npz").write_bytes(b"PK")

    assert build_library([folder], tmp_path / "library.h5") == 3


def spoil_size(folder):
    plain_file(folder / "s1134_20kV.npz", seed=4, n=11)


def spoil_name(folder):
    plain_file(folder / "unknown.npz", seed=4)


def spoil_uid(folder):
    plain_file(folder / "s9999_20kV.npz", seed=4)


def spoil_content(folder):
    (folder / "s1134_20kV.npz").write_text("not a zip file")


def spoil_array(folder):
    np.savez(folder / "s1134_20kV.npz", data=np.zeros((3, 3)))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (spoil_size, "patterns of one size"),
        (spoil_name, "nothing says what it is"),
        (spoil_uid, "no structure named 's9999'"),
        (spoil_content, "not a readable .npz file"),
        (spoil_array, "not a master pattern"),
    ],
)
def test_a_bad_file_is_refused_and_the_library_stays(folder, tmp_path, spoil, message):
    target = tmp_path / "library.h5"
    build_library([folder], target)
    before = target.read_bytes()
    spoil(folder)

    with pytest.raises(InputError, match=message):
        build_library([folder], target)

    assert target.read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"library.h5", "patterns"}


def test_nothing_to_pack_is_refused(tmp_path):
    with pytest.raises(InputError, match="no master patterns"):
        build_library([tmp_path], tmp_path / "library.h5")
    with pytest.raises(InputError, match="no such folder"):
        build_library([tmp_path / "nothing"], tmp_path / "library.h5")


def test_what_is_no_library_is_refused(tmp_path):
    text, other = tmp_path / "text.h5", tmp_path / "other.h5"
    text.write_text("hello")
    with h5py.File(other, "w") as file:
        file["patterns"] = np.zeros(3)

    with pytest.raises(InputError, match="no such file"):
        MasterLibrary.open(tmp_path / "missing.h5")
    with pytest.raises(InputError, match="not a readable HDF5 file"):
        MasterLibrary.open(text)
    with pytest.raises(InputError, match="not a library of master patterns"):
        MasterLibrary.open(other)


def test_our_library_is_small_and_covers_all_classes():
    assert OURS.stat().st_size < 60e6
    with MasterLibrary.open(OURS) as library:
        index = library.index
        assert library.shape == (2, 181, 181)

    assert len({record.key for record in index}) == len(index)
    assert {record.point_group for record in index} == set(POINT_GROUPS)
    assert {record.bravais for record in index} == set(BRAVAIS_LATTICES)
    for record in index:
        if record.structure:
            structure = structure_by_uid(record.structure)
            facts = ("formula", "point_group", "bravais", "space_group")
            assert all(getattr(record, name) == getattr(structure, name) for name in facts)


def test_our_patterns_have_the_symmetry_of_their_structures():
    with MasterLibrary.open(OURS) as library:
        for number, record in enumerate(library.index):
            if not record.structure:
                continue
            representatives, members = fold_grid(
                grid_operations(structure_by_uid(record.structure)), library.shape[1] // 2
            )
            data = library.data(number).ravel().astype(float)
            folded = data[representatives][members]
            assert np.corrcoef(folded, data)[0, 1] > 0.99, record.key
