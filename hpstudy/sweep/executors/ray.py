"""Runs on a Ray cluster: each is a task, and what it comes to returns to the one who sweeps."""

import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from hpstudy.config.runspec import RunSpec
from hpstudy.errors import HpstudyError, count, one_line
from hpstudy.sweep.executors.base import Ended, Failure, Job
from hpstudy.sweep.executors.connect import check_address, connected, load_ray
from hpstudy.sweep.executors.node import check, measure, packed, train, versions
from hpstudy.training.datasets import Dataset
from hpstudy.training.image_cache import Stored

# Seconds: between two looks at the cluster; that its head may be silent (Ray ends the process
# after 60); that it may be without nodes, as after a preemption.
_LOOK, _HEAD, _NODES_GONE = 3.0, 20.0, 600.0
# Tasks that calibrate at once: enough for a mean, however large the cluster.
_CALIBRATIONS = 8
_GO_ON = "finished runs are recorded, and the same command goes on from there"


@contextmanager
def open_cluster(
    data: Dataset | None, workers: int | None = None, address: str | None = None
) -> Iterator["Cluster"]:
    """A Ray cluster that trains runs, which are cancelled with the block.

    Parameters
    ----------
    data : Dataset or None
        To train on; without, it can calibrate only.
    workers : int, optional
        Runs trained at once at most; by default one per GPU, or one per core where there is none.
    address : str, optional
        HOST:PORT of a cluster, one of whose nodes is this machine; by default what the variable
        RAY_ADDRESS says and, without that, a new cluster of this machine alone.

    Raises
    ------
    HpstudyError
        If there is no such cluster, ray is not installed, or a node has another version of
        hpstudy or torch or cannot read what the images are in.
    """
    if address is None:
        address = os.environ.get("RAY_ADDRESS") or None
    host = "127.0.0.1" if address is None else check_address(address)
    ray = load_ray(loopback=host in ("127.0.0.1", "localhost", "::1"))
    splits = (data.train, data.test) if data else ()
    paths = tuple({split.images.path for split in splits if isinstance(split.images, Stored)})
    with connected(ray, address):
        yield Cluster(ray, data, workers, paths)


