"""What a run is, how it ended, and which way its metric is better, in any table of runs."""

import numpy as np
import pandas as pd
import pytest
import sweeps
from sweeps import grid, notes

from hpstudy.analysis.run_tables import read_runs
from hpstudy.analysis.run_tables.cells import to_state
from hpstudy.errors import HpstudyError


@pytest.fixture
def save(tmp_path):
    return lambda table, name="runs.csv": sweeps.save(table, tmp_path / name)


def refusal(path, **options):
    with pytest.raises(HpstudyError) as caught:
        read_runs(path, **options)
    return str(caught.value)


def best(read):
    """Setting of the best mean."""
    means = read.table.groupby(list(read.axes))[read.metric].mean()
    return means.idxmax() if read.goal == "maximize" else means.idxmin()


# --- what a run is --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "column", ["optimizer", "params_optimizer", "config/optimizer", "batch_size", "num_rules"]
)
@pytest.mark.parametrize("seeds", [False, True])
def test_hyperparameter_is_never_averaged_like_a_seed(save, column, seeds):
    values = [32, 64] if "optimizer" not in column else ["sgd", "adam"]
    table = grid(**{column: values}, **({"seed": [0, 1]} if seeds else {}))
    words = refusal(save(table))
    assert f"line 2 of {save(table)}" in words and f"{len(table)} such lines" in words
    for way in ("--where", "--variant-by", "--average-over"):
        assert f"{way} {column}" in words


def test_three_ways_out_do_what_they_say(save):
    table = grid(optimizer=["sgd", "adam"], seed=[0, 1])
    table.loc[table["optimizer"] == "adam", "acc"] -= 5
    path = save(table)
    one = read_runs(path, where=["optimizer=adam"])
    assert len(one.table) == 18 and one.table["acc"].max() == 85
    two = read_runs(path, variant_by="optimizer", dense="sgd")
    assert two.table.groupby("variant")["acc"].max().to_dict() == {"adam": 85.0, "sgd": 90.0}
    both = read_runs(path, average_over=["optimizer"])
    means = both.table.groupby(["lr", "weight_decay"])["acc"].agg(["mean", "size"])
    assert means.loc[(0.03, 1e-4)].tolist() == [87.5, 4]
    # Each of the four has a seed of its own, the same at every setting.
    assert both.table["seed"].nunique() == 4


def test_all_hyperparameters_that_vary_are_named_at_once(save):
    words = refusal(save(grid(optimizer=["sgd", "adam"], dropout=[0, 0.1])))
    assert "--where optimizer=sgd --where dropout=0" in words
    assert "--variant-by optimizer,dropout" in words


def test_second_axis_of_another_name_is_offered_as_one(save):
    table = grid().rename(columns={"weight_decay": "shrinkage"})
    assert "--axes lr,shrinkage" in refusal(save(table))
    assert read_runs(save(table), axes=("lr", "shrinkage")).axes == ("lr", "shrinkage")


def test_optimizer_drawn_at_random_with_the_settings_is_no_noise(save):
    # Each setting comes once, so that no mean hides it, but one surface would run through both.
    drawn = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "params_lr": 10 ** drawn.uniform(-3, 0, 40),
            "params_weight_decay": 10 ** drawn.uniform(-5, -2, 40),
            "params_dropout": drawn.uniform(0, 0.5, 40),
            "user_attrs_acc": drawn.uniform(80, 90, 40),
        }
    )
    assert "count as noise: params_dropout." in notes(read_runs(save(table)))
    words = refusal(save(table.assign(params_optimizer=["sgd", "adam"] * 20)))
    assert "--where params_optimizer=sgd" in words


def test_batch_size_that_goes_with_the_learning_rate_is_part_of_the_setting(save):
    table = grid(seed=[0, 1])
    table["batch_size"] = table["lr"].map({0.01: 32, 0.03: 96, 0.1: 320})
    assert len(read_runs(save(table)).table) == 18


@pytest.mark.slow
@pytest.mark.parametrize(
    "column",
    {
        "run_id": lambda n: f"{n:08x}",
        "Created": lambda n: f"2024-03-0{1 + n % 5}",
        "duration": lambda n: f"0 days 00:0{n % 7}:00",
        "Runtime": lambda n: 100 + n % 4,
        "hostname": lambda n: f"node{n % 3}",
        "gpu": lambda n: n % 2,
        "tags": lambda n: "ab"[n % 2],
        "val/loss": lambda n: n % 3 / 10,
        "metrics.train_acc": lambda n: n % 3,
        "best_epoch": lambda n: 10 + n % 5,
        "seconds": lambda n: n * 1.1,
        "something": lambda n: n * 1.1,
        "Name": lambda n: f"brisk-sun-{n}",
        "replica": lambda n: "ab"[n % 2],
    }.items(),
    ids=lambda pair: pair[0],
)
def test_record_of_a_run_is_no_hyperparameter(save, column):
    name, value = column
    table = grid(seed=[0, 1])
    table[name] = [value(n) for n in range(len(table))]
    read = read_runs(save(table), metric="acc")
    assert len(read.table) == 18 and best(read) == (0.03, 1e-4)


