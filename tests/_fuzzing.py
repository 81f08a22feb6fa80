# SPDX-License-Identifier: GPL-3.0-or-later
"""Inputs that nobody thought of: small real files, changed at random, and what reads them.

An input is bytes, so that a fuzzer that knows nothing of files can change it, too. Whatever it
holds, it is read or refused with an :class:`InputError` of one line, soon and in little memory.
"""

from __future__ import annotations

import hashlib
import json
import random
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from PIL import Image

from napari_ebsd_phase.card import make_card
from napari_ebsd_phase.classifier import Classifier
from napari_ebsd_phase.crystallography import COMPATIBLE
from napari_ebsd_phase.errors import InputError
from napari_ebsd_phase.loading import load_classifier
from napari_ebsd_phase.network import Architecture, SymmetryNet
from napari_ebsd_phase.phase_map import PhaseMap
from napari_ebsd_phase.preprocessing import Preprocessing
from napari_ebsd_phase.scan import load_scan

from ._ebsd_files import (
    SETTING,
    patterns,
    write_bruker,
    write_ebsp,
    write_edax,
    write_nordif,
    write_oxford,
)

SECONDS = 5.0  # of the processor: nothing else on the machine counts
MEMORY = 2**30

_MAP = patterns(2, 3)
_WRITABLE = 1  # a file in memory, of HDF5
_ODD_NUMBERS = (0, 1, -1, 2, 255, 2**15, 2**16, 2**31 - 1, -(2**31), 2**32, 2**53, 2**63 - 1)
_ODD_VALUES: tuple[Any, ...] = (
    *_ODD_NUMBERS,
    *(None, True, False, "", "x", "\0", "ä" * 9, [], {}, [[]], [1], ["x"], {"a": 1}, 10**400),
    *(0.5, -0.5, 1e-300, 1e300, float("nan"), float("inf"), float("-inf")),
)
_ODD_ARRAYS: tuple[Any, ...] = (
    *(b"", b"x", b"\xff" * 9, "ä", np.empty(0), np.empty((0, 3)), h5py.Empty("f4")),
    *([0], [-1], [1], [2**31 - 1], [2**63 - 1], [np.nan], [np.inf], [-np.inf], [1e300]),
    *(np.zeros((2, 2)), np.zeros((6, 3)), np.full(6, np.nan), np.zeros(6, "c8"), np.ones(3, "?")),
    *(np.array([b"text"]), np.zeros((2, 3, 4)), np.array(5), np.array(["a", "b"], dtype="S")),
)


@dataclass(frozen=True)
class Target:
    """Something that reads.

    Parameters
    ----------
    seeds
        Good inputs; the folder is theirs to write in.
    read
        Reads an input, in a folder of its own.
    change
        Changes an input in a way that its reader understands.
    """

    seeds: Callable[[Path], list[bytes]]
    read: Callable[[bytes, Path], object]
    change: Callable[[bytes, random.Random], bytes]


# Changes.


def changed_bytes(data: bytes, chance: random.Random) -> bytes:
    """One to four places overwritten, cut out, doubled, cut off or filled with noise."""
    new = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        place, length = chance.randrange(len(new) + 1), chance.choice((1, 2, 4, 8, 64))
        kind = chance.randrange(6)
        if kind == 0 and place < len(new):
            new[place] ^= 1 << chance.randrange(8)
        elif kind == 1:
            size = chance.choice((1, 2, 4, 8))
            number = chance.choice(_ODD_NUMBERS) % 256**size
            new[place : place + size] = number.to_bytes(size, chance.choice(("little", "big")))
        elif kind == 2:
            del new[place : place + length]
        elif kind == 3:
            new[place:place] = new[place : place + length]
        elif kind == 4:
            new[place : place + length] = chance.randbytes(length)
        elif chance.random() < 0.2:
            del new[place:]
    return bytes(new)


def changed_json(text: bytes, chance: random.Random) -> bytes:
    """One to three values of a JSON text are others, are gone, or have another name."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return changed_bytes(text, chance)
    for _ in range(chance.randint(1, 3)):
        places = list(_places(value))
        if not places:
            break
        # A table has hundreds of numbers: first a depth, then a place at that depth.
        depth = chance.choice(sorted({depth for depth, _, _ in places}))
        _, owner, key = chance.choice([place for place in places if place[0] == depth])
        kind = chance.randrange(4)
        if kind == 0:
            del owner[key]
        elif kind == 1 and isinstance(owner, dict):
            owner[f"{key} "] = owner.pop(key)
        elif kind == 1:
            owner.append(owner[key])
        else:
            owner[key] = chance.choice(_ODD_VALUES)
    return json.dumps(value).encode()


def _places(value: Any, depth: int = 0) -> Iterator[tuple[int, Any, Any]]:
    """Depth, owner and key of every value in a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items:
        yield depth, value, key
        if isinstance(inner, dict | list):
            yield from _places(inner, depth + 1)


