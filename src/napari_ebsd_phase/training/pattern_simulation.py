# SPDX-License-Identifier: GPL-3.0-or-later
"""Kikuchi patterns from master patterns, as a camera would record them, fast.

Each pattern gets its own orientation, projection centre, detector distance, contrast, blur,
noise and faults. Only the frame size and the shape of the screen are shared by a small group,
since :func:`napari_ebsd_phase.preprocessing.prepare` takes frames of one size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numba
import numpy as np
from scipy import ndimage

__all__ = [
    "FAST",
    "GOOD",
    "POOR",
    "TRAINING",
    "Camera",
    "random_screen",
    "render",
    "simulate_group",
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
        Standard deviation of the optical point spread in pixels.
    asymmetry
        Largest excess-deficiency asymmetry of the bands, in pattern standard deviations for a
        unit of vertical gradient.
    raw
        Share of frames that keep the bell-shaped background.
    faults
        Scale of the probability of dead spots, labels burnt in, overlap and missed screen masks.
    plain_screen
        Share of frames whose screen fills the frame.
    """

    size: tuple[int, int] = (56, 88)
    aspect: tuple[float, float] = (1.0, 1.4)
    distance: tuple[float, float] = (0.42, 1.3)
    centre_x: tuple[float, float] = (0.35, 0.65)
    centre_y: tuple[float, float] = (0.05, 0.8)
    noise: tuple[float, float] = (0.03, 1.2)
    blur: tuple[float, float] = (0.3, 1.3)
    asymmetry: float = 0.35
    raw: float = 0.4
    faults: float = 1.0
    plain_screen: float = 0.5


TRAINING = Camera()
# Three stated test conditions: a slow careful scan, a fast scan, a poor one.
GOOD = Camera(noise=(0.05, 0.15), blur=(0.3, 0.6), asymmetry=0.15, raw=0.3, faults=0.0)
FAST = Camera(noise=(0.3, 0.6), blur=(0.4, 0.8), asymmetry=0.2, raw=0.3, faults=0.2)
POOR = Camera(noise=(0.8, 1.3), blur=(0.8, 1.3), asymmetry=0.3, raw=0.3, faults=1.0)


@numba.njit(cache=True, nogil=True, fastmath=True, inline="always")
def _lookup(master: np.ndarray, x: float, y: float, z: float) -> float:
    """Bilinear value of a master pattern (2, n, n) in the direction of a unit vector.

    The square Lambert projection of Rosca (2010) as Callahan and De Graef (2013) use it for
    EBSD master patterns.
    """
    n = master.shape[1]
    hemisphere = 0 if z >= 0.0 else 1
    radius = math.sqrt(max(1.0 - abs(z), 0.0))
    if x == 0.0 and y == 0.0:
        u = v = 0.0
    elif abs(x) >= abs(y):
        u = math.copysign(radius, x)
        v = u * (4.0 / math.pi) * math.atan(y / x)
    else:
        v = math.copysign(radius, y)
        u = v * (4.0 / math.pi) * math.atan(x / y)
    half = 0.5 * (n - 1)
    column = min(max((u + 1.0) * half, 0.0), n - 1.0001)
    row = min(max((v + 1.0) * half, 0.0), n - 1.0001)
    i, j = int(row), int(column)
    a, b = row - i, column - j
    top = (1.0 - b) * master[hemisphere, i, j] + b * master[hemisphere, i, j + 1]
    bottom = (1.0 - b) * master[hemisphere, i + 1, j] + b * master[hemisphere, i + 1, j + 1]
    return (1.0 - a) * top + a * bottom


@numba.njit(cache=True, nogil=True, fastmath=True)
def _project(
    master: np.ndarray,
    rotation: np.ndarray,
    centre_x: float,
    centre_y: float,
    distance: float,
    stretch: float,
    out: np.ndarray,
) -> None:
    """Fill one frame with master-pattern intensities by gnomonic projection."""
    rows, cols = out.shape
    for i in range(rows):
        gy = (centre_y - (i + 0.5)) / distance * stretch
        for j in range(cols):
            gx = ((j + 0.5) - centre_x) / distance
            scale = 1.0 / math.sqrt(gx * gx + gy * gy + 1.0)
            x = (rotation[0, 0] * gx + rotation[0, 1] * gy + rotation[0, 2]) * scale
            y = (rotation[1, 0] * gx + rotation[1, 1] * gy + rotation[1, 2]) * scale
            z = (rotation[2, 0] * gx + rotation[2, 1] * gy + rotation[2, 2]) * scale
            out[i, j] = _lookup(master, x, y, z)


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
    _project(master, np.asarray(rotation, np.float64), x * shape[1], y * shape[0],
             distance * shape[0], 1.0, out)  # fmt: skip
    return out


