# SPDX-License-Identifier: GPL-3.0-or-later
"""What the cards of networks say, read without loading a network.

:mod:`..classifier` checks more, and needs torch, which takes seconds to import: too long for a
list of names and a table.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from ..crystallography import LEVELS
from ..errors import InputError

SUFFIX = ".safetensors"

#: What is expected beforehand where a card recommends nothing: phases are not equally common.
DEFAULT_PRIOR = "known"

_TESTS = {
    "seen": "materials seen in training",
    "unseen": "materials never seen",
    "calibration": "materials never seen (calibrated on)",
    "unknown": "materials perhaps seen",
    "simulator": "another simulator",
    "simulator_seen": "another simulator, seen materials",
    "simulator_unknown": "another simulator, perhaps seen",
    "measured": "measured",
}


_MATERIALS = {
    "train": "Materials trained on",
    "calibration": "Materials calibrated on",
    "test": "Materials tested on",
    "simulator": "Materials of another simulator",
}

_TRAINING = {
    "steps": "Optimiser steps",
    "patterns": "Patterns trained on",
    "split": "How materials were split",
    "library": "Library of master patterns",
    "hours": "Hours of training",
    "device": "Trained on",
}


@dataclass(frozen=True)
class Score:
    """Accuracies of one test: the share of patterns whose most probable class is right.

    Attributes
    ----------
    test
        What was tested, in words.
    materials, patterns
        How much it was tested on; None where the card does not say.
    accuracy
        By level, 0 to 1.
    interval
        By level: bounds of 95 % of the bootstrapped accuracies, where the card has them.
    """

    test: str
    materials: int | None
    patterns: int | None
    accuracy: dict[str, float]
    interval: dict[str, tuple[float, float]]


def network_names() -> list[str]:
    """Names of the bundled networks, the default one first."""
    names = sorted(
        file.name.removesuffix(SUFFIX)
        for file in files("napari_ebsd_phase").joinpath("weights").iterdir()
        if file.name.endswith(SUFFIX)
    )
    return sorted(names, key=lambda name: name != "default")


def card_path(network: str) -> Path:
    """Card of a bundled network, or beside a ``.safetensors`` file."""
    if network in network_names():
        return Path(str(files("napari_ebsd_phase").joinpath("weights", f"{network}.json")))
    return Path(network).with_suffix(".json")


def read_card(network: str) -> dict[str, Any]:
    """Read the card of a network.

    Parameters
    ----------
    network
        Name of a bundled network or path of a ``.safetensors`` file.

    Raises
    ------
    InputError
        If there is no card, or it is damaged.
    """
    path = card_path(network)
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"the card {path} is missing or unreadable; put it beside the network"
        ) from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"the card {path} is no valid JSON: get it again") from error
    needed = ("classes", "known_structures", "training", "metrics", "threshold")
    if not isinstance(card, dict) or any(key not in card for key in needed):
        raise InputError(f"the card {path} is no model card: get it again")
    return card


def recommended_prior(card: dict[str, Any]) -> str:
    """Class prior to begin with: the card's own (field ``prior``), else ``known``."""
    prior = card.get("prior")
    return prior if isinstance(prior, str) else DEFAULT_PRIOR


def scores(card: dict[str, Any]) -> list[Score]:
    """All tests on a card, at whatever depth they lie."""
    more = card.get("with_centre")
    known = _scores(more.get("metrics"), ()) if isinstance(more, dict) else ()
    return [
        *_scores(card["metrics"], ()),
        *(replace(each, test=f"{each.test}, projection centre known") for each in known),
    ]


def _scores(metrics: Any, path: tuple[str, ...]) -> Iterator[Score]:
    if not isinstance(metrics, dict):
        return
    levels = {level: metrics.get(level) for level in LEVELS}
    found = {k: v for k, v in levels.items() if isinstance(v, dict) and "accuracy" in v}
    if len(found) < len(LEVELS):
        for key, value in metrics.items():
            yield from _scores(value, (*path, str(key)))
        return
    test, *camera = path or ("",)
    yield Score(
        ", ".join([_TESTS.get(test, test), *(f"{name} camera" for name in camera)]),
        _number(metrics.get("materials")),
        _number(metrics.get("patterns")),
        {level: float(value["accuracy"]) for level, value in found.items()},
        {
            level: (float(value["interval"][0]), float(value["interval"][1]))
            for level, value in found.items()
            if "interval" in value
        },
    )


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) else None


def recall(card: dict[str, Any], test: str, level: str) -> dict[str, float]:
    """Share of patterns of each class that were named right in a test, its middle camera.

    Empty where the card does not have it.
    """
    cameras = card["metrics"].get(test)
    if not isinstance(cameras, dict) or not cameras:
        return {}
    camera = cameras.get("fast", next(iter(cameras.values())))
    table = camera.get(level, {}).get("recall", {}) if isinstance(camera, dict) else {}
    return {name: float(entry["accuracy"]) for name, entry in table.items()}


def facts(card: dict[str, Any]) -> list[tuple[str, str]]:
    """What a card says of the network as a whole: pairs of heading and text."""
    architecture, preprocessing = card.get("architecture", {}), card.get("preprocessing", {})
    size = preprocessing.get("size")
    view = {"pixels": "the pattern itself", "lines": "its Radon transform (lines)"}
    members = architecture.get("members", [architecture])
    looks_at = " and ".join(view.get(member.get("view", "pixels"), "") for member in members)
    lines = [
        ("Name", card.get("name")),
        ("Version", card.get("version")),
        ("Licence", card.get("licence")),
        ("Input", f"{size} × {size} pixels, {looks_at}"),
        ("A label needs a probability of", f"{card['threshold']:g}"),
        ("Proposed class prior", recommended_prior(card)),
        ("Patterns and mirror images averaged", "yes" if card.get("mirrored_views") else "no"),
        ("SHA-256 of the weights", card.get("sha256")),
    ]
    return [(heading, str(text)) for heading, text in lines if text is not None]


def training_facts(card: dict[str, Any]) -> list[tuple[str, str]]:
    """How the network was trained: pairs of heading and text."""
    training = card["training"]
    lines = [
        (_MATERIALS.get(key, f"{key} materials"), _text(value))
        for key, value in training.get("materials", {}).items()
    ]
    lines += [
        (f"Master patterns, {kind}", _text(value))
        for kind, value in training.get("kinds", {}).items()
    ]
    lines += [
        (_TRAINING.get(key, key.replace("_", " ").capitalize()), _text(value))
        for key, value in training.items()
        if isinstance(value, str | int | float)
    ]
    return lines


def _text(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
