# SPDX-License-Identifier: GPL-3.0-or-later
"""The heat map of the head is Grad-CAM, for networks that end in a mean and one linear layer."""

from __future__ import annotations

import pytest
import torch
from captum.attr import LayerGradCam

from napari_ebsd_phase.crystallography import POINT_GROUPS
from napari_ebsd_phase.loading import load_classifier
from napari_ebsd_phase.mapping import scan_screen
from napari_ebsd_phase.network import SymmetryNet
from napari_ebsd_phase.preprocessing import prepare
from napari_ebsd_phase.saliency.cam import class_activation_maps
from napari_ebsd_phase.samples import sample_path
from napari_ebsd_phase.scan import load_scan


@pytest.fixture(scope="module")
def inputs() -> torch.Tensor:
    with load_scan(sample_path("nickel")) as scan:
        frames = scan.read(slice(None), slice(None)).reshape(-1, 60, 60)
        told = {"mask": scan_screen(scan), "background": scan.static_background}
    return prepare(frames, load_classifier("pixels", device="cpu").preprocessing, **told)


def of_captum(network: SymmetryNet, inputs: torch.Tensor, output: int) -> torch.Tensor:
    """Grad-CAM by captum, with its sign, at the features that the head pools."""
    return LayerGradCam(network, network.features).attribute(inputs, target=output)[:, 0].detach()


@pytest.mark.parametrize("name", ["pixels", "lines"])
@pytest.mark.parametrize("point_group", ["m-3m", "6/mmm", "1"])
def test_of_the_bundled_networks_cam_and_grad_cam_are_one(inputs, name, point_group):
    network = load_classifier(name, device="cpu").network
    output = POINT_GROUPS.index(point_group)
    with torch.no_grad():
        features = network.features(inputs)
        cam = torch.einsum("nchw,c->nhw", features, network.head.weight[output])

    # Grad-CAM weighs by mean gradients, which a mean over positions divides by their number.
    grad_cam = of_captum(network, inputs, output) * cam[0].numel()

    torch.testing.assert_close(grad_cam, cam, rtol=1e-4, atol=1e-4 * float(cam.abs().max()))
    torch.testing.assert_close(
        cam.mean(dim=(1, 2)) + network.head.bias[output], network(inputs)[:, output],
        rtol=1e-4, atol=1e-4,
    )  # fmt: skip


@pytest.mark.parametrize("name", ["pixels", "lines"])
def test_the_part_of_the_head_in_a_heat_map_is_grad_cam(inputs, name):
    """Cut down to its last stage, our map is captum's; earlier stages only make it finer."""
    whole = load_classifier(name, device="cpu").network
    maps = class_activation_maps(whole, inputs, lambda scores: scores[:, 31])
    grad_cam = of_captum(whole, inputs, 31)
    assert maps[-1].shape == grad_cam.shape
    # Every stage adds up to the same amount as all others, but for the constants in between.
    total = torch.stack([m.mean(dim=(1, 2)) for m in maps]).sum(dim=0)
    torch.testing.assert_close(total, grad_cam.sum(dim=(1, 2)), rtol=1e-3, atol=1e-3)
