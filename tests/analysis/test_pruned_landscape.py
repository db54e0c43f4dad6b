"""The dense landscape as a prior of the pruned one: against closed forms."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal

from hpstudy.analysis import pruned_prior
from hpstudy.analysis.landscape import landscapes
from hpstudy.analysis.pruned_landscape import PrunedLandscape, Runs
from hpstudy.analysis.pruned_prior import Prior
from hpstudy.analysis.retune_task import Task

SETTINGS = np.array(
    [(lr, decay) for lr in (-2.0, -1.5, -1.0, -0.5) for decay in (-4.0, -3.0, -2.0)]
)


def bowl(settings):
    """Accuracy with its best at lr 10^-1, weight decay 10^-3."""
    return 80 - 6 * (settings[:, 0] + 1) ** 2 - 1.5 * (settings[:, 1] + 3) ** 2


def dense(seeds=3, noise=0.4):
    generator = np.random.default_rng(0)
    rows = [
        ("unpruned", 10**lr, 10**decay, seed, value + noise * generator.standard_normal())
        for (lr, decay), value in zip(SETTINGS, bowl(SETTINGS), strict=True)
        for seed in range(seeds)
    ]
    table = pd.DataFrame(rows, columns=["variant", "lr", "weight_decay", "seed", "top1"])
    return landscapes(table)["unpruned"]


def only(additive, deepening, length, scale, shift, noise):
    """Prior of a single hypothesis, by its indices."""
    vague = Prior.vague()
    shape = vague.kernel.shape
    kernel = np.zeros(shape)
    kernel[additive, deepening, length] = 1.0
    shifts = np.eye(len(pruned_prior.SHIFTS))
    return Prior(
        kernel=kernel,
        scale=np.eye(len(pruned_prior.SCALES))[scale],
        shift=shifts[list(shift)],
        noise=np.tile(np.eye(len(pruned_prior.NOISES))[noise], (2, 1)),
        own=1e-12,
        own_kernel=vague.own_kernel,
    )


def runs(rows, values, seeds=None):
    seeds = np.zeros(len(rows), int) if seeds is None else np.array(seeds)
    return Runs(np.array(rows), np.array(values, float), seeds, np.ones(len(rows)))


@pytest.fixture(scope="module")
def model():
    return Task.of(dense(), None, Prior.vague()).landscape


def covariance(model, prior):
    """Covariance of the values, and that of runs of one seed, written out from the docstring."""
    additive, deepening, length = np.argwhere(prior.kernel)[0]
    unit = np.hypot(model.dense.noise, 0.03 * model.dense.spread)
    places = model.settings / np.ptp(model.settings, axis=0)
    count = len(places)
    result = np.empty((count, count))
    for i in range(count):
        for j in range(count):
            apart = ((places[i] - places[j]) ** 2).sum() / pruned_prior.LENGTHS[length] ** 2
            size = (pruned_prior.ADDITIVE[additive] * unit) ** 2
            size += pruned_prior.DEEPENING[deepening] ** 2 * model.depth[i] * model.depth[j]
            result[i, j] = size * np.exp(-apart / 2)
    level = (10 * (model.dense.spread + model.dense.noise)) ** 2
    return result + level


@pytest.mark.parametrize("seeds", [[0, 0, 0, 0], [0, 0, 1, 1]])
def test_posterior_is_that_of_gaussian_regression(model, seeds):
    prior = only(2, 1, 2, scale=2, shift=(3, 3), noise=3)
    given = runs([0, 4, 4, 7], [70.0, 76.0, 76.5, 75.0], seeds)
    some = PrunedLandscape(model.dense, model.settings, prior)
    drawn = some.draws(given, 20_000, np.random.default_rng(0)).values
    values, prior_values = covariance(model, prior), -model.depth
    rows = given.rows
    effect = (given.seeds[:, None] == given.seeds) * some.shared(given)
    noise = np.diag((model.dense.noise * model.growth[rows]) ** 2)
    own = values[np.ix_(rows, rows)] + effect + noise
    pull = values[:, rows] @ np.linalg.inv(own)
    mean = prior_values + pull @ (some.squeezed(given.values) - prior_values[rows])
    spread = np.sqrt(np.diag(values - pull @ values[rows]))
    # Values this near the best one are not compressed.
    near = np.flatnonzero(mean + 3 * spread > -model.dense._bound)
    assert len(near) >= 4
    error = np.abs(drawn.mean(axis=0) - 76.5 - mean) / spread
    assert (error[near] < 4 / np.sqrt(20_000) + 0.02).all()
    assert drawn.std(axis=0)[near] == pytest.approx(spread[near], rel=0.03)


def test_likelihood_is_that_of_a_normal_distribution(model):
    prior = only(3, 0, 1, scale=3, shift=(4, 3), noise=4)
    given = runs([1, 4, 8, 10], [75.0, 76.2, 75.5, 74.0], [0, 0, 1, 0])
    found = PrunedLandscape(model.dense, model.settings, prior).likelihood(given)[0]
    which = tuple(np.argwhere(np.exp(prior.logs(True)[0]) > 0.5)[0])
    moved = model.dense.mean_depth(model.settings - [pruned_prior.SHIFTS[4], 0.0])
    mean = -1.4 * np.minimum(moved - moved.min(), 1.3 * model.depth.max())[given.rows]
    own = covariance(model, prior)[np.ix_(given.rows, given.rows)]
    own = own + (given.seeds[:, None] == given.seeds) * model.shared(given)
    own = own + np.diag((1.2 * model.dense.noise * model.growth[given.rows]) ** 2)
    values = model.squeezed(given.values)
    expected = multivariate_normal(mean, own).logpdf(values) + 2 * np.log(2 * np.pi)
    assert found[which] == pytest.approx(expected, rel=1e-9)


def test_a_constant_on_all_runs_changes_nothing(model):
    values = np.array([70.0, 76.0, 76.5, 75.0])
    one, other = (
        model.draws(runs([0, 4, 4, 7], values + shift), 200, np.random.default_rng(0))
        for shift in (0.0, -20.0)
    )
    assert other.values + 20 == pytest.approx(one.values, abs=1e-9)


def test_without_runs_the_best_is_where_the_dense_one_has_it(model):
    drawn = model.draws(runs([], []), 4000, np.random.default_rng(0)).values
    assert drawn.mean(axis=0).argmax() == model.depth.argmin()
    # Half of the prior of a shift is none, so the dense optimum is the likeliest of all.
    assert np.bincount(drawn.argmax(axis=1)).argmax() == model.depth.argmin()


def test_priors_are_probabilities_and_are_read_back():
    for prior in (Prior.vague(), Prior.of(pruned_prior.fitted()["prior"])):
        for replicated in (True, False):
            transferred, own = prior.logs(replicated)
            assert np.exp(transferred).sum() + np.exp(own).sum() == pytest.approx(1.0, abs=1e-3)
    again = Prior.of({name: np.array(of).tolist() for name, of in Prior.vague()._asdict().items()})
    assert all(np.array_equal(a, b) for a, b in zip(again, Prior.vague(), strict=True))


def test_noise_grows_as_the_dense_networks(model):
    assert model.growth.shape == (len(SETTINGS),) and model.growth[model.depth.argmin()] == 1.0
    flat = replace(model, dense=model.dense)
    assert np.array_equal(flat.growth, model.growth)
