# SPDX-License-Identifier: GPL-3.0-or-later
"""Every reader and command against files that are wrong: one line, code 2, nothing left.

``test_cli_bad_input`` and ``test_scan_bad_input`` have the wrong requests and the everyday damage;
here are all readers cut at many places, all commands, and what is made to do harm.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load, save

from napari_ebsd_phase.cli import main

from . import _bad_files as bad
from ._ebsd_files import write_edax
from ._program import NICKEL, contents, is_one_error_line, rows_of

LIBRARY = str(Path(__file__).parent.parent / "data" / "master_patterns.h5")

Case = Callable[[Path], list[str]]


def classify(write: bad.Writer) -> Case:
    return lambda folder: ["classify", str(write(folder)), "-o", str(folder / "out.csv")]


def text(name: str) -> bad.Writer:
    def write(folder: Path) -> Path:
        (folder / name).write_text("Just some text.\n" * 9)
        return folder / name

    return write


def folder_named(name: str) -> bad.Writer:
    def write(folder: Path) -> Path:
        (folder / name).mkdir()
        return folder / name

    return write


def to_nowhere(name: str) -> bad.Writer:
    def write(folder: Path) -> Path:
        (folder / name).symlink_to(folder / "gone.h5")
        return folder / name

    return write


def to_itself(name: str) -> bad.Writer:
    def write(folder: Path) -> Path:
        (folder / name).symlink_to(folder / f"other {name}")
        (folder / f"other {name}").symlink_to(folder / name)
        return folder / name

    return write


# 1. What no reader takes.

READERS: dict[str, Case] = {
    **{
        f"{kind}, {share:.2f} of it": classify(bad.cut(write, share))
        for kind, write in bad.GOOD.items()
        for share in (0.0, 0.05, 0.6)
    },
    **{
        f"{kind}, half its last row": classify(bad.cut(bad.GOOD[kind], 0.98))
        for kind in ("Oxford ebsp", "EDAX up1", "EDAX up2", "NORDIF dat", "Oxford h5oina")
    },
    **{
        f"{kind} without header": classify(bad.without(bad.GOOD[kind], group))
        for kind, group in {
            "Oxford h5oina": "1/EBSD/Header",
            "Bruker h5": "Scan 0/EBSD/Header",
            "EDAX h5": "Scan 1/EBSD/Header",
            "kikuchipy h5": "Scan 1/EBSD/Header",
        }.items()
    },
    **{
        f"patterns of type {name}": classify(bad.of_type(dtype))
        for name, dtype in {
            "text": "S5",
            "complex": "c8",
            "bool": "?",
            "pairs": np.dtype([("a", "u1"), ("b", "f4")]),
            "lists": h5py.vlen_dtype("u1"),
            "reference": h5py.ref_dtype,
        }.items()
    },
    "patterns without rows": classify(bad.claims(2, 3, 0, 8)),
    "patterns without columns": classify(bad.claims(2, 3, 6, 0)),
    "a map without rows": classify(bad.entry("1/EBSD/Header/Y Cells", [0])),
    "a negative number of columns": classify(bad.entry("1/EBSD/Header/X Cells", [-3])),
    "a number of columns that is none": classify(bad.entry("1/EBSD/Header/X Cells", [np.nan])),
    "NORDIF of no row": classify(bad.setting("2x3\t#", "0x3\t#")),
    "NORDIF of other pixels": classify(bad.setting("8x6", "80x60")),
    "NORDIF without numbers": classify(bad.setting("2x3\t#", "two\t#")),
    "TIFF without width": classify(bad.tiff_without_width),
    "PNG of no pixel": classify(lambda folder: bad.png(folder / "map.png", 0, 0)),
    "PNG of one side": classify(lambda folder: bad.png(folder / "map.png", 60, 0)),
    "HDF5 named .up1": classify(
        lambda folder: bad.GOOD["Oxford h5oina"](folder).rename(folder / "map.up1")
    ),
    "HDF5 named .ebsp": classify(
        lambda folder: bad.GOOD["Oxford h5oina"](folder).rename(folder / "map.ebsp")
    ),
    "PNG named .h5": classify(lambda folder: bad.GOOD["PNG"](folder).rename(folder / "map.h5")),
    "a row that has no such columns": lambda folder: [
        *classify(lambda _: write_edax(folder / "map.up1", bad.patterns(1, 7), version=1))(folder),
        *("--grid", "2x3"),
    ],
    "a name that is too long": classify(lambda folder: folder / f"{'x' * 300}.h5"),
    "a name that is no ASCII": classify(lambda folder: folder / "Körner 粒.h5oina"),
    "a name that is no text": classify(lambda folder: folder / "\udcff.h5"),
    "a name with a line break": classify(lambda folder: folder / "two\nlines.h5"),
    "a link to nowhere": classify(to_nowhere("map.h5")),
    "a link to itself": classify(to_itself("map.h5")),
    "a folder named .up1": classify(folder_named("map.up1")),
    "an output name that is too long": lambda folder: [
        *("classify", NICKEL, "-o", str(folder / f"{'x' * 300}.csv"))
    ],
}

# 2. Every command that reads patterns.

COMMANDS: dict[str, Callable[[str, Path], list[str]]] = {
    "classify": lambda source, folder: ["classify", source, "-o", str(folder / "out.h5")],
    "identify": lambda source, folder: ["identify", source],
    "explain": lambda source, folder: ["explain", source, "-o", str(folder / "out.png")],
    "sphere": lambda source, folder: ["sphere", source, "-o", str(folder / "out.png")],
    "view": lambda source, folder: ["view", source],
}

SOURCES: dict[str, bad.Writer] = {
    "missing": lambda folder: folder / "none.h5oina",
    "text": text("map.h5"),
    "a folder": folder_named("map.h5"),
    "cut": bad.cut(bad.GOOD["kikuchipy h5"], 0.5),
}


def command_on(command: str, source: str) -> Case:
    return lambda folder: COMMANDS[command](str(SOURCES[source](folder)), folder)


OF_COMMANDS: dict[str, Case] = {
    f"{command}: {source}": command_on(command, source)
    for command in COMMANDS
    for source in SOURCES
}


# 3. Networks and their cards.


def network(
    folder: Path, *, card: Callable[[dict[str, Any]], object] | None = None, **tensors: Any
) -> str:
    """A bundled network with something wrong on its card, or in its weights (with their hash)."""
    weights = Path(__file__).parents[1] / "src" / "napari_ebsd_phase" / "weights"
    data = (weights / "pixels.safetensors").read_bytes()
    values = json.loads((weights / "pixels.json").read_text(encoding="utf-8"))
    if tensors:
        found = load(data)
        first = next(name for name, t in found.items() if t.dim() > 1)
        found[first] = tensors["change"](found[first])
        data = save(found)
        values["sha256"] = hashlib.sha256(data).hexdigest()
    written = values if card is None else card(values) or values
    path = folder / "mine.safetensors"
    path.write_bytes(data)
    path.with_suffix(".json").write_text(
        written if isinstance(written, str) else json.dumps(written), encoding="utf-8"
    )
    return str(path)


def card_with(**changes: object) -> Case:
    return lambda folder: ["models", "verify", network(folder, card=lambda c: c | changes)]


def card_with_classes(change: Callable[[list[str]], list[str]]) -> Case:
    def edit(card: dict[str, Any]) -> None:
        card["classes"]["point_group"] = change(card["classes"]["point_group"])

    return lambda folder: ["models", "verify", network(folder, card=edit)]


def weights_with(change: Callable[[torch.Tensor], torch.Tensor]) -> Case:
    return lambda folder: ["models", "verify", network(folder, change=change)]


def network_without_card(folder: Path) -> list[str]:
    path = Path(network(folder))
    path.with_suffix(".json").unlink()
    return ["models", "describe", str(path)]


def network_that_is_text(folder: Path) -> list[str]:
    path = Path(network(folder))
    path.write_text("weights")
    return ["classify", NICKEL, "-o", str(folder / "out.csv"), "--model", str(path)]


def network_cut(folder: Path) -> list[str]:
    path = Path(network(folder))
    data = path.read_bytes()[:-100]
    card = json.loads(path.with_suffix(".json").read_text())
    card["sha256"] = hashlib.sha256(data).hexdigest()
    path.write_bytes(data)
    path.with_suffix(".json").write_text(json.dumps(card))
    return ["models", "verify", str(path)]


NETWORKS: dict[str, Case] = {
    "no such network": lambda folder: ["models", "describe", "best"],
    "a network that is a folder": lambda folder: [
        *("models", "verify", str(folder_named("n.safetensors")(folder)))
    ],
    "a network without a card": network_without_card,
    "weights that are text": network_that_is_text,
    "weights cut short": network_cut,
    "weights that are not numbers": weights_with(lambda t: t * np.nan),
    "weights of another shape": weights_with(lambda t: t[:-1]),
    "weights of another network": weights_with(lambda t: t[None]),
    "the hash of another network": card_with(sha256="0" * 64),
    "a hash that is a number": card_with(sha256=5),
    "a class too few": card_with_classes(lambda names: names[:-1]),
    "a class too many": card_with_classes(lambda names: [*names, "m-5"]),
    "classes in another order": card_with_classes(lambda names: names[::-1]),
    "a card of another version": card_with(card_version=99),
    "a card without a name": card_with(name=None),
    "a card that is a list": lambda folder: [
        *("models", "verify", network(folder, card=lambda c: "[]"))
    ],
    "a card that is cut": lambda folder: [
        *("models", "verify", network(folder, card=lambda c: json.dumps(c)[:-9]))
    ],
    "a card of brackets": lambda folder: [
        *("models", "verify", network(folder, card=lambda c: "[" * 100_000))
    ],
    "a card with an endless number": lambda folder: [
        *("models", "verify", network(folder, card=lambda c: f'{{"a": {"1" * 6000}}}'))
    ],
    "a temperature that is no number": card_with(temperature=float("nan")),
    "a threshold above one": card_with(threshold=2),
    "a prior of another shape": card_with(training_prior=[[1.0]]),
    "a prior below zero": card_with(known_structures=[[-1.0] * 14] * 32),
    "no architecture": card_with(architecture={}),
    "an architecture of no network": card_with(architecture={"members": []}),
    "preprocessing without size": card_with(preprocessing={}),
    "a single network to combine": lambda folder: [
        *("models", "combine", "pixels", "-o", str(folder / "m"), "--library", NICKEL)
    ],
    # Said before minutes of testing.
    "networks combined into a folder that is not there": lambda folder: [
        *("models", "combine", "pixels", "lines", "--library", LIBRARY),
        *("-o", str(folder / "nowhere" / "m.safetensors")),
    ],
    "more weights than networks": lambda folder: [
        *("models", "combine", "pixels", "lines", "--library", LIBRARY, "--weights", "1"),
        *("-o", str(folder / "m.safetensors")),
    ],
    "figures of a known centre that are none": card_with(with_centre=[1]),
    "a temperature of a known centre that is no number": card_with(
        with_centre={"temperature": "a"}
    ),
    "unknown figures of a known centre": card_with(with_centre={"weights": 1}),
    "tests of a known centre that are none": card_with(with_centre={"metrics": 3}),
}

# 4. The training side.


def simulate_cif(content: bytes) -> Case:
    def write(folder: Path) -> list[str]:
        (folder / "phase.cif").write_bytes(content)
        return ["simulate", str(folder / "phase.cif"), "-o", str(folder / "masters")]

    return write


def on_library(command: str, write: bad.Writer) -> Case:
    return lambda folder: [command, "--library", str(write(folder)), "-o", str(folder / "run")]


def settings_that_are(content: str) -> Case:
    def write(folder: Path) -> list[str]:
        (folder / "settings.json").write_text(content)
        library = ("--library", NICKEL, "-o", str(folder / "run"))
        return ["train", *library, "--settings", str(folder / "settings.json")]

    return write


TRAINING: dict[str, Case] = {
    **{
        f"{command} on {name}": on_library(command, write)
        for command in ("train", "evaluate")
        for name, write in {
            "no file": lambda folder: folder / "none.h5",
            "a text": text("library.h5"),
            "a folder": folder_named("library.h5"),
            "a scan": bad.GOOD["Oxford h5oina"],
        }.items()
    },
    "a CIF of nothing": simulate_cif(b""),
    "a CIF of bytes": simulate_cif(bytes(range(256))),
    "a CIF without a cell": simulate_cif(b"data_x\n_cell_length_a long\n"),
    "a CIF that is a folder": lambda folder: [
        *("simulate", str(folder_named("phase.cif")(folder)), "-o", str(folder / "masters"))
    ],
    "masters into a file": lambda folder: ["simulate", "--structure", "s0005", "-o", NICKEL],
    "settings that are text": settings_that_are("fast"),
    "settings that are a list": settings_that_are("[1]"),
}

TABLE = READERS | OF_COMMANDS | NETWORKS | TRAINING


def test_the_table_is_long():
    assert len(TABLE) + len(HARM) >= 60


@pytest.mark.parametrize("case", TABLE)
def test_what_is_wrong_is_refused_in_one_line_and_leaves_nothing(
    case, tmp_path, capfd, monkeypatch
):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    arguments = TABLE[case](tmp_path)
    before = contents(tmp_path)

    code = main(arguments)

    out, err = capfd.readouterr()
    assert (code, out) == (2, ""), err
    assert is_one_error_line(err)
    assert "Traceback" not in err
    assert contents(tmp_path) == before


# 5. What is made to hang the program or to fill the memory.

HARM: dict[str, bad.Writer] = {
    "a pipe": lambda folder: bad.pipe(folder / "map.h5"),
    "an endless device": lambda folder: link(folder / "map.txt", "/dev/zero"),
    "groups in groups": bad.oxford(bad.nested_groups),
    "a group inside itself": bad.oxford(bad.hard_loop),
    "a soft link to above": bad.oxford(bad.soft_loop),
    "a soft link to itself": bad.oxford(bad.link_to_itself),
    "patterns behind a link": bad.elsewhere("link"),
    "patterns in raw bytes elsewhere": bad.elsewhere("raw bytes"),
    "virtual patterns": bad.elsewhere("virtual"),
    "a header behind a link": bad.elsewhere("header"),
    "a billion patterns": bad.claims(30_000, 30_000, 60, 60),
    "a billion patterns in chunks": bad.claims(
        30_000, 30_000, 60, 60, chunks=(1, 60, 60), compression="gzip"
    ),
    "a pattern of ten billion pixels": bad.claims(1, 1, 100_000, 100_000),
    "a huge header entry": bad.large_entry("1/EBSD/Header/Notes"),
    "a huge map of phases": bad.large_entry("1/EBSD/Data/Phase"),
    "a header of a huge map": bad.entry("1/EBSD/Header/X Cells", [2**31 - 1]),
    "a huge NORDIF map": bad.setting("2x3\t#", "900000x900000\t#"),
    "an ebsp of zeros": lambda folder: bad.sparse(folder / "map.ebsp", b"", 3 * 2**30),
    "four billion pixels as patterns": lambda folder: bad.sparse(
        folder / "map.up1", np.array([1, 1, 1, 16], "<u4").tobytes(), 2**32
    ),
    "a white picture": lambda folder: bad.white_picture(folder / "map.png", 9000),
    "a picture bomb": lambda folder: bad.png(folder / "map.png", 60_000, 60_000),
}

# Runs cases one after the other, so that the libraries are loaded once, and prints what each took.
RUN = """
import json, resource, signal, sys, time
from contextlib import redirect_stderr
from io import StringIO
import kikuchipy, torch
from napari_ebsd_phase.cli import main

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

