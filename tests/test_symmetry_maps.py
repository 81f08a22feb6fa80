# SPDX-License-Identifier: GPL-3.0-or-later
"""Maps of how well a pattern agrees with itself, against crystals whose axes are known."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_ebsd_phase.errors import InputError
from napari_ebsd_phase.preprocessing import Preprocessing, fit_screen, prepare
from napari_ebsd_phase.symmetry_maps import (
    CELLS,
    VIEW_CHANNELS,
    Centre,
    SymmetryMaps,
    _compiled,
    _with_torch,
    cells_of,
    symmetry_maps,
)
from napari_ebsd_phase.training.pattern_simulation import render
from napari_ebsd_phase.training.symmetry_targets import laue_elements

from ._masters import emsoft_master

SIZE = 64
#: Projection centre of the frames below, in Bruker's convention.
CENTRE = (0.48, 0.42, 0.55)
ORDERS = (2, 3, 4, 6)


@pytest.fixture(scope="module")
def nickel() -> np.ndarray:
    return emsoft_master("Ni")


def turned_to(axis: tuple[float, float, float], about: float = 0.3) -> np.ndarray:
    """Rotation that puts a crystal direction at the middle of the screen's normal."""
    z = np.array(axis) / np.linalg.norm(axis)
    x = np.cross(z, [0.31, -0.52, 0.79])
    x /= np.linalg.norm(x)
    base = np.stack([x, np.cross(z, x), z], axis=1)
    cos, sin = np.cos(about), np.sin(about)
    return np.asarray(base @ np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]]))


def maps_of(master: np.ndarray, rotation: np.ndarray) -> tuple[torch.Tensor, Centre]:
    frame = render(master, rotation, (96, 96), CENTRE)
    mask = np.ones(frame.shape, dtype=bool)
    inputs = prepare(frame[None], Preprocessing(size=SIZE), mask=mask)
    centre = Centre.of_screen(CENTRE, mask, SIZE)
    return symmetry_maps(inputs, centre)[0], centre


