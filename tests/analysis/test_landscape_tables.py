"""Tables of runs as landscapes: several networks, any metric and any axes."""

import math

import numpy as np
import pandas as pd
import pytest
from worked import HILL, runs

from hpstudy.analysis.landscape import landscapes
from hpstudy.errors import HpstudyError

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
