"""Figures 4.1 to 4.5 of the thesis as it lays them out: what is drawn where, and what is not."""

import pandas as pd
import pytest
import sweeps
import synthetic
from test_plot_landscape import dense

from hpstudy.analysis.landscape import landscapes
from hpstudy.analysis.study_results import StudyResults
from hpstudy.errors import HpstudyError
from hpstudy.plots import plot_contours, plot_grid, plot_risk
from hpstudy.plots.thesis_figures import _form

VALUES = [[60.0, 90.0, 80.0], [88.0, 89.0, 70.0], [50.0, 40.0, 30.0]]


def contours(figure):
    return [trace for trace in figure.data if trace.type == "contour"]


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


def test_initial_grid_is_darker_than_what_was_added():
    one = dense([[70.0, 72.0], [71.0, 73.0]], [0.01, 0.1], [1e-4, 1e-3])["unpruned"]
    initial = {"lr": (0.1,), "weight_decay": (1e-4, 1e-3)}
    *added, first, last = plot_grid(one, initial=initial).data[0].marker.color
    assert first == last and set(added) == {added[0]} and first != added[0]


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
