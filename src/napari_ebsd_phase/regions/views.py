# SPDX-License-Identifier: GPL-3.0-or-later
"""Which patterns show the same view of a crystal, and how much several views weigh.

**Views.** A hundred patterns of one grain are one look at its crystal, not a hundred. Two patterns
show one view where their prepared inputs, blurred by :data:`VIEW_BLUR`, correlate by
:data:`SAME_VIEW` or more. Every pattern weighs one over the number of patterns like it, itself
included, and the sum of these weights is the number of views: a grain counts once however many
patterns it has, and no more views are counted than there are patterns of which none is like another
(the bound of Caro and Wei on independent sets of graphs).

The threshold lies in the gap between neighbours and strangers. Inside the grains of the bundled
``two_phase`` sample blurred inputs correlate by 0.77 or more, inside those of the measured
``nickel`` by 0.80 or more; between grains, 999 of 1000 pairs of the former stay below 0.31, and all
of the latter below 0.47. In simulated patterns the threshold is crossed at about 2.5 degrees of
misorientation; noise as strong as the pattern leaves 0.85 of two equal views, noise 1.7 times as
strong takes them below the threshold. They are then counted several times, from which the weight
below keeps harm away. Patterns with a strong static background that was not corrected look
alike: without it the grains of ``nickel`` correlate by 0.76 to 0.85 and count as one view, and the
answer is too modest. (The network's pooled features do not serve: they correlate by 0.5 and more
inside grains, and by up to 0.99 between them.)

**Weight.** The network errs on a material rather than on a pattern, so its errors agree from view
to view, and evidence summed up over views is far too sure. With errors that correlate by
:data:`SHARED_ERROR`, n views are worth ``n / (1 + SHARED_ERROR (n - 1))`` independent ones (the
design effect of L. Kish, "Survey Sampling", Wiley 1965): one view counts once, all the views in the
world 1.43 times. ``benchmarks/pooled_views.py`` measures it on simulated scans, one camera each, of
77 development materials that the network was not trained on and of as many that it was. On the
former the truth is most likely with correlations of 0.9 (0.75 to 0.8 for both networks that it is
made of), on the latter with 0.1 to 0.2. The value in use lies between, nearer to the strangers.
Mean probability of the most probable Laue group, and how often it is right (prior ``known``):

=====  ==============  ==================  ==========
views  not trained on  same, all summed    trained on
=====  ==============  ==================  ==========
1      0.43, 0.38      0.43, 0.38          0.57, 0.81
5      0.48, 0.42      0.79, 0.40          0.69, 0.92
20     0.50, 0.39      0.95, 0.36          0.71, 0.94
=====  ==============  ==================  ==========

So for materials that the network does not know, more views make it up to 0.05 too sure beyond what
single patterns are; for those that it knows, the probability of a region is too modest.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

__all__ = ["SAME_VIEW", "SHARED_ERROR", "VIEW_BLUR", "independent_views", "shares", "signatures"]

#: Correlation from which two patterns show one view.
SAME_VIEW = 0.6
#: Blur of the patterns that are compared, as a fraction of the side of the network input: noise
#: goes, bands stay.
VIEW_BLUR = 1.5 / 64
#: Correlation of the errors of the network on two views of one material.
SHARED_ERROR = 0.7

_ROWS = 1024  # patterns that are compared with all others at once


def signatures(inputs: np.ndarray) -> np.ndarray:
    """What patterns are compared by.

    Parameters
    ----------
    inputs
        Prepared patterns, shape (n, size, size).

    Returns
    -------
    numpy.ndarray
        Shape (n, size * size): products of two are correlations. Zeros for a blank frame.
    """
    sigma = VIEW_BLUR * inputs.shape[-1]
    found = ndimage.gaussian_filter(inputs, (0, sigma, sigma)).reshape(len(inputs), -1)
    found -= found.mean(axis=1, keepdims=True)
    length = np.linalg.norm(found, axis=1, keepdims=True)
    return np.divide(found, length, out=np.zeros_like(found), where=length > 0)


def shares(compared: np.ndarray) -> np.ndarray:
    """Share of a view that each pattern stands for; they add up to the number of views.

    Parameters
    ----------
    compared
        From :func:`signatures`, shape (n, pixels).

    Returns
    -------
    numpy.ndarray
        One over the number of patterns that show the view of each, shape (n,).
    """
    found = np.ones(len(compared))
    for start in range(0, len(compared), _ROWS):
        alike = compared[start : start + _ROWS] @ compared.T >= SAME_VIEW
        # A pattern is like itself, but a blank frame correlates with nothing.
        found[start : start + _ROWS] = 1 / np.maximum(alike.sum(axis=1), 1)
    return found


def independent_views(views: float) -> float:
    """What so many views (1 or more) of one material are worth in views of independent errors."""
    return views / (1 + SHARED_ERROR * (views - 1))
