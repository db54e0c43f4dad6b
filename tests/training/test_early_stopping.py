"""Racing: what cannot reach the region of interest is stopped, and nothing depends on the order."""

import math
from itertools import product

import numpy as np
import pandas as pd
import pytest
import tiny
from scipy.stats import multivariate_normal
from simulated import EPOCHS, bowl, curve, simulated_plan, swept

from hpstudy.analysis.landscape import landscapes
from hpstudy.sweep.plan import Plan
from hpstudy.sweep.scheduler import ready_jobs
from hpstudy.training import early_stopping as racing
from hpstudy.training.early_stopping import FEWEST, Race


@pytest.fixture(scope="module")
def race():
    values = [float(f"{10 ** (-2 + step):.6g}") for step in (-0.8, -0.4, 0, 0.4, 0.8)]
    points = tuple(product(values[::2], values[::2]))
    accuracies = tuple(bowl(*point) for point in points)
    return Race(points, tuple(tuple(curve(a)) for a in accuracies), accuracies, threshold=1.0)


# --- the verdict ----------------------------------------------------------------------------------


def test_prediction_is_the_conditional_of_the_joint_gaussian(race):
    """Conditional of a normal distribution, by inverting its whole covariance in float64."""
    surface = racing._Surface(race, 2)
    n, at, loss = len(race.points), (0.02, 0.005), 1.1
    where = [(*np.log10(p), losses[1]) for p, losses in zip(race.points, race.losses, strict=True)]
    where = np.array([*where, (*np.log10(at), loss)])
    apart = np.sum(((where[:, None] - where[None]) / surface.scales) ** 2, axis=2)
    joint = surface.variance * (np.exp(-apart / 2) + surface.noise**2 * np.eye(n + 1))
    weights = joint[n, :n] @ np.linalg.inv(joint[:n, :n])
    mean = np.mean(race.accuracies)
    expected = mean + weights @ (np.array(race.accuracies) - mean)
    variance = joint[n, n] - weights @ joint[:n, n]
    found = surface.predict(at, loss)
    assert found[0] == pytest.approx(expected, abs=1e-6)
    assert found[1] == pytest.approx(surface.widening * math.sqrt(variance), rel=1e-4)


def test_scales_maximise_the_likelihood(race):
    surface = racing._Surface(race, 1)
    y = np.array(race.accuracies) - np.mean(race.accuracies)
    inputs = surface.inputs

    def likelihood(decades, nats, noise):
        scales = np.array([decades, decades, nats])
        apart = np.sum(((inputs[:, None] - inputs[None]) / scales) ** 2, axis=2)
        shape = np.exp(-apart / 2) + noise**2 * np.eye(len(y))
        variance = y @ np.linalg.solve(shape, y) / len(y)
        return multivariate_normal(cov=variance * shape, allow_singular=True).logpdf(y)

    choices = list(product(racing._DECADES, racing._NATS, racing._NOISE))
    best = max(choices, key=lambda choice: likelihood(*choice))
    assert (surface.scales[0], surface.scales[2], surface.noise) == best


def test_deviations_are_widened_by_leave_one_out_errors(race):
    surface = racing._Surface(race, 3)
    y = np.array(race.accuracies) - surface.mean
    apart = np.sum(((surface.inputs[:, None] - surface.inputs[None]) / surface.scales) ** 2, axis=2)
    joint = surface.variance * (np.exp(-apart / 2) + surface.noise**2 * np.eye(len(y)))
    errors = []
    for k in range(len(y)):
        others = np.arange(len(y)) != k
        weights = np.linalg.solve(joint[np.ix_(others, others)], joint[others, k])
        deviation = math.sqrt(joint[k, k] - weights @ joint[others, k])
        errors.append((y[k] - weights @ y[others]) / deviation)
    assert surface.widening == pytest.approx(
        max(1.0, np.sqrt(np.mean(np.square(errors)))), rel=1e-4
    )


def test_only_a_run_that_cannot_reach_the_region_is_stopped(race):
    hopeless, hopeful = (0.06, 0.06), (0.02, 0.006)
    verdict = race.stop_reason(*hopeless, curve(bowl(*hopeless))[:3])
    assert verdict.expected + racing.DEVIATIONS * verdict.deviation < verdict.needed
    assert verdict.needed == max(race.accuracies) - 1.0
    assert race.stop_reason(*hopeful, curve(bowl(*hopeful))[:3]) is None


def test_few_runs_or_a_loss_that_is_not_finite_stop_nothing(race):
    few = FEWEST - 1
    fewer = Race(race.points[:few], race.losses[:few], race.accuracies[:few], 1.0)
    assert fewer.stop_reason(0.06, 0.06, curve(50.0)[:3]) is None
    assert race.stop_reason(0.06, 0.06, [2.0, math.nan]) is None


