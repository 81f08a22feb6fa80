# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong while a run is at work: a second run, a full disk, a file that goes away."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import pytest

from napari_ebsd_phase.cli import main
from napari_ebsd_phase.errors import InputError
from napari_ebsd_phase.phase_map import PhaseMap
from napari_ebsd_phase.scan import load_scan

from ._bad_files import GOOD, OXFORD_PATTERNS, entry, oxford
from ._ebsd_files import patterns, write_ebsp, write_edax, write_nordif, write_oxford
from ._program import DUPLEX, NICKEL, SILICON, is_one_error_line, start, wait_until

BIG = patterns(8, 8, 60, 60)


# Two runs that write one output.


def duplex_to(output: Path) -> list[str]:
    # Three tiles of twelve rows.
    options = ["--region", "0:36,:", "--device", "cpu", "--threads", "1", "--quiet"]
    return ["classify", DUPLEX, "-o", str(output), *options]


def test_a_second_run_with_the_same_output_is_refused_until_the_first_is_gone(tmp_path, capfd):
    process = start(*duplex_to(tmp_path / "map.csv"))
    unfinished = tmp_path / "map.csv.partial"
    wait_until(process, lambda: unfinished.exists() and unfinished.stat().st_size > 50_000)
    process.send_signal(signal.SIGSTOP)  # it stays as it is, with one tile done
    before = unfinished.read_bytes()
    capfd.readouterr()

    for option in ([], ["--resume"], ["--overwrite"]):
        code = main([*duplex_to(tmp_path / "map.csv"), *option])
        assert code == 2
        assert is_one_error_line(capfd.readouterr().err)
        assert unfinished.read_bytes() == before

    # Killed, it leaves its tiles but no lock.
    process.kill()
    process.communicate()
    assert main([*duplex_to(tmp_path / "map.csv"), "--resume"]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["map.csv"]


def test_a_run_killed_anywhere_goes_on_to_the_same_bits(tmp_path, monkeypatch):
    """The file of finished tiles only grows: a kill leaves it as it is when it is cut."""
    monkeypatch.chdir(tmp_path)
    sources = [str(Path(shutil.copy(NICKEL, tmp_path / f"{n}.h5")).name) for n in "abc"]
    arguments = ["classify", *sources, "-o", "map.csv", "--device", "cpu", "--quiet"]
    assert main(arguments) == 0
    whole = Path("map.csv").read_bytes()
    Path("map.csv").unlink()
    kept = unfinished_with_all_tiles(arguments, monkeypatch)

    for share in np.random.default_rng(8).random(10):
        Path("map.csv.partial").write_bytes(kept[: int(share * len(kept))])
        assert main([*arguments, "--resume"]) == 0
        assert Path("map.csv").read_bytes() == whole
        Path("map.csv").unlink()


def unfinished_with_all_tiles(arguments: list[str], monkeypatch) -> bytes:
    """The file of a run that had no room for its output, which comes last."""
    with monkeypatch.context() as full:
        full.setattr("napari_ebsd_phase.export._atomic.os.replace", no_room)
        assert main(arguments) == 2
    return Path("map.csv.partial").read_bytes()


def no_room(*_: object) -> None:
    raise OSError(28, "No space left on device")


# A disk that is full.


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """No file can grow beyond `size` bytes: writing fails as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


@pytest.mark.parametrize(
    ("command", "room", "left"),
    [
        # Of 3 pictures: 1 kB of head and 0.6 kB of tile of the unfinished run, 40 kB of result.
        (["classify", SILICON, "-o", "map.csv"], 100, []),
        (["classify", SILICON, "-o", "map.csv"], 1_200, []),
        (["classify", SILICON, "-o", "map.h5"], 8_000, ["map.h5.partial"]),
        (["classify", SILICON, "-o", "map.png"], 8_000, ["map.png.partial"]),
        (["explain", NICKEL, "-o", "heat.npy"], 8_000, []),
        (["explain", NICKEL, "-o", "heat.png"], 8_000, []),
    ],
    ids=["head", "tile", "result", "picture", "heat map", "picture of it"],
)
def test_a_full_disk_ends_in_one_line_and_leaves_no_broken_file(
    command, room, left, tmp_path, monkeypatch, capfd
):
    monkeypatch.chdir(tmp_path)
    whole = tmp_path / "whole"
    whole.mkdir()
    # With room it works; and what is compiled and loaded once is there.
    assert main([*command[:-1], str(whole / command[-1]), "--quiet"]) == 0
    capfd.readouterr()

    with room_for(room):
        code = main([*command, "--quiet"])

    err = capfd.readouterr().err
    assert code == 2
    assert is_one_error_line(err)
    assert err.startswith("error: cannot write ")
    # Finished tiles stay, to go on with when there is room.
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == left
    if left:
        assert main([*command, "--quiet", "--resume"]) == 0
        assert Path(command[-1]).stat().st_size > room


# Files that change while they are read.

WRITERS = {
    "h5oina": lambda folder: write_oxford(folder / "map.h5oina", BIG, chunks=1),
    "ebsp": lambda folder: write_ebsp(folder / "map.ebsp", BIG),
    "up1": lambda folder: write_edax(folder / "map.up1", BIG),
    "up2": lambda folder: write_edax(folder / "map.up2", BIG.astype("<u2")),
    "dat": lambda folder: write_nordif(folder, BIG),
}


CUT = """
import os, sys
from napari_ebsd_phase import InputError, load_scan

for path in sys.argv[1:]:
    with load_scan(path) as scan:
        scan.pattern(0, 0)
        os.truncate(path, os.path.getsize(path) // 3)
        try:
            scan.read(slice(None), slice(None))
        except InputError as error:
            print(error)
"""


def test_files_that_are_cut_while_they_are_open_are_refused(tmp_path):
    paths = []
    for kind, write in WRITERS.items():
        (tmp_path / kind).mkdir()
        paths.append(write(tmp_path / kind))

    # In a process of its own: with a memory map the system would end it.
    done = subprocess.run(
        [sys.executable, "-c", CUT, *map(str, paths)], capture_output=True, text=True
    )

    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert [line.partition(":")[0] for line in said] == [path.name for path in paths]


@pytest.mark.parametrize("kind", ["ebsp", "up1", "up2", "dat", "folder"])
def test_a_file_that_is_removed_while_it_is_open_is_refused(kind, tmp_path):
    if kind == "folder":
        path = Path(shutil.copytree(SILICON, tmp_path / "silicon"))
    else:
        path = WRITERS[kind](tmp_path)
    with load_scan(path) as scan:
        for file in path.iterdir() if kind == "folder" else [path]:
            file.unlink()
        for action in (lambda: scan.pattern(0, 0), scan.file_hash):
            with pytest.raises(InputError) as caught:
                action()
            assert "\n" not in str(caught.value)


# What files may not do.


def test_text_in_a_file_is_never_run(tmp_path):
    trap = tmp_path / "trap"
    code = f"__import__('pathlib').Path({str(trap)!r}).touch()"
    texts = (code, f"!!python/object/apply:os.mknod [{trap}]", f"cos\nmknod\n(S'{trap}'\ntR.")

    def poison(file: h5py.File) -> None:
        def fill(name: str, item: object) -> None:
            for number, text in enumerate(texts):
                item.attrs[f"attribute {number}"] = text
                item.attrs[f"bytes {number}"] = np.bytes_(text)

        file.visititems(fill)
        header = file["1/EBSD/Header"]
        for number, text in enumerate(texts):
            header[f"Note {number}"] = text
        for name in header["Phases"]:
            phase = header[f"Phases/{name}"]
            del phase["Phase Name"]
            phase["Phase Name"] = code.encode()

    path = oxford(poison)(tmp_path)
    assert main(["classify", str(path), "-o", str(tmp_path / "map.h5"), "--quiet"]) == 0
    with h5py.File(tmp_path / "map.h5", "r+") as file:
        file.visititems(lambda name, item: item.attrs.update(note=code))
    assert PhaseMap.load(tmp_path / "map.h5").crystal_map.phases.names

    assert not trap.exists()


def test_a_result_whose_parts_lie_in_another_file_is_refused(tmp_path):
    assert main(["classify", NICKEL, "-o", str(tmp_path / "map.h5"), "--quiet"]) == 0
    shutil.copy(tmp_path / "map.h5", tmp_path / "other.h5")
    place = "napari_ebsd_phase/done"
    with h5py.File(tmp_path / "map.h5", "r+") as file:
        del file[place]
        file[place] = h5py.ExternalLink("other.h5", place)

    with pytest.raises(InputError, match="links out of a file are not followed"):
        PhaseMap.load(tmp_path / "map.h5")


def test_a_result_that_promises_terabytes_is_refused(tmp_path):
    assert main(["classify", NICKEL, "-o", str(tmp_path / "map.h5"), "--quiet"]) == 0
    with h5py.File(tmp_path / "map.h5", "r+") as file:
        group = file["napari_ebsd_phase"]
        for name in ("point_group_probabilities", "done"):
            kind, tail = group[name].dtype, group[name].shape[2:]
            del group[name]
            group.create_dataset(name, (10**6, 10**6, *tail), kind, chunks=(64, 64, *tail))

    with pytest.raises(InputError, match="promises"):
        PhaseMap.load(tmp_path / "map.h5")


def test_vendor_entries_of_a_wrong_type_cost_the_phases_only(tmp_path):
    for name in ("Phase", "Euler"):
        with load_scan(entry(f"1/EBSD/Data/{name}", b"text")(tmp_path)) as scan:
            assert scan.crystal_map is None
            assert scan.pattern(1, 2).any()
    with h5py.File(tmp_path / "map.h5oina") as file:
        assert OXFORD_PATTERNS in file


@pytest.mark.parametrize("value", [b"text", np.full(3, np.nan), np.empty(0)], ids=str)
def test_a_damaged_crystal_map_costs_the_phases_only(value, tmp_path):
    path = GOOD["kikuchipy h5"](tmp_path)
    with h5py.File(path, "r+") as file:
        data = file["Scan 1/EBSD/CrystalMap/crystal_map/data"]
        del data["is_in_data"]
        data["is_in_data"] = value

    with load_scan(path) as scan:
        assert scan.crystal_map is None
        assert scan.pattern(0, 0).any()


OFFLINE = """
import socket, sys

def refuse(*_, **__):
    raise SystemExit("the network was asked for")

for name in ("connect", "connect_ex", "bind", "sendto"):
    setattr(socket.socket, name, refuse)
for name in ("create_connection", "getaddrinfo", "gethostbyname"):
    setattr(socket, name, refuse)
from napari_ebsd_phase.cli import main
sys.exit(max(main(command.split("|")) for command in sys.argv[1:]))
"""


def test_no_command_asks_the_network(tmp_path):
    class_map = ["classify", NICKEL, "-o", str(tmp_path / "map.h5"), "-o", str(tmp_path / "m.png")]
    commands = [class_map, ["identify", SILICON], ["demo", "-o", str(tmp_path / "demo")]]
    done = subprocess.run(
        [sys.executable, "-c", OFFLINE, *("|".join(command) for command in commands)],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "demo").is_dir()
