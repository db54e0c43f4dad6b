"""The surrogate against scikit-learn's Gaussian process, closed forms, and simulated truth."""

import math
from itertools import product

import numpy as np
import pytest
from ridges import decades, measured, repeated
from scipy.stats import chi2
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, Matern

from hpstudy.analysis import surrogate
from hpstudy.analysis.landscape import Landscape
from hpstudy.analysis.surrogate import Surrogate, _Kernel

NAN = math.nan


# --- the same by scikit-learn ---------------------------------------------------------------------

# Turned by 45 degrees, squared exponential, and the two lengths as shares of the grid's span.
KERNELS = [_Kernel(False, True, (0.6, 1.2)), _Kernel(True, False, (0.3, 2.4))]


def only(monkeypatch, kernels, amplitudes, noises):
    """Leave the surrogate these choices and no other, and no depth that is compressed."""
    monkeypatch.setattr(Surrogate, "_kernels", kernels)
    monkeypatch.setattr(surrogate, "_AMPLITUDES", np.array(amplitudes))
    monkeypatch.setattr(Surrogate, "_noises", (np.array(noises), np.zeros(len(noises))))
    monkeypatch.setattr(Surrogate, "_bound", 1e9)


def unit(logs, old, rotated):
    """Places in spans of the grid, turned if asked for."""
    places = (logs - old.min(axis=0)) / np.ptp(old, axis=0)
    turn = np.array([[1, 1], [1, -1]]) / np.sqrt(2)
    return places @ turn if rotated else places


def regression(kernel, amplitude, noise, landscape, logs):
    """Scikit-learn's process with one kernel, on standardised values."""
    rotated, smooth, lengths = kernel
    shape = RBF(lengths) if smooth else Matern(lengths, nu=2.5)
    values = landscape.points["value"].to_numpy()
    found = GaussianProcessRegressor(
        ConstantKernel(amplitude**2) * shape + ConstantKernel(100 * amplitude**2),
        alpha=noise**2 / landscape.points["seeds"].to_numpy(),
        optimizer=None,
    )
    return found.fit(unit(logs, logs, rotated), (values - values.mean()) / values.std())


@pytest.mark.parametrize("kernel", KERNELS, ids=["as it is", "turned"])
def test_draws_at_and_between_points_have_moments_of_scikit_learns_process(
    kernel, monkeypatch, uneven
):
    landscape, logs = uneven
    only(monkeypatch, [kernel], [1.3], [0.4])
    new = np.random.default_rng(2).uniform(-0.6, 0.6, (5, 2))
    drawn = Surrogate(landscape).draws(20_000, also=new)
    places = unit(np.vstack([logs, new]), logs, kernel[0])
    other = regression(kernel, 1.3, 0.4, landscape, logs)
    mean, covariance = other.predict(places, return_cov=True)
    values = landscape.points["value"]
    drawn = (drawn - values.mean()) / values.std(ddof=0)
    variance = np.diag(covariance)
    assert (np.abs(drawn.mean(axis=0) - mean) < 5 * np.sqrt(variance / len(drawn))).all()
    # Standard error of a sample covariance of Gaussians.
    error = np.sqrt((np.outer(variance, variance) + covariance**2) / len(drawn))
    difference = np.abs(np.cov(drawn.T) - covariance)
    for part in (slice(36), slice(36, None)):
        assert (difference[part, part] < 5 * error[part, part]).all()


def test_choices_are_weighed_by_scikit_learns_marginal_likelihood(monkeypatch, uneven):
    landscape, logs = uneven
    amplitudes, noises = [0.5, 2.0, 8.0], [0.05, 0.2, 0.8]
    only(monkeypatch, KERNELS, amplitudes, noises)
    choices, weights = Surrogate(landscape)._weighed
    assert [choice.kernel for choice in choices] == KERNELS
    weights = np.log(weights)
    expected = np.array(
        [
            regression(*choice, landscape, logs).log_marginal_likelihood()
            for choice in product(KERNELS, amplitudes, noises)
        ]
    ).reshape(weights.shape)
    np.testing.assert_allclose(weights - weights.max(), expected - expected.max(), atol=1e-6)


