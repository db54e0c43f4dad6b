"""The comparison of the networks of a table of runs, as numbers."""

import json
import math
import re

import numpy as np
import pandas as pd
import pytest
import sweeps
from sweeps import read

from hpstudy.analysis.comparison import compare, parse_roi, read_runs
from hpstudy.errors import HpstudyError

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


def only(entry, names):
    """Entry with these keys alone: the format may grow, but what was in it stays."""
    return {name: entry[name] for name in names}


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


# --- movement, regret, advice ---------------------------------------------------------------------


def moved_table(shift, seeds=2):
    """A quadratic landscape of two networks on 9 x 9 points; the second's optimum is moved."""
    generator = np.random.default_rng(1)
    steps = np.linspace(-1, 1, 9)
    rows = [
        (name, 10 ** (x - 2), 10 ** (y - 3), seed, 80 - drop + 0.1 * generator.standard_normal())
        for name, move in (("unpruned", 0.0), ("thin", shift))
        for x in steps
        for y in steps
        for seed in range(seeds)
        for drop in (4 * (x - move) ** 2 + 4 * (y - move) ** 2,)
    ]
    return pd.DataFrame(rows, columns=HEADER.split(","))


@pytest.fixture(scope="module")
def moved():
    """Result of an optimum half a decade away on both axes."""
    return compare(read(moved_table(0.5)))


@pytest.mark.slow
def test_movement_regret_and_advice_follow_the_truth(moved):
    movement, advice = moved["movement"]["thin"]["1.0"], moved["advice"]["thin"]
    # Half a decade on both axes; keeping the settings costs 4 * 0.25 * 2 = 2 points.
    estimate, low, high = movement["shift_interval"]
    assert low < 0.5 * math.sqrt(2) < high
    assert movement["shift_p"] < 0.01 and movement["jaccard_p"] < 0.01
    assert advice["verdict"] == {"lr": "retune", "weight_decay": "retune", "both": "retune"}
    assert advice["loss"][1] < 2.0 < advice["loss"][2]
    for estimate, low, high in advice["shift"].values():
        assert low < 0.5 < high and estimate == pytest.approx(0.5, abs=0.05)
    curve = moved["regret"]["thin"]["random"]["estimate"]
    assert len(curve) == 81 and curve[0] == pytest.approx(advice["loss"][0], abs=0.1)
    trainings = advice["trainings"]["random"]["0.5"]
    assert curve[trainings] <= 0.5 < curve[trainings - 1]
    still = compare(read(moved_table(0.0)))
    assert set(still["advice"]["thin"]["verdict"].values()) == {"keep"}
    assert still["movement"]["thin"]["1.0"]["shift_interval"][1] == 0.0


@pytest.mark.slow
def test_few_lines_of_another_computation_give_the_same_numbers(moved):
    # pandas and numpy alone, from the table itself.
    table = moved_table(0.5)
    means = table.groupby(["variant", "lr", "weight_decay"])["top1"].mean()
    dense, thin = means["unpruned"], means["thin"]
    best = dense.idxmax()
    assert moved["advice"]["thin"]["measured"] == pytest.approx(thin.max() - thin[best])
    movement = moved["movement"]["thin"]["1.0"]
    assert movement["spearman"] == pytest.approx(dense.corr(thin, method="spearman"))
    assert movement["kendall"] == pytest.approx(dense.corr(thin, method="kendall"))
    regions = [set(one.index[one >= one.max() - 1]) for one in (dense, thin)]
    union = len(regions[0] | regions[1])
    assert movement["jaccard"] == pytest.approx(len(regions[0] & regions[1]) / union)
    square = table[table["variant"] == "thin"].pivot(
        index=["lr", "weight_decay"], columns="seed", values="top1"
    )
    left = square.sub(square.mean(axis=1), axis=0)
    noise = moved["landscapes"]["thin"]["noise"]
    # One degree a setting, less what the two seeds may share.
    assert 80 <= noise["replicates_degrees"] <= 81
    grown = 10 ** (noise["growth"][0] * np.log10(square.index.get_level_values("lr") / 10**-1.5))
    middling = noise["replicates_std"] * np.median(grown)
    assert middling == pytest.approx(math.sqrt((left**2).to_numpy().sum() / 81), rel=0.15)


@pytest.mark.slow
def test_any_two_hyperparameters_can_be_compared(moved):
    table = moved_table(0.5).rename(columns={"lr": "momentum", "weight_decay": "batch_size"})
    axes = ("momentum", "batch_size")
    other = compare(read(table))
    assert other["axes"] == list(other["landscapes"]["thin"]["best_at"]) == list(axes)
    assert other["advice"]["thin"]["loss"] == moved["advice"]["thin"]["loss"]
    assert list(other["advice"]["thin"]["verdict"]) == [*axes, "both"]


# --- metrics that are minimized -------------------------------------------------------------------


