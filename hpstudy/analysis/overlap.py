"""How much two regions of interest overlap, as points and as areas, and the band along one."""

from typing import NamedTuple

import numpy as np

from hpstudy.analysis.intervals import UNKNOWN, Ellipses, Interval, axis_interval, interval

STEEPEST = 20.0
"""Slope from which a band counts as parallel to the second axis."""
SLICES = 200
"""Steps of the quadrature that measures the overlap of two ellipses."""


class Band(NamedTuple):
    """Line log10 second = a - b log10 first through a region of interest.

    Attributes
    ----------
    a, b : Interval
        Of the noise-free landscape. b = 1 is the inverse relation, in which the product of
        learning rate and weight decay stays the same (equation 2.2).
    """

    a: Interval
    b: Interval


def band(first: np.ndarray, second: np.ndarray, angle: np.ndarray) -> Band:
    """Line along the long axis of each draw's ellipse.

    Parameters
    ----------
    first, second, angle : ndarray of shape (n_draws,)
        Centre and direction, as in `hpstudy.analysis.intervals.Ellipses`.

    Returns
    -------
    Band
        By total least squares: both axes are treated alike, as neither is measured with an error.
        NaN where no draw has an ellipse, and where a band parallel to the second axis (b of
        20 or more) cannot be excluded: its b has no end.

    References
    ----------
    Thesis, section 2.3.1, equation 2.2; the band itself in section 4.1.1.
    """
    around = axis_interval(angle)
    margin = np.arctan(1 / STEEPEST)
    low, high = around.low - margin, around.high + margin
    vertical = (np.pi / 2, -np.pi / 2, 3 * np.pi / 2)
    if not np.isfinite(around.estimate) or any(low <= x <= high for x in vertical):
        return Band(UNKNOWN, UNKNOWN)
    # The few draws beyond the vertical are the steepest, not those of the opposite slope.
    b = Interval(*(float(-np.tan(x)) for x in (around.estimate, around.high, around.low)))
    return Band(a=interval(second - np.tan(angle) * first), b=b)


def jaccard(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Points in both regions over points in either, along the last axis of two boolean arrays."""
    either = (one | other).sum(axis=-1)
    with np.errstate(invalid="ignore"):
        return (one & other).sum(axis=-1) / either


def ellipse_overlaps(some: Ellipses, others: Ellipses) -> np.ndarray:
    """Intersection over union of the areas of two ellipses of each draw.

    Returns
    -------
    ndarray of shape (n_draws,)
        In [0, 1]; NaN where one of the two is missing or has no area.
    """
    ends, halves = [], []
    for shape in (some, others):
        # Outline as a quadratic form: an x has the chord middle +- half along the second axis.
        cos, sin = np.cos(shape.angle), np.sin(shape.angle)
        along, across = (shape.length / 2) ** 2, (shape.width / 2) ** 2
        xx, yy = along * cos**2 + across * sin**2, along * sin**2 + across * cos**2
        xy = (along - across) * cos * sin
        halves.append((shape, xx, yy, xy))
        ends.append((shape.first - np.sqrt(xx), shape.first + np.sqrt(xx)))
    low = np.minimum(ends[0][0], ends[1][0])
    high = np.maximum(ends[0][1], ends[1][1])
    # Midpoints: the chords vanish at the ends, where the square root is steep.
    x = low[:, None] + (high - low)[:, None] * (np.arange(SLICES) + 0.5) / SLICES
    chords = []
    with np.errstate(divide="ignore", invalid="ignore"):
        for shape, xx, yy, xy in halves:
            from_centre = x - shape.first[:, None]
            left = 1 - from_centre**2 / xx[:, None]
            half = np.sqrt(np.clip(left, 0, None) * (yy - xy**2 / xx)[:, None])
            middle = shape.second[:, None] + (xy / xx)[:, None] * from_centre
            chords.append((middle - half, middle + half))
        (low_one, high_one), (low_two, high_two) = chords
        common = np.clip(np.minimum(high_one, high_two) - np.maximum(low_one, low_two), 0, None)
        total = (high_one - low_one) + (high_two - low_two)
        both = common.sum(axis=1)
        return both / (total.sum(axis=1) - both)
