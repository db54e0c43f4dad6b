"""Workers of this machine: a single-threaded process per core, or one or more per GPU."""

import logging
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.connection import wait as wait_for_any
from multiprocessing.context import SpawnContext
from pathlib import Path
from typing import Any

import torch

from hpstudy.config.runspec import RunSpec
from hpstudy.errors import HpstudyError, one_line
from hpstudy.storage.locks import scratch_folder
from hpstudy.sweep.executors.base import CalibrationError, Ended, Failure, Job
from hpstudy.training.datasets import Dataset, Split
from hpstudy.training.device import devices, follow_parent
from hpstudy.training.image_cache import Stored
from hpstudy.training.run import ENVIRONMENT, RunTrainer, calibrate, prepare_process

logger = logging.getLogger(__name__)

# Failures in a row after which a worker gets no more jobs: two runs, each tried twice.
STRIKES = 4


def worker_count(asked: int | None) -> int:
    """Number of workers: one per device by default, and at most one per core on a CPU."""
    available = devices()
    if asked is None:
        return len(available)
    return min(asked, len(available)) if available[0] == "cpu" else asked


@contextmanager
def open_pool(workers: int, data: Dataset | None = None) -> Iterator["Pool"]:
    """Pool whose processes start when they are needed and end with the block.

    Parameters
    ----------
    workers : int
        Number of processes, spread over the devices in turn.
    data : Dataset, optional
        Images to train on; without them the pool only calibrates.
    """
    with ExitStack() as stack:
        path = None
        if data is not None:
            path = stack.enter_context(scratch_folder()) / "data.pt"
            save_dataset(data, path)
            del data
        pool = Pool(workers, path)
        stack.callback(pool.end)
        yield pool


class Pool:
    """The `hpstudy.sweep.executors.base.Executor` of this machine.

    A worker whose job fails, or whose process ends, gets a new process. After `STRIKES` failures in
    a row, as on a broken GPU, it gets no more jobs.

    Parameters
    ----------
    workers : int
    path : Path, optional
        File of the images (`save_dataset`).
    """

    def __init__(self, workers: int, path: Path | None = None):
        context, places = get_context("spawn"), devices()
        self._barrier = context.Barrier(workers)
        self._workers = [
            _Worker(context, path, places[k % len(places)], self._barrier) for k in range(workers)
        ]
        self._failed_on: dict[str, str] = {}
        self._alone: _Worker | None = None
        self._refusal, self._last_failure = "", ""

    @property
    def workers(self) -> int:
        """Number of workers that get jobs."""
        return len(self._usable())

    @property
    def device(self) -> str:
        """Name of the first worker's device."""
        return self._workers[0].device

    def calibrate(
        self, spec: RunSpec, classes: int, images: tuple[int, int], seconds: float
    ) -> list[tuple[float, float]]:
        """See `hpstudy.sweep.executors.base.Executor.calibrate`; all workers measure at once."""
        self._barrier.reset()
        for worker in self._workers:
            worker.ask((spec, classes, images, seconds))
        measured, failure = [], ""
        while busy := self._busy():
            for worker in _answering(busy, None):
                kind, value = worker.answer()
                if kind == "done":
                    measured.append(value)
                    continue
                # The others may wait for this one.
                self._barrier.abort()
                failure = failure or value
        if failure:
            raise CalibrationError(f"{failure} while {spec.model} was calibrated")
        return measured

    def start(self, job: Job) -> bool:
        """Begin a job; a retry goes to another device, or has the only one to itself."""
        if self._alone and self._alone.question:
            return False
        usable, alone = self._usable(), False
        if job.retry:
            elsewhere = [w for w in usable if w.device != self._failed_on[job.run_id]]
            usable, alone = elsewhere or usable, not elsewhere
        idle = [worker for worker in usable if worker.question is None]
        if not idle or (alone and self._busy()):
            return False
        self._alone = idle[0] if alone else None
        idle[0].ask(job)
        return True

    def wait(self, seconds: float) -> list[Ended]:
        """See `hpstudy.sweep.executors.base.Executor.wait`."""
        ended: list[Ended] = []
        for worker in [] if self._refusal else _answering(self._busy(), seconds):
            job = worker.question
            kind, value = worker.answer()
            if kind == "done":
                worker.strikes = 0
                ended.append((job, value))
            elif kind == "refused":
                self._refusal = value
            else:
                self._strike(worker, job, value)
                ended.append((job, Failure(value)))
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
        """End the processes with their jobs."""
        for worker in self._workers:
            worker.end()

    def _busy(self) -> list["_Worker"]:
        return [worker for worker in self._workers if worker.question is not None]

    def _usable(self) -> list["_Worker"]:
        return [worker for worker in self._workers if worker.strikes < STRIKES]

    def _strike(self, worker: "_Worker", job: Job, reason: str) -> None:
        self._failed_on[job.run_id], self._last_failure = worker.device, reason
        worker.end()
        worker.strikes += 1
        if worker.strikes == STRIKES:
            logger.warning("a worker on %s gets no more runs: %s", worker.device, reason)


