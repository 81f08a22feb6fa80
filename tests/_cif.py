# SPDX-License-Identifier: GPL-3.0-or-later
"""CIF files of known metals, as other programs write them."""

from __future__ import annotations

from pathlib import Path

#: Edge of the cubic cell in angstrom, number and symbol of the space group.
METALS = {"nickel": (3.524, 225, "F m -3 m", "Ni"), "iron": (2.866, 229, "I m -3 m", "Fe")}


def write_cif(folder: Path, name: str) -> Path:
    """Write the file of one of `METALS`, one atom in the origin of its lattice."""
    edge, number, symbol, element = METALS[name]
    lines = [f"data_{name}", *(f"_cell_length_{axis} {edge}" for axis in "abc")]
    lines += [f"_cell_angle_{angle} 90" for angle in ("alpha", "beta", "gamma")]
    lines += [f"_space_group_name_H-M_alt '{symbol}'", f"_space_group_IT_number {number}"]
    lines += ["loop_", "_atom_site_label", "_atom_site_type_symbol"]
    lines += [f"_atom_site_fract_{axis}" for axis in "xyz"] + ["_atom_site_occupancy"]
    path = folder / f"{name}.cif"
    path.write_text("\n".join([*lines, f"{element}1 {element} 0 0 0 1", ""]), encoding="ascii")
    return path
