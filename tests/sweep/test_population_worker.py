"""A worker whose runs are one program: they enter and leave at the end of an epoch."""

import faulty
import pytest

import hpstudy.sweep.executors.local
import hpstudy.sweep.executors.population
import hpstudy.sweep.executors.worker
from hpstudy.config.arithmetic import POPULATION
from hpstudy.config.runspec import RunSpec
from hpstudy.config.study import Data, Recipe
from hpstudy.sweep.executors import Failure, Job
from hpstudy.sweep.executors.local import open_pool
from hpstudy.sweep.executors.population import GroupWorker

pytestmark = pytest.mark.slow


@pytest.fixture
def pool(monkeypatch):
    """A pool of one GPU whose population has two slots, and trains nothing."""
    monkeypatch.setattr(hpstudy.sweep.executors.worker, "call", faulty.group_call)
    monkeypatch.setattr(hpstudy.sweep.executors.population, "epoch", faulty.epoch)
    monkeypatch.setattr(hpstudy.sweep.executors.local, "devices", lambda: ["cuda:0"])
    with open_pool(2) as pool:
        pool.adopt(POPULATION)
        yield pool


def job(seed, retry=False, **fields):
    spec = RunSpec(
        model="resnet20",
        data=Data(name="cifar10", image_size=32),
        recipe=Recipe(epochs=1, batch_size=2, lr_decay_epochs=()),
        arithmetic=POPULATION,
        **{"lr": 0.1, "weight_decay": 1e-3, "seed": seed, **fields},
    )
    return Job("unpruned", spec.run_id, spec, retry=retry)


def ended(pool):
    """Seeds and ends of the runs that end next."""
    while not (found := pool.wait(60)):
        assert pool._busy()
    return [(job.spec.seed, end) for job, end in found]


def test_runs_take_the_slots_that_others_leave(pool):
    assert pool.workers == 2 and len(pool._workers) == 1
    assert pool.start(job(10)) and pool.start(job(30)) and not pool.start(job(20))
    assert ended(pool) == [(10, 2)]
    assert pool.start(job(20))
    assert sorted(ended(pool)) == [(20, 2), (30, 2)]
    assert pool.start(job(11)) and ended(pool) == [(11, 1)]


def test_a_run_of_another_shape_waits_until_the_slots_are_empty(pool):
    pruned = job(10, widths={"blocks.0.conv1": 5})
    assert pool.start(job(10)) and not pool.start(pruned)
    assert ended(pool) == [(10, 1)]
    assert pool.start(pruned) and not pool.start(job(10))


def test_runs_that_one_cause_has_ended_fail_together_and_count_once(pool):
    assert pool.start(job(10 + faulty.KILLED)) and pool.start(job(30))
    found = ended(pool)
    assert sorted(seed for seed, _ in found) == [12, 30]
    assert all(isinstance(end, Failure) and "SIGKILL" in end.reason for _, end in found)
    assert pool._workers[0].strikes == 1
    # Tried once more, each has the GPU to itself.
    assert pool.start(job(30, retry=True)) and not pool.start(job(10))
    assert ended(pool) == [(30, 1)]
    assert pool.start(job(10)) and ended(pool) == [(10, 1)]


def test_a_machine_without_triton_says_so_and_tries_no_population(pool, monkeypatch, refused):
    monkeypatch.setattr(hpstudy.sweep.executors.local, "find_spec", lambda name: None)
    assert "pip install triton" in refused(pool.adopt, POPULATION)
    assert pool.slots == ()


def test_the_process_stays_where_the_slots_do(pool):
    assert pool.start(job(10)) and ended(pool)
    process = pool._workers[0]._process
    pool.adopt(POPULATION)
    assert pool._workers[0]._process is process
    pool.adopt(POPULATION, 8)
    assert pool.workers == 8 and not process.is_alive()
    pool.adopt("bfloat16")
    assert pool.workers == 2 and not isinstance(pool._workers[0], GroupWorker)
