"""Warnings about a grid, and the points that they ask for, on landscapes worked by hand."""

import itertools

import numpy as np
import pandas as pd
import pytest

from hpstudy.analysis.grid_checks import grid_warnings
from hpstudy.analysis.landscape import landscapes
from hpstudy.errors import HpstudyError

LRS = (0.001, 0.01, 0.1, 1.0, 10.0)
DECAYS = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1)


def landscape(rows, axes=("lr", "weight_decay"), **states):
    """Landscape of one run at each (first, second, value)."""
    table = pd.DataFrame(rows, columns=[*axes, "top1"]).assign(variant="unpruned", **states)
    return landscapes(table, axes=axes)["unpruned"]


def on_grid(values, lrs=LRS, decays=DECAYS, axes=("lr", "weight_decay")):
    """Landscape of rows of equal first axis; None where there was no run, NaN for diverged."""
    return landscape(
        [
            (lr, decay, value)
            for lr, row in zip(lrs, values, strict=True)
            for decay, value in zip(decays, row, strict=True)
            if value is not None
        ],
        axes,
    )


def marked(picture, **other):
    """Landscape drawn in five rows: * the best, X within 0.5 of it, ! diverged, blank no run."""
    level = {"X": 90.0, ".": 80.0, "!": np.nan, " ": None, "*": 90.1}
    return on_grid([[level[mark] for mark in row] for row in picture], **other)


def kinds(one, *thresholds):
    return [found.kind for found in grid_warnings(one, thresholds or (0.5,))]


def the(kind, one, threshold=0.5):
    (found,) = [each for each in grid_warnings(one, [threshold]) if each.kind == kind]
    return found


def cells(found):
    return [tuple(row) for row in found.cells.to_numpy()]


# Three values wide in every direction and inside the grid.
CLEAN = marked([".....", ".XXX.", ".X*X.", ".XXX.", "....."])


# --- nothing the matter ---------------------------------------------------------------------------


def test_wide_region_inside_the_grid_has_no_warnings():
    assert grid_warnings(CLEAN, [0.5, 1.0]) == []


# --- edges ----------------------------------------------------------------------------------------


def test_optimum_at_the_highest_lr_needs_one_more_row():
    one = marked([".....", ".....", ".XXX.", ".XXX.", ".X*X."])
    found = the("optimum on edge", one)
    assert found.numbers["ends"] == [("lr", "highest", 10)]
    assert cells(found) == [(100.0, decay) for decay in DECAYS]


def test_optimum_in_a_corner_needs_a_row_a_column_and_a_corner():
    one = marked(["*XX..", "XXX..", "XXX..", ".....", "....."])
    found = the("optimum on edge", one)
    assert found.numbers["ends"] == [("lr", "lowest", 0.001), ("weight_decay", "lowest", 1e-5)]
    beyond = [(0.0001, decay) for decay in (1e-6, *DECAYS)] + [(lr, 1e-6) for lr in LRS]
    assert cells(found) == beyond


def test_region_on_the_edge_names_the_sides_it_touches():
    one = marked([".....", ".XXXX", ".X*XX", ".XXX.", "....."])
    assert kinds(one) == ["region on edge"]
    found = the("region on edge", one)
    assert found.numbers == {"threshold": 0.5, "ends": [("weight_decay", "highest", 0.1)]}
    assert cells(found) == [(lr, 1.0) for lr in LRS]


def test_a_wider_region_may_touch_where_a_narrower_one_does_not():
    one = on_grid(
        [
            [80, 80, 80, 80, 80],
            [80, 90, 90, 90, 80],
            [80, 90, 90.1, 90, 89.3],
            [80, 90, 90, 90, 80],
            [80, 80, 80, 80, 80],
        ]
    )
    assert kinds(one, 0.5) == []
    assert kinds(one, 0.5, 1.0) == ["region on edge"]


def test_points_that_diverged_bound_a_region():
    one = marked([".....", ".XXX.", ".X*X.", ".XXX.", "!!!!!"])
    assert kinds(one) == ["diverged"]


