"""The explorer's figure and the learning curves of a setting."""

import json
import math

import pytest
import synthetic

from hpstudy.analysis.landscape import landscapes
from hpstudy.analysis.study_results import StudyResults
from hpstudy.plots.learning_curves import learning_curves_data, plot_learning_curves
from hpstudy.plots.pair import move, pair_data, plot_pair


@pytest.fixture(scope="module")
def study():
    name = "synthetic-resnet56"
    return StudyResults(name, synthetic.table(name, "resnet56"), synthetic.record(name, "resnet56"))


@pytest.fixture(scope="module")
def pair(study):
    landscapes = study.landscapes()
    return landscapes["unpruned"], landscapes["uniform-0.2"]


def test_moving_the_ellipses_gives_the_figure_that_drawing_anew_gives(pair):
    before = pair_data(*pair, 0.5)
    figure = plot_pair(before)
    after = before.at(2.0, multiple=1.0, chosen=pair[0].best_at)
    move(figure, after, before.traces())
    assert figure.to_plotly_json() == plot_pair(after).to_plotly_json()
    assert figure.to_plotly_json() != plot_pair(pair_data(*pair, 0.5)).to_plotly_json()


def test_another_network_on_the_same_planes_gives_the_figure_that_drawing_anew_gives(study, pair):
    before, after = (
        pair_data(pair[0], other, 0.5, relative=True)
        for other in (pair[1], study.landscapes()["nonuniform-0.6"])
    )
    assert before.planes == after.planes
    figure = plot_pair(before)
    move(figure, after, before.traces(), every=True)
    assert figure.to_plotly_json() == plot_pair(after).to_plotly_json()


def test_panels_are_linked_and_each_marks_the_chosen_point(pair):
    at = pair[0].best_at
    figure = plot_pair(pair_data(*pair, 1.0, chosen=at))
    assert {figure.layout.xaxis2.matches, figure.layout.xaxis3.matches} == {"x"}
    assert {figure.layout.yaxis2.matches, figure.layout.yaxis3.matches} == {"y"}
    marks = [trace for trace in figure.data if trace.legendgroup == "chosen"]
    assert [trace.xaxis for trace in marks] == ["x", "x2", "x3"]
    assert {(*trace.x, *trace.y) for trace in marks} == {(at["weight_decay"], at["lr"])}


def test_third_panel_has_a_scale_of_its_own_as_wide_as_that_of_the_landscapes(pair):
    figure = plot_pair(pair_data(*pair, 1.0, relative=True))
    landscape, difference = figure.layout.coloraxis, figure.layout.coloraxis2
    assert difference.cmax == pytest.approx(landscape.cmax - landscape.cmin)
    assert difference.cmin == -difference.cmax
    assert landscape.cmax == 0


def test_pair_of_one_network_differs_nowhere(pair):
    same = pair_data(pair[0], pair[0], 1.0)
    assert (same.difference.points["difference"] == 0).all()
    assert math.isfinite(same.difference.limit)


@pytest.mark.slow
@pytest.mark.parametrize("axes", [("lr", "weight_decay"), ("lr",)])
def test_pair_of_a_minimized_metric_moves_as_it_is_drawn(study, axes):
    table = study.table.assign(error=100 - study.table["top1"])
    if len(axes) == 1:
        table = table[table["weight_decay"] == table["weight_decay"].iloc[0]]
    networks = landscapes(table, "error", axes=axes, goal="minimize")
    left, right = networks["unpruned"], networks["uniform-0.2"]
    before = pair_data(left, right, 0.5)
    figure = plot_pair(before)
    after = before.at(4.0, multiple=2.0, chosen=left.best_at)
    move(figure, after, before.traces())
    assert figure.to_plotly_json() == plot_pair(after).to_plotly_json()
    mark = next(trace for trace in figure.data if trace.legendgroup == "chosen")
    assert list(mark.y) == pytest.approx([left.best_at["lr"] if len(axes) == 2 else -left.best])


# --- learning curves ------------------------------------------------------------------------------


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
