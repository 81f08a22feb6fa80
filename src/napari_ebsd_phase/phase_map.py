# SPDX-License-Identifier: GPL-3.0-or-later
"""The result of a classification: probabilities on the grid of the scan, and what they say.

Point group and Bravais lattice probabilities are stored; everything else (Laue groups, crystal
systems, labels, the summary) is derived when asked for, so that it can never disagree with them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import crystallography
from .decoding import best_pair
from .labels import DECISION_LEVELS, DEFAULT_THRESHOLD, NO_LEVEL, SummaryRow, label_table

if TYPE_CHECKING:
    from orix.crystal_map import CrystalMap

# Patterns whose names are found together.
_BLOCK = 65_536


@dataclass(eq=False, repr=False)
class PhaseMap:
    """Probabilities of point groups and Bravais lattices for every pattern of a scan.

    Parameters
    ----------
    point_group_probabilities
        Shape (rows, cols, 32), in the order of :data:`~.crystallography.POINT_GROUPS`.
    bravais_probabilities
        Shape (rows, cols, 14), in the order of :data:`~.crystallography.BRAVAIS_LATTICES`.
    pattern_quality
        Shape (rows, cols), between 0 and 1: the probability that the frame holds one Kikuchi
        pattern, or, from a network that does not tell, its contrast.
    done
        Shape (rows, cols), False where a pattern is not classified (yet): the arrays above are
        NaN there. Not given, all patterns that have a quality are done.
    step
        Distance between rows and between columns, in `units`.
    units
        ``"um"``, or ``"px"`` where the scan has no physical step.
    threshold
        Probability that a label needs.
    sources
        One name for all patterns, or one for every pattern, row by row.
    provenance
        How the map was made: whatever JSON can hold.
    crystal_map
        The vendor's phases and orientations, where the scan has them.
    quality_threshold
        Pattern quality that a label needs.

    Raises
    ------
    ValueError
        If the arrays do not fit each other, or a number is out of range.
    TypeError
        If JSON cannot hold `provenance`.
    """

    point_group_probabilities: NDArray[np.float32]
    bravais_probabilities: NDArray[np.float32]
    pattern_quality: NDArray[np.float32]
    done: NDArray[np.bool_] = None  # type: ignore[assignment]  # set below where it is not given
    step: tuple[float, float] = (1.0, 1.0)
    units: str = "px"
    threshold: float = DEFAULT_THRESHOLD
    sources: Sequence[str] = ("",)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    crystal_map: CrystalMap | None = None
    quality_threshold: float = 0.0

    def __post_init__(self) -> None:
        self.point_group_probabilities = np.asarray(self.point_group_probabilities, np.float32)
        self.bravais_probabilities = np.asarray(self.bravais_probabilities, np.float32)
        self.pattern_quality = np.asarray(self.pattern_quality, np.float32)
        # None has no axes; the type says that nobody needs to ask after this line.
        done = self.done if np.ndim(self.done) else ~np.isnan(self.pattern_quality)
        self.done = np.asarray(done, bool)
        self.step = (float(self.step[0]), float(self.step[1]))
        self.threshold = float(self.threshold)
        self.quality_threshold = float(self.quality_threshold)
        self.sources = list(self.sources)
        # What JSON cannot hold shall be found out now, not when hours of work are to be saved.
        self.provenance = json.loads(json.dumps(dict(self.provenance)))

        shape = self.pattern_quality.shape
        if len(shape) != 2 or 0 in shape:
            raise ValueError(f"a map needs rows and columns, not the shape {shape}")
        expected = {
            "point_group_probabilities": (*shape, len(crystallography.POINT_GROUPS)),
            "bravais_probabilities": (*shape, len(crystallography.BRAVAIS_LATTICES)),
            "done": shape,
        }
        for name, wanted in expected.items():
            if getattr(self, name).shape != wanted:
                raise ValueError(f"{name} has shape {getattr(self, name).shape}, not {wanted}")
        if not all(np.isfinite(s) and s > 0 for s in self.step):
            raise ValueError(f"the step must be positive, not {self.step}")
        if not 0 <= self.threshold <= 1:
            raise ValueError(f"the threshold is a probability, not {self.threshold}")
        if not 0 <= self.quality_threshold <= 1:
            raise ValueError(f"the quality threshold is from 0 to 1, not {self.quality_threshold}")
        if len(self.sources) not in (1, shape[0] * shape[1]):
            raise ValueError(f"{len(self.sources)} sources for {shape[0] * shape[1]} patterns")

    @classmethod
    def empty(cls, shape: tuple[int, int], **attributes: Any) -> PhaseMap:
        """Return a map of `shape` (rows, cols) in which nothing is classified yet.

        `attributes` are those of the class that are not arrays: `step`, `units`, ...
        """
        rows, cols = shape

        def nan(*last: int) -> NDArray[np.float32]:
            return np.full((rows, cols, *last), np.nan, np.float32)

        return cls(
            nan(len(crystallography.POINT_GROUPS)),
            nan(len(crystallography.BRAVAIS_LATTICES)),
            nan(),
            np.zeros((rows, cols), bool),
            **attributes,
        )

    def fill(
        self,
        rows: slice,
        cols: slice,
        point_group_probabilities: ArrayLike,
        bravais_probabilities: ArrayLike,
        pattern_quality: ArrayLike,
    ) -> None:
        """Enter one finished tile, in place: arrays of shape (r, c, 32), (r, c, 14), (r, c)."""
        self.point_group_probabilities[rows, cols] = point_group_probabilities
        self.bravais_probabilities[rows, cols] = bravais_probabilities
        self.pattern_quality[rows, cols] = pattern_quality
        self.done[rows, cols] = True

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and columns."""
        rows, cols = self.pattern_quality.shape
        return rows, cols

    def source_name(self, row: int, col: int) -> str:
        """Name of the file that the pattern at (row, col) came from."""
        return self.sources[0 if len(self.sources) == 1 else row * self.shape[1] + col]

    def crop(self, rows: slice, cols: slice) -> PhaseMap:
        """Return a part of the map that shares its arrays, without the vendor's crystal map."""
        sources = self.sources
        if len(sources) > 1:
            every = np.arange(len(sources)).reshape(self.shape)[rows, cols]
            sources = [sources[i] for i in every.ravel().tolist()]
        return PhaseMap(
            self.point_group_probabilities[rows, cols],
            self.bravais_probabilities[rows, cols],
            self.pattern_quality[rows, cols],
            self.done[rows, cols],
            self.step,
            self.units,
            self.threshold,
            sources,
            self.provenance,
            quality_threshold=self.quality_threshold,
        )

    @property
    def nameable(self) -> NDArray[np.bool_]:
        """Where a pattern is done and good enough to be named, (rows, cols)."""
        # Comparing with NaN is False: what is not done has no quality.
        return self.done & (self.pattern_quality >= self.quality_threshold)

    def probabilities(self, level: str) -> NDArray[np.float32]:
        """Return the probabilities at `level`, shape (rows, cols, n); NaN where not done.

        `level` is one of :data:`~.crystallography.LEVELS`; the order of the last axis is that of
        ``crystallography.names(level)``.
        """
        if level == "bravais_lattice":
            return self.bravais_probabilities
        marginal = crystallography.marginal(self.point_group_probabilities, level)
        return np.asarray(marginal, np.float32)

    def most_probable(self, level: str) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
        """Return index (-1 where not done) and probability (NaN) of the best class at `level`.

        The classes of all levels go together, see :func:`~.decoding.best_pair`: no pattern is
        called both cubic and hP.
        """
        index = np.empty(self.shape, np.intp)
        probability = np.empty(self.shape, np.float32)
        for part in self._blocks():
            index[part], probability[part] = self._rows(part)._report((level,))[0]
        return index, probability

    def _report(self, levels: Sequence[str]) -> list[tuple[NDArray[np.intp], NDArray[np.float32]]]:
        """What :meth:`most_probable` gives, of several levels for the price of one."""
        group, lattice = best_pair(self.point_group_probabilities, self.bravais_probabilities)
        result = []
        for level in levels:
            index = (
                lattice if level == "bravais_lattice" else crystallography.level_index(level)[group]
            )
            best = np.take_along_axis(self.probabilities(level), index[..., np.newaxis], axis=-1)[
                ..., 0
            ]
            result.append(
                (np.where(self.done, index, -1), np.where(self.done, best, np.float32(np.nan)))
            )
        return result

    @property
    def point_group(self) -> NDArray[np.str_]:
        """Most probable point group, (rows, cols); "" where not done."""
        return _names_of("point_group", self.most_probable("point_group")[0])

    @property
    def laue_group(self) -> NDArray[np.str_]:
        """Most probable Laue group, (rows, cols); "" where not done."""
        return _names_of("laue_group", self.most_probable("laue_group")[0])

    @property
    def crystal_system(self) -> NDArray[np.str_]:
        """Most probable crystal system, (rows, cols); "" where not done."""
        return _names_of("crystal_system", self.most_probable("crystal_system")[0])

    @property
    def bravais_lattice(self) -> NDArray[np.str_]:
        """Most probable lattice of the most probable point group, (rows, cols); "" if not done."""
        return _names_of("bravais_lattice", self.most_probable("bravais_lattice")[0])

    def label_codes(
        self, threshold: float | None = None
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Return the label image and the probability of each label, both (rows, cols).

        Codes are those of :func:`label_table`, 0 where undecided or not done. The probability of
        an undecided pattern is that of its crystal system; NaN where not done.
        """
        threshold = self.threshold if threshold is None else threshold
        codes = np.zeros(self.shape, np.uint8)
        winning = np.full(self.shape, np.nan, np.float32)
        for part in self._blocks():
            self._rows(part)._label_into(codes[part], winning[part], threshold)
        return codes, winning

    def _label_into(
        self, codes: NDArray[np.uint8], winning: NDArray[np.float32], threshold: float
    ) -> None:
        """Enter the label codes, and probabilities, of patterns that have none yet."""
        first = 1
        nameable = self.nameable
        reports = self._report(DECISION_LEVELS)
        for level, (index, probability) in zip(DECISION_LEVELS, reports, strict=True):
            # Comparing with NaN is False: what is not done stays undecided.
            decided_here = (codes == 0) & (probability >= threshold) & nameable
            codes[decided_here] = first + index[decided_here]
            undecided = codes == 0
            winning[decided_here | undecided] = probability[decided_here | undecided]
            first += len(crystallography.names(level))

    def decide(self, threshold: float | None = None) -> tuple[NDArray[np.str_], NDArray[np.str_]]:
        """Return label and level of every pattern, both (rows, cols).

        The level is the finest of point group, Laue group and crystal system whose probability
        reaches `threshold` (default: the map's own); without one it is "none" and the label "".
        """
        codes, _ = self.label_codes(threshold)
        table = label_table()
        labels = np.array(["", *(label.name for label in table)])
        levels = np.array([NO_LEVEL, *(label.level for label in table)])
        return labels[codes], levels[codes]

    @property
    def label(self) -> NDArray[np.str_]:
        """Label at the map's own threshold, (rows, cols); "" where undecided or not done."""
        return self.decide()[0]

    @property
    def level(self) -> NDArray[np.str_]:
        """Level of the label, (rows, cols): "point_group", ..., or "none"."""
        return self.decide()[1]

    def summary(self, threshold: float | None = None) -> list[SummaryRow]:
        """Return one row for each label, most frequent first, undecided patterns last.

        Patterns that are not done do not count. The list is empty where nothing is done.
        """
        counts, sums = self.tally(threshold)
        patterns = counts.sum(axis=1)
        table = label_table()
        rows = []
        for code in np.flatnonzero(patterns).tolist():
            count = int(patterns[code])
            rows.append(
                SummaryRow(
                    label=table[code - 1].name if code else "",
                    level=table[code - 1].level if code else NO_LEVEL,
                    fraction=count / int(patterns.sum()),
                    count=count,
                    mean_probability=float(sums[code].sum() / count),
                    bravais_lattice=crystallography.BRAVAIS_LATTICES[int(counts[code].argmax())],
                )
            )
        return sorted(rows, key=lambda row: (row.level == NO_LEVEL, -row.count))

    def tally(
        self, threshold: float | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Count the patterns of each label and most probable lattice.

        Returns
        -------
        tuple of numpy.ndarray
            Numbers of patterns, and sums of the probabilities of their labels (see
            :meth:`label_codes`), both of shape (51, 14): label codes, 0 where undecided, and
            lattices. Patterns that are not done do not count.
        """
        shape = (1 + len(label_table()), len(crystallography.BRAVAIS_LATTICES))
        counts, sums = np.zeros(shape, np.int64), np.zeros(shape)
        for part in self._blocks():
            block = self._rows(part)
            codes, winning = block.label_codes(self.threshold if threshold is None else threshold)
            lattice, _ = block.most_probable("bravais_lattice")
            place = (codes[block.done], lattice[block.done])
            np.add.at(counts, place, 1)
            # In double precision: a million float32 numbers add up to visible errors.
            np.add.at(sums, place, winning[block.done].astype(np.float64))
        return counts, sums

    def _blocks(self) -> Iterator[slice]:
        """Rows to look at together, so that a map of any size takes little memory besides."""
        rows, cols = self.shape
        height = max(1, _BLOCK // cols)
        for row in range(0, rows, height):
            yield slice(row, min(row + height, rows))

    def _rows(self, rows: slice) -> PhaseMap:
        """Some rows of the map, for their numbers only."""
        return PhaseMap(
            self.point_group_probabilities[rows],
            self.bravais_probabilities[rows],
            self.pattern_quality[rows],
            self.done[rows],
            threshold=self.threshold,
            quality_threshold=self.quality_threshold,
        )

    def save(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write the map to `path`; its suffix names the format (see :mod:`.export`).

        Raises
        ------
        InputError
            If the suffix is unknown, the file exists and `overwrite` is False, or the folder
            cannot be written to.
        """
        from .export import write  # a map can be made and read without any file format

        write(self, path, overwrite=overwrite)

    @classmethod
    def load(cls, path: str | Path) -> PhaseMap:
        """Read a map that :meth:`save` wrote as ``.h5``.

        Raises
        ------
        InputError
            If the file is missing, damaged, not a phase map, or of another format version.
        """
        from .export.h5 import read

        return read(path)

    def to_crystal_map(self, *, probabilities: bool = True) -> CrystalMap:
        """Return the map as orix's ``CrystalMap``, which kikuchipy's signals carry, too.

        Labels are its phases, with their point group and, in plots, their colour. Points without
        a label are not indexed, and so are those that are not done, which have ``done`` False:
        ``crystal_map[crystal_map.done]`` leaves them out. Properties are index and probability of
        the best class at every level, ``label_probability``, ``level`` (3 point group to 0 none),
        ``pattern_quality`` and ``done``. Rotations are the vendor's where there is one for every
        point, else the identity: no orientation is predicted.

        Parameters
        ----------
        probabilities
            Keep all of them, too, as properties ``point_group_probabilities`` (n, 32) and
            ``bravais_probabilities`` (n, 14), with the thresholds: :meth:`from_crystal_map`
            needs them.
        """
        from .export.crystal_map import to_crystal_map

        return to_crystal_map(self, probabilities=probabilities)

    @classmethod
    def from_crystal_map(
        cls,
        crystal_map: CrystalMap,
        *,
        sources: Sequence[str] = ("",),
        provenance: Mapping[str, Any] | None = None,
        vendor: CrystalMap | None = None,
    ) -> PhaseMap:
        """Return the phase map that a crystal map was, or, of a slice of it, that part.

        Parameters
        ----------
        crystal_map
            From :meth:`to_crystal_map`; kikuchipy's and orix's files keep all of it.
        sources, provenance, vendor
            What a crystal map has no room for: the names of the files, how the map was made, and
            the vendor's phases and orientations (`crystal_map` of a phase map).

        Raises
        ------
        InputError
            If it holds no probabilities. Other programs' maps do not, and phases alone are none.
        """
        from .export.crystal_map import from_crystal_map

        return from_crystal_map(crystal_map, sources=sources, provenance=provenance, vendor=vendor)

    def __eq__(self, other: object) -> bool:
        """Whether two maps hold the same; NaN equals NaN, rotations count as float32 do."""
        if not isinstance(other, PhaseMap):
            return NotImplemented
        arrays = ("point_group_probabilities", "bravais_probabilities", "pattern_quality", "done")
        plain = (
            "shape",
            "step",
            "units",
            "threshold",
            "quality_threshold",
            "sources",
            "provenance",
        )
        return (
            all(getattr(self, name) == getattr(other, name) for name in plain)
            and all(
                np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
                for a, b in ((getattr(self, name), getattr(other, name)) for name in arrays)
            )
            and _same_crystal_map(self.crystal_map, other.crystal_map)
        )

    __hash__ = None  # type: ignore[assignment]  # it changes while it is filled

    def __repr__(self) -> str:
        rows, cols = self.shape
        return (
            f"PhaseMap({rows} x {cols}, step {self.step[0]:g} x {self.step[1]:g} {self.units}, "
            f"{np.count_nonzero(self.done)} of {rows * cols} patterns classified)"
        )


def _names_of(level: str, index: NDArray[np.intp]) -> NDArray[np.str_]:
    # Index -1 (not done) is the last entry, the empty name.
    return np.array([*crystallography.names(level), ""])[index]


def _same_crystal_map(a: CrystalMap | None, b: CrystalMap | None) -> bool:
    """Whether two vendor maps have the same geometry, phases and rotations."""
    if a is None or b is None:
        return a is b

    def phases(crystal_map: CrystalMap) -> list[tuple[int, str, str | None]]:
        return [(i, p.name, p.point_group and p.point_group.name) for i, p in crystal_map.phases]

    return (
        a.shape == b.shape
        and a.scan_unit == b.scan_unit
        and phases(a) == phases(b)
        and np.array_equal(a.phase_id, b.phase_id)
        and a.rotations.shape == b.rotations.shape
        # q and -q are the same rotation.
        and np.allclose(np.abs((a.rotations.data * b.rotations.data).sum(-1)), 1, atol=1e-6)
    )
