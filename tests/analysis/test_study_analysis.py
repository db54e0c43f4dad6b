"""Analyses and verdicts of landscapes whose optima are known."""

import math

import numpy as np
import pandas as pd
import pytest

from hpstudy.analysis.landscape import Landscape
from hpstudy.analysis.study_analysis import StudyAnalysis
from hpstudy.analysis.verdict import TOLERABLE, trainings, verdict

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


def analysis(**pruned):
    dense = landscape("unpruned", noise=0.05)
    return StudyAnalysis({"unpruned": dense, "uniform-0.6": landscape("uniform-0.6", **pruned)})


# --- analysis -------------------------------------------------------------------------------------


def test_loss_at_the_kept_setting_is_the_distance_from_the_own_best():
    # 0.25 decades along both axes: the kept setting lies u = sqrt(2) / 4 from the optimum.
    one = analysis(shift=0.25, noise=0.05)
    measured = one.measured_transfer_regret("uniform-0.6")
    loss = one.transfer_regret("uniform-0.6").interval
    assert measured == pytest.approx(6 * 2 * 0.25**2, abs=0.15)
    assert loss.low < 0.75 < loss.high and loss.high - loss.low < 0.3


def test_best_is_corrected_for_its_luck():
    one = StudyAnalysis({"unpruned": landscape("unpruned", noise=0.6, seeds=1)})
    best = one.best("unpruned")
    # The truth at the chosen setting, which is known here.
    row = one.landscapes["unpruned"].best_row
    x, y = (math.log10(v) for v in one.landscapes["unpruned"].best_at.values())
    u, v = (x + 1 + y + 3) / math.sqrt(2), (x + 1 - y - 3) / math.sqrt(2)
    truth = 90 - 6 * u**2 - 2 * v**2
    assert best.measured == one.landscapes["unpruned"].points["value"].iloc[row]
    assert best.corrected.low <= truth <= best.corrected.high
    assert best.bias > 0 and abs(best.corrected.estimate - truth) < best.measured - truth


def test_points_belong_to_the_region_with_a_probability():
    one = analysis(noise=0.05)
    for name, landscape in one.landscapes.items():
        values, found = landscape.points["value"].to_numpy(), one.roi_probability(name, 1.0)
        assert found.shape == (81,) and ((found >= 0) & (found <= 1)).all()
        assert (found[values > 89.5] > 0.99).all() and (found[values < 88.0] < 0.01).all()


def test_regret_begins_at_the_loss_and_ends_at_nothing():
    one = analysis(shift=0.25, noise=0.05)
    curves = one.regret("uniform-0.6")
    for curve in curves:
        assert curve.estimate[0] == pytest.approx(
            one.transfer_regret("uniform-0.6").interval.estimate, abs=0.03
        )
        assert curve.estimate[-1] == pytest.approx(0) and (np.diff(curve.estimate) <= 1e-9).all()
    # On a landscape with one peak climbing finds it sooner than chance does.
    assert curves.local.estimate[6] < curves.random.estimate[6] / 2


def test_loss_of_a_network_without_a_value_at_the_optimum_is_read_off_its_surface():
    one = analysis(noise=0.05)
    points = one.landscapes["uniform-0.6"].points
    points.loc[one.landscapes["unpruned"].best_row, "value"] = math.nan
    measured = one.measured_transfer_regret("uniform-0.6")
    loss = one.transfer_regret("uniform-0.6").interval
    # Both optima lie at the centre: nothing is lost there.
    assert math.isnan(measured) and loss.high < 0.1 and one.regret("uniform-0.6") is None
    said = verdict(one, "uniform-0.6", 1.0)
    assert said.interpolated and said.both == "keep"
    assert trainings(one, "uniform-0.6") == {"random": {}, "local": {}}


def test_too_few_points_give_no_interval_and_no_error():
    few = landscape("unpruned").points.iloc[:4]
    one = StudyAnalysis({"unpruned": Landscape("unpruned", "top1", few)})
    assert one.draws("unpruned") is None and math.isnan(one.best("unpruned").bias)
    assert math.isnan(one.shape("unpruned", 1.0).length.estimate)
    assert np.isnan(one.roi_probability("unpruned", 1.0)).all()


# --- verdicts -------------------------------------------------------------------------------------


