# SPDX-License-Identifier: GPL-3.0-or-later
"""From raw counts to network input: screen, background, local contrast, resampling.

The same function prepares measured patterns and simulated training patterns, so the network
never sees a pattern that came another way. What is kept is what carries crystallography: the
local contrast of the bands. Gain, offset, gradients and everything outside the screen go.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from .errors import InputError

__all__ = [
    "Preprocessing",
    "divide_background",
    "pattern_quality",
    "prepare",
    "resampling_matrix",
]

_LARGEST = 1e30  # intensities beyond are no measurement, and their sums overflow float32
_CACHED = 2**20  # bytes of full frames that are worked on together
_BLANK = 1e-8  # local contrast over mean intensity: below is float32's rounding


@dataclass(frozen=True)
class Preprocessing:
    """Parameters of :func:`prepare`; stored in every model card.

    Parameters
    ----------
    size
        Side of the square network input in pixels. The screen's bounding box is fitted into
        it with its aspect ratio kept, so angles are not distorted.
    background_sigma
        Standard deviation of the Gaussian that estimates the local background, in pixels of
        the network input.
    contrast_sigma
        The same for the local standard deviation.
    contrast_floor
        Lower limit of the local standard deviation, as a fraction of its root mean square over
        the screen: flat corners are not blown up to noise.
    clip
        Input values are limited to plus and minus this many local standard deviations.
    """

    size: int = 64
    background_sigma: float = 6.0
    contrast_sigma: float = 10.0
    contrast_floor: float = 0.3
    clip: float = 4.0

    def __post_init__(self) -> None:
        if not 16 <= self.size <= 512:
            raise InputError(f"preprocessing size must be 16 to 512 pixels, not {self.size}")
        for name in ("background_sigma", "contrast_sigma", "clip"):
            if not getattr(self, name) > 0:
                raise InputError(f"preprocessing {name} must be positive")
        if not 0 <= self.contrast_floor <= 1:
            raise InputError("preprocessing contrast_floor must be in [0, 1]")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for the model card."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Preprocessing:
        """The inverse of :meth:`to_dict`.

        Raises
        ------
        InputError
            If a key is missing, unknown or of the wrong kind.
        """
        known = {f.name for f in fields(cls)}
        if set(values) != known:
            difference = ", ".join(sorted(set(values) ^ known))
            raise InputError(f"preprocessing parameters do not match this version: {difference}")
        try:
            return cls(
                size=int(values["size"]),
                **{name: float(values[name]) for name in known - {"size"}},
            )
        except (TypeError, ValueError, OverflowError) as error:
            raise InputError(f"preprocessing parameters are not numbers: {error}") from error


def resampling_matrix(n_in: int, start: float, scale: float, n_out: int) -> np.ndarray:
    """Weights of a one-dimensional area-averaging resampling.

    Output sample ``i`` is the mean of the input, taken as piecewise constant, over a window of
    ``max(scale, 1)`` input pixels around ``start + (i + 0.5) * scale``. Reducing is thus exact
    area averaging and enlarging is linear interpolation.

    Parameters
    ----------
    n_in
        Number of input pixels.
    start
        Position of the left edge of output pixel 0, in input pixels; may be negative.
    scale
        Input pixels per output pixel.
    n_out
        Number of output pixels.

    Returns
    -------
    numpy.ndarray
        Weights of shape ``(n_out, n_in)``. Rows sum to one where the window lies inside the
        input and to less where it reaches past it.
    """
    width = max(scale, 1.0)
    centre = start + (np.arange(n_out) + 0.5) * scale
    left = np.maximum(centre[:, None] - width / 2, np.arange(n_in)[None, :])
    right = np.minimum(centre[:, None] + width / 2, np.arange(n_in)[None, :] + 1.0)
    return (np.clip(right - left, 0.0, None) / width).astype(np.float32)


@lru_cache(maxsize=64)
@torch.inference_mode(False)  # kept for later calls, which may need gradients
def _gaussian_matrix(n: int, sigma: float) -> torch.Tensor:
    """Gaussian blur of a length-n signal as an (n, n) matrix; zero outside the signal."""
    x = np.arange(n, dtype=np.float64)
    weights = np.exp(-((x[:, None] - x[None, :]) ** 2) / (2 * sigma**2))
    return torch.from_numpy((weights / weights[n // 2].sum()).astype(np.float32))


def _blur(images: torch.Tensor, sigma: float) -> torch.Tensor:
    """Gaussian blur of (..., S, S) images; as two small matrix products, fast on CPU and GPU."""
    matrix = _gaussian_matrix(images.shape[-1], sigma).to(images.device)
    return torch.matmul(torch.matmul(matrix, images), matrix.T)


@dataclass(frozen=True)
class Fit:
    """How the screen of a detector frame is laid into the square network input.

    Network-input pixel ``i`` covers detector rows ``row0 + i * scale`` to
    ``row0 + (i + 1) * scale``; likewise for columns.
    """

    row0: float
    col0: float
    scale: float


def fit_screen(mask: np.ndarray, size: int) -> Fit:
    """Fit the bounding box of a screen mask into a square, aspect ratio kept, centred.

    Parameters
    ----------
    mask
        Screen mask of shape (rows, cols), true on the screen.
    size
        Side of the square in pixels.

    Raises
    ------
    InputError
        If no pixel is on the screen.
    """
    rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if rows.size == 0:
        raise InputError("the pattern has no screen: the mask is empty; give another mask")
    top, bottom, left, right = rows[0], rows[-1] + 1, cols[0], cols[-1] + 1
    scale = max(bottom - top, right - left) / size
    return Fit(
        row0=(top + bottom) / 2 - scale * size / 2,
        col0=(left + right) / 2 - scale * size / 2,
        scale=float(scale),
    )


def prepare(
    patterns: np.ndarray | torch.Tensor,
    settings: Preprocessing,
    *,
    background: np.ndarray | None = None,
    mask: np.ndarray | torch.Tensor | None = None,
    device: torch.device | str | None = None,
) -> torch.Tensor:
    """Turn detector frames of one size into network input.

    Steps: divide by the static background if there is one; resample the screen to a square by
    area averaging (masked pixels take no part); subtract a smooth surface fitted over the screen
    and a masked Gaussian local background (normalised convolution); divide by the masked local
    standard deviation; zero outside.

    Parameters
    ----------
    patterns
        Frames of shape (n, rows, cols), any real dtype. Values that are not finite, or beyond
        1e30, count as masked.
    settings
        The parameters.
    background
        Static background of shape (rows, cols), same units as the patterns.
    mask
        True (not zero) on the screen: (rows, cols) for all frames, or (n, rows, cols). All on
        when None.
    device
        Where to compute; the CPU when None.

    Returns
    -------
    torch.Tensor
        float32 of shape (n, 1, size, size), on `device`. Invariant to gain and offset. A frame
        without any contrast comes out as zeros.

    Raises
    ------
    InputError
        If shapes do not fit or a mask is empty.
    """
    x = torch.as_tensor(_torch_ready(patterns)).to(device or "cpu")
    counts = not x.is_floating_point()
    if not counts or background is not None:
        x = x.to(torch.float32)
    if x.ndim != 3 or 0 in x.shape[1:]:
        raise InputError(f"patterns must have the shape (n, rows, cols), not {tuple(x.shape)}")
    n, rows, cols = x.shape
    # Counts are finite and small; only measured or simulated real numbers need a look at each.
    usable = None if counts else x.abs() < _LARGEST
    valid = torch.ones((rows, cols), device=x.device)
    if mask is not None:
        on = mask if isinstance(mask, torch.Tensor) else torch.from_numpy(np.array(mask) != 0)
        valid = (on != 0).to(x.device, torch.float32)
        if valid.shape not in ((rows, cols), (n, rows, cols)):
            raise InputError(
                f"the mask has the shape {tuple(valid.shape)}, the patterns {rows} x {cols} pixels"
            )
    if background is not None:
        x, valid = divide_background(x, valid, background)
    # Fitted before single frames lose pixels: the geometry of a frame must not depend on the
    # frames it comes with, and a frame without any usable pixel is a blank one, not an error.
    box = valid if valid.ndim == 2 else valid.amax(dim=0)
    if usable is not None and not bool(usable.all()):
        valid = valid * usable
        x = torch.where(usable, x, torch.zeros_like(x))
    fit = fit_screen(box.cpu().numpy() > 0, settings.size)
    a = torch.from_numpy(resampling_matrix(rows, fit.row0, fit.scale, settings.size)).to(x.device)
    b = torch.from_numpy(resampling_matrix(cols, fit.col0, fit.scale, settings.size)).to(x.device)
    # A few frames at a time stay in the processor's cache, and numbers of 8 or 16 bits are what
    # they are until it is their turn.
    few = max(1, _CACHED // (4 * rows * cols)) if x.device.type == "cpu" else n
    step = few if valid.ndim == 2 else n
    parts = [
        _resampled(x[start : start + step], valid, a, b)
        for start in range(0, max(1, n), max(1, step))
    ]
    x, mean = (torch.cat(part) for part in zip(*parts, strict=True))
    coverage = a @ valid @ b.T
    x = x / coverage.clamp_min(1e-6)
    inside = (coverage > 0.5).to(torch.float32)
    # Beyond these values squares leave the range of float32.
    top = x.abs().amax(dim=(-2, -1)) if n else mean
    if bool(((top > 1e12) | (top < 1e-12)).any()):
        gain = 1.0 / top.clamp(1e-30, 1e30)
        x, mean = x * gain[:, None, None], mean * gain
    return _local_contrast(x * inside, inside, mean.abs(), settings)[:, None]


def _resampled(
    x: torch.Tensor, valid: torch.Tensor, a: torch.Tensor, b: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Sums (n, size, size) of what is valid of frames without their means (n,), and these."""
    own = x.dtype != torch.float32
    x = x.to(torch.float32)
    whole = valid.ndim == 2 and bool((valid == 1).all())  # nothing to leave out: fewer passes
    weight = valid.sum(dim=(-2, -1)).clamp_min(1.0) if valid.ndim == 3 else valid.sum()
    # The global mean goes first: sums of squares of raw 16-bit counts lose all digits in float32.
    mean = (x if whole else x * valid).sum(dim=(-2, -1)) / weight
    x = x.sub_(mean[:, None, None]) if own else x - mean[:, None, None]
    x = x if whole else x * valid
    return torch.matmul(torch.matmul(a, x), b.T), mean


