"""Hand the missing runs of a study to an executor, and what they come to to its store."""

import logging
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator

from tqdm import tqdm

from hpstudy.config.grid import Extent, Growth
from hpstudy.config.runspec import RunSpec
from hpstudy.errors import count
from hpstudy.storage.database import Unwritable
from hpstudy.storage.locks import BUSY, OURS, Leases
from hpstudy.sweep.executors.base import Ended, Executor, Failure, Job
from hpstudy.sweep.plan import Plan
from hpstudy.sweep.schedule import Task, tasks
from hpstudy.training.checkpoint import discard
from hpstudy.training.state import RunOutcome

logger = logging.getLogger(__name__)

# Machines that may go away under a run before the run is taken for the reason.
LOSSES = 5
# Seconds for which a store that cannot be written is tried again, and seconds between the tries.
PATIENCE, PAUSE = 600.0, 5.0
# Runs are claimed ahead for one in so many workers: one transaction for each would cost more.
AHEAD = 8
# What is missing is looked up again after this many times as long as looking took.
RATHER = 10


class Dispatch:
    """One sweep's runs: which wait, which are being trained, and which have failed once.

    Parameters
    ----------
    plan : Plan
    executor : Executor
    leases : Leases
        Of this sweep on the plan's store.
    bar : tqdm
        In seconds of priced time.
    seconds : dict of str to float
        Priced time of a run by variant.
    """

    def __init__(
        self,
        plan: Plan,
        executor: Executor,
        leases: Leases,
        bar: tqdm,
        seconds: dict[str, float],
    ):
        self.plan, self.executor, self.leases = plan, executor, leases
        self.bar, self.seconds = bar, seconds
        self._growths = plan.progress().growths
        self._prior = plan.prior.run_id
        self._pending: deque[Task] = deque()
        self._running: dict[str, Task] = {}
        self._claimed: set[str] = set()
        self._again: set[str] = set()
        self._losses: Counter[str] = Counter()
        self._finished, self._total = 0, 0
        self._looked, self._took, self._waiting = 0.0, 0.0, False

    def run(self) -> Iterator[int]:
        """Train until nothing is missing; yields how many runs have just been recorded.

        Raises
        ------
        HpstudyError
            If the executor or the store can do no more; what was recorded stays.
        """
        self._look()
        while self._pending or self._running:
            self._fill()
            # The time-out lets the bar move its clock at a terminal while long runs train.
            ended = self.executor.wait(1.0)
            if sys.stderr.isatty():
                self.bar.refresh()
            if ended:
                yield self._settle(ended)
            if not self._pending and self._is_time_to_look():
                self._look()

    def _is_time_to_look(self) -> bool:
        return not self._running or time.monotonic() > self._looked + RATHER * self._took

    def _look(self) -> None:
        """Find what may be trained now.

        The ranking makes the pruned networks; the last results of a grid may extend it, and those
        of a level begin the next one's race; a whole grid's choose its replicates; another sweep
        may have recorded what was missing.
        """
        began = time.monotonic()
        if self.plan.needs_ranking:
            self.plan.certify()
        ready = tasks(self.plan)
        self._pending = deque(task for task in ready if task.run_id not in self._running)
        self._growths = _say_growths(self.plan, self._growths)
        missing = self.plan.counts()["missing"]
        self._total = self._finished + int(missing.sum())
        left = sum(number * self.seconds[name] for name, number in missing.items())
        self.bar.total = max(self.bar.total, self.bar.n + left)
        self._looked = time.monotonic()
        self._took = self._looked - began

    def _fill(self) -> None:
        """Begin runs while there are workers for them."""
        while self._pending and (free := self.executor.workers - len(self._running)) > 0:
            task = self._pending[0]
            if task.run_id not in self._claimed:
                self._claim(max(free, self.executor.workers // AHEAD))
            elif self.executor.start(self._job(task)):
                self._pending.popleft()
                self._claimed.remove(task.run_id)
                self._running[task.run_id] = task
            else:
                return

    def _claim(self, number: int) -> None:
        """Claim the first pending runs; those that other sweeps have are pending no more."""
        some = [self._pending.popleft() for _ in range(min(number, len(self._pending)))]
        said = self.leases.take({task.run_id: self._ends(task) for task in some})
        ours = [task for task in some if said[task.run_id] == OURS]
        self._claimed.update(task.run_id for task in ours)
        self._pending.extendleft(reversed(ours))
        self._say_waiting(sum(word == BUSY for word in said.values()))

    def _ends(self, task: Task) -> list[str]:
        """Tables of the store in which a run is found once it has ended."""
        if task.run_id == self._prior and self.plan.needs_ranking:
            # It may have been recorded for a study that has another prior, without its scores.
            return ["rankings", "failures"]
        return ["runs", "failures", *["stopped"] * (task.race is not None)]

    def _job(self, task: Task) -> Job:
        keep_scores = task.run_id == self._prior
        checkpoint = self.plan.store.checkpoint(task.run_id)
        return Job(task.spec, keep_scores, task.race, checkpoint, task.run_id in self._again)

    def _settle(self, ended: list[Ended]) -> int:
        """Record what has come of runs; begin again what failed once."""
        done = [(one.job.spec, one.outcome) for one in ended if one.outcome is not None]
        self._record(done)
        prior = False
        for one in ended:
            run_id = one.job.spec.run_id
            task = self._running.pop(run_id)
            if one.failure is not None and not self._has_failed(task, one.failure):
                self._pending.appendleft(task)
                self._claimed.add(run_id)
                continue
            # Of a run that has failed it is kept: it may be tried again where there is more memory.
            if one.outcome is not None:
                discard(one.job.checkpoint)
            prior |= one.job.keep_scores
            self._finished += 1
            self.bar.update(min(self.seconds[task.variant], self.bar.total - self.bar.n))
        words = f"{self.plan.study.name} {self._finished}/{count(self._total, 'run')}"
        self.bar.set_description(words, refresh=False)
        if prior:
            self._look()
        return len(done)

    def _has_failed(self, task: Task, failure: Failure) -> bool:
        """Whether a run is not tried again; then it is recorded why."""
        run_id, reason = task.run_id, failure.reason
        name = f"{self.plan.study.name}: {_named(task)}"
        if failure.lost and self._losses[run_id] < LOSSES:
            self._losses[run_id] += 1
            logger.warning(f"{name} is begun anew elsewhere: {reason}")
        elif run_id not in self._again:
            self._again.add(run_id)
            logger.warning(f"{name} is tried once more: {reason}")
        else:
            self.plan.store.fail(task.spec, reason)
            logger.warning(f"{name} has failed: {reason}")
            return True
        return False

    def _record(self, done: list[tuple[RunSpec, RunOutcome]]) -> None:
        """Record runs; where the store cannot be written they are held until it can."""
        if not done:
            return
        threshold = max(self.plan.study.roi) if self.plan.study.racing else None
        given_up = time.monotonic() + PATIENCE
        said = False
        while True:
            try:
                return self.plan.store.record(done, threshold)
            except Unwritable as error:
                if time.monotonic() > given_up:
                    raise
                if not said:
                    logger.info(
                        f"{error} {count(len(done), 'finished run')} held for {PATIENCE:.0f} s, in "
                        "which it is tried again."
                    )
                said = True
                time.sleep(PAUSE)

    def _say_waiting(self, busy: int) -> None:
        if busy and not self._waiting:
            name = self.plan.study.name
            logger.info(f"{name}: another sweep on {self.plan.store.path} trains some of the runs")
            self._waiting = True


def _named(task: Task) -> str:
    spec = task.spec
    return f"{task.variant} at lr {spec.lr:g}, weight_decay {spec.weight_decay:g}, seed {spec.seed}"


def _say_growths(plan: Plan, before: dict[str, Growth]) -> dict[str, Growth]:
    """Say which grids have been extended, and to what; the extents as they are now."""
    growths, grid, prior = plan.progress().growths, plan.study.grid, plan.study.prior
    for variant, growth in growths.items():
        for name in Extent._fields:
            if getattr(growth.extent, name) != getattr(before[variant].extent, name):
                low, *_, high = grid.values(name, prior, growth.extent)
                logger.info(
                    f"{plan.study.name}: {name} of {variant} extended to {low:g} ... {high:g}"
                )
    return growths
