# SPDX-License-Identifier: GPL-3.0-or-later
"""Verdicts on structures, their table, and the command that writes it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from napari_ebsd_phase.training.band_patterns import band_master_pattern
from napari_ebsd_phase.training.library import build_library, save_master_pattern
from napari_ebsd_phase.training.pseudosymmetry_table import (
    judge,
    load_verdicts,
    main,
    read_verdicts,
    survey,
    write_verdicts,
)
from napari_ebsd_phase.training.structures import find_structures, structure_by_uid


def the(formula: str, space_group: int):
    return next(s for s in find_structures(formula=formula) if s.space_group == space_group)


@pytest.fixture(scope="module")
def masters():
    """Ordered FeCo, GaAs and CsCl."""
    structures = (the("FeCo", 221), the("GaAs", 216), the("CsCl", 221))
    return [band_master_pattern(structure, half_size=60) for structure in structures]


@pytest.fixture(scope="module")
def folder(masters, tmp_path_factory):
    folder = tmp_path_factory.mktemp("masters")
    for pattern in masters:
        save_master_pattern(pattern, folder / f"{pattern.key}.npz")
    return folder


def test_verdicts_say_what_no_camera_and_what_no_fast_camera_can_tell(masters):
    iron_cobalt, gallium_arsenide, caesium_chloride = survey(masters)

    assert iron_cobalt.verdict == "leave out"  # its lattice
    assert (iron_cobalt.bravais, iron_cobalt.apparent_bravais) == ("cP", "cI")
    assert gallium_arsenide.verdict == "soften"  # its missing inversion
    assert gallium_arsenide.apparent_point_group == "m-3m"
    assert gallium_arsenide.point_group == "-43m"
    assert caesium_chloride.verdict == "keep"
    assert caesium_chloride.apparent_point_group == "m-3m"
    assert {v.simulator for v in (iron_cobalt, gallium_arsenide)} == {"bands"}


def test_a_hidden_inversion_alone_leaves_nothing_out():
    """Atoms of one kind have no ends at first order, however they are arranged: the Laue group
    can still be learned."""
    carbide = next(s for s in find_structures(point_group="432") if s.formula == "Al2Mo3C")
    manganese = replace(carbide, species=("Mn",) * len(carbide.species), formula="Mn")
    pattern = band_master_pattern(manganese, half_size=60)

    verdict = judge(pattern.data, manganese)

    assert verdict.share < 1e-6
    assert verdict.apparent_point_group == "m-3m"
    assert verdict.verdict == "soften"


def test_a_structure_is_judged_once_by_its_first_pattern(masters):
    nameless = replace(masters[0], structure="")
    again = replace(masters[0], simulator="another")

    verdicts = list(survey([nameless, masters[0], again]))

    assert [v.simulator for v in verdicts] == ["bands"]


def test_verdicts_come_back_from_their_table(masters, tmp_path):
    verdicts = list(survey(masters[:2]))

    assert write_verdicts(verdicts, tmp_path / "table.csv") == 2

    found = read_verdicts((tmp_path / "table.csv").read_text(encoding="utf-8"))
    assert found.keys() == {v.structure for v in verdicts}
    for verdict in verdicts:
        back = vars(found[verdict.structure])
        for name, value in vars(verdict).items():
            expected = pytest.approx(value, rel=1e-3) if isinstance(value, float) else value
            assert back[name] == expected


def test_the_command_lists_what_is_not_kept_or_all(folder, tmp_path, capsys):
    assert main([str(folder), "-o", str(tmp_path / "some.csv")]) == 0
    assert capsys.readouterr().out == "keep 1, soften 1, leave out 1\n"
    library = tmp_path / "library.h5"
    build_library([folder], library)
    assert main([str(library), str(folder), "-o", str(tmp_path / "all.csv"), "--all"]) == 0

    some = read_verdicts((tmp_path / "some.csv").read_text(encoding="utf-8"))
    everything = read_verdicts((tmp_path / "all.csv").read_text(encoding="utf-8"))
    assert {v.formula for v in some.values()} == {"FeCo", "GaAs"}
    assert {v.formula for v in everything.values()} == {"FeCo", "GaAs", "CsCl"}


def test_the_command_refuses_what_it_cannot_read(tmp_path, capsys):
    assert main([str(tmp_path / "none.h5"), "-o", str(tmp_path / "out.csv")]) == 2
    assert capsys.readouterr().err.startswith("error:")
    assert not (tmp_path / "out.csv").exists()


def test_the_packages_table_agrees_with_the_table_of_structures():
    verdicts = load_verdicts()
    assert verdicts

    for uid, verdict in verdicts.items():
        structure = structure_by_uid(uid)
        assert verdict.verdict in ("soften", "leave out")
        assert (verdict.formula, verdict.space_group) == (structure.formula, structure.space_group)
        assert (verdict.point_group, verdict.bravais) == (structure.point_group, structure.bravais)
        apparent = verdict.apparent_point_group, verdict.apparent_bravais
        assert apparent != (structure.point_group, structure.bravais)
    assert verdicts[the("FeCo", 221).uid].verdict == "leave out"
    assert the("CsCl", 221).uid not in verdicts
