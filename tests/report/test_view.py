"""The explorer's view: three panels on shared axes, curves of a point, numbers, files."""

import json
import math

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
import synthetic

from hpstudy.analysis.landscape import landscapes
from hpstudy.analysis.risk import risk
from hpstudy.analysis.study_results import StudyResults
from hpstudy.plots.learning_curves import learning_curves_data, plot_learning_curves
from hpstudy.plots.pair import move, pair_data, plot_pair
from hpstudy.report.explorer_data import hyperparameters
from hpstudy.report.explorerpage import file_name
from hpstudy.report.view import (
    network_numbers,
    numbers_html,
    pair_numbers,
    view_caption,
    view_page,
    view_table,
)


@pytest.fixture(scope="module")
def study():
    name = "synthetic-resnet56"
    return StudyResults(name, synthetic.table(name, "resnet56"), synthetic.record(name, "resnet56"))


@pytest.fixture(scope="module")
def pair(study):
    every = study.landscapes()
    return every["unpruned"], every["uniform-0.2"]


# --- figure ---------------------------------------------------------------------------------------


def test_moving_the_ellipses_gives_the_figure_that_drawing_anew_gives(pair):
    figure = plot_pair(pair_data(*pair, 0.5))
    chosen = pair[0].best_at
    after = pair_data(*pair, 2.0, multiple=1.0, chosen=chosen)
    move(figure, after)
    assert figure.to_plotly_json() == plot_pair(after).to_plotly_json()
    assert figure.to_plotly_json() != plot_pair(pair_data(*pair, 0.5)).to_plotly_json()


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
        "Unpruned",
        "Uniform, 20 %",
    ]


def test_no_curve_where_no_run_has_one(study):
    empty = learning_curves_data(study.table.assign(curve=None), ("unpruned",), {"lr": 0.1})
    assert empty.empty and len(plot_learning_curves(empty).data) == 0


# --- numbers and caption --------------------------------------------------------------------------


def test_numbers_are_those_of_the_two_landscapes(pair):
    left, right = pair
    said = {name: (one, other) for name, one, other in network_numbers(left, right, 2.0, 1.0)}
    assert said["best, %"] == (f"{left.best:.2f}", f"{right.best:.2f}")
    inside = [int((one.points["value"] >= one.best - 2.0 - 1e-9).sum()) for one in pair]
    assert said["points in the 2.0-ROI"] == tuple(f"{n} of 49" for n in inside)
    roots = [
        np.sqrt(np.linalg.eigvalsh(np.cov(np.log10(one.roi(2.0)[["lr", "weight_decay"]].T))))
        for one in pair
    ]
    assert said["ellipse, length × width in decades"] == tuple(
        f"{2 * long:.2f} × {2 * short:.2f}" for short, long in roots
    )
    lost = risk(left, right, 2.0)
    assert said["mean risk at the left network's region, points"][1].startswith(f"{lost.mean:.2f}")


def test_numbers_of_the_comparison_name_what_cannot_be_told_by_a_dash(pair):
    said = dict(pair_numbers(*pair, 0.0, 2.0))
    assert said["settings that both have"] == "49"
    assert said["centres of the ellipses apart, decades"] == "–"
    said = dict(pair_numbers(*pair, 2.0, 2.0))
    centres = [np.log10(one.roi(2.0)[["lr", "weight_decay"]]).mean() for one in pair]
    apart = float(np.linalg.norm(centres[0] - centres[1]))
    assert said["centres of the ellipses apart, decades"] == f"{apart:.2f}"


def test_names_from_a_table_never_become_markup(study):
    table = study.table.replace({"variant": {"uniform-0.2": "<img src=x>"}})
    every = StudyResults("made up", table, study.record).landscapes()
    html = numbers_html(every["unpruned"], every["<img src=x>"], 1.0, 2.0)
    assert "<img" not in html and "&lt;img" in html


