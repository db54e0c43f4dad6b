"""What is said of a table of runs, as numbers and as text."""

import json
import math
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from hpstudy.compare import compare, parse_roi, read_runs
from hpstudy.comparetext import format_text
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


def only(entry, names):
    """Entry with these keys alone: the format may grow, but what was in it stays."""
    return {name: entry[name] for name in names}


RISK = ("n", "mean", "std", "relative_mean", "relative_std")


def test_whole_result_by_hand():
    result = compare(cross_table())
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


def test_thresholds_are_keys_as_numbers_and_leave_the_risk_alone():
    table = cross_table()
    result = compare(table, roi=(0.25, 2))
    assert list(result["landscapes"]["unpruned"]["roi"]) == ["0.25", "2.0"]
    assert result["risk"] == compare(table)["risk"]


def test_another_network_can_be_the_dense_one():
    result = compare(cross_table(), dense="thin")
    assert list(result["risk"]) == ["thin", "unpruned"]
    # Its 0.5-ROI is the one corner at which the other has 80.0.
    assert result["risk"]["unpruned"]["mean"] == pytest.approx(10.4)


def test_order_of_rows_does_not_change_a_number():
    table = cross_table()
    shuffled = table.sample(frac=1, random_state=3)
    there, here = compare(shuffled), compare(table)
    for name, one in here["landscapes"].items():
        assert there["landscapes"][name] == one
    assert there["risk"] == here["risk"]


@pytest.mark.parametrize("accuracy", [80.0, math.nan, 0.0])
def test_result_is_strict_json_even_where_numbers_do_not_exist(accuracy):
    rows = [("unpruned", 0.1, 1e-4, 0, 93.0), ("thin", 0.1, 1e-3, 0, accuracy)]
    result = compare(pd.DataFrame(rows, columns=HEADER.split(",")))
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
    thin = compare(pd.DataFrame(rows, columns=HEADER.split(",")))["landscapes"]["thin"]
    assert (thin["points"], thin["best"], thin["on_edge"]) == (1, None, False)
    assert thin["best_at"] == {"lr": None, "weight_decay": None}
    assert only(thin["roi"]["1.0"], ("count", "ellipse")) == {"count": 0, "ellipse": None}


def test_written_and_read_again_the_result_is_the_same(tmp_path):
    table = cross_table()
    path = tmp_path / "cross.csv"
    table.to_csv(path, index=False)
    assert compare(read_runs(path).table) == compare(table)
    fractions = table.assign(top1=table["top1"] / 100)
    fractions.to_csv(path, index=False)
    again = compare(read_runs(path, percent=True).table)
    assert again["risk"]["thin"]["mean"] == pytest.approx(1.0)


# --- text -----------------------------------------------------------------------------------------


def lines_of(result):
    return format_text(result).splitlines()


def test_text_says_what_the_result_says():
    lines = lines_of(compare(cross_table()))
    where = lines.index("  unpruned")
    assert "best 90.40 at lr 0.01, weight_decay 0.001" in lines[where + 1]
    text = format_text(compare(cross_table()))
    # 4 sqrt(0.5) = 2.828
    assert "0.5-ROI: 5 points, ellipse 2.83 x 2.83 decades at lr 10^-2.00" in text
    assert "unpruned: mean 0.320 +- 0.160" in text
    assert "mean 1.000 +- 0.000" in text
    # Two seeds one point apart: s = 1 / sqrt(2), wherever the surface goes through.
    assert "replicates: 0.71 with " in text


def test_text_warns_of_the_edge_only_where_the_best_is_on_it():
    lines = lines_of(compare(cross_table()))
    on_edge = [n for n, line in enumerate(lines) if "(on the grid's edge)" in line]
    assert len(on_edge) == 1 and lines[on_edge[0] - 1] == "  thin"


def test_text_says_why_there_is_no_ellipse():
    assert "1 point, no ellipse: fewer than 5 points" in format_text(compare(cross_table()))


def test_text_counts_the_points_of_the_region_that_have_no_value():
    assert "over 4 points, 1 more without a value" in format_text(compare(cross_table()))


