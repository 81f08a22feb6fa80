# SPDX-License-Identifier: GPL-3.0-or-later
"""Dynamical master patterns, simulated with de-ebsd (the only file that imports it).

de-ebsd is an optional extra: extra ``simulate``. Its pattern of nickel
correlates at 0.95 with EMsoft's, and at 0.998 if it is given EMsoft's depth profile of the
electrons: what is left is the difference between the two Monte Carlo simulations.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from napari_ebsd_phase.crystallography import POINT_GROUPS
from napari_ebsd_phase.errors import InputError

from .grid_symmetry import fold_grid, grid_operations
from .library import MasterPattern, master_pattern_of, save_master_pattern
from .structures import Structure

__all__ = [
    "balanced_queue",
    "default_dmin",
    "default_oversampling",
    "reduce_grid",
    "simulate_library",
    "simulate_master_pattern",
    "simulate_points",
]

# Number of symmetry operations of each point group.
# fmt: off
ORDERS = dict(zip(POINT_GROUPS, (
    1, 2, 2, 2, 4, 4, 4, 8, 4, 4, 8, 8, 8, 8, 16, 3, 6, 6, 6, 12, 6, 6, 12, 12, 12, 12, 24,
    12, 24, 24, 24, 48,
), strict=True))
# fmt: on

# Directions that are solved between two calls of `progress`.
BATCH = 8192


def default_dmin(volume: float) -> float:
    """Smallest plane spacing in nm worth its cost in a cell of a volume in cubic angstrom."""
    return 0.05 if volume < 80 else 0.06 if volume < 130 else 0.07 if volume < 200 else 0.09


def default_oversampling(volume: float) -> float:
    """Points a side simulated for one that is kept, in a cell of a volume in cubic angstrom.

    Patterns have features much finer than a degree: single points of a one-degree grid are
    noisy samples of them, averages agree better with EMsoft's patterns.
    """
    return 2.0 if volume < 200 else 1.5


def simulate_master_pattern(
    structure: Structure,
    energy_kev: float = 20.0,
    half_size: int = 90,
    *,
    dmin_nm: float | None = None,
    oversampling: float | None = None,
    debye_waller: float = 0.005,
    device: str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> MasterPattern:
    """Simulate the dynamical master pattern of a structure.

    Parameters
    ----------
    structure
        Crystal structure with all atoms of its conventional cell.
    energy_kev
        Energy of the beam in keV; electrons that lost more than 2 keV are left out.
    half_size
        The pattern has n = 2 * half_size + 1 points a side; 90 is about one degree a point.
    dmin_nm
        Smallest plane spacing that takes part, in nm; smaller costs more. By default
        :func:`default_dmin`.
    oversampling
        Points a side that are simulated, and averaged, for each that is kept. By default
        :func:`default_oversampling`.
    debye_waller
        Factor B of every atom, in square nm.
    device
        As torch names it.
    progress
        Called with the directions solved so far and in all.

    Raises
    ------
    InputError
        If the extra ``simulate`` is not installed, or the simulator cannot do this structure.
    """
    dmin_nm = default_dmin(structure.volume) if dmin_nm is None else dmin_nm
    if oversampling is None:
        oversampling = default_oversampling(structure.volume)
    fine = round(half_size * oversampling)
    representatives, members = fold_grid(grid_operations(structure), fine)
    values = simulate_points(
        structure,
        representatives,
        energy_kev,
        fine,
        dmin_nm=dmin_nm,
        debye_waller=debye_waller,
        device=device,
        progress=progress,
    )
    values = reduce_grid(values[members].reshape(2, 2 * fine + 1, 2 * fine + 1), half_size)
    return master_pattern_of(
        structure,
        values,
        f"{structure.uid}_{energy_kev:g}kV",
        energy_kev=float(energy_kev),
        simulator=f"de-ebsd {version('de-ebsd')}",
        dmin_nm=dmin_nm,
    )


def reduce_grid(values: np.ndarray, half_size: int) -> np.ndarray:
    """Average a master pattern onto a coarser grid; the grid of equal areas makes this fair.

    Parameters
    ----------
    values
        (2, m, m) intensities on a grid at least as fine as the one wanted.
    half_size
        Half size of the grid wanted.

    Returns
    -------
    numpy.ndarray
        (2, n, n), n = 2 * half_size + 1.
    """
    fine = values.shape[-1] // 2
    if fine == half_size:
        return values
    # Half the pixel of the coarse grid; beyond the rim the last value stands for its neighbours.
    sigma = 0.36 * fine / half_size
    smooth = ndimage.gaussian_filter(values, (0, sigma, sigma), mode="nearest")
    at = np.linspace(0, 2 * fine, 2 * half_size + 1)
    rows, columns = np.meshgrid(at, at, indexing="ij")
    return np.stack([ndimage.map_coordinates(half, (rows, columns), order=1) for half in smooth])


def simulate_points(
    structure: Structure,
    points: np.ndarray,
    energy_kev: float,
    half_size: int,
    *,
    dmin_nm: float,
    debye_waller: float = 0.005,
    device: str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Intensities of some points of the grid of a master pattern.

    Parameters
    ----------
    points
        (count,) flat indices into the grid (2, n, n).

    Other parameters, and errors, as in :func:`simulate_master_pattern`.

    Returns
    -------
    numpy.ndarray
        (count,) float32.
    """
    _require_simulator()
    import torch
    from de_ebsd import (
        BetheParameters,
        BlochPrismBackend,
        DepthDistribution,
        MasterPatternSimulator,
        Microscope,
    )
    from de_ebsd.diffraction.backends import SimulationInputs
    from de_ebsd.diffraction.kvectors import sample_incident_directions

    try:
        crystal = _crystal(structure, debye_waller)
        depth = DepthDistribution.from_simulation(
            crystal,
            energy_kev,
            tilt_deg=70.0,
            n_electrons=10_000,
            device="cpu",  # so that every device starts from the same random numbers
            seed=0,
            e_min_kev=energy_kev - 2,
            e_bin_kev=1.0,
        )
    except ValueError as error:  # an element without scattering factors
        raise InputError(f"{structure.uid}: {error}") from error
    bethe = BetheParameters(4, 8, 50)
    microscope = Microscope(energy=energy_kev * 1e3, sample_tilt=70.0)
    simulator = MasterPatternSimulator(crystal, microscope, npx=half_size, dmin=dmin_nm)
    backend = BlochPrismBackend(cdtype=torch.complex64)
    backend.block, backend.class_chunk, backend.matmul_batch = BATCH, 256, 256
    backend.prepare(
        SimulationInputs(
            structure_factors=simulator.structure_factors(),
            bethe=bethe,
            monte_carlo=depth,
            device=torch.device(device),
            dtype=torch.float32,
        )
    )
    directions = sample_incident_directions(half_size, device=device).flat()
    directions = directions[torch.as_tensor(points, device=device)]
    values = []
    for start in range(0, len(points), BATCH):
        values.append(backend.intensities(directions[start : start + BATCH]).cpu().numpy())
        if progress is not None:
            progress(min(start + BATCH, len(points)), len(points))
    return np.concatenate(values)


