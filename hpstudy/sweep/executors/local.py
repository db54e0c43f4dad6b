"""Workers of this machine: a single-threaded process per core, or one or more per GPU."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.connection import wait as ready
from multiprocessing.context import SpawnContext
from pathlib import Path
from typing import Any

from hpstudy.config.runspec import RunSpec
from hpstudy.errors import HpstudyError
from hpstudy.sweep.executors.base import Ended, Failure, Job
from hpstudy.sweep.executors.worker import ENVIRONMENT, serve
from hpstudy.training.device import devices
from hpstudy.training.say import say

# Failures in a row after which a worker is taken for broken: two runs, each tried twice.
STRIKES = 4


def worker_count(asked: int | None) -> int:
    """Workers to use: one per device, or as many as asked for, but never two for one core."""
    available = devices()
    if asked is None:
        return len(available)
    return min(asked, len(available)) if available[0] == "cpu" else asked


@contextmanager
def open_pool(workers: int, path: Path | None = None) -> Iterator["Pool"]:
    """Worker processes, started when they are needed and ended with the block.

    Parameters
    ----------
    workers : int
        How many; they take the devices in turn.
    path : Path, optional
        Of the images to train on (`hpstudy.sweep.executors.worker.save_dataset`); without, they only calibrate.
    """
    pool = Pool(workers, path)
    try:
        yield pool
    except BaseException:
        # What they are at is lost either way; waiting for it would only delay the end.
        pool.end(at_once=True)
        raise
    pool.end()


class Pool:
    """The `hpstudy.sweep.executors.base.Executor` of this machine.

    A worker whose run fails, or whose process ends, gets a new process; one that fails `STRIKES`
    times in a row, as on a GPU that is gone, gets no more runs.
    """

    def __init__(self, workers: int, path: Path | None):
        context, self._devices = get_context("spawn"), devices()
        self._barrier = context.Barrier(workers)
        self._workers = [
            _Worker(context, path, self._devices[k % len(self._devices)], self._barrier)
            for k in range(workers)
        ]
        self._failed_on: dict[str, str] = {}
        self._alone, self._refusal, self._last_failure = False, "", ""

    @property
    def workers(self) -> int:
        """Runs that it trains at once."""
        return len(self._in_service())

    @property
    def device(self) -> str:
        """What it trains on."""
        return self._devices[0]

    def calibrate(
        self, spec: RunSpec, classes: int, images: tuple[int, int], seconds: float
    ) -> list[tuple[float, float]]:
        """As `hpstudy.sweep.executors.base.Executor.calibrate`; all workers measure at the same time."""
        for worker in self._workers:
            worker.ask((spec, classes, images, seconds))
        measured, failed = [], ""
        while busy := self._busy():
            for worker in _answering(busy, None):
                kind, value = worker.answer()
                if kind == "ended":
                    # The others may be waiting for it.
                    self._barrier.abort()
                    value = f"{value} while {spec.model} was calibrated; fewer need less memory"
                if kind in ("ended", "refused"):
                    raise HpstudyError(value)
                if kind == "failed":
                    failed = value
                measured.append(value)
        if failed:
            raise RuntimeError(failed)
        return measured

    def start(self, job: Job) -> bool:
        """Begin a job; a second attempt goes to another device, or has the only one to itself."""
        busy = self._busy()
        self._alone = self._alone and bool(busy)
        idle = [worker for worker in self._in_service() if worker.question is None]
        if job.again:
            where = self._failed_on[job.spec.run_id]
            elsewhere = [worker for worker in self._in_service() if worker.device != where]
            if busy and not elsewhere:
                return False
            idle = [worker for worker in idle if worker in elsewhere or not elsewhere]
        if self._alone or not idle:
            return False
        self._alone = job.again and not elsewhere
        idle[0].ask(job)
        return True

    def wait(self, seconds: float) -> list[Ended]:
        """Jobs that have ended since the last call (see `hpstudy.sweep.executors.base.Executor.wait`)."""
        ended = []
        for worker in [] if self._refusal else _answering(self._busy(), seconds):
            job = worker.question
            kind, value = worker.answer()
            if kind == "done":
                worker.strikes = 0
                ended.append(Ended(job, outcome=value))
            elif kind == "refused":
                self._refusal = value
            else:
                self._last_failure = value
                self._failed_on[job.spec.run_id] = worker.device
                self._strike(worker)
                ended.append(Ended(job, failure=Failure(value)))
        # What others have finished is told first.
        if not ended and self._refusal:
            raise HpstudyError(self._refusal)
        if not ended and not self._in_service():
            raise HpstudyError(
                f"no worker is left, because each failed {STRIKES} times in a row, the last time "
                f"({self._last_failure}); once that is mended, the same command goes on with "
                "--retry-failed"
            )
        return ended

    def end(self, at_once: bool = False) -> None:
        """End the processes, with what they are at."""
        for worker in self._workers:
            worker.end(at_once)

    def _busy(self) -> list["_Worker"]:
        return [worker for worker in self._workers if worker.question is not None]

    def _in_service(self) -> list["_Worker"]:
        return [worker for worker in self._workers if worker.strikes < STRIKES]

    def _strike(self, worker: "_Worker") -> None:
        worker.strikes += 1
        worker.end(at_once=True)
        if worker.strikes == STRIKES:
            say(
                f"a worker on {worker.device} gets no more runs, because {STRIKES} failed there in "
                f"a row: {self._last_failure}"
            )


class _Worker:
    """A process that answers questions one after the other (`hpstudy.sweep.executors.worker.serve`)."""

    def __init__(self, context: SpawnContext, path: Path | None, device: str, barrier: Any):
        self.device, self.strikes = device, 0
        self.question: Any = None
        self.connection: Any = None
        self._process: Any = None
        self._context, self._path, self._barrier = context, path, barrier

    def ask(self, question: Any) -> None:
        """Put a question to the process, a new one where there is none."""
        if self._process is None or not self._process.is_alive():
            self._begin()
        self.question = question
        # One that has just ended is found out when it is to answer.
        with suppress(OSError):
            self.connection.send(question)

    def answer(self) -> tuple[str, Any]:
        """Its answer; ("ended", why) where the process has ended instead."""
        self.question = None
        try:
            return self.connection.recv()
        except (EOFError, OSError):
            self._process.join()
            return "ended", _ending(self._process.exitcode)

    def end(self, at_once: bool = False) -> None:
        """End the process: at once, or when it has finished what it is at."""
        if self._process is None:
            return
        self.connection.close()
        if at_once:
            self._process.terminate()
        self._process.join(5)
        self._process.kill()
        self._process.join()
        self._process = None

    def _begin(self) -> None:
        self.connection, theirs = self._context.Pipe()
        arguments = theirs, self._path, self.device, self._barrier
        self._process = self._context.Process(target=serve, args=arguments)
        with _environment():
            self._process.start()
        # Theirs alone is open from now on, so that its end is seen here.
        theirs.close()


def _answering(workers: list[_Worker], seconds: float | None) -> list[_Worker]:
    """Those with an answer, or whose process has ended, within some time."""
    answers = ready([worker.connection for worker in workers], seconds)
    return [worker for worker in workers if worker.connection in answers]


def _ending(status: int) -> str:
    if status >= 0:
        return f"the worker's process ended with status {status}"
    name = signal.Signals(-status).name
    memory = ", as the system does where memory runs out" if name == "SIGKILL" else ""
    return f"the worker's process was ended by {name}{memory}"


@contextmanager
def _environment() -> Iterator[None]:
    """Variables of workers, which are read when a process starts."""
    before = {name: os.environ.get(name) for name in ENVIRONMENT}
    os.environ.update(ENVIRONMENT)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