def test_the_step_beyond_an_edge_is_the_median_distance_in_log10():
    # Distances 0.2, 0.2, 0.2, 0.4 decades: 0.2 beyond 1 is 10 ** 0.2 = 1.58489.
    lrs = [float(f"{10**log:.6g}") for log in (-1.0, -0.8, -0.6, -0.4, 0.0)]
    one = marked([".....", ".....", ".XXX.", ".XXX.", ".X*X."], lrs=lrs)
    assert cells(the("optimum on edge", one))[0] == (1.58489, 1e-5)


def test_single_value_of_an_axis_is_an_edge_without_a_step():
    one = on_grid([[1, 2, 3, 2, 1]], lrs=[0.1])
    found = the("optimum on edge", one)
    assert ("lr", "only", 0.1) in found.numbers["ends"]
    assert cells(found) == []


# --- ellipses -------------------------------------------------------------------------------------


def test_few_points_need_those_halfway_to_all_neighbours():
    one = marked([".....", ".....", "..*..", ".....", "....."])
    found = the("few points", one)
    assert found.numbers == {"threshold": 0.5, "points": 1, "at_zero": 0}
    # Halfway from 0.1 to 0.01 and 1 in log10; from 1e-3 to 1e-4 and 1e-2.
    lrs, decays = (0.0316228, 0.1, 0.316228), (0.000316228, 0.001, 0.00316228)
    assert cells(found) == [at for at in itertools.product(lrs, decays) if at != (0.1, 0.001)]


def test_halfway_points_are_distinct_and_inside_the_grid():
    # Rungs of the lr: 0.001 and halfway to 0.01. Of the decays: from halfway below the one point
    # to halfway above the other, five; ten less the two that are there.
    found = the("few points", marked(["..*X.", ".....", ".....", ".....", "....."]))
    halves = (0.000316228, 0.001, 0.00316228, 0.01, 0.0316228)
    expected = [(0.001, decay) for decay in halves[::2]] + [(0.00316228, d) for d in halves]
    assert cells(found) == expected


def test_five_points_are_enough():
    one = marked([".....", "..X..", ".X*X.", "..X..", "....."])
    assert "few points" not in kinds(one)


def test_region_of_one_row_is_coarse_and_needs_rows_on_both_sides():
    one = on_grid(
        [[80] * 7, [80] + [90] * 5 + [80], [80] * 7],
        lrs=LRS[:3],
        decays=[10.0**k for k in range(-7, 0)],
    )
    assert kinds(one) == ["coarse"]
    found = the("coarse", one)
    # The box: weight decays 1e-6 to 1e-2, and the learning rates to both sides of the only one.
    decays = [float(f"{10**k:.6g}") for k in np.arange(-6, -1.9, 0.5)]
    expected = [(lr, decay) for lr in (0.00316228, 0.0316228) for decay in decays]
    expected += [(0.01, decay) for decay in decays[1::2]]
    assert cells(found) == sorted(expected)


def test_diagonal_band_of_two_points_is_coarse_and_of_three_is_not():
    # Across the diagonal, points of two neighbouring diagonals lie 1 / sqrt 2 decades apart: a
    # deviation of about 0.35, a width of 1.4, below two steps of one decade. Of three it is 2.3.
    size = 9
    values = tuple(10.0**k for k in range(-8, 1))

    def band(diagonals):
        rows = [
            (values[i], values[j], 90.0 if i + j in diagonals and 0 < i < 8 and 0 < j < 8 else 80.0)
            for i, j in itertools.product(range(size), repeat=2)
        ]
        return landscape(rows)

    assert kinds(band({8, 9})) == ["coarse"]
    assert kinds(band({7, 8, 9})) == []


def test_a_region_is_measured_in_the_steps_of_its_short_axis():
    # Three by three, a tenth of a decade apart in lr and a decade in weight decay: across, a
    # deviation of 0.087 and a width of 0.35 decades, above two steps of 0.1.
    lrs = [float(f"{10 ** (k / 10):.6g}") for k in range(-15, -10)]
    assert kinds(marked([".....", ".XXX.", ".X*X.", ".XXX.", "....."], lrs=lrs)) == []


