"""Figures and captions: the prepared data, and what of it is drawn."""

import json
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
from hpstudy.plots._layout import log_ticks, mimebundle
from hpstudy.plots.captions import grid_caption, landscapes_caption, risk_caption
from hpstudy.plots.landscape import grid_data, plot_grid, plot_landscapes
from hpstudy.plots.panels import landscapes_data, surface
from hpstudy.plots.risk import plot_risk, risk_data


def runs(variant, values, lrs, weight_decays, seed=0, diverged=()):
    """Rows of a table; `values` has a row for each lr."""
    return [
        {
            "variant": variant,
            "lr": lr,
            "weight_decay": weight_decay,
            "seed": seed,
            "top1": values[i][j],
            "diverged": (lr, weight_decay) in diverged,
        }
        for i, lr in enumerate(lrs)
        for j, weight_decay in enumerate(weight_decays)
        if values[i][j] is not None
    ]


def dense(values, lrs, weight_decays, **more):
    return landscapes(pd.DataFrame(runs("unpruned", values, lrs, weight_decays, **more)))


@pytest.fixture(scope="module")
def study():
    name = "synthetic-resnet56"
    return StudyResults(name, synthetic.table(name, "resnet56"), synthetic.record(name, "resnet56"))


def test_surface_is_bilinear_in_the_logarithms():
    one = dense([[70.0, 74.0], [78.0, 90.0]], [0.01, 0.1], [1e-4, 1e-2])["unpruned"]
    lr, weight_decay, values = surface(one)
    row = int(np.argmin(abs(np.log10(lr) + 1.5)))
    column = int(np.argmin(abs(np.log10(weight_decay) + 3)))
    assert math.isclose(lr[row], 10**-1.5) and math.isclose(weight_decay[column], 1e-3)
    assert values[row, column] == pytest.approx((70 + 74 + 78 + 90) / 4)


def test_surface_passes_through_every_measured_point():
    lrs, weight_decays = [0.01, 0.03, 0.1], [1e-4, 1e-3, 1e-2]
    measured = [[1.0, 5.0, 2.0], [4.0, 9.0, 3.0], [7.0, 6.0, 8.0]]
    lr, weight_decay, values = surface(dense(measured, lrs, weight_decays)["unpruned"])
    for i, x in enumerate(lrs):
        for j, y in enumerate(weight_decays):
            row, column = np.argmin(abs(lr - x)), np.argmin(abs(weight_decay - y))
            assert lr[row] == pytest.approx(x) and weight_decay[column] == pytest.approx(y)
            assert values[row, column] == pytest.approx(measured[i][j])


def test_gap_between_measured_points_is_filled_on_their_plane_and_no_corner_is_made_up():
    # The plane 80 + 2 log10(lr) + log10(weight_decay), without its centre and one corner.
    measured = [[74.0, 75.0, 76.0], [76.0, None, 78.0], [78.0, 79.0, None]]
    one = dense(measured, [0.01, 0.1, 1.0], [0.01, 0.1, 1.0])["unpruned"]
    lr, weight_decay, values = surface(one)
    middle = np.argmin(abs(lr - 0.1)), np.argmin(abs(weight_decay - 0.1))
    assert values[middle] == pytest.approx(77.0)
    assert np.isnan(values[-1, -1])


def test_single_learning_rate_has_points_but_no_surface():
    every = dense([[70.0, 71.0]], [0.1], [1e-4, 1e-3])
    data = landscapes_data(every)
    assert np.isnan(data.panels[0].surface).all()
    assert len(data.panels[0].points) == 2
    assert plot_landscapes(every).data


def test_colour_scale_spans_the_top_fifteen_percent_of_all_variants_together():
    # Values 1 to 20 over two networks: the 0.85 quantile lies 0.15 of the way from 17 to 18.
    rows = runs("unpruned", [[float(v) for v in range(1, 11)]], [0.1], np.geomspace(1e-4, 1, 10))
    rows += runs(
        "uniform-0.6", [[float(v) for v in range(11, 21)]], [0.1], np.geomspace(1e-4, 1, 10)
    )
    data = landscapes_data(landscapes(pd.DataFrame(rows)))
    assert (data.low, data.high) == (pytest.approx(17.15), 20.0)


