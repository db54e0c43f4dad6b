"""Tables as other tools export them, and as this project publishes them."""

import math
from pathlib import Path

import pandas as pd
import pytest
from sweeps import notes

from hpstudy.analysis.landscape import landscapes
from hpstudy.analysis.run_tables import read_runs
from hpstudy.analysis.run_tables.names import parse_columns
from hpstudy.errors import HpstudyError

PUBLISHED = Path(__file__).parents[2] / "book" / "results" / "small-resnet20.csv"

# study.trials_dataframe().to_csv(), with the index that pandas writes by default.
OPTUNA = (
    ",number,value,datetime_start,datetime_complete,duration,"
    "params_lr,params_weight_decay,user_attrs_variant,state\n"
    """\
0,0,0.91,2024-03-05 22:45:49,2024-03-05 22:50:11,0 days 00:04:22,0.1,0.0001,unpruned,COMPLETE
1,1,0.93,2024-03-05 22:50:11,2024-03-05 22:54:30,0 days 00:04:18,0.30000000000000004,0.0001,unpruned,COMPLETE
2,2,0.92,2024-03-05 22:54:30,2024-03-05 22:58:31,0 days 00:04:01,0.3,0.0001,unpruned,COMPLETE
3,3,0.40,2024-03-05 22:58:31,2024-03-05 22:59:00,0 days 00:00:28,0.1,0.001,unpruned,PRUNED
4,4,,2024-03-05 22:59:00,2024-03-05 22:59:02,0 days 00:00:01,0.3,0.001,unpruned,FAIL
5,5,,2024-03-05 22:59:02,2024-03-05 22:59:03,0 days 00:00:00,,,,FAIL
6,6,0.88,2024-03-05 22:59:03,2024-03-05 23:03:11,0 days 00:04:08,0.1,0.0001,uniform-0.6,COMPLETE
7,7,,2024-03-05 23:03:11,,,0.3,0.0001,uniform-0.6,RUNNING
8,8,,,,,,,,WAITING
"""  # noqa: E501
)
OPTUNA_COLUMNS = (
    "lr=params_lr,weight_decay=params_weight_decay,top1=value,variant=user_attrs_variant"
)

WANDB = """\
"Name","State","Notes","User","Tags","Created","Runtime","Sweep","lr","weight_decay","seed","val/top1"
"brisk-sun-4","finished","-","ada","","2024-03-05T22:45:49Z","262","","0.1","0.0001","7","91.25"
"calm-sea-3","finished","tried ""again"", ok","ada","a, b","2024-03-05T22:40:49Z","258","","0.3","0.0001","7","93"
"dry-leaf-2","crashed","-","ada","","2024-03-05T22:35:49Z","31","","0.1","0.001","7","35.5"
"old-moon-1","failed","-","ada","","2024-03-05T22:34:49Z","3","","0.3","0.001","7",""
"new-fire-0","running","-","ada","","2024-03-05T22:33:49Z","90","","1","0.001","7","60.0"
"""  # noqa: E501


