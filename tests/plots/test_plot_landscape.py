"""Landscapes, the grid and the risk: the prepared numbers, and what of them is drawn."""

import math

import numpy as np
import pandas as pd
import plotly.io
import pytest
import synthetic

from hpstudy.analysis.landscape import landscapes
from hpstudy.analysis.risk import risks
from hpstudy.analysis.study_results import StudyResults
from hpstudy.errors import HpstudyError
from hpstudy.plots import plot_grid, plot_landscapes, plot_risk
from hpstudy.plots._traces import outline
from hpstudy.plots.landscape import landscapes_data

LRS, WEIGHT_DECAYS = [0.01, 0.1, 1.0], [1e-4, 1e-3, 1e-2]


def runs(variant, values, lrs, weight_decays, diverged=()):
    """Rows of a table; `values` has a row for each lr."""
    return [
        {
            "variant": variant,
            "lr": lr,
            "weight_decay": weight_decay,
            "seed": 0,
            "top1": values[i][j],
            "diverged": (lr, weight_decay) in diverged,
        }
        for i, lr in enumerate(lrs)
        for j, weight_decay in enumerate(weight_decays)
        if values[i][j] is not None
    ]


def dense(values, lrs=LRS, weight_decays=WEIGHT_DECAYS, **more):
    return landscapes(pd.DataFrame(runs("unpruned", values, lrs, weight_decays, **more)))


def drawn(figure, group):
    """Traces of one kind of mark with something in them."""
    return [
        trace for trace in figure.data if trace.legendgroup == group and trace.xaxis and trace.x
    ]


@pytest.fixture(scope="module")
def study():
    name = "synthetic-resnet56"
    return StudyResults(name, synthetic.table(name, "resnet56"), synthetic.record(name, "resnet56"))


@pytest.fixture(scope="module")
def figure(study):
    return plot_landscapes(study.landscapes(), study.thresholds)


# --- data -----------------------------------------------------------------------------------------


def test_single_learning_rate_has_points_but_no_surface():
    every = dense([[70.0, 71.0]], [0.1], [1e-4, 1e-3])
    (panel,) = landscapes_data(every).panels
    surface = np.array(plot_landscapes(every).data[0].z, float)
    assert np.isnan(surface).all() and len(panel.measured) == 2


def test_colour_scale_spans_the_top_fifteen_percent_of_all_variants_together():
    # Values 1 to 20 over two networks: the 0.85 quantile lies 0.15 of the way from 17 to 18.
    decays = np.geomspace(1e-4, 1, 10)
    rows = runs("unpruned", [[float(v) for v in range(1, 11)]], [0.1], decays)
    rows += runs("uniform-0.6", [[float(v) for v in range(11, 21)]], [0.1], decays)
    data = landscapes_data(landscapes(pd.DataFrame(rows)))
    assert (data.low, data.high) == (pytest.approx(17.15), 20.0)


def test_relative_scale_ends_at_zero_for_every_network_whatever_its_accuracy():
    rows = runs("unpruned", [[90.0, 80.0]], [0.1], [1e-4, 1e-3])
    rows += runs("uniform-0.2", [[50.0, 45.0]], [0.1], [1e-4, 1e-3])
    data = landscapes_data(landscapes(pd.DataFrame(rows)), relative=True)
    assert data.high == 0
    assert [list(panel.points["colour"]) for panel in data.panels] == [[0, -10], [0, -5]]


def test_diverged_points_stay_whether_or_not_they_have_a_value():
    values = [[70.0, 72.0, math.nan], [71.0, 75.0, 10.0], [70.0, 71.0, 69.0]]
    every = dense(values, diverged={(0.1, 1e-2)})
    (panel,) = landscapes_data(every).panels
    assert panel.diverged[["lr", "weight_decay"]].values.tolist() == [[0.01, 1e-2], [0.1, 1e-2]]
    assert len(panel.measured) == 8
    (crosses,) = drawn(plot_landscapes(every), "diverged")
    assert list(crosses.x) == [1e-2, 1e-2] and crosses.marker.symbol == "x"


