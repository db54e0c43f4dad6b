"""Tables of runs as landscapes: settings, optimum and region of interest, worked by hand."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpstudy.analysis.landscape import landscapes
from hpstudy.errors import HpstudyError


def runs(rows, variant="unpruned"):
    """Table of runs from (lr, weight_decay, seed, top1)."""
    table = pd.DataFrame(rows, columns=["lr", "weight_decay", "seed", "top1"])
    return table.assign(variant=variant)


def landscape(rows):
    return landscapes(runs(rows))["unpruned"]


def square(values):
    """Landscape of a 3 x 3 grid; `values` in rows of equal lr, columns of equal weight decay."""
    lrs, decays = (0.01, 0.1, 1.0), (1e-4, 1e-3, 1e-2)
    return landscape(
        [(lr, wd, 0, values[i][j]) for i, lr in enumerate(lrs) for j, wd in enumerate(decays)]
    )


HILL = square([[90.0, 91.0, 90.0], [91.0, 92.0, 91.6], [90.0, 91.5, 89.0]])


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
@given(accuracies, thresholds, thresholds)
def test_wider_threshold_never_loses_a_point(values, x, y):
    # Below equation 3.3: x <= y implies x-ROI within y-ROI.
    x, y = sorted((x, y))
    one = landscape([(10.0 ** (i - 12), 1e-4, 0, value) for i, value in enumerate(values)])
    assert set(one.roi(x)["lr"]) <= set(one.roi(y)["lr"])


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


# --- table -------------------------------------------------------------------------------


def test_dense_network_comes_first_and_others_as_they_appear():
    tables = [runs([(0.1, 1e-4, 0, 90.0)], name) for name in ("nonuniform-0.2", "b", "unpruned")]
    found = landscapes(pd.concat(tables))
    assert list(found) == ["unpruned", "nonuniform-0.2", "b"]
    assert [one.variant for one in found.values()] == list(found)
    assert list(landscapes(pd.concat(tables), dense="b"))[0] == "b"


def test_another_metric_gives_its_own_landscape():
    table = runs([(0.1, 1e-4, 0, 70.0), (0.1, 1e-3, 0, 71.0)]).assign(top5=[92.0, 91.0])
    found = landscapes(table, metric="top5")["unpruned"]
    assert found.metric == "top5"
    assert found.best_at["weight_decay"] == 1e-4


def test_loss_is_refused_since_its_best_is_the_smallest():
    with pytest.raises(HpstudyError, match="'loss'"):
        landscapes(runs([(0.1, 1e-4, 0, 90.0)]).assign(loss=0.3), metric="loss")


def test_unknown_metric_and_dense_network_are_refused_by_name():
    table = runs([(0.1, 1e-4, 0, 90.0)])
    with pytest.raises(HpstudyError, match="'top_1'.*'top1'"):
        landscapes(table, metric="top_1")
    with pytest.raises(HpstudyError, match="'unprunde'.*'unpruned'"):
        landscapes(table, dense="unprunde")


def test_table_is_left_as_it_was():
    table = runs([(0.1, 1e-4, 0, 90.0), (0.1, 1e-3, 0, np.nan)])
    before = table.copy(deep=True)
    landscapes(table)
    pd.testing.assert_frame_equal(table, before)


# --- axes -----------------------------------------------------------------------------------------


def test_any_two_hyperparameters_are_axes():
    # The hill over batch size x label smoothing: best in the middle, five points within 1.0.
    table = HILL.points.assign(variant="unpruned", seed=0).rename(columns={"value": "top1"})
    table["batch_size"] = table.pop("lr").map({0.01: 64, 0.1: 128, 1.0: 256})
    table["label smoothing"] = table.pop("weight_decay")
    one = landscapes(table, axes=("batch_size", "label smoothing"))["unpruned"]
    assert one.axes == ("batch_size", "label smoothing")
    assert list(one.points.columns[:2]) == ["batch_size", "label smoothing"]
    assert one.best_at == {"batch_size": 128.0, "label smoothing": 1e-3}
    assert not one.on_edge
    # A cross: log10 of 64, 128, 128, 128, 256 and of 1e-3, 1e-4, 1e-3, 1e-2, 1e-3.
    ellipse = one.ellipse(1.0)
    assert ellipse.centre == pytest.approx((math.log10(128), -3.0))
    # Variances (1 + 1) / 4 and (log10 2)^2 times that; the long axis is the second.
    assert ellipse.length == pytest.approx(4 * math.sqrt(0.5))
    assert ellipse.width == pytest.approx(4 * math.sqrt(0.5) * math.log10(2))
    assert ellipse.angle == pytest.approx(math.pi / 2)


def test_order_of_the_axes_turns_the_landscape():
    table = HILL.points.assign(variant="unpruned").rename(columns={"value": "top1"})
    turned = landscapes(table, axes=("weight_decay", "lr"))["unpruned"]
    assert turned.best_at == {"weight_decay": 1e-3, "lr": 0.1}
    assert sorted(turned.values) == sorted(HILL.values)
    assert turned.ellipse(1.0).centre == pytest.approx(HILL.ellipse(1.0).centre[::-1])


@pytest.mark.parametrize(
    "axes, word", [(("lr", "lr"), "different"), ((), "different"), (("lr", "std"), "'std'")]
)
def test_axes_must_be_one_or_two_hyperparameters(axes, word):
    with pytest.raises(HpstudyError, match=word):
        landscapes(runs([(0.1, 1e-4, 0, 90.0)]), axes=axes)


def test_axis_that_is_no_column_is_refused_with_the_nearest():
    with pytest.raises(HpstudyError, match="'momentun'.*'momentum'"):
        landscapes(runs([(0.1, 1e-4, 0, 90.0)]).assign(momentum=0.9), axes=("lr", "momentun"))


@pytest.mark.parametrize("value", [-0.9, math.nan, math.inf])
def test_value_that_no_hyperparameter_can_have_is_refused(value):
    table = runs([(0.1, 1e-4, 0, 90.0)]).assign(momentum=value)
    with pytest.raises(HpstudyError, match="momentum is .*0 or more"):
        landscapes(table, axes=("lr", "momentum"))


def test_weight_decay_of_zero_may_be_best_but_has_no_place_in_an_ellipse():
    settings = [(0.1, wd, 0, 90 - k) for k, wd in enumerate((0, 1e-5, 1e-4, 1e-3))]
    settings += [(0.01, wd, 0, 89.5 - k) for k, wd in enumerate((0, 1e-5, 1e-4, 1e-3))]
    one = landscapes(runs(settings))["unpruned"]
    assert one.best_at == {"lr": 0.1, "weight_decay": 0.0}
    # Nothing lies below 0; the learning rate has been tried no higher.
    assert one.at_end(one.roi(0.1)) == ["lr"]
    assert len(one.roi(3.5)) == 8
    ellipse = one.ellipse(3.5)
    assert ellipse.centre == pytest.approx((-1.5, -4.0))


def test_lowest_value_of_a_minimized_metric_is_best():
    table = runs([(0.1, 1e-4, 0, 2.0), (0.1, 1e-3, 0, 1.5), (0.1, 1e-2, 0, 3.0)])
    table = table.rename(columns={"top1": "val_loss"})
    one = landscapes(table, "val_loss", goal="minimize", ceiling=0.0)["unpruned"]
    assert one.best_at["weight_decay"] == 1e-3
    assert one.sign * one.best == 1.5
    assert one.roi(0.5)["weight_decay"].tolist() == [1e-4, 1e-3]
    with pytest.raises(HpstudyError, match="minimize"):
        landscapes(table, "val_loss")


def test_landscape_of_the_learning_rate_alone():
    # Of lr 0.01 to 1 in steps of a factor of ten, sample variance of (-2, -1, 0, 1, 2): 2.5.
    settings = [(10.0**k, 1e-4, 0, 90 - 0.1 * k**2) for k in range(-2, 3)]
    one = landscapes(runs(settings), axes=("lr",))["unpruned"]
    assert list(one.points)[:2] == ["lr", "value"]
    ellipse = one.ellipse(1.0)
    assert (ellipse.length, ellipse.width) == pytest.approx((4 * math.sqrt(2.5), 0.0))


def test_rows_of_means_bring_their_deviations_and_counts():
    table = runs([(0.1, 1e-4, 0, 90.0), (0.1, 1e-3, 0, 91.0)]).assign(std=[0.4, 0.2], runs=[5, 1])
    one = landscapes(table)["unpruned"]
    assert one.points["seeds"].tolist() == [5, 1]
    assert one.points["std"].tolist() == pytest.approx([0.4, math.nan], nan_ok=True)
    assert one.singles is None
