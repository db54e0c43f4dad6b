"""Any table of runs: every spelling of it is read alike, and what is no value is refused."""

import re
import sqlite3

import pytest
from sweeps import notes

from hpstudy.analysis.run_tables import read_runs
from hpstudy.errors import HpstudyError

HEADER = "variant,lr,weight_decay,seed,top1"
GOOD = ["unpruned,0.1,0.0001,0,93.0", "unpruned,0.1,0.001,0,94.0", "thin,0.2,0.0001,0,80.0"]


@pytest.fixture
def write(tmp_path):
    def write(*lines, name="runs.csv", encoding="utf-8"):
        path = tmp_path / name
        path.write_bytes(("\n".join(lines) + "\n").encode(encoding))
        return path

    return write


def refusal(path, **options):
    """Message of the refusal, which must be one line."""
    with pytest.raises(HpstudyError) as caught:
        read_runs(path, **options)
    words = str(caught.value)
    assert "\n" not in words
    return words


# --- what is kept ---------------------------------------------------------------------------------


def test_good_table_keeps_every_run(write):
    read = read_runs(write(HEADER, *GOOD))
    assert read.table.to_numpy().tolist() == [
        ["unpruned", 0.1, 0.0001, 0, 93.0],
        ["unpruned", 0.1, 0.001, 0, 94.0],
        ["thin", 0.2, 0.0001, 0, 80.0],
    ]
    assert (read.dense, read.axes) == ("unpruned", ("lr", "weight_decay"))
    assert (read.metric, read.goal, read.percent) == ("top1", "maximize", True)


def test_column_order_further_columns_and_blank_lines_do_not_matter(write):
    path = write("note,top1,seed,weight_decay,lr,variant", '"a, b",93.0,3,1e-4,1e-1,unpruned', "")
    row = read_runs(path).table.iloc[0]
    assert row[["variant", "lr", "seed", "top1"]].tolist() == ["unpruned", 0.1, 3, 93.0]


def test_notes_say_what_was_taken_for_what(write):
    path = write("learning_rate,wd,fold,acc", "0.1,0.0001,1,0.93", "0.1,0.001,1,0.94")
    read = read_runs(path, axes=("lr", "weight_decay"))
    assert read.notes == [
        "2 rows of runs were read. Columns of other names: weight_decay: wd; seed: fold.",
        "The metric is acc: more is better, in percent; the dense network is runs. Fractions are "
        f"taken times 100, in {path}.",
        "lr is 0.1 in all runs; weight_decay is the only axis.",
    ]


@pytest.mark.parametrize("blank", ["", "nan", "NaN", "inf", "-inf"])
def test_run_that_ended_without_a_finite_metric_diverged(write, blank):
    path = write(HEADER, *GOOD, f"unpruned,0.3,0.001,0,{blank}")
    table = read_runs(path).table
    assert table["diverged"].tolist() == [False, False, False, True]
    assert table["top1"].isna().tolist() == [False, False, False, True]


def test_run_that_says_it_diverged_has_no_value_in_any_spelling(write):
    words = ["True", "False", "1", "0", "true", "FALSE"]
    lines = [f"unpruned,0.1,0.0001,{seed},90,{word}" for seed, word in enumerate(words)]
    table = read_runs(write(HEADER + ",diverged", *lines)).table
    assert table["diverged"].tolist() == [True, False, True, False, True, False]
    assert table["top1"].isna().tolist() == [True, False, True, False, True, False]


def test_weight_decay_of_zero_stays_and_is_noted(write):
    read = read_runs(write(HEADER, *GOOD, "unpruned,0.1,0,0,92.0"))
    assert read.table["weight_decay"].tolist() == [0.0001, 0.001, 0.0001, 0.0]
    assert "Runs with weight_decay 0: 1." in notes(read)


def test_axis_with_one_value_is_dropped_and_noted(write):
    path = write("lr,weight_decay,top1", "0.1,5e-4,93", "0.2,5e-4,92")
    read = read_runs(path)
    assert read.axes == ("lr",) and "weight_decay" not in read.table
    assert "weight_decay is 0.0005 in all runs; lr is the only axis." in read.notes