@pytest.mark.parametrize("column", ["random_state", "params.fold", "repeat", "config/seed", "run"])
def test_what_numbers_repeats_is_the_seed(save, column):
    read = read_runs(save(grid(**{column: [3, 4, 5]})))
    assert sorted(read.table["seed"].unique()) == [3, 4, 5]
    assert f"Columns of other names: seed: {column}." in notes(read)


def test_runs_without_seeds_share_none_over_settings(save):
    table = pd.concat([grid(), grid().assign(acc=80.5)])
    assert read_runs(save(table)).table["seed"].nunique() == 18


def test_models_of_one_table_are_its_variants(save):
    read = read_runs(save(grid(model=["r20", "r56"])), dense="r56")
    assert set(read.table["variant"]) == {"r20", "r56"} and read.dense == "r56"
    assert "Columns of other names: variant: model." in notes(read)
    assert "--dense" in refusal(save(grid(model=["r20", "r56"])))


def test_models_in_several_tables_are_asked_for(save):
    paths = [save(grid(model=["a", "b"]), name) for name in ("dense.csv", "pruned.csv")]
    assert "--where model=a" in refusal(paths)
    assert len(read_runs(paths, where=["model=a"]).table) == 18


# --- how it ended ---------------------------------------------------------------------------------

FAILED = (
    "FAIL failed CRASHED killed preempted ERROR INVALID CANCELLED TIMEOUT OUT_OF_MEMORY NODE_FAIL "
    "CANCELLED+ BOOT_FAIL DEADLINE"
).split()
UNFINISHED = "RUNNING running WAITING PENDING SCHEDULED PAUSED Preempting REQUEUED".split()


def test_words_of_trackers_say_how_a_run_ended():
    for word in (*FAILED, "CANCELLED by 1000", "TrialState.FAIL"):
        assert to_state(word) == "failed", word
    for word in UNFINISHED:
        assert to_state(word) == "unfinished", word
    for word in ("COMPLETE", "finished", "TERMINATED", "FINISHED", "COMPLETED"):
        assert to_state(word) == "ended", word


@pytest.mark.parametrize("column", ["state", "State", "status"])
@pytest.mark.parametrize("state", ["FAIL", "running"])
def test_run_that_failed_or_runs_says_nothing_of_its_setting(save, state, column):
    table = grid(seed=[0, 1])
    table[column] = "COMPLETED"
    # The best setting's second run, with what it had reached.
    line = table.query("lr == 0.03 and weight_decay == 1e-4 and seed == 1").index
    table.loc[line, [column, "acc"]] = [state, 12.0]
    read = read_runs(save(table))
    assert len(read.table) == 17 and best(read) == (0.03, 1e-4)
    assert "diverged" not in read.table
    assert f"{'failed' if state == 'FAIL' else 'not ended'}: 1." in notes(read)


def test_run_that_ended_without_a_finite_metric_diverged(save):
    table = grid().assign(State="COMPLETE")
    table.loc[8, "acc"] = np.inf
    assert read_runs(save(table)).table["diverged"].tolist() == [False] * 8 + [True]


def test_pruned_trial_was_stopped_early(save):
    table = grid().assign(state=["COMPLETE"] * 8 + ["PRUNED"])
    read = read_runs(save(table)).table
    assert read["stopped"].sum() == read["acc"].isna().sum() == 1
    assert "diverged" not in read


def test_unknown_state_is_refused_and_can_be_chosen_by(save):
    path = save(grid().assign(status=["fine"] * 8 + ["odd"]))
    words = refusal(path)
    assert "status is 'fine'" in words and "9 such lines" in words and "--where status=" in words
    assert len(read_runs(path, where=["status=fine"]).table) == 8


