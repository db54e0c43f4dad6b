"""Replicates: further seeds in the regions of interest and at random points."""

import json
import math
import random
from collections import Counter

import pandas as pd
import pytest
import tiny
from simulated import simulated_plan, swept

from hpstudy.analysis.landscape import landscapes
from hpstudy.storage.store import Store
from hpstudy.sweep.growth import assess, replicated_settings
from hpstudy.sweep.plan import Plan
from hpstudy.sweep.pricing import grid_to_come, replicates_to_come
from hpstudy.sweep.run import publish_study, sweep

NAN = math.nan
REPLICATES = {"seeds": [5, 6], "random": 3}


# --- the points -----------------------------------------------------------------------------------

DENSE = {(1, 1): 90.0, (1, 2): 91.2, (2, 1): 91.0, (2, 2): 92.0, (3, 1): 80.0, (3, 2): 90.99}
OWN = {(1, 1): 70.0, (1, 2): NAN, (2, 1): 88.5, (2, 2): 85.0, (3, 1): 89.0, (3, 2): 60.0}
# At most a point below 92 and 89.
REGIONS = [(1, 2), (2, 1), (2, 2), (3, 1)]


def test_both_regions_are_replicated():
    assert replicated_settings(OWN, DENSE, 1.0, 0, "a") == REGIONS
    assert replicated_settings(OWN, OWN, 1.0, 0, "a") == [(2, 1), (3, 1)]


def test_points_outside_the_regions_are_drawn_once_and_have_a_value():
    drawn = replicated_settings(OWN, OWN, 1.0, 99, "a")[2:]
    assert sorted(drawn) == [(1, 1), (2, 2), (3, 2)]
    assert replicated_settings(OWN, OWN, 1.0, 2, "a")[2:] == drawn[:2]


def test_draw_depends_on_the_name_alone():
    own = {(i, j): -math.hypot(i, j) for i in range(9) for j in range(9)}
    shuffled = list(own.items())
    random.Random(3).shuffle(shuffled)
    once = replicated_settings(own, own, 0.5, 4, "study unpruned")
    assert replicated_settings(dict(shuffled), own, 0.5, 4, "study unpruned") == once
    assert replicated_settings(own, own, 0.5, 4, "study uniform-0.2") != once


def test_all_points_are_equally_likely_to_be_drawn():
    own = {(i, j): 90.0 - 9 * (i + j > 0) for i in range(3) for j in range(3)}
    drawn = Counter(
        point for n in range(2000) for point in replicated_settings(own, own, 1.0, 2, str(n))[1:]
    )
    # Binomial of 2,000 draws at 2 in 8: five deviations are 97.
    assert len(drawn) == 8 and max(abs(count - 500) for count in drawn.values()) < 97


# --- in a plan ------------------------------------------------------------------------------------

LR = [0.005, 0.01, 0.02, 0.04]
# Accuracies at these; the 1.0-ROIs are 0.01 and 0.02, and 0.04.
VALUES = {"unpruned": [80.0, 91.5, 92.0, 85.0], "uniform-0.2": [70.0, 80.0, 81.0, 84.0]}


def line(path, **changes):
    replicates = {"seeds": [5, 6], "random": 0}
    changes = {"model": "resnet20", "grid.lr": LR, "replicates": replicates, **changes}
    return Plan.open(tiny.study(changes), Store.open(path))


@pytest.fixture
def plan(tmp_path):
    return line(tmp_path / "store.sqlite")


def record(plan, variant, spec, top1):
    scores = {layer: list(range(1, n + 1)) for layer, n in plan.network.cost.widths.items()}
    ranking = {"weights_sha256": "0" * 64, "scores": scores}
    tiny.record(plan.store, spec, tiny.result(top1=top1), ranking if spec == plan.prior else None)
    plan.prune()


def measure(plan, values=VALUES, but=()):
    """Record what is missing at the grid's points, but for some (variant, lr)."""
    while todo := [
        (job.variant, job.spec)
        for job in plan.missing()
        if job.spec.seed in plan.study.seeds and (job.variant, job.spec.lr) not in but
    ]:
        for variant, spec in todo:
            record(plan, variant, spec, values[variant][LR.index(spec.lr)])


def again(plan):
    """Settings (lr, seed) of the replicates that are known, by variant."""
    own, found = plan.study.seeds, {}
    for labels, spec in plan.runs():
        if spec.seed not in own:
            found.setdefault(labels["variant"], set()).add((spec.lr, spec.seed))
    return found


