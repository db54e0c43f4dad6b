"""Train what is missing: priced, on one worker per core or GPU, each run recorded at once."""

import os
import sys
import tempfile
from collections import deque
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from tqdm import tqdm

from hpstudy.cost import format_hours, price
from hpstudy.data import load_dataset
from hpstudy.errors import HpstudyError
from hpstudy.machine import devices
from hpstudy.plan import Plan
from hpstudy.study import RunSpec
from hpstudy.worker import ENVIRONMENT, run, save_dataset, start


def sweep(plan: Plan, workers: int | None = None) -> int:
    """Train and record every missing run of a study.

    Prints the price, then shows one progress bar in units of priced time. Ending the process at
    any moment loses the runs in progress only; calling again trains what is then missing, and
    nothing where nothing is.

    Parameters
    ----------
    plan : Plan
    workers : int, optional
        Processes that train at once; by default one per GPU, or one single-threaded one per core.

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
    data = load_dataset(plan.study.data, plan.data_root)
    priced = price(plan, workers)
    seconds = {name: entry["seconds_per_run"] for name, entry in priced["variants"].items()}
    runs = sum(entry["missing"] for entry in priced["variants"].values())
    tqdm.write(
        f"{plan.study.name}: {runs} runs to train, about {format_hours(priced['hours'])} "
        f"with {priced['workers']} worker(s) on {priced['device']}",
        sys.stderr,
    )
    total = sum(entry["missing"] * seconds[name] for name, entry in priced["variants"].items())
    trained = 0
    with (
        tempfile.TemporaryDirectory(prefix="hpstudy-") as folder,
        _bar(plan.study.name, total) as bar,
    ):
        path = Path(folder) / "data.pt"
        save_dataset(data, path)
        for variant, spec, result in _train(plan, path, priced["workers"], bar):
            plan.store.add(spec, *result)
            trained += 1
            bar.set_description(
                f"{plan.study.name} {trained}/{max(runs, trained)} runs", refresh=False
            )
            bar.update(min(seconds[variant], bar.total - bar.n))
    return trained


def _bar(name: str, seconds: float) -> tqdm:
    """Progress in seconds of priced time; few lines where standard error is no terminal."""
    form = "{desc} {percentage:3.0f}%|{bar:20}| {elapsed}, {remaining} left"
    every = 0.1 if sys.stderr.isatty() else 30
    return tqdm(desc=name, total=seconds, smoothing=0, bar_format=form, mininterval=every)


def _train(
    plan: Plan, path: Path, workers: int, bar: tqdm
) -> Iterator[tuple[str, RunSpec, tuple[dict[str, Any], Any]]]:
    """Yield variant, specification and result of every missing run as it is finished."""
    pending = deque(plan.missing())
    scheduled = {spec.run_id for _, spec in pending}
    running: dict[Future, tuple[str, RunSpec]] = {}
    with _pool(path, workers) as pool:
        while pending or running:
            while pending and len(running) < workers:
                variant, spec = pending.popleft()
                keep_scores = spec == plan.prior
                running[_submit(pool, spec, keep_scores)] = variant, spec
            # The time-out lets the bar move its clock at a terminal while long runs train.
            done, _ = wait(running, timeout=1, return_when=FIRST_COMPLETED)
            if sys.stderr.isatty():
                bar.refresh()
            # Where a worker ended, what others have finished is yielded before that is said.
            for future in sorted(done, key=lambda future: future.exception() is not None):
                variant, spec = running.pop(future)
                try:
                    result = future.result()
                except BrokenProcessPool:
                    raise HpstudyError(
                        f"a worker of {plan.study.name} ended before {variant} at lr {spec.lr} "
                        f"and weight_decay {spec.weight_decay} was trained; finished runs are "
                        "recorded, and the same command goes on from there"
                    ) from None
                yield variant, spec, result
                if spec == plan.prior and plan.needs_ranking:
                    plan.certify()
                    new = [entry for entry in plan.missing() if entry[1].run_id not in scheduled]
                    scheduled |= {spec.run_id for _, spec in new}
                    pending.extend(new)


def _submit(pool: ProcessPoolExecutor, spec: RunSpec, keep_scores: bool) -> Future:
    """The run's future; one that has failed already if a worker ended since the last wait."""
    try:
        return pool.submit(run, spec, keep_scores)
    except BrokenProcessPool as error:
        failed: Future = Future()
        failed.set_exception(error)
        return failed


@contextmanager
def _pool(path: Path, workers: int) -> Iterator[ProcessPoolExecutor]:
    """Worker processes, started with their own environment and ended with the block."""
    context = get_context("spawn")
    queue = context.SimpleQueue()
    available = devices()
    for index in range(workers):
        queue.put(available[index % len(available)])
    before = {name: os.environ.get(name) for name in ENVIRONMENT}
    os.environ.update(ENVIRONMENT)
    pool = ProcessPoolExecutor(workers, context, initializer=start, initargs=(path, queue))
    try:
        yield pool
    except BaseException:
        # Runs in progress are lost either way; waiting for them would only delay the end.
        for process in list((pool._processes or {}).values()):
            process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
