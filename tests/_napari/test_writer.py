# SPDX-License-Identifier: GPL-3.0-or-later
"""A phase map is saved whole from any of its layers, in the format that the name says."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import tifffile
from orix import io
from PIL import Image as Picture

from napari_ebsd_phase import PhaseMap, load_scan
from napari_ebsd_phase._napari.layers import add_result, add_scan, layer_for
from napari_ebsd_phase._napari.session import MapSession, sessions
from napari_ebsd_phase._napari.writer import write_layers

PLUGIN = "napari-ebsd-phase"


@pytest.fixture
def viewer(make_napari_viewer):
    return make_napari_viewer()


@pytest.fixture
def session(viewer, mixed_map) -> MapSession:
    session = MapSession(phase_map=mixed_map, name="steel")
    add_result(viewer, session)
    return session


@pytest.mark.parametrize("role", ["label", "laue_group", "confidence", "quality"])
def test_any_layer_saves_the_whole_map(viewer, session, mixed_map, tmp_path, role):
    path = tmp_path / "steel.h5"

    written = layer_for(viewer, session, role).save(str(path), plugin=PLUGIN)

    assert written == [str(path)]
    assert PhaseMap.load(path) == mixed_map


def test_all_layers_together_save_one_map(viewer, session, mixed_map, tmp_path):
    path = tmp_path / "steel.h5"

    assert viewer.layers.save(str(path)) == [str(path)]

    assert PhaseMap.load(path) == mixed_map


def test_a_saved_map_opens_again(viewer, session, mixed_map, tmp_path):
    viewer.layers.save(str(tmp_path / "steel.h5"))
    viewer.layers.clear()

    viewer.open(tmp_path / "steel.h5", plugin=PLUGIN)

    (again,) = sessions(viewer)
    assert again.phase_map == mixed_map


def test_every_format_is_written(viewer, session, mixed_map, tmp_path):
    for suffix in (".h5", ".csv", ".ang", ".ctf", ".png", ".tif", ".tiff"):
        path = tmp_path / f"steel{suffix}"
        assert viewer.layers.save(str(path), plugin=PLUGIN) == [str(path)]

    codes, _ = mixed_map.label_codes()
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "steel.tif"), codes)
    with (tmp_path / "steel.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows[:2]] == ["m-3m", "m-3m"]
    assert [row["level"] for row in rows[:2]] == ["point_group", "laue_group"]
    for name in ("steel.ang", "steel.ctf"):
        assert io.load(tmp_path / name).size == codes.size
    with Picture.open(tmp_path / "steel.png") as picture:
        assert min(picture.size) > 100


def test_an_existing_file_is_replaced(viewer, session, mixed_map, tmp_path):
    path = tmp_path / "steel.h5"
    path.write_text("old")

    viewer.layers.save(str(path))

    assert PhaseMap.load(path) == mixed_map


def test_images_of_others_are_still_written_by_napari(viewer, session, tmp_path):
    viewer.add_image(np.arange(12, dtype=np.uint8).reshape(3, 4), name="foreign")
    viewer.add_labels(np.eye(4, dtype=np.uint8), name="mask")

    viewer.layers["foreign"].save(str(tmp_path / "foreign.tif"))
    viewer.layers["mask"].save(str(tmp_path / "mask.tif"))

    assert (
        tifffile.imread(tmp_path / "foreign.tif").tolist() == viewer.layers["foreign"].data.tolist()
    )
    assert tifffile.imread(tmp_path / "mask.tif").tolist() == np.eye(4).tolist()


def test_layers_without_a_map_are_refused(tmp_path):
    foreign = (np.zeros((3, 3)), {"name": "foreign", "metadata": {}}, "image")

    with pytest.raises(OSError, match="belong to no phase map"):
        write_layers(str(tmp_path / "a.h5"), [foreign])
    assert not (tmp_path / "a.h5").exists()


def test_layers_of_two_maps_are_refused(viewer, session, mixed_map, tmp_path):
    other = MapSession(phase_map=mixed_map, name="brass")
    add_result(viewer, other)

    with pytest.raises(OSError, match="layers of steel and brass are selected"):
        viewer.layers.save(str(tmp_path / "a.h5"))


def test_a_scan_that_is_not_classified_is_refused(viewer, nickel_file, tmp_path):
    add_scan(viewer, load_scan(nickel_file))

    with pytest.raises(OSError, match="nickel is not classified yet"):
        viewer.layers.save(str(tmp_path / "a.h5"), plugin=PLUGIN)


def test_a_folder_that_is_missing_is_one_sentence(viewer, session, tmp_path):
    with pytest.raises(OSError, match="no folder"):
        viewer.layers.save(str(tmp_path / "missing" / "a.h5"), plugin=PLUGIN)