def test_relative_scale_ends_at_zero_for_every_network_whatever_its_accuracy():
    rows = runs("unpruned", [[90.0, 80.0]], [0.1], [1e-4, 1e-3])
    rows += runs("uniform-0.2", [[50.0, 45.0]], [0.1], [1e-4, 1e-3])
    data = landscapes_data(landscapes(pd.DataFrame(rows)), relative=True)
    assert data.high == 0
    assert [list(panel.points["colour"]) for panel in data.panels] == [[0, -10], [0, -5]]
    assert [panel.best for panel in data.panels] == [90, 50]


def test_diverged_points_stay_whether_or_not_they_have_a_value():
    every = dense(
        [[70.0, 72.0, math.nan], [71.0, 75.0, 10.0], [70.0, 71.0, 69.0]],
        [0.01, 0.1, 1.0],
        [1e-4, 1e-3, 1e-2],
        diverged={(0.1, 1e-2)},
    )
    panel = landscapes_data(every).panels[0]
    assert list(zip(panel.diverged["lr"], panel.diverged["weight_decay"], strict=True)) == [
        (0.01, 1e-2),
        (0.1, 1e-2),
    ]
    assert len(panel.points) == 8
    crosses = [t for t in plot_landscapes(every).data if t.legendgroup == "diverged" and t.xaxis]
    assert list(crosses[0].x) == [1e-2, 1e-2] and crosses[0].marker.symbol == "x"


def test_points_stopped_early_are_drawn_as_such_and_told_from_diverged_ones():
    rows = runs("unpruned", [[70.0, 72.0], [math.nan, math.nan]], [0.01, 0.1], [1e-4, 1e-3])
    table = pd.DataFrame(rows).assign(stopped=[False, False, True, False])
    every = landscapes(table.drop(columns="diverged"))
    panel = landscapes_data(every).panels[0]
    assert panel.stopped["weight_decay"].tolist() == [1e-4]
    assert panel.diverged["weight_decay"].tolist() == [1e-3]
    figure = plot_landscapes(every)
    (dashes,) = (t for t in figure.data if t.legendgroup == "stopped" and t.xaxis)
    assert list(dashes.x) == [1e-4] and "stopped early: 100% of the runs" in dashes.text[0]
    caption = landscapes_caption(every, "made up")
    assert "Dashes: 1 point" in caption and "could not reach the 1.0-ROI" in caption
    # The legend has an entry for them only where there are any.
    calm = plot_landscapes(landscapes(table.assign(stopped=False)))
    shown = [[t.name for t in f.data if t.showlegend and t.visible] for f in (figure, calm)]
    assert "stopped early" in shown[0] and "stopped early" not in shown[1]


def test_ellipse_is_drawn_from_five_points_on():
    flat = [[80.0, 80.0], [80.0, 80.0]]
    few = landscapes_data(dense(flat, [0.01, 0.1], [1e-4, 1e-3])).panels[0]
    assert few.outlines == {0.5: None, 1.0: None}
    more = landscapes_data(dense([*flat, [80.0, 70.0]], [0.01, 0.1, 1.0], [1e-4, 1e-3])).panels[0]
    lr, weight_decay = more.outlines[0.5]
    # The centre is the mean of the five points in log10.
    assert np.log10(lr[:-1]).mean() == pytest.approx((-2 - 2 - 1 - 1 + 0) / 5)
    assert np.log10(weight_decay[:-1]).mean() == pytest.approx((-4 - 3 - 4 - 3 - 4) / 5)


def test_optimum_on_the_edge_of_the_grid_has_another_mark():
    inside = [[1.0, 1.0, 1.0], [1.0, 2.0, 1.0], [1.0, 1.0, 1.0]]
    outside = [[1.0, 1.0, 1.0], [1.0, 1.0, 2.0], [1.0, 1.0, 1.0]]
    symbols = {}
    for name, values in (("inside", inside), ("edge", outside)):
        figure = plot_landscapes(dense(values, [0.01, 0.1, 1.0], [1e-4, 1e-3, 1e-2]))
        marks = [
            trace
            for trace in figure.data
            if str(trace.legendgroup).startswith("best") and not trace.showlegend and trace.x
        ]
        assert [list(mark.y) for mark in marks] == [[0.1]]
        symbols[name] = marks[0].marker.symbol
    assert symbols["inside"] != symbols["edge"]


