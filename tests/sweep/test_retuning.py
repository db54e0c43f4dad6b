"""Studies that retune: the dense network's grid, and then few trainings of each pruned network."""

import json
import shlex
import subprocess
import sys

import own_command
import pandas as pd
import pytest
import tiny
from simulated import Simulated, bowl, prepare, simulated_plan, swept

from hpstudy.analysis.landscape import landscapes
from hpstudy.analysis.retune import retune
from hpstudy.config.study import Study
from hpstudy.storage.integrity import check_files
from hpstudy.sweep.executors import Failure
from hpstudy.sweep.growth import assess, retunings
from hpstudy.sweep.pricing import trainings_to_come
from hpstudy.sweep.run import publish_study, run_on

VARIANT = "uniform-0.2"
AXIS = {"points": 5, "step": 0.4}
DESIGN = {
    "design": {"name": "retune", "batch": 3, "budget": 12},
    "grid.lr": AXIS,
    "grid.weight_decay": AXIS,
    "replicates": {"seeds": [7], "random": 0},
}


@pytest.fixture
def plan(tmp_path):
    return simulated_plan(tmp_path / "store.sqlite", **DESIGN)


def pruned(table):
    return table[table["variant"] == VARIANT].reset_index(drop=True)


@pytest.mark.slow
def test_the_dense_grid_is_trained_and_then_few_settings_of_the_pruned_network(plan):
    prepare(plan)
    executor = Simulated(workers=2)
    run_on(executor, plan, lambda: None)
    variants = [job.variant for job in executor.jobs]
    dense = variants.count("unpruned")
    assert variants == ["unpruned"] * dense + [VARIANT] * (len(variants) - dense)
    own = pruned(plan.table())
    assert dense >= 25 and 4 <= len(own) <= 12 and plan.missing() == []
    assert not own.duplicated(["lr", "weight_decay", "seed"]).any()
    # The dense network's setting comes first; its landscape has the same optimum.
    kept = own.iloc[:3][["lr", "weight_decay"]].to_numpy().tolist()
    assert [0.01, 0.01] in kept


@pytest.mark.slow
def test_the_command_gives_the_verdict_of_the_sweep(plan):
    table = swept(plan)
    networks = landscapes(table)
    answer = retune(networks["unpruned"], networks[VARIANT], batch=3, budget=12)
    progress = assess(plan)
    own = retunings(plan, progress, plan.values()).verdict(VARIANT)
    assert answer.both == own.both and answer.setting == own.setting
    assert own.done and own.next == []
    best = bowl(own.setting["lr"], own.setting["weight_decay"], 88.0)
    assert best > 88 - 0.5


@pytest.mark.slow
def test_neither_workers_nor_interruptions_change_what_is_trained(tmp_path):
    expected = swept(simulated_plan(tmp_path / "one.sqlite", **DESIGN))
    for number, (workers, lost) in enumerate([(4, None), (2, 31), (3, 33), (1, 34)]):
        plan = simulated_plan(tmp_path / f"{number}.sqlite", **DESIGN)
        found = swept(plan, workers, seed=number, lose_after=lost)
        names = ["variant", "lr", "weight_decay", "seed", "top1"]
        pd.testing.assert_frame_equal(found[names], expected[names])


@pytest.mark.slow
def test_runs_of_a_whole_grid_count(plan):
    study = plan.study.model_copy(update={"design": Study.model_fields["design"].default})
    swept(plan.reopened(study))
    plan.prune()
    assert plan.missing() == [] and len(pruned(plan.table())) > 20


@pytest.mark.slow
def test_a_run_that_fails_is_not_trained_again_and_says_so(plan):
    def fails(job):
        return Failure("out of memory", False) if job.variant == VARIANT else None

    swept(plan, fails=fails)
    counts = plan.counts().loc[VARIANT]
    assert counts["failed"] == 3 and counts["missing"] == 0 and plan.missing() == []
    plan.retry_failed()
    assert len(plan.missing()) == 3


def test_nothing_is_asked_before_the_dense_network_is_trained(plan):
    counts, price = plan.counts(), trainings_to_come(plan)
    assert counts.loc[VARIANT].tolist() == [0, 0, 0, 0] and price == 12
    assert {job.variant for job in plan.missing()} == {"unpruned"}


@pytest.mark.slow
def test_its_table_is_whole_and_restored(plan, tmp_path):
    swept(plan)
    path = publish_study(plan, tmp_path, "hpstudy run tiny.yaml", 1)
    record = json.loads(path.with_suffix(".json").read_text())
    assert record["study"]["design"] == {"name": "retune", "batch": 3, "budget": 12}
    assert record["record"]["missing"] == {}
    findings = check_files([plan.store.path, path])
    faults = [fault for finding in findings for fault in finding.faults]
    # The simulated rankings and sizes are made up.
    assert not [fault for fault in faults if "lacks" in str(fault)]


def test_a_grid_too_small_is_refused():
    with pytest.raises(Exception, match="at least 6 settings above 0 for the design retune, not 2"):
        tiny.study({"design": "retune"})


def test_a_batch_needs_the_design():
    with pytest.raises(Exception, match="must have the name level-set or retune"):
        tiny.study({"design": {"batch": 4}})


@pytest.mark.slow
def test_a_command_is_retuned(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    changes = {"design": {"name": "retune", "batch": 2, "budget": 8}, "seeds": [0]}
    path = own_command.write(tmp_path, **changes)
    code = "from hpstudy.cli import main; main()"
    ran = subprocess.run(
        [sys.executable, "-c", code, "run", str(path)], capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    rows = pd.read_csv(tmp_path / "runs" / "own.csv")
    few = rows[rows["variant"] != "unpruned"]
    assert len(rows[rows["variant"] == "unpruned"]) == 12 and 4 <= len(few) <= 8
    # The optimum lies at half the rate, where keeping loses 4 points.
    assert "Best expected: learning rate 0.05" in ran.stderr
    *_, line = [text for text in ran.stderr.splitlines() if text.startswith("verdict: ")]
    words = shlex.split(line.removeprefix("verdict: ").strip("`"))[1:]
    assert words[-8:-2] == ["--tolerable", "1", "--batch", "2", "--budget", "8"]
    said = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
    for text in ("Trainings so far", "both ", "Best expected"):
        (own,) = [row for row in ran.stderr.splitlines() if row.startswith(text)]
        assert own in said.stdout
    report = (tmp_path / "runs" / "own.html").read_text()
    assert f"was retuned in {len(few)} trainings" in report
    again = subprocess.run(
        [sys.executable, "-c", code, "run", str(path)], capture_output=True, text=True
    )
    assert again.returncode == 0 and len(own_command.trained(tmp_path)) == len(rows)
