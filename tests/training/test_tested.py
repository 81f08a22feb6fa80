# SPDX-License-Identifier: GPL-3.0-or-later
"""A material is called unseen only if both the split and the card of the network say so."""

from __future__ import annotations

import pytest

from napari_ebsd_phase.training.materials import Material
from napari_ebsd_phase.training.tested import TESTS, materials_by_test

DE_EBSD, EMSOFT = "de-ebsd 0.2.1", "EMsoft (SHTdatabase, BSD-3-Clause)"
SIMULATORS = [DE_EBSD, EMSOFT] * 4
MATERIALS = {
    "train": [
        Material("Ni1_225", "Ni", "m-3m", "cF", (0,)),
        Material("Late1_225", "Late", "m-3m", "cF", (2,)),
    ],
    "calibration": [Material("Ti1_136", "Ti", "4/mmm", "tP", (4,))],
    "test": [
        Material("W1_229", "W", "m-3m", "cI", (6,)),
        Material("Mg1_194", "Mg", "6/mmm", "hP", (1, 2)),
    ],
    "simulator": [Material("Fe1_229", "Fe", "m-3m", "cI", (3, 4, 5))],
}
EVERYTHING = [m.key for members in MATERIALS.values() for m in members]


def keys(tests: dict[str, list[Material]]) -> dict[str, list[str]]:
    return {test: [m.key for m in members] for test, members in tests.items()}


def test_a_recipe_is_tested_on_what_it_kept_out_of_training():
    tests = materials_by_test(MATERIALS, ["Ni1_225"], simulators=SIMULATORS)
    assert keys(tests) == {
        "seen": ["Ni1_225"],
        "unseen": ["W1_229", "Mg1_194"],
        "simulator": ["Fe1_229"],
    }


def test_other_simulators_patterns_are_for_their_own_test_only():
    tests = materials_by_test(MATERIALS, ["Ni1_225"], simulators=SIMULATORS)
    assert [m.masters for m in tests["unseen"]] == [(6,), (2,)]
    assert [m.masters for m in tests["simulator"]] == [(3, 5)]


def test_a_development_run_touches_neither_test_nor_simulator_materials():
    tests = materials_by_test(MATERIALS, ["Ni1_225"], simulators=SIMULATORS, development=True)
    assert keys(tests) == {"seen": ["Ni1_225"], "calibration": ["Ti1_136"]}
    final = materials_by_test(MATERIALS, EVERYTHING, simulators=SIMULATORS, development=True)
    assert set(final) == {"seen"}
    assert sorted(keys(final)["seen"]) == ["Late1_225", "Ni1_225", "Ti1_136"]


def test_what_a_final_network_was_trained_on_is_seen_whatever_the_split():
    tests = materials_by_test(MATERIALS, EVERYTHING, simulators=SIMULATORS)
    assert sorted(keys(tests)["seen"]) == sorted(EVERYTHING)
    assert set(tests) == {"seen", "simulator_seen"}
    # Of the iron, the patterns of its own simulator are seen, EMsoft's are the other test.
    assert next(m.masters for m in tests["seen"] if m.key == "Fe1_229") == (4,)
    assert tests["simulator_seen"][0].masters == (3, 5)


@pytest.mark.parametrize("development", [True, False])
def test_without_a_list_of_training_materials_nothing_is_called_seen_or_unseen(development):
    tests = materials_by_test(MATERIALS, None, simulators=SIMULATORS, development=development)
    expected = {"unknown": ["Ti1_136"]} if development else {
        "unknown": ["W1_229", "Mg1_194"], "simulator_unknown": ["Fe1_229"]
    }  # fmt: skip
    assert keys(tests) == expected


def test_without_simulators_named_all_patterns_are_of_one():
    tests = materials_by_test(MATERIALS, ["Ni1_225"])
    assert set(tests) == {"seen", "unseen"}
    assert tests["unseen"][1].masters == (1, 2)


def test_materials_of_bands_only_are_no_test():
    bands = Material("s0001 bands", "Ni", "m-3m", "cF", (0,), "table")
    tests = materials_by_test({"train": [bands], "test": [bands]}, [bands.key])
    assert tests == {}


def test_seen_materials_beyond_the_number_are_left_out_evenly():
    many = [Material(f"Ni{k}_225", "Ni", "m-3m", "cF", (0,)) for k in range(40)]
    many += [Material(f"W{k}_229", "W", "m-3m", "cI", (0,)) for k in range(40)]
    many += [Material(f"C{k}_2", "C", "-1", "aP", (0,)) for k in range(20)]
    tests = materials_by_test({"train": many}, [m.key for m in many], most=10)
    lattices = [m.bravais for m in tests["seen"]]
    assert sorted(lattices) == ["aP"] * 2 + ["cF"] * 4 + ["cI"] * 4
    assert len({m.key for m in tests["seen"]}) == 10
    assert tests == materials_by_test({"train": many[::-1]}, [m.key for m in many], most=10)


def test_every_test_has_a_name_for_tables():
    assert len(set(TESTS.values())) == len(TESTS)
