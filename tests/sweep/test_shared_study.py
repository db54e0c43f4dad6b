"""A study whose runs are shared by two processes each, with the workers of this machine."""

import multiprocessing
import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import tiny

from hpstudy.storage.store import Store
from hpstudy.sweep.executors import open_executor
from hpstudy.sweep.executors.local import worker_count
from hpstudy.sweep.executors.team import teams
from hpstudy.sweep.plan import Plan
from hpstudy.sweep.run import sweep

SHARED = {"arithmetic": "float32-over2"}


@pytest.fixture
def plan(tmp_path, monkeypatch):
    monkeypatch.setattr("hpstudy.sweep.executors.local.devices", lambda: ["cpu", "cpu"])
    monkeypatch.setattr("hpstudy.sweep.pricing._SECONDS", 0.01)
    return Plan.open(tiny.study(SHARED), Store.open(tmp_path / "store.sqlite"))


@pytest.mark.slow
def test_shared_study_is_that_of_one_device_under_ids_of_its_own(plan, swept):
    assert sweep(plan) == len(swept.table)
    table, whole = plan.table(), swept.table
    assert list(table) == list(whole) and not set(table["run_id"]) & set(whole["run_id"])
    assert set(table["device"]) == {"cpu"} and list(table["variant"]) == list(whole["variant"])
    # The first steps differ by single precision alone; later ones have let it grow.
    dense = table["variant"] == "unpruned"
    assert np.allclose(table["train_loss"][dense], whole["train_loss"][dense], rtol=1e-3)
    assert multiprocessing.active_children() == []


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks processes up as Linux does")
def test_run_ends_with_any_of_its_processes(plan):
    job = plan.missing()[0]
    with open_executor(plan) as pool:
        assert pool.workers == 1 and pool.device == "cpu+cpu" and pool.start(job)
        os.kill(_second(pool._workers[0]._process.pid), signal.SIGKILL)
        ((_, failure),) = pool.wait(60)
        assert "the worker's process ended with status 1" in failure.reason
        assert pool.start(job)
        ((_, outcome),) = pool.wait(60)
        assert outcome.row["epochs"] == 1


def _second(first):
    """Process that the first one of a team has started."""
    own = Path(f"/proc/{first}/cmdline").read_text()
    due = time.monotonic() + 60
    while time.monotonic() < due:
        for child in Path(f"/proc/{first}/task/{first}/children").read_text().split():
            with suppress(FileNotFoundError, ProcessLookupError):
                # A child is a copy of its parent at first, whatever it becomes.
                command = Path(f"/proc/{child}/cmdline").read_text()
                if "spawn_main" in command and command != own:
                    return int(child)
        time.sleep(0.01)


def test_devices_form_teams_and_left_over_ones_rest(monkeypatch, refused):
    gpus = [f"cuda:{k}" for k in range(5)]
    assert teams(gpus, 1) == gpus
    assert teams(gpus, 2) == ["cuda:0+cuda:1", "cuda:2+cuda:3"]
    assert "among 8 devices, and this machine has 5 GPUs" in refused(teams, gpus, 8)
    monkeypatch.setattr("hpstudy.sweep.executors.local.devices", lambda: ["cpu"] * 5)
    assert worker_count(None, 2) == worker_count(9, 2) == 2 and worker_count(1, 2) == 1


def test_ray_does_not_share_runs(tmp_path, refused):
    study = tiny.study(SHARED | {"executor": "ray"})
    plan = Plan.open(study, Store.open(tmp_path / "store.sqlite"))
    with pytest.MonkeyPatch.context():
        sentence = refused(open_executor(plan).__enter__)
    assert "is for the executor local" in sentence
