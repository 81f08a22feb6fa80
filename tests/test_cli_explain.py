# SPDX-License-Identifier: GPL-3.0-or-later
"""``explain``: what it writes, what it says, and how it fails."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import termios

import numpy as np
import pytest
from PIL import Image

from napari_ebsd_phase import centred, explain, load_classifier, load_scan
from napari_ebsd_phase._cli import explain as command
from napari_ebsd_phase.cli import main
from napari_ebsd_phase.crystallography import LEVELS
from napari_ebsd_phase.mapping import scan_screen
from napari_ebsd_phase.saliency import METHODS
from napari_ebsd_phase.samples import sample_path

from ._program import DUPLEX, NICKEL, SILICON, contents, is_one_error_line, start


def heat_of(place: tuple[int, int], target: str | None = None, **options: str) -> np.ndarray:
    """The same through the library."""
    with load_scan(NICKEL) as scan:
        return explain(
            scan.pattern(*place),
            centred(scan, load_classifier(device="cpu")),
            target,
            background=scan.static_background,
            mask=scan_screen(scan),
            **options,
        )


def run(*arguments: object) -> int:
    return main(["explain", *map(str, arguments), "--device", "cpu"])


def test_the_array_is_the_heat_map_of_that_pattern(tmp_path, capsys):
    output = tmp_path / "heat.npy"

    assert run(NICKEL, "--row", 1, "--col", 2, "-o", output, "--target", "m-3m") == 0

    heat = np.load(output, allow_pickle=False)
    np.testing.assert_array_equal(heat, heat_of((1, 2), "m-3m"))
    assert heat.dtype == np.float32
    assert not np.allclose(heat, heat_of((0, 0), "m-3m"), atol=0.1)
    said = capsys.readouterr().out
    assert said.count("\n") == 1
    assert str(output) in said
    assert "nickel.h5, row 1, column 2" in said
    assert re.search(r"evidence for point group m-3m \(p = \d\.\d\d\)", said)
    assert re.search(r"the network says .*\(p = \d\.\d\d\)", said)


@pytest.mark.parametrize(
    ("options", "meaning"),
    [
        ([], {}),
        (["--target", "cubic"], {"target": "cubic", "level": "crystal_system"}),
        (["--target", "cF", "--against", "cI"], {"target": "cF", "against": "cI"}),
        (["--target", "-43m"], {"target": "-43m"}),
        (["--level", "laue_group", "--against", "-3m"], {"level": "laue_group", "against": "-3m"}),
        (["--target", "m-3m", "--prior", "known"], {"target": "m-3m", "prior": "known"}),
        (["--target", "m-3m", "--method", "occlusion"], {"target": "m-3m", "method": "occlusion"}),
    ],
)
def test_the_options_reach_the_map(options, meaning, tmp_path):
    if meaning.get("target") == "cF":
        meaning = {**meaning, "level": "bravais_lattice"}

    assert run(NICKEL, "-o", tmp_path / "heat.npy", *options) == 0

    np.testing.assert_array_equal(np.load(tmp_path / "heat.npy"), heat_of((0, 0), **meaning))


def test_the_picture_shows_the_pattern_twice_and_colours_once(tmp_path):
    output = tmp_path / "heat.png"

    assert run(SILICON, "--col", 1, "-o", output) == 0

    with Image.open(output) as image:
        picture = np.asarray(image.convert("RGB")).astype(int)
    colourful = np.ptp(picture, axis=2) > 40
    half = picture.shape[1] // 2
    assert picture.shape[1] > 1.5 * picture.shape[0]
    assert not colourful[:, : half - 60].any()
    assert colourful[:, half:].mean() > 0.02
    grey = (
        (np.ptp(picture, axis=2) < 8) & (picture.mean(axis=2) > 10) & (picture.mean(axis=2) < 245)
    )
    assert grey[:, : half - 60].mean() > 0.2


def test_both_files_at_once_and_nothing_else(tmp_path):
    outputs = [tmp_path / "heat.png", tmp_path / "heat.npy"]

    assert run(DUPLEX, "--row", 4, "--col", 5, *(w for o in outputs for w in ("-o", o))) == 0

    assert sorted(tmp_path.iterdir()) == sorted(outputs)


def test_a_wide_pattern_and_a_high_one_can_be_drawn(tmp_path):
    with Image.open(sample_path("silicon") / "silicon_01.png") as image:
        for name, size in (("wide", (300, 80)), ("high", (80, 300))):
            image.convert("L").crop((100, 100, 100 + size[0], 100 + size[1])).save(
                tmp_path / f"{name}.tif"
            )
            assert run(tmp_path / f"{name}.tif", "-o", tmp_path / f"{name}.png") == 0
            with Image.open(tmp_path / f"{name}.png") as picture:
                assert min(picture.size) > 250


def test_a_frame_that_shows_nothing_says_so(tmp_path, capsys):
    Image.fromarray(np.full((60, 60), 90, np.uint8)).save(tmp_path / "flat.tif")

    assert run(tmp_path / "flat.tif", "-o", tmp_path / "heat.png", "-o", tmp_path / "h.npy") == 0

    assert "(there is none)" in capsys.readouterr().out
    assert not np.load(tmp_path / "h.npy").any()


def test_the_shape_of_the_map_can_be_given(tmp_path):
    assert run(NICKEL, "--grid", "1x9", "--col", 5, "-o", tmp_path / "a.npy") == 0
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), heat_of((1, 2)))


def test_quiet_prints_nothing(tmp_path, capfd):
    assert run(NICKEL, "-o", tmp_path / "heat.npy", "--quiet") == 0
    assert capfd.readouterr() == ("", "")


def test_overwrite_replaces_an_output(tmp_path):
    output = tmp_path / "heat.npy"
    output.write_text("old")
    assert run(NICKEL, "-o", output, "--overwrite") == 0
    assert np.load(output).shape == (60, 60)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-o", "heat.jpg"], (".jpg", ".png, .npy")),
        (["-o", "heat"], ("suffix", ".png, .npy")),
        (["-o", "missing/heat.png"], ("missing",)),
        (["-o", "heat.png", "--row", "3"], ("row 3", "3 rows")),
        (["-o", "heat.png", "--row", "-1"], ("--row", "whole number")),
        (["-o", "heat.png", "--target", "m-3n"], ("m-3n", "m-3m", "cubic", "cF")),
        (["-o", "heat.png", "--target", "432", "--level", "laue_group"], ("432", "laue group")),
        (["-o", "heat.png", "--target", "cF", "--against", "m-3m"], ("m-3m", "cP cI cF")),
        (["-o", "heat.png", "--target", "cF", "--against", "cF"], ("itself",)),
        (["-o", "heat.png", "--method", "magic"], ("magic", "occlusion")),
        (["-o", "heat.png", "--level", "space_group"], ("space_group", "laue_group")),
        (["-o", "heat.png", "--prior", "nonsense"], ("nonsense",)),
        (["-o", "heat.png", "--model", "nobody"], ("nobody",)),
        ([], ("-o",)),
    ],
)
def test_a_wrong_request_is_one_line_and_code_2(arguments, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    assert run(NICKEL, *arguments) == 2

    said = capsys.readouterr().err
    assert is_one_error_line(said)
    for word in words:
        assert word in said
    assert not contents(tmp_path)


def test_an_output_that_exists_is_kept(tmp_path, capsys):
    output = tmp_path / "heat.npy"
    output.write_text("old")
    assert run(NICKEL, "-o", output) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert output.read_text() == "old"


def test_a_picture_is_not_put_among_the_patterns_it_is_of(tmp_path, capsys):
    with Image.open(sample_path("silicon") / "silicon_01.png") as image:
        image.save(tmp_path / "pattern.png")
    assert run(tmp_path, "-o", tmp_path / "heat.png") == 2
    assert is_one_error_line(capsys.readouterr().err)
    assert {p.name for p in tmp_path.iterdir()} == {"pattern.png"}


def test_a_source_that_is_missing_is_code_2(tmp_path, capsys):
    assert run(tmp_path / "no.h5", "-o", tmp_path / "heat.png") == 2
    assert is_one_error_line(capsys.readouterr().err)


def test_the_help_names_what_there_is(capsys):
    assert main(["explain", "--help"]) == 0
    said = capsys.readouterr().out
    assert all(word in said for word in (*METHODS, *LEVELS))
    assert (command.METHODS, command.LEVELS) == (METHODS, LEVELS)


def test_a_slow_method_shows_a_bar_on_a_terminal_and_ends_with_ctrl_c(tmp_path):
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    process = start(
        *("explain", NICKEL, "-o", tmp_path / "heat.npy", "--method", "integrated_gradients"),
        *("--device", "cpu", "--threads", "1"),
        stderr=theirs,
    )
    os.close(theirs)
    said = b""
    while b"integrated_gradients: " not in said:
        said += os.read(ours, 1024)
    process.send_signal(signal.SIGINT)

    assert process.wait(timeout=120) == 130
    os.close(ours)
    process.stdout.close()
    assert not contents(tmp_path)