def test_points_stopped_early_are_not_drawn_as_diverged():
    rows = runs("unpruned", [[70.0, 72.0], [math.nan, math.nan]], [0.01, 0.1], [1e-4, 1e-3])
    table = pd.DataFrame(rows).assign(stopped=[False, False, True, False])
    every = landscapes(table.drop(columns="diverged"))
    (panel,) = landscapes_data(every).panels
    assert panel.stopped["weight_decay"].tolist() == [1e-4]
    assert panel.diverged["weight_decay"].tolist() == [1e-3]
    figure = plot_landscapes(every)
    (dashes,) = drawn(figure, "stopped")
    assert list(dashes.x) == [1e-4] and "stopped early: 100% of the runs" in dashes.text[0]
    # The legend has an entry for them only where there are any.
    calm = plot_landscapes(landscapes(table.assign(stopped=False)))
    names = [[t.name for t in f.data if t.showlegend and t.visible] for f in (figure, calm)]
    assert "stopped early" in names[0] and "stopped early" not in names[1]


def test_ellipse_is_drawn_from_five_points_on():
    flat = [[80.0, 80.0], [80.0, 80.0]]
    few = plot_landscapes(dense(flat, [0.01, 0.1], [1e-4, 1e-3]))
    assert drawn(few, "points") and not drawn(few, "roi-0")
    more = plot_landscapes(dense([*flat, [80.0, 70.0]], LRS, [1e-4, 1e-3]))
    broad, narrow = drawn(more, "roi-0")
    assert (broad.x, broad.y) == (narrow.x, narrow.y)
    lr, weight_decay = np.array(narrow.y), np.array(narrow.x)
    # The centre is the mean of the five points in log10.
    assert np.log10(lr[:-1]).mean() == pytest.approx((-2 - 2 - 1 - 1 + 0) / 5, abs=1e-3)
    assert np.log10(weight_decay[:-1]).mean() == pytest.approx((-4 - 3 - 4 - 3 - 4) / 5, abs=1e-3)


def test_nothing_to_draw_is_refused():
    with pytest.raises(HpstudyError, match="value"):
        landscapes_data(dense([[math.nan, math.nan]], [0.1], [1e-4, 1e-3]))
    with pytest.raises(HpstudyError, match="metric"):
        landscapes_data({})
    with pytest.raises(HpstudyError, match="risk"):
        plot_risk({})


# --- drawing --------------------------------------------------------------------------------------


@pytest.mark.parametrize("column", [1, 2])
def test_optimum_on_the_edge_of_the_grid_has_another_mark(column):
    values = [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]
    values[1][column] = 2.0
    figure = plot_landscapes(dense(values))
    (mark,) = drawn(figure, "best")
    assert mark.marker.symbol == ("star" if column == 1 else "star-square")
    assert (list(mark.x), list(mark.y)) == ([WEIGHT_DECAYS[column]], [0.1])


def test_axes_are_logarithmic_with_real_values_and_shared_by_all_panels(figure):
    axes = [figure.layout[f"{letter}axis{n}"] for letter in "xy" for n in ("", *range(2, 6))]
    assert {axis.type for axis in axes} == {"log"}
    assert len({tuple(axis.range) for axis in axes}) == 2
    assert list(figure.layout.xaxis.ticktext) == ["0.01", "0.1", "1"]
    lrs, weight_decays = synthetic.grid()
    points = figure.data[1]
    assert set(points.x) == set(weight_decays) and set(points.y) == set(lrs)
    titles = [note.text for note in figure.layout.annotations]
    assert titles.count("weight decay") == titles.count("learning rate") == 5


