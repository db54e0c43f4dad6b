"""Runs of a command on a Ray cluster of several nodes, of which one goes away."""

import threading
import time
from pathlib import Path

import own_command
import pytest

from hpstudy import workspace
from hpstudy.sweep.executors.ray import open_cluster
from hpstudy.sweep.run import run_on

SCRIPT = own_command.SCRIPT.replace(
    "for epoch",
    """import os, time
while not os.path.exists("gone"):
    time.sleep(0.05)
for epoch""",
)


@pytest.mark.cluster
def test_command_on_a_node_that_goes_away_runs_elsewhere(ray_cluster, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plan = workspace.open_plan(own_command.write(tmp_path, SCRIPT, variants=[]))

    def remove_node():
        deadline = time.monotonic() + 180
        try:
            # Each command waits until the node is gone.
            while len(own_command.trained(tmp_path)) < 3 and time.monotonic() < deadline:
                time.sleep(0.1)
            ray_cluster.remove_node(min(ray_cluster.worker_nodes, key=id), False)
            # A command that ends before its node's processes do is only read again.
            time.sleep(5)
        finally:
            Path("gone").touch()

    with open_cluster(None, None, ray_cluster.address) as executor:
        thread = threading.Thread(target=remove_node)
        thread.start()
        assert run_on(executor, plan, lambda: None) == 12
        thread.join()
    # One run was started again.
    assert len(own_command.trained(tmp_path)) == 13 and not plan.store.failures()
