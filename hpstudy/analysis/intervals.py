"""Intervals for what a landscape says: the same quantity, on every draw of the noise-free one.

A function here takes draws of shape (n_draws, n_points), as `hpstudy.analysis.surrogate.Surrogate.draws`
makes them, and returns one value a draw; `interval` turns these into an estimate and its ends.
"""

from typing import NamedTuple

import numpy as np

from hpstudy.analysis.ellipse import MINIMUM_POINTS
from hpstudy.analysis.landscape import TOLERANCE

LEVEL = 0.95
"""Share of the draws between the ends of every interval."""


class Interval(NamedTuple):
    """A quantity of the noise-free landscape.

    Attributes
    ----------
    estimate : float
        Median over the draws: the measured value, rid of what noise adds to it.
    low, high : float
        Ends between which 95 % of the draws lie.
    """

    estimate: float
    low: float
    high: float

    def scaled(self, factor: float) -> "Interval":
        """The same in another unit; `factor` is positive."""
        return Interval(*(factor * value for value in self))


UNKNOWN = Interval(*[float("nan")] * 3)


class Loss(NamedTuple):
    """What a setting loses against the best one of the noise-free landscape.

    A loss is never negative, so that its two-sided interval would never hold a loss of zero.

    Attributes
    ----------
    estimate : float
        Loss against the setting that is best on average over the draws: 0 where it is that one.
    at_least : float
        One-sided 95 % bound of the same difference, and so of the loss; 0 where it is negative.
    at_most : float
        One-sided 95 % bound of the loss against each draw's own best.
    """

    estimate: float
    at_least: float
    at_most: float

    @property
    def interval(self) -> Interval:
        """Estimate and the two bounds, each of which holds in 95 %."""
        return Interval(self.estimate, self.at_least, self.at_most)


NO_LOSS = Loss(*[float("nan")] * 3)


class Ellipses(NamedTuple):
    """Ellipses of the regions of many draws; NaN where a region has fewer than five points.

    Attributes
    ----------
    length, width : ndarray of shape (n_draws,)
        Diameters of two standard deviations, in decades.
    first, second : ndarray of shape (n_draws,)
        Centre, as log10 of the two axes; also of regions of fewer points.
    angle : ndarray of shape (n_draws,)
        Of the long axis against the first axis, in radians.
    """

    length: np.ndarray
    width: np.ndarray
    first: np.ndarray
    second: np.ndarray
    angle: np.ndarray


def interval(values: np.ndarray, errors: float = 0.0) -> Interval:
    """Median and central 95 % of one value a draw; NaN draws are left out, all NaN gives NaN.

    Parameters
    ----------
    values : array-like of shape (n_draws,)
    errors : float, default 0
        Monte Carlo errors by which either end is moved outwards, so that what lies clear of a
        limit does so whatever the seed of the draws.
    """
    known = np.asarray(values, dtype=float)
    known = known[np.isfinite(known)]
    if known.size == 0:
        return UNKNOWN
    tail = _tail((1 - LEVEL) / 2, known.size, errors)
    return Interval(*(float(x) for x in np.quantile(known, (0.5, tail, 1 - tail))))


def _tail(share: float, number: int, errors: float) -> float:
    """Share of the draws beyond an end that is moved outwards by its Monte Carlo errors."""
    return max(share - errors * (share * (1 - share) / number) ** 0.5, 0.0)


def axis_interval(angles: np.ndarray) -> Interval:
    """`interval` of the angle of an undirected axis, in radians, around its mean direction.

    An axis at 89 degrees and one at -89 are two degrees apart. The ends may lie outside
    (-pi/2, pi/2].
    """
    known = np.asarray(angles, dtype=float)
    known = known[np.isfinite(known)]
    if known.size == 0:
        return UNKNOWN
    middle = np.angle(np.exp(2j * known).mean()) / 2
    around = (known - middle + np.pi / 2) % np.pi - np.pi / 2
    return Interval(*(float(middle + x) for x in interval(around)))


def distance_interval(first: np.ndarray, second: np.ndarray) -> Interval:
    """`interval` of the length of a vector, from its two components, one a draw each.

    A length is never negative, and of a vector that is all noise no draw is near 0: its interval
    therefore begins at 0 wherever 0 lies in the 95 % region of the two components.
    """
    vectors = np.column_stack([first, second])
    vectors = vectors[np.isfinite(vectors).all(axis=1)]
    if len(vectors) < 3:
        return UNKNOWN
    found = interval(np.hypot(*vectors.T))
    middle = vectors.mean(axis=0)
    spread = np.cov(vectors.T) + 1e-12 * np.eye(2)
    # -2 log 0.05 is the 95 % quantile of chi squared with two degrees of freedom.
    near = middle @ np.linalg.solve(spread, middle) <= -2 * np.log(1 - LEVEL)
    return found._replace(low=0.0) if near else found


