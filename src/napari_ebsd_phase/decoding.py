# SPDX-License-Identifier: GPL-3.0-or-later
"""Network scores to probabilities, point group and Bravais lattice decided jointly.

Only some point groups go with some lattices (a cF lattice has a cubic point group). The score of
a pair is the sum of its two scores; the softmax runs over the pairs that exist, which is also
how the network is trained. Sums over pairs give the probabilities of either alone.
"""

from __future__ import annotations

import numpy as np

from .crystallography import (
    BRAVAIS_LATTICES,
    COMPATIBLE,
    CRYSTAL_SYSTEMS,
    LAUE_GROUPS,
    LAUE_INDEX,
    POINT_GROUPS,
    SYSTEM_INDEX,
    marginal,
)
from .errors import InputError

__all__ = ["PAIRS", "best_pair", "decode", "parse_prior"]

_ROWS = 65_536  # pairs of so many patterns are compared at once

PAIRS = np.argwhere(COMPATIBLE)
"""(66, 2) indices of the point groups and Bravais lattices that go together."""


def decode(
    scores: np.ndarray,
    *,
    prior: np.ndarray | None = None,
    training_prior: np.ndarray | None = None,
    temperature: float = 1.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of point groups and Bravais lattices from network scores.

    Parameters
    ----------
    scores
        Shape (n, 46): 32 point-group scores, then 14 lattice scores.
    prior
        Expected frequency of each point group and lattice pair, shape (32, 14); need not sum to
        one. The training frequencies when None.
    training_prior
        Frequencies of the pairs in training, shape (32, 14); divided out when `prior` is given.
        Uniform over the pairs when None.
    temperature
        Calibration: what evidence and prior say together is divided by it.

    Returns
    -------
    point_group : numpy.ndarray
        float32 of shape (n, 32), each row summing to one.
    bravais_lattice : numpy.ndarray
        float32 of shape (n, 14), each row summing to one.

    Raises
    ------
    InputError
        If the prior allows no existing pair, or an array has the wrong shape.
    """
    scores = np.asarray(scores, dtype=np.float64)
    outputs = len(POINT_GROUPS) + len(BRAVAIS_LATTICES)
    if scores.ndim != 2 or scores.shape[1] != outputs:
        raise InputError(f"scores must have the shape (n, {outputs}), not {scores.shape}")
    joint = scores[:, PAIRS[:, 0]] + scores[:, len(POINT_GROUPS) + PAIRS[:, 1]]
    if prior is not None:
        wanted = _of_pairs(prior, "the class prior")
        if not np.isfinite(wanted).all() or (wanted < 0).any() or not wanted.any():
            raise InputError("the class prior allows no point group and lattice that go together")
        trained = np.ones(len(PAIRS))
        if training_prior is not None:
            trained = _of_pairs(training_prior, "the training prior")
            if not trained.any():
                raise InputError("the training prior holds no point group and lattice that exist")
        # A pair that training never showed has no learned score: it keeps the smallest frequency.
        trained = np.maximum(trained, trained[trained > 0].min())
        with np.errstate(divide="ignore"):
            joint = joint + (np.log(wanted / wanted.sum()) - np.log(trained / trained.sum()))
    # Evidence and prior keep the weights that Bayes gives them. Tempering the evidence alone would
    # let the prior outvote what the network was trained to weigh against it.
    joint = joint / temperature
    joint -= joint.max(axis=1, keepdims=True)
    np.exp(joint, out=joint)
    joint /= joint.sum(axis=1, keepdims=True)
    point_group = joint @ np.eye(len(POINT_GROUPS))[PAIRS[:, 0]]
    lattice = joint @ np.eye(len(BRAVAIS_LATTICES))[PAIRS[:, 1]]
    return point_group.astype(np.float32), lattice.astype(np.float32)


def best_pair(point_group: np.ndarray, lattice: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The point group and the lattice to report: those that get the most names right.

    A report has four names: point group, Laue group, crystal system and lattice. The most probable
    name of each may contradict another: the most probable point group need not be of the most
    probable Laue group, and hP gathers a little from each of twelve point groups. Of the pairs of
    point group and lattice that exist, this takes the one with the highest expected number of
    right names, which is the sum of the four probabilities.

    Parameters
    ----------
    point_group, lattice
        Probabilities of shapes (..., 32) and (..., 14).

    Returns
    -------
    tuple of numpy.ndarray
        Indices of point groups and of lattices, both of shape (...).
    """
    shape = np.shape(point_group)[:-1]
    point = np.reshape(point_group, (-1, len(POINT_GROUPS)))
    bravais = np.reshape(lattice, (-1, len(BRAVAIS_LATTICES)))
    best = np.empty(len(point), dtype=np.intp)
    for start in range(0, len(best), _ROWS):  # a map of any size in little memory
        part = slice(start, start + _ROWS)
        names_right = (
            point[part]
            + marginal(point[part], "laue_group")[:, LAUE_INDEX]
            + marginal(point[part], "crystal_system")[:, SYSTEM_INDEX]
        )
        best[part] = (names_right[:, PAIRS[:, 0]] + bravais[part][:, PAIRS[:, 1]]).argmax(axis=1)
    return PAIRS[best, 0].reshape(shape), PAIRS[best, 1].reshape(shape)


def _of_pairs(table: np.ndarray, what: str) -> np.ndarray:
    """Entries of a (32, 14) table at the pairs that exist, shape (66,)."""
    values = np.asarray(table, dtype=np.float64)
    if values.shape != COMPATIBLE.shape:
        raise InputError(f"{what} must have the shape {COMPATIBLE.shape}, not {values.shape}")
    return values[PAIRS[:, 0], PAIRS[:, 1]]


def parse_prior(text: str, known: np.ndarray | None = None) -> np.ndarray:
    """Read a class prior as the command line and the plugin write it.

    Parameters
    ----------
    text
        ``uniform``: every point group equally likely, its lattices equally likely within it;
        ``known``: the frequencies of known structures; or a comma-separated list of point
        groups, ``laue:`` groups, crystal systems and Bravais lattices: uniform over the point
        groups named (any when none is named), on the lattices named.
    known
        Numbers of known structures, shape (32, 14), for ``known``.

    Returns
    -------
    numpy.ndarray
        Frequencies of shape (32, 14), summing to one.

    Raises
    ------
    InputError
        For an unknown name, or names that exclude each other.
    """
    allowed = COMPATIBLE.astype(np.float64)
    word = text.strip()
    if word == "known":
        if known is None:
            raise InputError("this network's card has no structure frequencies: use another prior")
        weights = (np.asarray(known, dtype=np.float64) + 0.5) * allowed
        return weights / weights.sum()
    if word and word != "uniform":
        allowed = allowed * _selection(word)
        if not allowed.any():
            raise InputError(f"prior {text!r}: no point group named goes with a lattice named")
    rows = allowed.sum(axis=1, keepdims=True)
    weights = np.divide(allowed, rows, out=np.zeros_like(allowed), where=rows > 0)
    return weights / weights.sum()


def _selection(text: str) -> np.ndarray:
    """0/1 mask of shape (32, 14) of the pairs that a list of names allows."""
    groups = np.zeros(len(POINT_GROUPS), dtype=bool)
    lattices = np.zeros(len(BRAVAIS_LATTICES), dtype=bool)
    for name in (part.strip() for part in text.split(",")):
        if name in POINT_GROUPS:
            groups[POINT_GROUPS.index(name)] = True
        elif name in CRYSTAL_SYSTEMS:
            groups |= np.equal(SYSTEM_INDEX, CRYSTAL_SYSTEMS.index(name))
        elif name.removeprefix("laue:") in LAUE_GROUPS:
            groups |= np.equal(LAUE_INDEX, LAUE_GROUPS.index(name.removeprefix("laue:")))
        elif name in BRAVAIS_LATTICES:
            lattices[BRAVAIS_LATTICES.index(name)] = True
        else:
            raise InputError(
                f"prior: {name!r} is no point group, crystal system or Bravais lattice; use "
                "uniform, known, or a list such as m-3m,6/mmm or cubic,hexagonal or laue:m-3"
            )
    rows = groups if groups.any() else np.ones_like(groups)
    columns = lattices if lattices.any() else np.ones_like(lattices)
    return (rows[:, None] & columns[None, :]).astype(np.float64)
