# SPDX-License-Identifier: GPL-3.0-or-later
"""Label images open in any image program, and tell what their numbers mean."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_ebsd_phase.labels import label_table
from napari_ebsd_phase.phase_map import PhaseMap


@pytest.mark.parametrize("suffix", [".tif", ".tiff", ".TIF"])
def test_the_image_holds_the_codes_of_the_labels(
    phase_map: PhaseMap, tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"map{suffix}"
    phase_map.save(path)
    image = tifffile.imread(path)
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, phase_map.label_codes()[0])


def test_the_table_in_the_description_names_every_number(
    phase_map: PhaseMap, tmp_path: Path
) -> None:
    path = tmp_path / "map.tif"
    phase_map.save(path)
    with tifffile.TiffFile(path) as file:
        description = json.loads(file.pages[0].description)
        image = file.asarray()
    labels = description["labels"]
    assert {int(code) for code in labels} == set(np.unique(image).tolist()) - {0}
    for code, entry in labels.items():
        here = image == int(code)
        assert set(phase_map.label[here]) == {entry["name"]}
        assert set(phase_map.level[here]) == {entry["level"]}
        assert entry["pixels"] == here.sum()
    assert description["step"] == [0.5, 0.25]
    assert description["units"] == "um"
    assert description["provenance"] == phase_map.provenance


def test_another_program_sees_the_colours_of_the_labels(
    phase_map: PhaseMap, tmp_path: Path
) -> None:
    phase_map.save(tmp_path / "map.tif")
    codes, _ = phase_map.label_codes()
    with Image.open(tmp_path / "map.tif") as image:
        assert image.mode == "P"
        rgb = np.asarray(image.convert("RGB"))
    for code in np.unique(codes[codes > 0]):
        color = "#{:02x}{:02x}{:02x}".format(*rgb[codes == code][0])
        assert color == label_table()[code - 1].color


def test_the_resolution_is_that_of_the_scan(phase_map: PhaseMap, tmp_path: Path) -> None:
    phase_map.save(tmp_path / "map.tif")
    with tifffile.TiffFile(tmp_path / "map.tif") as file:
        tags = file.pages[0].tags
        across, down = (np.divide(*tags[f"{axis}Resolution"].value) for axis in "XY")
        assert tags["ResolutionUnit"].value == tifffile.RESUNIT.CENTIMETER
    assert across == pytest.approx(10_000 / 0.25)
    assert down == pytest.approx(10_000 / 0.5)


def test_a_scan_without_a_physical_step_claims_no_resolution(tmp_path: Path) -> None:
    PhaseMap.empty((2, 3)).save(tmp_path / "map.tif")
    with tifffile.TiffFile(tmp_path / "map.tif") as file:
        assert file.pages[0].tags["ResolutionUnit"].value == tifffile.RESUNIT.NONE
        assert file.pages[0].resolution == (1, 1)


def test_what_is_not_classified_is_zero(partial_map: PhaseMap, tmp_path: Path) -> None:
    partial_map.save(tmp_path / "map.tif")
    image = tifffile.imread(tmp_path / "map.tif")
    assert image.shape == partial_map.shape
    assert not image[~partial_map.done].any()
    assert image[partial_map.done].any()
