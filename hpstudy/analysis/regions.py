"""Regions of interest of landscapes: ellipse, direction and overlap.

The last axis counts points, the leading axes draws; a measured landscape is a batch of one.
"""

import math
from typing import NamedTuple

import numpy as np

from hpstudy.analysis.intervals import UNKNOWN, Array, Interval, Mask, axis_interval, interval
from hpstudy.config.grid import roi as roi
from hpstudy.errors import HpstudyError

MINIMUM_POINTS = 5
"""Fewest points an ellipse is fitted to (thesis, section 4.1.1 and Table 4.1)."""

# Eigenvalues this much smaller than the largest one are rounding, not spread.
_DEGENERATE = 1e-12
# Slope from which a band counts as parallel to the second axis.
_STEEPEST = 20.0
# Steps of the quadrature that measures the overlap of two ellipses.
_SLICES = 200


class Ellipse(NamedTuple):
    """Standard deviation ellipse of points in log10 space (thesis, section 3.3.1).

    `length` and `width` are its diameters in decades, the width 0 for collinear points; `centre` is
    the mean of the points; `angle`, in radians, lies between the long and the first axis, in
    (-pi/2, pi/2], and is 0 for a circle.
    """

    length: float
    width: float
    centre: tuple[float, float]
    angle: float

    def outline(self, points: int = 100) -> tuple[Array, Array]:
        """Closed outline: log10 of the first and of the second axis, each of shape (points,)."""
        turn = np.linspace(0.0, 2.0 * np.pi, points)
        along, across = self.length / 2 * np.cos(turn), self.width / 2 * np.sin(turn)
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        first, second = self.centre
        return first + cos * along - sin * across, second + sin * along + cos * across


class Ellipses(NamedTuple):
    """Ellipses of many regions, each field of shape (n_draws,); `first`, `second` are the centre.

    NaN where a region has fewer than five points, except its centre.
    """

    length: Array
    width: Array
    first: Array
    second: Array
    angle: Array

    @property
    def fitted(self) -> Mask:
        """Which regions have enough points for an ellipse."""
        return np.isfinite(self.length)

    def select(self, draws: Mask | slice) -> "Ellipses":
        """Ellipses of some of the draws."""
        return Ellipses(*(values[draws] for values in self))


def fit_ellipses(logs: Array, inside: Mask, multiple: float = 2.0) -> Ellipses:
    """Ellipse around the mean of each region's points (thesis, sections 3.3.1 and 4.1.1).

    The diameters are 2 * multiple * sqrt(eigenvalue) of the sample covariance. The thesis does not
    name its own: dividing by n in place of n - 1 makes an ellipse of five points 11 % shorter.

    Parameters
    ----------
    logs : ndarray of shape (n_points, 2)
        log10 of the two axes; a point with a NaN belongs to no ellipse.
    inside : ndarray of bool, shape (n_draws, n_points)
        Regions, as `roi` returns them.
    multiple : float, default 2.0
        Standard deviations; a share exp(-multiple^2 / 2) of a Gaussian lies outside (Table 3.5).

    Raises
    ------
    HpstudyError
        If the multiple is not positive and finite.
    """
    if not (math.isfinite(multiple) and multiple > 0):
        raise HpstudyError(f"an ellipse needs a positive multiple of deviations: {multiple}.")
    placed = np.isfinite(logs).all(axis=1)
    logs, weights = logs[placed], inside[:, placed].astype(float)
    # Centred first: the covariance is a difference of products, and loses digits otherwise.
    origin = logs.mean(axis=0) if len(logs) else np.zeros(2)
    x, y = (logs - origin).T
    n = weights.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        first, second = weights @ x / n, weights @ y / n
        var_first = (weights @ x**2 - n * first**2) / (n - 1)
        var_second = (weights @ y**2 - n * second**2) / (n - 1)
        covariance = (weights @ (x * y) - n * first * second) / (n - 1)
    # Closed form of the 2 x 2 eigenproblem: the eigenvalues are middle +- radius.
    middle, difference = (var_first + var_second) / 2, (var_first - var_second) / 2
    radius = np.hypot(difference, covariance)
    circle = radius <= _DEGENERATE * middle
    minor = np.where(middle - radius > _DEGENERATE * middle, middle - radius, 0.0)
    angle = np.where(circle, 0.0, np.arctan2(covariance, difference) / 2)
    few = n < MINIMUM_POINTS
    with np.errstate(invalid="ignore"):
        length = np.where(few, np.nan, 2 * multiple * np.sqrt(middle + radius))
        width = np.where(few, np.nan, 2 * multiple * np.sqrt(np.where(circle, middle, minor)))
    # An upright axis may lean to either side by a rounding.
    upright = angle <= -np.pi / 2 + _DEGENERATE
    angle = np.where(few, np.nan, np.where(upright, np.pi / 2, angle))
    return Ellipses(length, width, first + origin[0], second + origin[1], angle)