def test_axes_are_logarithmic_with_real_values_and_shared_by_all_panels(study):
    figure = plot_landscapes(study.landscapes(), study.thresholds)
    layout = figure.layout
    axes = [layout[f"{letter}axis{n}"] for letter in "xy" for n in ("", *range(2, 6))]
    assert {axis.type for axis in axes} == {"log"}
    assert len({tuple(axis.range) for axis in axes}) == 2
    assert list(layout.xaxis.ticktext) == ["0.01", "0.1", "1"]
    lrs, weight_decays = synthetic.grid()
    points = figure.data[1]
    assert set(points.x) == set(weight_decays) and set(points.y) == set(lrs)
    titles = [note.text for note in layout.annotations]
    assert titles.count("weight decay") == titles.count("learning rate") == 5


def test_axes_of_other_hyperparameters_bear_their_names():
    table = pd.DataFrame(runs("unpruned", [[70.0, 71.0], [72.0, 74.0]], [32, 64], [0.8, 0.9]))
    table = table.rename(columns={"lr": "batch_size", "weight_decay": "momentum"})
    one = landscapes(table, axes=("batch_size", "momentum"))
    for figure in (plot_landscapes(one), plot_grid(one["unpruned"])):
        titles = [note.text for note in figure.layout.annotations]
        assert "batch size" in titles and "momentum" in titles and "weight decay" not in titles
    points = next(t for t in plot_landscapes(one).data if t.legendgroup == "points")
    assert (list(points.x), list(points.y)) == ([0.8, 0.9, 0.8, 0.9], [32, 32, 64, 64])
    assert points.text[0].startswith("batch size 32<br>momentum 0.8<br>")
    turned = landscapes(table, axes=("momentum", "batch_size"))
    with pytest.raises(HpstudyError, match="same axes"):
        plot_landscapes({"a": one["unpruned"], "b": turned["unpruned"]})


def test_one_colour_scale_for_surface_and_points_of_all_panels(study):
    figure = plot_landscapes(study.landscapes(), study.thresholds)
    contours = [trace for trace in figure.data if trace.type == "contour"]
    points = [t for t in figure.data if t.legendgroup == "points" and not t.showlegend]
    assert len(contours) == len(points) == 5
    used = {t.coloraxis for t in contours} | {t.marker.coloraxis for t in points}
    assert used == {"coloraxis"}
    assert figure.layout.coloraxis.cmin < figure.layout.coloraxis.cmax


def test_ellipses_of_two_thresholds_differ_without_colour(study):
    figure = plot_landscapes(study.landscapes(), (0.5, 1.0))
    dashes = {
        trace.legendgroup: trace.line.dash
        for trace in figure.data
        if str(trace.legendgroup).startswith("roi") and trace.showlegend
    }
    assert len(set(dashes.values())) == 2


def test_hover_names_every_field_of_a_point(study):
    figure = plot_landscapes(study.landscapes(), study.thresholds)
    text = figure.data[1].text[0]
    lrs, weight_decays = synthetic.grid()
    for word in (f"{lrs[0]:.3g}", f"{weight_decays[0]:.3g}", "top-1", "2 runs", "deviation"):
        assert word in text


def test_panels_always_have_the_same_traces(study):
    every = study.landscapes()
    one = plot_landscapes({"a": every["unpruned"]}, (0.5,))
    other = plot_landscapes({"a": every["nonuniform-0.2"]}, (3.0,))
    assert [trace.type for trace in one.data] == [trace.type for trace in other.data]


def test_drawing_changes_no_global_state(study):
    before = plotly.io.templates.default, plotly.io.renderers.default
    plot_landscapes(study.landscapes())
    plot_risk(study.risks())
    assert (plotly.io.templates.default, plotly.io.renderers.default) == before


def test_panels_wrap_into_rows_and_say_how_to_wrap_anew(study):
    layout = plot_landscapes(study.landscapes(), columns=3).layout
    assert (layout.grid.rows, layout.grid.columns) == (2, 3)
    assert layout.meta["panels"] == 5 and layout.meta["columns"] == 3


def test_nothing_to_draw_is_refused():
    with pytest.raises(HpstudyError, match="value"):
        landscapes_data(dense([[math.nan, math.nan]], [0.1], [1e-4, 1e-3]))
    with pytest.raises(HpstudyError, match="metric"):
        landscapes_data({})
    with pytest.raises(HpstudyError, match="risk"):
        plot_risk({})


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (0.001, 0.1, ["0.001", "0.01", "0.1"]),
        (0.002, 0.08, ["0.003", "0.01", "0.03"]),
        (0.04, 0.25, ["0.05", "0.1", "0.2"]),
    ],
)
def test_ticks_are_round_real_values(low, high, labels):
    ticks = log_ticks(low, high)
    assert list(ticks.labels) == labels
    assert [float(label) for label in labels] == pytest.approx(list(ticks.values))