@numba.njit(cache=True, nogil=True)
def _random_rotation(out: np.ndarray) -> None:
    """Uniform random rotation from a normalised Gaussian quaternion, mirrored half the time.

    The mirror image of a crystal has a point group of the same name, so improper operations
    double the variety and are right.
    """
    q = np.random.standard_normal(4)
    q /= math.sqrt((q * q).sum())
    w, x, y, z = q
    out[0, 0], out[0, 1], out[0, 2] = (
        1 - 2 * (y * y + z * z),
        2 * (x * y - w * z),
        2 * (x * z + w * y),
    )
    out[1, 0], out[1, 1], out[1, 2] = (
        2 * (x * y + w * z),
        1 - 2 * (x * x + z * z),
        2 * (y * z - w * x),
    )
    out[2, 0], out[2, 1], out[2, 2] = (
        2 * (x * z - w * y),
        2 * (y * z + w * x),
        1 - 2 * (x * x + y * y),
    )
    if np.random.random() < 0.5:
        out *= -1.0


@numba.njit(cache=True, nogil=True)
def _seed(seed: int) -> None:
    np.random.seed(seed)


@numba.njit(cache=True, nogil=True, fastmath=True)
def _blur_rows(image: np.ndarray, sigma: float, out: np.ndarray) -> None:
    """Gaussian blur along the second axis with mirrored ends; call twice for both axes."""
    reach = max(1, int(3.0 * sigma + 0.5))
    kernel = np.empty(2 * reach + 1, dtype=np.float32)
    total = 0.0
    for k in range(-reach, reach + 1):
        kernel[k + reach] = math.exp(-k * k / (2.0 * sigma * sigma))
        total += kernel[k + reach]
    rows, cols = image.shape
    for i in range(rows):
        for j in range(cols):
            value = 0.0
            for k in range(-reach, reach + 1):
                m = abs(j + k)
                if m >= cols:
                    m = 2 * cols - 2 - m
                value += kernel[k + reach] * image[i, m]
            out[j, i] = value / total  # transposed: the second call restores the order


@numba.njit(cache=True, nogil=True, fastmath=True)
def _uniform(low: float, high: float) -> float:
    return low + (high - low) * np.random.random()


@numba.njit(cache=True, nogil=True, fastmath=True)
def _log_uniform(low: float, high: float) -> float:
    return math.exp(_uniform(math.log(low), math.log(high)))


@numba.njit(cache=True, nogil=True, fastmath=True)
def _standardise(image: np.ndarray) -> None:
    mean = image.mean()
    spread = math.sqrt(max(((image - mean) ** 2).mean(), 1e-12))
    image -= np.float32(mean)
    image /= np.float32(spread)


