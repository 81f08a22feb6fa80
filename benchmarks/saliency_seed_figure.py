#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nickel and aluminium in one orientation: which zone axes the networks look at first.

    python benchmarks/saliency_seed_figure.py -o out [--model NAME|FILE ...] [--draws 16]

The picture that this project began with showed, for Al and Ni at nearly the same orientation, most
of the network's attention near [1-12], then [112], then [001] and [0-13]. Here both are simulated
from the library at one shared rotation, chosen from geometry alone: the middle of these four axes
is in the middle of the screen. Zone axes are ranked by the mean evidence for m-3m within 3 degrees
of them, over draws of noise; beside the networks stand an untrained one and the image itself. Below
each crystal the mean rank over all networks and its lowest and highest: how much of a ranking is
that of one network. Give networks of other seeds, or checkpoints of a training, with --model.
Prints the ranking and writes saliency-seed.png. About half a minute on one core.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy.ndimage import gaussian_filter

from napari_ebsd_phase import InputError, load_classifier
from napari_ebsd_phase.classifier import Classifier
from napari_ebsd_phase.export import replacing
from napari_ebsd_phase.saliency import evidence
from napari_ebsd_phase.training.library import MasterLibrary
from napari_ebsd_phase.training.pattern_simulation import render
from napari_ebsd_phase.training.saliency_controls import baseline_maps, untrained
from napari_ebsd_phase.training.saliency_measures import angles_to, axis_means
from napari_ebsd_phase.training.saliency_sets import PRIOR, phase_of
from napari_ebsd_phase.training.structures import find_structures
from napari_ebsd_phase.zone_axes import (
    Geometry,
    ZoneAxes,
    crystal_directions,
    describe,
    find_zone_axes,
    rotation_of,
)

LIBRARY = Path(__file__).parents[1] / "data" / "master_patterns.h5"
MODELS = ("default", "pixels", "lines")
MASTERS = {"Ni": "emsoft_Ni_nickel_20kV", "Al": "emsoft_Al_aluminum_20kV"}
SOURCE = ("[1-12]", "[112]", "[001]", "[0-13]")  # in the order that the source reports
TARGET = "m-3m"
SIDE = 120
GEOMETRY = Geometry(shape=(SIDE, SIDE), pc=(0.5, 0.5, 0.62))
# As the stated fast camera has it: noise in units of the pattern's own contrast, blur in pixels
# of a 60-pixel frame.
NOISE, BLUR = 0.45, 0.35

_NETWORK = "network "


def shared_rotation() -> np.ndarray:
    """From the screen to the crystal: the middle of the source's axes ahead, [112] to the right."""
    axes = np.array([[1, -1, 2], [1, 1, 2], [0, 0, 1], [0, -1, 3]], dtype=float)
    axes /= np.linalg.norm(axes, axis=1)[:, None]
    ahead = axes.sum(axis=0) / np.linalg.norm(axes.sum(axis=0))
    right = axes[1] - axes[0]
    right -= ahead * (right @ ahead)
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(ahead, right), ahead], axis=1)


def frames_of(master: np.ndarray, rotation: np.ndarray, draws: int, seed: int) -> np.ndarray:
    """The same pattern under several draws of noise, 8-bit counts."""
    clean = gaussian_filter(render(master, rotation, GEOMETRY.shape, GEOMETRY.pc), BLUR * SIDE / 60)
    clean = (clean - clean.mean()) / clean.std()
    grain = np.random.default_rng(seed).normal(size=(draws, SIDE, SIDE))
    # Twice the pixels of a fast camera's frame, each with twice its noise.
    return np.clip(128 + 28 * (clean + 2 * NOISE * grain), 0, 255).round().astype(np.uint8)


@dataclass(frozen=True)
class Column:
    """What one network, or none, says of one crystal."""

    title: str
    image: np.ndarray
    at_axes: np.ndarray  # (draws, axes)

    @property
    def rank(self) -> np.ndarray:
        """Of the axes, by their means over the draws."""
        return ranks(self.at_axes.mean(axis=0))

    def range(self, axis: int) -> str:
        """Rank of an axis, and the ranks that it has in single draws."""
        single = np.array([ranks(values)[axis] for values in self.at_axes])
        return f"{self.rank[axis]} ({single.min()} to {single.max()})"