def test_the_scatter_between_seeds_weighs_as_chi_squared_does(monkeypatch, uneven):
    landscape, _ = uneven
    noises = np.array([0.05, 0.1, 0.2])
    only(monkeypatch, KERNELS[:1], [2.0], noises)
    without = np.log(Surrogate(landscape)._weighed[1][0, 0])
    # Seven degrees of freedom: too few to tell where noise grows.
    several = (landscape.points["seeds"] - 1).cumsum().between(1, 7)
    several &= landscape.points["seeds"] > 1
    points = landscape.points.assign(std=np.where(several, 0.25, NAN))
    found = Surrogate(Landscape("unpruned", "top1", points))
    gained = np.log(found._weighed[1][0, 0]) - without
    degrees = int((points["seeds"] - 1)[several].sum())
    assert 5 <= degrees <= 7
    sigma = noises * points["value"].std(ddof=0)
    # Density of s^2 where degrees s^2 / sigma^2 is chi squared.
    expected = chi2.logpdf(degrees * 0.25**2 / sigma**2, degrees) - 2 * np.log(sigma)
    np.testing.assert_allclose(np.diff(gained), np.diff(expected), atol=1e-9)


def test_draws_have_moments_of_the_mixture_of_all_choices(monkeypatch, uneven):
    landscape, logs = uneven
    amplitudes, noises = [1.0, 4.0], [0.1, 0.2]
    only(monkeypatch, KERNELS, amplitudes, noises)
    choices = list(product(KERNELS, amplitudes, noises))
    all_of_them = [regression(*choice, landscape, logs) for choice in choices]
    weights = np.exp([one.log_marginal_likelihood() for one in all_of_them])
    weights /= weights.sum()
    new = decades(4, 0.3)
    said = [
        one.predict(unit(np.vstack([logs, new]), logs, choice[0][0]), return_std=True)
        for one, choice in zip(all_of_them, choices, strict=True)
    ]
    mean = sum(w * m for w, (m, _) in zip(weights, said, strict=True))
    second = sum(w * (m**2 + s**2) for w, (m, s) in zip(weights, said, strict=True))
    deviation = np.sqrt(second - mean**2)
    values, number = landscape.points["value"], 20_000
    drawn = (Surrogate(landscape).draws(number, also=new) - values.mean()) / values.std(ddof=0)
    assert (np.abs(drawn.mean(axis=0) - mean) < 5 * deviation / math.sqrt(number)).all()
    np.testing.assert_allclose(drawn.std(axis=0), deviation, rtol=0.03)


# --- noise ----------------------------------------------------------------------------------------


def test_replicates_are_pooled_by_their_degrees_of_freedom():
    logs = decades(3)
    std = [NAN, NAN, NAN, NAN, 0.3, 0.5, NAN, NAN, 0.4]
    seeds = [1, 1, 1, 1, 3, 2, 1, 1, 4]
    values = np.array([90.0, 90, 90, 90, 90, 90, 90, 90, 50])
    deviation, degrees = Surrogate(measured(logs, values, seeds, std)).noise_model.replicates
    # Two degrees at the fifth point, one at the sixth, three at the last, whatever it measured.
    assert degrees == 6
    assert deviation == pytest.approx(math.sqrt((2 * 0.09 + 1 * 0.25 + 3 * 0.16) / 6))


def test_without_replicates_there_is_no_deviation():
    deviation, degrees = Surrogate(measured(decades(3), np.arange(9.0))).noise_model.replicates
    assert math.isnan(deviation) and degrees == 0


def test_noise_is_estimated_from_many_replicates():
    found = [Surrogate(repeated(sigma, 6, 3)).noise / sigma for sigma in (0.1, 0.25, 0.6)]
    # 49 points times five degrees: the deviation is known to 4.5 %.
    assert all(abs(ratio - 1) < 0.14 for ratio in found)


@pytest.mark.slow
def test_noise_is_estimated_from_single_runs():
    found = [Surrogate(repeated(0.4, 1, seed, points=9)).noise / 0.4 for seed in range(6)]
    assert all(1 / 1.6 < ratio < 1.6 for ratio in found)
    assert 0.85 < np.mean(found) < 1.15
