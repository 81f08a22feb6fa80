# SPDX-License-Identifier: GPL-3.0-or-later
"""Small data with a known answer; ``README.md`` in this folder says where they come from."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError

if TYPE_CHECKING:
    import numpy as np

__all__ = ["sample_names", "sample_path", "sample_title", "sample_truth"]


@dataclass(frozen=True)
class _Sample:
    """Where a sample lies in this folder and what it shows.

    `truth` is a label image whose value k stands for entry k - 1 of `answers` and 0 for patterns
    that do not count; without it all patterns show the one answer.
    """

    source: str
    title: str
    answers: tuple[tuple[str, str], ...]
    truth: str | None = None


_SAMPLES = {
    "nickel": _Sample("nickel.h5", "nickel (measured)", (("m-3m", "cF"),)),
    "silicon": _Sample("silicon", "silicon (measured)", (("m-3m", "cF"),)),
    "two_phase": _Sample(
        "two_phase/patterns.h5",
        "austenite and ferrite (simulated)",
        (("m-3m", "cF"), ("m-3m", "cI")),
        "two_phase/truth.tif",
    ),
}


def sample_names() -> tuple[str, ...]:
    """Names of the samples, smallest first."""
    return tuple(_SAMPLES)


def sample_path(name: str) -> Path:
    """File or folder of a sample, ready for :func:`napari_ebsd_phase.load_scan`.

    Raises
    ------
    InputError
        If there is no such sample.
    """
    return _file(_sample(name).source)


def sample_title(name: str) -> str:
    """What a sample shows, in a few words."""
    return _sample(name).title


def sample_truth(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Right point group and right Bravais lattice of the patterns of a sample.

    Returns
    -------
    point_group, bravais_lattice : numpy.ndarray
        Names, of the shape (rows, cols) of the map or of one that broadcasts to it; empty where
        the answer does not count, as the pattern lies at a grain boundary and shows two crystals.
    """
    import numpy as np

    sample = _sample(name)
    names = np.array([("", ""), *sample.answers])
    if sample.truth is None:
        index = np.ones((1, 1), int)
    else:
        import tifffile

        index = tifffile.imread(_file(sample.truth)).astype(int)
    return names[index, 0], names[index, 1]


def _sample(name: str) -> _Sample:
    try:
        return _SAMPLES[name]
    except KeyError:
        raise InputError(f"no sample {name!r}: the samples are {', '.join(_SAMPLES)}") from None


def _file(name: str) -> Path:
    return Path(str(files(__package__).joinpath(name)))
