#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the network sees of symmetry: patterns beside the maps of their agreement with themselves.

    python benchmarks/symmetry_figure.py [-o docs/images/symmetry.png]

A simulated pattern of nickel and one of titanium (EMsoft's master patterns, camera noise), and a
measured one of silicon, whose projection centre the network finds by itself. Rings mark the true
rotation axes of the simulated ones.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from napari_ebsd_phase import load_classifier, load_scan
from napari_ebsd_phase.centring import found_in
from napari_ebsd_phase.preprocessing import Preprocessing, prepare
from napari_ebsd_phase.samples import sample_path
from napari_ebsd_phase.screen import find_screen
from napari_ebsd_phase.symmetry_maps import Centre, cells_of, symmetry_maps
from napari_ebsd_phase.training.library import MasterLibrary
from napari_ebsd_phase.training.pattern_simulation import render
from napari_ebsd_phase.training.symmetry_targets import laue_elements

ROOT = Path(__file__).parent.parent
CENTRE = (0.5, 0.35, 0.55)
SIZE = 64
#: Channels of the maps, and what they are called: the outer circles.
SHOWN = ((4, "half a turn"), (5, "a third"), (6, "a quarter"), (7, "a sixth"), (14, "mirrored"))
COLOURS = ("#ffd166", "#06d6a0", "#ef476f", "#4cc9f0")


def simulated(formula: str, bravais: str, seed: int) -> tuple[np.ndarray, np.ndarray, int]:
    """A noisy frame, its rotation and its space group."""
    with MasterLibrary.open(ROOT / "data" / "master_patterns.h5") as library:
        number = next(
            i
            for i, record in enumerate(library.index)
            if (record.formula, record.bravais) == (formula, bravais)
            and record.simulator.startswith("EMsoft")
        )
        master, space_group = library.data(number), library.index[number].space_group
    rng = np.random.default_rng(seed)
    rotation, _ = np.linalg.qr(rng.standard_normal((3, 3)))
    rotation *= np.sign(np.linalg.det(rotation))
    frame = render(master, rotation, (128, 128), CENTRE)
    return frame + 0.3 * frame.std() * rng.standard_normal(frame.shape), rotation, space_group


def draw(axes: Any, title: str, inputs: Any, centre: Centre, crystal: Any) -> None:
    """One row: the prepared pattern, and its maps."""
    maps = symmetry_maps(inputs, centre)[0].numpy()
    margin, cell = cells_of(SIZE)
    extent = (margin, SIZE - margin, SIZE - margin, margin)
    axes[0].imshow(inputs[0, 0].numpy(), cmap="gray", extent=(0, SIZE, SIZE, 0))
    axes[0].set_ylabel(title, fontsize=9)
    for ax, (channel, _) in zip(axes[1:], SHOWN, strict=True):
        ax.imshow(maps[channel], cmap="magma", vmin=0, vmax=0.8, extent=extent)
    for ax in axes:
        ax.set(xlim=(0, SIZE), ylim=(SIZE, 0), xticks=[], yticks=[])
    if crystal is None:
        return
    rotation, space_group = crystal
    elements = laue_elements(space_group)
    for axis, channel in zip(elements.axes, elements.channels, strict=True):
        v = rotation.T @ axis
        if abs(v[2]) < 0.2:
            continue
        x = centre.x + centre.distance * v[0] / v[2]
        y = centre.y - centre.distance * v[1] / v[2]
        if margin < x < SIZE - margin and margin < y < SIZE - margin:
            ring = {"fill": False, "edgecolor": COLOURS[channel], "linewidth": 1.2}
            axes[1 + channel].add_patch(plt.Circle((x, y), 1.6 * cell, **ring))
            axes[0].plot(x, y, "+", color=COLOURS[channel], markersize=8, markeredgewidth=1.5)


def main() -> None:
    """Write the figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "docs/images/symmetry.png")
    args = parser.parse_args()
    settings = Preprocessing(size=SIZE)
    figure, rows = plt.subplots(3, 6, figsize=(11, 6), layout="constrained")
    for axes, (formula, bravais, name, seed) in zip(
        rows, (("Ni", "cF", "nickel, simulated", 4), ("Ti", "hP", "titanium, simulated", 34)),
        strict=False,
    ):  # fmt: skip
        frame, rotation, space_group = simulated(formula, bravais, seed)
        mask = np.ones(frame.shape, dtype=bool)
        centre = Centre.of_screen(CENTRE, mask, SIZE)
        inputs = prepare(frame[None], settings, mask=mask)
        draw(axes, name, inputs, centre, (rotation, space_group))
    classifier = load_classifier(device="cpu", precision="float32")
    with load_scan(sample_path("silicon")) as scan:
        frames = np.stack([scan.pattern(0, col) for col in range(scan.shape[1])])
    screen = find_screen(frames)
    found = found_in(frames, classifier, screen)
    if found is None:
        raise SystemExit("the patterns of silicon do not tell their projection centre")
    print(f"silicon: projection centre {np.round(found[0].projection_centre, 3).tolist()}")
    inputs = prepare(frames[:1], settings, mask=screen)
    draw(rows[2], "silicon, measured", inputs, found[1], None)
    rows[0, 0].set_title("pattern", fontsize=9)
    for ax, (_, name) in zip(rows[0, 1:], SHOWN, strict=True):
        ax.set_title(name if name == "mirrored" else f"turned by {name}", fontsize=9)
    figure.savefig(args.output, dpi=110)
    print(f"written: {args.output}")


if __name__ == "__main__":
    main()
