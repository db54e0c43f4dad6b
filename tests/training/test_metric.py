"""The metric of a command's run, read from what real trainers write."""

import math

import pytest

from hpstudy.config.command_study import Metric
from hpstudy.training.metric import read_metric

LIGHTNING = "epoch,step,train_loss,val_acc\n0,9,2.1,\n0,9,,0.31\n1,19,1.7,\n1,19,,0.42\n"


def metric(**values):
    return Metric.model_validate({"from": "json", "key": "val_acc"} | values)


@pytest.mark.parametrize(
    "text,values",
    [
        ('{"val_acc": 61.5}', [61.5]),
        ('[{"val_acc": 1}, {"other": 2}, {"val_acc": "3.5"}]', [1, 3.5]),
        ('epoch 1\n{"val_acc": 10}\n{broken\n  {"val_acc": 20, "x": [1]}\r\nend', [10, 20]),
    ],
)
def test_json_is_a_value_a_list_or_lines_among_others(tmp_path, text, values):
    assert read_metric(metric(), tmp_path, text) == values
    (tmp_path / "m.json").write_text(text)
    assert read_metric(metric(file="m.json"), tmp_path, "") == values


def test_a_column_leaves_out_the_rows_of_other_metrics(tmp_path):
    (tmp_path / "metrics.csv").write_text(LIGHTNING)
    fraction = metric(**{"from": "csv", "file": "metrics.csv", "unit": "fraction"})
    assert read_metric(fraction, tmp_path, "") == [0.31, 0.42]


def test_a_pattern_finds_every_match_and_takes_nan(tmp_path):
    pattern = metric(**{"from": "pattern", "pattern": r"acc=([\w.]+)"})
    found = read_metric(pattern, tmp_path, "acc=50.0 then acc=nan")
    assert found[0] == 50 and math.isnan(found[1])


@pytest.mark.parametrize("lost", ["nan", "NaN", "-inf", "Infinity"])
def test_a_pattern_of_digits_does_not_hide_that_a_training_diverged(tmp_path, lost):
    pattern = metric(**{"from": "pattern", "pattern": r"acc=([0-9.]+)"})
    output = f"epoch 1 val_acc=81.5\nepoch 2 val_acc={lost}\n"
    found = read_metric(pattern, tmp_path, output)
    assert found[0] == 81.5 and math.isnan(found[1]) and len(found) == 2
    # An earlier one does not count, nor another name.
    assert read_metric(pattern, tmp_path, output + "acc=70.1, loss=nan")[-1] == 70.1


@pytest.mark.parametrize("text,whole", [("acc=2.5e-05 now", "2.5e-05"), ("acc=12", "12")])
def test_a_pattern_that_takes_part_of_a_number_is_refused(tmp_path, refused, text, whole):
    short = metric(**{"from": "pattern", "pattern": r"acc=(\d(?:\.\d)?)"})
    words = refused(read_metric, short, tmp_path, text)
    assert f"of {whole!r}" in words and r"(\S+)" in words
    every = metric(**{"from": "pattern", "pattern": r"acc=([\d.]+)"})
    assert read_metric(every, tmp_path, "acc=93.1% of acc=9.5.".replace("5.", "5")) == [93.1, 9.5]


@pytest.mark.parametrize(
    "values,text,words",
    [
        ({}, '{"vall_acc": 3}', "no JSON object with the key 'val_acc' (did you mean 'vall_acc'?)"),
        ({}, '{"val_acc": "good"}', "val_acc in its output is 'good', no number"),
        ({}, '{"val_acc": 101}', "is 101, but percent is from 0 to 100"),
        ({"unit": "fraction"}, '{"val_acc": 55}', "fraction is from 0 to 1"),
        ({"file": "gone.json"}, "", "the command left no gone.json"),
        ({"from": "pattern", "pattern": "acc=(.*)"}, "loss=1", "no match of the pattern"),
    ],
)
def test_what_is_no_metric_is_named(tmp_path, refused, values, text, words):
    assert words in refused(read_metric, metric(**values), tmp_path, text)