def _require_simulator() -> None:
    if find_spec("de_ebsd") is None:
        raise InputError(
            "simulating master patterns needs an optional package: "
            "pip install 'de-ebsd==0.2.1' 'spglib>=2.7,<3'"
        )


def _crystal(structure: Structure, debye_waller: float) -> Any:
    """The structure as the simulator takes it: all atoms explicit, in space group 1.

    The simulator's own expansion goes wrong for space groups with two origins, and its folding
    takes the axes of 2/m, 312, -62m and their like for those of another setting.
    """
    from de_ebsd import AtomSite, Crystal

    class CentredCrystal(Crystal):
        """Leaves out the reflections that the centring of the cell extinguishes."""

        centering = structure.centring

    a, b, c, alpha, beta, gamma = structure.cell
    sites = [
        AtomSite(element, position, debye_waller=debye_waller)
        for element, position in zip(structure.species, structure.positions, strict=True)
    ]
    return CentredCrystal(a / 10, b / 10, c / 10, alpha, beta, gamma, 1, sites)


def balanced_queue(structures: Iterable[Structure]) -> Iterator[Structure]:
    """Structures in the order to simulate them in: any beginning of it is a balanced set.

    Point groups take turns, and within each its Bravais lattices; cheap structures come first.
    """
    groups: dict[str, dict[str, list[Structure]]] = {}
    for structure in sorted(structures, key=_cost):
        lattices = groups.setdefault(structure.point_group, defaultdict(list))
        lattices[structure.bravais].append(structure)
    return _take_turns([_take_turns(list(groups[name].values())) for name in sorted(groups)])


def _cost(structure: Structure) -> tuple[float, str]:
    return structure.volume**1.2 / ORDERS[structure.point_group], structure.uid


def _take_turns(queues: Sequence[Iterable[Structure]]) -> Iterator[Structure]:
    rounds = itertools.zip_longest(*queues)
    return (structure for turn in rounds for structure in turn if structure is not None)


def simulate_library(
    folder: str | Path,
    structures: Iterable[Structure],
    *,
    part: tuple[int, int] = (0, 1),
    energy_kev: float = 20.0,
    half_size: int = 90,
    max_volume: float = 900.0,
    device: str = "cpu",
    progress: Callable[[int, int, str], None] | None = None,
) -> list[str]:
    """Simulate master patterns into a folder, one ``.npz`` each; what is there is not done again.

    Parameters
    ----------
    folder
        Folder to write to; made if it does not exist.
    structures
        Structures to simulate, in the order of :func:`balanced_queue`.
    part
        (k, n): take every n-th structure from the k-th on, to share the work among processes.
    energy_kev, half_size, device
        As in :func:`simulate_master_pattern`.
    max_volume
        Leave out cells larger than this, in cubic angstrom: cost grows with the cube of it.
    progress
        Called with structures done, in all, and a line about the last one.

    Returns
    -------
    list of str
        One line about each structure that could not be simulated.

    Raises
    ------
    InputError
        If the extra ``simulate`` is not installed.
    """
    _require_simulator()  # here, or it would count as a failure of every structure
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [s for s in balanced_queue(structures) if s.volume <= max_volume]
    wanted = wanted[part[0] :: part[1]]
    failed = []
    for done, structure in enumerate(wanted, start=1):
        target = folder / f"{structure.uid}_{energy_kev:g}kV.npz"
        line = f"{structure.uid} {structure.formula} {structure.point_group} {structure.bravais}"
        if not target.exists():
            try:
                pattern = simulate_master_pattern(structure, energy_kev, half_size, device=device)
            except InputError as error:  # one bad structure must not end a night's run
                failed.append(str(error))
                line = str(error)
            else:
                save_master_pattern(pattern, target)
        if progress is not None:
            progress(done, len(wanted), line)
    return failed
