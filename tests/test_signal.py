# SPDX-License-Identifier: GPL-3.0-or-later
"""A kikuchipy user goes from a signal to a phase map and back."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import dask.array as da
import kikuchipy as kp
import numpy as np
import pytest
from orix.crystal_map import CrystalMap

from napari_ebsd_phase import (
    Classifier,
    InputError,
    PhaseMap,
    Scan,
    classify,
    load_classifier,
    load_scan,
)
from napari_ebsd_phase.samples import sample_path

NICKEL = sample_path("nickel")


def nickel(lazy: bool = False) -> kp.signals.EBSD:
    return kp.load(NICKEL, lazy=lazy)


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return load_classifier("fast", device="cpu", precision="float32")


@pytest.fixture(scope="module")
def of_the_file(classifier: Classifier) -> PhaseMap:
    with load_scan(NICKEL) as scan:
        return classify(scan, classifier)


@pytest.fixture(scope="module")
def of_the_signal(classifier: Classifier) -> PhaseMap:
    return classify(Scan.from_signal(nickel()), classifier)


def map_like(scan: Scan, **attributes: object) -> PhaseMap:
    """Return a map on the grid of a scan, in which every third point is undecided."""
    count = scan.shape[0] * scan.shape[1]
    groups = np.eye(32, dtype=np.float32)[np.arange(count) % 32]
    groups[::3] = 1 / 32
    return PhaseMap(
        groups.reshape(*scan.shape, 32),
        np.full((*scan.shape, 14), 1 / 14),
        np.ones(scan.shape),
        step=scan.step,
        units=scan.units,
        **attributes,
    )


def test_three_lines_lead_from_a_signal_to_its_phases(classifier: Classifier) -> None:
    s = nickel()
    phase_map = classify(Scan.from_signal(s), classifier)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # kikuchipy would say that shape or steps differ
        s.xmap = phase_map.to_crystal_map()
    assert s.xmap.shape == (3, 3)
    assert s.xmap.scan_unit == "um"
    assert (s.xmap.phases["m-3m"].point_group.name) == "m-3m"


def test_a_signal_gives_the_map_that_its_file_gives(
    of_the_file: PhaseMap, of_the_signal: PhaseMap
) -> None:
    for name in ("point_group_probabilities", "bravais_probabilities", "pattern_quality"):
        np.testing.assert_array_equal(getattr(of_the_signal, name), getattr(of_the_file, name))
    assert of_the_signal.step == of_the_file.step
    assert of_the_signal.units == of_the_file.units == "um"
    assert of_the_signal.provenance["static_background"] is True


def test_the_map_says_that_it_is_of_a_signal(
    of_the_file: PhaseMap, of_the_signal: PhaseMap
) -> None:
    told = of_the_signal.provenance
    assert told["source"] == of_the_signal.sources[0] == "nickel (signal)"
    assert len(told["source_sha256"]) == 64
    assert told["source_sha256"] != of_the_file.provenance["source_sha256"]


@pytest.mark.parametrize(
    ("name", "called"),
    [("D:\\maps\\steel.h5oina", "steel.h5oina"), ("/maps/steel.h5", "steel.h5"), ("", "patterns")],
)
def test_a_signal_is_called_by_the_name_of_its_file(name: str, called: str) -> None:
    s = nickel()
    s.metadata.General.original_filename = name
    assert Scan.from_signal(s).path == Path(f"{called} (signal)")


@pytest.mark.parametrize("chunks", [(1, 1), (2, 3), (3, 2), (3, 3)])
def test_a_lazy_signal_has_the_patterns_of_a_loaded_one(chunks: tuple[int, int]) -> None:
    loaded, lazy = nickel(), nickel(lazy=True)
    lazy.data = lazy.data.rechunk((*chunks, 60, 60))
    one, other = Scan.from_signal(loaded), Scan.from_signal(lazy)
    assert one.shape == other.shape == (3, 3)
    for rows, cols in ((slice(0, 3), slice(0, 3)), (slice(1, 3), slice(1, 2))):
        np.testing.assert_array_equal(one.read(rows, cols), loaded.data[rows, cols])
        np.testing.assert_array_equal(other.read(rows, cols), loaded.data[rows, cols])
    np.testing.assert_array_equal(other.pattern(2, 1), loaded.data[2, 1])
    np.testing.assert_array_equal(other.read_run(2, 5), loaded.data.reshape(9, 60, 60)[2:7])
    assert one.file_hash() == other.file_hash()


def test_a_lazy_line_is_computed_piece_by_piece() -> None:
    computed = []

    def compute(block: np.ndarray) -> np.ndarray:
        computed.append(block.shape[0])
        return block

    data = da.from_array(np.arange(40 * 16 * 16, dtype=np.uint16).reshape(40, 16, 16), (4, 16, 16))
    s = kp.signals.LazyEBSD(data.map_blocks(compute, meta=np.empty((0, 0, 0), np.uint16)))
    scan = Scan.from_signal(s)
    assert scan.shape == (1, 40)
    np.testing.assert_array_equal(scan.pattern(0, 9), data[9].compute())
    np.testing.assert_array_equal(scan.pattern(0, 11), data[11].compute())
    assert computed == [4]


def test_the_hash_is_that_of_the_patterns() -> None:
    s = nickel()
    before = Scan.from_signal(s).file_hash()
    assert before == Scan.from_signal(nickel()).file_hash()
    s.data[1, 1, 30, 30] += 1
    assert Scan.from_signal(s).file_hash() != before
    assert Scan.from_signal(s).file_hash(cancelled=lambda: True) is None


@pytest.mark.parametrize("operation", ["subtract", "divide"])
def test_a_background_that_was_taken_out_is_not_taken_out_again(operation: str) -> None:
    s = nickel()
    assert Scan.from_signal(s).static_background is not None
    s.remove_static_background(operation, show_progressbar=False)
    assert s.static_background is not None
    assert Scan.from_signal(s).static_background is None


def test_the_detector_and_the_phases_of_a_signal_are_those_of_the_scan() -> None:
    s = nickel()
    scan = Scan.from_signal(s)
    with load_scan(NICKEL) as of_file:
        assert scan.projection_centre == of_file.projection_centre
        assert scan.dtype == of_file.dtype
    assert scan.crystal_map.phases[0].name == "ni"
    assert scan.crystal_map.shape == (3, 3)
    assert scan.step == (1.5, 1.5)


@pytest.mark.parametrize(
    ("part", "shape"),
    [
        (np.s_[:2, 1:], (2, 2)),
        (np.s_[1], (1, 3)),
        (np.s_[:, 1], (3, 1)),
        (np.s_[1, 2], (1, 1)),
    ],
)
def test_a_part_of_a_signal_is_a_scan(part: object, shape: tuple[int, int]) -> None:
    s = nickel()
    data = s.data[part].reshape(*shape, 60, 60)
    rows, cols = part if isinstance(part, tuple) else (part, slice(None))
    cut = s.inav[cols, rows]
    scan = Scan.from_signal(cut)
    assert scan.shape == shape
    np.testing.assert_array_equal(scan.read(slice(None), slice(None)), data)


@pytest.mark.parametrize(
    ("scale", "units", "step", "said"),
    [
        (0.2, "um", 0.2, "um"),
        (0.2, "µm", 0.2, "um"),
        (50, "nm", 0.05, "um"),
        (1, "px", 1, "px"),
        (3, "", 3, "px"),
        (-1, "um", 1, "px"),
    ],
)
def test_steps_are_micrometres_or_pixels(scale: float, units: str, step: float, said: str) -> None:
    s = kp.signals.EBSD(np.zeros((2, 3, 8, 8), np.uint8))
    for axis in s.axes_manager.navigation_axes:
        axis.scale = scale
        axis.units = units
    scan = Scan.from_signal(s)
    assert scan.step == pytest.approx((step, step))
    assert scan.units == said


def test_a_map_of_a_part_fits_the_signal() -> None:
    # kikuchipy compares the shape of the points that are in the data: all of them are.
    s = nickel()
    whole = map_like(Scan.from_signal(s))
    part = PhaseMap.empty(whole.shape, step=whole.step, units=whole.units, threshold=0.5)
    here = slice(0, 2), slice(0, 2)
    part.fill(
        *here,
        whole.point_group_probabilities[here],
        whole.bravais_probabilities[here],
        whole.pattern_quality[here],
    )
    s.xmap = part.to_crystal_map()
    assert s.xmap[s.xmap.done].shape == (2, 2)
    assert not s.xmap.is_indexed.reshape(3, 3)[2].any()


def test_a_file_of_kikuchipy_keeps_all_of_the_map(of_the_signal: PhaseMap, tmp_path: Path) -> None:
    s = nickel()
    s.xmap = of_the_signal.to_crystal_map()
    s.save(tmp_path / "labelled.h5")
    read = kp.load(tmp_path / "labelled.h5")
    back = PhaseMap.from_crystal_map(
        read.xmap,
        sources=of_the_signal.sources,
        provenance=of_the_signal.provenance,
        vendor=of_the_signal.crystal_map,
    )
    assert back == of_the_signal


def test_our_labels_in_a_signal_are_no_phases_of_a_vendor(
    of_the_signal: PhaseMap, tmp_path: Path
) -> None:
    s = nickel()
    s.xmap = of_the_signal.to_crystal_map()
    assert Scan.from_signal(s).crystal_map is None
    s.save(tmp_path / "labelled.h5")
    with load_scan(tmp_path / "labelled.h5") as scan:
        assert scan.crystal_map is None


def too_many_axes() -> object:
    return kp.signals.EBSD(np.zeros((2, 2, 2, 8, 8), np.uint8))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: np.zeros((2, 2, 8, 8), np.uint8), "not a ndarray"),
        (lambda: CrystalMap.empty((2, 2)), "not a CrystalMap"),
        (lambda: kp.signals.EBSDMasterPattern(np.zeros((8, 8))), "not a EBSDMasterPattern"),
        (too_many_axes, "3 navigation axes"),
        (lambda: kp.signals.EBSD(np.zeros((2, 8, 8), complex)), "of numbers"),
    ],
    ids=["array", "crystal map", "master pattern", "three axes", "complex"],
)
def test_what_is_no_map_of_patterns_is_refused_in_one_line(
    make: Callable[[], object], words: str
) -> None:
    with pytest.raises(InputError, match=words) as caught:
        Scan.from_signal(make())
    assert "\n" not in str(caught.value)
