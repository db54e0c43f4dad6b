"""Draws of the noise-free landscape: closed forms and simulated truth."""

import math

import numpy as np
import pandas as pd
import pytest
import sweeps
from ridges import decades, measured, repeated, ridge
from scipy.integrate import quad
from scipy.stats import norm

from hpstudy.analysis.intervals import interval
from hpstudy.analysis.landscape import Landscape
from hpstudy.analysis.regions import fit_ellipses, roi
from hpstudy.analysis.surrogate import Surrogate

NAN = math.nan


# --- points ---------------------------------------------------------------------------------------


def test_points_without_a_value_are_never_the_best():
    logs = decades(4)
    values = ridge(logs)
    values[[0, 7]] = NAN
    drawn = Surrogate(measured(logs, values)).draws(200)
    assert drawn.shape == (200, 16)
    assert (drawn[:, [0, 7]] == -np.inf).all()
    assert np.isfinite(np.delete(drawn, [0, 7], axis=1)).all()


def test_draws_are_the_same_whichever_eigenvectors_a_processor_finds(monkeypatch):
    landscape = repeated(0.5, 3, 0, 5)
    drawn = Surrogate(landscape).draws(300)
    found, generator = np.linalg.eigh, np.random.default_rng(1)

    def others(matrix):
        values, vectors = found(matrix)
        return values, vectors * generator.choice([-1, 1], vectors.shape[-1])

    monkeypatch.setattr(np.linalg, "eigh", others)
    assert Surrogate(landscape).draws(300) == pytest.approx(drawn, abs=1e-9)


def test_cliff_does_not_change_the_region():
    logs = decades(7)
    runs = ridge(logs) + 0.3 * np.random.default_rng(4).standard_normal((3, 49))
    fallen = np.where(logs.sum(axis=1) > 0.8, runs - 60, runs)
    both = [
        Surrogate(measured(logs, one.mean(axis=0), 3, one.std(axis=0, ddof=1)))
        for one in (runs, fallen)
    ]
    shapes = [fit_ellipses(logs, roi(one.draws(4000), 1.0)) for one in both]
    # A surface that had to follow the cliff would know nothing of the band.
    assert both[1].noise == pytest.approx(both[0].noise, rel=0.15)
    for end in ("length", "width", "first", "second"):
        whole, beside = (interval(getattr(one, end)) for one in shapes)
        assert beside.estimate == pytest.approx(whole.estimate, abs=0.25)
        assert beside.high - beside.low < 0.7


def test_points_beyond_a_cliff_stay_there():
    logs = decades(6)
    values = ridge(logs) + 0.2 * np.random.default_rng(4).standard_normal(36)
    cliff = logs.sum(axis=1) > 0.8
    values[cliff] = 10.0
    drawn = Surrogate(measured(logs, values)).draws(4000)
    # Of a depth of 80 points, a few: nothing there is ever near the best.
    assert drawn[:, cliff].max() < 45
    assert np.abs(np.median(drawn[:, cliff], axis=0) - 10).max() < 8


def test_half_of_the_points_may_tie_with_the_best_above_a_cliff():
    logs = decades(5)
    drawn = Surrogate(measured(logs, np.where(logs.sum(axis=1) > 0.4, 10.0, 90.0))).draws(2000)
    assert np.median(drawn[:, logs.sum(axis=1) < 0.4], axis=0) == pytest.approx(90.0, abs=0.05)


def test_the_surface_goes_through_all_points_whatever_they_measured():
    deep = np.array([90.0, 84.1, 83.9, 84.0, 88.0, 10.0, NAN, 86.0, 85.0])
    found = Surrogate(measured(decades(3), deep))
    assert found.used.tolist() == np.isfinite(deep).tolist()


@pytest.mark.slow
def test_300_noisy_random_settings_are_described_and_covered():
    # More points than the sample that chooses the kernels. Points that took part only where they
    # measured well held in 60 to 75 %.
    generator, held = np.random.default_rng(5), []
    for _ in range(3):
        logs = sweeps.scattered(300, generator)
        truth = ridge(logs)
        found = Surrogate(measured(logs, truth + generator.standard_normal(300)))
        drawn = found.draws()
        low, high = np.quantile(drawn, (0.025, 0.975), axis=0)
        held.append(np.mean((low <= truth) & (truth <= high)))
        assert found.noise == pytest.approx(1.0, rel=0.2)
        assert np.sqrt(np.mean((drawn.mean(axis=0) - truth) ** 2)) < 0.375
    assert np.mean(held) >= 0.9


def test_shared_effect_of_seeds_changes_levels_alone():
    generator, logs = np.random.default_rng(21), sweeps.square(6)
    table = sweeps.sweep("unpruned", logs, sweeps.parabola(logs), 0.3, generator, seeds=3)
    moved = table.assign(top1=table["top1"] + np.where(table["seed"] == 1, 4.0, 0.0))
    # A ceiling would cut the levels of one of the two.
    plain, lucky = (
        Surrogate(sweeps.analysed(one, ceiling=math.inf).landscapes["unpruned"])
        for one in (table, moved)
    )
    assert lucky.noise == pytest.approx(plain.noise, rel=0.05)
    assert lucky.noise_model.shared > 0.9 > plain.noise_model.shared
    drawn = [one.draws() for one in (plain, lucky)]
    sizes = [interval(roi(one, 1.0).sum(axis=1)) for one in drawn]
    assert sizes[0] == pytest.approx(sizes[1], abs=1)
    losses = [interval(one.max(axis=1) - one[:, 7]) for one in drawn]
    assert losses[0] == pytest.approx(losses[1], abs=0.05)
    # The mean is of three seeds, one of which may be 4 points too lucky.
    levels = [interval(one[:, 14]) for one in drawn]
    assert levels[1].high - levels[1].low > 5 * (levels[0].high - levels[0].low)
    assert levels[1].low < levels[0].estimate < levels[1].high


