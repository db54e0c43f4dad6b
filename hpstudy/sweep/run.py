"""Train what is missing: priced, by an executor, each run recorded at once."""

import logging
import sys
import time
from collections.abc import Callable

from tqdm import tqdm

from hpstudy.errors import HpstudyError, count
from hpstudy.storage.locks import leasing
from hpstudy.sweep.arithmetic import decide_arithmetic
from hpstudy.sweep.executors.base import Executor
from hpstudy.sweep.executors.factory import open_executor
from hpstudy.sweep.plan import Plan
from hpstudy.sweep.pricing import format_hours, format_to_come, price_on
from hpstudy.sweep.scheduler import Dispatch

logger = logging.getLogger(__name__)

PUBLISH_SECONDS = 60
# A table is written so many times as rarely as writing it takes.
RARELY = 20


def sweep(
    plan: Plan,
    workers: int | None = None,
    publish: Callable[[], object] | None = None,
    address: str | None = None,
) -> int:
    """Train and record every missing run of a study.

    Prints the price, then shows one progress bar in units of priced time. Ending the process at
    any moment loses the runs in progress only, and of long ones the last minutes; calling again
    trains what is then missing, and nothing where nothing is. Several sweeps on one store at once
    share its runs. A run that fails is tried once more, then recorded as failed, and is not
    missing any more (`Plan.retry`).

    Parameters
    ----------
    plan : Plan
    workers : int, optional
        Runs trained at once; by default one per GPU, or one single-threaded one per core.
    publish : callable, optional
        Called about once a minute while there are new rows, and when the sweep ends or is
        interrupted, so that the study can be drawn from what is there.
    address : str, optional
        Of the Ray cluster, for a study with `executor: ray`.

    Returns
    -------
    int
        Number of runs trained.

    Raises
    ------
    HpstudyError
        If the data cannot be had, every worker fails, or the store cannot be written: what was
        recorded stays.
    """
    if not plan.missing():
        logger.info(f"{plan.study.name}: nothing to train{_failed(plan) or ', complete'}")
        return 0
    with open_executor(plan, workers, address) as executor:
        return run_on(executor, plan, publish or (lambda: None))


def run_on(executor: Executor, plan: Plan, publish: Callable[[], object]) -> int:
    """Train every missing run on an executor (see `sweep`)."""
    priced = price_on(executor, plan)
    decide_arithmetic(plan, executor, priced)
    seconds = {name: entry["seconds_per_run"] for name, entry in priced["variants"].items()}
    runs = sum(entry["missing"] for entry in priced["variants"].values())
    bound = "at most" if plan.study.racing else "about"
    logger.info(
        f"{plan.study.name}: {count(runs, 'run')} to train, {bound} "
        f"{format_hours(priced['hours'])} with {count(priced['workers'], 'worker')} on "
        f"{priced['device']}, {plan.arithmetic}"
        f"{format_to_come(priced)}"
    )
    total = sum(entry["missing"] * seconds[name] for name, entry in priced["variants"].items())
    trained, due = 0, time.monotonic() + PUBLISH_SECONDS
    try:
        with _bar(plan.study.name, total) as bar, leasing(plan.store.path) as leases:
            for number in Dispatch(plan, executor, leases, bar, seconds).run():
                trained += number
                if number and time.monotonic() > due:
                    due = _publish_meanwhile(publish)
    finally:
        if trained:
            publish()
    _say_touched(plan)
    if said := _failed(plan):
        logger.info(f"{plan.study.name}: {count(trained, 'run')} trained{said}")
    return trained


def _publish_meanwhile(publish: Callable[[], object]) -> float:
    """Publish; the time before which it is not done again. What cannot be written can wait."""
    began = time.monotonic()
    try:
        publish()
    except HpstudyError as error:
        logger.warning(str(error))
    now = time.monotonic()
    return now + max(PUBLISH_SECONDS, RARELY * (now - began))


def _failed(plan: Plan) -> str:
    """The end of a sentence that says how many runs have failed, and why; blank if none has."""
    if not (reasons := plan.failures()):
        return ""
    _, reason = reasons.popitem()
    said = f", {len(reasons) + 1} failed ({reason}); --retry-failed trains them again"
    if plan.needs_ranking:
        said += ", and the pruned networks wait for the one at the prior"
    return said


def _bar(name: str, seconds: float) -> tqdm:
    """Progress in seconds of priced time; few lines where standard error is no terminal."""
    form = "{desc} {percentage:3.0f}%|{bar:20}| {elapsed}, {remaining} left"
    every = 0.1 if sys.stderr.isatty() else 30
    return tqdm(desc=name, total=seconds, smoothing=0, bar_format=form, mininterval=every)


def _say_touched(plan: Plan) -> None:
    """Say which regions of interest reach beyond what the grids may be extended to."""
    if any(plan.study.grid.limits.values()):
        region = f"{max(plan.study.roi):g}-ROI"
        for variant, growth in plan.progress().growths.items():
            if growth.touched:
                logger.info(
                    f"{plan.study.name}: the {region} of {variant} touches the grid's end at "
                    f"{' and '.join(growth.touched)}, as far as `extend` lets it grow"
                )
