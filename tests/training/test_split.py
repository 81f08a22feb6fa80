# SPDX-License-Identifier: GPL-3.0-or-later
"""The split is by material, stratified, and the file is what the code makes."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from importlib.resources import files
from pathlib import Path

import pytest

from napari_ebsd_phase.crystallography import (
    bravais_lattice_of_space_group,
    point_group_of_space_group,
)
from napari_ebsd_phase.training.library import MasterLibrary
from napari_ebsd_phase.training.split import (
    SPLITS,
    assign,
    entry_key,
    join_mirror_images,
    load_split,
    material_key,
    split_of,
)
from napari_ebsd_phase.training.structures import load_structures

LIBRARY = Path(__file__).parents[2] / "data" / "master_patterns.h5"


def rows() -> list[dict[str, str]]:
    text = files("napari_ebsd_phase.training").joinpath("split.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def materials(count: int, kind: tuple[str, str] = ("m-3m", "cF")) -> list[tuple[str, str, str]]:
    return [(f"X{k}_225", *kind) for k in range(count)]


# Names of materials.


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("TiO2", "O2Ti"),
        ("NaCl", "ClNa"),
        ("Ca(OH)2", "CaO2H2"),
        ("Al2(SO4)3", "Al2S3O12"),
        ("Fe(CuC6)2", "C12Cu2Fe"),
        ("K(Al(OH)2)3", "KAl3O6H6"),
        ("CH3CH3", "C2H6"),
        ("(NH4)2(SO4)", "N2H8SO4"),
    ],
)
def test_a_formula_written_otherwise_is_the_same_material(one, other):
    assert material_key(one, 1) == material_key(other, 1)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("TiO2", 136), ("TiO2", 141)),
        (("TiO2", 136), ("Ti2O3", 136)),
        (("Co", 194), ("CO", 194)),
        (("Sc", 194), ("SC", 194)),
        (("Hf", 194), ("HF", 194)),
    ],
)
def test_other_elements_counts_or_space_groups_are_another_material(one, other):
    assert material_key(*one) != material_key(*other)


def test_the_key_reads_like_a_formula_with_its_space_group():
    assert material_key("Ca(OH)2", 164) == "Ca1H2O2_164"


def test_the_key_of_a_structure_counts_its_atoms():
    """Formulas of the table are those of the cells, whatever brackets they have."""
    for structure in load_structures()[::7]:
        atoms = Counter(structure.species)
        key = material_key(structure.formula, structure.space_group)
        counted = dict(
            (part.rstrip("0123456789"), int(part[len(part.rstrip("0123456789")) :]))
            for part in _parts(key.rsplit("_", 1)[0])
        )
        assert counted.keys() == atoms.keys(), structure.formula
        ratios = {atoms[e] / counted[e] for e in atoms}
        assert len(ratios) == 1, structure.formula


def _parts(flat: str) -> list[str]:
    starts = [i for i, letter in enumerate(flat) if letter.isupper()]
    return [flat[a:b] for a, b in zip(starts, [*starts[1:], len(flat)], strict=True)]


def test_left_and_right_quartz_are_one_material():
    assert material_key("SiO2", 152) == material_key("SiO2", 154)
    assert material_key("SiO2", 152) != material_key("SiO2", 151)


def test_no_twin_of_a_training_material_is_tested_on():
    joined = join_mirror_images({"Te1_152": "test", "Te1_154": "train", "Se1_154": "test"})
    assert joined == {"Te1_152": "train", "Se1_152": "test"}


# Making a split.


def test_the_split_depends_on_nothing_but_the_materials():
    made = assign(materials(40))
    assert made == assign(reversed(materials(40)))
    assert made == assign(materials(40) * 3)


@pytest.mark.parametrize(
    ("count", "tests", "calibrations"), [(1, 0, 0), (2, 0, 0), (3, 1, 0), (10, 2, 1), (100, 15, 8)]
)
def test_the_shares_of_a_stratum(count, tests, calibrations):
    shares = Counter(assign(materials(count)).values())
    assert shares["test"] == tests
    assert shares["calibration"] == calibrations
    assert sum(shares.values()) == count


def test_strata_are_split_apart():
    both = materials(20) + [(f"Y{k}_229", "m-3m", "cI") for k in range(20)]
    made = assign(both)
    assert {k: v for k, v in made.items() if k[0] == "X"} == assign(materials(20))


def test_what_must_be_trained_on_is_not_tested_on():
    fixed = frozenset({"X1_225", "X5_225", "X7_225"})
    made = assign(materials(10), fixed)
    assert {made[key] for key in fixed} == {"train"}
    assert Counter(made.values())["test"] >= 1


def test_names_to_be_trained_on_that_are_not_there_do_no_harm():
    assert assign(materials(10), frozenset({"Z1_1"})) == assign(materials(10))


# The split of this repository.


def test_no_material_is_in_the_file_twice():
    keys = [row["material"] for row in rows()]
    assert len(keys) == len(set(keys))
    assert keys == sorted(keys)


def test_every_material_is_in_one_of_the_three_splits():
    assert set(load_split().values()) == set(SPLITS)


def test_the_classes_in_the_file_follow_from_the_space_groups():
    for row in rows():
        number = int(row["material"].rsplit("_", 1)[1])
        assert row["point_group"] == point_group_of_space_group(number)
        assert row["bravais_lattice"] == bravais_lattice_of_space_group(number)


def test_the_split_is_stratified():
    strata: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for row in rows():
        strata[row["point_group"], row["bravais_lattice"]][row["split"]] += 1
    for stratum, counts in strata.items():
        total = sum(counts.values())
        assert counts["train"] >= 1, stratum
        if counts["test"]:
            assert total >= 3, stratum
        assert counts["test"] <= max(1, 0.2 * total), stratum
        assert counts["calibration"] <= max(1, 0.12 * total), stratum
    total = Counter(row["split"] for row in rows())
    assert 0.12 < total["test"] / total.total() < 0.18
    assert 0.05 < total["calibration"] / total.total() < 0.1


def test_the_file_is_what_the_code_makes_of_structures_and_library():
    found = [
        (entry_key(s.formula, s.space_group), s.point_group, s.bravais) for s in load_structures()
    ]
    with MasterLibrary.open(LIBRARY) as library:
        keys = [entry_key(r.formula, r.space_group) for r in library.index]
        found += [
            (key, record.point_group, record.bravais)
            for key, record in zip(keys, library.index, strict=True)
        ]
        # The common phases that EMsoft's database brings are always for training.
        common = frozenset(
            key
            for key, record in zip(keys, library.index, strict=True)
            if record.simulator.startswith("EMsoft")
        )
    assert join_mirror_images(assign(found, common)) == load_split()


def test_a_material_goes_to_one_split_however_its_formula_is_written():
    for key, split in load_split().items():
        formula, number = key.rsplit("_", 1)
        backwards = "".join(reversed(_parts(formula)))
        assert split_of(backwards, int(number)) == split


def test_a_users_own_material_is_for_training():
    assert split_of("UnHeardOf7", 221) == "train"