def test_replicates_are_planned_in_the_regions(plan):
    measure(plan)
    dense = {(lr, seed) for lr in (0.01, 0.02) for seed in (5, 6)}
    assert again(plan) == {
        "unpruned": dense,
        "uniform-0.2": dense | {(0.04, 5), (0.04, 6)},
    }
    missing = [(job.variant, job.spec.lr, job.spec.seed) for job in plan.missing()]
    assert len(missing) == len(set(missing)) == 10
    assert plan.counts().values.tolist() == [[8, 4, 0, 4], [10, 4, 0, 6]]


def test_regions_have_the_widest_threshold(tmp_path):
    plan = line(tmp_path / "store.sqlite", roi=[8.0, 0.1], variants=[])
    measure(plan)
    assert {lr for lr, _ in again(plan)["unpruned"]} == {0.01, 0.02, 0.04}


def test_regions_are_of_the_mean_over_the_seeds_of_the_study(tmp_path):
    plan = line(tmp_path / "store.sqlite", seeds=[0, 1], variants=[])
    lucky = {0: [80.0, 91.5, 92.0, 92.0], 1: [80.0, 91.5, 92.0, 80.0]}
    for variant, _, spec, *_ in plan.missing():
        record(plan, variant, spec, lucky[spec.seed][LR.index(spec.lr)])
    assert {lr for lr, _ in again(plan)["unpruned"]} == {0.01, 0.02}


def test_network_with_an_unfinished_grid_has_no_replicates(plan):
    measure(plan, but=[("uniform-0.2", 0.005)])
    assert set(again(plan)) == {"unpruned"}
    assert {job.spec.seed for job in plan.missing() if job.variant == "uniform-0.2"} == {0}


def test_no_network_has_replicates_before_the_dense_grid_has_ended(plan):
    measure(plan, but=[("unpruned", 0.005)])
    assert again(plan) == {}
    assert [(job.variant, job.spec.lr) for job in plan.missing()] == [("unpruned", 0.005)]


def test_growing_grid_has_no_replicates(tmp_path):
    axis = {"points": 3, "step": 0.3, "extend": 1}
    plan = line(tmp_path / "store.sqlite", **{"grid.lr": axis, "variants": []})
    better_above = lambda lr: 90 + 5 * math.log10(lr)  # noqa: E731
    for variant, _, spec, *_ in plan.missing():
        record(plan, variant, spec, better_above(spec.lr))
    assert [job.spec.lr for job in plan.missing()] == [0.0398107] and again(plan) == {}
    (last,) = plan.missing()
    record(plan, last.variant, last.spec, better_above(0.0398107))
    # 1.5 points a step; the region touches the end, and the grid may not grow further.
    assert again(plan) == {"unpruned": {(0.0398107, 5), (0.0398107, 6)}}


def test_results_of_replicates_change_neither_the_grid_nor_their_choice(tmp_path):
    axis = {"points": 3, "step": 0.3, "extend": 2}
    plan = line(tmp_path / "store.sqlite", **{"grid.lr": axis, "variants": []})
    bowl = lambda lr: 90 - 50 * (math.log10(lr) + 2) ** 2  # noqa: E731
    for variant, _, spec, *_ in plan.missing():
        record(plan, variant, spec, bowl(spec.lr))
    before, chosen = assess(plan), again(plan)
    assert chosen == {"unpruned": {(0.01, 5), (0.01, 6)}}
    for variant, _, spec, *_ in plan.missing():
        record(plan, variant, spec, 20.0)
    assert assess(plan).growths == before.growths and again(plan) == chosen
    assert plan.missing() == []


def test_replicates_change_no_run_ids(tmp_path):
    own = [spec.run_id for _, spec in line(tmp_path / "a.sqlite").runs()]
    without = [spec.run_id for _, spec in line(tmp_path / "b.sqlite", replicates=None).runs()]
    assert own == without
    plan = line(tmp_path / "c.sqlite")
    measure(plan)
    other = line(plan.store.path, seeds=[0, 5, 6], replicates=None)
    assert {spec.run_id for _, spec in plan.runs()} < {spec.run_id for _, spec in other.runs()}


