# SPDX-License-Identifier: GPL-3.0-or-later
"""``identify`` on the command line."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile

from napari_ebsd_phase import load_classifier, load_scan
from napari_ebsd_phase.cli import main
from napari_ebsd_phase.regions import identify
from napari_ebsd_phase.samples import sample_path

from ._cif import METALS, write_cif
from ._program import DUPLEX, NICKEL, SILICON, contents, is_one_error_line

TRUTH = str(sample_path("two_phase").with_name("truth.tif"))


@pytest.fixture
def labels(tmp_path):
    """Writes a label image and gives its name."""

    def write(image, name="labels.tif"):
        tifffile.imwrite(tmp_path / name, np.asarray(image))
        return str(tmp_path / name)

    return write


def document_of(capsys, *arguments):
    assert main(["identify", *arguments, "--json", "--device", "cpu"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return json.loads(out)


def test_a_table_for_each_label_says_what_its_region_is(capsys):
    code = main(
        ["identify", DUPLEX, "--labels", TRUTH, "--prior", "cubic", "--max-patterns", "150"]
    )

    assert code == 0
    out, err = capsys.readouterr()
    assert err == ""
    first, second = out.split("\n\n\n")
    for text, title, lattice in ((first, "label 1: ", "cF"), (second, "label 2: ", "cI")):
        lines = text.strip().splitlines()
        assert lines[0] == title + "m-3m (point group)"
        assert "different views" in lines[1]
        header, best_line = lines[3:5]
        assert " ".join(header.split()) == "point group Laue group crystal system lattice"
        best = best_line.split()
        assert best[0] == "m-3m"
        assert lattice in best
        assert any(line.startswith("- 150 of") for line in lines)


def test_no_probability_is_printed_as_certain(capsys):
    main(["identify", DUPLEX, "--prior", "cubic", "--max-patterns", "60"])

    out = capsys.readouterr().out
    assert "> 99 %" in out
    assert "100 %" not in out
    assert " 0 %" not in out


def test_the_document_holds_what_python_says(capsys):
    document = document_of(capsys, NICKEL, "--region", "0:3,1:3", "--prior", "known")

    classifier = load_classifier(device="cpu")
    with load_scan(NICKEL) as scan:
        answer = identify(scan, classifier, (slice(0, 3), slice(1, 3)), prior="known")
    (region,) = document["regions"]
    assert region == {"region": "0:3,1:3", **answer.to_dict()}
    assert document["source"] == "nickel.h5"
    assert document["shape"] == [3, 3]
    assert document["prior"] == "known"
    assert document["network"] == classifier.name
    assert document["network_sha256"] == classifier.sha256


def test_the_whole_map_is_the_region_unless_one_is_given(capsys):
    (region,) = document_of(capsys, NICKEL)["regions"]

    assert region["region"] == "0:3,0:3"
    assert region["patterns"] == 9


def test_each_label_above_zero_is_a_region(capsys, labels):
    image = np.array([[0, 7, 7], [0, 7, 7], [3, 3, -1]], np.int16)

    regions = document_of(capsys, NICKEL, "--labels", labels(image))["regions"]

    assert [(r["label"], r["label_value"], r["patterns"]) for r in regions] == [
        (regions[0]["label"], 3, 2),
        (regions[1]["label"], 7, 4),
    ]


def test_a_mask_is_a_label_image_too(capsys, labels):
    mask = np.zeros((3, 3), bool)
    mask[1] = True

    (region,) = document_of(capsys, NICKEL, "--labels", labels(mask))["regions"]

    assert region["label_value"] == 1
    assert region["patterns"] == 3


def test_a_folder_of_pictures_is_a_region(capsys):
    (region,) = document_of(capsys, SILICON, "--batch-size", "1", "--threads", "1")["regions"]

    assert region["patterns"] == 3


def test_nothing_is_written(capsys, tmp_path, labels, monkeypatch):
    name = labels(np.ones((3, 3), np.uint8))
    monkeypatch.chdir(tmp_path)
    before = contents(tmp_path)

    assert main(["identify", NICKEL, "--labels", name, "--quiet"]) == 0

    assert contents(tmp_path) == before


def wrong_label_images(labels):
    no_image = labels(np.ones((3, 3), np.uint8), "text.tif")
    with open(no_image, "w", encoding="utf-8") as file:
        file.write("no image")
    return {
        "of another shape": (labels(np.ones((3, 4), np.uint8), "a.tif"), "3 x 4 pixels"),
        "without a label": (labels(np.zeros((3, 3), np.uint8), "b.tif"), "no value above 0"),
        "of fractions": (labels(np.ones((3, 3), np.float32), "c.tif"), "must be whole"),
        "of several pages": (labels(np.ones((2, 3, 3), np.uint8), "d.tif"), "2 x 3 x 3 pixels"),
        "that is none": (no_image, "no TIFF image"),
        "that is not there": ("missing.tif", "cannot read the label image"),
    }


@pytest.mark.parametrize(
    "kind",
    [
        "of another shape",
        "without a label",
        "of fractions",
        "of several pages",
        "that is none",
        "that is not there",
    ],
)
def test_a_wrong_label_image_is_told_in_one_line(capsys, labels, kind):
    name, said = wrong_label_images(labels)[kind]

    code = main(["identify", NICKEL, "--labels", name])

    out, err = capsys.readouterr()
    assert code == 2
    assert out == ""
    assert is_one_error_line(err)
    assert said in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--region", "0:4,0:3"], "rows 0:4"),
        (["--region", "0:4"], "R0:R1,C0:C1"),
        (["--region", "0:1,0:1", "--labels", "a.tif"], "not allowed with"),
        (["--max-patterns", "0"], "1 or more"),
        (["--prior", "icosahedral"], "icosahedral"),
        (["--grid", "2x2"], "2 x 2"),
        (["--model", "nobody"], "nobody"),
    ],
)
def test_a_wrong_request_is_told_in_one_line(capsys, arguments, said):
    code = main(["identify", NICKEL, *arguments])

    out, err = capsys.readouterr()
    assert code == 2
    assert out == ""
    assert is_one_error_line(err)
    assert said in err


@pytest.fixture
def structures(tmp_path):
    for name in METALS:
        write_cif(tmp_path, name)
    return tmp_path


def test_structures_of_ones_own_are_ranked(structures, capsys):
    words = ["identify", str(NICKEL), "--region", "1:2,1:2", "--cif", str(structures)]

    assert main([*words, "--quiet"]) == 0

    out = capsys.readouterr().out
    assert "candidate structures: 2 tried" in out
    table = [line.split() for line in out.splitlines() if line.strip().endswith(("nickel", "iron"))]
    assert table[0][0] == "fits"
    assert [row[-1] for row in table] == ["nickel", "iron"]
    assert "one of them fits" in out


def test_candidates_are_in_the_json_document(structures, capsys):
    words = ["identify", str(NICKEL), "--region", "1:2,1:2", "--cif", str(structures / "iron.cif")]

    assert main([*words, "--quiet", "--json"]) == 0

    (region,) = json.loads(capsys.readouterr().out)["regions"]
    told = region["candidates"]
    assert (told["tried"], told["fitting"]) == (1, 0)
    assert told["ranking"][0]["formula"] == "Fe"


@pytest.mark.parametrize(
    "words",
    [
        ["--cif", "nowhere.cif"],
        ["--projection-centre", "somewhere"],
        ["--candidates", "--energy", "-1"],
        ["--candidates", "--projection-centre", "0.5,0.2"],
        ["--candidates", "--projection-centre", "0.5,0.2,-1"],
    ],
)
def test_candidates_that_cannot_be_had_are_refused_at_once(words, capsys):
    assert main(["identify", str(NICKEL), *words]) == 2
    assert is_one_error_line(capsys.readouterr().err)


def test_pictures_without_a_projection_centre_are_told_so(tmp_path, capsys):
    from PIL import Image

    Image.new("L", (40, 40)).save(tmp_path / "1.png")
    assert main(["identify", str(tmp_path), "--candidates"]) == 2
    error = capsys.readouterr().err
    assert is_one_error_line(error)
    assert "detector" in error