def test_added_points_settle_a_coarse_region():
    lrs, decays = [0.01, 0.1, 1.0], [10.0**k for k in range(-7, 0)]

    def accuracy(lr, decay):
        # 0.6 decades to both sides of lr 0.1 and 2.2 of weight decay 1e-4.
        inside = abs(np.log10(lr / 0.1)) < 0.6 and abs(np.log10(decay / 1e-4)) < 2.2
        return 90.0 if inside else 80.0

    rows = [(lr, decay, accuracy(lr, decay)) for lr in lrs for decay in decays]
    asked = cells(the("coarse", landscape(rows)))
    assert kinds(landscape(rows + [(*at, accuracy(*at)) for at in asked])) == []


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
    one = landscape(rows, stopped=stopped)
    assert kinds(one) == ["stopped"]
    assert the("stopped", one).numbers == {"points": 5, "all_points": 25}


def test_holes_of_a_grid_are_missing():
    found = the("missing", marked([".....", ".XXX.", ".X*X.", ".XX .", ". ..."]))
    # The gap in the lowest row has nothing beyond it in its column, and bounds nothing.
    assert cells(found) == [(1.0, 0.01)]


def test_run_without_a_value_or_reason_is_missing():
    rows = CLEAN.points[["lr", "weight_decay", "value"]].to_numpy()
    rows[0, 2] = np.nan
    found = the("missing", landscape(rows, diverged=False))
    assert cells(found) == [(0.001, 1e-5)]


def test_without_any_value_neither_optimum_nor_regions_are_judged():
    assert kinds(marked(["!!!!!"] * 5)) == ["no value", "diverged"]


# --- tables that are no grid ----------------------------------------------------------------------


def scattered():
    random = np.random.default_rng(4)
    where = 10 ** random.uniform([-3, -6], [0, -2], (40, 2))
    distance = np.log10(where / [0.99, 1e-4])
    return landscape(
        [(lr, wd, 90 - gap @ gap) for (lr, wd), gap in zip(where, distance, strict=True)]
    )


def test_scattered_points_are_recognised_and_get_no_cells():
    found = grid_warnings(scattered(), [0.5])
    assert found[-1].kind == "scattered"
    assert "coarse" not in [one.kind for one in found]
    assert sum(len(one.cells) for one in found) == 0


def test_scattered_points_have_their_extreme_values_for_edges():
    one = scattered()
    best = one.points["value"].idxmax()
    rows = one.points[["lr", "weight_decay", "value"]].to_numpy()
    rows[best, 0] = 2.0
    found = the("optimum on edge", landscape(rows))
    assert ("lr", "highest", 2.0) in found.numbers["ends"]


def test_listed_lrs_with_random_weight_decays_are_scattered():
    random = np.random.default_rng(1)
    decays = 10 ** random.uniform(-6, -2, 40)
    rows = [(LRS[k % 5], decay, 90 - abs(np.log10(decay) + 4)) for k, decay in enumerate(decays)]
    assert "scattered" in kinds(landscape(rows))


@pytest.mark.parametrize(
    "picture",
    [
        [". . .", "     ", ". * .", "  X  ", ". . ."],
        ["     ", "  .  ", " .*. ", "  .  ", "     "],
    ],
)
def test_partly_trained_grid_is_not_scattered(picture):
    assert "scattered" not in kinds(marked(picture))


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
    return landscape(list(zip(lrs, values, strict=True)), axes=("lr",))


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
    found = the("missing", landscape(rows, axes=("lr",), diverged=False))
    assert cells(found) == [(0.01,)]


# --- several regions ------------------------------------------------------------------------------


def test_edge_of_two_regions_is_warned_of_once():
    edge = marked([".....", ".XXXX", ".X*XX", ".XXX.", "....."])
    (found,) = grid_warnings(edge, iter([0.5, 1.0]))
    assert found.kind == "region on edge" and found.numbers["threshold"] == 0.5
    assert len(found.cells) == 5


def test_a_threshold_below_zero_is_refused():
    with pytest.raises(HpstudyError, match="-0.5"):
        grid_warnings(CLEAN, [-0.5])
