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

    from .._sources.images import BROKEN

    try:
        if path.exists() and not (path.is_file() or path.is_dir()):  # a pipe would wait for ever
            raise InputError(f"the label image '{path}' is a pipe or a device: give a TIFF file")
        with tifffile.TiffFile(path) as image:
            _check_shape(path, image.series[0].shape, shape)  # it may promise terabytes
            labels = np.asarray(image.asarray())
    except InputError:
        raise
    except OSError as error:
        reason = error.strerror or "it is damaged"
        raise InputError(f"cannot read the label image '{path}': {reason}") from error
    except (*BROKEN, RuntimeError) as error:
        raise InputError(f"'{path}' is no TIFF image: save the labels as TIFF") from error
    if labels.dtype == bool:
        labels = labels.astype(np.uint8)
    if not np.issubdtype(labels.dtype, np.integer):
        raise InputError(
            f"'{path}' holds {labels.dtype} numbers: labels must be whole, save them as integers"
        )
    return labels


def _check_shape(path: Path, found: tuple[int, ...], shape: tuple[int, int]) -> None:
    if found != shape:
        size = " x ".join(map(str, found))
        raise InputError(
            f"'{path}' has {size} pixels, the map {shape[0]} x {shape[1]} points: give a label "
            "image of this map"
        )
