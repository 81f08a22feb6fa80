#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where in the crystal the evidence lies: maps on the sphere beside master patterns, with controls.

    python benchmarks/saliency_sphere.py -o out [--model NAME ...] [--patterns 500]

Nickel and magnesium: patterns in random orientations, simulated from the library's master patterns
at the stated fast camera; the evidence of each network for the point group of the crystal, averaged
by crystal direction and over the Laue class; the same of an untrained network. Prints how far the
evidence at families of zone axes stands out, in standard deviations of the map over the sphere, and
writes saliency-sphere-Ni.png and saliency-sphere-Mg.png. About a minute on one core.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from napari_ebsd_phase import InputError, load_classifier
from napari_ebsd_phase.classifier import Classifier
from napari_ebsd_phase.crystallography import laue_group
from napari_ebsd_phase.export import replacing
from napari_ebsd_phase.saliency.sphere import (
    SphereMap,
    lambert_direction,
    laue_operations,
    saliency_on_sphere,
)
from napari_ebsd_phase.saliency.sphere_picture import Panel, named_axes, write_sphere
from napari_ebsd_phase.training.library import MasterLibrary, MasterPattern
from napari_ebsd_phase.training.saliency_controls import untrained
from napari_ebsd_phase.training.saliency_measures import NEAR
from napari_ebsd_phase.training.saliency_sets import PRIOR, simulated_frames
from napari_ebsd_phase.zone_axes import Catalogue, describe

LIBRARY = Path(__file__).parents[1] / "data" / "master_patterns.h5"
MODELS = ("default", "symmetry", "pixels", "lines")
MASTERS = ("emsoft_Ni_nickel_20kV", "emsoft_Mg_magnesium_20kV")
FAMILIES = 6


def standing_out(grid: np.ndarray, catalogue: Catalogue) -> dict[str, float]:
    """Mean within 3 degrees of each family of axes, in standard deviations from the mean."""
    directions = lambert_direction(len(grid))
    spread = np.nanstd(grid) or 1.0
    found = {}
    for name, members in named_axes(catalogue, FAMILIES):
        near = np.abs(directions @ members.T).max(axis=-1) >= np.cos(np.deg2rad(NEAR))
        found[name] = float((np.nanmean(grid[near]) - np.nanmean(grid)) / spread)
    return found


def master_on_grid(data: np.ndarray, side: int) -> np.ndarray:
    """Northern hemisphere of a master pattern as means over the cells of a map."""
    fine = 4 * side
    at = ((np.arange(fine) + 0.5) / fine * (data.shape[-1] - 1)).round().astype(int)
    blocks = data[0][np.ix_(at, at)].astype(float).reshape(side, 4, side, 4)
    return np.asarray(blocks.mean(axis=(1, 3)))


def draw(
    master: MasterPattern, classifiers: list[Classifier], patterns: int, seed: int, path: Path
) -> None:
    """Maps of one material."""
    oriented = simulated_frames(master, patterns, seed)
    operations, catalogue = laue_operations(oriented.phase), describe(oriented.phase)

    def on_sphere(classifier: Classifier) -> SphereMap:
        return saliency_on_sphere(
            classifier,
            oriented.frames,
            oriented.rotations,
            oriented.geometries,
            master.point_group,
            operations,
            prior=PRIOR,
        )

    panels = [Panel("master pattern", master.data[0].astype(float), signed=False)]
    panels += [Panel(f"network {c.name}", on_sphere(c).values) for c in classifiers]
    blank = on_sphere(untrained(classifiers[0], seed)).values
    panels.append(Panel(f"untrained, as {classifiers[0].name}", blank))
    with replacing(path, overwrite=True) as temporary:
        write_sphere(
            temporary,
            panels,
            catalogue,
            (
                f"Evidence for {master.point_group} by crystal direction: {master.formula}, "
                f"{master.energy_kev:g} keV",
                f"mean over {patterns} simulated patterns in random orientations and over the "
                f"{len(operations)} operations of {laue_group(master.point_group)}; each disc has "
                "its own scale",
            ),
            operations,
        )
    rows = {"intensity": standing_out(master_on_grid(master.data, len(blank)), catalogue)}
    rows |= {panel.title: standing_out(panel.grid, catalogue) for panel in panels[1:]}
    names = list(rows["intensity"])
    print(f"\n{master.formula}, {master.point_group}: mean within 3 degrees of a family less the "
          "mean over the sphere, in standard deviations of the map\n")  # fmt: skip
    print("| map | " + " | ".join(names) + " |")
    print("| --- |" + " --- |" * len(names))
    for title, values in rows.items():
        print(f"| {title} | " + " | ".join(f"{values[name]:+.1f}" for name in names) + " |")


def main(argv: list[str] | None = None) -> None:
    """Print and draw."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", action="append", metavar="NAME|FILE")
    parser.add_argument("--library", type=Path, default=LIBRARY)
    parser.add_argument("--master", action="append", metavar="KEY", help="of the library")
    parser.add_argument("--patterns", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="DIR")
    given = parser.parse_args(argv)
    try:
        given.out.mkdir(parents=True, exist_ok=True)
        classifiers = [
            load_classifier(m, device="cpu", precision="float32") for m in given.model or MODELS
        ]
        with MasterLibrary.open(given.library) as library:
            keys = [record.key for record in library.index]
            for key in given.master or MASTERS:
                if key not in keys:
                    raise InputError(f"{given.library} has no master pattern named {key!r}")
                master = library[keys.index(key)]
                path = given.out / f"saliency-sphere-{master.formula}.png"
                draw(master, classifiers, given.patterns, given.seed, path)
    except InputError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