def title_of(model: str) -> str:
    """What a network is called: its name, or that of the folder where a training left it."""
    path = Path(model)
    if path.suffix != ".safetensors":
        return model
    return path.parent.name if path.stem in ("network", "checkpoint") else path.stem


def columns_of(
    frames: np.ndarray, classifiers: dict[str, Classifier], angles: np.ndarray, seed: int
) -> list[Column]:
    """Means over the draws, and the values at the zone axes."""
    images = {
        f"{_NETWORK}{title}": evidence(frames, c, TARGET, prior=PRIOR)
        for title, c in classifiers.items()
    }
    title, first = next(iter(classifiers.items()))
    images[f"untrained, as {title}"] = evidence(frames, untrained(first, seed), TARGET, prior=PRIOR)
    baselines = [baseline_maps(frame, first.preprocessing) for frame in frames]
    for name in ("intensity", "local variance"):
        images[name] = np.stack([maps[name] for maps in baselines])
    screen = np.ones(GEOMETRY.shape, bool)
    return [
        Column(
            title,
            image.mean(axis=0),
            np.stack([axis_means(one, angles, screen) for one in image]),
        )
        for title, image in images.items()
    ]


def ranks(values: np.ndarray) -> np.ndarray:
    """1 for the largest."""
    return (-values).argsort(kind="stable").argsort(kind="stable") + 1


def rank_table(crystals: dict[str, list[Column]], axes: ZoneAxes) -> str:
    """Rank of the source's axes, and the first axes of each column."""
    labels = axes.labels.tolist()
    head = ["crystal", "map", *(f"{name} ({i})" for i, name in enumerate(SOURCE, 1)), "first five"]
    lines = [head, ["---"] * len(head)]
    for crystal, columns in crystals.items():
        for column in columns:
            first = [labels[i] for i in np.argsort(column.rank)[:5]]
            told = [column.range(labels.index(name)) for name in SOURCE]
            lines.append([crystal, column.title, *told, ", ".join(first)])
        lines.append([crystal, *spread(columns, labels)])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def spread(columns: list[Column], labels: list[str]) -> list[str]:
    """Mean rank of the source's axes over all networks, the lowest and highest, the first five."""
    networks = [column for column in columns if column.title.startswith(_NETWORK)]
    rank = np.stack([column.rank for column in networks])
    told = []
    for name in SOURCE:
        mine = rank[:, labels.index(name)]
        told.append(f"{mine.mean():.1f} ({mine.min()} to {mine.max()})")
    first = [labels[i] for i in np.argsort(rank.mean(axis=0), kind="stable")[:5]]
    return [f"all {len(networks)} networks", *told, ", ".join(first)]


