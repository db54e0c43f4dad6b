"""The comparison of simulated networks, whose optima are known."""

import math

import numpy as np
import pandas as pd
import pytest
import sweeps
from sweeps import assert_close, only, read

from hpstudy.analysis.comparison import compare
from hpstudy.errors import HpstudyError

pytestmark = pytest.mark.usefixtures("few_draws")

HEADER = "variant,lr,weight_decay,seed,top1"


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
