"""Quantities pooled over networks and studies, against hand-worked values and simulations."""

import math

import numpy as np
import pytest
from scipy.stats import halfnorm, multivariate_normal

from hpstudy.analysis.intervals import pooled

RANDOM = np.random.default_rng(7)


def _white(n):
    """64 draws of n numbers whose means are exactly 0 and covariance exactly the identity."""
    draws = RANDOM.standard_normal((64, n))
    draws -= draws.mean(axis=0)
    return draws @ np.linalg.inv(np.linalg.cholesky(np.cov(draws.T).reshape(n, n))).T


WHITE = {n: _white(n) for n in (1, 2, 3, 4, 8, 10)}


def draws(estimates, covariance):
    """Draws with exactly these means and this covariance."""
    root = np.linalg.cholesky(np.asarray(covariance, dtype=float))
    return np.asarray(estimates, dtype=float) + WHITE[len(root)] @ root.T


def test_without_spread_it_is_generalised_least_squares():
    # Independent: weights 1/1 and 1/4 give (0 * 4 + 1 * 1) / 5 with variance 4/5.
    found = pooled([draws([0.0, 1.0], [[1.0, 0.0], [0.0, 4.0]])], scale=1e-6)
    half = 1.959964 * math.sqrt(0.8)
    assert found == pytest.approx((0.2, 0.2 - half, 0.2 + half), abs=1e-4)
    # Equal variances 1 and covariance 0.5: the mean of both, of variance (1 + 0.5) / 2.
    found = pooled([draws([0.0, 1.0], [[1.0, 0.5], [0.5, 1.0]])], scale=1e-6)
    half = 1.959964 * math.sqrt(0.75)
    assert found == pytest.approx((0.5, 0.5 - half, 0.5 + half), abs=1e-4)


def test_networks_that_share_a_dense_landscape_count_for_less_than_those_of_two_studies():
    # Two studies of two networks: each study's mean has variance 0.75, of both 0.75 / 2.
    shared = [[1.0, 0.5], [0.5, 1.0]]
    found = pooled([draws([0.0, 1.0], shared), draws([2.0, 3.0], shared)], scale=1e-6)
    half = 1.959964 * math.sqrt(0.375)
    assert found == pytest.approx((1.5, 1.5 - half, 1.5 + half), abs=1e-4)


def test_eight_schools():
    # Gelman et al. (2013), section 5.5, Tables 5.2 and 5.3 and Figure 5.5: with a wide prior of
    # the spread the mean effect is about 8, and 95 % of it lie about between -2 and 18.
    effects = [28, 8, -3, 7, -1, 1, 18, 12]
    errors = np.array([15, 10, 16, 11, 9, 11, 10, 18.0])
    found = pooled([draws(effects, np.diag(errors**2))], scale=30.0)
    assert found.estimate == pytest.approx(7.9, abs=0.2)
    assert found.low == pytest.approx(-2, abs=0.5) and found.high == pytest.approx(18, abs=0.5)


@pytest.mark.slow
def test_it_is_the_integral_over_both_spreads():
    """Against the posterior density written out on a grid of mu, omega and phi."""
    scale, estimates = 0.3, ([0.0, 0.4], [0.5, 0.1, 0.3])
    covariances = (np.diag([0.01, 0.04]) + 0.02, np.diag([0.02, 0.01, 0.03]) + 0.01)
    found = pooled([draws(*pair) for pair in zip(estimates, covariances, strict=True)], scale)
    y, within = np.concatenate(estimates), np.zeros((5, 5))
    within[:2, :2] = within[2:, 2:] = 1
    known = np.zeros((5, 5))
    known[:2, :2], known[2:, 2:] = covariances
    mu = np.linspace(-2.5, 3.0, 1101)
    density = np.zeros_like(mu)
    for omega in np.arange(0.01, 1.2, 0.02):
        for phi in np.arange(0.01, 1.2, 0.02):
            prior = halfnorm.pdf(omega, scale=scale) * halfnorm.pdf(phi, scale=scale)
            covariance = known + omega**2 * np.eye(5) + phi**2 * within
            density += prior * multivariate_normal(np.zeros(5), covariance).pdf(y - mu[:, None])
    below = np.cumsum(density) / density.sum()
    expected = np.interp([0.5, 0.025, 0.975], below, mu)
    assert found == pytest.approx(expected, abs=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("studies", [1, 3])
@pytest.mark.parametrize("networks", [4, 10])
def test_intervals_hold_the_mean_in_95_of_100_simulated_sets_of_studies(studies, networks):
    generator = np.random.default_rng(studies * 100 + networks)
    covariance = 0.12**2 * np.eye(networks) + 0.08**2
    root, truth, hits = np.linalg.cholesky(covariance), 0.1, 0
    scattered = WHITE[networks] @ root.T
    for _ in range(1000):
        omega, phi = 0.3 * np.abs(generator.standard_normal(2))
        groups = []
        for _ in range(studies):
            own = truth + (studies > 1) * phi * generator.standard_normal()
            own = own + omega * generator.standard_normal(networks)
            groups.append(own + root @ generator.standard_normal(networks) + scattered)
        found = pooled(groups)
        hits += found.low <= truth <= found.high
    assert 930 <= hits <= 970


def test_one_network_in_each_of_two_studies_are_two():
    two = pooled([draws([0.1], [[0.01]]), draws([0.3], [[0.01]])])
    assert two.low < 0.1 and two.estimate == pytest.approx(0.2) and two.high > 0.3


def test_draws_without_a_value_are_left_out():
    generator = np.random.default_rng(3)
    every = 0.2 + 0.1 * (
        generator.standard_normal((4000, 3)) + generator.standard_normal((4000, 1))
    )
    some = np.where(generator.random(every.shape) < 0.05, np.nan, every)
    assert pooled([some]) == pytest.approx(pooled([every]), abs=0.02)
