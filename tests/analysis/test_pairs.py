"""Draws of two networks at the same settings, shared or read off surfaces, against known truth."""

import math

import numpy as np
import pandas as pd
import pytest
import sweeps

from hpstudy.analysis.landscape import common_points
from hpstudy.analysis.shift import RUNGS, within

pytestmark = pytest.mark.usefixtures("few_draws")


def held(truth, draws):
    low, high = np.quantile(draws, (0.025, 0.975), axis=0)
    return np.mean((low <= truth) & (truth <= high))


def test_draws_at_shared_settings_are_unchanged():
    generator, logs = np.random.default_rng(1), sweeps.square(5)
    one, other = (
        sweeps.sweep(name, logs, sweeps.parabola(logs), 0.3, generator) for name in ("a", "b")
    )
    # The other lacks its first row of settings, and has one that the first lacks.
    other = other[other["lr"] > 0.15]
    other = pd.concat([other, other.iloc[[0]].assign(lr=20.0)])
    found = sweeps.analysed(one, other)
    pair = found.pair("b")
    rows, other_rows = common_points(*found.landscapes.values())
    assert not pair.interpolated and pair.both.sum() == len(rows) == 20
    np.testing.assert_array_equal(pair.other, found.draws("b"))
    np.testing.assert_array_equal(pair.dense[:, other_rows], found.draws("a")[:, rows])
    assert (pair.dense[:, ~pair.both] == -np.inf).all()


@pytest.mark.parametrize(("shared", "interpolated"), [(10, False), (9, True)])
def test_surfaces_are_interpolated_where_fewer_than_half_of_the_settings_are_shared(
    shared, interpolated
):
    generator = np.random.default_rng(2)
    here, there = sweeps.scattered(24, generator), sweeps.scattered(20, generator)
    there[:shared] = here[:shared]
    one, other = (
        sweeps.sweep(name, logs, sweeps.parabola(logs), 0.3, generator)
        for name, logs in (("a", here), ("b", there))
    )
    assert sweeps.analysed(one, other).pair("b").interpolated == interpolated


@pytest.mark.slow
def test_pair_of_random_searches_has_distinct_settings_and_covers_the_truth():
    generator, shares = np.random.default_rng(3), []
    for _ in range(4):
        here, there = sweeps.scattered(40, generator), sweeps.scattered(40, generator)
        there[:8] = here[:8]
        one, other = (
            sweeps.sweep(name, logs, sweeps.parabola(logs, centre), 0.3, generator)
            for name, logs, centre in (("a", here, 0.0), ("b", there, 0.3))
        )
        found = sweeps.analysed(one, other)
        pair = found.pair("b")
        assert pair.interpolated and pair.both.all()
        assert len(np.unique(pair.logs.round(9), axis=0)) == len(pair.logs) <= 72
        # None lies beyond what either network was trained at.
        for logs in (here, there):
            assert (pair.logs >= logs.min(axis=0) - 1e-6).all()
            assert (pair.logs <= logs.max(axis=0) + 1e-6).all()
        shares.append(held(sweeps.parabola(pair.logs, 0.0), pair.dense))
        shares.append(held(sweeps.parabola(pair.logs, 0.3), pair.other))
    assert np.mean(shares) > 0.9


def test_a_setting_is_within_another_networks_range_where_all_axes_are():
    generator = np.random.default_rng(4)
    here = np.array([[0.0, 0.0], [0.5, 0.5], [0.6, 0.0], [-0.9, 0.9]])
    there = np.array([[-0.5, -0.5], [0.5, 0.5], [0.0, 0.9]])
    one, other = (
        sweeps.sweep(name, logs, np.full(len(logs), 80.0), 0.1, generator)
        for name, logs in (("a", here), ("b", there))
    )
    # A value of 0 has no place, and what has no value spans no range.
    one = pd.concat([one, one.iloc[[0]].assign(weight_decay=0.0)])
    other = pd.concat([other, other.iloc[[0]].assign(lr=1e3, top1=math.nan)])
    a, b = sweeps.analysed(one, other).landscapes.values()
    inside = a.points[within(a, b)]
    assert np.log10(inside["lr"]).tolist() == pytest.approx([0.0, 0.5])
    assert np.log10(inside["weight_decay"]).tolist() == pytest.approx([0.0, 0.5])


