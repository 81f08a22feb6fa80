# SPDX-License-Identifier: GPL-3.0-or-later
"""Classify a scan tile by tile.

The work is a generator of finished tiles: the caller draws its own progress, stores what it wants
and cancels by no longer asking. While the network is busy with one tile, a thread reads the next.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import InputError
from .phase_map import PhaseMap
from .screen import find_screen
from .stacks import Classified, classify_stacks, load_stacks, read_ahead

if TYPE_CHECKING:
    from .classifier import Classifier
    from .scan import Scan

__all__ = [
    "TILE_PATTERNS",
    "TileResult",
    "check_region",
    "classify",
    "classify_tiles",
    "empty_map",
    "scan_screen",
]

Region = tuple[slice, slice]

#: Most patterns in a tile; a tile is what one step of progress, and of a resumed run, is worth.
TILE_PATTERNS = 1024

# Every image of a folder is prepared alone, so larger tiles would only make progress coarse.
_FOLDER_TILE = 32

_SCREEN_PATTERNS = 64
_SCREEN_BYTES = 128 * 2**20

# The preprocessing holds a few float32 copies of a batch in full resolution.
_BATCH_PATTERNS = 256
_BATCH_BYTES = 64 * 2**20


@dataclass(frozen=True, eq=False)
class TileResult:
    """One classified rectangle of the map.

    Attributes
    ----------
    rows, cols
        Where it lies in the map.
    point_group_probabilities, bravais_probabilities
        float32 of shapes (r, c, 32) and (r, c, 14).
    quality
        Pattern quality, float32 of shape (r, c).
    """

    rows: slice
    cols: slice
    point_group_probabilities: np.ndarray
    bravais_probabilities: np.ndarray
    quality: np.ndarray

    @property
    def size(self) -> int:
        """Number of patterns."""
        return int(self.quality.size)

    def fill_into(self, phase_map: PhaseMap) -> None:
        """Enter the tile into a map of the whole scan."""
        phase_map.fill(
            self.rows,
            self.cols,
            self.point_group_probabilities,
            self.bravais_probabilities,
            self.quality,
        )


def check_region(shape: tuple[int, int], region: Region | None) -> Region:
    """Return a region with its ends filled in.

    Parameters
    ----------
    shape
        Rows and columns of the map.
    region
        Rows and columns, counted from 0, without the last; None for the whole map.

    Raises
    ------
    InputError
        If it is empty or reaches out of the map.
    """
    parts = []
    asked = region or (slice(None), slice(None))
    for part, size, name in zip(asked, shape, ("rows", "columns"), strict=True):
        start = 0 if part.start is None else int(part.start)
        stop = size if part.stop is None else int(part.stop)
        if not 0 <= start < stop <= size or part.step not in (None, 1):
            raise InputError(
                f"the region's {name} {start}:{stop} are not in the map of {shape[0]} rows and "
                f"{shape[1]} columns: give first and last-plus-one, counted from 0"
            )
        parts.append(slice(start, stop))
    return parts[0], parts[1]


def scan_screen(scan: Scan) -> np.ndarray:
    """Screen mask of a scan, bool of shape (h, w), from patterns spread evenly over the map.

    It depends on the scan alone, not on the region that is classified.

    Raises
    ------
    InputError
        If the patterns differ in size.
    """
    if scan.pattern_shape is None:
        raise InputError(f"{scan.name}: images of different sizes have no common screen")
    count = scan.shape[0] * scan.shape[1]
    room = _SCREEN_BYTES // (4 * scan.pattern_shape[0] * scan.pattern_shape[1])
    chosen = np.linspace(0, count - 1, min(count, _SCREEN_PATTERNS, max(4, room)))
    places = np.unique(chosen.round().astype(int))
    return find_screen(np.stack([scan.pattern(*divmod(int(i), scan.shape[1])) for i in places]))


def default_batch_size(pattern_shape: tuple[int, int] | None) -> int:
    """Patterns that go through preprocessing and network at once, so that memory stays small."""
    if pattern_shape is None:
        return 1
    return max(1, min(_BATCH_PATTERNS, _BATCH_BYTES // (4 * pattern_shape[0] * pattern_shape[1])))


def classify_tiles(
    scan: Scan,
    classifier: Classifier,
    *,
    region: Region | None = None,
    prior: str | np.ndarray = "known",
    batch_size: int | None = None,
    tile: int = TILE_PATTERNS,
    skip: np.ndarray | None = None,
) -> Generator[TileResult, None, None]:
    """Classify a scan, one tile after the other.

    Parameters
    ----------
    scan
        Open scan. The images of a folder may come from several cameras: each is prepared with a
        screen mask of its own.
    classifier
        The network.
    region
        Rows and columns to classify; the whole map when None.
    prior
        Class prior, as text or as frequencies of shape (32, 14).
    batch_size
        Patterns that go through the network at once; chosen by their size when None.
    tile
        Most patterns in a tile. The same tiles give the same results, bit for bit.
    skip
        bool of shape (rows, cols): tiles that are done already. A tile is skipped if it is true
        everywhere in it.

    Returns
    -------
    generator of TileResult
        In row-major order. Closing it (or leaving it to the garbage collector) ends the reading
        thread.

    Raises
    ------
    InputError
        If the region, the prior or the batch size is wrong: at once. If the file is damaged:
        when the iterator gets there.
    """
    region = check_region(scan.shape, region)
    frequencies = classifier.prior(prior) if isinstance(prior, str) else prior
    if batch_size is not None and batch_size < 1:
        raise InputError(f"the batch size must be 1 or more, not {batch_size}")
    folder = scan.path.is_dir()
    tiles = [
        place
        for place in scan.tiles(min(tile, _FOLDER_TILE) if folder else tile, region)
        if skip is None or not skip[place].all()
    ]
    size = batch_size or default_batch_size(scan.pattern_shape)
    return _classify(scan, classifier, tiles, frequencies, size, folder)


def _classify(
    scan: Scan,
    classifier: Classifier,
    tiles: list[Region],
    prior: np.ndarray,
    batch_size: int,
    folder: bool,
) -> Generator[TileResult, None, None]:
    if not tiles:
        return
    mask = None if folder else scan_screen(scan)
    with ThreadPoolExecutor(1, thread_name_prefix="read-patterns") as reader:
        try:
            loads = read_ahead(reader, lambda place: load_stacks(scan, *place, mask), tiles)
            for (rows, cols), stacks in loads:
                result = classify_stacks(
                    stacks, classifier, scan.static_background, prior, batch_size
                )
                yield tile_result(rows, cols, result)
        finally:
            reader.shutdown(cancel_futures=True)


def tile_result(rows: slice, cols: slice, classified: Classified) -> TileResult:
    """Lay classified patterns on the rectangle of the map that they came from."""
    shape = rows.stop - rows.start, cols.stop - cols.start
    return TileResult(
        rows,
        cols,
        classified.point_groups.reshape(*shape, -1),
        classified.lattices.reshape(*shape, -1),
        classified.quality.reshape(shape),
    )


def result_settings(scan: Scan, classifier: Classifier, prior: str | np.ndarray) -> dict[str, Any]:
    """The part of a map's provenance that decides what a pattern is taken for.

    Device, batch size and the like change no more than the last digits.
    """
    from . import __version__

    return {
        "source": scan.path.name,
        "network_sha256": classifier.sha256,
        "card_sha256": classifier.card_sha256,
        "version": __version__,
        "prior": prior if isinstance(prior, str) else np.asarray(prior).tolist(),
        "quality_threshold": classifier.quality_threshold,
        "preprocessing": classifier.preprocessing.to_dict(),
        "static_background": scan.static_background is not None,
    }


def empty_map(
    scan: Scan,
    classifier: Classifier,
    *,
    region: Region | None = None,
    prior: str | np.ndarray = "known",
    threshold: float | None = None,
    batch_size: int | None = None,
    tile: int = TILE_PATTERNS,
    hash_file: bool = True,
) -> PhaseMap:
    """Return the map of a scan with nothing classified yet, and how it is going to be made.

    Parameters
    ----------
    scan, classifier, region, prior, batch_size, tile, threshold
        As in :func:`classify_tiles` and :func:`classify`.
    hash_file
        Read the whole file once for its hash. Without it the provenance has None in its place.

    Raises
    ------
    InputError
        If the region or the threshold is wrong.
    """
    rows, cols = check_region(scan.shape, region)
    threshold = classifier.threshold if threshold is None else threshold
    if not 0 <= threshold <= 1:
        raise InputError(f"the threshold is a probability between 0 and 1, not {threshold:g}")
    provenance: dict[str, Any] = {
        **result_settings(scan, classifier, prior),
        "source_sha256": scan.file_hash() if hash_file else None,
        "network": classifier.name,
        "threshold": threshold,
        "region": [rows.start, rows.stop, cols.start, cols.stop],
        "device": str(classifier.device),
        "precision": classifier.precision,
        "batch_size": batch_size or default_batch_size(scan.pattern_shape),
        "tile": tile,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    sources = [scan.path.name]
    if scan.path.is_dir():
        sources = [scan.source_name(r, c) for r, c in np.ndindex(*scan.shape)]
    return PhaseMap.empty(
        scan.shape,
        step=scan.step,
        units=scan.units,
        threshold=threshold,
        sources=sources,
        provenance=provenance,
        crystal_map=scan.crystal_map,
        quality_threshold=classifier.quality_threshold,
    )


def classify(
    scan: Scan,
    classifier: Classifier,
    *,
    region: Region | None = None,
    prior: str | np.ndarray = "known",
    threshold: float | None = None,
    batch_size: int | None = None,
    tile: int = TILE_PATTERNS,
    progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> PhaseMap:
    """Classify a scan.

    Parameters
    ----------
    scan, classifier, region, prior, batch_size, tile
        As in :func:`classify_tiles`.
    threshold
        Probability that a label needs; as the network's card proposes when None.
    progress
        Called after each tile with the number of patterns done and in all.
    cancelled
        Asked before each tile; when true the map is returned as far as it is done.

    Returns
    -------
    PhaseMap
        Of the shape of the whole scan, also where a region is given.

    Raises
    ------
    InputError
        If a parameter is wrong or the file is damaged.

    Examples
    --------
    >>> from napari_ebsd_phase import classify, load_classifier, load_scan
    >>> with load_scan("map.h5oina") as scan:
    ...     phase_map = classify(scan, load_classifier(), prior="cubic,hexagonal")
    >>> phase_map.save("map_phases.h5")
    """
    tiles = classify_tiles(
        scan, classifier, region=region, prior=prior, batch_size=batch_size, tile=tile
    )
    result = empty_map(
        scan,
        classifier,
        region=region,
        prior=prior,
        threshold=threshold,
        batch_size=batch_size,
        tile=tile,
    )
    rows, cols = check_region(scan.shape, region)
    total = (rows.stop - rows.start) * (cols.stop - cols.start)
    done = 0
    with closing(tiles):
        while not (cancelled and cancelled()):
            finished = next(tiles, None)
            if finished is None:
                break
            finished.fill_into(result)
            done += finished.size
            if progress:
                progress(done, total)
    return result
