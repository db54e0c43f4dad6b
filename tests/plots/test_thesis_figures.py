"""Figures 4.1 to 4.5 of the thesis as it lays them out: what is drawn where, and what is not."""

import math

import numpy as np
import pandas as pd
import plotly.io
import pytest
import sweeps
import synthetic

from hpstudy.analysis.landscape import landscapes
from hpstudy.analysis.study_results import StudyResults
from hpstudy.errors import HpstudyError
from hpstudy.plots import plot_contours, plot_grid, plot_risk
from hpstudy.plots.thesis_figures import _form, contours_data

LRS, WEIGHT_DECAYS = [0.01, 0.1, 1.0], [1e-4, 1e-3, 1e-2]
VALUES = [[60.0, 90.0, 80.0], [88.0, 89.0, 70.0], [50.0, 40.0, 30.0]]


def dense(values, lrs=LRS, weight_decays=WEIGHT_DECAYS, **more):
    return landscapes(pd.DataFrame(sweeps.rows("unpruned", values, lrs, weight_decays, **more)))


def drawn(figure, group):
    """Traces of one kind of mark with something in them."""
    return [
        trace for trace in figure.data if trace.legendgroup == group and trace.xaxis and trace.x
    ]


def contours(figure):
    return [trace for trace in figure.data if trace.type == "contour"]


@pytest.fixture(scope="module")
def study():
    name = "synthetic-resnet56"
    return StudyResults(name, synthetic.table(name, "resnet56"), synthetic.record(name, "resnet56"))


@pytest.fixture(scope="module")
def figure(study):
    return plot_contours([study.landscapes()], study.thresholds)


# --- contours above settings ----------------------------------------------------------------------


def test_contours_leave_out_what_lies_below_the_scale_and_fill_it():
    figure = plot_contours([dense(VALUES)], top=0.4)
    (ground,) = contours(figure)
    shown = [value for row in ground.z for value in row if value is not None]
    assert min(shown) >= figure.layout.coloraxis.cmin and 90.0 in shown and 30.0 not in shown
    assert ground.connectgaps
    # Below stands every setting, those below the scale too.
    points = [t for t in figure.data if t.legendgroup == "points" and t.xaxis == "x2"]
    assert len(points[0].x) == 9


@pytest.mark.slow
def test_network_wholly_below_the_scale_says_so():
    table = synthetic.table("s", "resnet56")
    table.loc[table["variant"] == "uniform-0.2", "top1"] -= 40
    drawn = landscapes(table)
    figure = plot_contours([drawn])
    texts = [note.text for note in figure.layout.annotations]
    below = [one for one in drawn.values() if one.best < figure.layout.coloraxis.cmin]
    assert texts.count("below the<br>scale") == len(below) >= 1


@pytest.mark.slow
def test_two_accuracies_have_a_scale_each():
    table = synthetic.table("s", "resnet56").assign(top5=lambda own: 100 - (100 - own["top1"]) / 4)
    figure = plot_contours([landscapes(table, metric) for metric in ("top1", "top5")])
    assert [ground.coloraxis for ground in contours(figure)] == ["coloraxis"] * 5 + [
        "coloraxis2"
    ] * 5
    assert "top-5" in figure.layout.coloraxis2.colorbar.title.text
    assert figure.layout.coloraxis.cmax < figure.layout.coloraxis2.cmax


def test_narrow_page_keeps_the_settings_of_a_network_below_its_contours():
    form = _form(networks=3, columns=2)
    assert form["grid.subplots"] == [["xy", "x2y2"], ["x4y4", "x5y5"], ["x3y3", ""], ["x6y6", ""]]
    assert form["grid.rows"] == 4


def test_colour_scale_spans_the_top_fifteen_percent_of_all_variants_together():
    # Values 1 to 20 over two networks: the 0.85 quantile lies 0.15 of the way from 17 to 18.
    decays = np.geomspace(1e-4, 1, 10)
    rows = sweeps.rows("unpruned", [[float(v) for v in range(1, 11)]], [0.1], decays)
    rows += sweeps.rows("uniform-0.6", [[float(v) for v in range(11, 21)]], [0.1], decays)
    data = contours_data(landscapes(pd.DataFrame(rows)))
    assert (data.low, data.high) == (pytest.approx(17.15), 20.0)