def test_no_draw_is_better_than_the_metric_can_be():
    logs = decades(5)
    points = measured(logs, np.minimum(ridge(logs, 101.0), 100.0)).points
    drawn = Surrogate(Landscape("unpruned", "top1", points, ceiling=100.0)).draws(2000)
    assert drawn.max() == 100.0
    assert Surrogate(Landscape("unpruned", "top1", points)).draws(2000).max() > 100.0
    assert Landscape("unpruned", "top1", points).ties == (points["value"] == 100).sum() - 1 > 0


def test_value_of_0_keeps_its_measurement():
    logs = decades(5)
    values = ridge(logs) + 0.2 * np.random.default_rng(22).standard_normal(25)
    points = measured(logs, values).points
    none = points.iloc[:3].assign(weight_decay=0.0, value=[88.0, 89.0, NAN])
    both = pd.concat([points, none], ignore_index=True)
    found = Surrogate(Landscape("unpruned", "top1", both))
    drawn = found.draws(4000)
    assert found.used.sum() == 25 and (drawn[:, 27] == -np.inf).all()
    assert drawn[:, 25:27].mean(axis=0) == pytest.approx([88, 89], abs=5 * found.noise / 4000**0.5)
    assert drawn[:, 25:27].std(axis=0) == pytest.approx(found.noise, rel=0.1)
    assert (drawn[:, :25] == Surrogate(measured(logs, values)).draws(4000)).all()


# --- between the points ---------------------------------------------------------------------------


def test_draws_at_measured_places_are_unchanged(uneven):
    landscape, logs = uneven
    drawn = Surrogate(landscape).draws(500, also=logs)
    np.testing.assert_allclose(drawn[:, 36:], drawn[:, :36], atol=0.05)
    # And those are what they are without anything else asked for.
    assert (drawn[:, :36] == Surrogate(landscape).draws(500)).all()


@pytest.mark.slow
def test_draws_cover_the_truth_at_untried_settings():
    generator, held = np.random.default_rng(23), []
    for _ in range(8):
        logs, new = sweeps.scattered(40, generator), sweeps.scattered(25, generator, half=0.8)
        values = ridge(logs) + 0.4 * generator.standard_normal(40)
        drawn = Surrogate(measured(logs, values)).draws(2000, also=new)[:, 40:]
        low, high = np.quantile(drawn, (0.025, 0.975), axis=0)
        held.append(np.mean((low <= ridge(new)) & (ridge(new) <= high)))
    assert 0.88 <= np.mean(held) <= 0.995


# --- repeated -------------------------------------------------------------------------------------


def test_draws_repeat_with_their_seed():
    found = Surrogate(repeated(0.3, 1, 5, points=4))
    assert (found.draws(50, seed=1) == found.draws(50, seed=1)).all()
    assert (found.draws(50, seed=1) != found.draws(50, seed=2)).all()


# --- the best of many -----------------------------------------------------------------------------


def expected_maximum(n):
    """Mean of the largest of n independent standard normals."""
    return quad(lambda x: x * n * norm.pdf(x) * norm.cdf(x) ** (n - 1), -10, 10)[0]


@pytest.mark.slow
def test_bias_of_the_best_of_a_flat_landscape_is_the_expected_maximum():
    assert expected_maximum(81) == pytest.approx(2.43, abs=0.01)
    sigma, logs = 0.5, decades(5)
    random = np.random.default_rng(6)
    gains, true = [], []
    for _ in range(30):
        landscape = measured(logs, 70 + sigma * random.standard_normal(25))
        top = landscape.points["value"].idxmax()
        gains.append(landscape.best - np.median(Surrogate(landscape).draws(400)[:, top]))
        true.append(landscape.best - 70)
    # The deviation of such a maximum is 0.5 sigma.
    assert np.mean(true) == pytest.approx(
        sigma * expected_maximum(25), abs=3 * 0.5 * sigma / 30**0.5
    )
    # A surface that may be weak takes a little less off than one that must be flat.
    assert np.mean(gains) == pytest.approx(sigma * expected_maximum(25), rel=0.2)


# --- many seeds -----------------------------------------------------------------------------------


@pytest.mark.slow
def test_more_seeds_narrow_the_intervals():
    """The noise of a run is far larger than the spread of the means of so many."""
    generator, logs, sigma, seeds = np.random.default_rng(24), decades(5), 0.6, 20
    found = []
    for _ in range(40):
        runs = 80 + sigma * generator.standard_normal((seeds, 25))
        landscape = measured(logs, runs.mean(axis=0), seeds, runs.std(axis=0, ddof=1))
        surrogate = Surrogate(landscape)
        top = landscape.points["value"].idxmax()
        found.append([*interval(surrogate.draws(1000)[:, top]), surrogate.noise])
    _, low, high, noise = np.array(found).T
    assert np.mean((low <= 80) & (80 <= high)) >= 0.9
    assert np.median(noise) == pytest.approx(sigma, rel=0.1)
    # 25 means of a flat landscape are nearly one mean, and never less sure than one of them.
    width = np.median(high - low)
    assert 2 * 1.96 * sigma / np.sqrt(25 * seeds) < width < 2 * 1.96 * sigma / np.sqrt(seeds)
