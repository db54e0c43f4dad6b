"""Regret curves: what is drawn of them, and where they are marked."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import synthetic

from hpstudy.analysis.landscape import landscapes
from hpstudy.analysis.study_analysis import StudyAnalysis
from hpstudy.analysis.study_results import StudyResults
from hpstudy.errors import HpstudyError
from hpstudy.plots.risk import TARGETS, plot_pooled_regret, plot_regret, regret_data

LRS, WEIGHT_DECAYS = (0.01, 0.1, 1.0), (1e-4, 1e-3)
DENSE = [70.0, 71.0, 75.0, 72.0, 71.0, 70.0]
# Best at another point than the dense network.
MOVED = [70.0, 71.0, 73.0, 73.5, 74.4, 74.0]


@dataclass(frozen=True, eq=False)
class Noiseless(StudyAnalysis):
    """Measured values are the truth, so that every curve can be enumerated."""

    def draws(self, variant):
        values = self.landscapes[variant].points["value"]
        return None if values.isna().any() else np.array([values] * 3, float)


def noiseless(**networks):
    """Analysis of networks with one value for each setting, by learning rate."""
    rows = [
        {"variant": name.replace("_", "-"), "lr": lr, "weight_decay": weight_decay, "top1": value}
        for name, values in networks.items()
        for (lr, weight_decay), value in zip(
            ((lr, weight_decay) for lr in LRS for weight_decay in WEIGHT_DECAYS),
            values,
            strict=True,
        )
    ]
    return Noiseless(landscapes(pd.DataFrame(rows)))


def by_enumeration(values, kept, k):
    """Mean over all ways to train k others beside the kept one."""
    others = [value for row, value in enumerate(values) if row != kept]
    found = [max([values[kept], *some]) for some in combinations(others, k)]
    return max(values) - sum(found) / len(found)


def marks(figure, search):
    """Marks of every panel: [[(k, regret), ...], ...]."""
    return [
        list(zip(trace.x, trace.y, strict=True))
        for trace in figure.data
        if trace.mode == "markers" and trace.legendgroup == search
    ]


def line(figure, search):
    """First panel's curve of one search."""
    return next(
        trace
        for trace in figure.data
        if trace.legendgroup == search and trace.mode == "lines" and trace.text
    )


def test_random_choice_is_the_mean_over_all_ways_to_choose():
    figure = plot_regret(noiseless(unpruned=DENSE, moved=MOVED))
    drawn = line(figure, "random")
    expected = [by_enumeration(MOVED, kept=2, k=k) for k in drawn.x]
    assert list(drawn.y) == pytest.approx(expected, rel=1e-3)


def test_marks_lie_at_the_smallest_k_that_brings_the_regret_to_each_target():
    figure = plot_regret(noiseless(unpruned=DENSE, moved=MOVED))
    curve = [by_enumeration(MOVED, kept=2, k=k) for k in range(6)]
    first = [next(k for k in range(6) if curve[k] <= target) for target in TARGETS]
    (found,) = marks(figure, "random")
    k, regret = zip(*sorted(found), strict=True)
    assert list(k) == sorted(first)
    assert list(regret) == pytest.approx([curve[k] for k in sorted(first)], rel=1e-3)


def test_curves_end_where_all_of_them_are_flat():
    analysis = noiseless(unpruned=DENSE, same=DENSE, moved=MOVED)
    curve = [by_enumeration(MOVED, kept=2, k=k) for k in range(6)]
    local = regret_data(analysis)["moved"]["local"].estimate
    last = plot_regret(analysis).layout.xaxis.range[1] / 1.02
    assert round(last) == max(
        next(k for k in range(6) if curve[k] <= 0.05),
        next(k for k in range(6) if local[k] <= 0.05),
    )


def test_network_whose_optimum_did_not_move_loses_nothing_from_the_start():
    figure = plot_regret(noiseless(unpruned=DENSE, same=DENSE))
    assert list(line(figure, "local").y) == [0, 0]
    assert marks(figure, "random") == [[(0, 0)] * len(TARGETS)]


def test_band_holds_the_middle_ninety_five_percent_of_the_draws():
    analysis = noiseless(unpruned=DENSE, moved=MOVED)
    # The kept point loses 0.00, 0.01, ... 10.00 points; the other five share the best value.
    losses = np.arange(1001) / 100
    draws = np.full((1001, 6), 75.0)
    draws[:, 2] -= losses

    class Drawn(Noiseless):
        def draws(self, variant):
            return draws

    curve = regret_data(Drawn(analysis.landscapes))["moved"]["random"]
    assert (curve.low[0], curve.estimate[0], curve.high[0]) == pytest.approx((0.25, 5.0, 9.75))
    figure = plot_regret(Drawn(analysis.landscapes))
    bands = [trace for trace in figure.data if trace.fill == "toself"]
    assert max(bands[0].y) == pytest.approx(9.75) and figure.layout.yaxis.range[1] > 9.75


def test_panels_share_their_axes():
    layout = plot_regret(noiseless(unpruned=DENSE, same=DENSE, moved=MOVED)).layout
    assert layout.yaxis.range == layout.yaxis2.range and layout.xaxis.range == layout.xaxis2.range
    assert (layout.yaxis2.matches, layout.xaxis2.matches) == ("y", "x")
    assert layout.yaxis.range[0] == 0 and layout.xaxis.type is None


def test_searches_differ_without_colour():
    figure = plot_regret(noiseless(unpruned=DENSE, moved=MOVED))
    dashes = [line(figure, name).line.dash for name in ("random", "local")]
    assert dashes[0] != dashes[1]


def test_network_without_a_regret_has_no_panel():
    panels = regret_data(noiseless(unpruned=DENSE, moved=MOVED, broken=[*MOVED[:5], np.nan]))
    assert list(panels) == ["moved"]


@pytest.mark.parametrize(
    "analysis",
    [noiseless(unpruned=DENSE), noiseless(unpruned=DENSE, broken=[np.nan] * 6)],
    ids=["no pruned network", "no values"],
)
def test_nothing_to_draw_is_refused(analysis):
    with pytest.raises(HpstudyError, match=r"no network has a regret to draw: (broken|there is)"):
        plot_regret(analysis)


@pytest.mark.slow
def test_pooled_curves_are_the_mean_of_all_networks():
    study = StudyResults(
        "mine", synthetic.table("mine", "resnet56"), synthetic.record("mine", "resnet56")
    )
    figure = plot_pooled_regret([study, study])
    local = [trace for trace in figure.data if trace.legendgroup == "local" and trace.xaxis]
    thin = [np.array(trace.y) for trace in local if trace.line.width == 1]
    (thick,) = [np.array(trace.y) for trace in local if trace.line.width > 1]
    assert len(thin) == 2 * 4
    assert thick == pytest.approx(np.mean(thin, axis=0), abs=1e-3)
    assert "mean of 8 networks" in local[-1].text[0] and "Uniform, 60 %" in local[0].text[0]
