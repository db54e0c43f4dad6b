"""A killed sweep: its workers end with it, and the same command resumes it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import tiny

from hpstudy.storage.database import RESULT_COLUMNS
from hpstudy.storage.store import Store
from hpstudy.sweep.plan import Plan
from hpstudy.sweep.run import sweep

pytestmark = pytest.mark.slow

# Sweeps until the given number of runs is recorded, and is killed then.
KILLED = """
import json, multiprocessing, os, signal, sys, tiny
import hpstudy.sweep.pricing
from hpstudy.sweep.plan import Plan
from hpstudy.storage.store import Store
from hpstudy.sweep.run import sweep

class Killed(Store):
    def record(self, *rows):
        super().record(*rows)
        if len(self.recorded()) == int(sys.argv[2]):
            print(json.dumps([worker.pid for worker in multiprocessing.active_children()]))
            sys.stdout.flush()
            os.kill(os.getpid(), signal.SIGKILL)

if __name__ == "__main__":
    hpstudy.sweep.pricing._SECONDS = 0.01
    sweep(Plan.open(tiny.study(), Killed.open(sys.argv[1])), workers=1)
"""


def running(pid):
    """Whether a process has not ended (one that waits for its parent to notice has)."""
    stat = Path(f"/proc/{pid}/stat")
    if Path("/proc/self/stat").exists():
        return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] not in "ZX"
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """A store whose sweep was killed after two of its four runs, and the ids of its workers."""
    folder = tmp_path_factory.mktemp("killed")
    script = folder / "killed.py"
    script.write_text(KILLED)
    path = folder / "store.sqlite"
    done = subprocess.run(
        [sys.executable, str(script), str(path), "2"],
        env=tiny.environment(TMPDIR=str(folder)),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    return path, json.loads(done.stdout)


def test_workers_end_with_the_process_that_started_them(killed):
    _, workers = killed
    assert len(workers) == 1
    deadline = time.monotonic() + 20
    while any(map(running, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(running, workers))


def test_killed_sweep_resumes_and_ends_with_the_same_table(killed, swept, monkeypatch):
    path, _ = killed
    plan = Plan.open(tiny.study(), Store.open(path))
    before = plan.table()
    assert len(plan.store.recorded()) == len(before) == 2
    assert before[list(RESULT_COLUMNS)].drop(columns="top5").notna().all(axis=None)
    monkeypatch.setattr("hpstudy.sweep.pricing._SECONDS", 0.01)
    assert sweep(plan, workers=1) == 2
    after = plan.table()
    kept = after[after["run_id"].isin(before["run_id"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, before)
    clock = ["seconds", "images_per_second"]
    pd.testing.assert_frame_equal(
        after.drop(columns=clock), swept.table.drop(columns=clock), check_exact=True
    )
    assert plan.certificates == swept.plan.certificates