def test_settings_are_kept_where_neither_shift_nor_loss_is_large():
    said = verdict(analysis(noise=0.05), "uniform-0.6", 1.0)
    assert [said.axes[axis].answer for axis in ("lr", "weight_decay")] == ["keep", "keep"]
    assert said.both == "keep" and said.loss.at_most <= TOLERABLE


def test_settings_are_tuned_again_where_the_whole_interval_lies_beyond_the_limit():
    one = analysis(shift=0.5, noise=0.05)
    said = verdict(one, "uniform-0.6", 1.0)
    # Moved half a decade up both axes, which loses 6 (0.5 sqrt 2)^2 = 3 points.
    for shift in said.axes.values():
        assert shift.answer == "retune" and shift.shift.low > 0.3
        assert shift.shift.low - 0.05 <= 0.5 <= shift.shift.high + 0.05
    assert said.both == "retune" and said.loss.at_least > TOLERABLE
    assert said.loss.estimate == pytest.approx(3.0, abs=0.2)
    # Half a decade is two steps of the grid away: climbing is there sooner than chance.
    found = trainings(one, "uniform-0.6")
    assert 1 < found["local"][0.5] < found["random"][0.5]


def test_a_loss_whose_bounds_hold_the_tolerable_one_is_inconclusive():
    said = verdict(analysis(shift=0.2, noise=1.5, seeds=1), "uniform-0.6", 1.0)
    assert said.loss.at_least <= TOLERABLE < said.loss.at_most and said.both == "inconclusive"


def test_settings_are_not_kept_where_the_own_best_lies_on_the_edge_of_the_grid():
    # Both optima lie beyond the corner, the pruned one further: what is lost there is not seen.
    pair = {
        "unpruned": landscape("unpruned", shift=1.2, noise=0.05),
        "uniform-0.6": landscape("uniform-0.6", shift=1.6, noise=0.05),
    }
    one = StudyAnalysis(pair)
    assert (
        one.edge_probability("uniform-0.6") > 0.9
        and analysis(noise=0.05).edge_probability("uniform-0.6") < 0.1
    )
    said = verdict(one, "uniform-0.6", 1.0)
    assert said.loss.at_most <= TOLERABLE and said.both == "inconclusive"
    assert all(shift.at_end == ("unpruned", "uniform-0.6") for shift in said.axes.values())


def scattered(variant, seed):
    """A network tried at 60 settings of its own; the truth is the same bowl for all."""
    generator = np.random.default_rng(seed)
    x, y = generator.uniform(-1, 1, (2, 60))
    value = 90 - 4 * x**2 - 4 * y**2 + 0.1 * generator.standard_normal(60)
    points = pd.DataFrame({"lr": 10 ** (x - 1), "weight_decay": 10 ** (y - 3), "value": value})
    rest = {"std": math.nan, "seeds": 1, "diverged": 0.0, "stopped": 0.0}
    return Landscape(variant, "top1", points.assign(**rest).sort_values("lr", ignore_index=True))


def test_shift_of_networks_that_were_tried_at_settings_of_their_own_is_read_off_surfaces():
    one = StudyAnalysis({"unpruned": scattered("unpruned", 1), "uniform-0.6": scattered("b", 2)})
    moved = one.shift("uniform-0.6", 1.0)
    assert moved.n == 0 and moved.interpolated and math.isnan(moved.centre.measured)
    # The bowl is the same for both: its centre does not move.
    assert moved.centre.distance.low == 0.0 and moved.centre.distance.high < 0.3
    assert math.isfinite(one.shape("unpruned", 1.0).length.estimate)


def test_ellipse_has_no_interval_where_most_landscapes_without_noise_have_none():
    # Steep: a region of 0.3 points holds the optimum and few others.
    steep = landscape("unpruned", noise=0.05, curvature=(40.0, 40.0))
    shape = StudyAnalysis({"unpruned": steep}).shape("unpruned", 0.3)
    assert shape.fitted < 0.9 and math.isnan(shape.length.estimate)
    assert shape.n.estimate < 5


def test_extra_risk_is_the_risk_less_that_of_the_unpruned_network():
    one = analysis(noise=0.3)
    off = one.uncertain_risk("uniform-0.6", 1.0)
    risks = one.extra_risk("uniform-0.6", 1.0) + off
    assert np.median(risks) == pytest.approx(one.risk("uniform-0.6", 1.0).mean.estimate)
    # A region that is not known costs more than the network's own, which is bounded.
    assert np.median(off) > one.risk("unpruned", 1.0).mean.estimate