def changed_h5(data: bytes, chance: random.Random) -> bytes:
    """One to three members or attributes of an HDF5 file are others, or are gone."""
    try:
        with h5py.File(h5py.h5f.open_file_image(data, flags=_WRITABLE)) as file:
            for _ in range(chance.randint(1, 3)):
                names: list[str] = []
                file.visit(names.append)
                _change_member(file, chance.choice(names), chance)
            file.flush()
            return bytes(file.id.get_file_image())
    except (OSError, KeyError, RuntimeError, ValueError, TypeError, IndexError):
        return changed_bytes(data, chance)  # it is damaged already


def _change_member(file: h5py.File, name: str, chance: random.Random) -> None:
    member, kind = file[name], chance.randrange(6)
    if kind == 0:
        del file[name]
    elif kind == 1:
        file.move(name, f"{name} ")
    elif kind == 2 and len(member.attrs):
        member.attrs[chance.choice(list(member.attrs))] = chance.choice(_ODD_ARRAYS)
    elif kind == 3 and isinstance(member, h5py.Dataset) and member.dtype.kind in "uif":
        with np.errstate(all="ignore"):
            value = np.asarray(chance.choice((*_ODD_NUMBERS, 0.5, np.nan, 1e300)))
            del file[name]
            file[name] = np.full(member.shape, value.astype(member.dtype, casting="unsafe"))
    elif kind == 4:
        del file[name]
        file[name] = h5py.SoftLink(chance.choice(("/", ".", f"/{name}", "/nowhere", "1/EBSD")))
    else:
        del file[name]
        file[name] = chance.choice(_ODD_ARRAYS)


# Cards and networks: the card, then a zero byte, then the weights.


def small_network(folder: Path) -> bytes:
    """A network like the bundled ones, but so small that thousands are read in a minute."""
    torch.manual_seed(0)
    network = SymmetryNet(Architecture((2, 3), (1, 1), 47, "lines", 8, 8))
    card = make_card(
        "small",
        network,
        preprocessing=Preprocessing(size=16).to_dict(),
        training_prior=COMPATIBLE.astype(float).tolist(),
        known_structures=COMPATIBLE.astype(float).tolist(),
        temperature=1.2,
        threshold=0.5,
        pattern_threshold=0.3,
        mirrored_views=True,
        with_centre={"temperature": 1.1, "metrics": {}},
        training={"materials": {"train": 3}, "patterns": 30},
        metrics={"good camera": {"laue_group": {"accuracy": 0.5}}},
        licence="GPL-3.0-or-later",
        version="0",
    )
    path = Classifier(network, card, "cpu").save(folder / "small")
    return path.with_suffix(".json").read_bytes() + b"\0" + path.read_bytes()


def read_network(data: bytes, folder: Path) -> None:
    """Load a network and classify a pattern with it; the hash of the weights is put right."""
    text, _, weights = data.partition(b"\0")
    try:
        card = json.loads(text)
    except (ValueError, RecursionError):
        card = None
    if isinstance(card, dict) and isinstance(card.get("sha256"), str):
        card["sha256"] = hashlib.sha256(weights).hexdigest()
        text = json.dumps(card).encode()
    path = folder / "mine.safetensors"
    path.write_bytes(weights)
    path.with_suffix(".json").write_bytes(text)
    classifier = load_classifier(path, device="cpu", precision="float32")
    outputs = classifier.scores(_MAP[0])
    with np.errstate(all="ignore"):
        classifier.probabilities(outputs.scores)


def change_card(data: bytes, chance: random.Random) -> bytes:
    text, _, weights = data.partition(b"\0")
    return changed_json(text, chance) + b"\0" + weights


def change_network(data: bytes, chance: random.Random) -> bytes:
    """The weights are others, or what their header says of them."""
    text, _, weights = data.partition(b"\0")
    size = int.from_bytes(weights[:8], "little")
    if chance.random() < 0.5 and size < len(weights):
        header = changed_json(weights[8 : 8 + size], chance)
        weights = len(header).to_bytes(8, "little") + header + weights[8 + size :]
    else:
        weights = changed_bytes(weights, chance)
    return text + b"\0" + weights


# Scans: the first byte says which kind of file follows.


def _ebsp(version: int) -> Callable[[Path], Path]:
    return lambda folder: write_ebsp(folder / "map.ebsp", _MAP, version=version)


