# SPDX-License-Identifier: GPL-3.0-or-later
"""Simulated patterns beside labelled ones, foreign detectors, augmentation and adaptation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_ebsd_phase import InputError
from napari_ebsd_phase.preprocessing import Preprocessing
from napari_ebsd_phase.training.fine_tune_adapt import adapt
from napari_ebsd_phase.training.fine_tune_augment import augment
from napari_ebsd_phase.training.fine_tune_cameras import FOREIGN_CAMERAS, foreign_patterns
from napari_ebsd_phase.training.fine_tune_labels import pair_of
from napari_ebsd_phase.training.fine_tune_memory import (
    patterns_of_bundled,
    patterns_of_cif,
)

from ._fine_tune_data import frames, labelled, masters, network

CIF = """data_nickel
_symmetry_Int_Tables_number 225
_symmetry_space_group_name_H-M 'F m -3 m'
_cell_length_a 3.52
_cell_length_b 3.52
_cell_length_c 3.52
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
Ni1 Ni 0 0 0
"""


def test_bundled_structures_give_patterns_of_many_classes():
    done = []

    found = patterns_of_bundled(
        Preprocessing(), patterns=64, structures=6, progress=lambda *counts: done.append(counts)
    )

    assert found.inputs.shape == (64, 1, 64, 64)
    assert done == [(n, 6) for n in range(1, 7)]
    assert len(np.unique(found.pairs[found.pairs >= 0])) > 2
    again = patterns_of_bundled(Preprocessing(), patterns=64, structures=6)
    assert again.sha256() == found.sha256()


def test_a_cif_file_gives_patterns_of_its_class(tmp_path):
    (tmp_path / "nickel.cif").write_text(CIF, encoding="utf-8")

    found = patterns_of_cif([tmp_path / "nickel.cif"], Preprocessing(), each=16)

    assert found.pairs.tolist() == [pair_of("m-3m:cF")] * 16
    assert list(found.source["structures"]) == ["nickel.cif"]
    with pytest.raises(InputError, match="no such file"):
        patterns_of_cif([tmp_path / "none.cif"], Preprocessing())


def test_augmented_patterns_are_repeatable_and_stay_patterns():
    inputs = labelled(6, seed=5).inputs

    first, second, other = (augment(inputs, torch.Generator().manual_seed(s)) for s in (1, 1, 2))

    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert first.shape == inputs.shape
    spread = first.std(dim=(1, 2, 3)) / inputs.std(dim=(1, 2, 3))
    assert ((spread > 0.7) & (spread < 1.3)).all()


def test_augmentation_leaves_a_screen_dark_outside():
    inputs = labelled(4, seed=5).inputs.clone()
    inputs[..., :20, :] = 0

    assert (augment(inputs, torch.Generator().manual_seed(0))[..., :8, :] == 0).all()


def test_some_augmented_patterns_are_mirror_images():
    ramp = torch.linspace(-1, 1, 64).expand(40, 1, 64, 64).contiguous()

    result = augment(ramp, torch.Generator().manual_seed(0))

    right = (result[..., 40:].mean(dim=(1, 2, 3)) > result[..., :24].mean(dim=(1, 2, 3))).sum()
    assert 8 < int(right) < 32


def test_a_foreign_detector_is_the_same_from_call_to_call():
    first, again = (frames(0, 3, seed=4) for _ in range(2))

    assert np.array_equal(first, again)
    assert first.dtype == np.uint8
    assert first.shape == (3, *FOREIGN_CAMERAS["skewed"].shape)
    assert not np.array_equal(first[0], first[1])


def test_all_foreign_detectors_record_patterns_with_contrast():
    stack = masters()[0].data[None]

    for camera in FOREIGN_CAMERAS.values():
        found = foreign_patterns(stack, [0, 0], camera, seed=0)
        assert found.std(axis=(1, 2)).min() > 10
        assert ((found == 0) | (found == 255)).mean() < 0.05


def test_adaptation_moves_statistics_as_far_as_asked():
    inputs = labelled(8, seed=3).inputs
    before = network().network.state_dict()

    half, whole, none = (
        adapt(network(), inputs, share).network.state_dict() for share in (0.5, 1.0, 0.0)
    )

    name = next(name for name in before if name.endswith("running_mean"))
    assert torch.equal(none[name], before[name])
    assert not torch.equal(whole[name], before[name])
    assert torch.allclose(half[name], (before[name] + whole[name]) / 2, atol=1e-5)
    trained = [name for name in before if "running" not in name and "num_batches" not in name]
    assert all(torch.equal(half[name], before[name]) for name in trained)


def test_an_adapted_network_says_so_on_its_card():
    card = adapt(network(), labelled(8, seed=3).inputs, 0.25, name="here").card

    assert card["name"] == "here"
    assert card["metrics"] == {}
    assert card["training"]["adapted_from_sha256"] == network().sha256
    assert card["training"]["share"] == 0.25


@pytest.mark.parametrize(("count", "share"), [(3, 0.5), (8, 1.5)])
def test_wrong_adaptations_are_refused(count, share):
    with pytest.raises(InputError):
        adapt(network(), labelled(count, seed=3).inputs, share)
