# SPDX-License-Identifier: GPL-3.0-or-later
"""How much simulated network input looks like measured input: a montage and some numbers.

Run ``python -m napari_ebsd_phase.training.realism --measured DIR --library FILE -o DIR``. No
network takes part, and no label: what is compared is the statistics of prepared patterns.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from ..errors import InputError
from ..preprocessing import Preprocessing, pattern_quality, prepare
from ..samples import sample_path
from ..scan import load_scan
from ..screen import find_screen
from .library import MasterLibrary
from .materials import load_materials
from .pattern_simulation import FAST, GOOD, POOR, TRAINING, Camera, simulate_group

__all__ = ["CAMERAS", "FEATURES", "compare", "features", "main", "measured_inputs", "montage",
           "simulated_inputs"]  # fmt: skip

CAMERAS: Mapping[str, Camera] = {"training": TRAINING, "good": GOOD, "fast": FAST, "poor": POOR}

_RINGS = np.array([0.0, 0.03, 0.06, 0.09, 0.13, 0.17, 0.21, 0.26, 0.32, 0.40, 0.5])
_BLOCKS = 4

FEATURES = (
    *(f"power {a:.2f}-{b:.2f}" for a, b in pairwise(_RINGS)),
    "skewness",
    "kurtosis",
    "quality",
    "contrast variation",
)
"""Names of the numbers that :func:`features` takes from a pattern: log10 share of power in
rings of spatial frequency (cycles a pixel), moments of the grey values, the quality of
:func:`napari_ebsd_phase.preprocessing.pattern_quality`, and how much the local contrast varies
over the screen."""


def features(prepared: np.ndarray) -> np.ndarray:
    """Statistics of prepared patterns that carry no crystallography.

    Parameters
    ----------
    prepared
        Network input, shape (n, size, size); zero outside the screen.

    Returns
    -------
    numpy.ndarray
        float64 of shape (n, len(FEATURES)).
    """
    x = np.asarray(prepared, dtype=np.float64)
    n, size, _ = x.shape
    inside = x != 0
    window = np.hanning(size + 2)[1:-1]
    power = np.abs(np.fft.fft2(x * np.outer(window, window))) ** 2
    f = np.fft.fftfreq(size)
    radius = np.hypot(f[:, None], f[None, :])
    rings = np.stack(
        [power[:, (radius >= low) & (radius < high)].sum(axis=1) for low, high in pairwise(_RINGS)],
        axis=1,
    )
    rings = np.log10(rings / np.maximum(rings.sum(axis=1, keepdims=True), 1e-12) + 1e-6)
    count = np.maximum(inside.sum(axis=(1, 2)), 1)
    mean = x.sum(axis=(1, 2)) / count
    centred = (x - mean[:, None, None]) * inside
    spread = np.sqrt((centred**2).sum(axis=(1, 2)) / count).clip(1e-9)
    skewness = (centred**3).sum(axis=(1, 2)) / count / spread**3
    kurtosis = (centred**4).sum(axis=(1, 2)) / count / spread**4 - 3
    quality = pattern_quality(torch.from_numpy(prepared[:, None].astype(np.float32))).numpy()
    side = size // _BLOCKS
    cut = (slice(None), slice(0, side * _BLOCKS), slice(0, side * _BLOCKS))
    blocks = (n, _BLOCKS, side, _BLOCKS, side)
    filled = inside[cut].reshape(blocks).sum(axis=(2, 4))
    local = (centred[cut] ** 2).reshape(blocks).sum(axis=(2, 4)) / np.maximum(filled, 1)
    # Blocks mostly off the screen say nothing.
    used = (filled > side * side / 2).reshape(n, -1)
    level = np.log(np.sqrt(local) + 1e-3).reshape(n, -1) * used
    total = np.maximum(used.sum(axis=1), 1)
    middle = level.sum(axis=1) / total
    variation = np.sqrt((((level - middle[:, None]) * used) ** 2).sum(axis=1) / total)
    return np.column_stack([rings, skewness, kurtosis, quality, variation])


def measured_inputs(
    folder: Path, settings: Preprocessing | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Prepared measured patterns of a folder and of the nickel sample.

    Parameters
    ----------
    folder
        Pictures, and ``index.csv`` with the columns ``set`` and ``file``.
    settings
        The preprocessing; defaults when None.

    Returns
    -------
    inputs : numpy.ndarray
        float32 of shape (n, size, size).
    sets : numpy.ndarray
        Name of the set of each, shape (n,). The nickel sample counts as two: as it was recorded,
        and with its static background divided out.

    Raises
    ------
    InputError
        If there is no index, or it lacks a column or a row.
    """
    settings = settings or Preprocessing()
    index = folder / "index.csv"
    if not index.is_file():
        raise InputError(f"{folder} has no index.csv that tells what its pictures show")
    with index.open(encoding="utf-8-sig", newline="") as stream:
        rows = list(csv.DictReader(stream))
    if not rows or not {"set", "file"} <= set(rows[0]):
        raise InputError(f"{index} must have the columns set and file, and a row a picture")
    inputs, sets = [], []
    for row in rows:
        with load_scan(folder / row["file"]) as scan:
            frame = scan.pattern(0, 0)[None]
        inputs.append(prepare(frame, settings, mask=find_screen(frame)))
        sets.append(row["set"])
    with load_scan(sample_path("nickel")) as scan:
        frames = scan.read(slice(None), slice(None))
        frames = frames.reshape(-1, *frames.shape[2:])
        background = scan.static_background
    screen = find_screen(frames)
    inputs.append(prepare(frames, settings, mask=screen))
    inputs.append(prepare(frames, settings, mask=screen, background=background))
    sets += ["nickel sample, raw"] * len(frames) + ["nickel sample"] * len(frames)
    return torch.cat(inputs)[:, 0].numpy(), np.array(sets)


