"""Intervals of quantities that are computed on every draw of the noise-free landscape."""

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

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


def correlation_interval(dense: Array, other: Array) -> Interval:
    """Rank correlation of each draw's two landscapes, up to 1 where they may be one landscape."""
    if dense.shape[1] < 2:
        return UNKNOWN
    correlation = interval(rank_correlations(dense, other))
    # What is not known of two landscapes only ever lowers their correlation. So much as here is
    # what two measurements of the first would leave: of each an error, and the draws around it.
    errors = [drawn - drawn.mean(axis=0) for drawn in (dense, other)]
    twice = [dense.mean(axis=0) + error + np.roll(error, 1, axis=0) for error in errors]
    alike = correlation.estimate >= np.quantile(rank_correlations(*twice), 1 - LEVEL)
    return correlation._replace(high=1.0) if alike else correlation


def rank_correlations(dense: Array, other: Array) -> Array:
    """Spearman's correlation of each row of two arrays; draws have no ties."""
    ranks = [drawn.argsort(axis=1).argsort(axis=1).astype(float) for drawn in (dense, other)]
    n, squares = dense.shape[1], ((ranks[0] - ranks[1]) ** 2).sum(axis=1)
    return np.asarray(1 - 6 * squares / (n * (n**2 - 1)))


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


# --- several networks -----------------------------------------------------------------------------

# Values of each spread that `pooled` integrates over; all are equally likely by its prior.
_SPREADS = 40


def pooled(groups: Iterable[Array], scale: float = 0.3) -> Interval:
    """Pool one quantity, such as a shift, over networks and studies.

    The estimates y of the networks, which are the means of their draws, follow

        y ~ N(mu, S + omega² I + phi² B),

    where S is the covariance of the draws: networks of one study share the draws of the dense
    landscape, networks of two studies share nothing. omega is the spread between the networks of a
    study, and phi the spread between studies (B is 1 within a study and 0 elsewhere). The prior of
    mu is flat, those of omega and phi are half-normal, and both are integrated over.

    Parameters
    ----------
    groups : iterable of ndarray of shape (n_draws, n_networks)
        Draws of the quantity, one array a study; the networks of a study are paired by draw. NaN
        are left out of the means, and pair by pair of the covariances.
    scale : float, default 0.3
        Of the two half-normal priors, in the quantity's unit. With few studies it decides how much
        wider than a study's own error the interval is.

    Returns
    -------
    Interval
        Median and central 95 % of mu.

    References
    ----------
    Gelman et al. (2013), Bayesian Data Analysis, section 5.4; Gelman (2006) for the priors.
    """
    studies = list(groups)
    # Midpoints of slices of equal prior probability, so that no prior weight is left to multiply.
    spreads = scale * ndtri(0.5 + (np.arange(_SPREADS) + 0.5) / (2 * _SPREADS))
    phi2 = spreads[None, :] ** 2 if len(studies) > 1 else np.zeros((1, 1))
    # Mean and variance of each study's own mean about mu, and what is left of the likelihood.
    own = [_study(group, spreads[:, None] ** 2) for group in studies]
    means, variances, likelihood = zip(*own, strict=True)
    y = np.stack(means)
    variance = np.stack(variances) + phi2
    weight = 1 / variance
    centre = (weight * y).sum(axis=0) / weight.sum(axis=0)
    log = sum(likelihood) - 0.5 * (np.log(variance) + weight * (y - centre) ** 2).sum(axis=0)
    log = log - 0.5 * np.log(weight.sum(axis=0))
    share = np.exp(log - log.max())
    share /= share.sum()
    spread = 1 / np.sqrt(weight.sum(axis=0))
    ends = (centre - 9 * spread).min(), (centre + 9 * spread).max()
    tail = (1 - LEVEL) / 2
    # Quantiles of a mixture of normal distributions.
    return Interval(
        *(
            float(brentq(lambda x, p=p: (share * ndtr((x - centre) / spread)).sum() - p, *ends))
            for p in (0.5, tail, 1 - tail)
        )
    )


def _study(draws: Array, omega2: Array) -> tuple[Array, Array, Array]:
    """Weighted mean of one study's networks, its variance, and their log likelihood around it.

    Each of shape (n_omega, 1). The covariance is diagonal in the eigenvectors of S, for every
    omega.
    """
    y = np.nanmean(draws, axis=0)
    eigenvalues, vectors = np.linalg.eigh(pd.DataFrame(draws).cov().to_numpy())
    # A covariance taken pair by pair may have an eigenvalue just below 0.
    precision = 1 / (np.clip(eigenvalues, 0, None) + omega2)
    ones, values = vectors.sum(axis=0), vectors.T @ y
    total = (precision * ones**2).sum(axis=1, keepdims=True)
    mean = (precision * ones * values).sum(axis=1, keepdims=True) / total
    left = (precision * (values - mean * ones) ** 2).sum(axis=1, keepdims=True)
    # |V| = |S + omega² I|; of it the variance of the mean is counted with mu.
    log = 0.5 * (np.log(precision).sum(axis=1, keepdims=True) - left - np.log(total))
    return mean, 1 / total, log