def test_parents_of_nested_runs_are_left_out_and_counted(save):
    children = grid(**{"params.fold": [0, 1, 2]})
    children["tags.mlflow.parentRunId"] = [f"p{n // 3}" for n in range(27)]
    parents = children[::3].assign(**{"params.fold": "", "tags.mlflow.parentRunId": ""})
    parents["run_id"] = [f"p{n}" for n in range(9)]
    children["run_id"] = [f"c{n}" for n in range(27)]
    blank, mean = parents.assign(acc=np.nan), parents.assign(acc=1.0)
    for parent in (blank, mean):
        read = read_runs(save(pd.concat([children, parent])))
        assert len(read.table) == 27 and "diverged" not in read.table
        assert "Runs left out: parents of nested runs: 9." in read.notes


def test_run_without_a_setting_and_a_value_is_left_out(save):
    table = pd.concat([grid().assign(run_id="a"), pd.DataFrame({"run_id": ["b"]})])
    read = read_runs(save(table))
    assert len(read.table) == 9
    assert "with neither a setting nor a value: 1." in notes(read)


# --- which way is better --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["test_error", "val_loss", "valLoss", "val/ppl", "perplexity", "rmse", "metrics.nll", "bpc"],
)
def test_metric_that_is_a_loss_by_its_name_needs_a_goal(save, name):
    table = grid().rename(columns={"acc": name})
    table[name] = 100 - table[name]
    words = refusal(save(table))
    assert name in words and "--goal minimize" in words and "--goal maximize" in words
    assert "--goal minimize" in refusal(save(table), columns={"top1": name})
    read = read_runs(save(table), goal="minimize")
    assert best(read) == (0.03, 1e-4) and read.table[name].min() == 10 and not read.percent


@pytest.mark.parametrize("shift", [-100, 20])
def test_values_that_no_accuracy_has_need_a_goal(save, shift):
    table = grid().assign(acc=grid()["acc"] + shift)
    words = refusal(save(table))
    assert "no accuracy" in words and "--goal" in words and "such lines" in words
    read = read_runs(save(table), goal="maximize")
    assert best(read) == (0.03, 1e-4) and not read.percent


def test_name_that_says_nothing_needs_a_goal_unless_it_is_called_an_accuracy(save):
    table = grid().rename(columns={"acc": "value"})
    assert "--goal" in refusal(save(table))
    assert best(read_runs(save(table), columns={"top1": "value"})) == (0.03, 1e-4)
    table["value"] = 3 - table["value"] / 50
    # Losses from 1.2 up that somebody calls top1: too little for percentages.
    assert "--goal minimize" in refusal(save(table), columns={"top1": "value"})


def test_several_metrics_are_asked_for_and_training_metrics_are_not(save):
    table = grid().assign(train_acc=99.0, val_loss=1.0, acc_std=0.1)
    assert read_runs(save(table)).metric == "acc"
    assert read_runs(save(table), goal="minimize").metric == "val_loss"
    words = refusal(save(table.assign(test_acc=50.0)))
    assert "acc, test_acc" in words and "--metric" in words
    assert read_runs(save(table.assign(test_acc=50.0)), metric="test_acc").metric == "test_acc"


def test_fractions_are_recognised_file_by_file(save):
    fractions = grid().assign(acc=grid()["acc"] / 100)
    paths = [save(grid(), "dense.csv"), save(fractions, "pruned.csv")]
    read = read_runs(paths)
    assert read.table.groupby("variant")["acc"].max().tolist() == [90.0, 90.0]
    assert f"Fractions are taken times 100, in {paths[1]}." in notes(read)
    assert "leave out --percent" in refusal(paths, percent=True)


def test_few_fractions_among_percentages_are_refused(save):
    table = grid()
    table.loc[3, "acc"] = 0.89
    assert "line 5" in refusal(save(table))


# --- means ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("runs", ["5", "seeds"])
def test_means_come_with_their_deviations_and_counts(save, runs):
    table = grid().assign(acc=grid()["acc"] / 100, acc_std=0.005, seeds=5)
    assert "add --std acc_std --runs seeds." in notes(read_runs(save(table)))
    read = read_runs(save(table), std="acc_std", runs=runs)
    assert read.table["std"].tolist() == [0.5] * 9 and read.table["runs"].tolist() == [5] * 9


def test_standard_errors_become_deviations(save):
    table = grid().assign(acc_sem=0.2, n=4)
    read = read_runs(save(table), std="acc_sem", runs="n")
    assert read.table["std"].tolist() == pytest.approx([0.4] * 9)


def test_two_means_of_one_setting_are_refused(save):
    table = pd.concat([grid(), grid()]).assign(acc_std=0.1)
    assert "line 11" in refusal(save(table), std="acc_std", runs="5")
