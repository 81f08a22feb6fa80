# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks on disk, bundled ones or a user's: each is checked before it is believed."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors

from .card import read_card
from .classifier import SUFFIX, Classifier
from .errors import InputError
from .network_mean import build_network
from .outputs import CLASSES

__all__ = ["installed_classifiers", "load_classifier"]


def installed_classifiers() -> list[str]:
    """Names of the classifiers that come with the package."""
    folder = files(__package__).joinpath("weights")
    if not folder.is_dir():
        return []
    names = (f.name for f in folder.iterdir())
    return sorted(n.removesuffix(SUFFIX) for n in names if n.endswith(SUFFIX))


def load_classifier(
    name: str | Path | None = None, *, device: str = "auto", precision: str = "auto"
) -> Classifier:
    """Load a bundled classifier by name, or one from a file.

    Parameters
    ----------
    name
        Name of a bundled classifier (``default`` when None) or path of a ``.safetensors`` file
        whose card lies beside it.
    device
        ``auto``, ``cpu``, ``cuda`` or ``mps``.
    precision
        ``auto``, ``float32``, ``bfloat16`` or ``int8``, see :class:`Classifier`.

    Returns
    -------
    Classifier

    Raises
    ------
    InputError
        If the name is unknown, the card is missing, damaged or of other classes, or the weights
        do not match the card.
    """
    name = name or "default"
    bundled = installed_classifiers()
    if str(name) in bundled:
        path = Path(str(files(__package__).joinpath("weights", f"{name}{SUFFIX}")))
    else:
        path = Path(name)
        if path.suffix != SUFFIX:
            known = ", ".join(bundled) or "none"
            raise InputError(
                f"no network {str(name)!r}: give a .safetensors file or an installed one ({known})"
            )
    card = read_card(path.with_suffix(".json"))
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read the network {path}: {error.strerror}") from error
    if hashlib.sha256(data).hexdigest() != card["sha256"]:
        raise InputError(
            f"{path} does not match its card: the file is damaged or the card is another's; "
            "get both again"
        )
    network = build_network(card["architecture"])
    outputs = network.architecture.outputs
    if outputs not in (CLASSES, CLASSES + 1):
        raise InputError(f"{path} gives {outputs} scores, not one for each of {CLASSES} classes")
    try:
        tensors = load_tensors(data)
        network.load_state_dict(tensors)
    except (SafetensorError, RuntimeError, KeyError) as error:
        # The first line of what torch says names the class only, the second what does not fit.
        reason = str(error).splitlines()[:2][-1].strip()
        raise InputError(
            f"{path} holds no weights for the network on its card ({reason}): get both again"
        ) from error
    if not all(bool(torch.isfinite(t).all()) for t in tensors.values() if t.is_floating_point()):
        raise InputError(f"{path} holds weights that are not numbers: train the network again")
    return Classifier(network, card, device, precision)
