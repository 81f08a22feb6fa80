# SPDX-License-Identifier: GPL-3.0-or-later
"""Simulated detectors unlike those of training, to measure on what teaching a network is worth.

They go another way than :mod:`.pattern_simulation`: the frame is drawn large, bent by a lens far
beyond what training shows, blurred, taken through a tone curve, laid over what a wrong static
background leaves behind (the same in every frame of a scan), mixed with the afterglow of the
pattern before it, and only then binned down to the size that is stored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from .pattern_simulation import render

__all__ = ["FOREIGN_CAMERAS", "ForeignCamera", "foreign_patterns"]

_MARGIN = 0.3  # of each side, on either end


@dataclass(frozen=True)
class ForeignCamera:
    """One detector with one setting: what all frames of a scan share.

    Parameters
    ----------
    shape
        Rows and columns of the frame as stored.
    binning
        Pixels a side that are averaged into one.
    centre
        Projection centre in Bruker's convention, see :func:`.pattern_simulation.render`.
    barrel
        Change of scale by the lens at half the width of the frame; training goes to 0.03 at one
        detector distance.
    shear
        Sideways shift of the top of the frame against its bottom, as a share of its width.
    blur
        Standard deviation of the point spread in pixels before binning.
    gamma
        Power of the tone curve between the darkest and the brightest 0.5 % of a frame.
    residue
        Standard deviation of what the background correction leaves, in pattern standard
        deviations: smooth blotches, and a grid as fibre optics have it.
    lines
        Standard deviation of an offset that each row of a frame has for itself.
    afterglow
        Weight of the pattern recorded before.
    noise
        Standard deviation of the noise of a stored pixel, in pattern standard deviations.
    """

    shape: tuple[int, int] = (60, 80)
    binning: int = 4
    centre: tuple[float, float, float] = (0.5, 0.3, 0.6)
    barrel: float = 0.0
    shear: float = 0.0
    blur: float = 1.0
    gamma: float = 1.0
    residue: float = 0.0
    lines: float = 0.0
    afterglow: float = 0.0
    noise: float = 0.3


FOREIGN_CAMERAS: Mapping[str, ForeignCamera] = MappingProxyType(
    {
        # To choose the defaults of fine-tuning with.
        "wide lens": ForeignCamera(
            (60, 60), 4, (0.5, 0.45, 0.34), barrel=0.25, blur=3.0, gamma=0.6, residue=0.4, noise=0.4
        ),
        "skewed": ForeignCamera(
            (48, 64), 4, (0.42, 0.25, 0.5), barrel=-0.15, shear=0.3, blur=2.5, residue=0.5,
            lines=0.3, noise=0.3,
        ),
        # To judge with; no setting was chosen on it.
        "judge": ForeignCamera(
            (44, 60), 5, (0.55, 0.35, 0.42), barrel=0.2, shear=-0.2, blur=4.0, gamma=1.6,
            residue=0.5, lines=0.2, afterglow=0.15, noise=0.35,
        ),
    }
)  # fmt: skip
"""Detectors by name."""


def foreign_patterns(
    stack: np.ndarray, chosen: Sequence[int] | np.ndarray, camera: ForeignCamera, *, seed: int
) -> np.ndarray:
    """Frames of one detector, one for each chosen master pattern, in random orientations.

    Parameters
    ----------
    stack
        Master patterns, uint8 of shape (m, 2, n, n).
    chosen
        Indices into `stack`, shape (k,).
    camera
        The detector.
    seed
        Of orientations and noise; what belongs to the detector does not depend on it.

    Returns
    -------
    numpy.ndarray
        uint8 of shape (k, rows, cols).
    """
    rng = np.random.default_rng([seed, 9_000_000])
    rows, cols = (side * camera.binning for side in camera.shape)
    # Drawn with a margin, since a lens brings in what lies beside the frame.
    top, left = round(_MARGIN * rows), round(_MARGIN * cols)
    high, wide = rows + 2 * top, cols + 2 * left
    x, y, distance = camera.centre
    centre = (x * cols + left) / wide, (y * rows + top) / high, distance * rows / high
    places = _places(rows, cols, camera) + np.array([top, left])[:, None, None]
    residue = _residue(camera)
    frames = np.empty((len(chosen), *camera.shape), dtype=np.uint8)
    before: np.ndarray | None = None
    for k, i in enumerate(chosen):
        rotation = Rotation.random(rng=rng).as_matrix()
        if rng.random() < 0.5:  # the mirror image of a crystal has the same point group
            rotation = -rotation
        frame = render(stack[i], rotation, (high, wide), centre)
        frame = ndimage.map_coordinates(frame, places, order=1, mode="nearest")
        frame = _standardised(ndimage.gaussian_filter(frame, camera.blur))
        sharp = frame
        if before is not None:
            frame = (1 - camera.afterglow) * frame + camera.afterglow * before
        before = sharp
        frame = frame.reshape(camera.shape[0], camera.binning, camera.shape[1], -1).mean((1, 3))
        dark, bright = np.percentile(frame, [0.5, 99.5])
        tone = np.clip((frame - dark) / (bright - dark), 0, 1) ** camera.gamma
        frame = _standardised(tone)
        frame = frame + camera.residue * residue
        frame += camera.lines * rng.standard_normal((camera.shape[0], 1))
        frame += camera.noise * rng.standard_normal(camera.shape)
        frames[k] = np.clip(np.rint(128 + 24 * frame), 0, 255)
    return frames


def _places(rows: int, cols: int, camera: ForeignCamera) -> np.ndarray:
    """Where each pixel of the bent frame comes from in the straight one, (2, rows, cols)."""
    y, x = np.indices((rows, cols), dtype=np.float64)
    v, u = (y - rows / 2) / (cols / 2), (x - cols / 2) / (cols / 2)
    lens = 1 + camera.barrel * (u * u + v * v)
    u, v = u * lens + camera.shear * v, v * lens
    return np.stack([v * cols / 2 + rows / 2, u * cols / 2 + cols / 2])


def _residue(camera: ForeignCamera) -> np.ndarray:
    """What the background correction leaves in every frame; unit standard deviation."""
    rng = np.random.default_rng(1)
    blotches = ndimage.gaussian_filter(rng.standard_normal(camera.shape), 3.0)
    y, x = np.indices(camera.shape)
    grid = np.cos(2 * np.pi * (x + y / np.sqrt(3)) / 5.3) + np.cos(2 * np.pi * y / 4.6)
    return _standardised(_standardised(blotches) + 0.5 * grid)


def _standardised(image: np.ndarray) -> np.ndarray:
    return np.asarray((image - image.mean()) / max(float(image.std()), 1e-9))
