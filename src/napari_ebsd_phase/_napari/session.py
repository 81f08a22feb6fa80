# SPDX-License-Identifier: GPL-3.0-or-later
"""What ties layers to their patterns and their phase map.

Every layer of a data set carries the same `MapSession` in its metadata. Nothing else holds on to
it: a renamed layer still answers, two data sets lie side by side, and with its last layer a
session goes and lets go of its file.
"""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from psygnal import Signal

from ..crystallography import LEVELS
from ..errors import InputError
from ..labels import DEFAULT_THRESHOLD
from .label_cache import LabelCache, Region

if TYPE_CHECKING:
    from napari.layers import Layer
    from napari.viewer import Viewer

    from ..mapping import TileResult
    from ..phase_map import PhaseMap
    from ..progressive import SampleResult
    from ..scan import Scan

#: ``layer.metadata[METADATA_KEY]`` is ``{"session": MapSession, "role": str}``.
METADATA_KEY: Final = "napari_ebsd_phase"

ROLES: Final = (
    *("label", *LEVELS, "confidence", "quality"),
    *("mean_intensity", "vendor_phases", "agreement"),
)


class MapSession:
    """One data set: its scan, its phase map, and how it is looked at.

    Parameters
    ----------
    scan
        Open patterns; None for a result whose pattern file is not found.
    phase_map
        The result; None before it is classified.
    name
        Begins the names of layers; that of the scan by default.

    Attributes
    ----------
    changed
        Emitted with what has changed: ``"scan"``, ``"map"``, ``"threshold"``, ``"layers"``,
        ``"running"`` or ``"closed"``.
    cache
        What the layers of the phase map show; None without a phase map.
    prior
        Class prior, as the user wrote it.
    region
        Where a running classification is to go, if it is not the whole map: rows and columns or
        bool (rows, cols). The blocks of a coarse result are not painted outside.
    patterns_match
        Whether the pattern file of a reopened result is the one that it was made from; None where
        that is not known (yet).
    closed
        Whether the file was let go.
    """

    changed = Signal(str)

    def __init__(
        self,
        scan: Scan | None = None,
        phase_map: PhaseMap | None = None,
        *,
        name: str | None = None,
    ) -> None:
        self.scan: Scan | None = None
        self.phase_map: PhaseMap | None = None
        self.cache: LabelCache | None = None
        self.prior = "known"
        self.shown_units: str | None = None
        self.region: Region | None = None
        self.patterns_match: bool | None = None
        self.closed = False
        self._threshold = DEFAULT_THRESHOLD
        self._running = False
        self._places: list[weakref.ref[Any]] = []
        self._release: weakref.finalize[Any, MapSession] | None = None
        self._attach(scan)
        if phase_map is not None:
            self._use(phase_map)
        self.name = name or (scan.name if scan is not None else "") or "map"

    # A layer that is duplicated copies its metadata; open files have no copy.
    def __deepcopy__(self, memo: dict[int, Any]) -> MapSession:
        return self

    def __copy__(self) -> MapSession:
        return self

    def __repr__(self) -> str:
        return f"<MapSession {self.name!r}: {self.scan!r}, {self.phase_map!r}>"

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the map."""
        source = self.phase_map or self.scan
        return source.shape if source is not None else (0, 0)

    @property
    def step(self) -> tuple[float, float]:
        """Distance of rows and of columns, in `units`."""
        source = self.phase_map or self.scan
        return source.step if source is not None else (1.0, 1.0)

    @property
    def units(self) -> str:
        """``"um"`` or ``"px"``."""
        source = self.phase_map or self.scan
        return source.units if source is not None else "px"

    @property
    def source_name(self) -> str:
        """Name of the file or folder that the patterns are from; empty where nobody knows."""
        if self.phase_map is not None and self.phase_map.provenance.get("source"):
            return str(self.phase_map.provenance["source"])
        return self.scan.path.name if self.scan is not None else ""

    @property
    def threshold(self) -> float:
        """Probability that a label needs; :meth:`set_threshold` changes it."""
        return self._threshold

    @property
    def running(self) -> bool:
        """Whether a classification is at work on this data set."""
        return self._running

    @running.setter
    def running(self, value: bool) -> None:
        if value != self._running:
            self._running = value
            self.changed.emit("running")

    def set_threshold(self, value: float) -> None:
        """Label the map with another threshold; the layers are to be refreshed then.

        Raises
        ------
        InputError
            If it is no probability.
        """
        if not 0 <= value <= 1:
            raise InputError(f"the threshold is a probability between 0 and 1, not {value:g}")
        if value == self._threshold:
            return
        self._threshold = float(value)
        if self.phase_map is not None:
            self.phase_map.threshold = self._threshold
        if self.cache is not None:
            self.cache.set_threshold(self._threshold)
        self.changed.emit("threshold")

    def set_scan(self, scan: Scan | None) -> None:
        """Take other patterns; the file of those before is closed."""
        if scan is self.scan:
            return
        self._attach(scan)
        self.changed.emit("scan")

    def set_map(self, phase_map: PhaseMap | None) -> None:
        """Take another result."""
        self._use(phase_map)
        self.changed.emit("map")

    def fill(self, result: TileResult | SampleResult) -> None:
        """Enter a finished part of the work into the phase map and what its layers show.

        Draw it with :func:`~.layers.refresh_layers`.

        Raises
        ------
        InputError
            If there is no phase map to fill.
        """
        if self.phase_map is None or self.cache is None:
            raise InputError("there is no phase map to fill: start the classification again")
        result.fill_into(self.phase_map)
        arrays = (result.point_group_probabilities, result.bravais_probabilities, result.quality)
        if isinstance(result.rows, slice) and isinstance(result.cols, slice):
            self.cache.fill(result.rows, result.cols, *arrays)
        else:
            stride = getattr(result, "stride", 1)
            region = self.region if self.region is not None else self._asked_region()
            self.cache.fill_samples(result.rows, result.cols, stride, *arrays, region=region)

    def pattern(self, row: int, col: int) -> np.ndarray:
        """Return one pattern (h, w).

        Raises
        ------
        InputError
            If the pattern file is not there (any more), or is damaged at this place.
        """
        if self.scan is None:
            where = f"the pattern file '{self.source_name}' was not found"
            if not self.source_name:
                where = "the map does not say which pattern file it was made from"
            raise InputError(f"{self.name}: {where}; locate it in the Scan section of the map dock")
        if self.closed:
            raise InputError(f"{self.name}: its pattern file is closed; open it again")
        try:
            return self.scan.pattern(row, col)
        except OSError as error:
            reason = error.strerror or error
            raise InputError(
                f"{self.scan.path.name}: cannot be read any more ({reason}); check that the file "
                "is still there and open it again"
            ) from error

    def locate_patterns(self, path: str | Path) -> None:
        """Attach the pattern file to a result that was opened without it.

        Whether it holds the patterns that were classified is found out in the background, see
        :mod:`.hash_check`.

        Raises
        ------
        InputError
            If the file cannot be read, or has another number of patterns.
        """
        from ..scan import load_scan
        from .hash_check import check_later

        scan = load_scan(path)
        if scan.shape != self.shape:
            found = scan.shape
            scan.close()
            if found[0] * found[1] != self.shape[0] * self.shape[1] or 1 not in found:
                raise InputError(
                    f"{Path(path).name}: has {found[0]} x {found[1]} patterns, the map has "
                    f"{self.shape[0]} x {self.shape[1]}; choose the file that it was made from"
                )
            # A file that does not know its grid: the result does.
            scan = load_scan(path, grid=self.shape)
        self.set_scan(scan)
        check_later(self)

    def close(self) -> None:
        """Let go of the file; what was classified stays."""
        if self.closed:
            return
        self.closed = True
        if self._release is not None:
            self._release()
        self.changed.emit("closed")

    def _attach(self, scan: Scan | None) -> None:
        if self._release is not None:
            self._release()
        self.scan = scan
        self.patterns_match = None
        # However a session goes, its file is closed: without a viewer nobody calls close.
        self._release = None if scan is None else weakref.finalize(self, scan.close)
        self.closed = False

    def _use(self, phase_map: PhaseMap | None) -> None:
        self.phase_map = phase_map
        if phase_map is None:
            self.cache = None
            return
        self._threshold = phase_map.threshold
        self.cache = LabelCache.of_map(phase_map)
        self.prior = _prior_text(phase_map.provenance.get("prior"), self.prior)

    def _asked_region(self) -> Region | None:
        """Rows and columns that the map was asked for, as its provenance tells."""
        corners = self.phase_map.provenance.get("region") if self.phase_map is not None else None
        if not isinstance(corners, list) or len(corners) != 4:
            return None
        return slice(corners[0], corners[1]), slice(corners[2], corners[3])


def _prior_text(prior: object, default: str) -> str:
    return prior if isinstance(prior, str) else default


def session_of(layer: Layer | None) -> MapSession | None:
    """Return the session of a layer; None for layers that are not ours."""
    entry = _entry(layer)
    session = entry.get("session")
    return session if isinstance(session, MapSession) else None


def role_of(layer: Layer | None) -> str | None:
    """What a layer of ours shows, one of `ROLES`."""
    role = _entry(layer).get("role")
    return role if role in ROLES else None


def sessions(viewer: Viewer) -> list[MapSession]:
    """All sessions of a viewer, in the order of its layers (bottom first)."""
    found = [session_of(layer) for layer in viewer.layers]
    return list(dict.fromkeys(session for session in found if session is not None))


def active_session(viewer: Viewer) -> MapSession | None:
    """Session of the selected layer; else the topmost one."""
    selected = session_of(viewer.layers.selection.active)
    if selected is not None:
        return selected
    every = sessions(viewer)
    return every[-1] if every else None


def watch(viewer: Viewer, session: MapSession) -> None:
    """Close a session when its last layer is removed from its last viewer.

    May be called as often as one likes: it connects once.
    """
    # A plugin's widget may get the viewer behind a proxy, which nobody keeps alive.
    layers = getattr(viewer.layers, "__wrapped__", viewer.layers)
    if not any(place() is layers for place in session._places):
        session._places.append(weakref.ref(layers))
    # Neither callback holds anything: what they need comes with the event.
    if _on_removed not in layers.events.removed.callbacks:
        layers.events.removed.connect(_on_removed)


def _on_removed(event: Any) -> None:
    session = session_of(event.value)
    if session is None:
        return
    places = [place() for place in session._places]
    lists = [event.source, *(place for place in places if place is not None)]
    if not any(session_of(layer) is session for layers in lists for layer in layers):
        session.close()


def _entry(layer: Layer | None) -> dict[str, Any]:
    entry = {} if layer is None else layer.metadata.get(METADATA_KEY)
    return entry if isinstance(entry, dict) else {}
