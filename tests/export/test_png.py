# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures show the map in its colours, whatever its shape."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_ebsd_phase.crystallography import UNDECIDED_COLOR, color
from napari_ebsd_phase.export import png, words
from napari_ebsd_phase.phase_map import PhaseMap


def picture(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def count(image: np.ndarray, color: str) -> int:
    rgb = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
    return int((image == rgb).all(axis=-1).sum())


def test_areas_in_the_picture_are_those_of_the_map(phase_map: PhaseMap, tmp_path: Path) -> None:
    phase_map.save(tmp_path / "map.png")
    image = picture(tmp_path / "map.png")
    lattice = phase_map.bravais_lattice
    ratio = count(image, color("bravais_lattice", "cI")) / count(
        image, color("bravais_lattice", "cF")
    )
    # The swatches in the legend are a few pixels more.
    assert ratio == pytest.approx((lattice == "cI").sum() / (lattice == "cF").sum(), rel=0.05)
    for wanted in (color("point_group", "m-3m"), UNDECIDED_COLOR):
        assert count(image, wanted) > 1000


def test_the_legend_names_every_label_with_its_share(phase_map: PhaseMap) -> None:
    panel = png._label_panel(phase_map)
    texts = [entry.text for entry in panel.legend]
    assert texts.index("Point group") < texts.index("Laue group")
    shares = {(e.text, e.color): e.share for e in panel.legend}
    row = next(r for r in phase_map.summary() if r.level == "none")
    assert shares["undecided", UNDECIDED_COLOR] == f"{100 * row.fraction:.1f} %"
    assert r"$m\overline{3}m$" in texts


def test_rare_names_do_not_bury_the_others() -> None:
    random = np.random.default_rng(1)
    noise = PhaseMap(
        random.dirichlet(np.full(32, 0.05), (40, 50)),
        random.dirichlet(np.full(14, 0.1), (40, 50)),
        np.ones((40, 50)),
    )
    legend = png._label_panel(noise).legend
    assert len(legend) <= 20
    assert any(entry.text.endswith(" more") for entry in legend)
    shares = [float(e.share.removesuffix(" %")) for e in legend if e.share]
    assert sum(shares) == pytest.approx(100, abs=1)


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        ("-43m", r"$\overline{4}3m$"),
        ("-6m2", r"$\overline{6}m2$"),
        ("4/mmm", "$4/mmm$"),
        ("cubic", "cubic"),
        ("cF", "$cF$"),
    ],
)
def test_symbols_are_set_as_the_field_prints_them(name: str, printed: str) -> None:
    assert words.typeset(name) == printed


@pytest.mark.parametrize(
    ("extent", "units", "text"),
    [
        (40.0, "um", "10 µm"),
        (4.5, "um", "1 µm"),
        (1.2, "um", "200 nm"),
        (9000.0, "um", "2 mm"),
        (80.0, "px", "20 px"),
        (2.0, "px", "1 px"),
        (50.0, "nm", "10 nm"),
    ],
)
def test_the_scale_bar_has_a_round_length(extent: float, units: str, text: str) -> None:
    length, name = words.nice_length(extent, units)
    assert name == text
    assert length <= max(extent / 4, 1.0)


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0.0 %"), (1, "< 0.1 %"), (500, "5.0 %"), (9999, "> 99.9 %"), (10000, "100.0 %")],
)
def test_a_rounded_share_does_not_deny_a_pixel(count: int, text: str) -> None:
    assert words.percent(count / 10000) == text


@pytest.mark.parametrize(
    "shape", [(1, 1), (3, 3), (1, 300), (300, 1), (10, 200), (200, 10), (2, 999)]
)
def test_maps_of_any_shape_give_a_picture_of_readable_size(
    shape: tuple[int, int], make_map: Callable[..., PhaseMap], tmp_path: Path
) -> None:
    make_map(shape).save(tmp_path / "map.png")
    height, width, _ = picture(tmp_path / "map.png").shape
    assert 900 < width < 4600
    assert 600 < height < 4600


def test_a_large_map_keeps_every_pixel(tmp_path: Path) -> None:
    shape = (500, 1000)
    lattices = np.zeros((*shape, 14), np.float32)
    lattices[..., 13] = 1
    lattices[::7, ::7] = np.eye(14)[12]
    cubic = np.broadcast_to(np.eye(32)[31], (*shape, 32))
    phase_map = PhaseMap(cubic, lattices, np.ones(shape))
    phase_map.save(tmp_path / "map.png")
    image = picture(tmp_path / "map.png")
    dots = count(image, color("bravais_lattice", "cI"))
    assert dots >= (lattices[..., 12] == 1).sum()


def test_a_map_in_part_shows_the_part(partial_map: PhaseMap, tmp_path: Path) -> None:
    shown, place = png._crop_to_done(partial_map)
    assert shown.shape == (4, 10)
    assert place == "rows 2 to 5, columns 3 to 12 of 12 × 20"
    partial_map.save(tmp_path / "map.png")
    assert picture(tmp_path / "map.png").size


def test_a_map_without_a_classified_pattern_is_drawn(tmp_path: Path) -> None:
    PhaseMap.empty((4, 5)).save(tmp_path / "map.png")
    assert picture(tmp_path / "map.png").size


def test_names_of_files_are_written_as_they_are(
    make_map: Callable[..., PhaseMap], tmp_path: Path
) -> None:
    # Markup, letters that the font does not have, and bytes that are no text.
    names = ["$\\frac{$.png", "中文.png", "\udcff.png", "x" * 300 + ".png"]
    make_map((1, 4), sources=names).save(tmp_path / "map.png")
    make_map((2, 2), sources=[names[0]]).save(tmp_path / "other.png")
    assert png._names_below(make_map((1, 4), sources=names))[1] == "??"
    with Image.open(tmp_path / "map.png") as image:
        assert image.text["Software"].startswith("napari-ebsd-phase")


def test_drawing_needs_no_display_and_leaves_pyplot_alone(tmp_path: Path) -> None:
    code = (
        "import sys, numpy as np; from napari_ebsd_phase.phase_map import PhaseMap; "
        f"PhaseMap.empty((3, 3)).save({str(tmp_path / 'map.png')!r}); "
        "print('matplotlib.pyplot' in sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "False"
