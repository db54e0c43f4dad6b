"""Studies that skip settings: only those that may lie in the region of interest are trained."""

import json

import pandas as pd
import pytest
from simulated import Simulated, prepare, simulated_plan, swept

from hpstudy.analysis.landscape import landscapes
from hpstudy.storage.integrity import check_files
from hpstudy.sweep.executors import Failure
from hpstudy.sweep.growth import assess
from hpstudy.sweep.pricing import trainings_to_come
from hpstudy.sweep.run import publish_study, run_on

DESIGN = {"design": {"name": "level-set", "batch": 4}}
NAMES = ["variant", "lr", "weight_decay", "seed", "top1"]


@pytest.fixture
def plan(tmp_path):
    return simulated_plan(tmp_path / "store.sqlite", **DESIGN)


@pytest.mark.slow
def test_the_region_of_interest_is_that_of_the_whole_grid_at_half_of_the_runs(plan, tmp_path):
    table, whole = swept(plan), swept(simulated_plan(tmp_path / "whole.sqlite"))
    assert len(whole) == 162 and len(table) < 0.55 * len(whole)
    for name, landscape in landscapes(table).items():
        expected = landscapes(whole)[name]
        found, wanted = (of.roi(1.0)[["lr", "weight_decay"]] for of in (landscape, expected))
        pd.testing.assert_frame_equal(found, wanted)
    assert plan.missing() == [] and trainings_to_come(plan) == 0
    skipped = plan.skipped()
    assert {name: 81 - n for name, n in skipped.items()} == table[
        "variant"
    ].value_counts().to_dict()


@pytest.mark.slow
def test_neither_workers_nor_interruptions_change_what_is_trained(tmp_path):
    expected = swept(simulated_plan(tmp_path / "one.sqlite", **DESIGN))
    for number, (workers, lost) in enumerate([(4, None), (2, 9), (3, 50)]):
        plan = simulated_plan(tmp_path / f"{number}.sqlite", **DESIGN)
        found = swept(plan, workers, seed=number, lose_after=lost)
        pd.testing.assert_frame_equal(found[NAMES], expected[NAMES])


@pytest.mark.slow
def test_a_pruned_network_waits_for_the_dense_one_and_is_trained_at_its_good_settings(plan):
    assert assess(plan).chosen == {"unpruned": assess(plan).chosen["unpruned"]}
    assert trainings_to_come(plan) == 81 - 4 + 81
    prepare(plan)
    executor = Simulated(workers=2)
    run_on(executor, plan, lambda: None)
    variants = [job.variant for job in executor.jobs]
    dense = variants.count("unpruned")
    assert variants == ["unpruned"] * dense + ["uniform-0.2"] * (len(variants) - dense)
    found = landscapes(plan.table())
    good = found["unpruned"].roi(1.0)[["lr", "weight_decay"]]
    pruned = found["uniform-0.2"].points[["lr", "weight_decay"]]
    assert len(good.merge(pruned)) == len(good)


@pytest.mark.slow
def test_a_grid_grows_where_good_settings_reach_its_end(tmp_path):
    # The optimum lies at a weight decay of 0.01, below the grid.
    axis = {"points": 5, "step": 0.4, "extend": 3}
    changes = {"grid.lr": axis, "grid.weight_decay": axis, "prior.weight_decay": 0.1}
    table = swept(simulated_plan(tmp_path / "store.sqlite", **DESIGN, **changes))
    dense = landscapes(table)["unpruned"]
    assert dense.points["weight_decay"].min() < 0.01 and not dense.on_edge


@pytest.mark.slow
def test_further_seeds_are_trained_in_the_regions(tmp_path):
    changes = {"replicates": {"seeds": [5], "random": 2}}
    table = swept(simulated_plan(tmp_path / "store.sqlite", **DESIGN, **changes))
    again = table[table["seed"] == 5]
    for name, landscape in landscapes(table[table["seed"] == 0]).items():
        own = again[again["variant"] == name]
        assert len(own) >= len(landscape.roi(1.0)) + 2


@pytest.mark.slow
def test_a_run_that_fails_is_passed_over(tmp_path):
    def fails(job):
        low = job.variant == "unpruned" and job.spec.lr < 0.004
        return Failure("out of memory") if low else None

    plan = simulated_plan(tmp_path / "store.sqlite", **DESIGN)
    table = swept(plan, fails=fails)
    assert plan.missing() == [] and plan.counts()["failed"].sum() > 0
    assert set(table["variant"]) == {"unpruned", "uniform-0.2"}


@pytest.mark.slow
def test_a_failed_run_that_is_trained_again_changes_what_is_asked_for(tmp_path):
    def fails(job):
        at_best = (job.spec.lr, job.spec.weight_decay) == (0.01, 0.01)
        return Failure("out of memory") if at_best and job.variant == "unpruned" else None

    changes = DESIGN | {"variants": []}
    plan = simulated_plan(tmp_path / "store.sqlite", **changes)
    swept(plan, fails=fails)
    assert plan.counts()["failed"].sum() == 1
    plan.retry_failed()
    swept(plan)
    again = simulated_plan(tmp_path / "store.sqlite", **changes)
    assert plan.missing() == again.missing() == []
    # What the sweep remembers is what another one asks for.
    assert {key: plan.asked[key] for key in again.asked} == again.asked


@pytest.mark.slow
def test_what_was_skipped_is_recorded(plan, tmp_path):
    swept(plan)
    path = publish_study(plan, tmp_path, "hpstudy run tiny.yaml", 1)
    record = json.loads(path.with_suffix(".json").read_text())
    assert record["record"]["skipped"] == plan.skipped() and record["record"]["missing"] == {}
    faults = [fault for finding in check_files([path]) for fault in finding.faults]
    assert not [fault for fault in faults if "lacks" in str(fault)]
