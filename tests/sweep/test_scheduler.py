"""Failed runs, stores that cannot be written, and sweeps that share a store."""

import json
import sqlite3
import subprocess
import sys
import threading
import time

import pandas as pd
import pytest
import tiny
from simulated import Simulated, of_a_sweep, prepare, simulated_plan, swept

import hpstudy.sweep.scheduler
from hpstudy.analysis.landscape import landscapes
from hpstudy.sweep.executors import Failure
from hpstudy.sweep.run import publish_study, run_on, sweep
from hpstudy.sweep.scheduler import LOSSES, Scheduler

SMALL = {"points": 3, "step": 0.4}
GRID = {"grid.lr": SMALL, "grid.weight_decay": SMALL}


@pytest.fixture
def plan(tmp_path):
    """Nine points, dense and pruned."""
    return simulated_plan(tmp_path / "store.sqlite", **GRID)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return swept(simulated_plan(tmp_path_factory.mktemp("undisturbed") / "store.sqlite", **GRID))


def failing(times, at, lost=False):
    """Fails so many attempts of every run that `at` picks."""
    tried = {}

    def fails(job):
        run_id = job.run_id
        if at(job.spec) and tried.setdefault(run_id, 0) < times:
            tried[run_id] += 1
            return Failure("out of memory", lost)

    return fails


def at_an_edge(spec):
    return spec.lr > 0.02 and spec.weight_decay > 0.02


# --- runs that fail -------------------------------------------------------------------------------


def test_run_that_fails_once_is_tried_again_and_leaves_no_trace(plan, undisturbed, messages):
    prepare(plan)
    executor = Simulated(fails=failing(1, at_an_edge))
    assert run_on(executor, plan, lambda: None) == 18
    pd.testing.assert_frame_equal(plan.table(), undisturbed)
    # Both networks have such a point.
    assert len(executor.jobs) == 20 and sum(job.retry for job in executor.jobs) == 2
    assert messages().count("is tried once more: out of memory") == 2
    assert plan.failures() == {}


def test_run_that_fails_twice_is_recorded_with_the_reason(plan, undisturbed, messages, tmp_path):
    table = swept(plan, fails=failing(2, at_an_edge))
    assert len(table) == 16 and plan.missing() == []
    assert plan.counts()["failed"].tolist() == [1, 1]
    assert set(plan.failures().values()) == {"out of memory"}
    assert (
        "16 runs trained, 2 failed (out of memory); --retry-failed trains them again" in messages()
    )
    # A table lacks them, its record says why, and the landscape has no value there.
    path = publish_study(plan, tmp_path, "hpstudy run", 1)
    record = json.loads(path.with_suffix(".json").read_text())["record"]
    assert record["missing"] == {"unpruned": 1, "uniform-0.2": 1}
    assert record["failed"] == plan.failures()
    assert len(landscapes(table)["unpruned"].points) == 8


def test_failed_runs_stay_failed_until_they_are_retried(plan, undisturbed):
    swept(plan, fails=failing(2, at_an_edge))
    assert sweep(plan) == 0
    plan.retry_failed()
    assert len(plan.missing()) == 2 and plan.failures() == {}
    pd.testing.assert_frame_equal(swept(plan), undisturbed)


def test_pruned_networks_wait_for_a_failed_prior(plan, undisturbed, messages):
    prior = plan.prior
    table = swept(plan, fails=failing(2, lambda spec: spec == prior))
    assert len(table) == 8 and set(table["variant"]) == {"unpruned"}
    said = messages()
    assert "1 failed" in said and "the pruned networks wait for the prior's run" in said
    plan.retry_failed()
    assert plan.missing()[0].spec == prior
    pd.testing.assert_frame_equal(swept(plan), undisturbed)


def test_run_on_a_machine_that_goes_away_starts_again(plan, undisturbed):
    table = swept(plan, fails=failing(LOSSES, at_an_edge, lost=True))
    pd.testing.assert_frame_equal(table, undisturbed)
    assert plan.failures() == {}


def test_run_that_kills_every_node_is_marked_failed(tmp_path):
    plan = simulated_plan(tmp_path / "store.sqlite", **GRID)
    swept(plan, fails=failing(100, at_an_edge, lost=True))
    assert len(plan.failures()) == 2 and plan.missing() == []


