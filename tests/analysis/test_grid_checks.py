"""Warnings about a grid, and the points that they ask for, on landscapes worked by hand."""

import itertools

import numpy as np
import pytest
from worked import CLEAN, DECAYS, LRS, cells, kinds, marked, on_grid, one_run_each, the

from hpstudy.analysis.grid_checks import grid_warnings
from hpstudy.errors import HpstudyError

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
        return one_run_each(rows)

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
    asked = cells(the("coarse", one_run_each(rows)))
    assert kinds(one_run_each(rows + [(*at, accuracy(*at)) for at in asked])) == []


# --- tables that are no grid ----------------------------------------------------------------------


def scattered():
    random = np.random.default_rng(4)
    where = 10 ** random.uniform([-3, -6], [0, -2], (40, 2))
    distance = np.log10(where / [0.99, 1e-4])
    return one_run_each(
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
    found = the("optimum on edge", one_run_each(rows))
    assert ("lr", "highest", 2.0) in found.numbers["ends"]


def test_listed_lrs_with_random_weight_decays_are_scattered():
    random = np.random.default_rng(1)
    decays = 10 ** random.uniform(-6, -2, 40)
    rows = [(LRS[k % 5], decay, 90 - abs(np.log10(decay) + 4)) for k, decay in enumerate(decays)]
    assert "scattered" in kinds(one_run_each(rows))


@pytest.mark.parametrize(
    "picture",
    [
        [". . .", "     ", ". * .", "  X  ", ". . ."],
        ["     ", "  .  ", " .*. ", "  .  ", "     "],
    ],
)
def test_partly_trained_grid_is_not_scattered(picture):
    assert "scattered" not in kinds(marked(picture))


# --- several regions ------------------------------------------------------------------------------


def test_edge_of_two_regions_is_warned_of_once():
    edge = marked([".....", ".XXXX", ".X*XX", ".XXX.", "....."])
    (found,) = grid_warnings(edge, iter([0.5, 1.0]))
    assert found.kind == "region on edge" and found.numbers["threshold"] == 0.5
    assert len(found.cells) == 5


def test_a_threshold_below_zero_is_refused():
    with pytest.raises(HpstudyError, match="-0.5"):
        grid_warnings(CLEAN, [-0.5])
