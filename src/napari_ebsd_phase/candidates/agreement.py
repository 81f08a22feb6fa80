# SPDX-License-Identifier: GPL-3.0-or-later
"""How well the simulated bands of a crystal in an orientation agree with a measured pattern.

Measured and simulated patterns go through the same preprocessing. Agreement is the normalised
cross-correlation over the screen, as in dictionary indexing (Chen et al., Microsc. Microanal. 21
(2015) 739), but of the fine structure alone: the edges of bands and the small lines. The broad
contrast of bands is that of camera and background correction more than of the crystal. On the
bundled nickel patterns the broad contrast speaks against the right orientation, and fine structure
for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy import ndimage, optimize
from scipy.spatial.transform import Rotation

from ..preprocessing import Preprocessing, fit_screen, prepare, resampling_matrix

if TYPE_CHECKING:
    from ..zone_axes import Geometry

__all__ = ["SETTINGS", "View", "agreement", "best_nearby"]

SETTINGS: Final = Preprocessing()
"""How patterns are prepared for comparison, whatever network is in use."""

# Standard deviations of the two Gaussians whose difference is compared, in prepared pixels.
_FINE: Final = 0.8
_BROAD: Final = 1.5


@dataclass(frozen=True, eq=False)
class View:
    """One look at a crystal, ready for comparison.

    Parameters
    ----------
    inputs
        Pattern prepared with :data:`SETTINGS` (64, 64), or the mean of several that show the same.
    geometry
        Where the detector stood.
    mask
        bool, the screen, of the pattern's shape.
    """

    inputs: np.ndarray
    geometry: Geometry
    mask: np.ndarray

    @classmethod
    def of(
        cls,
        pattern: np.ndarray,
        geometry: Geometry,
        mask: np.ndarray,
        background: np.ndarray | None = None,
    ) -> View:
        """Prepare a pattern (h, w) as it was measured."""
        inputs = prepare(pattern[np.newaxis], SETTINGS, background=background, mask=mask)
        return cls(inputs[0, 0].numpy(), geometry, mask)

    def square(self) -> Geometry:
        """Geometry of the prepared pattern, as if the detector were that square."""
        from ..zone_axes import Geometry

        rows, cols = self.geometry.shape
        x, y, distance = self.geometry.pc
        size = SETTINGS.size
        fit = fit_screen(self.mask, size)
        side = fit.scale * size
        given = self.geometry
        return Geometry(
            (size, size),
            (
                (x * cols - fit.col0) / side,
                (y * rows - fit.row0) / side,
                distance * rows / side,
            ),
            tilt=given.tilt,
            detector_tilt=given.detector_tilt,
            azimuthal=given.azimuthal,
            twist=given.twist,
        )

    def screen(self) -> np.ndarray:
        """The screen in the prepared pattern, bool (64, 64)."""
        size = SETTINGS.size
        fit = fit_screen(self.mask, size)
        rows, cols = self.mask.shape
        down = resampling_matrix(rows, fit.row0, fit.scale, size)
        across = resampling_matrix(cols, fit.col0, fit.scale, size)
        return down @ self.mask.astype(np.float32) @ across.T > 0.5


def agreement(master: np.ndarray, rotation: np.ndarray, view: View) -> float:
    """Agreement of a view with a crystal in one orientation.

    Parameters
    ----------
    master
        Master pattern, (2, n, n), see :mod:`napari_ebsd_phase.training.library`.
    rotation
        (3, 3), from the detector to the crystal.
    view
        What was measured.

    Returns
    -------
    float
        From -1 to 1; 0 if one of the two has no contrast.
    """
    from ..training.pattern_simulation import render

    screen = view.screen()
    square = view.square()
    simulated = render(master, rotation, square.shape, square.pc)
    prepared = prepare(simulated[np.newaxis], SETTINGS, mask=screen)[0, 0].numpy()
    # Beyond the screen there is nothing, and the filter must not see its edge.
    inner = ndimage.binary_erosion(screen, iterations=3)
    one, two = _details(view.inputs)[inner], _details(prepared)[inner]
    one, two = one - one.mean(), two - two.mean()
    length = float(np.linalg.norm(one) * np.linalg.norm(two))
    return float(one @ two) / length if length > 0 else 0.0


def best_nearby(
    master: np.ndarray, start: np.ndarray, view: View, *, degrees: float = 0.8
) -> tuple[float, np.ndarray]:
    """The best agreement next to an orientation, and the orientation (3, 3) it has it at.

    Parameters
    ----------
    master, view
        As in :func:`agreement`.
    start
        (3, 3), within about a degree of the right one.
    degrees
        Size of the first step.
    """

    def turned(vector: np.ndarray) -> np.ndarray:
        return Rotation.from_rotvec(vector).as_matrix() @ start

    corners = np.deg2rad(degrees) * np.vstack([-np.ones((1, 3)) / 3, np.eye(3)])
    result = optimize.minimize(
        lambda vector: -agreement(master, turned(vector), view),
        np.zeros(3),
        method="Nelder-Mead",
        options={"initial_simplex": corners, "maxfev": 80, "xatol": 5e-4, "fatol": 1e-3},
    )
    return -float(result.fun), turned(result.x)


def _details(image: np.ndarray) -> np.ndarray:
    """The fine structure of a prepared pattern."""
    return ndimage.gaussian_filter(image, _FINE) - ndimage.gaussian_filter(image, _BROAD)
