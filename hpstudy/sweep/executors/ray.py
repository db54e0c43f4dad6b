"""Runs on a Ray cluster: each run is a task whose outcome returns to the process of the sweep."""

import logging
import math
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from hpstudy.config.runspec import RunSpec
from hpstudy.errors import HpstudyError, count, one_line, shown
from hpstudy.sweep.executors import Ended, Failure, Job, calibrated
from hpstudy.sweep.executors.ray_task import MARK, measure, train, versions
from hpstudy.training.datasets import Dataset
from hpstudy.training.device import cores
from hpstudy.training.image_folders import Stored
from hpstudy.training.run import ENVIRONMENT

# Read when Ray is imported, and when it starts processes.
_RAY = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # Ray's own lines about nodes and processes stay out of the output, which may be JSON.
    "RAY_DEDUP_LOGS_ALLOW_REGEX": f"^{MARK}",
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",
    "RAY_COLOR_PREFIX": "0",
    # Ray would print a stack where SIGTERM ends a sweep.
    "RAY_DISABLE_FAILURE_SIGNAL_HANDLER": "1",
    # All processes of a node share one copy of the images.
    "RAY_ENABLE_ZERO_COPY_TORCH_TENSORS": "1",
}
# Ray's variable for other systems: the cluster listens on the loopback interface alone.
_LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
_TASKS = {**ENVIRONMENT, "RAY_EXPERIMENTAL_NOSET_CUDA_VISIBLE_DEVICES": "1"}
# Seconds for a new connection, and for a health check.
_ANSWER, _HEALTH = 5.0, 30.0
# Seconds between two looks at the cluster, and without an answer of its head (Ray ends the
# process after 60).
_LOOK, _HEAD_SILENT = 3.0, 20.0
# Tasks that calibrate at once: enough for a mean, however large the cluster.
_CALIBRATIONS = 8


@contextmanager
def open_cluster(
    data: Dataset | None, workers: int | None = None, address: str | None = None
) -> Iterator["Cluster"]:
    """A Ray cluster that trains runs until the block ends (see `open_executor`).

    Without images (`data`) it only calibrates.

    Raises HpstudyError if no cluster answers there, ray is not installed, or a node has another
    version of hpstudy or torch or cannot read the images.
    """
    address = address or os.environ.get("RAY_ADDRESS") or None
    host = "127.0.0.1" if address is None else connect(address)
    ray = load_ray(loopback=host in ("127.0.0.1", "localhost", "::1"))
    if address is None:
        # Other users reach the loopback interface too. Ray writes a token to the home folder
        # unless there is one.
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
        what = "start on this machine"
        options = {"address": "local", "num_cpus": cores(), "include_dashboard": False}
    else:
        what = f"join the cluster at {address}"
        options = {"address": address}
        # Ray itself would try for minutes to speak with another server.
        command = [
            sys.executable,
            "-m",
            "ray.scripts.scripts",
            "health-check",
            "--address",
            address,
        ]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=_HEALTH)
        except subprocess.SubprocessError:
            raise HpstudyError(f"the server at {address} is not a healthy Ray cluster") from None
    before = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(**options, runtime_env={"env_vars": _TASKS}, logging_level=logging.CRITICAL)
    except (Exception, SystemExit) as error:  # Ray raises many kinds
        raise HpstudyError(f"Ray cannot {what} ({one_line(error)})") from None
    finally:
        if signal.getsignal(signal.SIGTERM) is not before:
            # Ray's handler would end the process without a record.
            signal.signal(signal.SIGTERM, before)
    try:
        yield Cluster.open(ray, data, workers)
    finally:
        ray.shutdown()


def load_ray(loopback: bool) -> ModuleType:
    """The package ray, which prints nothing, sends no statistics and may keep to this machine."""
    for name, value in (_RAY | (_LOOPBACK if loopback else {})).items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ModuleNotFoundError:
        raise HpstudyError("the executor ray needs the extra: pip install 'hpstudy[ray]'") from None
    return ray