def draw(
    crystals: dict[str, list[Column]], frames: dict[str, np.ndarray], axes: ZoneAxes, path: Path
) -> None:
    """Patterns and maps side by side, a row for each crystal."""
    columns = len(next(iter(crystals.values()))) + 1
    figure = Figure(figsize=(2.75 * columns, 2.66 * len(crystals) + 0.85), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    grid = figure.subplots(len(crystals), columns, squeeze=False)
    for row, (crystal, found) in zip(grid, crystals.items(), strict=True):
        row[0].imshow(frames[crystal][0], cmap="gray")
        row[0].set_ylabel(crystal, fontsize=13, fontweight="bold", rotation=0, labelpad=14)
        _name(row[0], axes)
        for panel, column in zip(row[1:], found, strict=True):
            top = float(np.abs(column.image).max())
            limits = (
                {"cmap": "gray"}
                if column.title in ("intensity", "local variance")
                else {"cmap": "RdBu_r", "vmin": -top, "vmax": top}
            )
            panel.imshow(column.image, **limits)
            _number(panel, axes, column.rank)
            if crystal == next(iter(crystals)):
                panel.set_title(column.title, fontsize=10)
        for panel in row:
            panel.set_xticks([])
            panel.set_yticks([])
            panel.set(xlim=(-0.5, SIDE - 0.5), ylim=(SIDE - 0.5, -0.5))
    grid[0][0].set_title("pattern", fontsize=10)
    figure.suptitle(
        "Evidence for m-3m (red: for, blue: against), mean over draws of noise. Numbers: rank of "
        f"the zone axis among the {len(axes)} shown, by the mean within 3°.\nThe source reports "
        f"{', then '.join(SOURCE[:3])} and {SOURCE[3]}.",
        fontsize=10.5,
    )
    with replacing(path, overwrite=True) as temporary, open(temporary, "wb") as file:
        canvas.print_png(file)


def _name(panel: Axes, axes: ZoneAxes) -> None:
    for label, (x, y) in zip(axes.labels, axes.xy, strict=True):
        told = label in SOURCE
        panel.plot(x, y, "o", ms=7 if told else 4, mfc="none", mew=1.1,
                   mec="#ffdd55" if told else "#66ccee")  # fmt: skip
        if told:
            panel.annotate(label, (x, y), (0, 6), textcoords="offset points", fontsize=8,
                           ha="center", color="#ffdd55", fontweight="bold")  # fmt: skip


def _number(panel: Axes, axes: ZoneAxes, rank: np.ndarray) -> None:
    for label, (x, y), number in zip(axes.labels, axes.xy, rank, strict=True):
        if label in SOURCE or number <= 4:
            told = label in SOURCE
            panel.plot(x, y, "o", ms=8, mfc="none", mec="black" if told else "#777777", mew=1)
            side = -1 if x > 0.93 * SIDE else 1
            panel.annotate(
                str(number),
                (x, y),
                (8 * side, -10 if y < 0.07 * SIDE else 4),
                textcoords="offset points",
                ha="left" if side > 0 else "right",
                fontsize=8,
                color="black" if told else "#555555",
                fontweight="bold" if told else "normal",
                bbox={"boxstyle": "round,pad=0.1", "fc": "white", "ec": "none", "alpha": 0.75},
            )


def main(argv: list[str] | None = None) -> None:
    """Print and draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--model",
        action="append",
        metavar="NAME|FILE",
        help="network; may be given several times (default: the three bundled ones)",
    )
    parser.add_argument("--library", type=Path, default=LIBRARY)
    parser.add_argument("--draws", type=int, default=16, help="of noise")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="DIR")
    given = parser.parse_args(argv)
    rotation = shared_rotation()
    nickel = find_structures(formula="Ni", bravais="cF")[0]
    catalogue = describe(phase_of(nickel))  # aluminium has the same lattice and the same axes
    axes = find_zone_axes(catalogue, rotation_of(rotation, GEOMETRY), GEOMETRY)
    angles = angles_to(
        crystal_directions(rotation_of(rotation, GEOMETRY), GEOMETRY), axes.direction
    )
    try:
        given.out.mkdir(parents=True, exist_ok=True)
        classifiers = {
            title_of(m): load_classifier(m, device="cpu", precision="float32")
            for m in given.model or MODELS
        }
        crystals, frames = {}, {}
        with MasterLibrary.open(given.library) as library:
            keys = [record.key for record in library.index]
            for crystal, key in MASTERS.items():
                if key not in keys:
                    raise InputError(f"{given.library} has no master pattern named {key!r}")
                master = library.data(keys.index(key))
                frames[crystal] = frames_of(master, rotation, given.draws, given.seed)
                crystals[crystal] = columns_of(frames[crystal], classifiers, angles, given.seed)
        draw(crystals, frames, axes, given.out / "saliency-seed.png")
    except InputError as error:
        parser.error(str(error))
    print(f"{len(axes)} zone axes on the screen; rank by mean evidence within 3 degrees\n")
    print(rank_table(crystals, axes))


if __name__ == "__main__":
    main()
