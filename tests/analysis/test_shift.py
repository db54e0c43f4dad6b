"""Whether a landscape moved: by hand, by closed forms, and where the answer is known."""

import math
from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from hpstudy.analysis.landscape import Landscape, common_points
from hpstudy.analysis.shift import Pair, landscape_shift, permutation_test
from hpstudy.errors import HpstudyError

NAN = math.nan


def decades(points, step=0.25):
    """log10 of a square grid around 0, of shape (points squared, 2)."""
    ticks = step * (np.arange(points) - (points - 1) / 2)
    return np.array(list(product(ticks, ticks)))


def bowl(logs, first=0.0, second=0.0):
    x, y = logs[:, 0] - first, logs[:, 1] - second
    return 90 - 4 * (x + y) ** 2 - 1.5 * (x - y) ** 2


def landscape(logs, values, variant="unpruned", axes=("lr", "weight_decay")):
    columns = {axes[0]: 10 ** logs[:, 0], axes[1]: 10 ** logs[:, 1], "value": values}
    points = pd.DataFrame(columns).assign(std=NAN, seeds=1, diverged=0.0, stopped=0.0)
    return Landscape(variant, "top1", points, axes)


def compare(one, other, draws, noise, threshold):
    """LandscapeShift between two landscapes of these draws, at the settings of the other."""
    here, there = common_points(one, other)
    dense = np.full(draws[1].shape, -np.inf)
    dense[:, there] = draws[0][:, here]
    both = np.isin(np.arange(len(other.points)), there)
    pair = Pair(dense, draws[1], other.logs, both, interpolated=False)
    spread = [np.full(len(network.points), noise) for network in (one, other)]
    return landscape_shift(one, other, pair, spread, threshold)


def compared(logs, one, other, noise=0.0, threshold=1.0):
    """LandscapeShift between two landscapes; their draws are the values with noise of that size."""
    random = np.random.default_rng(8)
    values = [np.asarray(values, float) for values in (one, other)]
    known = [np.where(np.isnan(value), -np.inf, value) for value in values]
    draws = tuple(value + noise * random.standard_normal((400, len(value))) for value in known)
    both = landscape(logs, values[0]), landscape(logs, values[1], "uniform-0.2")
    return compare(*both, draws, noise, threshold)


# --- permutation test -----------------------------------------------------------------------------


def test_p_values_without_a_shift_are_uniform():
    random, logs = np.random.default_rng(10), decades(5)
    found = []
    for k in range(200):
        one, other = bowl(logs) + 0.5 * random.standard_normal((2, len(logs)))
        found.append(permutation_test(one, other - 2, logs, 1.0, seed=k))
    share = np.mean(np.array(found) <= 0.05)
    # Binomial of 200 at 5 %: two and a half deviations are 3.9 %.
    assert 0.02 <= share <= 0.09
    assert 0.4 < np.mean(found) < 0.65


def test_large_shift_has_a_small_p_value():
    random, logs = np.random.default_rng(11), decades(7)
    one, other = bowl(logs, -0.4, 0.4), bowl(logs, 0.4, -0.4)
    noise = 0.3 * random.standard_normal((2, len(logs)))
    assert permutation_test(one + noise[0], other + noise[1], logs, 1.0) < 0.01
    assert permutation_test(one + noise[0], one + noise[1], logs, 1.0) > 0.05


def test_equal_landscapes_have_a_p_value_of_1():
    logs = decades(4)
    assert permutation_test(bowl(logs), bowl(logs) - 3, logs, 1.0) == 1


# --- the whole comparison -------------------------------------------------------------------------


def test_interval_of_the_rank_correlation_is_that_of_the_draws():
    random, logs = np.random.default_rng(12), decades(5)
    one, other = bowl(logs), bowl(logs, 0.5, -0.3)
    draws = tuple(values + 0.3 * random.standard_normal((300, 25)) for values in (one, other))
    pair = landscape(logs, one), landscape(logs, other, "uniform-0.2")
    found = compare(*pair, draws, 0.3, 1.0).spearman_interval
    expected = [spearmanr(*rows).statistic for rows in zip(*draws, strict=True)]
    assert found == pytest.approx(np.quantile(expected, [0.5, 0.025, 0.975]))


def test_interval_ends_at_1_where_ranks_differ_by_noise_alone():
    random, logs = np.random.default_rng(13), decades(5)
    # Two measurements of one landscape, and what either leaves open.
    one, other = bowl(logs) + 0.2 * random.standard_normal((2, 25))
    found = compared(logs, one, other, noise=0.2).spearman_interval
    assert found.estimate < 1 and found.high == 1
    moved = compared(logs, one, bowl(logs, 0.5, -0.5), noise=0.2).spearman_interval
    assert moved.high < 1


