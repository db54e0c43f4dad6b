"""Train the missing runs of a study, and publish what is recorded."""

import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from tqdm import tqdm

from hpstudy.config.grid import AXES, BASE
from hpstudy.config.study import DENSE
from hpstudy.errors import HpstudyError, count
from hpstudy.storage.database import leasing
from hpstudy.storage.tables import write_table
from hpstudy.sweep.any_plan import AnyPlan
from hpstudy.sweep.command_plan import CommandPlan
from hpstudy.sweep.executors import Executor, open_executor
from hpstudy.sweep.growth import assess, points_of
from hpstudy.sweep.plan import Plan
from hpstudy.sweep.pricing import format_hours, price_on
from hpstudy.sweep.scheduler import Scheduler
from hpstudy.sweep.trial import choose_fastest
from hpstudy.training.device import environment

logger = logging.getLogger(__name__)
AnyPlanType = TypeVar("AnyPlanType", bound=AnyPlan)

# Seconds between two tables, at least, and at least this many times the duration of writing one.
PUBLISH_SECONDS, PUBLISH_RATIO = 60, 20


def sweep(
    plan: AnyPlan,
    workers: int | None = None,
    publish: Callable[[], object] | None = None,
    address: str | None = None,
    draw: Callable[[], object] | None = None,
) -> int:
    """Train and record every missing run of a study; returns the number of runs trained.

    A kill loses the runs in progress only, and of long ones the last minutes: the same call trains
    what is then missing. Sweeps that share a store share its runs. A run that fails twice is
    recorded as failed, and is no longer missing (`AnyPlan.retry_failed`). `publish` is called about
    once a minute while runs are recorded, and at the end, and `draw` once the dense network's grid
    has ended; `workers` and `address` are those of `hpstudy.sweep.executors.open_executor`.

    Raises
    ------
    HpstudyError
        If the data are unavailable, every worker fails, or the store cannot be written; recorded
        runs stay.
    """
    if not plan.missing():
        logger.info("%s: nothing to train%s", plan.study.name, _failures(plan))
        return 0
    with open_executor(plan, workers, address) as executor:
        return run_on(executor, plan, publish or (lambda: None), draw or (lambda: None))


def run_on(
    executor: Executor,
    plan: AnyPlan,
    publish: Callable[[], object],
    draw: Callable[[], object] = lambda: None,
) -> int:
    """Train every missing run on an executor (see `sweep`)."""
    name = plan.study.name
    if isinstance(plan, Plan):
        logger.info("%s: a few steps of each network are timed", name)
    priced = price_on(executor, plan)
    choose_fastest(plan, executor, priced)
    plan.workers = executor.workers
    entries, workers = priced["variants"], count(priced["workers"], "worker")
    runs = count(sum(entry["missing"] for entry in entries.values()), "run")
    where = f"{workers} on {priced['device']}, {plan.precision}"
    logger.info("%s: %s, about %s with %s", name, runs, format_hours(priced["hours"]), where)
    seconds = {variant: entry["seconds_per_run"] or 1.0 for variant, entry in entries.items()}
    total = sum(entry["missing"] * seconds[variant] for variant, entry in entries.items())
    trained, due = 0, time.monotonic() + PUBLISH_SECONDS
    points, seeds = points_of(plan.study, BASE), plan.study.seeds
    grid = {run_id for seed in seeds for run_id in plan.run_ids(DENSE, points, seed)}
    grid -= plan.store.recorded()
    try:
        with progress_bar(name, total) as bar, leasing(plan.store.path) as leases:
            for recorded in Scheduler(plan, executor, leases, bar, seconds).run():
                trained += len(recorded)
                if grid and not (grid := grid.difference(recorded)):
                    draw()
                if recorded and (began := time.monotonic()) > due:
                    try:
                        publish()
                    except HpstudyError as error:
                        logger.warning("%s", error)
                    now = time.monotonic()
                    due = now + max(PUBLISH_SECONDS, PUBLISH_RATIO * (now - began))
    finally:
        if trained:
            publish()
    for variant, growth in assess(plan).growths.items():
        if growth.touched:
            ends = " and ".join(growth.touched)
            logger.warning("the region of %s touches the last end of its grid: %s", variant, ends)
    if isinstance(plan, CommandPlan) and plan.study.metric.unit == "percent":
        best = plan.table()[plan.metric].max()
        if best <= 1:
            key = plan.study.metric.key
            logger.warning(
                "%s is %g at most, and its unit percent; if it is from 0 to 1, say "
                "`unit: fraction` under `metric`: finished runs are read again",
                *(key, best),
            )
    logger.info("%s: %s trained%s", name, count(trained, "run"), _failures(plan))
    return trained


