"""The comparison of the networks of a table of runs, as numbers."""

import json
import math
import re

import pandas as pd
import pytest
from sweeps import assert_close, only, read

from hpstudy.analysis.comparison import compare, parse_roi, read_runs
from hpstudy.errors import HpstudyError

pytestmark = pytest.mark.usefixtures("few_draws")

HEADER = "variant,lr,weight_decay,seed,top1"


# --- thresholds -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, thresholds",
    [("0.5,1.0", (0.5, 1.0)), ("2", (2.0,)), (" 1 , 0.25", (1.0, 0.25)), ("1,1.0", (1.0,))],
)
def test_thresholds_are_read_in_their_order_and_once(text, thresholds):
    assert parse_roi(text) == thresholds


@pytest.mark.parametrize("word", ["0", "-1", "nan", "inf", "half", ""])
def test_threshold_that_is_not_positive_and_finite_is_named(word):
    with pytest.raises(HpstudyError, match=f"not {re.escape(repr(word))}"):
        parse_roi(f"0.5,{word}")


# --- analysis -------------------------------------------------------------------------------------


def cross_table():
    """Two networks on a 5 x 5 grid of whole decades, two seeds one point apart.

    Dense: 90 on the cross lr = 0.01 or weight decay = 0.001 within one decade, 90.4 in its
    middle, 80 elsewhere. Pruned: 70, but 71 at one corner; the middle has lost one run.
    """
    rows = []
    for i in range(5):
        for j in range(5):
            away = abs(i - 2) + abs(j - 2)
            dense = 90.4 if away == 0 else 90.0 if away == 1 else 80.0
            thin = 71.0 if (i, j) == (0, 4) else 70.0
            for seed, offset in ((0, -0.5), (1, 0.5)):
                at = (10.0 ** (i - 4), 10.0 ** (j - 5), seed)
                lost = away == 0 and seed == 1
                rows.append(("thin", *at, math.nan if lost else thin + offset))
                rows.append(("unpruned", *at, dense + offset))
    return pd.DataFrame(rows, columns=HEADER.split(","))


@pytest.fixture(scope="module")
def cross():
    """Result of the cross."""
    return compare(read(cross_table()))


RISK = ("n", "mean", "std", "relative_mean", "relative_std")


def test_whole_result_by_hand(cross):
    result = cross
    dense, thin = result["landscapes"]["unpruned"], result["landscapes"]["thin"]
    assert list(result["landscapes"]) == list(result["risk"]) == ["unpruned", "thin"]
    assert (dense["points"], dense["seeds"], dense["on_edge"]) == (25, 2, False)
    assert dense["best"] == pytest.approx(90.4)
    assert dense["best_at"] == {"lr": pytest.approx(0.01), "weight_decay": pytest.approx(0.001)}
    # Both regions are the five points of the cross; on each axis their log10 has the variance
    # (1 + 1) / 4, so both diameters are 4 sqrt(0.5).
    for threshold in ("0.5", "1.0"):
        region = dense["roi"][threshold]
        assert region["count"] == 5
        assert region["ellipse"]["length"] == pytest.approx(4 * math.sqrt(0.5))
        assert region["ellipse"]["width"] == pytest.approx(4 * math.sqrt(0.5))
        assert region["ellipse"]["centre"] == {
            "lr": pytest.approx(-2),
            "weight_decay": pytest.approx(-3),
        }
    assert (thin["points"], thin["best"], thin["on_edge"]) == (25, 71.0, True)
    assert only(thin["roi"]["0.5"], ("count", "ellipse")) == {"count": 1, "ellipse": None}
    # 24 points: all but the middle, which has no value.
    assert thin["roi"]["1.0"]["count"] == 24
    # Dense shortfalls 0 and four times 0.4: mean 0.32, variance 4 x 0.16 / 5 - 0.32^2 = 0.0256.
    assert only(result["risk"]["unpruned"], RISK) == {
        "n": 5,
        "mean": pytest.approx(0.32),
        "std": pytest.approx(0.16),
        "relative_mean": pytest.approx(0.32 / 90.4),
        "relative_std": pytest.approx(0.16 / 90.4),
    }
    # The pruned network has values on the four arms, each 1.0 below its best.
    assert only(result["risk"]["thin"], RISK) == {
        "n": 4,
        "mean": pytest.approx(1.0),
        "std": pytest.approx(0.0),
        "relative_mean": pytest.approx(1 / 71),
        "relative_std": pytest.approx(0.0),
    }


def test_thresholds_are_keys_as_numbers_and_leave_the_risk_alone(cross):
    result = compare(read(cross_table()), roi=(0.25, 2))
    assert list(result["landscapes"]["unpruned"]["roi"]) == ["0.25", "2.0"]
    assert result["risk"] == cross["risk"]


def test_another_network_can_be_the_dense_one():
    result = compare(read(cross_table(), "thin"))
    assert list(result["risk"]) == ["thin", "unpruned"]
    # Its 0.5-ROI is the one corner at which the other has 80.0.
    assert result["risk"]["unpruned"]["mean"] == pytest.approx(10.4)


def test_order_of_rows_does_not_change_a_number(cross):
    shuffled = compare(read(cross_table().sample(frac=1, random_state=3)))
    for name, entry in cross["landscapes"].items():
        assert_close(shuffled["landscapes"][name], entry)
    assert_close(shuffled["risk"], cross["risk"])


@pytest.mark.parametrize("accuracy", [80.0, math.nan, 0.0])
def test_result_is_strict_json_even_where_numbers_do_not_exist(accuracy):
    rows = [("unpruned", 0.1, 1e-4, 0, 93.0), ("thin", 0.1, 1e-3, 0, accuracy)]
    result = compare(read(pd.DataFrame(rows, columns=HEADER.split(","))))
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    # The networks share no grid point.
    assert only(result["risk"]["thin"], RISK) == {
        "n": 0,
        "mean": None,
        "std": None,
        "relative_mean": None,
        "relative_std": None,
    }


def test_network_without_any_accuracy_is_reported_as_such():
    rows = [("unpruned", 0.1, 1e-4, 0, 93.0), ("thin", 0.1, 1e-4, 0, math.nan)]
    thin = compare(read(pd.DataFrame(rows, columns=HEADER.split(","))))["landscapes"]["thin"]
    assert (thin["points"], thin["best"], thin["on_edge"]) == (1, None, False)
    assert thin["best_at"] == {"lr": None, "weight_decay": None}
    assert only(thin["roi"]["1.0"], ("count", "ellipse")) == {"count": 0, "ellipse": None}


@pytest.mark.slow
def test_written_and_read_again_the_result_is_the_same(cross, tmp_path):
    table = cross_table()
    path = tmp_path / "cross.csv"
    table.to_csv(path, index=False)
    again = compare(read_runs(path))
    assert again | {"reading": cross["reading"]} == cross
    fractions = table.assign(top1=table["top1"] / 100)
    fractions.to_csv(path, index=False)
    again = compare(read_runs(path, percent=True))
    assert again["risk"]["thin"]["mean"] == pytest.approx(1.0)