@numba.njit(cache=True, nogil=True, fastmath=True)
def _record(
    masters: np.ndarray,
    chosen: np.ndarray,
    screen: np.ndarray,
    ranges: np.ndarray,
    faults: float,
    raw: float,
    frames: np.ndarray,
) -> None:
    """Fill frames (n, rows, cols) with camera-like patterns of the chosen masters."""
    n, rows, cols = frames.shape
    rotation = np.empty((3, 3))
    swap = np.empty((cols, rows), dtype=np.float32)
    other = np.empty((rows, cols), dtype=np.float32)
    distance_low, distance_high = ranges[0]
    for p in range(n):
        frame = frames[p]
        master = masters[chosen[p]]
        distance = _log_uniform(distance_low, distance_high) * rows
        cx = _uniform(ranges[1, 0], ranges[1, 1]) * cols
        cy = _uniform(ranges[2, 0], ranges[2, 1]) * rows
        stretch = _uniform(0.97, 1.03)
        _random_rotation(rotation)
        _project(master, rotation, cx, cy, distance, stretch, frame)
        if np.random.random() < 0.06 * faults:  # two grains of one phase under the beam
            _random_rotation(rotation)
            _project(master, rotation, cx, cy, distance, stretch, other)
            frame += np.float32(_uniform(0.1, 0.5)) * other
        sigma = _uniform(ranges[4, 0], ranges[4, 1])
        _blur_rows(frame, sigma, swap)
        _blur_rows(swap, sigma, frame)
        _standardise(frame)
        # Excess-deficiency: bands are brighter on the side away from the incident beam.
        strength = _uniform(-ranges[5, 1], ranges[5, 1])
        other[:, :] = frame
        for i in range(1, rows - 1):
            for j in range(cols):
                frame[i, j] += strength * (other[i + 1, j] - other[i - 1, j])
        # Response curve: log-like cameras and display curves compress one end or both.
        curve = _uniform(-0.25, 0.25)
        squash = _uniform(0.0, 0.35)
        noise = _log_uniform(ranges[3, 0], ranges[3, 1])
        mixed = np.random.random() < 0.3  # noise passed through binning, JPEG or a denoiser
        contrast = _log_uniform(0.03, 0.4)
        keeps_bell = np.random.random() < raw
        bx, by = _uniform(0.3, 0.7) * cols, _uniform(0.1, 0.7) * rows
        width2 = (_uniform(0.35, 0.9) * max(rows, cols)) ** 2
        level = _uniform(0.05, 0.5)
        slope_x, slope_y = _uniform(-0.3, 0.3), _uniform(-0.3, 0.3)
        for i in range(rows):
            for j in range(cols):
                s = frame[i, j]
                s = s + curve * (s * s - 1.0) * 0.5
                s = s / (1.0 + squash * abs(s))
                other[i, j] = s
        for i in range(rows):
            for j in range(cols):
                frame[i, j] = np.random.standard_normal()
        if mixed:
            sigma = _uniform(0.4, 1.0)
            _blur_rows(frame, sigma, swap)
            _blur_rows(swap, sigma, frame)
            _standardise(frame)
        for i in range(rows):
            for j in range(cols):
                bell = 1.0
                if keeps_bell:
                    d2 = (j - bx) ** 2 + (i - by) ** 2
                    bell = level + math.exp(-d2 / width2)
                    # Shot noise: relative noise grows where fewer electrons arrive.
                    grain = noise / math.sqrt(bell)
                else:
                    grain = noise * (1.0 + slope_x * (j / cols - 0.5) + slope_y * (i / rows - 0.5))
                frame[i, j] = bell * (1.0 + contrast * (other[i, j] + grain * frame[i, j]))
        low, high = frame.min(), frame.max()
        # Below one: the brightest pixels saturate. Measured over the range and not the level, or
        # a flat raw frame would saturate altogether.
        white = low + (high - low) * _uniform(0.75, 1.05)
        black = 0.0 if keeps_bell else low
        levels = 255.0 if np.random.random() < 0.7 else 65535.0
        gain = math.floor(_uniform(0.4, 1.0) * levels)
        for i in range(rows):
            for j in range(cols):
                value = (frame[i, j] - black) / (white - black)
                frame[i, j] = math.floor(min(max(value, 0.0), 1.0) * gain + 0.5)
        if np.random.random() < 0.08 * faults:  # a label or a dead patch
            h, w = np.random.randint(2, max(3, rows // 8)), np.random.randint(2, max(3, cols // 8))
            i0, j0 = np.random.randint(0, rows - h), np.random.randint(0, cols - w)
            if np.random.random() < 0.5:
                i0, j0 = 0, (0 if np.random.random() < 0.5 else cols - w)
            frame[i0 : i0 + h, j0 : j0 + w] = gain if np.random.random() < 0.5 else 0.0
        if np.random.random() < 0.1 * faults:  # hot and dead pixels
            for _ in range(np.random.randint(1, 30)):
                frame[np.random.randint(0, rows), np.random.randint(0, cols)] = (
                    gain if np.random.random() < 0.5 else 0.0
                )
        for i in range(rows):
            for j in range(cols):
                if not screen[i, j]:
                    frame[i, j] = 0.0


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


def simulate_group(
    masters: np.ndarray, chosen: np.ndarray, camera: Camera, rng: np.random.Generator
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
        [
            camera.distance,
            camera.centre_x,
            camera.centre_y,
            camera.noise,
            camera.blur,
            (0.0, camera.asymmetry),
        ]
    )
    frames = np.empty((len(chosen), *screen.shape), dtype=np.float32)
    _seed(int(rng.integers(2**31)))
    _record(
        masters,
        np.asarray(chosen, dtype=np.int64),
        screen,
        ranges,
        camera.faults,
        camera.raw,
        frames,
    )
    mask = screen
    if not screen.all():
        missed = rng.random() < 0.1 * camera.faults
        mask = np.ones_like(screen) if missed else ndimage.binary_erosion(screen, border_value=1)
    return frames, mask
