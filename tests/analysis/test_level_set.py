"""Level-set design on simulated landscapes: what is trained, what is skipped, in which order."""

import math

import numpy as np
import pandas as pd
import pytest
from ridges import decades

from hpstudy.analysis.landscape import landscapes
from hpstudy.analysis.level_set import STARTS, next_settings
from hpstudy.analysis.risk import risk
from hpstudy.errors import HpstudyError

LOGS = decades(9)


def band(logs=LOGS, noise=0.0, seed=0, centre=(0.0, 0.0)):
    """A steep inverse band: 25 points are lost a squared decade across it, 4 along it."""
    x, y = (logs - centre).T
    lost = 12.5 * (x + y) ** 2 + 2 * (x - y) ** 2
    return 90 - lost + noise * np.random.default_rng(seed).standard_normal(len(logs))


def runs(values, logs=LOGS, variant="unpruned", **columns):
    table = pd.DataFrame(10**logs, columns=["lr", "weight_decay"])
    return table.assign(variant=variant, seed=0, top1=values, **columns)


def read(table):
    variant = table["variant"].iloc[0]
    return landscapes(table, dense=variant)[variant]


def settings(table):
    return list(zip(table["lr"], table["weight_decay"], strict=True))


def designed(table, dense=None, batch=4):
    """Rows of a table that a design trains, batch by batch, and the number of batches."""
    grid, rows, batches = settings(table), [], 0
    while asked := next_settings(read(table.iloc[rows]) if rows else None, grid, 1.0, batch, dense):
        new = [grid.index(setting) for setting in asked]
        assert len(new) <= batch and not set(new) & set(rows)
        rows, batches = rows + new, batches + 1
    return table.iloc[rows], batches


def whole_region(table, threshold=1.0):
    return set(settings(read(table).roi(threshold)))


# --- what is trained ------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_region_of_a_steep_landscape_is_found_whole_with_less_than_half_of_the_runs(seed):
    table = runs(band(noise=0.2, seed=seed, centre=(0.2, -0.3)))
    trained, _ = designed(table)
    assert len(trained) < len(table) / 2
    assert whole_region(trained) == whole_region(table)


@pytest.mark.parametrize("centre", [(0.0, 0.0), (-0.6, 0.4), (0.9, 0.9)])
def test_no_setting_clear_of_the_line_is_skipped_without_noise(centre):
    table = runs(band(centre=centre))
    trained, _ = designed(table)
    assert whole_region(table, 0.7) <= set(settings(trained))


def test_pruned_network_trains_the_dense_region_so_that_its_risk_is_that_of_the_whole_grid():
    dense = runs(band(noise=0.2))
    pruned = runs(band(noise=0.2, seed=1, centre=(0.3, 0.0)) - 3, variant="pruned")
    trained, _ = designed(pruned, read(dense))
    assert whole_region(dense) <= set(settings(trained))
    assert len(trained) < len(pruned) / 2
    whole = risk(read(dense), read(pruned), 0.5).mean
    assert risk(read(dense), read(trained), 0.5).mean == pytest.approx(whole, abs=0.05)


def test_region_far_from_the_dense_networks_is_found():
    dense = runs(band(noise=0.2, centre=(0.6, -0.6)))
    pruned = runs(band(noise=0.2, seed=1, centre=(-0.6, -0.4)), variant="pruned")
    trained, _ = designed(pruned, read(dense))
    assert whole_region(pruned, 0.5) == whole_region(trained, 0.5)


def test_diverged_settings_count_as_the_worst():
    values = band(noise=0.2)
    diverged = LOGS.sum(axis=1) > 0.3
    table = runs(np.where(diverged, math.nan, values))
    worst = runs(np.where(diverged, values[~diverged][::3].min(), values))
    rows = [*np.flatnonzero(~diverged)[::3], *np.flatnonzero(diverged)[::3]]
    answers = [
        next_settings(read(one.loc[rows]), settings(table), 1.0, 81) for one in (table, worst)
    ]
    assert answers[0] and answers[0] == answers[1]


