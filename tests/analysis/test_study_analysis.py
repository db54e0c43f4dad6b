"""Analyses and verdicts of landscapes whose optima are known."""

import math

import numpy as np
import pandas as pd
import pytest

from hpstudy.analysis.landscape import Landscape
from hpstudy.analysis.risk import risk_draws
from hpstudy.analysis.study_analysis import StudyAnalysis
from hpstudy.analysis.verdict import TOLERABLE, trainings, verdict

pytestmark = pytest.mark.usefixtures("few_draws")

STEPS = np.linspace(-1.0, 1.0, 9)


def landscape(variant, shift=0.0, top=90.0, noise=0.0, seeds=3, curvature=(6.0, 2.0)):
    """A quadratic landscape whose optimum lies `shift` decades up both axes."""
    random = np.random.default_rng(len(variant))
    rows = []
    for x in STEPS:
        for y in STEPS:
            u, v = (x + y) / math.sqrt(2) - shift * math.sqrt(2), (x - y) / math.sqrt(2)
            runs = top - curvature[0] * u**2 - curvature[1] * v**2
            runs += noise * random.standard_normal(seeds)
            rows.append(
                {
                    "lr": 10 ** (x - 1),
                    "weight_decay": 10 ** (y - 3),
                    "value": runs.mean(),
                    "std": runs.std(ddof=1) if seeds > 1 else math.nan,
                    "seeds": seeds,
                    "diverged": 0.0,
                    "stopped": 0.0,
                }
            )
    return Landscape(variant, "top1", pd.DataFrame(rows))


def analysed(**pruned):
    dense = landscape("unpruned", noise=0.05)
    return StudyAnalysis({"unpruned": dense, "uniform-0.6": landscape("uniform-0.6", **pruned)})


# --- analysis -------------------------------------------------------------------------------------


def test_transfer_regret_is_the_distance_from_the_own_best():
    # 0.25 decades along both axes: the kept setting lies u = sqrt(2) / 4 from the optimum.
    analysis = analysed(shift=0.25, noise=0.05)
    measured = analysis.measured_transfer_regret("uniform-0.6")
    loss = analysis.transfer_regret("uniform-0.6").interval
    assert measured == pytest.approx(6 * 2 * 0.25**2, abs=0.15)
    assert loss.low < 0.75 < loss.high and loss.high - loss.low < 0.3


def test_best_is_corrected_for_its_luck():
    analysis = StudyAnalysis({"unpruned": landscape("unpruned", noise=0.6, seeds=1)})
    best = analysis.best("unpruned")
    # The truth at the chosen setting, which is known here.
    row = analysis.landscapes["unpruned"].best_row
    x, y = (math.log10(v) for v in analysis.landscapes["unpruned"].best_at.values())
    u, v = (x + 1 + y + 3) / math.sqrt(2), (x + 1 - y - 3) / math.sqrt(2)
    truth = 90 - 6 * u**2 - 2 * v**2
    measured = analysis.landscapes["unpruned"].points["value"].iloc[row]
    assert best.low <= truth <= best.high
    assert best.estimate < measured and abs(best.estimate - truth) < measured - truth


@pytest.mark.slow
def test_roi_probability_is_near_one_inside_and_near_zero_outside():
    analysis = analysed(noise=0.05)
    for name, landscape in analysis.landscapes.items():
        values, probability = (
            landscape.points["value"].to_numpy(),
            analysis.roi_probability(name, 1.0),
        )
        assert probability.shape == (81,)
        assert ((probability >= 0) & (probability <= 1)).all()
        assert (probability[values > 89.5] > 0.99).all()
        assert (probability[values < 88.0] < 0.01).all()


def test_regret_falls_from_the_transfer_regret_to_zero():
    analysis = analysed(shift=0.25, noise=0.05)
    curves = analysis.regret("uniform-0.6")
    for curve in curves:
        assert curve.estimate[0] == pytest.approx(
            analysis.transfer_regret("uniform-0.6").interval.estimate, abs=0.03
        )
        assert curve.estimate[-1] == pytest.approx(0) and (np.diff(curve.estimate) <= 1e-9).all()
    # On a landscape with one peak climbing finds it sooner than chance does.
    assert curves.local.estimate[6] < curves.random.estimate[6] / 2


@pytest.mark.slow
def test_transfer_regret_without_a_value_at_the_optimum_is_interpolated():
    analysis = analysed(noise=0.05)
    points = analysis.landscapes["uniform-0.6"].points
    points.loc[analysis.landscapes["unpruned"].best_row, "value"] = math.nan
    measured = analysis.measured_transfer_regret("uniform-0.6")
    loss = analysis.transfer_regret("uniform-0.6").interval
    # Both optima lie at the centre: nothing is lost there.
    assert math.isnan(measured) and loss.high < 0.1 and analysis.regret("uniform-0.6") is None
    decision = verdict(analysis, "uniform-0.6", 1.0)
    assert decision.interpolated and decision.both == "keep"
    assert trainings(analysis, "uniform-0.6") == {"random": {}, "local": {}}


