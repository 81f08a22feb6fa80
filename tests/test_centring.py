# SPDX-License-Identifier: GPL-3.0-or-later
"""The network is told where the projection centre is: by the file, the user or the patterns."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from napari_ebsd_phase import PhaseMap, classify, identify, load_classifier, load_scan
from napari_ebsd_phase._cli.classify import UNTOLD
from napari_ebsd_phase._cli.partial import PartialResult, partial_path
from napari_ebsd_phase.centre_estimate import estimate_centre
from napari_ebsd_phase.centring import centred, found_in
from napari_ebsd_phase.classifier import Classifier
from napari_ebsd_phase.cli import main
from napari_ebsd_phase.errors import InputError
from napari_ebsd_phase.network_int8 import bytes_are_fast
from napari_ebsd_phase.preprocessing import prepare
from napari_ebsd_phase.samples import sample_path
from napari_ebsd_phase.screen import find_screen
from napari_ebsd_phase.symmetry_maps import Centre
from napari_ebsd_phase.training.pattern_simulation import render

from ._cif import write_cif
from ._masters import emsoft_master

# A processor without instructions for bytes has nothing of theirs to test.
ROUNDED = ["bfloat16", *(["int8"] if bytes_are_fast() else [])]
NICKEL = sample_path("nickel")
CENTRE = (0.46, 0.27, 0.61)


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return load_classifier(device="cpu", precision="float32")


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    """Sixteen noisy patterns of a crystal in random orientations, uint8 (16, 60, 80)."""
    master = emsoft_master("Ni")
    rng = np.random.default_rng(8)
    result = np.empty((16, 60, 80), dtype=np.uint8)
    for frame in result:
        rotation, _ = np.linalg.qr(rng.standard_normal((3, 3)))
        image = render(master, rotation * np.linalg.det(rotation), frame.shape, CENTRE)
        image = (image - image.mean()) / image.std() + 0.3 * rng.standard_normal(frame.shape)
        frame[:] = np.clip(128 + 35 * image, 0, 255)
    return result


@pytest.fixture(scope="module")
def pictures(frames: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as a folder of images, which cannot tell where the projection centre is."""
    folder = tmp_path_factory.mktemp("pictures")
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / f"{number:02d}.png")
    return folder


def test_a_file_that_tells_is_believed(classifier: Classifier) -> None:
    with load_scan(NICKEL) as scan:
        assert scan.projection_centre == pytest.approx((0.425, 0.213, 0.501), abs=1e-3)
        told = centred(scan, classifier)
        frame = scan.pattern(1, 1)[None]
    assert told.knows_centre
    assert not classifier.knows_centre
    assert told.card["told"] == {
        "from": "file",
        "bruker": pytest.approx([0.425, 0.213, 0.501], abs=1e-3),
    }
    assert told.card_sha256 != classifier.card_sha256
    # The same weights, in the same place.
    mine = {p.data_ptr() for p in classifier.network.parameters()}
    assert {p.data_ptr() for p in told.network.parameters()} == mine
    # The other members are still there, and another one has a say.
    assert not np.allclose(told.scores(frame).scores, classifier.scores(frame).scores)


def test_told_twice_is_told_once(classifier: Classifier) -> None:
    with load_scan(NICKEL) as scan:
        told = centred(scan, classifier)
        assert centred(scan, told, (0.5, 0.5, 0.7)) is told


def test_the_patterns_tell_where_it_is(classifier: Classifier, pictures: Path) -> None:
    steps: list[tuple[int, int]] = []
    with load_scan(pictures) as scan:
        assert scan.projection_centre is None
        assert not centred(scan, classifier, "file").knows_centre
        told = centred(scan, classifier, progress=lambda *step: steps.append(step))
    found = told.card["told"]
    assert found["from"] == "estimated"
    assert found["bruker"] == pytest.approx(CENTRE, abs=0.06)
    assert steps[-1][0] <= steps[-1][1]
    assert [done for done, _ in steps] == sorted(done for done, _ in steps)


