"""The ellipse around a region of interest, in the plane of two hyperparameters' logarithms."""

import math
from dataclasses import dataclass

import numpy as np

from hpstudy.errors import HpstudyError

MINIMUM_POINTS = 5
"""Fewest points an ellipse is fitted to (thesis, section 4.1.1 and Table 4.1)."""

# Eigenvalues this much smaller than the largest one are rounding, not spread.
DEGENERATE = 1e-12


@dataclass(frozen=True)
class Ellipse:
    """Standard deviation ellipse of points in log10 space (thesis, section 3.3.1).

    Attributes
    ----------
    length, width : float
        Longest and shortest diameter, in decades; the width is 0 for collinear points.
    centre : tuple of float
        Mean of the points: log10 of the first axis and of the second.
    angle : float
        Of the long axis against the direction of the first axis, in radians, in (-pi/2, pi/2]; 0
        for a circle.
    multiple : float
        Standard deviations from the centre to the outline; 2 in the thesis.
    n : int
        Points it was fitted to.
    """

    length: float
    width: float
    centre: tuple[float, float]
    angle: float
    multiple: float
    n: int

    def outline(self, points: int = 100) -> tuple[np.ndarray, np.ndarray]:
        """Log10 of the first and of the second axis along it, closed, each of shape (points,)."""
        turn = np.linspace(0.0, 2.0 * np.pi, points)
        along, across = self.length / 2 * np.cos(turn), self.width / 2 * np.sin(turn)
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        return (
            self.centre[0] + cos * along - sin * across,
            self.centre[1] + sin * along + cos * across,
        )


def confidence_ellipse(first, second, multiple: float = 2.0) -> Ellipse | None:
    """Ellipse `multiple` standard deviations around the mean of points in log10 space.

    The diameters are 2 * multiple * sqrt(eigenvalue) of the covariance, so 4 sqrt(eigenvalue) at
    the thesis's multiple of 2. The thesis does not say which covariance it takes; here it is the
    sample covariance, which divides by n - 1. With n it would be shorter by sqrt((n - 1) / n):
    11 % for five points, 1 % for fifty.

    Parameters
    ----------
    first, second : array-like of shape (n,)
        The points, by their values of the two axes; positive and finite.
    multiple : float, default 2.0
        Standard deviations; `confidence_level` gives the share of a Gaussian left outside.

    Returns
    -------
    Ellipse or None
        None below `MINIMUM_POINTS` points.

    Raises
    ------
    HpstudyError
        If a coordinate is not positive and finite, or the multiple is not positive.

    References
    ----------
    Thesis, section 3.3.1, Table 3.5, and section 4.1.1 for the five points.
    """
    where = np.array([first, second], dtype=float)
    if not (np.isfinite(where).all() and (where > 0).all()):
        raise HpstudyError("an ellipse in log10 space needs positive, finite coordinates.")
    if not (math.isfinite(multiple) and multiple > 0):
        raise HpstudyError(f"an ellipse needs a positive multiple of deviations: {multiple}.")
    n = where.shape[1]
    if n < MINIMUM_POINTS:
        return None
    logs = np.log10(where)
    (var_first, covariance), (_, var_second) = np.cov(logs)
    # Closed form of the 2 x 2 eigenproblem: the eigenvalues are middle +- radius.
    middle = (var_first + var_second) / 2
    difference = (var_first - var_second) / 2
    radius = math.hypot(difference, covariance)
    if radius <= DEGENERATE * middle:
        radius = difference = covariance = 0.0
    minor = middle - radius
    if minor <= DEGENERATE * middle:
        minor = 0.0
    angle = math.atan2(covariance, difference) / 2
    if angle <= -math.pi / 2:
        angle += math.pi
    return Ellipse(
        length=2 * multiple * math.sqrt(middle + radius),
        width=2 * multiple * math.sqrt(minor),
        centre=(float(logs[0].mean()), float(logs[1].mean())),
        angle=angle,
        multiple=float(multiple),
        n=n,
    )


def confidence_level(multiple: float) -> float:
    """Share alpha of a bivariate Gaussian outside `multiple` standard deviations (Table 3.5)."""
    return math.exp(-(multiple**2) / 2)
