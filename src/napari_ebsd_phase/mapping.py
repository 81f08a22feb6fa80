# SPDX-License-Identifier: GPL-3.0-or-later
"""Classify a scan tile by tile.

The work is a generator of finished tiles: the caller draws its own progress, stores what it wants
and cancels by no longer asking. While the network is busy with one tile, a thread reads the one
after the next, so that no core waits at the end of a tile.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import InputError
from .phase_map import PhaseMap
from .stacks import PendingStacks, load_stacks, read_ahead
from .tiles import (
    TILE_PATTERNS,
    Region,
    TileResult,
    check_region,
    default_batch_size,
    plan_tiles,
    scan_screen,
    tile_result,
)

if TYPE_CHECKING:
    from distributed import Client

    from .classifier import Classifier
    from .projection_centre import Told
    from .scan import Scan

__all__ = [
    "TILE_PATTERNS",
    "TileResult",
    "check_region",
    "classify",
    "classify_tiles",
    "default_batch_size",
    "empty_map",
    "scan_screen",
    "tile_result",
    "tiles_on",
]


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
    plan = plan_tiles(scan, classifier, region, prior, batch_size, tile, skip)
    return _classify(scan, classifier, *plan)


def _classify(
    scan: Scan,
    classifier: Classifier,
    tiles: list[Region],
    prior: np.ndarray,
    batch_size: int,
) -> Generator[TileResult, None, None]:
    if not tiles:
        return
    mask = None if scan.path.is_dir() else scan_screen(scan)
    # Enough patterns for all cores, though no more than this and one tile are in memory.
    ahead = 1 + classifier.cores * batch_size // TILE_PATTERNS
    begun: deque[tuple[Region, PendingStacks]] = deque()
    with ThreadPoolExecutor(1, thread_name_prefix="read-patterns") as reader:
        try:
            loads = read_ahead(reader, lambda place: load_stacks(scan, *place, mask), tiles)
            for place, stacks in loads:
                work = PendingStacks(stacks, classifier, scan.static_background, batch_size)
                begun.append((place, work))
                if len(begun) > ahead:
                    (rows, cols), work = begun.popleft()
                    yield tile_result(rows, cols, work.result(prior))
            while begun:
                (rows, cols), work = begun.popleft()
                yield tile_result(rows, cols, work.result(prior))
        finally:
            reader.shutdown(cancel_futures=True)
            for _, work in begun:
                work.cancel()


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
        # In pixels of prepared patterns, if the network was told.
        **({"centre": classifier.card["centre"]} if classifier.knows_centre else {}),
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
        **({"projection_centre": where} if (where := classifier.card.get("told")) else {}),
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


@contextmanager
def tiles_on(
    scheduler: str | Client | None, scan: Scan, classifier: Classifier, **plan: Any
) -> Iterator[Generator[TileResult, None, None]]:
    """Lend the tiles of a scan, computed here (None) or on a Dask cluster.

    `plan` is what :func:`classify_tiles` takes besides, or :func:`.cluster.classify_tiles_on`.
    """
    if scheduler is None:
        plan.pop("waiting", None)  # nobody waits for this machine
        with closing(classify_tiles(scan, classifier, **plan)) as tiles:
            yield tiles
        return
    from .cluster import classify_tiles_on, connected

    with (
        connected(scheduler) as client,
        closing(classify_tiles_on(client, scan, classifier, **plan)) as tiles,
    ):
        yield tiles


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
    scheduler: str | Client | None = None,
    projection_centre: Told = "auto",
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
    scheduler
        Dask cluster to compute on: an address or a client, see :func:`.cluster.connected`.
    projection_centre
        See :func:`.centring.centred`: a network that can use it sees more, and is slower.

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
    plan: dict[str, Any] = {
        "region": region,
        "prior": prior,
        "batch_size": batch_size,
        "tile": tile,
    }
    from .centring import centred  # not above: torch takes seconds, and docks need this module

    classifier = centred(scan, classifier, projection_centre)
    result = empty_map(scan, classifier, threshold=threshold, **plan)
    rows, cols = check_region(scan.shape, region)
    total = (rows.stop - rows.start) * (cols.stop - cols.start)
    done = 0
    with tiles_on(scheduler, scan, classifier, **plan) as tiles:
        while not (cancelled and cancelled()):
            finished = next(tiles, None)
            if finished is None:
                break
            finished.fill_into(result)
            done += finished.size
            if progress:
                progress(done, total)
    return result
