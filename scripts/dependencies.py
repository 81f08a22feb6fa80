# SPDX-License-Identifier: GPL-3.0-or-later
"""What the program runs on: every direct dependency, its locked version, and what it is for.

    python scripts/dependencies.py           a table, as in docs/reliability.md
    python scripts/dependencies.py --all     and what these bring with them, by name and version

Read from pyproject.toml and constraints.txt; nothing needs to be installed. Where the databases of
known weaknesses can be reached, `pip-audit -r constraints.txt --no-deps --disable-pip` asks them.
"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]

# What reads bytes of a user's files comes first: there a weakness would matter most.
ROLES = {
    "h5py": "reads and writes HDF5 files of users",
    "kikuchipy": "reads headers of vendors' files; signals, detectors",
    "pillow": "reads pictures of users (PNG, TIFF, BMP, JPEG); writes PNG",
    "safetensors": "reads and writes weights of networks: numbers only, no code",
    "tifffile": "reads and writes TIFF maps",
    "orix": "crystal maps, their files, orientations, symmetry",
    "torch": "computes networks",
    "numpy": "arrays",
    "scipy": "image filters, optimisation",
    "numba": "compiles kernels of the symmetry maps when they are first used",
    "dask": "spreads a map over processes and machines",
    "diffsims": "structure factors, reflections",
    "matplotlib": "figures, colours",
    "napari": "the viewer",
    "npe2": "plugin manifest",
    "magicgui": "how napari hands the viewer to docks",
    "qtpy": "one interface to PyQt6 and PySide6",
    "superqt": "sections and sliders of the docks",
    "psygnal": "events of the model that docks listen to",
    "lazy-loader": "imports parts when they are used",
    "tqdm": "progress bars of the command line",
    "distributed": "extra `cluster`: Dask on several machines; opens network ports for it",
    "pyebsdindex": "extra `index`: orientations by Hough indexing",
    "captum": "extra `explain`: integrated gradients, occlusion, SmoothGrad",
    "de-ebsd": "extra `simulate`: dynamical master patterns",
    "spglib": "extra `simulate`: symmetry of structures",
}


def direct() -> list[str]:
    """Names of the direct dependencies, extras included, in the form of a package index."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    wanted = [*project["dependencies"], *(text for extra in extras for text in extra)]
    names = (re.match(r"[\w.-]+", text) for text in wanted)
    return sorted({_normal(name[0]) for name in names if name})


def locked() -> dict[str, str]:
    """Versions by name."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = (line.split("==") for line in lines if "==" in line and not line.startswith("#"))
    return {_normal(name): version for name, version in pairs}


def table() -> str:
    """The direct dependencies as a Markdown table, what reads users' files first."""
    versions, names = locked(), direct()
    lines = ["| package | version | what for |", "| --- | --- | --- |"]
    for name in sorted(names, key=list(ROLES).index):
        lines.append(f"| {name} | {versions.get(name, 'any')} | {ROLES[name]} |")
    return "\n".join(lines)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--all", action="store_true", help="what they bring with them, too")
    args = parser.parse_args()
    print(table())
    if args.all:
        rest = {name: version for name, version in locked().items() if name not in direct()}
        print("\n" + "\n".join(f"{name} {version}" for name, version in sorted(rest.items())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
