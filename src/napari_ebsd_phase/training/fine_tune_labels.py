# SPDX-License-Identifier: GPL-3.0-or-later
"""Labelled patterns to teach a network with: of a map's label image, vendor phases, or folders."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..crystallography import BRAVAIS_LATTICES, COMPATIBLE, POINT_GROUPS, point_group
from ..decoding import PAIRS
from ..errors import InputError
from ..mapping import scan_screen
from ..preprocessing import Preprocessing, prepare
from ..regions.pool import spread_evenly
from ..scan import Scan, load_scan
from ..stacks import load_alone
from .fine_tune_split import file_blocks, split_regions

__all__ = [
    "LabelledPatterns",
    "labelled_folders",
    "labelled_scan",
    "pair_of",
    "parse_classes",
    "prepared_patterns",
    "vendor_labels",
]

MOST = 500  # patterns a class that are read unless asked for otherwise


@dataclass(frozen=True, eq=False)
class LabelledPatterns:
    """Patterns ready for the network, what they are of, and which of them are neighbours.

    Parameters
    ----------
    inputs
        Prepared patterns, float32 of shape (n, 1, size, size).
    pairs
        Point group and lattice as an index into :data:`.decoding.PAIRS`, shape (n,).
    regions
        Number of the region of each pattern, shape (n,). A split never goes through a region.
    sources
        Where they come from, for the card: plain values by name.
    """

    inputs: torch.Tensor
    pairs: np.ndarray
    regions: np.ndarray
    sources: tuple[Mapping[str, Any], ...] = ()

    def __post_init__(self) -> None:
        if not len(self.inputs) == len(self.pairs) == len(self.regions):
            raise ValueError("as many pairs and regions as patterns are needed")
        for region in np.unique(self.regions):
            if len(np.unique(self.pairs[self.regions == region])) > 1:
                raise ValueError("a region is of one class")

    def __len__(self) -> int:
        return len(self.pairs)

    def part(self, chosen: np.ndarray) -> LabelledPatterns:
        """Some of the patterns: by index, or by a mask."""
        rows = torch.from_numpy(np.arange(len(self))[chosen])
        return LabelledPatterns(
            self.inputs[rows], self.pairs[chosen], self.regions[chosen], self.sources
        )

    @classmethod
    def joined(cls, parts: Sequence[LabelledPatterns]) -> LabelledPatterns:
        """All patterns of several sources; their regions stay apart."""
        if not parts:
            raise InputError("no labelled patterns: give labels, vendor phases or folders")
        regions, after = [], 0
        for part in parts:
            regions.append(part.regions + after)
            after += int(part.regions.max(initial=-1)) + 1
        return cls(
            torch.cat([part.inputs for part in parts]),
            np.concatenate([part.pairs for part in parts]),
            np.concatenate(regions),
            tuple(source for part in parts for source in part.sources),
        )

    def counts(self) -> dict[str, int]:
        """Patterns of each class, by a name like ``m-3m:cF``."""
        found, number = np.unique(self.pairs, return_counts=True)
        return {class_name(pair): int(n) for pair, n in zip(found, number, strict=True)}

    def sha256(self) -> str:
        """Hash of patterns, classes and regions."""
        total = hashlib.sha256(self.inputs.contiguous().numpy().tobytes())
        for values in (self.pairs, self.regions):
            total.update(np.ascontiguousarray(values, dtype=np.int64).tobytes())
        return total.hexdigest()


def class_name(pair: int | np.integer) -> str:
    """Name of a class, like ``m-3m:cF``."""
    group, lattice = PAIRS[pair]
    return f"{POINT_GROUPS[group]}:{BRAVAIS_LATTICES[lattice]}"


def pair_of(text: str) -> int:
    """Index into :data:`.decoding.PAIRS` of a class like ``m-3m:cF``.

    Raises
    ------
    InputError
        If a name is unknown, or the two do not go together.
    """
    group_text, colon, lattice = (part.strip() for part in text.partition(":"))
    if not colon:
        raise InputError(f"{text!r} is no class: write point group and lattice, as in m-3m:cF")
    group = POINT_GROUPS.index(point_group(group_text))
    if lattice not in BRAVAIS_LATTICES:
        raise InputError(
            f"unknown Bravais lattice {lattice!r}: use one of {' '.join(BRAVAIS_LATTICES)}"
        )
    if not COMPATIBLE[group, BRAVAIS_LATTICES.index(lattice)]:
        fits = [name for i, name in enumerate(BRAVAIS_LATTICES) if COMPATIBLE[group, i]]
        raise InputError(
            f"no crystal has the point group {POINT_GROUPS[group]} and the lattice {lattice}: "
            f"with {POINT_GROUPS[group]} go {', '.join(fits)}"
        )
    wanted = [group, BRAVAIS_LATTICES.index(lattice)]
    return PAIRS.tolist().index(wanted)


def parse_classes(text: str) -> dict[int, int]:
    """Label value to class from text like ``1=m-3m:cF,2=6/mmm:hP``.

    Raises
    ------
    InputError
        If the text is of another form, or names a value twice.
    """
    classes: dict[int, int] = {}
    for part in text.split(","):
        value, equals, name = (piece.strip() for piece in part.partition("="))
        if not equals or not value.isdecimal() or int(value) == 0:
            raise InputError(
                f"{part.strip()!r} names no class: write label=point group:lattice, as in "
                "1=m-3m:cF,2=6/mmm:hP; 0 is unlabelled"
            )
        if int(value) in classes:
            raise InputError(f"the label {value} has two classes: give it one")
        classes[int(value)] = pair_of(name)
    return classes


def vendor_labels(scan: Scan, classes: Mapping[int, int]) -> tuple[np.ndarray, dict[int, int]]:
    """Label image and classes from the phases that a file came with.

    Parameters
    ----------
    scan
        Open scan.
    classes
        Classes of phases by their number in the file, for those whose symmetry it does not tell.

    Returns
    -------
    labels : numpy.ndarray
        int of the map's shape: number of the phase plus one, 0 where nothing was indexed.
    classes : dict
        Label value to class.

    Raises
    ------
    InputError
        If the file has no phases, or does not tell the space group of one.
    """
    crystal_map = scan.crystal_map
    if crystal_map is None:
        raise InputError(f"{scan.path.name} has no phases of a vendor: give labels")
    ids = np.asarray(crystal_map.phase_id).reshape(scan.shape)
    found: dict[int, int] = {}
    for number, phase in crystal_map.phases:
        if number < 0 or not (ids == number).any():
            continue
        if number in classes:
            found[number + 1] = classes[number]
        elif phase.space_group is None:
            raise InputError(
                f"{scan.path.name} does not tell the space group of its phase {number}, "
                f"{phase.name!r}: give --classes {number}=POINT_GROUP:LATTICE"
            )
        else:
            found[number + 1] = _pair_of_space_group(int(phase.space_group.number))
    labels = np.where(np.isin(ids + 1, list(found)), ids + 1, 0)
    if not labels.any():
        raise InputError(f"{scan.path.name}: no pattern was indexed: give labels")
    return labels, found


def _pair_of_space_group(number: int) -> int:
    from ..crystallography import bravais_lattice_of_space_group, point_group_of_space_group

    return pair_of(f"{point_group_of_space_group(number)}:{bravais_lattice_of_space_group(number)}")


def labelled_scan(
    scan: Scan,
    labels: np.ndarray,
    classes: Mapping[int, int],
    preprocessing: Preprocessing,
    *,
    most: int = MOST,
    source: Mapping[str, Any] | None = None,
) -> LabelledPatterns:
    """Patterns of a map at labelled points.

    Parameters
    ----------
    scan
        Open scan.
    labels
        Whole numbers of the map's shape; 0 is unlabelled.
    classes
        Class of each label value, as :func:`parse_classes` gives it.
    preprocessing
        Of the network that is to be taught.
    most
        Patterns a class at most, spread evenly over its points.
    source
        Facts for the card beside the name of the scan.

    Raises
    ------
    InputError
        If the labels do not fit the map, a label has no class, or a class no pattern.
    """
    if labels.shape != scan.shape:
        size = " x ".join(map(str, labels.shape))
        raise InputError(
            f"the labels have {size} points, the map {scan.shape[0]} x {scan.shape[1]}: label "
            "this map"
        )
    unknown = sorted(set(np.unique(labels).tolist()) - {0} - set(classes))
    if unknown:
        raise InputError(
            f"the label {unknown[0]} has no class: add {unknown[0]}=POINT_GROUP:LATTICE to the "
            "classes"
        )
    for value, pair in classes.items():
        if not (labels == value).any():
            raise InputError(
                f"no pattern has the label {value} ({class_name(pair)}): label some, or leave "
                "the class out"
            )
    class_of = np.full(labels.shape, -1)
    for value, pair in classes.items():
        class_of[labels == value] = pair
    regions = split_regions(class_of)
    places: list[np.ndarray] = []
    for pair in sorted(set(classes.values())):
        here = np.flatnonzero((class_of == pair) & (regions >= 0))
        places.append(here[spread_evenly(len(here), most)])
    chosen = np.concatenate(places)
    return LabelledPatterns(
        prepared_patterns(scan, chosen, preprocessing),
        class_of.ravel()[chosen],
        regions.ravel()[chosen],
        ({"source": scan.path.name, **(source or {}), "patterns": len(chosen)},),
    )


def labelled_folders(
    folders: Mapping[str | Path, int], preprocessing: Preprocessing, *, most: int = MOST
) -> LabelledPatterns:
    """Patterns of folders of pictures, or of other pattern files, one class each.

    Parameters
    ----------
    folders
        Folder or file to class, see :func:`pair_of`.
    preprocessing
        Of the network that is to be taught.
    most
        Patterns of a folder at most.

    Raises
    ------
    InputError
        If a folder is missing or holds no pattern.
    """
    parts = []
    for path, pair in folders.items():
        with load_scan(path) as scan:
            count = scan.shape[0] * scan.shape[1]
            chosen = spread_evenly(count, most)
            facts = {
                "source": scan.path.name,
                "sha256": scan.file_hash(),
                "class": class_name(pair),
                "patterns": len(chosen),
            }
            parts.append(
                LabelledPatterns(
                    prepared_patterns(scan, chosen, preprocessing),
                    np.full(len(chosen), pair),
                    file_blocks(len(chosen)),
                    (facts,),
                )
            )
    return LabelledPatterns.joined(parts)


def prepared_patterns(scan: Scan, places: np.ndarray, preprocessing: Preprocessing) -> torch.Tensor:
    """Network input of some map points, as :func:`.mapping.classify` prepares them."""
    mask = None if scan.path.is_dir() or scan.pattern_shape is None else scan_screen(scan)
    inputs = []
    for place in places.tolist():
        row, col = divmod(place, scan.shape[1])
        if mask is None:
            frames, screen = load_alone(scan, row, col)
        else:
            frames, screen = scan.pattern(row, col)[None], mask
        inputs.append(
            prepare(frames, preprocessing, background=scan.static_background, mask=screen)
        )
    return torch.cat(inputs)
