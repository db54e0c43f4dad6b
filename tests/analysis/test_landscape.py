"""Tables of runs as landscapes: settings, optimum and region of interest, worked by hand."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worked import HILL, landscape, runs, square

from hpstudy.analysis.landscape import landscapes
from hpstudy.errors import HpstudyError

# --- points ---------------------------------------------------------------------------------------


def test_point_is_mean_over_seeds_with_its_sample_deviation():
    # 90, 91, 95: mean 276 / 3 = 92; squares 4 + 1 + 9 = 14; sample deviation sqrt(14 / 2).
    points = landscape([(0.1, 1e-4, 0, 90.0), (0.1, 1e-4, 1, 91.0), (0.1, 1e-4, 2, 95.0)]).points
    assert len(points) == 1
    assert points.loc[0, "value"] == pytest.approx(92.0)
    assert points.loc[0, "std"] == pytest.approx(math.sqrt(7.0))
    assert points.loc[0, "seeds"] == 3


def test_single_seed_has_no_deviation():
    assert HILL.points["std"].isna().all()
    assert HILL.seeds == 1


def test_seeds_is_the_most_at_any_point():
    one = landscape([(0.1, 1e-4, 0, 90.0), (0.1, 1e-4, 1, 92.0), (0.1, 1e-3, 0, 80.0)])
    assert one.seeds == 2
    assert one.points["seeds"].tolist() == [2, 1]


def test_point_with_a_seed_without_accuracy_has_none_and_cannot_be_best():
    one = landscape([(0.1, 1e-4, 0, 99.0), (0.1, 1e-4, 1, np.nan), (0.1, 1e-3, 0, 80.0)])
    assert np.isnan(one.points.loc[0, "value"])
    assert np.isnan(one.points.loc[0, "std"])
    assert one.best == 80.0
    assert one.roi(50.0)["weight_decay"].tolist() == [1e-3]


def test_run_without_accuracy_counts_as_diverged():
    one = landscape([(0.1, 1e-4, 0, 99.0), (0.1, 1e-4, 1, np.nan), (0.1, 1e-3, 0, 80.0)])
    assert one.points["diverged"].tolist() == [0.5, 0.0]


@pytest.mark.parametrize("words", [[True, False], ["True", "False"], ["1", "0"], [1, 0]])
def test_diverged_run_with_an_accuracy_keeps_it(words):
    table = runs([(0.1, 1e-4, 0, 10.0), (0.1, 1e-3, 0, 80.0)]).assign(diverged=words)
    points = landscapes(table)["unpruned"].points
    assert points["value"].tolist() == [10.0, 80.0]
    assert points["diverged"].tolist() == [1.0, 0.0]


def test_column_diverged_overrides_missing_accuracies():
    table = runs([(0.1, 1e-4, 0, np.nan), (0.1, 1e-3, 0, 80.0)]).assign(diverged=False)
    assert landscapes(table)["unpruned"].points["diverged"].tolist() == [0.0, 0.0]


def test_a_run_stopped_early_has_no_value_and_has_not_diverged():
    table = runs([(0.1, 1e-4, 0, np.nan), (0.1, 1e-3, 0, 80.0)]).assign(stopped=[True, False])
    points = landscapes(table)["unpruned"].points
    assert points["stopped"].tolist() == [1.0, 0.0] and points["diverged"].tolist() == [0.0, 0.0]
    assert np.isnan(points.loc[0, "value"])
    without = landscapes(table.drop(columns="stopped"))["unpruned"].points
    assert without["stopped"].tolist() == [0.0, 0.0] and without["diverged"].tolist() == [1.0, 0.0]


def test_points_are_sorted_by_lr_then_weight_decay():
    one = landscape([(1.0, 1e-4, 0, 1.0), (0.1, 1e-3, 0, 2.0), (0.1, 1e-4, 0, 3.0)])
    assert one.points[["lr", "weight_decay"]].to_numpy().tolist() == [
        [0.1, 1e-4],
        [0.1, 1e-3],
        [1.0, 1e-4],
    ]


def test_floats_that_are_almost_equal_are_one_grid_point():
    one = landscape([(0.1, 1e-4, 0, 90.0), (0.1000000001, 10**-4.0, 1, 92.0)])
    assert len(one.points) == 1
    assert one.best == 91.0
    assert one.best_at == {"lr": 0.1, "weight_decay": 1e-4}


def test_neighbours_on_the_finest_grid_stay_apart():
    lrs = [10 ** (-1 + step / 1000) for step in range(20)]
    assert len(landscape([(lr, 1e-4, 0, 90.0) for lr in lrs]).points) == 20


# --- best -----------------------------------------------------------------------------------------


def test_best_of_the_hill_is_its_middle():
    assert HILL.best == 92.0
    assert HILL.best_at == {"lr": 0.1, "weight_decay": 1e-3}
    assert not HILL.on_edge


@pytest.mark.parametrize("row, column", [(0, 1), (2, 1), (1, 0), (1, 2), (0, 0), (2, 2)])
def test_best_at_an_end_of_either_axis_is_on_the_edge(row, column):
    values = [[90.0] * 3 for _ in range(3)]
    values[row][column] = 95.0
    assert square(values).on_edge


def test_run_without_accuracy_beyond_the_best_bounds_it():
    one = square([[90.0, 91.0, 90.0], [91.0, 92.0, 91.0], [np.nan, np.nan, np.nan]])
    assert not one.on_edge


def test_grid_of_one_learning_rate_is_all_edge():
    assert landscape([(0.1, wd, 0, 90.0) for wd in (1e-4, 1e-3, 1e-2)]).on_edge


def test_tie_goes_to_the_smallest_lr_then_weight_decay():
    one = square([[90.0, 90.0, 90.0], [90.0, 92.0, 92.0], [90.0, 92.0, 92.0]])
    assert one.best_at == {"lr": 0.1, "weight_decay": 1e-3}


def test_rounding_does_not_break_a_tie():
    # Both means are 60.2 on paper; in floats the second is larger.
    low = [(0.1, 1e-4, seed, top1) for seed, top1 in enumerate((60.1, 60.2, 60.3))]
    high = [(0.1, 1e-3, seed, 60.2) for seed in range(3)]
    one = landscape(low + high)
    assert one.points["value"].nunique() == 2
    assert one.best_at["weight_decay"] == 1e-4


def test_network_that_never_had_an_accuracy_has_no_best():
    one = landscape([(0.1, 1e-4, 0, np.nan), (0.1, 1e-3, 0, np.nan)])
    assert np.isnan(one.best)
    assert np.isnan(list(one.best_at.values())).all()
    assert not one.on_edge
    assert one.roi(0.5).empty
    assert one.ellipse(0.5) is None


# --- region of interest ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "threshold, inside",
    # The hill has 92.0, 91.6, 91.5, 91.0 x 2 and the rest at most 90.0.
    [(0.0, [92.0]), (0.4, [92.0, 91.6]), (0.5, [92.0, 91.6, 91.5]), (0.99, [92.0, 91.6, 91.5])],
)
def test_region_holds_the_points_within_the_threshold(threshold, inside):
    assert sorted(HILL.roi(threshold)["value"], reverse=True) == inside


def test_region_includes_points_exactly_at_the_threshold():
    assert len(HILL.roi(1.0)) == 5
    assert 90.2 - 0.6 > 89.6, "the rounding this guards against"
    assert len(landscape([(0.1, 1e-4, 0, 90.2), (0.1, 1e-3, 0, 89.6)]).roi(0.6)) == 2


@pytest.mark.parametrize("threshold", [-0.5, math.nan, math.inf])
def test_region_refuses_an_invalid_threshold(threshold):
    with pytest.raises(HpstudyError, match=str(threshold)):
        HILL.roi(threshold)


accuracies = st.lists(st.floats(0, 100) | st.just(math.nan), min_size=1, max_size=25)
thresholds = st.floats(0, 100)


@pytest.mark.slow
@settings(deadline=None, max_examples=50)
@given(accuracies, thresholds)
def test_region_is_the_definition_of_equation_3_3(values, x):
    lrs = [10.0 ** (i - 12) for i in range(len(values))]
    one = landscape([(lr, 1e-4, 0, value) for lr, value in zip(lrs, values, strict=True)])
    finite = [value for value in values if not math.isnan(value)]
    inside = set(one.roi(x)["lr"])
    for lr, value in zip(lrs, values, strict=True):
        gap = max(finite) - value - x if finite else math.nan
        if not abs(gap) < 1e-6:
            assert (lr in inside) == (gap < 0)


def test_region_of_five_points_is_the_smallest_with_an_ellipse():
    # The thesis fits an ellipse if and only if the region has at least 5 elements.
    def plateau(n):
        return landscape([(10.0 ** (i - 9), 2.0**-i, 0, 90.0 if i < n else 50.0) for i in range(9)])

    assert plateau(4).ellipse(0.5) is None
    assert plateau(5).ellipse(0.5) is not None
