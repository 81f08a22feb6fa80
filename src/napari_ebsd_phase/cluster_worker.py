# SPDX-License-Identifier: GPL-3.0-or-later
"""What a Dask worker needs to classify tiles of a scan; see :mod:`.cluster`.

Imports ``distributed``, an optional dependency: only workers, and who talks to them, import this.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from distributed import Worker, WorkerPlugin, get_worker

from .errors import InputError

if TYPE_CHECKING:
    from .classifier import Classifier
    from .scan import Scan
    from .tiles import TileResult

__all__ = ["ClusterJob", "classify_place"]

# Read by numba when it is imported.
_NUMBA_CACHE = "NUMBA_CACHE_DIR"


@dataclass
class ClusterJob(WorkerPlugin):
    """One scan and one network, sent to every worker once, also to those that join later.

    Parameters
    ----------
    version
        Of this package.
    path, file_size
        Pattern file or folder, as the workers see it, and its bytes; 0 for a folder.
    shape, pattern_shape
        Of the scan.
    screen
        Screen mask; None for a folder of images.
    weights, card
        Content of a weight file and its card: the workers need no file for them.
    device, precision
        What to compute on and with: that of a local run.
    centre
        What the network is told of the projection centre, see :meth:`.Classifier.told`.
    prior
        Class frequencies of shape (32, 14).
    batch_size
        Patterns that go through the network at once.
    own_numba_cache
        Whether every worker shall compile for itself: see :meth:`setup`.
    """

    version: str
    path: str
    file_size: int
    shape: tuple[int, int]
    pattern_shape: tuple[int, int] | None
    screen: np.ndarray | None
    weights: bytes
    card: dict[str, Any]
    device: str
    precision: str
    centre: Any
    prior: np.ndarray
    batch_size: int
    own_numba_cache: bool
    _open: tuple[Scan, Classifier] | None = field(default=None, init=False, repr=False)

    def setup(self, worker: Worker) -> None:
        """Get ready on a worker; the network and the file wait for the first tile."""
        self._lock = Lock()
        if self.own_numba_cache and _NUMBA_CACHE not in os.environ:
            # Processes that compile the same function at the same time, on one disk, can leave a
            # broken file in numba's cache, and whoever reads that crashes.
            os.environ[_NUMBA_CACHE] = str(Path(worker.local_directory) / "numba")

    def teardown(self, worker: Worker) -> None:
        """Let go of the file."""
        if self._open is not None:
            self._open[0].close()
            self._open = None

    def classify(self, rows: slice, cols: slice, cores: int) -> TileResult:
        """Read and classify one tile; `cores` is how many tiles this worker has at once."""
        from .stacks import classify_stacks, load_stacks
        from .tiles import tile_result

        with self._lock:
            scan, classifier = self._open = self._open or self._start(cores)
        stacks = load_stacks(scan, rows, cols, self.screen)
        background = scan.static_background
        found = classify_stacks(stacks, classifier, background, self.prior, self.batch_size)
        return tile_result(rows, cols, found)

    def _start(self, cores: int) -> tuple[Scan, Classifier]:
        import torch
        from safetensors.torch import load as load_tensors

        from . import __version__
        from .classifier import Classifier
        from .network_mean import build_network
        from .scan import load_scan

        if __version__ != self.version:
            raise InputError(
                f"a worker has version {__version__} of napari-ebsd-phase, this is "
                f"{self.version}: install the same on all machines"
            )
        torch.set_num_threads(cores)
        network = build_network(self.card["architecture"])
        network.load_state_dict(load_tensors(self.weights))
        classifier = Classifier(network, self.card, self.device, self.precision).told(self.centre)
        try:
            scan = load_scan(self.path, grid=self.shape)
        except InputError as error:
            raise InputError(
                f"a worker cannot read '{self.path}' ({error}): put it where all workers see it "
                "under this name"
            ) from error
        path = Path(self.path)
        size = path.stat().st_size if path.is_file() else 0
        if (scan.pattern_shape, size) != (self.pattern_shape, self.file_size):
            scan.close()
            raise InputError(
                f"a worker finds another file at '{self.path}': put the scan where all workers "
                "see it under this name"
            )
        return scan, classifier


def classify_place(job: str, rows: tuple[int, int], cols: tuple[int, int]) -> TileResult:
    """Classify one tile on the worker that runs this; `job` is the name of its plugin."""
    worker = get_worker()
    # OMP_NUM_THREADS, which Dask sets to 1, says nothing of how many tiles come at once.
    cores = max(1, worker.state.nthreads)
    plugin = worker.plugins[job]
    assert isinstance(plugin, ClusterJob), "registered by this program under this name"
    return plugin.classify(slice(*rows), slice(*cols), cores)
