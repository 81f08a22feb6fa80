# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are dropped on napari: ours open, those of others are declined."""

from __future__ import annotations

import shutil
import subprocess
import sys

import h5py
import numpy as np
import pytest
import tifffile
from PIL import Image as Picture

from napari_ebsd_phase import InputError, PhaseMap, classify, load_scan
from napari_ebsd_phase._napari.layers import layer_for
from napari_ebsd_phase._napari.reader import get_reader, open_source, read
from napari_ebsd_phase._napari.session import active_session, role_of, session_of, sessions
from napari_ebsd_phase.samples import sample_path

from .._ebsd_files import (
    SHIPPED,
    patterns,
    write_bruker,
    write_ebsp,
    write_edax,
    write_nordif,
    write_oxford,
)
from ..test_scan_formats import SHIPPED_FILES

PLUGIN = "napari-ebsd-phase"


@pytest.fixture
def viewer(make_napari_viewer):
    return make_napari_viewer()


def open_in(viewer, path) -> list:
    return viewer.open(path, plugin=PLUGIN)


# --- what is ours -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "shape", "units"),
    [(row[0], row[1], row[5]) for row in SHIPPED_FILES],
    ids=[row[0] for row in SHIPPED_FILES],
)
def test_every_format_that_kikuchipy_ships_opens_as_a_map(viewer, name, shape, units):
    layers = open_in(viewer, SHIPPED / name)

    assert role_of(layers[0]) == "mean_intensity"
    session = session_of(layers[0])
    assert all(session_of(layer) is session for layer in layers)
    assert session.shape == layers[0].data.shape == shape
    assert {str(unit) for unit in layers[0].units} == {"micrometer" if units == "um" else "pixel"}
    with load_scan(SHIPPED / name) as scan:
        np.testing.assert_array_equal(session.pattern(0, 0), scan.pattern(0, 0))
        assert layers[0].data[0, 0] == pytest.approx(scan.pattern(0, 0).mean(), rel=1e-5)


@pytest.mark.parametrize(
    ("write", "name"),
    [
        (write_oxford, "steel.h5oina"),
        (write_bruker, "steel.h5"),
        (write_edax, "steel.up1"),
        (write_edax, "STEEL.UP1"),
        (write_ebsp, "steel.ebsp"),
        (write_oxford, "two.dots.h5oina"),
    ],
)
def test_a_map_of_every_vendor_opens_without_naming_the_plugin_where_it_is_the_only_one(
    viewer, tmp_path, write, name
):
    path = write(tmp_path / name, patterns(4, 5))
    ambiguous = path.suffix == ".h5"  # napari's own reader says that it reads those, too

    layers = viewer.open(path, plugin=PLUGIN if ambiguous else None)

    assert session_of(layers[0]).shape == (4, 5)


def test_a_nordif_map_opens(viewer, tmp_path):
    path = write_nordif(tmp_path, patterns(3, 4))

    assert session_of(viewer.open(path, plugin=None)[0]).shape == (3, 4)


def test_a_folder_of_images_opens_when_the_plugin_is_asked(viewer, notices):
    layers = open_in(viewer, sample_path("silicon"))

    assert session_of(layers[0]).shape == (1, 3)


def test_a_file_without_a_grid_says_where_to_set_it(viewer, tmp_path, notices):
    path = write_edax(tmp_path / "line.up1", patterns(2, 6), version=1)

    (layer,) = viewer.open(path, plugin=None)

    assert layer.data.shape == (1, 12)
    assert notices[-1].severity.value == "info"
    assert "how its 12 patterns lie on the map" in notices[-1].message
    assert "Scan section" in notices[-1].message


def test_a_file_with_a_grid_says_nothing(viewer, tmp_path, notices):
    open_in(viewer, write_edax(tmp_path / "map.up1", patterns(2, 6)))

    assert notices == []


def test_a_map_that_is_open_has_its_layers_finished(viewer, nickel_result):
    open_in(viewer, nickel_result)

    session = active_session(viewer)
    assert not layer_for(viewer, session, "label").editable
    assert layer_for(viewer, session, "confidence").colorbar.visible


def test_layers_that_napari_added_close_their_file_when_they_go(viewer, nickel_file):
    (session,) = {session_of(layer) for layer in open_in(viewer, nickel_file)}
    scan = session.scan

    viewer.layers.clear()

    with pytest.raises(ValueError, match="closed"):
        scan.pattern(0, 0)
    nickel_file.unlink()


# --- what is not ours -------------------------------------------------------------------------


@pytest.fixture
def foreign_files(tmp_path):
    """Files of other programs with suffixes that we read, too."""
    with h5py.File(tmp_path / "cells.h5", "w") as file:
        file["volume/raw"] = np.zeros((4, 5, 6))
        file["nowhere"] = h5py.SoftLink("/gone")
        file["elsewhere"] = h5py.ExternalLink("missing.h5", "/data")
    (tmp_path / "text.h5").write_text("no HDF5 at all")
    (tmp_path / "empty.h5").touch()
    (tmp_path / "table.dat").write_text("1 2 3\n")
    (tmp_path / "Setting.txt").write_text("brightness=3\n")
    tifffile.imwrite(tmp_path / "cells.tif", np.zeros((5, 6), np.uint8))
    Picture.fromarray(np.zeros((5, 6), np.uint8)).save(tmp_path / "cells.png")
    (tmp_path / "volume.zarr").mkdir()
    (tmp_path / "volume.zarr" / ".zarray").write_text("{}")
    return tmp_path


