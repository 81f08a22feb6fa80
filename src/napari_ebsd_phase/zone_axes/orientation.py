# SPDX-License-Identifier: GPL-3.0-or-later
"""Orientations: those that a file came with, and those that Hough indexing finds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError
from .cell import cell_of
from .crystal import describe
from .geometry import Geometry

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from orix.crystal_map import Phase
    from orix.quaternion import Rotation

    from ..scan import Scan

__all__ = [
    "Orientation",
    "geometry_from_file",
    "hough_indexer",
    "orientation_by_hough",
    "orientation_from_file",
    "require_hough",
]

# Triplets of planes that Hough indexing may look up: some 100 MB, and five families of a cubic
# crystal.
_MOST_TRIPLETS = 5_000_000
# Of fewer there are no triplets; where no more are strong, weaker ones vote, too.
_FEWEST_PLANES, _FEWEST_FAMILIES = 6, 2
_STRENGTHS = (0.4, 0.05, 0.01)

# What helps in the program.
_ELSEWHERE = "open a file with the result of indexing"
_NO_DETECTOR = f"the file does not say where the detector stood; {_ELSEWHERE}"

# Their sample frame is turned against kikuchipy's by 90 degrees about the normal (kikuchipy's
# tutorial on reference frames; PyEBSDIndex has the same).
_TURNED = ("oxford", "bruker")


@dataclass(frozen=True, eq=False)
class Orientation:
    """What the bands of one pattern follow from.

    Attributes
    ----------
    phase
        The crystal.
    rotation
        One rotation from the sample to the crystal, in the frames of kikuchipy and orix.
    geometry
        Where the detector stands.
    fit
        Mean angle in degrees between found and expected bands, of Hough indexing; else NaN.
    """

    phase: Phase
    rotation: Rotation
    geometry: Geometry
    fit: float = float("nan")


def orientation_from_file(scan: Scan, row: int, col: int) -> Orientation:
    """Return phase, orientation and geometry that a file carries for one pattern.

    The orientations of Oxford and Bruker are turned into kikuchipy's sample frame.

    Parameters
    ----------
    scan
        Open data set.
    row, col
        Map point.

    Raises
    ------
    InputError
        If the file has no orientation for this pattern, no usable projection centre, or an
        orientation whose meaning is not settled.
    """
    name = scan.path.name
    rows, cols = scan.shape
    _check_place(scan, row, col)
    crystal_map = scan.crystal_map
    if crystal_map is None:
        raise InputError(f"{name}: the file has no orientations; {_ELSEWHERE}")
    number = row * cols + col
    if crystal_map.size != rows * cols:
        raise InputError(
            f"{name}: its {crystal_map.size} orientations are not those of {rows} x {cols} "
            "patterns; export the map again"
        )
    if scan.detector is None or scan.pattern_shape is None:
        raise InputError(f"{name}: {_NO_DETECTOR}")
    phase_id = int(crystal_map.phase_id[number])
    if phase_id < 0:
        raise InputError(f"{name}: the pattern at row {row}, column {col} was not indexed")
    phase = crystal_map.phases[phase_id]
    maker = _maker(scan)
    rotation = crystal_map.rotations[number]
    if np.any(~np.isfinite(rotation.data)):
        raise InputError(f"{name}: the pattern at row {row}, column {col} was not indexed")
    geometry = geometry_from_file(scan, row, col)
    if maker.startswith(_TURNED):
        rotation = _in_kikuchipy_frame(rotation, phase, maker, name)
    return Orientation(phase, rotation, geometry)


def geometry_from_file(scan: Scan, row: int, col: int) -> Geometry:
    """Return where a file says that the detector stood for one pattern.

    Parameters
    ----------
    scan
        Open data set.
    row, col
        Map point.

    Raises
    ------
    InputError
        If the file has no usable projection centre for this pattern.
    """
    name = scan.path.name
    rows, cols = scan.shape
    _check_place(scan, row, col)
    detector = scan.detector
    if detector is None or scan.pattern_shape is None:
        raise InputError(f"{name}: {_NO_DETECTOR}")
    if detector.navigation_size not in (1, rows * cols):
        raise InputError(
            f"{name}: its {detector.navigation_size} projection centres are not those of "
            f"{rows} x {cols} patterns; export the map again"
        )
    try:
        in_a_line = len(detector.navigation_shape) == 1
        place = (0, row * cols + col) if in_a_line else (row, col)
        geometry = Geometry.from_detector(detector, *place)
    except InputError as error:
        raise InputError(f"{name}: no usable projection centre ({error})") from error
    if geometry.shape != tuple(scan.pattern_shape):
        raise InputError(
            f"{name}: its detector has {geometry.shape} pixels, its patterns {scan.pattern_shape}; "
            "export the map again"
        )
    return geometry


def _check_place(scan: Scan, row: int, col: int) -> None:
    rows, cols = scan.shape
    if not (0 <= row < rows and 0 <= col < cols):
        raise InputError(
            f"{scan.path.name}: no pattern at row {row}, column {col} of {rows} x {cols}"
        )


def _in_kikuchipy_frame(rotation: Rotation, phase: Phase, maker: str, name: str) -> Rotation:
    from orix.quaternion import Rotation

    angles = phase.structure.lattice.abcABG()[3:]
    if not np.allclose(angles, 90.0, atol=0.05):
        # Which Cartesian axes an oblique cell has is not told, and differs among versions.
        raise InputError(
            f"{name}: how {maker} lays the axes of the oblique cell of {phase.name} is not "
            f"settled; {_ELSEWHERE}"
        )
    return rotation * Rotation.from_axes_angles([0, 0, 1], -np.pi / 2)


def _maker(scan: Scan) -> str:
    """Program that wrote an HDF5 file, in lower case; empty for other files."""
    import h5py

    if not scan.path.is_file() or not h5py.is_hdf5(scan.path):
        return ""
    with h5py.File(scan.path, "r") as file:
        for name in file:
            if name.strip().lower() == "manufacturer":
                value = np.ravel(file[name][()])[0]
                text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
                return text.strip().lower().split()[0] if text.strip() else ""
    return ""


def orientation_by_hough(
    pattern: NDArray,
    phase: Phase,
    geometry: Geometry,
    *,
    bands: int = 9,
    min_matched: int = 5,
) -> Orientation:
    """Index one pattern of a known phase by kikuchipy's Hough indexing (PyEBSDIndex).

    Parameters
    ----------
    pattern
        (h, w) after background correction: bands show as lines in it.
    phase
        Crystal with its space group.
    geometry
        Where the detector stands.
    bands
        Lines to look for.
    min_matched
        Fewest of them that a band of the crystal must explain. Patterns of nickel match 7 to 9 of
        9, noise 3 or 4.

    Raises
    ------
    InputError
        If PyEBSDIndex is not installed, the phase has no space group, or no orientation fits.

    Notes
    -----
    Rowenhorst et al., J. Appl. Cryst. 57 (2024) 3, the method; kikuchipy calls it.
    """
    return hough_indexer(phase, geometry, bands=bands, min_matched=min_matched)(pattern)


def _voting_planes(phase: Phase) -> NDArray[np.int_]:
    """One plane of each family that votes, the strongest families first.

    PyEBSDIndex adds the equivalents itself and tabulates all triplets of planes: families given
    several times over, and the many weak ones of large cells, cost gigabytes.
    """
    # One family alone leaves PyEBSDIndex without triplets, however many planes it has.
    for strength in _STRENGTHS:
        planes = describe(phase, min_strength=strength).hkl
        families = _families(phase, planes)
        if len(planes) >= _FEWEST_PLANES and len(families) >= _FEWEST_FAMILIES:
            return families
    raise InputError(f"{phase.name}: too few lattice planes reflect to find its orientation")


def _families(phase: Phase, planes: NDArray[np.int_]) -> NDArray[np.int_]:
    """The first plane of each family, as far as their triplets fit into memory."""
    turns = np.unique([np.rint(op.R) for op in phase.space_group.iter_symops()], axis=0)
    turns = np.concatenate([turns, -turns])
    chosen: list[NDArray[np.int_]] = []
    seen: set[tuple[int, ...]] = set()
    angles = 0
    for plane in planes:
        if tuple(plane) in seen:
            continue
        family = {tuple(int(i) for i in row) for row in np.rint(plane @ turns)}
        # Angles of one plane of each family to the planes of this one, and triplets of them all.
        angles += (len(chosen) + 1) * len(family) // 2
        if len(chosen) > 2 and (len(chosen) + 1) * angles**3 / 6 > _MOST_TRIPLETS:
            break
        seen |= family
        chosen.append(plane)
    return np.array(chosen)


def require_hough() -> None:
    """Check that Hough indexing is installed; an :class:`InputError` says how to get it."""
    if find_spec("pyebsdindex") is None:
        raise InputError("Hough indexing needs PyEBSDIndex: pip install 'pyebsdindex>=0.3.9,<0.4'")


def hough_indexer(
    phase: Phase, geometry: Geometry, *, bands: int = 9, min_matched: int = 5
) -> Callable[[NDArray], Orientation]:
    """Prepare Hough indexing for many patterns of one phase and geometry.

    Parameters
    ----------
    phase, geometry, bands, min_matched
        See :func:`orientation_by_hough`.

    Returns
    -------
    callable
        Takes a pattern (h, w) after background correction, and gives its orientation or raises
        `InputError` if none fits.

    Raises
    ------
    InputError
        If PyEBSDIndex is not installed, or the phase has no space group.
    """
    require_hough()
    from diffpy.structure import Lattice, Structure
    from kikuchipy.indexing import xmap_from_hough_indexing_data
    from orix.crystal_map import Phase, PhaseList

    if phase.space_group is None:
        raise InputError(f"{phase.name}: Hough indexing asks for the space group; give its number")
    lattice = Lattice(*cell_of(phase).constants)
    phases = PhaseList(
        Phase(
            name=phase.name,
            space_group=phase.space_group.number,
            structure=Structure(lattice=lattice),
        )
    )
    indexer = geometry.detector().get_indexer(phases, [_voting_planes(phase)], nBands=bands)

    def index(pattern: NDArray) -> Orientation:
        frame = np.asarray(pattern)
        if frame.shape != geometry.shape:
            raise InputError(f"the pattern is {frame.shape}, the geometry of {geometry.shape}")
        data, *_ = indexer.index_pats(frame[np.newaxis].astype(np.float32), verbose=0)
        found = xmap_from_hough_indexing_data(data, phases)
        if found.phase_id[0] < 0 or found.prop["nmatch"][0] < min_matched:
            raise InputError(
                f"no orientation of {phase.name} fits the bands of this pattern; check the phase, "
                "the projection centre and the background correction"
            )
        return Orientation(phase, found.rotations[0], geometry, float(found.prop["fit"][0]))

    return index