def test_ticks_are_fewer_where_there_is_no_room():
    assert list(log_ticks(2e-4, 0.06, most=4).labels) == ["0.001", "0.01"]
    assert list(log_ticks(2e-4, 0.06).labels) == ["0.0003", "0.001", "0.003", "0.01", "0.03"]
    # One power of ten alone tells no scale, however little room there is.
    assert list(log_ticks(0.002, 0.08, most=2).labels) == ["0.003", "0.01", "0.03"]


def test_grid_shows_values_crosses_and_the_prior():
    every = dense(
        [[70.04, 72.0], [math.nan, 10.0]],
        [0.01, 0.1],
        [1e-4, 1e-3],
        diverged={(0.1, 1e-4), (0.1, 1e-3)},
    )
    cells = grid_data(every["unpruned"], {"lr": 0.01, "weight_decay": 1e-3})
    assert cells.text == ("70.0", "72.0", "– ×", "10.0 ×")
    assert cells.prior == (False, True, False, False)
    figure = plot_grid(every["unpruned"], {"lr": 0.01, "weight_decay": 1e-3})
    assert len(set(figure.data[0].marker.color)) == 2
    assert len(set(plot_grid(every["unpruned"]).data[0].marker.color)) == 1


def test_boxes_hold_the_risk_of_every_point_of_the_dense_region():
    # The dense 0.5-ROI is the first and the third point; the pruned best, 80.0, is at the second.
    rows = runs("unpruned", [[90.0, 89.0, 89.5]], [0.1], [1e-4, 1e-3, 1e-2])
    rows += runs("uniform-0.6", [[78.0, 80.0, 76.0]], [0.1], [1e-4, 1e-3, 1e-2])
    boxes = risk_data(risks(landscapes(pd.DataFrame(rows))))
    assert [box.dense for box in boxes] == [True, False]
    assert boxes[0].absolute == pytest.approx((0.0, 0.5))
    assert boxes[1].absolute == pytest.approx((2.0, 4.0))
    assert boxes[1].relative == pytest.approx((0.025, 0.05))


def test_risk_figure_has_two_panels_and_a_darker_box_for_the_dense_network(study):
    figure = plot_risk(study.risks())
    assert {box.xaxis for box in figure.data} == {"x", "x2"}
    fills = [box.fillcolor for box in figure.data if box.xaxis == "x"]
    assert fills[0] != fills[1] and len(set(fills[1:])) == 1
    brightness = [sum(int(fill[i : i + 2], 16) for i in (1, 3, 5)) for fill in fills[:2]]
    assert brightness[0] < brightness[1]


def test_captions_give_number_statistic_spread_bias_and_scale(study):
    every = study.landscapes()
    for caption in (
        landscapes_caption(every, study.label, study.thresholds),
        grid_caption(every["unpruned"], study.label),
    ):
        for words in ("n = 2 seeds", "49 points", "Mean", "Standard deviation", "biased upward"):
            assert words in caption
        assert "scaled-down study: 2,000 Fashion-MNIST images of 8×8 pixels, 5 epochs" in caption
    assert "0.5-ROI (solid)" in landscapes_caption(every, study.label, study.thresholds)
    caption = risk_caption(study.risks(), study.label)
    assert "n = 6" in caption and "biased" in caption and "scaled-down" in caption


def test_caption_of_single_runs_says_that_their_spread_is_unknown():
    every = dense([[70.0, 71.0]], [0.1], [1e-4, 1e-3])
    caption = landscapes_caption(every, "a network")
    assert "One run at each of 2 points" in caption and "not measured" in caption


def test_shown_figure_carries_itself_twice_and_names_no_host(study):
    figure = plot_landscapes(study.landscapes(), study.thresholds)
    figure.add_annotation(text="</script><b>")
    bundle = mimebundle(figure, "A <caption>.")
    html = bundle["text/html"]
    assert html.count("</script>") == 1 and "http" not in html
    inside = html.partition('<script type="application/json">')[2].partition("</script>")[0]
    assert json.loads(inside) == bundle["application/vnd.plotly.v1+json"]
    assert 'aria-label="A &lt;caption&gt;."' in html
    assert bundle["text/plain"] == "A <caption>."


