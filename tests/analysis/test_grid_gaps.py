"""Warnings about settings without a value, values of 0, and other axes, worked by hand."""

import numpy as np
import pandas as pd
import pytest
from worked import CLEAN, LRS, cells, kinds, marked, on_grid, one_run_each, the

from hpstudy.analysis.landscape import landscapes

# --- runs without a value -------------------------------------------------------------------------


def test_diverged_runs_are_counted_and_located():
    # 25 points, two seeds each; one seed at one point and both at another have none.
    picture = [".....", ".XXX.", ".X*X.", ".XXX.", "....."]
    points = marked(picture).points
    table = pd.concat([points.assign(seed=seed) for seed in (0, 1)], ignore_index=True)
    high = (table["lr"] == 10) & table["weight_decay"].isin([1e-5, 1e-4])
    table["diverged"] = high & ~((table["seed"] == 1) & (table["weight_decay"] == 1e-5))
    table = table.rename(columns={"value": "top1"}).assign(variant="unpruned")
    found = the("diverged", landscapes(table)["unpruned"])
    assert (found.numbers["runs"], found.numbers["all_runs"]) == (3, 50)
    assert found.numbers["range"] == {"lr": (10, None), "weight_decay": (None, 1e-4)}
    assert cells(found) == []


def test_range_of_diverged_runs():
    within = the("diverged", marked(["...!.", "XXX..", "X*X..", "XXX..", ".!..."])).numbers
    assert within["range"] == {"lr": (None, None), "weight_decay": (1e-4, 1e-2)}
    everywhere = the("diverged", marked(["!....", ".XXX.", ".X*X.", ".XXX.", "....!"])).numbers
    assert set(everywhere["range"].values()) == {(None, None)}


def test_stopped_points_are_counted():
    rows = CLEAN.points[["lr", "weight_decay", "value"]].to_numpy()
    stopped = rows[:, 0] > 5
    rows[stopped, 2] = np.nan
    one = one_run_each(rows, stopped=stopped)
    assert kinds(one) == ["stopped"]
    assert the("stopped", one).numbers == {"points": 5, "all_points": 25}


def test_holes_of_a_grid_are_missing():
    found = the("missing", marked([".....", ".XXX.", ".X*X.", ".XX .", ". ..."]))
    # The gap in the lowest row has nothing beyond it in its column, and bounds nothing.
    assert cells(found) == [(1.0, 0.01)]


def test_run_without_a_value_or_reason_is_missing():
    rows = CLEAN.points[["lr", "weight_decay", "value"]].to_numpy()
    rows[0, 2] = np.nan
    found = the("missing", one_run_each(rows, diverged=False))
    assert cells(found) == [(0.001, 1e-5)]


def test_without_any_value_neither_optimum_nor_regions_are_judged():
    assert kinds(marked(["!!!!!"] * 5)) == ["no value", "diverged"]


# --- any two hyperparameters ----------------------------------------------------------------------


def test_other_axes_keep_their_names_and_whole_numbers():
    sizes, momenta = (32, 64, 128), (0.5, 0.6, 0.7, 0.8, 0.9)
    values = [[80] * 5, [80] * 5, [80, 80, 90, 80, 80]]
    one = on_grid(values, sizes, momenta, axes=("batch_size", "momentum"))
    edge, few = the("optimum on edge", one), the("few points", one)
    assert edge.numbers["ends"] == [("batch_size", "highest", 128)]
    assert cells(edge) == [(256.0, momentum) for momentum in momenta]
    assert edge.cells.columns.tolist() == ["batch_size", "momentum"]
    # sqrt(64 * 128) = 90.5; sqrt(0.6 * 0.7) = 0.648074; sqrt(0.7 * 0.8) = 0.748331.
    assert cells(few) == [
        (91.0, 0.648074),
        (91.0, 0.7),
        (91.0, 0.748331),
        (128.0, 0.648074),
        (128.0, 0.748331),
    ]