main(["classify", sys.argv[1], "-o", sys.argv[1] + ".csv", "--quiet"])
for source in sys.argv[2:]:
    said = StringIO()
    signal.alarm(60)
    before, start = peak(), time.process_time()
    with redirect_stderr(said):
        code = main(["classify", source, "-o", source + ".csv"])
    used = {"seconds": time.process_time() - start, "bytes": peak() - before}
    print(json.dumps({"code": code, "err": said.getvalue(), **used}), flush=True)
"""


def link(path: Path, target: str) -> Path:
    path.symlink_to(target)
    return path


@pytest.fixture(scope="module")
def harm_done(tmp_path_factory) -> dict[str, dict[str, Any]]:
    """What the program made of all of them, in a process of its own."""
    good = tmp_path_factory.mktemp("good") / "map.tif"
    Image.fromarray(bad.patterns(1, 1, 60, 60)[0, 0]).save(good)
    folders = [tmp_path_factory.mktemp("harm") for _ in HARM]
    paths = [write(folder) for write, folder in zip(HARM.values(), folders, strict=True)]
    before = [sorted(path.name for path in folder.iterdir()) for folder in folders]
    process = subprocess.run(
        [sys.executable, "-c", RUN, str(good), *map(str, paths)],
        capture_output=True,
        text=True,
        timeout=240,
    )
    found = [json.loads(line) for line in process.stdout.splitlines()]
    assert len(found) == len(HARM), (process.returncode, process.stderr)
    for entry, folder, names in zip(found, folders, before, strict=True):
        entry["left"] = sorted(path.name for path in folder.iterdir()) != names
    return dict(zip(HARM, found, strict=True))


@pytest.mark.parametrize("case", HARM)
def test_what_does_harm_is_refused_soon_and_takes_little_memory(case, harm_done):
    done = harm_done[case]

    assert done["code"] == 2, done["err"]
    assert is_one_error_line(done["err"])
    assert not done["left"]
    assert done["seconds"] < 5  # of the processor: nothing else on the machine counts
    assert done["bytes"] < 2**30


# 6. What is strange, but no reason to refuse a folder of a thousand other patterns.


def test_frames_without_a_pattern_are_classified_and_not_named(tmp_path):
    shape, random = (40, 48), np.random.default_rng(0)
    frames = {
        "constant": np.full(shape, 7, np.float32),
        "infinite": np.full(shape, np.inf, np.float32),
        "nan": np.full(shape, np.nan, np.float32),
        "negative": -random.random(shape, np.float32),
        "one pixel": np.ones((1, 1), np.float32),
        "one row": random.random((1, 40), np.float32),
        "saturated": np.full(shape, 65_535, np.float32),
        "zero": np.zeros(shape, np.float32),
    }
    folder = tmp_path / "frames"
    folder.mkdir()
    for name, frame in frames.items():
        Image.fromarray(frame).save(folder / f"{name}.tif")

    assert main(["classify", str(folder), "-o", str(tmp_path / "map.csv"), "--quiet"]) == 0

    rows = rows_of(tmp_path / "map.csv")
    assert [row["source"] for row in rows] == [f"{name}.tif" for name in frames]
    assert {row["level"] for row in rows} == {"none"}
    assert all(0 < float(row["point_group_probability"]) <= 1 for row in rows)
