# SPDX-License-Identifier: GPL-3.0-or-later
"""Which labelled patterns to learn from, to stop by, and to tell the gain with.

Neighbours on a map are often one grain, so that a split by pattern would measure memory. Whole
regions go to one side: those that are connected, or, where a class has too few of them, blocks of a
region with a gap between them.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

__all__ = ["HELD_OUT", "LEARN", "VALIDATION", "assign_parts", "file_blocks", "split_regions"]

LEARN, VALIDATION, HELD_OUT = 0, 1, 2

_WANTED = 3  # regions of a class: one for each part
_BLOCKS = 5
_NEAR = np.ones((3, 3), dtype=bool)


def split_regions(classes: np.ndarray) -> np.ndarray:
    """Regions of a map of classes that may lie on different sides of a split.

    Points of a class that are two or fewer apart are of one region. Where a class has fewer than
    three regions, each is cut across its longer side into up to five blocks with one row or
    column of points between them left out.

    Parameters
    ----------
    classes
        Whole numbers, shape (rows, cols); below 0 is no class.

    Returns
    -------
    numpy.ndarray
        Number of the region of each point from 0 on, -1 for none; shape (rows, cols).
    """
    regions = np.full(classes.shape, -1)
    after = 0
    for value in np.unique(classes[classes >= 0]):
        here = classes == value
        found, count = ndimage.label(ndimage.binary_dilation(here, _NEAR), _NEAR)
        found = np.where(here, found, 0)
        for number in range(1, count + 1):
            place = found == number
            blocks = _blocks(place) if count < _WANTED else np.where(place, 0, -1)
            inside = blocks >= 0
            regions[inside] = blocks[inside] + after
            after += int(blocks.max()) + 1
    return regions


def _blocks(place: np.ndarray) -> np.ndarray:
    """Blocks of a region from 0 on, -1 outside and in the gaps."""
    rows, cols = np.nonzero(place)
    along = rows if np.ptp(rows) >= np.ptp(cols) else cols
    lines, line = np.unique(along, return_inverse=True)
    # A block and its gap need two lines; the last block needs no gap.
    count = min(_BLOCKS, (len(lines) + 1) // 2)
    block = np.arange(len(lines)) * count // len(lines)
    block[:-1][np.diff(block) > 0] = -1
    result = np.full(place.shape, -1)
    result[rows, cols] = block[line]
    return result


def file_blocks(count: int) -> np.ndarray:
    """Blocks of files that follow each other: up to five, from 0 on, shape (count,)."""
    return np.arange(count) * min(_BLOCKS, count) // max(count, 1)


def assign_parts(
    classes: np.ndarray, regions: np.ndarray, *, held_out: float, validation: float, seed: int
) -> np.ndarray:
    """Part of each pattern: :data:`LEARN`, :data:`VALIDATION` or :data:`HELD_OUT`.

    Regions of a class are shuffled and dealt to the held-out part and to validation until these
    have their share of its patterns. Its largest region is for learning in any case; a class of
    one region has nothing held out, one of two has no validation.

    Parameters
    ----------
    classes, regions
        Of each pattern, shape (n,).
    held_out, validation
        Shares; 0 for none.
    seed
        Of the shuffling.
    """
    parts = np.full(len(classes), LEARN)
    for value in np.unique(classes):
        inside = classes == value
        found, counts = np.unique(regions[inside], return_counts=True)
        rng = np.random.default_rng([seed, int(value)])
        order = rng.permutation(np.delete(np.arange(len(found)), counts.argmax()))
        waiting = order.tolist()
        for part, share in ((HELD_OUT, held_out), (VALIDATION, validation)):
            wanted, have = share * inside.sum(), 0
            while waiting and have < wanted:
                number = waiting.pop()
                # Half a region too many is as good as half too few, and leaves more to learn from.
                if have and have + counts[number] / 2 > wanted:
                    break
                parts[inside & (regions == found[number])] = part
                have += int(counts[number])
    return parts
