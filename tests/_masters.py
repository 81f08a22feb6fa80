# SPDX-License-Identifier: GPL-3.0-or-later
"""Master patterns of the library in the repository."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from napari_ebsd_phase.training.library import MasterLibrary

LIBRARY = Path(__file__).parent.parent / "data" / "master_patterns.h5"


def emsoft_master(formula: str) -> np.ndarray:
    """The first of EMsoft's master patterns of a material, as :meth:`MasterLibrary.data` has it."""
    with MasterLibrary.open(LIBRARY) as library:
        number = next(
            i
            for i, record in enumerate(library.index)
            if record.formula == formula and record.simulator.startswith("EMsoft")
        )
        return library.data(number)