def connect(address: str) -> str:
    """Host of the address HOST:PORT; refuses one at which no server answers."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _ANSWER).close()
    except (OSError, ValueError, OverflowError) as error:
        raise HpstudyError(
            f"no Ray cluster answers at {shown(address)} ({error}); the address is HOST:PORT, as "
            "`ray start --head` prints it"
        ) from None
    return host.strip("[]")


class Cluster:
    """The `hpstudy.sweep.executors.Executor` of a Ray cluster (see `open_cluster`)."""

    counts: tuple[int, ...] = ()
    slots: tuple[int | None, ...] = ()

    def __init__(self, ray: ModuleType, head: str, workers: int | None, data: Dataset | None):
        self._ray, self._head, self._asked = ray, head, workers
        images = [split.images for split in (data.train, data.test)] if data else []
        paths = {part.path for part in images if isinstance(part, Stored)}
        self._requirements = versions(), tuple(paths)
        self._nodes: dict[str, dict[str, float]] = {}
        self._kind, self._per_gpu, self.device = "CPU", 1, "cpu"
        self._data: list[Any] = []
        self._running: dict[Any, Job] = {}
        self._end = ""
        self._looked = self._answered = time.monotonic()

    @classmethod
    def open(cls, ray: ModuleType, data: Dataset | None, workers: int | None) -> "Cluster":
        """Look at the nodes and give them the images."""
        cluster = cls(ray, ray.get_runtime_context().gcs_address, workers, data)
        cluster._nodes = cluster._living()
        if any(node.get("GPU") for node in cluster._nodes.values()):
            cluster._kind = "GPU"
        if not cluster._total():
            raise HpstudyError(f"no node of the Ray cluster at {cluster._head} has a core or a GPU")
        cluster._per_gpu = math.ceil(workers / cluster._total()) if workers else 1
        cluster.device = f"{cluster._kind} of {count(len(cluster._nodes), 'Ray node')}"
        if data is not None:
            with warnings.catch_warnings():
                # Ray warns of writing to the images that processes share, and nothing does.
                warnings.simplefilter("ignore")
                # In a list, a reference reaches the task unresolved.
                cluster._data = [ray.put(data)]
        return cluster

    @property
    def workers(self) -> int:
        """Runs trained at once on the nodes of the last look; one where there is no node."""
        fit = self._total() * (self._per_gpu if self._kind == "GPU" else 1)
        return int(max(1, min(self._asked or math.inf, fit)))

    def adopt(self, arithmetic: str, per_device: int | None = None) -> None:
        """See `hpstudy.sweep.executors.Executor.adopt`; a task trains any arithmetic."""

    def calibrate(
        self, spec: RunSpec, classes: int, images: tuple[int, int], seconds: float
    ) -> list[tuple[float, float]]:
        """See `hpstudy.sweep.executors.Executor.calibrate`; on some cores or GPUs."""
        task = self._task(measure)
        arguments = spec, classes, images, seconds, *self._requirements
        tasks = [task.remote(*arguments) for _ in range(min(self.workers, _CALIBRATIONS))]
        return calibrated(spec, [self._result(reference) for reference in tasks])

    def start(self, job: Job) -> bool:
        """Submit a job; a retry takes a whole node, or a whole GPU."""
        if len(self._running) >= self.workers:
            return False
        if job.checkpoint:
            job = job._replace(checkpoint=job.checkpoint.resolve())
        task = self._task(train, whole=job.retry)
        self._running[task.remote(job, self._data, *self._requirements)] = job
        return True

    def wait(self, seconds: float) -> list[Ended]:
        """See `hpstudy.sweep.executors.Executor.wait`."""
        ended: list[Ended] = []
        if references := list(self._running):
            self._ray.wait(references, timeout=0 if self._end else seconds)
            done, _ = self._ray.wait(references, num_returns=len(references), timeout=0)
            for reference in done:
                job = self._running.pop(reference)
                try:
                    ended.append((job, self._result(reference)))
                except HpstudyError as error:
                    self._end = str(error)
        else:
            time.sleep(seconds)
        self._look()
        # Outcomes of other jobs are recorded before an error ends the sweep.
        if self._end and not ended:
            raise HpstudyError(self._end)
        return ended

    def _result(self, reference: Any) -> Any:
        """What a task returned, or a Failure; an HpstudyError of the task is raised."""
        exceptions = self._ray.exceptions
        reasons = {
            exceptions.NodeDiedError: "its node went away",
            exceptions.OutOfMemoryError: "Ray ended its process because memory ran out",
            exceptions.WorkerCrashedError: "its process on the cluster ended",
        }
        try:
            return self._ray.get(reference)
        except exceptions.RayTaskError as error:
            if isinstance(error.cause, HpstudyError):
                raise error.cause from None
            return Failure(one_line(error.cause))
        except exceptions.RayError as error:
            lost = isinstance(error, exceptions.NodeDiedError | exceptions.ObjectLostError)
            known = [reason for kind, reason in reasons.items() if isinstance(error, kind)]
            return Failure((known or [one_line(error).rstrip(".")])[0], lost)

    def _task(self, function: Any, whole: bool = False) -> Any:
        """A function as a task that takes its share of a node and is not repeated by Ray."""
        if self._kind == "CPU":
            sizes = [node["CPU"] for node in self._nodes.values() if node.get("CPU")]
            share = {"num_cpus": min(sizes, default=1) if whole else 1}
        else:
            # Ray counts in ten thousandths.
            part = math.floor(1e4 / self._per_gpu) / 1e4
            share = {"num_cpus": 0, "num_gpus": 1 if whole else part}
        # max_calls=0 keeps a process, and what it has compiled, after a task on a GPU.
        return self._ray.remote(max_retries=0, max_calls=0, **share)(function)

    def _living(self) -> dict[str, dict[str, float]]:
        """Resources of each living node that has a core or a GPU."""
        return {
            node["NodeID"]: node["Resources"]
            for node in self._ray.nodes()
            if node["Alive"] and {"CPU", "GPU"} & set(node["Resources"])
        }

    def _total(self) -> float:
        return sum(node.get(self._kind, 0) for node in self._nodes.values())

    def _look(self) -> None:
        """Every few seconds, note the living nodes, and whether the sweep has to end."""
        now = time.monotonic()
        if now < self._looked + _LOOK:
            return
        self._looked = now
        try:
            # Without a head Ray would block for a minute.
            connect(self._head)
        except HpstudyError:
            if now - self._answered > _HEAD_SILENT:
                self._end = (
                    f"the head of the Ray cluster at {self._head} does not answer; finished runs "
                    "are recorded, and the same command continues from there"
                )
        else:
            self._answered, self._nodes = now, self._living()
