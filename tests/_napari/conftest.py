# SPDX-License-Identifier: GPL-3.0-or-later
"""A real network, real maps, and what napari told the user."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from napari.settings import get_plugin_settings
from napari.utils.notifications import Notification, notification_manager

from napari_ebsd_phase import PhaseMap, classify, load_classifier, load_scan
from napari_ebsd_phase._napari.settings import PLUGIN
from napari_ebsd_phase.classifier import Classifier
from napari_ebsd_phase.crystallography import BRAVAIS_LATTICES, POINT_GROUPS
from napari_ebsd_phase.samples import sample_path


@pytest.fixture(autouse=True)
def settings_as_installed() -> Iterator[None]:
    """What a test sets in napari's preferences ends with it."""
    yield
    get_plugin_settings(PLUGIN).reset()


@pytest.fixture(scope="session")
def network() -> Classifier:
    """The bundled network."""
    return load_classifier(device="cpu")


@pytest.fixture
def nickel_file(tmp_path) -> Path:
    """A copy of the nickel sample, 3 x 3 patterns."""
    return Path(shutil.copy(sample_path("nickel"), tmp_path / "nickel.h5"))


@pytest.fixture
def nickel_result(nickel_file, network) -> Path:
    """The nickel sample classified and saved beside its patterns."""
    with load_scan(nickel_file) as scan:
        phase_map = classify(scan, network)
    path = nickel_file.with_name("nickel_phases.h5")
    phase_map.save(path)
    return path


@pytest.fixture
def mixed_map() -> PhaseMap:
    """A map of 6 x 8 pixels, each column of another certainty, the last one not done.

    Columns: certain point group (m-3m, cF), certain Laue group only, certain crystal system only,
    undecided, no pattern, then more of the first.
    """
    rows, cols = 6, 8
    point_groups = np.zeros((rows, cols, 32), np.float32)
    lattices = np.zeros((rows, cols, 14), np.float32)
    lattices[..., BRAVAIS_LATTICES.index("cF")] = 1
    cubic = [POINT_GROUPS.index(name) for name in ("23", "m-3", "432", "-43m", "m-3m")]
    point_groups[..., cubic[4]] = 1
    point_groups[:, 1, cubic] = (0, 0, 0.2, 0.35, 0.45)
    point_groups[:, 2, cubic] = (0.1, 0.3, 0.1, 0.1, 0.4)
    point_groups[:, 3] = 1 / 32
    quality = np.full((rows, cols), 0.9, np.float32)
    quality[:, 4] = 0.1
    done = np.ones((rows, cols), bool)
    done[:, 7] = False
    for array in (point_groups, lattices, quality):
        array[:, 7] = np.nan
    return PhaseMap(
        point_groups,
        lattices,
        quality,
        done,
        step=(0.5, 0.25),
        units="um",
        threshold=0.7,
        quality_threshold=0.5,
        provenance={"source": "mixed.h5oina"},
    )


@pytest.fixture
def notices() -> Iterator[list[Notification]]:
    """Everything that napari has told the user during the test."""
    heard: list[Notification] = []

    def listen(notification: Notification) -> None:
        heard.append(notification)

    notification_manager.notification_ready.connect(listen)
    yield heard
    notification_manager.notification_ready.disconnect(listen)
