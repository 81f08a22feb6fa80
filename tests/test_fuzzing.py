# SPDX-License-Identifier: GPL-3.0-or-later
"""Files changed at random, and what was found by reading millions of them (``scripts/fuzz.py``)."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from napari_ebsd_phase.errors import InputError
from napari_ebsd_phase.loading import load_classifier
from napari_ebsd_phase.scan import load_scan

from . import _bad_files as bad
from ._ebsd_files import SHIPPED, patterns, write_ebsp
from ._fuzzing import TARGETS, inputs, small_network, try_input

FUZZ = Path(__file__).parents[1] / "scripts" / "fuzz.py"


def test_what_is_changed_at_random_is_read_or_refused_in_one_line(tmp_path):
    """In a process of its own: what crashes or hangs it ends nothing else."""
    targets = ["card", "network", "scan", "result"]
    command = [sys.executable, str(FUZZ), *targets, "--inputs", "400", "--seed", "1"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)

    assert done.returncode == 0, done.stdout + done.stderr
    said = [line.split() for line in done.stdout.splitlines()]
    assert [words[0] for words in said] == [f"{target}:" for target in targets]
    for read, refused in ((int(words[1]), int(words[3])) for words in said):
        assert read > 20
        assert refused > 100


def test_the_same_seed_gives_the_same_inputs(tmp_path):
    found = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        every = inputs(TARGETS["card"], tmp_path / name, seed=3)
        found.append([next(every) for _ in range(9)])

    assert found[0] == found[1]
    assert len(set(found[0])) > 6


def test_an_error_of_any_other_kind_is_found(tmp_path):
    target = TARGETS["scan"]
    assert not try_input(target, b"\3no header", tmp_path)
    broken = type(target)(target.seeds, lambda *_: {}["x"], target.change)
    with pytest.raises(KeyError):
        try_input(broken, b"", tmp_path)


# What was found.


def refused(path: Path, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        load_scan(path)
    assert "\n" not in str(caught.value)


def change_header(**changes: object) -> bad.Writer:
    def change(file: h5py.File) -> None:
        for name, value in changes.items():
            file["1/EBSD/Header"][name.replace("_", " ")][...] = value

    return bad.oxford(change)


def test_a_header_of_another_map_is_refused_before_there_is_room_made_for_it(tmp_path):
    refused(change_header(Y_Cells=4000, X_Cells=4000)(tmp_path), "6 patterns .* says 4000 x 4000")
    refused(change_header(Pattern_Height=60_000)(tmp_path), r"6 patterns .* \(60000, 8\)")


@pytest.mark.parametrize("place", ["Manufacturer", "Format Version"])
def test_an_entry_beside_the_scan_that_promises_gigabytes_is_refused(place, tmp_path):
    def change(file: h5py.File) -> None:
        del file[place]
        file.create_dataset(place, (2**32,), "S9")

    refused(bad.oxford(change)(tmp_path), f"'{place}' promises")


def test_an_emsoft_file_may_be_large(tmp_path):
    path = Path(shutil.copy(SHIPPED / "emsoft_ebsd" / "simulated_ebsd.h5", tmp_path))
    with h5py.File(path, "r+") as file:
        names = file["NMLparameters/EBSDNameList"]
        names["numsx"][...], names["numsy"][...] = 2400, 1600
        del file["EMData/EBSD/EBSDPatterns"]
        file["EMData/EBSD/EBSDPatterns"] = np.ones((10, 1600, 2400), np.uint8)

    with load_scan(path) as scan:
        assert scan.pattern_shape == (1600, 2400)


@pytest.mark.parametrize("place", ["/", "1", "1/EBSD", "1/EBSD/Data"])
def test_an_entry_whose_name_is_no_text_is_left_alone(place, tmp_path):
    def change(file: h5py.File) -> None:
        file[place][b"Tilt \xb0"] = [1.0]

    with load_scan(bad.oxford(change)(tmp_path)) as scan:
        assert scan.crystal_map is not None
        assert scan.pattern(1, 2).any()


def test_a_number_of_a_kind_that_nobody_computes_with_is_refused(tmp_path):
    def change(file: h5py.File) -> None:
        kind = h5py.h5t.IEEE_F32LE.copy()
        kind.set_size(8)
        kind.set_precision(64)
        kind.set_fields(63, 33, 30, 0, 33)
        space = h5py.h5s.create_simple((1,))
        h5py.h5d.create(file["1/EBSD/Header"].id, b"Odd", kind, space)

    refused(bad.oxford(change)(tmp_path), "damaged")


@pytest.mark.parametrize("degrees", [(6, 171, 6), (180, 90, 90), (360, 90, 90)])
def test_a_cell_that_no_crystal_has_costs_no_more_than_the_cell(degrees, tmp_path):
    angles = np.deg2rad([degrees])
    path = bad.entry("1/EBSD/Header/Phases/1/Lattice Angles", angles)(tmp_path)
    with load_scan(path) as scan:
        assert scan.pattern(1, 2).any()


def test_beam_positions_with_next_to_no_step_are_no_grid(tmp_path):
    path = write_ebsp(tmp_path / "map.ebsp", patterns(2, 3), step=1e-310)
    data = bytearray(path.read_bytes())
    data[-8:] = np.float64(1e300).tobytes()  # the row of the last pattern
    path.write_bytes(data)
    with load_scan(path) as scan:
        assert (scan.shape, scan.units) == ((1, 6), "px")


@pytest.mark.parametrize(
    ("key", "inner"),
    [("training_prior", 0), ("known_structures", 5), ("preprocessing", "size")],
)
def test_a_card_with_a_number_that_has_no_end_is_refused(key, inner, tmp_path):
    text, _, _ = small_network(tmp_path).partition(b"\0")
    card = json.loads(text)
    if isinstance(inner, str):
        card[key][inner] = 10**400
    else:
        card[key][inner][0] = 10**400
    (tmp_path / "small.json").write_text(json.dumps(card))

    with pytest.raises(InputError, match="numbers"):
        load_classifier(tmp_path / "small.safetensors", device="cpu")
