"""Workers of a pool: what trains jobs on one device, and the processes that most of them are."""

import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import cache, partial
from multiprocessing import active_children, get_context
from pathlib import Path
from typing import Any

import torch

from hpstudy.config.runspec import RunSpec
from hpstudy.errors import HpstudyError, one_line
from hpstudy.sweep.executors import Ended, Failure, Job
from hpstudy.sweep.executors.images import open_dataset
from hpstudy.sweep.executors.team import lead
from hpstudy.training.device import follow_parent
from hpstudy.training.run import ENVIRONMENT, RunTrainer, calibrate, prepare_process
from hpstudy.training.state import RunOutcome


class Worker:
    """Trains jobs on one device.

    Attributes
    ----------
    slots : int
        Jobs that it trains at once.
    jobs : dict of str to Job
        Those that it has, by their run ids.
    future : Future
        What it is doing for them.
    strikes : int
        Failures in a row.
    """

    def __init__(self, device: str, path: Path, slots: int = 1):
        self.device, self.path, self.slots, self.strikes = device, path, slots, 0
        self.jobs: dict[str, Job] = {}
        self.future: Future[Any] = Future()

    def takes(self, job: Job) -> bool:
        """Whether it can begin a job now."""
        return not self.jobs

    def begin(self, job: Job) -> None:
        """Take a job."""
        raise NotImplementedError

    def go_on(self) -> None:
        """Begin what was taken, where jobs are trained together."""

    def collect(self) -> list[Ended]:
        """Jobs that have ended with the future; raises HpstudyError for one that is refused."""
        (job,) = self.jobs.values()
        self.jobs = {}
        return [(job, self.result(self.future))]

    def result(self, future: Future[Any]) -> Any:
        """What a call returned, or a Failure; an HpstudyError of it is raised."""
        raise NotImplementedError

    def end(self) -> None:
        """End what it does at once."""
        raise NotImplementedError


class ProcessWorker(Worker):
    """A process on one device, begun anew when it has ended."""

    def __init__(self, device: str, path: Path, slots: int = 1):
        super().__init__(device, path, slots)
        # Of a team, the first process is the worker.
        self._call = partial(lead, path.parent, call) if "+" in device else call
        self._pool: Any = None
        self._process: Any = None

    def begin(self, job: Job) -> None:
        """See `Worker.begin`."""
        self.jobs = {job.run_id: job}
        self.future = self.submit(train, job, self.path)

    def calibrate(self, *arguments: Any) -> Future[Any]:
        """`hpstudy.training.run.calibrate` in the process."""
        return self.submit(calibrate, *arguments)

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Call a function of a device in the process."""
        if self._process is None or not self._process.is_alive():
            self.end()
            self._begin()
        future: Future[Any] = self._pool.submit(self._call, function, self.device, *arguments)
        return future

    def result(self, future: Future[Any]) -> Any:
        """What the function returned, or a Failure; an HpstudyError of it is raised."""
        try:
            return future.result()
        except BrokenProcessPool:
            return Failure(_reason(self._status()))
        except HpstudyError:
            raise
        except RuntimeError as error:
            return Failure(str(error))

    def _status(self) -> int | None:
        status: int | None
        # The pool's own thread may have collected the status, and be about to note it.
        due = time.monotonic() + 5
        while (status := self._process.exitcode) is None and time.monotonic() < due:
            time.sleep(0.01)
        return status

    def end(self) -> None:
        """End the process at once."""
        if self._process is not None:
            self._process.terminate()
            self._process.join(5)
            self._process.kill()
            self._pool.shutdown(cancel_futures=True)
            self._process = None

    def _begin(self) -> None:
        before, children = dict(os.environ), set(active_children())
        self._pool = ProcessPoolExecutor(1, get_context("spawn"), follow_parent)
        os.environ.update(ENVIRONMENT)
        try:
            # The first task starts the process.
            self._pool.submit(os.getpid)
        finally:
            for name in ENVIRONMENT:
                del os.environ[name]
            os.environ.update(before)
        (self._process,) = set(active_children()) - children


def _reason(status: int | None) -> str:
    if status is None or status >= 0:
        return f"the worker's process ended with status {status}"
    name = signal.Signals(-status).name
    cause = ", as when memory runs out" if name == "SIGKILL" else ""
    return f"the worker's process was ended by {name}{cause}"


def call(function: Callable[..., Any], device: str, *arguments: Any) -> Any:
    """Call a function of a device in a worker; an error of a library becomes one line."""
    place = torch.device(device)
    try:
        prepare_process(place)
        return function(place, *arguments)
    except HpstudyError:
        raise
    except Exception as error:  # libraries and devices raise many kinds, not all of which travel
        raise RuntimeError(one_line(error)) from None


def train(device: torch.device, job: Job, path: Path) -> RunOutcome:
    """Train one run in a worker, on the images that it keeps from run to run."""
    assert isinstance(job.spec, RunSpec)
    return _trainer(path, device).train(job.spec, job.rank_filters, job.checkpoint)


@cache
def _trainer(path: Path, device: torch.device) -> RunTrainer:
    return RunTrainer(open_dataset(path), device)