def test_expected_overlap_decreases_with_noise():
    logs = decades(9)
    # No point lies 0.9 below the best, where the least noise would decide.
    quiet = compared(logs, bowl(logs), bowl(logs), noise=1e-6, threshold=0.9)
    assert quiet.jaccard == 1 and quiet.jaccard_p == 1
    assert quiet.jaccard_by_noise == pytest.approx((1, 1, 1))
    loud = compared(logs, bowl(logs), bowl(logs), noise=1.0)
    assert loud.jaccard_by_noise.estimate < 0.5


def test_regions_of_a_shifted_landscape_overlap_less_than_noise_explains():
    random, logs = np.random.default_rng(14), decades(9)
    noise = 0.2 * random.standard_normal((2, 81))
    same = compared(logs, bowl(logs) + noise[0], bowl(logs) + noise[1], noise=0.2)
    moved = compared(logs, bowl(logs) + noise[0], bowl(logs, 0.5, -0.5) + noise[1], noise=0.2)
    assert same.jaccard_p > 0.05 and moved.jaccard_p < 0.01
    assert moved.jaccard < moved.jaccard_by_noise.low
    assert same.shift_p > 0.05 and moved.shift_p < 0.01


def test_known_shift_is_recovered():
    logs = decades(13)
    found = compared(logs, bowl(logs), bowl(logs, 0.25, -0.5), noise=0.01)
    # The grid is moved onto itself, by one point and by two.
    assert found.shift == pytest.approx(math.hypot(0.25, 0.5), abs=1e-9)
    first, second = found.shift_components
    assert first.estimate == pytest.approx(0.25, abs=0.03)
    assert second.estimate == pytest.approx(-0.5, abs=0.03)
    assert found.shift_interval.low > 0.4 and found.shift_interval.high < 0.7


def test_larger_grid_is_not_a_shift():
    """Along the second axis the valley has no end, so that its region ends where its grid does."""
    random, logs = np.random.default_rng(16), decades(9)
    grown = np.array(list(product(np.unique(logs[:, 0]), np.arange(-2.5, 1.01, 0.25))))
    pair = [
        landscape(places, 90 - 4 * places[:, 0] ** 2, variant)
        for places, variant in ((logs, "unpruned"), (grown, "uniform-0.2"))
    ]
    values = [one.points["value"].to_numpy() for one in pair]
    draws = tuple(row + 0.05 * random.standard_normal((400, len(row))) for row in values)
    found = compare(*pair, draws, 0.05, 0.9)
    assert found.n == len(logs) and found.jaccard == 1
    assert found.shift == 0 and found.shift_interval.low == 0
    assert found.shift_interval.high < 0.1 and found.shift_p == 1
    assert found.ellipse_overlap.estimate > 0.9


def test_shift_is_nan_where_a_region_has_no_ellipse():
    logs = decades(5)
    peak = np.where((logs == 0).all(axis=1), 99.0, 90.0 + logs.sum(axis=1) / 10)
    found = compared(logs, bowl(logs), peak, noise=0.01)
    assert math.isnan(found.shift) and math.isnan(found.shift_p)
    assert np.isnan(found.shift_interval).all() and np.isnan(found.ellipse_overlap).all()


def test_ellipses_of_equal_landscapes_overlap_and_of_shifted_ones_do_not():
    logs = decades(13)
    same = compared(logs, bowl(logs), bowl(logs), noise=1e-6, threshold=0.9).ellipse_overlap
    away = compared(logs, bowl(logs, -0.75, -0.75), bowl(logs, 0.75, 0.75), 1e-6, 0.9)
    assert same == pytest.approx((1, 1, 1)) and away.ellipse_overlap == (0, 0, 0)


def test_landscapes_over_other_axes_are_not_compared():
    logs = decades(3)
    one = landscape(logs, bowl(logs))
    other = landscape(logs, bowl(logs), "uniform-0.2", axes=("lr", "momentum"))
    draws = (bowl(logs)[None], bowl(logs)[None])
    with pytest.raises(HpstudyError, match="'uniform-0.2' over lr x momentum"):
        compare(one, other, draws, 0.1, 1.0)


def test_comparison_is_deterministic():
    random, logs = np.random.default_rng(15), decades(5)
    one, other = bowl(logs) + 0.3 * random.standard_normal((2, 25))
    first, second = (compared(logs, one, other, noise=0.3) for _ in range(2))
    np.testing.assert_equal(first, second)