# --- one axis -------------------------------------------------------------------------------------


def lines(generator, moved, points=15, sigma=0.2):
    """Two random searches over the learning rate alone; the second's optimum is `moved`."""
    tables, truths = [], []
    for name, centre, top in (("unpruned", 0.0, 90.0), ("thin", moved, 85.0)):
        logs = sweeps.scattered(points, generator, axes=1)
        truths.append(lambda at, c=centre, t=top: sweeps.parabola(at, c, 4.0, t))
        tables.append(sweeps.sweep(name, logs, truths[-1](logs), sigma, generator))
    return sweeps.analysed(*tables), truths


def test_surfaces_over_one_axis_are_drawn_on_a_ladder():
    found, truths = lines(np.random.default_rng(5), 0.3)
    pair = found.pair("thin")
    ranges = [one.logs[:, 0] for one in found.landscapes.values()]
    ends = max(x.min() for x in ranges), min(x.max() for x in ranges)
    np.testing.assert_allclose(pair.logs[:, 0], np.linspace(*ends, RUNGS[1]), atol=1e-12)
    assert pair.interpolated and (pair.logs[:, 1] == 0).all()
    for truth, drawn in zip(truths, (pair.dense, pair.other), strict=True):
        np.testing.assert_allclose(drawn.mean(axis=0), truth(pair.logs[:, :1]), atol=0.4)


@pytest.mark.slow
def test_loss_and_shift_over_one_axis_cover_the_truth():
    generator, held = np.random.default_rng(6), []
    for _ in range(20):
        found, (_, truth) = lines(generator, 0.4)
        kept = math.log10(found.landscapes["unpruned"].best_at["lr"])
        # The other's best setting among its own.
        best = truth(found.landscapes["thin"].logs[:, :1]).max()
        lost = found.transfer_regret("thin")
        true = max(best - truth(np.array([[kept]]))[0], 0)
        moved = found.shift("thin", 1.0).shift_components[0]
        places = found.pair("thin").logs[:, :1]
        centres = [
            places[one >= one.max() - 1].mean()
            for one in (sweeps.parabola(places, 0.0, 4.0), sweeps.parabola(places, 0.4, 4.0))
        ]
        held.append(
            (
                lost.at_least <= true,
                true <= lost.at_most,
                moved.low <= centres[1] - centres[0] <= moved.high,
            )
        )
    # Of 20 at 95 %, fewer than 16 hold three times in a thousand.
    assert (np.sum(held, axis=0) >= 16).all()


def test_pair_without_a_common_range_is_empty():
    generator, tables = np.random.default_rng(7), []
    for name, centre in (("unpruned", 0.0), ("thin", 3.0)):
        logs = centre + sweeps.scattered(10, generator, axes=1)
        tables.append(sweeps.sweep(name, logs, sweeps.parabola(logs, centre), 0.2, generator))
    found = sweeps.analysed(*tables)
    assert found.pair("thin").dense.shape[1] == 0
    assert math.isnan(found.transfer_regret("thin").estimate) and found.interpolated("thin")
    assert math.isnan(found.shift("thin", 1.0).shift_interval.estimate)
    assert math.isnan(found.risk("thin", 1.0).mean.estimate)


@pytest.mark.slow
def test_lattice_covers_the_common_range():
    generator, logs = np.random.default_rng(8), sweeps.square(5)
    one, other = (
        sweeps.sweep(name, logs, sweeps.parabola(logs), 0.1, generator) for name in ("a", "b")
    )
    # The other network was not trained at the lowest learning rates.
    found = sweeps.analysed(one, other[other["lr"] > 0.15])
    pair = found.pair("b", True)
    assert pair.interpolated and pair.both.all()
    assert len(np.unique(pair.logs, axis=0)) == RUNGS[2] ** 2
    np.testing.assert_allclose(pair.logs.min(axis=0), [-0.5, -1], atol=1e-12)
    np.testing.assert_allclose(pair.logs.max(axis=0), [1, 1], atol=1e-12)
    for drawn in (pair.dense, pair.other):
        assert held(sweeps.parabola(pair.logs), drawn) > 0.85
