# SPDX-License-Identifier: GPL-3.0-or-later
"""The library of master patterns: one compact HDF5 file with its index.

A master pattern is the simulated intensity for every crystal direction: two hemispheres, northern
then southern, on the square (Rosca) Lambert grid. Row is y, column is x, with x along the crystal's
a axis and z along c*.

Layout of the file: ``patterns`` (count, 2, n, n) uint8, one compressed chunk a pattern, and a group
``index`` with one dataset a fact, all of length ``count`` (see :class:`MasterRecord`).
"""

from __future__ import annotations

import csv
import re
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np

from napari_ebsd_phase.errors import InputError
from napari_ebsd_phase.export._atomic import replacing

from .structures import Structure, structure_by_uid

__all__ = [
    "MasterLibrary",
    "MasterPattern",
    "MasterRecord",
    "build_library",
    "load_master_pattern",
    "load_master_pattern_stack",
    "master_pattern_of",
    "read_folder",
    "save_master_pattern",
    "save_master_pattern_stack",
    "write_stacks",
]

FORMAT = "napari-ebsd-phase master patterns 1"
# What files without an index or facts of their own were made with.
DEFAULT_SIMULATOR = "de-ebsd 0.2.1"


@dataclass(frozen=True, kw_only=True)
class MasterRecord:
    """What is known about one master pattern.

    Parameters
    ----------
    key
        Unique name in a library, like ``"s0042_20kV"``.
    structure
        ``uid`` of the structure that it was simulated from, or empty.
    name, formula
        Of the material.
    point_group, bravais
        As in :mod:`napari_ebsd_phase.crystallography`.
    space_group
        International number.
    energy_kev
        Energy of the beam in keV.
    simulator
        Program and version, or source.
    dmin_nm
        Smallest spacing of the lattice planes that took part, in nm.
    low, high
        Intensities that 0 and 255 stand for.
    """

    key: str
    structure: str
    name: str
    formula: str
    point_group: str
    bravais: str
    space_group: int
    energy_kev: float
    simulator: str
    dmin_nm: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True, eq=False)
class MasterPattern(MasterRecord):
    """A master pattern: its record and its data, (2, n, n) uint8."""

    data: np.ndarray

    def intensities(self) -> np.ndarray:
        """Intensities as simulated, (2, n, n) float32, to one part in 255 of their range."""
        return (self.low + self.data.astype(np.float32) * (self.high - self.low) / 255).astype(
            np.float32
        )


def master_pattern_of(
    structure: Structure, values: np.ndarray, key: str, **facts: Any
) -> MasterPattern:
    """Master pattern of simulated intensities: their range becomes 256 grey levels.

    Parameters
    ----------
    structure
        The structure that was simulated.
    values
        (2, n, n) intensities.
    key
        Name of the pattern.
    **facts
        ``energy_kev``, ``simulator`` and ``dmin_nm`` of the record.

    Raises
    ------
    InputError
        If the intensities have no contrast or are not all numbers.
    """
    # A few points on the brightest zone axes must not take the grey levels of all others.
    low, high = np.percentile(values, [0.05, 99.95]).tolist()
    if not (np.isfinite(values).all() and high > low):
        raise InputError(f"{structure.uid}: the simulator found no contrast in this structure")
    return MasterPattern(
        key=key,
        structure=structure.uid,
        name=structure.id,
        formula=structure.formula,
        point_group=structure.point_group,
        bravais=structure.bravais,
        space_group=structure.space_group,
        low=low,
        high=high,
        data=np.rint(np.clip((values - low) / (high - low), 0, 1) * 255).astype(np.uint8),
        **facts,
    )