def test_diverged_points_stay_whether_or_not_they_have_a_value():
    values = [[70.0, 72.0, math.nan], [71.0, 75.0, 10.0], [70.0, 71.0, 69.0]]
    every = dense(values, diverged={(0.1, 1e-2)})
    figure = plot_contours([every])
    (crosses,) = drawn(figure, "diverged")
    assert (list(crosses.y), list(crosses.x)) == ([0.01, 0.1], [1e-2, 1e-2])
    assert crosses.marker.symbol == "x"
    (measured,) = drawn(figure, "points")
    assert len(measured.x) == 8


def test_points_stopped_early_are_not_drawn_as_diverged():
    rows = sweeps.rows("unpruned", [[70.0, 72.0], [math.nan, math.nan]], [0.01, 0.1], [1e-4, 1e-3])
    table = pd.DataFrame(rows).assign(stopped=[False, False, True, False])
    every = landscapes(table.drop(columns="diverged"))
    figure = plot_contours([every])
    ((crosses,), (dashes,)) = (drawn(figure, group) for group in ("diverged", "stopped"))
    assert list(crosses.x) == [1e-3]
    assert list(dashes.x) == [1e-4] and "stopped early: 100% of the runs" in dashes.text[0]
    # The legend has an entry for them only where there are any.
    calm = plot_contours([landscapes(table.assign(stopped=False))])
    names = [[t.name for t in f.data if t.showlegend and t.visible] for f in (figure, calm)]
    assert "stopped early" in names[0] and "stopped early" not in names[1]


def test_ellipse_is_drawn_from_five_points_on():
    flat = [[80.0, 80.0], [80.0, 80.0]]
    few = plot_contours([dense(flat, [0.01, 0.1], [1e-4, 1e-3])])
    assert drawn(few, "points") and not drawn(few, "roi-0")
    more = plot_contours([dense([*flat, [80.0, 70.0]], LRS, [1e-4, 1e-3])])
    broad, narrow = drawn(more, "roi-0")
    assert (broad.x, broad.y) == (narrow.x, narrow.y)
    lr, weight_decay = np.array(narrow.y), np.array(narrow.x)
    # The centre is the mean of the five points in log10.
    assert np.log10(lr[:-1]).mean() == pytest.approx((-2 - 2 - 1 - 1 + 0) / 5, abs=1e-3)
    assert np.log10(weight_decay[:-1]).mean() == pytest.approx((-4 - 3 - 4 - 3 - 4) / 5, abs=1e-3)


def test_nothing_to_draw_is_refused():
    with pytest.raises(HpstudyError, match="value"):
        contours_data(dense([[math.nan, math.nan]], [0.1], [1e-4, 1e-3]))
    with pytest.raises(HpstudyError, match="not none"):
        contours_data({})
    with pytest.raises(HpstudyError, match="risk"):
        plot_risk([])


def test_axes_are_logarithmic_with_real_values_and_shared_by_all_panels(figure):
    axes = [figure.layout[f"{letter}axis{n}"] for letter in "xy" for n in ("", *range(2, 11))]
    assert {axis.type for axis in axes} == {"log"}
    assert len({tuple(axis.range) for axis in axes}) == 2
    assert list(figure.layout.xaxis.ticktext) == ["0.01", "0.1", "1"]
    lrs, weight_decays = synthetic.grid()
    points = figure.data[1]
    assert set(points.x) == set(weight_decays) and set(points.y) == set(lrs)
    titles = [note.text for note in figure.layout.annotations]
    assert titles.count("weight decay") == titles.count("learning rate") == 10


def test_axes_of_other_hyperparameters_bear_their_names():
    table = pd.DataFrame(
        sweeps.rows("unpruned", [[70.0, 71.0], [72.0, 74.0]], [32, 64], [0.8, 0.9])
    )
    table = table.rename(columns={"lr": "batch_size", "weight_decay": "momentum"})
    one = landscapes(table, axes=("batch_size", "momentum"))
    for figure in (plot_contours([one]), plot_grid(one["unpruned"])):
        titles = [note.text for note in figure.layout.annotations]
        assert "batch size" in titles and "momentum" in titles and "weight decay" not in titles
    (points,) = drawn(plot_contours([one]), "points")
    assert (list(points.x), list(points.y)) == ([0.8, 0.9, 0.8, 0.9], [32, 32, 64, 64])
    assert points.text[0].startswith("batch size 32<br>momentum 0.8<br>")
    turned = landscapes(table, axes=("momentum", "batch_size"))
    with pytest.raises(HpstudyError, match="same two axes, not .*batch_size"):
        contours_data({"a": one["unpruned"], "b": turned["unpruned"]})


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
    plot_contours([study.landscapes()])
    plot_risk([study])
    assert (plotly.io.templates.default, plotly.io.renderers.default) == before


