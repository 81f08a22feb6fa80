# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: NPY002 (inside compiled code there is no other random generator to be seeded)
"""Compiled loops behind :mod:`.pattern_simulation`: projection, camera and its faults.

All in one file: numba's cache notices that a file has changed, but not one that it imports.
"""

from __future__ import annotations

import math

import numba
import numpy as np

__all__ = ["lookup", "overlay", "project", "record", "seed_frames"]


@numba.njit(cache=True, nogil=True, fastmath=True, inline="always")
def lookup(master: np.ndarray, x: float, y: float, z: float, reach: float) -> float:
    """Value of a master pattern (2, n, n) around the direction of a unit vector.

    The square Lambert projection of Rosca (2010) as Callahan and De Graef (2013) use it for
    EBSD master patterns. Grid points weigh as a tent of half-width `reach` in grid steps: 1 is
    bilinear interpolation, more is a mean over the solid angle of a detector pixel, without
    which the fine lines of a pattern alias.
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
    if reach <= 1.0:
        i, j = int(row), int(column)
        a, b = row - i, column - j
        top = (1.0 - b) * master[hemisphere, i, j] + b * master[hemisphere, i, j + 1]
        bottom = (1.0 - b) * master[hemisphere, i + 1, j] + b * master[hemisphere, i + 1, j + 1]
        return (1.0 - a) * top + a * bottom
    # Sixteen points at most, so that the compiler unrolls the loops. At the rim of a hemisphere
    # the outermost points count again in place of those beyond.
    i, j = int(row) - 1, int(column) - 1
    near = max(reach - abs(j - column), 0.0)
    left = reach - abs(j + 1 - column)
    right = reach - abs(j + 2 - column)
    far = max(reach - abs(j + 3 - column), 0.0)
    j_near, j_far = max(j, 0), min(j + 3, n - 1)
    total = weights = 0.0
    for k in range(4):
        m = min(max(i + k, 0), n - 1)
        a = max(reach - abs(i + k - row), 0.0)
        total += a * (
            near * master[hemisphere, m, j_near]
            + left * master[hemisphere, m, j + 1]
            + right * master[hemisphere, m, j + 2]
            + far * master[hemisphere, m, j_far]
        )
        weights += a
    weights *= near + left + right + far
    return total / weights


@numba.njit(cache=True, nogil=True, fastmath=True)
def project(
    master: np.ndarray,
    rotation: np.ndarray,
    centre_x: float,
    centre_y: float,
    distance: float,
    stretch: float,
    bulge: float,
    averaging: bool,
    out: np.ndarray,
) -> None:
    """Fill one frame with master-pattern intensities by gnomonic projection.

    Lengths in pixels. `stretch` is the height of a pixel over its width, `bulge` the lens's
    relative change of scale at one distance from the centre. With `averaging` a pixel shows the
    mean over its area, else the value at its middle.
    """
    rows, cols = out.shape
    step = math.sqrt(2.0 * math.pi) / (master.shape[1] - 1)  # of the equal-area grid, in radians
    pixel = 1.0 / (distance * step)
    reach = 1.0
    for i in range(rows):
        fy = (centre_y - (i + 0.5)) / distance * stretch
        for j in range(cols):
            fx = ((j + 0.5) - centre_x) / distance
            lens = 1.0 + bulge * (fx * fx + fy * fy)
            gx, gy = fx * lens, fy * lens
            scale = 1.0 / math.sqrt(gx * gx + gy * gy + 1.0)
            x = (rotation[0, 0] * gx + rotation[0, 1] * gy + rotation[0, 2]) * scale
            y = (rotation[1, 0] * gx + rotation[1, 1] * gy + rotation[1, 2]) * scale
            z = (rotation[2, 0] * gx + rotation[2, 1] * gy + rotation[2, 2]) * scale
            if averaging:
                # The tent's variance is that of bilinear interpolation, 1/6, and of the pixel's
                # area, width ** 2 / 12, together; the width falls as cos ** 1.5 on average.
                reach = math.sqrt(1.0 + 0.5 * pixel * pixel * scale * scale * scale)
                reach = min(reach, 2.0)
            out[i, j] = lookup(master, x, y, z, reach)


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
def seed_frames(seed: int) -> None:
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
def _box_rows(image: np.ndarray, reach: int, out: np.ndarray) -> None:
    """Mean over 2 reach + 1 columns with mirrored ends, transposed, at a cost free of reach."""
    rows, cols = image.shape
    share = np.float32(1.0 / (2 * reach + 1))
    for i in range(rows):
        total = image[i, 0]
        for k in range(1, reach + 1):
            total += np.float32(2.0) * image[i, k]
        for j in range(cols):
            out[j, i] = total * share
            enter, leave = j + 1 + reach, abs(j - reach)
            if enter >= cols:
                enter = 2 * cols - 2 - enter
            total += image[i, enter] - image[i, leave]


@numba.njit(cache=True, nogil=True, fastmath=True)
def _flatten(frame: np.ndarray, most: float, swap: np.ndarray, other: np.ndarray) -> None:
    """Take a share, up to `most`, of the broad contrast away, at scales beyond a few pixels.

    Measured bands are flatter inside, against their edges and fine lines, than those of a
    simulation at one energy; background correction by a high-pass does the same.
    """
    share = _uniform(0.0, most)
    reach = np.random.randint(1, 5)
    if np.random.random() < 0.25 * most:
        share = most  # the high-pass of an acquisition program
    _box_rows(frame, reach, swap)
    _box_rows(swap, reach, other)
    _box_rows(other, reach, swap)
    _box_rows(swap, reach, other)
    frame -= np.float32(share) * other


@numba.njit(cache=True, nogil=True, fastmath=True)
def _soften(frame: np.ndarray, cx: float, cy: float, swap: np.ndarray, other: np.ndarray) -> None:
    """Blur towards the rim, as lenses do and as thick screens do under slanting electrons."""
    rows, cols = frame.shape
    sigma, far = _uniform(0.7, 1.8), _uniform(0.4, 0.9) * max(rows, cols)
    _blur_rows(frame, sigma, swap)
    _blur_rows(swap, sigma, other)
    for i in range(rows):
        for j in range(cols):
            t = min(((i - cy) ** 2 + (j - cx) ** 2) / (far * far), 1.0)
            frame[i, j] += t * (other[i, j] - frame[i, j])


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


@numba.njit(cache=True, nogil=True)
def _grain(quantiles: np.ndarray, out: np.ndarray) -> None:
    """Independent normal deviates, from a table of quantiles: ten times as fast as exact ones."""
    state = np.uint64(np.random.randint(1, 2**31)) * np.uint64(0x9E3779B97F4A7C15)
    shift = np.uint64(51)  # 64 bits less those that number the 8192 quantiles
    rows, cols = out.shape
    for i in range(rows):
        for j in range(cols):
            # xorshift64*, Vigna 2016
            state ^= state >> np.uint64(12)
            state ^= state << np.uint64(25)
            state ^= state >> np.uint64(27)
            out[i, j] = quantiles[(state * np.uint64(0x2545F4914F6CDD1D)) >> shift]


@numba.njit(cache=True, nogil=True, fastmath=True)
def _blotches(cells: int, out: np.ndarray) -> None:
    """Smooth random field of unit standard deviation with about `cells` blotches a side."""
    rows, cols = out.shape
    knots = np.random.standard_normal((cells + 2, cells + 2))
    shift_y, shift_x = np.random.random(), np.random.random()
    for i in range(rows):
        y = i * cells / rows + shift_y
        k = int(y)
        a = y - k
        a = a * a * (3.0 - 2.0 * a)
        for j in range(cols):
            x = j * cells / cols + shift_x
            m = int(x)
            b = x - m
            b = b * b * (3.0 - 2.0 * b)
            out[i, j] = (1.0 - a) * ((1.0 - b) * knots[k, m] + b * knots[k, m + 1]) + a * (
                (1.0 - b) * knots[k + 1, m] + b * knots[k + 1, m + 1]
            )
    _standardise(out)


@numba.njit(cache=True, nogil=True, fastmath=True)
def _respond(frame: np.ndarray, compression: float) -> None:
    """Display and camera curves: bright zone axes, and less so dark corners, are compressed.

    Measured zone axes are much less bright against their bands than in single-energy
    simulations; log-like cameras, contrast stretching and histogram equalisation all press
    them further. Leaves unit standard deviation, so that noise keeps its meaning.
    """
    bright, dark = _uniform(0.0, compression), _uniform(0.0, 0.5 * compression)
    equalised = np.random.random() < 0.2 * compression
    rows, cols = frame.shape
    for i in range(rows):
        for j in range(cols):
            s = frame[i, j]
            s = s / (1.0 + (bright if s > 0.0 else -dark) * s)
            frame[i, j] = math.erf(0.7 * s) if equalised else s
    _standardise(frame)


@numba.njit(cache=True, nogil=True, fastmath=True)
def _lean(frame: np.ndarray, source: np.ndarray, strength: float, cx: float, reach: float) -> None:
    """Excess-deficiency: bands are brighter on one side, as seen from the incident beam.

    The beam comes from above, so the sides differ along lines that run down the screen and,
    away from the middle, a little sideways; the effect grows downwards, where the scattering
    angle is smaller (Winkelmann 2008).
    """
    rows, cols = frame.shape
    source[:, :] = frame
    growth = _uniform(-0.3, 0.8)
    lag = np.random.randint(1, 4)
    for i in range(lag, rows - lag):
        here = strength * (1.0 + growth * (i / rows - 0.5)) / lag
        for j in range(lag, cols - lag):
            aside = (j - cx) / reach
            frame[i, j] += here * (
                source[i + lag, j]
                - source[i - lag, j]
                + aside * (source[i, j + lag] - source[i, j - lag])
            )


@numba.njit(cache=True, nogil=True, fastmath=True)
def _bell(middle: float, width2: float, out: np.ndarray) -> None:
    for i in range(out.size):
        out[i] = math.exp(-((i - middle) ** 2) / width2)


@numba.njit(cache=True, nogil=True, fastmath=True)
def _dust(field: np.ndarray, amplitude: float) -> None:
    """Add dark or bright round specks, as dust leaves them before or after division."""
    rows, cols = field.shape
    for _ in range(np.random.randint(1, 8)):
        radius = _log_uniform(0.5, 3.5)
        y, x = np.random.random() * rows, np.random.random() * cols
        height = amplitude * _uniform(0.3, 1.0) * (-1.0 if np.random.random() < 0.75 else 1.0)
        for i in range(max(0, int(y - 3 * radius)), min(rows, int(y + 3 * radius) + 1)):
            for j in range(max(0, int(x - 3 * radius)), min(cols, int(x + 3 * radius) + 1)):
                d2 = (i - y) ** 2 + (j - x) ** 2
                field[i, j] += height * math.exp(-d2 / (2.0 * radius * radius))


@numba.njit(cache=True, nogil=True, fastmath=True)
def _shadow(frame: np.ndarray) -> None:
    """Darken a corner or an edge that the screen mask does not know of."""
    rows, cols = frame.shape
    angle = _uniform(0.0, 2.0 * math.pi)
    nx, ny = math.cos(angle), math.sin(angle)
    # Distance of the outermost corner along the normal: the shadow takes the last few percent.
    far = 0.5 * (abs(nx) * cols + abs(ny) * rows)
    start, depth = far * _uniform(0.75, 0.95), _uniform(0.2, 1.0)
    width = _log_uniform(0.3, 4.0)
    for i in range(rows):
        for j in range(cols):
            d = (nx * (j + 0.5 - 0.5 * cols) + ny * (i + 0.5 - 0.5 * rows) - start) / width
            frame[i, j] *= 1.0 - depth / (1.0 + math.exp(-min(max(4.0 * d, -30.0), 30.0)))


@numba.njit(cache=True, nogil=True, fastmath=True)
def _label(frame: np.ndarray, value: float) -> None:
    """A dead patch, or strokes of a label burnt into a corner."""
    rows, cols = frame.shape
    h, w = np.random.randint(2, max(3, rows // 8)), np.random.randint(2, max(3, cols // 8))
    i0, j0 = np.random.randint(0, rows - h), np.random.randint(0, cols - w)
    if np.random.random() < 0.5:
        i0 = 0 if np.random.random() < 0.7 else rows - h
        j0 = 0 if np.random.random() < 0.5 else cols - w
        for _ in range(np.random.randint(2, 6)):
            i, j = i0 + np.random.randint(0, h), j0 + np.random.randint(0, w)
            if np.random.random() < 0.5:
                frame[i, j0 : j0 + w] = value
            else:
                frame[i0 : i0 + h, j] = value
    else:
        frame[i0 : i0 + h, j0 : j0 + w] = value


@numba.njit(cache=True, nogil=True, fastmath=True)
def overlay(frame: np.ndarray, other: np.ndarray) -> None:
    """Lay a second pattern under a first, with a weight below that of two patterns in one."""
    _standardise(frame)
    _standardise(other)
    share = np.float32(_uniform(0.05, 0.3))
    frame *= np.float32(1.0) - share
    frame += share * other


@numba.njit(cache=True, nogil=True, fastmath=True)
def _count(frame: np.ndarray, from_zero: bool, faults: float) -> float:
    """Turn intensities into whole counts of an 8 or 16 bit camera; the full scale in counts."""
    low, high = frame.min(), frame.max()
    white = high + (high - low) * _uniform(-0.1, 0.05)
    black = min(np.float32(0.0), low) if from_zero else low
    if np.random.random() < 0.2 * faults:  # overexposed, or stretched until the ends clip
        some = np.sort(frame.ravel()[::7])
        white = some[int((some.size - 1) * (1.0 - 0.06 * np.random.random()))]
        if not from_zero and np.random.random() < 0.6:
            black = some[int((some.size - 1) * 0.06 * np.random.random())]
    levels = 255.0 if np.random.random() < 0.7 else 65535.0
    gain = math.floor(_uniform(0.4, 1.0) * levels)
    rows, cols = frame.shape
    for i in range(rows):
        for j in range(cols):
            value = (frame[i, j] - black) / max(white - black, 1e-6)
            frame[i, j] = math.floor(min(max(value, 0.0), 1.0) * gain + 0.5)
    return gain


@numba.njit(cache=True, nogil=True, fastmath=True)
def record(
    masters: np.ndarray,
    chosen: np.ndarray,
    screen: np.ndarray,
    ranges: np.ndarray,
    limits: np.ndarray,
    quantiles: np.ndarray,
    edge: np.ndarray,
    frames: np.ndarray,
    geometry: np.ndarray,
) -> None:
    """Fill frames (n, rows, cols) with camera-like patterns of the chosen masters.

    `edge` is each pixel's distance from the edge of the screen. `geometry` (n, 13) is filled, too:
    rotation by rows, projection centre in columns and rows, distance and stretch of each frame,
    see :func:`project`.
    """
    n, rows, cols = frames.shape
    asymmetry, raw, faults, overlap, fade, static, flattening, compression, distortion = limits
    rotation = np.empty((3, 3))
    swap = np.empty((cols, rows), dtype=np.float32)
    other = np.empty((rows, cols), dtype=np.float32)
    bell_x, bell_y = np.empty(cols), np.empty(rows)
    for p in range(n):
        frame = frames[p]
        distance = _log_uniform(ranges[0, 0], ranges[0, 1]) * rows
        cx = _uniform(ranges[1, 0], ranges[1, 1]) * cols
        cy = _uniform(ranges[2, 0], ranges[2, 1]) * rows
        stretch = 1.0 + _uniform(-distortion, distortion)
        bulge = _uniform(-distortion, distortion)
        _random_rotation(rotation)
        project(masters[chosen[p]], rotation, cx, cy, distance, stretch, bulge, True, frame)
        for k in range(9):
            geometry[p, k] = rotation[k // 3, k % 3]
        geometry[p, 9], geometry[p, 10] = cx, cy
        geometry[p, 11], geometry[p, 12] = distance, stretch
        if np.random.random() < overlap:  # a second grain under the beam, of this phase or not
            second = p if np.random.random() < 0.5 else np.random.randint(0, n)
            _random_rotation(rotation)
            project(
                masters[chosen[second]], rotation, cx, cy, distance, stretch, bulge, True, other
            )
            overlay(frame, other)
        sigma = ranges[4, 0] + (ranges[4, 1] - ranges[4, 0]) * np.random.random() ** 2
        if sigma > 0.2:
            _blur_rows(frame, sigma, swap)
            _blur_rows(swap, sigma, frame)
        if np.random.random() < 0.5 * fade:
            _soften(frame, 0.5 * cols, 0.5 * rows, swap, other)
        _flatten(frame, flattening, swap, other)
        _standardise(frame)
        # Mostly as the beam makes it, but some programs store frames upside down.
        _lean(frame, other, _uniform(-0.3, 1.0) * asymmetry, cx, distance)
        _respond(frame, compression)
        noise = _log_uniform(ranges[3, 0], ranges[3, 1])
        mixed = np.random.random() < 0.3  # noise passed through binning, JPEG or a denoiser
        contrast = _log_uniform(0.03, 0.4)
        keeps_bell = np.random.random() < raw
        bx, by = _uniform(0.3, 0.7) * cols, _uniform(0.1, 0.7) * rows
        width2 = (_uniform(0.35, 0.9) * max(rows, cols)) ** 2
        level = _uniform(0.05, 0.5) if keeps_bell else _uniform(0.1, 2.0)
        # Away from the bright middle more of the electrons have lost their energy.
        loss = _uniform(0.0, fade)
        fx, fy = bx + _uniform(-0.1, 0.1) * cols, by + _uniform(-0.1, 0.1) * rows
        fade2 = (_uniform(0.35, 0.8) * max(rows, cols)) ** 2
        _bell(fx, fade2, bell_x)
        _bell(fy, fade2, bell_y)
        for i in range(rows):
            for j in range(cols):
                frame[i, j] *= 1.0 - loss * (1.0 - bell_x[j] * bell_y[i])
        wrong = static * np.random.random() ** 3
        if wrong > 0.02:
            _blotches(int(_log_uniform(2.0, 12.0)), other)
            for i in range(rows):
                for j in range(cols):
                    frame[i, j] += wrong * other[i, j]
        if np.random.random() < 0.2 * faults:
            _dust(frame, _uniform(1.0, 8.0))
        _grain(quantiles, other)
        if mixed:
            sigma = _uniform(0.35, 0.8)
            _blur_rows(other, sigma, swap)
            _blur_rows(swap, sigma, other)
            _standardise(other)
        _bell(bx, width2, bell_x)
        _bell(by, width2, bell_y)
        for i in range(rows):
            for j in range(cols):
                bell = level + bell_x[j] * bell_y[i]
                # Shot noise: relative noise grows where fewer electrons arrive, and stays when
                # the background is divided out. As given where the bell is half as high.
                grain = noise * math.sqrt((level + 0.5) / bell)
                value = 1.0 + contrast * (frame[i, j] + grain * other[i, j])
                frame[i, j] = bell * value if keeps_bell else value
        if np.random.random() < 0.15 * faults:
            _shadow(frame)
        if np.random.random() < 0.3 * faults:  # the rim of a screen glows less
            depth, width = _uniform(0.1, 1.0), _uniform(0.5, 2.5)
            for i in range(rows):
                for j in range(cols):
                    if edge[i, j] < 8.0 * width:
                        frame[i, j] *= 1.0 - depth * math.exp(-edge[i, j] / width)
        gain = _count(frame, keeps_bell, faults)
        if np.random.random() < 0.08 * faults:
            _label(frame, gain if np.random.random() < 0.5 else 0.0)
        if np.random.random() < 0.1 * faults:  # hot and dead pixels
            for _ in range(np.random.randint(1, 30)):
                frame[np.random.randint(0, rows), np.random.randint(0, cols)] = (
                    gain if np.random.random() < 0.5 else 0.0
                )
        for i in range(rows):
            for j in range(cols):
                if not screen[i, j]:
                    frame[i, j] = 0.0
