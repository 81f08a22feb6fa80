# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a network looks, pattern by pattern: against zone axes, without its weights, without parts.

Each function gives plain rows, one for a pattern and what was done with it;
:mod:`.saliency_summary` makes means and intervals of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..classifier import Classifier
from ..crystallography import BRAVAIS_LATTICES, POINT_GROUPS, level_index, names
from ..saliency import evidence
from ..saliency.projection import screen_on_detector
from ..saliency.targets import Question
from ..zone_axes import Catalogue, describe
from .saliency_controls import baseline_maps, cascade, likeness, untrained
from .saliency_deletion import cut_to_equal_change, falls, mask_of, regions
from .saliency_measures import (
    NEAR,
    angles_to,
    axis_means,
    mass_share,
    pointing_hit,
    rank_correlation,
)
from .saliency_sets import PRIOR, OrientedPattern, OrientedSet

__all__ = ["SHOWN", "SOURCES", "Asked", "ask", "delete", "examine", "forget"]

SOURCES = (
    "network",
    "untrained network",
    "intensity",
    "local variance",
    "centred Gaussian",
)
"""Where a map comes from: the network's heat map first, then what it must be told apart from."""
SHOWN = 1.0
"""An axis is on the screen if a pixel within so many degrees is."""

_RANDOM_CRYSTALS = 5
_SEEDS = 3

Row = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Asked:
    """A pattern, its zone axes, and the class that evidence was asked for.

    Parameters
    ----------
    material
        The material.
    number
        Which of its patterns.
    pattern
        The pattern.
    catalogue
        Bands and zone axes of the crystal.
    axes
        Which axes of the catalogue to count: one of each pair of opposites, shape (n,).
    target
        Name of the class.
    right
        Whether the class that the network reports is that of the crystal.
    heat
        Signed evidence for it, float32 of shape (h, w).
    """

    material: OrientedSet
    number: int
    pattern: OrientedPattern
    catalogue: Catalogue
    axes: np.ndarray
    target: str
    right: bool
    heat: np.ndarray

    @property
    def row(self) -> Row:
        """What all rows of the pattern begin with."""
        return {
            "kind": self.material.kind,
            "material": self.material.key,
            "bravais": self.material.bravais,
            "pattern": self.number,
            "target": self.target,
            "right": self.right,
        }

    @property
    def screen(self) -> np.ndarray:
        """The pixels that count, bool of shape (h, w)."""
        pattern = self.pattern
        return screen_on_detector(pattern.frame.shape, pattern.mask, pattern.background)


def ask(
    classifier: Classifier,
    sets: Sequence[OrientedSet],
    level: str,
    *,
    true_class: bool = False,
    progress: Callable[[str, int, int], None] | None = None,
) -> Iterator[Asked]:
    """Ask a network for the class of each pattern, and for the evidence.

    Parameters
    ----------
    classifier
        The network.
    sets
        The patterns.
    level
        Level of the class, as in :func:`napari_ebsd_phase.saliency.explain`.
    true_class
        Whether to ask for evidence of the class that the crystal has, and not of the reported one.
    progress
        Called with the name of a material, its number and that of all.
    """
    question = Question(classifier, None, level=level, against=None, prior=PRIOR)
    for place, material in enumerate(sets):
        if progress is not None:
            progress(material.key, place, len(sets))
        catalogue = describe(material.phase)
        # Opposites are one axis here: the first index that is not 0 is positive.
        axes = np.flatnonzero(catalogue.uvw @ (10_000, 100, 1) > 0)
        if level == "bravais_lattice":
            truth = BRAVAIS_LATTICES.index(material.bravais)
        else:
            truth = int(level_index(level)[POINT_GROUPS.index(material.point_group)])
        for number, pattern in enumerate(material.patterns):
            scores = classifier.scores(
                pattern.frame[None], background=pattern.background, mask=pattern.mask
            ).scores
            index = int(question.index(scores)[0])
            target = names(level)[truth if true_class else index]
            heat = _evidence(classifier, pattern, target, level)
            yield Asked(material, number, pattern, catalogue, axes, target, index == truth, heat)


def _evidence(
    classifier: Classifier, pattern: OrientedPattern, target: str, level: str
) -> np.ndarray:
    return evidence(
        pattern.frame[None],
        classifier,
        target,
        level=level,
        prior=PRIOR,
        background=pattern.background,
        mask=pattern.mask,
    )[0]


