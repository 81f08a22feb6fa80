# SPDX-License-Identifier: GPL-3.0-or-later
"""Read CIF files without running what is written in them.

diffpy evaluates the symmetry operations of a file as Python: a CIF from anywhere could do anything.
"""

from __future__ import annotations

import re
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from ..errors import InputError

_OPERATIONS = ("_space_group_symop_operation_xyz", "_symmetry_equiv_pos_as_xyz")

# Letters and fractions with signs between them, three times: x,1/2-y,z+0.5
_TERM = r"(?:[xyz]|(?:\d+(?:\.\d*)?|\.\d+)(?:/[1-9]\d*)?)"
_PART = rf"[+-]?{_TERM}(?:[+-]{_TERM})*"
_OPERATION = re.compile(rf"{_PART},{_PART},{_PART}", re.IGNORECASE | re.ASCII)


def cif_parser() -> Any:
    """Return diffpy's parser of CIF files; it refuses operations that are none.

    Like other damage, these are a ``StructureFormatError``.
    """
    from diffpy.structure.parsers.p_cif import P_cif

    class Parser(P_cif):
        """Looks at the operations before they are evaluated."""

        def _parse_space_group_symop_operation_xyz(self, block: Any) -> None:
            for name in _OPERATIONS:
                for text in block.GetLoop(name)[name] if name in block else ():
                    if not _OPERATION.fullmatch(str(text).replace(" ", "")):
                        raise ValueError(f"{str(text)[:60]!r} is no symmetry operation")
            super()._parse_space_group_symop_operation_xyz(block)

    return Parser()


def read_cif(path: Path) -> tuple[Any, Any]:
    """Atoms of the first structure of a CIF file, and the parser that knows its space group.

    Raises
    ------
    InputError
        If the file cannot be read, or has something else in the place of a symmetry operation.
    """
    from diffpy.structure.structureerrors import StructureFormatError

    parser = cif_parser()
    try:
        # Not the parser's own opening of the file, which leaves it open when it fails. What is
        # wrong is also printed, in many lines.
        with redirect_stdout(StringIO()):
            atoms = parser.parse(path.read_text(encoding="utf-8", errors="replace"))
    except (OSError, StructureFormatError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: not a readable CIF file ({reason})") from error
    return atoms, parser


def check_cif(path: Path) -> None:
    """See that a CIF file can be given to a library that reads it with diffpy.

    Raises
    ------
    InputError
        As :func:`read_cif`.
    """
    read_cif(path)
