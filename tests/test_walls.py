# SPDX-License-Identifier: GPL-3.0-or-later
"""The walls between the parts of the package, read from its source, and the cost of importing it.

1. Only ``_napari`` knows napari and Qt.
2. Only ``training`` knows the training-only dependencies, and one file in it the simulator.
3. Imports inside the package point down the list of ``FLOORS``.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import napari_ebsd_phase

PACKAGE = "napari_ebsd_phase"
ROOT = Path(napari_ebsd_phase.__file__).parent
SOURCES = sorted(ROOT.rglob("*.py"))

VIEWER = {"napari", "qtpy", "superqt", "magicgui", "PyQt5", "PyQt6", "PySide2", "PySide6"}
SIMULATOR = "de_ebsd"
SIMULATOR_FILE = "training/master_patterns.py"

# From the ground up. A module may import modules of its own floor and of the floors below.
FLOORS = (
    {"errors", "crystallography", "labels", "projection_centre", "samples"},
    {"preprocessing", "screen", "radon", "decoding"}
    | {"network", "network_mean", "network_folding", "network_int8", "lanes", "outputs"}
    | {"symmetry_maps", "symmetry_kernel", "centre_estimate"},
    {"card", "classifier", "devices", "loading", "phase_map", "scan", "_sources"},
    {"mapping", "stacks", "progressive", "map_request", "regions", "saliency", "zone_axes"}
    | {
        "reading_once",
        "tiles",
        "centring",
        "cluster",
        "cluster_worker",
        "candidates",
        "export",
        "merge",
        "training",
    },
    {"_napari", "cli", "_cli"},
)
# The one arrow that points up: PhaseMap.save and PhaseMap.load open it when they are called.
DOORS = {("phase_map", "export")}
FLOOR = {part: height for height, parts in enumerate(FLOORS) for part in parts}


def imported_modules(path: Path) -> set[str]:
    """Absolute names of all modules that a file imports, at its top or inside functions."""
    package = [PACKAGE, *path.relative_to(ROOT).parent.parts]
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            # `from . import scan` imports a module, `from .scan import Scan` a name of one:
            # both are kept, the readers below look at the leading parts only.
            names.update(f"{base}.{alias.name}" for alias in node.names)
        elif is_import_by_name(node):
            names.add(node.args[0].value)
    return names


def imported_parts(path: Path) -> set[str]:
    """Other parts of the package that a file imports, but for those behind ``DOORS``."""
    ours = {name.split(".")[1] for name in imported_modules(path) if name.startswith(f"{PACKAGE}.")}
    part = part_of(path)
    return {other for other in ours & set(FLOOR) - {part} if (part, other) not in DOORS}


def is_import_by_name(node: ast.AST) -> bool:
    """Whether a node is ``import_module("name")`` or ``__import__("name")``."""
    if not (isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant)):
        return False
    function = node.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return name in {"import_module", "__import__"}


def part_of(path: Path) -> str:
    """The name that ``FLOORS`` has for a file: its module or, in a folder, the folder's."""
    return path.relative_to(ROOT).with_suffix("").parts[0]


def ids(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_the_walls_are_checked_on_real_source():
    assert ROOT / "_napari" / "samples.py" in SOURCES
    assert f"{PACKAGE}.scan.load_scan" in imported_modules(ROOT / "_napari" / "samples.py")
    assert SIMULATOR in {name.partition(".")[0] for name in imported_modules(ROOT / SIMULATOR_FILE)}


@pytest.mark.parametrize("path", SOURCES, ids=ids)
def test_only_the_napari_folder_imports_the_viewer(path):
    roots = {name.partition(".")[0] for name in imported_modules(path)}

    assert part_of(path) == "_napari" or not roots & VIEWER


@pytest.mark.parametrize("path", SOURCES, ids=ids)
def test_only_the_master_pattern_file_imports_the_simulator(path):
    roots = {name.partition(".")[0] for name in imported_modules(path)}

    assert ids(path) == SIMULATOR_FILE or SIMULATOR not in roots


@pytest.mark.parametrize("path", [p for p in SOURCES if part_of(p) != "__init__"], ids=ids)
def test_imports_point_down(path):
    part = part_of(path)
    assert part in FLOOR, f"give {part!r} a floor in FLOORS"

    assert not {other for other in imported_parts(path) if FLOOR[other] > FLOOR[part]}


def test_parts_do_not_import_each_other_in_a_circle():
    arrows: dict[str, set[str]] = {}
    for path in SOURCES:
        arrows.setdefault(part_of(path), set()).update(imported_parts(path))
    arrows.pop("__init__")

    # Take away whatever imports nothing that is left; a circle never goes away.
    while free := {part for part, below in arrows.items() if not below & set(arrows)}:
        arrows = {part: below for part, below in arrows.items() if part not in free}

    assert not arrows


def modules_after(code: str) -> set[str]:
    """Top-level names of what a fresh interpreter has imported after running some code."""
    report = "import sys; print(*sorted({n.partition('.')[0] for n in sys.modules}))"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"], check=True, capture_output=True, text=True
    )
    return set(done.stdout.split())


def test_importing_the_package_imports_nothing_heavy():
    heavy = {"torch", "kikuchipy", "orix", "numba", "scipy", "matplotlib", "h5py", "numpy"}

    assert not modules_after(f"import {PACKAGE}") & (heavy | VIEWER)


def test_the_core_works_without_the_viewer():
    code = f"import {PACKAGE} as package; [getattr(package, name) for name in package.__all__]"

    assert not modules_after(code) & VIEWER


def test_the_public_names_are_there():
    public = {
        "Classifier",
        "InputError",
        "PhaseMap",
        "Scan",
        "__version__",
        "centred",
        "classify",
        "explain",
        "identify",
        "load_classifier",
        "load_scan",
    }
    assert set(napari_ebsd_phase.__all__) == public
    assert all(getattr(napari_ebsd_phase, name) for name in public)
    assert napari_ebsd_phase.__version__[0].isdigit()


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = napari_ebsd_phase.no_such_name
