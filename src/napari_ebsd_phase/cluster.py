# SPDX-License-Identifier: GPL-3.0-or-later
"""Classify a scan on a Dask cluster: the same tiles, the same bits, more machines.

Workers open the file themselves, so that patterns do not travel; they get the network once and send
back probabilities. A tile whose worker dies is done by another. Needs the package ``distributed``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np

from .card import weight_bytes
from .errors import InputError
from .tiles import TILE_PATTERNS, Region, TileResult, plan_tiles, scan_screen

if TYPE_CHECKING:
    from distributed import Client

    from .classifier import Classifier
    from .scan import Scan

__all__ = ["classify_tiles_on", "connected"]

# Seconds that a scheduler has to answer.
_PATIENCE = 5

# Tiles a core that are sent ahead, so that no worker waits for the next.
_AHEAD = 2

_LOST = "the connection to the Dask scheduler was lost: start it again, and the run with --resume"


@contextmanager
def connected(scheduler: str | Client) -> Iterator[Client]:
    """Connect to a scheduler, or start workers on this machine.

    Parameters
    ----------
    scheduler
        ``tcp://HOST:PORT`` of a scheduler (or ``tls``, ``ucx``, ``ws``, ``wss``), ``local:N`` for N
        processes of one core each on this machine, or a client, which stays open.

    Raises
    ------
    InputError
        If ``distributed`` is missing, the address is none, or no scheduler answers there.
    """
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise InputError(
            "a scheduler needs the package distributed: pip install 'napari-ebsd-phase[cluster]'"
        ) from error
    if isinstance(scheduler, Client):
        yield scheduler
        return
    if local := re.fullmatch(r"local:([1-9]\d*)", str(scheduler), re.ASCII):
        # No limit of memory: a worker needs little, and what Dask takes for its share may be less.
        with (
            LocalCluster(
                n_workers=int(local[1]),
                threads_per_worker=1,
                memory_limit=0,
                dashboard_address=":0",
                silence_logs=50,
            ) as cluster,
            Client(cluster, set_as_default=False) as client,
        ):
            yield client
        return
    if not re.fullmatch(r"(tcp|tls|ucx|wss?)://[^\s/]+:\d+", str(scheduler), re.ASCII):
        raise InputError(f"no scheduler {scheduler!r}: give local:N or an address, tcp://HOST:PORT")
    try:
        client = Client(scheduler, timeout=_PATIENCE, set_as_default=False)
    except OSError as error:
        raise InputError(
            f"no Dask scheduler answers at {scheduler}: check host and port, or start one with "
            "`dask scheduler`"
        ) from error
    with client:
        yield client


def classify_tiles_on(
    client: Client,
    scan: Scan,
    classifier: Classifier,
    *,
    region: Region | None = None,
    prior: str | np.ndarray = "known",
    batch_size: int | None = None,
    tile: int = TILE_PATTERNS,
    skip: np.ndarray | None = None,
    waiting: Callable[[], None] | None = None,
) -> Generator[TileResult, None, None]:
    """Classify a scan on a cluster, in tiles as :func:`.mapping.classify_tiles` has them.

    Parameters
    ----------
    client
        From :func:`connected`. Its workers find the scan under the same path as this process, and
        have the same version of this package.
    scan, classifier, region, prior, batch_size, tile, skip
        As in :func:`.mapping.classify_tiles`. Device and precision of the classifier are those of
        the workers.
    waiting
        Called when there is no worker yet, before waiting for the first.

    Returns
    -------
    generator of TileResult
        In the order in which they are finished, with the same bits as computed here, as long as the
        processors are of one kind. Closing it cancels what is left.

    Raises
    ------
    InputError
        If the request is wrong: at once. If a worker cannot read the scan, a tile ends one worker
        after the other, or the scheduler is lost: when the iterator gets there.
    """
    tiles, frequencies, size = plan_tiles(scan, classifier, region, prior, batch_size, tile, skip)
    return _classify(client, scan, classifier, tiles, frequencies, size, waiting)


def _classify(
    client: Client,
    scan: Scan,
    classifier: Classifier,
    tiles: list[Region],
    prior: np.ndarray,
    batch_size: int,
    waiting: Callable[[], None] | None,
) -> Generator[TileResult, None, None]:
    from distributed import KilledWorker, as_completed
    from distributed.comm import CommClosedError

    from .cluster_worker import classify_place

    if not tiles:
        return
    name = f"napari-ebsd-phase-{uuid4().hex}"
    job = _job(client, scan, classifier, prior, batch_size)
    try:
        client.register_plugin(job, name=name)
        if not client.nthreads():
            if waiting:
                waiting()
            client.wait_for_workers(1)
        left = iter(tiles)
        # A few ahead of the workers, not all: what is finished must not pile up anywhere.
        running = as_completed(loop=client.loop)
        sent = 0

        def send() -> None:
            nonlocal sent
            most = 1 + _AHEAD * sum(client.nthreads().values())
            while sent < most and (place := next(left, None)) is not None:
                ends = [(part.start, part.stop) for part in place]
                key = f"{name}-{ends[0][0]}-{ends[1][0]}"
                running.add(client.submit(classify_place, name, *ends, key=key, pure=False))
                sent += 1

        send()
        for future in running:
            result: TileResult = future.result()
            future.release()
            sent -= 1
            send()
            yield result
    except KilledWorker as error:
        raise InputError(
            "one tile ended several workers, one after the other: give the workers more memory, or "
            "use a smaller --batch-size"
        ) from error
    except ImportError as error:
        raise InputError(
            f"a worker lacks a package ({error}): install napari-ebsd-phase on all machines"
        ) from error
    except (CancelledError, CommClosedError, TimeoutError) as error:
        raise InputError(_LOST) from error
    finally:
        # Where the scheduler is gone, so is all that it kept.
        with suppress(OSError, TimeoutError, CancelledError):
            client.unregister_worker_plugin(name)


def _job(
    client: Client, scan: Scan, classifier: Classifier, prior: np.ndarray, batch_size: int
) -> Any:
    from distributed import LocalCluster

    from . import __version__
    from .cluster_worker import ClusterJob

    if not scan.path.exists():
        raise InputError(
            f"{scan.path.name}: is in no file that the workers of a cluster could open; save the "
            "signal and open the file"
        )
    folder = scan.path.is_dir()
    path = scan.path.resolve()
    return ClusterJob(
        version=__version__,
        path=str(path),
        file_size=0 if folder else path.stat().st_size,
        shape=scan.shape,
        pattern_shape=scan.pattern_shape,
        screen=None if folder else scan_screen(scan),
        weights=weight_bytes(classifier.network),
        card=classifier.card,
        device=classifier.device.type,
        precision=classifier.precision,
        centre=classifier.card.get("centre"),
        prior=prior,
        batch_size=batch_size,
        # On this machine, opening the scan has compiled everything already.
        own_numba_cache=not isinstance(client.cluster, LocalCluster),
    )
