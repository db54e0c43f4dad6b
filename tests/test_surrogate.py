"""The surrogate against scikit-learn's Gaussian process, closed forms, and simulated truth."""

import math
from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad
from scipy.stats import chi2, norm
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, Matern

from hpstudy import surrogate
from hpstudy.landscape import Landscape
from hpstudy.surrogate import Surrogate

NAN = math.nan


def decades(points, step=0.25):
    """log10 of a square grid around 0, of shape (points squared, 2)."""
    ticks = step * (np.arange(points) - (points - 1) / 2)
    return np.array(list(product(ticks, ticks)))


def measured(logs, values, seeds=1, std=NAN):
    columns = {"lr": 10 ** logs[:, 0], "weight_decay": 10 ** logs[:, 1], "value": values}
    points = pd.DataFrame(columns).assign(std=std, seeds=seeds, diverged=0.0, stopped=0.0)
    return Landscape("unpruned", "top1", points)


def ridge(logs, top=90.0):
    """Inverse band: steep across it, flat along it."""
    return top - 4 * (logs.sum(axis=1)) ** 2 - 0.8 * (logs[:, 0] - logs[:, 1]) ** 2


@pytest.fixture
def uneven():
    """A band on 6 x 6 points, none of them deep, some of which were run more often."""
    random = np.random.default_rng(1)
    logs = decades(6, 0.2)
    seeds = random.integers(1, 4, len(logs))
    values = ridge(logs) + 0.3 * random.standard_normal(len(logs)) / np.sqrt(seeds)
    return measured(logs, values, seeds), logs


# --- the same by scikit-learn ---------------------------------------------------------------------

# Turned by 45 degrees, squared exponential, and the two lengths as shares of the grid's span.
KERNELS = [(False, True, 0.6, 1.2), (True, False, 0.3, 2.4)]


def only(monkeypatch, kernels, amplitudes, noises):
    """Leave the surrogate these choices and no other."""
    named = [(rotated, smooth, tuple(lengths)) for rotated, smooth, *lengths in kernels]
    monkeypatch.setattr(surrogate, "_KERNELS", named)
    monkeypatch.setattr(surrogate, "_AMPLITUDES", np.array(amplitudes))
    monkeypatch.setattr(surrogate, "_NOISES", np.array(noises))


def unit(logs, old, rotated):
    """Places in spans of the grid, turned if asked for."""
    places = (logs - old.min(axis=0)) / np.ptp(old, axis=0)
    turn = np.array([[1, 1], [1, -1]]) / np.sqrt(2)
    return places @ turn if rotated else places


def regression(kernel, amplitude, noise, landscape, logs):
    """Scikit-learn's process with one kernel, on standardised values."""
    rotated, smooth, *lengths = kernel
    shape = RBF(lengths) if smooth else Matern(lengths, nu=2.5)
    values = landscape.points["value"].to_numpy()
    found = GaussianProcessRegressor(
        ConstantKernel(amplitude**2) * shape + ConstantKernel(100 * amplitude**2),
        alpha=noise**2 / landscape.points["seeds"].to_numpy(),
        optimizer=None,
    )
    return found.fit(unit(logs, logs, rotated), (values - values.mean()) / values.std())


@pytest.mark.parametrize("kernel", KERNELS, ids=["as it is", "turned"])
def test_between_the_points_it_is_scikit_learns_process(kernel, monkeypatch, uneven):
    landscape, logs = uneven
    only(monkeypatch, [kernel], [1.3], [0.4])
    new = np.random.default_rng(2).uniform(-0.8, 0.8, (50, 2))
    mean, deviation = Surrogate(landscape).predict(*(10**new).T)
    other = regression(kernel, 1.3, 0.4, landscape, logs)
    expected, spread = other.predict(unit(new, logs, kernel[0]), return_std=True)
    values = landscape.points["value"]
    np.testing.assert_allclose(mean, values.mean() + values.std(ddof=0) * expected, atol=1e-8)
    np.testing.assert_allclose(deviation, values.std(ddof=0) * spread, rtol=1e-6)


@pytest.mark.parametrize("kernel", KERNELS, ids=["as it is", "turned"])
def test_draws_have_the_mean_and_covariance_of_scikit_learns_process(kernel, monkeypatch, uneven):
    landscape, logs = uneven
    only(monkeypatch, [kernel], [1.3], [0.4])
    number = 20_000
    drawn = Surrogate(landscape).draws(number)
    other = regression(kernel, 1.3, 0.4, landscape, logs)
    mean, covariance = other.predict(unit(logs, logs, kernel[0]), return_cov=True)
    values = landscape.points["value"]
    drawn = (drawn - values.mean()) / values.std(ddof=0)
    variance = np.diag(covariance)
    assert (np.abs(drawn.mean(axis=0) - mean) < 5 * np.sqrt(variance / number)).all()
    # Standard error of a sample covariance of Gaussians.
    error = np.sqrt((np.outer(variance, variance) + covariance**2) / number)
    assert (np.abs(np.cov(drawn.T) - covariance) < 5 * error).all()