def cell_of(centre: Centre, x: float, y: float) -> tuple[int, int]:
    """Cell of a point of the prepared pattern."""
    margin, side = cells_of(SIZE)
    return int((y - margin) // side), int((x - margin) // side)


@pytest.mark.parametrize(
    ("axis", "order"), [((0, 0, 1), 4), ((1, 1, 1), 3), ((1, 0, 1), 2)], ids=str
)
def test_an_axis_of_nickel_agrees_with_itself_at_its_order(
    nickel: np.ndarray, axis: tuple[float, float, float], order: int
) -> None:
    maps, centre = maps_of(nickel, turned_to(axis))
    row, col = cell_of(centre, centre.x, centre.y)
    around = slice(row - 1, row + 2), slice(col - 1, col + 2)
    for group in (0, 4):  # inner and outer circles
        channel = group + ORDERS.index(order)
        assert maps[channel][around].max() > 0.65
        # The best agreement of all directions lies there.
        assert maps[channel][around].max() == maps[channel].max()
    if order != 2:  # mirror lines of an n-fold axis of m-3m, at equal angles
        assert maps[13 + 1 + ORDERS.index(order)][around].max() > 0.65


def test_an_order_that_the_axis_does_not_have_does_not_agree(nickel: np.ndarray) -> None:
    fourfold, centre = maps_of(nickel, turned_to((0, 0, 1)))
    threefold, _ = maps_of(nickel, turned_to((1, 1, 1)))
    row, col = cell_of(centre, centre.x, centre.y)
    # What repeats twelve times in a turn repeats three and four times, too: not nothing.
    four, three = 4 + ORDERS.index(4), 4 + ORDERS.index(3)
    assert fourfold[three, row, col] < 0.85 * fourfold[four, row, col]
    assert threefold[four, row, col] < 0.85 * threefold[three, row, col]
    # Four times a quarter are two halves, three thirds are not.
    assert fourfold[4 + ORDERS.index(2), row, col] > 0.65
    assert threefold[4 + ORDERS.index(2), row, col] < 0.85 * threefold[three, row, col]


def test_axes_away_from_the_middle_are_found_where_the_crystal_has_them(
    nickel: np.ndarray,
) -> None:
    elements = laue_elements(225)
    rng = np.random.default_rng(3)
    on, off = [], []
    for _ in range(16):
        rotation, _ = np.linalg.qr(rng.standard_normal((3, 3)))
        rotation *= np.sign(np.linalg.det(rotation))
        maps, centre = maps_of(nickel, rotation)
        fourfold = maps[4 + ORDERS.index(4)]
        free = np.ones((CELLS, CELLS), dtype=bool)
        for axis, channel in zip(elements.axes, elements.channels, strict=True):
            v = rotation.T @ axis
            x = centre.x + centre.distance * v[0] / v[2]
            y = centre.y - centre.distance * v[1] / v[2]
            row, col = cell_of(centre, x, y)
            if channel != ORDERS.index(4) or not (4 <= row < 24 and 4 <= col < 24):
                continue
            on.append(float(fourfold[row - 1 : row + 2, col - 1 : col + 2].max()))
            free[row - 3 : row + 4, col - 3 : col + 4] = False
        off.append(float(np.where(free[3:-3, 3:-3], fourfold[3:-3, 3:-3], -1).max()))
    assert len(on) >= 4
    assert np.median(on) > 0.6
    assert np.median(on) > np.max(off)


def test_a_wrong_projection_centre_hides_the_axes(nickel: np.ndarray) -> None:
    """What the maps are worth hangs on it, so this must not go unnoticed."""
    rng = np.random.default_rng(5)
    rotation, _ = np.linalg.qr(rng.standard_normal((3, 3)))
    frame = render(nickel, rotation * np.linalg.det(rotation), (96, 96), CENTRE)
    mask = np.ones(frame.shape, dtype=bool)
    inputs = prepare(frame[None], Preprocessing(size=SIZE), mask=mask)
    right = Centre.of_screen(CENTRE, mask, SIZE)
    best = {}
    for name, centre in (
        ("right", right),
        ("near", Centre(right.x + 1, right.y - 1, right.distance)),
        ("wrong", Centre(right.x, right.y + 26, right.distance * 1.8)),
    ):
        best[name] = float(symmetry_maps(inputs, centre)[0, 13:18].flatten(1).amax(1).sum())
    assert best["near"] > 0.9 * best["right"]
    assert best["wrong"] < 0.85 * best["right"]


def test_compiled_and_torch_agree() -> None:
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(19, 1, SIZE, SIZE, generator=generator)  # more than one set of lanes
    inputs[:, :, :, :9] = 0
    centre = Centre(29.5, 20.25, 38.0)
    assert torch.allclose(_compiled(inputs, centre), _with_torch(inputs, centre), atol=1e-5)


def test_patterns_do_not_mind_their_neighbours() -> None:
    """A tile, or a batch, of another size gives the same bits."""
    inputs = torch.randn(31, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(9))
    centre = Centre(30.0, 22.0, 41.0)
    whole = symmetry_maps(inputs, centre)
    for part in (slice(0, 1), slice(3, 8), slice(2, 19), slice(14, 28), slice(10, 31)):
        assert torch.equal(symmetry_maps(inputs[part], centre), whole[part])


def test_another_size_of_the_input_gives_maps_of_the_same_shape() -> None:
    inputs = torch.randn(2, 1, 96, 96, generator=torch.Generator().manual_seed(2))
    maps = symmetry_maps(inputs, Centre(48.0, 30.0, 50.0))
    assert maps.shape == (2, VIEW_CHANNELS, CELLS, CELLS)
    assert torch.isfinite(maps).all()


def test_a_pattern_without_contrast_gives_numbers() -> None:
    maps = symmetry_maps(torch.zeros(1, 1, SIZE, SIZE), Centre(32.0, 20.0, 40.0))
    assert torch.isfinite(maps).all()
    assert maps[0, :18].abs().max() == 0


def test_gain_does_not_matter_for_agreement() -> None:
    inputs = torch.randn(1, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(4))
    centre = Centre(32.0, 20.0, 40.0)
    one, ten = symmetry_maps(inputs, centre), symmetry_maps(10 * inputs, centre)
    assert torch.allclose(one[:, :18], ten[:, :18], atol=0.02)


def test_gradients_run_through() -> None:
    generator = torch.Generator().manual_seed(6)
    inputs = torch.randn(1, 1, SIZE, SIZE, generator=generator, requires_grad=True)
    centre = Centre(32.0, 20.0, 40.0)
    weights = torch.randn(VIEW_CHANNELS, CELLS, CELLS, generator=generator)
    value = (symmetry_maps(inputs, centre) * weights).sum()
    (gradient,) = torch.autograd.grad(value, inputs)
    step = 1e-2 * torch.randn(inputs.shape, generator=generator)
    with torch.no_grad():
        there = (symmetry_maps(inputs + step, centre) * weights).sum()
        back = (symmetry_maps(inputs - step, centre) * weights).sum()
    assert float((gradient * step).sum()) == pytest.approx(float(there - back) / 2, rel=0.15)


def test_the_centre_follows_crop_and_scale() -> None:
    mask = np.zeros((60, 90), dtype=bool)
    mask[5:55, 10:80] = True  # a screen that does not fill the frame
    centre = Centre.of_screen((0.5, 0.25, 0.6), mask, SIZE)
    fit = fit_screen(mask, SIZE)
    assert centre.x == pytest.approx((45 - fit.col0) / fit.scale)
    assert centre.y == pytest.approx((15 - fit.row0) / fit.scale)
    assert centre.distance == pytest.approx(36 / fit.scale)


@pytest.mark.parametrize(
    "told", [(0.5, 0.5, 0.0), (0.5, 0.5, -1.0), (np.nan, 0.5, 0.5), (0.5, 0.5, 400.0)]
)
def test_what_is_no_projection_centre_is_refused(told: tuple[float, float, float]) -> None:
    with pytest.raises(InputError, match="no projection centre"):
        Centre.of_screen(told, np.ones((48, 48), dtype=bool), SIZE)


def test_the_layer_says_that_it_needs_a_centre() -> None:
    with pytest.raises(InputError, match="needs their projection centre"):
        SymmetryMaps()(torch.zeros(1, 1, SIZE, SIZE))


def test_compiled_now_or_before_gives_the_same_bits(tmp_path: Path) -> None:
    """What is in numba's cache must not decide the last digits of a map."""
    program = (
        "import hashlib, sys, torch; from napari_ebsd_phase.symmetry_maps import *; "
        "x = torch.randn(17, 1, 64, 64, generator=torch.Generator().manual_seed(4)); "
        "parts = [x[int(a):int(b)] for a, b in (w.split(':') for w in sys.argv[1:])]; "
        "maps = torch.cat([symmetry_maps(p, Centre(31.0, 21.0, 40.0)) for p in parts]); "
        "print(hashlib.sha256(maps.numpy().tobytes()).hexdigest())"
    )

    def bits(*parts: str) -> str:
        run = subprocess.run(
            [sys.executable, "-c", program, *parts],
            env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        )
        return run.stdout.strip()

    one = bits("0:1")  # leaves the loop for single patterns compiled, the other one not
    both = bits("0:16", "16:17")
    assert both == bits("0:16", "16:17")
    assert one == bits("0:1") != both
