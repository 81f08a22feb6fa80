# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that earlier versions wrote still open, with all that they held."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import orix.io
import pytest

from napari_ebsd_phase.phase_map import PhaseMap

FILES = sorted((Path(__file__).parent / "data").glob("*.h5.gz"))


@pytest.fixture(params=FILES, ids=lambda path: path.name.partition(".")[0])
def older(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """An older file, unpacked."""
    path = tmp_path / "older.h5"
    path.write_bytes(gzip.decompress(request.param.read_bytes()))
    return path


def test_there_are_files_and_they_are_small() -> None:
    assert len(FILES) >= 2
    assert all(path.stat().st_size < 30_000 for path in FILES)


def test_an_older_file_opens_with_all_that_it_held(older: Path) -> None:
    phase_map = PhaseMap.load(older)
    assert phase_map.shape == (2, 3)
    assert phase_map.step == (0.5, 0.25)
    assert phase_map.units == "um"
    assert phase_map.threshold == 0.6
    assert phase_map.sources == ["steel, µ.h5oina"]
    assert phase_map.provenance["network_sha256"] == "ab" * 32
    assert phase_map.done.tolist() == [[True] * 3, [True, True, False]]
    assert phase_map.point_group.tolist() == [["m-3m", "6/mmm", "4mm"], ["1", "-1", ""]]
    assert phase_map.bravais_lattice[0].tolist() == ["cF", "hP", "tI"]
    np.testing.assert_allclose(phase_map.probabilities("point_group")[0, 0].max(), 0.903125)
    np.testing.assert_allclose(phase_map.pattern_quality[1, :2], [0.7, 0.8], rtol=1e-6)


def test_the_phases_and_rotations_of_its_vendor_come_along(older: Path) -> None:
    vendor = PhaseMap.load(older).crystal_map
    assert vendor is not None
    assert vendor.phase_id.tolist() == [1, 2, 1, -1, 2, 1]
    assert vendor.phases[1].space_group.number == 225
    angles = np.linspace(0.1, 1.8, 18).reshape(6, 3)
    np.testing.assert_allclose(vendor.rotations.to_euler(), angles, atol=1e-5)


def test_it_is_written_anew_without_a_loss(older: Path, tmp_path: Path) -> None:
    phase_map = PhaseMap.load(older)
    phase_map.save(tmp_path / "new.h5")
    assert PhaseMap.load(tmp_path / "new.h5") == phase_map


def test_its_labels_are_those_that_were_written(older: Path) -> None:
    # The first version had no least quality: what it named stays named.
    phase_map = PhaseMap.load(older)
    written = orix.io.load(older)
    names = {number: phase.name for number, phase in written.phases} | {-1: ""}
    now = np.char.add(np.where(phase_map.level == "laue_group", "Laue ", ""), phase_map.label)
    assert now.ravel().tolist() == [names[number] for number in written.phase_id.tolist()]