def simulated_inputs(
    stack: np.ndarray,
    masters: Sequence[int],
    camera: Camera,
    count: int,
    settings: Preprocessing | None = None,
    seed: int = 0,
) -> np.ndarray:
    """Prepared simulated patterns, eight of one frame size and screen at a time.

    Parameters
    ----------
    stack
        Master patterns, uint8 of shape (m, 2, n, n).
    masters
        Indices of those to draw from.
    camera
        Camera conditions.
    count
        Number of patterns.
    settings
        The preprocessing; defaults when None.
    seed
        Of everything that is drawn.

    Returns
    -------
    numpy.ndarray
        float32 of shape (count, size, size).
    """
    settings, inputs = settings or Preprocessing(), []
    rng = np.random.default_rng([seed, 41])
    for start in range(0, count, 8):
        chosen = rng.choice(np.asarray(masters), size=min(8, count - start))
        frames, mask = simulate_group(stack, chosen, camera, rng)
        inputs.append(prepare(frames, settings, mask=mask))
    return torch.cat(inputs)[:, 0].numpy()


def compare(measured: np.ndarray, sets: np.ndarray, simulated: np.ndarray) -> dict[str, Any]:
    """Distance between measured and simulated patterns by their features.

    Every set of measured patterns weighs the same, whatever its size.

    Parameters
    ----------
    measured
        Features of measured patterns, shape (n, k).
    sets
        Name of the set of each, shape (n,).
    simulated
        Features of simulated patterns, shape (m, k), with m well above k.

    Returns
    -------
    dict
        ``frechet``: the Frechet distance between normal distributions of the two, in units of the
        measured standard deviation of each feature. ``separable``: area under the ROC curve of
        a linear discriminant that tells the two apart, trained without the set that it is
        tested on (0.5: it cannot). ``typical``: for each set the share of simulated patterns
        that lie farther from the simulated mean (Mahalanobis) than the set's median pattern
        does; 0 is a set unlike anything simulated. ``shift``: for each feature the measured
        less the simulated mean, in simulated standard deviations.
    """
    names = sorted(set(sets.tolist()))
    weight = np.array([1.0 / (len(names) * (sets == name).sum()) for name in sets])
    mean = weight @ measured
    scale = np.sqrt(weight @ (measured - mean) ** 2).clip(1e-6)
    a, b = measured / scale, simulated / scale
    difference = weight @ a - b.mean(axis=0)
    left = (a - weight @ a).T @ ((a - weight @ a) * weight[:, None])
    right = np.cov(b.T)
    # The trace of the square root of a product of covariances, by symmetric parts.
    values, vectors = np.linalg.eigh(right)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    cross = np.sqrt(np.linalg.eigvalsh(root @ left @ root).clip(0)).sum()
    frechet = float(difference @ difference + np.trace(left) + np.trace(right) - 2 * cross)
    centre = simulated.mean(axis=0)
    deviation = simulated.std(axis=0).clip(1e-6)
    away = _mahalanobis(simulated, simulated)
    typical = {
        name: float((away > np.median(_mahalanobis(measured[sets == name], simulated))).mean())
        for name in names
    }
    shift = (mean - centre) / deviation
    return {
        "frechet": frechet,
        "separable": _separable(measured, sets, weight, simulated, names),
        "typical": typical,
        "shift": {n: float(s) for n, s in zip(FEATURES, shift, strict=False)},
    }


