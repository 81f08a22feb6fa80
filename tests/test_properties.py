# SPDX-License-Identifier: GPL-3.0-or-later
"""Properties that hold for every map, however it is made, cut up and stored.

Those of preprocessing (gain, offset, finite numbers) are in ``test_preprocessing``, those of
decoding (sums of one) in ``test_decoding``.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_ebsd_phase import load_classifier
from napari_ebsd_phase.classifier import Classifier
from napari_ebsd_phase.crystallography import BRAVAIS_LATTICES, LEVELS, POINT_GROUPS
from napari_ebsd_phase.mapping import classify_tiles, empty_map
from napari_ebsd_phase.phase_map import PhaseMap
from napari_ebsd_phase.scan import Scan, load_scan

from ._ebsd_files import write_edax
from ._program import NICKEL

# The same examples every time: a failure is one for everybody.
few = settings(max_examples=8, deadline=None, derandomize=True, database=None)


@st.composite
def phase_maps(draw: st.DrawFn) -> PhaseMap:
    """Any result: of any shape, done in part, from one file or many, with any names."""
    shape = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    done = random.random(shape) < draw(st.sampled_from([0.0, 0.5, 1.0]))
    probabilities = []
    for names in (POINT_GROUPS, BRAVAIS_LATTICES):
        evidence = random.normal(0, draw(st.floats(0, 40)), (*shape, len(names)))
        shares = np.exp(evidence - evidence.max(axis=-1, keepdims=True))
        shares = (shares / shares.sum(axis=-1, keepdims=True)).astype(np.float32)
        probabilities.append(np.where(done[..., None], shares, np.float32(np.nan)))
    names = st.text(st.characters(exclude_characters="\0"), max_size=20)
    many = draw(st.booleans())
    return PhaseMap(
        *probabilities,
        np.where(done, random.random(shape, np.float32), np.float32(np.nan)),
        done=done,
        step=draw(st.tuples(st.floats(1e-3, 1e3), st.floats(1e-3, 1e3))),
        units=draw(st.sampled_from(["um", "px"])),
        threshold=draw(st.floats(0, 1)),
        sources=[draw(names) for _ in range(done.size if many else 1)],
        provenance={"note": draw(names)},
        quality_threshold=draw(st.floats(0, 1)),
    )


@few
@given(phase_map=phase_maps())
def test_every_map_comes_back_from_its_file_as_it_was(phase_map):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "map.h5"
        phase_map.save(path)
        assert PhaseMap.load(path) == phase_map


@few
@given(phase_map=phase_maps())
def test_the_probabilities_of_every_level_sum_to_one_or_are_none(phase_map):
    for level in LEVELS:
        total = phase_map.probabilities(level).sum(axis=-1)
        np.testing.assert_allclose(total[phase_map.done], 1, atol=1e-4)
        assert np.isnan(total[~phase_map.done]).all()


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return load_classifier("pixels", device="cpu", precision="float32")


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    """A map of 6 x 4 measured patterns, in a file without chunks."""
    with load_scan(NICKEL) as nickel:
        frames = nickel.read(slice(None), slice(None)).reshape(9, 60, 60)
    data = frames[np.arange(24) % 9].reshape(6, 4, 60, 60)
    with load_scan(write_edax(tmp_path_factory.mktemp("map") / "map.up1", data)) as opened:
        yield opened


def test_tiles_in_any_order_give_the_same_map(scan: Scan, classifier: Classifier):
    whole, turned = (empty_map(scan, classifier, hash_file=False) for _ in range(2))
    tiles = list(classify_tiles(scan, classifier, tile=4))
    assert len(tiles) == 6
    for tile in tiles:
        tile.fill_into(whole)
    for number in np.random.default_rng(1).permutation(len(tiles)):
        tiles[number].fill_into(turned)

    turned.provenance = whole.provenance
    assert whole.done.all()
    assert turned == whole


@few
@given(row=st.integers(0, 5), col=st.integers(0, 3), data=st.data())
def test_a_part_is_read_as_it_lies_in_the_whole(scan: Scan, row, col, data):
    row_stop, col_stop = data.draw(st.integers(row + 1, 6)), data.draw(st.integers(col + 1, 4))
    whole = scan.read(slice(None), slice(None))

    part = scan.read(slice(row, row_stop), slice(col, col_stop))

    np.testing.assert_array_equal(part, whole[row:row_stop, col:col_stop])
    np.testing.assert_array_equal(scan.pattern(row, col), whole[row, col])