class Cluster:
    """The `hpstudy.sweep.executors.base.Executor` of a Ray cluster (see `open_cluster`).

    Parameters
    ----------
    ray : module
        Connected.
    data : Dataset or None
    workers : int or None
    paths : tuple of Path
        Files that the images are in, if they are.
    """

    def __init__(
        self, ray: ModuleType, data: Dataset | None, workers: int | None, paths: tuple[Path, ...]
    ):
        self._ray, self._most = ray, workers or math.inf
        self._check = tuple(versions().items()), paths
        self._head = ray.get_runtime_context().gcs_address
        self._running: dict[Any, Job] = {}
        self._refusal = ""
        self._heard = self._manned = self._looked = time.monotonic()
        self._nodes = self._living()
        self._kind = "GPU" if any(node.get("GPU") for node in self._nodes.values()) else "CPU"
        if not self._total():
            raise HpstudyError(f"the Ray cluster at {self._head} has no node with a core or a GPU")
        # As many on each GPU as it takes.
        self._per_gpu = math.ceil(workers / self._total()) if workers else 1
        self.device = self._check_nodes()
        self._held = None if data is None else [ray.put(packed(data))]

    @property
    def workers(self) -> int:
        """Runs that it trains at once, as its nodes come and go; one where none is left."""
        self._look()
        fit = self._total() * (self._per_gpu if self._kind == "GPU" else 1)
        return int(max(1, min(self._most, fit)))

    def calibrate(
        self, spec: RunSpec, classes: int, images: tuple[int, int], seconds: float
    ) -> list[tuple[float, float]]:
        """As `hpstudy.sweep.executors.base.Executor.calibrate`, on some of its cores or GPUs."""
        task = self._task(measure)
        most = min(self.workers, _CALIBRATIONS)
        waiting = [task.remote(spec, classes, images, seconds) for _ in range(most)]
        measured = []
        while waiting:
            self._check_head()
            done, waiting = self._ray.wait(waiting, timeout=1.0)
            try:
                measured += self._ray.get(done)
            except self._ray.exceptions.RayTaskError as error:
                if isinstance(error.cause, HpstudyError):
                    raise error.cause from None
                raise RuntimeError(one_line(error.cause)) from None
            except self._ray.exceptions.RayError as error:
                raise HpstudyError(
                    f"{self._reason(error)} while {spec.model} was calibrated"
                ) from None
        return measured

    def start(self, job: Job) -> bool:
        """Submit a job; a second attempt waits for a whole node, or a whole GPU."""
        if len(self._running) >= self.workers:
            return False
        if job.checkpoint:
            job = job._replace(checkpoint=job.checkpoint.resolve())
        task = self._task(train, whole=job.again)
        self._running[task.remote(job, self._held, *self._check)] = job
        return True

    def wait(self, seconds: float) -> list[Ended]:
        """Jobs that have ended since the last call (see `hpstudy.sweep.executors.base.Executor.wait`)."""
        if not self._running or self._refusal:
            time.sleep(0 if self._refusal else seconds)
        else:
            self._ray.wait(list(self._running), timeout=seconds)
        ended = []
        if self._running:
            references = list(self._running)
            done, _ = self._ray.wait(references, num_returns=len(references), timeout=0)
            ended = [one for reference in done if (one := self._ended(reference))]
        # What others have finished is told first.
        if not ended:
            if self._refusal:
                raise HpstudyError(self._refusal)
            self._look()
            self._check_head()
            self._check_manned()
        return ended

    def _ended(self, reference: Any) -> Ended | None:
        job, exceptions = self._running.pop(reference), self._ray.exceptions
        try:
            return Ended(job, outcome=self._ray.get(reference))
        except exceptions.RayTaskError as error:
            if isinstance(error.cause, HpstudyError):
                self._refusal = str(error.cause)
                return None
            return Ended(job, failure=Failure(one_line(error.cause)))
        except exceptions.RayError as error:
            lost = isinstance(error, exceptions.NodeDiedError | exceptions.ObjectLostError)
            return Ended(job, failure=Failure(self._reason(error), lost))

    def _reason(self, error: Exception) -> str:
        exceptions = self._ray.exceptions
        for kind, words in (
            (exceptions.NodeDiedError, "its node has gone away"),
            (exceptions.OutOfMemoryError, "Ray ended its process, as the node's memory ran out"),
            (exceptions.WorkerCrashedError, "its process on the cluster has ended"),
        ):
            if isinstance(error, kind):
                return words
        return one_line(error).rstrip(".")

    def _task(self, function: Any, whole: bool = False) -> Any:
        """A function as a task that takes its share of a node; Ray is not to repeat it."""
        if self._kind == "CPU":
            least = min(
                (node["CPU"] for node in self._nodes.values() if node.get("CPU")), default=1
            )
            share = {"num_cpus": least if whole else 1}
        else:
            # Ray counts in ten thousandths.
            part = math.floor(1e4 / self._per_gpu) / 1e4
            share = {"num_cpus": 0, "num_gpus": 1 if whole else part}
        # By default a process that has used a GPU is ended after each task, with all it has
        # compiled.
        return self._ray.remote(max_retries=0, max_calls=0, **share)(function)

    def _check_nodes(self) -> str:
        """What the nodes train on, in words; none may differ from this process."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        task = self._ray.remote(num_cpus=0)(check)
        asked = {}
        for node in self._nodes:
            here = NodeAffinitySchedulingStrategy(node, soft=False)
            asked[node] = task.options(scheduling_strategy=here).remote(*self._check)
        words = set()
        for node, reference in asked.items():
            try:
                words.add(self._ray.get(reference))
            except self._ray.exceptions.RayTaskError as error:
                if isinstance(error.cause, HpstudyError):
                    raise error.cause from None
                raise HpstudyError(
                    f"a node of the cluster cannot train ({one_line(error.cause)})"
                ) from None
            except self._ray.exceptions.RayError:
                # It has just gone away.
                del self._nodes[node]
        return f"{', '.join(sorted(words))} of {count(len(self._nodes), 'Ray node')}"

    def _living(self) -> dict[str, dict[str, float]]:
        """Resources of each node that has any to train on."""
        return {
            node["NodeID"]: node["Resources"]
            for node in self._ray.nodes()
            if node["Alive"] and {"CPU", "GPU"} & set(node["Resources"])
        }

    def _total(self) -> float:
        return sum(node.get(self._kind, 0) for node in self._nodes.values())

    def _look(self) -> None:
        """Look what the cluster consists of, every few seconds, if its head answers."""
        now = time.monotonic()
        if now < self._looked + _LOOK:
            return
        self._looked = now
        try:
            check_address(self._head)
        except HpstudyError:
            # Asked now, Ray would not answer for a minute.
            return
        self._nodes, self._heard = self._living(), now
        if self._total():
            self._manned = now

    def _check_head(self) -> None:
        self._look()
        if self._looked - self._heard > _HEAD:
            raise HpstudyError(
                f"the head of the Ray cluster at {self._head} does not answer any more; {_GO_ON}"
            )

    def _check_manned(self) -> None:
        if self._looked - self._manned > _NODES_GONE:
            raise HpstudyError(
                f"the Ray cluster at {self._head} has had no node to train on for "
                f"{_NODES_GONE:.0f} s; {_GO_ON}"
            )