def examine(
    classifier: Classifier, asked: Sequence[Asked], level: str, seed: int = 0
) -> Iterator[Row]:
    """Measure heat maps and what stands in for them against the zone axes.

    Parameters
    ----------
    classifier
        The network.
    asked
        From :func:`ask`.
    level
        Level of the class.
    seed
        Of crystals in random orientations, and of networks that know nothing.

    Yields
    ------
    dict
        For each pattern and each of :data:`SOURCES`, the untrained network with several seeds:
        ``source``; ``share`` of the mass near an axis, ``area`` of the screen near one, ``hit`` of
        the pointing game, the same for axes of a crystal in a random orientation
        (``random_share``, ``random_area``, ``random_hit``), rank correlations over the axes of
        the mean near each with its ``multiplicity`` and number of ``bands``, and ``families``:
        name to share and area.
    """
    rng = np.random.default_rng([seed, 1])
    blank = [untrained(classifier, seed + i) for i in range(_SEEDS)]
    for one in asked:
        if not len(one.axes):
            continue
        pattern, screen, catalogue = one.pattern, one.screen, one.catalogue
        axes, names_of = catalogue.direction[one.axes], catalogue.family[one.axes]
        images = [("network", one.heat)]
        images += [("untrained network", _evidence(n, pattern, one.target, level)) for n in blank]
        images += baseline_maps(
            pattern.frame,
            classifier.preprocessing,
            mask=pattern.mask,
            background=pattern.background,
        ).items()
        directions = pattern.directions()
        angles = angles_to(directions, axes)
        angles[(angles[:, screen] > SHOWN).all(axis=1)] = np.inf  # axes beyond the screen
        near = (angles.min(axis=0) <= NEAR) & screen
        wrong = [
            _near(directions @ turn, axes, screen)
            for turn in _random_rotations(_RANDOM_CRYSTALS, rng)
        ]
        families = {
            str(name): (angles[names_of == name].min(axis=0) <= NEAR) & screen
            for name in np.unique(names_of)
        }
        families = {name: part for name, part in families.items() if part.any()}
        for source, image in images:
            at_axes = axis_means(image, angles, screen)
            yield one.row | {
                "source": source,
                **_against(image, near, screen),
                **{
                    f"random_{key}": float(np.mean(values))
                    for key, values in _columns([_against(image, w, screen) for w in wrong])
                },
                "multiplicity": rank_correlation(at_axes, catalogue.multiplicity[one.axes]),
                "bands": rank_correlation(at_axes, catalogue.bands[one.axes]),
                "families": {
                    name: (mass_share(image, part, screen), float(part.sum() / screen.sum()))
                    for name, part in families.items()
                },
            }


def _near(directions: np.ndarray, axes: np.ndarray, screen: np.ndarray) -> np.ndarray:
    """Pixels near an axis that is on the screen itself."""
    angles = angles_to(directions, axes)
    shown = (angles[:, screen] <= SHOWN).any(axis=1)
    return np.asarray((angles[shown] <= NEAR).any(axis=0) & screen)


def _against(image: np.ndarray, near: np.ndarray, screen: np.ndarray) -> Row:
    return {
        "share": mass_share(image, near, screen),
        "area": float(near.sum() / screen.sum()),
        "hit": pointing_hit(image, near, screen),
    }


def _columns(rows: Sequence[Row]) -> Iterator[tuple[str, list[float]]]:
    return ((key, [row[key] for row in rows]) for key in rows[0])


def _random_rotations(count: int, rng: np.random.Generator) -> np.ndarray:
    from orix.quaternion import Rotation

    return np.asarray(Rotation(rng.normal(size=(count, 4))).to_matrix())


def forget(
    classifier: Classifier, asked: Sequence[Asked], level: str, seed: int = 0
) -> Iterator[Row]:
    """Take the network's weights away, from the head down, and compare the heat maps.

    Yields
    ------
    dict
        For each pattern and step: ``layer`` that was set back last, rank correlation with the
        heat map of the trained network over the pixels of the screen, ``signed`` and ``absolute``.
    """
    for layer, network in cascade(classifier, seed):
        for one in asked:
            signed, absolute = likeness(
                one.heat, _evidence(network, one.pattern, one.target, level), one.screen
            )
            yield one.row | {"layer": layer, "signed": signed, "absolute": absolute}


def delete(
    classifier: Classifier, asked: Sequence[Asked], level: str, seed: int = 0
) -> Iterator[Row]:
    """Blur equal parts of the screen, and see what the network loses.

    Yields
    ------
    dict
        For each pattern that has all parts, and each part: ``equal``, what the parts have in
        common, ``area`` or, cut by :func:`.cut_to_equal_change`, ``change`` of the input; ``part``
        and what :func:`.falls` gives; also for zone axes less each of the others.
    """
    rng = np.random.default_rng([seed, 2])
    for one in asked:
        catalogue = one.catalogue
        if not len(one.axes):
            continue
        # Most bands first; among equals low indices.
        order = one.axes[np.argsort(-catalogue.bands[one.axes], kind="stable")]
        intensity = baseline_maps(
            one.pattern.frame,
            classifier.preprocessing,
            mask=one.pattern.mask,
            background=one.pattern.background,
        )["intensity"]
        axes = catalogue.direction[order]
        near = angles_to(one.pattern.directions(), axes).min(axis=0) <= NEAR
        elsewhere = np.where(near, -np.inf, intensity)
        parts = regions(
            one.pattern,
            axes,
            catalogue.normal,
            {"brightest pixels elsewhere": elsewhere, "top of the heat map": one.heat},
            rng,
        )
        if parts is None:
            continue
        cut = cut_to_equal_change(classifier, one.pattern, parts)
        for equal, pixels in (("area", parts), ("change", cut)):
            masks = {name: mask_of(p, one.screen.shape) for name, p in pixels.items()}
            lost = falls(classifier, one.pattern, masks, one.target, level)
            on_axes = lost["zone axes"]
            for other in ("bands", "random discs", "brightest pixels elsewhere"):
                lost[f"zone axes less {other}"] = {
                    name: value - lost[other][name] for name, value in on_axes.items()
                }
            for part, values in lost.items():
                yield one.row | {"equal": equal, "part": part, **values}
