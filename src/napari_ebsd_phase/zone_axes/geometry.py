# SPDX-License-Identifier: GPL-3.0-or-later
"""Directions and detector pixels: the gnomonic projection of kikuchipy's EBSD detector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError

if TYPE_CHECKING:
    from kikuchipy.detectors import EBSDDetector
    from numpy.typing import NDArray
    from orix.quaternion import Rotation

__all__ = [
    "Geometry",
    "crystal_directions",
    "detector_to_crystal",
    "rotation_of",
]


@dataclass(frozen=True)
class Geometry:
    """Where the detector stands.

    Pixels are counted as in an image array: the middle of the upper left pixel is column 0, row 0,
    and the frame reaches from -0.5 to the number of columns, or rows, less 0.5.

    Attributes
    ----------
    shape
        Rows and columns of the pattern.
    pc
        Projection centre (PCx, PCy, PCz) in Bruker's convention: x as a fraction of the width from
        the left, y as a fraction of the height from the top, distance in units of the height.
    tilt
        Tilt of the sample in degrees.
    detector_tilt, azimuthal, twist
        Angles of the detector in degrees, as kikuchipy's ``EBSDDetector`` has them.

    Raises
    ------
    InputError
        If the shape is empty, or the projection centre is no number or not before the sample.
    """

    shape: tuple[int, int]
    pc: tuple[float, float, float]
    tilt: float = 70.0
    detector_tilt: float = 0.0
    azimuthal: float = 0.0
    twist: float = 0.0

    def __post_init__(self) -> None:
        shape = tuple(int(size) for size in self.shape)
        centre = tuple(float(value) for value in np.ravel(self.pc))
        if len(shape) != 2 or min(shape) < 1:
            raise InputError(f"a pattern of shape {shape} has no pixels; give rows and columns")
        if len(centre) != 3 or not np.isfinite(centre).all() or centre[2] <= 0:
            raise InputError(
                f"{centre} is no projection centre: give (PCx, PCy, PCz) in Bruker's convention, "
                "with a distance PCz above 0"
            )
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "pc", centre)

    @classmethod
    def from_detector(cls, detector: EBSDDetector, row: int = 0, col: int = 0) -> Geometry:
        """Geometry of one map point of a kikuchipy detector.

        Parameters
        ----------
        detector
            With one projection centre for all points, or one for each.
        row, col
            Map point; where the centres lie in one line, `col` counts along it and `row` is 0.
        """
        centres = detector.pc.reshape(*detector.navigation_shape, 3)
        if detector.navigation_size == 1:
            centre = centres.reshape(3)
        else:
            centre = centres[row, col] if centres.ndim == 3 else centres[col]
        return cls(
            shape=tuple(detector.shape),
            pc=tuple(centre),
            tilt=float(detector.sample_tilt),
            detector_tilt=float(detector.tilt),
            azimuthal=float(detector.azimuthal),
            twist=float(detector.twist),
        )

    def detector(self) -> EBSDDetector:
        """The same as kikuchipy's detector."""
        from kikuchipy.detectors import EBSDDetector

        return EBSDDetector(
            shape=self.shape,
            pc=self.pc,
            sample_tilt=self.tilt,
            tilt=self.detector_tilt,
            azimuthal=self.azimuthal,
            twist=self.twist,
        )

    def pixels_of(self, directions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Columns and rows (n, 2) where detector directions (n, 3) meet the screen.

        Directions that lead away from the screen are NaN.
        """
        ahead = directions[..., 2] > 1e-9
        depth = np.where(ahead, directions[..., 2], np.nan)
        height, width = self.shape
        x, y, distance = self.pc
        col = x * width + directions[..., 0] / depth * distance * height - 0.5
        row = y * height - directions[..., 1] / depth * distance * height - 0.5
        return np.stack([col, row], axis=-1)

    def directions_of(self, pixels: NDArray[np.float64]) -> NDArray[np.float64]:
        """Unit detector directions (n, 3) of columns and rows (n, 2): the way back."""
        height, width = self.shape
        x, y, distance = self.pc
        right = (pixels[..., 0] + 0.5 - x * width) / (distance * height)
        up = (y * height - pixels[..., 1] - 0.5) / (distance * height)
        found = np.stack([right, up, np.ones_like(right)], axis=-1)
        return found / np.linalg.norm(found, axis=-1, keepdims=True)

    def inside(self, pixels: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which columns and rows (n, 2) lie on the frame."""
        height, width = self.shape
        col, row = pixels[..., 0], pixels[..., 1]
        return (col >= -0.5) & (col < width - 0.5) & (row >= -0.5) & (row < height - 0.5)


def detector_to_crystal(rotation: Rotation, geometry: Geometry) -> NDArray[np.float64]:
    """Matrix (3, 3) that takes a detector direction to the crystal's Cartesian frame.

    It is the matrix that :func:`napari_ebsd_phase.training.pattern_simulation.render` takes.

    Parameters
    ----------
    rotation
        One orientation, from the sample to the crystal as in orix and kikuchipy (sample frame of
        EDAX TSL: RD, TD, ND).
    geometry
        Tilts of sample and detector.

    Returns
    -------
    numpy.ndarray
        Detector frame: x right, y up as one looks at the pattern, z away from the sample. Crystal
        frame: x along a, z along c*, as in orix.

    Raises
    ------
    InputError
        If `rotation` is not one proper rotation.
    """
    matrices = rotation.to_matrix().reshape(-1, 3, 3)
    if len(matrices) != 1:
        raise InputError(f"{len(matrices)} rotations given for one pattern; give one")
    if np.any(rotation.improper):
        raise InputError("an orientation with a mirror is none; give a proper rotation")
    to_detector = geometry.detector().sample_to_detector.to_matrix().reshape(3, 3)
    return np.asarray(matrices[0] @ to_detector.T, dtype=np.float64)


def rotation_of(matrix: NDArray[np.float64], geometry: Geometry) -> Rotation:
    """Orientation that a matrix from detector to crystal stands for.

    The way back of :func:`detector_to_crystal`: what a pattern was simulated with, in the
    convention of orix and kikuchipy.

    Parameters
    ----------
    matrix
        Orthogonal (3, 3) with determinant 1.
    geometry
        Tilts of sample and detector.

    Raises
    ------
    InputError
        If the matrix is no proper rotation: an image with a mirror has no orientation.
    """
    from orix.quaternion import Rotation

    matrix = np.asarray(matrix, np.float64)
    identity = np.eye(3)
    if matrix.shape != (3, 3) or not np.allclose(matrix @ matrix.T, identity, atol=1e-6):
        raise InputError("the matrix is not orthogonal; give a rotation matrix (3, 3)")
    if np.linalg.det(matrix) < 0:
        raise InputError("the matrix has a mirror; give one with determinant 1")
    to_detector = geometry.detector().sample_to_detector.to_matrix().reshape(3, 3)
    return Rotation.from_matrix(matrix @ to_detector)


def crystal_directions(rotation: Rotation, geometry: Geometry) -> NDArray[np.float64]:
    """Unit vectors (h, w, 3) in the crystal's Cartesian frame of all pixels of a pattern."""
    height, width = geometry.shape
    rows, cols = np.indices((height, width), dtype=np.float64)
    directions = geometry.directions_of(np.stack([cols, rows], axis=-1))
    return directions @ detector_to_crystal(rotation, geometry).T
