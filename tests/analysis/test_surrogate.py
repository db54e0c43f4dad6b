"""The surrogate against scikit-learn's Gaussian process, closed forms, and simulated truth."""

import math
from itertools import product

import numpy as np
import pandas as pd
import pytest
import sweeps
from scipy.integrate import quad
from scipy.stats import chi2, norm
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, Matern

from hpstudy.analysis import surrogate
from hpstudy.analysis.intervals import interval
from hpstudy.analysis.landscape import Landscape
from hpstudy.analysis.regions import fit_ellipses, roi
from hpstudy.analysis.surrogate import Surrogate, _Kernel

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
    deviation, degrees = Surrogate(measured(logs, values, seeds, std)).replicates
    # Two degrees at the fifth point, one at the sixth, three at the last, whatever it measured.
    assert degrees == 6
    assert deviation == pytest.approx(math.sqrt((2 * 0.09 + 1 * 0.25 + 3 * 0.16) / 6))


def test_without_replicates_there_is_no_deviation():
    deviation, degrees = Surrogate(measured(decades(3), np.arange(9.0))).replicates
    assert math.isnan(deviation) and degrees == 0


def repeated(sigma, seeds, seed, points=7):
    """Band measured `seeds` times at every point."""
    logs = decades(points)
    runs = ridge(logs) + sigma * np.random.default_rng(seed).standard_normal((seeds, len(logs)))
    std = runs.std(axis=0, ddof=1) if seeds > 1 else NAN
    return measured(logs, runs.mean(axis=0), seeds, std)


def test_noise_is_estimated_from_many_replicates():
    found = [Surrogate(repeated(sigma, 6, 3)).noise / sigma for sigma in (0.1, 0.25, 0.6)]
    # 49 points times five degrees: the deviation is known to 4.5 %.
    assert all(abs(ratio - 1) < 0.14 for ratio in found)


@pytest.mark.slow
def test_noise_is_estimated_from_single_runs():
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


def test_cliff_does_not_change_the_region():
    logs = decades(7)
    runs = ridge(logs) + 0.3 * np.random.default_rng(4).standard_normal((3, 49))
    fallen = np.where(logs.sum(axis=1) > 0.8, runs - 60, runs)
    both = [
        Surrogate(measured(logs, one.mean(axis=0), 3, one.std(axis=0, ddof=1)))
        for one in (runs, fallen)
    ]
    shapes = [fit_ellipses(logs, roi(one.draws(4000), 1.0)) for one in both]
    # A surface that had to follow the cliff would know nothing of the band.
    assert both[1].noise == pytest.approx(both[0].noise, rel=0.15)
    for end in ("length", "width", "first", "second"):
        whole, beside = (interval(getattr(one, end)) for one in shapes)
        assert beside.estimate == pytest.approx(whole.estimate, abs=0.25)
        assert beside.high - beside.low < 0.7


def test_points_beyond_a_cliff_stay_there():
    logs = decades(6)
    values = ridge(logs) + 0.2 * np.random.default_rng(4).standard_normal(36)
    cliff = logs.sum(axis=1) > 0.8
    values[cliff] = 10.0
    drawn = Surrogate(measured(logs, values)).draws(4000)
    # Of a depth of 80 points, a few: nothing there is ever near the best.
    assert drawn[:, cliff].max() < 45
    assert np.abs(np.median(drawn[:, cliff], axis=0) - 10).max() < 8


def test_half_of_the_points_may_tie_with_the_best_above_a_cliff():
    logs = decades(5)
    drawn = Surrogate(measured(logs, np.where(logs.sum(axis=1) > 0.4, 10.0, 90.0))).draws(2000)
    assert np.median(drawn[:, logs.sum(axis=1) < 0.4], axis=0) == pytest.approx(90.0, abs=0.05)


def test_the_surface_goes_through_all_points_whatever_they_measured():
    deep = np.array([90.0, 84.1, 83.9, 84.0, 88.0, 10.0, NAN, 86.0, 85.0])
    found = Surrogate(measured(decades(3), deep))
    assert found.used.tolist() == np.isfinite(deep).tolist()


@pytest.mark.slow
def test_300_noisy_random_settings_are_covered():
    # Points that took part only where they measured well held in 60 to 75 %.
    generator, held = np.random.default_rng(5), []
    for _ in range(3):
        logs = sweeps.scattered(300, generator)
        truth = ridge(logs)
        drawn = Surrogate(measured(logs, truth + generator.standard_normal(300))).draws()
        low, high = np.quantile(drawn, (0.025, 0.975), axis=0)
        held.append(np.mean((low <= truth) & (truth <= high)))
    assert np.mean(held) >= 0.9


def test_shared_effect_of_seeds_changes_levels_alone():
    generator, logs = np.random.default_rng(21), sweeps.square(6)
    table = sweeps.sweep("unpruned", logs, sweeps.parabola(logs), 0.3, generator, seeds=3)
    moved = table.assign(top1=table["top1"] + np.where(table["seed"] == 1, 4.0, 0.0))
    # A ceiling would cut the levels of one of the two.
    plain, lucky = (
        Surrogate(sweeps.analysed(one, ceiling=math.inf).landscapes["unpruned"])
        for one in (table, moved)
    )
    assert lucky.noise == pytest.approx(plain.noise, rel=0.05)
    assert lucky.noise_model.shared > 0.9 > plain.noise_model.shared
    drawn = [one.draws() for one in (plain, lucky)]
    sizes = [interval(roi(one, 1.0).sum(axis=1)) for one in drawn]
    assert sizes[0] == pytest.approx(sizes[1], abs=1)
    losses = [interval(one.max(axis=1) - one[:, 7]) for one in drawn]
    assert losses[0] == pytest.approx(losses[1], abs=0.05)
    # The mean is of three seeds, one of which may be 4 points too lucky.
    levels = [interval(one[:, 14]) for one in drawn]
    assert levels[1].high - levels[1].low > 5 * (levels[0].high - levels[0].low)
    assert levels[1].low < levels[0].estimate < levels[1].high