def test_minimized_metrics_are_drawn_in_their_own_unit_and_the_best_is_the_brightest():
    table = pd.DataFrame(
        sweeps.rows("unpruned", [[0.5123, 0.4], [0.3, 0.9]], [0.01, 0.1], [1e-4, 1e-3])
    )
    table = table.rename(columns={"top1": "val_loss"})
    one = landscapes(table, "val_loss", goal="minimize")
    figure = plot_contours([one], (0.05,))
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


def test_value_0_is_drawn_in_its_column_and_nothing_is_interpolated_to_it():
    one = dense([[70.0, 71.0, 72.0], [72.0, 74.0, 73.0]], [0.01, 0.1], [0.0, 1e-4, 1e-3])
    for figure in (plot_contours([one]), plot_grid(one["unpruned"])):
        axis = figure.layout.xaxis
        zero, (line, *_) = axis.tickvals[0], figure.layout.shapes
        assert 10 ** axis.range[0] < zero < line.x0 < 1e-4
        points = next(trace for trace in figure.data if trace.type == "scatter")
        assert list(points.x) == pytest.approx([zero, 1e-4, 1e-3] * 2)
    assert "weight decay 0<br>" in points.hovertext[0]
    assert min(plot_contours([one]).data[0].x) == 1e-4


def test_table_of_nothing_but_0_is_drawn():
    figure = plot_contours([dense([[70.0], [72.0]], [0.01, 0.1], [0.0])])
    assert list(figure.layout.xaxis.ticktext) == ["0"]


# --- grid -----------------------------------------------------------------------------------------


def test_grid_shows_values_crosses_and_the_prior():
    prior = {"lr": 0.01, "weight_decay": 1e-3}
    failed = {(0.1, 1e-4), (0.1, 1e-3)}
    one = dense([[70.04, 72.0], [math.nan, 10.0]], [0.01, 0.1], [1e-4, 1e-3], diverged=failed)
    figure = plot_grid(one["unpruned"], prior)
    assert list(figure.data[0].text) == ["70.0", "72.0", "– ×", "10.0 ×"]
    assert list(figure.data[0].marker.line.width) == [0, 2, 0, 0]
    assert set(plot_grid(one["unpruned"]).data[0].marker.line.width) == {0}


def test_initial_grid_is_darker_than_what_was_added():
    one = dense([[70.0, 72.0], [71.0, 73.0]], [0.01, 0.1], [1e-4, 1e-3])["unpruned"]
    initial = {"lr": (0.1,), "weight_decay": (1e-4, 1e-3)}
    *added, first, last = plot_grid(one, initial=initial).data[0].marker.color
    assert first == last and set(added) == {added[0]} and first != added[0]


# --- risk -----------------------------------------------------------------------------------------


def test_risks_of_all_studies_stand_in_one_figure():
    # The dense 0.5-ROI is the first and the third point; the pruned best, 80.0, is at the second.
    rows = sweeps.rows("unpruned", [[90.0, 89.0, 89.5]], [0.1], [1e-4, 1e-3, 1e-2])
    rows += sweeps.rows("uniform-0.6", [[78.0, 80.0, 76.0]], [0.1], [1e-4, 1e-3, 1e-2])
    table = pd.DataFrame(rows)
    studies = [StudyResults(n, table, synthetic.record(n, "resnet56")) for n in ("one", "two")]
    figure = plot_risk(studies)
    absolute = [box for box in figure.data if box.xaxis == "x"]
    assert [*absolute[0].x, *absolute[1].x] == pytest.approx([0.0, 0.5, 2.0, 4.0])
    relative = [box for box in figure.data if box.xaxis == "x2"]
    assert relative[1].x == pytest.approx((2.5, 5.0))
    # Rows 0 and 3 are headings.
    assert [box.y[0] for box in absolute] == [1, 2, 4, 5]
    assert absolute[0].line.color == absolute[2].line.color != absolute[1].line.color
    with pytest.raises(HpstudyError):
        plot_risk([])
