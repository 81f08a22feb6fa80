# SPDX-License-Identifier: GPL-3.0-or-later
"""Classifier: a network, the preprocessing it was trained with, and the card that says so.

On disk a classifier is two files of one name: ``NAME.safetensors`` holds the weights and
``NAME.json`` the card. Neither can carry code. Weights never travel without their card: the card
holds the hash of the weights, and loading refuses what does not fit together.
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .card import card_text, weight_bytes
from .decoding import decode, parse_prior
from .devices import Room, pick_device, pick_precision
from .errors import InputError
from .lanes import Lanes
from .network import SymmetryNet, with_centre
from .network_folding import folded
from .network_int8 import ByteNetwork, example_patterns
from .network_mean import NetworkMean
from .outputs import CLASSES, Outputs, PendingScores
from .preprocessing import Preprocessing, pattern_quality, prepare
from .symmetry_maps import Centre

__all__ = ["SUFFIX", "Classifier", "Outputs"]

SUFFIX = ".safetensors"


class Classifier:
    """A trained network that is ready for patterns of any camera.

    Parameters
    ----------
    network
        The network; it is put into evaluation mode.
    card
        The model card, see :func:`.card.make_card`.
    device
        ``cpu``, ``cuda``, ``mps``, or ``auto``: the first accelerator there is.
    precision
        What :meth:`scores` computes with. ``float32``: the network as it is. ``bfloat16``: a copy
        of it, made now, with folded normalisations and rounded products. ``int8``: one with
        weights and feature maps of bytes, see :mod:`.network_int8`. ``auto``: the last one that the
        processor has instructions for, which about doubles the speed each time.
    """

    def __init__(
        self,
        network: SymmetryNet | NetworkMean,
        card: dict[str, Any],
        device: str = "auto",
        precision: str = "float32",
    ) -> None:
        self.card = card
        self.preprocessing = Preprocessing.from_dict(card["preprocessing"])
        for member in network.members:
            halvings = 2 ** (len(member.architecture.widths) - 1)
            pixels = member.architecture.view == "pixels"
            if pixels and -(-self.preprocessing.size // 2) % halvings:
                raise InputError(
                    f"{self.preprocessing.size} x {self.preprocessing.size} pixels do not go "
                    f"through this network: the size must be a multiple of {2 * halvings}"
                )
        self.device = pick_device(device)
        self.network = network.eval()
        self.network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.precision = pick_precision(precision, self.device)
        self._scoring: torch.nn.Module = self.network
        if self.precision == "bfloat16":
            self._scoring = folded(network)
        elif self.precision == "int8":
            examples = prepare(example_patterns(), self.preprocessing)
            self._scoring = ByteNetwork(network, examples)
        self._by_size: dict[tuple[int, int], Classifier] = {}
        self._lanes: dict[int, Lanes] = {}  # by their number, which is the calling thread's
        self._room = Room()

    @property
    def name(self) -> str:
        """Name on the card."""
        return str(self.card["name"])

    @property
    def sha256(self) -> str:
        """Hash of the weight file."""
        return str(self.card["sha256"])

    @property
    def card_sha256(self) -> str:
        """Hash of what on the card decides a probability, calibration and priors included."""
        told = [
            *("classes", "mirrored_views", "temperature", "training_prior", "known_structures"),
            *(("centre",) if "centre" in self.card else ()),
        ]
        values = [self.card.get(key) for key in told]
        return hashlib.sha256(json.dumps(values).encode()).hexdigest()

    @property
    def mirrored_views(self) -> bool:
        """Whether scores are means over each pattern and its mirror image."""
        # The projection centre of the mirror image is another one.
        return bool(self.card.get("mirrored_views", False)) and not self.knows_centre

    @property
    def threshold(self) -> float:
        """The probability from which a level is reported, as the card proposes."""
        return float(self.card["threshold"])

    @property
    def takes_centre(self) -> bool:
        """Whether the network says more, or anything, of patterns whose projection centre is known.

        See :meth:`at`.
        """
        return any(member.maps is not None for member in self.network.members)

    @property
    def centre(self) -> Centre | None:
        """Projection centre of the patterns, in pixels of prepared ones.

        None if it is not given, or differs with the size of the frames.
        """
        told = self.card.get("centre")
        return Centre(*told) if isinstance(told, list) else None

    @property
    def knows_centre(self) -> bool:
        """Whether it was told where the projection centre of its patterns is."""
        return "centre" in self.card

    def at(self, centre: Centre | None) -> Classifier:
        """The same network, for patterns whose projection centre is known.

        It shares weights and cores with this one. Its card is that of the network with all views:
        temperature, thresholds and test results are others.

        Parameters
        ----------
        centre
            See :meth:`.Centre.of_screen`. None, or a network that makes nothing of it, gives this
            classifier itself.
        """
        if centre is None or not self.takes_centre:
            return self
        other = copy.copy(self)
        other.card = {
            **self.card,
            **self.card.get("with_centre", {}),
            "centre": [round(float(value), 2) for value in centre],
        }
        where = other.centre
        assert where is not None
        other.network = with_centre(self.network, where)
        if self._scoring is self.network:
            other._scoring = other.network
        elif isinstance(self._scoring, ByteNetwork):
            other._scoring = self._scoring.at(where)
        else:
            other._scoring = with_centre(self._scoring, where)
        return other

    def at_sizes(self, centres: Mapping[tuple[int, int], Centre]) -> Classifier:
        """The same network, for frames of several sizes, each with a projection centre of its own.

        Parameters
        ----------
        centres
            By rows and columns of the frames. None of them gives this classifier itself.
        """
        by_size = {size: self.at(centre) for size, centre in centres.items()}
        if not by_size or not self.takes_centre:
            return self
        other = copy.copy(next(iter(by_size.values())))
        told = {f"{size[0]}x{size[1]}": by_size[size].card["centre"] for size in sorted(by_size)}
        other.card = {**other.card, "centre": told}
        other._by_size = by_size
        return other

    def told(self, centre: Any) -> Classifier:
        """The same network, told what the card of another one, or a map, has as ``centre``.

        Raises
        ------
        InputError
            If that is no projection centre.
        """
        try:
            if isinstance(centre, dict):
                sizes = [tuple(int(n) for n in key.split("x")) for key in centre]
                places = [Centre(*map(float, where)) for where in centre.values()]
                return self.at_sizes({(s[0], s[1]): c for s, c in zip(sizes, places, strict=True)})
            return self.at(None if centre is None else Centre(*map(float, centre)))
        except (TypeError, ValueError, IndexError) as error:
            raise InputError(f"{centre!r:.80} is no projection centre of a network") from error

    def of_size(self, shape: tuple[int, int]) -> Classifier:
        """The classifier that knows the projection centre of frames of this size, or this one."""
        return self._by_size.get(shape, self)

    def without_maps(self) -> Classifier:
        """The members alone that need no projection centre, as a classifier of their own.

        Raises
        ------
        InputError
            If there are none.
        """
        if not self.takes_centre:
            return self
        kept = [member for member in self.network.members if member.maps is None]
        if not kept:
            raise InputError(
                f"the network {self.name} only looks for symmetry axes, which this cannot do: "
                "choose one that looks at patterns or lines, too"
            )
        network = NetworkMean(kept)
        card = {k: v for k, v in self.card.items() if k not in ("with_centre", "centre")}
        card |= {
            "architecture": network.architecture.to_dict(),
            "sha256": hashlib.sha256(weight_bytes(network)).hexdigest(),
        }
        return Classifier(network, card, str(self.device), self.precision)

    @property
    def tells_patterns(self) -> bool:
        """Whether the network tells single Kikuchi patterns from other frames."""
        return self.network.architecture.outputs > CLASSES

    @property
    def quality_threshold(self) -> float:
        """The pattern quality below which nothing is named, as the card proposes; 0 for none."""
        return float(self.card.get("pattern_threshold") or 0.0)

    @property
    def cores(self) -> int:
        """Batches that are computed side by side: as many as torch has cores, one on a GPU."""
        return torch.get_num_threads() if self.device.type == "cpu" else 1

    @property
    def lanes(self) -> Lanes:
        """Where they are computed."""
        cores = self.cores
        return self._lanes.get(cores) or self._lanes.setdefault(cores, Lanes(cores))

    def __repr__(self) -> str:
        size = self.preprocessing.size
        return f"Classifier({self.name!r}, {size} x {size} pixels, {self.device})"

    def scores(
        self,
        patterns: np.ndarray,
        *,
        background: np.ndarray | None = None,
        mask: np.ndarray | None = None,
        batch_size: int = 128,
    ) -> Outputs:
        """Raw network scores and the quality of each pattern.

        Parameters
        ----------
        patterns
            Shape (n, rows, cols), any real dtype, one size.
        background, mask
            Static background and screen mask of shape (rows, cols); see
            :func:`napari_ebsd_phase.preprocessing.prepare`.
        batch_size
            Patterns that go through the network at once, on each core.

        Returns
        -------
        Outputs
            Scores, quality, and the probability of a pattern at all.
        """
        return self.begin_scores(
            patterns, background=background, mask=mask, batch_size=batch_size
        ).result()

    def begin_scores(
        self,
        patterns: np.ndarray,
        *,
        background: np.ndarray | None = None,
        mask: np.ndarray | None = None,
        batch_size: int = 128,
    ) -> PendingScores:
        """Begin what :meth:`scores` does, on other threads: as many as torch has cores."""
        lanes, one = self.lanes, self.of_size(patterns.shape[1:])
        starts = range(0, len(patterns), batch_size)
        batches = [patterns[start : start + batch_size] for start in starts]
        return PendingScores(
            self.network.architecture.outputs,
            [lanes.submit(one._score, batch, background, mask) for batch in batches],
        )

    def _score(
        self, patterns: np.ndarray, background: np.ndarray | None, mask: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Scores and quality of one batch, in parts where there is no memory for it at once."""
        parts: list[tuple[np.ndarray, np.ndarray]] = []
        start = 0
        while start < len(patterns):
            part = patterns[start : start + self._room.most]
            try:
                parts.append(self._score_at_once(part, background, mask))
            except RuntimeError as error:
                if not self._room.lacks(error, len(part)):
                    raise
            else:
                start += len(part)
        scores, quality = (np.concatenate(each) for each in zip(*parts, strict=True))
        return scores, quality

    @torch.inference_mode()
    def _score_at_once(
        self, patterns: np.ndarray, background: np.ndarray | None, mask: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Scores, log odds of a pattern included, and quality of some patterns."""
        inputs = prepare(
            patterns, self.preprocessing, background=background, mask=mask, device=self.device
        )
        quality = pattern_quality(inputs)
        inputs = inputs.contiguous(memory_format=torch.channels_last)
        result = self.network_scores(inputs)
        if self.mirrored_views:
            # The mirror image of a crystal has the same point group and lattice: a second
            # opinion with the same errors of noise, but not of the network.
            result = (result + self.network_scores(inputs.flip(-1))) / 2
        return result.cpu().numpy(), quality.cpu().numpy()

    def probabilities(
        self, scores: np.ndarray, prior: str | np.ndarray = "known"
    ) -> tuple[np.ndarray, np.ndarray]:
        """Calibrated point-group and lattice probabilities from scores.

        Parameters
        ----------
        scores
            Shape (n, 46), from :meth:`scores`.
        prior
            As text (see :func:`napari_ebsd_phase.decoding.parse_prior`) or as frequencies of
            shape (32, 14).

        Returns
        -------
        tuple of numpy.ndarray
            float32 of shapes (n, 32) and (n, 14).
        """
        return decode(
            scores,
            prior=self.prior(prior) if isinstance(prior, str) else prior,
            training_prior=np.asarray(self.card["training_prior"]),
            temperature=float(self.card["temperature"]),
        )

    def network_scores(self, inputs: torch.Tensor) -> torch.Tensor:
        """Scores (n, outputs) of prepared patterns (n, 1, size, size), in one pass."""
        rounded = self.precision == "bfloat16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=rounded):
            result: torch.Tensor = self._scoring(inputs)
        return result.float()

    def prior(self, text: str) -> np.ndarray:
        """Class frequencies of shape (32, 14) that a prior's name stands for."""
        return parse_prior(text, np.asarray(self.card["known_structures"]))

    def save(self, path: str | Path) -> Path:
        """Write ``path`` (.safetensors) and its card beside it (.json).

        Returns
        -------
        pathlib.Path
            The weight file.
        """
        target = Path(path)
        if target.suffix != SUFFIX:  # not with_suffix: "fine-tuned-0.2" keeps its name
            target = target.with_name(f"{target.name}{SUFFIX}")
        data = weight_bytes(self.network)
        self.card["sha256"] = hashlib.sha256(data).hexdigest()
        text = card_text(self.card) + "\n"
        for file, content in ((target, data), (target.with_suffix(".json"), text.encode())):
            part = file.with_name(file.name + ".part")
            try:
                part.write_bytes(content)
                os.replace(part, file)
            except OSError as error:
                part.unlink(missing_ok=True)
                raise InputError(f"cannot write {file}: {error.strerror}") from error
        return target