def test_choices_are_weighed_by_scikit_learns_marginal_likelihood(monkeypatch, uneven):
    landscape, logs = uneven
    amplitudes, noises = [0.5, 2.0, 8.0], [0.05, 0.2, 0.8]
    only(monkeypatch, KERNELS, amplitudes, noises)
    weights = np.log(Surrogate(landscape)._weighed[1])
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
    several = landscape.points["seeds"] > 1
    points = landscape.points.assign(std=np.where(several, 0.25, NAN))
    found = Surrogate(Landscape("unpruned", "top1", points))
    gained = np.log(found._weighed[1][0, 0]) - without
    degrees = int((points["seeds"] - 1).sum())
    sigma = noises * points["value"].std(ddof=0)
    # Density of s^2 where degrees s^2 / sigma^2 is chi squared.
    expected = chi2.logpdf(degrees * 0.25**2 / sigma**2, degrees) - 2 * np.log(sigma)
    np.testing.assert_allclose(np.diff(gained), np.diff(expected), atol=1e-9)


def test_what_is_said_is_the_mean_over_all_choices(monkeypatch, uneven):
    landscape, logs = uneven
    amplitudes, noises = [1.0, 4.0], [0.1, 0.2]
    only(monkeypatch, KERNELS, amplitudes, noises)
    choices = list(product(KERNELS, amplitudes, noises))
    all_of_them = [regression(*choice, landscape, logs) for choice in choices]
    weights = np.exp([one.log_marginal_likelihood() for one in all_of_them])
    weights /= weights.sum()
    new = decades(4, 0.3)
    said = [
        one.predict(unit(new, logs, choice[0][0]), return_std=True)
        for one, choice in zip(all_of_them, choices, strict=True)
    ]
    mean = sum(w * m for w, (m, _) in zip(weights, said, strict=True))
    second = sum(w * (m**2 + s**2) for w, (m, s) in zip(weights, said, strict=True))
    values = landscape.points["value"]
    scale = values.std(ddof=0)
    found, deviation = Surrogate(landscape).predict(*(10**new).T)
    # Choices of less than a thousandth of the greatest weight are left out.
    np.testing.assert_allclose(found, values.mean() + scale * mean, atol=0.01 * scale)
    np.testing.assert_allclose(deviation, scale * np.sqrt(second - mean**2), rtol=0.01)


def test_draws_at_the_points_agree_with_the_surface_between_them(uneven):
    landscape, logs = uneven
    found = Surrogate(landscape)
    drawn = found.draws(4000)
    mean, deviation = found.predict(*(10**logs).T)
    assert (np.abs(drawn.mean(axis=0) - mean) < 6 * deviation / math.sqrt(4000)).all()
    np.testing.assert_allclose(drawn.std(axis=0), deviation, rtol=0.12)


# --- noise ----------------------------------------------------------------------------------------


def test_replicates_are_pooled_by_their_degrees_of_freedom():
    logs = decades(3)
    std = [NAN, NAN, NAN, NAN, 0.3, 0.5, NAN, NAN, 9.0]
    seeds = [1, 1, 1, 1, 3, 2, 1, 1, 4]
    values = np.array([90.0, 90, 90, 90, 90, 90, 90, 90, 50])
    deviation, degrees = Surrogate(measured(logs, values, seeds, std)).replicates
    # Two degrees at the fifth point, one at the sixth; the last lies beyond a cliff.
    assert degrees == 3
    assert deviation == pytest.approx(math.sqrt((2 * 0.09 + 1 * 0.25) / 3))


def test_without_replicates_there_is_no_deviation():
    deviation, degrees = Surrogate(measured(decades(3), np.arange(9.0))).replicates
    assert math.isnan(deviation) and degrees == 0


def repeated(sigma, seeds, seed, points=7):
    """Band measured `seeds` times at every point."""
    logs = decades(points)
    runs = ridge(logs) + sigma * np.random.default_rng(seed).standard_normal((seeds, len(logs)))
    std = runs.std(axis=0, ddof=1) if seeds > 1 else NAN
    return measured(logs, runs.mean(axis=0), seeds, std)


def test_many_replicates_tell_the_noise():
    found = [Surrogate(repeated(sigma, 6, 3)).noise / sigma for sigma in (0.1, 0.25, 0.6)]
    # 49 points times five degrees: the deviation is known to 4.5 %.
    assert all(abs(ratio - 1) < 0.14 for ratio in found)


