# SPDX-License-Identifier: GPL-3.0-or-later
"""The faithful format: a crystal map that orix reads, with everything else in a group beside it.

Layout (HDF5)::

    /manufacturer, /version, /crystal_map   orix's own; phases are our labels, -1 is undecided
    /napari_ebsd_phase                      attributes: format_version, step, units, threshold,
        point_group_probabilities           quality_threshold, orientations
        bravais_probabilities
        pattern_quality
        done
        sources                             JSON list
        provenance                          JSON object
        labels                              JSON object: phase number -> level, name, colour
        vendor_crystal_map                  the vendor's phases and rotations, where there are any
"""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from .._sources.hdf5_claims import check_entries, check_links, is_hollow
from ..errors import InputError
from ..labels import label_table
from ..phase_map import PhaseMap

if TYPE_CHECKING:
    from orix.crystal_map import CrystalMap

GROUP = "napari_ebsd_phase"

#: What lies beside a map that was merged with another program's: ``provenance``, a JSON object.
MERGED_GROUP = "napari_ebsd_phase_merged"

#: Raised when a file that an older version would misread is written.
FORMAT_VERSION = 1

#: Versions below this one are no longer understood.
OLDEST_VERSION = 1

NO_ORIENTATIONS = "none: no orientation is predicted, all rotations are the identity"
VENDOR_ORIENTATIONS = "vendor: copied from the source file, no orientation is predicted"

_ARRAYS = ("point_group_probabilities", "bravais_probabilities", "pattern_quality", "done")

# Shuffling bytes makes gzip find what float32 numbers share; a higher level gains nothing.
_COMPRESSION: dict[str, Any] = {"compression": "gzip", "compression_opts": 1, "shuffle": True}


def write(phase_map: PhaseMap, path: Path) -> None:
    """Write `phase_map` to `path`, which may exist."""
    from orix.io.plugins.orix_hdf5 import file_writer  # seconds to import, not needed to read

    from .crystal_map import to_crystal_map, vendor_rotations

    # The probabilities lie beside it, once.
    crystal_map = to_crystal_map(phase_map, probabilities=False)
    present = [label for label in label_table() if label.code in crystal_map.phases.ids]
    rotations = vendor_rotations(phase_map)
    # In memory first: when a disk is full, HDF5 leaves open objects behind that cannot be closed.
    memory = BytesIO()
    file_writer(memory, crystal_map, **_COMPRESSION)
    with h5py.File(memory, "r+") as file:
        group = file.create_group(GROUP)
        group.attrs["format_version"] = FORMAT_VERSION
        group.attrs["step"] = phase_map.step
        group.attrs["units"] = phase_map.units
        group.attrs["threshold"] = phase_map.threshold
        group.attrs["quality_threshold"] = phase_map.quality_threshold
        orientations = NO_ORIENTATIONS if rotations is None else VENDOR_ORIENTATIONS
        # On the root too, where somebody looks who knows orix's half of the file only.
        group.attrs["orientations"] = file.attrs["orientations"] = orientations
        for name in _ARRAYS:
            group.create_dataset(name, data=getattr(phase_map, name), **_COMPRESSION)
        # Datasets, because an attribute holds 64 kB at most, and a folder may have many files.
        group["sources"] = json.dumps(phase_map.sources)
        group["provenance"] = json.dumps(phase_map.provenance)
        group["labels"] = json.dumps(
            {
                label.code: {"level": label.level, "name": label.name, "color": label.color}
                for label in present
            }
        )
        if phase_map.crystal_map is not None:
            _write_crystal_map(phase_map.crystal_map, group, "vendor_crystal_map")
    path.write_bytes(memory.getbuffer())