@pytest.fixture
def write(tmp_path):
    def write(text, name="runs.csv"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write


def refusal(*arguments, **options):
    with pytest.raises(HpstudyError) as caught:
        read_runs(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- Optuna ---------------------------------------------------------------------------------------


def optuna(write, text=OPTUNA):
    return read_runs(write(text), percent=True, columns=parse_columns(OPTUNA_COLUMNS))


def test_trials_of_optuna_are_runs(write):
    read = optuna(write)
    table = read.table
    assert table["variant"].tolist() == ["unpruned"] * 4 + ["uniform-0.6"]
    assert table["lr"].tolist() == pytest.approx([0.1, 0.3, 0.3, 0.1, 0.1])
    assert table["top1"].fillna(-1).tolist() == [91.0, 93.0, 92.0, -1, 88.0]
    assert read.dense == "unpruned"


def test_names_of_optuna_need_the_goal_alone(write):
    assert "--goal maximize" in refusal(write(OPTUNA))
    read = read_runs(write(OPTUNA), goal="maximize")
    assert read.table["value"].fillna(-1).tolist() == [91.0, 93.0, 92.0, -1, 88.0]
    assert "lr: params_lr; " in notes(read) and "variant: user_attrs_variant" in notes(read)


def test_settings_of_optuna_that_differ_in_the_last_digits_are_replicates_of_one_point(write):
    points = landscapes(optuna(write).table)["unpruned"].points
    assert len(points) == 3
    assert points.set_index(["lr", "weight_decay"])["value"].max() == pytest.approx(92.5)
    assert points["seeds"].tolist() == [1, 1, 2]


def test_pruned_trial_was_stopped_early_and_its_last_report_is_no_result(write):
    table = optuna(write).table
    assert table["stopped"].tolist() == [False, False, False, True, False]
    points = landscapes(table)["unpruned"].points.set_index(["lr", "weight_decay"])
    assert math.isnan(points.loc[(0.1, 0.001), "value"])
    assert points.loc[(0.1, 0.001), "diverged"] == 0
    assert points.loc[(0.1, 0.001), "stopped"] == 1


def test_trials_without_an_end_or_a_setting_are_left_out_and_counted(write):
    # Two failed, one of them before it had parameters; one still runs, one waits.
    assert "Runs left out: failed: 2; not ended: 2." in optuna(write).notes


def test_trials_that_all_still_run_are_no_table(write):
    text = "\n".join(OPTUNA.splitlines()[i] for i in (0, 8, 9)) + "\n"
    with pytest.raises(HpstudyError, match="no run of .*runs.csv has ended"):
        optuna(write, text)


def test_any_two_parameters_are_axes(write):
    text = OPTUNA.replace("params_weight_decay", "params_momentum")
    axes = ("momentum", "lr")
    columns = OPTUNA_COLUMNS.replace("weight_decay", "momentum")
    read = read_runs(write(text), percent=True, columns=parse_columns(columns, axes), axes=axes)
    table = read.table
    assert list(table.columns[:4]) == ["variant", "momentum", "lr", "seed"]
    assert landscapes(table, axes=axes)["unpruned"].best_at["momentum"] == 0.0001


# --- Weights & Biases -----------------------------------------------------------------------------


def test_runs_of_weights_and_biases_are_runs(write):
    read = read_runs(write(WANDB, "dense.csv"))
    table = read.table
    assert table["variant"].tolist() == ["dense"] * 2
    assert table["seed"].tolist() == [7] * 2
    # What crashed or failed says nothing, even if a value was logged; nor does what runs.
    assert table["val/top1"].tolist() == [91.25, 93.0]
    assert read.dense == "dense"
    assert "Runs left out: failed: 2; not ended: 1." in read.notes


def test_files_without_names_of_networks_are_a_network_each_and_the_first_is_dense(write):
    paths = [write(WANDB, "resnet.csv"), write(WANDB.replace("93", "83"), "half.csv")]
    read = read_runs(paths)
    assert read.table["variant"].unique().tolist() == ["resnet", "half"]
    found = landscapes(read.table, read.metric, read.dense, read.axes)
    assert {name: one.best for name, one in found.items()} == {"resnet": 93.0, "half": 91.25}
    assert read_runs(paths, dense="half").dense == "half"


@pytest.mark.parametrize("name", ["unpruned", "dense"])
def test_network_called_dense_is_so_in_whatever_order_the_files_come(write, name):
    paths = [write(WANDB, "nonuniform-0.2.csv"), write(WANDB, f"{name}.csv")]
    assert read_runs(paths).dense == name


def test_files_that_would_be_one_network_are_refused(write):
    paths = [write(WANDB, "a/runs.csv"), write(WANDB, "b/runs.csv")]
    assert "'runs'" in refusal(paths)


def test_file_given_twice_is_refused(write, tmp_path):
    path = write(WANDB)
    assert "once" in refusal([path, tmp_path / ".." / tmp_path.name / "runs.csv"])
    assert "at least one" in refusal([])


def test_run_repeated_in_another_file_is_named_with_both(write):
    text = "variant,lr,weight_decay,seed,top1\nunpruned,0.1,0.0001,0,93\n"
    words = refusal([write(text, "one.csv"), write(text, "two.csv")])
    assert "line 2 of" in words and "one.csv" in words and "two.csv" in words


def test_word_on_divergence_in_one_file_leaves_the_others_to_their_accuracies(write):
    head = "lr,weight_decay,top1"
    one = write(f"{head},diverged\n0.1,0.0001,93,False\n0.1,0.001,10,True\n", "unpruned.csv")
    other = write(f"{head}\n0.1,0.0001,92\n0.1,0.001,\n", "thin.csv")
    assert read_runs([one, other]).table["diverged"].tolist() == [False, True, False, True]


@pytest.mark.parametrize("state", ["", "Texas"])
def test_unknown_state_is_refused_with_known_ones(write, state):
    words = refusal(write(WANDB.replace("crashed", state)))
    assert f"line 4 of {write(WANDB)}: State is {state!r}" in words
    assert "failed" in words and "complete" in words


# --- this project's tables ------------------------------------------------------------------------


def test_published_table_reads_back_whole():
    read, plain = read_runs(PUBLISHED), pd.read_csv(PUBLISHED)
    table = read.table
    assert (read.dense, read.axes, read.metric) == ("unpruned", ("lr", "weight_decay"), "top1")
    assert len(read.notes) == 2 and read.percent
    for column in ("variant", "lr", "weight_decay", "seed", "top1", "best_top1"):
        assert table[column].equals(plain[column].astype(table[column].dtype))
    for column in ("diverged", "stopped"):
        assert table[column].tolist() == plain[column].tolist()
    assert table["top5"].isna().all() and plain["top5"].isna().all()


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted(PUBLISHED.parent.glob("*.csv")), ids=lambda path: path.stem)
def test_published_tables_need_no_option(path):
    assert len(read_runs(path).table) == len(pd.read_csv(path))


@pytest.mark.parametrize("column, text", [("top5", "101"), ("best_top1", "x"), ("stopped", "no")])
def test_further_columns_are_checked_like_the_needed_ones(write, column, text):
    run = {"lr": "0.1", "weight_decay": "1e-4", "top1": "90", column: text}
    words = refusal(write(",".join(run) + "\n" + ",".join(run.values()) + "\n"))
    assert f"{column} is {text!r}" in words


def test_fractions_become_percentages_in_every_accuracy(write):
    text = "lr,weight_decay,top1,top5,best_top1\n0.1,0.0001,0.931,0.99,0.94\n"
    table = read_runs(write(text), percent=True).table
    assert table[["top1", "top5", "best_top1"]].to_numpy().tolist() == [[93.1, 99.0, 94.0]]


# --- names ----------------------------------------------------------------------------------------


def test_columns_are_pairs_and_a_comma_in_a_name_is_quoted():
    assert parse_columns('lr=params_lr,\n"top1=Acc, test = best"') == {
        "lr": "params_lr",
        "top1": "Acc, test = best",
    }
    assert parse_columns("dense.csv:top1=acc,top1=val") == {"dense.csv:top1": "acc", "top1": "val"}


def test_columns_can_be_named_file_by_file(write):
    head = "lr,weight_decay,{}\n0.1,0.0001,93\n0.1,0.001,92\n"
    one, other = write(head.format("y"), "dense.csv"), write(head.format("z"), "pruned.csv")
    columns = parse_columns("top1=y,pruned.csv:top1=z")
    assert read_runs([one, other], columns=columns).table["top1"].tolist() == [93, 92, 93, 92]
    words = refusal([one, other], columns=parse_columns("top1=y"))
    assert f"--columns {other}:top1=COLUMN" in words


@pytest.mark.parametrize(
    "text, word",
    [
        ("", "pairs"),
        ("lr", "'lr'"),
        ("lr=", "'lr='"),
        ("lr=a,,top1=b", "''"),
        ("lr=a,lr=b", "lr twice: a and b"),
        ("lrs=a", "'lrs'.*'lr'.*weight_decay"),
        ("momentum=a", "'momentum'"),
    ],
)
def test_bad_columns_are_refused(text, word):
    with pytest.raises(HpstudyError, match=word):
        parse_columns(text)


def test_column_that_the_file_lacks_is_named_with_the_nearest(write):
    words = refusal(write(WANDB), columns={"top1": "val/top-1"})
    assert "no column 'val/top-1' (did you mean 'val/top1'?) for top1" in words


def test_column_that_was_named_is_taken_before_one_of_our_name(write):
    text = "lr,final_lr,weight_decay,top1\n0.1,0.001,0.0001,93\n0.1,0.002,0.0001,93\n"
    assert read_runs(write(text), columns={"lr": "final_lr"}).table["lr"].tolist() == [0.001, 0.002]


def test_columns_that_may_both_be_an_axis_are_asked_for_unless_they_are_equal(write):
    text = "lr,config/lr,weight_decay,top1\n0.1,0.1,0.0001,93\n0.01,{},0.0001,92\n"
    assert read_runs(write(text.format("0.01"))).table["lr"].tolist() == [0.1, 0.01]
    words = refusal(write(text.format("0.2")))
    assert "lr, config/lr" in words and "--columns lr=config/lr" in words


def test_one_axis_or_two_are_axes(write):
    path = write("lr,momentum,top1\n0.1,0.5,93\n0.01,0.9,92\n")
    assert read_runs(path, axes="lr").axes == ("lr",)
    assert read_runs(path, axes="momentum, lr").axes == ("momentum", "lr")


@pytest.mark.parametrize("text", ["", "lr,lr", "lr,weight_decay,momentum", "lr,top1", "lr,"])
def test_axes_that_are_no_hyperparameters_are_refused(text):
    with pytest.raises(HpstudyError, match="landscape has one axis or two|cannot be an axis"):
        read_runs("missing.csv", axes=text)
