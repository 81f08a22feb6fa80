# SPDX-License-Identifier: GPL-3.0-or-later
"""What the dock of maps on the sphere does in the background."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .._sources.cif import check_cif
from ..errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ..saliency.sphere import SphereMap
    from ..saliency.sphere_picture import Panel
    from ..scan import Scan
    from ..zone_axes import Catalogue
    from .background import Cancelled, Progress
    from .network_loader import NetworkLoader


@dataclass(frozen=True, eq=False)
class SphereRequest:
    """What a map on the sphere is to show.

    Attributes
    ----------
    scan
        Open patterns.
    phase
        Name of a phase of the file.
    cif
        File with a crystal, to be used in place of a phase of the file.
    hough
        Whether orientations are found by Hough indexing, and not taken from the file.
    level
        Of the classes.
    target
        Class whose evidence is shown; None for that of the crystal.
    against
        Class that it is weighed against; None for all others.
    most
        Patterns at most.
    master
        File with the master pattern of the crystal; None for the mean of the patterns.
    network, device
        As :meth:`.NetworkLoader.load` takes them.
    prior
        Class prior.
    """

    scan: Scan
    phase: str | None
    cif: Path | None
    hough: bool
    level: str
    target: str | None
    against: str | None
    most: int
    master: Path | None
    network: str
    device: str
    prior: str | NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SphereAnswer:
    """A map on the sphere, and what is drawn with it.

    Attributes
    ----------
    found
        The map.
    panels
        Discs: what lies beside it, and the map.
    catalogue, operations
        Of the crystal, for the marks.
    lines
        What it is: the crystal, what was asked, and of how many patterns.
    """

    found: SphereMap
    panels: Sequence[Panel]
    catalogue: Catalogue
    operations: NDArray[np.float64]
    lines: tuple[str, str]


def phases_in(scan: Scan) -> dict[str, int]:
    """Phases that a file has orientations of, with the number of their patterns, most first."""
    crystal_map = scan.crystal_map
    if crystal_map is None:
        return {}
    numbers, counts = np.unique(np.asarray(crystal_map.phase_id), return_counts=True)
    found = {
        str(crystal_map.phases[int(number)].name): int(count)
        for number, count in zip(numbers, counts, strict=True)
        if number >= 0
    }
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def make_sphere(
    request: SphereRequest, loader: NetworkLoader, progress: Progress, cancelled: Cancelled
) -> SphereAnswer | None:
    """Ask a network about many patterns and lay the evidence on the sphere.

    Returns
    -------
    SphereAnswer or None
        None if it was cancelled.

    Raises
    ------
    InputError
        If there are no orientations, or the request does not fit the file.
    """
    classifier = loader.load(request.network, request.device)
    # After torch, which the loader imports with care.
    from ..mapping import scan_screen
    from ..saliency import Cancelled as Stopped
    from ..saliency.sphere import laue_operations, saliency_on_sphere
    from ..saliency.sphere_picture import Panel
    from ..saliency.sphere_scan import class_of, mean_pattern, oriented_frames
    from ..training.saliency_masters import master_panel
    from ..zone_axes import describe

    scan = request.scan

    def half(which: int, done: int, total: int) -> None:
        # Orientations, then evidence: as many patterns each.
        progress(which * total + done, 2 * total)

    mask, background = scan_screen(scan), scan.static_background
    try:
        oriented = oriented_frames(
            scan,
            request.most,
            _crystal(request),
            mask=mask,
            progress=lambda done, total: half(0, done, total),
            cancelled=cancelled,
        )
        phase = oriented.phase
        target = request.target or class_of(phase, request.level)
        operations, catalogue = laue_operations(phase), describe(phase)
        if request.master is not None:
            beside = master_panel(request.master, phase)
        else:
            mean = mean_pattern(oriented, mask=mask, background=background)
            beside = Panel("mean of the patterns", mean.values, signed=False)
        found = saliency_on_sphere(
            classifier,
            oriented.frames,
            oriented.rotations,
            oriented.geometries,
            target,
            operations,
            level=request.level,
            against=request.against,
            prior=request.prior,
            background=background,
            mask=mask,
            progress=lambda done, total: half(1, done, total),
            cancelled=cancelled,
        )
    except Stopped:
        return None
    against = "" if request.against is None else f" against {request.against}"
    count = f"{found.patterns:,} pattern{'s' if found.patterns != 1 else ''}"
    how = ", indexed by Hough" if request.hough else ""
    return SphereAnswer(
        found,
        [beside, Panel(f"evidence for {target}{against}", found.values)],
        catalogue,
        operations,
        (
            f"{scan.name}, {phase.name}",
            f"evidence for {request.level.replace('_', ' ')} {target}{against}, network "
            f"{classifier.name}; mean over {count}{how}",
        ),
    )


def _crystal(request: SphereRequest) -> object:
    """Name of a phase of the file, or a phase whose orientations are to be found."""
    if request.cif is not None:
        from diffpy.structure import StructureFormatError
        from orix.crystal_map import Phase

        check_cif(request.cif)
        wrong = (StructureFormatError, OSError, ValueError, TypeError, KeyError, IndexError)
        try:
            phase = Phase.from_cif(str(request.cif))
        except wrong as error:
            raise InputError(
                f"{request.cif.name}: no crystal that orix can read; choose another CIF"
            ) from error
        return phase
    if not request.hough:
        return request.phase
    crystal_map = request.scan.crystal_map
    if crystal_map is None or request.phase is None:
        raise InputError("Hough indexing needs a phase: choose a CIF file")
    return crystal_map.phases[request.phase]
