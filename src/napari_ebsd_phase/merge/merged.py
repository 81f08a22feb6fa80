# SPDX-License-Identifier: GPL-3.0-or-later
"""One map of two: another program's phases and orientations, and our labels where they are wanted.

Only points that were chosen change, and only where we have a label: the others keep the vendor's
phase and orientation. A point that changes has no orientation, since the vendor's was found for the
phase that is replaced. Our labels stay phases of their own: that a point is m-3m does not make it
nickel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..crystallography import LAUE_GROUPS, POINT_GROUPS
from ..errors import InputError
from ..export import replacing
from ..export._phases import (
    VENDOR,
    VENDOR_UNKNOWN,
    Phase,
    PointTable,
    first_of_each,
    label_phases,
    plain,
    positions,
    rotations_of,
    vendor_cell,
)
from ..labels import Label, label_table
from .comparison import DISAGREE, Symmetry, compare, name_of, vendor_map

if TYPE_CHECKING:
    from orix.crystal_map import CrystalMap

    from ..phase_map import PhaseMap

__all__ = ["MERGED_SUFFIXES", "Merged", "merge"]

MERGED_SUFFIXES = (".h5", ".ang", ".ctf")
"""Suffixes that :meth:`Merged.save` can write."""

_CHOICES = ("unindexed", "disagreeing")


@dataclass(frozen=True, eq=False)
class Merged:
    """A phase map merged with a vendor's.

    `replaced` (rows, cols) is True where our label stands in place of the vendor's phase;
    `choice` says in words which points were to change.
    """

    phase_map: PhaseMap
    vendor: CrystalMap
    replaced: NDArray[np.bool_]
    choice: str

    def to_crystal_map(self) -> CrystalMap:
        """Return it as orix's ``CrystalMap``.

        Vendor phases keep their numbers, and our labels follow. Properties are ``replaced``,
        ``label_probability`` and ``pattern_quality``; replaced points have the identity for a
        rotation, as have those that the vendor did not index.
        """
        from orix.crystal_map import CrystalMap, PhaseList
        from orix.quaternion import Rotation

        from ..export.crystal_map import LabelPhase

        ids, labels = self._numbers()
        kept = {int(i): self.vendor.phases[i] for i in np.unique(ids).tolist() if i in self._known}
        ours = {number: LabelPhase(label) for number, label in labels.items()}
        data = np.tile(np.array([1.0, 0, 0, 0]), (ids.size, 1))
        oriented = (ids >= 0) & ~self.replaced.ravel()
        data[oriented] = rotations_of(self.vendor).data[oriented]
        y, x = positions(self.phase_map)
        return CrystalMap(
            rotations=Rotation(data),
            phase_id=ids,
            phase_list=PhaseList(kept | ours),
            y=y,
            x=x,
            prop={
                "replaced": self.replaced.ravel(),
                "label_probability": self.phase_map.label_codes()[1].ravel(),
                "pattern_quality": self.phase_map.pattern_quality.ravel(),
            },
            scan_unit=self.phase_map.units,
        )

    @property
    def provenance(self) -> dict[str, Any]:
        """That of the phase map, and what was replaced."""
        told = {"replaced": self.choice, "points": int(self.replaced.sum())}
        return {**self.phase_map.provenance, "merged": told}

    def save(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write it as ``.h5`` (orix), ``.ang`` or ``.ctf``.

        The column that holds the probability of a label holds for points of the vendor the
        probability that the network gives to the symmetry of the vendor's phase.

        Raises
        ------
        InputError
            If the suffix is another, the file exists and `overwrite` is False, or the folder
            cannot be written to.
        """
        from ..export import ang, ctf, h5

        path = Path(path)
        suffix = path.suffix.lower()
        if suffix not in MERGED_SUFFIXES:
            raise InputError(
                f"cannot write a merged map as '{path}': use one of {', '.join(MERGED_SUFFIXES)}"
            )
        with replacing(path, overwrite=overwrite) as temporary:
            if suffix == ".h5":
                h5.write_merged(self.to_crystal_map(), self.provenance, temporary)
            else:
                writer = ang if suffix == ".ang" else ctf
                writer.write(self.phase_map, temporary, self._table())

    @property
    def _known(self) -> set[int]:
        """Numbers of the vendor's phases."""
        return {int(i) for i in self.vendor.phases.ids if i >= 0}

    def _numbers(self) -> tuple[NDArray[np.int64], dict[int, Label]]:
        """Phase of every point, -1 where there is none, and the labels behind the vendor's."""
        ids = first_of_each(self.vendor.phase_id).astype(np.int64)
        ids[~np.isin(ids, list(self._known))] = -1
        codes = np.where(self.replaced, self.phase_map.label_codes()[0], 0).ravel()
        first = max(self._known, default=-1) + 1
        labels = {}
        for number, code in enumerate(np.unique(codes[codes > 0]).tolist(), start=first):
            labels[number] = label_table()[code - 1]
            ids[codes == code] = number
        return ids, labels

    def _table(self) -> PointTable:
        """The points as the text formats hold them: phases count from 1."""
        ids, labels = self._numbers()
        kept = [i for i in np.unique(ids).tolist() if i in self._known]
        theirs = [
            _vendor_phase(number, i, self.vendor.phases[i])
            for number, i in enumerate(kept, start=1)
        ]
        phases = (*theirs, *label_phases(list(labels.values()), first=len(theirs) + 1))
        number_of = {-1: 0} | {i: n for n, i in enumerate([*kept, *labels], start=1)}
        phase = np.array([number_of[i] for i in ids.tolist()], np.int64)
        ours = self.replaced.ravel()
        euler = np.zeros((ids.size, 3))
        oriented = (ids >= 0) & ~ours
        euler[oriented] = rotations_of(self.vendor)[oriented].to_euler()
        y, x = positions(self.phase_map)
        count = int(np.count_nonzero(ours))
        return PointTable(
            phases=phases,
            phase=phase,
            euler=euler,
            x=x,
            y=y,
            probability=np.where(ours, self.phase_map.label_codes()[1].ravel(), self._of(ids)),
            quality=np.nan_to_num(self.phase_map.pattern_quality).ravel(),
            orientations="no orientation is predicted: Euler angles are those of the other "
            "program, and 0 at points that have a label of ours",
            meaning=f"phases of another program, of which {count} points have a label of this one "
            f"instead: {plain(self.choice)}",
        )

    def _of(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Probability that the network gives to the vendor's symmetry, 0 where there is none."""
        found = np.zeros(ids.size, np.float32)
        groups = self.phase_map.probabilities("point_group").reshape(ids.size, -1)
        laue = self.phase_map.probabilities("laue_group").reshape(ids.size, -1)
        for number in sorted(self._known & set(np.unique(ids).tolist())):
            symmetry, here = Symmetry.of(self.vendor.phases[number]), ids == number
            if symmetry.point_group:
                found[here] = groups[here, POINT_GROUPS.index(symmetry.point_group)]
            elif symmetry.laue_group:
                found[here] = laue[here, LAUE_GROUPS.index(symmetry.laue_group)]
        return np.nan_to_num(found)


def merge(
    phase_map: PhaseMap,
    vendor: CrystalMap | None = None,
    *,
    replace: Sequence[str],
    least: float = 0.0,
) -> Merged:
    """Put our labels in place of the phases of another program, where they are wanted.

    Parameters
    ----------
    phase_map, vendor
        As in :func:`compare`.
    replace
        Which points change: ``"unindexed"``, that the vendor gave no phase; ``"disagreeing"``,
        whose phase has another symmetry than our label; or names of the vendor's phases, all
        points of which change. Points without a label of ours never do.
    least
        Probability that the label of a changed point has at least.

    Raises
    ------
    InputError
        As in :func:`compare`, or if there is no phase of such a name, or `replace` is empty.
    """
    vendor = vendor_map(phase_map, vendor)
    names: dict[str, list[int]] = {}
    for number, phase in vendor.phases:
        if number >= 0:
            names.setdefault(name_of(phase, number), []).append(int(number))
    if not replace:
        raise InputError(f"nothing is to be replaced: give one of {_offer(names)}")
    if not 0 <= least <= 1:
        raise InputError(f"the least probability is between 0 and 1, not {least:g}")
    ids = first_of_each(vendor.phase_id).reshape(phase_map.shape)
    codes, winning = phase_map.label_codes()
    chosen = np.zeros(phase_map.shape, bool)
    for what in replace:
        if what == "unindexed":
            chosen |= ~np.isin(ids, [number for same in names.values() for number in same])
        elif what == "disagreeing":
            chosen |= compare(phase_map, vendor).verdict == DISAGREE
        elif what in names:
            chosen |= np.isin(ids, names[what])
        else:
            raise InputError(f"there is no phase {what!r} to replace: give {_offer(names)}")
    # Comparing with NaN is False: a point that is not done keeps what it has.
    replaced = chosen & (codes > 0) & (winning >= least)
    choice = ", ".join(replace)
    if least:
        choice += f", label with a probability of {least:g} or more"
    return Merged(phase_map, vendor, replaced, choice)


def _offer(names: dict[str, list[int]]) -> str:
    return ", ".join([*_CHOICES, *map(repr, sorted(names))])


def _vendor_phase(number: int, theirs: int, phase: Any) -> Phase:
    """A vendor's phase, as the text formats hold it, with its number there and in its own file."""
    symmetry = Symmetry.of(phase)
    group = symmetry.point_group or symmetry.laue_group or "1"
    name = plain(name_of(phase, theirs))
    return Phase(
        number=number,
        name=name,
        level=VENDOR if symmetry.laue_group else VENDOR_UNKNOWN,
        point_group=group,
        laue_group=symmetry.laue_group or "-1",
        color=_hex(phase),
        cell=vendor_cell(phase),
        cell_from=name,
        space_group=0 if phase.space_group is None else int(phase.space_group.number),
    )


def _hex(phase: Any) -> str:
    return "#" + "".join(f"{round(255 * value):02x}" for value in phase.color_rgb)