def fit_ellipse(logs: Array, multiple: float = 2.0) -> Ellipse | None:
    """Ellipse of points of shape (n_points, 2) (`fit_ellipses`); None for fewer than five."""
    shape = fit_ellipses(logs, np.ones((1, len(logs)), bool), multiple)
    if not shape.fitted[0]:
        return None
    length, width, first, second, angle = (float(values[0]) for values in shape)
    return Ellipse(length, width, (first, second), angle)


class Band(NamedTuple):
    """Line log10 second = a - b log10 first through a region of interest.

    b = 1 is the inverse relation, in which the product of learning rate and weight decay stays the
    same (thesis, section 2.3.1, equation 2.2; the band itself in section 4.1.1).
    """

    a: Interval
    b: Interval


NO_BAND = Band(UNKNOWN, UNKNOWN)


def band(shapes: Ellipses) -> Band:
    """Line along the long axis of the ellipse of each draw.

    By total least squares, as neither axis is measured with an error. NaN where no draw has an
    ellipse, and where a band parallel to the second axis (b of 20 or more) cannot be excluded.
    """
    around = axis_interval(shapes.angle)
    margin = np.arctan(1 / _STEEPEST)
    low, high = around.low - margin, around.high + margin
    vertical = (np.pi / 2, -np.pi / 2, 3 * np.pi / 2)
    if not np.isfinite(around.estimate) or any(low <= angle <= high for angle in vertical):
        return NO_BAND
    # The few draws beyond the vertical are the steepest, not those of the opposite slope.
    b = Interval(*(float(-np.tan(angle)) for angle in (around.estimate, around.high, around.low)))
    return Band(a=interval(shapes.second - np.tan(shapes.angle) * shapes.first), b=b)


def jaccard(inside: Mask, other: Mask) -> Array:
    """Points in both regions over points in either, along the last axis; NaN without a point."""
    with np.errstate(invalid="ignore"):
        return np.asarray((inside & other).sum(axis=-1) / (inside | other).sum(axis=-1))


def ellipse_overlap(shapes: Ellipses, others: Ellipses) -> Array:
    """Intersection over union of the areas of two ellipses of each draw, of shape (n_draws,).

    NaN where one of the two is missing or has no area.
    """
    pair = [(shape, _quadratic_form(shape)) for shape in (shapes, others)]
    low = np.minimum(*(shape.first - np.sqrt(xx) for shape, (xx, _, _) in pair))
    high = np.maximum(*(shape.first + np.sqrt(xx) for shape, (xx, _, _) in pair))
    # Midpoints: the chords vanish at the ends, where the square root is steep.
    x = low[:, None] + (high - low)[:, None] * (np.arange(_SLICES) + 0.5) / _SLICES
    with np.errstate(divide="ignore", invalid="ignore"):
        (low_one, high_one), (low_other, high_other) = (_chords(x, *entry) for entry in pair)
        shared = np.minimum(high_one, high_other) - np.maximum(low_one, low_other)
        total = ((high_one - low_one) + (high_other - low_other)).sum(axis=1)
        both = np.clip(shared, 0, None).sum(axis=1)
        return np.asarray(both / (total - both))


def _quadratic_form(shape: Ellipses) -> tuple[Array, Array, Array]:
    """Entries xx, yy and xy of the matrix whose quadratic form has the ellipse as outline."""
    cos, sin = np.cos(shape.angle), np.sin(shape.angle)
    along, across = (shape.length / 2) ** 2, (shape.width / 2) ** 2
    xx, yy = along * cos**2 + across * sin**2, along * sin**2 + across * cos**2
    return xx, yy, (along - across) * cos * sin


def _chords(x: Array, shape: Ellipses, form: tuple[Array, Array, Array]) -> tuple[Array, Array]:
    """Ends along the second axis of the ellipses' chords at each x."""
    xx, yy, xy = form
    offset = x - shape.first[:, None]
    left = 1 - offset**2 / xx[:, None]
    half = np.sqrt(np.clip(left, 0, None) * (yy - xy**2 / xx)[:, None])
    middle = shape.second[:, None] + (xy / xx)[:, None] * offset
    return middle - half, middle + half
