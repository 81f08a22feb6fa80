# SPDX-License-Identifier: GPL-3.0-or-later
"""Kikuchi patterns from master patterns, as a camera would record them, fast.

Each pattern gets its own orientation, projection centre, detector distance, contrast, blur,
noise and faults. Only the frame size and the shape of the screen are shared by a small group,
since :func:`napari_ebsd_phase.preprocessing.prepare` takes frames of one size.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage, special

from .frame_kernels import lookup, project, record, seed_frames

__all__ = [
    "FAST",
    "GOOD",
    "POOR",
    "TRAINING",
    "Camera",
    "random_screen",
    "render",
    "simulate_group",
    "standing",
]


@dataclass(frozen=True)
class Camera:
    """Ranges that camera conditions are drawn from, uniformly unless stated.

    Parameters
    ----------
    size
        Longer side of the frame in pixels.
    aspect
        Longer side over shorter side; frames are wider than high, or square.
    distance
        Detector distance in units of the frame height (log-uniform).
    centre_x, centre_y
        Projection centre as a fraction of frame width and height from the top left corner.
    noise
        Standard deviation of the pixel noise in units of the pattern's own standard deviation
        (log-uniform): 0.1 is a beautiful pattern, 1 a poor one.
    blur
        Standard deviation of the optical point spread in pixels, on top of the averaging over
        the area of a pixel; most are near the lower end.
    asymmetry
        Largest excess-deficiency asymmetry of the bands, in pattern standard deviations for a
        unit of gradient towards the beam.
    raw
        Share of frames that keep the bell-shaped background.
    faults
        Scale of the probability of dead spots, dust, shadows, labels burnt in and missed screen
        masks.
    plain_screen
        Share of frames whose screen fills the frame.
    overlap
        Share of frames in which a second pattern lies under the first, with a weight of 0.05 to
        0.3: beyond that a frame counts as two patterns.
    fade
        Largest loss of band contrast from its centre towards the rim of the screen, 0 to 1.
    static
        Largest standard deviation of what a wrong static background leaves behind, blotches of
        half to a twentieth of the frame, in pattern standard deviations; mostly much less.
    flattening
        Largest share of the broad contrast, beyond a few pixels, that is missing from bands.
    compression
        Largest compression of bright zone axes: an intensity of s standard deviations above the
        mean shows as s / (1 + compression * s).
    distortion
        Largest change of scale at the unit gnomonic radius by the lens, and of the pixels' aspect.
    """

    size: tuple[int, int] = (56, 88)
    aspect: tuple[float, float] = (1.0, 1.4)
    distance: tuple[float, float] = (0.4, 1.0)
    centre_x: tuple[float, float] = (0.35, 0.65)
    centre_y: tuple[float, float] = (0.05, 0.8)
    noise: tuple[float, float] = (0.05, 1.4)
    blur: tuple[float, float] = (0.0, 1.0)
    asymmetry: float = 0.5
    raw: float = 0.4
    faults: float = 1.0
    plain_screen: float = 0.5
    overlap: float = 0.1
    fade: float = 0.95
    static: float = 2.0
    flattening: float = 1.0
    compression: float = 0.8
    distortion: float = 0.03


_lookup = lookup  # the name it had before
# Normal deviates come from this table: ten times as fast as exact ones.
_QUANTILES = special.ndtri((np.arange(8192) + 0.5) / 8192).astype(np.float32)

TRAINING = Camera()
# Three stated test conditions. GOOD: a slow careful scan with a clean background. FAST: short
# exposures, so that shot noise is a third to a half of the pattern. POOR: as much noise as
# pattern or more, an optical blur of a pixel, faults of the camera and its background.
_CLEAN = Camera(raw=0.3, overlap=0.0, fade=0.3, static=0.1, flattening=0.5, compression=0.4,
                distortion=0.01)  # fmt: skip
GOOD = replace(_CLEAN, noise=(0.05, 0.15), blur=(0.0, 0.3), asymmetry=0.2, faults=0.0)
FAST = replace(_CLEAN, noise=(0.3, 0.6), blur=(0.2, 0.5), asymmetry=0.3, faults=0.2)
POOR = replace(_CLEAN, noise=(0.8, 1.3), blur=(0.6, 1.1), asymmetry=0.4, faults=1.0,
               overlap=0.06, fade=0.5, static=0.4)  # fmt: skip


def render(
    master: np.ndarray,
    rotation: np.ndarray,
    shape: tuple[int, int],
    projection_centre: tuple[float, float, float] = (0.5, 0.2, 0.6),
) -> np.ndarray:
    """One noiseless pattern.

    Parameters
    ----------
    master
        Master pattern of shape (2, n, n): northern and southern hemisphere on the square Lambert
        grid, rows along y, columns along x, in the crystal's Cartesian frame.
    rotation
        Orthogonal matrix that takes a detector direction (x right, y up, z from the detector
        to the source point reversed, that is, along the outgoing electrons) into the crystal
        frame.
    shape
        Rows and columns of the frame.
    projection_centre
        (x, y, distance): x as a fraction of the width from the left, y as a fraction of the
        height from the top, distance in units of the height (Bruker's convention).

    Returns
    -------
    numpy.ndarray
        float32 of the given shape, in the units of the master pattern.
    """
    out = np.empty(shape, dtype=np.float32)
    x, y, distance = projection_centre
    project(master, np.asarray(rotation, np.float64), x * shape[1], y * shape[0],
             distance * shape[0], 1.0, 0.0, False, out)  # fmt: skip
    return out


def random_screen(rng: np.random.Generator, camera: Camera) -> np.ndarray:
    """A frame size with a screen in it, as detectors have them.

    Parameters
    ----------
    rng
        Source of randomness.
    camera
        Ranges of size and aspect, share of plain screens.

    Returns
    -------
    numpy.ndarray
        bool of shape (rows, cols): true where the screen is lit.
    """
    cols = int(rng.integers(camera.size[0], camera.size[1] + 1))
    aspect = 1.0 if rng.random() < 0.4 else rng.uniform(*camera.aspect)
    rows = max(24, round(cols / aspect))
    screen = np.ones((rows, cols), dtype=bool)
    if rng.random() < camera.plain_screen:
        return screen
    y = (np.arange(rows)[:, None] + 0.5) / rows * 2 - 1
    x = (np.arange(cols)[None, :] + 0.5) / cols * 2 - 1
    kind = rng.random()
    if kind < 0.5:  # a circle, whole or cut by the frame
        radius = rng.uniform(0.92, 1.25)
        cx, cy = rng.uniform(-0.08, 0.08, 2)
        scale = rows / cols if rng.random() < 0.7 else 1.0
        screen = (x - cx) ** 2 / scale**2 + (y - cy) ** 2 < radius**2
    elif kind < 0.7:  # rounded corners
        power = rng.uniform(3, 8)
        screen = np.abs(x) ** power + np.abs(y) ** power < rng.uniform(0.95, 1.2)
    elif kind < 0.9:  # shadow of the sample or a diode along one edge
        offset, tilt = rng.uniform(0.6, 0.95), rng.uniform(-0.15, 0.15)
        screen = (y if rng.random() < 0.7 else -y) < offset + tilt * x
    else:
        cut = rng.uniform(1.1, 1.7)
        screen = np.abs(x) + np.abs(y) < cut
    return np.broadcast_to(screen, (rows, cols)).copy()


def standing(camera: Camera, rng: np.random.Generator) -> tuple[Camera, tuple[float, float, float]]:
    """A camera that stands in one place, drawn from its ranges, and its projection centre.

    Parameters
    ----------
    camera
        Ranges of the camera conditions.
    rng
        Source of randomness.

    Returns
    -------
    camera : Camera
        The same, but for where it stands.
    projection_centre : tuple of float
        (PCx, PCy, PCz) of its frames in Bruker's convention.
    """
    x, y = rng.uniform(*camera.centre_x), rng.uniform(*camera.centre_y)
    distance = float(np.exp(rng.uniform(*np.log(camera.distance))))
    still = replace(camera, centre_x=(x, x), centre_y=(y, y), distance=(distance, distance))
    return still, (x, y, distance)


def simulate_group(
    masters: np.ndarray,
    chosen: np.ndarray,
    camera: Camera,
    rng: np.random.Generator,
    geometry: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Frames of one size and screen, one for each chosen master pattern.

    Parameters
    ----------
    masters
        uint8 of shape (m, 2, n, n).
    chosen
        Indices into `masters`, shape (k,).
    camera
        Ranges of the camera conditions.
    rng
        Source of randomness: the same state gives the same frames.
    geometry
        float64 of shape (k, 13), filled with what each frame was projected with: the rotation of
        :func:`render` by rows, the projection centre (column, row) and distance in pixels, and
        the height of a pixel over its width.

    Returns
    -------
    frames : numpy.ndarray
        float32 of shape (k, rows, cols): whole counts of an 8 or 16 bit camera.
    mask : numpy.ndarray
        bool of shape (rows, cols): the screen as a finder would report it, up to a pixel; all
        true now and then, as when the finder misses it.
    """
    screen = random_screen(rng, camera)
    ranges = np.array(
        [camera.distance, camera.centre_x, camera.centre_y, camera.noise, camera.blur]
    )
    limits = np.array(
        [
            camera.asymmetry,
            camera.raw,
            camera.faults,
            camera.overlap,
            camera.fade,
            camera.static,
            camera.flattening,
            camera.compression,
            camera.distortion,
        ]
    )
    frames = np.empty((len(chosen), *screen.shape), dtype=np.float32)
    seed_frames(int(rng.integers(2**31)))
    # The edges of a frame that the screen fills are not those of the screen.
    edge = (
        ndimage.distance_transform_edt(screen) if not screen.all() else np.full(screen.shape, 1e9)
    )
    indices = np.asarray(chosen, dtype=np.int64)
    told = np.empty((len(chosen), 13)) if geometry is None else geometry
    record(masters, indices, screen, ranges, limits, _QUANTILES, edge, frames, told)
    mask = screen
    if not screen.all():
        missed = rng.random() < 0.1 * camera.faults
        mask = np.ones_like(screen) if missed else ndimage.binary_erosion(screen, border_value=1)
    return frames, mask