def _failures(plan: AnyPlan) -> str:
    """End of a message: the number of failed runs, and a reason; empty if there is none."""
    if not (reasons := plan.failures()):
        return ""
    reason = list(reasons.values())[-1]
    waiting = "; the pruned networks wait for the prior's run" if plan.needs_ranking else ""
    return f", {len(reasons)} failed ({reason}); --retry-failed trains them again{waiting}"


def progress_bar(name: str, seconds: float) -> tqdm:
    """Progress in seconds of priced time; a few lines where standard error is no terminal."""
    form = "{desc} {percentage:3.0f}%|{bar:20}| {elapsed}, {remaining} left"
    interval = 0.1 if sys.stderr.isatty() else 30
    return tqdm(desc=name, total=seconds, smoothing=0, bar_format=form, mininterval=interval)


def publish_study(
    plan: Plan | CommandPlan, folder: str | Path, command: str, workers: int | None
) -> Path:
    """Write a study's table and record to a folder; returns the path of the table.

    Failed runs are not in the table, and the record holds their reasons. Variants that the plan
    leaves out keep their rows.
    """
    plan = whole_plan(plan)
    if isinstance(plan, CommandPlan):
        return write_table(plan.table(), _command_record(plan, command, workers), folder)
    table, counts, size = plan.table(), plan.counts(), plan.size
    missing = counts["missing"] + counts["failed"]
    study = plan.study.model_dump(mode="json")
    # With the fingerprint, the ids of runs on image folders follow from the record alone.
    study["data"] |= {"train": size.train, "test": size.test, "fingerprint": plan.fingerprint}
    extents = [growth.extent for growth in assess(plan).growths.values()]
    for name in AXES:
        values = [plan.study.grid.values(name, plan.study.prior, extent) for extent in extents]
        study["grid"][name] = sorted(set().union(*values))
    network = plan.network.identity
    record = {
        "study": study,
        **({"network": network.model_dump(mode="json")} if network else {}),
        "certificates": plan.certificates,
        # The scores that the channels were chosen by: a lost store can be made again from them.
        "ranking": plan.store.ranking(plan.prior) if plan.certificates else None,
        "record": {
            "command": command,
            "runs": len(table),
            "missing": {variant: int(number) for variant, number in missing.items() if number},
            "failed": plan.failures(),
            **_skipped(plan),
            # Earlier versions stopped runs early, and counted them here.
            "stopped": 0,
            "train_seconds": round(float(table["seconds"].sum()), 1),
            "images": int((table["epochs"] * size.train).sum()),
            "device": ", ".join(sorted(set(table["device"]))),
            "executor": plan.study.executor,
            "workers": workers,
            "arithmetic": plan.precision,
            **environment(),
            # The store may have come from another machine.
            "torch": ", ".join(sorted(set(table["torch"]))),
        },
    }
    return write_table(table, record, folder)


def _command_record(plan: CommandPlan, command: str, workers: int | None) -> dict[str, Any]:
    table, counts = plan.table(), plan.counts()
    missing = counts["missing"] + counts["failed"]
    return {
        "study": plan.study.model_dump(mode="json", by_alias=True, exclude_unset=True),
        "files": plan.files,
        "certificates": plan.certificates,
        "record": {
            "command": command,
            "runs": len(table),
            "missing": {variant: int(number) for variant, number in missing.items() if number},
            "failed": plan.failures(),
            **_skipped(plan),
            "train_seconds": round(float(table["seconds"].sum()), 1),
            "device": ", ".join(sorted(set(table["device"]))),
            "executor": plan.study.executor,
            "workers": workers,
            **environment(),
        },
    }


def _skipped(plan: AnyPlan) -> dict[str, dict[str, int]]:
    return {"skipped": plan.skipped()} if plan.skips else {}


def whole_plan(plan: AnyPlanType) -> AnyPlanType:
    """Plan of the variants to publish: the plan's own, and all others that have runs."""
    if plan.study == plan.whole:
        return plan
    recorded = set(plan.reopened(plan.whole).table()["variant"])
    names = [name for name in plan.whole.variants if name in recorded]
    # A variant that the params file does not list comes last.
    variants = tuple(dict.fromkeys([DENSE, *names, *plan.study.variants]))
    study = plan.whole.model_copy(update={"variants": variants})
    return plan.reopened(study)