def test_frames_without_patterns_tell_nothing(classifier: Classifier) -> None:
    noise = np.random.default_rng(1).normal(100, 10, (16, 60, 80))
    assert found_in(noise, classifier, np.ones((60, 80), dtype=bool)) is None


def test_an_estimate_is_the_same_every_time(classifier: Classifier, frames: np.ndarray) -> None:
    mask = np.ones(frames.shape[1:], dtype=bool)
    inputs = prepare(frames, classifier.preprocessing, mask=mask)
    member = next(m for m in classifier.network.members if m.maps is not None)
    assert estimate_centre(member, inputs, mask) == estimate_centre(member, inputs, mask)


def test_a_network_without_maps_needs_none_and_finds_none(classifier: Classifier) -> None:
    plain = classifier.without_maps()
    with load_scan(NICKEL) as scan:
        assert centred(scan, plain) is plain
    with pytest.raises(InputError, match="needs no projection centre"):
        estimate_centre(
            plain.network.members[0], torch.zeros(1, 1, 64, 64), np.ones((64, 64), dtype=bool)
        )


def test_without_maps_it_answers_as_where_nothing_is_known(
    classifier: Classifier, frames: np.ndarray
) -> None:
    one, other = classifier.scores(frames[:3]), classifier.without_maps().scores(frames[:3])
    assert np.allclose(one.scores, other.scores, atol=1e-5)


def test_images_of_several_sizes_have_a_centre_each(
    classifier: Classifier, frames: np.ndarray, tmp_path: Path
) -> None:
    for number, frame in enumerate(frames[:4]):
        Image.fromarray(frame).save(tmp_path / f"{number}.png")
        Image.fromarray(frame[:54, :72]).save(tmp_path / f"{number}_small.png")
    with load_scan(tmp_path) as scan:
        told = centred(scan, classifier, CENTRE)
        assert set(told.card["centre"]) == {"54x72", "60x80"}
        phases = classify(scan, classifier, projection_centre=CENTRE)
        assert phases.done.all()
        large = Centre.of_screen(CENTRE, find_screen(frames[:4]), classifier.preprocessing.size)
    one = classifier.at(large).scores(frames[:1])
    assert np.allclose(told.scores(frames[:1]).scores, one.scores, atol=1e-4)
    # What a map or a cluster keeps of it gives the same classifier.
    again = classifier.told(json.loads(json.dumps(told.card["centre"])))
    assert np.array_equal(again.scores(frames[:2]).scores, told.scores(frames[:2]).scores)


@pytest.mark.parametrize("nonsense", [[1, 2], {"a": [1, 2, 3]}, "somewhere", [1, 2, "x"], 5])
def test_what_a_map_keeps_is_checked(classifier: Classifier, nonsense: object) -> None:
    with pytest.raises(InputError, match="no projection centre"):
        classifier.told(nonsense)


def test_an_unknown_way_is_refused(classifier: Classifier) -> None:
    with load_scan(NICKEL) as scan, pytest.raises(InputError, match="auto, file, estimate"):
        centred(scan, classifier, "guess")


@pytest.mark.parametrize("precision", ROUNDED)
def test_other_precisions_are_told_too(
    classifier: Classifier, frames: np.ndarray, precision: str
) -> None:
    rounded = load_classifier(device="cpu", precision=precision)
    centre = Centre.of_screen(CENTRE, np.ones((60, 80), dtype=bool), 64)
    exact, near = (c.at(centre).scores(frames).scores for c in (classifier, rounded))
    plain = rounded.scores(frames).scores
    assert np.abs(exact - near).max() < 0.25 * np.abs(exact).max()
    assert np.corrcoef(exact.ravel(), near.ravel())[0, 1] > 0.99
    assert not np.allclose(near, plain, atol=0.05)


def test_the_command_line_tells_it(tmp_path: Path) -> None:
    for name, words in (
        ("auto", []),
        ("none", ["--projection-centre", "none"]),
        ("given", ["--projection-centre", "0.4,0.2,0.5"]),
    ):
        out = tmp_path / f"{name}.h5"
        assert main(["classify", str(NICKEL), "-o", str(out), "--quiet", *words]) == 0
    maps = {name: PhaseMap.load(tmp_path / f"{name}.h5") for name in ("auto", "none", "given")}
    assert maps["auto"].provenance["projection_centre"]["from"] == "file"
    assert maps["given"].provenance["projection_centre"] == {
        "from": "given",
        "bruker": [0.4, 0.2, 0.5],
    }
    assert "centre" not in maps["none"].provenance
    assert len({maps[name].provenance["card_sha256"] for name in maps}) == 3