def _torch_ready(patterns: np.ndarray | torch.Tensor) -> np.ndarray | torch.Tensor:
    """torch cannot take big-endian or some unsigned arrays: convert those, and only those."""
    if isinstance(patterns, torch.Tensor):
        return patterns
    try:
        array = np.asarray(patterns)
    except ValueError as error:
        raise InputError("patterns must be of one size to go through at once") from error
    if array.dtype.kind not in "buif":
        raise InputError(f"patterns must hold real numbers, not {array.dtype}")
    if not array.dtype.isnative or array.dtype in (np.uint16, np.uint32, np.uint64, np.longdouble):
        with np.errstate(over="ignore"):  # what is too big becomes infinite, that is, masked
            array = array.astype(np.float32)
    # Nor does it take read-only arrays, or views that run backwards.
    if not array.flags.writeable or any(stride < 0 for stride in array.strides):
        array = array.copy()
    return array


def divide_background(
    x: torch.Tensor, valid: torch.Tensor, background: np.ndarray
) -> tuple[torch.Tensor, torch.Tensor]:
    """Divide frames (n, h, w) by a static background (h, w); pixels without one are not valid.

    Raises
    ------
    InputError
        If the sizes differ.
    """
    reference = torch.as_tensor(np.asarray(background, dtype=np.float32)).to(x.device)
    if reference.shape != x.shape[1:]:
        raise InputError(
            f"the static background has {tuple(reference.shape)} pixels, the patterns "
            f"{tuple(x.shape[1:])}"
        )
    # A background pixel at or near zero says nothing about the gain there.
    usable = torch.isfinite(reference) & (reference > 1e-3 * reference.nan_to_num().amax())
    x = x / torch.where(usable, reference, torch.ones_like(reference))
    return x, valid * usable