def test_sweep_of_the_learning_rate_alone_needs_no_weight_decay(write):
    path = write("lr,top1", "0.1,93", "0.2,92")
    assert read_runs(path).axes == read_runs(path, axes=("lr",)).axes == ("lr",)


# --- spellings ------------------------------------------------------------------------------------

SPELLINGS = {
    "commas": ["lr,weight_decay,top1", "0.001,1e-05,77.42", "0.01,0.0001,78.9"],
    "semicolons": ["lr;weight_decay;top1", "0.001;1e-05;77.42", "0.01;0.0001;78.9"],
    "tabs": ["lr\tweight_decay\ttop1", "0.001\t1e-05\t77.42", "0.01\t0.0001\t78.9"],
    "decimal commas": ["lr;weight_decay;top1", "0,001;1e-05;77,42", "0,01;0,0001;78,9"],
    "quoted": ['lr,"weight_decay",top1', '"0,001","1e-05","77,42"', '"0,01","0,0001","78,9"'],
    "percent signs": ["lr,weight_decay,top1", "0.001,1e-05,77.42 %", "0.01,0.0001,78.9%"],
    "fixed blanks": ["lr,weight_decay,top1", "0.001,1e-05,77.42\u202f%", "0.01,0.0001,78.9\u00a0%"],
    "blanks": ["lr , weight_decay,  top1", "0.001, 1e-05 ,77.42", "0.01 ,0.0001, 78.9"],
    "commas in a header": ["lr;weight_decay;top1;a, b", "0.001;1e-05;77.42;x", "0.01;1e-4;78.9;y"],
    "minus signs": ["lr,weight_decay,top1", "0.001,1e\u221205,77.42", "0.01,1e\u22124,78.9"],
    "fractions": ["lr,weight_decay,top1", "0.001,1e-05,0.7742", "0.01,0.0001,0.789"],
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_of_a_table_is_the_same_table(write, spelling, encoding):
    table = read_runs(write(*SPELLINGS[spelling], encoding=encoding)).table
    assert table[["lr", "weight_decay", "top1"]].to_numpy().tolist() == [
        [0.001, 1e-05, 77.42],
        [0.01, 0.0001, 78.9],
    ]


def test_points_that_became_commas_are_refused_with_the_remedy(write):
    words = refusal(write("lr,weight_decay,acc", "0,001,1e-05,77,42", "0,01,0,0001,78,9"))
    assert "line 2" in words and "2 such lines" in words and "semicolons" in words


@pytest.mark.parametrize(
    "lines, cell",
    [
        (["batch_size;top1", "1.024;93,1", "512;92,5"], "1.024"),
        (["batch_size,top1", '"1,024",93', '"2,048",92'], "1,024"),
    ],
)
def test_thousand_that_may_be_one_is_refused(write, lines, cell):
    assert f"'{cell}'" in refusal(write(*lines), axes=("batch_size",))


def test_commas_between_thousands_are_read_where_points_are_decimal(write):
    path = write("batch_size,top1", '"1,024",93.5', "512,92")
    assert read_runs(path, axes=("batch_size",)).table["batch_size"].tolist() == [1024, 512]


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "column, text, reason",
    [
        ("lr", "", "not a number"),
        ("weight_decay", "inf", "finite"),
        ("seed", "first", "not a number"),
    ],
)
# Others are in tests/support/badtables.py.
def test_bad_value_is_refused_with_its_line_its_column_and_the_reason(write, column, text, reason):
    run = dict(variant="thin", lr="0.1", weight_decay="1e-4", seed="0", top1="90", diverged="0")
    bad = ",".join((run | {column: text}).values())
    words = refusal(write(HEADER + ",diverged", "unpruned,0.1,1e-4,0,93.0,0", bad))
    assert words.startswith("line 3 of ") and f"runs.csv: {column} is {text!r}, " in words
    assert reason in words


def test_number_of_bad_lines_is_in_the_refusal(write):
    words = refusal(write(HEADER, *GOOD, "thin,0.1,x,0,90", "thin,0.2,y,0,90"))
    assert words.startswith("line 5 of ") and "weight_decay is 'x'" in words
    assert "2 such lines" in words and "--columns weight_decay=COLUMN" in words


