"""Forest plot: each network's shift and loss, and what decides on them."""

import judged
import pytest

from hpstudy.analysis.intervals import NO_LOSS, Loss
from hpstudy.analysis.verdict import VerdictGroup
from hpstudy.plots import plot_forest
from hpstudy.plots.forest import HOLLOW, forest_data

NETWORKS = [
    judged.verdict("uniform-0.6"),
    judged.verdict("uniform-0.2", "inconclusive"),
    judged.verdict("nonuniform-0.2", "retune", lr="retune", weight_decay="keep"),
]
GROUPS = [VerdictGroup("one", NETWORKS[:2]), VerdictGroup("two", NETWORKS[2:])]


def dots(figure, suffix):
    """Place of each dot in a panel, with its estimate, symbol and colour."""
    return {
        y: (x, trace.marker.symbol, trace.marker.color)
        for trace in figure.data
        if trace.xaxis == f"x{suffix}" and trace.mode == "markers"
        for x, y in zip(trace.x, trace.y, strict=True)
        if x == x
    }


def test_every_network_has_a_row_below_its_study():
    figure = plot_forest(GROUPS)
    # Places 0 and 3 are headings.
    assert figure.layout.yaxis.tickvals == (1, 2, 4)
    assert figure.layout.yaxis.ticktext == ("Uniform, 60 %", "Uniform, 20 %", "Non-uniform, 20 %")
    assert [len(dots(figure, suffix)) for suffix in ("", "2", "3")] == [3, 3, 3]


def test_verdicts_differ_without_colour():
    found = dots(plot_forest(GROUPS), "3")
    assert [found[row][0] for row in (1, 2, 4)] == [0.1, 0.4, 0.9]
    assert found[1][1] == "circle" and found[1][2] != HOLLOW
    assert found[2][1:] == ("circle", HOLLOW)
    assert found[4][1] == "square"


def test_shifts_are_labelled_as_factors_and_lie_inside_the_panel():
    learning_rate, _, loss = forest_data(GROUPS)
    assert learning_rate.ticks[0.0] == "same" and "×2" in learning_rate.ticks.values()
    assert learning_rate.ends[1] > 0.8 and loss.ends[1] > 1.2


def test_loss_has_an_end_only_where_there_is_a_bound():
    figure = plot_forest(GROUPS)
    sizes = {
        end: size
        for trace in figure.data
        if trace.xaxis == "x3" and trace.mode == "lines+markers"
        for end, size in zip(trace.x, trace.marker.size, strict=True)
        if end == end
    }
    assert sizes == {0.0: 0, 0.3: 8, 1.1: 8, 0.6: 8, 1.2: 8}


def test_panels_stand_below_each_other_on_a_narrow_page():
    figure = plot_forest(GROUPS)
    narrow = figure.layout.meta["narrow"]
    assert narrow["height"] > 2 * figure.layout.height
    domains = [narrow[f"yaxis{suffix}.domain"] for suffix in ("", "2", "3")]
    assert domains[0][0] > domains[1][1] and domains[1][0] > domains[2][1] >= 0
    assert all(narrow[f"yaxis{suffix}.showticklabels"] for suffix in ("", "2", "3"))


@pytest.mark.parametrize("loss", [NO_LOSS, Loss(30.0, 20.0, 45.0)])
def test_one_hyperparameter_without_a_loss_or_with_a_great_one(loss):
    figure = plot_forest([VerdictGroup("", [judged.verdict(both="retune", loss=loss, lr="keep")])])
    assert figure.layout.yaxis2.tickvals == (0,) and len(figure.layout.xaxis2.tickvals) >= 2
    assert len(figure.layout.annotations) == 2
