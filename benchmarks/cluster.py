"""A sweep on a Ray cluster of which a node is killed, and then the sweep itself.

    python benchmarks/cluster.py [--output book/measurements/cluster.json]

A head and three nodes of one core each are started on this machine, and a study of 24 runs is swept
on them. Once a quarter of its runs is recorded one node is killed, and once a half is, the command;
then it is given again. At the end the table is compared with that of a local sweep. Some minutes on
two cores.
"""

import argparse
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psutil
import yaml
from common import machine

from hpstudy.config.study import Study
from hpstudy.storage.store import Store
from hpstudy.sweep.executors.ray import load_ray
from hpstudy.sweep.plan import Plan
from hpstudy.sweep.run import sweep

ROOT = Path(__file__).resolve().parents[1]
# Columns that tell when and how fast a run was, not what came out.
CLOCK = ["seconds", "images_per_second"]
STUDY = {
    "name": "ray-cluster",
    "model": "resnet20",
    "data": {"name": "fashion-mnist-8k", "image_size": 8, "train_images": 1000},
    "recipe": {"epochs": 4, "batch_size": 50, "lr_decay_epochs": [2]},
    "prior": {"lr": 0.05, "weight_decay": 0.01},
    "grid": {"lr": [0.02, 0.05, 0.1, 0.2], "weight_decay": [0.01, 0.02]},
    "variants": ["uniform-0.4", "nonuniform-0.4"],
}
# A process of Ray keeps the first token that it reads: one for all its clusters.
TOKEN = secrets.token_hex(32)
# Where Ray chooses them a node that is not ready in 15 seconds ends itself.
PORTS = (
    "metrics_agent_port",
    "metrics_export_port",
    "dashboard_agent_listen_port",
    "runtime_env_agent_port",
)


@contextmanager
def ray_cluster(folder: Path, nodes: int) -> Iterator[Any]:
    """A `ray.cluster_utils.Cluster`: a head that trains nothing, and nodes of one core each.

    Everything listens on the loopback interface alone, and asks for a token that is made here.

    Parameters
    ----------
    folder : Path
        For what Ray's processes are to find first when they import.
    nodes : int
    """
    # A process that imports jsonschema, as those of Ray do, would build a parser for seconds.
    (folder / "rfc3987_syntax.py").write_text("raise ImportError('is not needed')\n")
    variables = {
        "PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": TOKEN,
        # Runs are otherwise the last to get a busy core.
        "RAY_worker_niceness": "0",
    }
    with patch.dict(os.environ, variables):
        load_ray(loopback=True)
        from ray.cluster_utils import Cluster

        head = {"num_cpus": 0, "include_dashboard": False, "no_monitor": True}
        cluster = Cluster(initialize_head=True, head_node_args=head | _ports())
        try:
            for _ in range(nodes):
                cluster.add_node(wait=False, num_cpus=1, **_ports())
            cluster.wait_for_nodes(120)
            yield cluster
        finally:
            cluster.shutdown()


def _ports() -> dict[str, int]:
    free = [socket.create_server(("127.0.0.1", 0)) for _ in PORTS]
    chosen = {name: one.getsockname()[1] for name, one in zip(PORTS, free, strict=True)}
    for one in free:
        one.close()
    return chosen


class Log:
    """What happened, in seconds since the start."""

    def __init__(self):
        self.began, self.events = time.monotonic(), []

    def say(self, words: str) -> None:
        seconds = round(time.monotonic() - self.began, 1)
        self.events.append({"seconds": seconds, "event": words})
        print(f"{seconds:7.1f} s  {words}", flush=True)


