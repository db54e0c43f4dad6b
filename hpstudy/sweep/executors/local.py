"""Workers of this machine: a single-threaded process per core, or one or more per GPU."""

import logging
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor
from concurrent.futures import wait as wait_for
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from multiprocessing import active_children, get_context
from pathlib import Path
from typing import Any
from uuid import uuid4

import torch

from hpstudy.config.runspec import RunSpec
from hpstudy.errors import HpstudyError, one_line
from hpstudy.storage.database import held, is_held
from hpstudy.sweep.executors import Ended, Failure, Job, calibrated
from hpstudy.sweep.executors.command import CommandWorker
from hpstudy.sweep.executors.team import lead, teams
from hpstudy.training.datasets import Dataset, Split
from hpstudy.training.device import devices, follow_parent
from hpstudy.training.image_folders import Stored
from hpstudy.training.run import ENVIRONMENT, RunTrainer, calibrate, prepare_process
from hpstudy.training.state import RunOutcome

logger = logging.getLogger(__name__)

# Failures in a row after which a worker gets no more jobs: two runs, each tried twice.
STRIKES = 4


def worker_count(asked: int | None, share: int = 1) -> int:
    """Number of workers: one per `share` devices by default, and not more than that on a CPU."""
    available = teams(devices(), share)
    if asked is None:
        return len(available)
    return min(asked, len(available)) if available[0].startswith("cpu") else asked


@contextmanager
def open_pool(
    workers: int, data: Dataset | None = None, command: bool = False, share: int = 1
) -> Iterator["Pool"]:
    """Pool of worker processes, which start when they are needed and end with the block.

    Without images (`data`) it only calibrates, or runs commands in place of its own processes.
    """
    with ExitStack() as stack:
        path = stack.enter_context(scratch_folder()) / "data.pt"
        if data is not None:
            save_dataset(data, path)
            del data
        pool = Pool(workers, path, command, share)
        stack.callback(pool.end)
        yield pool


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Temporary folder for the block; removes first what killed processes have left."""
    root = Path(tempfile.gettempdir())
    for lock in root.glob("hpstudy-*.lock"):
        if not is_held(lock):
            shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
    folder = root / f"hpstudy-{uuid4().hex}"
    with held(folder.with_suffix(".lock")):
        folder.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            shutil.rmtree(folder)


class Pool:
    """The `hpstudy.sweep.executors.Executor` of this machine, over its devices in turn.

    A worker whose job fails, or whose process ends, gets a new process. After `STRIKES` failures in
    a row, as on a broken GPU, it gets no more jobs. `path` is the file of the images
    (`save_dataset`), and `share` the number of devices that train a run together.
    """

    def __init__(self, workers: int, path: Path, command: bool = False, share: int = 1):
        places, self._path, self._command = teams(devices(), share), path, command
        kind: Any = CommandWorker if command else partial(_Worker, path.parent)
        self._workers = [kind(places[k % len(places)]) for k in range(workers)]
        self._failed_on: dict[str, str] = {}
        self._alone: _Worker | None = None
        self._refusal, self._last_failure, self._succeeded = "", "", False

    @property
    def workers(self) -> int:
        """Number of workers that get jobs."""
        return len(self._usable())

    @property
    def device(self) -> str:
        """Name of the first worker's device."""
        return str(self._workers[0].device)

    def calibrate(
        self, spec: RunSpec, classes: int, images: tuple[int, int], seconds: float
    ) -> list[tuple[float, float]]:
        """See `hpstudy.sweep.executors.Executor.calibrate`; all workers measure at once."""
        # All have imported torch before the first one measures.
        wait_for([worker.submit(prepare_process) for worker in self._workers])
        arguments = spec, classes, images, seconds
        futures = [(worker, worker.submit(calibrate, *arguments)) for worker in self._workers]
        return calibrated(spec, [worker.result(future) for worker, future in futures])

    def start(self, job: Job) -> bool:
        """Begin a job; a retry goes to another device, or has the only one to itself."""
        if self._alone and self._alone.job:
            return False
        usable, alone = self._usable(), False
        if job.retry:
            elsewhere = [w for w in usable if w.device != self._failed_on[job.run_id]]
            usable, alone = elsewhere or usable, not elsewhere
        idle = [worker for worker in usable if worker.job is None]
        if not idle or (alone and self._busy()):
            return False
        self._alone = idle[0] if alone else None
        idle[0].job, idle[0].future = job, idle[0].submit(train, job, self._path)
        return True

    def wait(self, seconds: float) -> list[Ended]:
        """See `hpstudy.sweep.executors.Executor.wait`."""
        ended: list[Ended] = []
        busy = [] if self._refusal else self._busy()
        done, _ = wait_for([worker.future for worker in busy], seconds, FIRST_COMPLETED)
        for worker in busy:
            if worker.future not in done:
                continue
            job, worker.job = worker.job, None
            try:
                result = worker.result(worker.future)
            except HpstudyError as error:
                self._refusal = str(error)
                continue
            ended.append((job, result))
            if not isinstance(result, Failure):
                worker.strikes, self._succeeded = 0, True
                continue
            self._failed_on[job.run_id], self._last_failure = worker.device, result.reason
            if self._command and self._succeeded:
                # A command that has worked fails by its setting, not by its worker.
                continue
            worker.strikes += 1
            if not self._command:
                worker.end()
            if worker.strikes == STRIKES:
                message = "a worker on %s gets no more runs: %s"
                logger.warning(message, worker.device, result.reason)
        # Outcomes of other jobs are recorded before an error ends the sweep.
        if not ended and self._refusal:
            raise HpstudyError(self._refusal)
        if not ended and not self._usable():
            raise HpstudyError(
                f"no worker is left: {STRIKES} runs in a row failed on each, the last with "
                f"({self._last_failure}); mend the cause, then continue with --retry-failed"
            )
        return ended

    def end(self) -> None:
        """End the processes, and the jobs that they train."""
        for worker in self._workers:
            worker.end()

    def _busy(self) -> list["_Worker"]:
        return [worker for worker in self._workers if worker.job is not None]

    def _usable(self) -> list["_Worker"]:
        return [worker for worker in self._workers if worker.strikes < STRIKES]


class _Worker:
    """A process on one device, or the first of a team's, begun anew when it has ended."""

    def __init__(self, folder: Path, device: str):
        self.device, self.strikes = device, 0
        self._call = partial(lead, folder, call) if "+" in device else call
        self.job: Any = None
        self.future: Any = None
        self._pool: Any = None
        self._process: Any = None

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


def save_dataset(data: Dataset, path: Path) -> None:
    """Write images so that all workers map the same pages; of images in a file, only its path."""
    names = ("classes", "image_size", "mean", "std", "folder")
    content = {name: getattr(data, name) for name in names}
    for name in ("train", "test"):
        images, labels = getattr(data, name).images, getattr(data, name).labels
        if isinstance(images, Stored):
            images = {**vars(images), "path": str(images.path), "rows": torch.tensor(images.rows)}
        content[name] = {"images": images, "labels": labels}
    torch.save(content, path)


def open_dataset(path: Path) -> Dataset:
    """Data set that `save_dataset` has written, mapped to memory."""
    content = torch.load(path, mmap=True, weights_only=True)
    for name in ("train", "test"):
        images, labels = content[name]["images"], content[name]["labels"]
        if isinstance(images, dict):
            images = Stored(Path(images["path"]), images["size"], images["rows"].numpy())
        content[name] = Split(images, labels)
    return Dataset(**content)