@pytest.mark.parametrize("text", ["\n\n", " , ,\n"])
def test_table_without_text_is_empty(tmp_path, text):
    path = tmp_path / "runs.csv"
    path.write_text(text)
    assert "empty" in refusal(path)


def test_line_with_too_many_cells_is_refused(write):
    assert "line 2 has 6" in refusal(write(HEADER, f"{GOOD[0]},7"))


def test_missing_files_and_folders_are_named(tmp_path):
    assert "nowhere.csv" in refusal(tmp_path / "nowhere.csv")
    assert str(tmp_path) in refusal(tmp_path)


def test_missing_column_is_named_with_the_nearest_and_what_to_type(write):
    words = refusal(write("variant,train/lr,weight_decay,seed,top1", "unpruned,0.1,0.0001,0,93.0"))
    assert "lr (did you mean 'train/lr'?)" in words and "--columns lr=train/lr" in words


def test_column_that_comes_twice_is_refused_only_where_it_is_used(write):
    words = refusal(write(HEADER + ",lr", "unpruned,0.1,0.0001,0,93.0,0.2"))
    assert "lr 2 times" in words
    assert len(read_runs(write(HEADER + ",x,x", *(f"{row},1,2" for row in GOOD))).table) == 3


@pytest.mark.parametrize("lr", ["0.1", "1e-1", "0.1000000001"])
def test_run_that_comes_twice_is_named(write, lr):
    words = refusal(write(HEADER, *GOOD, f"unpruned,{lr},0.001,0,90.0"))
    for said in ("line 5", "line 3", "'unpruned'", "lr 0.1", "weight_decay 0.001", "seed 0"):
        assert said in words


def test_another_seed_or_network_is_another_run(write):
    assert len(read_runs(write(HEADER, *GOOD, "unpruned,0.1,0.001,1,90.0")).table) == 4


def test_absent_dense_network_is_refused_with_those_of_the_table(write):
    words = refusal(write(HEADER, *GOOD), dense="full")
    assert "'full'" in words and "unpruned, thin" in words and "--dense" in words


@pytest.mark.parametrize(
    "options, word",
    [
        ({"goal": "least"}, "'least'"),
        ({"epoch": "first"}, "'first'"),
        ({"std": "top1"}, "--runs"),
        ({"where": ["lr"]}, "'lr'"),
        ({"where": ["optimiser=sgd"]}, "'optimiser'"),
        ({"where": ["variant=thick"]}, "values there: unpruned, thin"),
        ({"variant_by": "depth"}, "'depth'"),
        ({"average_over": ["depth"]}, "'depth'"),
        ({"metric": "top2"}, "'top2' (did you mean 'top1'?)"),
        ({"metric": "lr"}, "is the lr"),
        ({"axes": ("lr", "lr")}, "lr, lr"),
        ({"columns": {"pruned.csv:top1": "acc"}}, "'pruned.csv'"),
        ({"columns": {"lr": "seed", "weight_decay": "seed"}}, "--axes lr"),
    ],
)
def test_option_that_fits_nothing_is_refused(write, options, word):
    assert re.search(re.escape(word), refusal(write(HEADER, *GOOD), **options))


def test_slip_among_fractions_is_no_percentage(write):
    lines = [f"unpruned,0.1,{wd}e-4,0,0.9{wd}" for wd in range(1, 10)]
    lines += [f"unpruned,0.2,{wd}e-4,0,0.8{wd}" for wd in range(1, 10)]
    words = refusal(write(HEADER, *lines, "unpruned,0.3,0.0001,0,1.7"))
    assert "line 20" in words and "'1.7'" in words


def test_database_given_as_a_table_is_refused_with_what_to_type(tmp_path):
    sqlite3.connect(tmp_path / "study.db").execute("CREATE TABLE trials (number INTEGER)")
    assert "optuna:sqlite:///" in refusal(tmp_path / "study.db")


def test_options_may_be_typed_in_python_as_in_a_shell(write):
    path = write("variant,rate,weight_decay,seed,acc", *GOOD)
    read = read_runs(path, axes="lr,weight_decay", columns="lr=rate", where="variant=unpruned")
    # The learning rate of these two is one.
    assert read.axes == ("weight_decay",) and read.metric == "acc" and len(read.table) == 2
