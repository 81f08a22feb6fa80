# SPDX-License-Identifier: GPL-3.0-or-later
"""Every output says what made it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from napari_ebsd_phase.cli import main
from napari_ebsd_phase.errors import InputError
from napari_ebsd_phase.export.provenance import read_provenance
from napari_ebsd_phase.samples import sample_path

SUFFIXES = (".h5", ".tif", ".png", ".ang", ".ctf")


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("outputs")
    words = [w for suffix in (*SUFFIXES[:3], ".csv") for w in ("-o", str(folder / f"a{suffix}"))]
    nickel = str(sample_path("nickel"))
    assert main(["classify", nickel, *words, "--quiet", "--model", "fast"]) == 0
    from napari_ebsd_phase import PhaseMap

    phases = PhaseMap.load(folder / "a.h5")
    for suffix in SUFFIXES[3:]:
        phases.save(folder / f"a{suffix}")
    return folder


@pytest.mark.parametrize("suffix", SUFFIXES[:3])
def test_files_say_all_of_it(outputs: Path, suffix: str) -> None:
    told = read_provenance(outputs / f"a{suffix}")
    assert told["source"] == "nickel.h5"
    assert len(told["source_sha256"]) == len(told["network_sha256"]) == 64
    assert told["network"] == "fast"
    assert {"version", "prior", "threshold", "date", "region", "preprocessing"} <= set(told)
    assert told == read_provenance(outputs / "a.h5")


@pytest.mark.parametrize("suffix", SUFFIXES[3:])
def test_headers_say_what_they_have_room_for(outputs: Path, suffix: str) -> None:
    notes = read_provenance(outputs / f"a{suffix}")["notes"]
    whole = read_provenance(outputs / "a.h5")
    assert notes[0] == f"napari-ebsd-phase {whole['version']}"
    for key in ("network", "prior", "date", "source", "source_sha256", "network_sha256"):
        assert f"{key} {whole[key]}" in notes


def test_the_command_prints_them(outputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [str(outputs / f"a{suffix}") for suffix in SUFFIXES]
    assert main(["provenance", *names]) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in names)
    assert text.count("nickel.h5") >= 5
    assert main(["provenance", *names, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told[names[0]] == read_provenance(names[0])


def test_what_does_not_say_it_is_one_line(
    outputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("L", (4, 4)).save(tmp_path / "other.png")
    (tmp_path / "cut.tif").write_bytes((outputs / "a.tif").read_bytes()[:60])
    (tmp_path / "cut.png").write_bytes((outputs / "a.png").read_bytes()[:60])
    (tmp_path / "other.ang").write_text("# GRID: SqrGrid\n0 0 0\n")
    (tmp_path / "other.ctf").write_bytes(bytes(range(256)))
    (tmp_path / "map.txt").write_text("a")
    names = ["other.png", "cut.tif", "cut.png", "other.ang", "other.ctf", "map.txt", "none.h5"]
    for name in [*(str(tmp_path / n) for n in names), str(outputs / "a.csv"), str(tmp_path)]:
        with pytest.raises(InputError):
            read_provenance(name)
        assert main(["provenance", name]) == 2
        told = capsys.readouterr()
        assert told.err.startswith("error: ")
        assert told.err.count("\n") == 1
        assert not told.out