def test_too_few_points_give_no_interval_and_no_error():
    few = landscape("unpruned").points.iloc[:4]
    analysis = StudyAnalysis({"unpruned": Landscape("unpruned", "top1", few)})
    assert analysis.draws("unpruned") is None and math.isnan(analysis.best("unpruned").estimate)
    assert math.isnan(analysis.shape("unpruned", 1.0).length.estimate)
    assert np.isnan(analysis.roi_probability("unpruned", 1.0)).all()


# --- verdicts -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_small_shift_and_small_loss_are_kept():
    decision = verdict(analysed(noise=0.05), "uniform-0.6", 1.0)
    assert [decision.axes[axis].answer for axis in ("lr", "weight_decay")] == ["keep", "keep"]
    assert decision.both == "keep" and decision.loss.at_most <= TOLERABLE


@pytest.mark.slow
def test_interval_beyond_the_limit_is_retuned():
    analysis = analysed(shift=0.5, noise=0.05)
    decision = verdict(analysis, "uniform-0.6", 1.0)
    # Moved half a decade up both axes, which loses 6 (0.5 sqrt 2)^2 = 3 points.
    for shift in decision.axes.values():
        assert shift.answer == "retune" and shift.shift.low > 0.3
        assert shift.shift.low - 0.05 <= 0.5 <= shift.shift.high + 0.05
    assert decision.both == "retune" and decision.loss.at_least > TOLERABLE
    assert decision.loss.estimate == pytest.approx(3.0, abs=0.2)
    # Half a decade is two steps of the grid away: climbing is there sooner than chance.
    fewest = trainings(analysis, "uniform-0.6")
    assert 1 < fewest["local"][0.5] < fewest["random"][0.5]


@pytest.mark.slow
def test_loss_with_the_limit_between_its_bounds_is_inconclusive():
    decision = verdict(analysed(shift=0.2, noise=1.5, seeds=1), "uniform-0.6", 1.0)
    assert (
        decision.loss.at_least <= TOLERABLE < decision.loss.at_most
        and decision.both == "inconclusive"
    )


@pytest.mark.slow
def test_best_on_the_edge_of_the_grid_is_inconclusive():
    # Both optima lie beyond the corner, the pruned one further: what is lost there is not seen.
    pair = {
        "unpruned": landscape("unpruned", shift=1.2, noise=0.05),
        "uniform-0.6": landscape("uniform-0.6", shift=1.6, noise=0.05),
    }
    analysis = StudyAnalysis(pair)
    assert (
        analysis.edge_probability("uniform-0.6") > 0.9
        and analysed(noise=0.05).edge_probability("uniform-0.6") < 0.1
    )
    decision = verdict(analysis, "uniform-0.6", 1.0)
    assert decision.loss.at_most <= TOLERABLE and decision.both == "inconclusive"
    assert all(shift.at_end == ("unpruned", "uniform-0.6") for shift in decision.axes.values())


def scattered(variant, seed):
    """A network tried at 60 settings of its own; the truth is the same bowl for all."""
    generator = np.random.default_rng(seed)
    x, y = generator.uniform(-1, 1, (2, 60))
    value = 90 - 4 * x**2 - 4 * y**2 + 0.1 * generator.standard_normal(60)
    points = pd.DataFrame({"lr": 10 ** (x - 1), "weight_decay": 10 ** (y - 3), "value": value})
    rest = {"std": math.nan, "seeds": 1, "diverged": 0.0, "stopped": 0.0}
    return Landscape(variant, "top1", points.assign(**rest).sort_values("lr", ignore_index=True))


@pytest.mark.slow
def test_shift_between_scattered_settings_is_interpolated():
    analysis = StudyAnalysis(
        {"unpruned": scattered("unpruned", 1), "uniform-0.6": scattered("b", 2)}
    )
    shift = analysis.shift("uniform-0.6", 1.0)
    assert shift.n == 0 and shift.interpolated and math.isnan(shift.shift)
    # The bowl is the same for both: its centre does not move.
    assert shift.shift_interval.low == 0.0 and shift.shift_interval.high < 0.3
    assert math.isfinite(analysis.shape("unpruned", 1.0).length.estimate)


def test_ellipse_of_few_draws_has_no_interval():
    # Steep: a region of 0.3 points holds the optimum and few others.
    steep = landscape("unpruned", noise=0.05, curvature=(40.0, 40.0))
    shape = StudyAnalysis({"unpruned": steep}).shape("unpruned", 0.3)
    assert shape.fitted < 0.9 and math.isnan(shape.length.estimate)
    assert shape.n.estimate < 5


@pytest.mark.slow
def test_extra_risk_takes_off_more_than_the_dense_network_loses_in_its_own_region():
    analysis = analysed(noise=0.3)
    pair = analysis.pair("uniform-0.6")
    risks = risk_draws(pair.dense, pair.other, 1.0).mean
    off = risks - analysis.extra_risk("uniform-0.6", 1.0)
    # A region that is not known costs more than the network's own, which is bounded.
    assert np.median(off) > analysis.risk("unpruned", 1.0).mean.estimate