def loss_draws(draws: np.ndarray, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Loss of a kept setting, or the mean loss over kept settings, in each draw.

    Parameters
    ----------
    draws : ndarray of shape (n_draws, n_points)
        Of the network that keeps them; -inf where it has no value.
    kept : ndarray of shape (n_draws,)
        Value at the kept setting, or its mean over them, in each draw.

    Returns
    -------
    against_one, against_best : ndarray of shape (n_draws,)
        Against the setting that is best on average over the draws, which may be negative; and
        against each draw's own best, which is the loss, biased upwards by what the draws leave
        open.
    """
    finite = np.isfinite(draws[0])
    challenger = draws[:, finite].mean(axis=0).argmax()
    return draws[:, finite][:, challenger] - kept, draws.max(axis=1) - kept


def loss(against_one: np.ndarray, against_best: np.ndarray, errors: float = 0.0) -> Loss:
    """Estimate and bounds of a loss from `loss_draws`; all NaN gives NaN.

    `errors` as for `interval`.
    """
    known = np.isfinite(against_one) & np.isfinite(against_best)
    if not known.any():
        return NO_LOSS
    tail = _tail(1 - LEVEL, known.sum(), errors)
    estimate, at_least = np.quantile(against_one[known], (0.5, tail)).clip(0.0)
    return Loss(float(estimate), float(at_least), float(np.quantile(against_best[known], 1 - tail)))


def regions(draws: np.ndarray, threshold: float) -> np.ndarray:
    """Which points lie in the region of interest of each draw (equation 3.3).

    Returns
    -------
    ndarray of bool, shape (n_draws, n_points)
        Their mean over the draws is the probability that a point belongs to the region.
    """
    return draws >= draws.max(axis=1, keepdims=True) - threshold - TOLERANCE


def ellipses(places: np.ndarray, inside: np.ndarray) -> Ellipses:
    """Ellipse of two standard deviations of each draw's region.

    Parameters
    ----------
    places : ndarray of shape (n_points, 2)
        log10 of the two axes; a point with a NaN lies in no ellipse.
    inside : ndarray of bool, shape (n_draws, n_points)
        As `regions` returns it.

    Returns
    -------
    Ellipses
        As `hpstudy.analysis.ellipse.confidence_ellipse` fits them.

    References
    ----------
    Thesis, section 3.3.1.
    """
    # Centred first: the covariance is a difference of products, and loses digits otherwise.
    placed = np.isfinite(places).all(axis=1)
    places, inside = places[placed], inside[:, placed]
    origin = places.mean(axis=0)
    x, y = (places - origin).T
    weights = inside.astype(float)
    n = weights.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        first, second = weights @ x / n, weights @ y / n
        var_first = (weights @ x**2 - n * first**2) / (n - 1)
        var_second = (weights @ y**2 - n * second**2) / (n - 1)
        covariance = (weights @ (x * y) - n * first * second) / (n - 1)
    middle, difference = (var_first + var_second) / 2, (var_first - var_second) / 2
    radius = np.hypot(difference, covariance)
    few = n < MINIMUM_POINTS
    length, width = (
        np.where(few, np.nan, 4 * np.sqrt(np.clip(eigenvalue, 0, None)))
        for eigenvalue in (middle + radius, middle - radius)
    )
    angle = np.where(few, np.nan, np.arctan2(covariance, difference) / 2)
    return Ellipses(length, width, first + origin[0], second + origin[1], angle)


class RiskDraws(NamedTuple):
    """Mean and population standard deviation of the risk in each draw (equations 3.4 to 3.6).

    Attributes
    ----------
    mean, std : ndarray of shape (n_draws,)
        In percentage points.
    relative_mean, relative_std : ndarray of shape (n_draws,)
        As fractions of the draw's best value.
    """

    mean: np.ndarray
    std: np.ndarray
    relative_mean: np.ndarray
    relative_std: np.ndarray


def risk_draws(dense: np.ndarray, other: np.ndarray, threshold: float) -> RiskDraws:
    """Risk over the dense network's region of interest, in each draw of both landscapes.

    Parameters
    ----------
    dense, other : ndarray of shape (n_draws, n_points)
        Draws at the points that both networks have, in one order. The region is that of the
        dense draw, and the risk is against the best of the other.
    threshold : float
        Of the region, in percentage points.

    Returns
    -------
    RiskDraws
        Points of the region at which the other network has no value are left out; NaN where none
        is left.

    References
    ----------
    Thesis, section 3.3.2.
    """
    best = other.max(axis=1)
    lost = best[:, None] - other
    inside = regions(dense, threshold) & np.isfinite(lost)
    weights = inside.astype(float)
    lost = np.where(inside, lost, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        n = weights.sum(axis=1)
        mean = lost.sum(axis=1) / n
        std = np.sqrt((weights * (lost - mean[:, None]) ** 2).sum(axis=1) / n)
        return RiskDraws(mean, std, mean / np.abs(best), std / np.abs(best))


def bounded_share(dense: np.ndarray, other: np.ndarray, threshold: float) -> np.ndarray:
    """Share of the dense network's good settings at which another loses at most twice as much.

    The dense network loses at most the threshold there, which is the bound that is doubled; both
    losses are shares of the network's own best.

    Parameters
    ----------
    dense, other, threshold
        As for `risk_draws`.

    Returns
    -------
    ndarray of shape (n_draws,)
        In [0, 1]; NaN where the region has no point at which the other network has a value.

    References
    ----------
    Thesis, section 4.2: at most 0.01 for about 75 % of the settings, where the dense network
    loses up to 0.005.
    """
    best = other.max(axis=1, keepdims=True)
    lost = (best - other) / np.abs(best)
    inside = regions(dense, threshold) & np.isfinite(lost)
    bound = 2 * threshold / np.abs(dense.max(axis=1, keepdims=True))
    with np.errstate(divide="ignore", invalid="ignore"):
        return (inside & (lost <= bound)).sum(axis=1) / inside.sum(axis=1)
