"""Workers of this machine: one that ends or fails is replaced, and its job reported."""

import multiprocessing
import os
import signal
import time
from types import SimpleNamespace

import faulty
import pytest

import hpstudy.sweep.executors.local
import hpstudy.sweep.executors.worker
from hpstudy.sweep.executors.local import STRIKES, open_pool


@pytest.fixture
def pool(monkeypatch):
    """A pool of faulty workers on the given devices."""
    for name in ("call", "train"):
        monkeypatch.setattr(hpstudy.sweep.executors.worker, name, getattr(faulty, name))

    def pool(*devices):
        monkeypatch.setattr(hpstudy.sweep.executors.local, "devices", lambda: list(devices))
        return open_pool(len(devices))

    return pool


def job(seed, retry=False):
    """The part of a job that a pool reads; a real one would import half of the package."""
    return SimpleNamespace(run_id=str(seed), spec=SimpleNamespace(seed=seed), retry=retry)


def ended(pool):
    """Seeds with outcomes or reasons, until nothing runs any more."""
    ends = []
    while found := pool.wait(60):
        ends += [(job.spec.seed, getattr(end, "reason", end)) for job, end in found]
        if not pool._busy():
            break
    return ends


@pytest.mark.slow
@pytest.mark.parametrize(
    "seed, reason",
    [
        (faulty.EXITS, "the worker's process ended with status 7"),
        (faulty.KILLED, "ended by SIGKILL, as when memory runs out"),
        (faulty.RAISES, "OutOfMemoryError: 80 GiB asked for"),
    ],
)
def test_run_that_kills_its_worker_fails_with_the_reason(seed, reason, pool):
    with pool("cpu", "cpu") as workers:
        assert workers.start(job(seed)) and workers.start(job(10))
        ends = dict(ended(workers))
        assert ends[10] == "cpu" and reason in ends[seed]
        assert workers.start(job(20)) and workers.start(job(30))
        assert sorted(ended(workers)) == [(20, "cpu"), (30, "cpu")]
    assert multiprocessing.active_children() == []


@pytest.mark.slow
def test_retry_has_the_only_device_to_itself(pool):
    with pool("cpu", "cpu") as workers:
        assert workers.start(job(faulty.RAISES)) and ended(workers)
        assert workers.start(job(10))
        assert not workers.start(job(faulty.RAISES, retry=True))
        assert ended(workers) == [(10, "cpu")]
        assert workers.start(job(faulty.RAISES, retry=True))
        # Nothing else begins beside it.
        assert not workers.start(job(20))
        ended(workers)
        assert workers.start(job(20))


@pytest.mark.slow
def test_retry_goes_to_another_device(pool):
    with pool("a", "b") as workers:
        assert workers.start(job(faulty.RAISES)) and ended(workers)
        assert workers.start(job(faulty.RAISES, retry=True))
        # The other device is idle and takes other runs meanwhile.
        assert workers.start(job(10)) and (10, "a") in ended(workers)


@pytest.mark.slow
def test_device_that_fails_every_run_gets_no_more(pool, messages):
    with pool("gone", "b") as workers:
        for seed in range(10, 10 * (STRIKES + 1), 10):
            assert workers.workers == 2 and workers.start(job(seed))
            assert "status 7" in ended(workers)[0][1]
        assert workers.workers == 1
        assert "a worker on gone gets no more runs" in messages()
        assert workers.start(job(100)) and ended(workers) == [(100, "b")]
        assert not workers.start(job(10, retry=True)) or ended(workers) == [(10, "b")]


@pytest.mark.slow
def test_machine_that_fails_every_run_ends_the_sweep(pool, refused):
    with pool("cpu") as workers:
        for _ in range(STRIKES):
            assert workers.start(job(faulty.EXITS)) and len(ended(workers)) == 1
        sentence = refused(workers.wait, 0)
        assert (
            "no worker is left" in sentence
            and "status 7" in sentence
            and "--retry-failed" in sentence
        )


@pytest.mark.slow
def test_refusal_is_raised_after_other_outcomes(pool, refused):
    with pool("cpu", "cpu") as workers:
        workers.start(job(10)), workers.start(job(faulty.REFUSES))
        while not all(worker.future.done() for worker in workers._workers):
            time.sleep(0.01)
        assert ended(workers) == [(10, "cpu")]
        assert refused(workers.wait, 5) == "the images are cut short."


@pytest.mark.slow
def test_idle_worker_that_was_killed_is_replaced(pool):
    with pool("cpu") as workers:
        workers.start(job(10)), ended(workers)
        (process,) = multiprocessing.active_children()
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        assert workers.start(job(20)) and ended(workers) == [(20, "cpu")]


def test_error_ends_the_workers_at_once(pool):
    with pytest.raises(KeyboardInterrupt), pool("cpu", "cpu") as workers:
        workers.start(job(10))
        raise KeyboardInterrupt
    assert multiprocessing.active_children() == []