def test_part_of_a_study_has_the_replicates_of_the_whole(tmp_path):
    many = {"variants": ["uniform-0.2", "nonuniform-0.2"], "replicates": {**REPLICATES}}
    plan = line(tmp_path / "store.sqlite", **many)
    measure(plan, VALUES | {"nonuniform-0.2": [1.0, 2.0, 3.0, 4.0]})
    part = Plan.open(plan.study, plan.store, pruning="uniform-0.2")
    assert again(part) == {name: again(plan)[name] for name in ("unpruned", "uniform-0.2")}


# --- in a sweep -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def repeated(tmp_path_factory):
    path = tmp_path_factory.mktemp("repeated") / "store.sqlite"
    axis = {"points": 5, "step": 0.4}
    grid = {"grid.lr": axis, "grid.weight_decay": axis}
    plan = simulated_plan(path, replicates=REPLICATES, **grid)
    return plan, swept(plan)


@pytest.mark.slow
def test_sweep_trains_all_replicates(repeated):
    plan, table = repeated
    assert plan.missing() == [] and plan.counts()["missing"].sum() == 0
    regions = {}
    for variant, landscape in landscapes(table[table["seed"] == 0]).items():
        inside = landscape.roi(1.0)[["lr", "weight_decay"]]
        regions[variant] = set(inside.itertuples(index=False, name=None))
    for variant, rows in table[table["seed"] > 0].groupby("variant"):
        for seed, runs in rows.groupby("seed"):
            points = set(runs[["lr", "weight_decay"]].itertuples(index=False, name=None))
            region = regions[variant] | regions["unpruned"]
            assert seed in REPLICATES["seeds"] and points > region
            assert len(runs) == len(points) == len(region) + REPLICATES["random"]
    assert set(table["seed"]) == {0, 5, 6}
    assert set(table.loc[table["seed"] > 0, "variant"]) == {"unpruned", "uniform-0.2"}


@pytest.mark.slow
@pytest.mark.parametrize("workers, seed, left", [(2, 1, None), (7, 2, 5)])
def test_replicates_do_not_depend_on_workers_order_or_interruption(
    workers, seed, left, repeated, tmp_path
):
    whole, table = repeated
    plan = Plan.open(whole.study, Store.open(tmp_path / "store.sqlite"))
    same = swept(plan, workers, seed, left and len(table) - left)
    pd.testing.assert_frame_equal(same, table, check_exact=True)


def test_study_is_complete_only_with_its_replicates(repeated, tmp_path, messages):
    plan, table = repeated
    assert sweep(plan) == 0 and "nothing to train" in messages()
    more = plan.study.model_dump() | {"replicates": REPLICATES | {"seeds": [5, 6, 7]}}
    more = Plan.open(type(plan.study).model_validate(more), plan.store)
    assert {job.spec.seed for job in more.missing()} == {7}
    assert len(more.missing()) == (table["seed"] == 5).sum()


# --- published, and priced ------------------------------------------------------------------------


def test_replicates_are_rows_of_the_published_table(plan, tmp_path):
    measure(plan)
    variant, _, spec, *_ = plan.missing()[0]
    record(plan, variant, spec, 91.25)
    path = publish_study(plan, tmp_path, "hpstudy run tiny.yaml", 1)
    rows = pd.read_csv(path).set_index("run_id")
    assert len(rows) == 9
    row = rows.loc[spec.run_id]
    assert (row["variant"], row["lr"], row["seed"], row["top1"]) == (variant, spec.lr, 5, 91.25)
    published = json.loads(path.with_suffix(".json").read_text())
    assert published["study"]["replicates"] == {"seeds": [5, 6], "random": 0}
    assert published["record"]["runs"] == 9
    assert published["record"]["missing"] == {"unpruned": 3, "uniform-0.2": 6}


def test_price_counts_replicates_to_come(tmp_path):
    plan = line(tmp_path / "store.sqlite", replicates=REPLICATES | {"random": 1})
    # Of each network's four points two to four, with two seeds.
    assert replicates_to_come(plan) == (8, 16)
    measure(plan, but=[("uniform-0.2", 0.005)])
    assert replicates_to_come(plan) == (4, 8)
    measure(plan)
    assert replicates_to_come(plan) == (0, 0)
    without = line(plan.store.path, replicates=None)
    assert replicates_to_come(without) == (0, 0)


def test_price_counts_runs_of_grids_to_come(tmp_path):
    # Three points of each network, one of which may be added at either end; two seeds again.
    axis = {"points": 3, "step": 0.3, "extend": 1}
    plan = line(tmp_path / "store.sqlite", **{"grid.lr": axis})
    assert (grid_to_come(plan), replicates_to_come(plan)) == (4, (4, 20))