def test_one_run_a_point_tells_the_noise_by_how_rough_the_surface_is():
    found = [Surrogate(repeated(0.4, 1, seed, points=9)).noise / 0.4 for seed in range(6)]
    assert all(1 / 1.6 < ratio < 1.6 for ratio in found)
    assert 0.85 < np.mean(found) < 1.15


# --- points ---------------------------------------------------------------------------------------


def test_points_without_a_value_are_never_the_best():
    logs = decades(4)
    values = ridge(logs)
    values[[0, 7]] = NAN
    drawn = Surrogate(measured(logs, values)).draws(200)
    assert drawn.shape == (200, 16)
    assert (drawn[:, [0, 7]] == -np.inf).all()
    assert np.isfinite(np.delete(drawn, [0, 7], axis=1)).all()


def test_beyond_a_cliff_points_are_as_they_were_measured():
    logs = decades(6)
    values = ridge(logs) + 0.2 * np.random.default_rng(4).standard_normal(36)
    cliff = np.flatnonzero(logs.sum(axis=1) > 0.8)
    values[cliff] = 10.0
    found = Surrogate(measured(logs, values))
    drawn, noise = found.draws(4000), found.noise
    # A surface that had to follow the cliff would know nothing of the band.
    assert noise < 0.4
    assert np.abs(drawn[:, cliff].mean(axis=0) - 10).max() < 5 * noise / math.sqrt(4000)
    np.testing.assert_allclose(drawn[:, cliff].std(axis=0), noise, rtol=0.1)


def test_the_surface_goes_through_six_points_below_the_best_and_at_least_the_better_half():
    logs = decades(3)
    deep = np.array([90.0, 84.1, 83.9, 84.0, 88.0, 10.0, NAN, 86.0, 85.0])
    assert Surrogate(measured(logs, deep)).inside.tolist() == [
        True, True, False, True, True, False, False, True, True,
    ]  # fmt: skip
    steep = np.array([90.0, 80.0, 70.0, 60.0, 50.0, 40.0, 30.0, 20.0, 10.0])
    assert Surrogate(measured(logs, steep)).inside.sum() == 5


def test_draws_repeat_with_their_seed():
    found = Surrogate(repeated(0.3, 1, 5, points=4))
    assert (found.draws(50, seed=1) == found.draws(50, seed=1)).all()
    assert (found.draws(50, seed=1) != found.draws(50, seed=2)).all()


# --- the best of many -----------------------------------------------------------------------------


def expected_maximum(n):
    """Mean of the largest of n independent standard normals."""
    return quad(lambda x: x * n * norm.pdf(x) * norm.cdf(x) ** (n - 1), -10, 10)[0]


def test_the_best_of_a_flat_landscape_flatters_itself_by_the_expected_maximum():
    assert expected_maximum(81) == pytest.approx(2.43, abs=0.01)
    sigma, logs = 0.5, decades(5)
    random = np.random.default_rng(6)
    gains, true = [], []
    for _ in range(30):
        landscape = measured(logs, 70 + sigma * random.standard_normal(25))
        top = landscape.points["value"].idxmax()
        gains.append(landscape.best - np.median(Surrogate(landscape).draws(400)[:, top]))
        true.append(landscape.best - 70)
    # The deviation of such a maximum is 0.5 sigma.
    assert np.mean(true) == pytest.approx(
        sigma * expected_maximum(25), abs=3 * 0.5 * sigma / 30**0.5
    )
    assert np.mean(gains) == pytest.approx(sigma * expected_maximum(25), rel=0.15)


def test_many_scattered_points_are_as_well_described_as_a_grid():
    # More points than the sample that chooses the kernels; the truth is a bowl.
    generator = np.random.default_rng(5)
    logs = generator.uniform(-1, 1, (250, 2))
    truth = 80 - 3 * (logs**2).sum(axis=1)
    points = pd.DataFrame(
        {
            "lr": 10 ** logs[:, 0],
            "weight_decay": 10 ** logs[:, 1],
            "value": truth + 0.4 * generator.standard_normal(250),
            "std": np.nan,
            "seeds": 1,
            "diverged": 0.0,
            "stopped": 0.0,
        }
    )
    found = Surrogate(Landscape("unpruned", "top1", points))
    drawn = found.draws()
    assert found.noise == pytest.approx(0.4, rel=0.2)
    assert np.sqrt(np.mean((drawn.mean(axis=0) - truth) ** 2)) < 0.15
    low, high = np.quantile(drawn, (0.025, 0.975), axis=0)
    assert np.mean((low <= truth) & (truth <= high)) > 0.85
