"""A quantity of several pruned networks pooled over the networks of a study and over studies."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from hpstudy.analysis.intervals import LEVEL, UNKNOWN, Interval

SPREADS = 40
"""Values of each spread on the grid; all are equally likely by its prior."""


def pooled(groups: Iterable[np.ndarray], scale: float = 0.3) -> Interval:
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
        Of the two half-normal priors, in the quantity's unit. The default is for shifts in decades:
        a factor of two, the least that matters; 95 % of either spread is then below 0.59 decades.
        With few studies it decides how much wider than a study's own error the interval is.

    Returns
    -------
    Interval
        Median and central 95 % of mu: with one study the mean of networks like that study's, with
        several that of networks of studies like these. UNKNOWN for fewer than two networks, which
        say nothing of the spread between networks.

    References
    ----------
    Gelman et al. (2013), Bayesian Data Analysis, section 5.4; Gelman (2006) for the priors.
    """
    studies = [group for group in groups if group.shape[1]]
    if sum(group.shape[1] for group in studies) < 2:
        return UNKNOWN
    # Midpoints of slices of equal prior probability, so that no prior weight is left to multiply.
    spreads = scale * ndtri(0.5 + (np.arange(SPREADS) + 0.5) / (2 * SPREADS))
    omega2 = spreads[:, None] ** 2
    phi2 = spreads[None, :] ** 2 if len(studies) > 1 else np.zeros((1, 1))
    # Mean and variance of each study's own mean about mu, and what is left of the likelihood.
    means, variances, likelihood = zip(*(_study(group, omega2) for group in studies), strict=True)
    y = np.stack(means)
    variance = np.stack(variances) + phi2
    weight = 1 / variance
    centre = (weight * y).sum(axis=0) / weight.sum(axis=0)
    log = sum(likelihood) - 0.5 * (np.log(variance) + weight * (y - centre) ** 2).sum(axis=0)
    log = log - 0.5 * np.log(weight.sum(axis=0))
    share = np.exp(log - log.max())
    share /= share.sum()
    return _quantiles(share, centre, 1 / np.sqrt(weight.sum(axis=0)))


def _study(draws: np.ndarray, omega2: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
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


def _quantiles(share: np.ndarray, centre: np.ndarray, spread: np.ndarray) -> Interval:
    """Median and ends of a mixture of normal distributions."""
    low, high = (centre - 9 * spread).min(), (centre + 9 * spread).max()

    def quantile(p: float) -> float:
        found = brentq(lambda x: (share * ndtr((x - centre) / spread)).sum() - p, low, high)
        return float(found)

    tail = (1 - LEVEL) / 2
    return Interval(quantile(0.5), quantile(tail), quantile(1 - tail))