class Command:
    """`hpstudy run` on the cluster, in a folder of its own."""

    def __init__(self, folder: Path, address: str):
        command = [sys.executable, "-c", "from hpstudy.cli import main; main()", "run", "--no-book"]
        command += ["--executor", "ray", "--address", address, "study.yaml"]
        self.output = (folder / "said.txt").open("a+")
        self._from = self.output.tell()
        pipes = {"stdout": subprocess.DEVNULL, "stderr": self.output}
        self.process = subprocess.Popen(command, cwd=folder, **pipes)

    def said(self) -> str:
        self.output.seek(self._from)
        return self.output.read()

    def until(self, happens: Callable[[], bool]) -> None:
        """Wait, but not for a command that has ended."""
        while not happens():
            if self.process.poll() is not None:
                raise SystemExit(f"the command ended by itself:\n{self.said()}")
            time.sleep(0.05)


def training(process: int) -> int:
    """Runs that are being trained below a process."""
    children = psutil.Process(process).children(recursive=True)
    return sum(child.cmdline()[:1] == ["ray::train"] for child in children)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--output", type=Path, help="JSON file, as book/measurements/cluster.json")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "study.yaml").write_text(yaml.safe_dump(STUDY))
        study = Study.load(folder / "study.yaml")
        store = Store.open(folder / "runs" / "store.sqlite")
        total = int(Plan.open(study, store).counts()["total"].sum())
        log = Log()
        with ray_cluster(folder, given.nodes) as cluster:
            log.say(f"a head and {given.nodes} nodes of one core each are there")
            summary = disturbed(cluster, folder, store, total, log)
        ours = Plan.open(study, store).table().set_index("run_id").drop(columns=CLOCK)
        local = Plan.open(study, Store.open(folder / "local.sqlite"))
        sweep(local)
        theirs = local.table().set_index("run_id").drop(columns=CLOCK)
        both = ours.index.intersection(theirs.index)
        differences = len(ours.index.symmetric_difference(theirs.index))
        differences += len(ours.loc[both].compare(theirs.loc[both]))
        summary |= {"rows": len(ours), "differences": differences}
        log.say(f"rows {len(ours)}, differences from a local sweep {differences}")
    log.say(f"recorded runs that were trained twice {summary['trained_twice']}")
    if given.output:
        written = {
            "command": "python benchmarks/cluster.py --output book/measurements/cluster.json",
            "machine": machine(),
            "versions": {package: version(package) for package in ("hpstudy", "ray", "torch")},
            "events": log.events,
            "summary": summary,
        }
        given.output.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")


def disturbed(cluster: Any, folder: Path, store: Store, total: int, log: Log) -> dict[str, int]:
    """Sweep the study, killing a node and then the command; what came of it."""

    def recorded() -> int:
        return len(store.recorded())

    nodes = [node.all_processes["raylet"][0].process.pid for node in cluster.worker_nodes]
    sweeping = Command(folder, cluster.address)
    log.say(f"hpstudy run, {total} runs to train")
    sweeping.until(lambda: recorded() >= total // 4 and training(nodes[0]))
    node = next(node for node in cluster.worker_nodes if _raylet(node) == nodes[0])
    lost, before = training(nodes[0]), recorded()
    cluster.remove_node(node, allow_graceful=False)
    log.say(f"a node killed with {lost} run on it, {before} runs recorded")
    sweeping.until(lambda: recorded() >= total // 2)
    sweeping.process.kill()
    sweeping.process.wait()
    kept = recorded()
    again = len(re.findall("starts again elsewhere", sweeping.said()))
    log.say(f"the command killed by {signal.SIGKILL.name}, {kept} runs recorded")
    log.say(f"runs that it had begun anew on another node: {again}")
    second = Command(folder, cluster.address)
    log.say("hpstudy run, the same command again")
    if second.process.wait():
        raise SystemExit(f"the command given again has failed:\n{second.said()}")
    trained = int(re.search(r"cluster: (\d+) runs trained", second.said())[1])
    log.say(f"ended, {trained} runs trained since, {recorded()} recorded")
    return {
        "recorded_before_kill": kept,
        "begun_anew": again,
        "trained_after_kill": trained,
        "trained_twice": kept + trained - recorded(),
    }


def _raylet(node: Any) -> int:
    return node.all_processes["raylet"][0].process.pid


if __name__ == "__main__":
    main()
