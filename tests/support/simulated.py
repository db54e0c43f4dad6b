"""Sweeps without training: accuracies follow from the settings, and runs end in random order."""

import math
import random

import tiny

from hpstudy.storage.database import Leases
from hpstudy.storage.store import Store
from hpstudy.sweep.plan import Plan
from hpstudy.sweep.run import progress_bar, run_on
from hpstudy.sweep.scheduler import Scheduler
from hpstudy.training.state import RunOutcome


def bowl(lr, weight_decay, best=92.0):
    """Accuracy that falls with the distance, in decades, from 0.01 and 0.01."""
    x, y = math.log10(lr) + 2, math.log10(weight_decay) + 2
    return best - 6 * (x + y) ** 2 - 1.5 * (x - y) ** 2


def simulated(spec, rank_filters):
    """Outcome of a run; its accuracy depends on the setting and on the pruning."""
    best = 92.0 if spec.widths is None else 88.0
    accuracy = bowl(spec.lr, spec.weight_decay, best) + 0.05 * math.sin(1e4 * spec.lr + spec.seed)
    row = tiny.result(top1=accuracy)
    ranking = {"weights_sha256": "0" * 64, "scores": simulated.scores} if rank_filters else None
    return RunOutcome(row, ranking)


class Simulated:
    """An executor without training; `fails` returns the Failure of a job, or None."""

    device, counts, slots = "cpu", (), ()

    def __init__(self, workers=1, seed=0, fails=lambda job: None):
        self.workers, self.random, self.fails = workers, random.Random(seed), fails
        self.running, self.jobs = [], []

    def adopt(self, arithmetic, per_device=None):
        self.adopted = arithmetic, per_device

    def calibrate(self, spec, classes, images, seconds):
        return [(1e-6, 1e-6)] * self.workers

    def start(self, job):
        self.jobs.append(job)
        self.running.append(job)
        return True

    def wait(self, seconds):
        if not self.running:
            return []
        self.random.shuffle(self.running)
        job = self.running.pop()
        if failure := self.fails(job):
            return [(job, failure)]
        return [(job, simulated(job.spec, job.rank_filters))]


def simulated_plan(path, **changes):
    axis = {"points": 9, "step": 0.2}
    changes = {
        "model": "resnet20",
        **{"grid.lr": axis, "grid.weight_decay": axis, "recipe.epochs": 3},
        **changes,
    }
    return Plan.open(tiny.study(changes), Store.open(path))


def swept(plan, workers=1, seed=0, lose_after=None, fails=lambda job: None):
    """Table of a simulated sweep, which is interrupted after `lose_after` runs and resumed."""
    prepare(plan)
    if lose_after is not None:
        scheduler = Scheduler(plan, Simulated(workers, seed, fails), *of_a_sweep(plan))
        for number, _ in enumerate(scheduler.run()):
            if number == lose_after:
                break
    run_on(Simulated(workers, seed, fails), plan, lambda: None)
    return plan.table()


def prepare(plan):
    widths = plan.network.cost.widths
    simulated.scores = {layer: list(range(1, width + 1)) for layer, width in widths.items()}


def of_a_sweep(plan):
    """Further arguments of a scheduler: leases, a progress bar and prices."""
    return (
        Leases.open(plan.store.path),
        progress_bar("", 1),
        dict.fromkeys(plan.study.variants, 1.0),
    )
