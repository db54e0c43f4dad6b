"""Surfaces of the model, and probabilities of belonging to the region of interest."""

import math

import numpy as np
import pandas as pd
import pytest
import synthetic

from hpstudy.analysis.landscape import landscapes
from hpstudy.analysis.study_analysis import StudyAnalysis
from hpstudy.errors import HpstudyError
from hpstudy.plots.risk import plot_regret
from hpstudy.plots.surrogate import plot_roi_probability, plot_surrogate, surrogate_data

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


def cliff(x, y, seed):
    """The plane, but for a quarter of the grid, where training fails."""
    return 10.0 if x > -1.5 and y > -3.5 else plane(x, y, seed)


@pytest.fixture(scope="module")
def study():
    """Five networks on 7 x 7 points, a few of which diverge."""
    return StudyAnalysis(landscapes(synthetic.table("made-up", "resnet56", points=7, seeds=1)))


def traces(figure, kind):
    return [trace for trace in figure.data if trace.type == kind and trace.xaxis]


def logs(panel):
    """Log10 of both axes at each place of a model."""
    return np.meshgrid(np.log10(panel.mean.up), np.log10(panel.mean.across), indexing="ij")


# --- surface --------------------------------------------------------------------------------------


def test_surface_of_a_plane_is_that_plane_below_its_best_corner():
    (panel,) = surrogate_data(analysis(table(plane)))
    y, x = logs(panel)
    assert panel.mean.values == pytest.approx(0.8 * y + 0.4 * (x + 2.0), abs=0.05)
    assert panel.mean.values.max() == 0 and panel.best == pytest.approx(80.0, abs=0.05)
    ends = [settings[[0, -1]] for settings in (panel.mean.up, panel.mean.across)]
    assert np.concatenate(ends) == pytest.approx([1e-3, 1, 1e-5, 1e-2])


def test_measured_points_are_coloured_by_what_was_measured_on_the_scale_of_the_surface():
    one = analysis(table(plane))
    (surface,) = surrogate_data(one)
    figure = plot_surrogate(one, 0.5)
    measured = one.landscapes["unpruned"].points["value"].to_numpy()
    mean, _ = traces(figure, "contour")
    points, _ = traces(figure, "scatter")
    assert list(points.marker.color) == pytest.approx(list(measured - surface.best), abs=1e-2)
    assert points.marker.coloraxis == mean.coloraxis == "coloraxis"


def test_points_beyond_a_cliff_are_in_the_model_and_beyond_the_end_of_the_scale():
    one = analysis(table(cliff))
    (panel,) = surrogate_data(one)
    y, x = logs(panel)
    mean, failed = panel.mean.values, (y > -1.2) & (x > -3.2)
    assert np.isfinite(mean).all() and len(panel.points) == 36
    assert mean[failed].max() < mean[(y < -1.8) | (x < -3.8)].min()
    assert plot_surrogate(one, 0.5).layout.coloraxis.cmin > -3


def test_model_is_less_sure_between_distant_points_than_at_them():
    rough = analysis(table(lambda x, y, seed: 80 - 3 * math.sin(3 * x) ** 2 - y**2 / 20))
    deviation = surrogate_data(rough)[0].deviation
    at = [int(np.argmin(abs(np.log10(deviation.up) - np.log10(lr)))) for lr in LRS]
    between = [(low + high) // 2 for low, high in zip(at[:-1], at[1:], strict=True)]
    assert deviation.values[between].mean() > deviation.values[at].mean()


@pytest.mark.slow
def test_all_networks_share_one_scale_of_means_and_one_of_deviations(study):
    figure = plot_surrogate(study, 0.5)
    surfaces = traces(figure, "contour")
    assert [one.coloraxis for one in surfaces] == ["coloraxis", "coloraxis2"] * 5
    layout = figure.layout
    assert layout.coloraxis2.cmin == 0
    every = [np.array(one.z, float) for one in surfaces[1::2]]
    assert layout.coloraxis2.cmax == pytest.approx(np.nanmax(every), rel=1e-3)
    every = [v for one in traces(figure, "scatter")[::2] for v in one.marker.color]
    assert layout.coloraxis.cmax == pytest.approx(max(every), abs=1e-3)
    assert sum(v >= layout.coloraxis.cmin for v in every) / len(every) == pytest.approx(
        0.5, abs=0.01
    )


def test_line_encloses_the_region_of_the_model(study):
    mean = traces(plot_surrogate(study, 0.7), "contour")[0]
    assert mean.contours.start == mean.contours.end == -0.7


def test_network_with_too_few_points_has_no_surface():
    few = table(plane, "uniform-0.6", lrs=LRS[:2], weight_decays=WEIGHT_DECAYS[:2])
    both = analysis(table(plane), few)
    assert [panel.landscape.variant for panel in surrogate_data(both)] == ["unpruned"]


def test_points_on_a_line_have_no_surface():
    with pytest.raises(HpstudyError, match="no network has a surface to draw"):
        plot_surrogate(analysis(table(plane, lrs=LRS[:1], weight_decays=np.geomspace(1, 9, 8))), 1)


@pytest.mark.parametrize("threshold", [-0.5, math.nan])
def test_threshold_that_is_none_is_refused(threshold):
    one = analysis(table(plane))
    for plot in (plot_surrogate, plot_roi_probability):
        with pytest.raises(HpstudyError, match=f"threshold of 0 or more: {threshold}"):
            plot(one, threshold)


# --- probability ----------------------------------------------------------------------------------


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


def test_measured_members_have_a_ring_and_every_point_its_share_of_the_draws():
    figure = plot_roi_probability(by_hand(), 0.5)
    ring, points, crosses, dashes = traces(figure, "scatter")
    assert list(zip(ring.x, ring.y, strict=True)) == [(1e-4, 0.01), (1e-3, 0.01)]
    assert list(points.marker.color) == [0.75, 1.0, 0.5]
    assert "learning rate 0.1" in points.text[2] and "probability 0.50" in points.text[2]
    # The fourth point has no value, and so no colour: a run without one diverged.
    assert list(crosses.x) == [1e-3] and not dashes.x
    assert (figure.layout.coloraxis.cmin, figure.layout.coloraxis.cmax) == (0, 1)
    assert "2 measured, 2.2 expected" in figure.layout.annotations[0].text


def test_network_with_too_few_points_is_grey():
    few = table(plane, "uniform-0.6", lrs=LRS[:2], weight_decays=WEIGHT_DECAYS[:2])
    both = analysis(table(plane), few)
    grey = traces(plot_roi_probability(both, 0.5), "scatter")[5]
    assert isinstance(grey.marker.color, str) and len(grey.x) == 4
    assert "probability" not in grey.text[0]


# --- all ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "plot",
    [plot_regret, lambda one: plot_roi_probability(one, 0.5), lambda one: plot_surrogate(one, 0.5)],
    ids=["regret", "probability", "surrogate"],
)
def test_figures_of_five_networks_keep_a_page_small(study, plot):
    assert len(plot(study).to_json()) < 300_000
