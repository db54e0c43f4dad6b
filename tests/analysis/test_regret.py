"""Regret after k re-tunes, against enumeration, simulation, paths walked by hand, and the risk."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from hpstudy.analysis.landscape import landscapes
from hpstudy.analysis.risk import local_search, random_search, risk, smallest_k

INF = math.inf


def square(size):
    """Points of a size x size grid, row by row, 0.2 decades apart."""
    steps = 0.2 * np.arange(size) - 3.0
    return np.array(list(itertools.product(steps, steps)))


def enumerated(values, kept):
    """Mean over every subset of k others of best - best trained, for every k."""
    others = [value for k, value in enumerate(values) if k != kept]
    return [
        np.mean(
            [
                max(values) - max((values[kept], *subset))
                for subset in itertools.combinations(others, k)
            ]
        )
        for k in range(len(values))
    ]


def climbed(values, points, kept=0, orders=400, seed=3):
    """Mean of many searches on one landscape."""
    if isinstance(points, int):
        points = square(points)
    draws = np.tile(np.array(values, float), (orders, 1))
    return local_search(draws, points, kept, np.random.default_rng(seed)).mean(axis=0)


# --- random choice --------------------------------------------------------------------------------


def test_random_choice_by_hand():
    # Kept 1, others 4, 2, 0. None: 3. One: (0 + 2 + 3) / 3. Two: 4 in two of three, else 2.
    assert_allclose(random_search([1, 4, 2, 0], 0), [3, 5 / 3, 2 / 3, 0], atol=1e-12)


@given(st.lists(st.integers(0, 20), min_size=1, max_size=8), st.data())
@settings(max_examples=60, deadline=None)
def test_random_choice_is_the_mean_over_all_subsets(values, data):
    kept = data.draw(st.integers(0, len(values) - 1))
    assert_allclose(random_search(values, kept), enumerated(values, kept), atol=1e-12)


@pytest.mark.parametrize("kept", [1, 3, 4])
def test_random_choice_with_points_without_a_value_is_the_mean_over_all_subsets(kept):
    values = [-INF, 3.0, -INF, 5.0, 1.0]
    assert_allclose(random_search(values, kept), enumerated(values, kept), atol=1e-12)


def test_random_choice_on_a_whole_grid_agrees_with_simulated_searches():
    random = np.random.default_rng(0)
    values = random.normal(90, 2, 81)
    drawn = random.permuted(np.tile(np.delete(values, 7), (20_000, 1)), axis=1)
    best = np.maximum(np.maximum.accumulate(drawn, axis=1), values[7])
    regret = values.max() - best
    error = regret.std(axis=0) / math.sqrt(len(regret))
    assert (np.abs(random_search(values, 7)[1:] - regret.mean(axis=0)) <= 5 * error + 1e-9).all()


@pytest.mark.slow
def test_random_choice_on_ten_thousand_points_follows_the_closed_form_of_equal_steps():
    # Values 0..n-1, the worst kept: the best of k drawn from 1..N is on average k (N + 1) / (k + 1)
    # (German tank problem), so what is lost is N - k (N + 1) / (k + 1) = (N - k) / (k + 1).
    n = 10_000
    k = np.arange(n)
    assert_allclose(random_search(k, 0), (n - 1 - k) / (k + 1), rtol=1e-9, atol=1e-9)


def test_each_draw_is_searched_separately():
    draws = np.array([[1.0, 4, 2, 0], [0, 3, -INF, 9], [-INF, 1, -INF, 9]])
    together = random_search(draws, 1)
    for draw, curve in zip(draws, together, strict=True):
        assert_allclose(curve, enumerated(list(draw), 1), atol=1e-12)


# --- both -----------------------------------------------------------------------------------------


def both(values, size, kept):
    return random_search(values, kept), climbed(values, size, kept, orders=5)


@given(st.lists(st.floats(0, 100), min_size=9, max_size=9), st.integers(0, 8))
@settings(max_examples=40, deadline=None)
def test_regret_never_increases_and_ends_at_zero(values, kept):
    for curve in both(values, 3, kept):
        assert (np.diff(curve) <= 0).all()
        assert curve[0] == pytest.approx(max(values) - values[kept])
        assert curve[-1] == 0


def test_without_a_training_the_regret_is_the_risk_at_the_dense_optimum():
    dense, pruned = [90, 91, 94, 93], [80, 84, 83, -INF]
    rows = [
        (name, lr, decay, value if math.isfinite(value) else np.nan)
        for name, values in (("unpruned", dense), ("pruned", pruned))
        for (lr, decay), value in zip(
            itertools.product((0.01, 0.1), (1e-4, 1e-3)), values, strict=True
        )
    ]
    both_networks = landscapes(
        pd.DataFrame(rows, columns=["variant", "lr", "weight_decay", "top1"])
    )
    expected = risk(both_networks["unpruned"], both_networks["pruned"], threshold=0.0)
    assert expected.n == 1
    for curve in both(pruned, 2, kept=2):
        assert curve[0] == pytest.approx(expected.mean)


def test_kept_optimum_has_no_regret():
    for curve in both([1, 2, 3, 2, 9, 2, 3, 2, 1], 3, kept=4):
        assert_allclose(curve, 0)


# --- climbing -------------------------------------------------------------------------------------


def test_climbing_three_by_three_by_hand():
    # Kept is the upper left corner of
    #     0 1 2
    #     1 2 3
    #     2 3 4
    # 1: a neighbour, 1. 2: in half of the orders the other corner beside it, in half the centre,
    # both 2. 3: from the corner the 3 below; from the centre in two of three orders a 3, else the
    # other 1. So 1/2 + 1/2 (2/3 + 2/3) = 7/6. 4: from a 3 in half of the orders the 4, else a 2;
    # those still at the centre (1/6) surely a 3: (1/2 + 1/3) / 2 + 1/6 = 7/12. 5: the others at a
    # 3 have only the 4 left beside them; half of the last sixth does not find it: 1/12.
    values = [0, 1, 2, 1, 2, 3, 2, 3, 4]
    curve = climbed(values, 3, kept=0, orders=20_000)
    assert_allclose(curve[:3], [4, 3, 2])
    assert_allclose(curve[3:6], [7 / 6, 7 / 12, 1 / 12], atol=0.02)
    assert_allclose(curve[6:], 0)


def test_climbing_tries_neighbours_along_the_axes_before_diagonal_ones():
    # From the centre: the corner with 9 is a fifth to eighth choice, uniformly.
    values = [9, 0, 0, 0, 5, 0, 0, 0, 0]
    curve = climbed(values, 3, kept=4, orders=4000)
    assert_allclose(curve[:5], 4)
    assert curve[8] == 0
    assert_allclose(curve[5:8], [3, 2, 1], atol=0.15)


def test_climbing_tries_all_neighbours_before_it_goes_further():
    # A local optimum in the corner of 4 x 4: its three neighbours, then the two at distance 2
    # (row 0, column 2; row 2, column 0), then two at distance sqrt 5.
    values = np.zeros(16)
    values[0], values[8] = 5, 9
    curve = climbed(values, 4, kept=0, orders=4000)
    assert_allclose(curve[:4], 4)
    assert curve[4] == pytest.approx(2, abs=0.2)
    assert_allclose(curve[5:], 0)


def test_climbing_continues_from_a_better_point_at_once():
    # Along one row, each training is the next point, since there is nothing nearer to the best.
    line = np.column_stack([np.zeros(5), np.arange(5) / 5])
    curve = climbed([0, 1, 2, 3, 4], line, orders=20)
    assert_allclose(curve, [4, 3, 2, 1, 0])


def test_climbing_a_single_hill_arrives_within_the_steps_counted_by_hand():
    # Value = minus the steps along the axes to the optimum in the far corner of 9 x 9: 16 climbs
    # from the near one. At each point at most the two worse neighbours are tried before a better
    # one, so at most 3 trainings a climb.
    steps = np.arange(9)
    hill = -(16.0 - np.add.outer(steps, steps)).ravel()
    for curve in local_search(np.tile(hill, (30, 1)), square(9), 0, np.random.default_rng(0)):
        assert curve[15] >= 1 - 1e-9
        assert curve[48] == 0


def test_climbing_never_settles_on_a_point_without_a_value():
    # The ridge 1, 2, 3 is walled in by -inf: it is climbed, never left.
    values = [1, 2, 3, -INF, -INF, -INF, -INF, -INF, -INF]
    curve = climbed(values, 3, kept=0)
    assert np.isfinite(curve).all()
    assert curve[0] == 2
    # In half of the orders the 2 beside it comes first, in half the -inf.
    assert curve[1] == pytest.approx(1.5, abs=0.1)
    assert curve[8] == 0


def test_steps_of_the_grid_do_not_depend_on_how_far_apart_its_values_are():
    values = np.random.default_rng(5).normal(size=16)
    stretched = square(4) * [1.0, 50.0]
    assert_allclose(climbed(values, stretched, 3, 10), climbed(values, 4, 3, 10))


@pytest.mark.slow
def test_climbing_draws_agrees_with_a_search_written_point_by_point():
    random = np.random.default_rng(8)
    draws = random.normal(size=(3, 25))
    cells = list(itertools.product(range(5), range(5)))
    for draw in draws:
        curve = climbed(draw, 5, 12, 3000)
        simple = np.mean([walk(draw, cells, 12, random) for _ in range(600)], axis=0)
        # Regrets are below 4 and have a deviation of about 1: five of 1 / sqrt(600).
        assert_allclose(curve, simple, atol=0.2)


def walk(values, cells, kept, random):
    """Regret along one search, as it would be done with pencil and paper."""
    best, untried, regret = kept, set(range(len(cells))) - {kept}, []
    regret.append(max(values) - values[kept])
    while untried:
        nearest = min(untried, key=lambda k: (math.dist(cells[k], cells[best]), random.random()))
        untried.remove(nearest)
        if values[nearest] > values[best]:
            best = nearest
        regret.append(max(values) - values[best])
    return regret


# --- the smallest k -------------------------------------------------------------------------------


def test_smallest_k_is_the_first_at_or_below_the_target():
    curve = [1.0, 0.5, 0.25, 0.25, 0.0]
    assert [smallest_k(curve, target) for target in (2, 0.5, 0.3, 0.25, 0.1, 0)] == [
        0,
        1,
        2,
        2,
        4,
        4,
    ]


def test_smallest_k_tolerates_rounding():
    assert 63.1 - 63.0 > 0.1
    assert smallest_k([1.0, 63.1 - 63.0], 0.1) == 1


def test_there_is_no_smallest_k_where_the_curve_ends_above_the_target():
    assert smallest_k([INF, 1.0, 0.5], 0.25) is None
