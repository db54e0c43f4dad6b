"""Train what is missing: priced, on one worker per core or GPU, each run recorded at once."""

import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from tqdm import tqdm

from hpstudy.cost import (
    calibrated_seconds,
    format_hours,
    format_to_come,
    hours_per_architecture,
    price,
)
from hpstudy.data import load_dataset
from hpstudy.errors import HpstudyError
from hpstudy.grid import Extent, Growth
from hpstudy.machine import check_arithmetic
from hpstudy.plan import Plan
from hpstudy.pool import open_pool, worker_count
from hpstudy.schedule import Task, tasks
from hpstudy.study import DENSE, RunSpec
from hpstudy.worker import Outcome, run, save_dataset

# Compiling takes about a minute for each network in each worker: of longer work it is little.
TRIAL_HOURS = 0.5
PUBLISH_SECONDS = 60
# A smaller gain would be within the noise of its measurement.
TRIAL_GAIN = 1.05


def sweep(
    plan: Plan, workers: int | None = None, publish: Callable[[], object] | None = None
) -> int:
    """Train and record every missing run of a study.

    Prints the price, then shows one progress bar in units of priced time. Ending the process at
    any moment loses the runs in progress only; calling again trains what is then missing, and
    nothing where nothing is.

    Parameters
    ----------
    plan : Plan
    workers : int, optional
        Processes that train at once; by default one per GPU, or one single-threaded one per core.
    publish : callable, optional
        Called about once a minute while there are new rows, and when the sweep ends or is
        interrupted, so that the study can be drawn from what is there.

    Returns
    -------
    int
        Number of runs trained.

    Raises
    ------
    HpstudyError
        If the data cannot be had, or a worker ends: what was recorded stays.
    """
    if workers is not None and workers < 1:
        raise HpstudyError(f"workers must be 1 or more, not {workers}")
    if not plan.missing():
        tqdm.write(f"{plan.study.name}: complete, nothing to train", sys.stderr)
        return 0
    check_arithmetic(plan.arithmetic)
    data = load_dataset(plan.study.data, plan.data_root)
    with tempfile.TemporaryDirectory(prefix="hpstudy-") as folder:
        path = Path(folder) / "data.pt"
        save_dataset(data, path)
        del data
        with open_pool(worker_count(workers), path) as pool:
            return _sweep(plan, pool, worker_count(workers), publish or (lambda: None))


def _sweep(
    plan: Plan, pool: ProcessPoolExecutor, workers: int, publish: Callable[[], object]
) -> int:
    priced = price(plan, workers, pool)
    decide_arithmetic(plan, pool, priced)
    seconds = {name: entry["seconds_per_run"] for name, entry in priced["variants"].items()}
    runs = sum(entry["missing"] for entry in priced["variants"].values())
    bound = "at most" if plan.study.racing else "about"
    _say(
        f"{plan.study.name}: {runs} runs to train, {bound} {format_hours(priced['hours'])} "
        f"with {workers} worker(s) on {priced['device']}, {plan.arithmetic}"
        f"{format_to_come(*plan.replicates_to_come())}"
    )
    total = sum(entry["missing"] * seconds[name] for name, entry in priced["variants"].items())
    trained, published = 0, time.monotonic()
    try:
        with _bar(plan.study.name, total) as bar:
            for spec, outcome in _train(plan, pool, workers, bar, seconds):
                _record(plan, spec, outcome)
                trained += 1
                if time.monotonic() - published > PUBLISH_SECONDS:
                    publish()
                    published = time.monotonic()
    finally:
        if trained:
            publish()
    _say_touched(plan)
    return trained


def _record(plan: Plan, spec: RunSpec, outcome: Outcome) -> None:
    if outcome.verdict is None:
        plan.store.add(spec, outcome.row, outcome.ranking)
    else:
        plan.store.stop(spec, outcome.row, max(plan.study.roi), outcome.verdict)


def decide_arithmetic(plan: Plan, pool: ProcessPoolExecutor, priced: dict[str, Any]) -> None:
    """Fix the arithmetic of a study that leaves it open, and say why; correct the price.

    Long work takes the arithmetic that a trial of the dense network's steps finds fastest; one
    that fails in the trial, as where there is no compiler, is said and left out.
    """
    if not plan.undecided:
        return
    name, chosen = plan.study.name, plan.arithmetic
    hours = hours_per_architecture(priced)
    if hours < TRIAL_HOURS:
        _say(
            f"{name}: {chosen}, no other tried, because {format_hours(hours)} of training per "
            f"network and worker are fewer than {format_hours(TRIAL_HOURS)}"
        )
        return plan.decide(chosen)
    seconds, said = {}, []
    for arithmetic in candidates(chosen):
        try:
            seconds[arithmetic] = calibrated_seconds(
                plan, DENSE, arithmetic, pool, priced["workers"]
            )
        except HpstudyError:
            raise
        except Exception as error:  # whatever a compiler may say
            said.append(f"{arithmetic} fails ({' '.join(str(error).split())[:200]})")
            continue
        said.append(f"{arithmetic} {seconds[plan.arithmetic] / seconds[arithmetic]:.2f}")
        if seconds[arithmetic] * TRIAL_GAIN < seconds[chosen]:
            chosen = arithmetic
    _say(f"{name}: {chosen}, after a trial of relative speed: {', '.join(said)}")
    gain = seconds[plan.arithmetic] / seconds[chosen]
    for entry in priced["variants"].values():
        entry["seconds_per_run"] /= gain
    priced["hours"] /= gain
    plan.decide(chosen)


