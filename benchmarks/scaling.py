"""Scheduler and store at the scale of clusters: simulated time, and real work of the driver.

    python benchmarks/scaling.py [--most 10000] [--million] [--output FILE]

Sweeps of up to a million runs, by the package's own scheduler into a real store. Only the runs are
made up: how long they take (the spread of a published table's durations around a mean), nodes that
fail and come back, runs that take five times as long. What the driver computes between two
answers of the cluster is measured and added to the simulated time, with what it costs Ray to be
given a task. The store's rows per second are measured by themselves. Half an hour on a quiet core.
"""

import argparse
import heapq
import json
import random
import sys
import tempfile
import time
from itertools import count
from pathlib import Path

import pandas as pd
from common import machine, markdown, median_spread

from hpstudy.config.study import Study
from hpstudy.storage.database import leasing
from hpstudy.storage.store import Store
from hpstudy.sweep.executors import Ended, Failure, Job
from hpstudy.sweep.plan import Plan
from hpstudy.sweep.run import progress_bar
from hpstudy.sweep.scheduler import Scheduler
from hpstudy.training.state import RunOutcome

ROOT = Path(__file__).parents[1]
SECONDS = (10, 60, 600)
NODE_GPUS, MTBF_HOURS, REPAIR_MINUTES = 8, 1000.0, 10.0
STRAGGLERS, FACTOR = 0.01, 5.0
RUNS_PER_GPU, MOST_RUNS = 50, 200_000
SPREAD = "quick-mobilenetv2"
EPOCHS = 30


def spread() -> list[float]:
    """Durations of a published study, over the median of their network."""
    table = pd.read_csv(ROOT / "book" / "results" / f"{SPREAD}.csv")
    return (table["seconds"] / table.groupby("variant")["seconds"].transform("median")).tolist()


