# SPDX-License-Identifier: GPL-3.0-or-later
"""A label image given on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError

if TYPE_CHECKING:
    import numpy as np


def read_labels(path: Path, shape: tuple[int, int]) -> np.ndarray:
    """Whole numbers of the map's shape from a TIFF file.

    Raises
    ------
    InputError
        If the file cannot be read, or holds something else.
    """
    import numpy as np
    import tifffile

    try:
        labels = np.asarray(tifffile.imread(path))
    except OSError as error:
        raise InputError(f"cannot read the label image '{path}': {error.strerror}") from error
    except (tifffile.TiffFileError, ValueError) as error:
        raise InputError(f"'{path}' is no TIFF image: save the labels as TIFF") from error
    if labels.dtype == bool:
        labels = labels.astype(np.uint8)
    if not np.issubdtype(labels.dtype, np.integer):
        raise InputError(
            f"'{path}' holds {labels.dtype} numbers: labels must be whole, save them as integers"
        )
    if labels.shape != shape:
        size = " x ".join(map(str, labels.shape))
        raise InputError(
            f"'{path}' has {size} pixels, the map {shape[0]} x {shape[1]} points: give a label "
            "image of this map"
        )
    return labels