def read(path: str | Path) -> PhaseMap:
    """Read what :func:`write` wrote.

    Raises
    ------
    InputError
        If the file is missing, damaged, not a phase map, or of another format version.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"there is no file '{path}': check the name")
    try:
        with h5py.File(path, "r") as file:
            if not isinstance(group := file.get(GROUP), h5py.Group):
                raise InputError(
                    f"'{path}' is not a phase map: give an .h5 file that `classify` has written"
                )
            _check_version(path, int(group.attrs["format_version"]))
            check_links(path, file)
            for name in _ARRAYS:
                if is_hollow(group[name]):
                    raise KeyError(f"'{name}' promises {group[name].nbytes // 10**6:,} MB")
            check_entries(path, group, group["done"].size)
            vendor = group.get("vendor_crystal_map")
            return PhaseMap(
                **{name: group[name][()] for name in _ARRAYS},
                step=tuple(group.attrs["step"].tolist()),
                units=str(group.attrs["units"]),
                threshold=float(group.attrs["threshold"]),
                sources=json.loads(group["sources"][()]),
                provenance=json.loads(group["provenance"][()]),
                crystal_map=None if vendor is None else _read_crystal_map(vendor),
                # Files before 0.2 have none.
                quality_threshold=float(group.attrs.get("quality_threshold", 0.0)),
            )
    except InputError:
        raise
    # h5py raises any of these for damaged content: RuntimeError for a broken object,
    # LookupError for a missing one, and ValueError comes from PhaseMap when sizes disagree.
    except (
        *(OSError, RuntimeError, LookupError),
        *(ArithmeticError, ValueError, TypeError, AttributeError),
    ) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(
            f"cannot read '{path}' as a phase map ({reason}): copy the file again, or classify "
            "again"
        ) from error


def write_merged(crystal_map: CrystalMap, provenance: dict[str, Any], path: Path) -> None:
    """Write phases of two programs as orix does, with how they were merged beside them."""
    from orix.io.plugins.orix_hdf5 import file_writer

    memory = BytesIO()  # as above
    file_writer(memory, crystal_map, **_COMPRESSION)
    with h5py.File(memory, "r+") as file:
        file.create_group(MERGED_GROUP)["provenance"] = json.dumps(provenance)
    path.write_bytes(memory.getbuffer())


def read_provenance(path: Path) -> Any:
    """Return how a phase map, or one that was merged with another program's, was made."""
    with h5py.File(path, "r") as file:
        check_links(path, file)
        group = file.get(MERGED_GROUP)
        if isinstance(group, h5py.Group) and GROUP not in file:
            if is_hollow(group["provenance"]):
                raise KeyError("its provenance promises more than there is")
            return json.loads(group["provenance"][()])
    return read(path).provenance


def _check_version(path: Path, version: int) -> None:
    if version > FORMAT_VERSION:
        raise InputError(
            f"'{path}' is of format version {version}, this program knows {FORMAT_VERSION}: "
            "update napari-ebsd-phase"
        )
    if version < OLDEST_VERSION:
        raise InputError(
            f"'{path}' is of format version {version}, too old for this program: classify the "
            "scan again"
        )


def _write_crystal_map(crystal_map: CrystalMap, group: h5py.Group, name: str) -> None:
    """Write a vendor's map into `group` in orix's layout."""
    from orix.io.plugins.orix_hdf5 import file_writer

    crystal_map = crystal_map.deepcopy()
    for key, values in list(crystal_map.prop.items()):
        # orix cannot write text.
        if np.asarray(values).dtype.kind not in "biuf":
            del crystal_map.prop[key]
    # A file of its own, because orix writes and reads whole files only.
    memory = BytesIO()
    file_writer(memory, crystal_map)
    with h5py.File(memory, "r") as file:
        file.copy("crystal_map", group, name)


def _read_crystal_map(group: h5py.Group) -> CrystalMap:
    from diffpy.structure import LatticeError
    from orix.io.plugins._h5ebsd import hdf5group2dict
    from orix.io.plugins.orix_hdf5 import dict2crystalmap

    # Not by a copy of the group: HDF5 crashes when it copies damaged objects.
    try:
        crystal_map = dict2crystalmap(hdf5group2dict(group, recursive=True))
    except LatticeError as error:
        raise ValueError(f"no crystal has the cell of its vendor map: {error}") from error
    if np.shape(crystal_map.phase_id) != (crystal_map.size,):
        raise ValueError("the phases of its vendor map do not fit its points")
    return crystal_map
