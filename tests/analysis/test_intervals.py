"""Intervals: the same quantities draw by draw, and how often they hold the truth."""

import importlib.util
import math
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hpstudy.analysis.intervals import (
    axis_interval,
    distance_interval,
    interval,
    loss,
    loss_draws,
)
from hpstudy.analysis.surrogate import Surrogate

BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks" / "coverage.py"


@pytest.fixture
def random():
    return np.random.default_rng(7)


# --- one value a draw -----------------------------------------------------------------------------


def test_an_interval_is_the_median_and_the_central_95_percent(random):
    values = random.permutation(np.append(np.arange(1001.0), [math.nan, math.nan]))
    assert interval(values) == pytest.approx((500, 25, 975))


def test_intervals_of_nan_draws_are_nan():
    for found in (interval(np.full(5, math.nan)), axis_interval(np.full(5, math.nan))):
        assert np.isnan(found).all()
    assert np.isnan(distance_interval(np.full(5, math.nan), np.zeros(5))).all()


@pytest.mark.parametrize("degrees", [0, 30, 88, 90, -89])
def test_interval_of_an_axis_does_not_depend_on_the_seam(degrees, random):
    around = random.normal(0, 4, 5000)
    # As arctan2 gives them: between -90 and 90 degrees.
    angles = np.deg2rad((degrees + around + 90) % 180 - 90)
    found = np.rad2deg(axis_interval(angles))
    expected = degrees + np.quantile(around, (0.5, 0.025, 0.975))
    turns = (found - expected) / 180
    np.testing.assert_allclose(turns, round(turns[0]), atol=1e-9)


def test_insignificant_distance_begins_at_zero(random):
    noise = random.normal(0, 0.1, (2, 4000))
    assert distance_interval(*noise).low == 0
    # 2.2 deviations away lies within the 95 % region, 2.7 beyond: its edge is at 2.45.
    assert distance_interval(noise[0] + 0.22, noise[1]).low == 0
    assert distance_interval(noise[0] + 0.27, noise[1]).low > 0.05


def test_significant_distance_is_that_of_the_means(random):
    first, second = 0.3 + random.normal(0, 0.01, 4000), 0.4 + random.normal(0, 0.01, 4000)
    found = distance_interval(first, second)
    # Along the vector the deviation is that of one component.
    assert found == pytest.approx((0.5, 0.5 - 0.0196, 0.5 + 0.0196), abs=2e-3)


def test_the_region_of_a_distance_follows_the_correlation_of_its_components(random):
    along, across = random.normal(0, 0.2, 4000), random.normal(0, 0.02, 4000)
    one = distance_interval(0.15 + along + across, 0.15 + along - across)
    other = distance_interval(0.15 + along + across, -0.15 + along - across)
    assert one.low == 0 and other.low > 0.1


# --- coverage -------------------------------------------------------------------------------------

# Of each network the points, the best, the region; of the two the losses and the shift.
QUANTITIES = [
    "every point", "value at the measured best", "loss of keeping, at most",
    "loss of keeping, at least", "length", "width", "centre, lr", "centre, weight decay",
    "shift, lr", "shift, weight decay", "mean risk, at most",
]  # fmt: skip


@pytest.fixture
def benchmark(few_draws):
    # Not by its name, which is also that of the package that measures the coverage of tests.
    spec = importlib.util.spec_from_file_location("interval_coverage", BENCHMARK)
    benchmark = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(BENCHMARK.parent))
    try:
        spec.loader.exec_module(benchmark)
    finally:
        sys.path.remove(str(BENCHMARK.parent))
    return benchmark


def coverage(benchmark, settings, simulations):
    rows = [
        row for one in settings for k in range(simulations) for row in benchmark.rows_of((k, one))
    ]
    return benchmark.summary(pd.DataFrame(rows), ["slope", "design"])


@pytest.mark.slow
def test_intervals_hold_the_truth_as_often_as_they_say(benchmark):
    table = coverage(benchmark, benchmark.PARTS["short"], 5)
    assert list(table.columns) == QUANTITIES and len(table) == 6
    found = table.mean()
    # Of 30 intervals at 95 %, fewer than 22 hold the truth twice in a million times.
    assert found.min() >= 100 * 22 / 30 and 92 <= found.mean() <= 99.5
    # Flat, moderate and steep, on grids and in random searches: of five times eleven, mostly alike.
    assert table.mean(axis=1).min() >= 85


@pytest.mark.slow
def test_resampled_measurements_do_not_cover_the_truth(benchmark, monkeypatch):
    def resampled(self, number=1000, seed=0, also=None):
        values = self.landscape.points["value"].to_numpy()
        return values + np.random.default_rng(seed).standard_normal((1000, len(values)))

    monkeypatch.setattr(Surrogate, "draws", resampled)
    monkeypatch.setattr(Surrogate, "noise", 1.0)
    found = coverage(benchmark, [benchmark.Setting("flat", 1, 81, "grid")], 10).iloc[0]
    # What is best by chance is taken for the best, and what others lose by chance for lost.
    assert found[["value at the measured best", "loss of keeping, at least"]].max() < 75


# --- one-sided bounds -----------------------------------------------------------------------------


def test_a_loss_is_never_negative_and_its_bounds_are_one_sided():
    # Against the setting that is best on average, 950 of 1001 draws lie above -450.
    against_one, against_best = np.arange(-500.0, 501), np.arange(0.0, 1001)
    assert loss(against_one, against_best) == (0, 0, 950)
    assert loss(against_one + 1000, against_best + 1000) == (1000, 550, 1950)
    assert np.isnan(loss(np.full(3, math.nan), np.zeros(3))).all()


def test_a_true_loss_of_zero_is_within_its_bounds():
    # Of a flat landscape nothing is ever lost.
    generator = np.random.default_rng(4)
    draws = 80 + generator.standard_normal((4000, 25))
    for kept in range(25):
        found = loss(*loss_draws(draws, draws[:, kept]))
        assert found.at_least == 0 <= found.estimate <= found.at_most
        # The largest of 25 less one of them: about 2 + 1.7 with one-sided 95 %.
        assert found.at_most == pytest.approx(4.0, abs=0.4)


def test_ends_move_outwards_by_monte_carlo_errors(random):
    values = random.permutation(np.arange(10_000.0))
    # Of 10,000 draws 250 lie beyond each end, with a deviation of sqrt(10,000 x 0.025 x 0.975).
    moved = 2 * math.sqrt(10_000 * 0.025 * 0.975)
    assert interval(values, errors=2) == pytest.approx((4999.5, 250 - moved, 9749 + moved), abs=1)
    moved = 2 * math.sqrt(10_000 * 0.05 * 0.95)
    assert loss(values, values, errors=2) == pytest.approx(
        (4999.5, 500 - moved, 9499 + moved), abs=1
    )
