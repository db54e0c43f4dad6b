"""A worker whose runs are one program of a GPU (`hpstudy.training.population`)."""

from concurrent.futures import Future
from functools import cache
from pathlib import Path
from typing import Any

import torch

from hpstudy.config.runspec import RunSpec
from hpstudy.sweep.executors import Ended, Failure, Job
from hpstudy.sweep.executors.images import open_dataset
from hpstudy.sweep.executors.worker import ProcessWorker
from hpstudy.training.population.slots import GroupTrainer, calibrate_group
from hpstudy.training.state import RunOutcome


class GroupWorker(ProcessWorker):
    """Trains up to `slots` runs of one architecture and recipe at once, an epoch a call."""

    def __init__(self, device: str, path: Path, slots: int):
        super().__init__(device, path, slots)
        self._entering: list[Job] = []
        self._waits = True

    def takes(self, job: Job) -> bool:
        """Whether it has a free slot, and its runs the shape of the job's."""
        return len(self.jobs) < self.slots and all(
            _shape(other) == _shape(job) for other in self.jobs.values()
        )

    def begin(self, job: Job) -> None:
        """Take a job, which enters with the next epoch."""
        self.jobs[job.run_id] = job
        self._entering.append(job)

    def go_on(self) -> None:
        """Train an epoch, unless one is being trained."""
        if self._waits:
            arguments = self._entering, self.path, self.slots
            self.future, self._entering, self._waits = self.submit(epoch, *arguments), [], False

    def collect(self) -> list[Ended]:
        """Runs that have ended with an epoch; all of them where it failed."""
        self._waits = True
        found = self.result(self.future)
        if isinstance(found, Failure):
            # What would have entered next has not failed.
            entering = {job.run_id for job in self._entering}
            found = {run_id: found for run_id in self.jobs if run_id not in entering}
        return [(self.jobs.pop(run_id), end) for run_id, end in found.items()]

    def calibrate(self, *arguments: Any) -> Future[Any]:
        """`hpstudy.training.population.slots.calibrate_group` in the process."""
        return self.submit(calibrate_group, *arguments, self.slots)


def _shape(job: Job) -> tuple[Any, ...]:
    assert isinstance(job.spec, RunSpec)
    return job.spec.model, job.spec.widths, job.spec.recipe


def epoch(
    device: torch.device, entering: list[Job], path: Path, slots: int
) -> dict[str, RunOutcome]:
    """Train an epoch in a worker's process, on the images that it keeps."""
    trainer = _trainer(path, device, slots)
    for job in entering:
        assert isinstance(job.spec, RunSpec)
        trainer.enter(job.spec, job.rank_filters, job.checkpoint)
    return trainer.epoch()


@cache
def _trainer(path: Path, device: torch.device, slots: int) -> GroupTrainer:
    return GroupTrainer(open_dataset(path), device, slots)
