"""Verdicts: their rules by hand, and what they say of networks whose truth is known."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import sweeps

from hpstudy.analysis.intervals import Interval
from hpstudy.analysis.study_analysis import StudyAnalysis
from hpstudy.analysis.surrogate import Surrogate
from hpstudy.analysis.verdict import answer, pooled_verdict, trainings, verdict

LR, WD = "lr", "weight_decay"


def pair(generator, moved=(0.0, 0.0), sigma=0.3, seeds=2, steep=4.0, logs=None, more=()):
    """A dense network with its optimum at (0, 0) and others with theirs elsewhere."""
    logs = sweeps.square(7) if logs is None else logs
    tables = [
        sweeps.sweep(
            name, logs, sweeps.parabola(logs, np.array(at), steep), sigma, generator, seeds
        )
        for name, at in (("unpruned", (0, 0)), ("thin", moved), *more)
    ]
    return sweeps.analysed(*tables)


# --- by hand --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (-0.3, 0.3, "keep"),
        (0.0, 0.1, "keep"),
        (-0.29, -0.1, "keep"),
        (0.31, 0.5, "retune"),
        (-0.9, -0.31, "retune"),
        (0.2, 0.31, "inconclusive"),
        (-0.31, 0.0, "inconclusive"),
        (-1.0, 1.0, "inconclusive"),
        (0.3, 0.5, "inconclusive"),
        (math.nan, math.nan, "inconclusive"),
    ],
)
def test_hyperparameter_is_kept_where_its_shift_lies_within_a_factor_of_two(low, high, said):
    assert answer(Interval((low + high) / 2, low, high)) == said


def test_learning_rate_and_weight_decay_have_verdicts_of_their_own():
    one = verdict(pair(np.random.default_rng(1), (0.0, 0.6)), "thin", 1.0)
    assert one.axes[LR].answer == "keep" and one.axes[WD].answer == "retune"
    assert one.axes[WD].shift.low <= 0.6 <= one.axes[WD].shift.high + 0.05
    # 4 x 0.6 squared.
    assert one.both == "retune" and one.loss.at_least < 1.5 and one.loss.at_most > 1.4


@pytest.mark.slow
def test_shift_and_loss_may_disagree():
    # On a shallow slope half a decade is far and costs next to nothing: 0.3 x 0.5 squared.
    one = pair(np.random.default_rng(2), (0.5, 0.0), sigma=0.01, steep=0.3, logs=sweeps.square(9))
    found = verdict(one, "thin", 0.05, tolerable=0.1)
    assert found.axes[LR].answer == "retune" and found.axes[WD].answer == "keep"
    assert found.both == "keep" and found.loss.at_most < 0.1


def test_second_best_setting_has_a_loss_of_its_own():
    one = pair(np.random.default_rng(3), sigma=0.05)
    found = verdict(one, "thin", 1.0)
    points = one.landscapes["unpruned"].points.sort_values("value")
    # Second best is a step of a third of a decade along one axis: 4 x (1/3) squared.
    away = np.log10(points.iloc[-2][[LR, WD]].to_numpy(float))
    assert np.hypot(*away) == pytest.approx(1 / 3)
    assert found.second.at_least <= 4 / 9 <= found.second.at_most
    assert found.loss.at_most < found.second.at_least


def test_good_settings_that_stay_good_are_counted():
    one = pair(np.random.default_rng(4), (1 / 3, 0.0), sigma=1e-3)
    # Within 1 point: up to half a decade around either optimum, 9 settings, of which 6 are shared.
    assert verdict(one, "thin", 1.0).kept == (6, 9)


# --- the end of the grid --------------------------------------------------------------------------


@pytest.mark.slow
def test_region_that_reaches_the_end_of_the_grid_is_marked_on_that_axis():
    one = pair(np.random.default_rng(5), (0.0, 0.8), sigma=0.05)
    found = verdict(one, "thin", 1.0)
    assert found.axes[LR].at_end == () and found.axes[WD].at_end == ("thin",)
    both = pair(np.random.default_rng(5), (0.0, 0.0), steep=0.5, sigma=0.05)
    marks = verdict(both, "thin", 1.0).axes
    assert marks[LR].at_end == marks[WD].at_end == ("unpruned", "thin")


def test_region_that_is_most_of_the_grid_leaves_the_shift_inconclusive():
    # Half a point is lost in the corners: all settings are good, and their centre is the grid's.
    found = verdict(pair(np.random.default_rng(6), (0.5, 0.5), steep=0.25), "thin", 1.0)
    for shift in found.axes.values():
        assert shift.answer == "inconclusive" and math.isnan(shift.shift.estimate)
    # The loss is known all the same.
    assert found.both == "keep"


def test_settings_are_kept_where_the_edge_is_better_only_by_noise():
    # A flat landscape: the edge has more settings than the inside, and its best is there by luck.
    one = pair(np.random.default_rng(7), steep=0.0, seeds=10)
    assert one.edge_probability("thin") > 0.1 and one.edge_probability("thin", 0.1) < 0.5
    assert verdict(one, "thin", 1.0).both == "keep"


def test_settings_are_not_kept_where_the_edge_is_better():
    one = pair(np.random.default_rng(8), (1.3, 0.0), sigma=0.05, steep=1.0)
    same = replace(one, landscapes={**one.landscapes, "unpruned": one.landscapes["thin"]})
    assert same.transfer_regret("thin").at_most <= 0.5
    assert verdict(same, "thin", 1.0).both == "inconclusive"


# --- many seeds -----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [10, 20])
def test_identical_networks_of_a_flat_landscape_are_never_retuned(few_draws, seeds):
    generator, answers = np.random.default_rng(9), []
    for _ in range(20):
        found = verdict(
            pair(generator, sigma=0.6, seeds=seeds, steep=0.0, logs=sweeps.square(5)), "thin", 1.0
        )
        answers += [found.both, *(shift.answer for shift in found.axes.values())]
    assert "retune" not in answers
    assert answers[::3].count("keep") >= 18


# --- draws ----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_verdict_holds_for_draws_of_any_seed(monkeypatch):
    drawn, said = Surrogate.draws, []
    generators = [np.random.default_rng(seed) for seed in range(6)]
    # Shifts and losses on both sides of the limits, and near them.
    analyses = [pair(one, (0.12 * k, 0.3 - 0.06 * k)) for k, one in enumerate(generators)]
    for other in (0, 100, 200):

        def draws(self, number=10_000, seed=0, also=None, other=other):
            return drawn(self, number, seed + other, also)

        monkeypatch.setattr(Surrogate, "draws", draws)
        said.append([verdict(replace(one), "thin", 1.0) for one in analyses])
    words = set()
    for found in zip(*said, strict=True):
        # Within three Monte Carlo errors of a limit a verdict is inconclusive, and beyond them
        # nothing contradicts it, as an end has a deviation of one.
        for axis in (LR, WD):
            words |= {one.axes[axis].answer for one in found}
            for word in {one.axes[axis].answer for one in found} - {"inconclusive"}:
                assert {answer(one.axes[axis].shift) for one in found} == {word}
        both = {one.both for one in found}
        words |= both
        if "keep" in both:
            assert max(one.loss.at_most for one in found) <= 0.5
        if "retune" in both:
            assert min(one.loss.at_least for one in found) > 0.5
    assert words == {"keep", "retune", "inconclusive"}


@pytest.mark.slow
def test_near_a_limit_more_draws_decide_and_within_three_errors_of_these_nothing(monkeypatch):
    one = pair(np.random.default_rng(15), sigma=0.05)
    # Three errors of the 500 draws that are 5 % are 65, so that 470 are near; of ten times as many
    # they are 207: 4,900 of 100,000 are near still, 4,700 are not.
    for beyond, said in ((490, "inconclusive"), (470, "keep"), (440, "keep")):
        gaps = np.r_[np.full(10_000 - beyond, 0.4), np.full(beyond, 0.6)]
        monkeypatch.setattr(
            StudyAnalysis, "transfer_regret_draws", lambda *_, gaps=gaps: (gaps, gaps)
        )
        found = verdict(replace(one), "thin", 1.0)
        assert found.both == said and found.loss.at_most == pytest.approx(0.4, abs=0.02)


# --- several networks -----------------------------------------------------------------------------


@pytest.mark.slow
def test_networks_are_pooled_over_studies():
    more = (("thinner", (0.02, 0.6)), ("thinnest", (-0.02, 0.55)))
    studies = [
        (pair(np.random.default_rng(seed), (0.0, 0.65), sigma=0.1, more=more), 1.0)
        for seed in (10, 11)
    ]
    found = pooled_verdict(studies)
    assert found.networks == 6 and found.answers[LR] == "keep"
    assert found.axes[LR].low < 0 < found.axes[LR].high
    assert found.axes[WD].low < 0.6 < found.axes[WD].high
    # Means of 4 (x^2 + y^2) over the three networks.
    true = 4 * np.mean([0.65**2, 0.02**2 + 0.6**2, 0.02**2 + 0.55**2])
    assert found.loss.at_least <= true <= found.loss.at_most


def test_one_network_is_not_pooled():
    assert pooled_verdict([(pair(np.random.default_rng(12)), 1.0)]) is None


def test_networks_that_never_had_the_dense_networks_best_are_pooled_without_a_loss():
    # The dense network is best without weight decay, where no other was trained.
    generator, logs = np.random.default_rng(13), sweeps.square(7)
    tables = [
        sweeps.sweep(name, logs, sweeps.parabola(logs), 0.1, generator)
        for name in ("unpruned", "thin", "thinner")
    ]
    none = tables[0].iloc[:7].assign(weight_decay=0.0, top1=90.2, lr=10.0 ** np.linspace(-1, 1, 7))
    found = sweeps.analysed(pd.concat([tables[0], none]), *tables[1:])
    assert math.isnan(found.transfer_regret("thin").estimate)
    pooled = pooled_verdict([(found, 1.0)])
    assert pooled.networks == 2 and math.isnan(pooled.loss.estimate)
    assert verdict(found, "thin", 1.0).both == "inconclusive"


def test_trainings_are_the_first_that_bring_the_regret_below_each_target():
    one = pair(np.random.default_rng(14), (0.5, 0.0), sigma=0.05)
    found, curves = trainings(one, "thin"), one.regret("thin")
    for way, known in found.items():
        estimate = getattr(curves, way).estimate
        assert list(known) == [0.5, 0.25, 0.1]
        for target, k in known.items():
            assert estimate[k] <= target < estimate[k - 1]


@pytest.mark.slow
def test_shift_on_a_coarse_grid_is_that_of_its_surfaces():
    # Steps of half a decade, 4 points at a step of one: fewer than five settings are good.
    one = pair(np.random.default_rng(16), (0.5, 0.0), steep=6.0, logs=sweeps.square(5), sigma=0.1)
    found = verdict(one, "thin", 1.0).axes
    assert found[LR].interpolated and found[LR].answer == "retune"
    assert found[LR].shift.low - 0.05 <= 0.5 <= found[LR].shift.high + 0.05
    assert found[WD].answer == "keep"
    fine = pair(np.random.default_rng(16), (0.5, 0.0), logs=sweeps.square(9), sigma=0.1)
    assert not verdict(fine, "thin", 1.0).axes[LR].interpolated


@pytest.mark.slow
def test_shift_among_random_settings_is_that_of_the_surfaces():
    # Both networks at the same random settings: the centre of a few of them is partly theirs.
    generator = np.random.default_rng(17)
    logs = sweeps.scattered(40, generator)
    one = pair(generator, (0.3, -0.5), sigma=0.1, steep=3.0, logs=logs)
    found = verdict(one, "thin", 1.0)
    assert found.axes["lr"].interpolated
    for axis, true in (("lr", 0.3), ("weight_decay", -0.5)):
        low, high = found.axes[axis].shift[1:]
        assert low - 0.05 <= true <= high + 0.05
