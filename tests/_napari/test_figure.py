# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures and legends as files: what is drawn is what was classified and is shown."""

from __future__ import annotations

import csv
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from PIL import Image

from napari_ebsd_phase import InputError, PhaseMap, classify, load_classifier, load_scan
from napari_ebsd_phase._napari.figure import save_figure, save_legend
from napari_ebsd_phase._napari.session import MapSession
from napari_ebsd_phase.crystallography import BRAVAIS_LATTICES, UNDECIDED_COLOR, color
from napari_ebsd_phase.samples import sample_path

REGION = (slice(4, 24), slice(20, 50))


@pytest.fixture(scope="module")
def classified() -> PhaseMap:
    """A part of the sample with both of its phases, as the network sees it."""
    with load_scan(sample_path("two_phase")) as scan:
        return classify(scan, load_classifier("fast"), region=REGION)


@pytest.fixture
def session(classified) -> MapSession:
    return MapSession(None, classified.crop(slice(None), slice(None)), name="steel")


def picture(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def where(image: np.ndarray, color: str) -> np.ndarray:
    rgb = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
    return (image == rgb).all(axis=-1)


def map_frame(image: np.ndarray) -> tuple[int, int, int, int]:
    """First and last row and column of the map: the largest thing with a dark outline."""
    dark = (image < 60).all(axis=-1)
    rows = np.flatnonzero(dark.sum(axis=1) > 0.4 * image.shape[1])
    cols = np.flatnonzero(dark[rows[0] : rows[-1]].mean(axis=0) > 0.9)
    return int(rows[0]), int(rows[-1]), int(cols[0]), int(cols[-1])


def scale_bar(image: np.ndarray) -> int:
    """Length in dots of the longest black line under the map."""
    below = image[map_frame(image)[1] + 3 :]
    black = (below < 20).all(axis=-1)
    return max(
        (len(run) for row in black for run in "".join("x" if b else " " for b in row).split()),
        default=0,
    )


def lattices(phase_map: PhaseMap) -> dict[str, int]:
    """How many pixels each lattice has, counted from the probabilities.

    Frames that hold no single pattern (here at grain boundaries) have none.
    """
    named = phase_map.done & phase_map.nameable
    names, counts = np.unique(phase_map.bravais_lattice[named], return_counts=True)
    return dict(zip(names.tolist(), counts.tolist(), strict=True))


def value_of(lattice: str) -> int:
    return BRAVAIS_LATTICES.index(lattice) + 1


def test_areas_in_the_figure_are_those_of_the_map(session, classified, tmp_path):
    save_figure(session, tmp_path / "map.png", level="bravais_lattice")

    image = picture(tmp_path / "map.png")
    top, bottom, left, right = map_frame(image)
    inside = image[top : bottom + 1, left : right + 1]
    rows, cols = (part.stop - part.start for part in REGION)
    cell = inside.shape[0] / rows * (inside.shape[1] / cols)
    for lattice, count in lattices(classified).items():
        drawn = where(inside, color("bravais_lattice", lattice)).sum() / cell
        # The outline takes a few dots of the outermost pixels.
        assert drawn == pytest.approx(count, rel=0.06, abs=0.5)


def test_the_figure_shows_only_what_is_classified(session, tmp_path):
    save_figure(session, tmp_path / "map.png", level="bravais_lattice")

    top, bottom, left, right = map_frame(picture(tmp_path / "map.png"))
    rows, cols = (part.stop - part.start for part in REGION)
    assert (right - left) / (bottom - top) == pytest.approx(cols / rows, rel=0.02)


def test_the_legend_shows_the_colors_of_the_common_names_beside_the_map(
    session, classified, tmp_path
):
    save_figure(session, tmp_path / "map.png", level="bravais_lattice")
    save_figure(session, tmp_path / "bare.png", level="bravais_lattice", legend=False)

    image, bare = picture(tmp_path / "map.png"), picture(tmp_path / "bare.png")
    beside = image[:, map_frame(image)[3] + 5 :]
    common = [name for name, count in lattices(classified).items() if count >= 5]
    assert {"cF", "cI"} <= set(common)
    for lattice in common:
        assert where(beside, color("bravais_lattice", lattice)).sum() > 100
    assert not any(
        where(bare[:, map_frame(bare)[3] + 2 :], color("bravais_lattice", name)).any()
        for name in common
    )


def test_the_scale_bar_is_as_long_as_it_says(session, classified, tmp_path):
    save_figure(session, tmp_path / "map.png")

    image = picture(tmp_path / "map.png")
    _, _, left, right = map_frame(image)
    width = (REGION[1].stop - REGION[1].start) * classified.step[1]
    assert classified.units == "um"
    # 6 um wide: of 1, 2, 5 the longest that is at most a quarter of it.
    assert width == pytest.approx(6)
    assert scale_bar(image) == pytest.approx((right - left) / width, abs=3)


def test_the_scale_bar_can_be_left_out(session, tmp_path):
    save_figure(session, tmp_path / "map.png", scale_bar=False)

    assert scale_bar(picture(tmp_path / "map.png")) < 20


def test_hidden_labels_are_hidden_in_the_figure(session, classified, tmp_path):
    hidden = {value_of("cF")}
    save_figure(session, tmp_path / "map.png", level="bravais_lattice", hidden=hidden)

    image = picture(tmp_path / "map.png")
    assert not where(image, color("bravais_lattice", "cF")).any()
    top, bottom, left, right = map_frame(image)
    white = where(image[top + 3 : bottom - 2, left + 3 : right - 2], "#ffffff").mean()
    count = lattices(classified)
    assert white == pytest.approx(count["cF"] / sum(count.values()), abs=0.02)
    assert where(image, color("bravais_lattice", "cI")).sum() > 1000


def test_another_threshold_makes_more_undecided(session, tmp_path):
    save_figure(session, tmp_path / "easy.png", threshold=0.0, legend=False)
    save_figure(session, tmp_path / "strict.png", threshold=1.0, legend=False)

    easy, strict = (
        where(picture(tmp_path / name), UNDECIDED_COLOR).sum()
        for name in ("easy.png", "strict.png")
    )
    done, named = session.phase_map.done, session.phase_map.nameable
    # What is no single pattern stays undecided at any threshold.
    share = (done & ~named).sum() / done.sum()
    assert easy == pytest.approx(share * strict, rel=0.06, abs=200)
    assert strict > 3 * easy
    # The session is looked at, not changed.
    assert session.threshold == session.phase_map.threshold == load_classifier("fast").threshold


def test_a_preview_of_neighbours_is_not_drawn_as_a_result(classified, tmp_path):
    """While a map fills, pixels between the classified ones show them; a figure does not."""
    session = MapSession(None, PhaseMap.empty(classified.shape, threshold=classified.threshold))
    rows, cols = (grid.ravel() for grid in np.mgrid[6:24:6, 22:50:6])
    session.phase_map.done[rows, cols] = True
    for name in ("point_group_probabilities", "bravais_probabilities", "pattern_quality"):
        getattr(session.phase_map, name)[rows, cols] = getattr(classified, name)[rows, cols]
    session.cache.fill_samples(
        rows,
        cols,
        6,
        classified.point_group_probabilities[rows, cols],
        classified.bravais_probabilities[rows, cols],
        classified.pattern_quality[rows, cols],
    )

    save_figure(session, tmp_path / "map.png", level="bravais_lattice", legend=False)

    assert session.cache.painted.sum() > 300
    image = picture(tmp_path / "map.png")
    top, bottom, left, right = map_frame(image)
    white = where(image[top + 3 : bottom - 2, left + 3 : right - 2], "#ffffff").mean()
    assert white > 0.9


def test_a_large_map_gets_a_dot_for_every_pixel(tmp_path):
    random = np.random.default_rng(5)
    shape = (60, 2400)
    phase_map = PhaseMap(
        random.dirichlet(np.full(32, 0.05), shape),
        random.dirichlet(np.full(14, 0.1), shape),
        np.ones(shape),
    )

    save_figure(MapSession(None, phase_map, name="wide"), tmp_path / "map.png", dpi=100)

    _, _, left, right = map_frame(picture(tmp_path / "map.png"))
    assert right - left + 1 >= 2400


@pytest.mark.parametrize("suffix", [".svg", ".SVG"])
def test_a_drawing_has_the_colors_of_the_legend_as_shapes(session, tmp_path, suffix):
    save_figure(session, tmp_path / f"map{suffix}", level="bravais_lattice")

    root = ElementTree.parse(tmp_path / f"map{suffix}").getroot()
    fills = {
        entry.split(":")[1].strip()
        for element in root.iter()
        for entry in element.get("style", "").split(";")
        if entry.strip().startswith("fill:")
    }
    assert {color("bravais_lattice", "cF"), color("bravais_lattice", "cI")} <= fills
    assert [e for e in root.iter() if e.tag.endswith("}image")]


def test_a_document_has_fonts_that_journals_accept(session, tmp_path):
    save_figure(session, tmp_path / "map.pdf")

    content = (tmp_path / "map.pdf").read_bytes()
    assert content.startswith(b"%PDF")
    assert content.rstrip().endswith(b"%%EOF")
    assert b"/Subtype /Type3" not in content
    assert b"/Type0" in content


def test_drawing_leaves_the_users_own_plots_alone(session, tmp_path):
    before = dict(matplotlib.rcParams)

    save_figure(session, tmp_path / "map.pdf")

    assert dict(matplotlib.rcParams) == before


def test_the_legend_as_a_table(session, classified, tmp_path):
    save_legend(session, tmp_path / "legend.csv")

    with (tmp_path / "legend.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    summary = classified.summary()
    assert [(r["label"], r["level"], int(r["pixels"])) for r in rows] == [
        (row.label or "undecided", row.level, row.count) for row in summary
    ]
    for written, row in zip(rows, summary, strict=False):
        assert written["color"] == color(row.level, row.label)
        assert float(written["area_share"]) == pytest.approx(row.fraction, abs=1e-6)
        assert float(written["mean_probability"]) == pytest.approx(row.mean_probability, abs=1e-5)


def test_the_table_of_a_map_in_part_counts_what_is_missing(session, tmp_path):
    # The figure and its legend are about the part that is classified; a hole in it is counted.
    session.phase_map = session.phase_map.crop(slice(None), slice(None))
    session.phase_map.done = session.phase_map.done.copy()
    session.phase_map.done[10:12, 30:33] = False

    save_legend(session, tmp_path / "legend.csv")

    last = (tmp_path / "legend.csv").read_text(encoding="utf-8").splitlines()[-1]
    assert last == "not classified yet,none,,,,6"


def test_the_legend_as_a_picture_shows_every_name(session, classified, tmp_path):
    save_legend(session, tmp_path / "legend.png", level="bravais_lattice", hidden={value_of("cI")})

    image = picture(tmp_path / "legend.png")
    for lattice in lattices(classified):
        shown = where(image, color("bravais_lattice", lattice)).any()
        assert shown == (lattice != "cI")


@pytest.mark.parametrize("name", ["map.gif", "map.csv", "map"])
def test_an_unknown_format_says_which_there_are(session, tmp_path, name):
    with pytest.raises(InputError, match=r"use one of \.png, \.svg, \.pdf$"):
        save_figure(session, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_nothing_to_draw_says_so(tmp_path):
    empty = MapSession(None, PhaseMap.empty((4, 5)), name="steel")

    for session in (empty, MapSession(None, None, name="steel")):
        for save in (save_figure, save_legend):
            with pytest.raises(InputError, match="steel: nothing is classified yet"):
                save(session, tmp_path / "map.png")
    assert not list(tmp_path.iterdir())


def test_an_unknown_level_and_resolution_are_refused(session, tmp_path):
    with pytest.raises(InputError, match="no map of 'phase'"):
        save_figure(session, tmp_path / "map.png", level="phase")
    with pytest.raises(InputError, match="dots per inch"):
        save_figure(session, tmp_path / "map.png", dpi=5000)


def test_a_file_is_replaced_only_if_asked(session, tmp_path):
    target = tmp_path / "map.png"
    target.write_text("precious")

    with pytest.raises(InputError, match="exists already"):
        save_figure(session, target, overwrite=False)
    assert target.read_text() == "precious"
    save_figure(session, target)
    assert picture(target).ndim == 3
    assert [path.name for path in tmp_path.iterdir()] == ["map.png"]


def test_a_folder_that_is_not_there_is_one_line(session, tmp_path):
    with pytest.raises(InputError, match="there is no folder"):
        save_figure(session, tmp_path / "missing" / "map.png")
