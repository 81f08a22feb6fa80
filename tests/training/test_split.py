# SPDX-License-Identifier: GPL-3.0-or-later
"""The split is by material, stratified, and the file is what the code makes."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from importlib.resources import files
from pathlib import Path

import pytest

from napari_ebsd_phase.crystallography import (
    BRAVAIS_LATTICES,
    LAUE_GROUPS,
    bravais_lattice_of_space_group,
    laue_group,
    point_group_of_space_group,
)
from napari_ebsd_phase.training.library import MasterLibrary
from napari_ebsd_phase.training.split import (
    SPLITS,
    assign,
    decided,
    entry_key,
    load_split,
    material_key,
    split_of,
)
from napari_ebsd_phase.training.structures import load_structures

LIBRARY = Path(__file__).parents[2] / "data" / "master_patterns.h5"


def rows() -> list[dict[str, str]]:
    text = files("napari_ebsd_phase.training").joinpath("split.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def materials(
    count: int, kind: tuple[str, str] = ("m-3m", "cF"), volume: float = 80.0
) -> list[tuple[str, str, str, float]]:
    return [(f"X{k}_225", *kind, volume) for k in range(count)]


def emsoft_materials() -> set[str]:
    """Materials of the library that another simulator did."""
    with MasterLibrary.open(LIBRARY) as library:
        return {
            material_key(record.formula, record.space_group)
            for record in library.index
            if record.simulator.startswith("EMsoft")
        }


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
    assert entry_key("SiO2", 152) != entry_key("SiO2", 154)


# Making a split.


def test_the_split_depends_on_nothing_but_the_materials():
    made = assign(materials(40), {})
    assert made == assign(reversed(materials(40)), {})
    assert made == assign(materials(40) * 3, {})


@pytest.mark.parametrize(("count", "tests"), [(1, 0), (2, 0), (3, 1), (10, 2), (100, 20)])
def test_the_shares_of_a_stratum(count, tests):
    shares = Counter(assign(materials(count), {}).values())
    assert shares["test"] == tests
    assert shares["train"] == count - tests


def test_strata_are_split_apart():
    both = materials(20) + [(f"Y{k}_229", "m-3m", "cI", 80.0) for k in range(20)]
    made = assign(both, {})
    assert {k: v for k, v in made.items() if k[0] == "X"} == assign(materials(20), {})


def test_cells_too_large_to_simulate_are_for_training():
    assert set(assign(materials(40, volume=5000.0), {}).values()) == {"train"}
    mixed = [(key, *kind, 80.0 if i < 12 else 5000.0) for i, (key, *kind, _) in
             enumerate(materials(40))]  # fmt: skip
    tested = {key for key, split in assign(mixed, {}).items() if split == "test"}
    assert len(tested) == 8
    assert tested <= {key for key, *_ in mixed[:12]}


def test_the_smallest_cell_of_a_material_counts():
    large = [(key, *kind, 5000.0) for key, *kind, _ in materials(10)]
    assert assign(large + materials(10), {}) == assign(materials(10), {})


def test_what_is_decided_stays_and_the_rest_is_shared_out():
    fixed = {"X1_225": "calibration", "X5_225": "simulator", "X7_225": "train"}
    made = assign(materials(23), fixed)
    assert {key: made[key] for key in fixed} == fixed
    shares = Counter(split for key, split in made.items() if key not in fixed)
    assert shares == {"test": 4, "train": 16}


def test_a_stratum_keeps_a_material_to_train_on():
    keys = [key for key, *_ in materials(5)]
    made = assign(materials(5), dict.fromkeys(keys[:4], "calibration"))
    assert made[keys[4]] == "train"
    made = assign(materials(5), dict.fromkeys(keys[:3], "calibration"))
    assert sorted(made[key] for key in keys[3:]) == ["test", "train"]


def test_decisions_about_materials_that_are_not_there_do_no_harm():
    assert assign(materials(10), {"Z1_1": "calibration"}) == assign(materials(10), {})


def test_what_was_looked_at_is_for_calibration_unless_another_simulator_did_it():
    without = decided([])
    assert set(without.values()) == {"calibration"}
    assert len(without) > 50
    chosen = next(iter(without))
    changed = decided([chosen, "Ni1_225"])
    assert changed == without | {chosen: "simulator", "Ni1_225": "simulator"}


# The split of this repository.


def test_no_material_is_in_the_file_twice():
    keys = [row["material"] for row in rows()]
    assert len(keys) == len(set(keys))
    assert keys == sorted(keys)


def test_every_material_is_in_one_of_the_splits():
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
        if counts["test"]:
            assert counts.total() >= 3, stratum
            assert counts["train"] >= 1, stratum
        assert counts["test"] <= max(1, 0.25 * counts.total()), stratum


def test_there_is_enough_to_train_on_to_choose_by_and_to_test():
    total = Counter(row["split"] for row in rows())
    assert total["train"] > 0.6 * total.total()
    assert total["test"] >= 150
    assert total["calibration"] >= 50
    for split in ("train", "test"):
        members = [row for row in rows() if row["split"] == split]
        assert {row["bravais_lattice"] for row in members} == set(BRAVAIS_LATTICES)
        assert {laue_group(row["point_group"]) for row in members} == set(LAUE_GROUPS)


def test_the_file_is_what_the_code_makes_of_structures_and_library():
    found = [
        (material_key(s.formula, s.space_group), s.point_group, s.bravais, s.volume)
        for s in load_structures()
    ]
    with MasterLibrary.open(LIBRARY) as library:
        found += [
            (material_key(r.formula, r.space_group), r.point_group, r.bravais, float("inf"))
            for r in library.index
        ]
    assert assign(found, decided(emsoft_materials())) == load_split()


def test_mirror_images_are_in_the_file_once():
    for row in rows():
        formula, number = row["material"].rsplit("_", 1)
        assert material_key(formula, int(number)) == row["material"]


def test_materials_of_another_simulator_are_kept_apart():
    common = emsoft_materials()
    assert len(common) > 30
    assert {key for key, split in load_split().items() if split == "simulator"} == common


def test_materials_that_were_looked_at_are_not_tested_on():
    looked_at = set(decided([]))
    assert looked_at <= set(load_split())
    assert {load_split()[key] for key in looked_at - emsoft_materials()} == {"calibration"}
    assert {key for key, split in load_split().items() if split == "calibration"} <= looked_at


def test_a_material_goes_to_one_split_however_its_formula_is_written():
    for key, split in load_split().items():
        formula, number = key.rsplit("_", 1)
        backwards = "".join(reversed(_parts(formula)))
        assert split_of(backwards, int(number)) == split


def test_a_users_own_material_is_for_training():
    assert split_of("UnHeardOf7", 221) == "train"