class MasterLibrary:
    """Master patterns in one file, read one at a time.

    Examples
    --------
    >>> with MasterLibrary.open("data/master_patterns.h5") as library:
    ...     cubic = [i for i, record in enumerate(library.index) if record.bravais == "cF"]
    ...     patterns = [library.data(i) for i in cubic]
    """

    def __init__(self, file: h5py.File) -> None:
        self._file = file
        columns = {field.name: _column(file, field.name) for field in fields(MasterRecord)}
        rows = zip(*columns.values(), strict=True)
        self.index = [MasterRecord(**dict(zip(columns, row, strict=True))) for row in rows]

    @classmethod
    def open(cls, path: str | Path) -> MasterLibrary:
        """Open a library; only its index is read.

        Raises
        ------
        InputError
            If the file is missing or is no library of master patterns.
        """
        path = Path(path)
        if not path.is_file():
            raise InputError(f"{path}: no such file; give a library of master patterns (.h5)")
        try:
            file = h5py.File(path, "r")
        except OSError as error:
            raise InputError(f"{path}: not a readable HDF5 file ({error})") from error
        if file.attrs.get("format") != FORMAT:
            file.close()
            raise InputError(f"{path}: not a library of master patterns made by this program")
        return cls(file)

    @property
    def path(self) -> Path:
        """The file."""
        return Path(self._file.filename)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape (2, n, n) of every pattern."""
        return self._file["patterns"].shape[1:]

    def __len__(self) -> int:
        return len(self.index)

    def data(self, i: int) -> np.ndarray:
        """Pattern ``i``, (2, n, n) uint8."""
        return self._file["patterns"][i]

    def read_into(self, target: np.ndarray) -> None:
        """Fill an array (count, 2, n, n) uint8 with all patterns."""
        if len(self):
            self._file["patterns"].read_direct(target)

    def __getitem__(self, i: int) -> MasterPattern:
        return MasterPattern(**vars(self.index[i]), data=self.data(i))

    def __iter__(self) -> Iterator[MasterPattern]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        return f"MasterLibrary({str(self.path)!r}, {len(self)} patterns of shape {self.shape})"

    def close(self) -> None:
        """Close the file; the index stays."""
        self._file.close()

    def __enter__(self) -> MasterLibrary:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _column(file: h5py.File, name: str) -> list[Any]:
    dataset = file["index"][name]
    return dataset.asstr()[()].tolist() if dataset.dtype.kind == "O" else dataset[()].tolist()


def build_library(
    folders: Iterable[str | Path], target: str | Path, *, existing: str | Path | None = None
) -> int:
    """Pack folders of ``.npz`` master patterns into one library.

    The facts of a pattern are in its file (as :func:`.master_patterns.simulate_library` writes
    it), in the folder's ``index.csv``, or, for a file named ``<structure>_<energy>kV.npz``, in the
    package's table of structures. A key that comes twice is packed once, from the first place:
    ``existing``, then the folders in the order given. The same input gives the same file.

    Parameters
    ----------
    folders
        Folders of ``.npz`` files with ``data`` (2, n, n) uint8 and ``range`` (2,).
    target
        Library to write; replaced in one step when it is complete.
    existing
        A library whose patterns are kept; may be ``target`` itself.

    Returns
    -------
    int
        Number of patterns in the library.

    Raises
    ------
    InputError
        If a file has no facts, holds no pattern, or the patterns are of several sizes.
    """
    patterns: dict[str, MasterPattern] = {}
    if existing is not None:
        with MasterLibrary.open(existing) as library:
            patterns.update((pattern.key, pattern) for pattern in library)
    for folder in folders:
        for pattern in read_folder(folder):
            patterns.setdefault(pattern.key, pattern)
    if not patterns:
        raise InputError("no master patterns (.npz) in the folders given")
    shapes = {pattern.data.shape for pattern in patterns.values()}
    if len(shapes) > 1:
        raise InputError(f"a library holds patterns of one size, these are of {sorted(shapes)}")
    _write([patterns[key] for key in sorted(patterns)], Path(target))
    return len(patterns)


def read_folder(folder: str | Path) -> Iterator[MasterPattern]:
    """Master patterns of a folder of ``.npz`` files, sorted by name."""
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    listed = {}
    if (folder / "index.csv").is_file():
        with open(folder / "index.csv", encoding="utf-8", newline="") as file:
            listed = {row["file"]: row for row in csv.DictReader(file)}
    for path in sorted(folder.glob("[!.]*.npz")):  # not those that are being written
        yield _load(path, listed.get(path.name))


def save_master_pattern(pattern: MasterPattern, path: str | Path) -> None:
    """Write one master pattern with its record as ``.npz``, replacing what is there."""
    with replacing(path, overwrite=True) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, **vars(pattern))


def load_master_pattern(path: str | Path) -> MasterPattern:
    """Read one master pattern from ``.npz``.

    Raises
    ------
    InputError
        If the file holds no master pattern, or nothing says what it is a pattern of.
    """
    return _load(Path(path), None)


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    try:
        # Opened here, since numpy leaves a broken file open.
        with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: not a readable .npz file ({error})") from error


def _load(path: Path, row: dict[str, str] | None) -> MasterPattern:
    values = _read_npz(path)
    data = values.pop("data", np.empty(0))
    if data.ndim != 3 or data.shape[0] != 2 or data.dtype != np.uint8:
        raise InputError(f"{path}: not a master pattern; expected `data` (2, n, n) of uint8")
    if {field.name for field in fields(MasterRecord)} <= values.keys():
        return MasterPattern(**{name: value.item() for name, value in values.items()}, data=data)
    low, high = values["range"].tolist()
    facts = _facts_of_row(row) if row else _facts_of_structure(path)
    if "dmin" in values:
        facts["dmin_nm"] = values["dmin"].item()
    return MasterPattern(**facts, key=path.stem, low=low, high=high, data=data)


def _facts_of_row(row: dict[str, str]) -> dict[str, Any]:
    texts = ("structure", "simulator", "formula", "name", "point_group", "bravais")
    return {name: row[name] for name in texts} | {
        "space_group": int(row["space_group"]),
        "energy_kev": float(row["energy_kev"]),
        "dmin_nm": float(row["dmin_nm"]),
    }


def _facts_of_structure(path: Path) -> dict[str, Any]:
    match = re.fullmatch(r"(s\d+)_([\d.]+)kV", path.stem)
    if not match:
        raise InputError(
            f"{path}: nothing says what it is; name it like s0042_20kV.npz or list it in index.csv"
        )
    structure = structure_by_uid(match[1])
    return {
        "structure": structure.uid,
        "name": structure.id,
        "formula": structure.formula,
        "point_group": structure.point_group,
        "bravais": structure.bravais,
        "space_group": structure.space_group,
        "energy_kev": float(match[2]),
        "simulator": DEFAULT_SIMULATOR,
        "dmin_nm": float("nan"),
    }


def save_master_pattern_stack(patterns: list[MasterPattern], path: str | Path) -> None:
    """Write some master patterns of one size as one ``.npz``."""
    arrays: dict[str, Any] = {
        field.name: np.array([getattr(pattern, field.name) for pattern in patterns])
        for field in fields(MasterRecord)
    }
    arrays["data"] = np.array([pattern.data for pattern in patterns], dtype=np.uint8)
    with replacing(path, overwrite=True) as temporary, open(temporary, "wb") as file:
        np.savez(file, **arrays)


def load_master_pattern_stack(path: str | Path) -> list[MasterPattern]:
    """Read what :func:`save_master_pattern_stack` wrote.

    Raises
    ------
    InputError
        If the file cannot be read.
    """
    columns = _read_npz(Path(path))
    data = columns.pop("data")
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    return [
        MasterPattern(**dict(zip(columns, row, strict=True)), data=data[i])
        for i, row in enumerate(rows)
    ]


def _write(patterns: list[MasterPattern], target: Path) -> None:
    write_stacks([patterns], target)


def write_stacks(stacks: Iterable[list[MasterPattern]], target: str | Path) -> None:
    """Write lists of master patterns of one size into one library, one list in memory at a time."""
    with (
        replacing(target, overwrite=True) as temporary,
        h5py.File(temporary, "w", libver=("earliest", "v110")) as file,
    ):
        file.attrs["format"] = FORMAT
        records: list[MasterPattern] = []
        dataset: h5py.Dataset | None = None
        for stack in stacks:
            if not stack:
                continue
            data = np.stack([pattern.data for pattern in stack])
            if dataset is None:
                dataset = file.create_dataset(
                    "patterns",
                    shape=(0, *data.shape[1:]),
                    maxshape=(None, *data.shape[1:]),
                    dtype=np.uint8,
                    chunks=(1, *data.shape[1:]),
                    compression="gzip",
                    compression_opts=9,
                )
            start = len(records)
            dataset.resize(start + len(stack), axis=0)
            dataset[start:] = data
            records += [replace(pattern, data=np.empty(0)) for pattern in stack]
        if dataset is None:
            raise InputError("no master patterns for the library: the structures gave none")
        index = file.create_group("index")
        for field in fields(MasterRecord):
            index[field.name] = [getattr(record, field.name) for record in records]