def test_no_draw_is_better_than_the_metric_can_be():
    logs = decades(5)
    points = measured(logs, np.minimum(ridge(logs, 101.0), 100.0)).points
    drawn = Surrogate(Landscape("unpruned", "top1", points, ceiling=100.0)).draws(2000)
    assert drawn.max() == 100.0
    assert Surrogate(Landscape("unpruned", "top1", points)).draws(2000).max() > 100.0
    assert Landscape("unpruned", "top1", points).ties == (points["value"] == 100).sum() - 1 > 0


def test_value_of_0_keeps_its_measurement():
    logs = decades(5)
    values = ridge(logs) + 0.2 * np.random.default_rng(22).standard_normal(25)
    points = measured(logs, values).points
    none = points.iloc[:3].assign(weight_decay=0.0, value=[88.0, 89.0, NAN])
    both = pd.concat([points, none], ignore_index=True)
    found = Surrogate(Landscape("unpruned", "top1", both))
    drawn = found.draws(4000)
    assert found.used.sum() == 25 and (drawn[:, 27] == -np.inf).all()
    assert drawn[:, 25:27].mean(axis=0) == pytest.approx([88, 89], abs=5 * found.noise / 4000**0.5)
    assert drawn[:, 25:27].std(axis=0) == pytest.approx(found.noise, rel=0.1)
    assert (drawn[:, :25] == Surrogate(measured(logs, values)).draws(4000)).all()


# --- between the points ---------------------------------------------------------------------------


def test_draws_at_measured_places_are_unchanged(uneven):
    landscape, logs = uneven
    drawn = Surrogate(landscape).draws(500, also=logs)
    np.testing.assert_allclose(drawn[:, 36:], drawn[:, :36], atol=0.05)
    # And those are what they are without anything else asked for.
    assert (drawn[:, :36] == Surrogate(landscape).draws(500)).all()


@pytest.mark.slow
def test_draws_cover_the_truth_at_untried_settings():
    generator, held = np.random.default_rng(23), []
    for _ in range(8):
        logs, new = sweeps.scattered(40, generator), sweeps.scattered(25, generator, half=0.8)
        values = ridge(logs) + 0.4 * generator.standard_normal(40)
        drawn = Surrogate(measured(logs, values)).draws(2000, also=new)[:, 40:]
        low, high = np.quantile(drawn, (0.025, 0.975), axis=0)
        held.append(np.mean((low <= ridge(new)) & (ridge(new) <= high)))
    assert 0.88 <= np.mean(held) <= 0.995


# --- repeated -------------------------------------------------------------------------------------


def test_draws_repeat_with_their_seed():
    found = Surrogate(repeated(0.3, 1, 5, points=4))
    assert (found.draws(50, seed=1) == found.draws(50, seed=1)).all()
    assert (found.draws(50, seed=1) != found.draws(50, seed=2)).all()


# --- the best of many -----------------------------------------------------------------------------


def expected_maximum(n):
    """Mean of the largest of n independent standard normals."""
    return quad(lambda x: x * n * norm.pdf(x) * norm.cdf(x) ** (n - 1), -10, 10)[0]


@pytest.mark.slow
def test_bias_of_the_best_of_a_flat_landscape_is_the_expected_maximum():
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
    # A surface that may be weak takes a little less off than one that must be flat.
    assert np.mean(gains) == pytest.approx(sigma * expected_maximum(25), rel=0.2)


def test_many_scattered_points_are_described_as_well_as_a_grid():
    # More points than the sample that chooses the kernels; the truth is a bowl.
    generator = np.random.default_rng(5)
    logs = generator.uniform(-1, 1, (250, 2))
    truth = 80 - 3 * (logs**2).sum(axis=1)
    found = Surrogate(measured(logs, truth + 0.4 * generator.standard_normal(250)))
    drawn = found.draws()
    assert found.noise == pytest.approx(0.4, rel=0.2)
    assert np.sqrt(np.mean((drawn.mean(axis=0) - truth) ** 2)) < 0.15
    low, high = np.quantile(drawn, (0.025, 0.975), axis=0)
    assert np.mean((low <= truth) & (truth <= high)) > 0.85


# --- many seeds -----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [10, 20])
def test_more_seeds_narrow_the_intervals(seeds):
    """The noise of a run is far larger than the spread of the means of so many."""
    generator, logs, sigma = np.random.default_rng(24), decades(5), 0.6
    found = []
    for _ in range(40):
        runs = 80 + sigma * generator.standard_normal((seeds, 25))
        landscape = measured(logs, runs.mean(axis=0), seeds, runs.std(axis=0, ddof=1))
        surrogate = Surrogate(landscape)
        top = landscape.points["value"].idxmax()
        found.append([*interval(surrogate.draws(1000)[:, top]), surrogate.noise])
    _, low, high, noise = np.array(found).T
    assert np.mean((low <= 80) & (80 <= high)) >= 0.9
    assert np.median(noise) == pytest.approx(sigma, rel=0.1)
    # 25 means of a flat landscape are nearly one mean, and never less sure than one of them.
    width = np.median(high - low)
    assert 2 * 1.96 * sigma / np.sqrt(25 * seeds) < width < 2 * 1.96 * sigma / np.sqrt(seeds)
