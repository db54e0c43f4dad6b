"""Noise of runs: against analyses of variance worked by hand, and simulated truth."""

import math

import numpy as np
import pandas as pd
import pytest
import sweeps

from hpstudy.analysis import noise
from hpstudy.analysis.landscape import landscapes
from hpstudy.analysis.noise import Noise


def noise_of(table, **options):
    return Noise(landscapes(table, **options)["unpruned"])


def runs(seeds, shared=0.0, sigma=0.3, growth=0.0, points=5, seed=1):
    """Runs of a parabola, every seed at every setting, whose noise grows along the first axis."""
    generator, logs = np.random.default_rng(seed), sweeps.square(points)
    own = sigma * 10 ** (growth * logs[:, 0])
    return sweeps.sweep("unpruned", logs, sweeps.parabola(logs), own, generator, seeds, shared)


def two_way(table):
    """Effects of the seeds, their mean square, and that of the residuals, of a balanced table."""
    square = table.pivot(index=["lr", "weight_decay"], columns="seed", values="top1").to_numpy()
    points, seeds = square.shape
    effects = square.mean(axis=0) - square.mean()
    left = square - square.mean(axis=1, keepdims=True) - effects
    return effects, points * effects.var(ddof=1), (left**2).sum() / ((points - 1) * (seeds - 1))


# --- effects of seeds -----------------------------------------------------------------------------


def test_effects_of_seeds_are_those_of_a_two_way_analysis_of_variance():
    table = runs(4, shared=1.0)
    effects, between, within = two_way(table)
    found = noise_of(table)
    # The best linear prediction of a random effect is the seed's mean, shrunk by its F ratio.
    np.testing.assert_allclose(found.seeds.mean, effects * (1 - within / between), atol=0.03)
    deviation, degrees = found.replicates
    assert degrees == 24 * 3
    # At the best point, from where noise may be found to grow; this is at a middling one.
    middling = deviation * np.exp(np.log(found.scale).mean())
    assert middling == pytest.approx(math.sqrt(within), rel=0.06)


def test_effects_of_each_ratio_are_the_shrunk_means_of_the_seeds():
    table = runs(3, shared=0.5)
    effects, _, _ = two_way(table)
    found = noise_of(table)._seed_effects(np.ones(25))
    for ratio, means in zip(noise.RATIOS, found.means, strict=True):
        np.testing.assert_allclose(means, effects * 25 * ratio / (1 + 25 * ratio), atol=1e-9)


@pytest.mark.slow
def test_the_share_of_the_seeds_is_found():
    # 0.6 squared of the variance.
    found = [noise_of(runs(8, 0.6, 0.8, points=4, seed=k)).shared for k in range(12)]
    assert np.mean(found) == pytest.approx(0.36, abs=0.12)
    alone = [noise_of(runs(8, 0.0, 0.8, points=4, seed=k)).shared for k in range(12)]
    assert np.mean(alone) < 0.05


def test_without_an_effect_seeds_take_hardly_a_degree_of_freedom():
    found = [noise_of(runs(4, seed=k)).replicates[1] for k in range(12)]
    # Between 24 x 3, where the effects are known to be there, and 25 x 3, where there are none.
    assert all(72 <= degrees <= 75 for degrees in found) and np.mean(found) > 73


def test_means_exclude_effects_of_seeds_that_some_points_lack():
    generator, logs = np.random.default_rng(5), sweeps.square(6)
    table = sweeps.sweep("unpruned", logs, np.full(36, 80.0), 0.05, generator, seeds=2)
    # The second seed lies 2 points higher, and half of the settings have it.
    table.loc[table["seed"] == 1, "top1"] += 2.0
    table = table[(table["seed"] == 0) | (table["lr"] > 1)]
    found = noise_of(table)
    values = found.landscape.points["value"]
    apart = found.landscape.points["lr"] > 1
    assert values[apart].mean() - values[~apart].mean() == pytest.approx(1.0, abs=0.05)
    assert found.values[apart].mean() - found.values[~apart].mean() == pytest.approx(0, abs=0.1)


def test_a_seed_of_few_settings_has_no_effect_of_its_own():
    table = runs(2)
    rare = table.assign(seed=np.arange(len(table)) // 4)
    assert noise_of(rare).seeds is None and math.isnan(noise_of(rare).shared)
    assert noise_of(table[table["seed"] == 0]).seeds is None
    often = table.assign(seed=np.arange(len(table)) // 5)
    assert len(noise_of(often).seeds.mean) == 10


# --- where noise grows ----------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("growth", [-0.2, 0.0, 0.4])
def test_growth_along_the_first_axis_is_found(growth):
    found = [noise_of(runs(8, growth=growth, points=7, seed=k)) for k in range(6)]
    # 49 points of seven degrees, over two decades.
    assert np.mean([one.growth[0] for one in found]) == pytest.approx(growth, abs=0.06)
    # The best point lies in the middle, where the deviation is 0.3.
    best = [one.replicates[0] * 10 ** -(growth * _best(one)) for one in found]
    assert np.mean(best) == pytest.approx(0.3, rel=0.06)


def _best(one):
    return math.log10(one.landscape.best_at["lr"])


def test_noise_that_grows_with_the_depth_is_found():
    generator, logs = np.random.default_rng(6), sweeps.square(7)
    truth = sweeps.parabola(logs)
    depth = 90 - truth
    own = 0.2 * 10 ** (0.5 * np.minimum(depth / np.median(depth), 2))
    found = noise_of(sweeps.sweep("unpruned", logs, truth, own, generator, 8))
    assert found.growth == pytest.approx((0.0, 0.5), abs=0.12)
    np.testing.assert_allclose(found.scale * found.replicates[0], own, rtol=0.5)


def test_few_replicates_give_no_growth():
    table = runs(2, growth=0.4)
    once = table[(table["seed"] == 0) | (table["lr"] > 9)]
    found = noise_of(once)
    # Five settings were repeated, and five is fewer than eight.
    assert found.growth == (0.0, 0.0) and (found.scale == 1).all() and found.replicates[1] <= 5


def test_equal_replicates_give_the_prior_growth():
    found = noise_of(runs(3, sigma=0.0))
    assert found.growth == pytest.approx((0.0, 0.0), abs=0.1)
    assert found.replicates[0] == pytest.approx(0.0, abs=1e-9)


# --- tables of means ------------------------------------------------------------------------------


def test_table_of_means_gives_the_same_noise_as_its_runs():
    table = runs(3, growth=0.3)
    groups = table.groupby(["variant", "lr", "weight_decay"], as_index=False)["top1"]
    means = groups.agg(["mean", "std", "count"])
    means = means.rename(columns={"mean": "top1", "count": "runs"})
    # Of seeds that are never used again.
    of_runs, of_means = noise_of(table.assign(seed=range(75))), noise_of(means)
    assert of_means.replicates == pytest.approx(of_runs.replicates) and of_means.replicates[1] == 50
    assert of_means.growth == pytest.approx(of_runs.growth) and of_means.seeds is None
    pd.testing.assert_frame_equal(of_means.landscape.points, of_runs.landscape.points)