class Cluster:
    """An executor of made-up runs, whose clock is simulated but for what its driver computes.

    Parameters
    ----------
    gpus : int
    seconds : float
        Mean duration of a run.
    submit : float
        Seconds that it takes the driver to hand over a run.
    ranking : dict
        Of the run whose filters are ranked.
    """

    device = "simulated"

    def __init__(self, gpus: int, seconds: float, submit: float, ranking: dict):
        self.gpus, self.seconds, self.submit, self.ranking = gpus, seconds, submit, ranking
        self.random, self.spread = random.Random(gpus), spread()
        self.now, self.computed, self.useful, self.lost = 0.0, 0.0, 0.0, 0
        self._began = time.perf_counter()
        self._order, self._events = count(), []
        self._free, self._at, self._down = list(range(gpus)), {}, set()
        for node in range(-(-gpus // NODE_GPUS)):
            self._schedule(self._until_failure(), "fails", node)

    @property
    def workers(self) -> int:
        return len(self._free) + len(self._at)

    def start(self, job: Job) -> bool:
        self.now += self.submit
        self.computed += self.submit
        gpu, seconds = self._free.pop(), self.seconds * self.random.choice(self.spread)
        if self.random.random() < STRAGGLERS:
            seconds *= FACTOR
        self._at[gpu] = job, seconds
        self._schedule(seconds, "ends", gpu, job)
        return True

    def wait(self, seconds: float) -> list[Ended]:
        """What has ended while the driver computed, else what ends next."""
        computed = time.perf_counter() - self._began
        self.now += computed
        self.computed += computed
        ended: list[Ended] = []
        while self._events and (self._events[0][0] <= self.now or not ended):
            if ended and self._events[0][0] > self.now:
                break
            at, _, what, *arguments = heapq.heappop(self._events)
            self.now = max(self.now, at)
            ended += getattr(self, f"_{what}")(*arguments)
        self._began = time.perf_counter()
        return ended

    def _schedule(self, seconds: float, what: str, *arguments: object) -> None:
        heapq.heappush(self._events, (self.now + seconds, next(self._order), what, *arguments))

    def _until_failure(self) -> float:
        return self.random.expovariate(1 / (3600 * MTBF_HOURS))

    def _ends(self, gpu: int, job: Job) -> list[Ended]:
        if self._at.get(gpu, (None,))[0] is not job:
            return []  # its node has failed since
        _, seconds = self._at.pop(gpu)
        self._free.append(gpu)
        self.useful += seconds
        return [(job, made_up(job, seconds, self.ranking))]

    def _fails(self, node: int) -> list[Ended]:
        mine = range(node * NODE_GPUS, min((node + 1) * NODE_GPUS, self.gpus))
        gone = [self._at.pop(gpu)[0] for gpu in mine if gpu in self._at]
        self.lost += len(gone)
        self._free = [gpu for gpu in self._free if gpu not in mine]
        self._schedule(60 * REPAIR_MINUTES, "returns", node)
        return [(job, Failure("its node is gone", lost=True)) for job in gone]

    def _returns(self, node: int) -> list[Ended]:
        self._free += range(node * NODE_GPUS, min((node + 1) * NODE_GPUS, self.gpus))
        self._schedule(self._until_failure(), "fails", node)
        return []


def made_up(job: Job, seconds: float, ranking: dict) -> RunOutcome:
    """A row as large as a real one of so many epochs."""
    curve = {name: [1 / 3] * EPOCHS for name in ("train_loss", "loss", "top1")}
    row = dict(top1=90.0, top5=None, loss=0.3, best_top1=91.0, best_epoch=3, train_loss=0.1)
    row |= dict(diverged=False, epochs=EPOCHS, seconds=seconds, images_per_second=1e4)
    row |= dict(macs=10**8, params=10**6, device="simulated", torch="none", curve=curve)
    return RunOutcome(row, ranking if job.rank_filters else None)


def study(runs: int) -> Study:
    """A study of about so many runs: five networks, a square grid, and seeds."""
    each = max(1, round(runs / 5))
    side = min(100, max(1, round(each**0.5)))
    values = {
        "name": "simulated",
        "model": "resnet20",
        "data": {"name": "fashion-mnist-8k", "image_size": 8},
        "recipe": {"epochs": EPOCHS, "batch_size": 128, "lr_decay_epochs": [15]},
        "prior": {"lr": 0.1, "weight_decay": 0.001},
        "grid": {name: {"points": side, "step": 0.02} for name in ("lr", "weight_decay")},
        "variants": [f"uniform-0.{tenths}" for tenths in (8, 6, 4, 2)],
        "seeds": list(range(max(1, round(each / side**2)))),
    }
    return Study.model_validate(values)


def simulate(gpus: int, runs: int, seconds: float, submit: float) -> dict:
    """One sweep on so many GPUs."""
    with tempfile.TemporaryDirectory() as folder:
        plan = Plan.open(study(runs), Store.open(Path(folder) / "store.sqlite"))
        widths = plan.network.cost.widths
        scores = {layer: [float(k) for k in range(width)] for layer, width in widths.items()}
        cluster = Cluster(gpus, seconds, submit, {"weights_sha256": "0" * 64, "scores": scores})
        prices = dict.fromkeys(plan.study.variants, seconds)
        with leasing(plan.store.path) as leases, progress_bar("", 1) as bar:
            recorded = sum(map(len, Scheduler(plan, cluster, leases, bar, prices).run()))
        assert recorded == len(plan.store.recorded()) and not plan.missing()
    return {
        "gpus": gpus,
        "runs": recorded,
        "run_seconds": seconds,
        "makespan_seconds": cluster.now,
        "efficiency": cluster.useful / (gpus * cluster.now),
        "lost": cluster.lost,
        "driver_busy": min(1.0, cluster.computed / cluster.now),
        "rows_per_second": recorded / cluster.now,
    }


def store_rows(batch: int, seconds: float = 3.0) -> float:
    """Rows per second that a store takes in, so many in a transaction."""
    with tempfile.TemporaryDirectory() as folder:
        plan = Plan.open(study(5), Store.open(Path(folder) / "store.sqlite"))
        outcome, number = made_up(Job("", "", plan.prior), 1.0, {}), count()
        began, done = time.perf_counter(), 0
        while (passed := time.perf_counter() - began) < seconds:
            seeds = [{"seed": next(number)} for _ in range(batch)]
            specs = [plan.prior.model_copy(update=seed) for seed in seeds]
            plan.store.record([(spec, outcome) for spec in specs])
            done += batch
        return done / passed


def ray_seconds(tasks: int = 2000) -> float:
    """Seconds that it takes the driver to hand Ray a task, which does nothing."""
    from hpstudy.sweep.executors.ray import load_ray

    ray = load_ray(loopback=True)
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
    try:
        nothing = ray.remote(lambda job: None)
        store = Store.open(Path(tempfile.mkdtemp()) / "store.sqlite")
        job = Plan.open(study(5), store).missing()[0]
        ray.get([nothing.remote(job) for _ in range(100)])
        began = time.perf_counter()
        waiting = [nothing.remote(job) for _ in range(tasks)]
        return (time.perf_counter() - began) / len(waiting)
    finally:
        ray.shutdown()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--most", type=int, default=10_000, help="GPUs")
    parser.add_argument("--million", action="store_true", help="a million of the shortest runs")
    parser.add_argument("--rounds", type=int, default=5, help="of the store's measurements")
    parser.add_argument("--output", type=Path, help="JSON file, as book/measurements/scaling.json")
    given = parser.parse_args()
    submit = ray_seconds()
    store = [
        {"batch": batch, "rows_per_second": [store_rows(batch) for _ in range(given.rounds)]}
        for batch in (1, 10, 100, 1000)
    ]
    gpus = [10**power for power in range(5) if 10**power <= given.most]
    cases = [(n, min(RUNS_PER_GPU * n, MOST_RUNS), seconds) for n in gpus for seconds in SECONDS]
    if given.million:
        cases = [case for case in cases if case[::2] != (given.most, SECONDS[0])]
        cases.append((given.most, 1_000_000, SECONDS[0]))
    points = []
    for case in cases:
        points.append(simulate(*case, submit))
        print(points[-1], file=sys.stderr, flush=True)
    print(machine(), "\n")
    print(f"{1e6 * submit:.0f} us to hand Ray a task\n")
    print(
        markdown(
            [{"batch": r["batch"], "rows/s": median_spread(r["rows_per_second"])} for r in store]
        )
    )
    print()
    print(markdown([{key: f"{value:.3g}" for key, value in point.items()} for point in points]))
    if given.output:
        said = {
            "command": f"python benchmarks/scaling.py --most {given.most}"
            + " --million" * given.million,
            "machine": machine(),
            "model": {
                "seconds_submit": submit,
                "node_gpus": NODE_GPUS,
                "mtbf_hours": MTBF_HOURS,
                "repair_minutes": REPAIR_MINUTES,
                "stragglers": {"share": STRAGGLERS, "factor": FACTOR},
                "spread": f"published seconds of {SPREAD}, over their network's median",
            },
            "points": points,
            "store": store,
        }
        given.output.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