def test_runs_without_weight_decay_are_not_stopped_and_count_for_the_best_alone(race):
    zero = Race(
        (*race.points, (0.01, 0), (0.02, 0)),
        (*race.losses, race.losses[0], race.losses[0]),
        (*race.accuracies, max(race.accuracies) + 0.5, 10.0),
        threshold=1.0,
    )
    losses = curve(bowl(0.06, 0.06))[:3]
    assert zero.stop_reason(0.06, 0, losses) is None
    before, now = race.stop_reason(0.06, 0.06, losses), zero.stop_reason(0.06, 0.06, losses)
    assert now[:2] == before[:2] and now.needed == before.needed + 0.5
    few = Race(((0.01, 0),) * FEWEST, zero.losses[:FEWEST], zero.accuracies[:FEWEST], 1.0)
    assert few.stop_reason(0.06, 0.06, losses) is None


# --- a sweep that races ---------------------------------------------------------------------------


def race_plan(path, racing=True):
    return simulated_plan(path, racing=racing)


@pytest.fixture(scope="module")
def raced(tmp_path_factory):
    plan = race_plan(tmp_path_factory.mktemp("raced") / "store.sqlite")
    return plan, swept(plan)


@pytest.mark.slow
def test_race_ends_with_each_point_trained_or_stopped(raced):
    plan, table = raced
    assert len(table) == 2 * 81 and plan.missing() == [] and ready_jobs(plan) == []
    assert plan.counts()["missing"].sum() == 0
    assert 0.3 < table["stopped"].mean() < 0.9
    early = table[table["stopped"]]
    assert early[["top1", "loss", "best_top1", "train_loss"]].isna().all(axis=None)
    assert (early["epochs"] < EPOCHS).all() and table.loc[~table["stopped"], "top1"].notna().all()


@pytest.mark.slow
def test_race_keeps_the_regions_of_interest(raced, tmp_path):
    _, table = raced
    whole = swept(race_plan(tmp_path / "store.sqlite", racing=False))
    assert not whole["stopped"].any()
    for variant, landscape in landscapes(whole).items():
        for threshold in (0.5, 1.0):
            found = landscapes(table)[variant].roi(threshold)
            true = landscape.roi(threshold)
            columns = ["lr", "weight_decay", "value"]
            pd.testing.assert_frame_equal(found[columns], true[columns])


def test_the_dense_region_is_measured_on_every_pruned_network(raced):
    _, table = raced
    pruned = table[table["variant"] != "unpruned"].set_index(["lr", "weight_decay"])
    inside = landscapes(table)["unpruned"].roi(1.0).set_index(["lr", "weight_decay"]).index
    assert len(inside) > 5 and not pruned.loc[inside, "stopped"].any()


@pytest.mark.slow
@pytest.mark.parametrize(
    "workers, seed, lost", [(2, 1, None), (7, 2, None), (3, 3, 20), (2, 4, 90)]
)
def test_race_does_not_depend_on_workers_order_or_interruption(
    workers, seed, lost, raced, tmp_path
):
    table = swept(race_plan(tmp_path / "store.sqlite"), workers, seed, lost)
    pd.testing.assert_frame_equal(table, raced[1], check_exact=True)


def test_run_waits_for_coarser_levels_of_its_network(tmp_path):
    plan = race_plan(tmp_path / "store.sqlite")
    first = ready_jobs(plan)
    # The nine points of the coarsest level, of the one network that there is yet.
    assert len(first) == 9 and all(task.race is None for task in first)
    assert first[0].spec == plan.prior
    assert len(ready_jobs(race_plan(tmp_path / "other.sqlite", racing=False))) == 81


def test_stopped_runs_are_missing_from_a_study_that_does_not_race(raced):
    plan, table = raced
    calm = Plan.open(plan.study.model_copy(update={"racing": False}), plan.store)
    assert len(calm.missing()) == int(table["stopped"].sum())
    assert len(calm.table()) == int((~table["stopped"]).sum())
    # Stopped for the 1.0-ROI, it may still lie in a wider one.
    wider = Plan.open(plan.study.model_copy(update={"roi": (2.0,)}), plan.store)
    assert len(wider.missing()) == int(table["stopped"].sum())
    narrower = Plan.open(plan.study.model_copy(update={"roi": (0.5,)}), plan.store)
    assert len(narrower.missing()) == 0


def test_racing_is_off_by_default_and_not_part_of_a_runs_identity():
    assert tiny.study().racing is False and "racing" not in tiny.spec().model_dump()
