# SPDX-License-Identifier: GPL-3.0-or-later
"""The model card: what a network is, what it was trained with, and how good it is.

A card is plain JSON beside the weights and can carry no code. It is checked whole when it is made
and when it is read: a network whose card lacks something is refused, not guessed at.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import save as save_tensors

from .crystallography import BRAVAIS_LATTICES, COMPATIBLE, POINT_GROUPS
from .errors import InputError
from .network import SymmetryNet
from .network_mean import NetworkMean

__all__ = ["CARD_VERSION", "card_text", "make_card", "read_card", "weight_bytes"]

CARD_VERSION = 1

_REQUIRED = (
    "card_version",
    "name",
    "classes",
    "architecture",
    "preprocessing",
    "training_prior",
    "known_structures",
    "temperature",
    "threshold",
    "training",
    "metrics",
    "licence",
    "sha256",
    "version",
)


_CENTRED = {"temperature", "threshold", "pattern_threshold", "training_prior", "metrics"}


def weight_bytes(network: SymmetryNet | NetworkMean) -> bytes:
    """The content of a weight file: what the hash on the card is of."""
    tensors = {k: v.detach().cpu().contiguous() for k, v in network.state_dict().items()}
    return save_tensors(tensors)


def card_text(value: Any, indent: str = "") -> str:
    """JSON with a field a line, and lists of plain values on one line: tables stay readable."""
    inner = indent + " "
    if isinstance(value, dict) and value:
        items = [f"{json.dumps(str(k))}: {card_text(v, inner)}" for k, v in value.items()]
        opening, closing = "{}"
    elif isinstance(value, list | tuple) and any(isinstance(v, dict | list | tuple) for v in value):
        items = [card_text(v, inner) for v in value]
        opening, closing = "[]"
    else:
        return json.dumps(value, ensure_ascii=False)
    body = ",\n".join(inner + item for item in items)
    return f"{opening}\n{body}\n{indent}{closing}"


def make_card(name: str, network: SymmetryNet | NetworkMean, **contents: Any) -> dict[str, Any]:
    """A model card, checked to be complete.

    Parameters
    ----------
    name
        Name of the classifier.
    network
        The network the card is for; its architecture and hash are filled in.
    **contents
        The remaining fields: ``preprocessing``, ``training_prior`` and ``known_structures``
        (32 x 14 lists), ``temperature``, ``threshold``, ``training``, ``metrics``, ``licence``,
        ``version``.
    """
    card = {
        "card_version": CARD_VERSION,
        "name": name,
        "classes": {
            "point_group": list(POINT_GROUPS),
            "bravais_lattice": list(BRAVAIS_LATTICES),
        },
        "architecture": network.architecture.to_dict(),
        **contents,
        "sha256": hashlib.sha256(weight_bytes(network)).hexdigest(),
    }
    _check_card(card, name)
    return card


def read_card(path: Path) -> dict[str, Any]:
    """Read and check a card; an :class:`InputError` says in one line what is wrong with it."""
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"the card {path} is missing or unreadable; a network needs its card"
        ) from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"the card {path} is no valid JSON: get it again") from error
    if not isinstance(card, dict):
        raise InputError(f"the card {path} is no model card: get it again")
    _check_card(card, str(path))
    return card


def _check_card(card: dict[str, Any], where: str) -> None:
    missing = [key for key in _REQUIRED if key not in card]
    if missing:
        raise InputError(f"the card {where} lacks {', '.join(missing)}: get it again")
    if card["card_version"] != CARD_VERSION:
        raise InputError(
            f"the card {where} has version {card['card_version']!r}, this program reads "
            f"{CARD_VERSION}: get a network made for it"
        )
    classes = {"point_group": list(POINT_GROUPS), "bravais_lattice": list(BRAVAIS_LATTICES)}
    if card["classes"] != classes:
        raise InputError(
            f"the card {where} names other classes, or in another order, than this program knows"
        )
    _check_numbers(card, where)
    more = card.get("with_centre", {})  # what differs where the projection centre is known
    if not isinstance(more, dict) or not set(more) <= _CENTRED:
        raise InputError(f"the card {where} has no valid with_centre")
    _check_numbers({**card, **more}, where)
    for key in ("name", "licence", "sha256", "version"):
        if not isinstance(card[key], str):
            raise InputError(f"the card {where} has no valid {key}: {card[key]!r:.80}")
    for key in ("architecture", "preprocessing", "training", "metrics"):
        if not isinstance(card[key], dict):
            raise InputError(f"the card {where} has no valid {key}")
    if not isinstance(more.get("metrics", {}), dict):
        raise InputError(f"the card {where} has no valid with_centre")


def _check_numbers(card: dict[str, Any], where: str) -> None:
    """Check what decides probabilities and labels."""
    for key in ("training_prior", "known_structures"):
        try:
            table = np.asarray(card[key], dtype=np.float64)
        except (TypeError, ValueError, OverflowError) as error:
            raise InputError(f"the card {where} has no table of numbers as {key}") from error
        if (
            table.shape != COMPATIBLE.shape
            or not (np.isfinite(table) & (table >= 0)).all()
            or not table[COMPATIBLE].any()
        ):
            raise InputError(f"the card {where} has no valid 32 x 14 table as {key}")
    for key, top in (("temperature", 100.0), ("threshold", 1.0)):
        value = card[key]
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not 0 < value <= top:
            raise InputError(f"the card {where} has no valid {key}: {value!r}")
    quality = card.get("pattern_threshold")  # None from a network that does not tell patterns
    number = isinstance(quality, int | float) and not isinstance(quality, bool)
    if quality is not None and not (number and 0 <= quality <= 1):
        raise InputError(f"the card {where} has no valid pattern_threshold: {quality!r}")
