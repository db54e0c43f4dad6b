"""The trial chooses an arithmetic and a number of workers by the runs that they train in a time."""

import json
from types import SimpleNamespace

import faulty
import pytest
import tiny
from simulated import Simulated, prepare, simulated_plan

import hpstudy.sweep.executors.local
import hpstudy.sweep.executors.worker
from hpstudy.config.arithmetic import POPULATION
from hpstudy.config.study import DENSE
from hpstudy.storage.store import Store
from hpstudy.sweep.executors import CalibrationError
from hpstudy.sweep.executors.local import open_pool
from hpstudy.sweep.plan import Plan
from hpstudy.sweep.run import run_on
from hpstudy.sweep.trial import choose_fastest
from hpstudy.workspace import publish_results

PRUNED = "uniform-0.2"


class Gpu(Simulated):
    """An executor with one GPU, which one or eight workers may share."""

    device, counts, slots = "cuda:0", (1, 8), (8, 16)

    def adopt(self, arithmetic, per_device=None):
        super().adopt(arithmetic, per_device)
        self.workers = per_device or 1


@pytest.fixture
def choose(tmp_path, monkeypatch):
    """Executor, plan and price after a trial in which runs take the `seconds` of a function."""

    def choose(seconds, missing=20, executor=None, **changes):
        executor = executor or Gpu()

        def calibrated(plan, variant, arithmetic, executor):
            return seconds(variant, arithmetic, executor.workers)

        monkeypatch.setattr("hpstudy.sweep.trial.calibrated_seconds", calibrated)
        plan = Plan.open(tiny.study(changes), Store.open(tmp_path / "store.sqlite"))
        entry = {"missing": missing // 2, "seconds_per_run": 3600.0}
        variants = {DENSE: dict(entry), PRUNED: dict(entry)}
        priced = {"hours": float(missing), "workers": 1, "variants": variants}
        choose_fastest(plan, executor, priced)
        return executor, plan, priced

    return choose


def test_eight_workers_are_taken_where_they_train_more_runs(choose, messages):
    # Eight at once take four times as long a run, and twice as long compiled.
    executor, plan, priced = choose(
        lambda variant, name, workers: (
            100.0 * (1 if workers == 1 else 2 if name.endswith("-compiled") else 4)
        )
    )
    assert executor.adopted == ("float32-compiled", 8) and plan.precision == "float32-compiled"
    assert priced["workers"] == 8 and priced["variants"][DENSE]["seconds_per_run"] == 7200
    assert priced["hours"] == pytest.approx(20 * 2 / 8)
    said = messages()
    assert "tiny: float32-compiled by 8 workers a GPU; relative speed float32 1.00" in said
    assert "bfloat16 by 8 workers a GPU 2.00" in said and "compiled by 8 workers a GPU 4.00" in said


def test_one_worker_stays_where_eight_take_turns_or_have_too_few_runs(choose):
    executor, _, priced = choose(lambda variant, name, workers: 100.0 * workers)
    assert executor.adopted == ("float32", 1) and priced["workers"] == 1
    executor, _, _ = choose(lambda variant, name, workers: 100.0 + 50 * workers, missing=2)
    assert executor.adopted[1] == 1


def test_workers_of_a_study_with_a_fixed_arithmetic_are_chosen_too(choose):
    tried = []

    def seconds(variant, name, workers):
        tried.append((name, workers))
        return 100.0 + workers

    executor, plan, _ = choose(seconds, arithmetic="bfloat16")
    assert tried == [("bfloat16", 1), ("bfloat16", 8)]
    assert executor.adopted == ("bfloat16", 8) and plan.precision == "bfloat16"


def test_eight_workers_that_run_out_of_memory_are_left_out(choose, messages):
    def seconds(variant, name, workers):
        if workers == 8:
            raise CalibrationError("out of memory")
        return 100.0

    executor, _, _ = choose(seconds)
    assert executor.adopted == ("float32", 1)
    assert "float32 by 8 workers a GPU fails (out of memory.)" in messages()


@pytest.mark.parametrize("padded, precision", [(20.0, "-padded"), (39.0, ""), (None, "")])
def test_padding_is_judged_by_pruned_networks(padded, precision, choose, messages):
    def seconds(variant, name, workers):
        if name.endswith("-padded"):
            assert variant == PRUNED
            if padded is None:
                raise CalibrationError("no kernel")
            return padded
        return 40.0 if name == "bfloat16-compiled" else 80.0

    executor, plan, priced = choose(seconds)
    assert plan.precision == f"bfloat16-compiled{precision}"
    assert executor.adopted == (plan.precision, 8)
    dense, pruned = (priced["variants"][name]["seconds_per_run"] for name in (DENSE, PRUNED))
    assert (dense, pruned) == (1800, 900 if precision else 1800)
    assert f"-padded by 8 workers a GPU {'fails' if padded is None else ''}" in messages()


@pytest.mark.parametrize(
    "executor, changes", [(Simulated(), {}), (Gpu(), {"model": "torchvision:resnet18"})]
)
def test_padding_is_not_tried_on_a_cpu_or_with_other_networks(executor, changes, choose, messages):
    if changes:
        pytest.importorskip("torchvision")
        changes |= {"data.image_size": 32}
    fast = {"bfloat16-compiled": 40.0}
    _, plan, _ = choose(
        lambda variant, name, workers: fast.get(name, 80.0), 20, executor, **changes
    )
    assert plan.precision == "bfloat16-compiled" and "padded" not in messages()


def test_record_says_how_many_workers_trained(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plan = simulated_plan(tmp_path / "store.sqlite", **{"grid.lr": [0.01], "variants": []})
    prepare(plan)
    run_on(Simulated(workers=3), plan, lambda: None)
    table = publish_results(plan, "hpstudy run", None)
    assert json.loads(table.with_suffix(".json").read_text())["record"]["workers"] == 3


@pytest.mark.parametrize("slots", [8, 16])
def test_a_population_is_taken_where_it_trains_more_runs(slots, choose, messages):
    def seconds(variant, name, workers):
        return 100.0 * (1 if name == POPULATION and workers == slots else workers)

    changes = {"model": "resnet20", "data.image_size": 16}
    executor, plan, priced = choose(seconds, missing=100, **changes)
    assert executor.adopted == (POPULATION, slots) and plan.precision == POPULATION
    assert priced["workers"] == slots
    assert f"tiny: {POPULATION} of {slots}; relative speed float32 1.00" in messages()


@pytest.mark.parametrize("changes", [{"data.image_size": 8}, {"model": "mobilenetv2"}])
def test_networks_without_kernels_are_not_tried_as_a_population(changes, choose, messages):
    choose(lambda variant, name, workers: 100.0, **{"data.image_size": 32, **changes})
    assert POPULATION not in messages()


# --- the pool -------------------------------------------------------------------------------------


@pytest.fixture
def gpus(monkeypatch):
    """Two GPUs that are shared by MPS, with workers that train nothing."""
    for name in ("call", "train"):
        monkeypatch.setattr(hpstudy.sweep.executors.worker, name, getattr(faulty, name))
    monkeypatch.setattr(hpstudy.sweep.executors.local, "devices", lambda: ["cuda:0", "cuda:1"])
    monkeypatch.setattr(hpstudy.sweep.executors.local, "mps_answers", lambda: True)


def job(seed):
    return SimpleNamespace(run_id=str(seed), spec=SimpleNamespace(seed=seed), retry=False)


def devices_of(pool):
    return [worker.device for worker in pool._workers]


def test_pool_offers_a_choice_where_nobody_asked_and_mps_answers(gpus, monkeypatch):
    with open_pool(2, trial=True) as pool:
        assert pool.counts == (1, 8)
        monkeypatch.setattr(hpstudy.sweep.executors.local, "mps_answers", lambda: False)
        assert pool.counts == ()
    with open_pool(3) as pool:
        assert pool.counts == ()


@pytest.mark.slow
def test_pool_adopts_workers_and_keeps_the_processes_of_the_first(gpus):
    with open_pool(2, trial=True) as pool:
        assert pool.start(job(10)) and pool.wait(60)
        process = pool._workers[0]._process
        pool.adopt("bfloat16", 8)
        assert pool.workers == 16 and devices_of(pool) == ["cuda:0", "cuda:1"] * 8
        for seed in range(10, 60, 10):
            assert pool.start(job(seed))
        while pool._busy():
            pool.wait(60)
        last = pool._workers[4]._process
        pool.adopt("bfloat16-compiled")
        assert devices_of(pool) == ["cuda:0", "cuda:1"] and not last.is_alive()
        assert pool._workers[0]._process is process and process.is_alive()