def test_caption_says_n_statistic_spread_and_what_the_mean_hides(pair):
    caption = view_caption(*pair, "ResNet-56", 1.0, 1.0, ["momentum"])
    spread = pd.concat([one.points["std"] for one in pair]).median()
    for part in (
        "n = 2 runs",
        "49 points",
        f"median {spread:.2f}",
        "39.3% of a Gaussian",
        "over the values of momentum",
    ):
        assert part in caption


def test_axes_are_hyperparameters_with_several_values_and_no_results(study, refused):
    table = study.table.assign(momentum=0.9, batch_size=np.arange(len(study.table)) % 2 * 64 + 64)
    table["decay"] = np.arange(len(table))
    table["offset"] = np.arange(len(table)) - 1.0
    # One momentum only; what is below zero is no hyperparameter, and a zero is one.
    assert hyperparameters(table) == ["lr", "weight_decay", "batch_size", "decay"]
    assert hyperparameters(table[["variant", "lr", "top1"]]) == ["lr"]
    assert "needs a hyperparameter" in refused(hyperparameters, table[["variant", "top1"]])


# --- files ----------------------------------------------------------------------------------------


def test_data_of_the_view_has_a_row_for_each_point_of_each_side(pair):
    left, right = pair
    table = view_table(left, right, 1.0)
    assert table["side"].value_counts().to_dict() == {"left": 49, "right": 49}
    keyed = table.set_index(["side", "lr", "weight_decay"])
    for at, row in keyed.loc["right"].iterrows():
        dense = keyed.loc[("left", *at)]
        apart = (row["value"] - right.best) - (dense["value"] - left.best)
        assert row["difference"] == pytest.approx(apart)
    assert keyed.loc["left"]["difference"].isna().all()
    assert keyed.loc["right"]["in_region"].sum() == len(right.roi(1.0))


def test_page_of_the_view_is_one_file_that_loads_nothing_from_elsewhere():
    figure = go.Figure(go.Scatter(x=[1], y=[2]))
    page = view_page(figure, "a <b>", "n = 2 & more", "<table></table>")
    head = page.partition("<script")[0]
    assert "<title>a &lt;b&gt;</title>" in head and "<p>n = 2 &amp; more</p>" in page
    assert "<script src" not in page and "<link" not in page and len(page) > 3_000_000


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("../../etc/x", "etc-x"),
        ("a b.csv", "a-b.csv"),
        ("\u202e", "view"),
        ("x/0.5-ROI", "x-0.5-ROI"),
    ],
)
def test_name_of_a_file_is_harmless(text, name):
    assert file_name(text) == name


def test_pair_of_one_network_differs_nowhere(pair):
    same = pair_data(pair[0], pair[0], 1.0)
    assert (same.difference.data.points["difference"] == 0).all()
    assert math.isfinite(same.limit)


@pytest.mark.parametrize("axes", [("lr", "weight_decay"), ("lr",)])
def test_view_of_a_minimized_metric_moves_as_it_is_drawn_and_is_in_its_own_unit(study, axes):
    table = study.table.assign(error=100 - study.table["top1"])
    if len(axes) == 1:
        table = table[table["weight_decay"] == table["weight_decay"].iloc[0]]
    every = landscapes(table, "error", axes=axes, goal="minimize")
    left, right = every["unpruned"], every["uniform-0.2"]
    figure = plot_pair(pair_data(left, right, 0.5))
    after = pair_data(left, right, 4.0, chosen=left.best_at)
    move(figure, after)
    assert figure.to_plotly_json() == plot_pair(after).to_plotly_json()
    mark = next(trace for trace in figure.data if trace.legendgroup == "chosen")
    assert list(mark.y) == pytest.approx([left.best_at["lr"] if len(axes) == 2 else -left.best])
    said = {name: one for name, one, _ in network_numbers(left, right, 4.0, 2.0)}
    assert said["best"] == f"{-left.best:.4g}"
    rows = view_table(left, right, 4.0)
    assert rows["value"].min() == pytest.approx(min(-left.best, -right.best))
    assert rows["from_best"].min() == 0 and rows.loc[rows["in_region"], "from_best"].max() <= 4