def test_axes_of_other_hyperparameters_bear_their_names():
    table = pd.DataFrame(runs("unpruned", [[70.0, 71.0], [72.0, 74.0]], [32, 64], [0.8, 0.9]))
    table = table.rename(columns={"lr": "batch_size", "weight_decay": "momentum"})
    one = landscapes(table, axes=("batch_size", "momentum"))
    for figure in (plot_landscapes(one), plot_grid(one["unpruned"])):
        titles = [note.text for note in figure.layout.annotations]
        assert "batch size" in titles and "momentum" in titles and "weight decay" not in titles
    (points,) = drawn(plot_landscapes(one), "points")
    assert (list(points.x), list(points.y)) == ([0.8, 0.9, 0.8, 0.9], [32, 32, 64, 64])
    assert points.text[0].startswith("batch size 32<br>momentum 0.8<br>")
    turned = landscapes(table, axes=("momentum", "batch_size"))
    with pytest.raises(HpstudyError, match="same axes"):
        plot_landscapes({"a": one["unpruned"], "b": turned["unpruned"]})


def test_surfaces_and_points_of_all_panels_have_one_colour_scale(figure):
    contours = [trace for trace in figure.data if trace.type == "contour"]
    points = drawn(figure, "points")
    assert len(contours) == len(points) == 5
    used = {t.coloraxis for t in contours} | {t.marker.coloraxis for t in points}
    assert used == {"coloraxis"}
    assert figure.layout.coloraxis.cmin < figure.layout.coloraxis.cmax


def test_ellipses_of_two_thresholds_differ_without_colour(figure):
    entries = [trace for trace in figure.data if trace.showlegend]
    dashes = [t.line.dash for t in entries if str(t.legendgroup).startswith("roi")]
    assert len(dashes) == len(set(dashes)) == 2


def test_hover_names_every_field_of_a_point(figure):
    lrs, weight_decays = synthetic.grid()
    for words in (f"{lrs[0]:.3g}", f"{weight_decays[0]:.3g}", "top-1", "2 runs", "deviation"):
        assert words in figure.data[1].text[0]


def test_drawing_changes_no_global_state(study):
    before = plotly.io.templates.default, plotly.io.renderers.default
    plot_landscapes(study.landscapes())
    plot_risk(study.risks())
    assert (plotly.io.templates.default, plotly.io.renderers.default) == before


# --- other metrics, values of 0, one axis ---------------------------------------------------------


def test_minimized_metrics_are_drawn_in_their_own_unit_and_the_best_is_the_brightest():
    table = pd.DataFrame(runs("unpruned", [[0.5123, 0.4], [0.3, 0.9]], [0.01, 0.1], [1e-4, 1e-3]))
    table = table.rename(columns={"top1": "val_loss"})
    one = landscapes(table, "val_loss", goal="minimize")
    figure = plot_landscapes(one, (0.05,))
    (points,) = drawn(figure, "points")
    assert list(points.marker.color) == [0.5123, 0.4, 0.3, 0.9]
    assert "val_loss 0.5123, 1 run" in points.text[0] and "%" not in points.text[0]
    scale = figure.layout.coloraxis
    # The scale ends at the best value, and is turned.
    assert (scale.cmin, scale.reversescale) == (0.3, True)
    assert scale.colorbar.title.text == "val_loss"
    assert "best 0.3<" in figure.layout.annotations[0].text
    (star,) = drawn(figure, "best")
    assert (star.x, star.y) == ((1e-4,), (0.1,))
    away = landscapes_data(one, (0.05,), relative=True).panels[0].points["colour"]
    assert list(away) == pytest.approx([0.2123, 0.1, 0, 0.6])


def test_value_0_is_drawn_in_its_column_and_nothing_is_interpolated_to_it():
    one = dense([[70.0, 71.0, 72.0], [72.0, 74.0, 73.0]], [0.01, 0.1], [0.0, 1e-4, 1e-3])
    for figure in (plot_landscapes(one), plot_grid(one["unpruned"])):
        axis = figure.layout.xaxis
        zero, (line,) = axis.tickvals[0], figure.layout.shapes
        assert 10 ** axis.range[0] < zero < line.x0 < 1e-4
        points = next(trace for trace in figure.data if trace.type == "scatter")
        assert list(points.x) == pytest.approx([zero, 1e-4, 1e-3] * 2)
    assert "weight decay 0<br>" in points.hovertext[0]
    assert min(plot_landscapes(one).data[0].x) == 1e-4


