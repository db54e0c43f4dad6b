"""Two landscapes set against each other: differences and their ranks."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from hpstudy.analysis.landscape import landscapes
from hpstudy.analysis.shift import difference, roi_overlap

LRS, WEIGHT_DECAYS = [0.01, 0.1, 1.0], [1e-4, 1e-3]
# Rows are learning rates. The dense best is 80, the pruned one's 70; one pruned point is missing.
DENSE = [[76.0, 78.0], [80.0, 79.5], [71.0, 60.0]]
PRUNED = [[69.5, 70.0], [69.0, None], [66.0, 40.0]]


def rows(variant, values, lrs=LRS, **more):
    return [
        {"variant": variant, "lr": lr, "weight_decay": wd, "top1": values[i][j], **more}
        for i, lr in enumerate(lrs)
        for j, wd in enumerate(WEIGHT_DECAYS)
    ]


def pair(dense=DENSE, pruned=PRUNED, lrs=LRS):
    table = pd.DataFrame(rows("unpruned", dense) + rows("uniform-0.6", pruned, lrs))
    return tuple(landscapes(table).values())


@pytest.fixture(scope="module")
def noisy():
    """Two landscapes of 30 points without ties, which agree in part."""
    random = np.random.default_rng(3)
    common = random.standard_normal((15, 2))
    lrs = [float(f"{10 ** (k / 5):.6g}") for k in range(15)]
    values = [(80 + common + 0.7 * random.standard_normal((15, 2))).tolist() for _ in range(2)]
    table = [*rows("unpruned", values[0], lrs), *rows("uniform-0.6", values[1], lrs)]
    return tuple(landscapes(pd.DataFrame(table)).values())


def test_each_network_is_taken_relative_to_its_own_best():
    points = difference(*pair()).points.set_index(["lr", "weight_decay"])
    assert points.loc[(0.01, 1e-4)].tolist() == [-4.0, -0.5, 3.5]
    assert points.loc[(0.1, 1e-4)].tolist() == [0.0, -1.0, -1.0]
    assert points.loc[(1.0, 1e-3)].tolist() == [-20.0, -30.0, -10.0]


def test_only_settings_at_which_both_have_a_value_are_compared():
    compared = difference(*pair())
    assert compared.n == 5
    assert (0.1, 1e-3) not in set(compared.points[["lr", "weight_decay"]].itertuples(index=False))


def test_settings_that_differ_in_the_tenth_digit_are_one():
    dense, _ = pair()
    _, other = pair(lrs=[0.01000000001, 0.1, 1.0])
    assert difference(dense, other).n == 5


def test_difference_of_a_landscape_with_itself_is_zero():
    dense, _ = pair()
    same = difference(dense, dense)
    assert (same.points["difference"] == 0).all()
    assert same.spearman == pytest.approx(1) and same.kendall == pytest.approx(1)
    assert roi_overlap(dense, dense, 1.0) == 1


def test_spearman_is_that_of_the_ranks_and_kendall_that_of_the_pairs(noisy):
    compared = difference(*noisy)
    one, other = (compared.points[name].to_numpy() for name in ("dense", "other"))
    n = len(one)
    apart = stats.rankdata(one) - stats.rankdata(other)
    assert compared.spearman == pytest.approx(1 - 6 * (apart**2).sum() / (n * (n**2 - 1)))
    order = [
        np.sign((one[i] - one[j]) * (other[i] - other[j]))
        for i, j in itertools.combinations(range(n), 2)
    ]
    assert compared.kendall == pytest.approx(sum(order) / len(order))
    assert 0.2 < compared.kendall < compared.spearman < 0.9


def test_correlation_of_a_flat_landscape_or_a_single_setting_is_nan():
    flat = difference(*pair(dense=[[80.0, 80.0]] * 3))
    assert math.isnan(flat.spearman) and math.isnan(flat.kendall)
    single = [[70.0, None], [None, None], [None, None]]
    assert math.isnan(difference(*pair(pruned=single)).spearman)


def test_overlap_is_points_in_both_regions_over_points_in_either():
    # Within 1 point: dense (0.1, 1e-4), (0.1, 1e-3), pruned (0.01, both), (0.1, 1e-4); the
    # setting at which the pruned network has no value is not compared.
    assert roi_overlap(*pair(), 1.0) == pytest.approx(1 / 3)
    assert roi_overlap(*pair(), 0.0) == 0
    assert roi_overlap(*pair(), 100.0) == 1


def test_overlap_is_unknown_where_no_common_setting_is_in_a_region():
    lone = [[None, 10.0], [None, None], [None, None]]
    everywhere = pair(pruned=lone)
    assert roi_overlap(*everywhere, 0.0) == 0
    dense = [[76.0, None], [80.0, 79.5], [71.0, 60.0]]
    assert math.isnan(roi_overlap(*pair(dense=dense, pruned=lone), 0.0))


def test_landscapes_over_different_axes_are_not_compared(refused):
    table = pd.DataFrame(rows("unpruned", DENSE, momentum=0.9))
    other = landscapes(table, axes=("lr", "momentum"))["unpruned"]
    assert "only landscapes over the same axes" in refused(difference, pair()[0], other)
