# SPDX-License-Identifier: GPL-3.0-or-later
"""A library of band patterns: what is in it, and that it can be stopped at any time."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from napari_ebsd_phase.crystallography import COMPATIBLE
from napari_ebsd_phase.errors import InputError
from napari_ebsd_phase.training.band_library import (
    CHUNK,
    LARGEST,
    BandLibrarySettings,
    build_band_library,
    varied_band_pattern,
)
from napari_ebsd_phase.training.derived import parent_of
from napari_ebsd_phase.training.library import (
    MasterLibrary,
    MasterPattern,
    load_master_pattern_stack,
    save_master_pattern_stack,
)
from napari_ebsd_phase.training.split import SPLITS, split_of
from napari_ebsd_phase.training.structures import load_structures, structure_by_uid

HALF_SIZE = 8
# In the table: aluminium, an element that nobody has scattering factors of, quartz.
NIHONIUM = min((s for s in load_structures() if "Nh" in s.species), key=lambda s: s.volume).uid


@dataclass(frozen=True)
class Few(BandLibrarySettings):
    """A library of structures chosen by hand."""

    chosen: tuple[tuple[str, int], ...] = (("s0976", 0), ("s0976", 1), ("s0202d1", 0))

    def names(self) -> list[tuple[str, int]]:
        return list(self.chosen)


MORE_THAN_A_CHUNK = Few(chosen=tuple(("s0976", number) for number in range(CHUNK + 3)))


class Killed(BaseException):
    """What ends a process in the middle of its work."""


def kill(done: int, total: int) -> None:
    raise Killed


def build(target: Path, settings: BandLibrarySettings | None = None, **options) -> list[str]:
    return build_band_library(target, settings or Few(), **{"half_size": HALF_SIZE, **options})


def read(path: Path) -> list[MasterPattern]:
    with MasterLibrary.open(path) as library:
        return list(library)


def parts(target: Path) -> list[Path]:
    return sorted(target.with_name(target.name + ".parts").iterdir())


# What is in it.


def test_a_library_takes_all_that_is_for_training():
    names = BandLibrarySettings(table=2, derived=3, random=10).names()

    assert len(set(names)) == len(names)
    assert names[:2] == [("r000000", 0), ("r000001", 0)]
    kinds = Counter(
        "random" if u[0] == "r" else "derived" if "d" in u else "table" for u, _ in names
    )
    parents = {
        s.uid
        for s in load_structures()
        if split_of(s.formula, s.space_group) == "train" and s.volume <= LARGEST
    }
    assert len(parents) > 500
    assert kinds == {"random": 10, "table": 2 * len(parents), "derived": 3 * len(parents)}
    # Whatever is made from a structure stays on its side of the split.
    assert {parent_of(uid) for uid, _ in names if uid[0] == "s"} == parents
    assert {number for uid, number in names if uid in parents} == {0, 1}


def test_a_library_of_all_splits_has_every_structure_of_a_reasonable_size():
    names = BandLibrarySettings(table=1, derived=0, random=0, splits=SPLITS).names()
    assert [uid for uid, _ in names] == [s.uid for s in load_structures() if s.volume <= LARGEST]


def test_the_default_library_has_as_many_random_structures_of_each_class():
    assert BandLibrarySettings().random % int(COMPATIBLE.sum()) == 0


def test_a_library_has_the_patterns_of_its_names(tmp_path):
    assert build(tmp_path / "bands.h5") == []

    one, other, derived = found = read(tmp_path / "bands.h5")

    assert [p.key for p in found] == ["s0976_bands0", "s0976_bands1", "s0202d1_bands0"]
    assert {p.simulator for p in found} == {"bands"}
    assert (one.structure, one.formula, one.point_group) == ("s0976", "Al", "m-3m")
    quartz = structure_by_uid("s0202")
    assert (derived.structure, derived.space_group) == ("s0202d1", quartz.space_group)
    assert one.energy_kev != other.energy_kev
    assert (one.data != other.data).any()
    assert one.data.shape == (2, 2 * HALF_SIZE + 1, 2 * HALF_SIZE + 1)
    for pattern, (uid, number) in zip(found, Few().chosen, strict=True):
        alone = varied_band_pattern(uid, number, HALF_SIZE)
        np.testing.assert_array_equal(pattern.data, alone.data)
        assert (pattern.low, pattern.high) == (alone.low, alone.high)


def test_random_structures_are_drawn_by_their_number(tmp_path):
    build(tmp_path / "bands.h5", BandLibrarySettings(table=0, derived=0, random=3))

    found = read(tmp_path / "bands.h5")

    assert [p.structure for p in found] == ["r000000", "r000001", "r000002"]
    assert len({(p.point_group, p.bravais) for p in found}) == 3
    again = varied_band_pattern("r000001", 0, HALF_SIZE)
    assert (found[1].formula, found[1].energy_kev) == (again.formula, again.energy_kev)


def test_conditions_vary_within_their_ranges():
    patterns = [varied_band_pattern("s0976", number, 2) for number in range(30)]
    energies = [p.energy_kev for p in patterns]
    assert 10 <= min(energies) < 14
    assert 26 < max(energies) <= 30
    assert len({p.key for p in patterns}) == 30
    assert all(0.05 <= p.dmin_nm <= 0.08 for p in patterns)


def test_an_unknown_structure_is_refused():
    with pytest.raises(InputError, match="s9999"):
        varied_band_pattern("s9999", 0)


# Making it.


def test_the_same_settings_give_the_same_file(tmp_path):
    for name in ("a.h5", "b.h5"):
        build(tmp_path / name)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_processes_share_the_work_and_give_the_same_file(tmp_path):
    done = []
    build(tmp_path / "one.h5", MORE_THAN_A_CHUNK, half_size=2)
    build(
        tmp_path / "two.h5", MORE_THAN_A_CHUNK, half_size=2, workers=2,
        progress=lambda *counts: done.append(counts),
    )  # fmt: skip
    assert (tmp_path / "one.h5").read_bytes() == (tmp_path / "two.h5").read_bytes()
    assert done == [(CHUNK, CHUNK + 3), (CHUNK + 3, CHUNK + 3)]


def test_nothing_but_the_library_is_left(tmp_path):
    build(tmp_path / "bands.h5")
    assert [p.name for p in tmp_path.iterdir()] == ["bands.h5"]


def test_an_interrupted_run_goes_on_where_it_was(tmp_path):
    whole, target = tmp_path / "whole.h5", tmp_path / "bands.h5"
    build(whole, MORE_THAN_A_CHUNK, half_size=2)
    with pytest.raises(Killed):
        build(target, MORE_THAN_A_CHUNK, half_size=2, progress=kill)
    assert not target.exists()
    (first,) = parts(target)
    made = first.stat().st_mtime_ns
    seen = []

    def look(done: int, total: int) -> None:
        seen.append([p.stat().st_mtime_ns for p in parts(target) if p == first])

    build(target, MORE_THAN_A_CHUNK, half_size=2, progress=look)

    assert seen == [[made], [made]]
    assert target.read_bytes() == whole.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bands.h5", "whole.h5"]


def test_what_is_done_is_not_done_again(tmp_path):
    target = tmp_path / "bands.h5"
    with pytest.raises(Killed):
        build(target, progress=kill)
    (part,) = parts(target)
    marked = load_master_pattern_stack(part)
    for pattern in marked:
        pattern.data[:] = 7
    save_master_pattern_stack(marked, part)

    build(target)

    assert all((pattern.data == 7).all() for pattern in read(target))


@pytest.mark.parametrize(
    "settings", [Few(chosen=(("s0976", 0), ("s0976", 2), ("s0202d1", 0))), Few()]
)
def test_the_parts_of_another_recipe_are_not_taken_for_ones_own(tmp_path, settings):
    target = tmp_path / "bands.h5"
    half_size = HALF_SIZE if settings != Few() else HALF_SIZE + 1
    with pytest.raises(Killed):
        build(target, progress=kill)

    build(target, settings, half_size=half_size)

    found = read(target)
    assert [p.key for p in found] == [f"{uid}_bands{number}" for uid, number in settings.chosen]
    assert found[0].data.shape[1] == 2 * half_size + 1


def test_a_structure_that_cannot_be_drawn_is_left_out_and_named(tmp_path):
    settings = Few(chosen=(("s0976", 0), (NIHONIUM, 0), ("s1134", 0)))

    failed = build(tmp_path / "bands.h5", settings)

    assert len(failed) == 1
    assert NIHONIUM in failed[0]
    assert "Nh" in failed[0]
    assert [p.structure for p in read(tmp_path / "bands.h5")] == ["s0976", "s1134"]


def test_a_library_of_nothing_is_refused(tmp_path):
    with pytest.raises(InputError, match="a library of no patterns"):
        build(tmp_path / "bands.h5", BandLibrarySettings(table=0, derived=0, random=0))
    with pytest.raises(InputError, match="the structures gave none"):
        build(tmp_path / "bands.h5", Few(chosen=((NIHONIUM, 0),)))
    assert not (tmp_path / "bands.h5").exists()


def test_a_library_that_was_there_stays_until_the_new_one_is_whole(tmp_path):
    target = tmp_path / "bands.h5"
    build(target, Few(chosen=(("s1134", 0),)))
    before = target.read_bytes()
    with pytest.raises(Killed):
        build(target, progress=kill)
    assert target.read_bytes() == before
    build(target)
    assert len(read(target)) == 3