# --- other metrics, values of 0, one axis ---------------------------------------------------------


def losses(values, lrs, weight_decays):
    table = pd.DataFrame(runs("unpruned", values, lrs, weight_decays))
    return landscapes(table.rename(columns={"top1": "val_loss"}), "val_loss", goal="minimize")


def test_minimized_metrics_are_drawn_in_their_own_unit_and_the_best_is_the_brightest():
    one = losses([[0.5123, 0.4], [0.3, 0.9]], [0.01, 0.1], [1e-4, 1e-3])
    figure = plot_landscapes(one, (0.05,))
    points = next(t for t in figure.data if t.legendgroup == "points")
    assert list(points.marker.color) == [0.5123, 0.4, 0.3, 0.9]
    assert "val_loss 0.5123, 1 run" in points.text[0] and "%" not in points.text[0]
    scale = figure.layout.coloraxis
    # The scale ends at the best value, and is turned.
    assert (scale.cmin, scale.reversescale) == (0.3, True)
    assert scale.colorbar.title.text == "val_loss"
    assert "best 0.3<" in figure.layout.annotations[0].text
    (star,) = (t for t in figure.data if str(t.legendgroup).startswith("best") and t.xaxis and t.x)
    assert (star.x, star.y) == ((1e-4,), (0.1,))
    away = landscapes_data(one, (0.05,), relative=True).panels[0].points["colour"]
    assert list(away) == pytest.approx([0.2123, 0.1, 0, 0.6])
    caption = landscapes_caption(one, "made up", (0.05,))
    assert "percent" not in caption and "higher values" in caption and "accuracies" not in caption


def test_value_0_has_a_column_of_its_own_beside_the_axis():
    values = [[70.0, 71.0, 72.0], [72.0, 74.0, 73.0]]
    one = dense(values, [0.01, 0.1], [0.0, 1e-4, 1e-3])
    for figure in (plot_landscapes(one), plot_grid(one["unpruned"])):
        axis = figure.layout.xaxis
        assert axis.ticktext[0] == "0" and float(axis.ticktext[1]) >= 1e-5
        zero = axis.tickvals[0]
        (line,) = figure.layout.shapes
        assert 10 ** axis.range[0] < zero < line.x0 < 1e-4
        points = next(t for t in figure.data if t.type == "scatter")
        assert list(points.x) == pytest.approx([zero, 1e-4, 1e-3] * 2)
    contour = plot_landscapes(one).data[0]
    # Nothing is interpolated to 0.
    assert min(contour.x) == 1e-4
    assert "weight decay 0<br>" in points.hovertext[0]
    assert "Beside the dotted line: weight decay 0" in landscapes_caption(one, "made up")


def test_table_of_nothing_but_0_is_drawn():
    figure = plot_landscapes(dense([[70.0], [72.0]], [0.01, 0.1], [0.0]))
    assert list(figure.layout.xaxis.ticktext) == ["0"]


def test_over_one_axis_levels_go_up_with_regions_as_bands_and_single_runs():
    table = pd.DataFrame(
        [
            {"variant": "unpruned", "lr": lr, "seed": seed, "val_loss": loss + 0.01 * seed}
            for lr, loss in zip(
                (0.001, 0.01, 0.1, 1.0, 10.0), (3.0, 0.6, 0.5, 0.55, 0.7), strict=True
            )
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
    assert list(line.x) == [0.001, 0.01, 0.1, 1.0, 10.0]
    titles = [note.text for note in figure.layout.annotations]
    assert "learning rate" in titles and "val_loss" in titles
    assert figure.layout.xaxis.type == "log" and figure.layout.yaxis.type is None
    wide = landscapes_data(one, (0.2,)).panels[0].outlines[0.2]
    assert wide is None
    # The region of 3.0 holds all five: 2 deviations of the decades -3 to 1 are 2 sqrt(2.5).
    level, ends = landscapes_data(one, (3.0,)).panels[0].outlines[3.0]
    assert list(level) == pytest.approx([3.505] * 2)
    assert np.log10(ends) == pytest.approx([-1 - 2 * math.sqrt(2.5), -1 + 2 * math.sqrt(2.5)])
    assert list(plot_grid(one["unpruned"]).data[0].text) == [
        "3",
        "0.605",
        "0.505",
        "0.555",
        "0.705",
    ]
