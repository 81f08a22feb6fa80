# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the bundled two-phase sample: a map of austenite and ferrite whose answer is known.

Run ``python -m napari_ebsd_phase.training.sample_map LIBRARY FOLDER`` to make it again.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import h5py
import kikuchipy
import numpy as np
import tifffile
from scipy import ndimage
from scipy.spatial import cKDTree

from ..errors import InputError
from .library import MasterLibrary
from .pattern_simulation import render

__all__ = ["main", "make_two_phase_map", "random_rotations"]

AUSTENITE, FERRITE = 1, 2

_MASTERS = {AUSTENITE: "gamma-iron", FERRITE: "alpha-iron"}
_STEP_UM = 0.2
_TILT_SHIFT = 0.0006  # projection-centre drift, in frame heights a scan point


def random_rotations(rng: np.random.Generator, count: int) -> np.ndarray:
    """Uniform random rotations, shape (count, 3, 3), by QR of Gaussian matrices."""
    q, r = np.linalg.qr(rng.standard_normal((count, 3, 3)))
    q = q * np.sign(np.diagonal(r, axis1=1, axis2=2))[:, None, :]
    return q * np.sign(np.linalg.det(q))[:, None, None]


def _grains(
    rng: np.random.Generator, shape: tuple[int, int], count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two nearest grains of every pixel and the share of the second one in its signal."""
    seeds = rng.random((count, 2)) * shape
    points = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1).reshape(-1, 2)
    distance, grain = cKDTree(seeds).query(points + 0.5, k=2)
    # The beam's interaction volume is about one step wide: patterns mix within it.
    gap = (distance[:, 1] - distance[:, 0]) / 2
    second = np.clip(0.5 - gap, 0.0, 0.5)
    return grain[:, 0].reshape(shape), grain[:, 1].reshape(shape), second.reshape(shape)


def make_two_phase_map(
    library: MasterLibrary,
    folder: Path,
    *,
    shape: tuple[int, int] = (60, 80),
    pattern_shape: tuple[int, int] = (48, 48),
    grains: int = 32,
    noise: float = 0.4,
    seed: int = 7,
) -> Path:
    """Simulate raw patterns of a duplex steel and write them with their answer.

    Parameters
    ----------
    library
        Must hold the EMsoft master patterns of gamma and alpha iron at 20 keV.
    folder
        Gets ``patterns.h5`` (kikuchipy's format, raw 8-bit patterns with their static
        background) and ``truth.tif`` (uint8: 1 austenite, 2 ferrite; 0 within one step of a grain
        boundary).
    shape
        Rows and columns of the map.
    pattern_shape
        Rows and columns of a pattern in pixels.
    grains
        Number of grains; two in five are ferrite.
    noise
        Standard deviation of the noise in units of that of the pattern.
    seed
        Of grains, orientations and noise.

    Returns
    -------
    pathlib.Path
        The pattern file.

    Raises
    ------
    InputError
        If the library lacks one of the two master patterns.
    """
    rng = np.random.default_rng(seed)
    masters = {}
    for phase, name in _MASTERS.items():
        found = [
            i
            for i, r in enumerate(library.index)
            if name in r.name and r.energy_kev == 20 and "EMsoft" in r.simulator
        ]
        if not found:
            raise InputError(
                f"{library.path} has no EMsoft master pattern of {name} at 20 kV: "
                "use the library of this project"
            )
        masters[phase] = library.data(found[0])
    first, second, share = _grains(rng, shape, grains)
    phase_of = np.where(rng.random(grains) < 0.4, FERRITE, AUSTENITE)
    rotation_of = random_rotations(rng, grains)
    phase = phase_of[first]

    rows, cols = pattern_shape
    y, x = np.mgrid[:rows, :cols] / np.array(pattern_shape)[:, None, None]
    bell = 0.25 + np.exp(-((x - 0.52) ** 2 + (y - 0.4) ** 2) / 0.35)
    bell /= bell.max()

    patterns = np.empty((*shape, rows, cols), dtype=np.uint8)
    for r in range(shape[0]):
        for c in range(shape[1]):
            centre = (0.5 + _TILT_SHIFT * (c - shape[1] / 2), 0.22 + _TILT_SHIFT * r, 0.62)
            signal = np.zeros(pattern_shape)
            for grain, weight in ((first[r, c], 1 - share[r, c]), (second[r, c], share[r, c])):
                if weight > 0:
                    # Small spread of orientation inside a grain, as deformation leaves it.
                    bend = np.eye(3) + np.cross(np.eye(3), [2e-4 * r, 2e-4 * c, 0.0])
                    signal += weight * render(
                        masters[phase_of[grain]], rotation_of[grain] @ bend, pattern_shape, centre
                    )
            signal = ndimage.gaussian_filter(signal, 0.5)
            signal = (signal - signal.mean()) / signal.std()
            grain_noise = noise * rng.standard_normal(pattern_shape) / np.sqrt(bell)
            frame = bell * (1 + 0.12 * (signal + grain_noise))
            # Steps of four counts, as of a six-bit camera: the file is a third smaller.
            patterns[r, c] = np.clip(np.round(frame * 160 / 4) * 4, 0, 255)

    folder.mkdir(parents=True, exist_ok=True)
    target = folder / "patterns.h5"
    signal = kikuchipy.signals.EBSD(patterns)
    signal.static_background = np.round(bell * 160).astype(np.uint8)
    for axis, (name, scale, unit) in zip(
        signal.axes_manager._axes,
        (("y", _STEP_UM, "um"), ("x", _STEP_UM, "um"), ("dy", 1.0, "px"), ("dx", 1.0, "px")),
        strict=True,
    ):
        axis.name, axis.scale, axis.units = name, scale, unit
    signal.detector = kikuchipy.detectors.EBSDDetector(
        shape=pattern_shape, pc=(0.5, 0.24, 0.62), sample_tilt=70.0, tilt=0.0
    )
    signal.save(target, overwrite=True, compression="gzip", compression_opts=9, shuffle=False)
    near = ndimage.grey_dilation(first, (3, 3)) != ndimage.grey_erosion(first, (3, 3))
    truth = np.where(near, 0, phase).astype(np.uint8)
    tifffile.imwrite(folder / "truth.tif", truth, compression="zlib")
    return target


def main(argv: Sequence[str] | None = None) -> None:
    """Make the sample again."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("library", type=Path, help="master-pattern library, .h5")
    parser.add_argument("folder", type=Path, help="where patterns.h5 and truth.tif go")
    arguments = parser.parse_args(argv)
    with MasterLibrary.open(arguments.library) as library:
        target = make_two_phase_map(library, arguments.folder)
    with h5py.File(target) as file:
        print(f"{target}: {file['Scan 1/EBSD/Data/patterns'].shape} patterns")


if __name__ == "__main__":
    main()
