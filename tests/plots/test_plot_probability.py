"""Probabilities of being a good setting, in cells."""

import math

import numpy as np
import pandas as pd
import pytest
import synthetic

from hpstudy.analysis.landscape import landscapes
from hpstudy.analysis.study_analysis import StudyAnalysis
from hpstudy.errors import HpstudyError
from hpstudy.plots import plot_regret, plot_roi_probability

LRS, WEIGHT_DECAYS = np.geomspace(1e-3, 1, 6), np.geomspace(1e-5, 1e-2, 6)


def table(value, variant="unpruned", seeds=1, lrs=LRS, weight_decays=WEIGHT_DECAYS):
    """Runs over a grid; `value` makes one from log10 of both axes and the seed."""
    return pd.DataFrame(
        [
            {
                "variant": variant,
                "lr": lr,
                "weight_decay": weight_decay,
                "seed": seed,
                "top1": value(math.log10(lr), math.log10(weight_decay), seed),
            }
            for lr in lrs
            for weight_decay in weight_decays
            for seed in range(seeds)
        ]
    )


def analysis(*tables):
    return StudyAnalysis(landscapes(pd.concat(tables)))


def plane(x, y, seed):
    """Accuracies that rise by 0.8 points a decade of lr and 0.4 of weight decay, up to 80."""
    return 80.0 + 0.8 * x + 0.4 * (y + 2.0)


@pytest.fixture(scope="module")
def study():
    """Five networks on 7 x 7 points, a few of which diverge."""
    return StudyAnalysis(landscapes(synthetic.table("made-up", "resnet56", points=7, seeds=1)))


class Drawn(StudyAnalysis):
    """Four noise-free landscapes by hand, over four points."""

    def draws(self, variant):
        return np.array(
            [[80.0, 79.8, 78.0, -np.inf]] * 2
            + [[79.0, 80.0, 79.6, -np.inf]]
            + [[79.9, 79.9, 79.9, -np.inf]]
        )


def by_hand():
    values = iter([80.2, 79.9, 79.0, math.nan])
    return Drawn(
        landscapes(
            table(
                lambda x, y, seed: next(values),
                lrs=(0.01, 0.1),
                weight_decays=(1e-4, 1e-3),
            )
        )
    )


def test_every_setting_is_coloured_by_its_share_of_the_draws():
    figure = plot_roi_probability(by_hand(), 0.5)
    square, outline, crosses, *_ = figure.data
    # The fourth setting has no value: its run diverged.
    assert np.array(square.z).tolist() == [[0.75, 1.0], [0.5, 0.0]]
    assert "learning rate 0.1" in square.hovertext[1][0]
    assert "probability 0.50" in square.hovertext[1][0]
    assert (list(crosses.x), list(crosses.y)) == ([1], [1])
    # Two good cells side by side.
    assert len(outline.x) == 3 * 6
    assert (figure.layout.coloraxis.cmin, figure.layout.coloraxis.cmax) == (0, 1)
    assert "2 measured, 2.2 expected" in figure.layout.annotations[0].text


def test_network_with_too_few_points_has_no_colours():
    few = table(plane, "uniform-0.6", lrs=LRS[:2], weight_decays=WEIGHT_DECAYS[:2])
    figure = plot_roi_probability(analysis(table(plane), few), 0.5)
    square = [trace for trace in figure.data if trace.type == "heatmap"][1]
    assert all(value is None for row in square.z for value in row)
    assert "probability" not in square.hovertext[0][0]


@pytest.mark.parametrize("threshold", [-0.5, math.nan])
def test_threshold_that_is_none_is_refused(threshold):
    with pytest.raises(HpstudyError, match=f"threshold of 0 or more: {threshold}"):
        plot_roi_probability(analysis(table(plane)), threshold)


@pytest.mark.slow
@pytest.mark.parametrize(
    "plot",
    [plot_regret, lambda one: plot_roi_probability(one, 0.5)],
    ids=["regret", "probability"],
)
def test_figures_of_five_networks_keep_a_page_small(study, plot):
    assert len(plot(study).to_json()) < 300_000