def test_a_wrong_projection_centre_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["classify", str(NICKEL), "-o", str(tmp_path / "a.h5")]
    for text in ("0.5", "a,b,c", "0.5,0.2,0", "nan,0,1", "nowhere"):
        assert main([*words, "--projection-centre", text]) == 2
        assert capsys.readouterr().err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_an_estimate_that_was_made_is_taken_over(classifier: Classifier, pictures: Path) -> None:
    """Another process may find one that differs in the last digits; a map has one of them."""
    with load_scan(pictures) as scan:
        first = centred(scan, classifier)
        x, y, distance = first.card["centre"]
        told = {
            "source": scan.path.name,
            "network_sha256": classifier.sha256,
            "centre": [x + 0.01, y, distance],
            "projection_centre": {"from": "estimated", "bruker": [0.4601, 0.27, 0.61]},
        }
        taken = centred(scan, classifier, "estimate", earlier=told)
        assert taken.card["centre"] == pytest.approx([x + 0.01, y, distance], abs=1e-9)
        assert taken.card["told"] == told["projection_centre"]
        # Of another network, another file, or not found in patterns: found anew.
        given = {"projection_centre": {"from": "given", "bruker": [0.4, 0.2, 0.5]}}
        for other in ({"network_sha256": "0"}, {"source": "other"}, given, {"centre": None}):
            assert centred(scan, classifier, earlier=told | other).card == first.card


def test_a_run_goes_on_with_the_estimate_that_it_began_with(
    classifier: Classifier, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "map.h5"
    words = ["classify", str(pictures), "-o", str(target), "--device", "cpu"]
    assert main([*words, "--quiet"]) == 0
    whole = PhaseMap.load(target)
    target.unlink()
    # As another machine, killed before its first tile was done, may have left it.
    centre = whole.provenance["centre"]
    began = {k: v for k, v in whole.provenance.items() if k not in UNTOLD}
    began |= {"shape": list(whole.shape), "centre": [round(centre[0] + 0.01, 2), *centre[1:]]}
    began["card_sha256"] = classifier.told(began["centre"]).card_sha256
    left = partial_path(target)
    unfinished = PartialResult(left, [began], [target.name])
    unfinished.start()
    begun = left.read_bytes()
    unfinished.close()  # which removes it: there is nothing in it to go on from
    left.write_bytes(begun)

    assert main([*words, "--resume"]) == 0

    assert PhaseMap.load(target).provenance["centre"] == began["centre"]
    assert "estimated from the patterns" in capsys.readouterr().out


@pytest.mark.parametrize("way", ["none", "file"])
def test_a_region_is_identified_with_the_centre_that_was_asked_for(
    classifier: Classifier, pictures: Path, way: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["identify", str(pictures), "--json", "--device", "cpu"]
    assert main([*words, "--projection-centre", way]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["card_sha256"] == classifier.card_sha256
    with load_scan(pictures) as scan:
        told = [
            identify(scan, load_classifier(device="cpu"), projection_centre=centre)
            for centre in (None, CENTRE)
        ]
    (region,) = document["regions"]
    assert region == {"region": "0:1,0:16", **told[0].to_dict()}
    assert told[0].to_dict() != told[1].to_dict()


def test_structures_are_tried_with_the_projection_centre_of_the_patterns(
    pictures: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    cif = write_cif(tmp_path, "nickel")
    words = ["identify", str(pictures), "--json", "--device", "cpu", "--cif", str(cif)]
    assert main(words) == 0
    (region,) = json.loads(capsys.readouterr().out)["regions"]
    assert region["candidates"]["fitting"] == 1
    assert main([*words, "--projection-centre", "none"]) == 2
    assert "projection" in capsys.readouterr().err