def candidates(default: str) -> list[str]:
    """Arithmetics to try, the simplest first. Not every CPU is fast at bfloat16."""
    precisions = list(dict.fromkeys([default, "bfloat16"]))
    return precisions + [f"{name}-compiled" for name in precisions]


def _say(words: str) -> None:
    tqdm.write(words, sys.stderr)


def _bar(name: str, seconds: float) -> tqdm:
    """Progress in seconds of priced time; few lines where standard error is no terminal."""
    form = "{desc} {percentage:3.0f}%|{bar:20}| {elapsed}, {remaining} left"
    every = 0.1 if sys.stderr.isatty() else 30
    return tqdm(desc=name, total=seconds, smoothing=0, bar_format=form, mininterval=every)


def _train(
    plan: Plan,
    pool: ProcessPoolExecutor,
    workers: int,
    bar: tqdm,
    seconds: dict[str, float],
) -> Iterator[tuple[RunSpec, Outcome]]:
    """Yield specification and outcome of every missing run as it ends, to be recorded."""
    pending, finished, growths = deque(tasks(plan)), 0, plan.progress().growths
    total = int(plan.counts()["missing"].sum())
    running: dict[Future, Task] = {}
    while pending or running:
        while pending and len(running) < workers:
            task = pending.popleft()
            running[_submit(pool, task, task.spec == plan.prior)] = task
        # The time-out lets the bar move its clock at a terminal while long runs train.
        done, _ = wait(running, timeout=1, return_when=FIRST_COMPLETED)
        if sys.stderr.isatty():
            bar.refresh()
        # Where a worker ended, what others have finished is yielded before that is said.
        for future in sorted(done, key=lambda future: future.exception() is not None):
            task = running.pop(future)
            try:
                outcome = future.result()
            except BrokenProcessPool:
                raise HpstudyError(
                    f"a worker of {plan.study.name} ended before {task.variant} at lr "
                    f"{task.spec.lr} and weight_decay {task.spec.weight_decay} was trained; "
                    "finished runs are recorded, and the same command goes on from there"
                ) from None
            yield task.spec, outcome
            finished += 1
            bar.update(min(seconds[task.variant], bar.total - bar.n))
            if task.spec == plan.prior:
                plan.certify()
            # The ranking makes the pruned networks; the last results of a grid may extend it, and
            # those of a level begin the next one's race; a whole grid's choose its replicates.
            if task.spec == plan.prior or not pending:
                busy = {task.spec.run_id for task in running.values()}
                pending = deque(task for task in tasks(plan) if task.spec.run_id not in busy)
                growths = _say_growths(plan, growths)
                missing = plan.counts()["missing"]
                total = finished + int(missing.sum())
                left = sum(count * seconds[name] for name, count in missing.items())
                bar.total = max(bar.total, bar.n + left)
            bar.set_description(f"{plan.study.name} {finished}/{total} runs", refresh=False)


def _say_growths(plan: Plan, before: dict[str, Growth]) -> dict[str, Growth]:
    """Say which grids have been extended, and to what; the extents as they are now."""
    growths, grid, prior = plan.progress().growths, plan.study.grid, plan.study.prior
    for variant, growth in growths.items():
        for name in Extent._fields:
            if getattr(growth.extent, name) != getattr(before[variant].extent, name):
                low, *_, high = grid.values(name, prior, growth.extent)
                _say(f"{plan.study.name}: {name} of {variant} extended to {low:g} ... {high:g}")
    return growths


def _say_touched(plan: Plan) -> None:
    """Say which regions of interest reach beyond what the grids may be extended to."""
    if any(plan.study.grid.limits.values()):
        region = f"{max(plan.study.roi):g}-ROI"
        for variant, growth in plan.progress().growths.items():
            if growth.touched:
                _say(
                    f"{plan.study.name}: the {region} of {variant} touches the grid's end at "
                    f"{' and '.join(growth.touched)}, as far as `extend` lets it grow"
                )


def _submit(pool: ProcessPoolExecutor, task: Task, keep_scores: bool) -> Future:
    """The run's future; one that has failed already if a worker ended since the last wait."""
    try:
        return pool.submit(run, task.spec, keep_scores, task.race)
    except BrokenProcessPool as error:
        failed: Future = Future()
        failed.set_exception(error)
        return failed
