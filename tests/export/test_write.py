# SPDX-License-Identifier: GPL-3.0-or-later
"""Outputs are written completely or not at all, for every format."""

from __future__ import annotations

import resource
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from napari_ebsd_phase.errors import InputError
from napari_ebsd_phase.export import KEEPS, SUFFIXES, check_output, loss, write
from napari_ebsd_phase.export._atomic import replacing
from napari_ebsd_phase.phase_map import PhaseMap


@contextmanager
def nearly_full_disk() -> Iterator[None]:
    """Let the system refuse to write more than 2 kB into any file, as a full disk does.

    No fixture: pytest reports a test before it ends its fixtures, perhaps into a file.
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2048, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_format_is_written_and_nothing_else(
    phase_map: PhaseMap, tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"map{suffix}"
    write(phase_map, path)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert path.stat().st_size > 1000


def test_every_format_says_in_a_line_what_it_keeps() -> None:
    assert {*KEEPS, ".tiff"} == set(SUFFIXES)
    assert all(text.endswith(".") and "\n" not in text for text in KEEPS.values())


def test_what_a_format_loses_is_told_of_all_but_the_faithful_one() -> None:
    told = {suffix: loss(f"map{suffix}") for suffix in SUFFIXES}
    assert told[".h5"] == loss("map.docx") == ""
    assert all(text.startswith("loses ") for suffix, text in told.items() if suffix != ".h5")
    assert "colours" in told[".ang"]
    assert told[".tiff"] == told[".tif"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_existing_file_is_kept_unless_told_otherwise(
    phase_map: PhaseMap, tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"map{suffix}"
    path.write_text("precious")
    with pytest.raises(InputError, match="--overwrite"):
        phase_map.save(path)
    assert path.read_text() == "precious"
    phase_map.save(str(path), overwrite=True)
    assert path.read_bytes() != b"precious"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_full_disk_is_told_and_leaves_nothing_behind(
    make_map: Callable[..., PhaseMap], tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"map{suffix}"
    path.write_text("precious")
    phase_map = make_map((60, 80))
    with pytest.raises(InputError, match="cannot write") as caught, nearly_full_disk():
        phase_map.save(path, overwrite=True)
    assert "\n" not in str(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert path.read_text() == "precious"


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_failure_in_the_middle_leaves_nothing_behind(
    phase_map: PhaseMap, tmp_path: Path, suffix: str
) -> None:
    # Damaged behind the back of the checks: every format stumbles over it half way.
    phase_map.bravais_probabilities = np.zeros((3, 3, 14), np.float32)
    phase_map.provenance = {"scan": object()}
    with pytest.raises((ValueError, TypeError)):
        phase_map.save(tmp_path / f"map{suffix}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "folder", ["missing", "file.txt", "/dev/full", "/proc"], ids=["missing", "file", "dev", "proc"]
)
def test_a_folder_that_cannot_be_written_to_is_refused(
    phase_map: PhaseMap, tmp_path: Path, folder: str
) -> None:
    (tmp_path / "file.txt").touch()
    with pytest.raises(InputError) as caught:
        phase_map.save(tmp_path / folder / "map.csv")
    assert "choose another" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_in_place_of_the_file_is_refused(phase_map: PhaseMap, tmp_path: Path) -> None:
    (tmp_path / "map.h5").mkdir()
    with pytest.raises(InputError, match="is a folder"):
        phase_map.save(tmp_path / "map.h5", overwrite=True)


def test_a_name_that_is_too_long_is_refused(phase_map: PhaseMap, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="too long"):
        phase_map.save(tmp_path / f"{'x' * 300}.csv")


@pytest.mark.parametrize("name", ["map.osc", "map.docx", "map"])
def test_formats_that_cannot_be_written_are_refused_with_a_list(
    phase_map: PhaseMap, tmp_path: Path, name: str
) -> None:
    with pytest.raises(InputError, match=r"\.h5, \.csv, \.ang, \.ctf, \.png, \.tif"):
        phase_map.save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_an_output_can_be_checked_before_long_work(tmp_path: Path) -> None:
    assert check_output(tmp_path / "map.csv") == tmp_path / "map.csv"
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InputError, match="no folder"):
        check_output(tmp_path / "missing" / "map.csv")
    with pytest.raises(InputError, match="cannot write"):
        check_output(tmp_path / "map.doc")


def test_an_interruption_leaves_nothing_behind(tmp_path: Path) -> None:
    def interrupted() -> None:
        with replacing(tmp_path / "map.csv") as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_others_may_read_the_file_as_any_new_file(phase_map: PhaseMap, tmp_path: Path) -> None:
    (tmp_path / "ordinary").touch()
    phase_map.save(tmp_path / "map.h5")
    modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert len(modes) == 1