def _picture(name: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        Image.fromarray(_MAP[0, 0]).save(folder / name)
        return folder / name

    return write


def _kikuchipy(folder: Path) -> Path:
    import kikuchipy

    kikuchipy.signals.EBSD(_MAP).save(folder / "map.h5")
    return folder / "map.h5"


def _setting(folder: Path) -> Path:
    write_nordif(folder, _MAP)
    return folder / "Setting.txt"


SCANS: tuple[Callable[[Path], Path], ...] = (
    lambda folder: write_oxford(folder / "map.h5oina", _MAP),
    lambda folder: write_bruker(folder / "map.h5", _MAP, np.array([1, 0, 2, 3, 5, 4])),
    _kikuchipy,
    lambda folder: write_edax(folder / "map.up1", _MAP),
    lambda folder: write_edax(folder / "map.up2", _MAP.astype("<u2")),
    *(_ebsp(version) for version in (0, 1, 4, 5)),
    _setting,  # of NORDIF, beside its patterns
    *(_picture(f"map.{suffix}") for suffix in ("png", "tif", "bmp", "jpg")),
)
_HDF5 = range(3)


def scan_seeds(folder: Path) -> list[bytes]:
    seeds = []
    for number, write in enumerate(SCANS):
        (folder / str(number)).mkdir()
        seeds.append(bytes([number]) + write(folder / str(number)).read_bytes())
    return [*seeds, bytes([SCANS.index(_setting)]) + SETTING.read_bytes()]


_NAMES = (
    *("map.h5oina", "map.h5", "map.h5", "map.up1", "map.up2"),
    *("map.ebsp", "map.ebsp", "map.ebsp", "map.ebsp", "Setting.txt"),
    *("map.png", "map.tif", "map.bmp", "map.jpg"),
)


def read_scan(data: bytes, folder: Path) -> None:
    """Open a scan, ask it everything, and read its first row and its last pattern."""
    name = _NAMES[data[0] % len(_NAMES)] if data else "map.h5"
    path = folder / name
    path.write_bytes(data[1:])
    if name == "Setting.txt":
        path = folder / "Pattern.dat"
        path.write_bytes(_MAP.tobytes())
    with load_scan(path) as scan:
        rows, cols = scan.shape
        asked = (scan.step, scan.units, scan.projection_centre, scan.static_background)
        str((scan, scan.crystal_map, asked))
        for place in ((0, 0), (rows - 1, cols - 1)):
            scan.pattern(*place)
        if scan.pattern_shape is not None:
            scan.read(*next(scan.tiles(16)))


def change_scan(data: bytes, chance: random.Random) -> bytes:
    change = changed_h5 if data[:1] and data[0] % len(_NAMES) in _HDF5 else changed_bytes
    return data[:1] + change(data[1:], chance)


# Results.


def result_seeds(folder: Path) -> list[bytes]:
    with load_scan(write_oxford(folder / "map.h5oina", _MAP)) as scan:
        result = PhaseMap.empty((2, 3), sources=["map"], crystal_map=scan.crystal_map)
        result.provenance = {"date": "today"}
        result.save(folder / "map.h5")
    return [(folder / "map.h5").read_bytes()]


def read_result(data: bytes, folder: Path) -> None:
    (folder / "map.h5").write_bytes(data)
    phase_map = PhaseMap.load(folder / "map.h5")
    str((phase_map.crystal_map, phase_map.provenance, phase_map.step))


def network_seeds(folder: Path) -> list[bytes]:
    return [small_network(folder)]


TARGETS = {
    "card": Target(network_seeds, read_network, change_card),
    "network": Target(network_seeds, read_network, change_network),
    "scan": Target(scan_seeds, read_scan, change_scan),
    "result": Target(result_seeds, read_result, changed_h5),
}


def inputs(target: Target, folder: Path, seed: int) -> Iterator[bytes]:
    """Good inputs, then changed ones without end; the same ones for the same seed."""
    chance = random.Random(seed)
    seeds = target.seeds(folder)
    yield from seeds
    while True:
        data = chance.choice(seeds)
        if chance.random() < 0.6:
            data = target.change(data, chance)
        if chance.random() < 0.6:
            data = changed_bytes(data, chance)
        yield data


def try_input(target: Target, data: bytes, folder: Path) -> bool:
    """Whether an input is read (True) or refused as it should be; anything else raises."""
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        said = ""
        try:
            target.read(data, folder)
        except InputError as error:
            said = str(error)
    assert "\n" not in said, said
    took = time.process_time() - start
    assert took < SECONDS, f"{took:.1f} s"
    return not said
