# SPDX-License-Identifier: GPL-3.0-or-later
"""CIF files are read and never run."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_ebsd_phase._sources.cif import check_cif
from napari_ebsd_phase.errors import InputError

CIF = """data_nickel
_cell_length_a 3.52
_cell_length_b 3.52
_cell_length_c 3.52
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
loop_
_symmetry_equiv_pos_as_xyz
'x,y,z'
'{operation}'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
Ni Ni 0 0 0
"""


def written(folder: Path, operation: str) -> Path:
    path = folder / "phase.cif"
    path.write_text(CIF.format(operation=operation))
    return path


@pytest.mark.parametrize("operation", ["-x,-y,-z", "x, 1/2-y, z+0.5", "-X+1/2,Y,-.5+Z"])
def test_operations_as_the_field_writes_them_are_read(operation, tmp_path):
    check_cif(written(tmp_path, operation))


@pytest.mark.parametrize(
    "operation",
    [
        'x,y,z+__import__("os").mkdir("trap")',
        "x,y,z+9**9**9",
        "x,y,z+1/0",
        "x,y",
        "a,b,c",
        "1" * 400 + "!",
    ],
)
def test_what_is_no_operation_is_refused_and_not_run(operation, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    with pytest.raises(InputError, match="not a readable CIF") as caught:
        check_cif(written(tmp_path, operation))

    assert "\n" not in str(caught.value)
    assert not Path("trap").exists()


@pytest.mark.parametrize("content", [b"no structure", bytes(range(256)), b"data_x\nloop_\n_a\n"])
def test_damage_is_told_in_one_line_and_nothing_else(content, tmp_path, capfd):
    path = tmp_path / "phase.cif"
    path.write_bytes(content)

    with pytest.raises(InputError, match="not a readable CIF") as caught:
        check_cif(path)

    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")