def test_text_of_networks_without_numbers_has_no_none_and_no_nan():
    rows = [("unpruned", 0.1, 1e-4, 0, 93.0), ("thin", 0.1, 1e-3, 0, math.nan)]
    rows.append(("zero", 0.1, 1e-4, 0, 0.0))
    text = format_text(compare(pd.DataFrame(rows, columns=HEADER.split(","))))
    assert "no accuracy at any point" in text
    assert not re.search(r"\b(None|nan)\b", text)


def test_text_fits_a_terminal():
    rows = [
        (name, lr, wd, 0, 90.0 - np.log10(lr * wd * 1e5) ** 2)
        for name in ("unpruned", "nonuniform-0.2")
        for lr in (0.01, 0.1, 1.0)
        for wd in (1e-5, 1e-4, 1e-3)
    ]
    lines = lines_of(compare(pd.DataFrame(rows, columns=HEADER.split(","))))
    assert max(len(line) for line in lines) <= 100
    assert not any(line != line.rstrip() for line in lines)


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


def test_movement_regret_and_advice_follow_the_truth():
    result = compare(moved_table(0.5))
    moved, advice = result["movement"]["thin"]["1.0"], result["advice"]["thin"]
    # Half a decade on both axes; keeping the settings costs 4 * 0.25 * 2 = 2 points.
    estimate, low, high = moved["shift_interval"]
    assert low < 0.5 * math.sqrt(2) < high and moved["shift_p"] < 0.01 and moved["jaccard_p"] < 0.01
    assert advice["verdict"] == "tune" and advice["loss"][1] < 2.0 < advice["loss"][2]
    curve = result["regret"]["thin"]["random"]["estimate"]
    assert len(curve) == 81 and curve[0] == pytest.approx(advice["loss"][0], abs=0.1)
    trainings = advice["trainings"]["random"]["0.5"]
    assert curve[trainings] <= 0.5 < curve[trainings - 1]
    still = compare(moved_table(0.0))
    assert still["advice"]["thin"]["verdict"] == "keep"
    assert still["movement"]["thin"]["1.0"]["shift_interval"][1] == 0.0


def test_a_few_lines_of_another_computation_give_the_same_numbers():
    # pandas and numpy alone, from the table itself.
    table = moved_table(0.5)
    means = table.groupby(["variant", "lr", "weight_decay"])["top1"].mean()
    dense, thin = means["unpruned"], means["thin"]
    best = dense.idxmax()
    result = compare(table)
    assert result["advice"]["thin"]["measured"] == pytest.approx(thin.max() - thin[best])
    moved = result["movement"]["thin"]["1.0"]
    assert moved["spearman"] == pytest.approx(dense.corr(thin, method="spearman"))
    assert moved["kendall"] == pytest.approx(dense.corr(thin, method="kendall"))
    regions = [set(one.index[one >= one.max() - 1]) for one in (dense, thin)]
    union = len(regions[0] | regions[1])
    assert moved["jaccard"] == pytest.approx(len(regions[0] & regions[1]) / union)
    spread = table.groupby(["variant", "lr", "weight_decay"])["top1"].std()["thin"]
    kept = spread[thin >= min(thin.max() - 6, thin.median())]
    noise = result["landscapes"]["thin"]["noise"]
    assert noise["replicates_std"] == pytest.approx(math.sqrt((kept**2).mean()))
    assert noise["replicates_degrees"] == len(kept)


def test_any_two_hyperparameters_can_be_compared():
    table = moved_table(0.5).rename(columns={"lr": "momentum", "weight_decay": "batch_size"})
    axes = ("momentum", "batch_size")
    other, usual = compare(table, axes=axes), compare(moved_table(0.5))
    assert list(other["landscapes"]["thin"]["best_at"]) == list(axes)
    assert other["advice"]["thin"]["loss"] == usual["advice"]["thin"]["loss"]
    assert "Keep momentum and batch_size?" in format_text(other)


def test_analysis_needs_no_torch():
    # A page is redrawn on a laptop that has none.
    loaded = "import sys, hpstudy.compare, hpstudy.thesis; print('torch' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True)
    assert said.stdout.strip() == "False", said.stderr
