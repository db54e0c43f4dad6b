"""Tables with a row per epoch, and runs of different lengths."""

import numpy as np
import pandas as pd
import pytest
import sweeps
from sweeps import grid, notes

from hpstudy.analysis.run_tables import read_runs
from hpstudy.errors import HpstudyError


@pytest.fixture
def save(tmp_path):
    return lambda table, name="runs.csv": sweeps.save(table, tmp_path / name)


def refusal(path):
    with pytest.raises(HpstudyError) as caught:
        read_runs(path)
    return str(caught.value)


def curves(**more):
    """Five epochs of each run; large learning rates start low and are best in the fourth."""
    table = grid(**more)
    rows = [
        table.assign(epoch=n, acc=table["acc"] - late) for n, late in enumerate((30, 20, 9, -1, 0))
    ]
    return pd.concat(rows)


@pytest.mark.parametrize("order", ["by epoch", "by run"])
@pytest.mark.parametrize("ids", ["trial_id", "seed"])
def test_rows_per_epoch_are_one_run_with_its_last_row_or_its_best(save, ids, order):
    table = curves(seed=[0, 1])
    if ids == "trial_id":
        table["trial_id"] = table.groupby(["lr", "weight_decay", "seed"]).ngroup()
    if order == "by run":
        table = table.sort_values(["lr", "weight_decay", "seed", "epoch"])
    last = read_runs(save(table))
    assert len(last.table) == 18 and last.table["acc"].max() == 90
    assert "90 rows are epochs (epoch) of 18 runs" in notes(last) and "The last row" in notes(last)
    assert read_runs(save(table), epoch="best").table["acc"].max() == 91


@pytest.mark.parametrize("name", ["training_iteration", "_step", "global_step"])
def test_epochs_may_be_called_otherwise(save, name):
    table = curves().rename(columns={"epoch": name}).assign(trial_id=list(range(9)) * 5)
    assert len(read_runs(save(table)).table) == 9


def test_repeats_of_one_setting_that_follow_each_other_are_runs(save):
    table = pd.concat([curves(), curves()], keys=[0, 1], names=["again"]).reset_index("again")
    table = table.sort_values(["lr", "weight_decay", "again", "epoch"]).drop(columns="again")
    assert len(read_runs(save(table)).table) == 18


def test_rows_per_epoch_that_belong_to_no_run_are_asked_for(save):
    # Two repeats, sorted by epoch: which rows are of one run is nowhere said.
    words = refusal(save(pd.concat([curves(), curves()]).sort_values("epoch")))
    assert "--where epoch=4" in words


def test_rows_between_validations_are_passed_over_and_a_lost_metric_diverged(save):
    table = curves().assign(trial_id=list(range(9)) * 5)
    between = table.assign(epoch=table["epoch"] + 0.5, acc=np.nan)
    lost = (table["trial_id"] == 3) & (table["epoch"] >= 2)
    table = pd.concat([table.assign(acc=table["acc"].mask(lost)), between])
    read = read_runs(save(table))
    assert len(read.table) == 9 and read.table["acc"].max() == 90
    assert read.table["diverged"].sum() == read.table["acc"].isna().sum() == 1


def test_half_trained_runs_are_left_out_and_counted_unless_all_are_wanted(save):
    table = grid(seed=[0, 1]).assign(epoch=30)
    table.loc[[0, 7], "epoch"] = (3, 29)
    read = read_runs(save(table))
    assert len(read.table) == 16 and "keeps them): 2." in notes(read)
    assert len(read_runs(save(table), any_length=True).table) == 18


def test_variants_of_other_lengths_are_noted(save):
    dense, pruned = grid().assign(epoch=30), grid().assign(epoch=3)
    read = read_runs([save(dense, "dense.csv"), save(pruned, "pruned.csv")])
    assert "dense: 30; pruned: 3" in notes(read)


def test_repeats_that_stopped_by_themselves_are_not_rows_of_one_run(save):
    table = grid(repeat=[0, 1]).assign(epoch=[8, 12] * 9).drop(columns="repeat")
    assert len(read_runs(save(table), any_length=True).table) == 18
    table["epoch"] = range(8, 26)
    words = refusal(save(table))
    assert "--any-length" in words and "17 of 18" in words


def test_failed_run_with_a_row_per_epoch_is_counted_once(save):
    table = curves().assign(trial_id=list(range(9)) * 5, status="TERMINATED")
    table.loc[table["trial_id"] == 2, "status"] = "ERROR"
    read = read_runs(save(table))
    assert len(read.table) == 8 and "Runs left out: failed: 1." in read.notes
