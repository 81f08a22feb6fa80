# SPDX-License-Identifier: GPL-3.0-or-later
"""Symmetry elements lie where they are marked, and are those of the crystal."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_ebsd_phase.errors import InputError
from napari_ebsd_phase.network import Architecture, SymmetryNet
from napari_ebsd_phase.preprocessing import fit_screen
from napari_ebsd_phase.radon import radon_matrix
from napari_ebsd_phase.saliency.sphere import lambert_direction
from napari_ebsd_phase.training.lattice_symmetry import point_operations
from napari_ebsd_phase.training.pattern_simulation import render
from napari_ebsd_phase.training.structures import load_structures
from napari_ebsd_phase.training.symmetry_head import SymmetryHead, symmetry_loss
from napari_ebsd_phase.training.symmetry_targets import laue_elements, line_targets

SIZE = 64
CELLS = (16, 12)


def lambert_directions(side: int = 401) -> np.ndarray:
    """Unit vectors of the grid of a master pattern, (2, side, side, 3)."""
    north = lambert_direction(side)
    return np.stack([north, north * (1, 1, -1)])


def random_rotation(seed: int) -> np.ndarray:
    q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    return q


def line_image(master: np.ndarray, rotation: np.ndarray, centre: tuple) -> np.ndarray:
    """Mean along each line of a noiseless frame, at four times the resolution of the targets."""
    fine = (4 * CELLS[0], 4 * CELLS[1])
    matrix = radon_matrix(SIZE, *fine)
    frame = render(master, rotation, (SIZE, SIZE), centre)
    length = matrix @ np.ones(SIZE * SIZE, dtype=np.float32)
    return (matrix @ frame.ravel() / length.clip(1) * (length > 24)).reshape(fine)


def targets_of(space_group: int, rotation: np.ndarray, centre: tuple) -> np.ndarray:
    x, y, distance = centre
    geometry = np.array([[*rotation.ravel(), x * SIZE, y * SIZE, distance * SIZE, 1.0]])
    fit = fit_screen(np.ones((SIZE, SIZE), bool), SIZE)
    return line_targets(np.array([space_group]), geometry, fit, SIZE, CELLS)[0]


@pytest.mark.parametrize("seed", range(4))
def test_a_mirror_plane_is_marked_where_a_pattern_shows_it(seed: int) -> None:
    directions = lambert_directions()
    # The plane of b in a monoclinic crystal, drawn as a bright great circle.
    master = (255 * (np.abs(directions[..., 1]) < 0.03)).astype(np.uint8)
    rotation, centre = random_rotation(seed), (0.5, 0.45, 0.5)
    seen = line_image(master, rotation, centre)
    marked = targets_of(14, rotation, centre)[4]
    if seed == 3:  # the plane passes the screen by
        assert seen.max() == 0
        assert marked.max() < 1e-6
        return
    offset, angle = np.unravel_index(seen.argmax(), seen.shape)
    assert marked[offset // 4, angle // 4] > 0.5
    assert (marked > 0.5).sum() <= 4


@pytest.mark.parametrize("seed", range(4))
def test_a_fourfold_axis_is_marked_on_the_lines_through_it(seed: int) -> None:
    directions = lambert_directions()
    rng = np.random.default_rng(seed)
    # c of a tetragonal crystal points to somewhere on the screen.
    x, y = rng.uniform(-0.4, 0.4, 2)
    out = np.array([x, y, 0.6]) / np.linalg.norm([x, y, 0.6])
    around = np.linalg.qr(np.column_stack([out, rng.normal(size=(3, 2))]))[0]
    around[:, 0] *= np.sign(around[:, 0] @ out)
    rotation = around[:, [1, 2, 0]].T  # takes `out` to z
    master = (255 * (np.abs(directions[..., 2]) > 0.9985)).astype(np.uint8)
    centre = (0.5, 0.5, 0.6)
    seen = line_image(master, rotation, centre)
    marked = targets_of(123, rotation, centre)[2]
    best = seen.argmax(axis=0)[2::4] // 4
    assert np.abs(best - marked.argmax(axis=0)).max() <= 1
    assert marked.max(axis=0).min() > 0.5


def test_elements_are_those_that_map_the_atoms() -> None:
    chosen = {}
    for structure in load_structures():
        chosen.setdefault(structure.space_group, structure)
    assert len(chosen) > 100
    for space_group, structure in chosen.items():
        operations = point_operations(structure)
        operations = operations * np.sign(np.linalg.det(operations))[:, None, None]
        found = laue_elements(space_group)
        from_atoms = {}
        for operation in operations:
            angle = np.degrees(np.arccos(np.clip((np.trace(operation) - 1) / 2, -1, 1)))
            if angle < 5:
                continue
            values, vectors = np.linalg.eig(operation)
            axis = np.real(vectors[:, np.argmin(np.abs(values - 1))])
            same = [k for k, a in enumerate(found.axes) if abs(a @ axis) > 0.999]
            assert len(same) == 1, (structure.uid, space_group, axis)
            order = round(360 / angle)
            from_atoms[same[0]] = max(order, from_atoms.get(same[0], 0))
        assert from_atoms == {k: (2, 3, 4, 6)[c] for k, c in enumerate(found.channels)}, (
            structure.uid
        )


def test_nothing_is_asked_where_the_setting_is_not_known() -> None:
    rotation, centre = random_rotation(0), (0.5, 0.5, 0.6)
    unknown = targets_of(0, rotation, centre)
    assert np.isnan(unknown).all()
    found = torch.zeros((1, 5, *CELLS), requires_grad=True)
    loss = symmetry_loss(found, torch.from_numpy(unknown)[None])
    loss.backward()
    assert loss.item() == 0
    assert found.grad is not None
    assert not found.grad.any()


def test_a_network_on_pixels_says_that_it_cannot() -> None:
    with pytest.raises(InputError, match="set symmetry to 0"):
        SymmetryHead(SymmetryNet(Architecture(view="pixels")))


def test_places_of_the_head_and_of_the_targets_are_one() -> None:
    network = SymmetryNet()
    features = network.features(torch.zeros((2, 1, SIZE, SIZE)))
    assert SymmetryHead(network)(features).shape == (2, 5, *CELLS)
