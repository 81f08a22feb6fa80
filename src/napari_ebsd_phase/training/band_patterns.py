# SPDX-License-Identifier: GPL-3.0-or-later
"""Master patterns of many structures in little time: every Kikuchi band by itself.

The dynamical simulation of :mod:`.master_patterns` takes seconds to minutes a structure, this one
a tenth of a second, so that a network can see thousands of crystals. It stops at the first order
in the scattering potential: the wave at an atom is the incident one plus one diffracted beam per
reflection, and the intensity that atoms send in a direction is

    I = 1 + sum over g of (1 / xi_g) * (-s_g Re(c_g) + a_g Im(c_g)) / (s_g**2 + a_g**2)

with the deviation parameter s_g, the extinction distance xi_g, the phase c_g of the reflection as
seen from the atoms that scatter (weighted with the square of their atomic number), and a width
a_g. With a_g**2 = 1 / xi_g**2 + 1 / (2 pi t)**2 this is the two-beam solution of dynamical
diffraction theory averaged over an exponential distribution of depths with mean t; convolution
with a Lorentzian of angular half width w adds g * w to a_g. It has bands with their edges,
deficient bands and the differences between a polar crystal's two ends, but none of the interplay of
beams that draws the fine structure of zone axes.

References: Reimer, Transmission Electron Microscopy (Springer 1984), section 7.3; Winkelmann et
al., Ultramicroscopy 107 (2007) 414. Scattering factors: Doyle and Turner (1968) and its
successors, as diffsims has them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numba
import numpy as np

from napari_ebsd_phase.errors import InputError

from .grid_symmetry import structure_matrix
from .library import MasterPattern, master_pattern_of
from .structures import Structure

__all__ = ["SIMULATOR", "Reflectors", "band_master_pattern", "reflectors"]

SIMULATOR = "bands"
ELECTRON_REST_KEV = 510.99895


@dataclass(frozen=True)
class Reflectors:
    """Reflections of a structure, one of each Friedel pair.

    Parameters
    ----------
    hkl
        (count, 3) int.
    vectors
        (count, 3) reciprocal vectors in the crystal frame, per angstrom.
    structure_factors
        (count,) complex, in angstrom, with Debye-Waller factors.
    coupling
        (count,) complex: phase of the reflection as seen from the scattering atoms; its real part
        is 1 for a bright band, -1 for a dark one.
    volume
        Of the cell, in cubic angstrom.
    """

    hkl: np.ndarray
    vectors: np.ndarray
    structure_factors: np.ndarray
    coupling: np.ndarray
    volume: float


def wavelength(energy_kev: float) -> float:
    """Relativistic wavelength of the electron in angstrom."""
    return 12.2642596 / math.sqrt(energy_kev * 1e3 * (1 + energy_kev / (2 * ELECTRON_REST_KEV)))


def reflectors(
    structure: Structure,
    dmin: float = 0.8,
    *,
    debye_waller: float = 0.5,
    weakest: float = 0.01,
    most: int = 1500,
) -> Reflectors:
    """Reflections of a structure that draw visible bands.

    Parameters
    ----------
    structure
        Crystal structure with all atoms of its cell.
    dmin
        Smallest plane spacing in angstrom.
    debye_waller
        Factor B of every atom in square angstrom.
    weakest
        Reflections whose structure factor is below this share of the strongest are left out.
    most
        Largest number of reflections; the strongest are kept.

    Raises
    ------
    InputError
        If an element has no scattering factor, or no reflection is within the limit.
    """
    numbers = atomic_numbers()
    basis = structure_matrix(structure.cell)
    reciprocal = np.linalg.inv(basis)  # rows are a*, b*, c*
    limit = np.floor(np.linalg.norm(basis, axis=0) / dmin).astype(int)
    axes = [np.arange(-m, m + 1) for m in limit]
    hkl = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    hkl = hkl[len(hkl) // 2 + 1 :]  # the upper half: one of each Friedel pair, without 000
    vectors = hkl @ reciprocal
    length = np.linalg.norm(vectors, axis=1)
    inside = (length <= 1 / dmin) & _allowed(hkl, structure.centring)
    hkl, vectors, length = hkl[inside], vectors[inside], length[inside]
    stol2 = 0.25 * length**2
    thermal = np.exp(-debye_waller * stol2)
    species = np.array(structure.species)
    positions = np.array(structure.positions)
    factor = np.zeros(len(hkl), dtype=np.complex128)
    weight = np.zeros(len(hkl), dtype=np.complex128)
    total = 0.0
    for name in np.unique(species):
        if name not in numbers:
            raise InputError(f"{structure.uid}: no electron scattering factor of '{name}'")
        phases = np.exp(2j * np.pi * (hkl @ positions[species == name].T)).sum(axis=1)
        factor += _scattering_factor(str(name), stol2) * phases
        weight += numbers[name] ** 2 * phases
        total += numbers[name] ** 2 * (species == name).sum()
    factor *= thermal
    strength = np.abs(factor)
    if not len(strength) or strength.max() <= 0:
        raise InputError(
            f"{structure.uid}: no reflections with a spacing of {dmin} angstrom or more"
        )
    order = np.argsort(-strength, kind="stable")[:most]
    order = order[strength[order] > weakest * strength.max()]
    unit = factor[order] / strength[order]
    coupling = unit * np.conj(weight[order]) * thermal[order] / total
    return Reflectors(hkl[order], vectors[order], factor[order], coupling, structure.volume)


def _scattering_factor(element: str, stol2: np.ndarray) -> np.ndarray:
    """Scattering factor in angstrom at (sin(theta) / wavelength)**2 per square angstrom."""
    from diffsims.utils.atomic_scattering_params import ATOMIC_SCATTERING_PARAMS

    a, b = np.array(ATOMIC_SCATTERING_PARAMS[element]).T
    return (a * np.exp(-b * stol2[:, None])).sum(axis=1)


@cache
def atomic_numbers() -> dict[str, int]:
    """Atomic number of each element that has a scattering factor, hydrogen to californium."""
    from diffsims.utils.atomic_scattering_params import ATOMIC_SCATTERING_PARAMS

    return {name: z for z, name in enumerate(ATOMIC_SCATTERING_PARAMS, start=1)}


def _allowed(hkl: np.ndarray, centring: str) -> np.ndarray:
    """Reflections that the centring of the cell does not extinguish."""
    h, k, l = hkl.T  # noqa: E741
    conditions = {
        "P": np.zeros_like(h),
        "A": (k + l) % 2,
        "B": (h + l) % 2,
        "C": (h + k) % 2,
        "I": (h + k + l) % 2,
        "F": ((h + k) % 2) + ((k + l) % 2),
        "R": (-h + k + l) % 3,
    }
    return conditions[centring] == 0


@numba.njit(cache=True, nogil=True, fastmath=True)
def _draw(
    vectors: np.ndarray,
    half: np.ndarray,
    width2: np.ndarray,
    even: np.ndarray,
    odd: np.ndarray,
    polar: bool,
    out: np.ndarray,
) -> None:
    """Sum of the bands on both hemispheres of the square Lambert grid, out (2, n, n)."""
    n = out.shape[1]
    count = len(half)
    for hemisphere in range(2):
        for i in range(n):
            v = 2.0 * i / (n - 1) - 1.0
            for j in range(n):
                u = 2.0 * j / (n - 1) - 1.0
                # Inverse of pattern_simulation._lookup.
                if abs(u) >= abs(v):
                    r = abs(u)
                    angle = 0.0 if u == 0.0 else 0.25 * math.pi * v / u
                    x, y = (
                        math.copysign(math.cos(angle), u),
                        math.copysign(1.0, u) * math.sin(angle),
                    )
                else:
                    r = abs(v)
                    angle = 0.25 * math.pi * u / v
                    x, y = (
                        math.copysign(1.0, v) * math.sin(angle),
                        math.copysign(math.cos(angle), v),
                    )
                z = 1.0 - r * r
                rho = math.sqrt(max(1.0 - z * z, 0.0))
                # Single precision: twice as many bands at once.
                nx, ny = np.float32(x * rho), np.float32(y * rho)
                nz = np.float32(z if hemisphere == 0 else -z)
                total = np.float32(0.0)
                if polar:
                    for k in range(count):
                        c = nx * vectors[0, k] + ny * vectors[1, k] + nz * vectors[2, k]
                        p = half[k] + c
                        m = half[k] - c
                        a = np.float32(1.0) / (p * p + width2[k])
                        b = np.float32(1.0) / (m * m + width2[k])
                        total += even[k] * (p * a + m * b) + odd[k] * (a - b)
                else:
                    for k in range(count):
                        c = nx * vectors[0, k] + ny * vectors[1, k] + nz * vectors[2, k]
                        p = half[k] + c
                        m = half[k] - c
                        total += even[k] * (p / (p * p + width2[k]) + m / (m * m + width2[k]))
                out[hemisphere, i, j] = total


def band_intensities(
    bands: Reflectors,
    energy_kev: float = 20.0,
    half_size: int = 90,
    *,
    depth: float = 150.0,
    blur: float = 0.2,
) -> np.ndarray:
    """Modulation of the intensity by all bands, mean 0 for no reflections.

    Parameters
    ----------
    bands
        From :func:`reflectors`.
    energy_kev
        Energy of the beam in keV.
    half_size
        The pattern has n = 2 * half_size + 1 points a side.
    depth
        Mean depth in angstrom from which the electrons come.
    blur
        Half width at half maximum in degrees of the Lorentzian that the pattern is blurred with:
        the spread of energies, and the size of a grid point.

    Returns
    -------
    numpy.ndarray
        (2, n, n) float32.
    """
    lam = wavelength(energy_kev)
    gamma = 1 + energy_kev / ELECTRON_REST_KEV
    length = np.linalg.norm(bands.vectors, axis=1)
    # Inverse extinction distance, per angstrom.
    inverse = lam * gamma * np.abs(bands.structure_factors) / (math.pi * bands.volume)
    width = np.sqrt(inverse**2 + 1 / (2 * math.pi * depth) ** 2) + length * math.radians(blur)
    even, odd = inverse * bands.coupling.real, inverse * width * bands.coupling.imag
    n = 2 * half_size + 1
    out = np.empty((2, n, n), dtype=np.float32)
    _draw(
        np.ascontiguousarray(bands.vectors.T, dtype=np.float32),
        (0.5 * lam * length**2).astype(np.float32),
        (width**2).astype(np.float32),
        even.astype(np.float32),
        odd.astype(np.float32),
        bool(np.abs(odd).max() > 1e-3 * np.abs(even * width).max()),
        out,
    )
    return out


def band_master_pattern(
    structure: Structure,
    energy_kev: float = 20.0,
    half_size: int = 90,
    *,
    dmin: float = 0.8,
    debye_waller: float = 0.5,
    depth: float = 150.0,
    blur: float = 0.2,
    saturation: float = 1.0,
    most: int = 800,
) -> MasterPattern:
    """Master pattern of a structure, drawn band by band.

    Parameters
    ----------
    structure
        Crystal structure with all atoms of its conventional cell.
    energy_kev, half_size, depth, blur
        As in :func:`band_intensities`.
    dmin, debye_waller, most
        As in :func:`reflectors`.
    saturation
        Where many bands cross, their sum exceeds what a crystal can do: the modulation m is
        replaced by tanh(saturation * m). With 1 the patterns agree best with dynamical ones.

    Raises
    ------
    InputError
        As :func:`reflectors`.
    """
    bands = reflectors(structure, dmin, debye_waller=debye_waller, most=most)
    values = band_intensities(bands, energy_kev, half_size, depth=depth, blur=blur)
    values = np.tanh(saturation * values)
    return master_pattern_of(
        structure,
        values,
        f"{structure.uid}_{energy_kev:g}kV_bands",
        energy_kev=float(energy_kev),
        simulator=SIMULATOR,
        dmin_nm=dmin / 10,
    )
