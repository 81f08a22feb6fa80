# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of crystal structures, and structures read from CIF files."""

from __future__ import annotations

import re
from collections import Counter

import gemmi
import numpy as np
import pytest

from napari_ebsd_phase.crystallography import BRAVAIS_LATTICES, COMPATIBLE, POINT_GROUPS
from napari_ebsd_phase.errors import InputError
from napari_ebsd_phase.training.grid_symmetry import structure_matrix
from napari_ebsd_phase.training.structures import (
    Structure,
    find_structures,
    known_structures,
    load_structures,
    structure_by_uid,
)

# Left-handed quartz: one Si and one O site that the space group repeats to a cell of nine atoms.
QUARTZ = """data_quartz
_cell_length_a 4.9134
_cell_length_b 4.9134
_cell_length_c 5.4052
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 120
_symmetry_space_group_name_H-M 'P 32 2 1'
_symmetry_Int_Tables_number 154
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Si1 Si4+ 0.4698 0 0.66667 1
O1 O2- 0.4151 0.2675 0.78540 1
"""


def test_table_covers_all_point_groups_and_lattices():
    structures = load_structures()

    assert len(structures) == 1263
    assert {s.point_group for s in structures} == set(POINT_GROUPS)
    assert {s.bravais for s in structures} == set(BRAVAIS_LATTICES)
    assert [s.uid for s in structures] == [f"s{i:04d}" for i in range(len(structures))]
    assert all(s.source and s.licence and s.id for s in structures)


def test_labels_follow_from_the_space_group():
    for structure in load_structures():
        group = gemmi.find_spacegroup_by_number(structure.space_group)
        crystal_system = group.crystal_system_str()
        assert structure.centring == group.hm[0]
        letter = {"triclinic": "a", "trigonal": "h"}.get(crystal_system, crystal_system[0])
        centring = "S" if structure.centring in "AC" else structure.centring
        assert structure.bravais == letter + centring
        assert structure.point_group == group.point_group_hm().replace("-62m", "-6m2").replace(
            "-4m2", "-42m"
        )


def test_cells_and_atoms_agree_with_volume_and_formula():
    for structure in load_structures():
        volume = np.linalg.det(structure_matrix(structure.cell))
        assert volume == pytest.approx(structure.volume, rel=1e-4)
        assert np.shape(structure.positions) == (len(structure.species), 3)
        counts = Counter(structure.species)
        formula = element_counts(structure.formula)
        assert counts.keys() == formula.keys()
        assert len({counts[element] / formula[element] for element in counts}) == 1


def element_counts(formula: str) -> dict[str, int]:
    """Atoms in a formula with at most one level of brackets."""
    flat = re.sub(
        r"\((.*?)\)(\d+)",
        lambda group: "".join(
            f"{element}{int(count or 1) * int(group[2])}"
            for element, count in re.findall(r"([A-Z][a-z]?)(\d*)", group[1])
        ),
        formula,
    )
    counts: Counter[str] = Counter()
    for element, count in re.findall(r"([A-Z][a-z]?)(\d*)", flat):
        counts[element] += int(count or 1)
    return counts


def test_no_two_atoms_share_a_place():
    for structure in load_structures():
        if len(structure.species) > 60:
            continue
        positions = np.array(structure.positions)
        gaps = positions[:, None] - positions
        gaps -= np.rint(gaps)
        distances = np.linalg.norm(gaps @ structure_matrix(structure.cell).T, axis=-1)
        np.fill_diagonal(distances, np.inf)
        assert distances.min() > 0.3, structure.uid


def test_structures_are_found_by_name_formula_and_symmetry():
    aluminium = structure_by_uid("s0976")
    assert (aluminium.formula, aluminium.space_group) == ("Al", 225)
    assert aluminium in find_structures(formula="Al")
    assert {s.bravais for s in find_structures(formula="Fe", point_group="m-3m")} == {"cF", "cI"}
    assert find_structures() == load_structures()
    assert find_structures(point_group="m-3m", bravais="hP") == ()


def test_known_structures_are_counted_by_point_group_and_lattice():
    table = known_structures()

    assert table.shape == (32, 14)
    assert table.sum() == len(load_structures())
    assert not table[~COMPATIBLE].any()
    for point_group, bravais in (("m-3m", "cF"), ("1", "aP"), ("-6", "hP")):
        count = table[POINT_GROUPS.index(point_group), BRAVAIS_LATTICES.index(bravais)]
        assert count == len(find_structures(point_group=point_group, bravais=bravais)) > 0


def test_an_unknown_name_is_refused():
    with pytest.raises(InputError, match="no structure named 's9999'"):
        structure_by_uid("s9999")


def test_a_cif_file_gives_all_atoms_of_the_cell(tmp_path):
    path = tmp_path / "quartz.cif"
    path.write_text(QUARTZ)

    quartz = Structure.from_cif(path)

    assert Counter(quartz.species) == {"Si": 3, "O": 6}
    assert (quartz.point_group, quartz.bravais, quartz.centring) == ("32", "hP", "P")
    assert (quartz.uid, quartz.formula) == ("quartz", "O2Si")
    assert quartz.cell == (4.9134, 4.9134, 5.4052, 90, 90, 120)
    assert quartz.volume == pytest.approx(113.007, abs=1e-3)
    # The threefold screw turns the silicon atoms into each other.
    silicon = np.array(quartz.positions)[:3]
    turn = np.array([[0, -1, 0], [1, -1, 0], [0, 0, 1]])
    gaps = (silicon @ turn.T + [0, 0, 2 / 3])[:, None] - silicon
    assert np.abs(gaps - np.rint(gaps)).max(axis=-1).min(axis=1).max() < 1e-4


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("0.66667 1", "0.66667 0.5", "give an ordered structure"),
        ("'P 32 2 1'\n_symmetry_Int_Tables_number 154", "'P 21 1 1'", "standard setting"),
        ("data_quartz", "no data block", "not a readable CIF file"),
    ],
)
def test_a_cif_file_that_cannot_be_used_is_refused(tmp_path, old, new, message):
    path = tmp_path / "quartz.cif"
    assert old in QUARTZ
    path.write_text(QUARTZ.replace(old, new))

    with pytest.raises(InputError, match=message) as error:
        Structure.from_cif(path)

    assert "\n" not in str(error.value)


def test_a_missing_cif_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        Structure.from_cif(tmp_path / "nothing.cif")