class _Worker:
    """A process that answers one question after the other (see `serve`)."""

    def __init__(self, context: SpawnContext, path: Path | None, device: str, barrier: Any):
        self.device, self.strikes = device, 0
        self.question: Any = None
        self.connection: Any = None
        self._process: Any = None
        self._context, self._path, self._barrier = context, path, barrier

    def ask(self, question: Any) -> None:
        """Send a question, to a new process if there is none."""
        if self._process is None or not self._process.is_alive():
            self._begin()
        self.question = question
        # `answer` notices a process that has just ended.
        with suppress(OSError):
            self.connection.send(question)

    def answer(self) -> tuple[str, Any]:
        """Kind and value of the answer; ("ended", reason) if the process has ended instead."""
        self.question = None
        try:
            kind, value = self.connection.recv()
        except (EOFError, OSError):
            self._process.join()
            return "ended", _reason(self._process.exitcode)
        return kind, value

    def end(self) -> None:
        """End the process at once: its job is lost, or it has none."""
        if self._process is not None:
            self.connection.close()
            self._process.terminate()
            self._process.join(5)
            self._process.kill()
            self._process.join()
            self._process = None

    def _begin(self) -> None:
        self.connection, other_end = self._context.Pipe()
        arguments = other_end, self._path, self.device, self._barrier
        self._process = self._context.Process(target=serve, args=arguments)
        before = dict(os.environ)
        os.environ.update(ENVIRONMENT)
        try:
            self._process.start()
        finally:
            for name in ENVIRONMENT:
                del os.environ[name]
            os.environ.update(before)
        # The process alone holds this end, so that its exit closes the pipe.
        other_end.close()


def _answering(workers: list[_Worker], seconds: float | None) -> list[_Worker]:
    """Workers with an answer, or whose process has ended, after at most `seconds`."""
    answers = wait_for_any([worker.connection for worker in workers], seconds)
    return [worker for worker in workers if worker.connection in answers]


def _reason(status: int) -> str:
    if status >= 0:
        return f"the worker's process ended with status {status}"
    name = signal.Signals(-status).name
    cause = ", as when memory runs out" if name == "SIGKILL" else ""
    return f"the worker's process was ended by {name}{cause}"


def serve(connection: Connection, path: Path | None, device: str, barrier: Any) -> None:
    """Answer the questions of a pool in a process of its own, until the pool closes the connection.

    A question is a Job, or the arguments of `calibrate` after the device. The answer is ("done",
    value), ("refused", sentence) or ("failed", reason).
    """
    follow_parent()
    place = torch.device(device)
    trainer: RunTrainer | None = None
    with suppress(EOFError):
        while True:
            question = connection.recv()
            try:
                prepare_process(place)
                answer: Any
                if isinstance(question, Job):
                    if trainer is None:
                        assert path is not None, "a pool without images only calibrates"
                        trainer = RunTrainer(open_dataset(path), place)
                    _, _, spec, rank_filters, race, checkpoint, _ = question
                    answer = trainer.train(spec, rank_filters, race, checkpoint)
                else:
                    barrier.wait()
                    answer = calibrate(place, *question)
            except HpstudyError as error:
                connection.send(("refused", str(error)))
            except Exception as error:  # libraries and devices raise many kinds
                connection.send(("failed", one_line(error)))
            else:
                connection.send(("done", answer))


def save_dataset(data: Dataset, path: Path) -> None:
    """Write images so that all workers map the same pages; of images in a file, only its path."""
    content = {key: getattr(data, key) for key in ("classes", "image_size", "mean", "std")}
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
