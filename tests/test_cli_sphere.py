# SPDX-License-Identifier: GPL-3.0-or-later
"""``sphere``: what it writes, what it says, and how it fails."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_ebsd_phase._cli import sphere as command
from napari_ebsd_phase.errors import InputError

from ._program import DUPLEX, NICKEL, SILICON

LIBRARY = Path(__file__).parents[1] / "data" / "master_patterns.h5"
MASTER = "emsoft_Mg_magnesium_20kV"


def run(*arguments: object) -> None:
    parser = argparse.ArgumentParser()
    command.add(parser.add_subparsers())
    args = parser.parse_args(["sphere", *map(str, arguments), "--device", "cpu"])
    args.run(args)


def test_a_measured_map_gives_a_picture_and_an_array_with_its_symmetry(tmp_path, capsys):
    picture, array = tmp_path / "sphere.png", tmp_path / "sphere.npy"

    run(NICKEL, "-o", picture, "-o", array, "--target", "m-3m")

    values = np.load(array, allow_pickle=False)
    assert values.shape == (61, 61)
    seen = np.isfinite(values) & np.isfinite(np.rot90(values))
    assert seen.mean() > 0.9
    assert np.corrcoef(values[seen], np.rot90(values)[seen])[0, 1] > 0.95
    image = np.asarray(Image.open(picture).convert("RGB")).astype(int)
    assert image.shape[1] > 600
    assert np.abs(image[..., 0] - image[..., 2]).max() > 100
    said = capsys.readouterr().out
    assert said.count("\n") == 1
    assert "9 patterns" in said
    assert "evidence for point group m-3m" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sphere.npy", "sphere.png"]


def test_of_a_master_pattern_patterns_are_simulated(tmp_path, capsys):
    array = tmp_path / "sphere.npy"
    run(LIBRARY, "--material", MASTER, "--patterns", 12, "-o", array, "--level", "laue_group")
    said = capsys.readouterr().out
    assert "Mg, 20 keV, simulated" in said
    assert "laue group 6/mmm" in said
    assert "12 patterns" in said
    assert np.isfinite(np.load(array, allow_pickle=False)).mean() > 0.9


def test_it_says_nothing_when_asked_to(tmp_path, capsys):
    run(NICKEL, "-o", tmp_path / "a.npy", "--patterns", 1, "--quiet")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((NICKEL, "-o", "OUT.tif"), "use one of .png, .npy"),
        ((NICKEL, "-o", "OUT.npy", "--target", "steel"), "steel"),
        ((NICKEL, "-o", "OUT.npy", "--phase", "iron"), "'iron'"),
        ((DUPLEX, "-o", "OUT.npy", "--patterns", 4), "no orientation"),
        ((SILICON, "-o", "OUT.npy"), "no orientation"),
        ((LIBRARY, "-o", "OUT.npy", "--material", "unobtainium"), "unobtainium"),
        ((NICKEL, "-o", "OUT.npy", "--material", MASTER), "library"),
    ],
)
def test_a_wrong_request_is_one_line_and_leaves_nothing_behind(tmp_path, arguments, words):
    arguments = [str(a).replace("OUT", str(tmp_path / "out")) for a in arguments]
    with pytest.raises(InputError, match=words) as error:
        run(*arguments)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_an_existing_file_is_kept_unless_it_may_be_replaced(tmp_path):
    array = tmp_path / "sphere.npy"
    array.write_bytes(b"mine")
    with pytest.raises(InputError, match="overwrite"):
        run(NICKEL, "-o", array, "--patterns", 1)
    assert array.read_bytes() == b"mine"
    run(NICKEL, "-o", array, "--patterns", 1, "--overwrite")
    assert np.load(array, allow_pickle=False).ndim == 2
