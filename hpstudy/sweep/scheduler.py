"""Which missing runs can be trained now, and their way to an executor and into the store."""

import logging
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping

from tqdm import tqdm

from hpstudy.config.grid import Extent
from hpstudy.errors import count
from hpstudy.storage.database import BUSY, OURS, Leases, Unwritable
from hpstudy.storage.store import Spec
from hpstudy.sweep.any_plan import AnyPlan
from hpstudy.sweep.executors import Ended, Executor, Failure, Job
from hpstudy.sweep.growth import assess
from hpstudy.training.checkpoint import discard
from hpstudy.training.state import RunOutcome

logger = logging.getLogger(__name__)

# Machines that may go away under a run before the run counts as the cause.
LOSSES = 5
# Seconds for which a store that cannot be written is tried again, and between two tries.
PATIENCE, PAUSE = 600.0, 5.0
# Jobs leased ahead per worker: a transaction for each would cost more.
AHEAD = 1 / 8
# Missing runs are looked up again after this many times the duration of a look.
LOOK_RATIO = 10


class Scheduler:
    """Hands the missing runs of a plan to an executor and records their outcomes.

    `seconds` are priced ones of a run, by variant, and `bar` shows progress in them.
    """

    def __init__(
        self,
        plan: AnyPlan,
        executor: Executor,
        leases: Leases,
        bar: tqdm,
        seconds: Mapping[str, float],
    ):
        self.plan, self.executor, self.leases = plan, executor, leases
        self.bar, self.seconds = bar, seconds
        self._pending = deque[Job]()
        self._running, self._leased, self._retried = set[str](), set[str](), set[str]()
        self._losses = Counter[str]()
        self._extents: dict[str, Extent] = {}
        self._finished, self._total = 0, 0
        self._next_look, self._shares = 0.0, False

    def run(self) -> Iterator[list[str]]:
        """Train until nothing is missing; yields the ids of the runs just recorded.

        Raises HpstudyError if the executor or the store fails; recorded runs stay.
        """
        self._look()
        while self._pending or self._running:
            self._fill()
            # The timeout keeps the clock of the bar going.
            ended = self.executor.wait(1.0)
            if sys.stderr.isatty():
                self.bar.refresh()
            if ended:
                yield self._settle(ended)
            if not self._pending and (not self._running or time.monotonic() > self._next_look):
                self._look()

    def _look(self) -> None:
        """Find the runs that can be trained now: results bring new ones, other sweeps end some."""
        began = time.monotonic()
        self.plan.prune()
        jobs = self.plan.missing()
        self._pending = deque(job for job in jobs if job.run_id not in self._running)
        for variant, growth in assess(self.plan).growths.items():
            if growth.extent != self._extents.setdefault(variant, growth.extent):
                self._extents[variant] = growth.extent
                added = [
                    f"{number} {side} on {axis}"
                    for axis, numbers in zip(self.plan.axes, growth.extent, strict=False)
                    for side, number in zip(("below", "above"), numbers, strict=True)
                    if number
                ]
                logger.info("steps added to the grid of %s: %s", variant, ", ".join(added))
        missing = self.plan.counts()["missing"]
        self._total = self._finished + int(missing.sum())
        left = float((missing * missing.index.map(self.seconds)).sum())
        self.bar.total = max(self.bar.total, self.bar.n + left)
        now = time.monotonic()
        self._next_look = now + LOOK_RATIO * (now - began)

    def _fill(self) -> None:
        """Start jobs while workers are free."""
        while self._pending and (free := self.executor.workers - len(self._running)) > 0:
            job = self._pending[0]
            if job.run_id not in self._leased:
                self._lease(max(free, int(self.executor.workers * AHEAD)))
            elif self.executor.start(job._replace(retry=job.run_id in self._retried)):
                self._pending.popleft()
                self._leased.remove(job.run_id)
                self._running.add(job.run_id)
            else:
                return

    def _lease(self, number: int) -> None:
        """Lease the first pending runs; those of other sweeps are not pending any more."""
        jobs = [self._pending.popleft() for _ in range(min(number, len(self._pending)))]
        tables = {}
        for job in jobs:
            # Tables of the store, of which one holds the run once it has ended. A study with
            # another prior may have recorded the prior's run without its scores.
            ranked = job.rank_filters and self.plan.needs_ranking
            tables[job.run_id] = ["failures", "rankings" if ranked else "runs"]
        owners = self.leases.take(tables)
        ours = [job for job in jobs if owners[job.run_id] == OURS]
        self._leased.update(job.run_id for job in ours)
        self._pending.extendleft(reversed(ours))
        if BUSY in owners.values() and not self._shares:
            self._shares = True
            logger.info("another sweep trains some of the runs in %s", self.plan.store.path)

    def _settle(self, ended: list[Ended]) -> list[str]:
        """Record outcomes, and queue again what failed for the first time."""
        done = [(job.spec, end) for job, end in ended if isinstance(end, RunOutcome)]
        if done:
            self._record(done)
        ranked, prior = False, self.plan.prior.run_id
        for job, end in ended:
            self._running.remove(job.run_id)
            if isinstance(end, Failure):
                if self._is_tried_again(job, end):
                    self._pending.appendleft(job)
                    self._leased.add(job.run_id)
                    continue
            elif job.checkpoint:
                # The checkpoint of a failed run stays: it may continue where there is more memory.
                discard(job.checkpoint)
            ranked |= job.run_id == prior
            self._finished += 1
            self.bar.update(min(self.seconds[job.variant], self.bar.total - self.bar.n))
        runs = f"{self._finished}/{count(self._total, 'run')}"
        self.bar.set_description(f"{self.plan.study.name} {runs}", refresh=False)
        if ranked:
            self._look()
        return [job.run_id for job, end in ended if isinstance(end, RunOutcome)]

    def _is_tried_again(self, job: Job, failure: Failure) -> bool:
        """Whether a failed run gets another attempt; otherwise the failure is recorded."""
        spec, reason = job.spec, failure.reason
        setting = ", ".join(f"{name} {value:g}" for name, value in spec.setting.items())
        name = f"{job.variant}, {setting}, seed {spec.seed}"
        if failure.lost and self._losses[job.run_id] < LOSSES:
            self._losses[job.run_id] += 1
            logger.warning("%s starts again elsewhere: %s", name, reason)
        elif job.run_id not in self._retried:
            self._retried.add(job.run_id)
            logger.warning("%s is tried once more: %s", name, reason)
        else:
            self.plan.store.fail(spec, reason)
            logger.error("%s failed: %s", name, reason)
            return False
        return True

    def _record(self, done: list[tuple[Spec, RunOutcome]]) -> None:
        """Record runs; hold them while the store cannot be written."""
        deadline, warned = time.monotonic() + PATIENCE, False
        while True:
            try:
                return self.plan.store.record(done)
            except Unwritable as error:
                if time.monotonic() > deadline:
                    raise
                if not warned:
                    runs = count(len(done), "finished run")
                    logger.warning("%s %s held for up to %.0f s", error, runs, PATIENCE)
                warned = True
                time.sleep(PAUSE)