@lru_cache(maxsize=16)
@torch.inference_mode(False)  # kept for later calls, which may need gradients
def _surfaces(size: int, degree: int = 4) -> torch.Tensor:
    """Products of Legendre polynomials up to a total degree, as (size * size, terms)."""
    x = np.linspace(-1, 1, size)
    basis = [np.polynomial.legendre.Legendre.basis(k)(x) for k in range(degree + 1)]
    terms = [
        np.multiply.outer(basis[i], basis[j]).ravel()
        for i in range(degree + 1)
        for j in range(degree + 1 - i)
    ]
    return torch.from_numpy(np.stack(terms, axis=1).astype(np.float32))


def _remove_surface(x: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
    """Subtract the least-squares smooth surface inside the screen.

    The bell of a raw frame falls so steeply at the rim of the screen that a local mean, which
    is one-sided there, leaves a dark ring; a surface has no such bias.
    """
    basis = _surfaces(x.shape[-1]).to(x.device)
    weight = inside.reshape(*inside.shape[:-2], -1, 1)
    gram = basis.T @ (weight * basis)
    area = weight.sum(-2).clamp_min(1.0)[..., None]
    if x.device.type == "mps":  # Apple's GPUs have no float64
        gram, area = gram.cpu(), area.cpu()
    # The ridge keeps slivers of screens solvable; it is far below what changes a pattern.
    ridge = (
        1e-5 * area.double() * torch.eye(basis.shape[1], device=gram.device, dtype=torch.float64)
    )
    inverse = torch.linalg.inv(gram.double() + ridge).float().to(x.device)
    moments = x.flatten(1) @ basis
    coefficients = (inverse @ moments[..., None])[..., 0]
    return (x - (coefficients @ basis.T).reshape(x.shape)) * inside


def _local_contrast(
    x: torch.Tensor, inside: torch.Tensor, level: torch.Tensor, settings: Preprocessing
) -> torch.Tensor:
    """Subtract the local mean and divide by the local standard deviation, inside the screen.

    `level`, shape (n,), is the mean intensity before it was taken off: contrast far below it is
    the rounding error of a blank frame, which must not be blown up into a pattern.
    """
    x = _remove_surface(x, inside)
    weight = _blur(inside, settings.background_sigma).clamp_min(1e-3)
    x = (x - _blur(x, settings.background_sigma) / weight) * inside
    weight = _blur(inside, settings.contrast_sigma).clamp_min(1e-3)
    variance = (_blur(x * x, settings.contrast_sigma) / weight).clamp_min(0.0)
    area = inside.sum(dim=(-2, -1)).clamp_min(1.0)
    typical = torch.sqrt((variance * inside).sum(dim=(-2, -1)) / area)
    floor = settings.contrast_floor * typical
    # 1e-30 only keeps a constant frame finite: it comes out as zeros.
    spread = torch.maximum(torch.sqrt(variance), floor[:, None, None]).clamp_min(1e-30)
    blank = (typical <= _BLANK * level)[:, None, None]
    return (x / spread).clamp(-settings.clip, settings.clip) * (inside * ~blank)


def pattern_quality(prepared: torch.Tensor) -> torch.Tensor:
    """Share of the local contrast that is smooth structure and not pixel noise.

    The correlation of each pixel with the mean of its four neighbours, over the screen: near 1
    for sharp Kikuchi bands, near 0 for noise or a blank frame. In the spirit of the image
    quality of Krieger Lassen (1994), but taken after preprocessing, so that background and
    screen shape play no part.

    Parameters
    ----------
    prepared
        Output of :func:`prepare`, shape (n, 1, size, size).

    Returns
    -------
    torch.Tensor
        float32 of shape (n,), in [0, 1].
    """
    x = prepared[:, 0]
    inside = x != 0
    use = inside[:, 1:-1, 1:-1] & inside[:, :-2, 1:-1] & inside[:, 2:, 1:-1]
    use = use & inside[:, 1:-1, :-2] & inside[:, 1:-1, 2:]
    around = x[:, :-2, 1:-1] + x[:, 2:, 1:-1]
    around.add_(x[:, 1:-1, :-2]).add_(x[:, 1:-1, 2:]).mul_(use / 4)
    core = x[:, 1:-1, 1:-1] * use
    product = (core * around).sum(dim=(1, 2))
    power = ((core * core).sum(dim=(1, 2)) * (around * around).sum(dim=(1, 2))).sqrt()
    return (product / power.clamp_min(1e-12)).clamp(0.0, 1.0)
