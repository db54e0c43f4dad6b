"""Intervals of quantities that are computed on every draw of the noise-free landscape."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Rows = NDArray[np.intp]

LEVEL = 0.95
"""Share of the draws between the ends of every interval."""


class Interval(NamedTuple):
    """Median over the draws of the noise-free landscape, and the ends of their central 95 %."""

    estimate: float
    low: float
    high: float

    def scaled(self, factor: float) -> "Interval":
        """Interval times a factor, which may be negative."""
        low, high = sorted((factor * self.low, factor * self.high))
        return Interval(factor * self.estimate, low, high)


UNKNOWN = Interval(*[float("nan")] * 3)


class Loss(NamedTuple):
    """Loss against the best setting of the noise-free landscape, and two one-sided 95 % bounds.

    `estimate` and `at_least` are against the setting that is best on average over the draws, and
    `at_most` against each draw's best. A two-sided interval would never hold a loss of zero.
    """

    estimate: float
    at_least: float
    at_most: float

    @property
    def interval(self) -> Interval:
        """Estimate and the two bounds."""
        return Interval(*self)


NO_LOSS = Loss(*UNKNOWN)


def interval(values: Array, errors: float = 0.0) -> Interval:
    """Median and central 95 % of one value a draw; NaN draws are left out, all NaN gives NaN.

    Either end is moved outwards by a number of Monte Carlo `errors`, so that what lies clear of a
    limit does so whatever the seed of the draws.
    """
    values = np.asarray(values, float)
    known = values[np.isfinite(values)]
    if known.size == 0:
        return UNKNOWN
    tail = _tail((1 - LEVEL) / 2, known.size, errors)
    return Interval(*np.quantile(known, (0.5, tail, 1 - tail)).tolist())


def axis_interval(angles: Array) -> Interval:
    """`interval` of the angle of an undirected axis, in radians, around its mean direction.

    An axis at 89 degrees and one at -89 are two degrees apart. The ends may lie outside
    (-pi/2, pi/2].
    """
    known = angles[np.isfinite(angles)]
    if known.size == 0:
        return UNKNOWN
    middle = np.angle(np.exp(2j * known).mean()) / 2
    around = interval((known - middle + np.pi / 2) % np.pi - np.pi / 2)
    return Interval(*(float(middle + angle) for angle in around))


def distance_interval(first: Array, second: Array) -> Interval:
    """`interval` of the length of a vector, from its two components in each draw.

    It begins at 0 wherever 0 lies in the components' 95 % region, as no draw of noise is near 0.
    """
    vectors = np.column_stack([first, second])
    vectors = vectors[np.isfinite(vectors).all(axis=1)]
    if len(vectors) < 3:
        return UNKNOWN
    length, mean = interval(np.hypot(*vectors.T)), vectors.mean(axis=0)
    covariance = np.cov(vectors.T) + 1e-12 * np.eye(2)
    # -2 log 0.05 is the 95 % quantile of chi squared with two degrees of freedom.
    near = mean @ np.linalg.solve(covariance, mean) <= -2 * np.log(1 - LEVEL)
    return length._replace(low=0.0) if near else length


def loss_draws(draws: Array, kept: Array) -> tuple[Array, Array]:
    """Loss of a kept setting, or the mean loss over kept settings, in each draw.

    Against the setting that is best on average over the draws, which may be negative; and against
    each draw's own best, biased upwards by what the draws leave open. `draws`, of shape (n_draws,
    n_points), are the network's values, -inf where it has none; `kept` is its value at the kept
    setting, or its mean over them, of shape (n_draws,) as is each result.
    """
    finite = draws[:, np.isfinite(draws[0])]
    challenger = finite.mean(axis=0).argmax()
    return finite[:, challenger] - kept, draws.max(axis=1) - kept


def loss(against_one: Array, against_best: Array, errors: float = 0.0) -> Loss:
    """Estimate and bounds of a loss from `loss_draws`; `errors` as for `interval`."""
    known = np.isfinite(against_one) & np.isfinite(against_best)
    if not known.any():
        return NO_LOSS
    tail = _tail(1 - LEVEL, int(known.sum()), errors)
    estimate, at_least = np.quantile(against_one[known], (0.5, tail)).clip(0.0)
    return Loss(float(estimate), float(at_least), float(np.quantile(against_best[known], 1 - tail)))


def _tail(share: float, number: int, errors: float) -> float:
    """Share of the draws beyond an end that is moved outwards by its Monte Carlo errors."""
    return max(share - errors * math.sqrt(share * (1 - share) / number), 0.0)
