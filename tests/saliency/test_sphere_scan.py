# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes with a map on the sphere: orientations, master patterns, names of axes and classes."""

from __future__ import annotations

import shutil
from pathlib import Path

import kikuchipy
import numpy as np
import pytest
from orix.crystal_map import Phase
from orix.quaternion import Orientation

from napari_ebsd_phase import InputError, load_scan
from napari_ebsd_phase.crystallography import LEVELS
from napari_ebsd_phase.saliency import Cancelled
from napari_ebsd_phase.saliency.sphere import laue_operations
from napari_ebsd_phase.saliency.sphere_picture import fold_of
from napari_ebsd_phase.saliency.sphere_scan import class_of, oriented_frames
from napari_ebsd_phase.samples import sample_path
from napari_ebsd_phase.training.saliency_masters import master_panel
from napari_ebsd_phase.training.saliency_sets import phase_of
from napari_ebsd_phase.training.structures import find_structures

LIBRARY = Path(__file__).parents[2] / "data" / "master_patterns.h5"
EMSOFT = (
    Path(kikuchipy.__file__).parent
    / "data/emsoft_ebsd_master_pattern/ni_mc_mp_20kv_uint8_gzip_opts9.h5"
)


@pytest.fixture(scope="module")
def nickel() -> Phase:
    return phase_of(find_structures(formula="Ni", bravais="cF")[0])


@pytest.fixture
def scan():
    with load_scan(sample_path("nickel")) as scan:
        yield scan


def test_hough_indexing_of_a_scan_finds_the_orientations_of_its_file(scan, nickel):
    known = oriented_frames(scan)
    found = oriented_frames(scan, phase=nickel)

    assert found.phase is nickel
    assert len(found.frames) == len(known.frames) == 9
    group = nickel.point_group
    turns = [
        (Orientation(one, group) - Orientation(other, group)).angle.item()
        for one, other in zip(found.rotations.data, known.rotations.data, strict=True)
    ]
    assert np.rad2deg(turns).max() < 1.5


def test_looking_for_orientations_is_told_and_can_be_cancelled(scan):
    told: list[tuple[int, int]] = []
    oriented_frames(scan, progress=lambda *step: told.append(step))
    assert told == [(n, 9) for n in range(1, 10)]
    with pytest.raises(Cancelled):
        oriented_frames(scan, cancelled=lambda: True)


def test_the_class_of_a_crystal_has_a_name_at_every_level(nickel):
    assert [class_of(nickel, level) for level in LEVELS] == ["m-3m", "m-3m", "cubic", "cF"]
    quartz = Phase(point_group="32")
    assert [class_of(quartz, level) for level in LEVELS[:3]] == ["32", "-3m", "trigonal"]
    with pytest.raises(InputError, match="space group"):
        class_of(quartz, "bravais_lattice")


@pytest.mark.parametrize(
    ("direction", "fold"),
    [((0, 0, 1), 4), ((1, 1, 1), 3), ((0, 1, 1), 2), ((1, 1, 2), 1), ((1, 0, 3), 1)],
)
def test_the_folds_of_axes_are_those_of_the_cube(nickel, direction, fold):
    unit = np.array(direction) / np.linalg.norm(direction)
    assert fold_of(unit, laue_operations(nickel)) == fold


def test_a_master_pattern_comes_from_a_library_or_from_emsoft(nickel):
    ours, theirs = master_panel(LIBRARY, nickel), master_panel(EMSOFT, nickel)

    assert ours.title.startswith("master pattern, Ni ")
    assert not ours.signed
    assert not theirs.signed
    # One simulation, once at half the resolution or so: the same bright places.
    n = len(ours.grid)
    at = np.linspace(0, len(theirs.grid) - 1, n).round().astype(int)
    assert np.corrcoef(ours.grid.ravel(), theirs.grid[np.ix_(at, at)].ravel())[0, 1] > 0.7


def test_a_master_pattern_of_another_crystal_is_refused(nickel, tmp_path):
    iron = Phase(name="alpha", space_group=229, structure=nickel.structure)
    with pytest.raises(InputError, match=r"225.*229"):
        master_panel(EMSOFT, iron)
    strange = Phase(name="nobody", space_group=1)
    with pytest.raises(InputError, match="no master pattern of nobody"):
        master_panel(LIBRARY, strange)
    no_master = Path(shutil.copy(sample_path("nickel"), tmp_path / "nickel.h5"))
    with pytest.raises(InputError, match="master pattern"):
        master_panel(no_master, nickel)
    with pytest.raises(InputError, match="no such file"):
        master_panel(tmp_path / "missing.h5", nickel)