def test_table_of_nothing_but_0_is_drawn():
    figure = plot_landscapes(dense([[70.0], [72.0]], [0.01, 0.1], [0.0]))
    assert list(figure.layout.xaxis.ticktext) == ["0"]


def test_over_one_axis_levels_go_up_with_regions_as_bands_and_single_runs():
    losses = dict(zip((0.001, 0.01, 0.1, 1.0, 10.0), (3.0, 0.6, 0.5, 0.55, 0.7), strict=True))
    table = pd.DataFrame(
        [
            {"variant": "unpruned", "lr": lr, "seed": seed, "val_loss": loss + 0.01 * seed}
            for lr, loss in losses.items()
            for seed in (0, 1)
        ]
    )
    one = landscapes(table, "val_loss", axes=("lr",), goal="minimize")
    figure = plot_landscapes(one, (0.1,))
    band, singles, line, points = figure.data[:4]
    assert sorted(set(band.y)) == pytest.approx([0.505, 0.605])
    assert len(singles.x) == 10 and min(singles.y) == 0.5
    # Half of all points, and the region twice, are on the axis: its end is 0.505 + 2 * 0.1.
    assert list(points.y) == pytest.approx([0.705, 0.605, 0.505, 0.555, 0.705])
    assert list(points.marker.symbol) == ["triangle-up", *["circle"] * 4]
    assert list(line.x) == list(losses)
    titles = [note.text for note in figure.layout.annotations]
    assert "learning rate" in titles and "val_loss" in titles
    assert figure.layout.xaxis.type == "log" and figure.layout.yaxis.type is None
    # The region of 3.0 holds all five: 2 deviations of the decades -3 to 1 are 2 sqrt(2.5).
    level, ends = outline(one["unpruned"], 3.0)
    assert list(level) == pytest.approx([3.505] * 2)
    assert np.log10(ends) == pytest.approx([-1 - 2 * math.sqrt(2.5), -1 + 2 * math.sqrt(2.5)])
    texts = ["3", "0.605", "0.505", "0.555", "0.705"]
    assert list(plot_grid(one["unpruned"]).data[0].text) == texts


# --- grid and risk --------------------------------------------------------------------------------


def test_grid_shows_values_crosses_and_the_prior():
    prior = {"lr": 0.01, "weight_decay": 1e-3}
    failed = {(0.1, 1e-4), (0.1, 1e-3)}
    one = dense([[70.04, 72.0], [math.nan, 10.0]], [0.01, 0.1], [1e-4, 1e-3], diverged=failed)
    figure = plot_grid(one["unpruned"], prior)
    assert list(figure.data[0].text) == ["70.0", "72.0", "– ×", "10.0 ×"]
    assert list(figure.data[0].marker.line.width) == [0, 2, 0, 0]
    assert set(plot_grid(one["unpruned"]).data[0].marker.line.width) == {0}


def test_boxes_hold_the_risk_of_every_point_of_the_dense_region():
    # The dense 0.5-ROI is the first and the third point; the pruned best, 80.0, is at the second.
    rows = runs("unpruned", [[90.0, 89.0, 89.5]], [0.1], WEIGHT_DECAYS)
    rows += runs("uniform-0.6", [[78.0, 80.0, 76.0]], [0.1], WEIGHT_DECAYS)
    every = risks(landscapes(pd.DataFrame(rows)))
    boxes = plot_risk(every).data
    assert [box.name for box in boxes] == ["Dense", "Uniform, 60 % FLOPs"] * 2
    assert [*boxes[0].y, *boxes[1].y] == pytest.approx([0.0, 0.5, 2.0, 4.0])
    assert boxes[3].y == pytest.approx((0.025, 0.05))
    assert [box.xaxis for box in boxes] == ["x", "x", "x2", "x2"]
    colours = [box.line.color for box in boxes]
    assert colours[:2] == colours[2:] and len(set(colours)) == 2