@pytest.mark.slow
def test_minimized_metric_equals_its_mirror():
    table = moved_table(0.3)
    errors = table.assign(error=100 - table["top1"]).drop(columns="top1")
    up = compare(read(table))
    down = compare(read(errors, metric="error", goal="minimize"))
    for part in ("movement", "regret", "advice", "pooled"):
        assert_close(up[part], down[part])
    for name, one in up["risk"].items():
        other = down["risk"][name]
        # Relative risks are shares of a best of 80 and of 20.
        assert_close(only(one, ("n", "mean", "std")), only(other, ("n", "mean", "std")))
        assert_close(one["intervals"]["mean"], other["intervals"]["mean"])
        assert other["relative_mean"] > 3 * one["relative_mean"]
    for name, one in up["landscapes"].items():
        other = down["landscapes"][name]
        assert_close(
            only(one, ("roi", "noise", "ties", "on_edge", "best_at")),
            only(other, ("roi", "noise", "ties", "on_edge", "best_at")),
        )
        assert other["best"] == pytest.approx(100 - one["best"])
        estimate, low, high = one["best_corrected"]
        mirrored = [100 - estimate, 100 - high, 100 - low]
        assert other["best_corrected"] == pytest.approx(mirrored, abs=0.01)


def assert_close(one, other):
    """The same keys and words, and numbers that are alike but for what other draws would make."""
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_close(one[key], other[key])
    elif isinstance(one, list):
        assert len(one) == len(other)
        for x, y in zip(one, other, strict=True):
            assert_close(x, y)
    elif isinstance(one, float):
        # Rounding in the last bit turns axes of equal length, and so makes draws others.
        assert one == pytest.approx(other, rel=0.03, abs=0.03)
    else:
        assert one == other


@pytest.mark.slow
def test_losses_have_thresholds_and_levels_in_their_own_unit(moved):
    table = moved_table(0.5)
    # From 0.2 upwards, a hundredth of the points lost.
    losses = table.assign(val_loss=0.2 + (80 - table["top1"]) / 100).drop(columns="top1")
    runs = read(losses, metric="val_loss", goal="minimize", percent=False)
    result = compare(runs, roi=(0.005, 0.01))
    assert result["tolerable"] == 0.005
    assert result["landscapes"]["unpruned"]["best"] == pytest.approx(0.2, abs=0.002)
    _, least, most = result["advice"]["thin"]["loss"]
    assert 0.015 < least < 0.02 < most < 0.025
    assert result["advice"]["thin"]["verdict"] == moved["advice"]["thin"]["verdict"]
    with pytest.raises(HpstudyError, match="--roi"):
        compare(runs)


# --- ends of what a metric can be -----------------------------------------------------------------


def test_ties_at_the_ceiling_are_counted_and_no_interval_exceeds_it():
    generator, logs = np.random.default_rng(2), sweeps.square(6)
    rows = [
        sweeps.sweep(name, logs, sweeps.parabola(logs, 0, 3.0, 100.5), 0.2, generator)
        for name in ("unpruned", "thin")
    ]
    table = pd.concat(rows)
    table["top1"] = table["top1"].clip(upper=100.0)
    tied = int((table.loc[table["variant"] == "unpruned", "top1"] == 100).sum())
    result = compare(read(table))
    dense = result["landscapes"]["unpruned"]
    assert dense["ties"] == tied - 1 > 1
    assert max(dense["best_corrected"]) <= 100.0
    assert not any(end < 0 for one in result["risk"].values() for end in one["intervals"]["mean"])


# --- one axis -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_sweeps_of_the_learning_rate_alone_have_a_verdict():
    generator, tables = np.random.default_rng(3), []
    for name, centre in (("unpruned", 0.0), ("thin", 0.5)):
        logs = sweeps.scattered(20, generator, axes=1)
        truth = sweeps.parabola(logs, centre, 4.0)
        tables.append(sweeps.sweep(name, logs, truth, 0.1, generator))
    result = compare(read(pd.concat(tables)))
    advice = result["advice"]["thin"]
    assert result["axes"] == ["lr"] and list(advice["verdict"]) == ["lr", "both"]
    assert advice["verdict"] == {"lr": "retune", "both": "retune"}
    # What is lost at the dense network's best against the other's own, each one of twenty.
    kept = np.log10(result["landscapes"]["unpruned"]["best_at"]["lr"])
    lost = 4 * (kept - 0.5) ** 2 - 4 * (np.log10(tables[1]["lr"]) - 0.5).abs().min() ** 2
    assert advice["loss"][1] <= lost <= advice["loss"][2]


@pytest.mark.slow
def test_several_networks_are_pooled_and_one_is_not(moved):
    table = moved_table(0.4)
    again = table[table["variant"] == "thin"].assign(variant="thinner")
    pooled = compare(read(pd.concat([table, again])))
    assert pooled["pooled"]["networks"] == 2
    estimate, low, high = pooled["pooled"]["shift"]["lr"]
    assert low < 0.4 < high
    assert moved["pooled"] is None
