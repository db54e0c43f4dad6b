"""Workers of this machine: a single-threaded process per core, or one or more per GPU."""

import logging
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED
from concurrent.futures import wait as wait_for
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from uuid import uuid4

from hpstudy.config.arithmetic import POPULATION
from hpstudy.config.runspec import RunSpec
from hpstudy.errors import HpstudyError
from hpstudy.storage.database import held, is_held
from hpstudy.sweep.executors import Ended, Failure, Job, calibrated
from hpstudy.sweep.executors.command import CommandWorker
from hpstudy.sweep.executors.images import save_dataset
from hpstudy.sweep.executors.mps import mps_answers
from hpstudy.sweep.executors.team import teams
from hpstudy.sweep.executors.worker import ProcessWorker, Worker
from hpstudy.training.datasets import Dataset
from hpstudy.training.device import devices
from hpstudy.training.run import prepare_process

logger = logging.getLogger(__name__)

# Failures in a row after which a worker gets no more jobs: two runs, each tried twice.
STRIKES = 4
# Workers of a GPU beyond which no more images were trained (`benchmarks/gpu.md`).
MOST_ON_GPU = 8
# Runs of a population that a trial chooses from (`benchmarks/gpu.py`).
SLOTS = (8, 16)


def worker_count(asked: int | None, share: int = 1) -> int:
    """Number of workers: one per `share` devices by default, and not more than that on a CPU."""
    available = teams(devices(), share)
    if asked is None:
        return len(available)
    return min(asked, len(available)) if available[0].startswith("cpu") else asked


@contextmanager
def open_pool(
    workers: int,
    data: Dataset | None = None,
    command: bool = False,
    trial: bool = False,
    share: int = 1,
) -> Iterator["Pool"]:
    """Pool of worker processes, which start when they are needed and end with the block.

    Without images (`data`) it only calibrates, or runs commands in place of its own processes.
    In a `trial` the number of workers may change.
    """
    with ExitStack() as stack:
        path = stack.enter_context(scratch_folder()) / "data.pt"
        if data is not None:
            save_dataset(data, path)
            del data
        pool = Pool(workers, path, command, trial, share)
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

    def __init__(
        self,
        workers: int,
        path: Path,
        command: bool = False,
        trial: bool = False,
        share: int = 1,
    ):
        self._asked, self._path, self._command, self._trial = workers, path, command, trial
        self._devices = teams(devices(), share)
        self._workers: list[Any] = []
        self._resize(workers, CommandWorker if command else ProcessWorker)
        self._failed_on: dict[str, str] = {}
        self._alone: Worker | None = None
        self._refusal, self._last_failure, self._succeeded = "", "", False

    @property
    def workers(self) -> int:
        """Jobs at once, of the workers that get some."""
        return sum(worker.slots for worker in self._usable())

    @property
    def device(self) -> str:
        """Name of the first worker's device."""
        return str(self._workers[0].device)

    @property
    def counts(self) -> tuple[int, ...]:
        """See `hpstudy.sweep.executors.Executor.counts`: without MPS, workers take turns."""
        on_gpu = self.device.startswith("cuda")
        return (1, MOST_ON_GPU) if self._trial and on_gpu and mps_answers() else ()

    @property
    def slots(self) -> tuple[int | None, ...]:
        """See `hpstudy.sweep.executors.Executor.slots`."""
        if find_spec("triton") is None:
            return ()
        return SLOTS if self._trial else (None,)

    def adopt(self, arithmetic: str, per_device: int | None = None) -> None:
        """See `hpstudy.sweep.executors.Executor.adopt`; populations have a worker for a device."""
        if arithmetic == POPULATION and self._trial and per_device is None:
            per_device = SLOTS[0]
        count = self._asked if per_device is None else per_device * len(self._devices)
        if arithmetic != POPULATION:
            self._resize(count, CommandWorker if self._command else ProcessWorker)
            return
        if find_spec("triton") is None:
            raise HpstudyError(
                f"the arithmetic {POPULATION} needs the package triton, which is not installed "
                "here: pip install triton"
            )
        from hpstudy.sweep.executors.population import GroupWorker

        slots = -(-count // len(self._devices))
        self._resize(len(self._devices), GroupWorker, slots)

    def calibrate(
        self, spec: RunSpec, classes: int, images: tuple[int, int], seconds: float
    ) -> list[tuple[float, float]]:
        """See `hpstudy.sweep.executors.Executor.calibrate`; all workers measure at once."""
        # All have imported torch before the first one measures.
        wait_for([worker.submit(prepare_process) for worker in self._workers])
        arguments = spec, classes, images, seconds
        futures = [(worker, worker.calibrate(*arguments)) for worker in self._workers]
        return calibrated(spec, [worker.result(future) for worker, future in futures])

    def start(self, job: Job) -> bool:
        """Begin a job; a retry goes to another device, or has the only one to itself."""
        if self._alone and self._alone.jobs:
            return False
        usable, alone = self._usable(), False
        if job.retry:
            elsewhere = [w for w in usable if w.device != self._failed_on[job.run_id]]
            usable, alone = elsewhere or usable, not elsewhere
        free = [worker for worker in usable if worker.takes(job)]
        if not free or (alone and self._busy()):
            return False
        worker = min(free, key=lambda worker: len(worker.jobs))
        self._alone = worker if alone else None
        worker.begin(job)
        return True

    def wait(self, seconds: float) -> list[Ended]:
        """See `hpstudy.sweep.executors.Executor.wait`."""
        ended: list[Ended] = []
        busy = [] if self._refusal else self._busy()
        for worker in busy:
            worker.go_on()
        done, _ = wait_for([worker.future for worker in busy], seconds, FIRST_COMPLETED)
        for worker in busy:
            if worker.future not in done:
                continue
            try:
                found = worker.collect()
            except HpstudyError as error:
                self._refusal, worker.jobs = str(error), {}
                continue
            ended += found
            failed = [(job, end) for job, end in found if isinstance(end, Failure)]
            if len(failed) < len(found):
                worker.strikes, self._succeeded = 0, True
            if failed:
                self._note(worker, failed)
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

    def _note(self, worker: Worker, failed: list[tuple[Job, Failure]]) -> None:
        """Count failures of jobs, which one cause has ended together."""
        reason = failed[0][1].reason
        self._failed_on.update((job.run_id, worker.device) for job, _ in failed)
        self._last_failure = reason
        if self._command and self._succeeded:
            # A command that has worked fails by its setting, not by its worker.
            return
        worker.strikes += 1
        if not self._command:
            worker.end()
        if worker.strikes == STRIKES:
            logger.warning("a worker on %s gets no more runs: %s", worker.device, reason)

    def _resize(self, number: int, kind: type[Worker], slots: int = 1) -> None:
        """Workers of a kind on the devices in turn; none may have a job, and some may stay."""
        kept = [w for w in self._workers[:number] if type(w) is kind and w.slots == slots]
        for worker in self._workers:
            if worker not in kept:
                worker.end()
        places = [self._devices[k % len(self._devices)] for k in range(number)]
        self._workers = kept + [kind(place, self._path, slots) for place in places[len(kept) :]]

    def _busy(self) -> list[Any]:
        return [worker for worker in self._workers if worker.jobs]

    def _usable(self) -> list[Any]:
        return [worker for worker in self._workers if worker.strikes < STRIKES]
