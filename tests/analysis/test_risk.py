"""Performance risk, against values worked by hand from equations 3.3 to 3.6."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpstudy.analysis.landscape import landscapes
from hpstudy.analysis.risk import risk, risk_draws, risks, share_within_bound
from hpstudy.errors import HpstudyError

DECAYS = (1e-5, 1e-4, 1e-3, 1e-2)


def study(**accuracies):
    """Landscapes of networks trained at lr 0.1 and the four weight decays; None: not trained."""
    rows = [
        (name, 0.1, decay, 0, value)
        for name, values in accuracies.items()
        for decay, value in zip(DECAYS, values, strict=True)
        if value is not None
    ]
    return landscapes(pd.DataFrame(rows, columns=["variant", "lr", "weight_decay", "seed", "top1"]))


# Dense 0.5-ROI: 93.6, 94.0 and 93.8. The pruned network's own best, 80.0, lies outside of it.
HAND = study(unpruned=[93.6, 94.0, 93.8, 90.0], pruned=[78.0, 79.0, 79.6, 80.0])


def test_risk_of_the_pruned_network_by_hand():
    # Shortfalls 80 - (78, 79, 79.6) = 2, 1, 0.4; mean 3.4 / 3; equation 3.5 divides by n:
    # squares 4 + 1 + 0.16 = 5.16, variance 5.16 / 3 - (3.4 / 3)^2 = 1.72 - 11.56 / 9.
    found = risks(HAND)["pruned"]
    assert found.n == 3
    assert found.mean == pytest.approx(3.4 / 3)
    assert found.std == pytest.approx(math.sqrt(1.72 - 11.56 / 9))
    assert found.relative_mean == pytest.approx(3.4 / 3 / 80)
    assert found.relative_std == pytest.approx(math.sqrt(1.72 - 11.56 / 9) / 80)
    assert found.points["risk"].tolist() == pytest.approx([2.0, 1.0, 0.4])
    assert found.points["relative"].tolist() == pytest.approx([0.025, 0.0125, 0.005])
    assert found.points["value"].tolist() == [78.0, 79.0, 79.6]


def test_risk_of_the_dense_network_is_against_its_own_best():
    # Shortfalls 0.4, 0, 0.2; mean 0.2; variance (0.04 + 0.04 + 0) / 3.
    found = risks(HAND)["unpruned"]
    assert found.mean == pytest.approx(0.2)
    assert found.std == pytest.approx(math.sqrt(0.08 / 3))
    assert found.relative_mean == pytest.approx(0.2 / 94)


def test_wider_region_takes_in_more_points():
    # 4.0 below 94.0 takes in 90.0, where the pruned network is at its best.
    found = risk(HAND["unpruned"], HAND["pruned"], threshold=4.0)
    assert found.n == 4
    assert found.mean == pytest.approx(3.4 / 4)


def test_region_is_that_of_the_dense_network():
    there = risks(HAND)["pruned"].points
    assert there["weight_decay"].tolist() == [1e-5, 1e-4, 1e-3]


def test_order_is_that_of_the_landscapes():
    found = risks(study(b=[1.0] * 4, unpruned=[2.0] * 4, a=[3.0] * 4))
    assert list(found) == ["unpruned", "b", "a"]


@pytest.mark.parametrize("hole", [None, math.nan])
def test_points_without_a_value_are_left_out(hole):
    # Left are the shortfalls 80 - 78 and 80 - 79.6, mean 1.2.
    found = risks(study(unpruned=[93.6, 94.0, 93.8, 90.0], pruned=[78.0, hole, 79.6, 80.0]))
    assert found["pruned"].n == 2
    assert found["pruned"].mean == pytest.approx(1.2)
    assert 1e-4 not in set(found["pruned"].points["weight_decay"])


def test_network_without_any_value_in_the_region_has_no_risk():
    found = risks(study(unpruned=[94.0, 90.0, 90.0, 90.0], pruned=[None, 79.0, 79.6, 80.0]))
    assert found["pruned"].n == 0
    assert np.isnan([found["pruned"].mean, found["pruned"].std]).all()


def test_relative_risk_is_nan_where_the_best_is_0():
    found = risks(study(unpruned=[94.0] * 4, pruned=[0.0] * 4))["pruned"]
    assert found.mean == 0.0
    assert np.isnan(found.relative_mean)


def test_seeds_are_averaged_before_the_best_is_taken():
    # Means 91 and 90; the best of the means is 91, though one run reached 94.
    rows = [("unpruned", 0.1, 1e-4, 0, 94.0), ("unpruned", 0.1, 1e-4, 1, 88.0)]
    rows += [("unpruned", 0.1, 1e-3, seed, 90.0) for seed in (0, 1)]
    table = pd.DataFrame(rows, columns=["variant", "lr", "weight_decay", "seed", "top1"])
    found = risks(landscapes(table), threshold=1.0)["unpruned"]
    assert found.n == 2
    assert found.mean == pytest.approx(0.5)


def test_settings_of_two_tables_match_to_nine_digits():
    columns = ["variant", "lr", "weight_decay", "seed", "top1"]
    one = landscapes(pd.DataFrame([("unpruned", 0.1, 1e-4, 0, 94.0)], columns=columns))
    other = [("unpruned", 0.1 + 1e-12, 1e-4 * (1 - 1e-13), 0, 80.0)]
    found = risk(one["unpruned"], landscapes(pd.DataFrame(other, columns=columns))["unpruned"])
    assert (found.n, found.mean) == (1, 0.0)


def test_negative_threshold_is_refused():
    with pytest.raises(HpstudyError, match="-1"):
        risks(HAND, threshold=-1.0)


four = st.lists(st.floats(1, 100), min_size=4, max_size=4)


@pytest.mark.slow
@settings(deadline=None, max_examples=25)
@given(four, four, st.floats(0, 5))
def test_risk_of_any_landscapes(dense, pruned, threshold):
    found = risks(study(unpruned=dense, pruned=pruned, same=dense), threshold)
    lost, best = found["pruned"], max(pruned)
    # Section 4.2: the risk on the unpruned model is at most 0.5 since 0.5-ROI is so defined.
    assert found["unpruned"].points["risk"].max() <= threshold + 1e-6
    assert found["unpruned"].points["risk"].min() == 0
    assert lost.points["risk"].min() >= 0
    assert 0 <= lost.mean <= best - min(pruned) + 1e-9
    # The relative risk is in units of the own best.
    assert lost.relative_mean * best == pytest.approx(lost.mean)
    assert lost.relative_std * best == pytest.approx(lost.std, abs=1e-9)
    # Were the good hyperparameters the same, the risk would be the dense network's.
    assert found["same"][:2] == found["unpruned"][:2]


def test_risk_is_over_the_axes_of_the_landscapes():
    rows = [("unpruned", 32, 0.9, 94.0), ("unpruned", 64, 0.9, 90.0)]
    rows += [("pruned", 32, 0.9, 78.0), ("pruned", 64, 0.9, 80.0)]
    table = pd.DataFrame(rows, columns=["variant", "batch_size", "momentum", "top1"])
    found = risks(landscapes(table, axes=("momentum", "batch_size")))["pruned"]
    assert (found.n, found.mean) == (1, 2.0)
    assert found.points[["momentum", "batch_size"]].to_numpy().tolist() == [[0.9, 32]]


def test_risk_of_landscapes_over_other_axes_is_refused():
    table = pd.DataFrame(
        [("unpruned", 0.1, 1e-4, 0.9, 94.0)],
        columns=["variant", "lr", "weight_decay", "momentum", "top1"],
    )
    one = landscapes(table)["unpruned"]
    other = landscapes(table, axes=("lr", "momentum"))["unpruned"]
    with pytest.raises(HpstudyError, match="lr x weight_decay.*lr x momentum"):
        risk(one, other)


# --- many draws -----------------------------------------------------------------------------------


def test_risks_of_draws_are_those_of_equations_3_4_to_3_6_in_each():
    random = np.random.default_rng(7)
    dense, other = 90 + random.standard_normal((2, 50, 60))
    dense[:, 3], other[:, [5, 8]] = -np.inf, -np.inf
    found = risk_draws(dense, other, 1.0)
    for k in range(50):
        region = (dense[k] >= dense[k].max() - 1) & np.isfinite(other[k])
        loss, best = other[k].max() - other[k][region], other[k].max()
        expected = loss.mean(), loss.std(), (loss / best).mean(), (loss / best).std()
        assert [values[k] for values in found] == pytest.approx(expected)


def test_risk_is_nan_where_the_other_network_has_no_value():
    dense, other = np.array([[90.0, 80.0]]), np.array([[-np.inf, 85.0]])
    assert np.isnan(risk_draws(dense, other, 1.0)).all()


def test_share_within_twice_the_bound_by_hand():
    # The dense best is 80, so that its 1.0-ROI may lose 1/80; twice that is 0.025. The other's
    # best is 60: of its losses at the dense region's four points (0, 1.2, 1.5 and 1.8 points, that
    # is 0, 0.02, 0.025 and 0.03) three are within. The fifth point is not the dense network's.
    dense = np.array([[80.0, 79.5, 79.2, 79.0, 70.0]])
    other = np.array([[60.0, 58.8, 58.5, 58.2, 59.9]])
    assert share_within_bound(dense, other, 1.0).tolist() == [0.75]
    # Points at which the other has no value are left out: two of three are within.
    unknown = np.array([[60.0, 58.8, -np.inf, 58.2, 1.0]])
    assert share_within_bound(dense, unknown, 1.0) == pytest.approx([2 / 3])
