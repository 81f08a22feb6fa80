# SPDX-License-Identifier: GPL-3.0-or-later
"""What the layers of a phase map show, kept ready for drawing.

The arrays here are the layers' own data: they change in place, and a layer needs no more than a
refresh. Only what a new tile or a new threshold touches is computed again, so that a threshold
slider relabels a million patterns while it moves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..crystallography import LEVELS, level_index, marginal, names
from ..decoding import best_pair
from ..labels import DECISION_LEVELS, Label, label_table

if TYPE_CHECKING:
    from ..phase_map import PhaseMap

#: Value of pixels whose frame holds no pattern or whose evidence carries no label.
UNDECIDED: Final = 0

#: Value of pixels that are not classified (yet).
NOT_DONE: Final = 255

#: Distance of pixels that nothing is known about.
FAR: Final = 65_535

Region = tuple[slice, slice] | NDArray[np.bool_]

_TITLES: Final = {
    "point_group": "point group",
    "laue_group": "Laue group",
    "crystal_system": "crystal system",
    "bravais_lattice": "Bravais lattice",
}

# Patterns of a loaded map that are entered at once.
_PATTERNS = 65_536

# Pixels that are labelled at once.
_PIXELS = 16_384


class LabelCache:
    """Values, probabilities and labels of every pixel of a map.

    Parameters
    ----------
    shape
        Rows and columns.
    threshold
        Probability that a label needs.
    quality_threshold
        Pattern quality that any name needs.

    Attributes
    ----------
    index
        For each of :data:`~.crystallography.LEVELS` uint8 (rows, cols): 1 to n is the most
        probable name, in the order of ``names(level)``; `UNDECIDED` where the frame holds no
        pattern, `NOT_DONE` where nothing is known.
    probability
        For each level float32 (rows, cols), the probability of that name; NaN where not done.
    quality
        float32 (rows, cols), pattern quality; NaN where not done.
    codes
        uint8 (rows, cols): the label at the threshold, numbered as by
        :func:`~.labels.label_table`; `UNDECIDED` and `NOT_DONE` as above.
    confidence
        float32 (rows, cols): probability of that label (of the best crystal system where
        undecided); NaN where not done.
    distance
        uint16 (rows, cols): how far away the pattern is that a pixel is painted after. 0 where its
        own pattern is classified, `FAR` where nothing is known; between them lies the coarse grid.
    threshold, quality_threshold
        As above; see :meth:`set_threshold`.
    """

    def __init__(
        self, shape: tuple[int, int], *, threshold: float, quality_threshold: float = 0.0
    ) -> None:
        self.shape = shape
        self.threshold = threshold
        self.quality_threshold = quality_threshold
        self.index = {level: np.full(shape, NOT_DONE, np.uint8) for level in LEVELS}
        self.probability = {level: np.full(shape, np.nan, np.float32) for level in LEVELS}
        self.quality = np.full(shape, np.nan, np.float32)
        self.codes = np.full(shape, NOT_DONE, np.uint8)
        self.confidence = np.full(shape, np.nan, np.float32)
        self.distance = np.full(shape, FAR, np.uint16)

    @classmethod
    def of_map(cls, phase_map: PhaseMap) -> LabelCache:
        """Return the cache of what is done in a map."""
        cache = cls(
            phase_map.shape,
            threshold=phase_map.threshold,
            quality_threshold=phase_map.quality_threshold,
        )
        rows, cols = phase_map.shape
        if not phase_map.done.any():
            return cache
        height = max(1, _PATTERNS // cols)
        for start in range(0, rows, height):
            part = slice(start, start + height)
            done = phase_map.done[part]
            if done.any():
                row, col = np.nonzero(done)
                cache._enter(
                    (row + start, col),
                    phase_map.point_group_probabilities[part][done],
                    phase_map.bravais_probabilities[part][done],
                    phase_map.pattern_quality[part][done],
                )
        cache._label((slice(None), slice(None)))
        return cache

    def fill(
        self,
        rows: slice,
        cols: slice,
        point_group_probabilities: ArrayLike,
        bravais_probabilities: ArrayLike,
        quality: ArrayLike,
    ) -> None:
        """Enter a rectangle of patterns: arrays of shape (r, c, 32), (r, c, 14) and (r, c)."""
        place = (rows, cols)
        self._enter(place, point_group_probabilities, bravais_probabilities, quality)
        self._label(place)

    def fill_samples(
        self,
        rows: NDArray[np.integer],
        cols: NDArray[np.integer],
        stride: int,
        point_group_probabilities: ArrayLike,
        bravais_probabilities: ArrayLike,
        quality: ArrayLike,
        region: Region | None = None,
    ) -> None:
        """Enter scattered patterns, and paint the pixels around them alike until they are done.

        Parameters
        ----------
        rows, cols
            Where the patterns lie, both of shape (n,).
        stride
            Distance of the coarse grid that they belong to: no pixel farther away is painted, and
            none that is painted after a nearer pattern.
        point_group_probabilities, bravais_probabilities, quality
            Of shapes (n, 32), (n, 14) and (n,).
        region
            Rows and columns, or bool of shape (rows, cols): nothing outside is painted.
        """
        rows, cols = np.asarray(rows), np.asarray(cols)
        if rows.size == 0:
            return
        self._enter((rows, cols), point_group_probabilities, bravais_probabilities, quality)
        if stride < 2:
            self._label((slice(rows.min(), rows.max() + 1), slice(None)))
            return
        window = (
            slice(max(0, int(rows.min()) - stride), int(rows.max()) + stride + 1),
            slice(max(0, int(cols.min()) - stride), int(cols.max()) + stride + 1),
        )
        known_rows, known_cols = np.unique(rows), np.unique(cols)
        near_row, row_distance = _nearest(known_rows, window[0], self.shape[0])
        near_col, col_distance = _nearest(known_cols, window[1], self.shape[1])
        sampled = np.zeros((len(known_rows), len(known_cols)), bool)
        sampled[np.searchsorted(known_rows, rows), np.searchsorted(known_cols, cols)] = True
        distance = np.maximum(row_distance[:, np.newaxis], col_distance)
        painted = (distance <= stride) & (distance < self.distance[window])
        painted &= sampled[near_row][:, near_col]
        if region is not None:
            painted &= _mask(self.shape, region)[window]
        arrays: list[NDArray] = [*self.index.values(), *self.probability.values(), self.quality]
        for array in arrays:
            coarse = array[known_rows[:, np.newaxis], known_cols]
            # Rows first: repeating whole rows is far cheaper than looking up every pixel.
            np.copyto(array[window], coarse[:, near_col][near_row], where=painted)
        np.copyto(self.distance[window], distance, where=painted, casting="unsafe")
        self._label(window)

    def clear_painted(self) -> None:
        """Forget what is painted but not classified."""
        painted = (self.distance > 0) & (self.distance < FAR)
        for values in (*self.index.values(), self.codes):
            values[painted] = NOT_DONE
        for numbers in (*self.probability.values(), self.quality, self.confidence):
            numbers[painted] = np.nan
        self.distance[painted] = FAR

    def set_threshold(self, threshold: float) -> None:
        """Label every pixel again, with another probability that a label needs."""
        self.threshold = threshold
        self._label((slice(None), slice(None)))

    @property
    def done(self) -> NDArray[np.bool_]:
        """Where the pixel's own pattern is classified, (rows, cols)."""
        return self.distance == 0

    @property
    def painted(self) -> NDArray[np.bool_]:
        """Where a pixel shows a neighbour of the coarse grid, (rows, cols)."""
        return (self.distance > 0) & (self.distance < FAR)

    def values(self, role: str) -> NDArray:
        """Return the array that the layer of a role shows, which changes in place.

        `role` is ``"label"``, a level, ``"confidence"`` or ``"quality"``.
        """
        if role == "label":
            return self.codes
        if role == "confidence":
            return self.confidence
        if role == "quality":
            return self.quality
        return self.index[role]

    def probabilities(self, role: str) -> NDArray[np.float32]:
        """Return the probability of what the layer of a role shows, (rows, cols)."""
        return self.probability.get(role, self.confidence)

    def describe(self, role: str, row: int, col: int) -> str:
        """Say what a pixel is, like ``"m-3m (Laue group, 0.87)"``."""
        distance = int(self.distance[row, col])
        if distance == FAR:
            return "not classified yet"
        quality = float(self.quality[row, col])
        suffix = ", preview" if distance else ""
        if role == "quality":
            return f"pattern quality {quality:.2f}{suffix}"
        if self.index["point_group"][row, col] == UNDECIDED:
            return f"no pattern (quality {quality:.2f}{suffix})"
        if role in self.index:
            name = names(role)[self.index[role][row, col] - 1]
            return f"{name} ({_TITLES[role]}, {self.probability[role][row, col]:.2f}{suffix})"
        code, confidence = int(self.codes[row, col]), float(self.confidence[row, col])
        if code == UNDECIDED:
            name = names("crystal_system")[self.index["crystal_system"][row, col] - 1]
            return f"undecided (best: {name}, {confidence:.2f}{suffix})"
        label = label_table()[code - 1]
        return f"{label.name} ({_TITLES[label.level]}, {confidence:.2f}{suffix})"

    def _enter(
        self, place: tuple, point_groups: ArrayLike, lattices: ArrayLike, quality: ArrayLike
    ) -> None:
        """Enter what is classified, at `place` of the arrays; labels are not made yet."""
        group_probabilities = np.asarray(point_groups, np.float32)
        lattice_probabilities = np.asarray(lattices, np.float32)
        group, lattice = best_pair(group_probabilities, lattice_probabilities)
        named = np.asarray(quality) >= self.quality_threshold
        for level in LEVELS:
            if level == "bravais_lattice":
                index, every = lattice, lattice_probabilities
            else:
                index, every = level_index(level)[group], marginal(group_probabilities, level)
            best = np.take_along_axis(every, index[..., np.newaxis], axis=-1)[..., 0]
            self.index[level][place] = np.where(named, index + 1, UNDECIDED)
            self.probability[level][place] = best
        self.quality[place] = quality
        self.distance[place] = 0

    def _label(self, place: tuple[slice, slice]) -> None:
        """Label a part again: the finest level whose probability reaches the threshold."""
        start, stop, _ = place[0].indices(self.shape[0])
        height = max(1, _PIXELS // self.shape[1])
        # A few rows at a time stay in the processor's cache: several times faster than all at once.
        for row in range(start, stop, height):
            self._label_rows((slice(row, min(row + height, stop)), place[1]))

    def _label_rows(self, place: tuple[slice, slice]) -> None:
        last = len(label_table())
        codes: NDArray = np.asarray(UNDECIDED, np.uint8)
        # The coarsest level first: finer ones replace it, and without any it is the best guess.
        confidence: NDArray = self.probability[DECISION_LEVELS[-1]][place]
        for level in reversed(DECISION_LEVELS):
            last -= len(names(level))
            index, probability = self.index[level][place], self.probability[level][place]
            reached = probability >= self.threshold
            reached &= index != UNDECIDED
            codes = np.where(reached, index + np.uint8(last), codes)
            confidence = np.where(reached, probability, confidence)
        self.codes[place] = np.where(self.distance[place] == FAR, np.uint8(NOT_DONE), codes)
        self.confidence[place] = confidence


def level_title(level: str) -> str:
    """A level in words, like ``"Laue group"``."""
    return _TITLES[level]


def label_of(role: str, value: int) -> Label | None:
    """Return the label that a value stands for in the layer of a role; None for the others."""
    if role != "label":
        known = names(role)
        return Label(value, role, known[value - 1]) if 1 <= value <= len(known) else None
    table = label_table()
    return table[value - 1] if 1 <= value <= len(table) else None


def _nearest(
    known: NDArray[np.integer], window: slice, size: int
) -> tuple[NDArray[np.intp], NDArray[np.integer]]:
    """For each position of a window the index of the nearest of `known`, and how far it is."""
    positions = np.arange(window.start, min(window.stop, size))
    right = np.searchsorted(known, positions).clip(0, len(known) - 1)
    left = np.maximum(right - 1, 0)
    nearest = np.where(
        np.abs(known[left] - positions) <= np.abs(known[right] - positions), left, right
    )
    return nearest, np.abs(known[nearest] - positions)


def _mask(shape: tuple[int, int], region: Region) -> NDArray[np.bool_]:
    if isinstance(region, np.ndarray):
        return region
    mask = np.zeros(shape, bool)
    mask[region] = True
    return mask
