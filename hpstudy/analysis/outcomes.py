"""What an analysis finds of one network: best, shape of the region, risk and regret."""

import math
from typing import NamedTuple

import numpy as np

from hpstudy.analysis.intervals import Interval
from hpstudy.analysis.overlap import Band


class Best(NamedTuple):
    """Best of a landscape.

    Attributes
    ----------
    measured : float
        Highest mean over seeds: the best of many noisy values.
    corrected : Interval
        Noise-free value at that same setting.
    bias : float
        measured - corrected.estimate: by how much the best flatters itself.
    """

    measured: float
    corrected: Interval
    bias: float


class Shape(NamedTuple):
    """Region of interest of the noise-free landscape.

    Attributes
    ----------
    n : Interval
        Points in it.
    length, width : Interval
        Of its ellipse, in decades; NaN where fewer than nine in ten draws have one.
    first, second : Interval
        Centre of the ellipse: log10 of the two axes.
    angle : Interval
        Of the long axis against the first axis, in radians.
    band : Band
        Line along it.
    fitted : float
        Share of the draws whose region has enough points for an ellipse, in [0, 1].
    """

    n: Interval
    length: Interval
    width: Interval
    first: Interval
    second: Interval
    angle: Interval
    band: Band
    fitted: float


class RiskInterval(NamedTuple):
    """Risk over the dense network's region of interest, of the noise-free landscapes.

    Attributes
    ----------
    mean, std : Interval
        d_mean and d_std (equation 3.5), in percentage points.
    relative_mean, relative_std : Interval
        The same of the relative risk (equation 3.6), as fractions.
    """

    mean: Interval
    std: Interval
    relative_mean: Interval
    relative_std: Interval


class Curve(NamedTuple):
    """Expected regret after k trainings beside that at the kept setting, k = 0, 1, ...

    Attributes
    ----------
    estimate, low, high : ndarray of shape (n,)
        Mean over the draws, and the ends between which 95 % of them lie, in percentage points.
    """

    estimate: np.ndarray
    low: np.ndarray
    high: np.ndarray


class Regret(NamedTuple):
    """What a network loses that keeps the dense optimum and is then tuned again k times.

    Attributes
    ----------
    random, local : Curve
        By random choice without replacement, and by climbing from the kept setting.
    """

    random: Curve
    local: Curve


def enough_points(shape: Shape) -> bool:
    """Whether the region's ellipse has intervals."""
    return math.isfinite(shape.length.estimate)
