# SPDX-License-Identifier: GPL-3.0-or-later
"""Heat maps that take long say how far they are, and end when nobody wants them any more."""

from __future__ import annotations

import numpy as np
import pytest

from napari_ebsd_phase import load_classifier, load_scan
from napari_ebsd_phase.saliency import METHODS, Cancelled, evidence, explain
from napari_ebsd_phase.saliency.sphere import saliency_on_sphere
from napari_ebsd_phase.saliency.sphere_scan import oriented_frames
from napari_ebsd_phase.samples import sample_path

SLOWER = METHODS[1:]


@pytest.fixture(scope="module")
def network():
    """The one of the two members that is faster."""
    return load_classifier("lines", device="cpu", precision="float32")


@pytest.fixture(scope="module")
def patterns() -> np.ndarray:
    with load_scan(sample_path("nickel")) as scan:
        return scan.read(slice(0, 1), slice(0, 2))[0]


@pytest.mark.parametrize("method", METHODS)
def test_progress_goes_in_single_steps_to_the_end(network, patterns, method):
    told: list[tuple[int, int]] = []

    def hear(done: int, total: int) -> None:
        told.append((done, total))

    evidence(patterns, network, "m-3m", method=method, progress=hear)

    done, totals = zip(*told, strict=True)
    assert len(set(totals)) == 1
    assert done[-1] == totals[0]
    if method == "cam":
        assert totals[0] == len(patterns)
    else:
        assert done == tuple(range(1, totals[0] + 1))
        assert totals[0] >= 4 * len(patterns)


@pytest.mark.parametrize("method", SLOWER)
def test_no_more_steps_follow_once_it_is_cancelled(network, patterns, method):
    told: list[int] = []

    with pytest.raises(Cancelled):
        explain(
            patterns[0],
            network,
            "m-3m",
            method=method,
            progress=lambda done, _: told.append(done),
            cancelled=lambda: len(told) == 2,
        )

    assert told == [1, 2]


@pytest.mark.parametrize("method", METHODS)
def test_what_is_cancelled_before_it_begins_does_nothing(network, patterns, method):
    told: list[int] = []

    with pytest.raises(Cancelled):
        explain(
            patterns[0],
            network,
            method=method,
            progress=lambda done, _: told.append(done),
            cancelled=lambda: True,
        )

    assert not told


@pytest.mark.parametrize("method", SLOWER)
def test_who_watches_does_not_change_the_map(network, patterns, method):
    alone = explain(patterns[0], network, "m-3m", method=method)
    watched = explain(
        patterns[0],
        network,
        "m-3m",
        method=method,
        progress=lambda done, total: None,
        cancelled=lambda: False,
    )
    np.testing.assert_array_equal(watched, alone)


def test_a_map_on_the_sphere_counts_patterns_and_can_be_cancelled(network):
    with load_scan(sample_path("nickel")) as scan:
        found = oriented_frames(scan)
    told: list[tuple[int, int]] = []
    asked = (network, found.frames, found.rotations, found.geometries, "m-3m")

    saliency_on_sphere(*asked, progress=lambda *step: told.append(step))

    assert told[-1] == (9, 9)
    with pytest.raises(Cancelled):
        saliency_on_sphere(*asked, cancelled=lambda: True)
