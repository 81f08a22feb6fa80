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
from ..crystallography import LEVELS, POINT_GROUPS, crystal_system, laue_group
from ..errors import InputError
from ..labels import DECISION_LEVELS, NO_LEVEL, Label, label_table
from ..phase_map import PhaseMap

if TYPE_CHECKING:
    from orix.crystal_map import CrystalMap, Phase
    from orix.quaternion import Rotation

GROUP = "napari_ebsd_phase"

#: Raised when a file that an older version would misread is written.
FORMAT_VERSION = 1

#: Versions below this one are no longer understood.
OLDEST_VERSION = 1

NO_ORIENTATIONS = "none: no orientation is predicted, all rotations are the identity"
VENDOR_ORIENTATIONS = "vendor: copied from the source file, no orientation is predicted"

_ARRAYS = ("point_group_probabilities", "bravais_probabilities", "pattern_quality", "done")

# orix has one symbol for each setting of these; its 2/m is the one with the axis along c.
_ORIX_NAMES = {"2": "112", "m": "11m"}

# Shuffling bytes makes gzip find what float32 numbers share; a higher level gains nothing.
_COMPRESSION: dict[str, Any] = {"compression": "gzip", "compression_opts": 1, "shuffle": True}


def write(phase_map: PhaseMap, path: Path) -> None:
    """Write `phase_map` to `path`, which may exist."""
    from orix.io.plugins.orix_hdf5 import file_writer  # seconds to import, not needed to read

    codes, label_probability = phase_map.label_codes()
    present = [label for label in label_table() if (codes == label.code).any()]
    rotations = _vendor_rotations(phase_map)
    crystal_map = _crystal_map(phase_map, codes, label_probability, present, rotations)
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
    # KeyError for a missing one, and ValueError comes from PhaseMap when sizes disagree.
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(
            f"cannot read '{path}' as a phase map ({reason}): copy the file again, or classify "
            "again"
        ) from error


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


def _vendor_rotations(phase_map: PhaseMap) -> Rotation | None:
    """Return the vendor's rotation of every pixel, row by row, or None where one is missing."""
    vendor = phase_map.crystal_map
    rows, cols = phase_map.shape
    if vendor is None or vendor.size != rows * cols:
        return None
    # orix drops axes of length 1, and would tell a scan of other geometry by its shape.
    if tuple(n for n in vendor.shape if n > 1) != tuple(n for n in (rows, cols) if n > 1):
        return None
    rotations = vendor.rotations
    return rotations[:, 0] if rotations.ndim > 1 else rotations


def _crystal_map(
    phase_map: PhaseMap,
    codes: np.ndarray,
    label_probability: np.ndarray,
    present: list[Label],
    rotations: Rotation | None,
) -> CrystalMap:
    """Build orix's view of the map: labels as phases, scalar maps as properties."""
    from orix.crystal_map import CrystalMap, PhaseList
    from orix.quaternion import Rotation

    row, col = (index.ravel() for index in np.indices(phase_map.shape))
    properties: dict[str, np.ndarray] = {}
    for level in LEVELS:
        index, probability = phase_map.most_probable(level)
        properties[level] = index.astype(np.int8)
        properties[f"{level}_probability"] = probability
    level_names = [NO_LEVEL, *(label.level for label in label_table())]
    # 0 is none, 1 the crystal system, and finer levels have higher numbers.
    fineness = {NO_LEVEL: 0} | {
        level: i for i, level in enumerate(reversed(DECISION_LEVELS), start=1)
    }
    properties["level"] = np.array([fineness[name] for name in level_names], np.int8)[codes]
    properties["label_probability"] = label_probability
    properties["pattern_quality"] = phase_map.pattern_quality
    properties["done"] = phase_map.done
    return CrystalMap(
        rotations=Rotation.identity((codes.size,)) if rotations is None else rotations,
        phase_id=np.where(codes == 0, -1, codes.astype(int)).ravel(),
        y=row * phase_map.step[0],
        x=col * phase_map.step[1],
        phase_list=PhaseList({label.code: _phase(label) for label in present}),
        prop={name: values.ravel() for name, values in properties.items()},
        scan_unit=phase_map.units,
    )


def _phase(label: Label) -> Phase:
    """Return orix's phase for a label; a crystal system gets the group of its lattice."""
    from orix.crystal_map import Phase

    name = label.name
    if label.level == "crystal_system":
        # The holohedry is the last point group of the system, which is centrosymmetric.
        name = [laue_group(p) for p in POINT_GROUPS if crystal_system(p) == label.name][-1]
    return Phase(
        label.title, point_group=_ORIX_NAMES.get(name, name), color=_named_color(label.color)
    )


def _named_color(wanted: str) -> str:
    """Return the nearest of the named colours; orix takes no others."""
    from matplotlib.colors import CSS4_COLORS, to_rgb

    def distance(name: str) -> float:
        return sum((a - b) ** 2 for a, b in zip(to_rgb(name), to_rgb(wanted), strict=True))

    return min(CSS4_COLORS, key=distance)


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
    from orix.io.plugins.orix_hdf5 import file_reader

    memory = BytesIO()
    with h5py.File(memory, "w") as file:
        group.copy(group, file, "crystal_map")
    return file_reader(memory)