# --- stores that cannot be written ----------------------------------------------------------------


@pytest.mark.slow
def test_finished_runs_are_held_while_the_store_is_locked(plan, undisturbed, monkeypatch, messages):
    monkeypatch.setattr(hpstudy.sweep.scheduler, "PAUSE", 0.05)
    plan.store.connection.execute("PRAGMA busy_timeout = 50")
    record, locked = plan.store.record, []

    def record_locked(*rows):
        if not locked:
            locked.append(lock_for(plan.store.path, 1.0))
        record(*rows)

    monkeypatch.setattr(plan.store, "record", record_locked)
    pd.testing.assert_frame_equal(swept(plan), undisturbed)
    said = messages()
    assert "locked by another process" in said and "1 finished run held" in said


def lock_for(path, seconds):
    """Keep a store from being written for some time, as another program may."""
    ready = threading.Event()

    def lock():
        other = sqlite3.connect(path)
        other.execute("BEGIN EXCLUSIVE")
        ready.set()
        time.sleep(seconds)
        other.close()

    thread = threading.Thread(target=lock)
    thread.start()
    ready.wait()
    return thread


def test_full_disk_ends_the_sweep_and_leaves_the_store_whole(
    plan, undisturbed, monkeypatch, refused
):
    monkeypatch.setattr(hpstudy.sweep.scheduler, "PATIENCE", 0.1)
    monkeypatch.setattr(hpstudy.sweep.scheduler, "PAUSE", 0.05)
    prepare(plan)
    # SQLite reports a full disk in the same words.
    connection = plan.store.connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages}")
    sentence = refused(run_on, Simulated(), plan, lambda: None)
    assert "cannot be written, because the disk is full; make room" in sentence
    connection.execute("PRAGMA max_page_count = 1000000")
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert len(plan.table()) < 18
    pd.testing.assert_frame_equal(swept(plan), undisturbed)


# --- several sweeps on one store ------------------------------------------------------------------

# A sweep that prints the id of each run that it begins; one is killed as it begins its fifth.
SHARING = """
import os, signal, sys, time
from pathlib import Path
from simulated import *

class Printing(Simulated):
    def start(self, job):
        print(job.run_id, flush=True)
        if len(self.jobs) == 4 and sys.argv[2] == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.01)
        return super().start(job)

plan = simulated_plan(Path(sys.argv[1]), **eval(sys.argv[3]))
prepare(plan)
print("ready", flush=True)
sys.stdin.readline()
run_on(Printing(workers=2), plan, lambda: None)
"""


@pytest.mark.slow
def test_sweeps_share_a_store_and_take_over_the_runs_of_a_killed_one(tmp_path, undisturbed):
    path = tmp_path / "store.sqlite"
    sweeps = [
        subprocess.Popen(
            [sys.executable, "-c", SHARING, str(path), fate, repr(GRID)],
            env=tiny.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for fate in ("killed", "whole", "whole")
    ]
    for process in sweeps:
        assert process.stdout.readline() == "ready\n"
    lost = sweeps[0].communicate("\n", timeout=120)[0].split()
    for process in sweeps[1:]:
        process.stdin.write("\n")
        process.stdin.flush()
    others = [process.communicate(timeout=120)[0].split() for process in sweeps[1:]]
    assert [process.returncode for process in sweeps] == [-9, 0, 0]
    plan = simulated_plan(path, **GRID)
    pd.testing.assert_frame_equal(plan.table(), undisturbed)
    # No run was trained by two sweeps, except those that the killed one had not recorded.
    trained = [run_id for some in others for run_id in some]
    assert len(trained) == len(set(trained)) and 13 <= len(trained) <= 18
    assert set(trained) | set(lost) == set(undisturbed["run_id"])
    assert len(set(trained) & set(lost)) <= 2
    # No lock is left.
    assert [path.name for path in tmp_path.iterdir() if "lock" in path.name] == []


def test_run_that_another_sweep_has_recorded_is_not_trained(plan, undisturbed):
    prepare(plan)
    executor = Simulated()
    scheduler = Scheduler(plan, executor, *of_a_sweep(plan))
    steps = scheduler.run()
    next(steps)
    swept(simulated_plan(plan.store.path, **GRID))
    assert sum(map(len, steps)) <= 1
    pd.testing.assert_frame_equal(plan.table(), undisturbed)
