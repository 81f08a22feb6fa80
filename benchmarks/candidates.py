# SPDX-License-Identifier: GPL-3.0-or-later
"""How well candidate structures are told apart by their bands.

Dynamical patterns of materials of one split, seen by the camera FAST with a known projection
centre; for each the right structure, others of its Laue group and lattice, and others of another
lattice. The threshold of :mod:`napari_ebsd_phase.candidates.ranking` was chosen on the split
``train`` and is judged on ``calibration``::

    python benchmarks/candidates.py --split calibration --materials 24
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from napari_ebsd_phase.candidates import View, rank_candidates
from napari_ebsd_phase.candidates.ranking import LEAST_AGREEMENT
from napari_ebsd_phase.crystallography import laue_group
from napari_ebsd_phase.training.band_patterns import atomic_numbers
from napari_ebsd_phase.training.evaluate import CAMERAS
from napari_ebsd_phase.training.library import MasterLibrary
from napari_ebsd_phase.training.materials import load_materials
from napari_ebsd_phase.training.pattern_simulation import simulate_group
from napari_ebsd_phase.training.structures import load_structures, structure_by_uid
from napari_ebsd_phase.zone_axes import Geometry

LIBRARY = Path(__file__).parents[1] / "data" / "master_patterns.h5"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--split", default="calibration", choices=("train", "calibration"))
    parser.add_argument("--materials", type=int, default=24)
    parser.add_argument("--camera", default="fast", choices=tuple(CAMERAS))
    parser.add_argument("--views", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with MasterLibrary.open(LIBRARY) as library:
        stack, materials = load_materials(library)
        records = library.index
    rng = np.random.default_rng(args.seed)
    known = [m for m in materials[args.split] if records[m.masters[0]].structure and not m.apparent]
    order = rng.permutation(len(known))[: args.materials]
    right, same, other, places, fitting, alike = [], [], [], [], [], []
    for count, material in enumerate((known[i] for i in order), start=1):
        record = records[material.masters[0]]
        truth = structure_by_uid(record.structure)
        near, far = rivals(truth, rng)
        views = look(stack, material.masters[0], args, rng)
        ranking = rank_candidates(views, [truth, *near, *far], energy_kev=record.energy_kev)
        values = {id(c.structure): c.agreement for c in ranking.candidates}
        right.append(values[id(truth)])
        same.append(max((values[id(s)] for s in near), default=np.nan))
        other.append(max(values[id(s)] for s in far))
        names = [id(c.structure) for c in ranking.candidates]
        places.append(names.index(id(truth)) + 1)
        fitting.append(any(c.structure is truth for c in ranking.fitting))
        alike.append(len(ranking.fitting))
        print(
            f"{count:3d} {truth.formula:12} {truth.point_group:6} {truth.bravais}  right "
            f"{right[-1]:.2f}, same lattice {same[-1]:.2f}, other {other[-1]:.2f}, place "
            f"{places[-1]} of {len(names)}, fitting {alike[-1]}",
            flush=True,
        )
    report(args, *(np.array(v) for v in (right, same, other, places, fitting, alike)))


def rivals(truth, rng: np.random.Generator) -> tuple[list, list]:
    """Up to six other structures of its Laue group and lattice, and six of another lattice."""
    everything = [
        s
        for s in load_structures()
        if s.volume < 700 and s.uid != truth.uid and atomic_numbers().keys() >= set(s.species)
    ]
    group = laue_group(truth.point_group)
    near = [
        s for s in everything if s.bravais == truth.bravais and laue_group(s.point_group) == group
    ]
    far = [s for s in everything if s.bravais != truth.bravais]
    return [[some[i] for i in rng.permutation(len(some))[:6]] for some in (near, far)]  # type: ignore[return-value]


def look(stack: np.ndarray, master: int, args, rng: np.random.Generator) -> list[View]:
    """Views of a master pattern, each with the geometry that it was simulated with."""
    views = []
    for _ in range(args.views):
        geometry = np.empty((1, 13))
        frames, mask = simulate_group(
            stack, np.array([master]), CAMERAS[args.camera], rng, geometry
        )
        rows, cols = frames.shape[1:]
        x, y, distance = geometry[0, 9:12] / (cols, rows, rows)
        views.append(View.of(frames[0], Geometry((rows, cols), (x, y, distance)), mask))
    return views


def report(args, right, same, other, places, fitting, alike) -> None:
    """Print what is asked of a ranking."""
    wrong = np.fmax(same, other)
    print(
        f"\n{len(right)} materials of the split {args.split}, camera {args.camera}, {args.views} "
        f"views each\n"
        f"right structure first: {(places == 1).mean():.0%}, among three: "
        f"{(places <= 3).mean():.0%}, among those that fit: {fitting.mean():.0%} "
        f"(on average {alike.mean():.1f} fit)\n"
        f"agreement, median: right {np.median(right):.2f}, best other of its lattice "
        f"{np.nanmedian(same):.2f}, best of other lattices {np.median(other):.2f}"
    )
    print('\n| threshold | right one reaches it | "none fits" without it | other lattices alone |')
    print("|---|---|---|---|")
    for least in sorted({0.4, 0.5, 0.6, LEAST_AGREEMENT}):
        shares = (right >= least).mean(), (wrong < least).mean(), (other < least).mean()
        print(f"| {least:.2f} | " + " | ".join(f"{share:.0%}" for share in shares) + " |")


if __name__ == "__main__":
    main()
