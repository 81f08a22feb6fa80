# SPDX-License-Identifier: GPL-3.0-or-later
"""How much of a pattern a superstructure makes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_ebsd_phase.training.bravais import bravais_lattice
from napari_ebsd_phase.training.lattice_symmetry import point_operations
from napari_ebsd_phase.training.structures import Structure, find_structures, structure_by_uid
from napari_ebsd_phase.training.superlattice import average_lattices, superlattice_strength


def the(formula: str, bravais: str) -> Structure:
    return find_structures(formula=formula, bravais=bravais)[0]


def apparent(structure: Structure) -> list[str]:
    """Names of the average lattices."""
    operations = point_operations(structure)
    return [bravais_lattice(lattice.basis, operations) for lattice in average_lattices(structure)]


def test_neighbours_in_the_periodic_table_make_an_invisible_superstructure():
    assert superlattice_strength(the("FeCo", "cP")) < 1e-6
    assert apparent(the("FeCo", "cP")) == ["cI"]


def test_unlike_elements_make_a_visible_one():
    assert superlattice_strength(the("CsCl", "cP")) > 0.1
    assert apparent(the("CsCl", "cP")) == ["cI"]
    assert superlattice_strength(the("FePt", "tP")) > 0.1
    assert apparent(the("Cu3Au", "cP")) == ["cF"]


def test_a_crystal_without_superstructure_cannot_lose_a_reflection():
    aluminium = the("Al", "cF")

    assert average_lattices(aluminium) == ()
    assert superlattice_strength(aluminium) == 1.0


def test_average_lattices_are_finer_and_lose_more_and_more():
    for formula in ("SnO2", "FePt", "TiAu4", "Ti2Ge3", "WO3", "NaCl", "Fe3C"):
        structure = find_structures(formula=formula)[0]
        lattices = average_lattices(structure)
        strengths = [lattice.strength for lattice in lattices]
        indices = [lattice.index for lattice in lattices]

        assert strengths == sorted(strengths)
        assert indices == sorted(indices)
        assert all(index > 1 for index in indices)
        kept = average_lattices(structure, largest=0.01)
        assert [lattice.index for lattice in kept] == [
            lattice.index for lattice in lattices if lattice.strength <= 0.01
        ]


def test_a_doubled_cell_is_seen_through():
    """The same crystal in a cell twice as large, with one of its two halves shifted a little."""
    iron = find_structures(formula="Fe", bravais="cI")[0]
    a = iron.cell[0]
    doubled = replace(
        iron,
        space_group=1,
        point_group="1",
        bravais="aP",
        centring="P",
        cell=(a, a, 2 * a, 90.0, 90.0, 90.0),
        volume=2 * iron.volume,
        species=("Fe",) * 4,
        positions=((0, 0, 0.0005), (0.5, 0.5, 0.25), (0, 0, 0.5), (0.5, 0.5, 0.75)),
    )

    nearest = average_lattices(doubled)[-1]

    assert nearest.strength < 1e-3
    assert abs(np.linalg.det(nearest.basis)) == pytest.approx(iron.volume / 2, rel=1e-3)


# 1 - correlation**2 of two dynamical master patterns (de-ebsd, 20 keV, dmin 0.07 nm, half size 40,
# smoothed by one degree): of the structure, and without the reflections that the lattice lacks.
@pytest.mark.parametrize(
    ("uid", "index", "lost"),
    [
        ("s1098", 2, 0.0159),  # SnO2, tI
        ("s1088", 2, 0.0095),  # PdO, tI
        ("s0258", 2, 0.0323),  # TiO2, tI
        ("s1060", 4, 0.0020),  # Ag2O, cF
        ("s1054", 2, 0.0754),  # FePt, tI
        ("s0840", 2, 0.134),  # CsCl, cI
        ("s1131", 2, 0.0557),  # SrTiO3, cI
    ],
)
def test_the_strength_is_about_what_a_dynamical_simulation_loses(uid, index, lost):
    (strength,) = (
        lattice.strength
        for lattice in average_lattices(structure_by_uid(uid))
        if lattice.index == index
    )

    assert lost / 4 < strength < lost * 4