def test_region_beside_diverged_settings_is_found_with_few_of_them():
    diverged = LOGS.sum(axis=1) > 0.1
    table = runs(np.where(diverged, math.nan, band(noise=0.2)))
    trained, _ = designed(table)
    assert trained["top1"].isna().sum() < diverged.sum() / 4
    assert whole_region(trained) == whole_region(table)


def test_settings_without_weight_decay_are_never_skipped():
    table = runs(band(noise=0.2))
    none = pd.DataFrame({"lr": [0.1, 10.0], "weight_decay": 0.0, "variant": "unpruned", "seed": 0})
    table = pd.concat([table, none.assign(top1=[20.0, math.nan])], ignore_index=True)
    trained, _ = designed(table)
    assert (trained["weight_decay"] == 0).sum() == 2
    assert len(trained) < len(table) / 2


# --- order ----------------------------------------------------------------------------------------


def test_starts_are_the_middle_and_half_way_along_and_across_the_band():
    first = next_settings(None, settings(runs(0.0)), 1.0, batch=9)
    expected = [(0, 0), (-0.5, 0.5), (0.5, -0.5), (-0.5, -0.5), (0.5, 0.5)]
    assert np.log10(first) == pytest.approx(np.array(expected), abs=1e-9)
    assert next_settings(None, settings(runs(0.0)), 1.0, batch=2) == first[:2]


def test_answer_is_the_same_in_whatever_order_rows_and_grid_come():
    table = runs(band(noise=0.5))
    part = table.sample(20, random_state=0)
    other = part.sample(frac=1, random_state=1)
    grid, shuffled = settings(table), settings(table.sample(frac=1, random_state=2))
    assert next_settings(read(part), grid, 1.0, 6) == next_settings(read(other), shuffled, 1.0, 6)


def test_a_setting_that_differs_by_rounding_does_not_come_again():
    table = runs(band())
    part = table.head(40).assign(lr=lambda rows: rows["lr"] * (1 + 1e-13))
    asked = next_settings(read(part), settings(table), 1.0, 81)
    assert asked and not set(asked) & set(settings(table.head(40)))


def test_stopped_settings_do_not_come_again():
    table = runs(band(noise=0.2))
    low = table["top1"] < 85
    part = table.assign(stopped=low, top1=table["top1"].mask(low), diverged=False).iloc[::3]
    asked = next_settings(read(part), settings(table), 1.0, 81)
    assert asked and not set(asked) & set(settings(part))
    # Most of their neighbours are skipped; were nothing known of them, 44 of 54 would be asked.
    assert len(asked) < 25


def test_without_any_value_the_rest_follows_from_the_middle():
    table = runs(math.nan)
    part = table[np.abs(LOGS).max(axis=1) < 0.6]
    asked = next_settings(read(part), settings(table), 1.0, 4)
    away = np.hypot(*np.log10(asked).T)
    assert away == pytest.approx([0.75] * 4)


# --- ends and refusals ----------------------------------------------------------------------------


def test_nothing_is_left_of_a_grid_that_is_trained():
    table = runs(band())
    assert next_settings(read(table), settings(table), 1.0, 4) == []
    assert next_settings(None, [], 1.0, 4) == []


def test_a_grid_of_fewer_settings_than_the_starts_is_trained_whole():
    logs = np.array([(0.0, 0.0), (0.0, 0.3), (0.3, 0.0)])
    trained, batches = designed(runs(band(logs), logs), batch=2)
    assert (len(trained), batches) == (3, 2) and len(logs) < STARTS


@pytest.mark.parametrize(
    "threshold, batch, problem",
    [
        (-1.0, 4, "threshold of 0 or more: -1.0"),
        (math.nan, 4, "threshold of 0 or more: nan"),
        (1.0, 0, "1 setting or more: 0"),
    ],
)
def test_thresholds_and_batches_without_a_meaning_are_refused(threshold, batch, problem):
    with pytest.raises(HpstudyError, match=problem):
        next_settings(None, settings(runs(0.0)), threshold, batch)


def test_one_axis_is_refused():
    line = landscapes(runs(band()).head(9), axes=("weight_decay",))["unpruned"]
    with pytest.raises(HpstudyError, match="two axes, not weight_decay"):
        next_settings(line, settings(runs(0.0)), 1.0, 4)