# --- values of 0 ----------------------------------------------------------------------------------

WITH_ZERO = (0.0, 1e-4, 1e-3, 1e-2, 1e-1)


def test_zero_and_the_least_positive_value_are_not_edges():
    for picture in (["....", "*X..", "XX..", "...."], ["....", ".*X.", "XXX.", "...."]):
        one = marked(picture, lrs=LRS[:4], decays=WITH_ZERO[:4])
        assert "optimum on edge" not in kinds(one) and "region on edge" not in kinds(one)


def test_step_beyond_the_greatest_value_ignores_zero():
    one = marked([".....", "..XXX", "..X*X", "..XXX", "....."], decays=WITH_ZERO)
    assert cells(the("region on edge", one)) == [(lr, 1.0) for lr in LRS]
    # With one positive value there is no step to go on by.
    lone = on_grid([[80, 90]], lrs=[0.1], decays=[0.0, 1e-4])
    assert ("weight_decay", "highest", 1e-4) in the("optimum on edge", lone).numbers["ends"]
    assert cells(the("optimum on edge", lone)) == []


def test_few_points_exclude_those_at_zero():
    found = the("few points", marked(["X*XX.", "....."], lrs=LRS[:2], decays=WITH_ZERO))
    assert (found.numbers["points"], found.numbers["at_zero"]) == (3, 1)
    halves = {decay for _, decay in cells(found)} - set(WITH_ZERO)
    assert halves == {0.000316228, 0.00316228, 0.0316228}


def test_baseline_at_zero_makes_no_holes():
    one = marked(["  ...", "...  ", " .*. ", " ... ", " ... "], decays=WITH_ZERO)
    assert "missing" not in kinds(one)


def test_range_of_diverged_runs_at_zero():
    one = marked([".....", ".XXX.", ".X*X.", ".XXX.", "!...."], decays=WITH_ZERO)
    assert the("diverged", one).numbers["range"] == {"lr": (10, None), "weight_decay": (None, 0)}


def test_tiny_value_that_stands_for_zero_is_warned_of():
    decays = (1e-8, 1e-5, 1e-4, 1e-3, 1e-2)
    picture = [".....", ".XXX.", ".X*X.", ".XXX.", "....."]
    numbers = the("for zero", marked(picture, decays=decays)).numbers
    assert numbers == {
        "axis": "weight_decay",
        "value": 1e-8,
        "next": 1e-5,
        "decades": pytest.approx(3),
    }
    # Two steps of the grid are not more than two; nobody trains at a learning rate of 0.
    assert "for zero" not in kinds(marked(picture, decays=(1e-7, *decays[1:])))
    assert "for zero" not in kinds(marked(picture, lrs=decays))
    assert "for zero" not in kinds(marked(picture, decays=(0.0, *decays[1:])))


# --- one axis -------------------------------------------------------------------------------------


def in_a_row(values, lrs=LRS):
    return one_run_each(list(zip(lrs, values, strict=True)), axes=("lr",))


def test_one_axis_has_two_ends_and_neighbours_to_two_sides():
    assert cells(the("optimum on edge", in_a_row([80, 80, 80, 80, 90]))) == [(100.0,)]
    one = in_a_row([80, 80, 90, 80, 80])
    assert kinds(one) == ["few points"]
    assert cells(the("few points", one)) == [(0.0316228,), (0.316228,)]


def test_one_axis_is_neither_coarse_nor_scattered():
    # Five random learning rates within the region: on a line, an ellipse has no width.
    lrs = (0.001, 0.0123, 0.0171, 0.0456, 0.0789, 0.1234, 1.0)
    assert kinds(in_a_row([80, 90, 90, 90.1, 90, 90, 80], lrs)) == []


def test_on_one_axis_only_points_without_a_result_are_missing():
    rows = list(zip(LRS, [80, np.nan, 90, 80, 80], strict=True))
    found = the("missing", one_run_each(rows, axes=("lr",), diverged=False))
    assert cells(found) == [(0.01,)]