def _mahalanobis(points: np.ndarray, cloud: np.ndarray) -> np.ndarray:
    scale = cloud.std(axis=0).clip(1e-6)
    z = (cloud - cloud.mean(axis=0)) / scale
    covariance = np.cov(z.T) + 0.05 * np.eye(z.shape[1])
    d = (points - cloud.mean(axis=0)) / scale
    return np.sqrt(np.einsum("ij,ij->i", d, np.linalg.solve(covariance, d.T).T))


def _separable(
    measured: np.ndarray,
    sets: np.ndarray,
    weight: np.ndarray,
    simulated: np.ndarray,
    names: Sequence[str],
) -> float:
    """Mean area under the ROC curve over sets left out in turn."""
    areas = []
    train, test = simulated[::2], simulated[1::2]
    scale = simulated.std(axis=0).clip(1e-6)
    for name in names:
        kept = sets != name
        if not kept.any():
            return float("nan")
        w = weight[kept] / weight[kept].sum()
        mean = w @ measured[kept]
        inner = ((measured[kept] - mean) / scale * w[:, None]).T @ ((measured[kept] - mean) / scale)
        pooled = 0.5 * inner + 0.5 * np.cov((train / scale).T) + 0.05 * np.eye(len(scale))
        direction = np.linalg.solve(pooled, (mean - train.mean(axis=0)) / scale) / scale
        ours, theirs = measured[~kept] @ direction, test @ direction
        areas.append(float((ours[:, None] > theirs[None, :]).mean()))
    return float(np.mean(areas))


def montage(rows: Sequence[np.ndarray], path: Path, columns: int = 10, zoom: int = 2) -> None:
    """Write prepared patterns as a picture, one row of tiles an entry.

    Parameters
    ----------
    rows
        Arrays of shape (n, size, size); `columns` of each are shown, spread over its patterns.
    path
        PNG file to write; an existing one is replaced.
    columns
        Tiles a row; rows with fewer patterns end earlier.
    zoom
        Enlargement, a whole number.
    """
    size = rows[0].shape[1]
    side = size + 2
    picture = np.zeros((len(rows) * side, columns * side), dtype=np.uint8)
    for r, patterns in enumerate(rows):
        shown = np.unique(np.linspace(0, len(patterns) - 1, columns).round().astype(int))
        for c, k in enumerate(shown):
            tile = np.clip((patterns[k] + 3) / 6, 0, 1) * 255
            picture[r * side + 1 : r * side + 1 + size, c * side + 1 : c * side + 1 + size] = tile
    picture = picture.repeat(zoom, axis=0).repeat(zoom, axis=1)
    part = path.with_name(path.name + ".part")
    Image.fromarray(picture).save(part, format="png")
    part.replace(path)


def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
    """Write ``realism.json`` and ``realism.png`` and print the numbers."""
    parser = argparse.ArgumentParser(prog="realism", description=__doc__)
    parser.add_argument("--measured", type=Path, required=True, help="pictures with index.csv")
    parser.add_argument("--library", type=Path, required=True, help="library of master patterns")
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder for the results")
    parser.add_argument("--patterns", type=int, default=1600, help="simulated ones a camera")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(argv)
    measured, sets = measured_inputs(given.measured)
    with MasterLibrary.open(given.library) as library:
        stack, materials = load_materials(library)
    masters = [i for material in materials["train"] for i in material.masters]
    if not masters:
        raise InputError(f"{given.library} has no materials for training: give a larger library")
    names = sorted(set(sets.tolist()))
    rows = [measured[sets == name] for name in names]
    seen, result = features(measured), {}
    for camera_name, camera in CAMERAS.items():
        simulated = simulated_inputs(stack, masters, camera, given.patterns, seed=given.seed)
        # Two rows of the condition that has to cover all the others.
        rows += np.array_split(simulated, 2) if camera_name == "training" else [simulated]
        result[camera_name] = compare(seen, sets, features(simulated))
        print(_line(camera_name, result[camera_name]))
    given.out.mkdir(parents=True, exist_ok=True)
    montage(rows, given.out / "realism.png")
    part = given.out / "realism.json.part"
    part.write_text(json.dumps(result, indent=1), encoding="utf-8")
    part.replace(given.out / "realism.json")
    return result


def _line(name: str, result: dict[str, Any]) -> str:
    typical = ", ".join(f"{key} {value:.2f}" for key, value in result["typical"].items())
    return (
        f"{name}: Frechet distance {result['frechet']:.1f}, told apart with an area of "
        f"{result['separable']:.2f}, typical: {typical}"
    )


if __name__ == "__main__":
    main()