@pytest.mark.parametrize(
    "name",
    [
        "cells.h5",
        "text.h5",
        "empty.h5",
        "table.dat",
        "Setting.txt",
        "cells.tif",
        "cells.png",
        "volume.zarr",
        "missing.h5oina",
    ],
)
def test_files_of_others_are_declined(foreign_files, name):
    assert get_reader(str(foreign_files / name)) is None


def test_an_address_and_a_stack_are_declined(nickel_file):
    assert get_reader("https://example.org/map.h5oina") is None
    assert get_reader([str(nickel_file), str(nickel_file)]) is None
    assert get_reader([str(nickel_file)]) is read


def test_declining_imports_neither_torch_nor_kikuchipy(foreign_files):
    code = (
        "import sys; from napari_ebsd_phase._napari.reader import get_reader\n"
        f"for name in ('cells.h5', 'cells.tif', 'table.dat'):\n"
        f"    assert get_reader({str(foreign_files)!r} + '/' + name) is None\n"
        "heavy = {'torch', 'kikuchipy', 'orix', 'hyperspy', 'numba', 'napari'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )

    subprocess.run([sys.executable, "-c", code], check=True)


# --- what is ours, and wrong ------------------------------------------------------------------


@pytest.fixture(params=["cut.up1", "text.h5oina", "master.h5"])
def broken(request, tmp_path):
    path = tmp_path / request.param
    if path.suffix == ".up1":
        write_edax(path, patterns(3, 3))
        path.write_bytes(path.read_bytes()[:-60])
        return path, "is cut short"
    if path.suffix == ".h5oina":
        path.write_text("not what it says")
        return path, "is not an HDF5 file"
    shutil.copy(SHIPPED / "emsoft_ebsd_master_pattern" / "master_patterns.h5", path)
    return path, "is a master pattern"


def test_a_broken_file_is_one_sentence_in_the_window(viewer, broken, notices):
    path, text = broken

    assert open_in(viewer, path) == []

    assert len(viewer.layers) == 0
    assert notices[-1].severity.value == "error"
    assert notices[-1].message.startswith(f"{path.name}: {text}")


def test_without_a_window_a_broken_file_is_an_input_error(broken):
    path, text = broken

    with pytest.raises(InputError, match=text):
        get_reader(str(path))(str(path))


# --- results ----------------------------------------------------------------------------------


def test_a_result_opens_with_its_patterns_and_is_clickable(viewer, nickel_result, notices):
    open_in(viewer, nickel_result)

    (session,) = sessions(viewer)
    assert session.phase_map == PhaseMap.load(nickel_result)
    assert [role_of(layer) for layer in viewer.layers][-1] == "label"
    assert layer_for(viewer, session, "mean_intensity") is not None
    with load_scan(sample_path("nickel")) as scan:
        np.testing.assert_array_equal(session.pattern(1, 2), scan.pattern(1, 2))
    assert notices == []


def test_a_result_without_its_patterns_opens_all_the_same(
    viewer, nickel_result, nickel_file, tmp_path, notices
):
    nickel_file.unlink()

    open_in(viewer, nickel_result)

    (session,) = sessions(viewer)
    assert layer_for(viewer, session, "label").data.shape == (3, 3)
    assert "nickel.h5 does not lie beside it" in notices[-1].message
    with pytest.raises(InputError, match="locate it in the Scan section"):
        session.pattern(0, 0)
    session.locate_patterns(shutil.copy(sample_path("nickel"), tmp_path / "found.h5"))
    assert session.pattern(0, 0).shape == (60, 60)


def test_a_file_of_another_shape_beside_a_result_is_not_taken_for_its_patterns(
    viewer, nickel_result, nickel_file, notices
):
    shutil.copy(sample_path("two_phase"), nickel_file)

    open_in(viewer, nickel_result)

    assert session_of(viewer.layers[0]).scan is None
    assert "has 60 x 80 patterns, the map has 3 x 3" in notices[-1].message


def test_the_result_of_a_folder_finds_its_folder(viewer, tmp_path, network):
    folder = shutil.copytree(sample_path("silicon"), tmp_path / "silicon")
    with load_scan(folder) as scan:
        classify(scan, network).save(tmp_path / "silicon.h5")

    open_in(viewer, tmp_path / "silicon.h5")

    assert session_of(viewer.layers[0]).pattern(0, 2).shape == (480, 480)


def test_a_damaged_result_says_so(viewer, nickel_result, notices):
    with h5py.File(nickel_result, "r+") as file:
        del file["napari_ebsd_phase/done"]

    assert open_in(viewer, nickel_result) == []
    assert "cannot read" in notices[-1].message


def test_patterns_can_be_laid_out_on_a_grid(tmp_path):
    path = write_edax(tmp_path / "line.up1", patterns(2, 6), version=1)
    told = []

    session, layers = open_source(path, grid=(2, 6), name="mine", tell=told.append)

    assert session.shape == (2, 6)
    assert layers[0][1]["name"] == "mine: Mean intensity"
    assert told == []
    session.close()
