"""Learning curves of the runs at one setting."""

import json

import pytest
import synthetic

from hpstudy.analysis.study_results import StudyResults
from hpstudy.plots.learning_curves import learning_curves_data, plot_learning_curves


@pytest.fixture(scope="module")
def study():
    name = "synthetic-resnet56"
    return StudyResults(name, synthetic.table(name, "resnet56"), synthetic.record(name, "resnet56"))


def test_curves_at_a_point_are_those_recorded_of_its_runs(study):
    row = study.table[study.table["variant"] == "uniform-0.2"].iloc[10]
    at = {"lr": row["lr"] * (1 + 1e-12), "weight_decay": row["weight_decay"]}
    curves = learning_curves_data(study.table, ("unpruned", "uniform-0.2", "unpruned"), at)
    assert list(curves["variant"].unique()) == ["unpruned", "uniform-0.2"]
    run = curves[(curves["variant"] == "uniform-0.2") & (curves["seed"] == row["seed"])]
    recorded = json.loads(row["curve"])
    assert run["epoch"].tolist() == [1, 2]
    for name in ("top1", "loss", "train_loss"):
        assert run[name].tolist() == recorded[name]


def test_there_is_a_line_for_each_run_and_series(study):
    at = study.landscapes()["unpruned"].best_at
    curves = learning_curves_data(study.table, ("unpruned", "uniform-0.2"), at)
    figure = plot_learning_curves(curves)
    # Two networks with two seeds: accuracy, loss on training and on test images.
    assert len(figure.data) == 2 * 2 * 3
    assert [trace.name for trace in figure.data if trace.showlegend] == [
        "Dense",
        "Uniform, 20 %",
    ]


def test_no_curve_where_no_run_has_one(study):
    empty = learning_curves_data(study.table.assign(curve=None), ("unpruned",), {"lr": 0.1})
    assert empty.empty and len(plot_learning_curves(empty).data) == 0
